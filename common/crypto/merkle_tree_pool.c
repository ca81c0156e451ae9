#include <stdlib.h>

#include "base/mem.h"
#include "merkle_tree_inside.h"

/* Room for the numbers up to `used`. */
static void reach(struct tree_pool *p, uint32_t used)
{
	p->used = used;
	while (p->block_count <= used >> TREE_BLOCK_BITS) {
		if (p->block_count == p->block_room) {
			p->block_room = p->block_room ? 2 * p->block_room : 8;
			p->blocks = xrealloc(p->blocks, p->block_room * sizeof(*p->blocks));
		}
		p->blocks[p->block_count++] = xaligned(TREE_BLOCK_ALIGNMENT, TREE_BLOCK * p->item_size);
	}
}

static uint32_t take_row(struct tree_pool *p, size_t n)
{
	invariant(n < TREE_LEAF - 1 - p->used);
	uint32_t first = p->used + 1;
	reach(p, p->used + (uint32_t)n);
	return first;
}

static uint32_t take(struct tree_pool *p)
{
	uint32_t number = p->free;
	if (number == 0)
		return take_row(p, 1);
	memcpy(&p->free, tree_pool_at(p, number, p->item_size), sizeof(p->free));
	return number;
}

uint32_t tree_entry_take(struct merkle_tree *t)
{
	return take(&t->entries);
}

uint32_t tree_entries_take(struct merkle_tree *t, size_t n)
{
	return take_row(&t->entries, n);
}

uint32_t tree_node_take(struct merkle_tree *t)
{
	uint32_t number = take(&t->nodes);
	reach(&t->hashes, t->nodes.used);
	return number;
}

uint32_t tree_nodes_take(struct merkle_tree *t, size_t n)
{
	uint32_t first = take_row(&t->nodes, n);
	reach(&t->hashes, t->nodes.used);
	return first;
}

void tree_pool_put_back(struct tree_pool *p, uint32_t number)
{
	memcpy(tree_pool_at(p, number, p->item_size), &p->free, sizeof(p->free));
	p->free = number;
}

void tree_pool_clear(struct tree_pool *p)
{
	for (size_t i = 0; i < p->block_count; i++)
		free(p->blocks[i]);
	free(p->blocks);
}
