/* The half of ledger_read.h that reads transactions and blocks. */
#include "crypto/canonical_read.h"
#include "ledger_read.h"
#include "ledger_store.h"

enum {
	CHUNK = 100,  /* transactions a query: PostgreSQL hands them over at once */
	PLACED = 10, /* by their places */
};

#define TX_COLUMNS "t.height, t.idx, t.id, t.message, t.signature"
DB_SQL(SQL_TXS, "SELECT " TX_COLUMNS " FROM transactions t WHERE (t.height, t.idx) < ($1, $2) ORDER BY t.height DESC, t.idx DESC LIMIT $3");
/* Some of them by their places, in the order of the walk that gave these. */
DB_SQL(SQL_PLACED, "SELECT " TX_COLUMNS " FROM (VALUES (CAST($1 AS BIGINT), CAST($2 AS BIGINT)), ($3, $4), ($5, $6), ($7, $8), ($9, $10), ($11, $12), "
		   "($13, $14), ($15, $16), ($17, $18), ($19, $20)) AS v JOIN transactions t ON t.height = v.column1 AND t.idx = v.column2 "
		   "ORDER BY t.height DESC, t.idx DESC");
DB_SQL(SQL_TX, "SELECT " TX_COLUMNS " FROM transactions t WHERE t.height = $1 AND t.idx = $2");
DB_SQL(SQL_REFUSED, "SELECT code, error, message, signature FROM local_refused WHERE id = $1");
DB_SQL(SQL_REQUESTS, "SELECT r.height, r.idx, r.id, s.value FROM open_requests r JOIN state s ON s.key = 'request:' || r.id "
		     "WHERE r.type = $1 AND (r.height, r.idx) > ($2, $3) ORDER BY r.height, r.idx LIMIT $4");
DB_SQL(SQL_HEADERS, "SELECT header, hash, signature FROM blocks WHERE height >= $1 AND height <= $2 ORDER BY height");
DB_SQL(SQL_HEIGHT_OF, "SELECT height FROM blocks WHERE hash = $1");

static enum db_status corrupt(struct error *err, const char *what)
{
	error_set(err, ERR_CORRUPT, "%s cannot be read; run `ledgerd verify`", what);
	return DB_BROKEN;
}

/* ---- Transactions ---- */

bool tx_place_read(struct str text, struct tx_place *out, struct error *err)
{
	const char *point = memchr(text.p, '.', text.n);
	size_t n = point ? (size_t)(point - text.p) : 0;
	if (!point || !str_to_int64(str_of(text.p, n), &out->height) || !str_to_int64(str_of(point + 1, text.n - n - 1), &out->index) ||
	    out->height < 0 || out->index < 0)
		return error_set(err, ERR_MALFORMED_CURSOR, "`cursor` is not one that this list gave");
	return true;
}

struct str tx_place_write(struct arena *arena, struct tx_place p)
{
	return arena_printf(arena, "%lld.%lld", (long long)p.height, (long long)p.index);
}

static struct ledger_tx included(struct db_rows *rows, struct arena *arena)
{
	return (struct ledger_tx){
		.id = arena_copy(arena, db_text(rows, 2)),
		.status = STR_LIT(TX_STATUS_INCLUDED),
		.height = db_int(rows, 0),
		.index = db_int(rows, 1),
		.message = arena_copy(arena, db_text(rows, 3)),
		.signature = arena_copy(arena, db_text(rows, 4)),
	};
}

static bool has_text(struct str object, const char *key, struct str wanted)
{
	struct str value, text;
	return canonical_find(object, key, &value) && canonical_read_plain(value, &text) && str_equal(text, wanted);
}

/* From, to or about the account. */
static bool is_of_account(struct str message, struct str account)
{
	struct str approval;
	return has_text(message, "from", account) || has_text(message, "to", account) ||
	       (canonical_find(message, "approval", &approval) && has_text(approval, "by", account));
}

/* A page on its way. */
struct gathering {
	const struct tx_query *q;
	struct arena *arena;
	bool listed;           /* the rows come from the index, by the walk; else from all transactions */
	struct tx_index_walk walk;
	struct tx_place last;  /* the last one looked at */
	struct ledger_tx *txs;
	size_t count, looked_at, bytes;
};

