/* `vauban run`: from what the user typed to a cell. */
#include "cli/cli.h"
#include "cli/net.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
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
#include "host/parse.h"
#include "host/paths.h"
#include "image/cache.h"
#include "image/file.h"
#include "monitor/monitor.h"
#include "monitor/net.h"
#include "monitor/registry.h"

#define STATUS_NOT_EXECUTABLE 126
#define STATUS_NOT_FOUND      127
#define GROUPS_MAX            4096
#define LISTED_MAX            256 /* -e options */

extern char **environ;

/* The command line as it was given. */
struct request {
	const struct verb *verb;
	struct monitor_options cell;
	const char *environment[LISTED_MAX];
	unsigned environment_count;
	bool user_given;
	struct net_request net;
};

/* --- options --- */

static void parse_user(struct request *r, const char *text)
{
	char copy[32];
	long uid, gid;
	snprintf(copy, sizeof(copy), "%s", text);
	char *colon = strchr(copy, ':');
	if (colon)
		*colon = 0;
	if (parse_number(copy, 0, UINT32_MAX - 1, &uid) < 0 || parse_number(colon ? colon + 1 : copy, 0, UINT32_MAX - 1, &gid) < 0)
		cli_usage(r->verb, "\"%s\" is no user: give UID:GID as numbers", text);
	r->cell.uid = (uint32_t)uid;
	r->cell.gid = (uint32_t)gid;
	r->user_given = true;
}

static void parse_volume(struct request *r, char *text)
{
	if (r->cell.volume_count == VB_BOOT_MAX_VOLUMES)
		cli_usage(r->verb, "more than %u volumes", VB_BOOT_MAX_VOLUMES);
	struct monitor_volume *v = &r->cell.volumes[r->cell.volume_count++];
	char *colon = strrchr(text, ':');
	if (colon && (strcmp(colon, ":ro") == 0 || strcmp(colon, ":rw") == 0)) {
		v->read_only = colon[2] == 'o';
		*colon = 0;
		colon = strrchr(text, ':');
	}
	if (!colon || colon == text || colon[1] != '/')
		cli_usage(r->verb, "-v needs HOSTDIR:DIR[:ro] with an absolute DIR");
	*colon = 0;
	v->host_dir = text;
	v->target = colon + 1;
}

/* DIR[:FOLDER[,FOLDER...]] */
static void parse_site(struct request *r, char *text)
{
	static char tmp[] = "/tmp";
	char *colon = strchr(text, ':'), *list = colon ? colon + 1 : tmp;
	if (r->cell.site_dir)
		cli_usage(r->verb, "--site is given twice: a cell is of one site");
	if (colon)
		*colon = 0;
	if (!*text)
		cli_usage(r->verb, "--site needs DIR[:FOLDER[,FOLDER...]]");
	r->cell.site_dir = text;
	for (char *folder; (folder = strsep(&list, ","));) {
		if (r->cell.site_folder_count == VB_SITE_FOLDERS_MAX)
			cli_usage(r->verb, "--site: more than %u folders", VB_SITE_FOLDERS_MAX);
		size_t len = strlen(folder);
		if (len < 2 || len > 200 || *folder != '/' || folder[len - 1] == '/' || strstr(folder, "//") || strstr(folder, "/."))
			cli_usage(r->verb, "--site: \"%s\" is no folder: absolute paths please, such as /tmp or /run/app", folder);
		r->cell.site_folders[r->cell.site_folder_count++] = folder;
	}
}

static void parse_memory(struct request *r, const char *text)
{
	if (parse_size(text, &r->cell.memory_bytes) < 0)
		cli_usage(r->verb, "\"%s\" is no size: give bytes, or a number with K, M or G", text);
	if (r->cell.memory_bytes < IMAGE_MEMORY_MIN_BYTES || r->cell.memory_bytes > IMAGE_MEMORY_MAX_BYTES)
		cli_usage(r->verb, "-m must be from 4M to 1024G");
	r->cell.memory_bytes = vb_page_up(r->cell.memory_bytes);
}

