#include "oidc_authorize.h"

#include <stdio.h>

#include "base/clock.h"
#include "origin_rules.h"
#include "page.h"

/* The request's parameters by name: read, written into the address that leads back, and put into the form. */
static const struct authorize_param {
	const char *name;
	size_t offset;
} authorize_param_list[] = {
#define PARAM(name, member) {name, offsetof(struct authorize_ask, member)}
	PARAM("client_id", client_id),
	PARAM("redirect_uri", redirect_uri),
	PARAM("response_type", response_type),
	PARAM("response_mode", response_mode),
	PARAM("scope", scope),
	PARAM("state", state),
	PARAM("nonce", nonce),
	PARAM("code_challenge", challenge),
	PARAM("code_challenge_method", challenge_method),
	PARAM("prompt", prompt),
	PARAM("max_age", max_age),
	PARAM("request", request),
	PARAM("request_uri", request_uri),
#undef PARAM
};

static struct str *ask_member(struct authorize_ask *ask, size_t i)
{
	return (struct str *)(void *)((char *)ask + authorize_param_list[i].offset);
}

/* Whom id_token_hint names: nobody else gets a code (OpenID Connect Core 3.1.2.2). On the way through the login the name alone goes along. */
static bool read_sub(struct identity *id, struct http_request *r, authorization_get_fn *get, struct authorization *a, struct error *err)
{
	struct oidc_hint hint;
	struct str token = get(r, "id_token_hint");
	a->want.sub = get(r, "login_sub");
	if (!str_present(token))
		return true;
	if (!oidc_hint_read(id, token, http_arena(r), &hint, err))
		return false;
	if (!str_equal(hint.aud, a->client->id))
		return error_set(err, ERR_INVALID_REQUEST, "id_token_hint was made for another client");
	a->want.sub = hint.sub;
	return true;
}

struct http_reply *authorization_read(struct http_request *r, authorization_get_fn *get, struct authorization *a)
{
	struct identity *id = http_ctx(r);
	struct error err;
	*a = (struct authorization){.login_after = 0};
	for (size_t i = 0; i < ARRAY_LEN(authorize_param_list); i++)
		*ask_member(&a->ask, i) = get(r, authorize_param_list[i].name);
	struct str after = get(r, "login_after");
	if (str_present(after) && !str_to_int64(after, &a->login_after))
		a->login_after = 0;
	a->client = oidc_client_find(id->oidc, a->ask.client_id);
	switch (authorize_judge(a->client, &a->ask, &a->want, &err)) {
	case AUTHORIZE_GOOD:
		if (read_sub(id, r, get, a, &err))
			return NULL;
		if (error_code_status(err.code) >= 500)
			return http_reply_error(r, &err);
		break;
	case AUTHORIZE_TELL_USER:
		return page_message(r, error_code_status(err.code), "This link does not work", err.message, NULL, NULL);
	case AUTHORIZE_TELL_CLIENT:
		break;
	}
	return oidc_redirect_error(r, a->ask.redirect_uri, a->ask.state, &err);
}

struct http_reply *authorization_see(struct http_request *r, struct authorization *a)
{
	struct identity *id = http_ctx(r);
	struct http_reply *failed;
	struct error err;
	a->login.found = oidc_at_browser(r, &a->who, &failed);
	if (!a->login.found)
		return failed;
	a->login.user_id = a->who.user_id;
	a->login.login_at = a->who.created_at;
	a->login.for_this_client = str_present(a->who.client_id) && str_equal(a->who.client_id, a->client->id);
	a->login.groups = oidc_groups_of_role(a->who.role);
	struct db_conn *c = db_pool_reader(id->pool, &err);
	enum db_status st = c ? oidc_consent_read(c, a->who.user_id, a->client->id, &a->login.consented, &err) : DB_UNAVAILABLE;
	if (c)
		db_pool_release(id->pool, c);
	return st == DB_OK ? NULL : http_reply_error(r, &err);
}

static void put_fields(struct buf *out, const struct authorization *a, int64_t login_after, void (*put)(struct buf *out, const char *name, struct str value))
{
	char number[24];
	struct authorize_ask ask = a->ask;
	for (size_t i = 0; i < ARRAY_LEN(authorize_param_list); i++)
		put(out, authorize_param_list[i].name, *ask_member(&ask, i));
	if (str_present(a->want.sub))
		put(out, "login_sub", a->want.sub);
	if (login_after <= 0)
		return;
	(void)snprintf(number, sizeof(number), "%lld", (long long)login_after);
	put(out, "login_after", str_from(number));
}

void authorization_put_fields(struct buf *out, const struct authorization *a, void (*put)(struct buf *out, const char *name, struct str value))
{
	put_fields(out, a, a->login_after, put);
}

void authorization_address(struct buf *out, const struct authorization *a, int64_t login_after)
{
	oidc_url_begin(out, STR_LIT("/oauth2/authorize"));
	put_fields(out, a, login_after, oidc_url_put);
}

struct str authorization_target(struct http_request *r, const struct authorize_ask *ask)
{
	struct str origin;
	if (url_origin(ask->redirect_uri, http_arena(r), &origin))
		return origin;
	const char *colon = memchr(ask->redirect_uri.p, ':', ask->redirect_uri.n);
	return colon ? str_of(ask->redirect_uri.p, (size_t)(colon - ask->redirect_uri.p) + 1) : ask->redirect_uri;
}

/* ---- granting ---- */

struct authorize_job {
	struct oidc_job job; /* first */
	struct grant_row grant;
	struct hash code;
	struct str redirect_uri, challenge;
	unsigned agreed; /* scopes the user has just agreed to; 0: was not asked */
	int64_t now;
};

static enum db_status run_grant(struct db_job *job, struct db_conn *c, struct error *err)
{
	struct authorize_job *j = (struct authorize_job *)job;
	enum db_status st = oidc_grant_insert(c, &j->grant, j->now, err);
	if (st == DB_OK)
		st = oidc_code_insert(c, &j->code, j->grant.id, j->redirect_uri, j->challenge, j->now + CODE_TTL_MS, err);
	if (st == DB_OK && j->agreed)
		st = oidc_consent_add(c, j->grant.user_id, j->grant.client_id, j->agreed, j->now, err);
	return st;
}

struct http_reply *authorization_grant(struct http_request *r, const struct authorization *a, bool agreed)
{
	const struct identity *id = http_ctx(r);
	struct authorize_job *j = arena_zalloc(http_arena(r), 1, sizeof(*j));
	struct buf url = {0};
	j->now = clock_wall_ms();
	j->grant = oidc_grant_of(r, &a->who, a->client, a->want.scopes, a->ask.nonce);
	j->redirect_uri = a->ask.redirect_uri;
	j->challenge = a->ask.challenge;
	j->agreed = agreed ? a->want.scopes : 0;
	oidc_url_begin(&url, a->ask.redirect_uri);
	oidc_url_put(&url, "code", oidc_secret_make(http_arena(r), "tana_ac_", &j->code));
	oidc_url_put(&url, "state", a->ask.state);
	oidc_url_put(&url, "iss", str_from(id->config.public_url));
	j->job.answer = oidc_redirect(r, &url);
	return oidc_submit(&j->job, r, run_grant);
}
