/* Prints arguments of socket calls: addresses, messages with their ancillary data, options. As in trace_words.c the program is
 * not trusted: everything is copied out of its memory in bounded pieces.
 */
#include "kernel/debug/trace_socket.h"

#include "kernel/kernel.h"

#include <asm/socket.h>
#include <linux/in.h>
#include <linux/tcp.h>

#define NAME_BYTES    128u
#define ARRAY_COUNT   16u
#define CONTROL_BYTES 256u /* shown of ancillary data */
enum { FAMILY_UNIX = 1, FAMILY_INET = 2, FAMILY_INET6 = 10, FAMILY_NETLINK = 16 };
enum { LEVEL_TCP = 6, LEVEL_NETLINK = 270 };

/* --- addresses --- */

/* As inet_ntop: the longest run of zeros, of at least two groups, is "::". */
static void put_ip6(struct text *t, const unsigned char *ip)
{
	unsigned best = 8, best_len = 1, group[8];

	for (unsigned i = 0; i < 8; i++)
		group[i] = (unsigned)ip[2 * i] << 8 | ip[2 * i + 1];
	for (unsigned i = 0; i < 8; i++) {
		unsigned n = 0;
		while (i + n < 8 && !group[i + n])
			n++;
		if (n > best_len)
			best = i, best_len = n;
	}
	for (unsigned i = 0; i < 8; i++) {
		if (i == best) {
			put(t, "::");
			i += best_len - 1;
			continue;
		}
		put(t, i && i != best + best_len ? ":%x" : "%x", group[i]);
	}
}

static void put_name(struct text *t, const unsigned char *b, size_t len)
{
	unsigned family = b[0] | (unsigned)b[1] << 8, port = (unsigned)b[2] << 8 | b[3];
	uint32_t word[2];

	put(t, "{sa_family=");
	put_set_named(t, "family", family);
	if (family == FAMILY_UNIX && len > 2) {
		bool abstract = !b[2];
		put(t, abstract ? ", sun_path=@\"" : ", sun_path=\"");
		put_escaped(t, b + 2 + abstract, abstract ? len - 3 : strnlen((const char *)b + 2, len - 2));
		put(t, "\"");
	} else if (family == FAMILY_INET && len >= 8) {
		put(t, ", sin_port=%u, sin_addr=%u.%u.%u.%u", port, b[4], b[5], b[6], b[7]);
	} else if (family == FAMILY_INET6 && len >= 24) {
		put(t, ", sin6_port=%u, sin6_addr=", port);
		put_ip6(t, b + 8);
		memcpy(word, b + 24, 4);
		if (len >= 28 && word[0])
			put(t, ", sin6_scope_id=%u", word[0]);
	} else if (family == FAMILY_NETLINK && len >= 12) {
		memcpy(word, b + 4, 8);
		put(t, ", nl_pid=%u, nl_groups=%08x", word[0], word[1]);
	}
	put(t, "}");
}

static void put_sockaddr_at(struct text *t, uint64_t addr, uint64_t len)
{
	unsigned char bytes[NAME_BYTES + 1] = {0};

	len = vb_min(len, (uint64_t)NAME_BYTES);
	if (!addr || len < 2 || copy_from_user(bytes, addr, len))
		put_pointer(t, addr);
	else
		put_name(t, bytes, len);
}

void put_sockaddr(struct text *t, const struct arg *a)
{
	put_sockaddr_at(t, a->value, (uint32_t)a->count);
}

void put_sockaddr_result(struct text *t, const struct arg *a)
{
	uint32_t len;

	if (!a->count || get_user(len, a->count))
		put_pointer(t, a->value);
	else
		put_sockaddr_at(t, a->value, len);
}

/* --- options --- */

static const char *option_set(unsigned level)
{
	switch (level) {
	case SOL_SOCKET:
		return "sockopts";
	case IPPROTO_IP:
		return "ipopts";
	case IPPROTO_IPV6:
		return "ip6opts";
	case LEVEL_TCP:
		return "tcpopts";
	case IPPROTO_UDP:
		return "udpopts";
	case LEVEL_NETLINK:
		return "netlinkopts";
	default:
		return NULL;
	}
}

void put_protocol(struct text *t, const struct arg *a)
{
	unsigned family = (unsigned)a->args[0];

	if (family == FAMILY_INET || family == FAMILY_INET6)
		put_set_named(t, "ipproto", (unsigned)a->value);
	else if (family == FAMILY_NETLINK)
		put_set_named(t, "netlinkproto", (unsigned)a->value);
	else
		put(t, "%d", (int)a->value);
}

void put_option_name(struct text *t, const struct arg *a)
{
	const char *set = option_set((unsigned)a->args[1]);

	if (set)
		put_set_named(t, set, (unsigned)a->value);
	else
		put(t, "%u", (unsigned)a->value);
}

static bool is_text(unsigned level, unsigned name)
{
	return (level == SOL_SOCKET && name == SO_BINDTODEVICE) || (level == LEVEL_TCP && (name == TCP_CONGESTION || name == TCP_ULP));
}

