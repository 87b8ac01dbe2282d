/* TCP over a network that loses, doubles and reorders, by scripts (tcp_script.h); and whole transfers both ways with a small
 * peer over a wire that does so at random, with sanitizers on. */
#include "tests/unit/tcp_script.h"

#define MSS (v6 ? 1440 : 1460)

/* --- what the cell sends is lost --- */

static void lost_syn_ack(void)
{
	sock l = listening(5);

	inject("S 0 mss 1460");
	expect("SA 0 ack 1"); /* lost */
	expect_in(900, 1200, "SA 0 ack 1");
	expect_in(1800, 2300, "SA 0 ack 1");
	inject("A 1 ack 1");
	accepted(l);
	quiet(5000);
	WANT(tcp_idle());
}

static void lost_last_ack_of_handshake(void)
{
	sock l = listening(5);

	inject("S 0 mss 1460");
	expect("SA 0 ack 1");
	inject("PA 1+10 ack 1"); /* data comes first; the bare ACK was lost */
	sock s = accepted(l);
	IS(get(s, 100), 10);
}

static void lost_syn(void)
{
	sock s = tcp_open();

	IS(connect_to(s, 80), -EINPROGRESS);
	expect("S 0");
	expect_in(900, 1200, "S 0");
	inject("SA 0 ack 1 mss 1460");
	expect("A 1 ack 1");
	inject("SA 0 ack 1 mss 1460"); /* our ACK was lost */
	expect("A 1 ack 1");
	IS(state_of(s), 1);
}

static void lost_fin(void)
{
	sock s = established(NULL, NULL);

	shut(s, SHUT_WRITE);
	expect("FA 1 ack 1");
	expect_in(150, 1100, "FA 1 ack 1");
	expect_in(300, 2200, "FA 1 ack 1");
	inject("A 1 ack 2");
	quiet(10000);
	WANT(tcp_idle());
}

static void single_loss_timeout(void)
{
	sock s = established(NULL, NULL);

	IS(put(s, 100), 100);
	expect("A 1+100"); /* lost */
	expect_in(150, 1100, "A 1+100");
	uint64_t first = now_ms();
	expect_in(300, 2200, "A 1+100");
	uint64_t second = now_ms() - first;
	expect_in(2 * second - 60, 2 * second + 60, "A 1+100");
	expect_in(4 * second - 60, 4 * second + 60, "A 1+100");
	inject("A 1 ack 101");
	quiet(10000);
	WANT(tcp_idle());
}

static void fast_retransmit(void)
{
	sock s = established(NULL, NULL);

	IS(put(s, 8 * (size_t)MSS), 8 * MSS);
	for (int i = 0; i < 8; i++)
		expect("A %d+%d", 1 + i * MSS, MSS);
	inject("A 1 ack %d", 1 + MSS);
	for (int i = 0; i < 2; i++) { /* the second segment is lost, the third and fourth come */
		inject("A 1 ack %d", 1 + MSS);
		quiet(1);
	}
	inject("A 1 ack %d", 1 + MSS);
	expect("A %d+%d", 1 + MSS, MSS); /* the third duplicate */
	inject("A 1 ack %d", 1 + 8 * MSS);
	quiet(10000);
	WANT(tcp_idle());
}

static void two_duplicates_are_reordering(void)
{
	sock s = established(NULL, NULL);

	IS(put(s, 4 * (size_t)MSS), 4 * MSS);
	for (int i = 0; i < 4; i++)
		expect("A %d+%d", 1 + i * MSS, MSS);
	inject("A 1 ack 1");
	inject("A 1 ack 1");
	quiet(5);
	inject("A 1 ack %d", 1 + 4 * MSS);
	quiet(10000);
}

static void burst_loss(void)
{
	sock s = established(NULL, NULL);
	unsigned at = 1, end = 1 + 8 * (unsigned)MSS;

	IS(put(s, 8 * (size_t)MSS), 8 * MSS);
	ignore(); /* all lost */
	uint64_t start = now_ms();
	while (at < end) {
		advance(10);
		uint8_t ip[2000];
		size_t len;
		while (wire_take(ip, sizeof(ip), &len)) {
			const uint8_t *t = ip + (v6 ? 40 : 20);
			uint32_t seq = ((uint32_t)t[4] << 24 | (uint32_t)t[5] << 16 | (uint32_t)t[6] << 8 | t[7]) - cell_isn();
			unsigned n = (unsigned)(ip + len - (t + (t[12] >> 4) * 4));
			if (seq <= at && seq + n > at)
				at = seq + n;
			inject("A 1 ack %u", at);
		}
		WANT(now_ms() - start < 10000);
	}
	quiet(10000);
	WANT(tcp_idle());
}

