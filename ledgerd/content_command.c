/*
 * `ledgerd content --keep-list FILE`: the hashes that a store of this chain must keep, one a line, for `t4d gc --keep FILE`: what live references
 * name, what was granted and may be published yet, and what waits to be published. The file is dated back to before the look at the database: t4d
 * keeps what is newer than the list.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "content_refs.h"
#include "crypto/canonical_read.h"
#include "daemon/daemon.h"
#include "ledger.h"
#include "ledger_commands.h"

DB_SQL(SQL_GRANTED, "SELECT DISTINCT hash FROM local_grants");
DB_SQL(SQL_PENDING, "SELECT message FROM local_pending");

/* Clocks of a store and of its file system may lag a little. */
enum { DATED_BACK_MS = 2000 };

struct list {
	FILE *to;
	const char *path;
	int64_t count;
};

static bool put(struct list *l, const struct hash *h, struct error *err)
{
	char text[HASH_TEXT_LEN + 2];
	hash_to_text(h, text);
	text[HASH_TEXT_LEN] = '\n';
	l->count++;
	return fwrite(text, 1, HASH_TEXT_LEN + 1, l->to) == HASH_TEXT_LEN + 1 || error_errno(err, ERR_IO, errno, "cannot write %s", l->path);
}

static bool put_live(struct list *l, struct db_conn *c, struct error *err)
{
	struct content_walk walk = {.ended = false};
	static struct content_ref refs[CONTENT_PAGE + 1];
	bool ok = true;
	while (ok && !walk.ended) {
		size_t n;
		ok = content_walk_next(&walk, c, refs, &n, err) == DB_OK;
		for (size_t i = 0; ok && i < n; i++)
			ok = put(l, &refs[i].hash, err);
	}
	return ok;
}

/* The hash of a transaction that publishes one. */
static bool read_publish(struct str message, struct hash *h)
{
	struct str type, hash, text;
	return canonical_find(message, "type", &type) && str_is(type, "\"content_publish\"") && canonical_find(message, "hash", &hash) &&
	       canonical_read_plain(hash, &text) && hash_from_text(text, h);
}

static bool put_rows(struct list *l, struct db_conn *c, const struct db_sql *sql, bool messages, struct error *err)
{
	struct db_rows *rows;
	struct error why;
	bool ok = true;
	if (db_query(c, sql, DB_NO_ARGS, &rows, err) != DB_OK)
		return false;
	while (ok && db_next(rows)) {
		struct hash h;
		struct str text = db_text(rows, 0);
		if (messages ? read_publish(text, &h) : hash_from_text(text, &h))
			ok = put(l, &h, &why);
	}
	if (db_finish(rows, err) == DB_OK && ok)
		return true;
	if (!ok)
		*err = why;
	return false;
}

static bool put_all(struct list *l, struct ledger *ledger, struct error *err)
{
	struct db_conn *c = db_pool_reader(ledger->pool, err);
	bool ok = c && db_begin(c, DB_TXN_SNAPSHOT, err) == DB_OK && put_live(l, c, err) && put_rows(l, c, &SQL_GRANTED, false, err) &&
		  put_rows(l, c, &SQL_PENDING, true, err);
	if (c) {
		db_rollback(c);
		db_pool_release(ledger->pool, c);
	}
	return ok;
}

static bool finish(struct list *l, const char *part, int64_t as_of_ms, struct error *err)
{
	const struct timespec at = {.tv_sec = as_of_ms / 1000, .tv_nsec = as_of_ms % 1000 * 1000000}, times[] = {at, at};
	int fd = fileno(l->to);
	return (fflush(l->to) == 0 && futimens(fd, times) == 0 && fsync(fd) == 0 && rename(part, l->path) == 0) ||
	       error_errno(err, ERR_IO, errno, "cannot write %s", l->path);
}

/* Under another name first: a list that is cut off would let gc delete what is needed. */
static bool write_list(struct list *l, struct ledger *ledger, struct error *err)
{
	int64_t as_of = clock_wall_ms() - DATED_BACK_MS;
	const char *part = arena_printf(&ledger->arena, "%s.part", l->path).p;
	int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	l->to = fd >= 0 ? fdopen(fd, "w") : NULL;
	if (!l->to) {
		if (fd >= 0)
			close(fd);
		return error_errno(err, ERR_IO, errno, "cannot write %s", part);
	}
	bool ok = put_all(l, ledger, err) && finish(l, part, as_of, err);
	(void)fclose(l->to);
	if (!ok)
		(void)unlink(part);
	return ok;
}

int ledger_command_content(struct invocation *in)
{
	struct ledger l = {.pool = NULL};
	struct error err;
	struct list list = {.path = option_text(in, "keep-list")};
	bool ok = daemon_log_open("ledger", in, &err) && ledger_configure(&l, in, &err);
	ok = ok && (list.path || error_set(&err, ERR_USAGE, "--keep-list FILE is required: where the hashes go"));
	ok = ok && ledger_open_database(&l, NULL, &err) && write_list(&list, &l, &err);
	if (ok)
		printf("%" PRId64 " hashes to keep were written to %s.\n", list.count, list.path);
	int status = ok ? EXIT_DONE : program_fail(in, &err);
	ledger_close(&l);
	return status;
}
