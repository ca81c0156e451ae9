/* A device without a browser asks to be logged in (RFC 8628 3.1): it is given a code to ask with, and one for people to type. */
#include "api_oidc.h"
#include "base/clock.h"
#include "base/random.h"
#include "oidc_pages.h"
#include "secrets.h"

enum {
	DEVICES_MAX = 10000,           /* that wait at once, of all clients */
	DEVICES_PER_ADDRESS_MAX = 1000 /* so that nobody alone keeps all others out; loopback is exempt */
};

struct device_answer {
	struct str device_code, user_code, verification_uri, verification_uri_complete;
	int64_t expires_in, interval;
};
static const struct json_field device_rows[] = {
	F_TEXT(struct device_answer, device_code, "device_code", JSON_REQUIRED, 0, "to ask the token endpoint with"),
	F_TEXT(struct device_answer, user_code, "user_code", JSON_REQUIRED, 0, "for the user to type"),
	F_TEXT(struct device_answer, verification_uri, "verification_uri", JSON_REQUIRED, 0, "where to type it"),
	F_TEXT(struct device_answer, verification_uri_complete, "verification_uri_complete", JSON_REQUIRED, 0, "the same with the code in it, for a QR code"),
	F_INT(struct device_answer, expires_in, "expires_in", JSON_REQUIRED, 0, JSON_INT_MAX, "how long both are good (s)"),
	F_INT(struct device_answer, interval, "interval", JSON_REQUIRED, 0, JSON_INT_MAX, "how often to ask at most (s)"),
};
JSON_MESSAGE(oidc_device_message, "DeviceAnswer", struct device_answer, device_rows);

struct device_job {
	struct oidc_job job; /* first */
	struct device_row row;
	struct hash user_code;
	struct str ip;
	int64_t now;
};

static enum db_status run_device(struct db_job *job, struct db_conn *c, struct error *err)
{
	struct device_job *j = (struct device_job *)job;
	int64_t waiting, here;
	bool won = false;
	enum db_status st = oidc_devices_count(c, j->ip, j->now, &waiting, &here, err);
	bool crowd = st == DB_OK && here >= DEVICES_PER_ADDRESS_MAX && !http_from_loopback(j->job.request);
	j->job.refused = crowd || (st == DB_OK && waiting >= DEVICES_MAX);
	if (j->job.refused)
		error_set(&j->job.refusal, ERR_OVERLOADED, crowd ? "too many devices of this address are waiting already" : "too many devices are waiting already");
	if (st != DB_OK || j->job.refused)
		return st;
	st = oidc_device_insert(c, &j->row, &j->user_code, j->ip, j->now, &won, err);
	j->job.refused = st == DB_OK && !won; /* another device waits with the very same 8 letters */
	if (j->job.refused)
		error_set(&j->job.refusal, ERR_UNAVAILABLE, "ask again");
	return st;
}

static void make_user_code(char out[USER_CODE_LETTERS + 1])
{
	for (size_t i = 0; i < USER_CODE_LETTERS; i++)
		out[i] = user_code_letters[random_below(sizeof(user_code_letters) - 1)];
	out[USER_CODE_LETTERS] = '\0';
}

static struct http_reply *answer(struct http_request *r, struct device_job *j)
{
	const struct identity *id = http_ctx(r);
	struct arena *arena = http_arena(r);
	char code[USER_CODE_LETTERS + 1], shown[USER_CODE_LETTERS + 2];
	make_user_code(code);
	secret_hash(str_from(code), &j->user_code);
	oidc_user_code_show(code, shown);
	const struct device_answer a = {
		.device_code = oidc_secret_make(arena, "tana_dc_", &j->row.hash),
		.user_code = str_from(shown),
		.verification_uri = arena_printf(arena, "%s/device", id->config.public_url),
		.verification_uri_complete = arena_printf(arena, "%s/device?user_code=%s", id->config.public_url, shown),
		.expires_in = DEVICE_TTL_MS / 1000,
		.interval = DEVICE_INTERVAL_MS / 1000,
	};
	return http_reply_json(r, 200, &oidc_device_message, &a);
}

struct http_reply *api_oidc_device(struct http_request *r)
{
	struct http_reply *reply;
	struct error err;
	unsigned scopes = SCOPE_OPENID;
	struct str scope = http_form_text(r, "scope");
	const struct oidc_client *client = oidc_calling_client(r, &reply);
	if (!client)
		return reply;
	if (!(client->grants & GRANT_DEVICE))
		return http_reply_error_code(r, ERR_UNAUTHORIZED_CLIENT, "this client may not use device codes");
	if (!scope_judge(client, str_present(scope) ? scope : STR_LIT("openid"), &scopes, &err))
		return http_reply_error(r, &err);
	struct device_job *j = arena_zalloc(http_arena(r), 1, sizeof(*j));
	j->now = clock_wall_ms();
	j->ip = str_from(http_peer(r));
	j->row = (struct device_row){.client_id = client->id, .scopes = scopes, .interval_ms = DEVICE_INTERVAL_MS, .expires_at = j->now + DEVICE_TTL_MS};
	j->job.answer = answer(r, j);
	return oidc_submit(&j->job, r, run_device);
}
