/* Life of a cell: preparation, start, one poll loop, and an orderly end whatever happened.
 *
 * The tender is started before the cell is recorded, so that the program does not wait for files that only others read.
 */
#include "monitor/monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/types.h"
#include "host/file.h"
#include "host/log.h"
#include "host/parse.h"
#include "monitor/cell.h"
#include "monitor/site.h"
#include "monitor/volume.h"

#define STACK_TRIM_BYTES (1u << 20) /* well below any stack limit */

int64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

/* --- watches --- */

static struct watch *find_watch(struct monitor *m, int fd)
{
	for (unsigned i = 0; i < MONITOR_MAX_WATCHES; i++)
		if (m->watches[i].fd == fd)
			return &m->watches[i];
	return NULL;
}

/* Everybody who adds one has a bound; their sum is below MONITOR_MAX_WATCHES. */
void watch_add(struct monitor *m, int fd, short events, watch_fn *ready, void *arg)
{
	struct watch *w = find_watch(m, -1);
	if (w && fd >= 0)
		*w = (struct watch){.fd = fd, .events = events, .ready = ready, .arg = arg};
}

void watch_remove(struct monitor *m, int fd)
{
	struct watch *w = fd >= 0 ? find_watch(m, fd) : NULL;
	if (w)
		w->fd = -1;
}

void watch_events(struct monitor *m, int fd, short events)
{
	struct watch *w = fd >= 0 ? find_watch(m, fd) : NULL;
	if (w)
		w->events = events;
}

static void poll_once(struct monitor *m)
{
	struct pollfd p[MONITOR_MAX_WATCHES];
	struct watch *of[MONITOR_MAX_WATCHES];
	nfds_t count = 0; /* poll() wants no more than there may be descriptors */
	int timeout_ms = -1;
	for (struct watch *w = m->watches; w < m->watches + MONITOR_MAX_WATCHES; w++) {
		if (w->fd < 0 || !w->events)
			continue;
		of[count] = w;
		p[count++] = (struct pollfd){.fd = w->fd, .events = w->events};
	}
	if (m->deadline_ns) {
		int64_t left = m->deadline_ns - now_ns();
		timeout_ms = left > 0 ? (int)(left / 1000000) + 1 : 0;
	}
	if (poll(p, count, timeout_ms) < 0 && errno != EINTR)
		tender_condemn(m, "poll: %s", strerror(errno));
	for (nfds_t i = 0; i < count; i++) {
		if (p[i].revents && of[i]->fd == p[i].fd)
			of[i]->ready(m, p[i].fd, p[i].revents, of[i]->arg);
	}
	if (m->deadline_ns && now_ns() >= m->deadline_ns && m->tender) {
		kill(m->tender, SIGKILL);
		m->deadline_ns = 0;
	}
}

/* --- signals --- */

static const int forwarded[] = {
	SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM, SIGTSTP, SIGTTIN, SIGTTOU, SIGCONT, SIGVTALRM, SIGPROF, SIGWINCH};

static void block_signals(void)
{
	static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP};
	sigset_t all;
	sigfillset(&all);
	for (unsigned i = 0; i < VB_ARRAY_LEN(own); i++)
		sigdelset(&all, own[i]);
	sigprocmask(SIG_SETMASK, &all, NULL);
	/* Before there is a child: this discards a SIGCHLD that is pending. */
	struct sigaction child = {.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDSTOP};
	sigaction(SIGCHLD, &child, NULL);
}

void monitor_signal(struct monitor *m, int sig)
{
	if (!m->tender)
		return;
	if (sig == SIGKILL) {
		m->kill_signal = sig;
		kill(m->tender, SIGKILL);
		return;
	}
	if (sig == SIGCONT && m->state == CELL_STOPPED) {
		m->state = CELL_RUNNING;
		kill(m->tender, SIGCONT);
		m->cpu_held = false;
	}
	/* A cell that takes no messages is stuck; a signal more or less makes no difference. */
	message_send(m, VB_MSG_SIGNAL, (uint32_t)sig, NULL, 0);
}

void monitor_stop(struct monitor *m)
{
	if (!m->tender)
		return; /* it said so and died: kill(0) would be for our process group */
	m->state = CELL_STOPPED;
	if (m->options->detach)
		return; /* nobody's job: the kernel holds the program until a client sends SIGCONT */
	kill(m->tender, SIGSTOP);
	kill(getpid(), SIGSTOP);
}

