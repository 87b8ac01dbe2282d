/* The runtime of --chaff-trace, linked into the program that is traced (glibc): which bytes of the input each byte of memory
 * holds or was computed from. It owns the shadow memory and the sets of offsets. It trusts the program, which is the user's own.
 *
 * A label is 0 (nothing of the input), COPY (a run of 1 to 8 bytes of the input as they are), or the number of a set of offsets
 * that a value was computed from. Sets may hold more than they should (gaps are closed when there are many): then bytes count as
 * used that are not, never the other way round. What no instrumented code and no stand-in below moves loses its label; bugs that
 * this places where they can't be triggered are found by triggering each (`vauban chaff watch`). One thread at a time. */
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <stdint.h>
#include <stdbool.h>

#define API(name)      __vauban_chaff_##name
#define STAND_IN(name) __vauban_chaff_of_##name

typedef uint32_t label;
#define COPY        0x80000000u
#define MAX_OFFSET  (1u << 24)
#define RANGES      16
#define MAX_SETS    (1u << 22)
#define CHUNK_BYTES 65536u
#define WINDOWS     8 /* kept of a place */

__thread label API(arguments)[16];
__thread void *API(callee);
__thread label API(result);

struct set {
	uint64_t branches;
	uint32_t count;
	struct range {
		uint32_t low, high; /* both belong to it */
	} ranges[RANGES];
};
struct record {
	uint64_t executions;
	struct window {
		uint64_t executions;
		int32_t offsets[8]; /* of the input; -1: not a copy of it */
		unsigned at;        /* where in it the load is */
	} windows[WINDOWS];
};
/* As chaff_trace.c lays it out. */
struct function {
	const char *module, *name;
	uint64_t hash, loads;
	struct record *records[];
};

static label **shadow; /* by address / CHUNK_BYTES */
static struct set *sets;
static uint32_t set_count = 1;
static uint32_t *set_index; /* by hash, open addressing, twice MAX_SETS */
static uint64_t *copied_branches;
static struct {
	label a, b, both;
} unions[65536];
static struct function **functions;
static size_t function_count;
static char *arena, *arena_end;
static struct stat input;
static enum { NO_INPUT, FILE_INPUT, STDIN_INPUT, SOCKET_INPUT } input_kind;
static uint32_t stream_offset, input_bytes;
static bool ready;

static void *reserve(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED) {
		fputs("vauban chaff trace: no memory left in the traced program\n", stderr);
		_exit(127);
	}
	return p;
}

static void *allocate(size_t bytes)
{
	if ((size_t)(arena_end - arena) < bytes) {
		arena = reserve(64u << 20);
		arena_end = arena + (64u << 20);
	}
	void *p = arena;
	arena += (bytes + 15) & ~(size_t)15;
	return p;
}

__attribute__((constructor(101))) static void start(void)
{
	const char *name = getenv("VAUBAN_CHAFF_INPUT");
	if (ready)
		return;
	shadow = reserve((1ull << 47) / CHUNK_BYTES * sizeof(*shadow));
	sets = reserve((size_t)MAX_SETS * sizeof(*sets));
	set_index = reserve(2ull * MAX_SETS * sizeof(*set_index));
	copied_branches = reserve((size_t)MAX_OFFSET * sizeof(*copied_branches));
	functions = reserve(sizeof(*functions) << 20);
	if (name && strcmp(name, "-") == 0)
		input_kind = STDIN_INPUT;
	else if (name && strcmp(name, "socket") == 0)
		input_kind = SOCKET_INPUT;
	else if (name && stat(name, &input) == 0)
		input_kind = FILE_INPUT;
	ready = true;
}

/* --- labels --- */

static unsigned copy_length(label l)
{
	return (l >> 24 & 7) + 1;
}

static label copy_of(uint32_t offset, unsigned length)
{
	return COPY | (length - 1) << 24 | offset;
}

static label *shadow_of(const void *p, bool make)
{
	uint64_t at = (uintptr_t)p;
	if (at >> 47)
		return NULL;
	label **chunk = &shadow[at / CHUNK_BYTES];
	if (!*chunk) {
		if (!make)
			return NULL;
		*chunk = allocate(CHUNK_BYTES * sizeof(label));
	}
	return &(*chunk)[at % CHUNK_BYTES];
}

static label at(const void *p)
{
	label *l = shadow_of(p, false);
	return l ? *l : 0;
}

static void put(void *p, label l)
{
	label *s = shadow_of(p, l != 0);
	if (s)
		*s = l;
}

