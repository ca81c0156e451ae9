/* http: reading event streams, cut at every byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "http/sse_parse.h"

/* Events as one text: "id|type|data;" each. */
struct record {
	struct buf text;
	int stop_after; /* events; 0: never */
	int events;
};

static bool note(void *ctx, int64_t id, const char *type, struct str data)
{
	struct record *r = ctx;
	buf_printf(&r->text, "%lld|%s|%.*s;", (long long)id, type, STR_ARG(data));
	return ++r->events != r->stop_after;
}

static const struct {
	const char *stream, *events;
} cases[] = {
	{"", ""},
	{"\n\n\n", ""},
	{"data: a\n\n", "-1|message|a;"},
	{"data:a\n\ndata: b\n\n", "-1|message|a;-1|message|b;"},
	{"data: a\r\rdata: b\r\r", "-1|message|a;-1|message|b;"},
	{"data: a\r\n\r\ndata: b\r\n\r\n", "-1|message|a;-1|message|b;"},
	{"data: a\r\n\rdata: b\n\r\n", "-1|message|a;-1|message|b;"},
	{"id: 7\nevent: node.offline\ndata: {\"id\":\"n\"}\n\n", "7|node.offline|{\"id\":\"n\"};"},
	/* The id stays, the type does not. */
	{"id: 7\nevent: x\ndata: a\n\ndata: b\n\n", "7|x|a;7|message|b;"},
	{"id: 7\n\ndata: b\n\n", "7|message|b;"},
	{"data: one\ndata: two\ndata:\ndata: four\n\n", "-1|message|one\ntwo\n\nfour;"},
	{"data\n\n", "-1|message|;"},
	{"data:\n\n", "-1|message|;"},
	{"event: x\n\n", ""},
	{"event: x\n\ndata: a\n\n", "-1|message|a;"},
	{": a comment\n:\n:data: no\ndata: a\n\n", "-1|message|a;"},
	/* One blank behind the colon belongs to the form, the second to the value. */
	{"data:  a \n\n", "-1|message| a ;"},
	{"data: a:b: c\n\n", "-1|message|a:b: c;"},
	{"unknown: x\nretry: 10\n data: no\nDATA: no\ndata : no\ndata: a\n\n", "-1|message|a;"},
	{"id: 5\nid: x\ndata: a\n\nid: 6\nid\ndata: b\n\n", "-1|message|a;-1|message|b;"},
	{"id: 9223372036854775807\ndata: a\n\nid: 9223372036854775808\ndata: b\n\n", "9223372036854775807|message|a;-1|message|b;"},
	{"\xef\xbb\xbf" "data: a\n\n", "-1|message|a;"},
	{"\xef\xbb\xbf\n\xef\xbb\xbf" "data: a\n\n", ""},
	/* What the end cuts off is lost. */
	{"data: a\n\ndata: b\n", "-1|message|a;"},
	{"data: a", ""},
	{"data: \xc3\xa9\xff\n\n", "-1|message|\xc3\xa9\xff;"},
};

static void assert_events(const char *stream, size_t n, const char *wanted, size_t first, size_t second)
{
	struct record r = {.stop_after = 0};
	struct sse_parser p;
	sse_parser_init(&p, 1024, -1, note, &r);
	assert_int_equal(sse_parser_feed(&p, stream, first), SSE_READING);
	assert_int_equal(sse_parser_feed(&p, stream + first, second - first), SSE_READING);
	assert_int_equal(sse_parser_feed(&p, stream + second, n - second), SSE_READING);
	assert_string_equal(buf_z(&r.text), wanted);
	sse_parser_free(&p);
	buf_free(&r.text);
}

static void test_every_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		size_t n = strlen(cases[i].stream);
		for (size_t first = 0; first <= n; first++)
			for (size_t second = first; second <= n; second++)
				assert_events(cases[i].stream, n, cases[i].events, first, second);
	}
}

static void test_byte_by_byte(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct record r = {.stop_after = 0};
		struct sse_parser p;
		sse_parser_init(&p, 1024, -1, note, &r);
		for (const char *c = cases[i].stream; *c; c++)
			assert_int_equal(sse_parser_feed(&p, c, 1), SSE_READING);
		assert_string_equal(buf_z(&r.text), cases[i].events);
		sse_parser_free(&p);
		buf_free(&r.text);
	}
}

static void test_resumed(void **state)
{
	(void)state;
	struct record r = {.stop_after = 0};
	struct sse_parser p;
	sse_parser_init(&p, 1024, 41, note, &r);
	sse_parser_feed(&p, "data: a\n\nid:42\ndata: b\n\n", 24);
	assert_string_equal(buf_z(&r.text), "41|message|a;42|message|b;");
	sse_parser_free(&p);
	buf_free(&r.text);
}

static void test_stop(void **state)
{
	(void)state;
	struct record r = {.stop_after = 2};
	struct sse_parser p;
	sse_parser_init(&p, 1024, -1, note, &r);
	static const char stream[] = "data: a\n\ndata: b\n\ndata: c\n\n";
	assert_int_equal(sse_parser_feed(&p, stream, sizeof stream - 1), SSE_STOPPED);
	assert_int_equal(sse_parser_feed(&p, stream, sizeof stream - 1), SSE_STOPPED);
	assert_string_equal(buf_z(&r.text), "-1|message|a;-1|message|b;");
	sse_parser_free(&p);
	buf_free(&r.text);
}

/* A line, or the data of one event, beyond the limit. */
static void test_too_large(void **state)
{
	(void)state;
	struct record r = {.stop_after = 0};
	struct sse_parser p;
	sse_parser_init(&p, 16, -1, note, &r);
	assert_int_equal(sse_parser_feed(&p, ":123456789012345\n", 17), SSE_READING);
	assert_int_equal(sse_parser_feed(&p, ":1234567890123456", 17), SSE_TOO_LARGE);
	sse_parser_free(&p);

	sse_parser_init(&p, 16, -1, note, &r);
	assert_int_equal(sse_parser_feed(&p, "data: 12345678\n\n", 16), SSE_READING);
	assert_int_equal(sse_parser_feed(&p, "data: 12345678\n", 15), SSE_READING);
	assert_int_equal(sse_parser_feed(&p, "data: 12345678\n\n", 16), SSE_TOO_LARGE);
	assert_string_equal(buf_z(&r.text), "-1|message|12345678;");
	sse_parser_free(&p);
	buf_free(&r.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_cut), cmocka_unit_test(test_byte_by_byte), cmocka_unit_test(test_resumed),
		cmocka_unit_test(test_stop),	  cmocka_unit_test(test_too_large),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
