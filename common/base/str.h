/* A borrowed span of bytes, usually UTF-8 text. Owns nothing; p is NULL exactly when the thing is absent (an empty text has a
 * non-NULL p and n == 0). Not NUL-terminated unless its maker says so. */
#ifndef TANA_BASE_STR_H
#define TANA_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "attrs.h"

struct str {
	const char *p;
	size_t n;
};

#define STR_NONE ((struct str){NULL, 0})
#define STR_LIT(lit) ((struct str){"" lit, sizeof(lit) - 1})
/* For printf's "%.*s". */
#define STR_ARG(s) (int)(s).n, ((s).p ? (s).p : "")

static inline struct str str_of(const char *p, size_t n) { return (struct str){p, n}; }
/* NULL gives the absent str. */
static inline struct str str_from(const char *z) { return (struct str){z, z ? strlen(z) : 0}; }
static inline bool str_present(struct str s) { return s.p != NULL; }
static inline bool str_equal(struct str a, struct str b)
{
	if (!a.p || !b.p)
		return a.p == b.p;
	return a.n == b.n && memcmp(a.p, b.p, a.n) == 0;
}
static inline bool str_is(struct str s, const char *z) { return s.p && s.n == strlen(z) && memcmp(s.p, z, s.n) == 0; }
static inline bool str_starts(struct str s, const char *z)
{
	size_t n = strlen(z);
	return s.p && s.n >= n && memcmp(s.p, z, n) == 0;
}
/* Byte order (memcmp, then length); absent sorts first. */
int str_compare(struct str a, struct str b);

/* Decimal int64: `-?(0|[1-9][0-9]*)`, the whole span, no blanks, no plus sign, no leading zeros, no overflow, no "-0". */
MUST_CHECK bool str_to_int64(struct str s, int64_t *out);
/* Valid UTF-8 (RFC 3629: no surrogates, no overlong forms, at most U+10FFFF). */
bool utf8_valid(const void *p, size_t n);

#endif
