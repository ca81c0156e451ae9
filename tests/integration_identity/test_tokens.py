"""Promise: whoever has a token sees where they are logged in, can end any of it, and learns nothing that is another's."""

from tana_testing.client import eventually
from tana_testing.daemon import PATIENCE
from tana_testing.each import each
from tana_testing.identity import Phone, Stream, bearer


@each(
    "headers",
    [
        {}, {"Authorization": ""}, {"Authorization": "Basic YTpi"}, {"Authorization": "tana_st_x"}, {"Authorization": "Bearer"}, {"Authorization": "Bearer "},
        {"Cookie": "tana_session=tana_st_x"},
    ],
)
def test_without_a_token(identity, headers):
    for path in ("/auth/session/verify", "/auth/sessions", "/users/x/events"):
        answer = identity.get(path, headers=headers)
        assert answer.refused(401, "unauthenticated")["valid"] is False
        assert answer.header("WWW-Authenticate") == 'Bearer realm="tana"'
    identity.post("/auth/session/revoke", headers=headers).refused(401, "unauthenticated")


@each("token", ["x", "tana_st_", "tana_st_" + "A" * 43, "tana_st_" + "A" * 500, "tana_st_\u00e9", "null", "tana_st_' OR 1=1--"])
def test_tokens_that_never_were(identity, token):
    token = token.encode("utf-8").decode("latin-1")
    assert identity.verify(token).refused(401, "token_invalid")["valid"] is False
    for path in ("/auth/sessions", "/users/x/events"):
        identity.get(path, headers=bearer(token)).refused(401, "token_invalid")
    identity.post("/auth/session/revoke", headers=bearer(token)).refused(401, "token_invalid")


def test_one_login_ends(identity):
    login, token = identity.logged_in()
    identity.verify(f" {token}").expect(200)
    assert identity.post("/auth/session/revoke", headers=bearer(token)).expect(200) == {"success": True, "revoked": 1}
    identity.verify(token).refused(401, "token_invalid")
    identity.post("/auth/session/revoke", headers=bearer(token)).refused(401, "token_invalid")
    identity.verify(login.token).expect(200)  # the desktop's is another
    # A token that was ended is not handed out any more.
    assert login.see().expect(200)["sessionToken"] == login.token
    assert identity.post("/auth/session/revoke", headers=bearer(login.token)).expect(200)["revoked"] == 1
    assert "sessionToken" not in login.see().expect(200)
    with login.stream() as stream:
        assert "sessionToken" not in stream.until("approved")
    assert identity.get(login.path + "/continue", headers={"Cookie": f"tana_poll={login.secret}"}).header("Set-Cookie") is None


def test_all_of_them_and_one_by_its_id(identity):
    phone = Phone()
    logins = [identity.logged_in(phone) for _ in range(3)]
    stranger, strange_token = identity.logged_in(Phone("@bob"))
    token = logins[0][1]
    mine = identity.get("/auth/sessions", headers=bearer(token)).expect(200)["sessions"]
    assert len(mine) == 6 and sum(s["current"] for s in mine) == 1 and {s["kind"] for s in mine} == {"desktop", "phone"}
    assert all(s["ip"] == "127.0.0.1" and s["appName"] == "Test" and "clientId" not in s for s in mine)
    text = repr(mine)
    for secret in (token, logins[0][0].token, logins[0][0].secret):
        assert secret not in text
    theirs = identity.get("/auth/sessions", headers=bearer(strange_token)).expect(200)["sessions"]
    assert len(theirs) == 2
    # Another's id is nobody's.
    identity.post("/auth/session/revoke", {"id": theirs[0]["id"]}, headers=bearer(token)).refused(404, "not_found")
    other = next(s for s in mine if not s["current"])
    assert identity.post("/auth/session/revoke", {"id": other["id"]}, headers=bearer(token)).expect(200)["revoked"] == 1
    assert identity.post("/auth/session/revoke", {"all": True}, headers=bearer(token)).expect(200)["revoked"] == 5
    for login, phones in logins:
        identity.verify(login.token).refused(401, "token_invalid")
        identity.verify(phones).refused(401, "token_invalid")
    identity.verify(strange_token).expect(200)
    identity.verify(stranger.token).expect(200)


