/* Owns the decoding of maps. */
#include "variant/demap/places.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/error.h"
#include "host/file.h"
#include "variant/map.h"

#define MAX_MAP_BYTES    (1ull << 30)
#define MAX_INSTRUCTIONS (1u << 27)

/* One record, as it stands in the map. */
struct record {
	uint64_t address, identity;
	uint32_t first, count;
	const char *name;
	const char *lengths;
};

static bool take_record(const char **at, const char *end, struct record *ret)
{
	struct {
		uint64_t address;
		uint32_t first, count;
		uint64_t identity;
	} head;
	_Static_assert(sizeof(head) == 24, "as in the file");
	if ((size_t)(end - *at) < sizeof(head))
		return false;
	memcpy(&head, *at, sizeof(head));
	const char *name = *at + sizeof(head), *name_end = memchr(name, 0, (size_t)(end - name));
	if (!name_end || head.count > (size_t)(end - name_end - 1) / 2 || head.first > UINT32_MAX - head.count)
		return false;
	*ret = (struct record){head.address, head.identity, head.first, head.count, name, name_end + 1};
	*at = name_end + 1 + 2 * (size_t)head.count;
	return true;
}

static int by_address(const void *a, const void *b)
{
	const struct place *x = a, *y = b;
	if (x->address != y->address)
		return x->address < y->address ? -1 : 1;
	return (x->bytes > y->bytes) - (x->bytes < y->bytes); /* empty ones first, so that the one behind is found */
}

static int compare_key(const struct place_function *f, uint32_t number, uint64_t identity, const char *name, uint32_t wanted)
{
	if (f->identity != identity)
		return f->identity < identity ? -1 : 1;
	int r = strcmp(f->name, name);
	return r ? r : (number > wanted) - (number < wanted);
}

static int by_number(const void *a, const void *b, void *functions)
{
	const struct place *x = *(const struct place *const *)a, *y = *(const struct place *const *)b;
	const struct place_function *f = functions, *g = &f[y->function];
	int r = compare_key(&f[x->function], x->number, g->identity, g->name, y->number);
	return r ? r : (x->address > y->address) - (x->address < y->address);
}

static int count_records(
	const struct places *p, const char *bytes, size_t size, size_t *ret_records, size_t *ret_instructions, struct vb_error *err)
{
	struct record r;
	size_t records = 0, instructions = 0;
	for (const char *at = bytes; at < bytes + size; records++, instructions += r.count) {
		size_t offset = (size_t)(at - bytes);
		if (!take_record(&at, bytes + size, &r))
			return vb_error_set(err, -EINVAL, "%s: the map is broken at offset %zu", p->path, offset);
		if (instructions + r.count > MAX_INSTRUCTIONS)
			return vb_error_set(err, -EINVAL, "%s: the map has too many instructions", p->path);
	}
	*ret_records = records;
	*ret_instructions = instructions;
	return 0;
}

int places_decode(struct places *p, const char *bytes, size_t size, struct vb_error *err)
{
	size_t records = 0, instructions = 0;
	struct record r;
	int rc = count_records(p, bytes, size, &records, &instructions, err);
	if (rc < 0)
		return rc;
	p->by_address = calloc(instructions + 1, sizeof(*p->by_address));
	p->by_number = calloc(instructions + 1, sizeof(*p->by_number));
	p->functions = calloc(records + 1, sizeof(*p->functions));
	if (!p->by_address || !p->by_number || !p->functions)
		return vb_error_set(err, -ENOMEM, "out of memory");
	for (const char *at = bytes; at < bytes + size && take_record(&at, bytes + size, &r);) {
		struct place_function *f = p->function_count ? &p->functions[p->function_count - 1] : NULL;
		if (!r.address)
			continue; /* the linker has dropped it */
		if (!f || f->identity != r.identity || strcmp(f->name, r.name) != 0) {
			f = &p->functions[p->function_count++];
			*f = (struct place_function){.name = r.name, .identity = r.identity};
		}
		uint64_t address = r.address;
		for (uint32_t i = 0; i < r.count; i++) {
			uint16_t length;
			memcpy(&length, r.lengths + 2 * (size_t)i, sizeof(length));
			p->by_address[p->count++] = (struct place){
				.address = address, .function = p->function_count - 1, .number = r.first + i, .bytes = length};
			address += length;
		}
		f->count += r.count;
	}
	qsort(p->by_address, p->count, sizeof(*p->by_address), by_address);
	for (size_t i = 0; i < p->count; i++)
		p->by_number[i] = &p->by_address[i];
	qsort_r(p->by_number, p->count, sizeof(*p->by_number), by_number, p->functions);
	return 0;
}

