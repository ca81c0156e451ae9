/* mesh audit, mesh audit verify: the log of every signed change, read and held to account. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "client/mesh_auditor.h"
#include "commands.h"
#include "known.h"
#include "output.h"
#include "paths.h"
#include "wire/mesh_statement.h"

enum { FOLLOW_MS = 2000, PAGE = MESH_LIST_MAX, NAME_WIDTH = 11 };

/* "approve validator-1": what a signed message does, for people. */
static struct str what_of(struct arena *a, struct str message)
{
	struct mesh_statement s;
	struct error ignored;
	if (!mesh_statement_parse(message, &s, a, &ignored))
		return message;
	switch (s.kind) {
	case STATEMENT_REGISTER_SHORT:
	case STATEMENT_REGISTER_FULL:
		return arena_printf(a, "register %.*s%s", STR_ARG(s.node_id), s.registration.invite ? " by invite" : "");
	case STATEMENT_DECISION:
	case STATEMENT_DECISION_OLD:
		return arena_printf(a, "%s %.*s", mesh_action_text(s.action), STR_ARG(s.node_id));
	case STATEMENT_SOVEREIGN_INIT:
		return arena_printf(a, "first sovereign %.*s", STR_ARG(short_key(a, s.public_key)));
	case STATEMENT_SOVEREIGN_ADD:
		return arena_printf(a, "add sovereign %.*s", STR_ARG(short_key(a, s.public_key)));
	case STATEMENT_SOVEREIGN_REMOVE:
		return arena_printf(a, "remove sovereign %.*s", STR_ARG(short_key(a, s.public_key)));
	case STATEMENT_SOVEREIGN_ROTATE:
		return arena_printf(a, "rotate sovereign to %.*s", STR_ARG(short_key(a, s.new_key)));
	case STATEMENT_NODE_ROTATE:
		return arena_printf(a, "rotate key of %.*s", STR_ARG(s.node_id));
	case STATEMENT_INVITE:
		return arena_printf(a, "invite %.*s for %lld", STR_ARG(short_key(a, s.public_key)), (long long)s.uses);
	case STATEMENT_INVITE_REVOKE:
		return arena_printf(a, "revoke invite %.*s", STR_ARG(short_key(a, s.public_key)));
	case STATEMENT_EXPIRE:
		return arena_printf(a, "registration of %.*s expired", STR_ARG(s.node_id));
	}
	return message;
}

/* An outcome is a state, "ok", or the code of a refusal. */
static enum tint outcome_tint(struct arena *a, struct str outcome)
{
	enum error_code code;
	return error_code_from_text(arena_copy(a, outcome).p, &code) ? TINT_BAD : TINT_NONE;
}

static void print_entries(const struct mesh_audit_entry *e, size_t count, struct arena *arena)
{
	static const struct column columns[] = {
		{"INDEX", ALIGN_RIGHT}, {"TIME", ALIGN_LEFT}, {"WHAT", ALIGN_LEFT}, {"OUTCOME", ALIGN_LEFT}, {"BY", ALIGN_LEFT}};
	struct table t;
	table_begin(&t, arena, columns, ARRAY_LEN(columns));
	for (size_t i = 0; i < count; i++) {
		table_cellf(&t, TINT_DIM, "%lld", (long long)e[i].index);
		table_cell(&t, TINT_NONE, date(arena, e[i].time));
		table_cell(&t, TINT_BOLD, what_of(arena, e[i].message));
		table_cell(&t, outcome_tint(arena, e[i].outcome), e[i].outcome);
		table_cell(&t, TINT_DIM, short_key(arena, e[i].public_key));
	}
	table_print(&t);
}

/* One line an entry, as they come; under --json one document a line. */
static void print_line(const struct cli *c, const struct mesh_audit_entry *e, struct arena *a)
{
	if (c->json)
		json_print(&mesh_audit_entry_message, e);
	else
		say(c, "%6lld  %.*s  %s  %s  %.*s", (long long)e->index, STR_ARG(date(a, e->time)),
		    padded(a, TINT_BOLD, what_of(a, e->message), 32), padded(a, outcome_tint(a, e->outcome), e->outcome, 10),
		    STR_ARG(printable(a, short_key(a, e->public_key))));
}

