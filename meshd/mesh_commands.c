#include "mesh_commands.h"

#include <inttypes.h>
#include <stdio.h>

#include "api.h"
#include "base/file.h"
#include "daemon/daemon.h"
#include "mesh.h"
#include "mesh_verify.h"

/* An audit's own statuses: what it found, or that it could not look. */
enum { VERIFY_CLEAN = 0, VERIFY_DIFFERS = 1, VERIFY_NOT_CHECKED = 2 };

static bool begin(struct mesh *m, struct invocation *in, struct error *err)
{
	return daemon_log_open("mesh", in, err) && crypto_start(err) && mesh_configure(m, in, err);
}

int mesh_command_init(struct invocation *in)
{
	struct mesh m = {.pool = NULL};
	struct error err;
	bool ok = begin(&m, in, &err) && mesh_open(&m, &err) && mesh_bootstrap_sovereigns(&m, in, &err);
	if (ok)
		printf("The registry of the network \"%.*s\" is ready.\ncoordinator key: %.*s\n", STR_ARG(m.config.network), STR_ARG(m.coordinator_key));
	int status = ok ? EXIT_DONE : program_fail(in, &err);
	mesh_close(&m);
	return status;
}

struct reporting {
	bool json;
};

static void print_json_text(struct buf *out, const char *name, struct str value)
{
	buf_printf(out, ",\"%s\":", name);
	if (str_present(value))
		buf_put_json_string(out, value);
	else
		buf_puts(out, "null");
}

static void report_json(const struct finding *f)
{
	struct buf line = {0};
	buf_puts(&line, "{\"table\":");
	buf_put_json_string(&line, str_from(f->table));
	print_json_text(&line, "row", f->row);
	print_json_text(&line, "column", str_from(f->column));
	print_json_text(&line, "expected", f->expected);
	print_json_text(&line, "found", f->found);
	print_json_text(&line, "problem", str_from(f->problem));
	buf_putc(&line, '}');
	puts(buf_z(&line));
	buf_free(&line);
}

static void report(void *ctx, const struct finding *f)
{
	const struct reporting *r = ctx;
	if (r->json) {
		report_json(f);
		return;
	}
	printf("%s row %.*s%s%s: %s\n", f->table, STR_ARG(f->row), f->column ? " column " : "", f->column ? f->column : "", f->problem);
	if (str_present(f->expected) || str_present(f->found))
		printf("    expected: %.*s\n    found:    %.*s\n", STR_ARG(str_present(f->expected) ? f->expected : STR_LIT("nothing")),
		       STR_ARG(str_present(f->found) ? f->found : STR_LIT("nothing")));
}

static bool read_checkpoint(const struct invocation *in, struct buf *out, struct error *err)
{
	enum { CHECKPOINT_FILE_MAX = 64 * 1024 };
	const char *path = option_text(in, "checkpoint");
	return !path || file_read(path, CHECKPOINT_FILE_MAX, out, err);
}

int mesh_command_verify(struct invocation *in)
{
	struct mesh m = {.pool = NULL};
	struct error err;
	struct buf kept = {0};
	struct verify_result result;
	struct reporting r = {.json = option_bool(in, "json")};
	struct db_conn *c = NULL;
	bool ok = begin(&m, in, &err) && read_checkpoint(in, &kept, &err) && (c = mesh_open_to_read(&m, &err)) != NULL;
	ok = ok && mesh_verify(&m, c, kept.len ? buf_str(&kept) : STR_NONE, report, &r, &result, &err);
	int status = VERIFY_NOT_CHECKED;
	if (!ok)
		program_fail(in, &err);
	else if (r.json)
		printf("{\"valid\":%s,\"entries\":%" PRId64 ",\"nodes\":%" PRId64 ",\"findings\":%" PRId64 ",\"root\":\"%.*s\"}\n",
		       result.findings ? "false" : "true", result.entries, result.nodes, result.findings, STR_ARG(result.root));
	else
		printf("%s: %" PRId64 " log entries, %" PRId64 " nodes, %" PRId64 " finding%s, root %.*s\n", result.findings ? "NOT VALID" : "valid",
		       result.entries, result.nodes, result.findings, result.findings == 1 ? "" : "s", STR_ARG(result.root));
	if (ok)
		status = result.findings ? VERIFY_DIFFERS : VERIFY_CLEAN;
	db_close(c);
	buf_free(&kept);
	mesh_close(&m);
	return status;
}

int mesh_command_backup(struct invocation *in)
{
	struct mesh m = {.pool = NULL};
	struct error err;
	struct db_conn *c = NULL;
	const char *to = invocation_arg(in, "file");
	bool ok = begin(&m, in, &err) && db_open(m.config.db_url, DB_OPEN_READ_ONLY, "meshd", &c, &err) == DB_OK && db_backup(c, to, &err) == DB_OK;
	if (ok)
		printf("The registry was copied to %s.\nKeep the coordinator's key file with it: without it the copy cannot go on.\n", to);
	int status = ok ? EXIT_DONE : program_fail(in, &err);
	db_close(c);
	mesh_close(&m);
	return status;
}

int mesh_command_openapi(struct invocation *in)
{
	(void)in;
	struct buf out = {0};
	http_openapi_write(&out, "mesh", MESH_DESCRIPTION, mesh_routes, mesh_route_count);
	fwrite(out.data, 1, out.len, stdout);
	buf_free(&out);
	return EXIT_DONE;
}

int mesh_command_api_doc(struct invocation *in)
{
	(void)in;
	struct buf out = {0};
	http_markdown_write(&out, "mesh", MESH_DESCRIPTION, mesh_routes, mesh_route_count);
	fwrite(out.data, 1, out.len, stdout);
	buf_free(&out);
	return EXIT_DONE;
}
