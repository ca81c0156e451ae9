/* One option's value as text: is it what its row asks for, and how is it shown. Private to this room. */
#ifndef TANA_DAEMON_VALUE_H
#define TANA_DAEMON_VALUE_H

#include "base/buf.h"
#include "command.h"

/*
 * Checks one value (of a repeatable option: one of them). *number is the value of INT, SIZE (bytes), DURATION (ms) and BOOL (0, 1),
 * otherwise 0. On failure the message begins with `origin` and does not show values of OPTION_SECRET rows; `code` is ERR_USAGE or
 * ERR_CONFIG.
 */
MUST_CHECK bool value_check(const struct option_row *row, const char *value, const char *origin, enum error_code code, int64_t *number,
		 struct error *err);

/* The bounds that a row means. */
void value_bounds(const struct option_row *row, int64_t *min, int64_t *max);
/* A number as the row's type is written: "64k", "90s", "7". */
void value_put_number(struct buf *out, const struct option_row *row, int64_t number);
/* The value with passwords replaced by "***": those of URLs (scheme://user:password@host) and of `password=` parameters. */
void value_put_redacted(struct buf *out, const char *value);

#endif
