/* proof: files that show something of a chain to whoever has its genesis. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "chain_file.h"
#include "client/ledger_proof.h"
#include "commands.h"
#include "ledger.h"
#include "output.h"

enum { WIDTH = 12 };

/* ---- get ---- */

static bool write_proof(struct cli *c, struct buf *text, struct error *err)
{
	const char *out = option_text(c->in, "out");
	if (text->len == 0 || text->data[text->len - 1] != '\n')
		buf_putc(text, '\n');
	if (!out || strcmp(out, "-") == 0) {
		fwrite(text->data, 1, text->len, stdout);
		return true;
	}
	if (!file_write_atomic(out, buf_str(text), 0644, option_bool(c->in, "force") ? FILE_REPLACE : FILE_MUST_NOT_EXIST, err)) {
		if (err->code == ERR_ALREADY_EXISTS)
			error_hint(err, "--force replaces it");
		return false;
	}
	if (c->json)
		json_print_file(out);
	note(c, "Wrote %s; check it: tana proof verify %s", out, out);
	return true;
}

static bool get(struct cli *c, struct error *err)
{
	const char *what = invocation_arg(c->in, "what"), *kind = invocation_arg(c->in, "kind");
	struct buf text = {0};
	struct hash id;
	bool tx = strcmp(kind, "tx") == 0;
	if (!tx && strcmp(kind, "state") != 0)
		return error_set(err, ERR_USAGE, "'%s' is nothing to prove: tx ID, or state KEY.", kind);
	if ((tx && !hash_argument(what, "transaction", &id, err)) || !ledger_open(c, err))
		return false;
	bool ok = (tx ? ledger_client_prove_tx(c->ledger, &id, &text, err) : ledger_client_prove_state(c->ledger, str_from(what), &text, err)) &&
		  write_proof(c, &text, err);
	buf_free(&text);
	return ok;
}

/* ---- verify ---- */

struct shown {
	enum json_bool valid;
	struct str shows, chain_id, block_hash, key, value, tx_id, message, producer;
	int64_t height, timestamp, index;
};
static const struct json_field shown_rows[] = {
	F_BOOL(struct shown, valid, "valid", JSON_REQUIRED, "true; what is not valid is an error."),
	F_TEXT(struct shown, shows, "shows", JSON_REQUIRED, 0, "transaction, present or absent."),
	F_TEXT(struct shown, chain_id, "chainId", JSON_REQUIRED, 0, "The chain."),
	F_INT(struct shown, height, "height", JSON_REQUIRED, 0, 0, "The block."),
	F_TEXT(struct shown, block_hash, "blockHash", JSON_REQUIRED, 0, "Its hash."),
	F_INT(struct shown, timestamp, "timestamp", JSON_REQUIRED, 0, 0, "Its time."),
	F_TEXT(struct shown, producer, "producer", JSON_REQUIRED, 0, "Who made and signed it."),
	F_TEXT(struct shown, key, "key", JSON_VERBATIM, 0, "The state's key."),
	F_ANY(struct shown, value, "value", 0, "Its value."),
	F_TEXT(struct shown, tx_id, "id", 0, 0, "The transaction."),
	F_INT(struct shown, index, "index", 0, 0, 0, "Its place in the block."),
	F_ANY(struct shown, message, "message", 0, "What was signed."),
};
static JSON_MESSAGE(shown_message, "ProofShown", struct shown, shown_rows);

static const char *shows_text(enum proof_shows s)
{
	switch (s) {
	case PROOF_TRANSACTION:
		return "transaction";
	case PROOF_PRESENT:
		return "present";
	case PROOF_ABSENT:
		return "absent";
	}
	return "";
}

static void print_finding(struct cli *c, const struct proof_finding *f)
{
	switch (f->shows) {
	case PROOF_TRANSACTION:
		say(c, "%s", tinted(&c->arena, TINT_GOOD, STR_LIT("The transaction is in the block.")));
		pair_print(WIDTH, "transaction", TINT_NONE, hash_text(c, &f->tx_id));
		pair_printf(WIDTH, "place", TINT_NONE, "%lld of %lld", (long long)f->index, (long long)f->header.tx_count);
		pair_print(WIDTH, "message", TINT_NONE, f->message);
		break;
	case PROOF_PRESENT:
		say(c, "%s", tinted(&c->arena, TINT_GOOD, STR_LIT("The state after the block has this entry.")));
		pair_print(WIDTH, "key", TINT_NONE, f->key);
		pair_print(WIDTH, "value", TINT_NONE, f->value);
		break;
	case PROOF_ABSENT:
		say(c, "%s", tinted(&c->arena, TINT_GOOD, STR_LIT("The state after the block has no such entry.")));
		pair_print(WIDTH, "key", TINT_NONE, f->key);
		break;
	}
	pair_print(WIDTH, "chain", TINT_NONE, f->header.chain_id);
	pair_printf(WIDTH, "block", TINT_NONE, "%lld, %.*s", (long long)f->header.height, STR_ARG(date(&c->arena, f->header.timestamp)));
	pair_print(WIDTH, "hash", TINT_NONE, hash_text(c, &f->block_hash));
	pair_print(WIDTH, "made by", TINT_NONE, f->header.producer);
	if (str_present(f->producer_key))
		pair_print(WIDTH, "signed with", TINT_NONE, f->producer_key);
}

static bool read_proof(const char *file, struct buf *out, struct error *err)
{
	char piece[64 * 1024];
	ssize_t got;
	if (strcmp(file, "-") != 0)
		return file_read(file, PROOF_FILE_MAX, out, err);
	while ((got = read(STDIN_FILENO, piece, sizeof piece)) > 0 && out->len <= PROOF_FILE_MAX)
		buf_put(out, piece, (size_t)got);
	return (got == 0 && out->len <= PROOF_FILE_MAX) || error_set(err, ERR_IO, "cannot read standard input, or it is too long");
}

static bool verify(struct cli *c, struct error *err)
{
	struct genesis genesis;
	struct proof_finding f;
	struct buf text = {0};
	if (!chain_genesis(c, option_text(c->in, "genesis"), &genesis, err) || !read_proof(invocation_arg(c->in, "file"), &text, err)) {
		buf_free(&text);
		return false;
	}
	struct error why;
	bool ok = ledger_proof_check(buf_str(&text), &genesis, &c->arena, &f, &why);
	buf_free(&text);
	if (!ok) {
		c->status = EXIT_UNHEALTHY;
		error_set(err, why.code, "%s proves nothing: %s", strcmp(invocation_arg(c->in, "file"), "-") == 0 ? "Standard input" : invocation_arg(c->in, "file"),
			  why.message);
		return error_hint(err, "%s", why.hint);
	}
	if (c->json) {
		bool tx = f.shows == PROOF_TRANSACTION;
		struct shown s = {.valid = JSON_TRUE, .shows = str_from(shows_text(f.shows)), .chain_id = f.header.chain_id,
				  .block_hash = hash_text(c, &f.block_hash), .key = f.key, .value = f.value,
				  .tx_id = tx ? hash_text(c, &f.tx_id) : STR_NONE, .message = f.message, .producer = f.header.producer,
				  .height = f.header.height, .timestamp = f.header.timestamp, .index = tx ? f.index : JSON_INT_ABSENT};
		json_print(&shown_message, &s);
	} else {
		print_finding(c, &f);
	}
	return true;
}

int cmd_proof_get(struct invocation *in)
{
	return cli_run(in, get);
}

int cmd_proof_verify(struct invocation *in)
{
	return cli_run(in, verify);
}
