/* Blocks: made of what is ready, taken over from others, followed in a database that another process writes. */
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "core_inside.h"
#include "crypto/canonical_read.h"
#include "ledger_feed.h"
#include "ledger_proof.h"
#include "signatures.h"

/* ---- Into the database ---- */

DB_SQL(SQL_REFUSE, "INSERT INTO local_refused (id, code, error, message, signature, refused_at, event_id) VALUES ($1, $2, $3, $4, $5, $6, $7)"
		   " ON CONFLICT (id) DO NOTHING");

struct block_job {
	struct db_job job; /* first: the pool's */
	struct core *core;
	bool begun; /* it had a chance: without an answer it may be there */
	struct store_batches batches;
	int64_t height;
	struct str step; /* of the validators, for proofs; absent: the block leaves them as they are */
	const struct mempool_handle *handles;
	size_t handle_count;
};

static enum db_status run_block(struct db_job *job, struct db_conn *conn, struct error *err)
{
	struct block_job *j = (struct block_job *)job;
	j->begun = true;
	enum db_status st = store_batches_run(conn, &j->batches, err);
	struct mempool_store *store = j->core->store;
	if (st == DB_OK && str_present(j->step))
		st = proof_step_store(conn, j->height, j->step, err);
	return st == DB_OK && store && j->handle_count > 0 ? store->ops->remove_in(store, conn, j->handles, j->handle_count, err) : st;
}

/* `first` is the number of the first one among the refusals of this height. */
static void add_refusals(struct store_batches *b, const struct core_refusal *r, size_t count, int64_t height, int64_t first)
{
	struct db_value *v = store_batch_add(b, &SQL_REFUSE, count, 7);
	int64_t now = clock_wall_ms();
	for (size_t i = 0; i < count; i++, v += 7) {
		int64_t event = ledger_event_refusal(height, first + (int64_t)i);
		char id[HASH_TEXT_LEN + 1], signature[ED25519_SIGNATURE_TEXT_LEN + 1];
		hash_to_text(&r[i].pending->append.id, id);
		ed25519_signature_to_text(&r[i].pending->append.signature, signature);
		v[0] = DB_TEXT(arena_copy(b->arena, str_from(id)));
		v[1] = DB_TEXT(str_from(error_code_text(r[i].why.code)));
		v[2] = DB_TEXT(arena_copy(b->arena, str_from(r[i].why.message)));
		v[3] = DB_TEXT(r[i].pending->append.message);
		v[4] = DB_TEXT(arena_copy(b->arena, str_from(signature)));
		v[5] = DB_INT(now);
		v[6] = event >= 0 ? DB_INT(event) : DB_NULL;
	}
}

static enum db_status has_block(struct db_conn *conn, const struct chain_work *w, bool *there, struct error *err)
{
	struct arena arena;
	struct block b;
	bool found = false;
	arena_init(&arena);
	enum db_status st = store_read_block(conn, w->header.height, &arena, &b, &found, err);
	*there = st == DB_OK && found && hash_equal(&b.hash, &w->block.hash);
	arena_free(&arena);
	return st;
}

/* After a commit whose answer was lost: is it there, by its block, or else by the first refusal? Asks until the database answers; false, *err set,
 * when stopping. */
static bool find_out(struct core *c, const struct chain_work *w, const struct core_refusal *refusals, bool *there, struct error *err)
{
	for (;;) {
		struct db_conn *conn = db_pool_reader(c->l->pool, err);
		if (conn) {
			enum db_status st = w ? has_block(conn, w, there, err) : store_is_refused(conn, &refusals[0].pending->append.id, there, err);
			db_pool_release(c->l->pool, conn);
			if (st == DB_OK)
				return true;
		}
		pthread_mutex_lock(&c->lock);
		bool stopping = c->stopping;
		pthread_mutex_unlock(&c->lock);
		if (stopping)
			return false;
		nanosleep(&(struct timespec){.tv_nsec = 100 * 1000 * 1000}, NULL);
	}
}

