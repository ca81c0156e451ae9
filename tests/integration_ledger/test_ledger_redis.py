"""Promise: with Redis several front ends feed one producer; nothing is lost or taken twice, whoever crashes."""

import itertools
import random
import time

import pytest
from tana_testing.client import eventually
from tana_testing.ledger_wallet import Wallet
from tana_testing.redis import Redis
from test_ledger_faults import ROOM, Load, ready, reconnect, rich


@pytest.fixture
def pair(ledger_factory, redis):
    """(producer, front end) on one database and one Redis."""
    producer = ledger_factory(redis=redis, interval=30, params=ROOM)
    front = ledger_factory("--produce=no", redis=redis, db_url=producer.db_url, genesis=producer.genesis, sovereign=producer.sovereign, key=producer.key)
    return producer, front


def test_two_front_ends_and_one_producer(pair, redis):
    producer, front = pair
    alice, bob = Wallet("alice"), Wallet("bob")
    front.queue(alice.create())
    producer.queue(bob.create())
    eventually(lambda: front.get(f"/users/{alice.id}").status == 200 and producer.get(f"/users/{bob.id}").status == 200, 20)
    made = producer.sovereign.adjust(alice, "10")
    front.queue(made)
    assert front.settled(made)["status"] == "included"
    first, second = alice.transfer(bob, "1"), alice.transfer(bob, "2")
    front.queue(first)
    producer.queue(second)
    assert [producer.settled(t)["status"] for t in (first, second)] == ["included"] * 2
    eventually(lambda: front.height == producer.height, 20)
    assert front.balance(bob) == producer.balance(bob) == ("3.00", "0.00")
    # What is done is no longer in the stream's list of what is not acknowledged.
    eventually(lambda: redis.command("XPENDING", "tx:pending", "validators")[0] == 0, 20)
    producer.whole()


def test_the_same_from_both(pair):
    producer, front = pair
    alice = producer.rich("alice")
    eventually(lambda: front.height == producer.height, 20)
    for _ in range(10):
        t = alice.transfer(producer.sovereign, "1")
        assert {front.submit(t).status, producer.submit(t).status} <= {200, 202}
        producer.settled(t)
    eventually(lambda: front.height == producer.height, 20)
    assert producer.balance(alice) == front.balance(alice) == ("990.00", "0.00")
    producer.whole()


def test_two_of_one_nonce_from_both(pair):
    """Each front end takes one; when their turns come one is refused, and both can be read at both."""
    producer, front = pair
    alice = producer.rich("alice")
    eventually(lambda: front.height == producer.height, 20)
    contested = 0
    for n in range(8):
        here, there = (alice.transfer(producer.sovereign, a, nonce=alice.next_nonce) for a in ("1", "2"))
        alice.next_nonce += 1
        answers = {producer.submit(here).status, front.submit(there).status}
        assert 202 in answers
        found = [producer.look(t) for t in (here, there)]
        if answers == {202}:
            contested += 1
            found = [front.settled(t) for t in (here, there)]
            assert sorted(f["status"] for f in found) == ["included", "refused"]
            assert next(f for f in found if f["status"] == "refused")["code"] == "bad_nonce"
        else:
            eventually(lambda: sum(f.status == 200 and f.json["status"] == "included" for f in map(producer.look, (here, there))) == 1, 20)
        eventually(lambda: front.height == producer.height, 20)
    assert contested > 0
    producer.whole()


def test_the_same_name_from_both(pair):
    producer, front = pair
    contested = 0
    for n in range(8):
        here, there = Wallet(f"name{n}").create(), Wallet(f"name{n}").create()
        if {producer.submit(here).status, front.submit(there).status} == {202}:
            contested += 1
            found = [front.settled(t) for t in (here, there)]
            assert sorted(f["status"] for f in found) == ["included", "refused"]
            assert next(f for f in found if f["status"] == "refused")["code"] == "username_taken"
        eventually(lambda: front.height == producer.height, 20)
    assert contested > 0
    producer.whole()


