/* Owns `vauban chaff seal`, `verify` and `prove`: from notes in a linked binary to proofs, and the plan's record of them. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/types.h"
#include "host/file.h"
#include "variant/binary.h"
#include "variant/chaff/chaff.h"
#include "variant/chaff/prove.h"

char *chaff_code_name(const struct binary *b)
{
	char name[17];
	uint64_t hash = 0xcbf29ce484222325;
	for (uint32_t n = 0; n < b->section_count; n++) {
		const struct binary_section *s = &b->sections[n];
		if (!(s->flags & SHF_EXECINSTR) || s->type == SHT_NOBITS)
			continue;
		for (uint64_t i = 0; i < s->size; i++)
			hash = (hash ^ b->bytes[s->offset + i]) * 0x100000001b3;
	}
	snprintf(name, sizeof(name), "%016lx", hash);
	return strdup(name);
}

const struct chaff_binary *chaff_find_binary(const struct chaff_plan *plan, const struct binary *b, struct vb_error *err)
{
	char *code = chaff_code_name(b);
	for (unsigned i = 0; code && i < plan->binary_count; i++) {
		if (strcmp(plan->binaries[i].code, code) == 0) {
			free(code);
			return &plan->binaries[i];
		}
	}
	free(code);
	vb_error_set(err, -ENOENT, "%s: the plan doesn't know this code: link it by `vauban cc --chaff N --chaff-plan PLAN`", b->path);
	return NULL;
}

/* --- notes --- */

static int add_note(struct chaff_binary *to, const struct binary *b, const struct chaff_note *note, struct vb_error *err)
{
	const struct binary_symbol *f = binary_function_before(b, note->address);
	if (note->kind >= CHAFF_NOTE_KINDS)
		return vb_error_set(err, -EINVAL, "%s: its notes of bugs are broken", b->path);
	if (!f || note->address - f->value >= f->size)
		return vb_error_set(err, -EINVAL, "%s: bug %u lies in no function that has a symbol: don't link with -s, strip afterwards",
			b->path, note->bug);
	struct chaff_site *s = NULL;
	for (unsigned i = 0; i < to->site_count; i++) {
		if (to->sites[i].bug == note->bug && to->sites[i].function == f->value)
			s = &to->sites[i];
	}
	if (!s) {
		void *more = realloc(to->sites, (to->site_count + 1) * sizeof(*s));
		if (!more)
			return vb_error_set(err, -ENOMEM, "no memory left");
		to->sites = more;
		s = &to->sites[to->site_count++];
		*s = (struct chaff_site){.bug = note->bug, .function = f->value, .function_bytes = f->size};
	}
	uint64_t *notes = realloc(s->notes[note->kind], (s->note_count[note->kind] + 1) * sizeof(*notes));
	if (!notes)
		return vb_error_set(err, -ENOMEM, "no memory left");
	s->notes[note->kind] = notes;
	notes[s->note_count[note->kind]++] = note->address;
	return 0;
}

static int read_notes(const struct binary *b, struct chaff_binary *ret, struct vb_error *err)
{
	const struct binary_section *s = binary_section(b, CHAFF_SECTION);
	char path[PATH_MAX];
	*ret = (struct chaff_binary){.name = strdup(realpath(b->path, path) ? path : b->path), .code = chaff_code_name(b)};
	for (uint64_t at = 0; s && s->type != SHT_NOBITS && at + sizeof(struct chaff_note) <= s->size; at += sizeof(struct chaff_note)) {
		struct chaff_note note;
		memcpy(&note, b->bytes + s->offset + at, sizeof(note));
		if (!note.address || note.address == UINT64_MAX)
			continue; /* the linker has dropped it */
		int r = add_note(ret, b, &note, err);
		if (r < 0)
			return r;
	}
	return ret->name && ret->code ? 0 : vb_error_set(err, -ENOMEM, "no memory left");
}

/* --- proofs --- */

/* Proves each; returns how many could not be. */
static unsigned prove_all(const struct chaff_plan *plan, const struct binary *b, struct chaff_binary *sites, bool say)
{
	unsigned failed = 0;
	for (unsigned i = 0; i < sites->site_count; i++) {
		struct chaff_site *s = &sites->sites[i];
		const struct chaff_bug *bug = chaff_plan_bug(plan, s->bug);
		const struct binary_symbol *f = binary_function_before(b, s->function);
		const char *name = bug ? bug->function : f ? f->name : "?";
		struct chaff_proof proof;
		struct vb_error why;
		if (!bug)
			vb_error_set(&why, -ENOENT, "the plan has no such bug");
		s->proved = bug && chaff_prove(b, bug, s, &proof, &why) == 0;
		failed += !s->proved;
		if (!s->proved)
			fprintf(stderr, "bug %u in %s: not proved: %s\n", s->bug, name, why.text);
		else if (say)
			printf("bug %u: %s in %s: proved: %u ways, %u faults, %u accesses\n", s->bug, chaff_kind(bug), name, proof.paths,
				proof.faults, proof.accesses);
	}
	return failed;
}

