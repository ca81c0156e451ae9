/*
 * The parser: one pass, no recursion, three allocations a document.
 *
 * Why not a library's: the one at hand (jansson) takes 6.4 us to build and free the tree of a 527-byte heartbeat, most of it in allocations and hash
 * tables that nobody asks for; every heartbeat of the network passes here. This takes a tenth of it, and says what we want said about bad input.
 * tests/fuzz/fuzz_json_read.c holds it against that library, text by text.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "doc.h"

enum { TEXT_MAX = 1 << 30 /* bytes: keeps every index far within 32 bits */, FIRST_NODES = 64 };

struct parser {
	struct json_doc *d;
	char *p;         /* in d->text, which ends with a NUL: no step looks beyond one, so none needs to ask for the end */
	struct str input; /* as it came, for line and column */
	struct error *err;
	uint32_t open[JSON_DEPTH_MAX]; /* nodes of the containers around p */
	size_t depth;
};

static bool blank(char c)
{
	return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Stands for itself in a text. */
static bool plain(char c)
{
	return (unsigned char)c >= ' ' && c != '"' && c != '\\';
}

/* "malformed JSON: <what> at line L, column C" */
static bool bad_at(struct parser *x, size_t offset, enum error_code code, const char *what)
{
	size_t line = 1, start = 0;
	for (size_t i = 0; i < offset; i++)
		if (x->input.p[i] == '\n') {
			line++;
			start = i + 1;
		}
	return error_set(x->err, code, "malformed JSON: %s at line %zu, column %zu", what, line, offset - start + 1);
}

static bool bad(struct parser *x, const char *what)
{
	return bad_at(x, (size_t)(x->p - x->d->text), ERR_MALFORMED_JSON, what);
}

/* Something else stands where `wanted` should. */
static bool unexpected(struct parser *x, const char *wanted)
{
	unsigned char c = (unsigned char)*x->p;
	char what[96];

	if ((size_t)(x->p - x->d->text) == x->d->text_len)
		snprintf(what, sizeof what, "the text ends where %s should be,", wanted);
	else if (c > ' ' && c < 0x7f)
		snprintf(what, sizeof what, "'%c' where %s should be,", c, wanted);
	else
		snprintf(what, sizeof what, "byte 0x%02x where %s should be,", c, wanted);
	return bad(x, what);
}

static void skip_blanks(struct parser *x)
{
	while (blank(*x->p))
		x->p++;
}

static struct json_node *add_node(struct parser *x, enum json_node_type type)
{
	struct json_doc *d = x->d;
	if (d->count == d->room) {
		d->room *= 2;
		d->nodes = xrealloc(d->nodes, d->room * sizeof *d->nodes);
	}
	struct json_node *n = &d->nodes[d->count++];
	n->type = type;
	n->end = d->count;
	return n;
}

/* ---- Texts ---- */

static bool hex4(const char *p, unsigned *out)
{
	unsigned v = 0;
	for (int i = 0; i < 4; i++) {
		char c = p[i];
		if (c >= '0' && c <= '9')
			v = v * 16 + (unsigned)(c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			v = v * 16 + (unsigned)((c | 0x20) - 'a') + 10;
		else
			return false;
	}
	*out = v;
	return true;
}

static char *put_utf8(char *to, unsigned c)
{
	if (c < 0x80) {
		*to++ = (char)c;
	} else if (c < 0x800) {
		*to++ = (char)(0xc0 | c >> 6);
		*to++ = (char)(0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		*to++ = (char)(0xe0 | c >> 12);
		*to++ = (char)(0x80 | (c >> 6 & 0x3f));
		*to++ = (char)(0x80 | (c & 0x3f));
	} else {
		*to++ = (char)(0xf0 | c >> 18);
		*to++ = (char)(0x80 | (c >> 12 & 0x3f));
		*to++ = (char)(0x80 | (c >> 6 & 0x3f));
		*to++ = (char)(0x80 | (c & 0x3f));
	}
	return to;
}

/* x->p stands on the 'u'. */
static bool decode_unicode(struct parser *x, char **to)
{
	unsigned c, low;
	if (!hex4(x->p + 1, &c))
		return bad(x, "\\u without four hexadecimal digits");
	if (c == 0)
		return bad(x, "\\u0000, which no text here may have,");
	if (c >= 0xdc00 && c <= 0xdfff)
		return bad(x, "half a surrogate pair");
	if (c >= 0xd800 && c <= 0xdbff) {
		if (x->p[5] != '\\' || x->p[6] != 'u' || !hex4(x->p + 7, &low) || low < 0xdc00 || low > 0xdfff)
			return bad(x, "half a surrogate pair");
		c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
		x->p += 6;
	}
	x->p += 5;
	*to = put_utf8(*to, c);
	return true;
}

/* x->p stands behind the backslash. What is decoded is never longer than what was read, so *to stays behind x->p. */
static bool decode_escape(struct parser *x, char **to)
{
	char c;
	switch (*x->p) {
	case '"':
	case '\\':
	case '/':
		c = *x->p;
		break;
	case 'b':
		c = '\b';
		break;
	case 'f':
		c = '\f';
		break;
	case 'n':
		c = '\n';
		break;
	case 'r':
		c = '\r';
		break;
	case 't':
		c = '\t';
		break;
	case 'u':
		return decode_unicode(x, to);
	default:
		return unexpected(x, "an escape letter");
	}
	x->p++;
	*(*to)++ = c;
	return true;
}

static bool parse_text(struct parser *x, const char *wanted)
{
	if (*x->p != '"')
		return unexpected(x, wanted);
	char *start = ++x->p, *to;
	unsigned char seen = 0; /* bits of every byte: tells pure ASCII from the rest */

	while (plain(*x->p))
		seen |= (unsigned char)*x->p++;
	to = x->p;
	while (*x->p != '"') {
		if (plain(*x->p)) {
			seen |= (unsigned char)*x->p;
			*to++ = *x->p++;
		} else if (*x->p == '\\') {
			x->p++;
			if (!decode_escape(x, &to))
				return false;
		} else {
			return unexpected(x, "the rest of a text (control characters are escaped)");
		}
	}
	x->p++;
	if ((seen & 0x80) && !utf8_valid(start, (size_t)(to - start)))
		return bad_at(x, (size_t)(start - x->d->text), ERR_MALFORMED_JSON, "invalid UTF-8 in the text that begins");
	struct json_node *n = add_node(x, JSON_NODE_TEXT);
	n->text.at = (uint32_t)(start - x->d->text);
	n->text.n = (uint32_t)(to - start);
	return true;
}

/* ---- Numbers and words ---- */

static bool parse_digits(struct parser *x)
{
	if (!digit(*x->p))
		return unexpected(x, "a digit");
	while (digit(*x->p))
		x->p++;
	return true;
}

static bool parse_number(struct parser *x)
{
	enum { DIGITS_MAX = 16 }; /* of 2^53 - 1 */
	char *start = x->p, *first;
	int64_t v = 0;
	bool integer = true;

	if (*x->p == '-')
		x->p++;
	first = x->p;
	if (*x->p == '0')
		x->p++;
	else if (!parse_digits(x))
		return false;
	char *last = x->p;
	if (*x->p == '.') {
		integer = false;
		x->p++;
		if (!parse_digits(x))
			return false;
	}
	if (*x->p == 'e' || *x->p == 'E') {
		integer = false;
		x->p++;
		if (*x->p == '+' || *x->p == '-')
			x->p++;
		if (!parse_digits(x))
			return false;
	}
	if (integer && last - first <= DIGITS_MAX) {
		for (char *c = first; c < last; c++)
			v = v * 10 + (*c - '0');
		if (v <= JSON_INT_MAX) {
			add_node(x, JSON_NODE_INT)->integer = *start == '-' ? -v : v;
			return true;
		}
	}
	struct json_node *n = add_node(x, JSON_NODE_NUMBER);
	n->text.at = (uint32_t)(start - x->d->text);
	n->text.n = (uint32_t)(x->p - start);
	return true;
}

static bool parse_word(struct parser *x, const char *word, enum json_node_type type)
{
	size_t n = strlen(word);
	if (strncmp(x->p, word, n) != 0)
		return unexpected(x, "a value");
	x->p += n;
	add_node(x, type);
	return true;
}

/* ---- Containers ---- */

static bool open_container(struct parser *x, enum json_node_type type)
{
	if (x->depth == JSON_DEPTH_MAX)
		return bad(x, "nesting that is too deep");
	x->open[x->depth++] = x->d->count;
	add_node(x, type)->count = 0;
	x->p++;
	return true;
}

static bool check_duplicates(struct parser *x, uint32_t object)
{
	const struct json_doc *d = x->d;
	uint32_t few[JSON_FEW_KEYS], *many;
	const uint32_t *keys = json_sorted_keys(d, object, few, &many);
	const struct json_node *twice = NULL;

	for (uint32_t i = 1; i < d->nodes[object].count && !twice; i++)
		if (str_equal(json_node_text(d, &d->nodes[keys[i - 1]]), json_node_text(d, &d->nodes[keys[i]])))
			twice = &d->nodes[keys[i]];
	free(many);
	return !twice || bad_at(x, twice->text.at, ERR_DUPLICATE_KEY, "a key that its object already has");
}

static bool close_container(struct parser *x)
{
	uint32_t i = x->open[--x->depth];
	x->p++;
	x->d->nodes[i].end = x->d->count;
	return x->d->nodes[i].type != JSON_NODE_OBJECT || check_duplicates(x, i);
}

static bool parse_value(struct parser *x)
{
	switch (*x->p) {
	case '{':
		return open_container(x, JSON_NODE_OBJECT);
	case '[':
		return open_container(x, JSON_NODE_ARRAY);
	case '"':
		return parse_text(x, "a text");
	case 't':
		return parse_word(x, "true", JSON_NODE_TRUE);
	case 'f':
		return parse_word(x, "false", JSON_NODE_FALSE);
	case 'n':
		return parse_word(x, "null", JSON_NODE_NULL);
	default:
		return *x->p == '-' || digit(*x->p) ? parse_number(x) : unexpected(x, "a value");
	}
}

/* One member or item of the innermost container, or its end. */
static bool parse_step(struct parser *x)
{
	struct json_node *top = &x->d->nodes[x->open[x->depth - 1]];
	bool object = top->type == JSON_NODE_OBJECT;

	skip_blanks(x);
	if (*x->p == (object ? '}' : ']'))
		return close_container(x);
	if (top->count > 0) {
		if (*x->p != ',')
			return unexpected(x, object ? "',' or '}'" : "',' or ']'");
		x->p++;
		skip_blanks(x);
	}
	top->count++; /* before anything is added: that may move the nodes */
	if (object) {
		if (!parse_text(x, "a key in double quotes"))
			return false;
		skip_blanks(x);
		if (*x->p != ':')
			return unexpected(x, "':'");
		x->p++;
		skip_blanks(x);
	}
	return parse_value(x);
}

static bool parse_document(struct parser *x)
{
	skip_blanks(x);
	if ((size_t)(x->p - x->d->text) == x->d->text_len)
		return error_set(x->err, ERR_MALFORMED_JSON, "there is no JSON: the text is empty where an object should be");
	if (*x->p != '{')
		return unexpected(x, "an object");
	if (!open_container(x, JSON_NODE_OBJECT))
		return false;
	while (x->depth > 0)
		if (!parse_step(x))
			return false;
	skip_blanks(x);
	return (size_t)(x->p - x->d->text) == x->d->text_len || unexpected(x, "the end");
}

struct json_doc *json_parse_object(struct str text, struct error *err)
{
	if (text.n > TEXT_MAX) {
		error_set(err, ERR_TOO_LARGE, "the JSON is larger than 1 GiB");
		return NULL;
	}
	struct json_doc *d = xmalloc(sizeof *d);
	*d = (struct json_doc){.text = xmalloc(text.n + 1), .text_len = text.n, .room = FIRST_NODES};
	if (text.n > 0)
		memcpy(d->text, text.p, text.n);
	d->text[text.n] = '\0';
	d->nodes = xmalloc(d->room * sizeof *d->nodes);

	struct parser x = {.d = d, .p = d->text, .input = text, .err = err};
	if (parse_document(&x))
		return d;
	json_doc_free(d);
	return NULL;
}

void json_doc_free(struct json_doc *d)
{
	if (!d)
		return;
	free(d->nodes);
	free(d->text);
	free(d);
}

void json_doc_wipe(struct json_doc *d)
{
	if (d)
		explicit_bzero(d->text, d->text_len);
	json_doc_free(d);
}
