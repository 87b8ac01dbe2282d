/* Owns `vauban chaff trigger` and `watch`: runs the finished binary, unchanged, with breakpoints where bugs are hit. */
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/types.h"
#include "host/file.h"
#include "host/parse.h"
#include "variant/binary.h"
#include "variant/chaff/chaff.h"

#define MAX_SAMPLE_BYTES (64u << 20)

/* What the loader added to the addresses of the binary. */
static int find_bias(pid_t pid, const struct binary *b, uint64_t *ret)
{
	char path[64];
	Elf64_Ehdr header;
	Elf64_auxv_t entry;
	snprintf(path, sizeof(path), "/proc/%d/auxv", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC), r = -ENOENT;
	memcpy(&header, b->bytes, sizeof(header));
	while (fd >= 0 && read(fd, &entry, sizeof(entry)) == sizeof(entry)) {
		if (entry.a_type == AT_ENTRY) {
			*ret = entry.a_un.a_val - header.e_entry;
			r = 0;
		}
	}
	fd_close(&fd);
	return r;
}

struct breakpoint {
	uint64_t address;
	unsigned site;
	long old;
	bool set;
};

static int set_breakpoints(pid_t pid, struct breakpoint *list, unsigned count)
{
	for (unsigned n = 0; n < count; n++) {
		errno = 0;
		list[n].old = ptrace(PTRACE_PEEKTEXT, pid, list[n].address, 0);
		if (errno || ptrace(PTRACE_POKETEXT, pid, list[n].address, (list[n].old & ~0xffl) | 0xcc) < 0)
			return -errno;
		list[n].set = true;
	}
	return 0;
}

/* It stopped behind a breakpoint: notes the hit, takes the breakpoint out. */
static bool pass_breakpoint(pid_t pid, struct breakpoint *list, unsigned count, bool *hits)
{
	struct user_regs_struct regs;
	if (ptrace(PTRACE_GETREGS, pid, 0, &regs) < 0)
		return false;
	for (unsigned n = 0; n < count; n++) {
		if (!list[n].set || list[n].address != regs.rip - 1)
			continue;
		errno = 0;
		long now = ptrace(PTRACE_PEEKTEXT, pid, list[n].address, 0);
		if (errno || ptrace(PTRACE_POKETEXT, pid, list[n].address, (now & ~0xffl) | (list[n].old & 0xff)) < 0)
			return false;
		regs.rip--;
		ptrace(PTRACE_SETREGS, pid, 0, &regs);
		list[n].set = false;
		hits[list[n].site] = true;
		return true;
	}
	return false;
}

static pid_t start(char **argv, const char *input, unsigned seconds)
{
	pid_t pid = fork();
	if (pid)
		return pid;
	int fd = input ? open(input, O_RDONLY) : -1;
	if (input && (fd < 0 || dup2(fd, 0) < 0))
		_exit(127);
	if (input) {
		int null = open("/dev/null", O_WRONLY);
		dup2(null, 1), dup2(null, 2);
	}
	if (seconds)
		alarm(seconds);
	ptrace(PTRACE_TRACEME, 0, 0, 0);
	execvp(argv[0], argv);
	_exit(127);
}

int chaff_run_watched(char **argv, const char *input, unsigned seconds, const struct binary *b, const struct chaff_binary *sites,
	bool *hits, int *ret_status, struct vb_error *err)
{
	unsigned count = 0;
	uint64_t bias = 0;
	for (unsigned s = 0; s < sites->site_count; s++)
		count += sites->sites[s].note_count[CHAFF_HIT];
	struct breakpoint *list = calloc(count + 1, sizeof(*list));
	pid_t pid = list ? start(argv, input, seconds) : -1;
	int status;
	if (pid < 0 || waitpid(pid, &status, 0) < 0) {
		free(list);
		return vb_error_errno(err, "can't start %s", argv[0]);
	}
	int r = WIFSTOPPED(status) ? find_bias(pid, b, &bias) : -ENOEXEC;
	count = 0;
	for (unsigned s = 0; s < sites->site_count; s++)
		for (unsigned n = 0; n < sites->sites[s].note_count[CHAFF_HIT]; n++)
			list[count++] = (struct breakpoint){sites->sites[s].notes[CHAFF_HIT][n] + bias, s, 0, false};
	if (r == 0)
		r = set_breakpoints(pid, list, count);
	if (r == 0)
		ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_EXITKILL);
	for (int sig = 0; r == 0 && WIFSTOPPED(status);) {
		if (ptrace(PTRACE_CONT, pid, 0, sig) < 0 || waitpid(pid, &status, 0) < 0) {
			r = -errno;
			break;
		}
		sig = WIFSTOPPED(status) ? WSTOPSIG(status) : 0;
		if (sig == SIGTRAP && pass_breakpoint(pid, list, count, hits))
			sig = 0;
	}
	if (r < 0 && WIFSTOPPED(status)) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
	free(list);
	*ret_status = status;
	return r < 0 ? vb_error_set(err, r, "can't watch %s: %s", argv[0], strerror(-r)) : 0;
}

