#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "mesh.h"
#include "mesh_change.h"
#include "mesh_schema.h"
#include "mesh_store.h"
#include "wire/mesh.h"

enum {
	HEARTBEAT_WINDOW_MS = 60 * 1000,
	QUEUE_MAX = 20000, /* writes waiting: at a few hundred bytes each, memory stays small */
	GROUP_MAX = 512,   /* writes in one commit */
	PATIENCE_MS = 2000 /* a request waits this long for a database that is away, then gets 503 */
};

bool mesh_configure(struct mesh *m, const struct invocation *in, struct error *err)
{
	bool dev = option_bool(in, "dev");
	arena_init(&m->arena);
	struct mesh_config *c = &m->config;
	*c = (struct mesh_config){
		.db_url = option_text(in, "db"),
		.data_dir = option_text(in, "data"),
		.coordinator_key_file = option_text(in, "coordinator-key"),
		.network = str_from(option_text(in, "network")),
		.limits = {.pending_max = option_int(in, "pending-max"), .dev = dev},
		.heartbeat_timeout_ms = option_int(in, "heartbeat-timeout"),
		.heartbeat_window_ms = HEARTBEAT_WINDOW_MS,
		.pending_ttl_ms = option_int(in, "pending-ttl"),
		.history_keep_ms = option_int(in, "history-keep"),
		.snapshot_ttl_ms = option_int(in, "snapshot-ttl"),
	};
	c->limits.require_full = option_text(in, "require-full-signature") ? option_bool(in, "require-full-signature") : !dev;
	c->offline_grace_ms = option_text(in, "offline-grace") ? option_int(in, "offline-grace") : c->heartbeat_timeout_ms;
	if (dev && !str_present(c->network))
		c->network = STR_LIT("dev");
	if (str_present(c->network) && !mesh_network_valid(c->network))
		return error_set(err, ERR_CONFIG, "--network must be 1-64 of a-z 0-9 . _ - and begin with a letter or digit");
	for (size_t i = 0; i < option_count(in, "sovereign-key"); i++) {
		struct ed25519_public key;
		struct error why;
		if (ed25519_public_from_text(str_from(option_at(in, "sovereign-key", i)), KEY_LENIENT, &key, &why))
			continue;
		error_set(err, ERR_CONFIG, "--sovereign-key: %s", why.message);
		return error_hint(err, "it takes a public key: ed25519_ and 64 hex digits");
	}
	enum db_kind kind;
	return db_url_kind(c->db_url, &kind, err);
}

static void set_coordinator(struct mesh *m, const struct ed25519_public *key)
{
	char text[ED25519_PUBLIC_TEXT_LEN + 1];
	ed25519_public_to_text(key, text);
	m->coordinator.public_key = *key;
	m->coordinator_key = arena_copy(&m->arena, str_from(text));
}

static void set_origin(struct mesh *m)
{
	m->origin = arena_printf(&m->arena, "tana-mesh/%.*s", STR_ARG(m->config.network));
}

static const char *key_path(struct mesh *m)
{
	if (m->config.coordinator_key_file)
		return m->config.coordinator_key_file;
	return arena_printf(&m->arena, "%s/coordinator-key.json", m->config.data_dir).p;
}

/* What the database belongs to: read, or written into a new one. */
struct meta_job {
	struct db_job job; /* first: the pool's */
	struct mesh *mesh;
	bool claim;                      /* write ours when there is nothing */
	struct str network, coordinator; /* as the database has them; absent in a new one */
};
static enum db_status run_meta(struct db_job *job, struct db_conn *c, struct error *err)
{
	struct meta_job *j = (struct meta_job *)job;
	struct mesh *m = j->mesh;
	enum db_status st = store_meta_read(c, &m->arena, &j->network, &j->coordinator, err);
	if (st != DB_OK || !j->claim || str_present(j->network) || str_present(j->coordinator))
		return st;
	j->network = m->config.network;
	j->coordinator = m->coordinator_key;
	st = store_meta_set(c, "network", j->network, err);
	return st == DB_OK ? store_meta_set(c, "coordinator", j->coordinator, err) : st;
}

