/* Credentials: where they come from and what a change of ids does to capabilities. */
#include <linux/capability.h>
#include <linux/securebits.h>

#include "kernel/task/task.h"

#define CAP_ALL      ((2ull << CAP_LAST_CAP) - 1)
#define CAP_BIT(cap) (1ull << (cap))
/* What the file system ids carry (Linux's CAP_FS_SET). */
#define CAP_FILES                                                                                                                          \
	(CAP_BIT(CAP_CHOWN) | CAP_BIT(CAP_MKNOD) | CAP_BIT(CAP_DAC_OVERRIDE) | CAP_BIT(CAP_DAC_READ_SEARCH) | CAP_BIT(CAP_FOWNER) |        \
		CAP_BIT(CAP_FSETID) | CAP_BIT(CAP_MAC_OVERRIDE) | CAP_BIT(CAP_LINUX_IMMUTABLE))

bool capable(int cap)
{
	return current->creds.cap_effective >> cap & 1;
}

void creds_from_boot(struct creds *c)
{
	const uint32_t *groups = (const uint32_t *)((const char *)boot + boot->groups);

	*c = (struct creds){.cap_bounding = CAP_ALL};
	c->ruid = c->euid = c->suid = c->fsuid = boot->uid;
	c->rgid = c->egid = c->sgid = c->fsgid = boot->gid;
	c->group_count = vb_min(boot->group_count, (uint32_t)VB_ARRAY_LEN(c->groups));
	memcpy(c->groups, groups, c->group_count * sizeof(c->groups[0]));
	if (!boot->uid)
		c->cap_effective = c->cap_permitted = CAP_ALL;
}

/* cap_emulate_setxid */
static void capabilities_follow_uids(const struct creds *old, struct creds *next)
{
	bool was_root = !old->ruid || !old->euid || !old->suid, is_root = !next->ruid || !next->euid || !next->suid;

	if (was_root && !is_root) {
		if (!(old->securebits & SECBIT_KEEP_CAPS))
			next->cap_permitted = next->cap_effective = 0;
		next->cap_ambient = 0;
	}
	if (!old->euid && next->euid)
		next->cap_effective = 0;
	if (old->euid && !next->euid)
		next->cap_effective = next->cap_permitted;
}

static void capabilities_follow_fsuid(const struct creds *old, struct creds *next)
{
	if (!old->fsuid && next->fsuid)
		next->cap_effective &= ~CAP_FILES;
	if (old->fsuid && !next->fsuid)
		next->cap_effective |= next->cap_permitted & CAP_FILES;
}

void creds_commit_ids(const struct creds *next)
{
	struct creds result = *next, *old = &current->creds;

	if (!(old->securebits & SECBIT_NO_SETUID_FIXUP)) {
		if (old->ruid != next->ruid || old->euid != next->euid || old->suid != next->suid)
			capabilities_follow_uids(old, &result);
		else
			capabilities_follow_fsuid(old, &result);
	}
	if (old->euid != next->euid || old->egid != next->egid || old->fsuid != next->fsuid || old->fsgid != next->fsgid) {
		current->process->dumpable = false;
		current->death_signal = 0;
	}
	*old = result;
}
