#include "tailscale.h"

#include <sys/wait.h>

#include "json/fields.h"
#include "process.h"

enum { STATUS_MAX = 4 * 1024 * 1024, ADDRESSES_MAX = 64 };

struct self {
	struct str dns_name;
	struct json_list ips; /* struct str */
};
struct status {
	struct str state;
	struct self *self;
};
static const struct json_field self_rows[] = {
	F_TEXT(struct self, dns_name, "DNSName", 0, 0, "The machine's name, with a final dot."),
	F_TEXTS(struct self, ips, "TailscaleIPs", 0, ADDRESSES_MAX, NULL, "Its addresses."),
};
static JSON_MESSAGE(self_message, "TailscaleSelf", struct self, self_rows);
static const struct json_field status_rows[] = {
	F_TEXT(struct status, state, "BackendState", JSON_REQUIRED, 0, "Running, NeedsLogin, Stopped ..."),
	F_OBJECT(struct status, self, "Self", 0, &self_message, "This machine."),
};
static JSON_MESSAGE(status_message, "TailscaleStatus", struct status, status_rows);

static bool unavailable(struct error *err, const char *what, const char *remedy)
{
	error_set(err, ERR_UNAVAILABLE, "%s", what);
	return error_hint(err, "%s; or, to try things out on this machine alone: --dev", remedy);
}

bool tailscale_self(struct arena *arena, struct tailscale_self *out, struct error *err)
{
	static const char *const argv[] = {"tailscale", "status", "--json", "--peers=false", NULL};
	struct buf text = {0};
	struct status s;
	struct error why;
	int status = 0;
	bool ran = process_capture(argv, STATUS_MAX, &text, &status, &why);
	bool read = ran && WIFEXITED(status) && WEXITSTATUS(status) == 0 && json_read_text(buf_str(&text), &status_message, &s, arena, &why);
	buf_free(&text);
	if (!ran)
		return unavailable(err, "Host name and address come from Tailscale, and there is no tailscale command here.",
				   "install it: https://tailscale.com/download/linux");
	if (!read)
		return unavailable(err, "tailscale does not tell its status; is its daemon running?", "sudo systemctl start tailscaled");
	if (!str_is(s.state, "Running") || !s.self || s.self->dns_name.n == 0 || s.self->ips.count == 0)
		return unavailable(err, "Tailscale is installed and not connected.", "sudo tailscale up");
	struct str name = s.self->dns_name;
	if (name.p[name.n - 1] == '.')
		name.n--;
	const struct str *ips = s.self->ips.items;
	*out = (struct tailscale_self){arena_copy(arena, name), ips[0]};
	for (size_t i = s.self->ips.count; i-- > 0;)
		if (!memchr(ips[i].p, ':', ips[i].n))
			out->ip = ips[i];
	return true;
}
