#include "units.h"

#include <stdio.h>

struct unit {
	const char *name;
	int64_t size;
};

/* The digits at the start of `s`, then one of `units` (a row named "" stands for the bare number). */
static bool parse_with_unit(struct str s, const struct unit *units, size_t n, int64_t *out)
{
	int64_t v = 0;
	size_t i = 0;
	for (; i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++)
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, (int64_t)(s.p[i] - '0'), &v))
			return false;
	if (i == 0)
		return false;
	struct str suffix = str_of(s.p + i, s.n - i);
	for (size_t u = 0; u < n; u++)
		if (str_is(suffix, units[u].name) && !__builtin_mul_overflow(v, units[u].size, &v)) {
			*out = v;
			return true;
		}
	return false;
}

bool units_parse_size(struct str s, int64_t *bytes)
{
	static const struct unit units[] = {{"", 1}, {"k", 1 << 10}, {"M", 1 << 20}, {"G", 1 << 30}};
	return parse_with_unit(s, units, ARRAY_LEN(units), bytes);
}

bool units_parse_duration(struct str s, int64_t bare_unit_ms, int64_t *ms)
{
	const struct unit units[] = {{"", bare_unit_ms}, {"ms", 1}, {"s", 1000}, {"m", 60 * 1000}, {"h", 60 * 60 * 1000}};
	return parse_with_unit(s, units, ARRAY_LEN(units), ms);
}

/* In the largest unit that the value reaches; one decimal below 10 of it. Cut, not rounded: "59 s" never reads "60 s". */
static void format_with_unit(int64_t value, const struct unit *units, size_t n, char out[UNITS_TEXT_SIZE])
{
	uint64_t magnitude = value < 0 ? -(uint64_t)value : (uint64_t)value;
	size_t u = 0;
	while (u + 1 < n && magnitude >= (uint64_t)units[u + 1].size)
		u++;
	uint64_t size = (uint64_t)units[u].size, whole = magnitude / size;
	unsigned tenth = (unsigned)((magnitude % size) * 10 / size);
	const char *sign = value < 0 ? "-" : "";
	if (whole < 10 && tenth > 0)
		snprintf(out, UNITS_TEXT_SIZE, "%s%u.%u %s", sign, (unsigned)whole, tenth, units[u].name);
	else
		snprintf(out, UNITS_TEXT_SIZE, "%s%llu %s", sign, (unsigned long long)whole, units[u].name);
}

void units_format_duration(int64_t ms, char out[UNITS_TEXT_SIZE])
{
	static const struct unit units[] = {{"ms", 1}, {"s", 1000}, {"min", 60 * 1000}, {"h", 60 * 60 * 1000}, {"d", 24 * 60 * 60 * 1000}};
	format_with_unit(ms, units, ARRAY_LEN(units), out);
}

void units_format_size(int64_t bytes, char out[UNITS_TEXT_SIZE])
{
	static const struct unit units[] = {
		{"B", 1}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", INT64_C(1) << 40}, {"PiB", INT64_C(1) << 50},
	};
	format_with_unit(bytes, units, ARRAY_LEN(units), out);
}
