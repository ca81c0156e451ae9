/* What is said about keys that decide: sovereigns, and the invites they make. */
#include "mesh_rules_inside.h"

enum verdict_kind rules_apply_sovereign_init(struct mesh_state *s, struct change *c, struct verdict *v)
{
	const struct mesh_statement *st = &c->statement;
	struct sovereign_row row;
	bool spoken;
	if (!rules_coordinator_speaks(s, c, v))
		return v->kind;
	enum found f = s->ops->sovereign(s, st->public_key, &row);
	if (f == STATE_FAILED || !s->ops->sovereign_has_spoken(s, &spoken))
		return failed(v);
	v->subject = st->public_key;
	/* Several instances may begin with the same keys at once. */
	if (f == FOUND && row.removed_at == 0)
		return v->kind = VERDICT_UNCHANGED;
	if (spoken)
		return refuse(v, error_set(&v->err, ERR_NOT_ALLOWED, "this network has sovereign keys; they add further ones"));
	row = (struct sovereign_row){.public_key = st->public_key, .description = c->description, .added_at = s->now, .added_by = c->public_key};
	if (!s->ops->put_sovereign(s, &row))
		return failed(v);
	return applied(v, STR_LIT("ok"), EVENT_SOVEREIGN_ADDED, st->public_key);
}

/* What every statement of a sovereign about something else than a node begins with. */
static bool sovereign_speaks(struct mesh_state *s, struct change *c, struct sovereign_row *by, struct verdict *v)
{
	return rules_load_sovereign(s, c->public_key, by, v) && rules_timestamp_fine(s, c->statement.timestamp, v) && rules_signatures_fine(s, c, v) &&
	       rules_use_timestamp(s, by, c->statement.timestamp, v);
}

/* Puts a key in force: a new row, or the row of a key that was removed (whose last timestamp stays). */
static bool admit_sovereign(struct mesh_state *s, const struct change *c, struct str key, struct str description, struct verdict *v)
{
	struct sovereign_row row = {.public_key = key};
	enum found f = s->ops->sovereign(s, key, &row);
	if (f == FOUND && row.removed_at == 0) {
		consumed(v, error_set(&v->err, ERR_ALREADY_EXISTS, "this key is a sovereign key already"));
		return false;
	}
	row.description = description;
	row.added_at = s->now;
	row.added_by = c->public_key;
	row.removed_at = 0;
	if (f != STATE_FAILED && s->ops->put_sovereign(s, &row))
		return true;
	failed(v);
	return false;
}

enum verdict_kind rules_apply_sovereign_add(struct mesh_state *s, struct change *c, struct verdict *v)
{
	struct sovereign_row by;
	if (!sovereign_speaks(s, c, &by, v) || !admit_sovereign(s, c, c->statement.public_key, c->description, v))
		return v->kind;
	return applied(v, STR_LIT("ok"), EVENT_SOVEREIGN_ADDED, c->statement.public_key);
}

enum verdict_kind rules_apply_sovereign_remove(struct mesh_state *s, struct change *c, struct verdict *v)
{
	const struct mesh_statement *st = &c->statement;
	struct sovereign_row by, row;
	int64_t in_force;
	if (!sovereign_speaks(s, c, &by, v))
		return v->kind;
	/* One may remove one's own key: the row is then the one whose timestamp was just used. */
	enum found f = s->ops->sovereign(s, st->public_key, &row);
	if (f == STATE_FAILED || !s->ops->count_sovereigns(s, &in_force))
		return failed(v);
	if (f == ABSENT || row.removed_at != 0)
		return consumed(v, error_set(&v->err, ERR_UNKNOWN_KEY, "this is no sovereign key"));
	if (in_force <= 1)
		return consumed(v, error_set(&v->err, ERR_LAST_SOVEREIGN, "the last sovereign key cannot be removed"));
	row.removed_at = s->now;
	if (!s->ops->put_sovereign(s, &row))
		return failed(v);
	return applied(v, STR_LIT("ok"), EVENT_SOVEREIGN_REMOVED, st->public_key);
}

enum verdict_kind rules_apply_sovereign_rotate(struct mesh_state *s, struct change *c, struct verdict *v)
{
	const struct mesh_statement *st = &c->statement;
	struct sovereign_row by;
	if (!sovereign_speaks(s, c, &by, v) || !admit_sovereign(s, c, st->new_key, by.description, v))
		return v->kind;
	by.removed_at = s->now;
	if (!s->ops->put_sovereign(s, &by))
		return failed(v);
	return applied(v, STR_LIT("ok"), EVENT_SOVEREIGN_ROTATED, st->new_key);
}

/* Invites */
enum verdict_kind rules_apply_invite(struct mesh_state *s, struct change *c, struct verdict *v)
{
	const struct mesh_statement *st = &c->statement;
	struct sovereign_row by;
	struct invite_row invite;
	if (!sovereign_speaks(s, c, &by, v))
		return v->kind;
	enum found f = s->ops->invite(s, st->public_key, &invite);
	if (f == FOUND)
		return consumed(v, error_set(&v->err, ERR_ALREADY_EXISTS, "an invite with this key exists already"));
	if (st->expires <= s->now)
		return consumed(v, error_set(&v->err, ERR_REFUSED, "the invite would have expired already"));
	invite = (struct invite_row){
		.public_key = st->public_key, .uses = st->uses, .expires = st->expires, .created_at = s->now, .created_by = c->public_key, .entry = s->entry};
	if (f == STATE_FAILED || !s->ops->put_invite(s, &invite))
		return failed(v);
	return applied(v, STR_LIT("ok"), EVENT_INVITE_CREATED, st->public_key);
}

enum verdict_kind rules_apply_invite_revoke(struct mesh_state *s, struct change *c, struct verdict *v)
{
	struct sovereign_row by;
	struct invite_row invite;
	if (!sovereign_speaks(s, c, &by, v))
		return v->kind;
	enum found f = s->ops->invite(s, c->statement.public_key, &invite);
	if (f == STATE_FAILED)
		return failed(v);
	if (f == ABSENT)
		return consumed(v, error_set(&v->err, ERR_UNKNOWN_INVITE, "no invite has this key"));
	if (invite.revoked_at != 0)
		return consumed(v, error_set(&v->err, ERR_WRONG_STATE, "the invite was revoked before"));
	invite.revoked_at = s->now;
	if (!s->ops->put_invite(s, &invite))
		return failed(v);
	return applied(v, STR_LIT("ok"), EVENT_INVITE_REVOKED, c->statement.public_key);
}
