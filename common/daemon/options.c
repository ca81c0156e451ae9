/*
 * Values from their sources. Each source offers its values to the slots; a slot keeps the one of the highest source. Every value is
 * checked, also one that a higher source overrides: a wrong line in the file is wrong today, not on the day the flag is dropped.
 */
#include "options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "config_file.h"
#include "suggest.h"
#include "table.h"
#include "value.h"

void invocation_init(struct invocation *in, const struct program *p)
{
	*in = (struct invocation){.program = p, .lock = xmalloc(sizeof(pthread_mutex_t))};
	arena_init(&in->arena);
	invariant(pthread_mutex_init(in->lock, NULL) == 0);
}

void invocation_free(struct invocation *in)
{
	pthread_mutex_destroy(in->lock);
	free(in->lock);
	arena_free(&in->arena);
}

void options_prepare(struct invocation *in)
{
	const struct option_row *row;
	size_t n = 0;
	struct option_walk w = option_walk(in->program, in->line.command);
	while (option_next(&w))
		n++;
	in->slots = arena_zalloc(&in->arena, n + 1, sizeof(*in->slots));
	in->slot_count = 0;
	w = option_walk(in->program, in->line.command);
	while ((row = option_next(&w)) && w.kind != OPTIONS_OF_ALL)
		in->slots[in->slot_count++] = (struct option_slot){.row = row, .origin = "unset"};
}

/* The values a text holds: itself, or for a repeatable option its words. */
static const char *const *split(struct arena *arena, const struct option_row *row, const char *text, size_t *count)
{
	static const char blanks[] = " \t";
	char *copy = arena_strdup(arena, text), *save;
	size_t room = row->flags & OPTION_REPEATABLE ? strlen(text) / 2 + 1 : 1;
	const char **values = arena_zalloc(arena, room, sizeof(*values));
	*count = 0;
	if (!(row->flags & OPTION_REPEATABLE))
		values[(*count)++] = copy;
	else
		for (char *word = strtok_r(copy, blanks, &save); word; word = strtok_r(NULL, blanks, &save))
			values[(*count)++] = word;
	return values;
}

/* `where` begins the message when a value is refused: the origin, and the key's name when the origin does not have it. */
static bool offer(struct invocation *in, struct option_slot *slot, enum source source, const char *origin, const char *where, const char *text,
		  struct error *err)
{
	struct option_slot fresh = {.row = slot->row, .source = source, .origin = origin};
	fresh.values = split(&in->arena, slot->row, text, &fresh.count);
	for (size_t i = fresh.count; i-- > 0;) /* backwards, so that number is left to be the first value's */
		if (!value_check(slot->row, fresh.values[i], where, ERR_CONFIG, &fresh.number, err))
			return false;
	if (source >= slot->source)
		*slot = fresh;
	return true;
}

/* A flag's value is one value also for a repeatable option: it may hold blanks, and is added to those before it. */
static bool offer_flag(struct invocation *in, struct option_slot *slot, const char *value, struct error *err)
{
	int64_t number;
	struct str origin = arena_printf(&in->arena, "flag --%s", slot->row->name);
	if (!value_check(slot->row, value, origin.p, ERR_USAGE, &number, err))
		return false;
	size_t before = slot->source == FROM_FLAG ? slot->count : 0;
	const char **values = arena_zalloc(&in->arena, before + 1, sizeof(*values));
	for (size_t i = 0; i < before; i++)
		values[i] = slot->values[i];
	values[before] = value;
	*slot = (struct option_slot){slot->row, FROM_FLAG, origin.p, values, before + 1, before ? slot->number : number};
	return true;
}

static bool take_flags(struct invocation *in, struct error *err)
{
	for (size_t i = 0; i < in->line.flag_count; i++)
		for (size_t k = 0; k < in->slot_count; k++)
			if (in->slots[k].row == in->line.flags[i].row && !offer_flag(in, &in->slots[k], in->line.flags[i].value, err))
				return false;
	return true;
}

