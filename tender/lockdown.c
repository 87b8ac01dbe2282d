/* Lock-down: the steps by which the tender gives up everything that the cell kernel does not need, in order.
 *
 * The walls, outermost last: no file system to name (empty root, Landlock), no privileges, no resources to take, and
 * the seccomp filter: calls only from the kernel's stub, only those of RULES, only with these arguments.
 */
#include "tender/tender.h"

#include "base/string.h"

#include <asm/socket.h>
#include <asm/unistd.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/falloc.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/mman.h>
#include <linux/prctl.h>
#include <linux/resource.h>
#include <linux/sched.h>
#include <linux/seccomp.h>

#define NOBODY 65534
#define EINVAL_ 22
#define SIGKILL_ 9

/* --- the filter, as data --- */

enum check_kind {
	CHECK_NONE,
	CHECK_INT,    /* the 32-bit argument equals value */
	CHECK_WORD,   /* the 64-bit argument equals value (below 2^32) */
	CHECK_MASK,   /* no bit of the 64-bit argument outside value */
	CHECK_UP_TO,  /* the 64-bit argument is at most value */
	CHECK_NET,    /* the 32-bit argument is an interface's descriptor */
	CHECK_USER,   /* [arg, arg + next arg) ends below USER_HIGH + 8 GiB (nothing lies in the 16 GiB above it) */
};

struct check {
	uint8_t kind, arg;
	uint32_t value;
};

#define MAX_CHECKS 4
struct rule {
	uint32_t nr;
	struct check check[MAX_CHECKS];
};

#define FD(n, fd) { CHECK_INT, n, fd }
#define RW (PROT_READ | PROT_WRITE)
#define RX (PROT_READ | PROT_EXEC)
#define MEMORY_FLAGS(populate) (MAP_SHARED | MAP_FIXED | (populate))

/* A call passes if all checks of one of its rows hold. vauban/hostcall.h names the same calls; a test compares. */
static const struct rule rules[] = {
	{ __NR_ppoll, { { CHECK_UP_TO, 1, 4 + VB_NETS_MAX }, { CHECK_WORD, 3, 0 } } },
	{ __NR_read, { { CHECK_NET, 0, 0 } } },
	{ __NR_writev, { { CHECK_NET, 0, 0 } } },
	{ __NR_write, { FD(0, VB_FD_STDOUT) } },
	{ __NR_write, { FD(0, VB_FD_STDERR) } },
	{ __NR_write, { FD(0, VB_FD_MONITOR) } },
	{ __NR_read, { FD(0, VB_FD_STDIN) } },
	{ __NR_read, { FD(0, VB_FD_MONITOR) } },
	{ __NR_mmap, { { CHECK_USER, 0, 0 }, { CHECK_MASK, 2, RW }, { CHECK_WORD, 3, MEMORY_FLAGS(0) }, FD(4, VB_FD_MEMORY) } },
	{ __NR_mmap, { { CHECK_USER, 0, 0 }, { CHECK_MASK, 2, RW }, { CHECK_WORD, 3, MEMORY_FLAGS(MAP_POPULATE) }, FD(4, VB_FD_MEMORY) } },
	{ __NR_mmap, { { CHECK_USER, 0, 0 }, { CHECK_MASK, 2, RX }, { CHECK_WORD, 3, MEMORY_FLAGS(0) }, FD(4, VB_FD_MEMORY) } },
	{ __NR_mmap, { { CHECK_USER, 0, 0 }, { CHECK_MASK, 2, RX }, { CHECK_WORD, 3, MEMORY_FLAGS(MAP_POPULATE) }, FD(4, VB_FD_MEMORY) } },
	{ __NR_mmap, { { CHECK_USER, 0, 0 }, { CHECK_MASK, 2, RX }, { CHECK_WORD, 3, MAP_SHARED | MAP_FIXED }, FD(4, VB_FD_IMAGE) } },
	{ __NR_mmap, { { CHECK_USER, 0, 0 }, { CHECK_WORD, 2, PROT_NONE },
		{ CHECK_WORD, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED } } },
	{ __NR_mprotect, { { CHECK_USER, 0, 0 }, { CHECK_MASK, 2, RW } } },
	{ __NR_mprotect, { { CHECK_USER, 0, 0 }, { CHECK_MASK, 2, RX } } },
	{ __NR_rt_sigreturn, { { CHECK_NONE, 0, 0 } } },
	{ __NR_setitimer, { { CHECK_INT, 0, 0 /* ITIMER_REAL */ } } },
	{ __NR_fallocate, { FD(0, VB_FD_MEMORY), { CHECK_INT, 1, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE } } },
	{ __NR_clock_gettime, { { CHECK_UP_TO, 0, 7 } } },
	{ __NR_exit_group, { { CHECK_NONE, 0, 0 } } },
};

