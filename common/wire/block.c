#include "block.h"


#include "base/log.h"
#include "crypto/canonical_read.h"
#include "crypto/merkle_list.h"
#include "wire/genesis.h"

#define CHAIN_FORMAT "tana-chain/1"

/* ---- Headers ---- */

static void put_hash(struct canonical_writer *w, const char *key, const struct hash *h)
{
	char text[HASH_TEXT_LEN + 1];
	hash_to_text(h, text);
	canonical_key(w, key);
	canonical_str(w, str_from(text));
}

static void put_int(struct canonical_writer *w, const char *key, int64_t v)
{
	canonical_key(w, key);
	canonical_int(w, v);
}

static void put_text(struct canonical_writer *w, const char *key, struct str s)
{
	canonical_key(w, key);
	canonical_str(w, s);
}

void block_header_write(struct buf *out, const struct block_header *h)
{
	struct canonical_writer w;
	canonical_begin(&w, out);
	canonical_object(&w);
	put_text(&w, "chainId", h->chain_id);
	put_hash(&w, "changesRoot", &h->changes_root);
	if (h->height == 0)
		put_hash(&w, "genesisHash", &h->genesis_hash);
	put_int(&w, "height", h->height);
	put_hash(&w, "previousHash", &h->previous_hash);
	put_text(&w, "producer", h->producer);
	put_hash(&w, "stateRoot", &h->state_root);
	put_int(&w, "timestamp", h->timestamp);
	put_int(&w, "txCount", h->tx_count);
	put_hash(&w, "txRoot", &h->tx_root);
	put_hash(&w, "validatorsHash", &h->validators_hash);
	put_int(&w, "version", BLOCK_VERSION);
	canonical_end(&w);
}

/* Fields in the order they must come in. */
struct header_reading {
	struct canonical_cursor c;
	struct error *err;
};

static bool next_is(struct header_reading *r, const char *name, struct str *value)
{
	struct str key;
	if (!canonical_next_member(&r->c, &key, value))
		return error_set(r->err, ERR_MISSING_FIELD, "the header has no %s", name);
	if (str_is(key, name))
		return true;
	if (str_compare(key, str_from(name)) > 0)
		return error_set(r->err, ERR_MISSING_FIELD, "the header has no %s", name);
	return error_set(r->err, ERR_UNKNOWN_FIELD, "a header has no field %.*s", (int)(key.n < 60 ? key.n : 60), key.p);
}

static bool read_text(struct header_reading *r, const char *name, bool (*valid)(struct str s), struct str *out)
{
	struct str value;
	return next_is(r, name, &value) &&
	       ((canonical_read_plain(value, out) && valid(*out)) || error_set(r->err, ERR_MALFORMED_FIELD, "the header's %s is malformed", name));
}

static bool read_hash(struct header_reading *r, const char *name, struct hash *out)
{
	struct str value, text;
	return next_is(r, name, &value) && ((canonical_read_plain(value, &text) && hash_from_text(text, out)) ||
					    error_set(r->err, ERR_MALFORMED_FIELD, "the header's %s must be a SHA-256", name));
}

static bool read_int(struct header_reading *r, const char *name, int64_t *out)
{
	struct str value;
	return next_is(r, name, &value) &&
	       ((canonical_read_int(value, out) && *out >= 0) || error_set(r->err, ERR_MALFORMED_FIELD, "the header's %s must be an integer, 0 or more", name));
}

static bool producer_valid(struct str s)
{
	return tx_form_valid(TX_FORM_VALIDATOR, s);
}

bool block_header_read(struct str text, struct block_header *out, struct error *err)
{
	struct header_reading r = {.err = err};
	int64_t version;
	struct str height_value;
	*out = (struct block_header){0};
	if (!canonical_check(text) || !canonical_enter_object(text, &r.c))
		return error_set(err, ERR_NOT_CANONICAL, "the header is not a canonical JSON object");
	/* Whether genesisHash must be there depends on the height, which comes behind it. */
	bool first = canonical_find(text, "height", &height_value) && str_is(height_value, "0");
	if (!read_text(&r, "chainId", chain_id_valid, &out->chain_id) || !read_hash(&r, "changesRoot", &out->changes_root) ||
	    (first && !read_hash(&r, "genesisHash", &out->genesis_hash)) || !read_int(&r, "height", &out->height) ||
	    !read_hash(&r, "previousHash", &out->previous_hash) || !read_text(&r, "producer", producer_valid, &out->producer) ||
	    !read_hash(&r, "stateRoot", &out->state_root) || !read_int(&r, "timestamp", &out->timestamp) ||
	    !read_int(&r, "txCount", &out->tx_count) || !read_hash(&r, "txRoot", &out->tx_root) ||
	    !read_hash(&r, "validatorsHash", &out->validators_hash) || !read_int(&r, "version", &version))
		return false;
	if (version != BLOCK_VERSION)
		return error_set(err, ERR_MALFORMED_FIELD, "the header's version must be %d", BLOCK_VERSION);
	return r.c.p == r.c.end || error_set(err, ERR_UNKNOWN_FIELD, "the header has a field too many");
}

