"""Key files: who may read them, how they are sealed, what becomes of what was there."""

import json
import stat

import pytest
from tana_testing import oracle
from tana_cli import write_key


@pytest.fixture
def me(user_factory):
    return user_factory("me")


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_new_keys_are_private_and_belong_together(me):
    made = me("keys", "new", "sovereign", "--json").ok.json
    path = me.config / "sovereign-key.json"
    assert made == {"file": str(path), "publicKey": made["publicKey"], "sealed": False}
    assert mode(path) == 0o600 and mode(me.config) == 0o700
    file = json.loads(path.read_text())
    assert oracle.Key(bytes.fromhex(file["privateKey"].removeprefix("ed25519_"))).public == file["publicKey"] == made["publicKey"]


def test_each_kind_has_the_name_that_existing_installations_use(me):
    me("keys", "new", "node", "validator-1").ok
    me("keys", "new", "service", "validator-1", "t4").ok
    me("new", "user", "alice", "--display-name", "Alice").ok
    assert json.loads((me.config / "node-key-validator-1.json").read_text())["nodeId"] == "validator-1"
    assert "privateKey" in json.loads((me.config / "validator-1-t4-key.json").read_text())
    user = json.loads((me.config / "users" / "@alice.json").read_text())
    assert user["username"] == "@alice" and user["displayName"] == "Alice"
    assert mode(me.config / "users") == 0o700 and mode(me.config / "users" / "@alice.json") == 0o600
    listed = {(k["kind"], k["name"]) for k in me("keys", "list", "--json").ok.json["keys"]}
    assert listed == {("node", "validator-1"), ("service", "validator-1/t4"), ("user", "@alice")}


def test_a_key_that_is_there_is_never_replaced(me):
    me("keys", "new", "sovereign").ok
    before = (me.config / "sovereign-key.json").read_bytes()
    assert me("keys", "new", "sovereign", "--json").expect(1).error["code"] == "already_exists"
    assert me("keys", "import", "sovereign", stdin=oracle.Key().private, env={}).expect(1)
    assert me("new", "user", "bob").ok and me("new", "user", "@bob").expect(1)
    assert (me.config / "sovereign-key.json").read_bytes() == before


@pytest.mark.parametrize("name", ["", "@", "Bob", "a" * 50, "../x", "-x", "b b"])
def test_user_names_follow_the_ledgers_rule(me, name):
    me("new", "user", "--", name).expect(2)
    assert not (me.config / "users").exists()


def test_import_takes_the_key_from_standard_input_or_a_file(me, tmp_path):
    key, other = oracle.Key(), oracle.Key()
    assert me("keys", "import", "node", "n1", "--json", stdin=key.private + "\n").ok.json["publicKey"] == key.public
    (tmp_path / "k").write_text(other.seed_hex.upper())
    assert me("keys", "import", "node", "n2", "--from", tmp_path / "k", "--json").ok.json["publicKey"] == other.public
    assert me("keys", "import", "node", "n3", "--json", stdin="not a key").expect(1).error["code"] == "malformed_key"
    assert not (me.config / "node-key-n3.json").exists()


def test_showing_the_private_key_asks(me):
    key = oracle.Key()
    write_key(me.config / "sovereign-key.json", key)
    shown = me("keys", "show", "sovereign").ok.out
    assert key.public in shown and key.seed_hex not in shown
    assert key.seed_hex not in repr(me("keys", "show", "sovereign", "--private").expect(2))
    refused = me.on_terminal("keys", "show", "sovereign", "--private", answers=[("[y/N]", "n")])
    assert refused.expect(1) and key.seed_hex not in refused.out
    assert me("keys", "show", "sovereign", "--private", "--yes", "--json").ok.json["privateKey"] == key.private


def test_a_key_that_others_can_read_is_refused(me):
    path = write_key(me.config / "sovereign-key.json", oracle.Key())
    path.chmod(0o640)
    done = me("keys", "show", "sovereign", "--json").expect(4)
    assert done.error["code"] == "key_file" and done.error["hint"] == f"chmod 600 {path}"
    assert "0640" in me("keys", "list").ok.out
    check = me("config", "check").expect(1)
    assert str(path) in check.out


