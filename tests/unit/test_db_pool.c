/* db: the pool's writer and readers, on both databases alike. */
#include "db_pool_fixture.h"

enum { QUEUE = 4096, GROUP = 64, PATIENCE_MS = 2000 };

static struct db_pool *open_default(void **state)
{
	return open_pool(((struct fixture *)*state)->url, QUEUE, GROUP, PATIENCE_MS);
}

static void a_write_is_there_for_others(void **state)
{
	struct db_pool *p = open_default(state);
	const char *url = ((struct fixture *)*state)->url;
	struct error err = {0};
	must_write(p, 1);
	assert_int_equal(journal_count(url, "id = 1"), 1);
	assert_int_equal(write_entry(p, 1, 0, &err), DB_CONFLICT);
	assert_int_equal(err.code, ERR_ALREADY_EXISTS);
	must_write(p, 2);
	assert_int_equal(db_pool_kind(p), ((struct fixture *)*state)->kind);
	assert_true(db_pool_ready(p, &err));
	db_pool_close(p);
	assert_int_equal(journal_count(url, "1 = 1"), 2);
}

static void a_group_shares_a_commit_and_keeps_the_order(void **state)
{
	enum { N = 200 };
	struct db_pool *p = open_default(state);
	struct db_pool_stats before, after;
	struct gate gate;
	sem_t ended;
	sem_init(&ended, 0, 0);
	struct entry *e = make_entries(N, 0, &ended);
	close_gate(p, &gate);
	db_pool_get_stats(p, &before);
	for (size_t i = 0; i < N; i++)
		submit(p, &e[i]);
	db_pool_get_stats(p, &after);
	assert_int_equal(after.queue_length, N);
	open_gate(&gate);
	wait_for(&ended, N);
	db_pool_close(p);
	for (size_t i = 0; i < N; i++) {
		assert_int_equal(e[i].status, DB_OK);
		assert_int_equal(e[i].runs, 1);
	}
	assert_int_equal(journal_count(((struct fixture *)*state)->url, "id = place"), N);
	free(e);

	p = open_default(state);
	db_pool_get_stats(p, &after);
	assert_int_equal(after.commits + after.jobs + after.queue_length, 0);
	db_pool_close(p);
}

static void commits_are_counted(void **state)
{
	enum { N = GROUP };
	struct db_pool *p = open_default(state);
	struct db_pool_stats s;
	struct gate gate;
	sem_t ended;
	sem_init(&ended, 0, 0);
	struct entry *e = make_entries(N, 0, &ended);
	close_gate(p, &gate);
	for (size_t i = 0; i < N; i++)
		submit(p, &e[i]);
	open_gate(&gate);
	wait_for(&ended, N);
	must_write(p, N);
	/* What `done` was called for is counted when the writer looks at its queue again. */
	struct error err = {0};
	int64_t deadline = clock_mono_ms() + 5000;
	do {
		db_pool_get_stats(p, &s);
	} while (s.jobs != N + 2 && clock_mono_ms() < deadline);
	assert_int_equal(s.jobs, N + 2);
	assert_int_equal(s.commits, 3);
	assert_int_equal(s.failed_commits, 0);
	assert_int_equal(s.reconnects, 0);
	assert_true(s.commit_seconds_total_ns > 0);
	assert_int_equal(write_entry(p, N, 0, &err), DB_CONFLICT);
	db_pool_get_stats(p, &s);
	assert_int_equal(s.failed_commits, 2); /* with its group, and alone */
	db_pool_close(p);
	free(e);
}

struct crowd {
	struct db_pool *p;
	int64_t first;
	int failures;
};

enum { CROWD = 8, EACH = 50 };

static void *writes(void *arg)
{
	struct crowd *c = arg;
	struct error err;
	for (int64_t i = 0; i < EACH; i++)
		c->failures += write_entry(c->p, c->first + i, 0, &err) != DB_OK;
	return NULL;
}

