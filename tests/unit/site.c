/* The monitor's part of a site against a hostile kernel and hostile peers: a monitor without a cell, whose kernel is this test
 * and whose other cells are plain sockets of the host. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "host/error.h"
#include "monitor/cell.h"
#include "monitor/site_private.h"

static int count, failed;

static __attribute__((format(printf, 2, 3))) void ok(bool good, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	printf("%s %d - ", good ? "ok" : "not ok", ++count);
	vprintf(fmt, ap);
	putchar('\n');
	va_end(ap);
	failed += !good;
}

static struct monitor m;
static struct monitor_options options = {.uid = 1000, .gid = 1000, .site_folders = {"/tmp", "/run/a"}, .site_folder_count = 2};
static char dir[64] = "/dev/shm/unit-site.XXXXXX"; /* thousands of names: not on a disk */

/* What the monitor sent to its kernel, the last of each kind. */
static struct vb_site_reply reply;
static uint8_t reply_data[65536];
static size_t reply_len;
static unsigned frames[16];
static struct vb_site_frame last[16];
static uint32_t last_id;
static size_t last_len;

int64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}
void watch_add(struct monitor *x, int fd, short events, watch_fn *ready, void *arg) {}
void watch_events(struct monitor *x, int fd, short events) {}
void together_request(struct monitor *x) {}
void tender_condemn(struct monitor *x, const char *fmt, ...)
{
	x->condemned = true;
}
int message_send(struct monitor *x, uint32_t type, uint32_t tag, const void *payload, size_t len)
{
	struct vb_site_frame f;
	if (type == VB_MSG_SITE_REPLY) {
		memcpy(&reply, payload, sizeof(reply));
		reply_len = len - sizeof(reply);
		memcpy(reply_data, (const char *)payload + sizeof(reply), reply_len);
		return 0;
	}
	memcpy(&f, payload, sizeof(f));
	last_len = len - sizeof(f);
	last_id = tag;
	last[f.kind & 15] = f;
	frames[f.kind & 15]++;
	return 0;
}

static struct vb_site_request q; /* the next request */
static const char *q_path = "/tmp/s", *q_name = "";

static const char name[256] = "\1\0/tmp/s";

static void fresh(void)
{
	struct vb_error err;
	if (m.site)
		site_close(&m);
	m = (struct monitor){.options = &options};
	list_init(&m.queue);
	if (site_open(&m, &err) < 0)
		abort();
	unlinkat(m.site->folder.names, "=tmp=s", 0);
	q = (struct vb_site_request){.type = SOCK_STREAM, .id = 1 << 16, .mode = 0755};
	q_path = "/tmp/s";
	q_name = name;
}

static int ask_data(unsigned op, size_t name_len, const void *data, size_t len)
{
	static char packet[sizeof(q) + 2 * VB_SITE_PATH_MAX + VB_SITE_PIECE_MAX];
	size_t at = sizeof(q);
	q.op = op;
	q.path_len = (uint32_t)strlen(q_path);
	q.name_len = (uint32_t)name_len;
	memcpy(packet, &q, sizeof(q));
	memcpy(packet + at, q_path, q.path_len);
	at += q.path_len;
	memcpy(packet + at, q_name, name_len);
	at += name_len;
	memcpy(packet + at, data, len);
	reply = (struct vb_site_reply){.result = -9999};
	site_request(&m, 1, packet, at + len);
	return m.condemned ? 1 : reply.result;
}
static int ask(unsigned op)
{
	return ask_data(op, op == VB_SITE_BIND || op == VB_SITE_CONNECT ? 9 : 0, "", 0);
}
static void frame(uint32_t id, struct vb_site_frame f, const void *data, size_t len)
{
	static char packet[sizeof(f) + VB_SITE_PIECE_MAX];
	memcpy(packet, &f, sizeof(f));
	if (len)
		memcpy(packet + sizeof(f), data, len);
	site_frame(&m, id, packet, sizeof(f) + len);
}
static void serve(void)
{
	for (int i = 0; i < 40; i++)
		site_ready(&m, m.site->epoll, POLLIN, NULL);
}

/* Another cell's monitor, such as it is. */
static int outside(int type)
{
	struct sockaddr_un a;
	struct site_name n;
	site_name_get(&m.site->folder, "/tmp/s", &n);
	int fd = socket(AF_UNIX, type, 0);
	socklen_t len = site_address(m.site, n.file, &a);
	if (connect(fd, (struct sockaddr *)&a, len) == 0)
		return fd;
	int error = errno;
	close(fd);
	return -error;
}
static void say(int fd, struct vb_site_frame f, const void *data, size_t len)
{
	struct iovec v[] = {{&f, sizeof(f)}, {(void *)data, len}};
	sendmsg(fd, &(struct msghdr){.msg_iov = v, .msg_iovlen = len ? 2 : 1}, MSG_NOSIGNAL | MSG_DONTWAIT);
}
static struct vb_site_frame hello(void)
{
	return (struct vb_site_frame){.kind = VB_SITE_HELLO, .uid = 7, .gid = 8, .name_len = 3};
}

