"""Promise: only a caller that shows who he is, and whom the operator lets, changes or lists anything; when nobody can be asked, nobody new gets in."""

import json
import time

import pytest
from tana_testing import oracle
from tana_testing.each import each
from tana_testing.mesh import DROP, Node
from tana_testing.t4 import ALL, DELETE, LIST, NODE, PUT, Service, blob, jwt, part, sha

PUT_200 = (200, 201)


@pytest.fixture
def stored(t4):
    t4.name = t4.store(b"stored")
    return t4


def calls(t4, token, scopes=(PUT, DELETE, LIST)):
    """Each protected call with this token."""
    out = []
    if PUT in scopes:
        out.append(t4.put(b"stored", token=token))
    if LIST in scopes:
        out.append(t4.page(token))
    if DELETE in scopes:
        out.append(t4.delete("0" * 64, token=token))
    return out


def refused(t4, token, status, code):
    for answer in calls(t4, token):
        answer.refused(status, code)
        if status == 401:
            assert answer.header("WWW-Authenticate").startswith("Bearer"), answer
    assert t4.get(sha(b"stored")).status == 200


def allowed(t4, token, scopes=(PUT, DELETE, LIST)):
    assert [a.status for a in calls(t4, token, scopes)] == [{PUT: 200, LIST: 200, DELETE: 404}[s] for s in (PUT, LIST, DELETE) if s in scopes]


def test_reading_needs_none(stored):
    assert stored.get(stored.name).status == 200
    assert stored.missing([stored.name]).expect(200) == {"missing": []}
    stored.stats()


def test_none(stored):
    refused(stored, False, 401, "unauthenticated")


@each("value", ["", "Bearer", "Bearer ", "Basic Zm9vOmJhcg==", "Token {t}", "{t}", "Bearer\t{t}", "BearerX {t}"])
def test_authorizations_that_are_no_bearer_token(stored, value):
    value = value.format(t=stored.ledger.token())
    with stored.wire() as w:
        w.head("DELETE", f"/content/{stored.name}", ("Authorization", value))
        answer = stored.checked(w)
        assert answer.status == 401 and answer.code in ("unauthenticated", "token_invalid"), answer


def test_a_good_one(stored):
    allowed(stored, stored.ledger.token())
    allowed(stored, stored.ledger.token(aud="t4"))
    allowed(stored, Service(NODE, "ledger", stored.ledger.key).token(life=3600))
    with stored.wire() as w:
        w.head("DELETE", f"/content/{stored.name}", ("authorization", f"bearer   {stored.ledger.token()}"))
        stored.checked(w).expect(200)


def text_of(claims):
    return json.dumps(claims, separators=(",", ":"))


@each(
    "changes",
    [
        {"header": {"alg": "none"}}, {"header": {"alg": "HS256"}}, {"header": {"alg": "eddsa"}}, {"header": {"alg": "EdDSA "}}, {"header": {"alg": DROP}}, {"header": {"alg": None}},
        {"header": {"alg": ["EdDSA"]}}, {"header": {"typ": "jwt+x"}}, {"header": {"kid": DROP}}, {"header": {"kid": "node-a/t4"}}, {"header": {"kid": "node-b/ledger"}},
        {"header": {"kid": "ledger"}}, {"header": {"kid": "node-a/ledger/x"}}, {"header": {"kid": "NODE-A/ledger"}}, {"header": {"crit": ["exp"]}}, {"header": {"crit": []}},
        {"after": {"iss": "node-b"}}, {"after": {"sub": "t4"}}, {"after": {"iss": DROP}}, {"after": {"sub": DROP}}, {"after": {"sub": "Ledger"}}, {"after": {"iss": ["node-a"]}},
        {"aud": "node-b/t4"}, {"aud": "node-a/ledger"}, {"aud": "ledger"}, {"aud": "node-a"}, {"aud": "node-a/"}, {"aud": "/t4"}, {"aud": ["node-a/t4"]}, {"aud": ""}, {"after": {"aud": DROP}},
        {"aud": "node-a/t4 "}, {"aud": "*"}, {"life": 3601}, {"life": 10**12}, {"life": 0}, {"life": -10}, {"at": 120}, {"at": 3000, "life": 10},
        {"after": {"exp": DROP}}, {"after": {"iat": DROP}}, {"after": {"exp": 2**63}}, {"after": {"exp": 2**53}}, {"after": {"exp": -1}}, {"after": {"iat": 0}}, {"after": {"exp": "9999999999"}},
        {"after": {"exp": 9999999999.5}}, {"after": {"exp": None}}, {"after": {"jti": DROP}}, {"after": {"jti": ""}}, {"after": {"jti": "x" * 129}}, {"after": {"content": "A" * 64}},
        {"after": {"content": "abc"}}, {"after": {"size": -1}}, {"after": {"size": "6"}}, {"after": {"scope": ["content:put"]}}, {"after": {"padding": "x" * 4000}}, {"key": oracle.Key()},
    ],
)
def test_forged_and_foreign_ones(stored, changes):
    refused(stored, stored.ledger.token(**changes), 401, "token_invalid")


