/* Heartbeats on their way: the hints of keys, the write that stands on its own conditions, the history that is kept in two places. */
#include "meshd_store_fixture.h"

#include <stdio.h>

#include "meshd/mesh_hints.h"
#include "meshd/mesh_history.h"
#include "meshd/mesh_liveness.h"

#define A key(1)
#define S1 key(10)

/* ---- hints ---- */

static struct mesh_hint hint(unsigned char mark, int64_t time)
{
	struct mesh_hint h = {.heartbeat_time = time};
	memset(h.key.b, mark, sizeof(h.key.b));
	return h;
}

static void test_hints_come_back_until_they_are_dropped(void **state)
{
	(void)state;
	struct mesh_hints *h = mesh_hints_new();
	struct mesh_hint got, one = hint(1, 10), two = hint(2, 20);
	assert_false(mesh_hint_get(h, STR_LIT("a"), &got));
	mesh_hint_put(h, STR_LIT("a"), &one);
	mesh_hint_put(h, STR_LIT("b"), &one);
	mesh_hint_put(h, STR_LIT("a"), &two);
	assert_true(mesh_hint_get(h, STR_LIT("a"), &got));
	assert_memory_equal(&got, &two, sizeof(got));
	assert_true(mesh_hint_get(h, STR_LIT("b"), &got));
	assert_memory_equal(&got, &one, sizeof(got));
	mesh_hint_drop(h, STR_LIT("a"));
	mesh_hint_drop(h, STR_LIT("never seen"));
	assert_false(mesh_hint_get(h, STR_LIT("a"), &got));
	assert_true(mesh_hint_get(h, STR_LIT("b"), &got));
	mesh_hints_free(h);
	mesh_hints_free(NULL);
}

/* Far more nodes than there is room for: the last ones are there, the first ones are not, none has another's key. */
static void test_hints_are_bounded(void **state)
{
	(void)state;
	enum { NODES = 1000000, LAST = 1000 };
	struct mesh_hints *h = mesh_hints_new();
	int there = 0, last_there = 0;
	for (int64_t i = 0; i < NODES; i++) {
		char name[32];
		struct mesh_hint x = hint((unsigned char)(i % 251), i + 1);
		int n = snprintf(name, sizeof(name), "node-%d", (int)i);
		mesh_hint_put(h, str_of(name, (size_t)n), &x);
	}
	for (int64_t i = 0; i < NODES; i++) {
		char name[32];
		struct mesh_hint got, want = hint((unsigned char)(i % 251), i + 1);
		int n = snprintf(name, sizeof(name), "node-%d", (int)i);
		if (!mesh_hint_get(h, str_of(name, (size_t)n), &got))
			continue;
		assert_memory_equal(&got, &want, sizeof(got));
		there++;
		last_there += i >= NODES - LAST;
	}
	assert_in_range(there, 200000, 1 << 18);
	assert_int_equal(last_there, LAST);
	mesh_hints_free(h);
}

/* ---- history ---- */

static const struct mesh_history_entry *entry(const struct mesh_history *h, size_t i)
{
	assert_true(i < h->heartbeats.count);
	return (const struct mesh_history_entry *)h->heartbeats.items + i;
}

static struct mesh_history read_all(struct stored *s, int64_t after, int64_t limit)
{
	struct mesh_history h;
	struct error err = {0};
	if (history_read(s->conn, STR_LIT("a"), after, limit, &s->world.arena, &h, &err) != DB_OK)
		fail_msg("%s", err.message);
	return h;
}

/* One heartbeat through the writer, as the handler submits it. */
static bool beats(struct stored *s, const struct signer *k, int64_t time, struct str unhealthy, enum error_code *refusal)
{
	struct error err = {0};
	struct heartbeat_job j = {.mesh = &s->mesh,
				  .arena = &s->world.arena,
				  .node_id = STR_LIT("a"),
				  .public_key = k->text,
				  .timestamp = time,
				  .received_at = time + 7,
				  .height = time % 2 ? time : JSON_INT_ABSENT,
				  .version = time % 3 ? STR_LIT("1.0 beta") : STR_NONE,
				  .unhealthy = unhealthy};
	heartbeat_job_init(&j);
	if (db_pool_write(s->mesh.pool, &j.job, &err) != DB_OK)
		fail_msg("%s", err.message);
	if (!j.accepted)
		*refusal = j.refusal.code;
	return j.accepted;
}

static void begin(struct stored *s, void **state)
{
	stored_begin(s, *state);
	stored_first_sovereign(s, S1);
	struct world *w = &s->world;
	stores(s, REGISTRATION(w, .id = "a", .node = A, .timestamp = ++w->now));
	stores(s, decision(w, MESH_APPROVE, S1, "a", A, ++w->now));
}

