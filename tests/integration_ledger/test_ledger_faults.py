"""Promise: whatever breaks, whenever: everything answered 202 is in exactly one block, or refused with a reason anyone can read; and the database is that of the chain."""

import http.client
import random
import socket
import threading
import time
import urllib.parse

import pytest
from tana_testing import pg
from tana_testing.client import eventually
from tana_testing.ledger_wallet import Wallet
from tana_testing.shim import SYNC, WRITE, Faults


class Load:
    """Threads that each move one user's money about, some of it impossible when its turn comes, and remember every answer."""

    def __init__(self, ledgers, wallets):
        self.ledgers = ledgers  # front ends: a thread uses one of them
        self.wallets, self.stop = wallets, threading.Event()
        self.taken, self.uncertain, self.refused, self.failures, self.away = {}, {}, 0, [], 0
        self.threads = [threading.Thread(target=self._run, args=(n, w), daemon=True) for n, w in enumerate(wallets)]
        for t in self.threads:
            t.start()

    def _run(self, number, wallet):
        rng = random.Random(number)
        ledger = self.ledgers[number % len(self.ledgers)]
        try:
            while not self.stop.is_set():
                self._step(ledger, wallet, rng)
        except Exception as e:
            self.failures.append(e)

    def _step(self, ledger, wallet, rng):
        to = rng.choice([w for w in self.wallets if w is not wallet])
        made = wallet.transfer(to, f"0.{rng.randint(1, 99):02}", nonce=wallet.next_nonce)
        while not self.stop.is_set():
            try:
                # A disk that fails is an error inside, which no document promises.
                answer = ledger.submit(made, check=False)
            except (OSError, http.client.HTTPException):
                # Whether it was taken is not known: it is handed in again until that is clear.
                self.uncertain[made.id] = made
                ledger.client.close()
                time.sleep(0.02)
                continue
            if (answer.status, answer.code) in ((503, "unavailable"), (503, "shutting_down"), (507, "storage_full"), (500, "io_error")):
                assert answer.status != 503 or answer.header("Retry-After"), answer
                self.uncertain[made.id] = made
                self.away += 1
                time.sleep(0.05)
                continue
            assert answer.status in (200, 202), answer
            self.taken[made.id] = made
            self.uncertain.pop(made.id, None)
            wallet.next_nonce += 1
            return

    def end(self):
        self.stop.set()
        for t in self.threads:
            t.join(60)
        assert not self.failures, self.failures[:3]

    def check(self, ledger):
        """Exact accounting."""
        eventually(lambda: ledger.status()["pending"] == 0, 60, what="nothing waits")
        for t in self.taken.values():
            found = ledger.settled(t)
            assert found["status"] == "included" or (found["status"] == "refused" and found["code"] and found["error"]), found
        chain = ledger.whole()
        ids = [t.id for b in chain.blocks for t in b.transactions]
        assert len(ids) == len(set(ids)), "something is in two blocks"
        lost = [i for i in self.taken if i not in set(ids) and ledger.look(i).json["status"] != "refused"]
        assert not lost, lost
        mine = {w.id for w in self.wallets}
        strange = {t.id for b in chain.blocks for t in b.transactions if t.fields["type"] == "transfer" and t.fields["from"] in mine}
        assert strange <= self.taken.keys() | self.uncertain.keys()
        assert chain.entries()["supply:USD"] == f"{100_000 * len(self.wallets)}.00"
        return chain


#: Room for whatever a thread hands in while no block is made.
ROOM = {"maxPendingPerUser": 100_000}


def rich(ledger, count=4):
    """Users with more than they can spend."""
    wallets = [Wallet(f"user{n}") for n in range(count)]
    ledger.include(*(w.create() for w in wallets), *(ledger.sovereign.adjust(w, "100000") for w in wallets))
    return wallets


def reconnect(ledger):
    """The daemon runs again, elsewhere; the load's clients follow."""
    ledger.client.port = int(ledger.daemon.address.rpartition(":")[2])


def test_kill_9_under_load(ledger_factory):
    ledger = ledger_factory(interval=30, params=ROOM)
    load = Load([ledger], rich(ledger))
    rng = random.Random(11)
    try:
        for _ in range(5):
            time.sleep(0.1 + 0.4 * rng.random())
            ledger.daemon.kill()
            ledger.daemon.start()
            reconnect(ledger)
    finally:
        time.sleep(0.2)
        load.end()
    assert len(load.taken) > 30
    load.check(ledger)


def test_terms_under_load(ledger_factory):
    ledger = ledger_factory(interval=30, params=ROOM)
    load = Load([ledger], rich(ledger))
    try:
        for _ in range(3):
            time.sleep(0.3)
            ledger.daemon.terminate()
            ledger.daemon.start()
            reconnect(ledger)
    finally:
        time.sleep(0.2)
        load.end()
    load.check(ledger)


# -- the disk


@pytest.mark.storage_only("sqlite")
def test_a_full_disk(storage, ledger_factory, database, tmp_path):
    url = database()
    faults = Faults(tmp_path, url.removeprefix("sqlite:"))
    ledger = ledger_factory(db_url=url, env=faults.env)
    ledger.daemon.allowed.append("storage|disk|space|full")
    alice = ledger.rich("alice")
    height = ledger.height
    faults.full_disk()
    for _ in range(3):
        ledger.submit(alice.update(nonce=alice.next_nonce)).refused(507, "storage_full")
    assert faults.hits(WRITE) > 0
    assert ledger.height == height and ledger.balance(alice) == ("1000.00", "0.00")
    ledger.get("/health").expect(200)
    faults.heal()
    eventually(lambda: ledger.submit(alice.update(nonce=alice.next_nonce)).status in (200, 202), 20)
    alice.next_nonce += 1
    ledger.include(alice.update())
    ledger.whole()


