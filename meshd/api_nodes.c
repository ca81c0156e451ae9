#include <stdlib.h>

#include "api.h"
#include "base/mem.h"
#include "crypto/sha256.h"
#include "mesh_lists.h"

/* ?status=, repeatable; `all` is every one. Default: active. */
static bool read_statuses(struct http_request *r, unsigned *out, struct http_reply **reply)
{
	*out = 0;
	struct str text;
	for (size_t i = 0; str_present(text = http_query_text(r, "status", i)); i++) {
		enum node_status s;
		if (str_is(text, "all"))
			*out = ALL_STATUSES;
		else if (node_status_from_text(text, &s))
			*out |= 1U << s;
		else {
			*reply = http_reply_error_code(r, ERR_MALFORMED_PARAMETER, "`status` is pending, active, offline, denied or all");
			return false;
		}
	}
	if (*out == 0)
		*out = 1U << NODE_ACTIVE;
	return true;
}

/* A strong entity tag: of the very bytes. */
static struct http_reply *tagged(struct http_request *r, const struct json_message *m, const void *value)
{
	struct buf body = {0};
	struct hash h;
	char hex[HASH_TEXT_LEN + 1], tag[HASH_TEXT_LEN + 3];
	json_write(&body, m, value);
	sha256(&h, body.data, body.len);
	hash_to_text(&h, hex);
	tag[0] = '"';
	memcpy(tag + 1, hex, 32);
	memcpy(tag + 33, "\"", 2);
	/* May be kept, and asked for again each time. */
	return http_reply_etag(r, http_reply_header(http_reply_bytes(r, 200, NULL, &body), "Cache-Control", "no-cache"), tag);
}

struct http_reply *api_nodes(struct http_request *r)
{
	struct node_filter f = {.after = STR_LIT(""), .role = http_query_text(r, "role", 0)};
	struct http_reply *reply;
	struct error err;
	struct str cursor = http_query_text(r, "cursor", 0);
	if (!read_statuses(r, &f.statuses, &reply))
		return reply;
	if (!http_query_int(r, "limit", MESH_LIST_DEFAULT, &f.limit))
		return http_reply_error_code(r, ERR_MALFORMED_PARAMETER, "`limit` is a number");
	if (str_present(f.role) && !form_role.check(f.role))
		return http_reply_error_code(r, ERR_MALFORMED_PARAMETER, "`role` must be %s", form_role.what);
	if (str_present(cursor)) {
		if (!mesh_node_id_valid(cursor))
			return http_reply_error_code(r, ERR_MALFORMED_CURSOR, "`cursor` is not one that this list gave");
		f.after = cursor;
	}
	struct db_conn *c = api_reader(r, &reply);
	if (!c)
		return reply;
	struct mesh_node_list list = {.nodes = {NULL, 0}};
	bool more;
	enum db_status st = nodes_list(c, &f, SERVICES_ROWS, http_arena(r), &list.nodes, &more, &err);
	api_reader_done(r, c);
	if (st != DB_OK)
		return http_reply_error(r, &err);
	if (more)
		list.next_cursor = ((const struct mesh_node *)list.nodes.items)[list.nodes.count - 1].id;
	return tagged(r, &mesh_node_list_message, &list);
}

struct http_reply *api_node(struct http_request *r)
{
	struct str id = http_path_arg(r, 0);
	struct mesh_node node;
	struct http_reply *reply;
	struct error err;
	bool found;
	struct db_conn *c = api_reader(r, &reply);
	if (!c)
		return reply;
	enum db_status st = nodes_one(c, id, http_arena(r), &node, &found, &err);
	api_reader_done(r, c);
	if (st != DB_OK)
		return http_reply_error(r, &err);
	if (!found)
		return http_reply_error_code(r, ERR_UNKNOWN_NODE, "no node %.*s is registered", STR_ARG(id));
	struct mesh_node_one one = {.node = &node};
	return tagged(r, &mesh_node_one_message, &one);
}

/*
 * Whole lists of active nodes, streamed page by page, so that a hundred thousand of them take no memory. A node that is active throughout is in the list once; one that changes
 * meanwhile may be in it or not.
 */