static bool full(const struct gathering *g)
{
	return g->count == g->q->limit || g->bytes >= LEDGER_PAGE_BYTES || g->looked_at >= READ_SCAN_MAX;
}

/* Those of another type are left out, and those that only share the index's key. */
static bool wanted(const struct gathering *g, struct str message)
{
	return (!str_present(g->q->account) || is_of_account(message, g->q->account)) && (!str_present(g->q->type) || has_text(message, "type", g->q->type));
}

/* Takes the rows of a query; how many were looked at. */
static enum db_status take_rows(struct gathering *g, struct db_rows *rows, size_t *seen, struct error *err)
{
	*seen = 0;
	while (!full(g) && db_next(rows)) {
		struct str message = db_text(rows, 3);
		++*seen;
		g->looked_at++;
		g->last = (struct tx_place){db_int(rows, 0), db_int(rows, 1)};
		if (!wanted(g, message))
			continue;
		g->bytes += message.n;
		g->txs[g->count++] = included(rows, g->arena);
	}
	return db_finish(rows, err);
}

/* The next rows; *ended: there are no more of them. */
static enum db_status gather_all(struct db_conn *c, struct gathering *g, bool *ended, struct error *err)
{
	struct db_rows *rows;
	size_t seen;
	enum db_status st = db_query(c, &SQL_TXS, DB_ARGS(DB_INT(g->last.height), DB_INT(g->last.index), DB_INT(CHUNK)), &rows, err);
	if (st != DB_OK)
		return st;
	st = take_rows(g, rows, &seen, err);
	*ended = !full(g) && seen < CHUNK;
	return st;
}

static enum db_status gather_listed(struct db_conn *c, struct gathering *g, bool *ended, struct error *err)
{
	struct db_value v[2 * PLACED];
	uint64_t places[PLACED];
	struct db_rows *rows;
	size_t n, seen;
	enum db_status st = tx_index_next(c, &g->walk, places, PLACED, &n, err);
	*ended = n == 0;
	if (st != DB_OK || n == 0)
		return st;
	for (size_t i = 0; i < PLACED; i++) {
		/* One statement for any number. */
		v[2 * i] = DB_INT(i < n ? tx_index_height(places[i]) : -1);
		v[2 * i + 1] = DB_INT(i < n ? tx_index_idx(places[i]) : -1);
	}
	st = db_query(c, &SQL_PLACED, (struct db_args){v, ARRAY_LEN(v)}, &rows, err);
	if (st != DB_OK)
		return st;
	st = take_rows(g, rows, &seen, err);
	*ended = !full(g) && g->walk.ended;
	return st;
}

static struct tx_index_walk walk_before(const struct gathering *g, struct tx_place p)
{
	struct tx_index_walk w = {.key = g->walk.key, .at = UINT64_MAX};
	const int64_t index_end = INT64_C(1) << TX_INDEX_IDX_BITS, height_end = INT64_C(1) << (63 - TX_INDEX_IDX_BITS);
	if (p.height < height_end)
		w.at = p.index < index_end ? tx_index_place(p.height, p.index) : tx_index_place(p.height + 1, 0);
	return w;
}

/* Is there one behind the last? So that the last page has no cursor. */
static enum db_status any_behind(struct db_conn *c, const struct gathering *g, bool *any, struct error *err)
{
	if (g->listed) {
		struct tx_index_walk w = walk_before(g, g->last);
		uint64_t place;
		size_t n;
		enum db_status st = tx_index_next(c, &w, &place, 1, &n, err);
		*any = n > 0;
		return st;
	}
	struct db_rows *rows;
	enum db_status st = db_query(c, &SQL_TXS, DB_ARGS(DB_INT(g->last.height), DB_INT(g->last.index), DB_INT(1)), &rows, err);
	if (st != DB_OK)
		return st;
	*any = db_next(rows);
	return db_finish(rows, err);
}

