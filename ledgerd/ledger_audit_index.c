/*
 * transaction_runs and transaction_index: which runs there should be follows from how many entries each block has, and what is in each from its blocks.
 * While the chain is replayed a sum is kept for each run; the rows are summed likewise. Only a run whose sum differs is made again from its
 * transactions, to name the rows: so memory does not grow with the chain.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "ledger_audit_inside.h"

enum { PAGE = 5000 };

static void sum_add(const struct audit_run *a, struct audit_sum *s, const struct tx_index_entry *e)
{
	uint8_t bytes[TX_INDEX_ENTRY_BYTES];
	struct hash h;
	tx_index_write(e, 1, bytes);
	const struct str parts[] = {str_of((const char *)a->salt, sizeof a->salt), str_of((const char *)bytes, sizeof bytes)};
	sha256_parts(&h, parts, ARRAY_LEN(parts));
	uint64_t low, high;
	memcpy(&low, h.b, sizeof low);
	memcpy(&high, h.b + 8, sizeof high);
	s->low += low;
	s->high += high + (s->low < low);
	s->count++;
}

static void sum_take(struct audit_sum *s, const struct audit_sum *other)
{
	s->low += other->low;
	s->high += other->high + (s->low < other->low);
	s->count += other->count;
}

/* ---- What there should be ---- */

static void add_run(struct audit_run *a, const struct audit_index_run *made)
{
	struct tx_index_run newest_first[TX_INDEX_RUNS_OPEN];
	struct audit_index_run new = *made;
	size_t n = 0;
	while (n < TX_INDEX_RUNS_OPEN && n < a->run_count) {
		newest_first[n] = a->runs[a->run_count - 1 - n].run;
		n++;
	}
	for (size_t merged = tx_index_merges(newest_first, n, new.run.count); merged > 0; merged--) {
		const struct audit_index_run *r = &a->runs[--a->run_count];
		new.run.first = r->run.first;
		new.run.count += r->run.count;
		sum_take(&new.sum, &r->sum);
	}
	if (a->run_count == a->run_room) {
		a->run_room = a->run_room ? 2 * a->run_room : 64;
		a->runs = xrealloc(a->runs, a->run_room * sizeof *a->runs);
	}
	a->runs[a->run_count++] = new;
}

void audit_index_block(struct audit_run *a, const struct audit_block *b)
{
	struct audit_index_run made = {.run = {b->height, b->height, 0}};
	for (size_t i = 0; i < b->row_count; i++) {
		struct tx_index_entry entries[TX_INDEX_EACH];
		if (b->decoded.txs[i].count == 0)
			continue; /* it has no form: that is told */
		size_t n = tx_index_entries_of(&b->decoded.txs[i], b->height, b->rows[i].idx, entries);
		for (size_t j = 0; j < n; j++)
			sum_add(a, &made.sum, &entries[j]);
		made.run.count += n;
	}
	if (made.run.count > 0)
		add_run(a, &made);
}

/* ---- transaction_runs ---- */

static void run_missing(struct audit_run *a, const struct tx_index_run *r)
{
	audit_differs(a, AUDIT_TRANSACTION_RUNS, audit_int("first", r->first), NULL, STR_NONE, STR_NONE, "the row is missing");
}

static void number_differs(struct audit_run *a, int64_t first, const char *column, int64_t expected, int64_t found)
{
	struct buf e = {0}, f = {0};
	if (expected != found) {
		buf_put_int(&e, expected);
		buf_put_int(&f, found);
		audit_differs(a, AUDIT_TRANSACTION_RUNS, audit_int("first", first), column, buf_str(&e), buf_str(&f), "the run is another");
	}
	buf_free(&e);
	buf_free(&f);
}

