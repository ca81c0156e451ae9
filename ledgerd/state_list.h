/*
 * The lists by which entries and transactions are found otherwise than by key: rows that follow from an entry, or a transaction, alone. The store
 * writes them with each block, readers page through them, the audit recomputes them.
 *
 *	state_lists		owner:<user id>				what a user has published (key: content:<hash>:<user id>)
 *				staked:<user id>			a user's stakes (key: stake:<validator>:<user id>:<code>)
 *	open_requests		deposit, withdraw			requests that wait, in the order of the chain: their request:<id> is pending
 *	transaction_index	account:<user id>			transactions from, to or about a user
 *				type:<type>				under the hashes of these names (tx_index.h)
 */
#ifndef TANA_LEDGERD_STATE_LIST_H
#define TANA_LEDGERD_STATE_LIST_H

#include "chain_view.h"
#include "wire/tx.h"

enum { STATE_LIST_MAX = 128, TX_LISTS_MAX = 4 };
/* The list that an entry of this key is in, as long as it is there; false: none. */
MUST_CHECK bool state_list_of(struct str key, char out[STATE_LIST_MAX], struct str *list);
/* Of a request's entry: its type while it is pending (in `value`); false: not a request, or decided. */
MUST_CHECK bool open_request_type(struct str key, struct str value, struct str *type);
/* The id of the transaction that opened the request of this key. */
struct str request_tx_id(struct str key);
/* The lists that a transaction is in for ever; their number. Who a confirmation is about is not in it: it is found by the request. */
struct tx_list_name {
	char text[64];
	size_t n;
};
static inline struct str tx_list_str(const struct tx_list_name *l) { return str_of(l->text, l->n); }
void tx_list_account(struct str user, struct tx_list_name *out); /* user: up to USER_ID_LEN bytes */
void tx_list_type(struct str type, struct tx_list_name *out);    /* type: up to 40 bytes */
size_t tx_lists_of(const struct tx *t, struct tx_list_name out[TX_LISTS_MAX]);

#endif
