/* vauban-vde: carries frames between a cell (descriptor 3: SOCK_SEQPACKET, a frame behind a struct virtio_net_hdr_v1) and a VDE
 * switch. A program of its own because libvdeplug loads plug-ins and the monitor is linked statically.
 *
 * Both sides are hostile: a frame is copied once, its length checked, and passed on. Before the first frame the process gives up
 * files, privileges and all calls but those of the loop. It ends when either side does.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <libvdeplug.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>

#define CELL_FD      3
#define HEADER_BYTES 12u /* zero: a whole frame, checksums done */
#define FRAME_MIN    14u
#define FRAME_MAX    1518u
#define BATCH        64
#define NOBODY       65534

/* One direction: a frame at most waits for the other side to take it. */
struct way {
	int from, to;
	bool from_cell;
	size_t len; /* of what waits, 0: nothing */
	unsigned char bytes[HEADER_BYTES + FRAME_MAX + 1];
};

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	_exit(1);
}

/* What the other side gets of it; 0: nothing. */
static size_t judge(struct way *w, size_t len)
{
	static const unsigned char plain[10]; /* the last two bytes of the header count buffers: no matter */
	if (!w->from_cell)
		return len >= FRAME_MIN && len <= FRAME_MAX ? HEADER_BYTES + len : 0;
	if (len < HEADER_BYTES + FRAME_MIN || len > HEADER_BYTES + FRAME_MAX || memcmp(w->bytes, plain, sizeof(plain)) != 0)
		return 0;
	return len;
}

/* False: one of the sides is gone. */
static bool carry(struct way *w)
{
	for (int i = 0; i < BATCH; i++) {
		if (!w->len) {
			size_t skip = w->from_cell ? 0 : HEADER_BYTES;
			ssize_t n = recv(w->from, w->bytes + skip, sizeof(w->bytes) - skip, MSG_DONTWAIT | MSG_TRUNC);
			if (n < 0 && (errno == EAGAIN || errno == EINTR))
				return true;
			if (n < 0 || (n == 0 && w->from_cell))
				return false;
			w->len = judge(w, (size_t)n);
			if (!w->len)
				continue;
		}
		size_t skip = w->from_cell ? HEADER_BYTES : 0;
		if (send(w->to, w->bytes + skip, w->len - skip, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
			if (errno == EAGAIN || errno == EINTR)
				return true;
			if (errno == EPIPE || errno == ECONNRESET || errno == ECONNREFUSED || errno == ENOTCONN)
				return false;
		}
		w->len = 0; /* taken, or no good to the other side */
	}
	return true;
}

/* --- giving up --- */

static void give_up_files(void)
{
	struct landlock_ruleset_attr handled = {.handled_access_fs = (1ull << 13) - 1};
	int fd = (int)syscall(SYS_landlock_create_ruleset, &handled, sizeof(handled), 0);
	if (fd >= 0) {
		syscall(SYS_landlock_restrict_self, fd, 0);
		close(fd);
	}
}

static void give_up_privileges(pid_t monitor)
{
	struct rlimit none = {0, 0};
	if (geteuid() == 0 &&
		(syscall(SYS_setgroups, 0, NULL) < 0 || syscall(SYS_setresgid, NOBODY, NOBODY, NOBODY) < 0 ||
			syscall(SYS_setresuid, NOBODY, NOBODY, NOBODY) < 0) &&
		errno != EINVAL && errno != EPERM)
		fail("can't become nobody");
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* who changes its user forgets it */
	if (getppid() != monitor)
		_exit(1);
	prctl(PR_SET_DUMPABLE, 0);
	setrlimit(RLIMIT_NPROC, &none);
	setrlimit(RLIMIT_CORE, &none);
	setrlimit(RLIMIT_FSIZE, &none);
}

static void give_up_calls(void)
{
	static const uint32_t kept[] = {SYS_poll, SYS_recvfrom, SYS_sendto, SYS_exit_group};
	struct sock_filter code[sizeof(kept) / sizeof(kept[0]) + 6];
	unsigned n = 0, count = sizeof(kept) / sizeof(kept[0]);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
	code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, (uint8_t)(count + 1));
	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (unsigned i = 0; i < count; i++)
		code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kept[i], (uint8_t)(count - i), 0);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog program = {(unsigned short)n, code};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		fail("can't set no_new_privs");
	give_up_files();
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		fail("can't install a seccomp filter");
}

int main(int argc, char **argv)
{
	pid_t monitor = getppid();
	static struct way out = {.from = CELL_FD, .from_cell = true}, in = {.to = CELL_FD};
	struct vde_open_args args = {.mode = 0600};
	if (argc != 2) {
		fputs("usage: vauban-vde SWITCH (started by vauban run --net vde:SWITCH)\n", stderr);
		return 2;
	}
	VDECONN *conn = vde_open(argv[1], "vauban", &args);
	if (!conn)
		fail(argv[1]);
	out.to = in.from = vde_datafd(conn);
	int control = vde_ctlfd(conn);
	fputs("ready\n", stderr);
	give_up_privileges(monitor);
	give_up_calls();
	for (;;) {
		struct pollfd p[] = {{CELL_FD, (short)((out.len ? 0 : POLLIN) | (in.len ? POLLOUT : 0)), 0},
			{in.from, (short)((in.len ? 0 : POLLIN) | (out.len ? POLLOUT : 0)), 0}, {control, POLLIN, 0}};
		if (poll(p, 3, -1) < 0 && errno != EINTR)
			_exit(1);
		if (p[2].revents) /* the switch says nothing after the start */
			_exit(3);
		if (!carry(&out) || !carry(&in))
			_exit(p[0].revents & POLLHUP ? 0 : 3);
	}
}
