/* Calls on user and group ids and capabilities, with Linux's rules. An id of -1 is no id. */
#include <linux/capability.h>
#include <linux/securebits.h>

#include "kernel/syscall/define.h"
#include "kernel/task/task.h"

#define NO_ID UINT32_MAX

SYSCALL(getuid, void)
{
	return current->creds.ruid;
}
SYSCALL(geteuid, void)
{
	return current->creds.euid;
}
SYSCALL(getgid, void)
{
	return current->creds.rgid;
}
SYSCALL(getegid, void)
{
	return current->creds.egid;
}

/* The four ids of one kind, so that users and groups share their rules. */
struct ids {
	uint32_t real, effective, saved, fs;
};

static struct ids ids_of(const struct creds *c, bool user)
{
	return user ? (struct ids){c->ruid, c->euid, c->suid, c->fsuid} : (struct ids){c->rgid, c->egid, c->sgid, c->fsgid};
}

static long ids_commit(struct ids new, bool user)
{
	struct creds c = current->creds;

	if (user)
		c.ruid = new.real, c.euid = new.effective, c.suid = new.saved, c.fsuid = new.fs;
	else
		c.rgid = new.real, c.egid = new.effective, c.sgid = new.saved, c.fsgid = new.fs;
	creds_commit_ids(&c);
	return 0;
}

static bool may_set_ids(bool user)
{
	return capable(user ? CAP_SETUID : CAP_SETGID);
}

static long set_id(uint32_t id, bool user)
{
	struct ids old = ids_of(&current->creds, user), new = old;

	if (id == NO_ID)
		return -EINVAL;
	if (may_set_ids(user))
		new.real = new.saved = id;
	else if (id != old.real && id != old.saved)
		return -EPERM;
	new.effective = new.fs = id;
	return ids_commit(new, user);
}

static long set_real_effective(uint32_t real, uint32_t effective, bool user)
{
	struct ids old = ids_of(&current->creds, user), new = old;

	if (real != NO_ID) {
		new.real = real;
		if (real != old.real && real != old.effective && !may_set_ids(user))
			return -EPERM;
	}
	if (effective != NO_ID) {
		new.effective = effective;
		if (effective != old.real && effective != old.effective && effective != old.saved && !may_set_ids(user))
			return -EPERM;
	}
	if (real != NO_ID || (effective != NO_ID && effective != old.real))
		new.saved = new.effective;
	new.fs = new.effective;
	return ids_commit(new, user);
}

static long set_all(uint32_t real, uint32_t effective, uint32_t saved, bool user)
{
	struct ids old = ids_of(&current->creds, user), new = old;
	const uint32_t wanted[] = {real, effective, saved};

	for (unsigned i = 0; i < VB_ARRAY_LEN(wanted); i++) {
		uint32_t id = wanted[i];
		if (id != NO_ID && id != old.real && id != old.effective && id != old.saved && !may_set_ids(user))
			return -EPERM;
	}
	if (real != NO_ID)
		new.real = real;
	if (effective != NO_ID)
		new.effective = effective;
	if (saved != NO_ID)
		new.saved = saved;
	new.fs = new.effective;
	return ids_commit(new, user);
}

/* Returns the old id, whether or not it was changed. */
static long set_fs(uint32_t id, bool user)
{
	struct ids old = ids_of(&current->creds, user), new = old;

	if (id != NO_ID && (id == old.real || id == old.effective || id == old.saved || id == old.fs || may_set_ids(user))) {
		new.fs = id;
		ids_commit(new, user);
	}
	return old.fs;
}

static long get_all(uint64_t ureal, uint64_t ueffective, uint64_t usaved, bool user)
{
	struct ids ids = ids_of(&current->creds, user);

	return put_user(ids.real, ureal) || put_user(ids.effective, ueffective) || put_user(ids.saved, usaved) ? -EFAULT : 0;
}

SYSCALL(setuid, uint32_t id)
{
	return set_id(id, true);
}
SYSCALL(setgid, uint32_t id)
{
	return set_id(id, false);
}
SYSCALL(setreuid, uint32_t real, uint32_t effective)
{
	return set_real_effective(real, effective, true);
}
SYSCALL(setregid, uint32_t real, uint32_t effective)
{
	return set_real_effective(real, effective, false);
}
SYSCALL(setresuid, uint32_t real, uint32_t effective, uint32_t saved)
{
	return set_all(real, effective, saved, true);
}
SYSCALL(setresgid, uint32_t real, uint32_t effective, uint32_t saved)
{
	return set_all(real, effective, saved, false);
}
SYSCALL(getresuid, uint64_t real, uint64_t effective, uint64_t saved)
{
	return get_all(real, effective, saved, true);
}
SYSCALL(getresgid, uint64_t real, uint64_t effective, uint64_t saved)
{
	return get_all(real, effective, saved, false);
}
SYSCALL(setfsuid, uint32_t id)
{
	return set_fs(id, true);
}
SYSCALL(setfsgid, uint32_t id)
{
	return set_fs(id, false);
}

