/*
 * Configuration from outside: bytes as a configuration file, and (after a first byte `$`, one word a line) as a command line. Whatever
 * comes in, a refusal has its code and a printable message; what is accepted holds its rows' bounds, shows no secret, and a file
 * written from it reads the same.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "daemon/options.h"
#include "daemon/table.h"
#include "daemon/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run_nothing(struct invocation *in)
{
	(void)in;
	return EXIT_DONE;
}

static const char *const choices[] = {"text", "json", NULL};
static const struct option_row rows[] = {
	{.name = "url", .doc = "x"},
	{.name = "max-size", .letter = 's', .type = OPTION_SIZE, .min = 10, .max = 1 << 20, .doc = "x"},
	{.name = "count", .type = OPTION_INT, .min = -5, .max = 5, .doc = "x"},
	{.name = "wait", .type = OPTION_DURATION, .doc = "x"},
	{.name = "strict", .type = OPTION_BOOL, .doc = "x"},
	{.name = "format", .type = OPTION_CHOICE, .choices = choices, .doc = "x"},
	{.name = "key", .flags = OPTION_REPEATABLE, .doc = "x"},
	{.name = "port", .type = OPTION_INT, .flags = OPTION_REPEATABLE, .max = 65535, .doc = "x"},
	{.name = "secret", .flags = OPTION_SECRET, .doc = "x"},
	{.name = "json", .type = OPTION_BOOL, .flags = OPTION_FLAG_ONLY, .doc = "x"},
	{0},
};
static const struct argument_row args[] = {{.name = "id", .required = true, .doc = "x"}, {.name = "rest", .repeated = true, .doc = "x"}, {0}};
static const struct command commands[] = {
	{.path = "run", .run = run_nothing, .summary = "x"},
	{.path = "node approve", .args = args, .run = run_nothing, .summary = "x"},
	{.path = "node list", .run = run_nothing, .summary = "x"},
	{0},
};
static const struct program fuzzed = {
	.name = "fuzzed", .section = "fuzz", .summary = "x", .options = rows, .commands = commands, .default_command = "run"};

static void check_refusal(const struct error *err, enum error_code code)
{
	invariant(err->code == code);
	invariant(err->message[0] && strlen(err->message) < sizeof(err->message));
}

static void check_slot(const struct option_slot *slot)
{
	int64_t number;
	struct error err;
	for (size_t i = 0; i < slot->count; i++)
		invariant(value_check(slot->row, slot->values[i], "x", ERR_CONFIG, &number, &err));
	invariant((slot->count > 0 && slot->row->flags & OPTION_REPEATABLE) || slot->count <= 1 || slot->source == FROM_NOWHERE);
}

static void check_json(const struct invocation *in)
{
	struct buf out = {0};
	program_config_json(in, &out);
	invariant(utf8_valid(out.data, out.len));
	for (size_t i = 0; i < out.len; i++)
		invariant((unsigned char)out.data[i] >= 0x20);
	const struct option_slot *secret = options_slot(in, "secret");
	invariant(secret->count == 0 || strstr(buf_z(&out), "\"value\":\"(secret)\""));
	buf_free(&out);
}

static void write_file(const struct invocation *in, struct buf *out)
{
	for (int pass = 0; pass < 2; pass++) {
		buf_puts(out, pass ? "[fuzz]\n" : "[common]\n");
		for (size_t i = 0; i < in->slot_count; i++) {
			const struct option_slot *slot = &in->slots[i];
			if (slot->source != (pass ? FROM_OWN_SECTION : FROM_COMMON_SECTION))
				continue;
			buf_printf(out, "%s =", slot->row->name);
			for (size_t k = 0; k < slot->count; k++)
				buf_printf(out, " %s", slot->values[k]);
			buf_putc(out, '\n');
		}
	}
}

static struct invocation begin(void)
{
	struct invocation in;
	invocation_init(&in, &fuzzed);
	in.line.command = &commands[0];
	options_prepare(&in);
	return in;
}

static void check_same(const struct invocation *a, const struct invocation *b)
{
	for (size_t i = 0; i < a->slot_count; i++) {
		invariant(a->slots[i].count == b->slots[i].count && a->slots[i].source == b->slots[i].source && a->slots[i].number == b->slots[i].number);
		for (size_t k = 0; k < a->slots[i].count; k++)
			invariant(strcmp(a->slots[i].values[k], b->slots[i].values[k]) == 0);
	}
}

static void as_file(struct str text)
{
	struct invocation in = begin(), again = begin();
	struct buf written = {0};
	struct error err = {0};
	if (!options_take_file(&in, "f", text, &err)) {
		check_refusal(&err, ERR_CONFIG);
	} else {
		for (size_t i = 0; i < in.slot_count; i++)
			check_slot(&in.slots[i]);
		check_json(&in);
		write_file(&in, &written);
		invariant(options_take_file(&again, "f", buf_str(&written), &err));
		check_same(&in, &again);
	}
	buf_free(&written);
	invocation_free(&in);
	invocation_free(&again);
}

enum { WORDS_MAX = 32 };

static void as_command_line(const char *text)
{
	static char name[] = "fuzzed";
	char *copy = strdup(text), *argv[WORDS_MAX + 2] = {name}, *save = NULL;
	int argc = 1;
	struct invocation in;
	struct error err = {0};
	invariant(copy);
	for (char *word = strtok_r(copy, "\n", &save); word && argc <= WORDS_MAX; word = strtok_r(NULL, "\n", &save))
		argv[argc++] = word;
	invocation_init(&in, &fuzzed);
	if (!command_line_parse(&fuzzed, argc, argv, &in.arena, &in.line, &err)) {
		check_refusal(&err, ERR_USAGE);
	} else if (in.line.command && !in.line.help && !in.line.version) {
		if (options_collect(&in, &err))
			for (size_t i = 0; i < in.slot_count; i++)
				check_slot(&in.slots[i]);
		else
			check_refusal(&err, ERR_USAGE);
	}
	invocation_free(&in);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* A copy of exactly this size, so that a sanitizer sees every step beyond. */
	char *text = malloc(size + 1);
	invariant(text);
	memcpy(text, data, size);
	text[size] = '\0';
	if (size > 0 && text[0] == '$') {
		as_command_line(text + 1);
	} else {
		char *exact = malloc(size + !size);
		invariant(exact);
		memcpy(exact, data, size);
		as_file(str_of(exact, size));
		free(exact);
	}
	free(text);
	return 0;
}
