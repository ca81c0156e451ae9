/* The logs of services that `tana start` started: their last lines, and what is added to them. */
#ifndef TANA_CLI_LOGS_H
#define TANA_CLI_LOGS_H

#include <stdio.h>

#include "cli.h"

/* Writes the last `lines` lines of a file; *end is the offset after them (NULL: not asked). False: no such file. */
bool log_tail(const char *path, int64_t lines, FILE *to, long *end);
/* Writes what is appended to the file from an offset on, and begins anew when it was rotated or truncated. *at and *inode (0 at first) move on.
 */
void log_follow(const char *path, long *at, unsigned long *inode, FILE *to);

#endif
