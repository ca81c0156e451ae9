#include "oidc.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/worker.h"
#include "oidc_store.h"

enum {
	TURN_MS = 60 * 1000,
	OLD_CLIENTS_MS = 60 * 60 * 1000 /* how long a list that was replaced is kept: longer than any request lasts */
};

/* The list of one reading of the file. Requests hold pointers into it, so it goes long after it was replaced. */
struct generation {
	struct generation *older;
	struct oidc_clients clients;
	int64_t replaced_ms; /* monotonic; 0: it is the present one */
};

struct oidc {
	struct oidc_config config;
	struct db_pool *pool;
	struct oidc_keys *keys;
	struct worker *worker;
	pthread_rwlock_t lock; /* of newest and the chain behind it */
	struct generation *newest;
};

bool oidc_configure(const struct invocation *in, struct oidc_config *out, struct error *err)
{
	struct oidc_clients clients;
	*out = (struct oidc_config){
		.clients_file = option_text(in, "clients"),
		.keys_file = option_text(in, "oidc-keys"),
		.email_domain = option_text(in, "email-domain"),
		.email_verified = option_bool(in, "email-verified"),
		.key_lifetime_ms = option_int(in, "oidc-key-lifetime"),
		.key_overlap_ms = option_int(in, "oidc-key-overlap"),
	};
	if (out->key_overlap_ms * 2 > out->key_lifetime_ms)
		return error_set(err, ERR_CONFIG, "--oidc-key-overlap must be at most half of --oidc-key-lifetime");
	for (const char *p = out->email_domain; p && *p; p++)
		if (!(*p >= 'a' && *p <= 'z') && !(*p >= '0' && *p <= '9') && *p != '.' && *p != '-')
			return error_set(err, ERR_CONFIG, "--email-domain: \"%s\" is no domain in lower case", out->email_domain);
	if (!out->clients_file)
		return true;
	if (!oidc_clients_read(out->clients_file, &clients, err))
		return false;
	oidc_clients_free(&clients);
	return true;
}

/* ---- the clients ---- */

static bool take_clients(struct oidc *o, struct error *err)
{
	struct generation *g = xcalloc(1, sizeof(*g));
	if (o->config.clients_file && !oidc_clients_read(o->config.clients_file, &g->clients, err)) {
		free(g);
		return false;
	}
	pthread_rwlock_wrlock(&o->lock);
	if (o->newest)
		o->newest->replaced_ms = clock_mono_ms();
	g->older = o->newest;
	o->newest = g;
	pthread_rwlock_unlock(&o->lock);
	return true;
}

static void free_generations(struct generation *g)
{
	while (g) {
		struct generation *older = g->older;
		oidc_clients_free(&g->clients);
		free(g);
		g = older;
	}
}

static void drop_old_clients(struct oidc *o)
{
	struct generation *old = NULL;
	pthread_rwlock_wrlock(&o->lock);
	for (struct generation **at = &o->newest; *at; at = &(*at)->older)
		if ((*at)->replaced_ms != 0 && clock_mono_ms() - (*at)->replaced_ms > OLD_CLIENTS_MS) {
			old = *at; /* and all behind it, which are older still */
			*at = NULL;
			break;
		}
	pthread_rwlock_unlock(&o->lock);
	free_generations(old);
}

const struct oidc_client *oidc_client_find(struct oidc *o, struct str id)
{
	pthread_rwlock_rdlock(&o->lock);
	const struct oidc_client *c = oidc_clients_find(&o->newest->clients, id);
	pthread_rwlock_unlock(&o->lock);
	return c;
}

bool oidc_origin_registered(struct oidc *o, struct str origin)
{
	bool found = false;
	pthread_rwlock_rdlock(&o->lock);
	const struct oidc_clients *all = &o->newest->clients;
	for (size_t i = 0; i < all->count && !found; i++)
		found = oidc_uri_listed(all->list[i].origins, all->list[i].origin_count, origin);
	pthread_rwlock_unlock(&o->lock);
	return found;
}

size_t oidc_client_count(struct oidc *o)
{
	pthread_rwlock_rdlock(&o->lock);
	size_t n = o->newest->clients.count;
	pthread_rwlock_unlock(&o->lock);
	return n;
}

/* ---- upkeep ---- */

struct purge_job {
	struct db_job job;
	int64_t now;
};

static enum db_status run_purge(struct db_job *job, struct db_conn *c, struct error *err)
{
	return oidc_purge(c, ((struct purge_job *)job)->now, err);
}

static int64_t turn(void *ctx)
{
	struct oidc *o = ctx;
	struct error err;
	struct purge_job purge = {.job = {.run = run_purge}, .now = clock_wall_ms()};
	drop_old_clients(o);
	if (o->keys && !oidc_keys_turn(o->keys, purge.now, &err))
		log_warn("the signing keys could not be looked after", LOG_S("why", err.message));
	if (db_pool_write(o->pool, &purge.job, &err) != DB_OK && err.code != ERR_UNAVAILABLE)
		log_warn("what is over could not be forgotten", LOG_S("why", err.message));
	int64_t often = o->config.key_overlap_ms / 4;
	return often < TURN_MS ? (often > 100 ? often : 100) : TURN_MS;
}

/* ---- life ---- */

struct oidc *oidc_open(const struct oidc_config *c, struct db_pool *pool, struct error *err)
{
	struct oidc *o = xcalloc(1, sizeof(*o));
	o->config = *c;
	o->pool = pool;
	pthread_rwlock_init(&o->lock, NULL);
	const struct oidc_key_options keys = {.path = c->keys_file, .lifetime_ms = c->key_lifetime_ms, .overlap_ms = c->key_overlap_ms};
	if (!take_clients(o, err) || (c->clients_file && !(o->keys = oidc_keys_open(&keys, pool, err)))) {
		oidc_close(o);
		return NULL;
	}
	return o;
}

void oidc_serve(struct oidc *o)
{
	o->worker = worker_start("oidc", turn, o);
}

bool oidc_reload(struct oidc *o, struct error *err)
{
	return take_clients(o, err);
}

void oidc_quiesce(struct oidc *o)
{
	if (!o)
		return;
	worker_stop(o->worker);
	o->worker = NULL;
}

void oidc_close(struct oidc *o)
{
	if (!o)
		return;
	oidc_quiesce(o);
	oidc_keys_close(o->keys);
	free_generations(o->newest);
	pthread_rwlock_destroy(&o->lock);
	free(o);
}

const struct oidc_config *oidc_config_of(const struct oidc *o)
{
	return &o->config;
}

struct oidc_keys *oidc_keys_of(struct oidc *o)
{
	return o->keys;
}
