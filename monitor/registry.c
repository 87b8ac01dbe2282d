/* The cells of one user. Trusts the runtime folder, having checked that only the user can write to it. */
#include "monitor/registry.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/error.h"
#include "host/file.h"
#include "monitor/client.h"

#define SWEEP_MAX 16

static char runtime_dir[PATH_MAX - 32];

int registry_runtime_dir(const char **ret_path, struct vb_error *err)
{
	const char *xdg = getenv("XDG_RUNTIME_DIR");
	struct stat st;
	int n;
	/* Not another user's, as after su: he could put another folder in the place of ours. */
	if (xdg && *xdg == '/' && (stat(xdg, &st) < 0 || st.st_uid == geteuid()))
		n = snprintf(runtime_dir, sizeof(runtime_dir), "%s/vauban", xdg);
	else if (geteuid() == 0)
		n = snprintf(runtime_dir, sizeof(runtime_dir), "/run/vauban");
	else
		n = snprintf(runtime_dir, sizeof(runtime_dir), "/tmp/vauban-%u", geteuid());
	if (n >= (int)sizeof(runtime_dir))
		return vb_error_set(err, -ENAMETOOLONG, "$XDG_RUNTIME_DIR is too long");

	if (mkdir(runtime_dir, 0700) < 0 && errno != EEXIST)
		return vb_error_errno(err, "can't make %s (set XDG_RUNTIME_DIR to a folder of yours)", runtime_dir);
	if (lstat(runtime_dir, &st) < 0)
		return vb_error_errno(err, "%s", runtime_dir);
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || st.st_mode & 022)
		return vb_error_set(
			err, -EPERM, "%s is not a folder that only you can write to: remove it or set XDG_RUNTIME_DIR", runtime_dir);
	char empty[PATH_MAX];
	snprintf(empty, sizeof(empty), "%s/empty", runtime_dir);
	if (mkdir(empty, 0555) < 0 && errno != EEXIST)
		return vb_error_errno(err, "can't make %s", empty);
	*ret_path = runtime_dir;
	return 0;
}

int registry_open(int *ret_cells_fd, struct vb_error *err)
{
	const char *base;
	int r = registry_runtime_dir(&base, err);
	if (r < 0)
		return r;
	char path[PATH_MAX];
	snprintf(path, sizeof(path), "%s/cells", base);
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return vb_error_errno(err, "can't make %s", path);
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return vb_error_errno(err, "%s", path);
	*ret_cells_fd = fd;
	return 0;
}

bool registry_name_valid(const char *name)
{
	size_t len = strlen(name);
	if (len == 0 || len >= REGISTRY_NAME_BYTES || !isalnum((unsigned char)name[0]))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)name[i]) && !strchr("_.-", name[i]))
			return false;
	return true;
}

bool registry_is_free(int dir_fd)
{
	/* Shared, so that two who look at once don't take each other for the monitor. */
	if (flock(dir_fd, LOCK_SH | LOCK_NB) < 0)
		return false;
	flock(dir_fd, LOCK_UN);
	return true;
}

/* 0, -EEXIST: another live or kept cell has the name. Between mkdir() and flock() a sweep may take the folder for dead
 * and remove it: then there is no link left to it and we try again. */
static int claim_folder(int cells_fd, const char *name, int *ret_dir_fd)
{
	for (int tries = 0; tries < 10; tries++) {
		if (mkdirat(cells_fd, name, 0700) < 0)
			return -errno;
		int fd = openat(cells_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0 && errno == ENOENT)
			continue;
		struct stat st;
		if (fd >= 0 && flock(fd, LOCK_EX) == 0 && fstat(fd, &st) == 0 && st.st_nlink > 0) {
			*ret_dir_fd = fd;
			return 0;
		}
		fd_close(&fd);
	}
	return -EBUSY;
}

/* Whether the folder has no monitor and is still the one of its name; if so, nobody can claim or remove it until it is closed. */
static bool lock_dead(int dir_fd, int wait)
{
	struct stat st;
	return flock(dir_fd, LOCK_EX | wait) == 0 && fstat(dir_fd, &st) == 0 && st.st_nlink > 0;
}

void registry_forget(int cells_fd, const char *name, int dir_fd)
{
	if (lock_dead(dir_fd, 0)) /* others only look at it, shortly */
		registry_remove(cells_fd, name);
}

/* Removes the record of a foreground cell whose monitor is gone. */
static bool remove_leftover(int cells_fd, const char *name)
{
	bool ended, leftover = false;
	int dir = openat(cells_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir >= 0 && lock_dead(dir, LOCK_NB)) {
		json_t *record = cell_record(dir, &ended);
		leftover = !json_is_true(json_object_get(record, "detached"));
		json_decref(record);
		if (leftover)
			registry_remove(cells_fd, name);
	}
	fd_close(&dir);
	return leftover;
}

int registry_claim(int cells_fd, const char *wanted, const char *program, char *name, int *ret_dir_fd, struct vb_error *err)
{
	if (wanted) {
		int r = claim_folder(cells_fd, wanted, ret_dir_fd);
		if (r == -EEXIST && remove_leftover(cells_fd, wanted))
			r = claim_folder(cells_fd, wanted, ret_dir_fd);
		if (r == -EEXIST)
			return vb_error_set(
				err, r, "there is a cell named %s already: choose another name, or `vauban rm -f %s`", wanted, wanted);
		if (r < 0)
			return vb_error_set(err, r, "can't record the cell %s: %s", wanted, strerror(-r));
		snprintf(name, REGISTRY_NAME_BYTES, "%s", wanted);
		return 0;
	}
	const char *slash = strrchr(program, '/');
	char stem[32];
	snprintf(stem, sizeof(stem), "%s", slash ? slash + 1 : program);
	if (!registry_name_valid(stem))
		snprintf(stem, sizeof(stem), "cell");
	int r = -EEXIST;
	for (int tries = 0; r == -EEXIST && tries < 100; tries++) {
		unsigned number = 0;
		if (getrandom(&number, 3, 0) != 3)
			return vb_error_errno(err, "no random numbers");
		snprintf(name, REGISTRY_NAME_BYTES, "%s-%06x", stem, number);
		r = claim_folder(cells_fd, name, ret_dir_fd);
	}
	return r < 0 ? vb_error_set(err, r, "can't record the cell: %s", strerror(-r)) : 0;
}

void registry_remove(int cells_fd, const char *name)
{
	struct cell cell;
	if (cell_open(cells_fd, name, &cell, NULL) == 0) {
		const char *cgroup = json_string_value(json_object_get(cell.record, "cgroup"));
		if (cgroup)
			rmdir(cgroup);
		cell_close(&cell);
	}
	dir_remove(cells_fd, name);
}

void registry_sweep(int cells_fd)
{
	int fd = openat(cells_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	if (!d) {
		fd_close(&fd);
		return;
	}
	struct dirent *e;
	for (int seen = 0; seen < SWEEP_MAX && (e = readdir(d)); seen++)
		if (registry_name_valid(e->d_name))
			remove_leftover(cells_fd, e->d_name);
	closedir(d);
}
