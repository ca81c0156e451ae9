"""Promise: what is missing, listed and counted is what is there, page by page, whatever comes and goes meanwhile."""

import os

import pytest
from tana_testing.client import eventually
from tana_testing.each import each
from tana_testing.prometheus import parse
from tana_testing.t4 import LIST, blob, sha


@pytest.fixture
def many(t4):
    """Three hundred blobs."""
    t4.names = sorted(t4.store(blob(i, f"many-{i}")) for i in range(300))
    return t4


def test_missing(t4):
    here = [t4.store(blob(10)) for _ in range(3)]
    away = [sha(os.urandom(8)) for _ in range(3)]
    asked = [away[0], here[0], away[1], here[1], here[2], away[2], away[0]]
    assert t4.missing(asked).expect(200) == {"missing": [away[0], away[1], away[2], away[0]]}
    assert t4.missing([]).expect(200) == {"missing": []}
    t4.delete(here[0]).expect(200)
    assert t4.missing(here).expect(200) == {"missing": [here[0]]}


def test_missing_ten_thousand_and_one_more(t4):
    here = [t4.store(blob(10)) for _ in range(10)]
    away = [sha(os.urandom(8)) for _ in range(9_990)]
    assert t4.missing(away + here).expect(200) == {"missing": away}
    answer = t4.missing(away + here + away[:1])
    assert answer.status == 400 and answer.code == "malformed_field", answer


@each("hashes", [["x"], ["A" * 64], ["a" * 63], ["a" * 65], [""], [None], [1], [["a" * 64]], "a" * 64, None, {}, ["a" * 64, "../" + "a" * 61]])
def test_missing_of_what_is_no_hash(t4, hashes):
    answer = t4.client.post("/content/missing", {"hashes": hashes})
    assert answer.status == 400 and answer.code in ("malformed_hash", "malformed_field", "missing_field"), answer


@each("body", [b"", b"{", b"[]", b"null", b'{"hashes":[],"hashes":[]}', b'{"hashes":["\xff"]}', b'{"hashes":[' + b"[" * 5000, b"{}"])
def test_missing_of_what_is_no_question(t4, body):
    assert t4.client.post("/content/missing", body).status in (400, 411)


def test_missing_too_large(t4):
    t4.client.post("/content/missing", b'{"hashes":[]}' + b" " * (2 << 20)).refused(413, "too_large")


def test_list_by_pages(many):
    assert sorted(many.all()) == many.names
    for limit in (1, 7, 299, 300, 301, 1000):
        if limit > 1:
            assert list(many.all(limit=limit)) == many.names
    first = many.page().expect(200)
    assert len(first["content"]) == 100 and first["nextCursor"]
    assert many.page(limit=1).expect(200)["content"][0]["hash"] == many.names[0]
    assert {h: s for h, s in many.all(limit=50).items()} == {n: many.path(n).stat().st_size for n in many.names}


def test_the_last_page_says_so(many):
    assert "nextCursor" not in many.page(limit=300).expect(200)
    assert "nextCursor" in many.page(limit=299).expect(200)
    assert many.page(cursor="f" * 64).expect(200) == {"content": []}


def test_prefixes(many):
    for prefix in ("", "0", "a", "f", "00", "ab", many.names[5][:3], many.names[7], "0" * 64):
        for limit in (3, 1000):
            assert list(many.all(prefix=prefix, limit=limit)) == [n for n in many.names if n.startswith(prefix)], prefix


@each(
    "query",
    [
        {"prefix": "A"}, {"prefix": "g"}, {"prefix": "a" * 65}, {"prefix": "../"}, {"prefix": "a%00"}, {"prefix": "*"}, {"limit": 0}, {"limit": 1001}, {"limit": -1}, {"limit": "x"}, {"limit": ""},
        {"cursor": "x"}, {"cursor": "A" * 64}, {"cursor": "a" * 63}, {"cursor": "a" * 300}, {"cursor": ""}, {"unknown": "1"}, {"prefix": ["a", "b"]},
    ],
)
def test_list_questions_that_are_none(t4, query):
    answer = t4.page(**query)
    assert answer.status == 400 and answer.code in ("malformed_parameter", "malformed_cursor"), answer


