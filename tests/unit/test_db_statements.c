/* db: values, statements, results and transactions, on both databases alike. */
#include "db_fixture.h"

DB_SQL(sql_put, "INSERT INTO t (id, i, s, b) VALUES ($1, $2, $3, $4)");
DB_SQL(sql_get, "SELECT i, s, b FROM t WHERE id = $1");
DB_SQL(sql_all, "SELECT id FROM t ORDER BY id");
DB_SQL(sql_other, "SELECT COUNT(*) FROM t WHERE id >= $1");
DB_SQL(sql_set, "UPDATE t SET i = $1 WHERE id >= $2");
DB_SQL(sql_put_returning, "INSERT INTO t (id, i) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING RETURNING id, i");
DB_SQL(sql_delete, "DELETE FROM t WHERE id < $1");

#define TABLE "CREATE TABLE t (id BIGINT PRIMARY KEY, i BIGINT, s TEXT, b BYTEA);"

static struct db_conn *open_with_table(void **state)
{
	struct db_conn *c = open_db(*state);
	script(c, TABLE);
	return c;
}

static enum db_status put(struct db_conn *c, int64_t id, struct error *err)
{
	return db_run(c, &sql_put, DB_ARGS(DB_INT(id), DB_NULL, DB_NULL, DB_NULL), NULL, err);
}

static void must_put(struct db_conn *c, int64_t id)
{
	struct error err = {0};
	must(put(c, id, &err), &err);
}

static void round_trip(struct db_conn *c, struct db_value i, struct db_value s, struct db_value b)
{
	static int64_t id;
	struct error err = {0};
	struct db_rows *rows;
	int64_t changed = 0;
	must(db_run(c, &sql_put, DB_ARGS(DB_INT(++id), i, s, b), &changed, &err), &err);
	assert_int_equal(changed, 1);
	must(db_query(c, &sql_get, DB_ARGS(DB_INT(id)), &rows, &err), &err);
	assert_int_equal(db_columns(rows), 3);
	assert_string_equal(db_column_name(rows, 1), "s");
	assert_true(db_next(rows));
	assert_int_equal(db_column_type(rows, 0), i.type);
	assert_int_equal(db_column_type(rows, 1), s.type);
	assert_int_equal(db_column_type(rows, 2), b.type);
	assert_int_equal(db_is_null(rows, 0), i.type == DB_TYPE_NULL);
	assert_true(db_int(rows, 0) == i.i);
	assert_true(str_equal(db_text(rows, 1), s.s));
	assert_true(str_equal(db_blob(rows, 2), b.s));
	assert_false(db_next(rows));
	assert_false(db_next(rows));
	must(db_finish(rows, &err), &err);
}

static void values_come_back_as_they_went(void **state)
{
	struct db_conn *c = open_with_table(state);
	enum { BIG = 1 << 20 };
	char *big = malloc(BIG);
	for (int i = 0; i < BIG; i++)
		big[i] = (char)(i * 7 + i / 256);
	round_trip(c, DB_NULL, DB_NULL, DB_NULL);
	round_trip(c, DB_INT(0), DB_TEXT(STR_LIT("")), DB_BLOB("", 0));
	round_trip(c, DB_INT(INT64_MAX), DB_TEXT(STR_LIT("Grüße, 世界 🌍 \\x00 '\"$1")), DB_BLOB("\0\1\0\xff", 4));
	round_trip(c, DB_INT(INT64_MIN), DB_TEXT(STR_NONE), DB_BLOB(big, BIG));
	memset(big, 'x', BIG);
	round_trip(c, DB_INT(-1), DB_TEXT(str_of(big, BIG)), DB_BLOB(NULL, 0));
	free(big);
	db_close(c);
}

