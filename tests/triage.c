/* Says of a crash what a triage tool says: the rules of CERT's `exploitable` plugin for gdb (which Debian doesn't have) that concern
 * access violations, by its names and ranks, first match wins. The address that an instruction meant is taken from its operands: for
 * addresses that aren't canonical the kernel's si_addr is 0.
 * usage: triage INPUT PROGRAM [ARGUMENT]...     INPUT becomes standard input. Prints "RANK Rule: instruction", or "none: status". */
#define _GNU_SOURCE
#include <Zydis/Zydis.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static uint64_t register_value(const struct user_regs_struct *r, ZydisRegister reg, uint64_t next)
{
	const unsigned long long all[] = {r->rax, r->rcx, r->rdx, r->rbx, r->rsp, r->rbp, r->rsi, r->rdi, r->r8, r->r9, r->r10, r->r11,
		r->r12, r->r13, r->r14, r->r15};
	if (reg == ZYDIS_REGISTER_RIP)
		return next;
	if (ZydisRegisterGetClass(reg) != ZYDIS_REGCLASS_GPR64)
		return 0;
	return all[ZydisRegisterGetId(reg)];
}

static uint64_t address_of(const struct user_regs_struct *r, const ZydisDecodedOperand *o, uint64_t next)
{
	return register_value(r, o->mem.base, next) + register_value(r, o->mem.index, next) * o->mem.scale + (uint64_t)o->mem.disp.value;
}

static bool near_null(uint64_t address)
{
	return address < 64 * 1024 || address > -64ull * 1024;
}

static void judge(pid_t pid)
{
	struct user_regs_struct r;
	uint8_t bytes[15];
	ZydisDisassembledInstruction i;
	ptrace(PTRACE_GETREGS, pid, 0, &r);
	struct iovec to = {bytes, sizeof(bytes)}, from = {(void *)r.rip, sizeof(bytes)};
	if (process_vm_readv(pid, &to, 1, &from, 1, 0) <= 0 ||
		!ZYAN_SUCCESS(ZydisDisassembleATT(ZYDIS_MACHINE_MODE_LONG_64, r.rip, bytes, sizeof(bytes), &i))) {
		printf("EXPLOITABLE SegFaultOnPc: no code at 0x%llx\n", r.rip);
		return;
	}
	uint64_t next = r.rip + i.info.length;
	const char *verdict = "UNKNOWN AccessViolation";
	if (i.info.mnemonic == ZYDIS_MNEMONIC_RET)
		verdict = "EXPLOITABLE ReturnAv";
	for (unsigned n = 0; n < i.info.operand_count && *verdict == 'U'; n++) {
		const ZydisDecodedOperand *o = &i.operands[n];
		bool branch = i.info.meta.category == ZYDIS_CATEGORY_CALL || i.info.meta.category == ZYDIS_CATEGORY_UNCOND_BR;
		if (branch && n == 0 && o->type == ZYDIS_OPERAND_TYPE_REGISTER)
			verdict = near_null(register_value(&r, o->reg.value, next)) ? "PROBABLY_EXPLOITABLE BranchAvNearNull"
										    : "EXPLOITABLE BranchAv";
		if (branch || o->type != ZYDIS_OPERAND_TYPE_MEMORY || o->mem.type != ZYDIS_MEMOP_TYPE_MEM)
			continue;
		bool null = near_null(address_of(&r, o, next));
		if (o->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE)
			verdict = null ? "PROBABLY_EXPLOITABLE DestAvNearNull" : "EXPLOITABLE DestAv";
		else if (o->actions & ZYDIS_OPERAND_ACTION_MASK_READ)
			verdict = null ? "PROBABLY_NOT_EXPLOITABLE SourceAvNearNull" : "UNKNOWN SourceAv";
	}
	printf("%s: %s\n", verdict, i.text);
}

int main(int argc, char **argv)
{
	int status;
	if (argc < 3)
		return fprintf(stderr, "usage: triage INPUT PROGRAM [ARGUMENT]...\n"), 2;
	pid_t pid = fork();
	if (pid == 0) {
		int fd = open(argv[1], O_RDONLY), null = open("/dev/null", O_WRONLY);
		dup2(fd, 0), dup2(null, 1), dup2(null, 2);
		alarm(10);
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		execvp(argv[2], argv + 2);
		_exit(127);
	}
	for (int sig = 0; waitpid(pid, &status, 0) == pid && WIFSTOPPED(status);) {
		sig = WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status);
		if (sig == SIGSEGV || sig == SIGBUS) {
			judge(pid);
			kill(pid, SIGKILL);
			return 0;
		}
		ptrace(PTRACE_CONT, pid, 0, sig);
	}
	return printf("none: status %#x\n", status), 1;
}
