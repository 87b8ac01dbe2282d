/* The folder of a site: names and what they stand for. All its changes are single calls of the host that either happen or
 * don't, so that monitors need no locks and may be killed at any moment.
 *
 * Files in the folder are written by monitors of people who may write there; what they contain is decoded fully all the same.
 */
#include "monitor/site.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/error.h"
#include "host/file.h"

#define NAMES_MAX         4096u   /* that one cell may leave */
#define LISTED_MAX        200000u /* entries looked at */
#define RENAME_NOREPLACE_ 1u
#define RENAME_EXCHANGE_  2u

static int rename2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
	return syscall(SYS_renameat2, from_fd, from, to_fd, to, flags) ? -errno : 0;
}

/* --- opening --- */

static int open_folder(int parent, const char *name, mode_t mode, int *ret)
{
	if (mkdirat(parent, name, 0700) < 0 && errno != EEXIST)
		return -errno;
	if (mode != 0700)
		fchmodat(parent, name, mode, 0); /* fails where somebody else made it */
	*ret = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *ret < 0 ? -errno : 0;
}

int site_folder_open(struct site_folder *f, const char *dir, struct vb_error *err)
{
	struct stat st;
	int fd;
	*f = (struct site_folder){.names = -1, .sockets = -1};
	int r = open_folder(AT_FDCWD, dir, 0700, &fd);
	if (r == 0) {
		f->mode = fstat(fd, &st) == 0 ? st.st_mode & 0777 : 0700;
		r = open_folder(fd, "names", f->mode, &f->names);
		if (r == 0)
			r = open_folder(fd, "sockets", f->mode, &f->sockets);
		fd_close(&fd);
	}
	if (r < 0) {
		errno = -r;
		r = vb_error_errno(err, "--site %s", dir);
		site_folder_close(f);
		return r;
	}
	/* Addresses of sockets are short, paths of folders are not. */
	snprintf(f->path, sizeof(f->path), "/proc/self/fd/%d", f->sockets);
	if (access(f->path, X_OK) == 0)
		return 0;
	char *real = realpath(dir, NULL);
	int n = real ? snprintf(f->path, sizeof(f->path), "%s/sockets", real) : -1;
	free(real);
	if (n > 0 && n < (int)sizeof(f->path))
		return 0;
	site_folder_close(f);
	return vb_error_set(err, -ENAMETOOLONG, "--site %s: without /proc the folder's path must be shorter than %zu characters", dir,
		sizeof(f->path) - 9);
}

void site_folder_close(struct site_folder *f)
{
	fd_close(&f->names);
	fd_close(&f->sockets);
}

/* --- encoding --- */

void site_file_name(uint64_t file, char name[SITE_FILE_BYTES])
{
	snprintf(name, SITE_FILE_BYTES, "%016llx", (unsigned long long)file);
}

/* A path as the name of a file: "/tmp/a" is "=tmp=a". */
static int encode_path(const char *path, char out[256])
{
	size_t at = 0;
	for (; *path; path++) {
		bool plain = *path != '=' && *path != '%';
		if (at + 3 > 255)
			return -ENAMETOOLONG;
		if (plain)
			out[at++] = *path == '/' ? '=' : *path;
		else
			at += (size_t)snprintf(out + at, 4, "%%%02X", (unsigned char)*path);
	}
	out[at] = 0;
	return 0;
}

static int hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool decode_hex(const char *text, uint8_t *out, unsigned max, unsigned *ret_len)
{
	unsigned len = 0;
	for (; *text; text += 2) {
		int high = hex(text[0]), low = high < 0 ? -1 : hex(text[1]);
		if (low < 0 || len == max)
			return false;
		out[len++] = (uint8_t)(high << 4 | low);
	}
	*ret_len = len;
	return true;
}

static void encode_name(const struct site_name *n, char out[512])
{
	int at = snprintf(out, 512, "1 %016llx %u %o %u %u %u %u ", (unsigned long long)n->file, n->type, n->mode & 07777, n->uid, n->gid,
		n->creator_uid, n->creator_gid);
	for (unsigned i = 0; i < n->sockaddr_len; i++)
		at += snprintf(out + at, 512 - (size_t)at, "%02x", n->sockaddr[i]);
}

