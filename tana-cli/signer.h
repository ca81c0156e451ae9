/* Which service's key signs a token (docs: tana(1), token new). */
#ifndef TANA_CLI_SIGNER_H
#define TANA_CLI_SIGNER_H

#include "cli.h"
#include "keystore.h"

struct signer {
	struct str node_id, service;
	const char *path;
	struct keyfile key; /* with its secret: signer_wipe */
};
/*
 * --key FILE with --node-id and --service; else the service key files of ~/.config/tana that --node-id and --service leave. Of several
 * nodes the one that `tana start` runs t4 for is meant, else the machine's own; of several services of a node the ledger, else the first.
 * ERR_KEY_NEEDED when it cannot tell.
 */
MUST_CHECK bool signer_open(struct cli *c, struct signer *out, struct error *err);
void signer_wipe(struct signer *s);

#endif
