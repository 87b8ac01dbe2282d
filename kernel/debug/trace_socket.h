/* Words of trace for arguments of socket calls. Used by trace_words.c only. */
#ifndef KERNEL_DEBUG_TRACE_SOCKET_H
#define KERNEL_DEBUG_TRACE_SOCKET_H

#include "kernel/debug/trace_words.h"

void put_sockaddr(struct text *t, const struct arg *a);        /* counted: its length */
void put_sockaddr_result(struct text *t, const struct arg *a); /* the length is where a->count points to */
void put_msghdr(struct text *t, const struct arg *a);
void put_mmsghdr(struct text *t, const struct arg *a);
void put_protocol(struct text *t, const struct arg *a);      /* of socket: by family and type */
void put_option_name(struct text *t, const struct arg *a);   /* by level */
void put_option_value(struct text *t, const struct arg *a);  /* counted: its length */
void put_option_result(struct text *t, const struct arg *a); /* the length is where argument 5 points to */

#endif
