/* Image writing. Owns a temporary directory beside the output, with the staged files and the unfinished image.
 *
 * A child does the work while the parent waits, so that whatever ends the child - an error, ^C, a crash - the parent removes the
 * directory. Files are copied, not linked: a link would change the status time of the host's files, by which the cache of built
 * images knows that they are unchanged.
 */
#include "image/write.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <libgen.h>
#include <openssl/evp.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/types.h"
#include "image/sites.h"
#include "image/walk.h"

#define UUID "76626269-6d67-4000-8000-000000000001" /* the same for all images: they are told apart by their hash */

struct work {
	struct image_source *source;
	char dir[PATH_MAX];   /* temporary */
	char stage[PATH_MAX]; /* dir/root */
	char image[PATH_MAX]; /* dir/image */
	char log[PATH_MAX];   /* dir/log: what mkfs.erofs says */
};

/* --- staging --- */

static int copy_bytes(int from, int to, const char *path, struct vb_error *err)
{
	char buf[65536];
	ssize_t n;

	while ((n = copy_file_range(from, NULL, to, NULL, 1u << 30, 0)) > 0)
		;
	if (n == 0)
		return 0;
	/* not between these file systems: by hand, from where it stopped */
	while ((n = read(from, buf, sizeof(buf))) > 0)
		for (ssize_t done = 0, w; done < n; done += w)
			if ((w = write(to, buf + done, n - done)) < 0)
				return vb_error_errno(err, "can't copy %s", path);
	return n < 0 ? vb_error_errno(err, "can't copy %s", path) : 0;
}

static int stage_file(const struct tree_node *n, const char *at, struct vb_error *err)
{
	int from = open(n->source, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), to, r;
	struct stat st;

	if (from < 0 && !n->required && (errno == EACCES || errno == EPERM)) {
		fprintf(stderr, "vauban image: warning: %s is left out: %s (build as a user who may read it)\n", n->source,
			strerror(errno));
		return 0;
	}
	if (from < 0 || fstat(from, &st)) {
		r = vb_error_errno(err, "can't read %s", n->source);
		if (from >= 0)
			close(from);
		return r;
	}
	to = open(at, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (to < 0) {
		r = vb_error_errno(err, "can't create %s", at);
		close(from);
		return r;
	}
	r = copy_bytes(from, to, n->source, err);
	if (!r && (fchmod(to, n->mode & 07777) || futimens(to, (struct timespec[]){st.st_mtim, st.st_mtim})))
		r = vb_error_errno(err, "can't set the mode of %s", at);
	close(from);
	close(to);
	return r;
}

static int stage_link(const struct tree_node *n, const char *at, struct vb_error *err)
{
	struct stat st = {0};

	if (n->source)
		lstat(n->source, &st);
	if (symlink(n->target, at) || utimensat(AT_FDCWD, at, (struct timespec[]){st.st_mtim, st.st_mtim}, AT_SYMLINK_NOFOLLOW))
		return vb_error_errno(err, "can't create %s", at);
	return 0;
}

/* Directories keep no times: theirs change with files that the image hasn't got. */
static int finish_directory(const struct tree_node *n, const char *at, struct vb_error *err)
{
	struct timespec zero[2] = {{0}};

	/* ours while staging; a directory that its owner can't enter makes no sense in an image either */
	if (chmod(at, (n->mode & 07777) | 0700) || utimensat(AT_FDCWD, at, zero, 0))
		return vb_error_errno(err, "can't set the mode of %s", at);
	return 0;
}

static int stage(struct work *w, struct vb_error *err)
{
	struct tree *t = w->source->tree;
	char at[PATH_MAX];
	int r = 0;

	tree_sort(t);
	for (size_t i = 0; i < t->count && !r; i++) {
		struct tree_node *n = &t->at[i];

		if (snprintf(at, sizeof(at), "%s%s", w->stage, n->path) >= (int)sizeof(at))
			r = vb_error_set(err, -ENAMETOOLONG, "%s: %s", n->path, strerror(ENAMETOOLONG));
		else if (n->target)
			r = stage_link(n, at, err);
		else if (S_ISREG(n->mode))
			r = stage_file(n, at, err);
		else if (mkdir(at, 0700))
			r = vb_error_errno(err, "can't create %s", at);
	}
	for (size_t i = t->count; i-- && !r;)
		if (S_ISDIR(t->at[i].mode) && snprintf(at, sizeof(at), "%s%s", w->stage, t->at[i].path) < (int)sizeof(at))
			r = finish_directory(&t->at[i], at, err);
	return r;
}

/* --- mkfs.erofs --- */

static const char *find_mkfs(void)
{
	static const char *const places[] = {"/usr/bin/mkfs.erofs", "/usr/sbin/mkfs.erofs", "/sbin/mkfs.erofs", "/usr/local/bin/mkfs.erofs",
		"/usr/local/sbin/mkfs.erofs"};

	for (size_t i = 0; i < VB_ARRAY_LEN(places); i++)
		if (!access(places[i], X_OK))
			return places[i];
	return NULL;
}

/* The last line that says something. */
static void last_words(const char *path, char *ret, size_t size)
{
	FILE *f = fopen(path, "re");
	char line[256];

	snprintf(ret, size, "no message");
	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		if (strstr(line, "No space left") || (strchr(line, 'E') == line + 1) || strstr(line, "error") || strstr(line, "ailed"))
			snprintf(ret, size, "%s", line);
	}
	if (f)
		fclose(f);
}

