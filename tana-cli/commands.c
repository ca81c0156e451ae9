/* The one table: dispatch, help, the manual page, completion and the tests read these rows. */
#include "commands.h"

#define END_OPTIONS {0}
#define END_ARGS {0}

const struct option_row tana_options[] = {
	{.name = "mesh-url", .type = OPTION_TEXT, .value = "URL", .fallback = "http://127.0.0.1:8190", .env = "MESH_URL",
	 .doc = "The mesh coordinator. Not set anywhere: the one tana start runs, else the default."},
	{.name = "t4-url", .type = OPTION_TEXT, .value = "URL", .fallback = "http://127.0.0.1:8180", .env = "T4_URL",
	 .doc = "The content store. Not set anywhere: the one tana start runs, else the default."},
	{.name = "ledger-url", .type = OPTION_TEXT, .value = "URL", .fallback = "http://127.0.0.1:8080",
	 .doc = "The ledger. Not set anywhere: the one tana start runs, else the default."},
	{.name = "identity-url", .type = OPTION_TEXT, .value = "URL", .fallback = "http://127.0.0.1:8090",
	 .doc = "The identity service. Not set anywhere: the one tana start runs, else the default."},
	{.name = "network", .type = OPTION_TEXT, .value = "NAME",
	 .doc = "The network that signatures are for. Not set: what the coordinator says."},
	{.name = "chain", .type = OPTION_TEXT, .value = "NAME", .fallback = "local",
	 .doc = "Which local network: its files lie under ~/.local/state/tana/NAME."},
	{.name = "timeout", .type = OPTION_DURATION, .value = "TIME", .fallback = "30s", .min = 100, .max = 3600000,
	 .doc = "How long to wait for an answer."},
	{.name = "config", .type = OPTION_TEXT, .value = "FILE", .doc = "The system's configuration file."},
	{.name = "json", .type = OPTION_BOOL, .flags = OPTION_FLAG_ONLY,
	 .doc = "One JSON document on standard output; all else on standard error."},
	{.name = "quiet", .letter = 'q', .type = OPTION_BOOL, .flags = OPTION_FLAG_ONLY,
	 .doc = "Say nothing but results of queries and errors."},
	{.name = "yes", .letter = 'y', .type = OPTION_BOOL, .flags = OPTION_FLAG_ONLY, .doc = "Answer every question with yes."},
	END_OPTIONS,
};

/* Rows that several commands have. */
#define OPTION_KEY {.name = "key", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY, .value = "FILE", \
	.doc = "The sovereign key file (default: sovereign-key.json)."}
#define OPTION_NODE_ID(what) {.name = "node-id", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY, .value = "ID", .doc = (what)}
#define OPTION_WAIT(text) {.name = "wait-timeout", .type = OPTION_DURATION, .flags = OPTION_FLAG_ONLY, .value = "TIME", \
	.fallback = "30s", .min = 100, .max = 3600000, .doc = (text)}
#define OPTION_PASSPHRASES \
	{.name = "passphrase", .type = OPTION_BOOL, .flags = OPTION_FLAG_ONLY, \
	 .doc = "Seal the private key with a passphrase, asked for on the terminal."}, \
	{.name = "passphrase-file", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY, .value = "FILE", \
	 .doc = "Seal it with the passphrase in the first line of a file."}

static const struct argument_row node_args[] = {{.name = "nodeId", .required = true, .doc = "The node.", .complete = "node"}, END_ARGS};
static const struct argument_row maybe_node_args[] = {{.name = "nodeId",
	.doc = "A node; without it: the whole network.", .complete = "node"}, END_ARGS};
static const struct argument_row service_args[] = {{.name = "service",
	.doc = "Which service; without it: all.", .complete = "service"}, END_ARGS};
static const struct argument_row key_args[] = {{.name = "key", .required = true,
	.doc = "A key file, or a name that tana keys list shows.", .complete = "key"}, END_ARGS};
static const struct argument_row kind_args[] = {
	{.name = "kind", .required = true, .doc = "sovereign, node or service."},
	{.name = "name", .repeated = true, .doc = "node: its id; service: the node's id and the service."},
	END_ARGS,
};
static const struct argument_row user_args[] = {{.name = "name", .required = true, .doc = "The user's name, with or without @."}, END_ARGS};
static const struct argument_row sovereign_args[] = {{.name = "publicKey", .required = true,
	.doc = "The key, or a key file.", .complete = "file"}, END_ARGS};
static const struct argument_row invite_args[] = {{.name = "invite", .required = true, .doc = "The invite's public key."}, END_ARGS};

