#include "ledger_grants.h"

#include <stdio.h>

#include "base/log.h"

DB_SQL(SQL_FORGET_PUBLISHED, "DELETE FROM local_grants WHERE user_id = $1 AND EXISTS (SELECT 1 FROM state s WHERE s.key = 'content:' || hash || ':' || user_id)");
DB_SQL(SQL_IS_THERE, "SELECT 1 FROM state WHERE key = $1");
DB_SQL(SQL_OPEN, "SELECT COALESCE(SUM(size), 0) FROM local_grants WHERE user_id = $1 AND hash <> $2 AND granted_at > $3");
DB_SQL(SQL_NOTE, "INSERT INTO local_grants (hash, user_id, size, granted_at) VALUES ($1, $2, $3, $4) "
		 "ON CONFLICT (user_id, hash) DO UPDATE SET size = excluded.size, granted_at = excluded.granted_at");

/* The first column of the first row; 0 when there is none. */
static enum db_status ask(struct db_conn *c, const struct db_sql *sql, struct db_args args, int64_t *out, struct error *err)
{
	struct db_rows *rows;
	enum db_status st = db_query(c, sql, args, &rows, err);
	if (st != DB_OK)
		return st;
	*out = db_next(rows) ? db_int(rows, 0) : 0;
	return db_finish(rows, err);
}

enum db_status grant_note(struct db_conn *c, struct str user, struct str hash, int64_t size, int64_t now_ms, int64_t keep_ms, bool *noted,
			  int64_t *open, struct error *err)
{
	int64_t published = 0;
	char key[160];
	int n = snprintf(key, sizeof key, "content:%.*s:%.*s", STR_ARG(hash), STR_ARG(user));
	invariant(n > 0 && (size_t)n < sizeof key);
	*open = 0;
	*noted = true;
	enum db_status st = ask(c, &SQL_IS_THERE, DB_ARGS(DB_TEXT(str_of(key, (size_t)n))), &published, err);
	if (st != DB_OK || published)
		return st;
	st = db_run(c, &SQL_FORGET_PUBLISHED, DB_ARGS(DB_TEXT(user)), NULL, err);
	if (st == DB_OK)
		st = ask(c, &SQL_OPEN, DB_ARGS(DB_TEXT(user), DB_TEXT(hash), DB_INT(now_ms - keep_ms)), open, err);
	if (st != DB_OK)
		return st;
	*noted = size <= GRANT_BYTES_MAX && *open <= GRANT_BYTES_MAX - size;
	return *noted ? db_run(c, &SQL_NOTE, DB_ARGS(DB_TEXT(hash), DB_TEXT(user), DB_INT(size), DB_INT(now_ms)), NULL, err) : DB_OK;
}