static int make_file_system(struct work *w, struct vb_error *err)
{
	bool times = !w->source->root || w->source->keep_times, owners = w->source->root && geteuid() == 0;
	const char *from = w->source->root ? w->source->root : w->stage, *mkfs = find_mkfs();
	char *argv[16] = {"mkfs.erofs", "-U", UUID, "-x-1", "-E", "noinline_data,nosbcrc", "--quiet"};
	/* the epoch is the latest time that a file may have; --preserve-mtime would leave the time of building in the image */
	char *environment[] = {"LC_ALL=C", times ? "SOURCE_DATE_EPOCH=4102444800" : NULL, NULL}, words[256];
	posix_spawn_file_actions_t actions;
	int argc = 7, status = 0, r;
	pid_t pid;

	if (!mkfs)
		return vb_error_set(err, -ENOENT, "mkfs.erofs is missing: run make deps or apt install erofs-utils");
	if (!times)
		argv[argc++] = "-T0";
	if (!owners)
		argv[argc++] = "--all-root";
	argv[argc++] = w->image;
	argv[argc++] = (char *)from;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&actions, 1, w->log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	posix_spawn_file_actions_adddup2(&actions, 1, 2);
	r = posix_spawn(&pid, mkfs, &actions, NULL, argv, environment);
	posix_spawn_file_actions_destroy(&actions);
	if (r)
		return vb_error_set(err, -r, "can't run %s: %s", mkfs, strerror(r));
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!status)
		return 0;
	last_words(w->log, words, sizeof(words));
	return vb_error_set(err, -EIO, "mkfs.erofs failed: %s", words);
}

/* --- after the file system --- */

struct inodes {
	uint64_t *nid;
	size_t count;
};

static int collect_inode(void *arg, const struct image_map *m, const struct walk_entry *e, struct vb_error *err)
{
	struct inodes *all = arg;

	if (!S_ISREG(e->inode->mode) || e->inode->size < 64)
		return 0;
	if (all->count % 1024 == 0) {
		uint64_t *grown = realloc(all->nid, (all->count + 1024) * sizeof(*grown));

		if (!grown)
			return vb_error_set(err, -ENOMEM, "out of memory");
		all->nid = grown;
	}
	all->nid[all->count++] = e->inode->nid;
	return 0;
}