static bool read_or_claim(struct mesh *m, bool claim, struct meta_job *j, struct error *err)
{
	*j = (struct meta_job){.job = {.run = run_meta}, .mesh = m, .claim = claim};
	return db_pool_write(m->pool, &j->job, err) == DB_OK;
}

/* The coordinator's key from its file, which is made only when `create`. */
static bool open_key(struct mesh *m, bool create, struct error *err)
{
	struct keyfile key;
	bool created = false;
	if (create ? !keyfile_read_or_create(key_path(m), &m->arena, &key, &created, err)
		   : !keyfile_read(key_path(m), NULL, NULL, &m->arena, &key, err))
		return false;
	bool usable = key.has_secret || error_set(err, ERR_KEY_FILE, "%s holds no private key that can be read without a passphrase", key_path(m));
	if (usable) {
		m->coordinator = key.secret;
		set_coordinator(m, &key.public_key);
	}
	keyfile_wipe(&key);
	if (created)
		log_info("a coordinator key was made; keep a copy of it", LOG_S("file", key_path(m)));
	return usable;
}

/* A database that belongs to somebody is asked for its key before anything is made. */
static bool open_identity(struct mesh *m, struct error *err)
{
	static const char hint[] = "put the mesh's coordinator key file there (from a backup, or from another instance), or name it with --coordinator-key";
	struct meta_job meta;
	if (!read_or_claim(m, false, &meta, err))
		return false;
	bool fresh = !str_present(meta.coordinator);
	if (!fresh && !str_equal(meta.network, m->config.network))
		return error_set(err, ERR_CONFIG, "the database belongs to the network \"%.*s\", not to \"%.*s\"", STR_ARG(meta.network),
				 STR_ARG(m->config.network));
	if (!fresh && !file_exists(key_path(m))) {
		error_set(err, ERR_CONFIG, "the database belongs to the coordinator key %.*s, and there is no %s", STR_ARG(meta.coordinator), key_path(m));
		return error_hint(err, hint);
	}
	if (!open_key(m, fresh, err) || (fresh && !read_or_claim(m, true, &meta, err)))
		return false;
	if (str_equal(meta.coordinator, m->coordinator_key) && str_equal(meta.network, m->config.network))
		return true;
	error_set(err, ERR_CONFIG, "the database belongs to the coordinator key %.*s, not to that of %s", STR_ARG(meta.coordinator), key_path(m));
	return error_hint(err, hint);
}

bool mesh_open(struct mesh *m, struct error *err)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	if (!str_present(m->config.network)) {
		error_set(err, ERR_CONFIG, "--network is required");
		return error_hint(err, "name the network that this coordinator serves, or use --dev for a local one");
	}
	set_origin(m);
	if (!file_make_dirs(m->config.data_dir, 0700, err))
		return false;
	struct db_pool_options o = {.url = m->config.db_url,
				    .name = "meshd",
				    .readers = cores < 2 ? 4 : (int)cores * 2,
				    .queue_max = QUEUE_MAX,
				    .group_max = GROUP_MAX,
				    .patience_ms = PATIENCE_MS};
	m->pool = db_pool_open(&o, mesh_migrations, mesh_migration_count, err);
	return m->pool && open_identity(m, err);
}

static bool sovereigns_known(struct mesh *m, bool *known, struct error *err)
{
	DB_SQL(SQL_ANY, "SELECT 1 FROM sovereigns LIMIT 1");
	struct db_rows *rows;
	struct db_conn *c = db_pool_reader(m->pool, err);
	if (!c)
		return false;
	enum db_status st = db_query(c, &SQL_ANY, DB_NO_ARGS, &rows, err);
	if (st == DB_OK) {
		*known = db_next(rows);
		st = db_finish(rows, err);
	}
	db_pool_release(m->pool, c);
	return st == DB_OK;
}

