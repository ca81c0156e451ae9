/*
 * t4d: bytes under their SHA-256.
 *
 * It keeps blobs as files (blob_store.h) and gives them out to anyone who knows their hash, after checking that they have it. Services of
 * its own node, and those its operator allows, store and delete with service auth tokens (access.h); a token may be bound to one hash and
 * size, so that a client can be sent here to upload for itself. It knows nothing of what the bytes mean, and of no chain.
 *
 * What drives it: HTTP requests (api_*.c, table in api_routes.c). Worker threads take bodies and give out what is known to be sound; what
 * takes long goes elsewhere: finished uploads and deletes to the sync threads (blob_sync.c), which make them durable together; checking
 * large files and walking directories to the job threads (base/jobs.h); reading everything again, now and then, to the scrubber (scrubber.h).
 *
 * There is no index: the directory is all there is, so a start takes no longer with more blobs. Read blob_store.h first.
 */
#include "api.h"
#include "daemon/daemon.h"
#include "t4_commands.h"
#include "t4_metrics.h"

enum {
	JOB_THREADS = 4,
	/* Bytes: an upload's pieces come in half of it. More makes every request dear, for libmicrohttpd clears it after each. */
	CONNECTION_MEMORY = 32 * 1024
};

static bool t4_ready(void *ctx, struct error *err)
{
	struct t4 *t = ctx;
	int64_t read_at;
	size_t keys;
	if (!blob_store_writable(t->store, err)) {
		err->code = ERR_UNAVAILABLE;
		return false;
	}
	keyring_state(t->keyring, &read_at, &keys);
	return keys > 0 || !t->config.mesh_url || read_at > 0 ||
	       error_set(err, ERR_UNAVAILABLE, "mesh has not answered yet, so no service's key is known");
}

static void write_health(void *ctx, struct buf *out)
{
	struct t4 *t = ctx;
	struct error err;
	buf_printf(out, ",\"nodeId\":\"%.*s\",\"writable\":%s", STR_ARG(t->config.node_id), blob_store_writable(t->store, &err) ? "true" : "false");
}

static void write_info(void *ctx, struct buf *out)
{
	const struct t4 *t = ctx;
	const struct t4_config *c = &t->config;
	int64_t read_at;
	size_t keys;
	keyring_state(t->keyring, &read_at, &keys);
	buf_printf(out, ",\"nodeId\":\"%.*s\",\"knownKeys\":%zu,\"keysReadAt\":", STR_ARG(c->node_id), keys);
	if (read_at > 0)
		buf_put_int(out, read_at);
	else
		buf_puts(out, "null");
	buf_puts(out, ",\"configuration\":{\"dir\":");
	buf_put_json_string(out, str_from(c->store.dir));
	buf_printf(out, ",\"verifyReads\":\"%s\",\"maxObjectSize\":%llu,\"minFreeSpace\":%llu,\"scrubRate\":%lld,\"maxUploads\":%lld},\"fsVerity\":%s",
		   c->store.verify == VERIFY_ALWAYS ? "always" : "once", (unsigned long long)c->store.max_object_size,
		   (unsigned long long)c->store.min_free_space, (long long)c->scrub_rate, (long long)c->uploads_max,
		   blob_store_seals(t->store) ? "true" : "false");
}

static bool t4_start(void *state, const struct invocation *in, struct http_options *http, struct error *err)
{
	struct t4 *t = state;
	if (!t4_configure(t, in, err) || !t4_open_store(t, STORE_SERVES, err) || !t4_open_access(t, in, err))
		return false;
	t->jobs = jobs_start(JOB_THREADS);
	t->scrubber = scrubber_start(t->store, t->config.scrub_rate);
	http->description = T4_DESCRIPTION;
	http->routes = t4_routes;
	http->route_count = t4_route_count;
	http->connection_memory = CONNECTION_MEMORY;
	http->ctx = t;
	http->ready = t4_ready;
	http->health = write_health;
	http->info = write_info;
	http->metrics = t4_metrics_collect;
	http->metric_list = t4_metric_list;
	return true;
}

/* What was handed over is still answered: uploads become durable, long checks give up. */
static void t4_quiesce(void *state)
{
	struct t4 *t = state;
	if (!t->store)
		return;
	blob_store_cancel(t->store);
	jobs_stop(t->jobs);
	t->jobs = NULL;
	blob_store_quiesce(t->store);
}

static void t4_stop(void *state)
{
	struct t4 *t = state;
	t4_quiesce(t);
	scrubber_stop(t->scrubber);
	t4_close(t);
}

static const struct daemon t4_daemon = {
	.service = "t4",
	.default_listen = "127.0.0.1:8180",
	.start = t4_start,
	.quiesce = t4_quiesce,
	.stop = t4_stop,
};

static int run(struct invocation *in)
{
	struct t4 t = {.store = NULL};
	return daemon_run(&t4_daemon, &t, in);
}

static bool check(struct invocation *in, struct error *err)
{
	struct t4 t = {.store = NULL};
	bool ok = daemon_check(in, err) && t4_configure(&t, in, err);
	t.config.mesh_url = NULL; /* the keys and grants given by hand are looked at; nobody is asked */
	ok = ok && t4_open_access(&t, in, err);
	t4_close(&t);
	return ok;
}

#define DIR_ROW \
	{.name = "dir", .type = OPTION_TEXT, .value = "DIR", .fallback = "/var/lib/tana/content", .doc = "Where the blobs are."}