@pytest.mark.storage_only("sqlite")
def test_a_disk_that_fills_while_a_block_is_written(storage, ledger_factory, database, tmp_path):
    url = database()
    faults = Faults(tmp_path, url.removeprefix("sqlite:"))
    ledger = ledger_factory(db_url=url, env=faults.env, interval=400, params=ROOM)
    ledger.daemon.allowed.append("storage|disk|space|full|block|I/O|io_error")
    load = Load([ledger], rich(ledger))
    try:
        for skip in (0, 3, 7):
            time.sleep(0.2)
            faults.fail(WRITE, 28, skip=skip)
            time.sleep(0.8)
            faults.heal()
            time.sleep(0.3)
            faults.fail(SYNC, 5, skip=skip, times=1)
            time.sleep(0.5)
            faults.heal()
        time.sleep(0.3)
    finally:
        faults.heal()
        load.end()
    if not ledger.daemon.running:
        # A failed flush is one of the things a process may not survive; what was answered is.
        ledger.daemon.process = None
        ledger.start()
    load.check(ledger)


# -- PostgreSQL


class Relay:
    """Stands between ledgerd and PostgreSQL; cut() breaks every connection, and none is made until mend()."""

    def __init__(self, host, port):
        self.target, self.whole, self.sockets = (host, port), True, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                here, _ = self.listener.accept()
            except OSError:
                return
            if not self.whole:
                here.close()
                continue
            try:
                there = socket.create_connection(self.target)
            except OSError:
                here.close()
                continue
            self.sockets += [here, there]
            for a, b in ((here, there), (there, here)):
                threading.Thread(target=self._pump, args=(a, b), daemon=True).start()

    @staticmethod
    def _pump(a, b):
        try:
            while data := a.recv(65536):
                b.sendall(data)
        except OSError:
            pass
        for s in (a, b):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        self.whole = False
        for s in self.sockets:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.sockets = []

    def mend(self):
        self.whole = True

    def close(self):
        self.listener.close()
        self.cut()


@pytest.fixture
def relay(shared, database):
    """(relay, url through it) of a fresh PostgreSQL database."""
    parts = urllib.parse.urlsplit(database())
    made = Relay(parts.hostname, parts.port)
    yield made, urllib.parse.urlunsplit(parts._replace(netloc=f"postgres@127.0.0.1:{made.port}"))
    made.close()


def ready(ledger):
    return ledger.get("/ready").status == 200


@pytest.mark.storage_only("postgres")
def test_the_database_is_away(storage, ledger_factory, relay):
    relay, url = relay
    ledger = ledger_factory(db_url=url)
    ledger.daemon.allowed.append("database|connection|block|unavailable")
    alice = ledger.rich("alice")
    relay.cut()
    eventually(lambda: not ready(ledger), 10, what="/ready says so")
    answer = ledger.submit(alice.update(nonce=alice.next_nonce))
    assert answer.refused(503, "unavailable") and answer.header("Retry-After")
    ledger.get("/health").expect(200)
    assert ledger.get("/users").status == 503
    relay.mend()
    eventually(lambda: ready(ledger), 30, what="/ready is well again")
    again = ledger.submit(alice.update(nonce=alice.next_nonce))
    assert again.status in (200, 202)
    alice.next_nonce += 1
    ledger.include(alice.update())
    ledger.db_url = url
    ledger.whole()


@pytest.mark.storage_only("postgres")
def test_a_database_that_comes_and_goes_under_load(storage, ledger_factory, relay):
    relay, url = relay
    ledger = ledger_factory(db_url=url, interval=30, params=ROOM)
    ledger.daemon.allowed.append("database|connection|block|unavailable")
    load = Load([ledger], rich(ledger))
    try:
        for n in range(5):
            time.sleep(0.3)
            relay.cut()
            time.sleep(0.1 * n)
            relay.mend()
            eventually(lambda: ready(ledger), 30, what="well again")
    finally:
        relay.mend()
        time.sleep(0.3)
        load.end()
    assert ledger.daemon.running
    load.check(ledger)


@pytest.mark.storage_only("postgres")
def test_kill_9_of_postgresql_under_load(storage, ledger_factory, tmp_path):
    """A cluster of its own, with real flushes."""
    cluster = pg.Cluster(tmp_path / "pg")
    cluster._script("start", "max_connections=60")
    try:
        ledger = ledger_factory(db_url=cluster.url, interval=30, params=ROOM)
        ledger.daemon.allowed.append("database|connection|block|unavailable")
        load = Load([ledger], rich(ledger))
        try:
            for _ in range(3):
                time.sleep(0.5)
                cluster.crash()
                time.sleep(0.2)
                cluster.up()
                eventually(lambda: ready(ledger), 60, what="well again")
        finally:
            time.sleep(0.3)
            load.end()
        assert ledger.daemon.running and len(load.taken) > 20
        load.check(ledger)
        ledger.stop()
    finally:
        cluster.stop()
