#include "api.h"
#include "base/clock.h"
#include "mesh_feed.h"
#include "mesh_hints.h"
#include "mesh_history.h"
#include "mesh_liveness.h"
#include "wire/mesh.h"

struct beat_request {
	struct heartbeat_job beat; /* first: the pool's job is its head */
	struct http_request *request;
	struct mesh_hint hint; /* for the next one, if this one is taken */
};

static void beat_done(struct db_job *job, enum db_status status, const struct error *err)
{
	struct beat_request *b = (struct beat_request *)job;
	struct http_request *r = b->request;
	struct mesh *m = b->beat.mesh;
	if (status != DB_OK) {
		http_finish(r, http_reply_error(r, err));
		return;
	}
	if (b->beat.events)
		mesh_feed_wake(m->feed);
	if (!b->beat.accepted) {
		mesh_hint_drop(m->hints, b->beat.node_id);
		http_finish(r, api_refuse(r, &b->beat.refusal));
		return;
	}
	mesh_hint_put(m->hints, b->beat.node_id, &b->hint);
	struct mesh_heartbeat_answer a = {.success = JSON_TRUE, .timestamp = b->beat.received_at};
	http_finish(r, http_reply_json(r, 200, &mesh_heartbeat_answer_message, &a));
}

/* A heartbeat as it came in. */
struct beat_in {
	struct mesh_heartbeat h;
	struct str text; /* what was signed */
	int64_t now;
};

/* The canonical body less the signature, or the short text. */
static bool signed_text(const struct json_doc *doc, const struct mesh_heartbeat *h, struct buf *out, struct error *err)
{
	if (str_present(h->signed_form))
		return json_canonicalise(doc, "signature", out, err);
	mesh_message_heartbeat(out, h->node_id, h->timestamp);
	return true;
}

static bool signed_by(const struct beat_in *in, const struct ed25519_public *key)
{
	struct ed25519_signature sig;
	struct error ignored;
	return ed25519_signature_from_text(in->h.signature, KEY_LENIENT, &sig, &ignored) && ed25519_verify_message(&sig, key, in->text);
}

enum guess { NO_GUESS, GUESSED_RIGHT, GUESSED_WRONG /* *key is not whose signature it is */ };

/*
 * Judging by the hint alone. Right: what the protocol asks for holds, as far as the hint is true, and the write makes sure of that.
 * Otherwise the database has to say which refusal comes first.
 */
static enum guess guess(struct mesh *m, const struct beat_in *in, struct ed25519_public *key)
{
	struct mesh_hint hint;
	int64_t skew = in->h.timestamp > in->now ? in->h.timestamp - in->now : in->now - in->h.timestamp;
	if (!mesh_hint_get(m->hints, in->h.node_id, &hint) || skew > m->config.heartbeat_window_ms || in->h.timestamp <= hint.heartbeat_time)
		return NO_GUESS;
	*key = hint.key;
	return signed_by(in, key) ? GUESSED_RIGHT : GUESSED_WRONG;
}

/* Everything that can be said before the writer's turn, in the protocol's order. True: the signature is good, and by *key. */
static bool judge(struct http_request *r, const struct beat_in *in, struct ed25519_public *key, struct http_reply **reply)
{
	struct mesh *m = http_ctx(r);
	struct node_row node;
	struct liveness live;
	struct error err;
	bool found;
	enum guess g = guess(m, in, key);
	if (g == GUESSED_RIGHT)
		return true;
	struct ed25519_public wrong = *key;
	struct db_conn *c = api_reader(r, reply);
	if (!c)
		return false;
	enum db_status st = heartbeat_read(c, in->h.node_id, http_arena(r), &node, &live, &found, &err);
	api_reader_done(r, c);
	if (st != DB_OK) {
		*reply = http_reply_error(r, &err);
		return false;
	}
	if (!found) {
		*reply = http_reply_error_code(r, ERR_UNKNOWN_NODE, "no node %.*s is registered", STR_ARG(in->h.node_id));
		return false;
	}
	if (!mesh_heartbeat_allowed(&node, &live, in->h.timestamp, in->now, m->config.heartbeat_window_ms, &err)) {
		*reply = api_refuse(r, &err);
		return false;
	}
	if (ed25519_public_from_text(node.public_key, KEY_WRITTEN, key, &err) && !(g == GUESSED_WRONG && ed25519_public_equal(key, &wrong)) &&
	    signed_by(in, key))
		return true;
	*reply = http_reply_error_code(r, ERR_BAD_SIGNATURE, "the signature does not fit the message and the node's key");
	return false;
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

static struct str key_text(struct arena *arena, const struct ed25519_public *key)
{
	char *text = arena_alloc(arena, ED25519_PUBLIC_TEXT_LEN + 1);
	ed25519_public_to_text(key, text);
	return str_of(text, ED25519_PUBLIC_TEXT_LEN);
}

static struct http_reply *submit(struct http_request *r, const struct beat_in *in, const struct ed25519_public *key)
{
	struct mesh *m = http_ctx(r);
	struct arena *arena = http_arena(r);
	struct beat_request *b = arena_alloc(arena, sizeof(*b));
	const struct mesh_heartbeat *h = &in->h;
	b->request = r;
	b->hint = (struct mesh_hint){*key, h->timestamp};
	b->beat = (struct heartbeat_job){
		.mesh = m,
		.arena = arena,
		.node_id = h->node_id,
		.public_key = key_text(arena, key),
		.timestamp = h->timestamp,
		.received_at = in->now,
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
	struct beat_in in = {.now = clock_wall_ms()};
	struct buf text = {0};
	struct json_doc *doc = json_parse_object(http_body(r), &err);
	if (!doc)
		return http_reply_error(r, &err);
	bool ok = json_read(doc, &mesh_heartbeat_message, &in.h, http_arena(r), &err) && signed_text(doc, &in.h, &text, &err);
	json_doc_free(doc);
	struct http_reply *reply;
	struct ed25519_public key = {{0}};
	in.text = buf_str(&text);
	if (!ok)
		reply = http_reply_error(r, &err);
	else if (judge(r, &in, &key, &reply))
		reply = submit(r, &in, &key);
	buf_free(&text);
	return reply;
}

/* History */
DB_SQL(SQL_EXISTS, "SELECT 1 FROM nodes WHERE id = $1");

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
		st = history_read(c, id, after, limit, http_arena(r), &history, &err);
	api_reader_done(r, c);
	if (st != DB_OK)
		return http_reply_error(r, &err);
	if (!exists)
		return http_reply_error_code(r, ERR_UNKNOWN_NODE, "no node %.*s is registered", STR_ARG(id));
	return http_reply_json(r, 200, &mesh_history_message, &history);
}
