/*
 * What meshd and its clients say to each other over HTTP: one struct and one field table a message (json/fields.h). No I/O.
 * Requests use camelCase, rows of the registry snake_case, as existing clients do.
 */
#ifndef TANA_WIRE_MESH_H
#define TANA_WIRE_MESH_H

#include "json/fields.h"

enum {
	MESH_BODY_MAX = 64 * 1024,
	MESH_SERVICES_MAX = 16,
	MESH_ROTATIONS_MAX = 100, /* of one node's key: each is carried by every snapshot */
	MESH_NODE_ID_MAX = 64,
	MESH_LIST_DEFAULT = 100,
	MESH_LIST_MAX = 1000
};

/*
 * Forms. In requests keys and signatures are read leniently, and a public key must be a usable point; the coordinator answers with the written
 * spelling only, which is checked as text (whoever uses such a key parses it).
 */
extern const struct json_form form_node_id, form_public_key, form_signature, form_public_key_written, form_signature_written, form_service_type, form_role,
	form_status, form_ip, form_hostname, form_latitude, form_longitude, form_network, form_version, form_hash, form_signed;
bool mesh_node_id_valid(struct str s);
bool mesh_network_valid(struct str s);
/* The known services: mesh t4 ledger identity; others are x-... */
bool mesh_service_type_valid(struct str s);

/* POST /register */
struct mesh_service {
	struct str type;
	int64_t port;
	struct str public_key;
};
struct mesh_invite_use {
	struct str public_key, signature;
};
struct mesh_register {
	struct str node_id, public_key, tailscale_hostname, tailscale_ip;
	struct json_list services; /* struct mesh_service */
	struct str role, region, provider, latitude, longitude, network;
	int64_t timestamp;
	struct mesh_invite_use *invite;
	struct str signature;
};
struct mesh_node_answer { /* {success, nodeId, status, message?} */
	enum json_bool success;
	struct str node_id, status, message;
};
extern const struct json_message mesh_service_message, mesh_invite_use_message, mesh_register_message, mesh_node_answer_message;
/* struct mesh_register without its signature: what a full signature covers, and the log keeps. */
extern const struct json_message mesh_register_unsigned_message;

/* POST /approve/:id, /deny/:id, /remove/:id, /reset/:id */
struct mesh_decision {
	struct str approver_public_key, signature, reason;
	int64_t timestamp; /* absent in the older form, under --dev */
};
extern const struct json_message mesh_decision_message;

/* POST /heartbeat */
struct mesh_health {
	struct str type;
	enum json_bool healthy;
	int64_t last_check;
};
struct mesh_heartbeat {
	struct str node_id;
	int64_t timestamp;
	struct str tailscale_ip;
	struct json_list services; /* struct mesh_health */
	int64_t height;
	struct str version;
	struct str signed_form; /* "full", or absent */
	struct str signature;
};
struct mesh_heartbeat_answer { /* {success, timestamp} */
	enum json_bool success;
	int64_t timestamp; /* the coordinator's time */
};
extern const struct json_message mesh_health_message, mesh_heartbeat_message, mesh_heartbeat_answer_message;

/* GET /nodes, /nodes/:id */
struct mesh_node_service { /* {service_type, port, public_key, healthy, last_check} */
	struct str service_type;
	int64_t port;
	struct str public_key;
	enum json_bool healthy; /* null until the first report */
	int64_t last_check;
};
struct mesh_node {
	struct str id, public_key, tailscale_hostname, tailscale_ip, status, role, region, provider, latitude, longitude;
	int64_t registered_at, approved_at;
	struct str approved_by;
	int64_t last_heartbeat, height;
	struct str version;
	struct json_list services; /* struct mesh_node_service; in a topology: struct mesh_service */
};
struct mesh_node_list { /* {nodes:[...], nextCursor?} */
	struct json_list nodes; /* struct mesh_node */
	struct str next_cursor;
};
struct mesh_node_one { /* {node:{...}} */
	struct mesh_node *node;
};
extern const struct json_message mesh_node_service_message, mesh_node_message, mesh_node_list_message, mesh_node_one_message;
extern const struct json_message mesh_topology_node_message, mesh_topology_message; /* struct mesh_node, struct mesh_node_list */

/* GET /nodes/:id/heartbeats */
struct mesh_history_entry { /* {timestamp, received_at, height, version, unhealthy:[types]} */
	int64_t timestamp, received_at, height;
	struct str version;
	struct json_list unhealthy; /* struct str */
};
struct mesh_history { /* {heartbeats:[...], nextCursor?} */
	struct json_list heartbeats;
	struct str next_cursor;
};
extern const struct json_message mesh_history_entry_message, mesh_history_message;