def test_texts_that_are_no_tokens(stored):
    good = stored.ledger.token()
    header, claims, signature = good.split(".")
    texts = [
        "x", "..", "...", f"{header}.{claims}", f"{header}.{claims}.", f"{header}.{claims}.{signature}.", f".{claims}.{signature}", f"{header}..{signature}", f"{header}.{claims}.{signature}=",
        f"{header}=.{claims}.{signature}", f"{header}.{claims}.{signature[:-1]}", f"{header}.{claims}.{signature}A", f"{header}.{claims}.{'A' * 86}", f"{header}.{claims}.{signature[:-2]}+/",
        f"{claims}.{header}.{signature}", f"{header}.{claims}.{signature} x", f"{header}.{claims}. {signature}", good[:-1] + ("B" if good[-1] == "A" else "A"), "a" * 5000,
        jwt("[]", "{}", stored.ledger.key), jwt("null", "null", stored.ledger.key), jwt("{", "}", stored.ledger.key), jwt(b"\xff", b"\xff", stored.ledger.key), jwt("", "", stored.ledger.key),
        jwt("[" * 500, "[" * 500, stored.ledger.key), f"{part({'alg': 'none', 'kid': stored.ledger.name})}.{claims}.",
    ]
    for text in texts:
        refused(stored, text, 401, "token_invalid")


def test_claims_given_twice(stored):
    now = int(time.time())
    base = text_of({"iss": NODE, "sub": "ledger", "aud": "t4", "iat": now, "exp": now + 60, "jti": "1", "scope": LIST})
    for doubled in (f'"scope":"{ALL}"', f'"exp":{now + 9999999}', '"aud":"t4"'):
        token = jwt({"alg": "EdDSA", "kid": stored.ledger.name}, base[:-1] + "," + doubled + "}", stored.ledger.key)
        refused(stored, token, 401, "token_invalid")
    token = jwt(f'{{"alg":"none","alg":"EdDSA","kid":"{stored.ledger.name}"}}', base, stored.ledger.key)
    refused(stored, token, 401, "token_invalid")


def test_every_byte_of_the_signed_part_counts(stored):
    good = stored.ledger.token(life=60)
    signed, signature = good.rsplit(".", 1)
    for at in range(0, len(signed), 3):
        other = "A" if signed[at] != "A" else "B"
        changed = f"{signed[:at]}{other}{signed[at + 1:]}.{signature}"
        answer = stored.delete(stored.name, token=changed)
        answer.refused(401, "token_invalid")


def test_times(stored):
    refused(stored, stored.ledger.token(at=-301), 401, "token_expired")
    refused(stored, stored.ledger.token(at=-3600, life=3600), 401, "token_expired")
    allowed(stored, stored.ledger.token(at=50))
    allowed(stored, stored.ledger.token(at=-290))


def test_unknown_callers(stored):
    for caller in (Service(NODE, "identity"), Service("node-b"), Service(NODE, "x-new")):
        refused(stored, caller.token(), 401, "token_invalid")


