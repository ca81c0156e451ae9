/* The field tables of mesh's messages. Field names are the protocol: they never change, new ones are added. */
#include "wire/mesh.h"

#include "crypto/canonical.h"

enum {
	PLACE_MAX = 64,            /* bytes of a region or provider */
	REMARK_MAX = 256,          /* bytes of a reason or description */
	SENTENCE_MAX = 1024,       /* bytes of what an answer tells people */
	VERIFY_MAX = 16 * 1024,    /* bytes of a message to verify */
	EVIDENCE_MAX = 2 * MESH_BODY_MAX, /* bytes of a signed message in the log: a registration's body, canonically escaped */
	CURSOR_MAX = 256,
	INVITE_USES_MAX = 10000,
	PROOF_MAX = 64             /* hashes */
};

/* Rows that occur again and again. Times are milliseconds since the Unix epoch. */
#define F_TIME(S, m, n, fl, d) F_INT(S, m, n, fl, 0, CANONICAL_INT_MAX, d)
#define F_COUNT(S, m, n, fl, d) F_INT(S, m, n, fl, 0, CANONICAL_INT_MAX, d)
#define F_PORT(S) F_INT(S, port, "port", JSON_REQUIRED, 1, 65535, "TCP port the service listens on.")
#define F_SIGNATURE(S, d) F_FORM(S, signature, "signature", JSON_REQUIRED, &form_signature, d)
#define F_TIMESTAMP(S) F_TIME(S, timestamp, "timestamp", JSON_REQUIRED, "When it was signed; within 5 minutes of the coordinator's clock.")
#define F_APPROVER(S) \
	F_FORM(S, approver_public_key, "approverPublicKey", JSON_REQUIRED, &form_public_key, "The sovereign key that signs.")
#define F_NEXT_CURSOR(S) F_TEXT(S, next_cursor, "nextCursor", 0, CURSOR_MAX, "Give it as cursor= to get the next page; left out on the last one.")

/* Registration */
static const struct json_field service_rows[] = {
	F_FORM(struct mesh_service, type, "type", JSON_REQUIRED, &form_service_type, "What the service is."),
	F_PORT(struct mesh_service),
	F_FORM(struct mesh_service, public_key, "publicKey", JSON_REQUIRED, &form_public_key, "The service's own key."),
};
JSON_MESSAGE(mesh_service_message, "Service", struct mesh_service, service_rows);

static const struct json_field invite_use_rows[] = {
	F_FORM(struct mesh_invite_use, public_key, "publicKey", JSON_REQUIRED, &form_public_key, "The invite's public key."),
	F_SIGNATURE(struct mesh_invite_use, "By the invite's key, over tana-mesh:<network>:invite-use:<nodeId>:<publicKey>."),
};
JSON_MESSAGE(mesh_invite_use_message, "InviteUse", struct mesh_invite_use, invite_use_rows);

/* What a full signature covers: the body less its signature. */
#define REGISTER_ROWS                                                                                                                  \
	F_FORM(struct mesh_register, node_id, "nodeId", JSON_REQUIRED, &form_node_id, "The node's name in the network."),              \
	F_FORM(struct mesh_register, public_key, "publicKey", JSON_REQUIRED, &form_public_key, "The node's key."),                     \
	F_FORM(struct mesh_register, tailscale_hostname, "tailscaleHostname", JSON_REQUIRED, &form_hostname, "Where its services are reached."), \
	F_FORM(struct mesh_register, tailscale_ip, "tailscaleIP", 0, &form_ip, "The same as an address."),                             \
	F_LIST(struct mesh_register, services, "services", JSON_REQUIRED, MESH_SERVICES_MAX, &mesh_service_message, "What the node runs."), \
	F_FORM(struct mesh_register, role, "role", 0, &form_role, "Part the node plays; validator when left out."),                    \
	F_TEXT(struct mesh_register, region, "region", 0, PLACE_MAX, "Where it runs, for people."),                                    \
	F_TEXT(struct mesh_register, provider, "provider", 0, PLACE_MAX, "Who hosts it, for people."),                                 \
	F_FORM(struct mesh_register, latitude, "latitude", 0, &form_latitude, "Degrees north."),                                       \
	F_FORM(struct mesh_register, longitude, "longitude", 0, &form_longitude, "Degrees east."),                                     \
	F_FORM(struct mesh_register, network, "network", 0, &form_network, "The network it means to join; must be the coordinator's."), \
	F_TIME(struct mesh_register, timestamp, "timestamp", 0, "When it was signed; present: the signature covers the whole body."),  \
	F_OBJECT(struct mesh_register, invite, "invite", 0, &mesh_invite_use_message, "Proof of an invite, which admits the node at once.")

