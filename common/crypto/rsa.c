#include "rsa.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "base/log.h"

/* struct rsa_key is libcrypto's own object under another name. */
static EVP_PKEY *inner(const struct rsa_key *k)
{
	return (EVP_PKEY *)(uintptr_t)k;
}

static struct rsa_key *outer(EVP_PKEY *k)
{
	return (struct rsa_key *)(void *)k;
}

/* Takes what libcrypto left in this thread's queue of errors, so that it is not somebody else's later. */
static bool failed(struct error *err, enum error_code code, const char *what)
{
	unsigned long why = ERR_get_error();
	char text[128] = "no reason given";
	if (why)
		ERR_error_string_n(why, text, sizeof(text));
	ERR_clear_error();
	return error_set(err, code, "%s: %s", what, text);
}

struct rsa_key *rsa_generate(struct error *err)
{
	EVP_PKEY *k = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)RSA_BITS);
	if (!k)
		(void)failed(err, ERR_INTERNAL, "no RSA key could be made");
	return outer(k);
}

struct rsa_key *rsa_from_pem(struct str pem, struct error *err)
{
	char passphrase[] = ""; /* so that nobody is asked for one */
	BIO *in = BIO_new_mem_buf(pem.n ? pem.p : "", (int)(pem.n <= RSA_PEM_MAX ? pem.n : 0));
	EVP_PKEY *k = in ? PEM_read_bio_PrivateKey(in, NULL, NULL, passphrase) : NULL;
	BIO_free(in);
	if (!k) {
		(void)failed(err, ERR_KEY_FILE, "not a private RSA key in PEM");
		return NULL;
	}
	if (!EVP_PKEY_is_a(k, "RSA") || EVP_PKEY_get_bits(k) < RSA_BITS || EVP_PKEY_get_bits(k) > RSA_BITS_MAX) {
		error_set(err, ERR_KEY_FILE, "not an RSA key of %d to %d bits", RSA_BITS, RSA_BITS_MAX);
		EVP_PKEY_free(k);
		return NULL;
	}
	return outer(k);
}

bool rsa_to_pem(const struct rsa_key *k, struct buf *out, struct error *err)
{
	/* Memory that is wiped when it is freed. */
	BIO *text = BIO_new(BIO_s_secmem());
	char *p = NULL;
	bool ok = text && PEM_write_bio_PKCS8PrivateKey(text, inner(k), NULL, NULL, 0, NULL, NULL) == 1;
	if (ok) {
		long n = BIO_get_mem_data(text, &p);
		buf_put(out, p, (size_t)n);
	} else {
		(void)failed(err, ERR_INTERNAL, "the RSA key could not be written");
	}
	BIO_free(text);
	return ok;
}

static EVP_PKEY *public_from(BIGNUM *n, BIGNUM *e)
{
	EVP_PKEY *k = NULL;
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	OSSL_PARAM *params = NULL;
	if (build && OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) && OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e))
		params = OSSL_PARAM_BLD_to_param(build);
	if (params && ctx && EVP_PKEY_fromdata_init(ctx) == 1 && EVP_PKEY_fromdata(ctx, &k, EVP_PKEY_PUBLIC_KEY, params) != 1)
		k = NULL;
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(build);
	EVP_PKEY_CTX_free(ctx);
	return k;
}

struct rsa_key *rsa_from_public(struct str modulus, struct str exponent, struct error *err)
{
	enum { EXPONENT_BYTES_MAX = 8 };
	bool sizes = modulus.n >= RSA_BITS / 8 && modulus.n <= RSA_BITS_MAX / 8 && exponent.n >= 1 && exponent.n <= EXPONENT_BYTES_MAX;
	BIGNUM *n = sizes ? BN_bin2bn((const unsigned char *)modulus.p, (int)modulus.n, NULL) : NULL;
	BIGNUM *e = sizes ? BN_bin2bn((const unsigned char *)exponent.p, (int)exponent.n, NULL) : NULL;
	bool good = n && e && BN_num_bits(n) >= RSA_BITS && BN_is_odd(n) && BN_is_odd(e) && !BN_is_one(e);
	EVP_PKEY *k = good ? public_from(n, e) : NULL;
	BN_free(n);
	BN_free(e);
	if (!k)
		(void)failed(err, ERR_MALFORMED_KEY, "not a public RSA key");
	return outer(k);
}

void rsa_free(struct rsa_key *k)
{
	EVP_PKEY_free(inner(k));
}

static void put_number(const struct rsa_key *k, const char *name, struct buf *out)
{
	unsigned char bytes[RSA_BITS_MAX / 8];
	BIGNUM *v = NULL;
	invariant(EVP_PKEY_get_bn_param(inner(k), name, &v) == 1 && BN_num_bytes(v) <= (int)sizeof(bytes));
	buf_put(out, bytes, (size_t)BN_bn2bin(v, bytes));
	BN_free(v);
}

void rsa_public(const struct rsa_key *k, struct buf *modulus, struct buf *exponent)
{
	put_number(k, OSSL_PKEY_PARAM_RSA_N, modulus);
	put_number(k, OSSL_PKEY_PARAM_RSA_E, exponent);
}

bool rsa_sign(const struct rsa_key *k, struct str bytes, struct buf *out, struct error *err)
{
	unsigned char signature[RSA_BITS_MAX / 8];
	size_t n = sizeof(signature);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = ctx && EVP_DigestSignInit_ex(ctx, NULL, "SHA256", NULL, NULL, inner(k), NULL) == 1 &&
		  EVP_DigestSign(ctx, signature, &n, (const unsigned char *)bytes.p, bytes.n) == 1;
	EVP_MD_CTX_free(ctx);
	if (!ok)
		return failed(err, ERR_INTERNAL, "the RSA key cannot sign");
	buf_put(out, signature, n);
	return true;
}

bool rsa_verify(const struct rsa_key *k, struct str bytes, struct str signature)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = ctx && EVP_DigestVerifyInit_ex(ctx, NULL, "SHA256", NULL, NULL, inner(k), NULL) == 1 &&
		  EVP_DigestVerify(ctx, (const unsigned char *)signature.p, signature.n, (const unsigned char *)bytes.p, bytes.n) == 1;
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	return ok;
}