static bool check_runs(struct audit_run *a, struct error *err)
{
	DB_SQL(sql, "SELECT first, last, entries FROM transaction_runs WHERE first >= 0 ORDER BY first");
	struct db_rows *rows;
	size_t next = 0;
	int64_t previous = -1;
	uint64_t seen = 0;
	if (db_query(a->c, &sql, DB_NO_ARGS, &rows, err) != DB_OK)
		return false;
	while (db_next(rows)) {
		int64_t first = db_int(rows, 0);
		if (db_column_type(rows, 0) != DB_TYPE_INT || first == previous)
			continue;
		previous = first;
		seen++;
		for (; next < a->run_count && a->runs[next].run.first < first; next++)
			run_missing(a, &a->runs[next].run);
		if (next == a->run_count || a->runs[next].run.first != first) {
			audit_differs(a, AUDIT_TRANSACTION_RUNS, audit_int("first", first), NULL, STR_NONE, STR_NONE, "the row should not be there");
			continue;
		}
		const struct tx_index_run *r = &a->runs[next++].run;
		number_differs(a, first, "last", r->last, db_int(rows, 1));
		number_differs(a, first, "entries", (int64_t)r->count, db_int(rows, 2));
	}
	if (db_finish(rows, err) != DB_OK)
		return false;
	for (; next < a->run_count; next++)
		run_missing(a, &a->runs[next].run);
	return audit_count(a, AUDIT_TRANSACTION_RUNS, seen, err);
}

/* ---- A run again, row by row ---- */

static struct tx_index_entry *make_entries(struct audit_run *a, const struct tx_index_run *r, size_t *count, struct error *err)
{
	DB_SQL(sql, "SELECT height, idx, message FROM transactions WHERE (height, idx) > ($1, $2) AND height <= $3 ORDER BY height, idx LIMIT $4");
	struct tx_index_entry *entries = NULL;
	int64_t height = r->first, idx = -1;
	size_t room = 0, seen = PAGE;
	bool ok = true;
	*count = 0;
	while (ok && seen == PAGE) {
		struct db_rows *rows;
		ok = !audit_interrupted(a, err) &&
		     db_query(a->c, &sql, DB_ARGS(DB_INT(height), DB_INT(idx), DB_INT(r->last), DB_INT(PAGE)), &rows, err) == DB_OK;
		for (seen = 0; ok && db_next(rows); seen++) {
			struct arena arena;
			struct tx t;
			struct error why;
			arena_init(&arena);
			height = db_int(rows, 0);
			idx = db_int(rows, 1);
			if (*count + TX_INDEX_EACH > room) {
				room = room ? 2 * room : 1024;
				entries = xrealloc(entries, room * sizeof *entries);
			}
			if (tx_parse(db_text(rows, 2), a->chain.rules.params.max_transaction_bytes, &arena, &t, &why))
				*count += tx_index_entries_of(&t, height, idx, entries + *count);
			arena_free(&arena);
		}
		ok = ok && db_finish(rows, err) == DB_OK;
	}
	if (!ok) {
		free(entries);
		return NULL;
	}
	entries = xrealloc(entries, (*count + 1) * sizeof *entries); /* not NULL */
	tx_index_sort(entries, *count);
	return entries;
}

/* The rows that a run should have, one after the other. */
struct parts {
	struct tx_index_entry *entries;
	size_t count, at;
	struct buf start, bytes; /* of the present one, in hex */
	bool ended;
};

static void part_make(struct parts *p)
{
	uint8_t bytes[TX_INDEX_PART * TX_INDEX_ENTRY_BYTES];
	size_t n = p->count - p->at < TX_INDEX_PART ? p->count - p->at : TX_INDEX_PART;
	buf_clear(&p->start);
	buf_clear(&p->bytes);
	p->ended = n == 0;
	if (p->ended)
		return;
	tx_index_write(p->entries + p->at, n, bytes);
	buf_put_hex(&p->start, bytes, TX_INDEX_ENTRY_BYTES);
	buf_put_hex(&p->bytes, bytes, n * TX_INDEX_ENTRY_BYTES);
	p->at += n;
}

