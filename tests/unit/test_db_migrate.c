/* db: numbered schema changes, on both databases alike. */
#include "db_fixture.h"

#include <pthread.h>

#include "db/db_migrate.h"

static const struct db_migration failing[] = {
	{.name = "0001 one", .sql = "CREATE TABLE one (x BIGINT); CREATE TABLE uno (x BIGINT)"},
	{.name = "0002 two",
	 .sql = "INSERT INTO one (x) VALUES (2);",
	 .sqlite = "CREATE TABLE two (x BIGINT) WITHOUT ROWID_IS_NOT_SQL",
	 .postgres = "CREATE TABLE two (x BIGINT) WITHOUT_IS_NOT_SQL"},
};

static const struct db_migration mended[] = {
	{.name = "0001 one", .sql = "CREATE TABLE one (x BIGINT); CREATE TABLE uno (x BIGINT)"},
	{.name = "0002 two",
	 .sql = "INSERT INTO one (x) VALUES (2)",
	 .sqlite = "CREATE TABLE two (x TEXT PRIMARY KEY) WITHOUT ROWID",
	 .postgres = "CREATE TABLE two (x TEXT PRIMARY KEY) WITH (fillfactor = 50)"},
	{.name = "0003 three", .sql = "INSERT INTO two (x) VALUES ('three')"},
};

static int64_t version_of(struct db_conn *c)
{
	struct error err = {0};
	int64_t version = -1;
	must(db_schema_version(c, &version, &err), &err);
	return version;
}

static void fresh_then_again_then_more(void **state)
{
	struct db_conn *c = open_db(*state);
	struct error err = {0};
	assert_int_equal(version_of(c), 0);
	must(db_migrate(c, mended, 0, &err), &err);
	must(db_migrate(c, mended, 2, &err), &err);
	assert_int_equal(version_of(c), 2);
	must(db_migrate(c, mended, 2, &err), &err);
	must(db_migrate(c, mended, 3, &err), &err);
	assert_int_equal(version_of(c), 3);
	assert_int_equal(ask_int(c, "SELECT COUNT(*) FROM one"), 1);
	assert_int_equal(ask_int(c, "SELECT COUNT(*) FROM two"), 1);
	assert_int_equal(ask_int(c, "SELECT COUNT(*) FROM local_schema WHERE name = '0002 two' AND version = 2 AND applied_at > 1700000000000"), 1);
	db_close(c);
}

static void a_failing_one_leaves_nothing(void **state)
{
	struct db_conn *c = open_db(*state);
	struct error err = {0};
	assert_int_equal(db_migrate(c, failing, 2, &err), DB_BROKEN);
	assert_non_null(strstr(err.message, "0002 two"));
	assert_int_equal(version_of(c), 1);
	assert_int_equal(ask_int(c, "SELECT COUNT(*) FROM one"), 0);
	must(db_migrate(c, mended, 3, &err), &err);
	assert_int_equal(version_of(c), 3);
	db_close(c);
}

static void newer_and_foreign_databases_are_refused(void **state)
{
	static const struct db_migration other[] = {{.name = "0001 ledger", .sql = ""}, {.name = "0002 more", .sql = ""}, {.name = "0003 more", .sql = ""}};
	struct db_conn *c = open_db(*state);
	struct error err = {0};
	must(db_migrate(c, mended, 3, &err), &err);
	assert_int_equal(db_migrate(c, mended, 2, &err), DB_BROKEN);
	assert_int_equal(err.code, ERR_CONFIG);
	assert_non_null(strstr(err.message, "newer version"));
	assert_int_equal(db_migrate(c, other, 3, &err), DB_BROKEN);
	assert_int_equal(err.code, ERR_CONFIG);
	assert_non_null(strstr(err.message, "another program"));
	assert_int_equal(version_of(c), 3);
	db_close(c);
}

enum { INSTANCES = 6 };

static void *instance(void *fixture)
{
	struct error err;
	struct db_conn *c;
	bool ok = db_open(((struct fixture *)fixture)->url, DB_OPEN_CREATE, "test", &c, &err) == DB_OK;
	if (ok) {
		ok = db_migrate(c, mended, 3, &err) == DB_OK;
		db_close(c);
	}
	if (!ok)
		fprintf(stderr, "%s\n", err.message);
	return ok ? fixture : NULL;
}

static void several_instances_take_turns(void **state)
{
	pthread_t threads[INSTANCES];
	int ok = 0;
	for (int i = 0; i < INSTANCES; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, instance, *state), 0);
	for (int i = 0; i < INSTANCES; i++) {
		void *result;
		pthread_join(threads[i], &result);
		ok += result != NULL;
	}
	assert_int_equal(ok, INSTANCES);
	struct db_conn *c = open_db(*state);
	assert_int_equal(ask_int(c, "SELECT COUNT(*) FROM local_schema"), 3);
	assert_int_equal(ask_int(c, "SELECT COUNT(*) FROM one"), 1);
	db_close(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		DB_CASE(fresh_then_again_then_more),
		DB_CASE(a_failing_one_leaves_nothing),
		DB_CASE(newer_and_foreign_databases_are_refused),
		DB_CASE(several_instances_take_turns),
	};
	if (!quiet_log())
		return 1;
	return run_on_sqlite(tests, ARRAY_LEN(tests)) + run_on_postgres(tests, ARRAY_LEN(tests));
}
