/* `ledgerd verify`: the audit for people and for programs. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "client/t4_client.h"
#include "daemon/daemon.h"
#include "db/db_migrate.h"
#include "ledger_audit.h"
#include "ledger_commands.h"
#include "ledger.h"
#include "ledger_schema.h"

/* An audit's own statuses: what it found, or that it could not look. */
enum { VERIFY_CLEAN = 0, VERIFY_DIFFERS = 1, VERIFY_NOT_CHECKED = 2 };
enum { CHECKPOINT_MAX = 4096, GENESIS_FILE_MAX = 1 << 20 };

static volatile int interrupted;
static void interrupt(int signal)
{
	(void)signal;
	interrupted = 1;
}

struct content_check;
struct verifying {
	bool json, terminal;
	struct content_check *content;
	int64_t began_ms, shown_ms;
	uint64_t findings;
};

/* ---- Findings ---- */

static void put_text(struct buf *out, const char *name, struct str value)
{
	if (!str_present(value))
		return;
	buf_printf(out, ",\"%s\":", name);
	if (!utf8_valid(value.p, value.n) || memchr(value.p, 0, value.n)) {
		buf_puts(out, "\"hex:");
		buf_put_hex(out, value.p, value.n);
		buf_putc(out, '"');
	} else {
		buf_put_json_string(out, value);
	}
}

static void put_row(struct buf *out, const struct audit_finding *f)
{
	buf_puts(out, ",\"row\":{");
	for (size_t i = 0; i < f->row_columns; i++) {
		buf_printf(out, "%s\"%s\":", i > 0 ? "," : "", f->row[i].column);
		if (f->row[i].is_int)
			buf_put_int(out, f->row[i].number);
		else if (str_present(f->row[i].text))
			buf_put_json_string(out, f->row[i].text);
		else
			buf_puts(out, "null");
	}
	buf_putc(out, '}');
}

static void print_json(const struct audit_finding *f)
{
	struct buf line = {0};
	buf_printf(&line, "{\"check\":\"%s\"", f->check);
	if (f->height >= 0)
		buf_printf(&line, ",\"height\":%" PRId64, f->height);
	if (f->index >= 0)
		buf_printf(&line, ",\"index\":%" PRId64, f->index);
	if (f->table && *f->table) {
		buf_printf(&line, ",\"table\":\"%s\"", f->table);
		put_row(&line, f);
	}
	put_text(&line, "column", str_from(f->column));
	put_text(&line, "key", f->key);
	put_text(&line, "expected", f->expected);
	put_text(&line, "found", f->found);
	put_text(&line, "problem", str_from(f->problem));
	buf_putc(&line, '}');
	puts(buf_z(&line));
	buf_free(&line);
}

/* What a database or peer says must not steer the terminal. */
static void print_quoted(const char *what, struct str s)
{
	struct buf text = {0};
	if (!str_present(s))
		return;
	buf_put_json_string(&text, str_of(s.p, s.n < 400 ? s.n : 400));
	printf("    %s %s%s\n", what, buf_z(&text), s.n > 400 ? " ..." : "");
	buf_free(&text);
}

static void print_text(const struct audit_finding *f)
{
	printf("%s", f->check);
	if (f->height >= 0)
		printf(" block %" PRId64, f->height);
	if (f->index >= 0)
		printf(" transaction %" PRId64, f->index);
	if (f->table && *f->table) {
		struct buf row = {0};
		put_row(&row, f);
		printf(" table %s row %s", f->table, buf_z(&row) + strlen(",\"row\":"));
		buf_free(&row);
	}
	printf("%s%s: %s\n", f->column ? " column " : "", f->column ? f->column : "", f->problem);
	print_quoted("key:     ", f->key);
	print_quoted("expected:", f->expected);
	print_quoted("found:   ", f->found);
}

static void clear_progress(const struct verifying *v)
{
	if (v->terminal && v->shown_ms > 0)
		fputs("\r\033[K", stderr);
}