/* The log's signed head, opened with the coordinator's key. Whose key that is, known_log remembers. */
struct head {
	struct mesh_about about;
	struct checkpoint checkpoint;
	struct str note;
};

static bool fetch_head(struct cli *c, struct head *h, struct error *err)
{
	struct buf text = {0};
	struct ed25519_public key;
	if (!cli_mesh(c, err) || !mesh_client_about(c->mesh, &c->arena, &h->about, err))
		return false;
	if (!str_present(h->about.coordinator) || !str_present(h->about.network))
		return error_set(err, ERR_BAD_ANSWER, "%s does not tell its network and its key.", mesh_client_url(c->mesh));
	bool ok = ed25519_public_from_text(h->about.coordinator, KEY_LENIENT, &key, err) && mesh_client_checkpoint(c->mesh, &text, err) &&
		  checkpoint_open(buf_str(&text), &key, &h->checkpoint, err);
	h->note = arena_copy(&c->arena, buf_str(&text));
	buf_free(&text);
	return ok;
}

static bool follow(struct cli *c, int64_t after, struct error *err)
{
	cli_catch_interrupts();
	do {
		struct arena arena;
		struct mesh_audit page;
		bool more = true;
		arena_init(&arena);
		while (more && cli_watching()) {
			bool ok = mesh_client_audit(c->mesh, after, PAGE, &arena, &page, err);
			if (!ok && err->code != ERR_UNREACHABLE && err->code != ERR_TIMED_OUT && err->code != ERR_UNAVAILABLE) {
				arena_free(&arena);
				return false;
			}
			const struct mesh_audit_entry *e = ok ? page.entries.items : NULL;
			for (size_t i = 0; ok && i < page.entries.count; i++) {
				print_line(c, &e[i], &arena);
				after = e[i].index;
			}
			more = ok && str_present(page.next_cursor);
		}
		arena_free(&arena);
	} while (cli_sleep(FOLLOW_MS) && cli_watching());
	c->status = cli_interrupted == SIGINT ? EXIT_INTERRUPTED : EXIT_DONE;
	return true;
}

static bool audit(struct cli *c, struct error *err)
{
	struct mesh_audit page;
	int64_t limit = option_int(c->in, "limit"), after = option_int(c->in, "after");
	if (!cli_mesh(c, err))
		return false;
	if (!option_text(c->in, "after")) { /* the newest ones */
		struct head h;
		if (!fetch_head(c, &h, err))
			return false;
		after = (int64_t)h.checkpoint.size - limit - 1;
	}
	if (option_bool(c->in, "follow"))
		return follow(c, after, err);
	if (!mesh_client_audit(c->mesh, after, (size_t)limit, &c->arena, &page, err))
		return false;
	if (c->json)
		json_print(&mesh_audit_message, &page);
	else if (page.entries.count == 0)
		say(c, "No entries.");
	else
		print_entries(page.entries.items, page.entries.count, &c->arena);
	return true;
}

/* verify */

struct verified {
	struct str network, coordinator, root;
	int64_t size, sovereigns, continues_size;
};
static const struct json_field verified_rows[] = {
	F_TEXT(struct verified, network, "network", 0, 0, "The network."),
	F_TEXT(struct verified, coordinator, "coordinator", 0, 0, "The key that signed the head."),
	F_INT(struct verified, size, "size", 0, 0, 0, "Entries, each of them checked."),
	F_TEXT(struct verified, root, "root", 0, 0, "Root of their tree."),
	F_INT(struct verified, sovereigns, "sovereigns", 0, 0, 0, "Sovereign keys in force at the end."),
	F_INT(struct verified, continues_size, "continuesSize", 0, 0, 0, "The head verified before that this one continues; 0: none was."),
};
static JSON_MESSAGE(verified_message, "AuditVerified", struct verified, verified_rows);