bool core_commit(struct core *c, const struct chain_work *w, const struct mempool_handle *handles, size_t handle_count, const struct core_refusal *refusals,
		 size_t refusal_count, struct error *err)
{
	struct arena arena;
	arena_init(&arena);
	struct block_job j = {.job = {.run = run_block}, .core = c, .handles = handles, .handle_count = handle_count};
	store_batches_init(&j.batches, &arena);
	j.height = w ? w->header.height : c->chain.height;
	if (w) {
		store_block(&j.batches, w);
		store_tree(&j.batches, c->chain.tree, &w->changes);
		j.step = proof_step_make(&c->chain, w, &arena);
	}
	int64_t first = j.height == c->refusals_height ? c->refusals_of_height : 0;
	add_refusals(&j.batches, refusals, refusal_count, j.height, first);
	enum db_status st = db_pool_write(c->l->pool, &j.job, err);
	bool there = st == DB_OK;
	if (st == DB_UNAVAILABLE && j.begun && (w || refusal_count > 0)) {
		struct error why;
		if (find_out(c, w, refusals, &there, &why) && there)
			st = DB_OK;
	}
	if (st == DB_CONFLICT && w) {
		/* Somebody else wrote a block of this height into our database. */
		error_set(err, ERR_WRONG_STATE, "another producer writes into this database");
		pthread_mutex_lock(&c->lock);
		core_fail(c, err);
		pthread_mutex_unlock(&c->lock);
	}
	arena_free(&arena);
	/* The numbers of what may come to be there yet are not given again. (Where there is a block, its height would be in the way.) */
	if (st == DB_OK || (!w && st == DB_UNAVAILABLE && j.begun)) {
		c->refusals_height = j.height;
		c->refusals_of_height = first + (int64_t)refusal_count;
	}
	if (st == DB_OK && c->store)
		c->store->ops->settled(c->store, handles, handle_count);
	return st == DB_OK;
}

void core_follow(struct core *c, struct chain_work *w)
{
	for (size_t i = 0; i < w->changes.count; i++)
		state_cache_put(c->cache, w->changes.entries[i]->key, w->changes.entries[i]->now);
	chain_accept(&c->chain, w);
	c->epoch++;
	c->stats.blocks++;
	c->stats.transactions += w->block.tx_count;
}

static void tell(struct core *c)
{
	if (c->moved)
		c->moved(c->moved_ctx);
}

/* ---- Making ---- */

/* One block on its way, from the queue's front. */
struct making {
	struct core *c;
	struct arena arena;
	struct chain_offer *offers;
	size_t count, applied;
	struct core_refusal *refusals;
	size_t refusal_count;
	struct core_pending **waiting; /* those whose predecessor was refused: they wait for another one in its place */
	size_t waiting_count;
	struct mempool_handle *handles; /* of what is settled */
	size_t handle_count;
	struct chain_work work;
	bool has_work;
};

static bool from_queue(void *ctx, struct chain_place at, const struct ed25519_signature *s, const struct ed25519_public *key, const struct hash *digest)
{
	struct core *c = ctx;
	const struct core_pending *p = pool_find(c, digest);
	if (p && p->verified && ed25519_public_equal(key, &p->key) && memcmp(s->b, p->append.signature.b, sizeof s->b) == 0)
		return true;
	return chain_verifier_strict.check(NULL, at, s, key, digest);
}

/* What is durable at the front of the queue, as much as a block takes. */
static void gather(struct making *m)
{
	struct core *c = m->c;
	const struct genesis_params *params = &c->chain.rules.params;
	size_t max = c->ready.count < (size_t)params->max_block_transactions ? c->ready.count : (size_t)params->max_block_transactions;
	int64_t bytes = 0;
	m->offers = xcalloc(max + 1, sizeof *m->offers);
	for (struct core_pending *p = c->ready.first; p && p->durable && p->has_handle && m->count < max; p = p->next) {
		bytes += (int64_t)p->append.message.n + ED25519_SIGNATURE_SIZE;
		if (bytes > params->max_block_bytes)
			break;
		struct chain_offer *o = &m->offers[m->count++];
		pool_parse(p, &m->arena, &o->tx);
		o->signature = p->append.signature;
		o->owner = p;
	}
}

