#include "completion.h"

#include "base/log.h"
#include "table.h"

/* Lines of a script are written with @ for the program's name, so that they read as the shell's own. */
void completion_put_line(const struct script *s, const char *line)
{
	for (; *line; line++)
		if (*line == '@')
			buf_puts(s->out, s->program->name);
		else
			buf_putc(s->out, *line);
	buf_putc(s->out, '\n');
}

/* Inside single quotes. */
static void put_quoted(const struct script *s, struct str text)
{
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] == '\'')
			buf_puts(s->out, s->shell == SHELL_FISH ? "\\'" : "'\\''");
		else if (text.p[i] == '\\' && s->shell == SHELL_FISH)
			buf_puts(s->out, "\\\\");
		else
			buf_putc(s->out, text.p[i]);
}

static void begin_table(const struct script *s, const char *name)
{
	bool fish = s->shell == SHELL_FISH;
	buf_printf(s->out, fish ? "\nfunction _%s_%s\n\tswitch \"$argv[1]\"\n" : "\n_%s_%s() {\n\tcase $1 in\n", s->program->name, name);
}

static void end_table(const struct script *s, const char *otherwise)
{
	buf_puts(s->out, s->shell == SHELL_FISH ? "\tend\n" : "\tesac\n");
	if (otherwise)
		buf_printf(s->out, "\t%s\n", otherwise);
	buf_puts(s->out, s->shell == SHELL_FISH ? "end\n" : "}\n");
}

/* "case 'a' 'b'" or "'a'|'b')". A pattern is `any` (a star) and a text taken as it is. */
static void begin_arm(const struct script *s)
{
	buf_puts(s->out, s->shell == SHELL_FISH ? "\tcase" : "\t");
}

static void put_pattern(const struct script *s, bool first, const char *any_before, const char *text, const char *any_after)
{
	if (s->shell == SHELL_FISH) {
		buf_printf(s->out, " '%s", any_before);
		put_quoted(s, str_from(text));
		buf_printf(s->out, "%s'", any_after);
	} else {
		buf_printf(s->out, "%s%s'", first ? "" : "|", any_before);
		put_quoted(s, str_from(text));
		buf_printf(s->out, "'%s", any_after);
	}
}

static void end_patterns(const struct script *s)
{
	buf_puts(s->out, s->shell == SHELL_FISH ? "\n\t\t" : ") ");
}

static void end_arm(const struct script *s)
{
	buf_puts(s->out, s->shell == SHELL_FISH ? "\n" : " ;;\n");
}

static void begin_items(const struct script *s)
{
	buf_puts(s->out, s->shell == SHELL_FISH ? "printf '%s\\n'" : "list+=(");
}

/* A candidate with its description, where the shell shows one. */
static void put_item(const struct script *s, const char *name, struct str doc)
{
	if (s->shell == SHELL_BASH) {
		buf_printf(s->out, "%s ", name);
		return;
	}
	buf_printf(s->out, " '%s", name);
	if (doc.n > 0) {
		buf_putc(s->out, s->shell == SHELL_ZSH ? ':' : '\t');
		put_quoted(s, doc);
	}
	buf_putc(s->out, '\'');
}

static void end_items(const struct script *s)
{
	buf_puts(s->out, s->shell == SHELL_FISH ? "" : ")");
}

/* The distinct prefixes of n words of all shown commands, through `each`. */
typedef void prefix_fn(const struct script *s, const char *prefix);

static bool prefix_of(const char *path, size_t words, struct str *out)
{
	size_t end = 0;
	for (size_t i = 0; i < words; i++) {
		if (i > 0 && path[end] == '\0')
			return false;
		end += i > 0;
		end += strcspn(path + end, " ");
	}
	*out = str_of(path, end);
	return true;
}

static bool met_before(const struct program *p, size_t i, struct str prefix)
{
	while (i-- > 0)
		if (path_under(table_command(p, i)->path, prefix))
			return true;
	return false;
}

