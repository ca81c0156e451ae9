/*
 * One copy of a network's service keys: read from mesh page by page, kept in a file over restarts. Unchanging once made. For keyring.c
 * only.
 */
#ifndef TANA_CLIENT_KEYRING_COPY_H
#define TANA_CLIENT_KEYRING_COPY_H

#include <stdatomic.h>

#include "base/strmap.h"
#include "client/mesh_client.h"

struct keyring_key {
	struct keyring_key *next;
	struct str name; /* "<nodeId>/<service>" */
	struct ed25519_public public_key;
};
struct keyring_copy {
	struct arena arena;
	struct strmap by_name;           /* struct keyring_key */
	struct keyring_key *first, *last; /* in the order they came */
	size_t count;
	struct hash digest;              /* of all names and keys: equal when nothing changed */
	int64_t read_at;                 /* ms, wall */
};

/* Reads the active nodes. *stop is looked at between pages (ERR_INTERRUPTED). */
MUST_CHECK struct keyring_copy *keyring_copy_read(struct mesh_client *mesh, atomic_bool *stop, struct error *err);
/* ERR_NOT_FOUND: there is no file. Otherwise ERR_CORRUPT, ERR_IO ... */
MUST_CHECK struct keyring_copy *keyring_copy_load(const char *path, struct error *err);
MUST_CHECK bool keyring_copy_save(const struct keyring_copy *copy, const char *path, struct error *err);
void keyring_copy_free(struct keyring_copy *copy); /* NULL is fine */
/* NULL: not in it. */
const struct ed25519_public *keyring_copy_find(const struct keyring_copy *copy, struct str name);

#endif
