"""Promise: a node that stops is shown offline after the timeout, one that comes back is active again, and nobody else can speak for it.

Both signed forms, replay, staleness, history, service health, offline detection with its grace after a restart, and clocks that jump.
"""

import time

import pytest
from tana_testing import oracle
from tana_testing.client import eventually
from tana_testing.daemon import PATIENCE
from tana_testing.each import each
from tana_testing.mesh import DROP, Node, now
from tana_testing.shim import Faults

FAST = ["--heartbeat-timeout", "1s", "--offline-grace", "300ms"]


def test_a_full_heartbeat_updates_what_is_shown(mesh):
    node = mesh.active("a")
    before = int(time.time() * 1000)
    checked = now()
    services = [{"type": "ledger", "healthy": True, "lastCheck": checked}]
    body = mesh.beat(node, tailscaleIP="100.64.0.77", services=services, height=1234, version="tana 0.1.0")
    answer = mesh.post("/heartbeat", body).expect(200)
    assert answer["success"] is True and before <= answer["timestamp"] <= before + 5000
    row = mesh.node(node)
    assert (row["tailscale_ip"], row["height"], row["version"], row["status"]) == ("100.64.0.77", 1234, "tana 0.1.0", "active")
    assert before <= row["last_heartbeat"] <= before + 5000
    assert (row["services"][0]["healthy"], row["services"][0]["last_check"]) == (True, checked)


def test_the_short_form_says_that_the_node_lives_and_its_address_is_ignored(mesh):
    node = mesh.active("a")
    mesh.heartbeat(node, "short", tailscaleIP="100.64.0.66").expect(200)
    row = mesh.node(node)
    assert row["last_heartbeat"] is not None and row["tailscale_ip"] == "100.64.0.1"


def test_what_the_short_form_does_not_sign_can_be_anything_but_not_harmful(mesh):
    """Health in a short heartbeat is not signed; someone between may change it, so it is at most a report, never an address."""
    node = mesh.active("a")
    body = mesh.beat(node, "short")
    mesh.post("/heartbeat", {**body, "tailscaleIP": "6.6.6.6", "height": 5}).expect(200)
    assert mesh.node(node)["tailscale_ip"] == "100.64.0.1"


@each(
    "field, value", [("tailscaleIP", "6.6.6.6"), ("height", 99), ("version", "x"), ("services", []), ("tailscaleIP", DROP), ("signed", DROP), ("extra", 1)]
)
def test_the_full_signature_covers_every_field(mesh, field, value):
    node = mesh.active(f"{field.lower()}-{type(value).__name__}")
    mesh.heartbeat(node, tailscaleIP="100.64.0.2", height=1, version="v", after={field: value}).refused(401, "bad_signature")
    assert mesh.node(node)["last_heartbeat"] is None


def test_a_short_signature_does_not_pass_as_a_full_one(mesh):
    node = mesh.active("a")
    mesh.heartbeat(node, "short", after={"signed": "full"}).refused(401, "bad_signature")


@pytest.mark.parametrize("form", ["short", "full"])
def test_the_order_of_refusals(mesh, form):
    unknown, node = Node("unknown"), mesh.pending("a")
    wrong = {"key": oracle.Key()}
    mesh.heartbeat(unknown, form, timestamp=1, after={"signature": "x"}, **wrong).refused(400, "malformed_signature")
    mesh.heartbeat(unknown, form, timestamp=1, **wrong).refused(404, "unknown_node")
    mesh.heartbeat(node, form, timestamp=1, **wrong).refused(403, "node_not_active")
    mesh.decide("approve", node).expect(200)
    refusal = mesh.heartbeat(node, form, timestamp=1, **wrong).refused(400, "timestamp_out_of_range")
    assert abs(refusal["serverTime"] - now()) < 5000
    t = now()
    mesh.heartbeat(node, form, timestamp=t).expect(200)
    mesh.heartbeat(node, form, timestamp=t, **wrong).refused(409, "replayed")
    mesh.heartbeat(node, form, **wrong).refused(401, "bad_signature")
    mesh.heartbeat(node, form).expect(200)


@pytest.mark.parametrize("form", ["short", "full"])
def test_replays_are_refused_also_across_restarts(mesh, form):
    node = mesh.active("a")
    recorded = mesh.beat(node, form)
    mesh.post("/heartbeat", recorded).expect(200)
    mesh.post("/heartbeat", recorded).refused(409, "replayed")
    mesh.heartbeat(node, form, timestamp=recorded["timestamp"] - 1).refused(409, "replayed")
    mesh.restart()
    mesh.post("/heartbeat", recorded).refused(409, "replayed")
    mesh.kill_and_restart()
    mesh.post("/heartbeat", recorded).refused(409, "replayed")


