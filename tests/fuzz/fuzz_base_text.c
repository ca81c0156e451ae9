/* base: numbers, units, UTF-8, hexadecimal, JSON strings. What is read is written back and must be the same. */
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/str.h"
#include "base/units.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* UTF-8 by arithmetic: decode, and see whether the code point needs just that many bytes. */
static bool slow_utf8(const uint8_t *p, size_t n)
{
	while (n > 0) {
		size_t length = p[0] < 0x80 ? 1 : p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
		uint32_t c = length == 1 ? p[0] : p[0] & (0xffu >> (length + 1));
		if (length > n || (p[0] >= 0x80 && p[0] < 0xc0) || p[0] >= 0xf8)
			return false;
		for (size_t i = 1; i < length; i++) {
			if (p[i] >> 6 != 2)
				return false;
			c = c << 6 | (p[i] & 0x3f);
		}
		size_t needed = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
		if (needed != length || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
			return false;
		p += length;
		n -= length;
	}
	return true;
}

static void check_numbers(struct str s, struct buf *scratch)
{
	int64_t v;
	char text[UNITS_TEXT_SIZE], time[CLOCK_ISO8601_SIZE];
	if (str_to_int64(s, &v)) {
		buf_clear(scratch);
		buf_put_int(scratch, v);
		invariant(str_equal(buf_str(scratch), s));
		units_format_duration(v, text);
		units_format_size(v, text);
		clock_iso8601(v, time);
	}
	if (units_parse_size(s, &v))
		invariant(v >= 0);
	if (units_parse_duration(s, 1000, &v))
		invariant(v >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str s = str_of((const char *)data, size);
	struct buf scratch = {0};
	check_numbers(s, &scratch);
	invariant(utf8_valid(data, size) == slow_utf8(data, size));

	buf_clear(&scratch);
	buf_put_json_string(&scratch, s);
	invariant(scratch.len >= size + 2 && !memchr(buf_z(&scratch), '\n', scratch.len));

	uint8_t *bytes = malloc(size / 2 + 1);
	if (hex_decode(bytes, size / 2, s.p, s.n, HEX_LOWER_ONLY)) {
		buf_clear(&scratch);
		buf_put_hex(&scratch, bytes, size / 2);
		invariant(str_equal(buf_str(&scratch), s));
		invariant(hex_decode(bytes, size / 2, s.p, s.n, HEX_ANY_CASE));
	}
	free(bytes);
	buf_free(&scratch);
	return 0;
}
