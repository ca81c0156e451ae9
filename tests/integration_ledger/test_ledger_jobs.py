"""Promise: what the chain refers to comes to every validator and is the right bytes; mesh knows how a node is; nothing is kept longer than it has to be."""

import http.server
import re
import threading
import time

import pytest
from tana_testing import oracle
from tana_testing.client import eventually
from tana_testing.ledger import VALIDATOR, write_key
from tana_testing.ledger_wallet import Wallet
from tana_testing.mesh import Node
from tana_testing.prometheus import parse
from tana_testing.t4 import T4, blob, sha


class Store(http.server.ThreadingHTTPServer):
    """Somebody else's store, as it should not be: give(hash, range) says what is sent."""

    daemon_threads = True

    def __init__(self, give):
        self.give, self.asked = give, []
        store = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                name, first = self.path.rpartition("/")[2], int((re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "bytes=0-"))[1])
                store.asked.append((name, first))
                status, length, sent = store.give(name, first)
                self.send_response(status)
                if status == 206:
                    self.send_header("Content-Range", f"bytes {first}-{first + length - 1}/{first + length}")
                self.send_header("Content-Length", str(length))
                self.end_headers()
                self.wfile.write(sent)
                self.close_connection = True

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def port(self):
        return self.server_address[1]

    def finish(self):
        self.shutdown()
        self.server_close()


def of_node(port):
    return {"services": [{"type": "t4", "port": port, "publicKey": oracle.Key().public}], "tailscaleIP": "127.0.0.1"}


def port_of(daemon):
    return int(daemon.address.rpartition(":")[2])


@pytest.fixture
def home(ledger_factory, mesh, tmp_path, watched):
    """home(...) starts a ledgerd with a t4 of its own (.t4) that is registered in mesh."""

    def make(*args, **kw):
        t4 = T4(tmp_path / "home", node=VALIDATOR)
        watched.append(t4)
        t4.start()
        service = write_key(tmp_path / "service-key.json", t4.ledger.key)
        ledger = ledger_factory(
            "--mesh-url", f"http://{mesh.daemon.address}", "--t4-url", f"http://{t4.daemon.address}", "--service-key", service, "--content-sync-interval", "300ms",
            "--heartbeat-interval", "200ms", *args, start=False, **kw,
        )
        # What is not there when a job first looks is no trouble, but told.
        ledger.daemon.allowed.append("heartbeat|content")
        node = Node(VALIDATOR, **of_node(port_of(t4.daemon)))
        node.key = ledger.key
        mesh.register(node).expect(201)
        mesh.decide("approve", node).expect(200)
        ledger.t4 = t4
        return ledger

    return make


def lacks(t4, *contents):
    missing = t4.missing([sha(c) for c in contents]).expect(200)["missing"]
    return [c for c in contents if sha(c) in missing]


def sync_of(ledger):
    return ledger.get("/content/sync").expect(200)


def metric(ledger, name, **labels):
    return parse(ledger.get("/metrics").body.decode())[name][frozenset(labels.items())]


