/* Every column of every row of every table against what the blocks and the recomputed state say. Blocks and transactions were looked at as they were read; here it
 * is seen that there are no others. */
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "ledger_audit_inside.h"
#include "ledger_store.h"
#include "state_list.h"

enum { PAGE = 20000, MARK_STATE = 1, MARK_LIST = 2 };

/* ---- Rows and sums ---- */

static struct audit_finding at(const char *table, const char *problem)
{
	return (struct audit_finding){.check = chain_test_name(TEST_DATABASE), .height = -1, .index = -1, .table = table, .problem = problem};
}

static void differs(struct audit_run *a, const char *table, struct audit_key key, const char *column, struct str expected, struct str found, const char *problem)
{
	struct audit_finding f = at(table, problem);
	f.row[f.row_columns++] = key;
	f.column = column;
	f.expected = expected;
	f.found = found;
	audit_report(a, &f);
}

static void list_row(struct audit_run *a, const char *table, struct audit_key x, struct audit_key y, const struct audit_key *z, const char *problem)
{
	struct audit_finding f = at(table, problem);
	f.row[f.row_columns++] = x;
	f.row[f.row_columns++] = y;
	if (z)
		f.row[f.row_columns++] = *z;
	audit_report(a, &f);
}

void audit_sum_add(const struct audit_run *a, struct audit_sum *s, struct str list, int64_t height, int64_t index)
{
	struct hash h;
	uint64_t low, high;
	const struct str parts[] = {str_of((const char *)a->salt, sizeof a->salt), str_of((const char *)&height, sizeof height),
				    str_of((const char *)&index, sizeof index), list};
	sha256_parts(&h, parts, ARRAY_LEN(parts));
	memcpy(&low, h.b, sizeof low);
	memcpy(&high, h.b + 8, sizeof high);
	s->low += low;
	s->high += high + (s->low < low);
	s->count++;
}

/* ---- Keys that are there twice, or are none: a table whose constraints were taken off ---- */

enum { TEXTS_MAX = 4 };
struct audited {
	const char *table;
	const char *keys[AUDIT_KEY_MAX];
	unsigned ints; /* bit n: keys[n] is an integer */
	const char *texts[TEXTS_MAX]; /* the other columns */
};
static const struct audited tables[] = {
	{"meta", {"name"}, 0, {"value"}},
	{"blocks", {"height"}, 1, {"hash", "header", "signature", "changes"}},
	{"transactions", {"height", "idx"}, 3, {"id", "message", "signature"}},
	{"state", {"key"}, 0, {"value"}},
	{"state_lists", {"list", "key"}, 0, {NULL}},
	{"transaction_lists", {"list", "height", "idx"}, 6, {NULL}},
	{"validator_steps", {"height"}, 1, {"step"}},
};

static void put_keys(struct buf *sql, const struct audited *t, const char *behind, const char *between)
{
	for (size_t i = 0; i < AUDIT_KEY_MAX && t->keys[i]; i++)
		buf_printf(sql, "%s%s%s", i > 0 ? between : "", t->keys[i], behind);
}

static bool name_odd(struct audit_run *a, const struct audited *t, const char *sql, const char *problem, uint64_t *named, struct error *err)
{
	struct db_rows *rows;
	if (db_query_text(a->c, sql, DB_NO_ARGS, &rows, err) != DB_OK)
		return false;
	while (db_next(rows)) {
		struct audit_finding f = at(t->table, problem);
		for (size_t i = 0; i < AUDIT_KEY_MAX && t->keys[i]; i++) {
			int column = (int)i;
			if (db_column_type(rows, column) == DB_TYPE_INT)
				f.row[f.row_columns++] = audit_int(t->keys[i], db_int(rows, column));
			else
				f.row[f.row_columns++] = audit_text(t->keys[i], db_is_null(rows, column) ? STR_NONE : db_text(rows, column));
		}
		audit_report(a, &f);
		++*named;
	}
	return db_finish(rows, err) == DB_OK;
}

