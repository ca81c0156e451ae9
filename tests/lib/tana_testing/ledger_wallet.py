"""Wallets of the ledger made with PyNaCl alone: correct transactions of every type, or ones broken in exactly the way a test asks for; and geneses."""

import time

from . import oracle
from .ledger_forms import Transaction, approval_text, grant_text, rotation_text, user_id
from .mesh import patched

CHAIN = "testchain"
CURRENCIES = (
    {"code": "USD", "currencyType": "fiat", "decimals": 2, "name": "US Dollar", "symbol": "$"},
    {"code": "BTC", "currencyType": "crypto", "decimals": 8, "name": "Bitcoin", "symbol": "\u20bf"},
    {"code": "PTS", "currencyType": "fiat", "decimals": 0, "name": "Points", "symbol": "P"},
)
PARAMS = {
    "maxBlockBytes": 16 << 20, "maxBlockTransactions": 10_000, "maxPendingPerUser": 64, "maxTransactionBytes": 65_536, "openRegistration": True,
    "timestampWindowMs": 600_000,
}


def now():
    return time.time_ns() // 1_000_000


def make_genesis(sovereign, validators, *, chain=CHAIN, timestamp=None, currencies=CURRENCIES, **params):
    """sovereign: a Wallet; validators: {id: key}; params: those that are not the default."""
    return {
        "chainId": chain, "timestamp": now() - 1000 if timestamp is None else timestamp, "currencies": [dict(c) for c in currencies],
        "sovereign": {"username": sovereign.username, "displayName": "The Sovereign", "publicKey": sovereign.key.public},
        "validators": [{"id": i, "publicKey": k.public} for i, k in validators.items()], "params": {**PARAMS, **params},
    }


def signed(fields, key):
    """The transaction of these fields, signed with this key."""
    message = oracle.canonical(fields)
    return Transaction(message, key.sign(message))


class Wallet:
    """One user's key, and the nonce of the next transaction. The sovereign's begins with 1, everyone else's with the creation, 0."""

    def __init__(self, name, *, chain=CHAIN, key=None, next_nonce=0, clock=now):
        self.chain, self.clock = chain, clock
        self.username = "@" + name
        self.key = key or oracle.Key()
        self.id = user_id(chain, self.key.public)
        self.next_nonce = next_nonce

    @staticmethod
    def sovereign(name="sovereign", **kw):
        return Wallet(name, next_nonce=1, **kw)

    def fields(self, kind, *, nonce=None, timestamp=None, before=None, **fields):
        """The message as a dict. `before` changes any field (mesh.DROP leaves one out) before it is signed."""
        common = {
            "type": kind, "chainId": self.chain, "from": self.id, "nonce": self.next_nonce if nonce is None else nonce,
            "timestamp": self.clock() if timestamp is None else timestamp,
        }
        return patched({**common, **fields}, before)

    def make(self, kind, *, signer=None, **kw):
        """A signed transaction; it counts as sent unless its nonce is given."""
        made = signed(self.fields(kind, **kw), signer or self.key)
        if kw.get("nonce") is None:
            self.next_nonce += 1
        return made

    # -- users

    def create(self, *, display="Somebody", approval=None, **kw):
        fields = {"username": self.username, "displayName": display, "publicKey": self.key.public}
        if approval is not None:
            fields["approval"] = approval
        return self.make("user_creation", **{**fields, **kw})

    def approve(self, wallet, *, username=None, key=None):
        """This staff user's approval of another's creation."""
        text = approval_text(self.chain, self.id, wallet.key.public, username or wallet.username)
        return {"by": self.id, "signature": (key or self.key).sign(text)}

    def update(self, **kw):
        return self.make("user_update", **kw)

    def rotate(self, new, *, proof=None, **kw):
        """A rotation to the key `new`, which signs from now on."""
        nonce = self.next_nonce if kw.get("nonce") is None else kw["nonce"]
        proof = proof or new.sign(rotation_text(self.chain, self.id, nonce, new.public))
        made = self.make("key_rotation", publicKey=new.public, proof=proof, **kw)
        if kw.get("nonce") is None:
            self.key = new
        return made

    # -- money

    def transfer(self, to, amount, code="USD", **kw):
        return self.make("transfer", to=_id(to), amount=amount, currencyCode=code, **kw)

    def deposit(self, amount, code="USD", reference="wire", **kw):
        return self.make("deposit", amount=amount, currencyCode=code, reference=reference, **kw)

    def withdraw(self, amount, code="USD", reference="out", **kw):
        return self.make("withdraw", amount=amount, currencyCode=code, reference=reference, **kw)

    def decide(self, request, decision="confirm", kind="deposit", **kw):
        """request: the Transaction that opened it, or its id."""
        name = {"deposit": "deposit_confirmation", "withdraw": "withdrawal_confirmation"}[kind]
        return self.make(name, requestId=getattr(request, "id", request), decision=decision, **kw)

    def adjust(self, to, amount, code="USD", reason="because", **kw):
        return self.make("balance_adjustment", to=_id(to), amount=amount, currencyCode=code, reason=reason, **kw)

    def currency(self, code, decimals=2, **kw):
        return self.make("currency_creation", **{"code": code, "currencyType": "fiat", "decimals": decimals, "name": code, "symbol": code[:3], **kw})

    # -- roles, content, validators

    def role(self, to, role="staff", **kw):
        return self.make("role_change", to=_id(to), role=role, **kw)

    def abdicate(self, to, **kw):
        return self.make("sovereignty_transfer", to=_id(to), **kw)

    def publish(self, content, size=5, kind="file_upload", **kw):
        return self.make("content_publish", hash=content, size=size, contentType=kind, **kw)

    def retract(self, content, **kw):
        return self.make("content_retract", hash=content, **kw)

    def stake(self, validator, amount, code="USD", **kw):
        return self.make("stake", validatorId=validator, amount=amount, currencyCode=code, **kw)

    def unstake(self, validator, amount, code="USD", **kw):
        return self.make("unstake", validatorId=validator, amount=amount, currencyCode=code, **kw)

    def validator(self, validator, key, power=1, **kw):
        return self.make("validator_update", validatorId=validator, publicKey=key.public, power=power, **kw)

    def grant(self, content, size, *, timestamp=None, key=None):
        """The body of POST /content/grants."""
        timestamp = self.clock() if timestamp is None else timestamp
        text = grant_text(self.chain, self.id, content, size, timestamp)
        return {"userId": self.id, "hash": content, "size": size, "timestamp": timestamp, "signature": (key or self.key).sign(text)}


def _id(who):
    return who if isinstance(who, str) else who.id
