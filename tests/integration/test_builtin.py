"""Promise: operators see at a glance whether mesh lives and what it is, machines can watch it, and no secret leaves it on the way."""

import json
import re
import socket
import urllib.parse

from tana_testing import prometheus
from tana_testing.client import raw_exchange
from tana_testing.each import each
from tana_testing.mesh import Node


def test_health_ready_info(mesh):
    health = mesh.get("/health").expect(200)
    assert health["status"] == "ok" and health["service"] == "mesh"
    mesh.get("/ready").expect(200)
    info = mesh.get("/info").expect(200)
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", info["version"]) and info["commit"]


def test_metrics(mesh):
    mesh.active("a")
    mesh.get("/nodes/none").refused(404, "unknown_node")
    answer = mesh.get("/metrics")
    answer.expect(200)
    assert answer.header("Content-Type").startswith("text/plain") and "version=0.0.4" in answer.header("Content-Type")
    samples = prometheus.parse(answer.body.decode())
    assert all(name.startswith(("tana_mesh_", "process_")) for name in samples), sorted(samples)
    counters = [n for n in samples if n.endswith("_total")]
    assert any("request" in n for n in counters), sorted(samples)
    nodes = next(v for n, v in samples.items() if "nodes" in n and any("active" in dict(k).values() for k in v))
    assert next(v for k, v in nodes.items() if "active" in dict(k).values()) == 1
    again = prometheus.parse(mesh.get("/metrics").body.decode())
    for name in counters:
        for labels, value in samples[name].items():
            assert again[name][labels] >= value, name


def test_metrics_do_not_grow_with_what_strangers_ask(mesh):
    """Labels come from a closed set: paths, node ids and methods of strangers make no new series."""
    for i in range(5):
        mesh.get(f"/nothing/{i}")
        mesh.get(f"/nodes/n{i}")
    mesh.get("/metrics").expect(200)
    first = {(n, k) for n, v in prometheus.parse(mesh.get("/metrics").body.decode()).items() for k in v}
    for i in range(5, 50):
        mesh.get(f"/nothing/{i}")
        mesh.get(f"/nodes/n{i}")
    second = {(n, k) for n, v in prometheus.parse(mesh.get("/metrics").body.decode()).items() for k in v}
    assert first == second


def test_no_secret_is_shown_anywhere(mesh):
    """Neither the coordinator's private key nor the database password, in answers or in the log."""
    mesh.active("a")
    key = json.loads((mesh.data / "coordinator-key.json").read_text())
    secrets = [key["privateKey"].removeprefix("ed25519_")]
    password = urllib.parse.urlsplit(mesh.db_url).password
    if password:
        secrets.append(password)
    seen = mesh.daemon.text()
    for _, path, _ in mesh.document.operations():
        if "{" not in path and path != "/events":
            seen += mesh.get(path, check=False).body.decode(errors="replace")
    for secret in secrets:
        assert secret not in seen


def test_every_route_of_the_document_exists_and_only_they(mesh):
    paths = {(m, p) for m, p, _ in mesh.document.operations()}
    wanted = """POST /register; GET /nodes; GET /nodes/{id}; GET /nodes/{id}/heartbeats; POST /nodes/{id}/rotate; GET /topology; GET /topology/snapshot;
        GET /validators/active; GET /validators/{id}; POST /approve/{id}; POST /deny/{id}; POST /remove/{id}; POST /reset/{id}; POST /heartbeat; GET /sovereign;
        POST /sovereign/add; POST /sovereign/remove; POST /sovereign/rotate; POST /sovereign/verify; GET /invites; POST /invites; POST /invites/revoke; GET /audit;
        GET /audit/checkpoint; GET /audit/proof/inclusion; GET /audit/proof/consistency; GET /events; GET /coordinator; GET /health; GET /ready; GET /info; GET /metrics"""
    assert {tuple(w.split()) for w in wanted.split(";")} <= paths
    for path in ("/", "/node", "/nodes/", "/nodes/a/b", "/NODES", "/nodes/a/heartbeats/x", "/admin", "/favicon.ico"):
        mesh.get(path).refused(404, "not_found")


def test_other_methods(mesh):
    mesh.pending("a")
    for _, path, _ in mesh.document.operations():
        there = {m for m, p, _ in mesh.document.operations() if p == path}
        if "GET" in there:
            there.add("HEAD")
        asked = path.replace("{id}", "a")
        for method in {"GET", "POST", "PUT", "DELETE"} - there:
            answer = mesh.client.call(method, asked, b"{}" if method != "GET" else None, check=False)
            assert answer.status == 405 and answer.code == "method_not_allowed", answer
            assert {m.strip() for m in answer.header("Allow").split(",")} == there, (path, answer.header("Allow"))


def test_methods_that_nobody_needs_are_refused(mesh):
    for method in ("PATCH", "TRACE", "OPTIONS", "CONNECT", "PROPFIND"):
        got = raw_exchange(mesh.daemon.address, f"{method} /nodes HTTP/1.1\r\nHost: x\r\n\r\n".encode(), timeout=3)
        assert got.split()[1] in (b"405", b"501", b"400"), got[:200]


def test_head_of_every_get(mesh):
    for method, path, _ in mesh.document.operations():
        if method == "GET" and path != "/events":
            asked = path.replace("{id}", "a")
            whole, head = mesh.get(asked, check=False), mesh.client.call("HEAD", asked, check=False)
            assert head.status == whole.status and head.body == b"", path


def test_request_ids(mesh):
    ids = {mesh.get("/health").header("X-Request-Id") for _ in range(20)}
    assert len(ids) == 20
    answer = mesh.get("/health", headers={"X-Request-Id": "abc-123"})
    assert answer.header("X-Request-Id")
    evil = raw_exchange(mesh.daemon.address, b"GET /health HTTP/1.1\r\nHost: x\r\nX-Request-Id: a\tb\x01<script>\r\n\r\n")
    assert b"<script>" not in evil


def test_kept_connections_and_pipelining(mesh):
    three = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n" * 2 + b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    host, port = mesh.daemon.address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=5) as s:
        s.sendall(three)
        got = b""
        while piece := s.recv(65536):
            got += piece
    assert got.count(b"HTTP/1.1 200 ") == 3 and got.count(b'"service"') == 3


def test_http_1_0(mesh):
    got = raw_exchange(mesh.daemon.address, b"GET /health HTTP/1.0\r\n\r\n")
    assert b" 200 " in got.split(b"\r\n")[0] and b'"status"' in got


def test_answers_are_json_in_utf_8(mesh):
    answer = mesh.get("/nodes")
    assert answer.header("Content-Type").startswith("application/json")
    assert answer.header("X-Content-Type-Options") in (None, "nosniff")


@each("text", ["\u00e9t\u00e9 \u2603 \U0001f680", "tab\tand \"quotes\" \\ back", "\u007f\u0080\u009f", "\u2028\u2029"])
def test_text_of_all_kinds_comes_back_as_it_went(mesh, text):
    node = Node(f"n{len(mesh.nodes())}", region=text)
    answer = mesh.register(node)
    if answer.status == 201:
        assert mesh.node(node)["region"] == text
        mesh.verify()
    else:
        answer.refused(400, "malformed_field")
