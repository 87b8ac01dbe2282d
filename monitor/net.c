/* The cell's network from outside: opens what each interface needs, says in the boot page what is there, and starts and buries
 * the helpers. What the cell sends never passes here unless it is to be filtered or recorded (net_relay.c). */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/file.h"
#include "host/log.h"
#include "monitor/net_private.h"
#include "monitor/pcap.h"

#define RESOLV_CONF_MAX (64u << 10)

void net_say(struct monitor *m, bool failure, const char *fmt, ...)
{
	char text[400];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof(text) - 1, fmt, ap);
	va_end(ap);
	size_t len = n < (int)sizeof(text) - 2 ? (size_t)n : sizeof(text) - 2;
	if (failure && !m->options->detach)
		log_error("%.*s", (int)len, text);
	text[len] = '\n';
	cell_log_write(&m->log, failure ? "error" : "note", text, len + 1);
}

/* --- start --- */

static void copy_static_addresses(struct monitor_net *n)
{
	const struct net_interface *o = n->options;
	struct vb_boot_net *b = &n->boot;
	if (o->has4) {
		b->prefix4 = o->prefix4;
		memcpy(b->ip4, o->ip4, 4);
		memcpy(b->gateway4, o->gateway4, 4);
	}
	if (o->has6) {
		b->prefix6 = o->prefix6;
		memcpy(b->ip6, o->ip6, 16);
		memcpy(b->gateway6, o->gateway6, 16);
	}
	if (!o->has4 && !o->has6)
		b->flags |= VB_NET_DHCP | VB_NET_AUTO6;
}

static int interface_open(struct monitor *m, struct monitor_net *n, struct vb_error *err)
{
	/* Locally administered, of one interface. */
	if (n->options->has_mac)
		memcpy(n->boot.mac, n->options->mac, 6);
	else if (getrandom(n->boot.mac, 6, 0) == 6)
		n->boot.mac[0] = (uint8_t)((n->boot.mac[0] & 0xfc) | 2);
	switch (n->options->way) {
	case NET_USER:
		return passt_open(m, n, err);
	case NET_TAP:
		copy_static_addresses(n);
		return tap_open(m, n, err);
	case NET_VDE:
		copy_static_addresses(n);
		return vde_start(m, n, err);
	}
	return -EINVAL;
}