static void listening(void)
{
	fresh();
	ask(VB_SITE_BIND);
	q.value = 5;
	ask(VB_SITE_LISTEN);
}
static int accepted(int *ret_fd) /* slot 1 */
{
	listening();
	*ret_fd = outside(SOCK_SEQPACKET);
	say(*ret_fd, hello(), "\1\0x", 3);
	serve();
	q.other = 1 | 1 << 16;
	return ask(VB_SITE_ACCEPT);
}

static void test_paths(void)
{
	static const char *const bad[] = {
		"", "/", "tmp/s", "/tmp", "/tmp/", "/tmp/../etc/x", "/tmp/./x", "/tmp//x", "/etc/x", "/tmpx/y", "/tmp/x/", "/tmp/.."};
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		fresh();
		q_path = bad[i];
		ok(ask(VB_SITE_STAT) == 1, "the kernel is killed for the path \"%s\"", bad[i]);
	}
	fresh();
	q_path = "/tmp/.x";
	ok(ask(VB_SITE_STAT) == -ENOENT, "a name with a dot is one");
	q_path = "/run/a/b/c=d%e";
	ok(ask(VB_SITE_BIND) == 0 && ask(VB_SITE_STAT) == 0, "names with what the encoding uses");
	q_path = "/run/a/b";
	ok(ask(VB_SITE_LIST) == 0 && reply_len == 6 && memcmp(reply_data, "\5c=d%e", 6) == 0, "and they are listed");
	q_path = "/run/a/b/c=d%e";
	ok(ask(VB_SITE_UNLINK) == 0, "and unlinked");
}

static void test_requests(void)
{
	fresh();
	q.op = 99;
	ok(ask(99) == 1, "an unknown operation");
	fresh();
	q.id = 0;
	ok(ask(VB_SITE_BIND) == 1, "socket 0");
	fresh();
	q.id = 1 << 16 | VB_SITE_SOCKETS;
	ok(ask(VB_SITE_BIND) == 1, "a place beyond the last");
	fresh();
	q.type = 77;
	ok(ask(VB_SITE_BIND) == 1, "an unknown type");
	fresh();
	ok(ask_data(VB_SITE_BIND, 200, "", 0) == 1, "a name that is too long");
	fresh();
	q.who.group_count = 1000;
	ok(ask(VB_SITE_STAT) == 1, "too many groups");
	fresh();
	ok(ask_data(VB_SITE_STAT, 0, "data", 4) == 1, "data where none belongs");
	fresh();
	ok(ask(VB_SITE_BIND) == 0, "a good one");
	q.id = 2 << 16;
	ok(ask(VB_SITE_BIND) == 1, "a place that is taken");
	listening();
	q.other = 1 << 16;
	ok(ask(VB_SITE_ACCEPT) == 1, "accepting to a place that is taken");
	fresh();
	ok(ask(VB_SITE_ACCEPT) == 1, "accepting on nothing");
	fresh();
	q.type = SOCK_DGRAM;
	frame(5 << 16, (struct vb_site_frame){.kind = VB_SITE_DATA, .value = VB_SITE_MORE}, "x", 1);
	q_path = "";
	ok(ask(VB_SITE_SEND) == 1, "pieces of two datagrams mixed");
	fresh();
	for (int i = 0; i < 10 && !m.condemned; i++)
		frame(5 << 16, (struct vb_site_frame){.kind = VB_SITE_DATA, .value = VB_SITE_MORE}, reply_data, 60000);
	ok(m.condemned, "a datagram without end");
	fresh();
	ask(VB_SITE_BIND);
	frame(q.id, (struct vb_site_frame){.kind = VB_SITE_DATA}, "x", 1);
	ok(m.condemned, "data for what is not connected");
	fresh();
	ask(VB_SITE_BIND);
	frame(q.id, (struct vb_site_frame){.kind = VB_SITE_HELLO}, "", 0);
	ok(m.condemned, "a frame only monitors send");
}