/* Adds the ranges of l to a sorted, disjoint list, closing the smallest gaps when there are too many. */
static uint32_t add(struct range *list, uint32_t count, struct range r)
{
	uint32_t i = 0, n;
	while (i < count && list[i].high + 1 < r.low)
		i++;
	for (n = i; n < count && list[n].low <= r.high + 1; n++) {
		r.low = list[n].low < r.low ? list[n].low : r.low;
		r.high = list[n].high > r.high ? list[n].high : r.high;
	}
	memmove(&list[i + 1], &list[n], (count - n) * sizeof(r));
	list[i] = r;
	count += 1 - (n - i);
	if (count <= RANGES)
		return count;
	for (i = n = 0; i + 1 < count; i++)
		if (list[i + 1].low - list[i].high < list[n + 1].low - list[n].high)
			n = i;
	list[n].high = list[n + 1].high;
	memmove(&list[n + 1], &list[n + 2], (count - n - 2) * sizeof(r));
	return count - 1;
}

static uint32_t add_label(struct range *list, uint32_t count, label l)
{
	if (l & COPY) {
		uint32_t offset = l & (MAX_OFFSET - 1);
		return add(list, count, (struct range){offset, offset + copy_length(l) - 1});
	}
	for (uint32_t i = 0; i < sets[l].count; i++)
		count = add(list, count, sets[l].ranges[i]);
	return count;
}

static label intern(const struct range *list, uint32_t count)
{
	uint64_t hash = 0xcbf29ce484222325;
	for (uint32_t i = 0; i < count; i++)
		hash = (hash ^ ((uint64_t)list[i].low << 32 | list[i].high)) * 0x9e3779b97f4a7c15, hash ^= hash >> 29;
	uint32_t i = (uint32_t)(hash >> 20) & (2 * MAX_SETS - 1);
	for (; set_index[i]; i = (i + 1) & (2 * MAX_SETS - 1)) {
		struct set *s = &sets[set_index[i]];
		if (s->count == count && memcmp(s->ranges, list, count * sizeof(*list)) == 0)
			return set_index[i];
	}
	if (set_count == MAX_SETS) { /* one set of all */
		sets[1].count = 1;
		sets[1].ranges[0] = (struct range){0, MAX_OFFSET - 1};
		return 1;
	}
	sets[set_count].count = count;
	memcpy(sets[set_count].ranges, list, count * sizeof(*list));
	set_index[i] = set_count;
	return set_count++;
}

label API(union)(label a, label b)
{
	if (!a || (b && b < a)) {
		label other = a;
		a = b, b = other;
	}
	if (!a || (a == b && !(a & COPY)) || (!b && !(a & COPY)))
		return a;
	unsigned slot = (a * 0x9e3779b1u ^ b * 0x85ebca6bu) >> 16;
	if (unions[slot].a == a && unions[slot].b == b)
		return unions[slot].both;
	struct range list[RANGES + 1];
	uint32_t count = add_label(list, 0, a);
	if (b)
		count = add_label(list, count, b);
	label both = intern(list, count);
	unions[slot].a = a, unions[slot].b = b, unions[slot].both = both;
	return both;
}

label API(part)(label l, uint64_t bytes)
{
	return l & COPY && copy_length(l) > bytes ? copy_of(l & (MAX_OFFSET - 1), (unsigned)bytes) : l;
}

label API(load)(const char *p, uint64_t bytes)
{
	label first = at(p), all = 0;
	bool copy = first & COPY && bytes <= 8;
	for (uint64_t i = 1; i < bytes && copy; i++)
		copy = at(p + i) == first + i;
	if (copy)
		return first + ((uint32_t)(bytes - 1) << 24);
	for (uint64_t i = 0; i < bytes; i++)
		all = API(union)(all, at(p + i));
	return all;
}

void API(store)(char *p, uint64_t bytes, label l)
{
	for (uint64_t i = 0; i < bytes; i++)
		put(p + i, !(l & COPY) ? l : i < copy_length(l) ? copy_of((l & (MAX_OFFSET - 1)) + (uint32_t)i, 1) : 0);
}

void API(fill)(char *p, uint64_t bytes, label l)
{
	for (uint64_t i = 0; i < bytes; i++)
		put(p + i, l);
}

void API(copy)(char *to, const char *from, uint64_t bytes)
{
	if (to < from)
		for (uint64_t i = 0; i < bytes; i++)
			put(to + i, at(from + i));
	else
		for (uint64_t i = bytes; i--;)
			put(to + i, at(from + i));
}

/* A value has decided where control goes. */
void API(branch)(label l)
{
	if (l & COPY)
		for (unsigned i = 0; i < copy_length(l); i++)
			copied_branches[(l & (MAX_OFFSET - 1)) + i]++;
	else
		sets[l].branches++;
}

