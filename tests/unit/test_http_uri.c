/* Request targets from outside, and the routing table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "http/router.h"
#include "http/uri.h"

/* ---- targets ---- */

struct parsed {
	struct arena arena;
	struct uri uri;
	struct error err;
	bool ok;
	char *text; /* exactly as long as the target, so that sanitizers see a byte read beyond it */
};

static struct parsed parse_n(const char *target, size_t n)
{
	struct parsed p = {.text = xmalloc(n ? n : 1)};
	memcpy(p.text, target, n);
	arena_init(&p.arena);
	p.ok = uri_parse(p.text, n, &p.arena, &p.uri, &p.err);
	return p;
}

static struct parsed parse(const char *target)
{
	return parse_n(target, strlen(target));
}

static void done(struct parsed *p)
{
	arena_free(&p->arena);
	free(p->text);
}

static void assert_text(struct str s, const char *expected)
{
	assert_int_equal(s.n, strlen(expected));
	assert_memory_equal(s.p, expected, s.n);
}

static void splits_and_decodes(void **state)
{
	(void)state;
	struct parsed p = parse("/nodes/n%6Fde%2F1/%C3%A9?status=active&status=off%20line&empty&plus=a+b&=x");
	assert_true(p.ok);
	assert_true(p.uri.matchable);
	assert_int_equal(p.uri.segment_count, 3);
	assert_text(p.uri.segments[0], "nodes");
	assert_text(p.uri.segments[1], "node/1");
	assert_text(p.uri.segments[2], "\xc3\xa9");
	assert_int_equal(p.uri.param_count, 5);
	assert_text(p.uri.params[0].name, "status");
	assert_text(p.uri.params[0].value, "active");
	assert_text(p.uri.params[1].value, "off line");
	assert_text(p.uri.params[2].name, "empty");
	assert_text(p.uri.params[2].value, "");
	assert_text(p.uri.params[3].value, "a b");
	assert_text(p.uri.params[4].name, "");
	done(&p);
}

static void roots_and_absolute_forms(void **state)
{
	(void)state;
	static const struct {
		const char *target;
		bool matchable;
		size_t segments;
	} cases[] = {{"/", true, 0},
		     {"/?a=b", true, 0},
		     {"http://host", true, 0},
		     {"http://host:80/a/b", true, 2},
		     {"HTTPS://host?x=1", true, 0},
		     {"", false, 0},
		     {"*", false, 0},
		     {"a/b", false, 2},
		     {"//a", false, 1},
		     {"/a/", false, 1},
		     {"/a//b", false, 2},
		     {"/a/../b", false, 2},
		     {"/a/%2e%2e/b", false, 2},
		     {"/./a", false, 1}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct parsed p = parse(cases[i].target);
		assert_true(p.ok);
		assert_int_equal(p.uri.matchable, cases[i].matchable);
		if (p.uri.matchable)
			assert_int_equal(p.uri.segment_count, cases[i].segments);
		done(&p);
	}
}

static void refuses_bad_encoding(void **state)
{
	(void)state;
	static const struct {
		const char *target;
		enum error_code code;
	} cases[] = {
		{"/%", ERR_MALFORMED_REQUEST},         {"/%4", ERR_MALFORMED_REQUEST},        {"/%zz", ERR_MALFORMED_REQUEST},
		{"/a%00b", ERR_MALFORMED_REQUEST},     {"/%ff", ERR_MALFORMED_REQUEST},       {"/%c0%80", ERR_MALFORMED_REQUEST},
		{"/%ed%a0%80", ERR_MALFORMED_REQUEST}, {"/a#b", ERR_MALFORMED_REQUEST},       {"/a\x01", ERR_MALFORMED_REQUEST},
		{"/\x80", ERR_MALFORMED_REQUEST},      {"/a?x=%", ERR_MALFORMED_PARAMETER},   {"/a?x=%00", ERR_MALFORMED_PARAMETER},
		{"/a?%fe=1", ERR_MALFORMED_PARAMETER}, {"/a?x=1#y", ERR_MALFORMED_PARAMETER},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct parsed p = parse(cases[i].target);
		assert_false(p.ok);
		assert_int_equal(p.err.code, cases[i].code);
		done(&p);
	}
}

