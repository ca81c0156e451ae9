#include "systemd.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "output.h"
#include "process.h"
#include "services.h"

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

static bool run(const char *const *argv, int *status, struct error *err)
{
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, status, 0) != pid)
		return error_errno(err, ERR_IO, errno, "cannot run %s", argv[0]);
	return true;
}

bool systemd_drive(struct cli *c, const char *verb, struct error *err)
{
	bool all = strcmp(verb, "status") == 0;
	const char *argv[] = {"systemctl", verb, "tana.target", all ? "tana-*.service" : NULL, NULL};
	int status = 0;
	note(c, "systemd is in charge here: systemctl %s tana.target", verb);
	if (!run(argv, &status, err))
		return false;
	c->status = WIFEXITED(status) && WEXITSTATUS(status) == 0 ? EXIT_DONE : all ? EXIT_UNHEALTHY : EXIT_FAILED;
	return true;
}

bool systemd_logs(struct cli *c, const char *service, bool follow, int64_t lines, struct error *err)
{
	const char *unit = service ? arena_printf(&c->arena, "tana-%s.service", service).p : "tana-*.service";
	const char *count = arena_printf(&c->arena, "%lld", (long long)lines).p;
	const char *argv[] = {"journalctl", "-u", unit, "-n", count, follow ? "-f" : NULL, NULL};
	execvp(argv[0], (char *const *)(uintptr_t)argv);
	return error_errno(err, ERR_IO, errno, "cannot run journalctl");
}