/* ---- Validators ---- */

void validator_write(struct buf *out, const struct validator *v)
{
	struct canonical_writer w;
	canonical_begin(&w, out);
	canonical_object(&w);
	put_text(&w, "id", v->id);
	put_int(&w, "power", v->power);
	put_text(&w, "publicKey", v->public_key);
	canonical_end(&w);
}

bool validator_read(struct str value, struct validator *out)
{
	struct canonical_cursor c;
	struct str key, id, power, public_key;
	return canonical_enter_object(value, &c) && canonical_next_member(&c, &key, &id) && str_is(key, "id") && canonical_read_plain(id, &out->id) &&
	       canonical_next_member(&c, &key, &power) && str_is(key, "power") && canonical_read_int(power, &out->power) &&
	       canonical_next_member(&c, &key, &public_key) && str_is(key, "publicKey") && canonical_read_plain(public_key, &out->public_key) &&
	       c.p == c.end;
}

void validators_hash(struct hash *out, const struct validator *v, size_t count)
{
	struct buf text = {0};
	buf_putc(&text, '[');
	for (size_t i = 0; i < count; i++) {
		invariant(i == 0 || str_compare(v[i - 1].id, v[i].id) < 0);
		if (i > 0)
			buf_putc(&text, ',');
		validator_write(&text, &v[i]);
	}
	buf_putc(&text, ']');
	sha256(out, text.data, text.len);
	buf_free(&text);
}

/* ---- Lines of a chain file ---- */

static void put_signature(struct buf *out, const struct ed25519_signature *s)
{
	char text[ED25519_SIGNATURE_TEXT_LEN + 1];
	ed25519_signature_to_text(s, text);
	buf_putc(out, '"');
	buf_put(out, text, ED25519_SIGNATURE_TEXT_LEN);
	buf_putc(out, '"');
}

void block_line_write(struct buf *out, const struct block *b)
{
	char hash[HASH_TEXT_LEN + 1];
	hash_to_text(&b->hash, hash);
	buf_puts(out, "{\"hash\":\"");
	buf_puts(out, hash);
	buf_puts(out, "\",\"header\":");
	buf_put_str(out, b->header);
	if (b->has_signature) {
		buf_puts(out, ",\"signature\":");
		put_signature(out, &b->signature);
	}
	buf_puts(out, ",\"stateChanges\":");
	buf_put_str(out, b->changes);
	buf_puts(out, ",\"transactions\":[");
	for (size_t i = 0; i < b->tx_count; i++) {
		buf_puts(out, i > 0 ? ",{\"message\":" : "{\"message\":");
		buf_put_str(out, b->txs[i].message);
		buf_puts(out, ",\"signature\":");
		put_signature(out, &b->txs[i].signature);
		buf_putc(out, '}');
	}
	buf_puts(out, "]}");
}

static bool read_signature(struct str value, struct ed25519_signature *out, struct error *err)
{
	struct str text;
	return (canonical_read_plain(value, &text) || error_set(err, ERR_MALFORMED_SIGNATURE, "signature must be text")) &&
	       ed25519_signature_from_text(text, KEY_WRITTEN, out, err);
}

static bool read_tx(struct str object, struct block_tx *out, struct error *err)
{
	struct canonical_cursor c;
	struct str key, value;
	bool message = false, signature = false;
	if (!canonical_enter_object(object, &c))
		return error_set(err, ERR_MALFORMED_FIELD, "transactions must be a list of objects");
	while (canonical_next_member(&c, &key, &value)) {
		if (str_is(key, "message")) {
			message = true;
			out->message = value;
		} else if (str_is(key, "signature")) {
			signature = true;
			if (!read_signature(value, &out->signature, err))
				return false;
		} else if (!str_is(key, "id")) {
			return error_set(err, ERR_UNKNOWN_FIELD, "a block's transaction has a field too many");
		}
	}
	return (message && signature) || error_set(err, ERR_MISSING_FIELD, "a block's transaction has message and signature");
}

