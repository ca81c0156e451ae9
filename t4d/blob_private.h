/*
 * What the store's files share: blob_store.c (opening, directories, free space), blob_read.c (checking, quarantine; open_files.h), blob_put.c (writing),
 * blob_sync.c (durability), blob_verity.c (sealing), blob_list.c (walking). The store's own; others see blob_store.h.
 *
 * Locks. A shard's `lock` is held while a name in it appears or goes and its counters follow, never during an fsync or a hash. Nothing
 * else is locked inside it, nor inside its `sync_lock`.
 */
#ifndef TANA_T4D_BLOB_PRIVATE_H
#define TANA_T4D_BLOB_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "blob_store.h"
#include "identity.h"
#include "open_files.h"

enum {
	BLOB_MODE = 0600,
	DIRECTORY_MODE = 0700,
	WRITE_PIECE = 64 * 1024, /* bytes of one write */
	HASH_PIECE = 64 * 1024, /* bytes read at once for hashing: fits a core's cache */
	TMP_NAME_SIZE = 48
};

struct shard {
	int fd; /* its directory, open as long as the store: serving needs no further descriptor for it */
	pthread_mutex_t lock;
	bool counted;
	int64_t objects, bytes; /* once counted */
	pthread_mutex_t sync_lock; /* held during an fsync of the directory; guards the next */
	int sync_failure;          /* errno of one that failed, ever; 0: none */
};

struct blob_store {
	struct blob_store_options o;
	char *dir;
	int root_fd, tmp_fd, quarantine_fd;
	bool nameless;    /* O_TMPFILE files can be written and linked here */
	bool syncfs_tells; /* of every failure to write since it was last called */
	_Atomic int syncfs_failure;      /* errno of one that failed, ever; 0: none */
	_Atomic int64_t apart_until_ms;  /* monotonic: until then syncfs is busy with what others write */
	_Atomic bool verity; /* files can be sealed here */
	bool exact_times; /* every change of a file that was looked at shows in its ctime */
	struct shard shards[BLOB_SHARDS];
	struct identity_set *verified;
	struct open_files *open_files; /* NULL: none are kept */
	_Atomic uint64_t reserved; /* bytes announced by puts and not yet written */
	_Atomic uint64_t next_name; /* a number for names in tmp and quarantine */
	_Atomic bool cancelled;
	_Atomic bool read_only;
	pthread_mutex_t reason_lock;
	char reason[ERROR_MESSAGE_MAX]; /* of read_only */
	struct sync *sync;
	_Atomic int64_t quarantined, puts, duplicates, deletes, put_bytes, syncs, files_synced, remembered_hits, hashed, hashed_bytes;
};

/* A hash and its name in a directory. */
struct blob_name {
	char text[HASH_TEXT_LEN + 1];
};
static inline struct blob_name blob_name(const struct hash *h)
{
	struct blob_name n = {{0}};
	hash_to_text(h, n.text);
	return n;
}
static inline struct shard *blob_shard(struct blob_store *s, const struct hash *h)
{
	return &s->shards[h->b[0]];
}

/* blob_store.c */
void store_set_read_only(struct blob_store *s, const char *reason);
/* Descriptors or memory are out: ERR_OVERLOADED; the file system is read-only: ERR_READ_ONLY; full: ERR_STORAGE_FULL; else ERR_IO. */
bool store_errno(struct error *err, int errnum, const char *what);
static inline void store_count(_Atomic int64_t *counter, int64_t n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}
/* A name appeared (sign 1) or went (-1); the shard's lock is held. */
void shard_changed(struct shard *d, int sign, uint64_t size);

/* blob_verity.c */
bool verity_probe(const struct blob_store *s);
/* Seals the file that is open for reading, where that can be done; otherwise nothing happens. */
void verity_seal(struct blob_store *s, int fd);

/* blob_read.c */
/* Remembers an open file that is known to match, if its times can be relied on. */
void store_remember(struct blob_store *s, const struct hash *h, int fd);
/* Is there a blob that matches? Hashes when that is not remembered; a corrupt one is moved away, and counts as none. ERR_IO and the like. */
MUST_CHECK bool store_has_verified(struct blob_store *s, const struct hash *h, bool *has, struct error *err);

/* blob_put.c */
struct blob_put {
	struct blob_store *store;
	struct hash hash;
	int64_t announced;     /* -1: not known */
	uint64_t taken, reserved; /* bytes that came; bytes announced that did not yet */
	uint64_t look_at;      /* free space is looked at again when so much was taken */
	int fd;
	char name[TMP_NAME_SIZE]; /* in tmp; "": it has none */
	struct sha256_state state;
	size_t rest_len;
	unsigned char rest[]; /* the end of what came, less than a piece; as large as that, or as the whole when that is known to be smaller */
};
/* Closes and frees; the file goes unless it was linked into place. */
void put_free(struct blob_put *p);

/* blob_sync.c */
struct sync *sync_start(struct blob_store *s);
void sync_stop(struct sync *y); /* NULL is allowed */
void sync_put(struct sync *y, struct blob_put *p, blob_done_fn *done, void *ctx);
void sync_delete(struct sync *y, const struct hash *h, blob_done_fn *done, void *ctx);

#endif
