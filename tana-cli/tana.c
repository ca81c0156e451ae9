/*
 * tana: the command of the validator-network suite.
 *
 * It keeps keys (keystore.c), runs a network on one machine (services.c, supervisor.c) and talks to daemons through common/client; it opens
 * no database. What it can do is one table, commands.c: dispatch, help, the manual page and shell completion are made of it. Each cmd_*.c
 * holds the commands of one subject; a command is a function that gets a struct cli (cli.h) and returns whether it worked. Read on in
 * commands.c.
 */
#include <signal.h>
#include <sys/stat.h>

#include "commands.h"
#include "crypto/ed25519.h"
#include "output.h"
#include "user_file.h"

static const struct program tana = {
	.name = "tana",
	.section = "",
	.summary = "Validator networks: who is in them, what their ledger says, and running one.",
	.doc = "tana starts a network on this machine, registers nodes with it, lets sovereign keys admit them, and checks "
		"what the coordinator says. It signs transactions with users' keys, hands them to a ledger, shows what is on the "
		"chain, and checks proofs without asking anybody.\n\n"
		"Options come from flags, the environment (TANA_CHAIN, MESH_URL ...), ~/.config/tana/chains/<chain>.json and "
		"~/.config/tana/config.json (names in camelCase: {\"meshUrl\": \"http://...\"}), /etc/tana/tana.conf, in this "
		"order.\n\n"
		"Keys lie in ~/.config/tana, readable by their owner only: sovereign-key.json, node-key.json (this machine's node), "
		"node-key-<nodeId>.json, <nodeId>-<service>-key.json, users/<@name>.json. A key sealed with a passphrase asks for "
		"it on the terminal, or takes the first line of the file that TANA_PASSPHRASE_FILE names.\n\n"
		"Exit status: 0 done, 1 refused or failed, 2 usage, 3 service not reachable, 4 key or login needed, 5 timed out, 6 unhealthy "
		"or verification failed, 130 interrupted.",
	.options = tana_options,
	.commands = tana_commands,
	.default_config = "/etc/tana/tana.conf",
	.groups = "mesh=Who is in the network\nuser=Who is on the chain\ntx=Transactions\nblock=Blocks\ncurrency=The chain's currencies\n"
		  "validator=Who makes blocks\nproof=What can be shown to others\ncontent=Files by their hash\n"
		  "auth=Logins\ntoken=Service auth tokens\nkeys=Your keys\nnew=New things\nconfig=What is set\n",
	.user_file = user_file_offer,
	.complete = user_complete,
};

int main(int argc, char **argv)
{
	struct error err;
	umask(077); /* keys, logs and records are nobody else's */
	signal(SIGPIPE, SIG_IGN);
	output_start();
	if (!crypto_start(&err))
		return program_fail(NULL, &err);
	return program_main(&tana, argc, argv);
}
