/* The endpoints every daemon has, in the same kind of table as its own. */
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "server_private.h"

/* ---- documents, for the schemas: what is written by hand below, and by http_reply_error ---- */

struct error_document {
	struct str error, code, hint;
};
static const struct json_field error_fields[] = {
	F_TEXT(struct error_document, error, "error", JSON_REQUIRED, 0, "one sentence for a person"),
	F_TEXT(struct error_document, code, "code", JSON_REQUIRED, 0, "stable, for programs"),
	F_TEXT(struct error_document, hint, "hint", 0, 0, "what to do about it"),
};
JSON_MESSAGE(http_error_message, "Error", struct error_document, error_fields);

struct oauth_error_document {
	struct str error, error_description, code, hint;
};
static const struct json_field oauth_error_fields[] = {
	F_TEXT(struct oauth_error_document, error, "error", JSON_REQUIRED, 0, "OAuth's code"),
	F_TEXT(struct oauth_error_document, error_description, "error_description", JSON_REQUIRED, 0, "one sentence for a person"),
	F_TEXT(struct oauth_error_document, code, "code", JSON_REQUIRED, 0, "stable, for programs: like error, or more exact"),
	F_TEXT(struct oauth_error_document, hint, "hint", 0, 0, "what to do about it"),
};
JSON_MESSAGE(http_oauth_error_message, "OAuthError", struct oauth_error_document, oauth_error_fields);

struct health_document {
	struct str status, service;
};
static const struct json_field health_fields[] = {
	F_TEXT(struct health_document, status, "status", JSON_REQUIRED, 0, "ok"),
	F_TEXT(struct health_document, service, "service", JSON_REQUIRED, 0, "which service this is; its own fields follow"),
};
static JSON_MESSAGE(health_message, "Health", struct health_document, health_fields);

struct ready_document {
	struct str status;
};
static const struct json_field ready_fields[] = {
	F_TEXT(struct ready_document, status, "status", JSON_REQUIRED, 0, "ready"),
};
static JSON_MESSAGE(ready_message, "Ready", struct ready_document, ready_fields);

struct info_document {
	struct str service, version, commit;
	int64_t uptime_seconds, time;
};
static const struct json_field info_fields[] = {
	F_TEXT(struct info_document, service, "service", JSON_REQUIRED, 0, "which service this is; its own fields follow"),
	F_TEXT(struct info_document, version, "version", 0, 0, "of the build"),
	F_TEXT(struct info_document, commit, "commit", 0, 0, "the build was made from"),
	F_INT(struct info_document, uptime_seconds, "uptime_seconds", JSON_REQUIRED, 0, INT64_MAX, "since the server started"),
	F_INT(struct info_document, time, "time", JSON_REQUIRED, 0, INT64_MAX, "the server's clock (ms), for those who sign timestamps to compare theirs with"),
};
static JSON_MESSAGE(info_message, "Info", struct info_document, info_fields);

/* ---- handlers ---- */

static struct http_reply *json_bytes(struct http_request *r, struct buf *body)
{
	buf_putc(body, '}');
	return http_reply_bytes(r, 200, NULL, body);
}

static struct http_reply *get_health(struct http_request *r)
{
	const struct http_options *o = &r->server->o;
	struct buf body = {0};
	buf_puts(&body, "{\"status\":\"ok\",\"service\":");
	buf_put_json_string(&body, str_from(o->service));
	if (o->health)
		o->health(o->ctx, &body);
	return json_bytes(r, &body);
}

static struct http_reply *get_ready(struct http_request *r)
{
	const struct http_options *o = &r->server->o;
	struct error err;
	if (atomic_load(&r->server->draining))
		return http_reply_error_code(r, ERR_SHUTTING_DOWN, "the service is shutting down");
	if (o->ready && !o->ready(o->ctx, &err)) {
		if (error_code_status(err.code) != 503)
			err.code = ERR_UNAVAILABLE;
		return http_reply_error(r, &err);
	}
	struct buf body = {0};
	buf_puts(&body, "{\"status\":\"ready\"");
	return json_bytes(r, &body);
}

