/*
 * /auth/forward: a reverse proxy asks about each request whether it may pass, and hands over the browser's cookies (nginx auth_request, Traefik
 * forwardAuth, Caddy forward_auth). 200 with who it is, for the proxy to pass on; 401, or with ?mode=redirect a way to the login page that leads
 * back to where the browser was. Only to origins that are listed: what X-Forwarded-* say may come from anybody.
 *
 * The login page is told who sent the browser (`forward`), so that one which is logged in here already is not sent to and fro for ever: it is given
 * the cookie that was missing, and whatever else keeps its login from being seen there is said on a page.
 */
#include "api_oidc.h"
#include "base/clock.h"
#include "origin_rules.h"
#include "page.h"
#include "secrets.h"

static struct str joined_groups(struct arena *arena, unsigned groups)
{
	struct buf text = {0};
	for (size_t i = 0; i < GROUP_COUNT; i++)
		if (groups & 1U << i)
			buf_printf(&text, "%s%s", text.len ? "," : "", oidc_group_texts[i]);
	struct str copy = arena_copy(arena, buf_str(&text));
	buf_free(&text);
	return copy;
}

static struct http_reply *pass(struct http_request *r, const struct token_row *who, unsigned groups)
{
	const struct identity *id = http_ctx(r);
	const struct oidc_config *c = oidc_config_of(id->oidc);
	struct arena *arena = http_arena(r);
	struct str name = arena_copy(arena, username_bare(who->username));
	if (!name_is_plain(name))
		return http_reply_error_code(r, ERR_NOT_ALLOWED, "this user's name cannot be passed on in a header");
	struct http_reply *reply = http_reply_empty(r, 200);
	reply = http_reply_header(reply, "Remote-User", name.p);
	reply = http_reply_header(reply, "X-Auth-Request-User", name.p);
	reply = http_reply_header(reply, "Remote-Groups", joined_groups(arena, groups).p);
	return c->email_domain ? http_reply_header(reply, "Remote-Email", arena_printf(arena, "%s@%s", name.p, c->email_domain).p) : reply;
}

/* Where the browser was: told by the proxy's configuration (rd), or by the headers that proxies set. Absent: not known. */
static struct str where_it_was(struct http_request *r)
{
	struct str rd = http_query_text(r, "rd", 0);
	if (str_present(rd))
		return rd;
	struct str scheme = http_header(r, "X-Forwarded-Proto"), host = http_header(r, "X-Forwarded-Host"), path = http_header(r, "X-Forwarded-Uri");
	if (!str_present(scheme) || !str_present(host) || !str_present(path))
		return STR_NONE;
	return arena_printf(http_arena(r), "%.*s://%.*s%.*s", STR_ARG(scheme), STR_ARG(host), STR_ARG(path));
}

static struct http_reply *to_login(struct http_request *r)
{
	const struct identity *id = http_ctx(r);
	struct str origin, back = where_it_was(r);
	struct buf url = {0};
	if (!str_present(back))
		return http_reply_error_code(r, ERR_RETURN_URL_NOT_ALLOWED, "where to come back to is not known: the proxy sends neither rd nor X-Forwarded-Proto, -Host and -Uri");
	if (!url_origin(back, http_arena(r), &origin) || !login_origin_allowed(id, origin))
		return http_reply_error_code(r, ERR_RETURN_URL_NOT_ALLOWED, "rd leads to an origin that is not listed here");
	oidc_url_begin(&url, arena_printf(http_arena(r), "%s/login", id->config.public_url));
	oidc_url_put(&url, "returnUrl", back);
	oidc_url_put(&url, "forward", STR_LIT("1"));
	struct http_reply *reply = http_reply_header(http_reply_empty(r, 302), "Location", buf_z(&url));
	buf_free(&url);
	return reply;
}

/* As oidc_at_browser, and by what applications are shown as well. */
static bool at_proxy(struct http_request *r, struct token_row *who, struct http_reply **failed)
{
	struct error err;
	enum login_found found = login_of_forward(r, who, &err);
	*failed = found == LOGIN_FAILED ? http_reply_error(r, &err) : NULL;
	return found == LOGIN_FOUND;
}

struct http_reply *api_forward(struct http_request *r)
{
	struct token_row who;
	struct http_reply *failed;
	struct str group = http_query_text(r, "group", 0), mode = http_query_text(r, "mode", 0);
	bool redirect = str_is(mode, "redirect");
	if (str_present(mode) && !redirect)
		return http_reply_error_code(r, ERR_MALFORMED_PARAMETER, "mode must be redirect, or not there");
	if (!at_proxy(r, &who, &failed)) {
		if (failed || redirect)
			return failed ? failed : to_login(r);
		return http_reply_error_code(r, ERR_UNAUTHENTICATED, "nobody is logged in at this browser");
	}
	unsigned groups = oidc_groups_of_role(who.role);
	bool admitted = !str_present(group);
	for (size_t i = 0; i < GROUP_COUNT && !admitted; i++)
		admitted = (groups & 1U << i) && str_is(group, oidc_group_texts[i]);
	return admitted ? pass(r, &who, groups) : http_reply_error_code(r, ERR_NOT_ALLOWED, "%.*s is not in the group that this needs", STR_ARG(who.username));
}

