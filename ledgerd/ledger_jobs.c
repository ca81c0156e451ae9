#include "ledger_jobs.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "cleanup.h"
#include "content_sync.h"
#include "core.h"
#include "daemon/daemon.h"
#include "heartbeat.h"

struct ledger_jobs {
	struct heartbeat *heartbeat; /* NULL: it lacks something; likewise the others */
	struct content_sync *content;
	struct cleanup *cleanup;
};

static bool ready(void *ctx, struct error *err)
{
	const struct ledger *l = ctx;
	return core_ready(l->core, err);
}

static int64_t height(void *ctx)
{
	const struct ledger *l = ctx;
	struct core_tip tip;
	core_tip(l->core, &tip);
	return tip.height;
}

static bool start_heartbeat(struct ledger_jobs *j, struct ledger *l, const char *agent, struct error *err)
{
	const struct heartbeat_options o = {
		.mesh_url = l->config.mesh_url,
		.node_id = l->node_id,
		.node_key = &l->node_key,
		.t4_url = l->config.t4_url,
		.identity_url = l->config.identity_url,
		.user_agent = agent,
		.version = tana_version(),
		.interval_ms = l->config.heartbeat_interval_ms,
		.ready = ready,
		.height = height,
		.ctx = l,
	};
	if (!l->config.mesh_url)
		return true;
	if (!l->has_key || !str_present(l->node_id)) {
		log_warn("no heartbeats are sent: that needs the node's key (--node-key)");
		return true;
	}
	j->heartbeat = heartbeat_start(&o, err);
	return j->heartbeat != NULL;
}

static bool start_content(struct ledger_jobs *j, struct ledger *l, const char *agent, struct error *err)
{
	const struct content_sync_options o = {
		.pool = l->pool,
		.t4_url = l->config.t4_url,
		.mesh_url = l->config.mesh_url,
		.node_id = l->node_id,
		.service_key = &l->service_key,
		.user_agent = agent,
		.interval_ms = l->config.content_interval_ms,
		.rate = l->config.content_rate,
	};
	if (!l->config.t4_url || !l->config.mesh_url)
		return true;
	if (!l->has_key || !str_present(l->node_id)) {
		log_warn("content of the chain is not brought in: that needs a key to store it with (--node-key)");
		return true;
	}
	j->content = content_sync_start(&o, err);
	return j->content != NULL;
}

/* Often enough that nothing is kept much longer than it is said to be. */
enum { CLEANUP_MIN_MS = 250, CLEANUP_MAX_MS = 60 * 1000 };
static int64_t cleanup_interval(const struct ledger_config *o)
{
	int64_t keep = o->refused_keep_ms < o->grant_keep_ms ? o->refused_keep_ms : o->grant_keep_ms;
	return keep / 4 < CLEANUP_MIN_MS ? CLEANUP_MIN_MS : keep / 4 < CLEANUP_MAX_MS ? keep / 4 : CLEANUP_MAX_MS;
}

static bool start_cleanup(struct ledger_jobs *j, struct ledger *l, const char *agent, struct error *err)
{
	const struct cleanup_options o = {
		.pool = l->pool,
		.refused_keep_ms = l->config.refused_keep_ms,
		.grant_keep_ms = l->config.grant_keep_ms,
		.t4_url = l->config.t4_url,
		.node_id = l->node_id,
		.service_key = l->has_key ? &l->service_key : NULL,
		.user_agent = agent,
		.interval_ms = cleanup_interval(&l->config),
	};
	j->cleanup = cleanup_start(&o, err);
	return j->cleanup != NULL;
}

struct ledger_jobs *ledger_jobs_start(struct ledger *l, struct error *err)
{
	struct ledger_jobs *j = xcalloc(1, sizeof(*j));
	const char *agent = arena_printf(&l->arena, "ledgerd/%s", tana_version()).p;
	if (start_heartbeat(j, l, agent, err) && start_content(j, l, agent, err) && start_cleanup(j, l, agent, err))
		return j;
	ledger_jobs_stop(j);
	return NULL;
}

