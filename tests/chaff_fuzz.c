/* What libFuzzer calls in tests/chaff: reads its bytes as minigzip -d reads a file. */
#define _GNU_SOURCE
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "zlib.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	static char out[16384];
	if (fd < 0)
		fd = memfd_create("input", 0);
	if (ftruncate(fd, 0) || lseek(fd, 0, SEEK_SET) || write(fd, data, size) != (ssize_t)size || lseek(fd, 0, SEEK_SET))
		return 0;
	gzFile in = gzdopen(dup(fd), "rb");
	while (in && gzread(in, out, sizeof(out)) > 0)
		;
	if (in)
		gzclose(in);
	return 0;
}