static void found(void *ctx, const struct audit_finding *f)
{
	struct verifying *v = ctx;
	v->findings++;
	clear_progress(v);
	if (v->json)
		print_json(f);
	else
		print_text(f);
}

static void progress(void *ctx, int64_t height, int64_t of, uint64_t transactions)
{
	struct verifying *v = ctx;
	int64_t now = clock_mono_ms();
	if (!v->terminal || now - v->shown_ms < 200)
		return;
	v->shown_ms = now;
	double seconds = (double)(now - v->began_ms) / 1000, left = height > 0 ? seconds * (double)(of - height) / (double)height : 0;
	fprintf(stderr, "\rblock %" PRId64 " of %" PRId64 "  %3.0f %%  %.0f transactions/s  %.0f s left\033[K", height, of,
		of > 0 ? 100.0 * (double)height / (double)of : 100.0, seconds > 0 ? (double)transactions / seconds : 0, left);
	fflush(stderr);
}

/* ---- What is to be checked ---- */

static bool read_range(const struct invocation *in, struct audit_options *o, struct error *err)
{
	const char *height = invocation_arg(in, "height");
	bool all = option_bool(in, "all"), since = option_text(in, "since-checkpoint") != NULL;
	bool from = option_text(in, "from") != NULL, to = option_text(in, "to") != NULL;
	o->from = 0;
	o->to = -1;
	if (all + since + (from || to) + (height != NULL) != 1) {
		error_set(err, ERR_USAGE, "say what to verify: a height, --from and --to, --since-checkpoint FILE, or --all");
		return error_hint(err, "ledgerd verify --all");
	}
	if (height) {
		if (!str_to_int64(str_from(height), &o->from) || o->from < 0)
			return error_set(err, ERR_USAGE, "%s is no height", height);
		o->to = o->from;
	}
	if (from)
		o->from = option_int(in, "from");
	if (to)
		o->to = option_int(in, "to");
	return !to || o->from <= o->to || error_set(err, ERR_USAGE, "the range ends before it begins");
}

static bool read_file(const char *path, size_t max, struct arena *arena, struct str *out, struct error *err)
{
	struct buf text = {0};
	bool ok = file_read(path, max, &text, err);
	if (ok)
		*out = arena_copy(arena, buf_str(&text));
	buf_free(&text);
	return ok;
}

static bool read_checkpoint(struct ledger *l, const struct invocation *in, struct audit_options *o, struct checkpoint_note *note, struct error *err)
{
	const char *path = option_text(in, "since-checkpoint"), *signer = option_text(in, "checkpoint-signer");
	struct str text;
	struct ed25519_public key;
	if (!path)
		return true;
	if (!read_file(path, CHECKPOINT_MAX, &l->arena, &text, err) || !checkpoint_note_open(text, &l->arena, note, err))
		return false;
	if (signer && (!ed25519_public_from_text(str_from(signer), KEY_LENIENT, &key, err) || !ed25519_public_equal(&key, &note->signer)))
		return error_set(err, ERR_BAD_SIGNATURE, "the checkpoint is not signed by the key of --checkpoint-signer");
	o->checkpoint = note;
	o->from = note->height + 1;
	return true;
}

static bool write_checkpoint(struct ledger *l, const struct invocation *in, const struct audit_result *r, struct error *err)
{
	const char *path = option_text(in, "checkpoint");
	struct keyfile key;
	struct buf text = {0};
	if (!path)
		return true;
	if (!keyfile_read(l->config.node_key_file, NULL, NULL, &l->arena, &key, err))
		return false;
	if (!key.has_secret)
		return error_set(err, ERR_KEY_FILE, "%s holds no private key that can be read without a passphrase", l->config.node_key_file);
	checkpoint_note_sign(&text, &(struct checkpoint_note){.chain_id = r->chain_id, .height = r->to, .hash = r->hash, .state_root = r->state_root}, &key.secret);
	keyfile_wipe(&key);
	bool ok = file_write_atomic(path, buf_str(&text), 0644, FILE_REPLACE, err);
	buf_free(&text);
	return ok;
}