/* SQLite keeps what it is given: bytes that are no text look the same when they are read, and are not found by who asks for the text. */
static bool check_kinds(struct audit_run *a, const struct audited *t, struct error *err)
{
	struct buf sql = {0};
	uint64_t named = 0;
	if (db_kind_of(a->c) != DB_SQLITE)
		return true;
	buf_puts(&sql, "SELECT ");
	put_keys(&sql, t, "", ", ");
	buf_printf(&sql, " FROM %s WHERE typeof(", t->table);
	put_keys(&sql, t, ") = 'blob'", " OR typeof(");
	for (size_t i = 0; i < TEXTS_MAX && t->texts[i]; i++)
		buf_printf(&sql, " OR typeof(%s) = 'blob'", t->texts[i]);
	buf_puts(&sql, " ORDER BY ");
	put_keys(&sql, t, "", ", ");
	bool ok = name_odd(a, t, buf_z(&sql), "a column holds bytes where it should hold text", &named, err);
	buf_free(&sql);
	return ok;
}

/* `seen` rows were judged, each key once; are there others? */
static bool check_count(struct audit_run *a, const struct audited *t, uint64_t seen, struct error *err)
{
	struct buf sql = {0};
	struct db_rows *rows;
	int64_t count = 0;
	uint64_t named = 0;
	buf_printf(&sql, "SELECT COUNT(*) FROM %s", t->table);
	bool ok = db_query_text(a->c, buf_z(&sql), DB_NO_ARGS, &rows, err) == DB_OK;
	if (ok) {
		if (db_next(rows))
			count = db_int(rows, 0);
		ok = db_finish(rows, err) == DB_OK;
	}
	if (ok && (uint64_t)count != seen) {
		buf_clear(&sql);
		buf_puts(&sql, "SELECT ");
		put_keys(&sql, t, "", ", ");
		buf_printf(&sql, " FROM %s GROUP BY ", t->table);
		put_keys(&sql, t, "", ", ");
		buf_puts(&sql, " HAVING COUNT(*) > 1 ORDER BY ");
		put_keys(&sql, t, "", ", ");
		ok = name_odd(a, t, buf_z(&sql), "the row is there more than once", &named, err);
		buf_clear(&sql);
		buf_puts(&sql, "SELECT ");
		put_keys(&sql, t, "", ", ");
		buf_printf(&sql, " FROM %s WHERE ", t->table);
		put_keys(&sql, t, " IS NULL", " OR ");
		/* Walks begin behind the empty text. */
		for (size_t i = 0; i < AUDIT_KEY_MAX && t->keys[i]; i++)
			if (!(t->ints & (1u << i)))
				buf_printf(&sql, " OR %s = ''", t->keys[i]);
		/* Below what was walked over; on SQLite, which keeps what it is given, text instead of a number lies above it. */
		for (size_t i = 0; i < AUDIT_KEY_MAX && t->keys[i]; i++)
			if (t->ints & (1u << i))
				buf_printf(&sql, db_kind_of(a->c) == DB_SQLITE ? " OR %s < 0 OR typeof(%s) <> 'integer'" : " OR %s < 0", t->keys[i],
					   t->keys[i]);
		buf_puts(&sql, " ORDER BY ");
		put_keys(&sql, t, "", ", ");
		ok = ok && name_odd(a, t, buf_z(&sql), "the row should not be there: its key is none", &named, err);
		if (ok && named == 0 && !a->broken_off) {
			struct audit_finding f = at(t->table, "the table has another number of rows than were judged");
			audit_report(a, &f);
		}
	}
	buf_free(&sql);
	return ok && check_kinds(a, t, err);
}

/* ---- meta ---- */

static bool check_meta(struct audit_run *a, struct error *err)
{
	DB_SQL(sql, "SELECT name, value FROM meta ORDER BY name");
	struct db_rows *rows;
	bool genesis = false;
	uint64_t seen = 0;
	if (db_query(a->c, &sql, DB_NO_ARGS, &rows, err) != DB_OK)
		return false;
	while (db_next(rows)) {
		struct str name = db_text(rows, 0), value = db_text(rows, 1);
		if (!str_is(name, "genesis")) {
			if (str_present(name))
				differs(a, "meta", audit_text("name", name), NULL, STR_NONE, value, "the row should not be there");
			seen += str_present(name);
			continue;
		}
		seen += !genesis;
		genesis = true;
		if (!str_equal(value, a->chain.genesis.text))
			differs(a, "meta", audit_text("name", name), "value", a->chain.genesis.text, value, "the genesis is another");
	}
	if (db_finish(rows, err) != DB_OK)
		return false;
	if (!genesis)
		differs(a, "meta", audit_text("name", STR_LIT("genesis")), NULL, a->chain.genesis.text, STR_NONE, "the row is missing");
	return check_count(a, &tables[0], seen, err);
}