static const struct json_field register_rows[] = {
	REGISTER_ROWS,
	F_SIGNATURE(struct mesh_register, "By the node's key: over the canonical body less this field, or (no timestamp) over its first three fields."),
};
JSON_MESSAGE(mesh_register_message, "Register", struct mesh_register, register_rows);

static const struct json_field register_unsigned_rows[] = {REGISTER_ROWS};
JSON_MESSAGE(mesh_register_unsigned_message, "RegisterUnsigned", struct mesh_register, register_unsigned_rows);

static const struct json_field node_answer_rows[] = {
	F_BOOL(struct mesh_node_answer, success, "success", JSON_REQUIRED, "Always true; refusals have an error document."),
	F_FORM(struct mesh_node_answer, node_id, "nodeId", JSON_REQUIRED, &form_node_id, "The node this is about."),
	F_FORM(struct mesh_node_answer, status, "status", JSON_REQUIRED, &form_status, "Its status after the change."),
	F_TEXT(struct mesh_node_answer, message, "message", 0, SENTENCE_MAX, "What happened and what comes next, for people."),
};
JSON_MESSAGE(mesh_node_answer_message, "NodeAnswer", struct mesh_node_answer, node_answer_rows);

/* Decisions. The older form, taken under --dev, has no timestamp. */
static const struct json_field decision_rows[] = {
	F_APPROVER(struct mesh_decision),
	F_TIME(struct mesh_decision, timestamp, "timestamp", 0, "When it was signed; required, but for the older form under --dev."),
	F_SIGNATURE(struct mesh_decision, "By the sovereign key, over tana-mesh:<network>:<action>:<nodeId>:<node's publicKey>:<timestamp>."),
	F_TEXT(struct mesh_decision, reason, "reason", 0, REMARK_MAX, "Why, for the log; not covered by the signature."),
};
JSON_MESSAGE(mesh_decision_message, "Decision", struct mesh_decision, decision_rows);

/* Heartbeats */
static const struct json_field health_rows[] = {
	F_FORM(struct mesh_health, type, "type", JSON_REQUIRED, &form_service_type, "The service, as registered."),
	F_BOOL(struct mesh_health, healthy, "healthy", JSON_REQUIRED, "Whether the service answered the node's last check."),
	F_TIME(struct mesh_health, last_check, "lastCheck", JSON_REQUIRED, "When the node last checked it."),
};
JSON_MESSAGE(mesh_health_message, "ServiceHealth", struct mesh_health, health_rows);

static const struct json_field heartbeat_rows[] = {
	F_FORM(struct mesh_heartbeat, node_id, "nodeId", JSON_REQUIRED, &form_node_id, "The node that reports."),
	F_TIME(struct mesh_heartbeat, timestamp, "timestamp", JSON_REQUIRED, "The node's clock; within 60 seconds, and newer than its last."),
	F_FORM(struct mesh_heartbeat, tailscale_ip, "tailscaleIP", 0, &form_ip, "The node's address now; taken only with signed:full."),
	F_LIST(struct mesh_heartbeat, services, "services", 0, MESH_SERVICES_MAX, &mesh_health_message, "How its services are."),
	F_COUNT(struct mesh_heartbeat, height, "height", 0, "The last block the node has."),
	F_FORM(struct mesh_heartbeat, version, "version", 0, &form_version, "The software it runs."),
	F_FORM(struct mesh_heartbeat, signed_form, "signed", 0, &form_signed, "full: the signature covers the canonical body less signature."),
	F_SIGNATURE(struct mesh_heartbeat, "By the node's key, over heartbeat:<nodeId>:<timestamp> or, with signed:full, the canonical body."),
};
JSON_MESSAGE(mesh_heartbeat_message, "Heartbeat", struct mesh_heartbeat, heartbeat_rows);

