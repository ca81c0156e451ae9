#include "mesh_replay.h"

#include <stdlib.h>

#include "base/mem.h"

/* Where the texts of a row are. The first member of every row is its key. */
struct shape {
	size_t size, count;
	const size_t *texts;
};
#define SHAPE(S, list) {.size = sizeof(S), .count = ARRAY_LEN(list), .texts = (list)}
#define AT(member) offsetof(struct node_row, member)
static const size_t node_texts[] = {AT(id),     AT(public_key), AT(role),      AT(tailscale_hostname), AT(tailscale_ip), AT(region),    AT(provider),
				    AT(latitude), AT(longitude),  AT(services),  AT(approved_by),        AT(invite_key),   AT(rotations)};
static const size_t sovereign_texts[] = {offsetof(struct sovereign_row, public_key), offsetof(struct sovereign_row, description),
					 offsetof(struct sovereign_row, added_by)};
static const size_t invite_texts[] = {offsetof(struct invite_row, public_key), offsetof(struct invite_row, created_by)};
static const size_t removed_texts[] = {offsetof(struct removed_row, public_key), offsetof(struct removed_row, node_id)};
static const struct shape node_shape = SHAPE(struct node_row, node_texts), sovereign_shape = SHAPE(struct sovereign_row, sovereign_texts),
			  invite_shape = SHAPE(struct invite_row, invite_texts), removed_shape = SHAPE(struct removed_row, removed_texts);

static struct str text_at(const void *row, size_t offset)
{
	struct str s;
	memcpy(&s, (const char *)row + offset, sizeof(s));
	return s;
}

static size_t texts_length(const struct shape *shape, const void *row)
{
	size_t n = 0;
	for (size_t i = 0; i < shape->count; i++)
		n += text_at(row, shape->texts[i]).n;
	return n;
}

/* Copies the row to `to`, its texts to `place`, which has room for texts_length bytes. */
static void copy_row(const struct shape *shape, void *to, char *place, const void *row)
{
	memcpy(to, row, shape->size);
	for (size_t i = 0; i < shape->count; i++) {
		struct str s = text_at(row, shape->texts[i]);
		if (!str_present(s))
			continue;
		memcpy(place, s.p, s.n);
		s.p = place;
		place += s.n;
		memcpy((char *)to + shape->texts[i], &s, sizeof(s));
	}
}

static struct replay_state *replay(struct mesh_state *s)
{
	return (struct replay_state *)s;
}

/* What is handed out is a copy: the row itself may be replaced while the rules still look at it. */
static enum found find(struct mesh_state *s, const struct strmap *map, const struct shape *shape, struct str key, void *out)
{
	const void *row = strmap_get(map, key);
	if (!row)
		return ABSENT;
	copy_row(shape, out, arena_alloc(s->arena, texts_length(shape, row)), row);
	return FOUND;
}

/* The row as it is kept from now on; the one that it replaces stays the caller's to free. */
static void *keep(struct strmap *map, const struct shape *shape, const void *row)
{
	char *kept = xmalloc(shape->size + texts_length(shape, row));
	copy_row(shape, kept, kept + shape->size, row);
	strmap_put(map, text_at(kept, 0), kept);
	return kept;
}

static void replace(struct strmap *map, const struct shape *shape, const void *row)
{
	void *old = strmap_get(map, text_at(row, 0));
	keep(map, shape, row);
	free(old);
}

