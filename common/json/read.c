/* Documents to structs, by the field table. */
#include <stdio.h>

#include "base/log.h"
#include "doc.h"

enum { PLACE_TEXT_MAX = 96 };

/* Where we are, for error texts; frames live on the C stack. */
struct place {
	const struct place *up; /* NULL: the document itself */
	const char *name;       /* of a field; NULL: an item of the list above */
	size_t index;
};

struct reader {
	const struct json_doc *d;
	struct arena *arena;
	struct error *err;
};

/* "services[2].port" */
static size_t write_place(const struct place *at, char *out, size_t room)
{
	if (!at)
		return 0;
	size_t n = write_place(at->up, out, room);
	int more = at->name ? snprintf(out + n, room - n, "%s%s", n ? "." : "", at->name) : snprintf(out + n, room - n, "[%zu]", at->index);
	return n + (size_t)more < room ? n + (size_t)more : room - 1;
}

/* "<path> must be <what>." */
static bool must_be(struct reader *r, const struct place *at, enum error_code code, const char *what)
{
	char path[PLACE_TEXT_MAX];
	write_place(at, path, sizeof path);
	return error_set(r->err, code, "%s must be %s", path, what);
}

void json_message_clear(const struct json_message *m, void *out)
{
	memset(out, 0, m->size);
	for (size_t i = 0; i < m->count; i++) {
		void *member = (char *)out + m->fields[i].offset;
		if (m->fields[i].type == JSON_INT)
			*(int64_t *)member = JSON_INT_ABSENT;
		else if (m->fields[i].type == JSON_BOOL)
			*(enum json_bool *)member = JSON_BOOL_ABSENT;
	}
}

/* ---- Values ---- */

/* C0 but \n and \t, DEL, and C1, which UTF-8 spells c2 80 .. c2 9f. */
static bool has_control_characters(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f)
			return true;
		if (c == 0xc2 && (unsigned char)s.p[i + 1] < 0xa0) /* valid UTF-8: a byte follows */
			return true;
	}
	return false;
}

static bool read_text(struct reader *r, const struct json_field *f, const struct json_node *n, const struct place *at, struct str *out)
{
	char what[96];

	if (n->type != JSON_NODE_TEXT)
		return must_be(r, at, ERR_MALFORMED_FIELD, "a text");
	struct str s = json_node_text(r->d, n);
	if (s.n < (uint64_t)f->min || (f->max > 0 && s.n > (uint64_t)f->max)) {
		snprintf(what, sizeof what, "a text of %lld to %lld bytes", (long long)f->min, (long long)f->max);
		return must_be(r, at, ERR_MALFORMED_FIELD, what);
	}
	if (!(f->flags & JSON_VERBATIM) && has_control_characters(s))
		return must_be(r, at, ERR_MALFORMED_FIELD, "a text without control characters");
	*out = arena_copy(r->arena, s);
	return true;
}

static bool read_form(struct reader *r, const struct json_form *form, const struct json_node *n, const struct place *at, struct str *out)
{
	if (n->type != JSON_NODE_TEXT || !form->check(json_node_text(r->d, n)))
		return must_be(r, at, form->code, form->what);
	*out = arena_copy(r->arena, json_node_text(r->d, n));
	return true;
}

static bool read_int(struct reader *r, const struct json_field *f, const struct json_node *n, const struct place *at, int64_t *out)
{
	bool limited = f->min != 0 || f->max != 0;
	int64_t min = limited ? f->min : -JSON_INT_MAX, max = limited ? f->max : JSON_INT_MAX;
	char what[96];

	if (n->type != JSON_NODE_INT || n->integer < min || n->integer > max) {
		snprintf(what, sizeof what, "an integer from %lld to %lld", (long long)min, (long long)max);
		return must_be(r, at, ERR_MALFORMED_FIELD, what);
	}
	*out = n->integer;
	return true;
}

static bool read_any(struct reader *r, uint32_t node, const struct place *at, struct str *out)
{
	struct buf b = {0};
	struct error why;
	bool ok = json_node_write(r->d, node, JSON_CANONICAL, NULL, &b, &why);

	if (ok)
		*out = arena_copy(r->arena, buf_str(&b));
	buf_free(&b);
	return ok || must_be(r, at, ERR_MALFORMED_FIELD, "JSON that can be signed (integers up to 2^53-1, keys of letters, digits and '_')");
}

static bool read_object(struct reader *r, const struct json_message *m, uint32_t node, const struct place *at, void *out);

/* The node of a list whose length fits, or NULL after saying so. */
static const struct json_node *list_node(struct reader *r, const struct json_field *f, uint32_t node, const struct place *at)
{
	const struct json_node *n = &r->d->nodes[node];
	char what[64];

	if (n->type == JSON_NODE_ARRAY && n->count >= (uint64_t)f->min && (f->max == 0 || n->count <= (uint64_t)f->max))
		return n;
	if (f->max > 0)
		snprintf(what, sizeof what, "a list of %lld to %lld items", (long long)f->min, (long long)f->max);
	else
		snprintf(what, sizeof what, "a list");
	(void)must_be(r, at, ERR_MALFORMED_FIELD, what);
	return NULL;
}

static bool read_list(struct reader *r, const struct json_field *f, uint32_t node, const struct place *at, struct json_list *out)
{
	const struct json_node *n = list_node(r, f, node, at);
	if (!n)
		return false;
	struct place item_at = {.up = at};
	char *items = arena_zalloc(r->arena, n->count, f->sub->size);
	for (uint32_t item = node + 1; item < n->end; item = r->d->nodes[item].end, item_at.index++)
		if (!read_object(r, f->sub, item, &item_at, items + item_at.index * f->sub->size))
			return false;
	*out = (struct json_list){items, n->count};
	return true;
}

