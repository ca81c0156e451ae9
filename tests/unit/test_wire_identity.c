/* What a login code says, and the link that says the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "qr/qr.h"
#include "wire/identity.h"

#define CODE                                                                                                                   \
	"{\"protocol\":\"tana\",\"type\":\"auth\",\"version\":\"1\",\"sessionId\":\"sess_0123456789abcdef\",\"challenge\":\"c0\",\"server\":\"https://id.example\"," \
	"\"appName\":\"Gr\xc3\xa4 & \\\"fana\\\"\",\"appIcon\":null}"

static void codes(void **state)
{
	(void)state;
	struct arena a;
	struct error err;
	struct identity_qr qr;
	struct buf link = {0}, again = {0};
	arena_init(&a);
	assert_true(identity_qr_read(STR_LIT(" \n" CODE "\r\n"), &qr, &a, &err));
	assert_true(str_is(qr.session_id, "sess_0123456789abcdef") && str_is(qr.server, "https://id.example") && !str_present(qr.app_icon));
	json_write(&again, &identity_qr_message, &qr);
	assert_string_equal(buf_z(&again), CODE);
	identity_link_write(&link, buf_str(&again));
	assert_true(str_starts(buf_str(&link), IDENTITY_LINK_PREFIX "%7B%22protocol%22%3A%22tana"));
	for (size_t i = strlen(IDENTITY_LINK_PREFIX); i < link.len; i++)
		assert_null(strchr("\"&<> {}", link.data[i]));
	struct identity_qr other;
	assert_true(identity_qr_read(buf_str(&link), &other, &a, &err));
	assert_true(str_equal(other.app_name, qr.app_name) && str_equal(other.challenge, qr.challenge));
	buf_free(&link);
	buf_free(&again);
	arena_free(&a);
}

static void what_is_no_code(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"", " ", "{", "[]", "https://id.example", "{}", "{\"protocol\":\"tana\"}",
		"{\"protocol\":\"tano\",\"type\":\"auth\",\"version\":\"1\",\"sessionId\":\"s\",\"challenge\":\"c\",\"server\":\"x\",\"appName\":null,\"appIcon\":null}",
		"{\"protocol\":\"tana\",\"type\":\"pay\",\"version\":\"1\",\"sessionId\":\"s\",\"challenge\":\"c\",\"server\":\"x\",\"appName\":null,\"appIcon\":null}",
		"{\"protocol\":\"tana\",\"type\":\"auth\",\"version\":\"2\",\"sessionId\":\"s\",\"challenge\":\"c\",\"server\":\"x\",\"appName\":null,\"appIcon\":null}",
		IDENTITY_LINK_PREFIX, IDENTITY_LINK_PREFIX "%7", IDENTITY_LINK_PREFIX "%7B%2", IDENTITY_LINK_PREFIX "%zz", IDENTITY_LINK_PREFIX "%00",
	};
	struct arena a;
	struct error err;
	struct identity_qr qr;
	arena_init(&a);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (identity_qr_read(str_from(bad[i]), &qr, &a, &err))
			fail_msg("taken: %s", bad[i]);
		assert_int_equal(err.code, ERR_MALFORMED_MESSAGE);
		assert_true(err.hint[0]);
	}
	arena_free(&a);
}

static void pictures(void **state)
{
	(void)state;
	struct buf out = {0};
	struct error err;
	size_t columns, lines = 0;
	assert_true(qr_svg_write(&out, STR_LIT(CODE), "a <code> & more", &err));
	assert_non_null(strstr(buf_z(&out), "<title>a &lt;code> &amp; more</title>"));
	assert_non_null(strstr(buf_z(&out), "M4 4h7v1h-7z")); /* the first finder's upper edge, behind the quiet zone */
	buf_clear(&out);
	assert_true(qr_terminal_write(&out, STR_LIT(CODE), true, &columns, &err));
	for (size_t i = 0; i < out.len; i++)
		lines += out.data[i] == '\n';
	assert_int_equal(lines, (columns + 1) / 2);
	assert_false(qr_svg_write(&out, STR_LIT(""), "t", &err));
	char *longest = calloc(1, QR_TEXT_MAX + 1);
	memset(longest, 'x', QR_TEXT_MAX + 1);
	buf_clear(&out);
	assert_true(qr_svg_write(&out, str_of(longest, QR_TEXT_MAX), "t", &err));
	assert_false(qr_svg_write(&out, str_of(longest, QR_TEXT_MAX + 1), "t", &err));
	assert_int_equal(err.code, ERR_TOO_LARGE);
	free(longest);
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(codes), cmocka_unit_test(what_is_no_code), cmocka_unit_test(pictures)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
