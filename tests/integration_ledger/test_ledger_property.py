"""Promise: whatever is handed in, in whatever order, the ledger does what the model does: the same verdicts, the same blocks' contents, the same final state."""

import threading

import pytest
from tana_testing import oracle
from tana_testing.client import eventually
from tana_testing.daemon import SANITIZED
from tana_testing.ledger_forms import STATUS
from tana_testing.ledger_history import History
from tana_testing.ledger_wallet import Wallet, make_genesis, now

STEPS = 400 if SANITIZED else 1200


def with_history(ledger_factory, seed, **params):
    sovereign, key = Wallet.sovereign(key=oracle.Key(f"sovereign {seed}")), oracle.Key(f"validator {seed}")
    # Room for whatever one user has waiting, so that every verdict is the machine's.
    genesis = make_genesis(sovereign, {"validator-1": key}, maxPendingPerUser=100_000, **params)
    ledger = ledger_factory(genesis=genesis, sovereign=sovereign, key=key, interval=20)
    return ledger, History(seed, genesis, sovereign)


def settle(ledger):
    eventually(lambda: ledger.get("/transactions/pending").expect(200)["transactions"] == [], 30, what="nothing waits")


@pytest.mark.parametrize("seed", [1, 2])
def test_random_histories(ledger_factory, seed):
    ledger, history = with_history(ledger_factory, seed, openRegistration=seed % 2 == 1)
    accepted, wrong = [], []
    for step in range(STEPS):
        transaction, code = history.next()
        answer = ledger.submit(transaction)
        if code is None:
            accepted.append(transaction)
            if answer.status != 202:
                wrong.append(f"step {step}: should be taken: {answer!r}: {transaction.message[:300]}")
                break
        elif (answer.status, answer.code) != (STATUS.get(code, 422), code):
            wrong.append(f"step {step}: should be {code}: {answer!r}: {transaction.message[:300]}")
            if answer.status == 202:
                break
        if step == STEPS // 2:
            ledger.restart(kill=seed == 1)
    assert not wrong, "\n".join(wrong[:10])
    settle(ledger)
    chain = ledger.whole()
    # In the very order in which they were taken, nothing else, nothing twice.
    assert [t.id for b in chain.blocks for t in b.transactions] == [t.id for t in accepted]
    assert chain.entries() == history.entries()
    assert ledger.state() == chain.entries()
    rebuilt = read_everything(ledger)
    for key, value in rebuilt.items():
        assert chain.entries().get(key) == value, key


def read_everything(ledger):
    """State entries as the reading API shows them."""
    out = {}
    for user in ledger.pages("/users", "users", limit=7):
        out[f"user:{user['id']}"] = user
        out[f"username:{user['username']}"] = out[f"key:{user['publicKey']}"] = user["id"]
        out[f"nonce:{user['id']}"] = ledger.get(f"/users/{user['id']}/nonce").expect(200)["currentNonce"]
        for row in ledger.get(f"/users/{user['id']}/balances").expect(200):
            for kind, amount in (("balance", row["amount"]), ("held", row["held"])):
                if amount.strip("0."):
                    out[f"{kind}:{user['id']}:{row['currencyCode']}"] = amount
    for c in ledger.get("/currencies").expect(200)["currencies"]:
        out[f"currency:{c['code']}"] = c
    for s in ledger.get("/supply").expect(200)["supply"]:
        out[f"supply:{s['currencyCode']}"] = s["amount"]
    for v in ledger.get("/validators").expect(200)["validators"]:
        out[f"validator:{v['id']}"] = v
    for c in ledger.pages("/content", "content", limit=3):
        out[f"content:{c['hash']}:{c['owner']}"] = {k: v for k, v in c.items() if k not in ("hash", "owner")}
    for kind in ("deposits", "withdraws"):
        for r in ledger.pages(f"/transactions/pending/{kind}", kind, limit=2):
            out[f"request:{r['id']}"] = {k: v for k, v in r.items() if k != "id"}
    return out


def test_what_is_shown_is_the_whole_state(ledger_factory):
    """Every entry but stakes, closed requests, retired keys and the chain's own is shown somewhere."""
    ledger, history = with_history(ledger_factory, 3)
    for _ in range(STEPS // 3):
        transaction, code = history.next()
        if code is None:
            ledger.queue(transaction)
    settle(ledger)
    shown, entries = read_everything(ledger), history.entries()
    hidden = {k for k in entries.keys() - shown.keys() if k.split(":")[0] not in ("stake", "chain", "key")}
    assert not {k for k in hidden if not (k.startswith("request:") and entries[k]["status"] != "pending")}
    assert {k: entries.get(k) for k in shown} == shown


def test_many_at_once(ledger_factory):
    """Several users hand in at the same time, each in its own order: every one is taken, money is neither made nor lost."""
    ledger = ledger_factory(interval=10)
    users = [ledger.rich(f"user{n}", "100") for n in range(6)]
    wrong = []

    def work(wallet, number):
        try:
            for n in range(40):
                ledger.queue(wallet.transfer(users[(number + 1 + n % 5) % 6], f"0.{n + 1:02}"))
        except Exception as e:
            wrong.append(e)

    threads = [threading.Thread(target=work, args=(w, n)) for n, w in enumerate(users)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert not wrong, wrong[0]
    settle(ledger)
    chain = ledger.whole()
    assert sum(len(b.transactions) for b in chain.blocks) == 12 + 240
    assert chain.entries()["supply:USD"] == "600.00"
    assert all(b.header["timestamp"] <= now() + 1000 for b in chain.blocks)
    assert ledger.status()["height"] == chain.height
