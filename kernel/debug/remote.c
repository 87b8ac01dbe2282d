/* The gdb remote serial protocol: packets and commands. Owns the packet being received and the reply being built.
 *
 * What arrives is hostile in form: packets are bounded, numbers wrap harmlessly, addresses go through mm_peek and mm_poke.
 */
#include "kernel/debug/gdb.h"

#include "kernel/debug/trace.h"
#include "kernel/platform/platform.h"

#include <vauban/message.h>

static char in[GDB_PACKET_BYTES + 1];
static size_t in_used;
static enum { BETWEEN, BODY, CHECKSUM_1, CHECKSUM_2 } state;
static bool acks = true;        /* until QStartNoAckMode */
static bool expects_stop;       /* the program was resumed: a stop is reported when it happens */
static int general_tid;         /* Hg */
static unsigned threads_listed; /* by qfThreadInfo and qsThreadInfo */

/* --- replies --- */

static char out[GDB_PACKET_BYTES + 4]; /* $ payload # two digits */
static size_t out_used;

void reply_text(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	size_t room = GDB_PACKET_BYTES - out_used;
	int n = vb_vsnprintf(out + out_used, room, fmt, ap);
	va_end(ap);
	out_used += vb_min((size_t)n, room - 1);
}

void reply_hex(const void *bytes, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *b = bytes;
	for (size_t i = 0; i < len && out_used + 2 < GDB_PACKET_BYTES; i++) {
		out[out_used++] = digits[b[i] >> 4];
		out[out_used++] = digits[b[i] & 15];
	}
}

void reply_binary(const void *bytes, size_t len)
{
	const char *b = bytes;
	for (size_t i = 0; i < len && out_used + 2 < GDB_PACKET_BYTES; i++) {
		bool escape = b[i] == '$' || b[i] == '#' || b[i] == '}' || b[i] == '*';
		if (escape)
			out[out_used++] = '}';
		out[out_used++] = escape ? b[i] ^ 0x20 : b[i];
	}
}

static void transmit(const char *bytes, size_t len)
{
	struct vb_message header = {.type = VB_MSG_DEBUG_OUT};
	platform_send(&header, sizeof(header), bytes, len);
}

static void reply_begin(void)
{
	out[0] = '$';
	out_used = 1;
}

static void reply_send(void)
{
	uint8_t sum = 0;
	for (size_t i = 1; i < out_used; i++)
		sum += (uint8_t)out[i];
	vb_snprintf(out + out_used, 4, "#%02x", sum);
	out_used += 3;
	transmit(out, out_used);
}

static void reply_result(int error)
{
	if (error)
		reply_text("E%02x", -error & 0xff);
	else
		reply_text("OK");
}

static void put_stop(void)
{
	reply_text("T%02xthread:%x;", gdb_signal_number(gdb_stop.signal), (unsigned)gdb_stop.tid);
	if (gdb_stop.breakpoint)
		reply_text("swbreak:;");
}

void remote_report_stop(void)
{
	if (!expects_stop)
		return;
	expects_stop = false;
	general_tid = gdb_stop.tid;
	reply_begin();
	put_stop();
	reply_send();
}

void remote_report_exit(int status, int sig)
{
	reply_begin();
	if (sig)
		reply_text("X%02x", gdb_signal_number(sig));
	else
		reply_text("W%02x", status & 0xff);
	reply_send();
}

/* --- numbers --- */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

uint64_t hex_number(const char **s)
{
	uint64_t n = 0;
	for (int d; (d = hex_digit(**s)) >= 0; (*s)++)
		n = n << 4 | (unsigned)d;
	return n;
}

size_t hex_bytes(const char *s, void *dst, size_t size)
{
	size_t n = 0;
	for (int high, low; n < size && (high = hex_digit(s[0])) >= 0 && (low = hex_digit(s[1])) >= 0; s += 2)
		((uint8_t *)dst)[n++] = (uint8_t)(high << 4 | low);
	return n;
}

static bool skip(const char **s, const char *prefix)
{
	size_t n = strlen(prefix);
	if (strncmp(*s, prefix, n))
		return false;
	*s += n;
	return true;
}

/* --- commands; each leaves its reply in out, nothing means "not supported" --- */

static struct task *general_task(void)
{
	struct task *t = general_tid > 0 ? task_by_tid(general_tid) : NULL;
	return t ? t : gdb_any_task();
}

static void registers_read(void)
{
	uint8_t block[GDB_REGS_BYTES];
	gdb_regs_get(general_task(), block);
	reply_hex(block, sizeof(block));
}

static void registers_write(const char *s)
{
	uint8_t block[GDB_REGS_BYTES];
	gdb_regs_get(general_task(), block);
	hex_bytes(s, block, sizeof(block));
	gdb_regs_set(general_task(), block);
	reply_text("OK");
}

