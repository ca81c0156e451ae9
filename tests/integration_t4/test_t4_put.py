"""Promise: a PUT is answered 201 when exactly the bytes of that hash are stored; everything else is refused by its code, and leaves nothing."""

import hashlib
import os
import select

from tana_testing.client import eventually
from tana_testing.each import each
from tana_testing.t4 import PUT, blob, sha

CHUNKED = ("Transfer-Encoding", "chunked")
EXPECT = ("Expect", "100-continue")
SIZES = (0, 1, 4095, 4096, 65_535, 65_537, 262_144, 262_145, 1_000_001, 5_000_000)


def uploads(t4):
    return t4.client.get("/metrics").body.decode().split("\ntana_t4_uploads ")[1].split("\n")[0]


def nothing_left(t4):
    assert t4.files() == {} and t4.temporary() == [] and t4.quarantined() == []
    eventually(lambda: uploads(t4) == "0", what="no upload is under way")


def test_sizes_and_a_second_put(t4):
    for size in SIZES:
        data = blob(size)
        name = t4.store(data)
        assert t4.path(name).read_bytes() == data
        assert t4.put(data).expect(200) == {"hash": name, "size": size, "stored": False}
        assert t4.get(name).body == data
    t4.restart()
    t4.sound()
    assert sorted(t4.all().values()) == sorted(SIZES)


def test_files_are_private_and_stand_where_the_manual_says(t4):
    name = t4.store(blob(10))
    assert t4.files() == {name: t4.data / name[:2] / name}
    assert t4.path(name).stat().st_mode & 0o077 == 0 and t4.data.stat().st_mode & 0o022 == 0


@each("trailer", [b"", b"X-Checksum: abc\r\n", b"A: 1\r\nB: 2\r\n"])
@each("announce", [False, True])
def test_chunked(t4, trailer, announce):
    data = blob(200_000)
    with t4.upload(sha(data), CHUNKED, *([("X-Content-Size", len(data))] if announce else [])) as w:
        for at in range(0, len(data), 7001):
            w.chunk(data[at : at + 7001])
        w.send(b"0\r\n" + trailer + b"\r\n")
        assert t4.checked(w).expect(201)["stored"] is True
        # The connection goes on behind the trailer.
        w.head("GET", f"/content/{sha(data)}")
        assert t4.checked(w).body == data


def test_an_empty_chunked_body(t4):
    with t4.upload(sha(b""), CHUNKED) as w:
        w.send(b"0\r\n\r\n")
        assert t4.checked(w).expect(201)["size"] == 0


@each("chunk", [b"zz\r\nabc\r\n", b"-1\r\nabc\r\n", b"ffffffffffffffffff\r\nabc", b"3\r\nabcXX0\r\n\r\n"])
def test_malformed_chunks(t4, chunk):
    with t4.upload(sha(b"abc"), CHUNKED) as w:
        w.send(chunk)
        try:
            assert w.read_head()[0] in (400, 413)
        except (EOFError, ConnectionResetError):
            pass
    nothing_left(t4)


def test_expect_100_continue(t4):
    data = blob(100_000)
    with t4.upload(sha(data), ("Content-Length", len(data)), EXPECT) as w:
        assert w.read_head()[0] == 100
        w.send(data)
        t4.checked(w).expect(201)


def refusals(t4):
    """(headers, token, status, code) of uploads that are refused before their body."""
    data = blob(1000, "refused")
    length = ("Content-Length", 1000)
    return [
        ([length], False, 401, "unauthenticated"),
        ([length], "abc", 401, "token_invalid"),
        ([length], t4.ledger.token(at=-1000), 401, "token_expired"),
        ([length], t4.ledger.token("content:list"), 403, "scope_missing"),
        ([length], t4.ledger.token(PUT, content="0" * 64), 403, "token_bound"),
        ([length], t4.ledger.token(PUT, size=999), 403, "token_bound"),
        ([("Content-Length", 10**15)], None, 413, "too_large"),
        ([("Content-Length", 2**31)], None, 413, "too_large"),
        ([CHUNKED, ("X-Content-Size", 2**31)], None, 413, "too_large"),
        ([length, ("X-Content-Size", 1001)], None, 400, "length_mismatch"),
        ([length, ("X-Content-Size", "-1")], None, 400, "malformed_request"),
        ([length, ("X-Content-Size", "1e3")], None, 400, "malformed_request"),
        ([CHUNKED, ("X-Content-Size", "99999999999999999999")], None, 400, "malformed_request"),
    ], data


def test_a_refusal_comes_instead_of_100(t4):
    cases, data = refusals(t4)
    for headers, token, status, code in cases:
        with t4.upload(sha(data), *headers, EXPECT, token=token) as w:
            answer = t4.checked(w)
            answer.refused(status, code)
            assert w.interim == [], answer
            assert status != 401 or answer.header("WWW-Authenticate"), answer
            assert answer.header("X-Content-Hash") == sha(data), answer
    nothing_left(t4)


