"""new chain, new genesis: what a chain begins with."""

import hashlib
import json
import os
import time

import pytest
from tana_testing import oracle
from tana_testing.ledger_forms import check_genesis


@pytest.fixture
def me(user_factory):
    return user_factory("me")


def genesis_of(me, name):
    text = (me.state / name / "genesis.json").read_bytes()
    assert text.endswith(b"\n")
    genesis = json.loads(text)
    assert oracle.canonical(genesis) + b"\n" == text
    check_genesis(genesis)
    return genesis


def test_a_chain_of_ones_own(me):
    error = me("new", "chain", "test", "--json").expect(4).error
    assert error["code"] == "key_needed" and "tana new user" in error["hint"]
    me("new", "user", "@alice", "--display-name", "Alice A.").ok
    error = me("new", "chain", "test", "--json").expect(4).error
    assert error["code"] == "key_needed" and "tana keys new node" in error["hint"]
    node = me("keys", "new", "node", "v1", "--json").ok.json["publicKey"]
    done = me("new", "chain", "test", "--json").ok.json
    genesis = genesis_of(me, "test")
    assert genesis["chainId"] == "test" == done["chainId"] and done["sovereign"] == "@alice" and done["validators"] == ["v1"]
    assert done["genesisHash"] == hashlib.sha256(oracle.canonical(genesis)).hexdigest()
    key = json.loads((me.config / "users" / "@alice.json").read_text())["publicKey"]
    assert genesis["sovereign"] == {"username": "@alice", "displayName": "Alice A.", "publicKey": key}
    assert genesis["validators"] == [{"id": "v1", "publicKey": node}]
    assert {c["code"]: (c["currencyType"], c["decimals"]) for c in genesis["currencies"]} == {
        "USD": ("fiat", 2), "BTC": ("crypto", 8), "ETH": ("crypto", 8)}
    assert genesis["params"]["openRegistration"] is True and abs(genesis["timestamp"] - time.time() * 1000) < 600_000
    chain = json.loads((me.config / "chains" / "test.json").read_text())
    assert chain["chainId"] == "test" and chain["genesisHash"] == done["genesisHash"] and chain["sovereign"] == "@alice"
    # A chain is never replaced.
    assert me("new", "chain", "test", "--json").expect(1).error["code"] == "already_exists"
    assert genesis_of(me, "test") == genesis


def test_the_first_user_is_the_sovereign(me):
    for n, name in enumerate(("@zoe", "@ann")):
        me("new", "user", name).ok
        os.utime(me.config / "users" / f"{name}.json", (1000 + n, 1000 + n))
    me("keys", "new", "node", "v1").ok
    done = me("new", "chain", "one")
    assert done.ok and "@zoe" in done.err and genesis_of(me, "one")["sovereign"]["username"] == "@zoe"
    me("new", "chain", "two", "--sovereign", "ann").ok
    assert genesis_of(me, "two")["sovereign"]["username"] == "@ann"
    assert me("new", "chain", "three", "--sovereign", "@nobody").expect(4)


def test_what_a_chain_file_holds_beside_is_kept(me):
    me("new", "user", "@ann").ok
    me("keys", "new", "node", "v1").ok
    (me.config / "chains").mkdir()
    (me.config / "chains" / "mine.json").write_text('{"meshUrl":"http://127.0.0.1:1","theirs":[1,2]}')
    me("new", "chain", "mine").ok
    kept = json.loads((me.config / "chains" / "mine.json").read_text())
    assert kept["meshUrl"] == "http://127.0.0.1:1" and kept["theirs"] == [1, 2] and kept["chainId"] == "mine"


def test_a_genesis_for_several_machines(me):
    me("new", "user", "@ann").ok
    keys = [oracle.Key(n).public for n in "ab"]
    args = ["--validator", f"v2={keys[0]}", "--validator", f"v1={keys[1]}", "--currency", "EUR:fiat:2:Euro:€", "--currency", "PTS:crypto:0",
            "--closed-registration", "--max-block-transactions", "5", "--max-block-bytes", "1M", "--max-transaction-bytes", "8k", "--timestamp-window", "1m",
            "--max-pending-per-user", "3"]
    printed = me("new", "genesis", "main", *args).ok.out
    genesis = json.loads(printed)
    check_genesis(genesis)
    assert genesis["validators"] == [{"id": "v2", "publicKey": keys[0]}, {"id": "v1", "publicKey": keys[1]}]
    assert genesis["currencies"][0] == {"code": "EUR", "currencyType": "fiat", "decimals": 2, "name": "Euro", "symbol": "€"}
    assert genesis["currencies"][1]["name"] == "PTS" == genesis["currencies"][1]["symbol"]
    assert genesis["params"] == {"maxBlockBytes": 1 << 20, "maxBlockTransactions": 5, "maxPendingPerUser": 3, "maxTransactionBytes": 8192,
                                 "openRegistration": False, "timestampWindowMs": 60_000}
    assert not (me.state / "main").exists() and not (me.config / "chains" / "main.json").exists()
    assert me("new", "genesis", "main", *args, "--out", "g.json", "--json").ok.json == {"file": "g.json"}
    assert me("new", "genesis", "main", *args, "--out", "g.json", "--json").expect(1).error["code"] == "already_exists"


@pytest.mark.parametrize(
    "args, status, code",
    [
        (["A"], 2, "usage"),
        (["../x"], 2, "usage"),
        (["a" * 65], 2, "usage"),
        (["x", "--currency", "usd:fiat:2"], 2, "usage"),
        (["x", "--currency", "USD:fiat"], 2, "usage"),
        (["x", "--currency", "USD:fiat:9"], 2, "usage"),
        (["x", "--currency", "USD:fiat:2", "--currency", "USD:fiat:2"], 1, "malformed_field"),
        (["x", "--currency", "USD:fiat:2:" + "n" * 257], 1, "malformed_field"),
        (["x", "--validator", "v1"], 2, "usage"),
        (["x", "--validator", "v1=ed25519_00"], 2, "usage"),
        (["x", "--validator", "V1=" + oracle.Key("k").public], 2, "usage"),
        (["x", "--validator", "v1=" + oracle.Key("k").public, "--validator", "v1=" + oracle.Key("l").public], 1, "malformed_field"),
        (["x", "--max-block-bytes", "100", "--validator", "v1=" + oracle.Key("k").public], 1, "malformed_field"),
        (["x", "--sovereign", "00000000-0000-8000-8000-000000000000"], 2, "usage"),
    ],
)
def test_what_is_no_chain(me, args, status, code):
    me("new", "user", "@ann").ok
    me("keys", "new", "node", "v1").ok
    for command in ("chain", "genesis"):
        done = me("new", command, *args, "--json").expect(status)
        assert done.error["code"] == code and done.out == "", repr(done)
    assert not me.state.exists()
