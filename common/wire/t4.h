/*
 * What t4d and its clients say to each other over HTTP beside the bytes themselves: one struct and one field table a message
 * (json/fields.h). No I/O.
 */
#ifndef TANA_WIRE_T4_H
#define TANA_WIRE_T4_H

#include "json/fields.h"

enum {
	T4_MISSING_MAX = 10000, /* hashes of one POST /content/missing */
	T4_LIST_DEFAULT = 100,
	T4_LIST_MAX = 1000
};

/* What a token has to allow, for calls that need one. */
#define T4_SCOPE_PUT "content:put"
#define T4_SCOPE_DELETE "content:delete"
#define T4_SCOPE_LIST "content:list"

/* Headers of every answer about a blob. */
#define T4_HEADER_HASH "X-Content-Hash"
#define T4_HEADER_SIZE "X-Content-Size" /* bytes, of the whole blob */

extern const struct json_form form_hash_prefix; /* 0 to 64 lower-case hex digits */

/* PUT /content/:hash -> {hash, size, stored} */
struct t4_put_answer {
	struct str hash;
	int64_t size;          /* bytes */
	enum json_bool stored; /* false: it was there already */
};
/* DELETE /content/:hash -> {hash, deleted} */
struct t4_delete_answer {
	struct str hash;
	enum json_bool deleted;
};
/* POST /content/missing {hashes:[...]} -> {missing:[...]}, in the order of the question */
struct t4_missing {
	struct json_list hashes; /* struct str */
};
struct t4_missing_answer {
	struct json_list missing; /* struct str */
};
/* GET /content?prefix=&limit=&cursor= -> {content:[{hash, size}], nextCursor?}, in the order of the hashes */
struct t4_content {
	struct str hash;
	int64_t size; /* bytes */
};
struct t4_content_list {
	struct json_list content; /* struct t4_content */
	struct str next_cursor;
};
/* GET /stats. The counters come from the scrubber's rounds over the whole store. */
struct t4_scrub {
	int64_t rounds, checked, corrupt; /* whole rounds; blobs read in the present one; blobs ever moved to quarantine since the start */
	int64_t started_at, finished_at;  /* ms: the present round, the last one that ended; absent: none */
	int64_t rate;                     /* bytes/s; 0: as fast as the disk gives */
};
struct t4_stats {
	int64_t objects, bytes;
	enum json_bool complete; /* false until the first round ended: the counters are of what it saw so far */
	int64_t free_bytes;      /* of the file system */
	enum json_bool writable; /* false after a failed fsync */
	struct t4_scrub *scrub;
};
extern const struct json_message t4_put_answer_message, t4_delete_answer_message, t4_missing_message, t4_missing_answer_message,
	t4_content_message,
	t4_content_list_message, t4_scrub_message, t4_stats_message;

#endif
