/*
 * A request from its first line to its end. libmicrohttpd calls, always on the connection's worker thread:
 *   request_begin when the request line is there;
 *   request_step  when the header is there (nothing is answered yet: an answer now would cost the connection), then for each piece of the
 *                 body, then once more when it is complete, and again when a connection that slept is resumed;
 *   request_end   when the answer is out, or the connection gone.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "connection.h"
#include "examine.h"

/* ---- request objects are recycled: a worker needs as many as it has requests under way, not one a connection ---- */

static void reset(struct http_request *r, struct connection *c)
{
	memset(r, 0, offsetof(struct http_request, body));
	r->server = c->worker->server;
	r->connection = c;
	r->address = c->address;
	r->loopback = c->loopback;
	r->peer = c->peer;
	r->route_index = r->server->route_count;
	r->arena = (struct arena){.next = r->room, .left = sizeof(r->room)};
}

static struct http_request *take_request(struct connection *c)
{
	struct worker *w = c->worker;
	struct http_request *r = w->spare;
	if (r) {
		w->spare = r->next_spare;
		w->spare_count--;
	} else {
		r = xmalloc(sizeof(*r));
		r->body = r->scratch = (struct buf){0};
		r->later = (struct http_reply){.kind = REPLY_LATER, .request = r, .fd = -1};
		r->uri = r->form = (struct uri){0};
	}
	reset(r, c);
	return r;
}

static void trim_buffer(struct buf *b)
{
	if (b->cap > KEPT_BUFFER_MAX)
		buf_free(b);
	else
		buf_clear(b);
}

static void give_back_request(struct worker *w, struct http_request *r)
{
	arena_free(&r->arena);
	if (w->spare_count == REQUESTS_SPARE_MAX) {
		request_free(r);
		return;
	}
	trim_buffer(&r->body);
	trim_buffer(&r->scratch);
	r->next_spare = w->spare;
	w->spare = r;
	w->spare_count++;
}

void request_free(struct http_request *r)
{
	buf_free(&r->body);
	buf_free(&r->scratch);
	free(r);
}

/* ---- phases and deadlines, for the listener ---- */

static void set_deadline(struct connection *c, int64_t at_ms)
{
	atomic_store_explicit(&c->deadline_ms, at_ms, memory_order_relaxed);
}

static void set_phase(struct connection *c, enum connection_phase phase)
{
	atomic_store_explicit(&c->phase, phase, memory_order_release);
}

/* The next phase, unless the listener has cut the connection meanwhile. */
static bool move_phase(struct connection *c, enum connection_phase from, enum connection_phase to)
{
	int expected = from;
	return atomic_compare_exchange_strong(&c->phase, &expected, to);
}

/* Back to waiting. A connection that was cut stays so; the listener may be writing the request's cut_answer just now, holding the
 * worker's lock. */
static void leave_phase(struct connection *c)
{
	int phase = atomic_load(&c->phase);
	while (phase != CONN_CUT && !atomic_compare_exchange_weak(&c->phase, &phase, CONN_WAITING))
		;
	if (phase == CONN_CUT) {
		pthread_mutex_lock(&c->worker->lock);
		pthread_mutex_unlock(&c->worker->lock);
	}
}

/* ---- begin ---- */

/*
 * libmicrohttpd takes a query apart at once, and where its memory does not suffice it forgets what it was doing: the client gets no answer, and the
 * request no end. So what may take more than half of that memory (the other half is the rest of the header's) is refused past it.
 */
static bool target_fits(const struct http_request *r)
{
	const char *end = r->target + r->target_len, *p = memchr(r->target, '?', r->target_len);
	size_t need = r->target_len;
	for (; p; p = memchr(p + 1, '&', (size_t)(end - p - 1)))
		need += MHD_ARGUMENT_BYTES;
	return need <= r->server->o.connection_memory / 2;
}

