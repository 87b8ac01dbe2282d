/* The boot page: everything a cell kernel is told before its first instruction.
 *
 * Written by the monitor into a sealed memory file, completed by the tender (the fields marked T), read once by the
 * kernel. The kernel trusts it: both writers stand above the kernel. Layout is frozen per VB_BOOT_VERSION.
 */
#ifndef VAUBAN_BOOT_H
#define VAUBAN_BOOT_H

#include <stddef.h>
#include <stdint.h>

#include <vauban/hostcall.h>
#include <vauban/message.h>

#define VB_BOOT_MAGIC 0x746f6f62626176ull /* "vabboot" */
/* Tells builds apart that do not fit together: the tender compares its own with those of boot page and kernel. To be raised
 * with any change to what they share, messages included. */
#define VB_BOOT_VERSION     (6u << 24 | (uint32_t)sizeof(struct vb_boot))
#define VB_BOOT_MAX_BYTES   (2u << 20) /* header + strings; argv and environment are bounded by this */
#define VB_BOOT_MAX_VOLUMES 16u
#define VB_SITE_FOLDERS_MAX 7u

/* What a standard descriptor of the cell is on the host. */
enum vb_stdio_kind {
	VB_STDIO_NONE = 0,  /* closed */
	VB_STDIO_NULL = 1,  /* /dev/null */
	VB_STDIO_PIPE = 2,  /* pipe or stream socket */
	VB_STDIO_FILE = 3,  /* regular file: seek, truncate and stat go through the monitor */
	VB_STDIO_TTY = 4,   /* terminal: attributes go through the monitor */
	VB_STDIO_OTHER = 5, /* character device or anything else: read and write only */
};

enum vb_boot_flags {
	VB_BOOT_JIT = 1u << 0,        /* the program may make new executable memory */
	VB_BOOT_READ_ONLY = 1u << 1,  /* the root file system refuses writes (tmp, dev and volumes excepted) */
	VB_BOOT_TRACE = 1u << 2,      /* trace every call from the first */
	VB_BOOT_DEBUG_WAIT = 1u << 3, /* wait for a debugger before the first user instruction */
	VB_BOOT_CORE = 1u << 4,       /* write a core file on fatal signals: volume tag "core" is attached for it */
};

struct vb_boot_stdio {
	uint32_t kind;  /* enum vb_stdio_kind */
	uint32_t flags; /* O_ACCMODE | O_APPEND as on the host */
	uint16_t rows, cols;
	uint32_t same_as;              /* index of an earlier standard descriptor with the same open file description, or its own */
	struct vb_msg_stdio_stat stat; /* at the start; of a pipe and of /dev/null nothing changes but times */
};

/* One answer of the CPUID instruction, as every cell on this machine is to see it. Where virtual machines trap CPUID, a C
 * library's start-up asks it so often that it takes longer than all else. */
struct vb_cpuid {
	uint32_t leaf;
	uint32_t subleaf; /* VB_CPUID_ANY: the leaf has none */
	uint32_t eax, ebx, ecx, edx;
};
#define VB_CPUID_ANY 0xffffffffu
#define VB_CPUID_MAX 169u /* and an end mark: one page */

struct vb_boot_volume {
	uint32_t target; /* offset of the NUL-terminated mount point within the boot file */
	uint32_t flags;  /* 1: read-only */
};

/* How frames pass through an interface's descriptor. */
enum vb_net_kind {
	/* One frame a read or write, behind a struct virtio_net_hdr_v1 (linux/virtio_net.h, 12 bytes, little endian): a tap
	 * with IFF_VNET_HDR, or a SOCK_SEQPACKET socket to the monitor's relay. */
	VB_NET_PACKET = 1,
	/* A byte stream of frames, each behind its length in 32 bits, big endian: the socket protocol of passt and QEMU. */
	VB_NET_STREAM = 2,
};

