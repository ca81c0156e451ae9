/*
 * Durability. Threads take what was handed over; large files have threads of their own, so that nobody waits behind them. A thread takes
 * its share of what waits (a round) and
 *	1. starts writing the files' bytes out, so that one commit of the journal covers them
 *	2. fsyncs each file
 *	3. links each into place, or finds a verified blob there
 *	4. fsyncs each directory concerned once
 *	5. answers
 * There are many threads because an fsync is nearly all waiting, and the kernel lets those that wait together share one commit of the
 * journal and one flush of the disk: sixteen fsyncs side by side take as long as two, one after the other as long as sixteen.
 *
 * A crowd of small changes does better (docs/decisions.md). Where syncfs tells of every failure, a round takes all that wait, and one
 * syncfs stands for all its fsyncs of files, another for those of directories; while a round or two are under way, the next gathers. But
 * syncfs also writes what others have changed on the same file system: when it takes long, rounds go on with fsyncs for a while.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "blob_private.h"

enum {
	LARGE_BYTES = 4 * 1024 * 1024, /* from here on a file goes to the lane of the large */
	LARGE_THREADS = 4,
	SMALL_THREADS = 32,
	ROUND_MAX = 64,                /* changes of one round */
	PLACE_TRIES = 3,               /* to link, while others put and delete the same hash */
	TOGETHER_MIN = 4,              /* changes of a round that are worth a syncfs */
	TOGETHER_ROUNDS = 2,           /* under way at the same time */
	TOGETHER_SLOW_MS = 250,        /* a syncfs that takes longer, and */
	TOGETHER_BYTES_PER_MS = 50000, /* longer than the round's own bytes explain, is busy with others' */
	APART_MS = 10000               /* then rounds use fsync for so long */
};

struct change {
	struct change *next;
	struct hash hash;
	struct blob_put *put; /* NULL: a delete */
	blob_done_fn *done;
	void *ctx;
	/* What becomes of it. */
	struct change *same;  /* an earlier put of the same hash in this round, which this one follows */
	bool failed, changed;
	bool there;           /* a put: a verified blob was there already */
	uint64_t size;
	struct error err;     /* failed */
};

struct lane {
	struct sync *sync;
	pthread_mutex_t lock;
	pthread_cond_t come;
	struct change *first, **last;
	bool ends;
	pthread_t threads[SMALL_THREADS];
	bool together; /* its rounds may use syncfs */
	size_t thread_count, waiting, busy;
};
struct sync {
	struct blob_store *store;
	struct lane small, large;
};

/* ---- one round ---- */

struct round {
	struct blob_store *store;
	struct change *changes[ROUND_MAX];
	size_t count;
	bool together; /* by syncfs */
};

static bool fail(struct change *c, const struct error *err)
{
	c->failed = true;
	c->err = *err;
	return false;
}

/* A failed fsync: nobody knows what is on the disk. */
static void fail_sync(struct blob_store *s, struct change *c, int errnum, const char *what)
{
	struct error err;
	error_errno(&err, ERR_IO, errnum, "%s could not be made durable", what);
	(void)fail(c, &err);
	store_set_read_only(s, err.message);
}

static void find_same(struct round *r, size_t i)
{
	struct change *c = r->changes[i];
	for (size_t j = 0; j < i && !c->same; j++) {
		struct change *before = r->changes[j];
		if (before->put && !before->same && hash_equal(&before->hash, &c->hash))
			c->same = before;
	}
}

/* What a put needs no fsync for: others store the same at this moment, or have before. */
static void look_first(struct round *r)
{
	for (size_t i = 0; i < r->count; i++) {
		struct change *c = r->changes[i];
		struct error err;
		if (!blob_store_writable(r->store, &err)) {
			(void)fail(c, &err);
			continue;
		}
		if (!c->put)
			continue;
		c->size = c->put->taken;
		find_same(r, i);
		if (!c->same && blob_exists(r->store, &c->hash, NULL) && !store_has_verified(r->store, &c->hash, &c->there, &err))
			(void)fail(c, &err);
	}
}

