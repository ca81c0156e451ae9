#include "ledger_grants.h"

#include <stdio.h>

#include "base/log.h"

DB_SQL(SQL_FORGET_PUBLISHED, "DELETE FROM local_grants WHERE user_id = $1 AND granted_at > $2 AND "
			     "EXISTS (SELECT 1 FROM state s WHERE s.key = 'content:' || hash || ':' || user_id)");
DB_SQL(SQL_IS_THERE, "SELECT 1 FROM state WHERE key = $1");
DB_SQL(SQL_OPEN, "SELECT COUNT(*), COALESCE(SUM(size), 0) FROM local_grants WHERE user_id = $1 AND granted_at > $2 AND hash <> $3");
DB_SQL(SQL_NOTE, "INSERT INTO local_grants (hash, user_id, size, granted_at) VALUES ($1, $2, $3, $4) "
		 "ON CONFLICT (user_id, hash) DO UPDATE SET size = excluded.size, granted_at = excluded.granted_at");

static enum db_status is_published(struct db_conn *c, struct str user, struct str hash, bool *published, struct error *err)
{
	struct db_rows *rows;
	char key[160];
	int n = snprintf(key, sizeof key, "content:%.*s:%.*s", STR_ARG(hash), STR_ARG(user));
	invariant(n > 0 && (size_t)n < sizeof key);
	enum db_status st = db_query(c, &SQL_IS_THERE, DB_ARGS(DB_TEXT(str_of(key, (size_t)n))), &rows, err);
	if (st != DB_OK)
		return st;
	*published = db_next(rows);
	return db_finish(rows, err);
}

static enum db_status count_open(struct db_conn *c, struct str user, struct str hash, int64_t since, struct grants_open *open, struct error *err)
{
	struct db_rows *rows;
	enum db_status st = db_query(c, &SQL_OPEN, DB_ARGS(DB_TEXT(user), DB_INT(since), DB_TEXT(hash)), &rows, err);
	if (st != DB_OK)
		return st;
	if (db_next(rows))
		*open = (struct grants_open){db_int(rows, 0), db_int(rows, 1)};
	return db_finish(rows, err);
}

static bool fits(const struct grants_open *open, int64_t size)
{
	return size <= GRANT_BYTES_MAX && open->bytes <= GRANT_BYTES_MAX - size && open->count < GRANT_COUNT_MAX;
}

enum db_status grant_note(struct db_conn *c, struct str user, struct str hash, int64_t size, int64_t now_ms, int64_t keep_ms, bool *noted,
			  struct grants_open *open, struct error *err)
{
	bool published;
	int64_t since = now_ms - keep_ms;
	*open = (struct grants_open){0, 0};
	*noted = true;
	enum db_status st = is_published(c, user, hash, &published, err);
	if (st != DB_OK || published)
		return st;
	st = count_open(c, user, hash, since, open, err);
	/* Only who has reached the limit has to be rid of what was published meanwhile. */
	if (st == DB_OK && !fits(open, size)) {
		int64_t gone;
		st = db_run(c, &SQL_FORGET_PUBLISHED, DB_ARGS(DB_TEXT(user), DB_INT(since)), &gone, err);
		if (st == DB_OK && gone > 0)
			st = count_open(c, user, hash, since, open, err);
	}
	*noted = fits(open, size);
	return st == DB_OK && *noted ? db_run(c, &SQL_NOTE, DB_ARGS(DB_TEXT(hash), DB_TEXT(user), DB_INT(size), DB_INT(now_ms)), NULL, err) : st;
}
