/* Memory calls: mmap, munmap, mprotect, mremap, brk, madvise, mincore, msync, mlock, membarrier, protection keys, faults. */
#include "guest.h"

#include <fcntl.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE 4096ul
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define RW   (PROT_READ | PROT_WRITE)

static sigjmp_buf escape;
static volatile int fault_signal, fault_code;
static void *volatile fault_address;

static void on_fault(int sig, siginfo_t *info, void *context)
{
	(void)context;
	fault_signal = sig;
	fault_code = info->si_code;
	fault_address = info->si_addr;
	siglongjmp(escape, 1);
}

/* The signal that touching p gives, or 0. */
static int touch(volatile char *p, int write)
{
	fault_signal = 0;
	if (!sigsetjmp(escape, 1)) {
		if (write)
			*p = 1;
		else
			(void)*p;
	}
	return fault_signal;
}

static char *map(size_t len, int prot)
{
	return mmap(NULL, len, prot, ANON, -1, 0);
}

static int temp_file(size_t size)
{
	const char *path = guest_name("/tmp/guest-mm");
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);

	unlink(path);
	for (size_t i = 0; i < size; i++) {
		char c = (char)('a' + i / PAGE);
		if (i % PAGE == 0 && pwrite(fd, &c, 1, (off_t)i) != 1)
			return -1;
	}
	return ftruncate(fd, (off_t)size) ? -1 : fd;
}

static void test_mmap(void)
{
	EXPECT_ERR(syscall(SYS_mmap, 0, 0, RW, ANON, -1, 0), EINVAL);
	EXPECT_ERR(syscall(SYS_mmap, 0, PAGE, RW, MAP_ANONYMOUS, -1, 0), EINVAL);
	EXPECT_ERR(syscall(SYS_mmap, 0, PAGE, RW, ANON, -1, 1), EINVAL);
	EXPECT_ERR(syscall(SYS_mmap, 0, PAGE, RW, MAP_PRIVATE, -1, 0), EBADF);
	EXPECT_ERR(syscall(SYS_mmap, 0, 0, RW, MAP_PRIVATE, 99, 0), EBADF);
	EXPECT_ERR(syscall(SYS_mmap, 1, PAGE, RW, ANON | MAP_FIXED, -1, 0), EINVAL);
	EXPECT_ERR(syscall(SYS_mmap, 0, 1ul << 50, RW, ANON, -1, 0), ENOMEM);
	EXPECT_ERR(syscall(SYS_mmap, 0, ~0ul, RW, ANON, -1, 0), ENOMEM);
	EXPECT_ERR(syscall(SYS_mmap, 1ul << 48, PAGE, RW, ANON | MAP_FIXED, -1, 0), ENOMEM);
	EXPECT_ERR(syscall(SYS_mmap, 0, PAGE, RW, MAP_SHARED_VALIDATE | MAP_ANONYMOUS, -1, 0), EINVAL);
	EXPECT_ERR(syscall(SYS_mmap, 0, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0), EINVAL);

	char *p = map(4 * PAGE, RW);
	EXPECT_TRUE(p != MAP_FAILED && (uintptr_t)p % PAGE == 0);
	EXPECT(p[0] | p[4 * PAGE - 1], 0);
	p[PAGE] = 7;
	EXPECT(p[PAGE], 7);
	EXPECT_ERR(syscall(SYS_mmap, p, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0), EEXIST);
	EXPECT_TRUE(mmap(p + PAGE, PAGE, RW, ANON | MAP_FIXED, -1, 0) == p + PAGE);
	EXPECT(p[PAGE], 0);
	EXPECT_TRUE(mmap(p, PAGE, RW, ANON, -1, 0) != p);
	EXPECT(munmap(p + PAGE, PAGE), 0);
	EXPECT(touch(p + PAGE, 0), SIGSEGV);
	EXPECT(fault_code, SEGV_MAPERR);
	EXPECT_TRUE(fault_address == p + PAGE);
	EXPECT_TRUE(mmap(p + PAGE, PAGE, RW, ANON, -1, 0) == p + PAGE); /* a hint that is free */
	EXPECT_TRUE(mmap(p + 2 * PAGE, 10, RW, ANON | MAP_FIXED, -1, 0) == p + 2 * PAGE);
	EXPECT(touch(p + 3 * PAGE - 1, 1), 0);
	EXPECT_ERR(munmap(p + 1, PAGE), EINVAL);
	EXPECT_ERR(munmap(p, 0), EINVAL);
	EXPECT(munmap(p, 4 * PAGE), 0);
	EXPECT(munmap(p, 4 * PAGE), 0);

	char *low = mmap(NULL, PAGE, RW, ANON | MAP_32BIT, -1, 0);
	EXPECT_TRUE((uintptr_t)low < 1ul << 31);
	EXPECT(touch(low, 1), 0);
	char *reserve = mmap(NULL, 1ul << 40, PROT_NONE, ANON | MAP_NORESERVE, -1, 0);
	EXPECT_TRUE(reserve != MAP_FAILED);
	EXPECT(mprotect(reserve + (1ul << 39), PAGE, RW), 0);
	EXPECT(touch(reserve + (1ul << 39), 1), 0);
	EXPECT(touch(reserve, 0), SIGSEGV);
	EXPECT(fault_code, SEGV_ACCERR);
	EXPECT(munmap(reserve, 1ul << 40), 0);
	char *populated = mmap(NULL, 64 * PAGE, RW, ANON | MAP_POPULATE, -1, 0);
	unsigned char vec[64];
	EXPECT(mincore(populated, 64 * PAGE, vec), 0);
	EXPECT(vec[0] & vec[63] & 1, 1);
}

