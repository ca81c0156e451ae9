#include "mempool_db.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "base/mem.h"

enum { PAGE = 1000 };

DB_SQL_ARRAYS(SQL_PUT, "INSERT INTO local_pending (seq, message, signature, received_at) VALUES ($1, $2, $3, $4)",
	      "INSERT INTO local_pending (seq, message, signature, received_at) SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[])");
DB_SQL(SQL_DROP, "DELETE FROM local_pending WHERE seq >= $1 AND seq <= $2");
DB_SQL(SQL_PAGE, "SELECT seq, message, signature, received_at FROM local_pending WHERE seq > $1 ORDER BY seq LIMIT $2");

struct mempool_db {
	struct mempool_store store; /* first */
	struct db_pool *pool;
	struct mempool_events events;
	pthread_t reader; /* offers what was kept */
	bool reader_runs;
	pthread_mutex_t lock; /* what follows */
	pthread_cond_t idle;
	uint64_t next;        /* of the entries' numbers */
	size_t under_way;     /* appends that were not answered */
	bool stopping;
};

/* ---- Appending ---- */

struct append_job {
	struct db_job job; /* first: the pool's */
	struct mempool_db *m;
	struct mempool_append *append;
	uint64_t seq;
};

enum { PUT_ARGS = 4, PUT_MANY = 128 };

static void put_args(const struct append_job *j, struct db_value v[PUT_ARGS], char signature[ED25519_SIGNATURE_TEXT_LEN + 1])
{
	const struct mempool_append *a = j->append;
	ed25519_signature_to_text(&a->signature, signature);
	v[0] = DB_INT((int64_t)j->seq);
	v[1] = DB_TEXT(a->message);
	v[2] = DB_TEXT(str_of(signature, ED25519_SIGNATURE_TEXT_LEN));
	v[3] = DB_INT(a->received_at);
}

static enum db_status run_append(struct db_job *job, struct db_conn *c, struct error *err)
{
	struct db_value v[PUT_ARGS];
	char signature[ED25519_SIGNATURE_TEXT_LEN + 1];
	put_args((struct append_job *)job, v, signature);
	return db_run(c, &SQL_PUT, (struct db_args){v, PUT_ARGS}, NULL, err);
}

static enum db_status run_appends(struct db_job **jobs, size_t count, struct db_conn *c, struct error *err)
{
	struct db_value v[PUT_MANY][PUT_ARGS];
	char signature[PUT_MANY][ED25519_SIGNATURE_TEXT_LEN + 1];
	struct db_args args[PUT_MANY];
	for (size_t done = 0; done < count;) {
		size_t n = count - done < PUT_MANY ? count - done : PUT_MANY;
		for (size_t i = 0; i < n; i++) {
			put_args((struct append_job *)jobs[done + i], v[i], signature[i]);
			args[i] = (struct db_args){v[i], PUT_ARGS};
		}
		enum db_status st = db_run_many(c, &SQL_PUT, args, n, NULL, NULL, err);
		if (st != DB_OK)
			return st;
		done += n;
	}
	return DB_OK;
}

static void answer(struct mempool_db *m, struct append_job *j, const struct error *err)
{
	struct mempool_append *a = j->append;
	struct mempool_handle handle = {j->seq, 0};
	free(j);
	a->done(a, err ? NULL : &handle, err);
	pthread_mutex_lock(&m->lock);
	if (--m->under_way == 0)
		pthread_cond_broadcast(&m->idle);
	pthread_mutex_unlock(&m->lock);
}

static void append_done(struct db_job *job, enum db_status status, const struct error *err)
{
	struct append_job *j = (struct append_job *)job;
	answer(j->m, j, status == DB_OK ? NULL : err);
}

/* A queue that is full is answered from a thread of its own: `done` must not come before `append` returned. */
static void *answer_refused(void *ctx)
{
	struct append_job *j = ctx;
	struct error err;
	error_set(&err, ERR_OVERLOADED, "too many writes wait: try again in a while");
	answer(j->m, j, &err);
	return NULL;
}

static void append(struct mempool_store *s, struct mempool_append *a)
{
	struct mempool_db *m = (struct mempool_db *)s;
	struct append_job *j = xcalloc(1, sizeof *j);
	struct error err;
	*j = (struct append_job){.job = {.run = run_append, .run_many = run_appends, .done = append_done}, .m = m, .append = a};
	pthread_mutex_lock(&m->lock);
	j->seq = ++m->next;
	m->under_way++;
	pthread_mutex_unlock(&m->lock);
	if (db_pool_submit(m->pool, &j->job, &err))
		return;
	pthread_t thread;
	int failed = pthread_create(&thread, NULL, answer_refused, j);
	if (failed)
		fatal("no thread to say that the queue is full: error %d", failed);
	pthread_detach(thread);
}

/* ---- Removing ---- */

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

/* A block takes what came in a row, so a few ranges say it all. */
static enum db_status remove_in(struct mempool_store *s, struct db_conn *c, const struct mempool_handle *handles, size_t count, struct error *err)
{
	(void)s;
	uint64_t *numbers = xcalloc(count, sizeof *numbers);
	for (size_t i = 0; i < count; i++)
		numbers[i] = handles[i].major;
	qsort(numbers, count, sizeof *numbers, by_number);
	enum db_status st = DB_OK;
	for (size_t first = 0, next; st == DB_OK && first < count; first = next) {
		for (next = first + 1; next < count && numbers[next] == numbers[next - 1] + 1;)
			next++;
		st = db_run(c, &SQL_DROP, DB_ARGS(DB_INT((int64_t)numbers[first]), DB_INT((int64_t)numbers[next - 1])), NULL, err);
	}
	free(numbers);
	return st;
}

