"""Users, money, transactions, blocks, contents and audits on the command line, against a network that tana start made."""

import concurrent.futures
import json
import signal
import sqlite3
import time

import pytest
from tana_cli import Liar, User, listen_options
from tana_testing.daemon import PATIENCE


@pytest.fixture(scope="module")
def me(tmp_path_factory):
    """One network for all tests here; @alice and @bob are on its chain, and each test brings in what it needs."""
    made = User(tmp_path_factory.mktemp("ledger") / "me")
    made("start", "--dev", "--block-interval", "10ms", *listen_options()).ok
    for name in ("alice", "bob"):
        made("user", "create", f"@{name}", "--display-name", name.title()).ok
    yield made
    for background in made.background:
        background.end(signal.SIGKILL)
    made("stop", "--quiet")


def ledger_url(me):
    return {s["service"]: s["url"] for s in me("status", "--json").json["services"]}["ledger"]


def give(me, user, amount, currency="USD"):
    request = me("deposit", user, amount, currency, "--json").ok.json["id"]
    me("confirm", request).ok
    return request


def new_user(me, name):
    return me("user", "create", name, "--json").ok.json["message"]["from"]


def balance(me, user):
    return {b["currencyCode"]: (b["amount"], b["held"]) for b in me("balance", user, "--json").ok.json}


def refused(me, code, *args, status=1):
    done = me(*args, "--json").expect(status)
    assert done.error["code"] == code and done.out == "", repr(done)
    return done.error


# -- users


def test_users(me):
    shown = me("user", "show", "alice", "--json").ok.json
    assert shown["user"]["username"] == "@alice" and shown["user"]["displayName"] == "Alice" and shown["user"]["role"] == "user"
    by_id = me("user", "show", shown["user"]["id"], "--json").ok.json
    assert by_id["user"] == shown["user"]
    assert {"@sovereign", "@alice", "@bob"} <= {u["username"] for u in me("user", "list", "--json").ok.json["users"]}
    head, rows = me("user", "list").ok.rows()
    assert head == ["USER", "NAME", "ROLE", "ID", "KEY"] and any(r[:3] == ["@alice", "Alice", "user"] for r in rows)
    assert len(me("user", "list", "--limit", "1", "--json").ok.json["users"]) == 1
    refused(me, "unknown_user", "user", "show", "@nobody")
    refused(me, "usage", "user", "show", "No Name", status=2)


def test_what_a_user_shows_of_itself(me):
    new_user(me, "@dora")
    me("user", "update", "@dora", "--bio", "I am", "--display-name", "Döra \"D\"").ok
    shown = me("user", "show", "@dora", "--json").ok.json["user"]
    assert shown["displayName"] == 'Döra "D"' and shown["bio"] == "I am"
    me("user", "update", "@dora", "--clear-bio").ok
    assert me("user", "show", "@dora", "--json").json["user"]["bio"] == ""
    refused(me, "usage", "user", "update", "@dora", status=2)
    refused(me, "malformed_field", "user", "update", "@dora", "--avatar", "xyz", status=2)
    # Control characters from the chain do not reach the terminal.
    me("user", "update", "@dora", "--display-name", "a\x1b[31mb").ok
    assert "\x1b[31m" not in me("user", "show", "@dora").ok.out + me("user", "list").ok.out


def test_a_user_exists_once(me):
    first = me("user", "create", "@erin", "--json").ok.json
    assert me("user", "create", "@erin", "--json").ok.json == first, "it is there already"
    assert "already" in me("user", "create", "@erin").ok.out
    # Another key cannot have the name.
    path = me.config / "users" / "@erin.json"
    kept = path.read_bytes()
    path.unlink()
    refused(me, "username_taken", "user", "create", "@erin")
    path.write_bytes(kept)


def test_keys_are_needed(me):
    error = refused(me, "key_needed", "transfer", "@nobody", "@bob", "1", "USD", status=4)
    assert "tana new user @nobody" in error["hint"]
    # Several users have keys here: somebody must be named.
    assert "--as" in refused(me, "key_needed", "content", "retract", "0" * 64, status=4)["hint"]
    # A key that is not the user's any more.
    new_user(me, "@fred")
    path = me.config / "users" / "@fred.json"
    old = path.read_text()
    me("user", "rotate-key", "@fred", "--yes").ok
    path.write_text(old)
    assert "rotate-key" in refused(me, "key_file", "transfer", "@fred", "@bob", "1", "USD", status=4)["hint"]


