"""content: files stored, fetched, listed, copied; against real stores, and against ones that lie, break off or are damaged."""

import hashlib
import http.server
import json
import os
import signal
import threading
import time

import pytest
import requests
from tana_testing.daemon import PATIENCE, Daemon, binary

MIB = 1024 * 1024
ABSENT = hashlib.sha256(b"nobody has this").hexdigest()


def sha(data):
    return hashlib.sha256(data).hexdigest()


class Store:
    """A t4d with a directory of its own."""

    def __init__(self, directory, node="n1", *args):
        self.dir = directory / "content"
        argv = [binary("t4d"), "--listen", "127.0.0.1:0", "--dir", self.dir, "--node-id", node, "--min-free-space", "0", "--log-format", "json", *args]
        self.daemon = Daemon(directory, argv, name="t4d").start()

    @property
    def url(self):
        return f"http://{self.daemon.address}"

    def file(self, hash):
        return self.dir / hash[:2] / hash

    def damage(self, hash):
        path = self.file(hash)
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.chmod(0o600)
        path.write_bytes(data)


class Fake(http.server.ThreadingHTTPServer):
    """A store that answers GET /content/... with what `give(handler)` does."""

    def __init__(self, give):
        self.seen = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                self.server.seen.append(self.headers.get("Range"))
                give(self)

            def reply(self, status, body, **headers):
                self.send_response(status)
                for name, value in {"Content-Length": len(body), **headers}.items():
                    self.send_header(name.replace("_", "-"), str(value))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


@pytest.fixture
def fake():
    made = []

    def make(give):
        made.append(Fake(give))
        return made[-1]

    yield make
    for server in made:
        server.shutdown()
        server.server_close()


@pytest.fixture
def me(user_factory):
    user = user_factory("me")
    user("keys", "new", "service", "n1", "ledger").ok
    return user


def trust(user, name="n1-ledger"):
    key = json.loads((user.config / f"{name}-key.json").read_text())["publicKey"]
    return ["--trust-key", f"{name.replace('-', '/')}={key}"]


@pytest.fixture
def stores(tmp_path):
    made = []

    def make(*args, node="n1"):
        made.append(Store(tmp_path / f"store-{len(made)}", node, *args))
        return made[-1]

    yield make
    for store in made:
        store.daemon.terminate()
        assert not store.daemon.problems


@pytest.fixture
def store(stores, me):
    made = stores(*trust(me))
    me.env["T4_URL"] = made.url
    return made


def parts(directory):
    return sorted(p.name for p in directory.iterdir() if p.name.endswith(".part"))


# ---------------------------------------------------------------- a blob's life


def test_put_has_get_ls_rm(me, store):
    data = [os.urandom(n) for n in (0, 1, 10_000, 3 * MIB)]
    names = [f"file {i}" for i in range(len(data))]
    for name, content in zip(names, data):
        (me.home / name).write_bytes(content)
    rows = me("content", "put", "--json", *names).ok.json["content"]
    assert rows == [{"file": n, "hash": sha(d), "size": len(d), "stored": True} for n, d in zip(names, data)]
    assert me("content", "put", names[2]).ok.out == f"{sha(data[2])}  {names[2]}\n"
    assert "there already" in me("content", "put", names[2]).ok.err
    hashes = [sha(d) for d in data]
    assert me("content", "has", *hashes).ok.out.splitlines() == [f"{h}  there" for h in hashes]
    told = me("content", "has", hashes[0], ABSENT, "--json").expect(1).json["content"]
    assert told == [{"hash": hashes[0], "there": True}, {"hash": ABSENT, "there": False}]
    listed = [json.loads(line) for line in me("content", "ls", "--json").ok.out.splitlines()]
    assert listed == sorted(({"hash": sha(d), "size": len(d)} for d in data), key=lambda row: row["hash"])
    assert me("content", "ls", hashes[3][:5]).ok.out == f"{hashes[3]}  {3 * MIB}\n"
    for h, d in zip(hashes, data):
        got = me.home / "got"
        assert me("content", "get", h, "--out", got, "--force", "--json").ok.json["content"][0]["size"] == len(d)
        assert got.read_bytes() == d
    assert me("content", "rm", hashes[0], ABSENT, hashes[1], "--yes", "--json").expect(1).json == {"deleted": hashes[:2]}
    assert me("content", "has", hashes[0]).expect(1)
    assert "no terminal" in me("content", "rm", hashes[2]).expect(2).err and store.file(hashes[2]).exists()