static void bounds_segments_and_parameters(void **state)
{
	(void)state;
	struct buf b = {0};
	for (int i = 0; i <= URI_SEGMENTS_MAX; i++)
		buf_puts(&b, "/s");
	struct parsed p = parse_n(b.data, b.len);
	assert_true(p.ok);
	assert_false(p.uri.matchable);
	done(&p);
	buf_clear(&b);
	buf_puts(&b, "/?");
	for (int i = 0; i < URI_PARAMS_MAX; i++)
		buf_puts(&b, "a&");
	p = parse_n(b.data, b.len);
	assert_true(p.ok);
	assert_int_equal(p.uri.param_count, URI_PARAMS_MAX);
	done(&p);
	buf_puts(&b, "a");
	p = parse_n(b.data, b.len);
	assert_false(p.ok);
	done(&p);
	buf_free(&b);
}

/* ---- routes ---- */

static const struct http_route table[] = {
	{.method = HTTP_GET, .path = "/"},
	{.method = HTTP_GET, .path = "/nodes"},
	{.method = HTTP_POST, .path = "/nodes"},
	{.method = HTTP_GET, .path = "/nodes/:id"},
	{.method = HTTP_POST, .path = "/nodes/special"},
	{.method = HTTP_DELETE, .path = "/nodes/:id/services/:name"},
	{.method = HTTP_GET, .path = "/nodes/special/only"},
	{.method = HTTP_PUT, .path = "/:any"},
};

static struct router_match look_up(int method, const char *path)
{
	const struct http_route *rows[ARRAY_LEN(table)];
	struct router_match m;
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		rows[i] = &table[i];
	struct router *r = router_new(rows, ARRAY_LEN(table));
	struct parsed p = parse(path);
	assert_true(p.ok && p.uri.matchable);
	router_find(r, method, p.uri.segments, p.uri.segment_count, &m);
	for (size_t i = 0; i < m.arg_count; i++)
		m.args[i] = STR_NONE; /* they point into what is freed now */
	done(&p);
	router_free(r);
	return m;
}

static void finds_rows(void **state)
{
	(void)state;
	static const struct {
		int method;
		const char *path;
		size_t index, args;
	} cases[] = {
		{HTTP_GET, "/", 0, 0},
		{HTTP_GET, "/nodes", 1, 0},
		{HTTP_POST, "/nodes", 2, 0},
		{HTTP_GET, "/nodes/a", 3, 1},
		{HTTP_GET, "/nodes/special", 3, 1}, /* the literal branch has no GET: the parameter's has */
		{HTTP_POST, "/nodes/special", 4, 0},
		{HTTP_DELETE, "/nodes/a/services/b", 5, 2},
		{HTTP_DELETE, "/nodes/special/services/b", 5, 2},
		{HTTP_GET, "/nodes/special/only", 6, 0},
		{HTTP_PUT, "/nodes", 7, 1},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct router_match m = look_up(cases[i].method, cases[i].path);
		assert_int_equal(m.verdict, ROUTER_FOUND);
		assert_int_equal(m.index, cases[i].index);
		assert_int_equal(m.arg_count, cases[i].args);
	}
}

static void tells_other_methods(void **state)
{
	(void)state;
	struct router_match m = look_up(HTTP_DELETE, "/nodes");
	assert_int_equal(m.verdict, ROUTER_NO_METHOD);
	assert_int_equal(m.allowed, 1U << HTTP_GET | 1U << HTTP_POST | 1U << HTTP_PUT);
	m = look_up(-1, "/nodes/special");
	assert_int_equal(m.verdict, ROUTER_NO_METHOD);
	assert_int_equal(m.allowed, 1U << HTTP_GET | 1U << HTTP_POST);
	assert_int_equal(look_up(HTTP_GET, "/nodes/a/services").verdict, ROUTER_NO_PATH);
	assert_int_equal(look_up(HTTP_GET, "/nodes/a/services/b/c").verdict, ROUTER_NO_PATH);
	assert_int_equal(look_up(-1, "/x/y").verdict, ROUTER_NO_PATH);
}

static void gives_arguments(void **state)
{
	(void)state;
	const struct http_route *row = &table[5];
	struct router *r = router_new(&row, 1);
	const struct str segments[] = {STR_LIT("nodes"), STR_LIT("a"), STR_LIT("services"), STR_LIT("b")};
	struct router_match m;
	router_find(r, HTTP_DELETE, segments, 4, &m);
	assert_int_equal(m.verdict, ROUTER_FOUND);
	assert_text(m.args[0], "a");
	assert_text(m.args[1], "b");
	router_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(splits_and_decodes),   cmocka_unit_test(roots_and_absolute_forms),
		cmocka_unit_test(refuses_bad_encoding), cmocka_unit_test(bounds_segments_and_parameters),
		cmocka_unit_test(finds_rows),           cmocka_unit_test(tells_other_methods),
		cmocka_unit_test(gives_arguments),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
