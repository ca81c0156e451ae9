/* What commands ask of their invocation, and the reload of its options. */
#include <string.h>

#include "base/log.h"
#include "options.h"
#include "value.h"

const struct program *invocation_program(const struct invocation *in)
{
	return in->program;
}

const struct command *invocation_command(const struct invocation *in)
{
	return in->line.command;
}

/* The argument's place in the command's row. */
static const struct argument_row *argument_named(const struct invocation *in, const char *name, size_t *place)
{
	const struct argument_row *row = in->line.command->args;
	for (*place = 0; row && row->name; row++, ++*place)
		if (strcmp(row->name, name) == 0)
			return row;
	fatal("argument %s is not declared for `%s %s`", name, in->program->name, in->line.command->path);
}

const char *invocation_arg(const struct invocation *in, const char *name)
{
	return invocation_arg_at(in, name, 0);
}

size_t invocation_arg_count(const struct invocation *in, const char *name)
{
	size_t place;
	const struct argument_row *row = argument_named(in, name, &place);
	if (place >= in->line.arg_count)
		return 0;
	return row->repeated ? in->line.arg_count - place : 1;
}

const char *invocation_arg_at(const struct invocation *in, const char *name, size_t i)
{
	size_t place;
	argument_named(in, name, &place);
	return i < invocation_arg_count(in, name) ? in->line.args[place + i] : NULL;
}

static bool same_values(const struct option_slot *a, const struct option_slot *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (strcmp(a->values[i], b->values[i]) != 0)
			return false;
	return true;
}

/* Strings go into the invocation's arena, which keeps the old ones: a worker may still read them. */
static void adopt(struct invocation *in, struct option_slot *slot, const struct option_slot *fresh)
{
	const char **values = arena_zalloc(&in->arena, fresh->count + 1, sizeof(*values));
	for (size_t i = 0; i < fresh->count; i++)
		values[i] = arena_strdup(&in->arena, fresh->values[i]);
	*slot = *fresh;
	slot->values = values;
	slot->origin = arena_strdup(&in->arena, fresh->origin);
}

bool invocation_reload(struct invocation *in, struct error *err)
{
	struct invocation fresh;
	invocation_init(&fresh, in->program);
	fresh.line = in->line;
	bool ok = options_collect(&fresh, err);
	pthread_mutex_lock(in->lock);
	for (size_t i = 0; ok && i < in->slot_count; i++) {
		const struct option_row *row = in->slots[i].row;
		if (same_values(&in->slots[i], &fresh.slots[i]))
			continue;
		if (row->flags & OPTION_RELOADABLE)
			adopt(in, &in->slots[i], &fresh.slots[i]);
		else
			log_warn("a changed option needs a restart", LOG_S("option", row->name));
	}
	pthread_mutex_unlock(in->lock);
	invocation_free(&fresh);
	return ok;
}

/* A copy, so that the lock is held for a moment only. */
static struct option_slot asked_for(const struct invocation *in, const char *name)
{
	pthread_mutex_lock(in->lock);
	const struct option_slot *slot = options_slot(in, name);
	struct option_slot copy = slot ? *slot : (struct option_slot){0};
	pthread_mutex_unlock(in->lock);
	if (!slot)
		fatal("option --%s is not declared for `%s %s`", name, in->program->name, in->line.command->path);
	return copy;
}

const char *option_text(const struct invocation *in, const char *name)
{
	return option_at(in, name, 0);
}

int64_t option_int(const struct invocation *in, const char *name)
{
	return asked_for(in, name).number;
}

bool option_bool(const struct invocation *in, const char *name)
{
	return asked_for(in, name).number != 0;
}

size_t option_count(const struct invocation *in, const char *name)
{
	return asked_for(in, name).count;
}

const char *option_at(const struct invocation *in, const char *name, size_t i)
{
	struct option_slot slot = asked_for(in, name);
	return i < slot.count ? slot.values[i] : NULL;
}

const char *option_origin(const struct invocation *in, const char *name)
{
	return asked_for(in, name).origin;
}

static void put_value(struct buf *out, const struct option_slot *slot, size_t i)
{
	struct buf text = {0};
	if (slot->row->flags & OPTION_SECRET)
		buf_puts(&text, "(secret)");
	else
		value_put_redacted(&text, slot->values[i]);
	buf_put_json_string(out, buf_str(&text));
	buf_free(&text);
}

static void put_values(struct buf *out, const struct option_slot *slot)
{
	if (slot->row->flags & OPTION_REPEATABLE) {
		buf_putc(out, '[');
		for (size_t i = 0; i < slot->count; i++) {
			buf_puts(out, i ? "," : "");
			put_value(out, slot, i);
		}
		buf_putc(out, ']');
	} else if (slot->count > 0) {
		put_value(out, slot, 0);
	} else {
		buf_puts(out, "null");
	}
}

void program_config_json(const struct invocation *in, struct buf *out)
{
	pthread_mutex_lock(in->lock);
	buf_putc(out, '[');
	for (size_t i = 0; i < in->slot_count; i++) {
		const struct option_slot *slot = &in->slots[i];
		buf_printf(out, "%s{\"name\":\"%s\",\"value\":", i ? "," : "", slot->row->name);
		put_values(out, slot);
		buf_puts(out, ",\"origin\":");
		buf_put_json_string(out, str_from(slot->origin));
		buf_putc(out, '}');
	}
	buf_putc(out, ']');
	pthread_mutex_unlock(in->lock);
}
