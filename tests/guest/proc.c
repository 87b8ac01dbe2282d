/* /proc as programs parse it. Natively it must run as root. */
#include "guest.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

static char text[1 << 17];

static long slurp(const char *path)
{
	int fd = open(path, O_RDONLY);
	long len = 0, n;

	text[0] = 0;
	if (fd < 0)
		return -1;
	while ((n = read(fd, text + len, sizeof(text) - 1 - len)) > 0)
		len += n;
	close(fd);
	text[len] = 0;
	return n < 0 ? -1 : len;
}

/* The text behind "Name:" at the start of a line. */
static const char *field(const char *name)
{
	size_t len = strlen(name);

	for (const char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
		if (!strncmp(line, name, len) && line[len] == ':')
			return line + len + 1;
	return "";
}

static int has_entry(const char *dir, const char *name)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int found = 0;

	while (d && (e = readdir(d)))
		found += !strcmp(e->d_name, name);
	if (d)
		closedir(d);
	return found;
}

static void test_links(void)
{
	char path[64], target[256], file[] = "/tmp/procXXXXXX";
	struct stat a, b;
	struct statfs fs;
	int fd = mkstemp(file), again;

	EXPECT(readlink("/proc/self", target, sizeof(target)), snprintf(path, sizeof(path), "%d", getpid()));
	EXPECT_TRUE(!memcmp(target, path, strlen(path)));
	EXPECT(readlink("/proc/thread-self", target, sizeof(target)), snprintf(path, sizeof(path), "%d/task/%d", getpid(), gettid()));
	EXPECT(write(fd, "hello", 5), 5);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	EXPECT(readlink(path, target, sizeof(target)), (long)strlen(file));
	EXPECT_TRUE(!memcmp(target, file, strlen(file)));
	again = open(path, O_RDONLY);
	EXPECT_TRUE(again >= 0);
	EXPECT(read(again, target, 10), 5); /* a description of its own: from the start */
	close(again);
	EXPECT(stat(path, &a), 0);
	EXPECT(fstat(fd, &b), 0);
	EXPECT_TRUE(a.st_ino == b.st_ino && a.st_dev == b.st_dev);
	EXPECT(lstat(path, &a), 0);
	EXPECT(a.st_mode, S_IFLNK | 0700);
	snprintf(target, sizeof(target), "%d", fd);
	EXPECT(has_entry("/proc/self/fd", target), 1);
	EXPECT(has_entry("/proc/self/fdinfo", target), 1);
	unlink(file);
	long len = readlink(path, target, sizeof(target));
	EXPECT_TRUE(len == (long)strlen(file) + 10 && !memcmp(target + len - 10, " (deleted)", 10));
	again = open(path, O_RDONLY);
	EXPECT(read(again, target, 10), 5); /* though its name is gone */
	close(again);
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	EXPECT_TRUE(slurp(path) > 0);
	EXPECT(atoi(field("pos")), 5);
	EXPECT(strtol(field("flags"), NULL, 8) & O_ACCMODE, O_RDWR);
	close(fd);
	EXPECT_ERR(readlink(path, target, sizeof(target)), ENOENT);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	EXPECT_ERR(open(path, O_RDONLY), ENOENT);
	EXPECT_TRUE(readlink("/proc/self/exe", target, sizeof(target)) > 1 && target[0] == '/');
	EXPECT(stat("/proc/self/exe", &a), 0);
	EXPECT_TRUE(S_ISREG(a.st_mode));
	EXPECT(chdir("/tmp"), 0);
	EXPECT(readlink("/proc/self/cwd", target, sizeof(target)), 4);
	EXPECT(readlink("/proc/self/root", target, sizeof(target)), 1);
	EXPECT(stat("/proc/self/cwd", &a), 0);
	stat("/tmp", &b);
	EXPECT_TRUE(a.st_ino == b.st_ino);
	chdir("/");
	EXPECT(statfs("/proc", &fs), 0);
	EXPECT(fs.f_type, 0x9fa0);
	int p[2];
	EXPECT(pipe(p), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", p[0]);
	len = readlink(path, target, sizeof(target));
	EXPECT_TRUE(len > 7 && !memcmp(target, "pipe:[", 6) && target[len - 1] == ']');
	close(p[0]);
	close(p[1]);
}

static void test_status(void)
{
	sigset_t set, old;
	int uids[4];

	prctl(PR_SET_NAME, "proc test");
	EXPECT_TRUE(slurp("/proc/self/status") > 0);
	EXPECT_TRUE(!strncmp(field("Name"), "\tproc test\n", 11));
	EXPECT(atoi(field("Pid")), getpid());
	EXPECT(atoi(field("Tgid")), getpid());
	EXPECT(atoi(field("PPid")), getppid());
	EXPECT(atoi(field("Threads")), 1);
	EXPECT(atoi(field("TracerPid")), 0);
	EXPECT(sscanf(field("Uid"), "%d %d %d %d", &uids[0], &uids[1], &uids[2], &uids[3]), 4);
	EXPECT(uids[1], (int)geteuid());
	EXPECT_TRUE(atoi(field("VmSize")) > 0 && atoi(field("VmRSS")) > 0);
	EXPECT_TRUE(strstr(field("State"), "running") != NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, &old);
	raise(SIGUSR1);
	signal(SIGUSR2, SIG_IGN);
	slurp("/proc/self/status");
	EXPECT(strtoull(field("SigBlk"), NULL, 16), 1ull << (SIGUSR1 - 1));
	EXPECT(strtoull(field("SigPnd"), NULL, 16), 1ull << (SIGUSR1 - 1));
	EXPECT((strtoull(field("SigIgn"), NULL, 16) & ~(3ull << 31) /* the C library's own */), 1ull << (SIGUSR2 - 1));
	signal(SIGUSR1, SIG_IGN);
	sigprocmask(SIG_SETMASK, &old, NULL);
	EXPECT_TRUE(strtoull(field("CapBnd"), NULL, 16) != 0);

	int pid = 0, ppid, fields = 0;
	char comm[32], state;
	EXPECT_TRUE(slurp("/proc/self/stat") > 0);
	EXPECT(sscanf(text, "%d (%31[^)]) %c %d", &pid, comm, &state, &ppid), 4);
	EXPECT_TRUE(pid == getpid() && !strcmp(comm, "proc test") && state == 'R' && ppid == getppid());
	for (char *p = strrchr(text, ')'); p && *p; p++)
		fields += *p == ' ';
	EXPECT(fields, 50); /* 52 in all */
	long statm[7];
	EXPECT_TRUE(slurp("/proc/self/statm") > 0);
	EXPECT(sscanf(text, "%ld %ld %ld %ld %ld %ld %ld", &statm[0], &statm[1], &statm[2], &statm[3], &statm[4], &statm[5], &statm[6]), 7);
	EXPECT_TRUE(statm[0] >= statm[1] && statm[1] > 0);
	EXPECT(slurp("/proc/self/comm"), 10);
	EXPECT(strcmp(text, "proc test\n"), 0);
	int fd = open("/proc/self/comm", O_WRONLY | O_TRUNC);
	EXPECT(write(fd, "renamed\n", 8), 8); /* the newline too, as Linux */
	close(fd);
	slurp("/proc/self/comm");
	EXPECT(strcmp(text, "renamed\n\n"), 0);
	struct rlimit limit;
	char row[64];
	getrlimit(RLIMIT_NOFILE, &limit);
	EXPECT_TRUE(slurp("/proc/self/limits") > 0);
	snprintf(row, sizeof(row), "Max open files            %-20lu ", (unsigned long)limit.rlim_cur);
	EXPECT_TRUE(strstr(text, row) != NULL);
	EXPECT_TRUE(!strncmp(text, "Limit                     Soft Limit           Hard Limit           Units     \n", 79));
}

static void test_memory(int argc, char **argv)
{
	char line[64];
	char *page = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	mprotect(page, 4096, PROT_READ | PROT_WRITE);
	EXPECT_TRUE(slurp("/proc/self/maps") > 0);
	snprintf(line, sizeof(line), "%08lx-%08lx rw-p 00000000 00:00 0", (unsigned long)page, (unsigned long)page + 4096);
	EXPECT_TRUE(strstr(text, line) != NULL);
	EXPECT_TRUE(strstr(text, "[stack]\n") != NULL);
	EXPECT_TRUE(strstr(text, "[heap]\n") != NULL);
	EXPECT_TRUE(strstr(text, "r-xp") != NULL);
	char *stack_line = strstr(text, "[stack]\n");
	while (stack_line > text && stack_line[-1] != '\n')
		stack_line--;
	unsigned long start, end;
	EXPECT(sscanf(stack_line, "%lx-%lx", &start, &end), 2);
	EXPECT_TRUE((unsigned long)&line >= start && (unsigned long)&line < end);
	EXPECT(strstr(stack_line, "[stack]") - stack_line, 73); /* the column of names */
	EXPECT_TRUE(slurp("/proc/self/smaps") > 0 && strstr(text, "\nRss: ") && strstr(text, "\nVmFlags: "));
	EXPECT_TRUE(slurp("/proc/self/smaps_rollup") > 0 && atoi(field("Rss")) > 0);
	long len = slurp("/proc/self/cmdline"), want = 0;
	for (int i = 0; i < argc; i++)
		want += (long)strlen(argv[i]) + 1;
	EXPECT(len, want);
	EXPECT(strcmp(text, argv[0]), 0);
	EXPECT_TRUE(slurp("/proc/self/auxv") >= 16 * 10);
	EXPECT_TRUE(slurp("/proc/self/environ") >= 0);
	munmap(page, 8192);
}

static void *sleeping(void *arg)
{
	prctl(PR_SET_NAME, "the other");
	*(volatile int *)arg = gettid();
	for (;;)
		pause();
	return NULL;
}

static void test_threads(void)
{
	volatile int tid = 0;
	char path[64], name[16];
	pthread_t t;

	pthread_create(&t, NULL, sleeping, (void *)&tid);
	while (!tid)
		usleep(1000);
	wait_asleep(tid);
	snprintf(name, sizeof(name), "%d", tid);
	EXPECT(has_entry("/proc/self/task", name), 1);
	snprintf(path, sizeof(path), "/proc/self/task/%d/comm", tid);
	EXPECT(slurp(path), 10);
	EXPECT(strcmp(text, "the other\n"), 0);
	snprintf(path, sizeof(path), "/proc/self/task/%d/status", tid);
	slurp(path);
	EXPECT(atoi(field("Pid")), tid);
	EXPECT(atoi(field("Threads")), 2);
	EXPECT_TRUE(strstr(field("State"), "sleeping") != NULL);
	pthread_cancel(t);
	pthread_join(t, NULL);
	for (int i = 0; i < 60000 && access(path, R_OK) == 0; i++)
		usleep(1000); /* join may be over a moment before */
	EXPECT_ERR(open(path, O_RDONLY), ENOENT);
	EXPECT(has_entry("/proc/self/task", name), 0);
}

static void test_system(void)
{
	char a[64];
	double up, idle;
	struct stat st;

	EXPECT_TRUE(slurp("/proc/meminfo") > 0);
	EXPECT_TRUE(atol(field("MemTotal")) > 0 && atol(field("MemTotal")) >= atol(field("MemFree")));
	EXPECT(atol(field("SwapTotal")), 0);
	EXPECT_TRUE(slurp("/proc/cpuinfo") > 0 && strstr(text, "processor\t: 0\n") == text);
	EXPECT_TRUE(strstr(text, "\nmodel name\t: ") && strstr(text, " sse2 "));
	EXPECT_TRUE(slurp("/proc/stat") > 0 && !strncmp(text, "cpu  ", 5) && strstr(text, "\ncpu0 ") && strstr(text, "\nbtime "));
	EXPECT_TRUE(slurp("/proc/uptime") > 0);
	EXPECT(sscanf(text, "%lf %lf", &up, &idle), 2);
	EXPECT_TRUE(up > 0);
	EXPECT_TRUE(slurp("/proc/loadavg") > 0 && strchr(text, '/'));
	EXPECT_TRUE(slurp("/proc/version") > 0 && !strncmp(text, "Linux version ", 14));
	EXPECT_TRUE(slurp("/proc/filesystems") > 0 && strstr(text, "nodev\tproc\n"));
	EXPECT_TRUE(slurp("/proc/mounts") > 0 && strstr(text, " /proc proc rw"));
	EXPECT_TRUE(slurp("/proc/self/mountinfo") > 0 && strstr(text, " - proc "));
	EXPECT_TRUE(slurp("/proc/net/dev") > 0 && !strncmp(text, "Inter-|   Receive", 17));
	EXPECT_TRUE(slurp("/proc/swaps") > 0 && !strncmp(text, "Filename\t\t\t\tType", 16));
	EXPECT(slurp("/proc/sys/kernel/ostype"), 6);
	EXPECT(strcmp(text, "Linux\n"), 0);
	gethostname(a, sizeof(a));
	EXPECT(slurp("/proc/sys/kernel/hostname"), (long)strlen(a) + 1);
	EXPECT(slurp("/proc/sys/kernel/random/uuid"), 37);
	memcpy(a, text, 38);
	EXPECT_TRUE(a[14] == '4' && a[8] == '-' && a[23] == '-');
	slurp("/proc/sys/kernel/random/uuid");
	EXPECT_TRUE(strcmp(a, text) != 0);
	slurp("/proc/sys/kernel/random/boot_id");
	memcpy(a, text, 38);
	slurp("/proc/sys/kernel/random/boot_id");
	EXPECT(strcmp(a, text), 0);
	EXPECT_TRUE(slurp("/proc/sys/kernel/pid_max") > 0 && atoi(text) >= 32768);
	EXPECT_TRUE(slurp("/proc/sys/vm/max_map_count") > 0 && atoi(text) > 0);
	EXPECT_TRUE(slurp("/proc/sys/fs/file-max") > 0);
	EXPECT_TRUE(slurp("/proc/sys/net/core/somaxconn") > 0 && atoi(text) > 0);
	EXPECT_ERR(open("/proc/sys/kernel/ostype", O_WRONLY), EACCES);
	EXPECT_ERR(open("/proc/nothing", O_RDONLY), ENOENT);
	EXPECT_ERR(open("/proc/99999999", O_RDONLY), ENOENT);
	EXPECT_ERR(open("/proc/self/nothing", O_RDONLY), ENOENT);
	EXPECT_TRUE(open("/proc/new", O_CREAT | O_WRONLY, 0600) == -1);
	EXPECT_ERR(rmdir("/proc/self"), ENOTDIR);
	EXPECT(stat("/proc/uptime", &st), 0);
	EXPECT_TRUE(st.st_size == 0 && st.st_mode == (S_IFREG | 0444));
	/* A descriptor kept open reads anew from the start; in pieces it stays one text. */
	int fd = open("/proc/self/status", O_RDONLY);
	char piece[8], first[8];
	EXPECT(read(fd, first, 6), 6);
	EXPECT(read(fd, piece, 6), 6);
	EXPECT_TRUE(memcmp(first, piece, 6) != 0);
	EXPECT(lseek(fd, 0, SEEK_SET), 0);
	EXPECT(read(fd, piece, 6), 6);
	EXPECT(memcmp(first, piece, 6), 0);
	EXPECT(pread(fd, piece, 6, 0), 6);
	EXPECT(memcmp(first, piece, 6), 0);
	close(fd);
}

int main(int argc, char **argv)
{
	free(malloc(100000)); /* a heap */
	test_links();
	test_status();
	test_memory(argc, argv);
	test_threads();
	test_system();
	return guest_done();
}