static void refuse_target(struct http_request *r)
{
	struct connection *c = r->connection;
	request_make_id(r->server, r->id);
	r->refusal = http_reply_error_code(r, ERR_TOO_LARGE, "the target is too long, or has too many parameters");
	r->refusal->status = r->status = MHD_HTTP_URI_TOO_LONG;
	r->stage = STAGE_DISCARD;
	c->cut_answer = r->server->o.tls_cert ? STR_NONE : answer_as_bytes(r, r->refusal);
	set_phase(c, CONN_DISCARDING);
	connection_cut(c, clock_mono_ms());
}

void *request_begin(void *server, const char *target, struct MHD_Connection *mc)
{
	(void)server;
	struct connection *c = MHD_get_connection_info(mc, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
	struct http_request *r = take_request(c);
	r->started_ns = clock_mono_ns();
	r->target_seen = target;
	struct str copy = arena_copy(&r->arena, str_from(target ? target : ""));
	r->target = copy.p;
	r->target_len = copy.n;
	request_metrics_begin(r->server->metrics);
	c->request = r;
	if (!target_fits(r))
		refuse_target(r);
	return r;
}

/* ---- body ---- */

enum MHD_Result request_answer(struct http_request *r, struct http_reply *reply)
{
	r->stage = STAGE_ANSWERED;
	return answer_queue(r, reply);
}

static bool body_expected(const struct http_request *r)
{
	return r->body_announced > 0 || str_present(r->headers.transfer_encoding);
}

static void abandon_upload(struct http_request *r)
{
	if (r->uploading)
		r->route->upload->abandon(r);
	r->uploading = false;
}

/* The refusal is answered when the body has gone by. If that takes too long connection_cut answers, past libmicrohttpd, which in the middle
 * of a body takes no answer; with TLS nothing can be written past it, and the connection is just closed. */
static void start_discarding(struct http_request *r, struct http_reply *refusal)
{
	struct connection *c = r->connection;
	bool tls = r->server->o.tls_cert != NULL;
	abandon_upload(r);
	r->refusal = refusal;
	r->stage = STAGE_DISCARD;
	r->body_seen = 0;
	buf_clear(&r->body);
	c->cut_answer = body_expected(r) && !tls ? answer_as_bytes(r, refusal) : STR_NONE;
	set_deadline(c, clock_mono_ms() + DISCARD_MS_MAX);
	set_phase(c, CONN_DISCARDING);
}

static void start_reading(struct http_request *r)
{
	r->stage = STAGE_BODY;
	r->body_started_ms = (body_expected(r) ? clock_mono_ns() : r->started_ns) / 1000000;
	set_deadline(r->connection, r->body_started_ms + r->server->o.idle_timeout_ms);
	set_phase(r->connection, CONN_READING);
}

static void keep_body(struct http_request *r, const char *piece, size_t n)
{
	if (r->body.cap == 0 && r->body_announced > n)
		buf_reserve(&r->body, r->body_announced < BODY_ROOM_AHEAD ? (size_t)r->body_announced : BODY_ROOM_AHEAD);
	buf_put(&r->body, piece, n);
}

static void take_body(struct http_request *r, const char *piece, size_t n)
{
	struct http_reply *refusal;
	r->body_seen += n;
	if (r->body_seen > request_body_max(r)) {
		start_discarding(r, http_reply_error_code(r, ERR_TOO_LARGE, "the body is larger than %zu bytes", r->route->body_max));
		return;
	}
	if (!r->uploading) {
		keep_body(r, piece, n);
	} else if ((refusal = r->route->upload->piece(r, piece, n))) {
		start_discarding(r, refusal);
		return;
	}
	/* A long body may take longer than the idle timeout, at a sensible speed. */
	if (r->body_seen > BODY_BYTES_PER_S)
		set_deadline(r->connection,
			     r->body_started_ms + r->server->o.idle_timeout_ms + (int64_t)(r->body_seen / BODY_BYTES_PER_S) * 1000);
}

static enum MHD_Result discard(struct http_request *r, size_t n)
{
	r->body_seen += n;
	if (n > 0) {
		if (r->body_seen > DISCARD_BYTES_MAX && atomic_load(&r->connection->phase) == CONN_DISCARDING)
			connection_cut(r->connection, clock_mono_ms());
		return MHD_YES; /* after a cut too: closing on unread bytes would make the client miss the answer */
	}
	if (!move_phase(r->connection, CONN_DISCARDING, CONN_ANSWERING))
		return MHD_NO;
	return request_answer(r, r->refusal);
}

/* ---- handler ---- */

static enum MHD_Result call_handler(struct http_request *r)
{
	struct connection *c = r->connection;
	if (!move_phase(c, CONN_READING, CONN_ANSWERING))
		return MHD_NO;
	set_deadline(c, INT64_MAX);
	atomic_store(&c->later, LATER_RUNNING);
	r->uploading = false;
	struct http_reply *reply = r->route->form ? request_examine_form(r) : NULL;
	if (!reply)
		reply = r->route->handler(r);
	invariant(reply);
	if (reply->kind == REPLY_LATER)
		return request_sleep(r);
	return request_answer(r, reply);
}

/* ---- step ---- */

static enum MHD_Result header_complete(struct http_request *r, const char *method, const char *version)
{
	bool close_now;
	r->method = method;
	r->head = strcmp(method, "HEAD") == 0;
	struct http_reply *refusal = request_examine(r, version, &close_now);
	if (!refusal && r->route->upload) {
		refusal = r->route->upload->begin(r);
		r->uploading = !refusal;
	}
	if (!refusal) {
		start_reading(r);
		return MHD_YES;
	}
	refusal->close_after |= close_now;
	if (close_now || str_present(r->headers.expect)) {
		set_phase(r->connection, CONN_ANSWERING);
		set_deadline(r->connection, INT64_MAX);
		return request_answer(r, refusal);
	}
	start_discarding(r, refusal);
	return MHD_YES;
}

enum MHD_Result request_step(void *server, struct MHD_Connection *mc, const char *url, const char *method, const char *version,
			     const char *upload, size_t *upload_size, void **request)
{
	(void)server, (void)mc, (void)url;
	struct http_request *r = *request;
	size_t n = *upload_size;
	*upload_size = 0;
	switch (r->stage) {
	case STAGE_HEADER:
		return header_complete(r, method, version);
	case STAGE_BODY:
		if (n == 0)
			return call_handler(r);
		take_body(r, upload, n);
		return MHD_YES;
	case STAGE_DISCARD:
		return discard(r, n);
	case STAGE_LATER:
		return request_wake_up(r);
	case STAGE_ANSWERED:
		break; /* only while the daemon stops, which takes no answers any more */
	}
	return MHD_NO;
}

/* ---- end ---- */

static void log_access(const struct http_request *r, int64_t duration_ns)
{
	switch (r->server->o.access_log) {
	case ACCESS_LOG_OFF:
		return;
	case ACCESS_LOG_ERRORS:
		if (r->status < 400)
			return;
		break;
	case ACCESS_LOG_ALL:
		break;
	}
	bool secret = r->route && (r->route->flags & HTTP_SECRET_QUERY);
	size_t shown = secret ? strcspn(r->target, "?") : r->target_len;
	log_info("request", LOG_S("method", r->method ? r->method : "-"), LOG_STR("target", str_of(r->target, shown)),
		 LOG_I("status", r->status), LOG_I("bytes", (int64_t)r->answer_bytes), LOG_I("us", duration_ns / 1000),
		 LOG_S("peer", r->peer), LOG_S("request_id", r->id));
}

void request_end(void *server, struct MHD_Connection *mc, void **request, enum MHD_RequestTerminationCode how)
{
	(void)server, (void)how;
	struct http_request *r = *request;
	if (!r)
		return;
	*request = NULL;
	abandon_upload(r);
	struct connection *c = r->connection;
	int64_t now_ns = clock_mono_ns(), duration_ns = now_ns - r->started_ns;
	bool stream = r->route && (r->route->flags & HTTP_STREAM);
	if (r->status == 0) { /* refused by libmicrohttpd itself, or never answered */
		const union MHD_ConnectionInfo *info = MHD_get_connection_info(mc, MHD_CONNECTION_INFO_HTTP_STATUS);
		r->status = info ? (int)info->http_status : 0;
	}
	request_metrics_end(r->server->metrics, r->route_index, r->head, r->status, stream ? -1 : duration_ns);
	log_access(r, duration_ns);
	for (struct http_reply *reply = r->replies; reply; reply = reply->next)
		reply_release(reply);
	c->request = NULL;
	atomic_store(&c->later, LATER_NONE);
	set_deadline(c, now_ns / 1000000 + r->server->o.idle_timeout_ms);
	leave_phase(c);
	give_back_request(c->worker, r);
}

void request_abandoned(struct connection *c)
{
	void *request = c->request;
	/* Whoever finishes a deferred answer may be using its request: such a one is always ended before. */
	if (c->request && c->request->stage != STAGE_LATER)
		request_end(c->worker->server, c->mhd, &request, MHD_REQUEST_TERMINATED_WITH_ERROR);
}

/* ---- what handlers ask ---- */

void *http_ctx(const struct http_request *r)
{
	return r->server->o.ctx;
}

struct arena *http_arena(struct http_request *r)
{
	return &r->arena;
}

const struct http_route *http_route_of(const struct http_request *r)
{
	return r->route;
}

const char *http_request_id(const struct http_request *r)
{
	return r->id;
}

struct str http_body(const struct http_request *r)
{
	return buf_str(&r->body);
}

int64_t http_content_length(const struct http_request *r)
{
	uint64_t n = r->body_announced < INT64_MAX ? r->body_announced : INT64_MAX;
	return str_present(r->headers.transfer_encoding) ? -1 : (int64_t)n;
}

void http_set_state(struct http_request *r, void *state)
{
	r->state = state;
}

void *http_state(const struct http_request *r)
{
	return r->state;
}

struct str http_path_arg(const struct http_request *r, int n)
{
	invariant(n >= 0 && (size_t)n < r->arg_count);
	return r->args[n];
}

struct str http_header(const struct http_request *r, const char *name)
{
	return str_from(MHD_lookup_connection_value(r->connection->mhd, MHD_HEADER_KIND, name));
}

bool http_from_loopback(const struct http_request *r)
{
	return r->loopback;
}

const char *http_peer(const struct http_request *r)
{
	return r->peer;
}

static void require_declared(const struct http_param *p, const char *name)
{
	while (p && p->name && strcmp(p->name, name) != 0)
		p++;
	invariant(p && p->name);
}

struct str http_query_text(const struct http_request *r, const char *name, size_t nth)
{
	bool empty_is_none = (r->route->flags & HTTP_OAUTH) != 0;
	require_declared(r->route->params, name);
	for (size_t i = 0; i < r->uri.param_count; i++)
		if (str_is(r->uri.params[i].name, name) && nth-- == 0)
			return empty_is_none && r->uri.params[i].value.n == 0 ? STR_NONE : r->uri.params[i].value;
	return STR_NONE;
}

bool http_query_int(const struct http_request *r, const char *name, int64_t fallback, int64_t *out)
{
	struct str s = http_query_text(r, name, 0);
	*out = fallback;
	return !str_present(s) || str_to_int64(s, out);
}

struct str http_form_text(const struct http_request *r, const char *name)
{
	require_declared(r->route->form, name);
	for (size_t i = 0; i < r->form.param_count; i++)
		if (str_is(r->form.params[i].name, name) && r->form.params[i].value.n > 0)
			return r->form.params[i].value;
	return STR_NONE;
}

bool http_read_body(struct http_request *r, const struct json_message *m, void *out, struct http_reply **reply)
{
	struct error err;
	if (json_read_text(http_body(r), m, out, &r->arena, &err))
		return true;
	*reply = http_reply_error(r, &err);
	return false;
}
