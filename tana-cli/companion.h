/*
 * The commands that daemons have beside serving (`ledgerd verify`, `meshd verify`, `t4d scrub`), run on the very data that a service of this chain was
 * last started with. Where systemd is in charge they read their configuration file as the units do.
 */
#ifndef TANA_CLI_COMPANION_H
#define TANA_CLI_COMPANION_H

#include "services.h"

/* The command line of `<daemon> <command>` with the options that say where the data is. ERR_WRONG_STATE when the service was never started here. */
MUST_CHECK bool companion_plan(struct cli *c, const char *service, const char *command, struct service_launch *out, struct error *err);

#endif
