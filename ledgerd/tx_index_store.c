/* The half of tx_index.h that reads and writes the tables. */
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "tx_index.h"

DB_SQL(SQL_RUNS, "SELECT first, last, entries FROM transaction_runs ORDER BY first DESC LIMIT $1");
DB_SQL(SQL_ENTRIES, "SELECT run, entries FROM transaction_index WHERE run >= $1 ORDER BY run DESC, start");
DB_SQL(SQL_DROP_ENTRIES, "DELETE FROM transaction_index WHERE run >= $1");
DB_SQL(SQL_DROP_RUNS, "DELETE FROM transaction_runs WHERE first >= $1");
DB_SQL(SQL_PUT_RUN, "INSERT INTO transaction_runs (first, last, entries) VALUES ($1, $2, $3)");
DB_SQL_ARRAYS(SQL_PUT_ENTRIES, "INSERT INTO transaction_index (run, start, entries) VALUES ($1, $2, $3)",
	      "INSERT INTO transaction_index (run, start, entries) SELECT * FROM unnest($1::bigint[], $2::bytea[], $3::bytea[])");

/* The rows that may have entries from $1 (of the wanted key, and place 0 or the first one wanted) to $2: the last that begins before, and those behind. */
#define ROWS                                                                                                                                  \
	"SELECT r.first, r.last, p.start, p.entries FROM transaction_runs r JOIN transaction_index p ON p.run = r.first "                        \
	"AND p.start >= COALESCE((SELECT q.start FROM transaction_index q WHERE q.run = r.first AND q.start <= $1 ORDER BY q.start DESC LIMIT 1), $1) AND p.start <= $2 "
DB_SQL(SQL_NEWEST_FIRST, ROWS "WHERE r.first <= $3 ORDER BY r.first DESC, p.start DESC LIMIT $4");
DB_SQL(SQL_OLDEST_FIRST, ROWS "WHERE r.last >= $3 ORDER BY r.first, p.start LIMIT $4");

enum { ROWS_A_STEP = 64, WRITE_MANY = 64, PART_BYTES = TX_INDEX_PART * TX_INDEX_ENTRY_BYTES };

static enum db_status damaged(struct error *err)
{
	error_set(err, ERR_CORRUPT, "the index of transactions is damaged: `ledgerd verify` names its rows");
	return DB_BROKEN;
}

static size_t entries_in(struct str bytes)
{
	return bytes.n > 0 && bytes.n <= PART_BYTES && bytes.n % TX_INDEX_ENTRY_BYTES == 0 ? bytes.n / TX_INDEX_ENTRY_BYTES : 0;
}

/* ---- Writing ---- */

enum db_status tx_index_runs(struct db_conn *c, struct tx_index_run out[TX_INDEX_RUNS_OPEN], size_t *count, struct error *err)
{
	struct db_rows *rows;
	*count = 0;
	enum db_status st = db_query(c, &SQL_RUNS, DB_ARGS(DB_INT(TX_INDEX_RUNS_OPEN)), &rows, err);
	if (st != DB_OK)
		return st;
	while (*count < TX_INDEX_RUNS_OPEN && db_next(rows))
		out[(*count)++] = (struct tx_index_run){db_int(rows, 0), db_int(rows, 1), (uint64_t)db_int(rows, 2)};
	return db_finish(rows, err);
}

/* A new run's entries in the making: two arrays, one merged into the other run by run. */
struct merging {
	struct tx_index_entry *entries, *other, *read;
	size_t count, read_count;
};

static void merge_read(struct merging *m)
{
	tx_index_merge(m->read, m->read_count, m->entries, m->count, m->other);
	struct tx_index_entry *made = m->other;
	m->other = m->entries;
	m->entries = made;
	m->count += m->read_count;
	m->read_count = 0;
}

