#include "content_sources.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"

enum { SILENCE_MS = 10000 /* for how long a source may send nothing */ };

static const struct mesh_service *t4_of(const struct mesh_node *n)
{
	const struct mesh_service *list = n->services.items;
	for (size_t i = 0; i < n->services.count; i++)
		if (str_is(list[i].type, "t4"))
			return &list[i];
	return NULL;
}

/* "http://host:port": by address where there is one, since names may not resolve everywhere. */
static char *url_of(const struct mesh_node *n, int64_t port)
{
	struct str host = str_present(n->tailscale_ip) ? n->tailscale_ip : n->tailscale_hostname;
	bool v6 = host.n && memchr(host.p, ':', host.n) != NULL;
	struct buf url = {0};
	size_t len;
	buf_printf(&url, "http://%s%.*s%s:%lld", v6 ? "[" : "", STR_ARG(host), v6 ? "]" : "", (long long)port);
	return buf_steal(&url, &len);
}

/* The nth of those met so far: kept with such a chance that in the end each had the same. */
static void meet(struct content_sources *s, size_t nth, const struct mesh_node *n, int64_t port)
{
	size_t at = s->count < SOURCES_MAX ? s->count++ : (size_t)random_below(nth + 1);
	if (at >= SOURCES_MAX)
		return;
	struct content_source *c = &s->list[at];
	if (nth >= SOURCES_MAX) { /* one that was kept before goes */
		free(c->node_id);
		free(c->url);
	}
	*c = (struct content_source){.node_id = xstrndup(n->id.p, n->id.n), .url = url_of(n, port)};
}

static void shuffle(struct content_sources *s)
{
	for (size_t i = s->count; i > 1; i--) {
		size_t j = (size_t)random_below(i);
		struct content_source c = s->list[i - 1];
		s->list[i - 1] = s->list[j];
		s->list[j] = c;
	}
}

bool content_sources_find(struct content_sources *s, struct mesh_client *mesh, struct str less, struct error *err)
{
	struct mesh_node_list topology;
	struct arena arena;
	size_t met = 0;

	content_sources_clear(s);
	arena_init(&arena);
	bool ok = mesh_client_topology(mesh, &arena, &topology, err);
	for (size_t i = 0; ok && i < topology.nodes.count; i++) {
		const struct mesh_node *n = (const struct mesh_node *)topology.nodes.items + i;
		const struct mesh_service *t4 = t4_of(n);
		if (t4 && !str_equal(n->id, less))
			meet(s, met++, n, t4->port);
	}
	arena_free(&arena);
	shuffle(s);
	return ok;
}

struct t4_client *content_source_open(struct content_source *s, const char *user_agent, const volatile int *stop)
{
	const struct t4_client_options o = {.base_url = s->url, .user_agent = user_agent, .timeout_ms = SILENCE_MS, .stop = stop};
	struct error err;
	if (!s->t4 && !s->dead && !(s->t4 = t4_client_new(&o, &err))) {
		log_debug("a node's store cannot be asked", LOG_S("node", s->node_id), LOG_S("why", err.message));
		s->dead = true;
	}
	return s->dead ? NULL : s->t4;
}

void content_sources_clear(struct content_sources *s)
{
	for (size_t i = 0; i < s->count; i++) {
		t4_client_free(s->list[i].t4);
		free(s->list[i].node_id);
		free(s->list[i].url);
	}
	s->count = 0;
}