/* An empty variable counts as unset, as it does for shells and NO_COLOR. */
static bool take_variable(struct invocation *in, struct option_slot *slot, const char *name, struct error *err)
{
	const char *value = name && name[0] ? getenv(name) : NULL;
	if (!value || !value[0])
		return true;
	const char *origin = arena_printf(&in->arena, "environment %s", name).p;
	return offer(in, slot, FROM_ENVIRONMENT, origin, origin, value, err);
}

static bool take_environment(struct invocation *in, struct error *err)
{
	for (size_t i = 0; i < in->slot_count; i++) {
		struct option_slot *slot = &in->slots[i];
		char name[ENV_NAME_SIZE];
		if (slot->row->flags & OPTION_FLAG_ONLY)
			continue;
		option_env_name(in->program, slot->row, name);
		/* The option's own name goes before the shared one. */
		if (!take_variable(in, slot, slot->row->env, err) || !take_variable(in, slot, name, err))
			return false;
	}
	return true;
}

static void take_defaults(struct invocation *in)
{
	for (size_t i = 0; i < in->slot_count; i++) {
		struct error err;
		const char *text = table_default(in->program, in->slots[i].row);
		if (text && !offer(in, &in->slots[i], FROM_DEFAULT, "default", "default", text, &err))
			fatal("the default of --%s is wrong: %s", in->slots[i].row->name, err.message);
	}
}

/* Keys are written with _ or -. */
static bool key_is(struct str key, const char *name)
{
	if (key.n != strlen(name))
		return false;
	for (size_t i = 0; i < key.n; i++)
		if (key.p[i] != name[i] && !(key.p[i] == '_' && name[i] == '-'))
			return false;
	return true;
}

static bool in_files(const struct option_row *row)
{
	return !(row->flags & OPTION_FLAG_ONLY) && strcmp(row->name, "config") != 0;
}

static struct option_slot *slot_of_key(struct invocation *in, struct str key)
{
	for (size_t i = 0; i < in->slot_count; i++)
		if (in_files(in->slots[i].row) && key_is(key, in->slots[i].row->name))
			return &in->slots[i];
	return NULL;
}

/* The program's section holds keys of all its commands, whichever runs now. */
static const struct option_row *row_of_key(const struct program *p, struct str key, struct suggestion *near)
{
	const struct command *c;
	const struct option_row *row;
	for (size_t i = 0; (c = table_command(p, i)); i++)
		for (struct option_walk w = option_walk(p, c); (row = option_next(&w)) && w.kind != OPTIONS_OF_ALL;) {
			if (!in_files(row))
				continue;
			if (key_is(key, row->name))
				return row;
			suggest_consider(near, row->name);
		}
	return NULL;
}

/* Keys met before, so that a second one is refused and not silently taken. At most one for each row and section. */
struct file_reading {
	struct invocation *in;
	const char *path;
	struct seen_key {
		const struct option_row *row;
		enum source source;
		unsigned line;
	} *seen;
	size_t seen_count;
};

static bool note_key(struct file_reading *r, const struct option_row *row, enum source source, const struct config_entry *e, struct error *err)
{
	for (size_t i = 0; i < r->seen_count; i++)
		if (r->seen[i].row == row && r->seen[i].source == source)
			return error_set(err, ERR_CONFIG, "%s:%u: %.*s was set before, on line %u", r->path, e->line, STR_ARG(e->key), r->seen[i].line);
	r->seen = xrealloc(r->seen, (r->seen_count + 1) * sizeof(*r->seen));
	r->seen[r->seen_count++] = (struct seen_key){row, source, e->line};
	return true;
}

