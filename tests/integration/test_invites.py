"""Promise: an invite admits as many nodes as its sovereign said, until it expires or is revoked, and nobody who only sees the traffic can use it."""

from concurrent.futures import ThreadPoolExecutor

from tana_testing import oracle
from tana_testing.each import each
from tana_testing.mesh import Node, now
from tana_testing.shim import Faults


def row(mesh, invite):
    return next(r for r in mesh.get("/invites").expect(200)["invites"] if r["public_key"] == invite.public)


def test_an_invited_node_is_active_at_once(mesh):
    invite = mesh.invite(uses=2)
    node = Node("a")
    with mesh.events() as stream:
        assert mesh.register(node, invite=invite).expect(201)["status"] == "active"
        stream.wait("node.registered", "a")
        stream.wait("node.approved", "a")
    shown = mesh.node(node)
    assert shown["status"] == "active" and shown["approved_by"] == mesh.sovereign.public and shown["approved_at"] is not None
    state = row(mesh, invite)
    assert (state["uses"], state["used"], state["created_by"], state["revoked_at"]) == (2, 1, mesh.sovereign.public, None)
    mesh.verify()


def test_a_waiting_node_may_use_an_invite_later_and_a_denied_one_may_not(mesh):
    invite = mesh.invite(uses=5)
    waiting, denied = mesh.pending("waiting"), mesh.pending("denied")
    mesh.decide("deny", denied).expect(200)
    assert mesh.register(waiting, invite=invite).expect(200)["status"] == "active"
    assert mesh.register(denied, invite=invite).expect(200)["status"] == "denied"
    assert row(mesh, invite)["used"] == 1
    mesh.register(waiting, invite=invite).expect(200)
    assert row(mesh, invite)["used"] == 1
    mesh.verify()


def test_uses_are_counted_exactly_under_a_rush(mesh):
    invite = mesh.invite(uses=7)
    bodies = [mesh.registration(Node(f"n{i}"), invite=invite) for i in range(24)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda b: mesh.post("/register", b), bodies))
    won = [a for a in answers if a.status == 201]
    assert len(won) == 7 and all(a.code == "invite_invalid" and a.status == 403 for a in answers if a not in won)
    assert row(mesh, invite)["used"] == 7 and len(mesh.nodes(status="active")) == 7 and len(mesh.nodes()) == 7
    mesh.verify()


def test_an_expired_invite(mesh_factory, tmp_path):
    faults = Faults(tmp_path)
    mesh = mesh_factory(env=faults.env)
    invite = mesh.invite(uses=3, expires=now() + 120_000)
    mesh.register(Node("a"), invite=invite).expect(201)
    faults.set_clock(121_000)
    mesh.register(Node("b"), invite=invite).refused(403, "invite_invalid")
    assert mesh.status(Node("b")) is None


def test_a_used_up_a_revoked_and_an_unknown_invite(mesh):
    used, revoked = mesh.invite(), mesh.invite(uses=9)
    mesh.register(Node("a"), invite=used).expect(201)
    mesh.register(Node("b"), invite=used).refused(403, "invite_invalid")
    mesh.post("/invites/revoke", mesh.revocation(revoked)).expect(200)
    mesh.register(Node("b"), invite=revoked).refused(403, "invite_invalid")
    assert row(mesh, revoked)["revoked_at"] is not None
    mesh.register(Node("b"), invite=oracle.Key()).refused(403, "invite_invalid")
    mesh.restart()
    mesh.register(Node("b"), invite=used).refused(403, "invite_invalid")
    mesh.register(Node("b"), invite=revoked).refused(403, "invite_invalid")
    mesh.verify()


def test_an_invite_use_names_the_node_its_key_and_the_network(mesh):
    invite = mesh.invite(uses=9)
    node, other = Node("a"), Node("b")
    for use in (
        mesh.invite_use(invite, other), mesh.invite_use(invite, node, network="mainnet"), {"publicKey": invite.public, "signature": oracle.Key().sign("x")},
        {"publicKey": invite.public, "signature": invite.sign("tana-mesh:testnet:invite-use:a")},
    ):
        mesh.register(node, before={"invite": use}).refused(401, "bad_signature")
    assert row(mesh, invite)["used"] == 0
    mesh.register(node, before={"invite": mesh.invite_use(invite, node)}).expect(201)


def test_an_observer_cannot_add_an_invite_to_anothers_registration(mesh):
    invite = mesh.invite(uses=9)
    node = Node("a")
    mesh.register(node, after={"invite": mesh.invite_use(invite, node)}).refused(401, "bad_signature")


def test_a_removed_node_does_not_come_back_by_its_recorded_invitation(mesh):
    invite = mesh.invite(uses=9)
    for name, ahead in (("a", 0), ("b", 240_000)):
        node = Node(name)
        recorded = mesh.registration(node, invite=invite, timestamp=now() + ahead)
        mesh.post("/register", recorded).expect(201)
        mesh.decide("remove", node).expect(200)
        mesh.post("/register", recorded).refused(409, "replayed")
        assert mesh.status(node) is None


def test_creating(mesh):
    invite = oracle.Key()
    body = mesh.invitation(invite, uses=3)
    answer = mesh.post("/invites", body)
    assert answer.status in (200, 201)
    state = row(mesh, invite)
    assert (state["uses"], state["used"], state["expires"]) == (3, 0, body["expires"])
    mesh.post("/invites", mesh.invitation(invite)).refused(409, "already_exists")
    mesh.post("/invites", mesh.invitation(oracle.Key(), expires=now() - 1000)).refused(422, "refused")


def test_the_list_comes_in_pages_newest_first(mesh):
    made = [mesh.invite().public for _ in range(5)][::-1]
    for limit in (1, 2, 4, 5, 1000):
        assert [r["public_key"] for r in mesh.pages("/invites", "invites", limit=limit)] == made
    page = mesh.get("/invites", {"limit": 2}).expect(200)
    mesh.invite()
    rest = mesh.pages("/invites", "invites", limit=2, cursor=page["nextCursor"])
    assert [r["public_key"] for r in page["invites"] + rest] == made
    assert "nextCursor" not in mesh.get("/invites").expect(200)


@each("change", [{"uses": 4}, {"expires": 99999999999999}])
def test_the_sovereign_signs_uses_and_expiry(mesh, change):
    invite = oracle.Key()
    mesh.post("/invites", {**mesh.invitation(invite, uses=3), **change}).refused(401, "bad_signature")
    assert mesh.get("/invites").expect(200)["invites"] == []


@each("uses", [0, -1, 2**53])
def test_uses_out_of_range(mesh, uses):
    mesh.post("/invites", mesh.invitation(oracle.Key(), uses=uses)).refused(400, "malformed_field")


def test_revoking(mesh):
    mesh.post("/invites/revoke", mesh.revocation(oracle.Key())).refused(404, "unknown_invite")
    invite = mesh.invite()
    mesh.post("/invites/revoke", mesh.revocation(invite)).expect(200)
    mesh.post("/invites/revoke", mesh.revocation(invite)).refused(409, "wrong_state")


def test_invites_beyond_the_cap_of_pending_nodes(mesh_factory):
    """A full waiting room does not keep invited nodes out."""
    mesh = mesh_factory(args=["--pending-max", "1"])
    mesh.pending("a")
    mesh.register(Node("b")).refused(503, "overloaded")
    mesh.register(Node("b"), invite=mesh.invite()).expect(201)
