"""Promise: a login goes as the protocol says, from the code on the screen to the token, and nobody without the poll secret ever sees that token."""

import hashlib
import json
import re

from tana_testing.client import eventually
from tana_testing.each import each
from tana_testing.identity import POLL, PUBLIC_URL, Login, Phone, bearer

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


def test_create(identity, rows):
    answer = identity.create({"appName": "Grafana", "appIcon": "https://app.example/icon.png"})
    made = answer.expect(201)
    assert re.fullmatch(r"sess_[0-9a-z]{16}", made["sessionId"])
    assert re.fullmatch(r"[0-9a-f]{64}", made["challenge"])
    assert made["qrData"] == {
        "protocol": "tana", "type": "auth", "version": "1", "sessionId": made["sessionId"], "challenge": made["challenge"], "server": PUBLIC_URL,
        "appName": "Grafana", "appIcon": "https://app.example/icon.png",
    }
    assert made["expiresIn"] == 600 and re.fullmatch(TIME, made["expiresAt"])
    assert made["qrSvgUrl"] == f"{PUBLIC_URL}/auth/session/{made['sessionId']}/qr.svg"
    cookie = answer.header("Set-Cookie")
    assert cookie == f"tana_poll={made['pollSecret']}; Path=/auth/session/{made['sessionId']}; Max-Age=600; HttpOnly; SameSite=Lax; Secure"
    assert answer.header("Cache-Control") == "no-store"
    # Nothing that was handed out is in the database but the session's id and challenge.
    everything = repr(rows(identity, "SELECT * FROM sessions"))
    assert made["sessionId"] in everything and made["pollSecret"] not in everything


def test_names_are_measured_in_characters(identity):
    for name in ("x" * 100, "\u00fc" * 100, "\U0001f511" * 100):
        assert identity.login({"appName": name}).scan().expect(200)["appName"] == name


def test_absent_names_are_null(identity):
    made = identity.create({}).expect(201)
    assert made["qrData"]["appName"] is None and made["qrData"]["appIcon"] is None
    assert Login(identity, made).see().expect(200)["appName"] is None


def test_ids_and_secrets_differ(identity):
    made = [identity.create({}).expect(201) for _ in range(50)]
    for field in ("sessionId", "challenge", "pollSecret"):
        assert len({m[field] for m in made}) == 50


def test_a_whole_login(identity, rows):
    login, phone = identity.login(), Phone()
    assert login.see().expect(200) == {
        "sessionId": login.id, "status": "waiting", "appName": "Test", "appIcon": None, "createdAt": login.see().json["createdAt"],
        "expiresAt": login.created["expiresAt"],
    }
    with login.stream() as stream:
        stream.until("status_update")
        assert stream.types() == ["connected", "status_update"]
        scanned = login.scan().expect(200)
        assert scanned["success"] is True and scanned["challenge"] == login.challenge and scanned["appOrigin"] == PUBLIC_URL
        assert scanned["desktop"] == {"ip": "127.0.0.1", "userAgent": None} and scanned["server"] == PUBLIC_URL
        assert login.status == "scanned"
        eventually(lambda: [e.data.get("status") for e in stream.events] == [None, "waiting", "scanned"], what=f"scanned; came {stream.events}")

        approved = login.approve(phone).expect(200)
        assert approved["success"] is True and (approved["userId"], approved["username"]) == (phone.user_id, phone.username)
        event = stream.until("approved")
        assert event["sessionToken"] == login.token and (event["userId"], event["username"]) == (phone.user_id, phone.username)
        assert stream.until_end() == ["connected", "status_update", "status_update", "approved"]
        assert [e.id for e in stream.events] == [0, 1, 2, 3]

    seen = login.see().expect(200)
    assert seen["status"] == "approved" and re.fullmatch(TIME, seen["approvedAt"])
    assert seen["sessionToken"] == login.token != approved["sessionToken"]
    for token, kind in ((login.token, "desktop"), (approved["sessionToken"], "phone")):
        verified = identity.verify(token).expect(200)
        assert re.fullmatch(r"tana_st_[A-Za-z0-9_-]{43}", token)
        assert verified == {
            "valid": True, "userId": phone.user_id, "username": phone.username, "publicKey": phone.key.public, "expiresAt": approved["expiresAt"], "kind": kind,
        }
    # Tokens are kept as hashes alone.
    kept = rows(identity, "SELECT desktop_hash, phone_hash FROM sessions")
    assert kept == [tuple(hashlib.sha256(t.encode()).digest() for t in (login.token, approved["sessionToken"]))]
    for table in ("sessions", "tickets", "first_keys"):
        text = repr(rows(identity, f"SELECT * FROM {table}"))
        assert login.token not in text and approved["sessionToken"] not in text and login.secret not in text


