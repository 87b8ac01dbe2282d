/* execve and execveat: errors while there is a way back, then what stays and what goes across an exec. The program execs
 * itself; the stages count on from one another.
 */
#include "guest.h"

#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

extern char **environ;
static char self[512], dir[] = "/tmp/guest-exec-XXXXXX", path[600];

static int exec_at(int fd, const char *name, char **argv, char **envp, int flags)
{
	return syscall(SYS_execveat, fd, name, argv, envp, flags);
}

static const char *file(const char *name)
{
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void write_file(const char *name, const char *text, size_t len, mode_t mode)
{
	int fd = open(file(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);
	EXPECT(write(fd, text, len), len);
	close(fd);
	EXPECT(chmod(file(name), mode), 0);
}

/* The next stage. How far the count is comes in the environment. */
static void next(const char *stage, char **more)
{
	char count[32];
	char *argv[8] = {"exec test", (char *)stage};
	for (int i = 0; more && more[i]; i++)
		argv[2 + i] = more[i];
	snprintf(count, sizeof(count), "%d %d %s", guest_count, guest_failed, dir);
	setenv("GUEST_COUNT", count, 1);
	execve(self, argv, environ);
	EXPECT(errno, 0);
	exit(1);
}

static void errors(void)
{
	char *argv[] = {"x", NULL}, *envp[] = {NULL}, *bad[] = {"x", (char *)16, NULL};
	static char name[5000], big[200000];
	char *large[] = {"x", big, NULL};
	char zeros[64] = {0};

	EXPECT_ERR(execve("/nonexistent", argv, envp), ENOENT);
	EXPECT_ERR(execve("", argv, envp), ENOENT);
	EXPECT_ERR(execve(self, (char **)16, envp), EFAULT);
	EXPECT_ERR(execve(self, bad, envp), EFAULT);
	EXPECT_ERR(execve(self, argv, (char **)16), EFAULT);
	EXPECT_ERR(execve(self, argv, bad), EFAULT);
	EXPECT_ERR(execve((char *)16, argv, envp), EFAULT);
	EXPECT_ERR(execve("/", argv, envp), EACCES);
	EXPECT_ERR(execve("/dev/null", argv, envp), EACCES);
	EXPECT_ERR(execve("/dev/null/x", argv, envp), ENOTDIR);
	memset(name, 'a', sizeof(name) - 1);
	EXPECT_ERR(execve(name, argv, envp), ENAMETOOLONG);
	name[300] = 0;
	EXPECT_ERR(execve(name, argv, envp), ENAMETOOLONG);
	memset(big, 'b', sizeof(big) - 1);
	EXPECT_ERR(execve(self, large, envp), E2BIG);
	EXPECT_ERR(execve(self, argv, large), E2BIG);
	big[131072] = 0; /* with its end one byte too long */
	EXPECT_ERR(execve(self, large, envp), E2BIG);
	char **many = calloc(1000001, sizeof(*many));
	for (int i = 0; i < 1000000; i++)
		many[i] = "";
	EXPECT_ERR(execve(self, many, envp), E2BIG);
	free(many);

	write_file("empty", "", 0, 0755);
	EXPECT_ERR(execve(file("empty"), argv, envp), ENOEXEC);
	write_file("text", "hello\n", 6, 0755);
	EXPECT_ERR(execve(file("text"), argv, envp), ENOEXEC);
	write_file("mode", "#!/bin/sh\n", 10, 0644);
	EXPECT_ERR(execve(file("mode"), argv, envp), EACCES);
	write_file("elf", "\177ELF\2\1\1", 7, 0755);
	EXPECT_ERR(execve(file("elf"), argv, envp), ENOEXEC);
	write_file("zeros", zeros, sizeof(zeros), 0755);
	EXPECT_ERR(execve(file("zeros"), argv, envp), ENOEXEC);
	write_file("script0", "#!\n", 3, 0755);
	EXPECT_ERR(execve(file("script0"), argv, envp), ENOEXEC);
	write_file("script1", "#!/nonexistent\n", 15, 0755);
	EXPECT_ERR(execve(file("script1"), argv, envp), ENOENT);
	char line[700];
	int n = snprintf(line, sizeof(line), "#!%s\n", file("loop"));
	write_file("loop", line, n, 0755);
	EXPECT_ERR(execve(file("loop"), argv, envp), ELOOP);
	memset(line, 'c', sizeof(line));
	memcpy(line, "#!/", 3);
	write_file("long", line, sizeof(line), 0755);
	EXPECT_ERR(execve(file("long"), argv, envp), ENOEXEC);
	EXPECT(symlink(file("link") + 0, file("link")), 0);
	EXPECT_ERR(execve(file("link"), argv, envp), ELOOP);
	int fd = open(file("text"), O_RDWR);
	EXPECT_ERR(execve(file("text"), argv, envp), ETXTBSY);
	close(fd);

	EXPECT_ERR(exec_at(-1, "x", argv, envp, 0), EBADF);
	EXPECT_ERR(exec_at(AT_FDCWD, self, argv, envp, 1), EINVAL);
	EXPECT_ERR(exec_at(0, "", argv, envp, 0), ENOENT);
	EXPECT_ERR(exec_at(999, "", argv, envp, AT_EMPTY_PATH), EBADF);
	EXPECT(symlink(self, file("name")), 0);
	EXPECT_ERR(exec_at(AT_FDCWD, file("name"), argv, envp, AT_SYMLINK_NOFOLLOW), ELOOP);
	fd = open(dir, O_RDONLY | O_DIRECTORY);
	EXPECT_ERR(exec_at(fd, "none", argv, envp, 0), ENOENT);
	EXPECT_ERR(exec_at(fd, "", argv, envp, AT_EMPTY_PATH), EACCES);
	EXPECT_ERR(exec_at(fd, "text", argv, envp, 0), ENOEXEC);
	close(fd);
}

static sem_t never;
static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;

static void *sleeper(void *arg)
{
	sem_wait(&never);
	return arg;
}

static void *reader(void *arg)
{
	char c;
	read(*(int *)arg, &c, 1);
	return arg;
}

static void *locker(void *arg)
{
	pthread_mutex_lock(&held);
	return arg;
}

static void *spinner(void *arg)
{
	sigset_t all;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	for (;;)
		__asm__ volatile("");
}

static void handler(int sig)
{
	(void)sig;
}

static void *execer(void *arg)
{
	char pid[32];
	char *more[] = {pid, NULL};
	snprintf(pid, sizeof(pid), "%d", getpid());
	EXPECT_TRUE(getpid() != gettid());
	next("threads", more);
	return arg;
}

static void first(void)
{
	static int pipes[2];
	pthread_t t;
	EXPECT_TRUE(mkdtemp(dir) != NULL);
	errors();

	struct sigaction sa = {.sa_handler = handler, .sa_flags = SA_RESTART | SA_ONSTACK};
	sigaction(SIGUSR1, &sa, NULL);
	signal(SIGUSR2, SIG_IGN);
	signal(SIGCHLD, SIG_IGN);
	stack_t ss = {.ss_sp = malloc(65536), .ss_size = 65536};
	EXPECT(sigaltstack(&ss, NULL), 0);
	sigset_t mask;
	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGHUP);
	sigaddset(&mask, SIGRTMIN);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	EXPECT(kill(getpid(), SIGTERM), 0);
	EXPECT(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 5}), 0);
	EXPECT(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 6}), 0);
	timer_t timer;
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGHUP};
	struct itimerspec soon;
	clock_gettime(CLOCK_MONOTONIC, &soon.it_value);
	soon.it_interval = (struct timespec){0};
	soon.it_value.tv_sec += 2;
	char due[32];
	snprintf(due, sizeof(due), "%ld", (long)soon.it_value.tv_sec);
	setenv("GUEST_TIMER", due, 1);
	EXPECT(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
	EXPECT(timer_settime(timer, TIMER_ABSTIME, &soon, NULL), 0);
	struct itimerval alarm = {.it_value.tv_sec = 1000};
	EXPECT(setitimer(ITIMER_REAL, &alarm, NULL), 0);

	EXPECT(dup2(open("/dev/null", O_RDONLY), 100), 100);
	EXPECT(dup3(open("/dev/null", O_RDONLY), 101, O_CLOEXEC), 101);
	EXPECT(chdir(dir), 0);
	umask(027);
	EXPECT(prctl(PR_SET_NAME, "renamed"), 0);
	EXPECT(prctl(PR_SET_DUMPABLE, 0), 0);
	EXPECT(prctl(PR_SET_PDEATHSIG, SIGUSR1), 0);
	struct rlimit limit = {200, 1000};
	EXPECT(setrlimit(RLIMIT_NOFILE, &limit), 0);
	EXPECT(setpriority(PRIO_PROCESS, 0, 3), 0);

	sem_init(&never, 0, 0);
	pthread_mutex_lock(&held);
	EXPECT(pipe(pipes), 0);
	for (int i = 0; i < 3; i++) {
		pthread_create(&t, NULL, sleeper, NULL);
		pthread_create(&t, NULL, reader, &pipes[0]);
		pthread_create(&t, NULL, locker, NULL);
		pthread_create(&t, NULL, spinner, NULL);
	}
	usleep(20000);
	unsigned short control = 0x27f; /* x87 in double precision, MXCSR towards zero */
	unsigned mxcsr = 0x7f80;
	__asm__ volatile("fldcw %0; ldmxcsr %1" : : "m"(control), "m"(mxcsr));
	pthread_create(&t, NULL, execer, NULL);
	for (;;)
		pause();
}

