/* TCP by scripts (tcp_script.h): how connections open and end, urgent data, windows, sequence numbers. Linux's behaviour is what
 * is expected; where lwIP's differs the case says "lwIP:". One difference is everywhere: its resets always have an ACK. */
#include "tests/unit/tcp_script.h"

#include <asm/socket.h>

#define MSS (v6 ? 1440 : 1460)

enum { ESTABLISHED_ = 1, SYN_SENT_, SYN_RECV_, FIN_WAIT1_, FIN_WAIT2_, TIME_WAIT_, CLOSE_, CLOSE_WAIT_, LAST_ACK_, LISTEN_, CLOSING_ };

/* --- opening --- */

static void passive_all_options(void)
{
	sock l = listening(5);

	inject("S 0 win 29200 mss 1460 sack ts 100 0 ws 7");
	expect("SA 0 ack 1 mss %d sack ts 0 100 ws 7", MSS);
	inject("A 1 ack 1 win 229 ts 110 %u", last_ts());
	sock s = accepted(l);
	IS(state_of(s), ESTABLISHED_);
	IS(put(s, 100), 100);
	expect("A 1+100 ack 1 ts 0 110");
	inject("A 1+10 ack 101 ts 120 %u", last_ts());
	IS(get(s, 100), 10);
	expect_in(0, 200, "A 101 ack 11 ts 0 120");
}

static void passive_no_options(void)
{
	sock l = listening(5);

	inject("S 0");
	expect("SA 0 ack 1 no-ts no-ws no-sack");
	inject("A 1 ack 1");
	sock s = accepted(l);
	IS(put(s, 536 * 2), 536 * 2);
	expect("A 1+536 ack 1 no-ts"); /* lwIP: also where Linux takes 1220 for IPv6 */
	expect("A 537+536 ack 1 no-ts");
}

static void passive_data_with_the_ack(void)
{
	sock l = listening(5);

	inject("S 0 mss 1460");
	expect("SA 0 ack 1");
	inject("PA 1+5 ack 1");
	sock s = accepted(l);
	IS(get(s, 10), 5);
}

static void active_all_options(void)
{
	sock s = tcp_open();

	IS(connect_to(s, 80), -EINPROGRESS);
	expect("S 0 mss %d sack ws 7", MSS);
	IS(state_of(s), SYN_SENT_);
	inject("SA 0 ack 1 mss 1000 sack ts 7 %u ws 3", last_ts());
	expect("A 1 ack 1 ts 0 7");
	IS(events(s) & (POLL_OUT | POLL_ERR | POLL_HUP), POLL_OUT);
	IS(connect_to(s, 80), 0);
	IS(connect_to(s, 80), -EISCONN);
}

static void active_refused(void)
{
	sock s = tcp_open();

	IS(connect_to(s, 80), -EINPROGRESS);
	expect("S 0");
	inject("RA 0 ack 1");
	IS(events(s) & (POLL_ERR | POLL_HUP), POLL_ERR | POLL_HUP);
	IS(get_error(s), ECONNREFUSED);
	WANT(tcp_idle());
}

static void active_reset_must_match(void)
{
	sock s = tcp_open();

	IS(connect_to(s, 80), -EINPROGRESS);
	expect("S 0");
	inject("RA 0 ack 7"); /* forged: acknowledges what was never sent */
	inject("R 1");
	IS(state_of(s), SYN_SENT_);
	inject("SA 0 ack 1 mss 1460");
	expect("A 1 ack 1");
	IS(state_of(s), ESTABLISHED_);
}

static void active_wrong_ack(void)
{
	sock s = tcp_open();

	IS(connect_to(s, 80), -EINPROGRESS);
	expect("S 0");
	inject("SA 0 ack 100 mss 1460"); /* of an old connection */
	expect("RA 100");
	ignore();
	IS(state_of(s), SYN_SENT_);
}

