/* Life cycle: options, TLS, workers, start, drain, stop. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "connection.h"
#include "listener.h"
#include "tls.h"
#include "workers.h"

enum {
	CONNECTIONS_MAX = 16384,
	CONNECTIONS_PER_ADDRESS = 1024,
	STREAMS_MAX = 10000,
	IDLE_TIMEOUT_MS = 30000,
	RATE_SETS = 16384, /* times 4 addresses: 2 MiB */
	DRAIN_LOOK_MS = 10
};

/* ---- options ---- */

static char *copy_text(const char *z)
{
	return z ? xstrdup(z) : NULL;
}

static void set_default(int *value, int fallback)
{
	if (*value <= 0)
		*value = fallback;
}

static void take_options(struct http_server *s, const struct http_options *o)
{
	s->o = *o;
	s->o.service = copy_text(o->service);
	s->o.version = copy_text(o->version);
	s->o.commit = copy_text(o->commit);
	s->o.description = copy_text(o->description);
	s->o.tls_cert = copy_text(o->tls_cert);
	s->o.tls_key = copy_text(o->tls_key);
	s->o.listen = NULL;
	s->o.trusted_proxies = NULL; /* read at the start */
	set_default(&s->o.workers, (int)sysconf(_SC_NPROCESSORS_ONLN));
	set_default(&s->o.connections_max, CONNECTIONS_MAX);
	set_default(&s->o.connections_per_address, CONNECTIONS_PER_ADDRESS);
	set_default(&s->o.streams_max, STREAMS_MAX);
	set_default(&s->o.rate_burst, 1);
	if (s->o.idle_timeout_ms <= 0)
		s->o.idle_timeout_ms = IDLE_TIMEOUT_MS;
	if (s->o.connection_memory == 0)
		s->o.connection_memory = MHD_POOL_BYTES;
	if (s->o.stream_comment_ms <= 0)
		s->o.stream_comment_ms = STREAM_COMMENT_MS;
}

static void free_text(const char *z)
{
	union {
		const char *in;
		char *out;
	} p = {.in = z};
	free(p.out);
}

static void free_options(struct http_options *o)
{
	free_text(o->service);
	free_text(o->version);
	free_text(o->commit);
	free_text(o->description);
	free_text(o->tls_cert);
	free_text(o->tls_key);
}

static void build_routes(struct http_server *s)
{
	s->routes = xcalloc(s->o.route_count + http_builtin_count, sizeof(const struct http_route *));
	for (size_t i = 0; i < s->o.route_count; i++)
		s->routes[s->route_count++] = &s->o.routes[i];
	for (size_t i = 0; i < http_builtin_count; i++)
		s->routes[s->route_count++] = &http_builtin_routes[i];
	s->router = router_new(s->routes, s->route_count);
	s->metrics = request_metrics_new(s->routes, s->route_count);
}

/* A descriptor a connection and some for the rest: fewer than asked for is worth a word before the first refusal. */
static void check_descriptors(const struct http_server *s)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < (rlim_t)s->o.connections_max + 64)
		log_warn("the descriptor limit is below the connection limit", LOG_I("descriptors", (int64_t)limit.rlim_cur),
			 LOG_I("connections_max", s->o.connections_max));
}

/* ---- TLS ---- */

static bool read_tls(struct http_server *s, struct error *err)
{
	if (!s->o.tls_cert && !s->o.tls_key)
		return true;
	if (!s->o.tls_cert || !s->o.tls_key)
		return error_set(err, ERR_CONFIG, "a TLS certificate and its key go together: one of the two files is not given");
	s->tls = tls_new(s->o.tls_cert, s->o.tls_key, err);
	return s->tls != NULL;
}

/* ---- start ---- */

static bool start_listening(struct http_server *s, const char *listen, struct error *err)
{
	struct sockaddr_storage bound;
	socklen_t len = sizeof(bound);
	s->listen_fd = address_listen(listen, err);
	if (s->listen_fd < 0)
		return false;
	s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->wake_fd < 0 || getsockname(s->listen_fd, (struct sockaddr *)&bound, &len) != 0)
		return error_errno(err, ERR_IO, errno, "cannot listen on %s", listen);
	address_text_port((const struct sockaddr *)&bound, s->address);
	return true;
}

