#include "mesh_store.h"

#include "base/log.h"
#include "mesh_history.h"
#include "mesh_quota.h"

DB_SQL(SQL_NODE_BY_ID, "SELECT " NODE_COLUMNS " FROM nodes n WHERE n.id = $1");
DB_SQL(SQL_NODE_BY_KEY, "SELECT " NODE_COLUMNS " FROM nodes n WHERE n.public_key = $1");
DB_SQL(SQL_NODE_INSERT,
       "INSERT INTO nodes (id, public_key, status, role, tailscale_hostname, tailscale_ip, region, provider, latitude, longitude, services, registered_at,"
       " registration_time, approved_at, approved_by, invite_key, registration_entry, admission_entry, rotations)"
       " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)");
/* The status is written only when the change is about it: liveness moves it between active and offline beside us. */
DB_SQL(SQL_NODE_UPDATE,
       "UPDATE nodes SET public_key = $1, role = $2, tailscale_hostname = $3, tailscale_ip = $4, region = $5, provider = $6, latitude = $7, longitude = $8,"
       " services = $9, registration_time = $10, approved_at = $11, approved_by = $12, invite_key = $13, registration_entry = $14, admission_entry = $15,"
       " rotations = $16 WHERE id = $17");
DB_SQL(SQL_NODE_STATUS, "UPDATE nodes SET status = $1 WHERE id = $2");
DB_SQL(SQL_NODE_DELETE, "DELETE FROM nodes WHERE id = $1");
DB_SQL(SQL_LIVENESS_INSERT, "INSERT INTO local_liveness (node_id, seen_at, heartbeat_time, beats) VALUES ($1, $2, 0, $3)"
			    " ON CONFLICT (node_id) DO UPDATE SET seen_at = excluded.seen_at");
DB_SQL(SQL_LIVENESS_SEEN, "UPDATE local_liveness SET seen_at = $1 WHERE node_id = $2");
DB_SQL(SQL_LIVENESS_IP, "UPDATE local_liveness SET ip = NULL WHERE node_id = $1");
DB_SQL(SQL_LIVENESS_DELETE, "DELETE FROM local_liveness WHERE node_id = $1");
DB_SQL(SQL_ADDED_DELETE, "DELETE FROM local_added WHERE node_id = $1");
DB_SQL(SQL_HISTORY_DELETE, "DELETE FROM local_heartbeats WHERE node_id = $1");
DB_SQL(SQL_SOVEREIGN, "SELECT " SOVEREIGN_COLUMNS " FROM sovereigns WHERE public_key = $1");
DB_SQL(SQL_SOVEREIGN_PUT,
       "INSERT INTO sovereigns (" SOVEREIGN_COLUMNS ") VALUES ($1, $2, $3, $4, $5, $6)"
       " ON CONFLICT (public_key) DO UPDATE SET description = excluded.description, added_at = excluded.added_at, added_by = excluded.added_by,"
       " removed_at = excluded.removed_at, last_timestamp = excluded.last_timestamp");
DB_SQL(SQL_SOVEREIGN_COUNT, "SELECT COUNT(*) FROM sovereigns WHERE removed_at IS NULL");
DB_SQL(SQL_SOVEREIGN_SPOKEN, "SELECT COUNT(*) FROM sovereigns WHERE last_timestamp > 0");
DB_SQL(SQL_PENDING_COUNT, "SELECT COUNT(*) FROM nodes WHERE status = 'pending'");
DB_SQL(SQL_INVITE, "SELECT " INVITE_COLUMNS " FROM invites WHERE public_key = $1");
DB_SQL(SQL_INVITE_PUT,
       "INSERT INTO invites (" INVITE_COLUMNS ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
       " ON CONFLICT (public_key) DO UPDATE SET used = excluded.used, revoked_at = excluded.revoked_at");
DB_SQL(SQL_REMOVED, "SELECT public_key, node_id, not_before FROM removed WHERE public_key = $1");
DB_SQL(SQL_REMOVED_PUT, "INSERT INTO removed (public_key, node_id, not_before) VALUES ($1, $2, $3)"
			" ON CONFLICT (public_key) DO UPDATE SET node_id = excluded.node_id, not_before = excluded.not_before");
DB_SQL(SQL_META, "SELECT key, value FROM meta");
DB_SQL(SQL_META_SET, "INSERT INTO meta (key, value) VALUES ($1, $2)");

