/* `vauban logs`: what a cell has written. Lines are "TIME STREAM F|P TEXT", see monitor/registry.h. */
#include "cli/cli.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "monitor/client.h"

#define STEP_MS 50

struct log_options {
	bool follow, times, all;
};

/* One line of the log, without its end. */
static void print_line(const char *line, size_t len, const struct log_options *o)
{
	const char *end = line + len, *stream = memchr(line, ' ', len);
	const char *kind = stream ? memchr(stream + 1, ' ', (size_t)(end - stream - 1)) : NULL;
	if (!kind || end - kind < 3)
		return;
	const char *text = kind + 3;
	size_t stream_len = (size_t)(kind - stream - 1);
	bool output = stream_len == 6 && memcmp(stream + 1, "stdout", 6) == 0,
	     error = stream_len == 6 && memcmp(stream + 1, "stderr", 6) == 0;
	if (!output && !error && !o->all)
		return;
	FILE *out = output || o->all ? stdout : stderr;
	if (o->times || o->all)
		fprintf(out, "%.*s ", (int)(stream - line), line);
	if (o->all)
		fprintf(out, "%.*s ", (int)stream_len, stream + 1);
	fwrite(text, 1, (size_t)(end - text), out);
	if (kind[1] == 'F' || o->times || o->all)
		fputc('\n', out);
	fflush(out);
}

/* From where the file stands to its end. */
static void print_rest(FILE *f, char **line, size_t *room, const struct log_options *o)
{
	for (;;) {
		off_t at = ftello(f);
		ssize_t n = getline(line, room, f);
		if (n > 0 && (*line)[n - 1] == '\n') {
			print_line(*line, (size_t)n - 1, o);
			continue;
		}
		clearerr(f);
		fseeko(f, at, SEEK_SET); /* a line half written */
		return;
	}
}

static FILE *open_log(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
	return fd >= 0 ? fdopen(fd, "r") : NULL;
}

static bool is_current(int dir_fd, FILE *f)
{
	struct stat a, b;
	return fstat(fileno(f), &a) == 0 && fstatat(dir_fd, "log", &b, 0) == 0 && a.st_ino == b.st_ino;
}

static int show_log(int cells_fd, struct cell *cell, void *arg)
{
	const struct log_options *o = arg;
	char *line = NULL;
	size_t room = 0;
	FILE *f = open_log(cell->dir_fd, "log.1");
	if (!f)
		f = open_log(cell->dir_fd, "log");
	for (;;) {
		bool ended = !o->follow || registry_is_free(cell->dir_fd); /* before reading: what comes last is not missed */
		if (f)
			print_rest(f, &line, &room, o);
		if (!f || !is_current(cell->dir_fd, f)) {
			FILE *next = open_log(cell->dir_fd, "log");
			if (next) {
				if (f)
					fclose(f);
				f = next;
				continue;
			}
		}
		if (ended)
			return 0;
		nanosleep(&(struct timespec){0, STEP_MS * 1000000}, NULL);
	}
}

static int logs_main(int argc, char **argv)
{
	static const struct option longs[] = {
		{"follow", no_argument, NULL, 'f'}, {"timestamps", no_argument, NULL, 't'}, {"all", no_argument, NULL, 'a'}, {0}};
	struct log_options o = {0};
	for (int c; (c = cli_option(&verb_logs, argc, argv, "fta", longs)) != -1;) {
		o.follow |= c == 'f';
		o.times |= c == 't';
		o.all |= c == 'a';
	}
	if (argc - optind > 1)
		cli_usage(&verb_logs, "one cell at a time");
	return cli_each_cell(&verb_logs, argv + optind, show_log, &o);
}

const struct verb verb_logs = {
	.name = "logs",
	.arguments = "[-f] [-t] [-a] CELL",
	.summary = "show what a detached cell has written",
	.help = "  -f, --follow      go on until the cell ends\n"
		"  -t, --timestamps  a time in front of each line\n"
		"  -a, --all         also what the cell's kernel notes, and which stream each line came from\n"
		"\n"
		"What the program wrote to its standard error goes to standard error. The last 16 MiB are kept.\n"
		"\n"
		"example: vauban logs -f web\n",
	.main = logs_main,
};
