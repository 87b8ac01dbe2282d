/* See tcp_script.h. Owns the two queues of frames and what of the kernel the network stack asks for. */
#include "tests/unit/tcp_script.h"
#include "tests/unit/fake_net.h"

#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <asm/socket.h>

#include "lwip/priv/tcp_priv.h"

#define FLOWS     20000u
#define LOG_LINES 60
#define FRAME     65600u

pid_t waitpid(pid_t pid, int *status, int options); /* <sys/wait.h> has its own idea of POLL_IN */

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16, URG = 32 };

struct packet_list {
	struct frame {
		struct frame *next;
		size_t len;
		uint8_t data[];
	} *first, **last;
};

static const uint8_t cell_mac[6] = {2, 0, 0, 0, 0, 1}, peer_mac[6] = {2, 0, 0, 0, 0, 2};
static const uint8_t cell_ip4[4] = {10, 0, 2, 15}, peer_ip4[4] = {10, 0, 2, 2};
static const uint8_t cell_ip6[16] = {0xfd, [15] = 0x15}, peer_ip6[16] = {0xfd, [15] = 2};

unsigned cell_mtu = 1500;
bool v6, wire_full, wire_mute;
unsigned frames_out, segments_out, icmp_out;
static struct packet_list to_cell, from_cell;
static char log_lines[LOG_LINES][200];
static unsigned log_count;

static struct flow {
	uint16_t peer_port, cell_port;
	uint32_t peer_isn, cell_isn;
	bool known;
} flows[FLOWS];
static struct flow *now_flow = &flows[0];

struct segment {
	unsigned flags, len, ack, win, urg;
	uint32_t seq, ts, echo, sacks[4][2];
	int mss, ws;
	unsigned sack_count;
	bool sack, has_ts, has_ack, has_win, has_sacks, has_urg, bad;
	bool no_ts, no_ws, no_sack, no_mss;
	const uint8_t *data;
};
static struct segment last_seen;

/* --- checks --- */

static void note(const char *fmt, ...)
{
	va_list ap;
	char *line = log_lines[log_count++ % LOG_LINES];

	va_start(ap, fmt);
	int n = snprintf(line, sizeof(log_lines[0]), "%8.3f ", (double)fake_now_ns / 1e9 - 1);
	vsnprintf(line + n, sizeof(log_lines[0]) - (size_t)n, fmt, ap);
	va_end(ap);
}

_Noreturn void fail(const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	printf("# %s:%d: ", file, line);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	for (unsigned i = log_count > LOG_LINES ? log_count - LOG_LINES : 0; i < log_count; i++)
		printf("# %s\n", log_lines[i % LOG_LINES]);
	fflush(stdout);
	_exit(1);
}

int tcp_cases_run(const struct tcp_case *cases, unsigned count, int argc, char **argv)
{
	for (unsigned i = 0; i < count * 2; i++) {
		const struct tcp_case *c = &cases[i / 2];
		int status;

		if ((argc > 1 && !strstr(c->name, argv[1])) || (c->family && c->family != (i % 2 ? AF_INET6 : AF_INET)))
			continue;
		fflush(stdout);
		pid_t pid = fork();
		if (!pid) {
			alarm(250);
			v6 = i % 2;
			c->run();
			fflush(stdout);
			_exit(0);
		}
		waitpid(pid, &status, 0);
		tap_failed += status != 0;
		printf("%sok %d - %s, IPv%d\n", status ? "not " : "", ++tap_count, c->name, i % 2 ? 6 : 4);
	}
	return tap_done();
}

/* --- the interface --- */

static void append(struct packet_list *l, const uint8_t *data, size_t len)
{
	struct frame *f = malloc(sizeof(*f) + len);

	f->next = NULL;
	f->len = len;
	memcpy(f->data, data, len);
	if (!l->first)
		l->last = &l->first;
	*l->last = f;
	l->last = &f->next;
}

static struct frame *pop(struct packet_list *l, struct frame **at)
{
	struct frame *f = *at;

	*at = f->next;
	if (l->last == &f->next)
		l->last = at;
	return f;
}

