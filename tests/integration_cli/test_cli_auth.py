"""auth: logging in by a code in the terminal, approving as the phone would, seeing where one is logged in, logging out."""

import json
import re
import stat
import struct
import zlib

import pytest
from tana_testing import oracle
from tana_testing.identity import Identity, Phone
from tana_cli import Liar, free_port, write_key

LINK = re.compile(r"tana://auth\?qr=\S+")


@pytest.fixture
def identity_factory(tmp_path):
    made = []

    def make(*args):
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        one = Identity(tmp_path / f"identity-{len(made)}", f"sqlite:{tmp_path}/identity-{len(made)}.db", public_url=url, listen=f"127.0.0.1:{port}", args=list(args))
        made.append(one)
        return one.start()

    yield make
    for one in made:
        one.finish()


@pytest.fixture
def identity(identity_factory):
    return identity_factory()


@pytest.fixture
def desk(user_factory, identity):
    made = user_factory("desk")
    made.env["TANA_IDENTITY_URL"] = identity.public_url
    return made


@pytest.fixture
def phone(user_factory):
    """Someone with the key of @alice, whose id stands in the key's file."""
    made = user_factory("phone")
    made.key = oracle.Key()
    write_key(made.config / "users" / "@alice.json", made.key, username="@alice", id="user-1", userId="user-1")
    return made


def link_of(login):
    return login.wait_for(lambda b: LINK.search(b.err)) and LINK.search(login.err)[0]


def code_of(identity, name="App"):
    return identity.login({"appName": name})


def text_of(login):
    return json.dumps(login.created["qrData"])


def picture(path, blocks):
    """A code of half blocks, as a terminal shows them, as a PNG of four pixels a module."""
    lines = [line for line in blocks if line]
    width = max(map(len, lines))
    rows = []
    for line in lines:
        line = line.ljust(width)
        for part in ("\u2580\u2588", "\u2584\u2588"):
            row = b"".join(b"\0\0\0\0" if c in part else b"\xff\xff\xff\xff" for c in line)
            rows += [b"\0" + row] * 4

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width * 4, len(rows), 8, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"".join(rows))) + chunk(b"IEND", b""))
    return path


def blocks_of(text):
    return [line for line in text.splitlines() if line and set(line) <= set(" \u2580\u2584\u2588")]


def test_login_approve_status_logout(desk, phone, identity):
    login = desk.start("auth", "login", "--json", "--show-token")
    link = link_of(login)
    done = phone("auth", "approve", link, "--yes", "--json").ok
    for part in ("tana on ", identity.public_url, "127.0.0.1", "@alice"):
        assert part in done.err, done
    assert done.json["username"] == "@alice" and done.json["userId"] == "user-1"
    assert login.end(0) == 0, login.err
    said = json.loads(login.out)
    assert said["username"] == "@alice" and said["server"] == identity.public_url
    assert identity.verify(said["sessionToken"]).expect(200)["publicKey"] == phone.key.public
    # Kept for this user alone.
    files = list((desk.config / "logins").iterdir())
    assert len(files) == 1 and stat.S_IMODE(files[0].stat().st_mode) == 0o600 and said["sessionToken"] in files[0].read_text()
    status = desk("auth", "status").ok
    assert "@alice" in status.out and "this one" in status.out and said["sessionToken"] not in status.out
    assert len(desk("auth", "status", "--json").ok.json["sessions"]) == 2
    assert "Logged out" in desk("auth", "logout").ok.out
    assert not list((desk.config / "logins").iterdir())
    identity.verify(said["sessionToken"]).refused(401, "token_invalid")
    identity.verify(done.json["sessionToken"]).expect(200)
    for command in ("status", "logout"):
        assert "tana auth login" in desk("auth", command).expect(4).err


