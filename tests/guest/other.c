/* Calls that name a process: pidfds, kcmp, process_vm_readv and _writev, personality, I/O priorities; here always the own. */
#include "guest.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static volatile int got, code, value;

static void handler(int sig, siginfo_t *info, void *context)
{
	(void)context;
	got = sig, code = info->si_code, value = info->si_value.sival_int;
}

static void pidfds(void)
{
	struct sigaction sa = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
	sigaction(SIGUSR1, &sa, NULL);
	EXPECT_ERR(syscall(434, -1, 0), EINVAL);
	EXPECT_ERR(syscall(434, 0, 0), EINVAL);
	EXPECT_ERR(syscall(434, getpid(), 1), EINVAL);
	EXPECT_ERR(syscall(434, 4000000, 0), ESRCH);
	int fd = syscall(434, getpid(), 0);
	EXPECT_TRUE(fd >= 0);
	EXPECT(fcntl(fd, F_GETFD), FD_CLOEXEC);
	EXPECT(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR);
	struct pollfd p = {fd, POLLIN};
	EXPECT(poll(&p, 1, 0), 0);
	char c;
	EXPECT_ERR(read(fd, &c, 1), EINVAL);
	EXPECT(syscall(424, fd, 0, NULL, 0), 0);
	EXPECT(syscall(424, fd, SIGUSR1, NULL, 0), 0);
	EXPECT(got, SIGUSR1);
	EXPECT(code, SI_USER);
	siginfo_t info = {.si_signo = SIGUSR1, .si_code = SI_QUEUE};
	info.si_value.sival_int = 77;
	EXPECT(syscall(424, fd, SIGUSR1, &info, 0), 0);
	EXPECT(code, SI_QUEUE);
	EXPECT(value, 77);
	EXPECT_ERR(syscall(424, fd, SIGUSR2, &info, 0), EINVAL);
	EXPECT_ERR(syscall(424, fd, SIGUSR1, (void *)16, 0), EFAULT);
	EXPECT_ERR(syscall(424, fd, SIGUSR1, &info, 99), EINVAL);
	EXPECT_ERR(syscall(424, -1, SIGUSR1, &info, 0), EBADF);
	EXPECT_ERR(syscall(424, 0, SIGUSR1, NULL, 0), EBADF);
	int other = syscall(438, fd, fd, 0);
	EXPECT_TRUE(other > fd);
	EXPECT(syscall(SYS_kcmp, getpid(), getpid(), 0, fd, other), 0);
	EXPECT_ERR(syscall(438, fd, 999, 0), EBADF);
	EXPECT_ERR(syscall(438, fd, fd, 1), EINVAL);
	EXPECT_ERR(syscall(438, 0, fd, 0), EBADF);
	close(other);
	close(fd);
	fd = syscall(434, getpid(), O_NONBLOCK);
	EXPECT_TRUE(fcntl(fd, F_GETFL) & O_NONBLOCK);
	close(fd);
}

static void comparisons(void)
{
	int a = dup(1), b = open("/dev/null", O_RDONLY), c = open("/dev/null", O_RDONLY), me = getpid();
	EXPECT(syscall(SYS_kcmp, me, me, 0, 1, a), 0);
	EXPECT_TRUE(syscall(SYS_kcmp, me, me, 0, b, c) > 0);
	EXPECT(syscall(SYS_kcmp, me, me, 0, b, c) + syscall(SYS_kcmp, me, me, 0, c, b), 3);
	EXPECT_ERR(syscall(SYS_kcmp, me, me, 0, b, 999), EBADF);
	for (int type = 1; type < 7; type++)
		EXPECT(syscall(SYS_kcmp, me, me, type, 0, 0), 0);
	EXPECT_ERR(syscall(SYS_kcmp, me, me, 8, 0, 0), EINVAL);
	EXPECT_ERR(syscall(SYS_kcmp, me, 4000000, 1, 0, 0), ESRCH);
	close(a), close(b), close(c);
}

static void memory(void)
{
	char from[10000], to[10000] = {0}, *hole = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (int i = 0; i < 10000; i++)
		from[i] = (char)(i * 7);
	struct iovec ours[2] = {{to, 6000}, {to + 6000, 4000}}, theirs[3] = {{from, 1}, {from + 1, 9000}, {from + 9001, 999}};
	EXPECT(process_vm_readv(getpid(), ours, 2, theirs, 3, 0), 10000);
	EXPECT(memcmp(from, to, 10000), 0);
	memset(from, 1, 10000);
	EXPECT(process_vm_writev(getpid(), ours, 1, theirs, 2, 0), 6000);
	EXPECT(memcmp(from, to, 6000), 0);
	EXPECT(from[6000], 1);
	EXPECT_ERR(process_vm_readv(getpid(), ours, 2, theirs, 3, 1), EINVAL);
	EXPECT_ERR(process_vm_readv(4000000, ours, 2, theirs, 3, 0), ESRCH);
	EXPECT_ERR(process_vm_readv(getpid(), ours, 2000, theirs, 3, 0), EINVAL);
	EXPECT_ERR(process_vm_readv(getpid(), (void *)16, 2, theirs, 3, 0), EFAULT);
	EXPECT(process_vm_readv(getpid(), ours, 0, theirs, 3, 0), 0);
	EXPECT(process_vm_readv(getpid(), ours, 1, theirs, 0, 0), 0);
	struct iovec bad = {(void *)16, 100}, endless = {to, -1}, edge = {hole, 8192};
	EXPECT_ERR(process_vm_readv(getpid(), ours, 1, &bad, 1, 0), EFAULT);
	EXPECT_ERR(process_vm_readv(getpid(), &bad, 1, theirs, 1, 0), EFAULT);
	EXPECT_ERR(process_vm_readv(getpid(), &endless, 1, theirs, 1, 0), EINVAL);
	munmap(hole + 4096, 4096);
	EXPECT(process_vm_readv(getpid(), (struct iovec[]){{to, 8192}}, 1, &edge, 1, 0), 4096);
}

static void priorities(void)
{
	EXPECT(syscall(SYS_ioprio_get, 1, 0), 0);
	EXPECT(syscall(SYS_ioprio_set, 1, 0, 2 << 13 | 6), 0);
	EXPECT(syscall(SYS_ioprio_get, 1, 0), 2 << 13 | 6);
	EXPECT(syscall(SYS_ioprio_set, 1, 0, 3 << 13), 0);
	EXPECT(syscall(SYS_ioprio_get, 1, 0), 3 << 13);
	EXPECT_ERR(syscall(SYS_ioprio_set, 1, 0, 1), EINVAL);
	EXPECT_ERR(syscall(SYS_ioprio_set, 1, 0, 4 << 13), EINVAL);
	EXPECT_ERR(syscall(SYS_ioprio_set, 8, 0, 2 << 13), EINVAL);
	EXPECT_ERR(syscall(SYS_ioprio_get, 8, 0), EINVAL);
	EXPECT_ERR(syscall(SYS_ioprio_set, 1, 4000000, 2 << 13), ESRCH);
	int old = personality(0xffffffff);
	EXPECT(old, 0);
	EXPECT(personality(ADDR_NO_RANDOMIZE), 0);
	EXPECT(personality(0xffffffff), ADDR_NO_RANDOMIZE);
	EXPECT(personality(old), ADDR_NO_RANDOMIZE);
}

int main(void)
{
	pidfds();
	comparisons();
	memory();
	priorities();
	return guest_done();
}