static void active_gives_up(void)
{
	sock s = tcp_open();

	IS(connect_to(s, 80), -EINPROGRESS);
	expect("S 0");
	expect_in(900, 1300, "S 0");
	expect_in(1800, 2300, "S 0");
	expect_in(3800, 4300, "S 0");
	expect_in(7800, 8300, "S 0");
	expect_in(15800, 16400, "S 0");
	expect_in(31000, 33000, "S 0");
	quiet(60000);
	IS(state_of(s), SYN_SENT_);
	quiet(5000);
	IS(get_error(s), ETIMEDOUT);
	WANT(tcp_idle());
}

static void connect_blocking_timeout(void)
{
	uint8_t name[28] = {v6 ? AF_INET6 : AF_INET, [3] = 80};
	sock s = tcp_open();

	memcpy(name + (v6 ? 8 : 4), v6 ? (const uint8_t[16]){0xfd, [15] = 2} : (const uint8_t[16]){10, 0, 2, 2}, v6 ? 16 : 4);
	uint64_t start = now_ms();
	IS(s->ops->connect(s, name, v6 ? 28 : 16, false), -ETIMEDOUT);
	WANT(now_ms() - start > 120000 && now_ms() - start < 135000);
}

static void connect_no_neighbour(void)
{
	sock s = tcp_open();

	wire_mute = true;
	IS(connect_to(s, 80), -EINPROGRESS);
	quiet(3500);
	IS(get_error(s), EHOSTUNREACH);
	WANT(s->ops->poll(s, NULL, NULL) & POLL_HUP);
}

static void simultaneous_open(void)
{
	sock s = tcp_open();

	IS(connect_to(s, 80), -EINPROGRESS);
	expect("S 0");
	inject("S 0 mss 1460");
	/* lwIP: doesn't know it; answers nothing, and the connection comes about if the other side takes our SYN. */
	ignore();
	IS(state_of(s), SYN_SENT_);
	inject("SA 0 ack 1 mss 1460");
	expect("A 1 ack 1");
	IS(state_of(s), ESTABLISHED_);
}

static void syn_again(void)
{
	sock l = listening(5);
	int e;

	inject("S 0 mss 1460");
	expect("SA 0 ack 1");
	inject("S 0 mss 1460"); /* our answer was lost */
	expect_in(0, 1100, "SA 0 ack 1");
	try_accept(l, &e);
	IS(e, -EAGAIN);
	inject("A 1 ack 1");
	accepted(l);
}

static void no_listener(void)
{
	tcp_open();
	inject("S 5 mss 1460");
	now_ms();
	expect("RA %d ack 6", (int)-cell_isn());
	inject("A 9+3 ack 77");
	expect("RA 77");
	inject("R 9");
	quiet(100);
	inject("FSRPAU 1 ack 1 urg 3");
	quiet(100);
}

static void listener_wrong_segments(void)
{
	sock l = listening(5);
	int e;

	inject("A 1 ack 5");
	expect("RA 5");
	inject("SA 1 ack 5");
	expect("RA 5");
	inject("R 1");
	inject("RA 1 ack 5");
	inject("F 1");
	inject("P 1+10");
	inject("S 0 bad");
	quiet(100);
	try_accept(l, &e);
	IS(e, -EAGAIN);
	IS(tcp_of(l)->half_open_count, 0);
}

static void half_open_reset(void)
{
	sock l = listening(5);

	inject("S 0 mss 1460");
	expect("SA 0 ack 1");
	IS(tcp_of(l)->half_open_count, 1);
	inject("R 500000"); /* outside the window */
	IS(tcp_of(l)->half_open_count, 1);
	inject("R 1");
	IS(tcp_of(l)->half_open_count, 0);
	quiet(5000);
	WANT(tcp_idle());
}

