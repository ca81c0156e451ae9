#include <stdlib.h>

#include "base/mem.h"
#include "crypto/merkle_list.h"
#include "mesh_client_call.h"

struct mesh_client *mesh_client_new(const char *base_url, const char *user_agent, int64_t timeout_ms, struct error *err)
{
	struct http_client_options o = {.base_url = base_url, .user_agent = user_agent, .timeout_ms = timeout_ms};
	struct http_client *http = http_client_new(&o, err);
	if (!http)
		return NULL;
	struct mesh_client *c = xcalloc(1, sizeof *c);
	c->http = http;
	c->url = xstrdup(base_url);
	return c;
}

void mesh_client_free(struct mesh_client *c)
{
	if (!c)
		return;
	http_client_free(c->http);
	free(c->url);
	free(c);
}

const char *mesh_client_url(const struct mesh_client *c)
{
	return c->url;
}

bool mesh_client_set_network(struct mesh_client *c, struct str network, struct error *err)
{
	if (!str_present(network) || !mesh_network_valid(network))
		return error_set(err, ERR_CONFIG, "'%.*s' is no network's name (1-%d of a-z 0-9 . _ -).", STR_ARG(network), MESH_NETWORK_MAX);
	memcpy(c->network, network.p, network.n);
	c->network[network.n] = '\0';
	return true;
}

struct str mesh_client_network(const struct mesh_client *c)
{
	return c->network[0] ? str_from(c->network) : STR_NONE;
}

bool mesh_client_exchange(struct mesh_client *c, const char *method, const char *path, struct str body, struct buf *out, struct error *err)
{
	struct http_answer_in answer;
	if (!http_call(c->http, method, path, body, &answer, err))
		return false;
	bool ok = answer.status >= 200 && answer.status < 300;
	if (ok && out)
		buf_put_str(out, buf_str(&answer.body));
	else if (!ok)
		http_answer_error(&answer, err);
	http_answer_free(&answer);
	return ok;
}

bool mesh_client_call(struct mesh_client *c, const char *method, const char *path, struct str body, const struct json_message *m, void *value,
		      struct arena *arena, struct error *err)
{
	struct buf text = {0};
	bool ok = mesh_client_exchange(c, method, path, body, &text, err);
	struct error why;
	if (ok && !json_read_text(buf_str(&text), m, value, arena, &why)) {
		error_set(err, ERR_BAD_ANSWER, "%s answered %s %s with something else than expected: %s", c->url, method, path, why.message);
		error_hint(err, "is this a mesh coordinator of the same version? tana doctor");
		ok = false;
	}
	buf_free(&text);
	return ok;
}

static bool get(struct mesh_client *c, const char *path, const struct json_message *m, void *value, struct arena *arena, struct error *err)
{
	return mesh_client_call(c, "GET", path, STR_NONE, m, value, arena, err);
}

const char *mesh_client_path(struct arena *arena, const char *before, struct str id, const char *after)
{
	struct buf path = {0};
	buf_puts(&path, before);
	http_encode(&path, id);
	buf_puts(&path, after);
	const char *z = arena_strdup(arena, buf_z(&path));
	buf_free(&path);
	return z;
}

static const struct json_field about_rows[] = {
	F_TEXT(struct mesh_about, service, "service", 0, 0, "which service"),
	F_TEXT(struct mesh_about, version, "version", 0, 0, "version"),
	F_FORM(struct mesh_about, network, "network", 0, &form_network, "the network"),
	F_FORM(struct mesh_about, coordinator, "coordinator", 0, &form_public_key, "the coordinator's key"),
	F_INT(struct mesh_about, uptime_seconds, "uptime_seconds", 0, 0, 0, "time since the start"),
	F_INT(struct mesh_about, time, "time", 0, 0, 0, "the coordinator's clock"),
};
static JSON_MESSAGE(about_message, "MeshAbout", struct mesh_about, about_rows);

bool mesh_client_about(struct mesh_client *c, struct arena *arena, struct mesh_about *out, struct error *err)
{
	if (!get(c, "/info", &about_message, out, arena, err))
		return false;
	if (str_is(out->service, "mesh"))
		return true;
	error_set(err, ERR_BAD_ANSWER, "%s is not a mesh coordinator: it calls itself '%.*s'.", c->url, STR_ARG(out->service));
	return error_hint(err, "name the coordinator: tana --mesh-url http://HOST:8190 mesh status");
}

bool mesh_client_ready(struct mesh_client *c, struct error *err)
{
	return mesh_client_exchange(c, "GET", "/ready", STR_NONE, NULL, err);
}