static int run_verify(const struct chaff_verb *self, int argc, char **argv)
{
	static const struct option options[] = {{"quiet", no_argument, NULL, 'q'}, {0}};
	bool quiet = false;
	struct chaff_plan plan;
	struct binary b;
	struct vb_error err;
	while (chaff_option(self, argc, argv, options) >= 0)
		quiet = true;
	if (argc - optind != 2)
		return chaff_usage(self, "name the binary and the plan");
	if (chaff_plan_read(&plan, argv[optind + 1], &err) < 0)
		return chaff_fail(self, &err);
	if (binary_load(argv[optind], &b, &err) < 0) {
		chaff_plan_release(&plan);
		return chaff_fail(self, &err);
	}
	const struct chaff_binary *known = chaff_find_binary(&plan, &b, &err);
	int status = CHAFF_FAILED;
	if (known) {
		unsigned failed = prove_all(&plan, &b, (struct chaff_binary *)known, !quiet);
		printf("%u of %u proved\n", known->site_count - failed, known->site_count);
		status = failed ? CHAFF_NOT_PROVED : CHAFF_OK;
	} else {
		chaff_fail(self, &err);
	}
	binary_release(&b);
	chaff_plan_release(&plan);
	return status;
}

const struct chaff_verb chaff_verify = {"verify", "[--quiet] BINARY PLAN", "repeat the proofs on a binary, stripped or not",
	"For each bug: decodes its function, executes the bug's code symbolically for all contents of registers and memory, and shows that "
	"it\n"
	"writes only memory of its own that nothing else uses, or, for kinds that crash, only addresses that can't exist.\n"
	"  --quiet   only what can't be proved, and the sum\n"
	"Status 3: some could not be proved.\n",
	run_verify};

/* --- what the driver asks for --- */

/* The section is emptied and its name forgotten: the plan has it now. */
static int forget_notes(const struct binary *b, struct vb_error *err)
{
	const struct binary_section *s = binary_section(b, CHAFF_SECTION);
	Elf64_Ehdr header;
	Elf64_Shdr names, gone = {0};
	if (!s)
		return 0;
	memcpy(&header, b->bytes, sizeof(header));
	memcpy(&names, b->bytes + header.e_shoff + header.e_shstrndx * sizeof(names), sizeof(names));
	int fd = open(b->path, O_WRONLY | O_CLOEXEC);
	static const char zeros[4096];
	int r = fd < 0 ? -errno : 0;
	for (uint64_t at = 0; r == 0 && at < s->size; at += sizeof(zeros)) {
		size_t n = s->size - at < sizeof(zeros) ? s->size - at : sizeof(zeros);
		r = pwrite(fd, zeros, n, (off_t)(s->offset + at)) == (ssize_t)n ? 0 : -EIO;
	}
	uint64_t name = (uint64_t)((const uint8_t *)s->name - b->bytes);
	if (r == 0 && pwrite(fd, zeros, sizeof(CHAFF_SECTION) - 1, (off_t)name) < 0)
		r = -EIO;
	if (r == 0 && pwrite(fd, &gone, sizeof(gone), (off_t)(header.e_shoff + (uint64_t)(s - b->sections) * sizeof(gone))) != sizeof(gone))
		r = -EIO;
	fd_close(&fd);
	return r < 0 ? vb_error_set(err, r, "can't take the notes out of %s: %s", b->path, strerror(-r)) : 0;
}

