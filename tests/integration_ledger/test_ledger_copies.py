"""Promise: a chain is the same chain wherever it stands: exported and imported byte for byte, pulled by followers who check everything themselves."""

import itertools
import json
import pathlib
import sqlite3

import pytest
from tana_testing import oracle, pg
from tana_testing.client import eventually
from tana_testing.daemon import binary, run
from tana_testing.ledger import VALIDATOR, state_of, write_key
from tana_testing.ledger_cases import World
from tana_testing.ledger_chain import Chain, read_chain, write_chain
from tana_testing.ledger_history import History
from tana_testing.ledger_liar import Liar
from tana_testing.ledger_wallet import Wallet, make_genesis, now

VECTORS = pathlib.Path(__file__).parents[1] / "vectors"


class Copy:
    """ledgerd's commands on a database without a daemon."""

    def __init__(self, directory, url, genesis):
        self.directory, self.url = directory, url
        directory.mkdir(exist_ok=True)
        self.genesis_path = directory / "genesis.json"
        self.genesis_path.write_bytes(oracle.canonical(genesis))

    def run(self, verb, *args):
        return run([binary("ledgerd"), verb, *args, "--db", self.url, "--genesis", self.genesis_path], self.directory)

    def take(self, data, status=0):
        path = self.directory / "in.jsonl"
        path.write_bytes(data)
        done = self.run("import", path)
        assert done.returncode == status, f"import: exit {done.returncode}\n{done.stderr}"
        return done.stderr

    def give(self):
        path = self.directory / "out.jsonl"
        done = self.run("export", "--to", path)
        assert done.returncode == 0, done
        return path.read_bytes()

    def state(self, *args):
        done = self.run("state", *args)
        assert done.returncode == 0, done
        return state_of(done.stdout)


@pytest.fixture
def copy(database, tmp_path):
    numbers = itertools.count()
    return lambda genesis: Copy(tmp_path / f"copy-{next(numbers)}", database(), genesis)


def test_the_chain_of_the_vectors(copy):
    data = (VECTORS / "chain.jsonl").read_bytes()
    chain = read_chain(data)
    mine = copy(chain.genesis)
    mine.take(data)
    assert mine.give() == data
    final = {k: json.loads(v) for k, v in json.loads((VECTORS / "chain_final_state.json").read_text()).items()}
    assert mine.state() == final
    # At every height.
    lines = data.splitlines(keepends=True)
    for height in (0, 4, 9):
        assert mine.state("--at", str(height)) == read_chain(b"".join(lines[: height + 2])).entries()
    assert mine.run("verify", "--all").returncode == 0


def history_chain(seed, steps=400):
    sovereign, key = Wallet.sovereign(key=oracle.Key(f"sovereign {seed}")), oracle.Key("validator")
    genesis = make_genesis(sovereign, {VALIDATOR: key}, timestamp=now() - 100_000_000)
    history = History(seed, genesis, sovereign, clock=lambda: now() - 50_000_000, flawed=0.1)
    chain, waiting = Chain(genesis), []
    for step in range(steps):
        waiting.append(history.next()[0])
        if len(waiting) == 25:
            chain.produce(waiting, VALIDATOR, key, now() - 50_000_000 + step)
            waiting = []
    return chain, key


def test_a_random_chain_made_by_the_model(copy):
    chain, _ = history_chain(77)
    data = write_chain(chain)
    mine = copy(chain.genesis)
    mine.take(data)
    assert mine.give() == data and mine.state() == chain.entries()
    assert mine.run("verify", "--all").returncode == 0


def test_imports_that_break_off_go_on(copy, ledger_factory):
    """What is there already is not taken twice; what differs from it is refused."""
    chain, key = history_chain(78, 200)
    data = write_chain(chain)
    lines = data.splitlines(keepends=True)
    mine = copy(chain.genesis)
    mine.take(b"".join(lines[:4]))
    mine.take(data)
    mine.take(data)
    assert mine.give() == data
    other, _ = history_chain(79, 100)
    assert "genesis" in mine.take(write_chain(other), status=2)
    # A fork of the same genesis.
    fork = read_chain(b"".join(lines[:3]))
    fork.produce([], VALIDATOR, key, now())
    fork.produce([], VALIDATOR, key, now() + 1)
    mine.take(write_chain(fork), status=1)
    assert mine.give() == data
    # And a daemon goes on from it.
    ledger = ledger_factory(db_url=mine.url, genesis=chain.genesis, sovereign=Wallet.sovereign(), key=key)
    alice = Wallet("new-user")
    ledger.include(alice.create())
    assert ledger.whole().height == chain.height + 1