@pytest.fixture
def passphrase_file(tmp_path):
    path = tmp_path / "passphrase"
    path.write_text("correct horse battery\nsecond line\n")
    return path


def test_a_sealed_key_opens_with_its_passphrase_only(me, passphrase_file, tmp_path):
    me("keys", "new", "sovereign", "--passphrase-file", passphrase_file).ok
    file = json.loads((me.config / "sovereign-key.json").read_text())
    assert "privateKey" not in file and file["sealedKey"]
    (tmp_path / "wrong").write_text("incorrect horse\n")
    right, wrong = {"TANA_PASSPHRASE_FILE": str(passphrase_file)}, {"TANA_PASSPHRASE_FILE": str(tmp_path / "wrong")}
    show = ["keys", "show", "sovereign", "--private", "--yes", "--json"]
    opened = me(*show, env=right).ok.json
    assert opened["sealed"] is True and oracle.Key(bytes.fromhex(opened["privateKey"][8:])).public == file["publicKey"]
    assert me(*show, env=wrong).expect(4).error["code"] == "key_file"
    assert "TANA_PASSPHRASE_FILE" in me(*show).expect(4).error["hint"]
    assert "cannot open" in me(*show, env={"TANA_PASSPHRASE_FILE": str(tmp_path / "nothing")}).expect(4).error["hint"]
    # Its public half needs none.
    assert me("keys", "show", "sovereign", "--json").ok.json["publicKey"] == file["publicKey"]


def test_the_passphrase_is_asked_for_on_the_terminal_and_not_shown(me):
    done = me.on_terminal(
        "keys", "new", "sovereign", "--passphrase", answers=[("New passphrase", "tr0ub4dor&3"), ("Once more", "tr0ub4dor&3")]
    ).ok
    assert "tr0ub4dor" not in done.out and "sealed" in done.out
    shown = me.on_terminal("keys", "show", "sovereign", "--private", "--yes", answers=[("Passphrase of", "tr0ub4dor&3")]).ok
    assert "private" in shown.out and "tr0ub4dor" not in shown.out


def test_passphrases_that_differ_or_are_short_make_no_key(me):
    me.on_terminal("keys", "new", "sovereign", "--passphrase", answers=[("New passphrase", "abcdefgh"), ("Once more", "abcdefgi")]).expect(2)
    me.on_terminal("keys", "new", "sovereign", "--passphrase", answers=[("New passphrase", "short"), ("Once more", "short")]).expect(2)
    assert not (me.config / "sovereign-key.json").exists()


def test_a_passphrase_is_set_changed_and_removed_and_the_rest_of_the_file_stays(me, passphrase_file, tmp_path):
    key = oracle.Key()
    path = write_key(me.config / "users" / "@carol.json", key, username="@carol", favouriteColour="green")
    me("keys", "passphrase", "@carol", "--passphrase-file", passphrase_file).ok
    sealed = json.loads(path.read_text())
    assert "privateKey" not in sealed and sealed["favouriteColour"] == "green" and mode(path) == 0o600
    (tmp_path / "second").write_text("another passphrase\n")
    env = {"TANA_PASSPHRASE_FILE": str(passphrase_file)}
    me("keys", "passphrase", "@carol", "--passphrase-file", tmp_path / "second", env=env).ok
    me("keys", "passphrase", "@carol", "--remove", "--yes", env=env).expect(4)
    me("keys", "passphrase", "@carol", "--remove", "--yes", env={"TANA_PASSPHRASE_FILE": str(tmp_path / "second")}).ok
    opened = json.loads(path.read_text())
    assert opened["privateKey"] == key.private and "sealedKey" not in opened and opened["favouriteColour"] == "green"


def test_no_keys_and_unknown_names(me):
    assert "No keys" in me("keys", "list").ok.out
    assert me("keys", "list", "--json").ok.json == {"keys": []}
    assert me("keys", "show", "nobody", "--json").expect(4).error["code"] == "key_needed"
