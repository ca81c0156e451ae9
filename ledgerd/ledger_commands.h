/* The commands of ledgerd beside `run`. */
#ifndef TANA_LEDGERD_LEDGER_COMMANDS_H
#define TANA_LEDGERD_LEDGER_COMMANDS_H

#include "daemon/command.h"

int ledger_command_init(struct invocation *in);
int ledger_command_produce(struct invocation *in);
int ledger_command_export(struct invocation *in);
int ledger_command_import(struct invocation *in);
int ledger_command_verify(struct invocation *in); /* ledger_audit_command.c */
int ledger_command_state(struct invocation *in);
int ledger_command_content(struct invocation *in); /* content_command.c */
int ledger_command_openapi(struct invocation *in);
int ledger_command_api_doc(struct invocation *in);

#endif
