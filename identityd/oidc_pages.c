#include "oidc_pages.h"

#include "page.h"

static void put_hidden(struct buf *out, const char *name, struct str value)
{
	if (!str_present(value))
		return;
	buf_printf(out, "<input type=\"hidden\" name=\"%s\" value=\"", name);
	page_text(out, value);
	buf_puts(out, "\">\n");
}

static void put_term(struct buf *out, const char *name, struct str value)
{
	if (!str_present(value))
		return;
	buf_printf(out, "<dt>%s</dt><dd>", name);
	page_text(out, value);
	buf_puts(out, "</dd>\n");
}

static void begin(struct buf *out, const char *title, const char *heading_begin, struct str name, const char *heading_end)
{
	page_begin(out, title, false);
	buf_printf(out, "<main>\n<h1>%s", heading_begin);
	page_text(out, name);
	buf_printf(out, "%s</h1>\n", heading_end);
}

static void put_who(struct buf *out, const struct token_row *who)
{
	buf_puts(out, "<p class=\"where\">You are logged in as <strong>");
	page_text(out, who->username);
	buf_puts(out, "</strong></p>\n");
}

static void put_scopes(struct buf *out, unsigned scopes)
{
	static const struct {
		enum oidc_scope scope;
		const char *means;
	} rows[] = {
		{SCOPE_OPENID, "who you are: your user id"},
		{SCOPE_PROFILE, "your user name"},
		{SCOPE_EMAIL, "your address at this service, made of your name"},
		{SCOPE_GROUPS, "your role: user, staff or sovereign"},
		{SCOPE_OFFLINE, "and keep asking while you are away, until you log out everywhere"},
	};
	buf_puts(out, "<p>It will know</p>\n<ul>\n");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (scopes & rows[i].scope)
			buf_printf(out, "<li>%s</li>\n", rows[i].means);
	buf_puts(out, "</ul>\n");
}

static void put_answers(struct buf *out)
{
	buf_puts(out, "<p><button class=\"button\" type=\"submit\" name=\"decision\" value=\"allow\">Allow</button>\n"
		      "<button class=\"button quiet\" type=\"submit\" name=\"decision\" value=\"deny\">Deny</button></p>\n</form>\n");
}

/* ---- consent ---- */

struct http_reply *oidc_consent_page(struct http_request *r, const struct authorization *a)
{
	struct buf out = {0};
	struct str target = authorization_target(r, &a->ask);
	begin(&out, "Allow access", "", a->client->name, " asks who you are");
	put_who(&out, &a->who);
	put_scopes(&out, a->want.scopes);
	buf_puts(&out, "<dl>\n");
	put_term(&out, "Application", a->client->name);
	put_term(&out, "Leads to", target);
	buf_puts(&out, "</dl>\n<form method=\"post\" action=\"/oauth2/consent\">\n");
	authorization_put_fields(&out, a, put_hidden);
	put_hidden(&out, "form_token", oidc_form_token(r));
	put_answers(&out);
	buf_puts(&out, "</main>\n");
	page_end(&out);
	return page_reply_leading(r, 200, &out, target);
}

/* ---- logging out ---- */

struct http_reply *oidc_logout_page(struct http_request *r, const struct token_row *who, const struct oidc_logout_ask *ask)
{
	struct buf out = {0};
	begin(&out, "Log out", "Log out?", STR_LIT(""), "");
	put_who(&out, who);
	buf_puts(&out, "<form method=\"post\" action=\"/oauth2/logout\">\n");
	put_hidden(&out, "id_token_hint", ask->id_token_hint);
	put_hidden(&out, "client_id", ask->client_id);
	put_hidden(&out, "post_logout_redirect_uri", ask->redirect_uri);
	put_hidden(&out, "state", ask->state);
	put_hidden(&out, "form_token", oidc_form_token(r));
	buf_puts(&out, "<p><button class=\"button\" type=\"submit\" name=\"decision\" value=\"logout\">Log out</button></p>\n</form>\n</main>\n");
	page_end(&out);
	return str_present(ask->target) ? page_reply_leading(r, 200, &out, ask->target) : page_reply(r, 200, &out);
}

/* ---- devices ---- */

struct http_reply *oidc_device_code_page(struct http_request *r, const struct token_row *who, struct str typed, const char *wrong, int status)
{
	struct buf out = {0};
	begin(&out, "Log in a device", "Log in a device", STR_LIT(""), "");
	put_who(&out, who);
	if (wrong)
		buf_printf(&out, "<p class=\"status\" role=\"alert\" data-state=\"rejected\">%s</p>\n", wrong);
	buf_puts(&out, "<form method=\"post\" action=\"/device\">\n<label for=\"user_code\">The code that the device shows</label>\n"
		       "<input type=\"text\" id=\"user_code\" name=\"user_code\" maxlength=\"32\" autocomplete=\"off\" autocapitalize=\"characters\" spellcheck=\"false\" required "
		       "autofocus value=\"");
	page_text(&out, str_present(typed) ? typed : STR_LIT(""));
	buf_puts(&out, "\">\n");
	put_hidden(&out, "form_token", oidc_form_token(r));
	buf_puts(&out, "<p><button class=\"button\" type=\"submit\">Continue</button></p>\n</form>\n</main>\n");
	page_end(&out);
	return page_reply(r, status, &out);
}

struct http_reply *oidc_device_confirm_page(struct http_request *r, const struct token_row *who, const struct oidc_client *client, const struct device_row *d,
					    struct str user_code, struct str ip)
{
	struct buf out = {0};
	begin(&out, "Allow a device", "", client->name, " wants to be logged in on a device");
	put_who(&out, who);
	put_scopes(&out, d->scopes);
	buf_puts(&out, "<dl>\n");
	put_term(&out, "Application", client->name);
	put_term(&out, "Code", user_code);
	put_term(&out, "Asked from", ip);
	buf_puts(&out, "</dl>\n<p>Allow this only if you hold that device, and it shows this very code. Whoever sent you the code or a link would be logged in as you.</p>\n"
		       "<form method=\"post\" action=\"/device\">\n");
	put_hidden(&out, "user_code", user_code);
	put_hidden(&out, "form_token", oidc_form_token(r));
	put_answers(&out);
	buf_puts(&out, "</main>\n");
	page_end(&out);
	return page_reply(r, 200, &out);
}

void oidc_user_code_show(const char code[USER_CODE_LETTERS + 1], char out[USER_CODE_LETTERS + 2])
{
	memcpy(out, code, USER_CODE_LETTERS / 2);
	out[USER_CODE_LETTERS / 2] = '-';
	memcpy(out + USER_CODE_LETTERS / 2 + 1, code + USER_CODE_LETTERS / 2, USER_CODE_LETTERS / 2);
	out[USER_CODE_LETTERS + 1] = '\0';
}
