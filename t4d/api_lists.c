/* Many blobs: which are missing, which are there, how many. */
#include "api.h"
#include "wire/t4.h"

/* ---- missing ---- */

struct missing_job {
	struct http_request *r;
	struct t4_missing asked;
};

/* On a job thread: ten thousand looks at the disk take a while. */
static void find_missing(void *job)
{
	const struct missing_job *j = job;
	const struct t4 *t = http_ctx(j->r);
	const struct str *asked = j->asked.hashes.items;
	struct str *missing = arena_zalloc(http_arena(j->r), j->asked.hashes.count, sizeof(*missing));
	size_t n = 0;
	for (size_t i = 0; i < j->asked.hashes.count; i++) {
		struct hash h;
		if (!hash_from_text(asked[i], &h) || !blob_exists(t->store, &h, NULL))
			missing[n++] = asked[i];
	}
	struct t4_missing_answer answer = {.missing = {missing, n}};
	http_finish(j->r, http_reply_json(j->r, 200, &t4_missing_answer_message, &answer));
}

struct http_reply *api_missing(struct http_request *r)
{
	const struct t4 *t = http_ctx(r);
	struct missing_job *j = arena_zalloc(http_arena(r), 1, sizeof(*j));
	struct http_reply *reply;
	j->r = r;
	if (!http_read_body(r, &t4_missing_message, &j->asked, &reply))
		return reply;
	reply = http_reply_later(r);
	jobs_run(t->jobs, find_missing, j);
	return reply;
}

/* ---- list ---- */

struct list_job {
	struct http_request *r;
	const char *prefix;
	bool has_after;
	struct hash after;
	int64_t limit;
};

static struct http_reply *list_page(const struct list_job *j, const struct blob_entry *page, size_t count, bool more)
{
	struct arena *a = http_arena(j->r);
	struct t4_content *rows = arena_zalloc(a, count, sizeof(*rows));
	char text[HASH_TEXT_LEN + 1];
	for (size_t i = 0; i < count; i++) {
		hash_to_text(&page[i].hash, text);
		rows[i] = (struct t4_content){.hash = arena_copy(a, str_from(text)), .size = (int64_t)page[i].size};
	}
	struct t4_content_list list = {.content = {rows, count}, .next_cursor = more ? rows[count - 1].hash : STR_NONE};
	return http_reply_json(j->r, 200, &t4_content_list_message, &list);
}

static void make_list(void *job)
{
	const struct list_job *j = job;
	const struct t4 *t = http_ctx(j->r);
	struct blob_entry *page = arena_zalloc(http_arena(j->r), (size_t)j->limit, sizeof(*page));
	struct error err;
	size_t count;
	bool more;
	bool ok = blob_list(t->store, j->prefix, j->has_after ? &j->after : NULL, page, (size_t)j->limit, &count, &more, &err);
	http_finish(j->r, ok ? list_page(j, page, count, more) : http_reply_error(j->r, &err));
}

struct http_reply *api_list(struct http_request *r)
{
	const struct t4 *t = http_ctx(r);
	struct list_job *j = arena_zalloc(http_arena(r), 1, sizeof(*j));
	struct str prefix = http_query_text(r, "prefix", 0), cursor = http_query_text(r, "cursor", 0);
	struct http_reply *reply;
	struct sat token;
	if (!api_allowed(r, T4_SCOPE_LIST, &token, &reply))
		return reply;
	if (str_present(prefix) && !form_hash_prefix.check(prefix))
		return http_reply_error_code(r, ERR_MALFORMED_PARAMETER, "`prefix` must be %s", form_hash_prefix.what);
	j->has_after = str_present(cursor);
	if (j->has_after && !hash_from_text(cursor, &j->after))
		return http_reply_error_code(r, ERR_MALFORMED_CURSOR, "`cursor` is not one that this list gave");
	if (!http_query_int(r, "limit", T4_LIST_DEFAULT, &j->limit))
		return http_reply_error_code(r, ERR_MALFORMED_PARAMETER, "`limit` is a number");
	j->r = r;
	j->prefix = str_present(prefix) ? arena_copy(http_arena(r), prefix).p : "";
	reply = http_reply_later(r);
	jobs_run(t->jobs, make_list, j);
	return reply;
}

/* ---- stats ---- */

static int64_t or_absent(int64_t ms)
{
	return ms ? ms : JSON_INT_ABSENT;
}

struct http_reply *api_stats(struct http_request *r)
{
	const struct t4 *t = http_ctx(r);
	struct blob_totals totals;
	struct scrub_state state;
	struct error err;
	blob_totals(t->store, &totals);
	scrubber_state(t->scrubber, &state);
	struct t4_scrub scrub = {.rounds = state.rounds,
				 .checked = state.checked,
				 .corrupt = totals.quarantined,
				 .started_at = or_absent(state.started_at),
				 .finished_at = or_absent(state.finished_at),
				 .rate = t->config.scrub_rate};
	struct t4_stats stats = {.objects = totals.objects,
				 .bytes = totals.bytes,
				 .complete = totals.counted == BLOB_SHARDS ? JSON_TRUE : JSON_FALSE,
				 .free_bytes = (int64_t)blob_free_space(t->store),
				 .writable = blob_store_writable(t->store, &err) ? JSON_TRUE : JSON_FALSE,
				 .scrub = &scrub};
	return http_reply_json(r, 200, &t4_stats_message, &stats);
}
