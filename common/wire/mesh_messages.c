#include "wire/mesh_messages.h"

/* "tana-mesh:<network>:<what>" */
static void begin(struct buf *out, struct str network, const char *what)
{
	buf_puts(out, "tana-mesh:");
	buf_put_str(out, network);
	buf_putc(out, ':');
	buf_puts(out, what);
}

static void part(struct buf *out, struct str s)
{
	buf_putc(out, ':');
	buf_put_str(out, s);
}

static void part_int(struct buf *out, int64_t v)
{
	buf_putc(out, ':');
	buf_put_int(out, v);
}

const char *mesh_action_text(enum mesh_action a)
{
	switch (a) {
	case MESH_APPROVE:
		return "approve";
	case MESH_DENY:
		return "deny";
	case MESH_REMOVE:
		return "remove";
	case MESH_RESET:
		return "reset";
	}
	return "";
}

void mesh_message_decision(struct buf *out, struct str network, enum mesh_action a, struct str node_id, struct str public_key, int64_t timestamp)
{
	begin(out, network, mesh_action_text(a));
	part(out, node_id);
	part(out, public_key);
	part_int(out, timestamp);
}

void mesh_message_decision_old(struct buf *out, enum mesh_action a, struct str node_id)
{
	buf_puts(out, mesh_action_text(a));
	part(out, node_id);
}

void mesh_message_heartbeat(struct buf *out, struct str node_id, int64_t timestamp)
{
	buf_puts(out, "heartbeat");
	part(out, node_id);
	part_int(out, timestamp);
}

void mesh_message_register_short(struct buf *out, struct str node_id, struct str public_key, struct str tailscale_hostname)
{
	buf_puts(out, "{\"nodeId\":");
	buf_put_json_string(out, node_id);
	buf_puts(out, ",\"publicKey\":");
	buf_put_json_string(out, public_key);
	buf_puts(out, ",\"tailscaleHostname\":");
	buf_put_json_string(out, tailscale_hostname);
	buf_putc(out, '}');
}

void mesh_message_sovereign_add(struct buf *out, struct str network, struct str public_key, int64_t timestamp)
{
	begin(out, network, "sovereign-add");
	part(out, public_key);
	part_int(out, timestamp);
}

void mesh_message_sovereign_remove(struct buf *out, struct str network, struct str public_key, int64_t timestamp)
{
	begin(out, network, "sovereign-remove");
	part(out, public_key);
	part_int(out, timestamp);
}

void mesh_message_sovereign_rotate(struct buf *out, struct str network, struct str old_key, struct str new_key, int64_t timestamp)
{
	begin(out, network, "sovereign-rotate");
	part(out, old_key);
	part(out, new_key);
	part_int(out, timestamp);
}

void mesh_message_node_rotate(struct buf *out, struct str network, struct str node_id, struct str old_key, struct str new_key, int64_t timestamp)
{
	begin(out, network, "node-rotate");
	part(out, node_id);
	part(out, old_key);
	part(out, new_key);
	part_int(out, timestamp);
}

void mesh_message_invite(struct buf *out, struct str network, struct str invite_key, int64_t uses, int64_t expires, int64_t timestamp)
{
	begin(out, network, "invite");
	part(out, invite_key);
	part_int(out, uses);
	part_int(out, expires);
	part_int(out, timestamp);
}

void mesh_message_invite_revoke(struct buf *out, struct str network, struct str invite_key, int64_t timestamp)
{
	begin(out, network, "invite-revoke");
	part(out, invite_key);
	part_int(out, timestamp);
}

void mesh_message_invite_use(struct buf *out, struct str network, struct str node_id, struct str public_key)
{
	begin(out, network, "invite-use");
	part(out, node_id);
	part(out, public_key);
}

void mesh_message_sovereign_init(struct buf *out, struct str network, struct str public_key, int64_t timestamp)
{
	begin(out, network, "sovereign-init");
	part(out, public_key);
	part_int(out, timestamp);
}

void mesh_message_expire(struct buf *out, struct str network, struct str node_id, struct str public_key, int64_t timestamp)
{
	begin(out, network, "expire");
	part(out, node_id);
	part(out, public_key);
	part_int(out, timestamp);
}
