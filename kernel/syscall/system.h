/* What the cell says it is: used by uname and /proc. */
#ifndef KERNEL_SYSCALL_SYSTEM_H
#define KERNEL_SYSCALL_SYSTEM_H

#define SYSTEM_NAME    "Linux"
#define SYSTEM_RELEASE "6.1.0-vauban"
#define SYSTEM_VERSION "#1 SMP Vauban 0.1.0"

const char *system_hostname(void);
const char *system_domainname(void);
unsigned system_thread_count(void);

#endif
