#include "sat_memory.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "crypto/sha256.h"

enum { PLACES = 4096 /* tokens that live at a time and are used more than once: a service has one for minutes */ };

struct sat_memory {
	pthread_mutex_t lock;
	struct hash marks[PLACES]; /* zeros: none */
};

struct sat_memory *sat_memory_new(void)
{
	struct sat_memory *m = xcalloc(1, sizeof(*m));
	invariant(pthread_mutex_init(&m->lock, NULL) == 0);
	return m;
}

void sat_memory_free(struct sat_memory *m)
{
	if (!m)
		return;
	pthread_mutex_destroy(&m->lock);
	free(m);
}

static struct hash mark_of(const struct ed25519_signature *signature, const struct ed25519_public *key, struct str signed_text)
{
	struct sha256_state state;
	struct hash out;
	sha256_init(&state);
	sha256_update(&state, key, sizeof(*key));
	sha256_update(&state, signature, sizeof(*signature));
	sha256_update(&state, signed_text.p, signed_text.n);
	sha256_final(&state, &out);
	return out;
}

bool sat_memory_verify(struct sat_memory *m, const struct ed25519_signature *signature, const struct ed25519_public *key, struct str signed_text)
{
	if (!m)
		return ed25519_verify_bytes(signature, key, signed_text);
	struct hash mark = mark_of(signature, key, signed_text);
	uint32_t place;
	memcpy(&place, mark.b, sizeof(place));
	struct hash *at = &m->marks[place % PLACES];
	pthread_mutex_lock(&m->lock);
	bool known = hash_equal(at, &mark);
	pthread_mutex_unlock(&m->lock);
	if (known)
		return true;
	if (!ed25519_verify_bytes(signature, key, signed_text))
		return false;
	pthread_mutex_lock(&m->lock);
	*at = mark;
	pthread_mutex_unlock(&m->lock);
	return true;
}