static void test_identity(void)
{
	struct site_name n;
	fresh();
	q.uid = q.who.uid = 0;
	q.gid = q.who.gid = 0;
	q.who.override = 1;
	q.mode = 0600;
	ask(VB_SITE_BIND);
	ok(site_name_get(&m.site->folder, "/tmp/s", &n) == 0 && n.uid == 1000 && n.gid == 1000 && n.creator_uid == 1000,
		"a cell started as 1000 is 1000, though its kernel says root");
	n = (struct site_name){.file = 3, .type = SOCK_STREAM, .mode = 0600, .sockaddr_len = 3};
	site_name_add(&m.site->folder, "/tmp/root", &n);
	q.id = 2 | 1 << 16;
	q_path = "/tmp/root";
	ok(ask(VB_SITE_CONNECT) == -EACCES, "nor may it connect to root's socket");
	ok(ask(VB_SITE_UNLINK) == -EPERM, "or unlink it");
	q.value = 3, q.mode = 0777, q.uid = 1000;
	ok(ask(VB_SITE_SETATTR) == -EPERM, "or take it");
	int fd;
	ok(accepted(&fd) == 0 && reply.uid == 7, "a peer is who its monitor says");
	frame(q.other, (struct vb_site_frame){.kind = VB_SITE_DATA, .uid = 0, .gid = 0}, "x", 1);
	struct vb_site_frame f = {0};
	char bytes[100];
	ok(recv(fd, bytes, sizeof(bytes), 0) == sizeof(f) + 1 && (memcpy(&f, bytes, sizeof(f)), f.uid == 1000), "in each message");
	close(fd);
}

static void test_names_folder(void)
{
	static const char *const bad[] = {"x", "1 0 1 755 0 0 0 0 01", "1 1 1 99999999 0 0 0 0 01", "1 1 1 755 0 0 0 0 0",
		"1 1 1 755 0 0 0 0 xy", "2 1 1 755 0 0 0 0 01", "/etc/passwd"};
	fresh();
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		symlinkat(bad[i], m.site->folder.names, "=tmp=bad");
		q_path = "/tmp/bad";
		ok(ask(VB_SITE_STAT) == -EIO && ask(VB_SITE_CONNECT) == -EIO, "a damaged name: %s", bad[i]);
		unlinkat(m.site->folder.names, "=tmp=bad", 0);
	}
	close(openat(m.site->folder.names, "=tmp=bad", O_CREAT | O_WRONLY, 0600));
	ok(ask(VB_SITE_STAT) == -EIO, "a file where a name should be");
	unlinkat(m.site->folder.names, "=tmp=bad", 0);
	for (unsigned i = 0; i < 5000; i++) {
		char path[64];
		snprintf(path, sizeof(path), "/tmp/n%u", i);
		q_path = path;
		q.id = 1 << 16;
		if (ask(VB_SITE_BIND) != 0)
			break;
		frame(q.id, (struct vb_site_frame){.kind = VB_SITE_END}, "", 0);
	}
	ok(reply.result == -ENOSPC, "a cell leaves a bounded number of names");
	q_path = "/tmp";
	ok(ask(VB_SITE_LIST) == 0 && reply_len > 20000 && m.site->folder.made == 4096, "and they are listed");
	char command[100];
	snprintf(command, sizeof(command), "rm -rf %s/names/*", dir);
	ok(system(command) == 0, "cleared");
}

