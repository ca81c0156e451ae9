#include "session_store.h"

#define SESSION_COLUMNS                                                                                                        \
	"id, status, challenge, poll_hash, app_name, app_icon, app_origin, client_id, return_url, desktop_ip, desktop_agent, browser_hash,"            \
	" match_code, match_choices, created_at, expires_at, scanned_at, ended_at, token_expires_at, user_id, username, public_key, role,"             \
	" CASE WHEN user_id IS NOT NULL AND desktop_hash IS NOT NULL THEN 1 ELSE 0 END"
#define TOKEN_COLUMNS(kind)                                                                                                    \
	"'" kind "', " kind "_hash, id, user_id, username, public_key, role, app_name, app_origin, client_id, " kind "_ip, " kind "_agent, ended_at,"  \
	" token_expires_at"

DB_SQL(SQL_SESSION, "SELECT " SESSION_COLUMNS " FROM sessions WHERE id = $1");
DB_SQL(SQL_SESSION_INSERT,
       "INSERT INTO sessions (id, status, challenge, poll_hash, desktop_hash, app_name, app_icon, app_origin, client_id, return_url, desktop_ip,"
       " desktop_agent, browser_hash, match_code, match_choices, created_at, expires_at)"
       " VALUES ($1, 'waiting', $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)");
DB_SQL(SQL_OPEN_COUNT, "SELECT COUNT(*) FROM sessions WHERE ended_at IS NULL AND expires_at > $1");
/* One conditional update a change: of two that come at once one finds the row as it was. */
DB_SQL(SQL_SCAN, "UPDATE sessions SET status = 'scanned', scanned_at = $1 WHERE id = $2 AND status = 'waiting' AND expires_at > $1 RETURNING " SESSION_COLUMNS);
DB_SQL(SQL_REJECT, "UPDATE sessions SET status = 'rejected', ended_at = $1 WHERE id = $2 AND ended_at IS NULL AND expires_at > $1"
		   " RETURNING " SESSION_COLUMNS);
DB_SQL(SQL_APPROVE,
       "UPDATE sessions SET status = 'approved', ended_at = $1, user_id = $2, username = $3, public_key = $4, role = $5, phone_hash = $6, phone_ip = $7,"
       " phone_agent = $8, token_expires_at = $9 WHERE id = $10 AND ended_at IS NULL AND expires_at > $1");
DB_SQL(SQL_EXPIRE, "UPDATE sessions SET status = 'expired', ended_at = $1 WHERE ended_at IS NULL AND expires_at <= $1 RETURNING id");
DB_SQL(SQL_NEXT_EXPIRY, "SELECT MIN(expires_at) FROM sessions WHERE ended_at IS NULL");
/* By its session first: who shows a phone's token then asks nothing of the index of the desktops'. */
DB_SQL(SQL_TOKEN, "SELECT " TOKEN_COLUMNS("phone") " FROM sessions WHERE phone_hash = $1 AND id = $2 AND user_id IS NOT NULL"
		  " UNION ALL SELECT " TOKEN_COLUMNS("desktop") " FROM sessions WHERE desktop_hash = $1 AND user_id IS NOT NULL LIMIT 1");
#define TOKENS_OF(kind)                                                                                                        \
	"SELECT " TOKEN_COLUMNS(kind) " FROM sessions WHERE user_id = $1 AND " kind "_hash IS NOT NULL AND token_expires_at > $2" \
	" ORDER BY ended_at DESC LIMIT $3"
DB_SQL(SQL_DESKTOPS_OF, TOKENS_OF("desktop"));
DB_SQL(SQL_PHONES_OF, TOKENS_OF("phone"));
DB_SQL(SQL_DESKTOP_END, "UPDATE sessions SET desktop_hash = NULL WHERE desktop_hash = $1 AND user_id IS NOT NULL");
DB_SQL(SQL_PHONE_END, "UPDATE sessions SET phone_hash = NULL WHERE id = $1 AND phone_hash = $2");
DB_SQL(SQL_DESKTOPS_END, "UPDATE sessions SET desktop_hash = NULL WHERE user_id = $1 AND desktop_hash IS NOT NULL");
DB_SQL(SQL_PHONES_END, "UPDATE sessions SET phone_hash = NULL WHERE user_id = $1 AND phone_hash IS NOT NULL");
DB_SQL(SQL_TICKET_INSERT, "INSERT INTO tickets (hash, session_id, sealed, expires_at) VALUES ($1, $2, $3, $4)");
DB_SQL(SQL_TICKET_TAKE, "DELETE FROM tickets WHERE hash = $1 AND session_id = $2 RETURNING sealed, expires_at");
DB_SQL(SQL_LOGINS_OF, "SELECT ended_at, app_name, app_origin, client_id, desktop_ip, desktop_agent, public_key FROM sessions"
		      " WHERE user_id = $1 ORDER BY ended_at DESC LIMIT $2");
DB_SQL(SQL_BROWSER_KNOWN, "SELECT 1 FROM browsers WHERE user_id = $1 AND browser_hash = $2");
DB_SQL(SQL_BROWSER_SEEN, "INSERT INTO browsers (user_id, browser_hash, seen_at) VALUES ($1, $2, $3)"
			 " ON CONFLICT (user_id, browser_hash) DO UPDATE SET seen_at = excluded.seen_at");
