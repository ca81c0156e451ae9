/*
 * Reads every blob again, from the disk, at a set rate, so that what rots is found before somebody asks for it. A corrupt blob goes to
 * quarantine (blob_store.h). In the daemon: first a quick round that only counts, then one round after the other.
 */
#ifndef TANA_T4D_SCRUBBER_H
#define TANA_T4D_SCRUBBER_H

#include "blob_store.h"

struct scrub_state {
	int64_t rounds;                  /* ended */
	int64_t checked, checked_bytes;  /* in the round under way */
	int64_t corrupt;                 /* ever */
	int64_t unreadable;              /* ever: blobs the disk did not give */
	int64_t started_at, finished_at; /* wall ms: the round under way, the last one that ended; 0: none */
	unsigned shards;                 /* of BLOB_SHARDS, done in the round under way */
};

struct scrubber;
/* rate in bytes/s, > 0; a blob counts as 64 KiB at least, for a disk must seek to it. 0: blobs are only counted, once. */
struct scrubber *scrubber_start(struct blob_store *s, int64_t rate);
void scrubber_state(struct scrubber *c, struct scrub_state *out);
void scrubber_stop(struct scrubber *c); /* NULL is allowed */

/*
 * One round on the caller's thread; rate 0: as fast as the disk gives. `found` is called for each blob that could not be verified, and
 * `progress`, if not NULL, now and then. False when the store cannot be walked.
 */
typedef void scrub_found_fn(void *ctx, const struct hash *h, const struct error *why);
typedef void scrub_progress_fn(void *ctx, const struct scrub_state *state);
MUST_CHECK bool scrub_once(struct blob_store *s, int64_t rate, scrub_found_fn *found, scrub_progress_fn *progress, void *ctx,
			   struct scrub_state *out, struct error *err);

#endif
