#include "mesh_liveness.h"

#include "base/log.h"
#include "mesh_change.h"
#include "mesh_history.h"
#include "mesh_store.h"

/* An active node with this very key, an older last heartbeat and room for one more; what is not reported stays. */
DB_SQL(SQL_BEAT, "UPDATE local_liveness SET seen_at = $1, last_heartbeat = $1, heartbeat_time = $2, ip = COALESCE($3, ip), health = COALESCE($4, health),"
		 " height = COALESCE($5, height), version = COALESCE($6, version), recent = recent || $7, beats = beats + 1"
		 " WHERE node_id = $8 AND heartbeat_time < $2 AND heartbeat_time >= $9 AND beats < " HISTORY_RECENT_FULL
		 " AND EXISTS (SELECT 1 FROM nodes WHERE id = $8 AND public_key = $10 AND status = 'active')");
DB_SQL(SQL_JUDGE, "SELECT " NODE_COLUMNS ", l.heartbeat_time, l.health FROM nodes n LEFT JOIN local_liveness l ON l.node_id = n.id WHERE n.id = $1");
DB_SQL(SQL_ONLINE, "UPDATE nodes SET status = 'active' WHERE id = $1 AND status = 'offline'");
DB_SQL(SQL_STALE, "SELECT n.id FROM local_liveness l JOIN nodes n ON n.id = l.node_id WHERE l.seen_at < $1 AND n.status = 'active' LIMIT $2");
DB_SQL(SQL_OLDEST, "SELECT MIN(l.seen_at) FROM local_liveness l JOIN nodes n ON n.id = l.node_id WHERE n.status = 'active'");
DB_SQL(SQL_OFFLINE, "UPDATE nodes SET status = 'offline' WHERE id = $1 AND status = 'active'"
		    " AND EXISTS (SELECT 1 FROM local_liveness WHERE node_id = $1 AND seen_at < $2)");
DB_SQL(SQL_CLAMP, "UPDATE local_liveness SET seen_at = $1 WHERE seen_at > $1");

enum { BEAT_ARGS = 10, GROUP_MAX = 512 };

static struct db_value int_or_null(int64_t v)
{
	return v == JSON_INT_ABSENT ? DB_NULL : DB_INT(v);
}

static int64_t history_cutoff(const struct heartbeat_job *j)
{
	return j->received_at - j->mesh->config.history_keep_ms;
}

/* `settled_before`: a history whose end is older is settled before it goes on. */
static void beat_args(const struct heartbeat_job *j, int64_t settled_before, struct db_value v[BEAT_ARGS])
{
	v[0] = DB_INT(j->received_at);
	v[1] = DB_INT(j->timestamp);
	v[2] = DB_TEXT(j->ip);
	v[3] = DB_TEXT(j->health);
	v[4] = int_or_null(j->height);
	v[5] = DB_TEXT(j->version);
	v[6] = DB_TEXT(j->line);
	v[7] = DB_TEXT(j->node_id);
	v[8] = DB_INT(settled_before);
	v[9] = DB_TEXT(j->public_key);
}

static enum db_status beat(struct heartbeat_job *j, struct db_conn *c, bool *taken, struct error *err)
{
	struct db_value v[BEAT_ARGS];
	int64_t changed = 0;
	beat_args(j, 0, v);
	enum db_status st = db_run(c, &SQL_BEAT, (struct db_args){v, BEAT_ARGS}, &changed, err);
	*taken = changed > 0;
	return st;
}

static enum db_status judge_read(struct db_conn *c, struct str id, struct arena *arena, struct node_row *node, struct liveness *l, struct str *health,
				 bool *found, struct error *err)
{
	struct db_rows *rows;
	enum db_status st = db_query(c, &SQL_JUDGE, DB_ARGS(DB_TEXT(id)), &rows, err);
	if (st != DB_OK)
		return st;
	bool readable = true;
	*found = db_next(rows);
	if (*found) {
		readable = node_row_read(rows, 0, arena, node);
		l->heartbeat_time = db_int(rows, NODE_COLUMN_COUNT);
		*health = arena_copy(arena, db_text(rows, NODE_COLUMN_COUNT + 1));
	}
	st = db_finish(rows, err);
	if (st == DB_OK && !readable) {
		error_set(err, ERR_CORRUPT, "a row of the registry cannot be read; run `meshd verify`");
		return DB_BROKEN;
	}
	return st;
}

