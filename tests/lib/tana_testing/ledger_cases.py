"""A small world on a ledger in which every refusal can be provoked, and the transactions that provoke them.

The world is a list of transactions, so the same one stands on a daemon, in the model, and in a chain file.
"""

from . import oracle
from .ledger_forms import sha
from .ledger_wallet import CURRENCIES, Wallet, make_genesis, now
from .mesh import DROP

VALIDATOR = "validator-1"
MAXIMUM = "92233720368547758.07"
CONTENT, OTHER = sha(b"hello").hex(), sha(b"other").hex()


class World:
    """Wallets, and `setup`: the transactions that make it, in order."""

    def __init__(self, *, open_registration=True, clock=now, timestamp=None, **params):
        self.clock, self.closed = clock, not open_registration
        self.key = oracle.Key()
        self.sovereign = Wallet.sovereign(clock=clock)
        currencies = (*CURRENCIES, {"code": "MAX", "currencyType": "fiat", "decimals": 2, "name": "Full", "symbol": "M"})
        validators = {VALIDATOR: self.key}
        kw = {"timestamp": timestamp, "currencies": currencies, "openRegistration": open_registration, **params}
        self.genesis = make_genesis(self.sovereign, validators, **kw)
        self.setup = []
        self.alice, self.bob, self.carol = (self._user(n) for n in ("alice", "bob", "carol"))
        s = self.sovereign
        self._do(s.role(self.bob), s.adjust(self.alice, "1000"), s.adjust(self.carol, MAXIMUM, "MAX"))
        self.open = self._do(self.alice.deposit("5"))
        self.closed_request = self._do(self.alice.deposit("7"))
        self._do(self.bob.decide(self.closed_request, "refuse"))
        self.withdrawal = self._do(self.alice.withdraw("10"))
        self.overfull = self._do(self.alice.deposit("0.01", "MAX"))
        self._do(self.alice.publish(CONTENT), self.alice.stake(VALIDATOR, "100"))
        self.old_key = self.carol.key
        self._do(self.carol.rotate(oracle.Key()))

    def _do(self, *transactions):
        self.setup += transactions
        return transactions[-1]

    def stranger(self, name="stranger"):
        return Wallet(name, clock=self.clock)

    def _user(self, name):
        wallet = self.stranger(name)
        self._do(wallet.create(approval=self.sovereign.approve(wallet) if self.closed else None))
        return wallet

    def creation(self, wallet=None, **kw):
        """A new user's creation, approved where that is asked for."""
        wallet = wallet or self.stranger()
        if self.closed:
            kw.setdefault("approval", self.bob.approve(wallet))
        return wallet.create(**kw)