DB_SQL(SQL_FIRST_KEY_ADD, "INSERT INTO first_keys (user_id, username, public_key, bound_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING");
DB_SQL(SQL_FIRST_KEY, "SELECT username, public_key FROM first_keys WHERE user_id = $1");
DB_SQL(SQL_FIRST_NAME, "SELECT user_id FROM first_keys WHERE username = $1");

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
		.app_name = copy(rows, 4, arena),
		.app_icon = copy(rows, 5, arena),
		.app_origin = copy(rows, 6, arena),
		.client_id = copy(rows, 7, arena),
		.return_url = copy(rows, 8, arena),
		.desktop_ip = copy(rows, 9, arena),
		.desktop_agent = copy(rows, 10, arena),
		.browser_hash = copy_bytes(rows, 11, arena),
		.match_code = db_is_null(rows, 12) ? -1 : db_int(rows, 12),
		.match_choices = copy(rows, 13, arena),
		.created_at = db_int(rows, 14),
		.expires_at = db_int(rows, 15),
		.scanned_at = db_int(rows, 16),
		.ended_at = db_int(rows, 17),
		.token_expires_at = db_int(rows, 18),
		.user_id = copy(rows, 19, arena),
		.username = copy(rows, 20, arena),
		.public_key = copy(rows, 21, arena),
		.role = copy(rows, 22, arena),
		.desktop_counts = db_int(rows, 23) != 0,
	};
	return session_status_from_text(db_text(rows, 1), &out->status) && read_hash(rows, 3, &out->poll_hash);
}

/* A statement that gives one session's row, or none. */
static enum db_status one_session(struct db_conn *c, const struct db_sql *sql, struct db_args args, struct arena *arena, struct session_row *out, bool *found,
				  struct error *err)
{
	struct db_rows *rows;
	bool readable = true;
	*found = false;
	enum db_status st = db_query(c, sql, args, &rows, err);
	if (st != DB_OK)
		return st;
	*found = db_next(rows);
	if (*found)
		readable = read_session_row(rows, arena, out);
	st = db_finish(rows, err);
	return st == DB_OK && !readable ? unreadable(err) : st;
}

