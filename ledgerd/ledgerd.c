/*
 * ledgerd: what is true.
 *
 * It keeps a chain of blocks, and the state that follows from them, in SQLite or PostgreSQL (ledger_schema.c). Users sign transactions; blocks
 * hold them; a block commits to its transactions, to each change it makes and to the whole state after it. Anybody with the blocks can compute
 * everything anew and compare, down to one row of the database.
 *
 * One pure state machine says what a transaction does (chain_rules.h); blocks are made and checked on top of it (chain.h). The producer, a
 * follower, the importer and the audit all use these two and nothing else.
 *
 * What drives it: HTTP requests (api_*.c, table in api_routes.c). A transaction is judged against the state as it will be when all that waits has
 * been applied (core_admit.c), kept in the database or in Redis (mempool_store.h), answered. The producer (producer.c) makes a block of what waits,
 * and everything about it goes into the database in one transaction (core_blocks.c). An observer (follower.c) pulls blocks from another
 * ledgerd instead and checks every one. Background jobs (ledger_jobs.c) send heartbeats and fetch content. Read core.h first.
 */
#include "api.h"
#include "core.h"
#include "daemon/daemon.h"
#include "follower.h"
#include "ledger_commands.h"
#include "ledger_jobs.h"
#include "producer.h"

static void followed_tip(void *ctx, struct core_tip *out)
{
	core_tip(ctx, out);
}

static bool followed_take(void *ctx, const struct block *b, struct error *err)
{
	return core_take_block(ctx, b, err);
}

static bool start_following(struct ledger *l, struct error *err)
{
	const struct follower_options o = {
		.url = l->config.follow_url,
		.genesis = &l->genesis,
		.chain = {l->core, followed_tip, followed_take},
		.user_agent = arena_printf(&l->arena, "ledgerd/%s", tana_version()).p,
	};
	l->follower = o.url ? follower_start(&o, err) : NULL;
	return l->follower || !o.url;
}

static bool ledger_start(void *state, const struct invocation *in, struct http_options *http, struct error *err)
{
	struct ledger *l = state;
	l->end_asked = daemon_end_asked;
	if (!ledger_configure(l, in, err) || !ledger_open(l, err) || !api_start(l, http, err))
		return false;
	if (l->config.role == LEDGER_PRODUCER && !(l->producer = producer_start(l, err)))
		return false;
	return core_start(l->core, err) && start_following(l, err) && (l->jobs = ledger_jobs_start(l, err)) != NULL;
}

/* What was taken in is answered; the block under way is finished. */
static void ledger_quiesce(void *state)
{
	struct ledger *l = state;
	core_stop(l->core);
	producer_stop(l->producer);
	l->producer = NULL;
	follower_quiesce(l->follower);
	ledger_jobs_quiesce(l->jobs);
	core_settle(l->core);
	api_quiesce(l);
}

static void ledger_stop(void *state)
{
	struct ledger *l = state;
	ledger_quiesce(l);
	follower_stop(l->follower);
	ledger_jobs_stop(l->jobs);
	api_stop(l);
	ledger_close(l);
}

static const struct daemon ledger_daemon = {
	.service = "ledger",
	.default_listen = "127.0.0.1:8080",
	.start = ledger_start,
	.quiesce = ledger_quiesce,
	.stop = ledger_stop,
};

static int run(struct invocation *in)
{
	struct ledger l = {.pool = NULL};
	return daemon_run(&ledger_daemon, &l, in);
}

static bool check(struct invocation *in, struct error *err)
{
	struct ledger l = {.pool = NULL};
	bool ok = daemon_check(in, err) && ledger_configure(&l, in, err) && ledger_check_roles(&l, err);
	ledger_close(&l);
	return ok;
}

