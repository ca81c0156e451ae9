#include "chain_file.h"

#include "base/file.h"
#include "paths.h"

enum { CHAIN_FILE_MAX = 256 * 1024, GENESIS_FILE_MAX = 16 * 1024 * 1024 };

static const struct json_field chain_rows[] = {
	F_TEXT(struct chain_file, name, "name", 0, 0, "What this user calls it."),
	F_FORM(struct chain_file, chain_id, "chainId", 0, &form_chain_id, "Which chain it is."),
	F_FORM(struct chain_file, genesis_hash, "genesisHash", 0, &form_hash, "SHA-256 of its genesis."),
	F_FORM(struct chain_file, sovereign, "sovereign", 0, &form_username, "The user it began with."),
	F_TEXT(struct chain_file, genesis_file, "genesisFile", 0, 0, "Where its genesis lies."),
};
static JSON_MESSAGE(chain_message, "ChainFile", struct chain_file, chain_rows);

bool chain_file_read(struct cli *c, struct chain_file *out, struct error *err)
{
	const char *path = path_chain(&c->arena, cli_chain(c));
	struct buf text = {0};
	struct error why;
	json_message_clear(&chain_message, out);
	if (!file_exists(path))
		return true;
	bool ok = file_read(path, CHAIN_FILE_MAX, &text, &why) && json_read_text(buf_str(&text), &chain_message, out, &c->arena, &why);
	buf_free(&text);
	return ok || error_set(err, ERR_CONFIG, "%s: %s", path, why.message);
}

static struct str keep(struct str new_text, struct str old)
{
	return str_present(new_text) ? new_text : old;
}

bool chain_file_write(struct cli *c, const struct chain_file *f, struct error *err)
{
	const char *path = path_chain(&c->arena, cli_chain(c));
	struct chain_file old;
	struct json_doc *doc = NULL;
	struct buf before = {0}, text = {0};
	if (!chain_file_read(c, &old, err) || !file_make_dirs(path_config(&c->arena, "chains"), 0700, err))
		return false;
	if (file_exists(path) && (!file_read(path, CHAIN_FILE_MAX, &before, err) || !(doc = json_parse_object(buf_str(&before), err)))) {
		buf_free(&before);
		return false;
	}
	struct chain_file both = {keep(f->name, old.name), keep(f->chain_id, old.chain_id), keep(f->genesis_hash, old.genesis_hash),
				  keep(f->sovereign, old.sovereign), keep(f->genesis_file, old.genesis_file)};
	if (doc)
		json_write_keeping(&text, &chain_message, &both, doc);
	else
		json_write(&text, &chain_message, &both);
	buf_putc(&text, '\n');
	bool ok = file_write_atomic(path, buf_str(&text), 0600, FILE_REPLACE, err);
	json_doc_free(doc);
	buf_free(&before);
	buf_free(&text);
	return ok;
}

const char *chain_genesis_path(struct cli *c)
{
	return path_state(&c->arena, cli_chain(c), "genesis.json");
}

bool chain_genesis(struct cli *c, const char *file, struct genesis *out, struct error *err)
{
	struct chain_file chain;
	struct buf text = {0};
	struct error why;
	if (!file) {
		if (!chain_file_read(c, &chain, err))
			return false;
		file = str_present(chain.genesis_file) ? chain.genesis_file.p : chain_genesis_path(c);
	}
	if (!file_read(file, GENESIS_FILE_MAX, &text, &why)) {
		error_set(err, why.code, "The genesis cannot be read: %s", why.message);
		return error_hint(err, "name it: --genesis FILE; or make a chain: tana new chain %s", cli_chain(c));
	}
	bool ok = genesis_read(buf_str(&text), &c->arena, out, &why);
	buf_free(&text);
	return ok || error_set(err, why.code, "%s is no genesis: %s", file, why.message);
}