static void register_one(const char *s, bool write)
{
	uint8_t block[GDB_REGS_BYTES];
	unsigned offset, bytes;
	if (!gdb_reg_place((unsigned)hex_number(&s), &offset, &bytes)) {
		reply_text("E01");
		return;
	}
	gdb_regs_get(general_task(), block);
	if (!write) {
		reply_hex(block + offset, bytes);
		return;
	}
	if (*s++ != '=' || hex_bytes(s, block + offset, bytes) != bytes) {
		reply_text("E01");
		return;
	}
	gdb_regs_set(general_task(), block);
	reply_text("OK");
}

static void memory_read(const char *s)
{
	static uint8_t data[GDB_DATA_BYTES];
	uint64_t addr = hex_number(&s);
	s += *s == ',';
	size_t len = vb_min(hex_number(&s), (uint64_t)sizeof(data));
	size_t n = gdb_memory_read(addr, data, len);
	if (n || !len)
		reply_hex(data, n);
	else
		reply_text("E0e");
}

/* M: the data is hexadecimal, X: binary, unescaped in place. */
static void memory_write(char *packet, size_t len, bool binary)
{
	const char *s = packet;
	uint64_t addr = hex_number(&s);
	s += *s == ',';
	size_t want = vb_min(hex_number(&s), (uint64_t)GDB_PACKET_BYTES), n = 0;
	s += *s == ':';
	uint8_t *data = (uint8_t *)packet;
	if (!binary) {
		n = hex_bytes(s, data, want);
	} else {
		for (const char *end = packet + len; s < end && n < want; s++) {
			bool escaped = *s == '}' && s + 1 < end;
			s += escaped;
			data[n++] = (uint8_t)(escaped ? *s ^ 0x20 : *s);
		}
	}
	reply_text(n == want && gdb_memory_write(addr, data, n) == n ? "OK" : "E0e");
}

static void thread_select(const char *s)
{
	bool general = *s++ == 'g';
	int tid = *s == '-' ? -1 : (int)hex_number(&s);
	if (tid > 0 && !task_by_tid(tid)) {
		reply_text("E03");
		return;
	}
	if (general)
		general_tid = tid;
	reply_text("OK");
}

static void resume_all(enum gdb_action action, int sig)
{
	struct task *stepper = general_task();
	gdb_resume_begin();
	list_for_each(t, &stepper->process->threads, struct task, thread_node)
		gdb_resume_task(t, t == stepper ? action : GDB_CONTINUE, t == stepper ? sig : 0);
	expects_stop = true;
	gdb_resume_end();
}

/* vCont;ACTION[:TID];... : for each thread the first that names it, or names none. */
static void vcont_task(struct task *t, const char *s)
{
	while (*s == ';') {
		char what = *++s;
		s += what != 0;
		int sig = what == 'C' || what == 'S' ? gdb_signal_from((int)hex_number(&s)) : 0;
		int tid = -1;
		if (*s == ':' && *++s != '-')
			tid = (int)hex_number(&s);
		if (tid <= 0 || tid == t->tid) {
			enum gdb_action action = what == 'c' || what == 'C'   ? GDB_CONTINUE
						 : what == 's' || what == 'S' ? GDB_STEP
									      : GDB_HOLD;
			gdb_resume_task(t, action, sig);
			return;
		}
		while (*s && *s != ';')
			s++;
	}
	gdb_resume_task(t, GDB_HOLD, 0);
}

static void vcont(const char *s)
{
	gdb_resume_begin();
	list_for_each(t, &general_task()->process->threads, struct task, thread_node)
		vcont_task(t, s);
	expects_stop = true;
	gdb_resume_end();
}

static void breakpoint(const char *s, bool insert)
{
	if (*s++ != '0') /* only those in software */
		return;
	s += *s == ',';
	uint64_t addr = hex_number(&s);
	reply_result(insert ? gdb_breakpoint_insert(addr) : gdb_breakpoint_remove(addr));
}

static void list_threads(bool first)
{
	unsigned index = 0, start = first ? 0 : threads_listed;
	char separator = 'm';
	list_for_each(t, &general_task()->process->threads, struct task, thread_node) {
		if (index++ < start || index > start + 1000)
			continue;
		reply_text("%c%x", separator, (unsigned)t->tid);
		separator = ',';
		threads_listed = index;
	}
	if (separator == 'm')
		reply_text("l");
}

static void thread_info(const char *s)
{
	struct task *t = task_by_tid((int)hex_number(&s));
	char text[64];
	if (!t) {
		reply_text("E03");
		return;
	}
	const char *doing = t->state == TASK_SLEEPING ? "sleeping" : "runnable";
	int n = vb_snprintf(text, sizeof(text), "%.15s, %s", t->comm, doing);
	reply_hex(text, (size_t)n);
}

static void pass_signals_set(const char *s)
{
	sigset set = 0;
	while (*s) {
		int sig = gdb_signal_from((int)hex_number(&s));
		if (sig > 0)
			set |= sig_bit(sig);
		s += *s != 0;
	}
	gdb_pass_signals(set);
	reply_text("OK");
}

