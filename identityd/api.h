/*
 * identityd's HTTP interface: the table in api_routes.c, one file a topic. A handler reads the request, asks rules and store, and answers
 * with the messages of wire/identity.h.
 */
#ifndef TANA_IDENTITYD_API_H
#define TANA_IDENTITYD_API_H

#include "http/server.h"
#include "identity.h"
#include "session_store.h"

extern const struct http_route identity_routes[];
extern const size_t identity_route_count;

/* api_session.c: what desktops ask */
http_handler api_session_create, api_session_get, api_session_ticket, api_session_continue, api_session_qr;
/* api_stream.c */
http_handler api_session_events, api_user_events;
/* api_phone.c: what phones do */
http_handler api_session_scan, api_session_reject;
/* api_approve.c */
http_handler api_session_approve;
/* api_tokens.c */
http_handler api_verify, api_revoke, api_tokens;
/* api_pages.c */
http_handler api_login_page, api_logout, api_page_style, api_page_script, api_page_icon;

/* What they share (api_session.c). */

/* The session of the path. False: *reply is the refusal (404, or the database's). */
MUST_CHECK bool api_session_of_path(struct http_request *r, struct session_row *out, struct http_reply **reply);
/* Did the request show this session's poll secret, in the header or as a cookie? `token` gets the desktop's token then. */
bool api_poll_secret_shown(struct http_request *r, const struct session_row *s, char token[]);
struct http_reply *api_unknown_session(struct http_request *r);
/* ms as ISO 8601 in the arena; 0: absent. */
struct str api_time(struct http_request *r, int64_t ms);
/* The refusal of a session in a state that does not allow it: its `status` is told. */
struct http_reply *api_refuse_state(struct http_request *r, const struct error *err, enum session_status status);
/* The refusal of whoever changed nothing: 409 wrong_state when another was quicker since this request began, else that the session has ended (api_phone.c). */
struct http_reply *api_refuse_late(struct http_request *r, const struct session_row *s, int64_t begun, int64_t now);
/* Hands a job to the writer; its `done` answers. */
struct http_reply *api_submit(struct http_request *r, struct db_job *job);

#endif