@each("body, code", [(b"{", "malformed_json"), (b'{"all":true,"all":false}', "duplicate_key"), ({"all": "yes"}, "malformed_field"), ({"id": 5}, "malformed_field")])
def test_revocations_that_cannot_be_read(identity, body, code):
    _, token = identity.logged_in()
    identity.post("/auth/session/revoke", body, headers=bearer(token)).refused(400, code)
    identity.verify(token).expect(200)


def test_ones_own_logins(identity):
    alice, bob = Phone("@alice"), Phone("@bob")
    _, token = identity.logged_in(alice)
    _, other = identity.logged_in(bob)
    path = f"/users/{alice.user_id}/events"
    login, _ = identity.logged_in(alice)
    events = identity.get(path, headers=bearer(token)).expect(200)["events"]
    assert [e["type"] for e in events] == ["login", "login"] and events[0]["time"] >= events[1]["time"]
    assert {e["publicKey"] for e in events} == {alice.key.public}
    assert login.id not in repr(events) and login.token not in repr(events)
    identity.get(path, headers=bearer(other)).refused(403, "not_allowed")
    # As a stream: those to come.
    with Stream(identity.address, path, bearer(token)) as stream:
        assert stream.status == 200
        login, _ = identity.logged_in(alice)
        assert stream.until("login")["publicKey"] == alice.key.public
        identity.logged_in(bob)
        identity.logged_in(alice)
        eventually(lambda: len(stream.events) == 2, what="two logins of alice")
        assert login.id not in repr(stream.events) and login.token not in repr(stream.events)


def test_a_stream_ends_with_its_token(identity_factory):
    """Whoever has a stolen token's stream open hears nothing any more once it is revoked: here at once, at another instance before the next login is told."""
    identity = identity_factory()
    other = identity_factory(db_url=identity.db_url)
    alice = Phone("@alice")
    _, stolen = identity.logged_in(alice)
    login, own = identity.logged_in(alice)
    path = f"/users/{alice.user_id}/events"
    with Stream(identity.address, path, bearer(stolen)) as theirs, Stream(other.address, path, bearer(stolen)) as there, Stream(identity.address, path, bearer(login.token)) as mine:
        named = next(s["id"] for s in identity.get("/auth/sessions", headers=bearer(stolen)).expect(200)["sessions"] if s["current"])
        identity.post("/auth/session/revoke", {"id": named}, headers=bearer(own)).expect(200)
        assert theirs.until_end() == []
        other.logged_in(alice)
        identity.logged_in(alice)
        assert there.until_end() == []
        mine.until("login")
        assert not mine.ended
        eventually(lambda: other.metric("tana_identity_user_streams") == 0, within=10 * PATIENCE, what="the stream to be gone")


def test_streams_of_a_user(identity):
    phone = Phone()
    _, token = identity.logged_in(phone)
    path, asked = f"/users/{phone.user_id}/events", {**bearer(token), "Accept": "text/event-stream"}
    streams = [Stream(identity.address, path, asked).start() for _ in range(4)]
    identity.get(path, headers=asked).refused(429, "too_many_streams")
    for s in streams:
        s.close()


def test_a_streams_own_answer_may_be_the_list(identity):
    """Whoever does not ask for a stream gets a list, whatever else they accept."""
    phone = Phone()
    _, token = identity.logged_in(phone)
    for accept in ("*/*", "application/json", "text/html"):
        identity.get(f"/users/{phone.user_id}/events", headers={**bearer(token), "Accept": accept}).expect(200)


def test_tokens_have_their_time(identity_factory, rows):
    identity = identity_factory("--token-ttl", "1500ms")
    login, token = identity.logged_in()
    identity.verify(token).expect(200)
    eventually(lambda: identity.verify(token).status == 401, within=10 * PATIENCE, what="the token's end")
    for path in ("/auth/session/verify", "/auth/sessions", "/users/x/events"):
        identity.get(path, headers=bearer(token)).refused(401, "token_expired")
    identity.verify(login.token).refused(401, "token_expired")
    identity.post("/auth/session/revoke", headers=bearer(token)).refused(401, "token_expired")
    # They stay a while, so that they are told from unknown ones.
    assert rows(identity, "SELECT COUNT(*) FROM sessions WHERE desktop_hash IS NOT NULL AND phone_hash IS NOT NULL") == [(1,)]
