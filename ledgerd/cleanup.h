/*
 * What is kept for a while only: refusals that can be read (local_refused), and notes of upload grants (local_grants). What was granted, and never
 * published by anybody, is collected: the bytes are deleted from the local t4, then the note goes.
 */
#ifndef TANA_LEDGERD_CLEANUP_H
#define TANA_LEDGERD_CLEANUP_H

#include "crypto/ed25519.h"
#include "db/db_pool.h"

struct cleanup;
struct cleanup_options {
	struct db_pool *pool;
	int64_t refused_keep_ms;
	int64_t grant_keep_ms;
	const char *t4_url;                       /* the local store; NULL: notes of grants are left alone */
	struct str node_id;                       /* with the ledger's key: who deletes; NULL likewise */
	const struct ed25519_secret *service_key; /* lives as long */
	const char *user_agent;
	int64_t interval_ms;                      /* 0: 1 min */
};
/* ERR_CONFIG. Strings are copied. */
MUST_CHECK struct cleanup *cleanup_start(const struct cleanup_options *o, struct error *err);
/* Ends it; its counts can still be asked. NULL is allowed. */
void cleanup_quiesce(struct cleanup *c);
void cleanup_stop(struct cleanup *c); /* and frees; NULL is allowed */
/* For metrics, since the start: refusals forgotten, grants whose bytes were collected. NULL gives zeros. */
void cleanup_counts(struct cleanup *c, int64_t *refusals, int64_t *grants);

#endif
