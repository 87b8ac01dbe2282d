/* /proc/PID and /proc/PID/task/TID: what a process and its threads show of themselves. */
#include <asm/auxvec.h>

#include "kernel/fs/proc.h"
#include "kernel/mm/mm.h"
#include "kernel/task/signal.h"

#define TICKS_PER_SEC 100ull

static char state_letter(const struct task *t)
{
	if (t->process->stopped)
		return 'T';
	if (t->state == TASK_DEAD)
		return 'Z';
	if (t == current || t->state == TASK_RUNNABLE)
		return 'R';
	return t->interruptible ? 'S' : 'D';
}

/* --- identity --- */

static int show_comm(struct proc_text *out, const struct proc_subject *s)
{
	const struct task *t = proc_task(s);

	if (!t)
		return -ESRCH;
	proc_printf(out, "%s\n", t->comm);
	return 0;
}

static int write_comm(const struct proc_subject *s, const char *text, size_t len)
{
	struct task *t = proc_task(s);

	if (!t)
		return -ESRCH;
	if (t->process != current->process)
		return -EINVAL;
	size_t n = vb_min(len, sizeof(t->comm) - 1);
	memset(t->comm, 0, sizeof(t->comm));
	memcpy(t->comm, text, n);
	return 0;
}

static int show_memory(struct proc_text *out, const struct proc_subject *s, uint64_t start, uint64_t end)
{
	const struct process *p = proc_process(s);
	char piece[256];

	while (start < end) {
		size_t n = mm_peek(p->mm, start, piece, vb_min(end - start, (uint64_t)sizeof(piece)));
		if (!n)
			break;
		proc_append(out, piece, n);
		start += n;
	}
	return 0;
}

static const struct mm_layout *layout_of(const struct proc_subject *s)
{
	const struct process *p = proc_process(s);

	return p && p->mm ? mm_layout(p->mm) : NULL;
}

static int show_cmdline(struct proc_text *out, const struct proc_subject *s)
{
	const struct mm_layout *l = layout_of(s);

	return l ? show_memory(out, s, l->arg_start, l->arg_end) : -ESRCH;
}

static int show_environ(struct proc_text *out, const struct proc_subject *s)
{
	const struct mm_layout *l = layout_of(s);

	return l ? show_memory(out, s, l->env_start, l->env_end) : -ESRCH;
}

static int show_auxv(struct proc_text *out, const struct proc_subject *s)
{
	const struct mm_layout *l = layout_of(s);

	return l ? show_memory(out, s, l->aux_start, l->aux_start + l->aux_bytes) : -ESRCH;
}

static long target_exe(const struct proc_subject *s, char *buf, size_t size)
{
	const struct process *p = proc_process(s);

	return p ? vb_min(vb_snprintf(buf, size, "%s", p->comm_exe), (int)size) : -ENOENT;
}

static long target_path(struct dentry *d, char *buf, size_t size)
{
	return d ? dentry_path(d, buf, size, true) : -ENOENT;
}

static struct dentry *referenced(struct dentry *d)
{
	if (d)
		dentry_ref(d);
	return d;
}

static struct dentry *cwd_of(const struct proc_subject *s)
{
	const struct process *p = proc_process(s);

	return p && p->fs ? p->fs->cwd : NULL;
}

static struct dentry *root_of(const struct proc_subject *s)
{
	const struct process *p = proc_process(s);

	return p && p->fs ? p->fs->root : NULL;
}

static struct dentry *fd_dentry(const struct proc_subject *s)
{
	const struct file *f = proc_file(s);

	return f ? f->dentry : NULL;
}

static long target_cwd(const struct proc_subject *s, char *buf, size_t size)
{
	return target_path(cwd_of(s), buf, size);
}
static long target_root(const struct proc_subject *s, char *buf, size_t size)
{
	return target_path(root_of(s), buf, size);
}
static long target_fd(const struct proc_subject *s, char *buf, size_t size)
{
	return target_path(fd_dentry(s), buf, size);
}
static struct dentry *follow_cwd(const struct proc_subject *s)
{
	return referenced(cwd_of(s));
}
static struct dentry *follow_root(const struct proc_subject *s)
{
	return referenced(root_of(s));
}
static struct dentry *follow_fd(const struct proc_subject *s)
{
	return referenced(fd_dentry(s));
}

