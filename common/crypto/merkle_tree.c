#include "merkle_tree.h"

#include <stdlib.h>

#include "base/mem.h"
#include "merkle_tree_inside.h"

static const struct hash empty_subtree; /* 32 zero bytes */

struct merkle_tree *merkle_tree_new(void)
{
	struct merkle_tree *t = xcalloc(1, sizeof(*t));
	t->entries.item_size = sizeof(struct merkle_map_entry);
	t->nodes.item_size = sizeof(struct tree_node);
	t->hashes.item_size = sizeof(struct hash);
	return t;
}

void merkle_tree_free(struct merkle_tree *t)
{
	if (!t)
		return;
	tree_pool_clear(&t->entries);
	tree_pool_clear(&t->nodes);
	tree_pool_clear(&t->hashes);
	free(t);
}

size_t merkle_tree_count(const struct merkle_tree *t)
{
	return t->count;
}

static size_t pool_bytes(const struct tree_pool *p)
{
	return p->block_count * TREE_BLOCK * p->item_size + p->block_room * sizeof(*p->blocks);
}

size_t merkle_tree_bytes(const struct merkle_tree *t)
{
	return sizeof(*t) + pool_bytes(&t->entries) + pool_bytes(&t->nodes) + pool_bytes(&t->hashes);
}

void merkle_tree_root(const struct merkle_tree *t, struct hash *out)
{
	invariant(!t->loading);
	if (t->root == 0)
		*out = empty_subtree;
	else
		tree_child_hash(t, t->root, out);
}

bool merkle_tree_find(const struct merkle_tree *t, const struct hash *path, struct hash *value_hash)
{
	invariant(!t->loading);
	tree_ref at = t->root;
	while (tree_is_node(at)) {
		const struct tree_node *n = tree_node(t, at);
		at = n->child[tree_path_bit(path, n->bit)];
	}
	if (at == 0 || !hash_equal(&tree_entry(t, at)->path, path))
		return false;
	*value_hash = tree_entry(t, at)->value_hash;
	return true;
}

/* Goes down one node from level `depth`; returns the level it came to, having noted the sibling of each level it passed. */
static unsigned prove_node(const struct merkle_tree *t, tree_ref *at, unsigned depth, const struct hash *path, struct hash *siblings)
{
	const struct tree_node *n = tree_node(t, *at);
	unsigned parts = depth < n->bit ? tree_paths_part(path, tree_path_below(t, *at)) : n->bit;
	for (; depth < n->bit && depth < parts; depth++)
		siblings[depth] = empty_subtree;
	if (depth < n->bit) { /* the path leaves where nothing else does: all that is here is its sibling */
		tree_hash_at(t, *at, depth + 1, &siblings[depth]);
		*at = 0;
	} else {
		bool side = tree_path_bit(path, depth);
		tree_child_hash(t, n->child[!side], &siblings[depth]);
		*at = n->child[side];
	}
	return depth + 1;
}

bool merkle_tree_prove(const struct merkle_tree *t, const struct hash *path, struct merkle_map_proof *out)
{
	invariant(!t->loading);
	unsigned depth = 0;
	tree_ref at = t->root;
	while (tree_is_node(at))
		depth = prove_node(t, &at, depth, path, out->siblings);
	for (unsigned i = 0; i < depth / 2; i++) {
		struct hash h = out->siblings[i];
		out->siblings[i] = out->siblings[depth - 1 - i];
		out->siblings[depth - 1 - i] = h;
	}
	out->count = depth;
	const struct merkle_map_entry *e = at == 0 ? NULL : tree_entry(t, at);
	bool present = e && hash_equal(&e->path, path);
	out->has_other = e && !present;
	out->other = out->has_other ? *e : (struct merkle_map_entry){.path = empty_subtree};
	return present;
}

/* ---- a batch ---- */

enum { FEW_ITEMS = 64 };

struct batch {
	struct merkle_tree *t;
	const struct merkle_tree_change *changes;
	struct merkle_tree_change *undo;
	struct tree_item *items; /* the changes by path; their numbers are places in `changes` and `undo` */
	struct tree_hashing *hashing;
};

