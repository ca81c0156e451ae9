/* What handlers share, and the HTTP side's start and end. */
#include "api.h"
#include "core.h"
#include "follower.h"
#include "ledger_feed.h"
#include "ledger_metrics.h"
#include "ledger_store.h"
#include "wire/ledger.h"

enum {
	RING_EVENTS = 8192, /* some 3 MB when they are there */
	THREADS = 2
};

struct db_conn *api_reader(struct http_request *r, struct http_reply **reply)
{
	const struct ledger *l = http_ctx(r);
	struct error err;
	struct db_conn *c = db_pool_reader(l->pool, &err);
	if (!c)
		*reply = http_reply_error(r, &err);
	return c;
}

void api_reader_done(struct http_request *r, struct db_conn *c)
{
	const struct ledger *l = http_ctx(r);
	db_pool_release(l->pool, c);
}

bool api_limit(struct http_request *r, size_t *limit, struct http_reply **reply)
{
	int64_t n;
	if (!http_query_int(r, "limit", LEDGER_LIST_DEFAULT, &n)) {
		*reply = http_reply_error_code(r, ERR_MALFORMED_PARAMETER, "`limit` is a number");
		return false;
	}
	*limit = (size_t)n;
	return true;
}

bool api_param(struct http_request *r, const char *name, const struct json_form *form, struct str *out, struct http_reply **reply)
{
	*out = http_query_text(r, name, 0);
	if (!str_present(*out) || form->check(*out))
		return true;
	*reply = http_reply_error_code(r, ERR_MALFORMED_PARAMETER, "`%s` must be %s", name, form->what);
	return false;
}

bool api_path(struct http_request *r, int n, const struct json_form *form, struct str *out, struct http_reply **reply)
{
	*out = http_path_arg(r, n);
	if (form->check(*out))
		return true;
	*reply = http_reply_error_code(r, ERR_MALFORMED_PARAMETER, "the path must name %s", form->what);
	return false;
}

struct http_reply *api_bad_cursor(struct http_request *r)
{
	return http_reply_error_code(r, ERR_MALFORMED_CURSOR, "`cursor` is not one that this list gave");
}

/* ---- On threads ---- */

struct thread_job {
	struct http_request *r;
	api_work *work;
};

static void run_job(void *job)
{
	const struct thread_job *j = job;
	struct http_reply *reply;
	struct db_conn *c = api_reader(j->r, &reply);
	if (c) {
		reply = j->work(j->r, c);
		api_reader_done(j->r, c);
	}
	http_finish(j->r, reply);
}

void api_finish_on_thread(struct http_request *r, api_work *work)
{
	const struct ledger *l = http_ctx(r);
	struct thread_job *j = arena_alloc(http_arena(r), sizeof *j);
	*j = (struct thread_job){r, work};
	jobs_run(l->threads, run_job, j);
}

struct http_reply *api_on_thread(struct http_request *r, api_work *work)
{
	struct http_reply *reply = http_reply_later(r);
	api_finish_on_thread(r, work);
	return reply;
}

/* ---- Users ---- */

enum db_status api_read_user(struct db_conn *c, struct str id, struct arena *arena, struct ledger_user *out, bool *found, struct error *err)
{
	struct str value, key = arena_printf(arena, "user:%.*s", STR_ARG(id));
	struct error why;
	enum db_status st = store_read_state(c, key, arena, &value, err);
	*found = st == DB_OK && str_present(value);
	if (*found && !json_read_text(value, &ledger_user_message, out, arena, &why)) {
		error_set(err, ERR_CORRUPT, "the state entry of user %.*s cannot be read; run `ledgerd verify`", STR_ARG(id));
		return DB_BROKEN;
	}
	return st;
}

struct http_reply *api_no_such_user(struct http_request *r, struct str id)
{
	return http_reply_error_code(r, ERR_NO_SUCH_USER, "there is no user %.*s", (int)(id.n < 80 ? id.n : 80), id.p);
}

/* ---- Start and end ---- */

static bool ready(void *ctx, struct error *err)
{
	const struct ledger *l = ctx;
	return db_pool_ready(l->pool, err) && core_ready(l->core, err) && (!l->follower || follower_ready(l->follower, err));
}

static void moved(void *ctx)
{
	const struct ledger *l = ctx;
	ledger_feed_wake(l->feed);
}

/* The table, with the body that this chain's largest transaction may have. */
static const struct http_route *routes_of(struct ledger *l)
{
	struct http_route *routes = arena_zalloc(&l->arena, ledger_route_count, sizeof *routes);
	memcpy(routes, ledger_routes, ledger_route_count * sizeof *routes);
	for (size_t i = 0; i < ledger_route_count; i++)
		if (routes[i].handler == api_submit)
			routes[i].body_max = (size_t)l->genesis.params->max_transaction_bytes + LEDGER_BODY_ROOM;
	return routes;
}

bool api_start(struct ledger *l, struct http_options *http, struct error *err)
{
	l->hub = sse_hub_new(RING_EVENTS);
	l->threads = jobs_start(THREADS);
	l->feed = ledger_feed_start(l, err);
	if (!l->feed)
		return false;
	core_on_move(l->core, moved, l);
	http->description = LEDGER_DESCRIPTION;
	http->routes = routes_of(l);
	http->route_count = ledger_route_count;
	http->ctx = l;
	http->ready = ready;
	http->health = ledger_health;
	http->info = ledger_info;
	http->metrics = ledger_metrics_collect;
	http->metric_list = ledger_metrics(&l->arena);
	return true;
}

void api_quiesce(struct ledger *l)
{
	jobs_stop(l->threads);
	l->threads = NULL;
	ledger_feed_stop(l->feed);
	l->feed = NULL;
}

void api_stop(struct ledger *l)
{
	api_quiesce(l);
	sse_hub_free(l->hub);
	l->hub = NULL;
}
