"""mesh watch: events as they happen, and again after the coordinator was away."""

import itertools
import json
import signal
from types import SimpleNamespace


def connected(watcher, mesh):
    """Waits until what happens is seen: a stream begins with the next event after it was opened."""
    numbers = itertools.count()
    watcher.wait_for(lambda w: mesh.pending(f"probe-{next(numbers)}") and "probe-" in w.out)
    return watcher


def test_events_are_shown_and_interrupting_ends_it(user, mesh):
    watcher = user.start("mesh", "watch")
    connected(watcher, mesh)
    node = mesh.active("n1")
    watcher.wait_for(lambda w: "node.approved" in w.out)
    mesh.heartbeat(node, services=[{"type": "ledger", "healthy": False, "lastCheck": 1}]).expect(200)
    watcher.wait_for(lambda w: "service.unhealthy" in w.out and "ledger" in w.out)
    mesh.wait_status(SimpleNamespace(id="n1"), "offline", within=10)
    watcher.wait_for(lambda w: "node.offline" in w.out)
    assert watcher.end(signal.SIGINT) == 130


def test_nothing_is_missed_while_the_coordinator_is_away(user, mesh):
    watcher = user.start("mesh", "watch", "--json")
    connected(watcher, mesh)
    mesh.pending("n1")
    watcher.wait_for(lambda w: '"n1"' in w.out)
    mesh.daemon.argv[mesh.daemon.argv.index("--listen") + 1] = mesh.daemon.address
    mesh.restart()
    mesh.pending("n2")
    watcher.wait_for(lambda w: '"n2"' in w.out, within=20)
    assert watcher.end(signal.SIGINT) == 130
    events = [json.loads(line) for line in watcher.out.splitlines()]
    assert [(e["type"], e["data"]["nodeId"]) for e in events if e["data"]["nodeId"] in ("n1", "n2")] == [("node.registered", "n1"), ("node.registered", "n2")]
    assert [e["id"] for e in events] == sorted({e["id"] for e in events})


def test_without_a_coordinator_it_ends_at_once(user_factory):
    user_factory("u", "http://127.0.0.1:1")("mesh", "watch").expect(3)
