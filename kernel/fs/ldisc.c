/* The line discipline of pseudo-terminals (Linux's N_TTY as far as programs see it): input translation, line editing, echo,
 * signals, output translation. Pure state, no waiting; pty.c moves the bytes.
 */
#include "kernel/fs/ldisc.h"

#include <asm/signal.h>
#include <asm/termbits.h>

enum { LINE_END = 0x100, IS_EOF = 0x200 };
#define DISABLED 0 /* _POSIX_VDISABLE */
#define CTRL(c)  ((c) - 'A' + 1)

void ldisc_init(struct ldisc *l)
{
	l->termios = (struct k_termios){
		.iflag = ICRNL | IXON,
		.oflag = OPOST | ONLCR,
		.cflag = B38400 | CS8 | CREAD,
		.lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
		.cc = {[VINTR] = CTRL('C'),
			[VQUIT] = 28,
			[VERASE] = 127,
			[VKILL] = CTRL('U'),
			[VEOF] = CTRL('D'),
			[VMIN] = 1,
			[VSTART] = CTRL('Q'),
			[VSTOP] = CTRL('S'),
			[VSUSP] = CTRL('Z'),
			[VREPRINT] = CTRL('R'),
			[VDISCARD] = CTRL('O'),
			[VWERASE] = CTRL('W'),
			[VLNEXT] = CTRL('V')},
		.ispeed = 38400,
		.ospeed = 38400,
	};
}

void ldisc_set(struct ldisc *l, const struct k_termios *t)
{
	bool was_canonical = l->termios.lflag & ICANON;

	l->termios = *t;
	if (was_canonical && !(t->lflag & ICANON))
		l->in_ready = l->in_head;
	else if (!was_canonical && (t->lflag & ICANON))
		l->in_ready = l->in_tail == l->in_head ? l->in_head : l->in_ready;
	if (!(t->iflag & IXON))
		l->stopped = false;
}

bool ldisc_out_room(const struct ldisc *l)
{
	return !l->stopped && ldisc_out_used(l) + 2 <= LDISC_BYTES;
}

bool ldisc_in_room(const struct ldisc *l)
{
	/* a line that is too long is cut off rather than waited for */
	return ldisc_in_used(l) + 1 < LDISC_BYTES || ((l->termios.lflag & ICANON) && l->in_ready == l->in_tail);
}

static unsigned line_bytes(const struct ldisc *l)
{
	unsigned at = l->in_tail;

	while (at != l->in_ready && !(l->in[at % LDISC_BYTES] & LINE_END))
		at++;
	return at - l->in_tail + (at != l->in_ready);
}

unsigned ldisc_readable(const struct ldisc *l)
{
	return l->termios.lflag & ICANON ? line_bytes(l) : ldisc_in_used(l);
}

/* --- output --- */

static bool out_put(struct ldisc *l, uint8_t c)
{
	if (ldisc_out_used(l) >= LDISC_BYTES)
		return false;
	l->out[l->out_head++ % LDISC_BYTES] = c;
	if (c == '\b')
		l->column -= l->column > 0;
	else if (c == '\r')
		l->column = 0;
	else if (c >= ' ' && c != 127)
		l->column++;
	return true;
}

bool ldisc_output(struct ldisc *l, uint8_t c)
{
	uint32_t flags = l->termios.oflag;

	if (!ldisc_out_room(l))
		return false;
	if (!(flags & OPOST))
		return out_put(l, c);
	if (c == '\n' && (flags & ONLCR)) {
		out_put(l, '\r');
		return out_put(l, '\n');
	}
	if (c == '\n' && (flags & ONLRET))
		l->column = 0;
	if (c == '\r' && (flags & ONOCR) && !l->column)
		return true;
	if (c == '\r' && (flags & OCRNL))
		c = '\n';
	if (c == '\t' && (flags & TABDLY) == XTABS) {
		unsigned spaces = 8 - l->column % 8;
		if (ldisc_out_used(l) + spaces > LDISC_BYTES)
			return false;
		while (spaces--)
			out_put(l, ' ');
		return true;
	}
	if ((flags & OLCUC) && c >= 'a' && c <= 'z')
		c -= 'a' - 'A';
	return out_put(l, c);
}

/* Echo is lost rather than waited for when the master doesn't read. */
static void echo_text(struct ldisc *l, const char *s)
{
	while (*s)
		out_put(l, (uint8_t)*s++);
}

static bool is_control(uint8_t c)
{
	return (c < ' ' && c != '\t' && c != '\n') || c == 127;
}

static void echo(struct ldisc *l, uint8_t c)
{
	if ((l->termios.lflag & ECHOCTL) && is_control(c)) {
		out_put(l, '^');
		out_put(l, c ^ 0x40);
	} else if (c == '\n') {
		ldisc_output(l, c);
	} else {
		out_put(l, c);
	}
}

/* --- input --- */

static void in_put(struct ldisc *l, uint16_t c)
{
	/* the last place is kept for the end of the line */
	if (ldisc_in_used(l) + 1 + !(c & LINE_END) > LDISC_BYTES) {
		if (l->termios.iflag & IMAXBEL)
			out_put(l, '\a');
		return;
	}
	l->in[l->in_head++ % LDISC_BYTES] = c;
	if (c & LINE_END)
		l->in_ready = l->in_head;
}

void ldisc_flush_input(struct ldisc *l)
{
	l->in_tail = l->in_ready = l->in_head;
	l->literal = false;
}