static bool read_texts(struct reader *r, const struct json_field *f, uint32_t node, const struct place *at, struct json_list *out)
{
	static const struct json_field any_text = {.type = JSON_TEXT};
	const struct json_node *n = list_node(r, f, node, at);
	if (!n)
		return false;
	struct place item_at = {.up = at};
	struct str *items = arena_zalloc(r->arena, n->count, sizeof *items);
	for (uint32_t item = node + 1; item < n->end; item = r->d->nodes[item].end, item_at.index++) {
		const struct json_node *text = &r->d->nodes[item];
		struct str *to = &items[item_at.index];
		if (!(f->form ? read_form(r, f->form, text, &item_at, to) : read_text(r, &any_text, text, &item_at, to)))
			return false;
	}
	*out = (struct json_list){items, n->count};
	return true;
}

/* ---- Objects ---- */

static bool read_value(struct reader *r, const struct json_field *f, uint32_t node, const struct place *at, void *member)
{
	const struct json_node *n = &r->d->nodes[node];

	switch (f->type) {
	case JSON_TEXT:
		return read_text(r, f, n, at, member);
	case JSON_FORM:
		return read_form(r, f->form, n, at, member);
	case JSON_INT:
		return read_int(r, f, n, at, member);
	case JSON_BOOL:
		if (n->type != JSON_NODE_TRUE && n->type != JSON_NODE_FALSE)
			return must_be(r, at, ERR_MALFORMED_FIELD, "true or false");
		*(enum json_bool *)member = n->type == JSON_NODE_TRUE ? JSON_TRUE : JSON_FALSE;
		return true;
	case JSON_OBJECT: {
		void *sub = arena_zalloc(r->arena, 1, f->sub->size);
		*(void **)member = sub;
		return read_object(r, f->sub, node, at, sub);
	}
	case JSON_LIST:
		return read_list(r, f, node, at, member);
	case JSON_TEXTS:
		return read_texts(r, f, node, at, member);
	case JSON_ANY:
		return read_any(r, node, at, member);
	}
	return false;
}

/* The field's index, or m->count. Peers mostly keep the table's order, so the search begins behind the last one found. */
static size_t find_field(const struct json_message *m, struct str name, size_t from)
{
	for (size_t tried = 0; tried < m->count; tried++, from++) {
		if (from >= m->count)
			from = 0;
		const char *z = m->fields[from].name;
		if (strncmp(z, name.p, name.n) == 0 && z[name.n] == '\0')
			return from;
	}
	return m->count;
}

/* The key's name may be anything, so no more than what looks like one is shown. */
static bool not_known(struct reader *r, const struct place *at, struct str key)
{
	char path[PLACE_TEXT_MAX], name[32];
	size_t n = 0;
	while (n < key.n && n + 1 < sizeof(name) && ((key.p[n] >= '0' && key.p[n] <= 'z')))
		n++;
	snprintf(name, sizeof name, "%.*s", (int)n, key.p);
	struct place here = {.up = at, .name = name};
	write_place(&here, path, sizeof path);
	return error_set(r->err, ERR_MALFORMED_FIELD, "%s%s is not known here", path, n < key.n ? "..." : "");
}

static bool read_object(struct reader *r, const struct json_message *m, uint32_t node, const struct place *at, void *out)
{
	const struct json_node *nodes = r->d->nodes;
	uint64_t seen = 0;
	size_t next = 0;

	invariant(m->count <= JSON_FIELDS_MAX);
	if (nodes[node].type != JSON_NODE_OBJECT)
		return must_be(r, at, ERR_MALFORMED_FIELD, "an object");
	json_message_clear(m, out);
	for (uint32_t key = node + 1; key < nodes[node].end; key = nodes[key + 1].end) {
		size_t i = find_field(m, json_node_text(r->d, &nodes[key]), next);
		if (i == m->count) {
			if (m->closed)
				return not_known(r, at, json_node_text(r->d, &nodes[key]));
			continue;
		}
		const struct json_field *f = &m->fields[i];
		struct place field_at = {.up = at, .name = f->name};
		next = i + 1;
		if (nodes[key + 1].type == JSON_NODE_NULL && !(f->flags & JSON_REQUIRED))
			continue;
		if (!read_value(r, f, key + 1, &field_at, (char *)out + f->offset))
			return false;
		seen |= UINT64_C(1) << i;
	}
	for (size_t i = 0; i < m->count; i++)
		if ((m->fields[i].flags & JSON_REQUIRED) && !(seen >> i & 1)) {
			char path[PLACE_TEXT_MAX];
			struct place field_at = {.up = at, .name = m->fields[i].name};
			write_place(&field_at, path, sizeof path);
			return error_set(r->err, ERR_MISSING_FIELD, "%s is missing", path);
		}
	return true;
}

bool json_read(const struct json_doc *d, const struct json_message *m, void *out, struct arena *arena, struct error *err)
{
	struct reader r = {.d = d, .arena = arena, .err = err};
	return read_object(&r, m, 0, NULL, out);
}

bool json_read_text(struct str text, const struct json_message *m, void *out, struct arena *arena, struct error *err)
{
	struct json_doc *d = json_parse_object(text, err);
	bool ok = d && json_read(d, m, out, arena, err);
	json_doc_free(d);
	return ok;
}
