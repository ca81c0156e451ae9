/* POST /content/grants: leave to bring bytes to t4. */
#include "api.h"
#include "base/clock.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/random.h"
#include "ledger_grants.h"
#include "wire/ledger.h"
#include "wire/sat.h"
#include "wire/t4.h"

enum { TOKEN_ID_BYTES = 16 };

struct grant_job {
	struct db_job job;
	struct http_request *r;
	struct ledger_grant_query asked;
	int64_t now; /* ms */
	bool noted;
	struct grants_open open;
};

/* The text, over which the signature goes, is that of the user's key now. */
static bool signed_by_user(struct http_request *r, const struct ledger_grant_query *q, struct str public_key, struct error *err)
{
	const struct ledger *l = http_ctx(r);
	struct ed25519_signature signature;
	struct ed25519_public key;
	struct buf text = {0};
	if (!ed25519_signature_from_text(q->signature, KEY_LENIENT, &signature, err) || !ed25519_public_from_text(public_key, KEY_WRITTEN, &key, err))
		return false;
	tx_grant_text(&text, l->chain_id, q->user_id, q->hash, q->size, q->timestamp);
	bool ok = ed25519_verify_message(&signature, &key, buf_str(&text));
	buf_free(&text);
	return ok || error_set(err, ERR_BAD_SIGNATURE, "the signature is not by the user's key over tana-upload-grant:<chainId>:<userId>:<hash>:<size>:<timestamp>");
}

static struct http_reply *make_grant(const struct grant_job *j)
{
	const struct ledger *l = http_ctx(j->r);
	struct arena *a = http_arena(j->r);
	uint8_t random[TOKEN_ID_BYTES];
	char id[2 * TOKEN_ID_BYTES + 1];
	struct buf token = {0};
	random_bytes(random, sizeof random);
	hex_encode(id, random, sizeof random);
	struct sat t = {.node_id = l->node_id,
			.service = STR_LIT("ledger"),
			.audience = arena_printf(a, "%.*s/t4", STR_ARG(l->node_id)),
			.issued_at = j->now / 1000,
			.expires = j->now / 1000 + SAT_LIFETIME_DEFAULT_S,
			.id = str_from(id),
			.scope = STR_LIT(T4_SCOPE_PUT),
			.has_content = true,
			.has_size = true,
			.size = j->asked.size};
	bool read = hash_from_text(j->asked.hash, &t.content);
	invariant(read);
	sat_make(&t, &l->service_key, &token);
	struct ledger_grant answer = {
		.grant = arena_copy(a, buf_str(&token)), .hash = j->asked.hash, .size = j->asked.size, .audience = t.audience, .expires = t.expires * 1000};
	buf_free(&token);
	return http_reply_json(j->r, 200, &ledger_grant_message, &answer);
}

static enum db_status note(struct db_job *job, struct db_conn *c, struct error *err)
{
	struct grant_job *j = (struct grant_job *)job;
	const struct ledger *l = http_ctx(j->r);
	return grant_note(c, j->asked.user_id, j->asked.hash, j->asked.size, j->now, l->config.grant_keep_ms, &j->noted, &j->open, err);
}

static void noted(struct db_job *job, enum db_status status, const struct error *err)
{
	struct grant_job *j = (struct grant_job *)job;
	struct error refusal;
	if (status != DB_OK) {
		http_finish(j->r, http_reply_error(j->r, err));
		return;
	}
	if (!j->noted) {
		error_set(&refusal, ERR_GRANT_LIMIT, "%lld contents of %lld bytes are granted and not published; a user may have %d, of %lld bytes",
			  (long long)j->open.count, (long long)j->open.bytes, (int)GRANT_COUNT_MAX, (long long)GRANT_BYTES_MAX);
		error_hint(&refusal, "Publish what was uploaded, or wait until the grants are a day old.");
		http_finish(j->r, http_reply_error(j->r, &refusal));
		return;
	}
	http_finish(j->r, make_grant(j));
}

/* Everything that can be judged before the note. NULL: it may go on. */
static struct http_reply *judge(struct http_request *r, const struct grant_job *j)
{
	struct ledger_user user;
	struct http_reply *reply;
	struct error err;
	bool found;
	int64_t off = j->asked.timestamp - j->now;
	if (off > GRANT_SKEW_MS || off < -GRANT_SKEW_MS) {
		error_set(&err, ERR_TIMESTAMP_OUT_OF_RANGE, "timestamp must be within 60 s of the ledger's clock, and is %lld ms off", (long long)off);
		return http_reply_error_extra(r, &err, arena_printf(http_arena(r), ",\"serverTime\":%lld", (long long)j->now));
	}
	struct db_conn *c = api_reader(r, &reply);
	if (!c)
		return reply;
	enum db_status st = api_read_user(c, j->asked.user_id, http_arena(r), &user, &found, &err);
	api_reader_done(r, c);
	if (st != DB_OK)
		return http_reply_error(r, &err);
	if (!found)
		return http_reply_error_code(r, ERR_UNKNOWN_USER, "there is no user %.*s", STR_ARG(j->asked.user_id));
	return signed_by_user(r, &j->asked, user.public_key, &err) ? NULL : http_reply_error(r, &err);
}

struct http_reply *api_grant(struct http_request *r)
{
	const struct ledger *l = http_ctx(r);
	struct grant_job *j = arena_zalloc(http_arena(r), 1, sizeof *j);
	struct http_reply *reply;
	struct error err;
	if (!http_read_body(r, &ledger_grant_query_message, &j->asked, &reply))
		return reply;
	if (!l->has_key || !str_present(l->node_id))
		return http_reply_error_code(r, ERR_UNAVAILABLE, "this ledger has no key of a node, so no store would take its grants");
	j->r = r;
	j->now = clock_wall_ms();
	j->job.run = note;
	j->job.done = noted;
	reply = judge(r, j);
	if (reply)
		return reply;
	reply = http_reply_later(r);
	if (!db_pool_submit(l->pool, &j->job, &err))
		http_finish(r, http_reply_error(r, &err));
	return reply;
}
