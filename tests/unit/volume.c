/* The volume server, by crafted messages: what is confined, refused, renamed, stale; with /proc and openat2 and without. */
#include "monitor/volume_private.h"

#include "host/error.h"
#include "tests/unit/tap.h"

#include <sys/xattr.h>
#include <linux/limits.h>
#include <sys/resource.h>
#include <sys/sysmacros.h>

static char folder[] = "/tmp/vauban-volume-XXXXXX";
static struct volume *volume;
static uint8_t request[P9_MSIZE], reply[P9_MSIZE];
static struct p9_message r; /* the last reply */

/* Sends m; the error of the reply, or 0. */
static int ask(struct p9_message m)
{
	m.tag = 7;
	size_t len = p9_encode(&m, request, sizeof(request));
	uint8_t *exact = malloc(len); /* so that a read beyond it is seen */
	memcpy(exact, request, len);
	len = len ? volume_request(volume, exact, len, reply, sizeof(reply)) : 0;
	free(exact);
	if (!len || !p9_decode(reply, len, &r) || r.tag != 7)
		return -1;
	return r.type == P9_RLERROR ? (int)r.error : r.type == P9_R(m.type) ? 0 : -1;
}
#define ASK(t, ...)       ask((struct p9_message){.type = (t), __VA_ARGS__})
#define WALK(from, to, n) ASK(P9_TWALK, .fid = (from), .fid2 = (to), .walk_count = 1, .walk_name = {p9_string(n)})
#define CLUNK(f)          ASK(P9_TCLUNK, .fid = (f))
#define WRITE(f, at, s)   ASK(P9_TWRITE, .fid = (f), .offset = (at), .data = (s), .count = (uint32_t)strlen(s))

static const char *host(const char *name)
{
	static char path[2][PATH_MAX];
	static int n;
	snprintf(path[n ^= 1], PATH_MAX, "%s/%s", folder, name);
	return path[n];
}

static void put(const char *name, const char *text)
{
	FILE *f = fopen(host(name), "w");
	fputs(text, f);
	fclose(f);
}

static bool holds(const char *name, const char *text)
{
	char buf[256] = "";
	FILE *f = fopen(host(name), "r");
	size_t n = f ? fread(buf, 1, sizeof(buf) - 1, f) : 0;
	if (f)
		fclose(f);
	return f && n == strlen(text) && !memcmp(buf, text, n);
}

static void attach(bool read_only, bool proc, bool openat2)
{
	struct vb_error err;
	volume_close(volume);
	volume = volume_open(folder, read_only, &err);
	volume->proc &= proc;
	volume->openat2 &= openat2;
	ASK(P9_TVERSION, .msize = P9_MSIZE, .text = p9_string(P9_VERSION));
	ASK(P9_TATTACH, .fid = 0, .fid2 = P9_NOFID);
}

static void test_protocol(void)
{
	CHECK(ASK(P9_TVERSION, .msize = 1u << 30, .text = p9_string("9P2000.L")) == 0 && r.msize == P9_MSIZE && r.text.len == 8);
	CHECK(ASK(P9_TVERSION, .msize = 8192, .text = p9_string("9P2000.u")) == 0 && r.msize == 8192 && r.text.len == 7);
	CHECK(ASK(P9_TVERSION, .msize = 10, .text = p9_string("9P2000.L")) == EINVAL);
	CHECK(ASK(P9_TATTACH, .fid = 0, .fid2 = P9_NOFID) == 0 && r.qid.type == P9_QID_DIR);
	CHECK(ASK(P9_TATTACH, .fid = 0, .fid2 = P9_NOFID) == EINVAL);
	CHECK(ASK(P9_TATTACH, .fid = P9_NOFID, .fid2 = P9_NOFID) == EINVAL);
	CHECK(ASK(P9_TGETATTR, .fid = 99) == EBADF);
	CHECK(CLUNK(99) == EBADF);
	CHECK(ASK(P9_TFLUSH, .old_tag = 3) == 0);
	static const char *const bad[] = {"..", ".", "", "a/b", "/etc", "../x"};
	for (unsigned i = 0; i < VB_ARRAY_LEN(bad); i++)
		CHECK(WALK(0, 1, bad[i]) == EINVAL);
	char long_name[300];
	memset(long_name, 'a', 256);
	long_name[256] = 0;
	CHECK(WALK(0, 1, long_name) == EINVAL);
	long_name[255] = 0;
	CHECK(WALK(0, 1, long_name) == ENOENT);
	/* Cut short, too long, of no type, nothing. */
	size_t len = p9_encode(&(struct p9_message){.type = P9_TGETATTR, .tag = 1}, request, sizeof(request));
	CHECK(volume_request(volume, request, len - 1, reply, sizeof(reply)) == 11 && reply[4] == P9_RLERROR);
	CHECK(volume_request(volume, request, 6, reply, sizeof(reply)) == 0);
	request[4] = 1;
	CHECK(volume_request(volume, request, len, reply, sizeof(reply)) == 11 && reply[7] == EINVAL);
	len = p9_encode(&(struct p9_message){.type = P9_TCLUNK, .tag = P9_NOTAG, .fid = 0}, request, sizeof(request));
	CHECK(volume_request(volume, request, len, reply, sizeof(reply)) == 0);
	CHECK(ASK(P9_TGETATTR, .fid = 0) == EBADF);
}