/* Rows of one size, gathered over pages. */
struct gathered {
	size_t row_size;
	char *items;
	size_t count, cap;
};

static void gather(struct gathered *g, const void *row, struct arena *arena)
{
	if (g->count == g->cap) {
		/* Growing doubles, so what the arena keeps of old arrays is at most the size of the last one. */
		size_t cap = g->cap ? 2 * g->cap : MESH_LIST_DEFAULT;
		char *more = arena_zalloc(arena, cap, g->row_size);
		if (g->count)
			memcpy(more, g->items, g->count * g->row_size);
		g->items = more;
		g->cap = cap;
	}
	memcpy(g->items + g->count++ * g->row_size, row, g->row_size);
}

static struct json_list gathered_list(const struct gathered *g, struct arena *arena)
{
	return (struct json_list){g->items ? g->items : arena_alloc(arena, 0), g->count};
}

static void gather_nodes(struct gathered *g, const struct json_list *page, const struct mesh_query *q, struct arena *arena)
{
	const struct mesh_node *nodes = page->items;
	for (size_t i = 0; i < page->count && (q->limit == 0 || g->count < q->limit); i++)
		if (!q->role || str_is(nodes[i].role, q->role))
			gather(g, &nodes[i], arena);
}

static void put_cursor(struct buf *path, struct str cursor)
{
	if (!str_present(cursor))
		return;
	buf_puts(path, "&cursor=");
	http_encode(path, cursor);
}

/* Goes on to the next page. False: it would be the same one again. */
static bool turn(struct mesh_client *c, struct str *cursor, struct str next, struct error *err)
{
	if (str_present(*cursor) && str_equal(*cursor, next))
		return error_set(err, ERR_BAD_ANSWER, "%s repeats the same page of a list for ever.", c->url);
	*cursor = next;
	return true;
}

bool mesh_client_list(struct mesh_client *c, const struct mesh_query *q, struct arena *arena, struct mesh_node_list *out, struct error *err)
{
	struct gathered g = {.row_size = sizeof(struct mesh_node)};
	struct str cursor = STR_NONE;
	struct buf path = {0};
	bool ok;
	do {
		size_t page = !q->role && q->limit && q->limit - g.count < MESH_LIST_MAX ? q->limit - g.count : MESH_LIST_MAX;
		buf_clear(&path);
		buf_printf(&path, "/nodes?limit=%zu", page);
		for (size_t i = 0; q->statuses && q->statuses[i]; i++) {
			buf_puts(&path, "&status=");
			http_encode(&path, str_from(q->statuses[i]));
		}
		put_cursor(&path, cursor);
		struct mesh_node_list page_read;
		ok = get(c, buf_z(&path), &mesh_node_list_message, &page_read, arena, err);
		if (ok)
			gather_nodes(&g, &page_read.nodes, q, arena);
		ok = ok && turn(c, &cursor, page_read.next_cursor, err);
	} while (ok && str_present(cursor) && (q->limit == 0 || g.count < q->limit));
	buf_free(&path);
	if (ok)
		*out = (struct mesh_node_list){.nodes = gathered_list(&g, arena), .next_cursor = cursor};
	return ok;
}

bool mesh_client_node(struct mesh_client *c, struct str node_id, struct arena *arena, struct mesh_node *out, struct error *err)
{
	struct mesh_node_one one;
	if (!get(c, mesh_client_path(arena, "/nodes/", node_id, ""), &mesh_node_one_message, &one, arena, err))
		return false;
	if (!one.node || !str_equal(one.node->id, node_id))
		return error_set(err, ERR_BAD_ANSWER, "%s answered with another node than the one asked for.", c->url);
	*out = *one.node;
	return true;
}

bool mesh_client_history(struct mesh_client *c, struct str node_id, int64_t since, size_t limit, struct arena *arena, struct mesh_history *out,
			 struct error *err)
{
	struct str query = arena_printf(arena, "/heartbeats?since=%lld", (long long)since);
	if (limit)
		query = arena_printf(arena, "%.*s&limit=%zu", STR_ARG(query), limit);
	return get(c, mesh_client_path(arena, "/nodes/", node_id, query.p), &mesh_history_message, out, arena, err);
}

bool mesh_client_topology(struct mesh_client *c, struct arena *arena, struct mesh_node_list *out, struct error *err)
{
	return get(c, "/topology", &mesh_topology_message, out, arena, err);
}

