/* What the store of waiting transactions brings: what was kept, and what other front ends took in. */
#include "base/clock.h"
#include "base/log.h"
#include "core_inside.h"

/* Is it in a block, or refused on record? */
static enum db_status in_database(struct core *c, const struct hash *id, bool *known, struct error *err)
{
	int64_t height, index;
	struct db_conn *conn = db_pool_reader(c->l->pool, err);
	if (!conn)
		return DB_UNAVAILABLE;
	enum db_status st = store_find_tx(conn, id, &height, &index, known, err);
	if (st == DB_OK && !*known)
		st = store_is_refused(conn, id, known, err);
	db_pool_release(c->l->pool, conn);
	return st;
}

/* One that is here already; false: it is not. */
static bool meet(struct core *c, const struct hash *id, const struct mempool_entry *e, enum mempool_offer *out)
{
	struct core_pending *p = pool_find(c, id);
	if (!p)
		return false;
	if (!p->has_handle) {
		p->has_handle = true;
		p->handle = e->handle;
		p->durable = true;
		pthread_cond_broadcast(&c->changed);
	}
	*out = mempool_handle_eq(p->handle, e->handle) ? OFFER_WAITS : OFFER_SETTLED;
	return true;
}

/* It was accepted, so it is taken: where it does not fit now, its block will say why. verified: whose signature it has; NULL: its block looks. */
static enum mempool_offer take(struct core *c, const struct tx *t, const struct mempool_entry *e, const struct ed25519_public *verified, struct error *err)
{
	int64_t last;
	enum pending_where where = PENDING_READY;
	if (!pool_tend_outlook(c, err))
		return OFFER_LATER;
	switch (pool_apply(c, t, &e->signature, err)) {
	case CHAIN_APPLIED:
		break;
	case CHAIN_FAILED:
		return OFFER_LATER;
	case CHAIN_REFUSED:
		if (err->code == ERR_BAD_NONCE && !pool_find_parked(c, tx_from(t), t->nonce) &&
		    (!core_last_nonce(c, &c->outlook, tx_from(t), &last) || t->nonce > last))
			where = PENDING_PARKED;
		break;
	}
	struct core_pending *p = pool_new(c, t, &e->signature, e->received_at);
	p->durable = true;
	p->has_handle = true;
	p->handle = e->handle;
	p->verified = verified != NULL;
	if (verified)
		p->key = *verified;
	pool_insert(c, p, where);
	if (where == PENDING_READY)
		pool_promote(c, p->from);
	pthread_cond_broadcast(&c->changed);
	return OFFER_WAITS;
}

static enum mempool_offer offer(void *ctx, const struct mempool_entry *e, struct error *err)
{
	struct core *c = ctx;
	struct arena arena;
	struct tx t;
	enum mempool_offer out = OFFER_SETTLED;
	arena_init(&arena);
	if (!tx_parse(e->message, c->chain.rules.params.max_transaction_bytes, &arena, &t, err)) {
		log_warn("an entry of the mempool is no transaction, and is dropped", LOG_S("why", err->message));
		arena_free(&arena);
		return OFFER_SETTLED;
	}
	bool again = true;
	while (again) {
		bool known = false;
		struct ed25519_public key;
		pthread_mutex_lock(&c->lock);
		bool met = meet(c, &t.id, e, &out);
		uint64_t epoch = c->epoch;
		bool verified = !met && core_signer_key(c, &t, &key);
		pthread_mutex_unlock(&c->lock);
		if (met)
			break;
		if (in_database(c, &t.id, &known, err) != DB_OK) {
			out = OFFER_LATER;
			break;
		}
		if (known)
			break;
		/* Here, so that the block that takes it need not, with everybody waiting. */
		verified = verified && ed25519_verify_bytes(&e->signature, &key, str_of((const char *)t.id.b, HASH_SIZE));
		pthread_mutex_lock(&c->lock);
		/* A block that came meanwhile may have it. */
		again = epoch != c->epoch;
		if (!again && !meet(c, &t.id, e, &out))
			out = take(c, &t, e, verified ? &key : NULL, err);
		pthread_mutex_unlock(&c->lock);
	}
	arena_free(&arena);
	return out;
}

static void caught_up(void *ctx)
{
	struct core *c = ctx;
	pthread_mutex_lock(&c->lock);
	c->caught_up = true;
	size_t waiting = c->by_id.count;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
	if (waiting > 0)
		log_info("transactions were waiting", LOG_I("count", (int64_t)waiting));
}

static void moved(void *ctx)
{
	struct core *c = ctx;
	struct error err;
	if (c->l->config.role == LEDGER_FRONT && !core_catch_up(c, &err))
		log_warn("blocks of the producer could not be followed yet", LOG_S("why", err.message));
}

const struct mempool_events core_mempool_events = {.offer = offer, .caught_up = caught_up, .moved = moved};
