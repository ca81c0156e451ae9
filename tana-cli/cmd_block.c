/* block: what the chain is made of. */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "commands.h"
#include "companion.h"
#include "crypto/canonical_read.h"
#include "ledger.h"
#include "output.h"
#include "process.h"
#include "systemd.h"
#include "watch.h"
#include "wire/block.h"

enum { WIDTH = 12, SHORT = 16, CHANGES_SHOWN = 20 };

static bool read_header(const struct ledger_block *b, struct block_header *out, struct error *err)
{
	struct error why;
	return block_header_read(b->header, out, &why) || error_set(err, ERR_BAD_ANSWER, "The ledger gave a block whose header is malformed: %s", why.message);
}

/* ---- list ---- */

static bool list(struct cli *c, struct error *err)
{
	static const struct column columns[] = {{"BLOCK", ALIGN_RIGHT}, {"TIME", ALIGN_LEFT}, {"TXS", ALIGN_RIGHT}, {"PRODUCER", ALIGN_LEFT}, {"HASH", ALIGN_LEFT}};
	bool from_set = strcmp(option_origin(c->in, "from"), "unset") != 0;
	int64_t from = from_set ? option_int(c->in, "from") : -1;
	struct ledger_block_list all = {.next_cursor = STR_NONE};
	struct table t;
	if (!ledger_open(c, err) || !ledger_client_blocks(c->ledger, from, -1, option_bool(c->in, "full"), (size_t)option_int(c->in, "limit"), &c->arena,
							  &all.blocks, err))
		return false;
	if (c->json) {
		json_print(&ledger_block_list_message, &all);
		return true;
	}
	const struct ledger_block *b = all.blocks.items;
	if (all.blocks.count == 0) {
		say(c, "No blocks.");
		return true;
	}
	table_begin(&t, &c->arena, columns, ARRAY_LEN(columns));
	for (size_t i = 0; i < all.blocks.count; i++) {
		struct block_header h;
		if (!read_header(&b[i], &h, err))
			return false;
		table_cellf(&t, TINT_BOLD, "%lld", (long long)h.height);
		table_cell(&t, TINT_NONE, date(&c->arena, h.timestamp));
		table_cellf(&t, TINT_NONE, "%lld", (long long)h.tx_count);
		table_cell(&t, TINT_NONE, h.producer);
		table_cell(&t, TINT_DIM, b[i].hash);
	}
	table_print(&t);
	return true;
}

/* ---- show ---- */

static void print_hash(struct cli *c, const char *name, const struct hash *h)
{
	pair_print(WIDTH, name, TINT_NONE, hash_text(c, h));
}

static void print_transactions(struct cli *c, const struct ledger_block *b)
{
	const struct ledger_block_tx *items = b->transactions.items;
	for (size_t i = 0; i < b->transactions.count; i++) {
		struct tx t;
		struct error ignored;
		bool read = tx_parse(items[i].message, INT64_MAX, &c->arena, &t, &ignored);
		say(c, "  %zu  %s  %s  %.*s", i, padded(&c->arena, TINT_NONE, read ? str_from(tx_type_row(t.type)->name) : STR_LIT("?"), 22),
		    padded(&c->arena, TINT_BOLD, read ? user_label(c, tx_from(&t)) : STR_LIT("?"), 14), STR_ARG(items[i].id));
	}
}

static void print_changes(struct cli *c, struct str changes)
{
	struct canonical_cursor list;
	struct str item, key, before, after, text;
	size_t n = 0;
	if (!canonical_enter_array(changes, &list))
		return;
	while (canonical_next_item(&list, &item)) {
		if (!canonical_find(item, "key", &key) || !canonical_find(item, "before", &before) || !canonical_find(item, "after", &after) ||
		    !canonical_read_text(key, &c->arena, &text))
			continue;
		if (++n > CHANGES_SHOWN)
			continue;
		say(c, "  %.*s: %.*s -> %.*s", STR_ARG(printable(&c->arena, text)), STR_ARG(printable(&c->arena, before)), STR_ARG(printable(&c->arena, after)));
	}
	if (n > CHANGES_SHOWN)
		say(c, "  ... and %zu more: tana block show --json", n - CHANGES_SHOWN);
}

