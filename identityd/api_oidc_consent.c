/* The user's yes or no, from the form that the consent page is. Everything is judged anew: the form may be old, or not ours. */
#include "base/clock.h"
#include "oidc_authorize.h"
#include "page.h"

static struct http_reply *stale(struct http_request *r, const struct authorization *a)
{
	struct buf address = {0};
	authorization_address(&address, a, a->login_after);
	return oidc_redirect(r, &address);
}

struct http_reply *api_oidc_consent(struct http_request *r)
{
	struct authorization a;
	struct error err;
	struct str decision = http_form_text(r, "decision");
	struct http_reply *reply = authorization_read(r, http_form_text, &a);
	if (!reply)
		reply = authorization_see(r, &a);
	if (reply)
		return reply;
	if (!a.login.found)
		return stale(r, &a);
	if (!oidc_form_token_fits(r, http_form_text(r, "form_token")))
		return page_message(r, 400, "This form is not from here", "Nothing was allowed. Begin again at the application.", NULL, NULL);
	if (str_is(decision, "deny")) {
		error_set(&err, ERR_ACCESS_DENIED, "the user said no");
		return oidc_redirect_error(r, a.ask.redirect_uri, a.ask.state, &err);
	}
	switch (authorize_next(a.client, &a.want, &a.login, a.login_after, clock_wall_ms(), &err)) {
	case AUTHORIZE_LOGIN:
		return stale(r, &a); /* the login that was asked for is too old by now */
	case AUTHORIZE_CONSENT:
	case AUTHORIZE_DONE:
		break;
	case AUTHORIZE_REFUSED:
		return oidc_redirect_error(r, a.ask.redirect_uri, a.ask.state, &err);
	}
	/* Whatever is not a clear yes is a question again. */
	return str_is(decision, "allow") ? authorization_grant(r, &a, true) : stale(r, &a);
}
