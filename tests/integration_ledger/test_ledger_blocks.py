"""Promise: blocks come by themselves when transactions wait, not before; they keep their limits, and there is one producer at a time."""

import os
import subprocess
import time

import pytest
from tana_testing import oracle
from tana_testing.client import eventually
from tana_testing.daemon import binary
from tana_testing.ledger import VALIDATOR, write_key
from tana_testing.ledger_forms import sha
from tana_testing.ledger_wallet import Wallet, make_genesis, now
from tana_testing.shim import Faults


def chain_blocks(ledger):
    return ledger.pages("/blocks", "blocks", **{"from": 0, "full": 1})


def test_the_first_block_is_the_genesis(ledger):
    block = ledger.get("/blocks/0").expect(200)
    assert block["header"]["genesisHash"] == sha(oracle.canonical(ledger.genesis)).hex()
    assert block["header"]["producer"] == "genesis" and "signature" not in block
    assert block["transactions"] == [] and block["stateChanges"] == []
    assert ledger.height == 0
    status = ledger.status()
    assert status["chainId"] == ledger.genesis["chainId"] and status["genesisHash"] == block["header"]["genesisHash"] and status["producing"] is True


def test_no_blocks_while_nothing_waits(ledger):
    time.sleep(0.3)
    assert ledger.height == 0
    ledger.user("alice")
    assert ledger.height == 1


def test_at_most_one_an_interval(ledger_factory):
    ledger = ledger_factory(interval=400)
    began = time.monotonic()
    wallets = [Wallet(f"u{n}") for n in range(5)]
    for w in wallets:
        ledger.include(w.create())
    assert time.monotonic() - began >= 0.4 * 3
    stamps = [b["header"]["timestamp"] for b in chain_blocks(ledger)][1:]
    assert all(b - a >= 350 for a, b in zip(stamps, stamps[1:])), stamps


def test_empty_blocks_when_asked_for(ledger_factory):
    ledger = ledger_factory("--empty-block-interval", "50ms")
    ledger.wait_height(3)
    chain = ledger.whole()
    assert all(not b.transactions and not b.changes for b in chain.blocks)


def test_limits(ledger_factory):
    """By number and by bytes: everything gets in, in as many blocks as it takes."""
    sovereign = Wallet.sovereign()
    ledger = ledger_factory(sovereign=sovereign, params={"maxBlockTransactions": 7}, interval=200)
    ledger.queue(*(sovereign.update(bio=f"number {n}") for n in range(20)))
    eventually(lambda: ledger.status()["pending"] == 0, 20)
    chain = ledger.whole()
    sizes = [len(b.transactions) for b in chain.blocks[1:]]
    assert max(sizes) == 7 and sum(sizes) == 20
    sovereign = Wallet.sovereign()
    one = sovereign.update(bio="x" * 500, nonce=1).size
    ledger = ledger_factory(sovereign=sovereign, params={"maxBlockBytes": 3 * one, "maxTransactionBytes": one + 100}, interval=200)
    made = [sovereign.update(bio="x" * 500) for n in range(8)]
    assert {t.size for t in made} == {one}
    ledger.queue(*made)
    eventually(lambda: ledger.status()["pending"] == 0, 20)
    sizes = [len(b.transactions) for b in ledger.whole().blocks[1:]]
    assert max(sizes) == 3 and sum(sizes) == 8


def test_order_of_acceptance_and_of_nonces(ledger_factory):
    ledger = ledger_factory(interval=300)
    alice, bob = ledger.user("alice"), ledger.user("bob")
    # Handed in backwards: each waits for the one before it.
    backwards = [alice.update(nonce=n) for n in (4, 3, 2)]
    ledger.queue(*backwards, bob.update(), alice.update(nonce=1), bob.update())
    eventually(lambda: ledger.status()["pending"] == 0, 20)
    made = [t.fields for b in ledger.whole().blocks for t in b.transactions]
    assert [f["nonce"] for f in made if f["from"] == alice.id] == [0, 1, 2, 3, 4]
    assert [f["nonce"] for f in made if f["from"] == bob.id] == [0, 1, 2]


