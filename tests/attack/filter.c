/* Reads the seccomp filter of a running cell's tender back from the host kernel and finds every call that it can ever
 * allow: both ways of each branch that depends on arguments are followed. At most 12, and just those of vauban/hostcall.h.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vauban/hostcall.h>

#define ARCH_X86_64 0xc000003eu
#define ARCH_I386   0x40000003u
#define CODE_MAX    4096
#define STATES_MAX  65536

static struct sock_filter code[CODE_MAX];
static int length, count, failed;

static void check(int ok, const char *what)
{
	printf("%sok %d - %s\n", ok ? "" : "not ", ++count, what);
	failed |= !ok;
}

/* What is known while the filter runs: numbers, or "anything". */
struct value {
	int known;
	uint32_t v;
};
struct state {
	int pc;
	struct value a, x;
};
struct input {
	uint32_t nr, arch;
	int ip_known;
	uint64_t ip;
};

static struct state seen[STATES_MAX];
static int seen_count;

static struct value load(const struct input *in, uint32_t k)
{
	if (k == offsetof(struct seccomp_data, nr))
		return (struct value){1, in->nr};
	if (k == offsetof(struct seccomp_data, arch))
		return (struct value){1, in->arch};
	if (in->ip_known && (k & ~4u) == offsetof(struct seccomp_data, instruction_pointer))
		return (struct value){1, (uint32_t)(k & 4 ? in->ip >> 32 : in->ip)};
	return (struct value){0, 0};
}

static uint32_t compute(uint16_t op, uint32_t a, uint32_t b)
{
	switch (op) {
	case BPF_ADD:
		return a + b;
	case BPF_SUB:
		return a - b;
	case BPF_AND:
		return a & b;
	case BPF_OR:
		return a | b;
	case BPF_XOR:
		return a ^ b;
	case BPF_RSH:
		return b < 32 ? a >> b : 0;
	case BPF_LSH:
		return b < 32 ? a << b : 0;
	default:
		printf("Bail out! an operation that this test does not know\n");
		exit(1);
	}
}

static int taken(uint16_t op, uint32_t a, uint32_t b)
{
	return op == BPF_JEQ ? a == b : op == BPF_JGT ? a > b : op == BPF_JGE ? a >= b : (a & b) != 0;
}

/* True when some run from this state ends in an answer that lets the call through. */
static int allows(const struct input *in, struct state s)
{
	for (; s.pc < length; s.pc++) {
		for (int i = 0; i < seen_count; i++)
			if (!memcmp(&seen[i], &s, sizeof(s)))
				return 0;
		if (seen_count == STATES_MAX) {
			printf("Bail out! the filter has too many paths\n");
			exit(1);
		}
		seen[seen_count++] = s;
		const struct sock_filter *f = &code[s.pc];
		struct value b = BPF_SRC(f->code) == BPF_X ? s.x : (struct value){1, f->k};
		switch (BPF_CLASS(f->code)) {
		case BPF_LD:
			s.a = BPF_MODE(f->code) == BPF_ABS   ? load(in, f->k)
			      : BPF_MODE(f->code) == BPF_IMM ? (struct value){1, f->k}
							     : (struct value){0, 0};
			break;
		case BPF_LDX:
			s.x = BPF_MODE(f->code) == BPF_IMM ? (struct value){1, f->k} : (struct value){0, 0};
			break;
		case BPF_MISC:
			if (BPF_MISCOP(f->code) == BPF_TAX)
				s.x = s.a;
			else
				s.a = s.x;
			break;
		case BPF_ALU:
			s.a = s.a.known && b.known ? (struct value){1, compute(BPF_OP(f->code), s.a.v, b.v)} : (struct value){0, 0};
			break;
		case BPF_RET: {
			uint32_t action = BPF_RVAL(f->code) == BPF_K ? f->k : s.a.known ? s.a.v : SECCOMP_RET_ALLOW;
			action &= SECCOMP_RET_ACTION_FULL;
			return action != SECCOMP_RET_TRAP && action != SECCOMP_RET_KILL_PROCESS && action != SECCOMP_RET_KILL_THREAD;
		}
		case BPF_JMP: {
			if (BPF_OP(f->code) == BPF_JA) {
				s.pc += (int)f->k;
				break;
			}
			struct state other = s;
			other.pc += f->jt + 1;
			if (!s.a.known || !b.known) {
				if (allows(in, other))
					return 1;
				s.pc += f->jf;
			} else {
				s.pc += taken(BPF_OP(f->code), s.a.v, b.v) ? f->jt : f->jf;
			}
			break;
		}
		default:
			return 1;
		}
	}
	return 1; /* past its end: the host would not have taken it */
}

