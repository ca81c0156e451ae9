/* The queue in memory: what is ready, in the order in which it will go into blocks, and what waits for an earlier nonce. */
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "core_inside.h"

/* A user and a nonce as one key. */
static struct str slot_key(char slot[USER_ID_LEN + 8], const char *user, int64_t nonce)
{
	memcpy(slot, user, USER_ID_LEN);
	memcpy(slot + USER_ID_LEN, &nonce, sizeof nonce);
	return str_of(slot, USER_ID_LEN + sizeof nonce);
}

static struct str id_key(const struct core_pending *p)
{
	return str_of(p->id_bytes, HASH_SIZE);
}

/* The transaction with its texts in another copy of its message; false: some had escapes, and are not in it. */
static bool move_tx(struct tx *t, struct str message)
{
	for (unsigned i = 0; i < t->count; i++) {
		uintptr_t at = (uintptr_t)t->value[i].p - (uintptr_t)t->message.p;
		if (at > message.n || t->value[i].n > message.n - at)
			return false;
		t->value[i].p = message.p + at;
	}
	t->message = message;
	return true;
}

struct core_pending *pool_new(struct core *c, const struct tx *t, const struct ed25519_signature *s, int64_t received_at)
{
	struct core_pending *p = xmalloc(sizeof *p + t->message.n);
	*p = (struct core_pending){.core = c, .nonce = t->nonce, .timestamp = t->timestamp};
	char *message = (char *)(p + 1);
	memcpy(message, t->message.p, t->message.n);
	p->append = (struct mempool_append){.id = t->id, .message = str_of(message, t->message.n), .signature = *s, .received_at = received_at};
	p->tx = *t;
	p->parsed = move_tx(&p->tx, p->append.message);
	memcpy(p->id_bytes, t->id.b, HASH_SIZE);
	memcpy(p->user, tx_from(t).p, USER_ID_LEN);
	p->from = str_of(p->user, USER_ID_LEN);
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
		strmap_put(&c->parked_slots, slot_key(p->slot, p->user, p->nonce), p);
}