static const char *const verify_choices[] = {"root", "full", NULL};
/* Rows of every command: where the chain is, and what serving needs. */
#define LEDGER_ROWS                                                                                                            \
	{.name = "db", .type = OPTION_TEXT, .value = "URL", .fallback = "sqlite:/var/lib/tana/ledger.db", .doc = "The database: sqlite:PATH or postgres://..."}, \
	{.name = "genesis", .type = OPTION_TEXT, .value = "FILE", .doc = "What the chain begins with; needed for an empty database, and checked otherwise."}, \
	{.name = "node-key", .type = OPTION_TEXT, .value = "FILE", .doc = "The key that signs blocks and heartbeats."}, \
	{.name = "service-key", .type = OPTION_TEXT, .value = "FILE", .doc = "The ledger's service key, as mesh knows it: it signs upload grants and what the local t4 is asked for. Default: the node key."}, \
	{.name = "validator-id", .type = OPTION_TEXT, .value = "ID", .doc = "The validator that this ledgerd is, as the chain and mesh call it."}, \
	{.name = "produce", .type = OPTION_BOOL, .fallback = "yes", .doc = "Make blocks. With no (and --redis) only take transactions, for a producer on the same database."}, \
	{.name = "redis", .type = OPTION_TEXT, .value = "URL", .flags = OPTION_SECRET, .doc = "Keep waiting transactions in Redis, which several ledgerd may share."}, \
	{.name = "redis-allow-lossy", .type = OPTION_BOOL, .fallback = "no", .doc = "Take a Redis that may lose what it has answered (appendfsync is not always)."}, \
	{.name = "follow", .type = OPTION_TEXT, .value = "URL", .doc = "Be an observer: pull blocks from that ledgerd and check them all."}, \
	{.name = "block-interval", .type = OPTION_DURATION, .value = "TIME", .fallback = "1s", .bare_unit_ms = 1, .min = 1, .max = INT64_C(86400000), \
	 .doc = "At most one block in this time. A bare number is milliseconds."}, \
	{.name = "empty-block-interval", .type = OPTION_DURATION, .value = "TIME", .fallback = "0", .bare_unit_ms = 1, .min = 0, .max = INT64_C(30) * 86400000, \
	 .doc = "A block after this time even when nothing waits; 0: never."}, \
	{.name = "mesh-url", .type = OPTION_TEXT, .value = "URL", .env = "MESH_URL", .doc = "The registry: heartbeats go there, and other validators are found there."}, \
	{.name = "t4-url", .type = OPTION_TEXT, .value = "URL", .env = "T4_URL", .doc = "This node's content store."}, \
	{.name = "identity-url", .type = OPTION_TEXT, .value = "URL", .doc = "This node's identity service, for its health in heartbeats."}, \
	{.name = "pool-max", .type = OPTION_INT, .value = "N", .fallback = "100000", .min = 1, .max = 10000000, .doc = "Transactions that may wait."}, \
	{.name = "pool-bytes", .type = OPTION_SIZE, .value = "BYTES", .fallback = "256M", .min = 1 << 20, .max = INT64_MAX, .doc = "Bytes of transactions that may wait."}, \
	{.name = "state-cache", .type = OPTION_SIZE, .value = "BYTES", .fallback = "128M", .min = 1 << 20, .max = INT64_MAX, .doc = "Memory for entries of the state."}, \
	{.name = "refused-keep", .type = OPTION_DURATION, .value = "TIME", .fallback = "168h", .min = 1000, .max = INT64_C(3650) * 86400000, \
	 .doc = "How long it can be asked why a transaction that was taken in was refused later."}, \
	{.name = "grant-keep", .type = OPTION_DURATION, .value = "TIME", .fallback = "24h", .min = 1000, .max = INT64_C(3650) * 86400000, \
	 .doc = "Content that was granted and not published in this time is deleted from the local t4."}, \
	{.name = "heartbeat-interval", .type = OPTION_DURATION, .value = "TIME", .fallback = "2m", .min = 100, .max = INT64_C(86400000), .doc = "Between heartbeats."}, \
	{.name = "content-sync-interval", .type = OPTION_DURATION, .value = "TIME", .fallback = "10m", .min = 100, .max = INT64_C(30) * 86400000, \
	 .doc = "Between looks for all content of the chain that the local t4 lacks; new blocks are looked at at once."}, \
	{.name = "content-sync-rate", .type = OPTION_SIZE, .value = "BYTES/S", .fallback = "32M", .min = 0, .max = INT64_MAX, .doc = "How fast content is fetched; 0: no limit."}, \
	{.name = "verify-on-start", .type = OPTION_CHOICE, .choices = verify_choices, .fallback = "root", \
	 .doc = "Serve once the stored root fits the last block, the entries being checked behind (root), or only after that (full)."}

static const struct option_row ledger_options[] = {LEDGER_ROWS, {.name = NULL}};
static const struct option_row produce_options[] = {
	LEDGER_ROWS,
	{.name = "empty", .type = OPTION_BOOL, .flags = OPTION_FLAG_ONLY, .doc = "Also when nothing waits."},
	{.name = "json", .type = OPTION_BOOL, .flags = OPTION_FLAG_ONLY, .doc = "One JSON object: {made, chainId, height, hash}."},
	{.name = NULL},
};
static const struct option_row export_options[] = {
	LEDGER_ROWS,
	{.name = "to", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY, .value = "FILE", .doc = "Where to; - is standard output. Required."},
	{.name = NULL},
};
static const struct option_row verify_options[] = {
	LEDGER_ROWS,
	{.name = "all", .type = OPTION_BOOL, .flags = OPTION_FLAG_ONLY, .doc = "All blocks, and every row of every table."},
	{.name = "from", .type = OPTION_INT, .flags = OPTION_FLAG_ONLY, .value = "HEIGHT", .min = 0, .max = INT64_MAX, .doc = "From this block on."},
	{.name = "to", .type = OPTION_INT, .flags = OPTION_FLAG_ONLY, .value = "HEIGHT", .min = 0, .max = INT64_MAX, .doc = "As far as this block. Default: the newest."},
	{.name = "since-checkpoint", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY, .value = "FILE",
	 .doc = "Go on from a checkpoint that an earlier audit signed; the chain must have its block and state."},
	{.name = "checkpoint-signer", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY, .value = "KEY", .doc = "Whose checkpoint it must be."},
	{.name = "checkpoint", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY, .value = "FILE", .doc = "When nothing is found, write a checkpoint there, signed by --node-key."},
	{.name = "content", .type = OPTION_BOOL, .flags = OPTION_FLAG_ONLY,
	 .doc = "Also: is all content that the chain refers to after its newest block in t4 (--t4-url), with its size?"},
	{.name = "jobs", .type = OPTION_INT, .flags = OPTION_FLAG_ONLY, .value = "N", .min = 1, .max = 256, .doc = "Threads that check signatures. Default: one a core."},
	{.name = "json", .type = OPTION_BOOL, .flags = OPTION_FLAG_ONLY, .doc = "One JSON object a finding, and a summary at the end."},
	{.name = NULL},
};
static const struct argument_row verify_args[] = {
	{.name = "height", .doc = "One block."},
	{.name = NULL},
};
static const struct option_row state_options[] = {
	LEDGER_ROWS,
	{.name = "at", .type = OPTION_INT, .flags = OPTION_FLAG_ONLY, .value = "HEIGHT", .min = 0, .max = INT64_MAX, .doc = "After this block. Default: the last one."},
	{.name = NULL},
};
static const struct option_row content_options[] = {
	LEDGER_ROWS,
	{.name = "keep-list", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY, .value = "FILE", .doc = "Where the hashes go, one a line. Required."},
	{.name = NULL},
};
static const struct argument_row import_args[] = {
	{.name = "file", .required = true, .doc = "The chain file; - is standard input.", .complete = "file"},
	{.name = NULL},
};