enum vb_net_flags {
	VB_NET_OFFLOAD = 1u << 0, /* the other side takes partial checksums and TCP segments to be cut, and sends them too */
	VB_NET_DHCP = 1u << 1,    /* ask for the IPv4 address; else ip4 is it */
	VB_NET_AUTO6 = 1u << 2,   /* IPv6 by router advertisements; else ip6 is it */
	VB_NET_LAZY = 1u << 3,    /* nothing is at the other end until VB_MSG_NET_START */
	/* The other end is passt, which completes a handshake only once its client has sent something (see docs/LIMITS.md). */
	VB_NET_PASST = 1u << 4,
};

/* Interface i uses descriptor VB_FD_NET + i and is called eth<i>. Addresses in network order, all zero: none. */
struct vb_boot_net {
	uint32_t kind;  /* enum vb_net_kind */
	uint32_t flags; /* enum vb_net_flags */
	uint32_t mtu;
	uint8_t mac[6];
	uint8_t prefix4, prefix6; /* length of the network prefix in bits */
	uint8_t ip4[4], gateway4[4];
	uint8_t ip6[16], gateway6[16];
};

struct vb_boot {
	uint64_t magic;
	uint32_t version;
	uint32_t size_bytes; /* of header and strings */
	uint32_t flags;      /* enum vb_boot_flags */

	/* Strings: offsets from the start of this structure, each NUL-terminated. */
	uint32_t program; /* absolute path of the program inside the image */
	uint32_t argc;
	uint32_t argv; /* argc consecutive strings */
	uint32_t envc;
	uint32_t envv; /* envc consecutive strings */
	uint32_t cwd;
	uint32_t hostname;
	uint32_t uid, gid;
	uint32_t group_count;
	uint32_t cpuid_count;
	uint32_t cpuid;  /* offset of cpuid_count struct vb_cpuid; 0 of them: the instruction is left alone */
	uint32_t groups; /* offset of group_count uint32_t, 4-aligned */
	uint32_t resolv_conf; /* contents of /etc/resolv.conf; empty: the image's own */
	uint32_t hosts;       /* contents of /etc/hosts, used if the image has none; empty: none */
	uint32_t net_count;
	struct vb_boot_net net[VB_NETS_MAX];
	uint32_t volume_count;
	struct vb_boot_volume volume[VB_BOOT_MAX_VOLUMES];
	uint32_t site_count; /* folders whose sockets are the site's; 0: no site */
	uint32_t site[VB_SITE_FOLDERS_MAX];
	struct vb_boot_stdio stdio[3];

	uint64_t memory_bytes; /* size of the memory file: the cell's limit */
	uint64_t image_bytes;  /* size of the EROFS part of the image file */
	uint64_t sites_offset; /* site table within the image file, see image.h; 0 bytes: none */
	uint64_t sites_bytes;
	uint8_t seed[32];                 /* of the cell's random number generator, fresh for each start */
	uint64_t host_hwcap, host_hwcap2; /* AT_HWCAP, AT_HWCAP2 */

	/* T: filled in by the tender. Addresses in the tender's address space. */
	uint64_t kernel_base, kernel_bytes;
	uint64_t memory_base;         /* the whole memory file, mapped read-write */
	uint64_t image_base;          /* the whole image file, mapped read-only */
	uint64_t stats_base;          /* struct vb_stats, shared with the monitor */
	uint64_t host_vdso;           /* the host's vDSO ELF image, or 0 */
	uint64_t user_low, user_high; /* where the host lets the kernel map user pages */
	uint64_t kernel_arena_offset; /* first byte of the memory file that the kernel may use (its own image lies below) */
};

_Static_assert(offsetof(struct vb_boot, memory_bytes) % 8 == 0, "64-bit fields stay aligned");

static inline const char *vb_boot_string(const struct vb_boot *boot, uint32_t offset)
{
	return (const char *)boot + offset;
}

#endif
