/* Ranges of bytes (RFC 9110 14.1.2, 14.2) and If-Range (13.1.5): single ranges only. */
#include <strings.h>

#include "server_private.h"

/* Digits at *p; false when there are none; more than 64 bits are taken as the largest number. */
static bool take_number(const char **p, const char *end, uint64_t *out)
{
	const char *begin = *p;
	uint64_t n = 0;
	for (; *p < end && **p >= '0' && **p <= '9'; (*p)++)
		if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, (uint64_t)(**p - '0'), &n))
			n = UINT64_MAX;
	*out = n;
	return *p > begin;
}

/* "5-9", "5-" or "-5", with blanks around it. */
static bool take_range(struct str s, bool *has_first, uint64_t *first, bool *has_last, uint64_t *last)
{
	const char *p = s.p, *end = s.p + s.n;
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	while (end > p && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	*has_first = take_number(&p, end, first);
	if (p == end || *p++ != '-')
		return false;
	*has_last = take_number(&p, end, last);
	return p == end && (*has_first || *has_last) && !(*has_first && *has_last && *first > *last);
}

enum http_range http_range_asked(const struct http_request *r, uint64_t size, const char *etag, uint64_t *first, uint64_t *length)
{
	static const char unit[] = "bytes=";
	struct str range = http_header(r, "Range"), condition = http_header(r, "If-Range");
	bool has_first, has_last;
	uint64_t last;
	if (r->head || !str_present(range) || range.n < sizeof(unit) - 1 || strncasecmp(range.p, unit, sizeof(unit) - 1) != 0)
		return HTTP_RANGE_WHOLE;
	if (str_present(condition) && !str_is(condition, etag))
		return HTTP_RANGE_WHOLE;
	range = str_of(range.p + sizeof(unit) - 1, range.n - (sizeof(unit) - 1));
	if (!take_range(range, &has_first, first, &has_last, &last))
		return HTTP_RANGE_WHOLE;
	if (!has_first) { /* the last so many */
		uint64_t n = last < size ? last : size;
		*first = size - n;
		*length = n;
	} else {
		if (*first >= size)
			return HTTP_RANGE_BEYOND;
		*length = (has_last && last < size ? last + 1 : size) - *first;
	}
	return *length > 0 ? HTTP_RANGE_PART : HTTP_RANGE_BEYOND;
}
