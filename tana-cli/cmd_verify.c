/* verify: every audit of a local network, one after the other, and one summary. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "commands.h"
#include "companion.h"
#include "output.h"
#include "process.h"

enum { OUTPUT_MAX = 64 * 1024 * 1024 /* bytes of findings under --json */ };

/* The audits: what each is for, and how the daemons say what they found: 0 valid, 1 or 6 not, anything else not checked. */
struct audit {
	const char *service, *command, *what;
};
static const struct audit audits[] = {
	{"ledger", "verify", "the chain, and every row of its database"},
	{"mesh", "verify", "the registry against its log"},
	{"t4", "scrub", "every stored content against its hash"},
};

struct audit_row {
	struct str service, what, verdict /* valid, invalid, not checked */, detail /* under --json, or why it was not checked */;
	int64_t findings;
	struct json_list lines; /* struct str: what the audit printed, JSON each */
};
struct audit_list {
	enum json_bool valid;
	struct json_list audits;
};
static const struct json_field audit_rows[] = {
	F_TEXT(struct audit_row, service, "service", 0, 0, "Whose data."),
	F_TEXT(struct audit_row, what, "what", 0, 0, "What was compared."),
	F_TEXT(struct audit_row, verdict, "verdict", 0, 0, "valid, invalid, or not checked."),
	F_TEXT(struct audit_row, detail, "detail", 0, 0, "The audit's own summary, or why it could not look."),
	F_INT(struct audit_row, findings, "findings", 0, 0, 0, "How many things are wrong."),
	F_TEXTS(struct audit_row, lines, "lines", JSON_REQUIRED, 0, NULL, "Each finding as the audit printed it."),
};
static JSON_MESSAGE(audit_message, "Audit", struct audit_row, audit_rows);
static const struct json_field audit_list_rows[] = {
	F_BOOL(struct audit_list, valid, "valid", JSON_REQUIRED, "Everything was checked, and nothing is wrong."),
	F_LIST(struct audit_list, audits, "audits", JSON_REQUIRED, 0, &audit_message, "Each of them."),
};
static JSON_MESSAGE(audit_list_message, "Audits", struct audit_list, audit_list_rows);

/* Lines but the last are findings; the last one is the summary. */
static void read_lines(struct cli *c, struct str text, struct audit_row *row)
{
	size_t n = 0;
	for (size_t i = 0; i < text.n; i++)
		n += text.p[i] == '\n';
	struct str *lines = arena_zalloc(&c->arena, n, sizeof *lines);
	size_t count = 0;
	for (size_t at = 0, i = 0; i < text.n; i++)
		if (text.p[i] == '\n') {
			lines[count++] = arena_copy(&c->arena, str_of(text.p + at, i - at));
			at = i + 1;
		}
	if (count > 0)
		row->detail = lines[--count];
	row->lines = (struct json_list){lines, count};
	row->findings = (int64_t)count;
}

/* What the ledger's audit is given further. */
static void put_range(struct cli *c, struct service_launch *l)
{
	static const char *const passed[] = {"from", "to", "jobs", "since-checkpoint", "checkpoint-signer", "checkpoint"};
	const char *height = invocation_arg(c->in, "height");
	bool range = height != NULL;
	for (size_t i = 0; i < ARRAY_LEN(passed); i++) {
		if (strcmp(option_origin(c->in, passed[i]), "unset") == 0)
			continue;
		range = range || i < 2;
		service_argument_pair(l, arena_printf(&c->arena, "--%s", passed[i]).p, option_text(c->in, passed[i]));
	}
	if (height)
		service_argument(l, height);
	if (!range && !option_text(c->in, "since-checkpoint"))
		service_argument(l, "--all");
	if (option_bool(c->in, "with-content"))
		service_argument(l, "--content");
}

