/* Ports of TCP and UDP: who holds which, by Linux's rules (inet_csk_bind_conflict, udp_lib_get_port). Owns struct inet_port, one
 * for each port in use, and the tables of them; allocated at first use. */
#include "kernel/net/inet.h"

#include <asm/socket.h>
#include <linux/capability.h>

#define BUCKETS 256u

struct inet_port {
	struct list node;
	uint16_t number;
	bool ephemeral; /* holds connections only, none that called bind */
	struct list sockets;
};

struct port_table {
	struct list bucket[BUCKETS];
};
static struct port_table *tables[2];

static struct port_table **table_of(int protocol)
{
	return &tables[protocol == IPPROTO_UDP];
}

static struct port_table *table_get(int protocol)
{
	struct port_table **t = table_of(protocol);

	if (!*t && (*t = kmalloc(sizeof(**t))))
		for (unsigned i = 0; i < BUCKETS; i++)
			list_init(&(*t)->bucket[i]);
	return *t;
}

static struct inet_port *find(struct port_table *t, uint16_t number)
{
	list_for_each(p, &t->bucket[number % BUCKETS], struct inet_port, node)
		if (p->number == number)
			return p;
	return NULL;
}

static struct inet_port *port_new(struct port_table *t, uint16_t number, bool ephemeral)
{
	struct inet_port *p = kmalloc(sizeof(*p));

	if (!p)
		return NULL;
	*p = (struct inet_port){.number = number, .ephemeral = ephemeral};
	list_init(&p->sockets);
	list_push_back(&t->bucket[number % BUCKETS], &p->node);
	return p;
}

static void take(struct inet_port *p, struct inet_socket *s)
{
	s->port = p;
	s->local_port = p->number;
	list_push_back(&p->sockets, &s->port_node);
}

static bool has(const struct inet_socket *s, int option)
{
	return s->base.flags >> option & 1;
}

/* Whether packets to one address could be meant for both. */
static bool overlap(const struct inet_socket *a, const struct inet_socket *b)
{
	if (a->base.bound_index && b->base.bound_index && a->base.bound_index != b->base.bound_index)
		return false;
	bool any_a = ip_addr_isany(&a->local), any_b = ip_addr_isany(&b->local);
	bool both_a = any_a && IP_IS_ANY_TYPE_VAL(a->local), both_b = any_b && IP_IS_ANY_TYPE_VAL(b->local);
	if (!both_a && !both_b && IP_IS_V6_VAL(a->local) != IP_IS_V6_VAL(b->local))
		return false;
	if (any_a || any_b)
		return true;
	return ip_addr_cmp_zoneless(&a->local, &b->local);
}

static bool conflict(int protocol, const struct inet_socket *s, const struct inet_port *p)
{
	list_for_each(other, &p->sockets, struct inet_socket, port_node) {
		if (other == s || !overlap(s, other))
			continue;
		bool reuse = has(s, SO_REUSEADDR) && has(other, SO_REUSEADDR) && (protocol == IPPROTO_UDP || !other->base.listening);
		bool share = has(s, SO_REUSEPORT) && has(other, SO_REUSEPORT) && s->owner == other->owner;
		if (!reuse && !share)
			return true;
	}
	return false;
}

static uint16_t random_ephemeral(void)
{
	uint16_t r;

	random_bytes(&r, sizeof(r));
	return (uint16_t)(PORT_FIRST_EPHEMERAL + r % (PORT_LAST_EPHEMERAL - PORT_FIRST_EPHEMERAL + 1));
}

static uint16_t next_ephemeral(uint16_t port)
{
	return port >= PORT_LAST_EPHEMERAL ? PORT_FIRST_EPHEMERAL : (uint16_t)(port + 1);
}

static int bind_ephemeral(int protocol, struct port_table *t, struct inet_socket *s)
{
	uint16_t port = random_ephemeral();

	for (unsigned tries = 0; tries <= PORT_LAST_EPHEMERAL - PORT_FIRST_EPHEMERAL; tries++, port = next_ephemeral(port)) {
		struct inet_port *p = find(t, port);
		if (p)
			continue;
		p = port_new(t, port, false);
		if (!p)
			return -ENOMEM;
		take(p, s);
		return 0;
	}
	return -EADDRINUSE;
}

