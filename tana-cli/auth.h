/* Logins that this machine keeps, and the identity service it talks to. */
#ifndef TANA_CLI_AUTH_H
#define TANA_CLI_AUTH_H

#include "cli.h"
#include "client/identity_client.h"

/* --identity-url and its other sources; without any, the one that `tana start` runs for this chain. */
const char *auth_url(struct cli *c);
/* A client of a service; interrupts end what waits. NULL with *err. */
struct identity_client *auth_client(struct cli *c, const char *url, struct error *err);
/* A hint for when it cannot be reached; returns false. */
bool auth_explain(struct error *err);

/* One login, kept in ~/.config/tana/logins/<host_port>.json (0600). */
struct auth_login {
	struct str server, token, user_id, username, expires_at;
};
/* *found false: there is none of this server. */
MUST_CHECK bool auth_login_read(struct cli *c, const char *server, struct auth_login *out, bool *found, struct error *err);
MUST_CHECK bool auth_login_write(struct cli *c, const struct auth_login *l, struct error *err);
MUST_CHECK bool auth_login_forget(struct cli *c, const char *server, struct error *err);

#endif
