/* prctl and arch_prctl: attributes of the thread and process. What can't be had here is refused as a Linux built without it does. */
#include "kernel/syscall/define.h"
#include "kernel/task/task.h"

#include <asm/prctl.h>
#include <linux/capability.h>
#include <linux/prctl.h>
#include <linux/securebits.h>

#include "kernel/platform/platform.h"

#define CAP_BIT(cap)           (1ull << (cap))
#define DEFAULT_TIMER_SLACK_NS 50000
#define KEEP_CAPS_BIT          SECBIT_KEEP_CAPS

static long set_name(uint64_t uname)
{
	char name[sizeof(current->comm)] = "";
	long n = string_from_user(name, uname, sizeof(name));

	if (n == -EFAULT)
		return n;
	name[sizeof(name) - 1] = 0; /* a longer one is cut */
	memcpy(current->comm, name, sizeof(name));
	return 0;
}

static long get_name(uint64_t uname)
{
	char name[sizeof(current->comm)] = "";

	vb_snprintf(name, sizeof(name), "%s", current->comm);
	return copy_to_user(uname, name, sizeof(name));
}

static long set_securebits(uint64_t bits)
{
	uint32_t old = current->creds.securebits, changed = (uint32_t)bits ^ old;

	if (!capable(CAP_SETPCAP))
		return -EPERM;
	/* A locked bit and its lock stay; so do bits nobody knows. */
	if ((old & SECURE_ALL_LOCKS) >> 1 & changed || (old & SECURE_ALL_LOCKS & ~bits) ||
		(bits & ~(uint64_t)(SECURE_ALL_LOCKS | SECURE_ALL_BITS)))
		return -EPERM;
	current->creds.securebits = (uint32_t)bits;
	return 0;
}

static long set_keepcaps(uint64_t on)
{
	uint32_t *bits = &current->creds.securebits;

	if (on > 1)
		return -EINVAL;
	if (*bits & SECBIT_KEEP_CAPS_LOCKED)
		return -EPERM;
	*bits = on ? *bits | KEEP_CAPS_BIT : *bits & ~(uint32_t)KEEP_CAPS_BIT;
	return 0;
}

static long bounding_drop(uint64_t cap)
{
	if (!capable(CAP_SETPCAP))
		return -EPERM;
	if (cap > CAP_LAST_CAP)
		return -EINVAL;
	current->creds.cap_bounding &= ~CAP_BIT(cap);
	return 0;
}

static long ambient(uint64_t op, uint64_t cap, uint64_t arg4, uint64_t arg5)
{
	struct creds *c = &current->creds;

	if (op == PR_CAP_AMBIENT_CLEAR_ALL) {
		if (cap || arg4 || arg5)
			return -EINVAL;
		c->cap_ambient = 0;
		return 0;
	}
	if (cap > CAP_LAST_CAP || arg4 || arg5)
		return -EINVAL;
	switch (op) {
	case PR_CAP_AMBIENT_IS_SET:
		return c->cap_ambient >> cap & 1;
	case PR_CAP_AMBIENT_LOWER:
		c->cap_ambient &= ~CAP_BIT(cap);
		return 0;
	case PR_CAP_AMBIENT_RAISE:
		if (!(c->cap_permitted & c->cap_inheritable & CAP_BIT(cap)) || (c->securebits & SECBIT_NO_CAP_AMBIENT_RAISE))
			return -EPERM;
		c->cap_ambient |= CAP_BIT(cap);
		return 0;
	default:
		return -EINVAL;
	}
}

static long set_death_signal(uint64_t sig)
{
	if (sig > SIG_COUNT)
		return -EINVAL;
	current->death_signal = (int)sig;
	return 0;
}

static long set_timer_slack(int64_t slack)
{
	current->timer_slack_ns = slack > 0 ? (uint64_t)slack : DEFAULT_TIMER_SLACK_NS;
	return 0;
}

