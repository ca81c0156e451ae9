#include "systemd.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "crypto/canonical_read.h"
#include "output.h"
#include "process.h"

/* What `tana start` started itself, --dev or --foreground, and that still runs. */
static bool ours_run(struct cli *c)
{
	if (process_runs(service_lock_path(c, "supervisor")))
		return true;
	for (size_t i = 0; i < service_count(); i++)
		if (process_runs(service_lock_path(c, services[i].name)))
			return true;
	return false;
}

bool systemd_in_charge(struct cli *c)
{
	static const char *const places[] = {"/etc/systemd/system/tana.target", "/usr/local/lib/systemd/system/tana.target",
					     "/lib/systemd/system/tana.target", "/usr/lib/systemd/system/tana.target"};
	if (strcmp(option_origin(c->in, "chain"), "default") != 0 || !file_exists("/run/systemd/system"))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(places); i++)
		if (file_exists(places[i]))
			return !ours_run(c);
	return false;
}

bool systemd_drive(struct cli *c, const char *verb, struct error *err)
{
	bool all = strcmp(verb, "status") == 0;
	const char *argv[] = {"systemctl", verb, "tana.target", all ? "tana-*.service" : NULL, NULL};
	int status = 0;
	note(c, "systemd is in charge here: systemctl %s tana.target", verb);
	if (!process_run(argv, NULL, 0, NULL, &status, err))
		return false;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return true;
	if (all) {
		c->status = EXIT_UNHEALTHY;
		return true;
	}
	error_set(err, ERR_REFUSED, "systemctl %s tana.target failed.", verb);
	return error_hint(err, "see why: systemctl status 'tana-*'; tana logs");
}

/* ---- What the units are doing ---- */

struct unit_fields {
	struct str id, load, active, file;
	int64_t pid;
};

/* "Name=value" of one line. */
static void take_field(struct unit_fields *f, struct str line)
{
	static const struct {
		const char *name;
		size_t offset;
	} texts[] = {
		{"Id=", offsetof(struct unit_fields, id)},
		{"LoadState=", offsetof(struct unit_fields, load)},
		{"ActiveState=", offsetof(struct unit_fields, active)},
		{"UnitFileState=", offsetof(struct unit_fields, file)},
	};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (str_starts(line, texts[i].name)) {
			size_t n = strlen(texts[i].name);
			*(struct str *)(void *)((char *)f + texts[i].offset) = str_of(line.p + n, line.n - n);
		}
	if (str_starts(line, "MainPID=") && !str_to_int64(str_of(line.p + 8, line.n - 8), &f->pid))
		f->pid = 0;
}

static void take_unit(struct cli *c, const struct unit_fields *f, struct systemd_unit *out, size_t *count)
{
	for (size_t i = 0; i < service_count(); i++) {
		if (!str_is(f->load, "loaded") || !str_is(f->id, arena_printf(&c->arena, "tana-%s.service", services[i].name).p))
			continue;
		bool runs = str_is(f->active, "active"), off = str_is(f->active, "inactive");
		out[(*count)++] = (struct systemd_unit){
			.service = services[i].name,
			.state = runs ? STR_LIT("ready") : off ? STR_LIT("stopped") : arena_printf(&c->arena, "not ready: %.*s", STR_ARG(f->active)),
			.pid = f->pid,
			.as_wanted = runs || (off && str_is(f->file, "disabled")),
		};
	}
}