def test_a_refusal_without_expect_is_seen_by_a_client_that_sends_on(t4):
    cases, data = refusals(t4)
    for headers, token, status, code in cases:
        with t4.upload(sha(data), *headers, token=token) as w:
            if CHUNKED in headers:
                w.chunk(data)
                w.send(b"0\r\n\r\n")
            else:
                w.send(data)
            t4.checked(w).refused(status, code)
    nothing_left(t4)


def test_other_expectations(t4):
    with t4.upload(sha(b"a"), ("Content-Length", 1), ("Expect", "200-ok")) as w:
        w.send(b"a")
        t4.checked(w).refused(417, "expectation_failed")
    nothing_left(t4)


def test_a_wrong_hash(t4):
    for size in (0, 1, 100_000, 5_000_000):
        data = blob(size)
        t4.put(data, sha(data + b"x")).refused(400, "hash_mismatch")
        nothing_left(t4)
    # What is stored already is not hurt by it.
    name = t4.store(b"good")
    t4.put(b"evil", name).refused(400, "hash_mismatch")
    assert t4.get(name).body == b"good"


def test_a_short_body(t4_factory):
    """Whoever leaves in the middle of a body gives his place back within the idle timeout."""
    t4 = t4_factory("--idle-timeout", "1s")
    data = blob(100_000)
    with t4.upload(sha(data), ("Content-Length", len(data))) as w:
        w.send(data[:-1])
    nothing_left(t4)
    with t4.upload(sha(data), CHUNKED) as w:
        w.chunk(data)
    nothing_left(t4)
    with t4.upload(sha(data), CHUNKED, ("X-Content-Size", len(data) + 1)) as w:
        w.chunk(data)
        w.send(b"0\r\n\r\n")
        t4.checked(w).refused(400, "length_mismatch")
    nothing_left(t4)
    t4.store(data)


def test_a_body_longer_than_announced(t4):
    data = blob(1000)
    with t4.upload(sha(data), ("Content-Length", 1000)) as w:
        w.send(data + b"more that is no request\r\n\r\n")
        t4.checked(w).expect(201)
        try:
            assert w.read_head()[0] >= 400
        except (EOFError, ConnectionResetError):
            pass
    other = blob(1000)
    with t4.upload(sha(other), CHUNKED, ("X-Content-Size", 999)) as w:
        w.chunk(other)
        w.send(b"0\r\n\r\n")
        t4.checked(w).refused(400, "length_mismatch")
    assert list(t4.files()) == [sha(data)]


@each(
    "headers",
    [
        [("Content-Length", 3), ("Content-Length", 4)],
        [("Content-Length", 3), CHUNKED],
        [CHUNKED, ("Content-Length", 3)],
        [("Transfer-Encoding", "gzip, chunked")],
        [CHUNKED, CHUNKED],
        [("Transfer-Encoding", "identity")],
        [("Content-Length ", 3)],
    ],
)
def test_conflicting_lengths(t4, headers):
    with t4.upload(sha(b"abc"), *headers) as w:
        w.send(b"abc")
        answer = w.answer()
        assert answer.status == 400, answer
        assert w.ends()
    nothing_left(t4)


@each("length", ["-1", "+3", "0x3", "3 3", "3,4", "", "99999999999999999999999"])
def test_lengths_that_are_none(t4, length):
    with t4.upload(sha(b"abc"), ("Content-Length", length)) as w:
        w.send(b"abc")
        try:
            assert w.read_head()[0] in (400, 411, 413)
        except (EOFError, ConnectionResetError):
            pass
    nothing_left(t4)


def test_no_length(t4):
    with t4.upload(sha(b"")) as w:
        t4.checked(w).refused(411, "length_required")


@each(
    "name",
    [
        "A" * 64, sha(b"x").upper(), "a" * 63, "a" * 65, "g" * 64, "a" * 63 + "%00", "a" * 62 + "%61a%20", "..%2f..%2fetc%2fpasswd", "%2e%2e", "..%5c..", "tmp", "quarantine",
        "ed25519_" + "a" * 64, "%61" * 64 + "a", "0x" + "a" * 62, "%C3%A9" * 32, "a" * 4000,
    ],
)
def test_names_that_are_no_hash(t4, name):
    for method in ("PUT", "GET", "HEAD", "DELETE"):
        with t4.wire() as w:
            w.head(method, f"/content/{name}", *t4.auth().items(), *([("Content-Length", 1)] if method == "PUT" else []))
            w.send(b"x" if method == "PUT" else b"")
            answer = t4.checked(w)
            assert answer.status in (400, 404), f"{method}: {answer}"
            if method != "HEAD":
                assert answer.code in ("malformed_hash", "malformed_request", "not_found"), answer
    nothing_left(t4)


@each("path", ["/content/../content/{h}", "/content//{h}", "/content/{h}/", "/content/./{h}", "/content/{h}/..", "//content/{h}", "/Content/{h}", "/content/%2e%2e/content/{h}"])
def test_path_tricks(t4, path):
    name = sha(b"x")
    t4.put(b"x")
    with t4.wire() as w:
        w.head("GET", path.format(h=name))
        assert t4.checked(w).status in (400, 404)


