/* A table of sets: a node's hint is in the one set its id leads to, and takes the place there of the one that was not used for longest. */
#include "mesh_hints.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"

enum {
	WAYS = 8,
	SETS = 1 << 15, /* with 100,000 nodes one in a hundred has no place; memory that no node needs is never touched */
	LOCKS = 64,
};

/* Two nodes may share a tag: the signature tells. */
struct slot {
	uint64_t tag; /* 0: free */
	struct mesh_hint hint;
};

struct mesh_hints {
	uint64_t seed;
	pthread_mutex_t locks[LOCKS]; /* set i is guarded by locks[i % LOCKS] */
	struct slot (*sets)[WAYS];
};

struct mesh_hints *mesh_hints_new(void)
{
	struct mesh_hints *h = xcalloc(1, sizeof(*h));
	h->seed = random_u64();
	h->sets = xcalloc(SETS, sizeof(*h->sets));
	for (size_t i = 0; i < LOCKS; i++)
		invariant(pthread_mutex_init(&h->locks[i], NULL) == 0);
	return h;
}

void mesh_hints_free(struct mesh_hints *h)
{
	if (!h)
		return;
	for (size_t i = 0; i < LOCKS; i++)
		pthread_mutex_destroy(&h->locks[i]);
	free(h->sets);
	free(h);
}

/* FNV-1a from a random start, mixed at the end: who can be in a set cannot be arranged from outside. */
static uint64_t tag_of(const struct mesh_hints *h, struct str node_id)
{
	uint64_t tag = h->seed;
	for (size_t i = 0; i < node_id.n; i++)
		tag = (tag ^ (unsigned char)node_id.p[i]) * UINT64_C(0x100000001b3);
	tag ^= tag >> 32;
	tag *= UINT64_C(0xd6e8feb86659fd93);
	tag ^= tag >> 32;
	return tag ? tag : 1;
}

/* Locks the set and finds the slot that has the tag; or NULL, with the set locked all the same. */
static struct slot *lock_and_find(struct mesh_hints *h, uint64_t tag)
{
	struct slot *set = h->sets[tag % SETS];
	pthread_mutex_lock(&h->locks[tag % LOCKS]);
	for (size_t i = 0; i < WAYS; i++)
		if (set[i].tag == tag)
			return &set[i];
	return NULL;
}

static void unlock(struct mesh_hints *h, uint64_t tag)
{
	pthread_mutex_unlock(&h->locks[tag % LOCKS]);
}

bool mesh_hint_get(struct mesh_hints *h, struct str node_id, struct mesh_hint *out)
{
	uint64_t tag = tag_of(h, node_id);
	const struct slot *s = lock_and_find(h, tag);
	if (s)
		*out = s->hint;
	unlock(h, tag);
	return s != NULL;
}

static struct slot *oldest(struct slot *set)
{
	struct slot *old = &set[0];
	for (size_t i = 0; i < WAYS && old->tag; i++)
		if (!set[i].tag || set[i].hint.heartbeat_time < old->hint.heartbeat_time)
			old = &set[i];
	return old;
}

void mesh_hint_put(struct mesh_hints *h, struct str node_id, const struct mesh_hint *hint)
{
	uint64_t tag = tag_of(h, node_id);
	struct slot *s = lock_and_find(h, tag);
	if (!s)
		s = oldest(h->sets[tag % SETS]);
	*s = (struct slot){.tag = tag, .hint = *hint};
	unlock(h, tag);
}

void mesh_hint_drop(struct mesh_hints *h, struct str node_id)
{
	uint64_t tag = tag_of(h, node_id);
	struct slot *s = lock_and_find(h, tag);
	if (s)
		*s = (struct slot){.tag = 0};
	unlock(h, tag);
}