static const struct json_field heartbeat_answer_rows[] = {
	F_BOOL(struct mesh_heartbeat_answer, success, "success", JSON_REQUIRED, "Always true; refusals have an error document."),
	F_TIME(struct mesh_heartbeat_answer, timestamp, "timestamp", JSON_REQUIRED, "The coordinator's clock."),
};
JSON_MESSAGE(mesh_heartbeat_answer_message, "HeartbeatAnswer", struct mesh_heartbeat_answer, heartbeat_answer_rows);

/* Rows of the registry */
static const struct json_field node_service_rows[] = {
	F_FORM(struct mesh_node_service, service_type, "service_type", JSON_REQUIRED, &form_service_type, "What the service is."),
	F_PORT(struct mesh_node_service),
	F_FORM(struct mesh_node_service, public_key, "public_key", JSON_REQUIRED, &form_public_key_written, "The service's own key."),
	F_BOOL(struct mesh_node_service, healthy, "healthy", JSON_NULL_WHEN_ABSENT, "What the node last reported; null before the first report."),
	F_TIME(struct mesh_node_service, last_check, "last_check", JSON_NULL_WHEN_ABSENT, "When the node last checked it; null before that."),
};
JSON_MESSAGE(mesh_node_service_message, "NodeService", struct mesh_node_service, node_service_rows);

static const struct json_field topology_service_rows[] = {
	F_FORM(struct mesh_service, type, "type", JSON_REQUIRED, &form_service_type, "What the service is."),
	F_PORT(struct mesh_service),
	F_FORM(struct mesh_service, public_key, "publicKey", JSON_REQUIRED, &form_public_key_written, "The service's own key."),
};
static JSON_MESSAGE(topology_service_message, "TopologyService", struct mesh_service, topology_service_rows);

/* A node's row is the same in lists and in the topology, but for its services. */
#define NODE_NULLABLE_TEXT(m, d) F_TEXT(struct mesh_node, m, #m, JSON_NULL_WHEN_ABSENT, PLACE_MAX, d)
#define NODE_ROWS(service_message)                                                                                                        \
	F_FORM(struct mesh_node, id, "id", JSON_REQUIRED, &form_node_id, "The node's name in the network."),                              \
	F_FORM(struct mesh_node, public_key, "public_key", JSON_REQUIRED, &form_public_key_written, "The node's key."),                   \
	F_FORM(struct mesh_node, tailscale_hostname, "tailscale_hostname", JSON_REQUIRED, &form_hostname, "Where its services are reached."), \
	F_FORM(struct mesh_node, tailscale_ip, "tailscale_ip", JSON_NULL_WHEN_ABSENT, &form_ip, "The same as an address."),               \
	F_FORM(struct mesh_node, status, "status", JSON_REQUIRED, &form_status, "Where it stands in its life."),                          \
	F_FORM(struct mesh_node, role, "role", JSON_REQUIRED, &form_role, "Part the node plays."),                                        \
	F_TIME(struct mesh_node, registered_at, "registered_at", JSON_REQUIRED, "When it first registered."),                             \
	F_TIME(struct mesh_node, approved_at, "approved_at", JSON_NULL_WHEN_ABSENT, "When it was admitted."),                             \
	F_FORM(struct mesh_node, approved_by, "approved_by", JSON_NULL_WHEN_ABSENT, &form_public_key_written, "The sovereign key that did so."), \
	F_TIME(struct mesh_node, last_heartbeat, "last_heartbeat", JSON_NULL_WHEN_ABSENT, "When its last heartbeat arrived."),            \
	NODE_NULLABLE_TEXT(region, "Where it runs, for people."),                                                                         \
	NODE_NULLABLE_TEXT(provider, "Who hosts it, for people."),                                                                        \
	F_FORM(struct mesh_node, latitude, "latitude", JSON_NULL_WHEN_ABSENT, &form_latitude, "Degrees north."),                          \
	F_FORM(struct mesh_node, longitude, "longitude", JSON_NULL_WHEN_ABSENT, &form_longitude, "Degrees east."),                        \
	F_COUNT(struct mesh_node, height, "height", JSON_NULL_WHEN_ABSENT, "The last block it reported."),                                \
	F_FORM(struct mesh_node, version, "version", JSON_NULL_WHEN_ABSENT, &form_version, "The software it reported."),                  \
	F_LIST(struct mesh_node, services, "services", JSON_REQUIRED, MESH_SERVICES_MAX, service_message, "What it runs.")

