#include "tx_index.h"

#include <endian.h>
#include <stdlib.h>

/* A run of fewer entries than this is of tier 0; each tier is FAN times the one below; those of the top tier are left as they are: 4 MB to 32 MB. */
enum { FAN = 8, TIER_0 = 64, TIER_TOP = 5 };

static uint64_t read_u64(const uint8_t *p)
{
	uint64_t v;
	memcpy(&v, p, sizeof v);
	return be64toh(v);
}

static void write_u64(uint8_t *p, uint64_t v)
{
	v = htobe64(v);
	memcpy(p, &v, sizeof v);
}

uint64_t tx_index_key_of_id(const struct hash *id)
{
	return read_u64(id->b) >> 1;
}

uint64_t tx_index_key_of_list(struct str list)
{
	struct hash h;
	sha256(&h, list.p, list.n);
	return tx_index_key_of_id(&h);
}

size_t tx_index_entries_of(const struct tx *t, int64_t height, int64_t index, struct tx_index_entry out[TX_INDEX_EACH])
{
	struct tx_list_name lists[TX_LISTS_MAX];
	size_t n = tx_lists_of(t, lists);
	uint64_t place = tx_index_place(height, index);
	out[0] = (struct tx_index_entry){tx_index_key_of_id(&t->id), place};
	for (size_t i = 0; i < n; i++)
		out[i + 1] = (struct tx_index_entry){tx_index_key_of_list(tx_list_str(&lists[i])), place};
	return n + 1;
}

static bool before(const struct tx_index_entry *a, const struct tx_index_entry *b)
{
	return a->key != b->key ? a->key < b->key : a->place < b->place;
}

static int compare(const void *x, const void *y)
{
	const struct tx_index_entry *a = x, *b = y;
	return before(b, a) - before(a, b);
}

void tx_index_sort(struct tx_index_entry *entries, size_t count)
{
	if (count > 1)
		qsort(entries, count, sizeof *entries, compare);
}

size_t tx_index_seek(const struct tx_index_entry *entries, size_t count, uint64_t key)
{
	size_t low = 0, high = count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (entries[middle].key < key)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void tx_index_merge(const struct tx_index_entry *a, size_t a_count, const struct tx_index_entry *b, size_t b_count, struct tx_index_entry *out)
{
	while (a_count > 0 && b_count > 0) {
		bool from_b = before(b, a);
		*out++ = from_b ? *b : *a;
		b += from_b;
		b_count -= from_b;
		a += !from_b;
		a_count -= !from_b;
	}
	if (a_count > 0)
		memcpy(out, a, a_count * sizeof *out);
	if (b_count > 0)
		memcpy(out + a_count, b, b_count * sizeof *out);
}

void tx_index_write(const struct tx_index_entry *entries, size_t count, uint8_t *out)
{
	for (size_t i = 0; i < count; i++, out += TX_INDEX_ENTRY_BYTES) {
		write_u64(out, entries[i].key);
		write_u64(out + 8, entries[i].place);
	}
}

void tx_index_read(const uint8_t *bytes, size_t count, struct tx_index_entry *out)
{
	for (size_t i = 0; i < count; i++, bytes += TX_INDEX_ENTRY_BYTES)
		out[i] = (struct tx_index_entry){read_u64(bytes), read_u64(bytes + 8)};
}

static unsigned tier_of(uint64_t count)
{
	unsigned tier = 0;
	for (uint64_t size = TIER_0; tier < TIER_TOP && count >= size; size *= FAN)
		tier++;
	return tier;
}

/* Whenever there are seven behind it of no higher tier: so there are at most seven of each tier below the top one, and none of them behind one of that. */
size_t tx_index_merges(const struct tx_index_run *newest_first, size_t runs, uint64_t count)
{
	size_t taken = 0;
	for (;;) {
		unsigned tier = tier_of(count), reach = tier < TIER_TOP ? tier : TIER_TOP - 1;
		uint64_t sum = count;
		size_t n = taken;
		while (n < runs && tier_of(newest_first[n].count) <= reach)
			sum += newest_first[n++].count;
		if (n == taken || (tier < TIER_TOP && n - taken < FAN - 1))
			return taken;
		count = sum;
		taken = n;
	}
}
