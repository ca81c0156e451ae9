/*
 * meshd verify against an operator who may write whatever he likes into the database, recompute every hash, and sign with keys of his own: what no key of the mesh has said is
 * found. On SQLite and on PostgreSQL.
 */
#include "meshd_store_fixture.h"

#include <time.h>

#include "crypto/note.h"
#include "meshd/mesh_verify.h"

#define A key(1)
#define B key(2)
#define S1 key(10)
#define S2 key(11)
#define I1 key(20)
#define MALLORY key(90)

struct report {
	struct buf text; /* "table row: problem" lines */
	int64_t count;
};

static void note(void *ctx, const struct finding *f)
{
	struct report *found = ctx;
	found->count++;
	assert_non_null(f->problem);
	buf_printf(&found->text, "%s %.*s %s: %s\n", f->table, STR_ARG(f->row), f->column ? f->column : "-", f->problem);
}

static bool try_verify(struct stored *s, struct str kept, struct report *found, struct verify_result *result, struct error *err)
{
	*result = (struct verify_result){0};
	*found = (struct report){.count = 0};
	struct db_conn *c = open_how(s->mesh.config.db_url, DB_OPEN_READ_ONLY);
	bool ok = mesh_verify(&s->mesh, c, kept, note, found, result, err);
	db_close(c);
	return ok;
}

static struct verify_result verify(struct stored *s, struct report *found)
{
	struct verify_result result;
	struct error err;
	if (!try_verify(s, STR_NONE, found, &result, &err))
		fail_msg("%s", err.message);
	assert_int_equal(result.findings, found->count);
	return result;
}

static void clean(struct stored *s)
{
	struct report found;
	verify(s, &found);
	if (found.count)
		fail_msg("%s", buf_z(&found.text));
	buf_free(&found.text);
}

/* Something is found, and one line of the report has all of this. */
static void finds(struct stored *s, const char *want)
{
	struct report found;
	verify(s, &found);
	if (!strstr(buf_z(&found.text), want))
		fail_msg("no \"%s\" in:\n%s", want, buf_z(&found.text));
	buf_free(&found.text);
}

static int64_t now(struct stored *s)
{
	return ++s->world.now;
}

static void begin(struct stored *s, void **state)
{
	stored_begin(s, *state);
	stored_first_sovereign(s, S1);
	stores(s, REGISTRATION(&s->world, .id = "a", .node = A, .timestamp = now(s), .port = 8080));
	stores(s, decision(&s->world, MESH_APPROVE, S1, "a", A, now(s)));
}

static void test_every_kind_of_entry(void **state)
{
	struct stored s;
	begin(&s, state);
	struct world *w = &s.world;
	stores(&s, about_key(w, STATEMENT_SOVEREIGN_ADD, S1, S2, now(&s)));
	stores(&s, invitation(w, S2, I1, 2, w->now + 100000, now(&s)));
	stores(&s, REGISTRATION(w, .id = "b", .node = B, .timestamp = now(&s), .invite = I1));
	stores(&s, node_rotation(w, "b", B, key(3), now(&s)));
	stores(&s, about_key(w, STATEMENT_INVITE_REVOKE, S1, I1, now(&s)));
	assert_int_equal(stored_change(&s, decision(w, MESH_DENY, S1, "a", A, now(&s)), false).kind, VERDICT_CONSUMED);
	stores(&s, REGISTRATION(w, .id = "c", .node = key(4), .timestamp = now(&s)));
	struct change c = {.statement = {.kind = STATEMENT_EXPIRE, .network = NETWORK, .node_id = STR_LIT("c"), .public_key = key(4)->text}};
	nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL); /* nothing expires in the millisecond in which it came */
	assert_int_equal(stored_change(&s, c, true).kind, VERDICT_APPLIED);
	stores(&s, sovereign_rotation(w, S2, key(12), now(&s)));
	stores(&s, about_key(w, STATEMENT_SOVEREIGN_REMOVE, S1, key(12), now(&s)));
	stores(&s, decision(w, MESH_REMOVE, S1, "b", key(3), now(&s)));
	s.mesh.config.limits.require_full = false;
	s.mesh.config.limits.dev = true;
	c = REGISTRATION(w, .id = "short", .node = key(5), .region = "eu", .port = 80);
	stores(&s, c);
	assert_int_equal(stored_change(&s, c, false).kind, VERDICT_UNCHANGED);
	stores(&s, old_decision(w, MESH_APPROVE, S1, "short"));
	script(s.conn, "UPDATE nodes SET status = 'offline' WHERE id = 'short'");
	struct report found;
	struct verify_result r = verify(&s, &found);
	if (found.count)
		fail_msg("%s", buf_z(&found.text));
	assert_true(r.entries == 16 && r.nodes == 2);
	stored_end(&s);
}

