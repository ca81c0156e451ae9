#include "mesh_quota.h"

enum { ENTRY_BYTES = 512 /* of an entry beside its message and details: keys, signature, hashes */ };

DB_SQL(SQL_QUOTA, "SELECT bytes FROM local_added WHERE node_id = $1 AND day = $2");
DB_SQL(SQL_QUOTA_ADD, "INSERT INTO local_added (node_id, day, bytes) VALUES ($1, $2, $3) ON CONFLICT (node_id) DO UPDATE SET"
		      " bytes = CASE WHEN local_added.day = excluded.day THEN local_added.bytes ELSE 0 END + excluded.bytes, day = excluded.day");

/* The node that decides on the change, or STR_NONE. */
static struct str node_of(const struct change *c)
{
	switch (c->statement.kind) {
	case STATEMENT_REGISTER_SHORT:
	case STATEMENT_REGISTER_FULL:
	case STATEMENT_NODE_ROTATE:
		return c->statement.node_id;
	case STATEMENT_DECISION:
	case STATEMENT_DECISION_OLD:
	case STATEMENT_SOVEREIGN_INIT:
	case STATEMENT_SOVEREIGN_ADD:
	case STATEMENT_SOVEREIGN_REMOVE:
	case STATEMENT_SOVEREIGN_ROTATE:
	case STATEMENT_INVITE:
	case STATEMENT_INVITE_REVOKE:
	case STATEMENT_EXPIRE:
		break;
	}
	return STR_NONE;
}

static int64_t size_of(const struct change *c)
{
	return (int64_t)(c->message.n + c->details.n) + ENTRY_BYTES;
}

enum db_status quota_has_room(struct db_conn *c, const struct node_row *node, const struct change *change, int64_t now, bool *room, struct error *err)
{
	struct db_rows *rows;
	enum db_status st = db_query(c, &SQL_QUOTA, DB_ARGS(DB_TEXT(node->id), DB_INT(now / QUOTA_DAY_MS)), &rows, err);
	if (st != DB_OK)
		return st;
	int64_t added = db_next(rows) ? db_int(rows, 0) : 0;
	*room = added + size_of(change) <= (node->approved_at ? QUOTA_ADMITTED_BYTES : QUOTA_WAITING_BYTES);
	return db_finish(rows, err);
}

enum db_status quota_count(struct db_conn *c, const struct change *change, int64_t now, struct error *err)
{
	struct str node = node_of(change);
	if (!str_present(node))
		return DB_OK;
	return db_run(c, &SQL_QUOTA_ADD, DB_ARGS(DB_TEXT(node), DB_INT(now / QUOTA_DAY_MS), DB_INT(size_of(change))), NULL, err);
}
