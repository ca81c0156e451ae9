/* doctor: what a person would look at first when something does not work. */
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/units.h"
#include "chain_file.h"
#include "commands.h"
#include "daemon/daemon.h"
#include "keystore.h"
#include "ledger.h"
#include "output.h"
#include "paths.h"
#include "process.h"
#include "services.h"
#include "tailscale.h"

enum {
	FINDINGS_MAX = 64,
	VERSION_MAX = 4096,
	SKEW_WARN_MS = 5 * 1000, /* annoying */
	SKEW_BAD_MS = 60 * 1000  /* heartbeats are refused */
};
#define DISK_WARN_BYTES (INT64_C(1) << 30)
#define DISK_BAD_BYTES (INT64_C(64) << 20)

enum verdict { FINE, ODD, BROKEN };
struct finding {
	struct str check, state, detail, remedy;
};
struct findings {
	struct cli *c;
	struct finding items[FINDINGS_MAX];
	size_t count;
	bool broken;
};

static const struct json_field finding_rows[] = {
	F_TEXT(struct finding, check, "check", 0, 0, "What was looked at."),
	F_TEXT(struct finding, state, "state", 0, 0, "ok, odd or broken"),
	F_TEXT(struct finding, detail, "detail", 0, 0, "What was found."),
	F_TEXT(struct finding, remedy, "hint", 0, 0, "What to do."),
};
static JSON_MESSAGE(finding_message, "Finding", struct finding, finding_rows);
struct finding_list {
	struct json_list findings;
};
static const struct json_field finding_list_rows[] = {
	F_LIST(struct finding_list, findings, "findings", JSON_REQUIRED, 0, &finding_message, "Each check.")};
static JSON_MESSAGE(finding_list_message, "Findings", struct finding_list, finding_list_rows);

static void found(struct findings *f, const char *check, enum verdict v, struct str detail, struct str remedy)
{
	static const char *const states[] = {[FINE] = "ok", [ODD] = "odd", [BROKEN] = "broken"};
	if (f->count == FINDINGS_MAX)
		return;
	f->items[f->count++] = (struct finding){str_from(check), str_from(states[v]), detail, remedy};
	f->broken = f->broken || v == BROKEN;
}

static void check_binary(struct findings *f, const struct service *s)
{
	struct cli *c = f->c;
	struct error err;
	struct buf text = {0};
	int status = 0;
	const char *path = service_binary(c, s, &err);
	if (!path) {
		found(f, s->binary, BROKEN, arena_copy(&c->arena, str_from(err.message)), arena_copy(&c->arena, str_from(err.hint)));
		return;
	}
	const char *argv[] = {path, "--version", NULL};
	bool ok = process_capture(argv, VERSION_MAX, &text, &status, &err) && WIFEXITED(status) && WEXITSTATUS(status) == 0;
	struct str line = str_of(buf_z(&text), strcspn(buf_z(&text), "\n"));
	const char *want = arena_printf(&c->arena, "%s %s (commit %s)", s->binary, tana_version(), tana_commit()).p;
	if (!ok)
		found(f, s->binary, BROKEN, arena_printf(&c->arena, "%s does not run", path), STR_NONE);
	else if (!str_is(line, want))
		found(f, s->binary, ODD,
		      arena_printf(&c->arena, "%.*s, while this is tana %s (commit %s)", STR_ARG(line), tana_version(), tana_commit()),
		      STR_LIT("build or install both from one version"));
	else
		found(f, s->binary, FINE, arena_printf(&c->arena, "%.*s, %s", STR_ARG(line), path), STR_NONE);
	buf_free(&text);
}

static void check_service(struct findings *f, const struct service *s)
{
	struct cli *c = f->c;
	struct service_record r;
	struct error err;
	if (!service_running(c, s->name, &r))
		found(f, s->name, ODD, arena_printf(&c->arena, "not started here (chain %s)", cli_chain(c)),
		      STR_LIT("fine if it runs elsewhere; else: tana start"));
	else if (service_ready(r.url.p, &err))
		found(f, s->name, FINE, arena_printf(&c->arena, "ready on %.*s", STR_ARG(r.url)), STR_NONE);
	else
		found(f, s->name, BROKEN, arena_copy(&c->arena, str_from(err.message)), arena_printf(&c->arena, "tana logs %s", s->name));
}

