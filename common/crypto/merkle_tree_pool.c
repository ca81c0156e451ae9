#include <stdlib.h>

#include "base/mem.h"
#include "merkle_tree_inside.h"

uint32_t tree_pool_take_row(struct tree_pool *p, size_t n)
{
	invariant(n < TREE_LEAF - 1 - p->used);
	uint32_t first = p->used + 1;
	p->used += (uint32_t)n;
	while (p->block_count <= p->used >> TREE_BLOCK_BITS) {
		if (p->block_count == p->block_room) {
			p->block_room = p->block_room ? 2 * p->block_room : 8;
			p->blocks = xrealloc(p->blocks, p->block_room * sizeof(*p->blocks));
		}
		p->blocks[p->block_count++] = xmalloc(TREE_BLOCK * p->item_size);
	}
	return first;
}

uint32_t tree_pool_take(struct tree_pool *p)
{
	uint32_t number = p->free;
	if (number == 0)
		return tree_pool_take_row(p, 1);
	memcpy(&p->free, tree_pool_at(p, number), sizeof(p->free));
	return number;
}

void tree_pool_put_back(struct tree_pool *p, uint32_t number)
{
	memcpy(tree_pool_at(p, number), &p->free, sizeof(p->free));
	p->free = number;
}

void tree_pool_clear(struct tree_pool *p)
{
	for (size_t i = 0; i < p->block_count; i++)
		free(p->blocks[i]);
	free(p->blocks);
}
