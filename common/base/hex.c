#include "hex.h"

#include <stdint.h>

void hex_encode(char *out, const void *in, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *p = in;
	for (size_t i = 0; i < n; i++) {
		*out++ = digits[p[i] >> 4];
		*out++ = digits[p[i] & 15];
	}
	*out = '\0';
}

/* The value of a digit, or a number above 15. */
static unsigned digit_value(unsigned char c, enum hex_case accept)
{
	unsigned v = (unsigned)c - '0';
	if (v <= 9)
		return v;
	if (accept == HEX_ANY_CASE)
		c |= 0x20; /* folds A-F onto a-f; nothing else lands there */
	v = (unsigned)c - 'a';
	return v <= 5 ? v + 10 : 16;
}

bool hex_decode(void *out, size_t n, const char *in, size_t in_len, enum hex_case accept)
{
	if (in_len / 2 != n || in_len % 2 != 0)
		return false;
	uint8_t *p = out;
	unsigned bad = 0;
	for (size_t i = 0; i < n; i++) {
		unsigned high = digit_value((unsigned char)in[2 * i], accept), low = digit_value((unsigned char)in[2 * i + 1], accept);
		bad |= high | low;
		p[i] = (uint8_t)(high << 4 | (low & 15));
	}
	return bad <= 15;
}
