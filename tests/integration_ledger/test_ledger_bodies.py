"""Promise: every byte of a body counts. A message is taken in its one canonical spelling; anything else is refused with a code, and nothing crashes."""

import json
import random

import pytest
from tana_testing import oracle
from tana_testing.client import raw_exchange
from tana_testing.ledger import body_of
from tana_testing.ledger_forms import Transaction
from tana_testing.ledger_wallet import signed


@pytest.fixture
def alice(ledger):
    return ledger.rich("alice")


def post(ledger, message, key, **kw):
    """These bytes as a message, correctly signed."""
    return ledger.submit(Transaction(message, key.sign(message)), **kw)


def test_one_byte_from_canonical(ledger, alice):
    good = alice.transfer(ledger.sovereign, "1", memo="a\u00e9\t\"\\", nonce=alice.next_nonce).message
    alice.next_nonce += 1
    assert b"a\xc3\xa9\\t" in good
    number = b'"nonce":%d' % json.loads(good)["nonce"]
    variants = {
        "blank after a comma": good.replace(b",", b", ", 1), "blank after a colon": good.replace(b":", b": ", 1), "blank inside": b"{ " + good[1:],
        "blank at the end": good[:-1] + b" }", "newline": good[:-1] + b"\n}", "escaped letter": good.replace(b'"memo"', b'"mem\\u006f"'),
        "escaped value": good.replace(b"a\xc3\xa9", b"a\\u00e9"), "escaped control": good.replace(b"\\t", b"\\u0009"),
        "escaped ASCII": good.replace(b'"USD"', b'"\\u0055SD"'), "float": good.replace(number, number + b".0"), "exponent": good.replace(number, number + b"e0"),
        "leading zero": good.replace(number, number.replace(b":", b":0")), "minus zero": good.replace(number, b'"nonce":-0'),
        "too large an integer": good.replace(number, b'"nonce":9007199254740992'), "twice": good[:-1] + b',"type":"transfer"}',
        "out of order": b'{"type":"transfer",' + good[1:].replace(b',"type":"transfer"', b""), "NUL": good.replace(b"\\t", b"\\u0000"),
        "key outside the subset": good[:-1] + b',"z z":1}', "lone surrogate": good.replace(b"\\t", b"\\ud800"), "an array": b"[1]", "a text": b'"x"',
        "deep": good[:-1] + b',"z":' + b"[" * 40 + b"]" * 40 + b"}",
    }
    for name, message in variants.items():
        assert message != good, name
        answer = post(ledger, message, alice.key)
        assert (answer.status, answer.code) in {(400, "not_canonical"), (400, "malformed_json")}, f"{name}: {answer!r}"
    post(ledger, good, alice.key).expect(202)


def test_bytes_that_are_no_json(ledger, alice):
    good = body_of(alice.update(nonce=alice.next_nonce))
    rng = random.Random(9)
    bodies = [b"", b"{", b"[]", b"null", b'"x"', b"{}", b'{"message":{}}', b'{"message":1,"signature":"x"}', b"\xff\xfe", good[:-1], good + b"x", b"\0" * 100]
    bodies += [good[:at] + bytes([good[at] ^ rng.randrange(1, 256)]) + good[at + 1 :] for at in rng.sample(range(len(good)), 150)]
    # One that is taken makes the others known, for a transaction is its message.
    bodies = [b for b in bodies if b.lower() != good.lower()]
    for body in bodies:
        answer = ledger.post("/transactions", body)
        assert 400 <= answer.status < 500, f"{body!r}: {answer!r}"
    ledger.client.call("POST", "/transactions", good, {"Content-Type": "text/plain"}).refused(415, "unsupported_media_type")
    assert b" 4" in raw_exchange(ledger.daemon.address, b"POST /transactions HTTP/1.1\r\nHost: x\r\n\r\n")[:13]


def test_members_beside_the_message(ledger, alice):
    """What newer clients may send is passed over; what is there twice is not."""
    t = alice.update()
    good = body_of(t)
    ledger.post("/transactions", good[:-1] + b',"message":{}}').refused(400, "duplicate_key")
    assert ledger.post("/transactions", good[:-1] + b',"more":[1.5,{"message":0}]}').expect(202)["id"] == t.id
    ledger.settled(t)


