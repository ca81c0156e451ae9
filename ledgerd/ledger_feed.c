#include "ledger_feed.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/worker.h"
#include "crypto/canonical_read.h"
#include "ledger.h"
#include "ledger_store.h"
#include "wire/ledger.h"

enum {
	READ_PAGE = 200,      /* transactions a query: PostgreSQL hands them over at once */
	BACKFILL_MAX = 5000,  /* events a stream may catch up on; further back it begins anew */
	LOOK_SHARED_MS = 250, /* PostgreSQL: others write too */
	LOOK_ALONE_MS = 5000, /* SQLite: only this process does */
};

DB_SQL(SQL_BLOCK, "SELECT hash, header FROM blocks WHERE height = $1");
DB_SQL(SQL_TXS, "SELECT idx, id, message FROM transactions WHERE height = $1 AND idx > $2 ORDER BY idx LIMIT $3");
DB_SQL(SQL_REFUSED, "SELECT event_id, id, message, code, error FROM local_refused WHERE event_id > $1 AND event_id < $2 ORDER BY event_id LIMIT $3");
DB_SQL(SQL_LAST_REFUSED, "SELECT event_id FROM local_refused WHERE event_id > $1 ORDER BY event_id DESC LIMIT 1");
DB_SQL(SQL_HAS_TX, "SELECT 1 FROM transactions WHERE height = $1 AND idx = $2");
DB_SQL(SQL_COUNT_SINCE, "SELECT COUNT(*) FROM (SELECT 1 FROM transactions WHERE height > $1 LIMIT $2) AS since");

struct ledger_feed {
	struct ledger *ledger;
	struct worker *worker;
	int64_t seen; /* the last id published, or passed over while nobody watched; the worker's */
};

/* A walk over events in the order of their ids. */
struct walk {
	struct db_conn *c;
	int64_t after, before; /* the last one handed over; where the walk ends */
	sse_emit_fn *emit;
	void *ctx;
	struct buf data;
};

static int64_t first_id(int64_t height)
{
	return height << LEDGER_EVENT_BITS;
}

static int64_t block_id(int64_t height)
{
	return first_id(height) + LEDGER_EVENT_OF_BLOCK;
}

static void emit(struct walk *w, int64_t id, const char *type, const struct json_message *m, const void *event)
{
	w->after = id;
	if (id >= w->before)
		return;
	buf_clear(&w->data);
	json_write(&w->data, m, event);
	w->emit(w->ctx, id, type, buf_str(&w->data));
}

static struct str plain_member(struct str message, const char *name)
{
	struct str value, text;
	return canonical_find(message, name, &value) && canonical_read_plain(value, &text) ? text : STR_NONE;
}

static void emit_tx(struct walk *w, int64_t id, struct str message, struct ledger_tx_event *e)
{
	e->type = plain_member(message, "type");
	e->from = plain_member(message, "from");
	e->to = plain_member(message, "to");
	emit(w, id, LEDGER_EVENT_TX, &ledger_tx_event_message, e);
}

static enum db_status walk_txs(struct walk *w, int64_t height, struct error *err)
{
	int64_t index = w->after >= first_id(height) ? w->after - first_id(height) : -1, seen = READ_PAGE;
	while (seen == READ_PAGE && index + 1 < LEDGER_EVENT_OF_BLOCK) {
		struct db_rows *rows;
		enum db_status st = db_query(w->c, &SQL_TXS, DB_ARGS(DB_INT(height), DB_INT(index), DB_INT(READ_PAGE)), &rows, err);
		if (st != DB_OK)
			return st;
		for (seen = 0; db_next(rows); seen++) {
			index = db_int(rows, 0);
			if (index >= LEDGER_EVENT_OF_BLOCK)
				continue;
			struct ledger_tx_event e = {.id = db_text(rows, 1), .status = STR_LIT(TX_STATUS_INCLUDED), .height = height, .index = index};
			emit_tx(w, first_id(height) + index, db_text(rows, 2), &e);
		}
		st = db_finish(rows, err);
		if (st != DB_OK)
			return st;
	}
	return DB_OK;
}