/* More entries than are in memory at a time, and rows that come and go meanwhile. */
static void test_a_log_of_many_pages(void **state)
{
	struct stored s;
	begin(&s, state);
	for (int i = 0; i < 700; i++) {
		struct world *w = &s.world;
		if (i % 7 == 0)
			stores(&s, node_rotation(w, "a", i / 7 % 2 ? B : A, i / 7 % 2 ? A : B, now(&s)));
		else
			stores(&s, REGISTRATION(w, .id = "a", .node = (i / 7) % 2 ? A : B, .timestamp = now(&s), .port = i));
	}
	struct report found;
	struct verify_result r = verify(&s, &found);
	if (found.count)
		fail_msg("%s", buf_z(&found.text));
	assert_int_equal(r.entries, 703);
	script(s.conn, "UPDATE audit_log SET outcome = 'denied' WHERE idx = 600");
	finds(&s, "audit_log 600 outcome: the rules give another outcome");
	finds(&s, "audit_tree level 0 position 600 hash: the entry is not the one that was logged");
	stored_end(&s);
}

/* A job that writes an entry nobody judged, with all its hashes: what someone can do who owns the database. */
struct forging {
	struct db_job job; /* first: the pool's */
	struct mesh_audit_entry entry;
};
static enum db_status run_forging(struct db_job *job, struct db_conn *c, struct error *err)
{
	struct forging *f = (struct forging *)job;
	enum db_status st = log_lock(c, &f->entry.index, err);
	return st == DB_OK ? log_append(c, &f->entry, err) : st;
}
static void forge(struct stored *s, const struct change *c, const char *outcome, int64_t time)
{
	struct error err = {0};
	struct forging f = {.job = {.run = run_forging},
			    .entry = {.time = time,
				      .message = str_present(c->message) ? c->message : statement_text(&s->world, &c->statement),
				      .public_key = c->public_key,
				      .signature = c->signature,
				      .outcome = str_from(outcome),
				      .new_public_key = c->statement.new_key,
				      .new_signature = c->new_signature,
				      .details = c->details}};
	must(db_pool_write(s->mesh.pool, &f.job, &err), &err);
}
static void forge_signed(struct stored *s, struct change c, const char *outcome)
{
	c.message = str_present(c.message) ? c.message : statement_text(&s->world, &c.statement);
	c.public_key = MALLORY->text;
	c.signature = sign(&s->world, MALLORY, c.message);
	forge(s, &c, outcome, s->world.now);
}

static void set_text(struct stored *s, const char *sql, struct str value)
{
	struct error err = {0};
	struct db_rows *rows;
	must(db_query_text(s->conn, sql, DB_ARGS(DB_TEXT(value)), &rows, &err), &err);
	must(db_finish(rows, &err), &err);
}

static void test_a_rotation_signed_by_another_key(void **state)
{
	struct stored s;
	begin(&s, state);
	struct change c = node_rotation(&s.world, "a", A, B, now(&s));
	c.statement.public_key = A->text;
	forge_signed(&s, c, "active");
	script(s.conn, "UPDATE nodes SET rotations = '[3]'");
	set_text(&s, "UPDATE nodes SET public_key = $1", B->text);
	finds(&s, "audit_log 3 signature: the signature does not fit");
	stored_end(&s);
}

static void test_a_registration_signed_by_another_key(void **state)
{
	struct stored s;
	begin(&s, state);
	forge_signed(&s, REGISTRATION(&s.world, .id = "a", .node = A, .timestamp = now(&s), .host = "evil.ts.net"), "active");
	finds(&s, "audit_log 3 signature: the signature does not fit");
	stored_end(&s);
}

static void test_a_sovereign_rotation_signed_by_another_key(void **state)
{
	struct stored s;
	begin(&s, state);
	forge_signed(&s, sovereign_rotation(&s.world, S1, S2, now(&s)), "ok");
	finds(&s, "audit_log 3 signature: the signature does not fit");
	stored_end(&s);
}

static void test_decisions_by_nobody(void **state)
{
	struct stored s;
	begin(&s, state);
	struct change c = decision(&s.world, MESH_REMOVE, MALLORY, "a", A, now(&s));
	c.statement.public_key = A->text;
	forge(&s, &c, "removed", s.world.now);
	finds(&s, "is not a sovereign key of this network");
	stored_end(&s);
}