/* ---- the login page's side ---- */

#define COOKIE_SENT "tana_sent" /* how often the browser was sent back in the last minute; Path=/login */
enum {
	SENT_S = 60, /* seconds: a browser that is sent to and fro takes far less for a round */
	SENT_MAX = 5 /* as many tabs may find out at once that a cookie is missing */
};

static bool on_our_host(const struct identity *id, struct str origin)
{
	return str_equal(url_host(origin), url_host(str_from(id->config.public_url)));
}

struct http_reply *api_forward_out_of_reach(struct http_request *r, const struct login_ask *ask)
{
	const struct identity_config *c = &((const struct identity *)http_ctx(r))->config;
	if (on_our_host(http_ctx(r), ask->app_origin) || (c->cookie_domain && domain_covers(c->cookie_domain, url_host(ask->app_origin))))
		return NULL;
	struct str why = arena_printf(http_arena(r),
				      "%.*s wants to know who you are, but browsers show your login here to %s%s alone, so logging in would not help. "
				      "It is for those who run both to change that: with --cookie-domain, a domain that both lie in.",
				      STR_ARG(ask->app_origin), c->cookie_domain ? "addresses under " : "this very host", c->cookie_domain ? c->cookie_domain : "");
	return page_message(r, 400, "The application cannot see your login", why.p, NULL, NULL);
}

/* To where the browser was, for the `sent`th time; the browser counts. */
static struct http_reply *back(struct http_request *r, const struct login_ask *ask, int64_t sent)
{
	struct arena *arena = http_arena(r);
	struct http_reply *reply = http_reply_header(http_reply_empty(r, 303), "Location", arena_copy(arena, ask->return_url).p);
	return login_set_cookie(reply, r, COOKIE_SENT, arena_printf(arena, "%lld", (long long)sent).p, "/login", SENT_S);
}

/* It was sent there again and again, and the proxy sent it here each time. */
static struct http_reply *in_vain(struct http_request *r, const struct login_ask *ask, bool shown)
{
	const struct identity *id = http_ctx(r);
	struct arena *arena = http_arena(r);
	struct str why = shown ? arena_printf(arena,
					      "This browser has what it takes to pass at %.*s, but the proxy there did not hand it on. It is for those who run it to "
					      "let the browser's cookies through, and to use https there if it is used here.",
					      STR_ARG(ask->app_origin)) :
				 arena_printf(arena, "This browser does not keep the cookie for %s, by which %.*s knows you. Allow cookies there, or delete the old ones.",
					      id->config.cookie_domain, STR_ARG(ask->app_origin));
	return page_message(r, 400, "You are logged in, but the application does not know", why.p, arena_copy(arena, ask->return_url).p, "Try again");
}

struct hand_over {
	struct oidc_job job; /* first */
	struct hash forward, login;
	int64_t expires_at;
};

static enum db_status run_hand_over(struct db_job *job, struct db_conn *c, struct error *err)
{
	struct hand_over *j = (struct hand_over *)job;
	return oidc_forward_insert(c, &j->forward, &j->login, j->expires_at, err);
}

/* Gives the cookie; a login that began before there was a --cookie-domain has no row for it either. */
static struct http_reply *hand_over(struct http_request *r, const struct login_ask *ask, const struct token_row *who, const char *forward,
				    int64_t sent)
{
	struct hand_over *j = arena_zalloc(http_arena(r), 1, sizeof(*j));
	secret_hash(str_from(forward), &j->forward);
	j->login = who->hash;
	j->expires_at = who->expires_at;
	j->job.answer = login_give_forward(back(r, ask, sent), r, forward, (who->expires_at - clock_wall_ms()) / 1000);
	return oidc_submit(&j->job, r, run_hand_over);
}

struct http_reply *api_forward_from_login(struct http_request *r, const struct login_ask *ask, const struct token_row *who)
{
	char forward[SECRET_TEXT_MAX];
	int64_t sent;
	struct http_reply *reply;
	bool here = on_our_host(http_ctx(r), ask->app_origin); /* tana_session is shown there, too */
	if (!str_to_int64(login_cookie(r, COOKIE_SENT), &sent) || sent < 0)
		sent = 0;
	forward_token(login_cookie(r, COOKIE_SESSION), forward);
	bool shown = here || str_is(login_cookie(r, COOKIE_FORWARD), forward);
	if (sent >= SENT_MAX)
		reply = in_vain(r, ask, shown);
	else
		reply = here ? back(r, ask, sent + 1) : hand_over(r, ask, who, forward, sent + 1);
	explicit_bzero(forward, sizeof(forward));
	return reply;
}