static void many_threads_write_at_once(void **state)
{
	struct db_pool *p = open_default(state);
	struct crowd crowd[CROWD];
	pthread_t threads[CROWD];
	for (int i = 0; i < CROWD; i++) {
		crowd[i] = (struct crowd){.p = p, .first = (int64_t)i * EACH};
		assert_int_equal(pthread_create(&threads[i], NULL, writes, &crowd[i]), 0);
	}
	for (int i = 0; i < CROWD; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(crowd[i].failures, 0);
	}
	struct db_pool_stats s;
	db_pool_get_stats(p, &s);
	assert_in_range(s.commits, 1, CROWD * EACH);
	assert_int_equal(journal_count(((struct fixture *)*state)->url, "1 = 1"), CROWD * EACH);
	db_pool_close(p);
}

static enum db_status refuses(struct db_job *job, struct db_conn *c, struct error *err)
{
	(void)c;
	((struct entry *)job)->runs++;
	error_set(err, ERR_INTERNAL, "by choice");
	return DB_BROKEN;
}

/* Hides the database's refusal, which must not make it a success. */
static enum db_status hides_a_conflict(struct db_job *job, struct db_conn *c, struct error *err)
{
	enum db_status status = entry_run(job, c, err);
	return status == DB_CONFLICT ? DB_OK : status;
}

static void a_bad_job_harms_no_other(void **state)
{
	enum { N = 60 };
	struct db_pool *p = open_default(state);
	struct gate gate;
	sem_t ended;
	sem_init(&ended, 0, 0);
	struct entry *e = make_entries(N, 0, &ended);
	e[10].id = 5;
	e[20].job.run = refuses;
	e[30].id = 6;
	e[30].job.run = hides_a_conflict;
	close_gate(p, &gate);
	for (size_t i = 0; i < N; i++)
		submit(p, &e[i]);
	open_gate(&gate);
	wait_for(&ended, N);
	db_pool_close(p);
	for (size_t i = 0; i < N; i++) {
		assert_int_equal(e[i].status, i == 10 || i == 30 ? DB_CONFLICT : i == 20 ? DB_BROKEN : DB_OK);
		assert_in_range(e[i].runs, 1, 2);
	}
	assert_string_equal(e[20].err.message, "by choice");
	assert_int_equal(journal_count(((struct fixture *)*state)->url, "1 = 1"), N - 3);
	free(e);
}

static int together_calls;
static size_t together_jobs;

static enum db_status together(struct db_job **jobs, size_t count, struct db_conn *c, struct error *err)
{
	struct db_value v[GROUP][2];
	struct db_args args[GROUP];
	together_calls++;
	together_jobs += count;
	for (size_t i = 0; i < count; i++) {
		struct entry *e = (struct entry *)jobs[i];
		v[i][0] = DB_INT(e->id);
		v[i][1] = DB_NULL;
		args[i] = (struct db_args){v[i], 2};
	}
	return db_run_many(c, &sql_journal, args, count, NULL, NULL, err);
}

