"""Promise: everything on the chain can be read, page by page, by those who follow cursors; and events come to those who wait."""

import pytest
from tana_testing import oracle
from tana_testing.client import eventually
from tana_testing.ledger import path
from tana_testing.ledger_cases import CONTENT, VALIDATOR, World
from tana_testing.ledger_forms import sha
from tana_testing.ledger_wallet import Wallet


@pytest.fixture
def world():
    return World()


@pytest.fixture
def ledger(ledger_factory, world):
    ledger = ledger_factory(genesis=world.genesis, sovereign=world.sovereign, key=world.key)
    ledger.include(*world.setup)
    return ledger


def test_users(ledger, world):
    alice, carol = world.alice, world.carol
    shown = ledger.get(f"/users/{alice.id}").expect(200)
    assert shown == {"id": alice.id, "username": "@alice", "displayName": "Somebody", "publicKey": alice.key.public, "role": "user"}
    assert ledger.get("/users/username/@alice").expect(200) == ledger.get(f"/users/publicKey/{alice.key.public}").expect(200) == shown
    assert ledger.get("/users/username/%40alice").expect(200) == shown
    # The lenient form of a key; a key that was rotated away still finds its user.
    assert ledger.get(f"/users/publicKey/{alice.key.public_hex.upper()}").expect(200) == shown
    assert ledger.get(f"/users/publicKey/{world.old_key.public}").expect(200)["id"] == carol.id
    everyone = sorted(w.id for w in (world.sovereign, alice, world.bob, carol))
    for limit in (1, 2, 3, 4, 100):
        assert [u["id"] for u in ledger.pages("/users", "users", limit=limit)] == everyone
    ledger.get(f"/users/{Wallet('x').id}").refused(404, "unknown_user")
    ledger.get("/users/username/@nobody").refused(404, "unknown_user")
    ledger.get(f"/users/publicKey/{oracle.Key().public}").refused(404, "unknown_user")
    for tail in ("balances", "nonce", "transactions"):
        ledger.get(f"/users/{Wallet('x').id}/{tail}").refused(404, "unknown_user")
    for bad in ("/users/x", "/users/publicKey/x", "/users/username/nobody"):
        assert ledger.get(bad).status in (400, 404)


def test_balances(ledger, world):
    alice = world.alice
    assert ledger.get(f"/users/{alice.id}/balances").expect(200) == [{"currencyCode": "USD", "amount": "890.00", "held": "10.00"}]
    assert ledger.get(f"/users/{world.bob.id}/balances").expect(200) == []
    rows = ledger.pages("/balances", "balances", limit=1)
    found = {(r["userId"], r["currencyCode"]): (r["amount"], r["held"]) for r in rows}
    assert found == {(alice.id, "USD"): ("890.00", "10.00"), (world.carol.id, "MAX"): ("92233720368547758.07", "0.00")}
    assert ledger.pages("/balances", "balances", user=alice.id) == [r for r in rows if r["userId"] == alice.id]
    assert ledger.pages("/balances", "balances", currency="MAX") == [r for r in rows if r["currencyCode"] == "MAX"]
    assert {s["currencyCode"]: s["amount"] for s in ledger.get("/supply").expect(200)["supply"]} == {
        "BTC": "0.00000000", "MAX": "92233720368547758.07", "PTS": "0", "USD": "1000.00",
    }
    assert [c["code"] for c in ledger.get("/currencies").expect(200)["currencies"]] == ["BTC", "MAX", "PTS", "USD"]


def test_transactions(ledger, world):
    made = world.setup
    newest_first = [t.id for t in made][::-1]
    for limit in (1, 5, 1000):
        assert [t["id"] for t in ledger.pages("/transactions", "transactions", limit=limit)] == newest_first
    shown = ledger.look(made[3]).expect(200)
    assert shown["status"] == "included" and oracle.canonical(shown["message"]) == made[3].message and shown["signature"] == made[3].signature
    block = ledger.get(f"/blocks/{shown['height']}").expect(200)
    assert block["transactions"][shown["index"]]["id"] == made[3].id
    kinds = {t.fields["type"] for t in made}
    for kind in kinds:
        mine = [t.id for t in made if t.fields["type"] == kind][::-1]
        assert [t["id"] for t in ledger.pages("/transactions", "transactions", type=kind, limit=1)] == mine
    # An account's: those it signed, and those that name it.
    alice = world.alice.id
    about = [t.id for t in made if alice in (t.fields["from"], t.fields.get("to"))][::-1]
    assert [t["id"] for t in ledger.pages("/transactions", "transactions", account=alice, limit=2)] == about
    assert [t["id"] for t in ledger.pages(f"/users/{alice}/transactions", "transactions", limit=2)] == about
    both = [t.id for t in made if alice in (t.fields["from"], t.fields.get("to")) and t.fields["type"] == "deposit"][::-1]
    assert [t["id"] for t in ledger.pages("/transactions", "transactions", account=alice, type="deposit", limit=1)] == both
    ledger.get("/transactions/" + "0" * 64).refused(404, "unknown_transaction")
    assert ledger.get("/transactions/xyz").status in (400, 404)
    ledger.get("/transactions", {"type": "nonsense"}).refused(400, "malformed_parameter")
    ledger.get("/transactions", {"account": "nonsense"}).refused(400, "malformed_parameter")