/* Is the log the one that was verified before, with more entries? *older->size is 0 when none was. */
static bool check_continuity(struct cli *c, const struct head *h, const struct known_log *known, struct checkpoint *older, struct error *err)
{
	struct ed25519_public key;
	*older = (struct checkpoint){.size = 0};
	if (str_present(known->coordinator) && !str_equal(known->coordinator, h->about.coordinator)) {
		error_set(err, ERR_CORRUPT, "The coordinator's key is another than before (%.*s).", STR_ARG(known->coordinator));
		return error_hint(err, "if the network was set up anew, forget the old one: rm %s",
				  path_state(&c->arena, cli_chain(c), "known.json"));
	}
	if (!str_present(known->checkpoint))
		return true;
	if (!ed25519_public_from_text(known->coordinator, KEY_LENIENT, &key, err) || !checkpoint_open(known->checkpoint, &key, older, err))
		return false;
	if (older->size > h->checkpoint.size)
		return error_set(err, ERR_CORRUPT, "The log has %llu entries, and had %llu when it was verified last: entries are missing.",
				 (unsigned long long)h->checkpoint.size, (unsigned long long)older->size);
	return older->size == 0 || mesh_client_prove_consistency(c->mesh, older, &h->checkpoint, &c->arena, err);
}

static void show_progress(const struct cli *c, uint64_t done, uint64_t size)
{
	if (!c->quiet && size > PAGE && isatty(STDERR_FILENO))
		fprintf(stderr, "\r%llu of %llu entries%s", (unsigned long long)done, (unsigned long long)size, done == size ? "\n" : "");
}

/* Every entry up to the head's size, page by page. */
static bool check_entries(struct cli *c, struct mesh_auditor *auditor, uint64_t size, struct error *err)
{
	while (auditor->frontier.size < size) {
		struct arena arena;
		struct mesh_audit page;
		uint64_t done = auditor->frontier.size;
		arena_init(&arena);
		bool ok = mesh_client_audit(c->mesh, (int64_t)done - 1, PAGE, &arena, &page, err);
		const struct mesh_audit_entry *e = ok ? page.entries.items : NULL;
		for (size_t i = 0; ok && i < page.entries.count && auditor->frontier.size < size; i++)
			ok = mesh_auditor_take(auditor, &e[i], err);
		arena_free(&arena);
		if (ok && auditor->frontier.size == done)
			ok = error_set(err, ERR_CORRUPT, "The log's head is of %llu entries, and only %llu can be had.",
				       (unsigned long long)size, (unsigned long long)done);
		if (!ok)
			return false;
		show_progress(c, auditor->frontier.size, size);
	}
	return true;
}

static bool check_log(struct cli *c, const struct head *h, struct mesh_auditor *auditor, struct error *err)
{
	struct hash root;
	const char *origin = arena_printf(&c->arena, "tana-mesh/%.*s", STR_ARG(h->about.network)).p;
	if (strcmp(h->checkpoint.origin, origin) != 0)
		return error_set(err, ERR_CORRUPT, "The log calls itself '%s', not '%s'.", h->checkpoint.origin, origin);
	if (!check_entries(c, auditor, h->checkpoint.size, err))
		return false;
	mesh_auditor_root(auditor, &root);
	return hash_equal(&root, &h->checkpoint.root) ||
	       error_set(err, ERR_CORRUPT, "The entries do not make the root that the coordinator signed.");
}

static void tell_verified(struct cli *c, const struct verified *v)
{
	if (c->json) {
		json_print(&verified_message, v);
		return;
	}
	pair_printf(NAME_WIDTH, "log", TINT_GOOD, "verified: %lld entr%s of network %.*s", (long long)v->size, v->size == 1 ? "y" : "ies",
		    STR_ARG(v->network));
	pair_print(NAME_WIDTH, "root", TINT_NONE, v->root);
	pair_print(NAME_WIDTH, "coordinator", TINT_NONE, v->coordinator);
	pair_printf(NAME_WIDTH, "sovereigns", TINT_NONE, "%lld in force", (long long)v->sovereigns);
	if (v->continues_size)
		pair_printf(NAME_WIDTH, "history", TINT_NONE, "continues the log of %lld entries verified before",
			    (long long)v->continues_size);
	else
		pair_print(NAME_WIDTH, "history", TINT_NONE, STR_LIT("verified for the first time; its head is remembered"));
}

