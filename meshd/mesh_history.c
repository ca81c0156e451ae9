#include "mesh_history.h"

#include <inttypes.h>

#include "base/log.h"

/* Full, or with lines so long that the row leaves its page: services that are ill are named in each. Locks the row on PostgreSQL. */
DB_SQL(SQL_TAKE, "UPDATE local_liveness SET beats = 0 WHERE node_id = $1 AND (beats >= " HISTORY_RECENT_FULL " OR LENGTH(recent) > 700 OR (beats > 0 AND heartbeat_time < $2))"
		 " RETURNING recent");
DB_SQL(SQL_EMPTY, "UPDATE local_liveness SET recent = '' WHERE node_id = $1");
DB_SQL(SQL_KEEP, "INSERT INTO local_heartbeats (node_id, time, received_at, height, version, unhealthy) VALUES ($1, $2, $3, $4, $5, $6)"
		 " ON CONFLICT (node_id, time) DO NOTHING");
DB_SQL(SQL_READ, "SELECT time, received_at, height, version, unhealthy FROM local_heartbeats WHERE node_id = $1 AND time > $2 ORDER BY time LIMIT $3");
DB_SQL(SQL_RECENT, "SELECT recent FROM local_liveness WHERE node_id = $1");

/* ---- lines: time, received_at - time, height, version, types; tabs between them, a newline at the end. Absent ones are empty. ---- */

struct str history_line(struct arena *arena, const struct history_beat *b)
{
	struct buf line = {0};
	buf_put_int(&line, b->time);
	buf_putc(&line, '\t');
	buf_put_int(&line, b->received_at - b->time);
	buf_putc(&line, '\t');
	if (b->height != JSON_INT_ABSENT)
		buf_put_int(&line, b->height);
	buf_putc(&line, '\t');
	if (str_present(b->version))
		buf_put_str(&line, b->version);
	buf_putc(&line, '\t');
	if (str_present(b->unhealthy))
		buf_put_str(&line, b->unhealthy);
	buf_putc(&line, '\n');
	struct str out = arena_copy(arena, buf_str(&line));
	buf_free(&line);
	return out;
}

/* The part of *rest before the next `end`, which is taken as well. False: there is no `end`. */
static bool next_part(struct str *rest, char end, struct str *part)
{
	const char *at = rest->n ? memchr(rest->p, end, rest->n) : NULL;
	if (!at)
		return false;
	*part = str_of(rest->p, (size_t)(at - rest->p));
	*rest = str_of(at + 1, rest->n - part->n - 1);
	return true;
}

static bool read_line(struct str line, struct history_beat *out)
{
	struct str time, delay, height, version;
	int64_t late;
	if (!next_part(&line, '\t', &time) || !next_part(&line, '\t', &delay) || !next_part(&line, '\t', &height) || !next_part(&line, '\t', &version))
		return false;
	*out = (struct history_beat){.height = JSON_INT_ABSENT, .version = version.n ? version : STR_NONE, .unhealthy = line.n ? line : STR_NONE};
	if (!str_to_int64(time, &out->time) || !str_to_int64(delay, &late) || __builtin_add_overflow(out->time, late, &out->received_at))
		return false;
	return height.n == 0 || str_to_int64(height, &out->height);
}

/* The next line of `recent` that can be read; others are in a database that somebody else wrote. False: there is none. */
static bool next_beat(struct str *recent, struct history_beat *out)
{
	struct str line;
	while (next_part(recent, '\n', &line))
		if (read_line(line, out))
			return true;
	return false;
}

/* ---- from `recent` to the table ---- */

static enum db_status keep(struct db_conn *c, struct str node_id, struct str recent, struct error *err)
{
	struct history_beat b;
	enum db_status st = DB_OK;
	while (st == DB_OK && next_beat(&recent, &b))
		st = db_run(c, &SQL_KEEP,
			    DB_ARGS(DB_TEXT(node_id), DB_INT(b.time), DB_INT(b.received_at), b.height == JSON_INT_ABSENT ? DB_NULL : DB_INT(b.height),
				    DB_TEXT(b.version), DB_TEXT(b.unhealthy)),
			    NULL, err);
	return st;
}

