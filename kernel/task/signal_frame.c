/* Signals arriving: default actions, the frame that a handler runs on, and the way back (rt_sigreturn). Frames have exactly
 * the layout of Linux on x86-64, since unwinders, debuggers and runtimes read and change them. What comes back from the
 * program is hostile: every field is checked or forced before it reaches the processor. */
#include <asm/processor-flags.h>
#include <asm/signal.h>
#include <asm/sigcontext.h>

#include "kernel/debug/debug.h"
#include "kernel/debug/trace.h"
#include "kernel/platform/platform.h"
#include "kernel/syscall/define.h"
#include "kernel/task/patch.h"
#include "kernel/task/signal.h"

/* asm/ucontext.h and asm/sigcontext.h, under names that collide with nobody's */
enum { UCONTEXT_FP_XSTATE = 1, UCONTEXT_SIGCONTEXT_SS = 2, UCONTEXT_STRICT_RESTORE_SS = 4 };
struct k_stack {
	uint64_t sp;
	uint32_t flags, pad;
	uint64_t size;
};
struct k_mcontext {
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags;
	uint16_t cs, gs, fs, ss;
	uint64_t error, trapno, oldmask, fault_addr, fpstate, reserved[8];
};
struct k_ucontext {
	uint64_t flags, link;
	struct k_stack stack;
	struct k_mcontext mcontext;
	sigset mask;
};
struct signal_frame {
	uint64_t pretcode;
	struct k_ucontext uc;
	struct k_siginfo info;
};
_Static_assert(sizeof(struct k_mcontext) == 256 && sizeof(struct signal_frame) == 8 + 304 + 128, "the layout of Linux");

#define RED_ZONE 128
#define USER_CS  0x33
#define USER_SS  0x2b
#define RFLAGS_RESTORED                                                                                                                    \
	(X86_EFLAGS_AC | X86_EFLAGS_OF | X86_EFLAGS_DF | X86_EFLAGS_TF | X86_EFLAGS_SF | X86_EFLAGS_ZF | X86_EFLAGS_AF | X86_EFLAGS_PF |   \
		X86_EFLAGS_CF | X86_EFLAGS_RF)

/* --- the extended state --- */

/* An XSAVE area: FXSAVE image, header, then whatever XCR0 says. One is enough: nothing sleeps while it is in use. */
#define FXSAVE_BYTES       512
#define XSTATE_HEADER_END  576
#define MXCSR_DEFAULT      0x1f80u
#define MXCSR_MASK_DEFAULT 0xffbfu
struct xstate_area {
	uint8_t before_mxcsr[24];
	uint32_t mxcsr, mxcsr_mask;
	uint8_t registers[432];
	struct _fpx_sw_bytes software;
	uint64_t features, compaction, reserved[6];
	uint8_t extended[16384 - XSTATE_HEADER_END];
};
_Static_assert(offsetof(struct xstate_area, software) == 464 && offsetof(struct xstate_area, features) == FXSAVE_BYTES, "XSAVE layout");
static struct xstate_area area __attribute__((aligned(64)));

static uint64_t xstate_frame_bytes(void)
{
	return platform_xstate_bytes + FP_XSTATE_MAGIC2_SIZE;
}

static int xstate_to_frame(uint64_t fpstate)
{
	uint32_t magic2 = FP_XSTATE_MAGIC2;

	KASSERT(platform_xstate_bytes >= XSTATE_HEADER_END && platform_xstate_bytes <= sizeof(area));
	platform_xstate_save(&area);
	area.software = (struct _fpx_sw_bytes){.magic1 = FP_XSTATE_MAGIC1,
		.extended_size = (uint32_t)xstate_frame_bytes(),
		.xfeatures = platform_xstate_mask,
		.xstate_size = platform_xstate_bytes};
	if (copy_to_user(fpstate, &area, platform_xstate_bytes))
		return -EFAULT;
	return put_user(magic2, fpstate + platform_xstate_bytes);
}

