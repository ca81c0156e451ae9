/* db: what can happen to a PostgreSQL server and the connections to it, and what is particular to its types and messages. */
#include "db_pool_fixture.h"

enum { QUEUE = 4096, GROUP = 64, PATIENCE_MS = 20000 };

static void refused_column(struct db_conn *c, const char *sql, const char *says)
{
	struct error err = {0};
	struct db_rows *rows;
	enum db_status status = db_query_text(c, sql, DB_NO_ARGS, &rows, &err);
	if (status == DB_OK) {
		while (db_next(rows))
			db_int(rows, 0);
		status = db_finish(rows, &err);
	}
	assert_int_equal(status, DB_BROKEN);
	assert_non_null(strstr(err.message, says));
	assert_true(db_usable(c));
}

static void whole_numbers_of_any_type_are_read(void **state)
{
	struct db_conn *c = open_db(*state);
	assert_true(ask_int(c, "SELECT 9223372036854775807::numeric") == INT64_MAX);
	assert_true(ask_int(c, "SELECT -9223372036854775808::numeric") == INT64_MIN);
	assert_int_equal(ask_int(c, "SELECT 0::numeric"), 0);
	assert_int_equal(ask_int(c, "SELECT 10000::numeric"), 10000);
	assert_int_equal(ask_int(c, "SELECT 100000000::numeric"), 100000000);
	assert_int_equal(ask_int(c, "SELECT -123456789.000::numeric"), -123456789);
	assert_int_equal(ask_int(c, "SELECT -7::smallint"), -7);
	assert_int_equal(ask_int(c, "SELECT -70000::int"), -70000);
	assert_int_equal(ask_int(c, "SELECT 4294967295::oid") == 4294967295, 1);
	assert_int_equal(ask_int(c, "SELECT true"), 1);
	refused_column(c, "SELECT 9223372036854775808::numeric", "int64");
	refused_column(c, "SELECT -9223372036854775809::numeric", "int64");
	refused_column(c, "SELECT 1e300::numeric", "int64");
	refused_column(c, "SELECT 0.5::numeric", "int64");
	refused_column(c, "SELECT 'NaN'::numeric", "int64");
	refused_column(c, "SELECT 'text'", "number");
	refused_column(c, "SELECT 1.5::float8", "cast it");
	refused_column(c, "SELECT now()", "cast it");
	db_close(c);
}

static void passwords_are_not_told(void **state)
{
	static const char *const urls[] = {
		"postgres://me:s3cret-word@127.0.0.1:1/x",
		"postgres://127.0.0.1:1/x?user=me&password=s3cret-word",
		"postgres://me:s3cret-word@[::1/x",
		"postgres://me:s3cret-word@127.0.0.1:1/x?nonsense=1",
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
		struct error err = {0};
		struct db_conn *c;
		assert_true(db_open(urls[i], DB_OPEN_CREATE, "test", &c, &err) != DB_OK);
		assert_true(*err.message != '\0');
		assert_null(strstr(err.message, "s3cret-word"));
		assert_null(strstr(err.hint, "s3cret-word"));
	}
}

static void backups_are_left_to_pg_dump(void **state)
{
	struct db_conn *c = open_db(*state);
	struct error err = {0};
	assert_true(db_backup(c, "/tmp/never", &err) != DB_OK);
	assert_int_equal(err.code, ERR_CONFIG);
	assert_non_null(strstr(err.hint, "pg_dump"));
	db_close(c);
}

/* Opens the database and makes a table in it. */
static void *opens(void *url)
{
	struct error err = {0};
	struct db_conn *c;
	bool ok = db_open(url, DB_OPEN_CREATE, "test_db", &c, &err) == DB_OK;
	if (ok)
		db_close(c);
	return ok ? url : NULL;
}