def test_content_comes_from_those_who_have_it(home, mesh, tmp_path, watched):
    other = T4(tmp_path / "other", node="node-2").start()
    watched.append(other)
    liar = Store(lambda name, first: (200, 1000, b"x" * 1000))
    watched.append(liar)
    mesh.active("node-2", **of_node(port_of(other.daemon)))
    mesh.active("node-3", **of_node(liar.port))
    mesh.active("node-4", **of_node(1))  # nobody is there
    mesh.active("node-5", services=[{"type": "ledger", "port": 8080, "publicKey": oracle.Key().public}])
    ledger = home().start()
    alice, bob = ledger.user("alice"), ledger.user("bob")
    here, there, both, lost, large, gone = (blob(n) for n in (10, 1000, 70_000, 5, 900, 20))
    ledger.t4.store(here)
    for data in (there, both, large):
        other.store(data)
    ledger.include(
        alice.publish(sha(here), 10), alice.publish(sha(there), 1000), alice.publish(sha(both), 70_000), bob.publish(sha(both), 1), alice.publish(sha(lost), 5),
        alice.publish(sha(large), 899), bob.publish(sha(gone), 20), bob.retract(sha(gone)),
    )
    eventually(lambda: not lacks(ledger.t4, there, both), 30, what="what others have is here")
    assert ledger.t4.get(sha(both)).body == both
    # What nobody has, and what is larger than the chain says, is missing, and looked for again.
    found = eventually(lambda: (s := sync_of(ledger))["missing"] == 2 and s["references"] == 5 and s["failed"] >= 2 and s, 30, what="two are missing")
    assert (found["enabled"], found["present"], found["fetched"], found["bytes"]) == (True, 3, 2, 71_000)
    assert lacks(ledger.t4, lost, large) == [lost, large]
    assert metric(ledger, "tana_ledger_content", state="missing") == 2 and metric(ledger, "tana_ledger_content_fetched_bytes_total") == 71_000
    other.store(lost)
    eventually(lambda: not lacks(ledger.t4, lost), 30, what="it comes once somebody has it")
    # New blocks are looked at soon, and through restarts.
    more = blob(3000)
    other.store(more)
    ledger.include(bob.publish(sha(more), 3000))
    eventually(lambda: not lacks(ledger.t4, more), 30, what="what is new comes too")
    last = blob(4000)
    ledger.stop()
    other.store(last)
    ledger.client.close()
    ledger.start()
    ledger.include(bob.publish(sha(last), 4000))
    ledger.t4.delete(sha(there)).expect(200)
    eventually(lambda: not lacks(ledger.t4, last, there), 30, what="also what was lost here")
    # Bytes that are not what was asked for were offered, and none of them kept.
    assert liar.asked
    ledger.t4.sound()


@pytest.mark.storage_only("sqlite")
def test_transfers_that_break_go_on(home, mesh, watched, storage):
    data = blob(400_000)

    def give(name, first):
        if name != sha(data):
            return 404, 0, b""
        return 206 if first else 200, len(data) - first, data[first : first + 120_000]

    breaking = Store(give)
    watched.append(breaking)
    mesh.active("node-2", **of_node(breaking.port))
    ledger = home("--content-sync-rate", "200k").start()
    began = time.monotonic()
    ledger.include(ledger.user("alice").publish(sha(data), len(data)))
    eventually(lambda: not lacks(ledger.t4, data), 30, what="it is here")
    assert time.monotonic() - began > 1, "as slow as it was told to be"
    assert ledger.t4.get(sha(data)).body == data
    firsts = [first for name, first in breaking.asked if name == sha(data)]
    assert firsts[0] == 0 and firsts.count(0) == 1 and firsts == sorted(firsts) and len(firsts) >= 4


@pytest.mark.storage_only("sqlite")
def test_heartbeats(home, mesh, storage):
    ledger = home().start()

    def row():
        return mesh.get(f"/nodes/{VALIDATOR}").expect(200)["node"]

    first = eventually(lambda: (r := row())["last_heartbeat"] and r["height"] is not None and r, 30, what="the first one")
    assert first["version"]
    alice = ledger.user("alice")
    eventually(lambda: row()["height"] == ledger.height, 30, what="mesh knows the height")
    healthy = lambda kind: next((s["healthy"] for s in row()["services"] if s["service_type"] == kind), None)
    eventually(lambda: healthy("t4") is True, 30, what="t4 is well")
    ledger.t4.daemon.terminate()
    eventually(lambda: healthy("t4") is False, 30, what="t4 is ill")
    ledger.t4.client.close()
    sent = metric(ledger, "tana_ledger_heartbeats_total", result="ok")
    assert sent >= 2 and metric(ledger, "tana_ledger_last_heartbeat_timestamp_seconds") <= time.time() + 1
    # Mesh goes away and comes back: heartbeats go on by themselves.
    mesh.stop()
    eventually(lambda: metric(ledger, "tana_ledger_heartbeats_total", result="failed") > 0, 30, what="one fails")
    assert ledger.get("/ready").status == 200, "the chain needs no mesh"
    ledger.include(alice.update())


