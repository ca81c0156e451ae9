/* ledgerd: the index of transactions against a plain list of its entries: which runs become one, what is found in each direction, on both databases. */
#include "db_fixture.h"

#include <stdlib.h>

#include "db/db_pool.h"
#include "ledgerd/ledger_schema.h"
#include "ledgerd/ledger_store.h"
#include "ledgerd/tx_index.h"

static uint64_t seed;

static uint64_t next_random(uint64_t below)
{
	seed = seed * 6364136223846793005U + 1442695040888963407U;
	return (seed >> 33) % below;
}

/* ---- Pure ---- */

static bool is_before(const struct tx_index_entry *a, const struct tx_index_entry *b)
{
	return a->key < b->key || (a->key == b->key && a->place < b->place);
}

static void test_places_and_keys(void **state)
{
	struct hash id;
	(void)state;
	assert_int_equal(tx_index_height(tx_index_place(7, 999999)), 7);
	assert_int_equal(tx_index_idx(tx_index_place(7, 999999)), 999999);
	assert_true(tx_index_place(7, 999999) < tx_index_place(8, 0));
	memset(&id, 0xff, sizeof id);
	assert_int_equal(tx_index_key_of_id(&id), INT64_MAX); /* fits into a signed column, were it one */
	memset(&id, 0, sizeof id);
	id.b[0] = 0x80;
	assert_int_equal(tx_index_key_of_id(&id), UINT64_C(1) << 62); /* big-endian */
	/* SHA-256 of "abc" begins with ba7816bf8f01cfea. */
	assert_int_equal(tx_index_key_of_list(STR_LIT("abc")), UINT64_C(0xba7816bf8f01cfea) >> 1);
}

static void test_sort_merge_write_read(void **state)
{
	struct tx_index_entry a[300], b[200], out[500], back[500];
	uint8_t bytes[sizeof back];
	(void)state;
	seed = 1;
	for (int round = 0; round < 200; round++) {
		size_t n = next_random(300), m = next_random(200);
		for (size_t i = 0; i < n; i++)
			a[i] = (struct tx_index_entry){next_random(50), next_random(1000)};
		for (size_t i = 0; i < m; i++)
			b[i] = (struct tx_index_entry){next_random(50), next_random(1000)};
		tx_index_sort(a, n);
		tx_index_sort(b, m);
		tx_index_merge(a, n, b, m, out);
		for (size_t i = 1; i < n + m; i++)
			assert_false(is_before(&out[i], &out[i - 1]));
		/* Nothing is lost or made: sums of what went in and came out. */
		uint64_t sum = 0;
		for (size_t i = 0; i < n + m; i++)
			sum += out[i].key * 1000003 + out[i].place;
		for (size_t i = 0; i < n; i++)
			sum -= a[i].key * 1000003 + a[i].place;
		for (size_t i = 0; i < m; i++)
			sum -= b[i].key * 1000003 + b[i].place;
		assert_int_equal(sum, 0);
		for (uint64_t key = 0; key < 51; key++) {
			size_t at = tx_index_seek(out, n + m, key);
			assert_true((at == n + m || out[at].key >= key) && (at == 0 || out[at - 1].key < key));
		}
		tx_index_write(out, n + m, bytes);
		tx_index_read(bytes, n + m, back);
		assert_memory_equal(back, out, (n + m) * sizeof *out);
		for (size_t i = 1; i < n + m; i++)
			assert_true(memcmp(bytes + (i - 1) * TX_INDEX_ENTRY_BYTES, bytes + i * TX_INDEX_ENTRY_BYTES, TX_INDEX_ENTRY_BYTES) <= 0);
	}
}

enum { OPEN_MAX = 35 };
_Static_assert((int)OPEN_MAX < (int)TX_INDEX_RUNS_OPEN, "all that may be merged is read");

/* However large the blocks, few runs are open, and an entry is written again a number of times that grows with the logarithm. */
static void test_merges(void **state)
{
	static struct tx_index_run runs[100000]; /* the newest last */
	static const uint64_t sizes[] = {1, 4, 60, 400, 20000, 5000000};
	(void)state;
	seed = 2;
	for (unsigned mix = 1; mix < 1U << ARRAY_LEN(sizes); mix++) {
		size_t n = 0;
		uint64_t entries = 0, written = 0, covered = 0;
		for (int64_t height = 1; height <= 2000; height++) {
			struct tx_index_run open[TX_INDEX_RUNS_OPEN], made = {height, height, 0};
			size_t count = 0, kind;
			do
				kind = next_random(ARRAY_LEN(sizes));
			while (!(mix & (1U << kind)));
			made.count = sizes[kind] + next_random(sizes[kind]);
			entries += made.count;
			for (; count < TX_INDEX_RUNS_OPEN && count < n; count++)
				open[count] = runs[n - 1 - count];
			size_t merged = tx_index_merges(open, count, made.count);
			assert_true(merged <= count);
			for (; merged > 0; merged--, n--) {
				made.first = runs[n - 1].first;
				made.count += runs[n - 1].count;
				assert_true(runs[n - 1].count < 262144 * 8);
			}
			runs[n++] = made;
			written += made.count;
			size_t small = 0;
			for (size_t i = 0; i < n; i++)
				small += runs[i].count < 262144;
			assert_true(small <= OPEN_MAX);
		}
		assert_int_equal(runs[0].first, 1);
		for (size_t i = 0; i < n; i++) {
			covered += runs[i].count;
			assert_int_equal(runs[i].last + 1, i + 1 < n ? runs[i + 1].first : 2001);
		}
		assert_int_equal(covered, entries);
		assert_true(written <= 7 * entries);
	}
}

