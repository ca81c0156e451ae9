/* What a request's header says, before its body. Private to this room. */
#ifndef TANA_HTTP_EXAMINE_H
#define TANA_HTTP_EXAMINE_H

#include "server_private.h"

/* Fills the request from its header: id, target, route, arguments, lengths. Returns the refusal, or NULL. *close_now: the framing
 * cannot be trusted, so nothing more is to be read from this connection. */
struct http_reply *request_examine(struct http_request *r, const char *version, bool *close_now);
/* "<random of this process>-<number>", NUL-terminated. */
void request_make_id(struct http_server *s, char id[HTTP_ID_SIZE]);

/* The body of a form, when it is there: taken apart and checked by the route's rows. NULL, or the refusal. */
struct http_reply *request_examine_form(struct http_request *r);

#endif
