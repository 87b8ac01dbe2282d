/* Inside of the cell's network: one struct monitor_net an interface. Private to monitor/net*.c. */
#ifndef MONITOR_NET_PRIVATE_H
#define MONITOR_NET_PRIVATE_H

#include "monitor/cell.h"
#include "monitor/net.h"

#define NET_STREAM_MTU 16384u /* see passt_open() */

/* net.c: to the user and the cell's log. */
void net_say(struct monitor *m, bool failure, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* net_helper.c: a process that carries an interface's frames: passt, vauban-vde. Its end of the frames is descriptor 3, what it
 * writes to stderr is logged. It ends with the monitor. argv[0] stays borrowed: its name for people. */
int helper_spawn(
	struct monitor *m, struct monitor_net *n, const char *path, char *const *argv, int fd, bool as_nobody, struct vb_error *err);
/* Takes in something of what it said; false: no more will come. */
bool helper_hear(struct monitor *m, struct monitor_net *n);
/* Takes in what it said until it is gone; its last words in *err. Kills it first. */
int helper_explain(struct monitor *m, struct monitor_net *n, struct vb_error *err);
void helper_kill(struct monitor *m, struct monitor_net *n);

/* net.c */
bool net_dns_forwarded(void);

/* net_passt.c */
int passt_open(struct monitor *m, struct monitor_net *n, struct vb_error *err);
int passt_start(struct monitor *m, struct monitor_net *n, struct vb_error *err);
int passt_wait(struct monitor *m, struct monitor_net *n, struct vb_error *err);
/* Where the cell finds the host's name server. */
void passt_dns_address(const struct monitor_net *n, uint8_t ret[4]);

/* net_tap.c */
int tap_open(struct monitor *m, struct monitor_net *n, struct vb_error *err);

/* net_vde.c */
int vde_start(struct monitor *m, struct monitor_net *n, struct vb_error *err);
int vde_wait(struct monitor *m, struct monitor_net *n, struct vb_error *err);

/* net_relay.c */
bool relay_wanted(const struct monitor *m, const struct monitor_net *n);
/* Between the two ends that there are, tender_fd and what was to be its other end; of a lazy network not before it starts. */
int relay_start(struct monitor *m, struct monitor_net *n, struct vb_error *err);
void relay_release(struct monitor_net *n);
void relay_report(const struct monitor_net *n, json_t *json);

#endif
