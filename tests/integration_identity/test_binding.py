"""Promise: a key logs in as the user it belongs to, and as nobody else: as the ledger says at that moment, as a file says, or as the first who came."""

import json
import signal
import threading
import time

import pytest
from tana_testing import oracle
from tana_testing.client import eventually
from tana_testing.each import each
from tana_testing.daemon import PATIENCE
from tana_testing.identity import Phone


@pytest.fixture
def bound(identity_factory, ledger):
    made = identity_factory("--ledger-url", ledger.url)
    made.ledger = ledger
    return made


def test_the_ledger_decides(bound):
    alice, mallory = Phone("@alice"), Phone("@mallory")
    bound.ledger.add(alice)
    bound.login().approve(alice).expect(200)
    # With or without the "@", and whatever else the ledger says.
    bound.ledger.add(alice, username="alice", displayName=None, extra={"x": 1})
    token = bound.login().approve(alice).expect(200)["sessionToken"]
    assert bound.verify(token).expect(200)["role"] == "user"
    # Another's id, another's name, nobody's id.
    login = bound.login()
    for phone in (Phone("@alice", alice.user_id), Phone("@bob", alice.user_id, alice.key), mallory, Phone("@alice", key=alice.key)):
        login.approve(phone).refused(403, "key_not_of_user")
    assert login.status == "waiting"
    login.approve(alice).expect(200)
    assert bound.get("/info").expect(200)["configuration"]["keyBinding"] == "ledger"


def test_a_rotated_key_does_not_log_in(bound):
    alice = Phone("@alice")
    bound.ledger.add(alice)
    bound.login().approve(alice).expect(200)
    renewed = Phone("@alice", alice.user_id, oracle.Key())
    bound.ledger.add(renewed)
    bound.login().approve(alice).refused(403, "key_not_of_user")
    bound.login().approve(renewed).expect(200)


@each(
    "broken",
    [
        (500, {"error": "x"}), (200, "{"), (200, "[]"), (200, {"id": "other", "username": "@alice", "publicKey": "x"}), (200, {}), (302, ""), (200, {"id": 5}),
        (200, {"id": "a", "username": "@alice"}), (503, ""), (200, "x" * 100_000),
    ],
)
def test_a_ledger_that_makes_no_sense(bound, broken):
    alice = Phone("@alice")
    bound.ledger.add(alice)
    bound.ledger.broken = broken
    login = bound.login()
    refused = login.approve(alice).refused(503, "unavailable")
    assert "ledger" in refused["error"]
    bound.ledger.broken = None
    login.approve(alice).expect(200)


def test_ids_are_not_paths(bound):
    for user_id in ("../health", "a/b", "x?y=1", "a#b", "%2e%2e", "\u00e9", " "):
        phone = Phone("@alice", user_id)
        bound.login().approve(phone).refused(403, "key_not_of_user")
    assert all(path.startswith("/users/") and path.count("/") == 2 for path in bound.ledger.asked), bound.ledger.asked


def test_a_ledger_that_is_slow_or_away(bound):
    alice, login = Phone("@alice"), bound.login()
    bound.ledger.add(alice)
    bound.ledger.answers.clear()
    answers = []
    asking = threading.Thread(target=lambda: answers.append(login.approve(alice)))
    asking.start()
    eventually(lambda: bound.ledger.asked, what="a question to the ledger")
    # Nobody else waits meanwhile.
    begin = time.monotonic()
    for _ in range(20):
        bound.login().see().expect(200)
    assert time.monotonic() - begin < 4 * PATIENCE
    bound.ledger.answers.set()
    asking.join()
    answers[0].expect(200)
    bound.ledger.finish()
    other = bound.login()
    other.approve(alice).refused(503, "unavailable")
    assert other.status == "waiting"
    eventually(lambda: bound.get("/ready").status == 503, within=10 * PATIENCE, what="not ready without the ledger")
    assert "ledger" in bound.get("/ready").json["error"]


def test_rejected_while_the_ledger_is_asked(bound):
    alice, login = Phone("@alice"), bound.login()
    bound.ledger.add(alice)
    bound.ledger.answers.clear()
    answers = []
    asking = threading.Thread(target=lambda: answers.append(login.approve(alice)))
    asking.start()
    eventually(lambda: bound.ledger.asked, what="a question to the ledger")
    login.reject().expect(200)
    bound.ledger.answers.set()
    asking.join()
    assert answers[0].refused(409, "wrong_state")["status"] == "rejected"
    bound.verify(login.token).refused(401, "token_invalid")


# ---- first come


