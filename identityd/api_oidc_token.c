/*
 * The token endpoint. What is shown (a code, a refresh token, a device code) is read and judged on the request's own thread, and the new tokens are
 * made there. The transaction uses it up by one conditional update and keeps the new ones; whoever loses that update has used it a second time, and
 * the grant with everything that came of it is revoked, but for devices, which ask again and again.
 */
#include "api_oidc.h"
#include "base/clock.h"
#include "base/jobs.h"
#include "binding.h"
#include "secrets.h"

struct token_job {
	struct oidc_job job; /* first */
	struct identity *id;
	enum oidc_grant_type type;
	const struct oidc_client *client;
	struct hash shown;
	struct oidc_issue issue;
	struct str new_role; /* GRANT_REFRESH: of the user now */
	int64_t now;
	int64_t interval_ms; /* GRANT_DEVICE: to be asked at from now on */
};

/* ---- transactions ---- */

static enum db_status use(const struct token_job *j, struct db_conn *c, bool *won, struct error *err)
{
	switch (j->type) {
	case GRANT_CODE:
		return oidc_code_use(c, &j->shown, j->now, won, err);
	case GRANT_REFRESH:
		return oidc_refresh_use(c, &j->shown, j->now, won, err);
	case GRANT_DEVICE:
		break;
	}
	return oidc_device_use(c, &j->shown, won, err);
}

static enum db_status run_issue(struct db_job *job, struct db_conn *c, struct error *err)
{
	struct token_job *j = (struct token_job *)job;
	bool won;
	enum db_status st = use(j, c, &won, err);
	j->job.refused = st == DB_OK && !won;
	if (j->job.refused && j->type == GRANT_DEVICE) { /* a device that asks again before it hears the answer is no thief */
		error_set(&j->job.refusal, ERR_INVALID_GRANT, "the device code was used before");
		return DB_OK;
	}
	if (j->job.refused) {
		error_set(&j->job.refusal, ERR_INVALID_GRANT, "this was used before; what came of it is revoked");
		return oidc_grant_revoke(c, j->issue.grant.id, j->now, err);
	}
	if (st == DB_OK && j->type == GRANT_REFRESH)
		st = oidc_grant_set_role(c, j->issue.grant.id, j->new_role, err);
	return st == DB_OK ? oidc_issue_store(c, &j->issue, err) : st;
}

static struct http_reply *issue(struct token_job *j)
{
	struct error err;
	j->issue.client = j->client;
	j->issue.now = j->now;
	if (!oidc_issue_make(j->job.request, &j->issue, &err))
		return http_reply_error(j->job.request, &err);
	j->job.answer = j->issue.answer;
	return NULL;
}

static struct http_reply *issue_and_submit(struct token_job *j)
{
	struct http_reply *failed = issue(j);
	return failed ? failed : oidc_submit(&j->job, j->job.request, run_issue);
}

static enum db_status run_revoke(struct db_job *job, struct db_conn *c, struct error *err)
{
	struct token_job *j = (struct token_job *)job;
	return oidc_grant_revoke(c, j->issue.grant.id, j->now, err);
}

/* A refusal that also ends the grant. */
static struct http_reply *revoke_and_refuse(struct token_job *j, const struct error *err)
{
	j->job.refused = true;
	j->job.refusal = *err;
	return oidc_submit(&j->job, j->job.request, run_revoke);
}

static struct http_reply *settle(struct token_job *j, enum redeem outcome, const struct error *err)
{
	switch (outcome) {
	case REDEEM_GOOD:
		break;
	case REDEEM_REFUSED:
		return http_reply_error(j->job.request, err);
	case REDEEM_REUSED:
		return revoke_and_refuse(j, err);
	}
	return issue_and_submit(j);
}

/* What was shown, hashed. NULL, or the refusal: it is missing. */
static struct http_reply *shown(struct token_job *j, const char *name)
{
	struct str text = http_form_text(j->job.request, name);
	if (!str_present(text))
		return http_reply_error_code(j->job.request, ERR_INVALID_REQUEST, "%s is missing", name);
	secret_hash(text, &j->shown);
	return NULL;
}

static struct http_reply *unknown(struct token_job *j, const char *what)
{
	return http_reply_error_code(j->job.request, ERR_INVALID_GRANT, "there is no such %s, or it was long ago", what);
}

/* ---- codes ---- */

static struct http_reply *redeem_code(struct token_job *j)
{
	struct http_request *r = j->job.request;
	struct code_row row;
	struct error err;
	bool found;
	struct http_reply *missing = shown(j, "code");
	if (missing)
		return missing;
	struct db_conn *c = db_pool_reader(j->id->pool, &err);
	enum db_status st = c ? oidc_code_read(c, &j->shown, j->now, http_arena(r), &row, &found, &err) : DB_UNAVAILABLE;
	if (c)
		db_pool_release(j->id->pool, c);
	if (st != DB_OK)
		return http_reply_error(r, &err);
	if (!found)
		return unknown(j, "code");
	j->issue.grant = row.grant;
	j->issue.scopes = row.grant.scopes;
	return settle(j, code_judge(j->client, &row, http_form_text(r, "redirect_uri"), http_form_text(r, "code_verifier"), j->now, &err), &err);
}

/* ---- refresh tokens ---- */

