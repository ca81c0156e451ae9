/* From options to a running ledger's parts, and back. */
#include <stdlib.h>

#include "base/file.h"
#include "base/log.h"
#include "core.h"
#include "db/db_lock.h"
#include "ledger.h"
#include "ledger_schema.h"
#include "ledger_store.h"
#include "mempool_db.h"
#include "mempool_redis.h"
#include "producer.h"
#include "tx_index.h"

enum {
	QUEUE_MAX = 20000,   /* writes waiting: at a few hundred bytes each, memory stays small */
	GROUP_MAX = 512,     /* writes in one commit */
	PATIENCE_MS = 2000,  /* a request waits this long for a database that is away, then gets 503 */
	GENESIS_MAX = 1 << 20
};

bool ledger_configure(struct ledger *l, const struct invocation *in, struct error *err)
{
	arena_init(&l->arena);
	struct ledger_config *o = &l->config;
	*o = (struct ledger_config){
		.db_url = option_text(in, "db"),
		.genesis_file = option_text(in, "genesis"),
		.node_key_file = option_text(in, "node-key"),
		.service_key_file = option_text(in, "service-key"),
		.validator_id = str_from(option_text(in, "validator-id")),
		.redis_url = option_text(in, "redis"),
		.redis_allow_lossy = option_bool(in, "redis-allow-lossy"),
		.follow_url = option_text(in, "follow"),
		.mesh_url = option_text(in, "mesh-url"),
		.t4_url = option_text(in, "t4-url"),
		.identity_url = option_text(in, "identity-url"),
		.block_interval_ms = option_int(in, "block-interval"),
		.empty_block_interval_ms = option_int(in, "empty-block-interval"),
		.pool_max = option_int(in, "pool-max"),
		.pool_bytes_max = option_int(in, "pool-bytes"),
		.cache_bytes = option_int(in, "state-cache"),
		.refused_keep_ms = option_int(in, "refused-keep"),
		.grant_keep_ms = option_int(in, "grant-keep"),
		.heartbeat_interval_ms = option_int(in, "heartbeat-interval"),
		.content_interval_ms = option_int(in, "content-sync-interval"),
		.content_rate = option_int(in, "content-sync-rate"),
		.verify_full_on_start = strcmp(option_text(in, "verify-on-start"), "full") == 0,
	};
	o->role = o->follow_url ? LEDGER_OBSERVER : option_bool(in, "produce") ? LEDGER_PRODUCER : LEDGER_FRONT;
	l->chain_id = STR_LIT("");
	enum db_kind kind;
	return db_url_kind(o->db_url, &kind, err);
}

bool ledger_check_roles(const struct ledger *l, struct error *err)
{
	const struct ledger_config *o = &l->config;
	if (str_present(o->validator_id) && !tx_form_valid(TX_FORM_VALIDATOR, o->validator_id))
		return error_set(err, ERR_CONFIG, "--validator-id must be %s", tx_form_doc(TX_FORM_VALIDATOR));
	if (o->follow_url && o->redis_url)
		return error_set(err, ERR_CONFIG, "--follow and --redis do not go together: an observer takes no transactions");
	if (o->role == LEDGER_FRONT && !o->redis_url) {
		error_set(err, ERR_CONFIG, "--produce=no needs --redis: that is how transactions come to the producer");
		return error_hint(err, "an observer, which takes none, is started with --follow URL");
	}
	if (o->role == LEDGER_PRODUCER && (!str_present(o->validator_id) || !o->node_key_file)) {
		error_set(err, ERR_CONFIG, "making blocks needs --validator-id and --node-key");
		return error_hint(err, "--follow URL starts an observer, which needs neither");
	}
	return true;
}

/* ---- The database and its genesis ---- */

struct init_job {
	struct db_job job; /* first: the pool's */
	struct store_batches batches;
};
static enum db_status run_init(struct db_job *job, struct db_conn *c, struct error *err)
{
	return store_batches_run(c, &((struct init_job *)job)->batches, err);
}

/* Block 0 and its state into an empty database. */
static bool write_genesis(struct ledger *l, const struct genesis *g, struct error *err)
{
	struct chain chain;
	struct chain_work w;
	struct arena arena;
	chain_init(&chain, g);
	chain_make_genesis(&chain, &w);
	arena_init(&arena);
	struct init_job j = {.job = {.run = run_init}};
	store_batches_init(&j.batches, &arena);
	store_genesis(&j.batches, g);
	store_block(&j.batches, &w);
	store_tree_all(&j.batches, chain.tree);
	enum db_status st = db_pool_write(l->pool, &j.job, err);
	char hash[HASH_TEXT_LEN + 1];
	hash_to_text(&w.block.hash, hash);
	chain_work_free(&w);
	arena_free(&arena);
	chain_free(&chain);
	if (st == DB_OK)
		log_info("a new chain begins", LOG_STR("chain", g->chain_id), LOG_S("block", hash));
	return st == DB_OK || st == DB_CONFLICT; /* another instance was first: what it wrote is read next */
}

static bool read_genesis(struct ledger *l, struct str *text, struct error *err)
{
	struct db_conn *c = db_pool_reader(l->pool, err);
	if (!c)
		return false;
	enum db_status st = store_read_genesis(c, &l->arena, text, err);
	db_pool_release(l->pool, c);
	return st == DB_OK;
}

