/* Times commands side by side: each round starts every command once, in turn, so that drifts of the machine hit all of
 * them alike. Usage: pair first|total|cpu ROUNDS 'NAME=COMMAND ARGS' ... ; words are split at spaces, no quoting.
 * first: start to first byte of standard output; total: start to exit; cpu: time of processors, user and system. Prints one row a command: minimum and median in
 * microseconds, ratio of medians to the first command. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_COMMANDS 16
#define MAX_WORDS    64
#define MAX_ROUNDS   1000

struct command {
	char *name;
	char *argv[MAX_WORDS];
	double us[MAX_ROUNDS];
};

static double now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

enum what { FIRST, TOTAL, CPU };

static double run(const struct command *c, enum what what)
{
	int out[2];
	if (pipe2(out, O_CLOEXEC))
		exit(2);
	double start = now_us(), first = 0;
	pid_t pid = vfork();
	if (pid == 0) {
		dup2(out[1], 1);
		execvp(c->argv[0], c->argv);
		_exit(127);
	}
	close(out[1]);
	char buf[65536];
	for (ssize_t n; (n = read(out[0], buf, sizeof(buf))) > 0;)
		if (!first)
			first = now_us();
	close(out[0]);
	int status;
	struct rusage used;
	wait4(pid, &status, 0, &used);
	double end = now_us();
	if (!WIFEXITED(status) || WEXITSTATUS(status) || (what == FIRST && !first)) {
		fprintf(stderr, "pair: %s failed (status %x)\n", c->name, status);
		exit(1);
	}
	if (what == CPU)
		return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e6 + (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
	return (what == FIRST ? first : end) - start;
}

int main(int argc, char **argv)
{
	static struct command commands[MAX_COMMANDS];
	int rounds = argc > 3 ? atoi(argv[2]) : 0, count = argc - 3;
	if (rounds < 1 || rounds > MAX_ROUNDS || count > MAX_COMMANDS) {
		fprintf(stderr, "usage: pair first|total|cpu ROUNDS 'NAME=COMMAND ARGS' ...\n");
		return 2;
	}
	enum what what = !strcmp(argv[1], "first") ? FIRST : !strcmp(argv[1], "cpu") ? CPU : TOTAL;
	for (int i = 0; i < count; i++) {
		struct command *c = &commands[i];
		c->name = argv[3 + i];
		char *text = strchr(c->name, '=');
		if (!text)
			return 2;
		*text++ = '\0';
		int words = 0;
		for (char *w = strtok(text, " "); w && words < MAX_WORDS - 1; w = strtok(NULL, " "))
			c->argv[words++] = w;
	}
	for (int r = -1; r < rounds; r++) /* one round to warm up */
		for (int i = 0; i < count; i++) {
			double us = run(&commands[i], what);
			if (r >= 0)
				commands[i].us[r] = us;
		}
	double base = 0;
	for (int i = 0; i < count; i++) {
		qsort(commands[i].us, (size_t)rounds, sizeof(double), compare);
		double median = commands[i].us[rounds / 2];
		base = i ? base : median;
		printf("%-28s %12.1f us min %12.1f us median  %6.2f x\n", commands[i].name, commands[i].us[0], median, median / base);
	}
	return 0;
}