static void a_schema_that_is_not_there_is_made(void **state)
{
	enum { AT_ONCE = 6 };
	const struct fixture *f = *state;
	char url[600], name[96], sql[200];
	pthread_t threads[AT_ONCE];
	struct error err = {0};
	struct db_conn *c;
	snprintf(name, sizeof(name), "%s_beside", f->schema);
	snprintf(url, sizeof(url), "%s_beside", f->url);
	/* Who only reads makes nothing. */
	c = open_how(url, DB_OPEN_READ_ONLY);
	assert_int_equal(ask_int(c, "SELECT CAST(current_schema() IS NULL AS INTEGER)"), 1);
	db_close(c);
	for (size_t i = 0; i < AT_ONCE; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, opens, url), 0);
	for (size_t i = 0; i < AT_ONCE; i++) {
		void *ok;
		pthread_join(threads[i], &ok);
		assert_non_null(ok);
	}
	c = open_how(url, DB_OPEN_CREATE);
	script(c, "CREATE TABLE mine (id BIGINT PRIMARY KEY)");
	snprintf(sql, sizeof(sql), "SELECT COUNT(*) FROM pg_tables WHERE tablename = 'mine' AND schemaname = '%s'", name);
	assert_int_equal(ask_int(c, sql), 1);
	snprintf(sql, sizeof(sql), "DROP SCHEMA %s CASCADE", name);
	script(c, sql);
	db_close(c);
	c = open_db(f);
	assert_int_equal(ask_int(c, "SELECT COUNT(*) FROM pg_tables WHERE tablename = 'mine' AND schemaname = current_schema()"), 0);
	db_close(c);
	/* A search path that names nothing. */
	snprintf(url, sizeof(url), "%s%soptions=-csearch_path%%3D", getenv("TANA_TEST_POSTGRES"), strchr(getenv("TANA_TEST_POSTGRES"), '?') ? "&" : "?");
	assert_true(db_open(url, DB_OPEN_CREATE, "test_db", &c, &err) != DB_OK);
	assert_true(err.message[0]);
}

DB_SQL(sql_touch, "UPDATE pair SET n = n + 1 WHERE id = $1");

struct crossing {
	struct db_conn *c;
	int64_t second;
	enum db_status status;
};

static void *touches_second(void *arg)
{
	struct crossing *x = arg;
	struct error err;
	x->status = db_run(x->c, &sql_touch, DB_ARGS(DB_INT(x->second)), NULL, &err);
	if (x->status == DB_OK)
		x->status = db_commit(x->c, &err);
	else
		db_rollback(x->c);
	return NULL;
}

static void a_deadlock_may_be_tried_again(void **state)
{
	struct error err = {0};
	struct db_conn *a = open_db(*state), *b = open_db(*state);
	script(a, "CREATE TABLE pair (id BIGINT PRIMARY KEY, n BIGINT); INSERT INTO pair VALUES (1, 0), (2, 0)");
	must(db_begin(a, DB_TXN_WRITE, &err), &err);
	must(db_begin(b, DB_TXN_WRITE, &err), &err);
	must(db_run(a, &sql_touch, DB_ARGS(DB_INT(1)), NULL, &err), &err);
	must(db_run(b, &sql_touch, DB_ARGS(DB_INT(2)), NULL, &err), &err);
	struct crossing of_a = {.c = a, .second = 2}, of_b = {.c = b, .second = 1};
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, touches_second, &of_a), 0);
	touches_second(&of_b);
	pthread_join(thread, NULL);
	assert_int_equal((of_a.status == DB_RETRY) + (of_b.status == DB_RETRY), 1);
	assert_int_equal((of_a.status == DB_OK) + (of_b.status == DB_OK), 1);
	assert_true(db_usable(a) && db_usable(b));
	db_close(a);
	db_close(b);
}

static void a_lock_held_too_long_is_unavailable(void **state)
{
	struct error err = {0};
	struct db_conn *a = open_db(*state), *b = open_db(*state);
	script(a, "CREATE TABLE pair (id BIGINT PRIMARY KEY, n BIGINT); INSERT INTO pair VALUES (1, 0)");
	script(b, "SET lock_timeout = '100ms'");
	must(db_begin(a, DB_TXN_WRITE, &err), &err);
	must(db_run(a, &sql_touch, DB_ARGS(DB_INT(1)), NULL, &err), &err);
	assert_int_equal(db_run(b, &sql_touch, DB_ARGS(DB_INT(1)), NULL, &err), DB_UNAVAILABLE);
	assert_true(db_usable(b));
	must(db_commit(a, &err), &err);
	must(db_run(b, &sql_touch, DB_ARGS(DB_INT(1)), NULL, &err), &err);
	db_close(a);
	db_close(b);
}