/* ---- What was kept ---- */

/* Rows for which nothing waits: in a block since before a crash or an import, or there twice since the answer to a commit was lost. */
struct drop_job {
	struct db_job job; /* first */
	struct mempool_handle handles[PAGE];
	size_t count;
};

static enum db_status run_drop(struct db_job *job, struct db_conn *c, struct error *err)
{
	struct drop_job *j = (struct drop_job *)job;
	return remove_in(NULL, c, j->handles, j->count, err);
}

/* One page from behind *last; *n rows; those for which nothing waits are noted in *drop. */
static enum db_status offer_page(struct mempool_db *m, struct db_conn *c, uint64_t *last, size_t *n, struct drop_job *drop, struct error *err)
{
	struct db_rows *rows;
	enum db_status st = db_query(c, &SQL_PAGE, DB_ARGS(DB_INT((int64_t)*last), DB_INT(PAGE)), &rows, err);
	*n = 0;
	if (st != DB_OK)
		return st;
	enum mempool_offer verdict = OFFER_WAITS;
	drop->count = 0;
	while (verdict != OFFER_LATER && db_next(rows)) {
		struct mempool_entry e = {.handle = {(uint64_t)db_int(rows, 0), 0}, .message = db_text(rows, 1), .received_at = db_int(rows, 3)};
		struct error why;
		verdict = OFFER_WAITS;
		(*n)++;
		if (!ed25519_signature_from_text(db_text(rows, 2), KEY_WRITTEN, &e.signature, &why))
			log_warn("a row of local_pending has not the form of one", LOG_I("seq", (int64_t)e.handle.major));
		else
			verdict = m->events.offer(m->events.core, &e, err);
		if (verdict == OFFER_SETTLED)
			drop->handles[drop->count++] = e.handle;
		if (verdict != OFFER_LATER)
			*last = e.handle.major;
	}
	struct error finish;
	st = db_finish(rows, &finish);
	if (verdict == OFFER_LATER)
		return DB_UNAVAILABLE;
	if (st != DB_OK)
		*err = finish;
	return st;
}

static bool stopping(struct mempool_db *m)
{
	pthread_mutex_lock(&m->lock);
	bool yes = m->stopping;
	pthread_mutex_unlock(&m->lock);
	return yes;
}

static void *offer_all(void *ctx)
{
	struct mempool_db *m = ctx;
	uint64_t last = 0;
	size_t n = 1;
	struct drop_job *drop = xcalloc(1, sizeof *drop);
	drop->job.run = run_drop;
	while (n > 0 && !stopping(m)) {
		struct error err;
		struct db_conn *c = db_pool_reader(m->pool, &err);
		enum db_status st = c ? offer_page(m, c, &last, &n, drop, &err) : DB_UNAVAILABLE;
		if (c)
			db_pool_release(m->pool, c);
		struct error why;
		if (c && drop->count > 0 && db_pool_write(m->pool, &drop->job, &why) != DB_OK)
			log_debug("settled transactions stay in local_pending until the next start", LOG_S("why", why.message));
		if (st != DB_OK) {
			log_warn("waiting transactions could not be read yet", LOG_S("why", err.message));
			n = 1;
			nanosleep(&(struct timespec){.tv_nsec = 200 * 1000 * 1000}, NULL);
		}
	}
	free(drop);
	if (stopping(m))
		return NULL;
	pthread_mutex_lock(&m->lock);
	m->next = last;
	pthread_mutex_unlock(&m->lock);
	m->events.caught_up(m->events.core);
	return NULL;
}

static bool start(struct mempool_store *s, const struct mempool_events *e, struct error *err)
{
	struct mempool_db *m = (struct mempool_db *)s;
	m->events = *e;
	int failed = pthread_create(&m->reader, NULL, offer_all, m);
	m->reader_runs = failed == 0;
	return failed == 0 || error_errno(err, ERR_INTERNAL, failed, "no thread for reading what waits");
}

/* ---- The rest ---- */

static void settled(struct mempool_store *s, const struct mempool_handle *handles, size_t count)
{
	(void)s;
	(void)handles;
	(void)count;
}

static bool ready(struct mempool_store *s, struct error *err)
{
	(void)s;
	(void)err;
	return true; /* the database is asked by whoever uses it */
}

static void mempool_free(struct mempool_store *s)
{
	struct mempool_db *m = (struct mempool_db *)s;
	pthread_mutex_lock(&m->lock);
	m->stopping = true;
	pthread_mutex_unlock(&m->lock);
	if (m->reader_runs)
		pthread_join(m->reader, NULL);
	pthread_mutex_lock(&m->lock);
	while (m->under_way > 0)
		pthread_cond_wait(&m->idle, &m->lock);
	pthread_mutex_unlock(&m->lock);
	pthread_cond_destroy(&m->idle);
	pthread_mutex_destroy(&m->lock);
	free(m);
}

struct mempool_store *mempool_db_open(struct db_pool *pool)
{
	static const struct mempool_store_ops ops = {
		.start = start, .append = append, .remove_in = remove_in, .settled = settled, .ready = ready, .free = mempool_free};
	struct mempool_db *m = xcalloc(1, sizeof *m);
	m->store.ops = &ops;
	m->pool = pool;
	pthread_mutex_init(&m->lock, NULL);
	pthread_cond_init(&m->idle, NULL);
	return &m->store;
}
