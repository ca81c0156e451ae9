"""token: made here and checked by another library, made there and taken here; and who signs."""

import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

HASH = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"


@pytest.fixture
def me(user_factory):
    return user_factory("me")


def key_file(user, name="n1-ledger"):
    return user.config / f"{name}-key.json"


def public_key(user, name="n1-ledger"):
    text = json.loads(key_file(user, name).read_text())["publicKey"]
    return Ed25519PublicKey.from_public_bytes(bytes.fromhex(text.removeprefix("ed25519_")))


def private_key(user, name="n1-ledger"):
    text = json.loads(key_file(user, name).read_text())["privateKey"]
    return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(text.removeprefix("ed25519_")))


def claims(**changed):
    now = int(time.time())
    made = {"iss": "n1", "sub": "ledger", "aud": "n1/t4", "iat": now, "exp": now + 300, "jti": "theirs", "scope": "content:put"}
    return {k: v for k, v in {**made, **changed}.items() if v is not None}


def theirs(user, kid="n1/ledger", key=None, **changed):
    return jwt.encode(claims(**changed), key or private_key(user), algorithm="EdDSA", headers={"kid": kid})


def test_another_library_takes_ours(me):
    me("keys", "new", "service", "n1", "ledger").ok
    token = me("token", "new", "--scope", "content:put", "--scope", "content:list", "--content", HASH, "--size", "5k", "--lifetime", "10m").ok.out.strip()
    said = jwt.decode(token, public_key(me), algorithms=["EdDSA"], audience="n1/t4")
    assert said["iss"] == "n1" and said["sub"] == "ledger" and said["scope"] == "content:put content:list"
    assert said["content"] == HASH and said["size"] == 5120 and said["exp"] - said["iat"] == 600
    assert jwt.get_unverified_header(token) == {"alg": "EdDSA", "kid": "n1/ledger", "typ": "JWT"}
    again = jwt.decode(me("token", "new").ok.out.strip(), public_key(me), algorithms=["EdDSA"], audience="n1/t4")
    assert again["jti"] != said["jti"] and again["exp"] - again["iat"] == 300 and "scope" not in again
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(token, Ed25519PrivateKey.generate().public_key(), algorithms=["EdDSA"], audience="n1/t4")


def test_we_take_another_librarys(me):
    me("keys", "new", "service", "n1", "ledger").ok
    told = me("token", "inspect", "--json", "--key", key_file(me), stdin=theirs(me, content=HASH, size=7) + "\n").ok.json
    assert told["valid"] is True and told["iss"] == "n1" and told["content"] == HASH and told["size"] == 7 and told["keyFrom"] == "--key"
    shown = me("token", "inspect", "--key", key_file(me), theirs(me)).ok.out
    assert "n1/ledger" in shown and "content:put" in shown and "yes, by the key from --key" in shown


@pytest.mark.parametrize(
    "changed, code",
    [
        ({"exp": int(time.time()) - 1, "iat": int(time.time()) - 300}, "token_expired"),
        ({"exp": int(time.time()) + 7200}, "token_invalid"),
        ({"iat": int(time.time()) + 600, "exp": int(time.time()) + 900}, "token_invalid"),
        ({"kid": "n2/ledger"}, "token_invalid"),
        ({"aud": ["n1/t4"]}, "token_invalid"),
        ({"exp": None}, "token_invalid"),
        ({"jti": None}, "token_invalid"),
        ({"sub": "redis", "kid": "n1/redis"}, "token_invalid"),
        ({"content": HASH.upper()}, "token_invalid"),
        ({"size": -1}, "token_invalid"),
    ],
)
def test_what_is_refused(me, changed, code):
    me("keys", "new", "service", "n1", "ledger").ok
    done = me("token", "inspect", "--json", "--key", key_file(me), "-", stdin=theirs(me, **changed)).expect(6)
    assert (done.json if done.out else done.error)["code"] == code


