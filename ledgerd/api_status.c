/* Which chain this is, how far it is; and events as it goes on. */
#include "api.h"
#include "core.h"
#include "follower.h"
#include "ledger_feed.h"
#include "ledger_jobs.h"
#include "wire/ledger.h"

static const char *audit_text(enum core_audit audit)
{
	switch (audit) {
	case CORE_AUDIT_RUNNING:
		return "running";
	case CORE_AUDIT_PASSED:
		return "passed";
	case CORE_AUDIT_FAILED:
		return "failed";
	}
	return "";
}

static struct str hash_text(struct arena *arena, const struct hash *h)
{
	char text[HASH_TEXT_LEN + 1];
	hash_to_text(h, text);
	return arena_copy(arena, str_of(text, HASH_TEXT_LEN));
}

struct http_reply *api_status(struct http_request *r)
{
	const struct ledger *l = http_ctx(r);
	struct arena *a = http_arena(r);
	struct ledger_following following;
	struct core_stats stats;
	struct core_tip tip;
	core_tip(l->core, &tip);
	core_get_stats(l->core, &stats);
	bool producer = l->config.role == LEDGER_PRODUCER;
	struct ledger_status answer = {
		.chain_id = l->chain_id,
		.genesis_hash = hash_text(a, &l->genesis.hash),
		.height = tip.height,
		.hash = hash_text(a, &tip.hash),
		.timestamp = tip.timestamp,
		.state_root = hash_text(a, &tip.state_root),
		.validator_id = producer ? l->config.validator_id : STR_NONE,
		.producing = producer && core_is_validator(l->core, l->config.validator_id, &l->node_key.public_key) ? JSON_TRUE : JSON_FALSE,
		.pending = (int64_t)stats.pending,
		/* A front end has no tree to hold the state against. */
		.audit = l->config.role == LEDGER_FRONT ? STR_NONE : str_from(audit_text(stats.audit)),
	};
	if (l->follower) {
		follower_status(l->follower, a, &following);
		answer.following = &following;
	}
	return http_reply_json(r, 200, &ledger_status_message, &answer);
}

struct http_reply *api_content_sync(struct http_request *r)
{
	const struct ledger *l = http_ctx(r);
	struct ledger_content_sync answer;
	ledger_jobs_content(l->jobs, http_arena(r), &answer);
	return http_reply_json(r, 200, &ledger_content_sync_message, &answer);
}

struct http_reply *api_events(struct http_request *r)
{
	struct ledger *l = http_ctx(r);
	struct str text = http_header(r, "Last-Event-ID");
	int64_t last = -1;
	if (str_present(text) && text.n > 0 && (!str_to_int64(text, &last) || last < 0))
		return http_reply_error_code(r, ERR_MALFORMED_REQUEST, "Last-Event-ID is a number that an earlier event carried");
	return http_reply_events(r, l->hub, last, ledger_feed_backfill, l);
}
