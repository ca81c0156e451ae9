/* logs: what the services of a local network wrote. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "commands.h"
#include "logs.h"
#include "output.h"
#include "services.h"
#include "systemd.h"

enum { FOLLOW_MS = 200 };

struct followed {
	const struct service *service;
	const char *path;
	long at;
	unsigned long inode;
	struct buf partial; /* --json: the line that has no end yet */
};

struct log_line {
	struct str service, line;
};
static const struct json_field log_line_rows[] = {
	F_TEXT(struct log_line, service, "service", 0, 0, "Which service."),
	F_TEXT(struct log_line, line, "line", 0, 0, "What it wrote."),
};
static JSON_MESSAGE(log_line_message, "LogLine", struct log_line, log_line_rows);

static void print_line(void *ctx, struct str service, struct str text)
{
	struct arena a;
	(void)ctx;
	arena_init(&a);
	struct log_line line = {service, printable(&a, text)};
	json_print(&log_line_message, &line);
	arena_free(&a);
}

static void end_line(struct followed *f)
{
	print_line(NULL, str_from(f->service->name), buf_str(&f->partial));
	buf_clear(&f->partial);
}

/* Each whole line as a document; what is left waits for its end. */
static void print_lines(struct followed *f, struct str text)
{
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] == '\n')
			end_line(f);
		else
			buf_putc(&f->partial, text.p[i]);
}

/* The last lines, or with lines < 0 what was added since. False: there is no log. */
static bool show(const struct cli *c, struct followed *f, int64_t lines)
{
	char *text = NULL;
	size_t n = 0;
	FILE *to = c->json ? open_memstream(&text, &n) : stdout;
	if (!to)
		abort();
	bool there = true;
	if (lines >= 0)
		there = log_tail(f->path, lines, to, &f->at);
	else
		log_follow(f->path, &f->at, &f->inode, to);
	if (c->json) {
		fclose(to);
		print_lines(f, str_of(text, n));
		free(text);
	}
	return there;
}

static bool follow(struct cli *c, struct followed *files, size_t n)
{
	cli_catch_interrupts();
	while (cli_watching() && cli_sleep(FOLLOW_MS))
		for (size_t i = 0; i < n; i++)
			show(c, &files[i], -1);
	c->status = cli_interrupted == SIGINT ? EXIT_INTERRUPTED : EXIT_DONE;
	return true;
}

static bool logs(struct cli *c, struct error *err)
{
	const char *only = invocation_arg(c->in, "service");
	int64_t lines = option_int(c->in, "lines");
	bool following = option_bool(c->in, "follow");
	struct followed files[SERVICES_MAX] = {0};
	size_t n = 0;
	if (only && !service_named(only)) {
		error_set(err, ERR_USAGE, "There is no service '%s'.", only);
		return error_hint(err, "tana status lists them");
	}
	if (systemd_in_charge(c))
		return systemd_logs(c, only, following, lines, c->json ? print_line : NULL, NULL, err);
	for (const struct service *s = services; s->name; s++) {
		if (only && service_named(only) != s)
			continue;
		files[n] = (struct followed){.service = s, .path = service_log_path(c, s->name)};
		n += show(c, &files[n], lines) || following;
	}
	if (n == 0) {
		error_set(err, ERR_NOT_FOUND, "Chain %s has no log%s%s yet.", cli_chain(c), only ? " of " : "", only ? only : "");
		return error_hint(err,
				  "a network started with --foreground logs to its terminal; start one in the background: tana start --dev%s",
				  cli_chain_flag(c));
	}
	bool ok = !following || follow(c, files, n);
	for (size_t i = 0; i < n; i++) {
		if (files[i].partial.len > 0) /* nobody waits for its end any longer */
			end_line(&files[i]);
		buf_free(&files[i].partial);
	}
	return ok;
}

int cmd_logs(struct invocation *in)
{
	return cli_run(in, logs);
}
