/* Messages and forms as JSON Schema 2020-12. Objects are left open: newer peers may send more. */
#include "fields.h"

static void put_reference(struct buf *out, const char *component)
{
	buf_puts(out, "\"$ref\":");
	buf_printf(out, "\"#/components/schemas/%s\"", component);
}

/* A component by name; with null beside it a choice of the two. */
static void put_component(struct buf *out, const char *component, bool nullable)
{
	if (nullable)
		buf_puts(out, "\"anyOf\":[{");
	put_reference(out, component);
	if (nullable)
		buf_puts(out, "},{\"type\":\"null\"}]");
}

static void put_type(struct buf *out, const char *type, bool nullable)
{
	buf_printf(out, nullable ? "\"type\":[\"%s\",\"null\"]" : "\"type\":\"%s\"", type);
}

static void put_range(struct buf *out, const char *min_word, int64_t min, const char *max_word, int64_t max)
{
	if (min != 0)
		buf_printf(out, ",\"%s\":%lld", min_word, (long long)min);
	if (max != 0)
		buf_printf(out, ",\"%s\":%lld", max_word, (long long)max);
}

static void put_int(struct buf *out, const struct json_field *f, bool nullable)
{
	bool limited = f->min != 0 || f->max != 0;
	put_type(out, "integer", nullable);
	buf_printf(out, ",\"minimum\":%lld,\"maximum\":%lld", (long long)(limited ? f->min : -JSON_INT_MAX),
		   (long long)(limited ? f->max : JSON_INT_MAX));
}

static void put_list(struct buf *out, const struct json_field *f, const char *item, bool nullable)
{
	put_type(out, "array", nullable);
	buf_puts(out, ",\"items\":{");
	if (item)
		put_reference(out, item);
	else
		put_type(out, "string", false);
	buf_putc(out, '}');
	put_range(out, "minItems", f->min, "maxItems", f->max);
}

static void put_field(struct buf *out, const struct json_field *f)
{
	bool nullable = (f->flags & JSON_NULL_WHEN_ABSENT) != 0, described = true;

	switch (f->type) {
	case JSON_TEXT: /* our limits are in bytes: n bytes are at most n characters, and at least n / 4 */
		put_type(out, "string", nullable);
		put_range(out, "minLength", (f->min + 3) / 4, "maxLength", f->max);
		break;
	case JSON_FORM:
		put_component(out, f->form->name, nullable);
		break;
	case JSON_INT:
		put_int(out, f, nullable);
		break;
	case JSON_BOOL:
		put_type(out, "boolean", nullable);
		break;
	case JSON_OBJECT:
		put_component(out, f->sub->name, nullable);
		break;
	case JSON_LIST:
		put_list(out, f, f->sub->name, nullable);
		break;
	case JSON_TEXTS:
		put_list(out, f, f->form ? f->form->name : NULL, nullable);
		break;
	case JSON_ANY:
		described = false;
		break;
	}
	if (described)
		buf_putc(out, ',');
	buf_puts(out, "\"description\":");
	buf_put_json_string(out, str_from(f->doc));
}

/* What a writer always writes: required fields, and those that are null when there is nothing to say. */
static void put_required(struct buf *out, const struct json_message *m)
{
	const char *separator = ",\"required\":[";

	for (size_t i = 0; i < m->count; i++) {
		if (!(m->fields[i].flags & (JSON_REQUIRED | JSON_NULL_WHEN_ABSENT)))
			continue;
		buf_printf(out, "%s\"%s\"", separator, m->fields[i].name);
		separator = ",";
	}
	if (separator[1] == '\0')
		buf_putc(out, ']');
}

void json_schema_write(struct buf *out, const struct json_message *m)
{
	buf_puts(out, "{\"type\":\"object\",\"properties\":{");
	for (size_t i = 0; i < m->count; i++) {
		buf_printf(out, "%s\"%s\":{", i ? "," : "", m->fields[i].name);
		put_field(out, &m->fields[i]);
		buf_putc(out, '}');
	}
	buf_putc(out, '}');
	put_required(out, m);
	if (m->closed)
		buf_puts(out, ",\"additionalProperties\":false");
	buf_putc(out, '}');
}

void json_schema_write_form(struct buf *out, const struct json_form *f)
{
	buf_puts(out, "{\"type\":\"string\",\"pattern\":");
	buf_put_json_string(out, str_from(f->pattern));
	buf_puts(out, ",\"description\":");
	buf_put_json_string(out, str_from(f->what));
	buf_putc(out, '}');
}
