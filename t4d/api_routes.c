#include "api.h"
#include "wire/t4.h"

enum { MISSING_BODY_MAX = 1024 * 1024 /* bytes: T4_MISSING_MAX hashes, with generous blanks */ };

static const char octets[] = "application/octet-stream";

static const struct http_answer get_answers[] = {
	{200, NULL, octets, "the bytes"},
	{206, NULL, octets, "the bytes of the range asked for"},
	{304, NULL, NULL, "the client has them: If-None-Match names the hash"},
	{0},
};
static const struct http_answer put_answers[] = {
	{201, &t4_put_answer_message, NULL, "stored, durably"},
	{200, &t4_put_answer_message, NULL, "it was there already, and is sound"},
	{0},
};
static const struct http_answer delete_answers[] = {{200, &t4_delete_answer_message, NULL, "deleted, durably"}, {0}};
static const struct http_answer missing_answers[] = {{200, &t4_missing_answer_message, NULL, "in the order of the question"}, {0}};
static const struct http_answer list_answers[] = {{200, &t4_content_list_message, NULL, "a page"}, {0}};
static const struct http_answer stats_answers[] = {{200, &t4_stats_message, NULL, "what is stored, and how the checking goes"}, {0}};

static const enum error_code get_errors[] = {ERR_MALFORMED_HASH, ERR_UNKNOWN_CONTENT, ERR_RANGE_NOT_SATISFIABLE, ERR_CONTENT_CORRUPT,
					     ERR_COUNT};
static const enum error_code put_errors[] = {
	ERR_MALFORMED_HASH, ERR_HASH_MISMATCH, ERR_LENGTH_MISMATCH, ERR_UNAUTHENTICATED, ERR_TOKEN_INVALID, ERR_TOKEN_EXPIRED,
	ERR_SCOPE_MISSING,  ERR_TOKEN_BOUND,   ERR_NOT_ALLOWED,     ERR_LENGTH_REQUIRED, ERR_TOO_LARGE,     ERR_STORAGE_FULL,
	ERR_READ_ONLY,      ERR_COUNT};
static const enum error_code delete_errors[] = {ERR_MALFORMED_HASH, ERR_UNAUTHENTICATED, ERR_TOKEN_INVALID,   ERR_TOKEN_EXPIRED,
						ERR_SCOPE_MISSING,  ERR_TOKEN_BOUND,     ERR_NOT_ALLOWED,     ERR_UNKNOWN_CONTENT,
						ERR_READ_ONLY,      ERR_COUNT};
static const enum error_code missing_errors[] = {ERR_MALFORMED_JSON,  ERR_DUPLICATE_KEY,  ERR_MISSING_FIELD,
						 ERR_MALFORMED_FIELD, ERR_MALFORMED_HASH, ERR_COUNT};
static const enum error_code list_errors[] = {ERR_MALFORMED_CURSOR, ERR_UNAUTHENTICATED, ERR_TOKEN_INVALID, ERR_TOKEN_EXPIRED,
					      ERR_SCOPE_MISSING,    ERR_NOT_ALLOWED,     ERR_COUNT};

static const struct http_param list_params[] = {
	{.name = "prefix", .type = PARAM_TEXT, .min = 0, .max = HASH_TEXT_LEN, .doc = "Only hashes that begin with these hex digits."},
	{.name = "limit", .type = PARAM_INT, .min = 1, .max = T4_LIST_MAX, .doc = "How many at most; 100 when not given."},
	{.name = "cursor", .type = PARAM_TEXT, .min = 1, .max = 256, .doc = "nextCursor of the page before."},
	{.name = NULL},
};

const struct http_route t4_routes[] = {
	{.method = HTTP_GET, .path = "/content/:hash", .handler = api_get, .access = ACCESS_ANYONE, .answers = get_answers, .errors = get_errors,
	 .summary = "The bytes under a hash",
	 .doc = "Only bytes that were verified to have this hash are given out. Single ranges and conditional requests are understood; the ETag is the hash. X-Content-Hash and "
		"X-Content-Size (of the whole) are on every answer."},
	{.method = HTTP_PUT, .path = "/content/:hash", .handler = api_put, .upload = &api_put_upload, .access = ACCESS_TOKEN, .flags = HTTP_WRITE,
	 .answers = put_answers, .errors = put_errors, .summary = "Store bytes under their hash",
	 .doc = "Content-Length or chunked; with `Expect: 100-continue` a refusal comes before the body is sent. X-Content-Size may announce the size of a chunked body. The answer comes "
		"when the bytes are on disk. The token needs the scope content:put; it may be bound to this hash and size."},
	{.method = HTTP_DELETE, .path = "/content/:hash", .handler = api_delete, .access = ACCESS_TOKEN, .flags = HTTP_WRITE, .answers = delete_answers,
	 .errors = delete_errors, .summary = "Delete what is stored under a hash", .doc = "Those who are reading it read on. The token needs the scope content:delete."},
	{.method = HTTP_POST, .path = "/content/missing", .handler = api_missing, .access = ACCESS_ANYONE, .body_max = MISSING_BODY_MAX,
	 .body = &t4_missing_message, .answers = missing_answers, .errors = missing_errors, .summary = "Which of these hashes are not stored here?",
	 .doc = "What is there is looked up and not verified."},
	{.method = HTTP_GET, .path = "/content", .handler = api_list, .access = ACCESS_TOKEN, .params = list_params, .answers = list_answers,
	 .errors = list_errors, .summary = "List what is stored", .doc = "By pages, in the order of the hashes. The token needs the scope content:list."},
	{.method = HTTP_GET, .path = "/stats", .handler = api_stats, .access = ACCESS_ANYONE, .answers = stats_answers,
	 .summary = "How much is stored, and how the checking of it goes"},
};
const size_t t4_route_count = ARRAY_LEN(t4_routes);
