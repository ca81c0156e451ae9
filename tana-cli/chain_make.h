/* Making a chain: its genesis, from the keys on this machine and what the options say. */
#ifndef TANA_CLI_CHAIN_MAKE_H
#define TANA_CLI_CHAIN_MAKE_H

#include "chain_file.h"

/* What is not given is NULL or absent: then the first user with a key here is sovereign, this machine's node the only validator, and the
 * currencies are USD, BTC and ETH. */
struct chain_plan {
	struct str chain_id;
	const char *sovereign;      /* "@name" of a user with a key here */
	struct json_list validators; /* struct genesis_validator */
	struct json_list currencies; /* struct genesis_currency */
	struct genesis_params params;
	bool make_keys;             /* make a user and a node key where there are none */
};
/* The genesis' canonical text is appended to *text; *g describes it (in the command's arena). ERR_KEY_NEEDED when nobody can be sovereign or validator. */
MUST_CHECK bool chain_make(struct cli *c, const struct chain_plan *plan, struct genesis *g, struct buf *text, struct error *err);
/* The same, written to the chain's state folder and chains/<name>.json. ERR_ALREADY_EXISTS: a chain is never replaced. */
MUST_CHECK bool chain_make_files(struct cli *c, const struct chain_plan *plan, struct genesis *g, struct error *err);

/* "CODE:fiat|crypto:DECIMALS[:NAME[:SYMBOL]]". ERR_USAGE. */
MUST_CHECK bool chain_currency_argument(struct cli *c, const char *text, struct genesis_currency *out, struct error *err);
/* "ID=KEY". ERR_USAGE. */
MUST_CHECK bool chain_validator_argument(struct cli *c, const char *text, struct genesis_validator *out, struct error *err);

#define CHAIN_DEV_NODE "validator-1" /* the node of a development network that has no node key yet */
#define CHAIN_DEV_USER "@sovereign"

#endif
