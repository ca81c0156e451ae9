/*
 * Logging in, as the rest of the service needs it: begin a session on behalf of something, show its page, see how it ended, and know who
 * a browser or a bearer is. The OpenID Provider stands on this header alone.
 *
 * How a browser logs in. Somebody calls login_page (GET /login and GET /oauth2/authorize do): a session is begun, and the page with its
 * code is the answer, with the poll secret as the cookie `tana_poll` of the path /auth/session/<id>. The phone approves. The page then goes
 * to /auth/session/<id>/continue, which knows the browser by that cookie, gives it the login itself as the cookie `tana_session` (the
 * desktop's token), and sends it on to ask.return_url: for an authorization that is the very authorization URL again, which now finds
 * somebody logged in (login_of_browser).
 */
#ifndef TANA_IDENTITYD_LOGIN_H
#define TANA_IDENTITYD_LOGIN_H

#include "http/server.h"
#include "identity.h"
#include "session_store.h"

#define COOKIE_SESSION "tana_session" /* the desktop's token; Path=/ */
#define COOKIE_FORWARD "tana_forward" /* forward_token of it; Path=/, Domain=--cookie-domain */
#define COOKIE_POLL "tana_poll"       /* a session's poll secret; Path=/auth/session/<id> */
#define COOKIE_BROWSER "tana_browser" /* tells browsers apart for a year, for match codes; Path=/ */

enum { SECRET_TEXT_MAX = 64 /* bytes of a secret's or token's text, NUL included */ };

struct login_begun {
	struct str session_id, challenge;
	char poll_secret[SECRET_TEXT_MAX]; /* NUL-terminated */
	int64_t match_code;                /* to be shown; -1: none */
	int64_t created_at, expires_at;    /* ms */
	struct str qr_text;                /* what the code says */
};
/* For whom, and what then. Everything lives in the request's arena. */
struct login_ask {
	struct str app_name, app_icon; /* absent: none. Checked by the caller: 1-100 characters; an http(s) URL */
	struct str app_origin;         /* shown to the phone as where the login leads; absent: our own */
	struct str client_id;          /* an OpenID client's; absent: none */
	struct str return_url;         /* where the browser goes afterwards: a path of ours ("/oauth2/authorize?..."), or a URL that is allowed; absent:
					* it stays */
	/* Writes more, in the session's own transaction (it may run twice: db_pool.h). May be NULL. */
	enum db_status (*also)(struct db_conn *c, const struct login_ask *ask, const struct login_begun *b, struct error *err);
	void *ctx;
};/*
 * For what comes from outside: are the name (1-100 characters), icon and return URL good? Sets app_origin to the origin that return_url leads to.
 * RETURN_TO_PATHS also takes a path of our own. ERR_MALFORMED_FIELD, ERR_RETURN_URL_NOT_ALLOWED.
 */
enum return_to { RETURN_TO_URLS, RETURN_TO_PATHS };
MUST_CHECK bool login_ask_check(const struct identity *id, struct arena *arena, struct login_ask *ask, enum return_to which, struct error *err);
/* May a browser be sent to this origin? Our own, one of --allow-return-origin, or one of an OpenID client. */
bool login_origin_allowed(const struct identity *id, struct str origin);

/* Begins a session; `then` makes the answer once it is kept. It runs on the writer's thread and must not block. */
typedef struct http_reply *login_then_fn(struct http_request *r, const struct login_ask *ask, const struct login_begun *b);
struct http_reply *login_begin(struct http_request *r, const struct login_ask *ask, login_then_fn *then);
/* The same, answered with the page: status 200, text/html. */
struct http_reply *login_page(struct http_request *r, const struct login_ask *ask);

/* What the code of a session says. */
#define LOGIN_QR_TITLE "QR code to scan with your tana wallet"
struct str login_qr_text(struct arena *arena, const struct identity *id, struct str session_id, struct str challenge, struct str app_name,
			 struct str app_icon);

/*
 * How a session ended is asked with session_read (session_store.h) and session_status_at: user_id, username, public_key and role are there
 * once it is approved.
 */

/* Who is this? */
enum login_found {
	LOGIN_FOUND,
	LOGIN_NONE,    /* nobody: no token was shown */
	LOGIN_INVALID, /* a token that was never given, or was revoked */
	LOGIN_EXPIRED,
	LOGIN_FAILED   /* the database did not answer: *err */
};
enum login_found login_of_token(struct identity *id, struct str token, struct arena *arena, struct token_row *out, struct error *err);
/* By the cookie tana_session. */
enum login_found login_of_browser(struct http_request *r, struct token_row *out, struct error *err);
/* By `Authorization: Bearer`. False: *reply is the refusal, 401 with WWW-Authenticate. */
MUST_CHECK bool login_of_bearer(struct http_request *r, struct token_row *out, struct http_reply **reply);
/* One cookie's value; absent when there is none. */
struct str login_cookie(const struct http_request *r, const char *name);
/* Sets a cookie: HttpOnly, SameSite=Lax, Secure on https. max_age in seconds; 0 removes it. */
struct http_reply *login_set_cookie(struct http_reply *reply, struct http_request *r, const char *name, const char *value, const char *path, int64_t max_age);
/* Gives the browser its login: tana_session, and with --cookie-domain tana_forward. And takes both away. */
struct http_reply *login_give(struct http_reply *reply, struct http_request *r, const char *token);
struct http_reply *login_take(struct http_reply *reply, struct http_request *r);
/* tana_forward alone, for a browser that has the other; there is a --cookie-domain. max_age in seconds. */
struct http_reply *login_give_forward(struct http_reply *reply, struct http_request *r, const char *forward, int64_t max_age);
/* By the cookie tana_session, or by tana_forward: for /auth/forward alone. */
enum login_found login_of_forward(struct http_request *r, struct token_row *out, struct error *err);
/* The token of the request's `Authorization: Bearer`; absent: there is none. */
struct str login_bearer(const struct http_request *r);
/* What the caller's program calls itself, for people to read: printable ASCII, not too long; absent: it does not say. In the arena. */
struct str login_agent(struct http_request *r);
/* Ends a browser's login: the desktop's token does not count any more. Part of somebody's transaction. */
MUST_CHECK enum db_status login_end(struct db_conn *c, const struct hash *token, struct error *err);

#endif
