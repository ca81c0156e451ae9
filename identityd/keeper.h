/*
 * The timer: sessions whose time is over expire (within a quarter of a second of it, and whoever waits is told); what is old is forgotten.
 * Several instances may run it on one database: each session is expired by one of them.
 */
#ifndef TANA_IDENTITYD_KEEPER_H
#define TANA_IDENTITYD_KEEPER_H

#include "identity.h"

struct keeper *keeper_start(struct identity *id);
void keeper_stop(struct keeper *k); /* NULL is allowed */

#endif
