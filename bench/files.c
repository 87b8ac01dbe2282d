/* Files as programs use them, in the folder given: makes, writes, reads, looks at and removes small files, and streams a
 * large one. Prints `name ns` lines, each the minimum of several rounds. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FILES 500
#define ROUNDS 5
#define STREAM_BYTES (32 << 20)

static char buf[65536];
static double best[6];
static const char *const names[] = { "create-write-4k", "stat", "open-read-4k", "unlink", "stream-write-64k", "stream-read-64k" };

static double now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void check(int ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(1);
}

static double lap(unsigned i, double start, int count)
{
	double now = now_ns(), ns = (now - start) / count;
	best[i] = best[i] == 0 || ns < best[i] ? ns : best[i];
	return now_ns();
}

int main(int argc, char **argv)
{
	char name[64];
	struct stat st;
	check(argc == 2 && chdir(argv[1]) == 0, "files FOLDER");
	for (int round = 0; round < ROUNDS; round++) {
		double t = now_ns();
		for (int i = 0; i < FILES; i++) {
			snprintf(name, sizeof(name), "bench-%d", i);
			int fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0600);
			check(write(fd, buf, 4096) == 4096 && close(fd) == 0, name);
		}
		t = lap(0, t, FILES);
		for (int i = 0; i < FILES; i++) {
			snprintf(name, sizeof(name), "bench-%d", i);
			check(stat(name, &st) == 0 && st.st_size == 4096, name);
		}
		t = lap(1, t, FILES);
		for (int i = 0; i < FILES; i++) {
			snprintf(name, sizeof(name), "bench-%d", i);
			int fd = open(name, O_RDONLY);
			check(read(fd, buf, 4096) == 4096 && close(fd) == 0, name);
		}
		t = lap(2, t, FILES);
		for (int i = 0; i < FILES; i++) {
			snprintf(name, sizeof(name), "bench-%d", i);
			check(unlink(name) == 0, name);
		}
		lap(3, t, FILES);
		int fd = open("bench-stream", O_RDWR | O_CREAT | O_TRUNC, 0600);
		t = now_ns();
		for (long done = 0; done < STREAM_BYTES; done += (long)sizeof(buf))
			check(write(fd, buf, sizeof(buf)) == sizeof(buf), "write");
		lap(4, t, STREAM_BYTES / (int)sizeof(buf));
		lseek(fd, 0, SEEK_SET);
		t = now_ns();
		for (long done = 0; done < STREAM_BYTES; done += (long)sizeof(buf))
			check(read(fd, buf, sizeof(buf)) == sizeof(buf), "read");
		lap(5, t, STREAM_BYTES / (int)sizeof(buf));
		check(close(fd) == 0 && unlink("bench-stream") == 0, "bench-stream");
	}
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		printf("%s %.0f\n", names[i], best[i]);
	return 0;
}