static const struct json_field node_rows[] = {NODE_ROWS(&mesh_node_service_message)};
JSON_MESSAGE(mesh_node_message, "Node", struct mesh_node, node_rows);

static const struct json_field node_list_rows[] = {
	F_LIST(struct mesh_node_list, nodes, "nodes", JSON_REQUIRED, MESH_LIST_MAX, &mesh_node_message, "Ordered by id."),
	F_NEXT_CURSOR(struct mesh_node_list),
};
JSON_MESSAGE(mesh_node_list_message, "NodeList", struct mesh_node_list, node_list_rows);

static const struct json_field node_one_rows[] = {
	F_OBJECT(struct mesh_node_one, node, "node", JSON_REQUIRED, &mesh_node_message, "The node."),
};
JSON_MESSAGE(mesh_node_one_message, "NodeOne", struct mesh_node_one, node_one_rows);

static const struct json_field topology_node_rows[] = {NODE_ROWS(&topology_service_message)};
JSON_MESSAGE(mesh_topology_node_message, "TopologyNode", struct mesh_node, topology_node_rows);

static const struct json_field topology_rows[] = {
	F_LIST(struct mesh_node_list, nodes, "nodes", JSON_REQUIRED, 0, &mesh_topology_node_message, "Every active node, ordered by id."),
};
JSON_MESSAGE(mesh_topology_message, "Topology", struct mesh_node_list, topology_rows);

static const struct json_field history_entry_rows[] = {
	F_TIME(struct mesh_history_entry, timestamp, "timestamp", JSON_REQUIRED, "The node's clock when it signed."),
	F_TIME(struct mesh_history_entry, received_at, "received_at", JSON_REQUIRED, "The coordinator's clock when it arrived."),
	F_COUNT(struct mesh_history_entry, height, "height", JSON_NULL_WHEN_ABSENT, "The last block the node had."),
	F_FORM(struct mesh_history_entry, version, "version", JSON_NULL_WHEN_ABSENT, &form_version, "The software it ran."),
	F_TEXTS(struct mesh_history_entry, unhealthy, "unhealthy", JSON_REQUIRED, MESH_SERVICES_MAX, &form_service_type, "Services it reported as ill."),
};
JSON_MESSAGE(mesh_history_entry_message, "HistoryEntry", struct mesh_history_entry, history_entry_rows);

static const struct json_field history_rows[] = {
	F_LIST(struct mesh_history, heartbeats, "heartbeats", JSON_REQUIRED, MESH_LIST_MAX, &mesh_history_entry_message, "Oldest first."),
	F_NEXT_CURSOR(struct mesh_history),
};
JSON_MESSAGE(mesh_history_message, "History", struct mesh_history, history_rows);

/* Validators, for existing readers */
static const struct json_field validator_rows[] = {
	F_FORM(struct mesh_validator, id, "id", JSON_REQUIRED, &form_node_id, "The node's name in the network."),
	F_FORM(struct mesh_validator, public_key, "publicKey", JSON_REQUIRED, &form_public_key_written, "The node's key."),
	F_FORM(struct mesh_validator, ws_url, "wsUrl", JSON_REQUIRED, &form_hostname, "The node's host name."),
	F_TIME(struct mesh_validator, last_seen, "lastSeen", JSON_NULL_WHEN_ABSENT, "When its last heartbeat arrived; null before the first."),
};
JSON_MESSAGE(mesh_validator_message, "Validator", struct mesh_validator, validator_rows);

static const struct json_field validators_rows[] = {
	F_LIST(struct mesh_validators, validators, "validators", JSON_REQUIRED, 0, &mesh_validator_message, "The active nodes whose role is validator."),
};
JSON_MESSAGE(mesh_validators_message, "Validators", struct mesh_validators, validators_rows);

