/* `identityd client ...`: entries for the file of OpenID clients, made without a running service. */
#ifndef TANA_IDENTITYD_OIDC_COMMANDS_H
#define TANA_IDENTITYD_OIDC_COMMANDS_H

#include "daemon/command.h"

int oidc_command_client_add(struct invocation *in);
int oidc_command_client_hash(struct invocation *in);

#endif
