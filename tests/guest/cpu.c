/* What the processor holds for a thread: registers, SIMD and x87 state, flags, red zone, TLS; across calls, signals and
 * thread switches. Contexts, cancellation, preemption, many threads.
 */
#include "guest.h"

#include <cpuid.h>
#include <fcntl.h>
#include <immintrin.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

enum { FE_TONEAREST = 0, FE_DOWNWARD = 0x400, FE_UPWARD = 0x800, FE_TOWARDZERO = 0xc00 };

static void rounding_set(int mode)
{
	unsigned short control;
	__asm__ volatile("fnstcw %0" : "=m"(control));
	control = (control & ~0xc00) | mode;
	__asm__ volatile("fldcw %0" : : "m"(control));
	_mm_setcsr((_mm_getcsr() & ~0x6000u) | mode << 3);
}

static int rounding(void)
{
	unsigned short control;
	__asm__ volatile("fnstcw %0" : "=m"(control));
	return control & 0xc00;
}

static volatile int ticks, stop;
static volatile sig_atomic_t nested;

/* Ruins all state that a handler may ruin. */
static void ruin(void)
{
	ticks++;
	__asm__ volatile("pxor %%xmm0, %%xmm0; pxor %%xmm1, %%xmm1; pcmpeqd %%xmm5, %%xmm5; pcmpeqd %%xmm15, %%xmm15\n"
			 "fninit; fldpi; fldpi; fldz"
			 :
			 :
			 : "xmm0", "xmm1", "xmm5", "xmm15");
	if (__builtin_cpu_supports("avx"))
		__asm__ volatile("vzeroall"
				 :
				 :
				 : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",
				 "xmm12", "xmm13", "xmm14", "xmm15");
	unsigned mxcsr = 0x7f80;
	unsigned short control = 0x27f;
	__asm__ volatile("ldmxcsr %0; fldcw %1" : : "m"(mxcsr), "m"(control));
}

static void on_tick(int sig)
{
	(void)sig;
	ruin();
}

static void timer_signals(int usec)
{
	struct itimerval each = {{0, usec}, {0, usec}};
	setitimer(ITIMER_REAL, &each, NULL);
}

/* --- threads that compute with vector registers --- */

static uint64_t rounds_done[4];

__attribute__((target("avx512f"))) static int vectors512(uint64_t seed, int rounds)
{
	int bad = 0;
	for (int i = 0; i < rounds; i++) {
		uint64_t in = seed * 0x9e3779b97f4a7c15ull + i, out[8], mask;
		__asm__ volatile(
			"vpbroadcastq %2, %%zmm0; vpbroadcastq %2, %%zmm17; vpbroadcastq %2, %%zmm31; vpaddq %%zmm0, %%zmm17, %%zmm30\n"
			"kmovw %k2, %%k3\n"
			"mov $20000, %%ecx\n1: dec %%ecx; jnz 1b\n"
			"vpsubq %%zmm31, %%zmm30, %%zmm30; vmovdqu64 %%zmm30, %0; kmovw %%k3, %k1"
			: "=m"(out), "=&r"(mask)
			: "r"(in)
			: "xmm0", "xmm17", "xmm30", "xmm31", "k3", "rcx");
		for (int j = 0; j < 8; j++)
			bad += out[j] != in;
		bad += (uint16_t)mask != (uint16_t)in;
	}
	return bad;
}

__attribute__((target("avx2"))) static int vectors256(uint64_t seed, int rounds)
{
	int bad = 0;
	for (int i = 0; i < rounds; i++) {
		uint64_t in = seed * 0x9e3779b97f4a7c15ull + i, out[4];
		__asm__ volatile("vmovq %1, %%xmm0; vpbroadcastq %%xmm0, %%ymm0; vmovdqa %%ymm0, %%ymm9; vpaddq %%ymm0, %%ymm9, %%ymm15\n"
				 "mov $20000, %%ecx\n1: dec %%ecx; jnz 1b\n"
				 "vpsubq %%ymm9, %%ymm15, %%ymm15; vmovdqu %%ymm15, %0; vzeroupper"
				 : "=m"(out)
				 : "r"(in)
				 : "xmm0", "xmm9", "xmm15", "rcx");
		for (int j = 0; j < 4; j++)
			bad += out[j] != in;
	}
	return bad;
}

