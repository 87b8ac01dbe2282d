/* One cell as its monitor sees it: private to monitor/. One process, one thread, one poll loop (monitor.c). */
#ifndef MONITOR_CELL_H
#define MONITOR_CELL_H

#include <sys/stat.h>
#include <sys/types.h>

#include <jansson.h>

#include "base/list.h"
#include "host/error.h"
#include "monitor/monitor.h"
#include "monitor/registry.h"

#include <vauban/boot.h>
#include <vauban/message.h>
#include <vauban/stats.h>

#define MONITOR_MAX_WATCHES 48

struct monitor;
/* revents as from poll(). Must bear being called without cause. */
typedef void watch_fn(struct monitor *m, int fd, short revents, void *arg);
struct watch {
	int fd; /* -1: free */
	short events;
	watch_fn *ready;
	void *arg;
};

enum cell_state { CELL_STARTING, CELL_RUNNING, CELL_STOPPED, CELL_EXITED };

/* Text of the cell: its own output when detached, and what its kernel notes. Bounded: two files of half the size. */
struct cell_log {
	int dir_fd, fd; /* of the cell's folder, -1: nowhere to write; of the file, -1: not opened yet */
	uint64_t bytes;
};

/* One network interface, net.c. */
struct monitor_net {
	const struct net_interface *options;
	int tender_fd; /* for the tender: -1 once it has it */
	struct vb_boot_net boot;
	struct net_relay *relay; /* NULL: the descriptor is the network's own */
	bool guarded;       /* what the cell sends is checked: it calls nobody on the host's loopback */
	bool started;       /* VB_MSG_NET_START came */
	int far_fd;         /* the other end of tender_fd, until there is a helper; -1: none */
	char interface6[16]; /* of the host, for passt; "": no IPv6 */

	/* the process that carries the frames: passt, vauban-vde */
	pid_t helper; /* 0: none */
	const char *helper_name;
	bool ready; /* it said so */
	int log_fd; /* what it says, -1: no more */
	char said[200], last_words[200];
	size_t said_len;
};

struct terminal;
struct monitor {
	const struct monitor_options *options;
	char name[REGISTRY_NAME_BYTES];
	enum cell_state state;
	struct watch watches[MONITOR_MAX_WATCHES];

	/* the tender */
	pid_t tender;      /* 0: reaped */
	int tender_status; /* as from waitpid() */
	int socket;
	int tender_socket, memory_fd, stats_fd, boot_fd, kernel_fd; /* for the tender: -1 once it has them */
	const struct vb_stats *stats;                               /* hostile figures */
	struct list queue;                                          /* struct packet: messages that the socket has no room for yet */
	unsigned queued;
	char lockdown[400]; /* what the tender says of its lock-down */
	bool condemned;     /* it broke the protocol; killed, and nothing it says counts */
	int kill_signal;    /* SIGKILL: someone asked for it */
	bool error_said;    /* the user has been told what went wrong */
	bool exit_known;    /* the kernel has said how the program ended */
	struct vb_msg_exit exit;
	double cpu_seconds;  /* once reaped */
	int64_t deadline_ns; /* CLOCK_MONOTONIC: the tender is killed if it is still there; 0: none */

	/* its standard descriptors */
	int stdio_fd[3];
	int caller_stdin;     /* detached and interactive, -1: none */
	bool stdio_closed[3]; /* for the cell; the number itself is held */
	struct vb_boot_stdio stdio[3];
	struct terminal *terminal; /* NULL: none to look after */
	int output_fd[2];          /* detached: where its stdout and stderr come out, -1 if not */

	/* services */
	struct monitor_net net[VB_NETS_MAX];
	unsigned net_count;
	struct pcap *pcap; /* NULL: nothing is recorded */
	struct vb_msg_net_report *net_seen; /* hostile; NULL: the cell has not said */
	int net_timer;                      /* until its answer has come; -1: nobody asked */
	struct volume *volumes[VB_BOOT_MAX_VOLUMES], *core;
	struct site *site; /* NULL: none */
	struct list clients; /* struct client, control.c */
	unsigned client_count;
	int control_listener, debug_listener, debugger; /* -1: none */
	unsigned char gdb_state;                        /* of gdb_may_hear() */
	unsigned tracers;

