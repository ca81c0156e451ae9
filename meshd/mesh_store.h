/*
 * The registry in SQL: struct mesh_state's questions answered inside a write transaction, and the rows as readers need them.
 */
#ifndef TANA_MESHD_MESH_STORE_H
#define TANA_MESHD_MESH_STORE_H

#include "db/db.h"
#include "mesh_state.h"

/* The state inside one transaction of the writer. When an operation answers STATE_FAILED or false, status and err say why. */
struct sql_state {
	struct mesh_state state; /* first: the ops cast back */
	struct db_conn *conn;
	enum db_status status;
	struct error err;
};
extern const struct mesh_state_ops sql_state_ops;

/* The column list of node_row_read, for SELECTs. */
#define NODE_COLUMNS                                                                                                           \
	"n.id, n.public_key, n.status, n.role, n.tailscale_hostname, n.tailscale_ip, n.region, n.provider, n.latitude, n.longitude, n.services,"  \
	" n.registered_at, n.registration_time, n.approved_at, n.approved_by, n.invite_key, n.registration_entry, n.admission_entry, n.rotations"
enum { NODE_COLUMN_COUNT = 19 };
/* Reads those columns, from `column` on; texts are copied into the arena. False: the status column holds no status. */
MUST_CHECK bool node_row_read(struct db_rows *rows, int column, struct arena *arena, struct node_row *out);
void sovereign_row_read(struct db_rows *rows, struct arena *arena, struct sovereign_row *out); /* all columns in table order */
void invite_row_read(struct db_rows *rows, struct arena *arena, struct invite_row *out);
#define SOVEREIGN_COLUMNS "public_key, description, added_at, added_by, removed_at, last_timestamp"
#define INVITE_COLUMNS "public_key, uses, used, expires, created_at, created_by, revoked_at, entry"

/* One node for a reader; *found tells. */
MUST_CHECK enum db_status store_node(struct db_conn *c, struct str id, struct arena *arena, struct node_row *out, bool *found, struct error *err);
MUST_CHECK enum db_status store_sovereign(struct db_conn *c, struct str key, struct arena *arena, struct sovereign_row *out, bool *found, struct error *err);

/* `meta`: the network's name and the coordinator's key, set once; absent before. Both are read by one statement, so that they are of one moment. */
MUST_CHECK enum db_status store_meta_read(struct db_conn *c, struct arena *arena, struct str *network, struct str *coordinator, struct error *err);
MUST_CHECK enum db_status store_meta_set(struct db_conn *c, const char *key, struct str value, struct error *err);

#endif
