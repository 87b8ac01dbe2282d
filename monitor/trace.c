/* Traced calls as text. Owns the formatting of lines and JSON and the summary's counters. Everything in a record is hostile,
 * the cell's kernel wrote it: it is copied once, checked, bounded, and escaped before it reaches a terminal.
 */
#include "monitor/trace.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/types.h"

#include <vauban/message.h>

#define TEXT_MAX_BYTES   2048u
#define RECORD_MAX_BYTES (sizeof(struct vb_msg_trace) + TEXT_MAX_BYTES)
#define NAME_MAX_BYTES   32u
#define SUMMARY_MAX      512u
#define RELAY_TIMEOUT_MS 1000

static const char *const errno_names[] = {
	[1] = "EPERM",
	[2] = "ENOENT",
	[3] = "ESRCH",
	[4] = "EINTR",
	[5] = "EIO",
	[6] = "ENXIO",
	[7] = "E2BIG",
	[8] = "ENOEXEC",
	[9] = "EBADF",
	[10] = "ECHILD",
	[11] = "EAGAIN",
	[12] = "ENOMEM",
	[13] = "EACCES",
	[14] = "EFAULT",
	[15] = "ENOTBLK",
	[16] = "EBUSY",
	[17] = "EEXIST",
	[18] = "EXDEV",
	[19] = "ENODEV",
	[20] = "ENOTDIR",
	[21] = "EISDIR",
	[22] = "EINVAL",
	[23] = "ENFILE",
	[24] = "EMFILE",
	[25] = "ENOTTY",
	[26] = "ETXTBSY",
	[27] = "EFBIG",
	[28] = "ENOSPC",
	[29] = "ESPIPE",
	[30] = "EROFS",
	[31] = "EMLINK",
	[32] = "EPIPE",
	[33] = "EDOM",
	[34] = "ERANGE",
	[35] = "EDEADLK",
	[36] = "ENAMETOOLONG",
	[37] = "ENOLCK",
	[38] = "ENOSYS",
	[39] = "ENOTEMPTY",
	[40] = "ELOOP",
	[42] = "ENOMSG",
	[43] = "EIDRM",
	[44] = "ECHRNG",
	[45] = "EL2NSYNC",
	[46] = "EL3HLT",
	[47] = "EL3RST",
	[48] = "ELNRNG",
	[49] = "EUNATCH",
	[50] = "ENOCSI",
	[51] = "EL2HLT",
	[52] = "EBADE",
	[53] = "EBADR",
	[54] = "EXFULL",
	[55] = "ENOANO",
	[56] = "EBADRQC",
	[57] = "EBADSLT",
	[59] = "EBFONT",
	[60] = "ENOSTR",
	[61] = "ENODATA",
	[62] = "ETIME",
	[63] = "ENOSR",
	[64] = "ENONET",
	[65] = "ENOPKG",
	[66] = "EREMOTE",
	[67] = "ENOLINK",
	[68] = "EADV",
	[69] = "ESRMNT",
	[70] = "ECOMM",
	[71] = "EPROTO",
	[72] = "EMULTIHOP",
	[73] = "EDOTDOT",
	[74] = "EBADMSG",
	[75] = "EOVERFLOW",
	[76] = "ENOTUNIQ",
	[77] = "EBADFD",
	[78] = "EREMCHG",
	[79] = "ELIBACC",
	[80] = "ELIBBAD",
	[81] = "ELIBSCN",
	[82] = "ELIBMAX",
	[83] = "ELIBEXEC",
	[84] = "EILSEQ",
	[85] = "ERESTART",
	[86] = "ESTRPIPE",
	[87] = "EUSERS",
	[88] = "ENOTSOCK",
	[89] = "EDESTADDRREQ",
	[90] = "EMSGSIZE",
	[91] = "EPROTOTYPE",
	[92] = "ENOPROTOOPT",
	[93] = "EPROTONOSUPPORT",
	[94] = "ESOCKTNOSUPPORT",
	[95] = "EOPNOTSUPP",
	[96] = "EPFNOSUPPORT",
	[97] = "EAFNOSUPPORT",
	[98] = "EADDRINUSE",
	[99] = "EADDRNOTAVAIL",
	[100] = "ENETDOWN",
	[101] = "ENETUNREACH",
	[102] = "ENETRESET",
	[103] = "ECONNABORTED",
	[104] = "ECONNRESET",
	[105] = "ENOBUFS",
	[106] = "EISCONN",
	[107] = "ENOTCONN",
	[108] = "ESHUTDOWN",
	[109] = "ETOOMANYREFS",
	[110] = "ETIMEDOUT",
	[111] = "ECONNREFUSED",
	[112] = "EHOSTDOWN",
	[113] = "EHOSTUNREACH",
	[114] = "EALREADY",
	[115] = "EINPROGRESS",
	[116] = "ESTALE",
	[117] = "EUCLEAN",
	[118] = "ENOTNAM",
	[119] = "ENAVAIL",
	[120] = "EISNAM",
	[121] = "EREMOTEIO",
	[122] = "EDQUOT",
	[123] = "ENOMEDIUM",
	[124] = "EMEDIUMTYPE",
	[125] = "ECANCELED",
	[126] = "ENOKEY",
	[127] = "EKEYEXPIRED",
	[128] = "EKEYREVOKED",
	[129] = "EKEYREJECTED",
	[130] = "EOWNERDEAD",
	[131] = "ENOTRECOVERABLE",
	[132] = "ERFKILL",
	[133] = "EHWPOISON",
};

