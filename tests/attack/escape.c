/* Native code in a cell that tries to get out, one attack a run: `escape NAME [N]`. The program shares its address space with
 * the cell's kernel, so it finds the kernel (by a trampoline, or by probing) and calls the host from the kernel's own `syscall`
 * instructions: number N of those that it finds. Only the host's walls stop it then. "ESCAPED" is printed for what got through;
 * tests/system/attack.t runs them all.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static sigjmp_buf on_fault;
static volatile sig_atomic_t fault_expected;

static void fault(int sig)
{
	if (fault_expected)
		siglongjmp(on_fault, sig);
	_exit(100 + sig);
}

static void catch_faults(void)
{
	const int sigs[] = {SIGSEGV, SIGBUS, SIGILL, SIGSYS, SIGTRAP};
	for (unsigned i = 0; i < sizeof(sigs) / sizeof(*sigs); i++)
		sigaction(sigs[i], &(struct sigaction){.sa_handler = fault, .sa_flags = SA_NODEFER}, NULL);
}

static int readable(const volatile uint8_t *p)
{
	fault_expected = 1;
	int r = sigsetjmp(on_fault, 1) == 0 ? (*p, 1) : 0;
	fault_expected = 0;
	return r;
}

/* --- finding the kernel --- */

static uint64_t kernel_text; /* an address in it */

static void find_kernel(void)
{
	char line[512];
	for (int i = 0; i < 10; i++) /* calls from libc, so that its sites get rewritten */
		getppid(), getpid();
	FILE *f = fopen("/proc/self/maps", "r");
	while (f && fgets(line, sizeof(line), f))
		if (strstr(line, "trampoline"))
			kernel_text = *(uint64_t *)strtoull(line, NULL, 16);
	if (f)
		fclose(f);
	/* Without one: the host puts mappings of 2 MiB alignment above the user area. */
	for (uint64_t p = 0x700400000000; !kernel_text && p < 0x770000000000; p += 2 << 20)
		if (readable((uint8_t *)p))
			kernel_text = p;
	if (!kernel_text) {
		puts("no kernel found");
		exit(0);
	}
}

/* The N-th `syscall; ret` or `syscall` in the kernel's text, 0: no more. */
static uint64_t find_syscall(int n)
{
	uint64_t low = kernel_text & ~4095ull, high = low;
	while (low > (kernel_text & ~4095ull) - (1 << 20) && readable((uint8_t *)low - 1))
		low -= 4096;
	while (readable((uint8_t *)high))
		high += 4096;
	for (uint64_t p = low; p + 2 < high; p++)
		if (((uint8_t *)p)[0] == 0x0f && ((uint8_t *)p)[1] == 0x05 && n-- == 0)
			return p;
	return 0;
}

static uint64_t gate;

/* The host's answer. The instructions after the gate's are `ret`, or the attack ends here. */
static long host(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
	long r;
	__asm__ volatile("sub $128, %%rsp\n\tcall *%[gate]\n\tadd $128, %%rsp"
			 : "=a"(r)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9), [gate] "m"(gate)
			 : "rcx", "r11", "memory");
	return r;
}

/* Fails as it should if the host ends the cell in the middle of it. */
static void attack(const char *what, long r)
{
	if (r >= 0)
		printf("ESCAPED: %s gave %ld\n", what, r);
	else
		printf("returned: %s gave %ld\n", what, r);
	fflush(stdout);
}

#define MEMORY_FD 4
#define USER      ((long)0x600000000000)

