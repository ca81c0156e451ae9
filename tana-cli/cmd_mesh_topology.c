/* mesh topology: who to connect to, and the signed snapshot that proves it offline. */
#include <stdio.h>

#include "base/clock.h"
#include "base/file.h"
#include "client/mesh_snapshot.h"
#include "commands.h"
#include "keystore.h"
#include "known.h"
#include "output.h"
#include "paths.h"

enum { NAME_WIDTH = 12 };

static const struct column columns[] = {
	{"NODE", ALIGN_LEFT}, {"ROLE", ALIGN_LEFT}, {"HOST", ALIGN_LEFT}, {"ADDRESS", ALIGN_LEFT}, {"SERVICES", ALIGN_LEFT}};

static struct str services_text(struct arena *arena, const struct json_list *services)
{
	const struct mesh_service *s = services->items;
	struct buf text = {0};
	for (size_t i = 0; i < services->count; i++)
		buf_printf(&text, "%s%.*s:%lld", i ? " " : "", STR_ARG(s[i].type), (long long)s[i].port);
	struct str out = arena_copy(arena, buf_str(&text));
	buf_free(&text);
	return out;
}

static void put_row(struct table *t, struct str id, struct str role, struct str host, struct str ip, const struct json_list *services)
{
	table_cell(t, TINT_BOLD, id);
	table_cell(t, TINT_NONE, role);
	table_cell(t, TINT_NONE, host);
	table_cell(t, TINT_NONE, ip);
	table_cell(t, TINT_NONE, services_text(t->arena, services));
}

/* The coordinator's plain word. */
static bool show_plain(struct cli *c, struct error *err)
{
	struct mesh_node_list list;
	struct table t;
	if (!mesh_client_topology(c->mesh, &c->arena, &list, err))
		return false;
	if (c->json) {
		json_print(&mesh_topology_message, &list);
		return true;
	}
	if (list.nodes.count == 0) {
		say(c, "No active nodes.");
		hint(c, "see who is registered: tana mesh list --all");
		return true;
	}
	const struct mesh_node *n = list.nodes.items;
	table_begin(&t, &c->arena, columns, ARRAY_LEN(columns));
	for (size_t i = 0; i < list.nodes.count; i++)
		put_row(&t, n[i].id, n[i].role, n[i].tailscale_hostname, n[i].tailscale_ip, &n[i].services);
	table_print(&t);
	return true;
}

/* The signed snapshot. */

/* The sovereign keys to start from: --trust, and the one in the key folder. */
static bool trusted_keys(struct cli *c, struct mesh_trust *trust, struct error *err)
{
	size_t named = option_count(c->in, "trust");
	struct ed25519_public *keys = arena_zalloc(&c->arena, named + 1, sizeof *keys);
	const char *own = path_sovereign_key(&c->arena);
	struct keyfile k;
	for (size_t i = 0; i < named; i++)
		if (!ed25519_public_from_text(str_from(option_at(c->in, "trust", i)), KEY_LENIENT, &keys[i], err))
			return error_set(err, ERR_USAGE, "--trust takes a sovereign's public key, not '%s'.", option_at(c->in, "trust", i));
	trust->keys = keys;
	trust->key_count = named;
	if (file_exists(own)) {
		if (!keystore_look(c, own, &k, err))
			return false;
		keys[trust->key_count++] = k.public_key;
	}
	if (trust->key_count)
		return true;
	error_set(err, ERR_KEY_NEEDED, "A snapshot is checked against sovereign keys you trust, and you named none.");
	return error_hint(err, "--trust ed25519_...; get the key from its owner, not from the coordinator");
}

struct peer_report {
	struct str network, coordinator;
	int64_t version, issued, expires;
	struct json_list peers, sovereigns;
};
static const struct json_field peer_rows[] = {
	F_TEXT(struct mesh_peer, id, "id", 0, 0, "The node."),
	F_TEXT(struct mesh_peer, public_key, "publicKey", 0, 0, "Its key."),
	F_TEXT(struct mesh_peer, hostname, "tailscaleHostname", 0, 0, "Its host."),
	F_TEXT(struct mesh_peer, ip, "tailscaleIP", 0, 0, "Its address."),
	F_TEXT(struct mesh_peer, role, "role", 0, 0, "validator or observer"),
	F_LIST(struct mesh_peer, services, "services", 0, 0, &mesh_service_message, "What it offers."),
	F_TEXT(struct mesh_peer, admitted_by, "admittedBy", 0, 0, "The sovereign key."),
	F_INT(struct mesh_peer, admitted_at, "admittedAt", 0, 0, 0, "When."),
};
static JSON_MESSAGE(peer_message, "Peer", struct mesh_peer, peer_rows);
static const struct json_field peer_report_rows[] = {
	F_TEXT(struct peer_report, network, "network", 0, 0, "The network."),
	F_TEXT(struct peer_report, coordinator, "coordinator", 0, 0, "The coordinator's key."),
	F_INT(struct peer_report, version, "version", 0, 0, 0, "Version of the snapshot."),
	F_INT(struct peer_report, issued, "issued", 0, 0, 0, "When it was made."),
	F_INT(struct peer_report, expires, "expires", 0, 0, 0, "Until when it holds."),
	F_TEXTS(struct peer_report, sovereigns, "sovereigns", 0, 0, NULL, "The keys that decide."),
	F_LIST(struct peer_report, peers, "peers", 0, 0, &peer_message, "The members, each shown by its own signatures."),
};
static JSON_MESSAGE(peer_report_message, "PeerReport", struct peer_report, peer_report_rows);