def test_what_was_granted_and_not_published_goes(home, mesh, tmp_path):
    ledger = home("--grant-keep", "1s").start()
    alice, bob = ledger.user("alice"), ledger.user("bob")
    kept, forgotten, never, shared = blob(100), blob(200), blob(300), blob(400)

    def grant(wallet, data):
        return ledger.post("/content/grants", wallet.grant(sha(data), len(data))).expect(200)["grant"]

    for wallet, data in ((alice, kept), (alice, forgotten), (bob, shared)):
        ledger.t4.put(data, token=grant(wallet, data)).expect(201)
    grant(alice, shared)
    grant(bob, never)
    ledger.include(alice.publish(sha(kept), 100), bob.publish(sha(shared), 400))
    eventually(lambda: lacks(ledger.t4, forgotten) == [forgotten], 30, what="it is collected")
    eventually(lambda: metric(ledger, "tana_ledger_content_collected_total") == 1, 30)
    time.sleep(1.5)
    assert not lacks(ledger.t4, kept, shared)
    # A new grant for it starts anew.
    ledger.t4.put(forgotten, token=grant(alice, forgotten)).expect(201)
    ledger.whole()


def test_refusals_are_forgotten(ledger_factory):
    """What waits for its block longer than it is good for is refused, which can be read for a while."""
    ledger = ledger_factory("--refused-keep", "1s", interval=3000, params={"timestampWindowMs": 1500})
    for n in range(20):
        late = Wallet(f"late{n}").create()
        if ledger.submit(late).status == 202 and ledger.settled(late)["status"] == "refused":
            break
    else:
        pytest.fail("nothing was refused")
    eventually(lambda: ledger.look(late).status == 404, 30, what="it is forgotten")
    eventually(lambda: metric(ledger, "tana_ledger_refusals_forgotten_total") >= 1, 30, what="it is counted")


def test_the_list_of_what_to_keep(ledger_factory, tmp_path, watched):
    t4 = T4(tmp_path / "home", node=VALIDATOR)
    watched.append(t4)
    t4.start()
    service = write_key(tmp_path / "service-key.json", t4.ledger.key)
    ledger = ledger_factory("--t4-url", f"http://{t4.daemon.address}", "--service-key", service)
    alice = ledger.user("alice")
    live, granted, waiting, dead = (blob(n) for n in range(1, 5))
    for data in (live, granted, waiting, dead):
        t4.store(data)
    ledger.post("/content/grants", alice.grant(sha(granted), 2)).expect(200)
    ledger.include(alice.publish(sha(live), 1), alice.publish(sha(dead), 4), alice.retract(sha(dead)))
    ledger.daemon.argv[ledger.daemon.argv.index("--block-interval") + 1] = "10h"
    ledger.restart()
    ledger.queue(alice.publish(sha(waiting), 3))
    t4.daemon.terminate()
    t4.client.close()
    time.sleep(3)  # the list is dated back by two seconds, and what is newer than it is kept
    path = tmp_path / "keep.txt"
    assert ledger.run("content").returncode == 2
    done = ledger.run("content", "--keep-list", path)
    assert done.returncode == 0, done.stderr
    assert sorted(path.read_text().split()) == sorted([sha(live), sha(granted), sha(waiting)])
    assert not path.with_name("keep.txt.part").exists() and path.stat().st_mtime < time.time() - 1
    summary = t4.json("gc", "--keep", path)[-1]
    assert (summary["deleted"], summary["kept"]) == (1, 3)