static int host_attack(const char *name)
{
	static char buffer[65536];
	static const char path[] = "/etc/passwd", shell[] = "/bin/sh";
	static const char *const argv[] = {shell, NULL};
	int64_t timer[4] = {1, 0, 1, 0};
	const struct {
		const char *name;
		long call[7];
	} attacks[] = {
		{"open", {SYS_open, (long)path, O_RDONLY}},
		{"openat", {SYS_openat, AT_FDCWD, (long)path, O_RDONLY}},
		{"openat2", {SYS_openat2, AT_FDCWD, (long)path, (long)buffer, 24}},
		{"creat", {SYS_creat, (long)"/tmp/vauban-escaped", 0666}},
		{"socket", {SYS_socket, AF_INET, SOCK_STREAM}},
		{"execve", {SYS_execve, (long)shell, (long)argv, 0}},
		{"execveat", {SYS_execveat, AT_FDCWD, (long)shell, (long)argv, 0}},
		{"fork", {SYS_fork}},
		{"clone", {SYS_clone, SIGCHLD}},
		{"ptrace", {SYS_ptrace, 16, getppid()}},
		{"process_vm_writev", {SYS_process_vm_writev, 1, (long)buffer, 1, (long)buffer, 1}},
		{"kill", {SYS_kill, -1, SIGKILL}},
		{"tgkill", {SYS_tgkill, 1, 1, SIGKILL}},
		{"pidfd_open", {SYS_pidfd_open, 1}},
		{"mmap-kernel", {SYS_mmap, (long)(kernel_text & ~4095ull), 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
					MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1}},
		{"mmap-memory-over-kernel",
			{SYS_mmap, (long)(kernel_text & ~4095ull), 4096, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED, MEMORY_FD}},
		{"mmap-wx", {SYS_mmap, USER, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_SHARED | MAP_FIXED, MEMORY_FD}},
		{"mmap-anonymous", {SYS_mmap, USER, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1}},
		{"mmap-monitor-socket", {SYS_mmap, USER, 4096, PROT_READ, MAP_SHARED | MAP_FIXED, 3}},
		{"mmap-anywhere", {SYS_mmap, 0, 4096, PROT_READ, MAP_SHARED, MEMORY_FD}},
		{"mmap-high-flags", {SYS_mmap, USER, 4096, PROT_READ, 1l << 32 | MAP_SHARED | MAP_FIXED, MEMORY_FD}},
		{"mprotect-high-bits", {SYS_mprotect, (long)((uint64_t)buffer & ~4095ull), 4096, 1l << 32 | PROT_READ}},
		{"mmap-wrap", {SYS_mmap, USER, -4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1}},
		{"mprotect-kernel", {SYS_mprotect, (long)(kernel_text & ~4095ull), 4096, PROT_READ | PROT_WRITE}},
		{"mprotect-wx", {SYS_mprotect, (long)((uint64_t)buffer & ~4095ull), 4096, PROT_READ | PROT_WRITE | PROT_EXEC}},
		{"munmap", {SYS_munmap, (long)(kernel_text & ~4095ull), 4096}},
		{"mremap", {SYS_mremap, (long)buffer, 4096, 8192, 1}},
		{"remap_file_pages", {SYS_remap_file_pages, USER, 4096, 0, 0, 0}},
		{"write-image", {SYS_write, 5, (long)buffer, 16}},
		{"write-memory", {SYS_write, MEMORY_FD, (long)buffer, 16}},
		{"read-image", {SYS_read, 5, (long)buffer, 16}},
		{"ftruncate", {SYS_ftruncate, MEMORY_FD, 1l << 40}},
		{"fallocate-grow", {SYS_fallocate, MEMORY_FD, 0, 0, 1l << 40}},
		{"fallocate-image", {SYS_fallocate, 5, 3, 0, 4096}},
		{"ioctl", {SYS_ioctl, 0, 0x5412 /* TIOCSTI */, (long)"x"}},
		{"fcntl", {SYS_fcntl, 3, F_SETOWN, 1}},
		{"dup", {SYS_dup, 3}},
		{"sendmsg", {SYS_sendmsg, 3, (long)buffer, 0}},
		{"prctl", {SYS_prctl, 38, 0}},
		{"seccomp", {SYS_seccomp, 1, 0, (long)buffer}},
		{"setitimer-prof", {SYS_setitimer, 2, (long)timer, 0}},
		{"ppoll-many", {SYS_ppoll, (long)buffer, 4096, 0, 0, 8}},
		{"ppoll-mask", {SYS_ppoll, (long)buffer, 1, 0, (long)buffer, 8}},
		{"rt_sigaction", {SYS_rt_sigaction, SIGKILL, 0, 0, 8}},
		{"rt_sigprocmask", {SYS_rt_sigprocmask, 0, (long)buffer, 0, 8}},
		{"clock-cpu", {SYS_clock_gettime, -1, (long)buffer}},
		{"unshare", {SYS_unshare, 0x10000000}},
		{"mount", {SYS_mount, (long)"x", (long)"/", (long)"tmpfs", 0, 0}},
		{"bpf", {SYS_bpf, 0, (long)buffer, 64}},
		{"io_uring", {SYS_io_uring_setup, 8, (long)buffer}},
		{"perf_event", {SYS_perf_event_open, (long)buffer, 0, -1, -1, 0}},
		{"memfd", {SYS_memfd_create, (long)"x", 0}},
		{"userfaultfd", {SYS_userfaultfd, 0}},
		{"x32", {0x40000000 | SYS_getpid}},
		{"negative", {-1}},
		{"large", {5000}},
	};
	for (unsigned i = 0; i < sizeof(attacks) / sizeof(*attacks); i++) {
		if (!strcmp(name, "list")) {
			puts(attacks[i].name);
		} else if (!strcmp(name, attacks[i].name)) {
			const long *c = attacks[i].call;
			attack(name, host(c[0], c[1], c[2], c[3], c[4], c[5], c[6]));
			return 1;
		}
	}
	return !strcmp(name, "list");
}

