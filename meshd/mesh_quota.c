#include "mesh_quota.h"

enum { ENTRY_BYTES = 512 /* of an entry beside its message and details: keys, signature, hashes */ };

/* Whether the node is admitted, and what it has added today. */
DB_SQL(SQL_QUOTA, "SELECT n.approved_at IS NOT NULL, a.bytes FROM nodes n LEFT JOIN local_added a ON a.node_id = n.id AND a.day = $1 WHERE n.id = $2");
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

enum db_status quota_check(struct db_conn *c, const struct change *change, int64_t now, bool *allowed, struct error *why, struct error *err)
{
	struct str node = node_of(change);
	struct db_rows *rows;
	*allowed = true;
	if (!str_present(node))
		return DB_OK;
	enum db_status st = db_query(c, &SQL_QUOTA, DB_ARGS(DB_INT(now / QUOTA_DAY_MS), DB_TEXT(node)), &rows, err);
	if (st != DB_OK)
		return st;
	if (db_next(rows)) {
		int64_t max = db_int(rows, 0) ? QUOTA_ADMITTED_BYTES : QUOTA_WAITING_BYTES;
		*allowed = (db_is_null(rows, 1) ? 0 : db_int(rows, 1)) + size_of(change) <= max;
	}
	if (!*allowed)
		error_set(why, ERR_RATE_LIMITED, "%.*s has changed its registration too often today", STR_ARG(node));
	return db_finish(rows, err);
}

enum db_status quota_count(struct db_conn *c, const struct change *change, int64_t now, struct error *err)
{
	struct str node = node_of(change);
	if (!str_present(node))
		return DB_OK;
	return db_run(c, &SQL_QUOTA_ADD, DB_ARGS(DB_TEXT(node), DB_INT(now / QUOTA_DAY_MS), DB_INT(size_of(change))), NULL, err);
}
