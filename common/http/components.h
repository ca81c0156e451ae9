/* The messages and forms that a route table reaches, each once, in the order they are met: the components of its documents. Private to
 * this room. */
#ifndef TANA_HTTP_COMPONENTS_H
#define TANA_HTTP_COMPONENTS_H

#include "server.h"

enum { COMPONENTS_MAX = 256 };

struct components {
	const struct json_message *messages[COMPONENTS_MAX];
	size_t message_count;
	const struct json_form *forms[COMPONENTS_MAX];
	size_t form_count;
};
/* The room's own error document comes first. Two components of one name are a broken invariant. */
void components_collect(struct components *c, const struct http_route *const *routes, size_t count);

/* The service's rows and the room's own, in this order: what documents are written from. The caller frees the array. */
const struct http_route **documented_routes(const struct http_route *routes, size_t count, size_t *all);
/* "anyone", "node-signed", "sovereign-signed", "token". */
const char *http_access_text(enum http_access a);

#endif
