/*
 * GET /topology/snapshot: the peer list as one document, signed by the coordinator and carrying for each active node its signed registration and admission, so that it
 * can be handed on by anyone and checked offline (docs/protocol.md).
 *
 * One background thread makes it, into an unlinked temporary file in the data directory, page by page: a hundred thousand nodes take no memory. It is kept until the registry changes or half
 * its life is over; requests meanwhile share it.
 */
#ifndef TANA_MESHD_MESH_SNAPSHOT_H
#define TANA_MESHD_MESH_SNAPSHOT_H

#include "mesh.h"

struct mesh_snapshot_maker *mesh_snapshot_start(struct mesh *m);
/* Answers who still waits, ends the thread; who asks later is refused. NULL is allowed. */
void mesh_snapshot_quiesce(struct mesh_snapshot_maker *s);
/* Frees it, when the server is gone. NULL is allowed. */
void mesh_snapshot_stop(struct mesh_snapshot_maker *s);

#endif
