/* What the commands of the ledger share: the ledger they talk to, who signs, whom it is about, and the way of a transaction. */
#ifndef TANA_CLI_LEDGER_H
#define TANA_CLI_LEDGER_H

#include "cli.h"
#include "client/wallet.h"
#include "keystore.h"

/* A client of the ledger at cli_service_url, made once a command. NULL with *err. */
struct ledger_client *ledger_open(struct cli *c, struct error *err);
/*
 * The chain that signatures are for. It is what the ledger says, held against chains/<chain>.json or against what it said the first time: a ledger that
 * names another chain is refused (ERR_BAD_CHAIN). With --offline, what the file says.
 */
MUST_CHECK bool ledger_chain_id(struct cli *c, struct str *out, struct error *err);

/* "@alice", "alice" or a user id, as people write them. ERR_USAGE. *is_id tells which it was; a name comes with its @. */
MUST_CHECK bool user_text(struct cli *c, const char *text, struct str *out, bool *is_id, struct error *err);
/* A user as the ledger knows it. ERR_UNKNOWN_USER. */
MUST_CHECK bool user_look_up(struct cli *c, const char *text, struct ledger_user *out, struct error *err);
/* The id of whom something is for: an id as it is, else the ledger's; with --offline that of a user whose key file is here. */
MUST_CHECK bool user_recipient(struct cli *c, const char *text, struct str *id, struct error *err);
/* The same for questions, which are never offline. */
MUST_CHECK bool user_asked_for(struct cli *c, const char *text, struct str *id, struct error *err);
/* "@name" of an id, for tables; the id when the ledger cannot tell. Each is asked for once a command. */
struct str user_label(struct cli *c, struct str id);

/* Somebody who signs, with the secret: actor_wipe. */
struct actor {
	struct str id, username;
	const char *path;
	struct keyfile key;
	struct wallet wallet;
};
/*
 * text: whose key signs; NULL: --as, else the user set in the configuration, else the chain's sovereign when `staff` and its key is here, else the
 * only user with a key here. ERR_KEY_NEEDED when it cannot tell, or the key in the file is not the user's any more.
 */
MUST_CHECK bool actor_open(struct cli *c, const char *text, bool staff, struct actor *out, struct error *err);
/* A user who is not on the chain yet. */
MUST_CHECK bool actor_open_new(struct cli *c, struct str username, struct actor *out, struct error *err);
void actor_wipe(struct actor *a);

/* Are the values that people gave of the form that the ledger wants? Else *err names the one that is not, and the exit status is that of wrong usage. */
MUST_CHECK bool order_check(struct cli *c, const struct wallet_order *o, struct error *err);
/*
 * The order's way: checked, made and signed; then printed (--offline), handed in (--no-wait), or handed in and waited for. Says what was done by `fmt`, then id
 * and block; under --json prints the transaction as the ledger gives it. A refusal is an error.
 */
MUST_CHECK bool order_carry_out(struct cli *c, const struct actor *a, const struct wallet_order *o, struct error *err, const char *fmt, ...)
	PRINTF_LIKE(5, 6);

/* An included transaction: what it did, its id and block; under --json as the ledger gives it. */
void tx_report(struct cli *c, const struct ledger_tx *t, const char *what);

/* The text of a hash given by a person. ERR_USAGE. */
MUST_CHECK bool hash_argument(const char *text, const char *what, struct hash *out, struct error *err);
struct str hash_text(struct cli *c, const struct hash *h);

#endif
