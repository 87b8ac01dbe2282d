/* What the cell says it is: used by uname and /proc. */
#ifndef KERNEL_SYSCALL_SYSTEM_H
#define KERNEL_SYSCALL_SYSTEM_H

#include <stddef.h>

#define SYSTEM_NAME    "Linux"
#define SYSTEM_RELEASE "6.1.0-vauban"
#define SYSTEM_VERSION "#1 SMP Vauban 0.1.0"

const char *system_hostname(void);
const char *system_domainname(void);
/* 0, -EPERM, -EINVAL (too long) */
int system_hostname_set(const char *name, size_t len);
int system_domainname_set(const char *name, size_t len);
unsigned system_thread_count(void);

#endif