long platform_frame_read(unsigned i, void *buf, size_t len)
{
	if (!to_cell.first)
		return -EAGAIN;
	struct frame *f = pop(&to_cell, &to_cell.first);
	size_t n = vb_min(len, f->len + 12);
	memset(buf, 0, 12);
	memcpy((uint8_t *)buf + 12, f->data, n - 12);
	free(f);
	return (long)n;
}

static uint32_t sum_of(const uint8_t *p, size_t len, uint32_t sum)
{
	for (size_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	return len % 2 ? sum + ((uint32_t)p[len - 1] << 8) : sum;
}

static uint16_t fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}
static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}
static unsigned get16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}
static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

/* Of what an IP packet carries, pseudo header included; 0 in *at checks. */
static uint16_t transport_sum(const uint8_t *ip, size_t len)
{
	bool six = ip[0] >> 4 == 6;
	size_t head = six ? 40 : 20;
	uint32_t sum = (six ? ip[6] : ip[9]) + (uint32_t)(len - head);

	sum = six ? sum_of(ip + 8, 32, sum) : ip[9] == 1 ? 0 : sum_of(ip + 12, 8, sum);
	return fold(sum_of(ip + head, len - head, sum));
}

void wire_inject_frame(const uint8_t *frame, size_t len)
{
	append(&to_cell, frame, len);
}

void wire_inject(const uint8_t *ip, size_t len)
{
	uint8_t frame[FRAME];

	memcpy(frame, cell_mac, 6);
	memcpy(frame + 6, peer_mac, 6);
	put16(frame + 12, ip[0] >> 4 == 6 ? 0x86dd : 0x0800);
	memcpy(frame + 14, ip, len);
	wire_inject_frame(frame, len + 14);
}

/* An IP header from the peer to the cell. Returns its length. */
static size_t ip_header(uint8_t *ip, unsigned protocol, size_t payload)
{
	if (v6) {
		memset(ip, 0, 40);
		ip[0] = 0x60;
		put16(ip + 4, (unsigned)payload);
		ip[6] = (uint8_t)protocol;
		ip[7] = 255;
		memcpy(ip + 8, peer_ip6, 16);
		memcpy(ip + 24, cell_ip6, 16);
		return 40;
	}
	memset(ip, 0, 20);
	ip[0] = 0x45;
	put16(ip + 2, (unsigned)payload + 20);
	ip[8] = 64;
	ip[9] = (uint8_t)protocol;
	memcpy(ip + 12, peer_ip4, 4);
	memcpy(ip + 16, cell_ip4, 4);
	put16(ip + 10, fold(sum_of(ip, 20, 0)));
	return 20;
}

static void answer_arp(const uint8_t *f)
{
	uint8_t a[42];

	if (wire_mute || get16(f + 20) != 1 || memcmp(f + 38, peer_ip4, 4))
		return;
	memcpy(a, cell_mac, 6);
	memcpy(a + 6, peer_mac, 6);
	memcpy(a + 12, f + 12, 10);
	put16(a + 20, 2);
	memcpy(a + 22, peer_mac, 6);
	memcpy(a + 28, peer_ip4, 4);
	memcpy(a + 32, cell_mac, 6);
	memcpy(a + 38, cell_ip4, 4);
	wire_inject_frame(a, sizeof(a));
}

static void answer_solicitation(const uint8_t *ns)
{
	uint8_t p[72] = {0};

	if (wire_mute || ns[40] != 135 || memcmp(ns + 48, peer_ip6, 16))
		return;
	ip_header(p, 58, 32);
	p[40] = 136;
	p[44] = 0x60;
	memcpy(p + 48, peer_ip6, 16);
	p[64] = 2;
	p[65] = 1;
	memcpy(p + 66, peer_mac, 6);
	put16(p + 42, transport_sum(p, sizeof(p)));
	wire_inject(p, sizeof(p));
}