static int show_fdinfo(struct proc_text *out, const struct proc_subject *s)
{
	const struct file *f = proc_file(s);

	if (!f)
		return -ENOENT;
	unsigned flags = f->flags;
	if (proc_process(s) == current->process && fd_cloexec(s->fd))
		flags |= O_CLOEXEC;
	proc_printf(out, "pos:\t%llu\nflags:\t0%o\nmnt_id:\t1\nino:\t%llu\n", (unsigned long long)f->pos, flags,
		(unsigned long long)f->inode->ino);
	return 0;
}

/* --- stat, statm, status --- */

struct signal_sets {
	sigset ignored, caught;
};

static struct signal_sets signal_sets_of(const struct process *p)
{
	struct signal_sets sets = {0, 0};

	for (int sig = 1; sig <= SIG_COUNT; sig++) {
		if (p->action[sig - 1].handler == ACTION_IGNORE)
			sets.ignored |= sig_bit(sig);
		else if (p->action[sig - 1].handler != ACTION_DEFAULT)
			sets.caught |= sig_bit(sig);
	}
	return sets;
}

/* Of the thread when below task/, else of the process. */
static void cpu_ticks(const struct proc_subject *s, bool thread, unsigned long long *ret_user, unsigned long long *ret_kernel)
{
	const struct process *p = proc_process(s);
	uint64_t user, kernel;

	process_cpu_split(p, thread ? task_cpu_ns(proc_task(s)) : process_cpu_ns(p), &user, &kernel);
	*ret_user = user * TICKS_PER_SEC / NSEC_PER_SEC;
	*ret_kernel = kernel * TICKS_PER_SEC / NSEC_PER_SEC;
}

static int stat_show(struct proc_text *out, const struct proc_subject *s, bool thread)
{
	const struct task *t = proc_task(s);
	unsigned long long user, kernel;

	if (!t)
		return -ESRCH;
	const struct process *p = t->process;
	const struct mm_layout *l = mm_layout(p->mm);
	struct signal_sets sets = signal_sets_of(p);
	cpu_ticks(s, thread, &user, &kernel);
	int policy = t->sched_policy & 0xff;
	long priority = t->sched_priority ? -1 - t->sched_priority : 20 + t->nice;
	proc_printf(out, "%d (%s) %c %d %d %d %d %d %u %llu 0 %llu 0 %llu %llu 0 0 %ld %d %u 0 %llu", t->tid, t->comm, state_letter(t),
		p->ppid, p->pgid, p->sid, 0 /* tty_nr */, -1 /* tpgid */, 0x400000u /* PF_RANDOMIZE */, (unsigned long long)stats->faults,
		0ull, user, kernel, priority, t->nice, p->thread_count, (unsigned long long)(p->start_ns * TICKS_PER_SEC / NSEC_PER_SEC));
	proc_printf(out, " %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu", (unsigned long long)mm_total_bytes(p->mm),
		(unsigned long long)(mm_resident_bytes(p->mm) / VB_PAGE_SIZE), (unsigned long long)p->rlimit[RLIMIT_RSS].cur,
		(unsigned long long)l->code_start, (unsigned long long)l->code_end, (unsigned long long)l->stack_top, 0ull, 0ull,
		(unsigned long long)(t->pending.set & INT32_MAX), (unsigned long long)(t->sigmask & INT32_MAX),
		(unsigned long long)(sets.ignored & INT32_MAX), (unsigned long long)(sets.caught & INT32_MAX));
	proc_printf(out, " 0 0 0 17 0 %d %d 0 0 0 %llu %llu %llu %llu %llu %llu %llu 0\n", t->sched_priority, policy,
		(unsigned long long)l->data_start, (unsigned long long)l->data_end, (unsigned long long)l->brk_start,
		(unsigned long long)l->arg_start, (unsigned long long)l->arg_end, (unsigned long long)l->env_start,
		(unsigned long long)l->env_end);
	return 0;
}

static int show_stat(struct proc_text *out, const struct proc_subject *s)
{
	return stat_show(out, s, false);
}
static int show_task_stat(struct proc_text *out, const struct proc_subject *s)
{
	return stat_show(out, s, true);
}

struct memory_sums {
	uint64_t text, data, stack, shared, locked, lib;
};

