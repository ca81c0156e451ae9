"""An independent model of the ledger's state machine, written from the protocol alone: what every transaction does, and when it is refused.

State is a dict from key to JSON value; nothing here reads a clock, a file or a network.
"""

from . import oracle
from .ledger_forms import (
    FUTURE_MS, UNITS_MAX, Refused, Transaction, amount_text, approval_text, check_genesis, read_message, rotation_text, sha, units, user_id,
)

SOVEREIGN, STAFF = ("sovereign",), ("staff", "sovereign")
#: Who may do what not every user may.
ROLES = {
    "deposit_confirmation": STAFF, "withdrawal_confirmation": STAFF, "balance_adjustment": SOVEREIGN, "currency_creation": SOVEREIGN,
    "role_change": SOVEREIGN, "sovereignty_transfer": SOVEREIGN, "validator_update": SOVEREIGN,
}


def without_absent(**fields):
    return {k: v for k, v in fields.items() if v is not None}


class Draft:
    """Entries over other entries: what one transaction, one block or a whole queue would change."""

    def __init__(self, below):
        self.below, self.changed = below, {}

    def get(self, key):
        return self.changed[key] if key in self.changed else self.below.get(key)

    def put(self, key, value):
        """None takes the entry away."""
        self.changed[key] = value

    def keys(self):
        for key in self.below.keys():
            if key not in self.changed:
                yield key
        yield from (k for k, v in self.changed.items() if v is not None)

    def commit(self):
        for key, value in self.changed.items():
            self.below.put(key, value)
        self.changed = {}


class State:
    """Entries at the bottom."""

    def __init__(self, entries=()):
        self.entries = dict(entries)

    def get(self, key):
        return self.entries.get(key)

    def put(self, key, value):
        if value is None:
            self.entries.pop(key, None)
        else:
            self.entries[key] = value

    def keys(self):
        return self.entries.keys()

    def copy(self):
        return State(self.entries)


def validators(state):
    """The validators' values, sorted by id."""
    ids = sorted(k for k in state.keys() if k.startswith("validator:"))
    return [state.get(k) for k in ids]


def genesis_state(genesis):
    check_genesis(genesis)
    chain, state = genesis["chainId"], State()
    state.put("chain", {"chainId": chain, "genesisHash": sha(oracle.canonical(genesis)).hex(), "params": genesis["params"]})
    for c in genesis["currencies"]:
        state.put(f"currency:{c['code']}", dict(c))
        state.put(f"supply:{c['code']}", amount_text(0, c["decimals"]))
    key, name = genesis["sovereign"]["publicKey"], genesis["sovereign"]["username"]
    who = user_id(chain, key)
    display = genesis["sovereign"]["displayName"]
    state.put(f"user:{who}", {"id": who, "username": name, "displayName": display, "publicKey": key, "role": "sovereign"})
    state.put(f"nonce:{who}", 0)
    state.put(f"username:{name}", who)
    state.put(f"key:{key}", who)
    for v in genesis["validators"]:
        state.put(f"validator:{v['id']}", {**v, "power": 1})
    return state


