/* Follows the system calls of the program for `vauban trace` and sends each as one record to the monitor. Owns the
 * per-thread text of the arguments as they were on entry: the call may change what they point to.
 *
 * A row of the system-call table describes its arguments by words, separated by commas: one of trace_words.c, or a set or
 * a structure of trace_names.c. `>` before a word: the call fills it in, so it is read at exit. `@N` after it: argument N
 * (from 1) counts its elements or bytes, `@r`: the result does. `=x` at the end: the result is an address.
 */
#include "kernel/debug/trace.h"

#include "kernel/debug/internal.h"
#include "kernel/debug/trace_words.h"
#include "kernel/platform/platform.h"
#include "kernel/syscall/syscall.h"

#include <vauban/message.h>

#define TRACE_TEXT_BYTES  2048
#define TRACE_ENTRY_BYTES 1400
#define NR_EXIT           60
#define NR_EXIT_GROUP     231

bool trace_on;
static bool tracing, stepping; /* trace_on is either */

struct trace_call {
	int nr; /* -1: none */
	uint64_t args[6];
	uint64_t start_ns;
	uint16_t part_end[6]; /* where in text the part of each argument ends; out arguments have an empty part */
	char text[TRACE_ENTRY_BYTES];
};

struct format {
	bool out;
	char count; /* '1'..'6', 'r', or 0 */
	char word[24];
};

/* Takes the next word off *row; false at the end. */
static bool format_next(const char **row, struct format *f)
{
	const char *s = *row;
	if (!*s || *s == '=')
		return false;
	*f = (struct format){.out = *s == '>'};
	s += f->out;
	for (size_t n = 0; *s && !strchr(",@=", *s); s++)
		if (n < sizeof(f->word) - 1)
			f->word[n++] = *s;
	if (*s == '@' && s[1]) {
		f->count = s[1];
		s += 2;
	}
	*row = *s == ',' ? s + 1 : s;
	return true;
}

static bool result_is_address(const char *row)
{
	const char *s = strchr(row, '=');
	return s && s[1] == 'x';
}

static void put_arg(struct text *t, const struct format *f, unsigned index, const uint64_t args[6], int64_t result)
{
	struct arg a = {.value = args[index], .args = args, .counted = f->count != 0};
	if (f->count == 'r')
		a.count = result > 0 ? (uint64_t)result : 0;
	else if (f->count)
		a.count = args[(f->count - '1') % 6];
	if (f->out && result < 0)
		put_pointer(t, a.value);
	else
		put_word(t, f->word, &a);
}

static struct trace_call *call_of_current(void)
{
	struct debug_task *d = debug_task(current);
	if (!d)
		return NULL;
	if (!d->call && (d->call = kmalloc(sizeof(*d->call))))
		d->call->nr = -1;
	return d->call;
}

static void send(struct vb_msg_trace *record, const struct text *text)
{
	struct {
		struct vb_message message;
		struct vb_msg_trace record;
	} header = {{.type = VB_MSG_TRACE}, *record};
	header.record.tid = (uint32_t)current->tid;
	header.record.text_bytes = (uint32_t)text->used;
	platform_send(&header, sizeof(header), text->bytes, text->used);
}

static const struct syscall_text *row_of(int nr)
{
	static const struct syscall_text unknown;
	return nr >= 0 && nr < SYSCALL_COUNT ? &syscall_text[nr] : &unknown;
}

static void put_name(struct text *t, int nr)
{
	const char *name = row_of(nr)->name;
	if (*name)
		put(t, "%s(", name);
	else
		put(t, "syscall_%#x(", (unsigned)nr);
}

void trace_set(bool on)
{
	tracing = on;
	trace_on = tracing || stepping;
}

void trace_steps(bool on)
{
	stepping = on;
	trace_on = tracing || stepping;
}

void trace_ended(int status, int sig)
{
	struct text none = {(char[1]){0}, 1, 0};
	if (tracing)
		send(
			&(struct vb_msg_trace){
				.nr = (uint32_t)sig, .result = status, .start_ns = platform_clock_ns(0), .flags = VB_TRACE_ENDED},
			&none);
}