def test_rotation_is_taken_up_where_it_was_cut_short(me):
    give(me, "@alice", "5")
    user_id = new_user(me, "@gina")
    me("transfer", "@alice", "@gina", "2", "USD").ok
    path = me.config / "users" / "@gina.json"
    before = path.read_bytes()
    # Cut short after the new key was written, and before the ledger heard of it.
    me("user", "rotate-key", "@gina").expect(2)  # nobody to ask
    next_path = path.with_name("@gina.json.next")
    planned = json.loads(next_path.read_text())["publicKey"]
    me("user", "rotate-key", "@gina", "--yes").ok
    assert not next_path.exists() and json.loads(path.read_text())["publicKey"] == planned
    assert me("user", "show", "@gina", "--json").ok.json["user"] | {"publicKey": planned, "id": user_id} == me("user", "show", "@gina", "--json").json["user"]
    # Cut short after the ledger took it, and before the file was replaced.
    after = path.read_bytes()
    path.write_bytes(before)
    next_path.write_bytes(after)
    next_path.chmod(0o600)
    assert "has the new key" in me("user", "rotate-key", "@gina", "--yes").ok.out
    assert path.read_bytes() == after and not next_path.exists()
    me("transfer", "@gina", "@alice", "0.50", "USD").ok
    assert balance(me, "@gina") == {"USD": ("1.50", "0.00")}


# -- money


def test_deposit_pay_withdraw(me):
    new_user(me, "@hans")
    new_user(me, "@iris")
    request = me("deposit", "@hans", "100.00", "USD", "--reference", "bank 4711", "--json").ok.json
    assert request["status"] == "included" and request["message"]["reference"] == "bank 4711"
    row = next(r for r in me("requests", "--json").ok.json["requests"] if r["id"] == request["id"])
    assert row["type"] == "deposit" and row["amount"] == "100.00" and row["status"] == "pending"
    assert any(r[:3] == ["deposit", "@hans", "100.00"] for r in me("requests").ok.rows()[1])
    assert balance(me, "@hans") == {}
    me("confirm", request["id"]).ok
    assert balance(me, "@hans") == {"USD": ("100.00", "0.00")}
    refused(me, "request_closed", "confirm", request["id"])
    paid = me("transfer", "@hans", "@iris", "12.5", "USD", "--memo", "thanks").ok.out
    assert paid.startswith("Transferred 12.5 USD from @hans to @iris.\n") and "block" in paid
    by_id = me("user", "show", "iris", "--json").json["user"]["id"]
    me("transfer", "hans", by_id, "0.01", "USD").ok
    assert balance(me, "@iris") == {"USD": ("12.51", "0.00")}
    out = me("withdraw", "@iris", "2.51", "USD", "--json").ok.json["id"]
    assert balance(me, "@iris") == {"USD": ("10.00", "2.51")}
    me("refuse", out).ok
    assert balance(me, "@iris") == {"USD": ("12.51", "0.00")}
    me("confirm", me("withdraw", "@iris", "12.51", "USD", "--json").ok.json["id"]).ok
    assert balance(me, "@iris") == {}
    everybody = me("balance", "--currency", "USD", "--json").ok.json["balances"]
    supply = {s["currencyCode"]: s["amount"] for s in me("supply", "--json").ok.json["supply"]}
    total = sum(round(float(b["amount"]) * 100) + round(float(b["held"]) * 100) for b in everybody)
    assert f"{total // 100}.{total % 100:02}" == supply["USD"]


@pytest.mark.parametrize(
    "code, args",
    [
        ("insufficient_funds", ["@bob", "@alice", "99999999", "USD"]),
        ("self_transfer", ["@bob", "@bob", "1", "USD"]),
        ("unknown_currency", ["@bob", "@alice", "1", "XXX"]),
        ("amount_too_precise", ["@bob", "@alice", "0.001", "USD"]),
        ("amount_not_positive", ["@bob", "@alice", "0", "USD"]),
        ("unknown_user", ["@bob", "@nobody", "1", "USD"]),
        ("unknown_user", ["@bob", "00000000-0000-8000-8000-000000000000", "1", "USD"]),
    ],
)
def test_refused_payments(me, code, args):
    give(me, "@bob", "1")
    nonce = me("user", "show", "@bob", "--json").json["nonce"]
    refused(me, code, "transfer", *args)
    assert me("user", "show", "@bob", "--json").json["nonce"] == nonce, "a refused transaction uses up no nonce"


