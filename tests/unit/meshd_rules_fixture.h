/* For the tests of meshd's rules: a world with one sovereign for each case, and nodes in every state. */
#ifndef TANA_TESTS_MESHD_RULES_FIXTURE_H
#define TANA_TESTS_MESHD_RULES_FIXTURE_H

#include "meshd_sample.h"

#define A key(1)
#define B key(2)
#define S1 key(10)
#define S2 key(11)
#define S3 key(12)
#define I1 key(20)
#define STRANGER key(90)

static inline int begin(void **state)
{
	struct world *w = malloc(sizeof(*w));
	world_begin(w);
	struct change init = about_key(w, STATEMENT_SOVEREIGN_INIT, key(COORDINATOR), S1, T0);
	applies(w, init);
	*state = w;
	return 0;
}

static inline int end(void **state)
{
	world_end(*state);
	free(*state);
	return 0;
}

/* Node "a" with key A in this status; time goes on by what it took. */
static inline void put_in(struct world *w, enum node_status status)
{
	applies(w, REGISTRATION(w, .id = "a", .node = A, .timestamp = ++w->now));
	if (status == NODE_ACTIVE || status == NODE_OFFLINE)
		applies(w, decision(w, MESH_APPROVE, S1, "a", A, ++w->now));
	if (status == NODE_DENIED)
		applies(w, decision(w, MESH_DENY, S1, "a", A, ++w->now));
	/* Liveness moves a node to offline beside the rules. */
	if (status == NODE_OFFLINE)
		((struct node_row *)strmap_get(&w->replay.nodes, STR_LIT("a")))->status = NODE_OFFLINE;
	++w->now;
}

static inline void assert_text(struct str s, const char *want)
{
	if (!str_is(s, want))
		fail_msg("\"%.*s\" is not \"%s\"", STR_ARG(s), want);
}

static const enum node_status all_statuses[] = {NODE_PENDING, NODE_ACTIVE, NODE_OFFLINE, NODE_DENIED};

#define CASE(f) cmocka_unit_test_setup_teardown(f, begin, end)

#endif
