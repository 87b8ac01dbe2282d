/* The parts of the gdb stub: remote.c (packets and commands), gdb.c (stopping and resuming), gdb_regs.c (registers),
 * gdb_xfer.c (objects and files). Everything runs in message context: nothing sleeps.
 */
#ifndef KERNEL_DEBUG_GDB_H
#define KERNEL_DEBUG_GDB_H

#include "kernel/debug/internal.h"

#define GDB_PACKET_BYTES 0x4000u /* as told in qSupported: payload of one packet */
#define GDB_DATA_BYTES   (GDB_PACKET_BYTES / 2 - 64)

/* --- gdb.c --- */
enum gdb_action { GDB_HOLD, GDB_CONTINUE, GDB_STEP };
struct gdb_stop {
	int tid;
	int signal; /* Linux's number */
	bool breakpoint;
};
extern struct gdb_stop gdb_stop; /* the last stop */
bool gdb_stopped(void);
void gdb_interrupt(void); /* ^C */
/* Between gdb_resume_begin and gdb_resume_end: what each thread does; a thread that isn't named stays held. */
void gdb_resume_begin(void);
void gdb_resume_task(struct task *t, enum gdb_action action, int signal);
void gdb_resume_end(void);
void gdb_detach(void);
void gdb_kill(void);
void gdb_pass_signals(sigset set); /* these are delivered without a stop */
struct task *gdb_any_task(void);   /* NULL: none left */
int gdb_breakpoint_insert(uint64_t addr);
int gdb_breakpoint_remove(uint64_t addr);
/* The program's memory as if no breakpoint were in it. Bytes done. */
size_t gdb_memory_read(uint64_t addr, void *dst, size_t len);
size_t gdb_memory_write(uint64_t addr, const void *src, size_t len);
int gdb_signal_number(int linux_signal);
int gdb_signal_from(int gdb_number);

/* --- remote.c --- */
void remote_reset(void);
void remote_bytes(const uint8_t *bytes, size_t len);
void remote_report_stop(void);
void remote_report_exit(int status, int sig);
/* The reply being built; what doesn't fit is dropped. */
void reply_text(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void reply_hex(const void *bytes, size_t len);
void reply_binary(const void *bytes, size_t len);
/* Reads a hexadecimal number and moves on; 0 if there is none. */
uint64_t hex_number(const char **s);
size_t hex_bytes(const char *s, void *dst, size_t size); /* decodes up to size bytes; how many */

/* --- gdb_regs.c --- */
#define GDB_REGS_BYTES 816u
extern const char gdb_target_xml[];
void gdb_regs_get(struct task *t, uint8_t block[GDB_REGS_BYTES]);
void gdb_regs_set(struct task *t, const uint8_t block[GDB_REGS_BYTES]);
/* Where register n lies in the block; false: no such register. */
bool gdb_reg_place(unsigned n, unsigned *ret_offset, unsigned *ret_bytes);

/* --- gdb_xfer.c --- */
bool gdb_xfer(const char *args);  /* after "qXfer:"; false: unknown object */
bool gdb_vfile(const char *args); /* after "vFile:"; false: unknown operation */
void gdb_vfile_close_all(void);

#endif
