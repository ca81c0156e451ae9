#include "mesh_replay.h"

static struct replay_state *replay(struct mesh_state *s)
{
	return (struct replay_state *)s;
}

static enum found node_in(const struct strmap *map, struct str key, struct node_row *out)
{
	const struct node_row *row = strmap_get(map, key);
	if (!row)
		return ABSENT;
	*out = *row;
	return FOUND;
}
static enum found node_by_id(struct mesh_state *s, struct str id, struct node_row *out)
{
	return node_in(&replay(s)->nodes, id, out);
}
static enum found node_by_key(struct mesh_state *s, struct str key, struct node_row *out)
{
	return node_in(&replay(s)->node_keys, key, out);
}
static enum found sovereign(struct mesh_state *s, struct str key, struct sovereign_row *out)
{
	const struct sovereign_row *row = strmap_get(&replay(s)->sovereigns, key);
	if (!row)
		return ABSENT;
	*out = *row;
	return FOUND;
}
static enum found invite(struct mesh_state *s, struct str key, struct invite_row *out)
{
	const struct invite_row *row = strmap_get(&replay(s)->invites, key);
	if (!row)
		return ABSENT;
	*out = *row;
	return FOUND;
}
static enum found removed(struct mesh_state *s, struct str key, struct removed_row *out)
{
	const struct removed_row *row = strmap_get(&replay(s)->removed, key);
	if (!row)
		return ABSENT;
	*out = *row;
	return FOUND;
}
static bool count_sovereigns(struct mesh_state *s, int64_t *in_force)
{
	*in_force = replay(s)->sovereigns_in_force;
	return true;
}
static bool count_pending(struct mesh_state *s, int64_t *pending)
{
	*pending = replay(s)->pending;
	return true;
}

/* The rows' texts live in the arena that mesh_apply was given, which is this state's own. */
static bool put_node(struct mesh_state *s, const struct node_row *before, const struct node_row *after)
{
	struct replay_state *r = replay(s);
	struct node_row *row = before ? strmap_get(&r->nodes, before->id) : arena_alloc(&r->arena, sizeof(*row));
	if (before) {
		strmap_remove(&r->node_keys, before->public_key);
		r->pending -= before->status == NODE_PENDING;
	}
	*row = *after;
	r->pending += after->status == NODE_PENDING;
	strmap_put(&r->nodes, row->id, row);
	strmap_put(&r->node_keys, row->public_key, row);
	return true;
}
static bool delete_node(struct mesh_state *s, const struct node_row *node)
{
	struct replay_state *r = replay(s);
	strmap_remove(&r->nodes, node->id);
	strmap_remove(&r->node_keys, node->public_key);
	r->pending -= node->status == NODE_PENDING;
	return true;
}
static bool put_sovereign(struct mesh_state *s, const struct sovereign_row *in)
{
	struct replay_state *r = replay(s);
	struct sovereign_row *row = strmap_get(&r->sovereigns, in->public_key);
	r->sovereigns_in_force += (in->removed_at == 0) - (row && row->removed_at == 0);
	if (!row)
		row = arena_alloc(&r->arena, sizeof(*row));
	*row = *in;
	strmap_put(&r->sovereigns, row->public_key, row);
	return true;
}
static bool put_invite(struct mesh_state *s, const struct invite_row *in)
{
	struct replay_state *r = replay(s);
	struct invite_row *row = strmap_get(&r->invites, in->public_key);
	if (!row)
		row = arena_alloc(&r->arena, sizeof(*row));
	*row = *in;
	strmap_put(&r->invites, row->public_key, row);
	return true;
}
static bool put_removed(struct mesh_state *s, const struct removed_row *in)
{
	struct replay_state *r = replay(s);
	struct removed_row *row = strmap_get(&r->removed, in->public_key);
	if (!row)
		row = arena_alloc(&r->arena, sizeof(*row));
	*row = *in;
	strmap_put(&r->removed, row->public_key, row);
	return true;
}

static const struct mesh_state_ops replay_ops = {
	.node_by_id = node_by_id,
	.node_by_key = node_by_key,
	.sovereign = sovereign,
	.invite = invite,
	.removed = removed,
	.count_sovereigns = count_sovereigns,
	.count_pending = count_pending,
	.put_node = put_node,
	.delete_node = delete_node,
	.put_sovereign = put_sovereign,
	.put_invite = put_invite,
	.put_removed = put_removed,
};

void replay_init(struct replay_state *r, struct str network, struct str coordinator_key)
{
	*r = (struct replay_state){.state = {.ops = &replay_ops, .network = network, .coordinator_key = coordinator_key}};
	arena_init(&r->arena);
	r->state.arena = &r->arena;
	r->state.limits = (struct mesh_limits){.clock_skew_ms = INT64_MAX, .pending_max = INT64_MAX, .require_full = false, .dev = true};
}

void replay_free(struct replay_state *r)
{
	strmap_free(&r->nodes);
	strmap_free(&r->node_keys);
	strmap_free(&r->sovereigns);
	strmap_free(&r->invites);
	strmap_free(&r->removed);
	arena_free(&r->arena);
}
