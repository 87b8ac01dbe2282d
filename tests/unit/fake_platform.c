/* See fake_platform.h. The memory file and the image are memfds; the user area is a reserved range of this process. */
#define _GNU_SOURCE
#include "tests/unit/fake_platform.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernel/fs/fs.h"
#include "kernel/fs/site.h"
#include "kernel/mm/page.h"
#include "kernel/platform/platform.h"
#include "kernel/task/task.h"

#define WEAK      __attribute__((weak))
#define USER_AREA (256ull << 30)

struct vb_boot fake_boot;
static struct vb_stats fake_stats;
static struct process fake_process;
static struct task fake_task;
unsigned fake_klog_count, fake_host_calls, fake_failure_rate;
size_t fake_largest_block = SIZE_MAX;
int fake_host_error, tap_count, tap_failed;
uint64_t fake_now_ns = 1000000000;
static int memory_fd = -1, image_fd = -1;

WEAK const struct vb_boot *boot = &fake_boot;
WEAK struct vb_stats *stats = &fake_stats;
WEAK struct task *current = &fake_task;
WEAK bool need_work;

static void check(bool ok, const char *what)
{
	if (!ok) {
		perror(what);
		abort();
	}
}

extern void page_init(void) WEAK;

void fake_platform_start(uint64_t memory_bytes, uint64_t image_bytes)
{
	if (memory_fd >= 0) {
		munmap((void *)fake_boot.memory_base, fake_boot.memory_bytes);
		munmap((void *)fake_boot.image_base, fake_boot.image_bytes);
		munmap((void *)fake_boot.user_low, USER_AREA);
		close(memory_fd);
		close(image_fd);
	}
	memory_fd = memfd_create("memory", MFD_CLOEXEC);
	image_fd = memfd_create("image", MFD_CLOEXEC);
	check(!ftruncate(memory_fd, (off_t)memory_bytes) && !ftruncate(image_fd, (off_t)image_bytes), "ftruncate");
	void *memory = mmap(NULL, memory_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory_fd, 0);
	char *image = mmap(NULL, image_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, image_fd, 0);
	void *user = mmap(NULL, USER_AREA, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	check(memory != MAP_FAILED && image != MAP_FAILED && user != MAP_FAILED, "mmap");
	for (uint64_t at = 0; at < image_bytes; at += VB_PAGE_SIZE)
		memset(image + at, (int)(at / VB_PAGE_SIZE + 1), VB_PAGE_SIZE);

	fake_boot = (struct vb_boot){.magic = VB_BOOT_MAGIC,
		.version = VB_BOOT_VERSION,
		.memory_bytes = memory_bytes,
		.image_bytes = image_bytes,
		.memory_base = (uint64_t)memory,
		.image_base = (uint64_t)image,
		.user_low = (uint64_t)user,
		.user_high = (uint64_t)user + USER_AREA,
		.kernel_arena_offset = 64 << 10};
	fake_stats = (struct vb_stats){0};
	fake_task.process = &fake_process;
	fake_task.tid = fake_process.pid = 1;
	fake_process.leader = &fake_task;
	fake_process.thread_count = 1;
	for (unsigned i = 0; i < RLIM_COUNT; i++)
		fake_process.rlimit[i] = (struct rlimit64){UINT64_MAX, UINT64_MAX};
	if (page_init)
		page_init();
}

WEAK void klog(int severity, const char *fmt, ...)
{
	va_list ap;

	fake_klog_count++;
	printf("# klog %d: ", severity);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
}

WEAK _Noreturn void start_fail(int status, int error, const char *fmt, ...)
{
	printf("Bail out! start_fail: %s: error %d\n", fmt, error);
	fflush(stdout);
	_exit(status);
}

WEAK _Noreturn void kpanic(const char *fmt, ...)
{
	va_list ap;

	printf("Bail out! kpanic: ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
	abort();
}

static bool fails(void)
{
	return fake_failure_rate && (unsigned)rand() % fake_failure_rate == 0;
}

WEAK void *kmalloc(size_t size)
{
	return fails() || size > fake_largest_block ? NULL : malloc(size);
}
WEAK void *kzalloc(size_t size)
{
	return fails() ? NULL : calloc(1, size);
}
WEAK void *krealloc(void *p, size_t size)
{
	return fails() ? NULL : realloc(p, size);
}
WEAK void kfree(void *p)
{
	free(p);
}
WEAK size_t kmalloc_size(const void *p)
{
	return malloc_usable_size((void *)p);
}
WEAK void kmalloc_shrink(void *p, size_t size)
{
}
WEAK char *kstrdup(const char *s)
{
	return strdup(s);
}

WEAK int copy_from_user(void *dst, uint64_t src, size_t n)
{
	memcpy(dst, (void *)src, n);
	return 0;
}

WEAK int copy_to_user(uint64_t dst, const void *src, size_t n)
{
	memcpy((void *)dst, src, n);
	return 0;
}

WEAK int zero_user(uint64_t dst, size_t n)
{
	memset((void *)dst, 0, n);
	return 0;
}

WEAK long string_from_user(char *dst, uint64_t src, size_t size)
{
	size_t len = strnlen((char *)src, size);

	if (len == size)
		return -ENAMETOOLONG;
	memcpy(dst, (char *)src, len + 1);
	return (long)len;
}

WEAK bool user_range_ok(uint64_t addr, uint64_t n)
{
	return addr + n >= addr;
}

WEAK void random_bytes(void *dst, size_t n)
{
	static uint64_t state = 88172645463325252ull;

	for (size_t i = 0; i < n; i++) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		((uint8_t *)dst)[i] = (uint8_t)state;
	}
}

WEAK bool capable(int cap)
{
	return false;
}

WEAK void inode_ref(struct inode *inode)
{
	inode->refs++;
}
WEAK void inode_unref(struct inode *inode)
{
	inode->refs--;
}
WEAK void file_ref(struct file *f)
{
	f->refs++;
}
WEAK void file_unref(struct file *f)
{
	f->refs--;
}

static int map(uint64_t va, uint64_t len, int prot, int fd, uint64_t offset)
{
	fake_host_calls++;
	if (fake_host_error)
		return fake_host_error;
	if (va < fake_boot.user_low || va + len > fake_boot.user_high || va % VB_PAGE_SIZE || !len || len % VB_PAGE_SIZE)
		kpanic("mapping outside the user area");
	if ((prot & PROT_W) && (prot & PROT_X) && !(boot->flags & VB_BOOT_JIT))
		kpanic("writable code");
	int flags = MAP_FIXED | (fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE : MAP_SHARED);
	check(mmap((void *)va, len, prot, flags, fd, (off_t)offset) == (void *)va, "mmap user");
	return 0;
}

WEAK int platform_map_memory(uint64_t va, uint64_t len, int prot, uint64_t offset, bool populate)
{
	return fails() ? -ENOMEM : map(va, len, prot, memory_fd, offset);
}

WEAK int platform_map_image(uint64_t va, uint64_t len, int prot, uint64_t offset)
{
	if (prot & PROT_W)
		kpanic("writable image");
	return fails() ? -ENOMEM : map(va, len, prot, image_fd, offset);
}

WEAK int platform_unmap(uint64_t va, uint64_t len)
{
	int error = fake_host_error;

	fake_host_error = 0;
	int r = map(va, len, PROT_NONE, -1, 0);
	fake_host_error = error;
	return r;
}

WEAK int platform_protect(uint64_t va, uint64_t len, int prot)
{
	fake_host_calls++;
	if ((prot & PROT_W) && (prot & PROT_X) && !(boot->flags & VB_BOOT_JIT))
		kpanic("writable code");
	check(!mprotect((void *)va, len, prot), "mprotect user");
	return 0;
}

WEAK int platform_discard(uint64_t offset, uint64_t len)
{
	fake_host_calls++;
	check(!fallocate(memory_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)len), "fallocate");
	return 0;
}

WEAK uint64_t platform_clock_ns(int clock)
{
	return fake_now_ns;
}
WEAK uint64_t now_monotonic_ns(void)
{
	return fake_now_ns;
}
WEAK uint64_t now_realtime_ns(void)
{
	return fake_now_ns;
}

/* No site: kernel/net/site_names.c. */
WEAK bool site_active;
WEAK bool site_is(const struct inode *inode)
{
	return false;
}
WEAK int site_lookup(struct dentry **d)
{
	return 0;
}
WEAK int site_unlink(struct dentry *d)
{
	return -EPERM;
}
WEAK int site_rename(struct dentry *from, struct dentry *dir, struct dentry *to, unsigned flags)
{
	return -EXDEV;
}

/* Nobody to signal. */
WEAK struct process *process_by_pid(int pid)
{
	return NULL;
}
WEAK int signal_process(struct process *p, const struct k_siginfo *info)
{
	return 0;
}