static void half_open_wrong_ack(void)
{
	sock l = listening(5);
	int e;

	inject("S 0 mss 1460");
	expect("SA 0 ack 1");
	inject("A 1 ack 2");
	expect("RA 2");
	try_accept(l, &e);
	IS(e, -EAGAIN);
	inject("A 1 ack 1");
	accepted(l);
}

/* --- ending --- */

static void close_first(void)
{
	sock s = established(NULL, NULL);

	close_socket(s);
	expect("FA 1 ack 1");
	inject("A 1 ack 2");
	quiet(1000);
	inject("FA 1 ack 2");
	expect("A 2 ack 2");
	inject("FA 1 ack 2"); /* our last acknowledgement was lost */
	expect("A 2 ack 2");
	advance(61000);
	inject("FA 1 ack 2"); /* it is forgotten by now */
	expect("RA 2");
	WANT(tcp_idle());
}

static void close_second(void)
{
	sock s = established(NULL, NULL);

	inject("FA 1 ack 1");
	expect("A 1 ack 2");
	IS(state_of(s), CLOSE_WAIT_);
	IS(get(s, 10), 0);
	IS(events(s) & (POLL_IN | POLL_RDHUP | POLL_HUP), POLL_IN | POLL_RDHUP);
	close_socket(s);
	expect("FA 1 ack 2");
	inject("A 2 ack 2");
	WANT(tcp_idle());
	IS(segments_out > 0, 1);
}

static void half_close_by_peer(void)
{
	sock s = established(NULL, NULL);

	inject("PFA 1+10 ack 1");
	expect("A 1 ack 12");
	IS(get(s, 100), 10);
	IS(get(s, 100), 0);
	IS(put(s, 5000), 5000); /* the other way goes on */
	expect("A 1+%d ack 12", MSS);
	expect("A %d+%d", 1 + MSS, MSS);
	expect("A %d+%d", 1 + 2 * MSS, MSS);
	inject("A 12 ack %d", 1 + 3 * MSS);
	expect("PA %d+%d", 1 + 3 * MSS, 5000 - 3 * MSS);
	inject("A 12 ack 5001");
	shut(s, SHUT_WRITE);
	expect("FA 5001 ack 12");
	IS(state_of(s), LAST_ACK_);
	inject("A 12 ack 5002");
	WANT(tcp_idle());
	IS(events(s) & POLL_HUP, POLL_HUP);
}

static void half_close_by_us(void)
{
	sock s = established(NULL, NULL);

	shut(s, SHUT_WRITE);
	expect("FA 1 ack 1");
	IS(state_of(s), FIN_WAIT1_);
	IS(put(s, 10), -EPIPE);
	inject("A 1 ack 2");
	IS(state_of(s), FIN_WAIT2_);
	WANT(tcp_idle());
	inject("PA 1+1000 ack 2"); /* the peer goes on for long */
	expect_in(0, 300, "A 2 ack 1001");
	IS(get(s, 2000), 1000);
	advance(400000);
	inject("FA 1001 ack 2");
	expect_in(0, 300, "A 2 ack 1002");
	IS(get(s, 10), 0);
	IS(state_of(s), TIME_WAIT_);
}

static void fin_with_data_out_of_order(void)
{
	sock s = established(NULL, "mss 1460 sack");

	inject("FA 11+10 ack 1");
	expect("A 1 ack 1 sacks 11-21"); /* a FIN in it may be told or not */
	IS(get(s, 10), -EAGAIN);
	inject("A 1+10 ack 1");
	expect_in(0, 300, "A 1 ack 22");
	IS(get(s, 100), 20);
	IS(get(s, 100), 0);
}

static void simultaneous_close(void)
{
	sock s = established(NULL, NULL);

	shut(s, SHUT_WRITE);
	expect("FA 1 ack 1");
	inject("FA 1 ack 1"); /* crossed */
	expect("A 2 ack 2");
	IS(state_of(s), CLOSING_);
	inject("A 2 ack 2");
	IS(state_of(s), TIME_WAIT_);
	advance(61000);
	WANT(tcp_idle());
}