static void settle_one(struct making *m, const struct core_pending *p)
{
	m->handles[m->handle_count++] = p->handle;
}

static void refuse(struct making *m, struct core_pending *p, const struct error *why)
{
	m->refusals[m->refusal_count++] = (struct core_refusal){p, *why};
	settle_one(m, p);
}

/* Those that waited for an earlier nonce longer than they may. */
static void expire_parked(struct making *m)
{
	struct core *c = m->c;
	int64_t oldest = clock_wall_ms() - c->chain.rules.params.timestamp_window_ms;
	struct error why;
	error_set(&why, ERR_EXPIRED, "it waited for the nonce before its own until its time was over");
	for (struct core_pending *p = c->parked.first; p; p = p->next)
		if (p->timestamp < oldest && p->durable && p->has_handle)
			refuse(m, p, &why);
}

/* Refused because of one before it, in the state that the block leaves. */
static bool may_wait(struct making *m, const struct chain_offer *o)
{
	const struct core_pending *p = o->owner;
	int64_t last;
	return o->error->code == ERR_BAD_NONCE && o->tx.type != TX_USER_CREATION && core_last_nonce(m->c, &m->work.view, p->from, &last) && p->nonce > last &&
	       !pool_find_parked(m->c, p->from, p->nonce);
}

static void sort_out(struct making *m)
{
	for (size_t i = 0; i < m->count; i++) {
		const struct chain_offer *o = &m->offers[i];
		if (o->left)
			continue;
		if (o->verdict == CHAIN_APPLIED) {
			m->applied++;
			settle_one(m, o->owner);
		} else if (may_wait(m, o)) {
			m->waiting[m->waiting_count++] = o->owner;
		} else {
			refuse(m, o->owner, o->error);
		}
	}
}

static void drop_one(struct core *c, struct core_pending *p)
{
	refused_set_put(c->refused, &p->append.id, clock_mono_ms());
	pool_remove(c, p);
	c->stats.refused++;
}

/* After the commit, under the lock. True when something is left that the outlook has to be made anew for: let_go takes it out of the queue. */
static bool clear_queue(struct making *m)
{
	struct core *c = m->c;
	size_t n = 0;
	for (size_t i = 0; i < m->count; i++)
		if (!m->offers[i].left && m->offers[i].verdict == CHAIN_APPLIED)
			pool_remove(c, m->offers[i].owner);
	for (size_t i = 0; i < m->refusal_count; i++) {
		struct core_pending *p = m->refusals[i].pending;
		if (p->where == PENDING_PARKED) {
			drop_one(c, p);
			continue;
		}
		pool_leave_soon(c, p);
		m->refusals[n++] = m->refusals[i];
	}
	m->refusal_count = n;
	for (size_t i = 0; i < m->waiting_count; i++)
		pool_leave_soon(c, m->waiting[i]);
	return m->refusal_count + m->waiting_count > 0;
}

static void let_go(void *ctx)
{
	const struct making *m = ctx;
	struct core *c = m->c;
	for (size_t i = 0; i < m->refusal_count; i++)
		drop_one(c, m->refusals[i].pending);
	/* One whose place among the parked was taken meanwhile stays where it is: its next block refuses it. */
	for (size_t i = 0; i < m->waiting_count; i++)
		(void)!pool_park(c, m->waiting[i]);
}

