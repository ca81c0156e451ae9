/* A transaction that comes in: judged against the state as it will be when all that waits has been applied, queued, made durable, answered. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "core_inside.h"

/* One admission on its way. */
struct admitting {
	struct core *core;
	struct admission_request *r;
	struct arena arena;
	struct tx tx;
	struct ed25519_public key; /* the signer's, as far as known before the lock */
	bool has_key, verified;
};

static void finish(struct admitting *a, enum admission result, const struct error *err)
{
	arena_free(&a->arena);
	a->r->done(a->r, result, err);
}

/* ---- What needs no lock: entries fetched together, the signature ---- */

/* Which of the entries that the transaction is about are neither in the outlook nor cached; not looked for while all of them always are. Under the lock. */
static size_t missing_entries(struct admitting *a, struct str missing[CHAIN_KEYS_MAX])
{
	struct core *c = a->core;
	struct str keys[CHAIN_KEYS_MAX], value;
	if (c->look_ahead == 0)
		return 0;
	size_t n = chain_keys_of(&a->tx, &a->arena, keys), wanted = 0;
	for (size_t i = 0; i < n; i++)
		if (!strmap_get(&c->outlook.entries, keys[i]) && !state_cache_get(c->cache, keys[i], &value))
			missing[wanted++] = keys[i];
	c->look_ahead = wanted > 0 ? LOOK_AHEAD : c->look_ahead - 1;
	return wanted;
}

/* Brings entries into the cache, in one question. Failures show again under the lock. */
static void prefetch(struct admitting *a, const struct str *missing, size_t wanted, uint64_t epoch)
{
	struct core *c = a->core;
	struct str values[CHAIN_KEYS_MAX];
	struct error err;
	struct db_conn *conn = db_pool_reader(c->l->pool, &err);
	if (!conn)
		return;
	enum db_status st = store_read_states(conn, missing, wanted, &a->arena, values, &err);
	db_pool_release(c->l->pool, conn);
	if (st != DB_OK)
		return;
	pthread_mutex_lock(&c->lock);
	/* A block that came meanwhile may have changed what was read. */
	for (size_t i = 0; i < wanted && c->epoch == epoch; i++)
		state_cache_put(c->cache, missing[i], values[i]);
	pthread_mutex_unlock(&c->lock);
}

/* Whose signature it should be, as far as that is known now. Under the lock. */
static void find_key(struct admitting *a)
{
	a->has_key = core_signer_key(a->core, &a->tx, &a->key);
}

/* The verdict that was reached before the lock, for this id and key; anything else is judged now. */
static bool remembered(void *ctx, struct chain_place at, const struct ed25519_signature *s, const struct ed25519_public *key, const struct hash *digest)
{
	const struct admitting *a = ctx;
	if (a->has_key && hash_equal(digest, &a->tx.id) && ed25519_public_equal(key, &a->key))
		return a->verified;
	return chain_verifier_strict.check(NULL, at, s, key, digest);
}

/* ---- Under the lock ---- */

/* How far the nonce lies behind the last one in a block: the window of maxPendingPerUser counts from there. */
static bool within_window(struct admitting *a, struct error *err)
{
	struct core *c = a->core;
	int64_t committed;
	if (!core_committed_nonce(c, tx_from(&a->tx), &committed, err))
		return false;
	int64_t max = c->chain.rules.params.max_pending_per_user;
	return a->tx.nonce <= committed + max ||
	       error_set(err, ERR_BAD_NONCE, "the nonce %lld is more than %lld ahead of the last one in a block, %lld", (long long)a->tx.nonce, (long long)max,
			 (long long)committed);
}

