#include "oidc_keys.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "crypto/ed25519.h"
#include "crypto/rsa.h"
#include "keys/keyfile.h"
#include "oidc_keys_inside.h"
#include "oidc_store.h"
#include "wire/jws.h"

enum { KEYS_MAX = 64 /* of one instance's file: with sensible lifetimes there are two of each kind */ };

struct key {
	enum oidc_alg alg;
	int64_t signs_from;
	struct rsa_key *rsa;            /* ALG_RS256 */
	struct ed25519_secret ed25519;  /* ALG_EDDSA */
	char *kid, *jwk;
	bool published;
};
struct oidc_keys {
	struct oidc_key_options o; /* path is a copy */
	struct db_pool *pool;
	/* The list grows and shrinks in turns, under the write lock; keys themselves do not change. Signers hold the read lock. */
	pthread_rwlock_t lock;
	struct key list[KEYS_MAX];
	size_t count;
};

/* ---- single keys ---- */

static void key_free(struct key *k)
{
	rsa_free(k->rsa);
	ed25519_secret_wipe(&k->ed25519);
	free(k->kid);
	free(k->jwk);
	*k = (struct key){.signs_from = 0};
}

/* Fills what is public about it. */
static void key_name(struct key *k)
{
	struct buf kid = {0}, jwk = {0};
	switch (k->alg) {
	case ALG_RS256:
		oidc_jwk_write_rsa(k->rsa, &kid, &jwk);
		break;
	case ALG_EDDSA:
		oidc_jwk_write_ed25519(&k->ed25519.public_key, &kid, &jwk);
		break;
	}
	k->kid = xstrndup(kid.data, kid.len);
	k->jwk = xstrndup(jwk.data, jwk.len);
	buf_free(&kid);
	buf_free(&jwk);
}

static bool key_make(enum oidc_alg alg, int64_t signs_from, struct key *out, struct error *err)
{
	*out = (struct key){.alg = alg, .signs_from = signs_from};
	switch (alg) {
	case ALG_RS256:
		out->rsa = rsa_generate(err);
		if (!out->rsa)
			return false;
		break;
	case ALG_EDDSA:
		ed25519_generate(&out->ed25519);
		break;
	}
	key_name(out);
	return true;
}

/* ---- the file ---- */

struct key_entry {
	struct str alg, private_key;
	int64_t signs_from;
};
struct key_file {
	struct json_list keys;
};
static const struct json_field entry_rows[] = {
	F_TEXT(struct key_entry, alg, "alg", JSON_REQUIRED, 8, "RS256 or EdDSA"),
	F_INT(struct key_entry, signs_from, "signsFrom", JSON_REQUIRED, 0, JSON_INT_MAX, "ms since the epoch"),
	F_TEXT(struct key_entry, private_key, "privateKey", JSON_REQUIRED, RSA_PEM_MAX, "PKCS #8 in PEM, or ed25519_ and the seed"),
};
static JSON_CLOSED_MESSAGE(entry_message, "SigningKey", struct key_entry, entry_rows);
static const struct json_field file_rows[] = {F_LIST(struct key_file, keys, "keys", JSON_REQUIRED, KEYS_MAX, &entry_message, "the keys")};
static JSON_CLOSED_MESSAGE(file_message, "SigningKeys", struct key_file, file_rows);

static void wipe(struct buf *b)
{
	if (b->data)
		explicit_bzero(b->data, b->cap);
	buf_free(b);
}

static bool key_from_entry(const struct key_entry *e, struct key *out, struct error *err)
{
	*out = (struct key){.alg = str_is(e->alg, oidc_alg_text(ALG_EDDSA)) ? ALG_EDDSA : ALG_RS256, .signs_from = e->signs_from};
	if (!str_is(e->alg, oidc_alg_text(out->alg)))
		return error_set(err, ERR_KEY_FILE, "alg must be RS256 or EdDSA");
	switch (out->alg) {
	case ALG_RS256:
		out->rsa = rsa_from_pem(e->private_key, err);
		if (!out->rsa)
			return false;
		break;
	case ALG_EDDSA:
		if (!ed25519_secret_from_text(e->private_key, KEY_WRITTEN, &out->ed25519, err))
			return false;
		break;
	}
	key_name(out);
	return true;
}

static bool take_entries(struct oidc_keys *k, const struct key_file *f, struct error *err)
{
	struct key_entry *list = f->keys.items;
	for (size_t i = 0; i < f->keys.count; i++) {
		bool ok = key_from_entry(&list[i], &k->list[k->count], err);
		explicit_bzero((char *)(uintptr_t)list[i].private_key.p, list[i].private_key.n);
		if (!ok)
			return false;
		k->count++;
	}
	return true;
}