def test_by_hand(ledger_factory):
    """ledgerd produce makes one block of what waits, while no producer runs."""
    ledger = ledger_factory(interval=3_600_000)
    alice = Wallet("alice")
    # The first block may come at once; the interval holds the second back.
    ledger.include(ledger.sovereign.update())
    ledger.queue(alice.create())
    ledger.stop()
    done = ledger.run("produce", "--node-key", ledger.key_path, "--validator-id", VALIDATOR)
    assert done.returncode == 0, done.stderr
    ledger.start()
    assert ledger.look(alice.create(nonce=0)).status == 404
    assert ledger.get(f"/users/{alice.id}").expect(200)["username"] == "@alice"
    assert ledger.height == 2
    ledger.whole()


def test_a_second_producer_on_the_same_database_is_refused(ledger_factory):
    first = ledger_factory()
    second = ledger_factory(db_url=first.db_url, genesis=first.genesis, sovereign=first.sovereign, key=first.key, start=False)
    second.daemon.refuse_to_start("producer")
    done = first.run("produce", "--node-key", first.key_path, "--validator-id", VALIDATOR)
    assert done.returncode == 1 and "producer" in done.stderr, done
    first.user("alice")
    # When the first is gone, even by kill -9, the second may.
    first.daemon.kill()
    second.start(within=30)
    second.user("bob")
    assert second.height == 2
    first.client.close()
    second.whole()


def test_a_stopped_producer_that_wakes_up_again_does_no_harm(ledger_factory, storage):
    if storage == "sqlite":
        pytest.skip("a file's lock is held by a process that sleeps")
    first = ledger_factory()
    first.user("alice")
    first.daemon.signal(19)  # SIGSTOP
    try:
        second = ledger_factory(db_url=first.db_url, genesis=first.genesis, sovereign=first.sovereign, key=first.key, start=False)
        second.daemon.refuse_to_start("producer")
    finally:
        first.daemon.signal(18)
    first.user("bob")
    first.whole()


def test_who_may_not_produce(ledger_factory, tmp_path):
    ledger = ledger_factory()
    ledger.stop()
    stranger = oracle.Key()
    other = ledger_factory(db_url=ledger.db_url, genesis=ledger.genesis, sovereign=ledger.sovereign, key=stranger, start=False)
    other.daemon.refuse_to_start("validator-1")
    other.daemon.argv = ledger.daemon.argv
    ledger.start()
    for mode in (0o644, 0o640):
        os.chmod(ledger.key_path, mode)
        ledger.stop()
        ledger.daemon.refuse_to_start("node-key.json")
        os.chmod(ledger.key_path, 0o600)
        ledger.start()


def test_a_genesis_that_is_not_the_databases(ledger_factory):
    ledger = ledger_factory()
    ledger.user("alice")
    ledger.stop()
    other = make_genesis(ledger.sovereign, {VALIDATOR: ledger.key}, timestamp=1)
    ledger.genesis_path.write_bytes(oracle.canonical(other))
    ledger.daemon.refuse_to_start("genesis")
    ledger.genesis_path.write_bytes(oracle.canonical(ledger.genesis))
    ledger.start()
    assert ledger.height == 1


