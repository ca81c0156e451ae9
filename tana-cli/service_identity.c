/* How `tana start` starts the identity service. */
#include "base/file.h"
#include "paths.h"
#include "services.h"

bool service_prepare_identity(struct cli *c, const struct service *s, struct service_launch *l, struct error *err)
{
	const char *dir = path_state(&c->arena, cli_chain(c), "%s", s->name), *ledger = service_running_url(c, "ledger");
	const char *postgres = option_text(c->in, "postgres"), *public_url = option_text(c->in, "public-url"), *clients = option_text(c->in, "clients");
	if (!file_make_dirs(dir, 0700, err))
		return false;
	service_argument_pair(l, "--public-url", public_url ? public_url : service_url_of(&c->arena, option_text(c->in, s->listen_option)));
	if (postgres) /* it may hold a password: not for ps */
		l->environment[0] = arena_printf(&c->arena, "TANA_IDENTITY_DB=%s", service_database(&c->arena, postgres, s->name)).p;
	else
		service_argument_pair(l, "--db", arena_printf(&c->arena, "sqlite:%s/identity.db", dir).p);
	if (ledger) /* it says whose key is whose */
		service_argument_pair(l, "--ledger-url", ledger);
	if (clients) {
		service_argument_pair(l, "--clients", clients);
		service_argument_pair(l, "--oidc-keys", arena_printf(&c->arena, "%s/oidc-keys.json", dir).p);
	}
	return true;
}