/* --- verbs --- */

struct subject {
	struct chaff_plan plan;
	struct binary b;
	const struct chaff_binary *sites;
	bool *hits;
};

static int open_subject(struct subject *s, const char *plan, const char *program, struct vb_error *err)
{
	int r = chaff_plan_read(&s->plan, plan, err);
	if (r < 0 || (r = binary_load(program, &s->b, err)) < 0)
		return r;
	s->sites = chaff_find_binary(&s->plan, &s->b, err);
	s->hits = s->sites ? calloc(s->sites->site_count + 1, 1) : NULL;
	return s->sites ? (s->hits ? 0 : vb_error_set(err, -ENOMEM, "no memory left")) : -ENOENT;
}

static char **with_input(char **argv, int argc, char *path)
{
	char **list = calloc((size_t)argc + 1, sizeof(*list));
	for (int i = 0; list && i < argc; i++)
		list[i] = strcmp(argv[i], "{}") == 0 ? path : argv[i];
	return list;
}

/* The program once for each file of the folder. */
static int watch_each(struct subject *s, const char *folder, char **argv, int argc, unsigned *ret_runs, struct vb_error *err)
{
	DIR *dir = opendir(folder);
	char path[PATH_MAX];
	int r = dir ? 0 : vb_error_errno(err, "%s", folder), status;
	for (struct dirent *e; r == 0 && (e = readdir(dir));) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
		char **list = with_input(argv, argc, path);
		r = list ? chaff_run_watched(list, path, 60, &s->b, s->sites, s->hits, &status, err)
			 : vb_error_set(err, -ENOMEM, "no memory left");
		free(list);
		++*ret_runs;
	}
	if (dir)
		closedir(dir);
	return r;
}

static int run_watch(const struct chaff_verb *self, int argc, char **argv)
{
	static const struct option options[] = {{"each", required_argument, NULL, 'e'}, {0}};
	const char *folder = NULL;
	struct subject s = {0};
	struct vb_error err;
	unsigned runs = 0;
	int status;
	while (chaff_option(self, argc, argv, options) >= 0)
		folder = optarg;
	if (argc - optind < 2)
		return chaff_usage(self, "name the plan and the program");
	int r = open_subject(&s, argv[optind], argv[optind + 1], &err);
	if (r == 0 && folder)
		r = watch_each(&s, folder, argv + optind + 1, argc - optind - 1, &runs, &err);
	else if (r == 0)
		r = chaff_run_watched(argv + optind + 1, NULL, 0, &s.b, s.sites, s.hits, &status, &err);
	if (r < 0)
		return chaff_fail(self, &err);
	unsigned hits = 0;
	for (unsigned i = 0; i < s.sites->site_count; i++) {
		hits += s.hits[i];
		if (s.hits[i])
			fprintf(stderr, "vauban chaff watch: bug %u hit\n", s.sites->sites[i].bug);
	}
	if (folder)
		printf("%u runs, %u of %u bugs hit\n", runs, hits, s.sites->site_count);
	return hits ? CHAFF_NOT_PROVED : CHAFF_OK;
}

const struct chaff_verb chaff_watch = {"watch", "[--each DIR] PLAN PROGRAM [ARGUMENT|{}]...",
	"run a program and tell which bugs its input triggers",
	"The program runs as it is, under ptrace. Status 3: bugs were hit; each is named.\n"
	"  --each DIR   run it once for each file there, as standard input and by name in place of {}, and count\n"
	"example: vauban chaff watch plan ./minigzip -d <a.gz >/dev/null\n",
	run_watch};

