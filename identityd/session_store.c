#include "session_store.h"

#define SESSION_COLUMNS                                                                                                        \
	"id, status, challenge, poll_hash, desktop_hash, app_name, app_icon, app_origin, client_id, return_url, desktop_ip, desktop_agent,"            \
	" browser_hash, match_code, match_choices, created_at, expires_at, scanned_at, ended_at, user_id, username, public_key, role"
#define TOKEN_COLUMNS                                                                                                          \
	"hash, kind, session_id, user_id, username, public_key, role, app_name, app_origin, client_id, ip, agent, created_at, expires_at"

DB_SQL(SQL_SESSION, "SELECT " SESSION_COLUMNS " FROM sessions WHERE id = $1");
DB_SQL(SQL_SESSION_INSERT,
       "INSERT INTO sessions (id, status, challenge, poll_hash, desktop_hash, app_name, app_icon, app_origin, client_id, return_url, desktop_ip,"
       " desktop_agent, browser_hash, match_code, match_choices, created_at, expires_at)"
       " VALUES ($1, 'waiting', $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)");
DB_SQL(SQL_OPEN_COUNT, "SELECT COUNT(*) FROM sessions WHERE status IN ('waiting', 'scanned') AND expires_at > $1");
/* One conditional update a change: of two that come at once one finds the row as it was. */
DB_SQL(SQL_SCAN, "UPDATE sessions SET status = 'scanned', scanned_at = $1 WHERE id = $2 AND status = 'waiting' AND expires_at > $1");
DB_SQL(SQL_REJECT, "UPDATE sessions SET status = 'rejected', ended_at = $1 WHERE id = $2 AND status IN ('waiting', 'scanned') AND expires_at > $1");
DB_SQL(SQL_APPROVE, "UPDATE sessions SET status = 'approved', ended_at = $1, user_id = $2, username = $3, public_key = $4, role = $5"
		    " WHERE id = $6 AND status IN ('waiting', 'scanned') AND expires_at > $1");
DB_SQL(SQL_EXPIRE, "UPDATE sessions SET status = 'expired', ended_at = $1 WHERE status IN ('waiting', 'scanned') AND expires_at <= $1 RETURNING id");
DB_SQL(SQL_NEXT_EXPIRY, "SELECT MIN(expires_at) FROM sessions WHERE status IN ('waiting', 'scanned')");
DB_SQL(SQL_TOKEN, "SELECT " TOKEN_COLUMNS " FROM tokens WHERE hash = $1");
DB_SQL(SQL_TOKENS_OF, "SELECT " TOKEN_COLUMNS " FROM tokens WHERE user_id = $1 AND expires_at > $2 ORDER BY created_at DESC LIMIT $3");
DB_SQL(SQL_TOKEN_INSERT, "INSERT INTO tokens (" TOKEN_COLUMNS ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)");
DB_SQL(SQL_TOKEN_DELETE, "DELETE FROM tokens WHERE hash = $1");
DB_SQL(SQL_TOKENS_DELETE, "DELETE FROM tokens WHERE user_id = $1");
DB_SQL(SQL_TICKET_INSERT, "INSERT INTO tickets (hash, session_id, sealed, expires_at) VALUES ($1, $2, $3, $4)");
DB_SQL(SQL_TICKET_TAKE, "DELETE FROM tickets WHERE hash = $1 AND session_id = $2 RETURNING sealed, expires_at");
DB_SQL(SQL_LOGIN_INSERT,
       "INSERT INTO logins (session_id, user_id, time, app_name, app_origin, client_id, ip, agent, public_key) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)");
DB_SQL(SQL_LOGINS_OF, "SELECT time, app_name, app_origin, client_id, ip, agent, public_key FROM logins WHERE user_id = $1 ORDER BY time DESC LIMIT $2");
DB_SQL(SQL_BROWSER_KNOWN, "SELECT 1 FROM browsers WHERE user_id = $1 AND browser_hash = $2");
DB_SQL(SQL_BROWSER_SEEN, "INSERT INTO browsers (user_id, browser_hash, seen_at) VALUES ($1, $2, $3)"
			 " ON CONFLICT (user_id, browser_hash) DO UPDATE SET seen_at = excluded.seen_at");
