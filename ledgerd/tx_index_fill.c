/* Transactions that the index does not have yet: filled in block by block when the database is opened. */
#include "base/log.h"
#include "ledger_store.h"
#include "tx_index.h"

DB_SQL(SQL_NEWEST, "SELECT height FROM transactions ORDER BY height DESC LIMIT 1");
DB_SQL(SQL_NEXT, "SELECT height FROM transactions WHERE height > $1 ORDER BY height LIMIT 1");

enum { FILL_MANY = 20000 /* transactions in one commit */ };

struct fill_job {
	struct db_job job; /* first: the pool's */
	int64_t max_transaction_bytes;
};

/* -1: there is none. */
static enum db_status ask_height(struct db_conn *c, const struct db_sql *sql, struct db_args args, int64_t *height, struct error *err)
{
	struct db_rows *rows;
	*height = -1;
	enum db_status st = db_query(c, sql, args, &rows, err);
	if (st != DB_OK)
		return st;
	if (db_next(rows))
		*height = db_int(rows, 0);
	return db_finish(rows, err);
}

static enum db_status filled_to(struct db_conn *c, int64_t *height, struct error *err)
{
	struct tx_index_run runs[TX_INDEX_RUNS_OPEN];
	size_t count;
	enum db_status st = tx_index_runs(c, runs, &count, err);
	*height = st == DB_OK && count > 0 ? runs[0].last : -1;
	return st;
}

static enum db_status fill_block(struct db_conn *c, int64_t height, int64_t max_bytes, size_t *filled, struct error *err)
{
	struct arena arena;
	struct block b;
	bool found;
	arena_init(&arena);
	enum db_status st = store_read_block(c, height, &arena, &b, &found, err);
	if (st == DB_OK && !found) {
		error_set(err, ERR_CORRUPT, "there are transactions of block %lld, and no such block: `ledgerd verify` says more", (long long)height);
		st = DB_BROKEN;
	}
	if (st == DB_OK) {
		struct tx_index_entry *entries = arena_zalloc(&arena, b.tx_count * TX_INDEX_EACH, sizeof *entries);
		size_t count = 0;
		for (size_t i = 0; st == DB_OK && i < b.tx_count; i++) {
			struct tx t;
			struct error why;
			if (tx_parse(b.txs[i].message, max_bytes, &arena, &t, &why)) {
				count += tx_index_entries_of(&t, height, (int64_t)i, entries + count);
			} else {
				error_set(err, ERR_CORRUPT, "transaction %zu of block %lld cannot be read: `ledgerd verify` says more", i, (long long)height);
				st = DB_BROKEN;
			}
		}
		tx_index_sort(entries, count);
		if (st == DB_OK)
			st = tx_index_add(c, &(struct tx_index_block){height, entries, count}, err);
		*filled += b.tx_count;
	}
	arena_free(&arena);
	return st;
}

static enum db_status run_fill(struct db_job *job, struct db_conn *c, struct error *err)
{
	const struct fill_job *j = (const struct fill_job *)job;
	int64_t height;
	size_t filled = 0;
	enum db_status st = filled_to(c, &height, err);
	while (st == DB_OK && filled < FILL_MANY) {
		st = ask_height(c, &SQL_NEXT, DB_ARGS(DB_INT(height)), &height, err);
		if (st != DB_OK || height < 0)
			break;
		st = fill_block(c, height, j->max_transaction_bytes, &filled, err);
	}
	return st;
}

bool tx_index_fill(struct db_pool *pool, int64_t max_transaction_bytes, struct error *err)
{
	for (bool told = false;; told = true) {
		int64_t filled = 0, newest = 0;
		struct db_conn *c = db_pool_reader(pool, err);
		if (!c)
			return false;
		enum db_status st = filled_to(c, &filled, err);
		if (st == DB_OK)
			st = ask_height(c, &SQL_NEWEST, DB_NO_ARGS, &newest, err);
		db_pool_release(pool, c);
		if (st != DB_OK || filled >= newest)
			return st == DB_OK;
		if (!told)
			log_info("the index of transactions is filled in", LOG_I("from", filled + 1), LOG_I("to", newest));
		struct fill_job j = {.job = {.run = run_fill}, .max_transaction_bytes = max_transaction_bytes};
		st = db_pool_write(pool, &j.job, err);
		if (st != DB_OK && st != DB_CONFLICT) /* another instance fills it in too */
			return false;
	}
}
