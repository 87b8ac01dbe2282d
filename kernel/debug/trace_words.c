/* Prints arguments of traced calls: numbers, names, strings, buffers, structures. The program is not trusted: its memory
 * is read only through copy_from_user, every text and array is bounded, nothing sleeps.
 */
#include "kernel/debug/trace_words.h"

#include "kernel/debug/trace_names.h"
#include "kernel/debug/trace_socket.h"
#include "kernel/task/task.h"

#include <linux/fcntl.h>
#include <linux/futex.h>
#include <linux/prctl.h>

#define TRACE_STRING_BYTES 64 /* shown of a buffer; paths show more */
#define TRACE_PATH_BYTES   256
#define TRACE_ARRAY_COUNT  16

void put(struct text *t, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = vb_vsnprintf(t->bytes + t->used, t->size - t->used, fmt, ap);
	va_end(ap);
	t->used = vb_min(t->used + (size_t)n, t->size - 1);
}

void put_pointer(struct text *t, uint64_t p)
{
	if (p)
		put(t, "0x%lx", p);
	else
		put(t, "NULL");
}

void put_escaped(struct text *t, const unsigned char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		static const char plain[] = "\"\\\n\t\r", shown[] = "\"\\ntr";
		const char *special = s[i] ? strchr(plain, s[i]) : NULL;
		if (special)
			put(t, "\\%c", shown[special - plain]);
		else if (s[i] >= 32 && s[i] < 127)
			put(t, "%c", s[i]);
		else if (i + 1 < n && s[i + 1] >= '0' && s[i + 1] <= '7')
			put(t, "\\%03o", s[i]);
		else
			put(t, "\\%o", s[i]);
	}
}

/* len bytes at a user address, as a string in quotes. */
void put_buffer(struct text *t, uint64_t addr, uint64_t len)
{
	unsigned char bytes[TRACE_STRING_BYTES];
	size_t n = vb_min(len, (uint64_t)sizeof(bytes));
	if (!addr || copy_from_user(bytes, addr, n)) {
		put_pointer(t, addr);
		return;
	}
	put(t, "\"");
	put_escaped(t, bytes, n);
	put(t, len > n ? "\"..." : "\"");
}

static void put_string(struct text *t, uint64_t addr, size_t limit)
{
	unsigned char bytes[TRACE_PATH_BYTES];
	long n = addr ? string_from_user((char *)bytes, addr, limit) : -EFAULT;
	if (n < 0 && n != -ENAMETOOLONG) {
		put_pointer(t, addr);
		return;
	}
	put(t, "\"");
	put_escaped(t, bytes, n >= 0 ? (size_t)n : limit - 1);
	put(t, n >= 0 ? "\"" : "\"...");
}

static void put_set(struct text *t, const struct trace_set *set, uint64_t value)
{
	bool first = true;
	for (unsigned i = 0; i < set->count; i++) {
		const struct trace_name *name = &set->names[i];
		if ((value & name->mask) != name->bits || (!value && name->bits))
			continue;
		put(t, "%s%s", first ? "" : "|", name->name);
		first = false;
		value &= ~name->mask;
		if (!value)
			break;
	}
	if (value)
		put(t, "%s0x%lx", first ? "" : "|", value);
	else if (first)
		put(t, "0");
}

static const struct trace_set *set_find(const char *word)
{
	for (unsigned i = 0; i < trace_set_count; i++)
		if (!strcmp(trace_sets[i].word, word))
			return &trace_sets[i];
	return NULL;
}

void put_set_named(struct text *t, const char *word, uint64_t value)
{
	put_set(t, set_find(word), value);
}

/* --- words that are neither sets nor structures --- */

