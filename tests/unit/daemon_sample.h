/* A program with a row of every kind, and a way to run it inside the test: what it printed, how it ended, what its command saw. */
#ifndef TANA_TESTS_DAEMON_SAMPLE_H
#define TANA_TESTS_DAEMON_SAMPLE_H

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "daemon/daemon.h"

static const char *const sample_choices[] = {"validator", "observer", "seed", NULL};
UNUSED static const struct option_row sample_options[] = {
	{.name = "config", .value = "FILE", .doc = "The configuration file."},
	{.name = "json", .type = OPTION_BOOL, .flags = OPTION_FLAG_ONLY, .doc = "Answer in JSON."},
	{.name = "mesh-url", .value = "URL", .fallback = "http://d", .env = "SAMPLE_MESH_URL", .flags = OPTION_RELOADABLE, .doc = "The coordinator."},
	{.name = "limit", .type = OPTION_INT, .fallback = "10", .min = 1, .max = 1000, .flags = OPTION_RELOADABLE, .doc = "How many."},
	{.name = "body", .type = OPTION_SIZE, .fallback = "1k", .min = 1, .max = 1 << 20, .doc = "How large."},
	{.name = "timeout", .type = OPTION_DURATION, .fallback = "5m", .letter = 't', .doc = "How long."},
	{.name = "interval", .type = OPTION_DURATION, .bare_unit_ms = 1, .min = 10, .doc = "How often."},
	{.name = "strict", .type = OPTION_BOOL, .fallback = "yes", .doc = "Whether to refuse the short form."},
	{.name = "role", .type = OPTION_CHOICE, .choices = sample_choices, .fallback = "validator", .doc = "What it does."},
	{.name = "key", .flags = OPTION_REPEATABLE, .doc = "Who may."},
	{.name = "port", .type = OPTION_INT, .flags = OPTION_REPEATABLE, .max = 65535, .doc = "Where."},
	{.name = "secret", .flags = OPTION_SECRET, .doc = "A password."},
	{.name = "pin", .type = OPTION_INT, .flags = OPTION_SECRET, .max = 9999, .doc = "A number nobody else knows."},
	{0},
};
static const struct option_row sample_register_options[] = {
	{.name = "node-id", .value = "ID", .doc = "The node's name."},
	{.name = "follow", .letter = 'f', .type = OPTION_BOOL, .flags = OPTION_FLAG_ONLY, .doc = "Go on."},
	{.name = "depth", .type = OPTION_INT, .max = 9, .doc = "How deep."},
	{0},
};
static const struct argument_row sample_node_args[] = {
	{.name = "nodeId", .required = true, .doc = "The node.", .complete = "node"},
	{.name = "reason", .doc = "Why, which may be left out."},
	{0},
};
static const struct argument_row sample_file_args[] = {
	{.name = "file", .repeated = true, .doc = "Files.", .complete = "file"},
	{0},
};

/* The test's own part of a command: looks at the invocation. */
static int (*sample_look)(struct invocation *in);
static int sample_runs;
static int sample_run(struct invocation *in)
{
	sample_runs++;
	return sample_look ? sample_look(in) : EXIT_DONE;
}
static bool sample_check(struct invocation *in, struct error *err)
{
	return strcmp(option_text(in, "mesh-url"), "bad") != 0 || error_set(err, ERR_CONFIG, "the coordinator is bad");
}

UNUSED static const struct command sample_commands[] = {
	{.path = "run", .run = sample_run, .check = sample_check, .summary = "Serve."},
	{.path = "mesh register", .options = sample_register_options, .run = sample_run, .summary = "Register this node.",
	 .doc = "The node signs for itself.\n\n.dots and 'quotes' and back\\slashes -- survive.", .example = "sampled mesh register --node-id n1"},
	{.path = "mesh approve", .args = sample_node_args, .run = sample_run, .summary = "Let a node in."},
	{.path = "mesh sovereign list", .run = sample_run, .summary = "Show the keys."},
	{.path = "mesh sovereign add", .run = sample_run, .summary = "Add a key."},
	{.path = "mesh audit", .run = sample_run, .summary = "Show the log."},
	{.path = "mesh audit verify", .run = sample_run, .summary = "Check the log."},
	{.path = "start", .args = sample_file_args, .run = sample_run, .summary = "Start all."},
	{0},
};
static void sample_complete(struct invocation *in, const char *kind, struct buf *out)
{
	(void)in;
	buf_printf(out, "%s-one\n%s-two\n", kind, kind);
}
/* A daemon: it has a default command. */
UNUSED static const struct program sampled = {
	.name = "sampled",
	.section = "sample",
	.summary = "keeps samples",
	.options = sample_options,
	.commands = sample_commands,
	.default_command = "run",
	.groups = "mesh=Who is in the network\nkeys=unused",
	.complete = sample_complete,
};

enum { SAMPLE_ARGS_MAX = 24, SAMPLE_TEXT_MAX = 64 * 1024 };
struct outcome {
	int status;
	char out[SAMPLE_TEXT_MAX], err[SAMPLE_TEXT_MAX];
};

static void sample_read_back(int fd, char *text)
{
	ssize_t n = pread(fd, text, SAMPLE_TEXT_MAX - 1, 0);
	assert_true(n >= 0);
	text[n] = '\0';
	close(fd);
}

/* The command line is split at single blanks; "" is the program alone. The outcome is valid until the next call. */
UNUSED static const struct outcome *sample(const struct program *p, const char *command_line)
{
	static struct outcome o;
	char copy[2048], *argv[SAMPLE_ARGS_MAX + 2] = {copy}, *save = NULL;
	int argc = 1, out = memfd_create("out", 0), err = memfd_create("err", 0), old_out, old_err;
	assert_true(out >= 0 && err >= 0 && strlen(command_line) < sizeof(copy));
	strcpy(copy, command_line);
	for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		assert_true(argc <= SAMPLE_ARGS_MAX);
		argv[argc++] = word;
	}
	argv[argc] = NULL;
	fflush(stdout);
	fflush(stderr);
	old_out = dup(STDOUT_FILENO);
	old_err = dup(STDERR_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	sample_runs = 0;
	o.status = program_main(p, argc, argv);
	fflush(stdout);
	fflush(stderr);
	dup2(old_out, STDOUT_FILENO);
	dup2(old_err, STDERR_FILENO);
	close(old_out);
	close(old_err);
	sample_read_back(out, o.out);
	sample_read_back(err, o.err);
	return &o;
}

/* A file under $TMPDIR with this text; its name is valid until the next call, and the caller unlinks it. */
UNUSED static const char *sample_file(const char *text)
{
	static char path[] = "/tmp/tana-sample-XXXXXX";
	strcpy(path + strlen(path) - 6, "XXXXXX");
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	return path;
}

#endif
