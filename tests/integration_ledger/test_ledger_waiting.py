"""Promise: what was answered 202 is kept, in order, across restarts; gaps, replays and crowds change nothing about that."""

import concurrent.futures

from tana_testing.client import eventually
from tana_testing.ledger_wallet import Wallet

HOUR = 3_600_000


def pending(ledger):
    return [t["id"] for t in ledger.pages("/transactions/pending", "transactions", limit=3)]


def nonce(ledger, wallet):
    found = ledger.get(f"/users/{wallet.id}/nonce").expect(200)
    return found["currentNonce"], found["nextNonce"]


def test_nonces_ahead_wait_for_their_turn(ledger):
    alice = ledger.user("alice")
    third, second = ledger.queue(alice.update(nonce=3)), ledger.queue(alice.update(nonce=2))
    assert nonce(ledger, alice) == (0, 1)
    assert set(pending(ledger)) == {third.id, second.id}
    assert ledger.height == 1
    ledger.submit(alice.update(nonce=3, bio="another")).refused(422, "bad_nonce")
    ledger.include(alice.update(nonce=1))
    assert [ledger.settled(t)["status"] for t in (second, third)] == ["included", "included"]
    assert nonce(ledger, alice) == (3, 4) and pending(ledger) == []
    ledger.submit(alice.update(nonce=3, bio="again")).refused(422, "bad_nonce")


def test_how_many_may_wait(ledger_factory):
    ledger = ledger_factory(params={"maxPendingPerUser": 5})
    alice = ledger.user("alice")
    ledger.queue(*(alice.update(nonce=n) for n in (5, 4, 3, 2)))
    ledger.submit(alice.update(nonce=6)).refused(422, "bad_nonce")
    ledger.include(alice.update(nonce=1))
    eventually(lambda: nonce(ledger, alice) == (5, 6), 10)
    ledger.include(alice.update(nonce=6))


def test_a_new_user_goes_on_before_it_is_in_a_block(ledger_factory):
    ledger = ledger_factory(interval=HOUR)
    ledger.include(ledger.sovereign.update())
    alice, bob, s = Wallet("alice"), Wallet("bob"), ledger.sovereign
    made = [alice.create(), bob.create(), s.adjust(alice, "5"), alice.transfer(bob, "5"), bob.transfer(alice, "4.99"), bob.update()]
    ledger.queue(*made)
    ledger.submit(bob.transfer(alice, "0.02", nonce=bob.next_nonce)).refused(422, "insufficient_funds")
    assert pending(ledger) == [t.id for t in made]
    # What waits does not show in what is committed.
    ledger.get(f"/users/{alice.id}").refused(404, "unknown_user")
    # Still there after kill -9, in the same order, with the same rules; the interval since the last block goes on.
    ledger.restart(kill=True)
    assert pending(ledger) == [t.id for t in made]
    ledger.submit(bob.transfer(alice, "0.02", nonce=bob.next_nonce)).refused(422, "insufficient_funds")
    assert ledger.submit(made[-1]).status == 200
    ledger.stop()
    done = ledger.run("produce", "--node-key", ledger.key_path, "--validator-id", ledger.validator)
    assert done.returncode == 0, done
    ledger.start()
    assert [t.id for b in ledger.whole().blocks for t in b.transactions][1:] == [t.id for t in made]
    assert ledger.balance(alice) == ("4.99", "0.00") and ledger.balance(bob) == ("0.01", "0.00")


def test_the_same_transaction_from_many_at_once(ledger):
    alice = ledger.rich("alice")
    for _ in range(10):
        transfer = alice.transfer(ledger.sovereign, "1")
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: ledger.submit(transfer), range(8)))  # noqa: B023
        assert sorted(a.status for a in answers)[:1] == [200] and {a.status for a in answers} <= {200, 202}
        assert sum(a.status == 202 for a in answers) >= 1, answers
        ledger.settled(transfer)
    assert ledger.balance(alice) == ("990.00", "0.00")
    chain = ledger.whole()
    ids = [t.id for b in chain.blocks for t in b.transactions]
    assert len(ids) == len(set(ids)) == 12


def test_different_transactions_of_one_nonce_at_once(ledger):
    """One wins; the others are refused."""
    alice = ledger.rich("alice")
    for _ in range(8):
        made = [alice.transfer(ledger.sovereign, f"0.{n + 1:02}", nonce=alice.next_nonce) for n in range(6)]
        alice.next_nonce += 1
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(ledger.submit, made))
        assert sorted(a.status for a in answers) == [202] + [422] * 5, answers
        assert {a.code for a in answers if a.status == 422} == {"bad_nonce"}
        for t, a in zip(made, answers):
            if a.status == 202:
                assert ledger.settled(t)["status"] == "included"
            else:
                ledger.look(t).refused(404, "unknown_transaction")
    ledger.whole()


def test_nonces_handed_in_backwards_by_many(ledger):
    wallets = [ledger.user(f"w{n}") for n in range(4)]
    made = [w.update(nonce=n) for n in range(12, 0, -1) for w in wallets]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert [a.status for a in pool.map(ledger.submit, made)] == [202] * len(made)
    for t in made:
        assert ledger.settled(t)["status"] == "included"
    ledger.whole()


def test_restarts_between_everything(ledger):
    alice = ledger.rich("alice")
    for n in range(6):
        t = ledger.queue(alice.transfer(ledger.sovereign, "1"))
        ledger.restart(kill=n % 2 == 0)
        assert ledger.settled(t)["status"] == "included"
    assert ledger.balance(alice) == ("994.00", "0.00")
    ledger.whole()