static void each_prefix(const struct script *s, struct str under, size_t words, prefix_fn *each)
{
	const struct command *c;
	for (size_t i = 0; (c = table_command(s->program, i)); i++) {
		struct str prefix;
		char text[PATH_SIZE];
		if (command_hidden(c) || !path_under(c->path, under) || !prefix_of(c->path, words, &prefix) || met_before(s->program, i, prefix))
			continue;
		invariant(prefix.n < sizeof(text));
		memcpy(text, prefix.p, prefix.n);
		text[prefix.n] = '\0';
		each(s, text);
	}
}

static void put_known_arm(const struct script *s, const char *prefix)
{
	begin_arm(s);
	put_pattern(s, true, "", prefix, "");
	end_patterns(s);
	buf_puts(s->out, "return 0");
	end_arm(s);
}

static void put_known(const struct script *s)
{
	begin_table(s, "known");
	for (size_t n = 1; n <= PATH_WORDS_MAX; n++)
		each_prefix(s, STR_LIT(""), n, put_known_arm);
	end_table(s, "return 1");
}

/* Commands share names; one arm for each is enough. */
static bool first_of_its_name(const struct program *p, const struct option_row *row)
{
	const struct command *where;
	return table_option_anywhere(p, str_from(row->name), 0, &where) == row ||
	       (row->letter && table_option_anywhere(p, STR_NONE, row->letter, &where) == row);
}

static void put_value_options(const struct script *s, const struct option_row *rows)
{
	for (; rows && rows->name; rows++) {
		struct buf name = {0};
		if (!option_takes_value(rows) || !first_of_its_name(s->program, rows))
			continue;
		begin_arm(s);
		buf_printf(&name, "--%s", rows->name);
		put_pattern(s, true, "", buf_z(&name), "");
		buf_clear(&name);
		buf_printf(&name, "-%c", rows->letter);
		if (rows->letter)
			put_pattern(s, false, "", buf_z(&name), "");
		end_patterns(s);
		buf_puts(s->out, "return 0");
		end_arm(s);
		buf_free(&name);
	}
}

static void put_takes_value(const struct script *s)
{
	begin_table(s, "takes_value");
	put_value_options(s, s->program->options);
	for (const struct command *c = s->program->commands; c->path; c++)
		put_value_options(s, c->options);
	end_table(s, "return 1");
}

/* What a word means: the command it ends, or the group it begins. */
static void put_word_item(const struct script *s, const char *prefix)
{
	const struct command *c = table_find(s->program, prefix);
	const char *last = strrchr(prefix, ' ');
	put_item(s, last ? last + 1 : prefix, c ? str_from(c->summary) : group_summary(s->program, str_from(prefix)));
}

static bool has_longer(const struct program *p, struct str prefix)
{
	const struct command *c;
	for (size_t i = 0; (c = table_command(p, i)); i++)
		if (!command_hidden(c) && path_under(c->path, prefix) && strlen(c->path) > prefix.n)
			return true;
	return false;
}

static void put_words_arm(const struct script *s, const char *prefix)
{
	if (!has_longer(s->program, str_from(prefix)))
		return;
	begin_arm(s);
	put_pattern(s, true, "", prefix, "");
	end_patterns(s);
	begin_items(s);
	each_prefix(s, str_from(prefix), prefix[0] ? path_words(prefix) + 1 : 1, put_word_item);
	end_items(s);
	end_arm(s);
}

static void put_words(const struct script *s)
{
	begin_table(s, "words");
	put_words_arm(s, "");
	for (size_t n = 1; n < PATH_WORDS_MAX; n++)
		each_prefix(s, STR_LIT(""), n, put_words_arm);
	end_table(s, NULL);
}

static void put_option_items(const struct script *s, const struct command *c)
{
	const struct option_row *row;
	begin_items(s);
	for (struct option_walk w = option_walk(s->program, c); (row = option_next(&w));) {
		struct buf name = {0};
		buf_printf(&name, "--%s", row->name);
		put_item(s, buf_z(&name), str_from(row->doc));
		buf_free(&name);
	}
	end_items(s);
}

static void put_options(const struct script *s)
{
	begin_table(s, "options");
	for (const struct command *c = s->program->commands; c->path; c++) {
		bool run_by_default = s->program->default_command && strcmp(c->path, s->program->default_command) == 0;
		begin_arm(s);
		put_pattern(s, true, "", c->path, "");
		if (run_by_default)
			put_pattern(s, false, "", "", "");
		end_patterns(s);
		put_option_items(s, c);
		end_arm(s);
	}
	begin_arm(s);
	put_pattern(s, true, "*", "", "");
	end_patterns(s);
	put_option_items(s, NULL);
	end_arm(s);
	end_table(s, NULL);
}

