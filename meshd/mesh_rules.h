/*
 * The rules of the registry: what each signed statement does, and when it is refused. No clock, no I/O, no randomness: everything comes from struct mesh_state and the
 * statement, so the serving daemon and the replaying verifier reach the same verdict.
 */
#ifndef TANA_MESHD_MESH_RULES_H
#define TANA_MESHD_MESH_RULES_H

#include "mesh_state.h"
#include "wire/mesh_statement.h"

/* A statement with the signatures beside it: what arrives, and what a log entry holds. */
struct change {
	struct mesh_statement statement;
	struct str message;                   /* the exact signed text; absent while it depends on a row (the rules then make it) */
	struct str public_key, signature;     /* who signed; written forms */
	struct str new_signature;             /* rotations: the new key's */
	struct str details;                   /* canonical JSON of what came unsigned; absent when nothing did */
	bool signatures_checked;              /* the caller has verified them already */
	/* Unsigned parts that `details` carries. */
	struct str reason, description;
};

enum verdict_kind {
	VERDICT_APPLIED,   /* rows changed; to be logged */
	VERDICT_CONSUMED,  /* refused after the signature used up its timestamp: logged with the refusal's code */
	VERDICT_UNCHANGED, /* fine, and nothing to do */
	VERDICT_REFUSED,   /* nothing happened */
	VERDICT_FAILED,    /* the storage failed; nothing may be kept */
};
/* What watchers are told. */
enum mesh_event {
	EVENT_NONE,
	EVENT_NODE_REGISTERED,
	EVENT_NODE_UPDATED,
	EVENT_NODE_APPROVED,
	EVENT_NODE_DENIED,
	EVENT_NODE_OFFLINE,
	EVENT_NODE_ONLINE,
	EVENT_NODE_REMOVED,
	EVENT_NODE_RESET,
	EVENT_NODE_ROTATED,
	EVENT_NODE_EXPIRED,
	EVENT_SOVEREIGN_ADDED,
	EVENT_SOVEREIGN_REMOVED,
	EVENT_SOVEREIGN_ROTATED,
	EVENT_INVITE_CREATED,
	EVENT_INVITE_REVOKED,
	EVENT_SERVICE_UNHEALTHY,
	EVENT_COUNT
};
const char *mesh_event_text(enum mesh_event e); /* "node.registered" */

struct verdict {
	enum verdict_kind kind;
	struct error err;          /* CONSUMED, REFUSED */
	struct str outcome;        /* APPLIED, CONSUMED: the log entry's outcome */
	bool created;              /* a registration that made a new row */
	enum node_status status;   /* of the node it was about */
	enum mesh_event event, second_event; /* second: a registration that an invite approved at once */
	struct str subject;        /* the node id or key that the event is about */
};

/* Judges and applies one change. change->message and ->details are filled when they were absent. */
void mesh_apply(struct mesh_state *s, struct change *c, struct verdict *v);

/* Are the signatures of a change (its message is set) what they should be? Touches no state: the verifier runs it on all cores. */
MUST_CHECK bool mesh_change_signatures_valid(const struct change *c, struct str network);

/* Heartbeats: the refusal for a node row and its liveness, in the order of the protocol. True: none. */
struct liveness {
	int64_t heartbeat_time; /* the node's own time in its last heartbeat; 0: none */
};
MUST_CHECK bool mesh_heartbeat_allowed(const struct node_row *node, const struct liveness *l, int64_t timestamp, int64_t now, int64_t window_ms, struct error *err);

#endif
