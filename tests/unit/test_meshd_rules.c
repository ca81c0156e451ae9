/* meshd's rules over the registry in memory: what each statement about nodes does in each state, and every refusal in the protocol's order. */
#include "meshd_rules_fixture.h"

static void test_registering(void **state)
{
	struct world *w = *state;
	struct change c = REGISTRATION(w, .id = "a", .node = A, .timestamp = T0 + 5, .host = "a.ts.net", .region = "eu", .port = 8080, .network = "unit");
	w->now = T0 + 7;
	struct verdict v = world_apply(w, &c);
	assert_int_equal(v.kind, VERDICT_APPLIED);
	assert_true(v.created && v.status == NODE_PENDING && v.event == EVENT_NODE_REGISTERED && v.second_event == EVENT_NONE);
	assert_text(v.outcome, "pending");
	assert_text(v.subject, "a");
	const struct node_row *n = node_named(w, "a");
	assert_int_equal(n->status, NODE_PENDING);
	assert_text(n->tailscale_hostname, "a.ts.net");
	assert_text(n->role, "validator");
	assert_text(n->region, "eu");
	assert_text(n->rotations, "[]");
	assert_true(n->registered_at == T0 + 7 && n->registration_time == T0 + 5 && n->approved_at == 0 && n->registration_entry == 1 && n->admission_entry == NO_ENTRY);
	assert_false(str_present(n->approved_by) || str_present(n->provider) || str_present(n->invite_key));
	char want[200];
	snprintf(want, sizeof(want), "[{\"port\":8080,\"publicKey\":\"%s\",\"type\":\"ledger\"}]", key(99)->z);
	assert_text(n->services, want);

	/* Again: everything is replaced, what is left out is emptied, the status and the first registration's time stay. */
	w->now = T0 + 20;
	c = REGISTRATION(w, .id = "a", .node = A, .timestamp = T0 + 6, .host = "b.ts.net");
	v = world_apply(w, &c);
	assert_true(v.kind == VERDICT_APPLIED && !v.created && v.event == EVENT_NODE_UPDATED);
	n = node_named(w, "a");
	assert_text(n->tailscale_hostname, "b.ts.net");
	assert_text(n->services, "[]");
	assert_false(str_present(n->region));
	assert_true(n->registered_at == T0 + 7 && n->registration_time == T0 + 6 && n->registration_entry == 2);
}

static void test_refusals_of_registrations_in_order(void **state)
{
	struct world *w = *state;
	put_in(w, NODE_PENDING);
	int64_t t = w->now, far = MESH_CLOCK_SKEW_MS + 1;
	struct change c = REGISTRATION(w, .id = "a", .node = B, .timestamp = t - far, .network = "other");
	c.signature = sign(w, STRANGER, c.message);
	refused(w, c, ERR_WRONG_NETWORK);
	c = REGISTRATION(w, .id = "a", .node = B);
	c.signature = sign(w, STRANGER, c.message);
	refused(w, c, ERR_FULL_SIGNATURE_REQUIRED);
	c = REGISTRATION(w, .id = "a", .node = B, .timestamp = t - far);
	c.signature = sign(w, STRANGER, c.message);
	refused(w, c, ERR_TIMESTAMP_OUT_OF_RANGE);
	refused(w, REGISTRATION(w, .id = "a", .node = B, .timestamp = t + far), ERR_TIMESTAMP_OUT_OF_RANGE);
	refused(w, REGISTRATION(w, .id = "a", .node = B, .timestamp = JSON_INT_MAX), ERR_TIMESTAMP_OUT_OF_RANGE);
	c = REGISTRATION(w, .id = "a", .node = B, .timestamp = t);
	c.signature = sign(w, STRANGER, c.message);
	refused(w, c, ERR_BAD_SIGNATURE);
	refused(w, REGISTRATION(w, .id = "a", .node = B, .timestamp = t), ERR_NODE_ID_TAKEN);
	refused(w, REGISTRATION(w, .id = "b", .node = A, .timestamp = t), ERR_KEY_IN_USE);
	refused(w, REGISTRATION(w, .id = "a", .node = A, .timestamp = node_named(w, "a")->registration_time), ERR_REPLAYED);
	applies(w, REGISTRATION(w, .id = "a", .node = A, .timestamp = t + MESH_CLOCK_SKEW_MS));
	refused(w, REGISTRATION(w, .id = "a", .node = A, .timestamp = t + MESH_CLOCK_SKEW_MS), ERR_REPLAYED);
	applies(w, REGISTRATION(w, .id = "b", .node = B, .timestamp = t - MESH_CLOCK_SKEW_MS));
}

