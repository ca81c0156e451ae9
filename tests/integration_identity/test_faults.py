"""Promise: whatever ends in the middle, a login either counts or does not, says so, and can go on."""

import re
import socket
import time

import pytest
from tana_testing import pg
from tana_testing.client import eventually
from tana_testing.daemon import PATIENCE
from tana_testing.identity import Phone, bearer


@pytest.mark.parametrize("kill", [False, True], ids=["stopped", "killed"])
def test_restart_in_the_middle_of_a_login(identity, kill):
    login, done = identity.login(), identity.logged_in()
    login.scan().expect(200)
    ticket = login.ticket().expect(200)["ticket"]
    stream = login.stream().start()
    stream.until("status_update")
    identity.restart(kill=kill)
    eventually(lambda: stream.ended, within=10 * PATIENCE, what="the old stream's end")
    stream.close()
    assert login.status == "scanned"
    identity.verify(done[1]).expect(200)
    with login.stream() as stream, login.stream(False, f"?ticket={ticket}") as other:
        for s in (stream, other):
            assert s.until("status_update")["status"] == "scanned"
        login.approve(Phone()).expect(200)
        for s in (stream, other):
            assert s.until("approved")["sessionToken"] == login.token
    identity.verify(login.token).expect(200)


def test_streams_say_goodbye(identity):
    login = identity.login()
    with login.stream() as stream:
        stream.until("status_update")
        identity.daemon.terminate()
        eventually(lambda: stream.ended, within=10 * PATIENCE, what="the stream's end")
        assert stream.types() == ["connected", "status_update"]


@pytest.mark.storage_only("postgres")
def test_the_database_away_during_an_approval(identity_factory, tmp_path, watched):
    cluster = pg.Cluster(tmp_path / "pg").start()
    try:
        identity = identity_factory(db_url=cluster.url)
        login, phone = identity.login(), Phone()
        token = identity.logged_in()[1]
        body = phone.approval(login)
        with login.stream() as stream:
            stream.until("status_update")
            cluster.crash()
            identity.post(login.path + "/approve", body).refused(503, "unavailable")
            identity.get("/auth/session/verify", headers=bearer(token)).refused(503, "unavailable")
            identity.create().refused(503, "unavailable")
            assert identity.get("/ready").status == 503 and identity.get("/health").status == 200
            cluster.up()
            # The very same approval is taken now: it was not used up.
            eventually(lambda: identity.post(login.path + "/approve", body).status == 200, within=20 * PATIENCE, what="the approval")
            assert stream.until("approved", within=20)["sessionToken"] == login.token
        identity.verify(token).expect(200)
        eventually(lambda: identity.get("/ready").status == 200, within=20 * PATIENCE, what="ready again")
        identity.finish()
    finally:
        cluster.stop()


def test_clients_that_leave_without_a_word(identity):
    login = identity.login()
    for _ in range(4):
        s = socket.create_connection(("127.0.0.1", int(identity.address.rpartition(":")[2])))
        s.sendall(f"GET {login.path}/events HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert b"200" in s.recv(4096)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        s.close()
    # What is told next finds out that nobody is there.
    login.scan().expect(200)
    eventually(lambda: identity.metric("tana_identity_session_streams") == 0, within=30 * PATIENCE, what="no streams")
    with login.stream() as stream:
        stream.until("status_update")


def test_nothing_secret_is_said(identity_factory, rows):
    """Not in the log, not in errors, not in what is stored: whatever is asked."""
    identity = identity_factory("--access-log", "all", "--log-level", "debug", "--match-code", "new")
    login, phone = identity.login(), Phone()
    ticket = login.ticket().expect(200)["ticket"]
    with login.stream(False, f"?ticket={ticket}") as stream:
        stream.until("status_update")
        body = phone.approval(login)
        errors = [identity.post(login.path + "/approve", {**body, "signature": "ed25519_sig_" + "0" * 128}).body]
        body["matchCode"] = login.created["matchCode"]
        token = identity.post(login.path + "/approve", body).expect(200)["sessionToken"]
        stream.until("approved")
    page = identity.get("/login")
    cookie = next(v for k, v in page.headers if k.lower() == "set-cookie" and v.startswith("tana_poll")).split(";")[0].partition("=")[2]
    errors += [identity.verify(token + "x").body, identity.get(login.path + "/events", {"ticket": ticket}).body]
    identity.post("/auth/session/revoke", headers=bearer(token)).expect(200)
    text = identity.daemon.text()
    dump = "".join(repr(rows(identity, f"SELECT * FROM {t}")) for t in ("sessions", "tickets", "browsers", "first_keys"))
    for secret in (login.secret, token, login.token, ticket, cookie, body["signature"]):
        assert secret not in text and secret not in dump and all(secret.encode() not in e for e in errors), secret
    assert f"{login.path}/events" in text and "ticket" not in re.sub(r'/ticket"', "", text)


def test_old_things_are_forgotten(identity, rows, change):
    """What came to nothing goes after a day, what users see of their own logins after 90, and not before."""
    day = 86_400_000
    identity.logged_in()
    identity.login().ticket().expect(200)

    def after(days, left):
        """So many days go by, and the service looks: these are left."""
        ago = f"- {int(days * day)}"
        change(identity, f"UPDATE sessions SET created_at = created_at {ago}, expires_at = expires_at {ago}, ended_at = ended_at {ago}")
        change(identity, f"UPDATE tickets SET expires_at = expires_at {ago}")
        identity.restart()  # which looks at once
        eventually(lambda: rows(identity, "SELECT COUNT(*) FROM tickets") == [(0,)], within=20 * PATIENCE, what="no old tickets")
        eventually(lambda: sorted(rows(identity, "SELECT status FROM sessions")) == left, within=20 * PATIENCE, what=f"{left} after {days} days")

    after(0.9, [("approved",), ("expired",)])
    after(0.2, [("approved",)])
    identity.login().ticket().expect(200)  # the next one is forgotten, so the service has looked
    after(88, [("approved",)])
    after(1.5, [])


def test_a_newer_schema_is_left_alone(identity, identity_factory, rows):
    identity.daemon.terminate()
    url = identity.db_url
    if url.startswith("sqlite:"):
        import sqlite3

        with sqlite3.connect(url.removeprefix("sqlite:")) as c:
            c.execute("INSERT INTO local_schema (version, name, applied_at) VALUES (99, 'of the future', 0)")
    else:
        with pg.connection(url) as c:
            c.cursor().execute("INSERT INTO local_schema (version, name, applied_at) VALUES (99, 'of the future', 0)")
    identity_factory(db_url=url, start=False).daemon.refuse_to_start("newer version")
    assert rows(identity, "SELECT COUNT(*) FROM sessions") == [(0,)]
