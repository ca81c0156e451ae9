#include "ledger_metrics.h"

#include "core.h"
#include "db/db_pool.h"
#include "ledger_jobs.h"

/* name, type, scale, help */
#define LEDGER_METRICS(M)                                                                                                        \
	M(height, GAUGE, 0, "The newest block.")                                                                                 \
	M(block_timestamp_seconds, GAUGE, 1e-3, "Its timestamp (since the epoch).")                                              \
	M(producing, GAUGE, 0, "1 while this ledgerd makes blocks.")                                                             \
	M(pending, GAUGE, 0, "Transactions that wait.")                                                                          \
	M(pending_bytes, GAUGE, 0, "Bytes of their messages.")                                                                   \
	M(parked, GAUGE, 0, "Those of them that wait for an earlier nonce.")                                                     \
	M(blocks_total, COUNTER, 0, "Blocks added to the chain, made here or taken over.")                                       \
	M(transactions_total, COUNTER, 0, "Transactions in them.")                                                               \
	M(refused_total, COUNTER, 0, "Transactions that were refused after they had been taken in.")                             \
	M(state_entries, GAUGE, 0, "Entries of the state.")                                                                      \
	M(state_tree_bytes, GAUGE, 0, "Memory of its Merkle tree.")                                                              \
	M(state_tree_loaded, GAUGE, 0, "1 once the tree was read after the start.")                                              \
	M(state_cache_entries, GAUGE, 0, "Entries of the state in memory.")                                                      \
	M(state_cache_bytes, GAUGE, 0, "Memory they take.")                                                                      \
	M(state_cache_hits_total, COUNTER, 0, "Entries found in memory.")                                                        \
	M(state_cache_misses_total, COUNTER, 0, "Entries that the database was asked for.")                                      \
	M(db_writes_total, COUNTER, 0, "Writes handed to the database writer.")                                                  \
	M(db_commits_total, COUNTER, 0, "Durable commits; several writes share one.")                                            \
	M(db_failed_commits_total, COUNTER, 0, "Commits that failed and were rolled back.")                                      \
	M(db_commit_seconds_total, COUNTER, 1e-9, "Time spent in commits.")                                                      \
	M(db_reconnects_total, COUNTER, 0, "Connections to the database that were opened again.")                                \
	M(db_queue_length, GAUGE, 0, "Writes waiting for the database writer.")                                                  \
	M(db_up, GAUGE, 0, "1 while the database answers.")                                                                      \
	M(event_streams, GAUGE, 0, "Watchers of events.")

#define VALUE(name, type, factor, text) static _Atomic int64_t value_##name;
LEDGER_METRICS(VALUE)
#define ROW(n, kind, factor, text) \
	static const struct metric n##_metric = {.name = "tana_ledger_" #n, .type = METRIC_##kind, .help = (text), .values = &value_##n, .scale = (factor)};
LEDGER_METRICS(ROW)

static const char *const audits[] = {"running", "passed", "failed", NULL};
static _Atomic int64_t value_state_audit[3];
static const struct metric state_audit_metric = {.name = "tana_ledger_state_audit",
						 .type = METRIC_GAUGE,
						 .help = "1 at what the check of the whole state after the start is.",
						 .label = "result",
						 .label_values = audits,
						 .values = value_state_audit};

#define LISTED(name, type, factor, text) &name##_metric,
static const struct metric *const own[] = {LEDGER_METRICS(LISTED) &state_audit_metric};

const struct metric *const *ledger_metrics(struct arena *arena)
{
	size_t n = 0, theirs = 0;
	while (ledger_jobs_metric_list[theirs])
		theirs++;
	const struct metric **all = arena_zalloc(arena, ARRAY_LEN(own) + theirs + 1, sizeof(const struct metric *));
	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		all[n++] = own[i];
	for (size_t i = 0; i < theirs; i++)
		all[n++] = ledger_jobs_metric_list[i];
	return all;
}

