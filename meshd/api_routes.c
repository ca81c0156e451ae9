#include "api.h"
#include "wire/mesh.h"

/* Refusals, by what a request goes through. Those that every route can give (malformed requests, 500, 503) are the server's to list. */
#define SIGNED_ERRORS ERR_MALFORMED_JSON, ERR_DUPLICATE_KEY, ERR_MISSING_FIELD, ERR_MALFORMED_FIELD, ERR_MALFORMED_SIGNATURE
#define BODY_ERRORS SIGNED_ERRORS, ERR_MALFORMED_KEY
#define WRITE_ERRORS BODY_ERRORS, ERR_OVERLOADED, ERR_STORAGE_FULL
#define SOVEREIGN_ERRORS WRITE_ERRORS, ERR_NOT_SOVEREIGN, ERR_TIMESTAMP_OUT_OF_RANGE, ERR_BAD_SIGNATURE, ERR_REPLAYED
#define ERRORS(name, ...) static const enum error_code name[] = {__VA_ARGS__, ERR_COUNT}

ERRORS(register_errors, WRITE_ERRORS, ERR_NOT_CANONICAL, ERR_WRONG_NETWORK, ERR_FULL_SIGNATURE_REQUIRED, ERR_TIMESTAMP_OUT_OF_RANGE, ERR_BAD_SIGNATURE,
       ERR_INVITE_INVALID, ERR_REPLAYED, ERR_NODE_ID_TAKEN, ERR_KEY_IN_USE);
ERRORS(decision_errors, SOVEREIGN_ERRORS, ERR_UNKNOWN_NODE, ERR_WRONG_STATE);
ERRORS(remove_errors, SOVEREIGN_ERRORS, ERR_UNKNOWN_NODE);
ERRORS(node_rotate_errors, WRITE_ERRORS, ERR_TIMESTAMP_OUT_OF_RANGE, ERR_UNKNOWN_NODE, ERR_BAD_SIGNATURE, ERR_REPLAYED, ERR_WRONG_STATE, ERR_KEY_IN_USE, ERR_REFUSED);
ERRORS(heartbeat_errors, SIGNED_ERRORS, ERR_OVERLOADED, ERR_STORAGE_FULL, ERR_NOT_CANONICAL, ERR_UNKNOWN_NODE, ERR_NODE_NOT_ACTIVE, ERR_TIMESTAMP_OUT_OF_RANGE, ERR_REPLAYED, ERR_BAD_SIGNATURE);
ERRORS(list_errors, ERR_MALFORMED_PARAMETER, ERR_MALFORMED_CURSOR);
ERRORS(node_errors, ERR_UNKNOWN_NODE);
ERRORS(history_errors, ERR_UNKNOWN_NODE, ERR_MALFORMED_PARAMETER, ERR_MALFORMED_CURSOR);
ERRORS(add_errors, SOVEREIGN_ERRORS, ERR_NOT_ALLOWED, ERR_ALREADY_EXISTS);
ERRORS(sovereign_remove_errors, SOVEREIGN_ERRORS, ERR_UNKNOWN_KEY, ERR_LAST_SOVEREIGN);
ERRORS(sovereign_rotate_errors, SOVEREIGN_ERRORS, ERR_ALREADY_EXISTS);
ERRORS(sovereign_verify_errors, BODY_ERRORS, ERR_BAD_SIGNATURE, ERR_NOT_SOVEREIGN);
ERRORS(invite_errors, SOVEREIGN_ERRORS, ERR_ALREADY_EXISTS, ERR_REFUSED);
ERRORS(invite_revoke_errors, SOVEREIGN_ERRORS, ERR_UNKNOWN_INVITE, ERR_WRONG_STATE);
ERRORS(proof_errors, ERR_MALFORMED_PARAMETER, ERR_NOT_FOUND);
ERRORS(events_errors, ERR_OVERLOADED);
ERRORS(snapshot_errors, ERR_STORAGE_FULL);

#define LIMIT_PARAM {.name = "limit", .type = PARAM_INT, .min = 1, .max = MESH_LIST_MAX, .doc = "Rows a page; 100 by default."}
#define CURSOR_PARAM {.name = "cursor", .type = PARAM_TEXT, .min = 1, .max = MESH_NODE_ID_MAX, .doc = "nextCursor of the page before."}
#define NO_MORE {.name = NULL}
static const struct http_param nodes_params[] = {
	{.name = "status", .type = PARAM_TEXT, .min = 1, .max = 16, .repeatable = true, .doc = "pending, active (default), offline, denied; repeatable; or all."},
	{.name = "role", .type = PARAM_TEXT, .min = 1, .max = 64, .doc = "Only nodes of this role."},
	LIMIT_PARAM,
	CURSOR_PARAM,
	NO_MORE,
};
static const struct http_param history_params[] = {
	{.name = "since", .type = PARAM_INT, .min = 0, .max = JSON_INT_MAX, .doc = "Heartbeats signed at this time (ms) or later."},
	LIMIT_PARAM,
	CURSOR_PARAM,
	NO_MORE,
};
static const struct http_param audit_params[] = {
	{.name = "after", .type = PARAM_INT, .min = 0, .max = JSON_INT_MAX, .doc = "Entries with a greater index; from the first when left out."},
	LIMIT_PARAM,
	CURSOR_PARAM,
	NO_MORE,
};
static const struct http_param invites_params[] = {
	LIMIT_PARAM,
	CURSOR_PARAM,
	NO_MORE,
};
static const struct http_param inclusion_params[] = {
	{.name = "index", .type = PARAM_INT, .min = 0, .max = JSON_INT_MAX, .doc = "The entry; required."},
	{.name = "size", .type = PARAM_INT, .min = 1, .max = JSON_INT_MAX, .doc = "The tree's size; the present one when left out."},
	NO_MORE,
};
static const struct http_param consistency_params[] = {
	{.name = "from", .type = PARAM_INT, .min = 1, .max = JSON_INT_MAX, .doc = "The older size; required."},
	{.name = "to", .type = PARAM_INT, .min = 1, .max = JSON_INT_MAX, .doc = "The newer size; the present one when left out."},
	NO_MORE,
};