@pytest.mark.parametrize(
    "code, args",
    [
        ("amount_malformed", ["transfer", "@bob", "@alice", "1e3", "USD"]),
        ("amount_malformed", ["deposit", "@bob", ".5", "USD"]),
        ("malformed_field", ["transfer", "@bob", "@alice", "1", "usd"]),
        ("malformed_field", ["transfer", "@bob", "@alice", "1", "USD", "--memo", "x" * 257]),
        ("malformed_field", ["stake", "@bob", "No Validator", "1", "USD"]),
    ],
)
def test_what_is_no_payment_at_all_is_wrong_usage(me, code, args):
    refused(me, code, *args, "--ledger-url", "http://127.0.0.1:1", status=2)


def test_many_payments_of_one_user_at_once(me):
    """Each asks for the nonce by itself; those that came too late sign anew."""
    new_user(me, "@jack")
    new_user(me, "@kate")
    give(me, "@jack", "20")
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        done = list(pool.map(lambda n: me("transfer", "@jack", "@kate", f"0.{n:02}", "USD", "--json", within=60), range(1, 13)))
    assert len({d.ok.json["message"]["nonce"] for d in done}) == 12
    assert balance(me, "@kate") == {"USD": ("0.78", "0.00")}


def test_staff_and_sovereign(me):
    new_user(me, "@lena")
    new_user(me, "@mike")
    request = me("deposit", "@mike", "3", "USD", "--json").ok.json["id"]
    refused(me, "not_allowed", "confirm", request, "--as", "@lena")
    me("role", "@lena", "staff").ok
    me("confirm", request, "--as", "@lena").ok
    refused(me, "unknown_request", "confirm", me("tx", "list", "--type", "user_creation", "--json").json["transactions"][0]["id"])
    me("adjust", "--reason", "mistake", "--yes", "--", "@mike", "-0.50", "USD").ok
    assert balance(me, "@mike") == {"USD": ("2.50", "0.00")}
    refused(me, "usage", "adjust", "@mike", "1", "USD", "--yes", status=2)
    refused(me, "usage", "role", "@mike", "king", status=2)
    refused(me, "usage", "role", "@mike", "sovereign", status=2)  # asks first
    me("currency", "create", "PTS", "--name", "Points", "--symbol", "P", "--decimals", "0").ok
    refused(me, "currency_exists", "currency", "create", "PTS")
    assert ["PTS", "Points", "P", "fiat", "0"] in me("currency", "list").ok.rows()[1]
    me("stake", "@mike", "validator-1", "1", "USD").ok
    assert balance(me, "@mike") == {"USD": ("1.50", "0.00")}
    me("unstake", "@mike", "validator-1", "1", "USD").ok
    refused(me, "unknown_validator", "stake", "@mike", "validator-77", "1", "USD")
    me("keys", "new", "node", "validator-2").ok
    me("validator", "update", "validator-2", "--yes").ok
    assert {v["id"]: v["power"] for v in me("validator", "list", "--json").ok.json["validators"]} == {"validator-1": 1, "validator-2": 1}
    me("validator", "update", "validator-2", "--power", "0", "--yes").ok
    assert [r[0] for r in me("validator", "list").ok.rows()[1]] == ["validator-1"]
    (me.config / "node-key-validator-2.json").unlink()


# -- transactions


def test_transactions_are_shown(me):
    paid = give(me, "@alice", "7.77")
    shown = me("tx", "show", paid).ok.out
    assert "included" in shown and "7.77" in shown and "@alice (" in shown
    assert me("tx", "show", paid, "--json").ok.json["message"]["amount"] == "7.77"
    refused(me, "unknown_transaction", "tx", "show", "0" * 64)
    refused(me, "usage", "tx", "show", "xyz", status=2)
    alice = me("user", "show", "@alice", "--json").json["user"]["id"]
    listed = me("tx", "list", "--user", "@alice", "--type", "deposit", "--limit", "1", "--json").ok.json["transactions"]
    assert [t["id"] for t in listed] == [paid] and listed[0]["message"]["from"] == alice
    assert me("tx", "list", "--pending", "--json").ok.json["transactions"] == []
    refused(me, "usage", "tx", "list", "--type", "nonsense", status=2)
    refused(me, "usage", "tx", "list", "--pending", "--user", "@alice", status=2)
    assert any("@alice" in r for r in me("tx", "list").ok.rows()[1])


