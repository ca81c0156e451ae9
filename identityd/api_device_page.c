/*
 * Where a person types the code that a device shows, and says yes or no. Only who is logged in may try codes, and not many a minute: there are
 * 20^8, and a right one logs a stranger's device in as oneself.
 */
#include <stdio.h>

#include "api_oidc.h"
#include "base/clock.h"
#include "oidc_pages.h"
#include "page.h"
#include "secrets.h"

static struct http_reply *ask_to_log_in(struct http_request *r, struct str user_code)
{
	struct login_ask *ask = arena_zalloc(http_arena(r), 1, sizeof(*ask));
	struct buf address = {0};
	buf_puts(&address, "/device");
	oidc_url_put(&address, "user_code", user_code);
	ask->app_name = STR_LIT("a device");
	ask->return_url = arena_copy(http_arena(r), buf_str(&address));
	buf_free(&address);
	return login_page(r, ask);
}

struct http_reply *api_device_page(struct http_request *r)
{
	struct token_row who;
	struct http_reply *failed;
	struct str user_code = http_query_text(r, "user_code", 0);
	if (!oidc_at_browser(r, &who, &failed))
		return failed ? failed : ask_to_log_in(r, user_code);
	return oidc_device_code_page(r, &who, user_code, NULL, 200);
}

/* ---- what the form sends ---- */

enum decision { DECISION_NONE, DECISION_ALLOW, DECISION_DENY };
struct page_job {
	struct db_job job; /* first: the pool's */
	struct http_request *request;
	struct identity *id;
	struct token_row who;
	struct hash user_code;
	char shown[USER_CODE_LETTERS + 2];
	enum decision decision;
	int64_t now;
	/* What the transaction found; set anew when it runs again. */
	int64_t wait_ms; /* > 0: too many tries */
	bool found, decided;
	struct device_row device;
	struct str ip;
	const struct oidc_client *client; /* NULL: it was taken out of the file meanwhile */
	struct error refusal;             /* code ERR_COUNT: none */
};

static enum db_status decide(struct page_job *j, struct db_conn *c, struct error *err)
{
	struct str grant_id = STR_NONE;
	if (j->decision == DECISION_ALLOW) {
		if (!client_admits(j->client, oidc_groups_of_role(j->who.role), &j->refusal))
			return DB_OK;
		const struct grant_row g = oidc_grant_of(j->request, &j->who, j->client, j->device.scopes, STR_NONE);
		enum db_status st = oidc_grant_insert(c, &g, j->now, err);
		if (st != DB_OK)
			return st;
		grant_id = g.id;
	}
	return oidc_device_decide(c, &j->device.hash, grant_id, j->now, &j->decided, err);
}

/* Every try is counted first, under a lock on the user's row; a right one is given back. */
static enum db_status run_page(struct db_job *job, struct db_conn *c, struct error *err)
{
	struct page_job *j = (struct page_job *)job;
	struct user_code_tries before, tries;
	j->wait_ms = 0;
	j->found = j->decided = false;
	j->client = NULL;
	j->refusal.code = ERR_COUNT;
	enum db_status st = oidc_tries_lock(c, j->who.user_id, &before, err);
	if (st != DB_OK)
		return st;
	tries = before;
	if (!user_code_try(&tries, j->now, &j->wait_ms))
		return DB_OK;
	j->wait_ms = 0;
	st = oidc_device_by_user_code(c, &j->user_code, j->now, http_arena(j->request), &j->device, &j->ip, &j->found, err);
	if (st == DB_OK && j->found)
		j->client = oidc_client_find(j->id->oidc, j->device.client_id);
	if (st == DB_OK && !j->client)
		return oidc_tries_write(c, j->who.user_id, &tries, err);
	return st == DB_OK && j->decision != DECISION_NONE ? decide(j, c, err) : st;
}

static struct http_reply *page_answer(struct page_job *j)
{
	struct http_request *r = j->request;
	char seconds[24];
	if (j->wait_ms > 0) {
		(void)snprintf(seconds, sizeof(seconds), "%lld", (long long)(j->wait_ms + 999) / 1000);
		return http_reply_header(oidc_device_code_page(r, &j->who, STR_NONE, "Too many wrong codes. Wait a minute, then try again.", 429), "Retry-After", seconds);
	}
	if (!j->client)
		return oidc_device_code_page(r, &j->who, STR_NONE, "No device waits with this code: it may have expired, or been used.", 400);
	if (j->refusal.code != ERR_COUNT)
		return page_message(r, 403, "Not allowed", j->refusal.message, NULL, NULL);
	if (j->decision == DECISION_NONE)
		return oidc_device_confirm_page(r, &j->who, j->client, &j->device, str_from(j->shown), j->ip);
	if (!j->decided)
		return oidc_device_code_page(r, &j->who, STR_NONE, "This code was answered already, or has expired.", 400);
	if (j->decision == DECISION_DENY)
		return page_message(r, 200, "Denied", "The device is not logged in.", NULL, NULL);
	return page_message(r, 200, "Allowed", "The device is logged in. You may close this page.", NULL, NULL);
}

static void page_done(struct db_job *job, enum db_status status, const struct error *err)
{
	struct page_job *j = (struct page_job *)job;
	http_finish(j->request, status == DB_OK ? page_answer(j) : http_reply_error(j->request, err));
}

struct http_reply *api_device_form(struct http_request *r)
{
	struct http_reply *failed;
	struct error err;
	char code[USER_CODE_LETTERS + 1];
	struct str typed = http_form_text(r, "user_code"), decision = http_form_text(r, "decision");
	struct page_job *j = arena_zalloc(http_arena(r), 1, sizeof(*j));
	if (!oidc_at_browser(r, &j->who, &failed))
		return failed ? failed : ask_to_log_in(r, typed);
	if (!oidc_form_token_fits(r, http_form_text(r, "form_token")))
		return page_message(r, 400, "This form is not from here", "Nothing was allowed.", "/device", "Begin again");
	if (!str_present(typed) || !user_code_read(typed, code))
		return oidc_device_code_page(r, &j->who, STR_NONE, "A code has 8 letters, none of them A, E, I, O, U or Y.", 400);
	j->job = (struct db_job){.run = run_page, .done = page_done};
	j->request = r;
	j->id = http_ctx(r);
	j->now = clock_wall_ms();
	j->decision = str_is(decision, "allow") ? DECISION_ALLOW : str_is(decision, "deny") ? DECISION_DENY : DECISION_NONE;
	secret_hash(str_from(code), &j->user_code);
	oidc_user_code_show(code, j->shown);
	struct http_reply *later = http_reply_later(r);
	if (!db_pool_submit(j->id->pool, &j->job, &err))
		http_finish(r, http_reply_error(r, &err));
	return later;
}