static const struct option_row start_options[] = {
	{.name = "dev", .type = OPTION_BOOL, .flags = OPTION_FLAG_ONLY,
	 .doc = "A development network: makes a sovereign key if there is none; older clients may register."},
	{.name = "foreground", .type = OPTION_BOOL, .flags = OPTION_FLAG_ONLY, .doc = "Stay, log here, and start again what dies."},
	OPTION_WAIT("How long each service may take to become ready."),
	{.name = "postgres", .type = OPTION_TEXT, .flags = OPTION_SECRET, .value = "URL",
	 .doc = "Keep data in PostgreSQL instead of in files."},
	{.name = "mesh-listen", .type = OPTION_TEXT, .value = "HOST:PORT", .fallback = "127.0.0.1:8190", .doc = "Where mesh listens."},
	{.name = "redis", .type = OPTION_TEXT, .flags = OPTION_SECRET, .value = "URL",
	 .doc = "Keep transactions that wait in Redis instead of in the ledger's database."},
	{.name = "ledger-listen", .type = OPTION_TEXT, .value = "HOST:PORT", .fallback = "127.0.0.1:8080", .doc = "Where the ledger listens."},
	{.name = "block-interval", .type = OPTION_TEXT, .value = "TIME", .doc = "At most one block in this time (default: the ledger's own, 1s)."},
	{.name = "t4-listen", .type = OPTION_TEXT, .value = "HOST:PORT", .fallback = "127.0.0.1:8180", .doc = "Where t4 listens."},
	{.name = "identity-listen", .type = OPTION_TEXT, .value = "HOST:PORT", .fallback = "127.0.0.1:8090", .doc = "Where identity listens."},
	{.name = "public-url", .type = OPTION_TEXT, .value = "URL",
	 .doc = "Where phones and browsers reach identity; part of what phones sign (default: its own address)."},
	{.name = "clients", .type = OPTION_TEXT, .value = "FILE", .doc = "OpenID clients, for identity as an OpenID Provider."},
	{.name = "heartbeat-timeout", .type = OPTION_TEXT, .value = "TIME",
	 .doc = "After this long without a heartbeat a node is offline (default: mesh's own, 5m)."},
	{.name = "sovereign-key", .type = OPTION_TEXT, .flags = OPTION_REPEATABLE, .value = "KEY",
	 .doc = "A first sovereign's public key (default: that of sovereign-key.json)."},
	END_OPTIONS,
};
static const struct option_row stop_options[] = {OPTION_WAIT("How long each service may take to end."), END_OPTIONS};
static const struct option_row restart_options[] = {OPTION_WAIT("How long each service may take to end, and to become ready."),
						    END_OPTIONS};
static const struct option_row logs_options[] = {
	{.name = "follow", .letter = 'f', .type = OPTION_BOOL, .flags = OPTION_FLAG_ONLY, .doc = "Go on with what is added."},
	{.name = "lines", .letter = 'n', .type = OPTION_INT, .flags = OPTION_FLAG_ONLY, .value = "N", .fallback = "100", .min = 0,
	 .max = 1000000, .doc = "The last N lines."},
	END_OPTIONS,
};

static const char *const roles[] = {"validator", "observer", NULL};
static const char *const statuses[] = {"pending", "active", "offline", "denied", "all", NULL};
static const struct option_row register_options[] = {
	OPTION_NODE_ID("The node's name (default: that of node-key.json, else this machine's)."),
	{.name = "dev", .type = OPTION_BOOL, .flags = OPTION_FLAG_ONLY, .doc = "Do without Tailscale: <nodeId>.local.ts.net at 127.0.0.1."},
	{.name = "role", .type = OPTION_CHOICE, .flags = OPTION_FLAG_ONLY, .choices = roles, .fallback = "validator",
	 .doc = "What the node is."},
	{.name = "service", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY | OPTION_REPEATABLE, .value = "TYPE=PORT",
	 .doc = "What the node offers (default: ledger=8080 and t4=8180)."},
	{.name = "port-offset", .type = OPTION_INT, .flags = OPTION_FLAG_ONLY, .value = "N", .fallback = "0", .min = 0, .max = 65534,
	 .doc = "Added to every port, so that several nodes share a machine."},
	{.name = "region", .type = OPTION_TEXT, .value = "TEXT", .doc = "Where the node stands."},
	{.name = "provider", .type = OPTION_TEXT, .value = "TEXT", .doc = "Whose machine it is."},
	{.name = "invite", .type = OPTION_TEXT, .flags = OPTION_SECRET, .value = "CODE",
	 .doc = "An invite: the node is active at once. - reads it from standard input."},
	END_OPTIONS,
};
static const struct option_row heartbeat_options[] = {
	OPTION_NODE_ID("Which node (default: that of node-key.json, or the only one)."),
	{.name = "once", .type = OPTION_BOOL, .flags = OPTION_FLAG_ONLY, .doc = "Send one and end."},
	{.name = "interval", .type = OPTION_DURATION, .value = "TIME", .fallback = "60s", .min = 100, .max = 3600000,
	 .doc = "Time between two."},
	{.name = "service", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY | OPTION_REPEATABLE, .value = "TYPE=healthy|unhealthy",
	 .doc = "Report how a service is."},
	END_OPTIONS,
};
static const struct option_row rotate_key_options[] = {OPTION_NODE_ID("Which node (default: that of node-key.json, or the only "
		"one)."), END_OPTIONS};