def test_signing_offline(me, tmp_path):
    give(me, "@alice", "3")
    nonce = me("user", "show", "@alice", "--json").json["nonce"]["nextNonce"]
    bob = me("user", "show", "@bob", "--json").json["user"]["id"]
    nowhere = {"TANA_LEDGER_URL": "http://127.0.0.1:1"}
    signed = me("transfer", "@alice", "@bob", "1.23", "USD", "--offline", "--nonce", nonce, env=nowhere).ok
    message = json.loads(signed.out)["message"]
    assert message["nonce"] == nonce and message["to"] == bob and message["chainId"] == "local"
    refused(me, "usage", "transfer", "@alice", "@bob", "1.23", "USD", "--offline", status=2)
    by_id = me("transfer", message["from"], bob, "1", "USD", "--offline", "--nonce", nonce, env=nowhere).ok
    assert json.loads(by_id.out)["message"]["from"] == message["from"]
    path = tmp_path / "signed.json"
    path.write_text(signed.out)
    first = me("tx", "submit", path, "--json").ok.json
    again = me("tx", "submit", "-", "--json", stdin=signed.out).ok.json
    assert first["status"] == "included" and again == first, "it counts once"
    # What was changed on the way is refused.
    path.write_text(signed.out.replace("1.23", "9.23"))
    refused(me, "bad_signature", "tx", "submit", path)
    path.write_text("{}")
    refused(me, "missing_field", "tx", "submit", path)
    waiting = me("transfer", "@alice", "@bob", "0.01", "USD", "--no-wait", "--json").ok.json
    assert waiting["status"] == "queued"
    me("tx", "submit", "-", "--no-wait", stdin=signed.out).ok


def test_another_chain_is_noticed(me, tmp_path):
    """Nothing is signed for a chain that is not the one this user knows."""
    liar = Liar(ledger_url(me))
    liar.change("/status", lambda d: {**d, "chainId": "evil"})
    error = refused(me, "bad_chain", "transfer", "@alice", "@bob", "1", "USD", "--ledger-url", liar.url)
    assert "evil" in error["error"] and "Nothing was signed" in error["error"]
    liar.change("/status", lambda d: {**d, "genesisHash": "0" * 64})
    refused(me, "bad_chain", "transfer", "@alice", "@bob", "1", "USD", "--ledger-url", liar.url)
    # Somebody without a chain file remembers what was said first.
    other = User(tmp_path / "other")
    other("new", "user", "@alice").ok
    env = {"TANA_LEDGER_URL": liar.url}
    liar.patch = lambda path, body: None
    assert "first contact" in other("transfer", "@alice", "@bob", "1", "USD", env=env).err
    liar.change("/status", lambda d: {**d, "chainId": "evil"})
    assert other("transfer", "@alice", "@bob", "1", "USD", "--json", env=env).expect(1).error["code"] == "bad_chain"
    liar.stop()


def test_a_ledger_that_answers_about_something_else(me):
    liar = Liar(ledger_url(me))
    liar.change("/users/username/", lambda d: {**d, "username": "@mallory", "publicKey": "ed25519_" + "ab" * 32})
    refused(me, "bad_answer", "user", "show", "@alice", "--ledger-url", liar.url)
    liar.change("/blocks/", lambda d: {**d, "hash": "0" * 64})
    refused(me, "bad_answer", "block", "show", "--ledger-url", liar.url)
    liar.change("/transactions", lambda d: {"transactions": "none"})
    refused(me, "bad_answer", "tx", "list", "--ledger-url", liar.url)
    liar.stop()


def test_no_ledger(me):
    error = refused(me, "unreachable", "balance", "@alice", "--ledger-url", "http://127.0.0.1:1", status=3)
    assert "TANA_LEDGER_URL" in error["hint"]


# -- blocks


