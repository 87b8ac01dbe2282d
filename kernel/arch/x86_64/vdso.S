/* The vDSO that programs see: the clock functions jump to the host's own, which read the time without a call. Built as a
 * shared object of one page (vdso.lds) and copied into each cell, where the kernel fills in the addresses.
 */
	.section .data.vdso, "a", @progbits
	.globl vdso_targets
	.hidden vdso_targets
vdso_targets: /* clock_gettime, gettimeofday, time, clock_getres, getcpu: of the host, or one of the fall-backs below */
	.quad 0, 0, 0, 0, 0

	.text
	.macro forward name, index, nr
	.globl __vdso_\name
	.weak \name
	.type __vdso_\name, @function
	.type \name, @function
__vdso_\name:
\name:
	.cfi_startproc
	mov vdso_targets + 8 * \index(%rip), %rax
	test %rax, %rax
	jz 1f
	jmp *%rax
1:	mov $\nr, %eax
	syscall
	ret
	.cfi_endproc
	.size __vdso_\name, . - __vdso_\name
	.size \name, . - \name
	.endm

	forward clock_gettime, 0, 228
	forward gettimeofday, 1, 96
	forward time, 2, 201
	forward clock_getres, 3, 229
	forward getcpu, 4, 309

	.section .note.GNU-stack, "", @progbits