/* With jit = true the program may have pages that are writable and executable. */
static const struct rule jit_rules[] = {
	{ __NR_mmap, { { CHECK_USER, 0, 0 }, { CHECK_MASK, 2, RW | PROT_EXEC }, { CHECK_WORD, 3, MEMORY_FLAGS(0) }, FD(4, VB_FD_MEMORY) } },
	{ __NR_mmap, { { CHECK_USER, 0, 0 }, { CHECK_MASK, 2, RW | PROT_EXEC }, { CHECK_WORD, 3, MEMORY_FLAGS(MAP_POPULATE) }, FD(4, VB_FD_MEMORY) } },
	{ __NR_mprotect, { { CHECK_USER, 0, 0 }, { CHECK_MASK, 2, RW | PROT_EXEC } } },
};

/* --- the filter, assembled --- */

#define PROGRAM_MAX 320
struct program {
	struct sock_filter code[PROGRAM_MAX];
	unsigned len;
};

static unsigned emit(struct program *p, uint16_t code, uint32_t k)
{
	if (p->len == PROGRAM_MAX)
		tender_fail("the seccomp filter is too long", 0);
	p->code[p->len] = (struct sock_filter){ .code = code, .k = k };
	return p->len++;
}

static void emit_load(struct program *p, unsigned offset)
{
	emit(p, BPF_LD | BPF_W | BPF_ABS, offset);
}

/* Goes on if (accumulator op k) == want, else to the row's end, which patch_row() fills in. */
static void emit_require(struct program *p, uint16_t op, uint32_t k, bool want)
{
	unsigned at = emit(p, BPF_JMP | op | BPF_K, k);
	p->code[at].jt = want ? 0 : 255;
	p->code[at].jf = want ? 255 : 0;
}

static void patch_row(struct program *p, unsigned from)
{
	for (unsigned i = from; i < p->len; i++) {
		if (BPF_CLASS(p->code[i].code) != BPF_JMP)
			continue;
		if (p->code[i].jt == 255)
			p->code[i].jt = (uint8_t)(p->len - i - 1);
		if (p->code[i].jf == 255)
			p->code[i].jf = (uint8_t)(p->len - i - 1);
	}
}

#define ARG_LOW(n) (offsetof(struct seccomp_data, args) + 8 * (n))
#define ARG_HIGH(n) (ARG_LOW(n) + 4)

static void emit_check(struct program *p, const struct check *c)
{
	switch (c->kind) {
	case CHECK_INT:
		emit_load(p, ARG_LOW(c->arg));
		emit_require(p, BPF_JEQ, c->value, true);
		break;
	case CHECK_WORD:
	case CHECK_UP_TO:
		emit_load(p, ARG_HIGH(c->arg));
		emit_require(p, BPF_JEQ, 0, true);
		emit_load(p, ARG_LOW(c->arg));
		emit_require(p, c->kind == CHECK_WORD ? BPF_JEQ : BPF_JGT, c->value, c->kind == CHECK_WORD);
		break;
	case CHECK_MASK:
		emit_load(p, ARG_HIGH(c->arg));
		emit_require(p, BPF_JEQ, 0, true);
		emit_load(p, ARG_LOW(c->arg));
		emit_require(p, BPF_JSET, ~c->value, false);
		break;
	case CHECK_NET:
		emit_load(p, ARG_LOW(c->arg));
		emit_require(p, BPF_JGE, VB_FD_NET, true);
		emit_require(p, BPF_JGE, VB_FD_NET + VB_NETS_MAX, false);
		break;
	case CHECK_USER: /* upper halves, each checked first so that their sum can't wrap */
		emit_load(p, ARG_HIGH(c->arg + 1));
		emit_require(p, BPF_JGE, USER_HIGH >> 32, false);
		emit(p, BPF_MISC | BPF_TAX, 0);
		emit_load(p, ARG_HIGH(c->arg));
		emit_require(p, BPF_JGE, USER_HIGH >> 32, false);
		emit(p, BPF_ALU | BPF_ADD | BPF_X, 0);
		emit_require(p, BPF_JGT, USER_HIGH >> 32, false);
		break;
	default:
		break;
	}
}

