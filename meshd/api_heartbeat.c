#include <inttypes.h>

#include "api.h"
#include "base/clock.h"
#include "mesh_feed.h"
#include "mesh_liveness.h"
#include "wire/mesh.h"

struct beat_request {
	struct heartbeat_job beat; /* first: the pool's job is its head */
	struct http_request *request;
};

static void beat_done(struct db_job *job, enum db_status status, const struct error *err)
{
	struct beat_request *b = (struct beat_request *)job;
	struct http_request *r = b->request;
	if (status != DB_OK) {
		http_finish(r, http_reply_error(r, err));
		return;
	}
	if (b->beat.events)
		mesh_feed_wake(b->beat.mesh->feed);
	if (!b->beat.accepted) {
		http_finish(r, api_refuse(r, &b->beat.refusal));
		return;
	}
	struct mesh_heartbeat_answer a = {.success = JSON_TRUE, .timestamp = b->beat.received_at};
	http_finish(r, http_reply_json(r, 200, &mesh_heartbeat_answer_message, &a));
}

/* What was signed: the canonical body less the signature, or the short text. */
static bool signed_text(const struct json_doc *doc, const struct mesh_heartbeat *h, struct buf *out, struct error *err)
{
	if (str_present(h->signed_form))
		return json_canonicalise(doc, "signature", out, err);
	mesh_message_heartbeat(out, h->node_id, h->timestamp);
	return true;
}

static bool signature_fits(struct str key_text, struct str signature_text, struct str text)
{
	struct ed25519_public key;
	struct ed25519_signature sig;
	struct error ignored;
	return ed25519_public_from_text(key_text, KEY_WRITTEN, &key, &ignored) &&
	       ed25519_signature_from_text(signature_text, KEY_LENIENT, &sig, &ignored) && ed25519_verify_message(&sig, &key, text);
}

/* Everything that can be said before the writer's turn, in the protocol's order. True: the signature is good. */
static bool judge(struct http_request *r, const struct mesh_heartbeat *h, struct str text, int64_t now, struct str *key, struct http_reply **reply)
{
	struct mesh *m = http_ctx(r);
	struct node_row node;
	struct liveness live;
	struct error err;
	bool found;
	struct db_conn *c = api_reader(r, reply);
	if (!c)
		return false;
	enum db_status st = heartbeat_read(c, h->node_id, http_arena(r), &node, &live, &found, &err);
	api_reader_done(r, c);
	if (st != DB_OK) {
		*reply = http_reply_error(r, &err);
		return false;
	}
	if (!found) {
		*reply = http_reply_error_code(r, ERR_UNKNOWN_NODE, "no node %.*s is registered", STR_ARG(h->node_id));
		return false;
	}
	if (!mesh_heartbeat_allowed(&node, &live, h->timestamp, now, m->config.heartbeat_window_ms, &err)) {
		*reply = api_refuse(r, &err);
		return false;
	}
	if (!signature_fits(node.public_key, h->signature, text)) {
		*reply = http_reply_error_code(r, ERR_BAD_SIGNATURE, "the signature does not fit the message and the node's key");
		return false;
	}
	*key = node.public_key;
	return true;
}

static struct str unhealthy_types(struct arena *arena, const struct mesh_heartbeat *h)
{
	struct buf text = {0};
	const struct mesh_health *list = h->services.items;
	for (size_t i = 0; i < h->services.count; i++) {
		if (list[i].healthy == JSON_TRUE)
			continue;
		if (text.len)
			buf_putc(&text, ' ');
		buf_put_str(&text, list[i].type);
	}
	struct str out = text.len ? arena_copy(arena, buf_str(&text)) : STR_NONE;
	buf_free(&text);
	return out;
}

static struct http_reply *submit(struct http_request *r, const struct mesh_heartbeat *h, struct str key, int64_t now)
{
	struct mesh *m = http_ctx(r);
	struct arena *arena = http_arena(r);
	struct beat_request *b = arena_alloc(arena, sizeof(*b));
	b->request = r;
	b->beat = (struct heartbeat_job){
		.mesh = m,
		.arena = arena,
		.node_id = h->node_id,
		.public_key = key,
		.timestamp = h->timestamp,
		.received_at = now,
		/* The short signature does not cover the address. */
		.ip = str_present(h->signed_form) ? h->tailscale_ip : STR_NONE,
		.version = h->version,
		.height = h->height,
	};
	if (h->services.count > 0) {
		b->beat.health = health_text(arena, h->services.items, h->services.count);
		b->beat.unhealthy = unhealthy_types(arena, h);
	}
	heartbeat_job_init(&b->beat);
	b->beat.job.done = beat_done;
	struct http_reply *later = http_reply_later(r);
	struct error err;
	if (!db_pool_submit(m->pool, &b->beat.job, &err))
		http_finish(r, http_reply_error(r, &err));
	return later;
}