static void fin_wait_2_of_a_closed_socket_ends(void)
{
	sock s = established(NULL, NULL);

	close_socket(s);
	expect("FA 1 ack 1");
	inject("A 1 ack 2");
	advance(61000);
	WANT(tcp_idle());
	inject("FA 1 ack 2");
	expect("RA 2");
}

static void data_after_close(void)
{
	sock s = established(NULL, NULL);

	close_socket(s);
	expect("FA 1 ack 1");
	inject("A 1 ack 2");
	inject("PA 1+10 ack 2"); /* nobody will read it */
	expect("RA 2");
	WANT(tcp_idle());
}

static void close_with_unread_data(void)
{
	sock s = established(NULL, NULL);

	inject("PA 1+10 ack 1");
	advance(300);
	ignore();
	close_socket(s);
	expect("RA 1 ack 11");
	inject("A 11 ack 1");
	expect("RA 1");
	WANT(tcp_idle());
}

static void linger_zero(void)
{
	sock s = established(NULL, NULL);

	IS(put(s, 10), 10);
	expect("A 1+10");
	s->flags |= 1u << SO_LINGER;
	s->linger_s = 0;
	close_socket(s);
	expect("RA 11 ack 1");
	quiet(10000);
	WANT(tcp_idle());
}

static void linger_waits(void)
{
	sock s = established(NULL, NULL);
	uint64_t start = now_ms();

	IS(put(s, 10), 10);
	expect("A 1+10");
	s->flags |= 1u << SO_LINGER;
	s->linger_s = 5;
	close_socket(s); /* the peer is silent: gives up after 5 s, the connection goes on by itself */
	IS((now_ms() - start) / 100, 50);
	ignore();
	inject("A 1 ack 12");
	inject("FA 1 ack 12");
	expect("A 12 ack 2");
}

static void abort_when_listener_closes(void)
{
	sock l = listening(5);

	inject("S 0 mss 1460");
	expect("SA 0 ack 1");
	inject("A 1 ack 1");
	flow(1);
	inject("S 0 mss 1460");
	expect("SA 0 ack 1");
	close_socket(l);
	flow(0);
	expect("RA 1 ack 1");
	flow(1);
	inject("A 1 ack 1");
	expect("RA 1");
	WANT(tcp_idle());
}

/* --- resets in every state --- */

static sock in_state(int state, int *ret_seq)
{
	sock s;

	*ret_seq = 1;
	if (state == SYN_SENT_) {
		s = tcp_open();
		IS(connect_to(s, 80), -EINPROGRESS);
		expect("S 0");
		return s;
	}
	s = established(NULL, NULL);
	if (state == CLOSE_WAIT_ || state == LAST_ACK_) {
		inject("FA 1 ack 1");
		*ret_seq = 2;
	}
	if (state == FIN_WAIT1_ || state == FIN_WAIT2_ || state == CLOSING_ || state == LAST_ACK_)
		shut(s, SHUT_WRITE);
	if (state == FIN_WAIT2_)
		inject("A 1 ack 2");
	if (state == CLOSING_) {
		inject("FA 1 ack 1");
		*ret_seq = 2;
	}
	ignore();
	IS(state_of(s), state);
	return s;
}

static void reset_in(int state, int error)
{
	int seq;
	sock s = in_state(state, &seq);

	inject("RA %d ack 1", seq);
	IS(tcp_of(s)->pcb == NULL, 1);
	IS(get_error(s), error);
	IS(events(s) & (POLL_IN | POLL_OUT | POLL_HUP), POLL_IN | POLL_OUT | POLL_HUP);
	quiet(1000);
	WANT(tcp_idle());
	IS(put(s, 1), -EPIPE);
	close_socket(s);
}