static void reap(struct monitor *m)
{
	struct rusage used;
	if (!m->tender || wait4(m->tender, &m->tender_status, WNOHANG, &used) != m->tender)
		return;
	m->tender = 0;
	m->cpu_seconds =
		(double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) + (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static void signal_ready(struct monitor *m, int fd, short revents, void *arg)
{
	struct signalfd_siginfo info;
	while (read(fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGCHLD) {
			reap(m);
			net_reap(m);
		} else if (info.ssi_signo == SIGWINCH) {
			terminal_window_changed(m);
		} else if (info.ssi_signo == TABLES_SIGNAL) {
			tables_check(m);
		} else {
			monitor_signal(m, (int)info.ssi_signo);
		}
	}
}

/* What the caller ignores (nohup, background jobs of a shell) is not the program's either. */
static void signals_start(struct monitor *m)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, TABLES_SIGNAL);
	for (unsigned i = 0; i < VB_ARRAY_LEN(forwarded); i++) {
		struct sigaction old;
		if (sigaction(forwarded[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			sigaddset(&set, forwarded[i]);
	}
	for (int sig = SIGRTMIN; sig <= SIGRTMAX; sig++)
		sigaddset(&set, sig);
	int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	watch_add(m, fd, POLLIN, signal_ready, NULL);
}

/* --- start --- */

static int open_volumes(struct monitor *m, struct vb_error *err)
{
	const struct monitor_options *o = m->options;
	for (unsigned i = 0; i < o->volume_count; i++) {
		m->volumes[i] = volume_open(o->volumes[i].host_dir, o->volumes[i].read_only, err);
		if (!m->volumes[i])
			return -EINVAL;
	}
	if (o->core_dir && !(m->core = volume_open_core(o->core_dir, err)))
		return -EINVAL;
	return 0;
}

static int claim(struct monitor *m, struct vb_error *err)
{
	int r = registry_open(&m->cells_fd, err);
	return r < 0 ? r : registry_claim(m->cells_fd, m->options->name, m->options->program, m->name, &m->dir_fd, err);
}

/* The rest of the record; the program runs meanwhile. A cell in the foreground does without if there is no place. */
static void record(struct monitor *m)
{
	if (m->dir_fd < 0 && claim(m, NULL) < 0) {
		cpu_limit_start(m);
		return;
	}
	m->log.dir_fd = m->dir_fd;
	cpu_limit_start(m);
	if (fchdir(m->dir_fd) == 0)
		control_start(m);
	json_t *json = report_cell(m);
	char *text = json_dumps(json, JSON_INDENT(2));
	json_decref(json);
	if (text)
		file_replace(m->dir_fd, "cell.json", text, strlen(text));
	free(text);
}

static int start(struct monitor *m, struct vb_error *err)
{
	const char *runtime_dir;
	char empty_root[4096];
	clock_gettime(CLOCK_REALTIME, &m->started);
	block_signals();
	int r = terminal_init(m, err);
	if (r < 0)
		return r;
	stdio_describe(m);
	if ((r = open_volumes(m, err)) < 0 || (r = site_open(m, err)) < 0 || (r = net_open(m, err)) < 0 ||
		(r = boot_create(m, err)) < 0 || (r = tender_create_files(m, err)) < 0)
		return r;
	bool registry = registry_runtime_dir(&runtime_dir, err) == 0;
	if (registry)
		snprintf(empty_root, sizeof(empty_root), "%s/empty", runtime_dir);
	/* With a name of its own the cell must not run before the name is known to be free. */
	if ((m->options->name || m->options->detach) && (r = claim(m, err)) < 0)
		return r;
	if ((r = net_wait(m, err)) < 0 || (r = tender_spawn(m, registry ? empty_root : NULL, err)) < 0)
		return r;
	const struct vb_stats *stats = mmap(NULL, VB_STATS_BYTES, PROT_READ, MAP_SHARED, m->stats_fd, 0);
	m->stats = stats == MAP_FAILED ? NULL : stats;
	fd_close(&m->stats_fd);
	signals_start(m);
	watch_add(m, m->socket, POLLIN, messages_ready, NULL);
	site_start(m);
	terminal_start(m);
	tables_watch(m);
	record(m);
	return 0;
}

/* --- end --- */

/* How it ended, where the kernel did not say. */
static void explain(struct monitor *m)
{
	int sig = WIFSIGNALED(m->tender_status) ? WTERMSIG(m->tender_status) : 0;
	m->exit = (struct vb_msg_exit){.status = MONITOR_STATUS_FAILED};
	if (m->condemned)
		return;
	if (m->kill_signal)
		m->exit = (struct vb_msg_exit){.signal = m->kill_signal};
	else if (sig == SIGSYS)
		log_error("the cell was killed: it made a call to the host that is not allowed (seccomp)");
	else if (sig == SIGKILL)
		log_error("the cell was killed from outside (SIGKILL): by somebody, or by the host for lack of memory");
	else if (sig)
		log_error("the cell was killed: its kernel crashed (%s)", signal_name(sig));
	else if (!m->error_said)
		log_error("the cell ended without saying why (status %d)", WEXITSTATUS(m->tender_status));
}

static void write_exit(struct monitor *m)
{
	json_t *json = report_state(m);
	char *text = json_dumps(json, JSON_INDENT(2));
	json_decref(json);
	if (text)
		file_replace(m->dir_fd, "exit.json", text, strlen(text));
	free(text);
}

static void release(struct monitor *m)
{
	int *fds[] = {&m->socket, &m->tender_socket, &m->memory_fd, &m->stats_fd, &m->boot_fd, &m->kernel_fd, &m->log.fd};
	cpu_limit_release(m);
	net_release(m);
	messages_release(m);
	for (unsigned i = 0; i < VB_BOOT_MAX_VOLUMES; i++)
		volume_close(m->volumes[i]);
	volume_close(m->core);
	site_close(m);
	for (unsigned i = 0; i < VB_ARRAY_LEN(fds); i++)
		fd_close(fds[i]);
	fd_close(&m->dir_fd);
	fd_close(&m->cells_fd);
	control_exited(m); /* last: who waits for the end may count on names and ports being free */
}

static void finish(struct monitor *m)
{
	while (!m->condemned && !m->exit_known && find_watch(m, m->socket))
		messages_ready(m, m->socket, POLLIN, NULL); /* what it sent before it went; ends at the end of the stream */
	if (!m->exit_known || m->condemned)
		explain(m);
	m->state = CELL_EXITED;
	terminal_release(m);
	bool keep = m->options->detach && !m->options->remove;
	if (m->dir_fd >= 0 && keep)
		write_exit(m);
	if (m->dir_fd >= 0 && !keep)
		registry_remove(m->cells_fd, m->name);
}

/* Gives back the stack that only the start needed: half of what a waiting monitor would keep of the host's memory. */
static void stack_trim(void)
{
	uintptr_t here = vb_page_down((uintptr_t)__builtin_frame_address(0)) - VB_PAGE_SIZE;
	madvise((void *)(here - STACK_TRIM_BYTES), STACK_TRIM_BYTES, MADV_DONTNEED);
}

/* ready_fd: where a detached monitor says that the cell is on its way. */
static int run_cell(const struct monitor_options *options, int stdin_fd, int ready_fd, struct monitor_result *ret, struct vb_error *err)
{
	static struct monitor the_cell;
	struct monitor *m = &the_cell;
	*m = (struct monitor){.options = options,
		.socket = -1,
		.tender_socket = -1,
		.memory_fd = -1,
		.stats_fd = -1,
		.boot_fd = -1,
		.kernel_fd = -1,
		.output_fd = {-1, -1},
		.control_listener = -1,
		.debug_listener = -1,
		.debugger = -1,
		.dir_fd = -1,
		.cells_fd = -1,
		.log = {-1, -1, 0},
		.cpu_timer = -1,
		.net_timer = -1,
		.caller_stdin = stdin_fd};
	list_init(&m->queue);
	list_init(&m->clients);
	for (unsigned i = 0; i < MONITOR_MAX_WATCHES; i++)
		m->watches[i].fd = -1;

	int r = start(m, err);
	if (r < 0) {
		if (m->dir_fd >= 0)
			registry_remove(m->cells_fd, m->name);
		release(m);
		return r;
	}
	if (ready_fd >= 0) {
		dprintf(ready_fd, "+%s", m->name);
		close(ready_fd);
	}
	if (m->cells_fd >= 0)
		registry_sweep(m->cells_fd);
	stack_trim();
	while (m->tender)
		poll_once(m);
	finish(m);
	*ret = (struct monitor_result){.status = m->exit.status, .signal = m->exit.signal};
	release(m);
	return 0;
}

/* --- detached --- */

static _Noreturn void detached_monitor(const struct monitor_options *options, int ready_fd)
{
	struct vb_error err = {""};
	struct monitor_result result;
	int stdin_fd = options->interactive ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 16) : -1;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = 0; fd < 3; fd++)
		dup2(null, fd);
	int r = null < 0 ? vb_error_errno(&err, "/dev/null") : run_cell(options, stdin_fd, ready_fd, &result, &err);
	if (r < 0)
		dprintf(ready_fd, "-%s", err.text);
	_exit(0);
}

/* Forks twice, so that the monitor is nobody's child and leads a session without a terminal. */
static int run_detached(const struct monitor_options *options, struct vb_error *err)
{
	int pair[2];
	if (pipe2(pair, O_CLOEXEC) < 0)
		return vb_error_errno(err, "can't make a pipe");
	pid_t child = fork();
	if (child == 0) {
		setsid();
		pid_t grandchild = fork();
		if (grandchild == 0)
			detached_monitor(options, pair[1]);
		_exit(grandchild < 0 ? errno : 0);
	}
	close(pair[1]);
	char answer[sizeof(err->text) + 1];
	size_t len = 0;
	for (ssize_t n = 1; child > 0 && n > 0 && len<sizeof(answer) - 1; len += n> 0 ? (size_t)n : 0)
		n = read(pair[0], answer + len, sizeof(answer) - 1 - len);
	answer[len] = 0;
	close(pair[0]);
	if (child > 0)
		waitpid(child, NULL, 0);
	if (answer[0] == '-')
		return vb_error_set(err, -EINVAL, "%s", answer + 1);
	if (answer[0] != '+')
		return vb_error_set(err, -EINVAL, "can't start a monitor in the background");
	puts(answer + 1);
	return 0;
}

int monitor_run(const struct monitor_options *options, struct monitor_result *ret, struct vb_error *err)
{
	if (!options->detach)
		return run_cell(options, -1, -1, ret, err);
	*ret = (struct monitor_result){0};
	return run_detached(options, err);
}
