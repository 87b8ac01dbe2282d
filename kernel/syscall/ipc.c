/* Tables of System V objects, and who may use them. Owns ids and slots; the objects are their families'. */
#include "kernel/syscall/ipc.h"

#include <asm/ipcbuf.h>

struct ipc_object *ipc_by_slot(const struct ipc_table *t, int slot)
{
	return slot >= 0 && (unsigned)slot < t->size ? t->slot[slot] : NULL;
}

struct ipc_object *ipc_by_id(const struct ipc_table *t, int id)
{
	struct ipc_object *o = id < 0 ? NULL : ipc_by_slot(t, id % IPC_SEQUENCE_STEP);

	return o && o->id == id ? o : NULL;
}

struct ipc_object *ipc_by_key(const struct ipc_table *t, int key)
{
	for (unsigned i = 0; key != IPC_PRIVATE && i < t->size; i++)
		if (t->slot[i] && t->slot[i]->key == key)
			return t->slot[i];
	return NULL;
}

int ipc_add(struct ipc_table *t, struct ipc_object *o, int key, int flags)
{
	const struct creds *c = &current->creds;
	unsigned slot = 0;

	while (slot < t->size && t->slot[slot])
		slot++;
	if (slot == t->max)
		return -ENOSPC;
	if (slot == t->size) {
		unsigned size = t->size ? vb_min(t->size * 2, t->max) : 64;
		struct ipc_object **bigger = krealloc(t->slot, size * sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		memset(bigger + t->size, 0, (size - t->size) * sizeof(*bigger));
		t->slot = bigger;
		t->size = size;
	}
	o->key = key;
	o->mode = (uint32_t)flags & 0777;
	o->uid = o->cuid = c->euid;
	o->gid = o->cgid = c->egid;
	o->change_ns = (int64_t)now_realtime_ns();
	o->id = (int)slot + t->sequence;
	t->slot[slot] = o;
	return o->id;
}

void ipc_remove(struct ipc_table *t, struct ipc_object *o)
{
	t->slot[o->id % IPC_SEQUENCE_STEP] = NULL;
	t->sequence = (t->sequence + IPC_SEQUENCE_STEP) & INT32_MAX;
}

long ipc_highest(const struct ipc_table *t, unsigned *ret_count)
{
	long highest = 0;

	*ret_count = 0;
	for (unsigned i = 0; i < t->size; i++) {
		if (!t->slot[i])
			continue;
		highest = i;
		++*ret_count;
	}
	return highest;
}

int ipc_permitted(const struct ipc_object *o, unsigned wanted)
{
	const struct creds *c = &current->creds;
	unsigned granted = o->mode;

	if (c->euid == o->cuid || c->euid == o->uid)
		granted >>= 6;
	else if (in_group(o->cgid) || in_group(o->gid))
		granted >>= 3;
	wanted = (wanted >> 6 | wanted >> 3 | wanted) & 7;
	return (wanted & ~granted) && !capable(CAP_IPC_OWNER) ? -EACCES : 0;
}

int ipc_owner_or_capable(const struct ipc_object *o, int cap)
{
	uint32_t euid = current->creds.euid;

	return euid == o->uid || euid == o->cuid || capable(cap) ? 0 : -EPERM;
}

void ipc_describe(const struct ipc_object *o, struct ipc64_perm *ret)
{
	*ret = (struct ipc64_perm){.key = o->key,
		.uid = o->uid,
		.gid = o->gid,
		.cuid = o->cuid,
		.cgid = o->cgid,
		.mode = o->mode,
		.seq = (unsigned short)(o->id / IPC_SEQUENCE_STEP)};
}

void ipc_set(struct ipc_object *o, const struct ipc64_perm *perm)
{
	o->uid = perm->uid;
	o->gid = perm->gid;
	o->mode = (o->mode & ~0777u) | (perm->mode & 0777);
	o->change_ns = (int64_t)now_realtime_ns();
}
