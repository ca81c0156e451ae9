/* ledgerd: what readers are told, on both databases: pages of every size put together give the whole, events are resumed at each id, proofs hold. */
#include "db_fixture.h"

#include "base/file.h"
#include "client/ledger_proof.h"
#include "db/db_pool.h"
#include "ledgerd/chain_memory.h"
#include "ledgerd/ledger.h"
#include "ledgerd/ledger_audit.h"
#include "ledgerd/ledger_feed.h"
#include "ledgerd/ledger_grants.h"
#include "ledgerd/ledger_proof.h"
#include "ledgerd/ledger_read.h"
#include "ledgerd/ledger_schema.h"
#include "ledgerd/ledger_store.h"

/* ---- The chain of the vectors in a database ---- */

struct world {
	struct ledger ledger; /* its pool, for the feed */
	struct db_conn *c;
	struct chain chain;
	struct chain_memory memory;
	struct genesis genesis;
	struct arena arena;
	int64_t height;
};

struct block_job {
	struct db_job job;
	struct store_batches batches;
	int64_t height;
	struct str step;
};

static enum db_status write_block(struct db_job *job, struct db_conn *c, struct error *err)
{
	struct block_job *j = (struct block_job *)job;
	enum db_status st = store_batches_run(c, &j->batches, err);
	return st == DB_OK && str_present(j->step) ? proof_step_store(c, j->height, j->step, err) : st;
}

static void keep(struct world *w, struct chain_work *work)
{
	struct error err = {0};
	struct block_job j = {.job = {.run = write_block}, .height = work->header.height};
	store_batches_init(&j.batches, &w->arena);
	store_block(&j.batches, work);
	j.step = proof_step_make(&w->chain, work, &w->arena);
	must(db_pool_write(w->ledger.pool, &j.job, &err), &err);
	w->height = work->header.height;
	chain_memory_take(&w->memory, &work->changes);
	chain_accept(&w->chain, work);
	chain_work_free(work);
}

static void ignore(void *ctx, const struct chain_finding *f)
{
	(void)ctx;
	(void)f;
}

static void take_line(struct world *w, struct str line)
{
	struct block block;
	struct error err = {0};
	struct chain_decoded decoded;
	struct chain_work work;
	struct chain_report report = {ignore, NULL};
	bool clean;
	assert_true(block_line_read(line, &w->arena, &block, &err));
	chain_decode(&w->chain, &block, &w->arena, &decoded);
	assert_true(chain_check(&w->chain, chain_memory_source(&w->memory), &decoded, &report, &work, &clean, &err) && clean);
	keep(w, &work);
}

static struct str read_vector(struct arena *arena, const char *name)
{
	const char *dir = getenv("TANA_VECTORS");
	struct str path = arena_printf(arena, "%s/%s", dir ? dir : "tests/vectors", name);
	struct buf text = {0};
	struct error err;
	if (!file_read(path.p, 1 << 20, &text, &err))
		fail_msg("%s", err.message);
	struct str copy = arena_copy(arena, buf_str(&text));
	buf_free(&text);
	return copy;
}

static void begin(struct world *w, void **state)
{
	const struct fixture *f = *state;
	struct error err = {0};
	struct str head;
	struct chain_work work;
	*w = (struct world){.height = -1};
	arena_init(&w->arena);
	const struct db_pool_options o = {.url = f->url, .name = "test", .readers = 2, .queue_max = 100, .group_max = 16, .patience_ms = 2000};
	w->ledger.pool = db_pool_open(&o, ledger_migrations, ledger_migration_count, &err);
	if (!w->ledger.pool)
		fail_msg("%s", err.message);
	w->c = open_db(f);
	struct str text = read_vector(&w->arena, "chain.jsonl");
	for (size_t n = 0; text.n > 0; n++) {
		const char *nl = memchr(text.p, '\n', text.n);
		assert_non_null(nl);
		struct str line = str_of(text.p, (size_t)(nl - text.p));
		text = str_of(nl + 1, text.n - line.n - 1);
		if (n > 1) {
			take_line(w, line);
		} else if (n == 0) {
			assert_true(chain_file_head_read(line, &head, &err) && genesis_read(head, &w->arena, &w->genesis, &err));
			chain_init(&w->chain, &w->genesis);
		} else {
			chain_make_genesis(&w->chain, &work);
			keep(w, &work);
		}
	}
}