/* ---- state ---- */

struct walking {
	struct audit_run *a;
	struct buf last;
	bool any;
	uint64_t seen;
};

static bool check_entry(void *ctx, struct str key, struct str value)
{
	struct walking *w = ctx;
	struct memory_entry *e;
	struct error interrupted;
	if (audit_interrupted(w->a, &interrupted))
		return false;
	if (!str_present(key) || (w->any && str_equal(buf_str(&w->last), key)))
		return true; /* told when rows are counted */
	w->any = true;
	buf_clear(&w->last);
	buf_put_str(&w->last, key);
	w->seen++;
	e = chain_memory_find(&w->a->memory, key);
	if (!e) {
		differs(w->a, "state", audit_text("key", key), NULL, STR_NONE, value, "the row should not be there");
		return true;
	}
	e->marks |= MARK_STATE;
	if (!str_equal(e->value, value))
		differs(w->a, "state", audit_text("key", key), "value", e->value, value, "the value is not what the blocks give");
	return true;
}

static int by_key(const void *x, const void *y)
{
	return str_compare((*(struct memory_entry *const *)x)->key, (*(struct memory_entry *const *)y)->key);
}

/* The entries without this mark that `wanted` says should have it, sorted by key; the caller frees. */
static struct memory_entry **unmarked(struct audit_run *a, unsigned char mark, bool (*wanted)(const struct memory_entry *e), size_t *count)
{
	struct memory_entry *e, **list = NULL;
	size_t walk = 0, n = 0, room = 0;
	while ((e = chain_memory_next(&a->memory, &walk))) {
		if ((e->marks & mark) || !wanted(e))
			continue;
		if (n == room) {
			room = room ? 2 * room : 64;
			list = xrealloc(list, room * sizeof(struct memory_entry *));
		}
		list[n++] = e;
	}
	if (n > 0)
		qsort(list, n, sizeof(struct memory_entry *), by_key);
	*count = n;
	return list;
}

static bool every(const struct memory_entry *e)
{
	(void)e;
	return true;
}

static bool check_state(struct audit_run *a, struct error *err)
{
	struct walking w = {.a = a};
	size_t missing;
	enum db_status st = store_walk_state(a->c, check_entry, &w, err);
	buf_free(&w.last);
	if (st != DB_OK || audit_interrupted(a, err))
		return false;
	struct memory_entry **list = unmarked(a, MARK_STATE, every, &missing);
	for (size_t i = 0; i < missing; i++)
		differs(a, "state", audit_text("key", list[i]->key), NULL, list[i]->value, STR_NONE, "the row is missing");
	free(list);
	return check_count(a, &tables[3], w.seen, err);
}

/* ---- state_lists ---- */

static bool listed(const struct memory_entry *e)
{
	char text[STATE_LIST_MAX];
	struct str list;
	return state_list_of(e->key, text, &list);
}

static void check_list_row(struct audit_run *a, struct str list, struct str key)
{
	char text[STATE_LIST_MAX];
	struct str expected;
	struct memory_entry *e = chain_memory_find(&a->memory, key);
	if (e && state_list_of(key, text, &expected) && str_equal(expected, list))
		e->marks |= MARK_LIST;
	else
		list_row(a, "state_lists", audit_text("list", list), audit_text("key", key), NULL, "the row should not be there");
}