static void decide(const void *p, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		API(branch)(at((const char *)p + i));
}

/* A load at p: remembers what the eight aligned bytes around it are. */
void API(place)(const char *p, struct function *f, uint32_t number)
{
	struct record *r = f->records[number];
	if (!r) {
		bool known = false;
		for (uint64_t i = 0; i < f->loads && !known; i++)
			known = f->records[i];
		if (!known && function_count < 1u << 20)
			functions[function_count++] = f;
		r = f->records[number] = allocate(sizeof(*r));
	}
	r->executions++;
	const label *l = shadow_of((const char *)((uintptr_t)p & ~7ul), false);
	unsigned copies = 0;
	for (unsigned i = 0; l && i < 8; i++)
		copies += l[i] >> 31;
	if (copies < 4)
		return;
	for (unsigned w = 0; w < WINDOWS; w++) {
		struct window *window = &r->windows[w];
		bool same = true;
		for (unsigned i = 0; i < 8; i++) {
			int32_t offset = l[i] & COPY ? (int32_t)(l[i] & (MAX_OFFSET - 1)) : -1;
			if (!window->executions)
				window->offsets[i] = offset;
			same = same && window->offsets[i] == offset;
		}
		if (!same)
			continue;
		window->at = (uintptr_t)p & 7;
		window->executions++;
		return;
	}
}

/* --- the trace --- */

static void write_out(void)
{
	const char *path = getenv("VAUBAN_CHAFF_TRACE");
	FILE *out = path && ready ? fopen(path, "we") : NULL;
	if (!out)
		return;
	ready = false; /* once */
	for (uint32_t s = 1; s < set_count; s++)
		for (uint32_t i = 0; sets[s].branches && i < sets[s].count; i++)
			for (uint32_t o = sets[s].ranges[i].low; o <= sets[s].ranges[i].high && o < input_bytes; o++)
				copied_branches[o] += sets[s].branches;
	const char *sample = getenv("VAUBAN_CHAFF_SAMPLE");
	fprintf(out, "vauban-chaff-trace 1\ninput\t%s\nbytes\t%u\n", sample ? sample : "", input_bytes);
	for (uint32_t o = 0; o < input_bytes; o++)
		if (copied_branches[o])
			fprintf(out, "used\t%u\t%lu\n", o, copied_branches[o]);
	for (size_t n = 0; n < function_count; n++) {
		struct function *f = functions[n];
		for (uint64_t i = 0; i < f->loads; i++) {
			struct record *r = f->records[i];
			if (!r)
				continue;
			fprintf(out, "place\t%s\t%s\t%lx\t%lu\t%lu\n", f->module, f->name, f->hash, i, r->executions);
			for (unsigned w = 0; w < WINDOWS && r->windows[w].executions; w++) {
				fprintf(out, "window\t%u\t%lu", r->windows[w].at, r->windows[w].executions);
				for (unsigned b = 0; b < 8; b++)
					fprintf(out, "\t%d", r->windows[w].offsets[b]);
				fputc('\n', out);
			}
		}
	}
	if (fclose(out) != 0)
		fprintf(stderr, "vauban chaff trace: can't write %s\n", path);
}

__attribute__((destructor)) static void end(void)
{
	write_out();
}

void STAND_IN(_exit)(int status)
{
	write_out();
	_exit(status);
}

/* --- input --- */

static bool is_input(int fd)
{
	struct stat s;
	start();
	if (input_kind == STDIN_INPUT)
		return fd == 0;
	if (input_kind == NO_INPUT || fstat(fd, &s) < 0)
		return false;
	return input_kind == SOCKET_INPUT ? S_ISSOCK(s.st_mode) : s.st_dev == input.st_dev && s.st_ino == input.st_ino;
}

/* What was read from offset (-1: from a stream, behind what was read before). */
static void came(void *p, ssize_t bytes, off_t offset)
{
	if (bytes <= 0)
		return;
	if (offset < 0) {
		offset = stream_offset;
		stream_offset += (uint32_t)bytes;
	}
	for (ssize_t i = 0; i < bytes; i++, offset++)
		put((char *)p + i, offset < MAX_OFFSET ? copy_of((uint32_t)offset, 1) : 0);
	if (offset > input_bytes)
		input_bytes = offset < MAX_OFFSET ? (uint32_t)offset : MAX_OFFSET;
}

static void read_into(int fd, void *p, ssize_t bytes, off_t offset)
{
	API(result) = 0;
	if (is_input(fd))
		came(p, bytes, offset);
	else if (bytes > 0)
		API(fill)(p, (uint64_t)bytes, 0);
}

