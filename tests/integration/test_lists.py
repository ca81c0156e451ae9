"""Promise: the list shows every node once, in pages that stay true while the network changes, and says cheaply when nothing did."""

import threading

import pytest
from tana_testing.each import each
from tana_testing.mesh import Node


@pytest.fixture
def populated(mesh_factory):
    """Thirty nodes: ten pending, ten active, ten denied."""
    mesh = mesh_factory()
    mesh.made = {}
    for i in range(30):
        node = mesh.pending(f"n{i:02}", region=f"r{i % 3}")
        mesh.made[node.id] = node
        if i % 3 == 1:
            mesh.decide("approve", node).expect(200)
        if i % 3 == 2:
            mesh.decide("deny", node).expect(200)
    return mesh


def ids(rows):
    return [r["id"] for r in rows]


def expected(mesh, rest):
    return {f"n{i:02}" for i in range(30) if i % 3 in rest}


def test_filters(populated):
    mesh = populated
    assert set(ids(mesh.get("/nodes").expect(200)["nodes"])) == expected(mesh, {1})
    assert set(ids(mesh.nodes(status="pending"))) == expected(mesh, {0})
    assert set(ids(mesh.nodes(status="denied"))) == expected(mesh, {2})
    assert set(ids(mesh.nodes(status=["pending", "denied"]))) == expected(mesh, {0, 2})
    assert set(ids(mesh.nodes(status="all"))) == expected(mesh, {0, 1, 2})
    assert set(ids(mesh.nodes(status=["all", "pending"]))) == expected(mesh, {0, 1, 2})
    assert mesh.nodes(status="offline") == []


@each("status", ["all", "pending", ["pending", "active"]])
@each("limit", [1, 3, 7, 10, 1000])
def test_pages_give_each_node_once(populated, status, limit):
    rows = ids(populated.nodes(status=status, limit=limit))
    whole = ids(populated.nodes(status=status, limit=1000))
    assert len(rows) == len(set(rows)) and rows == whole
    first = populated.get("/nodes", {"status": status, "limit": limit}).expect(200)
    assert len(first["nodes"]) == min(limit, len(whole)) and bool(first.get("nextCursor")) == (limit < len(whole))


def test_a_node_without_services_and_one_with_sixteen_fill_a_page_alike(mesh):
    for i in range(6):
        mesh.pending(f"n{i}", services=[{"type": f"x-{j}", "port": 1, "publicKey": Node("k").public} for j in range(16 if i % 2 else 0)])
    for limit in (1, 2, 5):
        rows = mesh.nodes(limit=limit)
        assert [(r["id"], len(r["services"])) for r in rows] == [(f"n{i}", 16 if i % 2 else 0) for i in range(6)]


@each(
    "path, query, code",
    [
        ("/nodes", {"limit": 0}, "malformed_parameter"), ("/nodes", {"limit": 1001}, "malformed_parameter"), ("/nodes", {"limit": -1}, "malformed_parameter"),
        ("/nodes", {"limit": "ten"}, "malformed_parameter"), ("/nodes", {"limit": ""}, "malformed_parameter"), ("/nodes", {"limit": "1e1"}, "malformed_parameter"),
        ("/nodes", {"limit": 2**64}, "malformed_parameter"), ("/nodes", {"limit": [1, 2]}, "malformed_parameter"),
        ("/nodes", {"status": "sleeping"}, "malformed_parameter"), ("/nodes", {"status": ""}, "malformed_parameter"),
        ("/nodes", {"status": "Active"}, "malformed_parameter"), ("/nodes", {"nonsense": "1"}, "malformed_parameter"),
        ("/nodes", {"cursor": "////"}, "malformed_cursor"), ("/nodes", {"cursor": "' OR 1=1--"}, "malformed_cursor"),
        ("/audit", {"limit": 1001}, "malformed_parameter"), ("/audit", {"cursor": "garbage"}, "malformed_cursor"), ("/audit", {"after": "x"}, "malformed_parameter"),
        ("/invites", {"limit": 1001}, "malformed_parameter"), ("/invites", {"cursor": "garbage"}, "malformed_cursor"),
    ],
)
def test_parameters_out_of_bounds_are_named(mesh, path, query, code):
    name = next(iter(query))
    refusal = mesh.get(path, query).refused(400, code)
    assert name in refusal["error"] or name in refusal.get("hint", ""), refusal


@each("value", [2**63 - 1, 2**63, 2**53, -(2**63), -1, 0])
@each("path", ["/audit", "/nodes/a/heartbeats", "/nodes", "/invites"])
@each("name", ["cursor", "after", "since", "limit"])
def test_numbers_at_the_edge_of_their_type(mesh, path, name, value):
    mesh.register(Node("a"))
    answer = mesh.get(path, {name: value})
    assert answer.status == 200 or answer.code in ("malformed_parameter", "malformed_cursor"), answer


def test_edges_of_the_limit(populated):
    for limit in (1, 1000):
        populated.get("/nodes", {"limit": limit}).expect(200)