/* GET /validators/active, /validators/:id */
struct mesh_validator { /* {id, publicKey, wsUrl, lastSeen} */
	struct str id, public_key, ws_url;
	int64_t last_seen;
};
struct mesh_validators { /* {validators:[...]} */
	struct json_list validators;
};
struct mesh_validator_one { /* {validator:{...}} */
	struct mesh_validator *validator;
};
extern const struct json_message mesh_validator_message, mesh_validators_message, mesh_validator_one_message;

/* Sovereign keys */
struct mesh_sovereign { /* {public_key, description, added_at, added_by} */
	struct str public_key, description;
	int64_t added_at;
	struct str added_by; /* the sovereign key, or the coordinator's for the operator's first */
};
struct mesh_sovereigns { /* {sovereigns:[...]} */
	struct json_list sovereigns;
};
struct mesh_sovereign_add { /* all but publicKey may be missing for the first key under --dev */
	struct str public_key, description, approver_public_key, signature;
	int64_t timestamp;
};
struct mesh_sovereign_remove {
	struct str public_key, approver_public_key, signature;
	int64_t timestamp;
};
struct mesh_sovereign_rotate {
	struct str old_public_key, new_public_key, signature, new_signature;
	int64_t timestamp;
};
struct mesh_sovereign_verify {
	struct str message, signature, public_key;
};
struct mesh_sovereign_answer { /* {success, publicKey} */
	enum json_bool success;
	struct str public_key;
};
struct mesh_verify_answer { /* {valid, publicKey} */
	enum json_bool valid;
	struct str public_key;
};
extern const struct json_message mesh_sovereign_message, mesh_sovereigns_message, mesh_sovereign_add_message, mesh_sovereign_remove_message,
	mesh_sovereign_rotate_message, mesh_sovereign_verify_message, mesh_sovereign_answer_message, mesh_verify_answer_message;

/* POST /nodes/:id/rotate */
struct mesh_node_rotate {
	struct str new_public_key, signature, new_signature;
	int64_t timestamp;
};
extern const struct json_message mesh_node_rotate_message;

/* Invites */
struct mesh_invite_create { /* {publicKey, uses, expires, approverPublicKey, timestamp, signature} */
	struct str public_key, approver_public_key, signature;
	int64_t uses, expires, timestamp;
};
struct mesh_invite_revoke {
	struct str public_key, approver_public_key, signature;
	int64_t timestamp;
};
struct mesh_invite { /* {public_key, uses, used, expires, created_at, created_by, revoked_at} */
	struct str public_key, created_by;
	int64_t uses, used, expires, created_at, revoked_at;
};
struct mesh_invites { /* {invites:[...], nextCursor?} */
	struct json_list invites;
	struct str next_cursor;
};
extern const struct json_message mesh_invite_create_message, mesh_invite_revoke_message, mesh_invite_message, mesh_invites_message;

/* GET /audit */
struct mesh_audit_entry {
	int64_t index, time;
	struct str message;    /* the exact signed text */
	struct str public_key, signature;
	struct str outcome;    /* the node's status, "ok", or the refusal's code */
	struct str new_public_key, new_signature; /* rotations: the second signature */
	struct str details;    /* canonical JSON: what came with it unsigned (short registrations' services, reasons) */
};
struct mesh_audit { /* {entries:[...], nextCursor?} */
	struct json_list entries;
	struct str next_cursor;
};
struct mesh_inclusion { /* {index, size, leaf, root, path:[hash]} */
	int64_t index, size;
	struct str leaf, root;
	struct json_list path; /* struct str */
};
struct mesh_consistency { /* {from, to, fromRoot, toRoot, path:[hash]} */
	int64_t from, to;
	struct str from_root, to_root;
	struct json_list path;
};
extern const struct json_message mesh_audit_entry_message, mesh_audit_message, mesh_inclusion_message, mesh_consistency_message;

/* GET /topology/snapshot: canonical JSON; `signature` is the coordinator's over the canonical form less `signature`. */
#define MESH_SNAPSHOT_TYPE "tana-mesh-topology/1"
struct mesh_evidence { /* {message, publicKey, signature, newPublicKey?, newSignature?} : one signed change of the log */
	struct str message, public_key, signature, new_public_key, new_signature;
};
struct mesh_snapshot_node { /* {id, publicKey, registration, rotations:[], admission, inviteUse?} */
	struct str id, public_key, status;
	struct mesh_evidence *registration;
	struct json_list rotations; /* struct mesh_evidence */
	struct mesh_evidence *admission; /* the approval, or the invite */
	struct mesh_evidence *invite_use; /* with an invite: the registration that used it; NULL otherwise */
	struct str details; /* unsigned fields of a short registration */
};
struct mesh_snapshot {
	struct str type, network, coordinator, signature;
	int64_t version, issued, expires;
	struct json_list sovereigns; /* struct mesh_evidence: every sovereign-init, -add, -remove, -rotate, in order */
	struct json_list nodes;      /* struct mesh_snapshot_node */
};
extern const struct json_message mesh_evidence_message, mesh_snapshot_node_message, mesh_snapshot_message;

#endif