static bool read_keys(struct oidc_keys *k, struct error *err)
{
	struct buf text = {0};
	struct error why;
	struct key_file f;
	struct arena arena;
	if (!keyfile_read_bytes(k->o.path, &text, &why)) {
		wipe(&text);
		if (why.code == ERR_KEY_NEEDED)
			return true; /* the first start */
		*err = why;
		return false;
	}
	arena_init(&arena);
	struct json_doc *doc = json_parse_object(buf_str(&text), &why);
	bool ok = doc && json_read(doc, &file_message, &f, &arena, &why) && take_entries(k, &f, &why);
	json_doc_wipe(doc);
	arena_free(&arena);
	wipe(&text);
	if (ok)
		return true;
	error_set(err, ERR_KEY_FILE, "%s has no signing keys: %s", k->o.path, why.message);
	return error_hint(err, "without the file new keys are made at the next start; those who keep the old ones look again by themselves");
}

static bool write_keys(const struct oidc_keys *k, struct error *err)
{
	struct buf text = {0}, secret = {0};
	bool ok = true;
	buf_reserve(&text, (k->count + 1) * (size_t)RSA_PEM_MAX); /* so that no copy is left behind by growing */
	buf_reserve(&secret, RSA_PEM_MAX);
	buf_puts(&text, "{\"keys\":[");
	for (size_t i = 0; ok && i < k->count; i++) {
		const struct key *key = &k->list[i];
		char seed[ED25519_SEED_TEXT_LEN + 1];
		buf_clear(&secret);
		switch (key->alg) {
		case ALG_RS256:
			ok = rsa_to_pem(key->rsa, &secret, err);
			break;
		case ALG_EDDSA:
			ed25519_seed_to_text(&key->ed25519, seed);
			buf_puts(&secret, seed);
			explicit_bzero(seed, sizeof(seed));
			break;
		}
		const struct key_entry e = {.alg = str_from(oidc_alg_text(key->alg)), .private_key = buf_str(&secret), .signs_from = key->signs_from};
		buf_puts(&text, i ? ",\n" : "\n");
		if (ok)
			json_write(&text, &entry_message, &e);
	}
	buf_puts(&text, "]}\n");
	ok = ok && file_write_atomic(k->o.path, buf_str(&text), 0600, FILE_REPLACE, err);
	wipe(&secret);
	wipe(&text);
	return ok;
}

/* ---- turns ---- */

struct publish_job {
	struct db_job job;
	const struct key *key;
	int64_t expires_at;
};

static enum db_status run_publish(struct db_job *job, struct db_conn *c, struct error *err)
{
	const struct publish_job *j = (const struct publish_job *)job;
	const struct oidc_key_row row = {.kid = str_from(j->key->kid), .jwk = str_from(j->key->jwk), .expires_at = j->expires_at};
	return oidc_key_insert(c, &row, err);
}

static bool publish(struct oidc_keys *k, const struct key *key, struct error *err)
{
	struct publish_job j = {
		.job = {.run = run_publish}, .key = key, .expires_at = oidc_key_ends(key->signs_from, k->o.lifetime_ms, k->o.overlap_ms)};
	return db_pool_write(k->pool, &j.job, err) == DB_OK;
}

/* The keys of one kind, by their times. Returns how many; at[i] is the index in the list. */
static size_t of_alg(const struct oidc_keys *k, enum oidc_alg alg, int64_t signs_from[KEYS_MAX], int at[KEYS_MAX])
{
	size_t n = 0;
	for (size_t i = 0; i < k->count; i++)
		if (k->list[i].alg == alg) {
			at[n] = (int)i;
			signs_from[n++] = k->list[i].signs_from;
		}
	return n;
}

static void plan(const struct oidc_keys *k, enum oidc_alg alg, int64_t now, struct oidc_key_plan *out)
{
	int64_t signs_from[KEYS_MAX];
	int at[KEYS_MAX];
	size_t n = of_alg(k, alg, signs_from, at);
	oidc_key_plan(signs_from, n, k->o.lifetime_ms, k->o.overlap_ms, now, out);
	out->signer = out->signer < 0 ? -1 : at[out->signer];
}