static void part_tell(struct audit_run *a, int64_t run, struct str start, const char *column, struct str expected, struct str found, const char *problem)
{
	audit_row(a, AUDIT_TRANSACTION_INDEX, audit_int("run", run), audit_text("start", start), column, expected, found, problem);
}

/* As many rows as a page can hold, whatever is in them. */
static bool name_page(struct audit_run *a, const struct tx_index_run *r, struct parts *p, struct buf *from, size_t *seen, struct error *err)
{
	DB_SQL(sql, "SELECT start, entries FROM transaction_index WHERE run = $1 AND start > $2 ORDER BY start LIMIT $3");
	struct db_rows *rows;
	struct buf start = {0}, bytes = {0};
	*seen = 0;
	if (audit_interrupted(a, err) ||
	    db_query(a->c, &sql, DB_ARGS(DB_INT(r->first), DB_BLOB(buf_z(from), from->len), DB_INT(PAGE)), &rows, err) != DB_OK)
		return false;
	while (db_next(rows)) {
		struct str s = db_blob(rows, 0), e = db_column_type(rows, 1) == DB_TYPE_BLOB ? db_blob(rows, 1) : STR_NONE;
		++*seen;
		if (str_equal(s, buf_str(from)))
			continue;
		buf_clear(from);
		buf_put_str(from, s);
		buf_clear(&start);
		buf_clear(&bytes);
		buf_put_hex(&start, s.p, s.n);
		buf_put_hex(&bytes, str_present(e) ? e.p : "", e.n);
		for (; !p->ended && str_compare(buf_str(&p->start), buf_str(&start)) < 0; part_make(p))
			part_tell(a, r->first, buf_str(&p->start), NULL, buf_str(&p->bytes), STR_NONE, "the row is missing");
		if (p->ended || !str_equal(buf_str(&p->start), buf_str(&start))) {
			part_tell(a, r->first, buf_str(&start), NULL, STR_NONE, buf_str(&bytes), "the row should not be there");
			continue;
		}
		if (!str_equal(buf_str(&p->bytes), buf_str(&bytes)))
			part_tell(a, r->first, buf_str(&start), "entries", buf_str(&p->bytes), buf_str(&bytes), "the entries are not what the transactions give");
		part_make(p);
	}
	buf_free(&start);
	buf_free(&bytes);
	return db_finish(rows, err) == DB_OK;
}

static bool name_rows(struct audit_run *a, const struct tx_index_run *r, struct error *err)
{
	struct parts p = {0};
	struct buf from = {0};
	size_t seen = PAGE;
	bool ok = (p.entries = make_entries(a, r, &p.count, err)) != NULL;
	if (ok)
		part_make(&p);
	while (ok && seen == PAGE)
		ok = name_page(a, r, &p, &from, &seen, err);
	for (; ok && !p.ended; part_make(&p))
		part_tell(a, r->first, buf_str(&p.start), NULL, buf_str(&p.bytes), STR_NONE, "the row is missing");
	free(p.entries);
	buf_free(&p.start);
	buf_free(&p.bytes);
	buf_free(&from);
	return ok;
}

/* ---- transaction_index ---- */

struct index_walk {
	struct audit_run *a;
	int64_t run;                /* of the last row */
	bool any;
	struct tx_index_entry last; /* entry of this run */
	struct audit_sum sum;
	bool straight;              /* this run's rows are full and in order so far */
	bool ended_short;           /* a row with fewer entries was seen: none may follow */
	size_t next;                /* expected run */
	bool *odd;                  /* which of the expected ones differ */
	uint64_t seen;
};

static void run_begins(struct index_walk *w, int64_t run)
{
	const struct audit_run *a = w->a;
	while (w->next < a->run_count && a->runs[w->next].run.first < run)
		w->next++;
	w->run = run;
	w->sum = (struct audit_sum){0};
	w->straight = true;
	w->ended_short = false;
	w->last = (struct tx_index_entry){0};
}

