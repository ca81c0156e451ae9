/*
 * /auth/forward: a reverse proxy asks about each request whether it may pass, and hands over the browser's cookies (nginx auth_request, Traefik
 * forwardAuth, Caddy forward_auth). 200 with who it is, for the proxy to pass on; 401, or with ?mode=redirect a way to the login page that leads
 * back to where the browser was. Only to origins that are listed: what X-Forwarded-* say may come from anybody.
 */
#include "api_oidc.h"
#include "origin_rules.h"

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
