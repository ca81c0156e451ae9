/* t4d's HTTP interface: the table in api_routes.c, handlers by topic. A handler asks access and store, and answers with the messages of
 * wire/t4.h. */
#ifndef TANA_T4D_API_H
#define TANA_T4D_API_H

#include "t4.h"

extern const struct http_route t4_routes[];
extern const size_t t4_route_count;

/* api_content.c: one blob */
http_handler api_get, api_put, api_delete;
extern const struct http_upload api_put_upload;
/* api_lists.c: many */
http_handler api_missing, api_list, api_stats;

/* Refuses, with *reply, a caller whose token does not allow the scope. */
MUST_CHECK bool api_allowed(struct http_request *r, const char *scope, struct sat *out, struct http_reply **reply);
/* A refusal as it leaves: one of 401 says how to ask. */
struct http_reply *api_refuse(struct http_request *r, const struct error *err);

#endif
