/* Owns the driver's children, temporary files and signals. Signals that ask us to end are blocked from the start and taken
 * while a child runs, so that no handler interrupts anything: the child gets them, too, and then our files are removed. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/types.h"
#include "host/error.h"
#include "host/file.h"
#include "host/log.h"
#include "variant/driver.h"

extern char **environ;

/* --- words --- */

static void *check(void *p)
{
	if (!p) {
		log_error("out of memory");
		driver_cleanup();
		exit(1);
	}
	return p;
}

void words_add(struct words *w, const char *text)
{
	if (w->count + 1 >= w->room) {
		w->room = w->room ? w->room * 2 : 64;
		w->at = check(realloc(w->at, w->room * sizeof(*w->at)));
	}
	w->at[w->count++] = text;
	w->at[w->count] = NULL;
}

static char *format_text(const char *fmt, va_list ap)
{
	char *text;
	return check(vasprintf(&text, fmt, ap) < 0 ? NULL : text);
}

char *words_text(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	char *text = format_text(fmt, ap);
	va_end(ap);
	return text;
}

void words_addf(struct words *w, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	words_add(w, format_text(fmt, ap));
	va_end(ap);
}

void words_free(struct words *w)
{
	free(w->at);
	*w = (struct words){0};
}

/* --- temporary files --- */

static char folder[PATH_MAX]; /* "" until it is needed */
static unsigned names;
static struct words pending; /* files beside others that have not been renamed yet */

const char *driver_temporary(const char *suffix, struct vb_error *err)
{
	const char *base = getenv("TMPDIR");
	if (!*folder) {
		if (!base || !*base)
			base = "/tmp";
		if (snprintf(folder, sizeof(folder), "%s/vauban-cc.XXXXXX", base) >= (int)sizeof(folder) || !mkdtemp(folder)) {
			*folder = 0;
			vb_error_errno(err, "can't make a folder for temporary files in %s (see TMPDIR)", base);
			return "";
		}
	}
	return words_text("%s/%u%s", folder, names++, suffix);
}

static bool is_plain_file(const char *path)
{
	struct stat st;
	return stat(path, &st) < 0 || S_ISREG(st.st_mode);
}

const char *driver_beside(const char *path, struct vb_error *err)
{
	if (!strcmp(path, "-") || !is_plain_file(path))
		return driver_temporary("", err);
	words_addf(&pending, "%s.vauban-%d", path, getpid());
	return pending.at[pending.count - 1];
}

/* Copies to where only writing is possible: a pipe, a device. */
static int copy_out(const char *from, const char *to, struct vb_error *err)
{
	char *bytes;
	size_t size;
	int r = file_read(AT_FDCWD, from, 1u << 30, &bytes, &size);
	if (r < 0)
		return vb_error_set(err, r, "%s: %s", from, strerror(-r));
	int fd = !strcmp(to, "-") ? dup(STDOUT_FILENO) : open(to, O_WRONLY | O_CLOEXEC);
	r = fd < 0 ? -errno : fd_write_all(fd, bytes, size);
	fd_close(&fd);
	free(bytes);
	return r < 0 ? vb_error_set(err, r, "can't write to %s: %s", to, strerror(-r)) : 0;
}

int driver_commit(const char *temporary, const char *path, struct vb_error *err)
{
	for (size_t i = 0; i < pending.count; i++) {
		if (strcmp(pending.at[i], temporary) != 0)
			continue;
		if (rename(temporary, path) < 0)
			return vb_error_errno(err, "can't rename %s to %s", temporary, path);
		pending.at[i] = pending.at[--pending.count];
		return 0;
	}
	return copy_out(temporary, path, err);
}

void driver_cleanup(void)
{
	while (pending.count)
		unlink(pending.at[--pending.count]);
	if (*folder)
		dir_remove(AT_FDCWD, folder);
	*folder = 0;
}

/* --- children --- */

static const int endings[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
static sigset_t callers; /* blocked when we were started */
static sigset_t waited;  /* of endings, those that the caller does not ignore */
static int ending;

int driver_signal(void)
{
	struct timespec none = {0, 0};
	int sig = ending ? 0 : sigtimedwait(&waited, NULL, &none);
	if (sig > 0)
		ending = sig;
	return ending;
}

void driver_signals_init(void)
{
	struct sigaction how;
	sigset_t set;
	signal(SIGCHLD, SIG_DFL); /* a caller may have it ignored */
	sigemptyset(&waited);
	for (unsigned i = 0; i < VB_ARRAY_LEN(endings); i++) {
		if (sigaction(endings[i], NULL, &how) == 0 &&
			how.sa_handler != SIG_IGN) /* as nohup has it, and the shell in the background */
			sigaddset(&waited, endings[i]);
	}
	set = waited;
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, &callers);
}

