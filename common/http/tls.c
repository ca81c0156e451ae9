#include "tls.h"

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

enum {
	TLS_FILE_MAX = 1024 * 1024, /* bytes: a chain has a few KB */
	CHAIN_MAX = 16,
	KEY_ID_MAX = 64
};

struct tls_keys {
	struct tls_keys *older;
	struct buf cert_text, key_text; /* of the files */
	gnutls_pcert_st chain[CHAIN_MAX];
	unsigned chain_len;
	gnutls_privkey_t key;
};
struct tls {
	char *cert_file, *key_file;
	pthread_mutex_t lock; /* of reloads */
	_Atomic(struct tls_keys *) current; /* and, by `older`, those that handshakes may still use */
};

static _Thread_local struct tls *here;

/* ---- reading ---- */

static bool read_pem(const char *what, const char *path, struct buf *out, struct error *err)
{
	struct error cause;
	if (!file_read(path, TLS_FILE_MAX, out, &cause))
		return error_set(err, ERR_CONFIG, "the TLS %s cannot be read: %s", what, cause.message);
	if (!strstr(buf_z(out), "-----BEGIN "))
		return error_set(err, ERR_CONFIG, "the TLS %s %s is no PEM file", what, path);
	return true;
}

static gnutls_datum_t datum(const struct buf *b)
{
	return (gnutls_datum_t){.data = (unsigned char *)b->data, .size = (unsigned)b->len};
}

/* 0, or GnuTLS's error: also when the key is another one than the certificate's. */
static int match(struct tls_keys *k)
{
	unsigned char of_cert[KEY_ID_MAX], of_key[KEY_ID_MAX];
	size_t cert_len = sizeof(of_cert), key_len = sizeof(of_key);
	gnutls_pubkey_t public_key;
	int rc = gnutls_pubkey_init(&public_key);
	if (rc < 0)
		return rc;
	rc = gnutls_pubkey_import_privkey(public_key, k->key, 0, 0);
	if (rc >= 0)
		rc = gnutls_pubkey_get_key_id(public_key, GNUTLS_KEYID_USE_SHA256, of_key, &key_len);
	if (rc >= 0)
		rc = gnutls_pubkey_get_key_id(k->chain[0].pubkey, GNUTLS_KEYID_USE_SHA256, of_cert, &cert_len);
	if (rc >= 0 && (cert_len != key_len || memcmp(of_cert, of_key, key_len) != 0))
		rc = GNUTLS_E_CERTIFICATE_KEY_MISMATCH;
	gnutls_pubkey_deinit(public_key);
	return rc;
}

static void keys_free(struct tls_keys *k)
{
	for (unsigned i = 0; i < k->chain_len; i++)
		gnutls_pcert_deinit(&k->chain[i]);
	if (k->key)
		gnutls_privkey_deinit(k->key);
	if (k->key_text.data)
		explicit_bzero(k->key_text.data, k->key_text.cap);
	buf_free(&k->key_text);
	buf_free(&k->cert_text);
	free(k);
}

static int import(struct tls_keys *k)
{
	gnutls_datum_t cert = datum(&k->cert_text), key = datum(&k->key_text);
	unsigned n = CHAIN_MAX;
	int rc = gnutls_pcert_list_import_x509_raw(k->chain, &n, &cert, GNUTLS_X509_FMT_PEM, GNUTLS_X509_CRT_LIST_IMPORT_FAIL_IF_EXCEED);
	if (rc < 0)
		return rc;
	k->chain_len = n;
	rc = gnutls_privkey_init(&k->key);
	if (rc >= 0)
		rc = gnutls_privkey_import_x509_raw(k->key, &key, GNUTLS_X509_FMT_PEM, NULL, 0);
	return rc < 0 ? rc : match(k);
}

static struct tls_keys *read_keys(const struct tls *t, struct error *err)
{
	struct tls_keys *k = xcalloc(1, sizeof(*k));
	bool ok = read_pem("certificate", t->cert_file, &k->cert_text, err) && read_pem("key", t->key_file, &k->key_text, err);
	int rc = ok ? import(k) : 0;
	if (rc < 0)
		ok = error_set(err, ERR_CONFIG, "TLS cannot be set up with %s and %s: %s", t->cert_file, t->key_file, gnutls_strerror(rc));
	if (ok)
		return k;
	keys_free(k);
	return NULL;
}

/* ---- life ---- */

struct tls *tls_new(const char *cert_file, const char *key_file, struct error *err)
{
	struct tls *t = xcalloc(1, sizeof(*t));
	t->cert_file = xstrdup(cert_file);
	t->key_file = xstrdup(key_file);
	invariant(pthread_mutex_init(&t->lock, NULL) == 0);
	struct tls_keys *k = read_keys(t, err);
	if (k) {
		atomic_store(&t->current, k);
		return t;
	}
	tls_free(t);
	return NULL;
}

void tls_free(struct tls *t)
{
	if (!t)
		return;
	for (struct tls_keys *k = atomic_load(&t->current), *older; k; k = older) {
		older = k->older;
		keys_free(k);
	}
	pthread_mutex_destroy(&t->lock);
	free(t->cert_file);
	free(t->key_file);
	free(t);
}

static bool same_text(const struct buf *a, const struct buf *b)
{
	return str_equal(buf_str(a), buf_str(b));
}

bool tls_reload(struct tls *t, bool *changed, struct error *err)
{
	*changed = false;
	struct tls_keys *k = read_keys(t, err);
	if (!k)
		return false;
	pthread_mutex_lock(&t->lock);
	struct tls_keys *now = atomic_load(&t->current);
	*changed = !same_text(&now->cert_text, &k->cert_text) || !same_text(&now->key_text, &k->key_text);
	if (*changed) {
		k->older = now;
		atomic_store(&t->current, k);
	}
	pthread_mutex_unlock(&t->lock);
	if (!*changed)
		keys_free(k);
	return true;
}

/* ---- handshakes ---- */

void tls_enter(struct tls *t)
{
	here = t;
}

static int give(gnutls_session_t session, const gnutls_datum_t *authorities, int authority_count, const gnutls_pk_algorithm_t *algorithms,
		int algorithm_count, gnutls_pcert_st **chain, unsigned *chain_len, gnutls_privkey_t *key)
{
	(void)session, (void)authorities, (void)authority_count, (void)algorithms, (void)algorithm_count;
	invariant(here);
	struct tls_keys *k = atomic_load(&here->current);
	*chain = k->chain;
	*chain_len = k->chain_len;
	*key = k->key;
	return 0;
}

void *tls_callback(void)
{
	union {
		gnutls_certificate_retrieve_function2 *in;
		void *out;
	} f = {.in = give}; /* the option takes it as an address */
	return f.out;
}