def test_standard_input_and_output(me, store):
    text = "a line\nand another\n"
    hash = sha(text.encode())
    assert me("content", "put", "-", stdin=text).ok.out == f"{hash}  -\n"
    assert me("content", "get", hash).ok.out == text
    assert me("content", "get", hash, hash, "--out", "-").ok.out == text * 2
    fifo = me.home / "fifo"
    os.mkfifo(fifo)
    writer = threading.Thread(target=lambda: fifo.write_text("through a pipe"))
    writer.start()
    assert me("content", "put", fifo, "--json").ok.json["content"][0]["hash"] == sha(b"through a pipe")
    writer.join()


def test_several_at_once_go_on_after_a_failure(me, store):
    (me.home / "a").write_text("a")
    (me.home / "b").write_text("b")
    (me.home / "dir").mkdir()
    done = me("content", "put", "a", "absent", "dir", "b").expect(1)
    assert done.out.splitlines() == [f"{sha(b'a')}  a", f"{sha(b'b')}  b"]
    assert "cannot open absent" in done.err and "dir is a directory" in done.err
    done = me("content", "get", sha(b"a"), ABSENT, sha(b"b"), "--out", me.home / "dir").expect(1)
    assert sorted(p.name for p in (me.home / "dir").iterdir()) == sorted([sha(b"a"), sha(b"b")])
    me("content", "get", sha(b"a"), sha(b"b"), "--out", "nowhere").expect(2)
    me("content", "get", "xyz").expect(2)
    me("content", "get", sha(b"a").upper()).expect(2)
    me("content", "ls", "XY").expect(2)
    done = me("content", "get", sha(b"a"), "--out", me.home / "b", "--json").expect(1)
    assert done.error["code"] == "already_exists" and (me.home / "b").read_text() == "b"


def test_who_may(me, store, user_factory):
    stranger = user_factory("stranger")
    stranger.env["T4_URL"] = store.url
    (stranger.home / "x").write_text("x")
    assert stranger("content", "put", "x", "--json").expect(4).error["code"] == "key_needed"
    stranger("keys", "new", "service", "n1", "ledger").ok
    assert stranger("content", "put", "x", "--json").expect(4).err.count("token_invalid") == 1
    (me.home / "x").write_text("x")
    hash = me("content", "put", "x", "--json").ok.json["content"][0]["hash"]
    assert stranger("content", "get", hash).ok.out == "x", "anyone may read"
    for command in (["ls"], ["rm", hash, "--yes"]):
        stranger("content", *command).expect(4)
    assert me("content", "put", "x", "--audience", "n2/t4").expect(4)
    done = me("content", "put", "x", "--t4-url", "http://127.0.0.1:1", "--json").expect(3)
    assert done.error["code"] == "unreachable" and "T4_URL" in done.error["hint"]


def test_an_upload_grant_lets_a_client_send_the_bytes(me, store):
    data = os.urandom(100_000)
    token = me("token", "new", "--scope", "content:put", "--content", sha(data), "--size", len(data)).ok.out.strip()

    def put(body, hash=None):
        url = f"{store.url}/content/{hash or sha(body)}"
        return requests.put(url, data=body, headers={"Authorization": f"Bearer {token}"}, timeout=20 * PATIENCE)

    assert put(b"something else").json()["code"] == "token_bound"
    assert put(data[:-1], sha(data)).status_code in (400, 403)
    assert put(data).status_code == 201
    assert me("content", "get", sha(data), "--out", "got").ok and (me.home / "got").read_bytes() == data