/* Puts the binary into the plan, in place of what lay at its path. Others may do so at the same time. */
static int record(struct chaff_binary *new, const char *path, struct vb_error *err)
{
	char lock[PATH_MAX];
	struct chaff_plan plan;
	snprintf(lock, sizeof(lock), "%s.lock", path);
	int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || flock(fd, LOCK_EX) < 0) {
		int r = vb_error_errno(err, "can't lock %s", lock);
		fd_close(&fd);
		return r;
	}
	int r = chaff_plan_read(&plan, path, err);
	if (r == 0) {
		unsigned at = 0;
		while (at < plan.binary_count && strcmp(plan.binaries[at].name, new->name) != 0 &&
			strcmp(plan.binaries[at].code, new->code) != 0)
			at++;
		/* There is room for one more: chaff_plan_read() allocates it. */
		struct chaff_binary old = plan.binaries[at];
		unsigned count = plan.binary_count;
		plan.binaries[at] = *new;
		plan.binary_count += at == count;
		r = chaff_plan_write(&plan, path, err);
		plan.binaries[at] = old; /* new stays the caller's */
		plan.binary_count = count;
		chaff_plan_release(&plan);
	}
	fd_close(&fd);
	return r;
}

static int run_seal(const struct chaff_verb *self, int argc, char **argv)
{
	static const struct option options[] = {{0}};
	struct chaff_plan plan;
	struct binary b;
	struct chaff_binary sites;
	struct vb_error err;
	while (chaff_option(self, argc, argv, options) >= 0)
		;
	if (argc - optind != 2)
		return chaff_usage(self, "name the binary and the plan");
	if (binary_load(argv[optind], &b, &err) < 0 || chaff_plan_read(&plan, argv[optind + 1], &err) < 0 ||
		read_notes(&b, &sites, &err) < 0)
		return chaff_fail(self, &err);
	unsigned failed = prove_all(&plan, &b, &sites, false);
	if (failed) {
		vb_error_set(&err, -EINVAL,
			"%u bugs in %s can't be proved as it was linked: build again with --chaff-skip and their numbers", failed,
			argv[optind]);
		return chaff_fail(self, &err);
	}
	if (sites.site_count && (record(&sites, argv[optind + 1], &err) < 0 || forget_notes(&b, &err) < 0))
		return chaff_fail(self, &err);
	return CHAFF_OK;
}

const struct chaff_verb chaff_seal = {"seal", "BINARY PLAN", "prove what was linked, move the notes into the plan (`vauban cc` does it)",
	"Takes section " CHAFF_SECTION " out of the binary. If a proof fails it changes nothing and ends with status 1.\n", run_seal};

/* Links one object by itself: what it calls elsewhere stays open, but for malloc and free, which get addresses of their own. */
static int link_alone(const char *object, char *path, size_t size, struct vb_error *err)
{
	const char *folder = getenv("TMPDIR");
	snprintf(path, size, "%s/vauban-chaff-XXXXXX", folder ? folder : "/tmp");
	int fd = mkstemp(path);
	if (fd < 0)
		return vb_error_errno(err, "can't make %s", path);
	fd_close(&fd);
	pid_t pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY);
		dup2(null, 2); /* about what is open */
		execlp("ld.lld-19", "ld.lld-19", "-e", "0", "--noinhibit-exec", "--unresolved-symbols=ignore-all", "-z", "notext",
			"--defsym=malloc=0x1000", "--defsym=free=0x1010", "-o", path, object, (char *)NULL);
		_exit(127);
	}
	int status = -1;
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) == 127) {
		unlink(path);
		return vb_error_set(err, -ENOENT, "can't run ld.lld-19: install lld-19 (make deps)");
	}
	return 0;
}

static int run_prove(const struct chaff_verb *self, int argc, char **argv)
{
	static const struct option options[] = {{0}};
	char path[PATH_MAX];
	struct chaff_plan plan;
	struct binary b;
	struct chaff_binary sites;
	struct vb_error err;
	while (chaff_option(self, argc, argv, options) >= 0)
		;
	if (argc - optind != 2)
		return chaff_usage(self, "name the object and the plan");
	if (chaff_plan_read(&plan, argv[optind + 1], &err) < 0 || link_alone(argv[optind], path, sizeof(path), &err) < 0)
		return chaff_fail(self, &err);
	int r = binary_load(path, &b, &err);
	unlink(path);
	if (r < 0 || read_notes(&b, &sites, &err) < 0)
		return chaff_fail(self, &err);
	if (!prove_all(&plan, &b, &sites, false))
		return CHAFF_OK;
	const char *comma = "";
	for (unsigned i = 0; i < sites.site_count; i++) {
		if (!sites.sites[i].proved) {
			printf("%s%u", comma, sites.sites[i].bug);
			comma = ",";
		}
	}
	putchar('\n');
	return CHAFF_NOT_PROVED;
}

const struct chaff_verb chaff_prove_verb = {"prove", "OBJECT PLAN", "prove the bugs of one object (`vauban cc` does it)",
	"Prints the numbers of those that can't be proved, for --chaff-skip; then the status is 3.\n", run_prove};
