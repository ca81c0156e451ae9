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

/* A digit's value and one more; 0: no digit. A table, for what comes next in a key cannot be guessed, and guessing wrong costs most. */
static const uint8_t digit_values[256] = {
	['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,  ['8'] = 9,  ['9'] = 10, ['a'] = 11,
	['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16, ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
};

bool hex_decode(void *out, size_t n, const char *in, size_t in_len, enum hex_case accept)
{
	enum { NOT_UPPER_CASE = 0x20 }; /* a bit that 0-9 and a-f have, and A-F have not */
	const unsigned char *digits = (const unsigned char *)in;
	if (in_len / 2 != n || in_len % 2 != 0)
		return false;
	uint8_t *p = out;
	unsigned all = 1, common_bits = NOT_UPPER_CASE;
	for (size_t i = 0; i < n; i++, digits += 2) {
		unsigned high = digit_values[digits[0]], low = digit_values[digits[1]];
		all &= (high != 0) & (low != 0);
		common_bits &= digits[0] & digits[1];
		p[i] = (uint8_t)((high - 1) << 4 | ((low - 1) & 15));
	}
	return all && (accept == HEX_ANY_CASE || common_bits);
}