/* Loads `area` with the features named (others start fresh). The rest of its header is the kernel's. */
static void xstate_load_area(uint64_t features)
{
	area.features = features & platform_xstate_mask;
	area.compaction = 0;
	memset(area.reserved, 0, sizeof(area.reserved));
	platform_xstate_load(&area);
}

void xstate_reset(void)
{
	memset(&area, 0, XSTATE_HEADER_END);
	area.mxcsr = MXCSR_DEFAULT;
	xstate_load_area(0);
}

/* How much extended state a frame from the program holds: bytes, or 0 for the FXSAVE image alone. Reads `area`. */
static uint64_t xstate_frame_extent(uint64_t fpstate)
{
	const struct _fpx_sw_bytes *sw = &area.software;
	uint32_t magic2;

	if (sw->magic1 != FP_XSTATE_MAGIC1 || sw->xstate_size < XSTATE_HEADER_END || sw->xstate_size > platform_xstate_bytes ||
		sw->xstate_size > sw->extended_size)
		return 0;
	if (get_user(magic2, fpstate + sw->xstate_size) || magic2 != FP_XSTATE_MAGIC2)
		return 0;
	return sw->xstate_size;
}

static int xstate_from_frame(uint64_t fpstate)
{
	uint32_t valid_mxcsr;
	uint64_t features = 3; /* x87 and SSE */

	if (!fpstate) {
		xstate_reset();
		return 0;
	}
	if (fpstate % 64)
		return -EFAULT;
	platform_xstate_save(&area); /* for the processor's MXCSR mask */
	valid_mxcsr = area.mxcsr_mask ? area.mxcsr_mask : MXCSR_MASK_DEFAULT;
	memset(&area, 0, platform_xstate_bytes);
	if (copy_from_user(&area, fpstate, FXSAVE_BYTES))
		return -EFAULT;
	uint64_t extent = xstate_frame_extent(fpstate);
	if (extent) {
		uint64_t wanted = area.software.xfeatures;
		if (copy_from_user(&area.features, fpstate + FXSAVE_BYTES, extent - FXSAVE_BYTES))
			return -EFAULT;
		if ((area.features & ~platform_xstate_mask) || area.compaction)
			return -EINVAL;
		features = area.features & wanted;
	}
	area.mxcsr &= valid_mxcsr;
	xstate_load_area(features);
	return 0;
}

/* --- the alternate stack --- */

bool signal_on_altstack(uint64_t sp)
{
	if (current->altstack_flags & SIGNAL_STACK_AUTODISARM)
		return false;
	return current->altstack_bytes && sp > current->altstack && sp - current->altstack <= current->altstack_bytes;
}

/* --- into the handler --- */

/* The processor faults in the kernel's hands when it is sent to an address of the upper half. (The rest is the program's to get
 * wrong; its vDSO calls into the host's, so being outside of the user area is no error.) */
static bool may_resume_at(uint64_t rip)
{
	return !(rip >> 47);
}

/* Where the frame goes, or 0 when it can't fit the alternate stack. */
static uint64_t frame_place(const struct regs *regs, const struct k_sigaction *action, uint64_t *ret_fpstate)
{
	uint64_t sp = regs->rsp - RED_ZONE;
	bool inside = signal_on_altstack(regs->rsp), entering = false;

	if ((action->flags & SA_ONSTACK) && current->altstack_bytes && !inside) {
		sp = current->altstack + current->altstack_bytes;
		entering = true;
	}
	sp = (sp - xstate_frame_bytes()) & ~63ull;
	*ret_fpstate = sp;
	sp = ((sp - sizeof(struct signal_frame)) & ~15ull) - 8; /* as if called */
	if ((inside || entering) && (sp <= current->altstack || sp - current->altstack > current->altstack_bytes))
		return 0;
	return sp;
}