static enum db_status walk_block(struct walk *w, int64_t height, struct error *err)
{
	struct db_rows *rows;
	struct error why;
	struct block_header h;
	bool readable = false;
	if (w->after >= block_id(height))
		return DB_OK;
	enum db_status st = db_query(w->c, &SQL_BLOCK, DB_ARGS(DB_INT(height)), &rows, err);
	if (st != DB_OK)
		return st;
	if (db_next(rows) && (readable = block_header_read(db_text(rows, 1), &h, &why))) {
		struct ledger_block_event e = {
			.height = height, .hash = db_text(rows, 0), .producer = h.producer, .timestamp = h.timestamp, .tx_count = h.tx_count};
		emit(w, block_id(height), LEDGER_EVENT_BLOCK, &ledger_block_event_message, &e);
	}
	st = db_finish(rows, err);
	if (st == DB_OK && !readable) {
		error_set(err, ERR_CORRUPT, "the header of block %lld cannot be read; run `ledgerd verify`", (long long)height);
		return DB_BROKEN;
	}
	return st;
}

static enum db_status walk_refused(struct walk *w, int64_t height, struct error *err)
{
	for (int64_t seen = READ_PAGE; seen == READ_PAGE;) {
		struct db_rows *rows;
		enum db_status st = db_query(w->c, &SQL_REFUSED, DB_ARGS(DB_INT(w->after), DB_INT(first_id(height + 1)), DB_INT(READ_PAGE)), &rows, err);
		if (st != DB_OK)
			return st;
		for (seen = 0; db_next(rows); seen++) {
			struct ledger_tx_event e = {.id = db_text(rows, 1),
						    .status = STR_LIT(TX_STATUS_REFUSED),
						    .height = JSON_INT_ABSENT,
						    .index = JSON_INT_ABSENT,
						    .code = db_text(rows, 3),
						    .error = db_text(rows, 4)};
			emit_tx(w, db_int(rows, 0), db_text(rows, 2), &e);
		}
		st = db_finish(rows, err);
		if (st != DB_OK)
			return st;
	}
	return DB_OK;
}

/*
 * Everything behind w->after and before w->before that is there. Blocks, and refusals with them, are committed in the order of their ids: what is
 * read of a height below the newest is all there will be of it.
 */
static enum db_status walk_all(struct walk *w, struct error *err)
{
	int64_t tip;
	enum db_status st = store_read_height(w->c, &tip, err);
	for (int64_t h = w->after >> LEDGER_EVENT_BITS; st == DB_OK && h <= tip && first_id(h) < w->before; h++) {
		st = walk_txs(w, h, err);
		if (st == DB_OK)
			st = walk_block(w, h, err);
		if (st == DB_OK)
			st = walk_refused(w, h, err);
	}
	buf_free(&w->data);
	return st;
}

/* The newest event's id. */
static enum db_status read_newest(struct db_conn *c, int64_t *id, int64_t *tip, struct error *err)
{
	struct db_rows *rows;
	enum db_status st = store_read_height(c, tip, err);
	if (st != DB_OK)
		return st;
	*id = *tip < 0 ? 0 : block_id(*tip);
	st = db_query(c, &SQL_LAST_REFUSED, DB_ARGS(DB_INT(*id)), &rows, err);
	if (st != DB_OK)
		return st;
	if (db_next(rows))
		*id = db_int(rows, 0);
	return db_finish(rows, err);
}

static void publish(void *hub, int64_t id, const char *type, struct str data)
{
	sse_hub_publish(hub, id, type, data);
}

/* Publishes what is new. */
static enum db_status catch_up(struct ledger_feed *f, struct db_conn *c, struct error *err)
{
	int64_t newest, tip;
	enum db_status st = read_newest(c, &newest, &tip, err);
	if (st != DB_OK || newest <= f->seen)
		return st;
	/* Behind the question above: who begins to watch after this one is owed only what is newer than that one's answer. */
	if (sse_hub_skip(f->ledger->hub)) {
		f->seen = newest;
		return DB_OK;
	}
	struct walk w = {.c = c, .after = f->seen, .before = INT64_MAX, .emit = publish, .ctx = f->ledger->hub};
	st = walk_all(&w, err);
	f->seen = w.after;
	return st;
}

