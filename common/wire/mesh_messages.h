/*
 * The texts that mesh's keys sign, and their parts (docs/protocol.md, "Signed messages of mesh"). Makers and checkers use the same
 * functions, so a message has one spelling.
 * All are tagged with what they do and the network they do it in; keys are in their written form.
 */
#ifndef TANA_WIRE_MESH_MESSAGES_H
#define TANA_WIRE_MESH_MESSAGES_H

#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

enum { MESH_NETWORK_MAX = 64, MESH_MESSAGE_MAX = 1024 };

enum mesh_action { MESH_APPROVE, MESH_DENY, MESH_REMOVE, MESH_RESET };
/* "approve", "deny", "remove", "reset". */
const char *mesh_action_text(enum mesh_action a);

/* tana-mesh:<network>:<action>:<nodeId>:<node's publicKey>:<timestamp> */
void mesh_message_decision(struct buf *out, struct str network, enum mesh_action a, struct str node_id, struct str public_key, int64_t timestamp);
/* approve:<nodeId> : the older form, under --dev only */
void mesh_message_decision_old(struct buf *out, enum mesh_action a, struct str node_id);
/* heartbeat:<nodeId>:<timestamp> */
void mesh_message_heartbeat(struct buf *out, struct str node_id, int64_t timestamp);
/* {"nodeId":..,"publicKey":..,"tailscaleHostname":..}, exactly these keys in this order, no blanks */
void mesh_message_register_short(struct buf *out, struct str node_id, struct str public_key, struct str tailscale_hostname);
/* tana-mesh:<network>:sovereign-add:<publicKey>:<timestamp> */
void mesh_message_sovereign_add(struct buf *out, struct str network, struct str public_key, int64_t timestamp);
void mesh_message_sovereign_remove(struct buf *out, struct str network, struct str public_key, int64_t timestamp);
/* tana-mesh:<network>:sovereign-rotate:<old>:<new>:<timestamp> */
void mesh_message_sovereign_rotate(struct buf *out, struct str network, struct str old_key, struct str new_key, int64_t timestamp);
/* tana-mesh:<network>:node-rotate:<nodeId>:<old>:<new>:<timestamp> */
void mesh_message_node_rotate(struct buf *out, struct str network, struct str node_id, struct str old_key, struct str new_key, int64_t timestamp);
/* tana-mesh:<network>:invite:<invitePublicKey>:<uses>:<expires>:<timestamp> */
void mesh_message_invite(struct buf *out, struct str network, struct str invite_key, int64_t uses, int64_t expires, int64_t timestamp);
/* tana-mesh:<network>:invite-revoke:<invitePublicKey>:<timestamp> */
void mesh_message_invite_revoke(struct buf *out, struct str network, struct str invite_key, int64_t timestamp);
/* tana-mesh:<network>:invite-use:<nodeId>:<publicKey> */
void mesh_message_invite_use(struct buf *out, struct str network, struct str node_id, struct str public_key);
/* Signed by the coordinator's own key, for changes that no other key signs:
 * tana-mesh:<network>:sovereign-init:<publicKey>:<timestamp>, tana-mesh:<network>:expire:<nodeId>:<publicKey>:<timestamp> */
void mesh_message_sovereign_init(struct buf *out, struct str network, struct str public_key, int64_t timestamp);
void mesh_message_expire(struct buf *out, struct str network, struct str node_id, struct str public_key, int64_t timestamp);

#endif