static void put_value(struct text *t, unsigned level, unsigned name, uint64_t addr, uint64_t len)
{
	int v[2];

	if (level == SOL_SOCKET && name == SO_LINGER && len >= sizeof(v) && !get_user(v, addr))
		put(t, "{l_onoff=%d, l_linger=%d}", v[0], v[1]);
	else if (level == SOL_SOCKET && (name == SO_RCVTIMEO_OLD || name == SO_SNDTIMEO_OLD) && len >= 16)
		put_word(t, "timeval", &(struct arg){.value = addr});
	else if (len == sizeof(int) && !is_text(level, name) && addr && !get_user(v[0], addr))
		put(t, "[%d]", v[0]);
	else
		put_buffer(t, addr, len);
}

void put_option_value(struct text *t, const struct arg *a)
{
	put_value(t, (unsigned)a->args[1], (unsigned)a->args[2], a->value, (uint32_t)a->count);
}

void put_option_result(struct text *t, const struct arg *a)
{
	uint32_t len;

	if (!a->args[4] || get_user(len, a->args[4]))
		put_pointer(t, a->value);
	else
		put_value(t, (unsigned)a->args[1], (unsigned)a->args[2], a->value, len);
}

/* --- messages --- */

struct k_msghdr {
	uint64_t name;
	uint32_t name_len, pad;
	uint64_t iov, iov_count, control, control_len;
	uint32_t flags, pad2;
};

static void put_control_data(struct text *t, int level, int type, const unsigned char *data, size_t len)
{
	int v;

	if (level == SOL_SOCKET && type == 1) { /* SCM_RIGHTS */
		put(t, "[");
		for (size_t i = 0; i + sizeof(v) <= len; i += sizeof(v)) {
			memcpy(&v, data + i, sizeof(v));
			put(t, i ? ", %d" : "%d", v);
		}
		put(t, "]");
	} else if (len == sizeof(v)) {
		memcpy(&v, data, sizeof(v));
		put(t, "[%d]", v);
	} else {
		put(t, "\"");
		put_escaped(t, data, len);
		put(t, "\"");
	}
}

static void put_control(struct text *t, uint64_t addr, uint64_t len)
{
	unsigned char b[CONTROL_BYTES];
	uint64_t room = vb_min(len, (uint64_t)sizeof(b));
	struct {
		uint64_t len;
		int level, type;
	} h;

	if (!addr || !len || copy_from_user(b, addr, room)) {
		put_pointer(t, addr);
		return;
	}
	put(t, "[");
	for (uint64_t at = 0; at <= room && room - at >= sizeof(h); at += (h.len + 7) & ~7ull) {
		memcpy(&h, b + at, sizeof(h));
		if (h.len < sizeof(h) || h.len > room - at)
			break;
		put(t, "%s{cmsg_len=%lu, cmsg_level=", at ? ", " : "", h.len);
		put_set_named(t, "level", (uint32_t)h.level);
		const char *set = h.level == SOL_SOCKET ? "scm" : option_set((uint32_t)h.level);
		put(t, ", cmsg_type=");
		if (set)
			put_set_named(t, set, (uint32_t)h.type);
		else
			put(t, "%d", h.type);
		put(t, ", cmsg_data=");
		put_control_data(t, h.level, h.type, b + at + sizeof(h), h.len - sizeof(h));
		put(t, "}");
	}
	put(t, "]");
}

static void put_message(struct text *t, uint64_t addr, uint64_t left)
{
	struct k_msghdr h;

	if (!addr || get_user(h, addr)) {
		put_pointer(t, addr);
		return;
	}
	put(t, "{msg_name=");
	put_sockaddr_at(t, h.name, h.name_len);
	put(t, ", msg_iov=");
	put_vectors(t, h.iov, h.iov_count, left);
	put(t, ", msg_iovlen=%lu, ", h.iov_count);
	if (h.control && h.control_len) {
		put(t, "msg_control=");
		put_control(t, h.control, h.control_len);
		put(t, ", ");
	}
	put(t, "msg_controllen=%lu, msg_flags=", h.control_len);
	put_set_named(t, "msg", h.flags);
	put(t, "}");
}

void put_msghdr(struct text *t, const struct arg *a)
{
	put_message(t, a->value, a->counted ? a->count : UINT64_MAX);
}

void put_mmsghdr(struct text *t, const struct arg *a)
{
	struct {
		struct k_msghdr header;
		uint32_t len, pad;
	} m;

	if (!a->value) {
		put_pointer(t, a->value);
		return;
	}
	put(t, "[");
	for (uint64_t i = 0; i < (uint32_t)a->count; i++) {
		uint64_t at = a->value + i * sizeof(m);
		put(t, i ? ", " : "");
		if (i == ARRAY_COUNT || get_user(m, at)) {
			put(t, "...");
			break;
		}
		put(t, "{msg_hdr=");
		put_message(t, at, m.len ? m.len : UINT64_MAX);
		put(t, ", msg_len=%u}", m.len);
	}
	put(t, "]");
}