static void test_files(void)
{
	CHECK(WALK(0, 1, "new") == ENOENT);
	CHECK(ASK(P9_TWALK, .fid = 0, .fid2 = 1) == 0);
	CHECK(ASK(P9_TLCREATE, .fid = 1, .name = p9_string("new"), .flags = O_RDWR, .mode = 0444) == 0);
	CHECK(WRITE(1, 0, "hello") == 0 && r.count == 5);
	CHECK(WRITE(1, P9_APPEND, " world") == 0 && r.count == 6);
	CHECK(ASK(P9_TREAD, .fid = 1, .offset = 4, .count = 100) == 0 && r.count == 7 && !memcmp(r.data, "o world", 7));
	CHECK(ASK(P9_TREAD, .fid = 1, .offset = UINT64_MAX, .count = 1) == EINVAL);
	CHECK(ASK(P9_TREAD, .fid = 1, .offset = 0, .count = UINT32_MAX) == 0 && r.count == 11);
	CHECK(holds("new", "hello world"));
	CHECK(ASK(P9_TGETATTR, .fid = 1) == 0 && r.attr.size == 11 && (r.attr.mode & 07777) == 0444 && r.attr.nlink == 1);
	CHECK(ASK(P9_TLCREATE, .fid = 1, .name = p9_string("x")) == EINVAL);
	CHECK(ASK(P9_TLOPEN, .fid = 1) == EINVAL);
	CHECK(ASK(P9_TSETATTR, .fid = 1, .flags = P9_SET_SIZE, .attr.size = 2) == 0 && holds("new", "he"));
	CHECK(ASK(P9_TSETATTR, .fid = 1, .flags = P9_SET_SIZE, .attr.size = UINT64_MAX) == EINVAL);
	CHECK(ASK(P9_TSETATTR, .fid = 1, .flags = P9_SET_MODE, .attr.mode = 04755) == EPERM);
	CHECK(ASK(P9_TSETATTR, .fid = 1, .flags = P9_SET_MODE, .attr.mode = 02755) == EPERM);
	CHECK(ASK(P9_TSETATTR, .fid = 1, .flags = P9_SET_MODE, .attr.mode = 0640) == 0);
	CHECK(ASK(P9_TSETATTR, .fid = 1, .flags = P9_SET_MTIME | P9_SET_MTIME_TO, .attr.mtime = {1000, 5}) == 0);
	CHECK(ASK(P9_TSETATTR, .fid = 1, .flags = P9_SET_MTIME | P9_SET_MTIME_TO, .attr.mtime = {1000, 1u << 31}) == EINVAL);
	CHECK(ASK(P9_TGETATTR, .fid = 1) == 0 && r.attr.mtime.sec == 1000 && r.attr.mtime.nsec == 5 && (r.attr.mode & 0777) == 0640);
	CHECK(ASK(P9_TFSYNC, .fid = 1) == 0 && ASK(P9_TFSYNC, .fid = 0, .flags = 1) == 0);
	CHECK(ASK(P9_TSTATFS, .fid = 1) == 0 && r.statfs.type == 0x01021997 && r.statfs.namelen == 255);
	CHECK(ASK(P9_TUNLINKAT, .fid = 0, .name = p9_string("new")) == 0);
	CHECK(WRITE(1, 0, "still") == 0);
	CHECK(ASK(P9_TGETATTR, .fid = 1) == 0 && r.attr.nlink == 0 && r.attr.size == 5);
	CHECK(CLUNK(1) == 0);
	CHECK(ASK(P9_TMKNOD, .fid = 0, .name = p9_string("dev"), .mode = S_IFCHR | 0600) == EPERM);
	CHECK(ASK(P9_TMKNOD, .fid = 0, .name = p9_string("set"), .mode = S_IFREG | 04755) == EPERM);
	CHECK(ASK(P9_TMKNOD, .fid = 0, .name = p9_string("fifo"), .mode = S_IFIFO | 0600) == 0);
	CHECK(WALK(0, 1, "fifo") == 0 && ASK(P9_TLOPEN, .fid = 1) == ENXIO && CLUNK(1) == 0);
	CHECK(WALK(0, 1, "fifo") == 0 && WALK(1, 2, "x") == ENOTDIR && CLUNK(1) == 0);
	CHECK(ASK(P9_TUNLINKAT, .fid = 0, .name = p9_string("fifo"), .flags = P9_REMOVEDIR) == ENOTDIR);
	CHECK(ASK(P9_TUNLINKAT, .fid = 0, .name = p9_string("fifo")) == 0);
}

