/* mesh watch: what happens in the network, as it happens. */
#include <signal.h>
#include <string.h>

#include "commands.h"
#include "output.h"

enum { RECONNECT_MS = 1000, RECONNECT_MAX_MS = 15 * 1000 };

struct event {
	struct str node_id, public_key, status, service;
	int64_t time;
};
static const struct json_field event_rows[] = {
	F_TEXT(struct event, node_id, "nodeId", 0, 0, "The node it is about."),
	F_TEXT(struct event, public_key, "publicKey", 0, 0, "Or the key."),
	F_TEXT(struct event, status, "status", 0, 0, "The node's status after it."),
	F_TEXT(struct event, service, "service", 0, 0, "The service."),
	F_INT(struct event, time, "time", 0, 0, 0, "When."),
};
static JSON_MESSAGE(event_message, "Event", struct event, event_rows);

struct watching {
	struct cli *c;
	int64_t last_id;
	int64_t pause_ms; /* before the next attempt to connect */
};

static enum tint event_tint(struct str type)
{
	if (str_is(type, "node.approved") || str_is(type, "node.online"))
		return TINT_GOOD;
	if (str_is(type, "node.offline") || str_is(type, "node.denied") || str_is(type, "node.removed") || str_is(type, "service.unhealthy"))
		return TINT_BAD;
	return TINT_NONE;
}

static void print_json(int64_t id, const char *type, struct str data)
{
	struct buf line = {0};
	buf_printf(&line, "{\"id\":%lld,\"type\":", (long long)id);
	buf_put_json_string(&line, str_from(type));
	buf_puts(&line, ",\"data\":");
	buf_put_str(&line, data);
	buf_putc(&line, '}');
	json_print_text(buf_str(&line));
	buf_free(&line);
}

static bool print_event(void *ctx, int64_t id, const char *type, struct str data)
{
	struct watching *w = ctx;
	struct event e;
	struct error why;
	struct arena a;
	w->pause_ms = RECONNECT_MS;
	if (id >= 0)
		w->last_id = id;
	arena_init(&a);
	/* Under --json a line is passed on as it came, once it is known to be JSON. */
	bool readable = json_read_text(data.n ? data : STR_LIT("{}"), &event_message, &e, &a, &why);
	if (!readable)
		note(w->c, "An event that cannot be read was left out: %s", why.message);
	else if (w->c->json)
		print_json(id, type, data.n ? data : STR_LIT("{}"));
	else if (strcmp(type, "reset") == 0)
		note(w->c, "Some events were missed; see the present state: tana mesh list --all");
	else
		say(w->c, "%.*s  %s  %.*s%s%.*s", STR_ARG(date(&a, e.time)), padded(&a, event_tint(str_from(type)), str_from(type), 18),
		    STR_ARG(printable(&a, str_present(e.node_id) ? e.node_id : e.public_key)), str_present(e.service) ? "  " : "",
		    STR_ARG(printable(&a, e.service)));
	arena_free(&a);
	return cli_watching();
}

static bool watch(struct cli *c, struct error *err)
{
	struct watching w = {.c = c, .last_id = -1, .pause_ms = RECONNECT_MS};
	cli_catch_interrupts();
	if (!cli_mesh(c, err) || !mesh_client_ready(c->mesh, err))
		return false;
	note(c, "Watching %s; Ctrl-C ends it.", mesh_client_url(c->mesh));
	while (cli_watching()) {
		bool ended_well = mesh_client_events(c->mesh, w.last_id, print_event, &w, &cli_interrupted, err);
		if (!cli_watching())
			break;
		if (!ended_well && error_code_status(err->code) < 500)
			return false; /* refused: asking again changes nothing */
		note(c, "The stream ended%s%s; connecting again in %.0f s.", ended_well ? "" : ": ", ended_well ? "" : err->message,
		     (double)w.pause_ms / 1000);
		cli_sleep(w.pause_ms);
		w.pause_ms = w.pause_ms * 2 < RECONNECT_MAX_MS ? w.pause_ms * 2 : RECONNECT_MAX_MS;
	}
	c->status = cli_interrupted == SIGINT ? EXIT_INTERRUPTED : EXIT_DONE;
	return true;
}

int cmd_mesh_watch(struct invocation *in)
{
	return cli_run(in, watch);
}
