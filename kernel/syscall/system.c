/* Calls about the system as a whole. Owns the host and domain name of the cell. */
#include "kernel/syscall/system.h"

#include <linux/capability.h>
#include <linux/sysinfo.h>
#include <linux/utsname.h>

#include "kernel/mm/page.h"
#include "kernel/platform/platform.h"
#include "kernel/syscall/define.h"
#include "kernel/task/task.h"

#define NAME_MAX_BYTES 64
static char hostname[NAME_MAX_BYTES + 1], domainname[NAME_MAX_BYTES + 1] = "(none)";
static bool hostname_set;

const char *system_hostname(void)
{
	if (!hostname_set)
		vb_snprintf(hostname, sizeof(hostname), "%s", vb_boot_string(boot, boot->hostname));
	hostname_set = true;
	return hostname;
}

const char *system_domainname(void)
{
	return domainname;
}

SYSCALL(uname, uint64_t ubuf)
{
	struct new_utsname u = {.sysname = SYSTEM_NAME, .release = SYSTEM_RELEASE, .version = SYSTEM_VERSION, .machine = "x86_64"};

	vb_snprintf(u.nodename, sizeof(u.nodename), "%s", system_hostname());
	vb_snprintf(u.domainname, sizeof(u.domainname), "%s", domainname);
	return put_user(u, ubuf);
}

static int name_set(char *name, const char *new, size_t len)
{
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (len > NAME_MAX_BYTES)
		return -EINVAL;
	memset(name, 0, NAME_MAX_BYTES + 1);
	memcpy(name, new, len);
	return 0;
}

int system_hostname_set(const char *name, size_t len)
{
	system_hostname(); /* so that the boot page's does not come back */
	return name_set(hostname, name, len);
}

int system_domainname_set(const char *name, size_t len)
{
	return name_set(domainname, name, len);
}

static long name_from_user(int (*set)(const char *name, size_t len), uint64_t uname, int len)
{
	char name[NAME_MAX_BYTES];

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (len < 0 || len > NAME_MAX_BYTES)
		return -EINVAL;
	return copy_from_user(name, uname, (size_t)len) ? -EFAULT : set(name, (size_t)len);
}

SYSCALL(sethostname, uint64_t uname, int len)
{
	return name_from_user(system_hostname_set, uname, len);
}

SYSCALL(setdomainname, uint64_t uname, int len)
{
	return name_from_user(system_domainname_set, uname, len);
}

static void count_threads(struct process *p, void *arg)
{
	*(unsigned *)arg += p->thread_count;
}

unsigned system_thread_count(void)
{
	unsigned count = 0;

	process_for_each(count_threads, &count);
	return count;
}

SYSCALL(sysinfo, uint64_t uinfo)
{
	struct sysinfo info;

	memset(&info, 0, sizeof(info));
	info.uptime = (long)(platform_clock_ns(7 /* CLOCK_BOOTTIME */) / NSEC_PER_SEC);
	info.totalram = pages_total() * VB_PAGE_SIZE;
	info.freeram = pages_free() * VB_PAGE_SIZE;
	info.procs = (uint16_t)vb_min(system_thread_count(), 65535u);
	info.mem_unit = 1;
	return put_user(info, uinfo);
}

SYSCALL(personality, uint64_t persona)
{
	uint32_t old = current->process->personality;

	if ((uint32_t)persona != UINT32_MAX)
		current->process->personality = (uint32_t)persona; /* Linux takes any; the flags only ask for bugs of old systems */
	return old;
}

/* What no program in a cell may do, whoever it is. */
SYSCALL(syslog, int type, uint64_t ubuf, int len)
{
	return type < 0 || type > 10 ? -EINVAL : -EPERM;
}
SYSCALL(acct, uint64_t uname)
{
	return -EPERM;
}
SYSCALL(reboot, int magic1, int magic2, unsigned cmd, uint64_t arg)
{
	return -EPERM;
}
SYSCALL(vhangup, void)
{
	return -EPERM;
}
SYSCALL(swapon, uint64_t upath, int flags)
{
	return -EPERM;
}
SYSCALL(swapoff, uint64_t upath)
{
	return -EPERM;
}
