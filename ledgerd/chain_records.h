/* Inside the state machine: keys and values of state entries, and one transaction being applied. */
#ifndef TANA_LEDGERD_CHAIN_RECORDS_H
#define TANA_LEDGERD_CHAIN_RECORDS_H

#include "base/buf.h"
#include "chain_rules.h"
#include "crypto/canonical.h"

enum { CHAIN_KEY_MAX = 8 + 64 + 1 + 64 + 1 + 36 + 1 + 12 };
struct chain_key {
	char text[CHAIN_KEY_MAX];
	struct str s; /* of `text` */
};
/* kind:a, kind:a:b, kind:a:b:c: absent parts end it. */
struct str chain_key(struct chain_key *k, const char *kind, struct str a, struct str b, struct str c);

/* One transaction on its way. The functions below return false with *err set: refused, or `failed` when the state could not be read or makes no sense. */
struct step {
	const struct chain_rules *rules;
	struct chain_view *v;
	const struct tx *t;
	int64_t time;
	struct error *err;
	bool failed;
};
MUST_CHECK bool step_get(struct step *s, struct str key, struct str *value);
MUST_CHECK bool step_check_signature(struct step *s, struct str text_signature, struct str text_key, struct str message);
bool step_refuse(struct step *s, enum error_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);
bool step_corrupt(struct step *s, struct str key);
/* A JSON string of the text, in the view's arena. */
struct str step_json(struct step *s, struct str text);

/* `user:<id>`: values as JSON, but for the key. */
struct user_record {
	struct str avatar_hash, bio, display_name, id, public_key, role, username; /* JSON texts; absent: not there */
};
MUST_CHECK bool user_read(struct str value, struct user_record *out);
void user_write(struct buf *out, const struct user_record *u);
/* Of an id; out->id absent when there is no such user. */
MUST_CHECK bool step_user(struct step *s, struct str id, struct user_record *out);
void step_put_user(struct step *s, struct str id, const struct user_record *u);
bool user_is(const struct user_record *u, const char *role);

/* chain_genesis.c: the entries of a new currency, `currency:` and `supply:` at zero. The view has neither (invariant). */
void chain_put_currency(struct chain_view *v, const struct genesis_currency *c);

/* chain_money.c: what moves amounts. */
MUST_CHECK bool apply_transfer(struct step *s);
MUST_CHECK bool apply_deposit(struct step *s);
MUST_CHECK bool apply_withdraw(struct step *s);
MUST_CHECK bool apply_confirmation(struct step *s, const char *kind);
MUST_CHECK bool apply_adjustment(struct step *s);
MUST_CHECK bool apply_stake(struct step *s);
MUST_CHECK bool apply_unstake(struct step *s);
/* chain_people.c: users, roles, content, currencies, validators. */
MUST_CHECK bool apply_user_creation(struct step *s);
MUST_CHECK bool apply_user_update(struct step *s);
MUST_CHECK bool apply_key_rotation(struct step *s);
MUST_CHECK bool apply_role_change(struct step *s);
MUST_CHECK bool apply_sovereignty(struct step *s);
MUST_CHECK bool apply_currency(struct step *s);
MUST_CHECK bool apply_publish(struct step *s);
MUST_CHECK bool apply_retract(struct step *s);
MUST_CHECK bool apply_validator(struct step *s);

#endif
