/* /proc's own files: memory, time, mounts and what else describes the whole cell. */
#include "kernel/fs/proc.h"
#include "kernel/mm/page.h"
#include "kernel/platform/platform.h"
#include "kernel/syscall/ipc.h"
#include "kernel/syscall/system.h"

#define CLOCK_BOOTTIME_ID 7
#define TICKS_PER_SEC     100ull
#define TICK_NS           (NSEC_PER_SEC / TICKS_PER_SEC)

typedef unsigned long long ull;

static int show_meminfo(struct proc_text *out, const struct proc_subject *s)
{
	static const char *const names[] = {"MemTotal", "MemFree", "MemAvailable", "Buffers", "Cached", "SwapCached", "Active", "Inactive",
		"Active(anon)", "Inactive(anon)", "Active(file)", "Inactive(file)", "Unevictable", "Mlocked", "SwapTotal", "SwapFree",
		"Dirty", "Writeback", "AnonPages", "Mapped", "Shmem", "KReclaimable", "Slab", "SReclaimable", "SUnreclaim", "KernelStack",
		"PageTables", "NFS_Unstable", "Bounce", "WritebackTmp", "CommitLimit", "Committed_AS", "VmallocTotal", "VmallocUsed",
		"VmallocChunk", "Percpu", "AnonHugePages", "ShmemHugePages", "ShmemPmdMapped", "FileHugePages", "FilePmdMapped"};
	ull total = pages_total() * (VB_PAGE_SIZE >> 10), unused = pages_free() * (VB_PAGE_SIZE >> 10), used = total - unused;

	for (unsigned i = 0; i < VB_ARRAY_LEN(names); i++) {
		const char *name = names[i];
		ull kb = 0;
		char label[24];
		if (!strcmp(name, "MemTotal") || !strcmp(name, "CommitLimit"))
			kb = total;
		else if (!strcmp(name, "MemFree") || !strcmp(name, "MemAvailable"))
			kb = unused;
		else if (!strcmp(name, "AnonPages") || !strcmp(name, "Active") || !strcmp(name, "Active(anon)") ||
			 !strcmp(name, "Committed_AS"))
			kb = used;
		vb_snprintf(label, sizeof(label), "%s:", name);
		proc_printf(out, "%-16s%8llu kB\n", label, kb);
	}
	proc_printf(out, "HugePages_Total:       0\nHugePages_Free:        0\nHugePages_Rsvd:        0\nHugePages_Surp:        0\n"
			 "Hugepagesize:       2048 kB\nHugetlb:               0 kB\n");
	return 0;
}

struct cpu_times {
	uint64_t user, kernel;
};

static void add_times(struct process *p, void *arg)
{
	struct cpu_times *sum = arg;
	uint64_t user, kernel;

	process_cpu_split(p, process_cpu_ns(p), &user, &kernel);
	sum->user += user;
	sum->kernel += kernel;
}

/* Of the cell: its uptime is the host's, and what it did not use of the CPU since it started counts as idle. */
static struct cpu_times cpu_times(uint64_t *ret_uptime, uint64_t *ret_idle)
{
	struct cpu_times sum = {0, 0};

	process_for_each(add_times, &sum);
	*ret_uptime = platform_clock_ns(CLOCK_BOOTTIME_ID);
	*ret_idle = *ret_uptime > sum.user + sum.kernel ? *ret_uptime - sum.user - sum.kernel : 0;
	return sum;
}

static int show_stat(struct proc_text *out, const struct proc_subject *s)
{
	uint64_t uptime, idle;
	struct cpu_times times = cpu_times(&uptime, &idle);
	ull user = times.user / TICK_NS, kernel = times.kernel / TICK_NS, idle_ticks = idle / TICK_NS;

	proc_printf(out, "cpu  %llu 0 %llu %llu 0 0 0 0 0 0\ncpu0 %llu 0 %llu %llu 0 0 0 0 0 0\n", user, kernel, idle_ticks, user, kernel,
		idle_ticks);
	proc_printf(out, "intr 0\nctxt %llu\nbtime %llu\nprocesses 1\nprocs_running 1\nprocs_blocked 0\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n",
		(ull)stats->switches, (ull)((now_realtime_ns() - uptime) / NSEC_PER_SEC));
	return 0;
}

static int show_uptime(struct proc_text *out, const struct proc_subject *s)
{
	uint64_t uptime, idle;

	cpu_times(&uptime, &idle);
	proc_printf(out, "%llu.%02llu %llu.%02llu\n", (ull)(uptime / NSEC_PER_SEC), (ull)(uptime % NSEC_PER_SEC / TICK_NS),
		(ull)(idle / NSEC_PER_SEC), (ull)(idle % NSEC_PER_SEC / TICK_NS));
	return 0;
}

struct run_count {
	unsigned running, last_tid;
};

static void count_running(struct process *p, void *arg)
{
	struct run_count *count = arg;

	list_for_each(t, &p->threads, struct task, thread_node) {
		count->running += t == current || t->state == TASK_RUNNABLE;
		count->last_tid = vb_max(count->last_tid, (unsigned)t->tid);
	}
}

static int show_loadavg(struct proc_text *out, const struct proc_subject *s)
{
	struct run_count count = {0, 0};

	process_for_each(count_running, &count);
	proc_printf(out, "0.00 0.00 0.00 %u/%u %u\n", count.running, system_thread_count(), count.last_tid);
	return 0;
}

static int show_version(struct proc_text *out, const struct proc_subject *s)
{
	proc_printf(out, "%s version %s (vauban) %s\n", SYSTEM_NAME, SYSTEM_RELEASE, SYSTEM_VERSION);
	return 0;
}