long platform_frame_write(unsigned i, const struct frame_part *parts, unsigned count)
{
	uint8_t frame[FRAME + 12];
	size_t len = 0;

	if (wire_full)
		return -EAGAIN;
	for (unsigned n = 0; n < count; n++) {
		WANT(len + parts[n].len <= sizeof(frame));
		memcpy(frame + len, parts[n].data, parts[n].len);
		len += parts[n].len;
	}
	frames_out++;
	if (getenv("TCP_SCRIPT_FRAMES"))
		for (size_t n = 12; n < len; n++)
			printf("%s%02x%s", n == 12 ? "# " : "", frame[n], n + 1 == len ? "\n" : "");
	WANT(len >= 26);
	const uint8_t *f = frame + 12;
	size_t n = len - 26;
	WANT(n <= cell_mtu);
	if (get16(f + 12) == 0x0806) {
		answer_arp(f);
	} else if (get16(f + 12) == 0x0800) {
		n = vb_min(n, (size_t)get16(f + 16));
		if (f[23] == 6)
			append(&from_cell, f + 14, n);
		segments_out += f[23] == 6;
		icmp_out += f[23] == 1;
	} else if (get16(f + 12) == 0x86dd) {
		n = vb_min(n, (size_t)get16(f + 18) + 40);
		if (f[20] == 6)
			append(&from_cell, f + 14, n);
		else if (f[20] == 58)
			answer_solicitation(f + 14);
		segments_out += f[20] == 6;
		icmp_out += f[20] == 58 && f[54] < 128;
	}
	return (long)len;
}

static void pump(void)
{
	do {
		need_work = false;
		net_ready(wire_full ? WAIT_NET : WAIT_NET | WAIT_NET_ROOM);
	} while (to_cell.first || need_work);
}

bool wire_take(uint8_t *ret, size_t size, size_t *ret_len)
{
	pump();
	if (!from_cell.first)
		return false;
	struct frame *f = pop(&from_cell, &from_cell.first);
	WANT(f->len <= size);
	memcpy(ret, f->data, f->len);
	*ret_len = f->len;
	free(f);
	return true;
}

/* --- time --- */

/* To the next timer, at the latest to `target`. */
static void step(uint64_t target)
{
	uint64_t next = timers_next_ns();

	if (next > target) {
		fake_now_ns = vb_max(fake_now_ns, target);
		return;
	}
	fake_now_ns = vb_max(fake_now_ns, next);
	timers_run();
	pump();
}

void advance(uint64_t ms)
{
	uint64_t target = fake_now_ns + ms * 1000000;

	pump();
	while (fake_now_ns < target)
		step(target);
}

uint64_t now_ms(void)
{
	return fake_now_ns / 1000000;
}

bool tcp_idle(void)
{
	pump();
	return tcp_tick_deadline(fake_now_ns) == NO_DEADLINE;
}

bool idle(void)
{
	return timers_next_ns() == NO_DEADLINE;
}

int task_sleep(uint64_t deadline_ns, bool interruptible)
{
	pump();
	while (!fake_woken && fake_now_ns < deadline_ns) {
		if (deadline_ns == NO_DEADLINE && idle())
			fail(__FILE__, __LINE__, "sleeps for ever");
		step(deadline_ns);
	}
	return fake_woken ? 0 : -ETIMEDOUT;
}

/* --- segments --- */

void flow(unsigned n)
{
	WANT(n < FLOWS);
	now_flow = &flows[n];
	if (!now_flow->peer_port)
		*now_flow = (struct flow){.peer_port = (uint16_t)(40000 + n), .cell_port = 80, .peer_isn = 1000000};
}
void peer_port(unsigned port)
{
	now_flow->peer_port = (uint16_t)port;
	now_flow->known = false;
}
void cell_port(unsigned port)
{
	now_flow->cell_port = (uint16_t)port;
}
void peer_isn(uint32_t isn)
{
	now_flow->peer_isn = isn;
	now_flow->known = false;
}
uint32_t cell_isn(void)
{
	return now_flow->cell_isn;
}
unsigned last_window(void)
{
	return last_seen.win;
}
uint32_t last_ts(void)
{
	return last_seen.ts;
}

uint8_t pattern(bool of_cell, uint64_t at)
{
	uint64_t x = (at / 8 + of_cell * 0x100000000ull + 1) * 0x9e3779b97f4a7c15ull;

	return (uint8_t)(x >> (8 * (at % 8)) ^ x >> 61);
}

static const char flag_letters[] = "FSRPAU";

static uint32_t number(char **save)
{
	char *word = strtok_r(NULL, " ", save);

	WANT(word);
	return (uint32_t)strtoll(word, NULL, 0);
}

static struct segment parse(const char *fmt, va_list ap)
{
	char text[300], *save, *word;
	struct segment s = {.mss = -1, .ws = -1};