#: (code, signer, maker(world, nonce)): each is refused with this code when its turn comes, and everything checked before is in order.
#: signer: the name of the wallet whose nonce it takes.
TURN = [
    ("not_allowed", "alice", lambda w, n: w.alice.decide(w.open, nonce=n)),
    ("not_allowed", "alice", lambda w, n: w.alice.decide(w.withdrawal, kind="withdraw", nonce=n)),
    ("not_allowed", "bob", lambda w, n: w.bob.adjust(w.alice, "1", nonce=n)),
    ("not_allowed", "bob", lambda w, n: w.bob.currency("NEW", nonce=n)),
    ("not_allowed", "bob", lambda w, n: w.bob.role(w.alice, nonce=n)),
    ("not_allowed", "bob", lambda w, n: w.bob.abdicate(w.alice, nonce=n)),
    ("not_allowed", "bob", lambda w, n: w.bob.validator("v2", oracle.Key(), nonce=n)),
    # Who may not, learns nothing else.
    ("not_allowed", "alice", lambda w, n: w.alice.decide("0" * 64, nonce=n)),
    ("unknown_user", "alice", lambda w, n: w.alice.transfer(w.stranger(), "1", nonce=n)),
    ("unknown_user", "sovereign", lambda w, n: w.sovereign.adjust(w.stranger(), "1", nonce=n)),
    ("unknown_user", "sovereign", lambda w, n: w.sovereign.role(w.stranger(), nonce=n)),
    ("unknown_user", "sovereign", lambda w, n: w.sovereign.abdicate(w.stranger(), nonce=n)),
    ("self_transfer", "alice", lambda w, n: w.alice.transfer(w.alice, "1", nonce=n)),
    ("self_role", "sovereign", lambda w, n: w.sovereign.role(w.sovereign, "user", nonce=n)),
    ("self_role", "sovereign", lambda w, n: w.sovereign.abdicate(w.sovereign, nonce=n)),
    ("unknown_currency", "alice", lambda w, n: w.alice.transfer(w.bob, "1", "NONE", nonce=n)),
    ("unknown_currency", "alice", lambda w, n: w.alice.deposit("1", "NONE", nonce=n)),
    ("unknown_currency", "alice", lambda w, n: w.alice.withdraw("1", "NONE", nonce=n)),
    ("unknown_currency", "sovereign", lambda w, n: w.sovereign.adjust(w.bob, "1", "NONE", nonce=n)),
    ("unknown_currency", "alice", lambda w, n: w.alice.stake(VALIDATOR, "1", "NONE", nonce=n)),
    ("unknown_currency", "alice", lambda w, n: w.alice.unstake(VALIDATOR, "1", "NONE", nonce=n)),
    ("amount_too_precise", "alice", lambda w, n: w.alice.transfer(w.bob, "0.001", nonce=n)),
    ("amount_too_precise", "alice", lambda w, n: w.alice.transfer(w.bob, "1.000", nonce=n)),
    ("amount_too_precise", "alice", lambda w, n: w.alice.deposit("1.0", "PTS", nonce=n)),
    ("amount_too_precise", "sovereign", lambda w, n: w.sovereign.adjust(w.bob, "-0.000000001", "BTC", nonce=n)),
    ("amount_not_positive", "alice", lambda w, n: w.alice.transfer(w.bob, "0", nonce=n)),
    ("amount_not_positive", "alice", lambda w, n: w.alice.withdraw("0.00", nonce=n)),
    ("amount_not_positive", "alice", lambda w, n: w.alice.deposit("0.0", nonce=n)),
    ("amount_not_positive", "sovereign", lambda w, n: w.sovereign.adjust(w.bob, "0", nonce=n)),
    ("amount_not_positive", "sovereign", lambda w, n: w.sovereign.adjust(w.bob, "-0", nonce=n)),
    ("amount_not_positive", "sovereign", lambda w, n: w.sovereign.adjust(w.bob, "-0.00", nonce=n)),
    ("amount_not_positive", "alice", lambda w, n: w.alice.stake(VALIDATOR, "0", nonce=n)),
    ("amount_not_positive", "alice", lambda w, n: w.alice.unstake(VALIDATOR, "0", nonce=n)),
    ("overflow", "alice", lambda w, n: w.alice.deposit("92233720368547758.08", nonce=n)),
    ("overflow", "alice", lambda w, n: w.alice.transfer(w.bob, "999999999999999999", "BTC", nonce=n)),
    ("overflow", "sovereign", lambda w, n: w.sovereign.adjust(w.alice, "-92233720368547758.08", nonce=n)),
    ("overflow", "sovereign", lambda w, n: w.sovereign.adjust(w.carol, "0.01", "MAX", nonce=n)),
    ("overflow", "sovereign", lambda w, n: w.sovereign.adjust(w.alice, "0.01", "MAX", nonce=n)),
    ("overflow", "bob", lambda w, n: w.bob.decide(w.overfull, nonce=n)),
    ("insufficient_funds", "alice", lambda w, n: w.alice.transfer(w.bob, "890.01", nonce=n)),
    ("insufficient_funds", "alice", lambda w, n: w.alice.transfer(w.bob, MAXIMUM, nonce=n)),
    ("insufficient_funds", "bob", lambda w, n: w.bob.withdraw("0.01", nonce=n)),
    ("insufficient_funds", "bob", lambda w, n: w.bob.stake(VALIDATOR, "0.01", nonce=n)),
    ("insufficient_funds", "alice", lambda w, n: w.alice.unstake(VALIDATOR, "100.01", nonce=n)),
    ("insufficient_funds", "alice", lambda w, n: w.alice.unstake("nowhere", "1", nonce=n)),
    ("insufficient_funds", "sovereign", lambda w, n: w.sovereign.adjust(w.bob, "-0.01", nonce=n)),
    ("insufficient_funds", "sovereign", lambda w, n: w.sovereign.adjust(w.alice, "-" + MAXIMUM, nonce=n)),
    ("key_in_use", "alice", lambda w, n: w.alice.rotate(w.alice.key, nonce=n)),
    ("key_in_use", "alice", lambda w, n: w.alice.rotate(w.bob.key, nonce=n)),
    ("key_in_use", "alice", lambda w, n: w.alice.rotate(w.old_key, nonce=n)),
    ("bad_proof", "alice", lambda w, n: w.alice.rotate(oracle.Key(), proof=w.alice.key.sign("x"), nonce=n)),
    # A proof made for another nonce.
    ("bad_proof", "alice", lambda w, n: _rotation_for(w, n, n + 1)),
    ("unknown_request", "bob", lambda w, n: w.bob.decide("0" * 64, nonce=n)),
    ("unknown_request", "bob", lambda w, n: w.bob.decide(w.withdrawal, nonce=n)),
    ("unknown_request", "bob", lambda w, n: w.bob.decide(w.open, kind="withdraw", nonce=n)),
    ("request_closed", "bob", lambda w, n: w.bob.decide(w.closed_request, nonce=n)),
    ("request_closed", "bob", lambda w, n: w.bob.decide(w.closed_request, "refuse", nonce=n)),
    ("content_exists", "alice", lambda w, n: w.alice.publish(CONTENT, nonce=n)),
    ("not_owner", "alice", lambda w, n: w.alice.retract(OTHER, nonce=n)),
    ("not_owner", "bob", lambda w, n: w.bob.retract(CONTENT, nonce=n)),
    ("unknown_validator", "alice", lambda w, n: w.alice.stake("nowhere", "1", nonce=n)),
    ("unknown_validator", "sovereign", lambda w, n: w.sovereign.validator("nowhere", oracle.Key(), 0, nonce=n)),
    ("last_validator", "sovereign", lambda w, n: w.sovereign.validator(VALIDATOR, w.key, 0, nonce=n)),
    ("currency_exists", "sovereign", lambda w, n: w.sovereign.currency("USD", nonce=n)),
]