void ldisc_flush_output(struct ldisc *l)
{
	l->out_tail = l->out_head;
}

static bool is_char(const struct ldisc *l, unsigned which, uint8_t c)
{
	return l->termios.cc[which] != DISABLED && l->termios.cc[which] == c;
}

static void erase_one(struct ldisc *l)
{
	uint8_t c = (uint8_t)l->in[--l->in_head % LDISC_BYTES];
	uint32_t flags = l->termios.lflag;

	if (!(flags & ECHO))
		return;
	if (!(flags & ECHOE)) {
		echo(l, l->termios.cc[VERASE]);
		return;
	}
	echo_text(l, "\b \b");
	if (is_control(c) && (flags & ECHOCTL))
		echo_text(l, "\b \b");
}

static bool at_word(const struct ldisc *l)
{
	uint8_t c = (uint8_t)l->in[(l->in_head - 1) % LDISC_BYTES];

	return c == '_' || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c >= 0x80;
}

static void kill_line(struct ldisc *l)
{
	uint32_t flags = l->termios.lflag;

	if ((flags & (ECHO | ECHOK | ECHOKE | ECHOE)) == (ECHO | ECHOK | ECHOKE | ECHOE)) {
		while (l->in_head != l->in_ready)
			erase_one(l);
		return;
	}
	l->in_head = l->in_ready;
	if (flags & ECHO) {
		echo(l, l->termios.cc[VKILL]);
		if (flags & ECHOK)
			ldisc_output(l, '\n');
	}
}

/* Line editing. True when c has been dealt with. */
static bool edit(struct ldisc *l, uint8_t c)
{
	uint32_t flags = l->termios.lflag;

	if (is_char(l, VERASE, c)) {
		if (l->in_head != l->in_ready)
			erase_one(l);
		return true;
	}
	if (is_char(l, VKILL, c)) {
		kill_line(l);
		return true;
	}
	if (is_char(l, VWERASE, c) && (flags & IEXTEN)) {
		while (l->in_head != l->in_ready && !at_word(l))
			erase_one(l);
		while (l->in_head != l->in_ready && at_word(l))
			erase_one(l);
		return true;
	}
	if (is_char(l, VLNEXT, c) && (flags & IEXTEN)) {
		l->literal = true;
		if ((flags & ECHO) && (flags & ECHOCTL))
			echo_text(l, "^\b");
		return true;
	}
	if (is_char(l, VREPRINT, c) && (flags & IEXTEN) && (flags & ECHO)) {
		echo(l, c);
		ldisc_output(l, '\n');
		for (unsigned i = l->in_ready; i != l->in_head; i++)
			echo(l, (uint8_t)l->in[i % LDISC_BYTES]);
		return true;
	}
	if (c == '\n') {
		if (flags & (ECHO | ECHONL))
			ldisc_output(l, '\n');
		in_put(l, '\n' | LINE_END);
		return true;
	}
	if (is_char(l, VEOF, c)) {
		in_put(l, LINE_END | IS_EOF);
		return true;
	}
	if (is_char(l, VEOL, c) || (is_char(l, VEOL2, c) && (flags & IEXTEN))) {
		if (flags & ECHO)
			echo(l, c);
		in_put(l, c | LINE_END);
		return true;
	}
	return false;
}

static int signal_of(const struct ldisc *l, uint8_t c)
{
	if (is_char(l, VINTR, c))
		return SIGINT;
	if (is_char(l, VQUIT, c))
		return SIGQUIT;
	return is_char(l, VSUSP, c) ? SIGTSTP : 0;
}

int ldisc_input(struct ldisc *l, uint8_t c)
{
	uint32_t in = l->termios.iflag, flags = l->termios.lflag;

	if (in & ISTRIP)
		c &= 0x7f;
	if (l->literal) {
		l->literal = false;
	} else {
		if ((in & IXON) && (is_char(l, VSTOP, c) || is_char(l, VSTART, c))) {
			l->stopped = is_char(l, VSTOP, c) && !(is_char(l, VSTART, c) && l->stopped);
			return 0;
		}
		int sig = flags & ISIG ? signal_of(l, c) : 0;
		if (sig) {
			if (!(flags & NOFLSH)) {
				ldisc_flush_input(l);
				ldisc_flush_output(l);
			}
			l->stopped = false;
			if (flags & ECHO)
				echo(l, c);
			return sig;
		}
		if (l->stopped && (in & IXON) && (in & IXANY))
			l->stopped = false;
		if (c == '\r') {
			if (in & IGNCR)
				return 0;
			if (in & ICRNL)
				c = '\n';
		} else if (c == '\n' && (in & INLCR)) {
			c = '\r';
		}
		if ((flags & ICANON) && edit(l, c))
			return 0;
	}
	if (flags & ECHO)
		echo(l, c);
	in_put(l, c);
	return 0;
}

size_t ldisc_read(struct ldisc *l, uint8_t *buf, size_t size)
{
	bool canonical = l->termios.lflag & ICANON;
	size_t n = 0;
	unsigned left = ldisc_readable(l);

	while (left && (n < size || (canonical && (l->in[l->in_tail % LDISC_BYTES] & IS_EOF)))) {
		uint16_t c = l->in[l->in_tail++ % LDISC_BYTES];
		left--;
		if (canonical && (c & IS_EOF))
			break;
		buf[n++] = c & IS_EOF ? l->termios.cc[VEOF] : (uint8_t)c;
	}
	if (!canonical)
		l->in_ready = l->in_tail;
	return n;
}
