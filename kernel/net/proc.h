/* The tables of sockets and the counters in /proc/net. */
#ifndef KERNEL_NET_PROC_H
#define KERNEL_NET_PROC_H

#include "kernel/fs/proc.h"

typedef int proc_show_fn(struct proc_text *out, const struct proc_subject *s);
proc_show_fn proc_show_tcp, proc_show_tcp6, proc_show_udp, proc_show_udp6, proc_show_raw, proc_show_raw6, proc_show_icmp, proc_show_icmp6,
	proc_show_unix, proc_show_netlink, proc_show_sockstat, proc_show_sockstat6, proc_show_snmp, proc_show_netstat, proc_show_protocols;

#endif
