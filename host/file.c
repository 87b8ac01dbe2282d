/* Descriptors and small files of the host. */
#include "host/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void fd_close(int *fd)
{
	int saved = errno;
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved;
}

int fd_hold_standard(void)
{
	for (int fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_PATH | O_CLOEXEC) != fd)
			return -errno;
	return 0;
}

bool fd_is_closed(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	return flags < 0 || flags & O_PATH;
}

int fd_write_all(int fd, const void *data, size_t len)
{
	const char *p = data;
	while (len) {
		ssize_t n = write(fd, p, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int file_read(int dirfd, const char *path, size_t max_bytes, char **ret_data, size_t *ret_len)
{
	int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	size_t len = 0, room = 4096;
	char *data = malloc(room + 1);
	int r = data ? 0 : -ENOMEM;
	while (r == 0) {
		ssize_t n = read(fd, data + len, room - len);
		if (n < 0 && errno != EINTR)
			r = -errno;
		if (n == 0)
			break;
		len += n > 0 ? (size_t)n : 0;
		if (len < room)
			continue;
		if (room > max_bytes) {
			r = -EFBIG;
			break;
		}
		char *more = realloc(data, (room *= 2) + 1);
		if (!more)
			r = -ENOMEM;
		else
			data = more;
	}
	close(fd);
	if (r == 0 && len > max_bytes)
		r = -EFBIG;
	if (r < 0) {
		free(data);
		return r;
	}
	data[len] = 0;
	*ret_data = data;
	if (ret_len)
		*ret_len = len;
	return 0;
}

int file_replace(int dirfd, const char *path, const void *data, size_t len)
{
	char temporary[PATH_MAX + 8];
	snprintf(temporary, sizeof(temporary), "%s.new", path);
	int fd = openat(dirfd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	int r = fd_write_all(fd, data, len);
	close(fd);
	if (r == 0 && renameat(dirfd, temporary, dirfd, path) < 0)
		r = -errno;
	if (r < 0)
		unlinkat(dirfd, temporary, 0);
	return r;
}

int dir_remove(int dirfd, const char *path)
{
	int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	DIR *d = fdopendir(fd);
	if (!d) {
		close(fd);
		return -ENOMEM;
	}
	for (struct dirent *e; (e = readdir(d));)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			unlinkat(fd, e->d_name, 0);
	closedir(d);
	return unlinkat(dirfd, path, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}