def test_without_the_secret_no_token(identity):
    login, _ = identity.logged_in()
    other = identity.login()
    for headers in (
        {}, {POLL: ""}, {POLL: "wrong"}, {POLL: other.secret}, {POLL: login.secret + "x"}, {POLL: login.secret[:-1]}, {"Cookie": "tana_poll="},
        {"Cookie": f"tana_poll={other.secret}"}, {"Cookie": f"xtana_poll={login.secret}"}, {"Authorization": f"Bearer {login.secret}"}, bearer(login.id),
    ):
        seen = identity.get(login.path, headers=headers).expect(200)
        assert seen["status"] == "approved" and not {"sessionToken", "userId", "username"} & set(seen), headers
    for headers in ({POLL: login.secret}, {"Cookie": f"tana_poll={login.secret}"}, {"Cookie": f"a=b;tana_poll={login.secret}; c=d"}):
        assert identity.get(login.path, headers=headers).expect(200)["sessionToken"] == login.token
    # The desktop's token counts only once the phone has approved.
    identity.verify(other.token).refused(401, "token_invalid")
    with login.stream(secret=False) as stream:
        event = stream.until("approved")
        assert stream.until_end() == ["connected", "approved"] and not {"sessionToken", "userId", "username"} & set(event)


def test_streams_by_cookie_and_by_ticket(identity):
    login = identity.login()
    login.ticket(secret=False).refused(401, "unauthenticated")
    made = login.ticket().expect(200)
    other = identity.login()
    assert made["expiresIn"] == 60
    with login.stream(cookie=True) as first, login.stream(False, f"?ticket={made['ticket']}") as second, login.stream(False) as third:
        for stream in (first, second, third):
            stream.until("status_update")
        assert login.approve(Phone()).expect(200)
        assert first.until("approved")["sessionToken"] == second.until("approved")["sessionToken"] == login.token
        assert "sessionToken" not in third.until("approved")
    # Once, and for this session only.
    identity.get(login.path + "/events", {"ticket": made["ticket"]}).refused(401, "ticket_invalid")
    ticket = other.ticket().expect(200)["ticket"]
    identity.get(login.path + "/events", {"ticket": ticket}).refused(401, "ticket_invalid")
    identity.get(login.path + "/events", {"ticket": "never-given"}).refused(401, "ticket_invalid")
    with other.stream(False, f"?ticket={ticket}") as stream:
        stream.until("status_update")


def test_rejected(identity):
    login = identity.login()
    with login.stream() as stream:
        stream.until("status_update")
        assert login.reject({"reason": "not me"}).expect(200) == {"success": True}
        assert "sessionToken" not in stream.until("rejected")
        stream.until_end()
    assert login.status == "rejected" and "sessionToken" not in login.see().json
    for answer in (login.scan(), login.reject(), login.approve(Phone())):
        assert answer.refused(400, "session_not_open")["status"] == "rejected"
    identity.verify(login.token).refused(401, "token_invalid")
    # A body is not needed, and one that is none is refused.
    identity.login().reject().expect(200)
    third = identity.login()
    third.scan(body={"anything": 1}).expect(200)
    third.reject(b"{").refused(400, "malformed_json")
    third.reject(b'{"reason":"a","reason":"b"}').refused(400, "duplicate_key")
    third.reject({"reason": "x" * 201}).refused(400, "malformed_field")
    assert third.status == "scanned"


def test_after_an_end_nothing_changes(identity, rows):
    login, token = identity.logged_in()
    before = rows(identity, "SELECT * FROM sessions")
    for answer in (login.scan(), login.reject(), login.approve(Phone("@mallory"))):
        assert answer.refused(400, "session_not_open")["status"] == "approved"
    assert rows(identity, "SELECT * FROM sessions") == before
    identity.verify(token).expect(200)


def test_scanning_twice(identity):
    login = identity.login()
    login.scan().expect(200)
    refused = login.scan().refused(409, "wrong_state")
    assert refused["status"] == "scanned" and "desktop" not in refused and "challenge" not in refused
    login.approve(Phone()).expect(200)  # scanning is no reservation


@each("session_id", ["sess_0000000000000000", "sess_", "x", "sess_000000000000000%00", "verify'--", "%F0%9F%98%80", "sess_ABCDEFGHIJKLMNOP", "sess_" + "0" * 300])
def test_sessions_that_are_not_there(identity, session_id):
    path = f"/auth/session/{session_id}"
    if "%00" in path:
        identity.get(path).refused(400, "malformed_request")
        return
    for answer in (
        identity.get(path), identity.get(path + "/qr.svg"), identity.get(path + "/continue"), identity.get(path + "/events"), identity.post(path + "/scan"),
        identity.post(path + "/reject"), identity.post(path + "/ticket"), identity.post(path + "/approve", {}),
    ):
        answer.refused(404, "unknown_session")


def test_the_picture(identity):
    login = identity.login()
    answer = identity.get(login.path + "/qr.svg")
    assert answer.status == 200 and answer.media == "image/svg+xml" and b"<script" not in answer.body
    assert answer.header("Content-Security-Policy") == "default-src 'none'"