# ---------------------------------------------------------------- nothing wrong is ever given out


def test_a_damaged_blob_is_not_given_out_and_is_replaced(me, store):
    store.daemon.allowed.append("quarantine|corrupt|hash")
    (me.home / "x").write_bytes(b"x" * 5000)
    hash = me("content", "put", "x", "--json").ok.json["content"][0]["hash"]
    store.damage(hash)
    done = me("content", "get", hash).expect(1)
    assert done.out == "" and not (me("content", "get", hash, "--out", "y").status == 0) and not (me.home / "y").exists()
    assert me("content", "put", "x", "--json").ok.json["content"][0]["stored"] is True
    assert me("content", "get", hash).ok.out == "x" * 5000


@pytest.mark.parametrize("lie", ["other bytes", "too few", "too many", "nothing", "an error page"])
def test_a_store_that_lies(me, fake, lie):
    data = os.urandom(50_000)
    sent = {"other bytes": data[:-1] + bytes([data[-1] ^ 1]), "too few": data[:-1], "too many": data + b"x", "nothing": b"", "an error page": b"<html>"}[lie]
    liar = fake(lambda handler: handler.reply(200, sent))
    for target in ([], ["--out", "file"]):
        done = me("content", "get", sha(data), *target, "--t4-url", liar.url).expect(6)
        assert done.out == "" and "do not have the hash" in done.err
    assert not (me.home / "file").exists() and parts(me.home) == []


def serve_ranges(data, cut_after=None, ignore_range=False):
    """Gives the bytes asked for, and breaks off when cut_after bytes were sent (a list: one for each request; None: not)."""
    cuts = iter(cut_after or [])

    def give(handler):
        first = 0 if ignore_range or not handler.headers["Range"] else int(handler.headers["Range"].removeprefix("bytes=").split("-")[0])
        cut = next(cuts, None)
        if first >= len(data):
            return handler.reply(416, b"{}", Content_Range=f"bytes */{len(data)}")
        handler.send_response(206 if first else 200)
        if first:
            handler.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
        handler.send_header("Content-Length", str(len(data) - first))
        handler.end_headers()
        handler.wfile.write(data[first:] if cut is None else data[first : first + cut])
        handler.close_connection = True

    return give


def test_a_broken_connection_is_taken_up_at_once(me, fake):
    data = os.urandom(MIB)
    store = fake(serve_ranges(data, [300_000, 300_000, 1]))
    assert me("content", "get", sha(data), "--out", "file", "--t4-url", store.url).ok
    assert (me.home / "file").read_bytes() == data and parts(me.home) == []
    assert store.seen == [None, "bytes=300000-", "bytes=600000-", "bytes=600001-"]


@pytest.mark.parametrize("how", ["range", "whole"])
def test_a_fetch_goes_on_where_another_run_stopped(me, fake, how):
    data = os.urandom(MIB)
    broken = fake(serve_ranges(data, [400_000, 0]))
    done = me("content", "get", sha(data), "--out", "file", "--t4-url", broken.url, "--json").expect(3)
    assert "goes on where it stopped" in done.error["hint"]
    assert not (me.home / "file").exists() and parts(me.home) == [f".file.{sha(data)[:16]}.part"]
    whole = fake(serve_ranges(data, ignore_range=how == "whole"))
    row = me("content", "get", sha(data), "--out", "file", "--t4-url", whole.url, "--json").ok.json["content"][0]
    assert row["resumedAt"] == 400_000 and whole.seen == ["bytes=400000-"]
    assert (me.home / "file").read_bytes() == data and parts(me.home) == []


