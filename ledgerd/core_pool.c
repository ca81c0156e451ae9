/* The queue in memory: what is ready, in the order in which it will go into blocks, and what waits for an earlier nonce. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "core_inside.h"

static struct str id_key(const struct core_pending *p)
{
	return str_of(p->id_bytes, HASH_SIZE);
}

struct core_pending *pool_new(struct core *c, const struct tx *t, const struct ed25519_signature *s, int64_t received_at)
{
	struct core_pending *p = xmalloc(sizeof *p + t->message.n);
	*p = (struct core_pending){.core = c, .nonce = t->nonce, .timestamp = t->timestamp};
	char *message = (char *)(p + 1);
	memcpy(message, t->message.p, t->message.n);
	p->append = (struct mempool_append){.id = t->id, .message = str_of(message, t->message.n), .signature = *s, .received_at = received_at};
	memcpy(p->id_bytes, t->id.b, HASH_SIZE);
	memcpy(p->user, tx_from(t).p, USER_ID_LEN);
	p->from = str_of(p->user, USER_ID_LEN);
	p->slot_len = (size_t)snprintf(p->slot, sizeof p->slot, "%.*s/%lld", USER_ID_LEN, p->user, (long long)p->nonce);
	return p;
}

static struct pending_list *list_of(struct core *c, enum pending_where where)
{
	invariant(where != PENDING_GONE);
	return where == PENDING_READY ? &c->ready : &c->parked;
}

static void take_place(struct pending_list *l, struct core_pending *p)
{
	p->place = l->end;
	l->places[l->end++] = (struct pending_place){p->number, p, 0};
}

/* A place for one more: among those that are of no use any more, if they are as many as the others. */
static void make_places(struct pending_list *l)
{
	if (l->end < l->cap)
		return;
	if (2 * l->count >= l->cap) {
		l->cap = l->cap ? 2 * l->cap : 64;
		l->places = xrealloc(l->places, l->cap * sizeof *l->places);
	}
	l->begin = l->end = 0;
	for (struct core_pending *p = l->first; p; p = p->next)
		take_place(l, p);
}

static void leave_place(struct pending_list *l, const struct core_pending *p)
{
	l->places[p->place].p = NULL;
	l->places[p->place].skip = 1;
	while (l->begin < l->end && !l->places[l->begin].p)
		l->begin++;
}

struct core_pending *pool_behind(struct pending_list *l, uint64_t number)
{
	size_t low = l->begin, high = l->end, live;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (l->places[middle].number > number)
			high = middle;
		else
			low = middle + 1;
	}
	for (live = low; live < l->end && !l->places[live].p;)
		live += l->places[live].skip;
	/* The next one has it shorter. */
	for (size_t at = low, step; at < live; at += step) {
		step = l->places[at].skip;
		l->places[at].skip = live - at;
	}
	return live < l->end ? l->places[live].p : NULL;
}

static void link_last(struct pending_list *l, struct core_pending *p)
{
	make_places(l);
	take_place(l, p);
	p->next = NULL;
	p->previous = l->last;
	if (l->last)
		l->last->next = p;
	else
		l->first = p;
	l->last = p;
	l->count++;
}

static void unlink_from(struct pending_list *l, struct core_pending *p)
{
	if (p->previous)
		p->previous->next = p->next;
	else
		l->first = p->next;
	if (p->next)
		p->next->previous = p->previous;
	else
		l->last = p->previous;
	l->count--;
	leave_place(l, p);
}

static void enter(struct core *c, struct core_pending *p, enum pending_where where)
{
	p->where = where;
	p->number = ++c->next_number; /* so each list is in the order of numbers, also behind one that came from the other list */
	link_last(list_of(c, where), p);
	if (where == PENDING_PARKED)
		strmap_put(&c->parked_slots, str_of(p->slot, p->slot_len), p);
}

static void leave(struct core *c, struct core_pending *p)
{
	unlink_from(list_of(c, p->where), p);
	if (p->where == PENDING_PARKED)
		strmap_remove(&c->parked_slots, str_of(p->slot, p->slot_len));
	p->where = PENDING_GONE;
}

void pool_insert(struct core *c, struct core_pending *p, enum pending_where where)
{
	strmap_put(&c->by_id, id_key(p), p);
	c->pool_bytes += p->append.message.n;
	enter(c, p, where);
}

void pool_remove(struct core *c, struct core_pending *p)
{
	leave(c, p);
	strmap_remove(&c->by_id, id_key(p));
	c->pool_bytes -= p->append.message.n;
	if (!p->appending)
		free(p);
}