struct http_reply *api_heartbeat(struct http_request *r)
{
	struct error err;
	struct mesh_heartbeat h;
	struct buf text = {0};
	struct json_doc *doc = json_parse_object(http_body(r), &err);
	if (!doc)
		return http_reply_error(r, &err);
	bool ok = json_read(doc, &mesh_heartbeat_message, &h, http_arena(r), &err) && signed_text(doc, &h, &text, &err);
	json_doc_free(doc);
	struct http_reply *reply;
	struct str key;
	int64_t now = clock_wall_ms();
	if (!ok)
		reply = http_reply_error(r, &err);
	else if (judge(r, &h, buf_str(&text), now, &key, &reply))
		reply = submit(r, &h, key, now);
	buf_free(&text);
	return reply;
}

/* History */
DB_SQL(SQL_HISTORY, "SELECT time, received_at, height, version, unhealthy FROM local_heartbeats WHERE node_id = $1 AND time > $2 ORDER BY time LIMIT $3");
DB_SQL(SQL_EXISTS, "SELECT 1 FROM nodes WHERE id = $1");

static struct json_list split_types(struct arena *arena, struct str text)
{
	struct str *types = arena_zalloc(arena, MESH_SERVICES_MAX, sizeof(*types));
	size_t count = 0;
	while (text.n > 0 && count < MESH_SERVICES_MAX) {
		const char *blank = memchr(text.p, ' ', text.n);
		size_t n = blank ? (size_t)(blank - text.p) : text.n;
		types[count++] = arena_copy(arena, str_of(text.p, n));
		text = str_of(text.p + n + (blank ? 1 : 0), text.n - n - (blank ? 1 : 0));
	}
	return (struct json_list){types, count};
}

static enum db_status read_history(struct db_conn *c, struct str id, int64_t after, int64_t limit, struct arena *arena, struct mesh_history *out,
				   struct error *err)
{
	struct mesh_history_entry *list = arena_zalloc(arena, (size_t)limit, sizeof(*list));
	struct db_rows *rows;
	size_t count = 0;
	bool more = false;
	enum db_status st = db_query(c, &SQL_HISTORY, DB_ARGS(DB_TEXT(id), DB_INT(after), DB_INT(limit + 1)), &rows, err);
	if (st != DB_OK)
		return st;
	while (db_next(rows)) {
		more = (int64_t)count == limit;
		if (more)
			break;
		list[count++] = (struct mesh_history_entry){
			.timestamp = db_int(rows, 0),
			.received_at = db_int(rows, 1),
			.height = db_is_null(rows, 2) ? JSON_INT_ABSENT : db_int(rows, 2),
			.version = arena_copy(arena, db_text(rows, 3)),
			.unhealthy = split_types(arena, db_text(rows, 4)),
		};
	}
	*out = (struct mesh_history){.heartbeats = {list, count}};
	if (more)
		out->next_cursor = arena_printf(arena, "%" PRId64, list[count - 1].timestamp);
	return db_finish(rows, err);
}

static enum db_status node_exists(struct db_conn *c, struct str id, bool *exists, struct error *err)
{
	struct db_rows *rows;
	enum db_status st = db_query(c, &SQL_EXISTS, DB_ARGS(DB_TEXT(id)), &rows, err);
	if (st != DB_OK)
		return st;
	*exists = db_next(rows);
	return db_finish(rows, err);
}

struct http_reply *api_history(struct http_request *r)
{
	int64_t since, limit;
	struct http_reply *reply;
	struct error err;
	struct mesh_history history;
	struct str id = http_path_arg(r, 0);
	if (!http_query_int(r, "since", 0, &since) || !http_query_int(r, "limit", MESH_LIST_DEFAULT, &limit))
		return http_reply_error_code(r, ERR_MALFORMED_PARAMETER, "`since` and `limit` are numbers");
	int64_t after = since - 1; /* `since` itself is included */
	if (!api_number_cursor(r, &after, &reply))
		return reply;
	struct db_conn *c = api_reader(r, &reply);
	if (!c)
		return reply;
	bool exists = false;
	enum db_status st = node_exists(c, id, &exists, &err);
	if (st == DB_OK && exists)
		st = read_history(c, id, after, limit, http_arena(r), &history, &err);
	api_reader_done(r, c);
	if (st != DB_OK)
		return http_reply_error(r, &err);
	if (!exists)
		return http_reply_error_code(r, ERR_UNKNOWN_NODE, "no node %.*s is registered", STR_ARG(id));
	return http_reply_json(r, 200, &mesh_history_message, &history);
}
