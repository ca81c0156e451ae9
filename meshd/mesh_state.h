/*
 * The registry as its rules see it: rows, and the few questions the rules ask. Two things answer them: the SQL store (mesh_store.c) while meshd serves, and a table in memory
 * (mesh_replay.c) while `meshd verify` replays the log. The rules (mesh_rules.h) cannot tell which, so what the log gives and what the database holds come from one code.
 */
#ifndef TANA_MESHD_MESH_STATE_H
#define TANA_MESHD_MESH_STATE_H

#include "base/arena.h"
#include "base/error.h"

enum node_status { NODE_PENDING, NODE_ACTIVE, NODE_OFFLINE, NODE_DENIED };
enum { NODE_STATUS_COUNT = 4 };
const char *node_status_text(enum node_status s); /* as in the column and on the wire */
MUST_CHECK bool node_status_from_text(struct str s, enum node_status *out);

/* How far a signed timestamp may lie from the coordinator's time: the protocol's, the same when the log is replayed. */
enum { MESH_CLOCK_SKEW_MS = 5 * 60 * 1000 };

/* Index of a log entry; none yet. */
#define NO_ENTRY INT64_C(-1)

/* A row of `nodes`: only what signed changes give. What heartbeats give is in local_liveness. Keys and hashes are in their written form; texts may be absent where the column is NULL. */
struct node_row {
	struct str id, public_key;
	enum node_status status;
	struct str role, tailscale_hostname, tailscale_ip, region, provider, latitude, longitude;
	struct str services;       /* canonical JSON list of {port, publicKey, type} */
	int64_t registered_at;     /* ms, the coordinator's time of the first registration */
	int64_t registration_time; /* ms, the node's own time in its last full registration or rotation; 0 when there was none */
	int64_t approved_at;       /* 0: not admitted */
	struct str approved_by;    /* sovereign key; absent: not admitted */
	struct str invite_key;     /* the invite that admitted it, or absent */
	int64_t registration_entry, admission_entry; /* log entries that say so */
	struct str rotations;      /* canonical JSON list of the log entries of its key rotations, oldest first */
};

struct sovereign_row {
	struct str public_key, description;
	int64_t added_at;
	struct str added_by;
	int64_t removed_at;     /* 0: in force. Removed keys keep their row, so that their old statements stay used up. */
	int64_t last_timestamp; /* of the last statement it signed that counted */
};

struct invite_row {
	struct str public_key;
	int64_t uses, used, expires, created_at;
	struct str created_by;
	int64_t revoked_at; /* 0: not revoked */
	int64_t entry;      /* the log entry that made it */
};

/* A key whose node was removed, or that its node gave up: registrations signed by it before must not bring it back. */
struct removed_row {
	struct str public_key, node_id;
	int64_t not_before; /* ms: a registration of this key counts when its timestamp is greater */
};

enum found { FOUND, ABSENT, STATE_FAILED /* storage: the state remembers why */ };

struct mesh_state;
struct change;
struct mesh_state_ops {
	enum found (*node_by_id)(struct mesh_state *s, struct str id, struct node_row *out);
	enum found (*node_by_key)(struct mesh_state *s, struct str public_key, struct node_row *out);
	enum found (*sovereign)(struct mesh_state *s, struct str public_key, struct sovereign_row *out); /* also removed ones */
	enum found (*invite)(struct mesh_state *s, struct str public_key, struct invite_row *out);
	enum found (*removed)(struct mesh_state *s, struct str public_key, struct removed_row *out);
	/* All false: storage failed. */
	bool (*count_sovereigns)(struct mesh_state *s, int64_t *in_force);
	bool (*sovereign_has_spoken)(struct mesh_state *s, bool *spoken); /* used up a timestamp, in whatever statement */
	bool (*count_pending)(struct mesh_state *s, int64_t *pending);
	/* May the node add this change of its own to the log today? No rule of the log: a replay answers yes. */
	bool (*has_room)(struct mesh_state *s, const struct node_row *node, const struct change *c, bool *room);
	/* Insert or replace by primary key. `before` NULL: the row is new. */
	bool (*put_node)(struct mesh_state *s, const struct node_row *before, const struct node_row *after);
	bool (*delete_node)(struct mesh_state *s, const struct node_row *node);
	bool (*put_sovereign)(struct mesh_state *s, const struct sovereign_row *row);
	bool (*put_invite)(struct mesh_state *s, const struct invite_row *row);
	bool (*put_removed)(struct mesh_state *s, const struct removed_row *row);
};
struct mesh_state {
	const struct mesh_state_ops *ops;
	struct arena *arena;        /* rows read and made live here */
	int64_t now;                /* ms: the time of the change */
	int64_t entry;              /* the index its log entry will have */
	struct str network;
	struct str coordinator_key; /* written form */
	struct mesh_limits {
		int64_t pending_max;
		bool require_full;      /* short registrations are refused */
		bool dev;               /* old forms are taken */
	} limits;
};

#endif