/* Merges the newest runs into *m, whose arrays have room for `room` entries. */
static enum db_status merge_runs(struct db_conn *c, const struct tx_index_run *newest_first, size_t runs, struct merging *m, size_t room, struct error *err)
{
	struct db_rows *rows;
	size_t at = 0;
	bool fits = true;
	enum db_status st = db_query(c, &SQL_ENTRIES, DB_ARGS(DB_INT(newest_first[runs - 1].first)), &rows, err);
	if (st != DB_OK)
		return st;
	while (fits && db_next(rows)) {
		struct str bytes = db_blob(rows, 1);
		size_t n = entries_in(bytes);
		if (at < runs && db_int(rows, 0) != newest_first[at].first) {
			fits = m->read_count == newest_first[at].count;
			merge_read(m);
			at++;
		}
		fits = fits && n > 0 && at < runs && db_int(rows, 0) == newest_first[at].first && m->count + m->read_count + n <= room;
		if (fits)
			tx_index_read((const uint8_t *)bytes.p, n, m->read + m->read_count);
		m->read_count += n;
	}
	struct error why;
	st = db_finish(rows, fits ? err : &why);
	if (st == DB_OK && fits)
		fits = at == runs - 1 && m->read_count == newest_first[at].count;
	if (!fits)
		return damaged(err);
	merge_read(m);
	return st;
}

static enum db_status write_entries(struct db_conn *c, int64_t run, const struct tx_index_entry *entries, size_t count, struct error *err)
{
	struct db_value v[WRITE_MANY][3];
	struct db_args args[WRITE_MANY];
	uint8_t bytes[WRITE_MANY][PART_BYTES];
	enum db_status st = DB_OK;
	for (size_t done = 0; st == DB_OK && done < count;) {
		size_t rows = 0;
		for (; rows < WRITE_MANY && done < count; rows++) {
			size_t n = count - done < TX_INDEX_PART ? count - done : TX_INDEX_PART;
			tx_index_write(entries + done, n, bytes[rows]);
			done += n;
			v[rows][0] = DB_INT(run);
			v[rows][1] = DB_BLOB(bytes[rows], TX_INDEX_ENTRY_BYTES);
			v[rows][2] = DB_BLOB(bytes[rows], n * TX_INDEX_ENTRY_BYTES);
			args[rows] = (struct db_args){v[rows], 3};
		}
		st = db_run_many(c, &SQL_PUT_ENTRIES, args, rows, NULL, NULL, err);
	}
	return st;
}

static enum db_status put_run(struct db_conn *c, const struct tx_index_run *run, const struct tx_index_entry *entries, struct error *err)
{
	enum db_status st = db_run(c, &SQL_PUT_RUN, DB_ARGS(DB_INT(run->first), DB_INT(run->last), DB_INT((int64_t)run->count)), NULL, err);
	return st == DB_OK ? write_entries(c, run->first, entries, run->count, err) : st;
}

static enum db_status add_merged(struct db_conn *c, const struct tx_index_block *b, const struct tx_index_run *newest_first, size_t runs, struct error *err)
{
	struct tx_index_run made = {newest_first[runs - 1].first, b->height, b->count};
	for (size_t i = 0; i < runs; i++)
		made.count += newest_first[i].count;
	struct merging m = {.count = b->count};
	m.entries = xcalloc(made.count, sizeof *m.entries);
	m.other = xcalloc(made.count, sizeof *m.other);
	m.read = xcalloc(made.count, sizeof *m.read);
	memcpy(m.entries, b->entries, b->count * sizeof *m.entries);
	enum db_status st = merge_runs(c, newest_first, runs, &m, made.count, err);
	if (st == DB_OK)
		st = db_run(c, &SQL_DROP_ENTRIES, DB_ARGS(DB_INT(made.first)), NULL, err);
	if (st == DB_OK)
		st = db_run(c, &SQL_DROP_RUNS, DB_ARGS(DB_INT(made.first)), NULL, err);
	if (st == DB_OK)
		st = put_run(c, &made, m.entries, err);
	free(m.entries);
	free(m.other);
	free(m.read);
	return st;
}