/* Recorded words of the right keys, entered again or at a time that they were not for. */
static void test_old_words(void **state)
{
	struct stored s;
	begin(&s, state);
	struct world *w = &s.world;
	struct change late = decision(w, MESH_REMOVE, S1, "a", A, now(&s) + MESH_CLOCK_SKEW_MS + 1);
	late.statement.public_key = A->text;
	forge(&s, &late, "removed", w->now);
	finds(&s, "audit_log 3 message: the timestamp lies more than 300 s");
	struct change again = decision(w, MESH_APPROVE, S1, "a", A, w->now - 1);
	again.statement.public_key = A->text;
	forge(&s, &again, "wrong_state", w->now);
	finds(&s, "audit_log 4 message: the timestamp is not newer than this key's last one");
	struct change crown = about_key(w, STATEMENT_SOVEREIGN_INIT, key(COORDINATOR), S2, w->now);
	forge(&s, &crown, "ok", w->now);
	finds(&s, "audit_log 5 message: this network has sovereign keys");
	stored_end(&s);
}

static void test_times_and_places_out_of_this_world(void **state)
{
	static const char *const edits[][2] = {
		{"UPDATE audit_log SET time = -1 WHERE idx = 1", "audit_log 1 time: this is no time"},
		{"UPDATE audit_log SET time = 9223372036854775807 WHERE idx = 1", "audit_log 1 time: this is no time"},
		{"UPDATE audit_log SET time = -9223372036854775807 - 1 WHERE idx = 1", "audit_log 1 time: this is no time"},
		{"UPDATE audit_log SET idx = 9223372036854775807 WHERE idx = 2", "audit_log 2 -: the entries up to 9223372036854775806 are missing"},
		{"UPDATE audit_log SET idx = 5000 WHERE idx = 2", "audit_log 4999 -: the entry is missing"},
		{"UPDATE audit_log SET idx = -1 WHERE idx = 2", "audit_log all -: there are more rows"},
		{"UPDATE audit_tree SET position = -1 WHERE level = 0 AND position = 2", "audit_tree level 0 position 2 hash: "},
		{"INSERT INTO audit_tree SELECT level + 40, position, hash FROM audit_tree", "audit_tree all -: there are more rows"},
		{"UPDATE audit_head SET size = 9223372036854775807", "audit_head 1 size: the value is not what the log gives"},
		{"UPDATE nodes SET registered_at = -9223372036854775807 - 1", "nodes a registered_at: the value is not what the log gives"},
		{"UPDATE nodes SET status = 'denied'", "nodes a status: the value is not what the log gives"},
		{"UPDATE nodes SET status = 'pending'", "nodes a status: the value is not what the log gives"},
		{"UPDATE nodes SET role = 'offline'", "nodes a role: the value is not what the log gives"},
		{"UPDATE nodes SET id = 'b'", "nodes b -: the log gives no such row"},
		{"UPDATE nodes SET id = 'b'", "nodes a -: the row is missing"},
		{"UPDATE nodes SET services = ''", "nodes a services: the value is not what the log gives"},
		{"UPDATE nodes SET rotations = ''", "nodes a rotations: the value is not what the log gives"},
		{"INSERT INTO meta (key, value) VALUES ('x', 'y')", "meta x -: the log gives no such row"},
		{"ALTER TABLE nodes ADD COLUMN extra TEXT", "nodes a extra: the table has a column that it should not have"},
		{"UPDATE audit_log SET message = '' WHERE idx = 1", "audit_log 1 message: the text is no statement"},
		{"UPDATE audit_log SET message = '{' WHERE idx = 1", "audit_log 1 message: "},
		{"UPDATE audit_log SET details = '{\"reason\":' WHERE idx = 2", "audit_log 2 message: "},
		{"UPDATE audit_log SET public_key = '' WHERE idx = 2", "audit_log 2 signature: the signature does not fit"},
		{"UPDATE audit_log SET signature = 'ed25519_sig_' WHERE idx = 2", "audit_log 2 signature: the signature does not fit"},
	};
	for (size_t i = 0; i < ARRAY_LEN(edits); i++) {
		struct stored s;
		begin(&s, state);
		clean(&s);
		script(s.conn, edits[i][0]);
		finds(&s, edits[i][1]);
		stored_end(&s);
		/* The next one begins anew. */
		fixture_remove(state);
		assert_int_equal(fixture_make(state), 0);
	}
}

/* Two mesh's words are not one's: the replay knows its network and its coordinator. */
static void test_somebody_elses_log(void **state)
{
	struct stored s;
	begin(&s, state);
	s.mesh.config.network = STR_LIT("other");
	finds(&s, "audit_log 2 message: this is the network \"other\"");
	s.mesh.config.network = NETWORK;
	s.mesh.coordinator_key = MALLORY->text;
	finds(&s, "audit_log 0 message: only the coordinator's own key says this");
	finds(&s, "meta coordinator value: the value is not what the log gives");
	stored_end(&s);
}

