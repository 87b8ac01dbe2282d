/* The monitor of one cell: makes its memory, starts its tender, serves its requests and ends with it.
 *
 * Everything the tender says is hostile: see messages.c for what it may ask. What the caller gives is trusted.
 */
#ifndef MONITOR_MONITOR_H
#define MONITOR_MONITOR_H

#include <stdbool.h>
#include <stdint.h>

#include <vauban/boot.h>

struct vb_error;
struct trace_printer;
struct net_options;

#define MONITOR_MEMORY_DEFAULT_BYTES (1ull << 30)
#define MONITOR_STATUS_FAILED        125 /* exit status of `vauban run` when Vauban itself fails */

struct monitor_volume {
	const char *host_dir, *target;
	bool read_only;
};

/* What to run. All strings are borrowed until monitor_run() returns. */
struct monitor_options {
	const char *name;  /* of the cell; NULL: made up */
	const char *image; /* as the user named it, for people */
	int image_fd;
	uint64_t image_bytes, sites_offset, sites_bytes;

	const char *program; /* inside the image */
	char **arguments;    /* argv[0] among them; NULL-terminated */
	char **environment;
	const char *cwd, *hostname;
	uint32_t uid, gid;
	const uint32_t *groups;
	uint32_t group_count;

	uint64_t memory_bytes;
	uint32_t boot_flags; /* enum vb_boot_flags */
	double cpus;         /* limit; 0: none */
	struct monitor_volume volumes[VB_BOOT_MAX_VOLUMES];
	unsigned volume_count;
	const char *site_dir; /* NULL: none */
	const char *site_folders[VB_SITE_FOLDERS_MAX]; /* in the cell: absolute, normal */
	unsigned site_folder_count;
	const struct net_options *net; /* net.h */
	const char *core_dir; /* NULL: no core files */

	bool detach, interactive, terminal, remove;
	struct trace_printer *trace; /* gets every call from the first; NULL: no tracing */
};

struct monitor_result {
	int status; /* exit status of the program, or */
	int signal; /* the signal that killed it */
};

/* Runs the cell to its end. With detach it returns in the caller as soon as the cell is on its way, its name printed, and
 * the monitor goes on in a process of its own. -errno: Vauban failed, *err says why. */
int monitor_run(const struct monitor_options *options, struct monitor_result *ret, struct vb_error *err);

#endif