static const struct command commands[] = {
	{.path = "run", .options = ledger_options, .run = run, .check = check, .summary = "Serve the ledger (the default command)",
	 .example = "ledgerd run --genesis genesis.json --node-key node-key.json --validator-id validator-1 --db sqlite:/var/lib/tana/ledger.db"},
	{.path = "init", .options = ledger_options, .run = ledger_command_init, .summary = "Begin a chain in an empty database",
	 .example = "ledgerd init --genesis genesis.json --db sqlite:/var/lib/tana/ledger.db"},
	{.path = "verify", .args = verify_args, .options = verify_options, .run = ledger_command_verify, .summary = "Check chain and database against the signatures",
	 .doc = "Every block is replayed through the state machine, every signature checked, and every row of every table compared with what that gives; each row that differs is named. "
		"A serving ledgerd is not disturbed. Blocks before a range are replayed without checking their signatures again. Exit status: 0 valid, 1 something is not, 2 it could not "
		"be checked.",
	 .example = "ledgerd verify --all --db sqlite:/var/lib/tana/ledger.db"},
	{.path = "produce", .options = produce_options, .run = ledger_command_produce, .summary = "Make one block by hand of what waits",
	 .doc = "For a ledgerd that is not running: two producers on one database are refused.",
	 .example = "ledgerd produce --validator-id validator-1 --node-key node-key.json"},
	{.path = "export", .options = export_options, .run = ledger_command_export, .summary = "Write the chain into a file",
	 .doc = "One canonical JSON object a line: the genesis, then one a block, with the exact bytes that were signed. A serving ledgerd is not disturbed.",
	 .example = "ledgerd export --to chain.jsonl"},
	{.path = "import", .args = import_args, .options = ledger_options, .run = ledger_command_import, .summary = "Take over the blocks of a chain file, checking each",
	 .doc = "An empty database is begun with the file's genesis. Blocks that are there already are passed over; one that does not fit ends it, and what came before is kept.",
	 .example = "ledgerd import chain.jsonl --db sqlite:/var/lib/tana/ledger.db"},
	{.path = "state", .options = state_options, .run = ledger_command_state, .summary = "Print the state after a block, computed from the blocks",
	 .doc = "One line an entry, {\"key\":..,\"value\":..}, in the order of the keys. Signatures are not checked again: see verify.",
	 .example = "ledgerd state --at 1000"},
	{.path = "content", .options = content_options, .run = ledger_command_content, .summary = "List the content that the chain needs, for t4d gc",
	 .doc = "The hashes of live references, of what was granted and may be published yet, and of what waits to be published. The file is as old as what it says (copy it with "
		"cp -p): t4d gc keeps what was stored later. A serving ledgerd is not disturbed.",
	 .example = "ledgerd content --keep-list keep.txt && t4d gc --keep keep.txt"},
	{.path = "openapi", .run = ledger_command_openapi, .summary = "Print the OpenAPI document of the HTTP interface"},
	{.path = "api-doc", .run = ledger_command_api_doc, .summary = "Print the reference of the HTTP interface as Markdown"},
	{.path = NULL},
};
static const char *const defaults[] = {"listen", "127.0.0.1:8080", NULL};
static const struct program ledgerd = {
	.name = "ledgerd",
	.section = "ledger",
	.summary = "the ledger of a tana network",
	.doc = "ledgerd keeps the chain: it takes signed transactions, makes blocks of them, and can show that its database is exactly what the signatures say.",
	.options = daemon_options,
	.commands = commands,
	.default_command = "run",
	.default_config = "/etc/tana/tana.conf",
	.defaults = defaults,
};

int main(int argc, char **argv)
{
	return program_main(&ledgerd, argc, argv);
}