/* The sample with what triggers the bug, in a file. */
static int write_input(const struct chaff_bug *bug, const char *path, struct vb_error *err)
{
	char *text;
	size_t length;
	int r = file_read(AT_FDCWD, bug->input, MAX_SAMPLE_BYTES, &text, &length);
	if (r < 0)
		return vb_error_set(err, r, "the sample %s: %s", bug->input, strerror(-r));
	for (unsigned t = 0; t < CHAFF_TRIGGER_BYTES && r == 0; t++) {
		size_t at = (size_t)bug->window[bug->trigger[t].at];
		if (at >= length)
			r = vb_error_set(err, -EINVAL, "the sample %s is shorter than when it was traced", bug->input);
		else
			text[at] = (char)bug->trigger[t].value;
	}
	if (r == 0 && (r = file_replace(AT_FDCWD, path, text, length)) < 0)
		vb_error_set(err, r, "can't write %s: %s", path, strerror(-r));
	free(text);
	return r;
}

static int run_trigger(const struct chaff_verb *self, int argc, char **argv)
{
	static const struct option options[] = {{"drop", no_argument, NULL, 'd'}, {"inputs", required_argument, NULL, 'i'}, {0}};
	bool drop = false;
	const char *folder = NULL;
	struct subject s = {0};
	struct vb_error err;
	char path[PATH_MAX];
	for (int c; (c = chaff_option(self, argc, argv, options)) >= 0;) {
		drop = drop || c == 'd';
		if (c == 'i')
			folder = optarg;
	}
	if (argc - optind < 2)
		return chaff_usage(self, "name the plan and the program");
	if (open_subject(&s, argv[optind], argv[optind + 1], &err) < 0)
		return chaff_fail(self, &err);
	if (folder && mkdir(folder, 0700) < 0 && errno != EEXIST) {
		vb_error_errno(&err, "%s", folder);
		return chaff_fail(self, &err);
	}
	const char *tmp = getenv("TMPDIR");
	unsigned fired = 0;
	for (unsigned i = 0; i < s.sites->site_count; i++) {
		struct chaff_bug *bug = (struct chaff_bug *)chaff_plan_bug(&s.plan, s.sites->sites[i].bug);
		int status = 0;
		if (!bug)
			continue;
		snprintf(path, sizeof(path), folder ? "%s/%u" : "%s/vauban-chaff-input-%u-%d",
			folder ? folder
			: tmp  ? tmp
			       : "/tmp",
			bug->id, getpid());
		char **list = with_input(argv + optind + 1, argc - optind - 1, path);
		memset(s.hits, 0, s.sites->site_count);
		int r = list ? write_input(bug, path, &err) : vb_error_set(&err, -ENOMEM, "no memory left");
		if (r == 0)
			r = chaff_run_watched(list, path, 10, &s.b, s.sites, s.hits, &status, &err);
		free(list);
		if (!folder)
			unlink(path);
		if (r < 0)
			return chaff_fail(self, &err);
		char how[40] = "";
		if (WIFSIGNALED(status))
			snprintf(how, sizeof(how), ", ended by %s", signal_name(WTERMSIG(status)));
		printf("bug %u: %s in %s: %s%s\n", bug->id, chaff_kind(bug), bug->function, s.hits[i] ? "triggered" : "not triggered", how);
		fired += s.hits[i];
		bug->dropped = bug->dropped || (drop && !s.hits[i]);
	}
	printf("%u of %u triggered\n", fired, s.sites->site_count);
	if (drop && fired < s.sites->site_count && chaff_plan_write(&s.plan, argv[optind], &err) < 0)
		return chaff_fail(self, &err);
	return fired == s.sites->site_count ? CHAFF_OK : CHAFF_NOT_PROVED;
}

const struct chaff_verb chaff_trigger = {"trigger", "[--drop] [--inputs DIR] PLAN PROGRAM [ARGUMENT|{}]...",
	"trigger each bug of a program",
	"For each bug: makes an input of the sample and the bug's trigger, runs the program on it (as standard input, and by name in place "
	"of {}),\n"
	"and tells whether the bug's code was reached.\n"
	"  --drop         take bugs that weren't out of the plan: the next build is without them\n"
	"  --inputs DIR   keep the inputs there, by number\n"
	"Status 3: some were not triggered.\n"
	"example: vauban chaff trigger plan ./minigzip -d\n",
	run_trigger};
