/* Reading ahead: a program that reads a volume's file in order and in small pieces computes meanwhile, instead of waiting
 * for the monitor at each piece. Owns one buffer for the cell, of the one file that is read so.
 *
 * What the host changes must be seen by whoever can know of it. So the buffer is good only while the cell has heard nothing
 * from outside since it asked for it (input, signals, replies about any file: p9_heard counts them), has not changed the
 * file itself, and for AHEAD_NS for programs that look at the clock. Nothing is asked for beyond the known size: pseudo
 * files that hand out each byte once are not read ahead.
 */
#include "kernel/fs/p9_private.h"

#define AHEAD_NS ((NSEC_PER_SEC / 20))

uint64_t p9_heard;

static uint8_t ahead_data[P9_MAX_DATA];
static struct {
	struct p9_inode *owner; /* NULL: nothing of use here */
	uint64_t pos;           /* of the file: where the reader goes on */
	uint32_t used, len;     /* of ahead_data: from `used` on it is what follows pos */
	struct p9_call call;
	uint64_t heard, changes, ns; /* when it was asked for */
	bool pending;                /* the call may not be answered yet */
	bool copying;                /* to the reader, which may sleep: the data must stay */
} ahead;

void p9_ahead_forget(const struct p9_inode *i)
{
	if (ahead.owner == i)
		ahead.owner = NULL;
}

void p9_ahead_reply(const struct p9_call *call)
{
	bool elsewhere = ahead.owner && call->session != ahead.owner->session; /* the same file through another volume? */
	if (call->m.type != P9_R(P9_TWRITE) || elsewhere)
		p9_heard++;
}

static bool ask(struct p9_inode *i, uint64_t pos, size_t more_than)
{
	uint64_t count = pos < i->inode.size ? vb_min(i->inode.size - pos, (uint64_t)P9_MAX_DATA) : 0;
	if (count <= more_than || p9_begin())
		return false;
	if (ahead.pending || ahead.copying) /* p9_begin() slept */
		return false;
	ahead.owner = i;
	ahead.pos = pos;
	ahead.used = ahead.len = 0;
	ahead.heard = p9_heard;
	ahead.changes = i->changes;
	ahead.ns = now_monotonic_ns();
	ahead.call = P9_CALL(P9_TREAD, .fid = i->rd, .offset = pos, .count = (uint32_t)count);
	ahead.call.data = ahead_data;
	ahead.call.data_size = sizeof(ahead_data);
	p9_submit(i->session, &ahead.call);
	ahead.call.task = NULL;
	ahead.pending = true;
	return true;
}

/* Waits for what was asked for. False if another task does. */
static bool settle(void)
{
	if (ahead.call.task) /* it may have been woken and not run yet: the call is still its own */
		return false;
	if (ahead.pending && !ahead.call.done) {
		ahead.call.task = current;
		p9_wait(&ahead.call);
		ahead.call.task = NULL;
	}
	if (ahead.pending) {
		ahead.pending = false;
		ahead.len = ahead.call.error ? 0 : ahead.call.m.count;
		ahead.heard++; /* the reply itself */
	}
	return true;
}

static bool is_good(const struct p9_inode *i, uint64_t pos)
{
	return ahead.owner == i && ahead.pos == pos && ahead.used < ahead.len && ahead.heard == p9_heard && ahead.changes == i->changes &&
	       now_monotonic_ns() - ahead.ns < AHEAD_NS;
}

long p9_ahead_read(struct p9_inode *i, struct uio *u, uint64_t pos)
{
	if (pos != i->read_end || u->left > P9_MAX_DATA / 2 || ahead.copying)
		return 0;
	if ((ahead.pending && !ahead.call.done && ahead.owner != i) || !settle())
		return 0;
	if (!is_good(i, pos) && (ahead.copying || !ask(i, pos, u->left) || !settle() || !is_good(i, pos)))
		return 0;
	ahead.copying = true;
	long n = uio_put(u, ahead_data + ahead.used, vb_min(u->left, (size_t)(ahead.len - ahead.used)));
	ahead.copying = false;
	if (n <= 0)
		return n;
	ahead.used += (uint32_t)n;
	ahead.pos += (uint64_t)n;
	if (ahead.owner == i && ahead.used == P9_MAX_DATA && !p9_busy())
		ask(i, ahead.pos, 0);
	return n;
}
