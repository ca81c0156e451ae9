#include "oidc_store.h"

enum { KEPT_AFTER_MS = 24 * 60 * 60 * 1000 /* how long what is over can still be told from what never was */ };

#define GRANT_COLUMNS                                                                                                          \
	"g.id, g.client_id, g.user_id, g.username, g.public_key, g.role, g.nonce, g.scopes, g.login_at, g.created_at, g.revoked_at, g.login_hash," \
	" CASE WHEN l.id IS NULL THEN 0 ELSE 1 END"
enum { GRANT_COLUMN_COUNT = 13 };
/* The login it rests on, while it counts. */
#define LOGIN_JOIN " LEFT JOIN sessions l ON l.desktop_hash = g.login_hash AND l.user_id IS NOT NULL AND l.token_expires_at > $1"

DB_SQL(SQL_GRANT_INSERT, "INSERT INTO oidc_grants (id, client_id, user_id, username, public_key, role, nonce, scopes, login_hash, login_at, created_at)"
			 " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)");
DB_SQL(SQL_GRANT_REVOKE, "UPDATE oidc_grants SET revoked_at = $1 WHERE id = $2 AND revoked_at IS NULL");
DB_SQL(SQL_GRANTS_REVOKE_OF, "UPDATE oidc_grants SET revoked_at = $1 WHERE user_id = $2 AND revoked_at IS NULL");
DB_SQL(SQL_GRANT_SET_ROLE, "UPDATE oidc_grants SET role = $1 WHERE id = $2");
DB_SQL(SQL_CODE_INSERT, "INSERT INTO oidc_codes (hash, grant_id, redirect_uri, challenge, expires_at) VALUES ($1, $2, $3, $4, $5)");
DB_SQL(SQL_CODE, "SELECT " GRANT_COLUMNS ", c.redirect_uri, c.challenge, c.expires_at, c.used_at"
		 " FROM oidc_codes c JOIN oidc_grants g ON g.id = c.grant_id" LOGIN_JOIN " WHERE c.hash = $2");
DB_SQL(SQL_CODE_USE, "UPDATE oidc_codes SET used_at = $1 WHERE hash = $2 AND used_at IS NULL AND expires_at > $1"
		     " AND EXISTS (SELECT 1 FROM oidc_grants g WHERE g.id = oidc_codes.grant_id AND g.revoked_at IS NULL)");
DB_SQL(SQL_TOKEN_INSERT, "INSERT INTO oidc_tokens (hash, kind, grant_id, scopes, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)");
DB_SQL(SQL_TOKEN, "SELECT " GRANT_COLUMNS ", t.kind, t.scopes, t.created_at, t.expires_at, t.used_at"
		  " FROM oidc_tokens t JOIN oidc_grants g ON g.id = t.grant_id" LOGIN_JOIN " WHERE t.hash = $2");
DB_SQL(SQL_REFRESH_USE, "UPDATE oidc_tokens SET used_at = $1 WHERE hash = $2 AND kind = 'refresh' AND used_at IS NULL AND expires_at > $1"
			" AND EXISTS (SELECT 1 FROM oidc_grants g WHERE g.id = oidc_tokens.grant_id AND g.revoked_at IS NULL)");
DB_SQL(SQL_TOKEN_DELETE, "DELETE FROM oidc_tokens WHERE hash = $1");
DB_SQL(SQL_DEVICE_INSERT, "INSERT INTO oidc_devices (hash, user_code_hash, client_id, scopes, status, interval_ms, ip, created_at, expires_at)"
			  " VALUES ($1, $2, $3, $4, 'pending', $5, $6, $7, $8) ON CONFLICT DO NOTHING");
DB_SQL(SQL_DEVICES_COUNT, "SELECT COUNT(*), COUNT(CASE WHEN ip = $1 THEN 1 END) FROM oidc_devices WHERE expires_at > $2");
#define DEVICE_COLUMNS "d.hash, d.client_id, d.scopes, d.status, d.interval_ms, d.polled_at, d.expires_at, d.ip"
enum { DEVICE_COLUMN_COUNT = 8 };
DB_SQL(SQL_DEVICE, "SELECT " DEVICE_COLUMNS ", " GRANT_COLUMNS
		   " FROM oidc_devices d LEFT JOIN oidc_grants g ON g.id = d.grant_id" LOGIN_JOIN " WHERE d.hash = $2");
