/* db_listen.h: LISTEN and NOTIFY. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "db_listen.h"
#include "db_postgres.h"

enum {
	BACKOFF_MIN_MS = 50,
	BACKOFF_MAX_MS = 5000,
	PROBE_MS = 20000 /* a silent connection is asked whether it is still there */
};

struct db_listener {
	struct db_listen_options o;
	pthread_t thread;
	int stop_fd; /* eventfd */
	_Atomic bool stop;
};

enum db_status db_notify(struct db_conn *c, const char *channel, struct str payload, struct error *err)
{
	DB_SQL(SQL_NOTIFY, "SELECT CAST(pg_notify($1, $2) AS TEXT)");
	if (c->driver->kind == DB_SQLITE)
		return DB_OK;
	invariant(payload.n <= DB_NOTIFY_MAX);
	struct db_rows *rows;
	enum db_status st = db_query(c, &SQL_NOTIFY, DB_ARGS(DB_TEXT(str_from(channel)), DB_TEXT(payload)), &rows, err);
	return st == DB_OK ? db_finish(rows, err) : st;
}

static bool exec_ok(struct pg *c, const char *sql, struct error *err)
{
	PGresult *r = PQexec(c->conn, sql);
	ExecStatusType got = PQresultStatus(r);
	bool ok = got == PGRES_COMMAND_OK || got == PGRES_TUPLES_OK;
	if (!ok)
		(void)pg_failure(c, r, err);
	PQclear(r);
	return ok;
}

static struct pg *open_listening(struct db_listener *l, struct error *err)
{
	char sql[128];
	struct db_conn *conn;
	if (pg_open(l->o.url, DB_OPEN_EXISTING, l->o.name, &conn, err) != DB_OK)
		return NULL;
	struct pg *c = (struct pg *)conn;
	(void)snprintf(sql, sizeof(sql), "LISTEN %s", l->o.channel);
	if (exec_ok(c, sql, err))
		return c;
	pg_close(conn);
	return NULL;
}

static void deliver(struct db_listener *l, struct pg *c)
{
	PGnotify *n;
	while (!atomic_load(&l->stop) && (n = PQnotifies(c->conn))) {
		l->o.heard(l->o.ctx, str_from(n->extra));
		PQfreemem(n);
	}
}

/* Until the connection is lost or the end. */
static void listen_on(struct db_listener *l, struct pg *c, struct error *err)
{
	for (;;) {
		deliver(l, c);
		struct pollfd p[2] = {{.fd = PQsocket(c->conn), .events = POLLIN}, {.fd = l->stop_fd, .events = POLLIN}};
		int n = poll(p, 2, PROBE_MS);
		if (atomic_load(&l->stop))
			return;
		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0 ? !exec_ok(c, "SELECT 1", err) : !PQconsumeInput(c->conn)) {
			if (n != 0)
				error_set(err, ERR_UNAVAILABLE, "the connection was lost");
			return;
		}
	}
}

/* False at the end. */
static bool sleep_a_while(struct db_listener *l, int64_t ms)
{
	struct pollfd p = {.fd = l->stop_fd, .events = POLLIN};
	(void)poll(&p, 1, (int)(ms / 2 + (int64_t)random_below((uint64_t)ms / 2 + 1)));
	return !atomic_load(&l->stop);
}

static void *listen_main(void *arg)
{
	struct db_listener *l = arg;
	int64_t backoff = BACKOFF_MIN_MS;
	bool told = false;
	while (!atomic_load(&l->stop)) {
		struct error err = {0};
		struct pg *c = open_listening(l, &err);
		if (c) {
			backoff = BACKOFF_MIN_MS;
			told = false;
			l->o.anew(l->o.ctx);
			listen_on(l, c, &err);
			pg_close(&c->head);
		}
		if (atomic_load(&l->stop))
			break;
		if (!told)
			log_warn("other instances are not heard", LOG_S("channel", l->o.channel), LOG_S("why", err.message));
		told = true;
		if (!sleep_a_while(l, backoff))
			break;
		backoff = backoff * 2 < BACKOFF_MAX_MS ? backoff * 2 : BACKOFF_MAX_MS;
	}
	return NULL;
}

struct db_listener *db_listen_start(const struct db_listen_options *o)
{
	enum db_kind kind;
	struct error err;
	if (!db_url_kind(o->url, &kind, &err) || kind == DB_SQLITE)
		return NULL;
	struct db_listener *l = xcalloc(1, sizeof(*l));
	l->o = *o;
	l->o.url = xstrdup(o->url);
	l->o.name = xstrdup(o->name);
	l->o.channel = xstrdup(o->channel);
	l->stop_fd = eventfd(0, EFD_CLOEXEC);
	invariant(l->stop_fd >= 0 && pthread_create(&l->thread, NULL, listen_main, l) == 0);
	pthread_setname_np(l->thread, "db-listen");
	return l;
}

static void free_text(const char *z)
{
	union {
		const char *in;
		char *out;
	} p = {.in = z};
	free(p.out);
}

void db_listen_stop(struct db_listener *l)
{
	if (!l)
		return;
	const uint64_t one = 1;
	atomic_store(&l->stop, true);
	ssize_t n = write(l->stop_fd, &one, sizeof(one));
	invariant(n == sizeof(one));
	pthread_join(l->thread, NULL);
	(void)close(l->stop_fd);
	free_text(l->o.url);
	free_text(l->o.name);
	free_text(l->o.channel);
	free(l);
}