	vsnprintf(text, sizeof(text), fmt, ap);
	word = strtok_r(text, " ", &save);
	for (; *word; word++) {
		const char *letter = strchr(flag_letters, *word);
		WANT(letter);
		s.flags |= 1u << (letter - flag_letters);
	}
	word = strtok_r(NULL, " ", &save);
	WANT(word);
	s.seq = (uint32_t)strtoll(word, &word, 0);
	s.len = *word == '+' ? (unsigned)strtoul(word + 1, NULL, 0) : 0;
	while ((word = strtok_r(NULL, " ", &save))) {
		if (!strcmp(word, "ack"))
			s.ack = number(&save), s.has_ack = true;
		else if (!strcmp(word, "win"))
			s.win = number(&save), s.has_win = true;
		else if (!strcmp(word, "urg"))
			s.urg = number(&save), s.has_urg = true, s.flags |= URG;
		else if (!strcmp(word, "mss"))
			s.mss = (int)number(&save);
		else if (!strcmp(word, "ws"))
			s.ws = (int)number(&save);
		else if (!strcmp(word, "sack"))
			s.sack = true;
		else if (!strcmp(word, "ts"))
			s.ts = number(&save), s.echo = number(&save), s.has_ts = true;
		else if (!strcmp(word, "bad"))
			s.bad = true;
		else if (!strcmp(word, "no-ts"))
			s.no_ts = true;
		else if (!strcmp(word, "no-ws"))
			s.no_ws = true;
		else if (!strcmp(word, "no-sack"))
			s.no_sack = true;
		else if (!strcmp(word, "no-mss"))
			s.no_mss = true;
		else if (!strcmp(word, "sacks")) {
			s.has_sacks = true;
			for (char *pair = strtok_r(NULL, " ", &save); pair && *pair && s.sack_count < 4; s.sack_count++) {
				s.sacks[s.sack_count][0] = (uint32_t)strtoll(pair, &pair, 0);
				s.sacks[s.sack_count][1] = (uint32_t)strtoll(pair + 1, &pair, 0);
				pair += *pair == ',';
			}
		} else {
			fail(__FILE__, __LINE__, "what is \"%s\"?", word);
		}
	}
	return s;
}

static void describe(const char *way, const struct segment *s)
{
	char t[160] = "", *at = t;

	for (unsigned i = 0; i < 6; i++)
		if (s->flags >> i & 1)
			*at++ = flag_letters[i];
	at += sprintf(at, " %d+%u ack %d win %u", (int)s->seq, s->len, (int)s->ack, s->win);
	if (s->mss >= 0)
		at += sprintf(at, " mss %d", s->mss);
	if (s->ws >= 0)
		at += sprintf(at, " ws %d", s->ws);
	at += sprintf(at, "%s", s->sack ? " sack" : "");
	if (s->has_ts)
		at += sprintf(at, " ts %u %u", s->ts, s->echo);
	for (unsigned i = 0; i < s->sack_count; i++)
		at += sprintf(at, "%s%d-%d", i ? "," : " sacks ", (int)s->sacks[i][0], (int)s->sacks[i][1]);
	note("%s flow %ld: %s", way, (long)(now_flow - flows), t);
}

static size_t put_options(uint8_t *o, const struct segment *s)
{
	uint8_t *at = o;

	if (s->mss >= 0) {
		put16(at, 0x0204);
		put16(at + 2, (unsigned)s->mss);
		at += 4;
	}
	if (s->sack) {
		put32(at, 0x01010402);
		at += 4;
	}
	if (s->has_ts) {
		put32(at, 0x0101080a);
		put32(at + 4, s->ts);
		put32(at + 8, s->echo);
		at += 12;
	}
	if (s->ws >= 0) {
		put32(at, 0x01030300u | (uint8_t)s->ws);
		at += 4;
	}
	if (s->sack_count) {
		put32(at, 0x01010500u | (2 + 8 * s->sack_count));
		at += 4;
		for (unsigned i = 0; i < 2 * s->sack_count; i++, at += 4)
			put32(at, s->sacks[i / 2][i % 2] + now_flow->cell_isn);
	}
	return (size_t)(at - o);
}

