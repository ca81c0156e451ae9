/*
 * Blobs on disk under their SHA-256. No HTTP; the daemon, the scrubber and the offline commands use the same functions.
 *
 *	<dir>/<first two hex>/<hash>    a blob: exactly its bytes
 *	<dir>/tmp/                      what is being written; emptied when a serving store opens
 *	<dir>/quarantine/               <hash>.<ms since the epoch>.<n>: what no longer matched its hash
 *
 * A put is: write a file without a name (where O_TMPFILE is missing, one in tmp), fsync(file), link it into place, fsync(directory);
 * only then is it answered. So a kill or power cut at any instant leaves every answered blob readable and no half-written file visible.
 * An existing blob is never renamed over; one that is corrupt is moved away first.
 *
 * A failed fsync is never retried on its descriptor, for the kernel may have dropped the pages: it fails the put and makes the store
 * read-only until the next start.
 *
 * Bytes that do not match are never given out: blob_open answers only a file that was hashed, in whole, since it last changed (device,
 * inode, size, mtime, ctime are remembered). A change that the file system's timestamps could not show is provided for: where a file's
 * ctime may stand still for a tick, a file is remembered only when its times are older than that. Files of small blobs stay open for the next
 * reader (blob_read_again), who looks at all that again.
 *
 * All functions are thread-safe. Hashes are the caller's; sizes are bytes.
 */
#ifndef TANA_T4D_BLOB_STORE_H
#define TANA_T4D_BLOB_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "crypto/sha256.h"

enum verify_reads { VERIFY_ONCE, VERIFY_ALWAYS };
/* Serving: one process a directory. Otherwise: an offline command, perhaps beside a serving process; tmp is left alone. */
enum store_role { STORE_SERVES, STORE_OFFLINE };
struct blob_store_options {
	const char *dir;
	enum store_role role;
	enum verify_reads verify;
	uint64_t max_object_size, min_free_space; /* bytes */
	size_t remembered_max;                    /* identities of verified files kept in memory, 16 bytes each */
	size_t open_files_max;                    /* files of small blobs that stay open after a read */
};
struct blob_store;
/*
 * Makes the directories that are missing (a serving store; an offline one wants them there), probes the file system, removes old
 * temporary files. No scan: it takes no longer with a million blobs. ERR_WRONG_STATE: another process serves the directory;
 * ERR_NOT_FOUND, ERR_IO.
 */
MUST_CHECK struct blob_store *blob_store_open(const struct blob_store_options *o, struct error *err);
/* From now on long checks fail with ERR_SHUTTING_DOWN. */
void blob_store_cancel(struct blob_store *s);
/* Ends the sync threads, which first finish what was handed to them; no put may be handed over afterwards. */
void blob_store_quiesce(struct blob_store *s);
/* NULL is allowed. Nothing of the store is in use any more. */
void blob_store_close(struct blob_store *s);
/* False, with ERR_READ_ONLY and the reason, after a failed fsync. */
MUST_CHECK bool blob_store_writable(struct blob_store *s, struct error *err);

/* Whether the scrubber seals what it checks with fs-verity. */
bool blob_store_seals(const struct blob_store *s);

/* Is there a file under this hash (not hashed, only looked at)? size may be NULL. */
bool blob_exists(struct blob_store *s, const struct hash *h, uint64_t *size);

/* When it was stored (wall time, ns), and its size; false when there is none. */
bool blob_stored_at(struct blob_store *s, const struct hash *h, int64_t *ns, uint64_t *size);

/* ---- reading ---- */

/*
 * A verified, open blob; the descriptor is the caller's to close. ERR_UNKNOWN_CONTENT; ERR_CONTENT_CORRUPT (then it was moved to
 * quarantine, and logged); ERR_OVERLOADED without descriptors; ERR_IO.
 */
MUST_CHECK bool blob_open(struct blob_store *s, const struct hash *h, int *fd, uint64_t *size, struct error *err);
/* The same, but hashing at most hash_max bytes here: *later is set, and nothing open, when there are more to hash. */
MUST_CHECK bool blob_open_quick(struct blob_store *s, const struct hash *h, uint64_t hash_max, int *fd, uint64_t *size, bool *later,
				struct error *err);