static void make_openapi(struct http_server *s)
{
	http_openapi_write(&s->openapi, s->o.service, s->o.description ? s->o.description : "", s->o.routes, s->o.route_count);
	uint64_t h = UINT64_C(0xcbf29ce484222325); /* FNV-1a: it need only differ when the text does */
	for (size_t i = 0; i < s->openapi.len; i++)
		h = (h ^ (unsigned char)s->openapi.data[i]) * UINT64_C(0x100000001b3);
	(void)snprintf(s->openapi_etag, sizeof(s->openapi_etag), "%016llx", (unsigned long long)h);
}

static void free_server(struct http_server *s)
{
	workers_stop(s);
	if (s->listen_fd >= 0)
		(void)close(s->listen_fd);
	if (s->wake_fd >= 0)
		(void)close(s->wake_fd);
	request_metrics_free(s->metrics);
	router_free(s->router);
	ratelimit_free(s->writes);
	address_counts_free(s->by_address);
	proxies_free(s->proxies);
	pthread_mutex_destroy(&s->hubs_lock);
	free(s->routes);
	tls_free(s->tls);
	buf_free(&s->openapi);
	free_options(&s->o);
	free(s);
}

struct http_server *http_server_start(const struct http_options *o, struct error *err)
{
	struct http_server *s = xcalloc(1, sizeof(*s));
	take_options(s, o);
	s->listen_fd = s->wake_fd = -1;
	s->started_ms = clock_mono_ms();
	s->by_address = address_counts_new();
	s->writes = ratelimit_new(RATE_SETS, s->o.rate_per_second, s->o.rate_burst, random_u64());
	invariant(pthread_mutex_init(&s->hubs_lock, NULL) == 0);
	(void)snprintf(s->id_prefix, sizeof(s->id_prefix), "%08x-", (unsigned)random_u64());
	build_routes(s);
	make_openapi(s);
	check_descriptors(s);
	s->proxies = proxies_new(o->trusted_proxies, err);
	if (!s->proxies || !read_tls(s, err) || !start_listening(s, o->listen, err) || !workers_start(s, err)) {
		free_server(s);
		return NULL;
	}
	s->listener_runs = true;
	invariant(pthread_create(&s->listener, NULL, listener_main, s) == 0);
	return s;
}

const char *http_server_address(const struct http_server *s)
{
	return s->address;
}

bool http_server_reload_tls(struct http_server *s, struct error *err)
{
	bool changed = false;
	if (s->tls && !tls_reload(s->tls, &changed, err))
		return false;
	if (changed)
		log_info("the TLS certificate was taken anew", LOG_S("file", s->o.tls_cert));
	return true;
}

void http_server_set_rate(struct http_server *s, double per_second, int burst)
{
	ratelimit_set(s->writes, per_second, burst > 0 ? burst : 1);
}

/* ---- stop ---- */

static void sleep_ms(int64_t ms)
{
	struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
	while (nanosleep(&t, &t) != 0 && errno == EINTR)
		;
}

static void end_streams(struct http_server *s)
{
	pthread_mutex_lock(&s->hubs_lock);
	for (size_t i = 0; i < s->hub_count; i++)
		sse_hub_end(s->hubs[i]);
	pthread_mutex_unlock(&s->hubs_lock);
}

bool http_server_drain(struct http_server *s, int64_t drain_ms)
{
	int64_t end_ms = clock_mono_ms() + drain_ms;
	atomic_store(&s->draining, true);
	listener_wake(s);
	end_streams(s);
	for (;;) {
		connections_cut_idle(s);
		if (atomic_load(&s->open) == 0)
			return true;
		int64_t left_ms = end_ms - clock_mono_ms();
		if (left_ms <= 0)
			return false;
		sleep_ms(left_ms < DRAIN_LOOK_MS ? left_ms : DRAIN_LOOK_MS);
	}
}

void http_server_stop(struct http_server *s, int64_t drain_ms)
{
	if (!s)
		return;
	if (!http_server_drain(s, drain_ms))
		log_warn("connections are cut", LOG_I("connections", atomic_load(&s->open)));
	atomic_store(&s->listener_ends, true);
	listener_wake(s);
	pthread_join(s->listener, NULL);
	/* Sleeping connections must be awake before their daemons stop: streams ended above, deferred answers are given up here. Those
	 * that fall asleep after this look at `stopping`. */
	atomic_store(&s->stopping, true);
	connections_abort_later(s);
	free_server(s);
}