static const struct option_row decide_options[] = {
	OPTION_KEY,
	{.name = "reason", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY, .value = "TEXT", .doc = "Kept in the log beside the decision."},
	END_OPTIONS,
};
static const struct option_row list_options[] = {
	{.name = "status", .type = OPTION_CHOICE, .flags = OPTION_FLAG_ONLY | OPTION_REPEATABLE, .choices = statuses,
	 .doc = "Only nodes of this status (default: active)."},
	{.name = "all", .letter = 'a', .type = OPTION_BOOL, .flags = OPTION_FLAG_ONLY, .doc = "Nodes of every status."},
	{.name = "role", .type = OPTION_CHOICE, .flags = OPTION_FLAG_ONLY, .choices = roles, .doc = "Only nodes of this role."},
	{.name = "limit", .type = OPTION_INT, .flags = OPTION_FLAG_ONLY, .value = "N", .fallback = "0", .min = 0, .max = 1000000,
	 .doc = "At most N nodes; 0: all of them."},
	END_OPTIONS,
};
static const struct option_row topology_options[] = {
	{.name = "snapshot", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY, .value = "FILE",
	 .doc = "Write the signed snapshot to a file."},
	{.name = "verify", .type = OPTION_BOOL, .flags = OPTION_FLAG_ONLY,
	 .doc = "Check the signed snapshot against trusted sovereign keys."},
	{.name = "from", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY, .value = "FILE",
	 .doc = "Check a snapshot from a file; needs no coordinator."},
	{.name = "trust", .type = OPTION_TEXT, .flags = OPTION_REPEATABLE, .value = "KEY",
	 .doc = "A sovereign public key to trust, beside that of sovereign-key.json."},
	END_OPTIONS,
};
static const struct option_row invite_options[] = {
	OPTION_KEY,
	{.name = "uses", .type = OPTION_INT, .flags = OPTION_FLAG_ONLY, .value = "N", .fallback = "1", .min = 1, .max = 10000,
	 .doc = "How many nodes it admits."},
	{.name = "expires", .type = OPTION_DURATION, .flags = OPTION_FLAG_ONLY, .value = "TIME", .fallback = "24h", .min = 1000,
	 .max = INT64_C(31536000000),
	 .doc = "For how long."},
	END_OPTIONS,
};
static const struct option_row key_options[] = {OPTION_KEY, END_OPTIONS};
static const struct option_row sovereign_add_options[] = {
	OPTION_KEY,
	{.name = "description", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY, .value = "TEXT", .doc = "Whose key it is, for people."},
	END_OPTIONS,
};
static const struct option_row audit_options[] = {
	{.name = "after", .type = OPTION_INT, .flags = OPTION_FLAG_ONLY, .value = "INDEX", .min = -1, .max = -2,
	 .doc = "Entries after this one (default: the newest ones)."},
	{.name = "limit", .type = OPTION_INT, .flags = OPTION_FLAG_ONLY, .value = "N", .fallback = "20", .min = 1, .max = 1000,
	 .doc = "At most N entries."},
	{.name = "follow", .letter = 'f', .type = OPTION_BOOL, .flags = OPTION_FLAG_ONLY, .doc = "Go on with what is added."},
	END_OPTIONS,
};
static const struct option_row audit_verify_options[] = {
	{.name = "entry", .type = OPTION_INT, .flags = OPTION_FLAG_ONLY, .value = "INDEX", .min = 0, .max = -1,
	 .doc = "Only this entry, by a proof that the log has it."},
	END_OPTIONS,
};
static const struct option_row keys_new_options[] = {
	OPTION_PASSPHRASES,
	{.name = "out", .letter = 'o', .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY, .value = "FILE", .doc = "Write it there instead."},
	{.name = "description", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY, .value = "TEXT", .doc = "What it is for (sovereign keys)."},
	END_OPTIONS,
};
static const struct option_row keys_import_options[] = {
	OPTION_PASSPHRASES,
	{.name = "from", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY, .value = "FILE",
	 .doc = "Where the private key is (default: standard input)."},
	{.name = "out", .letter = 'o', .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY, .value = "FILE", .doc = "Write it there instead."},
	{.name = "description", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY, .value = "TEXT", .doc = "What it is for (sovereign keys)."},
	END_OPTIONS,
};
static const struct option_row keys_show_options[] = {
	{.name = "private", .type = OPTION_BOOL, .flags = OPTION_FLAG_ONLY, .doc = "Show the private key too; asks first."},
	END_OPTIONS,
};
static const struct option_row keys_passphrase_options[] = {
	{.name = "passphrase-file", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY, .value = "FILE",
	 .doc = "The new passphrase is in the first line of this file."},
	{.name = "remove", .type = OPTION_BOOL, .flags = OPTION_FLAG_ONLY, .doc = "Keep the key in the clear from now on."},
	END_OPTIONS,
};
static const struct option_row new_user_options[] = {
	{.name = "display-name", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY, .value = "TEXT", .doc = "The name people see."},
	OPTION_PASSPHRASES,
	END_OPTIONS,
};
static const struct option_row config_show_options[] = {
	{.name = "origin", .type = OPTION_BOOL, .flags = OPTION_FLAG_ONLY, .doc = "Tell where each value comes from."},
	END_OPTIONS,
};