static void memory_sum(const struct area *a, void *arg)
{
	struct memory_sums *sums = arg;
	uint64_t bytes = a->end - a->start;

	if (a->grows_down)
		sums->stack += bytes;
	else if (a->inode && (a->prot & PROT_X))
		sums->text += bytes;
	else if (!a->shared && (a->prot & PROT_W))
		sums->data += bytes;
	if (a->shared)
		sums->shared += bytes;
	if (a->locked)
		sums->locked += bytes;
}

static struct memory_sums memory_sums_of(const struct process *p)
{
	struct memory_sums sums = {0};
	const struct mm_layout *l = mm_layout(p->mm);

	mm_for_each_area(p->mm, memory_sum, &sums);
	uint64_t text = vb_page_up(l->code_end) - vb_page_down(l->code_start);
	sums.lib = sums.text > text ? sums.text - text : 0;
	sums.text = text;
	return sums;
}

static int show_statm(struct proc_text *out, const struct proc_subject *s)
{
	const struct process *p = proc_process(s);

	if (!p || !p->mm)
		return -ESRCH;
	struct memory_sums sums = memory_sums_of(p);
	proc_printf(out, "%llu %llu 0 %llu 0 %llu 0\n", (unsigned long long)(mm_total_bytes(p->mm) / VB_PAGE_SIZE),
		(unsigned long long)(mm_resident_bytes(p->mm) / VB_PAGE_SIZE), (unsigned long long)(sums.text / VB_PAGE_SIZE),
		(unsigned long long)((sums.data + sums.stack) / VB_PAGE_SIZE));
	return 0;
}

static void status_memory(struct proc_text *out, const struct process *p)
{
	struct memory_sums sums = memory_sums_of(p);
	unsigned long long total = mm_total_bytes(p->mm) >> 10, resident = mm_resident_bytes(p->mm) >> 10;

	proc_printf(out,
		"VmPeak:\t%8llu kB\nVmSize:\t%8llu kB\nVmLck:\t%8llu kB\nVmPin:\t       0 kB\nVmHWM:\t%8llu kB\nVmRSS:\t%8llu kB\n", total,
		total, (unsigned long long)(sums.locked >> 10), resident, resident);
	proc_printf(out, "RssAnon:\t%8llu kB\nRssFile:\t       0 kB\nRssShmem:\t       0 kB\n", resident);
	proc_printf(out,
		"VmData:\t%8llu kB\nVmStk:\t%8llu kB\nVmExe:\t%8llu kB\nVmLib:\t%8llu kB\nVmPTE:\t       0 kB\nVmSwap:\t       0 kB\n"
		"HugetlbPages:\t       0 kB\nCoreDumping:\t0\nTHP_enabled:\t0\n",
		(unsigned long long)(sums.data >> 10), (unsigned long long)(sums.stack >> 10), (unsigned long long)(sums.text >> 10),
		(unsigned long long)(sums.lib >> 10));
}

static void status_signals(struct proc_text *out, const struct task *t)
{
	const struct process *p = t->process;
	struct signal_sets sets = signal_sets_of(p);
	unsigned queued = p->pending.count;

	list_for_each(other, &p->threads, struct task, thread_node)
		queued += other->pending.count;
	proc_printf(out, "Threads:\t%u\nSigQ:\t%u/%llu\n", p->thread_count, queued, (unsigned long long)p->rlimit[RLIMIT_SIGPENDING].cur);
	proc_printf(out, "SigPnd:\t%016llx\nShdPnd:\t%016llx\nSigBlk:\t%016llx\nSigIgn:\t%016llx\nSigCgt:\t%016llx\n",
		(unsigned long long)t->pending.set, (unsigned long long)p->pending.set, (unsigned long long)t->sigmask,
		(unsigned long long)sets.ignored, (unsigned long long)sets.caught);
}

static void status_creds(struct proc_text *out, const struct creds *c)
{
	proc_printf(out, "CapInh:\t%016llx\nCapPrm:\t%016llx\nCapEff:\t%016llx\nCapBnd:\t%016llx\nCapAmb:\t%016llx\n",
		(unsigned long long)c->cap_inheritable, (unsigned long long)c->cap_permitted, (unsigned long long)c->cap_effective,
		(unsigned long long)c->cap_bounding, (unsigned long long)c->cap_ambient);
	proc_printf(out, "NoNewPrivs:\t%d\nSeccomp:\t0\nSeccomp_filters:\t0\nSpeculation_Store_Bypass:\tunknown\n", c->no_new_privs);
}