def test_other_algorithms_are_refused(me):
    me("keys", "new", "service", "n1", "ledger").ok
    public = public_key(me).public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    for token in (
        jwt.encode(claims(), None, algorithm="none", headers={"kid": "n1/ledger"}),
        jwt.encode(claims(), public, algorithm="HS256", headers={"kid": "n1/ledger"}),
    ):
        assert me("token", "inspect", "--json", "--key", key_file(me), token).expect(6).error["code"] == "token_invalid"
    forged = theirs(me, key=Ed25519PrivateKey.generate())
    assert me("token", "inspect", "--json", "--key", key_file(me), forged).expect(6).json["valid"] is False
    assert me("token", "inspect", "--key", key_file(me), "nonsense").expect(6).err.startswith("error: the token is not valid")
    assert me("token", "inspect", "--key", key_file(me), stdin="").expect(2)


def test_the_key_comes_from_mesh(user, sovereign):
    user("mesh", "register", "--dev", "--node-id", "n1").ok
    token = user("token", "new", "--service", "ledger").ok.out.strip()
    told = sovereign("token", "inspect", "--json", token).expect(6).json
    assert told["valid"] is None and "pending" in told["problem"]
    sovereign("mesh", "approve", "n1", "--yes").ok
    told = sovereign("token", "inspect", "--json", token).ok.json
    assert told["valid"] is True and told["keyFrom"] == "mesh"
    forged = theirs(user, key=Ed25519PrivateKey.generate())
    assert sovereign("token", "inspect", "--json", forged).expect(6).json["code"] == "token_invalid"
    absent = theirs(user, kid="n1/identity", sub="identity")
    assert "announces no service identity" in sovereign("token", "inspect", "--json", absent).expect(6).json["problem"]
    sovereign("mesh", "remove", "n1", "--yes").ok
    assert sovereign("token", "inspect", "--json", token).expect(6).json["valid"] is None


def test_who_signs(me):
    def signer(*args):
        return me("token", "new", "--json", *args).ok.json["kid"]

    assert me("token", "new", "--json").expect(4).error["code"] == "key_needed"
    me("keys", "new", "service", "n1", "t4").ok
    assert signer() == "n1/t4"
    me("keys", "new", "service", "n1", "ledger").ok
    assert signer() == "n1/ledger" and signer("--service", "t4") == "n1/t4"
    me("keys", "new", "service", "n2", "ledger").ok
    assert "several nodes" in me("token", "new", "--json").expect(4).error["error"]
    assert signer("--node-id", "n2") == "n2/ledger"
    (me.config / "node-key.json").unlink(missing_ok=True)
    me("keys", "new", "node", "n2", "--out", me.config / "node-key.json").ok
    assert signer() == "n2/ledger", "the machine's own node"
    assert me("token", "new", "--node-id", "n9").expect(4) and me("token", "new", "--service", "redis").expect(2)
    assert me("token", "new", "--key", key_file(me)).expect(2)
    assert signer("--key", key_file(me), "--node-id", "n1", "--service", "ledger") == "n1/ledger"
    assert me("token", "new", "--json", "--node-id", "n1", "--audience", "n2/mesh").ok.json["aud"] == "n2/mesh"
    for wrong in (["--lifetime", "61m"], ["--lifetime", "0"], ["--content", "xyz"], ["--size", "-1"], ["--scope", "a b"], ["--audience", "N/t4"]):
        me("token", "new", "--node-id", "n1", *wrong).expect(2)


def test_a_sealed_key_asks_for_its_passphrase(me):
    secret = me.home / "passphrase"
    secret.write_text("correct horse battery\n")
    me("keys", "new", "service", "n1", "ledger", "--passphrase-file", secret).ok
    assert me("token", "new", "--json").expect(4).error["code"] == "key_needed"
    assert me("token", "new", env={"TANA_PASSPHRASE_FILE": str(secret)}).ok.out.count(".") == 2
