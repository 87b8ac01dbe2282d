/* The host-call stub page, copied to its random address before lock-down. Offsets are those of vauban/hostcall.h. */
#include <vauban/hostcall.h>
	.section .rodata
	.balign 64
	.globl stub_page, stub_page_end
stub_page:
	syscall
	ret
	.org stub_page + VB_STUB_WAIT
	cmpb $0, (%r11)
	jne stub_page + VB_STUB_WAIT_INTERRUPTED
	syscall
	ret
	.org stub_page + VB_STUB_WAIT_INTERRUPTED
	mov $-4, %rax /* -EINTR */
	ret
	.org stub_page + VB_STUB_SIGRETURN
	mov $15, %eax
	syscall
stub_page_end:
	.section .note.GNU-stack, "", @progbits
