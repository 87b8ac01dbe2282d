/* Descriptors and small files of the host. 0 or -errno. */
#ifndef HOST_FILE_H
#define HOST_FILE_H

#include <stdbool.h>
#include <stddef.h>

struct vb_error;

/* Closes *fd if it is open and forgets it. Keeps errno. */
void fd_close(int *fd);
/* Holds the numbers of standard descriptors that are closed, or what is opened next would be mistaken for them. Reads and
 * writes fail as if they were still closed, and so they count: fd_is_closed(). */
int fd_hold_standard(void);
bool fd_is_closed(int fd);
/* All of it, through partial writes and EINTR. */
int fd_write_all(int fd, const void *data, size_t len);
/* A whole file of at most max_bytes, NUL-terminated, for the caller to free. -EFBIG if there is more. */
int file_read(int dirfd, const char *path, size_t max_bytes, char **ret_data, size_t *ret_len);
/* Replaces the file as a whole: readers see the old or the new one. */
int file_replace(int dirfd, const char *path, const void *data, size_t len);
/* Removes a directory with the plain files (no folders) in it. Nothing to remove is no error. */
int dir_remove(int dirfd, const char *path);

#endif
