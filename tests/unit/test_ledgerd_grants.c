/* ledgerd: how much may be granted to one user, in bytes and in number. */
#include "db_fixture.h"

#include "base/attrs.h"
#include "db/db_migrate.h"
#include "ledgerd/ledger_grants.h"
#include "ledgerd/ledger_schema.h"

#define ALICE "aaaaaaaa-0000-8000-8000-000000000001"
#define BOB "bbbbbbbb-0000-8000-8000-000000000002"
enum { NOW = 1000000, KEEP = 1000 };

static struct db_conn *begin(void **state)
{
	struct error err = {0};
	struct db_conn *c = open_db(*state);
	must(db_migrate(c, ledger_migrations, ledger_migration_count, &err), &err);
	must(db_begin(c, DB_TXN_WRITE, &err), &err);
	return c;
}

static void end(struct db_conn *c)
{
	struct error err = {0};
	must(db_commit(c, &err), &err);
	db_close(c);
}

static struct grants_open open_then; /* at the last grant */

static bool grant_at(struct db_conn *c, const char *user, int number, int64_t size, int64_t now)
{
	struct error err = {0};
	char hash[65];
	bool noted;
	snprintf(hash, sizeof hash, "%064x", (unsigned)number);
	must(grant_note(c, str_from(user), str_from(hash), size, now, KEEP, &noted, &open_then, &err), &err);
	return noted;
}

static bool grant(struct db_conn *c, const char *user, int number, int64_t size)
{
	return grant_at(c, user, number, size, NOW);
}

static void publish(struct db_conn *c, const char *user, int number)
{
	char sql[300];
	snprintf(sql, sizeof sql, "INSERT INTO state (key, value) VALUES ('content:%064x:%s', '{}')", (unsigned)number, user);
	script(c, sql);
}

static void so_many_however_small(void **state)
{
	struct db_conn *c = begin(state);
	for (int i = 0; i < GRANT_COUNT_MAX; i++)
		assert_true(grant(c, ALICE, i, i % 2));
	assert_false(grant(c, ALICE, GRANT_COUNT_MAX, 0));
	assert_int_equal(open_then.count, GRANT_COUNT_MAX);
	assert_int_equal(open_then.bytes, GRANT_COUNT_MAX / 2);
	assert_int_equal(ask_int(c, "SELECT COUNT(*) FROM local_grants"), GRANT_COUNT_MAX);
	/* One of them once more, with another size, is none more; and others have their own. */
	assert_true(grant(c, ALICE, 7, 5));
	assert_false(grant(c, ALICE, GRANT_COUNT_MAX, 0));
	assert_true(grant(c, BOB, 7, 1));
	/* Published: room for one. What is published needs none. */
	publish(c, ALICE, 7);
	assert_true(grant(c, ALICE, 7, 5));
	assert_true(grant(c, ALICE, GRANT_COUNT_MAX, 0));
	assert_false(grant(c, ALICE, GRANT_COUNT_MAX + 1, 0));
	/* Published by somebody else: none. */
	publish(c, BOB, 8);
	assert_false(grant(c, ALICE, GRANT_COUNT_MAX + 1, 0));
	/* What is old counts no more, also when nobody has collected it. */
	assert_true(grant_at(c, ALICE, GRANT_COUNT_MAX + 1, 0, NOW + KEEP));
	assert_true(grant_at(c, ALICE, GRANT_COUNT_MAX + 2, 0, NOW + KEEP));
	assert_int_equal(open_then.count, 1);
	end(c);
}

static void so_many_bytes(void **state)
{
	struct db_conn *c = begin(state);
	assert_false(grant(c, ALICE, 1, GRANT_BYTES_MAX + 1));
	assert_false(grant(c, ALICE, 1, INT64_MAX));
	assert_true(grant(c, ALICE, 1, GRANT_BYTES_MAX - 1));
	assert_true(grant(c, ALICE, 1, GRANT_BYTES_MAX - 1));
	assert_false(grant(c, ALICE, 2, 2));
	assert_int_equal(open_then.bytes, GRANT_BYTES_MAX - 1);
	assert_true(grant(c, ALICE, 2, 1));
	publish(c, ALICE, 1);
	assert_true(grant(c, ALICE, 3, GRANT_BYTES_MAX - 1));
	assert_false(grant(c, ALICE, 4, 1));
	end(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {DB_CASE(so_many_however_small), DB_CASE(so_many_bytes)};
	if (!quiet_log())
		return 1;
	return run_on_sqlite(tests, ARRAY_LEN(tests)) + run_on_postgres(tests, ARRAY_LEN(tests));
}
