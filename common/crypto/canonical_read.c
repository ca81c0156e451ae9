#include "canonical_read.h"

#include "base/hex.h"
#include "canonical_span.h"

static bool enter(struct str value, char open, char close, struct canonical_cursor *c)
{
	if (value.n < 2 || value.p[0] != open || value.p[value.n - 1] != close)
		return false;
	*c = (struct canonical_cursor){value.p + 1, value.p + value.n - 1};
	return true;
}

bool canonical_enter_object(struct str value, struct canonical_cursor *c)
{
	return enter(value, '{', '}', c);
}

bool canonical_enter_array(struct str value, struct canonical_cursor *c)
{
	return enter(value, '[', ']', c);
}

/* Behind the closing quote of the string that begins at p; NULL when there is none. */
static const char *string_end(const char *p, const char *end)
{
	for (p = canonical_span(p + 1, end); p < end; p = canonical_span(p + 1, end)) {
		if (*p == '"')
			return p + 1;
		if (*p == '\\' && ++p == end)
			break;
	}
	return NULL;
}

/* Behind the value that begins at p; NULL when it has no end. */
static const char *value_end(const char *p, const char *end)
{
	int depth = 0;
	while (p < end) {
		char c = *p;
		if (c == '"') {
			p = string_end(p, end);
			if (!p)
				return NULL;
		} else if (c == '{' || c == '[') {
			depth++;
			p++;
		} else if (c == '}' || c == ']') {
			if (depth-- == 0)
				return NULL;
			p++;
		} else if (c == ',' && depth == 0) {
			return p;
		} else {
			p++;
			/* A number or a word goes on to the next comma or bracket. */
			if (depth == 0)
				continue;
		}
		if (depth == 0 && (p == end || *p == ','))
			return p;
	}
	return depth == 0 ? p : NULL;
}

bool canonical_next_item(struct canonical_cursor *c, struct str *value)
{
	if (c->p >= c->end)
		return false;
	const char *end = value_end(c->p, c->end);
	if (!end || end == c->p) {
		c->p = c->end;
		return false;
	}
	*value = str_of(c->p, (size_t)(end - c->p));
	c->p = end < c->end ? end + 1 : end;
	return true;
}

bool canonical_next_member(struct canonical_cursor *c, struct str *key, struct str *value)
{
	const char *end = c->p < c->end && *c->p == '"' ? string_end(c->p, c->end) : NULL;
	if (!end || end == c->end || *end != ':') {
		c->p = c->end;
		return false;
	}
	*key = str_of(c->p + 1, (size_t)(end - c->p) - 2);
	c->p = end + 1;
	return canonical_next_item(c, value);
}

bool canonical_find(struct str object, const char *key, struct str *value)
{
	struct canonical_cursor c;
	struct str k;
	if (!canonical_enter_object(object, &c))
		return false;
	while (canonical_next_member(&c, &k, value))
		if (str_is(k, key))
			return true;
	return false;
}

bool canonical_read_plain(struct str value, struct str *out)
{
	if (value.n < 2 || value.p[0] != '"' || value.p[value.n - 1] != '"' || memchr(value.p, '\\', value.n))
		return false;
	*out = str_of(value.p + 1, value.n - 2);
	return true;
}

/* The character that an escape stands for; *p is behind its letter, and goes on behind its digits. */
static char unescape(char letter, const char **p, const char *end)
{
	uint8_t code[2] = {0, 0};
	switch (letter) {
	case 'b':
		return '\b';
	case 't':
		return '\t';
	case 'n':
		return '\n';
	case 'f':
		return '\f';
	case 'r':
		return '\r';
	case 'u':
		if (end - *p < 4 || !hex_decode(code, sizeof code, *p, 4, HEX_LOWER_ONLY))
			return '?';
		*p += 4;
		return (char)code[1];
	default: /* a quote or a backslash */
		return letter;
	}
}

bool canonical_read_text(struct str value, struct arena *arena, struct str *out)
{
	if (canonical_read_plain(value, out))
		return true;
	if (value.n < 2 || value.p[0] != '"' || value.p[value.n - 1] != '"')
		return false;
	char *text = arena_alloc(arena, value.n);
	size_t n = 0;
	const char *p = value.p + 1, *end = value.p + value.n - 1;
	while (p < end) {
		char c = *p++;
		if (c == '\\' && p < end) {
			char letter = *p++;
			c = unescape(letter, &p, end);
		}
		text[n++] = c;
	}
	*out = str_of(text, n);
	return true;
}

bool canonical_read_int(struct str value, int64_t *out)
{
	return str_to_int64(value, out);
}