void driver_signals_restore(void)
{
	sigprocmask(SIG_SETMASK, &callers, NULL);
}

static int await(pid_t pid)
{
	sigset_t set = waited;
	int status;
	sigaddset(&set, SIGCHLD);
	for (;;) {
		pid_t got = waitpid(pid, &status, WNOHANG);
		if (got == pid)
			return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
		if (got < 0)
			return 1;
		int sig = sigwaitinfo(&set, NULL);
		if (sig > 0 && sig != SIGCHLD) {
			ending = sig;
			kill(pid, sig);
		}
	}
}

/* A command line that the kernel might not take goes into a file: @FILE. */
static int shorten(const char *const *argv, struct words *ret, struct vb_error *err)
{
	size_t bytes = 0;
	for (const char *const *a = argv; *a; a++)
		bytes += strlen(*a) + 1;
	words_add(ret, argv[0]);
	if (bytes <= DRIVER_MAX_ARGUMENT_BYTES || !argv[1]) {
		while (*++argv)
			words_add(ret, *argv);
		return 0;
	}
	const char *path = driver_temporary(".args", err);
	FILE *f = *path ? fopen(path, "we") : NULL;
	if (!f)
		return *path ? vb_error_errno(err, "%s", path) : -ENOENT;
	while (*++argv) {
		putc('"', f);
		for (const char *c = *argv; *c; c++)
			fprintf(f, *c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
		fputs("\"\n", f);
	}
	bool failed = ferror(f);
	failed |= fclose(f) != 0;
	words_addf(ret, "@%s", path);
	return failed ? vb_error_errno(err, "%s", path) : 0;
}

static int spawn(const char *const *argv, const struct driver_child *child, pid_t *ret_pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	posix_spawnattr_setsigmask(&attributes, &callers);
	if (child->folder)
		posix_spawn_file_actions_addchdir_np(&actions, child->folder);
	if (child->input >= 0)
		posix_spawn_file_actions_adddup2(&actions, child->input, STDIN_FILENO);
	if (child->output)
		posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, child->output, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (child->errors)
		posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, child->errors, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	int r = posix_spawnp(
		ret_pid, argv[0], &actions, &attributes, (char *const *)argv, child->environment ? child->environment : environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	return -r;
}

int driver_run(const char *const *argv, const struct driver_child *child, struct vb_error *err)
{
	struct words shorter = {0};
	pid_t pid;
	if (driver_signal())
		return 128 + driver_signal();
	if (child->input >= 0)
		lseek(child->input, 0, SEEK_SET);
	int r = shorten(argv, &shorter, err);
	if (r == 0 && (r = spawn(shorter.at, child, &pid)) < 0)
		vb_error_set(err, r, "can't start %s: %s", argv[0], strerror(-r));
	words_free(&shorter);
	return r < 0 ? r : await(pid);
}

/* --- programs --- */

static const struct {
	const char *prefix, *package;
} packages[] = {
	{"gcc", "gcc"},
	{"g++", "g++"},
	{"clang", "clang-19"},
	{"as", "binutils"},
	{"objcopy", "binutils"},
	{"ld.lld", "lld-19"},
	{"make", "make"},
};

int driver_find(const char *name, const char **ret_path, struct vb_error *err)
{
	const char *path = getenv("PATH");
	if (strchr(name, '/')) {
		*ret_path = name;
		return access(name, X_OK) == 0 ? 0 : vb_error_errno(err, "can't run %s", name);
	}
	for (const char *end; path && *path; path = *end ? end + 1 : end) {
		end = strchrnul(path, ':');
		char candidate[PATH_MAX];
		struct stat st;
		int n = snprintf(candidate, sizeof(candidate), "%.*s/%s", (int)(end - path), path, name);
		if (end > path && n < (int)sizeof(candidate) && access(candidate, X_OK) == 0 && stat(candidate, &st) == 0 &&
			S_ISREG(st.st_mode)) {
			*ret_path = words_text("%s", candidate);
			return 0;
		}
	}
	for (unsigned i = 0; i < VB_ARRAY_LEN(packages); i++) {
		if (strncmp(name, packages[i].prefix, strlen(packages[i].prefix)) == 0)
			return vb_error_set(err, -ENOENT, "%s is missing: install the Debian package %s (apt-get install %s)", name,
				packages[i].package, packages[i].package);
	}
	return vb_error_set(err, -ENOENT, "%s is missing from PATH", name);
}