static const struct json_field validator_one_rows[] = {
	F_OBJECT(struct mesh_validator_one, validator, "validator", JSON_REQUIRED, &mesh_validator_message, "The validator."),
};
JSON_MESSAGE(mesh_validator_one_message, "ValidatorOne", struct mesh_validator_one, validator_one_rows);

/* Sovereign keys */
static const struct json_field sovereign_rows[] = {
	F_FORM(struct mesh_sovereign, public_key, "public_key", JSON_REQUIRED, &form_public_key_written, "The key."),
	F_TEXT(struct mesh_sovereign, description, "description", JSON_NULL_WHEN_ABSENT, REMARK_MAX, "Whose it is, for people."),
	F_TIME(struct mesh_sovereign, added_at, "added_at", JSON_REQUIRED, "Since when it decides."),
	F_FORM(struct mesh_sovereign, added_by, "added_by", JSON_REQUIRED, &form_public_key_written,
	       "The sovereign key that added it; the coordinator's for the operator's first."),
};
JSON_MESSAGE(mesh_sovereign_message, "Sovereign", struct mesh_sovereign, sovereign_rows);

static const struct json_field sovereigns_rows[] = {
	F_LIST(struct mesh_sovereigns, sovereigns, "sovereigns", JSON_REQUIRED, 0, &mesh_sovereign_message, "Every key that decides now."),
};
JSON_MESSAGE(mesh_sovereigns_message, "Sovereigns", struct mesh_sovereigns, sovereigns_rows);

static const struct json_field sovereign_add_rows[] = {
	F_FORM(struct mesh_sovereign_add, public_key, "publicKey", JSON_REQUIRED, &form_public_key, "The key to add."),
	F_TEXT(struct mesh_sovereign_add, description, "description", 0, REMARK_MAX, "Whose it is, for people; not covered by the signature."),
	F_FORM(struct mesh_sovereign_add, approver_public_key, "approverPublicKey", 0, &form_public_key,
	       "The sovereign key that signs; required, but for the first key under --dev."),
	F_TIME(struct mesh_sovereign_add, timestamp, "timestamp", 0, "When it was signed; required with approverPublicKey."),
	F_FORM(struct mesh_sovereign_add, signature, "signature", 0, &form_signature,
	       "Over tana-mesh:<network>:sovereign-add:<publicKey>:<timestamp>; required with approverPublicKey."),
};
JSON_MESSAGE(mesh_sovereign_add_message, "SovereignAdd", struct mesh_sovereign_add, sovereign_add_rows);

static const struct json_field sovereign_remove_rows[] = {
	F_FORM(struct mesh_sovereign_remove, public_key, "publicKey", JSON_REQUIRED, &form_public_key, "The key to remove."),
	F_APPROVER(struct mesh_sovereign_remove),
	F_TIMESTAMP(struct mesh_sovereign_remove),
	F_SIGNATURE(struct mesh_sovereign_remove, "Over tana-mesh:<network>:sovereign-remove:<publicKey>:<timestamp>."),
};
JSON_MESSAGE(mesh_sovereign_remove_message, "SovereignRemove", struct mesh_sovereign_remove, sovereign_remove_rows);

static const struct json_field sovereign_rotate_rows[] = {
	F_FORM(struct mesh_sovereign_rotate, old_public_key, "oldPublicKey", JSON_REQUIRED, &form_public_key, "The sovereign key to replace."),
	F_FORM(struct mesh_sovereign_rotate, new_public_key, "newPublicKey", JSON_REQUIRED, &form_public_key, "The key that takes its place."),
	F_TIMESTAMP(struct mesh_sovereign_rotate),
	F_SIGNATURE(struct mesh_sovereign_rotate, "By the old key, over tana-mesh:<network>:sovereign-rotate:<old>:<new>:<timestamp>."),
	F_FORM(struct mesh_sovereign_rotate, new_signature, "newSignature", JSON_REQUIRED, &form_signature, "By the new key, over the same."),
};
JSON_MESSAGE(mesh_sovereign_rotate_message, "SovereignRotate", struct mesh_sovereign_rotate, sovereign_rotate_rows);