#define JSON_ROW {.name = "json", .type = OPTION_BOOL, .flags = OPTION_FLAG_ONLY, .doc = "JSON, one object a line."}

static const char *const verify_choices[] = {"once", "always", NULL};
static const struct option_row run_options[] = {
	DIR_ROW,
	{.name = "node-id", .type = OPTION_TEXT, .value = "ID", .doc = "This node: tokens are made out to ID/t4, and ID's services may write. Required."},
	{.name = "mesh-url", .type = OPTION_TEXT, .value = "URL", .env = "MESH_URL", .doc = "The registry that vouches for the services' keys."},
	{.name = "trust-key", .type = OPTION_TEXT, .flags = OPTION_REPEATABLE, .value = "NODE/SERVICE=KEY",
	 .doc = "A service's public key, known whatever the registry says."},
	{.name = "allow", .type = OPTION_TEXT, .flags = OPTION_REPEATABLE, .value = "NODE/SERVICE=SCOPES",
	 .doc = "What a service of another node may do: content:put, content:delete, content:list, with commas between."},
	{.name = "max-object-size", .type = OPTION_SIZE, .value = "BYTES", .fallback = "1G", .min = 1, .max = INT64_MAX, .doc = "The largest blob taken."},
	{.name = "min-free-space", .type = OPTION_SIZE, .value = "BYTES", .fallback = "256M", .min = 0, .max = INT64_MAX,
	 .doc = "Uploads are refused when less than this would stay free."},
	{.name = "max-uploads", .type = OPTION_INT, .value = "N", .fallback = "256", .min = 1, .max = 100000, .doc = "Uploads at the same time."},
	{.name = "scrub-rate", .type = OPTION_SIZE, .value = "BYTES/S", .fallback = "4M", .min = 0, .max = INT64_MAX,
	 .doc = "How fast everything is read again and checked in the background; 0: not at all."},
	{.name = "verify-reads", .type = OPTION_CHOICE, .choices = verify_choices, .fallback = "once",
	 .doc = "Check a blob when it is first read after a change of its file, or at each read."},
	{.name = NULL},
};
static const struct option_row scrub_options[] = {
	DIR_ROW,
	{.name = "rate", .type = OPTION_SIZE, .value = "BYTES/S", .fallback = "0", .min = 0, .max = INT64_MAX, .doc = "How fast to read; 0: as fast as the disk gives."},
	JSON_ROW,
	{.name = NULL},
};
static const struct option_row plain_options[] = {DIR_ROW, JSON_ROW, {.name = NULL}};
static const struct option_row gc_options[] = {
	DIR_ROW,
	{.name = "keep", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY, .value = "FILE", .doc = "The hashes to keep, one a line. Required."},
	{.name = "dry-run", .type = OPTION_BOOL, .flags = OPTION_FLAG_ONLY, .doc = "Only say what would be deleted."},
	{.name = "empty-list", .type = OPTION_BOOL, .flags = OPTION_FLAG_ONLY, .doc = "Take an empty list for what it says: delete everything."},
	JSON_ROW,
	{.name = NULL},
};
static const struct argument_row verify_args[] = {
	{.name = "hash", .required = true, .doc = "What to check: 64 hex digits."},
	{.name = NULL},
};

static const struct command commands[] = {
	{.path = "run", .options = run_options, .run = run, .check = check, .summary = "Serve the store (the default command)",
	 .example = "t4d run --dir /var/lib/tana/content --node-id validator-1 --mesh-url http://mesh.tailnet.ts.net:8190"},
	{.path = "scrub", .options = scrub_options, .run = t4_command_scrub, .summary = "Read and check every blob once",
	 .doc = "A corrupt blob is moved to the directory quarantine and named. Exit status: 0 all are sound, 6 some are not.",
	 .example = "t4d scrub --dir /var/lib/tana/content --rate 50M"},
	{.path = "verify", .args = verify_args, .options = plain_options, .run = t4_command_verify, .summary = "Read and check one blob",
	 .doc = "A corrupt blob is moved to the directory quarantine. Exit status: 0 it is sound, 6 it is not, 1 it is not there or cannot be read, 2 that is no hash.",
	 .example = "t4d verify 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"},
	{.path = "gc", .options = gc_options, .run = t4_command_gc, .summary = "Delete what a list of live hashes does not name",
	 .doc = "What was stored after the list's file was last written is kept, so that what comes in while the list is made is safe. A line that is no hash stops everything before "
		"anything is deleted.",
	 .example = "t4d gc --keep live-hashes.txt --dry-run"},
	{.path = "stats", .options = plain_options, .run = t4_command_stats, .summary = "Count the blobs and their bytes"},
	{.path = "openapi", .run = t4_command_openapi, .summary = "Print the OpenAPI document of the HTTP interface"},
	{.path = "api-doc", .run = t4_command_api_doc, .summary = "Print the reference of the HTTP interface as Markdown"},
	{.path = NULL},
};
static const char *const defaults[] = {"listen", "127.0.0.1:8180", NULL};
static const struct program t4d = {
	.name = "t4d",
	.section = "t4",
	.summary = "content-addressed storage of a tana node",
	.doc = "t4d stores bytes under their SHA-256 and serves them to anyone who knows it. What does not match its hash is never given out. Services store and delete with "
	       "signed tokens.",
	.options = daemon_options,
	.commands = commands,
	.default_command = "run",
	.default_config = "/etc/tana/tana.conf",
	.defaults = defaults,
};

int main(int argc, char **argv)
{
	return program_main(&t4d, argc, argv);
}