void ledger_jobs_quiesce(struct ledger_jobs *j)
{
	if (!j)
		return;
	content_sync_quiesce(j->content);
	cleanup_quiesce(j->cleanup);
	heartbeat_quiesce(j->heartbeat);
}

void ledger_jobs_stop(struct ledger_jobs *j)
{
	if (!j)
		return;
	content_sync_stop(j->content);
	cleanup_stop(j->cleanup);
	heartbeat_stop(j->heartbeat);
	free(j);
}

void ledger_jobs_content(struct ledger_jobs *j, struct arena *arena, struct ledger_content_sync *out)
{
	content_sync_status(j ? j->content : NULL, arena, out);
}

/* ---- Metrics ---- */

static const char *const results[] = {"ok", "failed", NULL};
static const char *const content_states[] = {"present", "missing", NULL};
static _Atomic int64_t heartbeats[2], heartbeat_last, content[2], fetched, fetched_bytes, fetch_failed, refusals, grants;

static const struct metric heartbeats_metric = {
	.name = "tana_ledger_heartbeats_total", .type = METRIC_COUNTER, .help = "Heartbeats sent to mesh.", .label = "result", .label_values = results, .values = heartbeats};
static const struct metric last_metric = {.name = "tana_ledger_last_heartbeat_timestamp_seconds",
					  .type = METRIC_GAUGE,
					  .help = "When mesh last took one; 0: never.",
					  .values = &heartbeat_last,
					  .scale = 1e-3};
static const struct metric content_metric = {.name = "tana_ledger_content",
					     .type = METRIC_GAUGE,
					     .help = "Contents that the chain refers to, by whether the local t4 has them.",
					     .label = "state",
					     .label_values = content_states,
					     .values = content};
static const struct metric fetched_metric = {
	.name = "tana_ledger_content_fetched_total", .type = METRIC_COUNTER, .help = "Contents brought in from other validators.", .values = &fetched};
static const struct metric bytes_metric = {
	.name = "tana_ledger_content_fetched_bytes_total", .type = METRIC_COUNTER, .help = "Their bytes.", .values = &fetched_bytes};
static const struct metric failed_metric = {.name = "tana_ledger_content_failures_total",
					    .type = METRIC_COUNTER,
					    .help = "Attempts to bring in a content that failed.",
					    .values = &fetch_failed};
static const struct metric refusals_metric = {.name = "tana_ledger_refusals_forgotten_total",
					      .type = METRIC_COUNTER,
					      .help = "Refusals that were kept long enough.",
					      .values = &refusals};
static const struct metric grants_metric = {.name = "tana_ledger_content_collected_total",
					    .type = METRIC_COUNTER,
					    .help = "Contents deleted because they were granted and never published.",
					    .values = &grants};

const struct metric *const ledger_jobs_metric_list[] = {&heartbeats_metric, &last_metric,   &content_metric,  &fetched_metric, &bytes_metric,
							&failed_metric,     &refusals_metric, &grants_metric, NULL};

void ledger_jobs_metrics_collect(struct ledger_jobs *j)
{
	int64_t sent, failed, last, forgotten, collected;
	struct ledger_content_sync st;
	struct arena arena;

	heartbeat_counts(j ? j->heartbeat : NULL, &sent, &failed, &last);
	cleanup_counts(j ? j->cleanup : NULL, &forgotten, &collected);
	arena_init(&arena);
	ledger_jobs_content(j, &arena, &st);
	arena_free(&arena);
	metric_set(&heartbeats_metric, 0, sent);
	metric_set(&heartbeats_metric, 1, failed);
	metric_set(&last_metric, 0, last);
	metric_set(&content_metric, 0, st.present);
	metric_set(&content_metric, 1, st.missing);
	metric_set(&fetched_metric, 0, st.fetched);
	metric_set(&bytes_metric, 0, st.bytes);
	metric_set(&failed_metric, 0, st.failed);
	metric_set(&refusals_metric, 0, forgotten);
	metric_set(&grants_metric, 0, collected);
}
