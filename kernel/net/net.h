/* The network as the scheduler, the process's end and the interfaces' drivers see it. */
#ifndef KERNEL_NET_NET_H
#define KERNEL_NET_NET_H

#include "kernel/kernel.h"

#include "lwip/ip_addr.h"

struct netif;
struct pbuf;

/* --- for the scheduler --- */
extern bool net_running; /* the stack is up: ask the rest */
/* Reads what has come, up to a budget, and lets the stack answer. True: something had come. */
bool net_poll(void);
void net_poll_interrupted(void); /* the same, of a program that computes */
unsigned net_wanted(void);        /* WAIT_NET, WAIT_NET_ROOM of the interfaces */
unsigned net_wait_for(uint64_t *deadline_ns); /* what of that the idle cell is to wait for, and until when at most */
void net_ready(unsigned events);  /* of platform_wait */
uint64_t net_poll_ns(uint64_t now_ns); /* when to look again at the latest while the program computes; NO_DEADLINE: never */
/* The process has closed its sockets: waits, briefly, until what they still have to send is out. Sleeps. */
void net_drain(void);

/* --- interfaces (netif.c), lo (loop.c) --- */
int interfaces_start(void);
bool interfaces_poll(bool told); /* told: by the host, that there is something */
bool net_look(bool told);
void interfaces_flush(void);
void net_answering(void); /* the program sends something */
bool loop_run(void); /* delivers what was sent to the cell itself; true: some is left */
int loop_start(void);
extern struct netif loop_netif;
bool interface_congested(const struct netif *netif); /* frames wait for room at the other end: send nothing new */
extern struct wait_queue interface_room;            /* woken when no frames wait any more */
bool interface_offload(const struct netif *netif);   /* cuts TCP segments of up to 64 KiB */
bool interface_passt(const struct netif *netif);
/* Asks passt for something that it answers at once (an ARP request). The number of the request: when interface_answered() has
 * got there, passt has read all frames before it, and what is sent now it reads later. */
uint32_t interface_ask(struct netif *netif);
uint32_t interface_answered(const struct netif *netif);
bool interface_no_neighbour(struct netif *netif, const ip_addr_t *to); /* nobody has answered where packets for it go */
/* While this is in scope lwIP doesn't fragment a segment that the other side of the interface will cut. */
void interface_whole_segment(struct netif *netif);

/* --- timers (timer.c) --- */
void net_timer_update(void);          /* asks for the next tick that is needed */
void net_coarse_until(uint64_t ms);   /* something is under way (ARP, DHCP, fragments): tick each second for so long */
/* As if all ticks had run: before packets are looked at, and before a program sends to someone new, since ticks that the cell
 * slept through would count against the question for the neighbour. Not from callbacks. */
void net_timers_catch_up(void);

#endif