/* Who signs a token. */
#define OPTIONS_SIGNER                                                                                                                  \
	OPTION_NODE_ID("Which node's service signs (default: that of the local t4, this machine's, or the only one)."),                  \
		{.name = "service", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY, .value = "TYPE",                                     \
		 .doc = "Which of its services (default: ledger, or the only one)."},                                                    \
		{.name = "key", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY, .value = "FILE",                                         \
		 .doc = "Its key file (default: <nodeId>-<service>-key.json)."},                                                         \
	{                                                                                                                                \
		.name = "audience", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY, .value = "NODE/SERVICE",                             \
		.doc = "Which service is called (default: the t4 of the signing node)."                                                  \
	}
static const struct argument_row files_args[] = {
	{.name = "file", .required = true, .repeated = true, .doc = "A file; - is standard input.", .complete = "file"}, END_ARGS};
static const struct argument_row hashes_args[] = {{.name = "hash", .required = true, .repeated = true, .doc = "A content's SHA-256."},
						  END_ARGS};
static const struct argument_row maybe_hashes_args[] = {
	{.name = "hash", .repeated = true,
	 .doc = "What to copy; - reads hashes from standard input. Without it: everything the source lists."}, END_ARGS};
static const struct argument_row prefix_args[] = {{.name = "prefix", .doc = "Only hashes that begin so."}, END_ARGS};
static const struct argument_row token_args[] = {{.name = "token", .doc = "The token; without it, or with -, from standard input."},
						 END_ARGS};
static const struct option_row signer_options[] = {OPTIONS_SIGNER, END_OPTIONS};
static const struct option_row content_get_options[] = {
	{.name = "out", .letter = 'o', .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY, .value = "FILE",
	 .doc = "Into this file, or this directory under its hash (default: standard output)."},
	{.name = "force", .letter = 'f', .type = OPTION_BOOL, .flags = OPTION_FLAG_ONLY, .doc = "Replace a file that is there."},
	END_OPTIONS,
};
static const struct option_row content_sync_options[] = {
	{.name = "from", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY, .value = "URL", .doc = "The store to copy from."},
	{.name = "from-node", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY, .value = "ID",
	 .doc = "Whose store that is, for the token that lists its contents (default: the signing node's)."},
	{.name = "repair", .type = OPTION_BOOL, .flags = OPTION_FLAG_ONLY, .doc = "Fetch what is here too: damaged copies are replaced."},
	OPTIONS_SIGNER,
	END_OPTIONS,
};
static const struct option_row token_new_options[] = {
	OPTIONS_SIGNER,
	{.name = "scope", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY | OPTION_REPEATABLE, .value = "SCOPE",
	 .doc = "What it is for: content:put, content:delete, content:list."},
	{.name = "content", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY, .value = "HASH", .doc = "Bind it to this content."},
	{.name = "size", .type = OPTION_SIZE, .flags = OPTION_FLAG_ONLY, .value = "BYTES", .doc = "Bind it to this size."},
	{.name = "lifetime", .type = OPTION_DURATION, .flags = OPTION_FLAG_ONLY, .value = "TIME", .fallback = "5m", .min = 1000,
	 .max = 3600000,
	 .doc = "For how long it is good."},
	END_OPTIONS,
};
static const struct option_row token_inspect_options[] = {
	{.name = "key", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY, .value = "KEY",
	 .doc = "Check it with this public key, or key file (default: the key that mesh knows)."},
	END_OPTIONS,
};