int inet_port_bind(int protocol, struct inet_socket *s, uint16_t port)
{
	struct port_table *t = table_get(protocol);

	if (!t)
		return -ENOMEM;
	if (!port)
		return bind_ephemeral(protocol, t, s);
	struct inet_port *p = find(t, port);
	if (p && conflict(protocol, s, p))
		return -EADDRINUSE;
	if (!p)
		p = port_new(t, port, false);
	if (!p)
		return -ENOMEM;
	p->ephemeral = false;
	take(p, s);
	return 0;
}

void inet_port_share(struct inet_socket *s, const struct inet_socket *with)
{
	take(with->port, s);
}

void inet_port_release(struct inet_socket *s)
{
	struct inet_port *p = s->port;

	if (!p)
		return;
	s->port = NULL;
	s->local_port = 0;
	list_remove(&s->port_node);
	if (list_empty(&p->sockets)) {
		list_remove(&p->node);
		kfree(p);
	}
}

bool inet_port_may_listen(const struct inet_socket *s)
{
	list_for_each(other, &s->port->sockets, struct inet_socket, port_node) {
		if (other == s || !other->base.listening || !overlap(s, other))
			continue;
		if (!(has(s, SO_REUSEPORT) && has(other, SO_REUSEPORT) && s->owner == other->owner))
			return false;
	}
	return true;
}

/* Where to begin to look for a port towards a peer: unpredictable for others, and one further each time, so that ports in use
 * are not met before all have been used (RFC 6056, algorithm 4). */
static uint32_t *next_towards(const struct inet_socket *s)
{
	static uint32_t next[64];
	static uint64_t secret;
	uint64_t h = secret;

	if (!secret) {
		random_bytes(next, sizeof(next));
		random_bytes(&secret, sizeof(secret));
		h = secret |= 1;
	}
	for (unsigned i = 0; i < (IP_IS_V4_VAL(s->remote) ? 1 : 4); i++) {
		h = (h ^ ip_2_ip6(&s->remote)->addr[i]) * 0x9e3779b97f4a7c15ull;
		h ^= h >> 32;
	}
	h = (h ^ s->remote_port) * 0x9e3779b97f4a7c15ull;
	return &next[h >> 58];
}

int inet_port_connect(int protocol, struct inet_socket *s, bool (*taken)(struct inet_socket *s, uint16_t port))
{
	struct port_table *t = table_get(protocol);
	uint32_t *next = next_towards(s);

	if (!t)
		return -ENOMEM;
	for (unsigned tries = 0; tries <= PORT_LAST_EPHEMERAL - PORT_FIRST_EPHEMERAL; tries++) {
		uint16_t port = (uint16_t)(PORT_FIRST_EPHEMERAL + (*next)++ % (PORT_LAST_EPHEMERAL - PORT_FIRST_EPHEMERAL + 1));
		struct inet_port *p = find(t, port);
		if (p && (!p->ephemeral || taken(s, port)))
			continue;
		if (!p)
			p = port_new(t, port, true);
		if (!p)
			return -ENOMEM;
		take(p, s);
		return 0;
	}
	return -EADDRNOTAVAIL;
}

struct list *inet_port_sockets(int protocol, uint16_t port)
{
	struct port_table *t = *table_of(protocol);
	struct inet_port *p = t ? find(t, port) : NULL;

	return p ? &p->sockets : NULL;
}

void inet_port_for_each(int protocol, void (*fn)(struct inet_socket *s, void *arg), void *arg)
{
	struct port_table *t = *table_of(protocol);

	for (unsigned i = 0; t && i < BUCKETS; i++)
		list_for_each(p, &t->bucket[i], struct inet_port, node)
			list_for_each(s, &p->sockets, struct inet_socket, port_node)
				fn(s, arg);
}
