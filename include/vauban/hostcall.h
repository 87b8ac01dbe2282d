/* The host-call ABI of the process platform: the only system calls that the host accepts from a tender after lock-down,
 * and the one page they may come from.
 *
 * The list below is the whole attack surface towards the host. tender/lockdown.c turns it into the seccomp filter,
 * tests/attack reads the installed filter back and counts it. Everything not listed, or with another argument than
 * the pinned one, kills the tender when it comes from the stub page and becomes SIGSYS (which the kernel catches) when
 * it comes from anywhere else.
 */
#ifndef VAUBAN_HOSTCALL_H
#define VAUBAN_HOSTCALL_H

/* Descriptors of the tender, by number. Nothing else is open. */
enum vb_fd {
	VB_FD_STDIN = 0,
	VB_FD_STDOUT = 1,
	VB_FD_STDERR = 2,
	VB_FD_MONITOR = 3, /* SOCK_SEQPACKET to the monitor, see message.h */
	VB_FD_MEMORY = 4,  /* the memory file, size sealed */
	VB_FD_IMAGE = 5,   /* the image, read-only */
	VB_FD_STATS = 6,   /* statistics page; closed before lock-down */
	VB_FD_BOOT = 7,    /* boot page; closed before lock-down */
	VB_FD_KERNEL = 8,  /* kernel ELF; closed before lock-down */
};

/*      index name            pinned arguments (checked in tender/lockdown.c) */
#define VB_HOST_CALLS(X)                                                                                               \
	X(0, read)          /* fd 0, 3 */                                                                              \
	X(1, write)         /* fd 1, 2, 3 */                                                                           \
	X(2, mmap)          /* within [user_low, user_high), MAP_FIXED, memory file or image or PROT_NONE */           \
	X(3, mprotect)      /* within [user_low, user_high), never W+X unless jit */                                   \
	X(4, fallocate)     /* memory file, punch hole */                                                              \
	X(5, ppoll)         /* no signal mask; at most 4 descriptors */                                                \
	X(6, setitimer)     /* ITIMER_REAL */                                                                          \
	X(7, clock_gettime) /* fixed clocks */                                                                         \
	X(8, rt_sigreturn)                                                                                             \
	X(9, exit_group)

/* Offsets of the entry points in the stub page. Each follows the syscall ABI (rax number, rdi rsi rdx r10 r8 r9) and
 * ends in ret. `wait` returns -EINTR without calling when the byte at *r11 is not zero: the kernel's interrupt flag,
 * tested inside a window that the kernel's signal handler recognises (VB_STUB_WAIT..VB_STUB_WAIT_END). */
#define VB_STUB_CALL 0x00
#define VB_STUB_WAIT 0x10
#define VB_STUB_WAIT_END 0x1c /* first byte after the syscall instruction of `wait` */
#define VB_STUB_SIGRETURN 0x40

#endif
