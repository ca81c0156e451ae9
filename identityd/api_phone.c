/* What a phone does before and instead of approving: scan, reject. */
#include "api.h"
#include "base/clock.h"
#include "base/log.h"
#include "identity_metrics.h"
#include "notify.h"
#include "wire/identity.h"

enum phone_change { PHONE_SCAN, PHONE_REJECT };

struct phone_job {
	struct db_job job; /* first: the pool's */
	struct identity *id;
	struct http_request *request;
	enum phone_change change;
	int64_t begun, now; /* when the request came; when it was carried out */
	bool won, found;        /* found: there is such a session (when not won) */
	struct session_row row; /* as it is afterwards */
	struct str session_id, reason;
};

static enum db_status run_change(struct db_job *job, struct db_conn *c, struct error *err)
{
	struct phone_job *j = (struct phone_job *)job;
	struct arena *arena = http_arena(j->request);
	j->now = clock_wall_ms();
	enum db_status st = j->change == PHONE_SCAN ? session_scan(c, j->session_id, j->now, arena, &j->row, &j->won, err) :
						      session_reject(c, j->session_id, j->now, arena, &j->row, &j->won, err);
	if (st != DB_OK)
		return st;
	return j->won ? notify_in(j->id, c, j->session_id, err) : session_read(c, j->session_id, arena, &j->row, &j->found, err);
}

/* The two-digit numbers as a list of texts. */
static struct json_list choices_of(struct arena *arena, struct str text)
{
	struct str *items = arena_zalloc(arena, IDENTITY_MATCH_CHOICES, sizeof(*items));
	size_t count = 0;
	while (text.n > 0 && count < IDENTITY_MATCH_CHOICES) {
		const char *comma = memchr(text.p, ',', text.n);
		size_t n = comma ? (size_t)(comma - text.p) : text.n;
		items[count++] = str_of(text.p, n);
		text = comma ? str_of(comma + 1, text.n - n - 1) : str_of(text.p, 0);
	}
	return (struct json_list){items, count};
}

static struct http_reply *scanned(struct phone_job *j)
{
	struct http_request *r = j->request;
	const struct session_row *s = &j->row;
	struct identity_desktop desktop = {.ip = s->desktop_ip, .user_agent = s->desktop_agent};
	struct identity_scanned a = {
		.success = JSON_TRUE,
		.session_id = s->id,
		.challenge = s->challenge,
		.app_name = s->app_name,
		.app_icon = s->app_icon,
		.app_origin = s->app_origin,
		.client_id = s->client_id,
		.server = str_from(j->id->config.public_url),
		.expires_at = api_time(r, s->expires_at),
		.desktop = &desktop,
	};
	if (s->match_code >= 0)
		a.match_choices = choices_of(http_arena(r), s->match_choices);
	return http_reply_json(r, 200, &identity_scanned_message, &a);
}

static void change_done(struct db_job *job, enum db_status status, const struct error *err)
{
	struct phone_job *j = (struct phone_job *)job;
	struct http_request *r = j->request;
	const struct identity_done done = {.success = JSON_TRUE};
	if (status != DB_OK) {
		http_finish(r, http_reply_error(r, err));
		return;
	}
	if (!j->won) {
		http_finish(r, j->found ? api_refuse_late(r, &j->row, j->begun, j->now) : api_unknown_session(r));
		return;
	}
	notify_session(j->id, &j->row);
	identity_count(j->change == PHONE_SCAN ? IDENTITY_SCANNED : IDENTITY_REJECTED, 1);
	if (j->change == PHONE_REJECT)
		log_info("a login was rejected by the phone", LOG_STR("session", j->session_id), LOG_STR("reason", j->reason));
	http_finish(r, j->change == PHONE_SCAN ? scanned(j) : http_reply_json(r, 200, &identity_done_message, &done));
}

struct http_reply *api_refuse_late(struct http_request *r, const struct session_row *s, int64_t begun, int64_t now)
{
	struct error err;
	enum session_status status = session_status_at(s->status, s->expires_at, now);
	const struct approve_session judged = {.status = status};
	bool raced = session_status_open(status) || (status != SESSION_EXPIRED && s->ended_at >= begun);
	if (raced)
		error_set(&err, ERR_WRONG_STATE, "another phone was first: this login is %s already", session_status_text(status));
	else if (approve_session_open(&judged, &err))
		fatal("a session that is over is taken for an open one");
	return api_refuse_state(r, &err, status);
}

static struct http_reply *change(struct http_request *r, enum phone_change what)
{
	struct identity *id = http_ctx(r);
	struct str session_id = http_path_arg(r, 0);
	struct http_reply *reply;
	struct identity_reject body = {0};
	if (!session_id_valid(session_id))
		return api_unknown_session(r);
	if (what == PHONE_REJECT && http_body(r).n > 0 && !http_read_body(r, &identity_reject_message, &body, &reply))
		return reply;
	struct phone_job *j = arena_zalloc(http_arena(r), 1, sizeof(*j));
	j->job = (struct db_job){.run = run_change, .done = change_done};
	j->id = id;
	j->request = r;
	j->change = what;
	j->begun = clock_wall_ms();
	j->session_id = session_id;
	j->reason = body.reason;
	return api_submit(r, &j->job);
}

struct http_reply *api_session_scan(struct http_request *r)
{
	return change(r, PHONE_SCAN);
}

struct http_reply *api_session_reject(struct http_request *r)
{
	return change(r, PHONE_REJECT);
}