static void parse_platform(struct request *r, const char *text)
{
	if (strcmp(text, "auto") != 0 && strcmp(text, "process") != 0)
		cli_usage(r->verb, "there is no platform \"%s\": auto and process are", text);
}

static void parse_cpus(struct request *r, const char *text)
{
	char *end;
	r->cell.cpus = strtod(text, &end);
	if (end == text || *end || !(r->cell.cpus >= 0.01 && r->cell.cpus <= 1024))
		cli_usage(r->verb, "--cpu needs a number of CPUs from 0.01, such as 0.5");
}

enum { OPT_NAME = 256, OPT_RM, OPT_CPU, OPT_PLATFORM, OPT_READ_ONLY, OPT_CORE, OPT_HOSTNAME, OPT_JIT, OPT_DEBUG_WAIT, OPT_SITE };

static const struct option long_options[] = {{"memory", required_argument, NULL, 'm'}, {"env", required_argument, NULL, 'e'},
	{"workdir", required_argument, NULL, 'w'}, {"user", required_argument, NULL, 'u'}, {"volume", required_argument, NULL, 'v'},
	{"interactive", no_argument, NULL, 'i'}, {"tty", no_argument, NULL, 't'}, {"detach", no_argument, NULL, 'd'},
	{"name", required_argument, NULL, OPT_NAME}, {"rm", no_argument, NULL, OPT_RM}, {"cpu", required_argument, NULL, OPT_CPU},
	{"platform", required_argument, NULL, OPT_PLATFORM}, {"read-only", no_argument, NULL, OPT_READ_ONLY},
	{"core", required_argument, NULL, OPT_CORE}, {"hostname", required_argument, NULL, OPT_HOSTNAME},
	{"site", required_argument, NULL, OPT_SITE}, {"jit", no_argument, NULL, OPT_JIT}, {"debug-wait", no_argument, NULL, OPT_DEBUG_WAIT},
	NET_LONG_OPTIONS, {0}};

static void parse_option(struct request *r, int c)
{
	struct monitor_options *o = &r->cell;
	switch (c) {
	case 'm':
		return parse_memory(r, optarg);
	case 'e':
		if (r->environment_count == LISTED_MAX)
			cli_usage(r->verb, "more than %d -e options", LISTED_MAX);
		if (*optarg == '=' || !*optarg)
			cli_usage(r->verb, "-e needs NAME=VALUE, or the NAME of a variable to pass on");
		r->environment[r->environment_count++] = optarg;
		break;
	case 'w':
		if (*optarg != '/')
			cli_usage(r->verb, "-w needs an absolute folder");
		o->cwd = optarg;
		break;
	case 'u':
		return parse_user(r, optarg);
	case 'v':
		return parse_volume(r, optarg);
	case 'i':
		o->interactive = true;
		break;
	case 't':
		o->terminal = true;
		break;
	case 'd':
		o->detach = true;
		break;
	case OPT_NAME:
		if (!registry_name_valid(optarg))
			cli_usage(r->verb, "\"%s\" is no name: letters, digits, _ . and - please, at most %d", optarg,
				REGISTRY_NAME_BYTES - 1);
		o->name = optarg;
		break;
	case OPT_RM:
		o->remove = true;
		break;
	case OPT_CPU:
		return parse_cpus(r, optarg);
	case OPT_PLATFORM:
		return parse_platform(r, optarg);
	case OPT_READ_ONLY:
		o->boot_flags |= VB_BOOT_READ_ONLY;
		break;
	case OPT_CORE:
		o->core_dir = optarg;
		o->boot_flags |= VB_BOOT_CORE;
		break;
	case OPT_HOSTNAME:
		if (!*optarg || strlen(optarg) > 64)
			cli_usage(r->verb, "a host name has 1 to 64 characters");
		o->hostname = optarg;
		break;
	case OPT_JIT:
		o->boot_flags |= VB_BOOT_JIT;
		break;
	case OPT_SITE:
		return parse_site(r, optarg);
	case OPT_DEBUG_WAIT:
		o->boot_flags |= VB_BOOT_DEBUG_WAIT;
		break;
	default:
		net_option(&r->net, c, optarg);
	}
}