static void test_protect(void)
{
	char *p = map(6 * PAGE, RW);

	memset(p, 1, 6 * PAGE);
	EXPECT(mprotect(p + PAGE, 2 * PAGE, PROT_READ), 0);
	EXPECT(touch(p + PAGE, 1), SIGSEGV);
	EXPECT(fault_code, SEGV_ACCERR);
	EXPECT(touch(p + PAGE, 0), 0);
	EXPECT(touch(p + 3 * PAGE, 1), 0);
	EXPECT(mprotect(p, 6 * PAGE, PROT_NONE), 0);
	EXPECT(touch(p + 5 * PAGE, 0), SIGSEGV);
	EXPECT(mprotect(p, 6 * PAGE, RW), 0);
	EXPECT(p[5 * PAGE], 1);
	EXPECT_ERR(mprotect(p + 1, PAGE, RW), EINVAL);
	EXPECT_ERR(mprotect(p, PAGE, 0x100), EINVAL);
	EXPECT_ERR(mprotect(p, PAGE, RW | PROT_GROWSDOWN | PROT_GROWSUP), EINVAL);
	EXPECT_ERR(mprotect(p, PAGE, RW | PROT_GROWSDOWN), EINVAL);
	EXPECT(mprotect(p + 1 * PAGE, 0, 0x100), 0);
	munmap(p + 3 * PAGE, PAGE);
	EXPECT_ERR(mprotect(p, 6 * PAGE, PROT_READ), ENOMEM);
	EXPECT(touch(p + 2 * PAGE, 1), SIGSEGV); /* what lies before the hole was changed */
	EXPECT(touch(p + 4 * PAGE, 1), 0);
	EXPECT_ERR(syscall(SYS_mprotect, p, ~0ul, RW), ENOMEM);
	EXPECT_ERR(syscall(SYS_pkey_mprotect, p, PAGE, RW, 99), EINVAL);
	EXPECT(syscall(SYS_pkey_mprotect, p, PAGE, RW, -1), 0);
	EXPECT_ERR(syscall(SYS_pkey_alloc, 1, 0), EINVAL);
	EXPECT_ERR(syscall(SYS_pkey_alloc, 0, 8), EINVAL);
	EXPECT_ERR(syscall(SYS_pkey_free, 14), EINVAL);
}

