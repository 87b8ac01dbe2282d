/* /proc/PID/maps and smaps, in Linux's columns: programs parse them. */
#include "kernel/fs/proc.h"
#include "kernel/mm/internal.h"

#define NAME_COLUMN 72

static void show_area(struct proc_text *out, const struct area *a)
{
	struct k_stat st = {0};
	char columns[96];

	if (a->inode)
		inode_getattr(a->inode, &st);
	unsigned major = (unsigned)(st.dev >> 8) & 0xfff, minor = (unsigned)((st.dev & 0xff) | (st.dev >> 12 & 0xfff00));
	vb_snprintf(columns, sizeof(columns), "%08llx-%08llx %c%c%c%c %08llx %02x:%02x %llu", (unsigned long long)a->start,
		(unsigned long long)a->end, a->prot & PROT_R ? 'r' : '-', a->prot & PROT_W ? 'w' : '-', a->prot & PROT_X ? 'x' : '-',
		a->shared ? 's' : 'p', (unsigned long long)(a->inode ? a->offset : 0), major, minor, (unsigned long long)st.ino);
	if (!a->file && !a->name) {
		proc_printf(out, "%s \n", columns);
		return;
	}
	proc_printf(out, "%-*s ", NAME_COLUMN, columns);
	char *path = a->name ? NULL : kmalloc(PATH_MAX);
	if (path && dentry_path(a->file->dentry, path, PATH_MAX, true) >= 0)
		proc_printf(out, "%s\n", path);
	else
		proc_printf(out, "%s\n", a->name ? a->name : "");
	kfree(path);
}

static void maps_area(const struct area *a, void *arg)
{
	show_area(arg, a);
}

int proc_show_maps(struct proc_text *out, const struct proc_subject *s)
{
	const struct process *p = proc_process(s);

	if (!p || !p->mm)
		return -ESRCH;
	mm_for_each_area(p->mm, maps_area, out);
	return 0;
}

/* --- smaps --- */

struct area_use {
	uint64_t resident, anonymous, locked;
};

struct smaps {
	struct proc_text *out;
	const struct mm *mm;
	struct area_use sum;
	uint64_t first, last;
};

static struct area_use area_use_of(const struct mm *mm, const struct area *a)
{
	struct area_use use = {0, 0, 0};
	const struct extent *e = extent_at_or_above(mm, a->start);

	for (; e && e->range.start < a->end; e = extent_at_or_above(mm, e->range.end)) {
		uint64_t bytes = vb_min(e->range.end, a->end) - vb_max(e->range.start, a->start);
		use.resident += bytes;
		if (e->kind == EXTENT_OWN && !(a->shared && a->inode))
			use.anonymous += bytes;
	}
	use.locked = a->locked ? use.resident : 0;
	return use;
}

/* Pss is what is in memory: nobody else maps these frames (the image's are the host's to account for). */
static void show_use(struct proc_text *out, const struct area_use *use)
{
	unsigned long long resident = use->resident >> 10, anonymous = use->anonymous >> 10, locked = use->locked >> 10;

	proc_printf(out,
		"Shared_Clean:          0 kB\nShared_Dirty:          0 kB\nPrivate_Clean:  %8llu kB\nPrivate_Dirty:  %8llu kB\n"
		"Referenced:     %8llu kB\nAnonymous:      %8llu kB\nKSM:                   0 kB\nLazyFree:              0 kB\n",
		resident - anonymous, anonymous, resident, anonymous);
	proc_printf(out,
		"AnonHugePages:         0 kB\nShmemPmdMapped:        0 kB\nFilePmdMapped:         0 kB\nShared_Hugetlb:        0 kB\n"
		"Private_Hugetlb:       0 kB\nSwap:                  0 kB\nSwapPss:               0 kB\nLocked:         %8llu kB\n",
		locked);
}

static void smaps_area(const struct area *a, void *arg)
{
	struct smaps *m = arg;
	struct area_use use = area_use_of(m->mm, a);

	show_area(m->out, a);
	proc_printf(m->out,
		"Size:           %8llu kB\nKernelPageSize:        4 kB\nMMUPageSize:           4 kB\nRss:            %8llu kB\n"
		"Pss:            %8llu kB\nPss_Dirty:      %8llu kB\n",
		(unsigned long long)((a->end - a->start) >> 10), (unsigned long long)(use.resident >> 10),
		(unsigned long long)(use.resident >> 10), (unsigned long long)(use.anonymous >> 10));
	show_use(m->out, &use);
	proc_printf(m->out, "THPeligible:           0\nVmFlags:%s%s%s%s mr mw me%s%s \n", a->prot & PROT_R ? " rd" : "",
		a->prot & PROT_W ? " wr" : "", a->prot & PROT_X ? " ex" : "", a->shared ? " sh" : "", a->grows_down ? " gd" : "",
		a->locked ? " lo" : "");
}

int proc_show_smaps(struct proc_text *out, const struct proc_subject *s)
{
	const struct process *p = proc_process(s);

	if (!p || !p->mm)
		return -ESRCH;
	mm_for_each_area(p->mm, smaps_area, &(struct smaps){.out = out, .mm = p->mm});
	return 0;
}

static void rollup_area(const struct area *a, void *arg)
{
	struct smaps *m = arg;
	struct area_use use = area_use_of(m->mm, a);

	if (!m->last)
		m->first = a->start;
	m->last = a->end;
	m->sum.resident += use.resident;
	m->sum.anonymous += use.anonymous;
	m->sum.locked += use.locked;
}

int proc_show_smaps_rollup(struct proc_text *out, const struct proc_subject *s)
{
	const struct process *p = proc_process(s);
	struct smaps m = {.out = out};

	if (!p || !p->mm)
		return -ESRCH;
	m.mm = p->mm;
	mm_for_each_area(p->mm, rollup_area, &m);
	const struct area whole = {.start = m.first, .end = m.last, .name = "[rollup]"};
	unsigned long long resident = m.sum.resident >> 10, anonymous = m.sum.anonymous >> 10;
	show_area(out, &whole);
	proc_printf(out,
		"Rss:            %8llu kB\nPss:            %8llu kB\nPss_Dirty:      %8llu kB\nPss_Anon:       %8llu kB\n"
		"Pss_File:       %8llu kB\nPss_Shmem:             0 kB\n",
		resident, resident, anonymous, anonymous, resident - anonymous);
	show_use(out, &m.sum);
	return 0;
}