static int show_vmstat(struct proc_text *out, const struct proc_subject *s)
{
	proc_printf(out, "nr_free_pages %llu\npgfault %llu\npgmajfault 0\n", (ull)pages_free(), (ull)stats->faults);
	return 0;
}

/* --- mounts --- */

struct mount {
	const char *source, *target, *type;
	bool read_only;
};

/* Calls fn for each mount, the root first: as kernel/fs/start.c makes them. */
static void mount_for_each(void (*fn)(struct proc_text *out, const struct mount *m, unsigned id), struct proc_text *out)
{
	static const char *const writable[] = {"/dev", "/tmp", "/run", "/var/tmp"};
	bool read_only = boot->flags & VB_BOOT_READ_ONLY;
	unsigned id = 1;
	char source[16];

	fn(out, &(struct mount){"overlay", "/", "overlay", read_only}, id++);
	for (unsigned i = 0; read_only && i < VB_ARRAY_LEN(writable); i++)
		fn(out, &(struct mount){"tmpfs", writable[i], "tmpfs", false}, id++);
	fn(out, &(struct mount){"devpts", "/dev/pts", "devpts", false}, id++);
	fn(out, &(struct mount){"proc", "/proc", "proc", false}, id++);
	fn(out, &(struct mount){"sysfs", "/sys", "sysfs", true}, id++);
	for (unsigned i = 0; i < boot->volume_count && i < VB_BOOT_MAX_VOLUMES; i++) {
		vb_snprintf(source, sizeof(source), "volume%u", i);
		fn(out, &(struct mount){source, vb_boot_string(boot, boot->volume[i].target), "9p", boot->volume[i].flags & 1}, id++);
	}
}

/* Blanks in a path would end the field. */
static void print_path(struct proc_text *out, const char *path)
{
	for (; *path; path++) {
		if (strchr(" \t\n\\", *path))
			proc_printf(out, "\\%03o", (unsigned char)*path);
		else
			proc_append(out, path, 1);
	}
}

static void show_mount(struct proc_text *out, const struct mount *m, unsigned id)
{
	proc_printf(out, "%s ", m->source);
	print_path(out, m->target);
	proc_printf(out, " %s %s,relatime 0 0\n", m->type, m->read_only ? "ro" : "rw");
}

static void show_mount_info(struct proc_text *out, const struct mount *m, unsigned id)
{
	proc_printf(out, "%u %u 0:%u / ", id, id == 1 ? 0u : 1u, id);
	print_path(out, m->target);
	proc_printf(out, " %s,relatime - %s %s %s\n", m->read_only ? "ro" : "rw", m->type, m->source, m->read_only ? "ro" : "rw");
}

int proc_show_mounts(struct proc_text *out, const struct proc_subject *s)
{
	mount_for_each(show_mount, out);
	return 0;
}

int proc_show_mountinfo(struct proc_text *out, const struct proc_subject *s)
{
	mount_for_each(show_mount_info, out);
	return 0;
}

/* --- the tables --- */

static long target_self(const struct proc_subject *s, char *buf, size_t size)
{
	return vb_snprintf(buf, size, "%d", current->process->pid);
}

static long target_thread_self(const struct proc_subject *s, char *buf, size_t size)
{
	return vb_snprintf(buf, size, "%d/task/%d", current->process->pid, current->tid);
}

static long target_mounts(const struct proc_subject *s, char *buf, size_t size)
{
	return vb_snprintf(buf, size, "self/mounts");
}
static long target_net(const struct proc_subject *s, char *buf, size_t size)
{
	return vb_snprintf(buf, size, "self/net");
}

static const struct proc_entry sysvipc_children[] = {
	PROC_FILE("msg", 0444, .show = ipc_show_msg),
	PROC_FILE("sem", 0444, .show = ipc_show_sem),
	PROC_FILE("shm", 0444, .show = ipc_show_shm),
	{},
};

const struct proc_entry proc_root_children[] = {
	PROC_LINK("self", .target = target_self),
	PROC_LINK("thread-self", .target = target_thread_self),
	PROC_LINK("mounts", .target = target_mounts),
	PROC_LINK("net", .target = target_net),
	PROC_DIR("sys", 0555, .children = proc_sys_children),
	PROC_DIR("sysvipc", 0555, .children = sysvipc_children),
	PROC_FILE("cmdline", 0444, .content = "\n"),
	PROC_FILE("cpuinfo", 0444, .show = proc_show_cpuinfo),
	PROC_FILE("devices", 0444,
		.content = "Character devices:\n  1 mem\n  5 /dev/tty\n  5 /dev/console\n  5 /dev/ptmx\n136 pts\n\nBlock devices:\n"),
	PROC_FILE("diskstats", 0444, .content = ""),
	PROC_FILE("filesystems", 0444, .content = "nodev\tproc\nnodev\ttmpfs\nnodev\tdevpts\nnodev\toverlay\nnodev\t9p\n\terofs\n"),
	PROC_FILE("interrupts", 0444, .content = "           CPU0       \n"),
	PROC_FILE("loadavg", 0444, .show = show_loadavg),
	PROC_FILE("meminfo", 0444, .show = show_meminfo),
	PROC_FILE("modules", 0444, .content = ""),
	PROC_FILE("partitions", 0444, .content = "major minor  #blocks  name\n\n"),
	PROC_FILE("stat", 0444, .show = show_stat),
	PROC_FILE("swaps", 0444, .content = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"),
	PROC_FILE("uptime", 0444, .show = show_uptime),
	PROC_FILE("version", 0444, .show = show_version),
	PROC_FILE("vmstat", 0444, .show = show_vmstat),
	{},
};
