/* Signals: actions, masks, queues, frames, stacks, restarts, faults, nesting. */
#include "guest.h"

#include <fcntl.h>
#include <fenv.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

static volatile sig_atomic_t caught, caught_code, caught_value, order[16], order_count;
static volatile uintptr_t caught_addr, handler_sp;

static void count(int sig)
{
	caught++;
}

static void record(int sig, siginfo_t *info, void *context)
{
	caught++;
	caught_code = info->si_code;
	caught_value = info->si_value.sival_int;
	caught_addr = (uintptr_t)info->si_addr;
	if (order_count < 16)
		order[order_count++] = sig;
}

static void on_stack(int sig)
{
	int here;

	handler_sp = (uintptr_t)&here;
	caught++;
}

static int action(int sig, void (*handler)(int), int flags)
{
	struct sigaction sa = {.sa_handler = handler, .sa_flags = flags};

	return sigaction(sig, &sa, NULL);
}

static int action_info(int sig, void (*handler)(int, siginfo_t *, void *), int flags)
{
	struct sigaction sa = {.sa_sigaction = handler, .sa_flags = flags | SA_SIGINFO};

	return sigaction(sig, &sa, NULL);
}

static void test_actions(void)
{
	struct sigaction sa, old;

	EXPECT(action(SIGUSR1, count, 0), 0);
	EXPECT(raise(SIGUSR1), 0);
	EXPECT(caught, 1);
	EXPECT(sigaction(SIGUSR1, NULL, &old), 0);
	EXPECT_TRUE(old.sa_handler == count);
	EXPECT_ERR(sigaction(SIGKILL, &old, NULL), EINVAL);
	EXPECT_ERR(sigaction(SIGSTOP, &old, NULL), EINVAL);
	EXPECT(sigaction(SIGKILL, NULL, &old), 0);
	EXPECT_TRUE(old.sa_handler == SIG_DFL);
	EXPECT_ERR(syscall(SYS_rt_sigaction, 0, NULL, NULL, 8), EINVAL);
	EXPECT_ERR(syscall(SYS_rt_sigaction, 65, NULL, NULL, 8), EINVAL);
	EXPECT_ERR(syscall(SYS_rt_sigaction, SIGUSR1, NULL, NULL, 4), EINVAL);
	EXPECT_ERR(syscall(SYS_rt_sigaction, SIGUSR1, 1, NULL, 8), EFAULT);
	EXPECT_ERR(syscall(SYS_rt_sigaction, SIGUSR1, NULL, 1, 8), EFAULT);

	caught = 0;
	EXPECT(action(SIGUSR1, count, SA_RESETHAND), 0);
	raise(SIGUSR1);
	EXPECT(caught, 1);
	sigaction(SIGUSR1, NULL, &sa);
	EXPECT_TRUE(sa.sa_handler == SIG_DFL);
	signal(SIGUSR1, SIG_IGN);
	EXPECT(raise(SIGUSR1), 0);
	signal(SIGCHLD, SIG_DFL);
	EXPECT(raise(SIGCHLD), 0); /* ignored by default */
	EXPECT(raise(SIGWINCH), 0);
	EXPECT(raise(SIGURG), 0);
	EXPECT(raise(SIGCONT), 0);
}

