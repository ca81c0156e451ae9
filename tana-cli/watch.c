#include "watch.h"

#include <signal.h>
#include <string.h>

#include "ledger.h"
#include "output.h"

enum { RECONNECT_MS = 1000, RECONNECT_MAX_MS = 15 * 1000 };

struct watching {
	struct cli *c;
	const char *type;
	watch_print *print;
	int64_t last_id;
	int64_t pause_ms; /* before the next attempt to connect */
};

static void print_json(int64_t id, const char *type, struct str data)
{
	struct buf line = {0};
	buf_printf(&line, "{\"id\":%lld,\"type\":", (long long)id);
	buf_put_json_string(&line, str_from(type));
	buf_puts(&line, ",\"data\":");
	buf_put_str(&line, data.n ? data : STR_LIT("{}"));
	buf_putc(&line, '}');
	json_print_text(buf_str(&line));
	buf_free(&line);
}

static bool is_object(struct str text)
{
	struct error ignored;
	struct json_doc *d = json_parse_object(text, &ignored);
	json_doc_free(d);
	return d != NULL;
}

static bool take(void *ctx, int64_t id, const char *type, struct str data)
{
	struct watching *w = ctx;
	struct arena kept = w->c->arena;
	w->pause_ms = RECONNECT_MS;
	if (id >= 0)
		w->last_id = id;
	/* What is printed lives as long as its line. */
	arena_init(&w->c->arena);
	if (strcmp(type, "reset") == 0)
		note(w->c, "Some events were missed; see the present state: tana tx list, tana block list");
	else if (!is_object(data.n ? data : STR_LIT("{}")))
		note(w->c, "An event that is no JSON was left out.");
	else if (!w->c->json)
		w->print(w->c, type, data);
	else if (!w->type || strcmp(type, w->type) == 0)
		print_json(id, type, data);
	arena_free(&w->c->arena);
	strmap_free(&w->c->labels); /* its texts were in the arena */
	w->c->arena = kept;
	return cli_watching();
}

bool watch_ledger(struct cli *c, const char *type, watch_print *print, struct error *err)
{
	struct watching w = {.c = c, .type = type, .print = print, .last_id = -1, .pause_ms = RECONNECT_MS};
	bool refused = false;
	cli_catch_interrupts();
	if (!ledger_open(c, err) || !ledger_client_ready(c->ledger, err))
		return false;
	/* A connection of its own: while events come in, their printer asks for names. */
	struct ledger_client *stream = ledger_client_new(ledger_client_url(c->ledger), "tana", option_int(c->in, "timeout"), err);
	if (!stream)
		return false;
	note(c, "Watching %s; Ctrl-C ends it.", ledger_client_url(c->ledger));
	while (cli_watching()) {
		bool ended_well = ledger_client_events(stream, w.last_id, take, &w, &cli_interrupted, err);
		if (!cli_watching())
			break;
		refused = !ended_well && error_code_status(err->code) < 500; /* asking again changes nothing */
		if (refused)
			break;
		note(c, "The stream ended%s%s; connecting again in %.0f s.", ended_well ? "" : ": ", ended_well ? "" : err->message,
		     (double)w.pause_ms / 1000);
		cli_sleep(w.pause_ms);
		w.pause_ms = w.pause_ms * 2 < RECONNECT_MAX_MS ? w.pause_ms * 2 : RECONNECT_MAX_MS;
	}
	ledger_client_free(stream);
	if (refused)
		return false;
	c->status = cli_interrupted == SIGINT ? EXIT_INTERRUPTED : EXIT_DONE;
	return true;
}
