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
	const char *coordinator_key_file; /* NULL: coordinator-key.json in data_dir */
	struct str network;               /* absent: not given (audits take the database's) */
	struct mesh_limits limits;
	int64_t heartbeat_timeout_ms; /* active without a heartbeat for this long: offline */
	int64_t heartbeat_window_ms;  /* how far a heartbeat's own time may lie from ours */
	int64_t offline_grace_ms;     /* after a start: nobody is called offline before */
	int64_t pending_ttl_ms;
	int64_t history_keep_ms;
	int64_t snapshot_ttl_ms;
};

struct mesh_hints;    /* mesh_hints.h: keys of nodes that send heartbeats */
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
	struct mesh_hints *hints;
	struct sse_hub *hub;
	struct mesh_feed *feed;
	struct mesh_watch *watch;
	struct mesh_snapshot_maker *snapshots;
};

/* Reads the options into *m; opens nothing. mesh_close may be called after a failure of this or of what follows. */
MUST_CHECK bool mesh_configure(struct mesh *m, const struct invocation *in, struct error *err);
/* For serving and init: the data directory, the database (made and migrated when missing), the coordinator's key (made when missing). Refuses a database of another network or
 * of another coordinator key. */
MUST_CHECK bool mesh_open(struct mesh *m, struct error *err);
/* Names the first sovereign keys of a registry that has none; keys that come later go through POST /sovereign/add. */
MUST_CHECK bool mesh_bootstrap_sovereigns(struct mesh *m, const struct invocation *in, struct error *err);
/* For audits: only reads. Who the coordinator is comes from its key file where there is one, from the database otherwise; the network likewise. Close with db_close. */
MUST_CHECK struct db_conn *mesh_open_to_read(struct mesh *m, struct error *err);
void mesh_close(struct mesh *m);

/* The state a change is judged against, with this coordinator's limits; `now` and `entry` are the caller's. */
void mesh_state_fill(const struct mesh *m, struct mesh_state *s);

#endif
