#include "keys/base64.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(struct buf *out, struct str bytes)
{
	const unsigned char *p = (const unsigned char *)bytes.p, *end = p + bytes.n;

	buf_reserve(out, (bytes.n + 2) / 3 * 4);
	for (; end - p >= 3; p += 3) {
		buf_putc(out, digits[p[0] >> 2]);
		buf_putc(out, digits[(p[0] & 3) << 4 | p[1] >> 4]);
		buf_putc(out, digits[(p[1] & 15) << 2 | p[2] >> 6]);
		buf_putc(out, digits[p[2] & 63]);
	}
	if (p == end)
		return;
	unsigned second = end - p == 2 ? p[1] : 0;
	buf_putc(out, digits[p[0] >> 2]);
	buf_putc(out, digits[(p[0] & 3) << 4 | second >> 4]);
	buf_putc(out, end - p == 2 ? digits[(second & 15) << 2] : '=');
	buf_putc(out, '=');
}

static bool digit_value(char c, unsigned *v)
{
	const char *at = c ? strchr(digits, c) : NULL;
	if (at)
		*v = (unsigned)(at - digits);
	return at != NULL;
}

bool base64_decode(struct str text, struct buf *out)
{
	if (text.n % 4 != 0)
		return false;
	buf_reserve(out, text.n / 4 * 3);
	for (size_t i = 0; i < text.n; i += 4) {
		const char *p = text.p + i;
		bool last = i + 4 == text.n;
		size_t have = last && p[3] == '=' ? (p[2] == '=' ? 1 : 2) : 3;
		unsigned a, b, c = 0, d = 0;
		if (!digit_value(p[0], &a) || !digit_value(p[1], &b) || (have > 1 && !digit_value(p[2], &c)) || (have > 2 && !digit_value(p[3], &d)))
			return false;
		unsigned v = a << 18 | b << 12 | c << 6 | d;
		if ((have == 1 && (v & 0xffff)) || (have == 2 && (v & 0xff)))
			return false;
		for (size_t k = 0; k < have; k++)
			buf_putc(out, (char)(v >> (16 - 8 * k)));
	}
	return true;
}
