"""Promise: operators see at a glance how the ledger is; what it promises in its document is what it does; crowds are held off politely."""

import http.client
import json

from tana_testing import prometheus
from tana_testing.client import eventually
from tana_testing.ledger import body_of
from tana_testing.sse import EventStream


def test_health_ready_info(ledger):
    health = ledger.get("/health").expect(200)
    assert health["status"] == "ok" and health["service"] == "ledger"
    ledger.get("/ready").expect(200)
    assert ledger.get("/info").expect(200)["version"]


def test_metrics(ledger):
    alice = ledger.rich("alice")
    ledger.submit(alice.transfer(ledger.sovereign, "5000", nonce=alice.next_nonce)).refused(422, "insufficient_funds")
    samples = prometheus.parse(ledger.get("/metrics").body.decode())
    assert all(name.startswith(("tana_ledger_", "process_")) for name in samples), sorted(samples)
    values = {name: next(iter(v.values())) for name, v in samples.items()}
    assert values["tana_ledger_height"] == ledger.height
    again = prometheus.parse(ledger.get("/metrics").body.decode())
    for name in samples:
        for labels, value in samples[name].items():
            assert not name.endswith("_total") or again[name][labels] >= value, name


def test_no_secret_is_shown_anywhere(ledger):
    seen = ledger.daemon.text()
    for _, path, _ in ledger.document.operations():
        if "{" not in path and path != "/events":
            seen += ledger.get(path, check=False).body.decode(errors="replace")
    assert ledger.key.seed_hex not in seen


def test_every_route_of_the_protocol_is_there(ledger):
    paths = {(m, p) for m, p, _ in ledger.document.operations()}
    wanted = """POST /transactions; GET /users; GET /users/{id}; GET /users/username/{name}; GET /users/publicKey/{key}; GET /users/{id}/balances;
        GET /users/{id}/nonce; GET /users/{id}/transactions; GET /currencies; GET /balances; GET /transactions; GET /transactions/{id};
        GET /transactions/pending; GET /transactions/pending/deposits; GET /transactions/pending/withdraws; GET /blocks; GET /blocks/latest;
        GET /blocks/{height}; GET /blocks/hash/{hash}; GET /content; GET /validators; GET /supply; GET /events; POST /content/grants;
        GET /proof/transaction/{id}; GET /proof/state/{key}; GET /content/sync; GET /health; GET /ready; GET /info; GET /metrics"""
    assert {tuple(w.split()) for w in wanted.split(";")} <= paths
    for path in ("/", "/user", "/users/", "/blocks/0/x", "/TRANSACTIONS", "/admin"):
        ledger.get(path).refused(404, "not_found")


def test_other_methods(ledger):
    for _, path, _ in ledger.document.operations():
        there = {m for m, p, _ in ledger.document.operations() if p == path}
        if "GET" in there:
            there.add("HEAD")
        for method in {"GET", "POST", "PUT", "DELETE"} - there:
            answer = ledger.client.call(method, path.replace("{", "").replace("}", ""), b"{}" if method != "GET" else None, check=False)
            if answer.status != 405:
                # /transactions/{id} also stands for the paths with words of their own.
                assert answer.status in (400, 404), answer
                continue
            assert {m.strip() for m in answer.header("Allow").split(",")} == there, (path, answer.header("Allow"))


def test_documents(ledger):
    answer = ledger.get("/openapi.json")
    answer.expect(200)
    tag = answer.header("ETag")
    assert ledger.get("/openapi.json", headers={"If-None-Match": tag}).status == 304
    assert ledger.get("/content/sync").expect(200)["enabled"] is False


def test_bodies_of_grants(ledger):
    alice = ledger.user("alice")
    good = alice.grant("a" * 64, 5)
    for field in good:
        ledger.post("/content/grants", {k: v for k, v in good.items() if k != field}).refused(400, "missing_field")
    ledger.post("/content/grants", b"{").refused(400, "malformed_json")
    ledger.post("/content/grants", json.dumps(good).encode()[:-1] + b',"size":5}').refused(400, "duplicate_key")
    t = alice.update(nonce=alice.next_nonce)
    ledger.post("/transactions", body_of(t)[:-1] + b',"signature":"x"}').refused(400, "duplicate_key")


def test_the_rate_of_writes_is_limited(ledger_factory):
    ledger = ledger_factory("--rate-limit-loopback=yes", "--rate-limit", "1", "--rate-burst", "3")
    for path in ("/transactions", "/content/grants"):
        refused = eventually(lambda: (a := ledger.post(path, b"{}")).status == 429 and a, every=0)  # noqa: B023
        assert refused.refused(429, "rate_limited") and int(refused.header("Retry-After")) >= 1
    for _ in range(20):
        ledger.get("/blocks/latest").expect(200)


def test_streams_are_capped(ledger_factory):
    ledger = ledger_factory("--max-streams", "2")
    streams = [EventStream(ledger.daemon.address).start() for _ in range(2)]
    try:
        refused = ledger.get("/events")
        assert refused.refused(503, "overloaded") and refused.header("Retry-After")
        ledger.user("alice")
        for s in streams:
            eventually(lambda: s.of("block"), 10)  # noqa: B023
    finally:
        for s in streams:
            s.close()


def test_a_full_pool(ledger_factory):
    """503 with Retry-After, and what waits already is not harmed."""
    ledger = ledger_factory("--pool-max", "5", interval=3_600_000)
    s = ledger.sovereign
    # The first block waits for nothing; the second for an hour.
    ledger.include(s.update())
    made = [s.update() for _ in range(5)]
    ledger.queue(*made)
    refused = ledger.submit(s.update(nonce=s.next_nonce))
    assert refused.refused(503, "overloaded") and refused.header("Retry-After")
    ledger.stop()
    assert ledger.run("produce", "--node-key", ledger.key_path, "--validator-id", ledger.validator).returncode == 0
    ledger.start()
    assert [t.id for b in ledger.whole().blocks for t in b.transactions][1:] == [t.id for t in made]
    ledger.queue(s.update())


def test_slow_and_broken_connections_harm_nobody(ledger):
    alice = ledger.rich("alice")
    body = body_of(alice.update(nonce=alice.next_nonce))
    for cut in (1, len(body) // 2, len(body) - 1):
        c = http.client.HTTPConnection(ledger.client.host, ledger.client.port, timeout=10)
        c.putrequest("POST", "/transactions")
        c.putheader("Content-Type", "application/json")
        c.putheader("Content-Length", str(len(body)))
        c.endheaders(body[:cut])
        c.close()
    assert ledger.get("/transactions/pending").expect(200)["transactions"] == []
    ledger.include(alice.update())