static void note_undo(const struct batch *b, uint32_t number, const struct merkle_map_entry *was)
{
	if (!b->undo)
		return;
	b->undo[number] = (struct merkle_tree_change){.path = b->changes[number].path, .present = was != NULL};
	if (was)
		b->undo[number].value_hash = was->value_hash;
}

static void mark_dirty(const struct merkle_tree *t, tree_ref at)
{
	if (tree_is_node(at))
		tree_node(t, at)->dirty = 1;
}

/* A change of what is not there. */
static tree_ref insert_entry(const struct batch *b, uint32_t number)
{
	const struct merkle_tree_change *c = &b->changes[number];
	note_undo(b, number, NULL);
	if (!c->present)
		return 0;
	uint32_t entry = tree_entry_take(b->t);
	*tree_entry(b->t, entry) = (struct merkle_map_entry){.path = c->path, .value_hash = c->value_hash};
	b->t->count++;
	return entry | TREE_LEAF;
}

/* A change of what is there. */
static tree_ref change_entry(const struct batch *b, uint32_t number, tree_ref at, bool *changed)
{
	const struct merkle_tree_change *c = &b->changes[number];
	struct merkle_map_entry *e = tree_entry(b->t, at);
	note_undo(b, number, e);
	if (!c->present) {
		tree_pool_put_back(&b->t->entries, at & ~TREE_LEAF);
		b->t->count--;
		*changed = true;
		return 0;
	}
	if (!hash_equal(&e->value_hash, &c->value_hash)) {
		e->value_hash = c->value_hash;
		*changed = true;
	}
	return at;
}

/* A node for two sides that had none; with an empty side there is nothing to part. What is below has a new top. */
static tree_ref join(struct merkle_tree *t, unsigned bit, tree_ref left, tree_ref right)
{
	if (left == 0 || right == 0)
		return left ? left : right;
	mark_dirty(t, left);
	mark_dirty(t, right);
	tree_ref at = tree_node_take(t);
	struct tree_node *n = tree_node(t, at);
	n->child[0] = left;
	n->child[1] = right;
	n->bit = (uint8_t)bit;
	n->dirty = 1;
	return at;
}

/* New sides of a node that is there. When one is empty the node goes, and the other side rises: it has a new top. */
static tree_ref rejoin(struct merkle_tree *t, tree_ref at, tree_ref left, tree_ref right)
{
	if (left == 0 || right == 0) {
		tree_pool_put_back(&t->nodes, at);
		mark_dirty(t, left ? left : right);
		return left ? left : right;
	}
	struct tree_node *n = tree_node(t, at);
	n->child[0] = left;
	n->child[1] = right;
	n->dirty = 1;
	return at;
}

/* The items from..to at an empty place. */
static tree_ref insert(const struct batch *b, size_t from, size_t to)
{
	if (to - from == 1)
		return insert_entry(b, b->items[from].number);
	unsigned bit = tree_paths_part(b->items[from].path, b->items[to - 1].path);
	size_t middle = tree_items_split(b->items, from, to, bit);
	tree_ref left = insert(b, from, middle), right = insert(b, middle, to);
	return join(b->t, bit, left, right);
}

/*
 * Goes down to all of a few items at once, only to have what update() and the hashing will touch on its way from memory: one after the other they
 * would wait for each step.
 */
static void fetch(const struct batch *b, tree_ref at, size_t from, size_t to)
{
	const struct merkle_tree *t = b->t;
	tree_ref places[FEW_ITEMS];
	size_t n = to - from;
	for (size_t i = 0; i < n; i++)
		places[i] = at;
	for (bool moved = tree_is_node(at); moved;) {
		moved = false;
		for (size_t i = 0; i < n; i++) {
			if (!tree_is_node(places[i]))
				continue;
			const struct tree_node *node = tree_node(t, places[i]);
			bool side = tree_path_bit(b->items[from + i].path, node->bit);
			__builtin_prefetch(tree_hash(t, places[i]), 1);
			if (tree_is_node(node->child[!side]))
				__builtin_prefetch(tree_hash(t, node->child[!side]));
			places[i] = node->child[side];
			__builtin_prefetch(tree_is_node(places[i]) ? (const void *)tree_node(t, places[i]) : tree_entry(t, places[i]));
			moved = true;
		}
	}
}

