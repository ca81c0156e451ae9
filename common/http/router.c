#include "router.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"

enum { METHODS = HTTP_DELETE + 1, NONE = -1 };

struct node {
	struct str text; /* the literal segment; absent for ":x" */
	int literals;    /* first child with a literal segment */
	int param;       /* the child for any segment */
	int sibling;     /* next literal of the same parent */
	int routes[METHODS];
};

struct router {
	struct node *nodes;
	size_t count, cap;
};

static int add_node(struct router *r, struct str text)
{
	if (r->count == r->cap) {
		r->cap = r->cap ? r->cap * 2 : 64;
		r->nodes = xrealloc(r->nodes, r->cap * sizeof(*r->nodes));
	}
	r->nodes[r->count] = (struct node){text, NONE, NONE, NONE, {NONE, NONE, NONE, NONE}};
	return (int)r->count++;
}

static int find_literal(const struct router *r, int parent, struct str text)
{
	int i = r->nodes[parent].literals;
	while (i != NONE && !str_equal(r->nodes[i].text, text))
		i = r->nodes[i].sibling;
	return i;
}

/* The child of `parent` for one segment of a route's path, made when it is not there. */
static int child_for(struct router *r, int parent, struct str segment)
{
	bool is_param = segment.p[0] == ':';
	int child = is_param ? r->nodes[parent].param : find_literal(r, parent, segment);
	if (child != NONE)
		return child;
	child = add_node(r, is_param ? STR_NONE : segment);
	if (is_param) {
		r->nodes[parent].param = child;
	} else {
		r->nodes[child].sibling = r->nodes[parent].literals;
		r->nodes[parent].literals = child;
	}
	return child;
}

static void add_route(struct router *r, const struct http_route *route, int index)
{
	const char *p = route->path;
	int node = 0, args = 0;
	invariant(p[0] == '/');
	for (p++; *p;) {
		size_t n = strcspn(p, "/");
		invariant(n > 0 && (p[n] == '\0' || p[n + 1] != '\0'));
		args += p[0] == ':';
		node = child_for(r, node, str_of(p, n));
		p += n + (p[n] == '/');
	}
	invariant(args <= ROUTER_ARGS_MAX);
	invariant(r->nodes[node].routes[route->method] == NONE);
	r->nodes[node].routes[route->method] = index;
}

struct router *router_new(const struct http_route *const *routes, size_t count)
{
	struct router *r = xcalloc(1, sizeof(*r));
	(void)add_node(r, STR_NONE);
	for (size_t i = 0; i < count; i++)
		add_route(r, routes[i], (int)i);
	return r;
}

void router_free(struct router *r)
{
	free(r->nodes);
	free(r);
}

/* Depth is bounded by the table's longest path. */
static bool find_below(const struct router *r, int at, int method, const struct str *segments, size_t count, struct router_match *out)
{
	const struct node *node = &r->nodes[at];
	if (count == 0) {
		for (int m = 0; m < METHODS; m++)
			out->allowed |= node->routes[m] != NONE ? 1U << m : 0;
		if (method < 0 || node->routes[method] == NONE)
			return false;
		out->index = (size_t)node->routes[method];
		return true;
	}
	int literal = find_literal(r, at, segments[0]);
	if (literal != NONE && find_below(r, literal, method, segments + 1, count - 1, out))
		return true;
	if (node->param == NONE)
		return false;
	out->args[out->arg_count++] = segments[0];
	if (find_below(r, node->param, method, segments + 1, count - 1, out))
		return true;
	out->arg_count--;
	return false;
}

void router_find(const struct router *r, int method, const struct str *segments, size_t count, struct router_match *out)
{
	out->allowed = 0;
	out->arg_count = 0;
	if (find_below(r, 0, method, segments, count, out))
		out->verdict = ROUTER_FOUND;
	else
		out->verdict = out->allowed ? ROUTER_NO_METHOD : ROUTER_NO_PATH;
}
