/* A cell's network stack in a fuzzer: kernel/net and lwIP whole, over two interfaces whose frames the fuzzer makes, in virtual
 * time. Nothing in it sleeps: calls that would are told that a signal came. What the kernel asserts ends the fuzzer.
 */
#ifndef FUZZ_NET_WORLD_H
#define FUZZ_NET_WORLD_H

#include "kernel/net/inet.h"
#include "kernel/net/net.h"

#include <stdlib.h>

#include "tests/unit/fake_platform.h"

/* Interface 0 takes packets behind a virtio header, with offloads; interface 1 is a stream. */
enum { WORLD_PACKET, WORLD_STREAM, WORLD_NETS };

extern bool world_full; /* frames that the cell sends are not taken */
extern void (*world_sent)(unsigned net, const uint8_t *frame, size_t len); /* an ethernet frame; NULL: nobody looks */

void world_start(void);
void world_input(unsigned net, const void *bytes, size_t len); /* one read's worth: copied */
void world_pump(void);                                         /* until the stack has nothing to do now */
void world_advance(uint64_t ms);                               /* with the timers in between */
/* Pieces of the fuzzer's input. */
struct input {
	const uint8_t *at;
	size_t left;
};
unsigned take8(struct input *in), take16(struct input *in);
const uint8_t *take_bytes(struct input *in, size_t *len); /* at most *len; sets it */

#endif