def test_logout_everywhere_and_logins_that_are_over(desk, phone, identity):
    tokens = []
    for _ in range(2):
        login = desk.start("auth", "login", "--json", "--show-token")
        phone("auth", "approve", link_of(login), "--yes").ok
        assert login.end(0) == 0
        tokens.append(json.loads(login.out)["sessionToken"])
    assert desk("auth", "logout", "--all", "--json").ok.json == {"success": True, "revoked": 4}
    for token in tokens:
        identity.verify(token).refused(401, "token_invalid")
    # One that was ended elsewhere.
    login = desk.start("auth", "login", "--json", "--show-token")
    phone("auth", "approve", link_of(login), "--yes").ok
    assert login.end(0) == 0
    identity.post("/auth/session/revoke", headers={"Authorization": "Bearer " + json.loads(login.out)["sessionToken"]}).expect(200)
    assert "is over" in desk("auth", "status").expect(4).err
    desk("auth", "logout").ok
    # A file that others can read is not trusted.
    login = desk.start("auth", "login")
    phone("auth", "approve", link_of(login), "--yes").ok
    assert login.end(0) == 0
    next((desk.config / "logins").iterdir()).chmod(0o644)
    assert "chmod 600" in desk("auth", "status").expect(4).err


def test_the_code_in_the_terminal_is_one(desk, phone, identity, tmp_path):
    login = desk.start("auth", "login")
    link_of(login)
    path = picture(tmp_path / "code.png", blocks_of(login.err))
    phone("auth", "approve", "--image", path, "--yes").ok
    assert login.end(0) == 0 and "Logged in" in login.out
    # On a terminal with its dark background it is drawn the other way round.
    seen = desk.on_terminal("auth", "login", "--timeout", "5s", answers=[("left", "\x03")]).expect(130)
    assert re.search(r"\d:\d\d left", seen.out)
    flip = {" ": "\u2588", "\u2588": " ", "\u2580": "\u2584", "\u2584": "\u2580"}
    blocks = ["".join(flip[c] for c in line) for line in blocks_of(seen.out.replace("\r", ""))]
    path = picture(tmp_path / "dark.png", blocks)
    assert "@alice" in phone("auth", "approve", "--image", path, "--yes").ok.out


def test_no_and_too_late(desk, phone, identity_factory, identity):
    login = desk.start("auth", "login")
    code = link_of(login)
    said = phone.on_terminal("auth", "approve", code, answers=[("Approve this login as @alice?", "")]).expect(1)
    assert "The desktop has been told" in said.out
    assert login.end(0) == 1 and "said no" in login.err
    # No is also what comes of no terminal at all; nothing is told then, for nobody was asked.
    waiting = code_of(identity)
    assert "--yes" in phone("auth", "approve", text_of(waiting)).expect(2).err
    assert waiting.status == "scanned"
    short = identity_factory("--session-ttl", "1500ms")
    late = desk.start("auth", "login", "--identity-url", short.public_url)
    assert late.end(0, within=30) == 5 and "expired" in late.err
    login = desk.start("auth", "login")
    link_of(login)
    assert login.end(2) == 130


def test_what_is_approved_is_said_and_asked(phone, identity):
    login = code_of(identity, "Grafana")
    said = phone.on_terminal("auth", "approve", text_of(login), answers=[("Approve this login as @alice?", "yes")]).ok
    for part in ("Grafana", identity.public_url, "127.0.0.1", "@alice", "you began yourself"):
        assert part in said.out, said
    assert login.status == "approved"
    # By standard input, and as a link.
    login = code_of(identity)
    phone("auth", "approve", "-", "--yes", stdin=text_of(login) + "\n").ok
    assert login.status == "approved"
    # A second phone is told that it is second; what is over stays over.
    scanned = code_of(identity)
    scanned.scan().expect(200)
    assert "another phone was first" in phone("auth", "approve", text_of(scanned), "--yes").expect(1).err
    assert "approved already" in phone("auth", "approve", text_of(login), "--yes").expect(1).err