/* --- the monitor --- */

/* Packets that no kernel sends: every type with lengths that don't fit, hostile 9P and standard descriptor requests. */
static void forge(unsigned seed)
{
	static union {
		struct {
			uint32_t type, tag;
		} h;
		uint8_t bytes[70000];
	} m;
	const size_t lengths[] = {0, 1, 7, 8, 9, 12, 16, 20, 40, 47, 48, 49, 100, 4096, 65536, 65800, 70000};
	srandom(seed);
	for (int round = 0; round < 400; round++) {
		for (size_t i = 0; i < 512; i++)
			m.bytes[i] = random() % 4 ? (uint8_t)random() : 0xff * (random() & 1);
		m.h.type = seed < 80 ? seed : (uint32_t)random();
		m.h.tag = (uint32_t)(random() % 3 ? random() % 20 : random() % 2 ? 255 : random());
		size_t len = lengths[(unsigned)random() % (sizeof(lengths) / sizeof(*lengths))];
		if (m.h.type == 3 && len > 16) { /* a 9P message with a right size: type, tag, then anything */
			uint32_t size = (uint32_t)len - 8;
			memcpy(m.bytes + 8, &size, 4);
			m.bytes[12] = (uint8_t)(6 + random() % 130);
		}
		if (host(SYS_write, 3, (long)&m, (long)len, 0, 0, 0) == -EAGAIN)
			host(SYS_ppoll, (long)&(struct {
				int fd;
				short events, revents;
			}){3, 4, 0},
				1, 0, 0, 8, 0);
	}
	puts("forged");
}

static void exit_and_more(void)
{
	uint32_t m[5] = {2, 0, 0, 0, 0};
	for (int i = 0; i < 1000; i++) {
		host(SYS_write, 3, (long)m, sizeof(m), 0, 0, 0);
		m[2] = (uint32_t)i;
	}
}

static void flood_log(void)
{
	static struct {
		uint32_t type, tag;
		char text[60000];
	} m = {1, 0, ""};
	memset(m.text, 'A', sizeof(m.text));
	for (int i = 0; i < 3000; i++)
		host(SYS_write, 3, (long)&m, 8 + (long)(i % 2 ? 100 : sizeof(m.text)), 0, 0, 0);
}

/* Asks gdb, through the monitor, to make a file of the host, in one packet or several. */
static void ask_debugger(void)
{
	static const char *const pieces[] = {"\6\0\0\0\0\0\0\0$x$", "\6\0\0\0\0\0\0\0Fop", "\6\0\0\0\0\0\0\0en,1000/13,201,1b6#00"};
	puts("ready");
	for (int i = 0; i < 3; i++)
		host(SYS_write, 3, (long)pieces[i], 8 + (long)strlen(pieces[i] + 8), 0, 0, 0);
	sleep(2);
	puts("ESCAPED: gdb was asked");
}

/* Says that the program stopped, and is gone when the monitor reads it: there is nobody left to stop. */
static void stop_and_go(void)
{
	const uint32_t m[2] = {7, 19};
	puts("ready");
	sleep(1);
	host(SYS_write, 3, (long)m, sizeof(m), 0, 0, 0);
	host(SYS_exit_group, 0, 0, 0, 0, 0, 0);
}

/* --- memory of the host that is not the cell's --- */