#include "commands_ledger.h"

static const struct argument_row code_args[] = {{.name = "code", .doc = "The code's text, or its link; - reads standard input."}, END_ARGS};
static const struct option_row auth_login_options[] = {
	{.name = "app-name", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY, .value = "NAME",
	 .doc = "What the phone is told that asks (default: tana on this machine)."},
	{.name = "show-token", .type = OPTION_BOOL, .flags = OPTION_FLAG_ONLY, .doc = "Print the token as well."},
	END_OPTIONS,
};
static const struct option_row auth_approve_options[] = {
	USER_AS,
	{.name = "image", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY, .value = "FILE", .doc = "A picture of the code."},
	{.name = "user-id", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY, .value = "ID",
	 .doc = "The user's id (default: what the key file says, else the ledger)."},
	{.name = "match-code", .type = OPTION_INT, .flags = OPTION_FLAG_ONLY, .value = "N", .min = 0, .max = 99,
	 .doc = "The number that the desktop shows, where one is asked for."},
	END_OPTIONS,
};
static const struct option_row auth_logout_options[] = {
	{.name = "all", .type = OPTION_BOOL, .flags = OPTION_FLAG_ONLY, .doc = "Everywhere this user is logged in."},
	END_OPTIONS,
};

const struct command tana_commands[] = {
	{.path = "start", .options = start_options, .run = cmd_start, .summary = "Start a network on this machine.",
	 .doc = "Starts each service, waits until it is ready, then starts the next. When one fails, the last lines of its log "
		"are shown and what was started is stopped. Everything of a chain lies under $XDG_STATE_HOME/tana/<chain>: "
		"its genesis, data, logs, and in run/ what is running. With --dev a chain is made when there is none (tana new chain). Where the systemd units are installed, this drives them instead, "
		"unless --dev, --foreground or --chain ask for a network of one's own.\n\n"
		"--json: {\"services\":[{service, state, pid, uptimeMs, url, version}]}.",
	 .example = "tana start --dev"},
	{.path = "stop", .options = stop_options, .run = cmd_stop, .summary = "Stop what tana start started.",
	 .doc = "--json: {\"stopped\":N}.", .example = "tana stop"},
	{.path = "restart", .options = restart_options, .run = cmd_restart, .summary = "Stop, and start again with the same options.",
	 .doc = "--json: as tana start.", .example = "tana restart"},
	{.path = "status", .run = cmd_status, .summary = "What runs on this machine.",
	 .doc = "The exit status is 0 when everything is ready, else 6.\n\n"
		"--json: {\"services\":[{service, state, pid, uptimeMs, url, version}]}.",
	 .example = "tana status"},
	{.path = "logs", .args = service_args, .options = logs_options, .run = cmd_logs, .summary = "What the services wrote.",
	 .doc = "--json: {service, line} for each line.", .example = "tana logs mesh -f"},
	{.path = "doctor", .run = cmd_doctor, .summary = "Look for what may be wrong.",
	 .doc = "Programs and their versions, services, the coordinator and its clock, the chain, key files, disk, Tailscale. The exit "
		"status is 6 when something is broken.\n\n"
		"--json: {\"findings\":[{check, state, detail, hint}]}; state is ok, odd or broken.",
	 .example = "tana doctor"},

	{.path = "mesh register", .options = register_options, .run = cmd_mesh_register,
	 .summary = "Register a node, or change its registration.",
	 .doc = "Makes the node's key, and one for each service, when they are not there; then sends the registration, signed "
		"as a whole. A node that is there already, with the same key, has its services and address changed, and keeps "
		"its status. Without --dev host name and address come from Tailscale.\n\n"
		"--json: {nodeId, status, network, publicKey, keyFile, tailscaleHostname, services}.",
	 .example = "tana mesh register --dev --node-id validator-2 --port-offset 100"},
	{.path = "mesh heartbeat", .options = heartbeat_options, .run = cmd_mesh_heartbeat,
	 .summary = "Tell the coordinator that a node lives.",
	 .doc = "Sends signed heartbeats until it is ended. What passes by itself (no coordinator, not approved yet) is waited "
		"for.\n\n"
		"--json: {success, timestamp} for each, one a line.",
	 .example = "tana mesh heartbeat --node-id validator-1 --interval 30s"},
	{.path = "mesh approve", .args = node_args, .options = decide_options, .run = cmd_mesh_approve, .summary = "Admit a pending node.",
	 .doc = "Shows the node and the very key it admits, and asks. The signature names the network, the node and that key.\n\n"
		"--json: {success, nodeId, status}.",
	 .example = "tana mesh approve validator-1"},
	{.path = "mesh deny", .args = node_args, .options = decide_options, .run = cmd_mesh_deny,
	 .summary = "Refuse a pending node, for good.",
	 .doc = "It stays denied until tana mesh reset.\n\n--json: {success, nodeId, status}.",
	 .example = "tana mesh deny stranger --reason \"not one of ours\""},
	{.path = "mesh remove", .args = node_args, .options = decide_options, .run = cmd_mesh_remove, .summary = "Remove a node.",
	 .doc = "--json: {success, nodeId, status}.", .example = "tana mesh remove validator-9"},
	{.path = "mesh reset", .args = node_args, .options = decide_options, .run = cmd_mesh_reset,
	 .summary = "Let a denied node be decided on anew.",
	 .doc = "--json: {success, nodeId, status}.", .example = "tana mesh reset stranger"},
	{.path = "mesh list", .options = list_options, .run = cmd_mesh_list, .summary = "The nodes of the network.",
	 .doc = "Active ones, unless --status or --all say otherwise. A service with ! was reported ill.\n\n"
		"--json: {\"nodes\":[...]}, as the coordinator gives them.",
	 .example = "tana mesh list --all"},
	{.path = "mesh status", .args = maybe_node_args, .options = NULL, .run = cmd_mesh_status,
	 .summary = "The network, or one node, in detail.",
	 .doc = "For a node the exit status is 0 when it is active and its services are healthy, else 6.\n\n"
		"--json: {url, network, coordinator, version, uptimeMs, active, offline, pending, denied, sovereigns, ownNode, "
		"ownStatus}; for a node {node, heartbeats}.",
	 .example = "tana mesh status validator-1"},
	{.path = "mesh topology", .options = topology_options, .run = cmd_mesh_topology, .summary = "Who to connect to; with proof.",
	 .doc = "The signed snapshot can be handed on and checked anywhere: each member comes with its own registration and "
		"with its admission by a sovereign key. --verify checks all of it, starting from the sovereign keys you trust; "
		"an expired snapshot, or an older one than was seen before, is refused with exit status 6.\n\n"
		"--json: {\"nodes\":[...]}; with --verify {network, coordinator, version, issued, expires, sovereigns, peers}.",
	 .example = "tana mesh topology --from peers.json --trust ed25519_..."},
	{.path = "mesh watch", .run = cmd_mesh_watch, .summary = "Show what happens, as it happens.",
	 .doc = "Connects again when the stream ends, and goes on where it was.\n\n"
		"--json: {id, type, data} for each event, one a line.",
	 .example = "tana mesh watch"},
	{.path = "mesh invite", .options = invite_options, .run = cmd_mesh_invite,
	 .summary = "Make an invite: whoever has its code is admitted.",
	 .doc = "The code is a private key that the coordinator never sees; it is shown once.\n\n"
		"--json: {code, publicKey, network, uses, expires}.",
	 .example = "tana mesh invite --uses 3 --expires 48h"},
	{.path = "mesh invites", .run = cmd_mesh_invites, .summary = "The invites there are.",
	 .doc = "--json: {\"invites\":[...]}, as the coordinator gives them.",
	 .example = "tana mesh invites"},
	{.path = "mesh invite-revoke", .args = invite_args, .options = key_options, .run = cmd_mesh_invite_revoke,
	 .summary = "Revoke an invite.",
	 .doc = "--json: {success}.", .example = "tana mesh invite-revoke ed25519_..."},
	{.path = "mesh sovereign list", .run = cmd_mesh_sovereign_list, .summary = "The keys that decide.",
	 .doc = "--json: {\"sovereigns\":[...]}, as the coordinator gives them.", .example = "tana mesh sovereign list"},
	{.path = "mesh sovereign add", .args = sovereign_args, .options = sovereign_add_options, .run = cmd_mesh_sovereign_add,
	 .summary = "Let another key decide too.",
	 .doc = "--json: {success, publicKey}.", .example = "tana mesh sovereign add ed25519_... --description alice"},
	{.path = "mesh sovereign rotate", .options = key_options, .run = cmd_mesh_sovereign_rotate,
	 .summary = "Replace your sovereign key by a new one.",
	 .doc = "Both keys sign. If it is cut short, run it again: it goes on where it was.\n\n--json: {oldPublicKey, newPublicKey, keyFile}.",
	 .example = "tana mesh sovereign rotate"},
	{.path = "mesh sovereign remove", .args = sovereign_args, .options = key_options, .run = cmd_mesh_sovereign_remove,
	 .summary = "Take a key's power away.",
	 .doc = "The last one cannot go.\n\n--json: {success, publicKey}.", .example = "tana mesh sovereign remove ed25519_..."},
	{.path = "mesh rotate-key", .options = rotate_key_options, .run = cmd_mesh_rotate_key,
	 .summary = "Replace a node's key by a new one.",
	 .doc = "Both keys sign; the node's status and admission stay. If it is cut short, run it again: it goes on where it "
		"was. The chain knows a validator by its key too, and is told by tana validator update ID --public-key KEY while the ledger still runs with the "
		"old one; afterwards the ledger is started again.\n\n"
		"--json: {nodeId, oldPublicKey, newPublicKey, keyFile}.",
	 .example = "tana mesh rotate-key --node-id validator-1"},
	{.path = "mesh audit", .options = audit_options, .run = cmd_mesh_audit, .summary = "The log of every signed change.",
	 .doc = "--json: {\"entries\":[...], nextCursor?}, as the coordinator gives them; with --follow one entry a line.",
	 .example = "tana mesh audit --follow"},
	{.path = "mesh audit verify", .options = audit_verify_options, .run = cmd_mesh_audit_verify,
	 .summary = "Check the whole log, and that history was not rewritten.",
	 .doc = "Reads every entry, checks every signature and that its key could decide that then, computes the tree's root "
		"and holds it against the head that the coordinator signed. The head is remembered in known.json of the chain's "
		"state folder: the next time the log must continue it, by a consistency proof. Exit status 6 when anything does "
		"not hold.\n\n"
		"--json: {network, coordinator, size, root, sovereigns, continuesSize}; with --entry the entry.",
	 .example = "tana mesh audit verify"},

	{.path = "content put", .args = files_args, .options = signer_options, .run = cmd_content_put,
	 .summary = "Store files; prints their hashes.",
	 .doc = "The exit status is that of the first file that failed; the others are stored all the same.\n\n"
		"--json: {\"content\":[{file, hash, size, stored}]}; stored is false for what was there already.",
	 .example = "tana content put README.md"},
	{.path = "content get", .args = hashes_args, .options = content_get_options, .run = cmd_content_get,
	 .summary = "Fetch contents by their hashes.",
	 .doc = "What comes is checked against its hash before it is written to standard output, or gets its name. A file that was "
		"cut short is kept as .NAME.HASH.part and goes on from there when the command is run again.\n\n"
		"--json (with --out): {\"content\":[{hash, file, size, resumedAt}]}.",
	 .example = "tana content get 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824 --out hello.txt"},
	{.path = "content has", .args = hashes_args, .run = cmd_content_has, .summary = "Is it stored?",
	 .doc = "The exit status is 0 when all of them are there, else 1.\n\n--json: {\"content\":[{hash, there}]}.",
	 .example = "tana content has 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"},
	{.path = "content rm", .args = hashes_args, .options = signer_options, .run = cmd_content_rm, .summary = "Delete contents.",
	 .doc = "--json: {\"deleted\":[hash]}.",
	 .example = "tana content rm 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"},
	{.path = "content ls", .args = prefix_args, .options = signer_options, .run = cmd_content_ls, .summary = "What is stored.",
	 .doc = "Hash and bytes of each.\n\n--json: {hash, size} for each, one a line.", .example = "tana content ls 2cf2"},
	{.path = "content sync", .args = maybe_hashes_args, .options = content_sync_options, .run = cmd_content_sync,
	 .summary = "Copy from another node's store what is missing here.",
	 .doc = "Each content is fetched, checked against its hash, and then stored here: the other store need not be trusted.\n\n"
		"--json: {checked, copied, bytes, failed}.",
	 .example = "tana content sync --from http://validator-2:8180 < hashes.txt -"},

	{.path = "auth login", .options = auth_login_options, .run = cmd_auth_login, .summary = "Log in by a code that your phone scans.",
	 .doc = "Shows a QR code, and the same as a link, and waits until the phone has approved. The login is kept in "
		"~/.config/tana/logins/. Exit status 5: nobody approved in time; 1: the phone said no.\n\n"
		"--json: {server, userId, username, expiresAt, sessionToken?}; the code goes to standard error.",
	 .example = "tana auth login"},
	{.path = "auth approve", .args = code_args, .options = auth_approve_options, .run = cmd_auth_approve,
	 .summary = "Approve a login, as the phone would.",
	 .doc = "Takes the text of a login's QR code, the link of the login page, or a picture of the code (read by zbarimg). Shows what asks "
		"and from where, and signs with the user's key after a yes. A no is told to the desktop.\n\n"
		"--json: {success, sessionToken, userId, username, expiresAt}.",
	 .example = "tana auth approve --as @alice --image screenshot.png"},
	{.path = "auth status", .run = cmd_auth_status, .summary = "Who is logged in here, and where else.",
	 .doc = "Exit status 4: nobody.\n\n--json: {server, userId, username, publicKey, role?, expiresAt, sessions:[{id, kind, appName, ...}]}.",
	 .example = "tana auth status"},
	{.path = "auth logout", .options = auth_logout_options, .run = cmd_auth_logout, .summary = "End the login of this machine.",
	 .doc = "--json: {success, revoked}.", .example = "tana auth logout --all"},

	{.path = "token new", .options = token_new_options, .run = cmd_token_new, .summary = "Make a service auth token.",
	 .doc = "Signed with a service's key. Bound to a content and a size it is an upload grant, to be handed on.\n\n"
		"--json: {token, kid, aud, scope?, content?, size?, exp}.",
	 .example = "tana token new --node-id validator-1 --scope content:put --lifetime 1m"},
	{.path = "token inspect", .args = token_args, .options = token_inspect_options, .run = cmd_token_inspect,
	 .summary = "What a token says, and whether it holds.",
	 .doc = "Judged as the service it is for would. The exit status is 0 when it holds, else 6.\n\n"
		"--json: {iss, sub, aud, iat, exp, jti, scope?, content?, size?, valid, code?, problem?, keyFrom?}; valid is null when "
		"the key is not known.",
	 .example = "tana token inspect < token.txt"},

	{.path = "keys new", .args = kind_args, .options = keys_new_options, .run = cmd_keys_new, .summary = "Make a key.",
	 .doc = "tana keys new sovereign | tana keys new node validator-1 | tana keys new service validator-1 t4. A key that is "
		"there is never replaced.\n\n"
		"--json: {file, publicKey, sealed}.",
	 .example = "tana keys new sovereign --passphrase"},
	{.path = "keys list", .run = cmd_keys_list, .summary = "Your keys.",
	 .doc = "--json: {\"keys\":[{file, kind, name, publicKey, sealed, problem?}]}.", .example = "tana keys list"},
	{.path = "keys show", .args = key_args, .options = keys_show_options, .run = cmd_keys_show, .summary = "One key.",
	 .doc = "--json: {file, name, publicKey, privateKey?, sealed}.", .example = "tana keys show sovereign"},
	{.path = "keys import", .args = kind_args, .options = keys_import_options, .run = cmd_keys_import,
	 .summary = "Make a key file of a private key you have.",
	 .doc = "Reads ed25519_ and 64 hex digits from standard input or a file, never from the command line, which others can "
		"see.\n\n"
		"--json: {file, publicKey, sealed}.",
	 .example = "tana keys import node validator-1 --from old-key.txt"},
	{.path = "keys passphrase", .args = key_args, .options = keys_passphrase_options, .run = cmd_keys_passphrase,
	 .summary = "Set, change or remove a key's passphrase.",
	 .doc = "--json: {file, publicKey, sealed}.", .example = "tana keys passphrase sovereign"},

	{.path = "new user", .args = user_args, .options = new_user_options, .run = cmd_new_user,
	 .summary = "Make a user: a name and a key.",
	 .doc = "--json: {username, displayName, publicKey, keyFile}.", .example = "tana new user @alice --display-name \"Alice\""},

#include "commands_ledger.def"

	{.path = "config show", .options = config_show_options, .run = cmd_config_show, .summary = "What is set.",
	 .doc = "--json: {\"settings\":[{name, value, origin}]}.", .example = "tana config show --origin"},
	{.path = "config check", .run = cmd_config_check, .summary = "Are options and key files in order?",
	 .doc = "Options of all sources, key files, and whether others can read what is kept of chains and logins. The exit status is 1 when something is wrong.\n\n"
		"--json: {problems, keys, \"found\":[{path, problem, hint?}]}.",
	 .example = "tana config check"},
	{0},
};