static int compare_nids(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* The call sites of every file of the finished file system. */
static int find_sites(const struct image_map *m, struct sites *ret, struct vb_error *err)
{
	struct inodes all = {0};
	int r = walk_image(m, "/", true, collect_inode, &all, err);

	if (all.count)
		qsort(all.nid, all.count, sizeof(*all.nid), compare_nids);
	for (size_t i = 0; i < all.count && !r; i++) {
		struct erofs_inode inode;
		uint64_t run = 0;
		const uint8_t *bytes;

		if ((i && all.nid[i] == all.nid[i - 1]) || erofs_inode(&m->fs, all.nid[i], &inode))
			continue; /* a hard link */
		bytes = erofs_span(&m->fs, &inode, 0, &run);
		if (bytes && run == inode.size && sites_find(bytes, run, inode.nid, ret))
			r = vb_error_set(err, -ENOMEM, "out of memory");
	}
	free(all.nid);
	return r;
}

static int write_at(int fd, const void *buf, size_t len, uint64_t offset, struct vb_error *err)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = pwrite(fd, (const char *)buf + done, len - done, offset + done);

		if (n < 0 && errno != EINTR)
			return vb_error_errno(err, "can't write the image");
		done += n > 0 ? n : 0;
	}
	return 0;
}

static int append_trailer(int fd, struct vb_image_trailer *t, uint64_t end, struct vb_error *err)
{
	uint8_t page[VB_IMAGE_TRAILER_BYTES] = {0};
	void *all;
	int r = 0;

	if (ftruncate(fd, end + sizeof(page)))
		return vb_error_errno(err, "can't write the image");
	all = mmap(NULL, end, PROT_READ, MAP_SHARED, fd, 0);
	if (all == MAP_FAILED || EVP_Digest(all, end, t->sha256, NULL, EVP_sha256(), NULL) != 1)
		r = vb_error_set(err, -EIO, "can't compute the image's checksum");
	if (all != MAP_FAILED)
		munmap(all, end);
	memcpy(page, t, sizeof(*t));
	if (!r)
		r = write_at(fd, page, sizeof(page), end, err);
	if (!r && fsync(fd))
		r = vb_error_errno(err, "can't write the image");
	return r;
}

static int append_rest(int fd, uint64_t erofs_bytes, const struct image_manifest *manifest, const struct sites *sites, struct vb_error *err)
{
	struct vb_image_trailer t = {.magic = VB_IMAGE_MAGIC, .version = VB_IMAGE_VERSION, .erofs_bytes = erofs_bytes};
	char *text;
	int r = image_manifest_format(manifest, &text, err);

	if (r)
		return r;
	t.manifest_offset = erofs_bytes;
	t.manifest_bytes = strlen(text);
	t.sites_offset = vb_page_up(t.manifest_offset + t.manifest_bytes);
	t.sites_bytes = sites->count * sizeof(*sites->at);
	if (t.manifest_bytes > VB_IMAGE_MANIFEST_MAX_BYTES)
		r = vb_error_set(err, -E2BIG, "the manifest would be longer than %u bytes", VB_IMAGE_MANIFEST_MAX_BYTES);
	if (!r)
		r = write_at(fd, text, t.manifest_bytes, t.manifest_offset, err);
	if (!r)
		r = write_at(fd, sites->at, t.sites_bytes, t.sites_offset, err);
	free(text);
	return r ? r : append_trailer(fd, &t, vb_page_up(t.sites_offset + t.sites_bytes), err);
}

static int finish(struct work *w, struct vb_error *err)
{
	struct sites sites = {0};
	struct image_map map;
	struct stat st;
	int fd = open(w->image, O_RDWR | O_CLOEXEC), r;

	if (fd < 0 || fstat(fd, &st)) {
		r = vb_error_errno(err, "can't open the new image");
	} else if (st.st_size % VB_PAGE_SIZE) {
		r = vb_error_set(err, -EIO, "mkfs.erofs wrote no whole blocks");
	} else if (!(r = image_map(fd, st.st_size, &map, err))) {
		r = find_sites(&map, &sites, err);
		image_unmap(&map);
		if (!r)
			r = append_rest(fd, st.st_size, &w->source->manifest, &sites, err);
		if (!r && fchmod(fd, 0644))
			r = vb_error_errno(err, "can't set the mode of the image");
	}
	if (fd >= 0)
		close(fd);
	sites_release(&sites);
	return r;
}