static void test_registrations_that_wait_are_bounded(void **state)
{
	struct world *w = *state;
	w->replay.state.limits.pending_max = 2;
	put_in(w, NODE_PENDING);
	applies(w, REGISTRATION(w, .id = "b", .node = B, .timestamp = w->now));
	refused(w, REGISTRATION(w, .id = "c", .node = key(3), .timestamp = w->now), ERR_OVERLOADED);
	/* Who waits may update; who is invited does not wait; who is admitted, denied or removed waits no more. */
	applies(w, REGISTRATION(w, .id = "b", .node = B, .timestamp = w->now + 1));
	applies(w, invitation(w, S1, I1, 1, w->now + 100, w->now));
	applies(w, REGISTRATION(w, .id = "d", .node = key(4), .timestamp = w->now, .invite = I1));
	applies(w, decision(w, MESH_DENY, S1, "b", B, w->now + 1));
	applies(w, REGISTRATION(w, .id = "c", .node = key(3), .timestamp = w->now));
	refused(w, REGISTRATION(w, .id = "e", .node = key(5), .timestamp = w->now), ERR_OVERLOADED);
	applies(w, decision(w, MESH_REMOVE, S1, "a", A, w->now + 2));
	applies(w, REGISTRATION(w, .id = "e", .node = key(5), .timestamp = w->now));
	/* A reset is the sovereign's own doing: it is not held back. */
	applies(w, decision(w, MESH_RESET, S1, "b", B, w->now + 3));
	assert_int_equal(w->replay.pending, 3);
}

static void test_short_registrations(void **state)
{
	struct world *w = *state;
	w->replay.state.limits.require_full = false;
	applies(w, REGISTRATION(w, .id = "a", .node = A, .region = "eu"));
	assert_int_equal(node_named(w, "a")->registration_time, 0);
	struct change again = REGISTRATION(w, .id = "a", .node = A, .region = "eu");
	struct verdict v = world_apply(w, &again);
	assert_int_equal(v.kind, VERDICT_UNCHANGED);
	assert_text(v.subject, "a");
	applies(w, REGISTRATION(w, .id = "a", .node = A, .region = "us"));
	applies(w, REGISTRATION(w, .id = "a", .node = A, .region = "asia", .timestamp = w->now));
	/* What a full one vouched for, no short one changes, not even to the same. */
	refused(w, REGISTRATION(w, .id = "a", .node = A, .region = "us"), ERR_FULL_SIGNATURE_REQUIRED);
	refused(w, REGISTRATION(w, .id = "a", .node = A, .region = "asia"), ERR_FULL_SIGNATURE_REQUIRED);
	assert_text(node_named(w, "a")->region, "asia");
}

static void test_which_decision_fits_which_state(void **state)
{
	(void)state;
	static const bool fits[][NODE_STATUS_COUNT] = {
		/* pending, active, offline, denied */
		[MESH_APPROVE] = {true, false, false, false},
		[MESH_DENY] = {true, false, false, false},
		[MESH_REMOVE] = {true, true, true, true},
		[MESH_RESET] = {false, false, false, true},
	};
	static const char *const outcomes[] = {[MESH_APPROVE] = "active", [MESH_DENY] = "denied", [MESH_REMOVE] = "removed", [MESH_RESET] = "pending"};
	static const char *const done[] = {[MESH_APPROVE] = "approved", [MESH_DENY] = "denied", [MESH_REMOVE] = "removed", [MESH_RESET] = "reset"};
	for (enum mesh_action a = MESH_APPROVE; a <= MESH_RESET; a++)
		for (size_t i = 0; i < ARRAY_LEN(all_statuses); i++) {
			struct world *w;
			begin((void **)&w);
			put_in(w, all_statuses[i]);
			struct change c = decision(w, a, S1, "a", A, w->now);
			struct verdict v = world_apply(w, &c);
			assert_int_equal(v.kind, fits[a][all_statuses[i]] ? VERDICT_APPLIED : VERDICT_CONSUMED);
			assert_text(v.outcome, fits[a][all_statuses[i]] ? outcomes[a] : "wrong_state");
			char why[80];
			snprintf(why, sizeof(why), "the node a is %s: it cannot be %s", node_status_text(all_statuses[i]), done[a]);
			if (!fits[a][all_statuses[i]])
				assert_string_equal(v.err.message, why);
			assert_int_equal(sovereign_of(w, S1)->last_timestamp, w->now);
			const struct node_row *n = node_named(w, "a");
			if (a == MESH_REMOVE)
				assert_null(n);
			else if (fits[a][all_statuses[i]])
				assert_text(v.outcome, node_status_text(n->status));
			else
				assert_int_equal(n->status, all_statuses[i]);
			if (a == MESH_APPROVE && n->status == NODE_ACTIVE && all_statuses[i] == NODE_PENDING) {
				assert_true(n->approved_at == w->now && n->admission_entry == (int64_t)w->count - 1);
				assert_text(n->approved_by, S1->z);
			}
			end((void **)&w);
		}
}