DB_SQL(SQL_DEVICE_BY_USER_CODE, "SELECT " DEVICE_COLUMNS " FROM oidc_devices d WHERE d.user_code_hash = $1 AND d.status = 'pending' AND d.expires_at > $2");
DB_SQL(SQL_DEVICE_POLLED, "UPDATE oidc_devices SET interval_ms = $1, polled_at = $2 WHERE hash = $3 AND status = 'pending'");
DB_SQL(SQL_DEVICE_APPROVE, "UPDATE oidc_devices SET status = 'approved', grant_id = $1 WHERE hash = $2 AND status = 'pending' AND expires_at > $3");
DB_SQL(SQL_DEVICE_DENY, "UPDATE oidc_devices SET status = 'denied' WHERE hash = $1 AND status = 'pending' AND expires_at > $2");
DB_SQL(SQL_DEVICE_USE, "UPDATE oidc_devices SET status = 'used' WHERE hash = $1 AND status = 'approved'"
		       " AND EXISTS (SELECT 1 FROM oidc_grants g WHERE g.id = oidc_devices.grant_id AND g.revoked_at IS NULL)");
/* Also locks the row, so that tries at several instances are counted one after the other. */
DB_SQL(SQL_TRIES, "INSERT INTO oidc_tries (user_id, since, count) VALUES ($1, 0, 0) ON CONFLICT (user_id) DO UPDATE SET count = oidc_tries.count"
		  " RETURNING since, count");
DB_SQL(SQL_TRIES_WRITE, "UPDATE oidc_tries SET since = $1, count = $2 WHERE user_id = $3");
DB_SQL(SQL_CONSENT, "SELECT scopes FROM oidc_consents WHERE user_id = $1 AND client_id = $2");
DB_SQL(SQL_CONSENT_ADD, "INSERT INTO oidc_consents (user_id, client_id, scopes, given_at) VALUES ($1, $2, $3, $4)"
			" ON CONFLICT (user_id, client_id) DO UPDATE SET scopes = oidc_consents.scopes | excluded.scopes, given_at = excluded.given_at");
DB_SQL(SQL_KEY_INSERT, "INSERT INTO oidc_keys (kid, jwk, expires_at) VALUES ($1, $2, $3) ON CONFLICT (kid) DO UPDATE SET expires_at = excluded.expires_at");
DB_SQL(SQL_KEYS, "SELECT kid, jwk, expires_at FROM oidc_keys WHERE expires_at > $1 ORDER BY expires_at, kid");
DB_SQL(SQL_KEY, "SELECT jwk FROM oidc_keys WHERE kid = $1 AND expires_at > $2");
DB_SQL(SQL_FORWARD_INSERT, "INSERT INTO oidc_forwards (hash, login_hash, expires_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING");
DB_SQL(SQL_FORWARD, "SELECT login_hash FROM oidc_forwards WHERE hash = $1");
DB_SQL(SQL_PURGE_FORWARDS, "DELETE FROM oidc_forwards WHERE expires_at < $1");
DB_SQL(SQL_PURGE_CODES, "DELETE FROM oidc_codes WHERE expires_at < $1");
DB_SQL(SQL_PURGE_TOKENS, "DELETE FROM oidc_tokens WHERE expires_at < $1");
DB_SQL(SQL_PURGE_DEVICES, "DELETE FROM oidc_devices WHERE expires_at < $1");
DB_SQL(SQL_PURGE_TRIES, "DELETE FROM oidc_tries WHERE since < $1");
DB_SQL(SQL_PURGE_KEYS, "DELETE FROM oidc_keys WHERE expires_at < $1");
DB_SQL(SQL_PURGE_GRANTS, "DELETE FROM oidc_grants WHERE created_at < $1 AND NOT EXISTS (SELECT 1 FROM oidc_codes c WHERE c.grant_id = oidc_grants.id)"
			 " AND NOT EXISTS (SELECT 1 FROM oidc_tokens t WHERE t.grant_id = oidc_grants.id)"
			 " AND NOT EXISTS (SELECT 1 FROM oidc_devices d WHERE d.grant_id = oidc_grants.id)");

