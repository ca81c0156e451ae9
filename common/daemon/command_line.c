#include "command_line.h"

#include <limits.h>

#include "suggest.h"
#include "table.h"
#include "value.h"

struct token {
	struct str name; /* of "--name"; absent otherwise */
	char letter;     /* of "-l" */
	struct str near; /* of "-name", which is neither: no option is written so, and the text is for the hint */
	const char *shown, *value;
	bool missing; /* no value was left to take */
};

struct scan {
	const struct program *program;
	struct arena *arena;
	const char **words;
	size_t word_count;
	struct token *tokens;
	size_t token_count;
};

static bool is_number(const char *z)
{
	int64_t ignored;
	return str_to_int64(str_from(z), &ignored);
}

/* The row a token means, in the command or, for what must be known before the command is, in any. */
static const struct option_row *row_in(const struct program *p, const struct command *c, const struct token *t)
{
	return str_present(t->near) ? NULL : table_option(p, c, t->name, t->letter);
}

static const struct option_row *row_anywhere(const struct program *p, const struct token *t, const struct command **where)
{
	return str_present(t->near) ? NULL : table_option_anywhere(p, t->name, t->letter, where);
}

/* Whether the option is followed by a word that is its value. The command may not be known yet: program_lint sees to it that options
 * of one name (or letter) are alike in this in all commands. Unknown ones are taken for booleans. */
static bool wants_word(const struct scan *s, const struct token *t)
{
	const struct command *where;
	const struct option_row *row = row_anywhere(s->program, t, &where);
	return row && option_takes_value(row);
}

/* A word that begins with a dash is the next option, not this one's value: else `--db --data x` would open a database called "--data". */
static bool can_be_value(const char *word)
{
	return word && (word[0] != '-' || word[1] == '\0' || is_number(word));
}

/* Reads the option at *at, and its value when that is the next word. */
static void scan_option(struct scan *s, int argc, char *const *argv, int *at)
{
	const char *word = argv[*at], *equals = strchr(word, '=');
	size_t n = equals ? (size_t)(equals - word) : strlen(word);
	struct token t = {.shown = arena_copy(s->arena, str_of(word, n)).p, .value = equals ? equals + 1 : NULL};
	if (word[1] == '-')
		t.name = str_of(t.shown + 2, n - 2);
	else if (n == 2)
		t.letter = word[1];
	else
		t.near = str_of(t.shown + 1, n - 1);
	if (!t.value && wants_word(s, &t)) {
		const char *next = *at + 1 < argc ? argv[*at + 1] : NULL;
		if (can_be_value(next))
			t.value = argv[++*at];
		else
			t.missing = true;
	}
	s->tokens[s->token_count++] = t;
}

static void scan_all(struct scan *s, int argc, char *const *argv)
{
	bool options_end = false;
	s->words = arena_zalloc(s->arena, (size_t)argc + 1, sizeof(*s->words));
	s->tokens = arena_zalloc(s->arena, (size_t)argc + 1, sizeof(*s->tokens));
	for (int i = 1; i < argc; i++) {
		const char *word = argv[i];
		if (!options_end && strcmp(word, "--") == 0)
			options_end = true;
		else if (!options_end && word[0] == '-' && word[1] != '\0' && !is_number(word))
			scan_option(s, argc, argv, &i);
		else
			s->words[s->word_count++] = word;
	}
}

static struct str joined(struct arena *arena, const char *const *words, size_t count)
{
	struct buf b = {0};
	for (size_t i = 0; i < count; i++)
		buf_printf(&b, "%s%s", i ? " " : "", words[i]);
	struct str s = arena_copy(arena, buf_str(&b));
	buf_free(&b);
	return s;
}

static bool is_group(const struct program *p, struct str prefix)
{
	const struct command *c;
	for (size_t i = 0; (c = table_command(p, i)); i++)
		if (!command_hidden(c) && path_under(c->path, prefix))
			return true;
	return false;
}

