/* Tasks (threads), processes (thread groups) and what they share; waiting and waking.
 *
 * One CPU, one running task. A task gives up the CPU only in task_sleep() and functions that call it.
 */
#ifndef KERNEL_TASK_TASK_H
#define KERNEL_TASK_TASK_H

#include "kernel/kernel.h"
#include "kernel/time/time.h"

struct mm;
struct tty;
struct file_table;
struct fs_context;

/* User registers as saved on the kernel stack; the order is that of struct user_regs_struct's ptrace layout for GPRs. */
struct regs {
	uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
	uint64_t orig_rax; /* system call number, or -1 */
	uint64_t rip, cs, rflags, rsp, ss;
};

typedef uint64_t sigset; /* bit n-1: signal n */
#define SIG_COUNT 64
static inline sigset sig_bit(int sig) { return 1ull << (sig - 1); }

/* siginfo_t as Linux lays it out, 128 bytes. */
struct k_siginfo {
	int32_t signo, err, code, pad;
	union {
		uint8_t bytes[112];
		struct { int32_t pid; uint32_t uid; uint64_t value; } rt;      /* kill, sigqueue */
		struct { int32_t tid, overrun; uint64_t value; } timer;
		struct { uint64_t addr; } fault;
		struct { int32_t pid; uint32_t uid; int32_t status; int32_t pad; int64_t utime, stime; } child;
		struct { uint64_t call_addr; int32_t syscall; uint32_t arch; } sys;
	};
};

struct k_sigaction { uint64_t handler, flags, restorer; sigset mask; };
/* release: NULL: kfree. Else the entry is its owner's (POSIX timers): told when it leaves the queue, info may be completed if taken. */
struct sigpending_entry { struct list node; struct sigpending *queue; struct k_siginfo info; void (*release)(struct sigpending_entry *entry, bool taken); };
struct sigpending { sigset set; struct list queue; unsigned count; };

struct creds { /* value type: copied, never shared */
	uint32_t ruid, euid, suid, fsuid, rgid, egid, sgid, fsgid;
	uint64_t cap_effective, cap_permitted, cap_inheritable, cap_bounding, cap_ambient;
	uint32_t group_count;
	uint32_t groups[64];
	uint32_t securebits;
	bool no_new_privs;
};
void creds_commit_ids(const struct creds *next); /* of current: ids were changed by the rules; capabilities follow */
bool capable(int cap); /* CAP_* number, of the current task */

struct rlimit64 { uint64_t cur, max; };
#define RLIM_COUNT 16

struct itimer { struct ktimer timer; uint64_t interval_ns, expiry_ns; }; /* expiry_ns: on the timer's own clock; 0: disarmed */

struct process {
	int pid, ppid, pgid, sid;
	struct list threads; /* struct task.thread_node */
	unsigned thread_count;
	struct task *leader;
	struct mm *mm;
	struct file_table *files;
	struct fs_context *fs;
	struct k_sigaction action[SIG_COUNT]; /* [sig - 1] */
	struct sigpending pending;
	struct rlimit64 rlimit[RLIM_COUNT];
	bool exiting;
	struct task *exec_by; /* waits for the other threads to end, or NULL */
	bool stopped;        /* job control: no thread runs until SIGCONT */
	uint64_t start_ns;   /* CLOCK_MONOTONIC */
	char comm_exe[256];  /* absolute path of the program */
	bool dumpable, child_subreaper, thp_disable;
	uint32_t personality;
	struct itimer itimer[3]; /* ITIMER_REAL, VIRTUAL, PROF */
	uint64_t dead_cpu_ns;    /* cpu_ns of threads that are gone; the scheduler adds it */
	uint64_t user_ticks, kernel_ticks; /* where timer ticks found the program: how CPU time splits (cputime_tick) */
	struct itimer cpu_limit; /* RLIMIT_CPU */
	void *posix_timers;  /* owned by kernel/time/posix_timers.c */
	struct tty *tty;     /* controlling terminal of its session, or NULL; owned by kernel/fs/tty.c */
};