/* The coordinator's clock beside ours, with half the round trip taken off. */
static void check_coordinator(struct findings *f)
{
	struct cli *c = f->c;
	struct error err;
	struct mesh_about about;
	const char *origin, *url = cli_service_url(c, "mesh", &origin);
	if (!cli_mesh(c, &err) || !mesh_client_about(c->mesh, &c->arena, &about, &err)) {
		found(f, "coordinator", BROKEN, arena_printf(&c->arena, "%s (%s): %s", url, origin, err.message),
		      STR_LIT("tana start, or name another: --mesh-url URL"));
		return;
	}
	found(f, "coordinator", FINE, arena_printf(&c->arena, "network %.*s at %s (%s)", STR_ARG(about.network), url, origin), STR_NONE);
	int64_t before = clock_wall_ms(); /* asked again: the first call also connected */
	if (!mesh_client_about(c->mesh, &c->arena, &about, &err) || about.time == JSON_INT_ABSENT)
		return;
	int64_t now = clock_wall_ms(), off = about.time - (before + now) / 2;
	int64_t size = off < 0 ? -off : off;
	char text[UNITS_TEXT_SIZE];
	units_format_duration(size, text);
	found(f, "clock",
	      size > SKEW_BAD_MS    ? BROKEN
	      : size > SKEW_WARN_MS ? ODD
				    : FINE,
	      size < 1000 ? STR_LIT("agrees with the coordinator's")
			  : arena_printf(&c->arena, "%s %s the coordinator's", text, off > 0 ? "behind" : "ahead of"),
	      size > SKEW_WARN_MS ? STR_LIT("let the system keep time: sudo timedatectl set-ntp true") : STR_NONE);
}

/* The chain that the ledger keeps: is it the one this user knows, and is it well? */
static void check_chain(struct findings *f)
{
	struct cli *c = f->c;
	struct arena *a = &c->arena;
	struct error err;
	struct ledger_status s;
	struct chain_file known;
	const char *origin, *url = cli_service_url(c, "ledger", &origin);
	bool named = strcmp(origin, "default") != 0;
	if (!ledger_open(c, &err) || !ledger_client_status(c->ledger, a, &s, &err)) {
		found(f, "chain", named ? BROKEN : ODD, arena_printf(a, "%s (%s): %s", url, origin, err.message),
		      STR_LIT("tana start, or name another ledger: --ledger-url URL"));
		return;
	}
	if (chain_file_read(c, &known, &err) && str_present(known.genesis_hash) && !str_equal(known.genesis_hash, s.genesis_hash)) {
		found(f, "chain", BROKEN, arena_printf(a, "%s keeps chain %.*s, which is not the one in %s", url, STR_ARG(s.chain_id),
						       path_short(a, path_chain(a, cli_chain(c)))),
		      STR_LIT("name the right ledger: --ledger-url URL; or another chain of yours: --chain NAME"));
		return;
	}
	struct str what = arena_printf(a, "%.*s at %s (%s), block %lld of %.*s, %lld waiting", STR_ARG(s.chain_id), url, origin, (long long)s.height,
				       STR_ARG(when(a, s.timestamp)), (long long)s.pending);
	if (str_is(s.audit, "failed"))
		found(f, "chain", BROKEN, arena_printf(a, "%.*s; its state is not what its blocks say", STR_ARG(what)), STR_LIT("tana verify --only ledger"));
	else if (s.following && str_present(s.following->problem))
		found(f, "chain", BROKEN, arena_printf(a, "%.*s; it follows %.*s no more: %.*s", STR_ARG(what), STR_ARG(s.following->url),
						       STR_ARG(s.following->problem)), STR_LIT("tana logs ledger"));
	else if (s.producing != JSON_TRUE && !s.following)
		found(f, "chain", ODD, arena_printf(a, "%.*s; it makes no blocks", STR_ARG(what)),
		      STR_LIT("is its validator of the set? tana validator list"));
	else
		found(f, "chain", FINE, what, STR_NONE);
}