static void gives_up(void)
{
	sock s = established(NULL, NULL);

	IS(put(s, 100), 100);
	expect("A 1+100");
	for (int i = 0; i < 15; i++) /* net.ipv4.tcp_retries2 */
		expect_in(150, 121000, "A 1+100");
	IS(state_of(s), 1);
	quiet(119000);
	quiet(2000);
	IS(get_error(s), ETIMEDOUT);
	WANT(events(s) & POLL_HUP);
	WANT(now_ms() > 900000 && now_ms() < 2000000);
	WANT(tcp_idle());
}

static void gives_up_after_user_timeout(void)
{
	sock s = established(NULL, NULL);

	IS(set_option(s, IPPROTO_TCP, 18, 5000), 0);
	IS(put(s, 100), 100);
	advance(4000);
	IS(get_error(s), 0);
	advance(4000);
	IS(get_error(s), ETIMEDOUT);
}

static void closed_gives_up_earlier(void)
{
	sock s = established(NULL, NULL);

	IS(put(s, 100), 100);
	close_socket(s);
	advance(600000);
	ignore();
	WANT(tcp_idle());
	inject("A 1 ack 1");
	expect("RA 1");
}

static void closed_with_closed_window(void)
{
	sock s = established(NULL, NULL);

	IS(put(s, 100), 100);
	expect("A 1+100");
	inject("A 1 ack 101 win 0");
	IS(put(s, 50000), 50000);
	size_t with = lwip_memory_used();
	close_socket(s);
	for (int i = 0; i < 600 && tcp_of(s) && !tcp_idle(); i++) { /* the peer answers all probes and opens nothing, for ever */
		advance(1000);
		ignore();
		inject("A 1 ack 101 win 0");
	}
	WANT(now_ms() < 400000);
	ignore();
	WANT(tcp_idle());
	WANT(lwip_memory_used() + 40000 < with);
}

/* --- what the peer sends comes late, twice, overlapping --- */

static void out_of_order(void)
{
	sock s = established(NULL, "mss 1460 sack");

	inject("A 1001+1000 ack 1");
	expect("A 1 ack 1 sacks 1001-2001"); /* at once */
	inject("A 3001+1000 ack 1");
	expect("A 1 ack 1 sacks 3001-4001,1001-2001");
	inject("A 2001+1000 ack 1");
	expect("A 1 ack 1 sacks 1001-4001");
	IS(get(s, 10000), -EAGAIN);
	inject("A 1+1000 ack 1");
	expect_in(0, 300, "A 1 ack 4001");
	IS(get(s, 10000), 4000);
	quiet(1000);
	WANT(tcp_idle());
}

static void overlaps(void)
{
	sock s = established(NULL, NULL);

	inject("A 501+500 ack 1");
	inject("A 301+400 ack 1");  /* overlaps its front */
	inject("A 901+300 ack 1");  /* its end */
	inject("A 601+100 ack 1");  /* within */
	inject("A 101+1300 ack 1"); /* around all */
	IS(get(s, 10000), -EAGAIN);
	inject("A 1+200 ack 1");
	IS(get(s, 10000), 1400);
	inject("A 1301+1000 ack 1"); /* old and new */
	IS(get(s, 10000), 900);
	inject("A 2300+1 ack 1");
	IS(get(s, 10000), -EAGAIN);
	advance(1000);
	ignore();
	inject("PA 2301+10 ack 1");
	IS(get(s, 10000), 10);
}

static void duplicates(void)
{
	sock s = established(NULL, NULL);

	for (int i = 0; i < 5; i++)
		inject("A 1+1000 ack 1");
	IS(get(s, 10000), 1000);
	for (int i = 0; i < 5; i++)
		inject("FA 1001 ack 1");
	IS(get(s, 10000), 0);
	advance(100);
	ignore();
	IS(state_of(s), 8);
}

