/* Attack: reach host files beside a volume's folder by racing. One thread is an accomplice on the host (or a second cell
 * with the same folder) that swaps directories, files and symbolic links as fast as it can; the other is a hostile cell
 * kernel that walks, opens, writes, creates, links, renames and removes through the names that are being swapped. The
 * secret beside the folder must never be read or changed, and nothing may appear or vanish beside the folder. */
#include "base/p9.h"
#include "host/error.h"
#include "monitor/volume.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <linux/fs.h>

#define SECRET  "the secret beside the folder"
#define SECONDS 2

static char outside[] = "/tmp/vauban-race-XXXXXX";
static volatile bool stop;
static unsigned long swaps;

/* The accomplice: what the names mean changes all the time. Works in the outside folder. */
static void *swapper(void *arg)
{
	while (!stop) {
		renameat2(AT_FDCWD, "folder/dir", AT_FDCWD, "folder/link-up", RENAME_EXCHANGE); /* a directory, or a link to .. */
		renameat2(AT_FDCWD, "folder/file", AT_FDCWD, "folder/link-secret", RENAME_EXCHANGE);
		renameat2(AT_FDCWD, "folder/deep/a", AT_FDCWD, "folder/deep/link-root", RENAME_EXCHANGE); /* a directory, or a link to / */
		swaps++;
	}
	return NULL;
}

static struct volume *volume;
static struct p9_message r;

static int ask(struct p9_message m)
{
	static uint8_t request[P9_MSIZE], reply[P9_MSIZE];
	size_t len = p9_encode(&m, request, sizeof(request));
	len = volume_request(volume, request, len, reply, sizeof(reply));
	return len && p9_decode(reply, len, &r) && r.type == P9_R(m.type) ? 0 : r.type == P9_RLERROR ? (int)r.error : -1;
}
#define ASK(t, ...) ask((struct p9_message){.type = (t), __VA_ARGS__})

static unsigned long reached, leaks;

static void try_to_read_and_write(uint32_t fid)
{
	if (ASK(P9_TLOPEN, .fid = fid, .flags = O_RDWR) == 0) {
		reached++;
		if (ASK(P9_TREAD, .fid = fid, .count = 100) == 0 && r.count >= strlen(SECRET) && !memcmp(r.data, SECRET, strlen(SECRET)))
			leaks++;
		ASK(P9_TWRITE, .fid = fid, .data = "broken", .count = 6);
		ASK(P9_TSETATTR, .fid = fid, .flags = P9_SET_MODE, .attr.mode = 0600);
	}
	ASK(P9_TCLUNK, .fid = fid);
}

static void attack_once(void)
{
	/* Several names in one walk, and step by step with time in between. */
	if (ASK(P9_TWALK, .fid = 0, .fid2 = 1, .walk_count = 2, .walk_name = {p9_string("dir"), p9_string("secret")}) == 0 &&
		r.walk_count == 2)
		try_to_read_and_write(1);
	if (ASK(P9_TWALK, .fid = 0, .fid2 = 1, .walk_count = 1, .walk_name = {p9_string("file")}) == 0)
		try_to_read_and_write(1);
	if (ASK(P9_TWALK, .fid = 0, .fid2 = 1, .walk_count = 3, .walk_name = {p9_string("deep"), p9_string("a"), p9_string("tmp")}) == 0 &&
		r.walk_count == 3)
		try_to_read_and_write(1);
	if (ASK(P9_TWALK, .fid = 0, .fid2 = 2, .walk_count = 1, .walk_name = {p9_string("dir")}) == 0) {
		if (ASK(P9_TWALK, .fid = 2, .fid2 = 1, .walk_count = 1, .walk_name = {p9_string("secret")}) == 0)
			try_to_read_and_write(1);
		ASK(P9_TMKDIR, .fid = 2, .name = p9_string("made"), .mode = 0777);
		ASK(P9_TSYMLINK, .fid = 2, .name = p9_string("made-link"), .text = p9_string("/"));
		ASK(P9_TRENAMEAT, .fid = 0, .name = p9_string("file"), .fid2 = 2, .name2 = p9_string("made-moved"));
		ASK(P9_TRENAMEAT, .fid = 2, .name = p9_string("made-moved"), .fid2 = 0, .name2 = p9_string("file"));
		ASK(P9_TUNLINKAT, .fid = 2, .name = p9_string("made-link"));
		ASK(P9_TUNLINKAT, .fid = 2, .name = p9_string("made"), .flags = P9_REMOVEDIR);
		ASK(P9_TCLUNK, .fid = 2);
	}
	/* Attributes and truncation by name that may be a link by now. */
	if (ASK(P9_TWALK, .fid = 0, .fid2 = 1, .walk_count = 1, .walk_name = {p9_string("file")}) == 0) {
		ASK(P9_TSETATTR, .fid = 1, .flags = P9_SET_SIZE, .attr.size = 3);
		ASK(P9_TSETATTR, .fid = 1, .flags = P9_SET_MODE, .attr.mode = 0666);
		ASK(P9_TLINK, .fid = 0, .fid2 = 1, .name = p9_string("hard"));
		ASK(P9_TUNLINKAT, .fid = 0, .name = p9_string("hard"));
		ASK(P9_TCLUNK, .fid = 1);
	}
	ASK(P9_TWALK, .fid = 0, .fid2 = 3);
	ASK(P9_TLCREATE, .fid = 3, .name = p9_string("file"), .flags = O_RDWR | O_TRUNC, .mode = 0666);
	ASK(P9_TCLUNK, .fid = 3);
}

