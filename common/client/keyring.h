/*
 * The services' public keys of a network, for checking service auth tokens: read from mesh (GET /nodes: active nodes only, page by page),
 * cached, refreshed in the background, and at once (rate limited) when an unknown key is asked for. While mesh is away the cached copy is
 * used; nothing is ever allowed because mesh could not be asked. Keys given by hand (--trust-key) are known always, and come before
 * mesh's. Thread-safe.
 */
#ifndef TANA_CLIENT_KEYRING_H
#define TANA_CLIENT_KEYRING_H

#include "crypto/ed25519.h"
#include "wire/sat.h"

struct keyring;
struct keyring_options {
	const char *mesh_url;     /* NULL: only trusted keys */
	int64_t refresh_ms;       /* 0: 60 s */
	const char *cache_file;   /* where the last copy is kept over a restart; NULL: nowhere */
	const char *user_agent;
};
/* Never waits for mesh: a first copy comes in the background. ERR_CONFIG: mesh_url is no URL. The strings are copied. */
MUST_CHECK struct keyring *keyring_start(const struct keyring_options *o, struct error *err);
void keyring_stop(struct keyring *k); /* NULL is allowed */
/* "<nodeId>/<service>=<publicKey>". ERR_CONFIG. */
MUST_CHECK bool keyring_trust(struct keyring *k, const char *text, struct error *err);
/*
 * A sat_key_fn; ctx is the keyring. For an unknown key waits for one refresh, at most 2 s, when the last ended over 1 s ago (up to 10 s
 * ago while mesh does not answer).
 */
bool keyring_key(void *keyring, struct str node_id, struct str service, struct ed25519_public *out);
/* For /ready and metrics: when was the last copy read (ms, wall; 0: never), how many keys. */
void keyring_state(struct keyring *k, int64_t *read_at, size_t *keys);

#endif