static void expressions_are_read_as_integers(void **state)
{
	struct db_conn *c = open_with_table(state);
	assert_int_equal(ask_int(c, "SELECT COUNT(*) FROM t"), 0);
	assert_int_equal(ask_int(c, "SELECT SUM(i) FROM t"), 0); /* NULL */
	script(c, "INSERT INTO t (id, i) VALUES (1, 9223372036854775806), (2, 1), (3, -1)");
	assert_int_equal(ask_int(c, "SELECT COUNT(*) FROM t"), 3);
	assert_true(ask_int(c, "SELECT SUM(i) FROM t WHERE id < 3") == INT64_MAX);
	assert_int_equal(ask_int(c, "SELECT SUM(i) FROM t WHERE id = 3"), -1);
	assert_int_equal(ask_int(c, "SELECT EXISTS (SELECT 1 FROM t)"), 1);
	assert_int_equal(ask_int(c, "SELECT 2 > 3"), 0);
	assert_int_equal(ask_int(c, "SELECT CAST(-5 AS INTEGER)"), -5);
	assert_int_equal(ask_int(c, "SELECT LENGTH('abc')"), 3);
	assert_true(ask_int(c, "SELECT MIN(i) FROM t") == -1);
	/* One more than an int64 holds is an error and not another number. */
	struct error err = {0};
	struct db_rows *rows;
	script(c, "UPDATE t SET i = 9223372036854775807 WHERE id = 1");
	must(db_query_text(c, "SELECT SUM(i) FROM t WHERE id < 3", DB_NO_ARGS, &rows, &err), &err);
	if (db_next(rows))
		db_int(rows, 0);
	assert_int_equal(db_finish(rows, &err), DB_BROKEN);
	assert_true(db_usable(c));
	db_close(c);
}

static void counts_the_rows_changed(void **state)
{
	struct db_conn *c = open_with_table(state);
	struct error err = {0};
	int64_t n = -1;
	for (int64_t id = 1; id <= 3; id++)
		must_put(c, id);
	must(db_run(c, &sql_set, DB_ARGS(DB_INT(5), DB_INT(2)), &n, &err), &err);
	assert_int_equal(n, 2);
	must(db_run(c, &sql_set, DB_ARGS(DB_INT(5), DB_INT(9)), &n, &err), &err);
	assert_int_equal(n, 0);
	must(db_run(c, &sql_delete, DB_ARGS(DB_INT(3)), &n, &err), &err);
	assert_int_equal(n, 2);
	must(db_run(c, &sql_all, DB_NO_ARGS, &n, &err), &err);
	assert_int_equal(n, 0);
	DB_SQL(ddl, "CREATE TABLE another (x BIGINT)");
	must(db_run(c, &ddl, DB_NO_ARGS, &n, &err), &err);
	assert_int_equal(n, 0);
	must(db_run(c, &sql_put_returning, DB_ARGS(DB_INT(7), DB_NULL), &n, &err), &err);
	assert_int_equal(n, 1);
	db_close(c);
}

static void constraints_are_conflicts(void **state)
{
	static const char *const refused[] = {"INSERT INTO u (id) VALUES (1)", "INSERT INTO u (id, parent) VALUES (2, 77)", "INSERT INTO u (id, n) VALUES (3, -1)",
					      "INSERT INTO u (id) VALUES (NULL)"};
	struct db_conn *c = open_db(*state);
	struct error err = {0};
	struct db_rows *rows;
	script(c, "CREATE TABLE u (id BIGINT NOT NULL PRIMARY KEY, parent BIGINT REFERENCES u (id), n BIGINT CHECK (n > 0)); INSERT INTO u (id) VALUES (1)");
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		assert_int_equal(db_script(c, refused[i], &err), DB_CONFLICT);
		assert_int_equal(err.code, ERR_ALREADY_EXISTS);
		enum db_status status = db_query_text(c, refused[i], DB_NO_ARGS, &rows, &err);
		if (status == DB_OK) {
			assert_false(db_next(rows));
			status = db_finish(rows, &err);
		}
		assert_int_equal(status, DB_CONFLICT);
		assert_true(db_usable(c));
	}
	assert_int_equal(ask_int(c, "SELECT COUNT(*) FROM u"), 1);
	db_close(c);
}

static void a_failed_transaction_stays_failed(void **state)
{
	struct db_conn *c = open_with_table(state);
	struct error err = {0};
	must_put(c, 1);
	must(db_begin(c, DB_TXN_WRITE, &err), &err);
	must_put(c, 2);
	assert_int_equal(put(c, 1, &err), DB_CONFLICT);
	err = (struct error){0};
	assert_int_equal(put(c, 3, &err), DB_CONFLICT);
	assert_int_equal(err.code, ERR_ALREADY_EXISTS);
	assert_int_equal(db_script(c, "DELETE FROM t", &err), DB_CONFLICT);
	assert_int_equal(db_commit(c, &err), DB_CONFLICT);
	assert_int_equal(ask_int(c, "SELECT COUNT(*) FROM t"), 1);

	must(db_begin(c, DB_TXN_WRITE, &err), &err);
	must_put(c, 2);
	must(db_commit(c, &err), &err);
	assert_int_equal(ask_int(c, "SELECT COUNT(*) FROM t"), 2);
	db_close(c);
}

