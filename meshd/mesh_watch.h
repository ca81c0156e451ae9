/*
 * Offline detection and upkeep, on one background thread: calls silent nodes offline, expires old pending registrations, thins the history, forgets old events.
 *
 * A node is silent when nothing was heard of it for a whole timeout DURING WHICH IT COULD HAVE BEEN HEARD: after a start, after the database was away, and after the wall clock
 * jumped, a whole timeout passes before anybody is called offline.
 */
#ifndef TANA_MESHD_MESH_WATCH_H
#define TANA_MESHD_MESH_WATCH_H

#include "mesh.h"

MUST_CHECK struct mesh_watch *mesh_watch_start(struct mesh *m);
void mesh_watch_stop(struct mesh_watch *w); /* NULL is allowed */

#endif
