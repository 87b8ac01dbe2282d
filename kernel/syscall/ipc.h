/* What the System V objects share: tables of objects by slot, id and key, and who may use them. */
#ifndef KERNEL_SYSCALL_IPC_H
#define KERNEL_SYSCALL_IPC_H

#include "kernel/fs/proc.h"

#include <linux/ipc.h>

enum { IPC_MAY_READ = 0444, IPC_MAY_WRITE = 0222 };

struct ipc_object {
	int key, id;
	uint32_t mode, uid, gid, cuid, cgid;
	int64_t change_ns;
};
struct ipc_table {
	struct ipc_object **slot;
	unsigned size, max; /* slots there are, may be */
	int sequence;       /* of the next id: an id is its slot plus a multiple of IPC_SEQUENCE_STEP, so that old ids are found out */
};
#define IPC_SEQUENCE_STEP 32768

struct ipc_object *ipc_by_slot(const struct ipc_table *t, int slot); /* NULL: none */
struct ipc_object *ipc_by_id(const struct ipc_table *t, int id);
struct ipc_object *ipc_by_key(const struct ipc_table *t, int key);
/* Gives o an id, an owner and the key, and puts it into the table: -ENOSPC, -ENOMEM. */
int ipc_add(struct ipc_table *t, struct ipc_object *o, int key, int flags);
void ipc_remove(struct ipc_table *t, struct ipc_object *o);
long ipc_highest(const struct ipc_table *t, unsigned *ret_count); /* slot in use */

int ipc_permitted(const struct ipc_object *o, unsigned wanted); /* -EACCES; any of the mode bits that are asked for */
int ipc_owner_or_capable(const struct ipc_object *o, int cap);  /* -EPERM */
struct ipc64_perm;
void ipc_describe(const struct ipc_object *o, struct ipc64_perm *ret);
void ipc_set(struct ipc_object *o, const struct ipc64_perm *perm); /* IPC_SET: owner and mode */

int ipc_show_shm(struct proc_text *t, const struct proc_subject *s);
int ipc_show_sem(struct proc_text *t, const struct proc_subject *s);
int ipc_show_msg(struct proc_text *t, const struct proc_subject *s);

#endif
