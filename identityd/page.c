#include "page.h"

#include "base/random.h"
#include "qr/qr.h"
#include "secrets.h"
#include "wire/identity.h"

enum { BROWSER_COOKIE_S = 365 * 86400 };

#define POLICY(form_targets)                                                                                                   \
	"default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'" form_targets             \
	"; base-uri 'none'; frame-ancestors 'none'"

void page_text(struct buf *out, struct str text)
{
	static const struct {
		char c;
		const char *written;
	} special[] = {{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}, {'\'', "&#39;"}};
	for (size_t i = 0; i < text.n; i++) {
		size_t k = 0;
		while (k < ARRAY_LEN(special) && special[k].c != text.p[i])
			k++;
		if (k < ARRAY_LEN(special))
			buf_puts(out, special[k].written);
		else
			buf_putc(out, text.p[i]);
	}
}

void page_begin(struct buf *out, const char *title, bool script)
{
	buf_puts(out, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
		      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"robots\" content=\"noindex\">\n<title>");
	page_text(out, str_from(title));
	buf_puts(out, "</title>\n<link rel=\"icon\" type=\"image/svg+xml\" href=\"/login.svg\">\n<link rel=\"stylesheet\" href=\"/login.css\">\n");
	if (script)
		buf_puts(out, "<script src=\"/login.js\" defer></script>\n");
	buf_puts(out, "</head>\n<body>\n");
}

void page_end(struct buf *out)
{
	buf_puts(out, "</body>\n</html>\n");
}

static struct http_reply *reply_with(struct http_request *r, int status, struct buf *out, const char *policy)
{
	struct http_reply *reply = http_reply_bytes(r, status, "text/html; charset=utf-8", out);
	reply = http_reply_header(reply, "Content-Security-Policy", policy);
	reply = http_reply_header(reply, "Referrer-Policy", "no-referrer");
	return http_reply_header(reply, "X-Frame-Options", "DENY");
}

struct http_reply *page_reply(struct http_request *r, int status, struct buf *out)
{
	return reply_with(r, status, out, POLICY(""));
}

/* Browsers hold the redirect that answers a form to the policy as well. */
struct http_reply *page_reply_leading(struct http_request *r, int status, struct buf *out, struct str target)
{
	return reply_with(r, status, out, arena_printf(http_arena(r), POLICY(" %.*s"), STR_ARG(target)).p);
}

struct http_reply *page_message(struct http_request *r, int status, const char *title, const char *message, const char *link, const char *link_text)
{
	struct buf out = {0};
	page_begin(&out, title, false);
	buf_puts(&out, "<main>\n<h1>");
	page_text(&out, str_from(title));
	buf_puts(&out, "</h1>\n<p>");
	page_text(&out, str_from(message));
	buf_puts(&out, "</p>\n");
	if (link) {
		buf_puts(&out, "<p><a href=\"");
		page_text(&out, str_from(link));
		buf_puts(&out, "\">");
		page_text(&out, str_from(link_text));
		buf_puts(&out, "</a></p>\n");
	}
	buf_puts(&out, "</main>\n");
	page_end(&out);
	return page_reply(r, status, &out);
}

/* ---- the login ---- */

static void put_row(struct buf *out, const char *name, struct str value)
{
	if (!str_present(value))
		return;
	buf_printf(out, "<dt>%s</dt><dd>", name);
	page_text(out, value);
	buf_puts(out, "</dd>\n");
}

static void put_who_asks(struct buf *out, struct http_request *r, const struct login_ask *ask, struct str origin)
{
	const struct identity *id = http_ctx(r);
	buf_puts(out, "<details>\n<summary>What your phone will show</summary>\n<dl>\n");
	put_row(out, "Application", ask->app_name);
	put_row(out, "Leads to", origin);
	put_row(out, "Asked by", str_from(id->config.public_url));
	put_row(out, "From", str_from(http_peer(r)));
	buf_puts(out, "</dl>\n<p>Approve only what you began yourself, on this screen, and only if all of this is the same on the phone.</p>\n</details>\n");
}

static void put_code(struct buf *out, const struct login_begun *b)
{
	struct buf link = {0};
	struct error err;
	size_t before = out->len;
	buf_puts(out, "<div class=\"code\" data-open>");
	if (!qr_svg_write(out, b->qr_text, LOGIN_QR_TITLE, &err))
		out->len = before; /* too long a text for a code: the link still works */
	else
		buf_puts(out, "</div>\n");
	if (b->match_code >= 0)
		buf_printf(out, "<p class=\"match\" data-open>Pick this number on the phone <strong>%lld</strong></p>\n", (long long)b->match_code);
	identity_link_write(&link, b->qr_text);
	buf_puts(out, "<p class=\"link\" data-open><a class=\"button\" href=\"");
	page_text(out, buf_str(&link));
	buf_puts(out, "\">Open the wallet on this device</a></p>\n");
	buf_free(&link);
}

static void put_login(struct buf *out, struct http_request *r, const struct login_ask *ask, const struct login_begun *b)
{
	const struct identity *id = http_ctx(r);
	struct str origin = str_present(ask->app_origin) ? ask->app_origin : str_from(id->config.public_url);
	page_begin(out, "Log in", true);
	buf_printf(out, "<main data-session=\"%.*s\" data-left=\"%lld\">\n<h1>Log in", STR_ARG(b->session_id), (long long)(b->expires_at - b->created_at));
	if (str_present(ask->app_name)) {
		buf_puts(out, " to ");
		page_text(out, ask->app_name);
	}
	buf_puts(out, "</h1>\n<p class=\"where\">leads to ");
	page_text(out, origin);
	buf_puts(out, "</p>\n<p class=\"how\" data-open>Scan this code with your tana wallet.</p>\n");
	put_code(out, b);
	buf_puts(out, "<p id=\"status\" class=\"status\" role=\"status\" aria-live=\"polite\">Waiting for your phone</p>\n"
		      "<p id=\"left\" class=\"left\"></p>\n<p><button id=\"again\" class=\"button\" type=\"button\" hidden>Try again</button></p>\n");
	buf_printf(out, "<noscript><p>When the phone has approved: <a href=\"/auth/session/%.*s/continue\">continue</a>.</p></noscript>\n",
		   STR_ARG(b->session_id));
	put_who_asks(out, r, ask, origin);
	buf_puts(out, "</main>\n");
	page_end(out);
}

struct http_reply *page_of_login(struct http_request *r, const struct login_ask *ask, const struct login_begun *b)
{
	const struct identity *id = http_ctx(r);
	struct buf out = {0};
	put_login(&out, r, ask, b);
	struct http_reply *reply = page_reply(r, 200, &out);
	struct str path = arena_printf(http_arena(r), "/auth/session/%.*s", STR_ARG(b->session_id));
	reply = login_set_cookie(reply, r, COOKIE_POLL, b->poll_secret, path.p, id->config.session_ttl_ms / 1000);
	if (!str_present(login_cookie(r, COOKIE_BROWSER))) {
		char browser[SECRET_TEXT_MAX];
		make_secret(browser);
		reply = login_set_cookie(reply, r, COOKIE_BROWSER, browser, "/", BROWSER_COOKIE_S);
	}
	return reply;
}

struct http_reply *login_page(struct http_request *r, const struct login_ask *ask)
{
	return login_begin(r, ask, page_of_login);
}
