"""Promise: with Redis several front ends feed one producer; nothing is lost or taken twice, whoever crashes."""

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
    assert [producer.settled(t, known=False)["status"] for t in (first, second)] == ["included"] * 2
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


def as_a_front_end_would(redis, transaction):
    """Into the stream, without a look at what waits: what happens when two front ends take in two things at the same moment."""
    redis.command("XADD", "tx:pending", "*", "message", transaction.message, "signature", transaction.signature)


def settled_everywhere(pair, transaction):
    found = [one.settled(transaction, known=False) for one in pair]
    assert found[0] == found[1]
    return found[0]


def test_two_of_one_nonce(pair, redis):
    """Two front ends take one each; when their turns come one is refused, which can be read at both."""
    producer, front = pair
    alice = producer.rich("alice")
    eventually(lambda: front.height == producer.height)
    producer.stop()
    here, there = (alice.transfer(producer.sovereign, a, nonce=alice.next_nonce) for a in ("1", "2"))
    front.queue(here)
    as_a_front_end_would(redis, there)
    producer.start()
    assert settled_everywhere(pair, here)["status"] == "included"
    refused = settled_everywhere(pair, there)
    assert (refused["status"], refused["code"]) == ("refused", "bad_nonce") and refused["error"]
    producer.whole()


def test_the_same_name_twice(pair, redis):
    producer, front = pair
    producer.stop()
    here, there = Wallet("name").create(), Wallet("name").create()
    front.queue(here)
    as_a_front_end_would(redis, there)
    producer.start()
    assert settled_everywhere(pair, here)["status"] == "included"
    refused = settled_everywhere(pair, there)
    assert (refused["status"], refused["code"]) == ("refused", "username_taken")
    producer.whole()


def test_what_is_no_transaction_in_the_stream(pair, redis):
    """Whoever can write to Redis can put anything there: it is thrown out, and nothing else suffers."""
    producer, front = pair
    alice = producer.rich("alice")
    eventually(lambda: front.height == producer.height)
    good, strange = alice.update(nonce=alice.next_nonce), alice.update(nonce=alice.next_nonce, bio="not signed by alice")
    for fields in (
        ("message", "{}", "signature", good.signature), ("message", good.message, "signature", "x"), ("something", "else"), ("message", "x"), ("message", b"\xff\x00" * 50_000),
        ("message", b" " + good.message, "signature", good.signature), ("message", strange.message, "signature", good.signature),
    ):
        redis.command("XADD", "tx:pending", "*", *fields)
    # What was signed wrongly has the place of the good one until its turn comes.
    eventually(lambda: front.submit(good).status in (200, 202), 20)
    assert settled_everywhere(pair, good)["status"] == "included"
    eventually(lambda: redis.command("XLEN", "tx:pending") == 0, 20, what="the stream is empty")
    for one in pair:
        one.daemon.allowed.append("stream|entry|transaction")
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
    producer.settled(t, known=False)
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
    assert producer.settled(more, known=False)["status"] == "included"
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
    for number, kw in enumerate(({"appendonly": False}, {"fsync": "everysec"}, {"fsync": "no"})):
        redis = Redis(tmp_path / f"lossy-{number}", **kw).start()
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
