#include "signatures.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"

enum { BATCH = 64 /* signatures handed over at once: some 2 ms of work */, QUEUE_MAX = 64 /* batches waiting */, THREADS_MAX = 256 };

struct question {
	struct chain_place at;
	struct ed25519_signature signature;
	struct ed25519_public key;
	struct hash digest;
};
struct batch {
	struct batch *next;
	size_t count;
	struct question q[BATCH];
};

struct signatures {
	void (*wrong)(void *ctx, struct chain_place at);
	void *ctx;
	struct batch *filling;      /* the caller's */
	uint64_t asked;
	pthread_mutex_t lock;       /* what follows */
	pthread_cond_t work, done;
	struct batch *first, **last, *spare;
	size_t queued, under_way;
	bool stopping;
	pthread_mutex_t report;     /* one call of `wrong` at a time */
	unsigned thread_count;
	pthread_t threads[];
};

static void answer(struct signatures *s, const struct question *q)
{
	if (ed25519_verify_bytes(&q->signature, &q->key, str_of((const char *)q->digest.b, HASH_SIZE)))
		return;
	pthread_mutex_lock(&s->report);
	s->wrong(s->ctx, q->at);
	pthread_mutex_unlock(&s->report);
}

static void *check_batches(void *ctx)
{
	struct signatures *s = ctx;
	pthread_mutex_lock(&s->lock);
	for (;;) {
		while (!s->first && !s->stopping)
			pthread_cond_wait(&s->work, &s->lock);
		struct batch *b = s->first;
		if (!b)
			break;
		s->first = b->next;
		if (!s->first)
			s->last = &s->first;
		s->queued--;
		s->under_way++;
		pthread_mutex_unlock(&s->lock);
		for (size_t i = 0; i < b->count; i++)
			answer(s, &b->q[i]);
		pthread_mutex_lock(&s->lock);
		s->under_way--;
		b->next = s->spare;
		s->spare = b;
		pthread_cond_broadcast(&s->done);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

struct signatures *signatures_start(unsigned threads, void (*wrong)(void *ctx, struct chain_place at), void *ctx, struct error *err)
{
	if (threads > THREADS_MAX)
		threads = THREADS_MAX;
	struct signatures *s = xcalloc(1, sizeof *s + threads * sizeof(pthread_t));
	s->wrong = wrong;
	s->ctx = ctx;
	s->last = &s->first;
	pthread_mutex_init(&s->lock, NULL);
	pthread_mutex_init(&s->report, NULL);
	pthread_cond_init(&s->work, NULL);
	pthread_cond_init(&s->done, NULL);
	for (; s->thread_count < threads; s->thread_count++) {
		int failed = pthread_create(&s->threads[s->thread_count], NULL, check_batches, s);
		if (failed) {
			error_errno(err, ERR_INTERNAL, failed, "no thread for checking signatures");
			signatures_stop(s);
			return NULL;
		}
	}
	return s;
}

static void hand_over(struct signatures *s)
{
	struct batch *b = s->filling;
	s->filling = NULL;
	if (!b)
		return;
	pthread_mutex_lock(&s->lock);
	while (s->queued >= QUEUE_MAX)
		pthread_cond_wait(&s->done, &s->lock);
	b->next = NULL;
	*s->last = b;
	s->last = &b->next;
	s->queued++;
	pthread_cond_signal(&s->work);
	pthread_mutex_unlock(&s->lock);
}

static struct batch *new_batch(struct signatures *s)
{
	pthread_mutex_lock(&s->lock);
	struct batch *b = s->spare;
	if (b)
		s->spare = b->next;
	pthread_mutex_unlock(&s->lock);
	if (!b)
		b = xmalloc(sizeof *b);
	b->count = 0;
	return b;
}

static bool ask(void *ctx, struct chain_place at, const struct ed25519_signature *signature, const struct ed25519_public *key, const struct hash *digest)
{
	struct signatures *s = ctx;
	struct question q = {at, *signature, *key, *digest};
	s->asked++;
	if (s->thread_count == 0) {
		answer(s, &q);
		return true;
	}
	if (!s->filling)
		s->filling = new_batch(s);
	s->filling->q[s->filling->count++] = q;
	if (s->filling->count == BATCH)
		hand_over(s);
	return true;
}

struct chain_verifier signatures_verifier(struct signatures *s)
{
	return (struct chain_verifier){ask, s};
}

void signatures_wait(struct signatures *s)
{
	hand_over(s);
	pthread_mutex_lock(&s->lock);
	while (s->queued > 0 || s->under_way > 0)
		pthread_cond_wait(&s->done, &s->lock);
	pthread_mutex_unlock(&s->lock);
}

uint64_t signatures_count(const struct signatures *s)
{
	return s->asked;
}

void signatures_stop(struct signatures *s)
{
	if (!s)
		return;
	hand_over(s);
	pthread_mutex_lock(&s->lock);
	s->stopping = true;
	pthread_cond_broadcast(&s->work);
	pthread_mutex_unlock(&s->lock);
	for (unsigned i = 0; i < s->thread_count; i++)
		pthread_join(s->threads[i], NULL);
	for (struct batch *b = s->spare, *next; b; b = next) {
		next = b->next;
		free(b);
	}
	pthread_cond_destroy(&s->done);
	pthread_cond_destroy(&s->work);
	pthread_mutex_destroy(&s->report);
	pthread_mutex_destroy(&s->lock);
	free(s);
}
