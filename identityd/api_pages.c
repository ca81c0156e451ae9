/* The login page, and what it loads. */
#include "api.h"
#include "api_oidc.h"
#include "login.h"
#include "page.h"

/* Who is logged in here, and how that ends. */
static struct http_reply *logged_in_page(struct http_request *r, const struct token_row *who)
{
	struct buf out = {0};
	page_begin(&out, "Logged in", false);
	buf_puts(&out, "<main>\n<h1>You are logged in</h1>\n<p>as <strong>");
	page_text(&out, who->username);
	buf_puts(&out, "</strong></p>\n<p>until ");
	struct str until = api_time(r, who->expires_at); /* of which people need no seconds */
	buf_printf(&out, "%.10s %.5s UTC", until.p, until.p + 11);
	buf_puts(&out, "</p>\n<form method=\"post\" action=\"/logout\"><button class=\"button\" type=\"submit\">Log out</button></form>\n</main>\n");
	page_end(&out);
	return page_reply(r, 200, &out);
}

struct http_reply *api_login_page(struct http_request *r)
{
	struct identity *id = http_ctx(r);
	struct token_row who;
	struct error err;
	struct login_ask *ask = arena_zalloc(http_arena(r), 1, sizeof(*ask));
	ask->return_url = http_query_text(r, "returnUrl", 0);
	if (!login_ask_check(id, http_arena(r), ask, RETURN_TO_PATHS, &err))
		return page_message(r, 400, "This link leads nowhere", "The page that sent you here asks for a way back that is not allowed.", "/login",
				    "Log in without it");
	bool by_proxy = str_present(http_query_text(r, "forward", 0)) && str_present(ask->app_origin);
	struct http_reply *out_of_reach = by_proxy ? api_forward_out_of_reach(r, ask) : NULL;
	if (out_of_reach)
		return out_of_reach;
	switch (login_of_browser(r, &who, &err)) {
	case LOGIN_FOUND:
		if (!str_present(ask->return_url))
			return logged_in_page(r, &who);
		if (by_proxy)
			return api_forward_from_login(r, ask, &who);
		return http_reply_header(http_reply_empty(r, 303), "Location", arena_copy(http_arena(r), ask->return_url).p);
	case LOGIN_NONE:
	case LOGIN_INVALID:
	case LOGIN_EXPIRED:
		break;
	case LOGIN_FAILED:
		return http_reply_error(r, &err);
	}
	return login_page(r, ask);
}

/* ---- logging out here ---- */

struct logout_job {
	struct db_job job; /* first: the pool's */
	struct http_request *request;
	struct hash token;
};

static enum db_status run_logout(struct db_job *job, struct db_conn *c, struct error *err)
{
	return login_end(c, &((struct logout_job *)job)->token, err);
}

static struct http_reply *logged_out(struct http_request *r)
{
	return login_take(page_message(r, 200, "Logged out", "This browser is not logged in any more.", "/login", "Log in again"), r);
}

static void logout_done(struct db_job *job, enum db_status status, const struct error *err)
{
	struct http_request *r = ((struct logout_job *)job)->request;
	http_finish(r, status == DB_OK ? logged_out(r) : http_reply_error(r, err));
}

/* A form of our own page: the cookie is SameSite=Lax, so no other site's form sends it. */
struct http_reply *api_logout(struct http_request *r)
{
	struct token_row who;
	struct error err;
	switch (login_of_browser(r, &who, &err)) {
	case LOGIN_FOUND:
		break;
	case LOGIN_NONE:
	case LOGIN_INVALID:
	case LOGIN_EXPIRED:
		return logged_out(r);
	case LOGIN_FAILED:
		return http_reply_error(r, &err);
	}
	struct logout_job *j = arena_zalloc(http_arena(r), 1, sizeof(*j));
	j->job = (struct db_job){.run = run_logout, .done = logout_done};
	j->request = r;
	j->token = who.hash;
	return api_submit(r, &j->job);
}

/* ---- what pages load ---- */

static struct http_reply *asset(struct http_request *r, const char *type, struct str bytes)
{
	struct hash h;
	char tag[HASH_TEXT_LEN + 1];
	struct buf body = {0};
	sha256(&h, bytes.p, bytes.n);
	hash_to_text(&h, tag);
	tag[16] = '\0';
	buf_put_str(&body, bytes);
	struct http_reply *reply = http_reply_bytes(r, 200, type, &body);
	return http_reply_etag(r, http_reply_header(reply, "Cache-Control", "no-cache"), tag);
}

struct http_reply *api_page_style(struct http_request *r)
{
	return asset(r, "text/css; charset=utf-8", page_asset_style());
}

struct http_reply *api_page_script(struct http_request *r)
{
	return asset(r, "text/javascript; charset=utf-8", page_asset_script());
}

struct http_reply *api_page_icon(struct http_request *r)
{
	return http_reply_header(asset(r, "image/svg+xml", page_asset_icon()), "Content-Security-Policy", "default-src 'none'");
}