static void reset_established(void)
{
	reset_in(ESTABLISHED_, ECONNRESET);
}
static void reset_close_wait(void)
{
	reset_in(CLOSE_WAIT_, EPIPE);
}
static void reset_fin_wait_1(void)
{
	reset_in(FIN_WAIT1_, ECONNRESET);
}
static void reset_fin_wait_2(void)
{
	reset_in(FIN_WAIT2_, ECONNRESET);
}
static void reset_closing(void)
{
	reset_in(CLOSING_, ECONNRESET);
}
static void reset_last_ack(void)
{
	reset_in(LAST_ACK_, ECONNRESET);
}

static void reset_with_data_waiting(void)
{
	sock s = established(NULL, NULL);

	inject("PA 1+10 ack 1");
	inject("R 11");
	IS(get(s, 100), 10);
	IS(get(s, 100), -ECONNRESET);
	IS(get(s, 100), 0);
}

static void reset_before_accept(void)
{
	sock l = listening(5);

	inject("S 0 mss 1460");
	expect("SA 0 ack 1");
	inject("A 1 ack 1");
	inject("R 1");
	sock s = accepted(l);
	IS(get(s, 10), -ECONNRESET);
	close_socket(s);
}

/* --- TIME_WAIT --- */

static void into_time_wait(void)
{
	sock s = established(NULL, NULL);

	close_socket(s);
	expect("FA 1 ack 1");
	inject("FA 1 ack 2");
	expect("A 2 ack 2");
}

static void time_wait_late_data(void)
{
	into_time_wait();
	inject("PA 1+10 ack 2");
	expect("A 2 ack 2");
	inject("A 2 ack 2");
	quiet(100);
}

static void time_wait_reset(void)
{
	into_time_wait();
	inject("R 900000"); /* wrong number */
	inject("R 2");      /* RFC 1337: not by Linux's default (net.ipv4.tcp_rfc1337 = 0), by lwIP's: ignored */
	quiet(100);
}

static void time_wait_new_connection(void)
{
	into_time_wait();
	inject("S 1000 mss 1460"); /* a higher number than any before */
	cell_port(80);
	peer_isn(1000000 + 1000);
	expect("SA 0 ack 1");
	inject("A 1 ack 1");
	quiet(100);
}

static void time_wait_old_syn(void)
{
	into_time_wait();
	inject("S -1000 mss 1460"); /* an old duplicate */
	expect("A 2 ack 2");
	quiet(100);
}

/* --- urgent data: the bytes are in line; MSG_OOB is not offered --- */

static void urgent(void)
{
	sock s = established(NULL, NULL);

	inject("PAU 1+10 ack 1 urg 5");
	IS(get(s, 100), 10);
	inject("AU 11 ack 1 urg 65535");
	inject("PA 11+10 ack 1 urg 3");
	IS(get(s, 100), 10);
}

/* --- the receiver's window --- */

static void receive_window_closes(void)
{
	sock s = established(NULL, NULL);
	unsigned at = 1, window = 65535;

	while (window) { /* the program doesn't read */
		unsigned n = vb_min(window, 1400u);
		inject("A %u+%u ack 1", at, n);
		at += n;
		advance(300);
		ignore();
		window = last_window();
		WANT(at < 3000000);
	}
	WANT(at > 30000);
	inject("A %u+1 ack 1", at); /* a probe */
	expect_in(0, 300, "A 1 ack %u win 0", at);
	inject("A %u+1 ack 1", at);
	expect_in(0, 300, "A 1 ack %u win 0", at);
	IS(get(s, 100), 100); /* too little to tell (silly windows) */
	quiet(300);
	IS(get(s, 1000000), at - 101);
	expect_in(0, 300, "A 1 ack %u", at); /* a window update */
	WANT(last_window() > 20000);
	inject("PA %u+10 ack 1", at);
	IS(get(s, 100), 10);
}