static void leave(struct core *c, struct core_pending *p)
{
	unlink_from(list_of(c, p->where), p);
	if (p->where == PENDING_PARKED)
		strmap_remove(&c->parked_slots, slot_key(p->slot, p->user, p->nonce));
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
	if (p->leaving && strmap_get(&c->leaving, p->from) == p)
		strmap_remove(&c->leaving, p->from);
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
	return user.n == USER_ID_LEN ? strmap_get(&c->parked_slots, slot_key(slot, user.p, nonce)) : NULL;
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

static enum chain_verdict apply_to(struct core *c, struct chain_view *view, const struct tx *t, const struct ed25519_signature *s, struct error *err)
{
	struct chain_rules rules = c->chain.rules;
	int64_t now = core_now();
	rules.verifier = (struct chain_verifier){believe, NULL};
	return chain_apply(&rules, view, t, s, now > c->chain.timestamp ? now : c->chain.timestamp + 1, err);
}

enum chain_verdict pool_apply(struct core *c, const struct tx *t, const struct ed25519_signature *s, struct error *err)
{
	c->outlook_applied++;
	return apply_to(c, &c->outlook, t, s, err);
}

void pool_parse(const struct core_pending *p, struct arena *arena, struct tx *out)
{
	if (p->parsed)
		*out = p->tx;
	else
		tx_parse_again(p->append.message, &p->append.id, arena, out);
}

/* Applies one that is, or becomes, ready. What is refused now stays in the queue: its block says so, and writes down why. */
static enum chain_verdict apply_pending(struct core *c, struct chain_view *view, const struct core_pending *p)
{
	struct arena arena;
	struct tx t;
	struct error err;
	arena_init(&arena);
	pool_parse(p, &arena, &t);
	enum chain_verdict v = apply_to(c, view, &t, &p->append.signature, &err);
	arena_free(&arena);
	return v;
}

void pool_promote(struct core *c, struct str user)
{
	int64_t nonce;
	struct core_pending *p;
	while (c->parked.count > 0 && core_last_nonce(c, &c->outlook, user, &nonce) && (p = pool_find_parked(c, user, nonce + 1))) {
		leave(c, p);
		enter(c, p, PENDING_READY);
		c->outlook_applied++;
		if (apply_pending(c, &c->outlook, p) != CHAIN_APPLIED)
			break;
	}
}

bool pool_park(struct core *c, struct core_pending *p)
{
	p->leaving = false;
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
	c->outlook_makings++;
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
	return !c->outlook_stale || error_set(err, ERR_UNAVAILABLE, "what waits cannot be compared with the state at present: try again in a while");
}

/* How many are applied, or looked at, before others have their turn: some dozen milliseconds. Each turn given costs a millisecond or more. */
enum { PIECE = 4000 };

/* The next ones that are ready, behind *number, onto a view; *applied counts them. False: that was all, or the state cannot be read, which *failed says. */
static bool apply_piece(struct core *c, struct chain_view *view, uint64_t *number, size_t *applied, bool *failed)
{
	const struct core_pending *p = pool_behind(&c->ready, *number);
	for (size_t n = 0; p && n < PIECE && !*failed; p = p->next, n++) {
		*number = p->number;
		if (p->leaving)
			continue;
		*failed = apply_pending(c, view, p) == CHAIN_FAILED;
		++*applied;
	}
	return p && !*failed;
}

/* The users of the next ones that are parked, behind *number: has the turn of any come? False: those were all. */
static bool promote_piece(struct core *c, uint64_t *number)
{
	for (size_t n = 0; n < PIECE; n++) {
		const struct core_pending *p = pool_behind(&c->parked, *number);
		char user[USER_ID_LEN];
		if (!p)
			return false;
		*number = p->number;
		memcpy(user, p->user, USER_ID_LEN); /* it may be gone from there */
		pool_promote(c, str_of(user, USER_ID_LEN));
	}
	return true;
}

void pool_rebuild(struct core *c)
{
	uint64_t ready = 0, parked = 0;
	bool failed = false;
	pool_reset_outlook(c);
	while (apply_piece(c, &c->outlook, &ready, &c->outlook_applied, &failed))
		;
	while (!failed && promote_piece(c, &parked))
		;
	c->outlook_stale = failed;
	c->outlook_made_ms = clock_mono_ms();
}

void pool_leave_soon(struct core *c, struct core_pending *p)
{
	invariant(p->where == PENDING_READY);
	p->leaving = true;
	strmap_put(&c->leaving, p->from, p);
}

/* Whoever waits for the lock gets it. */
static void give_way(struct core *c)
{
	pthread_mutex_unlock(&c->lock);
	nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	pthread_mutex_lock(&c->lock);
}

void pool_remake(struct core *c, void (*let_go)(void *ctx), void *ctx)
{
	struct chain_view coming;
	uint64_t ready = 0, parked = 0;
	size_t applied = 0;
	bool failed = false;
	uint64_t makings = c->outlook_makings;
	chain_view_init(&coming, c->outlook.source);
	/* When somebody else made it anew meanwhile, that was without those that are leaving too. */
	while (apply_piece(c, &coming, &ready, &applied, &failed) && makings == c->outlook_makings)
		give_way(c);
	let_go(ctx);
	strmap_free(&c->leaving);
	if (makings == c->outlook_makings && failed) {
		c->outlook_stale = true;
	} else if (makings == c->outlook_makings) {
		/* Where one that could not be kept was taken back meanwhile it may be in this one as well: then it is stale as the old one was. */
		chain_view_swap(&c->outlook, &coming);
		c->outlook_applied = applied;
		c->outlook_made_ms = clock_mono_ms();
		c->outlook_makings++;
	}
	while (!failed && promote_piece(c, &parked))
		give_way(c);
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
	chain_view_free(&coming); /* of many that takes a while too */
	pthread_mutex_lock(&c->lock);
}

bool pool_is_settled(struct core *c, struct str user, struct error *err)
{
	return !strmap_get(&c->leaving, user) || error_set(err, ERR_UNAVAILABLE, "an earlier transaction of this user is just being refused: try again in a moment");
}

bool pool_count_nonces(struct core *c, struct str user, int64_t *last_nonce)
{
	struct error err;
	bool any = false;
	if (!core_committed_nonce(c, user, last_nonce, &err))
		return false;
	for (const struct core_pending *p = c->ready.first; p; p = p->next)
		if (p->nonce == *last_nonce + 1 && !p->leaving && str_equal(p->from, user)) {
			++*last_nonce;
			any = true;
		}
	return any;
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
	strmap_free(&c->leaving);
}
