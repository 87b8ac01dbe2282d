/* Ids, credentials, capabilities, limits, prctl, scheduling, names, randomness. Natively it must run as root. */
#include "guest.h"

#include <asm/prctl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

static void test_ids(void)
{
	EXPECT_TRUE(getpid() > 0 && gettid() == getpid());
	EXPECT(getpgid(0), getpgrp());
	EXPECT(getpgid(getpid()), getpgrp());
	EXPECT_ERR(getpgid(0x3ffffff), ESRCH);
	EXPECT_ERR(getsid(0x3ffffff), ESRCH);
	EXPECT_TRUE(getsid(0) >= 0);
	EXPECT_ERR(setpgid(0, -1), EINVAL);
	EXPECT_ERR(setpgid(0x3ffffff, 0), ESRCH);
	EXPECT_ERR(wait4(-1, NULL, 0, NULL), ECHILD);
	EXPECT_ERR(wait4(-1, NULL, WNOHANG, NULL), ECHILD);
	EXPECT_ERR(wait4(-1, NULL, 0x100, NULL), EINVAL);
	EXPECT_ERR(wait4((pid_t)0x80000000, NULL, 0, NULL), ESRCH);
	EXPECT_ERR(waitid(P_ALL, 0, NULL, WEXITED), ECHILD);
	EXPECT_ERR(waitid(P_ALL, 0, NULL, 0), EINVAL);
	EXPECT_ERR(waitid(99, 0, NULL, WEXITED), EINVAL);
	EXPECT_ERR(waitid(P_PID, 0, NULL, WEXITED), EINVAL);
}

static void test_creds(void)
{
	gid_t groups[64], set[3] = {30, 10, 20};
	uid_t r, e, s;

	EXPECT(setgroups(3, set), 0);
	EXPECT(getgroups(0, NULL), 3);
	EXPECT(getgroups(64, groups), 3);
	EXPECT(groups[0], 10); /* sorted */
	EXPECT(groups[2], 30);
	EXPECT_ERR(getgroups(1, groups), EINVAL);
	EXPECT_ERR(syscall(SYS_getgroups, -1, groups), EINVAL);
	EXPECT_ERR(syscall(SYS_setgroups, 1, 1), EFAULT);
	EXPECT_ERR(syscall(SYS_setgroups, -1, groups), EINVAL);
	EXPECT_ERR(syscall(SYS_setuid, -1), EINVAL);
	EXPECT(syscall(SYS_setresgid, 100, 101, 102), 0);
	EXPECT(getgid(), 100);
	EXPECT(getegid(), 101);
	EXPECT(getresgid(&r, &e, &s), 0);
	EXPECT(s, 102);
	EXPECT(syscall(SYS_setfsgid, 555), 101);
	EXPECT(syscall(SYS_setfsgid, -1), 555);
	EXPECT(syscall(SYS_setresuid, 1000, 1001, 0), 0);
	EXPECT(getuid(), 1000);
	EXPECT(geteuid(), 1001);
	EXPECT_ERR(syscall(SYS_setresuid, 5, -1, -1), EPERM); /* no capability any more */
	EXPECT_ERR(syscall(SYS_setuid, 5), EPERM);
	EXPECT_ERR(syscall(SYS_setreuid, 5, -1), EPERM);
	EXPECT_ERR(syscall(SYS_setgroups, 0, NULL), EPERM);
	EXPECT_ERR(syscall(SYS_setgid, 999), EPERM);
	EXPECT_ERR(sethostname("x", 1), EPERM);
	EXPECT(syscall(SYS_setresuid, -1, 0, -1), 0); /* back to root by the saved id */
	EXPECT(geteuid(), 0);
	EXPECT(syscall(SYS_setreuid, 0, -1), 0);
	EXPECT(getresuid(&r, &e, &s), 0);
	EXPECT_TRUE(r == 0 && e == 0 && s == 0);
	EXPECT_ERR(syscall(SYS_getresuid, 1, &e, &s), EFAULT);
	EXPECT(syscall(SYS_setresgid, 0, 0, 0), 0);
}

