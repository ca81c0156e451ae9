/*
 * Content sync: what the chain refers to and the local t4 has not is fetched from other validators' t4, found through mesh. A source is nobody to be
 * trusted: bytes are stored only when they have the hash that was asked for, and are at most as many as the chain says. Several sources are tried in
 * turn; what one of them gave is taken up again at the next.
 *
 * The whole chain is looked at after the start and then every so often; what is published in new blocks, soon after.
 */
#ifndef TANA_LEDGERD_CONTENT_SYNC_H
#define TANA_LEDGERD_CONTENT_SYNC_H

#include "db/db_pool.h"
#include "crypto/ed25519.h"
#include "wire/ledger.h"

struct content_sync;
struct content_sync_options {
	struct db_pool *pool;
	const char *t4_url;                       /* the local store */
	const char *mesh_url;
	struct str node_id;                       /* this node: its own t4 is no source */
	const struct ed25519_secret *service_key; /* the ledger's, to store with: <node_id>/ledger; lives as long */
	const char *user_agent;
	int64_t interval_ms; /* between looks at the whole chain; 0: 10 min */
	int64_t notice_ms;   /* between looks for new blocks; 0: 2 s */
	int64_t rate;        /* bytes/s, of all fetching together; 0: as fast as it goes */
};
/* Begins in the background. ERR_CONFIG: a URL that is none; ERR_IO: no temporary directory. Strings are copied. */
MUST_CHECK struct content_sync *content_sync_start(const struct content_sync_options *o, struct error *err);
/* Ends it, and a transfer under way within a second; its status can still be asked. NULL is allowed. */
void content_sync_quiesce(struct content_sync *s);
void content_sync_stop(struct content_sync *s); /* and frees; NULL is allowed */
/* How far it is; texts in the arena. NULL: a job that is not enabled. */
void content_sync_status(struct content_sync *s, struct arena *arena, struct ledger_content_sync *out);

#endif