def test_what_stands_around_the_message_is_free(ledger, alice):
    t = alice.update()
    body = b' {\n "signature" : "' + t.signature.encode() + b'" ,\t"message":  ' + t.message + b"\n}\n"
    assert ledger.post("/transactions", body).expect(202)["id"] == t.id
    ledger.settled(t)


@pytest.mark.parametrize("form", ["ed25519_{}", "{}", "upper"])
def test_lenient_forms_of_the_signature_beside_it(ledger, alice, form):
    t = alice.update()
    digits = t.signature[12:]
    text = digits.upper() if form == "upper" else form.format(digits)
    body = b'{"message":' + t.message + b',"signature":"' + text.encode() + b'"}'
    assert ledger.post("/transactions", body).expect(202)["id"] == t.id
    # In the block it has the written form.
    assert ledger.settled(t)["signature"] == t.signature


def test_malformed_signatures(ledger, alice):
    t = alice.update(nonce=alice.next_nonce)
    for text in ("", "x", t.signature[:-1], t.signature + "0", "ed25519_sig_" + "g" * 128):
        ledger.post("/transactions", b'{"message":' + t.message + b',"signature":"' + text.encode() + b'"}').refused(400, "malformed_signature")
    for body in (b'{"message":' + t.message + b"}", b'{"message":' + t.message + b',"signature":1}', b'{"message":' + t.message + b',"signature":null}'):
        answer = ledger.post("/transactions", body)
        assert answer.status == 400 and answer.code in ("missing_field", "malformed_field", "malformed_signature"), answer


def test_signatures_that_lax_libraries_take(ledger, alice):
    t = alice.update(nonce=alice.next_nonce)
    ledger.submit(Transaction(t.message, oracle.malleate(t.signature))).refused(401, "bad_signature")
    for r in oracle.SMALL_ORDER_KEYS:
        ledger.submit(Transaction(t.message, "ed25519_sig_" + r + t.signature[76:])).refused(401, "bad_signature")


def test_flat_bodies(ledger):
    wallet = ledger.sovereign
    alice = type(wallet)("flat", chain=wallet.chain)
    for t in (alice.create(display="Fl\u00e4t"), None):
        t = t or wallet.transfer(alice, "1", memo="flat", nonce=wallet.next_nonce)
        body = {**t.fields, "signature": t.signature}
        shuffled = json.dumps(dict(sorted(body.items(), reverse=True)), indent=1).encode()
        answer = ledger.post("/transactions", shuffled)
        if t.fields["type"] == "transfer":
            answer.refused(422, "insufficient_funds")
            continue
        assert answer.expect(202)["id"] == t.id
        ledger.settled(t)
    # Every other type needs the message as it was signed.
    t = alice.update(nonce=alice.next_nonce)
    answer = ledger.post("/transactions", {**t.fields, "signature": t.signature})
    assert answer.status == 400, answer


def test_64_kib_and_one_more(ledger_factory):
    """The largest message is one that its forms allow: a limit below what they allow is met exactly."""
    ledger = ledger_factory(params={"maxTransactionBytes": 700})
    alice = ledger.user("alice")
    base = len(alice.publish("a" * 64, key="k", nonce=alice.next_nonce).message)
    at_limit = alice.publish("a" * 64, key="k" * (700 - base + 1))
    assert len(at_limit.message) == 700
    over = alice.publish("b" * 64, key="k" * (700 - base + 2), nonce=alice.next_nonce)
    ledger.submit(over).refused(413, "too_large")
    ledger.include(at_limit)
    ledger.whole()


def test_64_kib_by_default(ledger, alice):
    """At 65,536 bytes a message is read, and refused for what it holds; one byte more is too large whatever it holds."""
    fields = alice.fields("user_update", extra="")
    room = 65_536 - len(oracle.canonical(fields))
    ledger.submit(signed({**fields, "extra": "x" * room}, alice.key)).refused(400, "unknown_field")
    ledger.submit(signed({**fields, "extra": "x" * (room + 1)}, alice.key)).refused(413, "too_large")
    # Escapes count as they stand in the message.
    ledger.submit(signed({**fields, "extra": "\x01" * (room // 6)}, alice.key)).refused(400, "unknown_field")
    ledger.submit(signed({**fields, "extra": "\x01" * (room // 6 + 1)}, alice.key)).refused(413, "too_large")
    ledger.post("/transactions", b'{"message":' + b"1" * (4 << 20) + b"}").refused(413, "too_large")
