#include "cli.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/daemon.h"
#include "known.h"
#include "output.h"
#include "paths.h"
#include "services.h"

volatile int cli_interrupted;

/* It becomes part of paths. */
static bool chain_valid(const struct cli *c, struct error *err)
{
	return path_name_valid(str_from(cli_chain(c))) ||
	       error_set(err, ERR_USAGE, "'%s' is no name for a chain: 1-64 letters, digits, . _ -, not beginning with a dot.", cli_chain(c));
}

int cli_run(struct invocation *in, cli_command *work)
{
	struct cli c = {.in = in,
			.json = option_bool(in, "json"),
			.quiet = option_bool(in, "quiet"),
			.yes = option_bool(in, "yes"),
			.status = EXIT_DONE};
	struct error err;
	arena_init(&c.arena);
	int status;
	if (chain_valid(&c, &err) && work(&c, &err)) {
		status = c.status;
	} else {
		if (err.code == ERR_UNREACHABLE && !err.hint[0] && c.ledger && !c.mesh)
			error_hint(&err, "start a network here: tana start --dev; or say where its ledger is: --ledger-url URL, TANA_LEDGER_URL");
		else if (err.code == ERR_UNREACHABLE && !err.hint[0])
			error_hint(&err, "start a network here: tana start --dev; or say where it is: --mesh-url URL, MESH_URL");
		status = program_fail(in, &err);
		if (c.status != EXIT_DONE)
			status = c.status;
	}
	mesh_client_free(c.mesh);
	ledger_client_free(c.ledger);
	strmap_free(&c.labels);
	arena_free(&c.arena);
	return status;
}

const char *cli_chain(const struct cli *c)
{
	return c->chain ? c->chain : option_text(c->in, "chain");
}

const char *cli_chain_flag(struct cli *c)
{
	bool given = strcmp(option_origin(c->in, "chain"), "flag --chain") == 0;
	return given ? arena_printf(&c->arena, " --chain %s", cli_chain(c)).p : "";
}

const char *cli_service_url(struct cli *c, const char *service, const char **origin)
{
	const char *option = arena_printf(&c->arena, "%s-url", service).p;
	const char *from = option_origin(c->in, option), *url = option_text(c->in, option);
	/* Nobody named one: a local network that was started on another port is meant before the default. */
	if (strcmp(from, "default") == 0) {
		const char *running = service_running_url(c, service);
		if (running) {
			url = running;
			from = "tana start";
		}
	}
	if (origin)
		*origin = from;
	return url;
}

struct mesh_client *cli_mesh(struct cli *c, struct error *err)
{
	if (!c->mesh) {
		const char *agent = arena_printf(&c->arena, "tana/%s", tana_version()).p;
		c->mesh = mesh_client_new(cli_service_url(c, "mesh", NULL), agent, option_int(c->in, "timeout"), err);
	}
	return c->mesh;
}

/* The name the coordinator gives its network, held against what is remembered of it. */
static bool network_of_coordinator(struct cli *c, struct str *network, struct error *err)
{
	struct mesh_about about;
	struct str known;
	const char *url = mesh_client_url(c->mesh);
	if (!mesh_client_about(c->mesh, &c->arena, &about, err) || !known_network(c, url, &known, err))
		return false;
	if (!str_present(about.network)) {
		error_set(err, ERR_CONFIG, "%s does not say which network it keeps.", url);
		return error_hint(err, "name it: --network NAME");
	}
	if (str_present(known) && !str_equal(known, about.network)) {
		error_set(err, ERR_WRONG_NETWORK, "%s now calls its network '%.*s'; it was '%.*s' before. Nothing was signed.", url,
			  STR_ARG(about.network), STR_ARG(known));
		return error_hint(err, "if that is right, say so: --network %.*s", STR_ARG(about.network));
	}
	*network = about.network;
	if (str_present(known))
		return true;
	note(c, "Network '%.*s' at %s: first contact, its name is remembered.", STR_ARG(about.network), url);
	return known_remember_network(c, url, about.network, err);
}

struct mesh_client *cli_mesh_signing(struct cli *c, struct error *err)
{
	struct str network = str_from(option_text(c->in, "network"));
	if (!cli_mesh(c, err))
		return NULL;
	if (str_present(mesh_client_network(c->mesh)))
		return c->mesh;
	if (!str_present(network) && !network_of_coordinator(c, &network, err))
		return NULL;
	return mesh_client_set_network(c->mesh, network, err) ? c->mesh : NULL;
}

bool cli_node_id(const char *text, struct str *out, struct error *err)
{
	*out = str_from(text);
	return mesh_node_id_valid(*out) ||
	       error_set(err, ERR_USAGE, "'%s' is no node id: 1-%d of a-z 0-9 . _ -, beginning with a letter or digit.", text,
			 MESH_NODE_ID_MAX);
}

const char *cli_machine_id(struct cli *c)
{
	char name[MESH_NODE_ID_MAX + 1] = "";
	if (gethostname(name, sizeof name - 1) != 0 || !name[0])
		return "node";
	for (char *p = name; *p; p++) {
		bool upper = *p >= 'A' && *p <= 'Z',
		     fits = (*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || *p == '.' || *p == '-' || *p == '_';
		*p = upper ? (char)(*p - 'A' + 'a') : fits ? *p : '-';
	}
	return arena_strdup(&c->arena, name[0] == '-' || name[0] == '.' || name[0] == '_' ? "node" : name);
}

static void on_signal(int number)
{
	cli_interrupted = number;
}

void cli_catch_interrupts(void)
{
	struct sigaction a = {.sa_handler = on_signal}; /* no SA_RESTART: what waits comes back */
	sigemptyset(&a.sa_mask);
	sigaction(SIGINT, &a, NULL);
	sigaction(SIGTERM, &a, NULL);
}

bool cli_watching(void)
{
	return !cli_interrupted && !ferror(stdout);
}

bool cli_sleep(int64_t ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000};
	while (!cli_interrupted && nanosleep(&t, &t) != 0 && errno == EINTR)
		continue;
	return !cli_interrupted;
}
