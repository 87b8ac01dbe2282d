/* Ways into the kernel and out of it, copies from and to user memory, the thread switch.
 *
 * The user registers of the running task lie as struct regs (kernel/task/task.h) at the top of its kernel stack. Host
 * signals run on a stack of their own, so what lies below the stack pointer here is safe.
 */
	.set REGS_BYTES, 21 * 8
	.set USER_CS, 0x33
	.set USER_SS, 0x2b

	.macro push_gprs
	push %rdi
	push %rsi
	push %rdx
	push %rcx
	push %rax
	push %r8
	push %r9
	push %r10
	push %r11
	push %rbx
	push %rbp
	push %r12
	push %r13
	push %r14
	push %r15
	.endm

	.macro pop_gprs
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbp
	pop %rbx
	pop %r11
	pop %r10
	pop %r9
	pop %r8
	pop %rax
	pop %rcx
	pop %rdx
	pop %rsi
	pop %rdi
	.endm

	.bss
	.balign 8
	.globl cpu_kstack_top
	.hidden cpu_kstack_top
cpu_kstack_top:
	.quad 0
cpu_user_rsp:
	.quad 0

	.text
	.globl entry_from_call, entry_from_signal, entry_new_thread
	.globl exit_begin, exit_end, exit_retry
	.hidden entry_from_call, entry_from_signal, entry_new_thread, exit_begin, exit_end, exit_retry

/* From a trampoline: a system call with rcx = return address. As after a real one, rcx and r11 are lost. */
entry_from_call:
	mov %rsp, cpu_user_rsp(%rip)
	mov cpu_kstack_top(%rip), %rsp
	push $USER_SS
	push cpu_user_rsp(%rip)
	push $0x202
	push $USER_CS
	push %rcx
	push %rax
	push_gprs
	cld
	mov %rsp, %rdi
	call syscall_enter
	test %eax, %eax
	jnz return_full
exit_begin:
	cmpb $0, need_work(%rip)
	jne 1f
	pop_gprs
	mov 8(%rsp), %rcx
	mov 32(%rsp), %rsp
	jmp *%rcx
exit_end:
1:	mov %rsp, %rdi
	call user_return_work
	/* Registers may be anyone's now (a signal handler's, a debugger's): restore every one. */
return_full:
return_check:
	cmpb $0, need_work(%rip)
	jne 1b
	pop_gprs
	add $8, %rsp
	iretq
return_end:

/* A host signal came between the look at need_work and user code: look again, with the registers still on the stack. */
exit_retry:
	mov cpu_kstack_top(%rip), %rsp
	sub $REGS_BYTES, %rsp
	jmp 1b

	.globl return_check, return_end
	.hidden return_check, return_end

entry_from_signal:
	mov %rsp, %rdi
	call trap_enter
	jmp return_full

/* First instructions of a new thread: platform_switch returns here, on its kernel stack below the registers. */
entry_new_thread:
	mov %rsp, %rdi
	call task_first_run
	jmp return_full

/* void switch_stacks(uint64_t *save_sp, uint64_t new_sp) */
	.globl switch_stacks
	.hidden switch_stacks
switch_stacks:
	push %rbx
	push %rbp
	push %r12
	push %r13
	push %r14
	push %r15
	test %rdi, %rdi
	jz 1f
	mov %rsp, (%rdi)
1:	mov %rsi, %rsp
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbp
	pop %rbx
	ret

/* size_t usercopy(void *dst, const void *src, size_t n): the bytes not copied. Either side may be user memory; a fault
 * that can't be served goes on at usercopy_fault, with rcx the rest of a `rep` or, for the short forms, rdx = n. */
	.globl usercopy, userzero, usercopy_begin, usercopy_end, usercopy_fault
	.hidden usercopy, userzero, usercopy_begin, usercopy_end, usercopy_fault
usercopy:
	mov %rdx, %rcx
usercopy_begin:
	cmp $8, %rdx
	jb 2f
	cmp $16, %rdx
	ja 1f
	mov (%rsi), %rax
	mov -8(%rsi,%rdx), %r8
	mov %rax, (%rdi)
	mov %r8, -8(%rdi,%rdx)
	xor %eax, %eax
	ret
1:	rep movsb
	xor %eax, %eax
	ret
2:	test %rdx, %rdx
	jz 4f
3:	mov -1(%rsi,%rdx), %al
	mov %al, -1(%rdi,%rdx)
	dec %rdx
	jnz 3b
4:	xor %eax, %eax
	ret
/* size_t userzero(void *dst, size_t n) */
userzero:
	mov %rsi, %rcx
	xor %eax, %eax
	rep stosb
	ret
usercopy_end:
usercopy_fault:
	mov %rcx, %rax
	ret

/* The stub: the only three instructions by which this process may call the host (vauban/hostcall.h).
 * long stub_call(long nr, a, b, c, d, e, f): C arguments to the syscall ABI. stub_wait is for calls that may block: it
 * answers -EINTR without calling when host_interrupted is set. A signal that arrives after the test but before the call
 * finds rip in [stub_wait_begin, stub_wait_ip) and moves it to stub_wait_interrupted. */
	.globl stub_call, stub_call_ip, stub_wait, stub_wait_begin, stub_wait_ip, stub_wait_interrupted, stub_sigreturn, stub_sigreturn_ip
	.hidden stub_call, stub_call_ip, stub_wait, stub_wait_begin, stub_wait_ip, stub_wait_interrupted, stub_sigreturn, stub_sigreturn_ip
	.macro to_syscall_abi
	mov %rdi, %rax
	mov %rsi, %rdi
	mov %rdx, %rsi
	mov %rcx, %rdx
	mov %r8, %r10
	mov %r9, %r8
	mov 8(%rsp), %r9
	.endm
stub_call:
	to_syscall_abi
	syscall
stub_call_ip:
	ret
stub_wait:
	to_syscall_abi
stub_wait_begin:
	cmpb $0, host_interrupted(%rip)
	jne stub_wait_interrupted
	syscall
stub_wait_ip:
	ret
stub_wait_interrupted:
	mov $-4, %rax /* -EINTR */
	ret
stub_sigreturn:
	mov $15, %eax
	syscall
stub_sigreturn_ip:

/* Copied into the trampolines of `cpuid` sites: rbx, the first word's immediate, is the table (struct vb_cpuid, ended by
 * leaf -1). Uses only registers that the instruction sets; the flags are lost. */
	.section .rodata
	.globl cpuid_template, cpuid_template_end
	.hidden cpuid_template, cpuid_template_end
cpuid_template:
	movabs $0x1122334455667788, %rbx
1:	mov (%rbx), %edx
	cmp $-1, %edx
	je 3f
	cmp %eax, %edx
	jne 2f
	mov 4(%rbx), %edx
	cmp $-1, %edx
	je 4f
	cmp %ecx, %edx
	je 4f
2:	add $24, %rbx
	jmp 1b
3:	cpuid
	jmp 5f
4:	mov 8(%rbx), %eax
	mov 16(%rbx), %ecx
	mov 20(%rbx), %edx
	mov 12(%rbx), %ebx
5:
cpuid_template_end:

	.section .note.GNU-stack, "", @progbits
