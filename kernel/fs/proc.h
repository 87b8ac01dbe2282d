/* /proc: the machinery (proc.c) and its contents, tables of entries (proc_pid.c, proc_maps.c, proc_system.c, proc_sys.c). */
#ifndef KERNEL_FS_PROC_H
#define KERNEL_FS_PROC_H

#include "kernel/fs/fs_private.h"

/* Text being made. Out of memory shows as `failed`, once at the end. */
struct proc_text {
	char *data;
	size_t len, size;
	bool failed;
};
void proc_printf(struct proc_text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void proc_append(struct proc_text *t, const void *data, size_t n);

/* Whose data an inode shows. Only ids are kept: each use looks them up again. */
struct proc_subject {
	int pid, tid, fd;
};
struct process *proc_process(const struct proc_subject *s); /* NULL: gone */
struct task *proc_task(const struct proc_subject *s);
struct file *proc_file(const struct proc_subject *s); /* borrowed */

bool proc_number_tid(const struct proc_subject *s, int at_least, int *ret);
bool proc_number_fd(const struct proc_subject *s, int at_least, int *ret);

enum proc_number { NUMBER_PID, NUMBER_TID, NUMBER_FD };

struct proc_entry { /* tables end with an entry without a name */
	const char *name;
	uint32_t mode; /* its type says which of the union's parts holds */
	enum proc_number number_is;
	union {
		struct { /* files */
			const char *content; /* constant, or: */
			int (*show)(struct proc_text *t, const struct proc_subject *s);
			int (*write)(const struct proc_subject *s, const char *text, size_t len);
		};
		struct { /* directories: fixed names, then numbered ones: `number` gives the lowest that is there from at_least on */
			const struct proc_entry *children;
			const struct proc_entry *numbered;
			bool (*number)(const struct proc_subject *s, int at_least, int *ret);
		};
		struct { /* links */
			long (*target)(const struct proc_subject *s, char *buf, size_t size);
			struct dentry *(*follow)(const struct proc_subject *s); /* a referenced entry: goes there directly */
		};
	};
};

#define PROC_DIR(name_, mode_, ...)                                                                                                        \
	{                                                                                                                                  \
		.name = (name_), .mode = S_IFDIR | (mode_), __VA_ARGS__                                                                    \
	}
#define PROC_FILE(name_, mode_, ...)                                                                                                       \
	{                                                                                                                                  \
		.name = (name_), .mode = S_IFREG | (mode_), __VA_ARGS__                                                                    \
	}
#define PROC_LINK(name_, ...)                                                                                                              \
	{                                                                                                                                  \
		.name = (name_), .mode = S_IFLNK | 0777, __VA_ARGS__                                                                       \
	}

extern const struct proc_entry proc_root_children[], proc_pid_entry, proc_net_children[], proc_sys_children[];
int proc_show_cpuinfo(struct proc_text *t, const struct proc_subject *s);
int proc_show_mounts(struct proc_text *t, const struct proc_subject *s);
int proc_show_mountinfo(struct proc_text *t, const struct proc_subject *s);
int proc_show_maps(struct proc_text *t, const struct proc_subject *s);
int proc_show_smaps(struct proc_text *t, const struct proc_subject *s);
int proc_show_smaps_rollup(struct proc_text *t, const struct proc_subject *s);

#endif