static bool show(struct cli *c, struct error *err)
{
	const char *which = invocation_arg(c->in, "block");
	struct ledger_block b;
	struct block_header h;
	struct hash hash;
	int64_t height;
	if (which && strcmp(which, "latest") != 0 && !hash_from_text(str_from(which), &hash) && (!str_to_int64(str_from(which), &height) || height < 0))
		return error_set(err, ERR_USAGE, "'%.80s' is no block: a height, a hash, or latest.", which);
	if (!ledger_open(c, err) || !ledger_client_block(c->ledger, str_from(which ? which : "latest"), &c->arena, &b, err) || !read_header(&b, &h, err))
		return false;
	if (c->json) {
		json_print(&ledger_block_message, &b);
		return true;
	}
	pair_printf(WIDTH, "block", TINT_BOLD, "%lld of chain %.*s", (long long)h.height, STR_ARG(h.chain_id));
	pair_print(WIDTH, "hash", TINT_NONE, b.hash);
	print_hash(c, "previous", &h.previous_hash);
	pair_printf(WIDTH, "time", TINT_NONE, "%.*s (%.*s)", STR_ARG(date(&c->arena, h.timestamp)), STR_ARG(when(&c->arena, h.timestamp)));
	pair_print(WIDTH, "producer", TINT_NONE, h.producer);
	print_hash(c, "transactions", &h.tx_root);
	print_hash(c, "changes", &h.changes_root);
	print_hash(c, "state", &h.state_root);
	print_hash(c, "validators", &h.validators_hash);
	if (h.height == 0)
		print_hash(c, "genesis", &h.genesis_hash);
	if (str_present(b.signature))
		pair_print(WIDTH, "signature", TINT_DIM, b.signature);
	say(c, "%lld transaction%s", (long long)h.tx_count, h.tx_count == 1 ? "" : "s");
	print_transactions(c, &b);
	if (str_present(b.state_changes) && b.state_changes.n > 2) {
		say(c, "State changes");
		print_changes(c, b.state_changes);
	}
	return true;
}

/* ---- watch ---- */

static void print_event(struct cli *c, const char *type, struct str data)
{
	struct ledger_block_event e;
	struct error why;
	if (strcmp(type, LEDGER_EVENT_BLOCK) != 0)
		return;
	if (!json_read_text(data, &ledger_block_event_message, &e, &c->arena, &why)) {
		note(c, "An event that cannot be read was left out: %s", why.message);
		return;
	}
	say(c, "%s  %.*s  %lld transaction%s  by %.*s  %s", tinted(&c->arena, TINT_BOLD, arena_printf(&c->arena, "%6lld", (long long)e.height)),
	    STR_ARG(date(&c->arena, e.timestamp)), (long long)e.tx_count, e.tx_count == 1 ? "" : "s", STR_ARG(e.producer),
	    tinted(&c->arena, TINT_DIM, e.hash));
}

static bool watch(struct cli *c, struct error *err)
{
	return watch_ledger(c, LEDGER_EVENT_BLOCK, print_event, err);
}

/* ---- produce ---- */

/* `ledgerd produce` with what the local ledger was last started with: it makes one block, and needs the database for itself. */
static bool produce(struct cli *c, struct error *err)
{
	struct service_launch launch;
	struct service_record running;
	int status;
	if (!systemd_in_charge(c) && service_running(c, "ledger", &running)) {
		error_set(err, ERR_WRONG_STATE, "The ledger of chain %s runs, and makes blocks by itself.", cli_chain(c));
		return error_hint(err, "stop it first: tana stop");
	}
	if (!companion_plan(c, "ledger", "produce", &launch, err))
		return false;
	if (option_bool(c->in, "empty"))
		service_argument(&launch, "--empty");
	if (c->json)
		service_argument(&launch, "--json");
	if (!process_run(launch.argv, launch.environment, 0, NULL, &status, err))
		return false;
	c->status = WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILED;
	return true;
}

int cmd_block_list(struct invocation *in)
{
	return cli_run(in, list);
}

int cmd_block_show(struct invocation *in)
{
	return cli_run(in, show);
}

int cmd_block_watch(struct invocation *in)
{
	return cli_run(in, watch);
}

int cmd_block_produce(struct invocation *in)
{
	return cli_run(in, produce);
}
