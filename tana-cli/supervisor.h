/* `tana start --foreground`: the services as children of this process, started again with backoff when they die, stopped in reverse order when
 * it ends. */
#ifndef TANA_CLI_SUPERVISOR_H
#define TANA_CLI_SUPERVISOR_H

#include "services.h"

/* Runs until SIGINT or SIGTERM; the status is then EXIT_INTERRUPTED or EXIT_DONE. False: it could not start, and what was started is stopped.
 */
MUST_CHECK bool supervise(struct cli *c, int64_t wait_timeout_ms, struct error *err);

#endif