def test_a_percent_encoded_hash_is_the_hash(t4):
    name = t4.store(b"x")
    assert t4.client.get("/content/" + "".join(f"%{ord(c):02x}" for c in name)).body == b"x"


# -- limits


def test_the_largest_object(t4_factory):
    t4 = t4_factory("--max-object-size", "100k")
    fits, larger = blob(102_400), blob(102_401)
    t4.store(fits)
    t4.put(larger).refused(413, "too_large")
    with t4.upload(sha(larger), ("Content-Length", len(larger)), EXPECT) as w:
        t4.checked(w).refused(413, "too_large")
        assert w.interim == []
    with t4.upload(sha(larger), CHUNKED) as w:
        w.chunk(larger)
        w.send(b"0\r\n\r\n")
        t4.checked(w).refused(413, "too_large")
    with t4.upload(sha(fits), CHUNKED) as w:
        w.chunk(fits)
        w.send(b"0\r\n\r\n")
        t4.checked(w).expect(200)
    assert list(t4.files()) == [sha(fits)]


def test_a_body_that_grows_and_grows_is_cut(t4_factory):
    """16 MiB beyond the limit the refusal comes though the body has not ended, and then the connection's end."""
    t4 = t4_factory("--max-object-size", "1k")
    piece, sent = bytes(1 << 20), 0
    with t4.upload(sha(b"endless"), CHUNKED) as w:
        while sent < 1024 and not select.select([w.socket], [], [], 0)[0] and w.chunk(piece):
            sent += 1
        assert 15 <= sent < 1024, f"{sent} MiB were taken"
        t4.checked(w).refused(413, "too_large")
        assert w.ends()
    nothing_left(t4)


def test_free_space_is_kept(t4_factory):
    """The limit that the disk's own size crosses: nothing may be written, everything may be read."""
    first = t4_factory()
    name = first.store(b"from before")
    first.daemon.terminate()
    t4 = t4_factory("--min-free-space", "1000000G", data=first.data)
    t4.put(b"new").refused(507, "storage_full")
    with t4.upload(sha(b"new"), ("Content-Length", 3), EXPECT) as w:
        t4.checked(w).refused(507, "storage_full")
        assert w.interim == []
    with t4.upload(sha(b"new"), CHUNKED) as w:
        w.chunk(b"new")
        w.send(b"0\r\n\r\n")
        t4.checked(w).refused(507, "storage_full")
    assert t4.get(name).body == b"from before"
    t4.delete(name).expect(200)


def test_what_is_announced_counts_as_taken(t4_factory):
    """Uploads that are announced and not yet here use up the free space for others."""
    first = t4_factory()
    free = first.stats()["freeBytes"]
    first.daemon.terminate()
    t4 = t4_factory("--min-free-space", "1M", "--max-object-size", "1000000G", data=first.data)
    half = free * 6 // 10
    with t4.upload("a" * 64, ("Content-Length", half), EXPECT) as one:
        assert one.read_head()[0] == 100
        with t4.upload("b" * 64, ("Content-Length", half), EXPECT) as two:
            t4.checked(two).refused(507, "storage_full")
    eventually(lambda: uploads(t4) == "0")
    with t4.upload("b" * 64, ("Content-Length", half), EXPECT) as two:
        assert two.read_head()[0] == 100


def test_uploads_at_a_time(t4_factory):
    t4 = t4_factory("--max-uploads", "2")
    data = blob(10)
    with t4.upload("a" * 64, ("Content-Length", 10), EXPECT) as one, t4.upload("b" * 64, ("Content-Length", 10), EXPECT) as two:
        assert one.read_head()[0] == two.read_head()[0] == 100
        with t4.upload(sha(data), ("Content-Length", 10), EXPECT) as three:
            answer = t4.checked(three)
            answer.refused(503, "overloaded")
            assert int(answer.header("Retry-After")) >= 1
    eventually(lambda: uploads(t4) == "0")
    t4.store(data)


def test_a_corrupt_file_in_its_place_is_replaced(t4):
    data = blob(10_000)
    name = t4.store(data)
    t4.path(name).write_bytes(b"rotten" + data[6:])
    t4.daemon.allowed.append("corrupt")
    assert t4.put(data).expect(201)["stored"] is True
    assert t4.get(name).body == data
    assert t4.quarantined() == [name]


def test_memory_does_not_grow_with_an_object(t4):
    """64 MiB go through without ever being held."""
    size, piece = 64 << 20, os.urandom(1 << 20)
    digest = hashlib.sha256()
    for _ in range(64):
        digest.update(piece)
    def peak():
        with open(f"/proc/{t4.daemon.pid}/status") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmHWM"))

    t4.store(blob(5_000_000))
    before = peak()
    with t4.upload(digest.hexdigest(), ("Content-Length", size)) as w:
        assert w.send(*([piece] * 64))
        t4.checked(w).expect(201)
    assert peak() - before < 24 * 1024, f"kB: {before} -> {peak()}"
