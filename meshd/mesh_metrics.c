#include "mesh_metrics.h"

#include "mesh.h"

static const char *const statuses[] = {"pending", "active", "offline", "denied", NULL};
static _Atomic int64_t nodes[NODE_STATUS_COUNT], log_entries, jobs, commits, failed_commits, commit_ns, reconnects, queue, up;

static const struct metric nodes_metric = {
	.name = "tana_mesh_nodes", .type = METRIC_GAUGE, .help = "Nodes in the registry, by status.", .label = "status", .label_values = statuses, .values = nodes};
static const struct metric log_metric = {
	.name = "tana_mesh_log_entries", .type = METRIC_GAUGE, .help = "Entries of the transparency log.", .values = &log_entries};
static const struct metric jobs_metric = {
	.name = "tana_mesh_db_writes_total", .type = METRIC_COUNTER, .help = "Writes handed to the database writer.", .values = &jobs};
static const struct metric commits_metric = {
	.name = "tana_mesh_db_commits_total", .type = METRIC_COUNTER, .help = "Durable commits; several writes share one.", .values = &commits};
static const struct metric failed_metric = {
	.name = "tana_mesh_db_failed_commits_total", .type = METRIC_COUNTER, .help = "Commits that failed and were rolled back.", .values = &failed_commits};
static const struct metric seconds_metric = {.name = "tana_mesh_db_commit_seconds_total",
					     .type = METRIC_COUNTER,
					     .help = "Time spent in commits.",
					     .values = &commit_ns,
					     .scale = 1e-9};
static const struct metric reconnects_metric = {
	.name = "tana_mesh_db_reconnects_total", .type = METRIC_COUNTER, .help = "Connections to the database that were opened again.", .values = &reconnects};
static const struct metric queue_metric = {
	.name = "tana_mesh_db_queue_length", .type = METRIC_GAUGE, .help = "Writes waiting for the database writer.", .values = &queue};
static const struct metric up_metric = {.name = "tana_mesh_db_up", .type = METRIC_GAUGE, .help = "1 while the database answers.", .values = &up};

const struct metric *const mesh_metric_list[] = {&nodes_metric,  &log_metric,        &jobs_metric,  &commits_metric, &failed_metric,
						 &seconds_metric, &reconnects_metric, &queue_metric, &up_metric,      NULL};

DB_SQL(SQL_COUNTS, "SELECT status, COUNT(*) FROM nodes GROUP BY status");
DB_SQL(SQL_LOG, "SELECT size FROM audit_head WHERE id = 1");

static void collect_registry(struct db_conn *c)
{
	struct error err;
	struct db_rows *rows;
	int64_t counts[NODE_STATUS_COUNT] = {0};
	if (db_query(c, &SQL_COUNTS, DB_NO_ARGS, &rows, &err) == DB_OK) {
		while (db_next(rows)) {
			enum node_status s;
			if (node_status_from_text(db_text(rows, 0), &s))
				counts[s] = db_int(rows, 1);
		}
		if (db_finish(rows, &err) == DB_OK)
			for (size_t i = 0; i < NODE_STATUS_COUNT; i++)
				metric_set(&nodes_metric, i, counts[i]);
	}
	if (db_query(c, &SQL_LOG, DB_NO_ARGS, &rows, &err) == DB_OK) {
		int64_t size = db_next(rows) ? db_int(rows, 0) : 0;
		if (db_finish(rows, &err) == DB_OK)
			metric_set(&log_metric, 0, size);
	}
}

void mesh_metrics_collect(void *ctx)
{
	struct mesh *m = ctx;
	struct error err;
	struct db_pool_stats s;
	bool ready = db_pool_ready(m->pool, &err);
	db_pool_get_stats(m->pool, &s);
	metric_set(&jobs_metric, 0, (int64_t)s.jobs);
	metric_set(&commits_metric, 0, (int64_t)s.commits);
	metric_set(&failed_metric, 0, (int64_t)s.failed_commits);
	metric_set(&seconds_metric, 0, (int64_t)s.commit_seconds_total_ns);
	metric_set(&reconnects_metric, 0, (int64_t)s.reconnects);
	metric_set(&queue_metric, 0, (int64_t)s.queue_length);
	metric_set(&up_metric, 0, ready);
	struct db_conn *c = ready ? db_pool_reader(m->pool, &err) : NULL;
	if (!c)
		return;
	collect_registry(c);
	db_pool_release(m->pool, c);
}