static const char *const signal_names[] = {
	"0",
	"SIGHUP",
	"SIGINT",
	"SIGQUIT",
	"SIGILL",
	"SIGTRAP",
	"SIGABRT",
	"SIGBUS",
	"SIGFPE",
	"SIGKILL",
	"SIGUSR1",
	"SIGSEGV",
	"SIGUSR2",
	"SIGPIPE",
	"SIGALRM",
	"SIGTERM",
	"SIGSTKFLT",
	"SIGCHLD",
	"SIGCONT",
	"SIGSTOP",
	"SIGTSTP",
	"SIGTTIN",
	"SIGTTOU",
	"SIGURG",
	"SIGXCPU",
	"SIGXFSZ",
	"SIGVTALRM",
	"SIGPROF",
	"SIGWINCH",
	"SIGIO",
	"SIGPWR",
	"SIGSYS",
};

struct counter {
	char name[NAME_MAX_BYTES];
	uint64_t calls, errors, ns;
};

struct trace_printer {
	struct trace_options options;
	struct counter counters[SUMMARY_MAX];
	unsigned counter_count;
};

/* A record taken apart: name of the call and arguments lie within text. */
struct record {
	struct vb_msg_trace header;
	char text[TEXT_MAX_BYTES + 1];
	char name[NAME_MAX_BYTES];
	const char *args;
	int error; /* 0: none */
};

struct trace_printer *trace_printer_new(const struct trace_options *options)
{
	struct trace_printer *p = calloc(1, sizeof(*p));
	if (p)
		p->options = *options;
	return p;
}

static bool decode(struct record *r, const void *payload, size_t len)
{
	if (len < sizeof(r->header) || len > RECORD_MAX_BYTES)
		return false;
	memcpy(&r->header, payload, sizeof(r->header));
	if (r->header.text_bytes != len - sizeof(r->header))
		return false;
	memcpy(r->text, (const char *)payload + sizeof(r->header), r->header.text_bytes);
	r->text[r->header.text_bytes] = 0;
	size_t name_len = strcspn(r->text, "(");
	snprintf(r->name, sizeof(r->name), "%.*s", (int)vb_min(name_len, (size_t)NAME_MAX_BYTES), r->text);
	r->args = r->text + name_len + (r->text[name_len] == '(');
	bool failed = !(r->header.flags & (VB_TRACE_NO_RESULT | VB_TRACE_SIGNAL | VB_TRACE_ENDED)) && r->header.result < 0 &&
		      r->header.result >= -4095;
	r->error = failed ? (int)-r->header.result : 0;
	return true;
}