static void test_directories(void)
{
	CHECK(ASK(P9_TMKDIR, .fid = 0, .name = p9_string("dir"), .mode = 0755) == 0 && r.qid.type == P9_QID_DIR);
	CHECK(ASK(P9_TMKDIR, .fid = 0, .name = p9_string("dir"), .mode = 0755) == EEXIST);
	CHECK(WALK(0, 1, "dir") == 0);
	char name[64];
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "dir/entry-with-a-name-%d", i);
		put(name, "");
	}
	CHECK(ASK(P9_TWALK, .fid = 1, .fid2 = 2) == 0 && ASK(P9_TLOPEN, .fid = 2) == 0);
	CHECK(ASK(P9_TREAD, .fid = 2, .count = 10) == EISDIR);
	unsigned seen = 0, parents = 0;
	uint64_t at = 0;
	while (ASK(P9_TREADDIR, .fid = 2, .offset = at, .count = 3000) == 0 && r.count) {
		struct p9_dirent d;
		for (size_t pos = 0, n; pos < r.count; pos += n, at = d.offset) {
			n = p9_dirent_decode((const uint8_t *)r.data + pos, r.count - pos, &d);
			if (!n)
				break;
			seen++;
			parents += d.name.len == 2 && !memcmp(d.name.s, "..", 2);
		}
	}
	CHECK(seen == 1002 && parents == 1);
	CHECK(ASK(P9_TREADDIR, .fid = 2, .offset = 0, .count = 8) == EINVAL);
	CHECK(ASK(P9_TREADDIR, .fid = 1, .count = 3000) == EBADF);
	CHECK(ASK(P9_TUNLINKAT, .fid = 0, .name = p9_string("dir"), .flags = P9_REMOVEDIR) == ENOTEMPTY);
	CHECK(ASK(P9_TUNLINKAT, .fid = 0, .name = p9_string("dir")) == EISDIR);
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "entry-with-a-name-%d", i);
		if (ASK(P9_TUNLINKAT, .fid = 1, .name = p9_string(name)))
			CHECK(!"unlink");
	}
	CHECK(ASK(P9_TWALK, .fid = 0, .fid2 = 3) == 0 && ASK(P9_TLOPEN, .fid = 3) == 0);
	CHECK(ASK(P9_TREADDIR, .fid = 3, .count = 3000) == 0);
	struct stat above, root;
	stat(folder, &root);
	stat("/tmp", &above);
	for (size_t pos = 0, n; pos < r.count; pos += n) {
		struct p9_dirent d;
		n = p9_dirent_decode((const uint8_t *)r.data + pos, r.count - pos, &d);
		if (!n)
			break;
		if (d.name.len == 2 && !memcmp(d.name.s, "..", 2))
			CHECK(d.qid.path == root.st_ino);
	}
	CHECK(ASK(P9_TMKDIR, .fid = 1, .name = p9_string("sub"), .mode = 0700) == 0 && WALK(1, 4, "sub") == 0);
	CHECK(ASK(P9_TRENAMEAT, .fid = 0, .name = p9_string("dir"), .fid2 = 4, .name2 = p9_string("loop")) == EINVAL);
	CHECK(ASK(P9_TRENAMEAT, .fid = 0, .name = p9_string("dir"), .fid2 = 0, .name2 = p9_string("moved")) == 0);
	put("moved/sub/file", "x");
	CHECK(WALK(4, 5, "file") == 0);
	CHECK(ASK(P9_TRENAME, .fid = 5, .fid2 = 0, .name = p9_string("up")) == 0 && holds("up", "x"));
	CHECK(ASK(P9_TRENAME, .fid = 0, .fid2 = 0, .name = p9_string("up")) == EBUSY);
	CHECK(ASK(P9_TLINK, .fid = 1, .fid2 = 5, .name = p9_string("hard")) == 0 && holds("moved/hard", "x"));
	CHECK(ASK(P9_TGETATTR, .fid = 5) == 0 && r.attr.nlink == 2);
	CHECK(ASK(P9_TWALK, .fid = 0, .fid2 = 6, .walk_count = 3, .walk_name = {p9_string("moved"), p9_string("sub"), p9_string("no")}) ==
			0 &&
		r.walk_count == 2);
	CHECK(ASK(P9_TGETATTR, .fid = 6) == EBADF);
	CHECK(ASK(P9_TWALK, .fid = 0, .fid2 = 6, .walk_count = 2, .walk_name = {p9_string("moved"), p9_string("sub")}) == 0 &&
		CLUNK(6) == 0);
	for (uint32_t f = 1; f < 6; f++)
		CHECK(CLUNK(f) == 0);
	unlink(host("up"));
	unlink(host("moved/hard"));
	rmdir(host("moved/sub"));
	CHECK(rmdir(host("moved")) == 0);
}