/* ---- helpers ---- */

static struct db_value hash_value(const struct hash *h)
{
	return DB_BLOB(h->b, HASH_SIZE);
}

static struct str copy(struct db_rows *rows, int column, struct arena *arena)
{
	return arena_copy(arena, db_text(rows, column));
}

static bool read_hash(struct db_rows *rows, int column, struct hash *out)
{
	struct str s = db_blob(rows, column);
	if (s.n != HASH_SIZE)
		return false;
	memcpy(out->b, s.p, HASH_SIZE);
	return true;
}

static enum db_status run_won(struct db_conn *c, const struct db_sql *sql, struct db_args args, bool *won, struct error *err)
{
	int64_t changed = 0;
	enum db_status st = db_run(c, sql, args, &changed, err);
	*won = st == DB_OK && changed == 1;
	return st;
}

/* A query of at most one row, for its reader. */
typedef bool read_row_fn(struct db_rows *rows, struct arena *arena, void *out);
static enum db_status read_one(struct db_conn *c, const struct db_sql *sql, struct db_args args, read_row_fn *read, struct arena *arena, void *out, bool *found,
			       struct error *err)
{
	struct db_rows *rows;
	enum db_status st = db_query(c, sql, args, &rows, err);
	*found = false;
	if (st != DB_OK)
		return st;
	*found = db_next(rows);
	bool sound = !*found || read(rows, arena, out);
	st = db_finish(rows, err);
	if (st != DB_OK || sound)
		return st;
	error_set(err, ERR_CORRUPT, "a row of the identity database cannot be read");
	return DB_BROKEN;
}

static bool read_grant(struct db_rows *rows, int at, struct arena *arena, struct grant_row *g)
{
	*g = (struct grant_row){
		.id = copy(rows, at, arena),
		.client_id = copy(rows, at + 1, arena),
		.user_id = copy(rows, at + 2, arena),
		.username = copy(rows, at + 3, arena),
		.public_key = copy(rows, at + 4, arena),
		.role = copy(rows, at + 5, arena),
		.nonce = copy(rows, at + 6, arena),
		.scopes = (unsigned)db_int(rows, at + 7),
		.login_at = db_int(rows, at + 8),
		.created_at = db_int(rows, at + 9),
		.revoked_at = db_int(rows, at + 10),
		.login_alive = db_int(rows, at + 12) != 0,
	};
	return str_present(g->id) && read_hash(rows, at + 11, &g->login);
}

/* ---- grants and what comes of them ---- */

enum db_status oidc_grant_insert(struct db_conn *c, const struct grant_row *g, int64_t now, struct error *err)
{
	return db_run(c, &SQL_GRANT_INSERT,
		      DB_ARGS(DB_TEXT(g->id), DB_TEXT(g->client_id), DB_TEXT(g->user_id), DB_TEXT(g->username), DB_TEXT(g->public_key), DB_TEXT(g->role),
			      DB_TEXT(g->nonce), DB_INT(g->scopes), hash_value(&g->login), DB_INT(g->login_at), DB_INT(now)),
		      NULL, err);
}

enum db_status oidc_grant_revoke(struct db_conn *c, struct str grant_id, int64_t now, struct error *err)
{
	return db_run(c, &SQL_GRANT_REVOKE, DB_ARGS(DB_INT(now), DB_TEXT(grant_id)), NULL, err);
}

enum db_status oidc_grants_revoke_of(struct db_conn *c, struct str user_id, int64_t now, struct error *err)
{
	return db_run(c, &SQL_GRANTS_REVOKE_OF, DB_ARGS(DB_INT(now), DB_TEXT(user_id)), NULL, err);
}

enum db_status oidc_grant_set_role(struct db_conn *c, struct str grant_id, struct str role, struct error *err)
{
	return db_run(c, &SQL_GRANT_SET_ROLE, DB_ARGS(DB_TEXT(role), DB_TEXT(grant_id)), NULL, err);
}

