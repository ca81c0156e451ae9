/*
 * The registry in memory, as replaying the log gives it: the other side of struct mesh_state (mesh_state.h), for `meshd verify`.
 */
#ifndef TANA_MESHD_MESH_REPLAY_H
#define TANA_MESHD_MESH_REPLAY_H

#include "base/strmap.h"
#include "mesh_state.h"

struct replay_state {
	struct mesh_state state; /* first: the ops cast back */
	struct arena arena;      /* everything that is kept */
	struct strmap nodes;       /* id -> struct node_row */
	struct strmap node_keys;   /* public key -> struct node_row */
	struct strmap sovereigns;  /* public key -> struct sovereign_row */
	struct strmap invites;     /* public key -> struct invite_row */
	struct strmap removed;     /* public key -> struct removed_row */
	int64_t sovereigns_in_force, pending;
};
/* network and coordinator_key must outlive it. Limits that an operator may change are left open: the log says what was accepted. */
void replay_init(struct replay_state *r, struct str network, struct str coordinator_key);
void replay_free(struct replay_state *r);

#endif