static void test_capabilities(void)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2], less[2];

	EXPECT(syscall(SYS_capget, &header, data), 0);
	EXPECT(data[0].effective >> CAP_CHOWN & 1, 1);
	memcpy(less, data, sizeof(less));
	less[0].effective &= ~(1u << CAP_SETUID);
	EXPECT(syscall(SYS_capset, &header, less), 0);
	EXPECT_ERR(syscall(SYS_setresuid, 1, 2, 3), EPERM);
	EXPECT(syscall(SYS_capset, &header, data), 0);
	less[0].effective |= 1u << CAP_SETUID;
	less[0].permitted &= ~(1u << CAP_SETUID);
	EXPECT_ERR(syscall(SYS_capset, &header, less), EPERM); /* effective beyond permitted */
	header.version = 1;
	EXPECT_ERR(syscall(SYS_capget, &header, data), EINVAL);
	EXPECT(header.version, _LINUX_CAPABILITY_VERSION_3);
	header.pid = 0x3ffffff;
	EXPECT_ERR(syscall(SYS_capget, &header, data), ESRCH);
	EXPECT_ERR(syscall(SYS_capset, &header, data), EPERM);
	EXPECT_ERR(syscall(SYS_capget, 1, NULL), EFAULT);
	EXPECT(prctl(PR_CAPBSET_READ, CAP_CHOWN), 1);
	EXPECT_ERR(prctl(PR_CAPBSET_READ, 99), EINVAL);
	EXPECT(prctl(PR_CAPBSET_DROP, CAP_SYS_BOOT), 0);
	EXPECT(prctl(PR_CAPBSET_READ, CAP_SYS_BOOT), 0);
	EXPECT(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_CHOWN, 0, 0), 0);
	EXPECT_ERR(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0), EPERM);
	EXPECT_ERR(prctl(PR_CAP_AMBIENT, 99, CAP_CHOWN, 0, 0), EINVAL);
}

