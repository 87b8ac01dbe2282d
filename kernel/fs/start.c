/* Mounts, and the file system as the first process finds it. Owns the mount tree; trusts the boot page. */
#include "kernel/fs/fs_private.h"
#include "kernel/fs/site.h"

#include "kernel/platform/platform.h"

static int mount_on(struct dentry *at, struct inode *root)
{
	struct dentry *d = dentry_new_root(root);

	if (!d)
		return -ENOMEM;
	while (at->mounted)
		at = at->mounted;
	at->mounted = d;
	d->mount_point = at;
	dentry_ref(at);
	return 0;
}

/* The directory of that path, made with its parents if need be. */
static int make_directories(const char *path, struct dentry **ret)
{
	char prefix[PATH_MAX];

	for (size_t len = 1;; len++) {
		if (path[len] && path[len] != '/')
			continue;
		if (len >= sizeof(prefix))
			return -ENAMETOOLONG;
		memcpy(prefix, path, len);
		prefix[len] = 0;
		int r = names_mkdir(AT_FDCWD, prefix, 0755);

		if (r && r != -EEXIST)
			return r;
		if (!path[len])
			return path_lookup(AT_FDCWD, path, WALK_FOLLOW | WALK_DIRECTORY, ret);
	}
}

int fs_mount_at(const char *path, struct inode *root)
{
	struct dentry *at;
	int r = make_directories(path, &at);

	if (r)
		return r;
	r = mount_on(at, root);
	dentry_unref(at);
	return r;
}

static void must(int r, const char *what)
{
	if (r)
		start_fail(125, r, "%s", what);
}

static void mount_everything(void)
{
	static const struct {
		const char *path;
		uint32_t mode;
	} folders[] = {{"/dev", 0755}, {"/proc", 0555}, {"/sys", 0555}, {"/tmp", 01777}, {"/run", 0755}, {"/var/tmp", 01777}};
	bool read_only = boot->flags & VB_BOOT_READ_ONLY;
	struct dentry *d;

	for (unsigned i = 0; i < VB_ARRAY_LEN(folders); i++) {
		bool writable = read_only && strcmp(folders[i].path, "/proc") && strcmp(folders[i].path, "/sys");
		bool existed = !path_lookup(AT_FDCWD, folders[i].path, WALK_FOLLOW, &d);

		if (existed)
			dentry_unref(d);
		if (!existed && i > 3 && !read_only)
			continue; /* only the first four are promised */
		must(make_directories(folders[i].path, &d), folders[i].path);
		if (!existed)
			d->inode->mode = S_IFDIR | folders[i].mode;
		if (writable) {
			struct inode *root = rootfs_subtree(d->inode);

			must(root ? mount_on(d, root) : -ENOMEM, folders[i].path);
		}
		dentry_unref(d);
	}
	if (*vb_boot_string(boot, boot->hosts)) { /* rootfs_etc.c has files for it */
		must(make_directories("/etc", &d), "/etc");
		dentry_unref(d);
	}
	must(path_lookup(AT_FDCWD, "/dev", WALK_DIRECTORY, &d), "/dev");
	device_populate(d);
	dentry_unref(d);
	struct inode *pts = devpts_root();

	if (pts)
		must(fs_mount_at("/dev/pts", pts), "/dev/pts");
	must(fs_mount_at("/proc", procfs_root()), "/proc");
	must(fs_mount_at("/sys", sysfs_root()), "/sys");
	for (unsigned i = 0; i < boot->volume_count && i < VB_BOOT_MAX_VOLUMES; i++) {
		const char *target = vb_boot_string(boot, boot->volume[i].target);

		must(volume_mount(i, target, boot->volume[i].flags & 1), target);
	}
	site_init();
}

void fs_init(void)
{
	struct process *p = current->process;
	struct creds creds = current->creds;
	const char *cwd = vb_boot_string(boot, boot->cwd);
	struct dentry *root = rootfs_mount(), *d;

	p->fs = kzalloc(sizeof(*p->fs));
	p->files = file_table_new();
	if (!p->fs || !p->files)
		start_fail(125, -ENOMEM, "file system");
	*p->fs = (struct fs_context){.root = root, .cwd = root};
	dentry_ref(root);
	current->creds.fsuid = current->creds.fsgid = 0;
	current->creds.cap_effective = UINT64_MAX;
	mount_everything();
	/* As container runtimes do: a working directory that the image lacks is made. */
	int r = make_directories(cwd, &d);
	if (boot->flags & VB_BOOT_READ_ONLY)
		rootfs_set_read_only();
	current->creds = creds;
	p->fs->umask = 022;

	if (!r && inode_permission(d->inode, 1))
		r = -EACCES;
	if (r)
		start_fail(125, r, "working directory %s (choose another with -w)", cwd);
	dentry_unref(p->fs->cwd);
	p->fs->cwd = d;
	for (int fd = 0; fd < 3; fd++) {
		struct file *f = stdio_file(fd);

		if (f && fd_install_at(f, fd, false) < 0)
			start_fail(125, -ENOMEM, "standard descriptors");
	}
}