static void end(struct world *w)
{
	db_close(w->c);
	db_pool_close(w->ledger.pool);
	chain_memory_free(&w->memory);
	chain_free(&w->chain);
	arena_free(&w->arena);
}

/* ---- Transactions ---- */

/* Every page of this size, put together: the ids one after the other. */
static struct str all_txs(struct world *w, struct tx_query q, size_t *count)
{
	struct buf ids = {0};
	struct error err = {0};
	struct str next;
	*count = 0;
	do {
		struct json_list page;
		must(read_txs(w->c, &q, &w->arena, &page, &next, &err), &err);
		assert_true(page.count <= q.limit && (page.count > 0 || !str_present(next)));
		const struct ledger_tx *t = page.items;
		for (size_t i = 0; i < page.count; i++) {
			buf_put_str(&ids, t[i].id);
			assert_string_equal(t[i].status.p, TX_STATUS_INCLUDED);
		}
		*count += page.count;
		q.has_after = true;
		if (str_present(next))
			assert_true(tx_place_read(next, &q.after, &err));
	} while (str_present(next));
	struct str all = arena_copy(&w->arena, buf_str(&ids));
	buf_free(&ids);
	return all;
}

/* Transactions that have this text as a value. */
static int64_t rows_of(struct world *w, struct str what)
{
	return ask_int(w->c, arena_printf(&w->arena, "SELECT COUNT(*) FROM transactions WHERE message LIKE '%%\"%.*s\"%%'", STR_ARG(what)).p);
}

static void test_transactions(void **state)
{
	struct world w;
	size_t total, n, both_total;
	begin(&w, state);
	struct str all = all_txs(&w, (struct tx_query){.limit = 1000}, &total);
	assert_int_equal(total, ask_int(w.c, "SELECT COUNT(*) FROM transactions"));
	for (size_t limit = 1; limit <= total; limit++)
		assert_true(str_equal(all_txs(&w, (struct tx_query){.limit = limit}, &n), all));
	/* Of each type; of the sovereign; and both at once. */
	size_t at = 0, of_types = 0;
	for (struct memory_entry *e; (e = chain_memory_next(&w.memory, &at));) {
		if (!str_starts(e->key, "nonce:"))
			continue;
		struct str account = str_of(e->key.p + strlen("nonce:"), e->key.n - strlen("nonce:"));
		struct str listed = all_txs(&w, (struct tx_query){.account = account, .limit = 1000}, &n);
		assert_int_equal(n, rows_of(&w, account));
		for (size_t limit = 1; limit < 5; limit++)
			assert_true(str_equal(all_txs(&w, (struct tx_query){.account = account, .limit = limit}, &n), listed));
		both_total = 0;
		for (enum tx_type t = 0; t < TX_TYPE_COUNT; t++) {
			struct str type = str_from(tx_type_row(t)->name);
			struct str both = all_txs(&w, (struct tx_query){.account = account, .type = type, .limit = 1000}, &n);
			both_total += n;
			assert_true(str_equal(all_txs(&w, (struct tx_query){.account = account, .type = type, .limit = 1}, &n), both));
		}
		assert_int_equal(both_total * HASH_TEXT_LEN, listed.n);
	}
	for (enum tx_type t = 0; t < TX_TYPE_COUNT; t++) {
		struct str type = str_from(tx_type_row(t)->name);
		(void)all_txs(&w, (struct tx_query){.type = type, .limit = 2}, &n);
		assert_int_equal(n, rows_of(&w, type));
		of_types += n;
	}
	assert_int_equal(of_types, total);
	end(&w);
}

