/* start, stop, restart, status: a local network of one's own. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#include "base/file.h"
#include "base/units.h"
#include "commands.h"
#include "logs.h"
#include "output.h"
#include "paths.h"
#include "process.h"
#include "services.h"
#include "supervisor.h"
#include "systemd.h"

enum { FAILED_LOG_LINES = 15 };

/* Two people starting or stopping one chain at once take turns. The lock goes with the process. */
static bool take_turn(struct cli *c, struct error *err)
{
	const char *path = path_state(&c->arena, cli_chain(c), "run/turn.lock");
	if (!file_make_dirs(path_state(&c->arena, cli_chain(c), "run"), 0700, err))
		return false;
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || flock(fd, LOCK_EX) != 0)
		return error_errno(err, ERR_IO, errno, "cannot lock %s", path);
	return true;
}

static void show_last_lines(struct cli *c, const struct service *s)
{
	const char *path = service_log_path(c, s->name);
	note(c, "The last lines of %s:", path_short(&c->arena, path));
	if (!c->quiet)
		log_tail(path, FAILED_LOG_LINES, stderr, NULL);
}

/* Starts one service and waits for it. *started: it was not running before. */
static bool start_one(struct cli *c, const struct service *s, const struct service_launch *launch, bool *started, struct error *err)
{
	pid_t pid;
	if (!service_spawn(c, s, launch, true, &pid, err))
		return false;
	*started = true;
	if (service_wait_ready(c, s, pid, option_int(c->in, "wait-timeout"), err)) {
		say(c, "Started %s on %s (process %d).", s->name, service_running_url(c, s->name), (int)pid);
		return true;
	}
	show_last_lines(c, s);
	return false;
}

static void stop_started(struct cli *c, const bool *started)
{
	cli_interrupted = 0; /* a further signal cuts the waiting short */
	for (size_t n = service_count(); n-- > 0;) {
		struct error err;
		/* One that failed has ended by itself. */
		if (!started[n] || !process_runs(service_lock_path(c, services[n].name)))
			continue;
		if (service_stop(c, services[n].name, option_int(c->in, "wait-timeout"), &err))
			say(c, "Stopped %s again.", services[n].name);
		else
			program_fail(c->in, &err);
	}
}

static bool start_background(struct cli *c, struct error *err)
{
	bool started[SERVICES_MAX] = {false};
	if (!take_turn(c, err))
		return false;
	cli_catch_interrupts();
	for (size_t i = 0; services[i].name; i++) {
		struct service_launch launch;
		struct service_record running;
		if (service_running(c, services[i].name, &running)) {
			say(c, "%s runs already on %.*s (process %lld).", services[i].name, STR_ARG(running.url), (long long)running.pid);
			continue;
		}
		if (service_plan(c, &services[i], &launch, err) && start_one(c, &services[i], &launch, &started[i], err))
			continue;
		stop_started(c, started);
		return false;
	}
	return true;
}

struct status_row {
	struct str service, state, url, version;
	int64_t pid, uptime_ms;
};
struct status_list {
	struct json_list services;
};
static const struct json_field status_rows[] = {
	F_TEXT(struct status_row, service, "service", 0, 0, ""),
	F_TEXT(struct status_row, state, "state", 0, 0, "ready, starting or stopped"),
	F_INT(struct status_row, pid, "pid", JSON_NULL_WHEN_ABSENT, 0, 0, ""),
	F_INT(struct status_row, uptime_ms, "uptimeMs", JSON_NULL_WHEN_ABSENT, 0, 0, ""),
	F_TEXT(struct status_row, url, "url", JSON_NULL_WHEN_ABSENT, 0, ""),
	F_TEXT(struct status_row, version, "version", JSON_NULL_WHEN_ABSENT, 0, ""),
};
static JSON_MESSAGE(status_row_message, "ServiceStatus", struct status_row, status_rows);
static const struct json_field status_list_rows[] = {F_LIST(struct status_list, services, "services", 0, 0, &status_row_message, "")};
static JSON_MESSAGE(status_list_message, "Status", struct status_list, status_list_rows);