void inject(const char *fmt, ...)
{
	uint8_t ip[FRAME], options[40];
	va_list ap;

	va_start(ap, fmt);
	struct segment s = parse(fmt, ap);
	va_end(ap);
	flow((unsigned)(now_flow - flows));
	describe(">", &s);
	size_t option_len = put_options(options, &s), tcp_len = 20 + option_len, head = ip_header(ip, 6, tcp_len + s.len);
	uint8_t *t = ip + head;
	memset(t, 0, 20);
	put16(t, now_flow->peer_port);
	put16(t + 2, now_flow->cell_port);
	put32(t + 4, now_flow->peer_isn + s.seq);
	if (s.flags & ACK)
		put32(t + 8, now_flow->cell_isn + s.ack);
	put16(t + 12, (unsigned)(tcp_len / 4) << 12 | s.flags);
	put16(t + 14, s.has_win ? s.win : 65535);
	put16(t + 18, s.urg);
	memcpy(t + 20, options, option_len);
	for (unsigned i = 0; i < s.len; i++)
		t[tcp_len + i] = pattern(false, s.seq + i - (s.flags & SYN ? 0 : 1));
	put16(t + 16, transport_sum(ip, head + tcp_len + s.len) ^ (s.bad ? 1 : 0));
	wire_inject(ip, head + tcp_len + s.len);
	pump();
}

void inject_icmp(int type, int code, uint32_t info, uint32_t seq)
{
	uint8_t ip[200];
	size_t quoted = v6 ? 40 : 20, head = ip_header(ip, v6 ? 58 : 1, 8 + quoted + 8);
	uint8_t *m = ip + head, *q = m + 8;

	note("> ICMP %d/%d about %d", type, code, (int)seq);
	memset(m, 0, 8);
	m[0] = (uint8_t)type;
	m[1] = (uint8_t)code;
	put32(m + 4, info);
	ip_header(q, 6, 20);
	for (size_t i = 0, at = v6 ? 8 : 12, n = v6 ? 16 : 4; i < n; i++) { /* from the cell */
		uint8_t b = q[at + i];
		q[at + i] = q[at + n + i];
		q[at + n + i] = b;
	}
	put16(q + quoted, now_flow->cell_port);
	put16(q + quoted + 2, now_flow->peer_port);
	put32(q + quoted + 4, now_flow->cell_isn + seq);
	put16(m + 2, transport_sum(ip, head + 8 + quoted + 8));
	wire_inject(ip, head + 8 + quoted + 8);
	pump();
}

static void decode_options(const uint8_t *o, const uint8_t *end, struct segment *s)
{
	while (o < end && *o) {
		if (*o == 1) {
			o++;
			continue;
		}
		WANT(end - o >= 2 && o[1] >= 2 && o + o[1] <= end);
		switch (*o) {
		case 2:
			s->mss = (int)get16(o + 2);
			break;
		case 3:
			s->ws = o[2];
			break;
		case 4:
			s->sack = true;
			break;
		case 5:
			for (; s->sack_count < 4 && 2 + 8 * s->sack_count < o[1]; s->sack_count++)
				for (unsigned i = 0; i < 2; i++)
					s->sacks[s->sack_count][i] = get32(o + 2 + 8 * s->sack_count + 4 * i) - now_flow->peer_isn;
			break;
		case 8:
			s->has_ts = true;
			s->ts = get32(o + 2);
			s->echo = get32(o + 6);
		}
		o += o[1];
	}
}

