/* A service's chapter of docs/api.md. */
#include <ctype.h>
#include <stdlib.h>

#include "base/log.h"
#include "components.h"
#include "server_private.h"

/* Text inside a table's cell. */
static void put_cell(struct buf *out, const char *text)
{
	for (const char *p = text ? text : ""; *p; p++) {
		if (*p == '|')
			buf_putc(out, '\\');
		buf_putc(out, *p == '\n' ? ' ' : *p);
	}
}

/* GitHub's anchor of the heading "GET /nodes/:id": lower case, blanks to dashes, other punctuation gone. */
static void put_anchor(struct buf *out, const struct http_route *r)
{
	struct buf heading = {0};
	buf_printf(&heading, "%s %s", http_method_text(r->method), r->path);
	for (size_t i = 0; i < heading.len; i++) {
		unsigned char c = (unsigned char)heading.data[i];
		if (c == ' ')
			buf_putc(out, '-');
		else if (isalnum(c) || c == '-' || c == '_')
			buf_putc(out, (char)tolower(c));
	}
	buf_free(&heading);
}

static void put_overview(struct buf *out, const struct http_route *const *routes, size_t count)
{
	buf_puts(out, "| endpoint | who may call | what it does |\n|---|---|---|\n");
	for (size_t i = 0; i < count; i++) {
		buf_printf(out, "| [`%s %s`](#", http_method_text(routes[i]->method), routes[i]->path);
		put_anchor(out, routes[i]);
		buf_printf(out, ") | %s | ", http_access_text(routes[i]->access));
		put_cell(out, routes[i]->summary);
		buf_puts(out, " |\n");
	}
	buf_putc(out, '\n');
}

static void put_range(struct buf *out, int64_t min, int64_t max, const char *unit)
{
	if (min == 0 && max == 0)
		return;
	if (max == INT64_MAX)
		buf_printf(out, ", at least %lld%s", (long long)min, unit);
	else
		buf_printf(out, ", %lld to %lld%s", (long long)min, (long long)max, unit);
}

static void put_params(struct buf *out, const char *heading, const struct http_param *p)
{
	if (!p || !p->name)
		return;
	buf_printf(out, "| %s | type | what it means |\n|---|---|---|\n", heading);
	for (; p->name; p++) {
		buf_printf(out, "| `%s` | %s", p->name, p->type == PARAM_INT ? "integer" : "text");
		put_range(out, p->min, p->max, p->type == PARAM_INT ? "" : " bytes");
		buf_printf(out, "%s | ", p->repeatable ? ", repeatable" : "");
		put_cell(out, p->doc);
		buf_puts(out, " |\n");
	}
	buf_putc(out, '\n');
}

static void put_message_link(struct buf *out, const struct json_message *m)
{
	buf_printf(out, "[`%s`](#", m->name);
	for (const char *p = m->name; *p; p++)
		buf_putc(out, (char)tolower((unsigned char)*p));
	buf_putc(out, ')');
}

static void put_body(struct buf *out, const struct http_route *r)
{
	if (r->body_max == 0 && !r->upload)
		return;
	buf_puts(out, "Body: ");
	if (r->body)
		put_message_link(out, r->body);
	else
		buf_puts(out, r->form ? "a form (`application/x-www-form-urlencoded`)" : "bytes");
	if (r->body_max)
		buf_printf(out, ", at most %zu bytes.\n\n", r->body_max);
	else
		buf_puts(out, ", of any length up to the service's own limit.\n\n");
}

static void put_answers(struct buf *out, const struct http_route *r)
{
	buf_puts(out, "| answer | body | when |\n|---|---|---|\n");
	for (const struct http_answer *a = r->answers; a && a->status; a++) {
		buf_printf(out, "| %d | ", a->status);
		if (a->message && a->status == 200 && (r->flags & HTTP_LIST))
			buf_puts(out, "list of ");
		if (a->message)
			put_message_link(out, a->message);
		else
			put_cell(out, a->media);
		buf_puts(out, " | ");
		put_cell(out, a->doc);
		buf_puts(out, " |\n");
	}
	for (const enum error_code *e = r->errors; e && *e != ERR_COUNT; e++)
		buf_printf(out, "| %d | `%s` | |\n", error_code_status(*e), error_code_text(*e));
	buf_putc(out, '\n');
}

static void put_route(struct buf *out, const struct http_route *r)
{
	buf_printf(out, "### %s %s\n\n%s.", http_method_text(r->method), r->path, r->summary);
	if (r->doc)
		buf_printf(out, " %s", r->doc);
	buf_printf(out, "\n\nWho may call: %s.%s\n\n", http_access_text(r->access),
		   r->flags & HTTP_WRITE ? " Counts against the write rate limit of the caller's address." : "");
	put_params(out, "query parameter", r->params);
	put_body(out, r);
	put_params(out, "field", r->form);
	put_answers(out, r);
}

static void put_type(struct buf *out, const struct json_field *f)
{
	switch (f->type) {
	case JSON_TEXT:
		buf_puts(out, "text");
		put_range(out, f->min, f->max, " bytes");
		break;
	case JSON_FORM:
		buf_printf(out, "%s", f->form->what);
		break;
	case JSON_INT:
		buf_puts(out, "integer");
		put_range(out, f->min, f->max, "");
		break;
	case JSON_BOOL:
		buf_puts(out, "true or false");
		break;
	case JSON_OBJECT:
		put_message_link(out, f->sub);
		break;
	case JSON_LIST:
		buf_puts(out, "list of ");
		put_message_link(out, f->sub);
		put_range(out, f->min, f->max, " items");
		break;
	case JSON_TEXTS:
		buf_printf(out, "list: %s", f->form ? f->form->what : "text");
		put_range(out, f->min, f->max, " items");
		break;
	case JSON_ANY:
		buf_puts(out, "any JSON");
		break;
	}
}

static void put_message(struct buf *out, const struct json_message *m)
{
	buf_printf(out, "#### %s\n\n| field | type | | what it means |\n|---|---|---|---|\n", m->name);
	for (size_t i = 0; i < m->count; i++) {
		const struct json_field *f = &m->fields[i];
		buf_printf(out, "| `%s` | ", f->name);
		put_type(out, f);
		buf_printf(out, " | %s | ",
			   f->flags & JSON_REQUIRED           ? "required"
			   : f->flags & JSON_NULL_WHEN_ABSENT ? "or null"
							      : "optional");
		put_cell(out, f->doc);
		buf_puts(out, " |\n");
	}
	buf_putc(out, '\n');
}

void http_markdown_write(struct buf *out, const char *service, const char *description, const struct http_route *routes, size_t count)
{
	struct components components;
	size_t all;
	const struct http_route **list = documented_routes(routes, count, &all);
	components_collect(&components, list, all);
	buf_printf(out, "## %s\n\n%s\n\n", service, description);
	put_overview(out, list, all);
	for (size_t i = 0; i < all; i++)
		put_route(out, list[i]);
	buf_printf(out, "### Messages of %s\n\n", service);
	for (size_t i = 0; i < components.message_count; i++)
		put_message(out, components.messages[i]);
	free(list);
}
