/* /proc/sys: what the cell kernel is set to. Only the names of the cell can be written. */
#include "kernel/fs/proc.h"
#include "kernel/syscall/system.h"

#define CONSTANT(name_, value_) PROC_FILE(name_, 0444, .content = value_ "\n")

static int show_hostname(struct proc_text *out, const struct proc_subject *s)
{
	proc_printf(out, "%s\n", system_hostname());
	return 0;
}

static int show_domainname(struct proc_text *out, const struct proc_subject *s)
{
	proc_printf(out, "%s\n", system_domainname());
	return 0;
}

/* A line without its end. */
static size_t line_length(const char *text, size_t len)
{
	const char *end = memchr(text, '\n', len);

	return end ? (size_t)(end - text) : len;
}

static int write_hostname(const struct proc_subject *s, const char *text, size_t len)
{
	return system_hostname_set(text, line_length(text, len));
}

static int write_domainname(const struct proc_subject *s, const char *text, size_t len)
{
	return system_domainname_set(text, line_length(text, len));
}

static void print_uuid(struct proc_text *out, const uint8_t id[16])
{
	uint8_t u[16];

	memcpy(u, id, sizeof(u));
	u[6] = (u[6] & 0x0f) | 0x40; /* version 4, the variant of RFC 4122 */
	u[8] = (u[8] & 0x3f) | 0x80;
	for (int i = 0; i < 16; i++)
		proc_printf(out, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", u[i]);
	proc_printf(out, "\n");
}

static int show_uuid(struct proc_text *out, const struct proc_subject *s)
{
	uint8_t id[16];

	random_bytes(id, sizeof(id));
	print_uuid(out, id);
	return 0;
}

static int show_boot_id(struct proc_text *out, const struct proc_subject *s)
{
	static uint8_t id[16];
	static bool made;

	if (!made)
		random_bytes(id, sizeof(id));
	made = true;
	print_uuid(out, id);
	return 0;
}

static const struct proc_entry random_children[] = {
	CONSTANT("entropy_avail", "256"),
	CONSTANT("poolsize", "256"),
	CONSTANT("urandom_min_reseed_secs", "60"),
	CONSTANT("write_wakeup_threshold", "256"),
	PROC_FILE("boot_id", 0444, .show = show_boot_id),
	PROC_FILE("uuid", 0444, .show = show_uuid),
	{},
};

static const struct proc_entry pty_children[] = {
	CONSTANT("max", "4096"),
	CONSTANT("nr", "0"),
	CONSTANT("reserve", "1024"),
	{},
};

static const struct proc_entry kernel_children[] = {
	CONSTANT("ostype", SYSTEM_NAME),
	CONSTANT("osrelease", SYSTEM_RELEASE),
	CONSTANT("version", SYSTEM_VERSION),
	PROC_FILE("hostname", 0644, .show = show_hostname, .write = write_hostname),
	PROC_FILE("domainname", 0644, .show = show_domainname, .write = write_domainname),
	CONSTANT("pid_max", "32768"),
	CONSTANT("threads-max", "4096"),
	CONSTANT("cap_last_cap", "40"),
	CONSTANT("ngroups_max", "64"),
	CONSTANT("overflowuid", "65534"),
	CONSTANT("overflowgid", "65534"),
	CONSTANT("core_pattern", "core.%e.%p"),
	CONSTANT("core_uses_pid", "1"),
	CONSTANT("randomize_va_space", "2"),
	CONSTANT("sem", "32000\t1024000000\t500\t32000"),
	CONSTANT("shmmax", "18446744073692774399"),
	CONSTANT("shmall", "18446744073692774399"),
	CONSTANT("shmmni", "4096"),
	CONSTANT("shm_rmid_forced", "0"),
	CONSTANT("shm_next_id", "-1"),
	CONSTANT("sem_next_id", "-1"),
	CONSTANT("msg_next_id", "-1"),
	CONSTANT("msgmax", "8192"),
	CONSTANT("msgmnb", "16384"),
	CONSTANT("msgmni", "32000"),
	CONSTANT("sched_rr_timeslice_ms", "100"),
	CONSTANT("sched_rt_period_us", "1000000"),
	CONSTANT("sched_rt_runtime_us", "950000"),
	CONSTANT("perf_event_paranoid", "4"),
	CONSTANT("kptr_restrict", "1"),
	CONSTANT("dmesg_restrict", "1"),
	CONSTANT("tainted", "0"),
	CONSTANT("printk", "4\t4\t1\t7"),
	CONSTANT("unprivileged_bpf_disabled", "2"),
	CONSTANT("panic", "0"),
	PROC_DIR("random", 0555, .children = random_children),
	PROC_DIR("pty", 0555, .children = pty_children),
	{},
};

static const struct proc_entry vm_children[] = {
	CONSTANT("overcommit_memory", "1"), /* reservations are never refused */
	CONSTANT("overcommit_ratio", "50"),
	CONSTANT("max_map_count", "65530"),
	CONSTANT("min_free_kbytes", "0"),
	CONSTANT("mmap_min_addr", "4096"),
	CONSTANT("swappiness", "0"),
	CONSTANT("nr_hugepages", "0"),
	CONSTANT("page-cluster", "3"),
	CONSTANT("vfs_cache_pressure", "100"),
	CONSTANT("dirty_ratio", "20"),
	CONSTANT("dirty_background_ratio", "10"),
	{},
};

static const struct proc_entry inotify_children[] = {
	CONSTANT("max_queued_events", "16384"),
	CONSTANT("max_user_instances", "128"),
	CONSTANT("max_user_watches", "65536"),
	{},
};

static const struct proc_entry epoll_children[] = {CONSTANT("max_user_watches", "1048576"), {}};

static const struct proc_entry mqueue_children[] = {
	CONSTANT("msg_default", "10"),
	CONSTANT("msg_max", "10"),
	CONSTANT("msgsize_default", "8192"),
	CONSTANT("msgsize_max", "8192"),
	CONSTANT("queues_max", "256"),
	{},
};

static const struct proc_entry fs_children[] = {
	CONSTANT("file-max", "9223372036854775807"),
	CONSTANT("file-nr", "0\t0\t9223372036854775807"),
	CONSTANT("nr_open", "1048576"),
	CONSTANT("pipe-max-size", "1048576"),
	CONSTANT("pipe-user-pages-hard", "0"),
	CONSTANT("pipe-user-pages-soft", "16384"),
	CONSTANT("aio-max-nr", "65536"),
	CONSTANT("aio-nr", "0"),
	CONSTANT("lease-break-time", "45"),
	CONSTANT("overflowuid", "65534"),
	CONSTANT("overflowgid", "65534"),
	CONSTANT("protected_hardlinks", "0"),
	CONSTANT("protected_symlinks", "0"),
	CONSTANT("protected_fifos", "0"),
	CONSTANT("protected_regular", "0"),
	CONSTANT("dentry-state", "0\t0\t45\t0\t0\t0"),
	CONSTANT("inode-nr", "0\t0"),
	CONSTANT("suid_dumpable", "0"),
	PROC_DIR("inotify", 0555, .children = inotify_children),
	PROC_DIR("epoll", 0555, .children = epoll_children),
	PROC_DIR("mqueue", 0555, .children = mqueue_children),
	{},
};

/* --- net: what the stack does, so far as Linux has a name for it --- */

static const struct proc_entry core_children[] = {
	CONSTANT("somaxconn", "4096"),
	CONSTANT("rmem_default", "212992"),
	CONSTANT("rmem_max", "4194304"),
	CONSTANT("wmem_default", "212992"),
	CONSTANT("wmem_max", "4194304"),
	CONSTANT("optmem_max", "131072"),
	CONSTANT("default_qdisc", "noqueue"),
	CONSTANT("netdev_max_backlog", "4096"),
	CONSTANT("busy_poll", "0"),
	CONSTANT("busy_read", "0"),
	{},
};

static const struct proc_entry net_unix_children[] = {CONSTANT("max_dgram_qlen", "512"), {}};

static const struct proc_entry ipv4_conf_values[] = {
	CONSTANT("accept_redirects", "0"),
	CONSTANT("accept_source_route", "0"),
	CONSTANT("arp_ignore", "0"),
	CONSTANT("disable_policy", "0"),
	CONSTANT("forwarding", "0"),
	CONSTANT("mc_forwarding", "0"),
	CONSTANT("proxy_arp", "0"),
	CONSTANT("rp_filter", "0"),
	CONSTANT("send_redirects", "0"),
	{},
};

static const struct proc_entry ipv4_conf_children[] = {
	PROC_DIR("all", 0555, .children = ipv4_conf_values),
	PROC_DIR("default", 0555, .children = ipv4_conf_values),
	{},
};

static const struct proc_entry ipv4_children[] = {
	CONSTANT("icmp_echo_ignore_all", "0"),
	CONSTANT("icmp_echo_ignore_broadcasts", "1"),
	CONSTANT("igmp_max_memberships", "20"),
	CONSTANT("igmp_max_msf", "10"),
	CONSTANT("ip_default_ttl", "64"),
	CONSTANT("ip_forward", "0"),
	CONSTANT("ip_local_port_range", "32768\t60999"),
	CONSTANT("ip_local_reserved_ports", ""),
	CONSTANT("ip_no_pmtu_disc", "0"),
	CONSTANT("ip_nonlocal_bind", "0"),
	CONSTANT("ip_unprivileged_port_start", "0"),
	CONSTANT("ping_group_range", "0\t2147483647"),
	CONSTANT("tcp_allowed_congestion_control", "reno"),
	CONSTANT("tcp_available_congestion_control", "reno"),
	CONSTANT("tcp_congestion_control", "reno"),
	CONSTANT("tcp_ecn", "0"),
	CONSTANT("tcp_fastopen", "0"),
	CONSTANT("tcp_fin_timeout", "60"),
	CONSTANT("tcp_keepalive_intvl", "75"),
	CONSTANT("tcp_keepalive_probes", "9"),
	CONSTANT("tcp_keepalive_time", "7200"),
	CONSTANT("tcp_max_orphans", "4096"),
	CONSTANT("tcp_max_syn_backlog", "1024"),
	CONSTANT("tcp_max_tw_buckets", "4096"),
	CONSTANT("tcp_mem", "4096\t8192\t16384"),
	CONSTANT("tcp_moderate_rcvbuf", "1"),
	CONSTANT("tcp_notsent_lowat", "4294967295"),
	CONSTANT("tcp_rmem", "4096\t131072\t6291456"),
	CONSTANT("tcp_sack", "1"),
	CONSTANT("tcp_slow_start_after_idle", "1"),
	CONSTANT("tcp_syn_retries", "6"),
	CONSTANT("tcp_synack_retries", "5"),
	CONSTANT("tcp_syncookies", "0"),
	CONSTANT("tcp_timestamps", "1"),
	CONSTANT("tcp_tw_reuse", "0"),
	CONSTANT("tcp_window_scaling", "1"),
	CONSTANT("tcp_wmem", "4096\t16384\t4194304"),
	CONSTANT("udp_rmem_min", "4096"),
	CONSTANT("udp_wmem_min", "4096"),
	PROC_DIR("conf", 0555, .children = ipv4_conf_children),
	{},
};

static const struct proc_entry ipv6_conf_values[] = {
	CONSTANT("accept_ra", "1"),
	CONSTANT("autoconf", "1"),
	CONSTANT("disable_ipv6", "0"),
	CONSTANT("forwarding", "0"),
	CONSTANT("hop_limit", "64"),
	CONSTANT("use_tempaddr", "0"),
	{},
};

static const struct proc_entry ipv6_conf_children[] = {
	PROC_DIR("all", 0555, .children = ipv6_conf_values),
	PROC_DIR("default", 0555, .children = ipv6_conf_values),
	{},
};

static const struct proc_entry ipv6_children[] = {
	CONSTANT("bindv6only", "0"),
	CONSTANT("ip_nonlocal_bind", "0"),
	PROC_DIR("conf", 0555, .children = ipv6_conf_children),
	{},
};

static const struct proc_entry net_children[] = {
	PROC_DIR("core", 0555, .children = core_children),
	PROC_DIR("ipv4", 0555, .children = ipv4_children),
	PROC_DIR("ipv6", 0555, .children = ipv6_children),
	PROC_DIR("unix", 0555, .children = net_unix_children),
	{},
};

const struct proc_entry proc_sys_children[] = {
	PROC_DIR("kernel", 0555, .children = kernel_children),
	PROC_DIR("vm", 0555, .children = vm_children),
	PROC_DIR("fs", 0555, .children = fs_children),
	PROC_DIR("net", 0555, .children = net_children),
	{},
};