@pytest.mark.storage_only("sqlite")
def test_files_that_are_no_chain(copy, storage):
    chain, key = history_chain(80, 100)
    data = write_chain(chain)
    lines = data.splitlines(keepends=True)
    bad = {
        "empty": b"", "head alone cut": lines[0][:-10], "cut": data[:-20], "blank line": b"\n" + data,
        "swapped": b"".join([*lines[:2], lines[3], lines[2], *lines[4:]]), "missing": b"".join(lines[:2] + lines[3:]),
        "not canonical": b"".join(lines[:2]) + lines[2].replace(b":", b": ", 1), "another format": data.replace(b"tana-chain/1", b"tana-chain/2"),
        "binary": bytes(range(256)) * 20, "crlf": data.replace(b"\n", b"\r\n"), "no newline at the end": data[:-1],
    }
    taken = [copy(chain.genesis).take(content, status=1) for content in bad.values()]
    assert all(text.strip() for text in taken)


@pytest.mark.storage_only("sqlite")
def test_blocks_that_do_not_hold(copy, storage):
    """One flipped fact in a block of somebody else's, correctly hashed and signed, is found."""
    world = World(timestamp=now() - 10_000)
    chain = Chain(world.genesis)
    chain.produce(world.setup, VALIDATOR, world.key, now())
    at = now() + 10
    good = [world.alice.transfer(world.bob, "1", nonce=world.alice.next_nonce)]
    h = chain.forge(good, VALIDATOR, world.key, at).header
    wrong = {
        "stateRoot": "0" * 64, "changesRoot": "0" * 64, "txRoot": "0" * 64, "txCount": 2, "previousHash": "0" * 64, "height": h["height"] + 1,
        "validatorsHash": "0" * 64, "producer": "nobody", "timestamp": chain.head.header["timestamp"], "version": 2, "chainId": "otherchain",
    }
    forged = [chain.forge(good, VALIDATOR, world.key, at, before={k: v}) for k, v in wrong.items()]
    forged.append(chain.forge(good, VALIDATOR, oracle.Key(), at))
    bad_change = chain.forge(good, VALIDATOR, world.key, at)
    bad_change.changes = bad_change.changes[:-1]
    unsigned = chain.forge(good, VALIDATOR, world.key, at)
    unsigned.signature = None
    twice = chain.forge([*good, *good], VALIDATOR, world.key, at)
    for block in (*forged, bad_change, unsigned, twice):
        mine = copy(world.genesis)
        said = mine.take(write_chain(chain, block), status=1)
        assert str(chain.height + 1) in said, said
        assert read_chain(mine.give()).height <= chain.height
    mine = copy(world.genesis)
    mine.take(write_chain(chain, chain.forge(good, VALIDATOR, world.key, at)))


def test_limits_hold_for_blocks_of_others(copy):
    world = World(timestamp=now() - 10_000, maxBlockTransactions=30)
    chain = Chain(world.genesis)
    chain.produce(world.setup, VALIDATOR, world.key, now())
    alice, start = world.alice, world.alice.next_nonce
    for count, status in ((31, 1), (30, 0)):
        block = chain.forge([alice.update(nonce=start + n) for n in range(count)], VALIDATOR, world.key, now() + 1)
        copy(world.genesis).take(write_chain(chain, block), status=status)


def test_copies_on_both_databases_are_the_same(copy, shared, tmp_path, storage):
    if shared["pg"] is None or storage != "sqlite":
        pytest.skip("needs both databases")
    chain, _ = history_chain(81, 200)
    url = pg.create_database(shared["pg"])
    try:
        here, there = copy(chain.genesis), Copy(tmp_path / "there", url, chain.genesis)
        here.take(write_chain(chain))
        there.take(here.give())
        assert there.give() == here.give() == write_chain(chain)
        assert there.state() == here.state()
    finally:
        pg.drop_database(shared["pg"], url)


