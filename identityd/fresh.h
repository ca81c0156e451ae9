/*
 * Sessions that were begun here lately and have not ended, as far as this instance knows: an approval, which has to be quick, then needs no read. What an entry
 * says of the status is a guess (the approval's own update decides, and whoever comes late is told so); everything else in it never changes.
 */
#ifndef TANA_IDENTITYD_FRESH_H
#define TANA_IDENTITYD_FRESH_H

#include "session_store.h"

struct fresh;
/* Holds at most `max` sessions: the oldest go first. */
struct fresh *fresh_new(size_t max);
void fresh_free(struct fresh *f); /* NULL is allowed */
/* Thread-safe, all of them. */
void fresh_put(struct fresh *f, const struct session_row *s);
/* Copies it into the arena; false: not here. */
bool fresh_get(struct fresh *f, struct str session_id, struct arena *arena, struct session_row *out);
/* It has ended, or may have. */
void fresh_drop(struct fresh *f, struct str session_id);
/* Any of them may have: messages were lost. */
void fresh_clear(struct fresh *f);

#endif
