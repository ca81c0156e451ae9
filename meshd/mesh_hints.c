/* A table of sets: a node's hint is in the one set its id leads to, and takes the place there of the one that was not used for longest. */
#include "mesh_hints.h"

#include <pthread.h>
#include <stdalign.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"

enum {
	WAYS = 8,
	SETS = 1 << 15, /* with 100,000 nodes one in a hundred has no place */
	LOCKS = 64,
};

/* Two nodes may share a tag: the signature tells. The tags of a set are in one line of the processor's cache. */
struct set {
	alignas(64) uint64_t tags[WAYS]; /* 0: free */
	struct mesh_hint hints[WAYS];
};

struct mesh_hints {
	uint64_t seed;
	pthread_mutex_t locks[LOCKS]; /* set i is guarded by locks[i % LOCKS] */
	struct set *sets;
};

struct mesh_hints *mesh_hints_new(void)
{
	struct mesh_hints *h = xcalloc(1, sizeof(*h));
	h->seed = random_u64();
	/* Fresh from the kernel: zeros, and no memory before it is used. */
	void *sets = mmap(NULL, SETS * sizeof(struct set), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (sets == MAP_FAILED)
		fatal("out of memory");
	h->sets = sets;
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
	munmap(h->sets, SETS * sizeof(struct set));
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

static struct set *lock_set(struct mesh_hints *h, uint64_t tag)
{
	pthread_mutex_lock(&h->locks[tag % LOCKS]);
	return &h->sets[tag % SETS];
}

static void unlock_set(struct mesh_hints *h, uint64_t tag)
{
	pthread_mutex_unlock(&h->locks[tag % LOCKS]);
}

/* WAYS: it has none. */
static size_t find(const struct set *s, uint64_t tag)
{
	size_t i = 0;
	while (i < WAYS && s->tags[i] != tag)
		i++;
	return i;
}

bool mesh_hint_get(struct mesh_hints *h, struct str node_id, struct mesh_hint *out)
{
	uint64_t tag = tag_of(h, node_id);
	const struct set *s = lock_set(h, tag);
	size_t i = find(s, tag);
	if (i < WAYS)
		*out = s->hints[i];
	unlock_set(h, tag);
	return i < WAYS;
}

static size_t oldest(const struct set *s)
{
	size_t old = 0;
	for (size_t i = 0; i < WAYS && s->tags[old]; i++)
		if (!s->tags[i] || s->hints[i].heartbeat_time < s->hints[old].heartbeat_time)
			old = i;
	return old;
}

void mesh_hint_put(struct mesh_hints *h, struct str node_id, const struct mesh_hint *hint)
{
	uint64_t tag = tag_of(h, node_id);
	struct set *s = lock_set(h, tag);
	size_t i = find(s, tag);
	if (i == WAYS)
		i = oldest(s);
	s->tags[i] = tag;
	s->hints[i] = *hint;
	unlock_set(h, tag);
}

void mesh_hint_drop(struct mesh_hints *h, struct str node_id)
{
	uint64_t tag = tag_of(h, node_id);
	struct set *s = lock_set(h, tag);
	size_t i = find(s, tag);
	if (i < WAYS)
		s->tags[i] = 0;
	unlock_set(h, tag);
}
