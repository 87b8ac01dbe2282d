/* The tender process: what it inherits, and nothing else. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "host/file.h"
#include "host/paths.h"
#include "monitor/cell.h"

#include <vauban/hostcall.h>

#define TENDER_FDS         (VB_FD_KERNEL + 1)
#define NO_FD              -2 /* to be closed; -1: can't be had */
#define TENDER_STACK_BYTES (8ull << 20)

struct spawn {
	const char *path;
	char *argv[3];
	int fd[TENDER_FDS];
	int error; /* set by the child, which shares our memory until it is another program */
};

void close_from(int first)
{
	if (syscall(SYS_close_range, first, ~0u, 0) == 0)
		return;
	struct rlimit limit;
	int end = getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < 65536 ? (int)limit.rlim_cur : 65536;
	for (int fd = first; fd < end; fd++)
		close(fd);
}

static void lower_limit(int resource, rlim_t value)
{
	struct rlimit limit;
	if (getrlimit(resource, &limit) == 0 && (limit.rlim_max == RLIM_INFINITY || value <= limit.rlim_max)) {
		limit.rlim_cur = value;
		setrlimit(resource, &limit);
	}
}

/* Runs on our memory while we wait: only system calls. All signals are blocked and stay so in the tender, which takes
 * over what it needs at lock-down: a ^C meanwhile is ours. */
static int spawn_child(void *arg)
{
	struct spawn *s = arg;
	static char *no_environment[] = {NULL};

	for (int i = 0; i < TENDER_FDS; i++) {
		if (s->fd[i] == NO_FD)
			continue;
		if (s->fd[i] < TENDER_FDS && s->fd[i] != i)
			s->fd[i] = fcntl(s->fd[i], F_DUPFD_CLOEXEC, TENDER_FDS);
		if (s->fd[i] < 0) {
			if (errno == EINVAL) /* so fcntl() says that the number is beyond the limit */
				errno = EMFILE;
			goto fail;
		}
	}
	for (int i = 0; i < TENDER_FDS; i++)
		if (s->fd[i] == NO_FD)
			close(i);
		else if (s->fd[i] == i ? fcntl(i, F_SETFD, 0) < 0 : dup2(s->fd[i], i) < 0)
			goto fail;
	close_from(TENDER_FDS);
	lower_limit(RLIMIT_STACK, TENDER_STACK_BYTES);
	lower_limit(RLIMIT_CORE, 0);
	execve(s->path, s->argv, no_environment);
fail:
	s->error = errno;
	_exit(127);
}

/* A memory file of fixed size: nobody can make our mapping of it fault. */
static int create_memory(const char *name, uint64_t bytes)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd >= 0 && (ftruncate(fd, (off_t)bytes) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0))
		fd_close(&fd);
	return fd;
}

int tender_create_files(struct monitor *m, struct vb_error *err)
{
	char path[PATH_MAX];
	int pair[2], r = path_helper("vauban-kernel-process", path, sizeof(path), err);
	if (r < 0)
		return r;
	m->kernel_fd = open(path, O_RDONLY | O_CLOEXEC);
	if (m->kernel_fd < 0)
		return vb_error_errno(err, "%s", path);
	m->memory_fd = create_memory("vauban-memory", m->options->memory_bytes);
	if (m->memory_fd < 0)
		return vb_error_errno(err, "can't make a memory file of %llu bytes", (unsigned long long)m->options->memory_bytes);
	m->stats_fd = create_memory("vauban-stats", VB_STATS_BYTES);
	if (m->stats_fd < 0)
		return vb_error_errno(err, "can't make the statistics page");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return vb_error_errno(err, "can't make a socket");
	m->socket = pair[0];
	m->tender_socket = pair[1];
	return 0;
}

int tender_spawn(struct monitor *m, const char *empty_root, struct vb_error *err)
{
	char stack[16384] __attribute__((aligned(16)));
	char path[PATH_MAX], root_option[PATH_MAX + 16];
	int r = path_helper("vauban-tender", path, sizeof(path), err);
	if (r < 0)
		return r;
	struct spawn s = {
		.path = path,
		.argv = {"vauban-tender"},
		.fd = {[VB_FD_STDIN] = m->stdio_fd[0],
			[VB_FD_STDOUT] = m->stdio_fd[1],
			[VB_FD_STDERR] = m->stdio_fd[2],
			[VB_FD_MONITOR] = m->tender_socket,
			[VB_FD_MEMORY] = m->memory_fd,
			[VB_FD_IMAGE] = m->options->image_fd,
			[VB_FD_STATS] = m->stats_fd,
			[VB_FD_BOOT] = m->boot_fd,
			[VB_FD_KERNEL] = m->kernel_fd},
	};
	for (unsigned i = 0; i < VB_NETS_MAX; i++)
		s.fd[VB_FD_NET + i] = i < m->net_count ? m->net[i].tender_fd : NO_FD;
	if (empty_root) {
		snprintf(root_option, sizeof(root_option), "empty_root=%s", empty_root);
		s.argv[1] = root_option;
	}
	/* As vfork(): no page table to copy, and we know at once whether it worked. */
	m->tender = clone(spawn_child, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, &s);
	fd_close(&m->tender_socket);
	fd_close(&m->boot_fd);
	fd_close(&m->kernel_fd);
	fd_close(&m->memory_fd);
	for (unsigned i = 0; i < m->net_count; i++)
		fd_close(&m->net[i].tender_fd);
	if (m->tender < 0) {
		m->tender = 0;
		return vb_error_errno(err, "can't make a process for the cell");
	}
	errno = s.error;
	return s.error ? vb_error_errno(err, "can't start %s", path) : 0;
}

double tender_cpu_seconds(const struct monitor *m)
{
	clockid_t clock;
	struct timespec t;
	if (!m->tender || clock_getcpuclockid(m->tender, &clock) != 0 || clock_gettime(clock, &t) < 0)
		return m->cpu_seconds;
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}