enum db_status history_settle(struct db_conn *c, struct str node_id, int64_t before, struct error *err)
{
	struct db_rows *rows;
	enum db_status st = db_query(c, &SQL_TAKE, DB_ARGS(DB_TEXT(node_id), DB_INT(before)), &rows, err);
	if (st != DB_OK)
		return st;
	struct buf recent = {0};
	bool taken = db_next(rows);
	if (taken)
		buf_put_str(&recent, db_text(rows, 0));
	st = db_finish(rows, err);
	if (st == DB_OK && taken)
		st = keep(c, node_id, buf_str(&recent), err);
	if (st == DB_OK && taken)
		st = db_run(c, &SQL_EMPTY, DB_ARGS(DB_TEXT(node_id)), NULL, err);
	buf_free(&recent);
	return st;
}

/* ---- reading ---- */

static struct json_list split_types(struct arena *arena, struct str text)
{
	struct str *types = arena_zalloc(arena, MESH_SERVICES_MAX, sizeof(*types));
	size_t count = 0;
	while (text.n > 0 && count < MESH_SERVICES_MAX) {
		const char *blank = memchr(text.p, ' ', text.n);
		size_t n = blank ? (size_t)(blank - text.p) : text.n;
		types[count++] = arena_copy(arena, str_of(text.p, n));
		text = str_of(text.p + n + (blank ? 1 : 0), text.n - n - (blank ? 1 : 0));
	}
	return (struct json_list){types, count};
}

struct page {
	struct arena *arena;
	struct mesh_history_entry *list;
	size_t count, limit;
	int64_t after; /* timestamps up to this are not wanted, or there already */
	bool more;
};

/* False: the page was full already. */
static bool add(struct page *p, const struct history_beat *b)
{
	if (b->time <= p->after)
		return true;
	p->more = p->count == p->limit;
	if (p->more)
		return false;
	p->list[p->count++] = (struct mesh_history_entry){
		.timestamp = b->time,
		.received_at = b->received_at,
		.height = b->height,
		.version = arena_copy(p->arena, b->version),
		.unhealthy = split_types(p->arena, b->unhealthy),
	};
	p->after = b->time;
	return true;
}

static enum db_status read_recent(struct db_conn *c, struct str node_id, struct arena *arena, struct str *out, struct error *err)
{
	struct db_rows *rows;
	enum db_status st = db_query(c, &SQL_RECENT, DB_ARGS(DB_TEXT(node_id)), &rows, err);
	if (st != DB_OK)
		return st;
	*out = db_next(rows) ? arena_copy(arena, db_text(rows, 0)) : STR_LIT("");
	return db_finish(rows, err);
}

enum db_status history_read(struct db_conn *c, struct str node_id, int64_t after, int64_t limit, struct arena *arena, struct mesh_history *out,
			    struct error *err)
{
	struct page p = {.arena = arena, .limit = (size_t)limit, .after = after};
	struct db_rows *rows;
	struct str recent;
	struct history_beat b;
	p.list = arena_zalloc(arena, p.limit, sizeof(*p.list));
	/* `recent` first: what moves to the table between the two readings is then seen in both, and added once. */
	enum db_status st = read_recent(c, node_id, arena, &recent, err);
	if (st == DB_OK)
		st = db_query(c, &SQL_READ, DB_ARGS(DB_TEXT(node_id), DB_INT(after), DB_INT(limit + 1)), &rows, err);
	if (st != DB_OK)
		return st;
	bool room = true;
	while (room && db_next(rows)) {
		b = (struct history_beat){.time = db_int(rows, 0), .received_at = db_int(rows, 1)};
		b.height = db_is_null(rows, 2) ? JSON_INT_ABSENT : db_int(rows, 2);
		b.version = db_text(rows, 3);
		b.unhealthy = db_text(rows, 4);
		room = add(&p, &b);
	}
	st = db_finish(rows, err);
	while (room && next_beat(&recent, &b))
		room = add(&p, &b);
	*out = (struct mesh_history){.heartbeats = {p.list, p.count}};
	if (p.more)
		out->next_cursor = arena_printf(arena, "%" PRId64, p.list[p.count - 1].timestamp);
	return st;
}
