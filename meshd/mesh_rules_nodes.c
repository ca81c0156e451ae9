/* What is said about nodes: registrations, decisions, rotations, expiry. */
#include "mesh_rules_inside.h"

#include <inttypes.h>

#include "base/buf.h"
#include "base/log.h"

static enum verdict_kind applied_to_node(struct verdict *v, enum node_status status, enum mesh_event event, struct str id)
{
	v->status = status;
	return applied(v, str_from(node_status_text(status)), event, id);
}

static bool load_node(struct mesh_state *s, struct str id, struct node_row *row, struct verdict *v)
{
	enum found f = s->ops->node_by_id(s, id, row);
	if (f == FOUND)
		return true;
	if (f == STATE_FAILED)
		failed(v);
	else
		refuse(v, error_set(&v->err, ERR_UNKNOWN_NODE, "no node %.*s is registered", STR_ARG(id)));
	return false;
}

/* After the signature: how much a node has left today is its own affair. */
static bool room_left(struct mesh_state *s, const struct node_row *node, const struct change *c, struct verdict *v)
{
	bool room;
	if (!s->ops->has_room(s, node, c, &room)) {
		failed(v);
		return false;
	}
	if (!room)
		refuse(v, error_set(&v->err, ERR_RATE_LIMITED, "%.*s has changed its registration too often today", STR_ARG(node->id)));
	return room;
}

/* Registration */
static struct str services_text(struct mesh_state *s, const struct mesh_register *r)
{
	struct buf text = {0};
	buf_putc(&text, '[');
	const struct mesh_service *list = r->services.items;
	for (size_t i = 0; i < r->services.count; i++) {
		if (i)
			buf_putc(&text, ',');
		json_write_canonical(&text, &mesh_service_message, &list[i]);
	}
	buf_putc(&text, ']');
	struct str out = arena_copy(s->arena, buf_str(&text));
	buf_free(&text);
	return out;
}

static void take_registration(struct mesh_state *s, const struct change *c, struct node_row *row)
{
	const struct mesh_register *r = &c->statement.registration;
	row->tailscale_hostname = r->tailscale_hostname;
	row->tailscale_ip = r->tailscale_ip;
	row->role = str_present(r->role) ? r->role : STR_LIT("validator");
	row->region = r->region;
	row->provider = r->provider;
	row->latitude = r->latitude;
	row->longitude = r->longitude;
	row->services = services_text(s, r);
	row->registration_entry = s->entry;
	if (c->statement.kind == STATEMENT_REGISTER_FULL)
		row->registration_time = c->statement.timestamp;
}

static bool same_registration(const struct node_row *a, const struct node_row *b)
{
	return str_equal(a->tailscale_hostname, b->tailscale_hostname) && str_equal(a->tailscale_ip, b->tailscale_ip) && str_equal(a->role, b->role) &&
	       str_equal(a->region, b->region) && str_equal(a->provider, b->provider) && str_equal(a->latitude, b->latitude) &&
	       str_equal(a->longitude, b->longitude) && str_equal(a->services, b->services);
}

/*
 * The invite that a registration presents, if it is good for one more use. Whom an invite once admitted and a sovereign then removed is the sovereigns' to decide on: the old use
 * of the invite could be shown again.
 */
static bool load_invite(struct mesh_state *s, const struct mesh_statement *st, struct invite_row *invite, struct verdict *v)
{
	struct removed_row removed;
	enum found was = s->ops->removed(s, st->public_key, &removed);
	enum found f = was == STATE_FAILED ? STATE_FAILED : s->ops->invite(s, st->registration.invite->public_key, invite);
	if (f == STATE_FAILED) {
		failed(v);
		return false;
	}
	const char *why = f == ABSENT                    ? "is not known"
			  : was == FOUND                     ? "does not bring back a key that was removed or given up"
			  : invite->revoked_at != 0          ? "was revoked"
			  : invite->expires <= s->now        ? "has expired"
			  : invite->used >= invite->uses     ? "is used up"
							     : NULL;
	if (!why)
		return true;
	refuse(v, error_set(&v->err, ERR_INVITE_INVALID, "the invite %s", why));
	error_hint(&v->err, "ask a sovereign for a new invite, or register without one and wait for approval");
	return false;
}

