/* meshd's watch over the registry: who waits too long expires, who was reset waits anew, lost rows of liveness come back, silence is noticed, and a clock that went back is. */
#include "meshd_store_fixture.h"

#include <time.h>

#include "meshd/mesh_liveness.h"
#include "meshd/mesh_watch.h"

#define A key(1)
#define S1 key(10)

static void sleep_ms(int ms)
{
	nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L}, NULL);
}

/* Waits until the query gives `want`. */
static void becomes(struct stored *s, const char *sql, int64_t want)
{
	for (int i = 0; i < 500; i++) {
		if (ask_int(s->conn, sql) == want)
			return;
		sleep_ms(10);
	}
	fail_msg("%s: not %lld", sql, (long long)want);
}

static void begin(struct stored *s, void **state)
{
	stored_begin(s, *state);
	stored_first_sovereign(s, S1);
}

static int64_t now(struct stored *s)
{
	return ++s->world.now;
}

static void test_who_was_reset_waits_anew(void **state)
{
	struct stored s;
	begin(&s, state);
	struct world *w = &s.world;
	stores(&s, REGISTRATION(w, .id = "denied", .node = A, .timestamp = now(&s)));
	stores(&s, REGISTRATION(w, .id = "forgotten", .node = key(2), .timestamp = now(&s)));
	stores(&s, decision(w, MESH_DENY, S1, "denied", A, now(&s)));
	script(s.conn, "UPDATE local_liveness SET seen_at = seen_at - 100000");
	stores(&s, decision(w, MESH_RESET, S1, "denied", A, now(&s)));
	struct mesh_watch *watch = mesh_watch_start(&s.mesh);
	becomes(&s, "SELECT COUNT(*) FROM nodes WHERE id = 'forgotten'", 0);
	mesh_watch_stop(watch);
	assert_int_equal(ask_int(s.conn, "SELECT COUNT(*) FROM nodes WHERE id = 'denied' AND status = 'pending'"), 1);
	script(s.conn, "UPDATE local_liveness SET seen_at = seen_at - 100000");
	watch = mesh_watch_start(&s.mesh);
	becomes(&s, "SELECT COUNT(*) FROM nodes", 0);
	mesh_watch_stop(watch);
	assert_int_equal(ask_int(s.conn, "SELECT COUNT(*) FROM audit_log WHERE outcome = 'expired'"), 2);
	stored_end(&s);
}

static void test_lost_rows_of_liveness_come_back(void **state)
{
	struct stored s;
	begin(&s, state);
	struct world *w = &s.world;
	stores(&s, REGISTRATION(w, .id = "a", .node = A, .timestamp = now(&s)));
	stores(&s, REGISTRATION(w, .id = "b", .node = key(2), .timestamp = now(&s)));
	stores(&s, decision(w, MESH_APPROVE, S1, "a", A, now(&s)));
	script(s.conn, "UPDATE local_liveness SET heartbeat_time = 5 WHERE node_id = 'b'; DELETE FROM local_liveness WHERE node_id = 'a'");
	struct mesh_watch *watch = mesh_watch_start(&s.mesh);
	becomes(&s, "SELECT COUNT(*) FROM local_liveness", 2);
	mesh_watch_stop(watch);
	assert_int_equal(ask_int(s.conn, "SELECT heartbeat_time FROM local_liveness WHERE node_id = 'b'"), 5);
	assert_true(ask_int(s.conn, "SELECT seen_at FROM local_liveness WHERE node_id = 'a'") >= w->now - 5000);
	stored_end(&s);
}

static void test_silence_is_noticed_after_the_grace(void **state)
{
	struct stored s;
	begin(&s, state);
	struct world *w = &s.world;
	s.mesh.config.offline_grace_ms = 400;
	for (unsigned i = 0; i < 3; i++) {
		static const char *const ids[] = {"silent", "heard", "waiting"};
		stores(&s, REGISTRATION(w, .id = ids[i], .node = key(1 + i), .timestamp = now(&s)));
		if (i < 2)
			stores(&s, decision(w, MESH_APPROVE, S1, ids[i], key(1 + i), now(&s)));
	}
	script(s.conn, "UPDATE local_liveness SET seen_at = seen_at - 5000 WHERE node_id <> 'heard'; UPDATE local_liveness SET seen_at = seen_at + 30000 WHERE node_id = 'heard'");
	struct mesh_watch *watch = mesh_watch_start(&s.mesh);
	sleep_ms(150);
	assert_int_equal(ask_int(s.conn, "SELECT COUNT(*) FROM nodes WHERE status = 'offline'"), 0);
	becomes(&s, "SELECT COUNT(*) FROM nodes WHERE status = 'offline' AND id = 'silent'", 1);
	assert_int_equal(ask_int(s.conn, "SELECT COUNT(*) FROM nodes WHERE status = 'active' AND id = 'heard'"), 1);
	/* Nobody is heard in the future: whose last time lay there falls silent like all others. */
	assert_true(ask_int(s.conn, "SELECT seen_at FROM local_liveness WHERE node_id = 'heard'") <= clock_wall_ms());
	becomes(&s, "SELECT COUNT(*) FROM nodes WHERE status = 'offline' AND id = 'heard'", 1);
	mesh_watch_stop(watch);
	assert_int_equal(ask_int(s.conn, "SELECT COUNT(*) FROM nodes WHERE status = 'pending'"), 1);
	assert_int_equal(ask_int(s.conn, "SELECT COUNT(*) FROM local_events WHERE type = 'node.offline'"), 2);
	stored_end(&s);
}

static void test_old_history_is_thinned_to_one_a_day(void **state)
{
	struct stored s;
	begin(&s, state);
	struct world *w = &s.world;
	stores(&s, REGISTRATION(w, .id = "a", .node = A, .timestamp = now(&s)));
	int64_t day = 86400000, today = w->now / day * day;
	char sql[256];
	for (int64_t d = 1; d <= 3; d++)
		for (int64_t i = 0; i < 5; i++) {
			int64_t t = today - d * day + i * 1000;
			snprintf(sql, sizeof(sql), "INSERT INTO local_heartbeats (node_id, time, received_at) VALUES ('a', %" PRId64 ", %" PRId64 ")", t, t);
			script(s.conn, sql);
		}
	snprintf(sql, sizeof(sql), "INSERT INTO local_heartbeats (node_id, time, received_at) VALUES ('a', %" PRId64 ", 0), ('a', %" PRId64 ", 0)", w->now - 1, w->now);
	script(s.conn, sql);
	struct mesh_watch *watch = mesh_watch_start(&s.mesh);
	becomes(&s, "SELECT COUNT(*) FROM local_heartbeats", 3 + 2);
	mesh_watch_stop(watch);
	/* The first of each day stays. */
	assert_int_equal(ask_int(s.conn, "SELECT COUNT(*) FROM local_heartbeats WHERE time % 86400000 = 0"), 3);
	stored_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		DB_CASE(test_who_was_reset_waits_anew),
		DB_CASE(test_lost_rows_of_liveness_come_back),
		DB_CASE(test_silence_is_noticed_after_the_grace),
		DB_CASE(test_old_history_is_thinned_to_one_a_day),
	};
	struct error err;
	if (!quiet_log() || !crypto_start(&err))
		return 1;
	return run_on_sqlite(tests, ARRAY_LEN(tests)) + run_on_postgres(tests, ARRAY_LEN(tests));
}