static struct str copy_text(struct db_rows *rows, int column, struct arena *arena)
{
	return arena_copy(arena, db_text(rows, column));
}

bool node_row_read(struct db_rows *rows, int column, struct arena *arena, struct node_row *out)
{
	*out = (struct node_row){
		.id = copy_text(rows, column, arena),
		.public_key = copy_text(rows, column + 1, arena),
		.role = copy_text(rows, column + 3, arena),
		.tailscale_hostname = copy_text(rows, column + 4, arena),
		.tailscale_ip = copy_text(rows, column + 5, arena),
		.region = copy_text(rows, column + 6, arena),
		.provider = copy_text(rows, column + 7, arena),
		.latitude = copy_text(rows, column + 8, arena),
		.longitude = copy_text(rows, column + 9, arena),
		.services = copy_text(rows, column + 10, arena),
		.registered_at = db_int(rows, column + 11),
		.registration_time = db_int(rows, column + 12),
		.approved_at = db_int(rows, column + 13),
		.approved_by = copy_text(rows, column + 14, arena),
		.invite_key = copy_text(rows, column + 15, arena),
		.registration_entry = db_int(rows, column + 16),
		.admission_entry = db_is_null(rows, column + 17) ? NO_ENTRY : db_int(rows, column + 17),
		.rotations = copy_text(rows, column + 18, arena),
	};
	return node_status_from_text(db_text(rows, column + 2), &out->status);
}

void sovereign_row_read(struct db_rows *rows, struct arena *arena, struct sovereign_row *out)
{
	*out = (struct sovereign_row){
		.public_key = copy_text(rows, 0, arena),
		.description = copy_text(rows, 1, arena),
		.added_at = db_int(rows, 2),
		.added_by = copy_text(rows, 3, arena),
		.removed_at = db_int(rows, 4),
		.last_timestamp = db_int(rows, 5),
	};
}

void invite_row_read(struct db_rows *rows, struct arena *arena, struct invite_row *out)
{
	*out = (struct invite_row){
		.public_key = copy_text(rows, 0, arena),
		.uses = db_int(rows, 1),
		.used = db_int(rows, 2),
		.expires = db_int(rows, 3),
		.created_at = db_int(rows, 4),
		.created_by = copy_text(rows, 5, arena),
		.revoked_at = db_int(rows, 6),
		.entry = db_int(rows, 7),
	};
}

static struct db_value int_or_null(int64_t v, int64_t absent)
{
	return v == absent ? DB_NULL : DB_INT(v);
}

/* Runs a query of at most one row. DB_OK with *found false when there is none. */
typedef bool read_row_fn(struct db_rows *rows, struct arena *arena, void *out);
static enum db_status one_row(struct db_conn *c, const struct db_sql *sql, struct str key, struct arena *arena, read_row_fn *read, void *out, bool *found,
			      struct error *err)
{
	struct db_rows *rows;
	enum db_status st = db_query(c, sql, DB_ARGS(DB_TEXT(key)), &rows, err);
	if (st != DB_OK)
		return st;
	bool readable = true;
	*found = db_next(rows);
	if (*found)
		readable = read(rows, arena, out);
	st = db_finish(rows, err);
	if (st == DB_OK && !readable) {
		error_set(err, ERR_CORRUPT, "a row of the registry cannot be read; run `meshd verify`");
		return DB_BROKEN;
	}
	return st;
}
static bool read_node(struct db_rows *rows, struct arena *arena, void *out)
{
	return node_row_read(rows, 0, arena, out);
}
static bool read_sovereign(struct db_rows *rows, struct arena *arena, void *out)
{
	sovereign_row_read(rows, arena, out);
	return true;
}
static bool read_invite(struct db_rows *rows, struct arena *arena, void *out)
{
	invite_row_read(rows, arena, out);
	return true;
}
static bool read_removed(struct db_rows *rows, struct arena *arena, void *out)
{
	struct removed_row *r = out;
	*r = (struct removed_row){.public_key = copy_text(rows, 0, arena), .node_id = copy_text(rows, 1, arena), .not_before = db_int(rows, 2)};
	return true;
}
enum db_status store_node(struct db_conn *c, struct str id, struct arena *arena, struct node_row *out, bool *found, struct error *err)
{
	return one_row(c, &SQL_NODE_BY_ID, id, arena, read_node, out, found, err);
}
enum db_status store_sovereign(struct db_conn *c, struct str key, struct arena *arena, struct sovereign_row *out, bool *found, struct error *err)
{
	return one_row(c, &SQL_SOVEREIGN, key, arena, read_sovereign, out, found, err);
}
enum db_status store_meta_read(struct db_conn *c, struct arena *arena, struct str *network, struct str *coordinator, struct error *err)
{
	struct db_rows *rows;
	*network = *coordinator = STR_NONE;
	enum db_status st = db_query(c, &SQL_META, DB_NO_ARGS, &rows, err);
	if (st != DB_OK)
		return st;
	while (db_next(rows)) {
		if (str_is(db_text(rows, 0), "network"))
			*network = copy_text(rows, 1, arena);
		else if (str_is(db_text(rows, 0), "coordinator"))
			*coordinator = copy_text(rows, 1, arena);
	}
	return db_finish(rows, err);
}
enum db_status store_meta_set(struct db_conn *c, const char *key, struct str value, struct error *err)
{
	return db_run(c, &SQL_META_SET, DB_ARGS(DB_TEXT(str_from(key)), DB_TEXT(value)), NULL, err);
}

