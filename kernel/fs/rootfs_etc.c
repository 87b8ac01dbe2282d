/* Files of /etc that belong to the cell rather than to its image: resolv.conf, hosts, hostname. They come from the boot page
 * when they are first looked for, and are files like any other from then on. Trusts the boot page, not the image's files. */
#include "kernel/fs/rootfs.h"
#include "kernel/mm/page.h"

#define HOSTS_MAX (16u << 10) /* a longer one of the image stays as it is */

enum own_file { RESOLV_CONF, HOSTS, HOSTNAME, OWN_FILES };
static const char *const own_names[] = {[RESOLV_CONF] = "resolv.conf", [HOSTS] = "hosts", [HOSTNAME] = "hostname"};
static bool given[OWN_FILES];

static bool is_etc(const struct dentry *dir)
{
	return dir->parent != dir && dir->parent == dir->parent->parent && !dir->parent->mount_point && !strcmp(dir->name, "etc");
}

static bool has_word(const char *text, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = text; *p;) {
		size_t span = 0;

		while (p[span] && p[span] != ' ' && p[span] != '\t' && p[span] != '\n')
			span++;
		if (span == len && !memcmp(p, word, len))
			return true;
		p += span + (p[span] != 0);
	}
	return false;
}

/* The image's hosts, if it has one, with the cell's own name added; the boot page's last line is that. NULL: the image's will do. */
static char *make_hosts(const struct rootfs_inode *dir)
{
	const char *ours = vb_boot_string(boot, boot->hosts), *own_line = ours;
	struct erofs_inode file;
	struct erofs_entry e;

	if (!dir->has_lower || erofs_lookup(&rootfs_image, &dir->lower, "hosts", 5, &e))
		return kstrdup(ours);
	if (erofs_inode(&rootfs_image, e.nid, &file) || !S_ISREG(file.mode) || file.size > HOSTS_MAX)
		return NULL;
	size_t size = (size_t)file.size, room = size + strlen(ours) + 2;
	char *text = kzalloc(room);

	if (!text || erofs_read(&rootfs_image, &file, 0, text, size) != (int64_t)size || has_word(text, vb_boot_string(boot, boot->hostname))) {
		kfree(text);
		return NULL;
	}
	for (const char *p = ours; *p; p++)
		if (p[0] == '\n' && p[1])
			own_line = p + 1;
	vb_snprintf(text + size, room - size, "%s%s", size && text[size - 1] != '\n' ? "\n" : "", own_line);
	return text;
}

static char *make_text(enum own_file which, const struct rootfs_inode *dir)
{
	const char *conf = vb_boot_string(boot, boot->resolv_conf), *name = vb_boot_string(boot, boot->hostname);

	if (which == RESOLV_CONF)
		return *conf ? kstrdup(conf) : NULL;
	if (which == HOSTS)
		return make_hosts(dir);
	char *text = kzalloc(strlen(name) + 2);

	if (text)
		vb_snprintf(text, strlen(name) + 2, "%s\n", name);
	return text;
}

static int fill(struct inode *inode, const char *text)
{
	struct file_page page;

	inode->size = strlen(text);
	for (uint64_t at = 0; at < inode->size; at += VB_PAGE_SIZE) {
		int r = rootfs_get_page(inode, at / VB_PAGE_SIZE, true, &page);

		if (r)
			return r;
		memcpy(page_virt(page.frame), text + at, vb_min(inode->size - at, VB_PAGE_SIZE));
		page_unref(page.frame);
	}
	return 0;
}

int rootfs_etc_lookup(struct rootfs_inode *dir, struct dentry *d)
{
	unsigned which = 0;
	int r = 0;

	while (which < OWN_FILES && strcmp(d->name, own_names[which]))
		which++;
	if (which == OWN_FILES || given[which] || !is_etc(d->parent))
		return 0;
	char *text = make_text(which, dir);

	if (!text) {
		given[which] = true;
		return 0;
	}
	struct inode *inode = rootfs_new_tmpfile(&dir->inode, S_IFREG | 0644, &r);

	if (inode && !(r = fill(inode, text)))
		r = rootfs_hide(dir, d->name);
	kfree(text);
	if (!inode || r) {
		if (inode)
			inode_unref(inode);
		return r;
	}
	given[which] = true;
	inode->nlink = 1;
	inode->uid = inode->gid = 0;
	rootfs_give(d, inode);
	return 1;
}

void rootfs_etc_all(struct dentry *dir)
{
	struct dentry *d;

	if (!is_etc(dir))
		return;
	for (unsigned i = 0; i < OWN_FILES; i++)
		if (!given[i] && !dentry_lookup(dir, own_names[i], strlen(own_names[i]), &d))
			dentry_unref(d);
}
