#include "api.h"
#include "mesh_store.h"
#include "wire/mesh.h"

enum { SOVEREIGNS_ROOM = 16 /* more than most networks have; doubled as needed */ };
DB_SQL(SQL_LIST, "SELECT " SOVEREIGN_COLUMNS " FROM sovereigns WHERE removed_at IS NULL ORDER BY added_at, public_key");

/* Every key in force, in the request's arena. */
struct sovereign_list {
	struct sovereign_row *rows;
	size_t count, room;
};

static struct sovereign_row *next_place(struct sovereign_list *l, struct arena *arena)
{
	if (l->count == l->room) {
		size_t room = l->room ? 2 * l->room : SOVEREIGNS_ROOM;
		struct sovereign_row *more = arena_zalloc(arena, room, sizeof(*more));
		if (l->count > 0)
			memcpy(more, l->rows, l->count * sizeof(*more));
		l->rows = more;
		l->room = room;
	}
	return &l->rows[l->count++];
}

/* False: *reply is the refusal. */
static bool read_list(struct http_request *r, struct sovereign_list *out, struct http_reply **reply)
{
	struct error err;
	struct db_rows *rows;
	*out = (struct sovereign_list){.rows = NULL};
	struct db_conn *c = api_reader(r, reply);
	if (!c)
		return false;
	enum db_status st = db_query(c, &SQL_LIST, DB_NO_ARGS, &rows, &err);
	if (st == DB_OK) {
		while (db_next(rows))
			sovereign_row_read(rows, http_arena(r), next_place(out, http_arena(r)));
		st = db_finish(rows, &err);
	}
	api_reader_done(r, c);
	if (st == DB_OK)
		return true;
	*reply = http_reply_error(r, &err);
	return false;
}

struct http_reply *api_sovereigns(struct http_request *r)
{
	struct sovereign_list keys;
	struct http_reply *reply;
	if (!read_list(r, &keys, &reply))
		return reply;
	struct mesh_sovereign *out = arena_zalloc(http_arena(r), keys.count, sizeof(*out));
	for (size_t i = 0; i < keys.count; i++)
		out[i] = (struct mesh_sovereign){.public_key = keys.rows[i].public_key,
						 .description = keys.rows[i].description,
						 .added_at = keys.rows[i].added_at,
						 .added_by = keys.rows[i].added_by};
	struct mesh_sovereigns list = {.sovereigns = {out, keys.count}};
	return http_reply_json(r, 200, &mesh_sovereigns_message, &list);
}

static struct http_reply *accepted(struct http_request *r, const struct verdict *v)
{
	struct mesh_sovereign_answer a = {.success = JSON_TRUE, .public_key = v->subject};
	return http_reply_json(r, 200, &mesh_sovereign_answer_message, &a);
}

/* The first key of a development network: unsigned, from this machine, while there is none. */
static struct http_reply *add_unsigned(struct http_request *r, struct str key, struct str description)
{
	struct mesh *m = http_ctx(r);
	struct sovereign_list keys;
	struct http_reply *reply;
	if (!m->config.limits.dev || !http_from_loopback(r))
		return http_reply_error_code(r, ERR_MISSING_FIELD, "`approverPublicKey`, `timestamp` and `signature` are required");
	if (!read_list(r, &keys, &reply))
		return reply;
	if (keys.count > 0)
		return http_reply_error_code(r, ERR_NOT_ALLOWED, "this network has a sovereign key; it has to sign for further ones");
	struct change c = {.statement = {.kind = STATEMENT_SOVEREIGN_INIT, .network = m->config.network, .public_key = key}, .description = description};
	return api_change(r, &c, true, accepted);
}