static void the_session_is_set_up(void **state)
{
	struct db_conn *c = open_db(*state);
	assert_int_equal(ask_int(c, "SELECT current_setting('lock_timeout') = '5s'"), 1);
	assert_int_equal(ask_int(c, "SELECT current_setting('client_encoding') = 'UTF8'"), 1);
	assert_int_equal(ask_int(c, "SELECT current_setting('application_name') = 'test_db'"), 1);
	db_close(c);
	char url[600];
	const char *base = ((struct fixture *)*state)->url;
	snprintf(url, sizeof(url), "%s&application_name=mine", base);
	c = open_how(url, DB_OPEN_CREATE);
	assert_int_equal(ask_int(c, "SELECT current_setting('application_name') = 'mine'"), 1);
	db_close(c);
}

/* Jobs that lose their own connection, at the worst moments. */

DB_SQL(sql_end_me, "SELECT COUNT(pg_terminate_backend(pg_backend_pid())::text)");

/* Ends the connection the first `filler` times. */
static enum db_status ends_its_connection(struct db_job *job, struct db_conn *c, struct error *err)
{
	struct entry *e = (struct entry *)job;
	size_t times = e->filler;
	e->filler = 0;
	enum db_status status = entry_run(job, c, err);
	e->filler = times;
	if (status == DB_OK && e->runs <= (int)times)
		status = db_run(c, &sql_end_me, DB_NO_ARGS, NULL, err);
	return status;
}

static void a_connection_lost_in_a_job_costs_only_that_job(void **state)
{
	enum { N = 40 };
	struct fixture *f = *state;
	struct db_pool *p = open_pool(f->url, QUEUE, GROUP, 5000);
	struct gate gate;
	sem_t ended;
	sem_init(&ended, 0, 0);
	struct entry *e = make_entries(N, 0, &ended);
	e[10].job.run = e[20].job.run = ends_its_connection;
	e[10].filler = 1;
	e[20].filler = 1000;
	close_gate(p, &gate);
	for (size_t i = 0; i < N; i++)
		submit(p, &e[i]);
	open_gate(&gate);
	wait_for(&ended, N);
	for (size_t i = 0; i < N; i++) {
		if (i == 20)
			assert_int_equal(e[i].status, DB_UNAVAILABLE);
		else if (e[i].status != DB_OK)
			fail_msg("entry %zu: %s", i, e[i].err.message);
	}
	assert_int_equal(e[10].runs, 2);
	assert_int_equal(e[20].runs, 1);
	assert_int_equal(journal_count(f->url, "id <> 20 AND id < 40"), N - 1);
	assert_int_equal(journal_count(f->url, "id = 20"), 0);
	struct db_pool_stats s;
	db_pool_get_stats(p, &s);
	assert_int_equal(s.reconnects, 2);
	must_write(p, 100);
	db_pool_close(p);
	free(e);
}

/* A trigger that waits for the COMMIT and then ends the connection: from here it cannot be told whether the change was kept. */
static void a_commit_without_answer_is_not_run_again(void **state)
{
	enum { N = 10 };
	struct fixture *f = *state;
	struct db_pool *p = open_pool(f->url, QUEUE, GROUP, 5000);
	struct db_conn *c = open_db(f);
	script(c, "CREATE FUNCTION end_me() RETURNS trigger LANGUAGE plpgsql AS"
		  " 'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(10); RETURN NULL; END';"
		  "CREATE CONSTRAINT TRIGGER end_me AFTER INSERT ON journal DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.id = 5)"
		  " EXECUTE FUNCTION end_me()");
	db_close(c);
	struct gate gate;
	sem_t ended;
	sem_init(&ended, 0, 0);
	struct entry *e = make_entries(N, 0, &ended);
	close_gate(p, &gate);
	for (size_t i = 0; i < N; i++)
		submit(p, &e[i]);
	open_gate(&gate);
	wait_for(&ended, N);
	for (size_t i = 0; i < N; i++) {
		assert_int_equal(e[i].status, DB_UNAVAILABLE);
		assert_int_equal(e[i].runs, 1);
	}
	must_write(p, 100);
	db_pool_close(p);
	free(e);
}