/* Only this thread changes the list, so it may be read here without the lock. */
static bool add_key(struct oidc_keys *k, const struct key *made, struct error *err)
{
	struct key *slot = &k->list[k->count];
	invariant(k->count < KEYS_MAX);
	pthread_rwlock_wrlock(&k->lock);
	*slot = *made;
	k->count++;
	pthread_rwlock_unlock(&k->lock);
	if (write_keys(k, err) && publish(k, slot, err)) {
		pthread_rwlock_wrlock(&k->lock);
		slot->published = true;
		pthread_rwlock_unlock(&k->lock);
		log_info("a signing key was made", LOG_S("alg", oidc_alg_text(slot->alg)), LOG_S("kid", slot->kid));
		return true;
	}
	return false;
}

static void drop_ended(struct oidc_keys *k, int64_t now)
{
	pthread_rwlock_wrlock(&k->lock);
	size_t kept = 0;
	for (size_t i = 0; i < k->count; i++) {
		if (oidc_key_ends(k->list[i].signs_from, k->o.lifetime_ms, k->o.overlap_ms) <= now) {
			key_free(&k->list[i]);
			continue;
		}
		struct key moved = k->list[i];
		k->list[kept++] = moved;
	}
	k->count = kept;
	pthread_rwlock_unlock(&k->lock);
}

bool oidc_keys_turn(struct oidc_keys *k, int64_t now, struct error *err)
{
	drop_ended(k, now);
	for (size_t i = 0; i < k->count; i++) {
		if (k->list[i].published)
			continue;
		if (!publish(k, &k->list[i], err))
			return false;
		pthread_rwlock_wrlock(&k->lock);
		k->list[i].published = true;
		pthread_rwlock_unlock(&k->lock);
	}
	for (int alg = ALG_RS256; alg <= ALG_EDDSA; alg++) {
		struct oidc_key_plan p;
		struct key made;
		plan(k, (enum oidc_alg)alg, now, &p);
		if (!p.make)
			continue;
		if (k->count == KEYS_MAX)
			return error_set(err, ERR_KEY_FILE, "%s has too many keys", k->o.path);
		if (!key_make((enum oidc_alg)alg, p.signs_from, &made, err) || !add_key(k, &made, err))
			return false;
	}
	return true;
}

/* ---- life ---- */

struct oidc_keys *oidc_keys_open(const struct oidc_key_options *o, struct db_pool *pool, struct error *err)
{
	struct oidc_keys *k = xcalloc(1, sizeof(*k));
	k->o = *o;
	k->o.path = xstrdup(o->path);
	k->pool = pool;
	pthread_rwlock_init(&k->lock, NULL);
	if (read_keys(k, err) && oidc_keys_turn(k, clock_wall_ms(), err))
		return k;
	oidc_keys_close(k);
	return NULL;
}

void oidc_keys_close(struct oidc_keys *k)
{
	if (!k)
		return;
	for (size_t i = 0; i < k->count; i++)
		key_free(&k->list[i]);
	pthread_rwlock_destroy(&k->lock);
	free((char *)(uintptr_t)k->o.path);
	free(k);
}

/* ---- signing ---- */

static bool sign_with(const struct key *k, const struct json_message *claims_message, const void *claims, struct buf *out, struct error *err)
{
	const struct oidc_jwt_header header = {.alg = str_from(oidc_alg_text(k->alg)), .kid = str_from(k->kid), .typ = STR_LIT("JWT")};
	struct buf signature = {0};
	struct ed25519_signature s;
	size_t at = out->len;
	bool ok = true;
	jws_put_signed_text(out, &oidc_jwt_header_message, &header, claims_message, claims);
	struct str text = str_of(out->data + at, out->len - at);
	switch (k->alg) {
	case ALG_RS256:
		ok = rsa_sign(k->rsa, text, &signature, err);
		break;
	case ALG_EDDSA:
		ed25519_sign_bytes(&s, &k->ed25519, text);
		buf_put(&signature, s.b, sizeof(s.b));
		break;
	}
	if (ok)
		jws_put_signature(out, buf_str(&signature));
	buf_free(&signature);
	return ok;
}

bool oidc_keys_sign(struct oidc_keys *k, enum oidc_alg alg, int64_t now, const struct json_message *claims_message, const void *claims, struct buf *out,
		    struct error *err)
{
	struct oidc_key_plan p;
	pthread_rwlock_rdlock(&k->lock);
	plan(k, alg, now, &p);
	bool ok = p.signer >= 0 ? sign_with(&k->list[p.signer], claims_message, claims, out, err)
				: error_set(err, ERR_INTERNAL, "there is no key for %s", oidc_alg_text(alg));
	pthread_rwlock_unlock(&k->lock);
	return ok;
}
