/* Inodes: life, permission, attributes. Owns struct inode's counts and the rules of who may do what; trusts the back ends. */
#include "kernel/fs/fs_private.h"
#include "kernel/mm/mm.h"

#include <asm/signal.h>

void inode_init(struct inode *inode, const struct inode_ops *ops, uint32_t mode)
{
	static uint64_t last_number; /* for those that nobody numbers: pipes, sockets */
	int64_t now = (int64_t)now_realtime_ns();

	*inode = (struct inode){
		.refs = 1,
		.ops = ops,
		.mode = mode,
		.nlink = 1,
		.ino = ++last_number,
		.dev = ANONYMOUS_DEV,
		.uid = current->creds.fsuid,
		.gid = current->creds.fsgid,
		.atime_ns = now,
		.mtime_ns = now,
		.ctime_ns = now,
	};
	list_init(&inode->mappings);
}

void inode_ref(struct inode *inode)
{
	inode->refs++;
}

void inode_unref(struct inode *inode)
{
	KASSERT(inode->refs);
	if (--inode->refs)
		return;
	kfree(inode->locks); /* empty: an owner of a lock holds the inode */
	if (inode->ops && inode->ops->release)
		inode->ops->release(inode);
}

int inode_getattr(struct inode *inode, struct k_stat *ret)
{
	*ret = (struct k_stat){
		.dev = inode->dev,
		.ino = inode->ino,
		.rdev = inode->rdev,
		.size = inode->size,
		.blocks = (inode->size + 511) / 512,
		.mode = inode->mode,
		.nlink = inode->nlink,
		.uid = inode->uid,
		.gid = inode->gid,
		.blksize = 4096,
		.atime_ns = inode->atime_ns,
		.mtime_ns = inode->mtime_ns,
		.ctime_ns = inode->ctime_ns,
	};
	return inode->ops && inode->ops->getattr ? inode->ops->getattr(inode, ret) : 0;
}

bool in_group(uint32_t gid)
{
	const struct creds *c = &current->creds;

	if (gid == c->fsgid)
		return true;
	for (uint32_t i = 0; i < c->group_count; i++)
		if (c->groups[i] == gid)
			return true;
	return false;
}

int inode_permission(struct inode *inode, int mask)
{
	uint32_t mode = inode->mode, want = (uint32_t)mask & 7;

	if (mask & MAY_WRITE && inode->read_only && (S_ISREG(mode) || S_ISDIR(mode) || S_ISLNK(mode)))
		return -EROFS;
	if ((mode & mode >> 3 & mode >> 6 & want) == want) /* whoever it is */
		return 0;
	if (current->creds.fsuid == inode->uid)
		mode >>= 6;
	else if (in_group(inode->gid))
		mode >>= 3;
	if ((mode & want) == want)
		return 0;
	if (S_ISDIR(inode->mode)) {
		if (capable(CAP_DAC_OVERRIDE))
			return 0;
		return !(want & MAY_WRITE) && capable(CAP_DAC_READ_SEARCH) ? 0 : -EACCES;
	}
	if (want == MAY_READ && capable(CAP_DAC_READ_SEARCH))
		return 0;
	return (!(want & MAY_EXEC) || inode->mode & 0111) && capable(CAP_DAC_OVERRIDE) ? 0 : -EACCES;
}

bool inode_owner_or_capable(const struct inode *inode)
{
	return current->creds.fsuid == inode->uid || capable(CAP_FOWNER);
}

int inode_change(struct inode *inode, struct attr_change *change)
{
	if (inode->read_only)
		return -EROFS;
	if (!inode->ops || !inode->ops->setattr)
		return -EPERM;
	if (change->valid & (ATTR_UID | ATTR_GID) && !S_ISDIR(inode->mode)) {
		uint32_t mode = inode->mode & ~(uint32_t)S_ISUID;

		if (mode & S_IXGRP || (!in_group(inode->gid) && !capable(CAP_FSETID)))
			mode &= ~(uint32_t)S_ISGID;
		if (mode != inode->mode) { /* a volume can't change the mode of a symbolic link, not even to what it is */
			change->mode = mode;
			change->valid |= ATTR_MODE;
		}
	}
	if (!(change->valid & ATTR_CTIME)) {
		change->ctime_ns = (int64_t)now_realtime_ns();
		change->valid |= ATTR_CTIME;
	}
	return inode->ops->setattr(inode, change);
}

void inode_apply(struct inode *inode, const struct attr_change *change)
{
	if (change->valid & ATTR_MODE)
		inode->mode = (inode->mode & S_IFMT) | (change->mode & 07777);
	if (change->valid & ATTR_UID)
		inode->uid = change->uid;
	if (change->valid & ATTR_GID)
		inode->gid = change->gid;
	if (change->valid & ATTR_ATIME)
		inode->atime_ns = change->atime_ns;
	if (change->valid & ATTR_MTIME)
		inode->mtime_ns = change->mtime_ns;
	if (change->valid & ATTR_CTIME)
		inode->ctime_ns = change->ctime_ns;
}

void inode_drop_setid(struct inode *inode)
{
	uint32_t kill = inode->mode & S_ISUID;

	if ((inode->mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
		kill |= S_ISGID;
	if (!kill || !S_ISREG(inode->mode) || capable(CAP_FSETID))
		return;
	struct attr_change change = {.valid = ATTR_MODE, .mode = inode->mode & ~kill};

	inode_change(inode, &change);
}

int rlimit_file_size(uint64_t pos, size_t *len)
{
	uint64_t limit = current->process->rlimit[RLIMIT_FSIZE].cur;

	if (pos >= limit) {
		signal_task(current, &SIGINFO_USER(SIGXFSZ));
		return -EFBIG;
	}
	*len = vb_min(*len, (size_t)(limit - pos));
	return 0;
}

int path_truncate(struct inode *inode, uint64_t size)
{
	int r = memfd_may_resize(inode, size);

	if (r)
		return r;
	if (size > inode->size && size > current->process->rlimit[RLIMIT_FSIZE].cur) {
		signal_task(current, &SIGINFO_USER(SIGXFSZ));
		return -EFBIG;
	}
	struct attr_change change = {.valid = ATTR_SIZE | ATTR_MTIME | ATTR_CTIME, .size = size};

	change.mtime_ns = change.ctime_ns = (int64_t)now_realtime_ns();
	r = inode_change(inode, &change);
	if (!r)
		inode_drop_setid(inode);
	return r;
}
