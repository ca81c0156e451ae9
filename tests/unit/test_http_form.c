/* Forms, and routes that speak as OAuth 2 does: what is ignored, what is refused, and in which words. */
#include "http_fixture.h"

static struct service service;

static int open_server(void **state)
{
	static struct http_options o;
	service.hub = sse_hub_new(8);
	service.ready = true;
	o = fixture_options(&service);
	*state = start(&o);
	return 0;
}

static int close_server(void **state)
{
	http_server_stop(*state, 1000);
	sse_hub_free(service.hub);
	return 0;
}

/* Sends the form with the header lines given (Content-Type among them). */
static void send_form(const struct http_server *s, const char *headers, const char *form, int status, const char *part)
{
	char request[2048];
	snprintf(request, sizeof(request), "POST /form HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n%s\r\n%s", strlen(form), headers, form);
	ask(s, request, status, part);
}

#define FORM_TYPE "Content-Type: application/x-www-form-urlencoded\r\n"
static void form(const struct http_server *s, const char *text, int status, const char *part)
{
	send_form(s, FORM_TYPE, text, status, part);
}

static void fields_are_decoded(void **state)
{
	form(*state, "grant_type=a+b%20c&code=%C3%A9", 200, "grant=a b c code=\xc3\xa9");
	form(*state, "&&code=xy&", 200, "grant= code=xy");
	form(*state, "", 200, "grant= code=none");
	form(*state, "code=&grant_type=", 200, "grant= code=none");                /* empty: not sent */
	form(*state, "other=1&code=xy&other=2&", 200, "code=xy");
	send_form(*state, "Content-Type: Application/X-WWW-form-urlencoded ; charset=UTF-8\r\n", "code=xy", 200, "code=xy");
}

static void forms_that_are_none(void **state)
{
	form(*state, "code=xy&code=xy", 400, "{\"error\":\"invalid_request\",\"error_description\":\"code is given twice\",\"code\":\"malformed_parameter\"}");
	form(*state, "code=x", 400, "code must have from 2 to 16 bytes");
	form(*state, "code=12345678901234567", 400, "malformed_parameter");
	form(*state, "code=%zz", 400, "the form is not percent-encoded UTF-8");
	form(*state, "code=a%00b", 400, "malformed_parameter");
	form(*state, "code=%ff%fe", 400, "malformed_parameter");
	form(*state, "code=a\nb", 400, "malformed_parameter");
	send_form(*state, "", "code=xy", 415, "\"error\":\"invalid_request\"");
	send_form(*state, "Content-Type: application/json\r\n", "{}", 415, "unsupported_media_type");
	send_form(*state, "Content-Type: application/x-www-form-urlencoded; charset=latin1\r\n", "code=xy", 415, "unsupported_media_type");
}

static void too_many_fields(void **state)
{
	char text[301] = "", *at = text;
	for (int i = 0; i < 66; i++)
		at += snprintf(at, 5, "a=%d&", i % 10);
	form(*state, text, 400, "more than 64 parameters");
	memset(text, 'a', 300);
	form(*state, text, 200, "code=none");
	char longer[302];
	memset(longer, 'a', 301);
	longer[301] = '\0';
	form(*state, longer, 413, "\"error\":\"invalid_request\"");
}

static void errors_in_the_words_of_oauth(void **state)
{
	form(*state, "grant_type=refuse", 400, "{\"error\":\"invalid_grant\",\"error_description\":\"no such code\",\"code\":\"invalid_grant\"}");
	form(*state, "grant_type=away", 503, "{\"error\":\"temporarily_unavailable\",\"error_description\":\"the database is away\",\"code\":\"unavailable\"}");
	ask(*state, GET("/boom"), 500, "{\"error\":\"something went wrong"); /* others speak as ever */
}

static void unknown_parameters_are_ignored(void **state)
{
	ask(*state, GET("/lenient?state=abc&x=1&x=2"), 200, "state=abc");
	ask(*state, GET("/lenient?state="), 200, "state=none");
	ask(*state, GET("/lenient"), 200, "state=none");
	ask(*state, GET("/lenient?state=a&state=b"), 400, "\"error\":\"invalid_request\"");
	ask(*state, GET("/lenient?state=12345678901234567"), 400, "malformed_parameter");
	ask(*state, GET("/lenient?state=%"), 400, "malformed_parameter");
}

static void documents(void **state)
{
	struct buf out = {0};
	(void)state;
	http_openapi_write(&out, "test", "A test.", fixture_routes, ARRAY_LEN(fixture_routes));
	static const char *const in_openapi[] = {
		"\"application/x-www-form-urlencoded\":{\"schema\":{\"type\":\"object\",\"properties\":{\n\"grant_type\":",
		"\"x-tana-access\":\"client\"",
		"\"#/components/schemas/OAuthError\"",
	};
	struct error err;
	struct json_doc *doc = json_parse_object(buf_str(&out), &err);
	if (!doc)
		fail_msg("%s", err.message);
	json_doc_free(doc);
	for (size_t i = 0; i < ARRAY_LEN(in_openapi); i++)
		assert_non_null(strstr(buf_z(&out), in_openapi[i]));
	buf_clear(&out);
	http_markdown_write(&out, "test", "A test.", fixture_routes, ARRAY_LEN(fixture_routes));
	assert_non_null(strstr(buf_z(&out), "Body: a form (`application/x-www-form-urlencoded`), at most 300 bytes."));
	assert_non_null(strstr(buf_z(&out), "| field | type | what it means |\n|---|---|---|\n| `grant_type` | text, 1 to 16 bytes | what is asked |"));
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_are_decoded),
		cmocka_unit_test(forms_that_are_none),
		cmocka_unit_test(too_many_fields),
		cmocka_unit_test(errors_in_the_words_of_oauth),
		cmocka_unit_test(unknown_parameters_are_ignored),
		cmocka_unit_test(documents),
	};
	return cmocka_run_group_tests(tests, open_server, close_server);
}
