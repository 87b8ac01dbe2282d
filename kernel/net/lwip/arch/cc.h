/* lwIP's idea of compiler and platform: the kernel's. Included by lwip/arch.h before everything else. */
#ifndef KERNEL_LWIP_CC_H
#define KERNEL_LWIP_CC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Only standard headers that need no C library. */
#define LWIP_NO_INTTYPES_H 1
#define LWIP_NO_UNISTD_H   1
#define LWIP_NO_CTYPE_H    1
#define SSIZE_MAX          INT64_MAX
typedef long ssize_t;

#define BYTE_ORDER      1234
#define LITTLE_ENDIAN   1234
#define BIG_ENDIAN      4321
#define LWIP_DONT_PROVIDE_BYTEORDER_FUNCTIONS
#define lwip_htons(x) __builtin_bswap16(x)
#define lwip_ntohs(x) __builtin_bswap16(x)
#define lwip_htonl(x) __builtin_bswap32(x)
#define lwip_ntohl(x) __builtin_bswap32(x)

#define PACK_STRUCT_STRUCT __attribute__((packed))

_Noreturn void lwip_panic(const char *what);
#define LWIP_PLATFORM_DIAG(x)
#define LWIP_PLATFORM_ASSERT(what) lwip_panic(what)
uint32_t lwip_random(void);
#define LWIP_RAND() lwip_random()
#define LWIP_CHKSUM lwip_checksum
uint16_t lwip_checksum(const void *data, int len);

#endif
