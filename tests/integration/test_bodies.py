"""Promise: whatever bytes a stranger sends, the answer is a clear refusal with a stable code, and the service goes on.

The correct request of each kind is broken in every way that its own schema in the OpenAPI document can be broken; and bodies are truncated, doubled, too deep,
too large, not UTF-8, not JSON.
"""

import json
import random

import pytest
from tana_testing import oracle
from tana_testing.client import raw_exchange
from tana_testing.each import each
from tana_testing.mesh import Node, now

LIMIT = 64 * 1024
MISSING = object()


def requests(mesh):
    """One correct request of each kind: {path template: (path, body)}."""
    node, other = mesh.active("node"), mesh.pending("other")
    second = oracle.Key()
    mesh.post("/sovereign/add", mesh.sovereign_change("add", second)).expect(200)
    invite, old_invite = oracle.Key(), mesh.invite()
    using = Node("invited")
    message = "anything"
    return {
        "/register": ("/register", mesh.registration(using, invite=old_invite, before={"region": "r", "provider": "p", "latitude": "1", "longitude": "2", "role": "validator"})),
        "/approve/{id}": ("/approve/other", mesh.decision("approve", other, after={"reason": "known"})),
        "/deny/{id}": ("/deny/other", mesh.decision("deny", other, after={"reason": "known"})),
        "/remove/{id}": ("/remove/other", mesh.decision("remove", other, after={"reason": "known"})),
        "/reset/{id}": ("/reset/other", mesh.decision("reset", other, after={"reason": "known"})),
        "/heartbeat": (
            "/heartbeat",
            mesh.beat(node, tailscaleIP="100.64.0.9", services=[{"type": "ledger", "healthy": True, "lastCheck": now()}], height=1, version="1.0"),
        ),
        "/sovereign/add": ("/sovereign/add", mesh.sovereign_change("add", oracle.Key(), description="d")),
        "/sovereign/remove": ("/sovereign/remove", mesh.sovereign_change("remove", second)),
        "/sovereign/rotate": ("/sovereign/rotate", mesh.sovereign_rotation(second, oracle.Key())),
        "/sovereign/verify": (
            "/sovereign/verify", {"message": message, "signature": mesh.sovereign.sign(message), "publicKey": mesh.sovereign.public}
        ),
        "/nodes/{id}/rotate": ("/nodes/node/rotate", mesh.node_rotation(node, oracle.Key())),
        "/invites": ("/invites", mesh.invitation(invite)),
        "/invites/revoke": ("/invites/revoke", mesh.revocation(old_invite)),
    }


def test_every_route_that_takes_a_body_is_covered_here(mesh):
    taking = {path for method, path, operation in mesh.document.operations() if mesh.document.request_schema(operation)}
    assert taking == set(requests(mesh))


def wrong_values(schema):
    """Values that this schema refuses, with a reason to show."""
    kind = schema.get("type")
    if kind is None:
        return  # any value of the canonical subset
    kinds = kind if isinstance(kind, list) else [kind]
    for name, value in {
        "boolean": True, "integer": 7, "real": 1.5, "string": "text", "empty string": "", "list": [], "list of text": ["x"], "object": {}, "object with text": {"a": "x"},
    }.items():
        if not _matches(value, kinds):
            yield name, value
    if "integer" in kinds:
        yield "beyond 2^53", 2**53
        yield "beyond 2^63", 2**64
        yield "beyond a double", 10**400
        if "minimum" in schema and schema["minimum"] > -(2**53):
            yield "below the minimum", schema["minimum"] - 1
        if "maximum" in schema and schema["maximum"] < 2**53:
            yield "above the maximum", schema["maximum"] + 1
    if "string" in kinds and "pattern" in schema:
        yield "empty", ""
        yield "odd text", "\u0001 \U0001f600 ' \" ; \\ %00"
        yield "newline at the end", "a\n"
        yield "very long", "a" * 20_000
    if "string" in kinds and "maxLength" in schema:
        yield "too long", "x" * (schema["maxLength"] + 1)
        yield "too many bytes", "é" * schema["maxLength"]
    if "array" in kinds and "maxItems" in schema:
        yield "too many", [{}] * (schema["maxItems"] + 1)


def _matches(value, kinds):
    return {
        bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object",
    }[type(value)] in kinds