static void check_keys(struct findings *f)
{
	struct cli *c = f->c;
	struct keystore_list keys = keystore_list(c);
	size_t problems = 0;
	for (size_t i = 0; i < keys.count; i++)
		if (keys.items[i].problem) {
			found(f, "key file", BROKEN, str_from(keys.items[i].problem), STR_LIT("tana config check"));
			problems++;
		}
	if (problems == 0)
		found(f, "key files", FINE,
		      arena_printf(&c->arena, "%zu in %s", keys.count, path_short(&c->arena, path_config(&c->arena, "%s", ""))), STR_NONE);
}

static void check_disk(struct findings *f)
{
	struct cli *c = f->c;
	struct statvfs v;
	const char *path = path_state(&c->arena, cli_chain(c), "%s", "");
	char text[UNITS_TEXT_SIZE];
	if (!file_exists(path) || statvfs(path, &v) != 0)
		path = "/";
	if (statvfs(path, &v) != 0)
		return;
	int64_t left = (int64_t)v.f_bavail * (int64_t)v.f_frsize;
	units_format_size(left, text);
	found(f, "disk",
	      left < DISK_BAD_BYTES    ? BROKEN
	      : left < DISK_WARN_BYTES ? ODD
				       : FINE,
	      arena_printf(&c->arena, "%s free for %s", text, path_short(&c->arena, path)),
	      left < DISK_WARN_BYTES ? STR_LIT("make room") : STR_NONE);
}

static void check_tailscale(struct findings *f)
{
	struct tailscale_self self;
	struct error err;
	struct arena *a = &f->c->arena;
	if (tailscale_self(a, &self, &err))
		found(f, "tailscale", FINE, arena_printf(a, "%.*s, %.*s", STR_ARG(self.hostname), STR_ARG(self.ip)), STR_NONE);
	else
		found(f, "tailscale", ODD, arena_copy(a, str_from(err.message)), arena_copy(a, str_from(err.hint)));
}

static void print_findings(struct cli *c, const struct findings *f)
{
	static const struct column columns[] = {{"CHECK", ALIGN_LEFT}, {"STATE", ALIGN_LEFT}, {"FOUND", ALIGN_LEFT}};
	struct table t;
	table_begin(&t, &c->arena, columns, ARRAY_LEN(columns));
	for (size_t i = 0; i < f->count; i++) {
		const struct finding *x = &f->items[i];
		bool ok = str_is(x->state, "ok"), broken = str_is(x->state, "broken");
		table_cell(&t, TINT_NONE, x->check);
		table_cell(&t, ok ? TINT_GOOD : broken ? TINT_BAD : TINT_WARN, x->state);
		table_cell(&t, TINT_NONE, x->detail);
	}
	table_print(&t);
	fflush(stdout);
	for (size_t i = 0; i < f->count; i++)
		if (str_present(f->items[i].remedy))
			hint(c, "%.*s: %.*s", STR_ARG(f->items[i].check), STR_ARG(f->items[i].remedy));
}

static bool doctor(struct cli *c, struct error *err)
{
	struct findings f = {.c = c};
	(void)err;
	for (const struct service *s = services; s->name; s++) {
		check_binary(&f, s);
		check_service(&f, s);
	}
	check_coordinator(&f);
	check_chain(&f);
	check_keys(&f);
	check_disk(&f);
	check_tailscale(&f);
	if (c->json)
		json_print(&finding_list_message, &(struct finding_list){{f.items, f.count}});
	else
		print_findings(c, &f);
	if (f.broken)
		c->status = EXIT_UNHEALTHY;
	return true;
}

int cmd_doctor(struct invocation *in)
{
	return cli_run(in, doctor);
}