static struct http_reply *get_info(struct http_request *r)
{
	const struct http_options *o = &r->server->o;
	struct buf body = {0};
	buf_puts(&body, "{\"service\":");
	buf_put_json_string(&body, str_from(o->service));
	if (o->version) {
		buf_puts(&body, ",\"version\":");
		buf_put_json_string(&body, str_from(o->version));
	}
	if (o->commit) {
		buf_puts(&body, ",\"commit\":");
		buf_put_json_string(&body, str_from(o->commit));
	}
	buf_puts(&body, ",\"uptime_seconds\":");
	buf_put_int(&body, (clock_mono_ms() - r->server->started_ms) / 1000);
	buf_puts(&body, ",\"time\":");
	buf_put_int(&body, clock_wall_ms());
	if (o->info)
		o->info(o->ctx, &body);
	return json_bytes(r, &body);
}

static void write_own(struct buf *out, const char *service, const char *what, const char *type, const char *help, int64_t value)
{
	char name[128];
	(void)snprintf(name, sizeof(name), "tana_%s_http_%s", service, what);
	metric_write_head(out, name, type, help);
	buf_printf(out, "%s %lld\n", name, (long long)value);
}

static struct http_reply *get_metrics(struct http_request *r)
{
	struct http_server *s = r->server;
	const struct http_options *o = &s->o;
	struct buf body = {0};
	if (o->metrics)
		o->metrics(o->ctx);
	for (size_t i = 0; o->metric_list && o->metric_list[i]; i++)
		metric_write(&body, o->metric_list[i]);
	request_metrics_write(s->metrics, o->service, &body);
	write_own(&body, o->service, "connections", "gauge", "Open connections.", atomic_load(&s->open));
	write_own(&body, o->service, "streams", "gauge", "Open event streams.", atomic_load(&s->streams));
	write_own(&body, o->service, "connections_refused_total", "counter", "Connections refused for a limit.",
		  atomic_load(&s->refused_connections));
	write_own(&body, o->service, "rate_limited_total", "counter", "Writes refused by the rate limit.",
		  atomic_load(&s->rate_limited));
	metric_write_process(&body);
	return http_reply_bytes(r, 200, "text/plain; version=0.0.4; charset=utf-8", &body);
}

static struct http_reply *get_openapi(struct http_request *r)
{
	struct http_server *s = r->server;
	struct buf body = {0};
	buf_put_str(&body, buf_str(&s->openapi));
	struct http_reply *reply = http_reply_bytes(r, 200, NULL, &body);
	return http_reply_etag(r, http_reply_header(reply, "Cache-Control", "no-cache"), s->openapi_etag);
}

/* ---- rows ---- */

static const struct http_answer health_answers[] = {{200, &health_message, NULL, "the process turns"}, {0}};
static const struct http_answer ready_answers[] = {{200, &ready_message, NULL, "everything the service depends on answers"}, {0}};
static const struct http_answer info_answers[] = {
	{200, &info_message, NULL, "which build this is and how it is configured, without secrets"}, {0}};
static const struct http_answer metrics_answers[] = {{200, NULL, "text/plain", "Prometheus text format 0.0.4"}, {0}};
static const struct http_answer openapi_answers[] = {
	{200, NULL, "application/json", "OpenAPI 3.1"},
	{304, NULL, NULL, "unchanged since the ETag given"},
	{0},
};
static const enum error_code ready_errors[] = {ERR_UNAVAILABLE, ERR_SHUTTING_DOWN, ERR_COUNT};
static const enum error_code no_errors[] = {ERR_COUNT};

#define BUILTIN(at, fn, ans, errs, text) \
	{ \
		.method = HTTP_GET, .path = (at), .handler = (fn), .access = ACCESS_ANYONE, .flags = HTTP_NOT_READY_OK, \
		.answers = (ans), .errors = (errs), .summary = (text) \
	}
const struct http_route http_builtin_routes[] = {
	BUILTIN("/health", get_health, health_answers, no_errors, "Is the process alive?"),
	BUILTIN("/ready", get_ready, ready_answers, ready_errors, "Can it serve? 503 names the dependency that does not answer"),
	BUILTIN("/info", get_info, info_answers, no_errors, "Version, commit, uptime, configuration"),
	BUILTIN("/metrics", get_metrics, metrics_answers, no_errors, "Metrics for Prometheus"),
	BUILTIN("/openapi.json", get_openapi, openapi_answers, no_errors, "This interface as an OpenAPI document"),
};
const size_t http_builtin_count = ARRAY_LEN(http_builtin_routes);
