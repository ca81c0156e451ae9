/* config show, config check: what is set, and by whom. */
#include <stdio.h>
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

/* The directories hold keys: nobody else has a business in them. */
static void check_directory(struct cli *c, const char *path, size_t *problems)
{
	struct stat st;
	if (stat(path, &st) != 0 || (S_ISDIR(st.st_mode) && st.st_uid == geteuid() && !(st.st_mode & 077)))
		return;
	say(c, "%s  %s is not a directory of yours alone (mode %04o)", tinted(&c->arena, TINT_BAD, STR_LIT("bad")), path_short(&c->arena, path),
	    (unsigned)st.st_mode & 07777);
	hint(c, "chmod 700 %s", path);
	++*problems;
}

/* Values from files and environment were checked before this ran: a wrong one is an error that names its place. Here: the files beside them. */
static bool check(struct cli *c, struct error *err)
{
	struct keystore_list keys = keystore_list(c);
	size_t problems = 0;
	(void)err;
	check_directory(c, path_config(&c->arena, "%s", ""), &problems);
	check_directory(c, path_config(&c->arena, "users"), &problems);
	for (size_t i = 0; i < keys.count; i++)
		if (keys.items[i].problem) {
			say(c, "%s  %s", tinted(&c->arena, TINT_BAD, STR_LIT("bad")), printable(&c->arena, str_from(keys.items[i].problem)).p);
			problems++;
		}
	if (c->json)
		printf("{\"problems\":%zu,\"keys\":%zu}\n", problems, keys.count);
	else if (problems == 0)
		say(c, "Configuration ok: options, %zu key file%s.", keys.count, keys.count == 1 ? "" : "s");
	if (problems)
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