static int threads_now(void)
{
	char text[4096], *at;
	int fd = open("/proc/self/status", O_RDONLY), n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = 0;
	at = strstr(text, "\nThreads:");
	return at ? atoi(at + 9) : -1;
}

/* After an exec by a thread that was not the leader. */
static void threads(int argc, char **argv)
{
	char text[300];
	unsigned short control;
	unsigned mxcsr;
	unsigned long base = 1;
	__asm__ volatile("fnstcw %0; stmxcsr %1" : "=m"(control), "=m"(mxcsr));
	struct timespec began;
	long due = atol(getenv("GUEST_TIMER"));
	clock_gettime(CLOCK_MONOTONIC, &began);
	unsetenv("GUEST_TIMER");
	EXPECT(control, 0x37f);
	EXPECT(mxcsr & 0xffc0, 0x1f80);
	EXPECT(syscall(SYS_arch_prctl, 0x1004 /* ARCH_GET_GS */, &base), 0);
	EXPECT(base, 0);
	EXPECT(argc, 3);
	EXPECT(strcmp(argv[0], "exec test"), 0);
	EXPECT(getpid(), atoi(argv[2]));
	EXPECT(gettid(), getpid());
	EXPECT(threads_now(), 1);
	EXPECT(prctl(PR_GET_NAME, text), 0);
	EXPECT(strncmp(text, strrchr(self, '/') + 1, 15), 0);
	EXPECT(prctl(PR_GET_DUMPABLE), 1);
	ssize_t n = readlink("/proc/self/exe", text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = 0;
	EXPECT(strcmp(text, self), 0);
	EXPECT(strcmp((char *)getauxval(AT_EXECFN), self), 0);

	struct sigaction sa;
	sigaction(SIGUSR1, NULL, &sa);
	EXPECT_TRUE(sa.sa_handler == SIG_DFL);
	EXPECT(sa.sa_flags & ~0x04000000, 0);
	sigaction(SIGUSR2, NULL, &sa);
	EXPECT_TRUE(sa.sa_handler == SIG_IGN);
	sigaction(SIGCHLD, NULL, &sa);
	EXPECT_TRUE(sa.sa_handler == SIG_IGN);
	stack_t ss;
	EXPECT(sigaltstack(NULL, &ss), 0);
	EXPECT(ss.ss_flags, SS_DISABLE);
	sigset_t mask, pending;
	sigprocmask(SIG_BLOCK, NULL, &mask);
	EXPECT(sigismember(&mask, SIGTERM), 1);
	EXPECT(sigismember(&mask, SIGHUP), 1);
	EXPECT(sigismember(&mask, SIGINT), 0);
	sigpending(&pending);
	EXPECT(sigismember(&pending, SIGTERM), 1);
	EXPECT(sigismember(&pending, SIGRTMIN), 1);
	siginfo_t info;
	struct timespec now = {0};
	sigemptyset(&mask);
	sigaddset(&mask, SIGRTMIN);
	EXPECT(sigtimedwait(&mask, &info, &now), SIGRTMIN);
	EXPECT(info.si_value.sival_int, 5);
	EXPECT(sigtimedwait(&mask, &info, &now), SIGRTMIN);
	EXPECT(info.si_value.sival_int, 6);
	EXPECT_ERR(sigtimedwait(&mask, &info, &now), EAGAIN);
	struct itimerval left;
	EXPECT(getitimer(ITIMER_REAL, &left), 0);
	EXPECT_TRUE(left.it_value.tv_sec > 900);
	memset(&left, 0, sizeof(left));
	setitimer(ITIMER_REAL, &left, NULL);
	for (struct timespec t = began; t.tv_sec <= due; clock_gettime(CLOCK_MONOTONIC, &t))
		usleep(20000); /* the POSIX timer would fire */
	sigpending(&pending);
	EXPECT_TRUE(!sigismember(&pending, SIGHUP) || began.tv_sec >= due); /* unless it did before exec */
	struct itimerspec spec;
	EXPECT_ERR(syscall(SYS_timer_gettime, 0, &spec), EINVAL);

	EXPECT(fcntl(100, F_GETFD), 0);
	EXPECT_ERR(fcntl(101, F_GETFD), EBADF);
	EXPECT(strcmp(getcwd(text, sizeof(text)), dir), 0);
	EXPECT(umask(022), 027);
	struct rlimit limit;
	getrlimit(RLIMIT_NOFILE, &limit);
	EXPECT(limit.rlim_cur, 200);
	errno = 0;
	EXPECT(getpriority(PRIO_PROCESS, 0), 3);

	/* Scripts: "#!self script with space" */
	char line[700], *args[] = {"replaced", "one", "two", NULL};
	int len = snprintf(line, sizeof(line), "#! %s  script word \nrest\n", self);
	write_file("run", line, len, 0755);
	len = snprintf(line, sizeof(line), "#!%s", file("run"));
	write_file("outer", line, len, 0755);
	char count[600];
	snprintf(count, sizeof(count), "%d %d %s", guest_count, guest_failed, dir);
	setenv("GUEST_COUNT", count, 1);
	execve(file("outer"), args, environ);
	EXPECT(errno, 0);
}

static int many_words(void)
{
	char *args[2002] = {"exec test", "words"}, *word = malloc(500);
	memset(word, 'w', 499);
	word[499] = 0;
	for (int i = 2; i < 2001; i++)
		args[i] = word;
	char count[600];
	snprintf(count, sizeof(count), "%d %d %s", guest_count, guest_failed, dir);
	setenv("GUEST_COUNT", count, 1);
	int fd = open(self, O_RDONLY | O_CLOEXEC);
	exec_at(fd, "", args, environ, AT_EMPTY_PATH);
	EXPECT(errno, 0);
	return 1;
}

/* After the scripts. */
static void script(int argc, char **argv)
{
	char run[600];
	snprintf(run, sizeof(run), "%s", file("run"));
	EXPECT(argc, 6);
	EXPECT(strcmp(argv[0], self), 0);
	EXPECT(strcmp(argv[1], "script word"), 0);
	EXPECT(strcmp(argv[2], run), 0);
	EXPECT(strcmp(argv[3], file("outer")), 0);
	EXPECT(strcmp(argv[4], "one"), 0);
	EXPECT(strcmp(argv[5], "two"), 0);
	EXPECT(strcmp((char *)getauxval(AT_EXECFN), file("outer")), 0);
	char text[300];
	EXPECT(prctl(PR_GET_NAME, text), 0);
	EXPECT(strcmp(text, "outer"), 0);
	ssize_t n = readlink("/proc/self/exe", text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = 0;
	EXPECT(strcmp(text, self), 0);
	many_words();
}

static void words(int argc, char **argv)
{
	EXPECT(argc, 2001);
	int right = 0;
	for (int i = 2; i < argc; i++)
		right += strlen(argv[i]) == 499 && argv[i][0] == 'w' && argv[i][498] == 'w';
	EXPECT(right, 1999);
	EXPECT_TRUE(!strncmp((char *)getauxval(AT_EXECFN), "/dev/fd/", 8));
	static const char *const names[] = {
		"empty", "text", "mode", "elf", "zeros", "script0", "script1", "loop", "long", "link", "name", "run", "outer"};
	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++)
		EXPECT(unlink(file(names[i])), 0);
	EXPECT(chdir("/"), 0);
	EXPECT(rmdir(dir), 0);
	/* No arguments at all: Linux gives an empty one. */
	char count[600];
	snprintf(count, sizeof(count), "GUEST_COUNT=%d %d %s", guest_count, guest_failed, dir);
	char *none[] = {NULL}, *envp[] = {count, NULL};
	execve(self, none, envp);
	EXPECT(errno, 0);
}

int main(int argc, char **argv)
{
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	const char *count = getenv("GUEST_COUNT");
	self[n > 0 ? n : 0] = 0;
	if (count)
		sscanf(count, "%d %d %599s", &guest_count, &guest_failed, dir);
	if (!count) {
		first();
	} else if (argc > 1 && !strcmp(argv[1], "threads")) {
		threads(argc, argv);
	} else if (argc > 1 && !strcmp(argv[1], "script word")) {
		script(argc, argv);
	} else if (argc > 1 && !strcmp(argv[1], "words")) {
		words(argc, argv);
	} else {
		EXPECT(argc, 1);
		EXPECT(argv[0][0], 0);
		EXPECT_TRUE(environ[0] && !environ[1]);
	}
	return guest_done();
}