static const char *error_name(int error)
{
	static const char *const restarts[] = {"ERESTARTSYS", "ERESTARTNOINTR", "ERESTARTNOHAND", "ENOIOCTLCMD", "ERESTART_RESTARTBLOCK"};
	if (error >= 512 && error - 512 < (int)VB_ARRAY_LEN(restarts))
		return restarts[error - 512];
	return error < (int)VB_ARRAY_LEN(errno_names) ? errno_names[error] : NULL;
}

static const char *signal_name(uint32_t number)
{
	return number < VB_ARRAY_LEN(signal_names) ? signal_names[number] : "SIGRT";
}

/* For a terminal: nothing but printable ASCII. For JSON also quotes and backslashes are escaped. */
static void print_text(FILE *out, const char *s, bool json)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;
		if (c < 32 || c >= 127)
			fprintf(out, json ? "\\u%04x" : "\\x%02x", c);
		else if (json && (c == '"' || c == '\\'))
			fprintf(out, "\\%c", c);
		else
			fputc(c, out);
	}
}

static bool wanted(const struct trace_printer *p, const struct record *r)
{
	const char *only = p->options.only;
	if (!only || r->header.flags & (VB_TRACE_SIGNAL | VB_TRACE_ENDED))
		return true;
	for (size_t n; *only; only += n + (only[n] == ',')) {
		n = strcspn(only, ",");
		if (n == strlen(r->name) && !memcmp(only, r->name, n))
			return true;
	}
	return false;
}

static void count(struct trace_printer *p, const struct record *r)
{
	unsigned i = 0;
	while (i < p->counter_count && strcmp(p->counters[i].name, r->name))
		i++;
	if (i == p->counter_count) {
		if (i == SUMMARY_MAX)
			return; /* more names than there are calls: not worth a line */
		memcpy(p->counters[p->counter_count++].name, r->name, sizeof(r->name));
	}
	p->counters[i].calls++;
	p->counters[i].errors += r->error != 0;
	p->counters[i].ns += r->header.duration_ns;
}

static void print_json(FILE *out, const struct record *r)
{
	const struct vb_msg_trace *h = &r->header;
	fprintf(out, "{\"tid\":%u,\"time\":%llu.%06u,", h->tid, (unsigned long long)(h->start_ns / 1000000000u),
		(unsigned)(h->start_ns % 1000000000u / 1000));
	if (h->flags & VB_TRACE_ENDED) {
		fprintf(out, "\"event\":\"end\",\"status\":%lld,\"signal\":%u}\n", (long long)h->result, h->nr);
		return;
	}
	if (h->flags & VB_TRACE_SIGNAL) {
		fprintf(out, "\"event\":\"signal\",\"signal\":%u,\"info\":\"", h->nr);
		print_text(out, r->text, true);
		fputs("\"}\n", out);
		return;
	}
	fputs("\"call\":\"", out);
	print_text(out, r->name, true);
	fputs("\",\"args\":\"", out);
	print_text(out, r->args, true);
	fputs("\",\"result\":", out);
	if (h->flags & VB_TRACE_NO_RESULT)
		fputs("null,\"errno\":null", out);
	else if (r->error && error_name(r->error))
		fprintf(out, "-1,\"errno\":\"%s\"", error_name(r->error));
	else
		fprintf(out, "%lld,\"errno\":null", (long long)h->result);
	fprintf(out, ",\"seconds\":%llu.%06u}\n", (unsigned long long)(h->duration_ns / 1000000000u),
		(unsigned)(h->duration_ns % 1000000000u / 1000));
}