/* --- the image --- */

static bool is_file(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* As a shell finds it. 0, or the exit status that tells why not. */
static int find_in_path(const char *name, char *path)
{
	const char *list = getenv("PATH");
	int status = STATUS_NOT_FOUND;
	if (!list)
		list = "/usr/local/bin:/usr/bin:/bin";
	for (const char *end;; list = end + 1) {
		end = strchrnul(list, ':');
		int n = end == list ? snprintf(path, PATH_MAX, "%s", name)
				    : snprintf(path, PATH_MAX, "%.*s/%s", (int)(end - list), list, name);
		if (n < PATH_MAX && is_file(path)) {
			if (access(path, X_OK) == 0)
				return 0;
			status = STATUS_NOT_EXECUTABLE;
		}
		if (!*end)
			return status;
	}
}

/* Runs `vauban-image cached PROGRAM`, which prints the image's path. */
static int make_cached_image(const char *program, char *image)
{
	char helper[PATH_MAX];
	struct vb_error err;
	int pair[2], status = 0;
	if (path_helper("vauban-image", helper, sizeof(helper), &err) < 0)
		return cli_fail(&err, MONITOR_STATUS_FAILED);
	bool progress = isatty(STDERR_FILENO);
	if (progress)
		fprintf(stderr, "vauban: making the image of %s (once)...", program);
	pid_t child = pipe2(pair, O_CLOEXEC) < 0 ? -1 : fork();
	if (child == 0) {
		dup2(pair[1], STDOUT_FILENO);
		execl(helper, "vauban-image", "cached", program, (char *)NULL);
		_exit(127);
	}
	if (child < 0) {
		vb_error_errno(&err, "can't start %s", helper);
		return cli_fail(&err, MONITOR_STATUS_FAILED);
	}
	close(pair[1]);
	size_t len = 0;
	for (ssize_t n = 1; n > 0 && len<PATH_MAX - 1; len += n> 0 ? (size_t)n : 0)
		n = read(pair[0], image + len, PATH_MAX - 1 - len);
	close(pair[0]);
	waitpid(child, &status, 0);
	image[len] = 0;
	image[strcspn(image, "\n")] = 0;
	if (progress)
		fputs("\r\033[K", stderr);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && image[0] == '/')
		return 0;
	if (WIFEXITED(status) && (WEXITSTATUS(status) == STATUS_NOT_EXECUTABLE || WEXITSTATUS(status) == STATUS_NOT_FOUND))
		return WEXITSTATUS(status);
	return MONITOR_STATUS_FAILED;
}

/* Opens the image that name is, or that of the program it names; *ret_bare tells which. 0 or an exit status.
 * Not inlined: its paths would stay on the stack while the cell runs. */
