/* From options to a running service's parts, and back. */
#include <unistd.h>

#include "base/jobs.h"
#include "base/log.h"
#include "binding.h"
#include "fresh.h"
#include "identity.h"
#include "identity_schema.h"
#include "notify.h"
#include "oidc.h"
#include "origin_rules.h"
#include "redis/redis.h"
#include "watch.h"

enum {
	QUEUE_MAX = 20000, /* writes waiting */
	GROUP_MAX = 256,   /* writes in one commit */
	PATIENCE_MS = 2000,
	FRESH_MAX = 8192,  /* sessions, less than 1 KiB each */
	LEDGER_THREADS = 8 /* questions to the ledger at once */
};

static bool read_origins(struct identity *id, const struct invocation *in, const char *name, struct str **out, size_t *count, struct error *err)
{
	*count = option_count(in, name);
	*out = arena_zalloc(&id->arena, *count + 1, sizeof(**out));
	for (size_t i = 0; i < *count; i++) {
		const char *given = option_at(in, name, i);
		if (url_is_origin(str_from(given), &id->arena, &(*out)[i]))
			continue;
		error_set(err, ERR_CONFIG, "--%s: \"%s\" is no origin", name, given);
		return error_hint(err, "scheme, host and port alone: https://app.example.com");
	}
	return true;
}

static bool read_public_url(struct identity *id, const struct invocation *in, struct error *err)
{
	const char *given = option_text(in, "public-url");
	struct str origin;
	if (!given) {
		error_set(err, ERR_CONFIG, "--public-url is required");
		return error_hint(err, "the address that phones and browsers reach this service by: https://id.example.com");
	}
	if (!url_is_origin(str_from(given), &id->arena, &origin)) {
		error_set(err, ERR_CONFIG, "--public-url: \"%s\" is no http or https URL of a host alone", given);
		return error_hint(err, "scheme, host and port, without a path: https://id.example.com");
	}
	id->config.public_url = origin.p;
	if (id->config.cookie_domain && !domain_covers(id->config.cookie_domain, url_host(origin))) {
		error_set(err, ERR_CONFIG, "--cookie-domain: \"%s\" is no domain that the host of --public-url is of", id->config.cookie_domain);
		return error_hint(err, "for https://id.example.com: example.com");
	}
	id->config.secure = str_starts(origin, "https://");
	return true;
}

static bool read_binding(struct identity *id, const struct invocation *in, struct error *err)
{
	static const struct {
		const char *text;
		enum key_binding kind;
	} known[] = {{"ledger", BIND_LEDGER}, {"file", BIND_FILE}, {"tofu", BIND_TOFU}, {"none", BIND_NONE}};
	struct identity_config *c = &id->config;
	const char *given = option_text(in, "key-binding");
	c->binding = c->ledger_url ? BIND_LEDGER : BIND_TOFU;
	for (size_t i = 0; given && i < ARRAY_LEN(known); i++)
		if (strcmp(given, known[i].text) == 0)
			c->binding = known[i].kind;
	if (c->binding == BIND_LEDGER && !c->ledger_url)
		return error_set(err, ERR_CONFIG, "--key-binding ledger needs --ledger-url");
	if (c->binding == BIND_FILE && !c->users_file)
		return error_set(err, ERR_CONFIG, "--key-binding file needs --users-file");
	return true;
}

static enum match_when read_match(const struct invocation *in)
{
	const char *given = option_text(in, "match-code");
	return strcmp(given, "always") == 0 ? MATCH_ALWAYS : strcmp(given, "new") == 0 ? MATCH_NEW : MATCH_NEVER;
}

bool identity_configure(struct identity *id, const struct invocation *in, struct error *err)
{
	struct str *return_origins, *allow_origins;
	size_t allow_count;
	enum db_kind kind;
	arena_init(&id->arena);
	struct identity_config *c = &id->config;
	*c = (struct identity_config){
		.db_url = option_text(in, "db"),
		.ledger_url = option_text(in, "ledger-url"),
		.cookie_domain = option_text(in, "cookie-domain"),
		.redis_url = option_text(in, "redis"),
		.users_file = option_text(in, "users-file"),
		.match = read_match(in),
		.session_ttl_ms = option_int(in, "session-ttl"),
		.token_ttl_ms = option_int(in, "token-ttl"),
		.sessions_max = option_int(in, "max-sessions"),
		.streams_per_session = option_int(in, "streams-per-session"),
		.streams_per_address = option_int(in, "streams-per-address"),
	};
	if (!oidc_configure(in, &c->oidc, err) || !db_url_kind(c->db_url, &kind, err) || !read_public_url(id, in, err) || !read_binding(id, in, err) ||
	    (c->redis_url && !redis_url_check(c->redis_url, err)) ||
	    !read_origins(id, in, "allow-return-origin", &return_origins, &c->return_origin_count, err) ||
	    !read_origins(id, in, "allow-origin", &allow_origins, &allow_count, err))
		return false;
	c->return_origins = return_origins;
	const char **texts = arena_zalloc(&id->arena, allow_count + 1, sizeof(*texts));
	for (size_t i = 0; i < allow_count; i++)
		texts[i] = allow_origins[i].p;
	c->allow_origins = texts;
	return true;
}

/* What an operator should hear once, at the start. */
static void warn_about(const struct identity_config *c)
{
	if (!c->secure)
		log_warn("--public-url is plain http: tokens and cookies can be read on the way", LOG_S("public_url", c->public_url));
	switch (c->binding) {
	case BIND_NONE:
		log_warn("--key-binding none: whoever signs may claim to be anybody; for tests only");
		break;
	case BIND_TOFU:
		log_warn("--key-binding tofu: a user id belongs to the first key that logs in with it", LOG_S("hint", "--ledger-url, or --users-file"));
		break;
	case BIND_LEDGER:
	case BIND_FILE:
		break;
	}
}

bool identity_open(struct identity *id, struct error *err)
{
	const struct identity_config *c = &id->config;
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	const struct db_pool_options o = {.url = c->db_url,
					  .name = "identityd",
					  .readers = cores < 2 ? 4 : (int)cores * 2,
					  .queue_max = QUEUE_MAX,
					  .group_max = GROUP_MAX,
					  .patience_ms = PATIENCE_MS};
	id->binding = binding_open(c, err);
	if (!id->binding)
		return false;
	id->pool = db_pool_open(&o, identity_migrations, identity_migration_count, err);
	if (!id->pool)
		return false;
	id->hub = sse_hub_new(1);
	const struct watch_options w = {.hub = id->hub, .streams_per_session = c->streams_per_session, .streams_per_address = c->streams_per_address};
	id->watch = watch_new(&w);
	id->fresh = fresh_new(FRESH_MAX);
	id->notify = notify_start(id, err);
	if (!id->notify)
		return false;
	id->jobs = jobs_start(LEDGER_THREADS);
	id->oidc = oidc_open(&c->oidc, id->pool, err);
	if (!id->oidc)
		return false;
	warn_about(c);
	return true;
}

void identity_close(struct identity *id)
{
	jobs_stop(id->jobs);
	notify_stop(id->notify);
	if (id->hub)
		sse_hub_free(id->hub);
	watch_free(id->watch);
	fresh_free(id->fresh);
	oidc_close(id->oidc);
	if (id->pool)
		db_pool_close(id->pool);
	binding_close(id->binding);
	arena_free(&id->arena);
}
