/* Fuzzes the manifest's parser: what it accepts keeps its promises, and is written and read back the same.
 * Sources: image/manifest.c host/error.c; library: jansson. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "image/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct image_manifest m, again;
	struct vb_error err = {{0}};
	char *text, *second;

	if (image_manifest_load((const char *)data, size, &m, &err)) {
		check(err.text[0]);
		return 0;
	}
	check(m.program[0] == '/' && m.cwd[0] == '/' && m.entry.count && !m.entry.at[m.entry.count]);
	check(m.memory_bytes >= IMAGE_MEMORY_MIN_BYTES && m.memory_bytes <= IMAGE_MEMORY_MAX_BYTES && m.memory_bytes % 4096 == 0);
	check(!image_manifest_format(&m, &text, &err) && !image_manifest_load(text, strlen(text), &again, &err));
	check(!image_manifest_format(&again, &second, &err) && !strcmp(text, second));
	free(text);
	free(second);
	image_manifest_release(&m);
	image_manifest_release(&again);
	return 0;
}