static void test_cursors(void **state)
{
	(void)state;
	static const char *const bad[] = {"", ".", "1", "1.", ".1", "-1.0", "1.-1", "01.0", "1.00", "1.1.1", "1.1 ", "9223372036854775808.0", "x.y"};
	struct tx_place p;
	struct arena a;
	struct error err;
	arena_init(&a);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_true(!tx_place_read(str_from(bad[i]), &p, &err) && err.code == ERR_MALFORMED_CURSOR);
	assert_true(tx_place_read(tx_place_write(&a, (struct tx_place){7, 12}), &p, &err) && p.height == 7 && p.index == 12);
#define ID "00000000-0000-8000-8000-000000000000"
	assert_true(account_cursor_valid(STR_LIT(ID ":USD"), &err));
	assert_false(account_cursor_valid(STR_LIT(ID ":usd"), &err));
	assert_false(account_cursor_valid(STR_LIT(ID ":"), &err));
	assert_false(account_cursor_valid(STR_LIT(ID), &err));
	assert_false(account_cursor_valid(STR_LIT("x" ID ":USD"), &err));
	arena_free(&a);
}

/* ---- Balances and holds ---- */

static struct str all_accounts(struct world *w, struct account_query q)
{
	struct buf rows = {0};
	struct error err = {0};
	do {
		struct json_list page;
		must(read_accounts(w->c, &q, &w->arena, &page, &q.after, &err), &err);
		assert_true(page.count <= q.limit);
		assert_true(!str_present(q.after) || account_cursor_valid(q.after, &err));
		const struct ledger_account *a = page.items;
		for (size_t i = 0; i < page.count; i++)
			buf_printf(&rows, "%.*s:%.*s %.*s %.*s\n", STR_ARG(a[i].user_id), STR_ARG(a[i].currency_code), STR_ARG(a[i].amount), STR_ARG(a[i].held));
	} while (str_present(q.after));
	struct str all = arena_copy(&w->arena, buf_str(&rows));
	buf_free(&rows);
	return all;
}

/* Accounts of 30 users in three currencies, some with an amount, some with a hold, some with both: what they are follows from their numbers. */
static void test_accounts(void **state)
{
	static const char *const codes[] = {"AAA", "BTC", "USD"}, *const units[] = {"", ".00000001", ".50"}, *const zeros[] = {"0", "0.00000000", "0.00"};
	struct world w;
	struct buf expected = {0}, of_one = {0}, of_btc = {0};
	begin(&w, state);
	script(w.c, "DELETE FROM state WHERE key LIKE 'balance:%' OR key LIKE 'held:%'");
	for (int user = 0; user < 30; user++)
		for (int code = 0; code < 3; code++) {
			int kind = (user * 7 + code * 5) % 4; /* 0: nothing, 1: amount, 2: hold, 3: both */
			struct str account = arena_printf(&w.arena, "000000%02d-0000-8000-8000-000000000000:%s", user, codes[code]);
			if (kind & 1)
				script(w.c, arena_printf(&w.arena, "INSERT INTO state (key, value) VALUES ('balance:%s', '\"%d%s\"')", account.p, user + 1, units[code]).p);
			if (kind & 2)
				script(w.c, arena_printf(&w.arena, "INSERT INTO state (key, value) VALUES ('held:%s', '\"%d%s\"')", account.p, user + 50, units[code]).p);
			if (kind == 0)
				continue;
			struct str amount = kind & 1 ? arena_printf(&w.arena, "%d%s", user + 1, units[code]) : str_from(zeros[code]);
			struct str held = kind & 2 ? arena_printf(&w.arena, "%d%s", user + 50, units[code]) : str_from(zeros[code]);
			struct str row = arena_printf(&w.arena, "%s %s %s\n", account.p, amount.p, held.p);
			buf_put_str(&expected, row);
			if (user == 5)
				buf_put_str(&of_one, row);
			if (code == 1)
				buf_put_str(&of_btc, row);
		}
	for (size_t limit = 1; limit < 100; limit++)
		assert_true(str_equal(all_accounts(&w, (struct account_query){.limit = limit}), buf_str(&expected)));
	struct str one = STR_LIT("00000005-0000-8000-8000-000000000000");
	for (size_t limit = 1; limit < 4; limit++) {
		assert_true(str_equal(all_accounts(&w, (struct account_query){.user = one, .limit = limit}), buf_str(&of_one)));
		assert_true(str_equal(all_accounts(&w, (struct account_query){.currency = STR_LIT("BTC"), .limit = limit}), buf_str(&of_btc)));
	}
	assert_int_equal(all_accounts(&w, (struct account_query){.currency = STR_LIT("NONE"), .limit = 10}).n, 0);
	buf_free(&expected);
	buf_free(&of_one);
	buf_free(&of_btc);
	end(&w);
}