	/* its record */
	int dir_fd; /* the cell's folder, locked; -1: none */
	int cells_fd;
	struct timespec started; /* CLOCK_REALTIME */
	struct cell_log log;
	double log_tokens;
	int64_t log_refilled_ns;
	uint64_t log_dropped;
	char cgroup[300];        /* "": none */
	const char *cpu_method;  /* how the CPU limit is enforced: "cgroup", "duty-cycle"; NULL: no limit */
	int cpu_timer;           /* duty cycle, -1: none */
	double cpu_period_start; /* CPU seconds at the start of the period */
	unsigned cpu_tick;
	bool cpu_held; /* stopped until the period ends */
};

/* monitor.c */
int64_t now_ns(void);
void watch_add(struct monitor *m, int fd, short events, watch_fn *ready, void *arg);
void watch_remove(struct monitor *m, int fd);
void watch_events(struct monitor *m, int fd, short events);
/* Stops the cell and itself, as ^Z does; goes on when continued. */
void monitor_stop(struct monitor *m);
/* A signal for the program, from a terminal, a process or a client. */
void monitor_signal(struct monitor *m, int sig);

/* boot.c: fills and seals the boot page. */
int boot_create(struct monitor *m, struct vb_error *err);

/* spawn.c: memory, socket and process. */
int tender_create_files(struct monitor *m, struct vb_error *err);
int tender_spawn(struct monitor *m, const char *empty_root, struct vb_error *err);
double tender_cpu_seconds(const struct monitor *m);
/* Closes all descriptors from first. In a child that shares our memory, too. */
void close_from(int first);

/* net.c */
int net_open(struct monitor *m, struct vb_error *err);
int net_wait(struct monitor *m, struct vb_error *err); /* until what is started is at work */
void net_resolv_conf(const struct monitor *m, char *bytes, size_t size);
void net_hosts(const struct monitor *m, char *bytes, size_t size);
void net_start_request(struct monitor *m, uint32_t tag, const void *payload, size_t len);
void net_reap(struct monitor *m);
void net_release(struct monitor *m);
json_t *net_report(const struct monitor *m);

/* net_report.c: what the cell itself knows of its network, for `vauban inspect` */
bool net_query(struct monitor *m); /* control_reported() is called when it is there, or will not come; false: no use to ask */
void net_report_request(struct monitor *m, uint32_t tag, const void *payload, size_t len);
void net_report_add(const struct monitor *m, json_t *net);

/* messages.c */
void messages_ready(struct monitor *m, int fd, short revents, void *arg);
/* -EAGAIN: the cell takes nothing any more; the caller decides what that means. */
int message_send(struct monitor *m, uint32_t type, uint32_t tag, const void *payload, size_t len);
/* The tender broke the rules: it is killed, the cell has failed. */
void tender_condemn(struct monitor *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void messages_release(struct monitor *m);

/* together.c: one core for both while requests come thick and fast. */
void together_request(struct monitor *m);

/* stdio.c */
void stdio_describe(struct monitor *m);
void stdio_request(struct monitor *m, uint32_t tag, const void *payload, size_t len);

/* terminal.c */
/* Decides what the cell gets as standard descriptors: m->stdio_fd. */
int terminal_init(struct monitor *m, struct vb_error *err);
void terminal_start(struct monitor *m);
void terminal_window_changed(struct monitor *m);
/* Writes what the cell has left behind, gives the user's terminal back as it was. */
void terminal_release(struct monitor *m);
/* The cell is about to change the attributes of descriptor fd (0..2). */
void terminal_save(struct monitor *m, int fd);

/* log.c */
void cell_log_write(struct cell_log *log, const char *stream, const char *text, size_t len);
/* A VB_MSG_LOG, hostile. */
void log_request(struct monitor *m, uint32_t tag, const void *payload, size_t len);

/* control.c */
void control_start(struct monitor *m);
void control_trace(struct monitor *m, const void *payload, size_t len);
void control_debug_out(struct monitor *m, const void *payload, size_t len);
void control_exited(struct monitor *m);
void control_reported(struct monitor *m); /* net_query() */

/* tables.c */
#define TABLES_SIGNAL SIGXCPU /* to the monitor: time to look */
void tables_watch(struct monitor *m);
void tables_check(struct monitor *m);

/* gdb.c */
/* False: no. *state goes from one piece of the stream to the next, 0 at first. */
bool gdb_may_hear(unsigned char *state, const char *bytes, size_t len);

/* report.c */
json_t *report_cell(const struct monitor *m);  /* what is known from the start */
json_t *report_state(const struct monitor *m); /* all */

/* cpu.c */
void cpu_limit_start(struct monitor *m);
void cpu_limit_release(struct monitor *m);

#endif