static void out_of_order_then_reset(void)
{
	sock s = established(NULL, NULL);

	size_t before = lwip_memory_used();
	for (int i = 0; i < 20; i++)
		inject("A %d+1000 ack 1", 1001 + 2000 * i);
	WANT(lwip_memory_used() > before + 15000);
	inject("R 1");
	IS(get_error(s), ECONNRESET);
	ignore();
	advance(1000);
	WANT(lwip_memory_used() <= before);
}

/* --- a wire that loses at random, and a small peer --- */

enum { WIRE_MAX = 4096, STREAM = 300000, PEER_BUFFER = 32768 };

static struct {
	uint64_t at_ns;
	size_t len;
	uint8_t *ip;
} wire[WIRE_MAX];
static unsigned wire_count, loss, doubling, delay_ms, full, failures;

static unsigned chance(void)
{
	return (unsigned)rand() % 1000;
}

static struct peer {
	uint32_t una, next, max, end; /* sending: acknowledged, sent, ever sent, all of it; relative numbers */
	uint32_t got;            /* receiving: next number wanted */
	bool have[STREAM + 2];   /* bytes beyond that */
	bool fin_got, fin_acked;
	uint32_t fin_at;
	unsigned window;
	uint64_t sent_ns;
} peer;

static void to_wire(const uint8_t *ip, size_t len)
{
	for (unsigned copies = 1 + (chance() < doubling); copies; copies--) {
		if (chance() < loss || wire_count == WIRE_MAX)
			continue;
		uint8_t *copy = malloc(len);
		memcpy(copy, ip, len);
		wire[wire_count].at_ns = fake_now_ns + (uint64_t)(rand() % (int)(delay_ms * 1000 + 1)) * 1000;
		wire[wire_count].len = len;
		wire[wire_count++].ip = copy;
	}
}

static void peer_ack(void)
{
	if (chance() >= loss)
		inject("A %u ack %u win %u", peer.next, peer.got, chance() < 50 ? 0 : 20000u + chance());
}

static void peer_receives(const uint8_t *ip, size_t len)
{
	const uint8_t *t = ip + (v6 ? 40 : 20), *data = t + (t[12] >> 4) * 4;
	uint32_t seq = ((uint32_t)t[4] << 24 | (uint32_t)t[5] << 16 | (uint32_t)t[6] << 8 | t[7]) - cell_isn();
	uint32_t ack = ((uint32_t)t[8] << 24 | (uint32_t)t[9] << 16 | (uint32_t)t[10] << 8 | t[11]) - 1000000;
	unsigned n = (unsigned)(ip + len - data);

	WANT(!(t[13] & 4));
	WANT(ack <= vb_max(peer.max, peer.end + 1));
	if (ack > peer.una) {
		peer.una = ack;
		peer.next = vb_max(peer.next, vb_min(ack, peer.end));
		peer.sent_ns = fake_now_ns;
	}
	peer.window = (unsigned)t[14] << 8 | t[15];
	for (unsigned i = 0; i < n; i++) {
		WANT(data[i] == pattern(true, seq - 1 + i));
		WANT(seq + i <= STREAM);
		peer.have[seq + i] = true;
	}
	if (t[13] & 1) {
		peer.fin_got = true;
		peer.fin_at = seq + n;
	}
	while (peer.got <= STREAM && peer.have[peer.got])
		peer.got++;
	if (peer.fin_got && peer.got == peer.fin_at)
		peer.got++;
	if (n || t[13] & 1)
		peer_ack();
}

static void peer_sends(void)
{
	unsigned window = vb_min(peer.window, (unsigned)PEER_BUFFER);

	if (peer.una < peer.next && fake_now_ns - peer.sent_ns > 300000000) { /* its retransmission: from the first lost on */
		peer.next = peer.una;
		peer.sent_ns = fake_now_ns;
	}
	while (peer.next < peer.end && (peer.next - peer.una < window || (peer.next == peer.una && !window && chance() < 10))) {
		unsigned n = vb_min(vb_min(1 + (unsigned)rand() % 1400, peer.end - peer.next), window ? window - (peer.next - peer.una) : 1u);
		if (chance() >= loss)
			inject("A %u+%u ack %u win 20000", peer.next, n, peer.got);
		if (peer.next == peer.una)
			peer.sent_ns = fake_now_ns;
		peer.next += n;
		peer.max = vb_max(peer.max, peer.next);
	}
	if (peer.next == peer.end && peer.una >= peer.end && !peer.fin_acked && fake_now_ns - peer.sent_ns > 300000000) {
		inject("FA %u ack %u", peer.end, peer.got);
		peer.sent_ns = fake_now_ns;
	}
}

