/* meshd's rules over a storage that fails: at each question that any change asks, nothing is decided. */
#include "meshd_rules_fixture.h"

/* The registry in memory, whose Nth answer is a failure. */
static const struct mesh_state_ops *good_ops;
static int until_failure;
static bool fails_now(void)
{
	return until_failure-- == 0;
}
#define FAILING_FIND(name, row)                                                                                                         \
	static enum found failing_##name(struct mesh_state *s, struct str k, struct row *out)                                           \
	{                                                                                                                               \
		return fails_now() ? STATE_FAILED : good_ops->name(s, k, out);                                                          \
	}
#define FAILING_COUNT(name, type)                                                                                                       \
	static bool failing_##name(struct mesh_state *s, type *out)                                                                     \
	{                                                                                                                               \
		return !fails_now() && good_ops->name(s, out);                                                                          \
	}
#define FAILING_PUT(name, row)                                                                                                          \
	static bool failing_##name(struct mesh_state *s, const struct row *r)                                                           \
	{                                                                                                                               \
		return !fails_now() && good_ops->name(s, r);                                                                            \
	}
FAILING_FIND(node_by_id, node_row)
FAILING_FIND(node_by_key, node_row)
FAILING_FIND(sovereign, sovereign_row)
FAILING_FIND(invite, invite_row)
FAILING_FIND(removed, removed_row)
FAILING_COUNT(count_sovereigns, int64_t)
FAILING_COUNT(sovereign_has_spoken, bool)
FAILING_COUNT(count_pending, int64_t)
FAILING_PUT(delete_node, node_row)
FAILING_PUT(put_sovereign, sovereign_row)
FAILING_PUT(put_invite, invite_row)
FAILING_PUT(put_removed, removed_row)
static bool failing_put_node(struct mesh_state *s, const struct node_row *before, const struct node_row *after)
{
	return !fails_now() && good_ops->put_node(s, before, after);
}
static bool failing_has_room(struct mesh_state *s, const struct node_row *node, const struct change *c, bool *room)
{
	return !fails_now() && good_ops->has_room(s, node, c, room);
}
static const struct mesh_state_ops failing_ops = {failing_node_by_id,        failing_node_by_key,          failing_sovereign,     failing_invite,
						  failing_removed,           failing_count_sovereigns,     failing_sovereign_has_spoken,
						  failing_count_pending,     failing_has_room,             failing_put_node,      failing_delete_node,
						  failing_put_sovereign,     failing_put_invite,           failing_put_removed};

/* Nodes in every state, and what can happen next. */
static struct change next_change(struct world *w, int i)
{
	switch (i) {
	case 0:
		return REGISTRATION(w, .id = "new", .node = key(5), .timestamp = w->now);
	case 1:
		return REGISTRATION(w, .id = "new", .node = key(5), .timestamp = w->now, .invite = I1);
	case 2:
		return REGISTRATION(w, .id = "a", .node = A, .timestamp = w->now, .invite = I1);
	case 3:
		return decision(w, MESH_APPROVE, S1, "a", A, w->now);
	case 4:
		return decision(w, MESH_DENY, S1, "a", A, w->now);
	case 5:
		return decision(w, MESH_REMOVE, S1, "a", A, w->now);
	case 6:
		return decision(w, MESH_RESET, S1, "b", B, w->now);
	case 7:
		return node_rotation(w, "a", A, key(5), w->now);
	case 8:
		return expiry(w, "a", A, w->now);
	case 9:
		return about_key(w, STATEMENT_SOVEREIGN_ADD, S1, S3, w->now);
	case 10:
		return about_key(w, STATEMENT_SOVEREIGN_REMOVE, S1, S2, w->now);
	case 11:
		return sovereign_rotation(w, S1, S3, w->now);
	case 12:
		return invitation(w, S1, key(21), 1, w->now + 9, w->now);
	case 13:
		return about_key(w, STATEMENT_INVITE_REVOKE, S1, I1, w->now);
	default:
		return about_key(w, STATEMENT_SOVEREIGN_INIT, key(COORDINATOR), S3, w->now);
	}
}

static void test_a_storage_that_fails(void **state)
{
	(void)state;
	for (int i = 0; i <= 14; i++) {
		enum verdict_kind kind = VERDICT_FAILED;
		for (int n = 0; kind == VERDICT_FAILED; n++) {
			struct world w;
			struct verdict v;
			world_begin(&w);
			applies(&w, about_key(&w, STATEMENT_SOVEREIGN_INIT, key(COORDINATOR), S1, w.now));
			applies(&w, REGISTRATION(&w, .id = "a", .node = A, .timestamp = w.now));
			if (i != 14) { /* which is fine only before a sovereign has spoken */
				applies(&w, REGISTRATION(&w, .id = "b", .node = B, .timestamp = w.now));
				applies(&w, decision(&w, MESH_DENY, S1, "b", B, w.now));
				applies(&w, about_key(&w, STATEMENT_SOVEREIGN_ADD, S1, S2, w.now + 1));
				applies(&w, invitation(&w, S1, I1, 1, w.now + 900, w.now + 2));
			}
			w.now += 10;
			struct change c = next_change(&w, i);
			good_ops = w.replay.state.ops;
			w.replay.state.ops = &failing_ops;
			w.replay.state.now = w.now;
			w.replay.state.entry = (int64_t)w.count;
			until_failure = n;
			mesh_apply(&w.replay.state, &c, &v);
			kind = v.kind;
			if (kind == VERDICT_FAILED)
				assert_true(until_failure < 0 && n < 20);
			else if (kind != VERDICT_APPLIED || until_failure < 0)
				fail_msg("change %d, question %d: kind %d: %s", i, n, (int)kind, v.err.message);
			world_end(&w);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_storage_that_fails),
	};
	struct error err;
	return crypto_start(&err) ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
