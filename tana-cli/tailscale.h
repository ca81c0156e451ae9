/* What Tailscale calls this machine: `tailscale status --json`. */
#ifndef TANA_CLI_TAILSCALE_H
#define TANA_CLI_TAILSCALE_H

#include "base/arena.h"
#include "base/error.h"

struct tailscale_self {
	struct str hostname; /* "machine.tailnet.ts.net", without the final dot */
	struct str ip;       /* the first address, IPv4 where there is one */
};
/* ERR_UNAVAILABLE: not installed, not running, not logged in; each with what to do. */
MUST_CHECK bool tailscale_self(struct arena *arena, struct tailscale_self *out, struct error *err);

#endif