SYSCALL(prctl, int option, uint64_t arg2, uint64_t arg3, uint64_t arg4, uint64_t arg5)
{
	struct process *p = current->process;
	bool more = arg3 || arg4 || arg5; /* arguments that must be 0 */

	switch (option) {
	case PR_SET_NAME:
		return set_name(arg2);
	case PR_GET_NAME:
		return get_name(arg2);
	case PR_SET_DUMPABLE:
		if (arg2 > 1)
			return -EINVAL;
		p->dumpable = arg2;
		return 0;
	case PR_GET_DUMPABLE:
		return p->dumpable;
	case PR_SET_NO_NEW_PRIVS:
		if (arg2 != 1 || more)
			return -EINVAL;
		current->creds.no_new_privs = true;
		return 0;
	case PR_GET_NO_NEW_PRIVS:
		return arg2 || more ? -EINVAL : current->creds.no_new_privs;
	case PR_SET_KEEPCAPS:
		return set_keepcaps(arg2);
	case PR_GET_KEEPCAPS:
		return (current->creds.securebits & KEEP_CAPS_BIT) != 0;
	case PR_SET_SECUREBITS:
		return set_securebits(arg2);
	case PR_GET_SECUREBITS:
		return current->creds.securebits;
	case PR_SET_PDEATHSIG:
		return set_death_signal(arg2);
	case PR_GET_PDEATHSIG:
		return put_user((int32_t)current->death_signal, arg2);
	case PR_CAPBSET_READ:
		return arg2 > CAP_LAST_CAP ? -EINVAL : (long)(current->creds.cap_bounding >> arg2 & 1);
	case PR_CAPBSET_DROP:
		return bounding_drop(arg2);
	case PR_CAP_AMBIENT:
		return ambient(arg2, arg3, arg4, arg5);
	case PR_SET_TIMERSLACK:
		return set_timer_slack((int64_t)arg2);
	case PR_GET_TIMERSLACK:
		return (long)current->timer_slack_ns;
	case PR_SET_CHILD_SUBREAPER:
		p->child_subreaper = arg2 != 0;
		return 0;
	case PR_GET_CHILD_SUBREAPER:
		return put_user((int32_t)p->child_subreaper, arg2);
	case PR_SET_THP_DISABLE:
		if (more)
			return -EINVAL;
		p->thp_disable = arg2 != 0;
		return 0;
	case PR_GET_THP_DISABLE:
		return arg2 || more ? -EINVAL : p->thp_disable;
	case PR_GET_TSC:
		return put_user((int32_t)PR_TSC_ENABLE, arg2);
	case PR_SET_TSC:
		return arg2 == PR_TSC_ENABLE ? 0 : -EINVAL;
	case PR_GET_SECCOMP: /* no filter */
	case PR_GET_TIMING:
		return PR_TIMING_STATISTICAL;
	case PR_SET_TIMING:
		return arg2 == PR_TIMING_STATISTICAL ? 0 : -EINVAL;
	case PR_SET_MM:
		return -EPERM;
	default: /* PR_SET_VMA, seccomp, speculation, scheduling groups: as a Linux without them */
		return -EINVAL;
	}
}

SYSCALL(arch_prctl, int option, uint64_t arg)
{
	switch (option) {
	case ARCH_SET_FS:
		if (!user_range_ok(arg, 1))
			return -EPERM;
		platform_fs_base_set(arg);
		return 0;
	case ARCH_SET_GS:
		if (!user_range_ok(arg, 1))
			return -EPERM;
		platform_gs_base_set(arg);
		return 0;
	case ARCH_GET_FS:
		return put_user(platform_fs_base_get(), arg);
	case ARCH_GET_GS:
		return put_user(platform_gs_base_get(), arg);
	case ARCH_GET_CPUID:
		return 1;
	case ARCH_SET_CPUID:
		return -ENODEV;
	default:
		return -EINVAL;
	}
}
