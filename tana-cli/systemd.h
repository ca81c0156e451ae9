/*
 * Where the packages' units are installed, `tana start|stop|restart|status|logs` drives systemd instead of starting processes of its own. That
 * holds for the default chain only, and not with --dev or --foreground: those ask for a network of this user's own.
 */
#ifndef TANA_CLI_SYSTEMD_H
#define TANA_CLI_SYSTEMD_H

#include "cli.h"

/* Is systemd running here, and does it have tana.target? */
bool systemd_in_charge(const struct cli *c);
/* Runs `systemctl <verb> tana.target` (status: the units of the target), c->status is its exit status. */
MUST_CHECK bool systemd_drive(struct cli *c, const char *verb, struct error *err);
/* Becomes `journalctl -u tana-<service>` (NULL: all of them). Returns only on failure. */
bool systemd_logs(struct cli *c, const char *service, bool follow, int64_t lines, struct error *err);

#endif
