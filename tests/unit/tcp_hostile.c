/* TCP under attack, by scripts (tcp_script.h): forged segments and ICMP messages, floods, clients that hold memory. */
#include "tests/unit/tcp_script.h"

#define MSS (v6 ? 1440 : 1460)

/* --- forged segments (RFC 5961): only exact numbers count --- */

static void forged_reset(void)
{
	sock s = established(NULL, NULL);

	inject("R 2"); /* in the window: the real peer is asked */
	expect("A 1 ack 1");
	inject("R 60000");
	expect("A 1 ack 1");
	inject("R 0");
	inject("R 70000");
	inject("R -1000");
	quiet(100);
	IS(state_of(s), 1);
	inject("R 1");
	IS(get_error(s), ECONNRESET);
}

static void forged_syn(void)
{
	sock s = established(NULL, NULL);

	inject("S 1");
	expect("A 1 ack 1");
	inject("S 5000");
	expect("A 1 ack 1");
	inject("S 1000000");
	expect("A 1 ack 1");
	inject("SA 0 ack 1");
	expect("A 1 ack 1");
	IS(state_of(s), 1);
	IS(get_error(s), 0);
}

static void forged_data(void)
{
	sock s = established(NULL, NULL);

	IS(put(s, 100), 100);
	expect("A 1+100");
	inject("A 1 ack 101");
	/* acknowledges what was never sent, or what was acknowledged very long ago */
	inject("PA 1+10 ack 5000000");
	expect("A 101 ack 1");
	inject("PA 1+10 ack -2000000000");
	expect("A 101 ack 1");
	inject("PA 1+10 ack -3000000");
	expect("A 101 ack 1");
	IS(get(s, 100), -EAGAIN);
	inject("PA 1+10 ack 101");
	IS(get(s, 100), 10);
	advance(300);
	ignore();
	inject("P 11+10"); /* no ACK at all */
	quiet(500);
	IS(get(s, 100), -EAGAIN);
}

/* A segment behind a hole that begins inside the window and ends outside: lwIP would keep all of it, and find no room when the hole
 * is filled. Also with the handshake's last segment, and a FIN as the byte too many. */
static void data_across_the_edge(void)
{
	listening(16);
	for (unsigned i = 0; i < 3; i++) {
		flow(i);
		inject("S 0 mss 1460");
		expect("SA 0 ack 1");
		if (i == 1)
			inject("A 65001+1400 ack 1");
		inject("A 1 ack 1");
		if (i == 0)
			inject("A 65001+1400 ack 1");
		if (i == 2)
			inject("FA 65001+535 ack 1");
		for (unsigned at = 1; at < 65001; at += 1000)
			inject("A %u+1000 ack 1", at);
		ignore();
		advance(1000);
		ignore();
	}
	flow(10);
	inject("S 0 mss 1460");
	expect("SA 0 ack 1");
}

static void forged_fin(void)
{
	sock s = established(NULL, NULL);

	inject("FA 1 ack 3000000");
	expect("A 1 ack 1");
	inject("F 1");
	IS(state_of(s), 1);
	quiet(300);
}

static void challenges_are_few(void)
{
	sock s = established(NULL, NULL);

	unsigned before = segments_out;
	for (int i = 0; i < 5000; i++)
		inject("R %d", 2 + i);
	WANT(segments_out - before <= 5000); /* never more than came */
	ignore();
	IS(state_of(s), 1);
}

static void ack_storm(void)
{
	sock s = established(NULL, NULL);

	unsigned before = segments_out; /* what one side answers the other does not answer again */
	inject("A 1 ack 5000000");
	inject("A 500000 ack 1");
	WANT(segments_out - before <= 2);
	ignore();
	IS(state_of(s), 1);
}

/* Old duplicates by their timestamps (PAWS). */
static void old_timestamp(void)
{
	sock s = established(NULL, "mss 1460 ts 100000 0");
	uint32_t ts = last_ts();

	inject("PA 1+10 ack 1 ts 100010 %u", ts);
	IS(get(s, 100), 10);
	advance(100);
	ignore();
	inject("PA 11+10 ack 1 ts 99000 %u", ts);
	expect("A 1 ack 11");
	IS(get(s, 100), -EAGAIN);
	inject("PA 11+10 ack 1 ts 100010 %u", ts);
	IS(get(s, 100), 10);
	inject("PA 21+10 ack 1 ts %u %u", 100010u + 0x7fffffff, ts); /* far, but ahead */
	IS(get(s, 100), 10);
}

