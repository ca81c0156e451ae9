/*
 * The registry in memory, as replaying the log gives it: the other side of struct mesh_state (mesh_state.h), for `meshd verify`. It takes the memory of its rows, however long
 * the log is: each row is one allocation, which goes when the row is replaced or removed.
 */
#ifndef TANA_MESHD_MESH_REPLAY_H
#define TANA_MESHD_MESH_REPLAY_H

#include "base/strmap.h"
#include "mesh_state.h"

struct replay_state {
	struct mesh_state state; /* first: the ops cast back */
	struct arena scratch;    /* state.arena: copies of rows that were asked for, and whatever else lasts until replay_forget */
	struct strmap nodes;      /* id -> struct node_row */
	struct strmap node_keys;  /* public key -> the same rows */
	struct strmap sovereigns; /* public key -> struct sovereign_row */
	struct strmap invites;    /* public key -> struct invite_row */
	struct strmap removed;    /* public key -> struct removed_row */
	int64_t sovereigns_in_force, pending;
	bool sovereign_has_spoken;
};
/* network and coordinator_key must outlive it. Limits that an operator may change are left open: the log says what was accepted. Must not be moved afterwards. */
void replay_init(struct replay_state *r, struct str network, struct str coordinator_key);
/* Frees the scratch arena: no verdict, and no row that was asked for, is needed any more. */
void replay_forget(struct replay_state *r);
void replay_free(struct replay_state *r);

#endif
