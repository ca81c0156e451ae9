"""Promise: an approval counts only when everything about it holds; each way in which it does not has its own answer, in the order of the protocol, and changes nothing."""

import json
import threading

import pytest
from tana_testing import oracle
from tana_testing.client import Client
from tana_testing.each import each
from tana_testing.identity import DROP, PUBLIC_URL, Phone, now

OTHER = "sess_0123456789abcdef"


@pytest.fixture
def waiting(identity):
    identity.session = identity.login()
    identity.phone = Phone()
    return identity


def swap(body, **changes):
    return {k: v for k, v in {**body, **changes}.items() if v is not DROP}


# Each row: the refusal, and what is wrong with the message (signed as it is) or the body (changed after signing).
REFUSALS = [
    (400, "malformed_message", {"message": "{"}, {}),
    (400, "missing_field", {"after": {"timestamp": DROP}}, {}),
    (400, "session_mismatch", {"after": {"sessionId": OTHER}}, {}),
    (400, "challenge_mismatch", {"after": {"challenge": "0" * 64}}, {}),
    (400, "user_mismatch", {"after": {"userId": "somebody"}}, {}),
    (400, "server_mismatch", {"server": "https://evil.example"}, {}),
    (400, "client_mismatch", {"clientId": "other"}, {}),
    (400, "origin_mismatch", {"returnOrigin": "https://evil.example"}, {}),
    (400, "timestamp_out_of_range", {"after": {"timestamp": 1}}, {}),
    (400, "malformed_key", {}, {"publicKey": "ed25519_00"}),
    (400, "malformed_signature", {}, {"signature": "ed25519_sig_00"}),
    (401, "bad_signature", {}, {"signature": "ed25519_sig_" + "0" * 128}),
]


def approval_with(identity, *rows):
    """An approval in which all of these things are wrong at once."""
    message, fields, more, body = None, {}, {}, {}
    for _, _, how, after in reversed(rows):
        message = how.get("message", message)
        fields.update(how.get("after", {}))
        more.update({k: v for k, v in how.items() if k not in ("message", "after")})
        body.update(after)
    text = message if message is not None else identity.phone.message(identity.session, fields, **more)
    return swap(identity.phone.approval(identity.session, message=text), **body)


def test_each_refusal_alone_and_their_order(waiting, rows):
    for i, (status, code, _, _) in enumerate(REFUSALS):
        waiting.post(waiting.session.path + "/approve", approval_with(waiting, REFUSALS[i])).refused(status, code)
        # With everything wrong that comes later: still this one.
        waiting.post(waiting.session.path + "/approve", approval_with(waiting, *REFUSALS[i:])).refused(status, code)
    # None of it changed anything: the same session is approved now.
    assert waiting.session.status == "waiting" and rows(waiting, "SELECT status, phone_hash FROM sessions") == [("waiting", None)]
    assert waiting.metric("tana_identity_approvals_refused_total") == 2 * len(REFUSALS)
    waiting.session.approve(waiting.phone).expect(200)


def test_a_session_that_is_over_goes_before_the_body(waiting):
    """404, session_expired and session_not_open do not depend on what was sent."""
    waiting.session.reject().expect(200)
    for body in (b"", b"{", b"\xff", {}, {"message": 5}, waiting.phone.approval(waiting.session)):
        assert waiting.post(waiting.session.path + "/approve", body).refused(400, "session_not_open")["status"] == "rejected"
    waiting.post(f"/auth/session/{OTHER}/approve", b"{").refused(404, "unknown_session")


@each(
    "message",
    [
        "", " ", "null", "[]", "5", '"text"', "{}x", "{'a':1}", '{"timestamp":NaN}', '{"timestamp":Infinity}', '{"a":1,"a":2}', '{"sessionId":5}', '{"challenge":{}}',
        '{"userId":["x"]}', '{"username":true}', "{" * 5000, '{"a":' * 100 + "1" + "}" * 100, '{"x":"\\ud800"}', '{"sessionId":"a\\u0000b"}', '{"pad":"' + "x" * 16400 + '"}',
        '{"sessionId":"\\u0001"}',
    ],
)
def test_messages_that_cannot_be_read(waiting, message):
    body = waiting.phone.approval(waiting.session, message=message)
    waiting.post(waiting.session.path + "/approve", body).refused(400, "malformed_message")