/* The user has that key still, and is of a group that may use the client: what the ledger or the file says now. */
static bool still_admitted(struct token_job *j, struct error *err)
{
	const struct grant_row *g = &j->issue.grant;
	struct approve_claim claim = {.user_id = g->user_id, .username = g->username, .public_key = g->public_key};
	struct key_owner owner;
	if (!ed25519_public_from_text(g->public_key, KEY_LENIENT, &claim.key, err) ||
	    !binding_owner(j->id->binding, g->user_id, http_arena(j->job.request), &owner, err) || !approve_owner_fits(&claim, &owner, err))
		return false;
	j->issue.grant.role = j->new_role = owner.role;
	return true;
}

static bool asks_owner(const struct identity *id)
{
	switch (id->config.binding) {
	case BIND_LEDGER:
	case BIND_FILE:
		return true;
	case BIND_TOFU:
	case BIND_NONE:
		break;
	}
	return false;
}

/* On a thread of the jobs, or on the request's own. */
static struct http_reply *refresh_checked(struct token_job *j)
{
	struct error err, why;
	if (asks_owner(j->id) && !still_admitted(j, &why)) {
		if (error_code_status(why.code) >= 500)
			return http_reply_error(j->job.request, &why);
		error_set(&err, ERR_INVALID_GRANT, "the user's key is not good any more: %s", why.message);
		return revoke_and_refuse(j, &err);
	}
	if (!client_admits(j->client, oidc_groups_of_role(j->issue.grant.role), &why)) {
		error_set(&err, ERR_INVALID_GRANT, "%s", why.message);
		return revoke_and_refuse(j, &err);
	}
	return issue_and_submit(j);
}

static void refresh_later(void *ctx)
{
	struct token_job *j = ctx;
	struct http_request *r = j->job.request;
	/* Handed to the writer, it may be answered and gone by now: *j is not looked at any more. */
	struct http_reply *reply = refresh_checked(j), *later = http_reply_later(r);
	if (reply != later)
		http_finish(r, reply);
}

static struct http_reply *redeem_refresh(struct token_job *j)
{
	struct http_request *r = j->job.request;
	struct oidc_token_row row;
	struct error err;
	bool found;
	struct http_reply *missing = shown(j, "refresh_token");
	if (missing)
		return missing;
	struct db_conn *c = db_pool_reader(j->id->pool, &err);
	enum db_status st = c ? oidc_token_read(c, &j->shown, j->now, http_arena(r), &row, &found, &err) : DB_UNAVAILABLE;
	if (c)
		db_pool_release(j->id->pool, c);
	if (st != DB_OK)
		return http_reply_error(r, &err);
	if (!found || row.kind != OIDC_REFRESH)
		return unknown(j, "refresh token");
	j->issue.grant = row.grant;
	j->new_role = row.grant.role;
	const struct refresh_row judged = {.grant = row.grant, .expires_at = row.expires_at, .used_at = row.used_at};
	enum redeem outcome = refresh_judge(j->client, &judged, http_form_text(r, "scope"), j->now, &j->issue.scopes, &err);
	if (outcome != REDEEM_GOOD)
		return settle(j, outcome, &err);
	if (!asks_owner(j->id) || !binding_waits(j->id->binding))
		return refresh_checked(j);
	struct http_reply *later = http_reply_later(r);
	jobs_run(j->id->jobs, refresh_later, j);
	return later;
}

/* ---- device codes ---- */

static enum db_status run_polled(struct db_job *job, struct db_conn *c, struct error *err)
{
	struct token_job *j = (struct token_job *)job;
	return oidc_device_polled(c, &j->shown, j->interval_ms, j->now, err);
}

static struct http_reply *redeem_device(struct token_job *j)
{
	struct http_request *r = j->job.request;
	struct device_row row;
	struct error err;
	bool found;
	struct http_reply *missing = shown(j, "device_code");
	if (missing)
		return missing;
	struct db_conn *c = db_pool_reader(j->id->pool, &err);
	enum db_status st = c ? oidc_device_read(c, &j->shown, j->now, http_arena(r), &row, &found, &err) : DB_UNAVAILABLE;
	if (c)
		db_pool_release(j->id->pool, c);
	if (st != DB_OK)
		return http_reply_error(r, &err);
	if (!found)
		return unknown(j, "device code");
	j->issue.grant = row.grant;
	j->issue.scopes = row.grant.scopes;
	switch (device_judge(j->client, &row, j->now, &j->interval_ms, &err)) {
	case DEVICE_GOOD:
		return issue_and_submit(j);
	case DEVICE_WAITS:
		j->job.refused = true;
		j->job.refusal = err;
		return oidc_submit(&j->job, r, run_polled);
	case DEVICE_REFUSED:
		break;
	}
	return http_reply_error(r, &err);
}

struct http_reply *api_oidc_token(struct http_request *r)
{
	struct http_reply *reply;
	struct error err;
	const struct oidc_client *client = oidc_calling_client(r, &reply);
	if (!client)
		return reply;
	struct token_job *j = arena_zalloc(http_arena(r), 1, sizeof(*j));
	j->job.request = r;
	j->id = http_ctx(r);
	j->client = client;
	j->now = clock_wall_ms();
	if (!grant_type_judge(client, http_form_text(r, "grant_type"), &j->type, &err))
		return http_reply_error(r, &err);
	switch (j->type) {
	case GRANT_CODE:
		return redeem_code(j);
	case GRANT_REFRESH:
		return redeem_refresh(j);
	case GRANT_DEVICE:
		break;
	}
	return redeem_device(j);
}