enum db_status oidc_code_insert(struct db_conn *c, const struct hash *code, struct str grant_id, struct str redirect_uri, struct str challenge, int64_t expires_at,
				struct error *err)
{
	return db_run(c, &SQL_CODE_INSERT, DB_ARGS(hash_value(code), DB_TEXT(grant_id), DB_TEXT(redirect_uri), DB_TEXT(challenge), DB_INT(expires_at)), NULL,
		      err);
}

static bool read_code_row(struct db_rows *rows, struct arena *arena, void *out)
{
	struct code_row *c = out;
	bool ok = read_grant(rows, 0, arena, &c->grant);
	c->redirect_uri = copy(rows, GRANT_COLUMN_COUNT, arena);
	c->challenge = copy(rows, GRANT_COLUMN_COUNT + 1, arena);
	c->expires_at = db_int(rows, GRANT_COLUMN_COUNT + 2);
	c->used_at = db_int(rows, GRANT_COLUMN_COUNT + 3);
	return ok && str_present(c->redirect_uri);
}

enum db_status oidc_code_read(struct db_conn *c, const struct hash *code, int64_t now, struct arena *arena, struct code_row *out, bool *found, struct error *err)
{
	return read_one(c, &SQL_CODE, DB_ARGS(DB_INT(now), hash_value(code)), read_code_row, arena, out, found, err);
}

enum db_status oidc_code_use(struct db_conn *c, const struct hash *code, int64_t now, bool *won, struct error *err)
{
	return run_won(c, &SQL_CODE_USE, DB_ARGS(DB_INT(now), hash_value(code)), won, err);
}

enum db_status oidc_token_insert(struct db_conn *c, const struct oidc_token_row *t, struct error *err)
{
	struct str kind = t->kind == OIDC_ACCESS ? STR_LIT("access") : STR_LIT("refresh");
	return db_run(c, &SQL_TOKEN_INSERT,
		      DB_ARGS(hash_value(&t->hash), DB_TEXT(kind), DB_TEXT(t->grant.id), DB_INT(t->scopes), DB_INT(t->created_at), DB_INT(t->expires_at)), NULL, err);
}

static bool read_token_row(struct db_rows *rows, struct arena *arena, void *out)
{
	struct oidc_token_row *t = out;
	bool ok = read_grant(rows, 0, arena, &t->grant);
	t->kind = str_is(db_text(rows, GRANT_COLUMN_COUNT), "refresh") ? OIDC_REFRESH : OIDC_ACCESS;
	t->scopes = (unsigned)db_int(rows, GRANT_COLUMN_COUNT + 1);
	t->created_at = db_int(rows, GRANT_COLUMN_COUNT + 2);
	t->expires_at = db_int(rows, GRANT_COLUMN_COUNT + 3);
	t->used_at = db_int(rows, GRANT_COLUMN_COUNT + 4);
	return ok;
}

enum db_status oidc_token_read(struct db_conn *c, const struct hash *token, int64_t now, struct arena *arena, struct oidc_token_row *out, bool *found,
			       struct error *err)
{
	out->hash = *token;
	return read_one(c, &SQL_TOKEN, DB_ARGS(DB_INT(now), hash_value(token)), read_token_row, arena, out, found, err);
}

enum db_status oidc_refresh_use(struct db_conn *c, const struct hash *token, int64_t now, bool *won, struct error *err)
{
	return run_won(c, &SQL_REFRESH_USE, DB_ARGS(DB_INT(now), hash_value(token)), won, err);
}

enum db_status oidc_token_delete(struct db_conn *c, const struct hash *token, struct error *err)
{
	return db_run(c, &SQL_TOKEN_DELETE, DB_ARGS(hash_value(token)), NULL, err);
}

/* ---- devices ---- */

enum db_status oidc_device_insert(struct db_conn *c, const struct device_row *d, const struct hash *user_code, struct str ip, int64_t now, bool *won, struct error *err)
{
	return run_won(c, &SQL_DEVICE_INSERT,
		       DB_ARGS(hash_value(&d->hash), hash_value(user_code), DB_TEXT(d->client_id), DB_INT(d->scopes), DB_INT(d->interval_ms), DB_TEXT(ip),
			       DB_INT(now), DB_INT(d->expires_at)),
		       won, err);
}