static bool use_invite(struct mesh_state *s, struct invite_row *invite, struct node_row *row)
{
	invite->used++;
	row->status = NODE_ACTIVE;
	row->approved_at = s->now;
	row->approved_by = invite->created_by;
	row->invite_key = invite->public_key;
	row->admission_entry = s->entry;
	return s->ops->put_invite(s, invite);
}

static enum verdict_kind register_new(struct mesh_state *s, struct change *c, struct verdict *v)
{
	const struct mesh_statement *st = &c->statement;
	struct node_row other;
	enum found f = s->ops->node_by_key(s, st->public_key, &other);
	if (f == FOUND)
		return refuse(v, error_set(&v->err, ERR_KEY_IN_USE, "this key is registered under another node id"));
	struct removed_row removed;
	enum found was = f == STATE_FAILED ? STATE_FAILED : s->ops->removed(s, st->public_key, &removed);
	if (was == STATE_FAILED)
		return failed(v);
	if (was == FOUND && st->kind == STATEMENT_REGISTER_FULL && st->timestamp <= removed.not_before)
		return refuse(v, error_set(&v->err, ERR_REPLAYED, "this registration is older than the node's removal"));

	struct node_row row = {.id = st->node_id,
			       .public_key = st->public_key,
			       .status = NODE_PENDING,
			       .registered_at = s->now,
			       .admission_entry = NO_ENTRY,
			       .rotations = STR_LIT("[]")};
	take_registration(s, c, &row);
	v->created = true;
	if (st->registration.invite) {
		struct invite_row invite;
		if (!load_invite(s, st, &invite, v))
			return v->kind;
		if (!use_invite(s, &invite, &row))
			return failed(v);
		v->second_event = EVENT_NODE_APPROVED;
	} else {
		int64_t pending;
		if (!s->ops->count_pending(s, &pending))
			return failed(v);
		if (pending >= s->limits.pending_max) {
			refuse(v, error_set(&v->err, ERR_OVERLOADED, "too many registrations are waiting for approval"));
			error_hint(&v->err, "ask a sovereign for an invite, or try again later");
			return v->kind;
		}
	}
	if (!s->ops->put_node(s, NULL, &row))
		return failed(v);
	return applied_to_node(v, row.status, EVENT_NODE_REGISTERED, row.id);
}

static enum verdict_kind register_again(struct mesh_state *s, struct change *c, const struct node_row *before, struct verdict *v)
{
	const struct mesh_statement *st = &c->statement;
	if (!str_equal(before->public_key, st->public_key))
		return refuse(v, error_set(&v->err, ERR_NODE_ID_TAKEN, "this node id is registered with another key"));
	if (st->kind == STATEMENT_REGISTER_FULL && st->timestamp <= before->registration_time)
		return refuse(v, error_set(&v->err, ERR_REPLAYED, "the timestamp is not newer than this node's last registration"));
	struct node_row row = *before;
	take_registration(s, c, &row);
	if (st->kind == STATEMENT_REGISTER_SHORT) {
		/* Whoever saw a short registration can send it again with other addresses: it never replaces what a full one vouched for. */
		if (before->registration_time != 0)
			return refuse(v, error_set(&v->err, ERR_FULL_SIGNATURE_REQUIRED, "this node has registered in the full form; the short form cannot change it"));
		if (same_registration(before, &row)) {
			v->status = before->status;
			v->subject = before->id;
			return v->kind = VERDICT_UNCHANGED;
		}
	}
	if (!room_left(s, before, c, v))
		return v->kind;
	bool admitted_now = false;
	if (st->registration.invite && before->status == NODE_PENDING) {
		struct invite_row invite;
		if (!load_invite(s, st, &invite, v))
			return v->kind;
		if (!use_invite(s, &invite, &row))
			return failed(v);
		admitted_now = true;
	}
	if (!s->ops->put_node(s, before, &row))
		return failed(v);
	applied_to_node(v, row.status, EVENT_NODE_UPDATED, row.id);
	v->outcome = str_from(node_status_text(row.status == NODE_OFFLINE ? NODE_ACTIVE : row.status));
	if (admitted_now)
		v->second_event = EVENT_NODE_APPROVED;
	return v->kind;
}

