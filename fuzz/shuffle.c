/* Fuzzes what reads linked programs: the decoder of sections and symbols, the scan for gadgets, and all stages of shuffle. What shuffle accepts must keep its
 * size and its functions, each once. Sources: variant/binary.c, shuffle/, measure/gadgets.c and compare.c; libraries: Zydis, capstone. */
#include <stdlib.h>
#include <string.h>

#include "host/error.h"
#include "variant/measure/compare.h"
#include "variant/measure/gadgets.h"
#include "variant/shuffle/shuffle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void scan(const struct binary *b)
{
	struct gadgets g = {0};
	struct survival_keys keys;
	struct vb_error err;

	if (b->size > 1 << 16 || gadgets_find(b, 5, &g, &err) < 0)
		return;
	for (size_t i = 0; i < g.count; i++)
		check(g.at[i].terminator && g.at[i].terminator <= g.at[i].bytes && binary_at(b, g.at[i].address, g.at[i].bytes));
	if (survival_keys_init(&keys, b, &g) == 0)
		survival_keys_release(&keys);
	gadgets_release(&g);
}

static int by_place(const void *a, const void *b)
{
	const struct piece *x = a, *y = b;
	return (x->new_start > y->new_start) - (x->new_start < y->new_start);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct shuffle s = {0};
	struct vb_error err = {""};
	uint8_t *bytes = malloc(size + 1);

	memcpy(bytes, data, size);
	if (binary_decode("input", bytes, size, &s.b, &err) < 0) {
		check(*err.text);
		free(bytes);
		return 0;
	}
	scan(&s.b);
	if (shuffle_image(&s, size, &err) < 0) {
		check(*err.text);
	} else {
		qsort(s.pieces, s.piece_count, sizeof(*s.pieces), by_place);
		check(s.pieces[0].new_start == s.start);
		for (size_t i = 0; i < s.piece_count; i++)
			check(s.pieces[i].new_start + s.pieces[i].size <= (i + 1 < s.piece_count ? s.pieces[i + 1].new_start : s.end));
	}
	shuffle_release(&s);
	return 0;
}
