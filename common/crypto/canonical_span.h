/* Inside the room: where the plain part of a JSON string ends. */
#ifndef TANA_CRYPTO_CANONICAL_SPAN_H
#define TANA_CRYPTO_CANONICAL_SPAN_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

/* The first byte from p on that is a quote, a backslash or a control character (below 0x20); `end` when there is none. Eight bytes at a time. */
static inline const char *canonical_span(const char *p, const char *end)
{
	const uint64_t ones = UINT64_C(0x0101010101010101), high = ones << 7;
	for (; end - p >= 8; p += 8) {
		uint64_t w;
		memcpy(&w, p, sizeof w);
		w = le64toh(w);
		uint64_t quote = w ^ (ones * '"'), backslash = w ^ (ones * '\\');
		/* The lowest byte that is marked is right; above it a borrow may mark one more. */
		uint64_t found = (((quote - ones) & ~quote) | ((backslash - ones) & ~backslash) | ((w - ones * 0x20) & ~w)) & high;
		if (found)
			return p + (__builtin_ctzll(found) >> 3);
	}
	while (p < end && *p != '"' && *p != '\\' && (unsigned char)*p >= 0x20)
		p++;
	return p;
}

#endif
