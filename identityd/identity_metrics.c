#include "identity_metrics.h"

#include "identity.h"
#include "watch.h"

/* name, type, help */
#define IDENTITY_METRICS(M)                                                                                                    \
	M(sessions_created_total, COUNTER, "Logins begun.")                                                                    \
	M(sessions_scanned_total, COUNTER, "Codes scanned for the first time.")                                                \
	M(sessions_approved_total, COUNTER, "Logins approved.")                                                                \
	M(sessions_rejected_total, COUNTER, "Logins rejected by a phone.")                                                     \
	M(sessions_expired_total, COUNTER, "Logins whose time was over.")                                                      \
	M(approvals_refused_total, COUNTER, "Approvals that did not hold: wrong signature, wrong key, too late and so on.")    \
	M(session_streams, GAUGE, "Event streams of desktops that wait.")                                                      \
	M(user_streams, GAUGE, "Event streams of users.")                                                                      \
	M(database_commits_total, COUNTER, "Durable commits.")                                                                 \
	M(database_jobs_total, COUNTER, "Writes; those that come together share a commit.")                                    \
	M(database_queue, GAUGE, "Writes that wait.")                                                                          \
	M(database_reconnects_total, COUNTER, "Connections to the database that were opened again.")

#define VALUE(name, type, text) static _Atomic int64_t value_##name;
IDENTITY_METRICS(VALUE)
#define ROW(n, kind, text) \
	static const struct metric n##_metric = {.name = "tana_identity_" #n, .type = METRIC_##kind, .help = (text), .values = &value_##n};
IDENTITY_METRICS(ROW)
#define LISTED(name, type, text) &name##_metric,
const struct metric *const identity_metric_list[] = {IDENTITY_METRICS(LISTED) NULL};

void identity_count(enum identity_counter what, int64_t n)
{
	static const struct metric *const rows[] = {
		[IDENTITY_CREATED] = &sessions_created_total_metric,   [IDENTITY_SCANNED] = &sessions_scanned_total_metric,
		[IDENTITY_APPROVED] = &sessions_approved_total_metric, [IDENTITY_REJECTED] = &sessions_rejected_total_metric,
		[IDENTITY_EXPIRED] = &sessions_expired_total_metric,   [IDENTITY_REFUSED] = &approvals_refused_total_metric,
	};
	metric_add(rows[what], 0, n);
}

void identity_metrics_collect(void *identity)
{
	struct identity *id = identity;
	struct db_pool_stats stats;
	int64_t session_streams, user_streams;
	watch_counts(id->watch, &session_streams, &user_streams);
	value_session_streams = session_streams;
	value_user_streams = user_streams;
	db_pool_get_stats(id->pool, &stats);
	value_database_commits_total = (int64_t)stats.commits;
	value_database_jobs_total = (int64_t)stats.jobs;
	value_database_queue = (int64_t)stats.queue_length;
	value_database_reconnects_total = (int64_t)stats.reconnects;
}
