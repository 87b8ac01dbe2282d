/* The CPU limit: a control group where the host permits one, else a duty cycle of SIGSTOP and SIGCONT on the tender. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "host/file.h"
#include "monitor/cell.h"

#define PERIOD_US 100000
#define TICK_US   10000 /* of the duty cycle */
#define TICKS     (PERIOD_US / TICK_US)

static bool write_file(const char *dir, const char *name, const char *text)
{
	char path[400];
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && fd_write_all(fd, text, strlen(text)) == 0;
	fd_close(&fd);
	return ok;
}

/* Removes the groups of monitors that were killed: NAME.PID. Those with processes in them stay by themselves. */
static void sweep_groups(const char *parent)
{
	DIR *d = opendir(parent);
	for (struct dirent *e; d && (e = readdir(d));) {
		const char *dot = strrchr(e->d_name, '.');
		int pid = dot ? atoi(dot + 1) : 0;
		if (pid > 0 && kill(pid, 0) < 0 && errno == ESRCH)
			unlinkat(dirfd(d), e->d_name, AT_REMOVEDIR);
	}
	if (d)
		closedir(d);
}

/* A group of ours below root, where limit_file takes the text. Only root may; with version 2, the controller has to be
 * handed down level by level. */
static bool join_group(struct monitor *m, const char *root, const char *limit_file, const char *limit, bool version2)
{
	char parent[200], pid[16];
	snprintf(parent, sizeof(parent), "%s/vauban", root);
	snprintf(m->cgroup, sizeof(m->cgroup), "%s/%s.%d", parent, m->name, (int)getpid());
	snprintf(pid, sizeof(pid), "%d", (int)m->tender);
	if (version2)
		write_file(root, "cgroup.subtree_control", "+cpu");
	mkdir(parent, 0755);
	if (version2)
		write_file(parent, "cgroup.subtree_control", "+cpu");
	sweep_groups(parent);
	if (mkdir(m->cgroup, 0755) == 0 && write_file(m->cgroup, limit_file, limit) && write_file(m->cgroup, "cgroup.procs", pid))
		return true;
	rmdir(m->cgroup);
	m->cgroup[0] = 0;
	return false;
}

/* Lets the tender run until it has had its share of the period, then stops it until the next. */
static void tick(struct monitor *m, int fd, short revents, void *arg)
{
	uint64_t times;
	if (read(fd, &times, sizeof(times)) != sizeof(times) || m->state == CELL_STOPPED || !m->tender)
		return;
	double used = tender_cpu_seconds(m);
	m->cpu_tick += (unsigned)times;
	if (m->cpu_tick >= TICKS) {
		/* What was used beyond the share is owed by the periods that follow. */
		m->cpu_period_start += m->options->cpus * PERIOD_US / 1e6 * (m->cpu_tick / TICKS);
		if (m->cpu_period_start < used - m->options->cpus)
			m->cpu_period_start = used - m->options->cpus;
		if (m->cpu_period_start > used)
			m->cpu_period_start = used;
		m->cpu_tick %= TICKS;
	}
	bool hold = used - m->cpu_period_start >= m->options->cpus * PERIOD_US / 1e6;
	if (hold != m->cpu_held)
		kill(m->tender, hold ? SIGSTOP : SIGCONT);
	m->cpu_held = hold;
}

void cpu_limit_start(struct monitor *m)
{
	char limit[40];
	long quota = (long)(m->options->cpus * PERIOD_US);
	if (m->options->cpus <= 0)
		return;
	m->cpu_method = "cgroup";
	snprintf(limit, sizeof(limit), "%ld %d", quota, PERIOD_US);
	if (access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0 && join_group(m, "/sys/fs/cgroup", "cpu.max", limit, true))
		return;
	snprintf(limit, sizeof(limit), "%ld", quota);
	if (join_group(m, "/sys/fs/cgroup/cpu", "cpu.cfs_quota_us", limit, false))
		return;
	m->cpu_method = "duty-cycle";
	m->cpu_timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	struct itimerspec every = {{0, TICK_US * 1000}, {0, TICK_US * 1000}};
	if (m->cpu_timer < 0)
		return;
	timerfd_settime(m->cpu_timer, 0, &every, NULL);
	watch_add(m, m->cpu_timer, POLLIN, tick, NULL);
}

/* The tender is gone: an empty group can be removed, at the latest a moment later. */
void cpu_limit_release(struct monitor *m)
{
	for (int tries = 0; m->cgroup[0] && rmdir(m->cgroup) < 0 && errno == EBUSY && tries < 50; tries++)
		usleep(1000);
	fd_close(&m->cpu_timer);
}
