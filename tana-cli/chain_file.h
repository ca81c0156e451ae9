/*
 * chains/<name>.json: what this user knows of a chain: which one it is, where its services are, who its sovereign is. Members of other programs are
 * left alone; those that are options ("ledgerUrl" ...) are read by user_file.c.
 */
#ifndef TANA_CLI_CHAIN_FILE_H
#define TANA_CLI_CHAIN_FILE_H

#include "cli.h"
#include "wire/genesis.h"

struct chain_file {
	struct str name, chain_id, genesis_hash, sovereign /* @name */, genesis_file;
};
/* All absent when there is no file for --chain. ERR_CONFIG when it cannot be read. */
MUST_CHECK bool chain_file_read(struct cli *c, struct chain_file *out, struct error *err);
/* What is absent in *f is left as it is in the file. */
MUST_CHECK bool chain_file_write(struct cli *c, const struct chain_file *f, struct error *err);

/* The genesis of the chain: --genesis FILE, else what chains/<name>.json names, else genesis.json of the chain's state folder. ERR_NOT_FOUND. */
MUST_CHECK bool chain_genesis(struct cli *c, const char *file, struct genesis *out, struct error *err);
/* Where `tana new chain` puts it. */
const char *chain_genesis_path(struct cli *c);

#endif