static void say_broken(enum db_status st, const struct error *err)
{
	if (st == DB_BROKEN)
		log_error("events cannot be told", LOG_S("error", err->message));
}

static int64_t feed_turn(void *arg)
{
	struct ledger_feed *f = arg;
	struct db_pool *pool = f->ledger->pool;
	struct error err;
	struct db_conn *c = db_pool_reader(pool, &err);
	enum db_status st = c ? catch_up(f, c, &err) : DB_UNAVAILABLE;
	if (c)
		db_pool_release(pool, c);
	say_broken(st, &err);
	return db_pool_kind(pool) == DB_POSTGRES && st != DB_BROKEN ? LOOK_SHARED_MS : LOOK_ALONE_MS;
}

struct ledger_feed *ledger_feed_start(struct ledger *l, struct error *err)
{
	int64_t newest, tip;
	struct db_conn *c = db_pool_reader(l->pool, err);
	if (!c)
		return NULL;
	enum db_status st = read_newest(c, &newest, &tip, err);
	db_pool_release(l->pool, c);
	if (st != DB_OK)
		return NULL;
	struct ledger_feed *f = xcalloc(1, sizeof *f);
	f->ledger = l;
	f->seen = newest;
	f->worker = worker_start("ledger-feed", feed_turn, f);
	return f;
}

void ledger_feed_wake(struct ledger_feed *f)
{
	if (f)
		worker_wake(f->worker);
}

void ledger_feed_stop(struct ledger_feed *f)
{
	if (!f)
		return;
	worker_stop(f->worker);
	free(f);
}

/* One question with one number for an answer: 0 when there is no row. */
static enum db_status ask(struct db_conn *c, const struct db_sql *sql, int64_t a, int64_t b, int64_t *out, struct error *err)
{
	struct db_rows *rows;
	enum db_status st = db_query(c, sql, DB_ARGS(DB_INT(a), DB_INT(b)), &rows, err);
	if (st != DB_OK)
		return st;
	*out = db_next(rows) ? db_int(rows, 0) : 0;
	return db_finish(rows, err);
}

/* Can a stream go on behind this id? Not when it was never given, or when too much has happened since. 0, which no event has, is before all. */
static enum db_status reachable(struct db_conn *c, int64_t after, bool *can, struct error *err)
{
	int64_t newest, tip, given = 1, since = 0, height = after >> LEDGER_EVENT_BITS, index = after - first_id(height);
	*can = false;
	enum db_status st = read_newest(c, &newest, &tip, err);
	if (st != DB_OK || after > newest || tip - height > BACKFILL_MAX)
		return st;
	if (after > 0 && index < LEDGER_EVENT_OF_BLOCK)
		st = ask(c, &SQL_HAS_TX, height, index, &given, err);
	if (st == DB_OK)
		st = ask(c, &SQL_COUNT_SINCE, height, BACKFILL_MAX + 1, &since, err);
	*can = given && since + (tip - height) <= BACKFILL_MAX;
	return st;
}

bool ledger_feed_backfill(void *ctx, int64_t after, int64_t before, sse_emit_fn *emit_to, void *emit_ctx)
{
	struct ledger *l = ctx;
	struct error err;
	struct db_conn *c = db_pool_reader(l->pool, &err);
	bool can = false;
	if (!c)
		return false;
	struct walk w = {.c = c, .after = after, .before = before, .emit = emit_to, .ctx = emit_ctx};
	enum db_status st = reachable(c, after, &can, &err);
	if (st == DB_OK && can)
		st = walk_all(&w, &err);
	db_pool_release(l->pool, c);
	say_broken(st, &err);
	return st == DB_OK && can;
}
