"""Promise: nobody can take more than their share, and pages of other origins only get what the operator allows."""

import pytest
from tana_testing.client import eventually
from tana_testing.daemon import PATIENCE
from tana_testing.identity import POLL, Login, Phone, Stream, bearer

APP = "https://app.example"


def test_streams_of_a_session(identity_factory):
    identity = identity_factory("--streams-per-session", "4", "--streams-per-address", "6", "--trusted-proxy", "127.0.0.1")
    login, other = identity.login(), identity.login()
    streams = [login.stream().start() for _ in range(4)]
    answer = identity.get(login.path + "/events")
    assert int(answer.header("Retry-After")) > 0
    answer.refused(429, "too_many_streams")
    # A ticket counts once, and for a stream: none came of it, so it is not used up.
    ticket = {"ticket": login.ticket().expect(200)["ticket"]}
    for _ in range(2):
        identity.get(login.path + "/events", ticket).refused(429, "too_many_streams")
    streams.pop(0).close()
    eventually(lambda: identity.metric("tana_identity_session_streams") == 3, within=10 * PATIENCE, what="three streams")
    streams.insert(0, login.stream(False, "?ticket=" + ticket["ticket"]).start())
    identity.get(login.path + "/events", ticket).refused(401, "ticket_invalid")
    streams.append(other.stream().start())  # of loopback as many as there are
    for s in streams:
        s.until("connected")
    assert identity.metric("tana_identity_session_streams") == 5
    login.reject().expect(200)
    for s in streams[:4]:
        s.until_end()
    eventually(lambda: identity.metric("tana_identity_session_streams") == 1, within=10 * PATIENCE, what="one stream")
    for s in streams:
        s.close()
    with login.stream() as stream:
        stream.until("rejected")


def test_streams_to_an_address(identity_factory):
    identity = identity_factory("--streams-per-address", "2", "--trusted-proxy", "127.0.0.1")
    logins = [identity.login() for _ in range(3)]
    far = {"X-Forwarded-For": "192.0.2.7"}
    streams = [Stream(identity.address, one.path + "/events", far).start() for one in logins[:2]]
    identity.get(logins[2].path + "/events", headers=far).refused(429, "too_many_streams")
    with Stream(identity.address, logins[2].path + "/events", {"X-Forwarded-For": "192.0.2.8"}) as stream:
        stream.until("status_update")
    for s in streams:
        s.close()


def test_rates(identity_factory):
    identity = identity_factory("--rate-limit", "1", "--rate-burst", "5", "--trusted-proxy", "127.0.0.0/8")
    far = {"X-Forwarded-For": "192.0.2.7"}
    answers = [identity.create(headers=far) for _ in range(8)]
    assert [a.status for a in answers].count(201) in (5, 6, 7) and answers[-1].status in (201, 429)
    refused = [a for a in answers if a.status == 429]
    assert refused and all(a.code == "rate_limited" and int(a.header("Retry-After")) > 0 for a in refused)
    # Approving counts as well, and the page; another address has its own.
    login = identity.login()
    assert [identity.post(login.path + "/approve", Phone().approval(login, after={"timestamp": 1}), headers=far).status for _ in range(5)].count(429) > 0
    assert [identity.get("/login", headers=far, check=False).status for _ in range(5)].count(429) > 0
    identity.create(headers={"X-Forwarded-For": "192.0.2.8"}).expect(201)


def test_waiting_logins(identity_factory):
    identity = identity_factory("--max-sessions", "3")
    # How many wait is counted now and then; in between it is never thought to be fewer.
    made = [eventually(lambda: (a := identity.create()).status == 201 and a, within=10 * PATIENCE, what="room for another") for _ in range(3)]
    identity.create().refused(503, "overloaded")
    Login(identity, made[0].json).reject().expect(200)
    eventually(lambda: identity.create().status == 201, within=10 * PATIENCE, what="room for another")


def test_who_is_behind_a_proxy(identity_factory):
    identity = identity_factory("--trusted-proxy", "127.0.0.1")
    login = Login(identity, identity.create(headers={"X-Forwarded-For": "192.0.2.1, 203.0.113.9"}).expect(201))
    assert login.scan().expect(200)["desktop"]["ip"] == "203.0.113.9"


def test_without_a_trusted_proxy_nobody_is_believed(identity):
    login = Login(identity, identity.create(headers={"X-Forwarded-For": "203.0.113.9"}).expect(201))
    assert login.scan().expect(200)["desktop"]["ip"] == "127.0.0.1"


@pytest.fixture
def open_to_app(identity_factory):
    return identity_factory("--allow-origin", APP, "--allow-return-origin", APP)


