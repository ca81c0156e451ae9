#include "mesh_auditor.h"

#include "crypto/ed25519.h"
#include "wire/mesh_statement.h"

void mesh_auditor_begin(struct mesh_auditor *a, struct str network, struct str coordinator)
{
	*a = (struct mesh_auditor){.network = network, .coordinator = coordinator};
	arena_init(&a->arena);
}

void mesh_auditor_end(struct mesh_auditor *a)
{
	arena_free(&a->arena);
}

void mesh_auditor_root(const struct mesh_auditor *a, struct hash *out)
{
	merkle_frontier_root(&a->frontier, out);
}

void mesh_audit_leaf(const struct mesh_audit_entry *e, struct hash *out)
{
	struct buf text = {0};
	json_write_canonical(&text, &mesh_audit_entry_message, e);
	merkle_leaf(out, text.data, text.len);
	buf_free(&text);
}

/* The sovereign keys in force; few, so a list does. */
static size_t find(const struct mesh_auditor *a, struct str key)
{
	size_t i = 0;
	while (i < a->sovereign_count && !str_equal(a->sovereigns[i], key))
		i++;
	return i;
}

static bool is_sovereign(const struct mesh_auditor *a, struct str key)
{
	return find(a, key) < a->sovereign_count;
}

static void add_sovereign(struct mesh_auditor *a, struct str key)
{
	if (is_sovereign(a, key))
		return;
	if (a->sovereign_count == a->sovereign_cap) {
		size_t cap = a->sovereign_cap ? 2 * a->sovereign_cap : 8;
		struct str *more = arena_zalloc(&a->arena, cap, sizeof *more);
		if (a->sovereign_count)
			memcpy(more, a->sovereigns, a->sovereign_count * sizeof *more);
		a->sovereigns = more;
		a->sovereign_cap = cap;
	}
	a->sovereigns[a->sovereign_count++] = arena_copy(&a->arena, key);
}

static void remove_sovereign(struct mesh_auditor *a, struct str key)
{
	size_t i = find(a, key);
	if (i < a->sovereign_count)
		a->sovereigns[i] = a->sovereigns[--a->sovereign_count];
}

/* May this key sign such a statement, as things stand at this point of the log? */
static bool may_sign(const struct mesh_auditor *a, const struct mesh_statement *st, struct str signer)
{
	switch (st->kind) {
	case STATEMENT_REGISTER_SHORT:
	case STATEMENT_REGISTER_FULL:
	case STATEMENT_NODE_ROTATE:
		return str_equal(signer, st->public_key);
	case STATEMENT_SOVEREIGN_ROTATE:
		return str_equal(signer, st->public_key) && is_sovereign(a, signer);
	case STATEMENT_DECISION:
	case STATEMENT_DECISION_OLD:
	case STATEMENT_SOVEREIGN_ADD:
	case STATEMENT_SOVEREIGN_REMOVE:
	case STATEMENT_INVITE:
	case STATEMENT_INVITE_REVOKE:
		return is_sovereign(a, signer);
	case STATEMENT_SOVEREIGN_INIT:
	case STATEMENT_EXPIRE:
		return str_equal(signer, a->coordinator);
	}
	return false;
}

/* What an entry that was carried out does to the sovereign keys. */
static void apply(struct mesh_auditor *a, const struct mesh_statement *st)
{
	if (st->kind == STATEMENT_SOVEREIGN_INIT || st->kind == STATEMENT_SOVEREIGN_ADD)
		add_sovereign(a, st->public_key);
	else if (st->kind == STATEMENT_SOVEREIGN_REMOVE)
		remove_sovereign(a, st->public_key);
	else if (st->kind == STATEMENT_SOVEREIGN_ROTATE) {
		remove_sovereign(a, st->public_key);
		add_sovereign(a, st->new_key);
	}
}

static bool verifies(struct str message, struct str key, struct str signature)
{
	struct ed25519_public k;
	struct ed25519_signature s;
	struct error ignored;
	return ed25519_public_from_text(key, KEY_WRITTEN, &k, &ignored) && ed25519_signature_from_text(signature, KEY_WRITTEN, &s, &ignored) &&
	       ed25519_verify_message(&s, &k, message);
}

static bool check_signatures(const struct mesh_audit_entry *e, const struct mesh_statement *st, struct error *err)
{
	bool rotation = st->kind == STATEMENT_NODE_ROTATE || st->kind == STATEMENT_SOVEREIGN_ROTATE;
	if (!verifies(e->message, e->public_key, e->signature))
		return error_set(err, ERR_BAD_SIGNATURE, "The signature of entry %lld does not verify.", (long long)e->index);
	if (rotation && (!str_present(e->new_signature) || !verifies(e->message, st->new_key, e->new_signature)))
		return error_set(err, ERR_BAD_SIGNATURE, "The new key's signature of entry %lld does not verify.", (long long)e->index);
	return true;
}

static bool read_statement(const struct mesh_audit_entry *e, struct mesh_statement *st, struct arena *arena, struct error *err)
{
	struct error why;
	return mesh_statement_parse(e->message, st, arena, &why) ||
	       error_set(err, ERR_CORRUPT, "Entry %lld is no statement of a mesh: %s", (long long)e->index, why.message);
}

bool mesh_audit_signatures_valid(const struct mesh_audit_entry *e, struct arena *arena, struct error *err)
{
	struct mesh_statement st;
	return read_statement(e, &st, arena, err) && check_signatures(e, &st, err);
}

static bool check_entry(struct mesh_auditor *a, const struct mesh_audit_entry *e, struct arena *arena, struct error *err)
{
	struct mesh_statement st;
	enum error_code refusal;
	if (!read_statement(e, &st, arena, err))
		return false;
	if (str_present(st.network) && !str_equal(st.network, a->network))
		return error_set(err, ERR_CORRUPT, "Entry %lld is of network '%.*s'.", (long long)e->index, STR_ARG(st.network));
	if (!check_signatures(e, &st, err))
		return false;
	if (!may_sign(a, &st, e->public_key))
		return error_set(err, ERR_CORRUPT, "Entry %lld is signed by %.*s, a key that could not decide that then.", (long long)e->index,
				 STR_ARG(e->public_key));
	/* An outcome is a state, "ok", or the code of a refusal. */
	if (!error_code_from_text(arena_copy(arena, e->outcome).p, &refusal))
		apply(a, &st);
	return true;
}

bool mesh_auditor_take(struct mesh_auditor *a, const struct mesh_audit_entry *e, struct error *err)
{
	struct arena arena;
	struct hash leaf;
	if (e->index < 0 || (uint64_t)e->index != a->frontier.size)
		return error_set(err, ERR_CORRUPT, "Entry %lld comes where entry %llu belongs.", (long long)e->index,
				 (unsigned long long)a->frontier.size);
	arena_init(&arena);
	bool ok = check_entry(a, e, &arena, err);
	arena_free(&arena);
	if (!ok)
		return false;
	mesh_audit_leaf(e, &leaf);
	merkle_frontier_append(&a->frontier, &leaf, NULL, NULL);
	return true;
}