static enum chain_verdict judge(struct admitting *a, enum pending_where *where, struct error *err)
{
	struct core *c = a->core;
	struct chain_rules rules = c->chain.rules;
	int64_t now = clock_wall_ms(), time = now > c->chain.timestamp ? now : c->chain.timestamp + 1;
	int64_t next = 0;
	rules.verifier = (struct chain_verifier){remembered, a};
	*where = PENDING_READY;
	/* Beyond the next one it waits, whatever else it may be refused for. */
	if (core_last_nonce(c, &c->outlook, tx_from(&a->tx), &next) && a->tx.nonce > next + 1 && a->tx.type != TX_USER_CREATION) {
		*where = PENDING_PARKED;
		int64_t ahead = c->chain.rules.params.max_pending_per_user; /* the exact window is judged below */
		enum chain_verdict v = chain_may_wait(&rules, &c->outlook, &a->tx, &a->r->signature, time, ahead, err);
		/* All about the nonce comes before its time. */
		if (v == CHAIN_FAILED || (v == CHAIN_REFUSED && err->code != ERR_EXPIRED))
			return v;
		struct error nonce;
		bool inside = within_window(a, &nonce);
		if (inside && pool_find_parked(c, tx_from(&a->tx), a->tx.nonce))
			inside = error_set(&nonce, ERR_BAD_NONCE, "another transaction with the nonce %lld waits already", (long long)a->tx.nonce);
		if (inside)
			return v;
		*err = nonce;
		return nonce.code == ERR_BAD_NONCE ? CHAIN_REFUSED : CHAIN_FAILED;
	}
	/* The window first, so that nothing is in the outlook that does not enter the queue. What it refuses has to be refused for an earlier reason, if there is one. */
	if (a->tx.type != TX_USER_CREATION && !within_window(a, err)) {
		if (err->code != ERR_BAD_NONCE)
			return CHAIN_FAILED;
		struct error earlier;
		enum chain_verdict v = chain_may_wait(&rules, &c->outlook, &a->tx, &a->r->signature, time, 0, &earlier);
		if (v == CHAIN_FAILED || (v == CHAIN_REFUSED && earlier.code != ERR_EXPIRED))
			*err = earlier;
		return v == CHAIN_FAILED ? CHAIN_FAILED : CHAIN_REFUSED;
	}
	c->outlook_applied++;
	return chain_apply(&rules, &c->outlook, &a->tx, &a->r->signature, time, err);
}

static bool room(struct core *c, size_t bytes, struct error *err)
{
	const struct ledger_config *o = &c->l->config;
	if (c->stopping)
		return error_set(err, ERR_SHUTTING_DOWN, "the service is stopping");
	if (c->problem.code != ERR_COUNT) {
		*err = c->problem;
		err->code = ERR_UNAVAILABLE;
		return false;
	}
	if (!c->caught_up)
		return error_set(err, ERR_UNAVAILABLE, "the transactions that were kept are still being read");
	return (c->by_id.count < (uint64_t)o->pool_max && c->pool_bytes + bytes <= (uint64_t)o->pool_bytes_max) ||
	       error_set(err, ERR_OVERLOADED, "%zu transactions wait already: try again in a while", c->by_id.count);
}

/* ---- The answer ---- */

static void appended(struct mempool_append *append, const struct mempool_handle *handle, const struct error *err)
{
	struct core_pending *p = (struct core_pending *)((char *)append - offsetof(struct core_pending, append));
	struct core *c = p->core;
	pthread_mutex_lock(&c->lock);
	struct admission_request *r = p->requests;
	p->requests = NULL;
	p->appending = false;
	/* One that is in a block, or came back from the store, is durable whatever the answer to its append was. */
	bool gone = p->where == PENDING_GONE, durable = gone || p->durable || !err;
	if (gone) {
		free(p);
	} else if (durable) {
		p->durable = true;
		/* It may be in the store twice, when the answer to an earlier append of it was lost. The first entry that was offered is its own; the
		 * other one is settled when it is offered. */
		if (!err && !p->has_handle) {
			p->has_handle = true;
			p->handle = *handle;
		}
		pthread_cond_broadcast(&c->changed);
	} else {
		pool_remove(c, p);
		c->outlook_stale = true; /* made anew once for all that fail together */
	}
	pthread_mutex_unlock(&c->lock);
	for (struct admission_request *next; r; r = next) {
		next = r->next;
		r->done(r, !durable ? ADMISSION_REFUSED : r->joined ? ADMITTED_BEFORE : ADMITTED, durable ? NULL : err);
	}
}

/* A transaction that was judged before keeps its verdict: is it in a block, or refused on record? */
static bool known_before(struct admitting *a, bool *known, struct error *err)
{
	struct core *c = a->core;
	int64_t height, index;
	*known = false;
	struct db_conn *conn = db_pool_reader(c->l->pool, err);
	if (!conn)
		return false;
	enum db_status st = store_find_tx(conn, &a->tx.id, &height, &index, known, err);
	if (st == DB_OK && !*known)
		st = store_is_refused(conn, &a->tx.id, known, err);
	db_pool_release(c->l->pool, conn);
	return st == DB_OK;
}

