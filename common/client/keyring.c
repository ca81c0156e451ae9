#include "client/keyring.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/strmap.h"
#include "base/worker.h"
#include "client/keyring_copy.h"

enum {
	REFRESH_MS = 60 * 1000,
	RETRY_MIN_MS = 1000,            /* between two readings, whoever asks for them */
	RETRY_MAX_MS = 10 * 1000,       /* while mesh does not answer */
	WAIT_MS = 2000,                 /* for an unknown key */
	PAGE_TIMEOUT_MS = 5000,
	SAVE_MS = 10 * 60 * 1000,       /* an unchanged copy is written anew so often, for its time */
	NAME_MAX_BYTES = MESH_NODE_ID_MAX + 1 + 32
};

/* A key given by hand. */
struct trusted {
	struct trusted *next;
	struct ed25519_public public_key;
	char name[]; /* "<nodeId>/<service>" */
};

struct keyring {
	struct mesh_client *mesh; /* the worker's; NULL: only trusted keys */
	char *cache_file;
	int64_t refresh_ms;
	struct worker *worker;
	atomic_bool stopping;
	struct hash saved_digest;   /* the worker's, as saved_at */
	int64_t saved_at;           /* monotonic ms; 0: not yet */

	pthread_mutex_t lock;
	pthread_cond_t refreshed;
	struct trusted *trusted;    /* few: looked through one by one */
	struct keyring_copy *copy;  /* NULL: none yet */
	int64_t read_at;            /* ms, wall */
	uint64_t begun, ended;      /* readings */
	int64_t begun_at, ended_at; /* monotonic ms, of the newest */
	int64_t retry_ms;           /* the pause after the last reading, which failed; 0: it did not */
};

/* ---- The worker ---- */

static void save(struct keyring *k, const struct keyring_copy *copy)
{
	struct error err;
	int64_t now = clock_mono_ms();

	if (!k->cache_file || (k->saved_at && hash_equal(&k->saved_digest, &copy->digest) && now - k->saved_at < SAVE_MS))
		return;
	if (!keyring_copy_save(copy, k->cache_file, &err)) {
		log_warn("the copy of the services' keys is not kept", LOG_S("file", k->cache_file), LOG_S("reason", err.message));
		return;
	}
	k->saved_digest = copy->digest;
	k->saved_at = now;
}

/* Tells of the first failure and of its end, not of each. */
static int64_t after_reading(struct keyring *k, bool ok, const struct error *why)
{
	if (ok) {
		if (k->retry_ms)
			log_info("the services' keys are read from mesh again", LOG_S("mesh", mesh_client_url(k->mesh)));
		k->retry_ms = 0;
		return k->refresh_ms;
	}
	if (!k->retry_ms && !k->stopping)
		log_warn("the services' keys cannot be read from mesh; those known stay in use", LOG_S("mesh", mesh_client_url(k->mesh)),
			 LOG_S("reason", why->message));
	k->retry_ms = k->retry_ms ? k->retry_ms * 2 : RETRY_MIN_MS;
	if (k->retry_ms > RETRY_MAX_MS)
		k->retry_ms = RETRY_MAX_MS;
	return k->retry_ms < k->refresh_ms ? k->retry_ms : k->refresh_ms;
}

static int64_t turn(void *ctx)
{
	struct keyring *k = ctx;
	struct error err;

	pthread_mutex_lock(&k->lock);
	k->begun++;
	k->begun_at = clock_mono_ms();
	pthread_mutex_unlock(&k->lock);
	struct keyring_copy *fresh = keyring_copy_read(k->mesh, &k->stopping, &err), *old = NULL;
	bool ok = fresh != NULL;
	if (ok)
		save(k, fresh);
	pthread_mutex_lock(&k->lock);
	int64_t pause = after_reading(k, ok, &err);
	if (ok) {
		old = k->copy;
		k->copy = fresh;
		k->read_at = fresh->read_at;
	}
	k->ended = k->begun;
	k->ended_at = clock_mono_ms();
	pthread_cond_broadcast(&k->refreshed);
	pthread_mutex_unlock(&k->lock);
	keyring_copy_free(old);
	return pause;
}

/* ---- Start and stop ---- */

static void load_cache(struct keyring *k)
{
	struct error err;

	if (!k->cache_file)
		return;
	k->copy = keyring_copy_load(k->cache_file, &err);
	if (k->copy)
		k->read_at = k->copy->read_at;
	else if (err.code != ERR_NOT_FOUND)
		log_warn("the kept copy of the services' keys cannot be used", LOG_S("reason", err.message));
}

struct keyring *keyring_start(const struct keyring_options *o, struct error *err)
{
	struct mesh_client *mesh = NULL;
	pthread_condattr_t monotonic;

