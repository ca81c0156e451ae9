/*
 * SQL over a URL: `sqlite:PATH` (embedded) or `postgres://...` / `postgresql://...` (libpq). SQL is written once, in a portable
 * subset, with $1-style parameters numbered in order of first use. Column types: BIGINT (int64), TEXT, BYTEA (bytes).
 *
 * Three layers, one header each:
 *	db.h		a connection, statements, transactions
 *	db_pool.h	many readers, and the one writer that lets concurrent small writes share durable commits
 *	db_migrate.h	numbered schema changes
 *
 * A connection belongs to one thread at a time. Failures are the world's: they come back as enum db_status plus *err, never as an
 * exit. A column of PostgreSQL that is none of the three types (what COUNT, SUM and comparisons give) is read as BIGINT where it is
 * a whole number or a boolean; other types are refused as DB_BROKEN: cast them in the SQL. TEXT goes by the database's order of
 * bytes on SQLite, by its collation on PostgreSQL.
 *
 * Several services may share one PostgreSQL database when each URL names a schema of its own (`?options=-csearch_path%3Dledger`); one that is
 * not there yet is made when the database is opened for writing.
 */
#ifndef TANA_DB_DB_H
#define TANA_DB_DB_H

#include <stdint.h>

#include "base/error.h"
#include "base/str.h"

enum db_kind { DB_SQLITE, DB_POSTGRES };

enum db_status {
	DB_OK,
	DB_UNAVAILABLE, /* connection lost, server starting, file locked too long: try again later (ERR_UNAVAILABLE) */
	DB_RETRY,       /* deadlock or serialization failure: the whole transaction may be run again at once */
	DB_CONFLICT,    /* a unique or foreign key or check constraint refused (ERR_ALREADY_EXISTS) */
	DB_FULL,        /* no space (ERR_STORAGE_FULL) */
	DB_BROKEN,      /* corrupt file, missing table, wrong SQL: ERR_CORRUPT or ERR_INTERNAL */
};

/* A statement: a static object, so that its address names it. Prepared once per connection. */
struct db_sql {
	const char *text;
	const struct db_sql *arrays; /* NULL, or the same for many argument lists at once, in PostgreSQL's words: see DB_SQL_ARRAYS */
};
#define DB_SQL(name, sql) static const struct db_sql name = {.text = (sql)}
/*
 * One that db_run_many runs as a single statement on PostgreSQL: in `many` each parameter is an array, cast to its type, with that argument of
 * every list (`SELECT * FROM unnest($1::bigint[], $2::text[])`). The lists must not depend on each other's order, nor touch the same row twice.
 */
