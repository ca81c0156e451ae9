/* The OpenAPI 3.1 document of a route table. One line a thing that may change by itself, so that a diff says something. */
#include <ctype.h>
#include <stdlib.h>

#include "base/log.h"
#include "components.h"
#include "server_private.h"

static void put_text(struct buf *out, const char *key, const char *text)
{
	buf_printf(out, "\"%s\":", key);
	buf_put_json_string(out, str_from(text));
}

/* "/nodes/:id" becomes "/nodes/{id}". */
static void put_path(struct buf *out, const char *path)
{
	bool in_param = false;
	for (const char *p = path; *p; p++) {
		if (*p == '/' && in_param)
			buf_putc(out, '}');
		in_param = in_param && *p != '/';
		if (*p == ':') {
			buf_putc(out, '{');
			in_param = true;
		} else {
			buf_putc(out, *p);
		}
	}
	if (in_param)
		buf_putc(out, '}');
}

static const char *method_key(enum http_method m)
{
	switch (m) {
	case HTTP_GET:
		return "get";
	case HTTP_POST:
		return "post";
	case HTTP_PUT:
		return "put";
	case HTTP_DELETE:
		return "delete";
	}
	fatal("no such method: %d", (int)m);
}

/* "get_nodes_id_heartbeats" */
static void put_operation_id(struct buf *out, const struct http_route *r)
{
	buf_printf(out, "\"operationId\":\"%s", method_key(r->method));
	for (const char *p = r->path; *p; p++)
		if (*p != ':')
			buf_putc(out, isalnum((unsigned char)*p) ? *p : '_');
	buf_putc(out, '"');
}

/* ---- parameters ---- */

static void put_param_schema(struct buf *out, const struct http_param *p)
{
	bool limited = p->min != 0 || p->max != 0;
	const char *low = p->type == PARAM_INT ? "minimum" : "minLength", *high = p->type == PARAM_INT ? "maximum" : "maxLength";
	if (p->repeatable)
		buf_puts(out, "{\"type\":\"array\",\"items\":");
	buf_printf(out, "{\"type\":\"%s\"", p->type == PARAM_INT ? "integer" : "string");
	if (limited)
		buf_printf(out, ",\"%s\":%lld,\"%s\":%lld", low, (long long)(p->type == PARAM_INT ? p->min : p->min > 0), high,
			   (long long)p->max);
	buf_puts(out, p->repeatable ? "}}" : "}");
}

static void put_parameters(struct buf *out, const struct http_route *r)
{
	const char *const first = ",\n\"parameters\":[\n", *before = first;
	for (const char *p = strchr(r->path, ':'); p; p = strchr(p + 1, ':')) {
		buf_printf(out, "%s{\"name\":\"%.*s\",\"in\":\"path\",\"required\":true,\"schema\":{\"type\":\"string\"}}", before,
			   (int)strcspn(p + 1, "/"), p + 1);
		before = ",\n";
	}
	for (const struct http_param *p = r->params; p && p->name; p++) {
		buf_printf(out, "%s{\"name\":\"%s\",\"in\":\"query\",", before, p->name);
		put_text(out, "description", p->doc ? p->doc : "");
		buf_puts(out, ",\"schema\":");
		put_param_schema(out, p);
		buf_putc(out, '}');
		before = ",\n";
	}
	if (before != first)
		buf_puts(out, "\n]");
}

/* ---- bodies ---- */

static void put_list(struct buf *out, const struct json_message *m)
{
	buf_printf(out, "\"application/json\":{\"schema\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/components/schemas/%s\"}}}", m->name);
}

static void put_media(struct buf *out, const char *media, const struct json_message *m)
{
	buf_printf(out, "\"%s\":{", media);
	if (m)
		buf_printf(out, "\"schema\":{\"$ref\":\"#/components/schemas/%s\"}", m->name);
	buf_putc(out, '}');
}

static void put_content(struct buf *out, const char *media, const struct json_message *m)
{
	buf_puts(out, "\"content\":{");
	put_media(out, media, m);
	buf_putc(out, '}');
}

static void put_form(struct buf *out, const struct http_param *form)
{
	buf_puts(out, "\"content\":{\"application/x-www-form-urlencoded\":{\"schema\":{\"type\":\"object\",\"properties\":{\n");
	for (const struct http_param *p = form; p->name; p++) {
		buf_printf(out, "\"%s\":{\"allOf\":[", p->name);
		put_param_schema(out, p);
		buf_puts(out, "],");
		put_text(out, "description", p->doc ? p->doc : "");
		buf_puts(out, p[1].name ? "},\n" : "}\n}}}}");
	}
}

static void put_request_body(struct buf *out, const struct http_route *r)
{
	if (r->body_max == 0 && !r->upload)
		return;
	buf_puts(out, ",\n\"requestBody\":{\"required\":true,");
	if (r->form)
		put_form(out, r->form);
	else
		put_content(out, r->body ? "application/json" : "application/octet-stream", r->body);
	if (r->body_max)
		buf_printf(out, ",\"x-tana-bytes-max\":%zu", r->body_max);
	buf_putc(out, '}');
}

/* ---- answers ---- */

static const struct http_answer *answer_of(const struct http_route *r, int status)
{
	const struct http_answer *a = r->answers;
	while (a && a->status && a->status != status)
		a++;
	return a && a->status ? a : NULL;
}

static bool route_refuses(const struct http_route *r, enum error_code code)
{
	if (code == ERR_RATE_LIMITED && (r->flags & HTTP_WRITE))
		return true;
	for (const enum error_code *e = r->errors; e && *e != ERR_COUNT; e++)
		if (*e == code)
			return true;
	return false;
}