@pytest.mark.parametrize("left", ["damaged", "too long", "whole"])
def test_what_an_earlier_run_left_is_not_trusted(me, store, left):
    data = os.urandom(300_000)
    (me.home / "x").write_bytes(data)
    me("content", "put", "x").ok
    part = me.home / f".file.{sha(data)[:16]}.part"
    part.write_bytes({"damaged": b"wrong" + data[5:100_000], "too long": data + b"more", "whole": data}[left])
    assert me("content", "get", sha(data), "--out", "file").ok
    assert (me.home / "file").read_bytes() == data and parts(me.home) == []


def test_wrong_ranges_are_refused(me, fake):
    data = os.urandom(100_000)
    part = me.home / f".file.{sha(data)[:16]}.part"
    for said in ("bytes 0-99999/100000", "bytes 50001-99999/100000", "bytes 50000-99998/100000", "nonsense"):
        part.write_bytes(data[:50_000])
        odd = fake(lambda handler, said=said: handler.reply(206, data[50_000:], Content_Range=said))
        assert me("content", "get", sha(data), "--out", "file", "--t4-url", odd.url, "--json").expect(1).err.count("bad_answer") == 1
        assert not (me.home / "file").exists()


def test_one_at_a_time(me, fake):
    data = os.urandom(1000)
    release = threading.Event()

    def slow(handler):
        release.wait(20)
        handler.reply(200, data)

    store = fake(slow)
    first = me.start("content", "get", sha(data), "--out", "file", "--t4-url", store.url)
    deadline = time.monotonic() + 10 * PATIENCE
    while not store.seen:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    done = me("content", "get", sha(data), "--out", "file", "--t4-url", store.url, "--json").expect(1)
    assert "wrong_state" in done.err
    release.set()
    assert first.process.wait(10 * PATIENCE) == 0 and (me.home / "file").read_bytes() == data


def test_interrupted_it_keeps_what_it_has(me, fake):
    data = os.urandom(MIB)
    release = threading.Event()

    def stalls(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data[:200_000])
        release.wait(20)

    store = fake(stalls)
    getting = me.start("content", "get", sha(data), "--out", "file", "--t4-url", store.url)
    part = me.home / f".file.{sha(data)[:16]}.part"
    deadline = time.monotonic() + 10 * PATIENCE
    while not part.exists() or part.stat().st_size < 200_000:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert getting.end(signal.SIGINT) == 130
    release.set()
    assert part.read_bytes() == data[:200_000] and not (me.home / "file").exists()


# ---------------------------------------------------------------- people at terminals


def test_a_bar_for_what_is_large(me, store):
    (me.home / "large").write_bytes(os.urandom(8 * MIB))
    (me.home / "small").write_text("small")
    shown = me.on_terminal("content", "put", "large", "small")
    assert shown.status == 0 and "% of 8 MiB" in shown.out and "small [" not in shown.out
    hash = sha((me.home / "large").read_bytes())
    assert "% of 8 MiB" in me.on_terminal("content", "get", hash, "--out", "copy").out
    assert "%" not in me.on_terminal("content", "get", hash, "--out", "copy2", "--quiet").out
    assert "%" not in me("content", "get", hash, "--out", "copy3").ok.err


def test_a_terminal_gets_text_only(me, store):
    (me.home / "text").write_text("grüß dich\n")
    (me.home / "odd").write_bytes(b"\x1b[31mred")
    me("content", "put", "text", "odd").ok
    assert "grüß dich" in me.on_terminal("content", "get", sha((me.home / "text").read_bytes())).out
    shown = me.on_terminal("content", "get", sha(b"\x1b[31mred"))
    assert shown.status == 1 and "is not text" in shown.out and "\x1b[31mred" not in shown.out


# ---------------------------------------------------------------- from node to node