def _rotation_for(w, nonce, other):
    new = oracle.Key()
    return w.alice.rotate(new, proof=new.sign(f"key-rotation:{w.alice.chain}:{w.alice.id}:{other}:{new.public}"), nonce=nonce)


#: (code, maker(world)): refused by what is asked of new users.
CREATIONS = [
    ("username_taken", lambda w: w.creation(w.stranger("alice"))),
    ("username_taken", lambda w: w.creation(w.stranger("sovereign"))),
    ("key_in_use", lambda w: w.creation(Wallet("another", key=w.alice.key, clock=w.clock))),
    ("key_in_use", lambda w: w.creation(Wallet("another", key=w.old_key, clock=w.clock))),
    # A key that came by rotation: the id derived from it belongs to nobody, the key to carol.
    ("key_in_use", lambda w: w.creation(Wallet("another", key=w.carol.key, clock=w.clock))),
]
OPEN = [
    ("approval_unexpected", lambda w: _approved(w, w.bob)),
]
CLOSED = [
    ("approval_required", lambda w: w.stranger().create()),
    ("approval_required", lambda w: _approved(w, w.alice)),
    ("approval_required", lambda w: _approved(w, w.stranger())),
    ("bad_proof", lambda w: _approved(w, w.bob, key=w.alice.key)),
    ("bad_proof", lambda w: _approved(w, w.bob, username="@other")),
]


def _approved(w, by, **kw):
    wallet = w.stranger()
    return wallet.create(approval=by.approve(wallet, **kw))