static void deliver_due(void)
{
	for (unsigned i = 0; i < wire_count;) {
		if (wire[i].at_ns > fake_now_ns) {
			i++;
			continue;
		}
		uint8_t *ip = wire[i].ip;
		size_t len = wire[i].len;
		wire[i] = wire[--wire_count];
		peer_receives(ip, len);
		free(ip);
	}
}

static void transfer_both_ways(unsigned seed, unsigned losing, unsigned twice, unsigned late_ms)
{
	static uint8_t ip[65600];
	sock s = established(NULL, seed & 1 ? "mss 1460 sack ws 0" : "mss 700");
	unsigned sent = 0, received = 0;
	bool ended = false;
	size_t len;

	srand(seed);
	loss = losing;
	doubling = twice;
	delay_ms = late_ms;
	peer = (struct peer){.una = 1, .next = 1, .end = 1 + STREAM, .got = 1, .window = 10000};
	fake_failure_rate = failures;
	uint64_t start = now_ms();
	while (!ended || received < STREAM || peer.una < peer.end || !peer.fin_got || peer.got <= STREAM + 1 || state_of(s) == 4) {
		if (sent < STREAM && chance() < 300) {
			long n = put(s, vb_min(1 + (unsigned)rand() % 20000, STREAM - sent));
			WANT(n > 0 || n == -EAGAIN);
			sent += n > 0 ? (unsigned)n : 0;
		}
		if (sent == STREAM && !ended) {
			shut(s, SHUT_WRITE);
			ended = true;
		}
		if (chance() < 200) {
			long n = get(s, 1 + (unsigned)rand() % 30000);
			WANT(n > 0 || n == -EAGAIN || (n == 0 && received == STREAM));
			received += n > 0 ? (unsigned)n : 0;
		}
		while (wire_take(ip, sizeof(ip), &len))
			to_wire(ip, len);
		deliver_due();
		peer_sends();
		wire_full = chance() < full;
		advance(5);
		if (peer.una > peer.end)
			peer.fin_acked = true;
		WANT(now_ms() - start < 3600000);
		IS(get_error(s), 0);
	}
	loss = fake_failure_rate = 0;
	wire_full = false;
	inject("A %u ack %u", peer.end, STREAM + 2);
	inject("FA %u ack %u", peer.end, STREAM + 2);
	IS(get(s, 10), 0);
	close_socket(s);
	advance(70000);
	WANT(tcp_idle());
}

static void random_mild(void)
{
	transfer_both_ways(1, 10, 10, 1);
}
static void random_harsh(void)
{
	transfer_both_ways(2, 150, 50, 20);
}
static void random_reordering(void)
{
	transfer_both_ways(3, 0, 100, 60);
}
static void random_full_interface(void)
{
	full = 300;
	transfer_both_ways(5, 50, 0, 3);
}
static void random_no_memory(void)
{
	failures = 30;
	transfer_both_ways(7, 20, 0, 3);
}

static const struct tcp_case cases[] = {
#define CASE(name) {#name, name, 0}
	CASE(lost_syn_ack), CASE(lost_last_ack_of_handshake), CASE(lost_syn), CASE(lost_fin), CASE(single_loss_timeout), CASE(fast_retransmit),
	CASE(two_duplicates_are_reordering), CASE(burst_loss), CASE(gives_up), CASE(gives_up_after_user_timeout), CASE(closed_gives_up_earlier),
	CASE(closed_with_closed_window), CASE(out_of_order), CASE(overlaps), CASE(duplicates), CASE(out_of_order_then_reset), CASE(random_mild),
	CASE(random_harsh), CASE(random_reordering), CASE(random_full_interface), CASE(random_no_memory),
};

int main(int argc, char **argv)
{
	return tcp_cases_run(cases, VB_ARRAY_LEN(cases), argc, argv);
}
