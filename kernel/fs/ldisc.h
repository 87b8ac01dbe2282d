/* The line discipline of pseudo-terminals: what happens to bytes between the master and the slave. */
#ifndef KERNEL_FS_LDISC_H
#define KERNEL_FS_LDISC_H

#include "kernel/fs/tty.h"

#define LDISC_BYTES 4096u /* each way; a power of two */

struct ldisc {
	struct k_termios termios;
	uint16_t in[LDISC_BYTES]; /* for the slave: byte, and LINE_END or IS_EOF above it */
	unsigned in_head, in_tail;
	unsigned in_ready;        /* canonical: end of the last complete line */
	uint8_t out[LDISC_BYTES]; /* for the master */
	unsigned out_head, out_tail;
	bool literal; /* the next byte is taken as it is (VLNEXT) */
	bool stopped; /* ^S */
	unsigned column;
};

void ldisc_init(struct ldisc *l);
void ldisc_set(struct ldisc *l, const struct k_termios *t);
static inline unsigned ldisc_out_used(const struct ldisc *l)
{
	return l->out_head - l->out_tail;
}
static inline unsigned ldisc_in_used(const struct ldisc *l)
{
	return l->in_head - l->in_tail;
}
bool ldisc_out_room(const struct ldisc *l); /* the slave may write */
bool ldisc_in_room(const struct ldisc *l);  /* the master may write */
/* How many bytes a read may return now; 0 when it would wait. A line that is just EOF counts as 1. */
unsigned ldisc_readable(const struct ldisc *l);
/* One byte from the master. Returns a signal for the foreground process group, or 0. */
int ldisc_input(struct ldisc *l, uint8_t c);
/* One byte from the slave: false when there is no room. */
bool ldisc_output(struct ldisc *l, uint8_t c);
/* Takes bytes for the slave. */
size_t ldisc_read(struct ldisc *l, uint8_t *buf, size_t size);
void ldisc_flush_input(struct ldisc *l);
void ldisc_flush_output(struct ldisc *l);

#endif
