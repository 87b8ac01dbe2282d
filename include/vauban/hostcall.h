/* The host-call ABI of the process platform: the only system calls that the host accepts from a tender after lock-down,
 * and the only instructions they may come from.
 *
 * The list below is the whole attack surface towards the host. tender/lockdown.c turns it into the seccomp filter,
 * tests/attack reads the installed filter back and counts it. Everything not listed, or with another argument than
 * the pinned one, kills the tender when it comes from the stub and becomes SIGSYS (which the kernel catches) when it comes from
 * anywhere else.
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
	VB_FD_NET = 6,     /* and the VB_NETS_MAX - 1 after it: network interfaces, as many as the boot page names */
	VB_FD_STATS = 10,  /* statistics page; closed before lock-down */
	VB_FD_BOOT = 11,   /* boot page; closed before lock-down */
	VB_FD_KERNEL = 12, /* kernel ELF; closed before lock-down */
};
#define VB_NETS_MAX 4u
_Static_assert(VB_FD_NET + VB_NETS_MAX == VB_FD_STATS, "descriptors of interfaces lie side by side");

/*      index name            pinned arguments (checked in tender/lockdown.c) */
#define VB_HOST_CALLS(X)                                                                                                                   \
	X(0, read)          /* fd 0, 3, interfaces */                                                                                                  \
	X(1, write)         /* fd 1, 2, 3 */                                                                                               \
	X(2, mmap)          /* within [user_low, user_high), MAP_FIXED, memory file or image or PROT_NONE */                               \
	X(3, mprotect)      /* within [user_low, user_high), never W+X unless jit */                                                       \
	X(4, fallocate)     /* memory file, punch hole */                                                                                  \
	X(5, ppoll)         /* no signal mask; at most 4 descriptors and the interfaces */                                                                    \
	X(6, setitimer)     /* ITIMER_REAL */                                                                                              \
	X(7, clock_gettime) /* fixed clocks */                                                                                             \
	X(8, rt_sigreturn)                                                                                                                 \
	X(9, exit_group)                                                                                                                   \
	X(10, writev) /* interfaces */

/* The stub: three `syscall` instructions in the kernel's text (kernel/platform/process/entry.S), the only addresses from
 * which the host accepts a call; everywhere else one becomes SIGSYS. */

/* What the ELF entry of a process-platform kernel points to: a table, not code. The tender relocates it with the rest. */
#define VB_KERNEL_MAGIC 0x6c656e72656b6276ull /* "vbkernel" */
struct vb_kernel_table {
	unsigned long long magic;
	unsigned long long boot_version; /* VB_BOOT_VERSION */
	unsigned long long start;        /* void start(struct vb_boot *), on the stack below */
	unsigned long long stack_top;    /* of the boot stack */
	unsigned long long signal;       /* SA_SIGINFO handler for every signal that the kernel takes */
	unsigned long long altstack, altstack_bytes;
	unsigned long long call_ip;   /* the stub's instruction pointers, as the filter sees them: after the instruction */
	unsigned long long wait_ip;   /* of calls that may block */
	unsigned long long sigreturn; /* signal restorer */
	unsigned long long sigreturn_ip;
};

#endif