static int scalars(uint64_t seed, int rounds)
{
	int bad = 0;
	for (int i = 0; i < rounds; i++) {
		double in = (double)seed + i, out;
		uint64_t a, b, c;
		__asm__ volatile("fldl %4; fldl %4; mov %5, %%r8; mov %5, %%r15; mov %5, %%r11; std\n"
				 "mov $20000, %%ecx\n1: dec %%ecx; jnz 1b\n"
				 "pushfq; popq %1; cld; faddp; fstpl %0; mov %%r8, %2; xor %%r15, %2; mov %%r11, %3"
				 : "=m"(out), "=&r"(a), "=&r"(b), "=&r"(c)
				 : "m"(in), "r"(seed)
				 : "r8", "r11", "r15", "rcx", "memory", "cc");
		bad += out != in + in || !(a & 0x400) || b || c != seed;
	}
	return bad;
}

static void *computer(void *arg)
{
	uint64_t seed = (uint64_t)arg;
	static __thread uint64_t own;
	long bad = 0;
	rounding_set(seed & 1 ? FE_UPWARD : FE_DOWNWARD);
	int round = rounding();
	unsigned mxcsr = _mm_getcsr();
	own = seed;
	for (int i = 0; i < 20; i++) {
		if (__builtin_cpu_supports("avx512f"))
			bad += vectors512(seed, 20);
		if (__builtin_cpu_supports("avx2"))
			bad += vectors256(seed, 20);
		bad += scalars(seed, 20);
		sched_yield();
		bad += own != seed || rounding() != round || (_mm_getcsr() & 0xffc0) != (mxcsr & 0xffc0);
	}
	return (void *)bad;
}

static void vectors(void)
{
	pthread_t t[4];
	struct sigaction sa = {.sa_handler = on_tick, .sa_flags = SA_RESTART};
	sigaction(SIGALRM, &sa, NULL);
	ticks = 0;
	timer_signals(700);
	for (uint64_t i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, computer, (void *)(i + 1));
	for (int i = 0; i < 4; i++) {
		void *bad;
		pthread_join(t[i], &bad);
		EXPECT((long)bad, 0);
	}
	EXPECT((long)computer((void *)7), 0);
	rounding_set(FE_TONEAREST);
	timer_signals(0);
	EXPECT_TRUE(ticks > 3);
}

/* A new thread has the control words of its creator. */
static void *control_words(void *arg)
{
	(void)arg;
	return (void *)(uintptr_t)(rounding() | (_mm_getcsr() & 0x8040));
}

static void inherited(void)
{
	pthread_t t;
	void *got;
	rounding_set(FE_TOWARDZERO);
	_mm_setcsr(_mm_getcsr() | 0x8000);
	pthread_create(&t, NULL, control_words, NULL);
	pthread_join(t, &got);
	EXPECT((uintptr_t)got, FE_TOWARDZERO | 0x8000);
	rounding_set(FE_TONEAREST);
	_mm_setcsr(_mm_getcsr() & ~0x8000u);
}

/* --- red zone and registers across calls --- */

static long red_zone(long rounds)
{
	long bad = 0;
	__asm__ volatile("mov %1, %%rbx\n"
			 "1: mov %%rbx, -8(%%rsp); mov %%rbx, -64(%%rsp); mov %%rbx, -120(%%rsp); mov %%rbx, %%rdx; mov %%rbx, %%rdi; mov "
			 "%%rbx, %%r12\n"
			 "mov $39, %%eax; syscall\n"
			 "cmp %%rbx, -8(%%rsp); jne 2f; cmp %%rbx, -64(%%rsp); jne 2f; cmp %%rbx, -120(%%rsp); jne 2f\n"
			 "cmp %%rbx, %%rdx; jne 2f; cmp %%rbx, %%rdi; jne 2f; cmp %%rbx, %%r12; je 3f\n"
			 "2: incq %0\n3: dec %%rbx; jnz 1b"
			 : "+r"(bad)
			 : "r"(rounds)
			 : "rax", "rbx", "rcx", "rdx", "rdi", "r11", "r12", "memory", "cc");
	return bad;
}

static long loop_red_zone(long rounds)
{
	long bad = 0;
	__asm__ volatile("mov %1, %%rbx\n"
			 "1: mov %%rbx, -8(%%rsp); mov %%rbx, -128(%%rsp); mov %%rbx, %%r9; mov %%rbx, %%rcx; mov $100, %%eax\n"
			 "4: dec %%eax; jnz 4b\n"
			 "cmp %%rbx, -8(%%rsp); jne 2f; cmp %%rbx, -128(%%rsp); jne 2f; cmp %%rbx, %%r9; jne 2f; cmp %%rbx, %%rcx; je 3f\n"
			 "2: incq %0\n3: dec %%rbx; jnz 1b"
			 : "+r"(bad)
			 : "r"(rounds)
			 : "rax", "rbx", "rcx", "r9", "memory", "cc");
	return bad;
}

