#include "cleanup.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/stop.h"
#include "base/worker.h"
#include "client/t4_client.h"
#include "content_refs.h"

enum {
	INTERVAL_MS = 60 * 1000,
	BATCH = 500,              /* rows of one write: it shares a commit with transactions that wait */
	SILENCE_MS = 5000
};

struct cleanup {
	struct cleanup_options o; /* its strings are not used after the start */
	struct t4_client *t4;     /* NULL: grants are left alone */
	struct worker *worker;
	volatile int stop;
	_Atomic int64_t refusals, grants;
};

/* ---- refusals ---- */

DB_SQL(SQL_FORGET_REFUSED, "DELETE FROM local_refused WHERE id IN (SELECT id FROM local_refused WHERE refused_at < $1 ORDER BY refused_at LIMIT 500)");

struct forget_job {
	struct db_job job; /* first */
	int64_t before, changed;
};

static enum db_status run_forget(struct db_job *job, struct db_conn *c, struct error *err)
{
	struct forget_job *f = (struct forget_job *)job;
	return db_run(c, &SQL_FORGET_REFUSED, DB_ARGS(DB_INT(f->before)), &f->changed, err);
}

static bool forget_refusals(struct cleanup *c, struct error *err)
{
	struct forget_job f = {.job = {.run = run_forget}, .before = clock_wall_ms() - c->o.refused_keep_ms};
	do {
		if (db_pool_write(c->o.pool, &f.job, err) != DB_OK)
			return false;
		atomic_fetch_add(&c->refusals, f.changed);
	} while (f.changed == BATCH && !stop_asked(&c->stop));
	return true;
}

/* ---- grants ---- */

DB_SQL(SQL_OLD_GRANTS, "SELECT hash, user_id, granted_at FROM local_grants WHERE granted_at < $1 ORDER BY granted_at LIMIT 500");
DB_SQL(SQL_FRESH_GRANT, "SELECT 1 FROM local_grants WHERE hash = $1 AND granted_at >= $2 LIMIT 1");
/* Only the note that was looked at: a newer grant for the same has its own time. */
DB_SQL(SQL_FORGET_GRANT, "DELETE FROM local_grants WHERE user_id = $1 AND hash = $2 AND granted_at = $3");

struct grant {
	struct str hash, user_id;
	int64_t granted_at;
	bool settled;       /* its note may go */
	struct hash h;
};
struct grants_job {
	struct db_job job; /* first */
	struct grant *list;
	size_t count;
};

static bool read_old(struct cleanup *c, int64_t before, struct arena *arena, struct grants_job *out, struct error *err)
{
	struct db_rows *rows;
	struct db_conn *conn = db_pool_reader(c->o.pool, err);
	if (!conn)
		return false;
	out->list = arena_zalloc(arena, BATCH, sizeof(*out->list));
	out->count = 0;
	enum db_status st = db_query(conn, &SQL_OLD_GRANTS, DB_ARGS(DB_INT(before)), &rows, err);
	if (st == DB_OK) {
		while (out->count < BATCH && db_next(rows)) {
			struct grant *g = &out->list[out->count++];
			*g = (struct grant){arena_copy(arena, db_text(rows, 0)), arena_copy(arena, db_text(rows, 1)), db_int(rows, 2), false, {{0}}};
			g->settled = !hash_from_text(g->hash, &g->h);
		}
		st = db_finish(rows, err);
	}
	db_pool_release(c->o.pool, conn);
	return st == DB_OK;
}

/* Does anybody need the bytes still: a live reference, or a newer grant to somebody else? */
static bool needed(struct cleanup *c, const struct grant *g, int64_t before, bool *yes, struct error *err)
{
	struct db_rows *rows;
	struct db_conn *conn = db_pool_reader(c->o.pool, err);
	if (!conn)
		return false;
	enum db_status st = content_is_live(conn, &g->h, yes, err);
	if (st == DB_OK && !*yes) {
		st = db_query(conn, &SQL_FRESH_GRANT, DB_ARGS(DB_TEXT(g->hash), DB_INT(before)), &rows, err);
		if (st == DB_OK) {
			*yes = db_next(rows);
			st = db_finish(rows, err);
		}
	}
	db_pool_release(c->o.pool, conn);
	return st == DB_OK;
}