SYSCALL(getgroups, int size, uint64_t ulist)
{
	const struct creds *c = &current->creds;

	if (size < 0)
		return -EINVAL;
	if (size) {
		if ((uint32_t)size < c->group_count)
			return -EINVAL;
		if (copy_to_user(ulist, c->groups, c->group_count * sizeof(c->groups[0])))
			return -EFAULT;
	}
	return c->group_count;
}

SYSCALL(setgroups, int size, uint64_t ulist)
{
	uint32_t groups[VB_ARRAY_LEN(current->creds.groups)];

	if (!capable(CAP_SETGID))
		return -EPERM;
	if ((unsigned)size > VB_ARRAY_LEN(groups))
		return -EINVAL;
	if (copy_from_user(groups, ulist, (unsigned)size * sizeof(groups[0])))
		return -EFAULT;
	for (int i = 1; i < size; i++) { /* sorted, as Linux keeps them */
		uint32_t id = groups[i];
		int at = i;
		for (; at > 0 && groups[at - 1] > id; at--)
			groups[at] = groups[at - 1];
		groups[at] = id;
	}
	memcpy(current->creds.groups, groups, (unsigned)size * sizeof(groups[0]));
	current->creds.group_count = (uint32_t)size;
	return 0;
}

/* --- capabilities --- */

struct cap_header {
	uint32_t version;
	int32_t pid;
};
struct cap_words {
	uint32_t effective, permitted, inheritable;
};

/* Words of each set that this version of the interface has, or -EINVAL and the version we prefer. */
static int cap_version_words(const struct cap_header *header, uint64_t uheader)
{
	switch (header->version) {
	case _LINUX_CAPABILITY_VERSION_1:
		return 1;
	case _LINUX_CAPABILITY_VERSION_2:
	case _LINUX_CAPABILITY_VERSION_3:
		return 2;
	default:
		return put_user((uint32_t)_LINUX_CAPABILITY_VERSION_3, uheader) ? -EFAULT : -EINVAL;
	}
}

SYSCALL(capget, uint64_t uheader, uint64_t udata)
{
	struct cap_header header;
	const struct task *t = current;

	if (get_user(header, uheader))
		return -EFAULT;
	int words = cap_version_words(&header, uheader);
	if (words == -EINVAL && !udata)
		return 0; /* only asked for the version */
	if (words < 0)
		return words;
	if (header.pid < 0)
		return -EINVAL;
	if (header.pid)
		t = task_by_tid(header.pid);
	if (!t)
		return -ESRCH;
	const struct creds *c = &t->creds;
	struct cap_words data[2] = {
		{(uint32_t)c->cap_effective, (uint32_t)c->cap_permitted, (uint32_t)c->cap_inheritable},
		{(uint32_t)(c->cap_effective >> 32), (uint32_t)(c->cap_permitted >> 32), (uint32_t)(c->cap_inheritable >> 32)},
	};
	return udata ? copy_to_user(udata, data, (size_t)words * sizeof(data[0])) : 0;
}

SYSCALL(capset, uint64_t uheader, uint64_t udata)
{
	struct cap_header header;
	struct cap_words data[2] = {0};
	struct creds *c = &current->creds;

	if (get_user(header, uheader))
		return -EFAULT;
	int words = cap_version_words(&header, uheader);
	if (words < 0)
		return words;
	if (header.pid && header.pid != current->tid)
		return -EPERM;
	if (copy_from_user(data, udata, (size_t)words * sizeof(data[0])))
		return -EFAULT;
	const uint64_t known = (2ull << CAP_LAST_CAP) - 1;
	uint64_t effective = (data[0].effective | (uint64_t)data[1].effective << 32) & known;
	uint64_t permitted = (data[0].permitted | (uint64_t)data[1].permitted << 32) & known;
	uint64_t inheritable = (data[0].inheritable | (uint64_t)data[1].inheritable << 32) & known;
	if (!capable(CAP_SETPCAP) && (inheritable & ~(c->cap_inheritable | c->cap_permitted)))
		return -EPERM;
	if ((inheritable & ~(c->cap_inheritable | c->cap_bounding)) || (permitted & ~c->cap_permitted) || (effective & ~permitted))
		return -EPERM;
	c->cap_effective = effective;
	c->cap_permitted = permitted;
	c->cap_inheritable = inheritable;
	c->cap_ambient &= permitted & inheritable;
	return 0;
}