static void data_beyond_the_window(void)
{
	sock s = established(NULL, NULL);

	inject("A 1+10 ack 1");
	advance(300);
	ignore();
	unsigned window = last_window();
	inject("A %u+100 ack 1", 11 + window); /* all outside */
	expect_in(0, 300, "A 1 ack 11");
	inject("A 5+6 ack 1"); /* all old */
	expect_in(0, 300, "A 1 ack 11");
	inject("A 3000000000+100 ack 1");
	expect_in(0, 300, "A 1 ack 11");
	IS(get(s, 100), 10);
	IS(get(s, 100), -EAGAIN);
}

/* --- the sender's window --- */

static void send_zero_window(void)
{
	sock s = established(NULL, NULL);

	IS(put(s, 100), 100);
	expect("A 1+100");
	inject("A 1 ack 101 win 0");
	IS(put(s, 5000), 5000);
	/* probes, ever more rarely */
	expect_in(0, 1000, "A 101+1");
	inject("A 1 ack 101 win 0");
	uint64_t last = now_ms();
	for (int i = 0; i < 30; i++) { /* for as long as the peer answers */
		expect_in(0, 130000, "A 101+1");
		inject("A 1 ack 101 win 0");
	}
	WANT(now_ms() - last > 30000);
	inject("A 1 ack 101 win 65535");
	expect("A 101+%d", MSS);
	expect("A %d+%d", 101 + MSS, MSS);
	expect("A %d+%d", 101 + 2 * MSS, MSS);
	ignore();
	IS(get_error(s), 0);
}

static void send_zero_window_unanswered(void)
{
	sock s = established(NULL, NULL);

	inject("A 1+1 ack 1");
	inject("A 2 ack 1 win 0");
	advance(300);
	ignore();
	IS(put(s, 1), 1);
	advance(60000); /* Linux gives up after 15 probes: minutes */
	IS(get_error(s), 0);
	IS(state_of(s), ESTABLISHED_);
	advance(1200000);
	IS(get_error(s), ETIMEDOUT);
	WANT(tcp_idle());
}

static void send_small_window(void)
{
	sock s = established(NULL, NULL);
	unsigned at = 1;

	inject("A 1+1 ack 1"); /* a window is made smaller only by a later segment */
	inject("A 2 ack 1 win 100");
	advance(300);
	ignore();
	IS(put(s, 1000), 1000);
	for (int i = 0; i < 10; i++) {
		expect_in(0, 1500, "A %u+100", at);
		at += 100;
		inject("A 2 ack %u win 100", at);
	}
	quiet(1000);
	WANT(tcp_idle());
}

static void window_shrinks(void)
{
	sock s = established(NULL, NULL);

	IS(put(s, 4 * (size_t)MSS), 4 * MSS);
	expect("A 1+%d", MSS);
	expect("A %d+%d", 1 + MSS, MSS);
	expect("A %d+%d", 1 + 2 * MSS, MSS);
	expect("A %d+%d", 1 + 3 * MSS, MSS);
	inject("A 1 ack %d win 10", 1 + MSS); /* taken back what was allowed */
	advance(3000);
	ignore();
	inject("A 1 ack %d win 65535", 1 + 2 * MSS);
	advance(3000);
	ignore();
	inject("A 1 ack %d win 65535", 1 + 4 * MSS);
	quiet(1000);
	IS(put(s, 10), 10);
	expect("A %d+10", 1 + 4 * MSS);
}

/* --- numbers --- */

static void sequence_wrap(void)
{
	sock l = listening(5);

	peer_isn(0xffffffff - 5000);
	inject("S 0 mss 1460 sack ws 7");
	expect("SA 0 ack 1");
	inject("A 1 ack 1");
	sock s = accepted(l);
	unsigned at = 1;
	inject("A 4001+1000 ack 1");
	inject("A 5001+1000 ack 1"); /* across zero, out of order */
	for (; at < 4001; at += 1000)
		inject("A %u+1000 ack 1", at);
	IS(get(s, 10000), 6000);
	advance(300);
	ignore();
	inject("A 6001+1000 ack 1");
	expect_in(0, 300, "A 1 ack 7001");
	IS(get(s, 10000), 1000);
	inject("R %u", 7001 - 65536); /* old */
	IS(state_of(s), ESTABLISHED_);
}

