/* Arguments and options of the ledger's commands; their rows are in commands_ledger.def. For commands.c alone. */
#ifndef TANA_CLI_COMMANDS_LEDGER_H
#define TANA_CLI_COMMANDS_LEDGER_H

#include "crypto/canonical.h"

/* Of every command that signs a transaction. */
#define OPTION_AS(text) {.name = "as", .type = OPTION_TEXT, .value = "USER", .doc = (text)}
#define OPTIONS_SENDING                                                                                                                  \
	OPTION_WAIT("How long to wait until the transaction is in a block."),                                                            \
		{.name = "no-wait", .type = OPTION_BOOL, .flags = OPTION_FLAG_ONLY, .doc = "Be content when the ledger has it."},         \
		{.name = "offline", .type = OPTION_BOOL, .flags = OPTION_FLAG_ONLY,                                                      \
		 .doc = "Ask nobody: print the signed transaction, for tana tx submit."},                                                \
	{                                                                                                                                \
		.name = "nonce", .type = OPTION_INT, .flags = OPTION_FLAG_ONLY, .value = "N", .min = 0, .max = CANONICAL_INT_MAX,        \
		.doc = "With --offline: one more than that of the user's last transaction."                                              \
	}
#define OPTION_LIMIT(number) {.name = "limit", .type = OPTION_INT, .flags = OPTION_FLAG_ONLY, .value = "N", .fallback = (number), .min = 0, \
	.max = 1000000, .doc = "At most N; 0: all of them."}
#define STAFF_AS OPTION_AS("Who signs (default: the chain's sovereign, or the only user with a key here).")
#define USER_AS OPTION_AS("Who signs (default: the only user with a key here).")

#define ARGUMENT_USER(text) {.name = "user", .required = true, .doc = (text), .complete = "user"}
#define ARGUMENTS_MONEY \
	{.name = "amount", .required = true, .doc = "How much, such as 12.50."}, {.name = "currency", .required = true, .doc = "Of what, such as USD."}

static const struct argument_row one_user_args[] = {ARGUMENT_USER("@name or a user id."), END_ARGS};
static const struct argument_row maybe_user_args[] = {
	{.name = "user", .doc = "@name or a user id; without it: everybody's balances.", .complete = "user"}, END_ARGS};
static const struct argument_row transfer_args[] = {
	{.name = "from", .required = true, .doc = "Who pays: a user with a key here.", .complete = "user"},
	{.name = "to", .required = true, .doc = "Who gets it: @name or a user id.", .complete = "user"},
	ARGUMENTS_MONEY,
	END_ARGS,
};
static const struct argument_row user_money_args[] = {ARGUMENT_USER("@name or a user id."), ARGUMENTS_MONEY, END_ARGS};
static const struct argument_row stake_args[] = {
	ARGUMENT_USER("Whose money: a user with a key here."),
	{.name = "validator", .required = true, .doc = "The validator's id."},
	ARGUMENTS_MONEY,
	END_ARGS,
};
static const struct argument_row request_args[] = {
	{.name = "request", .required = true, .doc = "The id of the transaction that asked for it (tana requests)."}, END_ARGS};
static const struct argument_row tx_args[] = {{.name = "id", .required = true, .doc = "The transaction's id."}, END_ARGS};
static const struct argument_row tx_file_args[] = {
	{.name = "file", .required = true, .doc = "What --offline printed; - is standard input.", .complete = "file"}, END_ARGS};
static const struct argument_row block_args[] = {{.name = "block", .doc = "A height, a hash, or latest (the default)."}, END_ARGS};
static const struct argument_row currency_args[] = {{.name = "code", .required = true, .doc = "The new currency's code, such as EUR."}, END_ARGS};
static const struct argument_row validator_args[] = {{.name = "validator", .required = true, .doc = "The validator's id."}, END_ARGS};
static const struct argument_row role_args[] = {
	ARGUMENT_USER("@name or a user id."),
	{.name = "role", .required = true, .doc = "user, staff or sovereign."},
	END_ARGS,
};
static const struct argument_row publish_args[] = {{.name = "file", .required = true, .doc = "What to publish.", .complete = "file"}, END_ARGS};
static const struct argument_row one_hash_args[] = {{.name = "hash", .required = true, .doc = "The content's SHA-256."}, END_ARGS};
static const struct argument_row verify_args[] = {
	{.name = "height", .doc = "Check this block of the chain only; without it, and without a range: everything."}, END_ARGS};