/* The next segment of this flow. A SYN of the cell tells its initial sequence number. */
static bool take_segment(struct segment *s, struct frame **ret_frame)
{
	struct frame **at = &from_cell.first;

	pump();
	for (; *at; at = &(*at)->next) {
		const uint8_t *t = (*at)->data + (v6 ? 40 : 20);
		if (get16(t + 2) == now_flow->peer_port && (get16(t) == now_flow->cell_port || (t[13] & (SYN | ACK)) == SYN))
			break;
	}
	if (!*at)
		return false;
	struct frame *f = pop(&from_cell, at);
	const uint8_t *t = f->data + (v6 ? 40 : 20);
	if (transport_sum(f->data, f->len))
		fail(__FILE__, __LINE__, "a segment has a wrong checksum");
	*s = (struct segment){.flags = t[13] & 63u, .win = get16(t + 14), .mss = -1, .ws = -1, .urg = get16(t + 18)};
	if (s->flags & SYN && !now_flow->known) {
		now_flow->cell_isn = get32(t + 4);
		now_flow->cell_port = (uint16_t)get16(t);
		now_flow->known = true;
	}
	s->seq = get32(t + 4) - now_flow->cell_isn;
	s->ack = s->flags & ACK ? get32(t + 8) - now_flow->peer_isn : 0;
	s->data = t + (t[12] >> 4) * 4;
	s->len = (unsigned)(f->data + f->len - s->data);
	decode_options(t + 20, s->data, s);
	for (unsigned i = 0; i < s->len; i++)
		if (s->data[i] != pattern(true, s->seq - 1 + i))
			fail(__FILE__, __LINE__, "byte %u of the stream is wrong", s->seq - 1 + i);
	describe("<", s);
	last_seen = *s;
	*ret_frame = f;
	return true;
}

static const char *difference(const struct segment *s, const struct segment *w)
{
	if ((s->flags ^ w->flags) & ~(unsigned)PSH)
		return "its flags";
	if (s->seq != w->seq)
		return "its number";
	if (s->len != w->len)
		return "its length";
	if (w->has_ack && s->ack != w->ack)
		return "what it acknowledges";
	if (w->has_win && s->win != w->win)
		return "its window";
	if ((w->mss >= 0 || w->no_mss) && s->mss != w->mss)
		return "its MSS";
	if ((w->ws >= 0 || w->no_ws) && s->ws != w->ws)
		return "its window scale";
	if ((w->sack && !s->sack) || (w->no_sack && s->sack))
		return "SACK permitted";
	if ((w->has_ts && !s->has_ts) || (w->no_ts && s->has_ts) || (w->has_ts && w->echo != s->echo))
		return "its timestamps";
	if (w->has_sacks && (s->sack_count != w->sack_count || memcmp(s->sacks, w->sacks, w->sack_count * sizeof(s->sacks[0]))))
		return "its SACK blocks";
	return NULL;
}

static void match(const char *fmt, va_list ap, uint64_t min_ms, uint64_t max_ms)
{
	va_list again;
	char text[300];
	struct segment s;
	struct frame *f;
	uint64_t start = now_ms();

	va_copy(again, ap);
	vsnprintf(text, sizeof(text), fmt, again);
	va_end(again);
	struct segment w = parse(fmt, ap);
	while (!take_segment(&s, &f)) {
		if (now_ms() - start >= max_ms)
			fail("expected", 0, "\"%s\", nothing came in %lu ms", text, (unsigned long)max_ms);
		step(fake_now_ns + 1000000);
	}
	free(f);
	if (now_ms() - start < min_ms)
		fail("expected", 0, "\"%s\", came too early: after %lu ms", text, (unsigned long)(now_ms() - start));
	const char *d = difference(&s, &w);
	if (d)
		fail("expected", 0, "\"%s\": %s", text, d);
}

void expect(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	match(fmt, ap, 0, 0);
	va_end(ap);
}

void expect_in(uint64_t min_ms, uint64_t max_ms, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	match(fmt, ap, min_ms, max_ms);
	va_end(ap);
}

void quiet(uint64_t ms)
{
	struct segment s;
	struct frame *f;

	advance(ms);
	if (take_segment(&s, &f))
		fail("expected", 0, "nothing");
}

void ignore(void)
{
	struct segment s;
	struct frame *f;

	while (take_segment(&s, &f))
		free(f);
}

/* --- sockets --- */

static void start(void)
{
	static bool started;

	if (started)
		return;
	started = true;
	fake_platform_start(1 << 20, 1 << 20);
	struct vb_boot_net *n = &fake_boot.net[0];
	*n = (struct vb_boot_net){.kind = VB_NET_PACKET, .mtu = cell_mtu, .prefix4 = 24, .prefix6 = 64};
	memcpy(n->mac, cell_mac, 6);
	memcpy(n->ip4, cell_ip4, 4);
	memcpy(n->ip6, cell_ip6, 16);
	memcpy(n->gateway4, peer_ip4, 4);
	memcpy(n->gateway6, peer_ip6, 16);
	fake_boot.net_count = 1;
	flow(0);
	WANT(inet_start() == 0);
	advance(20000);
}

