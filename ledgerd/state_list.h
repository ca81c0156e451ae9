/*
 * The lists by which entries and transactions are found otherwise than by key: rows that follow from an entry, or a transaction, alone. The store
 * writes them with each block, readers page through them, the audit recomputes them.
 *
 *	state_lists		owner:<user id>				what a user has published (key: content:<hash>:<user id>)
 *				staked:<user id>			a user's stakes (key: stake:<validator>:<user id>:<code>)
 *	transaction_lists	account:<user id>			transactions from, to or about a user
 *				type:<type>
 *				pending:deposit, pending:withdraw	those whose request:<id> is pending: the only rows that go again. They are
 *									here for their order, which is that of the chain
 */
#ifndef TANA_LEDGERD_STATE_LIST_H
#define TANA_LEDGERD_STATE_LIST_H

#include "chain_view.h"
#include "wire/tx.h"

enum { STATE_LIST_MAX = 128, TX_LISTS_MAX = 4 };
/* The list that an entry of this key is in, as long as it is there; false: none. */
MUST_CHECK bool state_list_of(struct str key, char out[STATE_LIST_MAX], struct str *list);
/* Of a request's entry: the list that its transaction is in while the request is pending; false: not a request, or decided. */
MUST_CHECK bool request_list_of(struct str key, struct str value, char out[STATE_LIST_MAX], struct str *list);
/* The id of the transaction that opened the request of this key. */
struct str request_tx_id(struct str key);
/* The lists that a transaction is in for ever, in the arena. Who a confirmation is about is not in it: it is found by the request. */
size_t tx_lists_of(const struct tx *t, struct arena *arena, struct str lists[TX_LISTS_MAX]);

#endif