static bool check_state_lists(struct audit_run *a, struct error *err)
{
	DB_SQL(sql, "SELECT list, key FROM state_lists WHERE (list, key) >= ($1, $2) ORDER BY list, key LIMIT $3");
	struct buf list = {0}, key = {0};
	size_t n = PAGE, missing;
	uint64_t seen = 0;
	bool ok = true, any = false;
	while (ok && n == PAGE) {
		struct db_rows *rows;
		struct buf from_list = {0}, from_key = {0};
		buf_put_str(&from_list, buf_str(&list));
		buf_put_str(&from_key, buf_str(&key));
		ok = !audit_interrupted(a, err) &&
		     db_query(a->c, &sql, DB_ARGS(DB_TEXT(buf_str(&from_list)), DB_TEXT(buf_str(&from_key)), DB_INT(PAGE)), &rows, err) == DB_OK;
		for (n = 0; ok && db_next(rows); n++) {
			struct str l = db_text(rows, 0), k = db_text(rows, 1);
			if (!str_present(l) || !str_present(k) || (any && str_equal(l, buf_str(&list)) && str_equal(k, buf_str(&key))))
				continue;
			any = true;
			seen++;
			buf_clear(&list);
			buf_put_str(&list, l);
			buf_clear(&key);
			buf_put_str(&key, k);
			check_list_row(a, l, k);
		}
		ok = ok && db_finish(rows, err) == DB_OK;
		buf_free(&from_list);
		buf_free(&from_key);
	}
	buf_free(&list);
	buf_free(&key);
	if (!ok)
		return false;
	struct memory_entry **entries = unmarked(a, MARK_LIST, listed, &missing);
	for (size_t i = 0; i < missing; i++) {
		char text[STATE_LIST_MAX];
		struct str expected;
		if (state_list_of(entries[i]->key, text, &expected))
			list_row(a, "state_lists", audit_text("list", expected), audit_text("key", entries[i]->key), NULL, "the row is missing");
	}
	free(entries);
	return check_count(a, &tables[4], seen, err);
}

/* ---- transaction_lists: sums first, names only when they differ ---- */

/* Where the transaction of a request stands; false: nowhere. */
static bool place_of(struct audit_run *a, struct str tx_id, int64_t *height, int64_t *index, bool *found, struct error *err)
{
	struct hash id;
	*found = false;
	return !hash_from_text(tx_id, &id) || store_find_tx(a->c, &id, height, index, found, err) == DB_OK;
}

static bool sum_pending(struct audit_run *a, struct error *err)
{
	struct memory_entry *e;
	size_t walk = 0;
	while ((e = chain_memory_next(&a->memory, &walk))) {
		char text[STATE_LIST_MAX];
		struct str list;
		int64_t height, index;
		bool found;
		if (!request_list_of(e->key, e->value, text, &list))
			continue;
		if (audit_interrupted(a, err) || !place_of(a, request_tx_id(e->key), &height, &index, &found, err))
			return false;
		if (found)
			audit_sum_add(a, &a->lists, list, height, index);
	}
	return true;
}

/* The lists that a transaction's row should be in, in the arena. */
static bool lists_of_row(struct audit_run *a, int64_t height, int64_t index, struct arena *arena, struct str lists[TX_LISTS_MAX + 1], size_t *n, struct error *err)
{
	DB_SQL(sql, "SELECT message FROM transactions WHERE height = $1 AND idx = $2");
	struct db_rows *rows;
	struct error why;
	struct tx t;
	*n = 0;
	if (db_query(a->c, &sql, DB_ARGS(DB_INT(height), DB_INT(index)), &rows, err) != DB_OK)
		return false;
	struct str message = db_next(rows) ? arena_copy(arena, db_text(rows, 0)) : STR_NONE;
	if (db_finish(rows, err) != DB_OK)
		return false;
	if (!str_present(message) || !tx_parse(message, a->chain.rules.params.max_transaction_bytes, arena, &t, &why))
		return true;
	*n = tx_lists_of(&t, arena, lists);
	char id[HASH_TEXT_LEN + 1], text[STATE_LIST_MAX];
	struct str list;
	hash_to_text(&t.id, id);
	struct str key = arena_printf(arena, "request:%s", id);
	const struct memory_entry *e = chain_memory_find(&a->memory, key);
	if (e && request_list_of(e->key, e->value, text, &list))
		lists[(*n)++] = arena_copy(arena, list);
	return true;
}