static void test_mask_and_queue(void)
{
	sigset_t set, old, pending;
	union sigval value;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGRTMIN);
	sigaddset(&set, SIGRTMIN + 1);
	caught = order_count = 0;
	action_info(SIGUSR1, record, 0);
	action_info(SIGRTMIN, record, 0);
	action_info(SIGRTMIN + 1, record, 0);
	EXPECT(sigprocmask(SIG_BLOCK, &set, &old), 0);
	EXPECT(sigismember(&old, SIGUSR1), 0);
	raise(SIGUSR1);
	raise(SIGUSR1); /* merged */
	EXPECT(caught, 0);
	EXPECT(sigpending(&pending), 0);
	EXPECT(sigismember(&pending, SIGUSR1), 1);
	EXPECT(sigismember(&pending, SIGUSR2), 0);
	value.sival_int = 1;
	EXPECT(sigqueue(getpid(), SIGRTMIN + 1, value), 0);
	value.sival_int = 2;
	EXPECT(sigqueue(getpid(), SIGRTMIN, value), 0);
	value.sival_int = 3;
	EXPECT(sigqueue(getpid(), SIGRTMIN, value), 0);
	sigprocmask(SIG_SETMASK, &old, NULL);
	EXPECT(caught, 4);
	/* Frames stack up in number order, so handlers run from the highest down. */
	EXPECT(order[0], SIGRTMIN + 1);
	EXPECT(order[1], SIGRTMIN);
	EXPECT(order[2], SIGRTMIN);
	EXPECT(order[3], SIGUSR1);
	EXPECT(caught_code, SI_TKILL);
	value.sival_int = 42;
	sigqueue(getpid(), SIGRTMIN, value);
	EXPECT(caught_value, 42);
	EXPECT(caught_code, SI_QUEUE);
	kill(getpid(), SIGUSR1);
	EXPECT(caught_code, SI_USER);

	EXPECT_ERR(syscall(SYS_rt_sigprocmask, 99, &set, NULL, 8), EINVAL);
	EXPECT(syscall(SYS_rt_sigprocmask, 99, NULL, &old, 8), 0);
	EXPECT_ERR(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &set, NULL, 16), EINVAL);
	EXPECT_ERR(syscall(SYS_rt_sigprocmask, SIG_BLOCK, 1, NULL, 8), EFAULT);
	sigfillset(&set);
	sigprocmask(SIG_SETMASK, &set, &old);
	sigprocmask(SIG_SETMASK, &old, &set);
	EXPECT(sigismember(&set, SIGKILL), 0);
	EXPECT(sigismember(&set, SIGSTOP), 0);

	/* Blocked, pending, then ignored: gone. */
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	raise(SIGUSR2);
	signal(SIGUSR2, SIG_IGN);
	sigpending(&pending);
	EXPECT(sigismember(&pending, SIGUSR2), 0);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static void test_sending(void)
{
	siginfo_t info;

	EXPECT(kill(getpid(), 0), 0);
	EXPECT_ERR(kill(getpid(), 65), EINVAL);
	EXPECT_ERR(kill(getpid(), -1), EINVAL);
	EXPECT_ERR(kill(0x3ffffff, 0), ESRCH);
	EXPECT_ERR(kill(-0x3ffffff, 0), ESRCH);
	EXPECT_ERR(kill((pid_t)0x80000000, 0), ESRCH);
	EXPECT(syscall(SYS_tgkill, getpid(), gettid(), 0), 0);
	EXPECT_ERR(syscall(SYS_tgkill, getpid(), 0, 0), EINVAL);
	EXPECT_ERR(syscall(SYS_tgkill, -1, gettid(), 0), EINVAL);
	EXPECT_ERR(syscall(SYS_tgkill, 0x3ffffff, gettid(), 0), ESRCH);
	EXPECT_ERR(syscall(SYS_tgkill, getpid(), gettid(), 65), EINVAL);
	EXPECT_ERR(syscall(SYS_tkill, -1, 0), EINVAL);
	EXPECT_ERR(syscall(SYS_tkill, 0x3ffffff, 0), ESRCH);
	memset(&info, 0, sizeof(info));
	info.si_code = SI_QUEUE;
	EXPECT(syscall(SYS_rt_sigqueueinfo, getpid(), 0, &info), 0);
	EXPECT_ERR(syscall(SYS_rt_sigqueueinfo, getpid(), 65, &info), EINVAL);
	EXPECT_ERR(syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, 1), EFAULT);
	EXPECT_ERR(syscall(SYS_rt_tgsigqueueinfo, getpid(), 0, SIGUSR1, &info), EINVAL);
	info.si_code = 0;
	EXPECT_ERR(syscall(SYS_rt_sigqueueinfo, 0x3ffffff, SIGUSR1, &info), EPERM);
}