static void timestamps_that_lie(void)
{
	sock s = established(NULL, "mss 1460 ts 100 0");

	for (int i = 0; i < 10; i++) { /* echoes of what was never sent: no harm to the retransmission time */
		IS(put(s, 10), 10);
		expect("A %d+10", 1 + 10 * i);
		inject("A 1 ack %d ts 100 %u", 11 + 10 * i, (unsigned)rand());
	}
	IS(put(s, 10), 10);
	expect("A 101+10");
	expect_in(150, 1500, "A 101+10");
	/* A segment without one, where they were agreed: Linux drops it. */
	IS(get_error(s), 0);
}

/* --- options --- */

static void odd_options(void)
{
	sock l = listening(16);
	static const char *const all[] = {"mss 0", "mss 1", "mss 65535", "mss 1460 ws 255", "mss 1460 ws 14 sack ts 0 0", "mss 1460 ts 4294967295 77", ""};

	for (unsigned i = 0; i < VB_ARRAY_LEN(all); i++) {
		flow(i);
		inject("S 0 %s", all[i]);
		expect("SA 0 ack 1");
		inject("A 1 ack 1");
		sock s = accepted(l);
		IS(put(s, 3000), 3000);
		advance(2000);
		ignore();
		close_socket(s);
		inject("R 1");
	}
	WANT(events(l) == 0);
}

static void broken_options(void)
{
	uint8_t ip[120] = {0x45, 0, 0, 60, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 2, 2, 10, 0, 2, 15};

	listening(16);
	if (v6)
		return;
	srand(3);
	for (int i = 0; i < 30000; i++) { /* any 20 bytes as options of a SYN; checksums are right */
		uint32_t sum = 0;
		ip[10] = ip[11] = 0;
		for (int n = 0; n < 20; n += 2)
			sum += (uint32_t)ip[n] << 8 | ip[n + 1];
		sum = (sum & 0xffff) + (sum >> 16);
		sum = ~((sum & 0xffff) + (sum >> 16));
		ip[10] = (uint8_t)(sum >> 8);
		ip[11] = (uint8_t)sum;
		memcpy(ip + 20, (uint8_t[]){0x9c, 0x40, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0xa0, 2, 0xff, 0xff, 0, 0, 0, 0}, 20);
		for (int n = 40; n < 60; n++)
			ip[n] = (uint8_t)(rand() % 4 ? rand() % 12 : rand());
		sum = 6 + 40;
		for (int n = 12; n < 60; n += 2)
			sum += (uint32_t)ip[n] << 8 | ip[n + 1];
		sum = (sum & 0xffff) + (sum >> 16);
		sum = ~((sum & 0xffff) + (sum >> 16));
		ip[36] = (uint8_t)(sum >> 8);
		ip[37] = (uint8_t)sum;
		wire_inject(ip, 60);
		if (i % 64 == 0)
			ignore();
	}
	peer_isn(1);
	ignore();
	inject("R 1");
	flow(5);
	inject("S 0 mss 1460");
	expect("SA 0 ack 1");
}

/* --- ICMP --- */

static void icmp_while_connecting(void)
{
	sock s = tcp_open();

	IS(connect_to(s, 80), -EINPROGRESS);
	expect("S 0");
	inject_icmp(v6 ? 1 : 3, v6 ? 4 : 3, 0, 12345); /* forged: not about our SYN */
	IS(state_of(s), 2);
	inject_icmp(v6 ? 1 : 3, v6 ? 4 : 3, 0, 0);
	IS(get_error(s), ECONNREFUSED);
	WANT(tcp_idle());
}

static void icmp_host_unreachable_while_connecting(void)
{
	sock s = tcp_open();

	IS(connect_to(s, 80), -EINPROGRESS);
	expect("S 0");
	inject_icmp(v6 ? 1 : 3, v6 ? 3 : 1, 0, 0);
	IS(get_error(s), EHOSTUNREACH);
}

static void icmp_when_established(void)
{
	sock s = established(NULL, NULL);

	IS(put(s, 100), 100);
	expect("A 1+100");
	for (int code = 0; code < 16; code++)
		inject_icmp(v6 ? 1 : 3, code, 0, 1);
	inject_icmp(v6 ? 3 : 11, 0, 0, 1);
	inject_icmp(v6 ? 4 : 12, 0, 0, 1);
	inject_icmp(v6 ? 4 : 4, 0, 0, 1); /* source quench */
	IS(state_of(s), 1);
	inject("A 1 ack 101");
	IS(put(s, 1), 1);
	expect("A 101+1");
}

