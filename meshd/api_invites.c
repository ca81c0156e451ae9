#include <inttypes.h>

#include "api.h"
#include "mesh_store.h"
#include "wire/mesh.h"

/* By the log entries that made them, which are the cursors. One row more than a page has shows whether there is a next one. */
DB_SQL(SQL_LIST, "SELECT " INVITE_COLUMNS " FROM invites WHERE entry < $1 ORDER BY entry DESC LIMIT $2");

static enum db_status read_page(struct db_conn *c, int64_t before, size_t limit, struct arena *arena, struct mesh_invites *out, struct error *err)
{
	struct db_rows *rows;
	enum db_status st = db_query(c, &SQL_LIST, DB_ARGS(DB_INT(before), DB_INT((int64_t)limit + 1)), &rows, err);
	if (st != DB_OK)
		return st;
	struct mesh_invite *list = arena_zalloc(arena, limit, sizeof(*list));
	size_t count = 0;
	int64_t last = 0;
	while (count < limit && db_next(rows)) {
		struct invite_row row;
		invite_row_read(rows, arena, &row);
		last = row.entry;
		list[count++] = (struct mesh_invite){.public_key = row.public_key,
						     .created_by = row.created_by,
						     .uses = row.uses,
						     .used = row.used,
						     .expires = row.expires,
						     .created_at = row.created_at,
						     .revoked_at = row.revoked_at ? row.revoked_at : JSON_INT_ABSENT};
	}
	*out = (struct mesh_invites){.invites = {list, count}};
	if (count == limit && db_next(rows))
		out->next_cursor = arena_printf(arena, "%" PRId64, last);
	return db_finish(rows, err);
}

struct http_reply *api_invites(struct http_request *r)
{
	struct http_reply *reply;
	struct error err;
	int64_t limit, before = JSON_INT_MAX;
	struct mesh_invites page;
	if (!http_query_int(r, "limit", MESH_LIST_DEFAULT, &limit))
		return http_reply_error_code(r, ERR_MALFORMED_PARAMETER, "`limit` is a number");
	if (!api_number_cursor(r, &before, &reply))
		return reply;
	struct db_conn *c = api_reader(r, &reply);
	if (!c)
		return reply;
	enum db_status st = read_page(c, before, (size_t)limit, http_arena(r), &page, &err);
	api_reader_done(r, c);
	return st == DB_OK ? http_reply_json(r, 200, &mesh_invites_message, &page) : http_reply_error(r, &err);
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