/* Trename where the renamed file's node is all that holds its directory's, and another file bears the name. */
static void test_rename_last(void)
{
	CHECK(ASK(P9_TMKDIR, .fid = 0, .name = p9_string("a"), .mode = 0700) == 0);
	CHECK(ASK(P9_TMKDIR, .fid = 0, .name = p9_string("b"), .mode = 0700) == 0);
	put("a/same", "a");
	put("b/same", "b");
	static const struct p9_string below_a[] = {{"a", 1}, {"same", 4}}, below_b[] = {{"b", 1}, {"same", 4}};
	CHECK(ASK(P9_TWALK, .fid = 0, .fid2 = 2, .walk_count = 2, .walk_name = {below_b[0], below_b[1]}) == 0);
	CHECK(ASK(P9_TWALK, .fid = 0, .fid2 = 1, .walk_count = 2, .walk_name = {below_a[0], below_a[1]}) == 0);
	CHECK(ASK(P9_TRENAME, .fid = 1, .fid2 = 0, .name = p9_string("moved")) == 0 && holds("moved", "a") && holds("b/same", "b"));
	CHECK(CLUNK(1) == 0 && CLUNK(2) == 0);
	CHECK(ASK(P9_TUNLINKAT, .fid = 0, .name = p9_string("moved")) == 0 && unlink(host("b/same")) == 0);
	CHECK(rmdir(host("a")) == 0 && rmdir(host("b")) == 0);
}