ssize_t STAND_IN(read)(int fd, void *p, size_t bytes)
{
	off_t offset = lseek(fd, 0, SEEK_CUR);
	ssize_t n = read(fd, p, bytes);
	read_into(fd, p, n, offset);
	return n;
}

ssize_t STAND_IN(pread64)(int fd, void *p, size_t bytes, off64_t offset)
{
	ssize_t n = pread64(fd, p, bytes, offset);
	read_into(fd, p, n, offset);
	return n;
}

ssize_t STAND_IN(pread)(int fd, void *p, size_t bytes, off_t offset)
{
	return STAND_IN(pread64)(fd, p, bytes, offset);
}

ssize_t STAND_IN(recvfrom)(int fd, void *p, size_t bytes, int flags, struct sockaddr *from, socklen_t *length)
{
	ssize_t n = recvfrom(fd, p, bytes, flags, from, length);
	if (!(flags & MSG_PEEK))
		read_into(fd, p, n, -1);
	return n;
}

ssize_t STAND_IN(recv)(int fd, void *p, size_t bytes, int flags)
{
	return STAND_IN(recvfrom)(fd, p, bytes, flags, NULL, NULL);
}

size_t STAND_IN(fread)(void *p, size_t size, size_t count, FILE *f)
{
	off_t offset = ftello(f);
	size_t n = fread(p, size, count, f);
	read_into(fileno(f), p, (ssize_t)(n * size), offset);
	return n;
}

size_t STAND_IN(fread_unlocked)(void *p, size_t size, size_t count, FILE *f)
{
	return STAND_IN(fread)(p, size, count, f);
}

char *STAND_IN(fgets)(char *p, int size, FILE *f)
{
	off_t offset = ftello(f);
	char *line = fgets(p, size, f);
	if (line)
		read_into(fileno(f), p, (ssize_t)strlen(p), offset);
	return line;
}

int STAND_IN(fgetc)(FILE *f)
{
	off_t offset = ftello(f);
	int c = fgetc(f);
	char byte;
	read_into(fileno(f), &byte, c != EOF, offset);
	API(result) = c != EOF ? at(&byte) : 0;
	return c;
}

int STAND_IN(getc)(FILE *f)
{
	return STAND_IN(fgetc)(f);
}

int STAND_IN(getc_unlocked)(FILE *f)
{
	return STAND_IN(fgetc)(f);
}

int STAND_IN(fgetc_unlocked)(FILE *f)
{
	return STAND_IN(fgetc)(f);
}

int STAND_IN(getchar)(void)
{
	return STAND_IN(fgetc)(stdin);
}

/* glibc's inline getc_unlocked() takes from the buffer itself and calls this when it is empty. */
extern int __uflow(FILE *);
int STAND_IN(__uflow)(FILE *f)
{
	off_t offset = ftello(f);
	int c = __uflow(f);
	API(result) = 0;
	if (c != EOF) {
		read_into(fileno(f), f->_IO_read_ptr - 1, f->_IO_read_end - f->_IO_read_ptr + 1, offset);
		API(result) = at(f->_IO_read_ptr - 1);
	}
	return c;
}

/* --- memory --- */

void *STAND_IN(memcpy)(void *to, const void *from, size_t bytes)
{
	API(copy)(to, from, bytes);
	API(result) = API(arguments)[0];
	return memcpy(to, from, bytes);
}

void *STAND_IN(memmove)(void *to, const void *from, size_t bytes)
{
	API(copy)(to, from, bytes);
	API(result) = API(arguments)[0];
	return memmove(to, from, bytes);
}

void *STAND_IN(mempcpy)(void *to, const void *from, size_t bytes)
{
	return (char *)STAND_IN(memcpy)(to, from, bytes) + bytes;
}

void *STAND_IN(memset)(void *to, int c, size_t bytes)
{
	API(fill)(to, bytes, API(union)(API(arguments)[1], 0));
	API(result) = API(arguments)[0];
	return memset(to, c, bytes);
}

static size_t length_of(const char *s)
{
	size_t n = strlen(s);
	decide(s, n + 1);
	API(result) = 0;
	return n;
}

char *STAND_IN(strcpy)(char *to, const char *from)
{
	API(copy)(to, from, length_of(from) + 1);
	return strcpy(to, from);
}

char *STAND_IN(stpcpy)(char *to, const char *from)
{
	API(copy)(to, from, length_of(from) + 1);
	return stpcpy(to, from);
}

