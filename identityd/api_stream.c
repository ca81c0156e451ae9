/* Event streams: of a session, for the desktop that began it; of a user's logins, for that user. */
#include "api.h"
#include "base/clock.h"
#include "base/log.h"
#include "login.h"
#include "notify.h"
#include "secrets.h"
#include "watch.h"
#include "wire/identity.h"

/* ---- a session's ---- */

/* What is answered: the stream (*opened), which begins with the present state, or why there is none. `token`: what `approved` will carry, or absent. */
static struct http_reply *open_session_stream(struct http_request *r, struct str session_id, struct str token, bool *opened)
{
	struct identity *id = http_ctx(r);
	struct session_row s;
	struct error err;
	bool found = false;
	struct http_reply *reply = watch_session(id->watch, r, session_id, token, opened);
	if (!*opened)
		return reply;
	/* Read after the stream is known: a change that is not in this row is told by whoever makes it. */
	struct db_conn *c = db_pool_reader(id->pool, &err);
	enum db_status st = c ? session_read(c, session_id, http_arena(r), &s, &found, &err) : DB_UNAVAILABLE;
	if (c)
		db_pool_release(id->pool, c);
	*opened = st == DB_OK && found;
	if (!*opened)
		return st == DB_OK ? api_unknown_session(r) : http_reply_error(r, &err);
	watch_session_is(id->watch, &s, clock_wall_ms());
	return reply;
}

struct take_job {
	struct db_job job; /* first: the pool's */
	struct http_request *request;
	struct str session_id, ticket;
	struct hash hash, sealed;
	int64_t expires_at;
	bool found;
	struct http_reply *refusal; /* of the stream */
};

/* No stream came of it: the ticket is as good as before. */
static enum db_status run_give_back(struct db_job *job, struct db_conn *c, struct error *err)
{
	struct take_job *j = (struct take_job *)job;
	return ticket_insert(c, &j->hash, j->session_id, &j->sealed, j->expires_at, err);
}

static void give_back_done(struct db_job *job, enum db_status status, const struct error *err)
{
	struct take_job *j = (struct take_job *)job;
	if (status != DB_OK)
		log_warn("a ticket without a stream was not given back", LOG_S("why", err->message));
	http_finish(j->request, j->refusal);
}

static enum db_status run_take(struct db_job *job, struct db_conn *c, struct error *err)
{
	struct take_job *j = (struct take_job *)job;
	return ticket_take(c, &j->hash, j->session_id, clock_wall_ms(), &j->sealed, &j->expires_at, &j->found, err);
}

static void take_done(struct db_job *job, enum db_status status, const struct error *err)
{
	struct take_job *j = (struct take_job *)job;
	struct http_request *r = j->request;
	char token[SECRET_TEXT_MAX];
	struct error why;
	bool opened;
	if (status != DB_OK) {
		http_finish(r, http_reply_error(r, err));
		return;
	}
	if (!j->found) {
		http_finish(r, http_reply_error_code(r, ERR_TICKET_INVALID, "this ticket was used already, is too old, or was never given"));
		return;
	}
	/* A short read on the writer's thread; tickets are rare. */
	ticket_open(j->ticket, j->session_id, &j->sealed, token);
	struct http_reply *reply = open_session_stream(r, j->session_id, str_from(token), &opened);
	explicit_bzero(token, sizeof(token));
	j->refusal = reply;
	j->job = (struct db_job){.run = run_give_back, .done = give_back_done};
	if (opened || !db_pool_submit(((struct identity *)http_ctx(r))->pool, &j->job, &why))
		http_finish(r, reply);
}

static struct http_reply *open_with_ticket(struct http_request *r, struct str session_id, struct str ticket)
{
	struct take_job *j = arena_zalloc(http_arena(r), 1, sizeof(*j));
	j->job = (struct db_job){.run = run_take, .done = take_done};
	j->request = r;
	j->session_id = session_id;
	j->ticket = ticket;
	secret_hash(ticket, &j->hash);
	return api_submit(r, &j->job);
}

struct http_reply *api_session_events(struct http_request *r)
{
	struct session_row s;
	struct http_reply *reply;
	char token[SECRET_TEXT_MAX];
	bool opened;
	struct str ticket = http_query_text(r, "ticket", 0);
	if (!api_session_of_path(r, &s, &reply))
		return reply;
	if (str_present(ticket))
		return open_with_ticket(r, s.id, ticket);
	bool shown = api_poll_secret_shown(r, &s, token);
	reply = open_session_stream(r, s.id, shown ? str_from(token) : STR_NONE, &opened);
	explicit_bzero(token, sizeof(token));
	return reply;
}

/* ---- a user's ---- */

static bool wants_stream(const struct http_request *r)
{
	struct str accept = http_header(r, "Accept");
	return str_present(accept) && memmem(accept.p, accept.n, "text/event-stream", 17) != NULL;
}

struct http_reply *api_user_events(struct http_request *r)
{
	struct identity *id = http_ctx(r);
	struct token_row who;
	struct http_reply *reply;
	struct error err;
	bool opened;
	if (!login_of_bearer(r, &who, &reply))
		return reply;
	if (!str_equal(http_path_arg(r, 0), who.user_id))
		return http_reply_error_code(r, ERR_NOT_ALLOWED, "the token is not that of this user");
	if (wants_stream(r)) {
		reply = watch_user(id->watch, r, &who, &opened);
		if (!opened)
			notify_tokens_ended(id, who.user_id); /* there will be room */
		return reply;
	}
	struct login_row *rows = arena_zalloc(http_arena(r), IDENTITY_LIST_MAX, sizeof(*rows));
	struct identity_login *list = arena_zalloc(http_arena(r), IDENTITY_LIST_MAX, sizeof(*list));
	size_t count = 0;
	struct db_conn *c = db_pool_reader(id->pool, &err);
	enum db_status st = c ? logins_of(c, who.user_id, http_arena(r), rows, IDENTITY_LIST_MAX, &count, &err) : DB_UNAVAILABLE;
	if (c)
		db_pool_release(id->pool, c);
	if (st != DB_OK)
		return http_reply_error(r, &err);
	for (size_t i = 0; i < count; i++)
		list[i] = (struct identity_login){.type = STR_LIT("login"),
						  .time = api_time(r, rows[i].time),
						  .app_name = rows[i].app_name,
						  .app_origin = rows[i].app_origin,
						  .client_id = rows[i].client_id,
						  .ip = rows[i].ip,
						  .user_agent = rows[i].agent,
						  .public_key = rows[i].public_key};
	const struct identity_logins a = {.events = {list, count}};
	return http_reply_json(r, 200, &identity_logins_message, &a);
}
