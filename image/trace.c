/* A ptrace loop over a command and its children. Owns them until the last has ended: PTRACE_O_EXITKILL ends them with us. The
 * command is trusted by whoever asks to run it; what it passes to its calls is copied with bounds and only ever used to look up
 * files that the caller could have named himself.
 */
#include "image/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <linux/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/types.h"

enum { TRACED_MAX = 4096 }; /* threads and processes at one time */
enum {
	OPTIONS = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC |
		  PTRACE_O_EXITKILL
};

/* Calls that name a file: which argument has the directory descriptor (-1: the working directory), which the path, which the
 * flags of open (-1: none). */
static const struct file_call {
	int nr, dirfd, path, flags;
} file_calls[] = {
	{SYS_open, -1, 0, 1},
	{SYS_openat, 0, 1, 2},
	{SYS_execve, -1, 0, -1},
	{SYS_execveat, 0, 1, -1},
	{SYS_stat, -1, 0, -1},
	{SYS_lstat, -1, 0, -1},
	{SYS_newfstatat, 0, 1, -1},
	{SYS_statx, 0, 1, -1},
	{SYS_access, -1, 0, -1},
	{SYS_faccessat, 0, 1, -1},
	{SYS_faccessat2, 0, 1, -1},
	{SYS_readlink, -1, 0, -1},
	{SYS_readlinkat, 0, 1, -1},
	{SYS_chdir, -1, 0, -1},
	{SYS_openat2, 0, 1, -1},
};

struct traced {     /* a thread inside a call */
	pid_t tid;  /* 0: free */
	char *path; /* what the call names; NULL: nothing of interest */
};

struct tracer {
	struct traced at[TRACED_MAX];
	struct tree *tree;
};

static struct traced *find_traced(struct tracer *tr, pid_t tid)
{
	struct traced *free_one = NULL;

	for (size_t i = 0; i < TRACED_MAX; i++) {
		if (tr->at[i].tid == tid)
			return &tr->at[i];
		if (!tr->at[i].tid && !free_one)
			free_one = &tr->at[i];
	}
	if (free_one)
		free_one->tid = tid;
	return free_one;
}

static bool read_path(pid_t tid, uint64_t addr, char *ret)
{
	size_t got = 0;

	while (got < PATH_MAX) { /* page by page: the next one may not be there */
		size_t want = vb_min(PATH_MAX - got, (size_t)(4096 - (addr + got) % 4096));
		struct iovec to = {ret + got, want}, from = {(void *)(addr + got), want};
		ssize_t n = process_vm_readv(tid, &to, 1, &from, 1, 0);

		if (n <= 0)
			return false;
		if (memchr(ret + got, 0, n))
			return true;
		got += n;
	}
	return false;
}

/* The absolute path that a call of the thread means, or NULL. */
static char *absolute(pid_t tid, int dirfd, const char *path)
{
	char link[64], dir[PATH_MAX], *full = NULL;
	ssize_t len;

	if (path[0] == '/')
		return strdup(path);
	if (dirfd == AT_FDCWD)
		snprintf(link, sizeof(link), "/proc/%d/cwd", tid);
	else
		snprintf(link, sizeof(link), "/proc/%d/fd/%d", tid, dirfd);
	len = readlink(link, dir, sizeof(dir) - 1);
	if (len <= 0 || dir[0] != '/')
		return NULL;
	dir[len] = 0;
	return asprintf(&full, "%s/%s", dir, path) < 0 ? NULL : full;
}

static void call_enters(struct traced *t, const struct ptrace_syscall_info *info)
{
	char path[PATH_MAX];

	free(t->path);
	t->path = NULL;
	for (size_t i = 0; i < VB_ARRAY_LEN(file_calls); i++) {
		const struct file_call *c = &file_calls[i];

		if ((uint64_t)c->nr != info->entry.nr)
			continue;
		if (c->flags >= 0 && (info->entry.args[c->flags] & O_ACCMODE) != O_RDONLY)
			return;
		if (read_path(t->tid, info->entry.args[c->path], path) && *path)
			t->path = absolute(t->tid, c->dirfd < 0 ? AT_FDCWD : (int)info->entry.args[c->dirfd], path);
		return;
	}
}

static bool of_interest(const char *path)
{
	static const char *const not_below[] = {"/proc", "/sys", "/dev", "/run", "/tmp"};

	for (size_t i = 0; i < VB_ARRAY_LEN(not_below); i++) {
		size_t n = strlen(not_below[i]);

		if (!strncmp(path, not_below[i], n) && (!path[n] || path[n] == '/'))
			return false;
	}
	return true;
}

static void call_leaves(struct tracer *tr, struct traced *t)
{
	if (t->path && of_interest(t->path))
		tree_add_path(tr->tree, t->path, NULL, NULL); /* gone again, or no permission: then it can't be added */
	free(t->path);
	t->path = NULL;
}

/* Deals with a stop of the thread; returns the signal to go on with. */
static int handle_stop(struct tracer *tr, pid_t tid, int status)
{
	struct traced *t = find_traced(tr, tid);
	struct ptrace_syscall_info info;
	int sig = WSTOPSIG(status);

	if (status >> 16) { /* an event: fork, exec; exec has succeeded when it says so */
		if (status >> 16 == PTRACE_EVENT_EXEC && t)
			call_leaves(tr, t);
		return 0;
	}
	if (sig == SIGSTOP && t && !t->path)
		return 0; /* a new child's first stop */
	if (sig != (SIGTRAP | 0x80))
		return sig;
	if (!t || ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof(info), &info) <= 0)
		return 0;
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
		call_enters(t, &info);
	else if (info.op == PTRACE_SYSCALL_INFO_EXIT && !info.exit.is_error)
		call_leaves(tr, t);
	return 0;
}

static void forget(struct tracer *tr, pid_t tid)
{
	struct traced *t = find_traced(tr, tid);

	if (t) {
		free(t->path);
		*t = (struct traced){0};
	}
}

static void child(char **argv)
{
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
		_exit(126);
	raise(SIGSTOP);
	execvp(argv[0], argv);
	fprintf(stderr, "vauban image: %s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

int trace_command(struct tree *t, char **argv, int *ret_status, struct vb_error *err)
{
	struct tracer *tr = calloc(1, sizeof(*tr));
	int status, result = 0;
	pid_t first, tid;

	if (!tr)
		return vb_error_set(err, -ENOMEM, "out of memory");
	tr->tree = t;
	first = fork();
	if (first == 0)
		child(argv);
	if (first < 0 || waitpid(first, &status, 0) != first || !WIFSTOPPED(status) || ptrace(PTRACE_SETOPTIONS, first, NULL, OPTIONS)) {
		result = vb_error_set(err, -EPERM, "can't trace %s: %s; is ptrace forbidden here?", argv[0], strerror(errno));
		if (first > 0)
			kill(first, SIGKILL);
		free(tr);
		return result;
	}
	ptrace(PTRACE_SYSCALL, first, NULL, NULL);
	while ((tid = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR) {
		if (tid <= 0)
			continue;
		if (WIFSTOPPED(status)) {
			ptrace(PTRACE_SYSCALL, tid, NULL, (void *)(long)handle_stop(tr, tid, status));
			continue;
		}
		forget(tr, tid);
		if (tid == first)
			*ret_status = status;
	}
	for (size_t i = 0; i < TRACED_MAX; i++)
		free(tr->at[i].path);
	free(tr);
	return result;
}