/* ---- In the database ---- */

enum { BLOCKS = 400, KEYS = 40, ENTRIES_MAX = 100000 };

struct index_world {
	struct db_pool *pool;
	struct db_conn *c;
	struct tx_index_entry *all; /* in the order of places */
	size_t count;
};

struct add_job {
	struct db_job job;
	struct tx_index_block block;
};
static enum db_status run_add(struct db_job *job, struct db_conn *c, struct error *err)
{
	return tx_index_add(c, &((struct add_job *)job)->block, err);
}

static void add(struct index_world *w, int64_t height, const struct tx_index_entry *entries, size_t count)
{
	struct error err = {0};
	struct add_job j = {.job = {.run = run_add}, .block = {height, entries, count}};
	must(db_pool_write(w->pool, &j.job, &err), &err);
}

static void begin(struct index_world *w, void **state)
{
	const struct fixture *f = *state;
	struct error err = {0};
	const struct db_pool_options o = {.url = f->url, .name = "test", .readers = 2, .queue_max = 100, .group_max = 16, .patience_ms = 2000};
	*w = (struct index_world){.pool = db_pool_open(&o, ledger_migrations, ledger_migration_count, &err)};
	if (!w->pool)
		fail_msg("%s", err.message);
	w->c = open_db(f);
	w->all = calloc(ENTRIES_MAX, sizeof *w->all);
}

static void end(struct index_world *w)
{
	db_close(w->c);
	db_pool_close(w->pool);
	free(w->all);
}

/* Blocks of all sizes, some without transactions; few keys, so that one's entries fill many rows. */
static void fill(struct index_world *w)
{
	for (int64_t height = 1; height <= BLOCKS; height++) {
		struct tx_index_entry entries[1024];
		size_t txs = next_random(10) == 0 ? next_random(200) : next_random(4), n = 0;
		for (size_t i = 0; i < txs; i++) {
			uint64_t place = tx_index_place(height, (int64_t)i), owner = next_random(KEYS);
			/* Most are of one type; each is of one account, and has an id, of which some are the same. */
			entries[n++] = (struct tx_index_entry){INT64_MAX - next_random(2000), place};
			entries[n++] = (struct tx_index_entry){owner, place};
			entries[n++] = (struct tx_index_entry){KEYS + (next_random(10) == 0), place};
		}
		for (size_t i = 0; i < n; i++)
			w->all[w->count++] = entries[i];
		tx_index_sort(entries, n);
		add(w, height, entries, n);
	}
	assert_true(w->count > 3000);
}

static void expect_walk(struct index_world *w, uint64_t key, bool oldest_first, uint64_t at, size_t max)
{
	struct tx_index_walk walk = {.key = key, .oldest_first = oldest_first, .at = at};
	uint64_t places[512];
	size_t n, i = oldest_first ? 0 : w->count;
	struct error err = {0};
	do {
		must(tx_index_next(w->c, &walk, places, max, &n, &err), &err);
		assert_true(n <= max);
		for (size_t k = 0; k < n; k++) {
			const struct tx_index_entry *e = NULL;
			while (!e && (oldest_first ? i < w->count : i > 0)) {
				const struct tx_index_entry *x = &w->all[oldest_first ? i++ : --i];
				if (x->key == key && (oldest_first ? x->place > at : x->place < at))
					e = x;
			}
			if (!e || e->place != places[k])
				fail_msg("key %llu at %llu: place %llu instead of %llu", (unsigned long long)key, (unsigned long long)at,
					 (unsigned long long)places[k], e ? (unsigned long long)e->place : 0);
		}
	} while (n > 0);
	assert_true(walk.ended);
	for (; oldest_first ? i < w->count : i > 0; i += oldest_first ? 1 : -1) {
		const struct tx_index_entry *x = &w->all[oldest_first ? i : i - 1];
		assert_false(x->key == key && (oldest_first ? x->place > at : x->place < at));
	}
}

