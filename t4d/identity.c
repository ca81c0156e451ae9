#include "identity.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"

enum { MARK_SIZE = 16, WAYS = 4, LOCKS = 64 };

struct bucket {
	uint8_t marks[WAYS][MARK_SIZE]; /* zeros: free */
};
struct identity_set {
	struct bucket *buckets;
	size_t mask; /* their number less one */
	uint8_t key[HASH_SIZE];
	pthread_mutex_t locks[LOCKS]; /* of the buckets whose index ends in it */
};

struct identity identity_of(const struct stat *st)
{
	return (struct identity){.device = st->st_dev,
				 .inode = st->st_ino,
				 .size = (uint64_t)st->st_size,
				 .modified_ns = st->st_mtim.tv_sec * INT64_C(1000000000) + st->st_mtim.tv_nsec,
				 .changed_ns = st->st_ctim.tv_sec * INT64_C(1000000000) + st->st_ctim.tv_nsec};
}

bool identity_equal(const struct identity *a, const struct identity *b)
{
	return a->device == b->device && a->inode == b->inode && a->size == b->size && a->modified_ns == b->modified_ns &&
	       a->changed_ns == b->changed_ns;
}

struct identity_set *identity_set_new(size_t max)
{
	struct identity_set *set = xcalloc(1, sizeof(*set));
	size_t buckets = LOCKS;
	while (buckets * WAYS < max)
		buckets *= 2;
	set->buckets = xcalloc(buckets, sizeof(*set->buckets));
	set->mask = buckets - 1;
	random_bytes(set->key, sizeof(set->key));
	for (size_t i = 0; i < LOCKS; i++)
		invariant(pthread_mutex_init(&set->locks[i], NULL) == 0);
	return set;
}

void identity_set_free(struct identity_set *set)
{
	if (!set)
		return;
	for (size_t i = 0; i < LOCKS; i++)
		pthread_mutex_destroy(&set->locks[i]);
	free(set->buckets);
	free(set);
}

struct place {
	struct bucket *bucket;
	pthread_mutex_t *lock;
	unsigned victim; /* the way to give up when all are taken */
	uint8_t mark[MARK_SIZE];
};

static struct place place_of(struct identity_set *set, const struct hash *h, const struct identity *id)
{
	struct {
		uint8_t key[HASH_SIZE], hash[HASH_SIZE];
		uint64_t identity[5];
	} whole = {.identity = {id->device, id->inode, id->size, (uint64_t)id->modified_ns, (uint64_t)id->changed_ns}};
	struct hash digest;
	struct place p;
	uint64_t index;
	memcpy(whole.key, set->key, sizeof(whole.key));
	memcpy(whole.hash, h->b, sizeof(whole.hash));
	sha256(&digest, &whole, sizeof(whole));
	memcpy(p.mark, digest.b, MARK_SIZE);
	p.mark[0] |= 1; /* never all zeros */
	memcpy(&index, digest.b + MARK_SIZE, sizeof(index));
	p.bucket = &set->buckets[index & set->mask];
	p.lock = &set->locks[index % LOCKS];
	p.victim = digest.b[MARK_SIZE + sizeof(index)] % WAYS;
	return p;
}

bool identity_known(struct identity_set *set, const struct hash *h, const struct identity *id)
{
	struct place p = place_of(set, h, id);
	bool known = false;
	pthread_mutex_lock(p.lock);
	for (size_t i = 0; i < WAYS && !known; i++)
		known = memcmp(p.bucket->marks[i], p.mark, MARK_SIZE) == 0;
	pthread_mutex_unlock(p.lock);
	return known;
}

void identity_remember(struct identity_set *set, const struct hash *h, const struct identity *id)
{
	static const uint8_t free_mark[MARK_SIZE];
	struct place p = place_of(set, h, id);
	size_t at = p.victim;
	pthread_mutex_lock(p.lock);
	for (size_t i = 0; i < WAYS; i++) {
		if (memcmp(p.bucket->marks[i], p.mark, MARK_SIZE) == 0) {
			at = i;
			break;
		}
		if (memcmp(p.bucket->marks[i], free_mark, MARK_SIZE) == 0)
			at = i;
	}
	memcpy(p.bucket->marks[at], p.mark, MARK_SIZE);
	pthread_mutex_unlock(p.lock);
}