/* An audit writes nothing, so it does not bring tables up to date either; compared with those of another version each row would differ. */
static bool same_schema(struct db_conn *c, struct error *err)
{
	int64_t version, ours = (int64_t)ledger_migration_count;
	if (db_schema_version(c, &version, err) != DB_OK)
		return false;
	if (version == 0 || version == ours) /* 0: no ledger's, which shows */
		return true;
	error_set(err, ERR_CONFIG, "the tables of the database are of version %" PRId64 ", and this program is for %" PRId64, version, ours);
	return error_hint(err, version < ours ? "ledgerd init, or a start of ledgerd, brings them up to date" : "take a ledgerd as new as the one that serves from it");
}

/* ---- Content ---- */

struct content_check {
	struct t4_client *t4;
	bool asked; /* about this one, which its next owner may refer to as well */
	struct hash hash;
	bool there;
	int64_t stored;
};

static bool check_content(void *ctx, struct str key, const struct content_ref *ref, struct error *err)
{
	struct verifying *v = ctx;
	struct content_check *k = v->content;
	char expected[24], is[24];
	if (interrupted)
		return error_set(err, ERR_INTERRUPTED, "interrupted");
	if (!k->asked || !hash_equal(&k->hash, &ref->hash)) {
		k->hash = ref->hash;
		k->asked = t4_exists(k->t4, &k->hash, &k->there, &k->stored, err);
		if (!k->asked)
			return false;
	}
	if (k->there && k->stored == ref->size)
		return true;
	snprintf(expected, sizeof expected, "%" PRId64, ref->size);
	snprintf(is, sizeof is, "%" PRId64, k->stored);
	struct audit_finding f = {.check = "contentPresent", .height = -1, .index = -1, .table = "state", .row_columns = 1};
	f.row[0] = (struct audit_key){.column = "key", .text = key};
	f.expected = str_from(expected);
	f.found = k->there ? str_from(is) : STR_NONE;
	f.problem = k->there ? "the content in t4 has another size" : "the content is not in t4";
	found(v, &f);
	return true;
}

static bool open_store(struct ledger *l, struct content_check *k, struct error *err)
{
	const struct t4_client_options o = {.base_url = l->config.t4_url, .user_agent = "ledgerd", .stop = &interrupted};
	if (!l->config.t4_url) {
		error_set(err, ERR_USAGE, "--content needs --t4-url");
		return error_hint(err, "where this node's content store is, e.g. http://127.0.0.1:8180");
	}
	k->t4 = t4_client_new(&o, err);
	return k->t4 != NULL;
}

/* ---- The end ---- */

static const char *noun(uint64_t n, const char *one, const char *many)
{
	return n == 1 ? one : many;
}

