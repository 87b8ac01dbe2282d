/* Frames of both sides against the firewall. An input: a byte that chooses the interface, then frames: direction and presence of a
 * virtio-net header (a byte), length (two bytes), contents. Beyond memory safety: with fixed addresses nothing leaves for anywhere
 * but where a rule leads, and nothing leaves under another's name. */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/firewall.h"

#define FRAMES_MAX 64

static const struct firewall_rule rules[] = {
	{.way = FIREWALL_OUT, .prefix = 16, .protocols = FIREWALL_ALL, .address = {10, 1}, .last = 65535},
	{.way = FIREWALL_IN, .prefix = 16, .protocols = FIREWALL_TCP | FIREWALL_UDP, .address = {10, 2}, .first = 80, .last = 443},
	{.way = FIREWALL_OUT, .v6 = true, .prefix = 16, .protocols = FIREWALL_ALL, .address = {0xfd, 1}, .last = 65535},
};
static const struct firewall_link link_template = {
	.mac = {2, 0, 0, 0, 0, 1}, .ip4 = {10, 0, 0, 2}, .ip6 = {0xfd, 0, [15] = 2}, .prefix6 = 64};

static void check_out(const uint8_t *frame, size_t len)
{
	if (len < 14 || memcmp(frame + 6, link_template.mac, 6) != 0)
		abort();
	const uint8_t *p = frame + 14;
	if (frame[12] == 8 && frame[13] == 0) {
		if (memcmp(p + 12, link_template.ip4, 4) != 0 || p[16] != 10 || (p[17] != 1 && p[17] != 2))
			abort();
	} else if (frame[12] == 8 && frame[13] == 6) {
		static const uint8_t none[4];
		if (memcmp(p + 8, link_template.mac, 6) != 0 || (memcmp(p + 14, link_template.ip4, 4) != 0 && memcmp(p + 14, none, 4) != 0))
			abort();
	} else if (frame[12] != 0x86 || frame[13] != 0xdd) {
		abort();
	} else if (!(p[24] == 0xfd && p[25] == 1) && p[24] != 0xff && p[24] != 0xfe && memcmp(p + 24, link_template.ip6, 8) != 0) {
		abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct firewall_link link = link_template;
	struct firewall_packet what;
	if (!size)
		return 0;
	bool dynamic = data[0] & 1;
	link.dhcp = link.auto6 = dynamic;
	link.has4 = link.has6 = !dynamic;
	static struct firewall *kept[2]; /* its table is large: what earlier inputs left there is over */
	static int64_t now;
	struct firewall *f = kept[dynamic];
	now = (now + 36ll * 3600 * 1000000000) & INT64_MAX >> 1;
	if (!f || dynamic || now < 72ll * 3600 * 1000000000) {
		firewall_free(f);
		f = kept[dynamic] = firewall_new(rules, 3, &link, 1);
	}
	data++, size--;
	for (int i = 0; i < FRAMES_MAX && size >= 3; i++) {
		unsigned flags = data[0];
		size_t len = (size_t)data[1] << 8 | data[2], head = flags & 2 ? 12 : 0;
		data += 3, size -= 3;
		if (len > size)
			len = size;
		if (len >= head) {
			uint8_t *copy = malloc(len ? len : 1);
			memcpy(copy, data, len);
			enum firewall_way way = flags & 1 ? FIREWALL_IN : FIREWALL_OUT;
			enum firewall_drop r = firewall_judge(f, way, head ? copy : NULL, copy + head, len - head, now + i, &what);
			if (r >= FIREWALL_DROPS)
				abort();
			if (r == FIREWALL_PASS && way == FIREWALL_OUT && !dynamic)
				check_out(copy + head, len - head);
			free(copy);
		}
		data += len, size -= len;
	}
	return 0;
}