int net_open(struct monitor *m, struct vb_error *err)
{
	const struct net_options *o = m->options->net;
	if (o->pcap && pcap_open(o->pcap, &m->pcap, err) < 0)
		return -EINVAL;
	for (unsigned i = 0; i < o->interface_count; i++) {
		struct monitor_net *n = &m->net[m->net_count++];
		*n = (struct monitor_net){.tender_fd = -1, .far_fd = -1, .log_fd = -1, .options = &o->interface[i]};
		int r = interface_open(m, n, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int net_wait(struct monitor *m, struct vb_error *err)
{
	for (unsigned i = 0; i < m->net_count; i++) {
		struct monitor_net *n = &m->net[i];
		int r = !n->helper ? 0 : n->options->way == NET_VDE ? vde_wait(m, n, err) : passt_wait(m, n, err);
		if (r == 0 && relay_wanted(m, n) && !(n->boot.flags & VB_NET_LAZY))
			r = relay_start(m, n, err);
		if (r < 0)
			return r;
		if (m->pcap)
			pcap_interface(m->pcap, (const char *[]){"eth0", "eth1", "eth2", "eth3"}[i]);
	}
	return 0;
}

/* --- names --- */

struct text {
	char *bytes;
	size_t size, len;
};

static void add_text(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void add_text(struct text *t, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(t->bytes + t->len, t->size - t->len, fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < t->size - t->len)
		t->len += (size_t)n;
	t->bytes[t->len] = 0; /* what does not fit as a whole is left out */
}

static bool is_loopback(const char *address)
{
	return strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0;
}

static const struct monitor_net *user_network(const struct monitor *m)
{
	for (unsigned i = 0; i < m->net_count; i++)
		if (m->net[i].options->way == NET_USER)
			return &m->net[i];
	return NULL;
}

/* Whether the host's first name server by IPv4, the one passt forwards to, is on its loopback, where cells can't ask it by its own
 * address. Any other they must ask by that: once passt is told to forward, it gives all answers of the server the forwarding address
 * as their source, and who asked the server itself waits for ever. */
bool net_dns_forwarded(void)
{
	char *file, *save, *at;
	struct in_addr server;
	bool found = false, loopback = false;
	size_t len;
	if (file_read(AT_FDCWD, "/etc/resolv.conf", RESOLV_CONF_MAX, &file, &len) < 0)
		return false;
	for (char *line = strtok_r(file, "\n", &save); line && !found; line = strtok_r(NULL, "\n", &save)) {
		const char *word = strtok_r(line, " \t", &at), *value = strtok_r(NULL, " \t", &at);
		found = word && value && strcmp(word, "nameserver") == 0 && inet_pton(AF_INET, value, &server) == 1;
		loopback = found && is_loopback(value);
	}
	free(file);
	return loopback;
}

/* One line of the host's resolv.conf. A name server on the host's loopback is reached through passt (user), or left out. */
static void add_host_line(const struct monitor_net *user, char *line, struct text *out, bool *forwarded)
{
	char *save, *word = strtok_r(line, " \t", &save), *value = strtok_r(NULL, " \t", &save);
	if (!word || !value || *word == '#' || *word == ';')
		return;
	if (strcmp(word, "nameserver") != 0) {
		add_text(out, "%s %s%s%s\n", word, value, *save ? " " : "", save);
	} else if (!is_loopback(value)) {
		add_text(out, "nameserver %s\n", value);
	} else if (user && !*forwarded) {
		uint8_t dns[4];
		char address[INET_ADDRSTRLEN];
		passt_dns_address(user, dns);
		add_text(out, "nameserver %s\n", inet_ntop(AF_INET, dns, address, sizeof(address)));
		*forwarded = true;
	}
}

void net_resolv_conf(const struct monitor *m, char *bytes, size_t size)
{
	const struct net_options *o = m->options->net;
	struct text out = {bytes, size, 0};
	char *file, *save, address[INET6_ADDRSTRLEN];
	const struct monitor_net *user = net_dns_forwarded() ? user_network(m) : NULL;
	bool forwarded = false;
	size_t len;
	*bytes = 0;
	for (unsigned i = 0; i < o->dns_count; i++)
		add_text(&out, "nameserver %s\n", inet_ntop(o->dns[i].v6 ? AF_INET6 : AF_INET, o->dns[i].bytes, address, sizeof(address)));
	if (!m->net_count || o->dns_count || file_read(AT_FDCWD, "/etc/resolv.conf", RESOLV_CONF_MAX, &file, &len) < 0)
		return;
	for (char *line = strtok_r(file, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		add_host_line(user, line, &out, &forwarded);
	free(file);
}

void net_hosts(const struct monitor *m, char *bytes, size_t size)
{
	struct text out = {bytes, size, 0};
	char address[INET_ADDRSTRLEN] = "127.0.1.1"; /* as Debian does where the address may change */
	*bytes = 0;
	if (m->net_count && m->net[0].boot.prefix4)
		inet_ntop(AF_INET, m->net[0].boot.ip4, address, sizeof(address));
	add_text(&out, "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n");
	if (strcmp(m->options->hostname, "localhost") != 0)
		add_text(&out, "%s\t%s\n", address, m->options->hostname);
}

/* --- while the cell runs --- */

void net_start_request(struct monitor *m, uint32_t tag, const void *payload, size_t len)
{
	struct monitor_net *n = tag < m->net_count ? &m->net[tag] : NULL;
	struct vb_error err;
	if (!n || !(n->boot.flags & VB_NET_LAZY) || n->started)
		return tender_condemn(m, "wants network %u started, which is not to be", tag);
	n->started = true;
	if ((relay_wanted(m, n) && relay_start(m, n, &err) < 0) || passt_start(m, n, &err) < 0) {
		relay_release(n);
		fd_close(&n->far_fd); /* the cell sees that nobody is there */
		net_say(m, true, "no network for the cell: %s", err.text);
	}
}

/* A helper that ends takes its interface with it: the other end of the cell's socket is gone, the link is down. It is not
 * started again: connections are lost in any case, and a stream can't be taken up in the middle of a frame. */
void net_reap(struct monitor *m)
{
	int status;
	for (struct monitor_net *n = m->net; n < m->net + m->net_count; n++) {
		if (n->helper <= 0 || waitpid(n->helper, &status, WNOHANG) != n->helper)
			continue;
		n->helper = 0;
		if (!m->tender || m->exit_known)
			continue;
		struct vb_error err;
		helper_explain(m, n, &err);
		if (WIFSIGNALED(status))
			net_say(m, true, "%s was killed (signal %d): the cell has lost its network", n->helper_name, WTERMSIG(status));
		else
			net_say(m, true, "the cell has lost its network: %s (status %d)", err.text, WEXITSTATUS(status));
	}
}

void net_release(struct monitor *m)
{
	for (struct monitor_net *n = m->net; n < m->net + m->net_count; n++) {
		relay_release(n);
		helper_kill(m, n);
		fd_close(&n->tender_fd);
		fd_close(&n->far_fd);
	}
	pcap_close(m->pcap);
	free(m->net_seen);
}

/* --- for `vauban inspect` --- */

static json_t *report_address(int family, const uint8_t *bytes, unsigned prefix)
{
	char address[INET6_ADDRSTRLEN], text[INET6_ADDRSTRLEN + 8];
	snprintf(text, sizeof(text), "%s/%u", inet_ntop(family, bytes, address, sizeof(address)), prefix);
	return json_string(text);
}

static json_t *report_interface(const struct monitor_net *n, unsigned index)
{
	static const char *const ways[] = {"user", "tap", "vde"};
	const struct vb_boot_net *b = &n->boot;
	char name[16], mac[18];
	snprintf(name, sizeof(name), "eth%u", index);
	snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", b->mac[0], b->mac[1], b->mac[2], b->mac[3], b->mac[4], b->mac[5]);
	json_t *json = json_pack("{s:s, s:s, s:s, s:i, s:b}", "name", name, "kind", ways[n->options->way], "mac", mac, "mtu", (int)b->mtu,
		"offload", (int)!!(b->flags & VB_NET_OFFLOAD));
	if (n->options->where)
		json_object_set_new(json, "where", json_string(n->options->where));
	if (b->prefix4)
		json_object_set_new(json, "ip4", report_address(AF_INET, b->ip4, b->prefix4));
	if (b->prefix6)
		json_object_set_new(json, "ip6", report_address(AF_INET6, b->ip6, b->prefix6));
	if (b->flags & VB_NET_DHCP)
		json_object_set_new(json, "dhcp", json_true());
	if (n->helper > 0)
		json_object_set_new(json, "helper", json_pack("{s:s, s:i}", "name", n->helper_name, "pid", (int)n->helper));
	relay_report(n, json);
	return json;
}

static json_t *report_forward(const struct net_forward *f)
{
	char address[INET6_ADDRSTRLEN];
	inet_ntop(f->address.v6 ? AF_INET6 : AF_INET, f->address.bytes, address, sizeof(address));
	return json_pack("{s:s, s:s, s:i, s:i, s:i}", "protocol", f->udp ? "udp" : "tcp", "host_address", address, "host_port",
		(int)f->host_port, "cell_port", (int)f->cell_port, "count", (int)f->count);
}

json_t *net_report(const struct monitor *m)
{
	const struct net_options *o = m->options->net;
	json_t *interfaces = json_array(), *forwards = json_array();
	for (unsigned i = 0; i < m->net_count; i++)
		json_array_append_new(interfaces, report_interface(&m->net[i], i));
	for (unsigned i = 0; i < o->forward_count; i++)
		json_array_append_new(forwards, report_forward(&o->forward[i]));
	json_t *json = json_pack("{s:o, s:o, s:b}", "interfaces", interfaces, "forwards", forwards, "firewall", (int)(o->rule_count > 0));
	net_report_add(m, json);
	if (m->pcap)
		json_object_set_new(json, "pcap", json_pack("{s:s, s:I}", "file", o->pcap, "frames_lost", (json_int_t)pcap_lost(m->pcap)));
	return json;
}