static void rollback_leaves_nothing(void **state)
{
	struct db_conn *c = open_with_table(state);
	struct error err = {0};
	db_rollback(c);
	must(db_begin(c, DB_TXN_WRITE, &err), &err);
	db_rollback(c);
	must(db_begin(c, DB_TXN_WRITE, &err), &err);
	must(db_commit(c, &err), &err);
	must(db_begin(c, DB_TXN_WRITE, &err), &err);
	must_put(c, 1);
	db_rollback(c);
	assert_int_equal(ask_int(c, "SELECT COUNT(*) FROM t"), 0);
	must(db_begin(c, DB_TXN_WRITE, &err), &err);
	must_put(c, 1);
	db_close(c);
	c = open_db(*state);
	assert_int_equal(ask_int(c, "SELECT COUNT(*) FROM t"), 0);
	db_close(c);
}

static void a_snapshot_sees_one_state(void **state)
{
	struct db_conn *writer = open_with_table(state), *reader = open_how(((struct fixture *)*state)->url, DB_OPEN_READ_ONLY);
	struct error err = {0};
	must_put(writer, 1);
	must(db_begin(reader, DB_TXN_SNAPSHOT, &err), &err);
	assert_int_equal(ask_int(reader, "SELECT COUNT(*) FROM t"), 1);
	must_put(writer, 2);
	assert_int_equal(ask_int(reader, "SELECT COUNT(*) FROM t"), 1);
	must(db_commit(reader, &err), &err);
	assert_int_equal(ask_int(reader, "SELECT COUNT(*) FROM t"), 2);
	db_close(reader);

	/* And the first statement, which takes the BEGIN along, may be a prepared one. */
	struct db_rows *rows;
	must(db_begin(writer, DB_TXN_SNAPSHOT, &err), &err);
	must(db_query(writer, &sql_other, DB_ARGS(DB_INT(1)), &rows, &err), &err);
	assert_true(db_next(rows));
	assert_int_equal(db_int(rows, 0), 2);
	must(db_finish(rows, &err), &err);
	assert_int_equal(put(writer, 3, &err), DB_BROKEN);
	db_rollback(writer);
	must_put(writer, 3);
	db_close(writer);
}

static void a_read_only_connection_refuses_writes(void **state)
{
	struct db_conn *c = open_with_table(state), *reader = open_how(((struct fixture *)*state)->url, DB_OPEN_READ_ONLY);
	struct error err = {0};
	assert_int_equal(put(reader, 1, &err), DB_BROKEN);
	assert_int_equal(db_script(reader, "DROP TABLE t", &err), DB_BROKEN);
	assert_true(db_usable(reader));
	assert_true(db_check(reader));
	assert_int_equal(ask_int(reader, "SELECT COUNT(*) FROM t"), 0);
	db_close(reader);
	db_close(c);
}

struct seen {
	size_t calls;
	int64_t changed, first, null_rows;
};

static void note(void *ctx, size_t index, int64_t changed, struct db_rows *rows)
{
	struct seen *s = ctx;
	assert_int_equal(index, s->calls++);
	s->changed += changed;
	if (!rows) {
		s->null_rows++;
		return;
	}
	assert_int_equal(db_columns(rows), 2);
	s->first += db_int(rows, 0);
}

enum { MANY = 600 }; /* more than one pipeline takes */