def test_pages_while_blocks_are_made(ledger, world):
    """Rows that were there are seen exactly once, whatever comes in between."""
    before = [t["id"] for t in ledger.pages("/transactions", "transactions")]
    first = ledger.get("/transactions", {"limit": 5}).expect(200)
    ledger.include(*(world.alice.update() for _ in range(7)))
    rest = ledger.pages("/transactions", "transactions", limit=5, cursor=first["nextCursor"])
    assert [t["id"] for t in first["transactions"] + rest] == before


def test_requests(ledger, world):
    deposits = ledger.pages("/transactions/pending/deposits", "deposits", limit=1)
    assert [(d["id"], d["from"], d["amount"], d["currencyCode"], d["reference"], d["status"], d["type"]) for d in deposits] == [
        (world.open.id, world.alice.id, "5.00", "USD", "wire", "pending", "deposit"),
        (world.overfull.id, world.alice.id, "0.01", "MAX", "wire", "pending", "deposit"),
    ]
    withdraws = ledger.pages("/transactions/pending/withdraws", "withdraws")
    assert [(w["id"], w["amount"]) for w in withdraws] == [(world.withdrawal.id, "10.00")]
    ledger.include(world.bob.decide(world.open), world.bob.decide(world.withdrawal, "refuse", kind="withdraw"))
    assert [d["id"] for d in ledger.pages("/transactions/pending/deposits", "deposits")] == [world.overfull.id]
    assert ledger.pages("/transactions/pending/withdraws", "withdraws") == []
    # Many, in the order they came.
    made = [world.alice.deposit(f"{n}") for n in range(1, 12)]
    ledger.include(*made)
    assert [d["id"] for d in ledger.pages("/transactions/pending/deposits", "deposits", limit=4)] == [world.overfull.id, *(t.id for t in made)]


def test_blocks(ledger):
    height = ledger.height
    every = [ledger.get(f"/blocks/{h}").expect(200) for h in range(height + 1)]
    for h, block in enumerate(every):
        assert block["header"]["height"] == h and block["hash"] == sha(oracle.canonical(block["header"])).hex()
        assert ledger.get(f"/blocks/hash/{block['hash']}").expect(200) == block
        assert len(block["transactions"]) == block["header"]["txCount"]
    assert ledger.latest() == every[-1]

    def pages(**query):
        rows = []
        while True:
            page = ledger.get("/blocks", query).expect(200)
            rows += page["blocks"]
            if "nextCursor" not in page:
                return rows
            query["from"] = page["nextCursor"]

    assert pages(full=1, limit=2, **{"from": 0}) == every
    short = pages(limit=3, **{"from": 0})
    assert [set(b) for b in short[1:]] == [{"header", "hash", "signature"}] * height and [b["hash"] for b in short] == [b["hash"] for b in every]
    assert pages(limit=1, to=2, **{"from": 1}) == short[1:3]
    ledger.get(f"/blocks/{height + 1}").refused(404, "unknown_block")
    ledger.get("/blocks/hash/" + "0" * 64).refused(404, "unknown_block")
    for bad in ("/blocks/-1", "/blocks/x", "/blocks/1.0", "/blocks/99999999999999999999", "/blocks/hash/x"):
        assert ledger.get(bad).status in (400, 404), bad
    ledger.get("/blocks", {"from": "x"}).refused(400, "malformed_parameter")


