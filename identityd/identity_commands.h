/* identityd's commands beside serving. */
#ifndef TANA_IDENTITYD_IDENTITY_COMMANDS_H
#define TANA_IDENTITYD_IDENTITY_COMMANDS_H

#include "daemon/command.h"

int identity_command_openapi(struct invocation *in);
int identity_command_api_doc(struct invocation *in);

#endif