static bool unknown_key(const struct file_reading *r, const struct config_entry *e, const struct suggestion *near, struct error *err)
{
	error_set(err, ERR_CONFIG, "%s:%u: unknown key %.*s in section [%.*s]", r->path, e->line, STR_ARG(e->key), STR_ARG(e->section));
	if (!near->best)
		return false;
	char key[SUGGEST_MAX + 1];
	snprintf(key, sizeof(key), "%s", near->best);
	for (char *c = strchr(key, '-'); c; c = strchr(c, '-'))
		*c = '_';
	return error_hint(err, "did you mean %s?", key);
}

static bool take_entry(void *ctx, const struct config_entry *e, struct error *err)
{
	struct file_reading *r = ctx;
	struct invocation *in = r->in;
	bool own = str_is(e->section, program_section(in->program));
	if (!own && !str_is(e->section, "common"))
		return true;
	struct suggestion near = suggest_for(e->key);
	const struct option_row *row = row_of_key(in->program, e->key, &near);
	if (!row)
		return !own || unknown_key(r, e, &near, err);
	enum source source = own ? FROM_OWN_SECTION : FROM_COMMON_SECTION;
	if (!note_key(r, row, source, e, err))
		return false;
	struct option_slot other = {.row = row}, *slot = slot_of_key(in, e->key);
	if (!slot && !in->checking)
		return true;
	const char *origin = arena_printf(&in->arena, "%s:%u", r->path, e->line).p;
	const char *where = arena_printf(&in->arena, "%s: %.*s", origin, STR_ARG(e->key)).p;
	return offer(in, slot ? slot : &other, source, origin, where, arena_copy(&in->arena, e->value).p, err);
}

bool options_take_file(struct invocation *in, const char *path, struct str text, struct error *err)
{
	struct file_reading r = {.in = in, .path = path};
	bool ok = config_parse(text, path, take_entry, &r, err);
	free(r.seen);
	return ok;
}

struct option_slot *options_slot(const struct invocation *in, const char *name)
{
	for (size_t i = 0; i < in->slot_count; i++)
		if (strcmp(in->slots[i].row->name, name) == 0)
			return &in->slots[i];
	return NULL;
}

/*
 * The file that --config names must be there; the usual one need not. One that is there and cannot be read stops a daemon, but not the
 * command line tool of a user for whom it is not meant.
 */
static bool take_config_file(struct invocation *in, struct error *err)
{
	const struct option_slot *slot = options_slot(in, "config");
	bool asked = slot && slot->source > FROM_DEFAULT;
	const char *path = asked ? slot->values[0] : in->program->default_config;
	struct buf text = {0};
	if (!path)
		return true;
	if (!asked && access(path, R_OK) != 0 && (errno == ENOENT || errno == ENOTDIR || (errno == EACCES && !in->program->default_command)))
		return true;
	bool ok = file_read(path, CONFIG_FILE_MAX, &text, err);
	if (!ok)
		err->code = ERR_CONFIG;
	ok = ok && options_take_file(in, path, buf_str(&text), err);
	buf_free(&text);
	return ok;
}

bool invocation_offer(struct invocation *in, const char *name, const char *value, const char *origin, struct error *err)
{
	struct suggestion near = suggest_for(str_from(name));
	struct option_slot *slot = slot_of_key(in, str_from(name));
	if (slot)
		return offer(in, slot, FROM_USER_FILE, arena_strdup(&in->arena, origin), arena_printf(&in->arena, "%s: %s", origin, name).p, value, err);
	if (row_of_key(in->program, str_from(name), &near))
		return true;
	error_set(err, ERR_CONFIG, "%s: unknown option %s", origin, name);
	return near.best ? error_hint(err, "did you mean %s?", near.best) : false;
}

bool options_collect(struct invocation *in, struct error *err)
{
	options_prepare(in);
	if (!take_flags(in, err))
		return false;
	take_defaults(in);
	if (command_builtin(in->line.command) && !command_hidden(in->line.command))
		return true;
	return take_environment(in, err) && (!in->program->user_file || in->program->user_file(in, err)) && take_config_file(in, err);
}