static void test_waiting(void)
{
	sigset_t set, old;
	siginfo_t info;
	struct timespec soon = {0, 1000000}, none = {0, 0}, bad = {0, 1000000000};

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, &old);
	EXPECT_ERR(sigtimedwait(&set, &info, &none), EAGAIN);
	EXPECT_ERR(sigtimedwait(&set, &info, &soon), EAGAIN);
	EXPECT_ERR(sigtimedwait(&set, &info, &bad), EINVAL);
	EXPECT_ERR(syscall(SYS_rt_sigtimedwait, 1, NULL, NULL, 8), EFAULT);
	EXPECT_ERR(syscall(SYS_rt_sigtimedwait, &set, NULL, NULL, 4), EINVAL);
	raise(SIGUSR1);
	EXPECT(sigtimedwait(&set, &info, &none), SIGUSR1);
	EXPECT(info.si_signo, SIGUSR1);
	EXPECT(info.si_pid, getpid());
	/* Interrupted by another signal's handler. */
	action(SIGALRM, count, 0);
	caught = 0;
	struct itimerval soon_alarm = {.it_value = {0, 5000}}, often = {{0, 5000}, {0, 5000}}, never = {{0}};
	setitimer(ITIMER_REAL, &often, NULL); /* often: the first may come before the wait */
	EXPECT_ERR(sigwaitinfo(&set, &info), EINTR);
	setitimer(ITIMER_REAL, &never, NULL);
	EXPECT_TRUE(caught >= 1);
	/* A signal that comes while waiting is taken, its handler not run. */
	action(SIGUSR1, count, 0);
	sigaddset(&set, SIGALRM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	caught = 0;
	setitimer(ITIMER_REAL, &soon_alarm, NULL);
	EXPECT(sigwaitinfo(&set, &info), SIGALRM);
	EXPECT(info.si_code, SI_KERNEL);
	EXPECT(caught, 0);
	sigprocmask(SIG_SETMASK, &old, NULL);

	/* sigsuspend: the mask of the moment, then back. */
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	raise(SIGUSR1);
	sigset_t empty, now;
	sigemptyset(&empty);
	EXPECT_ERR(sigsuspend(&empty), EINTR);
	EXPECT(caught, 1);
	sigprocmask(SIG_SETMASK, NULL, &now);
	EXPECT(sigismember(&now, SIGUSR1), 1);
	sigprocmask(SIG_SETMASK, &old, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	EXPECT_ERR(pause(), EINTR);
	setitimer(ITIMER_REAL, &never, NULL);
}

static int pipe_fds[2];

static void feed(int sig)
{
	caught++;
	if (write(pipe_fds[1], "x", 1) != 1)
		abort();
}

static void test_restart(void)
{
	struct itimerval soon = {.it_value = {0, 5000}}, often = {{0, 5000}, {0, 5000}}, never = {{0}};
	struct timespec left = {999, 9}, long_time = {100, 0};
	char c;

	EXPECT(pipe(pipe_fds), 0);
	action(SIGALRM, count, 0);
	caught = 0;
	setitimer(ITIMER_REAL, &often, NULL);
	EXPECT_ERR(read(pipe_fds[0], &c, 1), EINTR);
	setitimer(ITIMER_REAL, &never, NULL);
	EXPECT_TRUE(caught >= 1);
	caught = 0;
	action(SIGALRM, feed, SA_RESTART);
	setitimer(ITIMER_REAL, &soon, NULL);
	EXPECT(read(pipe_fds[0], &c, 1), 1); /* restarted after the handler fed it */
	EXPECT(caught, 1);
	action(SIGALRM, count, SA_RESTART);
	setitimer(ITIMER_REAL, &often, NULL);
	EXPECT_ERR(nanosleep(&long_time, &left), EINTR); /* never restarted after a handler */
	setitimer(ITIMER_REAL, &never, NULL);
	EXPECT_TRUE(left.tv_sec >= 0 && left.tv_sec < 100);
	/* An ignored signal doesn't disturb. */
	signal(SIGALRM, SIG_IGN);
	setitimer(ITIMER_REAL, &soon, NULL);
	struct timespec short_sleep = {0, 20000000};
	EXPECT(nanosleep(&short_sleep, NULL), 0);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

static char altstack[65536];

static void test_altstack(void)
{
	stack_t ss = {.ss_sp = altstack, .ss_size = sizeof(altstack)}, old;

	EXPECT(sigaltstack(NULL, &old), 0);
	EXPECT(old.ss_flags, SS_DISABLE);
	EXPECT(sigaltstack(&ss, NULL), 0);
	EXPECT(sigaltstack(NULL, &old), 0);
	EXPECT(old.ss_flags, 0);
	EXPECT_TRUE(old.ss_sp == altstack && old.ss_size == sizeof(altstack));
	action(SIGUSR1, on_stack, SA_ONSTACK);
	raise(SIGUSR1);
	EXPECT_TRUE(handler_sp >= (uintptr_t)altstack && handler_sp < (uintptr_t)altstack + sizeof(altstack));
	action(SIGUSR1, on_stack, 0);
	raise(SIGUSR1);
	EXPECT_TRUE(handler_sp < (uintptr_t)altstack || handler_sp >= (uintptr_t)altstack + sizeof(altstack));
	stack_t small = {.ss_sp = altstack, .ss_size = 1024}, wrong = {.ss_sp = altstack, .ss_size = sizeof(altstack), .ss_flags = 64};
	EXPECT_ERR(sigaltstack(&small, NULL), ENOMEM);
	EXPECT_ERR(sigaltstack(&wrong, NULL), EINVAL);
	EXPECT_ERR(syscall(SYS_sigaltstack, 1, NULL), EFAULT);
	ss.ss_flags = SS_DISABLE;
	EXPECT(sigaltstack(&ss, NULL), 0);
	sigaltstack(NULL, &old);
	EXPECT(old.ss_flags, SS_DISABLE);
}

static volatile int nested_depth, nested_max, nested_raises, nested_runs, on_stack_error;

static void altstack_inside(int sig)
{
	stack_t ss = {.ss_sp = altstack, .ss_size = sizeof(altstack)}, old;

	sigaltstack(NULL, &old);
	on_stack_error = old.ss_flags;
	errno = 0;
	if (sigaltstack(&ss, NULL) == -1 && errno == EPERM)
		on_stack_error |= 0x100;
}

static void altstack_asked(int sig)
{
	stack_t old;

	sigaltstack(NULL, &old);
	on_stack_error = old.ss_flags;
}

static void nested(int sig)
{
	nested_depth++;
	nested_runs++;
	if (nested_depth > nested_max)
		nested_max = nested_depth;
	if (nested_raises-- > 0)
		raise(sig);
	nested_depth--;
}

static void test_nesting(void)
{
	stack_t ss = {.ss_sp = altstack, .ss_size = sizeof(altstack)};

	nested_raises = 2;
	action(SIGUSR1, nested, SA_NODEFER);
	raise(SIGUSR1);
	EXPECT(nested_max, 3);
	nested_max = nested_runs = 0;
	nested_raises = 2;
	action(SIGUSR1, nested, 0);
	raise(SIGUSR1); /* deferred until the handler returns: never two deep */
	EXPECT(nested_max, 1);
	EXPECT(nested_runs, 3);
	signal(SIGUSR1, SIG_DFL);
	sigaltstack(&ss, NULL);
	action(SIGUSR2, altstack_inside, SA_ONSTACK);
	raise(SIGUSR2);
	EXPECT(on_stack_error, SS_ONSTACK | 0x100);
	action(SIGUSR2, altstack_asked, SA_ONSTACK);
	ss.ss_flags = (int)(1u << 31); /* SS_AUTODISARM */
	EXPECT(sigaltstack(&ss, NULL), 0);
	raise(SIGUSR2);
	EXPECT(on_stack_error, SS_DISABLE);
	stack_t old;
	sigaltstack(NULL, &old);
	EXPECT(old.ss_flags, (int)(1u << 31));
	ss.ss_flags = SS_DISABLE;
	sigaltstack(&ss, NULL);
}

/* --- faults and frames --- */

static sigjmp_buf escape;
static volatile int fault_sig, fault_code;
static volatile uintptr_t fault_addr;
static volatile greg_t fault_trapno;

static void fault(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	fault_sig = sig;
	fault_code = info->si_code;
	fault_addr = (uintptr_t)info->si_addr;
	fault_trapno = uc->uc_mcontext.gregs[REG_TRAPNO];
	siglongjmp(escape, 1);
}

static int faults(void (*fn)(void))
{
	fault_sig = 0;
	if (!sigsetjmp(escape, 1))
		fn();
	return fault_sig;
}

static char *page;
static void read_null(void)
{
	*(volatile int *)0x10;
}
static void write_read_only(void)
{
	*(volatile char *)page = 1;
}
static void divide(void)
{
	__asm__ volatile("xor %%edx, %%edx; xor %%ecx, %%ecx; mov $1, %%eax; div %%ecx" ::: "eax", "ecx", "edx");
}
static void undefined(void)
{
	__asm__ volatile("ud2");
}
static void non_canonical(void)
{
	*(volatile int *)0x8000000000000000ul;
}
static void breakpoint(void)
{
	__asm__ volatile("int3");
}

static void test_faults(void)
{
	static const int signals[] = {SIGSEGV, SIGFPE, SIGILL, SIGTRAP, SIGBUS};

	for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		action_info(signals[i], fault, 0);
	page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	EXPECT(faults(read_null), SIGSEGV);
	EXPECT(fault_code, SEGV_MAPERR);
	EXPECT(fault_addr, 0x10);
	EXPECT(fault_trapno, 14);
	EXPECT(faults(write_read_only), SIGSEGV);
	EXPECT(fault_code, SEGV_ACCERR);
	EXPECT_TRUE(fault_addr == (uintptr_t)page);
	EXPECT(faults(divide), SIGFPE);
	EXPECT(fault_code, FPE_INTDIV);
	EXPECT(faults(undefined), SIGILL);
	EXPECT(fault_code, ILL_ILLOPN);
	EXPECT(faults(non_canonical), SIGSEGV);
	EXPECT(fault_code, SI_KERNEL);
	EXPECT(faults(breakpoint), SIGTRAP);
	EXPECT(fault_code, SI_KERNEL);
	munmap(page, 4096);
	EXPECT(faults(write_read_only), SIGSEGV);
	EXPECT(fault_code, SEGV_MAPERR);
	for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		signal(signals[i], SIG_DFL);
}

static void skip_instruction(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	uc->uc_mcontext.gregs[REG_RIP] += 2; /* ud2 */
	uc->uc_mcontext.gregs[REG_RBX] = 0x1234;
	sigaddset(&uc->uc_sigmask, SIGUSR2);
}

static volatile int fp_in_handler;

static void use_vectors(int sig, siginfo_t *info, void *context)
{
	unsigned csr = 0x1f80;
	__asm__ volatile("stmxcsr %0" : "=m"(csr));
	fp_in_handler = (int)csr;
	__asm__ volatile("pcmpeqd %%xmm5, %%xmm5\n pcmpeqd %%xmm6, %%xmm6\n fninit\n fldz" ::: "xmm5", "xmm6", "memory");
}

static void test_frame(void)
{
	long rbx = 1;
	sigset_t now;
	unsigned lanes[4] = {1, 2, 3, 4}, after[4], csr = 0x1f80 | 0x6000, csr_after;
	long double pi = 0;

	action_info(SIGILL, skip_instruction, 0);
	__asm__ volatile("mov $1, %%rbx; ud2; mov %%rbx, %0" : "=r"(rbx)::"rbx", "memory");
	EXPECT(rbx, 0x1234);
	sigprocmask(SIG_SETMASK, NULL, &now);
	EXPECT(sigismember(&now, SIGUSR2), 1); /* the handler changed the mask to return to */
	sigemptyset(&now);
	sigprocmask(SIG_SETMASK, &now, NULL);
	signal(SIGILL, SIG_DFL);
	/* The handler's use of vectors, x87 and control words leaves no trace. */
	action_info(SIGUSR1, use_vectors, 0);
	pid_t pid = getpid(), tid = gettid();
	long r;
	__asm__ volatile(
		"ldmxcsr %[csr]\n movdqu %[in], %%xmm5\n fldpi\n syscall\n fstpt %[pi]\n movdqu %%xmm5, %[out]\n stmxcsr %[csr_after]"
		: "=a"(r), [pi] "=m"(pi), [out] "=m"(after), [csr_after] "=m"(csr_after)
		: [csr] "m"(csr), [in] "m"(lanes), "a"(SYS_tgkill), "D"(pid), "S"(tid), "d"(SIGUSR1)
		: "rcx", "r11", "xmm5", "memory");
	unsigned plain = 0x1f80;
	__asm__ volatile("ldmxcsr %0" ::"m"(plain));
	EXPECT(r, 0);
	EXPECT(memcmp(lanes, after, sizeof(lanes)), 0);
	EXPECT(csr_after, csr);
	EXPECT(fp_in_handler, 0x1f80);
	EXPECT_TRUE(pi > 3.14159L && pi < 3.1416L);
	signal(SIGUSR1, SIG_DFL);
}

/* The red zone below the stack pointer survives a handler. */
static void test_red_zone(void)
{
	unsigned long result = 0;
	pid_t pid = getpid(), tid = gettid();

	action(SIGUSR1, count, 0);
	__asm__ volatile("mov $0x1122334455667788, %%r8\n mov %%r8, -8(%%rsp)\n mov %%r8, -128(%%rsp)\n syscall\n"
			 "mov -8(%%rsp), %%rax\n cmp %%rax, -128(%%rsp)\n mov $0, %%ecx\n cmovne %%rcx, %%rax"
			 : "=a"(result)
			 : "a"(SYS_tgkill), "D"(pid), "S"(tid), "d"(SIGUSR1)
			 : "rcx", "r8", "r11", "memory", "cc");
	EXPECT(result, 0x1122334455667788);
}

static sigjmp_buf bad_frame;

static void broken_frame(int sig, siginfo_t *info, void *context)
{
	((ucontext_t *)context)->uc_mcontext.fpregs = (void *)0x11; /* not even aligned */
}

static void came_back(int sig)
{
	siglongjmp(bad_frame, sig);
}

static void bad_vectors(int sig, siginfo_t *info, void *context)
{
	unsigned *csr = &((ucontext_t *)context)->uc_mcontext.fpregs->mxcsr;

	*csr = 0x1fbf | 0x40; /* valid bits only: fine */
}

static void test_hostile_frame(void)
{
	action_info(SIGUSR1, broken_frame, 0);
	action(SIGSEGV, came_back, 0);
	int sig = sigsetjmp(bad_frame, 1);
	if (!sig)
		raise(SIGUSR1);
	EXPECT(sig, SIGSEGV);
	action_info(SIGUSR1, bad_vectors, 0);
	EXPECT(raise(SIGUSR1), 0);
	unsigned csr;
	__asm__ volatile("stmxcsr %0" : "=m"(csr));
	EXPECT(csr, 0x1fff);
	csr = 0x1f80;
	__asm__ volatile("ldmxcsr %0" ::"m"(csr));
	signal(SIGSEGV, SIG_DFL);
}

/* --- threads --- */

static volatile int thread_tid, thread_caught_by;

static void who(int sig)
{
	thread_caught_by = gettid();
}

static void *waiting_thread(void *arg)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	if (arg)
		pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	thread_tid = gettid();
	while (!thread_caught_by)
		usleep(1000);
	return NULL;
}

static void test_threads(void)
{
	pthread_t t;
	sigset_t set, old;

	action(SIGUSR1, who, 0);
	pthread_create(&t, NULL, waiting_thread, NULL);
	while (!thread_tid)
		usleep(1000);
	EXPECT(pthread_kill(t, SIGUSR1), 0);
	pthread_join(t, NULL);
	EXPECT_TRUE(thread_caught_by == thread_tid);
	/* For the process: the thread that doesn't block it takes it. */
	thread_caught_by = thread_tid = 0;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, &old);
	pthread_create(&t, NULL, waiting_thread, (void *)1);
	while (!thread_tid)
		usleep(1000);
	EXPECT(kill(getpid(), SIGUSR1), 0);
	pthread_join(t, NULL);
	EXPECT_TRUE(thread_caught_by == thread_tid);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

int main(void)
{
	test_actions();
	test_mask_and_queue();
	test_sending();
	test_waiting();
	test_restart();
	test_altstack();
	test_nesting();
	test_faults();
	test_frame();
	test_red_zone();
	test_hostile_frame();
	test_threads();
	return guest_done();
}
