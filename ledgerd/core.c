#include "core.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "core_inside.h"
#include "crypto/canonical_read.h"
#include "ledger_feed.h"

enum {
	LAST_BLOCKS_CHECKED = 8,    /* at a start, signatures included */
	REFUSED_PAGE = 10000,
	REFUSED_SLACK_MS = 5 * 60000 /* a transaction may be of a minute later than its refusal */
};

int64_t core_now(void)
{
	return clock_wall_ms();
}

bool core_is_away(enum db_status st)
{
	return st == DB_UNAVAILABLE || st == DB_RETRY;
}

void core_fail(struct core *c, const struct error *why)
{
	if (c->problem.code != ERR_COUNT)
		return;
	c->problem = *why;
	log_error("the ledger does not go on", LOG_S("code", error_code_text(why->code)), LOG_S("why", why->message));
}

/* ---- Entries of the state: the cache, and behind it the database ---- */

static bool get_entry(void *ctx, struct str key, struct str *value, struct error *err)
{
	struct core *c = ctx;
	struct arena arena;
	if (state_cache_get(c->cache, key, value))
		return true;
	c->look_ahead = LOOK_AHEAD;
	struct db_conn *conn = db_pool_reader(c->l->pool, err);
	if (!conn)
		return false;
	arena_init(&arena);
	enum db_status st = store_read_state(conn, key, &arena, value, err);
	db_pool_release(c->l->pool, conn);
	if (st == DB_OK) {
		state_cache_put(c->cache, key, *value);
		bool there = state_cache_get(c->cache, key, value);
		invariant(there);
	}
	arena_free(&arena);
	return st == DB_OK;
}

struct chain_source core_source(struct core *c)
{
	return (struct chain_source){get_entry, c};
}

bool core_last_nonce(struct core *c, struct chain_view *v, struct str user, int64_t *nonce)
{
	char key[6 + USER_ID_LEN] = "nonce:";
	struct str value;
	struct error err;
	(void)c;
	memcpy(key + 6, user.p, USER_ID_LEN);
	return chain_view_get(v, str_of(key, sizeof key), &value, &err) && str_present(value) && canonical_read_int(value, nonce);
}

bool core_committed_nonce(struct core *c, struct str user, int64_t *nonce, struct error *err)
{
	struct chain_source source = c->outlook.source;
	char key[6 + USER_ID_LEN] = "nonce:";
	struct str value;
	memcpy(key + 6, user.p, USER_ID_LEN);
	if (!source.get(source.ctx, str_of(key, sizeof key), &value, err))
		return false;
	if (!str_present(value) || !canonical_read_int(value, nonce))
		*nonce = -1;
	return true;
}

bool core_signer_key(struct core *c, const struct tx *t, struct ed25519_public *key)
{
	struct str value, member, text = STR_NONE;
	struct error err;
	char name[5 + USER_ID_LEN] = "user:";
	memcpy(name + 5, tx_from(t).p, USER_ID_LEN);
	if (t->type == TX_USER_CREATION)
		text = tx_text(t, TXF_PUBLIC_KEY);
	else if (!chain_view_get(&c->outlook, str_of(name, sizeof name), &value, &err) || !str_present(value) || !canonical_find(value, "publicKey", &member) ||
		 !canonical_read_plain(member, &text))
		return false;
	return ed25519_public_from_text(text, KEY_WRITTEN, key, &err);
}

/* ---- Opening ---- */

static bool stand_at_tip(struct core *c, struct db_conn *conn, struct error *err)
{
	struct arena arena;
	struct block b;
	struct block_header h;
	struct validator *v;
	size_t count;
	int64_t height;
	bool found;
	arena_init(&arena);
	bool ok = store_read_height(conn, &height, err) == DB_OK && store_read_block(conn, height, &arena, &b, &found, err) == DB_OK;
	if (ok && !found)
		ok = error_set(err, ERR_CORRUPT, "the database has no blocks");
	if (ok) {
		struct hash hash;
		sha256(&hash, b.header.p, b.header.n);
		ok = block_header_read(b.header, &h, err) && store_read_validators(conn, &arena, &v, &count, err) == DB_OK;
		if (!ok && err->code != ERR_UNAVAILABLE)
			err->code = ERR_CORRUPT;
		if (ok && (!hash_equal(&hash, &b.hash) || h.height != height))
			ok = error_set(err, ERR_CORRUPT, "block %lld is not what its hash says", (long long)height);
		if (ok)
			chain_stand_at(&c->chain, &h, &b.hash, v, count);
	}
	arena_free(&arena);
	return ok;
}

