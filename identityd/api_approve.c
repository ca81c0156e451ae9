/*
 * An approval: the one request that makes somebody logged in. In order: the session is read and must be open; the message, its claims and its
 * signature are checked (session_rules.h, on the worker); the owner of the key is asked (binding.h: a ledger is asked on a thread of its own);
 * then one transaction changes the session if it still is as it was; with that both its tokens count. Two phones meet in that one update.
 */
#include "api.h"
#include "base/clock.h"
#include "base/jobs.h"
#include "base/log.h"
#include "binding.h"
#include "fresh.h"
#include "identity_metrics.h"
#include "login.h"
#include "notify.h"
#include "secrets.h"
#include "wire/identity.h"

struct approve_job {
	struct db_job job; /* first: the pool's */
	struct identity *id;
	struct http_request *request;
	struct session_row row; /* as it was read; then as it will be */
	struct approve_claim claim;
	struct str key; /* the written form of the claim's */
	int64_t picked; /* match code; -1: none */
	struct str role;
	char token[SECRET_TEXT_MAX];
	int64_t begun;
	/* What the transaction found; set anew when it runs again. */
	int64_t now;
	bool won;
	bool refused, ends; /* ends: the refusal ended the session */
	bool first;         /* nobody has had this user id before (BIND_TOFU) */
	struct session_row current;
	struct error refusal;
};

/* ---- the transaction ---- */

static enum db_status check_first_key(struct approve_job *j, struct db_conn *c, struct error *err)
{
	struct key_owner owner;
	if (j->id->config.binding != BIND_TOFU)
		return DB_OK;
	enum db_status st = first_key_find(c, j->claim.user_id, j->claim.username, http_arena(j->request), &j->first, &owner, err);
	j->refused = st == DB_OK && !j->first && !approve_owner_fits(&j->claim, &owner, &j->refusal);
	return st;
}

static enum db_status check_match(struct approve_job *j, struct db_conn *c, struct error *err)
{
	bool known = false;
	enum match_when when = j->id->config.match;
	enum db_status st = when == MATCH_NEW ? browser_known(c, j->claim.user_id, j->row.browser_hash, &known, err) : DB_OK;
	bool demanded = when == MATCH_ALWAYS || (when == MATCH_NEW && !known);
	j->refused = st == DB_OK && !approve_match_fits(demanded, j->row.match_code, j->picked, &j->ends, &j->refusal);
	return st;
}

/* What goes with a session that has just become a login. */
static enum db_status write_login(struct approve_job *j, struct db_conn *c, struct error *err)
{
	enum db_status st = j->first ? first_key_bind(c, j->row.user_id, j->row.username, j->key, j->now, err) : DB_OK;
	if (st == DB_OK && j->id->config.match != MATCH_NEVER)
		st = browser_seen(c, j->row.user_id, j->row.browser_hash, j->now, err);
	return st == DB_OK ? notify_in(j->id, c, j->row.id, err) : st;
}

/* Somebody else was first, or the time is over: what is it now? */
static enum db_status see_who_won(struct approve_job *j, struct db_conn *c, struct error *err)
{
	bool found;
	enum db_status st = session_read(c, j->row.id, http_arena(j->request), &j->current, &found, err);
	j->refused = st == DB_OK && !found && !error_set(&j->refusal, ERR_UNKNOWN_SESSION, "the login session is gone");
	return st;
}

/* A wrong number was picked: nobody guesses twice. */
static enum db_status end_session(struct approve_job *j, struct db_conn *c, struct error *err)
{
	bool ended;
	enum db_status st = session_reject(c, j->row.id, j->now, http_arena(j->request), &j->current, &ended, err);
	j->ends = st == DB_OK && ended;
	if (st != DB_OK)
		return st;
	/* Another phone may have been first, here or at another instance: then this ends nothing, nobody is told that it did, and this phone hears who was. */
	return ended ? notify_in(j->id, c, j->row.id, err) : see_who_won(j, c, err);
}

static enum db_status run_approve(struct db_job *job, struct db_conn *c, struct error *err)
{
	struct approve_job *j = (struct approve_job *)job;
	j->now = clock_wall_ms();
	j->won = j->refused = j->ends = j->first = false;
	enum db_status st = check_first_key(j, c, err);
	if (st == DB_OK && !j->refused)
		st = check_match(j, c, err);
	if (st != DB_OK || j->refused)
		return st == DB_OK && j->ends ? end_session(j, c, err) : st;
	j->row.token_expires_at = j->now + j->id->config.token_ttl_ms;
	st = session_approve(c, &j->row, j->now, &j->won, err);
	if (st != DB_OK)
		return st;
	return j->won ? write_login(j, c, err) : see_who_won(j, c, err);
}

