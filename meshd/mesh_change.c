#include "mesh_change.h"

#include "base/clock.h"
#include "base/log.h"
#include "mesh_feed.h"
#include "mesh_log.h"
#include "mesh_quota.h"
#include "mesh_store.h"

/* Event ids are taken under a lock on one row, so they are given in the order of the commits: who has seen id n has seen all before it. */
DB_SQL(SQL_EVENT_ID, "UPDATE local_event_head SET last = last + 1 WHERE id = 1 RETURNING last");
DB_SQL(SQL_EVENT, "INSERT INTO local_events (id, time, type, data) VALUES ($1, $2, $3, $4)");

static bool about_node(enum mesh_event e)
{
	return strncmp(mesh_event_text(e), "node.", 5) == 0 || e == EVENT_SERVICE_UNHEALTHY;
}

enum db_status event_record(struct db_conn *c, enum mesh_event e, int64_t time, struct str subject, struct str status, struct str extra, struct error *err)
{
	struct db_rows *rows;
	enum db_status st = db_query(c, &SQL_EVENT_ID, DB_NO_ARGS, &rows, err);
	if (st != DB_OK)
		return st;
	int64_t id = db_next(rows) ? db_int(rows, 0) : 0;
	st = db_finish(rows, err);
	if (st != DB_OK)
		return st;
	struct buf data = {0};
	buf_puts(&data, about_node(e) ? "{\"nodeId\":" : "{\"publicKey\":");
	buf_put_json_string(&data, subject);
	if (str_present(status)) {
		buf_puts(&data, ",\"status\":");
		buf_put_json_string(&data, status);
	}
	if (str_present(extra))
		buf_put_str(&data, extra);
	buf_printf(&data, ",\"time\":%lld}", (long long)time);
	st = db_run(c, &SQL_EVENT, DB_ARGS(DB_INT(id), DB_INT(time), DB_TEXT(str_from(mesh_event_text(e))), DB_TEXT(buf_str(&data))), NULL, err);
	buf_free(&data);
	return st;
}

static enum db_status record_verdict(struct db_conn *c, const struct change_job *j, struct error *err)
{
	const struct verdict *v = &j->verdict;
	const enum mesh_event events[] = {v->event, v->second_event};
	for (size_t i = 0; i < ARRAY_LEN(events); i++) {
		if (events[i] == EVENT_NONE)
			continue;
		bool gone = events[i] == EVENT_NODE_REMOVED || events[i] == EVENT_NODE_EXPIRED || !about_node(events[i]);
		enum db_status st =
			event_record(c, events[i], j->time, v->subject, gone ? STR_NONE : str_from(node_status_text(v->status)), STR_NONE, err);
		if (st != DB_OK)
			return st;
	}
	return DB_OK;
}

static void sign_as_coordinator(struct change_job *j, struct change *c)
{
	c->statement.timestamp = j->time;
	struct buf text = {0};
	mesh_statement_write(&c->statement, &text);
	struct ed25519_signature sig;
	ed25519_sign_message(&sig, &j->mesh->coordinator, buf_str(&text));
	char sig_text[ED25519_SIGNATURE_TEXT_LEN + 1];
	ed25519_signature_to_text(&sig, sig_text);
	c->message = arena_copy(j->arena, buf_str(&text));
	c->signature = arena_copy(j->arena, str_from(sig_text));
	c->public_key = j->mesh->coordinator_key;
	c->signatures_checked = true;
	buf_free(&text);
}

static enum db_status run(struct db_job *job, struct db_conn *c, struct error *err)
{
	struct change_job *j = (struct change_job *)job;
	struct change change = j->change;
	struct sql_state sql = {.conn = c};
	sql.state.ops = &sql_state_ops;
	mesh_state_fill(j->mesh, &sql.state);
	sql.state.arena = j->arena;
	sql.state.now = j->time = clock_wall_ms();
	enum db_status st = log_lock(c, &sql.state.entry, err);
	if (st != DB_OK)
		return st;
	if (j->coordinator_signs)
		sign_as_coordinator(j, &change);

	mesh_apply(&sql.state, &change, &j->verdict);
	switch (j->verdict.kind) {
	case VERDICT_FAILED:
		*err = sql.err;
		return sql.status;
	case VERDICT_REFUSED:
	case VERDICT_UNCHANGED:
		return DB_OK;
	case VERDICT_APPLIED:
	case VERDICT_CONSUMED:
		break;
	}
	struct mesh_audit_entry entry = {
		.index = sql.state.entry,
		.time = j->time,
		.message = change.message,
		.public_key = change.public_key,
		.signature = change.signature,
		.outcome = j->verdict.outcome,
		.new_public_key = change.statement.new_key,
		.new_signature = change.new_signature,
		.details = change.details,
	};
	st = log_append(c, &entry, err);
	if (st == DB_OK)
		st = quota_count(c, &change, j->time, err);
	return st == DB_OK ? record_verdict(c, j, err) : st;
}

void change_job_init(struct change_job *j, struct mesh *m, struct arena *arena)
{
	*j = (struct change_job){.job = {.run = run}, .mesh = m, .arena = arena};
}

bool change_run(struct change_job *j, struct error *err)
{
	if (db_pool_write(j->mesh->pool, &j->job, err) != DB_OK)
		return false;
	if (j->verdict.kind == VERDICT_REFUSED || j->verdict.kind == VERDICT_CONSUMED) {
		*err = j->verdict.err;
		return false;
	}
	mesh_feed_wake(j->mesh->feed);
	return true;
}