static __attribute__((noinline)) int open_image(const char *name, struct image_file *image, bool *ret_bare)
{
	char program[PATH_MAX], path[PATH_MAX];
	struct vb_error err;
	int status = 0;
	if (strchr(name, '/'))
		snprintf(program, sizeof(program), "%s", name);
	else if ((status = find_in_path(name, program)) != 0 && is_file(name))
		snprintf(program, sizeof(program), "%s", name);

	struct stat st;
	if (stat(program, &st) < 0 || (status == STATUS_NOT_FOUND && !is_file(program))) {
		log_error("%s: not found", name);
		return STATUS_NOT_FOUND;
	}
	if (!S_ISREG(st.st_mode)) {
		log_error("%s: is no file that can be run", name);
		return STATUS_NOT_EXECUTABLE;
	}
	int r = image_file_open(program, image, &err);
	*ret_bare = r == -ENOEXEC || r == -EACCES;
	if (r < 0 && !*ret_bare)
		return cli_fail(&err, MONITOR_STATUS_FAILED);
	if (r == 0)
		return 0;
	if (r == -EACCES && access(program, X_OK) < 0)
		return cli_fail(&err, STATUS_NOT_EXECUTABLE);
	if (access(program, X_OK) < 0) {
		log_error("%s: is neither executable nor an image", name);
		return STATUS_NOT_EXECUTABLE;
	}
	if (status == STATUS_NOT_FOUND) {
		log_error("%s: not found in $PATH (for a program in this folder: ./%s)", name, name);
		return STATUS_NOT_FOUND;
	}
	char absolute[PATH_MAX];
	if (program[0] != '/') {
		if (!getcwd(absolute, sizeof(absolute)) || strlen(absolute) + strlen(program) + 2 > sizeof(absolute)) {
			log_error("%s: can't tell the working directory", name);
			return MONITOR_STATUS_FAILED;
		}
		strcat(strcat(absolute, "/"), program);
		strcpy(program, absolute);
	}
	r = image_cache_find(program, path, sizeof(path), &err);
	if (r < 0)
		return cli_fail(&err, MONITOR_STATUS_FAILED);
	if (r == 0 && (status = make_cached_image(program, path)) != 0)
		return status;
	return image_file_open(path, image, &err) < 0 ? cli_fail(&err, MONITOR_STATUS_FAILED) : 0;
}

/* --- what the program gets --- */

static _Noreturn void out_of_memory(void)
{
	log_error("out of memory");
	exit(MONITOR_STATUS_FAILED);
}

static char **make_environment(const struct request *r, char **base)
{
	struct image_strings list = {0};
	for (; *base; base++)
		if (image_strings_add(&list, *base) < 0)
			out_of_memory();
	for (unsigned i = 0; i < r->environment_count; i++) {
		const char *s = r->environment[i], *value;
		char *passed = NULL;
		if (!strchr(s, '=')) {
			value = getenv(s);
			if (!value)
				continue;
			if (asprintf(&passed, "%s=%s", s, value) < 0)
				out_of_memory();
			s = passed;
		}
		if (image_environment_set(&list, s) < 0)
			out_of_memory();
		free(passed);
	}
	static char *none[] = {NULL};
	return list.count ? list.at : none;
}

static char **make_arguments(const struct image_manifest *m, bool bare, char **given, int given_count)
{
	struct image_strings list = {0};
	int r = 0;
	if (bare) {
		for (int i = 0; r == 0 && i < given_count; i++)
			r = image_strings_add(&list, given[i]);
	} else {
		for (size_t i = 0; r == 0 && i < m->entry.count; i++)
			r = image_strings_add(&list, m->entry.at[i]);
		for (size_t i = 0; r == 0 && given_count == 1 && i < m->arguments.count; i++)
			r = image_strings_add(&list, m->arguments.at[i]);
		for (int i = 1; r == 0 && i < given_count; i++)
			r = image_strings_add(&list, given[i]);
	}
	if (r < 0)
		out_of_memory();
	return list.at;
}

/* A program is run as its user would run it, an image as its manifest says; options overrule both. */
static void complete(struct request *r, const struct image_file *image, bool bare, char **given, int given_count)
{
	static char hostname[65];
	static uint32_t groups[GROUPS_MAX];
	struct monitor_options *o = &r->cell;
	const struct image_manifest *m = &image->manifest;

	o->image = given[0];
	o->image_fd = image->fd;
	o->image_bytes = image->trailer.erofs_bytes;
	o->sites_offset = image->trailer.sites_offset;
	o->sites_bytes = image->trailer.sites_bytes;
	o->program = m->program;
	o->arguments = make_arguments(m, bare, given, given_count);
	o->environment = make_environment(r, bare ? environ : m->environment.at ? m->environment.at : (char *[]){NULL});
	if (!o->cwd)
		o->cwd = bare ? getcwd(NULL, 0) : m->cwd;
	if (!o->cwd || *o->cwd != '/')
		o->cwd = "/";
	if (!o->hostname && bare && gethostname(hostname, sizeof(hostname) - 1) == 0)
		o->hostname = hostname;
	if (!o->hostname)
		o->hostname = o->name ? o->name : "cell";
	if (!r->user_given) {
		o->uid = bare ? geteuid() : m->uid;
		o->gid = bare ? getegid() : m->gid;
		int count = bare ? getgroups(GROUPS_MAX, groups) : 0;
		o->groups = groups;
		o->group_count = count > 0 ? (uint32_t)count : 0;
	}
	if (!o->memory_bytes)
		o->memory_bytes = bare ? MONITOR_MEMORY_DEFAULT_BYTES : m->memory_bytes;
	if (m->jit)
		o->boot_flags |= VB_BOOT_JIT;
}