static bool prepare(struct making *m, bool empty, struct error *err)
{
	struct core *c = m->c;
	const struct ledger *l = c->l;
	gather(m);
	size_t most = m->count + c->parked.count + 1;
	m->refusals = xcalloc(most, sizeof *m->refusals);
	m->waiting = xcalloc(most, sizeof(struct core_pending *));
	m->handles = xcalloc(most, sizeof *m->handles);
	expire_parked(m);
	if (m->count == 0 && !empty)
		return true;
	/* The last block may have taken it off the chain, or given it another key. */
	if (!core_has_validator(c, l->config.validator_id, &l->node_key.public_key))
		return error_set(err, ERR_WRONG_STATE, "%.*s with this node key is no validator of the chain any more", STR_ARG(l->config.validator_id));
	c->chain.rules.verifier = (struct chain_verifier){from_queue, c};
	if (!chain_make(&c->chain, core_source(c), m->offers, m->count, clock_wall_ms(), l->config.validator_id, &l->node_key, &m->work, err))
		return false;
	sort_out(m);
	m->has_work = m->applied > 0 || empty;
	if (!m->has_work)
		chain_abandon(&c->chain, &m->work);
	return true;
}

static void making_free(struct making *m)
{
	free(m->offers);
	free(m->refusals);
	free(m->waiting);
	free(m->handles);
	arena_free(&m->arena);
}

/* The queue and the chain after it: `kept` says whether what was to be written is in the database. */
static void conclude(struct making *m, bool kept)
{
	struct core *c = m->c;
	bool odd = false;
	pthread_mutex_lock(&c->lock);
	if (m->has_work && kept)
		core_follow(c, &m->work);
	if (kept)
		odd = clear_queue(m);
	if (m->has_work && kept)
		chain_work_free(&m->work);
	else if (m->has_work)
		chain_abandon(&c->chain, &m->work);
	if (c->ready.count == 0)
		pool_reset_outlook(c);
	c->committing = false;
	pthread_cond_broadcast(&c->changed);
	if (odd)
		pool_remake(c, let_go, m);
	pthread_mutex_unlock(&c->lock);
}

bool core_make_block(struct core *c, bool empty, bool *made, struct error *err)
{
	struct making m = {.c = c};
	*made = false;
	arena_init(&m.arena);
	pthread_mutex_lock(&c->lock);
	bool ok = c->problem.code == ERR_COUNT, waits = !c->tree_loaded || (c->store && !c->caught_up);
	if (!ok)
		*err = c->problem;
	else if (!waits)
		ok = prepare(&m, empty, err);
	c->committing = ok && m.has_work;
	pthread_mutex_unlock(&c->lock);
	if (ok && !waits) {
		ok = (!m.has_work && m.handle_count == 0) ||
		     core_commit(c, m.has_work ? &m.work : NULL, m.handles, m.handle_count, m.refusals, m.refusal_count, err);
		conclude(&m, ok);
		*made = ok && m.has_work;
		if (ok && (m.has_work || m.handle_count > 0))
			tell(c);
	}
	making_free(&m);
	return ok;
}

bool core_wait_ready(struct core *c, int64_t ms)
{
	int64_t until = clock_mono_ns() + ms * 1000000;
	struct timespec at = {until / 1000000000, until % 1000000000};
	pthread_mutex_lock(&c->lock);
	while (!c->stopping && !(c->ready.first && c->ready.first->durable && c->tree_loaded && c->caught_up) && clock_mono_ns() < until)
		pthread_cond_timedwait(&c->changed, &c->lock, &at);
	bool go_on = !c->stopping;
	pthread_mutex_unlock(&c->lock);
	return go_on;
}

/* ---- Taking over ---- */

/* The first finding is what is told. */
struct taking {
	struct error *err;
	bool found;
};
static void first_finding(void *ctx, const struct chain_finding *f)
{
	struct taking *t = ctx;
	long long height = f->at.height, index = f->at.index;
	/* Of a transaction, `found` is the code with which it would have been refused. */
	if (!t->found && index == CHAIN_PRODUCER)
		error_set(t->err, ERR_REFUSED, "block %lld: %s: %s", height, chain_test_name(f->test), f->what);
	else if (!t->found)
		error_set(t->err, ERR_REFUSED, "block %lld: transaction %lld: %s: %.*s: %s", height, index, chain_test_name(f->test), STR_ARG(f->found), f->what);
	t->found = true;
}

