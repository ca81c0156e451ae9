/* Structs to JSON, by the field table. */
#include "base/log.h"
#include "doc.h"

/* The order in which a message's fields are written: the table's, or that of their names. */
struct order {
	const struct json_message *m;
	bool canonical;
	unsigned char index[JSON_FIELDS_MAX];
};

static void order_fields(struct order *o, const struct json_message *m, bool canonical)
{
	invariant(m->count <= JSON_FIELDS_MAX);
	o->m = m;
	o->canonical = canonical;
	for (size_t i = 0; i < m->count; i++) {
		size_t j = i;
		for (; canonical && j > 0 && strcmp(m->fields[o->index[j - 1]].name, m->fields[i].name) > 0; j--)
			o->index[j] = o->index[j - 1];
		o->index[j] = (unsigned char)i;
	}
}

static void write_object(struct buf *out, const struct order *o, const void *in, const struct json_doc *keep);

static bool absent(const struct json_field *f, const void *member)
{
	switch (f->type) {
	case JSON_TEXT:
	case JSON_FORM:
	case JSON_ANY:
		return !str_present(*(const struct str *)member);
	case JSON_INT:
		return *(const int64_t *)member == JSON_INT_ABSENT;
	case JSON_BOOL:
		return *(const enum json_bool *)member == JSON_BOOL_ABSENT;
	case JSON_OBJECT:
		return !*(void *const *)member;
	case JSON_LIST:
	case JSON_TEXTS:
		return !((const struct json_list *)member)->items;
	}
	return true;
}

static void write_list(struct buf *out, const struct json_field *f, const struct json_list *list, bool canonical)
{
	struct order o;

	order_fields(&o, f->sub, canonical);
	buf_putc(out, '[');
	for (size_t i = 0; i < list->count; i++) {
		if (i > 0)
			buf_putc(out, ',');
		write_object(out, &o, (const char *)list->items + i * f->sub->size, NULL);
	}
	buf_putc(out, ']');
}

static void write_texts(struct buf *out, const struct json_list *list)
{
	const struct str *items = list->items;

	buf_putc(out, '[');
	for (size_t i = 0; i < list->count; i++) {
		if (i > 0)
			buf_putc(out, ',');
		buf_put_json_string(out, items[i]);
	}
	buf_putc(out, ']');
}

static void write_value(struct buf *out, const struct json_field *f, const void *member, bool canonical)
{
	struct order o;

	switch (f->type) {
	case JSON_TEXT:
	case JSON_FORM:
		buf_put_json_string(out, *(const struct str *)member);
		return;
	case JSON_INT: {
		int64_t v = *(const int64_t *)member;
		invariant(!canonical || (v >= -JSON_INT_MAX && v <= JSON_INT_MAX));
		buf_put_int(out, v);
		return;
	}
	case JSON_BOOL:
		buf_puts(out, *(const enum json_bool *)member == JSON_TRUE ? "true" : "false");
		return;
	case JSON_OBJECT:
		order_fields(&o, f->sub, canonical);
		write_object(out, &o, *(void *const *)member, NULL);
		return;
	case JSON_LIST:
		write_list(out, f, member, canonical);
		return;
	case JSON_TEXTS:
		write_texts(out, member);
		return;
	case JSON_ANY:
		buf_put_str(out, *(const struct str *)member);
		return;
	}
}

static bool required_list(const struct json_field *f)
{
	return (f->type == JSON_LIST || f->type == JSON_TEXTS) && (f->flags & JSON_REQUIRED);
}

static bool knows(const struct json_message *m, struct str name)
{
	for (size_t i = 0; i < m->count; i++)
		if (str_is(name, m->fields[i].name))
			return true;
	return false;
}

/* The members of the document that the message does not know. */
static void write_kept(struct buf *out, const struct json_message *m, const struct json_doc *d, bool first)
{
	for (uint32_t key = 1; key < d->nodes[0].end; key = d->nodes[key + 1].end) {
		struct str name = json_node_text(d, &d->nodes[key]);
		struct error none;
		if (knows(m, name))
			continue;
		if (!first)
			buf_putc(out, ',');
		first = false;
		buf_put_json_string(out, name);
		buf_putc(out, ':');
		invariant(json_node_write(d, key + 1, JSON_AS_IT_WAS, NULL, out, &none));
	}
}

static void write_object(struct buf *out, const struct order *o, const void *in, const struct json_doc *keep)
{
	bool first = true;

	buf_putc(out, '{');
	for (size_t i = 0; i < o->m->count; i++) {
		const struct json_field *f = &o->m->fields[o->index[i]];
		const void *member = (const char *)in + f->offset;
		bool nothing = absent(f, member);
		if (nothing && !required_list(f) && !(f->flags & JSON_NULL_WHEN_ABSENT))
			continue;
		if (!first)
			buf_putc(out, ',');
		first = false;
		buf_putc(out, '"');
		buf_puts(out, f->name);
		buf_puts(out, "\":");
		if (nothing)
			buf_puts(out, required_list(f) ? "[]" : "null");
		else
			write_value(out, f, member, o->canonical);
	}
	if (keep)
		write_kept(out, o->m, keep, first);
	buf_putc(out, '}');
}

void json_write(struct buf *out, const struct json_message *m, const void *in)
{
	struct order o;
	order_fields(&o, m, false);
	write_object(out, &o, in, NULL);
}

void json_write_canonical(struct buf *out, const struct json_message *m, const void *in)
{
	struct order o;
	order_fields(&o, m, true);
	write_object(out, &o, in, NULL);
}

void json_write_keeping(struct buf *out, const struct json_message *m, const void *in, const struct json_doc *old)
{
	struct order o;
	order_fields(&o, m, false);
	write_object(out, &o, in, old);
}