static void put(const char *name, const char *text, mode_t mode)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_EXCL, mode);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		exit(2);
	close(fd);
}

static bool secret_is_whole(void)
{
	char text[100] = "";
	struct stat st;
	int fd = open("secret", O_RDONLY);
	ssize_t n = read(fd, text, sizeof(text));
	fstat(fd, &st);
	close(fd);
	return n == (ssize_t)strlen(SECRET) && !memcmp(text, SECRET, (size_t)n) && (st.st_mode & 07777) == 0640 && st.st_nlink == 1;
}

static int entries_outside(void)
{
	int n = 0;
	DIR *d = opendir(".");
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

int main(void)
{
	struct vb_error err;
	pthread_t thread;
	time_t end = time(NULL) + SECONDS + 1;
	unsigned long rounds = 0;
	umask(0);
	if (!mkdtemp(outside) || chdir(outside))
		return 2;
	put("secret", SECRET, 0640);
	if (mkdir("folder", 0777) || mkdir("folder/dir", 0777) || mkdir("folder/deep", 0777) || mkdir("folder/deep/a", 0777) ||
		symlink("..", "folder/link-up") || symlink("../secret", "folder/link-secret") || symlink("/", "folder/deep/link-root"))
		return 2;
	put("folder/dir/secret", "a file of the cell's own, as long as it likes", 0666);
	put("folder/file", "another one", 0666);
	volume = volume_open("folder", false, &err);
	if (!volume || ASK(P9_TATTACH, .fid = 0, .fid2 = P9_NOFID) || pthread_create(&thread, NULL, swapper, NULL))
		return 2;
	/* On a loaded machine the two threads may take turns for a while that never meet. */
	for (; time(NULL) < end || ((!reached || swaps <= 100) && time(NULL) < end + 100); rounds++)
		attack_once();
	stop = true;
	pthread_join(thread, NULL);
	volume_close(volume);
	printf("# %lu rounds against %lu swaps, %lu files opened inside\n", rounds, swaps, reached);
	bool whole = secret_is_whole();
	int entries = entries_outside();
	printf("%s 1 - the secret was never read\n", leaks ? "not ok" : "ok");
	printf("%s 2 - the secret was not changed\n", whole ? "ok" : "not ok");
	printf("%s 3 - nothing appeared or vanished beside the folder\n", entries == 4 ? "ok" : "not ok");
	printf("%s 4 - the attack did reach the names\n1..4\n", reached && swaps > 100 ? "ok" : "not ok");
	static const char *const left[] = {"folder/dir/secret", "folder/link-up/secret", "folder/dir/made-link", "folder/link-up/made-link",
		"folder/dir/made-moved", "folder/link-up/made-moved", "folder/file", "folder/link-secret", "folder/hard", "secret"};
	for (unsigned i = 0; i < VB_ARRAY_LEN(left); i++)
		unlink(left[i]);
	static const char *const dirs[] = {"dir/made", "link-up/made", "dir", "link-up", "deep/a", "deep/link-root", "deep", "."};
	for (unsigned i = 0; i < VB_ARRAY_LEN(dirs); i++) {
		char path[64];
		snprintf(path, sizeof(path), "folder/%s", dirs[i]);
		if (rmdir(path))
			unlink(path);
	}
	rmdir("folder");
	rmdir(outside);
	return leaks || !whole || entries != 4 || !reached;
}
