/*
 * Whose request is it, when a proxy stands in front? A proxy that the operator trusts says so in X-Forwarded-For, whose entries each proxy
 * appends to: from the right, the first address that is no trusted proxy's is the client's. From anybody else the header is ignored. Private
 * to this room.
 */
#ifndef TANA_HTTP_FORWARDED_H
#define TANA_HTTP_FORWARDED_H

#include "address.h"

/* Networks of trusted proxies. */
struct proxies;
/* Entries are addresses or networks: "10.0.0.0/8", "::1", "fd00::/8"; NULL-terminated. ERR_CONFIG. NULL with count 0 never fails. */
MUST_CHECK struct proxies *proxies_new(const char *const *networks, struct error *err);
void proxies_free(struct proxies *p);
bool proxies_trusts(const struct proxies *p, const struct sockaddr *sa);
/* The client of a request that a trusted proxy forwarded. False: the header names nobody (it is left to the proxy's own address then). */
MUST_CHECK bool proxies_client(const struct proxies *p, struct str forwarded_for, struct sockaddr_storage *out);

#endif
