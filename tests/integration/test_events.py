"""Promise: a watcher hears every change in order, can go away and resume where it was, and a slow one cannot hurt the others."""

import time

import pytest
from tana_testing import oracle
from tana_testing.client import eventually
from tana_testing.mesh import Node
from tana_testing.sse import EventStream


def test_the_story_of_a_node(mesh):
    with mesh.events() as stream:
        node = mesh.pending("a")
        mesh.decide("deny", node).expect(200)
        mesh.decide("reset", node).expect(200)
        mesh.decide("approve", node).expect(200)
        mesh.decide("remove", node).expect(200)
        stream.wait("node.removed", "a")
        kinds = [e.type for e in stream.events if e.data.get("nodeId") == "a"]
        wanted = ["node.registered", "node.denied", "node.approved", "node.removed"]
        assert [k for k in kinds if k in wanted] == wanted
        ids = [e.id for e in stream.events]
        assert ids == sorted(set(ids)) and all(isinstance(i, int) and i > 0 for i in ids)


def test_sovereign_keys(mesh):
    new, newer = oracle.Key(), oracle.Key()
    with mesh.events() as stream:
        mesh.post("/sovereign/add", mesh.sovereign_change("add", new)).expect(200)
        mesh.post("/sovereign/rotate", mesh.sovereign_rotation(new, newer)).expect(200)
        mesh.post("/sovereign/remove", mesh.sovereign_change("remove", newer)).expect(200)
        eventually(lambda: len([e for e in stream.events if e.type.startswith("sovereign.")]) >= 3)
        kinds = [e for e in stream.events if e.type.startswith("sovereign.")]
        assert [e.type for e in kinds] == ["sovereign.added", "sovereign.rotated", "sovereign.removed"]
        assert new.public in str(kinds[0].data) and newer.public in str(kinds[1].data) and newer.public in str(kinds[2].data)


def test_a_new_stream_begins_with_what_comes(mesh):
    with mesh.events() as earlier:
        mesh.pending("before")
        earlier.wait("node.registered", "before")
    with mesh.events() as stream:
        mesh.pending("after")
        stream.wait("node.registered", "after")
        assert not stream.of("node.registered", "before")


def test_refused_changes_make_no_event(mesh):
    node = mesh.active("a")
    with mesh.events(last_id=0) as stream:
        stream.wait("node.approved", "a")
        mesh.decide("approve", node).refused(409, "wrong_state")
        mesh.register(Node("a")).refused(409, "node_id_taken")
        mesh.pending("marker")
        stream.wait("node.registered", "marker")
        assert [e.type for e in stream.events if e.type.startswith("node.")] == ["node.registered", "node.approved", "node.registered"]


@pytest.mark.parametrize("how", ["at once", "after a restart", "after kill -9"])
def test_resuming(mesh, how):
    with mesh.events() as stream:
        mesh.pending("first")
        last = stream.wait("node.registered", "first").id
    for i in range(20):
        mesh.pending(f"n{i:02}")
    if how == "after a restart":
        mesh.restart()
    if how == "after kill -9":
        mesh.kill_and_restart()
    with mesh.events(last_id=last) as stream:
        mesh.pending("last")
        stream.wait("node.registered", "last")
        assert [e.data["nodeId"] for e in stream.of("node.registered")] == [f"n{i:02}" for i in range(20)] + ["last"]
        ids = [e.id for e in stream.events]
        assert ids == sorted(set(ids)) and ids[0] > last
    with mesh.events(last_id=0) as stream:
        stream.wait("node.registered", "last")
        assert stream.of("node.registered", "first")


def test_odd_last_event_ids(mesh):
    mesh.pending("a")
    for odd in ("x", "-1", "99999999999999999999999", "1.5", "\u00e9"):
        stream = EventStream(mesh.daemon.address, last_id=odd)
        try:
            assert stream.status in (200, 400), (odd, stream.status)
        finally:
            stream.close()
    with mesh.events(last_id=10**15) as stream:
        mesh.pending("b")
        eventually(lambda: stream.events, 5)


def test_many_watchers_hear_the_same(mesh):
    streams = [EventStream(mesh.daemon.address).start() for _ in range(50)]
    try:
        for i in range(10):
            mesh.pending(f"n{i}")
        for s in streams:
            s.wait("node.registered", "n9", within=10)
        assert len({tuple((e.id, e.type) for e in s.events) for s in streams}) == 1
    finally:
        for s in streams:
            s.close()


def test_streams_are_capped(mesh_factory):
    mesh = mesh_factory(args=["--max-streams", "3"])
    streams = [EventStream(mesh.daemon.address).start() for _ in range(3)]
    try:
        refused = mesh.get("/events")
        refused.refused(503, "overloaded")
        assert refused.header("Retry-After")
        mesh.get("/health").expect(200)
        streams.pop().close()

        def room():
            s = EventStream(mesh.daemon.address)
            try:
                return s.status == 200
            finally:
                s.close()

        # That the peer left shows when something is written to it.
        node = mesh.pending("a")
        eventually(lambda: mesh.register(node).status == 200 and room(), 20, every=0.1)
    finally:
        for s in streams:
            s.close()


def test_a_slow_reader_is_dropped_and_the_others_go_on(mesh):
    slow = EventStream(mesh.daemon.address, receive_buffer=16384)
    try:
        with mesh.events() as fast:
            node = mesh.active("a")
            begun = time.monotonic()
            n = 0
            while time.monotonic() - begun < 3 and n < 1500:
                mesh.register(node).expect(200)
                n += 1
            mesh.pending("marker")
            fast.wait("node.registered", "marker", within=10)
        slow.start()  # begins to read now, too late or just in time: what it gets is in order, or an end
        eventually(lambda: slow.ended or slow.of("node.registered", "marker") or slow.of("reset"), 30)
        ids = [e.id for e in slow.events]
        assert ids == sorted(set(ids))
    finally:
        slow.close()


def test_streams_end_when_mesh_stops(mesh):
    with mesh.events() as stream:
        mesh.stop()
        eventually(lambda: stream.ended, 5)
        assert "connections were cut" not in mesh.daemon.text()
    mesh.start()


def test_what_a_stream_is_made_of(mesh):
    stream = EventStream(mesh.daemon.address)
    try:
        assert stream.headers["content-type"].startswith("text/event-stream") and stream.headers["cache-control"] in ("no-cache", "no-store")
        assert "x-request-id" in stream.headers
    finally:
        stream.close()