@each(
    "body, code",
    [
        (b"", "malformed_json"), (b"{", "malformed_json"), (b"[]", "malformed_json"), (b'{"appName":"a","appName":"b"}', "duplicate_key"),
        ({"appName": ""}, "malformed_field"), ({"appName": "x" * 101}, "malformed_field"), ({"appName": "\U0001f511" * 101}, "malformed_field"), ({"appName": 5}, "malformed_field"), ({"appName": "a\u0007b"}, "malformed_field"),
        ({"appIcon": "javascript:alert(1)"}, "malformed_field"), ({"appIcon": "data:image/png;base64,AA"}, "malformed_field"), ({"appIcon": "/icon.png"}, "malformed_field"),
        ({"appIcon": "https://user:pw@app.example/i"}, "malformed_field"), ({"appIcon": "https://app.example/" + "i" * 2048}, "malformed_field"),
        ({"returnUrl": 5}, "malformed_field"),
        ({"returnUrl": "javascript:alert(1)"}, "return_url_not_allowed"), ({"returnUrl": "JaVaScRiPt:alert(1)//https://id.example.com"}, "return_url_not_allowed"),
        ({"returnUrl": "https://evil.example/"}, "return_url_not_allowed"), ({"returnUrl": "http://id.example.com/"}, "return_url_not_allowed"),
        ({"returnUrl": "https://id.example.com.evil.example/"}, "return_url_not_allowed"), ({"returnUrl": "https://id.example.com@evil.example/"}, "return_url_not_allowed"),
        ({"returnUrl": "https://id.example.com:8443/"}, "return_url_not_allowed"), ({"returnUrl": "//evil.example/"}, "return_url_not_allowed"),
        ({"returnUrl": "/\\evil.example"}, "return_url_not_allowed"), ({"returnUrl": "https:\\\\id.example.com"}, "return_url_not_allowed"),
        ({"returnUrl": "https://id.example.com\\@evil.example"}, "return_url_not_allowed"), ({"returnUrl": "https:/id.example.com/"}, "return_url_not_allowed"),
        ({"returnUrl": "/login"}, "return_url_not_allowed"), ({"returnUrl": ""}, "return_url_not_allowed"), ({"returnUrl": "https://id.example.com /"}, "return_url_not_allowed"),
        ({"returnUrl": "https://"}, "return_url_not_allowed"), ({"returnUrl": "ftp://id.example.com/"}, "return_url_not_allowed"),
    ],
)
def test_create_refuses(identity, body, code):
    identity.create(body).refused(400, code)


@each(
    "url, origin",
    [
        ("https://id.example.com/a?b#c", PUBLIC_URL), ("HTTPS://ID.example.COM:443/x", PUBLIC_URL), ("https://app.example", "https://app.example"),
        ("https://app.example:8443/cb?code=1", "https://app.example:8443"), ("http://localhost:3000/", "http://localhost:3000"),
    ],
)
def test_where_a_login_may_lead(identity_return, url, origin):
    login = identity_return.login({"returnUrl": url})
    assert login.scan().expect(200)["appOrigin"] == origin


def test_bodies_and_hosts(identity):
    identity.create(json.dumps({"appName": "x", "pad": "y" * 70000}).encode()).refused(413, "too_large")
    identity.create(b"appName=x", headers={"Content-Type": "application/x-www-form-urlencoded"}).refused(415, "unsupported_media_type")
    # Where phones are sent comes from the configuration, whatever the request says of itself.
    evil = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http", "Forwarded": "host=evil.example"}
    made = identity.create(headers=evil).expect(201)
    assert made["qrData"]["server"] == PUBLIC_URL and made["qrSvgUrl"].startswith(PUBLIC_URL)
    page = identity.get("/login", headers=evil).body.decode()
    assert "evil.example" not in page


def test_who_asks_is_told(identity):
    login = Login(identity, identity.create({"appName": "<b>Grafana</b>"}, headers={"User-Agent": "Firefox\u00fc/1 \x1b[0m".encode("latin-1").decode("latin-1") + "x" * 400}).expect(201))
    told = login.scan().expect(200)
    assert told["appName"] == "<b>Grafana</b>"
    assert told["desktop"]["userAgent"].startswith("Firefox?/1 ") and len(told["desktop"]["userAgent"]) == 300 and "\x1b" not in told["desktop"]["userAgent"]


def test_expiry(identity_factory, rows):
    identity = identity_factory("--session-ttl", "1500ms")
    login, scanned = identity.login(), identity.login()
    assert login.created["expiresIn"] == 1
    with login.stream() as stream, scanned.stream() as other:
        scanned.scan().expect(200)
        assert stream.until("expired") and other.until("expired")
        assert stream.until_end() == ["connected", "status_update", "expired"]
        assert other.until_end()[-1] == "expired"
    for one in (login, scanned):
        assert one.status == "expired"
        for answer in (one.scan(), one.reject(), one.approve(Phone())):
            assert answer.refused(400, "session_expired")["status"] == "expired"
    assert rows(identity, "SELECT DISTINCT status FROM sessions") == [("expired",)]
    assert identity.metric("tana_identity_sessions_expired_total") == 2


def test_a_stream_joins_at_the_end(identity):
    login, _ = identity.logged_in()
    with login.stream() as stream:
        assert stream.until_end() == ["connected", "approved"]
        assert stream.events[1].data["sessionToken"] == login.token
