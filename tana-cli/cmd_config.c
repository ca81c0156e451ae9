/* config show, config check: what is set, and by whom. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands.h"
#include "keystore.h"
#include "output.h"
#include "paths.h"

struct setting {
	struct str name, value, origin;
};
struct setting_list {
	struct json_list settings;
};
static const struct json_field setting_rows[] = {
	F_TEXT(struct setting, name, "name", JSON_REQUIRED, 0, "The option."),
	F_TEXT(struct setting, value, "value", JSON_NULL_WHEN_ABSENT, 0, "Its value."),
	F_TEXT(struct setting, origin, "origin", 0, 0, "Who set it."),
};
static JSON_MESSAGE(setting_message, "Setting", struct setting, setting_rows);
static const struct json_field setting_list_rows[] = {
	F_LIST(struct setting_list, settings, "settings", JSON_REQUIRED, 0, &setting_message, "Each option.")};
static JSON_MESSAGE(setting_list_message, "Settings", struct setting_list, setting_list_rows);

/* The options that configuration can set, as far as all commands share them. */
static struct json_list gather(struct cli *c)
{
	static const char *const talked_to[] = {"mesh", "ledger", "t4", "identity"};
	size_t n = 0;
	while (tana_options[n].name)
		n++;
	struct setting *list = arena_zalloc(&c->arena, n, sizeof *list);
	size_t count = 0;
	for (size_t i = 0; i < n; i++) {
		const struct option_row *row = &tana_options[i];
		if (row->flags & OPTION_FLAG_ONLY)
			continue;
		struct setting *s = &list[count++];
		*s = (struct setting){str_from(row->name), str_from(option_text(c->in, row->name)), str_from(option_origin(c->in, row->name))};
		for (size_t j = 0; j < ARRAY_LEN(talked_to); j++) {
			const char *origin;
			if (strcmp(row->name, arena_printf(&c->arena, "%s-url", talked_to[j]).p) != 0)
				continue;
			s->value = str_from(cli_service_url(c, talked_to[j], &origin));
			s->origin = str_from(origin);
		}
	}
	return (struct json_list){list, count};
}

static bool show(struct cli *c, struct error *err)
{
	static const struct column with_origin[] = {{"OPTION", ALIGN_LEFT}, {"VALUE", ALIGN_LEFT}, {"FROM", ALIGN_LEFT}};
	bool origin = option_bool(c->in, "origin");
	struct setting_list all = {gather(c)};
	const struct setting *s = all.settings.items;
	struct table t;
	(void)err;
	if (c->json) {
		json_print(&setting_list_message, &all);
		return true;
	}
	table_begin(&t, &c->arena, with_origin, origin ? 3 : 2);
	for (size_t i = 0; i < all.settings.count; i++) {
		table_cell(&t, TINT_BOLD, s[i].name);
		table_cell(&t, TINT_NONE, s[i].value);
		if (origin)
			table_cell(&t, TINT_DIM, str_from(path_short(&c->arena, s[i].origin.p)));
	}
	table_print(&t);
	return true;
}

/* ---- check ---- */

struct problem {
	struct str path, problem, hint;
};
struct check_report {
	int64_t problems, keys;
	struct json_list found;
};
static const struct json_field problem_rows[] = {
	F_TEXT(struct problem, path, "path", 0, 0, "The file or directory."),
	F_TEXT(struct problem, problem, "problem", 0, 0, "What is wrong with it."),
	F_TEXT(struct problem, hint, "hint", 0, 0, "What to do."),
};
static JSON_MESSAGE(problem_message, "ConfigProblem", struct problem, problem_rows);
static const struct json_field check_report_rows[] = {
	F_INT(struct check_report, problems, "problems", 0, 0, 0, "How many things are wrong."),
	F_INT(struct check_report, keys, "keys", 0, 0, 0, "How many key files there are."),
	F_LIST(struct check_report, found, "found", JSON_REQUIRED, 0, &problem_message, "Each of the problems."),
};
static JSON_MESSAGE(check_report_message, "ConfigCheck", struct check_report, check_report_rows);

struct checking {
	struct cli *c;
	struct problem *list;
	size_t count, cap;
};

/* Said at once for people, and kept for --json. hint may be absent. */
static void found(struct checking *k, const char *path, struct str problem, struct str what_to_do)
{
	struct arena *a = &k->c->arena;
	if (k->count == k->cap) {
		size_t cap = k->cap ? 2 * k->cap : 16;
		struct problem *more = arena_zalloc(a, cap, sizeof *more);
		if (k->count)
			memcpy(more, k->list, k->count * sizeof *more);
		k->list = more;
		k->cap = cap;
	}
	k->list[k->count++] = (struct problem){printable(a, str_from(path)), printable(a, problem), what_to_do};
	say(k->c, "%s  %s", tinted(a, TINT_BAD, STR_LIT("bad")), printable(a, problem).p);
	if (str_present(what_to_do))
		hint(k->c, "%s", what_to_do.p);
}

/* Only its owner has a business in a directory or file with secrets. `what` completes "is not ..." */
static void check_private(struct checking *k, const char *path, bool directory, const char *what)
{
	struct arena *a = &k->c->arena;
	struct stat st;
	if (stat(path, &st) != 0 || ((directory ? S_ISDIR(st.st_mode) : S_ISREG(st.st_mode)) && st.st_uid == geteuid() && !(st.st_mode & 077)))
		return;
	found(k, path, arena_printf(a, "%s is not %s (mode %04o)", path_short(a, path), what, (unsigned)st.st_mode & 07777),
	      arena_printf(a, "chmod %s %s", directory ? "700" : "600", path));
}

/* A directory below the configuration's own, and with `files` what lies in it. */
static void check_directory(struct checking *k, const char *name, const char *files)
{
	struct dirent **entries = NULL;
	const char *dir = path_config(&k->c->arena, "%s", name);
	check_private(k, dir, true, "a directory of yours alone");
	int n = files ? scandir(dir, &entries, NULL, alphasort) : 0;
	for (int i = 0; i < n; i++) {
		if (entries[i]->d_name[0] != '.')
			check_private(k, path_config(&k->c->arena, "%s/%s", name, entries[i]->d_name), false, files);
		free(entries[i]);
	}
	free(entries);
}

/* Values from files and environment were checked before this ran: a wrong one is an error that names its place. Here: the files beside them. */
static bool check(struct cli *c, struct error *err)
{
	struct keystore_list keys = keystore_list(c);
	struct checking k = {.c = c};
	(void)err;
	check_directory(&k, "", NULL);
	check_directory(&k, "users", NULL);
	check_directory(&k, "chains", "a file of yours alone, and may hold a database's password");
	check_directory(&k, "logins", "a file of yours alone, and holds a login");
	for (size_t i = 0; i < keys.count; i++)
		if (keys.items[i].problem)
			found(&k, keys.items[i].path, str_from(keys.items[i].problem), str_from(keys.items[i].remedy));
	struct check_report r = {(int64_t)k.count, (int64_t)keys.count, {k.list ? (void *)k.list : arena_alloc(&c->arena, 0), k.count}};
	if (c->json)
		json_print(&check_report_message, &r);
	else if (k.count == 0)
		say(c, "Configuration ok: options, %zu key file%s.", keys.count, keys.count == 1 ? "" : "s");
	if (k.count)
		c->status = EXIT_FAILED;
	return true;
}

int cmd_config_show(struct invocation *in)
{
	return cli_run(in, show);
}

int cmd_config_check(struct invocation *in)
{
	return cli_run(in, check);
}