enum verdict_kind rules_apply_register(struct mesh_state *s, struct change *c, struct verdict *v)
{
	const struct mesh_statement *st = &c->statement;
	if (st->kind == STATEMENT_REGISTER_SHORT && s->limits.require_full) {
		refuse(v, error_set(&v->err, ERR_FULL_SIGNATURE_REQUIRED, "the registration must be signed in the full form, with `timestamp`"));
		error_hint(&v->err, "sign the canonical JSON of the whole body less `signature`");
		return v->kind;
	}
	if (st->kind == STATEMENT_REGISTER_FULL && !rules_timestamp_fine(s, st->timestamp, v))
		return v->kind;
	if (!rules_signatures_fine(s, c, v))
		return v->kind;
	struct node_row before;
	enum found f = s->ops->node_by_id(s, st->node_id, &before);
	if (f == STATE_FAILED)
		return failed(v);
	return f == FOUND ? register_again(s, c, &before, v) : register_new(s, c, v);
}

/* approve, deny, remove, reset */
static bool action_fits(enum mesh_action a, enum node_status s)
{
	switch (a) {
	case MESH_APPROVE:
	case MESH_DENY:
		return s == NODE_PENDING;
	case MESH_RESET:
		return s == NODE_DENIED;
	case MESH_REMOVE:
		return true;
	}
	return false;
}

/* Registrations of this key that were signed until now, recorded with a clock that runs ahead, or void before are void from here on. */
static bool retire_key(struct mesh_state *s, const struct node_row *node)
{
	struct removed_row row = {.not_before = s->now};
	if (s->ops->removed(s, node->public_key, &row) == STATE_FAILED)
		return false;
	if (row.not_before < s->now)
		row.not_before = s->now;
	if (row.not_before < node->registration_time)
		row.not_before = node->registration_time;
	row.public_key = node->public_key;
	row.node_id = node->id;
	return s->ops->put_removed(s, &row);
}

static enum verdict_kind decide(struct mesh_state *s, const struct change *c, const struct node_row *node, struct verdict *v)
{
	enum mesh_action action = c->statement.action;
	if (!action_fits(action, node->status))
		return consumed(v, error_set(&v->err, ERR_WRONG_STATE, "the node %.*s is %s: it cannot be %s", STR_ARG(node->id), node_status_text(node->status),
					     action == MESH_APPROVE ? "approved" : action == MESH_DENY ? "denied" : "reset"));
	struct node_row row = *node;
	switch (action) {
	case MESH_APPROVE:
		row.status = NODE_ACTIVE;
		row.approved_at = s->now;
		row.approved_by = c->public_key;
		row.admission_entry = s->entry;
		if (!s->ops->put_node(s, node, &row))
			return failed(v);
		return applied_to_node(v, NODE_ACTIVE, EVENT_NODE_APPROVED, node->id);
	case MESH_DENY:
		row.status = NODE_DENIED;
		if (!s->ops->put_node(s, node, &row))
			return failed(v);
		return applied_to_node(v, NODE_DENIED, EVENT_NODE_DENIED, node->id);
	case MESH_RESET:
		row.status = NODE_PENDING;
		if (!s->ops->put_node(s, node, &row))
			return failed(v);
		return applied_to_node(v, NODE_PENDING, EVENT_NODE_RESET, node->id);
	case MESH_REMOVE: {
		if (!retire_key(s, node) || !s->ops->delete_node(s, node))
			return failed(v);
		v->status = node->status;
		return applied(v, STR_LIT("removed"), EVENT_NODE_REMOVED, node->id);
	}
	}
	fatal("action %d", (int)action);
}

