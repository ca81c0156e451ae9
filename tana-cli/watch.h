/* Following the ledger's events on the terminal. */
#ifndef TANA_CLI_WATCH_H
#define TANA_CLI_WATCH_H

#include "cli.h"

/* One event for people; what it makes in the command's arena is gone after it. */
typedef void watch_print(struct cli *c, const char *type, struct str data);
/*
 * Shows events until it is interrupted; connects again when the stream ends, and goes on where it was. Under --json {id, type, data}, one a line, of the
 * type given only (NULL: of all).
 */
MUST_CHECK bool watch_ledger(struct cli *c, const char *type, watch_print *print, struct error *err);

#endif