static void summary(const struct verifying *v, const struct audit_result *r, const struct audit_options *o)
{
	char hash[HASH_TEXT_LEN + 1], root[HASH_TEXT_LEN + 1];
	int64_t ms = clock_mono_ms() - v->began_ms;
	hash_to_text(&r->hash, hash);
	hash_to_text(&r->state_root, root);
	bool any = r->from <= r->to; /* not when nothing has come since a checkpoint */
	if (v->json) {
		printf("{\"summary\":{\"valid\":%s,\"findings\":%" PRIu64 ",\"chainId\":\"%.*s\",\"height\":%" PRId64, v->findings ? "false" : "true",
		       v->findings, STR_ARG(r->chain_id), r->height);
		if (any)
			printf(",\"from\":%" PRId64 ",\"to\":%" PRId64, r->from, r->to);
		printf(",\"blocks\":%" PRIu64 ",\"transactions\":%" PRIu64 ",\"signatures\":%" PRIu64 ",\"entries\":%" PRIu64
		       ",\"hash\":\"%s\",\"stateRoot\":\"%s\",\"databaseCompared\":%s",
		       r->blocks, r->transactions, r->signatures, r->entries, hash, root, r->database ? "true" : "false");
		if (o->content)
			printf(",\"contentReferences\":%" PRIu64, r->references);
		printf(",\"milliseconds\":%" PRId64 "}}\n", ms);
		return;
	}
	printf("%s: chain %.*s, ", v->findings ? "NOT VALID" : "valid", STR_ARG(r->chain_id));
	if (any)
		printf("blocks %" PRId64 " to %" PRId64 " of %" PRId64, r->from, r->to, r->height);
	else
		printf("no block from %" PRId64 " on, the newest is %" PRId64, r->from, r->height);
	printf(", %" PRIu64 " %s, %" PRIu64 " %s, %" PRIu64 " %s of the state, %" PRIu64 " %s, %.1f s\n", r->transactions,
	       noun(r->transactions, "transaction", "transactions"), r->signatures, noun(r->signatures, "signature", "signatures"), r->entries,
	       noun(r->entries, "entry", "entries"), v->findings, noun(v->findings, "finding", "findings"), (double)ms / 1000);
	if (o->from > 0)
		printf("Blocks before %" PRId64 " were replayed without checking their signatures again.\n", o->from);
	if (!r->database)
		printf("The tables of the state were not compared: they are those of block %" PRId64 ".\n", r->height);
	if (o->content)
		printf("%" PRIu64 " %s looked for in t4.\n", r->references, noun(r->references, "reference to content was", "references to content were"));
	printf("block %s\nstate %s\n", hash, root);
}

int ledger_command_verify(struct invocation *in)
{
	struct ledger l = {.pool = NULL};
	struct error err;
	struct audit_result r;
	struct genesis genesis;
	struct checkpoint_note note;
	struct db_conn *c = NULL;
	struct str text;
	struct content_check content = {.t4 = NULL};
	struct verifying v = {.json = option_bool(in, "json"), .content = &content, .began_ms = clock_mono_ms()};
	struct audit_options o = {.jobs = (unsigned)option_int(in, "jobs"), .found = found, .progress = progress, .ctx = &v, .stop = &interrupted};
	v.terminal = !v.json && isatty(STDERR_FILENO);
	signal(SIGINT, interrupt);
	signal(SIGTERM, interrupt);
	bool ok = daemon_log_open("ledger", in, &err) && crypto_start(&err) && ledger_configure(&l, in, &err) && read_range(in, &o, &err) &&
		  read_checkpoint(&l, in, &o, &note, &err);
	if (ok && option_text(in, "checkpoint") && !l.config.node_key_file)
		ok = error_set(&err, ERR_USAGE, "--checkpoint needs --node-key, which signs it");
	if (ok && l.config.genesis_file) {
		ok = read_file(l.config.genesis_file, GENESIS_FILE_MAX, &l.arena, &text, &err) && genesis_read(text, &l.arena, &genesis, &err);
		o.genesis = &genesis;
	}
	if (ok && option_bool(in, "content")) {
		ok = open_store(&l, &content, &err);
		o.content = check_content;
	}
	ok = ok && db_open(l.config.db_url, DB_OPEN_READ_ONLY, "ledgerd-verify", &c, &err) == DB_OK && same_schema(c, &err);
	ok = ok && ledger_audit(c, &o, &l.arena, &r, &err);
	clear_progress(&v);
	if (ok && v.findings == 0)
		ok = write_checkpoint(&l, in, &r, &err);
	int status = VERIFY_NOT_CHECKED;
	if (ok) {
		summary(&v, &r, &o);
		status = v.findings ? VERIFY_DIFFERS : VERIFY_CLEAN;
	} else {
		program_fail(in, &err);
	}
	db_close(c);
	t4_client_free(content.t4);
	ledger_close(&l);
	return status;
}
