#include "str.h"

int str_compare(struct str a, struct str b)
{
	if (!a.p || !b.p)
		return (a.p != NULL) - (b.p != NULL);
	size_t n = a.n < b.n ? a.n : b.n;
	int order = n ? memcmp(a.p, b.p, n) : 0;
	return order ? order : (a.n > b.n) - (a.n < b.n);
}

bool str_to_int64(struct str s, int64_t *out)
{
	size_t i = 0;
	bool negative = s.n > 0 && s.p[0] == '-';
	if (negative)
		i++;
	if (i == s.n || (s.p[i] == '0' && s.n > 1))
		return false;
	int64_t v = 0; /* kept negative or zero: that side reaches one further */
	for (; i < s.n; i++) {
		unsigned digit = (unsigned)(unsigned char)s.p[i] - '0';
		if (digit > 9 || __builtin_mul_overflow(v, 10, &v) || __builtin_sub_overflow(v, (int64_t)digit, &v))
			return false;
	}
	if (!negative && v == INT64_MIN)
		return false;
	*out = negative ? v : -v;
	return true;
}

/* The length of the multi-byte character at p (its first byte is >= 0x80), or 0. */
static size_t utf8_char(const unsigned char *p, size_t left)
{
	size_t n;
	unsigned char lowest = 0x80, highest = 0xbf; /* of the second byte: RFC 3629's table */
	if (p[0] >= 0xc2 && p[0] <= 0xdf) {
		n = 2;
	} else if (p[0] >= 0xe0 && p[0] <= 0xef) {
		n = 3;
		if (p[0] == 0xe0)
			lowest = 0xa0;
		if (p[0] == 0xed)
			highest = 0x9f;
	} else if (p[0] >= 0xf0 && p[0] <= 0xf4) {
		n = 4;
		if (p[0] == 0xf0)
			lowest = 0x90;
		if (p[0] == 0xf4)
			highest = 0x8f;
	} else {
		return 0;
	}
	if (left < n || p[1] < lowest || p[1] > highest)
		return 0;
	for (size_t i = 2; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

bool utf8_valid(const void *p, size_t n)
{
	const unsigned char *s = p, *end = n ? s + n : s;
	while (s < end) {
		uint64_t eight;
		while ((size_t)(end - s) >= sizeof(eight)) {
			memcpy(&eight, s, sizeof(eight));
			if (eight & UINT64_C(0x8080808080808080))
				break;
			s += sizeof(eight);
		}
		while (s < end && *s < 0x80)
			s++;
		/* A run of other characters is read in one go, without looking for ASCII eights between them. */
		while (s < end && *s >= 0x80) {
			size_t length = utf8_char(s, (size_t)(end - s));
			if (length == 0)
				return false;
			s += length;
		}
	}
	return true;
}