def test_first_come(identity, rows):
    alice = Phone("@alice", "id-1")
    identity.login().approve(alice).expect(200)
    identity.login().approve(alice).expect(200)
    login = identity.login()
    for phone in (Phone("@alice", "id-1"), Phone("@alice", "id-2"), Phone("alice", "id-2"), Phone("@other", "id-1", alice.key), Phone("alice", "id-3", alice.key)):
        login.approve(phone).refused(403, "key_not_of_user")
    assert rows(identity, "SELECT user_id, username, public_key FROM first_keys") == [("id-1", "alice", alice.key.public)]
    login.approve(Phone("@bob", "id-2")).expect(200)


def test_first_of_many_at_once(identity, rows):
    logins = [identity.login() for _ in range(8)]
    phones = [Phone("@same", "same-id") for _ in logins]
    answers = [None] * len(logins)

    def approve(i):
        answers[i] = logins[i].approve(phones[i])

    threads = [threading.Thread(target=approve, args=(i,)) for i in range(len(logins))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    won = [i for i, a in enumerate(answers) if a.status == 200]
    assert len(won) == 1 and all(a.status == 200 or (a.status, a.code) == (403, "key_not_of_user") for a in answers), answers
    assert rows(identity, "SELECT public_key FROM first_keys") == [(phones[won[0]].key.public,)]


# ---- a file


def users(*phones, **changes):
    return json.dumps({"users": [{"id": p.user_id, "username": p.username, "publicKey": p.key.public, "role": "staff", **changes} for p in phones]})


def test_a_file_of_users(identity_factory, tmp_path):
    alice, bob, path = Phone("@alice"), Phone("@bob"), tmp_path / "users.json"
    path.write_text(users(alice))
    identity = identity_factory("--key-binding", "file", "--users-file", path)
    token = identity.login().approve(alice).expect(200)["sessionToken"]
    assert identity.verify(token).expect(200)["role"] == "staff"
    login = identity.login()
    for phone in (bob, Phone("@alice"), Phone("@alice", alice.user_id), Phone("@bob", alice.user_id, alice.key)):
        login.approve(phone).refused(403, "key_not_of_user")
    # Read again when it is told to; one that is wrong changes nothing.
    path.write_text(users(alice, bob))
    identity.daemon.signal(signal.SIGHUP)
    eventually(lambda: identity.login().approve(bob).status == 200, what="the new user")
    path.write_text('{"users":[{"id":"x"}]}')
    identity.daemon.signal(signal.SIGHUP)
    eventually(lambda: any("not taken" in line.get("message", "") for line in identity.daemon.lines()), what="a word about the file")
    identity.login().approve(bob).expect(200)


@each(
    "text, says",
    [
        ("", "users.json"), ("[]", "users.json"), ("{}", "users"), ('{"users":[{"id":"a","username":"b","publicKey":"c"}]}', "users[0].publicKey"),
        (None, "users.json"), ('{"users":[{"id":"a"}]}', "users[0]"),
    ],
)
def test_files_that_are_wrong(identity_factory, tmp_path, text, says):
    path = tmp_path / "users.json"
    path.unlink(missing_ok=True)
    if text is not None:
        path.write_text(text)
    identity_factory("--key-binding", "file", "--users-file", path, start=False).daemon.refuse_to_start(says)


def test_the_same_user_twice(identity_factory, tmp_path):
    alice, path = Phone("@alice"), tmp_path / "users.json"
    path.write_text(users(alice, alice))
    identity_factory("--key-binding", "file", "--users-file", path, start=False).daemon.refuse_to_start("twice")


# ---- nobody


def test_nobody(identity_factory):
    identity = identity_factory("--key-binding", "none")
    for _ in range(2):
        identity.login().approve(Phone("@alice", "id-1")).expect(200)
    assert any("none" in line["message"] for line in identity.daemon.lines() if line["level"] == "warn")


@each(
    "args, says",
    [
        (["--key-binding", "ledger"], "--ledger-url"), (["--key-binding", "file"], "--users-file"), (["--key-binding", "x"], "key-binding"),
        (["--public-url", "ftp://x"], "--public-url"), (["--public-url", "https://id.example.com/path"], "--public-url"), (["--public-url", "id.example.com"], "--public-url"),
        (["--allow-return-origin", "https://x/y"], "--allow-return-origin"), (["--allow-origin", "*"], "--allow-origin"), (["--redis", "rediss://h"], "TLS"),
        (["--redis", "http://h"], "redis://"), (["--session-ttl", "0"], "session-ttl"), (["--trusted-proxy", "all"], "all"),
    ],
)
def test_configurations_that_are_wrong(identity_factory, args, says):
    identity_factory(*args, start=False).daemon.refuse_to_start(says)