static void test_links(void)
{
	CHECK(ASK(P9_TSYMLINK, .fid = 0, .name = p9_string("out"), .text = p9_string("/etc")) == 0 && r.qid.type == P9_QID_SYMLINK);
	CHECK(WALK(0, 1, "out") == 0 && r.walk_qid[0].type == P9_QID_SYMLINK);
	CHECK(ASK(P9_TREADLINK, .fid = 1) == 0 && r.text.len == 4 && !memcmp(r.text.s, "/etc", 4));
	CHECK(WALK(1, 2, "passwd") != 0);
	CHECK(ASK(P9_TLOPEN, .fid = 1) == ELOOP);
	CHECK(ASK(P9_TSETATTR, .fid = 1, .flags = P9_SET_MODE, .attr.mode = 0700) == EOPNOTSUPP);
	CHECK(ASK(P9_TSETATTR, .fid = 1, .flags = P9_SET_SIZE) == ELOOP);
	CHECK(ASK(P9_TMKDIR, .fid = 1, .name = p9_string("x"), .mode = 0700) == ENOTDIR);
	CHECK(ASK(P9_TWALK, .fid = 0, .fid2 = 3) == 0);
	CHECK(ASK(P9_TLCREATE, .fid = 3, .name = p9_string("out"), .flags = O_RDWR, .mode = 0600) == EEXIST && CLUNK(3) == 0);
	CHECK(ASK(P9_TREADLINK, .fid = 0) == EINVAL);
	CHECK(ASK(P9_TLINK, .fid = 0, .fid2 = 1, .name = p9_string("out2")) == 0 &&
		ASK(P9_TUNLINKAT, .fid = 0, .name = p9_string("out2")) == 0);
	CHECK(ASK(P9_TUNLINKAT, .fid = 0, .name = p9_string("out")) == 0);
	CHECK(CLUNK(1) == 0);
}

static void test_xattrs(void)
{
	put("x", "");
	if (setxattr(host("x"), "user.probe", "1", 1, 0)) {
		printf("ok %d - xattrs # SKIP the host's /tmp has none\n", ++count);
		return;
	}
	CHECK(WALK(0, 1, "x") == 0 && ASK(P9_TWALK, .fid = 1, .fid2 = 2) == 0);
	CHECK(ASK(P9_TXATTRCREATE, .fid = 2, .text = p9_string("user.a"), .size = 3) == 0 && WRITE(2, 0, "abc") == 0 &&
		WRITE(2, 3, "d") == EINVAL);
	CHECK(ASK(P9_TLOPEN, .fid = 2) == EBADF && CLUNK(2) == 0);
	CHECK(ASK(P9_TXATTRWALK, .fid = 1, .fid2 = 2, .text = p9_string("user.a")) == 0 && r.size == 3);
	CHECK(ASK(P9_TREAD, .fid = 2, .offset = 1, .count = 100) == 0 && r.count == 2 && !memcmp(r.data, "bc", 2));
	CHECK(ASK(P9_TREAD, .fid = 2, .offset = UINT64_MAX, .count = 100) == 0 && r.count == 0 && CLUNK(2) == 0);
	CHECK(ASK(P9_TXATTRWALK, .fid = 1, .fid2 = 2) == 0 && r.size == strlen("user.probe") + strlen("user.a") + 2 && CLUNK(2) == 0);
	CHECK(ASK(P9_TXATTRWALK, .fid = 1, .fid2 = 2, .text = p9_string("security.selinux")) == EOPNOTSUPP);
	CHECK(ASK(P9_TXATTRWALK, .fid = 1, .fid2 = 2, .text = p9_string("user.none")) == ENODATA);
	CHECK(ASK(P9_TWALK, .fid = 1, .fid2 = 2) == 0 && ASK(P9_TXATTRCREATE, .fid = 2, .text = p9_string("trusted.a")) == EOPNOTSUPP);
	CHECK(ASK(P9_TXATTRCREATE, .fid = 2, .text = p9_string("user.a"), .size = 1u << 20) == E2BIG);
	CHECK(ASK(P9_TXATTRCREATE, .fid = 2, .text = p9_string("user.a"), .flags = P9_XATTR_REMOVE) == 0 && CLUNK(2) == 0);
	CHECK(getxattr(host("x"), "user.a", NULL, 0) < 0 && CLUNK(1) == 0);
	unlink(host("x"));
}

static void test_host_changes(void)
{
	mkdir(host("d"), 0700);
	put("d/f", "old");
	CHECK(WALK(0, 1, "d") == 0 && WALK(1, 2, "f") == 0);
	/* A held directory that moved: names below it still are its own, whatever bears its old name. */
	rename(host("d"), host("elsewhere"));
	if (symlink("/etc", host("d")))
		CHECK(!"symlink");
	CHECK(WALK(1, 3, "f") == 0 && WALK(1, 4, "passwd") == ENOENT && CLUNK(3) == 0);
	CHECK(WALK(0, 4, "d") == 0 && WALK(4, 5, "passwd") != 0 && CLUNK(4) == 0);
	unlink(host("d"));
	/* Replaced by another file: the held one is meant, or nothing. */
	unlink(host("elsewhere/f"));
	put("elsewhere/f", "new");
	int e = ASK(P9_TLOPEN, .fid = 2);
	CHECK(volume->proc ? e == 0 || e == ENOENT : e == ESTALE);
	if (!e)
		CHECK(ASK(P9_TREAD, .fid = 2, .count = 10) == 0 && r.count == 3 && !memcmp(r.data, "old", 3));
	CHECK(CLUNK(1) == 0 && CLUNK(2) == 0);
	unlink(host("elsewhere/f"));
	rmdir(host("elsewhere"));
}

