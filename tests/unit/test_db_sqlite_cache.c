/* db: the numbers that SQLite's page cache is told, seen from below: none is beyond the end of the file, and the pages stay what they are. */
#include "db_fixture.h"

#include "db/db_sqlite.h"

enum { ROWS = 400, COMMITS = 150, CHANGES = 8 };

/* SQLite's own cache, and what it was told since `watch` began. */
static sqlite3_pcache_methods2 plain, renaming;
static unsigned highest, parked;

static sqlite3_pcache_page *watched_fetch(sqlite3_pcache *cache, unsigned key, int create)
{
	if (create && key > highest)
		highest = key;
	return plain.xFetch(cache, key, create);
}

static void watched_rekey(sqlite3_pcache *cache, sqlite3_pcache_page *page, unsigned from, unsigned to)
{
	if (to > highest)
		highest = to;
	parked += to == 0;
	plain.xRekey(cache, page, from, to);
}

/* Before SQLite is asked anything. Leaves the methods that the driver puts above these in `renaming`. */
static bool watch(void)
{
	if (sqlite3_config(SQLITE_CONFIG_GETPCACHE2, &plain) != SQLITE_OK)
		return false;
	sqlite3_pcache_methods2 watched = plain;
	watched.xFetch = watched_fetch;
	watched.xRekey = watched_rekey;
	if (sqlite3_config(SQLITE_CONFIG_PCACHE2, &watched) != SQLITE_OK)
		return false;
	lite_register_cache();
	return sqlite3_config(SQLITE_CONFIG_GETPCACHE2, &renaming) == SQLITE_OK && sqlite3_config(SQLITE_CONFIG_PCACHE2, &watched) == SQLITE_OK;
}

static uint64_t next(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return *seed >> 33;
}

DB_SQL(SQL_PUT, "INSERT INTO t (id, size, value) VALUES ($1, $2, zeroblob($2)) ON CONFLICT (id) DO UPDATE SET size = excluded.size, value = excluded.value");

/* One transaction of a few rows that grow and shrink, at random places of the tree. */
static void change(struct db_conn *c, uint64_t *seed, int64_t *sizes, int64_t page_size)
{
	struct error err = {0};
	must(db_begin(c, DB_TXN_WRITE, &err), &err);
	int64_t then[ROWS];
	memcpy(then, sizes, sizeof(then));
	for (int i = 0; i < CHANGES; i++) {
		size_t id = next(seed) % ROWS;
		sizes[id] = 1 + (int64_t)(next(seed) % (uint64_t)(page_size / 5));
		must(db_run(c, &SQL_PUT, DB_ARGS(DB_INT((int64_t)id), DB_INT(sizes[id])), NULL, &err), &err);
	}
	if (next(seed) % 4 == 0) {
		db_rollback(c);
		memcpy(sizes, then, sizeof(then));
	} else {
		must(db_commit(c, &err), &err);
	}
}

static void must_hold(struct db_conn *c, const int64_t *sizes)
{
	struct error err = {0};
	struct db_rows *rows;
	int64_t known[ROWS] = {0};
	must(db_query_text(c, "SELECT id, size, LENGTH(value) FROM t", DB_NO_ARGS, &rows, &err), &err);
	while (db_next(rows)) {
		assert_int_equal(db_int(rows, 1), db_int(rows, 2));
		known[db_int(rows, 0)] = db_int(rows, 1);
	}
	must(db_finish(rows, &err), &err);
	assert_memory_equal(known, sizes, sizeof(known));
	assert_int_equal(ask_int(c, "SELECT COUNT(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'"), 1);
}

static void make_file(const struct fixture *f, int page_size)
{
	sqlite3 *db;
	char sql[128];
	db_close(open_db(f));
	assert_int_equal(remove(f->url + strlen("sqlite:")), 0);
	snprintf(sql, sizeof(sql), "PRAGMA page_size = %d; CREATE TABLE t (id BIGINT PRIMARY KEY, size BIGINT, value BLOB) WITHOUT ROWID", page_size);
	assert_int_equal(sqlite3_open(f->url + strlen("sqlite:"), &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void pages_are_put_in_order_below_the_end_of_the_file(void **state)
{
	static const int page_sizes[] = {512, 4096, 65536};
	struct fixture *f = *state;
	for (size_t i = 0; i < ARRAY_LEN(page_sizes); i++) {
		int64_t sizes[ROWS] = {0};
		uint64_t seed = i;
		make_file(f, page_sizes[i]);
		struct db_conn *c = open_db(f);
		assert_int_equal(ask_int(c, "PRAGMA page_size"), page_sizes[i]);
		highest = parked = 0;
		for (int k = 0; k < COMMITS; k++)
			change(c, &seed, sizes, page_sizes[i]);
		/* Pages did change places, and a page that a rollback took back may have been the last. */
		assert_in_range(parked, 10, UINT32_MAX);
		assert_in_range(highest, 10, ask_int(c, "PRAGMA page_count") + CHANGES);
		must_hold(c, sizes);
		db_close(c);
		c = open_db(f);
		must_hold(c, sizes);
		db_close(c);
	}
}

/* Not what SQLite does today: a page that is kept by the number is a page like others. */
static void the_page_of_the_pending_byte_is_a_page_like_others(void **state)
{
	struct fixture *f = *state;
	db_close(open_db(f)); /* SQLite is ready now */
	unsigned pending = (1u << 30) / 4096 + 1;
	sqlite3_pcache *cache = renaming.xCreate(4096, 64, 1);
	renaming.xCachesize(cache, 100);
	sqlite3_pcache_page *a = renaming.xFetch(cache, 7, 2), *b = renaming.xFetch(cache, pending, 2);
	assert_true(a && b && a != b);
	assert_ptr_equal(renaming.xFetch(cache, pending, 0), b);
	assert_null(renaming.xFetch(cache, pending - 1, 0));
	assert_int_equal(renaming.xPagecount(cache), 2);
	renaming.xUnpin(cache, a, 0);
	renaming.xUnpin(cache, b, 0);
	renaming.xShrink(cache);
	assert_int_equal(renaming.xPagecount(cache), 0);

	a = renaming.xFetch(cache, 7, 2);
	renaming.xRekey(cache, a, 7, pending);
	assert_null(renaming.xFetch(cache, 7, 0));
	assert_ptr_equal(renaming.xFetch(cache, pending, 0), a);
	renaming.xRekey(cache, a, pending, 9);
	assert_null(renaming.xFetch(cache, pending, 0));
	assert_ptr_equal(renaming.xFetch(cache, 9, 0), a);

	b = renaming.xFetch(cache, pending, 2);
	renaming.xTruncate(cache, pending + 1);
	assert_ptr_equal(renaming.xFetch(cache, pending, 0), b);
	renaming.xTruncate(cache, pending);
	assert_null(renaming.xFetch(cache, pending, 0));
	assert_ptr_equal(renaming.xFetch(cache, 9, 0), a);
	renaming.xTruncate(cache, 9);
	assert_int_equal(renaming.xPagecount(cache), 0);
	renaming.xDestroy(cache);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		DB_CASE(pages_are_put_in_order_below_the_end_of_the_file),
		DB_CASE(the_page_of_the_pending_byte_is_a_page_like_others),
	};
	if (!quiet_log() || !watch())
		return 1;
	return run_on_sqlite(tests, ARRAY_LEN(tests));
}