static bool to_write(const struct change *c)
{
	return c->put && !c->failed && !c->same && !c->there;
}

/* ---- all at once ---- */

static bool together_now(const struct blob_store *s)
{
	return s->syncfs_tells && clock_mono_ms() >= atomic_load(&s->apart_until_ms);
}

/* 0, or errno. A failure is told to one of those who ask; here all get to know, and stay with it. */
static int sync_everything(struct blob_store *s, uint64_t bytes)
{
	int64_t began = clock_mono_ms();
	int rc = syncfs(s->root_fd) == 0 ? 0 : errno;
	int none = 0;
	if (rc)
		(void)atomic_compare_exchange_strong(&s->syncfs_failure, &none, rc);
	if (clock_mono_ms() - began > TOGETHER_SLOW_MS + (int64_t)(bytes / TOGETHER_BYTES_PER_MS))
		atomic_store(&s->apart_until_ms, clock_mono_ms() + APART_MS);
	return atomic_load(&s->syncfs_failure);
}

/* One syncfs for what is still well in the round. */
static void sync_round(struct round *r, uint64_t bytes, const char *what)
{
	int failure = sync_everything(r->store, bytes);
	for (size_t i = 0; i < r->count && failure; i++)
		if (!r->changes[i]->failed)
			fail_sync(r->store, r->changes[i], failure, what);
}

static void sync_files_together(struct round *r)
{
	uint64_t bytes = 0;
	int64_t files = 0;
	for (size_t i = 0; i < r->count; i++) {
		if (!to_write(r->changes[i]))
			continue;
		bytes += r->changes[i]->size;
		files++;
	}
	if (files > 0)
		sync_round(r, bytes, "the blobs' files");
	store_count(&r->store->files_synced, files);
}

/* ---- one by one ---- */

