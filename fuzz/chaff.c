/* Fuzzes the decoder of chaff plans: what is accepted is within its bounds, is written, and reads back. */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host/error.h"
#include "variant/chaff/plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	char path[64], again[64];
	struct chaff_plan plan, copy;
	struct vb_error err;
	if (fd < 0)
		fd = memfd_create("plan", 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	snprintf(again, sizeof(again), "/tmp/vauban-fuzz-plan-%d", getpid());
	if (ftruncate(fd, 0) < 0 || pwrite(fd, data, size, 0) != (ssize_t)size || chaff_plan_read(&plan, path, &err) < 0)
		return 0;
	for (unsigned i = 0; i < plan.bug_count; i++) {
		const struct chaff_bug *b = &plan.bugs[i];
		assert(b->size <= CHAFF_MAX_SIZE && b->buffer < b->size && chaff_plan_bug(&plan, b->id) == b);
		for (unsigned t = 0; t < CHAFF_TRIGGER_BYTES; t++)
			assert(b->trigger[t].at < CHAFF_WINDOW_BYTES && b->window[b->trigger[t].at] >= 0);
	}
	if (chaff_plan_write(&plan, again, &err) == 0) {
		assert(chaff_plan_read(&copy, again, &err) == 0 && copy.bug_count == plan.bug_count && copy.binary_count == plan.binary_count);
		chaff_plan_release(&copy);
		unlink(again);
	}
	chaff_plan_release(&plan);
	return 0;
}