static void anonymous_memory(void)
{
	long size = 256l << 20;
	if (host(SYS_mmap, USER, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) != USER)
		return;
	attack("writable anonymous memory", host(SYS_mprotect, USER, size, PROT_READ | PROT_WRITE, 0, 0, 0));
}

/* The same memory again and again, for the page tables that it takes: without a bound, 128 times the cell's limit. */
static void many_mappings(void)
{
	long size = 64l << 20, at = USER;
	for (int n = 0; n < 4000 && host(SYS_mmap, at, size, PROT_READ, MAP_SHARED | MAP_FIXED, MEMORY_FD, 0) == at; n++, at += 2 * size)
		for (long i = 0; i < size; i += 2 << 20)
			(void)*(volatile char *)(at + i);
	puts("ESCAPED: 500 MiB of page tables");
}

/* --- without the gate: what any program can try --- */

static void expect_signal(const char *what, void (*fn)(void))
{
	fault_expected = 1;
	int sig = sigsetjmp(on_fault, 1);
	if (sig == 0)
		fn();
	fault_expected = 0;
	printf("%s: %s\n", what, sig ? "signal" : "nothing");
}

static void int80(void)
{
	long r = 20 /* getpid of i386 */;
	__asm__ volatile("int $0x80" : "+a"(r) : : "memory", "r8", "r9", "r10", "r11");
	if (r > 0)
		printf("ESCAPED: int 0x80 gave %ld\n", r);
}

static void sysenter(void)
{
	__asm__ volatile("push %%rbp\n\tmov $20, %%eax\n\tmov %%rsp, %%rbp\n\tsysenter\n\tpop %%rbp" : : : "rax", "rcx", "rdx", "memory");
}

static void vsyscall(void)
{
	long r = ((long (*)(long *))0xffffffffff600400)(NULL); /* time */
	printf("vsyscall time %s\n", r > 1000000000 || r < 0 ? "answers" : "is odd");
}

static void jump_into_kernel(void)
{
	((void (*)(void))(kernel_text + 64))();
}
static void write_kernel_text(void)
{
	*(volatile uint8_t *)kernel_text = 0xcc;
	puts("ESCAPED: kernel text is writable");
}
static void read_high(void)
{
	(void)*(volatile uint8_t *)0xffff888000000000;
	puts("ESCAPED: host kernel memory is readable");
}

static void code_from(uint8_t *p)
{
	static const uint8_t getpid_code[] = {0xb8, 39, 0, 0, 0, 0x0f, 0x05, 0xc3};
	memcpy(p, getpid_code, sizeof(getpid_code));
	if (mprotect(p, 4096, PROT_READ | PROT_EXEC) == 0) {
		long r = ((long (*)(void))p)();
		printf("made code: %s\n", r == getpid() ? "served by the cell" : "ESCAPED: another process id");
	} else {
		printf("made code: refused\n");
	}
}

static void no_gate(void)
{
	expect_signal("int 0x80", int80);
	expect_signal("vsyscall", vsyscall);
	expect_signal("write to kernel text", write_kernel_text);
	expect_signal("read of host kernel memory", read_high);
}

