/* Records frames as pcapng, times in nanoseconds. Buffered within bounds; the first failure ends the recording, not the cell. */
#ifndef MONITOR_PCAP_H
#define MONITOR_PCAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vb_error;
struct pcap;

/* -errno: *err says why. */
int pcap_open(const char *path, struct pcap **ret, struct vb_error *err);
/* Interfaces are numbered from 0 in the order of their adding, before the first frame. */
void pcap_interface(struct pcap *p, const char *name);
/* comment: NULL or a short text. */
void pcap_frame(struct pcap *p, unsigned interface, bool outwards, const uint8_t *frame, size_t len, const char *comment);
/* 0, or -errno when the recording has just failed: once. */
int pcap_flush(struct pcap *p);
void pcap_close(struct pcap *p);
uint64_t pcap_lost(const struct pcap *p); /* frames that were not recorded */

#endif