static const struct json_field sovereign_verify_rows[] = {
	F_TEXT(struct mesh_sovereign_verify, message, "message", JSON_REQUIRED | JSON_VERBATIM, VERIFY_MAX, "The signed text."),
	F_SIGNATURE(struct mesh_sovereign_verify, "The signature over it."),
	F_FORM(struct mesh_sovereign_verify, public_key, "publicKey", 0, &form_public_key, "Whose; left out, any sovereign key may have signed."),
};
JSON_MESSAGE(mesh_sovereign_verify_message, "SovereignVerify", struct mesh_sovereign_verify, sovereign_verify_rows);

static const struct json_field sovereign_answer_rows[] = {
	F_BOOL(struct mesh_sovereign_answer, success, "success", JSON_REQUIRED, "Always true; refusals have an error document."),
	F_FORM(struct mesh_sovereign_answer, public_key, "publicKey", JSON_REQUIRED, &form_public_key_written, "The key this is about."),
};
JSON_MESSAGE(mesh_sovereign_answer_message, "SovereignAnswer", struct mesh_sovereign_answer, sovereign_answer_rows);

static const struct json_field verify_answer_rows[] = {
	F_BOOL(struct mesh_verify_answer, valid, "valid", JSON_REQUIRED, "Always true; refusals have an error document."),
	F_FORM(struct mesh_verify_answer, public_key, "publicKey", JSON_REQUIRED, &form_public_key_written, "The sovereign key that signed."),
};
JSON_MESSAGE(mesh_verify_answer_message, "VerifyAnswer", struct mesh_verify_answer, verify_answer_rows);

static const struct json_field node_rotate_rows[] = {
	F_FORM(struct mesh_node_rotate, new_public_key, "newPublicKey", JSON_REQUIRED, &form_public_key, "The node's key from now on."),
	F_TIMESTAMP(struct mesh_node_rotate),
	F_SIGNATURE(struct mesh_node_rotate, "By the old key, over tana-mesh:<network>:node-rotate:<nodeId>:<old>:<new>:<timestamp>."),
	F_FORM(struct mesh_node_rotate, new_signature, "newSignature", JSON_REQUIRED, &form_signature, "By the new key, over the same."),
};
JSON_MESSAGE(mesh_node_rotate_message, "NodeRotate", struct mesh_node_rotate, node_rotate_rows);

/* Invites */
static const struct json_field invite_create_rows[] = {
	F_FORM(struct mesh_invite_create, public_key, "publicKey", JSON_REQUIRED, &form_public_key, "The invite's public key."),
	F_INT(struct mesh_invite_create, uses, "uses", JSON_REQUIRED, 1, INVITE_USES_MAX, "How many nodes it admits."),
	F_TIME(struct mesh_invite_create, expires, "expires", JSON_REQUIRED, "When it stops to admit."),
	F_APPROVER(struct mesh_invite_create),
	F_TIMESTAMP(struct mesh_invite_create),
	F_SIGNATURE(struct mesh_invite_create, "Over tana-mesh:<network>:invite:<publicKey>:<uses>:<expires>:<timestamp>."),
};
JSON_MESSAGE(mesh_invite_create_message, "InviteCreate", struct mesh_invite_create, invite_create_rows);

static const struct json_field invite_revoke_rows[] = {
	F_FORM(struct mesh_invite_revoke, public_key, "publicKey", JSON_REQUIRED, &form_public_key, "The invite's public key."),
	F_APPROVER(struct mesh_invite_revoke),
	F_TIMESTAMP(struct mesh_invite_revoke),
	F_SIGNATURE(struct mesh_invite_revoke, "Over tana-mesh:<network>:invite-revoke:<publicKey>:<timestamp>."),
};
JSON_MESSAGE(mesh_invite_revoke_message, "InviteRevoke", struct mesh_invite_revoke, invite_revoke_rows);

