/* What the kernel's side of lwIP offers to the rest of kernel/net. */
#ifndef KERNEL_LWIP_GLUE_H
#define KERNEL_LWIP_GLUE_H

#include "kernel/kernel.h"

/* The heap with a bound for all that the network allocates: NULL beyond. Also for buffers of sockets. */
void *lwip_malloc(size_t size);
void *lwip_calloc(size_t count, size_t size);
void lwip_free(void *p);
void lwip_shrink(void *p, size_t size); /* keeps the first size bytes in place */
size_t lwip_memory_limit(void), lwip_memory_used(void);

#endif
