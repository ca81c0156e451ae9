/* The key files of ~/.config/tana: which file is meant, how a sealed one is opened, how a new one is made. */
#ifndef TANA_CLI_KEYSTORE_H
#define TANA_CLI_KEYSTORE_H

#include "cli.h"
#include "keys/keyfile.h"

enum { PASSPHRASE_MAX = 1024 };

/* Reads a key file with its secret; a sealed one is opened with the passphrase in the file that TANA_PASSPHRASE_FILE names, or one asked for on
 * the terminal. The caller wipes it (keyfile_wipe). ERR_KEY_NEEDED, ERR_KEY_FILE. */
MUST_CHECK bool keystore_open(struct cli *c, const char *path, struct keyfile *out, struct error *err);
/* The same without the secret: never asks. */
MUST_CHECK bool keystore_look(struct cli *c, const char *path, struct keyfile *out, struct error *err);

/* The sovereign key to sign with: --key FILE, or sovereign-key.json. */
MUST_CHECK bool keystore_sovereign(struct cli *c, struct keyfile *out, struct error *err);
/*
 * The file of a node's key: node-key-<node_id>.json, or node-key.json when that is this node's (the machine's own). node_id NULL:
 * node-key.json, or the only node key there is. ERR_KEY_NEEDED when it cannot tell.
 */
const char *keystore_node_path(struct cli *c, const char *node_id, struct error *err);

/* Makes a key pair and writes it to path with the other members of *k as given; *k then has both halves. ERR_ALREADY_EXISTS. */
MUST_CHECK bool keystore_create(const char *path, struct keyfile *k, struct str passphrase, struct error *err);
/* A service's key file, made when it is not there yet. *created may be NULL. */
MUST_CHECK bool keystore_service(struct cli *c, struct str node_id, struct str service, struct ed25519_public *out, bool *created,
				 struct error *err);

/* Asks twice for a new passphrase on the terminal. ERR_USAGE when there is none, or they differ, or it is shorter than 8 bytes. */
MUST_CHECK bool keystore_new_passphrase(char out[PASSPHRASE_MAX], struct error *err);
/* The passphrase for a new file: "" (none) unless `sealed`; else from TANA_PASSPHRASE_FILE, or asked for twice. The caller wipes it. */
MUST_CHECK bool keystore_passphrase_for(bool sealed, char out[PASSPHRASE_MAX], struct error *err);
/* The first line of a file. ERR_KEY_FILE when it is empty or too long. */
MUST_CHECK bool keystore_passphrase_file(const char *path, char out[PASSPHRASE_MAX], struct error *err);

/* Every key file there is, by name. kind: "node", "service", "sovereign", "user". */
struct keystore_entry {
	const char *path, *kind;
	struct str name; /* node id, node/service, @name */
	struct keyfile key;
	const char *problem; /* NULL: fine */
	const char *remedy;  /* what to do about it; NULL: nobody knows */
};
struct keystore_list {
	struct keystore_entry *items;
	size_t count;
};
struct keystore_list keystore_list(struct cli *c);

#endif
