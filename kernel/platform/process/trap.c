/* Host signals: how the program's calls (SIGSYS), faults and the kernel's interrupts (timer, monitor) arrive.
 *
 * The handler runs on its own stack and only moves the interrupted program onto the running task's kernel stack;
 * trap_enter() then works like any other entry. The kernel itself may be interrupted anywhere but faults only in usercopy.
 * Trusts the host's signal frame. The program shares this address space and can forge nothing that the tender's walls
 * don't hold against.
 */
#include "kernel/platform/process/process.h"

#include "kernel/debug/debug.h"
#include "kernel/mm/mm.h"
#include "kernel/task/patch.h"
#include "kernel/task/task_private.h"

#include <linux/audit.h>

extern char return_check[], return_end[];

enum { SIGILL_ = 4, SIGTRAP_ = 5, SIGBUS_ = 7, SIGFPE_ = 8, SIGKILL_ = 9, SIGSEGV_ = 11, SIGALRM_ = 14, SIGIO_ = 29, SIGSYS_ = 31 };
enum { TRAP_DEBUG = 1, TRAP_PROTECTION = 13, TRAP_PAGE_FAULT = 14 };
enum { CODE_KERNEL = 0x80 }; /* SI_KERNEL */
enum { RFLAGS_TF = 0x100, USER_CS = 0x33 };
enum { FAULT_WRITE = 2, FAULT_FETCH = 16 }; /* page-fault error code */

/* The part of the host's ucontext_t that is used (arch/x86/include/uapi/asm/sigcontext.h). */
struct host_context {
	uint64_t flags, link, stack[3];
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags;
	uint16_t cs, gs, fs, ss;
	uint64_t err, trapno, oldmask, cr2;
};

struct host_siginfo {
	int32_t signo, err, code, pad;
	uint64_t addr; /* fault address, or address of the call */
	int32_t syscall;
	uint32_t arch;
};

static struct trap trap;
static struct host_siginfo trap_call; /* of a SIGSYS */
static uint64_t copy_fault_addr;
static int copy_fault_access;

static int fault_access(uint64_t error_code)
{
	return error_code & FAULT_FETCH ? PROT_X : error_code & FAULT_WRITE ? PROT_W : PROT_R;
}

static bool within(uint64_t ip, const char *begin, const char *end)
{
	return ip >= (uint64_t)begin && ip < (uint64_t)end;
}

static bool in_kernel(const struct host_context *c)
{
	return c->rip - boot->kernel_base < boot->kernel_bytes ||
	       (current && c->rsp - current->kstack <= KSTACK_BYTES); /* in the host's vDSO, called by the kernel */
}

/* A timer or message interrupt while kernel code runs: leave a note where it can't be missed. */
static void interrupt_kernel(struct host_context *c)
{
	if (within(c->rip, stub_wait_begin, stub_wait_ip))
		c->rip = (uint64_t)stub_wait_interrupted;
	else if (within(c->rip, exit_begin, exit_end) || within(c->rip, return_check, return_end))
		c->rip = (uint64_t)exit_retry;
}

static void fault_in_kernel(int sig, struct host_context *c, uint64_t addr)
{
	if (sig == SIGTRAP_ && c->trapno == TRAP_DEBUG) { /* the program steps, and came here through a trampoline */
		c->rflags &= ~RFLAGS_TF;
		return;
	}
	if (within(c->rip, usercopy_begin, usercopy_end)) {
		copy_fault_addr = addr;
		copy_fault_access = fault_access(c->err);
		if (c->trapno == TRAP_PAGE_FAULT && current->process->mm && user_range_ok(addr, 1) &&
			mm_fault(current->process->mm, addr, copy_fault_access, false) == 0 && sig == SIGSEGV_)
			return; /* served: the copy goes on */
		c->rip = (uint64_t)usercopy_fault;
		return;
	}
	if (within(c->rip, return_check, return_end)) { /* iretq to an address that can't be: the program's fault */
		trap = (struct trap){ .sig = SIGSEGV_, .code = 0x80 /* SI_KERNEL */, .trapno = 13 };
		c->rip = (uint64_t)entry_from_signal;
		c->rsp = cpu_kstack_top - sizeof(struct regs);
		return;
	}
	kpanic("signal %d in the kernel at +0x%lx, address 0x%lx", sig, c->rip - boot->kernel_base, addr);
}

