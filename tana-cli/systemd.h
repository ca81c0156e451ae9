/*
 * Where the packages' units are installed, `tana start|stop|restart|status|logs` drives systemd instead of starting processes of its own. That
 * holds for the default chain only, and not with --dev or --foreground: those ask for a network of this user's own, and while it runs the others
 * are about that one.
 */
#ifndef TANA_CLI_SYSTEMD_H
#define TANA_CLI_SYSTEMD_H

#include "services.h"

/* Is systemd running here, does it have tana.target, and does nothing run that was started without it? */
bool systemd_in_charge(struct cli *c);
/* Runs `systemctl <verb> tana.target` (status: the units of the target, as systemctl prints them; c->status is EXIT_UNHEALTHY when one is not active). ERR_REFUSED when
 * it fails. */
MUST_CHECK bool systemd_drive(struct cli *c, const char *verb, struct error *err);

struct systemd_unit {
	const char *service; /* a service's name */
	struct str state;    /* ready, stopped, or "not ready: failed" */
	int64_t pid;         /* 0: none */
	bool as_wanted;      /* it runs, or nobody enabled it */
};
/* The units of services that are installed, in the order of the services. Strings in the arena. */
MUST_CHECK bool systemd_units(struct cli *c, struct systemd_unit out[SERVICES_MAX], size_t *count, struct error *err);

/* `journalctl -u tana-<service>` (NULL: all of them). Without `take` this process becomes it, and only a failure returns; else each line is handed on, and c->status
 * is set when it was ended by a signal. */
typedef void systemd_line(void *ctx, struct str service, struct str line);
MUST_CHECK bool systemd_logs(struct cli *c, const char *service, bool follow, int64_t lines, systemd_line *take, void *ctx, struct error *err);

#endif