static void many_in_order(void **state)
{
	struct db_conn *c = open_with_table(state);
	struct error err = {0};
	struct db_value v[MANY][4];
	struct db_args args[MANY];
	for (int i = 0; i < MANY; i++) {
		v[i][0] = v[i][1] = DB_INT(i);
		v[i][2] = v[i][3] = DB_NULL;
		args[i] = (struct db_args){v[i], 4};
	}
	struct seen s = {0};
	must(db_begin(c, DB_TXN_WRITE, &err), &err);
	must(db_run_many(c, &sql_put, args, MANY, note, &s, &err), &err);
	must(db_commit(c, &err), &err);
	assert_int_equal(s.calls, MANY);
	assert_int_equal(s.changed, MANY);
	assert_int_equal(s.null_rows, MANY);
	assert_int_equal(ask_int(c, "SELECT COUNT(*) FROM t"), MANY);

	/* Half of them are there already. */
	for (int i = 0; i < MANY; i++) {
		v[i][0] = DB_INT(i + MANY / 2);
		args[i].n = 2;
	}
	s = (struct seen){0};
	must(db_begin(c, DB_TXN_WRITE, &err), &err);
	must(db_run_many(c, &sql_put_returning, args, MANY, note, &s, &err), &err);
	must(db_run_many(c, &sql_put_returning, args, 0, note, &s, &err), &err);
	must(db_run_many(c, &sql_put_returning, args, 5, NULL, NULL, &err), &err);
	must(db_commit(c, &err), &err);
	assert_int_equal(s.calls, MANY);
	assert_int_equal(s.changed, MANY / 2);
	assert_int_equal(s.null_rows, MANY / 2);
	assert_int_equal(s.first, (int64_t)(MANY / 2) * (MANY + MANY + MANY / 2 - 1) / 2);
	db_close(c);
}

static void many_stop_at_the_first_failure(void **state)
{
	struct db_conn *c = open_with_table(state);
	struct error err = {0};
	struct db_value v[10][4];
	struct db_args args[10];
	for (int i = 0; i < 10; i++) {
		v[i][0] = DB_INT(i == 4 ? 2 : i);
		v[i][1] = v[i][2] = v[i][3] = DB_NULL;
		args[i] = (struct db_args){v[i], 4};
	}
	struct seen s = {0};
	must(db_begin(c, DB_TXN_WRITE, &err), &err);
	assert_int_equal(db_run_many(c, &sql_put, args, 10, note, &s, &err), DB_CONFLICT);
	assert_int_equal(s.calls, 4);
	db_rollback(c);
	assert_int_equal(ask_int(c, "SELECT COUNT(*) FROM t"), 0);
	must_put(c, 1);
	db_close(c);
}

