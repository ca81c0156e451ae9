#include "canonical.h"

#include "canonical_span.h"

/* What is left to read, always at least up to `end`. */
struct reader {
	const char *p, *end;
};

static bool check_value(struct reader *r, int depth);

static bool take(struct reader *r, char c)
{
	if (r->p == r->end || *r->p != c)
		return false;
	r->p++;
	return true;
}

static bool take_word(struct reader *r, const char *word, size_t n)
{
	if ((size_t)(r->end - r->p) < n || memcmp(r->p, word, n) != 0)
		return false;
	r->p += n;
	return true;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool check_integer(struct reader *r)
{
	bool negative = take(r, '-');
	const char *digits = r->p;
	int64_t v = 0;
	while (r->p < r->end && is_digit(*r->p)) {
		v = v * 10 + (*r->p++ - '0');
		if (v > CANONICAL_INT_MAX)
			return false;
	}
	if (r->p == digits)
		return false;
	return digits[0] != '0' || (r->p == digits + 1 && !negative);
}

/* After the backslash. Each control character has one spelling: the short one where there is one, else \u00xx in lower case. */
static bool check_escape(struct reader *r)
{
	if (r->p == r->end)
		return false;
	char c = *r->p++;
	if (c != 'u')
		return c == '"' || c == '\\' || c == 'b' || c == 'f' || c == 'n' || c == 'r' || c == 't';
	if (r->end - r->p < 4 || r->p[0] != '0' || r->p[1] != '0')
		return false;
	char high = r->p[2], low = r->p[3];
	r->p += 4;
	if (high == '1')
		return is_digit(low) || (low >= 'a' && low <= 'f');
	/* Not 0, and 8, 9, a, c and d have short spellings. */
	return high == '0' && ((low >= '1' && low <= '7') || low == 'b' || low == 'e' || low == 'f');
}

/* After the opening quote. That the bytes are UTF-8 has been seen already. */
static bool check_string(struct reader *r)
{
	while ((r->p = canonical_span(r->p, r->end)) < r->end) {
		char c = *r->p++;
		if (c == '"')
			return true;
		if (c != '\\' || !check_escape(r))
			return false;
	}
	return false;
}

/* With its quotes; *key is what stands between them. */
static bool check_key(struct reader *r, struct str *key)
{
	if (!take(r, '"'))
		return false;
	const char *start = r->p;
	if (r->p == r->end || !is_letter(*r->p))
		return false;
	while (r->p < r->end && (is_letter(*r->p) || is_digit(*r->p) || *r->p == '_'))
		r->p++;
	*key = str_of(start, (size_t)(r->p - start));
	return take(r, '"');
}

static bool check_object(struct reader *r, int depth)
{
	if (take(r, '}'))
		return true;
	struct str last = STR_NONE;
	do {
		struct str key;
		if (!check_key(r, &key) || (str_present(last) && str_compare(last, key) >= 0) || !take(r, ':') || !check_value(r, depth))
			return false;
		last = key;
	} while (take(r, ','));
	return take(r, '}');
}

static bool check_array(struct reader *r, int depth)
{
	if (take(r, ']'))
		return true;
	do {
		if (!check_value(r, depth))
			return false;
	} while (take(r, ','));
	return take(r, ']');
}

/* `depth` objects and arrays are open around the value. */
static bool check_value(struct reader *r, int depth)
{
	if (r->p == r->end)
		return false;
	switch (*r->p) {
	case '{':
		r->p++;
		return depth < CANONICAL_DEPTH_MAX && check_object(r, depth + 1);
	case '[':
		r->p++;
		return depth < CANONICAL_DEPTH_MAX && check_array(r, depth + 1);
	case '"':
		r->p++;
		return check_string(r);
	case 't':
		return take_word(r, "true", 4);
	case 'f':
		return take_word(r, "false", 5);
	case 'n':
		return take_word(r, "null", 4);
	default:
		return check_integer(r);
	}
}

bool canonical_check(struct str s)
{
	if (s.n == 0 || !utf8_valid(s.p, s.n))
		return false;
	struct reader r = {s.p, s.p + s.n};
	return check_value(&r, 0) && r.p == r.end;
}

bool canonical_key_valid(struct str key)
{
	if (key.n == 0 || !is_letter(key.p[0]))
		return false;
	for (size_t i = 1; i < key.n; i++)
		if (!is_letter(key.p[i]) && !is_digit(key.p[i]) && key.p[i] != '_')
			return false;
	return true;
}