static void emit_rules(struct program *p, const struct rule *rule, size_t count)
{
	for (size_t i = 0; i < count; i++, rule++) {
		unsigned from = p->len;
		emit_load(p, offsetof(struct seccomp_data, nr));
		emit_require(p, BPF_JEQ, rule->nr, true);
		for (unsigned c = 0; c < MAX_CHECKS; c++)
			emit_check(p, &rule->check[c]);
		emit(p, BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
		patch_row(p, from);
	}
}

/* Calls from anywhere but the stub are the program's own: SIGSYS, for the kernel to serve. What comes from the stub and
 * is not allowed can only be an attack: the process is killed. */
static void install_filter(const struct lockdown *l)
{
	struct program p = { .len = 0 };
	const uint64_t stub_ips[] = { l->kernel->wait_ip, l->kernel->call_ip, l->kernel->sigreturn_ip };

	emit_load(&p, offsetof(struct seccomp_data, instruction_pointer) + 4);
	emit_require(&p, BPF_JEQ, (uint32_t)(stub_ips[0] >> 32), true);
	emit_load(&p, offsetof(struct seccomp_data, instruction_pointer));
	for (unsigned i = 0; i < VB_ARRAY_LEN(stub_ips); i++) {
		unsigned at = emit(&p, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)stub_ips[i]);
		p.code[at].jt = (uint8_t)(VB_ARRAY_LEN(stub_ips) - i); /* over the trap */
	}
	patch_row(&p, 0);
	emit(&p, BPF_RET | BPF_K, SECCOMP_RET_TRAP);

	emit_load(&p, offsetof(struct seccomp_data, arch));
	unsigned arch = emit(&p, BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64);
	p.code[arch].jt = 1; /* over the end of the rest */
	emit(&p, BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	emit_rules(&p, rules, VB_ARRAY_LEN(rules));
	if (l->jit)
		emit_rules(&p, jit_rules, VB_ARRAY_LEN(jit_rules));
	emit(&p, BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);

	struct sock_fprog prog = { .len = (unsigned short)p.len, .filter = p.code };
	long r = HOST3(__NR_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog);
	if (r < 0)
		tender_fail("install the seccomp filter (does the host kernel have CONFIG_SECCOMP_FILTER?)", r);
}

/* --- the other steps --- */

static void set_limit(int resource, uint64_t value)
{
	struct rlimit64 limit = { value, value };
	HOST4(__NR_prlimit64, 0, resource, &limit, 0);
}

/* Handling an access right without a rule that grants it denies it everywhere. Rights by version of the interface. */
static bool landlock_all(void)
{
	static const uint8_t file_rights[] = { 0, 13, 14, 15, 15, 16 };
	long abi = HOST3(__NR_landlock_create_ruleset, 0, 0, LANDLOCK_CREATE_RULESET_VERSION);
	if (abi < 1)
		return false;
	struct {
		uint64_t files, network, scopes;
	} handled = {
		.files = (1ull << file_rights[vb_min(abi, 5l)]) - 1,
		.network = 3, /* TCP bind and connect, since 4 */
		.scopes = 3,  /* abstract Unix sockets and signals to other processes, since 6 */
	};
	size_t size = abi >= 6 ? 24 : abi >= 4 ? 16 : 8;
	long fd = HOST3(__NR_landlock_create_ruleset, &handled, size, 0);
	if (fd < 0)
		return false;
	long r = HOST2(__NR_landlock_restrict_self, fd, 0);
	HOST1(__NR_close, fd);
	return r == 0;
}

static void drop_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { { 0 } };
	long r = HOST2(__NR_capset, &header, none);
	if (r < 0)
		tender_fail("drop capabilities", r);
}