static void test_prctl(void)
{
	char name[17] = "";
	int value = -1;
	unsigned long base = 0;

	EXPECT(prctl(PR_SET_NAME, "a name that is too long"), 0);
	EXPECT(prctl(PR_GET_NAME, name), 0);
	EXPECT(strcmp(name, "a name that is "), 0);
	EXPECT_ERR(prctl(PR_SET_NAME, 1), EFAULT);
	EXPECT(prctl(PR_SET_DUMPABLE, 1), 0);
	EXPECT(prctl(PR_GET_DUMPABLE), 1);
	EXPECT_ERR(prctl(PR_SET_DUMPABLE, 2), EINVAL);
	EXPECT(prctl(PR_GET_KEEPCAPS), 0);
	EXPECT(prctl(PR_SET_KEEPCAPS, 1), 0);
	EXPECT(prctl(PR_GET_KEEPCAPS), 1);
	EXPECT_ERR(prctl(PR_SET_KEEPCAPS, 2), EINVAL);
	prctl(PR_SET_KEEPCAPS, 0);
	EXPECT(prctl(PR_SET_PDEATHSIG, SIGUSR1), 0);
	EXPECT(prctl(PR_GET_PDEATHSIG, &value), 0);
	EXPECT(value, SIGUSR1);
	EXPECT_ERR(prctl(PR_SET_PDEATHSIG, 65), EINVAL);
	EXPECT(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 0);
	EXPECT_ERR(prctl(PR_SET_NO_NEW_PRIVS, 2, 0, 0, 0), EINVAL);
	EXPECT_ERR(prctl(PR_SET_NO_NEW_PRIVS, 1, 1, 0, 0), EINVAL);
	EXPECT(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	EXPECT(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
	EXPECT(prctl(PR_SET_TIMERSLACK, 1000), 0);
	EXPECT(prctl(PR_GET_TIMERSLACK), 1000);
	prctl(PR_SET_TIMERSLACK, 0);
	EXPECT(prctl(PR_GET_TIMERSLACK), 50000);
	EXPECT(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	EXPECT(prctl(PR_GET_CHILD_SUBREAPER, &value), 0);
	EXPECT(value, 1);
	EXPECT(prctl(PR_GET_SECUREBITS), 0);
	EXPECT(prctl(PR_GET_TSC, &value), 0);
	EXPECT(value, PR_TSC_ENABLE);
	EXPECT_ERR(prctl(12345, 0, 0, 0, 0), EINVAL);
	EXPECT(syscall(SYS_arch_prctl, ARCH_GET_FS, &base), 0);
	EXPECT_TRUE(base != 0);
	EXPECT(syscall(SYS_arch_prctl, ARCH_SET_GS, 0x1234), 0);
	EXPECT(syscall(SYS_arch_prctl, ARCH_GET_GS, &base), 0);
	EXPECT(base, 0x1234);
	syscall(SYS_arch_prctl, ARCH_SET_GS, 0);
	EXPECT_ERR(syscall(SYS_arch_prctl, ARCH_SET_FS, -1l), EPERM);
	EXPECT_ERR(syscall(SYS_arch_prctl, ARCH_GET_FS, 1), EFAULT);
	EXPECT_ERR(syscall(SYS_arch_prctl, 0x7777, 0), EINVAL);
}

static void test_limits(void)
{
	struct rlimit old, new;
	struct rusage usage;

	EXPECT(getrlimit(RLIMIT_NOFILE, &old), 0);
	new = old;
	new.rlim_cur = 100;
	EXPECT(setrlimit(RLIMIT_NOFILE, &new), 0);
	getrlimit(RLIMIT_NOFILE, &new);
	EXPECT(new.rlim_cur, 100);
	new.rlim_cur = new.rlim_max + 1;
	if (new.rlim_max == RLIM_INFINITY)
		new.rlim_cur = 2, new.rlim_max = 1;
	EXPECT_ERR(setrlimit(RLIMIT_NOFILE, &new), EINVAL);
	EXPECT(setrlimit(RLIMIT_NOFILE, &old), 0);
	EXPECT_ERR(syscall(SYS_getrlimit, 16, &old), EINVAL);
	EXPECT_ERR(syscall(SYS_setrlimit, 16, &old), EINVAL);
	EXPECT_ERR(syscall(SYS_getrlimit, RLIMIT_CPU, 1), EFAULT);
	EXPECT_ERR(syscall(SYS_setrlimit, RLIMIT_CPU, 1), EFAULT);
	EXPECT_ERR(syscall(SYS_prlimit64, 0x3ffffff, RLIMIT_CPU, NULL, &old), ESRCH);
	EXPECT(syscall(SYS_prlimit64, getpid(), RLIMIT_STACK, NULL, &old), 0);
	EXPECT(old.rlim_cur, 8 << 20);
	EXPECT(getrusage(RUSAGE_SELF, &usage), 0);
	EXPECT_TRUE(usage.ru_maxrss > 0);
	EXPECT(getrusage(RUSAGE_THREAD, &usage), 0);
	EXPECT(getrusage(RUSAGE_CHILDREN, &usage), 0);
	EXPECT(usage.ru_utime.tv_sec, 0);
	EXPECT_ERR(getrusage(5, &usage), EINVAL);
	EXPECT_ERR(syscall(SYS_getrusage, RUSAGE_SELF, 1), EFAULT);
}

static void test_sched(void)
{
	struct sched_param param = {.sched_priority = 0};
	struct timespec ts;
	cpu_set_t set;
	unsigned cpu = 9999, node = 99, first = 0;

	EXPECT(sched_yield(), 0);
	EXPECT(sched_getscheduler(0), SCHED_OTHER);
	EXPECT_ERR(sched_getscheduler(-1), EINVAL);
	EXPECT_ERR(sched_getscheduler(0x3ffffff), ESRCH);
	EXPECT(sched_getparam(0, &param), 0);
	EXPECT_ERR(sched_getparam(0, NULL), EINVAL);
	EXPECT(sched_setscheduler(0, SCHED_BATCH, &param), 0);
	EXPECT(sched_getscheduler(0), SCHED_BATCH);
	EXPECT_ERR(sched_setscheduler(0, 77, &param), EINVAL);
	param.sched_priority = 1;
	EXPECT_ERR(sched_setscheduler(0, SCHED_OTHER, &param), EINVAL);
	param.sched_priority = 0;
	EXPECT_ERR(sched_setscheduler(0, SCHED_FIFO, &param), EINVAL);
	EXPECT(sched_setscheduler(0, SCHED_OTHER, &param), 0);
	EXPECT(sched_get_priority_max(SCHED_FIFO), 99);
	EXPECT(sched_get_priority_min(SCHED_RR), 1);
	EXPECT(sched_get_priority_max(SCHED_OTHER), 0);
	EXPECT_ERR(sched_get_priority_max(77), EINVAL);
	EXPECT(sched_rr_get_interval(0, &ts), 0);
	EXPECT(sched_getaffinity(0, sizeof(set), &set), 0);
	EXPECT_TRUE(CPU_COUNT(&set) >= 1);
	while (first < CPU_SETSIZE - 1 && !CPU_ISSET(first, &set))
		first++;
	EXPECT_ERR(syscall(SYS_sched_getaffinity, 0, 3, &set), EINVAL);
	CPU_ZERO(&set);
	EXPECT_ERR(sched_setaffinity(0, sizeof(set), &set), EINVAL);
	CPU_SET(first, &set);
	EXPECT(sched_setaffinity(0, sizeof(set), &set), 0);
	EXPECT_ERR(sched_setaffinity(0x3ffffff, sizeof(set), &set), ESRCH);
	EXPECT(syscall(SYS_getcpu, &cpu, &node, NULL), 0);
	EXPECT_TRUE(cpu == first); /* bound to it */
	EXPECT_TRUE(node < 99);
	EXPECT(setpriority(PRIO_PROCESS, 0, 0), 0); /* whoever ran the tests may be nice */
	EXPECT(getpriority(PRIO_PROCESS, 0), 0);
	EXPECT(setpriority(PRIO_PROCESS, 0, 5), 0);
	EXPECT(getpriority(PRIO_PROCESS, 0), 5);
	EXPECT(syscall(SYS_getpriority, PRIO_PROCESS, 0), 15);
	EXPECT(setpriority(PRIO_PROCESS, 0, 100), 0);
	EXPECT(getpriority(PRIO_PROCESS, 0), 19);
	EXPECT_ERR(getpriority(9, 0), EINVAL);
	EXPECT_ERR(getpriority(PRIO_PROCESS, 0x3ffffff), ESRCH);
}

static void test_system(void)
{
	struct utsname u;
	struct sysinfo info;
	char random1[64], random2[64];

	EXPECT(uname(&u), 0);
	EXPECT(strcmp(u.sysname, "Linux"), 0);
	EXPECT(strcmp(u.machine, "x86_64"), 0);
	EXPECT_ERR(syscall(SYS_uname, 1), EFAULT);
	EXPECT_ERR(syscall(SYS_sethostname, "x", -1), EINVAL);
	EXPECT_ERR(syscall(SYS_sethostname, 1, 1), EFAULT);
	EXPECT(sysinfo(&info), 0);
	EXPECT_TRUE(info.totalram >= info.freeram && info.mem_unit == 1 && info.procs >= 1);
	EXPECT_ERR(syscall(SYS_sysinfo, 1), EFAULT);
	EXPECT(personality(0xffffffff), 0);
	EXPECT(getrandom(random1, 64, 0), 64);
	EXPECT(getrandom(random2, 64, GRND_NONBLOCK), 64);
	EXPECT_TRUE(memcmp(random1, random2, 64) != 0);
	EXPECT(getrandom(random1, 0, 0), 0);
	EXPECT_ERR(getrandom(random1, 1, 0x80), EINVAL);
	EXPECT_ERR(getrandom(random1, 1, GRND_RANDOM | 4 /* GRND_INSECURE */), EINVAL);
	EXPECT_ERR(syscall(SYS_getrandom, 1, 64, 0), EFAULT);
	EXPECT_TRUE(getauxval(AT_PAGESZ) == 4096 && getauxval(AT_RANDOM) && getauxval(AT_SECURE) == 0);
}

int main(void)
{
	test_ids();
	test_creds();
	test_capabilities();
	test_limits();
	test_sched();
	test_prctl();
	test_system();
	return guest_done();
}