static void put_d(struct text *t, const struct arg *a)
{
	put(t, "%d", (int)a->value);
}
static void put_u(struct text *t, const struct arg *a)
{
	put(t, "%u", (unsigned)a->value);
}
static void put_l(struct text *t, const struct arg *a)
{
	put(t, "%ld", (int64_t)a->value);
}
static void put_x(struct text *t, const struct arg *a)
{
	put(t, "0x%lx", a->value);
}
static void put_o(struct text *t, const struct arg *a)
{
	put(t, "%#o", (unsigned)a->value);
}
static void put_p(struct text *t, const struct arg *a)
{
	put_pointer(t, a->value);
}
static void put_str(struct text *t, const struct arg *a)
{
	put_string(t, a->value, TRACE_STRING_BYTES);
}
static void put_path(struct text *t, const struct arg *a)
{
	put_string(t, a->value, TRACE_PATH_BYTES);
}
static void put_buf(struct text *t, const struct arg *a)
{
	put_buffer(t, a->value, a->count);
}

static void put_dirfd(struct text *t, const struct arg *a)
{
	if ((int)a->value == AT_FDCWD)
		put(t, "AT_FDCWD");
	else
		put_d(t, a);
}

/* Of open: there only when it may create. */
static void put_creat_mode(struct text *t, const struct arg *a)
{
	if (a->count & (O_CREAT | __O_TMPFILE))
		put_o(t, a);
}

static void put_mode(struct text *t, const struct arg *a)
{
	static const char *const types[16] = {[1] = "S_IFIFO|",
		[2] = "S_IFCHR|",
		[4] = "S_IFDIR|",
		[6] = "S_IFBLK|",
		[8] = "S_IFREG|",
		[10] = "S_IFLNK|",
		[12] = "S_IFSOCK|"};
	const char *type = types[a->value >> 12 & 15];
	put(t, "%s%#o", type ? type : "", (unsigned)a->value & (type ? 07777 : 0xffff));
}

static void put_limit(struct text *t, const struct arg *a)
{
	if (a->value == UINT64_MAX)
		put(t, "RLIM64_INFINITY");
	else
		put(t, "%lu", a->value);
}

/* Without the SIG, as strace has it: [INT CHLD], and ~[KILL] for nearly all. */
static void put_signals(struct text *t, sigset set)
{
	const struct trace_set *names = set_find("sig");
	unsigned bits = 0;
	for (sigset s = set; s; s &= s - 1)
		bits++;
	bool inverted = bits > SIG_COUNT / 2;
	if (inverted)
		set = ~set;
	put(t, inverted ? "~[" : "[");
	const char *space = "";
	for (int sig = 1; sig <= SIG_COUNT; sig++) {
		if (!(set & sig_bit(sig)))
			continue;
		if (sig < 32)
			put(t, "%s%s", space, names->names[sig - 1].name + 3);
		else
			put(t, "%sRT_%d", space, sig - 32);
		space = " ";
	}
	put(t, "]");
}

static void put_sigset(struct text *t, const struct arg *a)
{
	sigset set;
	if (!a->value || get_user(set, a->value))
		put_pointer(t, a->value);
	else
		put_signals(t, set);
}

static void put_handler(struct text *t, const struct arg *a)
{
	if (a->value > 1)
		put(t, "0x%lx", a->value);
	else
		put(t, a->value ? "SIG_IGN" : "SIG_DFL");
}

static void put_strings(struct text *t, const struct arg *a)
{
	put(t, "[");
	for (unsigned i = 0;; i++) {
		uint64_t p;
		if (get_user(p, a->value + i * sizeof(p)) || !p)
			break;
		if (i == TRACE_ARRAY_COUNT) {
			put(t, ", ...");
			break;
		}
		put(t, i ? ", " : "");
		put_string(t, p, TRACE_STRING_BYTES);
	}
	put(t, "]");
}

static void put_environment(struct text *t, const struct arg *a)
{
	unsigned n = 0;
	for (uint64_t p; n < 1000 && !get_user(p, a->value + n * sizeof(p)) && p; n++)
		;
	put_pointer(t, a->value);
	put(t, " /* %u vars */", n);
}

