/* `vauban shuffle`: owns its options, the order of the stages and the file that is written. */
#include "variant/shuffle/shuffle.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/types.h"
#include "host/file.h"
#include "variant/commands.h"
#include "variant/random.h"

size_t file_offset(const struct shuffle *s, uint64_t address, uint64_t bytes)
{
	const uint8_t *at = binary_at(&s->b, address, bytes);
	return at ? (size_t)(at - s->b.bytes) : SIZE_MAX;
}

uint64_t get_number(const uint8_t *at, unsigned bytes, bool is_signed)
{
	uint64_t value = 0;
	memcpy(&value, at, bytes);
	if (is_signed && bytes && bytes < 8 && value >> (8 * bytes - 1) & 1)
		value |= UINT64_MAX << 8 * bytes;
	return value;
}

void put_number(uint8_t *at, unsigned bytes, uint64_t value)
{
	memcpy(at, &value, bytes);
}

bool fits(int64_t value, unsigned bytes)
{
	return bytes >= 8 || (value >= -(INT64_C(1) << (8 * bytes - 1)) && value < INT64_C(1) << (8 * bytes - 1));
}

/* What would need more than moving code, each with the way out. */
static int check(struct shuffle *s, struct vb_error *err)
{
	static const char *const holds_addresses[] = {".gdb_index", ".stab", ".note.bolt_info"};
	if (s->b.section_count == 0 || s->b.stripped)
		return vb_error_set(err, -ENOTSUP, "%s is stripped: where functions start can't be told; shuffle it before `strip`", s->b.path);
	const struct binary_section *text = binary_section(&s->b, ".text");
	if (!text || text->type != SHT_PROGBITS || !(text->flags & SHF_EXECINSTR) || !text->size)
		return vb_error_set(err, -ENOTSUP, "%s has no code in .text", s->b.path);
	s->text = (uint32_t)(text - s->b.sections);
	s->start = text->address;
	s->end = text->address + text->size;
	if (binary_at(&s->b, s->start, text->size) != s->b.bytes + text->offset)
		return vb_error_set(err, -EINVAL, "%s: its sections contradict its segments", s->b.path);
	if (s->end >= INT32_MAX)
		return vb_error_set(err, -ENOTSUP, "%s can't be shuffled: its code lies above 2 GiB", s->b.path);
	for (unsigned i = 0; i < VB_ARRAY_LEN(holds_addresses); i++)
		if (binary_section(&s->b, holds_addresses[i]))
			return vb_error_set(err, -ENOTSUP, "%s can't be shuffled: it has %s, whose addresses have no relocations; link it without", s->b.path,
				holds_addresses[i]);
	return 0;
}

/* Another program gets another identity: debuggers and crash reporters find symbols by it. */
static void change_build_id(struct shuffle *s, uint64_t seed)
{
	const struct binary_section *note = binary_section(&s->b, ".note.gnu.build-id");
	struct variant_random random, of_id;
	if (!note || note->type != SHT_NOTE || note->size <= 16)
		return;
	variant_random_init(&random, seed, (const char *const[]){"shuffle", "build-id", NULL});
	variant_random_fork(&of_id, &random, s->b.bytes + note->offset, note->size);
	for (uint64_t i = 16; i < note->size; i++)
		s->new_bytes[note->offset + i] = (uint8_t)variant_random_u64(&of_id);
}

int shuffle_image(struct shuffle *s, uint64_t seed, struct vb_error *err)
{
	int r = check(s, err);
	if (r < 0 || (r = references_load(s, err)) < 0 || (r = pieces_find(s, err)) < 0 || (r = code_decode(s, err)) < 0 ||
		(r = unwind_glue(s, err)) < 0 || (r = references_glue(s, err)) < 0 || (r = pieces_place(s, seed, err)) < 0)
		return r;
	s->new_bytes = malloc(s->b.size);
	s->patched = calloc(s->b.size / 8 + 1, 1);
	if (!s->new_bytes || !s->patched)
		return vb_error_set(err, -ENOMEM, "out of memory");
	memcpy(s->new_bytes, s->b.bytes, s->b.size);
	if ((r = code_move(s, err)) < 0 || (r = unwind_move(s, err)) < 0 || (r = references_move(s, err)) < 0)
		return r;
	change_build_id(s, seed);
	return 0;
}

