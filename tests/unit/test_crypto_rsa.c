/* crypto: RSA signatures, by the published example (RFC 7515 A.2) and by what could be wrong with a key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "crypto/ed25519.h"
#include "crypto/rsa.h"
#include "wire/base64url.h"

static const char modulus_text[] =
	"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2j"
	"Z47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK"
	"-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
static const char signed_text[] =
	"eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
static const char signature_text[] =
	"cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--"
	"f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUi"
	"pUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";

static void decode(const char *text, struct buf *out)
{
	assert_true(base64url_decode(str_from(text), out));
}

static void the_published_signature(void **state)
{
	struct buf n = {0}, e = {0}, n2 = {0}, e2 = {0}, signature = {0};
	struct error err;
	decode(modulus_text, &n);
	decode("AQAB", &e);
	decode(signature_text, &signature);
	struct rsa_key *k = rsa_from_public(buf_str(&n), buf_str(&e), &err);
	assert_non_null(k);
	assert_true(rsa_verify(k, str_from(signed_text), buf_str(&signature)));
	rsa_public(k, &n2, &e2);
	assert_true(str_equal(buf_str(&n), buf_str(&n2)) && str_equal(buf_str(&e), buf_str(&e2)));

	assert_false(rsa_verify(k, str_of(signed_text, sizeof(signed_text) - 2), buf_str(&signature)));
	assert_false(rsa_verify(k, STR_LIT(""), buf_str(&signature)));
	assert_false(rsa_verify(k, str_from(signed_text), str_of(signature.data, signature.len - 1)));
	assert_false(rsa_verify(k, str_from(signed_text), STR_LIT("")));
	signature.data[17] ^= 1;
	assert_false(rsa_verify(k, str_from(signed_text), buf_str(&signature)));
	rsa_free(k);
	buf_free(&n);
	buf_free(&e);
	buf_free(&n2);
	buf_free(&e2);
	buf_free(&signature);
	(void)state;
}

static void a_key_made_written_and_read(void **state)
{
	struct error err;
	struct buf pem = {0}, again = {0}, signature = {0}, same = {0}, n = {0}, e = {0};
	struct rsa_key *k = rsa_generate(&err);
	assert_non_null(k);
	assert_true(rsa_to_pem(k, &pem, &err));
	assert_true(pem.len <= RSA_PEM_MAX && str_starts(buf_str(&pem), "-----BEGIN PRIVATE KEY-----\n"));
	struct rsa_key *copy = rsa_from_pem(buf_str(&pem), &err);
	assert_non_null(copy);
	assert_true(rsa_to_pem(copy, &again, &err) && str_equal(buf_str(&pem), buf_str(&again)));
	rsa_public(k, &n, &e);
	assert_int_equal(n.len, RSA_BITS / 8);
	assert_true(str_equal(buf_str(&e), STR_LIT("\x01\x00\x01")));
	assert_true(rsa_sign(k, STR_LIT("a.b"), &signature, &err) && rsa_sign(copy, STR_LIT("a.b"), &same, &err));
	assert_true(str_equal(buf_str(&signature), buf_str(&same)) && signature.len == RSA_BITS / 8);
	assert_true(rsa_verify(copy, STR_LIT("a.b"), buf_str(&signature)) && !rsa_verify(copy, STR_LIT("a.c"), buf_str(&signature)));

	struct rsa_key *other = rsa_generate(&err);
	assert_non_null(other);
	assert_false(rsa_verify(other, STR_LIT("a.b"), buf_str(&signature)));
	rsa_free(other);
	rsa_free(copy);
	rsa_free(k);
	rsa_free(NULL);
	buf_free(&pem);
	buf_free(&again);
	buf_free(&signature);
	buf_free(&same);
	buf_free(&n);
	buf_free(&e);
	(void)state;
}

static void what_is_no_key(void **state)
{
	/* An Ed25519 key, an encrypted one, and an RSA key of 512 bits. */
	static const char *const pems[] = {
		"",
		"-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n",
		"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n",
		"-----BEGIN RSA PRIVATE KEY-----\nMIIBOgIBAAJBAKj34GkxFhD90vcNLYLInFEX6Ppy1tPf9Cnzj4p4WGeKLs1Pt8Qu\n"
		"KUpRKfFLfRYC9AIKjbJTWit+CqvjWYzvQwECAwEAAQJAIJLixBy2qpFoS4DSmoEm\no3qGy0t6z09AIJtH+5OeRV1be+N4cDYJKffGzDa88vQENZiRm0GRq6a+HPGQMd2k\n"
		"TQIhAKMSvzIBnni7ot/OSie2TmJLY4SwTQAevXysE2RbFDYdAiEBCUEaRQnMnbp7\n9mxDXDf6AU0cN/RPBjb9qSHDcWZHGzUCIG2Es59z8ugGrDY+pxLQnwfotadxd+Uy\n"
		"v/Ow5T0q5gIJAiEAyS4RaI9YG8EWx/2w0T67ZUVAw8eOMB6BIUg0Xcu+3okCIBOs\n/5OiPgoTdSy7bcF9IGpSE8ZgGKzgYQVZeN97YE00\n-----END RSA PRIVATE KEY-----\n",
	};
	struct error err;
	struct buf n = {0};
	for (size_t i = 0; i < ARRAY_LEN(pems); i++) {
		assert_null(rsa_from_pem(str_from(pems[i]), &err));
		assert_int_equal(err.code, ERR_KEY_FILE);
	}
	decode(modulus_text, &n);
	assert_null(rsa_from_public(buf_str(&n), STR_LIT(""), &err));
	assert_int_equal(err.code, ERR_MALFORMED_KEY);
	assert_null(rsa_from_public(buf_str(&n), STR_LIT("\x01"), &err));         /* every text is its own signature */
	assert_null(rsa_from_public(buf_str(&n), STR_LIT("\x01\x00"), &err));     /* even */
	assert_null(rsa_from_public(buf_str(&n), STR_LIT("123456789"), &err));    /* too long */
	assert_null(rsa_from_public(str_of(n.data, n.len - 1), STR_LIT("\x03"), &err));
	n.data[0] = 0; /* 2040 bits in 256 bytes */
	assert_null(rsa_from_public(buf_str(&n), STR_LIT("\x03"), &err));
	buf_free(&n);
	(void)state;
}

int main(void)
{
	struct error err;
	assert_true(crypto_start(&err));
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_published_signature),
		cmocka_unit_test(a_key_made_written_and_read),
		cmocka_unit_test(what_is_no_key),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
