/* logs: what the services of a local network wrote. */
#include <stdio.h>

#include "commands.h"
#include "logs.h"
#include "services.h"
#include "systemd.h"

enum { FOLLOW_MS = 200 };

struct followed {
	const char *path;
	long at;
	unsigned long inode;
};

static bool logs(struct cli *c, struct error *err)
{
	const char *only = invocation_arg(c->in, "service");
	int64_t lines = option_int(c->in, "lines");
	struct followed files[SERVICES_MAX];
	size_t n = 0;
	if (only && !service_named(only)) {
		error_set(err, ERR_USAGE, "There is no service '%s'.", only);
		return error_hint(err, "tana status lists them");
	}
	if (systemd_in_charge(c))
		return systemd_logs(c, only, option_bool(c->in, "follow"), lines, err);
	for (const struct service *s = services; s->name; s++) {
		struct followed f = {.path = service_log_path(c, s->name)};
		if (only && service_named(only) != s)
			continue;
		if (log_tail(f.path, lines, stdout, &f.at) || option_bool(c->in, "follow"))
			files[n++] = f;
	}
	if (n == 0) {
		error_set(err, ERR_NOT_FOUND, "Chain %s has no log%s%s yet.", cli_chain(c), only ? " of " : "", only ? only : "");
		return error_hint(err, "a network started with --foreground logs to its terminal; start one in the background: tana start --dev");
	}
	if (!option_bool(c->in, "follow"))
		return true;
	cli_catch_interrupts();
	while (cli_sleep(FOLLOW_MS))
		for (size_t i = 0; i < n; i++)
			log_follow(files[i].path, &files[i].at, &files[i].inode, stdout);
	c->status = EXIT_INTERRUPTED;
	return true;
}

int cmd_logs(struct invocation *in)
{
	return cli_run(in, logs);
}
