#include "t4.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/units.h"
#include "daemon/daemon.h"
#include "output.h"
#include "signer.h"

enum {
	LARGE = 4 * 1024 * 1024, /* bytes from which a bar is worth it */
	REDRAW_MS = 100,
	BAR_WIDTH = 24
};

struct t4_client *t4_open(struct cli *c, const char *url, struct error *err)
{
	struct t4_client_options o = {.base_url = url, .user_agent = arena_printf(&c->arena, "tana/%s", tana_version()).p,
				      .timeout_ms = option_int(c->in, "timeout"), .stop = &cli_interrupted};
	cli_catch_interrupts();
	return t4_client_new(&o, err);
}

bool t4_sign(struct cli *c, struct t4_client *client, const char *audience, struct error *err)
{
	struct signer s;
	if (!signer_open(c, &s, err))
		return false;
	t4_client_sign_as(client, s.node_id, s.service, str_from(audience), &s.key.secret);
	signer_wipe(&s);
	return true;
}

bool t4_explain(struct error *err)
{
	if (err->code == ERR_UNREACHABLE && !err->hint[0])
		error_hint(err, "start a store here: tana start --dev; or say where one is: --t4-url URL, T4_URL");
	return false;
}

bool t4_hash(const char *text, struct hash *out, struct error *err)
{
	return hash_from_text(str_from(text), out) || error_set(err, ERR_USAGE, "'%.80s' is no hash (64 of 0-9 a-f).", text);
}

struct str t4_hash_text(struct cli *c, const struct hash *hash)
{
	char text[HASH_TEXT_LEN + 1];
	hash_to_text(hash, text);
	return arena_copy(&c->arena, str_from(text));
}

/* ---- Progress ---- */

static void draw(void *ctx, int64_t done, int64_t total)
{
	struct progress *p = ctx;
	char speed[UNITS_TEXT_SIZE], size[UNITS_TEXT_SIZE], bar[BAR_WIDTH + 1];
	int64_t now = clock_mono_ms();
	if (total < LARGE || (p->drawn && now - p->drawn_ms < REDRAW_MS))
		return;
	if (!p->drawn) {
		p->begun_ms = now;
		p->begun_at = done;
	}
	int64_t ms = now - p->begun_ms, full = done >= total ? BAR_WIDTH : done / (total / BAR_WIDTH + 1);
	units_format_size(total, size);
	memset(bar, ' ', BAR_WIDTH);
	memset(bar, '=', (size_t)full);
	bar[BAR_WIDTH] = '\0';
	fprintf(stderr, "\r%s [%s] %3d%% of %s", p->name, bar, (int)((double)done * 100 / (double)total), size);
	if (ms >= REDRAW_MS) {
		units_format_size((int64_t)((double)(done - p->begun_at) * 1000 / (double)ms), speed);
		fprintf(stderr, ", %s/s", speed);
	}
	fputs("\033[K", stderr);
	fflush(stderr);
	p->drawn = true;
	p->drawn_ms = now;
}

void progress_begin(struct progress *p, struct cli *c, struct t4_client *client, const char *name)
{
	*p = (struct progress){.c = c, .name = printable(&c->arena, str_from(name)).p};
	if (!c->quiet && isatty(STDERR_FILENO))
		t4_client_watch(client, draw, p);
}

void progress_end(struct progress *p, struct t4_client *client)
{
	t4_client_watch(client, NULL, NULL);
	if (p->drawn)
		fputs("\r\033[K", stderr);
}