static const struct json_field invite_rows[] = {
	F_FORM(struct mesh_invite, public_key, "public_key", JSON_REQUIRED, &form_public_key_written, "The invite's public key."),
	F_INT(struct mesh_invite, uses, "uses", JSON_REQUIRED, 1, INVITE_USES_MAX, "How many nodes it admits."),
	F_INT(struct mesh_invite, used, "used", JSON_REQUIRED, 0, INVITE_USES_MAX, "How many it has admitted."),
	F_TIME(struct mesh_invite, expires, "expires", JSON_REQUIRED, "When it stops to admit."),
	F_TIME(struct mesh_invite, created_at, "created_at", JSON_REQUIRED, "When it was made known."),
	F_FORM(struct mesh_invite, created_by, "created_by", JSON_REQUIRED, &form_public_key_written, "The sovereign key that signed it."),
	F_TIME(struct mesh_invite, revoked_at, "revoked_at", JSON_NULL_WHEN_ABSENT, "When it was revoked; null while it holds."),
};
JSON_MESSAGE(mesh_invite_message, "Invite", struct mesh_invite, invite_rows);

static const struct json_field invites_rows[] = {
	F_LIST(struct mesh_invites, invites, "invites", JSON_REQUIRED, MESH_LIST_MAX, &mesh_invite_message, "Newest first."),
	F_NEXT_CURSOR(struct mesh_invites),
};
JSON_MESSAGE(mesh_invites_message, "Invites", struct mesh_invites, invites_rows);

/* The transparency log */
static const struct json_field audit_entry_rows[] = {
	F_COUNT(struct mesh_audit_entry, index, "index", JSON_REQUIRED, "Its place in the log, from 0."),
	F_TIME(struct mesh_audit_entry, time, "time", JSON_REQUIRED, "The coordinator's clock."),
	F_TEXT(struct mesh_audit_entry, message, "message", JSON_REQUIRED | JSON_VERBATIM, EVIDENCE_MAX, "The exact signed text."),
	F_FORM(struct mesh_audit_entry, public_key, "publicKey", JSON_REQUIRED, &form_public_key_written, "The key that signed."),
	F_FORM(struct mesh_audit_entry, signature, "signature", JSON_REQUIRED, &form_signature_written, "Its signature over message."),
	F_TEXT(struct mesh_audit_entry, outcome, "outcome", JSON_REQUIRED, PLACE_MAX, "The node's status, ok, or the code of the refusal."),
	F_FORM(struct mesh_audit_entry, new_public_key, "newPublicKey", 0, &form_public_key_written, "Rotations: the new key."),
	F_FORM(struct mesh_audit_entry, new_signature, "newSignature", 0, &form_signature_written, "Rotations: the new key's signature."),
	F_ANY(struct mesh_audit_entry, details, "details", 0, "What came with it and no signature covers."),
};
JSON_MESSAGE(mesh_audit_entry_message, "AuditEntry", struct mesh_audit_entry, audit_entry_rows);

static const struct json_field audit_rows[] = {
	F_LIST(struct mesh_audit, entries, "entries", JSON_REQUIRED, MESH_LIST_MAX, &mesh_audit_entry_message, "In the order of the log."),
	F_NEXT_CURSOR(struct mesh_audit),
};
JSON_MESSAGE(mesh_audit_message, "Audit", struct mesh_audit, audit_rows);

static const struct json_field inclusion_rows[] = {
	F_COUNT(struct mesh_inclusion, index, "index", JSON_REQUIRED, "The entry's place in the log, from 0."),
	F_COUNT(struct mesh_inclusion, size, "size", JSON_REQUIRED, "Entries in the log that the proof is about."),
	F_FORM(struct mesh_inclusion, leaf, "leaf", JSON_REQUIRED, &form_hash, "The entry's leaf hash."),
	F_FORM(struct mesh_inclusion, root, "root", JSON_REQUIRED, &form_hash, "The log's root at that size."),
	F_TEXTS(struct mesh_inclusion, path, "path", JSON_REQUIRED, PROOF_MAX, &form_hash, "RFC 6962 audit path, leaf side first."),
};
JSON_MESSAGE(mesh_inclusion_message, "Inclusion", struct mesh_inclusion, inclusion_rows);

static const struct json_field consistency_rows[] = {
	F_COUNT(struct mesh_consistency, from, "from", JSON_REQUIRED, "Entries in the older log."),
	F_COUNT(struct mesh_consistency, to, "to", JSON_REQUIRED, "Entries in the newer log."),
	F_FORM(struct mesh_consistency, from_root, "fromRoot", JSON_REQUIRED, &form_hash, "The older log's root."),
	F_FORM(struct mesh_consistency, to_root, "toRoot", JSON_REQUIRED, &form_hash, "The newer log's root."),
	F_TEXTS(struct mesh_consistency, path, "path", JSON_REQUIRED, PROOF_MAX, &form_hash, "RFC 6962 consistency proof."),
};
JSON_MESSAGE(mesh_consistency_message, "Consistency", struct mesh_consistency, consistency_rows);

