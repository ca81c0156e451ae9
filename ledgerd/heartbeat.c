#include "heartbeat.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/worker.h"
#include "client/mesh_client.h"
#include "http/client.h"

enum {
	INTERVAL_MS = 2 * 60 * 1000,
	RETRY_MS = 15 * 1000,      /* after one that did not get through: several fit into mesh's patience */
	EXCHANGE_MS = 3000,        /* with mesh; a stop waits for one exchange */
	LOOK_MS = 2000,            /* with a service */
	UNWELL_MS = 2000,          /* after one that told of a service that is not well; doubled before it is used */
	SERVICES_MAX = 3
};

struct heartbeat {
	struct arena arena;
	struct heartbeat_options o; /* texts in the arena */
	struct mesh_client *mesh;
	struct http_client *t4, *identity; /* NULL: not there */
	struct worker *worker;
	bool told;                  /* the present trouble is in the log */
	int64_t unwell_ms;          /* until the next one while a service is not well */
	_Atomic bool stopping;
	_Atomic int64_t sent, failed, last;
};

static bool answers_well(struct heartbeat *h, struct http_client *c)
{
	struct http_answer_in answer;
	struct error err;
	if (atomic_load(&h->stopping) || !http_call(c, "GET", "/health", STR_NONE, &answer, &err))
		return false;
	bool well = answer.status == 200;
	http_answer_free(&answer);
	return well;
}

static size_t look(struct heartbeat *h, struct mesh_health out[SERVICES_MAX])
{
	struct error err;
	size_t n = 0;
	bool well = h->o.ready(h->o.ctx, &err);
	out[n++] = (struct mesh_health){STR_LIT("ledger"), well ? JSON_TRUE : JSON_FALSE, clock_wall_ms()};
	if (h->t4)
		out[n++] = (struct mesh_health){STR_LIT("t4"), answers_well(h, h->t4) ? JSON_TRUE : JSON_FALSE, clock_wall_ms()};
	if (h->identity)
		out[n++] = (struct mesh_health){STR_LIT("identity"), answers_well(h, h->identity) ? JSON_TRUE : JSON_FALSE, clock_wall_ms()};
	return n;
}

/* The client signs nothing before it knows the network's name. */
static bool learn_network(struct heartbeat *h, struct arena *arena, struct error *err)
{
	struct mesh_about about;
	return str_present(mesh_client_network(h->mesh)) ||
	       (mesh_client_about(h->mesh, arena, &about, err) && mesh_client_set_network(h->mesh, about.network, err));
}

/* *well: so are all services. */
static bool beat(struct heartbeat *h, bool *well, struct error *err)
{
	struct mesh_health services[SERVICES_MAX];
	struct mesh_heartbeat_answer answer;
	struct mesh_heartbeat beat;
	struct arena arena;

	json_message_clear(&mesh_heartbeat_message, &beat);
	beat.node_id = h->o.node_id;
	size_t n = look(h, services);
	*well = true;
	for (size_t i = 0; i < n; i++)
		*well = *well && services[i].healthy == JSON_TRUE;
	beat.services = (struct json_list){services, n};
	beat.version = str_from(h->o.version);
	beat.height = h->o.height(h->o.ctx);
	if (beat.height < 0)
		beat.height = JSON_INT_ABSENT;
	arena_init(&arena);
	bool ok = !atomic_load(&h->stopping) && learn_network(h, &arena, err) && mesh_client_heartbeat(h->mesh, &beat, h->o.node_key, &arena, &answer, err);
	arena_free(&arena);
	return ok;
}

static int64_t turn(void *ctx)
{
	struct heartbeat *h = ctx;
	struct error err;
	int64_t retry = h->o.interval_ms < RETRY_MS ? h->o.interval_ms : RETRY_MS;

	if (atomic_load(&h->stopping))
		return INTERVAL_MS;
	bool well, ok = beat(h, &well, &err);
	if (atomic_load(&h->stopping))
		return INTERVAL_MS;
	if (ok) {
		atomic_fetch_add(&h->sent, 1);
		atomic_store(&h->last, clock_wall_ms());
		if (h->told)
			log_info("mesh takes heartbeats again", LOG_S("mesh", h->o.mesh_url));
		h->told = false;
		if (!well && h->unwell_ms < h->o.interval_ms) {
			/* It may just be starting: mesh need not think for a whole interval that it is ill. */
			h->unwell_ms *= 2;
			return h->unwell_ms;
		}
		if (well)
			h->unwell_ms = UNWELL_MS;
		/* 90 to 110 %: nodes that were started together drift apart. */
		return h->o.interval_ms * 9 / 10 + (int64_t)random_below((uint64_t)h->o.interval_ms / 5 + 1) + 1;
	}
	atomic_fetch_add(&h->failed, 1);
	if (!h->told)
		log_warn("mesh did not take a heartbeat", LOG_S("mesh", h->o.mesh_url), LOG_S("why", err.message));
	h->told = true;
	return retry / 2 + (int64_t)random_below((uint64_t)retry / 2 + 1) + 1;
}

static bool open_service(const struct heartbeat *h, const char *url, struct http_client **out, struct error *err)
{
	const struct http_client_options o = {.base_url = url, .user_agent = h->o.user_agent, .connect_timeout_ms = LOOK_MS, .timeout_ms = LOOK_MS};
	return !url || (*out = http_client_new(&o, err)) != NULL;
}

static const char *keep(struct heartbeat *h, const char *z)
{
	return z ? arena_strdup(&h->arena, z) : NULL;
}

struct heartbeat *heartbeat_start(const struct heartbeat_options *o, struct error *err)
{
	struct heartbeat *h = xcalloc(1, sizeof(*h));
	arena_init(&h->arena);
	h->o = *o;
	h->o.mesh_url = keep(h, o->mesh_url);
	h->o.version = keep(h, o->version);
	h->o.node_id = arena_copy(&h->arena, o->node_id);
	h->o.interval_ms = o->interval_ms > 0 ? o->interval_ms : INTERVAL_MS;
	h->unwell_ms = UNWELL_MS;
	h->mesh = mesh_client_new(o->mesh_url, o->user_agent, EXCHANGE_MS, err);
	if (!h->mesh || !open_service(h, o->t4_url, &h->t4, err) || !open_service(h, o->identity_url, &h->identity, err)) {
		heartbeat_stop(h);
		return NULL;
	}
	h->worker = worker_start("heartbeat", turn, h);
	return h;
}

void heartbeat_quiesce(struct heartbeat *h)
{
	if (!h)
		return;
	atomic_store(&h->stopping, true);
	worker_stop(h->worker);
	h->worker = NULL;
}

void heartbeat_stop(struct heartbeat *h)
{
	if (!h)
		return;
	heartbeat_quiesce(h);
	mesh_client_free(h->mesh);
	http_client_free(h->t4);
	http_client_free(h->identity);
	arena_free(&h->arena);
	free(h);
}

void heartbeat_counts(struct heartbeat *h, int64_t *sent, int64_t *failed, int64_t *last)
{
	*sent = h ? atomic_load(&h->sent) : 0;
	*failed = h ? atomic_load(&h->failed) : 0;
	*last = h ? atomic_load(&h->last) : 0;
}