static void path_mtu(void)
{
	sock s = established(NULL, NULL);

	IS(put(s, (size_t)MSS), MSS);
	expect("A 1+%d", MSS);
	inject_icmp(v6 ? 2 : 3, v6 ? 0 : 4, 1300, 500000); /* forged */
	IS(put(s, (size_t)MSS), MSS);
	expect("A %d+%d", 1 + MSS, MSS);
	inject_icmp(v6 ? 2 : 3, v6 ? 0 : 4, 1300, 1);
	unsigned part = v6 ? 1240 : 1260;
	expect_in(0, 1200, "A 1+%u", part);
	inject("A 1 ack %u", 1 + part);
	expect_in(0, 1200, "A %u+%u", 1 + part, MSS - part);
	ignore();
	inject("A 1 ack %d", 1 + 2 * MSS);
	ignore();
	IS(put(s, 2000), 2000);
	expect("A %d+%u", 1 + 2 * MSS, part);
}

static void path_mtu_tiny(void)
{
	sock s = established(NULL, NULL);

	IS(put(s, (size_t)MSS), MSS);
	expect("A 1+%d", MSS);
	inject_icmp(v6 ? 2 : 3, v6 ? 0 : 4, 0, 1); /* an attack: Linux has a floor of 552 (1280 for IPv6) */
	inject_icmp(v6 ? 2 : 3, v6 ? 0 : 4, 68, 1);
	unsigned before = segments_out;
	advance(1000);
	WANT(segments_out - before < 10);
	IS(state_of(s), 1);
}

/* --- floods --- */

static void syn_flood(void)
{
	sock l = listening(128);
	size_t before = lwip_memory_used(), most = 0;

	for (unsigned i = 1; i < 5000; i++) { /* none of them ever answers */
		flow(i);
		inject("S 0 mss 1460 sack ts 1 0 ws 7");
		if (i % 100 == 0)
			ignore();
		most = vb_max(most, lwip_memory_used());
		uint8_t ip[100];
		size_t len;
		while (wire_take(ip, sizeof(ip), &len))
			;
	}
	WANT(tcp_of(l)->half_open_count <= HALF_OPEN_MAX);
	WANT(most - before < 2000000);
	flow(0);
	inject("S 0 mss 1460"); /* an honest client */
	expect("SA 0 ack 1");
	inject("A 1 ack 1");
	accepted(l);
	advance(100000);
	WANT(tcp_of(l)->half_open_count == 0);
	WANT(tcp_idle());
	WANT(lwip_memory_used() <= before + 5000);
}

static void backlog_overflow(void)
{
	sock l = listening(2);
	int e, got = 0;

	for (unsigned i = 0; i < 10; i++) {
		flow(i);
		inject("S 0 mss 1460");
		uint8_t ip[100];
		size_t len;
		while (wire_take(ip, sizeof(ip), &len)) { /* an answer: the handshake goes on */
			const uint8_t *t = ip + (v6 ? 40 : 20);
			WANT((t[13] & 4) == 0);
			peer_isn(1000000);
			inject("S 0 mss 1460"); /* makes it say its number again */
			expect_in(0, 2000, "SA 0 ack 1");
			inject("A 1 ack 1");
		}
	}
	while (try_accept(l, &e))
		got++;
	IS(got, 3); /* Linux: backlog + 1 */
	IS(e, -EAGAIN);
	flow(9); /* the client tries again */
	inject("S 0 mss 1460");
	expect("SA 0 ack 1");
	inject("A 1 ack 1");
	accepted(l);
}

static void many_connections_come_and_go(void)
{
	sock l = listening(128);
	size_t before = lwip_memory_used();

	for (unsigned i = 1; i < 3000; i++) {
		flow(i);
		inject("S 0 mss 1460");
		expect("SA 0 ack 1");
		inject("PA 1+10 ack 1");
		sock s = accepted(l);
		IS(get(s, 100), 10);
		IS(put(s, 100), 100);
		close_socket(s); /* we close first: TIME_WAIT is ours */
		ignore();
		inject("FA 11 ack 102");
		expect("A 102 ack 12");
	}
	WANT(lwip_memory_used() < before + 4096 * 1000);
	advance(61000);
	WANT(tcp_idle());
	WANT(lwip_memory_used() <= before + 5000);
}

/* --- clients that hold memory --- */