enum db_status heartbeat_read(struct db_conn *c, struct str id, struct arena *arena, struct node_row *node, struct liveness *l, bool *found,
			      struct error *err)
{
	struct str health;
	return judge_read(c, id, arena, node, l, &health, found, err);
}

struct str health_text(struct arena *arena, const struct mesh_health *list, size_t count)
{
	struct buf text = {0};
	for (size_t i = 0; i < count; i++) {
		if (i)
			buf_putc(&text, ' ');
		buf_put_str(&text, list[i].type);
		buf_puts(&text, list[i].healthy == JSON_TRUE ? ":1:" : ":0:");
		if (list[i].last_check != JSON_INT_ABSENT)
			buf_put_int(&text, list[i].last_check);
	}
	struct str out = arena_copy(arena, buf_str(&text));
	buf_free(&text);
	return out;
}

/* The next piece of *rest that a blank ends. False: there is none. */
static bool next_word(struct str *rest, struct str *word)
{
	if (rest->n == 0)
		return false;
	const char *blank = memchr(rest->p, ' ', rest->n);
	word->p = rest->p;
	word->n = blank ? (size_t)(blank - rest->p) : rest->n;
	size_t used = word->n + (blank ? 1 : 0);
	*rest = str_of(rest->p + used, rest->n - used);
	return true;
}

struct health health_of(struct str text, struct str type)
{
	struct health h = {.healthy = JSON_BOOL_ABSENT, .last_check = JSON_INT_ABSENT};
	struct str word;
	while (next_word(&text, &word)) {
		if (word.n < type.n + 3 || memcmp(word.p, type.p, type.n) != 0 || word.p[type.n] != ':')
			continue;
		h.healthy = word.p[type.n + 1] == '1' ? JSON_TRUE : JSON_FALSE;
		if (!str_to_int64(str_of(word.p + type.n + 3, word.n - type.n - 3), &h.last_check))
			h.last_check = JSON_INT_ABSENT;
		return h;
	}
	return h;
}

static enum db_status report_unhealthy(struct heartbeat_job *j, struct db_conn *c, struct str before, struct error *err)
{
	struct str rest = j->unhealthy, type;
	while (next_word(&rest, &type)) {
		if (health_of(before, type).healthy == JSON_FALSE)
			continue;
		struct buf extra = {0};
		buf_puts(&extra, ",\"service\":");
		buf_put_json_string(&extra, type);
		enum db_status st = event_record(c, EVENT_SERVICE_UNHEALTHY, j->received_at, j->node_id, STR_NONE, buf_str(&extra), err);
		buf_free(&extra);
		if (st != DB_OK)
			return st;
		j->events = true;
	}
	return DB_OK;
}

/* One heartbeat by itself: read the row, judge it again, apply. */
static enum db_status run_alone(struct db_job *job, struct db_conn *c, struct error *err)
{
	struct heartbeat_job *j = (struct heartbeat_job *)job;
	struct node_row node;
	struct liveness l;
	struct str health = STR_NONE;
	bool found;
	j->accepted = j->events = false;
	enum db_status st = judge_read(c, j->node_id, j->arena, &node, &l, &health, &found, err);
	if (st != DB_OK)
		return st;
	if (!found) {
		error_set(&j->refusal, ERR_UNKNOWN_NODE, "no node %.*s is registered", STR_ARG(j->node_id));
		return DB_OK;
	}
	if (!mesh_heartbeat_allowed(&node, &l, j->timestamp, j->received_at, j->mesh->config.heartbeat_window_ms, &j->refusal))
		return DB_OK;
	if (!str_equal(node.public_key, j->public_key)) {
		error_set(&j->refusal, ERR_BAD_SIGNATURE, "the signature is not by the node's present key");
		return DB_OK;
	}
	if (node.status == NODE_OFFLINE) {
		int64_t changed;
		st = db_run(c, &SQL_ONLINE, DB_ARGS(DB_TEXT(j->node_id)), &changed, err);
		if (st == DB_OK && changed > 0) {
			st = event_record(c, EVENT_NODE_ONLINE, j->received_at, j->node_id, STR_LIT("active"), STR_NONE, err);
			j->events = true;
		}
		if (st != DB_OK)
			return st;
	}
	bool taken;
	st = history_settle(c, j->node_id, history_cutoff(j), err);
	if (st == DB_OK)
		st = beat(j, c, &taken, err);
	if (st != DB_OK)
		return st;
	if (!taken) {
		/* Another instance took a later one, or the node changed, between our look and our update. */
		error_set(&j->refusal, ERR_REPLAYED, "the timestamp is not newer than this node's last heartbeat");
		return DB_OK;
	}
	j->accepted = true;
	return report_unhealthy(j, c, health, err);
}

