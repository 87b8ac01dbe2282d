/* Names of a site in the file system: sockets of other cells that appear in some folders beside what the cell has there
 * itself (kernel/net/site_names.c). What the cell has of the same name comes first. */
#ifndef KERNEL_FS_SITE_H
#define KERNEL_FS_SITE_H

#include "kernel/fs/fs.h"

extern bool site_active; /* else none of these need be called */
void site_init(void);
bool site_is(const struct inode *inode); /* a socket of the site */
/* *d: a negative entry, referenced, exchanged for one that is not if the site has the name. Sleeps. */
int site_lookup(struct dentry **d);
int site_unlink(struct dentry *d);
int site_rename(struct dentry *from, struct dentry *dir, struct dentry *to, unsigned flags);
/* After the folder's own entries: the site's. */
int site_readdir(struct file *f, dir_emit *emit, void *arg);
bool site_owns_position(const struct file *f);
/* The site's name of `last` in dir, with what may follow it: kmalloc'ed, NULL if that is no folder of the site. */
char *site_path(struct dentry *dir, const char *last, const char *rest);
/* path_lookup among the cell's own names. 1: there is none, but the site may have *ret_path (kmalloc'ed). */
int site_resolve(const char *path, struct dentry **ret, char **ret_path);
/* From the monitor. */
void site_reply(uint32_t tag, const void *payload, size_t len);
void site_event(uint32_t id, const void *payload, size_t len);

#endif