/* ---- Events ---- */

struct heard {
	int64_t ids[256];
	size_t count, blocks;
};

static void hear(void *ctx, int64_t id, const char *type, struct str data)
{
	struct heard *h = ctx;
	assert_true(h->count < 256 && (h->count == 0 || h->ids[h->count - 1] < id));
	assert_true(data.n > 2 && data.p[0] == '{');
	h->ids[h->count++] = id;
	h->blocks += strcmp(type, LEDGER_EVENT_BLOCK) == 0;
}

static void test_events(void **state)
{
	struct world w;
	struct heard all = {.count = 0};
	begin(&w, state);
	/* Two refusals while block 4 was the newest, one behind the last. */
	int64_t refusals[] = {ledger_event_refusal(4, 0), ledger_event_refusal(4, 1), ledger_event_refusal(w.height, 0)};
	for (int i = 0; i < 3; i++)
		script(w.c, arena_printf(&w.arena,
					 "INSERT INTO local_refused (id, code, error, message, signature, refused_at, event_id) VALUES "
					 "('%064d', 'expired', 'late', '{\"from\":\"a\",\"to\":\"b\",\"type\":\"transfer\"}', 's', 1, %lld)",
					 i, (long long)refusals[i]).p);
	assert_true(ledger_feed_backfill(&w.ledger, 0, INT64_MAX, hear, &all));
	assert_int_equal(all.blocks, w.height + 1);
	assert_int_equal(all.count, w.height + 1 + ask_int(w.c, "SELECT COUNT(*) FROM transactions") + 3);
	assert_int_equal(all.ids[all.count - 1], refusals[2]);
	for (size_t i = 0; i < all.count; i++) {
		/* From each id on: the rest, and nothing else; up to each: what lies before. */
		struct heard rest = {.count = 0}, part = {.count = 0};
		assert_true(ledger_feed_backfill(&w.ledger, all.ids[i], INT64_MAX, hear, &rest));
		assert_int_equal(rest.count, all.count - i - 1);
		assert_memory_equal(rest.ids, all.ids + i + 1, rest.count * sizeof *rest.ids);
		assert_true(ledger_feed_backfill(&w.ledger, 0, all.ids[i], hear, &part));
		assert_int_equal(part.count, i);
	}
	/* Ids that nobody gave. */
	struct heard none = {.count = 0};
	const int64_t never[] = {1, (INT64_C(5) << LEDGER_EVENT_BITS) + 900, refusals[2] + 1, (w.height + 1) << LEDGER_EVENT_BITS, INT64_MAX};
	for (size_t i = 0; i < sizeof never / sizeof *never; i++)
		assert_false(ledger_feed_backfill(&w.ledger, never[i], INT64_MAX, hear, &none));
	assert_int_equal(none.count, 0);
	end(&w);
}

/* ---- Proofs ---- */

static void check_proof(struct world *w, struct buf *proof, struct proof_finding *out)
{
	struct error err = {0};
	if (!ledger_proof_check(buf_str(proof), &w->genesis, &w->arena, out, &err))
		fail_msg("%s: %.*s", err.message, (int)proof->len, proof->data);
	buf_free(proof);
}