struct core_pending *pool_find(struct core *c, const struct hash *id)
{
	return strmap_get(&c->by_id, str_of((const char *)id->b, HASH_SIZE));
}

struct core_pending *pool_find_parked(struct core *c, struct str user, int64_t nonce)
{
	char slot[sizeof((struct core_pending *)0)->slot];
	int n = snprintf(slot, sizeof slot, "%.*s/%lld", STR_ARG(user), (long long)nonce);
	return strmap_get(&c->parked_slots, str_of(slot, (size_t)n));
}

static bool believe(void *ctx, struct chain_place at, const struct ed25519_signature *s, const struct ed25519_public *key, const struct hash *digest)
{
	(void)ctx;
	(void)at;
	(void)s;
	(void)key;
	(void)digest;
	return true;
}

enum chain_verdict pool_apply(struct core *c, const struct tx *t, const struct ed25519_signature *s, struct error *err)
{
	struct chain_rules rules = c->chain.rules;
	int64_t now = core_now();
	rules.verifier = (struct chain_verifier){believe, NULL};
	c->outlook_applied++;
	return chain_apply(&rules, &c->outlook, t, s, now > c->chain.timestamp ? now : c->chain.timestamp + 1, err);
}

void pool_parse(const struct core_pending *p, struct arena *arena, struct tx *out)
{
	tx_parse_again(p->append.message, &p->append.id, arena, out);
}

/* Applies one that is, or becomes, ready. What is refused now stays in the queue: its block says so, and writes down why. */
static enum chain_verdict apply_pending(struct core *c, const struct core_pending *p)
{
	struct arena arena;
	struct tx t;
	struct error err;
	arena_init(&arena);
	pool_parse(p, &arena, &t);
	enum chain_verdict v = pool_apply(c, &t, &p->append.signature, &err);
	arena_free(&arena);
	return v;
}

void pool_promote(struct core *c, struct str user)
{
	int64_t nonce;
	struct core_pending *p;
	while (core_last_nonce(c, &c->outlook, user, &nonce) && (p = pool_find_parked(c, user, nonce + 1))) {
		leave(c, p);
		enter(c, p, PENDING_READY);
		if (apply_pending(c, p) != CHAIN_APPLIED)
			break;
	}
}

bool pool_park(struct core *c, struct core_pending *p)
{
	if (pool_find_parked(c, p->from, p->nonce))
		return false;
	leave(c, p);
	enter(c, p, PENDING_PARKED);
	return true;
}

void pool_reset_outlook(struct core *c)
{
	chain_view_reset(&c->outlook);
	c->outlook_applied = 0;
	c->outlook_stale = false;
}

/* Beyond so many entries and applications the outlook is made anew, if few of them are what waits: one transaction asks for some dozen entries. */
enum { OUTLOOK_MAX = 200000, OUTLOOK_EACH = 32 };

/* One of more than so many that are ready is made anew when each of them had time for some dozen applications. */
enum { OUTLOOK_SMALL = 1000, OUTLOOK_READY_A_MS = 20 };

bool pool_tend_outlook(struct core *c, struct error *err)
{
	size_t kept = c->outlook.entries.count + c->outlook_applied, ready = c->ready.count;
	if (c->outlook_stale && ready > OUTLOOK_SMALL && clock_mono_ms() < c->outlook_made_ms + (int64_t)(ready / OUTLOOK_READY_A_MS))
		return error_set(err, ERR_UNAVAILABLE, "transactions cannot be kept at present: try again in a while");
	if (c->outlook_stale || (kept > OUTLOOK_MAX && kept > OUTLOOK_EACH * ready))
		pool_rebuild(c);
	return true;
}

void pool_rebuild(struct core *c)
{
	pool_reset_outlook(c);
	for (const struct core_pending *p = c->ready.first; p; p = p->next)
		(void)!apply_pending(c, p);
	/* Whoever's turn has come meanwhile. Promoting takes others out of the list too, so the users are gathered first. */
	char(*users)[USER_ID_LEN] = xcalloc(c->parked.count + 1, sizeof *users);
	size_t n = 0;
	for (const struct core_pending *p = c->parked.first; p; p = p->next)
		memcpy(users[n++], p->user, USER_ID_LEN);
	for (size_t i = 0; i < n; i++)
		pool_promote(c, str_of(users[i], USER_ID_LEN));
	free(users);
	c->outlook_made_ms = clock_mono_ms();
}

void pool_free_all(struct core *c)
{
	while (c->ready.first)
		pool_remove(c, c->ready.first);
	while (c->parked.first)
		pool_remove(c, c->parked.first);
	free(c->ready.places);
	free(c->parked.places);
	strmap_free(&c->by_id);
	strmap_free(&c->parked_slots);
}