static void neighbours_run_together(void **state)
{
	enum { N = 30 };
	struct db_pool *p = open_default(state);
	struct gate gate;
	sem_t ended;
	sem_init(&ended, 0, 0);
	struct entry *e = make_entries(2 * N, 0, &ended);
	for (size_t i = 0; i < 2 * N; i++)
		e[i].job.run_many = i % N == 12 ? NULL : together; /* 0-11, 13-41, 43-59 */
	close_gate(p, &gate);
	together_calls = 0;
	together_jobs = 0;
	for (size_t i = 0; i < 2 * N; i++)
		submit(p, &e[i]);
	open_gate(&gate);
	wait_for(&ended, 2 * N);
	assert_int_equal(together_calls, 3);
	assert_int_equal(together_jobs, 2 * N - 2);
	for (size_t i = 0; i < 2 * N; i++)
		assert_int_equal(e[i].runs, i % N == 12);
	assert_int_equal(journal_count(((struct fixture *)*state)->url, "id = place"), 2 * N);

	/* One that cannot be kept: then each by itself. */
	struct entry *f = make_entries(N, 100, &ended);
	for (size_t i = 0; i < N; i++)
		f[i].job.run_many = together;
	f[7].id = 3;
	close_gate(p, &gate);
	for (size_t i = 0; i < N; i++)
		submit(p, &f[i]);
	open_gate(&gate);
	wait_for(&ended, N);
	db_pool_close(p);
	for (size_t i = 0; i < N; i++) {
		assert_int_equal(f[i].status, i == 7 ? DB_CONFLICT : DB_OK);
		assert_int_equal(f[i].runs, 1);
	}
	assert_int_equal(journal_count(((struct fixture *)*state)->url, "1 = 1"), 3 * N - 1);
	free(e);
	free(f);
}

/* Asks for another try until it has run `filler` times. */
static enum db_status fails_at_first(struct db_job *job, struct db_conn *c, struct error *err)
{
	struct entry *e = (struct entry *)job;
	if (e->runs + 1 < (int)e->filler) {
		e->runs++;
		error_set(err, ERR_UNAVAILABLE, "deadlock");
		return DB_RETRY;
	}
	size_t tries = e->filler;
	e->filler = 0;
	enum db_status status = entry_run(job, c, err);
	e->filler = tries;
	return status;
}

static void retries_end(void **state)
{
	struct db_pool *p = open_default(state);
	struct error err = {0};
	struct entry e = {.job = {.run = fails_at_first}, .id = 1, .filler = 7};
	must(db_pool_write(p, &e.job, &err), &err);
	assert_int_equal(e.runs, 7);
	e = (struct entry){.job = {.run = fails_at_first}, .id = 2, .filler = 1000};
	assert_int_equal(db_pool_write(p, &e.job, &err), DB_RETRY);
	assert_in_range(e.runs, 4, 20);
	must_write(p, 3);
	db_pool_close(p);
}

static void a_full_queue_refuses(void **state)
{
	enum { N = 5 };
	struct error err = {0};
	struct db_pool *p = open_pool(((struct fixture *)*state)->url, N, GROUP, PATIENCE_MS);
	struct gate gate;
	sem_t ended;
	sem_init(&ended, 0, 0);
	struct entry *e = make_entries(N + 1, 0, &ended);
	close_gate(p, &gate);
	for (size_t i = 0; i < N; i++)
		submit(p, &e[i]);
	assert_false(db_pool_submit(p, &e[N].job, &err));
	assert_int_equal(err.code, ERR_OVERLOADED);
	assert_int_equal(db_pool_write(p, &e[N].job, &err), DB_UNAVAILABLE);
	assert_int_equal(err.code, ERR_OVERLOADED);
	open_gate(&gate);
	wait_for(&ended, N);
	submit(p, &e[N]);
	wait_for(&ended, 1);
	db_pool_close(p);
	assert_int_equal(e[N].status, DB_OK);
	free(e);
}

static void *closes(void *pool)
{
	db_pool_close(pool);
	return NULL;
}

static void closing_finishes_what_was_taken(void **state)
{
	enum { N = 150 };
	struct error err = {0};
	struct db_pool *p = open_default(state);
	struct gate gate;
	sem_t ended;
	pthread_t closer;
	sem_init(&ended, 0, 0);
	struct entry *e = make_entries(2 * N, 0, &ended);
	close_gate(p, &gate);
	for (size_t i = 0; i < N; i++)
		submit(p, &e[i]);
	assert_int_equal(pthread_create(&closer, NULL, closes, p), 0);
	/* The pool lives as long as the gate is shut; what got in before the closing began is not refused. */
	size_t taken = N;
	while (taken < 2 * N && db_pool_submit(p, &e[taken].job, &err)) {
		taken++;
		sleep_ms(10);
	}
	assert_in_range(taken, N, 2 * N - 1);
	assert_int_equal(err.code, ERR_SHUTTING_DOWN);
	open_gate(&gate);
	pthread_join(closer, NULL);
	wait_for(&ended, taken);
	for (size_t i = 0; i < taken; i++)
		assert_int_equal(e[i].status, DB_OK);
	assert_int_equal(journal_count(((struct fixture *)*state)->url, "1 = 1"), taken);
	free(e);
}