static void red_zones(void)
{
	EXPECT(red_zone(20000), 0);
	timer_signals(500);
	EXPECT(red_zone(200000), 0);
	EXPECT(loop_red_zone(300000), 0);
	timer_signals(0);
	uint64_t flags;
	__asm__ volatile("std; mov $39, %%eax; syscall; pushfq; popq %0; cld" : "=&r"(flags) : : "rax", "rcx", "r11", "memory", "cc");
	EXPECT_TRUE(flags & 0x400);
}

static void on_flags(int sig, siginfo_t *info, void *context)
{
	uint64_t flags;
	(void)sig, (void)info;
	__asm__ volatile("pushfq; popq %0; cld" : "=r"(flags));
	ticks = flags & 0x400 ? -1 : ((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] & 0x400 ? 1 : 0;
}

static void direction(void)
{
	struct sigaction sa = {.sa_sigaction = on_flags, .sa_flags = SA_SIGINFO};
	sigaction(SIGTRAP, &sa, NULL);
	uint64_t flags;
	__asm__ volatile("sub $128, %%rsp; std; int3; pushfq; popq %0; cld; add $128, %%rsp" : "=&r"(flags) : : "memory", "cc");
	EXPECT(ticks, 1);
	EXPECT_TRUE(flags & 0x400);
	signal(SIGTRAP, SIG_DFL);
}

/* --- leaving handlers --- */

static sigjmp_buf jump;
static char alternate[65536];

static void on_fault(int sig)
{
	(void)sig;
	siglongjmp(jump, 1);
}

static void jumps(void)
{
	volatile int left = 200, failed = 0;
	stack_t ss = {.ss_sp = alternate, .ss_size = sizeof(alternate)};
	struct sigaction sa = {.sa_handler = on_fault, .sa_flags = SA_ONSTACK};
	EXPECT(sigaltstack(&ss, NULL), 0);
	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGFPE, &sa, NULL);
	sigaction(SIGILL, &sa, NULL);
	while (left > 0) {
		if (sigsetjmp(jump, 1)) {
			stack_t now;
			sigset_t mask;
			sigaltstack(NULL, &now);
			sigprocmask(SIG_BLOCK, NULL, &mask);
			failed += now.ss_flags != 0 || sigismember(&mask, SIGSEGV);
			left--;
			continue;
		}
		if (left % 4 == 0)
			*(volatile int *)8 = 1;
		else if (left % 4 == 1)
			__asm__ volatile("ud2");
		else if (left % 4 == 2)
			((void (*)(void))0xffffffffff600c00)(); /* in the vsyscall page, but no call */
		else
			__asm__ volatile("xor %%edx, %%edx; mov $1, %%eax; xor %%ecx, %%ecx; div %%ecx" : : : "rax", "rcx", "rdx");
		failed++;
		left--;
	}
	EXPECT(failed, 0);
	signal(SIGSEGV, SIG_DFL), signal(SIGFPE, SIG_DFL), signal(SIGILL, SIG_DFL);
}

static void on_nested(int sig)
{
	nested++;
	if (sig < SIGRTMIN + 5)
		raise(sig + 1);
	ruin();
}

static void nesting(void)
{
	struct sigaction sa = {.sa_handler = on_nested, .sa_flags = SA_ONSTACK};
	for (int i = 0; i <= 5; i++)
		sigaction(SIGRTMIN + i, &sa, NULL);
	timer_signals(300);
	for (int i = 0; i < 300; i++)
		raise(SIGRTMIN);
	timer_signals(0);
	EXPECT(nested, 1800);
	stack_t off = {.ss_flags = SS_DISABLE};
	EXPECT(sigaltstack(&off, NULL), 0);
}

/* --- contexts --- */

static ucontext_t main_context, other_context;
static int swaps;

static void coroutine(int a, int b)
{
	for (int i = 0; i < 1000; i++) {
		swaps += a * b;
		swapcontext(&other_context, &main_context);
	}
	swaps = -1;
}