/* The set of validators before a block, from the one after it: its changes taken back. Sorted by id, in the arena. */
static void take_back_validators(const struct block *b, struct arena *arena, struct validator **set, size_t *count)
{
	struct canonical_cursor c;
	struct str item, key, before, id;
	if (!canonical_check(b->changes) || !canonical_enter_array(b->changes, &c))
		return;
	while (canonical_next_item(&c, &item)) {
		if (!canonical_find(item, "key", &key) || !canonical_read_plain(key, &key) || !str_starts(key, "validator:") ||
		    !canonical_find(item, "before", &before))
			continue;
		id = str_of(key.p + strlen("validator:"), key.n - strlen("validator:"));
		struct validator *other = arena_zalloc(arena, *count + 1, sizeof *other), was;
		bool there = validator_read(before, &was), placed = !there;
		size_t n = 0;
		for (size_t i = 0; i < *count; i++) {
			int order = str_compare((*set)[i].id, id);
			if (order >= 0 && !placed) {
				other[n++] = was;
				placed = true;
			}
			if (order != 0)
				other[n++] = (*set)[i];
		}
		if (!placed)
			other[n++] = was;
		*set = other;
		*count = n;
	}
}

static bool signed_by_one(const struct block *b, const struct chain_decoded *d, const struct validator *set, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct ed25519_public key;
		struct error why;
		if (str_equal(set[i].id, d->header.producer))
			return b->has_signature && ed25519_public_from_text(set[i].public_key, KEY_WRITTEN, &key, &why) &&
			       ed25519_verify_bytes(&b->signature, &key, str_of((const char *)d->header_hash.b, HASH_SIZE));
	}
	return false;
}

/* Hash, link, transactions' root and producer's signature of the last blocks. (Whose key a transaction's was at its time only a replay tells.) */
static bool check_last_blocks(struct core *c, struct db_conn *conn, struct error *err)
{
	struct arena arena; /* the validators live through all of them */
	struct hash expected = c->chain.tip;
	size_t count = c->chain.rules.validator_count;
	bool ok = true;
	arena_init(&arena);
	struct validator *set = arena_zalloc(&arena, count, sizeof *set);
	memcpy(set, c->chain.rules.validators, count * sizeof *set);
	for (int64_t height = c->chain.height, n = 0; ok && height >= 0 && n < LAST_BLOCKS_CHECKED; height--, n++) {
		struct block b;
		struct chain_decoded d = {.block = NULL};
		bool found;
		ok = store_read_block(conn, height, &arena, &b, &found, err) == DB_OK;
		if (!ok)
			break;
		if (found) {
			chain_decode(&c->chain, &b, &arena, &d);
			take_back_validators(&b, &arena, &set, &count);
		}
		ok = (found && !d.header_bad && !d.tx_bad && hash_equal(&d.header_hash, &expected) && hash_equal(&b.hash, &expected) &&
		      hash_equal(&d.tx_root, &d.header.tx_root) && d.header.height == height && d.header.tx_count == (int64_t)b.tx_count &&
		      (height == 0 || signed_by_one(&b, &d, set, count))) ||
		     error_set(err, ERR_CORRUPT, "block %lld does not match its hash, its signature or the block after it", (long long)height);
		expected = d.header.previous_hash;
	}
	if (!ok && err->code == ERR_CORRUPT)
		error_hint(err, "ledgerd verify --all says what differs");
	arena_free(&arena);
	return ok;
}

/* Up to REFUSED_PAGE ids of those refused since then, behind `last`, which becomes the last of them. */
static enum db_status load_refused_page(struct core *c, struct db_conn *conn, int64_t since, char last[HASH_TEXT_LEN + 1], size_t *n, struct error *err)
{
	DB_SQL(sql, "SELECT id FROM local_refused WHERE id > $1 AND refused_at >= $2 ORDER BY id LIMIT $3");
	struct db_rows *rows;
	enum db_status st = db_query(conn, &sql, DB_ARGS(DB_TEXT(str_from(last)), DB_INT(since), DB_INT(REFUSED_PAGE)), &rows, err);
	*n = 0;
	if (st != DB_OK)
		return st;
	while (db_next(rows)) {
		struct hash id;
		if (!hash_from_text(db_text(rows, 0), &id))
			continue; /* the audit names it; that the page is not full then ends the reading, which is but a hint */
		refused_set_put(c->refused, &id, clock_mono_ms());
		hash_to_text(&id, last);
		++*n;
	}
	return db_finish(rows, err);
}