void trace_enter(struct regs *regs)
{
	struct trace_call *c = tracing ? call_of_current() : NULL;
	if (!c)
		return;
	c->nr = (int)regs->orig_rax;
	c->start_ns = platform_clock_ns(0);
	const uint64_t args[6] = {regs->rdi, regs->rsi, regs->rdx, regs->r10, regs->r8, regs->r9};
	memcpy(c->args, args, sizeof(args));

	const char *row = row_of(c->nr)->format;
	struct text text = {c->text, sizeof(c->text), 0};
	struct format f;
	for (unsigned i = 0; i < 6; i++) {
		if (format_next(&row, &f) && !f.out)
			put_arg(&text, &f, i, c->args, 0);
		c->part_end[i] = (uint16_t)text.used;
	}
	if (c->nr == NR_EXIT || c->nr == NR_EXIT_GROUP) {
		char whole[64];
		struct text line = {whole, sizeof(whole), 0};
		put_name(&line, c->nr);
		put(&line, "%d", (int)c->args[0]);
		send(&(struct vb_msg_trace){.nr = (uint32_t)c->nr, .start_ns = c->start_ns, .flags = VB_TRACE_NO_RESULT}, &line);
		c->nr = -1;
	}
}

static void trace_result(const struct regs *regs)
{
	static char whole[TRACE_TEXT_BYTES]; /* the kernel is not preempted, and nothing below sleeps */
	struct trace_call *c = call_of_current();
	if (!c || c->nr < 0)
		return;
	uint64_t end_ns = platform_clock_ns(0);
	int64_t result = (int64_t)regs->rax;
	const char *row = row_of(c->nr)->format;
	struct text text = {whole, sizeof(whole), 0};
	struct format f;

	put_name(&text, c->nr);
	bool address = row && result_is_address(row);
	for (unsigned i = 0, start = 0; i < 6 && format_next(&row, &f); start = c->part_end[i++]) {
		size_t before = text.used;
		put(&text, i ? ", " : "");
		size_t begin = text.used;
		if (f.out)
			put_arg(&text, &f, i, c->args, result);
		else
			put(&text, "%.*s", (int)(c->part_end[i] - start), c->text + start);
		if (text.used == begin) { /* the call does not use it, nor what follows */
			text.used = before;
			break;
		}
	}
	whole[text.used] = 0;
	send(&(struct vb_msg_trace){.nr = (uint32_t)c->nr,
		     .result = result,
		     .start_ns = c->start_ns,
		     .duration_ns = end_ns > c->start_ns ? end_ns - c->start_ns : 0,
		     .flags = address ? VB_TRACE_ADDRESS : 0},
		&text);
	c->nr = -1;
}

void trace_exit(struct regs *regs)
{
	if (tracing)
		trace_result(regs);
	if (stepping)
		debug_call_done();
}

void trace_signal(int signo, const struct k_siginfo *info)
{
	if (!tracing)
		return;
	char whole[256];
	struct text text = {whole, sizeof(whole), 0};
	put_set_named(&text, "sig", (unsigned)signo);
	put(&text, " {si_signo=");
	put_set_named(&text, "sig", (unsigned)signo);
	put(&text, ", si_code=");
	put_set_named(&text, signo == 11 && info->code > 0 && info->code < 0x80 ? "segvcode" : "sicode", (uint32_t)info->code);
	if ((signo == 11 || signo == 7 || signo == 4 || signo == 8) && info->code > 0)
		put(&text, ", si_addr=0x%lx", info->fault.addr);
	else if (info->code <= 0)
		put(&text, ", si_pid=%d, si_uid=%u", info->rt.pid, info->rt.uid);
	put(&text, "}");
	send(&(struct vb_msg_trace){.nr = (uint32_t)signo, .start_ns = platform_clock_ns(0), .flags = VB_TRACE_SIGNAL}, &text);
}