static int read_name(int dirfd, const char *file, struct site_name *ret)
{
	char text[513], address[256];
	unsigned long long id;
	struct stat st;
	ssize_t len = readlinkat(dirfd, file, text, sizeof(text) - 1);
	if (len < 0)
		return errno == EINVAL ? -EIO : -errno;
	text[len] = 0;
	*ret = (struct site_name){0};
	if (sscanf(text, "1 %16llx %u %o %u %u %u %u %255s", &id, &ret->type, &ret->mode, &ret->uid, &ret->gid, &ret->creator_uid,
		    &ret->creator_gid, address) != 8 ||
		!decode_hex(address, ret->sockaddr, VB_SITE_NAME_MAX, &ret->sockaddr_len) || ret->mode > 07777 || !id)
		return -EIO;
	ret->file = id;
	ret->ino = id >> 1;
	ret->time_ns = fstatat(dirfd, file, &st, AT_SYMLINK_NOFOLLOW) == 0 ? st.st_mtim.tv_sec * 1000000000ll + st.st_mtim.tv_nsec : 0;
	return 0;
}

int site_name_get(const struct site_folder *f, const char *path, struct site_name *ret)
{
	char name[256];
	int r = encode_path(path, name);
	return r < 0 ? r : read_name(f->names, name, ret);
}

/* --- permission --- */

static bool in_group(const struct vb_site_who *who, uint32_t gid)
{
	for (uint32_t i = 0; i < who->group_count; i++)
		if (who->groups[i] == gid)
			return true;
	return who->gid == gid;
}

int site_may_write(const struct site_name *name, const struct vb_site_who *who)
{
	unsigned shift = who->uid == name->uid ? 6 : in_group(who, name->gid) ? 3 : 0;
	return who->override || name->mode >> shift & 2 ? 0 : -EACCES;
}

/* As in a folder with the sticky bit: only its owner takes a name away. The cell's kernel has checked the rest. */
static int may_change(const struct site_name *name, const struct vb_site_who *who)
{
	return who->override || who->uid == name->uid ? 0 : -EPERM;
}

/* --- changes --- */

int site_name_add(struct site_folder *f, const char *path, const struct site_name *n)
{
	char name[256], text[512];
	int r = encode_path(path, name);
	if (r < 0)
		return r;
	encode_name(n, text);
	if (f->made >= NAMES_MAX)
		return -ENOSPC;
	if (symlinkat(text, f->names, name) < 0)
		return -errno;
	f->made++;
	return 0;
}

/* A name for a moment, in sockets/. */
static int temporary_name(char name[32])
{
	uint64_t random;
	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return -EIO;
	snprintf(name, 32, "new.%016llx", (unsigned long long)random);
	return 0;
}

static void remove_socket(struct site_folder *f, uint64_t file)
{
	char name[SITE_FILE_BYTES];
	site_file_name(file, name);
	unlinkat(f->sockets, name, 0);
}

int site_name_remove(struct site_folder *f, const char *path, const struct vb_site_who *who)
{
	char name[256], taken[32];
	struct site_name n;
	int r = encode_path(path, name);
	if (r == 0)
		r = read_name(f->names, name, &n);
	if (r == 0)
		r = may_change(&n, who);
	if (r == 0)
		r = temporary_name(taken);
	if (r < 0)
		return r;
	/* Whatever has the name now is taken away, and with it just its own socket. */
	r = rename2(f->names, name, f->sockets, taken, RENAME_NOREPLACE_);
	if (r < 0)
		return r;
	r = read_name(f->sockets, taken, &n);
	if (r == 0 && may_change(&n, who) < 0) { /* of somebody else since a moment */
		rename2(f->sockets, taken, f->names, name, RENAME_NOREPLACE_);
		return -EPERM;
	}
	if (r == 0)
		remove_socket(f, n.file);
	unlinkat(f->sockets, taken, 0);
	f->made -= f->made > 0;
	return 0;
}