static void test_refusals_of_decisions_in_order(void **state)
{
	struct world *w = *state;
	put_in(w, NODE_ACTIVE);
	int64_t t = w->now, far = t + MESH_CLOCK_SKEW_MS + 1, old = sovereign_of(w, S1)->last_timestamp;
	/* Each has everything wrong that comes later in the order. */
	for (enum mesh_action a = MESH_APPROVE; a <= MESH_RESET; a++) {
		refused(w, decision(w, a, STRANGER, "nobody", B, far), ERR_NOT_SOVEREIGN);
		refused(w, decision(w, a, S1, "nobody", B, far), ERR_TIMESTAMP_OUT_OF_RANGE);
		refused(w, decision(w, a, S1, "nobody", B, old), ERR_UNKNOWN_NODE);
		refused(w, decision(w, a, S1, "a", B, old), ERR_BAD_SIGNATURE);
		refused(w, decision(w, a, S1, "a", A, old), ERR_REPLAYED);
	}
	refused(w, decision(w, MESH_APPROVE, S1, "a", A, INT64_MAX), ERR_TIMESTAMP_OUT_OF_RANGE);
	refused(w, decision(w, MESH_APPROVE, S1, "a", A, 0), ERR_TIMESTAMP_OUT_OF_RANGE);
	consumed(w, decision(w, MESH_APPROVE, S1, "a", A, t), ERR_WRONG_STATE);
	refused(w, decision(w, MESH_APPROVE, S1, "a", A, t), ERR_REPLAYED);
	refused(w, old_decision(w, MESH_REMOVE, S1, "a"), ERR_MISSING_FIELD);
	/* Nor with a timestamp that the signature does not cover. */
	struct change c = decision(w, MESH_REMOVE, S1, "a", A, t + 1);
	c.signature = sign(w, S1, STR_LIT("remove:a"));
	refused(w, c, ERR_BAD_SIGNATURE);
	/* A log entry says which key it means: with a good signature, about another key, it does not pass. */
	c = decision(w, MESH_REMOVE, S1, "a", B, t + 1);
	c.statement.public_key = B->text;
	refused(w, c, ERR_BAD_SIGNATURE);
}

static void test_the_older_form_of_decisions(void **state)
{
	struct world *w = *state;
	w->replay.state.limits.dev = true;
	put_in(w, NODE_PENDING);
	int64_t last = sovereign_of(w, S1)->last_timestamp;
	refused(w, old_decision(w, MESH_APPROVE, STRANGER, "a"), ERR_NOT_SOVEREIGN);
	refused(w, old_decision(w, MESH_APPROVE, S1, "b"), ERR_UNKNOWN_NODE);
	struct change c = old_decision(w, MESH_APPROVE, S1, "a");
	c.signature = sign(w, S1, STR_LIT("deny:a"));
	refused(w, c, ERR_BAD_SIGNATURE);
	applies(w, old_decision(w, MESH_APPROVE, S1, "a"));
	consumed(w, old_decision(w, MESH_APPROVE, S1, "a"), ERR_WRONG_STATE);
	/* Sent with a timestamp that its signature does not cover: the log then has the text that was signed. */
	c = decision(w, MESH_REMOVE, S1, "a", A, w->now);
	c.signature = sign(w, S1, STR_LIT("remove:a"));
	applies(w, c);
	assert_text(w->log[w->count - 1].message, "remove:a");
	assert_int_equal(sovereign_of(w, S1)->last_timestamp, last);
}

static void test_removed_nodes_come_back_only_with_a_new_word(void **state)
{
	struct world *w = *state;
	applies(w, REGISTRATION(w, .id = "a", .node = A, .timestamp = T0 + 1000));
	struct change recorded = REGISTRATION(w, .id = "a", .node = A, .timestamp = T0 + 1001);
	applies(w, decision(w, MESH_REMOVE, S1, "a", A, T0 + 1));
	refused(w, REGISTRATION(w, .id = "a", .node = A, .timestamp = T0 + 1000), ERR_REPLAYED);
	w->now = T0 + 1500;
	applies(w, recorded);
	applies(w, decision(w, MESH_REMOVE, S1, "a", A, T0 + 2));
	/* Under another id neither. */
	refused(w, REGISTRATION(w, .id = "z", .node = A, .timestamp = T0 + 1500), ERR_REPLAYED);
	applies(w, REGISTRATION(w, .id = "z", .node = A, .timestamp = T0 + 1501));
	/* The id is free. */
	applies(w, REGISTRATION(w, .id = "a", .node = B, .timestamp = T0 + 1));
}

