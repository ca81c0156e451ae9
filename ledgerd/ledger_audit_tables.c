/* Every column of every row of every table against what the blocks and the recomputed state say. Blocks and transactions were looked at as they were read; here it
 * is seen that there are no others. */
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "ledger_audit_inside.h"
#include "ledger_store.h"
#include "state_list.h"

enum { PAGE = 20000 };

/* ---- The tables ---- */

enum { OTHERS_MAX = 4 };
struct audited {
	const char *table;
	const char *keys[AUDIT_KEY_MAX];
	unsigned ints, blobs; /* bit n: keys[n] is an integer, is bytes; else text */
	const char *texts[OTHERS_MAX], *numbers[OTHERS_MAX], *bytes[OTHERS_MAX]; /* the other columns */
};
static const struct audited tables[AUDIT_TABLES] = {
	[AUDIT_META] = {.table = "meta", .keys = {"name"}, .texts = {"value"}},
	[AUDIT_BLOCKS] = {.table = "blocks", .keys = {"height"}, .ints = 1, .texts = {"hash", "header", "signature", "changes"}},
	[AUDIT_TRANSACTIONS] = {.table = "transactions", .keys = {"height", "idx"}, .ints = 3, .texts = {"id", "message", "signature"}},
	[AUDIT_STATE] = {.table = "state", .keys = {"key"}, .texts = {"value"}},
	[AUDIT_STATE_LISTS] = {.table = "state_lists", .keys = {"list", "key"}},
	[AUDIT_OPEN_REQUESTS] = {.table = "open_requests", .keys = {"id"}, .texts = {"type"}, .numbers = {"height", "idx"}},
	[AUDIT_TRANSACTION_RUNS] = {.table = "transaction_runs", .keys = {"first"}, .ints = 1, .numbers = {"last", "entries"}},
	[AUDIT_TRANSACTION_INDEX] = {.table = "transaction_index", .keys = {"run", "start"}, .ints = 1, .blobs = 2, .bytes = {"entries"}},
	[AUDIT_VALIDATOR_STEPS] = {.table = "validator_steps", .keys = {"height"}, .ints = 1, .texts = {"step"}},
};

/* ---- Rows ---- */

static struct audit_finding at(const char *table, const char *problem)
{
	return (struct audit_finding){.check = chain_test_name(TEST_DATABASE), .height = -1, .index = -1, .table = table, .problem = problem};
}

void audit_differs(struct audit_run *a, enum audit_table table, struct audit_key key, const char *column, struct str expected, struct str found,
		   const char *problem)
{
	struct audit_finding f = at(tables[table].table, problem);
	f.row[f.row_columns++] = key;
	f.column = column;
	f.expected = expected;
	f.found = found;
	audit_report(a, &f);
}

void audit_row(struct audit_run *a, enum audit_table table, struct audit_key x, struct audit_key y, const char *column, struct str expected,
	       struct str found, const char *problem)
{
	struct audit_finding f = at(tables[table].table, problem);
	f.row[f.row_columns++] = x;
	f.row[f.row_columns++] = y;
	f.column = column;
	f.expected = expected;
	f.found = found;
	audit_report(a, &f);
}

/* ---- Keys that are there twice, or are none: a table whose constraints were taken off ---- */

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
		struct buf hex = {0};
		for (size_t i = 0; i < AUDIT_KEY_MAX && t->keys[i]; i++) {
			int column = (int)i;
			struct str bytes = t->blobs & (1U << i) && db_column_type(rows, column) == DB_TYPE_BLOB ? db_blob(rows, column) : STR_NONE;
			if (str_present(bytes))
				buf_put_hex(&hex, bytes.p, bytes.n);
			if (db_column_type(rows, column) == DB_TYPE_INT)
				f.row[f.row_columns++] = audit_int(t->keys[i], db_int(rows, column));
			else if (str_present(bytes))
				f.row[f.row_columns++] = audit_text(t->keys[i], buf_str(&hex));
			else
				f.row[f.row_columns++] = audit_text(t->keys[i], db_is_null(rows, column) ? STR_NONE : db_text(rows, column));
		}
		audit_report(a, &f);
		buf_free(&hex);
		++*named;
	}
	return db_finish(rows, err) == DB_OK;
}

static void or_kinds(struct buf *sql, const char *const columns[OTHERS_MAX], const char *test)
{
	for (size_t i = 0; i < OTHERS_MAX && columns[i]; i++)
		buf_printf(sql, " OR typeof(%s) %s", columns[i], test);
}

/*
 * SQLite keeps what it is given: bytes that are no text look the same when they are read, and are not found by who asks for the text; and the
 * other way round. (Numbers among the keys are looked at where rows are counted.)
 */
static bool check_kinds(struct audit_run *a, const struct audited *t, struct error *err)
{
	struct buf sql = {0};
	uint64_t named = 0;
	if (db_kind_of(a->c) != DB_SQLITE)
		return true;
	buf_puts(&sql, "SELECT ");
	put_keys(&sql, t, "", ", ");
	buf_printf(&sql, " FROM %s WHERE 0", t->table);
	for (size_t i = 0; i < AUDIT_KEY_MAX && t->keys[i]; i++)
		if (!(t->ints & (1U << i)))
			buf_printf(&sql, t->blobs & (1U << i) ? " OR typeof(%s) = 'text'" : " OR typeof(%s) = 'blob'", t->keys[i]);
	or_kinds(&sql, t->texts, "= 'blob'");
	or_kinds(&sql, t->numbers, "<> 'integer'");
	or_kinds(&sql, t->bytes, "<> 'blob'");
	buf_puts(&sql, " ORDER BY ");
	put_keys(&sql, t, "", ", ");
	bool ok = name_odd(a, t, buf_z(&sql), "a column holds another kind of value than it should", &named, err);
	buf_free(&sql);
	return ok;
}