int site_name_rename(struct site_folder *f, const char *from, const char *to, const struct vb_site_who *who, int keep)
{
	char old[256], new[256];
	struct site_name source, target;
	int r = encode_path(from, old);
	if (r == 0)
		r = encode_path(to, new);
	if (r == 0)
		r = read_name(f->names, old, &source);
	if (r == 0)
		r = may_change(&source, who);
	if (r < 0)
		return r;
	bool replaces = read_name(f->names, new, &target) == 0;
	if (replaces && !keep && (r = may_change(&target, who)) < 0)
		return r;
	r = rename2(f->names, old, f->names, new, replaces && !keep ? 0 : RENAME_NOREPLACE_);
	if (r == 0 && replaces) {
		remove_socket(f, target.file);
		f->made -= f->made > 0;
	}
	return r == -EEXIST && !keep ? -EAGAIN : r; /* made since a moment */
}

int site_name_change(struct site_folder *f, const char *path, const struct vb_site_who *who, const struct vb_site_request *change)
{
	char name[256], text[512], new[32];
	struct site_name n, other;
	int r = encode_path(path, name);
	if (r == 0)
		r = read_name(f->names, name, &n);
	if (r == 0)
		r = may_change(&n, who);
	if (r == 0 && (change->value & 2 && change->uid != n.uid) && !who->override)
		r = -EPERM;
	if (r == 0 && (change->value & 4 && change->gid != n.gid) && !who->override && !in_group(who, change->gid))
		r = -EPERM;
	if (r == 0)
		r = temporary_name(new);
	if (r < 0)
		return r;
	uint64_t file = n.file;
	n.mode = change->value & 1 ? change->mode & 07777 : n.mode;
	n.uid = change->value & 2 ? change->uid : n.uid;
	n.gid = change->value & 4 ? change->gid : n.gid;
	encode_name(&n, text);
	if (symlinkat(text, f->sockets, new) < 0)
		return -errno;
	r = rename2(f->sockets, new, f->names, name, RENAME_EXCHANGE_);
	if (r == 0 && read_name(f->sockets, new, &other) == 0 && other.file != file) { /* it was bound anew meanwhile */
		rename2(f->sockets, new, f->names, name, RENAME_EXCHANGE_);
		r = -ENOENT;
	}
	unlinkat(f->sockets, new, 0);
	return r;
}

/* --- listing --- */

/* Decodes the last component of an encoded name that lies directly below the folder. Its length, 0: it doesn't. */
static unsigned entry_below(const char *name, const char *folder, size_t folder_len, uint8_t out[256])
{
	unsigned len = 0;
	if (strncmp(name, folder, folder_len) || name[folder_len] != '=')
		return 0;
	for (name += folder_len + 1; *name; name++) {
		if (*name == '=')
			return 0;
		int high = *name == '%' ? hex(name[1]) : -1, low = high < 0 ? -1 : hex(name[2]);
		if (low >= 0)
			name += 2;
		out[len++] = low < 0 ? (uint8_t)*name : (uint8_t)(high << 4 | low);
	}
	return len;
}

size_t site_name_list(const struct site_folder *f, const char *path, uint32_t skip, uint8_t *out, size_t size, uint32_t *ret_more)
{
	char folder[256];
	uint8_t entry[256];
	size_t at = 0;
	*ret_more = 0;
	int fd = encode_path(path, folder) < 0 ? -1 : openat(f->names, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		fd_close(&fd);
		return 0;
	}
	struct dirent *d;
	for (unsigned seen = 0; seen < LISTED_MAX && (d = readdir(dir)); seen++) {
		unsigned len = entry_below(d->d_name, folder, strlen(folder), entry);
		if (!len || (skip && skip--))
			continue;
		if (at + 1 + len > size) {
			*ret_more = 1;
			break;
		}
		out[at++] = (uint8_t)len;
		memcpy(out + at, entry, len);
		at += len;
	}
	closedir(dir);
	return at;
}