def test_blocks_are_shown(me):
    give(me, "@bob", "1")
    blocks = me("block", "list", "--json").ok.json["blocks"]
    heights = [b["header"]["height"] for b in blocks]
    assert heights == sorted(heights) and "transactions" not in blocks[0]
    newest = me("block", "show", "--json").ok.json
    assert newest["header"]["height"] >= heights[-1] and newest["transactions"] and newest["stateChanges"]
    assert me("block", "show", newest["hash"], "--json").ok.json == newest == me("block", "show", newest["header"]["height"], "--json").ok.json
    first = me("block", "show", "0").ok.out
    assert "genesis" in first and "0 transactions" in first
    text = me("block", "show", newest["header"]["height"]).ok.out
    assert newest["hash"] in text and "State changes" in text
    assert me("block", "list", "--from", "0", "--limit", "2", "--full", "--json").ok.json["blocks"][1]["transactions"]
    refused(me, "usage", "block", "show", "newest", status=2)
    refused(me, "unknown_block", "block", "show", "99999999")


def test_watching(me):
    blocks, txs = me.start("block", "watch"), me.start("tx", "watch", "--json")
    for watcher in (blocks, txs):
        watcher.wait_for(lambda w: "Watching" in w.err)
    deadline = time.monotonic() + 20 * PATIENCE
    while not (txs.out and blocks.out):  # the streams begin with what happens next
        paid = give(me, "@bob", "0.01")
        assert time.monotonic() < deadline, (txs.out, txs.err, blocks.out, blocks.err)
    txs.wait_for(lambda w: paid in w.out)
    event = next(e for e in map(json.loads, txs.out.splitlines()) if e["data"]["id"] == paid)
    assert event["type"] == "transaction" and event["data"]["type"] == "deposit" and event["data"]["status"] == "included"
    blocks.wait_for(lambda w: f"{event['data']['height']}  20" in w.out)
    assert "1 transaction " in blocks.out and "by validator-1" in blocks.out
    assert blocks.end(signal.SIGINT) == 130 and txs.end(signal.SIGTERM) == 0


# -- contents


def test_publish_and_retract(me):
    (me.home / "song.txt").write_text("la la la\n")
    done = me("content", "publish", "song.txt", "--as", "@alice", "--mime-type", "text/plain", "--content-key", "songs/1", "--json").ok.json["message"]
    assert done["filename"] == "song.txt" and done["size"] == 9 and done["mimeType"] == "text/plain" and done["key"] == "songs/1"
    assert me("content", "get", done["hash"]).ok.out == "la la la\n"
    refused(me, "content_exists", "content", "publish", "song.txt", "--as", "@alice")
    # Another user refers to the same bytes: they are not sent again.
    assert "stored already" in me("content", "publish", "song.txt", "--as", "@bob", "--type", "kv_data").ok.err
    rows = me("content", "references", "--hash", done["hash"], "--json").ok.json["content"]
    assert len(rows) == 2 and {r["contentType"] for r in rows} == {"file_upload", "kv_data"}
    assert len(me("content", "references", "--user", "@alice", "--hash", done["hash"]).ok.rows()[1]) == 1
    me("content", "retract", done["hash"], "--as", "@bob").ok
    refused(me, "not_owner", "content", "retract", done["hash"], "--as", "@bob")
    refused(me, "usage", "content", "publish", ".", "--as", "@alice", status=2)
    refused(me, "not_found", "content", "publish", "nothing.txt", "--as", "@alice")


# -- what goes wrong on the way


def test_registration_that_is_not_open(user_factory):
    me = user_factory("closed")
    me("new", "user", "@root").ok
    me("keys", "new", "node", "n1").ok
    me("new", "chain", "closed", "--closed-registration", "--currency", "EUR:fiat:2:Euro:E").ok
    me("start", "--dev", "--chain", "closed", "--block-interval", "10ms", *listen_options()).ok
    on = ["--chain", "closed"]
    error = me("user", "create", "@alice", "--json", *on).expect(1).error
    assert error["code"] == "approval_required" and "--approve-by" in error["hint"]
    me("user", "create", "@alice", "--approve-by", "@root", *on).ok
    assert me("user", "create", "@bob", "--approve-by", "@alice", "--json", *on).expect(1).error["code"] in ("approval_required", "not_allowed")
    assert [c["code"] for c in me("currency", "list", "--json", *on).ok.json["currencies"]] == ["EUR"]
    assert me("status", "--json", *on).ok.json["services"][1]["service"] == "ledger"