/* Ends the pool's connections; returns how many there were. */
static int64_t end_pool(struct db_conn *c)
{
	char sql[160];
	snprintf(sql, sizeof(sql), "SELECT COUNT(pg_terminate_backend(pid)::text) FROM pg_stat_activity WHERE application_name = '%s'", pool_name());
	return ask_int(c, sql);
}

static void an_idle_connection_that_died_is_replaced(void **state)
{
	struct fixture *f = *state;
	struct error err = {0};
	struct db_pool *p = open_pool(f->url, QUEUE, GROUP, 5000);
	must_write(p, 1);
	struct db_conn *reader = db_pool_reader(p, &err);
	assert_non_null(reader);
	db_pool_release(p, reader);
	struct db_conn *c = open_db(f);
	assert_true(end_pool(c) > 0);
	db_close(c);
	sleep_ms(100);
	for (int i = 0; i < 4; i++) {
		reader = db_pool_reader(p, &err);
		assert_non_null(reader);
		assert_int_equal(ask_int(reader, "SELECT COUNT(*) FROM journal"), 1 + i);
		db_pool_release(p, reader);
		must_write(p, 2 + i);
	}
	db_pool_close(p);
}

/* Writers and readers while the connections die. */

struct storm {
	struct db_pool *p;
	atomic_bool *stop;
	int64_t next; /* id */
	struct {
		enum db_status status;
	} *results;
	size_t written, kept, unavailable, other, read, read_failures;
};

enum { STORM_WRITERS = 4, STORM_MAX = 1 << 16 };

static void *storm_writer(void *arg)
{
	struct storm *s = arg;
	struct error err;
	while (!atomic_load(s->stop) && s->written < STORM_MAX) {
		enum db_status status = write_entry(s->p, s->next + (int64_t)s->written, 0, &err);
		s->results[s->written++].status = status;
		s->kept += status == DB_OK;
		s->unavailable += status == DB_UNAVAILABLE;
		s->other += status != DB_OK && status != DB_UNAVAILABLE;
	}
	return NULL;
}

static void *storm_reader(void *arg)
{
	struct storm *s = arg;
	struct error err;
	DB_SQL(sql_count, "SELECT COUNT(*) FROM journal");
	while (!atomic_load(s->stop)) {
		struct db_conn *c = db_pool_reader(s->p, &err);
		if (!c) {
			s->read_failures++;
			continue;
		}
		enum db_status status = db_run(c, &sql_count, DB_NO_ARGS, NULL, &err);
		s->read++;
		s->read_failures += status == DB_UNAVAILABLE;
		s->other += status != DB_OK && status != DB_UNAVAILABLE;
		db_pool_release(s->p, c);
		sleep_ms(1);
	}
	return NULL;
}

/* Runs the storm while `trouble` makes trouble, and checks that each kept promise holds and nothing worse than DB_UNAVAILABLE was said. */
static void weather(const char *url, void (*trouble)(struct db_pool *p, void *arg), void *arg)
{
	struct db_pool *p = open_pool(url, QUEUE, GROUP, 1000);
	struct storm storms[STORM_WRITERS + 1] = {{0}};
	pthread_t threads[STORM_WRITERS + 1];
	atomic_bool stop = false;
	for (int i = 0; i <= STORM_WRITERS; i++) {
		storms[i] = (struct storm){.p = p, .stop = &stop, .next = (int64_t)i * STORM_MAX};
		storms[i].results = calloc(STORM_MAX, sizeof(*storms[i].results));
		assert_int_equal(pthread_create(&threads[i], NULL, i < STORM_WRITERS ? storm_writer : storm_reader, &storms[i]), 0);
	}
	trouble(p, arg);
	wait_ready(p, true);
	sleep_ms(100);
	atomic_store(&stop, true);
	for (int i = 0; i <= STORM_WRITERS; i++)
		pthread_join(threads[i], NULL);
	must_write(p, -1);
	struct error err = {0};
	struct db_conn *reader = db_pool_reader(p, &err);
	assert_non_null(reader);
	DB_SQL(sql_there, "SELECT COUNT(*) FROM journal WHERE id = $1");
	for (int i = 0; i < STORM_WRITERS; i++) {
		assert_int_equal(storms[i].other, 0);
		assert_true(storms[i].kept > 0);
		for (size_t k = 0; k < storms[i].written; k++) {
			struct db_rows *rows;
			if (storms[i].results[k].status != DB_OK)
				continue;
			must(db_query(reader, &sql_there, DB_ARGS(DB_INT(storms[i].next + (int64_t)k)), &rows, &err), &err);
			assert_true(db_next(rows));
			assert_int_equal(db_int(rows, 0), 1);
			must(db_finish(rows, &err), &err);
		}
	}
	assert_int_equal(storms[STORM_WRITERS].other, 0);
	assert_true(storms[STORM_WRITERS].read > 0);
	db_pool_release(p, reader);
	db_pool_close(p);
	for (int i = 0; i <= STORM_WRITERS; i++)
		free(storms[i].results);
}