static void print_peers(struct cli *c, const struct mesh_peers *p)
{
	struct table t;
	const struct mesh_peer *peers = p->peers.items;
	if (c->json) {
		struct peer_report r = {p->network, p->coordinator, p->version, p->issued, p->expires, p->peers, p->sovereigns};
		json_print(&peer_report_message, &r);
		return;
	}
	pair_printf(NAME_WIDTH, "snapshot", TINT_GOOD, "verified: version %lld of network %.*s", (long long)p->version, STR_ARG(p->network));
	pair_printf(NAME_WIDTH, "issued", TINT_NONE, "%.*s, expires %.*s", STR_ARG(when(&c->arena, p->issued)),
		    STR_ARG(when(&c->arena, p->expires)));
	pair_print(NAME_WIDTH, "coordinator", TINT_NONE, p->coordinator);
	pair_printf(NAME_WIDTH, "members", TINT_NONE, "%zu, each admitted by a key that a trusted sovereign key vouches for", p->peers.count);
	if (p->unsigned_services)
		pair_printf(NAME_WIDTH, "note", TINT_WARN, "%zu registered in the short form: their services are the coordinator's word",
			    p->unsigned_services);
	if (p->peers.count == 0)
		return;
	putchar('\n');
	table_begin(&t, &c->arena, columns, ARRAY_LEN(columns));
	for (size_t i = 0; i < p->peers.count; i++)
		put_row(&t, peers[i].id, peers[i].role, peers[i].hostname, peers[i].ip, &peers[i].services);
	table_print(&t);
}

/* Enough of a snapshot to know what to hold it against. */
struct snapshot_head {
	struct str network;
};
static const struct json_field snapshot_head_rows[] = {
	F_FORM(struct snapshot_head, network, "network", JSON_REQUIRED, &form_network, "The network.")};
static JSON_MESSAGE(snapshot_head_message, "SnapshotHead", struct snapshot_head, snapshot_head_rows);

static bool verify(struct cli *c, struct str text, struct error *err)
{
	struct mesh_trust trust = {.now = clock_wall_ms(), .network = str_from(option_text(c->in, "network"))};
	struct mesh_peers peers;
	struct known_log known;
	struct snapshot_head head;
	if (!trusted_keys(c, &trust, err))
		return false;
	c->status = EXIT_UNHEALTHY; /* what fails from here on is the snapshot's fault */
	struct error why;
	if (!json_read_text(text, &snapshot_head_message, &head, &c->arena, &why))
		return error_set(err, why.code, "This is no snapshot: %s", why.message);
	/* What was seen of this network before: it may only be the same coordinator's, and not older. */
	if (!known_log_get(c, head.network, &known, err))
		return false;
	trust.coordinator = known.coordinator;
	trust.version_min = known.snapshot_version;
	if (!mesh_snapshot_verify(text, &trust, &c->arena, &peers, err)) {
		if (err->code == ERR_BAD_SIGNATURE && str_present(known.coordinator))
			error_hint(err, "if the network was set up anew, forget the old one: rm %s",
				   path_state(&c->arena, cli_chain(c), "known.json"));
		return false;
	}
	known.coordinator = peers.coordinator;
	known.snapshot_version = peers.version;
	if (!known_log_put(c, &known, err))
		return false;
	c->status = EXIT_DONE;
	print_peers(c, &peers);
	return true;
}

static bool fetch(struct cli *c, struct buf *out, struct error *err)
{
	const char *from = option_text(c->in, "from");
	if (from)
		return file_read(from, MESH_SNAPSHOT_MAX, out, err);
	return cli_mesh(c, err) && mesh_client_snapshot(c->mesh, out, err);
}

static bool snapshot(struct cli *c, struct error *err)
{
	const char *keep = option_text(c->in, "snapshot");
	bool check = option_bool(c->in, "verify") || option_text(c->in, "from");
	struct buf text = {0};
	bool ok = fetch(c, &text, err) && (!check || verify(c, buf_str(&text), err));
	if (ok && keep) {
		ok = file_write_atomic(keep, buf_str(&text), 0644, FILE_REPLACE, err);
		if (ok && !check && c->json)
			json_print_text(buf_str(&text));
		if (ok)
			note(c, "Wrote the snapshot to %s%s", keep, check ? "" : "; its signatures were not checked (--verify)");
	}
	buf_free(&text);
	return ok;
}

static bool topology(struct cli *c, struct error *err)
{
	if (option_text(c->in, "snapshot") || option_bool(c->in, "verify") || option_text(c->in, "from"))
		return snapshot(c, err);
	return cli_mesh(c, err) && show_plain(c, err);
}

int cmd_mesh_topology(struct invocation *in)
{
	return cli_run(in, topology);
}
