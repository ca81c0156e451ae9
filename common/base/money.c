#include "money.h"

#include "log.h"

enum { WHOLE_DIGITS_MAX = 18, KEPT_DIGITS_MAX = 19 };

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

bool money_form(struct str s, enum money_sign sign)
{
	size_t i = sign == MONEY_SIGNED && s.n > 0 && s.p[0] == '-';
	size_t whole = i;
	while (i < s.n && is_digit(s.p[i]))
		i++;
	if (i == whole || i - whole > (sign == MONEY_KEPT ? KEPT_DIGITS_MAX : WHOLE_DIGITS_MAX) || (s.p[whole] == '0' && i - whole > 1))
		return false;
	if (i == s.n)
		return true;
	if (s.p[i++] != '.' || i == s.n)
		return false;
	while (i < s.n && is_digit(s.p[i]))
		i++;
	return i == s.n;
}

enum money_problem money_parse(struct str s, unsigned decimals, int64_t *out)
{
	invariant(decimals <= MONEY_DECIMALS_MAX && (money_form(s, MONEY_SIGNED) || money_form(s, MONEY_KEPT)));
	bool negative = s.p[0] == '-';
	const char *point = memchr(s.p, '.', s.n);
	size_t fraction = point ? s.n - (size_t)(point - s.p) - 1 : 0;
	if (fraction > decimals)
		return MONEY_TOO_PRECISE;
	int64_t v = 0;
	for (size_t i = negative; i < s.n; i++)
		if (s.p[i] != '.' && (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, s.p[i] - '0', &v)))
			return MONEY_OVERFLOW;
	for (; fraction < decimals; fraction++)
		if (__builtin_mul_overflow(v, 10, &v))
			return MONEY_OVERFLOW;
	*out = negative ? -v : v;
	return MONEY_FINE;
}

size_t money_format(int64_t v, unsigned decimals, char out[MONEY_TEXT_SIZE])
{
	invariant(decimals <= MONEY_DECIMALS_MAX);
	char backwards[MONEY_TEXT_SIZE];
	uint64_t left = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
	size_t n = 0, at = 0;
	for (unsigned digits = 0; left > 0 || digits <= decimals; digits++, left /= 10) {
		if (digits == decimals && decimals > 0)
			backwards[n++] = '.';
		backwards[n++] = (char)('0' + left % 10);
	}
	if (v < 0)
		backwards[n++] = '-';
	while (n > 0)
		out[at++] = backwards[--n];
	out[at] = '\0';
	return at;
}
