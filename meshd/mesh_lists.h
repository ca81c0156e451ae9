/*
 * Nodes as readers see them: registry row and liveness together, by pages from an index. The cost of a page does not grow with the registry.
 */
#ifndef TANA_MESHD_MESH_LISTS_H
#define TANA_MESHD_MESH_LISTS_H

#include "db/db.h"
#include "mesh_state.h"
#include "wire/mesh.h"

enum { ALL_STATUSES = (1 << NODE_STATUS_COUNT) - 1 };

struct node_filter {
	unsigned statuses; /* bit 1 << enum node_status each; not 0 */
	struct str role;   /* absent: any */
	struct str after;  /* ids greater than this; "" from the start */
	int64_t limit;     /* 1 .. MESH_LIST_MAX */
};
/* How the services of a node are written: {service_type, port, public_key, healthy, last_check} or {type, port, publicKey}. */
enum services_form { SERVICES_ROWS, SERVICES_TOPOLOGY };

/* At most f->limit nodes in order of id (byte order), in the arena; *more: there are further ones. */
MUST_CHECK enum db_status nodes_list(struct db_conn *c, const struct node_filter *f, enum services_form form, struct arena *arena, struct json_list *out,
				     bool *more, struct error *err);
MUST_CHECK enum db_status nodes_one(struct db_conn *c, struct str id, struct arena *arena, struct mesh_node *out, bool *found, struct error *err);

#endif