#define ANSWERS(name, ...) static const struct http_answer name[] = {__VA_ARGS__, {.status = 0}}
#define JSON_OK(m, d) {.status = 200, .message = &(m), .doc = (d)}
#define NOT_MODIFIED {.status = 304, .media = "", .doc = "Not changed since If-None-Match."}
ANSWERS(register_answers, {.status = 201, .message = &mesh_node_answer_message, .doc = "Registered."},
	JSON_OK(mesh_node_answer_message, "The same key again: services and address updated, status kept."));
ANSWERS(node_answers, JSON_OK(mesh_node_answer_message, "Done; status is what the node is now."));
ANSWERS(heartbeat_answers, JSON_OK(mesh_heartbeat_answer_message, "Durably noted; timestamp is the coordinator's time."));
ANSWERS(list_answers, JSON_OK(mesh_node_list_message, "A page, ordered by id."), NOT_MODIFIED);
ANSWERS(one_answers, JSON_OK(mesh_node_one_message, "The node."), NOT_MODIFIED);
ANSWERS(history_answers, JSON_OK(mesh_history_message, "A page, oldest first."));
ANSWERS(topology_answers, JSON_OK(mesh_topology_message, "All active nodes, ordered by id."));
ANSWERS(snapshot_answers, JSON_OK(mesh_snapshot_message, "The signed peer list."), NOT_MODIFIED);
ANSWERS(validators_answers, JSON_OK(mesh_validators_message, "All active validators."));
ANSWERS(validator_answers, JSON_OK(mesh_validator_one_message, "The validator."));
ANSWERS(sovereigns_answers, JSON_OK(mesh_sovereigns_message, "The keys in force."));
ANSWERS(sovereign_answers, JSON_OK(mesh_sovereign_answer_message, "Done."));
ANSWERS(verify_answers, JSON_OK(mesh_verify_answer_message, "The signature is by this sovereign key."));
ANSWERS(invites_answers, JSON_OK(mesh_invites_message, "A page, newest first."));
ANSWERS(invite_answers, {.status = 201, .message = &mesh_sovereign_answer_message, .doc = "The invite is in force."});
ANSWERS(audit_answers, JSON_OK(mesh_audit_message, "A page, in order."));
ANSWERS(checkpoint_answers, {.status = 200, .media = "text/plain", .doc = "A C2SP tlog-checkpoint."});
ANSWERS(inclusion_answers, JSON_OK(mesh_inclusion_message, "RFC 6962 audit path."));
ANSWERS(consistency_answers, JSON_OK(mesh_consistency_message, "RFC 6962 consistency proof."));
ANSWERS(coordinator_answers, JSON_OK(coordinator_message, "The key."));
ANSWERS(events_answers, {.status = 200, .media = "text/event-stream", .doc = "Events as they happen."});

#define READ(p, h, ans, errs, par, sum, more)                                                                                  \
	{.method = HTTP_GET, .path = (p), .handler = (h), .access = ACCESS_ANYONE, .answers = (ans), .errors = (errs), .params = (par), .summary = (sum), .doc = (more)}
#define WRITE(p, h, who, msg, ans, errs, sum, more)                                                                            \
	{.method = HTTP_POST, .path = (p), .handler = (h), .access = (who), .flags = HTTP_WRITE, .body_max = MESH_BODY_MAX, .body = &(msg),                 \
	 .answers = (ans), .errors = (errs), .summary = (sum), .doc = (more)}

