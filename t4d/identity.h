/*
 * Which files were verified: a bounded set of (hash, identity of the file) pairs. An entry is 16 bytes of a keyed SHA-256 over both, so
 * that nobody can aim at a false one. When a place is taken the older entry is forgotten, which costs a hash and nothing else.
 */
#ifndef TANA_T4D_IDENTITY_H
#define TANA_T4D_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "crypto/sha256.h"

/* What changes when a file's bytes do. */
struct identity {
	uint64_t device, inode, size;
	int64_t modified_ns, changed_ns; /* mtime, ctime: wall time */
};
struct identity identity_of(const struct stat *st);
bool identity_equal(const struct identity *a, const struct identity *b);

struct identity_set;
/* Holds about `max` entries; memory is touched as they come. */
struct identity_set *identity_set_new(size_t max);
void identity_set_free(struct identity_set *set); /* NULL is allowed */
/* Thread-safe. */
bool identity_known(struct identity_set *set, const struct hash *h, const struct identity *id);
void identity_remember(struct identity_set *set, const struct hash *h, const struct identity *id);

#endif
