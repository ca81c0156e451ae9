/*
 * The entries are dealt out by the first bits of their paths. Each part is sorted, made into nodes and hashed by itself, so that it stays in
 * the cache of the thread that does it; how many nodes it has, and where its uppermost node's levels begin, is known beforehand.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/mem.h"
#include "merkle_tree_inside.h"

enum { PART_BITS = 12, PARTS = 1 << PART_BITS, AHEAD = 16 };

struct part {
	uint32_t begin, count; /* in `order` */
	uint32_t first_node;   /* of count - 1 */
	unsigned top;
	tree_ref root;
};

struct build {
	struct merkle_tree *t;
	uint32_t *order; /* the entries' numbers, part by part */
	struct part parts[PARTS];
	_Atomic unsigned next_part;
};

void merkle_tree_load(struct merkle_tree *t, const struct merkle_map_entry *entries, size_t n)
{
	invariant(t->loading || t->entries.used == 0);
	t->loading = true;
	if (n == 0)
		return;
	uint32_t first = tree_entries_take(t, n);
	for (size_t i = 0; i < n; i++)
		*tree_entry(t, first + (uint32_t)i) = entries[i];
	t->count += (uint32_t)n;
}

/* The sorted items from..to; the nodes are taken from *next on. */
static tree_ref build_range(const struct merkle_tree *t, const struct tree_item *items, size_t from, size_t to, uint32_t *next)
{
	if (to - from == 1)
		return items[from].number | TREE_LEAF;
	unsigned bit = tree_paths_part(items[from].path, items[to - 1].path);
	size_t middle = tree_items_split(items, from, to, bit);
	tree_ref at = (*next)++;
	struct tree_node *n = tree_node(t, at);
	n->bit = (uint8_t)bit;
	n->dirty = 1;
	n->child[0] = build_range(t, items, from, middle, next);
	n->child[1] = build_range(t, items, middle, to, next);
	return at;
}

static void build_part(struct build *b, struct part *p, struct tree_item *items, struct tree_hashing *h)
{
	for (uint32_t i = 0; i < p->count; i++) {
		if (i + AHEAD < p->count)
			__builtin_prefetch(tree_entry(b->t, b->order[p->begin + i + AHEAD]));
		uint32_t number = b->order[p->begin + i];
		const struct hash *path = &tree_entry(b->t, number)->path;
		items[i] = (struct tree_item){.head = tree_path_word(path, 0), .path = path, .number = number};
	}
	tree_items_sort(items, p->count, PART_BITS);
	uint32_t next = p->first_node;
	p->root = build_range(b->t, items, 0, p->count, &next);
	invariant(next == p->first_node + p->count - 1);
	tree_hash_dirty(b->t, h, p->root, p->top);
}

static void *build_main(void *arg)
{
	struct build *b = arg;
	size_t room = 0;
	struct tree_item *items = NULL;
	struct tree_hashing h;
	tree_hashing_init(&h);
	for (unsigned i; (i = atomic_fetch_add(&b->next_part, 1)) < PARTS;) {
		struct part *p = &b->parts[i];
		if (p->count == 0)
			continue;
		if (p->count > room) {
			room = p->count + p->count / 4;
			free(items);
			items = xmalloc(room * sizeof(*items));
		}
		build_part(b, p, items, &h);
	}
	free(items);
	tree_hashing_free(&h);
	return NULL;
}

/* Counts, then puts each entry's number where its part is. */
static void deal_out(struct build *b)
{
	const struct merkle_tree *t = b->t;
	for (uint32_t i = 1; i <= t->count; i++)
		b->parts[merkle_tree_prefix_index(&tree_entry(t, i)->path, PART_BITS)].count++;
	uint32_t begin = 0;
	for (size_t i = 0; i < PARTS; i++) {
		b->parts[i].begin = begin;
		begin += b->parts[i].count;
		b->parts[i].count = 0;
	}
	for (uint32_t i = 1; i <= t->count; i++) {
		struct part *p = &b->parts[merkle_tree_prefix_index(&tree_entry(t, i)->path, PART_BITS)];
		b->order[p->begin + p->count++] = i;
	}
}

/* The levels of a part begin below the last one where it parts from the nearest parts with entries. Its nodes come after theirs. */
static uint32_t lay_out(struct build *b)
{
	uint32_t nodes = 0, parts = 0;
	size_t before = 0;
	for (size_t i = 0; i < PARTS; i++) {
		struct part *p = &b->parts[i];
		if (p->count == 0)
			continue;
		p->first_node = nodes;
		nodes += p->count - 1;
		if (parts++ > 0) {
			unsigned top = (unsigned)__builtin_clz((unsigned)(i ^ before)) - (32 - PART_BITS) + 1;
			p->top = top;
			b->parts[before].top = top > b->parts[before].top ? top : b->parts[before].top;
		}
		before = i;
	}
	return nodes;
}

/* The nodes above the parts from..to; `bit` is the one that parts them in halves. */
static tree_ref join_parts(const struct build *b, size_t from, size_t to, unsigned bit, uint32_t *next)
{
	if (to - from == 1)
		return b->parts[from].root;
	size_t middle = (from + to) / 2;
	tree_ref left = join_parts(b, from, middle, bit + 1, next), right = join_parts(b, middle, to, bit + 1, next);
	if (left == 0 || right == 0)
		return left ? left : right;
	tree_ref at = (*next)++;
	struct tree_node *n = tree_node(b->t, at);
	n->bit = (uint8_t)bit;
	n->dirty = 1;
	n->child[0] = left;
	n->child[1] = right;
	return at;
}

void merkle_tree_build(struct merkle_tree *t, unsigned threads)
{
	enum { THREADS_MAX = 64 };
	invariant(t->loading && threads > 0);
	t->loading = false;
	if (t->count == 0)
		return;
	struct build *b = xcalloc(1, sizeof(*b));
	b->t = t;
	b->order = xmalloc(t->count * sizeof(*b->order));
	deal_out(b);
	uint32_t below = lay_out(b), first = tree_nodes_take(t, t->count - 1);
	for (size_t i = 0; i < PARTS; i++)
		b->parts[i].first_node += first;

	pthread_t helpers[THREADS_MAX];
	unsigned started = 0;
	while (started + 1 < threads && started < THREADS_MAX && pthread_create(&helpers[started], NULL, build_main, b) == 0)
		started++;
	build_main(b);
	for (unsigned i = 0; i < started; i++)
		pthread_join(helpers[i], NULL);

	uint32_t next = first + below;
	t->root = join_parts(b, 0, PARTS, 0, &next);
	invariant(next == first + t->count - 1);
	struct tree_hashing h;
	tree_hashing_init(&h);
	tree_hash_dirty(t, &h, t->root, 0);
	tree_hashing_free(&h);
	free(b->order);
	free(b);
}
