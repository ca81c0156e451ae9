#include "ratelimit.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"

enum { WAYS = 4, LOCKS = 16 };

struct bucket {
	struct address_key key; /* high == 0: free */
	double tokens;          /* at `at_ns` */
	int64_t at_ns;
};

struct ratelimit {
	pthread_mutex_t locks[LOCKS]; /* set i is guarded by locks[i % LOCKS] */
	uint64_t seed;
	size_t sets;
	double rate, burst; /* written under all locks, read under one */
	struct bucket (*buckets)[WAYS];
};

struct ratelimit *ratelimit_new(size_t sets, double rate, int burst, uint64_t seed)
{
	invariant(sets >= LOCKS && (sets & (sets - 1)) == 0);
	struct ratelimit *l = xcalloc(1, sizeof(*l));
	for (size_t i = 0; i < LOCKS; i++)
		invariant(pthread_mutex_init(&l->locks[i], NULL) == 0);
	l->seed = seed;
	l->sets = sets;
	l->buckets = xcalloc(sets, sizeof(*l->buckets));
	ratelimit_set(l, rate, burst);
	return l;
}

void ratelimit_free(struct ratelimit *l)
{
	for (size_t i = 0; i < LOCKS; i++)
		pthread_mutex_destroy(&l->locks[i]);
	free(l->buckets);
	free(l);
}

void ratelimit_set(struct ratelimit *l, double rate, int burst)
{
	invariant(burst >= 1);
	for (size_t i = 0; i < LOCKS; i++)
		pthread_mutex_lock(&l->locks[i]);
	l->rate = rate;
	l->burst = burst;
	for (size_t i = 0; i < LOCKS; i++)
		pthread_mutex_unlock(&l->locks[i]);
}

/* What the bucket holds now. */
static double tokens_at(const struct ratelimit *l, const struct bucket *b, int64_t now_ns)
{
	if (b->key.high == 0)
		return l->burst;
	double passed_s = now_ns > b->at_ns ? (double)(now_ns - b->at_ns) * 1e-9 : 0;
	double tokens = b->tokens + passed_s * l->rate;
	return tokens < l->burst ? tokens : l->burst;
}

/* The address's bucket, or the one it takes over. */
static struct bucket *find_bucket(struct ratelimit *l, struct bucket set[WAYS], struct address_key k, int64_t now_ns)
{
	struct bucket *fullest = &set[0];
	double most = -1;
	for (size_t i = 0; i < WAYS; i++) {
		if (address_key_equal(set[i].key, k))
			return &set[i];
		double has = set[i].key.high == 0 ? l->burst + 1 : tokens_at(l, &set[i], now_ns);
		if (has > most) {
			most = has;
			fullest = &set[i];
		}
	}
	*fullest = (struct bucket){.key = k, .tokens = l->burst, .at_ns = now_ns};
	return fullest;
}

/* Whole seconds until there is a token again, at most an hour. */
static int wait_s(const struct ratelimit *l, const struct bucket *b)
{
	double s = (1 - b->tokens) / l->rate;
	return s < 3600 ? 1 + (int)s : 3600;
}

bool ratelimit_take(struct ratelimit *l, struct address_key k, int64_t now_ns, int *retry_after_s)
{
	size_t set = address_key_hash(k, l->seed) & (l->sets - 1);
	pthread_mutex_t *lock = &l->locks[set % LOCKS];
	k.high |= UINT64_C(1) << 32; /* so that no key looks like a free bucket */
	pthread_mutex_lock(lock);
	if (l->rate <= 0) {
		pthread_mutex_unlock(lock);
		return true;
	}
	struct bucket *b = find_bucket(l, l->buckets[set], k, now_ns);
	b->tokens = tokens_at(l, b, now_ns);
	if (now_ns > b->at_ns)
		b->at_ns = now_ns;
	bool taken = b->tokens >= 1;
	if (taken)
		b->tokens -= 1;
	else
		*retry_after_s = wait_s(l, b);
	pthread_mutex_unlock(lock);
	return taken;
}