static void run_ends(struct index_walk *w)
{
	const struct audit_run *a = w->a;
	if (!w->any || w->next == a->run_count || a->runs[w->next].run.first != w->run)
		return;
	const struct audit_sum *expected = &a->runs[w->next].sum;
	w->odd[w->next] = !w->straight || w->sum.low != expected->low || w->sum.high != expected->high || w->sum.count != expected->count;
}

static void walk_row(struct index_walk *w, int64_t run, struct str start, struct str bytes)
{
	struct audit_run *a = w->a;
	if (!w->any || run != w->run) {
		run_ends(w);
		run_begins(w, run);
	}
	w->any = true;
	w->seen++;
	if (w->next == a->run_count || a->runs[w->next].run.first != run) {
		struct buf hex = {0};
		buf_put_hex(&hex, start.p, start.n);
		part_tell(a, run, buf_str(&hex), NULL, STR_NONE, STR_NONE, "the row should not be there");
		buf_free(&hex);
		return;
	}
	size_t n = bytes.n / TX_INDEX_ENTRY_BYTES;
	if (!str_present(bytes) || n == 0 || n > TX_INDEX_PART || bytes.n % TX_INDEX_ENTRY_BYTES != 0 || w->ended_short || start.n != TX_INDEX_ENTRY_BYTES ||
	    memcmp(start.p, bytes.p, start.n) != 0) {
		w->straight = false;
		return;
	}
	struct tx_index_entry entries[TX_INDEX_PART];
	tx_index_read((const uint8_t *)bytes.p, n, entries);
	w->ended_short = n < TX_INDEX_PART;
	for (size_t i = 0; i < n; i++) {
		const struct tx_index_entry *e = &entries[i];
		if (w->sum.count > 0 && (e->key != w->last.key ? e->key < w->last.key : e->place <= w->last.place))
			w->straight = false;
		sum_add(a, &w->sum, e);
		w->last = *e;
	}
}

static bool walk_index(struct index_walk *w, struct error *err)
{
	DB_SQL(sql, "SELECT run, start, entries FROM transaction_index WHERE (run, start) > ($1, $2) ORDER BY run, start LIMIT $3");
	struct buf from = {0};
	int64_t run = 0;
	size_t n = PAGE;
	bool ok = true, further = true;
	while (ok && n == PAGE && further) {
		struct db_rows *rows;
		further = false;
		ok = !audit_interrupted(w->a, err) &&
		     db_query(w->a->c, &sql, DB_ARGS(DB_INT(run), DB_BLOB(buf_z(&from), from.len), DB_INT(PAGE)), &rows, err) == DB_OK;
		for (n = 0; ok && db_next(rows); n++) {
			if (db_column_type(rows, 0) != DB_TYPE_INT || db_column_type(rows, 1) != DB_TYPE_BLOB)
				continue; /* told when rows are counted */
			struct str start = db_blob(rows, 1);
			if (w->any && db_int(rows, 0) == run && str_equal(start, buf_str(&from)))
				continue;
			further = true;
			run = db_int(rows, 0);
			buf_clear(&from);
			buf_put_str(&from, start);
			walk_row(w, run, start, db_column_type(rows, 2) == DB_TYPE_BLOB ? db_blob(rows, 2) : STR_NONE);
		}
		ok = ok && db_finish(rows, err) == DB_OK;
	}
	buf_free(&from);
	run_ends(w);
	return ok;
}

bool audit_index(struct audit_run *a, struct error *err)
{
	struct index_walk w = {.a = a, .run = -1, .odd = xcalloc(a->run_count + 1, sizeof(bool))};
	memset(w.odd, true, a->run_count); /* until its rows were seen */
	bool ok = check_runs(a, err) && walk_index(&w, err);
	for (size_t i = 0; ok && i < a->run_count; i++)
		if (w.odd[i])
			ok = name_rows(a, &a->runs[i].run, err);
	free(w.odd);
	return ok && audit_count(a, AUDIT_TRANSACTION_INDEX, w.seen, err);
}
