#include "companion.h"

#include <string.h>

#include "systemd.h"

/* Which of a service's options its other commands take too. */
static const struct {
	const char *service, *options[8];
} kept[] = {
	{"mesh", {"--db", "--data", "--network", NULL}},
	{"ledger", {"--db", "--genesis", "--node-key", "--validator-id", "--t4-url", NULL}},
	{"t4", {"--dir", NULL}},
};

static void keep(const struct service_launch *from, const char *option, struct service_launch *out)
{
	for (size_t i = 1; from->argv[i] && from->argv[i + 1]; i++)
		if (strcmp(from->argv[i], option) == 0) {
			service_argument_pair(out, option, from->argv[i + 1]);
			return;
		}
}

bool companion_plan(struct cli *c, const char *service, const char *command, struct service_launch *out, struct error *err)
{
	const struct service *s = service_named(service);
	struct service_record r;
	struct service_launch last;
	const char *binary = service_binary(c, s, err);
	*out = (struct service_launch){0};
	if (!binary)
		return false;
	service_argument(out, binary);
	service_argument(out, command);
	if (systemd_in_charge(c))
		return true;
	if (!service_record_read(c, service, &r)) {
		error_set(err, ERR_WRONG_STATE, "%s of chain %s was never started here, so its data is not known.", service, cli_chain(c));
		return error_hint(err, "start it: tana start --dev%s; or say where the data is: %s %s --help", cli_chain_flag(c), s->binary, command);
	}
	if (!service_launch_of(c, &r, &last, err))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		for (size_t j = 0; strcmp(kept[i].service, service) == 0 && kept[i].options[j]; j++)
			keep(&last, kept[i].options[j], out);
	memcpy(out->environment, last.environment, sizeof out->environment);
	return true;
}