int cli_run(const struct verb *verb, int argc, char **argv, struct trace_printer *trace)
{
	static struct net_options net;
	struct request r = {.verb = verb, .cell.net = &net, .net = {.verb = verb, .options = &net}};
	struct monitor_result result;
	struct image_file image;
	struct vb_error err;
	bool bare;
	for (int c; (c = cli_option(verb, argc, argv, "m:e:w:u:v:itd" NET_SHORT_OPTIONS, long_options)) != -1;)
		parse_option(&r, c);
	net_options_complete(&r.net);
	if (optind == argc || !*argv[optind])
		cli_usage(verb, "name a program or an image");
	r.cell.trace = trace;
	if (trace)
		r.cell.boot_flags |= VB_BOOT_TRACE;
	int status = open_image(argv[optind], &image, &bare);
	if (status)
		return status;
	complete(&r, &image, bare, argv + optind, argc - optind);
	if (monitor_run(&r.cell, &result, &err) < 0)
		return cli_fail(&err, MONITOR_STATUS_FAILED);
	return result.signal ? -result.signal : result.status;
}

static int run_main(int argc, char **argv)
{
	return cli_run(&verb_run, argc, argv, NULL);
}

const struct verb verb_run = {
	.name = "run",
	.arguments = "[OPTIONS] PROGRAM|IMAGE [ARGS...]",
	.summary = "run a program in a cell",
	.help = "  -m, --memory SIZE      all the memory the cell may use (1G; an image says itself)\n"
		"      --cpu N            CPUs it may use, such as 0.5\n"
		"  -e, --env NAME[=VALUE] set a variable, or pass on the caller's\n"
		"  -w, --workdir DIR      working directory inside\n"
		"  -u, --user UID[:GID]   user inside\n"
		"  -v, --volume HOSTDIR:DIR[:ro]  show a folder of the host inside\n"
		"      --site DIR[:FOLDER[,...]]  unix sockets below FOLDER (/tmp) are those of all cells with this DIR\n"
		"      --read-only        the root file system refuses writes\n"
		"      --hostname NAME    host name inside\n"
		NET_HELP
		"      --jit              the program may make new code at run time\n"
		"  -d, --detach           in the background; prints the cell's name (see `vauban logs`)\n"
		"  -i, --interactive      with -d: keep standard input\n"
		"  -t, --tty              with -d or without a terminal: make one\n"
		"      --name NAME        of the cell\n"
		"      --rm               with -d: forget the cell when it ends\n"
		"      --core DIR         write core files there when the program crashes\n"
		"      --debug-wait       wait for `vauban debug` before the first instruction\n"
		"      --platform P       auto or process\n"
		"\n"
		"A PROGRAM is looked up as in a shell and gets the caller's environment; an IMAGE runs as it was built to.\n"
		"The exit status is the program's; 125: Vauban failed, 126: can't be run, 127: not found.\n"
		"\n"
		"examples:\n"
		"  vauban run ls -l /\n"
		"  vauban run -m 64M -v .:/work -w /work python3 script.py\n"
		"  vauban run -d --name db -v /srv/db:/data sqlite.img /data/main.db\n",
	.main = run_main,
};