#: (code, maker(world)): refused before a turn comes, by what does not depend on a type.
COMMON = [
    ("bad_chain", lambda w: w.alice.update(nonce=w.alice.next_nonce, before={"chainId": "otherchain"})),
    ("bad_chain", lambda w: w.alice.update(nonce=w.alice.next_nonce, before={"chainId": ""})),
    ("unknown_user", lambda w: w.stranger().update(nonce=1)),
    ("unknown_user", lambda w: w.creation(before={"from": w.alice.id})),
    ("bad_signature", lambda w: w.alice.update(nonce=w.alice.next_nonce, signer=w.bob.key)),
    ("bad_signature", lambda w: w.carol.update(nonce=w.carol.next_nonce, signer=w.old_key)),
    ("bad_signature", lambda w: w.stranger().create(signer=w.bob.key)),
    ("bad_nonce", lambda w: w.alice.update(nonce=0)),
    ("bad_nonce", lambda w: w.alice.update(nonce=w.alice.next_nonce - 1)),
    ("bad_nonce", lambda w: w.alice.update(nonce=w.alice.next_nonce + 10**9)),
    ("bad_nonce", lambda w: w.creation(nonce=1)),
    ("expired", lambda w: w.alice.update(nonce=w.alice.next_nonce, timestamp=w.clock() - w.genesis["params"]["timestampWindowMs"] - 60_000)),
    ("expired", lambda w: w.alice.update(nonce=w.alice.next_nonce, timestamp=w.clock() + 180_000)),
    ("expired", lambda w: w.alice.update(nonce=w.alice.next_nonce, timestamp=0)),
    ("expired", lambda w: w.alice.update(nonce=w.alice.next_nonce, timestamp=2**53 - 1)),
]


def _alice(w, kind, **kw):
    return w.alice.make(kind, nonce=w.alice.next_nonce, **kw)


def _form(field, value, kind="transfer"):
    """alice's good message of this type with one field changed."""
    fields = {
        "transfer": {"to": 0, "amount": "1", "currencyCode": "USD"},
        "user_update": {},
        "key_rotation": {"publicKey": oracle.Key("form").public, "proof": "ed25519_sig_" + "0" * 128},
        "deposit": {"amount": "1", "currencyCode": "USD", "reference": "r"},
        "deposit_confirmation": {"requestId": "0" * 64, "decision": "confirm"},
        "balance_adjustment": {"to": 0, "amount": "1", "currencyCode": "USD", "reason": "r"},
        "currency_creation": {"code": "NEW", "currencyType": "fiat", "decimals": 2, "name": "New", "symbol": "N"},
        "role_change": {"to": 0, "role": "staff"},
        "content_publish": {"hash": CONTENT, "size": 5, "contentType": "kv_data"},
        "stake": {"validatorId": VALIDATOR, "amount": "1", "currencyCode": "USD"},
        "validator_update": {"validatorId": "v2", "publicKey": oracle.Key("form").public, "power": 1},
        "user_creation": {"username": "@form", "displayName": "F", "publicKey": oracle.Key("form").public},
    }[kind]

    def make(w):
        good = {k: (w.bob.id if v == 0 and k == "to" else v) for k, v in fields.items()}
        return _alice(w, kind, **good, before={field: value})

    make.__name__ = f"{kind}.{field}={value!r:.60}"
    return make


def _several(*wrong):
    def make(w):
        fields = {"to": w.bob.id, "amount": "1", "currencyCode": "USD"}
        return _alice(w, "transfer", **fields, before=dict(wrong))

    make.__name__ = f"several {wrong}"
    return make