static void odd_numbers(void)
{
	const long numbers[] = {-1, 512, 513, 1000, 0x40000000 | SYS_getpid, 0x7fffffff, (long)0x8000000000000000, 335, 400, 423};
	for (unsigned i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		long r;
		__asm__ volatile("syscall" : "=a"(r) : "a"(numbers[i]), "D"(0), "S"(0), "d"(0) : "rcx", "r11", "memory");
		if (r >= 0)
			printf("ESCAPED: call %ld gave %ld\n", numbers[i], r);
	}
	uint8_t *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	code_from(p);
	const uint64_t targets[] = {kernel_text & ~4095ull, 0x700400000000, 0x7ffffffff000, 0xffff800000000000};
	for (unsigned i = 0; i < 4; i++) {
		if (mmap((void *)targets[i], 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED)
			printf("ESCAPED: mapped over %#lx\n", targets[i]);
		if (munmap((void *)targets[i], 4096) == 0 && targets[i] == (kernel_text & ~4095ull))
			printf("ESCAPED: unmapped %#lx\n", targets[i]);
		if (mprotect((void *)targets[i], 4096, PROT_READ | PROT_WRITE | PROT_EXEC) == 0)
			printf("ESCAPED: changed %#lx\n", targets[i]);
		if (read(open("/dev/zero", O_RDONLY), (void *)targets[i], 4096) > 0)
			printf("ESCAPED: the kernel wrote to %#lx for us\n", targets[i]);
	}
}

static void *sleeper(void *arg)
{
	pause();
	return arg;
}

/* Takes all there is of everything; the cell must say no, and still work. */
static void exhaust(void)
{
	int fd, n = 0, e;
	sigset_t all;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	setrlimit(RLIMIT_NOFILE, &(struct rlimit){20000, 20000});
	while ((fd = dup(1)) >= 0 && n < 200000)
		n++;
	printf("descriptors end: %d\n", fd < 0);
	for (fd = 3; fd < n + 10; fd++)
		close(fd);
	for (n = 0; n < 5000 && pipe((int[2]){0, 0}) == 0; n++)
		;
	for (fd = 3; fd < 2 * n + 10; fd++)
		close(fd);
	int outer = epoll_create1(0);
	for (n = 0; n < 1000; n++) { /* nested in each other */
		e = epoll_create1(0);
		if (epoll_ctl(e, EPOLL_CTL_ADD, outer, &(struct epoll_event){.events = EPOLLIN}))
			break;
		outer = e;
	}
	printf("epoll nesting ends: %d\n", n < 1000);
	pthread_t t;
	pthread_attr_t attr;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 16384);
	for (n = 0; n < 100000 && pthread_create(&t, &attr, sleeper, NULL) == 0; n++)
		;
	printf("threads end: %d\n", n < 100000);
	timer_t timer;
	for (n = 0; n < 100000 && timer_create(CLOCK_MONOTONIC, &(struct sigevent){.sigev_notify = SIGEV_NONE}, &timer) == 0; n++)
		;
	printf("timers end: %d\n", n < 100000);
	for (n = 0; n < 200000 && sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = n}) == 0; n++)
		;
	printf("queued signals end: %d\n", n < 200000);
	puts("still here");
}

static void exhaust_memory(void)
{
	for (;;) {
		char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (p == MAP_FAILED)
			break;
		memset(p, 1, 1 << 20);
	}
	puts("memory ends");
}

/* The kernel's data is in reach: break all of it. Only the host counts then. */
static void smash_kernel(void)
{
	static uint64_t p;
	for (p = kernel_text & ~4095ull; p < (kernel_text & ~4095ull) + (64 << 20); p += 8) {
		fault_expected = 1;
		if (sigsetjmp(on_fault, 1) == 0)
			*(volatile uint64_t *)p = 0x4141414141414141;
		else
			p = (p | 4095) - 7;
	}
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "list";
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!strcmp(name, "list"))
		return !host_attack("list");
	catch_faults();
	if (!strcmp(name, "exhaust"))
		return exhaust(), 0;
	if (!strcmp(name, "memory"))
		return exhaust_memory(), 0;
	find_kernel();
	if (!strcmp(name, "no-gate"))
		return no_gate(), odd_numbers(), puts("still here"), 0;
	if (!strcmp(name, "sysenter"))
		return sysenter(), 0;
	if (!strcmp(name, "jump"))
		return expect_signal("jump into the kernel", jump_into_kernel), 0;
	if (!strcmp(name, "smash"))
		return smash_kernel(), 0;
	gate = find_syscall(argc > 2 ? atoi(argv[2]) : 0);
	printf("gate: %s\n", gate ? "found" : "none");
	if (!gate)
		return 3;
	if (!strcmp(name, "gate")) /* the control: an allowed call works */
		attack("clock_gettime", host(SYS_clock_gettime, 1, (long)&(struct timespec){0}, 0, 0, 0, 0));
	else if (!strcmp(name, "forge"))
		forge(argc > 3 ? (unsigned)atoi(argv[3]) : 0);
	else if (!strcmp(name, "exit"))
		exit_and_more();
	else if (!strcmp(name, "flood"))
		flood_log();
	else if (!strcmp(name, "debugger"))
		ask_debugger();
	else if (!strcmp(name, "stop"))
		stop_and_go();
	else if (!strcmp(name, "tables"))
		many_mappings();
	else if (!strcmp(name, "anonymous"))
		anonymous_memory();
	else if (!host_attack(name))
		return 2;
	return 0;
}