static void frame_fill(struct signal_frame *f, const struct regs *regs, const struct k_sigaction *action, const struct k_siginfo *info)
{
	memset(f, 0, sizeof(*f));
	f->pretcode = action->restorer;
	f->info = *info;
	f->uc.flags = UCONTEXT_FP_XSTATE | UCONTEXT_SIGCONTEXT_SS | UCONTEXT_STRICT_RESTORE_SS;
	f->uc.stack = (struct k_stack){.sp = current->altstack, .flags = current->altstack_flags, .size = current->altstack_bytes};
	f->uc.mask = current->restore_sigmask ? current->saved_sigmask : current->sigmask;
	f->uc.mcontext = (struct k_mcontext){
		.r8 = regs->r8,
		.r9 = regs->r9,
		.r10 = regs->r10,
		.r11 = regs->r11,
		.r12 = regs->r12,
		.r13 = regs->r13,
		.r14 = regs->r14,
		.r15 = regs->r15,
		.rdi = regs->rdi,
		.rsi = regs->rsi,
		.rbp = regs->rbp,
		.rbx = regs->rbx,
		.rdx = regs->rdx,
		.rax = regs->rax,
		.rcx = regs->rcx,
		.rsp = regs->rsp,
		.rip = patch_user_rip(regs->rip),
		.rflags = regs->rflags,
		.cs = USER_CS,
		.ss = USER_SS,
		.error = current->fault_error,
		.trapno = current->fault_trapno,
		.oldmask = f->uc.mask,
		.fault_addr = current->fault_addr,
	};
}

static int frame_enter(struct regs *regs, const struct k_sigaction *action, const struct k_siginfo *info)
{
	struct signal_frame f;
	uint64_t fpstate, sp = frame_place(regs, action, &fpstate);

	if (!sp || !(action->flags & SA_RESTORER_FLAG) || !may_resume_at(action->handler))
		return -EFAULT;
	frame_fill(&f, regs, action, info);
	f.uc.mcontext.fpstate = fpstate;
	if (xstate_to_frame(fpstate) || copy_to_user(sp, &f, sizeof(f)))
		return -EFAULT;
	if (current->altstack_flags & SIGNAL_STACK_AUTODISARM) {
		current->altstack = current->altstack_bytes = 0;
		current->altstack_flags = SIGNAL_STACK_DISABLE;
	}
	xstate_reset();
	regs->rdi = (uint64_t)info->signo;
	regs->rsi = sp + offsetof(struct signal_frame, info);
	regs->rdx = sp + offsetof(struct signal_frame, uc);
	regs->rax = 0;
	regs->rsp = sp;
	regs->rip = patch_resume_rip(action->handler);
	regs->rflags &= ~(uint64_t)(X86_EFLAGS_DF | X86_EFLAGS_RF | X86_EFLAGS_TF);
	return 0;
}

/* An interrupted call before a handler runs: ends with EINTR, or is executed again after it. */
static void restart_before_handler(struct regs *regs, const struct k_sigaction *action)
{
	if (regs->orig_rax == NOT_A_CALL)
		return;
	switch ((int64_t)regs->rax) {
	case -ERESTART_RESTARTBLOCK:
	case -ERESTARTNOHAND:
		regs->rax = (uint64_t)-EINTR;
		break;
	case -ERESTARTSYS:
		if (action->flags & SA_RESTART)
			patch_restart(regs);
		else
			regs->rax = (uint64_t)-EINTR;
	}
	regs->orig_rax = NOT_A_CALL;
}

static void restart_without_handler(struct regs *regs)
{
	if (regs->orig_rax == NOT_A_CALL)
		return;
	switch ((int64_t)regs->rax) {
	case -ERESTART_RESTARTBLOCK:
		regs->orig_rax = RESTART_SYSCALL_NUMBER;
		patch_restart(regs);
		break;
	case -ERESTARTNOHAND:
	case -ERESTARTSYS:
		patch_restart(regs);
		break;
	default:
		return;
	}
	regs->orig_rax = NOT_A_CALL;
}

/* --- actions --- */

static bool default_dumps_core(int sig)
{
	const sigset core = sig_bit(SIGQUIT) | sig_bit(SIGILL) | sig_bit(SIGTRAP) | sig_bit(SIGABRT) | sig_bit(SIGBUS) | sig_bit(SIGFPE) |
			    sig_bit(SIGSEGV) | sig_bit(SIGXCPU) | sig_bit(SIGXFSZ) | sig_bit(SIGSYS);

	return core & sig_bit(sig);
}

