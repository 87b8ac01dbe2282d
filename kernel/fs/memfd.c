/* Memory files: nameless files of the root file system, with seals. Owns the rules of sealing. */
#include "kernel/fs/fs_private.h"
#include "kernel/mm/mm.h"
#include "kernel/syscall/define.h"

#include <linux/memfd.h>

#define SEALABLE 0x80000000u /* in inode->seals: the file has seals at all */

int memfd_may_write(const struct inode *inode, uint64_t end)
{
	if (inode->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
		return -EPERM;
	return inode->seals & F_SEAL_GROW && end > inode->size ? -EPERM : 0;
}

int memfd_may_resize(const struct inode *inode, uint64_t size)
{
	return (inode->seals & F_SEAL_SHRINK && size < inode->size) || (inode->seals & F_SEAL_GROW && size > inode->size) ? -EPERM : 0;
}

long memfd_fcntl(struct file *f, unsigned cmd, uint64_t arg)
{
	unsigned *seals = &f->inode->seals;
	bool writable_map = false;

	if (cmd == F_ADD_SEALS && !f->writable)
		return -EPERM;
	if (!(*seals & SEALABLE))
		return -EINVAL;
	if (cmd == F_GET_SEALS)
		return *seals & ~SEALABLE;
	if (arg & ~(uint64_t)(F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
		return -EINVAL;
	if (*seals & F_SEAL_SEAL)
		return -EPERM;
	if (arg & F_SEAL_WRITE && !(*seals & F_SEAL_WRITE))
		writable_map = mm_inode_has_writable_map(f->inode);
	if (writable_map)
		return -EBUSY;
	*seals |= (unsigned)arg;
	return 0;
}

SYSCALL(memfd_create, uint64_t user_name, unsigned flags)
{
	enum { NAME_BYTES = 250 };
	char name[sizeof("/memfd:") + NAME_BYTES] = "/memfd:";
	struct file *f = NULL;

	if (flags & ~(unsigned)(MFD_CLOEXEC | MFD_ALLOW_SEALING))
		return -EINVAL;
	long len = string_from_user(name + 7, user_name, NAME_BYTES);

	if (len < 0)
		return len == -ENAMETOOLONG ? -EINVAL : len;
	struct inode *inode = rootfs_new_memfd(S_IFREG | 0777);
	struct dentry *d = inode ? dentry_new_anonymous(name, inode) : NULL;

	if (d) {
		d->unlinked = true;
		inode->seals = SEALABLE | (flags & MFD_ALLOW_SEALING ? 0 : F_SEAL_SEAL);
		file_open(d, O_RDWR, &f);
		dentry_unref(d);
	}
	if (!f)
		return -ENOMEM;
	int fd = fd_install(f, 0, flags & MFD_CLOEXEC);

	if (fd < 0)
		file_unref(f);
	return fd;
}
