#include "mesh_feed.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/worker.h"
#include "mesh.h"

enum {
	READ_PAGE = 500,       /* events a query */
	BACKFILL_MAX = 5000,   /* events a stream may catch up on; further back it begins anew */
	LOOK_SHARED_MS = 250,  /* PostgreSQL: others write too */
	LOOK_ALONE_MS = 5000,  /* SQLite: only this process does */
};

DB_SQL(SQL_LAST, "SELECT last FROM local_event_head WHERE id = 1");
DB_SQL(SQL_AFTER, "SELECT id, type, data FROM local_events WHERE id > $1 ORDER BY id LIMIT $2");
DB_SQL(SQL_OLDEST, "SELECT id FROM local_events WHERE id > $1 ORDER BY id LIMIT 1");

struct mesh_feed {
	struct mesh *mesh;
	struct worker *worker;
	int64_t seen; /* the last id published; the worker's */
};

/* Reads events after *after and hands each to emit; *after moves on. False: the database did not answer. */
static bool read_page(struct mesh *m, int64_t *after, sse_emit_fn *emit, void *ctx, size_t *count)
{
	struct error err;
	*count = 0;
	struct db_conn *c = db_pool_reader(m->pool, &err);
	if (!c)
		return false;
	struct db_rows *rows;
	enum db_status st = db_query(c, &SQL_AFTER, DB_ARGS(DB_INT(*after), DB_INT(READ_PAGE)), &rows, &err);
	if (st == DB_OK) {
		while (db_next(rows)) {
			char type[64];
			struct str t = db_text(rows, 1);
			snprintf(type, sizeof(type), "%.*s", STR_ARG(t));
			*after = db_int(rows, 0);
			emit(ctx, *after, type, db_text(rows, 2));
			++*count;
		}
		st = db_finish(rows, &err);
	}
	db_pool_release(m->pool, c);
	return st == DB_OK;
}

static void publish(void *ctx, int64_t id, const char *type, struct str data)
{
	sse_hub_publish(ctx, id, type, data);
}

static int64_t feed_turn(void *arg)
{
	struct mesh_feed *f = arg;
	size_t count = READ_PAGE;
	while (count == READ_PAGE && read_page(f->mesh, &f->seen, publish, f->mesh->hub, &count))
		;
	return db_pool_kind(f->mesh->pool) == DB_POSTGRES ? LOOK_SHARED_MS : LOOK_ALONE_MS;
}

static bool read_last(struct mesh *m, int64_t *last, struct error *err)
{
	struct db_conn *c = db_pool_reader(m->pool, err);
	if (!c)
		return false;
	struct db_rows *rows;
	enum db_status st = db_query(c, &SQL_LAST, DB_NO_ARGS, &rows, err);
	if (st == DB_OK) {
		*last = db_next(rows) ? db_int(rows, 0) : 0;
		st = db_finish(rows, err);
	}
	db_pool_release(m->pool, c);
	return st == DB_OK;
}

struct mesh_feed *mesh_feed_start(struct mesh *m, struct error *err)
{
	int64_t last;
	if (!read_last(m, &last, err))
		return NULL;
	struct mesh_feed *f = xcalloc(1, sizeof(*f));
	f->mesh = m;
	f->seen = last;
	f->worker = worker_start("mesh-feed", feed_turn, f);
	return f;
}

void mesh_feed_wake(struct mesh_feed *f)
{
	if (f)
		worker_wake(f->worker);
}

void mesh_feed_stop(struct mesh_feed *f)
{
	if (!f)
		return;
	worker_stop(f->worker);
	free(f);
}

/* Passes events on until `before`, and stops there. */
struct window {
	int64_t before;
	bool past;
	sse_emit_fn *emit;
	void *ctx;
};
static void emit_window(void *ctx, int64_t id, const char *type, struct str data)
{
	struct window *w = ctx;
	if (id >= w->before)
		w->past = true;
	else
		w->emit(w->ctx, id, type, data);
}

/* Can a stream go on after this id? Not when it was never given, when what follows is forgotten, or when that is too much. */
static bool reachable(struct mesh *m, int64_t after)
{
	struct error err;
	struct db_rows *rows;
	int64_t last;
	bool kept = false;
	if (!read_last(m, &last, &err) || after > last || last - after > BACKFILL_MAX)
		return false;
	if (after == last)
		return true;
	struct db_conn *c = db_pool_reader(m->pool, &err);
	if (!c)
		return false;
	if (db_query(c, &SQL_OLDEST, DB_ARGS(DB_INT(after)), &rows, &err) == DB_OK) {
		kept = db_next(rows) && db_int(rows, 0) == after + 1;
		if (db_finish(rows, &err) != DB_OK)
			kept = false;
	}
	db_pool_release(m->pool, c);
	return kept;
}

bool mesh_feed_backfill(void *ctx, int64_t after, int64_t before, sse_emit_fn *emit, void *emit_ctx)
{
	struct mesh *m = ctx;
	if (!reachable(m, after))
		return false;
	struct window w = {.before = before, .emit = emit, .ctx = emit_ctx};
	size_t count = READ_PAGE;
	while (count == READ_PAGE && !w.past)
		if (!read_page(m, &after, emit_window, &w, &count))
			return false;
	return true;
}