/* The ops */
static struct sql_state *sql(struct mesh_state *s)
{
	return (struct sql_state *)s;
}

static enum found find(struct mesh_state *s, const struct db_sql *query, struct str key, read_row_fn *read, void *out)
{
	bool found;
	sql(s)->status = one_row(sql(s)->conn, query, key, s->arena, read, out, &found, &sql(s)->err);
	return sql(s)->status != DB_OK ? STATE_FAILED : found ? FOUND : ABSENT;
}
static enum found node_by_id(struct mesh_state *s, struct str id, struct node_row *out)
{
	return find(s, &SQL_NODE_BY_ID, id, read_node, out);
}
static enum found node_by_key(struct mesh_state *s, struct str key, struct node_row *out)
{
	return find(s, &SQL_NODE_BY_KEY, key, read_node, out);
}
static enum found sovereign(struct mesh_state *s, struct str key, struct sovereign_row *out)
{
	return find(s, &SQL_SOVEREIGN, key, read_sovereign, out);
}
static enum found invite(struct mesh_state *s, struct str key, struct invite_row *out)
{
	return find(s, &SQL_INVITE, key, read_invite, out);
}
static enum found removed(struct mesh_state *s, struct str key, struct removed_row *out)
{
	return find(s, &SQL_REMOVED, key, read_removed, out);
}

static bool count(struct mesh_state *s, const struct db_sql *query, int64_t *out)
{
	struct db_rows *rows;
	sql(s)->status = db_query(sql(s)->conn, query, DB_NO_ARGS, &rows, &sql(s)->err);
	if (sql(s)->status != DB_OK)
		return false;
	*out = db_next(rows) ? db_int(rows, 0) : 0;
	sql(s)->status = db_finish(rows, &sql(s)->err);
	return sql(s)->status == DB_OK;
}
static bool count_sovereigns(struct mesh_state *s, int64_t *in_force)
{
	return count(s, &SQL_SOVEREIGN_COUNT, in_force);
}
static bool sovereign_has_spoken(struct mesh_state *s, bool *spoken)
{
	int64_t n = 0;
	bool ok = count(s, &SQL_SOVEREIGN_SPOKEN, &n);
	*spoken = n > 0;
	return ok;
}
static bool count_pending(struct mesh_state *s, int64_t *pending)
{
	return count(s, &SQL_PENDING_COUNT, pending);
}
static bool has_room(struct mesh_state *s, const struct node_row *node, const struct change *c, bool *room)
{
	sql(s)->status = quota_has_room(sql(s)->conn, node, c, s->now, room, &sql(s)->err);
	return sql(s)->status == DB_OK;
}

static bool run(struct mesh_state *s, const struct db_sql *statement, struct db_args args)
{
	sql(s)->status = db_run(sql(s)->conn, statement, args, NULL, &sql(s)->err);
	return sql(s)->status == DB_OK;
}