static void end_connections(struct db_pool *p, void *fixture)
{
	(void)p;
	struct db_conn *c = open_db(fixture);
	for (int i = 0; i < 8; i++) {
		sleep_ms(100);
		bool ended = false;
		for (int64_t end = clock_mono_ms() + PATIENCE_MS; !ended && clock_mono_ms() < end; sleep_ms(5))
			ended = end_pool(c) > 0;
		assert_true(ended);
	}
	db_close(c);
}

static void connections_ended_under_load(void **state)
{
	weather(((struct fixture *)*state)->url, end_connections, *state);
}

static void pg_temp(const char *verb, const char *dir)
{
	char command[1024];
	const char *vectors = getenv("TANA_VECTORS");
	snprintf(command, sizeof(command), "%s%s/pg-temp.sh %s %s >%s/pg-temp.out 2>&1", vectors ? vectors : "", vectors ? "/.." : "tests", verb, dir, dir);
	shell(command);
}

static void restart_twice(struct db_pool *p, void *dir)
{
	struct error err;
	sleep_ms(200);
	pg_temp("restart", dir);
	wait_ready(p, true);
	sleep_ms(200);

	/* Down for longer than anyone is patient. */
	pg_temp("down", dir);
	wait_ready(p, false);
	int64_t start = clock_mono_ms();
	assert_int_equal(write_entry(p, -10, 0, &err), DB_UNAVAILABLE);
	assert_in_range(clock_mono_ms() - start, 900, 4000);
	assert_null(db_pool_reader(p, &err));
	assert_int_equal(err.code, ERR_UNAVAILABLE);
	pg_temp("up", dir);
}

/* A server of its own: others may be using the one that was given. */
static void a_server_restarted_under_load(void **state)
{
	struct fixture *f = *state;
	char out[128], url[256] = "";
	snprintf(out, sizeof(out), "%s/pg-temp.out", f->dir);
	pg_temp("start", f->dir);
	FILE *file = fopen(out, "r");
	assert_non_null(file);
	assert_non_null(fgets(url, sizeof(url), file));
	fclose(file);
	url[strcspn(url, "\n")] = '\0';
	weather(url, restart_twice, f->dir);
	pg_temp("stop", f->dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		DB_CASE(whole_numbers_of_any_type_are_read),
		DB_CASE(passwords_are_not_told),
		DB_CASE(a_schema_that_is_not_there_is_made),
		DB_CASE(backups_are_left_to_pg_dump),
		DB_CASE(a_deadlock_may_be_tried_again),
		DB_CASE(a_lock_held_too_long_is_unavailable),
		DB_CASE(the_session_is_set_up),
		DB_CASE(a_connection_lost_in_a_job_costs_only_that_job),
		DB_CASE(a_commit_without_answer_is_not_run_again),
		DB_CASE(an_idle_connection_that_died_is_replaced),
		DB_CASE(connections_ended_under_load),
		DB_CASE(a_server_restarted_under_load),
	};
	if (!quiet_log())
		return 1;
	return run_on_postgres(tests, ARRAY_LEN(tests));
}
