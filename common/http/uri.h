/*
 * The request target (RFC 9112 3.2, RFC 3986): path segments and query parameters from outside; and the bodies of forms, which are spelled
 * as queries are. Decoded in place, so the text given
 * must be writable and outlive the result. Pure. Private to this room.
 */
#ifndef TANA_HTTP_URI_H
#define TANA_HTTP_URI_H

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"

enum { URI_SEGMENTS_MAX = 16, URI_PARAMS_MAX = 64 };

struct uri_param {
	struct str name, value; /* decoded; value is empty when there was no "=" */
};
struct uri {
	struct str segments[URI_SEGMENTS_MAX]; /* decoded; "/" has none */
	size_t segment_count;
	bool matchable; /* false: no route can have this path (empty, "." or ".." segments, too many) */
	struct uri_param *params;
	size_t param_count;
};

/*
 * Takes "/a/b?x=1" or "http://host/a/b?x=1" apart. Percent-encoding must be whole and give valid UTF-8 without NUL; raw control
 * characters and "#" are refused; "+" in the query is a blank. ERR_MALFORMED_REQUEST for the path, ERR_MALFORMED_PARAMETER for the
 * query.
 */
MUST_CHECK bool uri_parse(char *text, size_t n, struct arena *arena, struct uri *out, struct error *err);

/*
 * The same for a form's body (application/x-www-form-urlencoded), which is a query by itself: "a=1&b=2". Fills params and param_count only.
 * ERR_MALFORMED_PARAMETER.
 */
MUST_CHECK bool uri_parse_form(char *text, size_t n, struct arena *arena, struct uri *out, struct error *err);

#endif