static enum found node_by_id(struct mesh_state *s, struct str id, struct node_row *out)
{
	return find(s, &replay(s)->nodes, &node_shape, id, out);
}
static enum found node_by_key(struct mesh_state *s, struct str key, struct node_row *out)
{
	return find(s, &replay(s)->node_keys, &node_shape, key, out);
}
static enum found sovereign(struct mesh_state *s, struct str key, struct sovereign_row *out)
{
	return find(s, &replay(s)->sovereigns, &sovereign_shape, key, out);
}
static enum found invite(struct mesh_state *s, struct str key, struct invite_row *out)
{
	return find(s, &replay(s)->invites, &invite_shape, key, out);
}
static enum found removed(struct mesh_state *s, struct str key, struct removed_row *out)
{
	return find(s, &replay(s)->removed, &removed_shape, key, out);
}
static bool count_sovereigns(struct mesh_state *s, int64_t *in_force)
{
	*in_force = replay(s)->sovereigns_in_force;
	return true;
}
static bool sovereign_has_spoken(struct mesh_state *s, bool *spoken)
{
	*spoken = replay(s)->sovereign_has_spoken;
	return true;
}
static bool count_pending(struct mesh_state *s, int64_t *pending)
{
	*pending = replay(s)->pending;
	return true;
}
static bool has_room(struct mesh_state *s, const struct node_row *node, const struct change *c, bool *room)
{
	(void)s, (void)node, (void)c;
	return *room = true;
}

static void forget_node(struct replay_state *r, struct node_row *row)
{
	strmap_remove(&r->node_keys, row->public_key);
	r->pending -= row->status == NODE_PENDING;
	free(row);
}

static bool put_node(struct mesh_state *s, const struct node_row *before, const struct node_row *after)
{
	struct replay_state *r = replay(s);
	struct node_row *old = before ? strmap_get(&r->nodes, before->id) : NULL;
	struct node_row *row = keep(&r->nodes, &node_shape, after);
	if (old)
		forget_node(r, old);
	strmap_put(&r->node_keys, row->public_key, row);
	r->pending += row->status == NODE_PENDING;
	return true;
}
static bool delete_node(struct mesh_state *s, const struct node_row *node)
{
	struct replay_state *r = replay(s);
	forget_node(r, strmap_remove(&r->nodes, node->id));
	return true;
}
static bool put_sovereign(struct mesh_state *s, const struct sovereign_row *row)
{
	struct replay_state *r = replay(s);
	const struct sovereign_row *old = strmap_get(&r->sovereigns, row->public_key);
	r->sovereigns_in_force += (row->removed_at == 0) - (old && old->removed_at == 0);
	r->sovereign_has_spoken |= row->last_timestamp > 0;
	replace(&r->sovereigns, &sovereign_shape, row);
	return true;
}
static bool put_invite(struct mesh_state *s, const struct invite_row *row)
{
	replace(&replay(s)->invites, &invite_shape, row);
	return true;
}
static bool put_removed(struct mesh_state *s, const struct removed_row *row)
{
	replace(&replay(s)->removed, &removed_shape, row);
	return true;
}

static const struct mesh_state_ops replay_ops = {
	.node_by_id = node_by_id,
	.node_by_key = node_by_key,
	.sovereign = sovereign,
	.invite = invite,
	.removed = removed,
	.count_sovereigns = count_sovereigns,
	.sovereign_has_spoken = sovereign_has_spoken,
	.count_pending = count_pending,
	.has_room = has_room,
	.put_node = put_node,
	.delete_node = delete_node,
	.put_sovereign = put_sovereign,
	.put_invite = put_invite,
	.put_removed = put_removed,
};

void replay_init(struct replay_state *r, struct str network, struct str coordinator_key)
{
	*r = (struct replay_state){.state = {.ops = &replay_ops, .network = network, .coordinator_key = coordinator_key}};
	arena_init(&r->scratch);
	r->state.arena = &r->scratch;
	r->state.limits = (struct mesh_limits){.pending_max = INT64_MAX, .require_full = false, .dev = true};
}

void replay_forget(struct replay_state *r)
{
	arena_free(&r->scratch);
}

static void free_rows(struct strmap *map)
{
	size_t at = 0;
	for (void *row; (row = strmap_next(map, &at));)
		free(row);
	strmap_free(map);
}

void replay_free(struct replay_state *r)
{
	strmap_free(&r->node_keys);
	free_rows(&r->nodes);
	free_rows(&r->sovereigns);
	free_rows(&r->invites);
	free_rows(&r->removed);
	replay_forget(r);
}
