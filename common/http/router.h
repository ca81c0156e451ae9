/* From method and path segments to a row of the route table: a tree of segments, built once at the start. Pure. Private to this room.
 */
#ifndef TANA_HTTP_ROUTER_H
#define TANA_HTTP_ROUTER_H

#include "server.h"

enum { ROUTER_ARGS_MAX = 8 };

struct router_match {
	enum { ROUTER_FOUND, ROUTER_NO_PATH, ROUTER_NO_METHOD } verdict;
	size_t index;                     /* ROUTER_FOUND: into the table given to router_new */
	unsigned allowed;                 /* ROUTER_NO_METHOD: bit 1 << enum http_method for each method the path has */
	struct str args[ROUTER_ARGS_MAX]; /* what the ":x" segments matched, in order */
	size_t arg_count;
};

struct router;
/* The rows outlive the router. Two rows with the same method and shape of path, or a path that is none, are broken invariants. */
struct router *router_new(const struct http_route *const *routes, size_t count);
void router_free(struct router *r);
/* A literal segment goes before ":x"; where the literal branch has no answer the other is tried. method < 0: one that no route has. */
void router_find(const struct router *r, int method, const struct str *segments, size_t count, struct router_match *out);

#endif
