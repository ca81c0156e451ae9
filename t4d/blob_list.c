/* Walking the store: pages in the order of the hashes, shards in no order, counting. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "blob_private.h"

/* Opened anew, for a descriptor's position is shared by all who use it. */
static DIR *open_shard(struct blob_store *s, unsigned shard, struct error *err)
{
	int fd = openat(s->shards[shard].fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	if (d)
		return d;
	store_errno(err, errno, "cannot read a directory of the store");
	if (fd >= 0)
		(void)close(fd);
	return NULL;
}

/* The next name that is a hash of this shard. False at the end (*failed false) or when the directory cannot be read. */
static bool next_hash(DIR *d, unsigned shard, struct hash *out, bool *failed, struct error *err)
{
	struct dirent *e;
	errno = 0;
	while ((e = readdir(d)))
		if (hash_from_text(str_from(e->d_name), out) && out->b[0] == shard)
			return true;
	*failed = errno != 0;
	if (*failed)
		store_errno(err, errno, "cannot read a directory of the store");
	return false;
}

bool blob_walk(struct blob_store *s, unsigned shard, bool (*each)(void *ctx, const struct hash *h), void *ctx, struct error *err)
{
	struct hash h;
	bool failed = false;
	DIR *d = open_shard(s, shard, err);
	if (!d)
		return false;
	while (next_hash(d, shard, &h, &failed, err) && each(ctx, &h))
		;
	(void)closedir(d);
	return !failed;
}

/* ---- counting ---- */

struct counting {
	struct blob_store *store;
	int64_t objects, bytes;
};

static bool count_one(void *ctx, const struct hash *h)
{
	struct counting *c = ctx;
	uint64_t size;
	if (blob_exists(c->store, h, &size)) {
		c->objects++;
		c->bytes += (int64_t)size;
	}
	return true;
}

bool blob_count(struct blob_store *s, unsigned shard, struct error *err)
{
	struct counting c = {.store = s};
	struct shard *d = &s->shards[shard];
	pthread_mutex_lock(&d->lock);
	bool ok = blob_walk(s, shard, count_one, &c, err);
	if (ok) {
		d->counted = true;
		d->objects = c.objects;
		d->bytes = c.bytes;
	}
	pthread_mutex_unlock(&d->lock);
	return ok;
}

/* ---- pages ---- */

static int by_hash(const void *a, const void *b)
{
	return memcmp(((const struct blob_entry *)a)->hash.b, ((const struct blob_entry *)b)->hash.b, HASH_SIZE);
}

/* The `max` smallest of what is added, whatever comes, in room for twice as many. */
struct smallest {
	struct blob_entry *room;
	size_t count, max;
	bool cut; /* something was left out */
	const char *prefix;
	size_t prefix_len;
	const struct hash *after; /* only those after it; NULL: all */
	struct hash last;
};

static void keep_smallest(struct smallest *k)
{
	qsort(k->room, k->count, sizeof(*k->room), by_hash);
	k->cut |= k->count > k->max;
	k->count = k->count < k->max ? k->count : k->max;
}

static bool add(void *ctx, const struct hash *h)
{
	struct smallest *k = ctx;
	if ((k->after && memcmp(h->b, k->after->b, HASH_SIZE) <= 0) || memcmp(blob_name(h).text, k->prefix, k->prefix_len) != 0)
		return true;
	if (k->count == 2 * k->max)
		keep_smallest(k);
	k->room[k->count++].hash = *h;
	return true;
}

/* Looks the gathered names up and appends those that are still there to the page, which has room for one more than k->max. */
static void append(struct blob_store *s, const struct smallest *k, struct blob_entry *page, size_t *count)
{
	for (size_t i = 0; i < k->count && *count <= k->max; i++) {
		struct blob_entry e = {.hash = k->room[i].hash};
		if (blob_exists(s, &e.hash, &e.size))
			page[(*count)++] = e;
	}
}

/* One shard's part of the page. When not all of it fitted, k->cut, the page has at least one of it to go on from. */
static bool list_shard(struct blob_store *s, unsigned shard, struct smallest *k, struct blob_entry *page, size_t *count, struct error *err)
{
	size_t before = *count;
	do {
		k->count = 0;
		k->cut = false;
		if (!blob_walk(s, shard, add, k, err))
			return false;
		keep_smallest(k);
		append(s, k, page, count);
		if (k->count > 0) {
			k->last = k->room[k->count - 1].hash;
			k->after = &k->last;
		}
	} while (k->cut && *count == before);
	return true;
}

static unsigned digit(char c)
{
	return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

/* The shards a prefix can mean. */
static void shards_of(const char *prefix, unsigned *first, unsigned *last)
{
	*first = 0;
	*last = BLOB_SHARDS - 1;
	if (prefix[0]) {
		*first = digit(prefix[0]) * 16 + (prefix[1] ? digit(prefix[1]) : 0);
		*last = *first + (prefix[1] ? 0 : 15);
	}
}

bool blob_list(struct blob_store *s, const char *prefix, const struct hash *after, struct blob_entry *out, size_t max, size_t *count,
	       bool *more, struct error *err)
{
	unsigned shard, last;
	bool ok = true;
	struct blob_entry *page = xcalloc(max + 1, sizeof(*page));
	struct smallest k = {.room = xcalloc(2 * max, sizeof(*k.room)), .max = max, .prefix = prefix, .prefix_len = strlen(prefix), .after = after};
	*count = 0;
	shards_of(prefix, &shard, &last);
	if (after && after->b[0] > shard)
		shard = after->b[0];
	for (; ok && !k.cut && shard <= last && *count <= max; shard++)
		ok = list_shard(s, shard, &k, page, count, err);
	*more = k.cut || *count > max;
	*count = *count < max ? *count : max;
	memcpy(out, page, *count * sizeof(*page));
	free(page);
	free(k.room);
	return ok;
}
