/* The host side of the process platform: every call that leaves the cell is made here, through the stub in entry.S.
 * Owns the interrupt flag and the host timer. The host is trusted; its answers are not validated beyond errors.
 */
#include "kernel/platform/process/process.h"

#include <asm/unistd.h>
#include <linux/falloc.h>
#include <linux/mman.h>
#include <linux/poll.h>
#include <linux/time.h>

#include <vauban/message.h>

uint8_t host_interrupted;
static uint64_t timer_armed_ns = UINT64_MAX; /* deadline of the host timer */

long stub_call(long nr, long a, long b, long c, long d, long e, long f);
long stub_wait(long nr, long a, long b, long c, long d, long e, long f);

enum host_call_index {
#define INDEX(i, name) HOST_##name = i,
	VB_HOST_CALLS(INDEX)
};

/* `how` is stub_call, or stub_wait for calls that may block. */
#define CALL(how, name, a, b, c, d, e, f)                                                                                                  \
	(stats->host_call[HOST_##name]++, how(__NR_##name, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f)))

/* --- memory --- */

int platform_map_memory(uint64_t va, uint64_t len, int prot, uint64_t offset, bool populate)
{
	long r = CALL(stub_call, mmap, va, len, prot, MAP_SHARED | MAP_FIXED | (populate ? MAP_POPULATE : 0), VB_FD_MEMORY, offset);
	return r < 0 && r > -4096 ? (int)r : 0;
}

int platform_map_image(uint64_t va, uint64_t len, int prot, uint64_t offset)
{
	long r = CALL(stub_call, mmap, va, len, prot, MAP_SHARED | MAP_FIXED, VB_FD_IMAGE, offset);
	return r < 0 && r > -4096 ? (int)r : 0;
}

int platform_unmap(uint64_t va, uint64_t len)
{
	long r = CALL(stub_call, mmap, va, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
	return r < 0 && r > -4096 ? (int)r : 0;
}

int platform_protect(uint64_t va, uint64_t len, int prot)
{
	return (int)CALL(stub_call, mprotect, va, len, prot, 0, 0, 0);
}

int platform_discard(uint64_t offset, uint64_t len)
{
	return (int)CALL(stub_call, fallocate, VB_FD_MEMORY, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, len, 0, 0);
}

/* --- time --- */

/* The host's vDSO is mapped in every process: reading the clock needs no call. */
static int (*host_clock_gettime)(int clock, struct k_timespec *ts);

void platform_clock_init(uint64_t vdso_clock_gettime)
{
	host_clock_gettime = (int (*)(int, struct k_timespec *))vdso_clock_gettime;
}

uint64_t platform_clock_ns(int clock)
{
	struct k_timespec ts = {0, 0};
	/* Only the clocks that the vDSO answers itself: its own fall-back call would be taken for one of the program's. */
	if (host_clock_gettime &&
		(clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_RAW || clock == CLOCK_BOOTTIME))
		host_clock_gettime(clock, &ts);
	else
		CALL(stub_call, clock_gettime, clock, &ts, 0, 0, 0, 0);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

void platform_set_timer(uint64_t deadline_ns)
{
	/* An armed timer that fires too early costs a spurious interrupt; re-arming it each time would cost a call. */
	if (deadline_ns >= timer_armed_ns)
		return;
	uint64_t now = now_monotonic_ns(), us = deadline_ns <= now ? 1 : (deadline_ns - now + 999) / 1000;
	us = vb_min(us, 3600ull * 1000000);
	uint64_t value[4] = {0, 0, us / 1000000, us % 1000000};
	/* Before the call: it may fire at once. As asked for, not as rounded up: who asks for the same again needs no call. */
	timer_armed_ns = vb_min(vb_max(deadline_ns, now), now + us * 1000);
	CALL(stub_call, setitimer, 0 /* ITIMER_REAL */, value, 0, 0, 0, 0);
}

bool platform_interrupt_take(void)
{
	bool taken = host_interrupted;
	host_interrupted = 0;
	return taken;
}

void host_timer_fired(void)
{
	timer_armed_ns = UINT64_MAX;
}

/* --- waiting, descriptors, messages --- */

unsigned platform_wait(unsigned events, uint64_t deadline_ns)
{
	static const struct {
		unsigned event;
		int fd;
		short mask;
	} sources[] = {
		{WAIT_MONITOR, VB_FD_MONITOR, POLLIN},
		{WAIT_STDIN, VB_FD_STDIN, POLLIN},
		{WAIT_STDOUT, VB_FD_STDOUT, POLLOUT},
		{WAIT_STDERR, VB_FD_STDERR, POLLOUT},
	};
	struct pollfd fds[VB_ARRAY_LEN(sources) + VB_NETS_MAX];
	unsigned count = 0, ready = 0;
	bool nets = events >= WAIT_NET;
	for (unsigned i = 0; i < VB_ARRAY_LEN(sources); i++) {
		if (!(events & sources[i].event))
			continue;
		fds[count] = (struct pollfd){.fd = sources[i].fd, .events = sources[i].mask};
		count++;
	}
	for (unsigned i = 0; nets && i < boot->net_count; i++) {
		short mask = (short)((events & WAIT_NET << i ? POLLIN : 0) | (events & WAIT_NET_ROOM << i ? POLLOUT : 0));
		if (mask)
			fds[count++] = (struct pollfd){.fd = VB_FD_NET + (int)i, .events = mask};
	}
	struct k_timespec timeout = {0, 0};
	if (deadline_ns && deadline_ns != NO_DEADLINE) {
		uint64_t now = now_monotonic_ns();
		if (deadline_ns > now)
			timeout = ns_to_timespec(deadline_ns - now);
	}
	long r = deadline_ns ? CALL(stub_wait, ppoll, fds, count, deadline_ns == NO_DEADLINE ? NULL : &timeout, 0, 8, 0)
			     : CALL(stub_call, ppoll, fds, count, &timeout, 0, 8, 0);
	for (unsigned i = 0; r > 0 && i < count; i++) {
		if (!fds[i].revents)
			continue;
		if (fds[i].fd >= VB_FD_NET) {
			unsigned at = (unsigned)(fds[i].fd - VB_FD_NET);
			ready |= (fds[i].revents & ~POLLOUT ? WAIT_NET << at : 0) | (fds[i].revents & ~POLLIN ? WAIT_NET_ROOM << at : 0);
			continue;
		}
		for (unsigned s = 0; s < VB_ARRAY_LEN(sources); s++)
			if (sources[s].fd == fds[i].fd)
				ready |= sources[s].event;
	}
	return ready & events;
}

long platform_stdio_read(int fd, void *buf, size_t len)
{
	return CALL(stub_wait, read, fd, buf, len, 0, 0, 0);
}

long platform_stdio_write(int fd, const void *buf, size_t len)
{
	return CALL(stub_wait, write, fd, buf, len, 0, 0, 0);
}

long platform_frame_read(unsigned i, void *buf, size_t len)
{
	return CALL(stub_call, read, VB_FD_NET + i, buf, len, 0, 0, 0);
}

long platform_frame_write(unsigned i, const struct frame_part *parts, unsigned count)
{
	_Static_assert(sizeof(*parts) == 16, "struct iovec");
	return CALL(stub_call, writev, VB_FD_NET + i, parts, count, 0, 0, 0);
}

void platform_send(const void *header, size_t header_len, const void *payload, size_t len)
{
	static char packet[VB_MESSAGE_MAX_BYTES];
	KASSERT(header_len + len <= sizeof(packet));
	memcpy(packet, header, header_len);
	memcpy(packet + header_len, payload, len);
	for (;;) {
		long r = CALL(stub_call, write, VB_FD_MONITOR, packet, header_len + len, 0, 0, 0);
		if (r == -EAGAIN) { /* the monitor is slow: wait for it, its messages can wait too */
			struct pollfd out = {.fd = VB_FD_MONITOR, .events = POLLOUT};
			CALL(stub_call, ppoll, &out, 1, NULL, 0, 8, 0);
		} else if (r != -EINTR) {
			if (r < 0) /* no monitor, no cell */
				platform_halt(125);
			return;
		}
	}
}

long platform_receive(void *buf, size_t size)
{
	long r = CALL(stub_call, read, VB_FD_MONITOR, buf, size, 0, 0, 0);
	if (r == 0) /* the monitor is gone */
		platform_halt(125);
	return r < 0 ? 0 : r;
}

_Noreturn void platform_halt(int status)
{
	for (;;)
		CALL(stub_call, exit_group, status, 0, 0, 0, 0, 0);
}