static void wrong_signature(void *ctx, struct chain_place at)
{
	struct taking *t = ctx;
	long long height = at.height, index = at.index;
	if (!t->found && index == CHAIN_PRODUCER)
		error_set(t->err, ERR_REFUSED, "block %lld: %s: the producer's signature is wrong", height, chain_test_name(TEST_PRODUCER_SIGNATURE));
	else if (!t->found)
		error_set(t->err, ERR_REFUSED, "block %lld: transaction %lld: %s: a signature is wrong", height, index, chain_test_name(TEST_SIGNATURES));
	t->found = true;
}

/* There already? *decided, and the verdict. */
static bool taken_before(struct core *c, const struct block *b, bool *decided, struct error *err)
{
	struct block_header h;
	struct arena arena;
	struct block ours;
	bool found, same = false;
	*decided = true;
	if (!block_header_read(b->header, &h, err))
		return false;
	if (h.height > c->chain.height) {
		*decided = false;
		return true;
	}
	struct db_conn *conn = db_pool_reader(c->l->pool, err);
	if (!conn)
		return false;
	arena_init(&arena);
	enum db_status st = store_read_block(conn, h.height, &arena, &ours, &found, err);
	db_pool_release(c->l->pool, conn);
	same = st == DB_OK && found && hash_equal(&ours.hash, &b->hash);
	arena_free(&arena);
	return same || (st == DB_OK && error_set(err, ERR_WRONG_STATE, "another block stands at height %lld", (long long)h.height));
}

bool core_take_block(struct core *c, const struct block *b, struct error *err)
{
	struct chain_decoded d;
	struct chain_work w;
	struct arena arena;
	struct error signature_error;
	/* Two of them, since signatures are judged on other threads than the rest. */
	struct taking t = {.err = err}, signed_wrong = {.err = &signature_error};
	struct chain_report report = {first_finding, &t};
	bool decided, clean;
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	bool before = taken_before(c, b, &decided, err);
	if (decided)
		return before;
	struct signatures *signatures = signatures_start(b->tx_count > 8 && cores > 1 ? (unsigned)cores : 0, wrong_signature, &signed_wrong, err);
	if (!signatures)
		return false;
	arena_init(&arena);
	chain_decode(&c->chain, b, &arena, &d);
	pthread_mutex_lock(&c->lock);
	c->chain.rules.verifier = signatures_verifier(signatures);
	bool ok = c->tree_loaded || error_set(err, ERR_UNAVAILABLE, "the state is still being read");
	ok = ok && chain_check(&c->chain, core_source(c), &d, &report, &w, &clean, err);
	c->committing = ok;
	pthread_mutex_unlock(&c->lock);
	signatures_stop(signatures);
	/* A wrong signature is the reason for what else does not fit. */
	if (ok && signed_wrong.found)
		*err = signature_error;
	if (ok) {
		bool kept = !t.found && !signed_wrong.found && core_commit(c, &w, NULL, 0, NULL, 0, err);
		pthread_mutex_lock(&c->lock);
		if (kept)
			core_follow(c, &w);
		if (kept)
			chain_work_free(&w);
		else
			chain_abandon(&c->chain, &w);
		c->committing = false;
		pthread_cond_broadcast(&c->changed);
		pthread_mutex_unlock(&c->lock);
		ok = kept;
	}
	arena_free(&arena);
	if (ok)
		tell(c);
	return ok;
}

/* ---- Following another process's blocks ---- */

