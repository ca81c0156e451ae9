#include "db_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

struct db_lock {
	int fd;               /* SQLite; -1 otherwise */
	struct db_conn *conn; /* PostgreSQL */
};

static struct db_lock *lock_file(const char *path, const char *name, struct error *err)
{
	char file[4096];
	if ((size_t)snprintf(file, sizeof file, "%s-%s.lock", path, name) >= sizeof file) {
		error_set(err, ERR_CONFIG, "the path of the database is too long");
		return NULL;
	}
	int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0) {
		error_errno(err, ERR_IO, errno, "%s", file);
		return NULL;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		if (errno == EWOULDBLOCK)
			error_set(err, ERR_WRONG_STATE, "another process holds the lock \"%s\" of this database", name);
		else
			error_errno(err, ERR_IO, errno, "%s", file);
		close(fd);
		return NULL;
	}
	struct db_lock *l = xcalloc(1, sizeof *l);
	l->fd = fd;
	return l;
}

static uint64_t hash_more(uint64_t h, struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		h = (h ^ (unsigned char)s.p[i]) * UINT64_C(1099511628211);
	return h;
}

/* Advisory locks have numbers, and one database's tables may be in several schemas: the number is of both names (FNV-1a). */
static enum db_status lock_number(struct db_conn *c, const char *name, int64_t *number, struct error *err)
{
	DB_SQL(sql, "SELECT CAST(current_schema() AS TEXT)");
	struct db_rows *rows;
	uint64_t h = hash_more(UINT64_C(14695981039346656037), str_of(name, strlen(name) + 1));
	enum db_status st = db_query(c, &sql, DB_NO_ARGS, &rows, err);
	if (st != DB_OK)
		return st;
	if (db_next(rows))
		h = hash_more(h, db_text(rows, 0));
	*number = (int64_t)(h >> 1);
	return db_finish(rows, err);
}

static struct db_lock *lock_server(const char *url, const char *name, struct error *err)
{
	DB_SQL(sql, "SELECT CAST(pg_try_advisory_lock($1) AS INTEGER)");
	struct db_lock *l = xcalloc(1, sizeof *l);
	struct db_rows *rows;
	int64_t number;
	bool got = false;
	l->fd = -1;
	enum db_status st = db_open(url, DB_OPEN_EXISTING, name, &l->conn, err);
	if (st == DB_OK)
		st = lock_number(l->conn, name, &number, err);
	if (st == DB_OK)
		st = db_query(l->conn, &sql, DB_ARGS(DB_INT(number)), &rows, err);
	if (st == DB_OK) {
		got = db_next(rows) && db_int(rows, 0) == 1;
		st = db_finish(rows, err);
	}
	if (st == DB_OK && got)
		return l;
	if (st == DB_OK)
		error_set(err, ERR_WRONG_STATE, "another process holds the lock \"%s\" of this database", name);
	db_lock_release(l);
	return NULL;
}

struct db_lock *db_lock_take(const char *url, const char *name, struct error *err)
{
	enum db_kind kind;
	if (!db_url_kind(url, &kind, err))
		return NULL;
	return kind == DB_SQLITE ? lock_file(url + strlen("sqlite:"), name, err) : lock_server(url, name, err);
}

bool db_lock_held(struct db_lock *l, struct error *err)
{
	DB_SQL(sql, "SELECT 1");
	struct db_rows *rows;
	if (!l->conn)
		return true;
	if (db_query(l->conn, &sql, DB_NO_ARGS, &rows, err) != DB_OK)
		return false;
	while (db_next(rows))
		;
	return db_finish(rows, err) == DB_OK;
}

void db_lock_release(struct db_lock *l)
{
	if (!l)
		return;
	if (l->fd >= 0)
		close(l->fd);
	db_close(l->conn);
	free(l);
}
