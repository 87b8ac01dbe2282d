/* Fuzzes the assembly stage: any text, any transformations. The same input must give the same output, which can be read again.
 * Input: one byte of options, one of the seed, then the text. */
#include <stdlib.h>
#include <string.h>

#include "host/error.h"
#include "variant/assembly/assembly.h"
#include "variant/options.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct variant_options o;
	struct vb_error err = {.text = ""};
	char *first = NULL, *second = NULL;
	size_t first_bytes = 0, second_bytes = 0;
	if (size < 2)
		return 0;
	variant_options_init(&o);
	o.plain = data[0] & 1;
	o.map = data[0] & 2;
	o.profile_generate = data[0] & 4;
	o.nop_percent = data[0] & 8 ? 100 : 10;
	if (data[0] & 16)
		o.transformations &= data[1] * 7u;
	o.seed = data[1];
	int result = assembly_transform(&o, "fuzz.s", (const char *)data + 2, size - 2, &first, &first_bytes, &err);
	if (result < 0) {
		check(!first && strncmp(err.text, "fuzz.s:", 7) == 0);
		return 0;
	}
	check(first && first_bytes);
	check(assembly_transform(&o, "other.s", (const char *)data + 2, size - 2, &second, &second_bytes, &err) == 0);
	check(first_bytes == second_bytes && memcmp(first, second, first_bytes) == 0);
	free(second);
	/* What came out can be read again. */
	check(assembly_transform(&o, "again.s", first, first_bytes, &second, &second_bytes, &err) == 0);
	free(first);
	free(second);
	return 0;
}
