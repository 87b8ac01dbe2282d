/* The gdb stub against any bytes from a debugger: no access outside its buffers, no endless loop. The program's memory is one
 * array; everything else that the stub needs is a stand-in. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/debug/gdb.h"
#include "kernel/debug/trace.h"
#include "kernel/fs/fs.h"
#include "kernel/mm/mm.h"
#include "kernel/platform/platform.h"
#include "kernel/task/patch.h"

#define MEMORY_BASE  0x10000u
#define MEMORY_BYTES 65536u

static struct vb_boot boot_page = {.user_high = 1ull << 47};
const struct vb_boot *boot = &boot_page;
static uint8_t memory[MEMORY_BYTES];
static struct process process;
static struct task tasks[2];
static struct regs regs[2];
static uint8_t xstate[2][4096] __attribute__((aligned(64)));
static struct mm_layout layout = {.aux_start = MEMORY_BASE, .aux_bytes = 320};
static struct inode inode;
static struct file file = {.inode = &inode};
struct task *current = &tasks[0];
uint32_t platform_xstate_bytes = 832;
uint64_t platform_xstate_mask = 7;
bool trace_on;

void *kzalloc(size_t n)
{
	return calloc(1, n);
}
void kfree(void *p)
{
	free(p);
}
struct process *process_by_pid(int pid)
{
	return pid == 1 ? &process : NULL;
}
struct task *task_by_tid(int tid)
{
	return tid == 1 || tid == 2 ? &tasks[tid - 1] : NULL;
}
void task_want_work(void) {}
int signal_task(struct task *t, const struct k_siginfo *info)
{
	return 0;
}
int signal_process(struct process *p, const struct k_siginfo *info)
{
	return 0;
}
sigset signal_pending_set(const struct task *t)
{
	return 0;
}
void trace_set(bool on) {}
void trace_steps(bool on) {}
void trace_ended(int status, int sig) {}
uint64_t patch_user_rip(uint64_t rip)
{
	return rip;
}
uint64_t patch_resume_rip(uint64_t rip)
{
	return rip;
}
bool patch_in_trampoline(uint64_t rip)
{
	return rip & 1;
}
void platform_xstate_save(void *area) {}
void platform_xstate_load(const void *area) {}
uint64_t platform_fs_base_get(void)
{
	return 0;
}
uint64_t platform_gs_base_get(void)
{
	return 0;
}
void platform_fs_base_set(uint64_t fs) {}
void platform_gs_base_set(uint64_t gs) {}
struct mm_layout *mm_layout(struct mm *mm)
{
	return &layout;
}
int file_open_at(int dirfd, const char *path, unsigned flags, uint32_t mode, struct file **ret)
{
	return *path == '/' ? *ret = &file, 0 : -ENOENT;
}
long file_read(struct file *f, void *buf, size_t len, uint64_t pos)
{
	return memset(buf, '$', len), (long)len;
}
void file_unref(struct file *f) {}
int inode_getattr(struct inode *i, struct k_stat *ret)
{
	return memset(ret, 1, sizeof(*ret)), 0;
}
int path_lookup(int dirfd, const char *path, unsigned flags, struct dentry **ret)
{
	return -ENOENT;
}
void dentry_unref(struct dentry *d) {}

void platform_send(const void *header, size_t header_len, const void *payload, size_t len)
{
	static volatile uint8_t sum;
	for (size_t i = 0; i < len; i++)
		sum += ((const uint8_t *)payload)[i];
}

static size_t within(uint64_t addr, size_t len)
{
	return addr < MEMORY_BASE || addr >= MEMORY_BASE + MEMORY_BYTES ? 0 : vb_min((uint64_t)len, MEMORY_BASE + MEMORY_BYTES - addr);
}

size_t mm_peek(struct mm *mm, uint64_t addr, void *dst, size_t len)
{
	size_t n = within(addr, len);
	memcpy(dst, memory + (n ? addr - MEMORY_BASE : 0), n);
	return n;
}

size_t mm_poke(struct mm *mm, uint64_t addr, const void *src, size_t len)
{
	size_t n = within(addr, len);
	memcpy(memory + (n ? addr - MEMORY_BASE : 0), src, n);
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	process = (struct process){.pid = 1, .mm = (struct mm *)memory, .comm_exe = "/bin/program"};
	list_init(&process.threads);
	for (int i = 0; i < 2; i++) {
		debug_task_release(&tasks[i]);
		tasks[i] = (struct task){.tid = i + 1, .process = &process, .regs = &regs[i], .xstate = xstate[i]};
		list_push_back(&process.threads, &tasks[i].thread_node);
	}
	debug_message(NULL, 0, 1);
	debug_message(data, size / 2, 0);
	debug_fault(5, 0x80, 0, &regs[0]);
	debug_fault(5, 2, 0, &regs[0]);
	debug_signal(&(struct k_siginfo){.signo = 11});
	debug_message(data + size / 2, size - size / 2, 0);
	debug_message(NULL, 0, 2);
	return 0;
}
