/*
 * Heartbeats: every two minutes (at once after the start, then jittered) this node tells mesh that it lives, how its services are and how far its
 * chain is, signed in full with the node's key.
 */
#ifndef TANA_LEDGERD_HEARTBEAT_H
#define TANA_LEDGERD_HEARTBEAT_H

#include "base/error.h"
#include "crypto/ed25519.h"

struct heartbeat;
struct heartbeat_options {
	const char *mesh_url;
	struct str node_id;
	const struct ed25519_secret *node_key; /* lives as long */
	const char *t4_url, *identity_url;     /* the node's other services; NULL: not there */
	const char *user_agent, *version;
	int64_t interval_ms; /* 0: 2 min */
	/* What the ledger says of itself: whether it is well, and its height. */
	bool (*ready)(void *ctx, struct error *err);
	int64_t (*height)(void *ctx);
	void *ctx;
};
/* ERR_CONFIG: a URL that is none. Strings are copied. */
MUST_CHECK struct heartbeat *heartbeat_start(const struct heartbeat_options *o, struct error *err);
/* Ends it, waiting for an exchange under way, at most a few seconds; its counts can still be asked. NULL is allowed. */
void heartbeat_quiesce(struct heartbeat *h);
void heartbeat_stop(struct heartbeat *h); /* and frees; NULL is allowed */
/* For metrics: since the start, and when the last one was taken (ms, wall; 0: never). NULL gives zeros. */
void heartbeat_counts(struct heartbeat *h, int64_t *sent, int64_t *failed, int64_t *last);

#endif