enum db_status tx_index_add(struct db_conn *c, const struct tx_index_block *b, struct error *err)
{
	struct tx_index_run runs[TX_INDEX_RUNS_OPEN];
	size_t count;
	if (b->count == 0)
		return DB_OK;
	enum db_status st = tx_index_runs(c, runs, &count, err);
	if (st != DB_OK)
		return st;
	/* Another instance fills it in, or writes blocks. */
	if (count > 0 && runs[0].last >= b->height) {
		error_set(err, ERR_ALREADY_EXISTS, "the index has the transactions of block %lld already", (long long)b->height);
		return DB_CONFLICT;
	}
	size_t merged = tx_index_merges(runs, count, b->count);
	invariant(merged <= count);
	return merged > 0 ? add_merged(c, b, runs, merged, err) : put_run(c, &(struct tx_index_run){b->height, b->height, b->count}, b->entries, err);
}

/* ---- Reading ---- */

/* What of a row is wanted, in the order of the walk. True: `max` is reached. */
static bool take_row(struct tx_index_walk *w, const struct tx_index_entry *entries, size_t n, uint64_t *places, size_t max, size_t *count)
{
	for (size_t i = 0; i < n; i++) {
		const struct tx_index_entry *e = &entries[w->oldest_first ? i : n - 1 - i];
		if (e->key != w->key || (w->oldest_first ? e->place <= w->at : e->place >= w->at))
			continue;
		if (*count == max)
			return true;
		places[(*count)++] = e->place;
	}
	return false;
}

/* How far the key was seen when the last row of a step is this one. */
static uint64_t seen_to(const struct tx_index_walk *w, int64_t first, int64_t last, const struct tx_index_entry *entries, size_t n)
{
	const struct tx_index_entry *end = w->oldest_first ? &entries[n - 1] : &entries[0];
	uint64_t begin = tx_index_place(first, 0);
	if (!w->oldest_first)
		return end->key == w->key ? end->place : begin;
	if (end->key > w->key)
		return tx_index_place(last + 1, 0) - 1;
	/* The run's next row may have more. */
	uint64_t seen = end->key == w->key ? end->place : begin - 1;
	return seen > w->at ? seen : w->at;
}

static enum db_status step(struct db_conn *c, struct tx_index_walk *w, uint64_t *places, size_t max, size_t *count, struct error *err)
{
	/* Newest first: from the key's beginning to what lies before `at`. Oldest first: from `at` to the key's end. */
	struct tx_index_entry bounds[2] = {{w->key, 0}, {w->key, UINT64_MAX}};
	uint8_t from[TX_INDEX_ENTRY_BYTES], to[TX_INDEX_ENTRY_BYTES];
	struct db_rows *rows;
	bool full = false, fits = true;
	size_t seen = 0;
	bounds[w->oldest_first ? 0 : 1].place = w->at;
	tx_index_write(&bounds[0], 1, from);
	tx_index_write(&bounds[1], 1, to);
	enum db_status st = db_query(c, w->oldest_first ? &SQL_OLDEST_FIRST : &SQL_NEWEST_FIRST,
				     DB_ARGS(DB_BLOB(from, sizeof from), DB_BLOB(to, sizeof to), DB_INT(tx_index_height(w->at)), DB_INT(ROWS_A_STEP)), &rows, err);
	if (st != DB_OK)
		return st;
	uint64_t to_here = w->at;
	while (!full && fits && db_next(rows)) {
		struct tx_index_entry entries[TX_INDEX_PART];
		struct str bytes = db_blob(rows, 3);
		size_t n = entries_in(bytes);
		seen++;
		fits = n > 0;
		if (!fits)
			break;
		tx_index_read((const uint8_t *)bytes.p, n, entries);
		full = take_row(w, entries, n, places, max, count);
		to_here = seen_to(w, db_int(rows, 0), db_int(rows, 1), entries, n);
	}
	struct error why;
	st = db_finish(rows, fits ? err : &why);
	if (!fits)
		return damaged(err);
	w->at = full ? places[*count - 1] : to_here;
	w->ended = !full && seen < ROWS_A_STEP;
	return st;
}

enum db_status tx_index_next(struct db_conn *c, struct tx_index_walk *w, uint64_t *places, size_t max, size_t *count, struct error *err)
{
	enum db_status st = DB_OK;
	*count = 0;
	while (st == DB_OK && *count == 0 && !w->ended)
		st = step(c, w, places, max, count, err);
	return st;
}
