/*
 * Inside the rules: mesh_rules.c has what all statements share and sends each to its own, in mesh_rules_nodes.c and mesh_rules_keys.c. All of these fill the verdict; a function that
 * answers false has done so with the refusal, or with VERDICT_FAILED.
 */
#ifndef TANA_MESHD_MESH_RULES_INSIDE_H
#define TANA_MESHD_MESH_RULES_INSIDE_H

#include "mesh_rules.h"

/* Verdicts. The refusing ones fill v->err first, with refuse(v, error_set(&v->err, ...)). */
static inline enum verdict_kind refuse(struct verdict *v, bool always_false)
{
	(void)always_false;
	return v->kind = VERDICT_REFUSED;
}
static inline enum verdict_kind failed(struct verdict *v)
{
	return v->kind = VERDICT_FAILED;
}
static inline enum verdict_kind consumed(struct verdict *v, bool always_false)
{
	(void)always_false;
	v->outcome = str_from(error_code_text(v->err.code));
	return v->kind = VERDICT_CONSUMED;
}
static inline enum verdict_kind applied(struct verdict *v, struct str outcome, enum mesh_event event, struct str subject)
{
	v->outcome = outcome;
	v->event = event;
	v->subject = subject;
	return v->kind = VERDICT_APPLIED;
}
/* Makes the message where it is absent, and checks every signature of the change. Under --dev a decision may turn out to be signed in its older form. */
MUST_CHECK bool rules_signatures_fine(struct mesh_state *s, struct change *c, struct verdict *v);
MUST_CHECK bool rules_timestamp_fine(const struct mesh_state *s, int64_t timestamp, struct verdict *v);
/* Who signs: a sovereign in force. */
MUST_CHECK bool rules_load_sovereign(struct mesh_state *s, struct str key, struct sovereign_row *row, struct verdict *v);
/* The sovereign's timestamp is newer than its last, and now used up: from here on a change is applied or consumed, not refused. */
MUST_CHECK bool rules_use_timestamp(struct mesh_state *s, struct sovereign_row *by, int64_t timestamp, struct verdict *v);
/* The coordinator's own key signed this, at the time of the change. */
MUST_CHECK bool rules_coordinator_speaks(struct mesh_state *s, struct change *c, struct verdict *v);

typedef enum verdict_kind rules_apply(struct mesh_state *s, struct change *c, struct verdict *v);
rules_apply rules_apply_register, rules_apply_decision, rules_apply_node_rotate, rules_apply_expire;
rules_apply rules_apply_sovereign_init, rules_apply_sovereign_add, rules_apply_sovereign_remove, rules_apply_sovereign_rotate;
rules_apply rules_apply_invite, rules_apply_invite_revoke;

#endif