static void test_files(void)
{
	int fd = temp_file(3 * PAGE + 100), read_only = open("/proc/self/exe", O_RDONLY);
	char *s = mmap(NULL, 5 * PAGE, RW, MAP_SHARED, fd, 0), *v = mmap(NULL, 5 * PAGE, RW, MAP_PRIVATE, fd, 0);

	EXPECT(s[0], 'a');
	EXPECT(v[2 * PAGE], 'c');
	EXPECT(s[3 * PAGE + 200], 0);
	EXPECT(touch(s + 4 * PAGE, 0), SIGBUS);
	EXPECT(fault_code, BUS_ADRERR);
	EXPECT_TRUE(fault_address == s + 4 * PAGE);
	EXPECT(touch(v + 4 * PAGE, 1), SIGBUS);
	s[PAGE + 1] = 'x';
	char c = 0;
	EXPECT(pread(fd, &c, 1, PAGE + 1), 1);
	EXPECT(c, 'x');
	v[2] = 'p';
	EXPECT(s[2], 0);
	EXPECT(pwrite(fd, "q", 1, 3), 1);
	EXPECT(s[3], 'q');
	EXPECT(msync(s, PAGE, MS_SYNC), 0);
	EXPECT(msync(s, PAGE, MS_ASYNC | MS_INVALIDATE), 0);
	EXPECT_ERR(msync(s, PAGE, MS_SYNC | MS_ASYNC), EINVAL);
	EXPECT_ERR(msync(s, PAGE, 8), EINVAL);
	EXPECT_ERR(msync(s + 1, PAGE, MS_SYNC), EINVAL);
	EXPECT(ftruncate(fd, PAGE), 0);
	EXPECT(touch(s + PAGE, 0), SIGBUS);
	EXPECT(ftruncate(fd, 2 * PAGE), 0);
	EXPECT(s[PAGE + 1], 0);
	EXPECT(v[2], 'p');

	EXPECT_ERR(mmap(NULL, PAGE, RW, MAP_SHARED, read_only, 0) == MAP_FAILED ? -1 : 0, EACCES);
	char *exe = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, read_only, 0);
	EXPECT(memcmp(exe, "\177ELF", 4), 0);
	EXPECT(mprotect(exe, PAGE, RW), 0);
	exe[0] = 'E';
	EXPECT(pread(read_only, &c, 1, 0), 1);
	EXPECT(c, '\177');
	char *shared = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, read_only, 0);
	EXPECT_ERR(mprotect(shared, PAGE, RW), EACCES);
	const char *name = guest_name("/tmp/guest-mm");
	int write_only = open(name, O_WRONLY | O_CREAT, 0600);
	EXPECT_ERR(syscall(SYS_mmap, 0, PAGE, PROT_READ, MAP_SHARED, write_only, 0), EACCES);
	unlink(name);
	int pipes[2];
	EXPECT(pipe(pipes), 0);
	EXPECT_ERR(syscall(SYS_mmap, 0, PAGE, PROT_READ, MAP_SHARED, pipes[0], 0), ENODEV);
	EXPECT_ERR(syscall(SYS_mmap, 0, 2 * PAGE, PROT_READ, MAP_PRIVATE, fd, ~0ul & ~(PAGE - 1)), EOVERFLOW);
	EXPECT_ERR(syscall(SYS_mmap, 0, PAGE, PROT_READ, MAP_SHARED_VALIDATE | MAP_SYNC, fd, 0), EOPNOTSUPP);
	int zero = open("/dev/zero", O_RDWR);
	char *z = mmap(NULL, 2 * PAGE, RW, MAP_PRIVATE, zero, 0);
	EXPECT(touch(z + PAGE, 1), 0);
	int path = open("/tmp", O_PATH);
	EXPECT_ERR(syscall(SYS_mmap, 0, PAGE, PROT_READ, MAP_SHARED, path, 0), EBADF);

	/* A big private mapping, written page by page, backwards. */
	int big = temp_file(20 * PAGE);
	char *b = mmap(NULL, 20 * PAGE, RW, MAP_PRIVATE, big, 0);
	int bad = 0;
	for (int i = 19; i >= 0; i--) {
		bad += b[i * (long)PAGE] != 'a' + i;
		b[i * (long)PAGE] = 'A';
	}
	EXPECT(bad, 0);
	/* read(2) into memory that was never touched, write(2) from it. */
	char *fresh = map(8 * PAGE, RW);
	EXPECT(pread(big, fresh + 100, 4 * PAGE, 0), 4 * PAGE);
	EXPECT(fresh[100 + PAGE], 'b');
	EXPECT(pwrite(big, map(PAGE, RW), 10, 0), 10);
	EXPECT_ERR(syscall(SYS_pread64, big, 16, 10, 0), EFAULT);
	EXPECT_ERR(pread(big, map(PAGE, PROT_READ), 10, 0), EFAULT);
}