#define DB_SQL_ARRAYS(name, sql, many) \
	DB_SQL(name##_arrays, many); \
	static const struct db_sql name = {.text = (sql), .arrays = &name##_arrays}

enum db_type { DB_TYPE_NULL, DB_TYPE_INT, DB_TYPE_TEXT, DB_TYPE_BLOB };
struct db_value {
	enum db_type type;
	int64_t i;
	struct str s; /* TEXT (UTF-8 without NUL) or BLOB; borrowed until the call returns */
};
#define DB_NULL ((struct db_value){.type = DB_TYPE_NULL})
#define DB_INT(v) ((struct db_value){.type = DB_TYPE_INT, .i = (v)})
/* An absent str is NULL. */
static inline struct db_value db_text_value(struct str s) { return (struct db_value){.type = s.p ? DB_TYPE_TEXT : DB_TYPE_NULL, .s = s}; }
static inline struct db_value db_blob_value(struct str s) { return (struct db_value){.type = s.p ? DB_TYPE_BLOB : DB_TYPE_NULL, .s = s}; }
#define DB_TEXT(s) db_text_value(s)
#define DB_BLOB(p, n) db_blob_value(str_of((const char *)(p), (n)))

struct db_args {
	const struct db_value *v;
	size_t n;
};
#define DB_ARGS(...)                                                                                                           \
	((struct db_args){.v = (const struct db_value[]){__VA_ARGS__}, .n = sizeof((const struct db_value[]){__VA_ARGS__}) / sizeof(struct db_value)})
#define DB_NO_ARGS ((struct db_args){.v = NULL, .n = 0})

struct db_conn;

enum db_open_how {
	DB_OPEN_CREATE,   /* sqlite: create the file when missing */
	DB_OPEN_EXISTING, /* sqlite: a missing file is DB_UNAVAILABLE, ERR_NOT_FOUND */
	DB_OPEN_READ_ONLY /* existing; every write is refused by the database */
};
/*
 * Opens a connection. SQLite: WAL, synchronous=FULL, foreign keys on, a busy timeout of 5 s; a file that is not a database or fails
 * its header checks is DB_BROKEN/ERR_CORRUPT and is left as it is. PostgreSQL: synchronous_commit stays the server's (warned about
 * once when off); application_name from `name`. Passwords in URLs never reach *err or the log. ERR_CONFIG for a URL that is
 * neither.
 */
MUST_CHECK enum db_status db_open(const char *url, enum db_open_how how, const char *name, struct db_conn **out, struct error *err);
void db_close(struct db_conn *c); /* NULL is allowed; rolls back what is open */
enum db_kind db_kind_of(const struct db_conn *c);
/* The URL without its password, for messages; false when the URL is neither kind. */
MUST_CHECK bool db_url_display(const char *url, char *out, size_t size);
MUST_CHECK bool db_url_kind(const char *url, enum db_kind *kind, struct error *err);

/*
 * Runs a statement that answers no rows, or whose rows do not matter. *changed (may be NULL) gets the number of rows that an
 * INSERT, UPDATE or DELETE changed. Outside a transaction the statement is its own; DB_UNAVAILABLE then leaves open whether it was
 * done.
 */
MUST_CHECK enum db_status db_run(struct db_conn *c, const struct db_sql *sql, struct db_args args, int64_t *changed, struct error *err);

/*
 * Runs a query. Loop: while (db_next(rows)) { db_int(rows, 0) ... }  then status = db_finish(rows, err). One result may be open per
 * connection and statement; all are finished before db_commit. Texts and blobs live until the next db_next or db_finish. db_query
 * never returns NULL rows on DB_OK; after any other status there is nothing to finish. PostgreSQL hands over the whole result at
 * once: walk large tables in pages (WHERE key > last ORDER BY key LIMIT n).
 */
struct db_rows;
MUST_CHECK enum db_status db_query(struct db_conn *c, const struct db_sql *sql, struct db_args args, struct db_rows **rows, struct error *err);
MUST_CHECK bool db_next(struct db_rows *rows);
/* DB_OK when the rows ended; otherwise why they did not. Must be called, also after leaving the loop early. */
MUST_CHECK enum db_status db_finish(struct db_rows *rows, struct error *err);
bool db_is_null(struct db_rows *rows, int column);
int64_t db_int(struct db_rows *rows, int column);      /* NULL: 0 */
struct str db_text(struct db_rows *rows, int column);  /* NULL: absent */
struct str db_blob(struct db_rows *rows, int column);  /* NULL: absent */
int db_columns(struct db_rows *rows);
const char *db_column_name(struct db_rows *rows, int column);
enum db_type db_column_type(struct db_rows *rows, int column);

/*
 * The same statement with many argument lists, in order: one loop on SQLite, one pipeline (one round trip) on PostgreSQL, or one statement
 * where it has a form with arrays and there is no `each`. After
 * each, `each` (may be NULL) is called with its index and the rows changed; for statements with RETURNING, `rows` stands on the
 * first row, or is NULL when there was none, and `changed` is 1 or 0 accordingly. `each` must not use the connection. Must run
 * inside a transaction. Stops at the first failure.
 */
typedef void db_each_fn(void *ctx, size_t index, int64_t changed, struct db_rows *rows);
MUST_CHECK enum db_status db_run_many(struct db_conn *c, const struct db_sql *sql, const struct db_args *args, size_t count, db_each_fn *each,
				      void *ctx, struct error *err);

/*
 * SQL text that is not known at compile time (migrations, audits that walk tables). Several statements separated by ';' are allowed
 * in db_script.
 */
MUST_CHECK enum db_status db_script(struct db_conn *c, const char *sql, struct error *err);
MUST_CHECK enum db_status db_query_text(struct db_conn *c, const char *sql, struct db_args args, struct db_rows **rows, struct error *err);

/*
 * Transactions. WRITE takes SQLite's write lock at once (BEGIN IMMEDIATE) and is READ COMMITTED on PostgreSQL; SNAPSHOT is
 * read-only and sees one state throughout, from its first statement on (REPEATABLE READ on PostgreSQL). Not nested. After DB_OK
 * from db_commit the change is durable. Once a statement has failed inside a transaction, on either database every later statement
 * and db_commit give that same failure, and db_commit rolls back: use ON CONFLICT where a conflict is expected. DB_UNAVAILABLE from
 * db_commit itself is AMBIGUOUS: the answer was lost, and the change may or may not have been kept. After any db_commit no
 * transaction is open.
 */
enum db_txn { DB_TXN_WRITE, DB_TXN_SNAPSHOT };
MUST_CHECK enum db_status db_begin(struct db_conn *c, enum db_txn kind, struct error *err);
MUST_CHECK enum db_status db_commit(struct db_conn *c, struct error *err);
void db_rollback(struct db_conn *c); /* harmless when nothing is open */

/* A consistent copy of the whole database into a new file that did not exist (SQLite's backup API; PostgreSQL: ERR_CONFIG, "use pg_dump").
 * The copy is fsynced before DB_OK. */
MUST_CHECK enum db_status db_backup(struct db_conn *c, const char *path, struct error *err);

/* Is the connection worth keeping? False once only a new one can help: the server is gone, the file is corrupt or unreadable. */
bool db_usable(const struct db_conn *c);
/* As db_usable, and looks (without waiting) whether an idle connection was closed by the server meanwhile, or its file taken away. */
bool db_check(struct db_conn *c);

#endif