static void print_line(FILE *out, const struct record *r)
{
	const struct vb_msg_trace *h = &r->header;
	time_t seconds = (time_t)(h->start_ns / 1000000000u);
	struct tm tm;
	char clock[16] = "";
	if (localtime_r(&seconds, &tm))
		strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
	fprintf(out, "[%u] %s.%06u ", h->tid, clock, (unsigned)(h->start_ns % 1000000000u / 1000));

	if (h->flags & VB_TRACE_ENDED) {
		if (h->nr)
			fprintf(out, "+++ killed by %s +++\n", signal_name(h->nr));
		else
			fprintf(out, "+++ exited with %lld +++\n", (long long)h->result);
		return;
	}
	if (h->flags & VB_TRACE_SIGNAL) {
		fputs("--- ", out);
		print_text(out, r->text, false);
		fputs(" ---\n", out);
		return;
	}
	print_text(out, r->text, false);
	fputs(") = ", out);
	if (h->flags & VB_TRACE_NO_RESULT) {
		fputs("?\n", out);
		return;
	}
	const char *error = r->error ? error_name(r->error) : NULL;
	if (error && r->error >= 512)
		fprintf(out, "? %s (To be restarted)", error);
	else if (error)
		fprintf(out, "-1 %s (%s)", error, strerror(r->error));
	else if (h->flags & VB_TRACE_ADDRESS)
		fprintf(out, "0x%llx", (unsigned long long)h->result);
	else
		fprintf(out, "%lld", (long long)h->result);
	fprintf(out, " <%llu.%06u>\n", (unsigned long long)(h->duration_ns / 1000000000u), (unsigned)(h->duration_ns % 1000000000u / 1000));
}

void trace_printer_record(struct trace_printer *p, const void *payload, size_t len)
{
	struct record r;
	if (!decode(&r, payload, len) || !wanted(p, &r))
		return;
	if (p->options.summary) {
		if (!(r.header.flags & (VB_TRACE_SIGNAL | VB_TRACE_ENDED)))
			count(p, &r);
	} else if (p->options.json) {
		print_json(p->options.out, &r);
	} else {
		print_line(p->options.out, &r);
	}
}

static int by_time(const void *a, const void *b)
{
	const struct counter *x = a, *y = b;
	return x->ns < y->ns ? 1 : x->ns > y->ns ? -1 : strcmp(x->name, y->name);
}

static void print_summary(struct trace_printer *p)
{
	FILE *out = p->options.out;
	qsort(p->counters, p->counter_count, sizeof(p->counters[0]), by_time);
	if (!p->options.json)
		fprintf(out, "%12s %10s %10s  %s\n", "seconds", "calls", "errors", "call");
	for (unsigned i = 0; i < p->counter_count; i++) {
		const struct counter *c = &p->counters[i];
		fprintf(out, p->options.json ? "{\"seconds\":%.6f,\"calls\":%llu,\"errors\":%llu,\"call\":\"" : "%12.6f %10llu %10llu  ",
			(double)c->ns / 1e9, (unsigned long long)c->calls, (unsigned long long)c->errors);
		print_text(out, c->name, p->options.json);
		fputs(p->options.json ? "\"}\n" : "\n", out);
	}
}

void trace_printer_free(struct trace_printer *p)
{
	if (!p)
		return;
	if (p->options.summary)
		print_summary(p);
	fflush(p->options.out);
	free(p);
}

static bool send_all(int fd, const char *bytes, size_t len)
{
	while (len) {
		ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0) {
			bytes += n;
			len -= (size_t)n;
			continue;
		}
		if (n == 0 || (errno != EAGAIN && errno != EINTR))
			return false;
		struct pollfd ready = {.fd = fd, .events = POLLOUT};
		if (errno == EAGAIN && poll(&ready, 1, RELAY_TIMEOUT_MS) == 0)
			return false;
	}
	return true;
}

bool trace_relay(int fd, const void *payload, size_t len)
{
	char frame[4 + RECORD_MAX_BYTES];
	uint32_t length = (uint32_t)len;
	if (len > RECORD_MAX_BYTES)
		return true;
	memcpy(frame, &length, sizeof(length));
	memcpy(frame + sizeof(length), payload, len);
	return send_all(fd, frame, sizeof(length) + len);
}

/* 1: all read, 0: the end before the first byte, -1: error. */
static int read_all(int fd, void *buf, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = read(fd, (char *)buf + done, len - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n == 0 && done == 0 ? 0 : -1;
		done += (size_t)n;
	}
	return 1;
}

bool trace_read(int fd, struct trace_printer *p)
{
	char record[RECORD_MAX_BYTES];
	for (uint32_t len;;) {
		int r = read_all(fd, &len, sizeof(len));
		if (r <= 0)
			return r == 0;
		if (len > sizeof(record) || read_all(fd, record, len) != 1)
			return false;
		trace_printer_record(p, record, len);
		fflush(p->options.out);
	}
}