DB_SQL(SQL_FIRST_KEY_ADD, "INSERT INTO first_keys (user_id, username, public_key, bound_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING");
DB_SQL(SQL_FIRST_KEY, "SELECT user_id, username, public_key FROM first_keys WHERE user_id = $1 OR username = $2");

static struct str copy(struct db_rows *rows, int column, struct arena *arena)
{
	return arena_copy(arena, db_text(rows, column));
}

static struct str copy_bytes(struct db_rows *rows, int column, struct arena *arena)
{
	return arena_copy(arena, db_blob(rows, column));
}

static bool read_hash(struct db_rows *rows, int column, struct hash *out)
{
	struct str s = db_blob(rows, column);
	if (s.n != HASH_SIZE)
		return false;
	memcpy(out->b, s.p, HASH_SIZE);
	return true;
}

static enum db_status unreadable(struct error *err)
{
	error_set(err, ERR_CORRUPT, "a row of the identity database cannot be read");
	return DB_BROKEN;
}

static struct db_value hash_value(const struct hash *h)
{
	return DB_BLOB(h->b, HASH_SIZE);
}

static struct db_value bytes_value(struct str s)
{
	return db_blob_value(s);
}

/* ---- sessions ---- */

static bool read_session_row(struct db_rows *rows, struct arena *arena, struct session_row *out)
{
	*out = (struct session_row){
		.id = copy(rows, 0, arena),
		.challenge = copy(rows, 2, arena),
		.app_name = copy(rows, 5, arena),
		.app_icon = copy(rows, 6, arena),
		.app_origin = copy(rows, 7, arena),
		.client_id = copy(rows, 8, arena),
		.return_url = copy(rows, 9, arena),
		.desktop_ip = copy(rows, 10, arena),
		.desktop_agent = copy(rows, 11, arena),
		.browser_hash = copy_bytes(rows, 12, arena),
		.match_code = db_is_null(rows, 13) ? -1 : db_int(rows, 13),
		.match_choices = copy(rows, 14, arena),
		.created_at = db_int(rows, 15),
		.expires_at = db_int(rows, 16),
		.scanned_at = db_int(rows, 17),
		.ended_at = db_int(rows, 18),
		.user_id = copy(rows, 19, arena),
		.username = copy(rows, 20, arena),
		.public_key = copy(rows, 21, arena),
		.role = copy(rows, 22, arena),
	};
	return session_status_from_text(db_text(rows, 1), &out->status) && read_hash(rows, 3, &out->poll_hash) && read_hash(rows, 4, &out->desktop_hash);
}

enum db_status session_read(struct db_conn *c, struct str id, struct arena *arena, struct session_row *out, bool *found, struct error *err)
{
	struct db_rows *rows;
	bool readable = true;
	*found = false;
	if (!session_id_valid(id))
		return DB_OK;
	enum db_status st = db_query(c, &SQL_SESSION, DB_ARGS(DB_TEXT(id)), &rows, err);
	if (st != DB_OK)
		return st;
	*found = db_next(rows);
	if (*found)
		readable = read_session_row(rows, arena, out);
	st = db_finish(rows, err);
	return st == DB_OK && !readable ? unreadable(err) : st;
}

enum db_status session_insert(struct db_conn *c, const struct session_row *s, struct error *err)
{
	return db_run(c, &SQL_SESSION_INSERT,
		      DB_ARGS(DB_TEXT(s->id), DB_TEXT(s->challenge), hash_value(&s->poll_hash), hash_value(&s->desktop_hash), DB_TEXT(s->app_name),
			      DB_TEXT(s->app_icon), DB_TEXT(s->app_origin), DB_TEXT(s->client_id), DB_TEXT(s->return_url), DB_TEXT(s->desktop_ip),
			      DB_TEXT(s->desktop_agent), bytes_value(s->browser_hash), s->match_code < 0 ? DB_NULL : DB_INT(s->match_code),
			      DB_TEXT(s->match_choices), DB_INT(s->created_at), DB_INT(s->expires_at)),
		      NULL, err);
}

