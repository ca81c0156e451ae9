#include "api.h"
#include "mesh_store.h"
#include "wire/mesh.h"

/* The newest invites; older ones stay in the log. */
enum { INVITES_MAX = 1000 };
DB_SQL(SQL_LIST, "SELECT " INVITE_COLUMNS " FROM invites ORDER BY created_at DESC, public_key LIMIT $1");

struct http_reply *api_invites(struct http_request *r)
{
	struct http_reply *reply;
	struct error err;
	struct db_rows *rows;
	struct db_conn *c = api_reader(r, &reply);
	if (!c)
		return reply;
	struct mesh_invite *list = arena_zalloc(http_arena(r), INVITES_MAX, sizeof(*list));
	size_t count = 0;
	enum db_status st = db_query(c, &SQL_LIST, DB_ARGS(DB_INT(INVITES_MAX)), &rows, &err);
	if (st == DB_OK) {
		while (count < INVITES_MAX && db_next(rows)) {
			struct invite_row row;
			invite_row_read(rows, http_arena(r), &row);
			list[count++] = (struct mesh_invite){.public_key = row.public_key,
							     .created_by = row.created_by,
							     .uses = row.uses,
							     .used = row.used,
							     .expires = row.expires,
							     .created_at = row.created_at,
							     .revoked_at = row.revoked_at ? row.revoked_at : JSON_INT_ABSENT};
		}
		st = db_finish(rows, &err);
	}
	api_reader_done(r, c);
	if (st != DB_OK)
		return http_reply_error(r, &err);
	struct mesh_invites answer = {.invites = {list, count}};
	return http_reply_json(r, 200, &mesh_invites_message, &answer);
}

static struct http_reply *accepted(struct http_request *r, const struct verdict *v)
{
	struct mesh_sovereign_answer a = {.success = JSON_TRUE, .public_key = v->subject};
	return http_reply_json(r, v->event == EVENT_INVITE_CREATED ? 201 : 200, &mesh_sovereign_answer_message, &a);
}

struct http_reply *api_invite_create(struct http_request *r)
{
	struct mesh *m = http_ctx(r);
	struct mesh_invite_create a;
	struct http_reply *reply;
	if (!http_read_body(r, &mesh_invite_create_message, &a, &reply))
		return reply;
	struct change c = {.statement = {.kind = STATEMENT_INVITE,
					 .network = m->config.network,
					 .uses = a.uses,
					 .expires = a.expires,
					 .timestamp = a.timestamp}};
	if (!api_public_key(r, "publicKey", a.public_key, KEY_LENIENT, &c.statement.public_key, &reply) ||
	    !api_public_key(r, "approverPublicKey", a.approver_public_key, KEY_LENIENT, &c.public_key, &reply) ||
	    !api_signature(r, "signature", a.signature, &c.signature, &reply))
		return reply;
	return api_change(r, &c, false, accepted);
}

struct http_reply *api_invite_revoke(struct http_request *r)
{
	struct mesh *m = http_ctx(r);
	struct mesh_invite_revoke a;
	struct http_reply *reply;
	if (!http_read_body(r, &mesh_invite_revoke_message, &a, &reply))
		return reply;
	struct change c = {.statement = {.kind = STATEMENT_INVITE_REVOKE, .network = m->config.network, .timestamp = a.timestamp}};
	if (!api_public_key(r, "publicKey", a.public_key, KEY_LENIENT, &c.statement.public_key, &reply) ||
	    !api_public_key(r, "approverPublicKey", a.approver_public_key, KEY_LENIENT, &c.public_key, &reply) ||
	    !api_signature(r, "signature", a.signature, &c.signature, &reply))
		return reply;
	return api_change(r, &c, false, accepted);
}