@each("field", ["userId", "username", "publicKey", "signature", "message"])
def test_fields_that_are_missing(waiting, field):
    for value in (DROP, None):
        waiting.post(waiting.session.path + "/approve", swap(waiting.phone.approval(waiting.session), **{field: value})).refused(400, "missing_field")
    for value in (5, [], {}, True):
        waiting.post(waiting.session.path + "/approve", swap(waiting.phone.approval(waiting.session), **{field: value})).refused(400, "malformed_field")


@each("field", ["sessionId", "challenge", "userId", "username", "timestamp"])
def test_what_the_message_lacks(waiting, field):
    for value in (DROP, None):
        waiting.session.approve(waiting.phone, after={field: value}).refused(400, "missing_field")
    if field != "timestamp":
        waiting.session.approve(waiting.phone, after={field: ""}).refused(400, "missing_field")


@each(
    "timestamp",
    [
        lambda: now() - 5 * 60_000 - 1000, lambda: now() + 61_000, lambda: str(now()), lambda: now() + 0.5, lambda: 0, lambda: -1, lambda: -now(), lambda: now() // 1000,
        lambda: now() * 1000, lambda: 2**63, lambda: 10**400, lambda: True, lambda: [now()], lambda: {"ms": now()}, lambda: "soon", lambda: 1e300,
    ],
)
def test_times_that_cannot_be(waiting, timestamp):
    waiting.session.approve(waiting.phone, after={"timestamp": timestamp()}).refused(400, "timestamp_out_of_range")


def test_times_at_the_edges(identity):
    for offset in (-5 * 60_000 + 30_000, 30_000):
        identity.login().approve(Phone(f"@edge{abs(offset)}"), after={"timestamp": now() + offset}).expect(200)
    login, phone = identity.login(), Phone()
    for bad in (now() - 1, 0, "soon", 1.5):
        login.approve(phone, exp=bad).refused(400, "timestamp_out_of_range")
    # Written another way it is still the same integer.
    message = phone.message(login).replace('"timestamp": ', '"timestamp":\t')
    login.approve(phone, message=message).expect(200)


def test_what_newer_wallets_sign(identity_return):
    login = identity_return.login({"returnUrl": "https://app.example/cb"})
    phone = Phone()
    login.approve(phone, server=PUBLIC_URL + "/").refused(400, "server_mismatch")
    login.approve(phone, server=PUBLIC_URL, returnOrigin=PUBLIC_URL).refused(400, "origin_mismatch")
    login.approve(phone, server=PUBLIC_URL, returnOrigin="https://app.example", clientId="grafana").refused(400, "client_mismatch")
    login.approve(phone, server=PUBLIC_URL, returnOrigin="https://app.example", exp=now() + 60_000, unknown={"to": ["us"]}).expect(200)


def test_signatures(waiting):
    login, phone = waiting.session, waiting.phone
    good = phone.approval(login)
    other = oracle.Key()
    upper = good["signature"].removeprefix("ed25519_sig_").upper()
    bad = [
        swap(good, signature=other.sign(good["message"])), swap(good, publicKey=other.public), swap(good, message=good["message"] + " "),
        swap(good, message=json.dumps(json.loads(good["message"]), separators=(",", ":"))),  # the same JSON in other bytes
        swap(good, signature="ed25519_sig_" + phone.key.sign_bytes(good["message"].encode()).hex()),  # not over the digest
        swap(good, signature=good["signature"][:-1] + ("0" if good["signature"][-1] != "0" else "1")),
    ]
    for body in bad:
        waiting.post(login.path + "/approve", body).refused(401, "bad_signature")
    for key in ("", "ed25519_", "x" * 72, phone.key.public + "0", "ed25519_" + "0" * 64, "01" + "0" * 62, "ed25519_" + "f" * 64):
        code = "missing_field" if key == "" else "malformed_key"
        waiting.post(login.path + "/approve", swap(good, publicKey=key)).refused(400, code)
    # What stands beside a signature is read leniently, and kept in its written form.
    lenient = swap(good, publicKey=phone.key.public_hex.upper(), signature=upper)
    token = waiting.post(login.path + "/approve", lenient).expect(200)["sessionToken"]
    assert waiting.verify(token).expect(200)["publicKey"] == phone.key.public