static enum db_status one_number(struct db_conn *c, const struct db_sql *sql, struct db_args args, int64_t none, int64_t *out, struct error *err)
{
	struct db_rows *rows;
	enum db_status st = db_query(c, sql, args, &rows, err);
	if (st != DB_OK)
		return st;
	*out = db_next(rows) && !db_is_null(rows, 0) ? db_int(rows, 0) : none;
	return db_finish(rows, err);
}

enum db_status sessions_count_open(struct db_conn *c, int64_t now, int64_t *out, struct error *err)
{
	return one_number(c, &SQL_OPEN_COUNT, DB_ARGS(DB_INT(now)), 0, out, err);
}

static enum db_status run_change(struct db_conn *c, const struct db_sql *sql, struct db_args args, bool *won, struct error *err)
{
	int64_t changed = 0;
	enum db_status st = db_run(c, sql, args, &changed, err);
	*won = changed > 0;
	return st;
}

enum db_status session_scan(struct db_conn *c, struct str id, int64_t now, bool *won, struct error *err)
{
	return run_change(c, &SQL_SCAN, DB_ARGS(DB_INT(now), DB_TEXT(id)), won, err);
}

enum db_status session_reject(struct db_conn *c, struct str id, int64_t now, bool *won, struct error *err)
{
	return run_change(c, &SQL_REJECT, DB_ARGS(DB_INT(now), DB_TEXT(id)), won, err);
}

enum db_status session_approve(struct db_conn *c, const struct session_row *s, int64_t now, bool *won, struct error *err)
{
	return run_change(c, &SQL_APPROVE,
			  DB_ARGS(DB_INT(now), DB_TEXT(s->user_id), DB_TEXT(s->username), DB_TEXT(s->public_key), DB_TEXT(s->role), DB_TEXT(s->id)), won,
			  err);
}

enum db_status sessions_expire(struct db_conn *c, int64_t now, void (*each)(void *ctx, struct str id), void *ctx, struct error *err)
{
	struct db_rows *rows;
	enum db_status st = db_query(c, &SQL_EXPIRE, DB_ARGS(DB_INT(now)), &rows, err);
	if (st != DB_OK)
		return st;
	while (db_next(rows))
		each(ctx, db_text(rows, 0));
	return db_finish(rows, err);
}

enum db_status sessions_next_expiry(struct db_conn *c, int64_t *out, struct error *err)
{
	return one_number(c, &SQL_NEXT_EXPIRY, DB_NO_ARGS, INT64_MAX, out, err);
}

/* ---- tokens ---- */

const char *token_kind_text(enum token_kind k)
{
	return k == TOKEN_DESKTOP ? "desktop" : "phone";
}

static bool read_token_row(struct db_rows *rows, struct arena *arena, struct token_row *out)
{
	*out = (struct token_row){
		.kind = str_is(db_text(rows, 1), "phone") ? TOKEN_PHONE : TOKEN_DESKTOP,
		.session_id = copy(rows, 2, arena),
		.user_id = copy(rows, 3, arena),
		.username = copy(rows, 4, arena),
		.public_key = copy(rows, 5, arena),
		.role = copy(rows, 6, arena),
		.app_name = copy(rows, 7, arena),
		.app_origin = copy(rows, 8, arena),
		.client_id = copy(rows, 9, arena),
		.ip = copy(rows, 10, arena),
		.agent = copy(rows, 11, arena),
		.created_at = db_int(rows, 12),
		.expires_at = db_int(rows, 13),
	};
	return read_hash(rows, 0, &out->hash);
}

enum db_status token_read(struct db_conn *c, const struct hash *hash, struct arena *arena, struct token_row *out, bool *found, struct error *err)
{
	struct db_rows *rows;
	bool readable = true;
	enum db_status st = db_query(c, &SQL_TOKEN, DB_ARGS(hash_value(hash)), &rows, err);
	if (st != DB_OK)
		return st;
	*found = db_next(rows);
	if (*found)
		readable = read_token_row(rows, arena, out);
	st = db_finish(rows, err);
	return st == DB_OK && !readable ? unreadable(err) : st;
}