struct list_walk {
	struct buf list;
	int64_t height, index;
	bool any;
	uint64_t seen;
	struct audit_sum sum;
};

/* Each row once, in order; `name` says which should not be there. */
static bool walk_tx_lists(struct audit_run *a, struct list_walk *w, bool name, struct error *err)
{
	DB_SQL(sql, "SELECT list, height, idx FROM transaction_lists WHERE (list, height, idx) >= ($1, $2, $3) ORDER BY list, height, idx LIMIT $4");
	size_t n = PAGE;
	bool ok = true;
	while (ok && n == PAGE) {
		struct db_rows *rows;
		struct arena arena;
		arena_init(&arena);
		struct str from = arena_copy(&arena, buf_str(&w->list));
		bool asked = !audit_interrupted(a, err) &&
			     db_query(a->c, &sql, DB_ARGS(DB_TEXT(from), DB_INT(w->height), DB_INT(w->index), DB_INT(PAGE)), &rows, err) == DB_OK;
		ok = asked;
		for (n = 0; ok && db_next(rows); n++) {
			struct str list = db_text(rows, 0), lists[TX_LISTS_MAX + 1];
			int64_t height = db_int(rows, 1), index = db_int(rows, 2);
			size_t count = 0;
			if (!str_present(list) || db_column_type(rows, 1) != DB_TYPE_INT || db_column_type(rows, 2) != DB_TYPE_INT ||
			    (w->any && str_equal(list, buf_str(&w->list)) && height == w->height && index == w->index))
				continue;
			w->any = true;
			w->seen++;
			buf_clear(&w->list);
			buf_put_str(&w->list, list);
			w->height = height;
			w->index = index;
			audit_sum_add(a, &w->sum, list, height, index);
			if (!name)
				continue;
			bool fits = false;
			ok = lists_of_row(a, height, index, &arena, lists, &count, err);
			for (size_t i = 0; i < count; i++)
				fits = fits || str_equal(lists[i], list);
			const struct audit_key z = audit_int("idx", index);
			if (ok && !fits)
				list_row(a, "transaction_lists", audit_text("list", list), audit_int("height", height), &z, "the row should not be there");
		}
		struct error finish;
		if (asked && db_finish(rows, ok ? err : &finish) != DB_OK)
			ok = false;
		arena_free(&arena);
	}
	return ok;
}

static bool is_listed(struct audit_run *a, struct str list, int64_t height, int64_t index, bool *found, struct error *err)
{
	DB_SQL(sql, "SELECT 1 FROM transaction_lists WHERE list = $1 AND height = $2 AND idx = $3");
	struct db_rows *rows;
	if (db_query(a->c, &sql, DB_ARGS(DB_TEXT(list), DB_INT(height), DB_INT(index)), &rows, err) != DB_OK)
		return false;
	*found = db_next(rows);
	return db_finish(rows, err) == DB_OK;
}

/* Goes through all transactions and names the rows that are missing. */
static bool name_missing_lists(struct audit_run *a, struct error *err)
{
	DB_SQL(sql, "SELECT height, idx FROM transactions WHERE (height, idx) > ($1, $2) ORDER BY height, idx LIMIT 1000");
	int64_t height = -1, index = -1;
	size_t n = 1;
	bool ok = true;
	while (ok && n > 0) {
		int64_t places[1000][2];
		struct db_rows *rows;
		ok = !audit_interrupted(a, err) && db_query(a->c, &sql, DB_ARGS(DB_INT(height), DB_INT(index)), &rows, err) == DB_OK;
		for (n = 0; ok && db_next(rows); n++) {
			places[n][0] = height = db_int(rows, 0);
			places[n][1] = index = db_int(rows, 1);
		}
		ok = ok && db_finish(rows, err) == DB_OK;
		for (size_t i = 0; ok && i < n; i++) {
			struct arena arena;
			struct str lists[TX_LISTS_MAX + 1];
			size_t count;
			arena_init(&arena);
			ok = lists_of_row(a, places[i][0], places[i][1], &arena, lists, &count, err);
			for (size_t j = 0; ok && j < count; j++) {
				bool found;
				const struct audit_key z = audit_int("idx", places[i][1]);
				ok = is_listed(a, lists[j], places[i][0], places[i][1], &found, err);
				if (ok && !found)
					list_row(a, "transaction_lists", audit_text("list", lists[j]), audit_int("height", places[i][0]), &z,
						 "the row is missing");
			}
			arena_free(&arena);
		}
	}
	return ok;
}

