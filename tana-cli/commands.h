/* The one table of tana's commands (commands.c), and what runs them. */
#ifndef TANA_CLI_COMMANDS_H
#define TANA_CLI_COMMANDS_H

#include "daemon/command.h"

extern const struct command tana_commands[];
extern const struct option_row tana_options[];

/* cmd_run.c, cmd_logs.c, cmd_doctor.c */
int cmd_start(struct invocation *in);
int cmd_stop(struct invocation *in);
int cmd_restart(struct invocation *in);
int cmd_status(struct invocation *in);
int cmd_logs(struct invocation *in);
int cmd_doctor(struct invocation *in);

/* cmd_mesh_register.c */
int cmd_mesh_register(struct invocation *in);
int cmd_mesh_heartbeat(struct invocation *in);

/* cmd_mesh_rotate.c */
int cmd_mesh_rotate_key(struct invocation *in);
int cmd_mesh_sovereign_rotate(struct invocation *in);

/* cmd_mesh_admit.c */
int cmd_mesh_approve(struct invocation *in);
int cmd_mesh_deny(struct invocation *in);
int cmd_mesh_remove(struct invocation *in);
int cmd_mesh_reset(struct invocation *in);
int cmd_mesh_invite(struct invocation *in);
int cmd_mesh_invites(struct invocation *in);
int cmd_mesh_invite_revoke(struct invocation *in);

/* cmd_mesh_sovereign.c */
int cmd_mesh_sovereign_list(struct invocation *in);
int cmd_mesh_sovereign_add(struct invocation *in);
int cmd_mesh_sovereign_remove(struct invocation *in);

/* cmd_mesh_view.c, cmd_mesh_topology.c, cmd_mesh_watch.c */
int cmd_mesh_list(struct invocation *in);
int cmd_mesh_status(struct invocation *in);
int cmd_mesh_topology(struct invocation *in);
int cmd_mesh_watch(struct invocation *in);

/* cmd_mesh_audit.c */
int cmd_mesh_audit(struct invocation *in);
int cmd_mesh_audit_verify(struct invocation *in);

/* cmd_keys.c, cmd_new.c, cmd_config.c */
int cmd_keys_new(struct invocation *in);
int cmd_keys_list(struct invocation *in);
int cmd_keys_show(struct invocation *in);
int cmd_keys_import(struct invocation *in);
int cmd_keys_passphrase(struct invocation *in);
int cmd_new_user(struct invocation *in);
int cmd_config_show(struct invocation *in);
int cmd_config_check(struct invocation *in);

/* cmd_new.c, cmd_user.c, cmd_money.c, cmd_tx.c, cmd_block.c, cmd_govern.c */
int cmd_new_chain(struct invocation *in);
int cmd_new_genesis(struct invocation *in);
int cmd_user_create(struct invocation *in);
int cmd_user_show(struct invocation *in);
int cmd_user_list(struct invocation *in);
int cmd_user_update(struct invocation *in);
int cmd_user_rotate_key(struct invocation *in);
int cmd_balance(struct invocation *in);
int cmd_transfer(struct invocation *in);
int cmd_deposit(struct invocation *in);
int cmd_withdraw(struct invocation *in);
int cmd_requests(struct invocation *in);
int cmd_confirm(struct invocation *in);
int cmd_refuse(struct invocation *in);
int cmd_adjust(struct invocation *in);
int cmd_supply(struct invocation *in);
int cmd_stake(struct invocation *in);
int cmd_unstake(struct invocation *in);
int cmd_tx_show(struct invocation *in);
int cmd_tx_list(struct invocation *in);
int cmd_tx_submit(struct invocation *in);
int cmd_tx_watch(struct invocation *in);
int cmd_block_list(struct invocation *in);
int cmd_block_show(struct invocation *in);
int cmd_block_produce(struct invocation *in);
int cmd_block_watch(struct invocation *in);
int cmd_currency_create(struct invocation *in);
int cmd_currency_list(struct invocation *in);
int cmd_validator_list(struct invocation *in);
int cmd_validator_update(struct invocation *in);
int cmd_role(struct invocation *in);

/* cmd_content_publish.c, cmd_verify.c, cmd_proof.c */
int cmd_content_publish(struct invocation *in);
int cmd_content_retract(struct invocation *in);
int cmd_content_references(struct invocation *in);
int cmd_verify(struct invocation *in);
int cmd_proof_get(struct invocation *in);
int cmd_proof_verify(struct invocation *in);

/* cmd_auth.c, cmd_auth_approve.c */
int cmd_auth_login(struct invocation *in);
int cmd_auth_approve(struct invocation *in);
int cmd_auth_status(struct invocation *in);
int cmd_auth_logout(struct invocation *in);

/* cmd_content.c, cmd_content_sync.c, cmd_token.c */
int cmd_content_put(struct invocation *in);
int cmd_content_get(struct invocation *in);
int cmd_content_has(struct invocation *in);
int cmd_content_rm(struct invocation *in);
int cmd_content_ls(struct invocation *in);
int cmd_content_sync(struct invocation *in);
int cmd_token_new(struct invocation *in);
int cmd_token_inspect(struct invocation *in);

#endif