def test_a_forged_heartbeat_does_not_use_up_a_timestamp(mesh):
    node = mesh.active("a")
    t = now()
    mesh.heartbeat(node, timestamp=t + 30_000, key=oracle.Key()).refused(401, "bad_signature")
    mesh.heartbeat(node, timestamp=t).expect(200)


def test_the_window_of_sixty_seconds(mesh):
    node = mesh.active("a")
    for offset in (-62_000, 62_000):
        mesh.heartbeat(node, timestamp=now() + offset).refused(400, "timestamp_out_of_range")
    mesh.heartbeat(node, timestamp=now() - 57_000).expect(200)
    mesh.heartbeat(node, timestamp=now() + 57_000).expect(200)
    mesh.heartbeat(node).refused(409, "replayed")


def test_denied_nodes_do_not_beat(mesh):
    node = mesh.pending("a")
    mesh.decide("deny", node).expect(200)
    mesh.heartbeat(node).refused(403, "node_not_active")


def test_history(mesh):
    node = mesh.active("a")
    times = []
    for i in range(5):
        body = mesh.beat(node, height=i, version=f"v{i}", services=[{"type": "ledger", "healthy": i % 2 == 0, "lastCheck": now()}])
        times.append(body["timestamp"])
        mesh.post("/heartbeat", body).expect(200)
    rows = mesh.pages("/nodes/a/heartbeats", "heartbeats")
    assert sorted(r["timestamp"] for r in rows) == times
    rows.sort(key=lambda r: r["timestamp"])
    assert [(r["height"], r["version"], r["unhealthy"]) for r in rows] == [(i, f"v{i}", [] if i % 2 == 0 else ["ledger"]) for i in range(5)]
    assert all(abs(r["received_at"] - now()) < 60_000 for r in rows)
    assert sorted(r["timestamp"] for r in mesh.pages("/nodes/a/heartbeats", "heartbeats", limit=2)) == times
    since = mesh.pages("/nodes/a/heartbeats", "heartbeats", since=times[3])
    assert sorted(r["timestamp"] for r in since)[-1] == times[4] and times[0] not in [r["timestamp"] for r in since]
    assert mesh.pages("/nodes/a/heartbeats", "heartbeats", since=times[4] + 3_600_000) == []
    mesh.get("/nodes/unknown/heartbeats").refused(404, "unknown_node")
    mesh.get("/nodes/a/heartbeats", {"since": "yesterday"}).refused(400, "malformed_parameter")


def test_an_unhealthy_service_is_shown_and_told_once(mesh):
    node = mesh.active("a")

    def report(healthy):
        mesh.heartbeat(node, services=[{"type": "ledger", "healthy": healthy, "lastCheck": now()}]).expect(200)

    with mesh.events() as stream:
        report(True)
        report(False)
        report(False)
        event = stream.wait("service.unhealthy", "a")
        assert "ledger" in str(event.data)
        assert mesh.node(node)["services"][0]["healthy"] is False
        report(True)
        report(False)
        stream.wait("service.unhealthy", "a", count=2)
        mesh.decide("remove", node).expect(200)
        stream.wait("node.removed", "a")
        assert len(stream.of("service.unhealthy")) == 2


def test_a_report_about_a_service_that_the_node_has_not_is_harmless(mesh):
    node = mesh.active("a")
    mesh.heartbeat(node, services=[{"type": "t4", "healthy": False, "lastCheck": now()}]).expect(200)
    assert [s["service_type"] for s in mesh.node(node)["services"]] == ["ledger"]


# -- offline and online


def keep_beating(mesh, node, until, every=0.15, within=30.0):
    """Beats while waiting, and once more at the end. Returns the longest time in s between two beats: a node that beats in time never goes offline, but this machine may be too slow for that."""
    begun = before = time.monotonic()
    longest, ended = 0.0, False
    while not ended:
        ended = until()
        assert ended or time.monotonic() - begun < within * PATIENCE, "not in time"
        mesh.heartbeat(node).expect(200)
        longest, before = max(longest, time.monotonic() - before), time.monotonic()
        time.sleep(0 if ended else every)
    return longest


def test_a_silent_node_goes_offline_and_comes_back(mesh_factory):
    mesh = mesh_factory(args=FAST)
    silent, living = mesh.active("silent"), mesh.active("living")
    mesh.heartbeat(silent).expect(200)
    with mesh.events() as stream:
        longest = keep_beating(mesh, living, lambda: mesh.status(silent) == "offline")
        begun = time.monotonic()
        stream.wait("node.offline", "silent")
        shown = mesh.status(living), [n["id"] for n in mesh.nodes(status="offline")], [n["id"] for n in mesh.get("/topology").expect(200)["nodes"]]
        if max(longest, time.monotonic() - begun) < 0.9:
            assert not stream.of("node.offline", "living") and shown == ("active", ["silent"], ["living"])
        assert "silent" not in shown[2]
        mesh.heartbeat(silent).expect(200)
        stream.wait("node.online", "silent")
        turns = [e.type for e in stream.events if e.data.get("nodeId") == "silent" and e.type in ("node.offline", "node.online")]
        assert turns == (["node.offline", "node.online"] * len(turns))[: len(turns)], "once each, in turn"
    mesh.verify()


