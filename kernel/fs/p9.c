/* 9P sessions: requests to the monitor and their replies, mounting, core files.
 *
 * Owns the encode buffer, which is free whenever nothing of ours is between p9_write_buffer() and p9_submit() (none of it
 * sleeps). Trusts the monitor to answer each request once and in order; decodes every reply fully all the same.
 */
#include "kernel/fs/p9_private.h"

#include "kernel/debug/debug.h"
#include "kernel/platform/platform.h"

#include <vauban/message.h>

/* Calls under way, over all sessions. Bounded, so that neither side ever blocks sending while the other does the same:
 * each direction's socket buffer holds them all. */
#define MAX_UNDER_WAY 4u

static struct p9_session *sessions[VB_BOOT_MAX_VOLUMES];
static struct p9_session core_session; /* made by p9_core_open() */
static unsigned under_way;
static struct wait_queue slots = {LIST_INIT(slots.entries)};
static uint8_t buffer[P9_MSIZE];

uint8_t *p9_write_buffer(void)
{
	return buffer + P9_WRITE_DATA;
}

bool p9_busy(void)
{
	return debug_serving || under_way >= MAX_UNDER_WAY;
}

int p9_begin(void)
{
	struct wait_entry e = {.task = current};
	if (debug_serving)
		return -EIO;
	while (under_way >= MAX_UNDER_WAY) {
		task_prepare();
		wait_queue_add(&slots, &e);
		task_sleep(NO_DEADLINE, false);
		wait_queue_remove(&e);
	}
	return 0;
}

static int send_message(struct p9_session *s, const struct p9_message *m)
{
	struct vb_message header = {.type = VB_MSG_9P_REQUEST, .tag = s->index};
	size_t len = p9_encode(m, buffer, sizeof(buffer));
	if (!len)
		return -ENAMETOOLONG;
	platform_send(&header, sizeof(header), buffer, len);
	return 0;
}

static struct p9_call *call_by_tag(struct p9_session *s, uint16_t tag)
{
	list_for_each(call, &s->calls, struct p9_call, node) {
		if (call->m.tag == tag)
			return call;
	}
	return NULL;
}

static bool only_looks(uint8_t type)
{
	return type == P9_TGETATTR || type == P9_TWALK || type == P9_TREAD || type == P9_TREADDIR || type == P9_TREADLINK ||
	       type == P9_TLOPEN;
}

void p9_submit(struct p9_session *s, struct p9_call *call)
{
	do
		call->m.tag = s->next_tag++;
	while (call->m.tag == P9_NOTAG || call_by_tag(s, call->m.tag));
	s->changes += !only_looks(call->m.type);
	call->changes = s->changes;
	call->session = s;
	call->task = current;
	call->error = send_message(s, &call->m);
	call->done = call->error;
	if (call->done)
		return;
	under_way++;
	list_push_back(&s->calls, &call->node);
}

int p9_wait(struct p9_call *call)
{
	while (!call->done) {
		task_prepare();
		task_sleep(NO_DEADLINE, false); /* the monitor always answers */
	}
	return call->error;
}

int p9_run(struct p9_session *s, struct p9_call *calls, unsigned count)
{
	int result = p9_begin();
	if (result)
		return result;
	for (unsigned n = 0; n < count; n++)
		p9_submit(s, &calls[n]);
	for (unsigned n = 0; n < count; n++) {
		int r = p9_wait(&calls[n]);
		result = result ? result : r;
	}
	return result;
}

void p9_clunk(struct p9_session *s, uint32_t fid)
{
	if (fid != P9_NOFID)
		send_message(s, &(struct p9_message){.type = P9_TCLUNK, .tag = P9_NOTAG, .fid = fid});
}

/* What the reply borrows from the message is copied to where the caller wants it. */
static void keep_reply(struct p9_call *call, struct p9_message *reply)
{
	const void *from = reply->type == P9_R(P9_TREADLINK) ? reply->text.s : reply->data;
	size_t len = reply->type == P9_R(P9_TREADLINK) ? reply->text.len : reply->count;
	if (from && call->data) {
		len = vb_min(len, call->data_size);
		memcpy(call->data, from, len);
		reply->count = reply->text.len = (uint32_t)len;
		reply->data = reply->text.s = call->data;
	}
	call->m = *reply;
}