static void put_codes(struct buf *out, const struct http_route *r, int status, const char *quote)
{
	size_t begin = out->len;
	for (int code = 0; code < ERR_COUNT; code++) {
		if (!route_refuses(r, (enum error_code)code) || (status != 0 && error_code_status((enum error_code)code) != status))
			continue;
		buf_printf(out, "%s%s%s%s", out->len > begin ? ", " : "", quote, error_code_text((enum error_code)code), quote);
	}
}

static const struct json_message *error_message_of(const struct http_route *r)
{
	return r->flags & HTTP_OAUTH ? &http_oauth_error_message : &http_error_message;
}

/* Several rows of one status are one answer in OpenAPI: the first has the body, all have their say; and so have refusals of that status, beside
 * a page. */
static void put_answer(struct buf *out, const struct http_route *r, const struct http_answer *a)
{
	struct buf doc = {0}, codes = {0};
	put_codes(&codes, r, a->status, "");
	for (const struct http_answer *same = a; same->status; same++)
		if (same->status == a->status)
			buf_printf(&doc, "%s%s", doc.len ? "; or " : "", same->doc ? same->doc : "");
	if (codes.len > 0)
		buf_printf(&doc, "; or %s", buf_z(&codes));
	buf_printf(out, "\"%d\":{", a->status);
	put_text(out, "description", buf_z(&doc));
	buf_free(&doc);
	if (a->message || a->media || codes.len > 0)
		buf_puts(out, ",\"content\":{");
	if (a->message && a->status == 200 && (r->flags & HTTP_LIST))
		put_list(out, a->message);
	else if (a->message || a->media)
		put_media(out, a->media ? a->media : "application/json", a->message);
	if (codes.len > 0) {
		buf_puts(out, a->message || a->media ? "," : "");
		put_media(out, "application/json", error_message_of(r));
	}
	if (a->message || a->media || codes.len > 0)
		buf_putc(out, '}');
	buf_free(&codes);
	buf_puts(out, "},\n");
}

static void put_refusals(struct buf *out, const struct http_route *r)
{
	for (int status = 400; status < 600; status++) {
		struct buf codes = {0};
		put_codes(&codes, r, status, "");
		if (codes.len > 0 && !answer_of(r, status)) {
			buf_printf(out, "\"%d\":{", status);
			put_text(out, "description", buf_z(&codes));
			buf_putc(out, ',');
			put_content(out, "application/json", error_message_of(r));
			buf_puts(out, "},\n");
		}
		buf_free(&codes);
	}
	buf_puts(out, "\"default\":{\"description\":\"What every path can refuse: see the code\",");
	put_content(out, "application/json", error_message_of(r));
	buf_puts(out, "}");
}

/* ---- operations and the whole ---- */

static void put_operation(struct buf *out, const struct http_route *r)
{
	buf_printf(out, "\"%s\":{\n", method_key(r->method));
	put_operation_id(out, r);
	buf_putc(out, ',');
	put_text(out, "summary", r->summary);
	if (r->doc) {
		buf_putc(out, ',');
		put_text(out, "description", r->doc);
	}
	buf_printf(out, ",\n\"x-tana-access\":\"%s\",\"x-tana-errors\":[", http_access_text(r->access));
	put_codes(out, r, 0, "\"");
	buf_putc(out, ']');
	put_parameters(out, r);
	put_request_body(out, r);
	buf_puts(out, ",\n\"responses\":{\n");
	for (const struct http_answer *a = r->answers; a && a->status; a++)
		if (answer_of(r, a->status) == a)
			put_answer(out, r, a);
	put_refusals(out, r);
	buf_puts(out, "\n}}");
}

static bool path_seen(const struct http_route *const *routes, size_t i)
{
	for (size_t before = 0; before < i; before++)
		if (strcmp(routes[before]->path, routes[i]->path) == 0)
			return true;
	return false;
}

static void put_paths(struct buf *out, const struct http_route *const *routes, size_t count)
{
	const char *before = "\"";
	for (size_t i = 0; i < count; i++) {
		if (path_seen(routes, i))
			continue;
		buf_puts(out, before);
		put_path(out, routes[i]->path);
		buf_puts(out, "\":{\n");
		put_operation(out, routes[i]);
		for (size_t same = i + 1; same < count; same++)
			if (strcmp(routes[same]->path, routes[i]->path) == 0) {
				buf_puts(out, ",\n");
				put_operation(out, routes[same]);
			}
		buf_puts(out, "\n}");
		before = ",\n\"";
	}
}

static void put_components(struct buf *out, const struct components *c)
{
	for (size_t i = 0; i < c->message_count; i++) {
		buf_printf(out, "%s\"%s\":", i ? ",\n" : "", c->messages[i]->name);
		json_schema_write(out, c->messages[i]);
	}
	for (size_t i = 0; i < c->form_count; i++) {
		buf_printf(out, ",\n\"%s\":", c->forms[i]->name);
		json_schema_write_form(out, c->forms[i]);
	}
}

void http_openapi_write(struct buf *out, const char *service, const char *description, const struct http_route *routes, size_t count)
{
	struct components components;
	size_t all;
	const struct http_route **list = documented_routes(routes, count, &all);
	components_collect(&components, list, all);
	buf_puts(out, "{\"openapi\":\"3.1.0\",\n\"info\":{");
	buf_printf(out, "\"title\":\"tana %s\",\"version\":\"1\",", service);
	put_text(out, "description", description);
	buf_puts(out, "},\n\"paths\":{\n");
	put_paths(out, list, all);
	buf_puts(out, "\n},\n\"components\":{\"schemas\":{\n");
	put_components(out, &components);
	buf_puts(out, "\n}}}\n");
	free(list);
}
