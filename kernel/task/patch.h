/* Rewritten call sites: a `syscall` instruction of an image file becomes a jump to a trampoline that enters the kernel
 * without a host signal. Owns the trampolines and the record of rewritten sites. Sites come from the image's table
 * (vauban/image.h), which the image builder has verified; anything else stays on SIGSYS: slower, equally right.
 */
#ifndef KERNEL_TASK_PATCH_H
#define KERNEL_TASK_PATCH_H

#include "kernel/task/task.h"

void patch_init(void);
/* An executable private file mapping was made at addr: its `cpuid` instructions are rewritten at once, since no signal
 * would ever ask for it. They answer from the boot page's table. */
void patch_mapped(struct mm *mm, uint64_t addr, uint64_t len);
/* A call arrived by SIGSYS with regs->rip after the instruction: rewrite its site if the table allows. Moves regs->rip,
 * and that of every other thread inside the rewritten bytes, into the trampoline. */
void patch_site(struct regs *regs);
/* The address space is about to go, and all trampolines with it. */
void patch_forget(void);
/* The program's own address for an rip that may lie in a trampoline (signal frames, debugger, core files). */
uint64_t patch_user_rip(uint64_t rip);
/* The address to resume at for an rip that may lie inside rewritten bytes. Inverse of patch_user_rip. */
uint64_t patch_resume_rip(uint64_t rip);
/* Makes the program execute the interrupted call regs->orig_rax again. */
void patch_restart(struct regs *regs);
/* True when rip lies in a trampoline: a debugger steps on until it leaves. */
bool patch_in_trampoline(uint64_t rip);

#endif
