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
static void capabilities_follow_uids(const struct creds *old, struct creds *new)
{
	bool was_root = !old->ruid || !old->euid || !old->suid, is_root = !new->ruid || !new->euid || !new->suid;

	if (was_root && !is_root) {
		if (!(old->securebits & SECBIT_KEEP_CAPS))
			new->cap_permitted = new->cap_effective = 0;
		new->cap_ambient = 0;
	}
	if (!old->euid && new->euid)
		new->cap_effective = 0;
	if (old->euid && !new->euid)
		new->cap_effective = new->cap_permitted;
}

static void capabilities_follow_fsuid(const struct creds *old, struct creds *new)
{
	if (!old->fsuid && new->fsuid)
		new->cap_effective &= ~CAP_FILES;
	if (old->fsuid && !new->fsuid)
		new->cap_effective |= new->cap_permitted &CAP_FILES;
}

void creds_commit_ids(const struct creds *new)
{
	struct creds result = *new, *old = &current->creds;

	if (!(old->securebits & SECBIT_NO_SETUID_FIXUP)) {
		if (old->ruid != new->ruid || old->euid != new->euid || old->suid != new->suid)
			capabilities_follow_uids(old, &result);
		else
			capabilities_follow_fsuid(old, &result);
	}
	if (old->euid != new->euid || old->egid != new->egid || old->fsuid != new->fsuid || old->fsgid != new->fsgid) {
		current->process->dumpable = false;
		current->death_signal = 0;
	}
	*old = result;
}