static void save_user(const struct host_context *c, struct regs *r)
{
	*r = (struct regs){
		.r15 = c->r15, .r14 = c->r14, .r13 = c->r13, .r12 = c->r12, .rbp = c->rbp, .rbx = c->rbx, .r11 = c->r11,
		.r10 = c->r10, .r9 = c->r9, .r8 = c->r8, .rax = c->rax, .rcx = c->rcx, .rdx = c->rdx, .rsi = c->rsi, .rdi = c->rdi,
		.orig_rax = (uint64_t)-1, .rip = c->rip, .cs = USER_CS, .rflags = c->rflags, .rsp = c->rsp, .ss = 0x2b,
	};
}

void signal_handler(int sig, void *info, void *context)
{
	struct host_context *c = context;
	struct host_siginfo *si = info;
	bool interrupt = sig == SIGALRM_ || sig == SIGIO_;

	/* The host ends some calls of the vsyscall page so, and leaves the numbers of an earlier fault in the frame. */
	if (sig == SIGSEGV_ && si->code == CODE_KERNEL && c->trapno == TRAP_PAGE_FAULT)
		c->trapno = TRAP_PROTECTION;

	if (interrupt) {
		host_interrupted = 1;
		need_work = true;
		if (sig == SIGALRM_)
			host_timer_fired();
	}
	if (!boot) /* a message while the tender is still on its way here */
		return;
	if (in_kernel(c)) {
		if (interrupt)
			interrupt_kernel(c);
		else
			fault_in_kernel(sig, c, c->trapno == TRAP_PAGE_FAULT ? c->cr2 : si->addr);
		return;
	}
	/* The common fault, on memory that is there but not mapped yet, needs no more than this. */
	if (sig == SIGSEGV_ && c->trapno == TRAP_PAGE_FAULT &&
		mm_fault(current->process->mm, c->cr2, fault_access(c->err), false) == 0)
		return;
	if (!interrupt) {
		trap = (struct trap){ sig, si->code, c->trapno == TRAP_PAGE_FAULT ? c->cr2 : si->addr, (int)c->trapno, c->err };
		trap_call = *si;
	}
	struct regs *regs = (struct regs *)(cpu_kstack_top - sizeof(struct regs));
	save_user(c, regs);
	c->cs = USER_CS; /* a far jump or sysenter may have left 64-bit mode */
	c->rip = (uint64_t)entry_from_signal;
	c->rsp = (uint64_t)regs;
	c->rflags &= ~0x500ull; /* no single step, no backward strings */
}

static void page_fault(const struct trap *t)
{
	int r = mm_fault(current->process->mm, t->addr, fault_access(t->error_code), true);
	if (r == 0 && t->sig == SIGSEGV_)
		return;
	if (r == 0 || r == -ENOMEM) { /* SIGBUS on memory that is there: the host has none left */
		klog(0, r ? "out of memory: %s was killed (limit %lu MiB; give more with -m)" :
			    "the host is out of memory, or the image file was cut short: %s was killed (%lu MiB limit)", current->comm, boot->memory_bytes >> 20);
		process_exit(SIGKILL_);
	}
	if (r == -ENXIO)
		signal_fault(SIGBUS_, 2 /* BUS_ADRERR */, t->addr, t->trapno, t->error_code);
	else
		signal_fault(SIGSEGV_, r == -EACCES ? 2 /* SEGV_ACCERR */ : 1 /* SEGV_MAPERR */, t->addr, t->trapno, t->error_code);
}

