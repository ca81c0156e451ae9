/* What meshd does besides serving: init, verify, backup, and the documents made from its route table. */
#ifndef TANA_MESHD_MESH_COMMANDS_H
#define TANA_MESHD_MESH_COMMANDS_H

#include "daemon/command.h"

int mesh_command_init(struct invocation *in);
int mesh_command_verify(struct invocation *in);
int mesh_command_backup(struct invocation *in);
int mesh_command_openapi(struct invocation *in);
int mesh_command_api_doc(struct invocation *in);

#define MESH_DESCRIPTION "Who is in the network: nodes register with signed requests, sovereign keys admit them, heartbeats show who lives."

#endif