static void collect_core(struct ledger *l)
{
	struct core_stats s;
	struct core_tip tip;
	core_get_stats(l->core, &s);
	core_tip(l->core, &tip);
	value_height = tip.height;
	value_block_timestamp_seconds = tip.timestamp;
	value_producing = l->config.role == LEDGER_PRODUCER && core_is_validator(l->core, l->config.validator_id, &l->node_key.public_key);
	value_pending = (int64_t)s.pending;
	value_pending_bytes = (int64_t)s.pending_bytes;
	value_parked = (int64_t)s.parked;
	value_blocks_total = (int64_t)s.blocks;
	value_transactions_total = (int64_t)s.transactions;
	value_refused_total = (int64_t)s.refused;
	value_state_entries = (int64_t)s.tree_entries;
	value_state_tree_bytes = (int64_t)s.tree_bytes;
	value_state_tree_loaded = s.tree_loaded;
	value_state_cache_entries = (int64_t)s.cache_entries;
	value_state_cache_bytes = (int64_t)s.cache_bytes;
	value_state_cache_hits_total = (int64_t)s.cache_hits;
	value_state_cache_misses_total = (int64_t)s.cache_misses;
	for (size_t i = 0; audits[i]; i++)
		metric_set(&state_audit_metric, i, i == (size_t)s.audit);
}

static void collect_database(struct ledger *l)
{
	struct db_pool_stats s, other = {0};
	struct error err;
	value_db_up = db_pool_ready(l->pool, &err);
	db_pool_get_stats(l->pool, &s);
	if (l->arrivals)
		db_pool_get_stats(l->arrivals, &other);
	value_db_writes_total = (int64_t)(s.jobs + other.jobs);
	value_db_commits_total = (int64_t)(s.commits + other.commits);
	value_db_failed_commits_total = (int64_t)(s.failed_commits + other.failed_commits);
	value_db_commit_seconds_total = (int64_t)(s.commit_seconds_total_ns + other.commit_seconds_total_ns);
	value_db_reconnects_total = (int64_t)(s.reconnects + other.reconnects);
	value_db_queue_length = (int64_t)(s.queue_length + other.queue_length);
}

void ledger_metrics_collect(void *ctx)
{
	struct ledger *l = ctx;
	collect_core(l);
	collect_database(l);
	ledger_jobs_metrics_collect(l->jobs);
	value_event_streams = (int64_t)sse_hub_streams(l->hub);
}

/* ---- /health and /info ---- */

void ledger_health(void *ctx, struct buf *out)
{
	const struct ledger *l = ctx;
	struct core_tip tip;
	core_tip(l->core, &tip);
	buf_puts(out, ",\"chainId\":");
	buf_put_json_string(out, l->chain_id);
	buf_printf(out, ",\"height\":%lld", (long long)tip.height);
}

static void put_text(struct buf *out, const char *name, struct str text)
{
	buf_printf(out, ",\"%s\":", name);
	if (str_present(text))
		buf_put_json_string(out, text);
	else
		buf_puts(out, "null");
}

static const char *role_text(enum ledger_role role)
{
	switch (role) {
	case LEDGER_PRODUCER:
		return "producer";
	case LEDGER_FRONT:
		return "front";
	case LEDGER_OBSERVER:
		return "observer";
	}
	return "";
}

void ledger_info(void *ctx, struct buf *out)
{
	const struct ledger *l = ctx;
	const struct ledger_config *o = &l->config;
	char url[256], key[ED25519_PUBLIC_TEXT_LEN + 1];
	char hash[HASH_TEXT_LEN + 1];
	hash_to_text(&l->genesis.hash, hash);
	put_text(out, "chainId", l->chain_id);
	put_text(out, "genesisHash", str_from(hash));
	put_text(out, "validatorId", o->validator_id);
	put_text(out, "nodeId", l->node_id);
	if (l->has_key)
		ed25519_public_to_text(&l->node_key.public_key, key);
	put_text(out, "publicKey", l->has_key ? str_from(key) : STR_NONE);
	buf_printf(out, ",\"configuration\":{\"role\":\"%s\"", role_text(o->role));
	put_text(out, "db", db_url_display(o->db_url, url, sizeof url) ? str_from(url) : STR_LIT(""));
	buf_printf(out, ",\"redis\":%s", o->redis_url ? "true" : "false");
	put_text(out, "follow", str_from(o->follow_url));
	put_text(out, "mesh", str_from(o->mesh_url));
	put_text(out, "t4", str_from(o->t4_url));
	buf_printf(out, ",\"blockIntervalMs\":%lld,\"emptyBlockIntervalMs\":%lld,\"poolMax\":%lld,\"poolBytes\":%lld,\"stateCacheBytes\":%lld,\"refusedKeepMs\":%lld}",
		   (long long)o->block_interval_ms, (long long)o->empty_block_interval_ms, (long long)o->pool_max, (long long)o->pool_bytes_max,
		   (long long)o->cache_bytes, (long long)o->refused_keep_ms);
}