static void action_default(struct regs *regs, const struct k_siginfo *info)
{
	int sig = info->signo;

	if (signal_default_ignores(sig))
		return;
	if (sig_bit(sig) & STOP_SIGNALS) {
		process_stop(sig);
		process_stop_wait();
		return;
	}
	restart_without_handler(regs); /* the core shows the call as it would go on */
	bool dumped = default_dumps_core(sig) && core_dump(sig, regs, info);
	process_exit(sig | (dumped ? 0x80 : 0));
}

/* True when a handler was entered. */
static bool action_run(struct regs *regs, const struct k_siginfo *info)
{
	int sig = info->signo;
	struct k_sigaction *slot = &current->process->action[sig - 1], action = *slot;

	if (action.handler == ACTION_IGNORE)
		return false;
	if (action.handler == ACTION_DEFAULT) {
		action_default(regs, info);
		return false;
	}
	if (action.flags & SA_RESETHAND)
		slot->handler = ACTION_DEFAULT;
	restart_before_handler(regs, &action);
	if (frame_enter(regs, &action, info)) {
		/* No stack to run on. SIGSEGV may have one of its own; if it is the one that failed, it is over. */
		if (sig == SIGSEGV)
			slot->handler = ACTION_DEFAULT;
		signal_force(&SIGINFO_KERNEL(SIGSEGV));
		return false;
	}
	current->restore_sigmask = false;
	signal_set_mask(current->sigmask | action.mask | (action.flags & SA_NODEFER ? 0 : sig_bit(sig)));
	return true;
}

void signal_deliver(struct regs *regs)
{
	struct k_siginfo info;
	bool handled = false;

	process_stop_wait();
	while (signal_dequeue(current, ~signal_blocked(current), &info)) {
		if (debug_attached && info.signo != SIGKILL && debug_signal(&info))
			break;
		trace_signal(info.signo, &info);
		handled |= action_run(regs, &info);
	}
	if (!handled) {
		restart_without_handler(regs);
		signal_restore_mask();
	}
	signal_recalculate();
}

/* --- back from the handler --- */

static void regs_restore(struct regs *regs, const struct k_mcontext *m)
{
	uint64_t rflags = (regs->rflags & ~(uint64_t)RFLAGS_RESTORED) | (m->rflags & RFLAGS_RESTORED);

	*regs = (struct regs){
		.r8 = m->r8,
		.r9 = m->r9,
		.r10 = m->r10,
		.r11 = m->r11,
		.r12 = m->r12,
		.r13 = m->r13,
		.r14 = m->r14,
		.r15 = m->r15,
		.rdi = m->rdi,
		.rsi = m->rsi,
		.rbp = m->rbp,
		.rbx = m->rbx,
		.rdx = m->rdx,
		.rax = m->rax,
		.rcx = m->rcx,
		.rsp = m->rsp,
		.rip = patch_resume_rip(m->rip),
		.rflags = rflags,
		.cs = USER_CS,
		.ss = USER_SS,
		.orig_rax = NOT_A_CALL,
	};
}

SYSCALL(rt_sigreturn, void)
{
	struct regs *regs = current->regs;
	uint64_t frame = regs->rsp - 8; /* the handler's ret took the return address */
	struct k_ucontext uc;

	current->restart = NULL;
	if (copy_from_user(&uc, frame + offsetof(struct signal_frame, uc), sizeof(uc)) || !may_resume_at(uc.mcontext.rip) ||
		xstate_from_frame(uc.mcontext.fpstate)) {
		regs->orig_rax = NOT_A_CALL;
		signal_force(&SIGINFO_KERNEL(SIGSEGV));
		return 0;
	}
	regs_restore(regs, &uc.mcontext);
	signal_altstack_set(uc.stack.sp, uc.stack.flags, uc.stack.size); /* as Linux: a bad one is left aside */
	signal_set_mask(uc.mask);
	return (long)regs->rax;
}
