/* What `vauban cc` reads of files: an @file with the options of a compiler, and an entry of the store. Each input is taken for both. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/error.h"
#include "variant/arguments.h"
#include "variant/store.h"

static char path[64];

static void remove_file(void)
{
	unlink(path + 1);
}

static void parse(const uint8_t *data, size_t size)
{
	struct arguments a;
	struct vb_error err;
	char name[32], *argv[] = {path, NULL};
	FILE *f = fopen(path + 1, "w");
	if (!f || fwrite(data, 1, size, f) != size || fclose(f) != 0)
		abort();
	if (arguments_parse(argv, &a, &err) < 0)
		return;
	for (size_t i = 0; i < a.count; i++) {
		if (a.all[i].kind != ARGUMENT_INPUT)
			continue;
		argument_source(&a.all[i]);
		if (!argument_language(&a.all[i], i & 1))
			abort();
		argument_base(a.all[i].text, ".o", name, sizeof(name));
	}
	arguments_release(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t key[STORE_KEY_BYTES];
	struct store_entry e;
	if (!*path) {
		snprintf(path, sizeof(path), "@/dev/shm/fuzz-arguments.%d", getpid());
		atexit(remove_file);
	}
	char *copy = malloc(size + 1);
	memcpy(copy, data, size);
	if (store_decode(key, copy, size, &e) == 0 && e.diagnostics_bytes + e.result_bytes > size)
		abort();
	free(copy);
	parse(data, size);
	return 0;
}
