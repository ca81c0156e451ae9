#include "open_files.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

enum { WAYS = 8, INDEX_AT = 8 /* byte of the hash from which the bucket is taken; the first ones are the shard */ };

/* Free: fd < 0. What is dropped while it is taken has its descriptor still, and is closed by the last who gives it back. */
struct open_slot {
	struct hash hash;
	struct identity verified;
	int fd;
	unsigned taken;
	bool dropped;
};
struct bucket {
	pthread_mutex_t lock;
	unsigned next; /* the way that goes next when all are full */
	struct open_slot ways[WAYS];
};
struct open_files {
	size_t mask; /* number of buckets less one */
	struct bucket buckets[];
};

struct open_files *open_files_new(size_t max)
{
	size_t buckets = 1;
	if (max == 0)
		return NULL;
	while (2 * buckets * WAYS <= max)
		buckets *= 2;
	struct open_files *o = xcalloc(1, sizeof(*o) + buckets * sizeof(o->buckets[0]));
	o->mask = buckets - 1;
	for (size_t i = 0; i < buckets; i++) {
		invariant(pthread_mutex_init(&o->buckets[i].lock, NULL) == 0);
		for (size_t w = 0; w < WAYS; w++)
			o->buckets[i].ways[w].fd = -1;
	}
	return o;
}

void open_files_free(struct open_files *o)
{
	if (!o)
		return;
	for (size_t i = 0; i <= o->mask; i++) {
		struct bucket *b = &o->buckets[i];
		for (size_t w = 0; w < WAYS; w++) {
			invariant(b->ways[w].taken == 0);
			if (b->ways[w].fd >= 0)
				(void)close(b->ways[w].fd);
		}
		pthread_mutex_destroy(&b->lock);
	}
	free(o);
}

static struct bucket *bucket_of(struct open_files *o, const struct hash *h)
{
	uint64_t index;
	memcpy(&index, h->b + INDEX_AT, sizeof(index));
	return &o->buckets[index & o->mask];
}

/* The lock is held. */
static struct open_slot *find(struct bucket *b, const struct hash *h)
{
	for (size_t w = 0; w < WAYS; w++)
		if (b->ways[w].fd >= 0 && !b->ways[w].dropped && hash_equal(&b->ways[w].hash, h))
			return &b->ways[w];
	return NULL;
}

/* Empties the slot, at once or when the last gives it back. The lock is held; returns what is to be closed without it, or -1. */
static int drop(struct open_slot *slot)
{
	int fd = slot->taken == 0 ? slot->fd : -1;
	slot->dropped = true;
	if (fd >= 0)
		slot->fd = -1;
	return fd;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		(void)close(fd);
}

bool open_files_take(struct open_files *o, const struct hash *h, struct open_file *out)
{
	if (!o)
		return false;
	struct bucket *b = bucket_of(o, h);
	pthread_mutex_lock(&b->lock);
	struct open_slot *slot = find(b, h);
	if (slot) {
		slot->taken++;
		*out = (struct open_file){.fd = slot->fd, .verified = slot->verified, .slot = slot};
	}
	pthread_mutex_unlock(&b->lock);
	return slot != NULL;
}

void open_files_give_back(struct open_files *o, const struct hash *h, const struct open_file *f, bool keep)
{
	struct bucket *b = bucket_of(o, h);
	pthread_mutex_lock(&b->lock);
	f->slot->taken--;
	int fd = f->slot->dropped || !keep ? drop(f->slot) : -1;
	pthread_mutex_unlock(&b->lock);
	close_fd(fd);
}

/* A way for a new file; what it held is to be closed: *old, or -1. NULL: all are in use. */
static struct open_slot *make_room(struct bucket *b, int *old)
{
	*old = -1;
	for (size_t w = 0; w < WAYS; w++)
		if (b->ways[w].fd < 0)
			return &b->ways[w];
	for (size_t w = 0; w < WAYS; w++) {
		struct open_slot *slot = &b->ways[b->next++ % WAYS];
		if (slot->taken > 0)
			continue;
		*old = drop(slot);
		return slot;
	}
	return NULL;
}

void open_files_keep(struct open_files *o, const struct hash *h, const struct identity *verified, int fd)
{
	if (!o) {
		close_fd(fd);
		return;
	}
	struct bucket *b = bucket_of(o, h);
	int same = -1, old = -1;
	pthread_mutex_lock(&b->lock);
	struct open_slot *slot = find(b, h);
	if (slot)
		same = drop(slot);
	slot = make_room(b, &old);
	if (slot)
		*slot = (struct open_slot){.hash = *h, .verified = *verified, .fd = fd};
	pthread_mutex_unlock(&b->lock);
	close_fd(same);
	close_fd(old);
	if (!slot)
		close_fd(fd);
}

void open_files_drop(struct open_files *o, const struct hash *h)
{
	if (!o)
		return;
	struct bucket *b = bucket_of(o, h);
	pthread_mutex_lock(&b->lock);
	struct open_slot *slot = find(b, h);
	int fd = slot ? drop(slot) : -1;
	pthread_mutex_unlock(&b->lock);
	close_fd(fd);
}
