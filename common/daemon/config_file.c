#include "config_file.h"

struct reader {
	const char *path;
	struct str rest, section;
	unsigned line;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static struct str trimmed(struct str s)
{
	while (s.n > 0 && is_blank(s.p[0]))
		s = str_of(s.p + 1, s.n - 1);
	while (s.n > 0 && is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

/* [A-Za-z0-9][A-Za-z0-9_.-]* */
static bool name_valid(struct str s)
{
	if (s.n == 0 || s.n > CONFIG_NAME_MAX)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
		if (!plain && (i == 0 || (c != '_' && c != '-' && c != '.')))
			return false;
	}
	return true;
}

static bool printable(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (((unsigned char)s.p[i] < 0x20 && s.p[i] != '\t') || s.p[i] == 0x7f)
			return false;
	return utf8_valid(s.p, s.n);
}

static bool refuse(const struct reader *r, struct error *err, const char *what)
{
	return error_set(err, ERR_CONFIG, "%s:%u: %s", r->path, r->line, what);
}

static bool next_line(struct reader *r, struct str *line)
{
	if (r->rest.n == 0)
		return false;
	const char *end = memchr(r->rest.p, '\n', r->rest.n);
	size_t n = end ? (size_t)(end - r->rest.p) : r->rest.n;
	*line = str_of(r->rest.p, n);
	size_t used = n + (end ? 1 : 0);
	r->rest = str_of(r->rest.p + used, r->rest.n - used);
	r->line++;
	return true;
}

static bool read_section(struct reader *r, struct str line, struct error *err)
{
	if (line.p[line.n - 1] != ']')
		return refuse(r, err, "a section is written [name], alone on its line");
	struct str name = trimmed(str_of(line.p + 1, line.n - 2));
	if (!name_valid(name))
		return refuse(r, err, "this is not a section's name");
	r->section = name;
	return true;
}

static bool read_entry(struct reader *r, struct str line, config_entry_fn *fn, void *ctx, struct error *err)
{
	const char *equals = memchr(line.p, '=', line.n);
	if (!equals) {
		refuse(r, err, "this line is neither `key = value` nor `[section]`");
		return error_hint(err, "a comment begins with #");
	}
	size_t at = (size_t)(equals - line.p);
	struct config_entry e = {
		.section = r->section,
		.key = trimmed(str_of(line.p, at)),
		.value = trimmed(str_of(equals + 1, line.n - at - 1)),
		.line = r->line,
	};
	if (!name_valid(e.key))
		return refuse(r, err, "this is not a key's name");
	if (!str_present(e.section)) {
		refuse(r, err, "a key stands before the first section");
		return error_hint(err, "put it under the program's section, or under [common]");
	}
	return fn(ctx, &e, err);
}

static bool read_line(struct reader *r, struct str line, config_entry_fn *fn, void *ctx, struct error *err)
{
	if (line.n > CONFIG_LINE_MAX)
		return refuse(r, err, "the line is too long");
	line = trimmed(line);
	if (line.n == 0 || line.p[0] == '#' || line.p[0] == ';')
		return true;
	if (!printable(line))
		return refuse(r, err, "the line holds control characters or is not UTF-8");
	if (line.p[0] == '[')
		return read_section(r, line, err);
	return read_entry(r, line, fn, ctx, err);
}

bool config_parse(struct str text, const char *path, config_entry_fn *fn, void *ctx, struct error *err)
{
	struct reader r = {.path = path, .rest = text, .section = STR_NONE};
	if (text.n > CONFIG_FILE_MAX)
		return error_set(err, ERR_CONFIG, "%s: a configuration file has at most %d bytes", path, CONFIG_FILE_MAX);
	if (str_starts(text, "\xef\xbb\xbf"))
		r.rest = str_of(text.p + 3, text.n - 3);
	for (struct str line; next_line(&r, &line);)
		if (!read_line(&r, line, fn, ctx, err))
			return false;
	return true;
}
