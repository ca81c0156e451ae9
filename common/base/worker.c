#include "worker.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "log.h"
#include "mem.h"

struct worker {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t woken;
	bool wake, stop; /* under lock */
	int64_t (*turn)(void *ctx);
	void *ctx;
};

/* With the lock held: until woken or `ms` later. */
static void wait_for(struct worker *w, int64_t ms)
{
	int64_t until_ns = clock_mono_ns() + ms * 1000000;
	struct timespec until = {.tv_sec = until_ns / 1000000000, .tv_nsec = until_ns % 1000000000};
	while (!w->wake && !w->stop)
		if (pthread_cond_timedwait(&w->woken, &w->lock, &until) != 0)
			return;
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	pthread_mutex_lock(&w->lock);
	while (!w->stop) {
		w->wake = false;
		pthread_mutex_unlock(&w->lock);
		int64_t next_ms = w->turn(w->ctx);
		pthread_mutex_lock(&w->lock);
		wait_for(w, next_ms);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

struct worker *worker_start(const char *name, int64_t (*turn)(void *ctx), void *ctx)
{
	struct worker *w = xcalloc(1, sizeof(*w));
	w->turn = turn;
	w->ctx = ctx;
	pthread_condattr_t attr;
	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w->woken, &attr);
	pthread_condattr_destroy(&attr);
	int rc = pthread_create(&w->thread, NULL, worker_main, w);
	if (rc != 0)
		fatal("cannot start the thread %s: %s", name, strerror(rc));
	pthread_setname_np(w->thread, name);
	return w;
}

void worker_wake(struct worker *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->wake = true;
	pthread_cond_signal(&w->woken);
	pthread_mutex_unlock(&w->lock);
}

void worker_stop(struct worker *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_signal(&w->woken);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	pthread_cond_destroy(&w->woken);
	pthread_mutex_destroy(&w->lock);
	free(w);
}