/* The kernel's handlers for the signals by which the host hands it the program's calls, faults and interrupts. */
static void install_handlers(const struct lockdown *l)
{
	static const uint8_t taken[] = { 4 /* ILL */, 5 /* TRAP */, 7 /* BUS */, 8 /* FPE */, 11 /* SEGV */, 14 /* ALRM */, 29 /* IO */, 31 /* SYS */ };
	struct {
		uint64_t handler, flags, restorer, mask;
	} action = { l->kernel->signal, 4 | 0x08000000 | 0x40000000 | 0x04000000 /* SIGINFO ONSTACK NODEFER RESTORER */,
		l->kernel->sigreturn, 1ull << 13 | 1ull << 28 /* ALRM, IO: a burst of them does not pile up on the stack */ };
	struct {
		uint64_t sp;
		int32_t flags;
		uint64_t size;
	} stack = { l->kernel->altstack, 0, l->kernel->altstack_bytes };
	long r = HOST2(__NR_sigaltstack, &stack, 0);
	for (unsigned i = 0; i < VB_ARRAY_LEN(taken) && r == 0; i++)
		r = HOST4(__NR_rt_sigaction, taken[i], &action, 0, 8);
	/* All others stay blocked, but for those that can't be: the terminal's signals are the monitor's business. */
	uint64_t blocked = ~0ull;
	for (unsigned i = 0; i < VB_ARRAY_LEN(taken); i++)
		blocked &= ~(1ull << (taken[i] - 1));
	if (r == 0)
		r = HOST4(__NR_rt_sigprocmask, 2 /* SIG_SETMASK */, &blocked, 0, 8);
	if (r < 0)
		tender_fail("install signal handlers", r);
}

void lockdown_enter(const struct lockdown *l)
{
	bool root = HOST1(__NR_geteuid, 0) == 0, user_namespace = false, empty_root = false, nobody = false;

	/* 1. A root directory with nothing in it. Root may simply change it; others need a user namespace to. */
	if (!root && l->user_namespace)
		user_namespace = HOST1(__NR_unshare, CLONE_NEWUSER) == 0;
	if (l->empty_root && (root || user_namespace))
		empty_root = HOST1(__NR_chroot, l->empty_root) == 0 && HOST1(__NR_chdir, "/") == 0;

	/* 2. Nobody, without a capability, never to gain one. */
	if (root) {
		HOST2(__NR_setgroups, 0, 0);
		long r = HOST3(__NR_setresgid, NOBODY, NOBODY, NOBODY);
		if (r == 0)
			r = HOST3(__NR_setresuid, NOBODY, NOBODY, NOBODY);
		/* The root of a user namespace that maps no nobody is an ordinary user outside: it stays what it is. */
		if (r < 0 && r != -EINVAL_)
			tender_fail("become nobody", r);
		nobody = r == 0;
	}
	drop_capabilities();
	long r = HOST5(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (r < 0)
		tender_fail("set no_new_privs", r);
	HOST5(__NR_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0);

	/* 3. Dies with its monitor: the process that made the socket. The check closes the window in which it died before. */
	struct {
		int32_t pid;
		uint32_t uid, gid;
	} monitor = { 0 };
	uint32_t size = sizeof(monitor);
	HOST5(__NR_prctl, PR_SET_PDEATHSIG, SIGKILL_, 0, 0, 0);
	r = HOST5(__NR_getsockopt, VB_FD_MONITOR, SOL_SOCKET, SO_PEERCRED, &monitor, &size);
	if (r < 0 || HOST1(__NR_getppid, 0) != monitor.pid)
		tender_fail("the monitor is gone", r);

	/* 4. No file to open by any path, even if the root is still there; no TCP, no signals to others. */
	bool landlock = landlock_all();

	/* 5. Nothing to take from the host: no descriptors, processes, core files or memory. */
	set_limit(RLIMIT_NOFILE, VB_FD_NET + VB_NETS_MAX);
	set_limit(RLIMIT_NPROC, 0);
	set_limit(RLIMIT_CORE, 0);
	set_limit(RLIMIT_MEMLOCK, 0);
	set_limit(RLIMIT_DATA, 0);         /* no private memory to write to: all that a cell has is in its memory file */
	set_limit(RLIMIT_STACK, 64 << 10); /* nor by growing this stack, which nobody uses any more */

	/* 6. The filter, last: it forbids everything above. */
	install_handlers(l);
	tender_note("lockdown: user_namespace=%d empty_root=%d landlock=%d nobody=%d no_new_privs=1 capabilities=0 seccomp=1", user_namespace,
		empty_root, landlock, nobody);
	install_filter(l);
}
