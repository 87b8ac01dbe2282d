/* Descriptors of Unix sockets that travel inside messages of Unix sockets can form cycles that no program can reach any
 * more. Owns the counts of what is in flight; finds and drops such cycles by counting references from inside.
 */
#include "kernel/net/unix.h"

#include <linux/capability.h>

#define RLIMIT_NOFILE_ 7

static uint64_t in_flight_total; /* descriptors of all kinds */
static uint64_t in_flight_sockets;

static struct unix_socket *unix_behind(struct file *f)
{
	struct socket *s = socket_of(f);

	return s && s->family == AF_UNIX ? unix_of(s) : NULL;
}

bool unix_flight_allowed(const struct rights *r)
{
	return in_flight_total + r->count <= current->process->rlimit[RLIMIT_NOFILE_].cur || capable(CAP_SYS_RESOURCE) ||
	       capable(CAP_SYS_ADMIN);
}

void unix_flight_add(const struct rights *r)
{
	in_flight_total += r->count;
	for (unsigned i = 0; i < r->count; i++) {
		struct unix_socket *u = unix_behind(r->files[i]);
		if (u) {
			u->in_flight++;
			in_flight_sockets++;
		}
	}
}

void unix_flight_remove(const struct rights *r)
{
	in_flight_total -= r->count;
	for (unsigned i = 0; i < r->count; i++) {
		struct unix_socket *u = unix_behind(r->files[i]);
		if (u) {
			u->in_flight--;
			in_flight_sockets--;
		}
	}
}

typedef void visit_fn(struct unix_socket *target, struct list *work);

static void visit_messages(struct unix_socket *u, visit_fn *visit, struct list *work)
{
	list_for_each(m, &u->messages, struct unix_message, node) {
		for (unsigned i = 0; m->rights && i < m->rights->count; i++) {
			struct unix_socket *target = unix_behind(m->rights->files[i]);
			if (target && target->candidate)
				visit(target, work);
		}
	}
	list_for_each(waiting, &u->accept, struct unix_socket, accept_node)
		visit_messages(waiting, visit, work); /* not nested further: what waits doesn't listen */
}

static void count_inside(struct unix_socket *target, struct list *work)
{
	target->inside++;
}

static void mark_reachable(struct unix_socket *target, struct list *work)
{
	target->candidate = false;
	list_push_back(work, &target->work_node);
}

static void take_messages(struct unix_socket *u, struct list *ret)
{
	list_for_each_safe(m, next, &u->messages, struct unix_message, node) {
		list_remove(&m->node);
		list_push_back(ret, &m->node);
	}
	u->message_count = 0;
	u->message_bytes = 0;
	list_for_each(waiting, &u->accept, struct unix_socket, accept_node)
		take_messages(waiting, ret);
}

void unix_collect(void)
{
	static bool running;
	struct list work, garbage;

	if (!in_flight_sockets || running)
		return;
	running = true;
	list_init(&work);
	list_init(&garbage);
	list_for_each(u, &unix_all, struct unix_socket, all_node) { /* only messages hold it */
		u->candidate = u->base.file && u->in_flight && u->base.file->refs == u->in_flight;
		u->inside = 0;
	}
	list_for_each(u, &unix_all, struct unix_socket, all_node)
		if (u->candidate)
			visit_messages(u, count_inside, NULL);
	list_for_each(u, &unix_all, struct unix_socket, all_node)
		if (u->candidate && u->inside < u->in_flight) /* in a message that somebody can receive */
			mark_reachable(u, &work);
	while (!list_empty(&work)) {
		struct unix_socket *u = list_first(&work, struct unix_socket, work_node);
		list_remove(&u->work_node);
		visit_messages(u, mark_reachable, &work);
	}
	list_for_each(u, &unix_all, struct unix_socket, all_node)
		if (u->candidate)
			take_messages(u, &garbage);
	unix_messages_drop(&garbage);
	running = false;
}