static const struct argument_row proof_get_args[] = {
	{.name = "kind", .required = true, .doc = "tx or state."},
	{.name = "what", .required = true, .doc = "A transaction's id; or a state entry's key, such as balance:<id>:USD."},
	END_ARGS,
};
static const struct argument_row proof_verify_args[] = {
	{.name = "file", .required = true, .doc = "The proof; - is standard input.", .complete = "file"}, END_ARGS};
static const struct argument_row new_chain_args[] = {{.name = "name", .required = true, .doc = "The chain's id."}, END_ARGS};

static const struct option_row user_create_options[] = {
	{.name = "display-name", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY, .value = "TEXT",
	 .doc = "The name people see (default: that of the key file, or the name without @)."},
	{.name = "bio", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY, .value = "TEXT", .doc = "What the user says of itself."},
	{.name = "approve-by", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY, .value = "USER",
	 .doc = "A staff user with a key here that vouches, where registration is not open."},
	OPTIONS_SENDING,
	END_OPTIONS,
};
static const struct option_row user_list_options[] = {OPTION_LIMIT("1000"), END_OPTIONS};
static const struct option_row user_update_options[] = {
	{.name = "display-name", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY, .value = "TEXT", .doc = "The name people see."},
	{.name = "bio", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY, .value = "TEXT", .doc = "What the user says of itself."},
	{.name = "clear-bio", .type = OPTION_BOOL, .flags = OPTION_FLAG_ONLY, .doc = "Say nothing of itself any more."},
	{.name = "avatar", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY, .value = "HASH", .doc = "SHA-256 of a picture in the content store."},
	OPTIONS_SENDING,
	END_OPTIONS,
};
static const struct option_row sending_options[] = {OPTIONS_SENDING, END_OPTIONS};
static const struct option_row balance_options[] = {
	{.name = "currency", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY, .value = "CODE", .doc = "Only balances in this currency."},
	OPTION_LIMIT("1000"),
	END_OPTIONS,
};
static const struct option_row transfer_options[] = {
	{.name = "memo", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY, .value = "TEXT", .doc = "A note to the recipient; everybody can read it."},
	OPTIONS_SENDING,
	END_OPTIONS,
};
static const struct option_row request_options[] = {
	{.name = "reference", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY, .value = "TEXT", .fallback = "tana",
	 .doc = "What it refers to outside the ledger, such as a bank transfer."},
	OPTIONS_SENDING,
	END_OPTIONS,
};
static const struct option_row requests_options[] = {OPTION_LIMIT("100"), END_OPTIONS};
static const struct option_row staff_options[] = {STAFF_AS, OPTIONS_SENDING, END_OPTIONS};
static const struct option_row adjust_options[] = {
	STAFF_AS,
	{.name = "reason", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY, .value = "TEXT", .doc = "Why; kept on the chain. Required."},
	OPTIONS_SENDING,
	END_OPTIONS,
};
static const struct option_row tx_list_options[] = {
	{.name = "type", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY, .value = "TYPE", .doc = "Only this type, such as transfer."},
	{.name = "user", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY, .value = "USER", .doc = "Only those signed by this user, or about it."},
	{.name = "pending", .type = OPTION_BOOL, .flags = OPTION_FLAG_ONLY, .doc = "Those that wait for a block."},
	OPTION_LIMIT("20"),
	END_OPTIONS,
};
static const struct option_row tx_submit_options[] = {
	OPTION_WAIT("How long to wait until the transaction is in a block."),
	{.name = "no-wait", .type = OPTION_BOOL, .flags = OPTION_FLAG_ONLY, .doc = "Be content when the ledger has it."},
	END_OPTIONS,
};
static const struct option_row block_list_options[] = {
	{.name = "from", .type = OPTION_INT, .flags = OPTION_FLAG_ONLY, .value = "HEIGHT", .min = 0, .max = CANONICAL_INT_MAX,
	 .doc = "From this block on (default: the newest ones)."},
	{.name = "full", .type = OPTION_BOOL, .flags = OPTION_FLAG_ONLY, .doc = "With --json: transactions and state changes too."},
	{.name = "limit", .type = OPTION_INT, .flags = OPTION_FLAG_ONLY, .value = "N", .fallback = "20", .min = 1, .max = 100, .doc = "At most N blocks."},
	END_OPTIONS,
};
static const struct option_row block_produce_options[] = {
	{.name = "empty", .type = OPTION_BOOL, .flags = OPTION_FLAG_ONLY, .doc = "Also when nothing waits."},
	END_OPTIONS,
};
static const char *const currency_types[] = {"fiat", "crypto", NULL};
static const struct option_row currency_create_options[] = {
	{.name = "name", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY, .value = "TEXT", .doc = "Its name (default: the code)."},
	{.name = "symbol", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY, .value = "TEXT", .doc = "Its symbol (default: the code)."},
	{.name = "type", .type = OPTION_CHOICE, .flags = OPTION_FLAG_ONLY, .choices = currency_types, .fallback = "fiat", .doc = "What it is."},
	{.name = "decimals", .type = OPTION_INT, .flags = OPTION_FLAG_ONLY, .value = "N", .fallback = "2", .min = 0, .max = 8,
	 .doc = "Digits behind the point, for ever."},
	STAFF_AS,
	OPTIONS_SENDING,
	END_OPTIONS,
};
static const struct option_row validator_update_options[] = {
	{.name = "power", .type = OPTION_INT, .flags = OPTION_FLAG_ONLY, .value = "N", .fallback = "1", .min = 0, .max = INT32_MAX,
	 .doc = "Its weight; 0 removes it."},
	{.name = "public-key", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY, .value = "KEY",
	 .doc = "The key that signs its blocks (default: the one it has, or that of the node's key file here)."},
	STAFF_AS,
	OPTIONS_SENDING,
	END_OPTIONS,
};
static const char *const content_types[] = {"file_upload", "kv_data", "contract_code", NULL};
static const struct option_row publish_options[] = {
	{.name = "type", .type = OPTION_CHOICE, .flags = OPTION_FLAG_ONLY, .choices = content_types, .fallback = "file_upload", .doc = "What it is."},
	{.name = "filename", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY, .value = "TEXT", .doc = "Its name on the chain (default: the file's)."},
	{.name = "mime-type", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY, .value = "TEXT", .doc = "Its media type."},
	{.name = "content-key", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY, .value = "TEXT", .doc = "Your own name for it, to find it by."},
	USER_AS,
	OPTIONS_SENDING,
	END_OPTIONS,
};
static const struct option_row retract_options[] = {USER_AS, OPTIONS_SENDING, END_OPTIONS};
static const struct option_row references_options[] = {
	{.name = "user", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY, .value = "USER", .doc = "Only this user's."},
	{.name = "hash", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY, .value = "HASH", .doc = "Only those to this content."},
	OPTION_LIMIT("1000"),
	END_OPTIONS,
};
static const char *const audited[] = {"ledger", "mesh", "t4", NULL};
static const struct option_row verify_options[] = {
	{.name = "only", .type = OPTION_CHOICE, .flags = OPTION_FLAG_ONLY, .choices = audited, .doc = "This audit only."},
	{.name = "from", .type = OPTION_INT, .flags = OPTION_FLAG_ONLY, .value = "HEIGHT", .min = 0, .max = CANONICAL_INT_MAX,
	 .doc = "Check blocks from here on."},
	{.name = "to", .type = OPTION_INT, .flags = OPTION_FLAG_ONLY, .value = "HEIGHT", .min = 0, .max = CANONICAL_INT_MAX,
	 .doc = "Check blocks up to here."},
	{.name = "jobs", .type = OPTION_INT, .flags = OPTION_FLAG_ONLY, .value = "N", .min = 1, .max = 256,
	 .doc = "Threads that check signatures (default: one a core)."},
	{.name = "since-checkpoint", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY, .value = "FILE",
	 .doc = "Go on from the checkpoint that an earlier audit of the ledger signed."},
	{.name = "checkpoint-signer", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY, .value = "KEY", .doc = "Whose checkpoint it must be."},
	{.name = "checkpoint", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY, .value = "FILE",
	 .doc = "When the ledger is valid, write a checkpoint there, signed by the node's key."},
	{.name = "with-content", .type = OPTION_BOOL, .flags = OPTION_FLAG_ONLY, .doc = "Is every content that the chain refers to in t4?"},
	END_OPTIONS,
};
static const struct option_row proof_get_options[] = {
	{.name = "out", .letter = 'o', .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY, .value = "FILE", .doc = "Into this file (default: standard output)."},
	{.name = "force", .letter = 'f', .type = OPTION_BOOL, .flags = OPTION_FLAG_ONLY, .doc = "Replace a file that is there."},
	END_OPTIONS,
};
static const struct option_row proof_verify_options[] = {
	{.name = "genesis", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY, .value = "FILE", .doc = "The chain's genesis (default: that of --chain)."},
	END_OPTIONS,
};
#define OPTIONS_GENESIS                                                                                                                  \
	{.name = "sovereign", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY, .value = "USER",                                           \
	 .doc = "The first user: one with a key here (default: the first one there is)."},                                               \
	{.name = "validator", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY | OPTION_REPEATABLE, .value = "ID=KEY",                     \
	 .doc = "A first validator (default: this machine's node)."},                                                                    \
	{.name = "currency", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY | OPTION_REPEATABLE, .value = "CODE:TYPE:DECIMALS[:NAME[:SYMBOL]]", \
	 .doc = "A first currency (default: USD, BTC and ETH)."},                                                                        \
	{.name = "closed-registration", .type = OPTION_BOOL, .flags = OPTION_FLAG_ONLY, .doc = "New users need a staff user's approval."}, \
	{.name = "max-block-transactions", .type = OPTION_INT, .flags = OPTION_FLAG_ONLY, .value = "N", .fallback = "10000", .min = 1,   \
	 .max = 1000000, .doc = "Transactions in a block, at most."},                                                                    \
	{.name = "max-block-bytes", .type = OPTION_SIZE, .flags = OPTION_FLAG_ONLY, .value = "BYTES", .fallback = "16M", .min = 1,       \
	 .max = 1 << 30, .doc = "Bytes of a block's transactions, at most."},                                                            \
	{.name = "max-transaction-bytes", .type = OPTION_SIZE, .flags = OPTION_FLAG_ONLY, .value = "BYTES", .fallback = "64k", .min = 1, \
	 .max = 16 << 20, .doc = "Bytes of a transaction, at most."},                                                                    \
	{.name = "timestamp-window", .type = OPTION_DURATION, .flags = OPTION_FLAG_ONLY, .value = "TIME", .fallback = "10m", .min = 1,   \
	 .max = CANONICAL_INT_MAX, .doc = "How old a transaction may be in its block."},                                                 \
	{.name = "max-pending-per-user", .type = OPTION_INT, .flags = OPTION_FLAG_ONLY, .value = "N", .fallback = "64", .min = 1,        \
	 .max = 1000000, .doc = "Transactions of one user that may wait."}
static const struct option_row new_chain_options[] = {OPTIONS_GENESIS, END_OPTIONS};
static const struct option_row new_genesis_options[] = {
	{.name = "out", .letter = 'o', .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY, .value = "FILE", .doc = "Into this file (default: standard output)."},
	OPTIONS_GENESIS,
	END_OPTIONS,
};

#endif