static void test_walks(void **state)
{
	struct index_world w;
	seed = 3;
	begin(&w, state);
	expect_walk(&w, 1, false, UINT64_MAX, 10);
	expect_walk(&w, 1, true, 0, 10);
	fill(&w);
	for (uint64_t key = 0; key < KEYS + 3; key++)
		for (int oldest_first = 0; oldest_first < 2; oldest_first++) {
			expect_walk(&w, key, oldest_first, oldest_first ? 0 : UINT64_MAX, 512);
			expect_walk(&w, key, oldest_first, tx_index_place((int64_t)next_random(BLOCKS + 2), (int64_t)next_random(200)), 1 + next_random(30));
		}
	for (int i = 0; i < 100; i++) {
		expect_walk(&w, INT64_MAX - next_random(2100), false, UINT64_MAX, 1);
		expect_walk(&w, INT64_MAX - next_random(2100), true, 0, 3);
	}
	end(&w);
}

/* What is found stays so while runs become one between two steps. */
static void test_walks_while_runs_merge(void **state)
{
	struct index_world w;
	struct error err = {0};
	seed = 4;
	begin(&w, state);
	fill(&w);
	for (int oldest_first = 0; oldest_first < 2; oldest_first++) {
		struct tx_index_walk walk = {.key = KEYS, .oldest_first = oldest_first, .at = oldest_first ? 0 : UINT64_MAX};
		size_t before = 0, seen = 0, n;
		uint64_t place, last = walk.at;
		int64_t top = tx_index_height(w.all[w.count - 1].place) + 1000 * (1 + oldest_first);
		for (size_t i = 0; i < w.count; i++)
			before += w.all[i].key == KEYS;
		do {
			must(tx_index_next(w.c, &walk, &place, 1, &n, &err), &err);
			seen += n;
			assert_true(n == 0 || (oldest_first ? place > last : place < last));
			last = n > 0 ? place : last;
			if (seen % 7 == 0 && n > 0)
				add(&w, ++top, &(struct tx_index_entry){5, tx_index_place(top, 0)}, 1);
		} while (n > 0);
		assert_int_equal(seen, before);
	}
	end(&w);
}

/* A block that is there, or lies before the newest, is not added again, whether its run would be merged or not. */
static void test_twice(void **state)
{
	for (int64_t blocks = 1; blocks < 20; blocks++) {
		struct index_world w;
		begin(&w, state);
		script(w.c, "DELETE FROM transaction_index; DELETE FROM transaction_runs");
		for (int64_t height = 1; height <= blocks; height++)
			add(&w, height, &(struct tx_index_entry){1, tx_index_place(height, 0)}, 1);
		for (int64_t height = blocks; height > 0 && height > blocks - 3; height--) {
			struct error err = {0};
			const struct tx_index_entry e = {1, tx_index_place(height, 0)};
			struct add_job j = {.job = {.run = run_add}, .block = {height, &e, 1}};
			assert_int_equal(db_pool_write(w.pool, &j.job, &err), DB_CONFLICT);
		}
		assert_int_equal(ask_int(w.c, "SELECT CAST(SUM(entries) AS BIGINT) FROM transaction_runs"), blocks);
		end(&w);
	}
}

static void test_damage(void **state)
{
	static const char *const damage[] = {
		"UPDATE transaction_index SET entries = '' WHERE run = 1",
		"DELETE FROM transaction_index WHERE run = 1",
		"UPDATE transaction_runs SET entries = entries + 1",
		"UPDATE transaction_index SET run = run + 500",
	};
	for (size_t i = 0; i < ARRAY_LEN(damage); i++) {
		struct index_world w;
		struct error err = {0};
		begin(&w, state);
		script(w.c, "DELETE FROM transaction_index; DELETE FROM transaction_runs");
		for (int64_t height = 1; height < 8; height++)
			add(&w, height, &(struct tx_index_entry){1, tx_index_place(height, 0)}, 1);
		script(w.c, damage[i]);
		/* The eighth makes them one. */
		const struct tx_index_entry e = {1, tx_index_place(8, 0)};
		struct add_job j = {.job = {.run = run_add}, .block = {8, &e, 1}};
		assert_int_equal(db_pool_write(w.pool, &j.job, &err), DB_BROKEN);
		assert_int_equal(err.code, ERR_CORRUPT);
		/* And nothing of it stays. */
		assert_true(ask_int(w.c, "SELECT COUNT(*) FROM transaction_runs") == 7);
		end(&w);
	}
}

int main(void)
{
	struct error err;
	if (!quiet_log() || !crypto_start(&err))
		return 1;
	const struct CMUnitTest pure[] = {
		cmocka_unit_test(test_places_and_keys),
		cmocka_unit_test(test_sort_merge_write_read),
		cmocka_unit_test(test_merges),
	};
	const struct CMUnitTest stored[] = {
		DB_CASE(test_walks),
		DB_CASE(test_walks_while_runs_merge),
		DB_CASE(test_twice),
		DB_CASE(test_damage),
	};
	return cmocka_run_group_tests(pure, NULL, NULL) + run_on_sqlite(stored, ARRAY_LEN(stored)) + run_on_postgres(stored, ARRAY_LEN(stored));
}