bool audit_count(struct audit_run *a, enum audit_table table, uint64_t seen, struct error *err)
{
	const struct audited *t = &tables[table];
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
			if (!(t->ints & (1U << i)))
				buf_printf(&sql, " OR %s = ''", t->keys[i]);
		/* Below what was walked over; on SQLite, which keeps what it is given, text instead of a number lies above it. */
		for (size_t i = 0; i < AUDIT_KEY_MAX && t->keys[i]; i++)
			if (t->ints & (1U << i))
				buf_printf(&sql, db_kind_of(a->c) == DB_SQLITE ? " OR %s < 0 OR typeof(%s) <> 'integer'" : " OR %s < 0", t->keys[i],
					   t->keys[i]);
			else if (t->blobs & (1U << i) && db_kind_of(a->c) == DB_SQLITE)
				buf_printf(&sql, " OR typeof(%s) <> 'blob' OR length(%s) = 0", t->keys[i], t->keys[i]);
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
				audit_differs(a, AUDIT_META, audit_text("name", name), NULL, STR_NONE, value, "the row should not be there");
			seen += str_present(name);
			continue;
		}
		seen += !genesis;
		genesis = true;
		if (!str_equal(value, a->chain.genesis.text))
			audit_differs(a, AUDIT_META, audit_text("name", name), "value", a->chain.genesis.text, value, "the genesis is another");
	}
	if (db_finish(rows, err) != DB_OK)
		return false;
	if (!genesis)
		audit_differs(a, AUDIT_META, audit_text("name", STR_LIT("genesis")), NULL, a->chain.genesis.text, STR_NONE, "the row is missing");
	return audit_count(a, AUDIT_META, seen, err);
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
		audit_differs(w->a, AUDIT_STATE, audit_text("key", key), NULL, STR_NONE, value, "the row should not be there");
		return true;
	}
	e->marks |= MARK_STATE;
	if (!str_equal(e->value, value))
		audit_differs(w->a, AUDIT_STATE, audit_text("key", key), "value", e->value, value, "the value is not what the blocks give");
	return true;
}

static int by_key(const void *x, const void *y)
{
	return str_compare((*(struct memory_entry *const *)x)->key, (*(struct memory_entry *const *)y)->key);
}

struct memory_entry **audit_unmarked(struct audit_run *a, unsigned char mark, bool (*wanted)(const struct memory_entry *e), size_t *count)
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
	struct memory_entry **list = audit_unmarked(a, MARK_STATE, every, &missing);
	for (size_t i = 0; i < missing; i++)
		audit_differs(a, AUDIT_STATE, audit_text("key", list[i]->key), NULL, list[i]->value, STR_NONE, "the row is missing");
	free(list);
	return audit_count(a, AUDIT_STATE, w.seen, err);
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
		audit_row(a, AUDIT_STATE_LISTS, audit_text("list", list), audit_text("key", key), NULL, STR_NONE, STR_NONE, "the row should not be there");
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
	struct memory_entry **entries = audit_unmarked(a, MARK_LIST, listed, &missing);
	for (size_t i = 0; i < missing; i++) {
		char text[STATE_LIST_MAX];
		struct str expected;
		if (state_list_of(entries[i]->key, text, &expected))
			audit_row(a, AUDIT_STATE_LISTS, audit_text("list", expected), audit_text("key", entries[i]->key), NULL, STR_NONE, STR_NONE, "the row is missing");
	}
	free(entries);
	return audit_count(a, AUDIT_STATE_LISTS, seen, err);
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
			audit_differs(a, AUDIT_VALIDATOR_STEPS, audit_int("height", a->steps[next].height), NULL, a->steps[next].text, STR_NONE, "the row is missing");
		if (next == a->step_count || a->steps[next].height != height) {
			audit_differs(a, AUDIT_VALIDATOR_STEPS, audit_int("height", height), NULL, STR_NONE, db_text(rows, 1), "the row should not be there");
			continue;
		}
		if (!str_equal(a->steps[next].text, db_text(rows, 1)))
			audit_differs(a, AUDIT_VALIDATOR_STEPS, audit_int("height", height), "step", a->steps[next].text, db_text(rows, 1), "the step is another");
		next++;
	}
	if (db_finish(rows, err) != DB_OK)
		return false;
	for (; next < a->step_count; next++)
		audit_differs(a, AUDIT_VALIDATOR_STEPS, audit_int("height", a->steps[next].height), NULL, a->steps[next].text, STR_NONE, "the row is missing");
	return audit_count(a, AUDIT_VALIDATOR_STEPS, seen, err);
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
	if (audit_interrupted(a, err) || !check_catalogue(a, err) || !check_meta(a, err) || !audit_count(a, AUDIT_BLOCKS, a->block_rows, err) ||
	    !audit_count(a, AUDIT_TRANSACTIONS, a->tx_rows, err))
		return false;
	/* Without all blocks nobody knows what the state should be. */
	return a->broken_off ||
	       (check_state(a, err) && check_state_lists(a, err) && audit_requests(a, err) && audit_index(a, err) && check_steps(a, err));
}
