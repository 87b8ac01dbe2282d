/* The formatting of traced calls: every row of the table is spelled right, and typical calls read as expected. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/debug/trace.h"
#include "kernel/debug/internal.h"
#include "kernel/syscall/syscall.h"

#include <vauban/message.h>

static int count, failed;
static char last[4096];
static struct vb_msg_trace record;
static struct task task = {.tid = 7};
struct task *current = &task;

int copy_from_user(void *dst, uint64_t src, size_t n)
{
	if (src < 65536)
		return -EFAULT;
	memcpy(dst, (void *)src, n);
	return 0;
}

long string_from_user(char *dst, uint64_t src, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (copy_from_user(dst + i, src + i, 1))
			return -EFAULT;
		if (!dst[i])
			return (long)i;
	}
	return -ENAMETOOLONG;
}

void debug_call_done(void) {}
void debug_thread_gone(struct task *t)
{
	(void)t;
}
void *kmalloc(size_t n)
{
	return malloc(n);
}
void *kzalloc(size_t n)
{
	return calloc(1, n);
}
void kfree(void *p)
{
	free(p);
}
uint64_t platform_clock_ns(int clock)
{
	return 1000u + (unsigned)clock;
}

void platform_send(const void *header, size_t header_len, const void *payload, size_t len)
{
	memcpy(&record, (const char *)header + sizeof(struct vb_message), sizeof(record));
	(void)header_len;
	memcpy(last, payload, len);
	last[len] = 0;
}

static void run(int nr, long result, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
	struct regs regs = {.orig_rax = (uint64_t)nr, .rdi = a, .rsi = b, .rdx = c, .r10 = d, .r8 = e, .r9 = f};
	last[0] = 0;
	trace_enter(&regs);
	regs.rax = (uint64_t)result;
	trace_exit(&regs);
}

static void expect(const char *want)
{
	int ok = !strcmp(last, want);
	printf("%sok %d - %s\n", ok ? "" : "not ", ++count, want);
	if (!ok) {
		failed++;
		printf("# got: %s\n", last);
	}
}

#define P(x) ((uint64_t)(x))

int main(void)
{
	trace_set(true);
	for (int nr = 0; nr < SYSCALL_COUNT; nr++) {
		run(nr, 0, 0, 0, 0, 0, 0, 0);
		bool ok = !strchr(last, '?');
		run(nr, 3, 77, 77, 77, 77, 77, 77);
		ok = ok && !strchr(last, '?');
		static char zeros[8192];
		run(nr, 2, P(zeros), P(zeros), P(zeros), P(zeros), P(zeros), P(zeros));
		ok = ok && !strchr(last, '?');
		count++;
		if (!ok)
			failed++, printf("not ok %d - row %d: %s\n", count, nr, last);
		else
			printf("ok %d - row %d\n", count, nr);
	}

	run(257, 3, P(-100), P("/etc/passwd"), 02000000, 0, 0, 0), expect("openat(AT_FDCWD, \"/etc/passwd\", O_RDONLY|O_CLOEXEC");
	run(257, -2, 5,
		P("a\n\"b\x01"
		  "2"),
		0102, 0644, 0, 0),
		expect("openat(5, \"a\\n\\\"b\\0012\", O_RDWR|O_CREAT, 0644");
	run(0, 5, 3, P("hello world"), 11, 0, 0, 0), expect("read(3, \"hello\", 11");
	run(0, -EAGAIN, 3, P(0x123456), 11, 0, 0, 0), expect("read(3, 0x123456, 11");
	run(1, 2, 1, P("xy"), 2, 0, 0, 0), expect("write(1, \"xy\", 2");
	run(1, 2, 1, 16, 2, 0, 0, 0), expect("write(1, 0x10, 2");
	char big[100];
	memset(big, 'a', sizeof(big));
	run(1, 100, 1, P(big), 100, 0, 0, 0);
	expect("write(1, \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"..., 100");
	run(9, 0x7000, 0, 4096, 3, 0x22, P(-1), 0), expect("mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0x0");
	run(9, 0x7000, 0, 4096, 0, 0x22, P(-1), 0), expect("mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0x0");
	int address = record.flags == VB_TRACE_ADDRESS;
	printf("%sok %d - mmap gives an address\n", address ? "" : "not ", ++count);
	failed += !address;
	run(12, 0x7000, 0, 0, 0, 0, 0, 0), expect("brk(NULL");
	struct {
		int fd;
		short events, revents;
	} pfd[2] = {{3, 1, 0x11}, {-1, 4, 0}};
	run(7, 1, P(pfd), 2, P(-1), 0, 0, 0);
	expect("poll([{fd=3, events=POLLIN, revents=POLLIN|POLLHUP}, {fd=-1, events=POLLOUT, revents=0}], 2, -1");
	struct {
		uint64_t handler, flags, restorer, mask;
	} sa = {1, 0x14000000, 0, 2};
	run(13, 0, 2, P(&sa), 0, 8, 0, 0);
	expect("rt_sigaction(SIGINT, {sa_handler=SIG_IGN, sa_mask=[INT], sa_flags=SA_RESTORER|SA_RESTART}, NULL, 8");
	uint64_t set = ~0ull & ~(1ull << 8);
	run(14, 0, 2, P(&set), 0, 8, 0, 0), expect("rt_sigprocmask(SIG_SETMASK, ~[KILL], NULL, 8");
	run(202, 1, 0x10000, 129, 1, 5, 5, 5), expect("futex(0x10000, FUTEX_WAKE|FUTEX_PRIVATE_FLAG, 1");
	int64_t ts[2] = {1, 500};
	run(202, -110, 0x10000, 128, 1, P(ts), 0, 0);
	expect("futex(0x10000, FUTEX_WAIT|FUTEX_PRIVATE_FLAG, 1, {tv_sec=1, tv_nsec=500}, NULL, 0x0");
	run(72, 0, 3, 3, 99, 0, 0, 0), expect("fcntl(3, F_GETFL");
	run(72, 0, 3, 4, 04000, 0, 0, 0), expect("fcntl(3, F_SETFL, O_RDONLY|O_NONBLOCK");
	struct {
		uint16_t family;
		char path[108];
	} un = {1, "/tmp/sock"};
	run(42, 0, 3, P(&un), 12, 0, 0, 0), expect("connect(3, {sa_family=AF_UNIX, sun_path=\"/tmp/sock\"}, 12");
	const unsigned char in4[16] = {2, 0, 0, 80, 192, 0, 2, 1}, in6[28] = {10, 0, 1, 187, 0, 0, 0, 0, 0x20, 1, 0xd, 0xb8, [23] = 1};
	const unsigned char nl[12] = {16, 0, 0, 0, 7};
	run(42, 0, 3, P(in4), 16, 0, 0, 0), expect("connect(3, {sa_family=AF_INET, sin_port=80, sin_addr=192.0.2.1}, 16");
	run(42, 0, 3, P(in6), 28, 0, 0, 0), expect("connect(3, {sa_family=AF_INET6, sin6_port=443, sin6_addr=2001:db8::1}, 28");
	run(49, 0, 3, P(nl), 12, 0, 0, 0), expect("bind(3, {sa_family=AF_NETLINK, nl_pid=7, nl_groups=00000000}, 12");
	run(41, 3, 2, 02000001, 6, 0, 0, 0), expect("socket(AF_INET, SOCK_STREAM|SOCK_CLOEXEC, IPPROTO_TCP");
	run(41, 3, 16, 3, 0, 0, 0, 0), expect("socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE");
	run(54, 0, 3, 6, 1, P((&(int){1})), 4, 0), expect("setsockopt(3, SOL_TCP, TCP_NODELAY, [1], 4");
	run(54, 0, 3, 1, 13, P(((int[2]){1, 5})), 8, 0), expect("setsockopt(3, SOL_SOCKET, SO_LINGER, {l_onoff=1, l_linger=5}, 8");
	run(54, 0, 3, 6, 13, P("reno"), 4, 0), expect("setsockopt(3, SOL_TCP, TCP_CONGESTION, \"reno\", 4");
	run(55, 0, 3, 41, 26, P((&(int){1})), P((&(int){4})), 0), expect("getsockopt(3, SOL_IPV6, IPV6_V6ONLY, [1], [4]");
	struct {
		uint64_t len;
		int level, type, ttl, pad;
	} control = {20, 0, 2, 9, 0};
	struct {
		const char *base;
		uint64_t len;
	} piece = {"abc", 3};
	uint64_t header[8] = {P(in4), 16, P(&piece), 1, P(&control), sizeof(control), 0, 3};
	const char *shown = "{msg_name={sa_family=AF_INET, sin_port=80, sin_addr=192.0.2.1}, msg_iov=[{iov_base=\"abc\", iov_len=3}], "
			    "msg_iovlen=1, msg_control=[{cmsg_len=20, cmsg_level=SOL_IP, cmsg_type=IP_TTL, cmsg_data=[9]}], msg_controllen=24, "
			    "msg_flags=0}";
	char want[512];
	snprintf(want, sizeof(want), "sendmsg(3, %s, MSG_NOSIGNAL", shown);
	run(46, 3, 3, P(header), 0x4000, 0, 0, 0), expect(want);
	snprintf(want, sizeof(want), "sendmmsg(3, [{msg_hdr=%s, msg_len=3}], 1, 0", shown);
	run(307, 1, 3, P(header), 1, 0, 0, 0), expect(want);
	struct {
		const char *base;
		uint64_t len;
	} iov[2] = {{"abc", 3}, {"defg", 4}};
	run(20, 7, 1, P(iov), 2, 0, 0, 0), expect("writev(1, [{iov_base=\"abc\", iov_len=3}, {iov_base=\"defg\", iov_len=4}], 2");
	run(19, 4, 1, P(iov), 2, 0, 0, 0), expect("readv(1, [{iov_base=\"abc\", iov_len=3}, {iov_base=\"d\", iov_len=4}], 2");
	const char *argv[] = {"sh", "-c", NULL}, *envv[] = {"A=1", NULL};
	run(59, -2, P("/bin/sh"), P(argv), P(envv), 0, 0, 0);
	char exec[128];
	snprintf(exec, sizeof(exec), "execve(\"/bin/sh\", [\"sh\", \"-c\"], 0x%lx /* 1 vars */", P(envv));
	expect(exec);
	run(231, 0, 3, 0, 0, 0, 0, 0), expect("exit_group(3");
	printf("1..%d\n", count);
	debug_task_release(&task);
	return failed != 0;
}