	if (o->mesh_url && !(mesh = mesh_client_new(o->mesh_url, o->user_agent, PAGE_TIMEOUT_MS, err)))
		return NULL;
	struct keyring *k = xcalloc(1, sizeof *k);
	k->mesh = mesh;
	k->refresh_ms = o->refresh_ms > 0 ? o->refresh_ms : REFRESH_MS;
	k->cache_file = mesh && o->cache_file ? xstrdup(o->cache_file) : NULL;
	pthread_mutex_init(&k->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&k->refreshed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	load_cache(k);
	if (mesh)
		k->worker = worker_start("keyring", turn, k);
	return k;
}

void keyring_stop(struct keyring *k)
{
	if (!k)
		return;
	k->stopping = true;
	worker_stop(k->worker);
	mesh_client_free(k->mesh);
	keyring_copy_free(k->copy);
	for (struct trusted *t = k->trusted, *next; t; t = next) {
		next = t->next;
		free(t);
	}
	pthread_cond_destroy(&k->refreshed);
	pthread_mutex_destroy(&k->lock);
	free(k->cache_file);
	free(k);
}

static const struct ed25519_public *find_trusted(const struct keyring *k, struct str name)
{
	for (const struct trusted *t = k->trusted; t; t = t->next)
		if (str_is(name, t->name))
			return &t->public_key;
	return NULL;
}

bool keyring_trust(struct keyring *k, const char *text, struct error *err)
{
	const char *slash = strchr(text, '/'), *equals = slash ? strchr(slash, '=') : NULL;
	struct ed25519_public public_key;
	struct error why;

	if (!equals || !mesh_node_id_valid(str_of(text, (size_t)(slash - text))) ||
	    !mesh_service_type_valid(str_of(slash + 1, (size_t)(equals - slash - 1))))
		return error_set(err, ERR_CONFIG, "'%.100s' does not name a key to trust: NODE/SERVICE=PUBLICKEY is needed", text);
	if (!ed25519_public_from_text(str_from(equals + 1), KEY_LENIENT, &public_key, &why))
		return error_set(err, ERR_CONFIG, "the key to trust for %.*s: %s", (int)(equals - text), text, why.message);
	size_t n = (size_t)(equals - text);
	struct trusted *t = xcalloc(1, sizeof *t + n + 1);
	memcpy(t->name, text, n);
	t->public_key = public_key;
	pthread_mutex_lock(&k->lock);
	t->next = k->trusted; /* in front: the latest word on a name holds */
	k->trusted = t;
	pthread_mutex_unlock(&k->lock);
	return true;
}

/* ---- Asking ---- */

static const struct ed25519_public *find(const struct keyring *k, struct str name)
{
	const struct ed25519_public *by_hand = find_trusted(k, name);
	return by_hand ? by_hand : keyring_copy_find(k->copy, name);
}

/*
 * Which reading an unknown key is worth waiting for; 0: none. A reading under way may be the first one. When mesh hangs, nobody waits
 * longer than WAIT_MS after its beginning: the callers are threads that serve others too. When it fails, the pauses between readings grow.
 */
static uint64_t reading_to_wait_for(struct keyring *k, int64_t now)
{
	if (!k->worker || k->stopping)
		return 0;
	if (k->begun == 0 || (k->begun > k->ended && now - k->begun_at < WAIT_MS))
		return k->ended + 1;
	if (k->begun > k->ended || now - k->ended_at < (k->retry_ms ? k->retry_ms : RETRY_MIN_MS))
		return 0;
	worker_wake(k->worker);
	return k->ended + 1;
}

static void wait_for(struct keyring *k, uint64_t reading)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += WAIT_MS / 1000;
	while (k->ended < reading && !k->stopping)
		if (pthread_cond_timedwait(&k->refreshed, &k->lock, &until) != 0)
			return;
}

bool keyring_key(void *keyring, struct str node_id, struct str service, struct ed25519_public *out)
{
	struct keyring *k = keyring;
	char name[NAME_MAX_BYTES];

	if (node_id.n + 1 + service.n > sizeof name)
		return false;
	memcpy(name, node_id.p, node_id.n);
	name[node_id.n] = '/';
	memcpy(name + node_id.n + 1, service.p, service.n);
	struct str key_name = str_of(name, node_id.n + 1 + service.n);

	pthread_mutex_lock(&k->lock);
	const struct ed25519_public *found = find(k, key_name);
	if (!found) {
		uint64_t reading = reading_to_wait_for(k, clock_mono_ms());
		if (reading) {
			wait_for(k, reading);
			found = find(k, key_name);
		}
	}
	if (found)
		*out = *found;
	pthread_mutex_unlock(&k->lock);
	return found != NULL;
}

void keyring_state(struct keyring *k, int64_t *read_at, size_t *keys)
{
	pthread_mutex_lock(&k->lock);
	*read_at = k->read_at;
	*keys = k->copy ? k->copy->count : 0;
	for (const struct trusted *t = k->trusted; t; t = t->next)
		++*keys;
	pthread_mutex_unlock(&k->lock);
}