/* A call that came as a signal: from a site not rewritten (yet), from the vsyscall page, or by int 0x80. */
static void trapped_call(struct regs *regs, const struct host_siginfo *call)
{
	stats->sites_trapped++;
	if (call->arch != AUDIT_ARCH_X86_64) { /* as on a kernel without 32-bit support */
		klog(2, "%s: a 32-bit system call (int 0x80) was refused", current->comm);
		signal_fault(SIGSEGV_, 0x80 /* SI_KERNEL */, 0, 13, 0);
		return;
	}
	regs->rax = regs->orig_rax = (uint64_t)(int64_t)call->syscall;
	regs->rcx = regs->rip; /* as the instruction does */
	regs->r11 = regs->rflags;
	if (call->addr < boot->user_high)
		patch_site(regs);
	syscall_enter(regs);
}

/* Variants have int3 where no control flow leads (variant/assembly): whoever gets there has jumped to a guessed address. A program that
 * uses int3 itself is told apart by nobody; it gets its SIGTRAP in any case. */
static void booby_trap(uint64_t addr)
{
	stats->booby_traps++;
	klog(1, "booby trap hit at 0x%lx: int3 outside of a debugger", addr);
}

void trap_enter(struct regs *regs)
{
	struct trap t = trap;
	trap.sig = 0;
	switch (t.sig) {
	case 0: /* an interrupt: need_work says what for */
		break;
	case SIGSYS_: {
		struct host_siginfo call = trap_call;
		trapped_call(regs, &call);
		break;
	}
	case SIGSEGV_:
	case SIGBUS_:
		if (t.trapno == TRAP_PAGE_FAULT) {
			page_fault(&t);
			break;
		}
		/* fall through */
	default: {
		bool breakpoint = t.sig == SIGTRAP_ && t.code > 0 && t.trapno == 3;
		if (breakpoint)
			t.addr = 0; /* int3 reports no address */
		if (debug_attached && debug_fault(t.sig, t.code, t.addr, regs))
			break;
		if (breakpoint)
			booby_trap(regs->rip - 1);
		signal_fault(t.sig, t.code, t.addr, t.trapno, t.error_code);
	}
	}
}

/* --- user memory --- */

size_t usercopy(void *dst, const void *src, size_t n);
size_t userzero(void *dst, size_t n);

bool user_range_ok(uint64_t addr, uint64_t n)
{
	return n <= boot->user_high && addr <= boot->user_high - n;
}

/* The copy stopped at a page that only a sleeping fault can bring, or at a bad address. */
static int copy_retry(void)
{
	if (!current->process->mm || !user_range_ok(copy_fault_addr, 1))
		return -EFAULT;
	return mm_fault(current->process->mm, copy_fault_addr, copy_fault_access, true) ? -EFAULT : 0;
}

int copy_from_user(void *dst, uint64_t src, size_t n)
{
	if (!user_range_ok(src, n))
		return -EFAULT;
	for (size_t left; (left = usercopy(dst, (const void *)src, n)) != 0; dst = (char *)dst + (n - left), src += n - left, n = left)
		if (copy_retry())
			return -EFAULT;
	return 0;
}

int copy_to_user(uint64_t dst, const void *src, size_t n)
{
	if (!user_range_ok(dst, n))
		return -EFAULT;
	for (size_t left; (left = usercopy((void *)dst, src, n)) != 0; src = (const char *)src + (n - left), dst += n - left, n = left)
		if (copy_retry())
			return -EFAULT;
	return 0;
}

int zero_user(uint64_t dst, size_t n)
{
	if (!user_range_ok(dst, n))
		return -EFAULT;
	for (size_t left; (left = userzero((void *)dst, n)) != 0; dst += n - left, n = left)
		if (copy_retry())
			return -EFAULT;
	return 0;
}

long string_from_user(char *dst, uint64_t src, size_t size)
{
	for (size_t done = 0; done < size;) {
		/* Up to the end of a page: what follows the string need not be mapped. */
		size_t n = vb_min(size - done, VB_PAGE_SIZE - ((src + done) & (VB_PAGE_SIZE - 1)));
		n = vb_min(n, (size_t)256);
		if (copy_from_user(dst + done, src + done, n))
			return -EFAULT;
		const char *end = memchr(dst + done, 0, n);
		if (end)
			return end - dst;
		done += n;
	}
	return -ENAMETOOLONG;
}