def test_strangers_among_the_files(many):
    """What t4d has not stored is not listed, not counted and not touched."""
    strangers = []
    for place in (many.data, many.data / "ab", many.data / "00"):
        for name in ("README", "a" * 63, "A" * 64, sha(b"z").replace(sha(b"z")[:2], "cd" if place.name != "cd" else "ce", 1)):
            strangers.append(place / name)
            strangers[-1].write_bytes(b"stranger")
    directory = many.data / "aa" / ("aa" + "0" * 62)
    directory.mkdir()
    assert sorted(many.all()) == many.names
    assert many.json("stats")[0]["objects"] == 300
    assert many.missing([directory.name]).expect(200) == {"missing": [directory.name]}
    assert all(p.read_bytes() == b"stranger" for p in strangers)


def test_listing_while_others_write(many):
    """What is there all the time is on exactly one page."""
    seen, cursor, n = [], {}, 0
    while True:
        found = many.page(limit=20, **cursor).expect(200)
        seen += [r["hash"] for r in found["content"]]
        many.store(blob(20))
        if n % 2:
            many.delete(many.store(blob(20))).expect(200)
        n += 1
        if "nextCursor" not in found:
            break
        cursor = {"cursor": found["nextCursor"]}
    assert seen == sorted(set(seen)) and set(many.names) <= set(seen)


def test_delete(t4):
    name = t4.store(b"x")
    assert t4.delete(name).expect(200) == {"hash": name, "deleted": True}
    t4.delete(name).refused(404, "unknown_content")
    t4.get(name).refused(404, "unknown_content")
    assert t4.all() == {} and t4.files() == {}
    t4.store(b"x")
    t4.restart()
    assert t4.get(name).body == b"x"


def test_a_delete_takes_no_body(t4):
    name = t4.store(b"x")
    t4.client.call("DELETE", f"/content/{name}", b"x", t4.auth()).refused(400, "unexpected_body")


def test_listing_needs_its_scope(t4):
    t4.page(t4.ledger.token("content:put")).refused(403, "scope_missing")
    t4.page(t4.ledger.token(LIST)).expect(200)


def test_stats(t4_factory):
    t4 = t4_factory()
    names = [t4.store(blob(100 * i)) for i in range(5)]
    eventually(lambda: t4.stats()["complete"], what="everything is counted")
    assert (t4.stats()["objects"], t4.stats()["bytes"]) == (5, 1000)
    t4.delete(names[4]).expect(200)
    t4.store(blob(7))
    t4.put(b"wrong", "0" * 64).refused(400, "hash_mismatch")
    assert (t4.stats()["objects"], t4.stats()["bytes"]) == (5, 607)
    assert t4.stats()["writable"] is True and t4.stats()["freeBytes"] > 0
    t4.restart()
    eventually(lambda: t4.stats()["complete"], what="everything is counted again")
    assert (t4.stats()["objects"], t4.stats()["bytes"]) == (5, 607)
    found = t4.json("stats")
    assert found == [{"objects": 5, "bytes": 607, "freeBytes": found[0]["freeBytes"]}]


def test_metrics(t4):
    name = t4.store(blob(10))
    t4.put(blob(10), "0" * 64).refused(400, "hash_mismatch")
    t4.put(t4.get(name).body).expect(200)
    t4.delete(name).expect(200)
    found = parse(t4.client.get("/metrics").body.decode())
    values = {k: v[frozenset()] for k, v in found.items() if k.startswith("tana_t4_") and frozenset() in v}
    expected = {"puts_total": 1, "put_bytes_total": 10, "duplicate_puts_total": 1, "deletes_total": 1, "uploads": 0, "writable": 1, "corrupt_total": 0, "known_keys": 1}
    assert {k: values["tana_t4_" + k] for k in expected} == expected


def test_health_ready_info(t4):
    assert t4.client.get("/health").expect(200)["nodeId"] == t4.node
    t4.client.get("/ready").expect(200)
    info = t4.client.get("/info").expect(200)
    assert info["configuration"]["dir"] == str(t4.data) and info["knownKeys"] == 1
    assert t4.ledger.key.seed_hex not in str(info)