/* Is one of --sovereign-key not in the registry? An operator who adds it there should hear that it has no effect. */
static bool warn_unknown(struct mesh *m, struct str key, struct error *err)
{
	struct sovereign_row row;
	struct arena arena;
	bool found = false;
	struct db_conn *c = db_pool_reader(m->pool, err);
	if (!c)
		return false;
	arena_init(&arena);
	enum db_status st = store_sovereign(c, key, &arena, &row, &found, err);
	db_pool_release(m->pool, c);
	arena_free(&arena);
	if (st == DB_OK && !found)
		log_warn("--sovereign-key names a key that this registry does not know; it is ignored, since a sovereign has to add it", LOG_STR("key", key));
	return st == DB_OK;
}

bool mesh_bootstrap_sovereigns(struct mesh *m, const struct invocation *in, struct error *err)
{
	bool known;
	if (!sovereigns_known(m, &known, err))
		return false;
	size_t count = option_count(in, "sovereign-key");
	if (!known && count == 0)
		log_warn("no sovereign key is known: nobody can approve nodes", LOG_S("hint", "start with --sovereign-key KEY, or run `meshd init`"));
	for (size_t i = 0; i < count; i++) {
		struct ed25519_public key;
		char text[ED25519_PUBLIC_TEXT_LEN + 1];
		struct change_job j;
		if (!ed25519_public_from_text(str_from(option_at(in, "sovereign-key", i)), KEY_LENIENT, &key, err))
			return false;
		ed25519_public_to_text(&key, text);
		struct str written = arena_copy(&m->arena, str_from(text));
		if (known) {
			if (!warn_unknown(m, written, err))
				return false;
			continue;
		}
		change_job_init(&j, m, &m->arena);
		j.change.statement = (struct mesh_statement){.kind = STATEMENT_SOVEREIGN_INIT, .network = m->config.network, .public_key = written};
		j.coordinator_signs = true;
		if (!change_run(&j, err))
			return false;
		log_info("a first sovereign key was set", LOG_STR("key", written));
	}
	return true;
}

static bool read_meta(struct mesh *m, struct db_conn *c, struct error *err)
{
	struct str network, coordinator;
	if (store_meta_read(c, &m->arena, &network, &coordinator, err) != DB_OK)
		return false;
	if (!str_present(m->config.network))
		m->config.network = network;
	if (!str_present(m->config.network))
		return error_set(err, ERR_CORRUPT, "the database does not say which network it belongs to; name it with --network");
	set_origin(m);
	if (file_exists(key_path(m)))
		return open_key(m, false, err);
	struct ed25519_public key;
	if (!str_present(coordinator) || !ed25519_public_from_text(coordinator, KEY_WRITTEN, &key, err))
		return error_set(err, ERR_CORRUPT, "the database does not say who its coordinator is; name the key file with --coordinator-key");
	set_coordinator(m, &key);
	return true;
}

struct db_conn *mesh_open_to_read(struct mesh *m, struct error *err)
{
	struct db_conn *c;
	if (db_open(m->config.db_url, DB_OPEN_READ_ONLY, "meshd", &c, err) != DB_OK)
		return NULL;
	int64_t version;
	if (db_schema_version(c, &version, err) == DB_OK) {
		if (version > (int64_t)mesh_migration_count)
			error_set(err, ERR_CONFIG, "the database was made by a newer version of meshd");
		else if (version < (int64_t)mesh_migration_count)
			error_set(err, ERR_CONFIG, "the database is not of this version of meshd; start `meshd run` once, which migrates it");
		else if (read_meta(m, c, err))
			return c;
	}
	db_close(c);
	return NULL;
}

void mesh_close(struct mesh *m)
{
	if (m->pool)
		db_pool_close(m->pool);
	m->pool = NULL;
	ed25519_secret_wipe(&m->coordinator);
	arena_free(&m->arena);
}

void mesh_state_fill(const struct mesh *m, struct mesh_state *s)
{
	s->network = m->config.network;
	s->coordinator_key = m->coordinator_key;
	s->limits = m->config.limits;
}
