/* Scripts of TCP: a cell's whole network stack (kernel/net and lwIP, with the sanitizers) over an interface that is the script,
 * in virtual time. A case injects segments as a peer, expects segments, calls socket operations and lets time pass.
 *
 * A segment is text: FLAGS SEQ[+LEN] and then any of: ack N, win N, mss N, ws N, sack, ts VALUE ECHO, sacks A-B[,A-B], urg N, bad
 * (its checksum). FLAGS is letters of SFRAPU. Numbers are relative to the initial sequence numbers of both sides, the window is as on the
 * wire. In an expectation what isn't named isn't looked at, but for flags (P aside), SEQ and LEN; no-ts, no-ws, no-sack and
 * no-mss name what must not be there. Data is a pattern that each side checks.
 */
#ifndef TESTS_TCP_SCRIPT_H
#define TESTS_TCP_SCRIPT_H

#include "kernel/net/inet.h"
#include "kernel/net/lwip/glue.h"
#include "kernel/net/net.h"
#include "kernel/net/tcp.h"
#include "kernel/platform/platform.h"
#include "kernel/time/time.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/fake_net.h"
#include "tests/unit/fake_platform.h"

struct tcp_case {
	const char *name;
	void (*run)(void);
	int family; /* 0: both */
};
/* Runs each case in a process of its own, over IPv4 and IPv6; an argument chooses cases by name. Prints TAP; the exit status. */
int tcp_cases_run(const struct tcp_case *cases, unsigned count, int argc, char **argv);

/* --- the interface --- */
extern unsigned cell_mtu;            /* 1500; before the first socket */
extern bool v6;
extern bool wire_full;               /* writes of frames fail: no room */
extern bool wire_mute;               /* the peer answers no ARP and no neighbour solicitation */
extern unsigned frames_out, segments_out, icmp_out; /* what the cell has sent */
void wire_inject(const uint8_t *ip, size_t len); /* an IP packet, as the peer's interface would send it */
void wire_inject_frame(const uint8_t *frame, size_t len);
bool wire_take(uint8_t *ret, size_t size, size_t *ret_len); /* the next IP packet with TCP, of any flow */

/* --- time --- */
void advance(uint64_t ms);
uint64_t now_ms(void);
/* Whether no connection waits for a clock; and whether nothing at all does (the neighbour tables do for some seconds). */
bool tcp_idle(void);
bool idle(void);

/* --- segments. A flow is a pair of ports; flow(n) chooses one, 0 at first --- */
void flow(unsigned n);
void peer_port(unsigned port); /* of the flow, 40000 + n at first */
void peer_isn(uint32_t isn);
void cell_port(unsigned port); /* 80 at first; of a SYN that the cell sends: learned */
uint32_t cell_isn(void);
void inject(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void expect(const char *fmt, ...) __attribute__((format(printf, 1, 2)));                                 /* at once */
void expect_in(uint64_t min_ms, uint64_t max_ms, const char *fmt, ...) __attribute__((format(printf, 3, 4))); /* the next one, and when */
void quiet(uint64_t ms);                     /* nothing comes in that time */
void ignore(void);                           /* whatever was sent by now */
void inject_icmp(int type, int code, uint32_t info, uint32_t seq); /* about a segment of the cell with that (relative) number */
unsigned last_window(void);                  /* of the last segment expected */
uint32_t last_ts(void);                      /* its timestamp */

/* --- sockets --- */
typedef struct socket *sock;
sock tcp_open(void);
sock listening(int backlog);                 /* on port 80 */
int connect_to(sock s, unsigned port);       /* to the peer, without waiting */
sock try_accept(sock listener, int *ret_error);
sock accepted(sock listener);
long put(sock s, size_t n);                  /* sends up to n bytes of the pattern, without waiting */
long get(sock s, size_t n);                  /* receives and checks them */
int get_error(sock s);                       /* SO_ERROR */
int set_option(sock s, int level, int name, int value);
unsigned events(sock s);                     /* poll */
void shut(sock s, int how);
void close_socket(sock s);
int state_of(sock s);                        /* Linux's number; established is 1 */
/* A connection by the peer's SYN with these options (NULL: mss 1460), accepted. */
sock established(sock *ret_listener, const char *options);
/* The same by the cell's connect(), to port 80 of the peer. */
sock connected(const char *options);

/* --- checks: a failure ends the case with the log of what went over the wire --- */
_Noreturn void fail(const char *file, int line, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
#define WANT(cond) ((cond) ? (void)0 : fail(__FILE__, __LINE__, "%s", #cond))
#define IS(value, wanted)                                                                                                                  \
	({                                                                                                                                 \
		long v_ = (long)(value), w_ = (long)(wanted);                                                                              \
		if (v_ != w_)                                                                                                              \
			fail(__FILE__, __LINE__, "%s is %ld, not %ld", #value, v_, w_);                                                    \
	})

uint8_t pattern(bool of_cell, uint64_t at);

#endif
