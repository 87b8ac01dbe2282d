/* The store of what compilers made, so that the next seed of the same sources need not compile them again: the half of a build
 * that no seed has touched. One file an entry, named by a hash of all that went in.
 *
 *   DIR/NN/KEY   64 folders by the key's first bits. Head (struct store_head in store.c), diagnostics, result
 *
 * Entries appear whole, by rename, and are checked when read: parallel use and kill -9 at any moment need no locks. A folder
 * that grows over its share of the limit loses the entries that were not used for longest. A store is one user's (0700). */
#ifndef VARIANT_STORE_H
#define VARIANT_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "base/blake2b.h"

struct vb_error;

#define STORE_KEY_BYTES 32

struct store {
	int fd; /* DIR */
	uint64_t max_bytes;
};

struct store_key {
	struct blake2b hash;
	uint8_t bytes[STORE_KEY_BYTES];
};

struct store_entry {
	char *diagnostics, *result; /* result follows diagnostics in one allocation: free(diagnostics) */
	size_t diagnostics_bytes, result_bytes;
};

/* dir: NULL for the user's cache folder. Makes it if need be. */
int store_open(struct store *s, const char *dir, uint64_t max_bytes, struct vb_error *err);
void store_close(struct store *s);
/* The folder that store_open() would open. */
int store_folder(const char *dir, char *ret, size_t size, struct vb_error *err);

void store_key_init(struct store_key *k);
/* Each piece goes in with its length. */
void store_key_add(struct store_key *k, const void *data, size_t len);
void store_key_add_text(struct store_key *k, const char *text); /* NULL is a text of its own */
void store_key_done(struct store_key *k);

/* -ENOENT: there is none, or it is damaged. */
int store_get(const struct store *s, const struct store_key *k, struct store_entry *ret);
/* A store that can't take it is no failure of the build: says only to whom it concerns. */
int store_put(const struct store *s, const struct store_key *k, const struct store_entry *e);
/* Checks bytes of an entry's file; ret points into them. -EBADMSG. */
int store_decode(const uint8_t key[STORE_KEY_BYTES], char *bytes, size_t size, struct store_entry *ret);

#endif