def test_audits(user_factory):
    me = user_factory("audited")
    done = me("verify", "--json").expect(1)
    assert {a["verdict"] for a in done.json["audits"]} == {"not checked"} and done.json["valid"] is False
    me("start", "--dev", "--block-interval", "10ms", *listen_options()).ok
    me("user", "create", "@alice").ok
    me("confirm", me("deposit", "@alice", "5", "USD", "--json").ok.json["id"]).ok
    (me.home / "file").write_text("x")
    me("content", "publish", "file", "--as", "@alice").ok
    done = me("verify", "--with-content", "--json").ok.json
    assert done["valid"] is True and [(a["service"], a["verdict"], a["findings"]) for a in done["audits"]] == [
        ("ledger", "valid", 0), ("mesh", "valid", 0), ("t4", "valid", 0)]
    assert json.loads(done["audits"][0]["detail"])["summary"]["height"] == 4
    shown = me("verify").ok.out
    assert "AUDIT" in shown and shown.count(" valid ") >= 3
    me("verify", "--only", "ledger", "--checkpoint", me.home / "kept").ok
    me("verify", "--only", "ledger", "--since-checkpoint", me.home / "kept").ok
    me("verify", "3", "--only", "ledger").ok
    me("verify", "--from", "1", "--to", "2", "--only", "ledger").ok
    # A row of the ledger, changed by hand; and a content.
    me("stop").ok
    path = me.state / "local" / "ledger" / "ledger.db"
    with sqlite3.connect(path) as db:
        assert db.execute("""UPDATE state SET value = '"6.00"' WHERE value = '"5.00"' AND key LIKE 'balance:%'""").rowcount == 1
    blob = next(p for p in (me.state / "local" / "t4").rglob("*") if p.is_file() and len(p.name) == 64)
    blob.chmod(0o600)
    blob.write_text("y")
    done = me("verify", "--json").expect(6).json
    assert [a["verdict"] for a in done["audits"]] == ["invalid", "valid", "invalid"]
    found = json.loads(done["audits"][0]["lines"][0])
    assert found["table"] == "state" and found["expected"] == '"5.00"' and found["found"] == '"6.00"'
    assert "balance:" in me("verify", "--only", "ledger").expect(6).out


def test_a_block_by_hand(user_factory):
    me = user_factory("by-hand")
    assert "never started" in me("block", "produce").expect(1).err
    me("start", "--dev", "--block-interval", "10ms", *listen_options()).ok
    assert "tana stop" in me("block", "produce").expect(1).err, "it runs: two producers are refused"
    assert "wrong_state" == me("block", "produce", "--json").expect(1).error["code"]
    for wrong in (["x"], ["--from", "2", "--to", "1"]):
        me("verify", *wrong).expect(2)
    before = me("block", "show", "--json").ok.json["header"]["height"]
    me("stop").ok
    made = me("block", "produce", "--empty", "--json").ok.json
    assert (made["made"], made["chainId"], made["height"]) == (True, "local", before + 1) and len(made["hash"]) == 64
    assert me("block", "produce", "--json").ok.json == {**made, "made": False}
    assert "Nothing waits" in me("block", "produce").ok.out
    me("restart").ok
    assert me("block", "show", "--json").ok.json["header"]["height"] == before + 1
    assert me("proof", "get", "state", "supply:USD", "--out", "p.json", "--json").ok.json == {"file": "p.json"}
    assert me("proof", "verify", "p.json", "--json").ok.json["valid"] is True


def test_a_validators_key_is_rotated_on_the_chain_too(user_factory):
    me = user_factory("rotating")
    me("start", "--dev", "--block-interval", "10ms", *listen_options()).ok
    me("mesh", "register", "--dev", "--node-id", "validator-1").ok
    me("mesh", "approve", "validator-1", "-y").ok
    nowhere = ["--ledger-url", "http://127.0.0.1:1"]
    assert me("mesh", "rotate-key", "--node-id", "validator-1", "-y", "--json", *nowhere).expect(1).error["code"] == "wrong_state"
    done = me("mesh", "rotate-key", "--node-id", "validator-1", "-y", "--json").ok
    assert f"tana validator update validator-1 --public-key {done.json['newPublicKey']}" in done.err
    me("validator", "update", "validator-1", "--public-key", done.json["newPublicKey"], "-y").ok
    me("restart").ok
    me("user", "create", "@late").ok