/* Which number the next refusal of this height has. */
static bool count_refusals(struct core *c, struct db_conn *conn, struct error *err)
{
	DB_SQL(sql, "SELECT MAX(event_id) FROM local_refused");
	struct db_rows *rows;
	int64_t first = ledger_event_refusal(c->chain.height, 0);
	if (db_query(conn, &sql, DB_NO_ARGS, &rows, err) != DB_OK)
		return false;
	int64_t newest = db_next(rows) && !db_is_null(rows, 0) ? db_int(rows, 0) : first - 1;
	c->refusals_height = c->chain.height;
	c->refusals_of_height = newest < first ? 0 : newest + 1 - first;
	return db_finish(rows, err) == DB_OK;
}

/* Only those that would not be refused for their time by now: whatever is refused anew is looked for in the database anyway. */
static bool load_refused(struct core *c, struct db_conn *conn, struct error *err)
{
	int64_t period = c->chain.rules.params.timestamp_window_ms + REFUSED_SLACK_MS, since = clock_wall_ms() - period;
	char last[HASH_TEXT_LEN + 1] = "";
	size_t n = REFUSED_PAGE;
	if (c->l->config.role == LEDGER_FRONT)
		return true;
	c->refused = refused_set_new(period);
	while (n == REFUSED_PAGE)
		if (load_refused_page(c, conn, since, last, &n, err) != DB_OK)
			return false;
	return count_refusals(c, conn, err);
}

/* It is held for some microseconds at a time: to look a few times more costs less than to sleep and be woken. */
static void init_lock(pthread_mutex_t *lock)
{
	pthread_mutexattr_t attr;
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ADAPTIVE_NP);
	pthread_mutex_init(lock, &attr);
	pthread_mutexattr_destroy(&attr);
}

struct core *core_open(struct ledger *l, struct mempool_store *store, struct error *err)
{
	struct core *c = xcalloc(1, sizeof *c);
	c->l = l;
	c->store = store;
	c->problem.code = ERR_COUNT;
	init_lock(&c->lock);
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&c->changed, &attr);
	pthread_condattr_destroy(&attr);
	chain_init(&c->chain, &l->genesis);
	c->cache = state_cache_new((size_t)l->config.cache_bytes);
	chain_view_init(&c->outlook, core_source(c));
	/* Of one moment: a front end opens while the producer goes on. */
	struct db_conn *conn = db_pool_reader(l->pool, err);
	bool ok = conn && db_begin(conn, DB_TXN_SNAPSHOT, err) == DB_OK && stand_at_tip(c, conn, err) && check_last_blocks(c, conn, err) &&
		  load_refused(c, conn, err) && core_tree_check(c, conn, err);
	if (conn) {
		db_rollback(conn);
		db_pool_release(l->pool, conn);
	}
	if (ok)
		return c;
	core_close(c);
	return NULL;
}

void core_on_move(struct core *c, void (*moved)(void *ctx), void *ctx)
{
	c->moved = moved;
	c->moved_ctx = ctx;
}

bool core_start(struct core *c, struct error *err)
{
	if (!core_tree_start(c, err))
		return false;
	if (!c->store)
		return true;
	struct mempool_events e = core_mempool_events;
	e.core = c;
	return c->store->ops->start(c->store, &e, err);
}

void core_stop(struct core *c)
{
	if (!c)
		return;
	pthread_mutex_lock(&c->lock);
	c->stopping = true;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
	if (c->loader_runs) {
		pthread_join(c->loader, NULL);
		c->loader_runs = false;
	}
}

void core_settle(struct core *c)
{
	if (!c || !c->store)
		return;
	c->store->ops->free(c->store);
	c->store = NULL;
}