static void test_peers(void)
{
	int fd;
	ok(accepted(&fd) == 0, "accepted");
	memset(frames, 0, sizeof(frames));
	send(fd, "garbage", 7, MSG_NOSIGNAL);
	serve();
	ok(frames[VB_SITE_END] == 1 && last[VB_SITE_END].value == 1 && last_id == q.other && !m.condemned, "garbage resets the connection");
	close(fd);
	ok(accepted(&fd) == 0, "accepted");
	memset(frames, 0, sizeof(frames));
	send(fd, reply_data, 60000, MSG_NOSIGNAL);
	say(fd, (struct vb_site_frame){.kind = VB_SITE_DATA, .name_len = 5}, "x", 1);
	serve();
	ok(frames[VB_SITE_END] == 1, "so does what is not of the protocol");
	close(fd);
	ok(accepted(&fd) == 0, "accepted");
	memset(frames, 0, sizeof(frames));
	for (int i = 0; i < 100; i++) {
		say(fd, (struct vb_site_frame){.kind = VB_SITE_DATA}, reply_data, 60000);
		serve();
	}
	ok(frames[VB_SITE_END] == 1 && frames[VB_SITE_DATA] < 10, "more than it has credit for resets it: %u", frames[VB_SITE_DATA]);
	close(fd);
	ok(accepted(&fd) == 0, "accepted");
	memset(frames, 0, sizeof(frames));
	for (int i = 0; i < 200000 && !frames[VB_SITE_END]; i++) {
		say(fd, (struct vb_site_frame){.kind = VB_SITE_DATA}, "", 0);
		if (i % 100 == 0)
			serve();
	}
	ok(frames[VB_SITE_END] == 1 && frames[VB_SITE_DATA] < 10000, "empty frames count: %u", frames[VB_SITE_DATA]);
	close(fd);

	/* one that does not read: the kernel goes on sending beyond all credit */
	ok(accepted(&fd) == 0, "accepted");
	memset(frames, 0, sizeof(frames));
	for (int i = 0; i < 100; i++)
		frame(q.other, (struct vb_site_frame){.kind = VB_SITE_DATA}, reply_data, 60000);
	ok(frames[VB_SITE_END] == 1 && m.site->queued <= SITE_OUT_TOTAL && !m.condemned, "what nobody reads is bounded");
	close(fd);

	/* hellos */
	listening();
	int many[200];
	for (int i = 0; i < 6; i++)
		many[i] = outside(SOCK_SEQPACKET | SOCK_NONBLOCK);
	q.other = 1 | 1 << 16;
	ok(many[5] >= 0 && outside(SOCK_SEQPACKET | SOCK_NONBLOCK) == -EAGAIN, "the backlog is the host's");
	ok(ask(VB_SITE_ACCEPT) == -EAGAIN, "who says nothing is not accepted");
	memset(frames, 0, sizeof(frames));
	say(many[3], hello(), "\1\0y", 3);
	say(many[2], hello(), "\1\0zz", 4);
	serve();
	ok(frames[VB_SITE_READY] >= 1, "who says hello, later, is told of");
	ok(ask(VB_SITE_ACCEPT) == 0 && reply_len == 3 && reply_data[2] == 'y', "and accepted; who says it wrong is not");
	for (int i = 0; i < 6; i++)
		close(many[i]);
	for (int round = 0; round < 40; round++) {
		for (int i = 0; i < 5; i++)
			many[round * 5 + i] = outside(SOCK_SEQPACKET | SOCK_NONBLOCK);
		q.other = 2 | 1 << 16;
		ask(VB_SITE_ACCEPT);
		serve();
	}
	unsigned held = 0;
	for (unsigned i = 0; i < SITE_PENDING_MAX; i++)
		held += m.site->pending[i].fd >= 0;
	ok(held == SITE_PENDING_MAX && !m.condemned, "silent ones are bounded: %u", held);
	for (int i = 0; i < 200; i++)
		close(many[i]);

	/* datagrams */
	fresh();
	q.type = SOCK_DGRAM;
	ok(ask(VB_SITE_BIND) == 0, "a datagram socket");
	memset(frames, 0, sizeof(frames));
	fd = outside(SOCK_DGRAM | SOCK_NONBLOCK);
	send(fd, "short", 5, 0);
	say(fd, (struct vb_site_frame){.kind = VB_SITE_DATA, .name_len = 100}, "x", 1);
	say(fd, (struct vb_site_frame){.kind = VB_SITE_END}, "", 0);
	serve();
	ok(frames[VB_SITE_DATA] == 0 && frames[VB_SITE_END] == 0, "malformed datagrams are dropped");
	for (int i = 0; i < 100; i++) {
		say(fd, (struct vb_site_frame){.kind = VB_SITE_DATA}, "x", 1);
		serve();
	}
	ok(frames[VB_SITE_DATA] == VB_SITE_PACKETS, "no more than the kernel has given credit for");
	frame(q.id, (struct vb_site_frame){.kind = VB_SITE_CREDIT, .credit = 0xffffffff}, "", 0);
	for (int i = 0; i < 100; i++) {
		say(fd, (struct vb_site_frame){.kind = VB_SITE_DATA}, "x", 1);
		serve();
	}
	ok(frames[VB_SITE_DATA] == 2 * VB_SITE_PACKETS, "which is bounded");
	close(fd);
}

static unsigned open_files(void)
{
	unsigned count = 0;
	for (int fd = 0; fd < 5000; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

int main(void)
{
	if (!mkdtemp(dir) && !mkdtemp(strcpy(dir, "/tmp/unit-site.XXXXXX")))
		return 1;
	options.site_dir = dir;
	fresh();
	site_close(&m);
	unsigned before = open_files();
	test_paths();
	test_requests();
	test_identity();
	test_names_folder();
	test_peers();
	site_close(&m);
	ok(open_files() == before, "no descriptor is left open");
	char command[100];
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	ok(system(command) == 0, "removed");
	printf("1..%d\n", count);
	return failed != 0;
}
