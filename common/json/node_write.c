/* Documents back to text: as they were, or canonical. Recursion is bounded: the parser lets in JSON_DEPTH_MAX levels. */
#include <stdlib.h>

#include "base/mem.h"
#include "doc.h"

static int compare_keys(const void *a, const void *b, void *doc)
{
	const struct json_doc *d = doc;
	return str_compare(json_node_text(d, &d->nodes[*(const uint32_t *)a]), json_node_text(d, &d->nodes[*(const uint32_t *)b]));
}

/* For the handful of keys that messages have. */
static void insertion_sort(const struct json_doc *d, uint32_t *keys, uint32_t n)
{
	for (uint32_t i = 1; i < n; i++) {
		uint32_t moving = keys[i], j = i;
		struct str text = json_node_text(d, &d->nodes[moving]);
		for (; j > 0 && str_compare(json_node_text(d, &d->nodes[keys[j - 1]]), text) > 0; j--)
			keys[j] = keys[j - 1];
		keys[j] = moving;
	}
}

const uint32_t *json_sorted_keys(const struct json_doc *d, uint32_t object, uint32_t few[JSON_FEW_KEYS], uint32_t **many)
{
	uint32_t n = d->nodes[object].count, key = object + 1, *keys = few;

	*many = NULL;
	if (n > JSON_FEW_KEYS)
		keys = *many = xmalloc(n * sizeof *keys);
	for (uint32_t i = 0; i < n; i++) {
		keys[i] = key;
		key = d->nodes[key + 1].end;
	}
	if (n > JSON_FEW_KEYS) {
		struct json_doc view = *d; /* qsort_r's context is not const */
		qsort_r(keys, n, sizeof *keys, compare_keys, &view);
	} else {
		insertion_sort(d, keys, n);
	}
	return keys;
}

/* [A-Za-z][A-Za-z0-9_]* */
static bool canonical_key(struct str key)
{
	for (size_t i = 0; i < key.n; i++) {
		char c = key.p[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		if (!letter && (i == 0 || (c != '_' && (c < '0' || c > '9'))))
			return false;
	}
	return key.n > 0;
}

static bool write_member(const struct json_doc *d, uint32_t key, enum json_writing how, bool first, struct buf *out, struct error *err)
{
	struct str name = json_node_text(d, &d->nodes[key]);
	if (!first)
		buf_putc(out, ',');
	buf_put_json_string(out, name);
	buf_putc(out, ':');
	return json_node_write(d, key + 1, how, NULL, out, err);
}

static bool write_object_sorted(const struct json_doc *d, uint32_t node, const char *less, struct buf *out, struct error *err)
{
	uint32_t few[JSON_FEW_KEYS], *many;
	const uint32_t *keys = json_sorted_keys(d, node, few, &many);
	bool ok = true, first = true;

	buf_putc(out, '{');
	for (uint32_t i = 0; ok && i < d->nodes[node].count; i++) {
		struct str name = json_node_text(d, &d->nodes[keys[i]]);
		if (less && str_is(name, less))
			continue;
		ok = canonical_key(name) ? write_member(d, keys[i], JSON_CANONICAL, first, out, err)
					 : error_set(err, ERR_NOT_CANONICAL, "signed JSON has keys of letters, digits and '_' only, a letter first");
		first = false;
	}
	buf_putc(out, '}');
	free(many);
	return ok;
}

static bool write_object_as_it_was(const struct json_doc *d, uint32_t node, const char *less, struct buf *out, struct error *err)
{
	bool first = true;

	buf_putc(out, '{');
	for (uint32_t key = node + 1; key < d->nodes[node].end; key = d->nodes[key + 1].end) {
		if (less && str_is(json_node_text(d, &d->nodes[key]), less))
			continue;
		if (!write_member(d, key, JSON_AS_IT_WAS, first, out, err))
			return false;
		first = false;
	}
	buf_putc(out, '}');
	return true;
}

static bool write_array(const struct json_doc *d, uint32_t node, enum json_writing how, struct buf *out, struct error *err)
{
	buf_putc(out, '[');
	for (uint32_t item = node + 1; item < d->nodes[node].end; item = d->nodes[item].end) {
		if (item > node + 1)
			buf_putc(out, ',');
		if (!json_node_write(d, item, how, NULL, out, err))
			return false;
	}
	buf_putc(out, ']');
	return true;
}

bool json_node_write(const struct json_doc *d, uint32_t node, enum json_writing how, const char *less, struct buf *out, struct error *err)
{
	const struct json_node *n = &d->nodes[node];

	switch (n->type) {
	case JSON_NODE_OBJECT:
		return how == JSON_CANONICAL ? write_object_sorted(d, node, less, out, err) : write_object_as_it_was(d, node, less, out, err);
	case JSON_NODE_ARRAY:
		return write_array(d, node, how, out, err);
	case JSON_NODE_TEXT:
		buf_put_json_string(out, json_node_text(d, n));
		return true;
	case JSON_NODE_INT:
		buf_put_int(out, n->integer);
		return true;
	case JSON_NODE_NUMBER:
		if (how == JSON_CANONICAL)
			return error_set(err, ERR_NOT_CANONICAL, "signed JSON has integers up to 2^53-1 only, without fraction or exponent");
		buf_put_str(out, json_node_text(d, n));
		return true;
	case JSON_NODE_TRUE:
		buf_puts(out, "true");
		return true;
	case JSON_NODE_FALSE:
		buf_puts(out, "false");
		return true;
	case JSON_NODE_NULL:
		buf_puts(out, "null");
		return true;
	}
	return false;
}

bool json_canonicalise(const struct json_doc *d, const char *less, struct buf *out, struct error *err)
{
	size_t before = out->len;
	if (json_node_write(d, 0, JSON_CANONICAL, less, out, err))
		return true;
	out->len = before;
	return false;
}