/* The signed snapshot */
static const struct json_field evidence_rows[] = {
	F_TEXT(struct mesh_evidence, message, "message", JSON_REQUIRED | JSON_VERBATIM, EVIDENCE_MAX, "The exact signed text."),
	F_FORM(struct mesh_evidence, public_key, "publicKey", JSON_REQUIRED, &form_public_key_written, "The key that signed."),
	F_FORM(struct mesh_evidence, signature, "signature", JSON_REQUIRED, &form_signature_written, "Its signature over message."),
	F_FORM(struct mesh_evidence, new_public_key, "newPublicKey", 0, &form_public_key_written, "Rotations: the new key."),
	F_FORM(struct mesh_evidence, new_signature, "newSignature", 0, &form_signature_written, "Rotations: the new key's signature."),
};
JSON_MESSAGE(mesh_evidence_message, "Evidence", struct mesh_evidence, evidence_rows);

static const struct json_field snapshot_node_rows[] = {
	F_FORM(struct mesh_snapshot_node, id, "id", JSON_REQUIRED, &form_node_id, "The node's name in the network."),
	F_FORM(struct mesh_snapshot_node, public_key, "publicKey", JSON_REQUIRED, &form_public_key_written, "The node's key now."),
	F_FORM(struct mesh_snapshot_node, status, "status", JSON_REQUIRED, &form_status, "Its status when the snapshot was made."),
	F_OBJECT(struct mesh_snapshot_node, registration, "registration", JSON_REQUIRED, &mesh_evidence_message, "The node's signed registration."),
	F_LIST(struct mesh_snapshot_node, rotations, "rotations", JSON_REQUIRED, 0, &mesh_evidence_message, "Its changes of key, in order."),
	F_OBJECT(struct mesh_snapshot_node, admission, "admission", JSON_REQUIRED, &mesh_evidence_message,
		 "The sovereign's approval, or the invite that a registration used."),
	F_OBJECT(struct mesh_snapshot_node, invite_use, "inviteUse", 0, &mesh_evidence_message, "With an invite: the registration that used it."),
	F_ANY(struct mesh_snapshot_node, details, "details", 0, "Fields of a short registration, which no signature of the node covers."),
};
JSON_MESSAGE(mesh_snapshot_node_message, "SnapshotNode", struct mesh_snapshot_node, snapshot_node_rows);

static const struct json_field snapshot_rows[] = {
	F_TEXT(struct mesh_snapshot, type, "type", JSON_REQUIRED, PLACE_MAX, "Always " MESH_SNAPSHOT_TYPE "."),
	F_FORM(struct mesh_snapshot, network, "network", JSON_REQUIRED, &form_network, "The network."),
	F_FORM(struct mesh_snapshot, coordinator, "coordinator", JSON_REQUIRED, &form_public_key_written, "The coordinator's key."),
	F_COUNT(struct mesh_snapshot, version, "version", JSON_REQUIRED, "Only grows; a reader refuses an older one than it has seen."),
	F_TIME(struct mesh_snapshot, issued, "issued", JSON_REQUIRED, "When it was made."),
	F_TIME(struct mesh_snapshot, expires, "expires", JSON_REQUIRED, "When readers stop to trust it."),
	F_LIST(struct mesh_snapshot, sovereigns, "sovereigns", JSON_REQUIRED, 0, &mesh_evidence_message,
	       "Every signed change of the sovereign keys, in order."),
	F_LIST(struct mesh_snapshot, nodes, "nodes", JSON_REQUIRED, 0, &mesh_snapshot_node_message, "Every active node, ordered by id."),
	F_FORM(struct mesh_snapshot, signature, "signature", JSON_REQUIRED, &form_signature_written,
	       "The coordinator's, over the canonical form less this field."),
};
JSON_MESSAGE(mesh_snapshot_message, "Snapshot", struct mesh_snapshot, snapshot_rows);