/* --- parent and child --- */

struct report {
	int code;
	struct vb_error err;
};

static volatile sig_atomic_t caught;
static volatile pid_t worker;

static void on_signal(int sig)
{
	caught = sig;
	if (worker > 0)
		kill(worker, sig);
}

static void work(struct work *w, int report_fd)
{
	struct report report = {0};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	report.code = w->source->root ? 0 : stage(w, &report.err);
	if (!report.code)
		report.code = make_file_system(w, &report.err);
	if (!report.code)
		report.code = finish(w, &report.err);
	_exit(write(report_fd, &report, sizeof(report)) == sizeof(report) ? 0 : 1);
}

static int run_worker(struct work *w, struct vb_error *err)
{
	struct report report = {.code = -EIO};
	int fds[2], status = 0;
	ssize_t n;

	if (pipe2(fds, O_CLOEXEC))
		return vb_error_errno(err, "can't create a pipe");
	worker = fork();
	if (worker == 0) {
		for (size_t i = 0; i < 3; i++)
			signal((int[]){SIGINT, SIGTERM, SIGHUP}[i], SIG_DFL);
		close(fds[0]);
		work(w, fds[1]);
	}
	close(fds[1]);
	if (worker < 0) {
		close(fds[0]);
		return vb_error_errno(err, "can't start a process");
	}
	while ((n = read(fds[0], &report, sizeof(report))) < 0 && errno == EINTR)
		;
	close(fds[0]);
	while (waitpid(worker, &status, 0) < 0 && errno == EINTR)
		;
	worker = 0;
	if (n != sizeof(report))
		return vb_error_set(
			err, -EIO, "building was ended by a signal (%s)", WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "?");
	if (report.code)
		return vb_error_set(err, report.code, "%s", report.err.text);
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	remove(path); /* the rest goes on without it */
	return 0;
}

static int commit(struct work *w, const char *output, const char *parent, struct vb_error *err)
{
	int fd;

	if (rename(w->image, output))
		return vb_error_errno(err, "can't name the image %s", output);
	fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) { /* the new name itself */
		fsync(fd);
		close(fd);
	}
	return 0;
}

int image_write(struct image_source *source, const char *output, struct vb_error *err)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction ours = {.sa_handler = on_signal}, old[VB_ARRAY_LEN(signals)];
	struct work w = {.source = source};
	char copy[PATH_MAX], *parent;
	int r;

	snprintf(copy, sizeof(copy), "%s", output);
	parent = dirname(copy);
	if (snprintf(w.dir, sizeof(w.dir), "%s/.vauban-image-XXXXXX", parent) > (int)sizeof(w.dir) - 16)
		return vb_error_set(err, -ENAMETOOLONG, "%s: %s", output, strerror(ENAMETOOLONG));
	for (size_t i = 0; i < VB_ARRAY_LEN(signals); i++)
		sigaction(signals[i], &ours, &old[i]);
	if (!mkdtemp(w.dir)) {
		r = vb_error_errno(err, "can't create a directory in %s", parent);
	} else {
		stpcpy(stpcpy(w.stage, w.dir), "/root");
		stpcpy(stpcpy(w.image, w.dir), "/image");
		stpcpy(stpcpy(w.log, w.dir), "/log");
		r = run_worker(&w, err);
		if (!r && !caught)
			r = commit(&w, output, parent, err);
		nftw(w.dir, remove_one, 32, FTW_DEPTH | FTW_PHYS);
	}
	for (size_t i = 0; i < VB_ARRAY_LEN(signals); i++)
		sigaction(signals[i], &old[i], NULL);
	if (caught)
		raise(caught);
	return r;
}