static void test_remap(void)
{
	char *p = map(4 * PAGE, RW);

	memset(p, 5, 4 * PAGE);
	EXPECT_TRUE(mremap(p, 4 * PAGE, 2 * PAGE, 0) == p);
	EXPECT(touch(p + 2 * PAGE, 0), SIGSEGV);
	EXPECT_TRUE(mremap(p, 2 * PAGE, 4 * PAGE, 0) == p);
	EXPECT(p[2 * PAGE - 1] * 10 + p[2 * PAGE], 50);
	char *barrier = mmap(p + 4 * PAGE, PAGE, PROT_READ, ANON | MAP_FIXED, -1, 0);
	EXPECT_TRUE(barrier == p + 4 * PAGE);
	EXPECT_ERR(mremap(p, 4 * PAGE, 5 * PAGE, 0) == MAP_FAILED ? -1 : 0, ENOMEM);
	char *q = mremap(p, 4 * PAGE, 300 * PAGE, MREMAP_MAYMOVE);
	EXPECT_TRUE(q != MAP_FAILED && q != p);
	EXPECT(q[0] * 10 + q[299 * PAGE], 50);
	EXPECT(touch(p, 0), SIGSEGV);
	EXPECT_ERR(mremap(q + 1, PAGE, PAGE, 0) == MAP_FAILED ? -1 : 0, EINVAL);
	EXPECT_ERR(mremap(q, PAGE, 0, 0) == MAP_FAILED ? -1 : 0, EINVAL);
	EXPECT_ERR(mremap(q, PAGE, PAGE, 64) == MAP_FAILED ? -1 : 0, EINVAL);
	EXPECT_ERR(mremap(q, PAGE, PAGE, MREMAP_FIXED, p) == MAP_FAILED ? -1 : 0, EINVAL);
	EXPECT_ERR(mremap(q, 2 * PAGE, 2 * PAGE, MREMAP_FIXED | MREMAP_MAYMOVE, q + PAGE) == MAP_FAILED ? -1 : 0, EINVAL);
	EXPECT_ERR(mremap(p, PAGE, 2 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED ? -1 : 0, EFAULT);
	EXPECT_ERR(mremap(q, 0, PAGE, MREMAP_MAYMOVE) == MAP_FAILED ? -1 : 0, EINVAL);
	EXPECT_TRUE(mremap(q, PAGE, PAGE, MREMAP_FIXED | MREMAP_MAYMOVE, p) == p);
	EXPECT(p[1], 5);
	EXPECT(touch(q, 0), SIGSEGV);
	char *kept = mremap(p, PAGE, PAGE, MREMAP_DONTUNMAP | MREMAP_MAYMOVE, 0);
	EXPECT_TRUE(kept != MAP_FAILED);
	EXPECT(kept[1] * 10 + p[1], 50);
	char *s = mmap(NULL, 2 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	s[0] = 3;
	char *twin = mremap(s, 0, 2 * PAGE, MREMAP_MAYMOVE);
	EXPECT(twin[0], 3);
	twin[PAGE] = 4;
	EXPECT(s[PAGE], 4);
}

static void test_brk(void)
{
	char *start = (char *)syscall(SYS_brk, 0);

	EXPECT_TRUE((char *)syscall(SYS_brk, start + 3 * PAGE + 5) == start + 3 * PAGE + 5);
	EXPECT(touch(start + 3 * PAGE, 1), 0);
	EXPECT_TRUE((char *)syscall(SYS_brk, 16) == start + 3 * PAGE + 5);
	EXPECT_TRUE((char *)syscall(SYS_brk, start) == start);
	EXPECT_TRUE((char *)syscall(SYS_brk, start + PAGE) == start + PAGE);
	EXPECT(touch(start, 0), 0);
	EXPECT_TRUE((char *)syscall(SYS_brk, start) == start);
}

static void test_advice(void)
{
	char *p = map(8 * PAGE, RW), *shared = mmap(NULL, 2 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned char vec[8];

	memset(p, 1, 8 * PAGE);
	EXPECT(madvise(p, 2 * PAGE, MADV_DONTNEED), 0);
	EXPECT(p[0] * 10 + p[2 * PAGE], 1);
	EXPECT(madvise(p + 3 * PAGE, PAGE, MADV_FREE), 0);
	EXPECT(madvise(p, 8 * PAGE, MADV_WILLNEED), 0);
	EXPECT(madvise(p, 8 * PAGE, MADV_SEQUENTIAL), 0);
	EXPECT_ERR(madvise(p, PAGE, 77), EINVAL);
	EXPECT_ERR(madvise(p + 1, PAGE, MADV_DONTNEED), EINVAL);
	EXPECT(madvise(p, 0, MADV_DONTNEED), 0);
	EXPECT_ERR(madvise(p, ~0ul, MADV_DONTNEED), EINVAL);
	EXPECT_ERR(madvise(shared, PAGE, MADV_FREE), EINVAL);
	shared[0] = 9;
	EXPECT(madvise(shared, PAGE, MADV_DONTNEED), 0);
	EXPECT(shared[0], 9);
	EXPECT(madvise(p, PAGE, MADV_POPULATE_WRITE), 0);
	EXPECT(mincore(p, PAGE, vec), 0);
	EXPECT(vec[0] & 1, 1);
	char *none = map(PAGE, PROT_NONE);
	EXPECT_ERR(madvise(none, PAGE, MADV_POPULATE_READ), EINVAL);
	EXPECT_ERR(madvise(p, PAGE, MADV_REMOVE), EINVAL);
	munmap(p + 5 * PAGE, PAGE);
	EXPECT_ERR(madvise(p, 8 * PAGE, MADV_DONTNEED), ENOMEM);
	EXPECT(p[7 * PAGE], 0); /* beyond the hole too */
	EXPECT_ERR(madvise(p, 8 * PAGE, MADV_NORMAL), ENOMEM);
	EXPECT_ERR(mincore(p, 8 * PAGE, vec), ENOMEM);
	EXPECT_ERR(mincore(p + 1, PAGE, vec), EINVAL);
	EXPECT_ERR(mincore(p, PAGE, NULL), EFAULT);
	EXPECT_ERR(msync(p, 8 * PAGE, MS_ASYNC), ENOMEM);
}

static void test_lock(void)
{
	char *p = map(4 * PAGE, RW);
	unsigned char vec[4];

	EXPECT(mlock(p + 10, PAGE), 0); /* two pages */
	EXPECT(mincore(p, 4 * PAGE, vec), 0);
	EXPECT(vec[0] & vec[1] & 1, 1);
	EXPECT_ERR(madvise(p, PAGE, MADV_DONTNEED), EINVAL);
	EXPECT_ERR(msync(p, PAGE, MS_INVALIDATE), EBUSY);
	EXPECT(munlock(p, 4 * PAGE), 0);
	EXPECT(madvise(p, PAGE, MADV_DONTNEED), 0);
	EXPECT(syscall(SYS_mlock2, p, PAGE, 1), 0);
	EXPECT_ERR(syscall(SYS_mlock2, p, PAGE, 2), EINVAL);
	munmap(p + 2 * PAGE, PAGE);
	EXPECT_ERR(mlock(p, 4 * PAGE), ENOMEM);
	EXPECT_ERR(munlock(p, 4 * PAGE), ENOMEM);
	EXPECT_ERR(mlockall(0), EINVAL);
	EXPECT_ERR(mlockall(8), EINVAL);
	EXPECT_ERR(mlockall(4), EINVAL);
	EXPECT(munlockall(), 0);
}

static void test_barriers(void)
{
	EXPECT(syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0) & 31, 31);
	EXPECT_ERR(syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 1, 0), EINVAL);
	EXPECT_ERR(syscall(SYS_membarrier, 1 << 20, 0, 0), EINVAL);
	EXPECT_ERR(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0), EPERM);
	EXPECT(syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0), 0);
	EXPECT(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0), 0);
}

