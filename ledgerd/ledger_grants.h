/*
 * Upload grants (docs/protocol.md, "Upload grants"): what was granted is noted, so that nobody fills t4 with bytes that no transaction will ever
 * speak of. A note goes when its user publishes a reference to the hash; what is left after --grant-keep is collected, bytes and note
 * (cleanup.h).
 */
#ifndef TANA_LEDGERD_LEDGER_GRANTS_H
#define TANA_LEDGERD_LEDGER_GRANTS_H

#include "db/db.h"

#define GRANT_BYTES_MAX (INT64_C(1) << 30) /* granted to one user, and not published */
enum {
	GRANT_COUNT_MAX = 1000,  /* likewise, however small: what the next one has to count */
	GRANT_SKEW_MS = 60 * 1000 /* between the signature's time and the ledger's clock */
};

struct grants_open {
	int64_t count, bytes;
};
/*
 * Within a write transaction: notes a grant, unless the user would have more than GRANT_COUNT_MAX or GRANT_BYTES_MAX open with it (then *open says how
 * much is, and nothing is noted). A grant for a hash noted before, or published by this user, takes no more. Notes
 * older than keep_ms do not count.
 */
MUST_CHECK enum db_status grant_note(struct db_conn *c, struct str user, struct str hash, int64_t size, int64_t now_ms, int64_t keep_ms, bool *noted,
				     struct grants_open *open, struct error *err);

#endif