/* One block of the database into the cache, and its transactions out of the queue. Under the lock. */
static bool catch_up_one(struct core *c, const struct block *b, struct error *err)
{
	struct block_header h;
	struct canonical_cursor at;
	struct str item, key, after, text;
	struct arena arena;
	if (!block_header_read(b->header, &h, err) || !canonical_check(b->changes) || !canonical_enter_array(b->changes, &at))
		return error_set(err, ERR_CORRUPT, "block %lld is not what it should be", (long long)c->chain.height + 1);
	arena_init(&arena);
	while (canonical_next_item(&at, &item))
		if (canonical_find(item, "key", &key) && canonical_read_text(key, &arena, &text) && canonical_find(item, "after", &after))
			state_cache_put(c->cache, text, str_is(after, "null") ? STR_NONE : after);
	for (size_t i = 0; i < b->tx_count; i++) {
		struct hash id;
		sha256(&id, b->txs[i].message.p, b->txs[i].message.n);
		struct core_pending *p = pool_find(c, &id);
		if (p)
			pool_remove(c, p);
	}
	arena_free(&arena);
	c->epoch++;
	c->stats.blocks++;
	c->stats.transactions += b->tx_count;
	return true;
}

/* Ids of what leaves; not the transactions themselves, which may go otherwise meanwhile. */
struct dropping {
	struct core *c;
	struct hash *ids;
	size_t count, room;
};

static void drop_all(void *ctx)
{
	const struct dropping *d = ctx;
	for (size_t i = 0; i < d->count; i++) {
		struct core_pending *p = pool_find(d->c, &d->ids[i]);
		if (p)
			pool_remove(d->c, p);
	}
}

/* What waits here and was refused by the producer meanwhile. */
static bool find_refused(struct core *c, struct db_conn *conn, struct dropping *d, struct error *err)
{
	DB_SQL(sql, "SELECT id FROM local_refused WHERE refused_at >= $1");
	struct db_rows *rows;
	int64_t since = clock_wall_ms() - c->chain.rules.params.timestamp_window_ms;
	if (db_query(conn, &sql, DB_ARGS(DB_INT(since)), &rows, err) != DB_OK)
		return false;
	pthread_mutex_lock(&c->lock);
	while (db_next(rows)) {
		struct hash id;
		struct core_pending *p = hash_from_text(db_text(rows, 0), &id) ? pool_find(c, &id) : NULL;
		if (!p)
			continue;
		if (p->where == PENDING_PARKED) {
			pool_remove(c, p);
			continue;
		}
		pool_leave_soon(c, p);
		if (d->count == d->room) {
			d->room = d->room ? 2 * d->room : 64;
			d->ids = xrealloc(d->ids, d->room * sizeof *d->ids);
		}
		d->ids[d->count++] = id;
	}
	pthread_mutex_unlock(&c->lock);
	return db_finish(rows, err) == DB_OK;
}

bool core_catch_up(struct core *c, struct error *err)
{
	struct db_conn *conn = db_pool_reader(c->l->pool, err);
	struct dropping d = {.c = c};
	bool ok = conn != NULL, found = true, any = false;
	while (ok && found) {
		struct arena arena;
		struct block b;
		struct validator *v;
		size_t count;
		arena_init(&arena);
		ok = store_read_block(conn, c->chain.height + 1, &arena, &b, &found, err) == DB_OK;
		ok = ok && (!found || store_read_validators(conn, &arena, &v, &count, err) == DB_OK);
		if (ok && found) {
			struct block_header h;
			pthread_mutex_lock(&c->lock);
			ok = catch_up_one(c, &b, err) && block_header_read(b.header, &h, err);
			if (ok)
				chain_stand_at(&c->chain, &h, &b.hash, v, count);
			pthread_mutex_unlock(&c->lock);
			any = true;
		}
		arena_free(&arena);
	}
	ok = ok && find_refused(c, conn, &d, err);
	if (conn)
		db_pool_release(c->l->pool, conn);
	if (any || d.count > 0) {
		pthread_mutex_lock(&c->lock);
		pool_remake(c, drop_all, &d);
		pthread_mutex_unlock(&c->lock);
		tell(c);
	}
	free(d.ids);
	return ok;
}