def places(schema, value, document, path=()):
    """(path, schema, required) of each field below an object's schema, through lists and objects that the value has."""
    schema = document.follow(schema)
    for name, sub in schema.get("properties", {}).items():
        sub = document.follow(sub)
        yield (*path, name), sub, name in schema.get("required", ())
        inner = value.get(name) if isinstance(value, dict) else None
        if isinstance(inner, dict):
            yield from places(sub, inner, document, (*path, name))
        if isinstance(inner, list) and inner:
            yield from places(document.follow(sub["items"]), inner[0], document, (*path, name, 0))


def replaced(body, path, value):
    copy = json.loads(json.dumps(body))
    at = copy
    for step in path[:-1]:
        at = at[step]
    if value is MISSING:
        at.pop(path[-1], None)
    else:
        at[path[-1]] = value
    return copy


def spelled(path):
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else (("." if text else "") + step)
    return text


def test_every_field_of_every_request_with_a_wrong_value(mesh):
    cases = requests(mesh)
    wrong = []
    asked = 0
    for method, template, operation in mesh.document.operations():
        schema = mesh.document.request_schema(operation)
        if schema is None:
            continue
        path, body = cases[template]
        for place, sub, required in places(schema, body, mesh.document):
            attempts = list(wrong_values(sub))
            if required:
                attempts += [("missing", MISSING), ("null", None)]
            for name, value in attempts:
                answer = mesh.post(path, replaced(body, place, value))
                asked += 1
                named = name.startswith("beyond") or spelled(place) in answer.json["error"]
                if answer.status != 400 or not named:
                    wrong.append(f"{template} {spelled(place)} = {name}: {answer!r}")
    assert asked > 500
    assert not wrong, f"{len(wrong)} of {asked}:\n" + "\n".join(wrong[:40])
    assert len(mesh.nodes()) == 2 and len(mesh.get("/sovereign").json["sovereigns"]) == 2, "a broken request changed something"


def test_null_reads_as_absent_where_a_field_may_be_missing(mesh):
    mesh.register(Node("a"), before={"region": None, "tailscaleIP": None, "invite": None}).expect(201)
    row = mesh.get("/nodes/a").expect(200)["node"]
    assert row["region"] is None and row["tailscale_ip"] is None


BAD_TEXTS = {
    "empty": b"",
    "blanks": b"  \r\n ",
    "not JSON": b"hello",
    "HTML": b"<html></html>",
    "truncated": b'{"nodeId":"a","publicKey":"ed',
    "truncated after a key": b'{"nodeId"',
    "a list": b"[]",
    "a list of objects": b'[{"nodeId":"a"}]',
    "a string": b'"text"',
    "a number": b"1",
    "null": b"null",
    "two documents": b"{}{}",
    "something after it": b"{} x",
    "a trailing comma": b'{"nodeId":"a",}',
    "single quotes": b"{'nodeId':'a'}",
    "a comment": b'{/* */"nodeId":"a"}',
    "NaN": b'{"timestamp":NaN}',
    "Infinity": b'{"timestamp":-Infinity}',
    "leading zero": b'{"timestamp":01}',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"nodeId":"a"}'.encode("utf-16"),
    "a NUL byte": b'{"nodeId":"a\x00b"}',
    "an escaped NUL": b'{"nodeId":"a\\u0000b"}',
    "an escaped NUL in a key": b'{"node\\u0000Id":"a"}',
    "a NUL after it": b"{}\x00",
    "a raw newline in a string": b'{"nodeId":"a\nb"}',
    "a lone surrogate": b'{"nodeId":"\\ud800"}',
    "a lone low surrogate": b'{"nodeId":"\\udc00"}',
    "an invalid byte": b'{"nodeId":"\xff"}',
    "an overlong form": b'{"nodeId":"\xc0\xaf"}',
    "a surrogate in UTF-8": b'{"nodeId":"\xed\xa0\x80"}',
    "beyond Unicode": b'{"nodeId":"\xf4\x90\x80\x80"}',
    "cut UTF-8": b'{"nodeId":"\xe2\x82"}',
    "a bad escape": b'{"nodeId":"\\x41"}',
    "deep lists": b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}",
    "deep objects": b'{"a":' * 5000 + b"1" + b"}" * 5000,
    "deep and unclosed": b"[" * 60_000,
    "just too deep": b'{"a":' * 33 + b"1" + b"}" * 33,
}


@pytest.mark.parametrize("path", ["/register", "/heartbeat", "/approve/a", "/sovereign/verify"])
def test_texts_that_are_not_one_json_object(mesh, path):
    for name, text in BAD_TEXTS.items():
        answer = mesh.post(path, text)
        assert (answer.status, answer.code) == (400, "malformed_json"), (name, answer)


