/*
 * RP-Initiated Logout: an application sends the browser here to be logged out of this service too. With an ID token of the very user who is at the
 * browser that is done at once; otherwise the user is asked. Grants without offline_access end with the login they rest on.
 */
#include "api_oidc.h"
#include "oidc_pages.h"
#include "origin_rules.h"
#include "page.h"

struct logout {
	struct oidc_logout_ask ask;
	const struct oidc_client *client; /* NULL: none was named */
	struct oidc_hint hint;
	bool hinted;
};

typedef struct str logout_get_fn(const struct http_request *r, const char *name);

static struct http_reply *wrong(struct http_request *r, const char *why)
{
	return page_message(r, 400, "This link does not work", why, "/login", "Where you are logged in");
}

/* Where the browser may go afterwards: only to what the client, which must be named, has registered. */
static struct http_reply *read_target(struct http_request *r, struct logout *l)
{
	struct str uri = l->ask.redirect_uri, origin;
	if (!str_present(uri))
		return NULL;
	if (!l->client)
		return wrong(r, "post_logout_redirect_uri needs an id_token_hint or a client_id.");
	if (!oidc_uri_listed(l->client->logout_uris, l->client->logout_count, uri))
		return wrong(r, "post_logout_redirect_uri is not one that is registered for this application.");
	const char *colon = memchr(uri.p, ':', uri.n);
	l->ask.target = url_origin(uri, http_arena(r), &origin) ? origin : str_of(uri.p, colon ? (size_t)(colon - uri.p) + 1 : 0);
	return NULL;
}

static struct http_reply *read_logout(struct http_request *r, logout_get_fn *get, struct logout *l)
{
	struct identity *id = http_ctx(r);
	struct error err;
	*l = (struct logout){.ask = {.id_token_hint = get(r, "id_token_hint"),
				     .client_id = get(r, "client_id"),
				     .redirect_uri = get(r, "post_logout_redirect_uri"),
				     .state = get(r, "state"),
				     .target = STR_NONE}};
	if (str_present(l->ask.id_token_hint)) {
		if (!oidc_hint_read(id, l->ask.id_token_hint, http_arena(r), &l->hint, &err))
			return error_code_status(err.code) >= 500 ? http_reply_error(r, &err) : wrong(r, err.message);
		l->hinted = true;
	}
	struct str name = str_present(l->ask.client_id) ? l->ask.client_id : l->hinted ? l->hint.aud : STR_NONE;
	l->client = oidc_client_find(id->oidc, name);
	if (str_present(name) && !l->client)
		return wrong(r, "no application of this client_id is known here.");
	if (l->hinted && !str_equal(l->hint.aud, name))
		return wrong(r, "client_id is not the one that the ID token was made for.");
	return read_target(r, l);
}

/* ---- the end ---- */

struct logout_job {
	struct oidc_job job; /* first */
	struct hash token;
};

static enum db_status run_logout(struct db_job *job, struct db_conn *c, struct error *err)
{
	return login_end(c, &((struct logout_job *)job)->token, err);
}

static struct http_reply *out(struct http_request *r, const struct logout *l)
{
	struct http_reply *reply;
	struct buf url = {0};
	if (str_present(l->ask.redirect_uri)) {
		oidc_url_begin(&url, l->ask.redirect_uri);
		oidc_url_put(&url, "state", l->ask.state);
		reply = oidc_redirect(r, &url);
	} else {
		reply = page_message(r, 200, "Logged out", "This browser is not logged in any more.", "/login", "Log in again");
	}
	return login_take(reply, r);
}

static struct http_reply *end_login(struct http_request *r, const struct token_row *who, const struct logout *l)
{
	struct logout_job *j = arena_zalloc(http_arena(r), 1, sizeof(*j));
	j->token = who->hash;
	j->job.answer = out(r, l);
	return oidc_submit(&j->job, r, run_logout);
}

struct http_reply *api_oidc_logout(struct http_request *r)
{
	struct logout l;
	struct token_row who;
	struct http_reply *failed;
	struct http_reply *reply = http_route_of(r)->method == HTTP_GET ? read_logout(r, oidc_of_query, &l) : read_logout(r, http_form_text, &l);
	if (reply)
		return reply;
	if (!oidc_at_browser(r, &who, &failed))
		return failed ? failed : out(r, &l);
	bool asked = http_route_of(r)->method == HTTP_POST && str_is(http_form_text(r, "decision"), "logout") && oidc_form_token_fits(r, http_form_text(r, "form_token"));
	if (asked || (l.hinted && str_equal(l.hint.sub, who.user_id)))
		return end_login(r, &who, &l);
	return oidc_logout_page(r, &who, &l.ask);
}