static void test_limits(void)
{
	struct rlimit old, limit;

	getrlimit(RLIMIT_AS, &old);
	limit = (struct rlimit){1ul << 30, old.rlim_max};
	EXPECT(setrlimit(RLIMIT_AS, &limit), 0);
	EXPECT_ERR(mmap(NULL, 2ul << 30, RW, ANON, -1, 0) == MAP_FAILED ? -1 : 0, ENOMEM);
	EXPECT(setrlimit(RLIMIT_AS, &old), 0);
	/* Many small areas, with holes between them. */
	char *p = map(2000 * PAGE, RW);
	int bad = 0;
	for (long i = 0; i < 2000; i += 2) {
		p[i * (long)PAGE] = (char)i;
		bad += mprotect(p + i * (long)PAGE, PAGE, PROT_READ) != 0;
	}
	for (long i = 0; i < 2000; i += 2)
		bad += p[i * (long)PAGE] != (char)i;
	for (long i = 1; i < 2000; i += 2)
		bad += munmap(p + i * (long)PAGE, PAGE) != 0;
	EXPECT(bad, 0);
	EXPECT(munmap(p, 2000 * PAGE), 0);
	/* Much memory, touched, given back, touched again. */
	char *big = map(32ul << 20, RW);
	for (int turn = 0; turn < 3; turn++) {
		for (size_t i = 0; i < 32ul << 20; i += PAGE) {
			bad += big[i] != 0;
			big[i] = 1;
		}
		bad += madvise(big, 32ul << 20, MADV_DONTNEED) != 0;
	}
	EXPECT(bad, 0);
}

int main(void)
{
	struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};

	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	test_mmap();
	test_protect();
	test_files();
	test_remap();
	test_brk();
	test_advice();
	test_lock();
	test_barriers();
	test_limits();
	return guest_done();
}