enum db_status oidc_devices_count(struct db_conn *c, struct str ip, int64_t now, int64_t *all, int64_t *from_ip, struct error *err)
{
	struct db_rows *rows;
	enum db_status st = db_query(c, &SQL_DEVICES_COUNT, DB_ARGS(DB_TEXT(ip), DB_INT(now)), &rows, err);
	if (st != DB_OK)
		return st;
	bool any = db_next(rows);
	*all = any ? db_int(rows, 0) : 0;
	*from_ip = any ? db_int(rows, 1) : 0;
	return db_finish(rows, err);
}

static bool read_device(struct db_rows *rows, struct arena *arena, struct device_row *d)
{
	*d = (struct device_row){
		.client_id = copy(rows, 1, arena),
		.scopes = (unsigned)db_int(rows, 2),
		.interval_ms = db_int(rows, 4),
		.polled_at = db_int(rows, 5),
		.expires_at = db_int(rows, 6),
	};
	return read_hash(rows, 0, &d->hash) && device_status_from_text(db_text(rows, 3), &d->status);
}

static bool read_device_row(struct db_rows *rows, struct arena *arena, void *out)
{
	struct device_row *d = out;
	if (!read_device(rows, arena, d))
		return false;
	return db_is_null(rows, DEVICE_COLUMN_COUNT) || read_grant(rows, DEVICE_COLUMN_COUNT, arena, &d->grant);
}

enum db_status oidc_device_read(struct db_conn *c, const struct hash *code, int64_t now, struct arena *arena, struct device_row *out, bool *found, struct error *err)
{
	return read_one(c, &SQL_DEVICE, DB_ARGS(DB_INT(now), hash_value(code)), read_device_row, arena, out, found, err);
}

struct waiting_device {
	struct device_row *device;
	struct str *ip;
};

static bool read_waiting_row(struct db_rows *rows, struct arena *arena, void *out)
{
	struct waiting_device *w = out;
	*w->ip = copy(rows, DEVICE_COLUMN_COUNT - 1, arena);
	return read_device(rows, arena, w->device);
}

enum db_status oidc_device_by_user_code(struct db_conn *c, const struct hash *user_code, int64_t now, struct arena *arena, struct device_row *out, struct str *ip,
					bool *found, struct error *err)
{
	struct waiting_device w = {.device = out, .ip = ip};
	return read_one(c, &SQL_DEVICE_BY_USER_CODE, DB_ARGS(hash_value(user_code), DB_INT(now)), read_waiting_row, arena, &w, found, err);
}

enum db_status oidc_device_polled(struct db_conn *c, const struct hash *code, int64_t interval_ms, int64_t now, struct error *err)
{
	return db_run(c, &SQL_DEVICE_POLLED, DB_ARGS(DB_INT(interval_ms), DB_INT(now), hash_value(code)), NULL, err);
}

enum db_status oidc_device_decide(struct db_conn *c, const struct hash *code, struct str grant_id, int64_t now, bool *won, struct error *err)
{
	if (str_present(grant_id))
		return run_won(c, &SQL_DEVICE_APPROVE, DB_ARGS(DB_TEXT(grant_id), hash_value(code), DB_INT(now)), won, err);
	return run_won(c, &SQL_DEVICE_DENY, DB_ARGS(hash_value(code), DB_INT(now)), won, err);
}

enum db_status oidc_device_use(struct db_conn *c, const struct hash *code, bool *won, struct error *err)
{
	return run_won(c, &SQL_DEVICE_USE, DB_ARGS(hash_value(code)), won, err);
}

static bool read_tries(struct db_rows *rows, struct arena *arena, void *out)
{
	(void)arena;
	*(struct user_code_tries *)out = (struct user_code_tries){.since = db_int(rows, 0), .count = db_int(rows, 1)};
	return true;
}

enum db_status oidc_tries_lock(struct db_conn *c, struct str user_id, struct user_code_tries *out, struct error *err)
{
	bool found;
	*out = (struct user_code_tries){.count = 0};
	return read_one(c, &SQL_TRIES, DB_ARGS(DB_TEXT(user_id)), read_tries, NULL, out, &found, err);
}