def test_names_with_and_without_at(identity):
    login, phone = identity.login(), Phone("alice")
    login.approve(phone, after={"username": "@alice"}).expect(200)
    identity.login().approve(phone, after={"username": "@@alice"}).refused(400, "user_mismatch")


def test_an_old_approval_does_not_open_a_new_session(identity):
    first, second, phone = identity.login(), identity.login(), Phone()
    body = phone.approval(first)
    identity.post(second.path + "/approve", body).refused(400, "session_mismatch")
    identity.post(first.path + "/approve", body).expect(200)
    identity.post(first.path + "/approve", body).refused(400, "session_not_open")


def at_once(calls):
    """All of them as nearly together as threads go; their answers."""
    gate, answers = threading.Barrier(len(calls)), [None] * len(calls)

    def run(i):
        gate.wait()
        answers[i] = calls[i]()

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(calls))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return answers


def test_two_phones_at_once(identity, rows):
    for _ in range(15):
        login = identity.login()
        phones = [Phone(f"@two{i}-{login.id}") for i in range(4)]
        bodies = [p.approval(login) for p in phones]
        answers = at_once([lambda b=b: identity.post(login.path + "/approve", b) for b in bodies])
        won = [p for p, a in zip(phones, answers) if a.status == 200]
        assert len(won) == 1
        for a in answers:
            if a.status != 200:
                assert (a.status, a.code) in ((409, "wrong_state"), (400, "session_not_open")) and a.json["status"] == "approved", a
        assert login.see().expect(200)["userId"] == won[0].user_id
        won_token = next(a.json["sessionToken"] for a in answers if a.status == 200)
        assert identity.verify(won_token).expect(200)["userId"] == identity.verify(login.token).expect(200)["userId"] == won[0].user_id
        # Whoever lost has no token, and no name was taken for them.
        assert rows(identity, f"SELECT username FROM first_keys WHERE username LIKE 'two_-{login.id}'") == [(won[0].username[1:],)]


def test_whoever_loses_a_race_is_told_so(identity):
    """Of many at once, one after the other is too late; at least one of them had begun before the winner was through."""
    codes = set()
    for _ in range(40):
        login = identity.login()
        codes |= {a.code for a in at_once([login.reject] * 4) if a.status != 200}
        if "wrong_state" in codes:
            break
    assert "wrong_state" in codes and codes <= {"wrong_state", "session_not_open"}


def test_yes_and_no_at_once(identity):
    outcomes = set()
    for _ in range(15):
        login, phone = identity.login(), Phone()
        body = phone.approval(login)
        yes, no, scan = at_once([lambda: identity.post(login.path + "/approve", body), login.reject, login.scan])
        assert sorted((yes.status == 200, no.status == 200)) == [False, True], (yes, no)
        assert login.status == ("approved" if yes.status == 200 else "rejected")
        assert scan.status in (200, 409, 400)
        # Whoever lost came at the same time, and is told so; whoever comes afterwards is told that it is over.
        for lost in (yes, no):
            assert lost.status == 200 or (lost.status, lost.code) in ((409, "wrong_state"), (400, "session_not_open")), lost
        login.reject().refused(400, "session_not_open")
        identity.post(login.path + "/approve", body).refused(400, "session_not_open")
        outcomes.add(login.status)
    assert outcomes <= {"approved", "rejected"}


def test_bodies_that_are_none(waiting):
    path = waiting.session.path + "/approve"
    for body in (b"", b"{", b"[]", b"\xff", b"null", b'{"userId":"\x00"}'):
        waiting.post(path, body).refused(400, "malformed_json")
    waiting.post(path, b'{"userId":"a","userId":"b"}').refused(400, "duplicate_key")


def test_bodies_in_pieces_and_too_large(waiting):
    big = waiting.phone.approval(waiting.session, message=json.dumps({"pad": "x" * 70_000}))
    waiting.post(waiting.session.path + "/approve", big).refused(413, "too_large")
    client = Client(waiting.address)
    client.call("POST", waiting.session.path + "/approve", b"a=b", {"Content-Type": "text/plain"}).refused(415, "unsupported_media_type")
    client.close()
    waiting.session.approve(waiting.phone).expect(200)