/* --- clocks --- */

static void idle_costs_nothing(void)
{
	sock l, s = established(&l, "mss 1460 sack ts 1 0 ws 7");

	advance(10000);
	WANT(idle());
	inject("PA 1+10 ack 1 ts 5 %u", last_ts());
	IS(get(s, 10), 10);
	advance(1000);
	WANT(idle());
	IS(put(s, 10), 10);
	WANT(!idle());
	advance(50);
	ignore();
	inject("A 11 ack 11 ts 6 %u", last_ts());
	advance(1000);
	WANT(idle());
	close_socket(l);
	WANT(idle());
}

static void keepalive(void)
{
	sock s = established(NULL, NULL);

	set_option(s, IPPROTO_TCP, 4, 10);
	set_option(s, IPPROTO_TCP, 5, 3);
	set_option(s, IPPROTO_TCP, 6, 3);
	set_option(s, SOL_SOCKET, SO_KEEPALIVE, 1);
	expect_in(9500, 10500, "A 0 ack 1");
	inject("A 1 ack 1");
	expect_in(9500, 10500, "A 0 ack 1");
	expect_in(2800, 3300, "A 0 ack 1");
	expect_in(2800, 3300, "A 0 ack 1");
	IS(state_of(s), ESTABLISHED_);
	expect_in(2800, 3300, "RA 1 ack 1");
	IS(get_error(s), ETIMEDOUT);
	WANT(tcp_idle());
}

static void keepalive_answered(void)
{
	sock s = established(NULL, NULL);

	(void)s;
	inject("A 0 ack 1"); /* the peer's probe: without and with a byte */
	expect("A 1 ack 1");
	inject("A 0+1 ack 1");
	expect("A 1 ack 1");
	quiet(1000);
}

static const struct tcp_case cases[] = {
#define CASE(name) {#name, name, 0}
	CASE(passive_all_options), CASE(passive_no_options), CASE(passive_data_with_the_ack), CASE(active_all_options), CASE(active_refused),
	CASE(active_reset_must_match), CASE(active_wrong_ack), CASE(active_gives_up), CASE(connect_blocking_timeout),
	CASE(connect_no_neighbour), CASE(simultaneous_open), CASE(syn_again), CASE(no_listener), CASE(listener_wrong_segments),
	CASE(half_open_reset), CASE(half_open_wrong_ack), CASE(close_first), CASE(close_second), CASE(half_close_by_peer),
	CASE(half_close_by_us), CASE(fin_with_data_out_of_order), CASE(simultaneous_close), CASE(fin_wait_2_of_a_closed_socket_ends),
	CASE(data_after_close), CASE(close_with_unread_data), CASE(linger_zero), CASE(linger_waits), CASE(abort_when_listener_closes),
	CASE(reset_established), CASE(reset_close_wait), CASE(reset_fin_wait_1), CASE(reset_fin_wait_2), CASE(reset_closing),
	CASE(reset_last_ack), CASE(reset_with_data_waiting), CASE(reset_before_accept), CASE(time_wait_late_data), CASE(time_wait_reset),
	CASE(time_wait_new_connection), CASE(time_wait_old_syn), CASE(urgent), CASE(receive_window_closes), CASE(data_beyond_the_window),
	CASE(send_zero_window), CASE(send_zero_window_unanswered), CASE(send_small_window), CASE(window_shrinks), CASE(sequence_wrap),
	CASE(idle_costs_nothing), CASE(keepalive), CASE(keepalive_answered),
};

int main(int argc, char **argv)
{
	return tcp_cases_run(cases, VB_ARRAY_LEN(cases), argc, argv);
}
