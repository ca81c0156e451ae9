#include <stdlib.h>

#include "merkle_tree_inside.h"

enum { FEW = 12 }; /* items that are sorted by insertion */

static int compare_items(const void *a, const void *b)
{
	const struct tree_item *x = a, *y = b;
	if (x->head != y->head)
		return x->head < y->head ? -1 : 1;
	return memcmp(x->path->b, y->path->b, HASH_SIZE);
}

static void sort_few(struct tree_item *items, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		struct tree_item x = items[i];
		size_t j = i;
		for (; j > 0 && compare_items(&x, &items[j - 1]) < 0; j--)
			items[j] = items[j - 1];
		items[j] = x;
	}
}

/*
 * By one bit after the other. Paths are hashes: the first bits part them evenly, and somebody who searches for keys whose paths begin alike
 * makes this slower by a factor at most, never quadratic.
 */
static void sort_from_bit(struct tree_item *items, size_t n, unsigned bit)
{
	for (; n > FEW && bit < 64; bit++) {
		size_t low = 0;
		for (size_t i = 0; i < n; i++) { /* no branch depends on the bits: half of the guesses would be wrong */
			struct tree_item x = items[i];
			items[i] = items[low];
			items[low] = x;
			low += !(x.head >> (63 - bit) & 1);
		}
		sort_from_bit(items, low, bit + 1);
		items += low;
		n -= low;
	}
	if (n > FEW)
		qsort(items, n, sizeof(*items), compare_items);
	else
		sort_few(items, n);
}

void tree_items_sort(struct tree_item *items, size_t n, unsigned bit)
{
	sort_from_bit(items, n, bit);
	for (size_t i = 1; i < n; i++)
		invariant(items[i - 1].head != items[i].head || !hash_equal(items[i - 1].path, items[i].path));
}

size_t tree_items_split(const struct tree_item *items, size_t from, size_t to, unsigned bit)
{
	while (from < to) {
		size_t middle = from + (to - from) / 2;
		if (bit < 64 ? items[middle].head >> (63 - bit) & 1 : tree_path_bit(items[middle].path, bit))
			to = middle;
		else
			from = middle + 1;
	}
	return from;
}