/* The same rows as with a statement each: also NULLs, columns of nothing but NULLs, empty texts, more than one statement's arrays hold. */
static void many_at_once(void **state)
{
	DB_SQL_ARRAYS(put_arrays, "INSERT INTO t (id, i, s, b) VALUES ($1, $2, $3, $4)",
		      "INSERT INTO t (id, i, s, b) SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::bytea[])");
	DB_SQL_ARRAYS(drop_arrays, "DELETE FROM t WHERE id = $1", "DELETE FROM t WHERE id = ANY ($1::bigint[])");
	enum { N = 10007 };
	struct db_conn *c = open_with_table(state);
	struct error err = {0};
	struct db_value(*v)[4] = calloc(N, sizeof *v);
	struct db_args *args = calloc(N, sizeof *args);
	assert_true(v && args);
	for (int i = 0; i < N; i++) {
		v[i][0] = DB_INT(i);
		v[i][1] = i % 3 == 0 ? DB_NULL : DB_INT(i % 3 == 1 ? INT64_MIN + i : INT64_MAX - i);
		v[i][2] = i % 4 == 0 ? DB_NULL : DB_TEXT(i % 4 == 1 ? STR_LIT("") : STR_LIT("a \"{\\}, \xc3\xa9"));
		v[i][3] = i % 5 == 0 ? DB_NULL : DB_BLOB("\0\xff\0", 3);
		args[i] = (struct db_args){v[i], 4};
	}
	must(db_begin(c, DB_TXN_WRITE, &err), &err);
	must(db_run_many(c, &put_arrays, args, N, NULL, NULL, &err), &err);
	must(db_commit(c, &err), &err);
	for (int64_t i = 0; i < N; i += i < 100 ? 1 : 997) {
		struct db_rows *rows;
		must(db_query(c, &sql_get, DB_ARGS(DB_INT(i)), &rows, &err), &err);
		assert_true(db_next(rows));
		for (int column = 0; column < 3; column++)
			assert_int_equal(db_is_null(rows, column), v[i][column + 1].type == DB_TYPE_NULL);
		assert_true(db_int(rows, 0) == v[i][1].i);
		assert_true(str_equal(db_text(rows, 1), v[i][2].s));
		assert_true(str_equal(db_blob(rows, 2), v[i][3].s));
		must(db_finish(rows, &err), &err);
	}
	assert_int_equal(ask_int(c, "SELECT COUNT(*) FROM t"), N);
	for (int i = 0; i < N; i++)
		args[i].n = 1;
	must(db_begin(c, DB_TXN_WRITE, &err), &err);
	must(db_run_many(c, &drop_arrays, args + 2, N - 2, NULL, NULL, &err), &err);
	must(db_commit(c, &err), &err);
	assert_int_equal(ask_int(c, "SELECT SUM(id) FROM t"), 1);
	/* Nothing but NULLs in all but the key; and a conflict, which leaves none. */
	for (int i = 0; i < 10; i++) {
		v[i][0] = DB_INT(i == 9 ? 105 : 100 + i);
		v[i][1] = v[i][2] = v[i][3] = DB_NULL;
		args[i].n = 4;
	}
	must(db_begin(c, DB_TXN_WRITE, &err), &err);
	must(db_run_many(c, &put_arrays, args, 9, NULL, NULL, &err), &err);
	must(db_commit(c, &err), &err);
	assert_int_equal(ask_int(c, "SELECT COUNT(*) FROM t WHERE i IS NULL AND s IS NULL AND b IS NULL"), 1 + 9); /* the first row too */
	for (int i = 0; i < 10; i++)
		v[i][0].i += 100;
	must(db_begin(c, DB_TXN_WRITE, &err), &err);
	assert_int_equal(db_run_many(c, &put_arrays, args, 10, NULL, NULL, &err), DB_CONFLICT);
	db_rollback(c);
	assert_int_equal(ask_int(c, "SELECT COUNT(*) FROM t"), 11);
	/* A text with a NUL in it is refused before it is sent. */
	v[3][2] = DB_TEXT(str_of("a\0b", 3));
	must(db_begin(c, DB_TXN_WRITE, &err), &err);
	assert_int_equal(db_run_many(c, &put_arrays, args, 9, NULL, NULL, &err), DB_BROKEN);
	db_rollback(c);
	must_put(c, 1000);
	free(v);
	free(args);
	db_close(c);
}

static void results_may_overlap_and_be_left(void **state)
{
	struct db_conn *c = open_with_table(state);
	struct error err = {0};
	struct db_rows *all, *other;
	for (int64_t id = 1; id <= 3; id++)
		must_put(c, id);
	must(db_query(c, &sql_all, DB_NO_ARGS, &all, &err), &err);
	for (int64_t id = 1; id <= 2; id++) {
		assert_true(db_next(all));
		assert_int_equal(db_int(all, 0), id);
		must(db_query(c, &sql_other, DB_ARGS(DB_INT(id)), &other, &err), &err);
		assert_true(db_next(other));
		assert_int_equal(db_int(other, 0), 4 - id);
		must(db_finish(other, &err), &err);
	}
	must(db_finish(all, &err), &err);
	must(db_query(c, &sql_all, DB_NO_ARGS, &all, &err), &err);
	assert_true(db_next(all));
	assert_int_equal(db_int(all, 0), 1);
	must(db_finish(all, &err), &err);
	db_close(c);
}

/* The text must not be needed any more once db_query has returned. */
static void arguments_are_only_borrowed_for_the_call(void **state)
{
	struct db_conn *c = open_with_table(state);
	struct error err = {0};
	struct db_rows *rows;
	char text[] = "needle", sql[] = "SELECT id FROM t WHERE s = $1";
	must(db_run(c, &sql_put, DB_ARGS(DB_INT(1), DB_NULL, DB_TEXT(STR_LIT("needle")), DB_NULL), NULL, &err), &err);
	must(db_query_text(c, sql, DB_ARGS(DB_TEXT(str_from(text))), &rows, &err), &err);
	memset(text, '?', sizeof(text) - 1);
	memset(sql, '?', sizeof(sql) - 1);
	assert_true(db_next(rows));
	assert_int_equal(db_int(rows, 0), 1);
	must(db_finish(rows, &err), &err);
	db_close(c);
}