const struct http_route mesh_routes[] = {
	WRITE("/register", api_register, ACCESS_NODE_SIGNED, mesh_register_message, register_answers, register_errors, "Register a node",
	      "Signed by the node's key: with `timestamp`, over the canonical JSON of the whole body less `signature`; without, over its first three keys. "
	      "Registering again with the same key updates services and address."),
	READ("/nodes", api_nodes, list_answers, list_errors, nodes_params, "List nodes", "By status, ordered by id, by pages. ETag and If-None-Match are understood."),
	READ("/nodes/:id", api_node, one_answers, node_errors, NULL, "One node", NULL),
	READ("/nodes/:id/heartbeats", api_history, history_answers, history_errors, history_params, "A node's heartbeats",
	     "Kept for a while in full, then one a day."),
	WRITE("/nodes/:id/rotate", api_node_rotate, ACCESS_NODE_SIGNED, mesh_node_rotate_message, node_answers, node_rotate_errors, "Rotate a node's key",
	      "Both keys sign. Status and admission carry over."),
	READ("/topology", api_topology, topology_answers, NULL, NULL, "All active nodes with their services", NULL),
	READ("/topology/snapshot", api_snapshot, snapshot_answers, snapshot_errors, NULL, "The signed peer list",
	     "Canonical JSON with each node's signed registration and admission, to be checked offline."),
	READ("/validators/active", api_validators, validators_answers, NULL, NULL, "All active validators", NULL),
	READ("/validators/:id", api_validator, validator_answers, node_errors, NULL, "One active validator", NULL),
	WRITE("/heartbeat", api_heartbeat, ACCESS_NODE_SIGNED, mesh_heartbeat_message, heartbeat_answers, heartbeat_errors, "A node's sign of life",
	      "Signed over heartbeat:<nodeId>:<timestamp>, or with `signed:\"full\"` over the canonical body less `signature`."),
	WRITE("/approve/:id", api_approve, ACCESS_SOVEREIGN_SIGNED, mesh_decision_message, node_answers, decision_errors, "Admit a pending node", NULL),
	WRITE("/deny/:id", api_deny, ACCESS_SOVEREIGN_SIGNED, mesh_decision_message, node_answers, decision_errors, "Deny a pending node", NULL),
	WRITE("/remove/:id", api_remove, ACCESS_SOVEREIGN_SIGNED, mesh_decision_message, node_answers, remove_errors, "Remove a node", NULL),
	WRITE("/reset/:id", api_reset, ACCESS_SOVEREIGN_SIGNED, mesh_decision_message, node_answers, decision_errors, "Reopen a denied registration", NULL),
	READ("/sovereign", api_sovereigns, sovereigns_answers, NULL, NULL, "List sovereign keys", NULL),
	WRITE("/sovereign/add", api_sovereign_add, ACCESS_SOVEREIGN_SIGNED, mesh_sovereign_add_message, sovereign_answers, add_errors, "Add a sovereign key",
	      "Unsigned only under --dev, from loopback, while there is none."),
	WRITE("/sovereign/remove", api_sovereign_remove, ACCESS_SOVEREIGN_SIGNED, mesh_sovereign_remove_message, sovereign_answers, sovereign_remove_errors,
	      "Remove a sovereign key", "The last one cannot go."),
	WRITE("/sovereign/rotate", api_sovereign_rotate, ACCESS_SOVEREIGN_SIGNED, mesh_sovereign_rotate_message, sovereign_answers, sovereign_rotate_errors,
	      "Replace a sovereign key by another", "Both keys sign."),
	{.method = HTTP_POST, .path = "/sovereign/verify", .handler = api_sovereign_verify, .access = ACCESS_ANYONE, .body_max = MESH_BODY_MAX,
	 .body = &mesh_sovereign_verify_message, .answers = verify_answers, .errors = sovereign_verify_errors, .flags = HTTP_WRITE,
	 .summary = "Is this a sovereign's signature?"},
	READ("/invites", api_invites, invites_answers, list_errors, invites_params, "List invites", NULL),
	WRITE("/invites", api_invite_create, ACCESS_SOVEREIGN_SIGNED, mesh_invite_create_message, invite_answers, invite_errors, "Put an invite in force",
	      "Its private key is what the operator of the new node is given; mesh never sees it."),
	WRITE("/invites/revoke", api_invite_revoke, ACCESS_SOVEREIGN_SIGNED, mesh_invite_revoke_message, sovereign_answers, invite_revoke_errors, "Revoke an invite", NULL),
	READ("/audit", api_audit, audit_answers, list_errors, audit_params, "The log of every signed change", NULL),
	READ("/audit/checkpoint", api_checkpoint, checkpoint_answers, NULL, NULL, "The log's signed head", "In the C2SP tlog-checkpoint format."),
	READ("/audit/proof/inclusion", api_inclusion, inclusion_answers, proof_errors, inclusion_params, "Proof that an entry is in the log", NULL),
	READ("/audit/proof/consistency", api_consistency, consistency_answers, proof_errors, consistency_params, "Proof that the log only grew", NULL),
	READ("/coordinator", api_coordinator, coordinator_answers, NULL, NULL, "The key that signs checkpoints and snapshots", NULL),
	{.method = HTTP_GET, .path = "/events", .handler = api_events, .access = ACCESS_ANYONE, .flags = HTTP_STREAM, .answers = events_answers,
	 .errors = events_errors, .summary = "Watch events", .doc = "Server-Sent Events; Last-Event-ID resumes. Slow readers are dropped."},
};
const size_t mesh_route_count = ARRAY_LEN(mesh_routes);
