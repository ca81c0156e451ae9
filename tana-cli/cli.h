/* What every command of tana has at hand: its options, an arena, where output goes, and the coordinator it talks to. */
#ifndef TANA_CLI_CLI_H
#define TANA_CLI_CLI_H

#include "base/arena.h"
#include "base/strmap.h"
#include "client/ledger_client.h"
#include "client/mesh_client.h"
#include "daemon/command.h"

struct cli {
	struct invocation *in;
	struct arena arena; /* lives as long as the command */
	const char *chain;  /* instead of --chain, where an argument names it; NULL */
	bool json, quiet, yes;
	int status;               /* what a command that succeeded exits with: EXIT_DONE, or EXIT_UNHEALTHY ... */
	struct mesh_client *mesh;     /* opened by cli_mesh */
	struct ledger_client *ledger; /* opened by ledger_open */
	struct strmap labels;         /* user ids and what they are called: user_label's */
};

/* A command's work. false: *err is printed, and decides the exit status; true: c->status does. */
typedef bool cli_command(struct cli *c, struct error *err);
int cli_run(struct invocation *in, cli_command *work);

/* The coordinator: --mesh-url and its other sources; without any, the one that `tana start` runs for this chain. NULL with *err. */
struct mesh_client *cli_mesh(struct cli *c, struct error *err);
/*
 * The same, ready to sign: the network's name is what --network says, or what the coordinator says. A name taken from the coordinator is shown
 * at its first use and remembered; a coordinator that later calls itself otherwise is refused (ERR_WRONG_NETWORK).
 */
struct mesh_client *cli_mesh_signing(struct cli *c, struct error *err);
/* The address of a service that commands talk to ("mesh", "ledger", "t4", "identity"): --<service>-url and its other sources; without any, the one that `tana
 * start` runs for this chain, else the default. *origin (may be NULL): where it comes from ("flag --mesh-url", ... , "tana start"). */
const char *cli_service_url(struct cli *c, const char *service, const char **origin);
/* --chain. */
const char *cli_chain(const struct cli *c);
/* " --chain NAME" where it was given as a flag, for the commands in hints; else "". */
const char *cli_chain_flag(struct cli *c);
/* ERR_USAGE unless the text is a node id. */
MUST_CHECK bool cli_node_id(const char *text, struct str *out, struct error *err);

/* The machine's name as a node id: lower case, what does not fit becomes '-'. */
const char *cli_machine_id(struct cli *c);

/* Set by SIGINT and SIGTERM once cli_catch_interrupts was called; commands that wait look at it. */
extern volatile int cli_interrupted; /* the signal's number, or 0 */
void cli_catch_interrupts(void);
/* Sleeps, at most ms; false when interrupted. */
bool cli_sleep(int64_t ms);
/* Does a command that only shows what happens have a reason to go on? Not once it was interrupted, or nobody reads what it prints. */
bool cli_watching(void);

#endif