static unsigned name_of(uint8_t *name, const uint8_t *ip4, const uint8_t *ip6, unsigned port)
{
	memset(name, 0, 28);
	name[0] = v6 ? AF_INET6 : AF_INET;
	put16(name + 2, port);
	if (v6 && ip6)
		memcpy(name + 8, ip6, 16);
	else if (ip4)
		memcpy(name + 4, ip4, 4);
	return v6 ? 28 : 16;
}

sock tcp_open(void)
{
	sock s;

	start();
	IS(tcp_create(v6 ? AF_INET6 : AF_INET, 0, &s), 0);
	return s;
}

sock listening(int backlog)
{
	uint8_t name[28];
	sock s = tcp_open();

	IS(s->ops->bind(s, name, name_of(name, NULL, NULL, 80)), 0);
	IS(s->ops->listen(s, backlog), 0);
	return s;
}

int connect_to(sock s, unsigned port)
{
	uint8_t name[28];

	now_flow->peer_port = (uint16_t)port;
	now_flow->known = false;
	int r = s->ops->connect(s, name, name_of(name, peer_ip4, peer_ip6, port), true);
	note("connect: %d", r);
	return r;
}

sock try_accept(sock l, int *ret_error)
{
	sock s = NULL;

	pump();
	*ret_error = l->ops->accept(l, true, &s);
	return *ret_error ? NULL : s;
}

sock accepted(sock l)
{
	int r;
	sock s = try_accept(l, &r);

	IS(r, 0);
	return s;
}

static long transfer(sock s, size_t n, bool out)
{
	struct tcp_socket *t = tcp_of(s);
	uint8_t *data = malloc(n + 1);
	uint64_t at = out ? t->written : *(uint64_t *)&t->inet.base.cookie; /* nobody else uses cookies here */
	struct uio_vec vec;
	struct uio u;
	struct socket_message m = {.data = &u, .flags = MSG_DONTWAIT};

	for (size_t i = 0; out && i < n; i++)
		data[i] = pattern(true, at + i);
	uio_init_kernel(&u, &vec, data, n);
	long r = out ? s->ops->send(s, &m) : s->ops->receive(s, &m);
	for (long i = 0; !out && i < r; i++)
		if (data[i] != pattern(false, at + (uint64_t)i))
			fail(__FILE__, __LINE__, "byte %lu that the program received is wrong", (unsigned long)(at + (uint64_t)i));
	if (!out && r > 0)
		s->cookie += (uint64_t)r;
	free(data);
	note("%s: %ld", out ? "send" : "receive", r);
	pump();
	return r;
}

long put(sock s, size_t n)
{
	return transfer(s, n, true);
}

long get(sock s, size_t n)
{
	pump();
	return transfer(s, n, false);
}

int get_error(sock s)
{
	int e = s->error;

	s->error = 0;
	return e;
}

int set_option(sock s, int level, int name, int value)
{
	if (level == SOL_SOCKET) {
		s->flags |= (unsigned)!!value << name;
		tcp_apply_options(tcp_of(s));
		tcp_touch(tcp_of(s));
		inet_run();
		return 0;
	}
	return (int)s->ops->setsockopt(s, level, name, (uint64_t)&value, sizeof(value));
}

unsigned events(sock s)
{
	pump();
	return s->ops->poll(s, NULL, NULL);
}

void shut(sock s, int how)
{
	note("shutdown %d", how);
	IS(s->ops->shutdown(s, how), 0);
	pump();
}

void close_socket(sock s)
{
	note("close");
	s->ops->release(s);
	pump();
}

int state_of(sock s)
{
	pump();
	return tcp_state(tcp_of(s));
}

sock established(sock *ret_listener, const char *options)
{
	sock l = listening(16);

	inject("S 0 %s", options ? options : "mss 1460");
	expect("SA 0 ack 1");
	inject("A 1 ack 1");
	if (ret_listener)
		*ret_listener = l;
	return accepted(l);
}

sock connected(const char *options)
{
	sock s = tcp_open();

	IS(connect_to(s, 80), -EINPROGRESS);
	expect("S 0");
	inject("SA 0 ack 1 %s", options ? options : "mss 1460");
	expect("A 1 ack 1");
	IS(state_of(s), 1);
	return s;
}