/* Only who is admitted may be silent. */
static void test_silent_nodes(void **state)
{
	struct stored s;
	begin(&s, state);
	stores(&s, REGISTRATION(&s.world, .id = "waits", .node = B, .timestamp = now(&s)));
	script(s.conn, "UPDATE nodes SET status = 'offline' WHERE id = 'a'");
	clean(&s);
	script(s.conn, "UPDATE nodes SET status = 'offline' WHERE id = 'waits'");
	finds(&s, "nodes waits status: the value is not what the log gives");
	stored_end(&s);
}

/* Somebody kept this head of the log. */
static struct str kept_head(struct stored *s, const char *origin, const struct signer *by)
{
	struct report found;
	struct verify_result r = verify(s, &found);
	struct checkpoint cp = {.size = (uint64_t)r.entries};
	snprintf(cp.origin, sizeof(cp.origin), "%s", origin);
	assert_true(hash_from_text(r.root, &cp.root));
	struct buf text = {0};
	checkpoint_sign(&cp, &by->secret, &text);
	buf_free(&found.text);
	return taken(&s->world, &text);
}

static void finds_against(struct stored *s, struct str kept, const char *want)
{
	struct report found;
	struct verify_result r;
	struct error err;
	if (!try_verify(s, kept, &found, &r, &err))
		fail_msg("%s", err.message);
	if (want ? !strstr(buf_z(&found.text), want) : found.count != 0)
		fail_msg("no \"%s\" in:\n%s", want ? want : "(nothing)", buf_z(&found.text));
	buf_free(&found.text);
}

static void test_kept_checkpoints(void **state)
{
	struct stored s;
	begin(&s, state);
	struct report found;
	struct verify_result r;
	struct error err;
	struct str kept = kept_head(&s, "tana-mesh/unit", key(COORDINATOR));
	finds_against(&s, kept, NULL);
	stores(&s, REGISTRATION(&s.world, .id = "b", .node = B, .timestamp = now(&s)));
	struct str later = kept_head(&s, "tana-mesh/unit", key(COORDINATOR));
	finds_against(&s, kept, NULL);
	finds_against(&s, later, NULL);
	assert_false(try_verify(&s, kept_head(&s, "tana-mesh/other", key(COORDINATOR)), &found, &r, &err));
	assert_int_equal(err.code, ERR_WRONG_NETWORK);
	assert_false(try_verify(&s, kept_head(&s, "tana-mesh/unit", MALLORY), &found, &r, &err));
	assert_false(try_verify(&s, STR_LIT("nonsense"), &found, &r, &err));

	/* The end cut off, with all that came of it: a good log in itself, and shorter than what was kept. */
	script(s.conn, "DELETE FROM audit_log WHERE idx = 3; UPDATE audit_head SET size = 3; DELETE FROM nodes WHERE id = 'b';"
		       "DELETE FROM audit_tree WHERE (level = 0 AND position = 3) OR (level = 1 AND position = 1) OR level = 2");
	finds_against(&s, kept, NULL);
	finds_against(&s, later, "audit_log 3 -: entries are missing at the end");
	/* Another end in its place. */
	stores(&s, REGISTRATION(&s.world, .id = "c", .node = B, .timestamp = now(&s)));
	finds_against(&s, kept, NULL);
	finds_against(&s, later, "audit_log 0..3 -: history was rewritten");
	stored_end(&s);
}

static void test_registries_of_earlier_versions(void **state)
{
	const struct fixture *f = *state;
	for (size_t version = 1; version < mesh_migration_count; version++) {
		struct error err = {0};
		struct stored s;
		struct db_pool_options o = {.url = f->url, .name = "test", .readers = 1, .queue_max = 10, .group_max = 1, .patience_ms = 1000};
		struct db_pool *older = db_pool_open(&o, mesh_migrations, version, &err);
		if (!older)
			fail_msg("%s", err.message);
		db_pool_close(older);
		begin(&s, state);
		clean(&s);
		stored_end(&s);
		fixture_remove(state);
		assert_int_equal(fixture_make(state), 0);
		f = *state;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		DB_CASE(test_every_kind_of_entry),
		DB_CASE(test_a_log_of_many_pages),
		DB_CASE(test_a_rotation_signed_by_another_key),
		DB_CASE(test_a_registration_signed_by_another_key),
		DB_CASE(test_a_sovereign_rotation_signed_by_another_key),
		DB_CASE(test_decisions_by_nobody),
		DB_CASE(test_old_words),
		DB_CASE(test_times_and_places_out_of_this_world),
		DB_CASE(test_somebody_elses_log),
		DB_CASE(test_silent_nodes),
		DB_CASE(test_kept_checkpoints),
		DB_CASE(test_registries_of_earlier_versions),
	};
	struct error err;
	if (!quiet_log() || !crypto_start(&err))
		return 1;
	return run_on_sqlite(tests, ARRAY_LEN(tests)) + run_on_postgres(tests, ARRAY_LEN(tests));
}
