/*
 * The OpenID Provider's HTTP interface: what its handlers share. Their rows stand in api_routes.c, the tables those name in api_oidc_tables.c.
 */
#ifndef TANA_IDENTITYD_API_OIDC_H
#define TANA_IDENTITYD_API_OIDC_H

#include "oidc_answer.h"

/* api_oidc_meta.c */
http_handler api_oidc_configuration, api_oidc_jwks;
/* api_oidc_authorize.c */
http_handler api_oidc_authorize, api_oidc_authorize_form;
/* api_oidc_consent.c */
http_handler api_oidc_consent;
/* api_oidc_token.c */
http_handler api_oidc_token;
/* api_oidc_access.c */
http_handler api_oidc_userinfo, api_oidc_userinfo_form, api_oidc_introspect, api_oidc_revoke;
/* api_oidc_logout.c */
http_handler api_oidc_logout;
/* api_oidc_device.c, api_device_page.c */
http_handler api_oidc_device, api_device_page, api_device_form;
/* api_forward.c */
http_handler api_forward;
/* For the login page, when a proxy sent the browser (query parameter `forward`) to be led back to another origin, ask->app_origin. */
struct http_reply *api_forward_out_of_reach(struct http_request *r, const struct login_ask *ask); /* a page: no login is ever seen there; NULL: it would be */
struct http_reply *api_forward_from_login(struct http_request *r, const struct login_ask *ask, const struct token_row *who); /* who is logged in here already */

/* api_oidc_tables.c */
extern const struct http_param oidc_authorize_params[], oidc_consent_form[], oidc_token_form[], oidc_userinfo_form[], oidc_one_token_form[], oidc_logout_params[],
	oidc_logout_form[], oidc_device_form[], device_page_params[], device_page_form[], forward_params[];
extern const struct http_answer oidc_configuration_answers[], oidc_jwks_answers[], oidc_authorize_answers[], oidc_authorize_form_answers[], oidc_consent_answers[],
	oidc_token_answers[], oidc_userinfo_answers[], oidc_introspect_answers[], oidc_revoke_answers[], oidc_logout_answers[], oidc_device_answers[],
	device_page_answers[], forward_answers[];
extern const enum error_code oidc_authorize_errors[], oidc_token_errors[], oidc_userinfo_errors[], oidc_userinfo_form_errors[], oidc_introspect_errors[], oidc_revoke_errors[], oidc_logout_errors[],
	oidc_device_errors[], device_page_errors[], forward_errors[];
enum { OIDC_FORM_MAX = 16 * 1024 /* bytes */ };

/* Messages of the answers that are written by one handler each. */
extern const struct json_message oidc_configuration_message, oidc_jwks_message, oidc_introspection_message, oidc_device_message;

/* ---- shared by handlers (oidc_request.c) ---- */

/* A job of the writer that answers one request: a handler embeds it first in a struct of its own, in the request's arena. */
struct oidc_job {
	struct db_job job; /* the pool's */
	struct http_request *request;
	struct http_reply *answer; /* when the transaction is kept, unless it refused */
	bool refused;              /* set by run, each time: *refusal is answered instead, and what run wrote is kept */
	struct error refusal;
};
/* Submits it; `run` as in db_pool.h. */
struct http_reply *oidc_submit(struct oidc_job *j, struct http_request *r, enum db_status (*run)(struct db_job *job, struct db_conn *c, struct error *err));

/* The first value of a query parameter: as http_form_text reads a form. */
struct str oidc_of_query(const struct http_request *r, const char *name);
/* The calling client, by the form's client_id and client_secret and the Authorization header. NULL: *reply is the refusal, with WWW-Authenticate when a
 * header was sent. */
const struct oidc_client *oidc_calling_client(struct http_request *r, struct http_reply **reply);
/* Who is at the browser: true, and *who. False: nobody, and *failed (may be the refusal) is NULL, or the database did not answer. */
bool oidc_at_browser(struct http_request *r, struct token_row *who, struct http_reply **failed);
/* What a form of ours must send back, so that only pages of ours can make this browser send it: an HMAC by the browser's own token. In the arena. */
struct str oidc_form_token(struct http_request *r);
bool oidc_form_token_fits(struct http_request *r, struct str shown);
/* 303 to a URL, with further parameters: begin, put, reply. */
void oidc_url_begin(struct buf *url, struct str base);
void oidc_url_put(struct buf *url, const char *name, struct str value); /* nothing when it is absent */
struct http_reply *oidc_redirect(struct http_request *r, struct buf *url); /* takes the buffer */
/* The error as the client hears of it, at its redirect URI (RFC 6749 4.1.2.1, RFC 9207). */
struct http_reply *oidc_redirect_error(struct http_request *r, struct str redirect_uri, struct str state, const struct error *err);
/* A grant as this login gives it. */
struct grant_row oidc_grant_of(struct http_request *r, const struct token_row *who, const struct oidc_client *client, unsigned scopes, struct str nonce);

#endif
