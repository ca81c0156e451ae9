/* What the handlers of the OpenID Provider share: who calls, who is at the browser, jobs that answer, addresses that lead back. */
#include "api.h"
#include "api_oidc.h"
#include "base/clock.h"
#include "crypto/hmac.h"
#include "http/client.h"
#include "wire/base64url.h"

/* ---- jobs ---- */

static void job_done(struct db_job *job, enum db_status status, const struct error *err)
{
	struct oidc_job *j = (struct oidc_job *)job;
	struct http_request *r = j->request;
	if (status != DB_OK)
		http_finish(r, http_reply_error(r, err));
	else
		http_finish(r, j->refused ? http_reply_error(r, &j->refusal) : j->answer);
}

struct http_reply *oidc_submit(struct oidc_job *j, struct http_request *r, enum db_status (*run)(struct db_job *job, struct db_conn *c, struct error *err))
{
	j->job = (struct db_job){.run = run, .done = job_done};
	j->request = r;
	return api_submit(r, &j->job);
}

struct str oidc_of_query(const struct http_request *r, const char *name)
{
	return http_query_text(r, name, 0);
}

/* ---- who ---- */

const struct oidc_client *oidc_calling_client(struct http_request *r, struct http_reply **reply)
{
	struct identity *id = http_ctx(r);
	struct client_claim claim;
	struct error err;
	struct str header = http_header(r, "Authorization");
	if (client_claim_read(header, http_form_text(r, "client_id"), http_form_text(r, "client_secret"), http_arena(r), &claim, &err)) {
		const struct oidc_client *client = oidc_client_find(id->oidc, claim.id);
		if (client_authentic(client, &claim, &err))
			return client;
	}
	*reply = http_reply_error(r, &err);
	if (err.code == ERR_INVALID_CLIENT)
		*reply = http_reply_header(*reply, "WWW-Authenticate", "Basic realm=\"tana\"");
	return NULL;
}

bool oidc_at_browser(struct http_request *r, struct token_row *who, struct http_reply **failed)
{
	struct error err;
	*failed = NULL;
	switch (login_of_browser(r, who, &err)) {
	case LOGIN_FOUND:
		return true;
	case LOGIN_NONE:
	case LOGIN_INVALID:
	case LOGIN_EXPIRED:
		return false;
	case LOGIN_FAILED:
		break;
	}
	*failed = http_reply_error(r, &err);
	return false;
}

struct str oidc_form_token(struct http_request *r)
{
	struct hash mac;
	struct buf text = {0};
	struct str token = login_cookie(r, COOKIE_SESSION);
	hmac_sha256(&mac, str_present(token) ? token : STR_LIT(""), STR_LIT("tana-form"));
	base64url_encode(&text, str_of((const char *)mac.b, sizeof(mac.b)));
	struct str copy = arena_copy(http_arena(r), buf_str(&text));
	buf_free(&text);
	return copy;
}

bool oidc_form_token_fits(struct http_request *r, struct str shown)
{
	struct str wanted = oidc_form_token(r);
	unsigned differs = 0;
	if (!str_present(shown) || shown.n != wanted.n)
		return false;
	for (size_t i = 0; i < wanted.n; i++)
		differs |= (unsigned)(unsigned char)(wanted.p[i] ^ shown.p[i]);
	return differs == 0;
}

struct grant_row oidc_grant_of(struct http_request *r, const struct token_row *who, const struct oidc_client *client, unsigned scopes, struct str nonce)
{
	return (struct grant_row){.id = oidc_grant_id_make(http_arena(r)),
				  .client_id = client->id,
				  .user_id = who->user_id,
				  .username = who->username,
				  .public_key = who->public_key,
				  .role = who->role,
				  .nonce = nonce,
				  .scopes = scopes,
				  .login_at = who->created_at,
				  .created_at = clock_wall_ms(),
				  .login = who->hash,
				  .login_alive = true};
}

/* ---- addresses ---- */

void oidc_url_begin(struct buf *url, struct str base)
{
	buf_put_str(url, base);
}

void oidc_url_put(struct buf *url, const char *name, struct str value)
{
	if (!str_present(value))
		return;
	buf_putc(url, memchr(url->data, '?', url->len) ? '&' : '?');
	buf_puts(url, name);
	buf_putc(url, '=');
	http_encode(url, value);
}

struct http_reply *oidc_redirect(struct http_request *r, struct buf *url)
{
	struct http_reply *reply = http_reply_header(http_reply_empty(r, 303), "Location", buf_z(url));
	buf_free(url);
	return http_reply_header(reply, "Referrer-Policy", "no-referrer");
}

struct http_reply *oidc_redirect_error(struct http_request *r, struct str redirect_uri, struct str state, const struct error *err)
{
	const struct identity *id = http_ctx(r);
	struct buf url = {0};
	oidc_url_begin(&url, redirect_uri);
	oidc_url_put(&url, "error", str_from(error_code_text(err->code)));
	oidc_url_put(&url, "error_description", str_from(err->message));
	oidc_url_put(&url, "state", state);
	oidc_url_put(&url, "iss", str_from(id->config.public_url));
	return oidc_redirect(r, &url);
}