@pytest.mark.parametrize("victim", ["producer", "front", "redis"])
def test_kill_9_under_load(pair, redis, victim):
    producer, front = pair
    wallets = rich(producer)
    eventually(lambda: front.height == producer.height, 20)
    for one in pair:
        one.daemon.allowed.append("redis|Redis|unavailable|connection")
    load = Load([producer, front], wallets)
    rng = random.Random(3)
    try:
        for _ in range(3):
            time.sleep(0.2 + 0.4 * rng.random())
            if victim == "redis":
                redis.crash()
                time.sleep(0.2)
                assert redis.up()
            else:
                one = {"producer": producer, "front": front}[victim]
                one.daemon.kill()
                one.daemon.start(within=30)
                reconnect(one)
            eventually(lambda: ready(producer) and ready(front), 30, what="both are well again")
    finally:
        time.sleep(0.3)
        load.end()
    assert len(load.taken) > 20
    eventually(lambda: redis.command("XPENDING", "tx:pending", "validators")[0] == 0, 60, what="everything is acknowledged")
    load.check(producer)


def test_what_was_handed_out_and_not_acknowledged_comes_again(pair, redis):
    """A producer that dies between a block and its acknowledgement: the next gets the transactions again, and drops them by their ids."""
    producer, front = pair
    alice = producer.rich("alice")
    eventually(lambda: front.height == producer.height, 20)
    t = alice.transfer(producer.sovereign, "1")
    front.queue(t)
    producer.settled(t)
    eventually(lambda: redis.command("XPENDING", "tx:pending", "validators")[0] == 0, 20)
    entries = redis.command("XRANGE", "tx:pending", "-", "+")
    producer.stop()
    # Put into the stream once more, byte for byte, as a redelivery would: with a consumer that never acknowledges.
    copies = [e[1] for e in entries] or [redis_entry(redis, front, alice)]
    for fields in copies:
        redis.command("XADD", "tx:pending", "*", *fields)
    redis.command("XREADGROUP", "GROUP", "validators", "dead-consumer", "COUNT", "100", "STREAMS", "tx:pending", ">")
    producer.start()
    more = alice.update()
    front.queue(more)
    assert producer.settled(more)["status"] == "included"
    eventually(lambda: redis.command("XPENDING", "tx:pending", "validators")[0] == 0, 90, what="what the dead consumer had is claimed")
    chain = producer.whole()
    ids = [x.id for b in chain.blocks for x in b.transactions]
    assert len(ids) == len(set(ids))


def redis_entry(redis, front, alice):
    """The fields under which a front end hands in a transaction, learned from one that waits because there is no producer."""
    front.queue(alice.update())
    entry = redis.command("XRANGE", "tx:pending", "-", "+")[-1]
    return entry[1]


def test_a_redis_that_may_lose_is_refused(ledger_factory, tmp_path, watched):
    for numbers, kw in zip(itertools.count(), ({"appendonly": False}, {"fsync": "everysec"}, {"fsync": "no"})):
        redis = Redis(tmp_path / f"lossy-{numbers}", **kw).start()
        watched.append(redis)
        ledger = ledger_factory(redis=redis, start=False)
        ledger.daemon.refuse_to_start("append")
        ledger.daemon.argv.append("--redis-allow-lossy")
        ledger.start()
        ledger.user("alice")
        ledger.stop()


def test_a_redis_that_is_not_there(ledger_factory, redis):
    redis.crash()
    ledger = ledger_factory(redis=redis, start=False)
    ledger.daemon.allowed.append("redis|Redis")
    bad = ledger_factory(redis=redis, start=False)
    bad.daemon.argv[bad.daemon.argv.index(redis.url)] = redis.url.replace("redis://", "rediss://")
    bad.daemon.refuse_to_start("rediss")
    assert redis.up()
    ledger.start()
    alice = ledger.rich("alice")
    redis.crash()
    eventually(lambda: not ready(ledger), 20)
    answer = ledger.submit(alice.update(nonce=alice.next_nonce))
    assert answer.refused(503, "unavailable") and answer.header("Retry-After")
    assert ledger.balance(alice) == ("1000.00", "0.00")
    assert redis.up()
    eventually(lambda: ready(ledger), 30)
    ledger.include(alice.update())
    ledger.whole()
