/* Tokens: is one good, whose are there, and ending them. */
#include "api.h"
#include "base/clock.h"
#include "base/hex.h"
#include "login.h"
#include "notify.h"
#include "oidc_store.h"
#include "wire/identity.h"

enum { TOKEN_ID_BYTES = 8 /* of the token's hash: names it, and is of no other use */ };

static struct str token_id(struct http_request *r, const struct token_row *t)
{
	char text[2 * TOKEN_ID_BYTES + 1];
	hex_encode(text, t->hash.b, TOKEN_ID_BYTES);
	return arena_copy(http_arena(r), str_from(text));
}

struct http_reply *api_verify(struct http_request *r)
{
	struct token_row t;
	struct http_reply *reply;
	if (!login_of_bearer(r, &t, &reply))
		return reply;
	const struct identity_verified a = {.valid = JSON_TRUE,
					    .user_id = t.user_id,
					    .username = t.username,
					    .public_key = t.public_key,
					    .expires_at = api_time(r, t.expires_at),
					    .role = t.role,
					    .kind = str_from(token_kind_text(t.kind))};
	return http_reply_json(r, 200, &identity_verified_message, &a);
}

/* One's own tokens, into the request's arena. False: *reply is the refusal. */
static bool own_tokens(struct http_request *r, struct str user_id, struct token_row **out, size_t *count, struct http_reply **reply)
{
	struct identity *id = http_ctx(r);
	struct error err;
	*out = arena_zalloc(http_arena(r), IDENTITY_LIST_MAX, sizeof(**out));
	struct db_conn *c = db_pool_reader(id->pool, &err);
	bool ok = c && tokens_of(c, user_id, clock_wall_ms(), http_arena(r), *out, IDENTITY_LIST_MAX, count, &err) == DB_OK;
	if (c)
		db_pool_release(id->pool, c);
	if (!ok)
		*reply = http_reply_error(r, &err);
	return ok;
}

struct http_reply *api_tokens(struct http_request *r)
{
	struct token_row who, *rows;
	struct http_reply *reply;
	size_t count;
	if (!login_of_bearer(r, &who, &reply) || !own_tokens(r, who.user_id, &rows, &count, &reply))
		return reply;
	struct identity_token *list = arena_zalloc(http_arena(r), IDENTITY_LIST_MAX, sizeof(*list));
	for (size_t i = 0; i < count; i++)
		list[i] = (struct identity_token){.id = token_id(r, &rows[i]),
						  .kind = str_from(token_kind_text(rows[i].kind)),
						  .app_name = rows[i].app_name,
						  .app_origin = rows[i].app_origin,
						  .client_id = rows[i].client_id,
						  .ip = rows[i].ip,
						  .user_agent = rows[i].agent,
						  .created_at = api_time(r, rows[i].created_at),
						  .expires_at = api_time(r, rows[i].expires_at),
						  .current = hash_equal(&rows[i].hash, &who.hash) ? JSON_TRUE : JSON_FALSE};
	const struct identity_tokens a = {.sessions = {list, count}};
	return http_reply_json(r, 200, &identity_tokens_message, &a);
}

/* ---- revoking ---- */

struct revoke_job {
	struct db_job job; /* first: the pool's */
	struct http_request *request;
	bool all;
	struct str user_id;
	struct hash hash;
	struct str session_id;
	int64_t count;
};

static enum db_status run_revoke(struct db_job *job, struct db_conn *c, struct error *err)
{
	struct revoke_job *j = (struct revoke_job *)job;
	bool was = false;
	if (j->all) { /* also what applications were granted for longer than a login */
		enum db_status ended = oidc_grants_revoke_of(c, j->user_id, clock_wall_ms(), err);
		return ended == DB_OK ? tokens_delete(c, j->user_id, &j->count, err) : ended;
	}
	enum db_status st = token_delete(c, &j->hash, j->session_id, &was, err);
	j->count = was;
	return st;
}

static void revoke_done(struct db_job *job, enum db_status status, const struct error *err)
{
	struct revoke_job *j = (struct revoke_job *)job;
	const struct identity_revoked a = {.success = JSON_TRUE, .revoked = j->count};
	if (status == DB_OK)
		notify_tokens_ended(http_ctx(j->request), j->user_id);
	http_finish(j->request,
		    status == DB_OK ? http_reply_json(j->request, 200, &identity_revoked_message, &a) : http_reply_error(j->request, err));
}

/* Which of one's own has this id? */
static bool find_own(struct http_request *r, struct str user_id, struct str id, struct revoke_job *out, struct http_reply **reply)
{
	struct token_row *rows;
	size_t count;
	if (!own_tokens(r, user_id, &rows, &count, reply))
		return false;
	for (size_t i = 0; i < count; i++) {
		if (!str_equal(token_id(r, &rows[i]), id))
			continue;
		out->hash = rows[i].hash;
		out->session_id = rows[i].session_id;
		return true;
	}
	*reply = http_reply_error_code(r, ERR_NOT_FOUND, "none of your tokens has this id");
	return false;
}

struct http_reply *api_revoke(struct http_request *r)
{
	struct token_row who;
	struct http_reply *reply;
	struct identity_revoke body = {.all = JSON_BOOL_ABSENT};
	if (!login_of_bearer(r, &who, &reply))
		return reply;
	if (http_body(r).n > 0 && !http_read_body(r, &identity_revoke_message, &body, &reply))
		return reply;
	struct revoke_job *j = arena_zalloc(http_arena(r), 1, sizeof(*j));
	j->job = (struct db_job){.run = run_revoke, .done = revoke_done};
	j->request = r;
	j->all = body.all == JSON_TRUE;
	j->user_id = who.user_id;
	j->hash = who.hash;
	j->session_id = who.session_id;
	if (str_present(body.id) && !j->all && !find_own(r, who.user_id, body.id, j, &reply))
		return reply;
	return api_submit(r, &j->job);
}
