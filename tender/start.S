/* Process entry of the tender, its raw system call, and the jump that ends it. */
	.text
	.globl _start, host_call, kernel_jump
_start:
	xor %ebp, %ebp
	mov %rsp, %rdi
	and $-16, %rsp
	call tender_main
	ud2

/* long host_call(long nr, a, b, c, d, e, f) */
host_call:
	mov %rdi, %rax
	mov %rsi, %rdi
	mov %rdx, %rsi
	mov %rcx, %rdx
	mov %r8, %r10
	mov %r9, %r8
	mov 8(%rsp), %r9
	syscall
	ret

/* void kernel_jump(struct vb_boot *boot, start, stack_top) */
kernel_jump:
	mov %rdx, %rsp
	xor %ebp, %ebp
	push %rbp
	jmp *%rsi
	.section .note.GNU-stack, "", @progbits
