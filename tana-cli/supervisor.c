#include "supervisor.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "output.h"
#include "paths.h"
#include "process.h"

enum {
	BACKOFF_FIRST_MS = 500,
	BACKOFF_MAX_MS = 30 * 1000,
	WELL_AFTER_MS = 60 * 1000, /* a service that ran so long is well again: the next death waits the shortest time */
	STOP_TIMEOUT_MS = 15 * 1000
};

struct child {
	const struct service *service;
	struct service_launch launch;
	pid_t pid;                                     /* 0: not running */
	int64_t started_ms, restart_at_ms, backoff_ms; /* monotonic */
};
struct children {
	struct child items[SERVICES_MAX];
	size_t count;
};

static void stop_children(struct cli *c, struct children *f)
{
	cli_interrupted = 0; /* a further signal cuts the waiting short */
	for (size_t i = f->count; i-- > 0;) {
		struct child *ch = &f->items[i];
		struct error err;
		if (ch->pid == 0)
			continue;
		note(c, "Stopping %s ...", ch->service->name);
		if (!service_stop(c, ch->service->name, STOP_TIMEOUT_MS, &err))
			program_fail(c->in, &err);
		else
			waitpid(ch->pid, NULL, 0);
		ch->pid = 0;
	}
}

static bool start_child(struct cli *c, struct child *ch, struct error *err)
{
	ch->started_ms = clock_mono_ms();
	return service_spawn(c, ch->service, &ch->launch, false, &ch->pid, err);
}

static bool start_all(struct cli *c, struct children *f, int64_t wait_timeout_ms, struct error *err)
{
	for (const struct service *s = services; s->name; s++) {
		struct child *ch = &f->items[f->count];
		*ch = (struct child){.service = s, .backoff_ms = BACKOFF_FIRST_MS};
		if (!service_plan(c, s, &ch->launch, err))
			return false;
		f->count++;
		if (!start_child(c, ch, err) || !service_wait_ready(c, s, ch->pid, wait_timeout_ms, err))
			return false;
		note(c, "%s is ready on %s", s->name, service_running_url(c, s->name));
	}
	return true;
}

static void note_death(struct cli *c, struct child *ch, int status)
{
	int64_t now = clock_mono_ms();
	if (now - ch->started_ms >= WELL_AFTER_MS)
		ch->backoff_ms = BACKOFF_FIRST_MS;
	const char *how = WIFSIGNALED(status) ? "was killed by signal" : "ended with status";
	note(c, "%s %s %d; starting it again in %.1f s", ch->service->name, how, WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
	     (double)ch->backoff_ms / 1000);
	ch->pid = 0;
	ch->restart_at_ms = now + ch->backoff_ms;
	ch->backoff_ms = ch->backoff_ms * 2 < BACKOFF_MAX_MS ? ch->backoff_ms * 2 : BACKOFF_MAX_MS;
}

static void reap(struct cli *c, struct children *f)
{
	for (size_t i = 0; i < f->count; i++) {
		int status;
		if (f->items[i].pid > 0 && waitpid(f->items[i].pid, &status, WNOHANG) == f->items[i].pid)
			note_death(c, &f->items[i], status);
	}
}

static void restart_due(struct cli *c, struct children *f)
{
	for (size_t i = 0; i < f->count; i++) {
		struct child *ch = &f->items[i];
		struct error err;
		if (ch->pid != 0 || clock_mono_ms() < ch->restart_at_ms)
			continue;
		if (!start_child(c, ch, &err)) {
			program_fail(c->in, &err);
			ch->pid = 0;
			ch->restart_at_ms = clock_mono_ms() + ch->backoff_ms;
		}
	}
}

/* `tana stop` finds us by this record and lock, and leaves the children to us. */
static bool write_own_record(struct cli *c, struct error *err)
{
	struct service_record r = {.pid = getpid(),
				   .start_ticks = process_start_ticks(getpid()),
				   .started_at = clock_wall_ms(),
				   .url = STR_LIT("")};
	return file_make_dirs(path_state(&c->arena, cli_chain(c), "run"), 0700, err) &&
	       process_lock_self(service_lock_path(c, "supervisor"), err) && service_record_write(c, "supervisor", &r, err);
}

bool supervise(struct cli *c, int64_t wait_timeout_ms, struct error *err)
{
	enum { TURN_MS = 200 };
	struct children f = {0};
	if (!write_own_record(c, err))
		return false;
	cli_catch_interrupts();
	if (!start_all(c, &f, wait_timeout_ms, err)) {
		stop_children(c, &f);
		return false;
	}
	note(c, "Everything runs; Ctrl-C stops it.");
	while (cli_sleep(TURN_MS)) {
		reap(c, &f);
		restart_due(c, &f);
	}
	int signal_number = cli_interrupted;
	stop_children(c, &f);
	c->status = signal_number == SIGINT ? EXIT_INTERRUPTED : EXIT_DONE;
	return true;
}