def test_content_and_validators(ledger, world):
    assert ledger.pages("/content", "content") == [{"hash": CONTENT, "owner": world.alice.id, "size": 5, "contentType": "file_upload"}]
    ledger.include(world.bob.publish(CONTENT, filename="b.txt", mimeType="text/plain"), world.bob.publish("1" * 64, 7, "kv_data", key="k\n1"))
    rows = ledger.pages("/content", "content", limit=1)
    assert [(r["hash"], r["owner"]) for r in rows] == sorted([("1" * 64, world.bob.id), (CONTENT, world.alice.id), (CONTENT, world.bob.id)])
    assert [r["owner"] for r in ledger.pages("/content", "content", owner=world.bob.id)] == [world.bob.id] * 2
    assert ledger.pages("/content", "content", hash=CONTENT, limit=1) == [r for r in rows if r["hash"] == CONTENT]
    assert ledger.pages("/content", "content", type="kv_data")[0]["key"] == "k\n1"
    ledger.include(world.bob.retract(CONTENT))
    assert [r["owner"] for r in ledger.pages("/content", "content", hash=CONTENT)] == [world.alice.id]
    assert ledger.get("/validators").expect(200)["validators"] == [{"id": VALIDATOR, "publicKey": world.key.public, "power": 1}]


def test_limits_and_cursors_of_nobody(ledger, world):
    lists = "/users /transactions /balances /content /transactions/pending /transactions/pending/deposits /transactions/pending/withdraws".split()
    for where in (*lists, f"/users/{world.alice.id}/transactions"):
        strangers(ledger, where)


def strangers(ledger, where):
    for limit in ("0", "-1", "x", "1001", "1e1", ""):
        ledger.get(where, {"limit": limit}).refused(400, "malformed_parameter")
    for cursor in ("x", "%00", "../..", "0" * 300, "\u00fc", "1"):
        answer = ledger.get(where, {"cursor": cursor})
        assert answer.status == 200 or answer.code in ("malformed_cursor", "malformed_parameter"), answer
    ledger.get(where, {"nonsense": "1"}).refused(400, "malformed_parameter")


def test_events(ledger, world):
    def about(stream, transaction):
        """The event of this transaction, once it came."""
        found = lambda: [e for e in stream.of("transaction") if e.data["id"] == transaction.id]  # noqa: E731
        eventually(found, 10, what=f"an event of {transaction.id}")
        assert len(found()) == 1
        return found()[0]

    with ledger.events() as stream:
        made = world.alice.transfer(world.bob, "1")
        ledger.include(made)
        latest, event = ledger.latest(), about(stream, made)
        height = latest["header"]["height"]
        assert event.data == {
            "id": made.id, "status": "included", "height": height, "index": 0, "type": "transfer", "from": world.alice.id, "to": world.bob.id,
        }
        eventually(lambda: [e for e in stream.of("block") if e.data["height"] == height], 10, what="the block's event")
        assert next(e.data for e in stream.of("block") if e.data["height"] == height) == {
            "height": height, "hash": latest["hash"], "producer": VALIDATOR, "timestamp": latest["header"]["timestamp"], "txCount": 1,
        }
        # One that was queued and then dropped is told too.
        late = ledger.queue(world.alice.transfer(world.bob, "5000", nonce=world.alice.next_nonce + 1))
        between = ledger.include(world.alice.update())
        refused = about(stream, late).data
        assert refused["status"] == "refused" and refused["code"] == "insufficient_funds" and refused["error"]
        about(stream, between)
        ids = [e.id for e in stream.events]
        assert ids == sorted(set(ids))
    # Resumed: what came since, once each, in order; across a restart too.
    after = [world.alice.update() for _ in range(3)]
    ledger.include(*after)
    ledger.restart()
    with ledger.events(last_id=event.id) as stream:
        seen = [about(stream, t) for t in (between, late, *after)]
        assert [e.id for e in stream.events] == sorted({e.id for e in stream.events}) and stream.events[0].id > event.id
        assert seen[1].data == refused
        heights = [e.data["height"] for e in stream.of("block")]
        assert heights == sorted(set(heights)) and heights[0] == height


def test_what_the_daemon_says_of_itself(ledger):
    assert ledger.get("/health").expect(200)["status"] == "ok"
    ledger.get("/ready").expect(200)
    info = ledger.get("/info").expect(200)
    assert "version" in info and ledger.key.seed_hex not in oracle.canonical(info).decode()
    metrics = ledger.get("/metrics").body.decode()
    assert "tana_ledger_" in metrics
    ledger.get(path("nothing", "here")).refused(404, "not_found")
    ledger.client.call("DELETE", "/transactions").refused(405, "method_not_allowed")


def test_resuming_where_nothing_was(ledger):
    """Ids that were never given, and one that is before all."""
    for last in (1, 10**15):
        with ledger.events(last_id=last) as stream:
            stream.wait("reset", within=10)
            assert stream.events[0].type == "reset"  # what follows is what the server still has at hand
    with ledger.events(last_id=0) as stream:
        stream.wait("block", count=ledger.height + 1, within=10)
        assert [e.data["height"] for e in stream.of("block")] == list(range(ledger.height + 1))
    ledger.get("/events", headers={"Last-Event-ID": "x"}).refused(400, "malformed_request")