/* Compares a word of the command's path with what was typed; *shown is how much of the path to suggest. */
static void consider_word(struct suggestion *s, const struct command *c, size_t from, size_t *shown)
{
	char word[SUGGEST_MAX + 1];
	size_t n = strcspn(c->path + from, " ");
	const char *before = s->best;
	if (n >= sizeof(word))
		return;
	memcpy(word, c->path + from, n);
	word[n] = '\0';
	unsigned distance = s->best ? s->distance : UINT_MAX;
	suggest_consider(s, word);
	if (s->best && s->distance < distance) {
		s->best = c->path;
		*shown = from + n;
	} else {
		s->best = before;
	}
}

/* The nearest word that may follow the group; else the nearest last word of any command, for `register` without its `mesh`. */
static bool unknown_command(const struct program *p, struct str group, struct str typed, struct error *err)
{
	size_t start = group.n ? group.n + 1 : 0, shown = 0;
	struct suggestion near = suggest_for(str_of(typed.p + start, typed.n - start));
	const struct command *c;
	error_set(err, ERR_USAGE, "unknown command \"%.*s\"", STR_ARG(typed));
	for (size_t i = 0; (c = table_command(p, i)); i++)
		if (!command_hidden(c) && path_under(c->path, group) && strlen(c->path) > start)
			consider_word(&near, c, start, &shown);
	for (size_t i = 0; !near.best && (c = table_command(p, i)); i++) {
		const char *last = strrchr(c->path, ' ');
		if (!command_hidden(c) && last)
			consider_word(&near, c, (size_t)(last + 1 - c->path), &shown);
	}
	if (near.best)
		return error_hint(err, "did you mean `%s %.*s`?", p->name, (int)shown, near.best);
	return error_hint(err, "see `%s%s%.*s --help`", p->name, group.n ? " " : "", STR_ARG(group));
}

bool command_line_find(const struct program *p, const char *const *words, size_t count, struct arena *arena, size_t *used,
		       struct command_line *out, struct error *err)
{
	size_t group_words = 0;
	out->command = NULL;
	out->group = STR_LIT("");
	*used = 0;
	for (size_t n = 1; n <= count; n++) {
		struct str path = joined(arena, words, n);
		const struct command *c = table_find(p, path.p);
		if (c) {
			out->command = c;
			*used = n;
		}
		if (!is_group(p, path))
			break;
		out->group = path;
		group_words = n;
	}
	if (out->command || group_words == count)
		return true;
	return unknown_command(p, out->group, joined(arena, words, group_words + 1), err);
}

static bool unknown_option(const struct program *p, const struct command_line *line, const struct token *t, struct error *err)
{
	const struct command *where;
	const struct option_row *row;
	error_set(err, ERR_USAGE, "unknown option %s", t->shown);
	struct suggestion s = suggest_for(str_present(t->near) ? t->near : t->name);
	for (struct option_walk w = option_walk(p, line->command); !t->letter && (row = option_next(&w));)
		suggest_consider(&s, row->name);
	if (s.best)
		return error_hint(err, "did you mean --%s?", s.best);
	if (row_anywhere(p, t, &where) && where)
		return error_hint(err, "it is an option of `%s %s`", p->name, where->path);
	if (line->command)
		return error_hint(err, "see `%s %s --help`", p->name, line->command->path);
	return error_hint(err, "see `%s%s%.*s --help`", p->name, line->group.n ? " " : "", STR_ARG(line->group));
}

/* An option that no command has. Its value, if it was to have one, counted as a word: so this is the mistake to tell, not the word. */
static const struct token *find_stranger(const struct scan *s)
{
	const struct command *where;
	for (size_t i = 0; i < s->token_count; i++) {
		const struct token *t = &s->tokens[i];
		if (!row_anywhere(s->program, t, &where))
			return t;
	}
	return NULL;
}

static bool missing_value(const struct token *t, const struct option_row *row, struct error *err)
{
	error_set(err, ERR_USAGE, "%s needs a value", t->shown);
	return error_hint(err, "write --%s=%s when the value begins with a dash", row->name, row->value ? row->value : "VALUE");
}

