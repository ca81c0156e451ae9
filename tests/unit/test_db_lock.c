/* db: the lock that one process holds on a database as long as it lives. */
#include "db_fixture.h"

#include <signal.h>
#include <sys/wait.h>

#include "base/attrs.h"
#include "db/db_lock.h"

static struct db_lock *take(const char *url, const char *name)
{
	struct error err = {0};
	struct db_lock *l = db_lock_take(url, name, &err);
	if (!l)
		fail_msg("%s: %s", name, err.message);
	return l;
}

static void refused(const char *url, const char *name, enum error_code code)
{
	struct error err = {0};
	assert_null(db_lock_take(url, name, &err));
	assert_int_equal(err.code, code);
	assert_true(*err.message);
}

static void make_database(const struct fixture *f)
{
	struct db_conn *c = open_db(f);
	script(c, "CREATE TABLE t (id BIGINT PRIMARY KEY)");
	db_close(c);
}

static void one_holds_it_until_it_lets_go(void **state)
{
	const struct fixture *f = *state;
	struct error err = {0};
	make_database(f);
	struct db_lock *first = take(f->url, "producer");
	assert_true(db_lock_held(first, &err));
	refused(f->url, "producer", ERR_WRONG_STATE);
	refused(f->url, "producer", ERR_WRONG_STATE); /* asking takes nothing */
	struct db_lock *other = take(f->url, "other");
	db_lock_release(first);
	first = take(f->url, "producer");
	refused(f->url, "other", ERR_WRONG_STATE);
	db_lock_release(other);
	db_lock_release(first);
	db_lock_release(NULL);
}

static void it_goes_with_its_process(void **state)
{
	const struct fixture *f = *state;
	int ready[2], status;
	char byte;
	make_database(f);
	assert_int_equal(pipe(ready), 0);
	pid_t child = fork();
	if (child == 0) {
		struct error err;
		const struct db_lock *l = db_lock_take(f->url, "producer", &err);
		byte = l ? 'y' : 'n';
		if (write(ready[1], &byte, 1) == 1 && l)
			pause();
		_exit(1);
	}
	assert_true(child > 0);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(byte, 'y');
	refused(f->url, "producer", ERR_WRONG_STATE);
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	/* A server notices by the closed connection, a moment later. */
	struct error err;
	struct db_lock *l = db_lock_take(f->url, "producer", &err);
	for (int i = 0; !l && i < 3000; i++) {
		usleep(10000);
		l = db_lock_take(f->url, "producer", &err);
	}
	assert_non_null(l);
	db_lock_release(l);
	close(ready[0]);
	close(ready[1]);
}

/* Files beside each other, or schemas of one PostgreSQL database. */
static void databases_have_locks_of_their_own(void **state)
{
	const struct fixture *f = *state;
	char url[600];
	snprintf(url, sizeof url, "%s_beside", f->url);
	struct db_lock *one = take(f->url, "producer"), *two = take(url, "producer");
	refused(f->url, "producer", ERR_WRONG_STATE);
	refused(url, "producer", ERR_WRONG_STATE);
	db_lock_release(one);
	refused(url, "producer", ERR_WRONG_STATE);
	one = take(f->url, "producer");
	db_lock_release(one);
	db_lock_release(two);
	if (f->kind == DB_POSTGRES) {
		char sql[100];
		snprintf(sql, sizeof sql, "DROP SCHEMA %s_beside", f->schema);
		struct db_conn *c = open_db(f);
		script(c, sql);
		db_close(c);
	}
}

static void where_nothing_can_be_locked(void **state)
{
	char url[5000];
	(void)state;
	refused("sqlite:/nonexistent-directory/x.db", "producer", ERR_IO);
	refused("postgres://127.0.0.1:1/x", "producer", ERR_UNAVAILABLE);
	refused("mysql://x", "producer", ERR_CONFIG);
	memset(url, 'x', sizeof url);
	memcpy(url, "sqlite:/", 8);
	url[sizeof url - 1] = '\0';
	refused(url, "producer", ERR_CONFIG);
}

static void a_lost_connection_is_noticed(void **state)
{
	const struct fixture *f = *state;
	struct error err;
	struct db_lock *l = take(f->url, "a-lost-one");
	struct db_conn *c = open_db(f);
	assert_true(db_lock_held(l, &err));
	assert_int_equal(ask_int(c, "SELECT COUNT(pg_terminate_backend(pid)::text) FROM pg_stat_activity WHERE application_name = 'a-lost-one'"), 1);
	assert_false(db_lock_held(l, &err));
	assert_int_equal(err.code, ERR_UNAVAILABLE);
	db_lock_release(l);
	db_lock_release(take(f->url, "a-lost-one"));
	db_close(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		DB_CASE(one_holds_it_until_it_lets_go),
		DB_CASE(it_goes_with_its_process),
		DB_CASE(databases_have_locks_of_their_own),
	};
	const struct CMUnitTest sqlite_only[] = {DB_CASE(where_nothing_can_be_locked)}, postgres_only[] = {DB_CASE(a_lost_connection_is_noticed)};
	if (!quiet_log())
		return 1;
	return run_on_sqlite(tests, ARRAY_LEN(tests)) + run_on_sqlite(sqlite_only, 1) + run_on_postgres(tests, ARRAY_LEN(tests)) + run_on_postgres(postgres_only, 1);
}