class Machine:
    """Judges and applies transactions on a state (State or Draft)."""

    def __init__(self, state, signatures=True):
        self.state = state
        #: Whether signatures are checked; who replays what was checked before may leave it.
        self.signatures = signatures
        self.chain = state.get("chain")["chainId"]
        self.params = state.get("chain")["params"]

    def judge(self, transaction, timestamp):
        """Raises Refused, or does nothing."""
        self._judged(transaction, timestamp)

    def execute(self, transaction, timestamp):
        """Raises Refused and changes nothing, or applies it. The block has this timestamp."""
        draft = self._judged(transaction, timestamp)
        draft.commit()

    def _judged(self, transaction, timestamp):
        fields = read_message(transaction.message, self.params["maxTransactionBytes"])
        draft = Draft(self.state)
        self._common(draft, transaction, fields, timestamp)
        getattr(self, "_" + fields["type"])(draft, fields, transaction)
        return draft

    # -- what all types share

    def _common(self, draft, transaction, f, timestamp):
        if f["chainId"] != self.chain:
            raise Refused("bad_chain")
        creation = f["type"] == "user_creation"
        user = draft.get(f"user:{f['from']}")
        if f["from"] != user_id(self.chain, f["publicKey"]) if creation else user is None:
            raise Refused("unknown_user")
        key = f["publicKey"] if creation else user["publicKey"]
        if self.signatures and not oracle.verify(key, transaction.message, transaction.signature):
            raise Refused("bad_signature")
        if f["nonce"] != (0 if creation else draft.get(f"nonce:{f['from']}") + 1):
            raise Refused("bad_nonce")
        if not timestamp - self.params["timestampWindowMs"] <= f["timestamp"] <= timestamp + FUTURE_MS:
            raise Refused("expired")
        if f["type"] in ROLES and user["role"] not in ROLES[f["type"]]:
            raise Refused("not_allowed")
        draft.put(f"nonce:{f['from']}", f["nonce"])

    def _user(self, draft, who, *, other_than=None, code=None):
        user = draft.get(f"user:{who}")
        if user is None:
            raise Refused("unknown_user")
        if who == other_than:
            raise Refused(code)
        return user

    def _amount(self, draft, f):
        """The amount in units."""
        currency = draft.get(f"currency:{f['currencyCode']}")
        if currency is None:
            raise Refused("unknown_currency")
        return units(f["amount"], currency["decimals"])

    def _add(self, draft, key, code, by):
        """Adds to a balance, hold, stake or supply; only a supply stays when it is zero."""
        decimals = draft.get(f"currency:{code}")["decimals"]
        value = int((draft.get(key) or "0").replace(".", "")) + by
        if value < 0:
            raise Refused("insufficient_funds")
        if value > UNITS_MAX:
            raise Refused("overflow")
        draft.put(key, amount_text(value, decimals) if value or key.startswith("supply:") else None)

    # -- users

    def _user_creation(self, draft, f, _):
        who, key = f["from"], f["publicKey"]
        if draft.get(f"username:{f['username']}") is not None:
            raise Refused("username_taken")
        if draft.get(f"key:{key}") is not None:
            raise Refused("key_in_use")
        approval = f.get("approval")
        if self.params["openRegistration"]:
            if approval is not None:
                raise Refused("approval_unexpected")
        else:
            by = draft.get(f"user:{approval['by']}") if approval else None
            if by is None or by["role"] not in STAFF:
                raise Refused("approval_required")
            text = approval_text(self.chain, approval["by"], key, f["username"])
            if self.signatures and not oracle.verify(by["publicKey"], text, approval["signature"]):
                raise Refused("bad_proof")
        user = without_absent(id=who, username=f["username"], displayName=f["displayName"], publicKey=key, role="user", bio=f.get("bio"))
        draft.put(f"user:{who}", user)
        draft.put(f"username:{f['username']}", who)
        draft.put(f"key:{key}", who)

    def _user_update(self, draft, f, _):
        changed = {n: f[n] for n in ("displayName", "bio", "avatarHash") if n in f}
        draft.put(f"user:{f['from']}", {**draft.get(f"user:{f['from']}"), **changed})

    def _key_rotation(self, draft, f, _):
        key = f["publicKey"]
        if draft.get(f"key:{key}") is not None:
            raise Refused("key_in_use")
        if self.signatures and not oracle.verify(key, rotation_text(self.chain, f["from"], f["nonce"], key), f["proof"]):
            raise Refused("bad_proof")
        draft.put(f"user:{f['from']}", {**draft.get(f"user:{f['from']}"), "publicKey": key})
        draft.put(f"key:{key}", f["from"])

    def _role_change(self, draft, f, _):
        user = self._user(draft, f["to"], other_than=f["from"], code="self_role")
        draft.put(f"user:{f['to']}", {**user, "role": f["role"]})

    def _sovereignty_transfer(self, draft, f, _):
        user = self._user(draft, f["to"], other_than=f["from"], code="self_role")
        draft.put(f"user:{f['to']}", {**user, "role": "sovereign"})
        draft.put(f"user:{f['from']}", {**draft.get(f"user:{f['from']}"), "role": "staff"})

    # -- money

    def _transfer(self, draft, f, _):
        self._user(draft, f["to"], other_than=f["from"], code="self_transfer")
        amount, code = self._amount(draft, f), f["currencyCode"]
        self._add(draft, f"balance:{f['from']}:{code}", code, -amount)
        self._add(draft, f"balance:{f['to']}:{code}", code, amount)

    def _open(self, draft, f, transaction, amount):
        decimals = draft.get(f"currency:{f['currencyCode']}")["decimals"]
        draft.put(f"request:{transaction.id}", {
            "type": f["type"], "from": f["from"], "amount": amount_text(amount, decimals), "currencyCode": f["currencyCode"],
            "reference": f["reference"], "status": "pending",
        })

    def _deposit(self, draft, f, transaction):
        self._open(draft, f, transaction, self._amount(draft, f))

    def _withdraw(self, draft, f, transaction):
        amount, code = self._amount(draft, f), f["currencyCode"]
        self._add(draft, f"balance:{f['from']}:{code}", code, -amount)
        self._add(draft, f"held:{f['from']}:{code}", code, amount)
        self._open(draft, f, transaction, amount)

    def _decide(self, draft, f, kind):
        """Closes a request; gives its owner, currency and units."""
        request = draft.get(f"request:{f['requestId']}")
        if request is None or request["type"] != kind:
            raise Refused("unknown_request")
        if request["status"] != "pending":
            raise Refused("request_closed")
        draft.put(f"request:{f['requestId']}", {**request, "status": {"confirm": "confirmed", "refuse": "refused"}[f["decision"]]})
        return request["from"], request["currencyCode"], int(request["amount"].replace(".", ""))

    def _deposit_confirmation(self, draft, f, _):
        who, code, amount = self._decide(draft, f, "deposit")
        if f["decision"] == "confirm":
            self._add(draft, f"balance:{who}:{code}", code, amount)
            self._add(draft, f"supply:{code}", code, amount)

    def _withdrawal_confirmation(self, draft, f, _):
        who, code, amount = self._decide(draft, f, "withdraw")
        self._add(draft, f"held:{who}:{code}", code, -amount)
        if f["decision"] == "confirm":
            self._add(draft, f"supply:{code}", code, -amount)
        else:
            self._add(draft, f"balance:{who}:{code}", code, amount)

    def _balance_adjustment(self, draft, f, _):
        self._user(draft, f["to"])
        amount, code = self._amount(draft, f), f["currencyCode"]
        self._add(draft, f"balance:{f['to']}:{code}", code, amount)
        self._add(draft, f"supply:{code}", code, amount)

    def _currency_creation(self, draft, f, _):
        if draft.get(f"currency:{f['code']}") is not None:
            raise Refused("currency_exists")
        draft.put(f"currency:{f['code']}", {n: f[n] for n in ("code", "currencyType", "decimals", "name", "symbol")})
        draft.put(f"supply:{f['code']}", amount_text(0, f["decimals"]))

    # -- content

    def _content_publish(self, draft, f, _):
        key = f"content:{f['hash']}:{f['from']}"
        if draft.get(key) is not None:
            raise Refused("content_exists")
        draft.put(key, {n: f[n] for n in ("size", "contentType", "filename", "mimeType", "key") if n in f})

    def _content_retract(self, draft, f, _):
        key = f"content:{f['hash']}:{f['from']}"
        if draft.get(key) is None:
            raise Refused("not_owner")
        draft.put(key, None)

    # -- validators

    def _stake(self, draft, f, _):
        if draft.get(f"validator:{f['validatorId']}") is None:
            raise Refused("unknown_validator")
        amount, code = self._amount(draft, f), f["currencyCode"]
        self._add(draft, f"balance:{f['from']}:{code}", code, -amount)
        self._add(draft, f"stake:{f['validatorId']}:{f['from']}:{code}", code, amount)

    def _unstake(self, draft, f, _):
        amount, code = self._amount(draft, f), f["currencyCode"]
        self._add(draft, f"stake:{f['validatorId']}:{f['from']}:{code}", code, -amount)
        self._add(draft, f"balance:{f['from']}:{code}", code, amount)

    def _validator_update(self, draft, f, _):
        key = f"validator:{f['validatorId']}"
        if f["power"] > 0:
            draft.put(key, {"id": f["validatorId"], "publicKey": f["publicKey"], "power": f["power"]})
            return
        if draft.get(key) is None:
            raise Refused("unknown_validator")
        if len(validators(draft)) == 1:
            raise Refused("last_validator")
        draft.put(key, None)


# -- invariants


def supply_problems(entries):
    """What of `supply = balances + holds + stakes` does not hold, per currency; and every entry that should not be there."""
    sums, problems = {}, []
    for key, value in entries.items():
        kind, *parts = key.split(":")
        if kind in ("balance", "held", "stake"):
            amount = int(value.replace(".", ""))
            sums[parts[-1]] = sums.get(parts[-1], 0) + amount
            if amount <= 0:
                problems.append(f"{key} is {value}")
        elif kind == "currency":
            sums.setdefault(parts[0], 0)
    for code, total in sums.items():
        if entries.get(f"supply:{code}") != amount_text(total, entries[f"currency:{code}"]["decimals"]):
            problems.append(f"supply:{code} is {entries.get(f'supply:{code}')}, the sum is {total} units")
    if sum(1 for k, v in entries.items() if k.startswith("user:") and v["role"] == "sovereign") != 1:
        problems.append("not exactly one sovereign")
    return problems


__all__ = ["Draft", "Machine", "Refused", "State", "Transaction", "genesis_state", "supply_problems", "validators"]