_WEAK = ["ed25519_" + k for k in (*oracle.SMALL_ORDER_KEYS, *oracle.NON_CANONICAL_KEYS)]
#: (code, maker(world)): refused by their form alone.
FORMS = [
    ("too_large", _form("memo", "x" * 70_000)),
    ("unknown_type", _form("type", "user_deletion")),
    ("unknown_type", _form("type", "")),
    ("unknown_type", _form("type", 1)),
    ("missing_field", _form("type", DROP)),
    *(("missing_field", _form(f, DROP)) for f in ("chainId", "from", "nonce", "timestamp", "to", "amount", "currencyCode")),
    ("missing_field", _form("reference", DROP, "deposit")),
    ("missing_field", _form("approval", {"by": "x"}, "user_creation")),
    ("missing_field", _form("approval", {"signature": "x", "other": 1}, "user_creation")),
    ("unknown_field", _form("extra", 1)),
    ("unknown_field", _form("username", "@x")),
    ("unknown_field", _form("amount", "1", "user_update")),
    ("unknown_field", _form("approval", {"by": "x", "signature": "y", "other": 1}, "user_creation")),
    *(("malformed_field", _form(f, None)) for f in ("chainId", "from", "nonce", "timestamp", "to", "amount", "currencyCode", "memo")),
    *(("malformed_field", _form("nonce", v)) for v in (-1, "1", True, [])),
    *(("malformed_field", _form("timestamp", v)) for v in (-1, "1")),
    *(("malformed_field", _form("amount", v)) for v in (1, 0, True, ["1"])),
    *(("malformed_field", _form("from", v)) for v in ("", "x", "00000000-0000-4000-8000-000000000000", "0" * 36)),
    ("malformed_field", _form("to", "282A8DC6-7332-89B1-BE35-F6E810343D0E")),
    *(("malformed_field", _form("currencyCode", v)) for v in ("", "usd", "1A", "A" * 13, "US D", "ÜSD")),
    *(("malformed_field", _form("memo", v)) for v in ("", "x" * 257, "\u00fc" * 129, 5, {})),
    *(("malformed_field", _form("displayName", v, "user_update")) for v in ("", "x" * 257)),
    *(("malformed_field", _form("bio", v, "user_update")) for v in ("x" * 1025, None)),
    *(("malformed_field", _form("avatarHash", v, "user_update")) for v in ("", "0" * 63, "A" * 64, "0" * 65)),
    *(("malformed_field", _form("publicKey", v, "key_rotation")) for v in ("0" * 64, "ed25519_" + "A" * 64, "ed25519_" + "0" * 63, *_WEAK)),
    *(("malformed_field", _form("proof", v, "key_rotation")) for v in ("", "0" * 128, "ed25519_" + "0" * 128, "ed25519_sig_" + "F" * 128)),
    *(("malformed_field", _form("requestId", v, "deposit_confirmation")) for v in ("", "0" * 63, "G" * 64)),
    *(("malformed_field", _form("decision", v, "deposit_confirmation")) for v in ("", "Confirm", "no", True)),
    *(("malformed_field", _form("role", v, "role_change")) for v in ("", "sovereign", "admin")),
    *(("malformed_field", _form("code", v, "currency_creation")) for v in ("", "new", "0A")),
    *(("malformed_field", _form("currencyType", v, "currency_creation")) for v in ("", "stock")),
    *(("malformed_field", _form("decimals", v, "currency_creation")) for v in (-1, 9, "2")),
    *(("malformed_field", _form("symbol", v, "currency_creation")) for v in ("", "x" * 17, "\u20bf" * 6)),
    *(("malformed_field", _form("size", v, "content_publish")) for v in (-1, "5")),
    *(("malformed_field", _form("contentType", v, "content_publish")) for v in ("", "file", "FILE_UPLOAD")),
    *(("malformed_field", _form("key", v, "content_publish")) for v in ("", "k" * 1025)),
    *(("malformed_field", _form("validatorId", v, "stake")) for v in ("", "V", "-v", "v" * 65, "v/1")),
    *(("malformed_field", _form("power", v, "validator_update")) for v in (-1, 2**31, "1")),
    *(("malformed_field", _form("publicKey", v, "validator_update")) for v in _WEAK[:3]),
    *(("malformed_field", _form("approval", v, "user_creation")) for v in (None, "", [], {"by": "x", "signature": "y"})),
    *(("amount_malformed", _form("amount", v)) for v in ("", ".5", "1.", "1e3", "01", "00.1", "+1", " 1", "1 ", "1,5", "-1", "-0", "1" * 19, "\u0661", "1.5.")),
    *(("amount_malformed", _form("amount", v, "balance_adjustment")) for v in ("--1", "-", "-01", "- 1", "-" + "1" * 19, "-.5", "1-", "\u22121")),
    *(("username_malformed", _form("username", v, "user_creation")) for v in ("", "form", "@", "@Form", "@-a", "@_a", "@a b", "@" + "a" * 50, "@\u00e9")),
    *((code, _several(*wrong)) for code, wrong in [
        # The order: what is missing, before what is too many, before forms, before amounts, before whose it is.
        ("missing_field", [("to", DROP), ("extra", 1), ("memo", ""), ("amount", "01"), ("chainId", "x")]),
        ("unknown_field", [("extra", 1), ("memo", ""), ("amount", "01"), ("chainId", "x")]),
        ("malformed_field", [("memo", ""), ("amount", "01"), ("chainId", "x")]),
        ("amount_malformed", [("amount", "01"), ("chainId", "x")]),
    ]),
]