enum db_status read_txs(struct db_conn *c, const struct tx_query *q, struct arena *arena, struct json_list *out, struct str *next, struct error *err)
{
	struct gathering g = {.q = q, .arena = arena, .last = q->has_after ? q->after : (struct tx_place){INT64_MAX, 0}};
	struct tx_list_name list;
	bool ended = false, more = false;
	enum db_status st = DB_OK;
	g.listed = str_present(q->account) || str_present(q->type);
	if (str_present(q->account))
		tx_list_account(q->account, &list);
	else if (str_present(q->type))
		tx_list_type(q->type, &list);
	if (g.listed) {
		g.walk.key = tx_index_key_of_list(tx_list_str(&list));
		g.walk = walk_before(&g, g.last);
	}
	g.txs = arena_zalloc(arena, q->limit, sizeof *g.txs);
	while (st == DB_OK && !ended && !full(&g))
		st = g.listed ? gather_listed(c, &g, &ended, err) : gather_all(c, &g, &ended, err);
	if (st == DB_OK && !ended)
		st = any_behind(c, &g, &more, err);
	*out = (struct json_list){g.txs, g.count};
	*next = more ? tx_place_write(arena, g.last) : STR_NONE;
	return st;
}

static enum db_status read_refused(struct db_conn *c, struct str id, struct arena *arena, struct ledger_tx *out, bool *found, struct error *err)
{
	struct db_rows *rows;
	enum db_status st = db_query(c, &SQL_REFUSED, DB_ARGS(DB_TEXT(id)), &rows, err);
	if (st != DB_OK)
		return st;
	*found = db_next(rows);
	if (*found)
		*out = (struct ledger_tx){
			.id = arena_copy(arena, id),
			.status = STR_LIT(TX_STATUS_REFUSED),
			.height = JSON_INT_ABSENT,
			.index = JSON_INT_ABSENT,
			.code = arena_copy(arena, db_text(rows, 0)),
			.error = arena_copy(arena, db_text(rows, 1)),
			.message = arena_copy(arena, db_text(rows, 2)),
			.signature = arena_copy(arena, db_text(rows, 3)),
		};
	return db_finish(rows, err);
}

enum db_status read_tx(struct db_conn *c, struct str id, struct arena *arena, struct ledger_tx *out, bool *found, struct error *err)
{
	struct db_rows *rows;
	struct hash hash;
	int64_t height, index;
	*found = false;
	if (!hash_from_text(id, &hash))
		return DB_OK;
	enum db_status st = store_find_tx(c, &hash, &height, &index, found, err);
	if (st == DB_OK && !*found)
		return read_refused(c, id, arena, out, found, err);
	if (st == DB_OK)
		st = db_query(c, &SQL_TX, DB_ARGS(DB_INT(height), DB_INT(index)), &rows, err);
	if (st != DB_OK)
		return st;
	*found = db_next(rows);
	if (*found)
		*out = included(rows, arena);
	return db_finish(rows, err);
}

/* A request is what its state entry says, and its id. */
static bool read_request(struct str value, struct str id, struct arena *arena, struct ledger_request *out)
{
	struct canonical_cursor c;
	struct str key, text;
	*out = (struct ledger_request){.id = arena_copy(arena, id)};
	if (!canonical_enter_object(value, &c))
		return false;
	while (canonical_next_member(&c, &key, &text)) {
		struct str *field = str_is(key, "type")           ? &out->type
				    : str_is(key, "from")         ? &out->from
				    : str_is(key, "amount")       ? &out->amount
				    : str_is(key, "currencyCode") ? &out->currency_code
				    : str_is(key, "reference")    ? &out->reference
				    : str_is(key, "status")       ? &out->status
								  : NULL;
		if (!field || !canonical_read_text(text, arena, field))
			return false;
		*field = arena_copy(arena, *field);
	}
	return str_present(out->type) && str_present(out->from) && str_present(out->amount) && str_present(out->currency_code) &&
	       str_present(out->reference) && str_present(out->status);
}

