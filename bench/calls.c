/* Nanoseconds of single calls, run natively and in a cell: prints `name ns` lines, the minimum of several batches.
 * With an argument, only the call of that name. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define BATCHES 10

static double now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int zero_fd, file_fd;
static char buf[1 << 16];
static volatile long sink;

static void do_getppid(void)
{
	sink = syscall(SYS_getppid);
}
static void do_read_zero(void)
{
	sink = read(zero_fd, buf, 1);
}
static void do_getcwd(void)
{
	sink = syscall(SYS_getcwd, buf, sizeof(buf));
}
static void do_clock(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	sink = t.tv_nsec;
}
static void do_stat(void)
{
	struct stat st;
	sink = stat("/dev/shm", &st);
}
static void do_open_close(void)
{
	close(open("/dev/null", O_RDONLY));
}
static void do_pread_4k(void)
{
	sink = pread(file_fd, buf, 4096, 4096);
}
static void do_pwrite_4k(void)
{
	sink = pwrite(file_fd, buf, 4096, 4096);
}
static void do_mmap_touch(void)
{
	char *p = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (int i = 0; i < 65536; i += 4096)
		p[i] = 1;
	munmap(p, 65536);
}
static void do_malloc_1m(void)
{
	volatile char *p = malloc(1 << 20);
	for (int i = 0; i < 1 << 20; i += 4096)
		p[i] = 1;
	free((void *)p);
}
static void do_pread_64k(void)
{
	sink = pread(file_fd, buf, sizeof(buf), 0);
}
static void do_append_64k(void)
{
	sink = ftruncate(file_fd, sizeof(buf));
	sink = pwrite(file_fd, buf, sizeof(buf), sizeof(buf));
}
static void do_yield(void)
{
	sink = syscall(SYS_sched_yield);
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn_changed = PTHREAD_COND_INITIALIZER;
static int turn;

static void take_turn(int me)
{
	pthread_mutex_lock(&lock);
	while (turn != me)
		pthread_cond_wait(&turn_changed, &lock);
	turn = !me;
	pthread_cond_signal(&turn_changed);
	pthread_mutex_unlock(&lock);
}

static void *partner(void *arg)
{
	for (;;)
		take_turn(1);
	return arg;
}

static void do_thread_switch(void)
{
	take_turn(0);
}

static const struct {
	const char *name;
	void (*fn)(void);
	int per_batch;
} calls[] = {
	{"getppid", do_getppid, 20000},
	{"read-zero-1", do_read_zero, 20000},
	{"getcwd", do_getcwd, 20000},
	{"clock_gettime", do_clock, 20000},
	{"stat", do_stat, 5000},
	{"open-close", do_open_close, 5000},
	{"pread-4k", do_pread_4k, 5000},
	{"pwrite-4k", do_pwrite_4k, 5000},
	{"pread-64k", do_pread_64k, 500},
	{"append-64k", do_append_64k, 200},
	{"sched_yield", do_yield, 20000},
	{"mmap-touch-64k", do_mmap_touch, 200},
	{"malloc-touch-1m", do_malloc_1m, 20},
	{"thread-switch-pair", do_thread_switch, 2000},
};

int main(int argc, char **argv)
{
	pthread_t thread;
	zero_fd = open("/dev/zero", O_RDONLY);
	/* On a tmpfs both times: the cell's root is one. */
	const char *path = access("/dev/shm", W_OK) ? "/tmp/vauban-bench" : "/dev/shm/vauban-bench";
	file_fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (zero_fd < 0 || file_fd < 0 || write(file_fd, buf, sizeof(buf)) != sizeof(buf)) {
		perror("calls");
		return 1;
	}
	unlink(path);
	pthread_create(&thread, NULL, partner, NULL);
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		if (argc > 1 && strcmp(argv[1], calls[i].name))
			continue;
		double best = 1e18;
		for (int b = 0; b < BATCHES; b++) {
			double start = now_ns();
			for (int n = 0; n < calls[i].per_batch; n++)
				calls[i].fn();
			double ns = (now_ns() - start) / calls[i].per_batch;
			best = ns < best ? ns : best;
		}
		printf("%s %.1f\n", calls[i].name, best);
	}
	return 0;
}