static bool builtin_flag(struct command_line *line, const struct option_row *row, bool on)
{
	bool *const targets[] = {&line->help, &line->version, &line->check};
	static const char *const names[] = {"help", "version", "check-config"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(row->name, names[i]) == 0) {
			*targets[i] = on;
			return true;
		}
	return false;
}

/* Whether help or the version was asked for, and JSON: known before anything can be refused. */
static void find_early_flags(const struct scan *s, struct command_line *out)
{
	for (size_t i = 0; i < s->token_count; i++) {
		const struct token *t = &s->tokens[i];
		const struct command *where;
		const struct option_row *row = row_anywhere(s->program, t, &where);
		struct error ignored; /* a wrong value is refused later */
		int64_t on = 1;
		if (row && row->type == OPTION_BOOL && t->value && !value_check(row, t->value, "", ERR_USAGE, &on, &ignored))
			on = 1;
		if (row && strcmp(row->name, "json") == 0)
			out->json = on;
		else if (row)
			builtin_flag(out, row, on);
	}
}

static bool take_flag(const struct scan *s, struct command_line *out, const struct token *t, struct error *err)
{
	const struct option_row *row = row_in(s->program, out->command, t);
	if (!row)
		return unknown_option(s->program, out, t, err);
	if (t->missing)
		return missing_value(t, row, err);
	if (builtin_flag(out, row, true))
		return !t->value || error_set(err, ERR_USAGE, "%s takes no value", t->shown);
	for (size_t i = 0; i < out->flag_count && !(row->flags & OPTION_REPEATABLE); i++)
		if (out->flags[i].row == row)
			return error_set(err, ERR_USAGE, "--%s is given twice", row->name);
	out->flags[out->flag_count++] = (struct flag_given){row, t->value ? t->value : "yes"};
	return true;
}

static bool check_args(const struct program *p, const struct command_line *line, struct error *err)
{
	size_t n = 0;
	bool repeated = false;
	const struct argument_row *row = line->command->args;
	for (; row && row->name; row++, n++) {
		repeated = row->repeated;
		if (row->required && n >= line->arg_count) {
			error_set(err, ERR_USAGE, "%s is missing", row->name);
			return error_hint(err, "see `%s %s --help`", p->name, line->command->path);
		}
	}
	for (size_t i = 0; i < line->arg_count; i++)
		if (!utf8_valid(line->args[i], strlen(line->args[i])))
			return error_set(err, ERR_USAGE, "argument %zu is not UTF-8", i + 1);
	if (line->arg_count <= n || repeated)
		return true;
	error_set(err, ERR_USAGE, "unexpected argument \"%s\"", line->args[n]);
	return error_hint(err, "see `%s %s --help`", p->name, line->command->path);
}

bool command_line_parse(const struct program *p, int argc, char *const *argv, struct arena *arena, struct command_line *out,
			struct error *err)
{
	struct scan s = {.program = p, .arena = arena};
	size_t used;
	*out = (struct command_line){0};
	scan_all(&s, argc, argv);
	find_early_flags(&s, out);
	struct error not_found;
	bool found = command_line_find(p, s.words, s.word_count, arena, &used, out, &not_found);
	const struct token *stranger = out->help || out->version ? NULL : find_stranger(&s);
	if (stranger)
		return unknown_option(p, out, stranger, err);
	if (!found) {
		*err = not_found;
		return false;
	}
	if (s.word_count == 0 && p->default_command)
		out->command = table_find(p, p->default_command);
	out->args = s.words + used;
	out->arg_count = s.word_count - used;
	if (out->help || out->version)
		return true;
	out->flags = arena_zalloc(arena, s.token_count + 1, sizeof(*out->flags));
	for (size_t i = 0; i < s.token_count; i++)
		if (!take_flag(&s, out, &s.tokens[i], err))
			return false;
	return !out->command || check_args(p, out, err);
}