enum db_status oidc_tries_write(struct db_conn *c, struct str user_id, const struct user_code_tries *t, struct error *err)
{
	return db_run(c, &SQL_TRIES_WRITE, DB_ARGS(DB_INT(t->since), DB_INT(t->count), DB_TEXT(user_id)), NULL, err);
}

/* ---- consents ---- */

static bool read_scopes(struct db_rows *rows, struct arena *arena, void *out)
{
	(void)arena;
	*(unsigned *)out = (unsigned)db_int(rows, 0);
	return true;
}

enum db_status oidc_consent_read(struct db_conn *c, struct str user_id, struct str client_id, unsigned *scopes, struct error *err)
{
	bool found;
	*scopes = 0;
	return read_one(c, &SQL_CONSENT, DB_ARGS(DB_TEXT(user_id), DB_TEXT(client_id)), read_scopes, NULL, scopes, &found, err);
}

enum db_status oidc_consent_add(struct db_conn *c, struct str user_id, struct str client_id, unsigned scopes, int64_t now, struct error *err)
{
	return db_run(c, &SQL_CONSENT_ADD, DB_ARGS(DB_TEXT(user_id), DB_TEXT(client_id), DB_INT(scopes), DB_INT(now)), NULL, err);
}

/* ---- what proxies show ---- */

enum db_status oidc_forward_insert(struct db_conn *c, const struct hash *forward, const struct hash *login, int64_t expires_at, struct error *err)
{
	return db_run(c, &SQL_FORWARD_INSERT, DB_ARGS(hash_value(forward), hash_value(login), DB_INT(expires_at)), NULL, err);
}

static bool read_hash_row(struct db_rows *rows, struct arena *arena, void *out)
{
	(void)arena;
	return read_hash(rows, 0, out);
}

enum db_status oidc_forward_read(struct db_conn *c, const struct hash *forward, struct hash *login, bool *found, struct error *err)
{
	return read_one(c, &SQL_FORWARD, DB_ARGS(hash_value(forward)), read_hash_row, NULL, login, found, err);
}

/* ---- keys ---- */

enum db_status oidc_key_insert(struct db_conn *c, const struct oidc_key_row *k, struct error *err)
{
	return db_run(c, &SQL_KEY_INSERT, DB_ARGS(DB_TEXT(k->kid), DB_TEXT(k->jwk), DB_INT(k->expires_at)), NULL, err);
}

enum db_status oidc_keys_each(struct db_conn *c, int64_t now, oidc_key_fn *fn, void *ctx, struct error *err)
{
	struct db_rows *rows;
	enum db_status st = db_query(c, &SQL_KEYS, DB_ARGS(DB_INT(now)), &rows, err);
	if (st != DB_OK)
		return st;
	while (db_next(rows)) {
		struct oidc_key_row k = {.kid = db_text(rows, 0), .jwk = db_text(rows, 1), .expires_at = db_int(rows, 2)};
		fn(ctx, &k);
	}
	return db_finish(rows, err);
}

static bool read_text_row(struct db_rows *rows, struct arena *arena, void *out)
{
	*(struct str *)out = copy(rows, 0, arena);
	return true;
}

enum db_status oidc_key_read(struct db_conn *c, struct str kid, int64_t now, struct arena *arena, struct str *jwk, struct error *err)
{
	bool found;
	*jwk = STR_NONE;
	return read_one(c, &SQL_KEY, DB_ARGS(DB_TEXT(kid), DB_INT(now)), read_text_row, arena, jwk, &found, err);
}

/* ---- upkeep ---- */

enum db_status oidc_purge(struct db_conn *c, int64_t now, struct error *err)
{
	static const struct db_sql *const over[] = {&SQL_PURGE_CODES, &SQL_PURGE_TOKENS, &SQL_PURGE_DEVICES, &SQL_PURGE_TRIES, &SQL_PURGE_GRANTS,
						    &SQL_PURGE_FORWARDS};
	enum db_status st = db_run(c, &SQL_PURGE_KEYS, DB_ARGS(DB_INT(now)), NULL, err);
	for (size_t i = 0; st == DB_OK && i < ARRAY_LEN(over); i++)
		st = db_run(c, over[i], DB_ARGS(DB_INT(now - KEPT_AFTER_MS)), NULL, err);
	return st;
}