/* In whatever pages it is read, at whatever moment: every heartbeat once, in order, as it was. */
static void test_history_is_whole_in_both_places(void **state)
{
	enum { COUNT = 3 * HISTORY_RECENT_MAX + 5 };
	struct stored s;
	enum error_code code;
	begin(&s, state);
	int64_t first = s.world.now + 1;
	for (int64_t i = 0; i < COUNT; i++) {
		assert_true(beats(&s, A, first + i, i % 10 == 3 ? STR_LIT("ledger x-a") : STR_NONE, &code));
		assert_int_equal(read_all(&s, 0, 1000).heartbeats.count, i + 1);
	}
	assert_in_range(ask_int(s.conn, "SELECT COUNT(*) FROM local_heartbeats"), COUNT - HISTORY_RECENT_MAX, COUNT - 1);
	assert_in_range(ask_int(s.conn, "SELECT beats FROM local_liveness WHERE node_id = 'a'"), 1, HISTORY_RECENT_MAX);
	for (int64_t limit = 1; limit <= COUNT + 1; limit += 4) {
		int64_t after = 0, seen = 0;
		struct mesh_history h;
		do {
			h = read_all(&s, after, limit);
			for (size_t i = 0; i < h.heartbeats.count; i++, seen++) {
				const struct mesh_history_entry *e = entry(&h, i);
				int64_t t = first + seen;
				assert_int_equal(e->timestamp, t);
				assert_int_equal(e->received_at, t + 7);
				assert_int_equal(e->height, t % 2 ? t : JSON_INT_ABSENT);
				assert_true(str_equal(e->version, t % 3 ? STR_LIT("1.0 beta") : STR_NONE));
				assert_int_equal(e->unhealthy.count, seen % 10 == 3 ? 2 : 0);
				after = t;
			}
			assert_int_equal(str_present(h.next_cursor), seen < COUNT);
		} while (str_present(h.next_cursor));
		assert_int_equal(seen, COUNT);
	}
	stored_end(&s);
}

/* What the table has already is not told twice; what nobody wrote is passed over. */
static void test_history_in_a_strange_state(void **state)
{
	struct stored s;
	begin(&s, state);
	script(s.conn, "INSERT INTO local_heartbeats (node_id, time, received_at) VALUES ('a', 100, 101), ('a', 200, 201);"
		       "UPDATE local_liveness SET beats = 3, recent = '200\t1\t\t\t\n300\t1\t\t\t\nno line\n9999999999999999999\t1\t\t\t\n"
		       "400\t-5\t12\tv\tledger\nhalf a line' WHERE node_id = 'a'");
	struct mesh_history h = read_all(&s, 0, 100);
	assert_int_equal(h.heartbeats.count, 4);
	assert_int_equal(entry(&h, 1)->timestamp, 200);
	assert_int_equal(entry(&h, 2)->timestamp, 300);
	assert_int_equal(entry(&h, 3)->received_at, 395);
	assert_int_equal(entry(&h, 3)->height, 12);
	assert_int_equal(read_all(&s, 300, 100).heartbeats.count, 1);
	stored_end(&s);
}

static enum db_status settle(struct db_job *job, struct db_conn *c, struct error *err)
{
	(void)job;
	return history_settle(c, STR_LIT("a"), INT64_MAX, err);
}

static void test_settling_moves_and_empties(void **state)
{
	struct stored s;
	enum error_code code;
	struct error err = {0};
	begin(&s, state);
	for (int64_t i = 1; i <= 3; i++)
		assert_true(beats(&s, A, s.world.now + i, STR_NONE, &code));
	int64_t before = ask_int(s.conn, "SELECT COUNT(*) FROM local_heartbeats");
	struct db_job j = {.run = settle};
	for (int round = 0; round < 2; round++) {
		assert_int_equal(db_pool_write(s.mesh.pool, &j, &err), DB_OK);
		assert_int_equal(ask_int(s.conn, "SELECT COUNT(*) FROM local_heartbeats"), 3);
		assert_int_equal(ask_int(s.conn, "SELECT beats + LENGTH(recent) FROM local_liveness WHERE node_id = 'a'"), 0);
	}
	assert_in_range(before, 0, 3);
	assert_int_equal(read_all(&s, 0, 100).heartbeats.count, 3);
	stored_end(&s);
}

/* The write asks for itself: whoever submits it may have believed a hint that was wrong. */
static void test_the_write_has_its_own_conditions(void **state)
{
	struct stored s;
	enum error_code code = ERR_COUNT;
	begin(&s, state);
	struct world *w = &s.world;
	int64_t t = w->now + 10;
	assert_true(beats(&s, A, t, STR_NONE, &code));
	assert_false(beats(&s, A, t, STR_NONE, &code));
	assert_int_equal(code, ERR_REPLAYED);
	assert_false(beats(&s, key(2), t + 1, STR_NONE, &code));
	assert_int_equal(code, ERR_BAD_SIGNATURE);
	script(s.conn, "UPDATE nodes SET status = 'offline' WHERE id = 'a'");
	assert_true(beats(&s, A, t + 2, STR_NONE, &code));
	assert_int_equal(ask_int(s.conn, "SELECT COUNT(*) FROM nodes WHERE status = 'active'"), 1);
	script(s.conn, "UPDATE nodes SET status = 'denied' WHERE id = 'a'");
	assert_false(beats(&s, A, t + 3, STR_NONE, &code));
	assert_int_equal(code, ERR_NODE_NOT_ACTIVE);
	script(s.conn, "DELETE FROM nodes WHERE id = 'a'");
	assert_false(beats(&s, A, t + 4, STR_NONE, &code));
	assert_int_equal(code, ERR_UNKNOWN_NODE);
	assert_int_equal(read_all(&s, 0, 100).heartbeats.count, 2);
	stored_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		DB_CASE(test_history_is_whole_in_both_places),
		DB_CASE(test_history_in_a_strange_state),
		DB_CASE(test_settling_moves_and_empties),
		DB_CASE(test_the_write_has_its_own_conditions),
	};
	const struct CMUnitTest hints[] = {
		cmocka_unit_test(test_hints_come_back_until_they_are_dropped),
		cmocka_unit_test(test_hints_are_bounded),
	};
	struct error err;
	if (!quiet_log() || !crypto_start(&err))
		return 1;
	return cmocka_run_group_tests(hints, NULL, NULL) + run_on_sqlite(tests, ARRAY_LEN(tests)) + run_on_postgres(tests, ARRAY_LEN(tests));
}
