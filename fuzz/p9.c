/* Fuzzes the volume server with state: an input is a sequence of messages to a server of a folder of its own. Whatever
 * they say, nothing beside the folder changes. Also: what decodes encodes back to the same bytes.
 *
 * Input: any number of [length: 2 bytes][type: 1 byte][body]; size and tag are put in front here. */
#include "base/p9.h"
#include "monitor/volume.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char outside[] = "/tmp/vauban-fuzz-p9-XXXXXX", folder[sizeof(outside) + 8];

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	return at->level ? remove(path) : 0;
}

static void clean_up(void)
{
	chmod(folder, 0700);
	nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void at_end(void)
{
	clean_up();
	nftw(outside, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	rmdir(outside);
}

static void init(void)
{
	struct rlimit limit = {1 << 20, 1 << 20};
	setrlimit(RLIMIT_FSIZE, &limit);
	if (!mkdtemp(outside))
		abort();
	snprintf(folder, sizeof(folder), "%s/folder", outside);
	mkdir(folder, 0700);
	atexit(at_end);
}

/* The folder's parent has the folder in it, and nothing else. */
static void check_outside(void)
{
	struct stat st;
	if (stat(outside, &st) || st.st_nlink != 3 || stat(folder, &st) || rmdir(outside) == 0)
		abort();
}

static void check_codec(const uint8_t *message, size_t len)
{
	static uint8_t again[P9_MSIZE];
	struct p9_message m;
	if (p9_decode(message, len, &m) && (p9_encode(&m, again, sizeof(again)) != len || memcmp(again, message, len)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t reply[P9_MSIZE];
	if (!folder[0])
		init();
	struct volume *v = volume_open(folder, false, NULL);
	if (!v)
		abort();
	while (size >= 3) {
		size_t body = data[0] | (size_t)data[1] << 8;
		data += 2;
		size -= 2;
		if (body > size)
			body = size;
		uint32_t len = (uint32_t)body + 6;
		uint8_t *message = body ? malloc(len) : NULL; /* exact, so that reads beyond it are seen */
		if (message) {
			memcpy(message, &len, 4);
			message[4] = data[0];
			message[5] = message[6] = 0;
			memcpy(message + 7, data + 1, body - 1);
			check_codec(message, len);
			size_t n = volume_request(v, message, len, reply, sizeof(reply));
			struct p9_message r;
			if (n && !p9_decode(reply, n, &r))
				abort();
		}
		free(message);
		data += body;
		size -= body;
	}
	volume_close(v);
	check_outside();
	clean_up();
	return 0;
}