bool systemd_units(struct cli *c, struct systemd_unit out[SERVICES_MAX], size_t *count, struct error *err)
{
	enum { SHOW_MAX = 64 * 1024, FIXED = 3 };
	const char *argv[FIXED + SERVICES_MAX + 1] = {"systemctl", "show", "--property=Id,LoadState,ActiveState,UnitFileState,MainPID"};
	struct buf text = {0};
	struct unit_fields f = {.pid = 0};
	int status;
	*count = 0;
	for (size_t i = 0; i < service_count(); i++)
		argv[FIXED + i] = arena_printf(&c->arena, "tana-%s.service", services[i].name).p;
	if (!process_run(argv, NULL, SHOW_MAX, &text, &status, err) ||
	    (!(WIFEXITED(status) && WEXITSTATUS(status) == 0) && !error_set(err, ERR_UNAVAILABLE, "systemctl does not tell what runs."))) {
		buf_free(&text);
		return false;
	}
	buf_putc(&text, '\n'); /* an empty line ends a unit, also the last */
	struct str all = arena_copy(&c->arena, buf_str(&text));
	buf_free(&text);
	for (size_t at = 0, i = 0; i < all.n; i++) {
		if (all.p[i] != '\n')
			continue;
		take_field(&f, str_of(all.p + at, i - at));
		if (i == at && *count < SERVICES_MAX) {
			take_unit(c, &f, out, count);
			f = (struct unit_fields){.pid = 0};
		}
		at = i + 1;
	}
	return true;
}

/* ---- Logs ---- */

/* A line of the journal: UNIT is what systemd itself says of a unit. MESSAGE is a list of bytes where it is no plain text. */
struct entry {
	struct str message, unit, about;
};
static const struct json_field entry_rows[] = {
	F_ANY(struct entry, message, "MESSAGE", 0, "What was written."),
	F_TEXT(struct entry, unit, "_SYSTEMD_UNIT", 0, 0, "By which unit."),
	F_TEXT(struct entry, about, "UNIT", 0, 0, "About which unit."),
};
static JSON_MESSAGE(entry_message, "JournalEntry", struct entry, entry_rows);

static struct str message_text(struct arena *a, struct str json)
{
	struct canonical_cursor list;
	struct str item, text;
	struct buf bytes = {0};
	int64_t byte;
	if (str_present(json) && canonical_read_text(json, a, &text))
		return text;
	if (!str_present(json) || !canonical_enter_array(json, &list))
		return STR_LIT("");
	while (canonical_next_item(&list, &item))
		if (str_to_int64(item, &byte) && byte >= 0 && byte < 256)
			buf_putc(&bytes, (char)byte);
	text = arena_copy(a, buf_str(&bytes));
	buf_free(&bytes);
	return text;
}

struct reading {
	systemd_line *take;
	void *ctx;
};

static void take_entry(void *ctx, struct str line)
{
	const struct reading *r = ctx;
	struct entry e;
	struct error ignored;
	struct arena a;
	arena_init(&a);
	if (json_read_text(line, &entry_message, &e, &a, &ignored)) {
		struct str unit = str_present(e.about) ? e.about : str_present(e.unit) ? e.unit : STR_LIT("");
		size_t from = str_starts(unit, "tana-") ? 5 : 0, to = unit.n;
		if (to > from + 8 && memcmp(unit.p + to - 8, ".service", 8) == 0)
			to -= 8;
		r->take(r->ctx, str_of(unit.p + from, to - from), message_text(&a, e.message));
	}
	arena_free(&a);
}

bool systemd_logs(struct cli *c, const char *service, bool follow, int64_t lines, systemd_line *take, void *ctx, struct error *err)
{
	const char *unit = service ? arena_printf(&c->arena, "tana-%s.service", service).p : "tana-*.service";
	const char *count = arena_printf(&c->arena, "%lld", (long long)lines).p;
	const char *argv[] = {"journalctl", "-u", unit, "-n", count, NULL, NULL, NULL, NULL, NULL, NULL};
	size_t n = 5;
	struct reading r = {take, ctx};
	int status;
	if (follow)
		argv[n++] = "-f";
	if (!take) {
		execvp(argv[0], (char *const *)(uintptr_t)argv);
		return error_errno(err, ERR_IO, errno, "cannot run journalctl");
	}
	argv[n++] = "--all";
	argv[n++] = "--output=json";
	argv[n] = "--output-fields=MESSAGE,_SYSTEMD_UNIT,UNIT";
	cli_catch_interrupts();
	if (!process_lines(argv, take_entry, &r, &status, err))
		return false;
	if (!cli_interrupted && !(WIFEXITED(status) && WEXITSTATUS(status) == 0))
		return error_set(err, ERR_REFUSED, "journalctl failed.");
	c->status = cli_interrupted == SIGINT ? EXIT_INTERRUPTED : EXIT_DONE;
	return true;
}
