#include <inttypes.h>

#include "api.h"
#include "base/clock.h"
#include "mesh_details.h"
#include "mesh_feed.h"
#include "mesh_quota.h"

struct http_reply *api_refuse(struct http_request *r, const struct error *err)
{
	if (err->code == ERR_RATE_LIMITED) {
		int64_t left_ms = QUOTA_DAY_MS - clock_wall_ms() % QUOTA_DAY_MS;
		return http_reply_header(http_reply_error(r, err), "Retry-After", arena_printf(http_arena(r), "%" PRId64, left_ms / 1000 + 1).p);
	}
	if (err->code != ERR_TIMESTAMP_OUT_OF_RANGE)
		return http_reply_error(r, err);
	return http_reply_error_extra(r, err, arena_printf(http_arena(r), ",\"serverTime\":%" PRId64, clock_wall_ms()));
}

bool api_public_key(struct http_request *r, const char *field, struct str in, enum key_reading how, struct str *out, struct http_reply **reply)
{
	struct ed25519_public key;
	struct error err;
	if (!ed25519_public_from_text(in, how, &key, &err)) {
		*reply = http_reply_error_code(r, err.code, "`%s`: %s", field, err.message);
		return false;
	}
	char *text = arena_alloc(http_arena(r), ED25519_PUBLIC_TEXT_LEN + 1);
	ed25519_public_to_text(&key, text);
	*out = str_of(text, ED25519_PUBLIC_TEXT_LEN);
	return true;
}

bool api_signature(struct http_request *r, const char *field, struct str in, struct str *out, struct http_reply **reply)
{
	struct ed25519_signature sig;
	struct error err;
	if (!ed25519_signature_from_text(in, KEY_LENIENT, &sig, &err)) {
		*reply = http_reply_error_code(r, err.code, "`%s`: %s", field, err.message);
		return false;
	}
	char *text = arena_alloc(http_arena(r), ED25519_SIGNATURE_TEXT_LEN + 1);
	ed25519_signature_to_text(&sig, text);
	*out = str_of(text, ED25519_SIGNATURE_TEXT_LEN);
	return true;
}

struct api_change_job {
	struct change_job change; /* first: the pool's job is its head */
	struct http_request *request;
	api_answer *answer;
};

static void change_done(struct db_job *job, enum db_status status, const struct error *err)
{
	struct api_change_job *j = (struct api_change_job *)job;
	struct http_request *r = j->request;
	const struct verdict *v = &j->change.verdict;
	if (status != DB_OK) {
		http_finish(r, http_reply_error(r, err));
		return;
	}
	if (v->kind == VERDICT_REFUSED || v->kind == VERDICT_CONSUMED) {
		http_finish(r, api_refuse(r, &v->err));
		return;
	}
	if (v->event != EVENT_NONE)
		mesh_feed_wake(j->change.mesh->feed);
	http_finish(r, j->answer(r, v));
}

struct http_reply *api_change(struct http_request *r, const struct change *c, bool coordinator_signs, api_answer *answer)
{
	struct mesh *m = http_ctx(r);
	struct api_change_job *j = arena_alloc(http_arena(r), sizeof(*j));
	change_job_init(&j->change, m, http_arena(r));
	j->change.change = *c;
	j->change.coordinator_signs = coordinator_signs;
	j->change.job.done = change_done;
	mesh_details_write(&j->change.change, http_arena(r));
	j->request = r;
	j->answer = answer;
	struct http_reply *later = http_reply_later(r);
	struct error err;
	if (!db_pool_submit(m->pool, &j->change.job, &err))
		http_finish(r, http_reply_error(r, &err));
	return later;
}

bool api_number_cursor(struct http_request *r, int64_t *last, struct http_reply **reply)
{
	struct str cursor = http_query_text(r, "cursor", 0);
	int64_t n;
	if (!str_present(cursor))
		return true;
	if (str_to_int64(cursor, &n) && n >= 0 && n <= JSON_INT_MAX) {
		*last = n;
		return true;
	}
	*reply = http_reply_error_code(r, ERR_MALFORMED_CURSOR, "`cursor` is not one that this list gave");
	return false;
}

struct db_conn *api_reader(struct http_request *r, struct http_reply **reply)
{
	struct mesh *m = http_ctx(r);
	struct error err;
	struct db_conn *c = db_pool_reader(m->pool, &err);
	if (!c)
		*reply = http_reply_error(r, &err);
	return c;
}

void api_reader_done(struct http_request *r, struct db_conn *c)
{
	struct mesh *m = http_ctx(r);
	db_pool_release(m->pool, c);
}
