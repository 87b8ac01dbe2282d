/* Volumes: a host folder served to one cell by 9P2000.L.
 *
 * Every request comes from the tender and is hostile. What a cell can reach is the folder and what lies below it, by
 * single names that are never symbolic links on the host: the cell's kernel resolves "..", "." and links itself.
 * Devices, fifos and sockets of the host are shown but never opened. Errors carry a number, never a host path.
 */
#ifndef MONITOR_VOLUME_H
#define MONITOR_VOLUME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vb_error;
struct volume;

#define VOLUME_MAX_FIDS       4096u
#define VOLUME_CORE_MAX_BYTES (4ull << 30) /* of all core files of a cell */
#define VOLUME_CORE_MAX_FILES 16u

/* The folder must exist. Follows symbolic links in host_dir itself (the user named it). Not thread-safe.
 * NULL: *err says why. */
struct volume *volume_open(const char *host_dir, bool read_only, struct vb_error *err);
/* The folder for core files (VB_9P_CORE): new files "core.*" can be created and written, nothing else. */
struct volume *volume_open_core(const char *host_dir, struct vb_error *err);
/* Closes every descriptor. NULL is nothing. */
void volume_close(struct volume *v);

/* Serves one T-message of len bytes; the R-message goes to reply. Returns its length; 0: send nothing (a Tclunk that
 * wants no reply, or less than a 9P header). size must be at least P9_MSIZE (base/p9.h). reply must not overlap t.
 * May block on the host's file system. */
size_t volume_request(struct volume *v, const void *t, size_t len, void *reply, size_t size);

#endif
