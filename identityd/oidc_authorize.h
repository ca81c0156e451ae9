/*
 * One authorization on its way: what the request asks, judged, and who is at the browser. The same steps serve the browser that comes with a GET and
 * the form by which the user says yes or no.
 */
#ifndef TANA_IDENTITYD_OIDC_AUTHORIZE_H
#define TANA_IDENTITYD_OIDC_AUTHORIZE_H

#include "api_oidc.h"

struct authorization {
	struct authorize_ask ask;
	int64_t login_after;
	const struct oidc_client *client;
	struct authorize want;
	struct token_row who;
	struct authorize_login login;
};
/* How a parameter is read: of the query or of the form. */
typedef struct str authorization_get_fn(const struct http_request *r, const char *name);
/* Reads and judges what was asked. NULL: it is good. Otherwise the answer: a page, or a redirect that tells the client. */
struct http_reply *authorization_read(struct http_request *r, authorization_get_fn *get, struct authorization *a);
/* Who is at the browser, and what they agreed to before. NULL, or the answer: the database's refusal. */
struct http_reply *authorization_see(struct http_request *r, struct authorization *a);
/* Keeps grant and code (and, if `agreed`, that the user agreed), and sends the browser back to the client with the code. */
struct http_reply *authorization_grant(struct http_request *r, const struct authorization *a, bool agreed);
/* This authorization's own address ("/oauth2/authorize?..."), with `login_after`. Appended. */
void authorization_address(struct buf *out, const struct authorization *a, int64_t login_after);
/* Its parameters, one by one, for a form. */
void authorization_put_fields(struct buf *out, const struct authorization *a, void (*put)(struct buf *out, const char *name, struct str value));
/* Where its answer goes, as people read it: the origin, or the app's scheme. In the arena. */
struct str authorization_target(struct http_request *r, const struct authorize_ask *ask);

#endif