void p9_reply(unsigned index, const void *msg, size_t len)
{
	struct p9_session *s = index < VB_BOOT_MAX_VOLUMES ? sessions[index] : index == VB_9P_CORE ? &core_session : NULL;
	struct p9_message reply;
	bool good = p9_decode(msg, len, &reply);
	struct p9_call *call = s && reply.type ? call_by_tag(s, reply.tag) : NULL;
	if (!call)
		return;
	if (good && reply.type == P9_RLERROR)
		call->error = reply.error && reply.error < 4096 ? -(int)reply.error : -EIO;
	else if (good && reply.type == P9_R(call->m.type))
		keep_reply(call, &reply);
	else
		call->error = -EIO;
	call->done = true;
	p9_ahead_reply(call);
	list_remove(&call->node);
	under_way--;
	wait_queue_wake(&slots, 0);
	if (call->task)
		task_wake(call->task);
}

/* --- mounting --- */

int volume_mount(unsigned index, const char *target, bool read_only)
{
	struct p9_session *s = index < VB_BOOT_MAX_VOLUMES ? kzalloc(sizeof(*s)) : NULL;
	if (!s)
		return index < VB_BOOT_MAX_VOLUMES ? -ENOMEM : -EINVAL;
	*s = (struct p9_session){.index = index, .read_only = read_only};
	list_init(&s->calls);
	for (unsigned n = 0; n < P9_INODE_BUCKETS; n++)
		list_init(&s->inodes[n]);
	sessions[index] = s;
	uint32_t fid = p9_new_fid(s);
	struct p9_call calls[] = {
		P9_CALL(P9_TVERSION, .msize = P9_MSIZE, .text = p9_string(P9_VERSION)),
		P9_CALL(P9_TATTACH, .fid = fid, .fid2 = P9_NOFID),
		P9_CALL(P9_TGETATTR, .fid = fid, .mask = P9_GETATTR_ALL),
	};
	struct inode *root;
	int r = p9_run(s, calls, VB_ARRAY_LEN(calls));
	if (!r && calls[0].m.msize != P9_MSIZE)
		r = -EPROTO;
	if (!r)
		r = p9_root_inode(s, fid, &calls[2], &root);
	if (!r)
		r = fs_mount_at(target, root);
	if (r) {
		sessions[index] = NULL;
		kfree(s);
	}
	return r;
}

/* --- core files --- */

int p9_core_open(struct p9_core *core, const char *name)
{
	if (!core_session.calls.next) {
		core_session.index = VB_9P_CORE;
		list_init(&core_session.calls);
	}
	*core = (struct p9_core){.fid = p9_new_fid(&core_session)};
	struct p9_call calls[] = {
		P9_CALL(P9_TATTACH, .fid = core->fid, .fid2 = P9_NOFID),
		P9_CALL(P9_TLCREATE, .fid = core->fid, .name = p9_string(name), .mode = 0600),
	};
	int r = p9_run(&core_session, calls, VB_ARRAY_LEN(calls));
	if (r)
		p9_clunk(&core_session, core->fid);
	return r;
}

int p9_core_write(struct p9_core *core, const void *buf, size_t len)
{
	while (len) {
		struct p9_call call = P9_CALL(P9_TWRITE, .fid = core->fid, .offset = core->offset, .data = buf,
			.count = (uint32_t)vb_min(len, (size_t)P9_MAX_DATA));
		int r = p9_run(&core_session, &call, 1);
		if (r || !call.m.count || call.m.count > len)
			return r ? r : -EIO;
		core->offset += call.m.count;
		buf = (const char *)buf + call.m.count;
		len -= call.m.count;
	}
	return 0;
}

int p9_core_close(struct p9_core *core)
{
	return p9_run(&core_session, &P9_CALL(P9_TCLUNK, .fid = core->fid), 1);
}