char *STAND_IN(strncpy)(char *to, const char *from, size_t bytes)
{
	size_t n = strnlen(from, bytes);
	decide(from, n);
	API(copy)(to, from, n);
	API(result) = 0;
	return strncpy(to, from, bytes);
}

char *STAND_IN(strcat)(char *to, const char *from)
{
	API(copy)(to + strlen(to), from, length_of(from) + 1);
	return strcat(to, from);
}

char *STAND_IN(strdup)(const char *s)
{
	char *copy = strdup(s);
	if (copy)
		API(copy)(copy, s, length_of(s) + 1);
	return copy;
}

void *STAND_IN(malloc)(size_t bytes)
{
	void *p = malloc(bytes);
	API(result) = 0;
	if (p)
		API(fill)(p, bytes, 0);
	return p;
}

void *STAND_IN(calloc)(size_t count, size_t bytes)
{
	void *p = calloc(count, bytes);
	API(result) = 0;
	if (p)
		API(fill)(p, count * bytes, 0);
	return p;
}

void *STAND_IN(realloc)(void *old, size_t bytes)
{
	size_t had = old ? malloc_usable_size(old) : 0;
	char *p = realloc(old, bytes);
	API(result) = 0;
	if (p && p != old)
		API(copy)(p, old, had < bytes ? had : bytes); /* labels only: old is not read */
	if (p && bytes > had)
		API(fill)(p + had, bytes - had, 0);
	return p;
}

/* --- what decides --- */

static void compare(const char *a, const char *b, size_t most, bool strings)
{
	for (size_t i = 0; i < most; i++) {
		API(branch)(at(a + i));
		API(branch)(at(b + i));
		if (a[i] != b[i] || (strings && !a[i]))
			break;
	}
	API(result) = 0;
}

int STAND_IN(memcmp)(const void *a, const void *b, size_t bytes)
{
	compare(a, b, bytes, false);
	return memcmp(a, b, bytes);
}

int STAND_IN(bcmp)(const void *a, const void *b, size_t bytes)
{
	return STAND_IN(memcmp)(a, b, bytes);
}

#define COMPARE(name)                                                                                                                      \
	int STAND_IN(name)(const char *a, const char *b)                                                                                   \
	{                                                                                                                                  \
		compare(a, b, SIZE_MAX, true);                                                                                             \
		return name(a, b);                                                                                                         \
	}
#define COMPARE_N(name)                                                                                                                    \
	int STAND_IN(name)(const char *a, const char *b, size_t bytes)                                                                     \
	{                                                                                                                                  \
		compare(a, b, bytes, true);                                                                                                \
		return name(a, b, bytes);                                                                                                  \
	}
#define OF_STRING(type, name)                                                                                                              \
	type STAND_IN(name)(const char *s)                                                                                                 \
	{                                                                                                                                  \
		length_of(s);                                                                                                              \
		return name(s);                                                                                                            \
	}
#define OF_STRINGS(type, name)                                                                                                             \
	type STAND_IN(name)(const char *a, const char *b)                                                                                  \
	{                                                                                                                                  \
		length_of(a), length_of(b);                                                                                                \
		return name(a, b);                                                                                                         \
	}
#define NUMBER(type, name)                                                                                                                 \
	type STAND_IN(name)(const char *s, char **end, int base)                                                                           \
	{                                                                                                                                  \
		length_of(s);                                                                                                              \
		return name(s, end, base);                                                                                                 \
	}
COMPARE(strcmp)
COMPARE(strcasecmp)
COMPARE(strcoll)
COMPARE_N(strncmp)
COMPARE_N(strncasecmp)
OF_STRING(int, atoi)
OF_STRING(long, atol)
OF_STRINGS(size_t, strspn)
OF_STRINGS(size_t, strcspn)
OF_STRINGS(char *, strpbrk)
OF_STRINGS(char *, strstr)
NUMBER(long, strtol)
NUMBER(unsigned long, strtoul)
NUMBER(long long, strtoll)
NUMBER(unsigned long long, strtoull)

size_t STAND_IN(strlen)(const char *s)
{
	return length_of(s);
}

double STAND_IN(strtod)(const char *s, char **end)
{
	length_of(s);
	return strtod(s, end);
}

char *STAND_IN(strchr)(const char *s, int c)
{
	length_of(s);
	return strchr(s, c);
}

char *STAND_IN(strrchr)(const char *s, int c)
{
	length_of(s);
	return strrchr(s, c);
}

void *STAND_IN(memchr)(const void *p, int c, size_t bytes)
{
	const char *found = memchr(p, c, bytes);
	decide(p, found ? (size_t)(found - (const char *)p) + 1 : bytes);
	API(result) = 0;
	return (void *)found;
}
