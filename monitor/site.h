/* Unix sockets between the cells of a site: what the monitor does for its cell (include/vauban/site.h has the messages).
 *
 * The site is a folder of the host: names/ has a symbolic link for each name, whose target tells which socket that is and
 * what its owner and mode are in the cells; sockets/ has the host's sockets, one for each bound socket of a cell. Who may
 * write in the folder takes part in the site and is believed, within bounds: its monitors stand for their cells.
 */
#ifndef MONITOR_SITE_H
#define MONITOR_SITE_H

#include <stddef.h>
#include <stdint.h>

#include <vauban/boot.h>
#include <vauban/site.h>

struct monitor;
struct vb_error;

/* --- site.c: for the monitor --- */
int site_open(struct monitor *m, struct vb_error *err); /* nothing if the cell has no site */
void site_start(struct monitor *m);
void site_request(struct monitor *m, uint32_t tag, const void *payload, size_t len); /* VB_MSG_SITE_REQUEST, hostile */
void site_frame(struct monitor *m, uint32_t tag, const void *payload, size_t len);   /* VB_MSG_SITE_FRAME, hostile */
void site_resume(struct monitor *m);                                                 /* the tender takes messages again */
void site_close(struct monitor *m);

/* --- site_names.c: the folder --- */
#define SITE_FILE_BYTES 17u /* name of a socket's file: 16 digits */

/* What is known of a name. */
struct site_name {
	uint64_t file; /* which socket */
	uint32_t type; /* SOCK_* in the cells */
	uint32_t mode, uid, gid;
	uint32_t creator_uid, creator_gid; /* what its connections show as credentials */
	unsigned sockaddr_len;             /* as it was bound */
	uint8_t sockaddr[VB_SITE_NAME_MAX];
	uint64_t ino;
	int64_t time_ns;
};

struct site_folder {
	int names, sockets; /* descriptors of the folders */
	char path[64];      /* of sockets/, short enough for any socket's address */
	uint32_t mode;      /* of new files: as the site's folder itself */
	unsigned made;      /* names that this cell has made and not removed */
};
int site_folder_open(struct site_folder *f, const char *dir, struct vb_error *err);
void site_folder_close(struct site_folder *f);
void site_file_name(uint64_t file, char name[SITE_FILE_BYTES]);
/* All take paths that were checked: absolute, no longer than VB_SITE_PATH_MAX. 0 or -errno. */
int site_name_get(const struct site_folder *f, const char *path, struct site_name *ret);
int site_name_add(struct site_folder *f, const char *path, const struct site_name *name);
int site_name_remove(struct site_folder *f, const char *path, const struct vb_site_who *who);
int site_name_rename(struct site_folder *f, const char *from, const char *to, const struct vb_site_who *who, int keep);
int site_name_change(struct site_folder *f, const char *path, const struct vb_site_who *who, const struct vb_site_request *change);
/* Names directly below a folder, a byte of length before each; leaves out the first `skip`. *ret_more: there are others. */
size_t site_name_list(const struct site_folder *f, const char *path, uint32_t skip, uint8_t *out, size_t size, uint32_t *ret_more);
int site_may_write(const struct site_name *name, const struct vb_site_who *who);

#endif