static void refused_as_broken(struct db_conn *c, const struct db_sql *sql, struct db_args args)
{
	struct error err = {0};
	assert_int_equal(db_run(c, sql, args, NULL, &err), DB_BROKEN);
	assert_int_equal(err.code, ERR_INTERNAL);
	assert_true(*err.message != '\0');
	assert_true(db_usable(c));
}

static void mistakes_are_told(void **state)
{
	struct db_conn *c = open_with_table(state);
	DB_SQL(no_sql, "SELEKT 1");
	DB_SQL(no_table, "SELECT * FROM nowhere");
	DB_SQL(no_column, "SELECT nothing FROM t");
	DB_SQL(two, "DELETE FROM t WHERE id = 1; DELETE FROM t");
	refused_as_broken(c, &no_sql, DB_NO_ARGS);
	refused_as_broken(c, &no_table, DB_NO_ARGS);
	refused_as_broken(c, &no_column, DB_NO_ARGS);
	refused_as_broken(c, &two, DB_NO_ARGS);
	refused_as_broken(c, &sql_set, DB_ARGS(DB_INT(1)));
	refused_as_broken(c, &sql_set, DB_ARGS(DB_INT(1), DB_INT(1), DB_INT(1)));
	refused_as_broken(c, &sql_put, DB_ARGS(DB_INT(1), DB_NULL, DB_TEXT(STR_LIT("a\0b")), DB_NULL));
	struct error err = {0};
	assert_int_equal(db_script(c, "CREATE TABLE t (x BIGINT)", &err), DB_BROKEN);
	must_put(c, 1);
	db_close(c);
}

static void urls(void **state)
{
	(void)state;
	struct error err = {0};
	enum db_kind kind;
	char shown[200];
	assert_true(db_url_kind("sqlite:/x", &kind, &err));
	assert_int_equal(kind, DB_SQLITE);
	assert_true(db_url_kind("postgresql://h/d", &kind, &err));
	assert_int_equal(kind, DB_POSTGRES);
	static const char *const wrong[] = {"", "mysql://u:pass-word@h/d", "/var/x.db", "SQLITE:/x", "postgres:/h", "file:x"};
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		struct db_conn *c;
		assert_false(db_url_kind(wrong[i], &kind, &err));
		assert_int_equal(err.code, ERR_CONFIG);
		assert_null(strstr(err.message, "pass-word"));
		assert_false(db_url_display(wrong[i], shown, sizeof(shown)));
		assert_true(db_open(wrong[i], DB_OPEN_CREATE, "test", &c, &err) != DB_OK);
		assert_null(c);
		assert_int_equal(err.code, ERR_CONFIG);
	}
	assert_true(db_url_display("sqlite:/var/lib/x.db", shown, sizeof(shown)));
	assert_string_equal(shown, "sqlite:/var/lib/x.db");
	assert_false(db_url_display("sqlite:/var/lib/x.db", shown, 8));
	assert_true(db_url_display("postgres://me:pass-word@db.example:5433/mesh?sslmode=require", shown, sizeof(shown)));
	assert_string_equal(shown, "postgres://me@db.example:5433/mesh");
	assert_true(db_url_display("postgres:///mesh?host=/run/pg&user=me&pass%77ord=pass-word", shown, sizeof(shown)));
	assert_string_equal(shown, "postgres://me@/mesh?host=/run/pg");
	assert_false(db_url_display("postgres://me:pass-word@h:x:y/mesh?nonsense=1", shown, sizeof(shown)));
	db_close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		DB_CASE(values_come_back_as_they_went),
		DB_CASE(expressions_are_read_as_integers),
		DB_CASE(counts_the_rows_changed),
		DB_CASE(constraints_are_conflicts),
		DB_CASE(a_failed_transaction_stays_failed),
		DB_CASE(rollback_leaves_nothing),
		DB_CASE(a_snapshot_sees_one_state),
		DB_CASE(a_read_only_connection_refuses_writes),
		DB_CASE(many_in_order),
		DB_CASE(many_stop_at_the_first_failure),
		DB_CASE(many_at_once),
		DB_CASE(results_may_overlap_and_be_left),
		DB_CASE(arguments_are_only_borrowed_for_the_call),
		DB_CASE(mistakes_are_told),
		DB_CASE(urls),
	};
	if (!quiet_log())
		return 1;
	return run_on_sqlite(tests, ARRAY_LEN(tests)) + run_on_postgres(tests, ARRAY_LEN(tests));
}