def test_pages_of_another_origin(open_to_app):
    asked = {"Origin": APP, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type, x-tana-poll-secret"}
    answer = open_to_app.client.call("OPTIONS", "/auth/session/create", headers=asked, check=False)
    assert answer.status == 204 and answer.header("Access-Control-Allow-Origin") == APP and answer.header("Access-Control-Allow-Credentials") == "true"
    assert "X-Tana-Poll-Secret" in answer.header("Access-Control-Allow-Headers") and "POST" in answer.header("Access-Control-Allow-Methods")
    made = open_to_app.create({"returnUrl": APP + "/done"}, headers={"Origin": APP})
    assert made.header("Access-Control-Allow-Origin") == APP and made.header("Vary") == "Origin"
    login = Login(open_to_app, made.expect(201))
    assert open_to_app.get(login.path, headers={"Origin": APP, POLL: login.secret}).header("Access-Control-Allow-Origin") == APP
    for origin in ("https://evil.example", "null", "https://app.example.evil.example", "http://app.example", APP + ":444"):
        answer = open_to_app.get(login.path, headers={"Origin": origin, POLL: login.secret})
        assert answer.header("Access-Control-Allow-Origin") is None, origin
        answer = open_to_app.client.call("OPTIONS", "/auth/session/create", headers={**asked, "Origin": origin}, check=False)
        assert answer.status == 405 and answer.header("Access-Control-Allow-Origin") is None


def test_without_allowed_origins_there_is_no_cors(identity):
    answer = identity.create(headers={"Origin": APP})
    assert answer.header("Access-Control-Allow-Origin") is None and answer.header("Vary") is None


def test_the_browser_goes_on(open_to_app):
    """What the page does when the phone has approved: the browser is known by its cookie, gets its login and is sent back."""
    login = open_to_app.login({"returnUrl": APP + "/done?x=1"})
    poll = {"Cookie": f"tana_poll={login.secret}"}
    for headers in ({}, poll):
        answer = open_to_app.get(login.path + "/continue", headers=headers)
        assert answer.status == 303 and answer.header("Location") == "/login" and answer.header("Set-Cookie") is None
    login.approve(Phone()).expect(200)
    answer = open_to_app.get(login.path + "/continue")
    assert answer.header("Location") == "/login" and answer.header("Set-Cookie") is None
    answer = open_to_app.get(login.path + "/continue", headers=poll)
    assert answer.status == 303 and answer.header("Location") == APP + "/done?x=1"
    cookies = [v for k, v in answer.headers if k.lower() == "set-cookie"]
    assert f"tana_session={login.token}; Path=/; Max-Age=86400; HttpOnly; SameSite=Lax; Secure" in cookies
    assert f"tana_poll=; Path={login.path}; Max-Age=0; HttpOnly; SameSite=Lax; Secure" in cookies
    # Logged in, the page sends on at once; to nowhere that is not allowed.
    session = {"Cookie": f"tana_session={login.token}"}
    answer = open_to_app.get("/login", {"returnUrl": APP + "/again"}, headers=session)
    assert answer.status == 303 and answer.header("Location") == APP + "/again"
    assert open_to_app.get("/login", {"returnUrl": "/oauth2/x?y=1"}, headers=session).header("Location") == "/oauth2/x?y=1"
    for evil in ("https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/%09/evil.example", "https:evil.example"):
        answer = open_to_app.get("/login", {"returnUrl": evil.replace("%09", "\t")}, headers=session)
        assert answer.status == 400 and answer.header("Location") is None and b"evil" not in answer.body, evil
    page = open_to_app.get("/login", headers=session)
    assert page.status == 200 and b"You are logged in" in page.body
    answer = open_to_app.post("/logout", headers=session)
    assert answer.status == 200 and "tana_session=; Path=/; Max-Age=0" in answer.header("Set-Cookie")
    open_to_app.verify(login.token).refused(401, "token_invalid")
    open_to_app.get("/auth/session/verify", headers=bearer(login.token)).refused(401, "token_invalid")
    assert open_to_app.post("/logout").status == 200


def test_what_every_service_answers(identity):
    answer = identity.get("/openapi.json")
    assert answer.expect(200)["info"]["title"] and identity.get("/openapi.json", headers={"If-None-Match": answer.header("ETag")}).status == 304
    assert identity.get("/health").expect(200)["publicUrl"] == identity.public_url
    assert identity.get("/info").expect(200)["configuration"]["keyBinding"] == "tofu"
    assert identity.get("/ready").status == 200 and identity.metric("tana_identity_sessions_created_total") == 0
