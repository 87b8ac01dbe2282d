/* What the network is doing, for `vauban inspect`. */
#ifndef KERNEL_NET_REPORT_H
#define KERNEL_NET_REPORT_H

/* Answers VB_MSG_NET_QUERY. */
void net_report(void);

#endif
