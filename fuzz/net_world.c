/* See net_world.h. Owns the frames on their way to the cell. */
#include "fuzz/net_world.h"

#include "kernel/net/link.h"
#include "kernel/platform/platform.h"
#include "kernel/time/time.h"

#include <string.h>

#define FRAME_MAX 70000u

struct waiting {
	struct waiting *next;
	size_t len;
	uint8_t data[];
};

bool world_full;
void (*world_sent)(unsigned net, const uint8_t *frame, size_t len);
static struct waiting *first[WORLD_NETS], **last[WORLD_NETS];

int task_sleep(uint64_t deadline_ns, bool interruptible)
{
	return -ERESTARTSYS;
}

/* --- the interfaces --- */

void world_input(unsigned net, const void *bytes, size_t len)
{
	struct waiting *w = malloc(sizeof(*w) + len);

	if (!w)
		abort();
	w->next = NULL;
	w->len = len;
	memcpy(w->data, bytes, len);
	if (!first[net])
		last[net] = &first[net];
	*last[net] = w;
	last[net] = &w->next;
}

long platform_frame_read(unsigned i, void *buf, size_t len)
{
	struct waiting *w = first[i];

	if (!w)
		return -EAGAIN;
	size_t n = vb_min(len, w->len);
	memcpy(buf, w->data, n);
	first[i] = w->next;
	free(w);
	return n ? (long)n : -EAGAIN;
}

long platform_frame_write(unsigned i, const struct frame_part *parts, unsigned count)
{
	static uint8_t frame[FRAME_MAX + 64];
	size_t len = 0, head = i == WORLD_PACKET ? 12 : 4;

	if (world_full)
		return -EAGAIN;
	for (unsigned n = 0; n < count; n++) {
		if (i == WORLD_PACKET && len + parts[n].len > sizeof(frame))
			abort(); /* larger than any frame may be */
		if (len + parts[n].len <= sizeof(frame))
			memcpy(frame + len, parts[n].data, parts[n].len);
		len += parts[n].len;
	}
	if (world_sent && i == WORLD_PACKET && len > head)
		world_sent(i, frame + head, len - head);
	return (long)len;
}

void world_start(void)
{
	static const uint8_t ip6[16] = {0xfd, [15] = 0x15}, gateway6[16] = {0xfd, [15] = 2};

	fake_platform_start(1 << 20, 1 << 20);
	fake_boot.net_count = WORLD_NETS;
	for (unsigned i = 0; i < WORLD_NETS; i++) {
		struct vb_boot_net *n = &fake_boot.net[i];
		*n = (struct vb_boot_net){.kind = i == WORLD_PACKET ? VB_NET_PACKET : VB_NET_STREAM,
			.flags = i == WORLD_PACKET ? VB_NET_OFFLOAD | VB_NET_AUTO6 : VB_NET_DHCP,
			.mtu = i == WORLD_PACKET ? 1500 : 16384,
			.mac = {2, 0, 0, 0, 0, (uint8_t)(i + 1)},
			.prefix4 = 24,
			.prefix6 = 64,
			.ip4 = {10, 0, (uint8_t)(2 + i), 15},
			.gateway4 = {10, 0, (uint8_t)(2 + i), 2}};
		if (i == WORLD_PACKET) {
			memcpy(n->ip6, ip6, 16);
			memcpy(n->gateway6, gateway6, 16);
		}
	}
	if (inet_start())
		abort();
}

/* --- time --- */

void world_pump(void)
{
	for (unsigned rounds = 0; rounds < 1000; rounds++) {
		need_work = false;
		net_ready(world_full ? WAIT_NET * 3 : WAIT_NET * 3 | WAIT_NET_ROOM * 3);
		if (!first[0] && !first[1] && !need_work)
			return;
	}
	abort(); /* the stack keeps itself busy, or reads no more */
}

void world_advance(uint64_t ms)
{
	uint64_t target = fake_now_ns + ms * 1000000;

	world_pump();
	for (uint64_t next; (next = timers_next_ns()) <= target;) {
		fake_now_ns = vb_max(fake_now_ns, next);
		timers_run();
		world_pump();
	}
	fake_now_ns = target;
}

/* --- the fuzzer's input --- */

unsigned take8(struct input *in)
{
	if (!in->left)
		return 0;
	in->left--;
	return *in->at++;
}

unsigned take16(struct input *in)
{
	unsigned low = take8(in);

	return low | take8(in) << 8;
}

const uint8_t *take_bytes(struct input *in, size_t *len)
{
	const uint8_t *p = in->at;

	*len = vb_min(*len, in->left);
	in->at += *len;
	in->left -= *len;
	return p;
}
