/* For the tests of meshd over a database: a mesh without its HTTP side, on SQLite and on PostgreSQL. */
#ifndef TANA_TESTS_MESHD_STORE_FIXTURE_H
#define TANA_TESTS_MESHD_STORE_FIXTURE_H

#include "db_fixture.h"
#include "meshd_sample.h"

#include "base/clock.h"
#include "base/file.h"
#include "meshd/mesh_change.h"
#include "meshd/mesh_log.h"
#include "meshd/mesh_schema.h"
#include "meshd/mesh_store.h"

/* A database, the mesh on it, and a world for its arena: changes are made by meshd_sample.h, and applied here instead of in memory. */
struct stored {
	struct mesh mesh;
	struct world world;
	struct db_conn *conn; /* for what the mesh itself would not do */
};

static inline void stored_begin(struct stored *s, const struct fixture *f)
{
	struct error err = {0};
	*s = (struct stored){.mesh = {.config = {.db_url = f->url,
						 .data_dir = f->dir,
						 .network = NETWORK,
						 .limits = {.pending_max = 100, .require_full = true},
						 .heartbeat_timeout_ms = 1000,
						 .heartbeat_window_ms = 60000,
						 .offline_grace_ms = 60000,
						 .pending_ttl_ms = 60000,
						 .history_keep_ms = 60000,
						 .snapshot_ttl_ms = 60000}}};
	struct mesh *m = &s->mesh;
	arena_init(&m->arena);
	m->coordinator = key(COORDINATOR)->secret;
	m->coordinator_key = key(COORDINATOR)->text;
	m->origin = STR_LIT("tana-mesh/unit");
	struct db_pool_options o = {.url = f->url, .name = "test", .readers = 2, .queue_max = 100, .group_max = 16, .patience_ms = 2000};
	m->pool = db_pool_open(&o, mesh_migrations, mesh_migration_count, &err);
	if (!m->pool)
		fail_msg("%s", err.message);
	world_begin(&s->world);
	s->world.now = clock_wall_ms();
	s->conn = open_db(f);
	char sql[256];
	snprintf(sql, sizeof(sql), "INSERT INTO meta (key, value) VALUES ('network', 'unit'), ('coordinator', '%s')", key(COORDINATOR)->z);
	script(s->conn, sql);
}

static inline void stored_end(struct stored *s)
{
	db_close(s->conn);
	db_pool_close(s->mesh.pool);
	world_end(&s->world);
	arena_free(&s->mesh.arena);
}

/* One change through the writer, as the handlers do it. */
static inline struct verdict stored_change(struct stored *s, struct change c, bool coordinator_signs)
{
	struct change_job j;
	struct error err = {0};
	change_job_init(&j, &s->mesh, &s->world.arena);
	j.change = c;
	j.coordinator_signs = coordinator_signs;
	mesh_details_write(&j.change, &s->world.arena);
	must(db_pool_write(s->mesh.pool, &j.job, &err), &err);
	return j.verdict;
}

static inline void stores(struct stored *s, struct change c)
{
	struct verdict v = stored_change(s, c, false);
	if (v.kind != VERDICT_APPLIED)
		fail_msg("kind %d: %s", (int)v.kind, v.err.message);
}

static inline void stored_first_sovereign(struct stored *s, const struct signer *k)
{
	struct change c = {.statement = {.kind = STATEMENT_SOVEREIGN_INIT, .network = NETWORK, .public_key = k->text}};
	assert_int_equal(stored_change(s, c, true).kind, VERDICT_APPLIED);
}

#endif
