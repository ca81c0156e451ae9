/*
 * Events to watchers: one thread reads local_events in order and publishes them to the hub of this instance. Instances on one database see each other's events the same way:
 * the thread is woken by this instance's own commits, and looks by itself every quarter of a second where others may write (PostgreSQL).
 */
#ifndef TANA_MESHD_MESH_FEED_H
#define TANA_MESHD_MESH_FEED_H

#include "base/error.h"
#include "http/server.h"

struct mesh;
struct mesh_feed;

MUST_CHECK struct mesh_feed *mesh_feed_start(struct mesh *m, struct error *err);
void mesh_feed_wake(struct mesh_feed *f); /* after a commit that recorded events; NULL is allowed */
void mesh_feed_stop(struct mesh_feed *f); /* joins the thread; NULL is allowed */
/* For streams that resume further back than the ring reaches. ctx is the struct mesh. */
bool mesh_feed_backfill(void *ctx, int64_t after, int64_t before, sse_emit_fn *emit, void *emit_ctx);

#endif