/* Buffers of readv and writev: a->count vectors at a->value, of which at most `left` bytes hold data. */
void put_vectors(struct text *t, uint64_t addr, uint64_t count, uint64_t left)
{
	put(t, "[");
	for (uint64_t i = 0; i < count; i++) {
		struct {
			uint64_t base, len;
		} v;
		put(t, i ? ", " : "");
		if (i == TRACE_ARRAY_COUNT || get_user(v, addr + i * sizeof(v))) {
			put(t, "...");
			break;
		}
		put(t, "{iov_base=");
		put_buffer(t, v.base, vb_min(v.len, left));
		put(t, ", iov_len=%lu}", v.len);
		left -= vb_min(v.len, left);
	}
	put(t, "]");
}

static void put_iov(struct text *t, const struct arg *a)
{
	put_vectors(t, a->value, a->args[2], a->counted ? a->count : UINT64_MAX);
}

static void put_fdset(struct text *t, const struct arg *a)
{
	uint64_t bits[16];
	size_t words = vb_min((a->args[0] + 63) / 64, (uint64_t)16);
	if (!a->value || copy_from_user(bits, a->value, words * 8)) {
		put_pointer(t, a->value);
		return;
	}
	put(t, "[");
	const char *space = "";
	for (unsigned fd = 0; fd < words * 64 && fd < a->args[0]; fd++)
		if (bits[fd / 64] >> fd % 64 & 1) {
			put(t, "%s%u", space, fd);
			space = " ";
		}
	put(t, "]");
}

static void put_status(struct text *t, const struct arg *a)
{
	int status;
	if (!a->value || get_user(status, a->value))
		put_pointer(t, a->value);
	else if (status & 0x7f)
		put(t, "[{WIFSIGNALED(s) && WTERMSIG(s) == %d}]", status & 0x7f);
	else
		put(t, "[{WIFEXITED(s) && WEXITSTATUS(s) == %d}]", status >> 8 & 0xff);
}

static void put_futex_timeout(struct text *t, const struct arg *a)
{
	unsigned op = a->args[1] & FUTEX_CMD_MASK;
	if (op == FUTEX_WAKE)
		return;
	bool is_time =
		op == FUTEX_WAIT || op == FUTEX_WAIT_BITSET || op == FUTEX_LOCK_PI || op == FUTEX_LOCK_PI2 || op == FUTEX_WAIT_REQUEUE_PI;
	put_word(t, is_time ? "timespec" : "l", a);
}

static void put_fcntl_arg(struct text *t, const struct arg *a)
{
	unsigned cmd = (unsigned)a->args[1];
	if (cmd == F_GETFD || cmd == F_GETFL || cmd == F_GETOWN || cmd == F_GETSIG || cmd == F_GETPIPE_SZ || cmd == F_GET_SEALS)
		return;
	bool flock = (cmd >= F_GETLK && cmd <= F_SETLKW) || (cmd >= F_OFD_GETLK && cmd <= F_OFD_SETLKW);
	put_word(t, flock ? "flock" : cmd == F_SETFL ? "oflags" : cmd == F_SETFD ? "fdflags" : "l", a);
}

static void put_ioctl_arg(struct text *t, const struct arg *a)
{
	unsigned cmd = (unsigned)a->args[1];
	bool termios = cmd >= 0x5401 && cmd <= 0x5404, winsize = cmd == 0x5413 || cmd == 0x5414, number = cmd == 0x541b || cmd == 0x5421;
	if (number)
		put_word(t, "int", &(struct arg){a->value, 1, true, a->args});
	else
		put_word(t, termios ? "termios" : winsize ? "winsize" : "p", a);
}

static void put_prctl_arg(struct text *t, const struct arg *a)
{
	if (a->args[0] == PR_SET_NAME)
		put_str(t, a);
	else
		put(t, a->value < 4096 ? "%lu" : "0x%lx", a->value);
}

/* An array of ints in memory. */
static void put_int(struct text *t, const struct arg *a)
{
	int first;
	if (!a->value || (a->count && get_user(first, a->value))) {
		put_pointer(t, a->value);
		return;
	}
	put(t, "[");
	for (uint64_t i = 0; i < a->count; i++) {
		int v;
		put(t, i ? ", " : "");
		if (i == TRACE_ARRAY_COUNT || get_user(v, a->value + i * sizeof(v))) {
			put(t, "...");
			break;
		}
		put(t, "%d", v);
	}
	put(t, "]");
}