/* `monitor COMMAND` of gdb. */
static void user_command(const char *s)
{
	char command[32] = "";
	hex_bytes(s, command, sizeof(command) - 1);
	if (!strcmp(command, "trace on") || !strcmp(command, "trace off")) {
		trace_set(command[7] == 'n');
		reply_text("OK");
		return;
	}
	static const char help[] = "trace on|off: send each system call to the cell's `vauban trace`\n";
	reply_hex(help, sizeof(help) - 1);
}

static void query(const char *s)
{
	if (skip(&s, "Supported"))
		reply_text("PacketSize=%x;QStartNoAckMode+;qXfer:features:read+;qXfer:auxv:read+;qXfer:exec-file:read+;qXfer:siginfo:read+;"
			   "vContSupported+;swbreak+;QPassSignals+",
			GDB_PACKET_BYTES - 1);
	else if (skip(&s, "Xfer:"))
		gdb_xfer(s);
	else if (skip(&s, "fThreadInfo"))
		list_threads(true);
	else if (skip(&s, "sThreadInfo"))
		list_threads(false);
	else if (skip(&s, "ThreadExtraInfo,"))
		thread_info(s);
	else if (skip(&s, "Rcmd,"))
		user_command(s);
	else if (skip(&s, "Attached"))
		reply_text("1");
	else if (skip(&s, "Symbol"))
		reply_text("OK");
	else if (!strcmp(s, "C"))
		reply_text("QC%x", (unsigned)general_task()->tid);
}

static void set(const char *s)
{
	if (skip(&s, "StartNoAckMode")) {
		acks = false;
		reply_text("OK");
	} else if (skip(&s, "PassSignals:")) {
		pass_signals_set(s);
	}
}

/* True: a reply is due now. */
static bool verbose(const char *s)
{
	if (!strcmp(s, "Cont?")) {
		reply_text("vCont;c;C;s;S;t");
	} else if (skip(&s, "Cont")) {
		vcont(s);
		return false;
	} else if (skip(&s, "Kill")) {
		gdb_kill();
		reply_text("OK");
	} else if (skip(&s, "File:")) {
		gdb_vfile(s);
	}
	return true;
}

static bool resume_plain(char what, const char *s)
{
	int sig = what == 'C' || what == 'S' ? gdb_signal_from((int)hex_number(&s)) : 0;
	resume_all(what == 's' || what == 'S' ? GDB_STEP : GDB_CONTINUE, sig);
	return false;
}

/* True: a reply is due now. */
static bool command(char *packet, size_t len)
{
	const char *s = packet + 1;
	switch (packet[0]) {
	/* clang-format off */
	case '?': put_stop(); return true;
	case 'g': registers_read(); return true;
	case 'G': registers_write(s); return true;
	case 'p': register_one(s, false); return true;
	case 'P': register_one(s, true); return true;
	case 'm': memory_read(s); return true;
	case 'M': memory_write(packet + 1, len - 1, false); return true;
	case 'X': memory_write(packet + 1, len - 1, true); return true;
	case 'H': thread_select(s); return true;
	case 'T': reply_text(task_by_tid((int)hex_number(&s)) ? "OK" : "E03"); return true;
	case 'Z': breakpoint(s, true); return true;
	case 'z': breakpoint(s, false); return true;
	case 'q': query(s); return true;
	case 'Q': set(s); return true;
	case 'v': return verbose(s);
	case 'c':
	case 'C':
	case 's':
	case 'S': return resume_plain(packet[0], s);
	case 'D': gdb_detach(); reply_text("OK"); return true;
	case 'k': gdb_kill(); return false;
	default: return true;
		/* clang-format on */
	}
}

/* --- packets --- */

void remote_reset(void)
{
	state = BETWEEN;
	acks = true;
	expects_stop = false;
	general_tid = 0;
}

static void packet_complete(void)
{
	if (acks)
		transmit("+", 1);
	in[in_used] = 0;
	if (!in_used || !gdb_any_task())
		return;
	if (!gdb_stopped()) /* gdb waits for a stop now, and sends nothing but ^C */
		return;
	reply_begin();
	if (command(in, in_used))
		reply_send();
}

void remote_bytes(const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len && debug_attached; i++) {
		char c = (char)bytes[i];
		switch (state) {
		case BETWEEN:
			if (c == '$') {
				in_used = 0;
				state = BODY;
			} else if (c == 3) {
				gdb_interrupt();
			} else if (c == '-') {
				transmit(out, out_used);
			}
			break;
		case BODY:
			if (c == '#')
				state = CHECKSUM_1;
			else if (in_used < GDB_PACKET_BYTES)
				in[in_used++] = c;
			break;
		case CHECKSUM_1: /* the socket below is reliable: the sum isn't looked at */
			state = CHECKSUM_2;
			break;
		case CHECKSUM_2:
			state = BETWEEN;
			packet_complete();
			break;
		}
	}
}
