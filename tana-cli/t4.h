/* The content store that commands talk to. */
#ifndef TANA_CLI_T4_H
#define TANA_CLI_T4_H

#include "cli.h"
#include "client/t4_client.h"

/* A client of the store at url; interrupts end what it does. NULL with *err. The caller frees it. */
struct t4_client *t4_open(struct cli *c, const char *url, struct error *err);
/* Lets it sign with the key that signer_open finds. audience NULL: the signer's own node's t4. */
MUST_CHECK bool t4_sign(struct cli *c, struct t4_client *client, const char *audience, struct error *err);
/* Adds what to do when no store answers; returns false. */
bool t4_explain(struct error *err);
/* ERR_USAGE unless the text is a hash. */
MUST_CHECK bool t4_hash(const char *text, struct hash *out, struct error *err);
/* The hash as text, in the arena. */
struct str t4_hash_text(struct cli *c, const struct hash *hash);

/*
 * A bar on standard error for what is large and takes long, when that is a terminal: shown from 4 MiB on, at most ten times a second.
 * name is shown as it is printable.
 */
struct progress {
	const struct cli *c;
	const char *name;
	int64_t begun_ms, drawn_ms; /* monotonic */
	int64_t begun_at;           /* bytes that were there before */
	bool drawn;
};
/* From now on the client's transfers show themselves under this name. */
void progress_begin(struct progress *p, struct cli *c, struct t4_client *client, const char *name);
/* Takes the bar away. */
void progress_end(struct progress *p, struct t4_client *client);

#endif