static bool open_genesis(struct ledger *l, const struct genesis *given, struct error *err)
{
	struct str stored;
	if (!read_genesis(l, &stored, err))
		return false;
	if (!str_present(stored) && given) {
		if (!write_genesis(l, given, err) || !read_genesis(l, &stored, err))
			return false;
	}
	if (!str_present(stored)) {
		error_set(err, ERR_CONFIG, "the database has no chain yet, and no genesis was given");
		return error_hint(err, "--genesis FILE begins one; tana new genesis makes the file");
	}
	if (!genesis_read(stored, &l->arena, &l->genesis, err)) {
		err->code = ERR_CORRUPT;
		return false;
	}
	if (given && !hash_equal(&given->hash, &l->genesis.hash))
		return error_set(err, ERR_CONFIG, "the database belongs to another chain, %.*s, not to that of the genesis given (%.*s)",
				 STR_ARG(l->genesis.chain_id), STR_ARG(given->chain_id));
	l->chain_id = l->genesis.chain_id;
	return true;
}

static bool read_genesis_file(struct ledger *l, struct genesis *out, struct error *err)
{
	struct buf text = {0};
	struct error why;
	bool ok = file_read(l->config.genesis_file, GENESIS_MAX, &text, err);
	if (ok && !genesis_read(buf_str(&text), &l->arena, out, &why))
		ok = error_set(err, ERR_CONFIG, "%s: %s", l->config.genesis_file, why.message);
	buf_free(&text);
	return ok;
}

static struct db_pool *open_pool(const struct ledger *l, int readers, struct error *err)
{
	const struct db_pool_options o = {.url = l->config.db_url,
					  .name = "ledgerd",
					  .readers = readers,
					  .queue_max = QUEUE_MAX,
					  .group_max = GROUP_MAX,
					  .patience_ms = PATIENCE_MS};
	return db_pool_open(&o, ledger_migrations, ledger_migration_count, err);
}

bool ledger_open_database(struct ledger *l, const struct genesis *given, struct error *err)
{
	struct genesis from_file;
	if (!given && l->config.genesis_file) {
		if (!read_genesis_file(l, &from_file, err))
			return false;
		given = &from_file;
	}
	l->pool = open_pool(l, 8, err);
	return l->pool && open_genesis(l, given, err) && tx_index_fill(l->pool, l->genesis.params->max_transaction_bytes, err);
}

/* ---- Keys and the mempool ---- */

static bool read_secret(struct ledger *l, const char *path, struct keyfile *out, struct error *err)
{
	if (!keyfile_read(path, NULL, NULL, &l->arena, out, err))
		return false;
	return out->has_secret || error_set(err, ERR_KEY_FILE, "%s holds no private key that can be read without a passphrase", path);
}

static bool open_key(struct ledger *l, struct error *err)
{
	struct keyfile key;
	l->node_id = l->config.validator_id;
	if (!l->config.node_key_file)
		return true;
	if (!read_secret(l, l->config.node_key_file, &key, err))
		return false;
	l->node_key = l->service_key = key.secret;
	l->has_key = true;
	if (str_present(key.node_id))
		l->node_id = key.node_id;
	keyfile_wipe(&key);
	if (!l->config.service_key_file)
		return true;
	if (!read_secret(l, l->config.service_key_file, &key, err))
		return false;
	l->service_key = key.secret;
	keyfile_wipe(&key);
	return true;
}

static struct mempool_store *open_mempool(struct ledger *l, struct error *err)
{
	if (!l->config.redis_url && db_pool_kind(l->pool) == DB_POSTGRES && !(l->arrivals = open_pool(l, 1, err)))
		return NULL;
	if (!l->config.redis_url)
		return mempool_db_open(l->arrivals ? l->arrivals : l->pool);
	const struct mempool_redis_options o = {
		.url = l->config.redis_url,
		.producer = l->config.role == LEDGER_PRODUCER,
		.consumer = str_present(l->config.validator_id) ? l->config.validator_id.p : "front",
		.chain_id = arena_printf(&l->arena, "%.*s", STR_ARG(l->chain_id)).p,
		.genesis = l->genesis.hash,
		.allow_lossy = l->config.redis_allow_lossy,
	};
	return mempool_redis_open(&o, err);
}

bool ledger_open(struct ledger *l, struct error *err)
{
	bool produces = l->config.role == LEDGER_PRODUCER;
	if (!ledger_check_roles(l, err) || !open_key(l, err) || !ledger_open_database(l, NULL, err) || (produces && !producer_claim(l, err)))
		return false;
	struct mempool_store *store = NULL;
	if (l->config.role != LEDGER_OBSERVER && !(store = open_mempool(l, err)))
		return false;
	l->core = core_open(l, store, err);
	return l->core && (!produces || producer_check_key(l, err));
}

void ledger_close(struct ledger *l)
{
	core_close(l->core);
	l->core = NULL;
	db_lock_release(l->producer_lock);
	l->producer_lock = NULL;
	if (l->arrivals)
		db_pool_close(l->arrivals);
	l->arrivals = NULL;
	if (l->pool)
		db_pool_close(l->pool);
	l->pool = NULL;
	ed25519_secret_wipe(&l->node_key);
	ed25519_secret_wipe(&l->service_key);
	arena_free(&l->arena);
}