static void test_rotating_a_nodes_key(void **state)
{
	(void)state;
	static const char *const outcomes[] = {"pending", "active", "active", NULL};
	for (size_t i = 0; i < ARRAY_LEN(all_statuses); i++) {
		struct world *w;
		begin((void **)&w);
		put_in(w, all_statuses[i]);
		struct node_row before = *node_named(w, "a");
		struct change c = node_rotation(w, "a", A, B, w->now);
		if (all_statuses[i] == NODE_DENIED) {
			refused(w, c, ERR_WRONG_STATE);
			end((void **)&w);
			continue;
		}
		int64_t entry = (int64_t)w->count;
		struct verdict v = world_apply(w, &c);
		assert_int_equal(v.kind, VERDICT_APPLIED);
		assert_text(v.outcome, outcomes[i]);
		const struct node_row *n = node_named(w, "a");
		char rotations[32];
		snprintf(rotations, sizeof(rotations), "[%" PRId64 "]", entry);
		assert_text(n->public_key, B->z);
		assert_text(n->rotations, rotations);
		assert_true(n->status == all_statuses[i] && n->approved_at == before.approved_at && n->registration_time == w->now);
		/* The old key has no say any more, whatever it signed before. */
		refused(w, REGISTRATION(w, .id = "a", .node = A, .timestamp = w->now + 1), ERR_NODE_ID_TAKEN);
		refused(w, REGISTRATION(w, .id = "b", .node = A, .timestamp = w->now), ERR_REPLAYED);
		refused(w, node_rotation(w, "a", A, key(3), w->now + 1), ERR_BAD_SIGNATURE);
		refused(w, decision(w, MESH_REMOVE, S1, "a", A, w->now), ERR_BAD_SIGNATURE);
		applies(w, node_rotation(w, "a", B, A, w->now + 1));
		refused(w, REGISTRATION(w, .id = "a", .node = A, .timestamp = w->now + 1), ERR_REPLAYED);
		end((void **)&w);
	}
}

static void test_refusals_of_node_rotations_in_order(void **state)
{
	struct world *w = *state;
	put_in(w, NODE_DENIED);
	applies(w, REGISTRATION(w, .id = "b", .node = B, .timestamp = w->now));
	int64_t t = w->now, far = t + MESH_CLOCK_SKEW_MS + 1, old = node_named(w, "a")->registration_time;
	refused(w, node_rotation(w, "nobody", B, B, far), ERR_TIMESTAMP_OUT_OF_RANGE);
	refused(w, node_rotation(w, "nobody", B, B, old), ERR_UNKNOWN_NODE);
	refused(w, node_rotation(w, "a", B, B, old), ERR_BAD_SIGNATURE);
	struct change c = node_rotation(w, "a", A, B, old);
	c.new_signature = c.signature;
	refused(w, c, ERR_BAD_SIGNATURE);
	refused(w, node_rotation(w, "a", A, B, old), ERR_REPLAYED);
	refused(w, node_rotation(w, "a", A, B, t), ERR_WRONG_STATE);
	refused(w, node_rotation(w, "b", B, A, t + 1), ERR_KEY_IN_USE);
	refused(w, node_rotation(w, "b", B, B, t + 1), ERR_KEY_IN_USE);
}

static void test_rotations_are_bounded(void **state)
{
	struct world *w = *state;
	put_in(w, NODE_ACTIVE);
	for (int i = 0; i < MESH_ROTATIONS_MAX; i++)
		applies(w, node_rotation(w, "a", i % 2 ? B : A, i % 2 ? A : B, ++w->now));
	refused(w, node_rotation(w, "a", MESH_ROTATIONS_MAX % 2 ? B : A, key(3), ++w->now), ERR_REFUSED);
}