static void test_proofs(void **state)
{
	struct world w;
	struct error err = {0};
	struct json_list txs;
	struct str next;
	bool found;
	begin(&w, state);
	assert_true(ask_int(w.c, "SELECT COUNT(*) FROM validator_steps") > 0);
	const struct tx_query q = {.limit = 1000};
	must(read_txs(w.c, &q, &w.arena, &txs, &next, &err), &err);
	for (size_t i = 0; i < txs.count; i++) {
		const struct ledger_tx *t = (const struct ledger_tx *)txs.items + i;
		struct proof_finding f;
		struct buf proof = {0};
		struct hash id;
		assert_true(hash_from_text(t->id, &id));
		must(proof_of_tx(w.c, &id, &w.arena, &proof, &found, &err), &err);
		assert_true(found);
		check_proof(&w, &proof, &f);
		assert_true(f.shows == PROOF_TRANSACTION && hash_equal(&f.tx_id, &id) && f.header.height == t->height && f.index == t->index);
	}
	struct hash nobody = {{0}};
	struct buf none = {0};
	must(proof_of_tx(w.c, &nobody, &w.arena, &none, &found, &err), &err);
	assert_true(!found && none.len == 0);
	/* Every entry, and as many keys that are none. */
	size_t at = 0, n = 0;
	for (struct memory_entry *e; (e = chain_memory_next(&w.memory, &at)); n++)
		for (int absent = 0; absent < 2; absent++) {
			struct str key = absent ? arena_printf(&w.arena, "%.*s?", STR_ARG(e->key)) : e->key;
			struct merkle_map_proof p;
			struct proof_finding f;
			struct buf proof = {0};
			struct hash path;
			bool fits;
			sha256(&path, key.p, key.n);
			bool present = merkle_tree_prove(w.chain.tree, &path, &p);
			assert_int_equal(present, !absent);
			must(proof_of_state(w.c, key, &p, present, w.height, &w.arena, &proof, &fits, &err), &err);
			assert_true(fits);
			check_proof(&w, &proof, &f);
			assert_true(f.shows == (absent ? PROOF_ABSENT : PROOF_PRESENT) && str_equal(f.key, key) && f.header.height == w.height);
			assert_true(absent || str_equal(f.value, e->value));
			/* Of a block that is not the newest any more it does not fit. */
			must(proof_of_state(w.c, key, &p, present, w.height - 1, &w.arena, &proof, &fits, &err), &err);
			assert_true(!fits && proof.len == 0);
		}
	assert_true(n > 20);
	end(&w);
}

/* ---- Grants ---- */

struct grant_job {
	struct db_job job;
	const char *hash;
	int64_t size, now;
	struct grants_open open;
	bool noted;
};

#define OWNER "282a8dc6-7332-89b1-be35-f6e810343d0e" /* has published HELLO in the vectors' chain */
#define HELLO "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"

static enum db_status note(struct db_job *job, struct db_conn *c, struct error *err)
{
	struct grant_job *j = (struct grant_job *)job;
	return grant_note(c, STR_LIT(OWNER), str_from(j->hash), j->size, j->now, 1000, &j->noted, &j->open, err);
}

static bool granted(struct world *w, const char *hash, int64_t size, int64_t now)
{
	struct error err = {0};
	struct grant_job j = {.job = {.run = note}, .hash = hash, .size = size, .now = now};
	must(db_pool_write(w->ledger.pool, &j.job, &err), &err);
	return j.noted;
}