void shuffle_release(struct shuffle *s)
{
	binary_release(&s->b);
	free(s->pieces);
	free(s->operands);
	free(s->instruction_starts);
	free(s->patched);
	free(s->references);
	free(s->data_referred);
	free(s->new_bytes);
}

/* Under its name only when all of it is there. */
static int write_program(const char *path, const uint8_t *bytes, size_t size, mode_t mode, struct vb_error *err)
{
	char temporary[PATH_MAX];
	if (snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path) >= (int)sizeof(temporary))
		return vb_error_set(err, -ENAMETOOLONG, "the name %.40s... is too long", path);
	int fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return vb_error_errno(err, "can't write %s", path);
	int r = fd_write_all(fd, bytes, size);
	if (r == 0 && fchmod(fd, mode) < 0)
		r = -errno;
	if (close(fd) < 0 && r == 0)
		r = -errno;
	if (r == 0 && rename(temporary, path) < 0)
		r = -errno;
	if (r == 0)
		return 0;
	unlink(temporary);
	return vb_error_set(err, r, "can't write %s: %s", path, strerror(-r));
}

enum { OPT_SEED = 1, OPT_QUIET };
static const struct option options[] = {{"seed", required_argument, NULL, OPT_SEED}, {"output", required_argument, NULL, 'o'},
	{"quiet", no_argument, NULL, OPT_QUIET}, {0}};

static int shuffle_main(const struct command *self, int argc, char **argv)
{
	const char *output = NULL;
	bool seeded = false, quiet = false;
	uint64_t seed = 0;
	char *end;
	for (int c; (c = command_option(self, argc, argv, options)) >= 0;) {
		switch (c) {
		case OPT_SEED:
			errno = 0;
			seed = strtoull(optarg, &end, 10);
			seeded = *optarg >= '0' && *optarg <= '9' && !*end && !errno;
			if (!seeded)
				return command_usage(self, "--seed wants a number below 2^64, not \"%s\"", optarg);
			break;
		case 'o':
			output = optarg;
			break;
		case OPT_QUIET:
			quiet = true;
			break;
		}
	}
	if (argc - optind != 1 || !seeded || !output)
		return command_usage(self, argc - optind != 1 ? "name one program" : !seeded ? "give a seed" : "say where to write it, with -o FILE");
	struct vb_error err;
	struct shuffle s = {0};
	struct stat st;
	int r = binary_load(argv[optind], &s.b, &err);
	if (r == 0)
		r = shuffle_image(&s, seed, &err);
	if (r == 0)
		r = write_program(output, s.new_bytes, s.b.size, stat(argv[optind], &st) == 0 ? st.st_mode & 0777 : 0755, &err);
	if (r == 0 && !quiet)
		fprintf(stderr, "vauban shuffle: %u functions or groups of functions moved, of %zu functions\n", s.moved, s.piece_count);
	shuffle_release(&s);
	return r < 0 ? command_fail(self, &err) : 0;
}

const struct command command_shuffle = {
	.name = "shuffle",
	.arguments = "PROGRAM --seed N -o FILE [--quiet]",
	.about = "reorder the functions of a linked program, without its sources",
	.help = "  --seed N            which order; the same seed gives the same bytes\n"
		"  -o, --output FILE   where to write the result\n"
		"  --quiet             don't say how much was moved\n"
		"\n"
		"The program must have been compiled with -ffunction-sections and linked with -Wl,--emit-relocs, and not be stripped yet.\n"
		"\n"
		"example: gcc -O2 -ffunction-sections main.c -Wl,--emit-relocs -o main && vauban shuffle main --seed 7 -o main.7\n",
	.run = shuffle_main,
};