struct active_stream {
	struct mesh *mesh;
	const char *open;
	struct str role;
	enum services_form form;
	void (*write)(struct buf *out, const struct mesh_node *n);
	char after[MESH_NODE_ID_MAX + 1];
	bool begun, first_done;
};
enum { STREAM_PAGE = 200 };

static bool stream_next(void *ctx, struct buf *out, bool *failed)
{
	struct active_stream *s = ctx;
	struct arena arena;
	struct error err;
	struct json_list nodes = {NULL, 0};
	bool more = false;
	arena_init(&arena);
	struct node_filter f = {.statuses = 1U << NODE_ACTIVE, .role = s->role, .after = str_from(s->after), .limit = STREAM_PAGE};
	struct db_conn *c = db_pool_reader(s->mesh->pool, &err);
	*failed = !c || nodes_list(c, &f, s->form, &arena, &nodes, &more, &err) != DB_OK;
	if (c)
		db_pool_release(s->mesh->pool, c);
	if (!*failed) {
		const struct mesh_node *list = nodes.items;
		if (!s->begun)
			buf_puts(out, s->open);
		s->begun = true;
		for (size_t i = 0; i < nodes.count; i++) {
			if (s->first_done)
				buf_putc(out, ',');
			s->first_done = true;
			s->write(out, &list[i]);
		}
		if (nodes.count > 0) {
			struct str last = list[nodes.count - 1].id;
			*failed = last.n >= sizeof(s->after); /* no id is so long, unless somebody else wrote into the database */
			if (!*failed)
				memcpy(s->after, last.p, last.n + 1); /* arena copies end in NUL */
		}
		if (!more)
			buf_puts(out, "]}");
	}
	arena_free(&arena);
	return more && !*failed;
}

static struct http_reply *stream_active(struct http_request *r, const char *open, struct str role, enum services_form form,
					void (*write)(struct buf *out, const struct mesh_node *n))
{
	struct active_stream *s = xcalloc(1, sizeof(*s));
	s->mesh = http_ctx(r);
	s->open = open;
	s->role = role;
	s->form = form;
	s->write = write;
	return http_reply_stream(r, 200, "application/json", stream_next, free, s);
}

static void write_topology_node(struct buf *out, const struct mesh_node *n)
{
	json_write(out, &mesh_topology_node_message, n);
}

struct http_reply *api_topology(struct http_request *r)
{
	return stream_active(r, "{\"nodes\":[", STR_NONE, SERVICES_TOPOLOGY, write_topology_node);
}

static struct mesh_validator validator_of(const struct mesh_node *n)
{
	return (struct mesh_validator){.id = n->id, .public_key = n->public_key, .ws_url = n->tailscale_hostname, .last_seen = n->last_heartbeat};
}

static void write_validator(struct buf *out, const struct mesh_node *n)
{
	struct mesh_validator v = validator_of(n);
	json_write(out, &mesh_validator_message, &v);
}

struct http_reply *api_validators(struct http_request *r)
{
	return stream_active(r, "{\"validators\":[", STR_LIT("validator"), SERVICES_TOPOLOGY, write_validator);
}

struct http_reply *api_validator(struct http_request *r)
{
	struct str id = http_path_arg(r, 0);
	struct mesh_node node;
	struct http_reply *reply;
	struct error err;
	bool found;
	struct db_conn *c = api_reader(r, &reply);
	if (!c)
		return reply;
	enum db_status st = nodes_one(c, id, http_arena(r), &node, &found, &err);
	api_reader_done(r, c);
	if (st != DB_OK)
		return http_reply_error(r, &err);
	if (!found || !str_is(node.status, "active") || !str_is(node.role, "validator"))
		return http_reply_error_code(r, ERR_UNKNOWN_NODE, "no active validator is called %.*s", STR_ARG(id));
	struct mesh_validator v = validator_of(&node);
	struct mesh_validator_one one = {.validator = &v};
	return http_reply_json(r, 200, &mesh_validator_one_message, &one);
}
