/*
 * Money: decimal text and 64-bit integers of a currency's smallest unit, never floating point.
 *
 * Text that comes in: `-?(0|[1-9][0-9]{0,17})(\.[0-9]+)?`, at most `decimals` digits after the point. Values lie within +-(2^63 - 1); sums of such
 * have up to 19 digits before the point when they are written out.
 */
#ifndef TANA_BASE_MONEY_H
#define TANA_BASE_MONEY_H

#include <stdint.h>

#include "str.h"

enum { MONEY_DECIMALS_MAX = 8, MONEY_TEXT_SIZE = 32 /* a value as text, and its NUL */ };

enum money_sign {
	MONEY_UNSIGNED,
	MONEY_SIGNED,
	MONEY_KEPT /* what money_format writes of amounts from 0 up: as many digits as 2^63 - 1 has */
};
/* Has the text the form, whatever the currency? */
MUST_CHECK bool money_form(struct str s, enum money_sign sign);

enum money_problem { MONEY_FINE, MONEY_TOO_PRECISE, MONEY_OVERFLOW };
/* The value of a text that has one of the forms (invariant), in units of 10^-decimals; *out is written when MONEY_FINE. decimals <= MONEY_DECIMALS_MAX. */
MUST_CHECK enum money_problem money_parse(struct str s, unsigned decimals, int64_t *out);
/* Exactly `decimals` digits after the point ("12.50", "-0.49", "750"). Returns the length. */
size_t money_format(int64_t v, unsigned decimals, char out[MONEY_TEXT_SIZE]);

/* Sums and differences that say when they do not fit (INT64_MIN is no amount either). */
MUST_CHECK static inline bool money_add(int64_t a, int64_t b, int64_t *out)
{
	return !__builtin_add_overflow(a, b, out) && *out != INT64_MIN;
}
MUST_CHECK static inline bool money_subtract(int64_t a, int64_t b, int64_t *out)
{
	return !__builtin_sub_overflow(a, b, out) && *out != INT64_MIN;
}

#endif