struct borrower {
	struct db_pool *p;
	struct db_conn *c;
};

static void *gives_back(void *arg)
{
	struct borrower *b = arg;
	sleep_ms(100);
	db_pool_release(b->p, b->c);
	return NULL;
}

static void readers_are_shared(void **state)
{
	struct error err = {0};
	struct db_pool *p = open_pool(((struct fixture *)*state)->url, QUEUE, GROUP, 400);
	must_write(p, 1);
	struct db_conn *one = db_pool_reader(p, &err), *two = db_pool_reader(p, &err);
	assert_non_null(one);
	assert_non_null(two);
	assert_ptr_not_equal(one, two);
	assert_int_equal(ask_int(one, "SELECT COUNT(*) FROM journal"), 1);
	assert_int_equal(ask_int(two, "SELECT COUNT(*) FROM journal"), 1);
	int64_t start = clock_mono_ms();
	assert_null(db_pool_reader(p, &err));
	assert_int_equal(err.code, ERR_UNAVAILABLE);
	assert_in_range(clock_mono_ms() - start, 399, 3000);

	/* One comes back while we wait. */
	struct borrower b = {.p = p, .c = two};
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, gives_back, &b), 0);
	struct db_conn *again = db_pool_reader(p, &err);
	pthread_join(thread, NULL);
	assert_ptr_equal(again, two);

	/* A transaction left open is not handed to the next one. */
	must(db_begin(again, DB_TXN_SNAPSHOT, &err), &err);
	assert_int_equal(ask_int(again, "SELECT COUNT(*) FROM journal"), 1);
	db_pool_release(p, again);
	must_write(p, 2);
	again = db_pool_reader(p, &err);
	assert_int_equal(ask_int(again, "SELECT COUNT(*) FROM journal"), 2);
	must(db_begin(again, DB_TXN_SNAPSHOT, &err), &err);
	db_pool_release(p, again);
	db_pool_release(p, one);
	db_pool_close(p);
}

static void a_bad_database_is_told_at_start(void **state)
{
	struct error err = {0};
	struct db_pool_options o = {.url = "nonsense", .name = "test", .readers = 1, .queue_max = 1, .group_max = 1, .patience_ms = 100};
	assert_null(db_pool_open(&o, pool_schema, 1, &err));
	assert_int_equal(err.code, ERR_CONFIG);
	o.url = ((struct fixture *)*state)->url;
	struct db_pool *p = db_pool_open(&o, pool_schema, 1, &err);
	assert_non_null(p);
	db_pool_close(p);
	assert_null(db_pool_open(&o, pool_schema, 0, &err));
	assert_int_equal(err.code, ERR_CONFIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		DB_CASE(a_write_is_there_for_others),
		DB_CASE(a_group_shares_a_commit_and_keeps_the_order),
		DB_CASE(commits_are_counted),
		DB_CASE(many_threads_write_at_once),
		DB_CASE(a_bad_job_harms_no_other),
		DB_CASE(neighbours_run_together),
		DB_CASE(retries_end),
		DB_CASE(a_full_queue_refuses),
		DB_CASE(closing_finishes_what_was_taken),
		DB_CASE(readers_are_shared),
		DB_CASE(a_bad_database_is_told_at_start),
	};
	if (!quiet_log())
		return 1;
	return run_on_sqlite(tests, ARRAY_LEN(tests)) + run_on_postgres(tests, ARRAY_LEN(tests));
}