enum verdict_kind rules_apply_decision(struct mesh_state *s, struct change *c, struct verdict *v)
{
	struct mesh_statement *st = &c->statement;
	struct sovereign_row by;
	struct node_row node;
	if (!rules_load_sovereign(s, c->public_key, &by, v))
		return v->kind;
	if (st->kind == STATEMENT_DECISION_OLD && !s->limits.dev)
		return refuse(v, error_set(&v->err, ERR_MISSING_FIELD, "`timestamp` is missing"));
	if (st->kind == STATEMENT_DECISION && !rules_timestamp_fine(s, st->timestamp, v))
		return v->kind;
	if (!load_node(s, st->node_id, &node, v))
		return v->kind;
	/* A live request does not say which key it means: the one that is registered now. A log entry does. */
	if (!str_present(st->public_key))
		st->public_key = node.public_key;
	else if (st->kind == STATEMENT_DECISION && !str_equal(st->public_key, node.public_key))
		return refuse(v, error_set(&v->err, ERR_BAD_SIGNATURE, "the statement names another key than the node's"));
	if (!rules_signatures_fine(s, c, v))
		return v->kind;
	if (st->kind == STATEMENT_DECISION && !rules_use_timestamp(s, &by, st->timestamp, v))
		return v->kind;
	return decide(s, c, &node, v);
}

/* A node's own key */
static size_t rotation_count(const struct node_row *n)
{
	size_t count = n->rotations.n > 2; /* "[]" has none, "[3,7]" one more than commas */
	for (size_t i = 0; i < n->rotations.n; i++)
		count += n->rotations.p[i] == ',';
	return count;
}

enum verdict_kind rules_apply_node_rotate(struct mesh_state *s, struct change *c, struct verdict *v)
{
	struct mesh_statement *st = &c->statement;
	struct node_row node, other;
	if (!rules_timestamp_fine(s, st->timestamp, v) || !load_node(s, st->node_id, &node, v))
		return v->kind;
	if (!str_present(st->public_key))
		st->public_key = c->public_key = node.public_key;
	else if (!str_equal(st->public_key, node.public_key))
		return refuse(v, error_set(&v->err, ERR_BAD_SIGNATURE, "the statement names another key than the node's"));
	if (!rules_signatures_fine(s, c, v))
		return v->kind;
	if (st->timestamp <= node.registration_time)
		return refuse(v, error_set(&v->err, ERR_REPLAYED, "the timestamp is not newer than this node's last registration or rotation"));
	if (node.status == NODE_DENIED)
		return refuse(v, error_set(&v->err, ERR_WRONG_STATE, "the node %.*s is denied: its key cannot be rotated", STR_ARG(node.id)));
	if (rotation_count(&node) >= MESH_ROTATIONS_MAX) {
		refuse(v, error_set(&v->err, ERR_REFUSED, "the key of %.*s was rotated %d times", STR_ARG(node.id), MESH_ROTATIONS_MAX));
		error_hint(&v->err, "have a sovereign remove the node, and register it anew");
		return v->kind;
	}
	enum found f = s->ops->node_by_key(s, st->new_key, &other);
	if (f == FOUND)
		return refuse(v, error_set(&v->err, ERR_KEY_IN_USE, "the new key is registered already"));
	if (f == ABSENT && !room_left(s, &node, c, v))
		return v->kind;
	struct node_row row = node;
	row.public_key = st->new_key;
	row.registration_time = st->timestamp;
	row.rotations = arena_printf(s->arena, "%.*s%s%" PRId64 "]", (int)node.rotations.n - 1, node.rotations.p, node.rotations.n > 2 ? "," : "", s->entry);
	if (f == STATE_FAILED || !retire_key(s, &node) || !s->ops->put_node(s, &node, &row))
		return failed(v);
	applied_to_node(v, node.status, EVENT_NODE_ROTATED, node.id);
	v->outcome = str_from(node_status_text(node.status == NODE_OFFLINE ? NODE_ACTIVE : node.status));
	return v->kind;
}

enum verdict_kind rules_apply_expire(struct mesh_state *s, struct change *c, struct verdict *v)
{
	const struct mesh_statement *st = &c->statement;
	struct node_row node;
	if (!rules_coordinator_speaks(s, c, v) || !load_node(s, st->node_id, &node, v))
		return v->kind;
	if (node.status != NODE_PENDING || !str_equal(node.public_key, st->public_key) || st->timestamp <= node.registered_at)
		return refuse(v, error_set(&v->err, ERR_WRONG_STATE, "only a pending registration expires"));
	if (!s->ops->delete_node(s, &node))
		return failed(v);
	return applied(v, STR_LIT("expired"), EVENT_NODE_EXPIRED, node.id);
}
