/* The documents made of a route table: every row, parameter, answer and refusal is in them. */
#include "http_fixture.h"

static void assert_has(const struct buf *text, const char *part)
{
	if (!memmem(text->data, text->len, part, strlen(part)))
		fail_msg("not in the document: %s", part);
}

static size_t times(const struct buf *text, const char *part)
{
	size_t n = 0;
	const char *p = text->data, *end = text->data + text->len;
	while ((p = memmem(p, (size_t)(end - p), part, strlen(part)))) {
		n++;
		p++;
	}
	return n;
}

static void openapi(void **state)
{
	(void)state;
	struct buf out = {0};
	struct error err;
	http_openapi_write(&out, "test", "A \"test\".", fixture_routes, ARRAY_LEN(fixture_routes));
	struct json_doc *doc = json_parse_object(buf_str(&out), &err);
	if (!doc)
		fail_msg("%s", err.message);
	json_doc_free(doc);
	assert_has(&out, "\"openapi\":\"3.1.0\"");
	assert_has(&out, "\"description\":\"A \\\"test\\\".\"");
	assert_has(&out, "\"/things/{id}\":{\n\"get\":{");
	assert_has(&out, "\"operationId\":\"get_things_id\"");
	assert_has(&out, "{\"name\":\"id\",\"in\":\"path\",\"required\":true,\"schema\":{\"type\":\"string\"}}");
	assert_has(
		&out,
		"{\"name\":\"limit\",\"in\":\"query\",\"description\":\"how many\",\"schema\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":1000}}");
	assert_has(&out, "\"schema\":{\"type\":\"array\",\"items\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":16}}");
	assert_has(
		&out,
		"\"requestBody\":{\"required\":true,\"content\":{\"application/json\":{\"schema\":{\"$ref\":\"#/components/schemas/Thing\"}}},\"x-tana-bytes-max\":1000}");
	assert_has(&out, "\"x-tana-access\":\"node-signed\",\"x-tana-errors\":[\"not_found\", \"unknown_node\", \"rate_limited\"]");
	assert_has(&out, "\"404\":{\"description\":\"not_found, unknown_node\"");
	assert_has(&out, "\"429\":{\"description\":\"rate_limited\"");
	assert_has(&out, "\"201\":{\"description\":\"the thing was made\"");
	assert_has(&out, "\"content\":{\"text/event-stream\":{}}");
	assert_int_equal(times(&out, "\n\"Thing\":{"), 1);
	assert_int_equal(times(&out, "\n\"Error\":{"), 1);
	assert_int_equal(times(&out, "\"default\":{"), ARRAY_LEN(fixture_routes) + 5);
	assert_has(&out, "\"/health\":{");
	assert_has(&out, "\"/openapi.json\":{");
	buf_free(&out);
}

static void markdown(void **state)
{
	(void)state;
	struct buf out = {0};
	http_markdown_write(&out, "test", "A test.", fixture_routes, ARRAY_LEN(fixture_routes));
	assert_has(&out, "## test\n\nA test.\n");
	assert_has(&out, "| [`GET /things/:id`](#get-thingsid) | anyone | One thing |\n");
	assert_has(&out, "### POST /things\n\nA new thing.");
	assert_has(&out, "Counts against the write rate limit");
	assert_has(&out, "Body: [`Thing`](#thing), at most 1000 bytes.\n");
	assert_has(&out, "| `limit` | integer, 1 to 1000 | how many |\n");
	assert_has(&out, "| `status` | text, 1 to 16 bytes, repeatable | which |\n");
	assert_has(&out, "| 404 | `unknown_node` | |\n");
	assert_has(&out, "#### Thing\n");
	assert_has(&out, "| `name` | text, 0 to 64 bytes | required | what it is called |\n");
	assert_int_equal(times(&out, "\n### "), ARRAY_LEN(fixture_routes) + 6);
	buf_free(&out);
}

/* An answer that is a bare list says so in both. */
static void bare_lists(void **state)
{
	static const struct http_answer answers[] = {{.status = 200, .message = &thing_message, .doc = "all of them"}, {.status = 0}};
	static const struct http_route routes[] = {
		{.method = HTTP_GET, .path = "/all", .handler = get_thing, .flags = HTTP_LIST, .answers = answers, .summary = "All things"}};
	struct buf out = {0};
	(void)state;
	http_openapi_write(&out, "test", "A test.", routes, 1);
	assert_has(&out, "{\"schema\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/components/schemas/Thing\"}}}");
	buf_clear(&out);
	http_markdown_write(&out, "test", "A test.", routes, 1);
	assert_has(&out, "| 200 | list of [`Thing`](#thing) | all of them |\n");
	buf_free(&out);
}

static void metrics_of_a_service(void **state)
{
	(void)state;
	static const char *const kinds[] = {"good", "bad", NULL};
	static _Atomic int64_t one, two[2];
	static const struct metric plain = {"tana_test_nodes", METRIC_GAUGE, "Nodes known.", NULL, NULL, &one, 0};
	static const struct metric labelled = {"tana_test_busy_seconds_total", METRIC_COUNTER, "Time.", "kind", kinds, two, 1e-9};
	struct buf out = {0};
	metric_set(&plain, 0, 42);
	metric_add(&labelled, 1, 1500000000);
	metric_add(&labelled, 1, 1000000000);
	metric_write(&out, &plain);
	metric_write(&out, &labelled);
	assert_string_equal(buf_z(&out),
			    "# HELP tana_test_nodes Nodes known.\n# TYPE tana_test_nodes gauge\ntana_test_nodes 42\n"
			    "# HELP tana_test_busy_seconds_total Time.\n# TYPE tana_test_busy_seconds_total counter\n"
			    "tana_test_busy_seconds_total{kind=\"good\"} 0\ntana_test_busy_seconds_total{kind=\"bad\"} 2.5\n");
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(openapi), cmocka_unit_test(markdown), cmocka_unit_test(bare_lists),
					   cmocka_unit_test(metrics_of_a_service)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
