/* ledgerd: refusals are written once, also when the answer to their commit was lost. */
#include "db_pool_fixture.h"

#include "base/attrs.h"
#include "ledgerd/core_inside.h"
#include "ledgerd/ledger_feed.h"
#include "ledgerd/ledger_schema.h"

enum { HEIGHT = 5, MANY = 4 };

/* A store whose part of the job is to lose answers. */
struct losing_store {
	struct mempool_store store; /* first */
	enum { ANSWERS, LOSES_ANSWERS, LOSES_ALL } how;
	size_t settled;
};

static enum db_status remove_in(struct mempool_store *s, struct db_conn *c, const struct mempool_handle *handles, size_t count, struct error *err)
{
	const struct losing_store *l = (const struct losing_store *)s;
	(void)handles;
	(void)count;
	if (l->how == ANSWERS)
		return DB_OK;
	if (l->how == LOSES_ANSWERS)
		must(db_commit(c, err), err);
	error_set(err, ERR_UNAVAILABLE, "the connection was lost");
	return DB_UNAVAILABLE;
}

static void settled(struct mempool_store *s, const struct mempool_handle *handles, size_t count)
{
	(void)handles;
	((struct losing_store *)s)->settled += count;
}

struct world {
	struct ledger ledger;
	struct core core;
	struct losing_store store;
	struct core_pending pending[MANY];
};

static void begin(struct world *w, const struct fixture *f)
{
	static const struct mempool_store_ops ops = {.remove_in = remove_in, .settled = settled};
	const struct db_pool_options o = {.url = f->url, .name = "test", .readers = 1, .queue_max = 100, .group_max = 16, .patience_ms = 2000};
	struct error err = {0};
	*w = (struct world){.store = {.store = {&ops}}};
	w->ledger.pool = db_pool_open(&o, ledger_migrations, ledger_migration_count, &err);
	assert_non_null(w->ledger.pool);
	w->core.l = &w->ledger;
	w->core.store = &w->store.store;
	w->core.chain.height = w->core.refusals_height = HEIGHT;
	pthread_mutex_init(&w->core.lock, NULL);
	for (int i = 0; i < MANY; i++) {
		w->pending[i].append.message = STR_LIT("{}");
		w->pending[i].append.id.b[0] = (uint8_t)(i + 1);
	}
}

static void end(struct world *w)
{
	db_pool_close(w->ledger.pool);
	pthread_mutex_destroy(&w->core.lock);
}

/* Refuses those of these numbers. */
static bool refuse(struct world *w, const int *which, size_t n, enum error_code *code)
{
	struct core_refusal refusals[MANY];
	struct mempool_handle handles[MANY];
	struct error err;
	for (size_t i = 0; i < n; i++) {
		refusals[i] = (struct core_refusal){.pending = &w->pending[which[i]]};
		error_set(&refusals[i].why, ERR_INSUFFICIENT_FUNDS, "none");
		handles[i] = (struct mempool_handle){(uint64_t)which[i], 0};
	}
	bool ok = core_commit(&w->core, NULL, handles, n, refusals, n, &err);
	*code = ok ? ERR_COUNT : err.code;
	return ok;
}

static void expect_rows(const struct fixture *f, int64_t rows, int64_t events)
{
	char sql[200];
	struct db_conn *c = open_db(f);
	assert_int_equal(ask_int(c, "SELECT COUNT(*) FROM local_refused"), rows);
	snprintf(sql, sizeof sql, "SELECT COUNT(DISTINCT event_id) FROM local_refused WHERE event_id >= %lld AND event_id < %lld",
		 (long long)ledger_event_refusal(HEIGHT, 0), (long long)ledger_event_refusal(HEIGHT, events));
	assert_int_equal(ask_int(c, sql), rows);
	db_close(c);
}

/* It was kept: that is found out, and nothing is written again. */
static void the_answer_was_lost(void **state)
{
	const struct fixture *f = *state;
	struct world w;
	enum error_code code;
	begin(&w, f);
	w.store.how = LOSES_ANSWERS;
	assert_true(refuse(&w, (const int[]){0, 1}, 2, &code));
	assert_int_equal(w.store.settled, 2);
	expect_rows(f, 2, 2);
	w.store.how = ANSWERS;
	assert_true(refuse(&w, (const int[]){2}, 1, &code));
	expect_rows(f, 3, 3);
	end(&w);
}

/* It was not kept; or comes to be kept when that was looked for already, which a row that stands in the way makes believe here. */
static void more_was_lost_than_the_answer(void **state)
{
	const struct fixture *f = *state;
	struct world w;
	enum error_code code;
	begin(&w, f);
	w.store.how = LOSES_ALL;
	assert_false(refuse(&w, (const int[]){0, 1}, 2, &code));
	assert_int_equal(code, ERR_UNAVAILABLE);
	assert_int_equal(w.store.settled, 0);
	expect_rows(f, 0, 0);
	/* The commit of before, late. */
	char sql[300];
	struct db_conn *c = open_db(f);
	snprintf(sql, sizeof sql, "INSERT INTO local_refused (id, code, error, message, signature, refused_at, event_id) VALUES ('01%062d', 'x', 'x', '{}', '', 1, %lld)",
		 0, (long long)ledger_event_refusal(HEIGHT, 0));
	script(c, sql);
	db_close(c);
	/* Again, and others before them meanwhile. */
	w.store.how = ANSWERS;
	assert_true(refuse(&w, (const int[]){3, 2, 0, 1}, 4, &code));
	expect_rows(f, 4, 6);
	end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {DB_CASE(the_answer_was_lost), DB_CASE(more_was_lost_than_the_answer)};
	if (!quiet_log())
		return 1;
	return run_on_sqlite(tests, ARRAY_LEN(tests)) + run_on_postgres(tests, ARRAY_LEN(tests));
}