enum { BLOB_SMALL = 64 * 1024 }; /* bytes: read as a whole, which then costs less than sendfile */
/* All bytes of a blob of at most BLOB_SMALL, of which blob_open gave the descriptor; takes that, and may keep it open. ERR_IO. */
MUST_CHECK bool blob_read_small(struct blob_store *s, const struct hash *h, int fd, uint64_t size, struct buf *out, struct error *err);
/* The same of one whose file stayed open, and has not changed since it was verified: that is looked at here. False: blob_open knows more. */
bool blob_read_again(struct blob_store *s, const struct hash *h, struct buf *out);
/* Called between pieces of a long check with the bytes just read; false ends it with ERR_SHUTTING_DOWN. */
typedef bool blob_pace_fn(void *ctx, size_t n);
/* Reads the blob from the disk itself where that is possible, past the cache, and checks it; otherwise as blob_open. pace may be NULL. */
MUST_CHECK bool blob_verify(struct blob_store *s, const struct hash *h, blob_pace_fn *pace, void *ctx, uint64_t *size, struct error *err);

/* ---- writing ---- */

struct blob_put;
/*
 * Judges what is known before the first byte (announced < 0: the size is not known). ERR_TOO_LARGE, ERR_STORAGE_FULL, ERR_READ_ONLY,
 * ERR_OVERLOADED, ERR_IO.
 */
MUST_CHECK struct blob_put *blob_put_begin(struct blob_store *s, const struct hash *h, int64_t announced, struct error *err);
/* Hashes and writes. False: only blob_put_abandon may follow. ERR_TOO_LARGE, ERR_LENGTH_MISMATCH, ERR_STORAGE_FULL, ERR_IO. */
MUST_CHECK bool blob_put_write(struct blob_put *p, const void *data, size_t n, struct error *err);
uint64_t blob_put_taken(const struct blob_put *p);
void blob_put_abandon(struct blob_put *p);
/*
 * The outcome of a change, on a sync thread, once: err NULL when it is durable. changed false: the blob was there, verified, before. The
 * callback must not wait for other changes.
 */
typedef void blob_done_fn(void *ctx, bool changed, uint64_t size, const struct error *err);
/*
 * Ends the body. ERR_HASH_MISMATCH, ERR_LENGTH_MISMATCH at once (false: `done` is not called, and the put is gone); otherwise the file
 * goes to the sync threads, where puts that wait together share their directories' syncs.
 */
MUST_CHECK bool blob_put_finish(struct blob_put *p, blob_done_fn *done, void *ctx, struct error *err);
/* Removes a blob durably, likewise. `done` gets ERR_UNKNOWN_CONTENT, ERR_IO. Readers that have it open go on reading. */
void blob_delete(struct blob_store *s, const struct hash *h, blob_done_fn *done, void *ctx);

/* ---- all of them ---- */

enum { BLOB_SHARDS = 256 }; /* directories: a shard is a hash's first byte */

struct blob_entry {
	struct hash hash;
	uint64_t size;
};
/*
 * Blobs in the order of their hashes, after `after` (NULL: from the first) and with the hex prefix ("" for all), at most `max` (> 0). *more:
 * others come after them; the last one given is where to go on.
 */
MUST_CHECK bool blob_list(struct blob_store *s, const char *prefix, const struct hash *after, struct blob_entry *out, size_t max,
			  size_t *count, bool *more, struct error *err);
/* Every hash of one shard, in no order; those that come or go meanwhile may be missed. `each` returns false to end the walk. */
MUST_CHECK bool blob_walk(struct blob_store *s, unsigned shard, bool (*each)(void *ctx, const struct hash *h), void *ctx,
			  struct error *err);
/* Counts one shard anew. Changes to it wait meanwhile. */
MUST_CHECK bool blob_count(struct blob_store *s, unsigned shard, struct error *err);

struct blob_totals {
	int64_t objects, bytes;  /* of the shards counted so far, and kept up to date since */
	unsigned counted;        /* shards, of BLOB_SHARDS */
	int64_t quarantined;     /* by this process */
	int64_t puts, duplicates, deletes, put_bytes; /* by this process; puts were new */
	int64_t syncs, files_synced;                  /* rounds of the sync threads, and files in them */
	int64_t remembered_hits, hashed, hashed_bytes; /* opens that needed no hash; checks made, and their bytes */
};
void blob_totals(struct blob_store *s, struct blob_totals *out);
uint64_t blob_free_space(struct blob_store *s); /* bytes; 0 when it cannot be told */

#endif
