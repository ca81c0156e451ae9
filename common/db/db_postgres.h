/*
 * Inside the PostgreSQL driver: what db_postgres.c (statements), db_postgres_connect.c (connections and failures) and
 * db_postgres_rows.c (results) ask of each other.
 */
#ifndef TANA_DB_POSTGRES_H
#define TANA_DB_POSTGRES_H

#include <libpq-fe.h>

#include "base/buf.h"
#include "db_driver.h"

struct pg {
	struct db_conn head;
	PGconn *conn;
	bool read_only;
	struct db_statements statements; /* of names */
	unsigned names;                  /* given so far */
	const struct db_sql *begin;      /* a BEGIN that goes out with the transaction's first statement; NULL: none waits */
	/* Room for one statement's arguments in the form libpq takes them. */
	struct pg_params {
		size_t room;
		const char **values;
		int *lengths, *formats;
		char (*digits)[24];
	} params;
};

enum db_status pg_open(const char *url, enum db_open_how how, const char *name, struct db_conn **out, struct error *err);
void pg_close(struct db_conn *c);
bool pg_display(const char *url, char *out, size_t size);
bool pg_check(struct db_conn *c);

/* What a result (NULL: there was none) that is not a success means; fills *err, without the password. */
enum db_status pg_failure(struct pg *c, const PGresult *r, struct error *err);

/*
 * Argument `column` of `count` lists as one array, in the binary format of the server's array_recv: bigint[], text[] or bytea[], as its values
 * are, with NULLs. False when they are of several types. Of nothing but NULLs: nothing is written, and NULL is to be sent, which unnest fills up.
 */
MUST_CHECK bool pg_array(struct buf *out, const struct db_args *args, size_t count, size_t column);

struct pg_rows {
	struct db_rows head;
	PGresult *result;
	int row; /* -1 before the first */
	enum db_status failed; /* a value that the caller's type cannot hold */
	struct error failure;
};
/* Takes the result over. DB_BROKEN, with nothing to finish, when a column has a type that is not read here. */
enum db_status pg_rows_new(struct pg *c, PGresult *result, struct db_rows **rows, struct error *err);
bool pg_next(struct db_rows *rows);
enum db_status pg_finish(struct db_rows *rows, struct error *err);
int64_t pg_integer(struct db_rows *rows, int column);
struct str pg_bytes(struct db_rows *rows, int column, enum db_type type);
enum db_type pg_column_type(struct db_rows *rows, int column);
int pg_columns(struct db_rows *rows);
const char *pg_column_name(struct db_rows *rows, int column);

#endif
