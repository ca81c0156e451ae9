/*
 * What this user has seen of coordinators before, kept for each chain in known.json of its state folder: the network's name at an address, the
 * coordinator's key, the newest log head and snapshot version that were verified. A coordinator that shows another key, a shorter or a
 * rewritten log, or an older snapshot is found out by it.
 */
#ifndef TANA_CLI_KNOWN_H
#define TANA_CLI_KNOWN_H

#include "cli.h"

struct known_log {
	struct str network;
	struct str coordinator;   /* its key in written form; absent: not seen */
	struct str checkpoint;    /* the signed note; absent: none verified yet */
	int64_t verified_at;      /* when the checkpoint was; 0 */
	int64_t snapshot_version; /* 0: none */
};

/* The network remembered for this address; absent when there is none. */
MUST_CHECK bool known_network(struct cli *c, const char *url, struct str *network, struct error *err);
MUST_CHECK bool known_remember_network(struct cli *c, const char *url, struct str network, struct error *err);
/* What is remembered of a network: all absent when it is new. */
MUST_CHECK bool known_log_get(struct cli *c, struct str network, struct known_log *out, struct error *err);
MUST_CHECK bool known_log_put(struct cli *c, const struct known_log *log, struct error *err);

#endif