static bool collect(struct cleanup *c, struct grant *g, int64_t before, struct error *err)
{
	bool yes;
	if (g->settled)
		return true;
	if (!needed(c, g, before, &yes, err))
		return false;
	if (!yes) {
		if (t4_delete(c->t4, &g->h, err)) {
			atomic_fetch_add(&c->grants, 1);
			log_info("content that was never published was collected", LOG_STR("hash", g->hash), LOG_STR("user", g->user_id));
		} else if (err->code != ERR_UNKNOWN_CONTENT) { /* never uploaded */
			return false;
		}
	}
	g->settled = true;
	return true;
}

static enum db_status run_grants(struct db_job *job, struct db_conn *c, struct error *err)
{
	struct grants_job *j = (struct grants_job *)job;
	enum db_status st = DB_OK;
	for (size_t i = 0; st == DB_OK && i < j->count; i++)
		if (j->list[i].settled)
			st = db_run(c, &SQL_FORGET_GRANT, DB_ARGS(DB_TEXT(j->list[i].user_id), DB_TEXT(j->list[i].hash), DB_INT(j->list[i].granted_at)),
				    NULL, err);
	return st;
}

/* One batch; *more: it was full, and all of it is settled. */
static bool collect_batch(struct cleanup *c, bool *more, struct error *err)
{
	struct arena arena;
	struct error why;
	struct grants_job j = {.job = {.run = run_grants}};
	int64_t before = clock_wall_ms() - c->o.grant_keep_ms;

	*more = false;
	arena_init(&arena);
	bool ok = read_old(c, before, &arena, &j, err), all = ok;
	for (size_t i = 0; ok && all && i < j.count && !stop_asked(&c->stop); i++)
		all = collect(c, &j.list[i], before, &why);
	if (ok && j.count)
		ok = db_pool_write(c->o.pool, &j.job, err) == DB_OK;
	*more = ok && all && j.count == BATCH && !stop_asked(&c->stop);
	arena_free(&arena);
	if (ok && !all) {
		*err = why;
		ok = false;
	}
	return ok;
}

static bool collect_grants(struct cleanup *c, struct error *err)
{
	bool more = true;
	while (more)
		if (!collect_batch(c, &more, err))
			return false;
	return true;
}

/* ---- life ---- */

static int64_t turn(void *ctx)
{
	struct cleanup *c = ctx;
	struct error err;
	if (!stop_asked(&c->stop) && !forget_refusals(c, &err) && !stop_asked(&c->stop))
		log_debug("old refusals stay for now", LOG_S("why", err.message));
	if (!stop_asked(&c->stop) && c->t4 && !collect_grants(c, &err) && !stop_asked(&c->stop))
		log_debug("content that was never published stays for now", LOG_S("why", err.message));
	return c->o.interval_ms;
}

struct cleanup *cleanup_start(const struct cleanup_options *o, struct error *err)
{
	struct cleanup *c = xcalloc(1, sizeof(*c));
	const struct t4_client_options t4 = {.base_url = o->t4_url, .user_agent = o->user_agent, .timeout_ms = SILENCE_MS, .stop = &c->stop};
	c->o = *o;
	c->o.interval_ms = o->interval_ms > 0 ? o->interval_ms : INTERVAL_MS;
	if (o->t4_url && o->service_key && str_present(o->node_id)) {
		c->t4 = t4_client_new(&t4, err);
		if (!c->t4) {
			cleanup_stop(c);
			return NULL;
		}
		t4_client_sign_as(c->t4, o->node_id, STR_LIT("ledger"), STR_NONE, o->service_key);
	}
	c->worker = worker_start("cleanup", turn, c);
	return c;
}

void cleanup_quiesce(struct cleanup *c)
{
	if (!c)
		return;
	stop_ask(&c->stop);
	worker_stop(c->worker);
	c->worker = NULL;
}

void cleanup_stop(struct cleanup *c)
{
	if (!c)
		return;
	cleanup_quiesce(c);
	t4_client_free(c->t4);
	free(c);
}

void cleanup_counts(struct cleanup *c, int64_t *refusals, int64_t *grants)
{
	*refusals = c ? atomic_load(&c->refusals) : 0;
	*grants = c ? atomic_load(&c->grants) : 0;
}
