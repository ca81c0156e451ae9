#include "value.h"

#include <string.h>

#include "base/log.h"
#include "base/units.h"

void value_bounds(const struct option_row *row, int64_t *min, int64_t *max)
{
	*min = row->min;
	*max = (row->min == 0 && row->max == 0) || row->max < row->min ? INT64_MAX : row->max;
}

struct unit {
	const char *suffix;
	int64_t size;
};

/* In the largest unit that divides the number; nothing needs no unit. */
static void put_in_units(struct buf *out, int64_t number, const struct unit *units, size_t count)
{
	size_t i = 0;
	while (i + 1 < count && number % units[i].size != 0)
		i++;
	buf_put_int(out, number / units[i].size);
	buf_puts(out, number ? units[i].suffix : "");
}

void value_put_number(struct buf *out, const struct option_row *row, int64_t number)
{
	static const struct unit sizes[] = {{"G", 1 << 30}, {"M", 1 << 20}, {"k", 1 << 10}, {"", 1}};
	static const struct unit times[] = {{"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
	if (row->type == OPTION_SIZE)
		put_in_units(out, number, sizes, ARRAY_LEN(sizes));
	else if (row->type == OPTION_DURATION)
		put_in_units(out, number, times, ARRAY_LEN(times));
	else
		buf_put_int(out, number);
}

static bool parse_bool(struct str s, int64_t *number)
{
	static const struct {
		const char *text;
		int value;
	} words[] = {{"yes", 1}, {"no", 0}, {"true", 1}, {"false", 0}, {"on", 1}, {"off", 0}, {"1", 1}, {"0", 0}};
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (str_is(s, words[i].text)) {
			*number = words[i].value;
			return true;
		}
	return false;
}

static bool parse_choice(const struct option_row *row, struct str s)
{
	for (const char *const *c = row->choices; *c; c++)
		if (str_is(s, *c))
			return true;
	return false;
}

static bool parse(const struct option_row *row, struct str s, int64_t *number)
{
	switch (row->type) {
	case OPTION_TEXT: return s.n > 0; /* `--db "$DB"` without a DB is a mistake, not a database called "" */
	case OPTION_INT: return str_to_int64(s, number);
	case OPTION_SIZE: return units_parse_size(s, number);
	case OPTION_DURATION: return units_parse_duration(s, row->bare_unit_ms ? row->bare_unit_ms : 1000, number);
	case OPTION_BOOL: return parse_bool(s, number);
	case OPTION_CHOICE: return parse_choice(row, s);
	}
	fatal("option %s has type %d", row->name, (int)row->type);
}

static bool has_bounds(const struct option_row *row)
{
	return row->type == OPTION_INT || row->type == OPTION_SIZE || row->type == OPTION_DURATION;
}

static const char *kind_text(const struct option_row *row)
{
	switch (row->type) {
	case OPTION_TEXT: return "text of at least one character, in UTF-8";
	case OPTION_INT: return "a whole number";
	case OPTION_SIZE: return "a size";
	case OPTION_DURATION: return "a duration";
	case OPTION_BOOL: return "yes or no";
	case OPTION_CHOICE: return "one of its choices";
	}
	fatal("option %s has type %d", row->name, (int)row->type);
}

static const char *bare_unit_text(const struct option_row *row)
{
	switch (row->bare_unit_ms) {
	case 1: return "milliseconds";
	case 60000: return "minutes";
	case 3600000: return "hours";
	default: return "seconds";
	}
}

static void hint_form(const struct option_row *row, struct error *err)
{
	struct buf list = {0};
	switch (row->type) {
	case OPTION_TEXT:
	case OPTION_INT:
		break;
	case OPTION_SIZE:
		error_hint(err, "a number of bytes, or one with k, M or G (powers of 1024), as in 64k");
		break;
	case OPTION_DURATION:
		error_hint(err, "a number with ms, s, m or h, as in 90s; a bare number means %s", bare_unit_text(row));
		break;
	case OPTION_BOOL:
		error_hint(err, "write yes or no");
		break;
	case OPTION_CHOICE:
		for (const char *const *c = row->choices; *c; c++)
			buf_printf(&list, "%s%s", c == row->choices ? "" : ", ", *c);
		error_hint(err, "one of: %s", buf_z(&list));
		break;
	}
	buf_free(&list);
}

/* How a refused value is quoted: not at all when secret, and never at length. */
static void put_quoted(struct buf *out, const struct option_row *row, const char *value)
{
	enum { SHOWN_MAX = 60 };
	struct buf shown = {0};
	if (row->flags & OPTION_SECRET || !utf8_valid(value, strlen(value))) {
		buf_puts(out, "the value");
		return;
	}
	value_put_redacted(&shown, value);
	size_t n = shown.len;
	if (n > SHOWN_MAX)
		for (n = SHOWN_MAX; n > 0 && ((unsigned char)shown.data[n] & 0xc0) == 0x80; n--)
			;
	buf_printf(out, "\"%.*s%s\"", (int)n, buf_z(&shown), n < shown.len ? "..." : "");
	buf_free(&shown);
}

static bool refuse_form(const struct option_row *row, const char *value, const char *origin, enum error_code code, struct error *err)
{
	struct buf quoted = {0};
	put_quoted(&quoted, row, value);
	error_set(err, code, "%s: %s is not %s", origin, buf_z(&quoted), kind_text(row));
	buf_free(&quoted);
	hint_form(row, err);
	return false;
}

static bool refuse_range(const struct option_row *row, const char *value, const char *origin, enum error_code code, struct error *err)
{
	int64_t min, max;
	struct buf text = {0};
	value_bounds(row, &min, &max);
	put_quoted(&text, row, value);
	buf_puts(&text, max == INT64_MAX ? " is below " : " is not between ");
	value_put_number(&text, row, min);
	if (max != INT64_MAX) {
		buf_puts(&text, " and ");
		value_put_number(&text, row, max);
	}
	error_set(err, code, "%s: %s", origin, buf_z(&text));
	buf_free(&text);
	return false;
}

bool value_check(const struct option_row *row, const char *value, const char *origin, enum error_code code, int64_t *number,
		 struct error *err)
{
	int64_t min, max;
	struct str s = str_from(value);
	*number = 0;
	if (!utf8_valid(s.p, s.n) || !parse(row, s, number))
		return refuse_form(row, value, origin, code, err);
	value_bounds(row, &min, &max);
	if (has_bounds(row) && (*number < min || *number > max))
		return refuse_range(row, value, origin, code, err);
	return true;
}

/* Where the password of the authority at `p` begins and ends; false when there is none. */
static bool find_password(const char *p, const char **from, const char **to)
{
	const char *end = p + strcspn(p, "/?# \t"), *colon = memchr(p, ':', (size_t)(end - p));
	const char *at = memrchr(p, '@', (size_t)(end - p));
	if (!colon || !at || colon > at)
		return false;
	*from = colon + 1;
	*to = at;
	return true;
}

void value_put_redacted(struct buf *out, const char *value)
{
	static const char parameter[] = "password=";
	while (*value) {
		const char *from, *to;
		if (strncmp(value, "://", 3) == 0 && find_password(value + 3, &from, &to)) {
			buf_put(out, value, (size_t)(from - value));
		} else if (strncasecmp(value, parameter, strlen(parameter)) == 0) {
			from = value + strlen(parameter);
			to = *from == '\'' ? from + 1 + strcspn(from + 1, "'") : from + strcspn(from, "& \t#");
			buf_put(out, value, (size_t)(from - value));
		} else {
			buf_putc(out, *value++);
			continue;
		}
		buf_puts(out, "***");
		value = to;
	}
}
