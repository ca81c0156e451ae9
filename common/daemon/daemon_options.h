/* What daemon_options mean to the log and the HTTP server. Private to this room. */
#ifndef TANA_DAEMON_DAEMON_OPTIONS_H
#define TANA_DAEMON_DAEMON_OPTIONS_H

#include "base/log.h"
#include "daemon.h"

enum log_level daemon_log_level(const struct invocation *in);
/* The fields of *http that options and this build decide; the others are left alone. */
void daemon_fill_http(const struct invocation *in, struct http_options *http);

#endif