static int load_binary(struct places *p, struct vb_error *err)
{
	int r = binary_load(p->path, &p->binary, err);
	p->has_binary = r == 0;
	return r;
}

int places_load_map(struct places *p, const struct binary *b, const char *path, bool needed, struct vb_error *err)
{
	size_t size;
	int r = file_read(AT_FDCWD, path, MAX_MAP_BYTES, &p->map_bytes, &size);
	if (r == 0)
		return places_decode(p, p->map_bytes, size, err);
	if (r != -ENOENT || needed)
		return vb_error_set(err, r, "can't read %s: %s", path, strerror(-r));
	const struct binary_section *section = binary_section(b, VARIANT_MAP_SECTION);
	if (section && section->type != SHT_NOBITS)
		return places_decode(p, (const char *)b->bytes + section->offset, section->size, err);
	return 0;
}

int places_load(const char *path, struct places *ret, struct vb_error *err)
{
	struct places *p = ret;
	char map[sizeof(p->path) + 4];
	size_t length = strlen(path);
	bool is_map = length > 4 && strcmp(path + length - 4, ".map") == 0;
	*p = (struct places){0};
	if (length >= sizeof(p->path))
		return vb_error_set(err, -ENAMETOOLONG, "the name %.40s... is too long", path);
	memcpy(p->path, path, length + 1);
	memcpy(map, path, length + 1);
	if (is_map)
		p->path[length - 4] = 0;
	else
		memcpy(map + length, ".map", 5);
	int r = 0;
	if (!is_map || access(p->path, F_OK) == 0)
		r = load_binary(p, err);
	else
		memcpy(p->path, path, length + 1);
	if (r == 0)
		r = places_load_map(p, &p->binary, map, is_map, err);
	if (r < 0)
		places_release(p);
	return r;
}

void places_release(struct places *p)
{
	if (p->has_binary)
		binary_release(&p->binary);
	free(p->map_bytes);
	free(p->by_address);
	free(p->by_number);
	free(p->functions);
	*p = (struct places){0};
}

const struct place *places_at(const struct places *p, uint64_t address)
{
	size_t low = 0, high = p->count; /* the first behind address */
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (p->by_address[middle].address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	const struct place *at = low ? &p->by_address[low - 1] : NULL;
	return at && address - at->address < at->bytes ? at : NULL;
}

const struct place *places_find(const struct places *p, uint64_t identity, const char *name, uint32_t number)
{
	size_t low = 0, high = p->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct place *at = p->by_number[middle];
		if (compare_key(&p->functions[at->function], at->number, identity, name, number) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == p->count)
		return NULL;
	const struct place *at = p->by_number[low];
	return compare_key(&p->functions[at->function], at->number, identity, name, number) == 0 ? at : NULL;
}

int places_order(const struct places *a, const struct place *x, const struct places *b, const struct place *y)
{
	const struct place_function *f = &b->functions[y->function];
	return compare_key(&a->functions[x->function], x->number, f->identity, f->name, y->number);
}

const struct place_function *places_function(const struct places *p, const char *name)
{
	const struct place_function *found = NULL;
	for (uint32_t i = 0; i < p->function_count; i++) {
		if (strcmp(p->functions[i].name, name) != 0)
			continue;
		if (found)
			return NULL;
		found = &p->functions[i];
	}
	return found;
}