enum task_state { TASK_RUNNABLE, TASK_SLEEPING, TASK_DEAD };

struct task {
	int tid;
	struct process *process;
	struct list thread_node;
	struct list run_node;     /* run queue while runnable and not running */
	enum task_state state;
	char comm[16];
	struct creds creds;

	struct regs *regs;        /* top of the kernel stack: the user registers */
	uint64_t kstack, ksp;     /* lowest address; saved stack pointer while switched out */
	uint64_t kstack_end;      /* what must lie at the lowest address: nothing else guards it */
	uint64_t fs_base, gs_base; /* while switched out */
	void *xstate, *xstate_alloc; /* SIMD state while switched out, 64-byte aligned, and what to free */

	/* sleeping */
	bool interruptible, woken, timed_out;
	struct ktimer sleep_timer;

	/* signals */
	sigset sigmask, saved_sigmask;
	bool restore_sigmask;     /* put saved_sigmask back on the way to user space (sigsuspend, ppoll ...) */
	struct sigpending pending;
	bool signal_flag;         /* something is to be done on the way to user space: read by signal_pending() */
	sigset wait_set;          /* rt_sigtimedwait: waited for though blocked */
	uint64_t fault_trapno, fault_error, fault_addr; /* of the last fault, for signal frames */
	uint64_t altstack, altstack_bytes;
	uint32_t altstack_flags;

	/* threads */
	uint64_t clear_tid;       /* futex to wake on exit */
	uint64_t robust_list;
	uint64_t cpu_ns, run_since_ns;

	/* restart block (nanosleep, timed futex): */
	long (*restart)(struct task *);
	uint64_t restart_args[6];

	int nice, sched_policy, sched_priority;
	int death_signal;         /* PR_SET_PDEATHSIG */
	uint64_t timer_slack_ns;
	uint32_t ioprio;          /* 0: none was set */
	void *debug;              /* owned by kernel/debug */
};

extern struct task *current;

/* True when the thread must unwind and end: the process does, or another thread replaces the program. */
static inline bool task_ending(const struct task *t)
{
	const struct process *p = t->process;
	return p->exiting || (p->exec_by && p->exec_by != t);
}

/* --- waiting --- */

/* A place to wait. wake() may carry an event mask (POLL*) so that pollers can filter. */
struct wait_queue { struct list entries; };
struct wait_entry {
	struct list node;
	struct wait_queue *queue; /* NULL: not queued */
	struct task *task;
	/* Called on wake; NULL: wake `task`. Must not sleep. Returns true if it consumed an exclusive wake-up. */
	bool (*notify)(struct wait_entry *entry, unsigned events);
	bool exclusive;
	void *arg;
};
void wait_queue_init(struct wait_queue *q);
void wait_queue_add(struct wait_queue *q, struct wait_entry *entry);
void wait_queue_remove(struct wait_entry *entry); /* nothing if not queued */
void wait_queue_wake(struct wait_queue *q, unsigned events); /* all non-exclusive, one exclusive */
void wait_queue_wake_n(struct wait_queue *q, unsigned events, unsigned n); /* at most n */

/* Sleeps until task_wake(current), a deliverable signal (if interruptible) or the deadline (CLOCK_MONOTONIC; NO_DEADLINE).
 * Returns 0 woken, -ERESTARTSYS a signal is pending, -ETIMEDOUT. A wake-up that came before the call since the last
 * task_prepare() is not lost: pattern: task_prepare(); if (!condition) r = task_sleep(...); loop. */
void task_prepare(void);
int task_sleep(uint64_t deadline_ns, bool interruptible);
void task_wake(struct task *task);
void task_interrupt(struct task *t); /* as a signal would */
/* The usual loop: waits on q until cond is true. r is 0 or the error of task_sleep. */
#define wait_until(q, cond, deadline) ({                                                                               \
	int r_ = 0;                                                                                                    \
	struct wait_entry e_ = { .task = current };                                                                    \
	while (!(cond)) {                                                                                              \
		task_prepare();                                                                                        \
		wait_queue_add((q), &e_);                                                                              \
		r_ = task_sleep((deadline), true);                                                                     \
		wait_queue_remove(&e_);                                                                                \
		if (r_ && !(cond)) break;                                                                              \
		r_ = 0;                                                                                                \
	}                                                                                                              \
	r_;                                                                                                            \
})
void task_yield(void);

