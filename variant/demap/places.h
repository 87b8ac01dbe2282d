/* Where the instructions of a binary lie: its map (variant/map.h), as a file beside it or a section in it. Without a map, only its
 * symbols. Maps are hostile: decoded whole, once; numbers that contradict themselves are refused. */
#ifndef VARIANT_DEMAP_PLACES_H
#define VARIANT_DEMAP_PLACES_H

#include "variant/binary.h"

struct vb_error;

/* One instruction as the compiler wrote it, with what was inserted behind it. */
struct place {
	uint64_t address;
	uint32_t function, number;
	uint32_t bytes;
};

struct place_function {
	const char *name; /* within the map */
	uint64_t identity;
	uint32_t count; /* of instructions */
};

struct places {
	struct binary binary;
	bool has_binary; /* else there was only a map */
	char *map_bytes; /* the file, or NULL: the map is in the binary */
	struct place *by_address;
	struct place **by_number; /* the same, by identity, name and number */
	size_t count;
	struct place_function *functions;
	uint32_t function_count;
	char path[4096]; /* of the binary, or of the map */
};

/* path: a binary, whose map is PATH.map or in it, or a map FILE.map, whose binary is FILE if that exists. */
int places_load(const char *path, struct places *ret, struct vb_error *err);
/* The map at path, else the one in b, which must live as long; that there is none is an error only if it is needed. */
int places_load_map(struct places *p, const struct binary *b, const char *path, bool needed, struct vb_error *err);
/* Decodes a map; bytes stay the caller's, and must live as long. */
int places_decode(struct places *p, const char *bytes, size_t size, struct vb_error *err);
void places_release(struct places *p);

/* The instruction that holds address, or NULL. */
const struct place *places_at(const struct places *p, uint64_t address);
/* The instruction of that number in a function of that identity and name, or NULL. */
const struct place *places_find(const struct places *p, uint64_t identity, const char *name, uint32_t number);
/* Compares instructions of two maps as by_number orders them: 0 for the same one. */
int places_order(const struct places *a, const struct place *x, const struct places *b, const struct place *y);
/* The only function of that name in the map; NULL: there is none, or there are several. */
const struct place_function *places_function(const struct places *p, const char *name);

#endif
