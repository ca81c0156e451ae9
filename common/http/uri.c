#include "uri.h"

#include <strings.h>

#include "base/hex.h"

/* Decodes text[0..n) in place. False for broken escapes, NUL, control characters, "#" or invalid UTF-8. */
static bool decode(char *text, size_t n, bool plus_is_blank, struct str *out)
{
	size_t len = 0;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];
		if (c < 0x21 || c == 0x7f || c == '#')
			return false;
		if (c == '%') {
			if (n - i < 3 || !hex_decode(&c, 1, text + i + 1, 2, HEX_ANY_CASE) || c == '\0')
				return false;
			i += 2;
		} else if (c == '+' && plus_is_blank) {
			c = ' ';
		}
		text[len++] = (char)c;
	}
	*out = str_of(text, len);
	return utf8_valid(text, len);
}

/* The length of "http://authority" at the front of an absolute-form target; 0 for the usual origin form. */
static size_t authority_length(const char *text, size_t n)
{
	size_t scheme = n >= 7 && strncasecmp(text, "http://", 7) == 0 ? 7 : n >= 8 && strncasecmp(text, "https://", 8) == 0 ? 8 : 0;
	if (scheme == 0)
		return 0;
	while (scheme < n && text[scheme] != '/' && text[scheme] != '?')
		scheme++;
	return scheme;
}

static bool add_segment(struct uri *out, char *text, size_t n, struct error *err)
{
	struct str s;
	if (!decode(text, n, false, &s))
		return error_set(err, ERR_MALFORMED_REQUEST, "the path is not percent-encoded UTF-8");
	if (s.n == 0 || str_is(s, ".") || str_is(s, "..") || out->segment_count == URI_SEGMENTS_MAX)
		out->matchable = false;
	else
		out->segments[out->segment_count++] = s;
	return true;
}

static bool parse_path(char *text, size_t n, struct uri *out, struct error *err)
{
	out->segment_count = 0;
	out->matchable = n > 0 && text[0] == '/';
	if (n <= 1)
		return n == 0 || text[0] == '/' ? true : add_segment(out, text, n, err);
	size_t start = text[0] == '/' ? 1 : 0;
	for (size_t i = start; i <= n; i++)
		if (i == n || text[i] == '/') {
			if (!add_segment(out, text + start, i - start, err))
				return false;
			start = i + 1;
		}
	return true;
}

static bool add_param(struct uri *out, char *text, size_t n, const char *whole, struct error *err)
{
	char *equals = memchr(text, '=', n);
	size_t name_len = equals ? (size_t)(equals - text) : n;
	struct uri_param p = {.value = str_of(text + n, 0)};
	if (!decode(text, name_len, true, &p.name) || (equals && !decode(equals + 1, n - name_len - 1, true, &p.value)))
		return error_set(err, ERR_MALFORMED_PARAMETER, "the %s is not percent-encoded UTF-8", whole);
	if (out->param_count == URI_PARAMS_MAX)
		return error_set(err, ERR_MALFORMED_PARAMETER, "the %s has more than %d parameters", whole, URI_PARAMS_MAX);
	out->params[out->param_count++] = p;
	return true;
}

static bool parse_params(char *text, size_t n, const char *whole, struct arena *arena, struct uri *out, struct error *err)
{
	size_t most = 1;
	for (size_t i = 0; i < n; i++)
		most += text[i] == '&';
	out->params = arena_alloc(arena, (most < URI_PARAMS_MAX ? most : URI_PARAMS_MAX) * sizeof(*out->params));
	for (size_t i = 0, start = 0; i <= n; i++)
		if (i == n || text[i] == '&') {
			if (i > start && !add_param(out, text + start, i - start, whole, err))
				return false;
			start = i + 1;
		}
	return true;
}

bool uri_parse(char *text, size_t n, struct arena *arena, struct uri *out, struct error *err)
{
	size_t skip = authority_length(text, n);
	text += skip;
	n -= skip;
	char *question = memchr(text, '?', n);
	size_t path_len = question ? (size_t)(question - text) : n;
	out->params = NULL;
	out->param_count = 0;
	if (!parse_path(text, path_len, out, err))
		return false;
	if (path_len == 0)
		out->matchable = skip > 0; /* "http://host" asks for "/" */
	return !question || parse_params(question + 1, n - path_len - 1, "query", arena, out, err);
}

bool uri_parse_form(char *text, size_t n, struct arena *arena, struct uri *out, struct error *err)
{
	out->params = NULL;
	out->param_count = 0;
	return parse_params(text, n, "form", arena, out, err);
}