static void test_grants(void **state)
{
	struct world w;
	begin(&w, state);
	assert_false(granted(&w, "a", GRANT_BYTES_MAX + 1, 5000));
	assert_false(granted(&w, "a", INT64_MAX, 5000));
	assert_true(granted(&w, "a", GRANT_BYTES_MAX, 5000));
	assert_true(granted(&w, "a", GRANT_BYTES_MAX, 5001)); /* the same again */
	assert_false(granted(&w, "b", 1, 5001));
	assert_true(granted(&w, "b", 0, 5001));
	assert_true(granted(&w, "a", 10, 5002)); /* less of it than before */
	assert_true(granted(&w, "b", GRANT_BYTES_MAX - 10, 5003));
	assert_false(granted(&w, "c", 1, 6001));
	assert_true(granted(&w, "c", 10, 6002)); /* "a" is too old to count */
	/* What is published takes nothing, and frees what it took. */
	assert_int_equal(ask_int(w.c, "SELECT COUNT(*) FROM local_grants"), 3);
	assert_true(granted(&w, HELLO, GRANT_BYTES_MAX, 6002));
	assert_int_equal(ask_int(w.c, "SELECT COUNT(*) FROM local_grants"), 3);
	script(w.c, "INSERT INTO local_grants (hash, user_id, size, granted_at) VALUES ('" HELLO "', '" OWNER "', 1000000000, 6002)");
	assert_true(granted(&w, "c", 10, 6002));
	assert_int_equal(ask_int(w.c, "SELECT COUNT(*) FROM local_grants WHERE hash = '" HELLO "'"), 0);
	end(&w);
}

/* ---- The audit ---- */

/* Asks for the end at one place: after a block, or at a finding. */
struct auditing {
	int64_t end_after;  /* -1: at no block */
	size_t end_at, found; /* the number of a finding, from 1 */
	volatile int stop;
	int64_t height;
};

static void audit_progress(void *ctx, int64_t height, int64_t of, uint64_t transactions)
{
	struct auditing *a = ctx;
	(void)of;
	(void)transactions;
	a->height = height;
	if (height == a->end_after)
		a->stop = 1;
}

static void audit_found(void *ctx, const struct audit_finding *f)
{
	struct auditing *a = ctx;
	assert_string_equal(f->check, "databaseMatches");
	if (++a->found == a->end_at)
		a->stop = 1;
}

/* A row too many in each of the tables that are walked over, so that the end can be asked for in the middle of each. */
static void test_an_audit_ends_when_it_is_asked_to(void **state)
{
	enum { FINDINGS = 4 };
	struct world w;
	begin(&w, state);
	script(w.c, "INSERT INTO state (key, value) VALUES ('zzz', '{}')");
	script(w.c, "INSERT INTO state_lists (list, key) VALUES ('zzz', 'zzz')");
	script(w.c, "INSERT INTO open_requests (id, type, height, idx) VALUES ('zzz', 'deposit', 1, 0)");
	for (int64_t i = 0; i <= w.height + 1 + FINDINGS; i++) {
		struct auditing a = {.end_after = i <= w.height ? i : -1, .end_at = i > w.height ? (size_t)(i - w.height) : 0};
		const struct audit_options o = {.genesis = &w.genesis, .to = -1, .found = audit_found, .progress = audit_progress, .ctx = &a, .stop = &a.stop};
		struct audit_result r;
		struct error err = {0};
		bool done = ledger_audit(w.c, &o, &w.arena, &r, &err);
		if (i == w.height + 1 + FINDINGS) {
			assert_true(done && r.database && a.found == FINDINGS); /* the chain's genesis is not in the table it should be in */
		} else {
			assert_true(!done && err.code == ERR_INTERRUPTED && a.stop);
			assert_true(i <= w.height ? a.height == i && a.found == 0 : a.found == a.end_at);
		}
	}
	end(&w);
}

int main(void)
{
	struct error err;
	if (!quiet_log() || !crypto_start(&err))
		return 1;
	const struct CMUnitTest tests[] = {
		DB_CASE(test_transactions),
		DB_CASE(test_cursors),
		DB_CASE(test_accounts),
		DB_CASE(test_events),
		DB_CASE(test_proofs),
		DB_CASE(test_grants),
		DB_CASE(test_an_audit_ends_when_it_is_asked_to),
	};
	return run_on_sqlite(tests, sizeof(tests) / sizeof(*tests)) + run_on_postgres(tests, sizeof(tests) / sizeof(*tests));
}