static bool read_txs(struct str list, struct arena *arena, struct block *out, struct error *err)
{
	struct canonical_cursor c;
	struct str item;
	size_t count = 0;
	if (!canonical_enter_array(list, &c))
		return error_set(err, ERR_MALFORMED_FIELD, "transactions must be a list");
	while (canonical_next_item(&c, &item))
		count++;
	out->txs = arena_zalloc(arena, count, sizeof *out->txs);
	out->tx_count = 0;
	(void)!canonical_enter_array(list, &c);
	while (canonical_next_item(&c, &item))
		if (!read_tx(item, &out->txs[out->tx_count++], err))
			return false;
	return true;
}

bool block_read(struct str object, struct arena *arena, struct block *out, struct error *err)
{
	struct canonical_cursor c;
	struct str key, value, text;
	bool hash = false, txs = false;
	*out = (struct block){.header = STR_NONE, .changes = STR_NONE};
	if (!canonical_enter_object(object, &c))
		return error_set(err, ERR_MALFORMED_FIELD, "a block must be an object");
	while (canonical_next_member(&c, &key, &value)) {
		if (str_is(key, "hash")) {
			hash = true;
			if (!canonical_read_plain(value, &text) || !hash_from_text(text, &out->hash))
				return error_set(err, ERR_MALFORMED_HASH, "a block's hash must be a SHA-256");
		} else if (str_is(key, "header")) {
			out->header = value;
		} else if (str_is(key, "signature")) {
			out->has_signature = true;
			if (!read_signature(value, &out->signature, err))
				return false;
		} else if (str_is(key, "stateChanges")) {
			out->changes = value;
		} else if (str_is(key, "transactions")) {
			txs = true;
			if (!read_txs(value, arena, out, err))
				return false;
		} else {
			return error_set(err, ERR_UNKNOWN_FIELD, "a block has a field too many");
		}
	}
	return (hash && txs && str_present(out->header) && str_present(out->changes)) ||
	       error_set(err, ERR_MISSING_FIELD, "a block has hash, header, stateChanges and transactions");
}

bool block_line_read(struct str line, struct arena *arena, struct block *out, struct error *err)
{
	if (!canonical_check(line))
		return error_set(err, ERR_NOT_CANONICAL, "the line is not canonical JSON");
	return block_read(line, arena, out, err);
}

void chain_file_head_write(struct buf *out, struct str genesis)
{
	buf_puts(out, "{\"format\":\"" CHAIN_FORMAT "\",\"genesis\":");
	buf_put_str(out, genesis);
	buf_putc(out, '}');
}

bool chain_file_head_read(struct str line, struct str *genesis, struct error *err)
{
	struct canonical_cursor c;
	struct str key, format;
	if (!canonical_check(line) || !canonical_enter_object(line, &c) || !canonical_next_member(&c, &key, &format) || !str_is(key, "format") ||
	    !str_is(format, "\"" CHAIN_FORMAT "\"") || !canonical_next_member(&c, &key, genesis) || !str_is(key, "genesis") || c.p != c.end)
		return error_set(err, ERR_MALFORMED_FIELD, "the first line is not {\"format\":\"" CHAIN_FORMAT "\",\"genesis\":{..}}: this is no chain file");
	return true;
}

/* ---- Roots ---- */

void block_tx_leaf(struct hash *out, const struct block_tx *t)
{
	merkle_leaf_parts(out, (const struct str[]){t->message, str_of((const char *)t->signature.b, ED25519_SIGNATURE_SIZE)}, 2);
}

void block_change_write(struct buf *out, struct str key, struct str before, struct str after)
{
	buf_puts(out, "{\"after\":");
	buf_put_str(out, str_present(after) ? after : STR_LIT("null"));
	buf_puts(out, ",\"before\":");
	buf_put_str(out, str_present(before) ? before : STR_LIT("null"));
	buf_puts(out, ",\"key\":");
	buf_put_json_string(out, key);
	buf_putc(out, '}');
}