bool mesh_client_snapshot(struct mesh_client *c, struct buf *out, struct error *err)
{
	return mesh_client_exchange(c, "GET", "/topology/snapshot", STR_NONE, out, err);
}

bool mesh_client_sovereigns(struct mesh_client *c, struct arena *arena, struct mesh_sovereigns *out, struct error *err)
{
	return get(c, "/sovereign", &mesh_sovereigns_message, out, arena, err);
}

bool mesh_client_invites(struct mesh_client *c, struct arena *arena, struct mesh_invites *out, struct error *err)
{
	struct gathered g = {.row_size = sizeof(struct mesh_invite)};
	struct str cursor = STR_NONE;
	struct buf path = {0};
	bool ok;
	do {
		buf_clear(&path);
		buf_printf(&path, "/invites?limit=%d", MESH_LIST_MAX);
		put_cursor(&path, cursor);
		struct mesh_invites page;
		ok = get(c, buf_z(&path), &mesh_invites_message, &page, arena, err);
		const struct mesh_invite *invites = ok ? page.invites.items : NULL;
		for (size_t i = 0; ok && i < page.invites.count; i++)
			gather(&g, &invites[i], arena);
		ok = ok && turn(c, &cursor, page.next_cursor, err);
	} while (ok && str_present(cursor));
	buf_free(&path);
	if (ok)
		*out = (struct mesh_invites){.invites = gathered_list(&g, arena)};
	return ok;
}

bool mesh_client_audit(struct mesh_client *c, int64_t after, size_t limit, struct arena *arena, struct mesh_audit *out, struct error *err)
{
	struct str path = arena_printf(arena, "/audit?limit=%zu", limit ? limit : MESH_LIST_DEFAULT);
	if (after >= 0)
		path = arena_printf(arena, "%.*s&after=%lld", STR_ARG(path), (long long)after);
	return get(c, path.p, &mesh_audit_message, out, arena, err);
}

bool mesh_client_checkpoint(struct mesh_client *c, struct buf *out, struct error *err)
{
	return mesh_client_exchange(c, "GET", "/audit/checkpoint", STR_NONE, out, err);
}

/* A proof's hashes; false when there are too many or one is malformed. */
static bool read_path(const struct json_list *texts, struct hash path[MERKLE_PATH_MAX])
{
	const struct str *items = texts->items;
	if (texts->count > MERKLE_PATH_MAX)
		return false;
	for (size_t i = 0; i < texts->count; i++)
		if (!hash_from_text(items[i], &path[i]))
			return false;
	return true;
}

bool mesh_client_prove_inclusion(struct mesh_client *c, const struct hash *leaf, int64_t index, const struct checkpoint *head,
				 struct arena *arena, struct error *err)
{
	struct mesh_inclusion proof;
	struct hash path[MERKLE_PATH_MAX];
	const char *where =
		arena_printf(arena, "/audit/proof/inclusion?index=%lld&size=%llu", (long long)index, (unsigned long long)head->size).p;
	if (!get(c, where, &mesh_inclusion_message, &proof, arena, err))
		return false;
	/* Only the path is taken from the answer: leaf, index, size and root are what the caller already knows. */
	if (index < 0 || !read_path(&proof.path, path) ||
	    !merkle_inclusion_verify(leaf, (uint64_t)index, head->size, path, proof.path.count, &head->root))
		return error_set(err, ERR_CORRUPT, "The log of %s cannot prove that it holds entry %lld.", c->url, (long long)index);
	return true;
}

bool mesh_client_prove_consistency(struct mesh_client *c, const struct checkpoint *older, const struct checkpoint *newer, struct arena *arena,
				   struct error *err)
{
	struct mesh_consistency proof;
	struct hash path[MERKLE_PATH_MAX];
	unsigned long long from = older->size, to = newer->size;
	if (!get(c, arena_printf(arena, "/audit/proof/consistency?from=%llu&to=%llu", from, to).p, &mesh_consistency_message, &proof, arena,
		 err))
		return false;
	if (!read_path(&proof.path, path) ||
	    !merkle_consistency_verify(older->size, &older->root, newer->size, &newer->root, path, proof.path.count))
		return error_set(err, ERR_CORRUPT,
				 "The log of %s with %llu entries does not continue the one with %llu: its history was rewritten.", c->url, to,
				 from);
	return true;
}

bool mesh_client_events(struct mesh_client *c, int64_t last_id, mesh_event_fn *each, void *ctx, const volatile int *stop, struct error *err)
{
	return http_events(c->http, "/events", last_id, each, ctx, stop, err);
}
