/* HMAC-SHA256 against RFC 4231's test cases. */
#include "base/hex.h"
#include "crypto/hmac.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void check(struct str key, struct str message, const char *expected)
{
	struct hash h;
	char text[HASH_TEXT_LEN + 1];
	hmac_sha256(&h, key, message);
	hash_to_text(&h, text);
	assert_string_equal(text, expected);
}

static void test_rfc4231(void **state)
{
	(void)state;
	char key[131], data[50];
	memset(key, 0x0b, 20);
	check(str_of(key, 20), STR_LIT("Hi There"), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
	check(STR_LIT("Jefe"), STR_LIT("what do ya want for nothing?"), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	memset(key, 0xaa, sizeof(key));
	memset(data, 0xdd, sizeof(data));
	check(str_of(key, 20), str_of(data, 50), "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
	check(str_of(key, 131), STR_LIT("Test Using Larger Than Block-Size Key - Hash Key First"),
	      "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

static void test_block_boundary(void **state)
{
	(void)state;
	char key[65];
	memset(key, 'k', sizeof(key));
	/* A key of exactly one block is used as it is; one byte more is hashed first (both by Python's hmac). */
	check(str_of(key, 64), STR_LIT("m"), "3b7a8d453e76edb519238a515105a57508d0f169f480ebeee120a9e7803289fa");
	check(str_of(key, 65), STR_LIT("m"), "c2d7d4c2256ddb097409ec0c67e1d58fa1a007fc6932cac0d892a525d08af7cc");
	check(str_of(key, 0), STR_LIT(""), "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_rfc4231), cmocka_unit_test(test_block_boundary)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
