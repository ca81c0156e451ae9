#include "t4_commands.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "api.h"
#include "base/clock.h"
#include "base/units.h"
#include "daemon/daemon.h"

enum { REMEMBERED_FEW = 1024, PROGRESS_MS = 200 };

struct blob_store *t4_command_store(struct invocation *in, struct error *err)
{
	const struct blob_store_options o = {
		.dir = option_text(in, "dir"), .role = STORE_OFFLINE, .verify = VERIFY_ALWAYS, .remembered_max = REMEMBERED_FEW};
	return daemon_log_open("t4", in, err) ? blob_store_open(&o, err) : NULL;
}

/* ---- progress ---- */

void progress_begin(struct progress *p, const struct invocation *in)
{
	p->shown = isatty(STDERR_FILENO) && !option_bool(in, "json");
	p->next_ms = 0;
}

bool progress_due(struct progress *p)
{
	int64_t now_ms = p->shown ? clock_mono_ms() : 0;
	if (!p->shown || now_ms < p->next_ms)
		return false;
	p->next_ms = now_ms + PROGRESS_MS;
	return true;
}

void progress_line(const struct progress *p, const char *fmt, ...)
{
	char line[160];
	va_list args;
	if (!p->shown)
		return;
	va_start(args, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	fprintf(stderr, "\r\033[K%s", line);
}

void progress_end(const struct progress *p)
{
	if (p->shown)
		fputs("\r\033[K", stderr);
}

/* ---- scrub ---- */

struct scrub_report {
	bool json;
	struct progress progress;
};

static void put_finding(const struct hash *h, const struct error *why, bool json)
{
	char text[HASH_TEXT_LEN + 1];
	hash_to_text(h, text);
	if (!json) {
		printf("%s  %s: %s\n", text, why->code == ERR_CONTENT_CORRUPT ? "CORRUPT, in quarantine now" : "NOT READABLE", why->message);
		return;
	}
	struct buf line = {0};
	buf_printf(&line, "{\"hash\":\"%s\",\"code\":\"%s\",\"problem\":", text, error_code_text(why->code));
	buf_put_json_string(&line, str_from(why->message));
	buf_putc(&line, '}');
	puts(buf_z(&line));
	buf_free(&line);
}

static void report_found(void *ctx, const struct hash *h, const struct error *why)
{
	const struct scrub_report *r = ctx;
	progress_end(&r->progress);
	put_finding(h, why, r->json);
}

static void report_progress(void *ctx, const struct scrub_state *s)
{
	struct scrub_report *r = ctx;
	char size[UNITS_TEXT_SIZE];
	if (!progress_due(&r->progress))
		return;
	units_format_size(s->checked_bytes, size);
	progress_line(&r->progress, "%3u%%  %" PRId64 " blobs, %s, %" PRId64 " corrupt", s->shards * 100 / BLOB_SHARDS, s->checked, size,
		      s->corrupt);
}

static void put_scrubbed(const struct scrub_state *s, bool json)
{
	char size[UNITS_TEXT_SIZE];
	units_format_size(s->checked_bytes, size);
	if (json)
		printf("{\"checked\":%" PRId64 ",\"bytes\":%" PRId64 ",\"corrupt\":%" PRId64 ",\"unreadable\":%" PRId64 "}\n", s->checked,
		       s->checked_bytes, s->corrupt, s->unreadable);
	else
		printf("%" PRId64 " blobs checked, %s: %" PRId64 " corrupt, %" PRId64 " not readable\n", s->checked, size, s->corrupt,
		       s->unreadable);
}

int t4_command_scrub(struct invocation *in)
{
	struct scrub_report report = {.json = option_bool(in, "json")};
	struct scrub_state state;
	struct error err;
	struct blob_store *s = t4_command_store(in, &err);
	progress_begin(&report.progress, in);
	bool ok = s && scrub_once(s, option_int(in, "rate"), report_found, report_progress, &report, &state, &err);
	progress_end(&report.progress);
	int status = EXIT_DONE;
	if (!ok)
		status = program_fail(in, &err);
	else if (state.corrupt + state.unreadable > 0)
		status = EXIT_UNHEALTHY;
	if (ok)
		put_scrubbed(&state, report.json);
	blob_store_close(s);
	return status;
}

/* ---- verify ---- */

static bool command_hash(const struct invocation *in, struct hash *out, struct error *err)
{
	const char *text = invocation_arg(in, "hash");
	return hash_from_text(str_from(text), out) || error_set(err, ERR_USAGE, "'%.80s' is no hash: 64 lower-case hex digits", text);
}

struct verify_report {
	struct progress progress;
	int64_t bytes;
};

static bool verify_progress(void *ctx, size_t n)
{
	struct verify_report *r = ctx;
	char size[UNITS_TEXT_SIZE];
	r->bytes += (int64_t)n;
	if (progress_due(&r->progress)) {
		units_format_size(r->bytes, size);
		progress_line(&r->progress, "%s", size);
	}
	return true;
}

int t4_command_verify(struct invocation *in)
{
	struct verify_report report = {.bytes = 0};
	struct error err;
	struct hash h;
	uint64_t size;
	bool json = option_bool(in, "json");
	struct blob_store *s = command_hash(in, &h, &err) ? t4_command_store(in, &err) : NULL;
	progress_begin(&report.progress, in);
	bool ok = s && blob_verify(s, &h, verify_progress, &report, &size, &err);
	progress_end(&report.progress);
	int status = EXIT_DONE;
	if (ok && json)
		printf("{\"hash\":\"%s\",\"size\":%" PRIu64 ",\"valid\":true}\n", invocation_arg(in, "hash"), size);
	else if (ok)
		printf("%s  valid, %" PRIu64 " bytes\n", invocation_arg(in, "hash"), size);
	else
		status = program_fail(in, &err);
	if (!ok && err.code == ERR_CONTENT_CORRUPT) {
		status = EXIT_UNHEALTHY;
		if (json)
			printf("{\"hash\":\"%s\",\"valid\":false}\n", invocation_arg(in, "hash"));
	}
	blob_store_close(s);
	return status;
}

/* ---- stats ---- */

int t4_command_stats(struct invocation *in)
{
	struct blob_totals totals;
	struct error err;
	char size[UNITS_TEXT_SIZE], space[UNITS_TEXT_SIZE];
	struct blob_store *s = t4_command_store(in, &err);
	bool ok = s != NULL;
	for (unsigned i = 0; ok && i < BLOB_SHARDS; i++)
		ok = blob_count(s, i, &err);
	int status = ok ? EXIT_DONE : program_fail(in, &err);
	if (ok) {
		int64_t free_bytes = (int64_t)blob_free_space(s);
		blob_totals(s, &totals);
		units_format_size(totals.bytes, size);
		units_format_size(free_bytes, space);
		if (option_bool(in, "json"))
			printf("{\"objects\":%" PRId64 ",\"bytes\":%" PRId64 ",\"freeBytes\":%" PRId64 "}\n", totals.objects, totals.bytes,
			       free_bytes);
		else
			printf("%" PRId64 " blobs, %s; %s free\n", totals.objects, size, space);
	}
	blob_store_close(s);
	return status;
}

/* ---- documents ---- */

static int put_document(struct buf *out)
{
	bool ok = fwrite(out->data, 1, out->len, stdout) == out->len && fflush(stdout) == 0;
	buf_free(out);
	return ok ? EXIT_DONE : EXIT_FAILED;
}

int t4_command_openapi(struct invocation *in)
{
	(void)in;
	struct buf out = {0};
	http_openapi_write(&out, "t4", T4_DESCRIPTION, t4_routes, t4_route_count);
	return put_document(&out);
}

int t4_command_api_doc(struct invocation *in)
{
	(void)in;
	struct buf out = {0};
	http_markdown_write(&out, "t4", T4_DESCRIPTION, t4_routes, t4_route_count);
	return put_document(&out);
}
