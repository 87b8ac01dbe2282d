/* Defines a system-call handler: SYSCALL(read, int fd, uint64_t buf, uint64_t len) { ... }
 * The table calls it with six 64-bit registers; the x86-64 C ABI lets a callee take fewer and narrower ones. */
#ifndef KERNEL_SYSCALL_DEFINE_H
#define KERNEL_SYSCALL_DEFINE_H

#define SYSCALL(name, ...)                                                                                                                 \
	long sys_##name(__VA_ARGS__);                                                                                                      \
	long sys_##name(__VA_ARGS__)

#endif