def test_scopes(stored):
    ledger = stored.ledger
    for scope in (PUT, DELETE, LIST):
        token = ledger.token(scope)
        allowed(stored, token, (scope,))
        for other in {PUT, DELETE, LIST} - {scope}:
            for answer in calls(stored, token, (other,)):
                answer.refused(403, "scope_missing")
    for scope in ("", "content", "content:*", "*", "content:puts", "Content:put", "xcontent:put", "content:put,content:delete,content:list", "content:put\tcontent:list", "content:\u0070ut\u0000"):
        for answer in calls(stored, ledger.token(scope)):
            assert answer.status in (401, 403) and answer.code in ("scope_missing", "token_invalid"), answer
    refused(stored, ledger.token(after={"scope": DROP}), 403, "scope_missing")
    allowed(stored, ledger.token(f"ledger:read {ALL} other:thing"))


def test_bound_to_content_and_size(stored):
    ledger, data = stored.ledger, blob(500)
    for bound in ({"content": sha(b"other")}, {"size": 499}, {"size": 501}, {"content": sha(data), "size": 501}, {"size": 0}):
        stored.put(data, token=ledger.token(PUT, **bound)).refused(403, "token_bound")
    assert sha(data) not in stored.files()
    grant = ledger.grant(data)
    stored.put(data, token=grant).expect(201)
    stored.put(data, token=grant).expect(200)
    stored.page(grant).refused(403, "scope_missing")
    other = blob(500)
    stored.put(other, token=grant).refused(403, "token_bound")
    stored.put(other, sha(data), token=grant).refused(400, "hash_mismatch")
    stored.delete(stored.name, token=ledger.token(DELETE, content=sha(data))).refused(403, "token_bound")
    stored.delete(sha(data), token=ledger.token(DELETE, content=sha(data))).expect(200)


def test_a_chunked_body_outgrows_what_its_token_is_bound_to(stored):
    data = blob(100_000)
    for size in (99_999, 100_001):
        with stored.upload(sha(data), ("Transfer-Encoding", "chunked"), token=stored.ledger.token(PUT, size=size)) as w:
            w.chunk(data)
            w.send(b"0\r\n\r\n")
            stored.checked(w).refused(403, "token_bound")
    assert sha(data) not in stored.files() and stored.temporary() == []
    with stored.upload(sha(data), ("Transfer-Encoding", "chunked"), token=stored.ledger.grant(data)) as w:
        w.chunk(data)
        w.send(b"0\r\n\r\n")
        stored.checked(w).expect(201)


# -- other nodes


def test_services_of_other_nodes(t4_factory):
    """A good key says who calls; what he may do the operator says."""
    plain, putter, lister, both = (Service(f"node-{x}") for x in "bcde")
    foreign = [plain, putter, lister, both]
    t4 = t4_factory(
        "--allow", f"{putter.name}={PUT}", "--allow", f"{lister.name}={LIST},{DELETE}", "--allow", f"{both.name}={PUT}", "--allow", f"{both.name}={LIST}", trust=foreign,
    )
    t4.store(b"stored")
    refused(t4, plain.token(), 403, "not_allowed")
    granted = {putter: {PUT}, lister: {LIST, DELETE}, both: {PUT, LIST}}
    for service, scopes in granted.items():
        allowed(t4, service.token(), scopes)
        for scope in {PUT, DELETE, LIST} - scopes:
            for answer in calls(t4, service.token(), (scope,)):
                answer.refused(403, "not_allowed")
            # What is allowed here and not asked for in the token is not given either.
        for scope in scopes:
            for answer in calls(t4, service.token("other"), (scope,)):
                answer.refused(403, "scope_missing")
        # A bare service name is for the own node's callers.
        refused(t4, service.token(aud="t4"), 401, "token_invalid")


def test_another_service_of_an_allowed_node(t4_factory):
    ledger, identity = Service("node-b"), Service("node-b", "identity")
    t4 = t4_factory("--allow", f"{ledger.name}={ALL.replace(' ', ',')}", trust=[ledger, identity])
    t4.store(b"stored")
    allowed(t4, ledger.token())
    refused(t4, identity.token(), 403, "not_allowed")


@each("value", ["node-b/ledger", "node-b=content:put", "node-b/ledger=", "node-b/ledger=put", "node-b/ledger=content:put,all", "/ledger=content:put", "NODE/ledger=content:put", "node-b/l/x=content:put"])
def test_allowances_that_are_none(t4_factory, value):
    t4_factory("--allow", value, start=False).daemon.refuse_to_start("--allow")


