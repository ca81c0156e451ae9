#include "fresh.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/strmap.h"

struct entry {
	struct session_row row;
	size_t slot;
	char texts[]; /* of the row */
};
struct fresh {
	pthread_mutex_t lock; /* everything below */
	struct strmap by_id;
	struct entry **ring; /* in the order they came; NULL: dropped */
	size_t max, next;
};

struct fresh *fresh_new(size_t max)
{
	struct fresh *f = xcalloc(1, sizeof(*f));
	f->max = max;
	f->ring = xcalloc(max, sizeof(struct entry *));
	invariant(pthread_mutex_init(&f->lock, NULL) == 0);
	return f;
}

/* Under the lock. */
static void drop(struct fresh *f, struct entry *e)
{
	if (!e)
		return;
	(void)strmap_remove(&f->by_id, e->row.id);
	f->ring[e->slot] = NULL;
	free(e);
}

void fresh_clear(struct fresh *f)
{
	pthread_mutex_lock(&f->lock);
	for (size_t i = 0; i < f->max; i++)
		drop(f, f->ring[i]);
	pthread_mutex_unlock(&f->lock);
}

void fresh_free(struct fresh *f)
{
	if (!f)
		return;
	fresh_clear(f);
	strmap_free(&f->by_id);
	free(f->ring);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

enum { TEXTS_MAX = 10 };
/* The texts that a session has from its begin on. */
static size_t texts_of(struct session_row *s, struct str *out[TEXTS_MAX])
{
	struct str *const all[TEXTS_MAX] = {&s->id,         &s->challenge,  &s->app_name,      &s->app_icon,     &s->app_origin,
					    &s->client_id,  &s->return_url, &s->desktop_ip,    &s->desktop_agent, &s->browser_hash};
	memcpy(out, all, sizeof(all));
	return TEXTS_MAX;
}

static struct entry *new_entry(const struct session_row *s)
{
	struct session_row copy = *s;
	struct str *texts[TEXTS_MAX];
	size_t count = texts_of(&copy, texts), room = 0, used = 0;
	for (size_t i = 0; i < count; i++)
		room += texts[i]->n;
	struct entry *e = xmalloc(sizeof(*e) + room + 1); /* one more, so that an empty text at the end has a place */
	e->row = copy;
	(void)texts_of(&e->row, texts);
	for (size_t i = 0; i < count; i++) {
		struct str *t = texts[i];
		if (!str_present(*t))
			continue;
		memcpy(e->texts + used, t->p, t->n);
		t->p = e->texts + used;
		used += t->n;
	}
	e->row.match_choices = STR_NONE; /* of no use here */
	return e;
}

void fresh_put(struct fresh *f, const struct session_row *s)
{
	struct entry *e = new_entry(s);
	pthread_mutex_lock(&f->lock);
	drop(f, f->ring[f->next]);
	e->slot = f->next;
	f->ring[f->next] = e;
	f->next = (f->next + 1) % f->max;
	strmap_put(&f->by_id, e->row.id, e);
	pthread_mutex_unlock(&f->lock);
}

bool fresh_get(struct fresh *f, struct str session_id, struct arena *arena, struct session_row *out)
{
	struct str *texts[TEXTS_MAX];
	pthread_mutex_lock(&f->lock);
	const struct entry *e = strmap_get(&f->by_id, session_id);
	if (e) {
		*out = e->row;
		size_t count = texts_of(out, texts);
		for (size_t i = 0; i < count; i++)
			*texts[i] = arena_copy(arena, *texts[i]);
	}
	pthread_mutex_unlock(&f->lock);
	return e != NULL;
}

void fresh_drop(struct fresh *f, struct str session_id)
{
	pthread_mutex_lock(&f->lock);
	drop(f, strmap_get(&f->by_id, session_id));
	pthread_mutex_unlock(&f->lock);
}