static void note_beat(void *ctx, size_t index, int64_t changed, struct db_rows *rows)
{
	(void)rows;
	struct heartbeat_job **jobs = ctx;
	jobs[index]->accepted = changed > 0;
}

/* Neighbours in one go; then, one by one, those that were not taken so. */
static enum db_status run_group(struct db_job **list, size_t count, struct db_conn *c, struct error *err)
{
	struct heartbeat_job *jobs[GROUP_MAX];
	struct db_value values[GROUP_MAX * BEAT_ARGS];
	struct db_args args[GROUP_MAX];
	for (size_t at = 0; at < count; at += GROUP_MAX) {
		size_t n = count - at < GROUP_MAX ? count - at : GROUP_MAX;
		for (size_t i = 0; i < n; i++) {
			jobs[i] = (struct heartbeat_job *)list[at + i];
			beat_args(jobs[i], history_cutoff(jobs[i]), &values[i * BEAT_ARGS]);
			args[i] = (struct db_args){&values[i * BEAT_ARGS], BEAT_ARGS};
		}
		enum db_status st = db_run_many(c, &SQL_BEAT, args, n, note_beat, jobs, err);
		for (size_t i = 0; st == DB_OK && i < n; i++)
			if (!jobs[i]->accepted)
				st = run_alone(&jobs[i]->job, c, err);
		if (st != DB_OK)
			return st;
	}
	return DB_OK;
}

void heartbeat_job_init(struct heartbeat_job *j)
{
	const struct history_beat b = {j->timestamp, j->received_at, j->height, j->version, j->unhealthy};
	j->line = history_line(j->arena, &b);
	j->job.run = run_alone;
	/* What is reported unhealthy has to be compared with what was before. */
	j->job.run_many = str_present(j->unhealthy) ? NULL : run_group;
}

enum db_status liveness_stale(struct db_conn *c, int64_t cutoff, struct arena *arena, struct str *ids, size_t max, size_t *count, struct error *err)
{
	struct db_rows *rows;
	*count = 0;
	enum db_status st = db_query(c, &SQL_STALE, DB_ARGS(DB_INT(cutoff), DB_INT((int64_t)max)), &rows, err);
	if (st != DB_OK)
		return st;
	while (*count < max && db_next(rows))
		ids[(*count)++] = arena_copy(arena, db_text(rows, 0));
	return db_finish(rows, err);
}

enum db_status liveness_oldest(struct db_conn *c, int64_t *seen_at, struct error *err)
{
	struct db_rows *rows;
	enum db_status st = db_query(c, &SQL_OLDEST, DB_NO_ARGS, &rows, err);
	if (st != DB_OK)
		return st;
	*seen_at = db_next(rows) && !db_is_null(rows, 0) ? db_int(rows, 0) : INT64_MAX;
	return db_finish(rows, err);
}

enum db_status liveness_offline(struct db_conn *c, struct str id, int64_t cutoff, int64_t now, bool *done, struct error *err)
{
	int64_t changed = 0;
	enum db_status st = db_run(c, &SQL_OFFLINE, DB_ARGS(DB_TEXT(id), DB_INT(cutoff)), &changed, err);
	*done = changed > 0;
	if (st == DB_OK && *done)
		st = event_record(c, EVENT_NODE_OFFLINE, now, id, STR_LIT("offline"), STR_NONE, err);
	return st;
}

enum db_status liveness_clamp(struct db_conn *c, int64_t now, struct error *err)
{
	return db_run(c, &SQL_CLAMP, DB_ARGS(DB_INT(now)), NULL, err);
}