/* The patterns of an option's place: in one command, or (c NULL) wherever it is. */
static void put_option_place(const struct script *s, const struct command *c, const struct option_row *row)
{
	struct buf place = {0};
	bool run_by_default = c && s->program->default_command && strcmp(c->path, s->program->default_command) == 0;
	begin_arm(s);
	buf_printf(&place, "%s:--%s", c ? c->path : "", row->name);
	put_pattern(s, true, c ? "" : "*", buf_z(&place), "");
	if (run_by_default)
		put_pattern(s, false, "", buf_z(&place) + strlen(c->path), "");
	if (row->letter) {
		buf_clear(&place);
		buf_printf(&place, "%s:-%c", c ? c->path : "", row->letter);
		put_pattern(s, false, c ? "" : "*", buf_z(&place), "");
		if (run_by_default)
			put_pattern(s, false, "", buf_z(&place) + strlen(c->path), "");
	}
	end_patterns(s);
	buf_free(&place);
}

static void put_choice_arms(const struct script *s, const struct command *c, const struct option_row *rows)
{
	static const char *const yes_no[] = {"yes", "no", NULL};
	for (; rows && rows->name; rows++) {
		const char *const *choice = rows->type == OPTION_BOOL ? yes_no : rows->choices;
		if (!choice)
			continue;
		put_option_place(s, c, rows);
		begin_items(s);
		for (; *choice; choice++)
			put_item(s, *choice, STR_NONE);
		end_items(s);
		end_arm(s);
	}
}

static void put_argument_place(const struct script *s, const struct command *c, size_t n, bool repeated)
{
	struct buf place = {0};
	begin_arm(s);
	if (repeated)
		buf_printf(&place, "%s#", c->path);
	else
		buf_printf(&place, "%s#%zu", c->path, n);
	put_pattern(s, true, "", buf_z(&place), repeated ? "*" : "");
	end_patterns(s);
	buf_free(&place);
}

static void put_choices(const struct script *s)
{
	begin_table(s, "choices");
	for (const struct command *c = s->program->commands; c->path; c++)
		put_choice_arms(s, c, c->options);
	put_choice_arms(s, NULL, s->program->options);
	put_argument_place(s, table_find(s->program, "completion"), 0, false);
	begin_items(s);
	put_item(s, "bash", STR_NONE);
	put_item(s, "zsh", STR_NONE);
	put_item(s, "fish", STR_NONE);
	end_items(s);
	end_arm(s);
	end_table(s, NULL);
}

static void put_kind_result(const struct script *s, const char *kind)
{
	buf_printf(s->out, s->shell == SHELL_FISH ? "echo %s" : "kind=%s", kind);
	end_arm(s);
}

/* Options say by the name of their value that it is a path. */
static bool is_path_option(const struct option_row *row)
{
	const char *value = row->type == OPTION_TEXT && row->value ? row->value : "";
	return strstr(value, "FILE") || strstr(value, "DIR") || strstr(value, "PATH");
}

static void put_kind_arms(const struct script *s, const struct command *c, const struct option_row *rows)
{
	for (; rows && rows->name; rows++)
		if (is_path_option(rows)) {
			put_option_place(s, c, rows);
			put_kind_result(s, "file");
		}
}

static void put_kinds(const struct script *s)
{
	begin_table(s, "kind");
	for (const struct command *c = s->program->commands; c->path; c++) {
		size_t n = 0;
		put_kind_arms(s, c, c->options);
		for (const struct argument_row *a = c->args; a && a->name; a++, n++)
			if (a->complete) {
				put_argument_place(s, c, n, a->repeated);
				put_kind_result(s, a->complete);
			}
	}
	put_kind_arms(s, NULL, s->program->options);
	end_table(s, NULL);
}

void completion_put_tables(const struct script *s)
{
	put_known(s);
	put_takes_value(s);
	put_words(s);
	put_options(s);
	put_choices(s);
	put_kinds(s);
}