/* --- life --- */
struct task *task_by_tid(int tid); /* NULL: none */
struct process *process_by_pid(int pid);
void process_for_each(void (*fn)(struct process *p, void *arg), void *arg);
_Noreturn void task_exit(int status);           /* exit(2): this thread */
_Noreturn void process_exit(int wait_status);   /* exit_group or a fatal signal: all threads */

/* --- signals (kernel/task/signal.c) --- */
/* Queues a signal for one thread, or for the process (any thread that doesn't block it). 0 or -EAGAIN (queue full). */
int signal_task(struct task *t, const struct k_siginfo *info);
int signal_process(struct process *p, const struct k_siginfo *info);
/* A fault or trap of the current instruction: forced even if blocked or ignored, then fatal. */
void signal_fault(int sig, int code, uint64_t addr, int trapno, uint64_t error_code);
/* True when a signal would be acted on now. Cheap. */
bool signal_pending(const struct task *t);
/* On the way to user space: delivers what is pending, restarts or ends interrupted calls. May not return (fatal).
 * in_syscall: regs->orig_rax and rax are those of a call that just ended. */
void signal_deliver(struct regs *regs);
void signal_flush_task(struct task *t); /* frees what is queued */
/* Queues an entry that its owner keeps (POSIX timers), for t, or for p when t is NULL. False: the signal is ignored. */
bool signal_queue_entry(struct process *p, struct task *t, struct sigpending_entry *entry);
void signal_unqueue_entry(struct sigpending_entry *entry); /* takes it back, if queued; release is not called */
void signal_init_process(struct process *p); /* empty queue, default actions */
void signal_init_task(struct task *t);       /* empty queue; mask and alternate stack are the caller's */
void signal_set_mask(sigset mask);           /* of current; KILL and STOP stay out */
/* Another mask while a call waits (sigsuspend, ppoll ...). When it ends without -ERESTARTNOHAND, the call itself puts the old
 * mask back; else the delivery does, after the handler's. */
void signal_set_temporary_mask(sigset mask);
void signal_restore_mask(void);
void signal_switched_in(void);               /* the scheduler switched to current: its signals are work again */
/* Takes the first pending signal of t or its process that is in mask (sigtimedwait, signalfd). */
bool signal_dequeue(struct task *t, sigset mask, struct k_siginfo *ret);
sigset signal_pending_set(const struct task *t); /* of the thread and its process */
extern struct wait_queue signal_wait;            /* woken whenever a signal is queued */
#define SIGINFO_USER(sig_) ((struct k_siginfo){ .signo = (sig_), .code = 0 /* SI_USER */, .rt = { .pid = current->process->pid, .uid = current->creds.ruid } })
#define SIGINFO_KERNEL(sig_) ((struct k_siginfo){ .signo = (sig_), .code = 0x80 /* SI_KERNEL */ })

/* --- start and end --- */
void process_defaults(struct process *p); /* limits, timers, signals of a fresh process; then creds of its leader if there is one */
void creds_from_boot(struct creds *c);
void futex_exit_thread(struct task *t);    /* robust list, clear_tid */
void cpu_limit_changed(struct process *p);   /* RLIMIT_CPU was set */
void itimers_init(struct process *p);
void posix_timers_exit(struct process *p);

/* --- scheduler internals, used by the platform --- */
extern bool need_work; /* tested on each return to user space: signals, switch, trace, stop */
void task_want_work(void); /* sets need_work */
/* The slow path on return to user space: reschedules, serves the monitor, delivers signals, until nothing is left. */
void user_return_work(struct regs *regs);

#endif