struct http_reply *api_sovereign_add(struct http_request *r)
{
	struct mesh *m = http_ctx(r);
	struct mesh_sovereign_add a;
	struct http_reply *reply;
	if (!http_read_body(r, &mesh_sovereign_add_message, &a, &reply))
		return reply;
	struct change c = {.statement = {.kind = STATEMENT_SOVEREIGN_ADD, .network = m->config.network}, .description = a.description};
	if (!api_public_key(r, "publicKey", a.public_key, KEY_LENIENT, &c.statement.public_key, &reply))
		return reply;
	if (!str_present(a.approver_public_key) && !str_present(a.signature) && a.timestamp == JSON_INT_ABSENT)
		return add_unsigned(r, c.statement.public_key, a.description);
	if (!str_present(a.approver_public_key) || !str_present(a.signature) || a.timestamp == JSON_INT_ABSENT)
		return http_reply_error_code(r, ERR_MISSING_FIELD, "`approverPublicKey`, `timestamp` and `signature` are required");
	c.statement.timestamp = a.timestamp;
	if (!api_public_key(r, "approverPublicKey", a.approver_public_key, KEY_LENIENT, &c.public_key, &reply) ||
	    !api_signature(r, "signature", a.signature, &c.signature, &reply))
		return reply;
	return api_change(r, &c, false, accepted);
}

struct http_reply *api_sovereign_remove(struct http_request *r)
{
	struct mesh *m = http_ctx(r);
	struct mesh_sovereign_remove a;
	struct http_reply *reply;
	if (!http_read_body(r, &mesh_sovereign_remove_message, &a, &reply))
		return reply;
	struct change c = {.statement = {.kind = STATEMENT_SOVEREIGN_REMOVE, .network = m->config.network, .timestamp = a.timestamp}};
	if (!api_public_key(r, "publicKey", a.public_key, KEY_LENIENT, &c.statement.public_key, &reply) ||
	    !api_public_key(r, "approverPublicKey", a.approver_public_key, KEY_LENIENT, &c.public_key, &reply) ||
	    !api_signature(r, "signature", a.signature, &c.signature, &reply))
		return reply;
	return api_change(r, &c, false, accepted);
}

struct http_reply *api_sovereign_rotate(struct http_request *r)
{
	struct mesh *m = http_ctx(r);
	struct mesh_sovereign_rotate a;
	struct http_reply *reply;
	if (!http_read_body(r, &mesh_sovereign_rotate_message, &a, &reply))
		return reply;
	struct change c = {.statement = {.kind = STATEMENT_SOVEREIGN_ROTATE, .network = m->config.network, .timestamp = a.timestamp}};
	if (!api_public_key(r, "oldPublicKey", a.old_public_key, KEY_LENIENT, &c.statement.public_key, &reply) ||
	    !api_public_key(r, "newPublicKey", a.new_public_key, KEY_LENIENT, &c.statement.new_key, &reply) ||
	    !api_signature(r, "signature", a.signature, &c.signature, &reply) ||
	    !api_signature(r, "newSignature", a.new_signature, &c.new_signature, &reply))
		return reply;
	c.public_key = c.statement.public_key;
	return api_change(r, &c, false, accepted);
}

static bool verifies(struct str message, struct str key_text, const struct ed25519_signature *sig)
{
	struct ed25519_public key;
	struct error ignored;
	return ed25519_public_from_text(key_text, KEY_WRITTEN, &key, &ignored) && ed25519_verify_message(sig, &key, message);
}

struct http_reply *api_sovereign_verify(struct http_request *r)
{
	struct mesh_sovereign_verify a;
	struct http_reply *reply;
	struct sovereign_list keys;
	struct ed25519_signature sig;
	struct error err;
	if (!http_read_body(r, &mesh_sovereign_verify_message, &a, &reply))
		return reply;
	struct str key = STR_NONE;
	if (str_present(a.public_key) && !api_public_key(r, "publicKey", a.public_key, KEY_LENIENT, &key, &reply))
		return reply;
	if (!ed25519_signature_from_text(a.signature, KEY_LENIENT, &sig, &err))
		return http_reply_error_code(r, err.code, "`signature`: %s", err.message);
	if (!read_list(r, &keys, &reply))
		return reply;
	bool known = !str_present(key);
	for (size_t i = 0; i < keys.count; i++) {
		struct str candidate = keys.rows[i].public_key;
		if (str_present(key) && !str_equal(key, candidate))
			continue;
		known = true;
		if (!verifies(a.message, candidate, &sig))
			continue;
		struct mesh_verify_answer yes = {.valid = JSON_TRUE, .public_key = candidate};
		return http_reply_json(r, 200, &mesh_verify_answer_message, &yes);
	}
	if (!known)
		return http_reply_error_code(r, ERR_NOT_SOVEREIGN, "the key is not a sovereign key of this network");
	return http_reply_error_code(r, ERR_BAD_SIGNATURE, "no sovereign key made this signature over this message");
}