static bool highest_fd(int fd, struct file *f, bool cloexec, void *arg)
{
	int *highest = arg;

	*highest = vb_max(*highest, fd);
	return true;
}

static const char *state_name(char letter)
{
	switch (letter) {
	case 'R':
		return "R (running)";
	case 'S':
		return "S (sleeping)";
	case 'D':
		return "D (disk sleep)";
	case 'T':
		return "T (stopped)";
	default:
		return "Z (zombie)";
	}
}

static int show_status(struct proc_text *out, const struct proc_subject *s)
{
	const struct task *t = proc_task(s);
	int highest = 0;

	if (!t || !t->process->mm)
		return -ESRCH;
	const struct process *p = t->process;
	const struct creds *c = &t->creds;
	file_table_for_each(p->files, highest_fd, &highest);
	proc_printf(out, "Name:\t%s\nUmask:\t%04o\nState:\t%s\nTgid:\t%d\nNgid:\t0\nPid:\t%d\nPPid:\t%d\nTracerPid:\t0\n", t->comm,
		p->fs->umask, state_name(state_letter(t)), p->pid, t->tid, p->ppid);
	proc_printf(out, "Uid:\t%u\t%u\t%u\t%u\nGid:\t%u\t%u\t%u\t%u\nFDSize:\t%d\nGroups:\t", c->ruid, c->euid, c->suid, c->fsuid, c->rgid,
		c->egid, c->sgid, c->fsgid, vb_max((highest + 64) & ~63, 64));
	for (uint32_t i = 0; i < c->group_count; i++)
		proc_printf(out, "%u ", c->groups[i]);
	proc_printf(out, "%s\nNStgid:\t%d\nNSpid:\t%d\nNSpgid:\t%d\nNSsid:\t%d\nKthread:\t0\n", c->group_count ? "" : " ", p->pid, t->tid,
		p->pgid, p->sid);
	status_memory(out, p);
	status_signals(out, t);
	status_creds(out, c);
	proc_printf(out, "Cpus_allowed:\t1\nCpus_allowed_list:\t0\nMems_allowed:\t1\nMems_allowed_list:\t0\n");
	proc_printf(out, "voluntary_ctxt_switches:\t%llu\nnonvoluntary_ctxt_switches:\t0\n", (unsigned long long)stats->switches);
	return 0;
}

/* --- limits and the rest --- */

static int show_limits(struct proc_text *out, const struct proc_subject *s)
{
	static const struct {
		const char *name, *unit;
		int which;
	} rows[] = {
		/* in Linux's order */
		{"Max cpu time", "seconds", RLIMIT_CPU},
		{"Max file size", "bytes", RLIMIT_FSIZE},
		{"Max data size", "bytes", RLIMIT_DATA},
		{"Max stack size", "bytes", RLIMIT_STACK},
		{"Max core file size", "bytes", RLIMIT_CORE},
		{"Max resident set", "bytes", RLIMIT_RSS},
		{"Max processes", "processes", RLIMIT_NPROC},
		{"Max open files", "files", RLIMIT_NOFILE},
		{"Max locked memory", "bytes", RLIMIT_MEMLOCK},
		{"Max address space", "bytes", RLIMIT_AS},
		{"Max file locks", "locks", RLIMIT_LOCKS},
		{"Max pending signals", "signals", RLIMIT_SIGPENDING},
		{"Max msgqueue size", "bytes", RLIMIT_MSGQUEUE},
		{"Max nice priority", "", RLIMIT_NICE},
		{"Max realtime priority", "", RLIMIT_RTPRIO},
		{"Max realtime timeout", "us", RLIMIT_RTTIME},
	};
	const struct process *p = proc_process(s);

	if (!p)
		return -ESRCH;
	proc_printf(out, "%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units");
	for (unsigned i = 0; i < VB_ARRAY_LEN(rows); i++) {
		uint64_t values[] = {p->rlimit[rows[i].which].cur, p->rlimit[rows[i].which].max};
		proc_printf(out, "%-25s", rows[i].name);
		for (int k = 0; k < 2; k++) {
			char number[24] = "unlimited";
			if (values[k] != UINT64_MAX)
				vb_snprintf(number, sizeof(number), "%llu", (unsigned long long)values[k]);
			proc_printf(out, " %-20s", number);
		}
		proc_printf(out, " %-10s\n", rows[i].unit);
	}
	return 0;
}