static struct status_row status_of(struct cli *c, const struct service *s)
{
	struct status_row row = {.service = str_from(s->name),
				 .state = STR_LIT("stopped"),
				 .pid = JSON_INT_ABSENT,
				 .uptime_ms = JSON_INT_ABSENT};
	struct service_record r;
	struct error why;
	if (!service_running(c, s->name, &r))
		return row;
	bool ready = service_ready(r.url.p, &why);
	row.state = ready ? STR_LIT("ready") : arena_printf(&c->arena, "not ready: %s", why.message);
	row.pid = r.pid;
	row.uptime_ms = process_age_ms((pid_t)r.pid);
	row.url = r.url;
	row.version = ready ? service_version(c, r.url.p) : STR_NONE;
	return row;
}

static struct status_list gather_status(struct cli *c, bool *all_ready)
{
	size_t n = service_count();
	struct status_row *rows = arena_zalloc(&c->arena, n, sizeof *rows);
	*all_ready = true;
	for (size_t i = 0; i < n; i++) {
		rows[i] = status_of(c, &services[i]);
		*all_ready = *all_ready && str_is(rows[i].state, "ready");
	}
	return (struct status_list){{rows, n}};
}

/* The same of the units, where systemd is in charge. What they listen on is their own affair. */
static bool gather_units(struct cli *c, struct status_list *out, bool *all_ready, struct error *err)
{
	struct systemd_unit units[SERVICES_MAX];
	size_t n;
	if (!systemd_units(c, units, &n, err))
		return false;
	struct status_row *rows = arena_zalloc(&c->arena, n, sizeof *rows);
	*all_ready = n > 0;
	for (size_t i = 0; i < n; i++) {
		bool has_pid = units[i].pid > 0;
		rows[i] = (struct status_row){.service = str_from(units[i].service),
					      .state = units[i].state,
					      .pid = has_pid ? units[i].pid : JSON_INT_ABSENT,
					      .uptime_ms = has_pid ? process_age_ms((pid_t)units[i].pid) : JSON_INT_ABSENT};
		*all_ready = *all_ready && units[i].as_wanted;
	}
	*out = (struct status_list){{rows, n}};
	return true;
}

/* start, stop and restart by systemd. */
static bool drive(struct cli *c, const char *verb, struct error *err)
{
	struct status_list list;
	bool ready;
	size_t running = 0;
	if (!c->json)
		return systemd_drive(c, verb, err);
	if (!gather_units(c, &list, &ready, err))
		return false;
	const struct status_row *before = list.services.items;
	for (size_t i = 0; i < list.services.count; i++)
		running += !str_is(before[i].state, "stopped");
	if (!systemd_drive(c, verb, err) || !gather_units(c, &list, &ready, err))
		return false;
	if (strcmp(verb, "stop") == 0)
		printf("{\"stopped\":%zu}\n", running);
	else
		json_print(&status_list_message, &list);
	return true;
}

static void print_status(struct cli *c, const struct status_list *list)
{
	static const struct column columns[] = {{"SERVICE", ALIGN_LEFT}, {"STATE", ALIGN_LEFT},   {"PID", ALIGN_RIGHT},
						{"UPTIME", ALIGN_RIGHT}, {"ADDRESS", ALIGN_LEFT}, {"VERSION", ALIGN_LEFT}};
	struct table t;
	const struct status_row *rows = list->services.items;
	table_begin(&t, &c->arena, columns, ARRAY_LEN(columns));
	for (size_t i = 0; i < list->services.count; i++) {
		const struct status_row *r = &rows[i];
		bool ready = str_is(r->state, "ready"), stopped = str_is(r->state, "stopped");
		char uptime[UNITS_TEXT_SIZE] = "";
		if (!stopped)
			units_format_duration(r->uptime_ms, uptime);
		table_cell(&t, TINT_BOLD, r->service);
		table_cell(&t, ready ? TINT_GOOD : stopped ? TINT_DIM : TINT_BAD, r->state);
		if (stopped)
			table_cell(&t, TINT_NONE, STR_NONE);
		else
			table_cellf(&t, TINT_NONE, "%lld", (long long)r->pid);
		table_cell(&t, TINT_NONE, str_from(uptime));
		table_cell(&t, TINT_NONE, r->url);
		table_cell(&t, TINT_NONE, r->version);
	}
	table_print(&t);
}