static tree_ref update(const struct batch *b, tree_ref at, unsigned top, size_t from, size_t to, bool *changed);

/*
 * One side of a node. Where a large batch has come down to few items, what they changed is hashed while it is in the cache. Should it rise later it
 * is marked anew.
 */
static tree_ref update_side(const struct batch *b, tree_ref at, unsigned top, size_t from, size_t to, bool large, bool *changed)
{
	bool few_now = large && to - from <= FEW_ITEMS;
	if (few_now)
		fetch(b, at, from, to);
	at = update(b, at, top, from, to, changed);
	if (few_now)
		tree_hash_dirty(b->t, b->hashing, at, top);
	return at;
}

/*
 * The items from..to at a place whose level is `top`. All agree with its paths in the bits above. Returns what stands there afterwards, sets
 * *changed when its hash may be another.
 */
static tree_ref update(const struct batch *b, tree_ref at, unsigned top, size_t from, size_t to, bool *changed)
{
	if (from == to)
		return at;
	if (at == 0) {
		at = insert(b, from, to);
		*changed |= at != 0;
		return at;
	}
	unsigned bit = at & TREE_LEAF ? MERKLE_MAP_DEPTH : tree_node(b->t, at)->bit, parts = bit;
	const struct hash *path = NULL;
	if (bit > top) {
		path = tree_path_below(b->t, at);
		unsigned first = tree_paths_part(b->items[from].path, path), last = tree_paths_part(b->items[to - 1].path, path);
		parts = first < parts ? first : parts;
		parts = last < parts ? last : parts;
	}
	if (parts == MERKLE_MAP_DEPTH)
		return change_entry(b, b->items[from].number, at, changed);
	size_t middle = tree_items_split(b->items, from, to, parts);
	if (parts < bit) { /* above this node some items leave to where nothing is yet */
		bool side = tree_path_bit(path, parts);
		tree_ref stays = side ? update(b, at, parts + 1, middle, to, changed) : update(b, at, parts + 1, from, middle, changed);
		tree_ref fresh = side ? insert(b, from, middle) : insert(b, middle, to);
		*changed |= fresh != 0;
		return side ? join(b->t, parts, fresh, stays) : join(b->t, parts, stays, fresh);
	}
	const struct tree_node *n = tree_node(b->t, at);
	bool below = false;
	if (tree_is_node(n->child[1])) {
		__builtin_prefetch(tree_node(b->t, n->child[1]));
		__builtin_prefetch(tree_hash(b->t, n->child[1]));
	}
	if (tree_is_node(n->child[0]))
		__builtin_prefetch(tree_hash(b->t, n->child[0]));
	bool large = to - from > FEW_ITEMS;
	tree_ref left = update_side(b, n->child[0], bit + 1, from, middle, large, &below);
	tree_ref right = update_side(b, n->child[1], bit + 1, middle, to, large, &below);
	*changed |= below;
	return below ? rejoin(b->t, at, left, right) : at;
}

void merkle_tree_apply(struct merkle_tree *t, const struct merkle_tree_change *changes, size_t n, struct merkle_tree_change *undo)
{
	invariant(!t->loading && changes != undo);
	invariant(n < TREE_LEAF);
	if (n == 0)
		return;
	struct batch b = {.t = t, .changes = changes, .undo = undo, .items = xmalloc(n * sizeof(*b.items))};
	for (size_t i = 0; i < n; i++) {
		const struct hash *path = &changes[i].path;
		b.items[i] = (struct tree_item){.head = tree_path_word(path, 0), .path = path, .number = (uint32_t)i};
	}
	tree_items_sort(b.items, n, 0);
	struct tree_hashing h;
	tree_hashing_init(&h);
	b.hashing = &h;
	bool changed = false;
	if (n > 1 && n <= FEW_ITEMS)
		fetch(&b, t->root, 0, n);
	t->root = update(&b, t->root, 0, 0, n, &changed);
	free(b.items);
	tree_hash_dirty(t, &h, t->root, 0);
	tree_hashing_free(&h);
}