void core_close(struct core *c)
{
	if (!c)
		return;
	core_stop(c);
	core_settle(c);
	pool_free_all(c);
	refused_set_free(c->refused);
	chain_view_free(&c->outlook);
	state_cache_free(c->cache);
	chain_free(&c->chain);
	pthread_cond_destroy(&c->changed);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

/* ---- What others ask ---- */

void core_tip(struct core *c, struct core_tip *out)
{
	pthread_mutex_lock(&c->lock);
	*out = (struct core_tip){c->chain.height, c->chain.timestamp, c->chain.tip, c->chain.state_root};
	pthread_mutex_unlock(&c->lock);
}

bool core_has_validator(const struct core *c, struct str id, const struct ed25519_public *key)
{
	struct ed25519_public known;
	struct error why;
	const struct validator *v = chain_validator(&c->chain, id);
	return v && ed25519_public_from_text(v->public_key, KEY_WRITTEN, &known, &why) && ed25519_public_equal(&known, key);
}

bool core_is_validator(struct core *c, struct str id, const struct ed25519_public *key)
{
	pthread_mutex_lock(&c->lock);
	bool fits = core_has_validator(c, id, key);
	pthread_mutex_unlock(&c->lock);
	return fits;
}

bool core_prove(struct core *c, const struct hash *path, struct merkle_map_proof *proof, bool *present, struct core_tip *tip, struct error *err)
{
	pthread_mutex_lock(&c->lock);
	/* While a block is being written the tree is ahead of the tip. */
	while (c->committing && !c->stopping)
		pthread_cond_wait(&c->changed, &c->lock);
	bool ok = c->tree_loaded && !c->committing;
	if (ok) {
		*present = merkle_tree_prove(c->chain.tree, path, proof);
		*tip = (struct core_tip){c->chain.height, c->chain.timestamp, c->chain.tip, c->chain.state_root};
	} else {
		error_set(err, ERR_UNAVAILABLE, c->l->config.role == LEDGER_FRONT ? "the state's tree is kept by the producer: ask it" : "the state is still being read");
	}
	pthread_mutex_unlock(&c->lock);
	return ok;
}

bool core_ready(struct core *c, struct error *err)
{
	pthread_mutex_lock(&c->lock);
	struct error problem = c->problem;
	bool caught_up = c->caught_up || !c->store;
	struct mempool_store *store = c->store;
	pthread_mutex_unlock(&c->lock);
	if (problem.code != ERR_COUNT) {
		*err = problem;
		err->code = ERR_UNAVAILABLE;
		return false;
	}
	if (!db_pool_ready(c->l->pool, err))
		return false;
	if (store && !store->ops->ready(store, err))
		return false;
	return caught_up || error_set(err, ERR_UNAVAILABLE, "the transactions that were kept are still being read");
}

void core_get_stats(struct core *c, struct core_stats *out)
{
	struct state_cache_stats cache;
	pthread_mutex_lock(&c->lock);
	state_cache_get_stats(c->cache, &cache);
	*out = c->stats;
	out->pending = c->ready.count + c->parked.count;
	out->parked = c->parked.count;
	out->pending_bytes = c->pool_bytes;
	out->cache_entries = cache.entries;
	out->cache_bytes = cache.bytes;
	out->cache_hits = cache.hits;
	out->cache_misses = cache.misses;
	out->tree_loaded = c->tree_loaded;
	out->audit = c->tree_loaded ? CORE_AUDIT_PASSED : c->problem.code != ERR_COUNT ? CORE_AUDIT_FAILED : CORE_AUDIT_RUNNING;
	if (c->tree_loaded) {
		out->tree_entries = merkle_tree_count(c->chain.tree);
		out->tree_bytes = merkle_tree_bytes(c->chain.tree);
	}
	pthread_mutex_unlock(&c->lock);
}

/* ---- What waits ---- */

static void describe(const struct core_pending *p, struct arena *arena, struct pending_info *out)
{
	*out = (struct pending_info){
		.id = p->append.id,
		.message = arena_copy(arena, p->append.message),
		.signature = p->append.signature,
		.received_at = p->append.received_at,
		.ready = p->where == PENDING_READY,
	};
}

bool core_find_pending(struct core *c, const struct hash *id, struct arena *arena, struct pending_info *out)
{
	pthread_mutex_lock(&c->lock);
	const struct core_pending *p = pool_find(c, id);
	if (p)
		describe(p, arena, out);
	pthread_mutex_unlock(&c->lock);
	return p != NULL;
}

size_t core_list_pending(struct core *c, uint64_t after, size_t limit, struct arena *arena, struct pending_info *out, uint64_t *last)
{
	size_t n = 0;
	*last = after;
	pthread_mutex_lock(&c->lock);
	/* Two lists, each in the order of numbers: the smaller number first. */
	const struct core_pending *a = pool_behind(&c->ready, after), *b = pool_behind(&c->parked, after);
	while (n < limit && (a || b)) {
		const struct core_pending **from = !b || (a && a->number < b->number) ? &a : &b;
		const struct core_pending *p = *from;
		*from = p->next;
		describe(p, arena, &out[n++]);
		*last = p->number;
	}
	pthread_mutex_unlock(&c->lock);
	return n;
}

bool core_next_nonce(struct core *c, struct str user_id, int64_t *last_nonce)
{
	struct error err;
	pthread_mutex_lock(&c->lock);
	/* One that is stale, or has of this user what is about to leave, knows it only nearly. */
	bool exact = pool_tend_outlook(c, &err) && pool_is_settled(c, user_id, &err);
	bool known = exact ? core_last_nonce(c, &c->outlook, user_id, last_nonce) : pool_count_nonces(c, user_id, last_nonce);
	pthread_mutex_unlock(&c->lock);
	return known;
}