/* True when it was answered. */
static bool answered_before(struct admitting *a, struct error *err)
{
	bool known;
	if (!known_before(a, &known, err))
		finish(a, ADMISSION_REFUSED, err);
	else if (known)
		finish(a, ADMITTED_BEFORE, NULL);
	else
		return false;
	return true;
}

static void enqueue(struct admitting *a, enum pending_where where)
{
	struct core *c = a->core;
	struct core_pending *p = pool_new(c, &a->tx, &a->r->signature, clock_wall_ms());
	p->requests = a->r;
	p->verified = a->verified;
	p->key = a->key;
	p->appending = true;
	p->append.done = appended;
	pool_insert(c, p, where);
	if (where == PENDING_READY)
		pool_promote(c, p->from);
	c->store->ops->append(c->store, &p->append);
}

void core_admit(struct core *c, struct admission_request *r)
{
	struct admitting a = {.core = c, .r = r};
	struct error err;
	arena_init(&a.arena);
	if (!tx_parse(r->message, c->chain.rules.params.max_transaction_bytes, &a.arena, &a.tx, &err)) {
		finish(&a, ADMISSION_REFUSED, &err);
		return;
	}
	r->id = a.tx.id;
	r->next = NULL;
	r->joined = false;
	if (!c->store) {
		error_set(&err, ERR_NOT_ALLOWED, "this ledgerd follows another and takes no transactions");
		error_hint(&err, "send it to %s", c->l->config.follow_url ? c->l->config.follow_url : "the producer");
		finish(&a, ADMISSION_REFUSED, &err);
		return;
	}
	struct str missing[CHAIN_KEYS_MAX];
	pthread_mutex_lock(&c->lock);
	(void)!pool_tend_outlook(c, &err); /* the verdict comes below */
	struct core_pending *waiting = pool_find(c, &a.tx.id);
	bool waits = waiting && waiting->durable, perhaps_refused = !c->refused || refused_set_perhaps(c->refused, &a.tx.id);
	size_t wanted = waits ? 0 : missing_entries(&a, missing);
	uint64_t epoch = c->epoch;
	/* One entry alone is as well read under the lock. */
	if (wanted < 2)
		find_key(&a);
	pthread_mutex_unlock(&c->lock);
	if (waits) {
		finish(&a, ADMITTED_BEFORE, NULL);
		return;
	}
	if (perhaps_refused && answered_before(&a, &err))
		return;
	if (wanted >= 2) {
		prefetch(&a, missing, wanted, epoch);
		pthread_mutex_lock(&c->lock);
		find_key(&a);
		pthread_mutex_unlock(&c->lock);
	}
	a.verified = a.has_key && ed25519_verify_bytes(&r->signature, &a.key, str_of((const char *)a.tx.id.b, HASH_SIZE));

	enum pending_where where;
	enum chain_verdict verdict = CHAIN_FAILED;
	pthread_mutex_lock(&c->lock);
	waiting = pool_find(c, &a.tx.id);
	if (!waiting && room(c, a.tx.message.n, &err) && c->store->ops->ready(c->store, &err) && pool_tend_outlook(c, &err) &&
	    pool_is_settled(c, tx_from(&a.tx), &err)) {
		verdict = judge(&a, &where, &err);
		if (verdict == CHAIN_APPLIED)
			enqueue(&a, where);
	}
	/* The same bytes, sent twice at once: the answer is the first one's. */
	bool joins = waiting && !waiting->durable;
	if (joins) {
		r->joined = true;
		r->next = waiting->requests;
		waiting->requests = r;
	}
	pthread_mutex_unlock(&c->lock);
	if (joins || (!waiting && verdict == CHAIN_APPLIED)) {
		arena_free(&a.arena); /* the answer comes when it is durable */
	} else if (waiting) {
		finish(&a, ADMITTED_BEFORE, NULL);
	} else if (verdict == CHAIN_FAILED || !answered_before(&a, &err)) {
		finish(&a, ADMISSION_REFUSED, &err);
	}
}