static bool insert_node(struct mesh_state *s, const struct node_row *n)
{
	return run(s, &SQL_NODE_INSERT,
		   DB_ARGS(DB_TEXT(n->id), DB_TEXT(n->public_key), DB_TEXT(str_from(node_status_text(n->status))), DB_TEXT(n->role),
			   DB_TEXT(n->tailscale_hostname), DB_TEXT(n->tailscale_ip), DB_TEXT(n->region), DB_TEXT(n->provider), DB_TEXT(n->latitude),
			   DB_TEXT(n->longitude), DB_TEXT(n->services), DB_INT(n->registered_at), DB_INT(n->registration_time),
			   int_or_null(n->approved_at, 0), DB_TEXT(n->approved_by), DB_TEXT(n->invite_key), DB_INT(n->registration_entry),
			   int_or_null(n->admission_entry, NO_ENTRY), DB_TEXT(n->rotations))) &&
	       run(s, &SQL_LIVENESS_INSERT, DB_ARGS(DB_TEXT(n->id), DB_INT(s->now), DB_INT(s->entry % HISTORY_RECENT_MAX)));
}

static bool put_node(struct mesh_state *s, const struct node_row *before, const struct node_row *n)
{
	if (!before)
		return insert_node(s, n);
	if (!run(s, &SQL_NODE_UPDATE,
		 DB_ARGS(DB_TEXT(n->public_key), DB_TEXT(n->role), DB_TEXT(n->tailscale_hostname), DB_TEXT(n->tailscale_ip), DB_TEXT(n->region),
			 DB_TEXT(n->provider), DB_TEXT(n->latitude), DB_TEXT(n->longitude), DB_TEXT(n->services), DB_INT(n->registration_time),
			 int_or_null(n->approved_at, 0), DB_TEXT(n->approved_by), DB_TEXT(n->invite_key), DB_INT(n->registration_entry),
			 int_or_null(n->admission_entry, NO_ENTRY), DB_TEXT(n->rotations), DB_TEXT(n->id))))
		return false;
	if (n->status != before->status) {
		if (!run(s, &SQL_NODE_STATUS, DB_ARGS(DB_TEXT(str_from(node_status_text(n->status))), DB_TEXT(n->id))))
			return false;
		/* A node that was just admitted has a whole timeout to send its first heartbeat; one that waits again has the whole time to be admitted. */
		if (n->status != NODE_DENIED && !run(s, &SQL_LIVENESS_SEEN, DB_ARGS(DB_INT(s->now), DB_TEXT(n->id))))
			return false;
	}
	/* A new registration speaks for the address: what an older heartbeat said of it is over. */
	return n->registration_entry == before->registration_entry || run(s, &SQL_LIVENESS_IP, DB_ARGS(DB_TEXT(n->id)));
}

static bool delete_node(struct mesh_state *s, const struct node_row *n)
{
	return run(s, &SQL_NODE_DELETE, DB_ARGS(DB_TEXT(n->id))) && run(s, &SQL_LIVENESS_DELETE, DB_ARGS(DB_TEXT(n->id))) &&
	       run(s, &SQL_HISTORY_DELETE, DB_ARGS(DB_TEXT(n->id))) && run(s, &SQL_ADDED_DELETE, DB_ARGS(DB_TEXT(n->id)));
}

static bool put_sovereign(struct mesh_state *s, const struct sovereign_row *r)
{
	return run(s, &SQL_SOVEREIGN_PUT,
		   DB_ARGS(DB_TEXT(r->public_key), DB_TEXT(r->description), DB_INT(r->added_at), DB_TEXT(r->added_by), int_or_null(r->removed_at, 0),
			   DB_INT(r->last_timestamp)));
}

static bool put_invite(struct mesh_state *s, const struct invite_row *r)
{
	return run(s, &SQL_INVITE_PUT,
		   DB_ARGS(DB_TEXT(r->public_key), DB_INT(r->uses), DB_INT(r->used), DB_INT(r->expires), DB_INT(r->created_at), DB_TEXT(r->created_by),
			   int_or_null(r->revoked_at, 0), DB_INT(r->entry)));
}

static bool put_removed(struct mesh_state *s, const struct removed_row *r)
{
	return run(s, &SQL_REMOVED_PUT, DB_ARGS(DB_TEXT(r->public_key), DB_TEXT(r->node_id), DB_INT(r->not_before)));
}

const struct mesh_state_ops sql_state_ops = {
	.node_by_id = node_by_id,
	.node_by_key = node_by_key,
	.sovereign = sovereign,
	.invite = invite,
	.removed = removed,
	.count_sovereigns = count_sovereigns,
	.sovereign_has_spoken = sovereign_has_spoken,
	.count_pending = count_pending,
	.has_room = has_room,
	.put_node = put_node,
	.delete_node = delete_node,
	.put_sovereign = put_sovereign,
	.put_invite = put_invite,
	.put_removed = put_removed,
};