enum db_status read_requests(struct db_conn *c, struct str type, struct tx_place after, size_t limit, struct arena *arena, struct json_list *out,
			     struct str *next, struct error *err)
{
	struct db_rows *rows;
	struct ledger_request *requests = arena_zalloc(arena, limit, sizeof *requests);
	struct tx_place last = after;
	size_t n = 0;
	bool readable = true, more = false;
	enum db_status st =
		db_query(c, &SQL_REQUESTS, DB_ARGS(DB_TEXT(type), DB_INT(after.height), DB_INT(after.index), DB_INT((int64_t)limit + 1)), &rows, err);
	if (st != DB_OK)
		return st;
	while (readable && !more && db_next(rows)) {
		more = n == limit;
		if (more)
			break;
		last = (struct tx_place){db_int(rows, 0), db_int(rows, 1)};
		readable = read_request(db_text(rows, 3), db_text(rows, 2), arena, &requests[n]);
		n += readable;
	}
	st = db_finish(rows, err);
	if (st != DB_OK)
		return st;
	*out = (struct json_list){requests, n};
	*next = more ? tx_place_write(arena, last) : STR_NONE;
	return readable ? DB_OK : corrupt(err, "a request's state entry");
}

/* ---- Blocks ---- */

enum db_status read_headers(struct db_conn *c, int64_t from, int64_t to, struct arena *arena, struct json_list *out, struct error *err)
{
	struct db_rows *rows;
	size_t room = to < from ? 0 : (size_t)(to - from + 1), n = 0;
	struct ledger_block *blocks = arena_zalloc(arena, room, sizeof *blocks);
	enum db_status st = db_query(c, &SQL_HEADERS, DB_ARGS(DB_INT(from), DB_INT(to)), &rows, err);
	if (st != DB_OK)
		return st;
	for (; n < room && db_next(rows); n++)
		blocks[n] = (struct ledger_block){
			.header = arena_copy(arena, db_text(rows, 0)),
			.hash = arena_copy(arena, db_text(rows, 1)),
			.signature = arena_copy(arena, db_text(rows, 2)),
		};
	*out = (struct json_list){blocks, n};
	return db_finish(rows, err);
}

static struct str hex_of(struct arena *arena, const struct hash *h)
{
	char text[HASH_TEXT_LEN + 1];
	hash_to_text(h, text);
	return arena_copy(arena, str_of(text, HASH_TEXT_LEN));
}

static struct str signature_of(struct arena *arena, const struct ed25519_signature *s)
{
	char text[ED25519_SIGNATURE_TEXT_LEN + 1];
	ed25519_signature_to_text(s, text);
	return arena_copy(arena, str_of(text, ED25519_SIGNATURE_TEXT_LEN));
}

enum db_status read_block(struct db_conn *c, int64_t height, struct arena *arena, struct ledger_block *out, size_t *bytes, bool *found,
			  struct error *err)
{
	struct block b;
	enum db_status st = store_read_block(c, height, arena, &b, found, err);
	if (st != DB_OK || !*found)
		return st;
	struct ledger_block_tx *txs = arena_zalloc(arena, b.tx_count, sizeof *txs);
	*bytes = b.header.n + b.changes.n;
	for (size_t i = 0; i < b.tx_count; i++) {
		struct hash id;
		sha256(&id, b.txs[i].message.p, b.txs[i].message.n);
		txs[i] = (struct ledger_block_tx){hex_of(arena, &id), b.txs[i].message, signature_of(arena, &b.txs[i].signature)};
		*bytes += b.txs[i].message.n + ED25519_SIGNATURE_TEXT_LEN;
	}
	*out = (struct ledger_block){
		.header = b.header,
		.hash = hex_of(arena, &b.hash),
		.signature = b.has_signature ? signature_of(arena, &b.signature) : STR_NONE,
		.transactions = {txs, b.tx_count},
		.state_changes = b.changes,
	};
	return DB_OK;
}

enum db_status read_block_height(struct db_conn *c, struct str hash, int64_t *height, bool *found, struct error *err)
{
	struct db_rows *rows;
	enum db_status st = db_query(c, &SQL_HEIGHT_OF, DB_ARGS(DB_TEXT(hash)), &rows, err);
	if (st != DB_OK)
		return st;
	*found = db_next(rows);
	if (*found)
		*height = db_int(rows, 0);
	return db_finish(rows, err);
}