@each("value", ["node-a/ledger", "node-a/ledger=", "node-a/ledger=abc", "=ed25519_" + "a" * 64, "node-a=ed25519_" + "a" * 64, "node-a/ledger=ed25519_" + oracle.SMALL_ORDER_KEYS[0]])
def test_trusted_keys_that_are_none(t4_factory, value):
    t4_factory("--trust-key", value, start=False).daemon.refuse_to_start("key to trust")


def test_without_a_node_id(t4_factory):
    t4_factory(start=False, node="").daemon.refuse_to_start("--node-id")
    t4_factory(start=False, node="Not An Id").daemon.refuse_to_start("--node-id")


# -- keys from mesh


def member(mesh, service):
    """The service's node, registered with its key and approved."""
    node = Node(service.node, services=[{"type": service.service, "port": 8080, "publicKey": service.key.public}])
    mesh.register(node).expect(201)
    return node


def url(mesh):
    return f"http://{mesh.daemon.address}"


def test_keys_from_mesh(mesh, t4_factory):
    own, other = Service(NODE, "identity"), Service("node-b")
    node = member(mesh, own)
    t4 = t4_factory("--mesh-url", url(mesh))
    t4.store(b"stored")
    refused(t4, own.token(), 401, "token_invalid")  # registered, and not approved
    mesh.decide("approve", node).expect(200)
    t4.restart()
    allowed(t4, own.token())
    refused(t4, Service(NODE, "identity").token(), 401, "token_invalid")  # the name is known, the key is another
    # Of another node: known, and nothing is granted to it.
    mesh.decide("approve", member(mesh, other)).expect(200)
    t4.restart()
    refused(t4, other.token(), 403, "not_allowed")


def test_a_removed_node_is_out(mesh, t4_factory):
    own = Service(NODE, "identity")
    node = member(mesh, own)
    mesh.decide("approve", node).expect(200)
    t4 = t4_factory("--mesh-url", url(mesh))
    t4.store(b"stored")
    allowed(t4, own.token())
    mesh.decide("remove", node).expect(200)
    t4.restart()
    # Another unknown caller makes it look again, so that no kept copy is left when our own is judged.
    refused(t4, Service("node-x").token(), 401, "token_invalid")
    refused(t4, own.token(), 401, "token_invalid")


def test_mesh_is_away(mesh, t4_factory):
    """Known keys go on, over a restart too; what cannot be asked about is never allowed."""
    own, late = Service(NODE, "identity"), Service(NODE, "x-late")
    mesh.decide("approve", member(mesh, own)).expect(200)
    t4 = t4_factory("--mesh-url", url(mesh))
    t4.store(b"stored")
    allowed(t4, own.token())
    mesh.stop()
    allowed(t4, own.token())
    t4.restart()
    allowed(t4, own.token())
    refused(t4, late.token(), 401, "token_invalid")


def test_mesh_was_never_there(mesh, t4_factory):
    address = url(mesh)
    mesh.stop()
    t4 = t4_factory("--mesh-url", address)
    t4.store(b"stored")  # by the key given by hand
    refused(t4, Service(NODE, "identity").token(), 401, "token_invalid")
    t4.client.get("/health").expect(200)


def test_a_kept_copy_of_keys_that_was_tampered_with(mesh, t4_factory):
    own = Service(NODE, "identity")
    mesh.decide("approve", member(mesh, own)).expect(200)
    t4 = t4_factory("--mesh-url", url(mesh))
    t4.store(b"stored")
    allowed(t4, own.token())
    mesh.stop()
    t4.daemon.terminate()
    kept = t4.data / "mesh-keys.json"
    whole = kept.read_bytes()
    for broken in (b"", b"{}", whole[: len(whole) // 2], whole.replace(b'"', b"'"), b"\0" * 1000):
        kept.write_bytes(broken)
        t4.start()
        refused(t4, own.token(), 401, "token_invalid")
        t4.daemon.terminate()
        t4.client.close()
    kept.write_bytes(whole)
    t4.start()
    allowed(t4, own.token())
