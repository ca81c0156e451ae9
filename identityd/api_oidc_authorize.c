/* Where an application sends the browser: in, to be logged in and asked; and out again, with a code. */
#include "base/clock.h"
#include "oidc_authorize.h"
#include "oidc_pages.h"

/* The login page leads back to this very address, now with the time from which on a login counts as asked for. */
static struct http_reply *ask_to_log_in(struct http_request *r, const struct authorization *a, int64_t now)
{
	struct login_ask *ask = arena_zalloc(http_arena(r), 1, sizeof(*ask));
	struct buf address = {0};
	authorization_address(&address, a, now);
	ask->app_name = a->client->name;
	ask->app_origin = authorization_target(r, &a->ask);
	ask->client_id = a->client->id;
	ask->return_url = arena_copy(http_arena(r), buf_str(&address));
	buf_free(&address);
	return login_page(r, ask);
}

struct http_reply *api_oidc_authorize(struct http_request *r)
{
	struct authorization a;
	struct error err;
	int64_t now = clock_wall_ms();
	struct http_reply *reply = authorization_read(r, oidc_of_query, &a);
	if (!reply)
		reply = authorization_see(r, &a);
	if (reply)
		return reply;
	switch (authorize_next(a.client, &a.want, &a.login, a.login_after, now, &err)) {
	case AUTHORIZE_LOGIN:
		return ask_to_log_in(r, &a, now);
	case AUTHORIZE_CONSENT:
		return oidc_consent_page(r, &a);
	case AUTHORIZE_DONE:
		return authorization_grant(r, &a, a.login.for_this_client);
	case AUTHORIZE_REFUSED:
		break;
	}
	return oidc_redirect_error(r, a.ask.redirect_uri, a.ask.state, &err);
}

/* OpenID Connect Core 3.1.2.1 has POST as well. Coming from another site it has no cookies (SameSite), so it becomes a GET of ours, which has. */
struct http_reply *api_oidc_authorize_form(struct http_request *r)
{
	struct authorization a;
	struct buf address = {0};
	struct http_reply *reply = authorization_read(r, http_form_text, &a);
	if (reply)
		return reply;
	authorization_address(&address, &a, 0);
	return oidc_redirect(r, &address);
}
