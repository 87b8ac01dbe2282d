/* Processes that carry frames for an interface. They are trusted as far as any program of the user's; what they print is not. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/capability.h>

#include "host/error.h"
#include "host/file.h"
#include "monitor/net_private.h"

#define LAST_WORDS_MS 2000
#define NOBODY        65534

struct start {
	const char *path;
	bool as_nobody;
	pid_t monitor;
	char *const *argv;
	int null, log, frames;
	int error; /* set by the child, which shares our memory until it is another program */
};

/* As passt would, but before it runs: a process that changes its user forgets whose death it is to die of. What is left of root is
 * the right to ports below 1024. Only plain system calls: the C library's are for processes that share no memory. */
static int become_nobody(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct caps[2] = {{0}};
	if (syscall(SYS_prctl, PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 || syscall(SYS_setgroups, 0, NULL) < 0 ||
		syscall(SYS_setresgid, NOBODY, NOBODY, NOBODY) < 0 || syscall(SYS_setresuid, NOBODY, NOBODY, NOBODY) < 0)
		return errno == EINVAL ? 0 : -1; /* root of a user namespace without a nobody: stays what it is, as passt does */
	caps[0].permitted = caps[0].effective = caps[0].inheritable = 1u << CAP_NET_BIND_SERVICE;
	if (syscall(SYS_capset, &header, caps) < 0) {
		memset(caps, 0, sizeof(caps)); /* it was not ours either */
		return (int)syscall(SYS_capset, &header, caps);
	}
	syscall(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_BIND_SERVICE, 0, 0);
	return 0;
}

static int start_child(void *arg)
{
	static char *environment[] = {"PATH=/usr/bin:/bin", NULL};
	struct start *s = arg;
	int fd[4] = {s->null, s->log, s->log, s->frames};
	sigset_t none;
	setsid(); /* ^C is for the program */
	if (s->as_nobody && become_nobody() < 0)
		goto fail;
	syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != s->monitor)
		_exit(127);
	for (int i = 0; i < 4; i++) { /* none may be among the numbers that are to be filled */
		fd[i] = fcntl(fd[i], F_DUPFD_CLOEXEC, 4);
		if (fd[i] < 0)
			goto fail;
	}
	for (int i = 0; i < 4; i++)
		if (dup2(fd[i], i) < 0)
			goto fail;
	close_from(4);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execve(s->path, s->argv, environment);
fail:
	s->error = errno;
	_exit(127);
}

/* passt says this of each line where there is no system log. */
static bool is_noise(const char *line)
{
	return strncmp(line, "Failed to send ", 15) == 0 || strncmp(line, "Don't run as root.", 18) == 0;
}

static void line_done(struct monitor *m, struct monitor_net *n)
{
	n->said[n->said_len] = 0;
	n->said_len = 0;
	printable(n->said);
	if (!n->said[0] || is_noise(n->said))
		return;
	if (!n->ready && strcmp(n->said, "ready") == 0) {
		n->ready = true;
		return;
	}
	memcpy(n->last_words, n->said, sizeof(n->last_words));
	net_say(m, false, "%s: %s", n->helper_name, n->said);
}

bool helper_hear(struct monitor *m, struct monitor_net *n)
{
	char bytes[512];
	ssize_t got = read(n->log_fd, bytes, sizeof(bytes));
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	for (ssize_t i = 0; i < got; i++) {
		if (bytes[i] == '\n' || n->said_len == sizeof(n->said) - 1)
			line_done(m, n);
		if (bytes[i] != '\n')
			n->said[n->said_len++] = bytes[i];
	}
	if (got > 0)
		return true;
	line_done(m, n);
	watch_remove(m, n->log_fd);
	fd_close(&n->log_fd);
	return false;
}

static void log_ready(struct monitor *m, int fd, short revents, void *arg)
{
	helper_hear(m, arg);
}

int helper_spawn(
	struct monitor *m, struct monitor_net *n, const char *path, char *const *argv, int fd, bool as_nobody, struct vb_error *err)
{
	char stack[16384] __attribute__((aligned(16)));
	struct start s = {.path = path,
		.argv = argv,
		.as_nobody = as_nobody && geteuid() == 0,
		.monitor = getpid(),
		.frames = fd,
		.null = open("/dev/null", O_RDWR | O_CLOEXEC)};
	int pair[2];
	if (s.null < 0 || pipe2(pair, O_CLOEXEC) < 0) {
		int r = vb_error_errno(err, "can't start %s", path);
		fd_close(&s.null);
		return r;
	}
	s.log = pair[1];
	n->helper_name = argv[0];
	n->helper = clone(start_child, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, &s);
	int error = n->helper < 0 ? errno : s.error;
	close(pair[1]);
	fd_close(&s.null);
	if (error) {
		if (n->helper > 0)
			waitpid(n->helper, NULL, 0);
		n->helper = 0;
		close(pair[0]);
		errno = error;
		return vb_error_errno(err, "can't start %s", path);
	}
	n->log_fd = pair[0];
	fcntl(n->log_fd, F_SETFL, O_NONBLOCK);
	watch_add(m, n->log_fd, POLLIN, log_ready, n);
	return 0;
}

void helper_kill(struct monitor *m, struct monitor_net *n)
{
	if (n->helper > 0) {
		kill(n->helper, SIGKILL);
		waitpid(n->helper, NULL, 0);
		n->helper = 0;
	}
	watch_remove(m, n->log_fd);
	fd_close(&n->log_fd);
}

int helper_explain(struct monitor *m, struct monitor_net *n, struct vb_error *err)
{
	if (n->helper > 0)
		kill(n->helper, SIGKILL);
	struct pollfd p = {.fd = n->log_fd, .events = POLLIN};
	while (n->log_fd >= 0 && poll(&p, 1, LAST_WORDS_MS) > 0 && helper_hear(m, n))
		;
	return vb_error_set(err, -EIO, "%s: %s", n->helper_name, n->last_words[0] ? n->last_words : "it ended without saying why");
}