static bool verify_head(struct cli *c, const struct head *h, struct known_log *known, struct error *err)
{
	struct mesh_auditor auditor;
	struct checkpoint older;
	char root[HASH_TEXT_LEN + 1];
	if (!check_continuity(c, h, known, &older, err))
		return false;
	mesh_auditor_begin(&auditor, h->about.network, h->about.coordinator);
	bool ok = check_log(c, h, &auditor, err);
	int64_t sovereigns = (int64_t)auditor.sovereign_count;
	mesh_auditor_end(&auditor);
	if (!ok)
		return false;
	known->coordinator = h->about.coordinator;
	known->checkpoint = h->note;
	known->verified_at = clock_wall_ms();
	if (!known_log_put(c, known, err))
		return false;
	hash_to_text(&h->checkpoint.root, root);
	struct verified v = {.network = h->about.network,
			     .coordinator = h->about.coordinator,
			     .root = str_from(root),
			     .size = (int64_t)h->checkpoint.size,
			     .sovereigns = sovereigns,
			     .continues_size = (int64_t)older.size};
	tell_verified(c, &v);
	return true;
}

/* One entry only: its signatures as such, and that it is in the log of the signed head. */
static bool verify_entry(struct cli *c, const struct head *h, const struct known_log *known, int64_t index, struct error *err)
{
	struct mesh_audit page;
	struct checkpoint older;
	struct hash leaf;
	if (!check_continuity(c, h, known, &older, err) || !mesh_client_audit(c->mesh, index - 1, 1, &c->arena, &page, err))
		return false;
	const struct mesh_audit_entry *e = page.entries.items;
	if (page.entries.count != 1 || e->index != index)
		return error_set(err, ERR_NOT_FOUND, "The log has %llu entries, and none with index %lld.",
				 (unsigned long long)h->checkpoint.size, (long long)index);
	mesh_audit_leaf(e, &leaf);
	if (!mesh_audit_signatures_valid(e, &c->arena, err) ||
	    !mesh_client_prove_inclusion(c->mesh, &leaf, index, &h->checkpoint, &c->arena, err))
		return false;
	if (c->json) {
		json_print(&mesh_audit_entry_message, e);
		return true;
	}
	pair_printf(NAME_WIDTH, "entry", TINT_GOOD, "verified: %lld of a log of %llu", (long long)index,
		    (unsigned long long)h->checkpoint.size);
	pair_print(NAME_WIDTH, "what", TINT_BOLD, what_of(&c->arena, e->message));
	pair_print(NAME_WIDTH, "outcome", TINT_NONE, e->outcome);
	pair_print(NAME_WIDTH, "time", TINT_NONE, date(&c->arena, e->time));
	pair_print(NAME_WIDTH, "signed by", TINT_NONE, e->public_key);
	pair_print(NAME_WIDTH, "message", TINT_NONE, e->message);
	return true;
}

/* Not being able to ask is one thing, an answer that does not hold another: only the latter is "verification failed". */
static bool speaks_against_it(enum error_code code)
{
	return code == ERR_CORRUPT || code == ERR_BAD_SIGNATURE || code == ERR_MALFORMED_FIELD || code == ERR_NOT_CANONICAL ||
	       code == ERR_BAD_ANSWER;
}

static bool audit_verify(struct cli *c, struct error *err)
{
	struct head h;
	struct known_log known;
	bool ok = fetch_head(c, &h, err) && known_log_get(c, h.about.network, &known, err);
	if (ok && option_text(c->in, "entry"))
		ok = verify_entry(c, &h, &known, option_int(c->in, "entry"), err);
	else if (ok)
		ok = verify_head(c, &h, &known, err);
	if (!ok && speaks_against_it(err->code))
		c->status = EXIT_UNHEALTHY;
	return ok;
}

int cmd_mesh_audit(struct invocation *in)
{
	return cli_run(in, audit);
}

int cmd_mesh_audit_verify(struct invocation *in)
{
	return cli_run(in, audit_verify);
}