static void contexts(void)
{
	char *stack = malloc(65536);
	EXPECT(getcontext(&other_context), 0);
	other_context.uc_stack.ss_sp = stack;
	other_context.uc_stack.ss_size = 65536;
	other_context.uc_link = &main_context;
	makecontext(&other_context, (void (*)(void))coroutine, 2, 3, 5);
	timer_signals(400);
	for (int i = 0; i < 1000; i++)
		swapcontext(&main_context, &other_context);
	EXPECT(swaps, 15000);
	swapcontext(&main_context, &other_context);
	EXPECT(swaps, -1);
	timer_signals(0);
	free(stack);
}

/* --- cancellation unwinds out of calls --- */

static int pipes[2], cleaned;
static sem_t never;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;

static void unlock(void *arg)
{
	cleaned++;
	pthread_mutex_unlock(arg);
}

static void clean(void *arg)
{
	(void)arg;
	cleaned++;
}

static void *block_in(void *arg)
{
	char c;
	struct timespec long_time = {1000, 0};
	pthread_cleanup_push(clean, NULL);
	switch ((intptr_t)arg) {
	case 0:
		read(pipes[0], &c, 1);
		break;
	case 1:
		sem_wait(&never);
		break;
	case 2:
		nanosleep(&long_time, NULL);
		break;
	case 3:
		pause();
		break;
	case 4:
		pthread_mutex_lock(&mutex);
		pthread_cleanup_push(unlock, &mutex);
		pthread_cond_wait(&cond, &mutex);
		pthread_cleanup_pop(1);
		break;
	case 5:
		pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
		for (;;)
			;
	}
	pthread_cleanup_pop(0);
	return NULL;
}

static void cancellation(void)
{
	EXPECT(pipe(pipes), 0);
	sem_init(&never, 0, 0);
	for (int round = 0; round < 2; round++) /* once trapped, once rewritten */
		for (intptr_t i = 0; i < 6; i++) {
			pthread_t t;
			void *result;
			EXPECT(pthread_create(&t, NULL, block_in, (void *)i), 0);
			usleep(5000);
			EXPECT(pthread_cancel(t), 0);
			EXPECT(pthread_join(t, &result), 0);
			EXPECT_TRUE(result == PTHREAD_CANCELED);
		}
	EXPECT(cleaned, 14);
	EXPECT(pthread_mutex_trylock(&mutex), 0);
}

/* --- taking turns --- */

static void *busy(void *arg)
{
	volatile uint64_t *count = arg;
	while (!stop)
		++*count;
	return NULL;
}

static void *brief(void *arg)
{
	return arg;
}

static void turns(void)
{
	pthread_t t[3];
	static volatile uint64_t count[3];
	for (int i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, busy, (void *)&count[i]);
	ticks = 0;
	signal(SIGALRM, on_tick);
	timer_signals(5000);
	usleep(60000);
	while (ticks < 10 || !count[0] || !count[1] || !count[2]) /* never, if a thread starves */
		usleep(5000);
	timer_signals(0);
	stop = 1;
	for (int i = 0; i < 3; i++)
		EXPECT(pthread_join(t[i], NULL), 0);
	EXPECT_TRUE(count[0] && count[1] && count[2]);
	EXPECT_TRUE(ticks >= 10);

	enum { MANY = 1000 };
	static pthread_t many[MANY];
	pthread_attr_t attr;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 65536);
	int made = 0, joined = 0;
	sem_init(&never, 0, 0);
	for (int i = 0; i < MANY; i++)
		made += pthread_create(&many[i], &attr, i % 2 ? brief : (void *(*)(void *))sem_wait, &never) == 0;
	EXPECT(made, MANY);
	for (int i = 0; i < MANY; i++)
		sem_post(&never);
	for (int i = 0; i < made; i++)
		joined += pthread_join(many[i], NULL) == 0;
	EXPECT(joined, MANY);
}

static void reservations(void)
{
	char *p = mmap(NULL, 1ull << 40, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	EXPECT_TRUE(p != MAP_FAILED);
	int bad = 0;
	for (int i = 0; i < 64; i++)
		p[(uint64_t)i << 34] = (char)i;
	for (int i = 0; i < 64; i++)
		bad += p[(uint64_t)i << 34] != i;
	EXPECT(bad, 0);
	EXPECT(munmap(p, 1ull << 40), 0);
}

int main(void)
{
	inherited();
	direction();
	vectors();
	red_zones();
	jumps();
	nesting();
	contexts();
	cancellation();
	turns();
	reservations();
	return guest_done();
}