def test_a_node_that_never_sent_a_heartbeat_goes_offline_too(mesh_factory):
    mesh = mesh_factory(args=FAST)
    node = mesh.active("a")
    mesh.wait_status(node, "offline")


def test_pending_and_denied_nodes_do_not_go_offline(mesh_factory):
    mesh = mesh_factory(args=FAST)
    pending, denied, marker = mesh.pending("pending"), mesh.pending("denied"), mesh.active("marker")
    mesh.decide("deny", denied).expect(200)
    mesh.wait_status(marker, "offline")
    assert (mesh.status(pending), mesh.status(denied)) == ("pending", "denied")


def test_after_a_restart_a_whole_timeout_passes_before_anyone_is_called_offline(mesh_factory):
    """mesh was away, so the silence may be its own: the nodes could not reach it."""
    mesh = mesh_factory(args=["--heartbeat-timeout", "1500ms"])
    node = mesh.active("a")
    mesh.heartbeat(node).expect(200)
    mesh.stop()
    time.sleep(1.6)
    begun = time.monotonic()
    mesh.start()
    mesh.wait_status(node, "offline")
    assert time.monotonic() - begun >= 1.5


def test_offline_stays_offline_across_a_restart(mesh_factory):
    mesh = mesh_factory(args=FAST)
    node = mesh.active("a")
    mesh.wait_status(node, "offline")
    mesh.restart()
    assert mesh.status(node) == "offline"
    with mesh.events() as stream:
        mesh.heartbeat(node).expect(200)
        stream.wait("node.online", "a")


def test_a_clock_that_jumps_forward_calls_nobody_offline(mesh_factory, tmp_path):
    faults = Faults(tmp_path)
    mesh = mesh_factory(args=["--heartbeat-timeout", "2s"], env=faults.env)
    nodes = [mesh.active(f"n{i}") for i in range(3)]
    for node in nodes:
        mesh.heartbeat(node).expect(200)
    with mesh.events() as stream:
        ahead = time.monotonic()
        faults.set_clock(3_600_000)
        statuses = {"active"}
        while time.monotonic() - ahead < 1.2:
            statuses |= {mesh.status(n) for n in nodes}
            time.sleep(0.05)
        called = stream.of("node.offline")
        if time.monotonic() - ahead < 2:
            assert statuses == {"active"} and not called
        # Heartbeats of nodes whose clocks jumped too go on; then silence counts again, from the last one.
        for node in nodes[:2]:
            mesh.heartbeat(node, timestamp=now() + 3_600_000).expect(200)
        mesh.wait_status(nodes[2], "offline", 6)


def test_a_clock_that_jumps_back_calls_nobody_offline_and_still_notices_silence(mesh_factory, tmp_path):
    faults = Faults(tmp_path)
    mesh = mesh_factory(args=["--heartbeat-timeout", "1500ms"], env=faults.env)
    node, silent = mesh.active("a"), mesh.active("silent")
    faults.set_clock(-40_000)
    t = now() - 39_000
    deadline = time.monotonic() + 30 * PATIENCE
    while mesh.status(silent) != "offline":
        assert time.monotonic() < deadline
        begun, t = time.monotonic(), t + 100
        mesh.heartbeat(node, timestamp=t).expect(200)
        status = mesh.status(node)
        assert status == "active" or time.monotonic() - begun >= 1.5
        time.sleep(0.1)
    mesh.verify()


def test_old_history_is_thinned_to_one_a_day(mesh_factory, tmp_path):
    """With the clock 32 days ahead, the two heartbeats of today are old; one of them is kept."""
    faults = Faults(tmp_path)
    mesh = mesh_factory(args=["--heartbeat-timeout", "10s"], env=faults.env)
    node = mesh.active("a")
    day = 86_400_000
    for _ in range(4):
        mesh.heartbeat(node).expect(200)
    mesh.stop()
    faults.set_clock(32 * day)
    mesh.start()
    for _ in range(2):
        mesh.heartbeat(node, timestamp=now() + 32 * day).expect(200)

    def thinned():
        rows = mesh.pages("/nodes/a/heartbeats", "heartbeats", since=0)
        return len([r for r in rows if r["timestamp"] < now() + day]) <= 2 and rows

    rows = eventually(thinned, 10, what="the old heartbeats are thinned")
    assert len([r for r in rows if r["timestamp"] < now() + day]) >= 1 and len([r for r in rows if r["timestamp"] > now() + day]) == 2