static void put_pair(struct text *t, const struct arg *a)
{
	put_int(t, &(struct arg){a->value, 2, true, a->args});
}
static void put_one(struct text *t, const struct arg *a)
{
	put_int(t, &(struct arg){a->value, 1, true, a->args});
}

static void put_long(struct text *t, const struct arg *a)
{
	int64_t v;
	if (!a->value || get_user(v, a->value))
		put_pointer(t, a->value);
	else
		put(t, "[%ld]", v);
}

static const struct {
	const char *word;
	void (*put)(struct text *t, const struct arg *a);
} scalar_words[] = {
	{"d", put_d},
	{"u", put_u},
	{"l", put_l},
	{"x", put_x},
	{"o", put_o},
	{"p", put_p},
	{"fd", put_d},
	{"dirfd", put_dirfd},
	{"path", put_path},
	{"str", put_str},
	{"buf", put_buf},
	{"mode", put_mode},
	{"creatmode", put_creat_mode},
	{"limit", put_limit},
	{"sigset", put_sigset},
	{"handler", put_handler},
	{"strings", put_strings},
	{"env", put_environment},
	{"iov", put_iov},
	{"sockaddr", put_sockaddr},
	{"peer", put_sockaddr_result},
	{"msghdr", put_msghdr},
	{"mmsghdr", put_mmsghdr},
	{"sockproto", put_protocol},
	{"sockopt", put_option_name},
	{"sockval", put_option_value},
	{"sockvalr", put_option_result},
	{"fdset", put_fdset},
	{"status", put_status},
	{"futextime", put_futex_timeout},
	{"fcntlarg", put_fcntl_arg},
	{"ioctlarg", put_ioctl_arg},
	{"prctlarg", put_prctl_arg},
	{"int", put_int},
	{"pair", put_pair},
	{"one", put_one},
	{"long", put_long},
};

/* --- structures --- */

static void put_struct(struct text *t, const struct trace_struct *s, uint64_t addr, const struct arg *a)
{
	unsigned char bytes[TRACE_STRUCT_MAX];
	if (!addr || copy_from_user(bytes, addr, s->size)) {
		put_pointer(t, addr);
		return;
	}
	put(t, "{");
	for (unsigned i = 0; i < s->count; i++) {
		const struct trace_field *f = &s->fields[i];
		struct arg field = {.value = addr + f->offset, .args = a->args};
		if (f->word[0] != '&') {
			field.value = 0;
			memcpy(&field.value, bytes + f->offset, f->size);
		}
		put(t, "%s%s=", i ? ", " : "", f->name);
		put_word(t, f->word + (f->word[0] == '&'), &field);
	}
	put(t, "}");
}

static void put_structs(struct text *t, const struct trace_struct *s, const struct arg *a)
{
	if (!a->counted || !a->value) {
		put_struct(t, s, a->value, a);
		return;
	}
	put(t, "[");
	for (uint64_t i = 0; i < a->count; i++) {
		put(t, i ? ", " : "");
		if (i == TRACE_ARRAY_COUNT) {
			put(t, "...");
			break;
		}
		put_struct(t, s, a->value + i * s->size, a);
	}
	put(t, "]");
}

void put_word(struct text *t, const char *word, const struct arg *arg)
{
	for (unsigned i = 0; i < VB_ARRAY_LEN(scalar_words); i++)
		if (!strcmp(scalar_words[i].word, word)) {
			scalar_words[i].put(t, arg);
			return;
		}
	const struct trace_set *set = set_find(word);
	if (set) {
		put_set(t, set, (uint32_t)arg->value);
		return;
	}
	for (unsigned i = 0; i < trace_struct_count; i++)
		if (!strcmp(trace_structs[i].word, word)) {
			put_structs(t, &trace_structs[i], arg);
			return;
		}
	put(t, "?%s", word); /* the table spells a word wrong: tests/unit/trace.c finds it */
}