static bool start(struct cli *c, struct error *err)
{
	if (!option_bool(c->in, "dev") && !option_bool(c->in, "foreground") && systemd_in_charge(c))
		return drive(c, "start", err);
	if (process_runs(service_lock_path(c, "supervisor"))) {
		error_set(err, ERR_WRONG_STATE, "This chain runs in the foreground of another tana start.");
		return error_hint(err, "tana status, or stop it first: tana stop");
	}
	if (option_bool(c->in, "foreground"))
		return supervise(c, option_int(c->in, "wait-timeout"), err);
	if (!start_background(c, err))
		return false;
	if (c->json) {
		bool ready;
		struct status_list list = gather_status(c, &ready);
		json_print(&status_list_message, &list);
	}
	say(c, "See who is in the network: tana mesh list --all; store a file: tana content put FILE");
	return true;
}

static bool stop_all(struct cli *c, size_t *stopped, struct error *err)
{
	int64_t timeout = option_int(c->in, "wait-timeout");
	*stopped = 0;
	cli_catch_interrupts();
	if (process_runs(service_lock_path(c, "supervisor"))) {
		if (!service_stop(c, "supervisor", timeout, err))
			return false;
		say(c, "Stopped the tana start in the foreground, and its services.");
		++*stopped;
	}
	for (size_t n = service_count(); n-- > 0;) {
		const char *name = services[n].name;
		if (!process_runs(service_lock_path(c, name)))
			continue;
		if (!service_stop(c, name, timeout, err))
			return false;
		say(c, "Stopped %s.", name);
		++*stopped;
	}
	return true;
}

static bool stop(struct cli *c, struct error *err)
{
	size_t stopped;
	if (systemd_in_charge(c))
		return drive(c, "stop", err);
	if (!take_turn(c, err) || !stop_all(c, &stopped, err))
		return false;
	if (stopped == 0)
		say(c, "Nothing was running.");
	if (c->json)
		printf("{\"stopped\":%zu}\n", stopped);
	return true;
}

/* Starts again what was started last, with the same options. */
static bool restart(struct cli *c, struct error *err)
{
	size_t stopped, known = 0;
	bool started[SERVICES_MAX] = {false};
	if (systemd_in_charge(c))
		return drive(c, "restart", err);
	if (process_runs(service_lock_path(c, "supervisor"))) {
		error_set(err, ERR_WRONG_STATE, "This chain runs in the foreground of another tana start.");
		return error_hint(err, "end that one with Ctrl-C and start it again");
	}
	if (!take_turn(c, err) || !stop_all(c, &stopped, err))
		return false;
	for (size_t i = 0; services[i].name; i++) {
		struct service_record r;
		struct service_launch launch;
		if (!service_record_read(c, services[i].name, &r))
			continue;
		known++;
		if (service_launch_of(c, &r, &launch, err) && start_one(c, &services[i], &launch, &started[i], err))
			continue;
		stop_started(c, started);
		return false;
	}
	if (known == 0) {
		error_set(err, ERR_WRONG_STATE, "Chain %s was never started.", cli_chain(c));
		return error_hint(err, "tana start --dev%s", cli_chain_flag(c));
	}
	if (c->json) {
		bool ready;
		struct status_list list = gather_status(c, &ready);
		json_print(&status_list_message, &list);
	}
	return true;
}

static bool status(struct cli *c, struct error *err)
{
	struct status_list list;
	bool all_ready, by_systemd = systemd_in_charge(c);
	if (by_systemd && !c->json)
		return systemd_drive(c, "status", err);
	if (!by_systemd)
		list = gather_status(c, &all_ready);
	else if (!gather_units(c, &list, &all_ready, err))
		return false;
	if (c->json)
		json_print(&status_list_message, &list);
	else
		print_status(c, &list);
	if (!all_ready) {
		c->status = EXIT_UNHEALTHY;
		const char *chain = cli_chain_flag(c);
		hint(c, "start what is stopped: tana start%s%s; see why: tana logs%s", by_systemd ? "" : " --dev", chain, chain);
	}
	return true;
}

int cmd_start(struct invocation *in)
{
	return cli_run(in, start);
}

int cmd_stop(struct invocation *in)
{
	return cli_run(in, stop);
}

int cmd_restart(struct invocation *in)
{
	return cli_run(in, restart);
}

int cmd_status(struct invocation *in)
{
	return cli_run(in, status);
}