static void sync_files(struct round *r)
{
	int64_t files = 0;
	if (r->together) {
		sync_files_together(r);
		return;
	}
	/* Only a hint: what goes wrong in it is told by fsync. */
	for (size_t i = 0; i < r->count && r->count > 1; i++)
		if (to_write(r->changes[i]))
			(void)sync_file_range(r->changes[i]->put->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	for (size_t i = 0; i < r->count; i++) {
		struct change *c = r->changes[i];
		if (!to_write(c))
			continue;
		files++;
		if (fsync(c->put->fd) != 0)
			fail_sync(r->store, c, errno, "a blob's file");
	}
	store_count(&r->store->files_synced, files);
}

/* Gives the file its name. 0, or errno. */
static int link_file(struct blob_store *s, struct blob_put *p)
{
	struct shard *d = blob_shard(s, &p->hash);
	struct blob_name name = blob_name(&p->hash);
	char path[64];
	int from = s->tmp_fd, flags = 0, rc;
	(void)snprintf(path, sizeof(path), "%s", p->name);
	if (!p->name[0]) {
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", p->fd);
		from = AT_FDCWD;
		flags = AT_SYMLINK_FOLLOW;
	}
	pthread_mutex_lock(&d->lock);
	rc = linkat(from, path, d->fd, name.text, flags) == 0 ? 0 : errno;
	if (rc == 0)
		shard_changed(d, 1, p->taken);
	pthread_mutex_unlock(&d->lock);
	return rc;
}

static bool place(struct blob_store *s, struct change *c)
{
	struct error err;
	for (int i = 0; i < PLACE_TRIES; i++) {
		int rc = link_file(s, c->put);
		if (rc == 0) {
			c->changed = true;
			return true;
		}
		if (rc != EEXIST) {
			store_errno(&err, rc, "cannot put a blob into its place");
			return fail(c, &err);
		}
		if (!store_has_verified(s, &c->hash, &c->there, &err))
			return fail(c, &err);
		if (c->there)
			return true;
	}
	error_set(&err, ERR_UNAVAILABLE, "others change what is stored under this hash; try again");
	return fail(c, &err);
}

static bool take_away(struct blob_store *s, struct change *c)
{
	struct shard *d = blob_shard(s, &c->hash);
	struct blob_name name = blob_name(&c->hash);
	struct error err;
	struct stat st;
	pthread_mutex_lock(&d->lock);
	bool gone = fstatat(d->fd, name.text, &st, AT_SYMLINK_NOFOLLOW) == 0 && unlinkat(d->fd, name.text, 0) == 0;
	int errnum = errno;
	if (gone)
		shard_changed(d, -1, (uint64_t)st.st_size);
	pthread_mutex_unlock(&d->lock);
	open_files_drop(s->open_files, &c->hash); /* which would hold its bytes on the disk */
	if (gone) {
		c->changed = true;
		c->size = (uint64_t)st.st_size;
		return true;
	}
	if (errnum == ENOENT)
		error_set(&err, ERR_UNKNOWN_CONTENT, "nothing is stored under %s", name.text);
	else
		store_errno(&err, errnum, "cannot delete a blob");
	return fail(c, &err);
}

/* In the order in which they came: a put and a delete of one hash may meet in a round. */
static void apply(struct round *r)
{
	for (size_t i = 0; i < r->count; i++) {
		struct change *c = r->changes[i];
		if (c->failed)
			continue;
		if (!c->put)
			(void)take_away(r->store, c);
		else if (c->same && c->same->failed)
			(void)fail(c, &c->same->err);
		else if (!c->same && !c->there)
			(void)place(r->store, c);
	}
}

/* 0, or errno. The kernel tells a failure to one of those who sync a descriptor at the same time; here all of them, and those who come
 * later, get to know. */
static int sync_shard(struct shard *d)
{
	pthread_mutex_lock(&d->sync_lock);
	if (!d->sync_failure && fsync(d->fd) != 0)
		d->sync_failure = errno;
	int failure = d->sync_failure;
	pthread_mutex_unlock(&d->sync_lock);
	return failure;
}

/* Also for a blob that was there: its name may be younger than the last sync of its directory. */
static void sync_directories(struct round *r)
{
	bool synced[BLOB_SHARDS] = {false};
	if (r->together) {
		sync_round(r, 0, "the store's directories");
		return;
	}
	for (size_t i = 0; i < r->count; i++) {
		struct change *c = r->changes[i];
		unsigned d = c->hash.b[0];
		if (c->failed || synced[d])
			continue;
		int failure = sync_shard(&r->store->shards[d]);
		if (failure)
			fail_sync(r->store, c, failure, "a directory of the store");
		else
			synced[d] = true;
	}
}

static void count_change(struct blob_store *s, const struct change *c)
{
	if (c->failed)
		return;
	if (!c->put) {
		store_count(&s->deletes, 1);
	} else if (c->changed) {
		store_count(&s->puts, 1);
		store_count(&s->put_bytes, (int64_t)c->size);
	} else {
		store_count(&s->duplicates, 1);
	}
}

static void answer(struct blob_store *s, struct change *c)
{
	if (c->put && c->changed && !c->failed)
		store_remember(s, &c->hash, c->put->fd);
	count_change(s, c);
	if (c->put)
		put_free(c->put);
	c->done(c->ctx, c->changed, c->size, c->failed ? &c->err : NULL);
}

static void work(struct round *r)
{
	r->together = r->together && r->count >= TOGETHER_MIN;
	look_first(r);
	sync_files(r);
	apply(r);
	sync_directories(r);
	store_count(&r->store->syncs, 1);
	for (size_t i = 0; i < r->count; i++)
		answer(r->store, r->changes[i]);
	for (size_t i = 0; i < r->count; i++)
		free(r->changes[i]);
}

/* ---- lanes ---- */

static size_t rounds_max(const struct lane *l)
{
	return l->together && together_now(l->sync->store) ? TOGETHER_ROUNDS : l->thread_count;
}

/* Waits for something to do; false when the lane ends and nothing is left. */
static bool gather(struct lane *l, struct round *r)
{
	r->count = 0;
	pthread_mutex_lock(&l->lock);
	while ((!l->first || l->busy >= rounds_max(l)) && !l->ends)
		pthread_cond_wait(&l->come, &l->lock);
	r->together = l->together && together_now(r->store);
	size_t share = r->together ? ROUND_MAX : (l->waiting + l->thread_count - 1) / l->thread_count;
	while (l->first && r->count < share && r->count < ROUND_MAX) {
		r->changes[r->count++] = l->first;
		l->first = l->first->next;
		l->waiting--;
	}
	if (!l->first)
		l->last = &l->first;
	l->busy += r->count > 0;
	pthread_mutex_unlock(&l->lock);
	return r->count > 0;
}

static void end_round(struct lane *l)
{
	pthread_mutex_lock(&l->lock);
	l->busy--;
	if (l->first)
		pthread_cond_signal(&l->come);
	pthread_mutex_unlock(&l->lock);
}

static void *lane_main(void *arg)
{
	struct lane *l = arg;
	struct round r = {.store = l->sync->store};
	while (gather(l, &r)) {
		work(&r);
		end_round(l);
	}
	return NULL;
}

static void lane_start(struct lane *l, struct sync *y, size_t threads, const char *name)
{
	l->sync = y;
	l->last = &l->first;
	invariant(pthread_mutex_init(&l->lock, NULL) == 0 && pthread_cond_init(&l->come, NULL) == 0);
	l->thread_count = threads;
	for (size_t i = 0; i < threads; i++) {
		int rc = pthread_create(&l->threads[i], NULL, lane_main, l);
		if (rc != 0)
			fatal("cannot start the thread %s: %s", name, strerror(rc));
		pthread_setname_np(l->threads[i], name);
	}
}

static void lane_stop(struct lane *l)
{
	pthread_mutex_lock(&l->lock);
	l->ends = true;
	pthread_cond_broadcast(&l->come);
	pthread_mutex_unlock(&l->lock);
	for (size_t i = 0; i < l->thread_count; i++)
		pthread_join(l->threads[i], NULL);
	pthread_cond_destroy(&l->come);
	pthread_mutex_destroy(&l->lock);
}

struct sync *sync_start(struct blob_store *s)
{
	struct sync *y = xcalloc(1, sizeof(*y));
	y->store = s;
	y->small.together = true;
	lane_start(&y->small, y, SMALL_THREADS, "sync-small");
	lane_start(&y->large, y, LARGE_THREADS, "sync-large");
	return y;
}

void sync_stop(struct sync *y)
{
	if (!y)
		return;
	lane_stop(&y->small);
	lane_stop(&y->large);
	free(y);
}

static void hand_over(struct lane *l, const struct change *change)
{
	struct change *c = xmalloc(sizeof(*c));
	*c = *change;
	pthread_mutex_lock(&l->lock);
	*l->last = c;
	l->last = &c->next;
	l->waiting++;
	pthread_cond_signal(&l->come);
	pthread_mutex_unlock(&l->lock);
}

void sync_put(struct sync *y, struct blob_put *p, blob_done_fn *done, void *ctx)
{
	struct change c = {.hash = p->hash, .put = p, .done = done, .ctx = ctx};
	hand_over(p->taken < LARGE_BYTES ? &y->small : &y->large, &c);
}

void sync_delete(struct sync *y, const struct hash *h, blob_done_fn *done, void *ctx)
{
	struct change c = {.hash = *h, .done = done, .ctx = ctx};
	hand_over(&y->small, &c);
}
