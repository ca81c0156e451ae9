/*
 * Where the packages' units are installed, `tana start|stop|restart|status|logs` drives systemd instead of starting processes of its own. That
 * holds for the default chain only, and not with --dev or --foreground: those ask for a network of this user's own, and while it runs the others
 * are about that one.
 */
#ifndef TANA_CLI_SYSTEMD_H
#define TANA_CLI_SYSTEMD_H

#include "cli.h"

/* Is systemd running here, does it have tana.target, and does nothing run that was started without it? */
bool systemd_in_charge(struct cli *c);
/* Runs `systemctl <verb> tana.target` (status: the units of the target), c->status is its exit status. */
MUST_CHECK bool systemd_drive(struct cli *c, const char *verb, struct error *err);
/* Becomes `journalctl -u tana-<service>` (NULL: all of them). Returns only on failure. */
bool systemd_logs(struct cli *c, const char *service, bool follow, int64_t lines, struct error *err);

#endif
