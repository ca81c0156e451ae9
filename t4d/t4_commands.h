/* t4d's commands beside serving. They work on the directory itself, also while a t4d serves it. */
#ifndef TANA_T4D_T4_COMMANDS_H
#define TANA_T4D_T4_COMMANDS_H

#include "daemon/command.h"

int t4_command_scrub(struct invocation *in);
int t4_command_verify(struct invocation *in);
int t4_command_stats(struct invocation *in);
int t4_command_openapi(struct invocation *in);
int t4_command_api_doc(struct invocation *in);
/* t4_gc.c */
int t4_command_gc(struct invocation *in);

/* Opens the store of --dir for a command. */
struct blob_store;
MUST_CHECK struct blob_store *t4_command_store(struct invocation *in, struct error *err);

/* A line on the terminal that is written over; silent when standard error is none, and under --json. */
struct progress {
	bool shown;
	int64_t next_ms;
};
void progress_begin(struct progress *p, const struct invocation *in);
/* True when it is time for a new line. */
bool progress_due(struct progress *p);
void progress_line(const struct progress *p, const char *fmt, ...) PRINTF_LIKE(2, 3);
void progress_end(const struct progress *p);

#endif
