/*
 * PostgreSQL: statements and transactions. A statement is prepared once per connection, under a name of ours, and its rows come in
 * the binary format. BEGIN costs no round trip of its own: it travels with the first statement of its transaction.
 *
 * Arguments: integers as decimal text, so the server reads them as whatever integer type it deduced; texts and bytes in binary, so
 * they need neither a NUL at their end nor escapes.
 */
#include "db_postgres.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

/* Statements between two syncs of a pipeline, and what arrays of one statement hold: bounds what libpq and the server hold in memory. */
enum { PIPELINE_MAX = 256, ARRAY_MAX = 10000, ARRAY_BYTES_MAX = 16 * 1024 * 1024 };

DB_SQL(sql_begin_write, "BEGIN ISOLATION LEVEL READ COMMITTED");
DB_SQL(sql_begin_snapshot, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");

static bool succeeded(const PGresult *r)
{
	ExecStatusType status = PQresultStatus(r);
	return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

static enum db_status refused(struct error *err, const char *why)
{
	error_set(err, ERR_INTERNAL, "asking the database: %s", why);
	return DB_BROKEN;
}

static enum db_status check_args(struct db_args args, struct error *err)
{
	for (size_t i = 0; i < args.n; i++) {
		const struct db_value *v = &args.v[i];
		if (v->type == DB_TYPE_TEXT && v->s.n && memchr(v->s.p, 0, v->s.n))
			return refused(err, "a text with a NUL in it");
		if ((v->type == DB_TYPE_TEXT || v->type == DB_TYPE_BLOB) && v->s.n > INT32_MAX)
			return refused(err, "a value of more than 2 GiB");
	}
	return DB_OK;
}

static void make_room(struct pg_params *p, size_t n)
{
	if (n <= p->room)
		return;
	p->room = n + 16;
	p->values = xrealloc(p->values, p->room * sizeof(*p->values));
	p->lengths = xrealloc(p->lengths, p->room * sizeof(*p->lengths));
	p->formats = xrealloc(p->formats, p->room * sizeof(*p->formats));
	p->digits = xrealloc(p->digits, p->room * sizeof(*p->digits));
}

static void set_params(struct pg *c, struct db_args args)
{
	struct pg_params *p = &c->params;
	make_room(p, args.n);
	for (size_t i = 0; i < args.n; i++) {
		const struct db_value *v = &args.v[i];
		p->values[i] = NULL;
		p->lengths[i] = 0;
		p->formats[i] = 0;
		switch (v->type) {
		case DB_TYPE_NULL:
			break;
		case DB_TYPE_INT:
			snprintf(p->digits[i], sizeof(p->digits[i]), "%lld", (long long)v->i);
			p->values[i] = p->digits[i];
			break;
		case DB_TYPE_TEXT:
		case DB_TYPE_BLOB:
			p->values[i] = v->s.p;
			p->lengths[i] = (int)v->s.n;
			p->formats[i] = 1;
			break;
		}
	}
}

static enum db_status name_for(struct pg *c, const struct db_sql *sql, const char **out, struct error *err)
{
	char *name = db_statements_find(&c->statements, sql);
	if (!name) {
		char text[24];
		snprintf(text, sizeof(text), "tana%u", c->names++);
		PGresult *r = PQprepare(c->conn, text, sql->text, 0, NULL);
		enum db_status status = succeeded(r) ? DB_OK : pg_failure(c, r, err);
		PQclear(r);
		if (status != DB_OK)
			return status;
		name = xstrdup(text);
		db_statements_add(&c->statements, sql, name);
	}
	*out = name;
	return DB_OK;
}

/* A pipeline, from here to pipe_close: what is sent goes out together at pipe_flush; then one pipe_next for each statement sent. */

static bool pipe_send(struct pg *c, const char *name, struct db_args args)
{
	set_params(c, args);
	return PQsendQueryPrepared(c->conn, name, (int)args.n, c->params.values, c->params.lengths, c->params.formats, 1) != 0;
}

/* `begin`: the name of the waiting BEGIN, which goes first; or NULL. */
static bool pipe_open(struct pg *c, const char *begin)
{
	return PQenterPipelineMode(c->conn) && (!begin || pipe_send(c, begin, DB_NO_ARGS));
}

/* NULL when the connection is gone; PGRES_PIPELINE_ABORTED after an earlier failure. */
static PGresult *pipe_next(struct pg *c)
{
	PGresult *r = PQgetResult(c->conn);
	if (r && PQresultStatus(r) != PGRES_PIPELINE_SYNC)
		PQclear(PQgetResult(c->conn)); /* the NULL that ends one statement's results */
	return r;
}

static void pipe_close(struct pg *c)
{
	bool synced = false;
	while (!synced) {
		PGresult *r = pipe_next(c);
		if (!r)
			break;
		synced = PQresultStatus(r) == PGRES_PIPELINE_SYNC;
		PQclear(r);
		if (PQstatus(c->conn) == CONNECTION_BAD)
			break;
	}
	if (!synced || !PQexitPipelineMode(c->conn))
		c->head.usable = false;
}

static enum db_status waiting_begin(struct pg *c, const char **name, struct error *err)
{
	*name = NULL;
	return c->begin ? name_for(c, c->begin, name, err) : DB_OK;
}

/* The result of the BEGIN that went first: NULL when there was none or it went well. */
static PGresult *pipe_begun(struct pg *c, const char *begin)
{
	if (!begin)
		return NULL;
	c->begin = NULL;
	PGresult *r = pipe_next(c);
	if (!succeeded(r))
		return r ? r : PQmakeEmptyPGresult(c->conn, PGRES_FATAL_ERROR);
	PQclear(r);
	return NULL;
}

/* Runs BEGIN and one statement in one round trip. */
static PGresult *run_with_begin(struct pg *c, const char *begin, const char *name, struct db_args args)
{
	if (!pipe_open(c, begin) || !pipe_send(c, name, args) || !PQpipelineSync(c->conn)) {
		c->head.usable = false;
		return NULL;
	}
	PGresult *r = pipe_begun(c, begin);
	if (!r)
		r = pipe_next(c);
	pipe_close(c);
	return r;
}

/* On DB_OK *out is a successful result, the caller's to clear. */
static enum db_status execute(struct pg *c, const struct db_sql *sql, struct db_args args, PGresult **out, struct error *err)
{
	const char *name, *begin;
	enum db_status status = check_args(args, err);
	if (status == DB_OK)
		status = name_for(c, sql, &name, err);
	if (status == DB_OK)
		status = waiting_begin(c, &begin, err);
	if (status != DB_OK)
		return status;
	PGresult *r;
	if (begin) {
		r = run_with_begin(c, begin, name, args);
	} else {
		set_params(c, args);
		r = PQexecPrepared(c->conn, name, (int)args.n, c->params.values, c->params.lengths, c->params.formats, 1);
	}
	if (succeeded(r)) {
		*out = r;
		return DB_OK;
	}
	status = pg_failure(c, r, err);
	PQclear(r);
	return status;
}

static int64_t rows_changed(PGresult *r)
{
	return PQresultStatus(r) == PGRES_TUPLES_OK && strncmp(PQcmdStatus(r), "SELECT", 6) == 0 ? 0 : strtoll(PQcmdTuples(r), NULL, 10);
}

static enum db_status pg_run(struct db_conn *conn, const struct db_sql *sql, struct db_args args, int64_t *changed, struct error *err)
{
	PGresult *r = NULL;
	enum db_status status = execute((struct pg *)conn, sql, args, &r, err);
	if (status != DB_OK)
		return status;
	if (changed)
		*changed = rows_changed(r);
	PQclear(r);
	return DB_OK;
}

static enum db_status pg_query(struct db_conn *conn, const struct db_sql *sql, struct db_args args, struct db_rows **rows, struct error *err)
{
	PGresult *r = NULL;
	enum db_status status = execute((struct pg *)conn, sql, args, &r, err);
	return status == DB_OK ? pg_rows_new((struct pg *)conn, r, rows, err) : status;
}

static enum db_status deliver(struct pg *c, PGresult *r, size_t index, db_each_fn *each, void *ctx, struct error *err)
{
	if (!each || PQresultStatus(r) != PGRES_TUPLES_OK) {
		if (each)
			each(ctx, index, rows_changed(r), NULL);
		PQclear(r);
		return DB_OK;
	}
	struct db_rows *rows;
	enum db_status status = pg_rows_new(c, r, &rows, err);
	if (status != DB_OK)
		return status;
	bool first = pg_next(rows);
	each(ctx, index, first, first ? rows : NULL);
	return pg_finish(rows, err);
}

/* One pipeline: up to PIPELINE_MAX statements, and the waiting BEGIN. `from` is the index of the first. */
static enum db_status run_some(struct pg *c, const char *name, const struct db_args *args, size_t from, size_t count, db_each_fn *each, void *ctx,
			       struct error *err)
{
	const char *begin;
	enum db_status status = waiting_begin(c, &begin, err);
	if (status != DB_OK)
		return status;
	bool sent = pipe_open(c, begin);
	for (size_t i = 0; i < count && sent; i++)
		sent = pipe_send(c, name, args[from + i]);
	if (!sent || !PQpipelineSync(c->conn)) {
		c->head.usable = false;
		return pg_failure(c, NULL, err);
	}
	PGresult *r = pipe_begun(c, begin);
	if (r) {
		status = pg_failure(c, r, err);
		PQclear(r);
	}
	for (size_t i = 0; i < count && status == DB_OK; i++) {
		r = pipe_next(c);
		if (succeeded(r)) {
			status = deliver(c, r, from + i, each, ctx, err);
		} else {
			status = pg_failure(c, r, err);
			PQclear(r);
		}
	}
	pipe_close(c);
	return status;
}

/* How many lists go into the next statement's arrays: at least one. */
static size_t array_count(const struct db_args *args, size_t count)
{
	size_t n = 0, bytes = 0;
	while (n < count && n < ARRAY_MAX && bytes < ARRAY_BYTES_MAX) {
		for (size_t i = 0; i < args[n].n; i++)
			bytes += args[n].v[i].type == DB_TYPE_INT ? sizeof(int64_t) : args[n].v[i].s.n;
		n++;
	}
	return n;
}

/* One statement for all. */
static enum db_status run_arrays(struct pg *c, const struct db_sql *sql, const struct db_args *args, size_t count, struct error *err)
{
	size_t width = args[0].n;
	struct buf *arrays = xcalloc(width, sizeof *arrays);
	struct db_value *values = xcalloc(width, sizeof *values);
	enum db_status status = DB_OK;
	for (size_t i = 0; i < width && status == DB_OK; i++) {
		if (!pg_array(&arrays[i], args, count, i))
			status = refused(err, "arguments of several types for one parameter");
		values[i] = arrays[i].len ? DB_BLOB(arrays[i].data, arrays[i].len) : DB_NULL;
	}
	PGresult *r = NULL;
	if (status == DB_OK)
		status = execute(c, sql, (struct db_args){values, width}, &r, err);
	PQclear(r);
	for (size_t i = 0; i < width; i++)
		buf_free(&arrays[i]);
	free(arrays);
	free(values);
	return status;
}

static enum db_status run_many_arrays(struct pg *c, const struct db_sql *sql, const struct db_args *args, size_t count, struct error *err)
{
	enum db_status status = DB_OK;
	for (size_t from = 0, n; from < count && status == DB_OK; from += n) {
		n = array_count(args + from, count - from);
		status = run_arrays(c, sql, args + from, n, err);
	}
	return status;
}

static enum db_status pg_run_many(struct db_conn *conn, const struct db_sql *sql, const struct db_args *args, size_t count, db_each_fn *each, void *ctx,
				  struct error *err)
{
	struct pg *c = (struct pg *)conn;
	const char *name;
	enum db_status status = DB_OK;
	for (size_t i = 0; i < count && status == DB_OK; i++)
		status = check_args(args[i], err);
	if (status == DB_OK && sql->arrays && !each && count > 1)
		return run_many_arrays(c, sql->arrays, args, count, err);
	if (status == DB_OK)
		status = name_for(c, sql, &name, err);
	for (size_t from = 0; from < count && status == DB_OK; from += PIPELINE_MAX)
		status = run_some(c, name, args, from, count - from < PIPELINE_MAX ? count - from : PIPELINE_MAX, each, ctx, err);
	return status;
}

/* Sends the waiting BEGIN by itself, for statements that cannot travel with it. */
static enum db_status begin_now(struct pg *c, struct error *err)
{
	if (!c->begin)
		return DB_OK;
	PGresult *r = PQexec(c->conn, c->begin->text);
	c->begin = NULL;
	enum db_status status = succeeded(r) ? DB_OK : pg_failure(c, r, err);
	PQclear(r);
	return status;
}

static enum db_status pg_query_text(struct db_conn *conn, const char *sql, struct db_args args, struct db_rows **rows, struct error *err)
{
	struct pg *c = (struct pg *)conn;
	enum db_status status = check_args(args, err);
	if (status == DB_OK)
		status = begin_now(c, err);
	if (status != DB_OK)
		return status;
	set_params(c, args);
	PGresult *r = PQexecParams(c->conn, sql, (int)args.n, NULL, c->params.values, c->params.lengths, c->params.formats, 1);
	if (succeeded(r))
		return pg_rows_new(c, r, rows, err);
	status = pg_failure(c, r, err);
	PQclear(r);
	return status;
}

static enum db_status pg_script(struct db_conn *conn, const char *sql, struct error *err)
{
	struct pg *c = (struct pg *)conn;
	enum db_status status = begin_now(c, err);
	if (status != DB_OK)
		return status;
	PGresult *r = PQexec(c->conn, sql);
	if (!succeeded(r) && PQresultStatus(r) != PGRES_EMPTY_QUERY)
		status = pg_failure(c, r, err);
	PQclear(r);
	return status;
}

static enum db_status pg_begin(struct db_conn *conn, enum db_txn kind, struct error *err)
{
	struct pg *c = (struct pg *)conn;
	if (PQstatus(c->conn) == CONNECTION_BAD)
		return pg_failure(c, NULL, err);
	c->begin = kind == DB_TXN_WRITE ? &sql_begin_write : &sql_begin_snapshot;
	return DB_OK;
}

static enum db_status pg_commit(struct db_conn *conn, struct error *err)
{
	struct pg *c = (struct pg *)conn;
	if (c->begin) { /* nothing was done in it */
		c->begin = NULL;
		return DB_OK;
	}
	PGresult *r = PQexec(c->conn, "COMMIT");
	enum db_status status = DB_OK;
	if (!succeeded(r))
		status = pg_failure(c, r, err);
	else if (strcmp(PQcmdStatus(r), "COMMIT") != 0) /* the server answers ROLLBACK when the transaction had failed */
		status = refused(err, "the transaction had failed, and was rolled back");
	PQclear(r);
	return status;
}

static void pg_rollback(struct db_conn *conn)
{
	struct pg *c = (struct pg *)conn;
	c->begin = NULL;
	switch (PQtransactionStatus(c->conn)) {
	case PQTRANS_IDLE:
		return;
	case PQTRANS_INTRANS:
	case PQTRANS_INERROR: {
		PGresult *r = PQexec(c->conn, "ROLLBACK");
		if (!succeeded(r))
			c->head.usable = false;
		PQclear(r);
		return;
	}
	case PQTRANS_ACTIVE:
	case PQTRANS_UNKNOWN:
		c->head.usable = false;
		return;
	}
}

static enum db_status pg_backup(struct db_conn *conn, const char *path, struct error *err)
{
	(void)conn;
	(void)path;
	error_set(err, ERR_CONFIG, "a PostgreSQL database is not copied from here");
	error_hint(err, "use pg_dump");
	return DB_BROKEN;
}

const struct db_driver db_postgres_driver = {
	.kind = DB_POSTGRES,
	.open = pg_open,
	.close = pg_close,
	.display = pg_display,
	.run = pg_run,
	.query = pg_query,
	.query_text = pg_query_text,
	.run_many = pg_run_many,
	.script = pg_script,
	.begin = pg_begin,
	.commit = pg_commit,
	.rollback = pg_rollback,
	.backup = pg_backup,
	.check = pg_check,
	.next = pg_next,
	.finish = pg_finish,
	.integer = pg_integer,
	.bytes = pg_bytes,
	.column_type = pg_column_type,
	.columns = pg_columns,
	.column_name = pg_column_name,
};
