/* Intrusive doubly linked list. The head is a node of its own; an initialised node points to itself. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include "base/types.h"

struct list {
	struct list *next, *prev;
};

#define LIST_INIT(name) { &(name), &(name) }

static inline void list_init(struct list *l) { l->next = l->prev = l; }
static inline bool list_empty(const struct list *l) { return l->next == l; }

static inline void list_insert_before(struct list *at, struct list *node)
{
	node->next = at;
	node->prev = at->prev;
	at->prev->next = node;
	at->prev = node;
}

static inline void list_push_back(struct list *head, struct list *node) { list_insert_before(head, node); }
static inline void list_push_front(struct list *head, struct list *node) { list_insert_before(head->next, node); }

/* Removing an initialised node that is on no list does nothing. */
static inline void list_remove(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

#define list_entry(node, type, member) vb_container_of(node, type, member)
#define list_first(head, type, member) list_entry((head)->next, type, member)
#define list_for_each(pos, head, type, member)                                                                         \
	for (type *pos = list_entry((head)->next, type, member); &pos->member != (head);                               \
	     pos = list_entry(pos->member.next, type, member))
/* Allows removing pos in the body. */
#define list_for_each_safe(pos, tmp, head, type, member)                                                               \
	for (type *pos = list_entry((head)->next, type, member), *tmp = list_entry(pos->member.next, type, member);    \
	     &pos->member != (head); pos = tmp, tmp = list_entry(pos->member.next, type, member))

#endif