def test_a_cursor_survives_a_restart_and_the_removal_of_the_row_it_names(populated):
    mesh = populated
    page = mesh.get("/nodes", {"status": "all", "limit": 5}).expect(200)
    mesh.decide("remove", mesh.made[page["nodes"][-1]["id"]]).expect(200)
    mesh.restart()
    rest = mesh.nodes(status="all", cursor=page["nextCursor"], limit=9)
    assert set(ids(page["nodes"])) | set(ids(rest)) == expected(mesh, {0, 1, 2}) and len(rest) == 25


def test_walking_while_nodes_come_go_and_change(populated):
    """Rows that stay are seen exactly once, whatever happens around them."""
    mesh = populated
    stay = {f"n{i:02}" for i in range(0, 30, 2)}
    stop = threading.Event()
    failures = []

    def churn():
        try:
            for i in range(1, 30, 2):
                mesh.decide("remove", mesh.made[f"n{i:02}"]).expect(200)
            n = 0
            while not stop.is_set():
                node = mesh.pending(f"m{n % 7}")
                mesh.decide("approve", node).expect(200)
                mesh.register(mesh.made["n00"]).expect(200)
                mesh.decide("remove", node).expect(200)
                n += 1
        except Exception as e:
            failures.append(e)

    worker = threading.Thread(target=churn)
    worker.start()
    try:
        for _ in range(15):
            seen = [x for x in ids(mesh.nodes(status="all", limit=4)) if x in stay]
            assert sorted(seen) == sorted(stay)
    finally:
        stop.set()
        worker.join()
    assert not failures, failures


def test_one_node(mesh):
    node = mesh.active("a")
    assert mesh.node(node) == mesh.nodes()[0]
    mesh.get("/nodes/b").refused(404, "unknown_node")


def test_entity_tags(mesh):
    node = mesh.active("a")
    for path in ("/nodes", "/nodes?status=all&limit=1", "/nodes/a", "/topology/snapshot", "/openapi.json"):
        first = mesh.get(path)
        first.expect(200)
        tag = first.header("ETag")
        assert tag and (tag.startswith('"') or tag.startswith('W/"'))
        again = mesh.get(path, headers={"If-None-Match": tag})
        assert again.status == 304 and again.body == b"" and again.header("ETag") == tag
        assert mesh.get(path, headers={"If-None-Match": '"x", ' + tag}).status == 304
        assert mesh.get(path, headers={"If-None-Match": "*"}).status == 304
        assert mesh.get(path, headers={"If-None-Match": '"x"'}).status == 200
    tag = mesh.get("/nodes").header("ETag")
    node.hostname = "moved.ts.net"
    mesh.register(node).expect(200)
    changed = mesh.get("/nodes", headers={"If-None-Match": tag})
    assert changed.status == 200 and changed.header("ETag") != tag
    tag = changed.header("ETag")
    mesh.heartbeat(node).expect(200)
    assert mesh.get("/nodes", headers={"If-None-Match": tag}).expect(200)["nodes"][0]["last_heartbeat"] is not None


def test_different_questions_have_different_tags(populated):
    tags = {populated.get(p).header("ETag") for p in ("/nodes", "/nodes?status=pending", "/nodes?limit=2", "/nodes?status=all")}
    assert len(tags) == 4


def test_head(mesh):
    mesh.active("a")
    whole = mesh.get("/nodes")
    head = mesh.client.call("HEAD", "/nodes")
    assert head.status == 200 and head.body == b"" and head.header("Content-Length") == str(len(whole.body)) and head.header("ETag") == whole.header("ETag")


def test_topology_is_the_active_nodes_in_the_form_of_existing_readers(populated):
    mesh = populated
    rows = mesh.get("/topology").expect(200)["nodes"]
    assert set(ids(rows)) == expected(mesh, {1})
    for row in rows:
        node = mesh.made[row["id"]]
        assert row["services"] == node.services and row["public_key"] == node.public and row["tailscale_hostname"] == node.hostname


def test_validators_for_existing_readers(mesh):
    validator, observer = mesh.active("v"), mesh.active("o", role="observer")
    mesh.pending("p")
    assert mesh.get("/validators/active").expect(200)["validators"][0]["lastSeen"] is None
    mesh.heartbeat(validator).expect(200)
    rows = mesh.get("/validators/active").expect(200)["validators"]
    row = mesh.node(validator)
    assert rows == [{"id": "v", "publicKey": validator.public, "wsUrl": validator.hostname, "lastSeen": row["last_heartbeat"]}]
    assert mesh.get("/validators/v").expect(200)["validator"] == rows[0]
    for missing in (observer.id, "p", "unknown"):
        mesh.get(f"/validators/{missing}").refused(404, "unknown_node")
    mesh.decide("remove", validator).expect(200)
    assert mesh.get("/validators/active").expect(200)["validators"] == []


def test_no_unsigned_write_for_validators_exists(mesh):
    for path in ("/validators", "/validators/register", "/validators/heartbeat", "/validators/v", "/validators/active"):
        for method in ("POST", "PUT", "DELETE"):
            assert mesh.client.call(method, path, b"{}").status in (404, 405)