static void test_read_only(void)
{
	put("f", "text");
	attach(true, true, true);
	CHECK(WALK(0, 1, "f") == 0 && ASK(P9_TLOPEN, .fid = 1, .flags = O_WRONLY) == EROFS &&
		ASK(P9_TLOPEN, .fid = 1, .flags = O_TRUNC) == EROFS);
	CHECK(ASK(P9_TLOPEN, .fid = 1) == 0 && ASK(P9_TREAD, .fid = 1, .count = 9) == 0 && r.count == 4);
	CHECK(WRITE(1, 0, "x") == EROFS);
	CHECK(ASK(P9_TSETATTR, .fid = 1, .flags = P9_SET_MODE, .attr.mode = 0777) == EROFS);
	CHECK(ASK(P9_TLCREATE, .fid = 0, .name = p9_string("g"), .flags = O_RDWR) == EROFS);
	CHECK(ASK(P9_TMKDIR, .fid = 0, .name = p9_string("g")) == EROFS && ASK(P9_TSYMLINK, .fid = 0, .name = p9_string("g")) == EROFS);
	CHECK(ASK(P9_TMKNOD, .fid = 0, .name = p9_string("g"), .mode = S_IFREG) == EROFS);
	CHECK(ASK(P9_TUNLINKAT, .fid = 0, .name = p9_string("f")) == EROFS &&
		ASK(P9_TLINK, .fid = 0, .fid2 = 1, .name = p9_string("g")) == EROFS);
	CHECK(ASK(P9_TRENAMEAT, .fid = 0, .name = p9_string("f"), .fid2 = 0, .name2 = p9_string("g")) == EROFS);
	CHECK(ASK(P9_TXATTRCREATE, .fid = 1, .text = p9_string("user.a")) == EROFS);
	CHECK(holds("f", "text"));
	unlink(host("f"));
}

static void test_limits(void)
{
	attach(false, true, true);
	unsigned made = 0;
	while (made < 2 * VOLUME_MAX_FIDS && ASK(P9_TWALK, .fid = 0, .fid2 = made + 1) == 0)
		made++;
	CHECK(made == VOLUME_MAX_FIDS - 1 && r.error == ENFILE);
	/* Few descriptors: the oldest names are closed, and found again when asked for. */
	attach(false, true, true);
	struct rlimit limit = {256, 256};
	CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	volume_fds_max = 192;
	char name[32];
	int errors = 0;
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		put(name, name);
		errors += WALK(0, i + 1, name) != 0;
	}
	for (unsigned i = 0; i < 1000; i++)
		errors += ASK(P9_TGETATTR, .fid = i + 1) != 0 || r.attr.size != (i < 10 ? 2u : i < 100 ? 3u : 4u);
	CHECK(errors == 0);
	/* One that bears an old name now is not taken for it. */
	for (unsigned i = 200; i < 300; i++)
		ASK(P9_TGETATTR, .fid = i + 1);
	put("other", "abc");
	rename(host("other"), host("n900"));
	CHECK(ASK(P9_TGETATTR, .fid = 901) == ESTALE);
	unlink(host("n901"));
	CHECK(ASK(P9_TGETATTR, .fid = 902) == ESTALE);
	CHECK(ASK(P9_TRENAMEAT, .fid = 0, .name = p9_string("n902"), .fid2 = 0, .name2 = p9_string("renamed")) == 0);
	CHECK(ASK(P9_TGETATTR, .fid = 903) == 0);
	/* Open files can't be closed behind the cell's back: there the limit is one. */
	unsigned opened = 0;
	int e = 0;
	while (opened < 300 && !(e = ASK(P9_TWALK, .fid = 0, .fid2 = 5000 + opened)) && !(e = ASK(P9_TLOPEN, .fid = 5000 + opened)))
		opened++;
	CHECK(e == EMFILE && opened > 100 && opened < 200);
	attach(false, true, true);
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		ASK(P9_TUNLINKAT, .fid = 0, .name = p9_string(name));
	}
	CHECK(ASK(P9_TUNLINKAT, .fid = 0, .name = p9_string("renamed")) == 0);
	struct rlimit size_limit = {1000, RLIM_INFINITY};
	CHECK(setrlimit(RLIMIT_FSIZE, &size_limit) == 0);
	CHECK(ASK(P9_TLCREATE, .fid = 0, .name = p9_string("big"), .flags = O_RDWR, .mode = 0600) == 0);
	CHECK(WRITE(0, 2000, "x") == EFBIG);
	size_limit.rlim_cur = RLIM_INFINITY;
	setrlimit(RLIMIT_FSIZE, &size_limit);
	unlink(host("big"));
}

