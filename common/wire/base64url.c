#include "wire/base64url.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void base64url_encode(struct buf *out, struct str bytes)
{
	uint32_t held = 0;
	unsigned bits = 0;

	buf_reserve(out, (bytes.n * 4 + 2) / 3);
	for (size_t i = 0; i < bytes.n; i++) {
		held = held << 8 | (unsigned char)bytes.p[i];
		for (bits += 8; bits >= 6; bits -= 6)
			buf_putc(out, digits[held >> (bits - 6) & 63]);
	}
	if (bits)
		buf_putc(out, digits[held << (6 - bits) & 63]);
}

static int digit_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '-' ? 62 : c == '_' ? 63 : -1;
}

bool base64url_decode(struct str text, struct buf *out)
{
	uint32_t held = 0;
	unsigned bits = 0;

	if (text.n % 4 == 1)
		return false;
	buf_reserve(out, text.n / 4 * 3 + 2);
	for (size_t i = 0; i < text.n; i++) {
		int v = digit_value(text.p[i]);
		if (v < 0)
			return false;
		held = held << 6 | (unsigned)v;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			buf_putc(out, (char)(held >> bits & 255));
		}
	}
	return (held & ((1u << bits) - 1)) == 0;
}
