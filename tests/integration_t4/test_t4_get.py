"""Promise: a blob is given out whole or by the range asked for, as RFC 9110 says, with headers that let anybody keep it for ever."""

import pytest
from tana_testing.each import each
from tana_testing.t4 import OCTETS, blob

SIZE = 1000


@pytest.fixture
def stored(t4):
    t4.bytes = blob(SIZE, "ranges")
    t4.name = t4.store(t4.bytes)
    return t4


def test_headers(stored):
    whole, head = stored.get(stored.name), stored.head(stored.name)
    assert whole.body == stored.bytes and head.body == b""
    for answer in (whole, head):
        assert answer.status == 200
        assert answer.header("Content-Type") == OCTETS
        assert answer.header("ETag") == f'"{stored.name}"'
        assert answer.header("Cache-Control") == "public, max-age=31536000, immutable"
        assert answer.header("Accept-Ranges") == "bytes"
        assert answer.header("Content-Length") == answer.header("X-Content-Size") == str(SIZE)


def test_what_is_not_there(t4):
    for method in ("GET", "HEAD"):
        answer = t4.get("0" * 64, method=method)
        assert answer.status == 404 and (method == "HEAD" or answer.code == "unknown_content")


def test_an_empty_blob(t4):
    name = t4.store(b"")
    assert t4.get(name).body == b""
    answer = t4.get(name, {"Range": "bytes=0-0"})
    answer.refused(416, "range_not_satisfiable")
    assert answer.header("Content-Range") == "bytes */0"
    t4.get(name, {"Range": "bytes=-1"}).refused(416, "range_not_satisfiable")


@each(
    "text, first, last",
    [
        ("bytes=0-0", 0, 0), ("bytes=0-999", 0, 999), ("bytes=0-", 0, 999), ("bytes=999-", 999, 999), ("bytes=10-19", 10, 19), ("bytes=500-5000", 500, 999),
        ("bytes=-1", 999, 999), ("bytes=-1000", 0, 999), ("bytes=-5000", 0, 999), ("bytes=-99999999999999999999999", 0, 999), ("Bytes=1-2", 1, 2), ("BYTES=1-2", 1, 2),
        ("bytes= 1-2", 1, 2), ("bytes=0-18446744073709551615", 0, 999), ("bytes=0-99999999999999999999999", 0, 999), ("bytes=007-0000008", 7, 8),
    ],
)
def test_ranges(stored, text, first, last):
    answer = stored.get(stored.name, {"Range": text})
    assert answer.status == 206 and answer.body == stored.bytes[first : last + 1]
    assert answer.header("Content-Range") == f"bytes {first}-{last}/{SIZE}"
    assert answer.header("Content-Length") == str(last + 1 - first) and answer.header("X-Content-Size") == str(SIZE)
    assert answer.header("ETag") == f'"{stored.name}"'


@each("text", ["bytes=1000-", "bytes=1000-1001", "bytes=5000-6000", "bytes=-0", "bytes=18446744073709551615-", "bytes=99999999999999999999999-"])
def test_ranges_beyond_the_end(stored, text):
    answer = stored.get(stored.name, {"Range": text})
    answer.refused(416, "range_not_satisfiable")
    assert answer.header("Content-Range") == f"bytes */{SIZE}"


@each(
    "text",
    [
        "", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=1", "bytes=5-4", "bytes=1-2-3", "bytes=--1", "bytes=+1-2", "bytes=1-+2", "bytes=0x1-2", "bytes=1.0-2", "bytes=1- 2", "bytes 1-2",
        "octets=1-2", "bytes=0-1,5-6", "bytes=0-1,", "bytes=,0-1", "bytes=0-1;5-6", "bytes=\xa01-2", "1-2", "bytes==1-2", "bytes=1-2 x", "bytes=" + "9" * 5000 + "-x",
    ],
)
def test_what_is_no_single_range_is_ignored(stored, text):
    """RFC 9110 14.2: a server may ignore Range; 206 comes for single ranges alone."""
    answer = stored.get(stored.name, {"Range": text})
    assert answer.status == 200 and answer.body == stored.bytes and answer.header("Content-Range") is None


def test_a_range_of_a_head_is_ignored(stored):
    answer = stored.head(stored.name, {"Range": "bytes=0-1"})
    assert answer.status == 200 and answer.header("Content-Length") == str(SIZE)


def test_if_range(stored):
    etag = f'"{stored.name}"'
    ask = {"Range": "bytes=0-9"}
    assert stored.get(stored.name, {**ask, "If-Range": etag}).status == 206
    for other in ('"x"', "W/" + etag, stored.name, "Tue, 15 Nov 1994 12:45:26 GMT", ""):
        assert stored.get(stored.name, {**ask, "If-Range": other}).status == 200, other


@each("text, hit", [('"{n}"', True), ('W/"{n}"', True), ("*", True), ('"x", "{n}"', True), ('"x" ,"y",W/"{n}" ', True), ('"x"', False), ("{n}", False), ('"{n}', False), ("", False)])
def test_if_none_match(stored, text, hit):
    for method in ("GET", "HEAD"):
        answer = stored.get(stored.name, {"If-None-Match": text.format(n=stored.name)}, method=method)
        assert answer.status == (304 if hit else 200), answer
        assert answer.header("ETag") == f'"{stored.name}"' and answer.header("Cache-Control")
        assert not hit or answer.body == b""


def test_if_none_match_comes_before_range(stored):
    answer = stored.get(stored.name, {"If-None-Match": f'"{stored.name}"', "Range": "bytes=5000-"})
    assert answer.status == 304


def test_if_none_match_of_what_is_not_there(t4):
    t4.get("0" * 64, {"If-None-Match": "*"}).refused(404, "unknown_content")


def test_pieces_of_a_large_blob_make_it_up(t4_factory):
    """A range of a file that was never read since the start verifies the whole first."""
    t4 = t4_factory()
    data = blob(3_000_000, "large")
    name = t4.store(data)
    t4.restart()
    got = b"".join(t4.get(name, {"Range": f"bytes={at}-{at + 699_999}"}).body for at in range(0, len(data), 700_000))
    assert got == data


def test_a_get_takes_no_body(stored):
    stored.client.call("GET", f"/content/{stored.name}", b"x").refused(400, "unexpected_body")


def test_other_methods(stored):
    with stored.wire() as w:
        w.head("POST", f"/content/{stored.name}", ("Content-Length", 0))
        answer = stored.checked(w)
        answer.refused(405, "method_not_allowed")
        assert answer.header("Allow") == "GET, HEAD, PUT, DELETE"