def follow(ledger_factory, leader, **kw):
    return ledger_factory("--follow", f"http://{leader.daemon.address}", genesis=leader.genesis, sovereign=leader.sovereign, key=oracle.Key(), **kw)


def test_a_follower(ledger_factory):
    leader = ledger_factory()
    alice = leader.rich("alice")
    observer = follow(ledger_factory, leader, validator="observer-1")
    observer.wait_height(leader.height)
    assert observer.latest() == leader.latest()
    assert observer.status()["producing"] is False and observer.status()["following"]["height"] == leader.height
    # It serves the same reads, and takes no transactions.
    leader.include(alice.transfer(leader.sovereign, "1"))
    observer.wait_height(leader.height)
    assert observer.balance(alice) == leader.balance(alice) == ("999.00", "0.00")
    answer = observer.submit(alice.update(nonce=alice.next_nonce))
    assert answer.status in (403, 503) and answer.code == "read_only", answer
    # Through restarts of either.
    leader.restart(kill=True)
    leader.include(alice.update())
    observer.daemon.argv[observer.daemon.argv.index("--follow") + 1] = f"http://{leader.daemon.address}"
    observer.restart(kill=True)
    observer.wait_height(leader.height)
    assert observer.export() == leader.export()
    observer.whole()


def test_a_follower_believes_nothing(ledger_factory):
    """A leader on a chain of the same genesis that does not hold: the follower stops before the wrong block, says so, and goes on serving."""
    world = World(timestamp=now() - 10_000)
    chain = Chain(world.genesis)
    chain.produce(world.setup, VALIDATOR, world.key, now() - 5000)
    good = chain.forge([world.alice.transfer(world.bob, "1")], VALIDATOR, world.key, now())
    bad = chain.forge([world.alice.transfer(world.bob, "2", nonce=world.alice.next_nonce - 1)], VALIDATOR, world.key, now(), before={"stateRoot": "1" * 64})
    with Liar([*chain.blocks, bad]) as liar:
        observer = ledger_factory("--follow", liar.url, genesis=world.genesis, sovereign=world.sovereign, key=oracle.Key(), validator="observer")
        observer.daemon.allowed.append("block|follow")
        observer.wait_height(1)
        eventually(lambda: observer.status()["following"].get("problem"), 20, what="it says what is wrong")
        assert observer.height == 1
        assert observer.balance(world.alice) == ("890.00", "10.00")
        # The leader mends its ways: that is seen when it is looked at again, after a start at once.
        liar.blocks[-1] = good
        observer.restart()
        observer.wait_height(2)
        assert observer.balance(world.alice) == ("889.00", "10.00")
        observer.whole()


def in_file(url, storage):
    if storage != "sqlite":
        pytest.skip("looks into the file")
    return sqlite3.connect(url.removeprefix("sqlite:"), isolation_level=None)


def test_a_chain_with_a_hole_is_not_given_away(copy, storage):
    """It would look like a whole chain that ends before the hole."""
    data = (VECTORS / "chain.jsonl").read_bytes()
    there = copy(read_chain(data).genesis)
    db = in_file(there.url, storage)
    there.take(data)
    db.execute("DELETE FROM blocks WHERE height = 4")
    done = there.run("export", "--to", there.directory / "out.jsonl")
    assert done.returncode != 0 and "no block 4" in done.stderr, done


def test_what_is_in_a_block_already_waits_no_more(copy, storage):
    """What an import, or a crash, left among those that wait goes at the next start, without a block of its own."""
    world = World(timestamp=now() - 100_000)
    chain = Chain(world.genesis)
    assert chain.produce(world.setup[:4], VALIDATOR, world.key, now() - 50_000)[1] == []
    there = copy(world.genesis)
    db = in_file(there.url, storage)
    there.take(write_chain(chain))
    db.execute("INSERT INTO local_pending SELECT 10 + idx, message, signature, 0 FROM transactions")
    db.execute("INSERT INTO local_pending VALUES (99, '{}', 'no signature', 0)")
    key = write_key(there.directory / "node-key.json", world.key, VALIDATOR)
    done = there.run("produce", "--validator-id", VALIDATOR, "--node-key", key)
    assert done.returncode == 0 and "no block" in done.stdout, done
    assert db.execute("SELECT seq FROM local_pending").fetchall() == [(99,)]
