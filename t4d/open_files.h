/*
 * Small blobs' files that stay open after a read, so that the next one needs neither to open nor to close: a bounded table, by hash. Whoever
 * takes one looks at it (fstat) after reading, so that a change meanwhile shows too: what the table knows is only what the file was.
 */
#ifndef TANA_T4D_OPEN_FILES_H
#define TANA_T4D_OPEN_FILES_H

#include "identity.h"

struct open_files;
struct open_files *open_files_new(size_t max); /* about so many; 0: none */
/* Closes them. NULL is allowed. None is taken. */
void open_files_free(struct open_files *o);

/* One that was taken: `fd` stays open until it is given back. */
struct open_file {
	int fd;
	struct identity verified; /* what it was when it was kept */
	struct open_slot *slot;
};
/* Thread-safe, like all that follow. */
bool open_files_take(struct open_files *o, const struct hash *h, struct open_file *out);
/* keep false: it is closed, once nobody has it. */
void open_files_give_back(struct open_files *o, const struct hash *h, const struct open_file *f, bool keep);
/* Takes the descriptor; another file that was kept under the hash is closed, and so is another one, in turn, when the place is full. */
void open_files_keep(struct open_files *o, const struct hash *h, const struct identity *verified, int fd);
/* The blob went. */
void open_files_drop(struct open_files *o, const struct hash *h);

#endif