def test_sync_copies_what_is_missing(me, stores, user_factory):
    other = user_factory("other")
    other("keys", "new", "service", "n2", "ledger").ok
    here = stores(*trust(me))
    there = stores(*trust(other, "n2-ledger"), "--allow", "n1/ledger=content:list", *trust(me), node="n2")
    me.env["T4_URL"], other.env["T4_URL"] = here.url, there.url
    data = [os.urandom(n) for n in (10, 100_000, 0)]
    for i, content in enumerate(data):
        (other.home / f"f{i}").write_bytes(content)
    hashes = [r["hash"] for r in other("content", "put", "f0", "f1", "f2", "--json").ok.json["content"]]
    assert me("content", "sync", "--from", there.url, hashes[0], "--json").ok.json == {"checked": 1, "copied": 1, "bytes": 10, "failed": 0}
    assert me("content", "sync", "--from", there.url).expect(4).err.count("hint: a store lists its contents") == 1
    told = me("content", "sync", "--from", there.url, "--from-node", "n2", "--json").ok.json
    assert told == {"checked": 3, "copied": 2, "bytes": 100_000, "failed": 0}
    assert me("content", "has", *hashes).ok
    assert me("content", "sync", "--from", there.url, "--from-node", "n2", "--json").ok.json["copied"] == 0
    # A damaged copy is replaced; so is one that is gone.
    here.daemon.allowed.append("quarantine|corrupt|hash")
    here.damage(hashes[1])
    me("content", "rm", hashes[2], "--yes").ok
    lines = "".join(f"{h} 123\n" for h in hashes)
    assert me("content", "sync", "--from", there.url, "--repair", "--json", "-", stdin=lines).ok.json["copied"] == 2
    assert me("content", "get", hashes[1], "--out", "back").ok and (me.home / "back").read_bytes() == data[1]
    assert me("content", "sync", "--from", there.url, ABSENT, "--json").expect(1).json["failed"] == 1
    me("content", "sync", hashes[0]).expect(2)


def test_sync_takes_nothing_on_trust(me, store, fake):
    data = os.urandom(1000)
    liar = fake(lambda handler: handler.reply(200, data[::-1]))
    told = me("content", "sync", "--from", liar.url, sha(data), "--json").expect(6)
    assert told.json == {"checked": 1, "copied": 0, "bytes": 0, "failed": 1}
    assert not store.file(sha(data)).exists()


# ---------------------------------------------------------------- keys from the registry


def test_a_store_learns_its_keys_from_mesh(user, sovereign, mesh, stores, url):
    user("mesh", "register", "--dev", "--node-id", "n1").ok
    store = stores("--mesh-url", url)
    user.env["T4_URL"] = store.url
    (user.home / "x").write_text("x")
    assert user("content", "put", "x", "--json").expect(4).err.count("token_invalid") == 1, "pending"
    sovereign("mesh", "approve", "n1", "--yes").ok
    deadline = time.monotonic() + 10 * PATIENCE
    while user("content", "put", "x").status != 0:
        assert time.monotonic() < deadline, "an unknown key is asked for again"
        time.sleep(0.2)
    mesh.daemon.terminate()
    assert user("content", "put", "x").ok, "the copy of the keys is used while mesh is away"
    store.daemon.terminate()
    store.daemon.process = None
    store.daemon.start()
    user.env["T4_URL"] = store.url
    assert user("content", "put", "x").ok, "and kept over a restart"


def test_right_after_start_dev(user_factory):
    from tana_cli import listen_options

    me = user_factory("me")
    me("start", "--dev", *listen_options()).ok
    (me.home / "README.md").write_text("read me\n")
    hash = me("content", "put", "README.md", "--json").ok.json["content"][0]["hash"]
    assert me("content", "get", hash).ok.out == "read me\n"
    assert [s["version"] for s in me("status", "--json").ok.json["services"]] == [me("version", "--json").ok.json["version"]] * 4
    me("mesh", "register", "--dev", "--node-id", "validator-1").ok
    me("mesh", "register", "--dev", "--node-id", "validator-2", "--port-offset", "100").ok
    assert me("content", "ls").ok.out.startswith(hash), "still the local node's keys, though there are two now"
