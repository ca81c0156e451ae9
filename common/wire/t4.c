#include "wire/t4.h"

#include "wire/mesh.h"

enum { HASH_DIGITS = 64 };

static bool prefix_valid(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f')))
			return false;
	return s.n <= HASH_DIGITS;
}

const struct json_form form_hash_prefix = {"HashPrefix", "^[0-9a-f]{0,64}$", "the first digits of a hash (at most 64 of 0-9 a-f)",
					   ERR_MALFORMED_PARAMETER, prefix_valid};

static const struct json_field put_answer_rows[] = {
	F_FORM(struct t4_put_answer, hash, "hash", JSON_REQUIRED, &form_hash, "SHA-256 of the bytes."),
	F_INT(struct t4_put_answer, size, "size", JSON_REQUIRED, 0, JSON_INT_MAX, "How many bytes."),
	F_BOOL(struct t4_put_answer, stored, "stored", JSON_REQUIRED, "false: it was there already, and is sound."),
};
JSON_MESSAGE(t4_put_answer_message, "ContentStored", struct t4_put_answer, put_answer_rows);

static const struct json_field delete_answer_rows[] = {
	F_FORM(struct t4_delete_answer, hash, "hash", JSON_REQUIRED, &form_hash, "What was deleted."),
	F_BOOL(struct t4_delete_answer, deleted, "deleted", JSON_REQUIRED, "true"),
};
JSON_MESSAGE(t4_delete_answer_message, "ContentDeleted", struct t4_delete_answer, delete_answer_rows);

static const struct json_field missing_rows[] = {
	F_TEXTS(struct t4_missing, hashes, "hashes", JSON_REQUIRED, T4_MISSING_MAX, &form_hash, "What is asked for."),
};
JSON_MESSAGE(t4_missing_message, "ContentMissingQuery", struct t4_missing, missing_rows);

static const struct json_field missing_answer_rows[] = {
	F_TEXTS(struct t4_missing_answer, missing, "missing", JSON_REQUIRED, T4_MISSING_MAX, &form_hash, "Those that are not here."),
};
JSON_MESSAGE(t4_missing_answer_message, "ContentMissing", struct t4_missing_answer, missing_answer_rows);

static const struct json_field content_rows[] = {
	F_FORM(struct t4_content, hash, "hash", JSON_REQUIRED, &form_hash, "SHA-256 of the bytes."),
	F_INT(struct t4_content, size, "size", JSON_REQUIRED, 0, JSON_INT_MAX, "How many bytes."),
};
JSON_MESSAGE(t4_content_message, "Content", struct t4_content, content_rows);

static const struct json_field content_list_rows[] = {
	F_LIST(struct t4_content_list, content, "content", JSON_REQUIRED, T4_LIST_MAX, &t4_content_message,
	       "In the order of their hashes."),
	F_TEXT(struct t4_content_list, next_cursor, "nextCursor", 0, 256, "Where the next page begins; not there on the last one."),
};
JSON_MESSAGE(t4_content_list_message, "ContentList", struct t4_content_list, content_list_rows);

static const struct json_field scrub_rows[] = {
	F_INT(struct t4_scrub, rounds, "rounds", JSON_REQUIRED, 0, JSON_INT_MAX, "Whole rounds over the store since the start."),
	F_INT(struct t4_scrub, checked, "checked", JSON_REQUIRED, 0, JSON_INT_MAX, "Blobs read in the present round."),
	F_INT(struct t4_scrub, corrupt, "corrupt", JSON_REQUIRED, 0, JSON_INT_MAX, "Blobs moved to quarantine since the start."),
	F_INT(struct t4_scrub, started_at, "startedAt", JSON_NULL_WHEN_ABSENT, 0, 0, "When the present round began (ms)."),
	F_INT(struct t4_scrub, finished_at, "finishedAt", JSON_NULL_WHEN_ABSENT, 0, 0, "When the last whole round ended (ms)."),
	F_INT(struct t4_scrub, rate, "rate", 0, 0, JSON_INT_MAX, "Bytes a second that it may read; 0: no limit."),
};
JSON_MESSAGE(t4_scrub_message, "ScrubStats", struct t4_scrub, scrub_rows);

static const struct json_field stats_rows[] = {
	F_INT(struct t4_stats, objects, "objects", JSON_REQUIRED, 0, JSON_INT_MAX, "Blobs."),
	F_INT(struct t4_stats, bytes, "bytes", JSON_REQUIRED, 0, JSON_INT_MAX, "Their bytes."),
	F_BOOL(struct t4_stats, complete, "complete", JSON_REQUIRED, "false until the first round over the whole store ended."),
	F_INT(struct t4_stats, free_bytes, "freeBytes", JSON_REQUIRED, 0, JSON_INT_MAX, "Free bytes of the file system."),
	F_BOOL(struct t4_stats, writable, "writable", 0, "false after a write that the disk did not keep."),
	F_OBJECT(struct t4_stats, scrub, "scrub", 0, &t4_scrub_message, "The background check of all blobs."),
};
JSON_MESSAGE(t4_stats_message, "ContentStats", struct t4_stats, stats_rows);