static struct http_reply *approved(struct approve_job *j)
{
	struct http_request *r = j->request;
	const struct identity_approved a = {.success = JSON_TRUE,
					    .session_token = str_from(j->token),
					    .user_id = j->row.user_id,
					    .username = j->row.username,
					    .expires_at = api_time(r, j->row.token_expires_at)};
	j->row.status = SESSION_APPROVED;
	j->row.ended_at = j->now;
	j->row.desktop_counts = true;
	notify_session(j->id, &j->row);
	identity_count(IDENTITY_APPROVED, 1);
	log_info("a login was approved", LOG_STR("session", j->row.id), LOG_STR("user", j->row.user_id), LOG_STR("for", j->row.app_origin));
	return http_reply_json(r, 200, &identity_approved_message, &a);
}

static void approve_done(struct db_job *job, enum db_status status, const struct error *err)
{
	struct approve_job *j = (struct approve_job *)job;
	struct http_request *r = j->request;
	struct http_reply *reply;
	if (status == DB_OK && j->won) {
		reply = approved(j);
	} else {
		identity_count(IDENTITY_REFUSED, 1);
		if (status == DB_OK && j->ends) {
			j->row.status = SESSION_REJECTED;
			j->row.ended_at = j->now;
			notify_session(j->id, &j->row);
		}
		reply = status != DB_OK ? http_reply_error(r, err) : j->refused ? http_reply_error(r, &j->refusal) : api_refuse_late(r, &j->current, j->begun, j->now);
	}
	explicit_bzero(j->token, sizeof(j->token));
	http_finish(r, reply);
}

/* ---- before it ---- */

static struct http_reply *refuse_now(struct http_request *r, const struct error *err, enum session_status status)
{
	identity_count(IDENTITY_REFUSED, 1);
	return err->code == ERR_SESSION_EXPIRED || err->code == ERR_SESSION_NOT_OPEN ? api_refuse_state(r, err, status) : http_reply_error(r, err);
}

/* The owner is known and it is their key: the rest is the writer's. NULL: it is on its way. */
static struct http_reply *ask_owner(struct approve_job *j)
{
	struct http_request *r = j->request;
	struct key_owner owner;
	struct error err;
	bool ask = j->id->config.binding == BIND_LEDGER || j->id->config.binding == BIND_FILE;
	if (ask && (!binding_owner(j->id->binding, j->claim.user_id, http_arena(r), &owner, &err) || !approve_owner_fits(&j->claim, &owner, &err)))
		return refuse_now(r, &err, j->row.status);
	if (ask)
		j->row.role = owner.role;
	make_token(j->row.id, j->token);
	secret_hash(str_from(j->token), &j->row.phone_hash);
	return db_pool_submit(j->id->pool, &j->job, &err) ? NULL : http_reply_error(r, &err);
}

static void ask_and_go_on(void *job)
{
	struct approve_job *j = job;
	struct http_request *r = j->request; /* once submitted, j may be gone */
	struct http_reply *refusal = ask_owner(j);
	if (refusal)
		http_finish(r, refusal);
}

static struct approve_claim claim_of(const struct identity_approve *a)
{
	return (struct approve_claim){
		.user_id = a->user_id, .username = a->username, .public_key = a->public_key, .signature = a->signature, .message = a->message};
}

struct http_reply *api_session_approve(struct http_request *r)
{
	struct identity *id = http_ctx(r);
	struct arena *arena = http_arena(r);
	struct approve_job *j = arena_zalloc(arena, 1, sizeof(*j));
	struct identity_approve body;
	struct http_reply *reply;
	struct error err;
	char key[ED25519_PUBLIC_TEXT_LEN + 1];
	if (!fresh_get(id->fresh, http_path_arg(r, 0), arena, &j->row) && !api_session_of_path(r, &j->row, &reply))
		return reply;
	int64_t now = clock_wall_ms();
	const struct approve_session s = {.id = j->row.id,
					  .challenge = j->row.challenge,
					  .status = session_status_at(j->row.status, j->row.expires_at, now),
					  .server = str_from(id->config.public_url),
					  .client_id = j->row.client_id,
					  .origin = j->row.app_origin};
	/* A session that is over is told so, whatever the body says. */
	if (!approve_session_open(&s, &err))
		return refuse_now(r, &err, s.status);
	if (!http_read_body(r, &identity_approve_message, &body, &reply))
		return reply;
	j->claim = claim_of(&body);
	if (!approve_check(&s, &j->claim, now, arena, &err))
		return refuse_now(r, &err, s.status);
	j->job = (struct db_job){.run = run_approve, .done = approve_done};
	j->id = id;
	j->request = r;
	j->begun = now;
	j->picked = body.match_code == JSON_INT_ABSENT ? -1 : body.match_code;
	ed25519_public_to_text(&j->claim.key, key);
	j->key = arena_copy(arena, str_from(key));
	j->row.user_id = j->claim.user_id;
	j->row.username = j->claim.username;
	j->row.public_key = j->key;
	j->row.phone_ip = str_from(http_peer(r));
	j->row.phone_agent = login_agent(r);
	reply = http_reply_later(r);
	if (binding_waits(id->binding))
		jobs_run(id->jobs, ask_and_go_on, j);
	else
		ask_and_go_on(j);
	return reply;
}