static void test_core(void)
{
	struct vb_error err;
	volume_close(volume);
	volume = volume_open_core(folder, &err);
	put("core.old", "precious");
	CHECK(ASK(P9_TATTACH, .fid = 0, .fid2 = P9_NOFID) == 0);
	CHECK(WALK(0, 1, "core.old") == EPERM);
	CHECK(ASK(P9_TLCREATE, .fid = 0, .name = p9_string("x"), .flags = O_RDWR) == EPERM);
	CHECK(ASK(P9_TLCREATE, .fid = 0, .name = p9_string("core.old"), .flags = O_RDWR | O_TRUNC) == EEXIST);
	CHECK(ASK(P9_TLCREATE, .fid = 0, .name = p9_string("core.new"), .flags = O_RDWR, .mode = 0777) == 0);
	CHECK(WRITE(0, 4096, "data") == 0 && ASK(P9_TREAD, .fid = 0, .count = 4) == EPERM);
	CHECK(WRITE(0, VOLUME_CORE_MAX_BYTES, "x") == EFBIG && WRITE(0, P9_APPEND, "x") == EFBIG);
	CHECK(ASK(P9_TSETATTR, .fid = 0, .flags = P9_SET_SIZE, .attr.size = 1ull << 40) == EPERM);
	CHECK(ASK(P9_TUNLINKAT, .fid = 0, .name = p9_string("core.old")) == EPERM && CLUNK(0) == 0);
	struct stat st;
	CHECK(!stat(host("core.new"), &st) && st.st_size == 4100 && (st.st_mode & 0777) == 0600);
	CHECK(holds("core.old", "precious"));
	unlink(host("core.old"));
	unlink(host("core.new"));
	int made = 0;
	for (char name[32]; made < 100; made++) { /* as many as it likes? */
		snprintf(name, sizeof(name), "core.%d", made);
		if (ASK(P9_TATTACH, .fid = 0, .fid2 = P9_NOFID) || ASK(P9_TLCREATE, .fid = 0, .name = p9_string(name), .flags = O_WRONLY))
			break;
		CHECK(CLUNK(0) == 0 && unlink(host(name)) == 0);
	}
	CHECK(made == VOLUME_CORE_MAX_FILES - 1 && CLUNK(0) == 0);
}

int main(void)
{
	struct vb_error err = {""};
	if (!mkdtemp(folder))
		return 1;
	CHECK(!volume_open("/nonexistent", false, &err) && strstr(err.text, "/nonexistent"));
	CHECK(!volume_open("/etc/passwd", false, &err));
	volume = volume_open(folder, false, &err);
	test_protocol();
	for (unsigned way = 0; way < 4; way++) { /* with and without /proc and openat2 */
		printf("# /proc %s, openat2 %s\n", way & 1 ? "absent" : "there", way & 2 ? "absent" : "there");
		attach(false, !(way & 1), !(way & 2));
		test_files();
		test_directories();
		test_rename_last();
		test_links();
		if (!(way & 1))
			test_xattrs();
		test_host_changes();
	}
	test_read_only();
	test_limits();
	test_core();
	volume_close(volume);
	CHECK(volume_fds_open == 0);
	CHECK(rmdir(folder) == 0);
	return tap_done();
}