@pytest.mark.storage_only("sqlite")
def test_geneses_that_are_refused(ledger_factory, tmp_path, storage):
    sovereign, key = Wallet.sovereign(), oracle.Key()
    good = make_genesis(sovereign, {VALIDATOR: key})

    def changed(**kw):
        return {**good, **kw}

    def params(**kw):
        return changed(params={**good["params"], **kw})

    v, c = good["validators"][0], good["currencies"][0]
    bad = {
        "chainId": [changed(chainId="Upper"), changed(chainId=""), changed(chainId="a:b")], "timestamp": [changed(timestamp=-1), changed(timestamp="1")],
        "validators": [changed(validators=[]), changed(validators=[v, v]), changed(validators=[{**v, "id": "V"}])],
        "currencies": [changed(currencies=[c, c]), changed(currencies=[{**c, "decimals": 9}]), changed(currencies=[{**c, "code": "usd"}])],
        "sovereign": [changed(sovereign={**good["sovereign"], "username": "sovereign"}), changed(sovereign={**good["sovereign"], "publicKey": "0" * 64})],
        "maxBlockBytes": [params(maxBlockBytes=65_599)], "maxPendingPerUser": [params(maxPendingPerUser=0)], 
        "field that it should not have": [params(extra=1), changed(extra=1), changed(validators=[{**v, "power": 1}])],
        "openRegistration": [params(openRegistration=1)],
    }
    for what, geneses in bad.items():
        for genesis in geneses:
            path = tmp_path / "bad.json"
            path.write_bytes(oracle.canonical(genesis))
            done = init(path, tmp_path)
            assert done.returncode in (1, 2) and what in done.stderr, f"{what}: {genesis}: {done}"
    path.write_bytes(oracle.canonical(good).replace(b",", b", ", 1))
    assert init(path, tmp_path).returncode in (1, 2)
    path.write_bytes(oracle.canonical(good) + b"\n")
    done = init(path, tmp_path)
    assert done.returncode == 0, done


def init(path, tmp_path):
    argv = [binary("ledgerd"), "init", "--db", f"sqlite:{tmp_path}/init.db", "--genesis", path]
    return subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=60)


def test_clocks_that_jump(ledger_factory, tmp_path):
    """Timestamps of blocks grow, whatever the clock does; a transaction is judged by the time of its block."""
    faults = Faults(tmp_path)
    ledger = ledger_factory(env=faults.env)
    alice = ledger.user("alice")
    faults.set_clock(50_000)
    ledger.include(alice.update(timestamp=now() + 100_000))
    ahead = ledger.latest()["header"]["timestamp"]
    assert ahead >= now() + 40_000
    faults.set_clock(0)
    # The clock went back: the next block is a millisecond later than the last.
    ledger.include(alice.update())
    assert ledger.latest()["header"]["timestamp"] == ahead + 1
    ledger.submit(alice.update(nonce=alice.next_nonce, timestamp=now() + 180_000)).refused(422, "expired")
    window = ledger.genesis["params"]["timestampWindowMs"]
    ledger.submit(alice.update(nonce=alice.next_nonce, timestamp=now() - window - 1000)).refused(422, "expired")
    ledger.whole()


def test_the_set_of_validators_changes_who_produces(ledger_factory):
    """A validator that is taken off the chain makes no more blocks; one that joins may."""
    ledger = ledger_factory()
    second, s = oracle.Key(), ledger.sovereign
    ledger.include(s.validator("v2", second))
    assert [v["id"] for v in ledger.get("/validators").expect(200)["validators"]] == ["v2", VALIDATOR]
    ledger.include(s.validator(VALIDATOR, ledger.key, 0))
    last = ledger.height
    left_behind = ledger.queue(s.update())
    eventually(lambda: ledger.status()["producing"] is False, 10)
    time.sleep(0.2)
    assert ledger.height == last
    ledger.stop()
    other = ledger_factory(db_url=ledger.db_url, genesis=ledger.genesis, sovereign=s, key=second, validator="v2")
    assert other.settled(left_behind)["status"] == "included"
    chain = other.whole()
    assert [b.header["producer"] for b in chain.blocks[1:]] == [VALIDATOR] * (len(chain.blocks) - 2) + ["v2"]


def test_a_rotated_validator_key(ledger_factory, tmp_path):
    ledger = ledger_factory()
    new, s = oracle.Key(), ledger.sovereign
    ledger.include(s.validator(VALIDATOR, new))
    ledger.stop()
    write_key(ledger.key_path, new, VALIDATOR)
    ledger.start()
    ledger.include(s.update())
    ledger.whole()
