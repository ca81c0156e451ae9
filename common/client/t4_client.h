/*
 * A client of t4, the content-addressed store (docs/protocol.md, "t4"): one function per call, and what is built of them. Every byte that
 * comes from a store is checked against the hash it was asked for by; nothing else is ever handed out or gets its final name.
 *
 * Every function that can fail fills *err: the store's own code and message when it answered, else ERR_UNREACHABLE, ERR_TIMED_OUT,
 * ERR_BAD_ANSWER, ERR_INTERRUPTED; ERR_CORRUPT when bytes do not have the hash they should. One struct t4_client is one thread's.
 */
#ifndef TANA_CLIENT_T4_CLIENT_H
#define TANA_CLIENT_T4_CLIENT_H

#include "base/arena.h"
#include "crypto/ed25519.h"
#include "crypto/sha256.h"
#include "wire/t4.h"

struct t4_client;
struct t4_client_options {
	const char *base_url;     /* "http://127.0.0.1:8180" */
	const char *user_agent;
	int64_t timeout_ms;       /* for how long nothing may move; 0: 30 s */
	const volatile int *stop; /* nonzero ends what is under way (ERR_INTERRUPTED); NULL: nothing does */
};
/* ERR_CONFIG. The strings are copied. */
MUST_CHECK struct t4_client *t4_client_new(const struct t4_client_options *o, struct error *err);
void t4_client_free(struct t4_client *c); /* NULL is fine */
const char *t4_client_url(const struct t4_client *c);

/*
 * What calls that need a token (store, delete, list) show. Either a service's key, with which a short-lived token is made for each call,
 * bound to its content; or one token that somebody else made, such as an upload grant. The last one set holds; with none, those calls
 * fail with ERR_KEY_NEEDED. Everything is copied. audience: "<nodeId>/t4" of the store; absent: the t4 of the signing service's own node.
 */
void t4_client_sign_as(struct t4_client *c, struct str node_id, struct str service, struct str audience, const struct ed25519_secret *key);
void t4_client_use_token(struct t4_client *c, struct str token);

/* Called as bytes move: so many of a blob's total. */
typedef void t4_progress_fn(void *ctx, int64_t done, int64_t total);
void t4_client_watch(struct t4_client *c, t4_progress_fn *progress, void *ctx); /* NULL: no more */

/* SHA-256 and size of a regular file, read from its beginning; its offset stays. ERR_IO, ERR_INTERRUPTED. */
MUST_CHECK bool t4_hash_file(struct t4_client *c, int fd, struct hash *hash, int64_t *size, struct error *err);
/* A temporary file without a name, in $TMPDIR or /tmp. -1: ERR_IO. */
MUST_CHECK int t4_temporary_file(struct error *err);

/* Storing. *stored (may be NULL) tells whether it was new to the store. A sound copy that is there is fine; a damaged one is replaced. */
MUST_CHECK bool t4_store(struct t4_client *c, const void *p, size_t n, struct hash *hash, bool *stored, struct error *err);
/* The file's first `size` bytes, whose hash it is. A file that changes meanwhile is refused by the store. */
MUST_CHECK bool t4_store_file(struct t4_client *c, int fd, const struct hash *hash, int64_t size, bool *stored, struct error *err);

/* Fetching. Appends to *out, at most `max` bytes (ERR_TOO_LARGE); after an error *out is as before. */
MUST_CHECK bool t4_fetch(struct t4_client *c, const struct hash *hash, size_t max, struct buf *out, struct error *err);
/*
 * Into an empty regular file, from its beginning. When the connection breaks, it goes on from there. After an error the file's contents
 * are worthless.
 */
MUST_CHECK bool t4_fetch_fd(struct t4_client *c, const struct hash *hash, int fd, int64_t *size, struct error *err);
/*
 * Into a file of this name, by way of <dir>/.<name>.<first digits of the hash>.part: what an earlier attempt left there is taken up
 * again. The name appears when everything is there, checked and on the disk. *resumed_at (may be NULL): how many bytes were there
 * already. ERR_ALREADY_EXISTS (unless replace), ERR_WRONG_STATE: another process is at it.
 */
MUST_CHECK bool t4_fetch_file(struct t4_client *c, const struct hash *hash, const char *path, bool replace, int64_t *size,
			      int64_t *resumed_at, struct error *err);

/* Is it there? *size (may be NULL) in bytes, when it is. */
MUST_CHECK bool t4_exists(struct t4_client *c, const struct hash *hash, bool *there, int64_t *size, struct error *err);
/* The same of many at once: sets missing[i] of each hashes[i]. Any number. */
MUST_CHECK bool t4_missing(struct t4_client *c, const struct hash *hashes, size_t n, bool *missing, struct error *err);
/* All blobs whose hash begins with `prefix` ("" for all), in order, until `each` returns false. */
typedef bool t4_each_fn(void *ctx, const struct hash *hash, int64_t size);
MUST_CHECK bool t4_list(struct t4_client *c, const char *prefix, t4_each_fn *each, void *ctx, struct error *err);
MUST_CHECK bool t4_delete(struct t4_client *c, const struct hash *hash, struct error *err);
MUST_CHECK bool t4_stats(struct t4_client *c, struct arena *arena, struct t4_stats *out, struct error *err);

/*
 * Copies a blob from one store to another: fetched, checked, then stored. That is also the repair of a blob that is missing, or damaged,
 * in `to`: whatever `from` sends is accepted by its hash alone.
 */
MUST_CHECK bool t4_copy(struct t4_client *from, struct t4_client *to, const struct hash *hash, int64_t *size, bool *stored,
			struct error *err);

#endif