static void test_expiry(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(all_statuses); i++) {
		struct world *w;
		begin((void **)&w);
		put_in(w, all_statuses[i]);
		struct change c = expiry(w, "a", A, w->now);
		c.public_key = S1->text;
		refused(w, c, ERR_NOT_ALLOWED);
		refused(w, expiry(w, "a", A, w->now - 1), ERR_TIMESTAMP_OUT_OF_RANGE);
		refused(w, expiry(w, "b", A, w->now), ERR_UNKNOWN_NODE);
		refused(w, expiry(w, "a", B, w->now), ERR_WRONG_STATE);
		if (all_statuses[i] == NODE_PENDING) {
			applies(w, expiry(w, "a", A, w->now));
			assert_null(node_named(w, "a"));
			assert_int_equal(w->replay.pending, 0);
		} else {
			refused(w, expiry(w, "a", A, w->now), ERR_WRONG_STATE);
		}
		end((void **)&w);
	}
	/* An old expiry does not end a later registration, whatever time it is entered with. */
	struct world *w = *state;
	put_in(w, NODE_PENDING);
	struct change recorded = expiry(w, "a", A, w->now);
	applies(w, recorded);
	int64_t then = w->now;
	w->now += 10;
	applies(w, REGISTRATION(w, .id = "a", .node = A, .timestamp = w->now));
	w->now = then;
	refused(w, recorded, ERR_WRONG_STATE);
	w->now = then + 10;
	refused(w, expiry(w, "a", A, w->now), ERR_WRONG_STATE);
}

static void test_heartbeats(void **state)
{
	(void)state;
	enum { NOW = 1000000, WINDOW = 60000 };
	struct error err;
	struct node_row n = {.id = STR_LIT("a"), .status = NODE_ACTIVE};
	struct liveness l = {.heartbeat_time = NOW - 10};
	static const struct {
		enum node_status status;
		int64_t timestamp;
		int code; /* -1: taken */
	} cases[] = {
		{NODE_ACTIVE, NOW, -1},
		{NODE_OFFLINE, NOW, -1},
		{NODE_ACTIVE, NOW + WINDOW, -1},
		{NODE_ACTIVE, NOW - 9, -1},
		{NODE_PENDING, NOW - WINDOW - 1, ERR_NODE_NOT_ACTIVE},
		{NODE_DENIED, NOW, ERR_NODE_NOT_ACTIVE},
		{NODE_ACTIVE, NOW - WINDOW - 1, ERR_TIMESTAMP_OUT_OF_RANGE},
		{NODE_OFFLINE, NOW + WINDOW + 1, ERR_TIMESTAMP_OUT_OF_RANGE},
		{NODE_ACTIVE, 0, ERR_TIMESTAMP_OUT_OF_RANGE},
		{NODE_ACTIVE, JSON_INT_MAX, ERR_TIMESTAMP_OUT_OF_RANGE},
		{NODE_ACTIVE, NOW - 10, ERR_REPLAYED},
		{NODE_OFFLINE, NOW - WINDOW, ERR_REPLAYED},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		n.status = cases[i].status;
		bool ok = mesh_heartbeat_allowed(&n, &l, cases[i].timestamp, NOW, WINDOW, &err);
		assert_int_equal(ok ? -1 : (int)err.code, cases[i].code);
	}
}

static void test_texts_of_statuses_and_events(void **state)
{
	(void)state;
	enum node_status s;
	for (int i = 0; i < NODE_STATUS_COUNT; i++) {
		assert_true(node_status_from_text(str_from(node_status_text((enum node_status)i)), &s) && (int)s == i);
		assert_true(form_status.check(str_from(node_status_text((enum node_status)i))));
	}
	assert_false(node_status_from_text(STR_LIT("removed"), &s));
	assert_false(node_status_from_text(STR_NONE, &s));
	for (int i = EVENT_NONE + 1; i < EVENT_COUNT; i++) {
		assert_non_null(strchr(mesh_event_text((enum mesh_event)i), '.'));
		for (int k = EVENT_NONE; k < i; k++)
			assert_string_not_equal(mesh_event_text((enum mesh_event)i), mesh_event_text((enum mesh_event)k));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_registering),
		CASE(test_refusals_of_registrations_in_order),
		CASE(test_registrations_that_wait_are_bounded),
		CASE(test_short_registrations),
		cmocka_unit_test(test_which_decision_fits_which_state),
		CASE(test_refusals_of_decisions_in_order),
		CASE(test_the_older_form_of_decisions),
		CASE(test_removed_nodes_come_back_only_with_a_new_word),
		cmocka_unit_test(test_rotating_a_nodes_key),
		CASE(test_refusals_of_node_rotations_in_order),
		CASE(test_rotations_are_bounded),
		CASE(test_expiry),
		cmocka_unit_test(test_heartbeats),
		cmocka_unit_test(test_texts_of_statuses_and_events),
	};
	struct error err;
	return crypto_start(&err) ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