static bool check_tx_lists(struct audit_run *a, struct error *err)
{
	struct list_walk w = {.any = false};
	bool ok = sum_pending(a, err) && walk_tx_lists(a, &w, false, err);
	bool same = w.sum.low == a->lists.low && w.sum.high == a->lists.high && w.sum.count == a->lists.count;
	uint64_t seen = w.seen;
	buf_free(&w.list);
	if (ok && !same) {
		struct list_walk again = {.any = false};
		ok = walk_tx_lists(a, &again, true, err) && name_missing_lists(a, err);
		buf_free(&again.list);
	}
	return ok && check_count(a, &tables[5], seen, err);
}

/* ---- validator_steps ---- */

static bool check_steps(struct audit_run *a, struct error *err)
{
	DB_SQL(sql, "SELECT height, step FROM validator_steps WHERE height >= 0 ORDER BY height");
	struct db_rows *rows;
	size_t next = 0;
	int64_t last = -1;
	uint64_t seen = 0;
	if (db_query(a->c, &sql, DB_NO_ARGS, &rows, err) != DB_OK)
		return false;
	while (db_next(rows)) {
		int64_t height = db_int(rows, 0);
		if (db_column_type(rows, 0) != DB_TYPE_INT || height == last)
			continue;
		last = height;
		seen++;
		for (; next < a->step_count && a->steps[next].height < height; next++)
			differs(a, "validator_steps", audit_int("height", a->steps[next].height), NULL, a->steps[next].text, STR_NONE, "the row is missing");
		if (next == a->step_count || a->steps[next].height != height) {
			differs(a, "validator_steps", audit_int("height", height), NULL, STR_NONE, db_text(rows, 1), "the row should not be there");
			continue;
		}
		if (!str_equal(a->steps[next].text, db_text(rows, 1)))
			differs(a, "validator_steps", audit_int("height", height), "step", a->steps[next].text, db_text(rows, 1), "the step is another");
		next++;
	}
	if (db_finish(rows, err) != DB_OK)
		return false;
	for (; next < a->step_count; next++)
		differs(a, "validator_steps", audit_int("height", a->steps[next].height), NULL, a->steps[next].text, STR_NONE, "the row is missing");
	return check_count(a, &tables[6], seen, err);
}

/* ---- Tables that nobody knows ---- */

static bool check_catalogue(struct audit_run *a, struct error *err)
{
	const char *sql = db_kind_of(a->c) == DB_SQLITE
				  ? "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name"
				  : "SELECT CAST(table_name AS TEXT) FROM information_schema.tables WHERE table_schema = current_schema() ORDER BY table_name";
	struct db_rows *rows;
	if (db_query_text(a->c, sql, DB_NO_ARGS, &rows, err) != DB_OK)
		return false;
	while (db_next(rows)) {
		struct str name = db_text(rows, 0);
		bool known = str_starts(name, "local_");
		for (size_t i = 0; i < ARRAY_LEN(tables); i++)
			known = known || str_is(name, tables[i].table);
		if (known)
			continue;
		struct audit_finding f = at("", "the table is none of the ledger's");
		f.found = name;
		audit_report(a, &f);
	}
	return db_finish(rows, err) == DB_OK;
}

bool audit_tables(struct audit_run *a, struct error *err)
{
	if (audit_interrupted(a, err) || !check_catalogue(a, err) || !check_meta(a, err) || !check_count(a, &tables[1], a->block_rows, err) ||
	    !check_count(a, &tables[2], a->tx_rows, err))
		return false;
	/* Without all blocks nobody knows what the state should be. */
	return a->broken_off ||
	       (check_state(a, err) && check_state_lists(a, err) && check_tx_lists(a, err) && check_steps(a, err));
}