def test_every_write_refuses_what_is_no_json_and_keys_said_twice(mesh):
    for path, body in requests(mesh).values():
        mesh.post(path, b'{"publicKey":').refused(400, "malformed_json")
        text = json.dumps(body)
        name = next(iter(body))
        mesh.post(path, f'{text[:-1]},"{name}":1}}'.encode()).refused(400, "duplicate_key")
    assert len(mesh.nodes()) == 2


def test_duplicate_keys_are_refused_at_every_depth(mesh):
    body = json.dumps(mesh.registration(Node("a")))
    mesh.post("/register", (body[:-1] + ',"nodeId":"b"}').encode()).refused(400, "duplicate_key")
    mesh.post("/register", body.replace('"port"', '"port": 1, "port"', 1).encode()).refused(400, "duplicate_key")
    mesh.post("/register", (body[:-1] + ',"x":{"y":1,"\\u0079":2}}').encode()).refused(400, "duplicate_key")
    assert mesh.nodes() == []


def test_what_cannot_be_made_canonical_cannot_be_signed(mesh):
    for odd in ('"x":1.5', '"x":1e2', '"x":9007199254740992', '"a b":1', '"":1', '"é":1'):
        body = json.dumps(mesh.registration(Node("a")))
        mesh.post("/register", f"{body[:-1]},{odd}}}".encode()).refused(400, "not_canonical")
        body = json.dumps(mesh.beat(Node("a")))
        mesh.post("/heartbeat", f"{body[:-1]},{odd}}}".encode()).refused(400, "not_canonical")


def test_blanks_and_the_order_of_keys_do_not_matter_to_the_signature(mesh):
    body = mesh.registration(Node("a"))
    text = json.dumps(dict(sorted(body.items(), reverse=True)), indent=3).replace("a.tail1", "\\u0061.tail1")
    mesh.post("/register", text.encode()).expect(201)


def padded(body, size):
    """The body as JSON of exactly so many bytes."""
    text = json.dumps(body)
    return (text[:-1] + " " * (size - len(text)) + "}").encode()


def test_a_body_of_64_kib_is_taken_and_one_byte_more_is_not(mesh):
    mesh.post("/register", padded(mesh.registration(Node("a")), LIMIT)).expect(201)
    mesh.post("/register", padded(mesh.registration(Node("b")), LIMIT + 1)).refused(413, "too_large")
    mesh.post("/register", padded(mesh.registration(Node("b")), 4 * 1024 * 1024)).refused(413, "too_large")
    assert [n["id"] for n in mesh.nodes()] == ["a"]


def chunked(body, size=1000):
    out = b""
    for i in range(0, len(body), size):
        piece = body[i : i + size]
        out += b"%x\r\n%s\r\n" % (len(piece), piece)
    return out + b"0\r\n\r\n"


def post_raw(mesh, headers, body, path="/register", **kw):
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\n" + "".join(f"{h}\r\n" for h in headers) + "\r\n"
    return raw_exchange(mesh.daemon.address, head.encode() + body, **kw)


JSON = "Content-Type: application/json"


def test_chunked_bodies(mesh):
    body = json.dumps(mesh.registration(Node("a"))).encode()
    assert post_raw(mesh, [JSON, "Transfer-Encoding: chunked"], chunked(body)).startswith(b"HTTP/1.1 201 ")
    big = padded(mesh.registration(Node("b")), 3 * LIMIT)
    got = post_raw(mesh, [JSON, "Transfer-Encoding: chunked"], chunked(big))
    assert got.startswith(b"HTTP/1.1 413 ") and b'"too_large"' in got, got[:300]
    assert [n["id"] for n in mesh.nodes()] == ["a"]


