/* Peer addresses: text, keys for counting, and what "HOST:PORT" means. Private to this room. */
#ifndef TANA_HTTP_ADDRESS_H
#define TANA_HTTP_ADDRESS_H

#include <stdint.h>
#include <sys/socket.h>

#include "base/error.h"
#include "base/str.h"

/* What one party counts as: an IPv4 address, or an IPv6 /64 (a single customer has all of one). */
struct address_key {
	uint64_t high, low;
};

enum { ADDRESS_TEXT_SIZE = 64 };

struct address_key address_key(const struct sockaddr *sa);
static inline bool address_key_equal(struct address_key a, struct address_key b)
{
	return a.high == b.high && a.low == b.low;
}
/* Spreads keys over tables; `seed` is random, so that nobody outside can aim at one slot. */
uint64_t address_key_hash(struct address_key k, uint64_t seed);
/* 127.0.0.0/8, ::1 and the IPv4-mapped form of the former. */
bool address_is_loopback(const struct sockaddr *sa);
/* "192.0.2.1", "2001:db8::1" without the port; "?" for other families. IPv4-mapped addresses are shown as IPv4. */
void address_text(const struct sockaddr *sa, char out[ADDRESS_TEXT_SIZE]);
/* "192.0.2.1:8190", "[::1]:8190". */
void address_text_port(const struct sockaddr *sa, char out[ADDRESS_TEXT_SIZE]);

/* Opens a listening TCP socket (close-on-exec, non-blocking) on "HOST:PORT" or "[v6]:PORT"; port 0 picks a free one. ERR_CONFIG when
 * the text is no address, ERR_IO when the system refuses. Returns the descriptor, or -1. */
MUST_CHECK int address_listen(const char *text, struct error *err);

/* How many connections each address has open. Memory is bounded by the number of open connections. Thread-safe. */
struct address_counts;
struct address_counts *address_counts_new(void);
void address_counts_free(struct address_counts *c);
/* False, and nothing counted, when the address has `max` already. */
MUST_CHECK bool address_counts_add(struct address_counts *c, struct address_key k, int max);
void address_counts_remove(struct address_counts *c, struct address_key k);

#endif