static int allowed(uint32_t nr, uint32_t arch, int ip_known, uint64_t ip)
{
	struct input in = {nr, arch, ip_known, ip};
	seen_count = 0;
	struct state start;
	memset(&start, 0, sizeof(start)); /* padding too: states are compared as bytes */
	return allows(&in, start);
}

static int listed(uint32_t nr)
{
#define IS(i, name) || nr == __NR_##name
	return 0 VB_HOST_CALLS(IS);
}

static pid_t tender_of(const char *vauban, const char *name)
{
	char command[1024], text[64] = "";
	snprintf(command, sizeof(command),
		"for i in $(seq 300); do p=$('%s' inspect %s | jq -r 'select(.state == \"running\").tender_pid'); "
		"[ \"$p\" ] && break; sleep 0.2; done; echo $p",
		vauban, name);
	FILE *f = popen(command, "r");
	if (f && !fgets(text, sizeof(text), f))
		text[0] = 0;
	if (f)
		pclose(f);
	return (pid_t)atoi(text);
}

int main(void)
{
	const char *vauban = getenv("VAUBAN") ? getenv("VAUBAN") : "build/vauban";
	char command[1024];
	if (geteuid() != 0) {
		printf("1..0 # SKIP only root may read a filter back\n");
		return 0;
	}
	snprintf(command, sizeof(command), "'%s' run -d --name filtered sleep 1000 >/dev/null", vauban);
	check(system(command) == 0, "a cell runs");
	pid_t pid = tender_of(vauban, "filtered");
	check(pid > 1, "its tender is known");
	int attached = pid > 1 && ptrace(PTRACE_SEIZE, pid, 0, 0) == 0 && ptrace(PTRACE_INTERRUPT, pid, 0, 0) == 0 &&
		       waitpid(pid, NULL, __WALL) == pid;
	check(attached, "root can look at it");
	if (attached)
		length = (int)ptrace(PTRACE_SECCOMP_GET_FILTER, pid, 0, code);
	int why = errno, second = attached ? (int)ptrace(PTRACE_SECCOMP_GET_FILTER, pid, 1, NULL) : 0;
	if (attached)
		ptrace(PTRACE_DETACH, pid, 0, 0);
	snprintf(command, sizeof(command),
		"'%s' kill filtered; for i in $(seq 300); do '%s' rm filtered 2>/dev/null && break; sleep 0.2; done", vauban,
		vauban);
	if (system(command))
		printf("# the cell could not be removed\n");
	if (length <= 0) {
		if (why == EIO || why == EINVAL || why == EACCES)
			printf("ok %d - the filter # SKIP this host does not give filters back: %s\n1..%d\n", count + 1, strerror(why),
				count + 1);
		else
			check(0, "the filter can be read");
		return failed;
	}
	printf("# %d instructions; other filters: %s\n", length, second > 0 ? "yes (they can only forbid more)" : "none");

	int calls = 0, right = 1, elsewhere = 0, foreign = 0;
	for (uint32_t nr = 0; nr < 1024; nr++) {
		int yes = allowed(nr, ARCH_X86_64, 0, 0);
		calls += yes;
		if (yes != listed(nr)) {
			right = 0;
			printf("# call %u: %s, but vauban/hostcall.h says otherwise\n", nr, yes ? "allowed" : "refused");
		}
		elsewhere += allowed(nr, ARCH_X86_64, 1, 0x400000) + allowed(nr, ARCH_X86_64, 1, 0xffffffffff600002ull);
		foreign += allowed(nr, ARCH_I386, 0, 0) + allowed(nr | 0x40000000, ARCH_X86_64, 0, 0) +
			   allowed(nr | 0x80000000, ARCH_X86_64, 0, 0);
	}
	printf("# %d calls can be allowed\n", calls);
	check(calls <= 12, "at most 12 calls can be allowed");
	check(right, "they are those of vauban/hostcall.h");
	check(elsewhere == 0, "none from the program's own code or the vsyscall page");
	check(foreign == 0, "none of another architecture, x32 or negative");
	check(!allowed(0xffffffff, ARCH_X86_64, 0, 0), "nor number -1");
	printf("1..%d\n", count);
	return failed;
}