enum db_status session_read(struct db_conn *c, struct str id, struct arena *arena, struct session_row *out, bool *found, struct error *err)
{
	*found = false;
	return session_id_valid(id) ? one_session(c, &SQL_SESSION, DB_ARGS(DB_TEXT(id)), arena, out, found, err) : DB_OK;
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

enum db_status session_scan(struct db_conn *c, struct str id, int64_t now, struct arena *arena, struct session_row *out, bool *won, struct error *err)
{
	return one_session(c, &SQL_SCAN, DB_ARGS(DB_INT(now), DB_TEXT(id)), arena, out, won, err);
}

enum db_status session_reject(struct db_conn *c, struct str id, int64_t now, struct arena *arena, struct session_row *out, bool *won, struct error *err)
{
	return one_session(c, &SQL_REJECT, DB_ARGS(DB_INT(now), DB_TEXT(id)), arena, out, won, err);
}

enum db_status session_approve(struct db_conn *c, const struct session_row *s, int64_t now, bool *won, struct error *err)
{
	return run_change(c, &SQL_APPROVE,
			  DB_ARGS(DB_INT(now), DB_TEXT(s->user_id), DB_TEXT(s->username), DB_TEXT(s->public_key), DB_TEXT(s->role), hash_value(&s->phone_hash),
				  DB_TEXT(s->phone_ip), DB_TEXT(s->phone_agent), DB_INT(s->token_expires_at), DB_TEXT(s->id)),
			  won, err);
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
		.kind = str_is(db_text(rows, 0), "phone") ? TOKEN_PHONE : TOKEN_DESKTOP,
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
	return read_hash(rows, 1, &out->hash);
}

enum db_status token_read(struct db_conn *c, const struct hash *hash, struct str named, struct arena *arena, struct token_row *out, bool *found,
			  struct error *err)
{
	struct db_rows *rows;
	bool readable = true;
	enum db_status st = db_query(c, &SQL_TOKEN, DB_ARGS(hash_value(hash), DB_TEXT(named)), &rows, err);
	if (st != DB_OK)
		return st;
	*found = db_next(rows);
	if (*found)
		readable = read_token_row(rows, arena, out);
	st = db_finish(rows, err);
	return st == DB_OK && !readable ? unreadable(err) : st;
}

static enum db_status add_tokens(struct db_conn *c, const struct db_sql *sql, struct str user_id, int64_t now, struct arena *arena, struct token_row *out,
				 size_t max, size_t *count, struct error *err)
{
	struct db_rows *rows;
	bool readable = true;
	enum db_status st = db_query(c, sql, DB_ARGS(DB_TEXT(user_id), DB_INT(now), DB_INT((int64_t)(max - *count))), &rows, err);
	if (st != DB_OK)
		return st;
	while (readable && *count < max && db_next(rows))
		readable = read_token_row(rows, arena, &out[(*count)++]);
	st = db_finish(rows, err);
	return st == DB_OK && !readable ? unreadable(err) : st;
}

enum db_status tokens_of(struct db_conn *c, struct str user_id, int64_t now, struct arena *arena, struct token_row *out, size_t max, size_t *count,
			 struct error *err)
{
	*count = 0;
	enum db_status st = add_tokens(c, &SQL_DESKTOPS_OF, user_id, now, arena, out, max / 2, count, err);
	return st == DB_OK ? add_tokens(c, &SQL_PHONES_OF, user_id, now, arena, out, max, count, err) : st;
}

enum db_status token_delete(struct db_conn *c, const struct hash *hash, struct str session_id, bool *was, struct error *err)
{
	enum db_status st = run_change(c, &SQL_DESKTOP_END, DB_ARGS(hash_value(hash)), was, err);
	if (st != DB_OK || *was || !str_present(session_id))
		return st;
	return run_change(c, &SQL_PHONE_END, DB_ARGS(DB_TEXT(session_id), hash_value(hash)), was, err);
}

enum db_status tokens_delete(struct db_conn *c, struct str user_id, int64_t *count, struct error *err)
{
	int64_t desktops = 0, phones = 0;
	enum db_status st = db_run(c, &SQL_DESKTOPS_END, DB_ARGS(DB_TEXT(user_id)), &desktops, err);
	if (st == DB_OK)
		st = db_run(c, &SQL_PHONES_END, DB_ARGS(DB_TEXT(user_id)), &phones, err);
	*count = desktops + phones;
	return st;
}

/* ---- tickets ---- */

enum db_status ticket_insert(struct db_conn *c, const struct hash *ticket, struct str session_id, const struct hash *sealed, int64_t expires_at,
			     struct error *err)
{
	return db_run(c, &SQL_TICKET_INSERT, DB_ARGS(hash_value(ticket), DB_TEXT(session_id), hash_value(sealed), DB_INT(expires_at)), NULL, err);
}

enum db_status ticket_take(struct db_conn *c, const struct hash *ticket, struct str session_id, int64_t now, struct hash *sealed, int64_t *expires_at,
			   bool *found, struct error *err)
{
	struct db_rows *rows;
	*found = false;
	enum db_status st = db_query(c, &SQL_TICKET_TAKE, DB_ARGS(hash_value(ticket), DB_TEXT(session_id)), &rows, err);
	if (st != DB_OK)
		return st;
	if (db_next(rows)) {
		*expires_at = db_int(rows, 1);
		*found = read_hash(rows, 0, sealed) && *expires_at > now;
	}
	return db_finish(rows, err);
}

/* ---- what users see, browsers, first keys ---- */

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
	*out = (struct key_owner){0};
	enum db_status st = db_query(c, &SQL_FIRST_KEY, DB_ARGS(DB_TEXT(user_id)), &rows, err);
	if (st != DB_OK)
		return st;
	*free = !db_next(rows);
	if (!*free)
		*out = (struct key_owner){.username = copy(rows, 0, arena), .public_key = copy(rows, 1, arena)};
	st = db_finish(rows, err);
	if (st != DB_OK || !*free)
		return st;
	/* Nobody has the id: the name may be another's all the same. */
	st = db_query(c, &SQL_FIRST_NAME, DB_ARGS(DB_TEXT(username_bare(username))), &rows, err);
	if (st != DB_OK)
		return st;
	*free = !db_next(rows);
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

DB_SQL(SQL_PURGE_SESSIONS, "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE created_at >= $1 AND created_at < $2 AND user_id IS NULL"
			   " ORDER BY created_at LIMIT $3)");
DB_SQL(SQL_PURGE_LOGINS, "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE created_at < $1 ORDER BY created_at LIMIT $2)");
DB_SQL(SQL_PURGE_TICKETS, "DELETE FROM tickets WHERE hash IN (SELECT hash FROM tickets WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)");
DB_SQL(SQL_PURGE_BROWSERS, "DELETE FROM browsers WHERE seen_at < $1");

enum db_status store_purge(struct db_conn *c, const struct purge_before *b, size_t max, bool *more, struct error *err)
{
	const struct db_value limit = DB_INT((int64_t)max);
	const struct {
		const struct db_sql *sql;
		struct db_args args;
	} rows[] = {
		{&SQL_PURGE_SESSIONS, DB_ARGS(DB_INT(b->sessions_from), DB_INT(b->sessions), limit)},
		{&SQL_PURGE_LOGINS, DB_ARGS(DB_INT(b->logins), limit)},
		{&SQL_PURGE_TICKETS, DB_ARGS(DB_INT(b->tickets), limit)},
	};
	*more = false;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int64_t count = 0;
		enum db_status st = db_run(c, rows[i].sql, rows[i].args, &count, err);
		if (st != DB_OK)
			return st;
		*more |= count == (int64_t)max;
	}
	return db_run(c, &SQL_PURGE_BROWSERS, DB_ARGS(DB_INT(b->browsers)), NULL, err);
}