def test_lengths_that_contradict_each_other_end_the_connection(mesh):
    """Otherwise a proxy and mesh could disagree on where a request ends, and one client could answer another's request."""
    body = json.dumps(mesh.registration(Node("a"))).encode()
    n = len(body)
    smuggled = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
    for headers in (
        [f"Content-Length: {n}", f"Content-Length: {n + 1}"], [f"Content-Length: {n}", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: chunked", f"Content-Length: {n}"], [f"Content-Length: {n}, {n + 5}"], ["Content-Length: -1"], ["Content-Length: 1x"],
        ["Content-Length: 99999999999999999999"], ["Transfer-Encoding: gzip, chunked"], ["Transfer-Encoding: identity"],
    ):
        got = post_raw(mesh, [JSON, *headers], body + smuggled, timeout=5)
        assert not got or got.split()[1] in (b"400", b"411", b"413", b"501"), (headers, got[:300])
        assert b'"service"' not in got, (headers, "the smuggled request was answered")
    assert mesh.nodes() == []


def test_a_body_that_ends_early_changes_nothing(mesh_factory):
    mesh = mesh_factory(args=["--idle-timeout", "1s"])
    body = json.dumps(mesh.registration(Node("a"))).encode()
    for _ in range(5):
        post_raw(mesh, [JSON, f"Content-Length: {len(body) + 10}"], body, timeout=5, half_close=True)
    assert mesh.nodes() == []
    mesh.stop()
    assert "connections were cut" not in mesh.daemon.text(), "what will never be whole is not waited for"


def test_expect_100_continue(mesh):
    """A refusal comes instead of the 100, so that a client never sends a body in vain."""
    got = post_raw(mesh, [JSON, f"Content-Length: {LIMIT + 1}", "Expect: 100-continue"], b"", timeout=3)
    assert got.startswith(b"HTTP/1.1 413 ") and b"too_large" in got, got[:300]
    body = json.dumps(mesh.registration(Node("a"))).encode()
    got = post_raw(mesh, [JSON, f"Content-Length: {len(body)}", "Expect: 100-continue"], body, timeout=3)
    assert b"HTTP/1.1 201 " in got, got[:300]


def test_media_types(mesh):
    node = Node("a")
    for media in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonx"):
        mesh.post("/register", mesh.registration(node), headers={"Content-Type": media}).refused(415, "unsupported_media_type")
    for i, media in enumerate(("application/json; charset=utf-8", "APPLICATION/JSON", "application/json;charset=UTF-8")):
        mesh.post("/register", mesh.registration(Node(f"n{i}")), headers={"Content-Type": media}).expect(201)


def test_a_body_where_none_is_taken(mesh):
    mesh.client.call("GET", "/nodes", b'{"a":1}').refused(400, "unexpected_body")


@each(
    "line",
    [
        b"GET /nodes/%ff HTTP/1.1", b"GET /nodes/%00 HTTP/1.1", b"GET /nodes/a%00b HTTP/1.1", b"GET /nodes/%zz HTTP/1.1", b"GET /nodes?status=%ff HTTP/1.1",
        b"GET /nodes?limit=%00 HTTP/1.1", b"GET /nodes?status=%zz HTTP/1.1", b"GET /../../etc/passwd HTTP/1.1", b"GET /nodes/..%2f..%2fetc HTTP/1.1",
        b"GET //nodes HTTP/1.1", b"BREW /nodes HTTP/1.1", b"GET /" + b"a" * 20_000 + b" HTTP/1.1", b"GET /nodes?" + b"x=y&" * 5000 + b" HTTP/1.1",
        b"get /nodes HTTP/1.1", b"GET /nodes HTTP/9.9", b"\x16\x03\x01\x02\x00\x01\x00", b"GET", b"GET /nodes HTTP/1.1\r\nX: " + b"y" * 100_000,
    ],
)
def test_odd_request_lines_and_headers(mesh, line):
    got = raw_exchange(mesh.daemon.address, line + b"\r\nHost: x\r\nConnection: close\r\n\r\n", timeout=5)
    if got:
        assert got.startswith(b"HTTP/1.") and got.split()[1][:1] == b"4" or got.split()[1] in (b"501", b"505"), got[:300]
    mesh.get("/health").expect(200)


def test_random_bytes_do_no_harm(mesh):
    rng = random.Random(1)
    body = mesh.registration(Node("a"))
    good = json.dumps(body, separators=(",", ":")).encode()
    for _ in range(300):
        broken = bytearray(good)
        for _ in range(rng.randrange(1, 6)):
            at = rng.randrange(len(broken))
            if rng.random() < 0.3:
                del broken[at : at + rng.randrange(1, 20)]
            else:
                broken[at] = rng.randrange(256)
        answer = mesh.post("/register", bytes(broken))
        if answer.status in (201, 409):
            # By chance only the spelling of the signature changed.
            assert {**oracle.parse_strict(broken.decode()), "signature": 0} == {**body, "signature": 0}
        else:
            assert answer.status in (400, 401), answer