def test_match_codes(phone, identity_factory):
    identity = identity_factory("--match-code", "always")
    login = code_of(identity)
    assert "--match-code" in phone("auth", "approve", text_of(login), "--yes").expect(2).err
    login = code_of(identity)
    phone("auth", "approve", text_of(login), "--yes", "--match-code", login.created["matchCode"]).ok
    login = code_of(identity)
    answers = [("Approve this login", "y"), ("Which number", str(login.created["matchCode"]))]
    phone.on_terminal("auth", "approve", text_of(login), answers=answers).ok
    login = code_of(identity)
    phone.on_terminal("auth", "approve", text_of(login), answers=[("Approve this login", "y"), ("Which number", "7")]).expect(1)
    assert login.status == "rejected"


def test_codes_that_are_none(phone, identity, tmp_path):
    for code in ("", "x", "{}", "https://id.example.com", '{"protocol":"other"}', "tana://auth?qr=%7B"):
        assert "login code" in phone("auth", "approve", code, "--yes").expect(1).err or code == ""
    phone("auth", "approve").expect(2)
    phone("auth", "approve", "x", "--image", "y").expect(2)
    empty = tmp_path / "empty.png"
    picture(empty, [" " * 40] * 20)
    assert "no QR code" in phone("auth", "approve", "--image", empty, "--yes").expect(1).err
    assert "cannot be read" in phone("auth", "approve", "--image", tmp_path / "none.png", "--yes").expect(1).err
    assert "zbar-tools" in phone("auth", "approve", "--image", empty, "--yes", env={"PATH": "/nowhere"}).expect(1).err


def test_whose_key(phone, identity, user_factory):
    write_key(phone.config / "users" / "@bob.json", oracle.Key(), username="@bob")
    login = code_of(identity)
    assert "--as" in phone("auth", "approve", text_of(login), "--yes").expect(4).err
    # Without an id in the file the ledger would know it; there is none here.
    assert "--user-id" in phone("auth", "approve", text_of(login), "--yes", "--as", "bob", "--ledger-url", "http://127.0.0.1:1").expect(3).err
    phone("auth", "approve", text_of(login), "--yes", "--as", "bob", "--user-id", "user-2").ok
    assert "tana new user" in user_factory("nobody")("auth", "approve", text_of(code_of(identity)), "--yes").expect(4).err
    # A name that is taken by another key.
    code_of(identity).approve(Phone("@carol", "user-3")).expect(200)
    write_key(phone.config / "users" / "@carol.json", oracle.Key(), username="@carol", userId="user-3")
    assert "not that of a user" in phone("auth", "approve", text_of(code_of(identity)), "--yes", "--as", "@carol").expect(1).err


def test_a_relay_is_noticed(phone, identity):
    """Somebody shows a code of their own server, and passes everything on to the real one."""
    liar = Liar(identity.public_url)
    try:
        login = code_of(identity)
        relayed = {**login.created["qrData"], "server": liar.url}
        assert "Nothing was signed" in phone("auth", "approve", json.dumps(relayed), "--yes").expect(1).err
        login = code_of(identity)
        liar.change("/auth/session", lambda d: {**d, "server": liar.url})
        relayed = {**login.created["qrData"], "server": liar.url}
        # It lies about itself as well: what is signed names the relay, and the real server does not take it.
        assert "another server" in phone("auth", "approve", json.dumps(relayed), "--yes").expect(1).err
        assert login.status == "scanned"
    finally:
        liar.stop()


def test_nobody_answers(desk, phone):
    assert "tana start" in desk("auth", "login", "--identity-url", "http://127.0.0.1:1").expect(3).err
    code = {"protocol": "tana", "type": "auth", "version": "1", "sessionId": "sess_0123456789abcdef", "challenge": "c", "server": "http://127.0.0.1:1", "appName": None, "appIcon": None}
    phone("auth", "approve", json.dumps(code), "--yes").expect(3)
