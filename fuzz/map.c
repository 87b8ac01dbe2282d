/* Fuzzes the decoder of maps, and translates each of its addresses to itself. */
#include <stdlib.h>
#include <string.h>

#include "host/error.h"
#include "variant/demap/places.h"
#include "variant/demap/translate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct places p = {.path = "input"};
	struct vb_error err = {""};

	if (places_decode(&p, (const char *)data, size, &err) < 0) {
		check(*err.text);
	} else {
		for (size_t i = 0; i < p.count; i++) {
			const struct place *at = &p.by_address[i];
			const struct place_function *f = &p.functions[at->function];

			check(at->function < p.function_count && places_find(&p, f->identity, f->name, at->number));
			if (at->bytes && places_at(&p, at->address) && translate(&p, &p, at->address, false).match == MATCH_NONE)
				abort();
		}
		places_function(&p, "main");
	}
	places_release(&p);
	return 0;
}