enum db_status token_insert(struct db_conn *c, const struct token_row *t, struct error *err)
{
	return db_run(c, &SQL_TOKEN_INSERT,
		      DB_ARGS(hash_value(&t->hash), DB_TEXT(str_from(token_kind_text(t->kind))), DB_TEXT(t->session_id), DB_TEXT(t->user_id),
			      DB_TEXT(t->username), DB_TEXT(t->public_key), DB_TEXT(t->role), DB_TEXT(t->app_name), DB_TEXT(t->app_origin),
			      DB_TEXT(t->client_id), DB_TEXT(t->ip), DB_TEXT(t->agent), DB_INT(t->created_at), DB_INT(t->expires_at)),
		      NULL, err);
}

enum db_status tokens_of(struct db_conn *c, struct str user_id, int64_t now, struct arena *arena, struct token_row *out, size_t max, size_t *count,
			 struct error *err)
{
	struct db_rows *rows;
	bool readable = true;
	*count = 0;
	enum db_status st = db_query(c, &SQL_TOKENS_OF, DB_ARGS(DB_TEXT(user_id), DB_INT(now), DB_INT((int64_t)max)), &rows, err);
	if (st != DB_OK)
		return st;
	while (readable && *count < max && db_next(rows))
		readable = read_token_row(rows, arena, &out[(*count)++]);
	st = db_finish(rows, err);
	return st == DB_OK && !readable ? unreadable(err) : st;
}

enum db_status token_delete(struct db_conn *c, const struct hash *hash, bool *was, struct error *err)
{
	return run_change(c, &SQL_TOKEN_DELETE, DB_ARGS(hash_value(hash)), was, err);
}

enum db_status tokens_delete(struct db_conn *c, struct str user_id, int64_t *count, struct error *err)
{
	return db_run(c, &SQL_TOKENS_DELETE, DB_ARGS(DB_TEXT(user_id)), count, err);
}

/* ---- tickets ---- */

enum db_status ticket_insert(struct db_conn *c, const struct hash *ticket, struct str session_id, const struct hash *sealed, int64_t expires_at,
			     struct error *err)
{
	return db_run(c, &SQL_TICKET_INSERT, DB_ARGS(hash_value(ticket), DB_TEXT(session_id), hash_value(sealed), DB_INT(expires_at)), NULL, err);
}

enum db_status ticket_take(struct db_conn *c, const struct hash *ticket, struct str session_id, int64_t now, struct hash *sealed, bool *found,
			   struct error *err)
{
	struct db_rows *rows;
	*found = false;
	enum db_status st = db_query(c, &SQL_TICKET_TAKE, DB_ARGS(hash_value(ticket), DB_TEXT(session_id)), &rows, err);
	if (st != DB_OK)
		return st;
	if (db_next(rows))
		*found = read_hash(rows, 0, sealed) && db_int(rows, 1) > now;
	return db_finish(rows, err);
}

/* ---- what users see, browsers, first keys ---- */

enum db_status login_record(struct db_conn *c, const struct session_row *s, int64_t now, struct error *err)
{
	return db_run(c, &SQL_LOGIN_INSERT,
		      DB_ARGS(DB_TEXT(s->id), DB_TEXT(s->user_id), DB_INT(now), DB_TEXT(s->app_name), DB_TEXT(s->app_origin), DB_TEXT(s->client_id),
			      DB_TEXT(s->desktop_ip), DB_TEXT(s->desktop_agent), DB_TEXT(s->public_key)),
		      NULL, err);
}

enum db_status logins_of(struct db_conn *c, struct str user_id, struct arena *arena, struct login_row *out, size_t max, size_t *count, struct error *err)
{
	struct db_rows *rows;
	*count = 0;
	enum db_status st = db_query(c, &SQL_LOGINS_OF, DB_ARGS(DB_TEXT(user_id), DB_INT((int64_t)max)), &rows, err);
	if (st != DB_OK)
		return st;
	while (*count < max && db_next(rows))
		out[(*count)++] = (struct login_row){
			.time = db_int(rows, 0),
			.app_name = copy(rows, 1, arena),
			.app_origin = copy(rows, 2, arena),
			.client_id = copy(rows, 3, arena),
			.ip = copy(rows, 4, arena),
			.agent = copy(rows, 5, arena),
			.public_key = copy(rows, 6, arena),
		};
	return db_finish(rows, err);
}