static void carry_out(struct cli *c, const struct audit *a, struct audit_row *row)
{
	struct service_launch launch;
	struct buf out = {0};
	struct error err;
	int status = 0;
	*row = (struct audit_row){.service = str_from(a->service), .what = str_from(a->what), .verdict = STR_LIT("not checked"),
				  .detail = STR_NONE, .lines = {arena_alloc(&c->arena, 0), 0}};
	bool ok = companion_plan(c, a->service, a->command, &launch, &err);
	if (ok && strcmp(a->service, "ledger") == 0)
		put_range(c, &launch);
	/* For people each audit speaks for itself, as it finds things; under --json its lines are gathered. */
	if (ok && c->json)
		service_argument(&launch, "--json");
	if (ok) {
		say(c, "%s", tinted(&c->arena, TINT_BOLD, arena_printf(&c->arena, "%s: %s", a->service, a->what)));
		ok = process_run(launch.argv, launch.environment, OUTPUT_MAX, c->json || c->quiet ? &out : NULL, &status, &err);
	}
	if (!ok) {
		row->detail = arena_copy(&c->arena, str_from(err.message));
	} else {
		int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
		if (c->json)
			read_lines(c, buf_str(&out), row);
		if (code == EXIT_DONE)
			row->verdict = STR_LIT("valid");
		else if (code == EXIT_FAILED || code == EXIT_UNHEALTHY)
			row->verdict = STR_LIT("invalid");
		else if (!str_present(row->detail))
			row->detail = arena_printf(&c->arena, "%s %s ended with status %d", launch.argv[0], a->command, code);
	}
	buf_free(&out);
}

static void print_audits(struct cli *c, const struct audit_row *rows, size_t n)
{
	static const struct column columns[] = {{"AUDIT", ALIGN_LEFT}, {"VERDICT", ALIGN_LEFT}, {"OF", ALIGN_LEFT}};
	struct table t;
	say(c, "%s", "");
	table_begin(&t, &c->arena, columns, ARRAY_LEN(columns));
	for (size_t i = 0; i < n; i++) {
		bool valid = str_is(rows[i].verdict, "valid"), invalid = str_is(rows[i].verdict, "invalid");
		table_cell(&t, TINT_BOLD, rows[i].service);
		table_cell(&t, valid ? TINT_GOOD : invalid ? TINT_BAD : TINT_WARN, rows[i].verdict);
		table_cell(&t, TINT_NONE, str_present(rows[i].detail) ? rows[i].detail : rows[i].what);
	}
	table_print(&t);
}

/* What the ledger's audit would call wrong usage is said before the others have run for nothing. */
static bool range_fits(struct cli *c, struct error *err)
{
	const char *height = invocation_arg(c->in, "height");
	int64_t n;
	bool from = strcmp(option_origin(c->in, "from"), "unset") != 0, to = strcmp(option_origin(c->in, "to"), "unset") != 0;
	if (height && (!str_to_int64(str_from(height), &n) || n < 0))
		return error_set(err, ERR_USAGE, "'%.80s' is no height: a number from 0.", height);
	return !from || !to || option_int(c->in, "from") <= option_int(c->in, "to") || error_set(err, ERR_USAGE, "The range ends before it begins.");
}

static bool verify(struct cli *c, struct error *err)
{
	struct audit_row rows[ARRAY_LEN(audits)];
	struct audit_list list = {.valid = JSON_TRUE, .audits = {rows, 0}};
	const char *only = option_text(c->in, "only");
	bool invalid = false, unchecked = false;
	if (!range_fits(c, err))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(audits); i++) {
		if (only && strcmp(only, audits[i].service) != 0)
			continue;
		struct audit_row *row = &rows[list.audits.count++];
		carry_out(c, &audits[i], row);
		invalid = invalid || str_is(row->verdict, "invalid");
		unchecked = unchecked || str_is(row->verdict, "not checked");
	}
	list.valid = invalid || unchecked ? JSON_FALSE : JSON_TRUE;
	if (c->json)
		json_print(&audit_list_message, &list);
	else
		print_audits(c, rows, list.audits.count);
	if (invalid)
		c->status = EXIT_UNHEALTHY;
	else if (unchecked)
		c->status = EXIT_FAILED;
	return true;
}

int cmd_verify(struct invocation *in)
{
	return cli_run(in, verify);
}
