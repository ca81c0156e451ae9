/*
 * For the tests of the database room: the same cases on SQLite and, when TANA_TEST_POSTGRES names a database, on PostgreSQL, each
 * in a place of its own.
 */
#ifndef TANA_TESTS_DB_FIXTURE_H
#define TANA_TESTS_DB_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <unistd.h>

#include "base/log.h"
#include "db/db.h"

struct fixture {
	enum db_kind kind;
	char dir[64];
	char url[512];
	char schema[64];
};

/* Which database the group that runs now is for. */
static enum db_kind fixture_kind;

static inline bool quiet_log(void)
{
	struct error err;
	return log_open("test", getenv("TANA_TEST_LOG") ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR, LOG_FORMAT_TEXT, NULL, &err);
}

static inline void must(enum db_status status, const struct error *err)
{
	if (status != DB_OK)
		fail_msg("status %d: %s", (int)status, err->message);
}

static inline struct db_conn *open_how(const char *url, enum db_open_how how)
{
	struct error err = {0};
	struct db_conn *c;
	must(db_open(url, how, "test_db", &c, &err), &err);
	return c;
}

static inline struct db_conn *open_db(const struct fixture *f)
{
	return open_how(f->url, DB_OPEN_CREATE);
}

static inline void script(struct db_conn *c, const char *sql)
{
	struct error err = {0};
	must(db_script(c, sql, &err), &err);
}

/* The first column of the first row. */
static inline int64_t ask_int(struct db_conn *c, const char *sql)
{
	struct error err = {0};
	struct db_rows *rows;
	must(db_query_text(c, sql, DB_NO_ARGS, &rows, &err), &err);
	int64_t v = db_next(rows) ? db_int(rows, 0) : INT64_MIN;
	must(db_finish(rows, &err), &err);
	return v;
}

static inline void shell(const char *command)
{
	if (system(command) != 0)
		fail_msg("failed: %s", command);
}

static inline int fixture_make(void **state)
{
	static unsigned made;
	struct fixture *f = calloc(1, sizeof(*f));
	f->kind = fixture_kind;
	strcpy(f->dir, "/tmp/tana-test-XXXXXX");
	if (!mkdtemp(f->dir))
		return -1;
	*state = f;
	if (f->kind == DB_SQLITE) {
		snprintf(f->url, sizeof(f->url), "sqlite:%s/test.db", f->dir);
		return 0;
	}
	/* A schema of its own for each test, first in its search path. */
	const char *server = getenv("TANA_TEST_POSTGRES");
	char sql[128];
	snprintf(f->schema, sizeof(f->schema), "test_%d_%u", (int)getpid(), made++);
	snprintf(sql, sizeof(sql), "CREATE SCHEMA %s", f->schema);
	struct db_conn *c = open_how(server, DB_OPEN_CREATE);
	script(c, sql);
	db_close(c);
	snprintf(f->url, sizeof(f->url), "%s%soptions=-csearch_path%%3D%s", server, strchr(server, '?') ? "&" : "?", f->schema);
	return 0;
}

static inline int fixture_remove(void **state)
{
	struct fixture *f = *state;
	if (f->kind == DB_POSTGRES) {
		char sql[128];
		snprintf(sql, sizeof(sql), "DROP SCHEMA %s CASCADE", f->schema);
		struct db_conn *c = open_how(getenv("TANA_TEST_POSTGRES"), DB_OPEN_CREATE);
		script(c, sql);
		db_close(c);
	}
	char command[80];
	snprintf(command, sizeof(command), "rm -r %s", f->dir);
	shell(command);
	free(f);
	return 0;
}

#define DB_CASE(f) cmocka_unit_test_setup_teardown(f, fixture_make, fixture_remove)

static inline int run_on_sqlite(const struct CMUnitTest *tests, size_t n)
{
	fixture_kind = DB_SQLITE;
	return _cmocka_run_group_tests("sqlite", tests, n, NULL, NULL);
}

static inline int run_on_postgres(const struct CMUnitTest *tests, size_t n)
{
	if (!getenv("TANA_TEST_POSTGRES")) {
		fprintf(stderr, "[  SKIPPED ] PostgreSQL: TANA_TEST_POSTGRES names no database\n");
		return 0;
	}
	fixture_kind = DB_POSTGRES;
	return _cmocka_run_group_tests("postgres", tests, n, NULL, NULL);
}

#endif