enum db_status browser_known(struct db_conn *c, struct str user_id, struct str browser_hash, bool *known, struct error *err)
{
	int64_t one = 0;
	*known = false;
	if (!str_present(browser_hash))
		return DB_OK;
	enum db_status st = one_number(c, &SQL_BROWSER_KNOWN, DB_ARGS(DB_TEXT(user_id), bytes_value(browser_hash)), 0, &one, err);
	*known = one != 0;
	return st;
}

enum db_status browser_seen(struct db_conn *c, struct str user_id, struct str browser_hash, int64_t now, struct error *err)
{
	if (!str_present(browser_hash))
		return DB_OK;
	return db_run(c, &SQL_BROWSER_SEEN, DB_ARGS(DB_TEXT(user_id), bytes_value(browser_hash), DB_INT(now)), NULL, err);
}

enum db_status first_key_find(struct db_conn *c, struct str user_id, struct str username, struct arena *arena, bool *free, struct key_owner *out,
			      struct error *err)
{
	struct db_rows *rows;
	bool others = false;
	*out = (struct key_owner){0};
	*free = true;
	enum db_status st = db_query(c, &SQL_FIRST_KEY, DB_ARGS(DB_TEXT(user_id), DB_TEXT(username_bare(username))), &rows, err);
	if (st != DB_OK)
		return st;
	while (db_next(rows)) {
		*free = false;
		others |= !str_equal(db_text(rows, 0), user_id);
		out->username = copy(rows, 1, arena);
		out->public_key = copy(rows, 2, arena);
	}
	if (others)
		*out = (struct key_owner){0};
	return db_finish(rows, err);
}

enum db_status first_key_bind(struct db_conn *c, struct str user_id, struct str username, struct str public_key, int64_t now, struct error *err)
{
	bool bound;
	enum db_status st =
		run_change(c, &SQL_FIRST_KEY_ADD, DB_ARGS(DB_TEXT(user_id), DB_TEXT(username_bare(username)), DB_TEXT(public_key), DB_INT(now)), &bound, err);
	if (st != DB_OK || bound)
		return st;
	error_set(err, ERR_UNAVAILABLE, "somebody else came first in this very moment");
	return DB_RETRY;
}

/* ---- purge ---- */

DB_SQL(SQL_PURGE_SESSIONS, "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE created_at < $1 ORDER BY created_at LIMIT $2)");
DB_SQL(SQL_PURGE_TOKENS, "DELETE FROM tokens WHERE hash IN (SELECT hash FROM tokens WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)");
DB_SQL(SQL_PURGE_TICKETS, "DELETE FROM tickets WHERE hash IN (SELECT hash FROM tickets WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)");
DB_SQL(SQL_PURGE_LOGINS, "DELETE FROM logins WHERE session_id IN (SELECT session_id FROM logins WHERE time < $1 ORDER BY time LIMIT $2)");
DB_SQL(SQL_PURGE_BROWSERS, "DELETE FROM browsers WHERE seen_at < $1");

enum db_status store_purge(struct db_conn *c, const struct purge_before *b, size_t max, bool *more, struct error *err)
{
	const struct {
		const struct db_sql *sql;
		int64_t before;
	} rows[] = {
		{&SQL_PURGE_SESSIONS, b->sessions},
		{&SQL_PURGE_TOKENS, b->tokens},
		{&SQL_PURGE_TICKETS, b->tickets},
		{&SQL_PURGE_LOGINS, b->logins},
	};
	*more = false;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int64_t count = 0;
		enum db_status st = db_run(c, rows[i].sql, DB_ARGS(DB_INT(rows[i].before), DB_INT((int64_t)max)), &count, err);
		if (st != DB_OK)
			return st;
		*more |= count == (int64_t)max;
	}
	return db_run(c, &SQL_PURGE_BROWSERS, DB_ARGS(DB_INT(b->browsers)), NULL, err);
}
