"""Promise: a client gets from the ledger the right to upload exactly what it said, for its own account, within bounds; and what the chain refers to comes to every validator."""

import base64
import json

import pytest
from tana_testing import oracle
from tana_testing.ledger import write_key
from tana_testing.ledger_wallet import Wallet, now
from tana_testing.t4 import NODE, Service, blob, sha

GIB = 1 << 30


@pytest.fixture
def service():
    """The ledger's own key, which t4 trusts."""
    return Service(NODE, "ledger")


@pytest.fixture
def granting(ledger_factory, tmp_path, service):
    """granting(...) starts a ledgerd that can give upload grants."""
    path = write_key(tmp_path / "ledger-key.json", service.key)

    def make(*args, **kw):
        return ledger_factory("--service-key", path, *args, validator=NODE, **kw)

    return make


def grant(ledger, wallet, data, **kw):
    return ledger.post("/content/grants", wallet.grant(sha(data), len(data), **kw))


def test_a_grant_is_good_at_t4(granting, t4_factory, service):
    t4 = t4_factory("--trust-key", service.trust)
    ledger = granting("--t4-url", f"http://{t4.daemon.address}")
    alice = ledger.user("alice")
    data = blob(1000)
    found = grant(ledger, alice, data).expect(200)
    assert (found["hash"], found["size"], found["audience"]) == (sha(data), 1000, f"{NODE}/t4")
    claims = json.loads(base64.urlsafe_b64decode(found["grant"].split(".")[1] + "=="))
    assert claims["content"] == sha(data) and claims["size"] == 1000 and claims["scope"] == "content:put" and claims["aud"] == f"{NODE}/t4"
    assert abs(claims["exp"] * 1000 - found["expires"]) < 1000 and claims["exp"] - claims["iat"] <= 3600
    t4.put(data, token=found["grant"]).expect(201)
    assert t4.put(blob(1000), token=found["grant"]).status == 403
    ledger.include(alice.publish(sha(data), 1000))


def test_grants_that_are_refused(granting):
    ledger = granting()
    alice, bob, data = ledger.user("alice"), ledger.user("bob"), blob(10)
    grant(ledger, alice, data).expect(200)
    grant(ledger, alice, data, key=bob.key).refused(401, "bad_signature")
    assert grant(ledger, Wallet("nobody"), data).code == "unknown_user"
    for at in (now() - 61_000, now() + 61_000, 0):
        assert grant(ledger, alice, data, timestamp=at).code in ("expired", "timestamp_out_of_range")
    body = alice.grant(sha(data), 10)
    for field, value in (("size", -1), ("size", "10"), ("hash", "x"), ("userId", "x"), ("timestamp", None), ("signature", "x")):
        answer = ledger.post("/content/grants", {**body, field: value})
        assert answer.status == 400, answer
    # Signed for one thing, asked for another.
    ledger.post("/content/grants", {**body, "size": 11}).refused(401, "bad_signature")
    ledger.post("/content/grants", {**body, "hash": sha(b"other")}).refused(401, "bad_signature")
    # By a key that was rotated away.
    old = alice.key
    ledger.include(alice.rotate(oracle.Key()))
    grant(ledger, alice, data, key=old).refused(401, "bad_signature")


def test_at_most_a_gibibyte_that_is_not_published(granting):
    ledger = granting()
    alice, bob = ledger.user("alice"), ledger.user("bob")

    def ask(wallet, name, size):
        return ledger.post("/content/grants", wallet.grant(sha(name), size))

    ask(alice, b"1", GIB - 10).expect(200)
    # The same again is no more than before.
    ask(alice, b"1", GIB - 10).expect(200)
    refused = ask(alice, b"2", 11)
    assert refused.status in (403, 422, 429) and refused.code, refused
    ask(alice, b"2", 10).expect(200)
    ask(bob, b"2", GIB).expect(200)
    # What is published counts no more.
    ledger.include(alice.publish(sha(b"1"), GIB - 10))
    ask(alice, b"3", 1000).expect(200)
    ledger.restart()
    assert ask(alice, b"4", GIB - 500).status == refused.status


def test_without_a_service_key_the_node_s_own_signs(ledger_factory, t4_factory):
    ledger = ledger_factory(validator=NODE)
    t4 = t4_factory("--trust-key", f"{NODE}/ledger={ledger.key.public}")
    alice, data = ledger.user("alice"), blob(10)
    t4.put(data, token=grant(ledger, alice, data).expect(200)["grant"]).expect(201)
