#include "state_cache.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/strmap.h"

enum { OVERHEAD = 48 /* bytes of the map a entry costs, about */ };

struct cached {
	struct str key, value; /* value absent: no such entry; both in the same piece of memory */
	struct cached *next, *previous;
	bool used; /* since the hand passed */
};

struct state_cache {
	struct strmap map;
	struct cached *hand; /* of a ring; NULL: empty */
	size_t bytes_max;
	struct state_cache_stats stats;
};

struct state_cache *state_cache_new(size_t bytes_max)
{
	struct state_cache *c = xcalloc(1, sizeof *c);
	c->bytes_max = bytes_max;
	return c;
}

static size_t size_of(const struct cached *e)
{
	return sizeof *e + OVERHEAD + e->key.n + e->value.n;
}

static void drop(struct state_cache *c, struct cached *e)
{
	strmap_remove(&c->map, e->key);
	c->stats.bytes -= size_of(e);
	c->stats.entries--;
	if (c->hand == e)
		c->hand = e->next == e ? NULL : e->next;
	e->previous->next = e->next;
	e->next->previous = e->previous;
	free(e);
}

void state_cache_free(struct state_cache *c)
{
	if (!c)
		return;
	while (c->hand)
		drop(c, c->hand);
	strmap_free(&c->map);
	free(c);
}

bool state_cache_get(struct state_cache *c, struct str key, struct str *value)
{
	struct cached *e = strmap_get(&c->map, key);
	if (!e) {
		c->stats.misses++;
		return false;
	}
	c->stats.hits++;
	e->used = true;
	*value = e->value;
	return true;
}

/* Behind the hand: the place it comes to last. */
static void insert(struct state_cache *c, struct cached *e)
{
	if (!c->hand) {
		e->next = e->previous = e;
		c->hand = e;
		return;
	}
	e->next = c->hand;
	e->previous = c->hand->previous;
	e->previous->next = e;
	c->hand->previous = e;
}

static void make_room(struct state_cache *c)
{
	for (struct cached *e = c->hand; e && c->stats.bytes > c->bytes_max && c->stats.entries > 1; e = c->hand) {
		if (e->used) {
			e->used = false;
			c->hand = e->next;
		} else {
			drop(c, e);
		}
	}
}

void state_cache_put(struct state_cache *c, struct str key, struct str value)
{
	struct cached *old = strmap_get(&c->map, key);
	if (old && str_present(old->value) && str_present(value) && old->value.n == value.n) { /* the usual case: an amount or a nonce */
		memcpy((char *)(old + 1) + old->key.n, value.p, value.n);
		return;
	}
	if (old)
		drop(c, old);
	struct cached *e = xmalloc(sizeof *e + key.n + value.n);
	char *text = (char *)(e + 1);
	memcpy(text, key.p, key.n);
	if (value.n > 0)
		memcpy(text + key.n, value.p, value.n);
	*e = (struct cached){.key = str_of(text, key.n), .value = str_present(value) ? str_of(text + key.n, value.n) : STR_NONE, .used = true /* a full cache must not drop what was just put in */};
	insert(c, e);
	strmap_put(&c->map, e->key, e);
	c->stats.bytes += size_of(e);
	c->stats.entries++;
	make_room(c);
}

void state_cache_get_stats(const struct state_cache *c, struct state_cache_stats *out)
{
	*out = c->stats;
}
