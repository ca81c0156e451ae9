/* What an access token opens: /userinfo. What clients ask about tokens of theirs: introspection (RFC 7662), and revocation (RFC 7009). */
#include "api_oidc.h"
#include "base/clock.h"
#include "secrets.h"

/* The token as it is kept. NULL, or the database's refusal. */
static struct http_reply *find_token(struct http_request *r, struct str text, int64_t now, struct oidc_token_row *out, bool *found)
{
	struct identity *id = http_ctx(r);
	struct error err;
	struct hash h;
	secret_hash(text, &h);
	struct db_conn *c = db_pool_reader(id->pool, &err);
	enum db_status st = c ? oidc_token_read(c, &h, now, http_arena(r), out, found, &err) : DB_UNAVAILABLE;
	if (c)
		db_pool_release(id->pool, c);
	return st == DB_OK ? NULL : http_reply_error(r, &err);
}

/* Does it count now? A refresh token that was used does not. */
static bool token_good(const struct oidc_token_row *t, int64_t now)
{
	struct error err;
	return t->expires_at > now && t->used_at == 0 && grant_good(&t->grant, &err);
}

/* ---- userinfo ---- */

static struct http_reply *unauthorized(struct http_request *r, enum error_code code, const char *why)
{
	struct http_reply *reply = http_reply_error_code(r, code, "%s", why);
	struct str challenge = code == ERR_UNAUTHENTICATED ? STR_LIT("Bearer realm=\"tana\"")
							   : arena_printf(http_arena(r), "Bearer realm=\"tana\", error=\"%s\"", error_code_text(code));
	return http_reply_header(reply, "WWW-Authenticate", challenge.p);
}

static struct http_reply *userinfo(struct http_request *r, struct str text)
{
	struct identity *id = http_ctx(r);
	struct oidc_token_row t;
	struct oidc_person person;
	int64_t now = clock_wall_ms();
	bool found = false;
	if (!str_present(text))
		return unauthorized(r, ERR_UNAUTHENTICATED, "an access token is needed: Authorization: Bearer tana_at_...");
	struct http_reply *failed = find_token(r, text, now, &t, &found);
	if (failed)
		return failed;
	if (!found || t.kind != OIDC_ACCESS || !token_good(&t, now))
		return unauthorized(r, ERR_INVALID_TOKEN, "this access token was never given, has expired, or was revoked");
	if (!(t.scopes & SCOPE_OPENID))
		return unauthorized(r, ERR_INSUFFICIENT_SCOPE, "this access token has not the scope openid");
	oidc_person_fill(oidc_config_of(id->oidc), &t.grant, t.scopes, http_arena(r), &person);
	return http_reply_json(r, 200, &oidc_person_message, &person);
}

struct http_reply *api_oidc_userinfo(struct http_request *r)
{
	return userinfo(r, login_bearer(r));
}

struct http_reply *api_oidc_userinfo_form(struct http_request *r)
{
	struct str header = login_bearer(r), field = http_form_text(r, "access_token");
	if (str_present(header) && str_present(field))
		return http_reply_error_code(r, ERR_INVALID_REQUEST, "the access token is shown in two ways at once");
	return userinfo(r, str_present(header) ? header : field);
}

/* ---- introspection ---- */

struct introspection {
	enum json_bool active;
	struct str scope, client_id, username, token_type, sub, aud, iss;
	int64_t exp, iat;
};
static const struct json_field introspection_rows[] = {
	F_BOOL(struct introspection, active, "active", JSON_REQUIRED, "whether it counts; if not, nothing else is said"),
	F_TEXT(struct introspection, scope, "scope", 0, 0, "what it is for"),
	F_TEXT(struct introspection, client_id, "client_id", 0, 0, "whom it was given to"),
	F_TEXT(struct introspection, username, "username", 0, 0, "the user's name, without the leading @"),
	F_TEXT(struct introspection, token_type, "token_type", 0, 0, "Bearer, for an access token"),
	F_INT(struct introspection, exp, "exp", 0, 0, JSON_INT_MAX, "when it ends (s)"),
	F_INT(struct introspection, iat, "iat", 0, 0, JSON_INT_MAX, "when it was made (s)"),
	F_TEXT(struct introspection, sub, "sub", 0, 0, "the user's id"),
	F_TEXT(struct introspection, aud, "aud", 0, 0, "the client"),
	F_TEXT(struct introspection, iss, "iss", 0, 0, "this service"),
};
JSON_MESSAGE(oidc_introspection_message, "Introspection", struct introspection, introspection_rows);

struct http_reply *api_oidc_introspect(struct http_request *r)
{
	const struct identity *id = http_ctx(r);
	struct http_reply *reply;
	struct oidc_token_row t;
	struct introspection a;
	char scope[SCOPES_TEXT_SIZE];
	int64_t now = clock_wall_ms();
	bool found = false;
	const struct oidc_client *client = oidc_calling_client(r, &reply);
	if (!client)
		return reply;
	if (client->secret_count == 0)
		return http_reply_error_code(r, ERR_UNAUTHORIZED_CLIENT, "only clients with a secret may ask about tokens");
	struct str text = http_form_text(r, "token");
	if (!str_present(text))
		return http_reply_error_code(r, ERR_INVALID_REQUEST, "token is missing");
	if ((reply = find_token(r, text, now, &t, &found)))
		return reply;
	json_message_clear(&oidc_introspection_message, &a);
	a.active = found && str_equal(t.grant.client_id, client->id) && token_good(&t, now) ? JSON_TRUE : JSON_FALSE;
	if (a.active == JSON_TRUE) {
		scopes_to_text(t.scopes, scope);
		a.scope = str_from(scope);
		a.client_id = a.aud = client->id;
		a.username = username_bare(t.grant.username);
		a.token_type = t.kind == OIDC_ACCESS ? STR_LIT("Bearer") : STR_NONE;
		a.exp = t.expires_at / 1000;
		a.iat = t.created_at / 1000;
		a.sub = t.grant.user_id;
		a.iss = str_from(id->config.public_url);
	}
	return http_reply_json(r, 200, &oidc_introspection_message, &a);
}

/* ---- revocation ---- */

struct revoke_job {
	struct oidc_job job; /* first */
	struct oidc_token_row token;
	int64_t now;
};

/* A refresh token stands for the whole grant; an access token for itself. */
static enum db_status run_revoke(struct db_job *job, struct db_conn *c, struct error *err)
{
	struct revoke_job *j = (struct revoke_job *)job;
	return j->token.kind == OIDC_REFRESH ? oidc_grant_revoke(c, j->token.grant.id, j->now, err) : oidc_token_delete(c, &j->token.hash, err);
}

struct http_reply *api_oidc_revoke(struct http_request *r)
{
	struct http_reply *reply;
	bool found = false;
	const struct oidc_client *client = oidc_calling_client(r, &reply);
	if (!client)
		return reply;
	struct str text = http_form_text(r, "token");
	if (!str_present(text))
		return http_reply_error_code(r, ERR_INVALID_REQUEST, "token is missing");
	struct revoke_job *j = arena_zalloc(http_arena(r), 1, sizeof(*j));
	j->now = clock_wall_ms();
	if ((reply = find_token(r, text, j->now, &j->token, &found)))
		return reply;
	if (!found) /* it does not count, which is what was asked for (RFC 7009 2.2) */
		return http_reply_empty(r, 200);
	if (!str_equal(j->token.grant.client_id, client->id))
		return http_reply_error_code(r, ERR_INVALID_GRANT, "this token was given to another client");
	j->job.answer = http_reply_empty(r, 200);
	return oidc_submit(&j->job, r, run_revoke);
}
