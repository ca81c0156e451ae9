#include "base/log.h"
#include "canonical.h"

void canonical_begin(struct canonical_writer *w, struct buf *out)
{
	w->out = out;
	w->depth = 0;
	w->after_key = false;
	w->level[0].object = false;
	w->level[0].empty = true;
}

/* What comes before any value: its place must be free, and in an array a comma parts it from the one before. */
static void before_value(struct canonical_writer *w)
{
	invariant(w->level[w->depth].object == w->after_key);
	if (!w->after_key && !w->level[w->depth].empty) {
		invariant(w->depth > 0); /* one value at the top */
		buf_putc(w->out, ',');
	}
	w->after_key = false;
	w->level[w->depth].empty = false;
}

static void open_level(struct canonical_writer *w, bool object)
{
	before_value(w);
	invariant(w->depth < CANONICAL_DEPTH_MAX);
	w->depth++;
	w->level[w->depth].object = object;
	w->level[w->depth].empty = true;
	buf_putc(w->out, object ? '{' : '[');
}

void canonical_object(struct canonical_writer *w)
{
	open_level(w, true);
}

void canonical_array(struct canonical_writer *w)
{
	open_level(w, false);
}

void canonical_end(struct canonical_writer *w)
{
	invariant(w->depth > 0 && !w->after_key);
	buf_putc(w->out, w->level[w->depth].object ? '}' : ']');
	w->depth--;
}

void canonical_key_str(struct canonical_writer *w, struct str key)
{
	invariant(w->level[w->depth].object && !w->after_key && canonical_key_valid(key));
	if (!w->level[w->depth].empty) {
		struct str last = str_of(w->out->data + w->level[w->depth].key_at, w->level[w->depth].key_len);
		invariant(str_compare(last, key) < 0);
		buf_putc(w->out, ',');
	}
	buf_putc(w->out, '"');
	w->level[w->depth].empty = false;
	w->level[w->depth].key_at = w->out->len;
	w->level[w->depth].key_len = key.n;
	buf_put_str(w->out, key);
	buf_puts(w->out, "\":");
	w->after_key = true;
}

void canonical_key(struct canonical_writer *w, const char *key)
{
	canonical_key_str(w, str_from(key));
}

void canonical_str(struct canonical_writer *w, struct str s)
{
	invariant(str_present(s) && utf8_valid(s.p, s.n) && !memchr(s.p, '\0', s.n));
	before_value(w);
	buf_put_json_string(w->out, s);
}

void canonical_int(struct canonical_writer *w, int64_t v)
{
	invariant(v >= -CANONICAL_INT_MAX && v <= CANONICAL_INT_MAX);
	before_value(w);
	buf_put_int(w->out, v);
}

void canonical_bool(struct canonical_writer *w, bool v)
{
	before_value(w);
	buf_puts(w->out, v ? "true" : "false");
}

void canonical_null(struct canonical_writer *w)
{
	before_value(w);
	buf_puts(w->out, "null");
}

void canonical_raw(struct canonical_writer *w, struct str canonical)
{
	before_value(w);
	buf_put_str(w->out, canonical);
}