static int show_schedstat(struct proc_text *out, const struct proc_subject *s)
{
	const struct task *t = proc_task(s);

	if (!t)
		return -ESRCH;
	proc_printf(out, "%llu 0 %llu\n", (unsigned long long)task_cpu_ns(t), (unsigned long long)stats->switches);
	return 0;
}

static int show_timerslack(struct proc_text *out, const struct proc_subject *s)
{
	const struct task *t = proc_task(s);

	if (!t)
		return -ESRCH;
	proc_printf(out, "%llu\n", (unsigned long long)t->timer_slack_ns);
	return 0;
}

static const struct proc_entry fd_entry = PROC_LINK("", .target = target_fd, .follow = follow_fd);
static const struct proc_entry fdinfo_entry = PROC_FILE("", 0400, .show = show_fdinfo);

/* What a process and a thread have in common. */
#define COMMON_ENTRIES                                                                                                                     \
	PROC_DIR("fd", 0500, .numbered = &fd_entry, .number_is = NUMBER_FD, .number = proc_number_fd),                                     \
		PROC_DIR("fdinfo", 0555, .numbered = &fdinfo_entry, .number_is = NUMBER_FD, .number = proc_number_fd),                     \
		PROC_DIR("net", 0555, .children = proc_net_children), PROC_FILE("environ", 0400, .show = show_environ),                    \
		PROC_FILE("auxv", 0400, .show = show_auxv), PROC_FILE("status", 0444, .show = show_status),                                \
		PROC_FILE("personality", 0400, .content = "00000000\n"), PROC_FILE("limits", 0444, .show = show_limits),                   \
		PROC_FILE("comm", 0644, .show = show_comm, .write = write_comm), PROC_FILE("cmdline", 0444, .show = show_cmdline),         \
		PROC_FILE("statm", 0444, .show = show_statm), PROC_FILE("maps", 0444, .show = proc_show_maps),                             \
		PROC_LINK("cwd", .target = target_cwd, .follow = follow_cwd),                                                              \
		PROC_LINK("root", .target = target_root, .follow = follow_root), PROC_LINK("exe", .target = target_exe),                   \
		PROC_FILE("mounts", 0444, .show = proc_show_mounts), PROC_FILE("mountinfo", 0444, .show = proc_show_mountinfo),            \
		PROC_FILE("smaps", 0444, .show = proc_show_smaps), PROC_FILE("smaps_rollup", 0444, .show = proc_show_smaps_rollup),        \
		PROC_FILE("wchan", 0444, .content = "0"), PROC_FILE("schedstat", 0444, .show = show_schedstat),                            \
		PROC_FILE("cgroup", 0444, .content = "0::/\n"), PROC_FILE("oom_score", 0444, .content = "666\n"),                          \
		PROC_FILE("oom_score_adj", 0444, .content = "0\n"), PROC_FILE("loginuid", 0444, .content = "4294967295"),                  \
		PROC_FILE("sessionid", 0444, .content = "4294967295"),                                                                     \
		PROC_FILE("uid_map", 0644, .content = "         0          0 4294967295\n"),                                               \
		PROC_FILE("gid_map", 0644, .content = "         0          0 4294967295\n"),                                               \
		PROC_FILE("setgroups", 0644, .content = "allow\n")

static const struct proc_entry task_children[] = {PROC_FILE("stat", 0444, .show = show_task_stat), COMMON_ENTRIES, {}};
static const struct proc_entry task_entry = PROC_DIR("", 0555, .children = task_children);

static const struct proc_entry pid_children[] = {
	PROC_DIR("task", 0555, .numbered = &task_entry, .number_is = NUMBER_TID, .number = proc_number_tid),
	PROC_FILE("stat", 0444, .show = show_stat),
	COMMON_ENTRIES,
	PROC_FILE("timerslack_ns", 0444, .show = show_timerslack),
	{},
};
const struct proc_entry proc_pid_entry = PROC_DIR("", 0555, .children = pid_children);
