/*
 * One running coordinator: what its parts share. Set up by meshd.c, read by the handlers; everything here that changes says how it is guarded.
 */
#ifndef TANA_MESHD_MESH_H
#define TANA_MESHD_MESH_H

#include "crypto/ed25519.h"
#include "daemon/command.h"
#include "db/db_pool.h"
#include "http/server.h"
#include "keys/keyfile.h"
#include "mesh_state.h"

struct mesh_config {
	const char *db_url;
	const char *data_dir;
	struct str network;
	struct mesh_limits limits;
	int64_t heartbeat_timeout_ms; /* active without a heartbeat for this long: offline */
	int64_t heartbeat_window_ms;  /* how far a heartbeat's own time may lie from ours */
	int64_t offline_grace_ms;     /* after a start: nobody is called offline before */
	int64_t pending_ttl_ms;
	int64_t history_keep_ms;
	int64_t snapshot_ttl_ms;
};

struct mesh_watch;    /* mesh_watch.h: offline detection and upkeep */
struct mesh_feed;     /* mesh_feed.h: events to streams */
struct mesh_snapshot_maker;

struct mesh {
	struct mesh_config config;
	struct arena arena;               /* for what lives as long as the process */
	struct db_pool *pool;
	struct ed25519_secret coordinator; /* wiped at stop */
	struct str coordinator_key;       /* written form of its public key */
	struct str origin;                /* "tana-mesh/<network>": the log's name, NUL-terminated */
	struct sse_hub *hub;
	struct mesh_feed *feed;
	struct mesh_watch *watch;
	struct mesh_snapshot_maker *snapshots;
};

/* Reads the options into *m and opens database and keys, as every command but --help needs. `create`: a missing database is made and migrated, a missing coordinator key
 * is made; otherwise both are errors. On failure mesh_close may be called all the same. */
MUST_CHECK bool mesh_configure(struct mesh *m, const struct invocation *in, struct error *err);
MUST_CHECK bool mesh_open(struct mesh *m, bool create, struct error *err);
/* Names the first sovereign keys of an empty registry; keys that come later go through POST /sovereign/add. */
MUST_CHECK bool mesh_bootstrap_sovereigns(struct mesh *m, const struct invocation *in, struct error *err);
void mesh_close(struct mesh *m);

/* The state a change is judged against, with this coordinator's limits; `now` and `entry` are the caller's. */
void mesh_state_fill(const struct mesh *m, struct mesh_state *s);

#endif