static void many_receive_queues(void)
{
	sock l = listening(4096);
	size_t limit = lwip_memory_limit();
	unsigned stored = 0;

	for (unsigned i = 1; i <= 200; i++) { /* connections whose program doesn't read */
		flow(i);
		inject("S 0 mss 1460");
		expect("SA 0 ack 1");
		inject("A 1 ack 1");
		for (unsigned at = 1; at < 200000; at += 1400) {
			inject("A %u+1400 ack 1", at);
			stored++;
		}
		ignore();
	}
	WANT(lwip_memory_used() <= limit);
	flow(500); /* somebody else is served all the same */
	inject("S 0 mss 1460");
	expect_in(0, 3000, "SA 0 ack 1");
	inject("PA 1+10 ack 1");
	int e;
	sock s = NULL, next;
	while ((next = try_accept(l, &e)))
		s = next;
	IS(get(s, 100), 10);
	ignore();
	IS(put(s, 1000), 1000);
	expect("A 1+1000 ack 11");
}

/* Memory is there, but in pieces: large frames still come in and large writes still go out. */
static void memory_in_pieces(void)
{
	cell_mtu = 65520;
	sock l = listening(16);
	inject("S 0 mss 60000");
	expect("SA 0 ack 1");
	inject("A 1 ack 1");
	sock s = accepted(l);

	fake_largest_block = 4096;
	inject("PA 1+20000 ack 1");
	inject("PA 20001+20000 ack 1");
	IS(get(s, 50000), 40000);
	ignore();
	IS(put(s, 10000), 10000);
	expect("A 1+10000 ack 40001");
	inject("A 40001 ack 10001");
	ignore();
	fake_largest_block = SIZE_MAX;
	inject("PA 40001+20000 ack 10001");
	IS(get(s, 30000), 20000);
}

static void many_out_of_order_queues(void)
{
	sock l = listening(4096);

	for (unsigned i = 1; i <= 40; i++) {
		flow(i);
		inject("S 0 mss 1460");
		expect("SA 0 ack 1");
		inject("A 1 ack 1");
		for (unsigned at = 101; at < 65000; at += 30) /* many small pieces */
			inject("A %u+1 ack 1", at);
		ignore();
	}
	WANT(lwip_memory_used() <= lwip_memory_limit());
	flow(500);
	inject("S 0 mss 1460");
	expect_in(0, 3000, "SA 0 ack 1");
	inject("PA 1+10 ack 1");
	int e;
	sock s = NULL, next;
	while ((next = try_accept(l, &e)))
		s = next;
	IS(get(s, 100), 10);
	ignore();
	IS(put(s, 1000), 1000);
	expect("A 1+1000 ack 11");
}

static void many_send_queues(void)
{
	sock l = listening(4096);
	unsigned i;

	for (i = 1; i <= 300; i++) { /* clients that ask for much and don't read */
		flow(i);
		inject("S 0 mss 1460");
		expect("SA 0 ack 1");
		inject("PA 1+10 ack 1 win 100");
		sock s = accepted(l);
		while (put(s, 65536) > 0)
			;
		ignore();
	}
	WANT(lwip_memory_used() <= lwip_memory_limit());
	flow(5000);
	inject("S 0 mss 1460");
	expect_in(0, 3000, "SA 0 ack 1");
	inject("PA 1+10 ack 1");
	sock s = accepted(l);
	IS(get(s, 100), 10);
	ignore();
	IS(put(s, 1000), 1000);
	expect("A 1+1000 ack 11");
}

static const struct tcp_case cases[] = {
#define CASE(name) {#name, name, 0}
	CASE(forged_reset), CASE(forged_syn), CASE(forged_data), CASE(forged_fin), CASE(challenges_are_few), CASE(ack_storm), CASE(old_timestamp),
	CASE(timestamps_that_lie), CASE(odd_options), {"broken_options", broken_options, AF_INET}, CASE(icmp_while_connecting),
	CASE(icmp_host_unreachable_while_connecting), CASE(icmp_when_established), CASE(path_mtu), CASE(path_mtu_tiny), CASE(syn_flood),
	CASE(backlog_overflow), CASE(many_connections_come_and_go), CASE(many_receive_queues), CASE(memory_in_pieces), CASE(data_across_the_edge), CASE(many_out_of_order_queues),
	CASE(many_send_queues),
};

int main(int argc, char **argv)
{
	cell_memory = 16 << 20;
	return tcp_cases_run(cases, VB_ARRAY_LEN(cases), argc, argv);
}
