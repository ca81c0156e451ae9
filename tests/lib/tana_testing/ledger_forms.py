"""The ledger's forms, written from the protocol alone: fields of every transaction type, amounts, user ids, genesis. No code of the daemons is used."""

import hashlib
import re
from dataclasses import dataclass

from . import oracle

UNITS_MAX = 2**63 - 1
FUTURE_MS = 60_000
DEPTH_MAX = 32

CHAIN_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}\Z")
VALIDATOR_ID = CHAIN_ID
CODE = re.compile(r"[A-Z][A-Z0-9]{0,11}\Z")
USERNAME = re.compile(r"@[a-z0-9][a-z0-9_-]{0,48}\Z")
USER_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\Z")
HASH = re.compile(r"[0-9a-f]{64}\Z")
PUBLIC_KEY = re.compile(r"ed25519_[0-9a-f]{64}\Z")
SIGNATURE = re.compile(r"ed25519_sig_[0-9a-f]{128}\Z")
AMOUNT = re.compile(r"(0|[1-9][0-9]{0,17})(\.[0-9]+)?\Z")

#: The HTTP status of a refusal; all others are 422.
STATUS = {
    "too_large": 413, "not_canonical": 400, "unknown_type": 400, "missing_field": 400, "unknown_field": 400, "malformed_field": 400,
    "amount_malformed": 400, "username_malformed": 400, "bad_signature": 401, "bad_proof": 401,
}
#: Every refusal of a transaction, in the protocol's order.
CODES = (
    "too_large not_canonical unknown_type missing_field unknown_field malformed_field amount_malformed username_malformed bad_chain unknown_user"
    " bad_signature bad_nonce expired not_allowed self_transfer self_role unknown_currency amount_too_precise amount_not_positive overflow"
    " insufficient_funds username_taken key_in_use bad_proof approval_required approval_unexpected unknown_request request_closed content_exists"
    " not_owner unknown_validator last_validator currency_exists"
).split()


class Refused(Exception):
    def __init__(self, code):
        super().__init__(code)
        self.code = code

    @property
    def status(self):
        return STATUS.get(self.code, 422)


def sha(data):
    return hashlib.sha256(data).digest()


# -- forms of values: each says whether a JSON value has it


def text(smallest, largest):
    return lambda v: isinstance(v, str) and smallest <= len(v.encode()) <= largest


def integer(largest):
    return lambda v: isinstance(v, int) and not isinstance(v, bool) and 0 <= v <= largest


def one_of(*values):
    return lambda v: isinstance(v, str) and v in values


def matching(pattern):
    return lambda v: isinstance(v, str) and pattern.match(v) is not None


def is_text(v):
    return isinstance(v, str)


_WEAK = {int.from_bytes(bytes.fromhex(k), "little") & (2**255 - 1) for k in oracle.SMALL_ORDER_KEYS}


def public_key(v):
    """The written form of a key that can verify something: y is below p and not that of a point of small order."""
    if not isinstance(v, str) or not PUBLIC_KEY.match(v):
        return False
    y = int.from_bytes(bytes.fromhex(v[8:]), "little") & (2**255 - 1)
    return y < 2**255 - 19 and y not in _WEAK


def _approval(v):
    return isinstance(v, dict) and matching(USER_ID)(v["by"]) and matching(SIGNATURE)(v["signature"])


_number = integer(oracle.INT_MAX)
COMMON = {"chainId": is_text, "type": is_text, "from": matching(USER_ID), "nonce": _number, "timestamp": _number}
_line, _id, _hash, _code, _validator = text(1, 256), matching(USER_ID), matching(HASH), matching(CODE), matching(VALIDATOR_ID)
_money = {"amount": is_text, "currencyCode": _code}

#: type -> field -> (form, required). A `?` in the protocol's table is required=False.
TYPES = {
    "user_creation": {"username": is_text, "displayName": _line, "publicKey": public_key, "bio?": text(0, 1024), "approval?": _approval},
    "user_update": {"displayName?": _line, "bio?": text(0, 1024), "avatarHash?": _hash},
    "key_rotation": {"publicKey": public_key, "proof": matching(SIGNATURE)},
    "transfer": {"to": _id, **_money, "memo?": _line},
    "deposit": {**_money, "reference": _line},
    "deposit_confirmation": {"requestId": _hash, "decision": one_of("confirm", "refuse")},
    "withdraw": {**_money, "reference": _line},
    "withdrawal_confirmation": {"requestId": _hash, "decision": one_of("confirm", "refuse")},
    "balance_adjustment": {"to": _id, **_money, "reason": _line},
    "currency_creation": {
        "code": _code, "currencyType": one_of("fiat", "crypto"), "decimals": integer(8), "name": _line, "symbol": text(1, 16),
    },
    "role_change": {"to": _id, "role": one_of("user", "staff")},
    "sovereignty_transfer": {"to": _id},
    "content_publish": {
        "hash": _hash, "size": _number, "contentType": one_of("kv_data", "contract_code", "file_upload"), "filename?": _line, "mimeType?": _line,
        "key?": text(1, 1024),
    },
    "content_retract": {"hash": _hash},
    "stake": {"validatorId": _validator, **_money},
    "unstake": {"validatorId": _validator, **_money},
    "validator_update": {"validatorId": _validator, "publicKey": public_key, "power": integer(2**31 - 1)},
}


def _depth(value):
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    return 0


def read_canonical(data):
    """The value whose canonical form these bytes are, or ValueError."""
    try:
        value = oracle.parse_strict(data.decode("utf-8"))
        if oracle.canonical(value) != data or _depth(value) > DEPTH_MAX:
            raise ValueError("not canonical")
    except (UnicodeError, RecursionError) as e:
        raise ValueError(str(e)) from None
    return value


def read_message(message, limit):
    """The fields of a message whose form is good; Refused otherwise."""
    if len(message) > limit:
        raise Refused("too_large")
    try:
        fields = read_canonical(message)
    except ValueError:
        raise Refused("not_canonical") from None
    if not isinstance(fields, dict):
        raise Refused("not_canonical")
    if "type" not in fields:
        raise Refused("missing_field")
    if not isinstance(fields["type"], str) or fields["type"] not in TYPES:
        raise Refused("unknown_type")
    known = {**COMMON, **TYPES[fields["type"]]}
    approval = fields.get("approval") if "approval?" in known and isinstance(fields.get("approval"), dict) else None
    missing = {n for n in known if not n.endswith("?")} - fields.keys()
    if missing or (approval is not None and {"by", "signature"} - approval.keys()):
        raise Refused("missing_field")
    if fields.keys() - {n.removesuffix("?") for n in known} or (approval is not None and approval.keys() - {"by", "signature"}):
        raise Refused("unknown_field")
    for name, form in known.items():
        name = name.removesuffix("?")
        if name in fields and not form(fields[name]):
            raise Refused("malformed_field")
    if "amount" in known:
        amount = fields["amount"]
        if not AMOUNT.match(amount.removeprefix("-") if fields["type"] == "balance_adjustment" else amount):
            raise Refused("amount_malformed")
    if "username" in known and not USERNAME.match(fields["username"]):
        raise Refused("username_malformed")
    return fields


# -- amounts


def units(amount, decimals):
    """An amount of good form in the smallest unit. Refused when it has too many digits, is zero, or does not fit."""
    whole, _, fraction = amount.removeprefix("-").partition(".")
    if len(fraction) > decimals:
        raise Refused("amount_too_precise")
    value = int(whole + fraction.ljust(decimals, "0"))
    if value == 0:
        raise Refused("amount_not_positive")
    if value > UNITS_MAX:
        raise Refused("overflow")
    return -value if amount.startswith("-") else value


def amount_text(value, decimals):
    """Units as text with exactly this many decimals."""
    assert 0 <= value <= UNITS_MAX
    digits = str(value).rjust(decimals + 1, "0")
    return digits[: len(digits) - decimals] + ("." + digits[-decimals:] if decimals else "")


# -- names


def user_id(chain_id, key):
    raw = bytearray(sha(f"tana-user:{chain_id}:{key}".encode())[:16])
    raw[6] = raw[6] & 0x0F | 0x80
    raw[8] = raw[8] & 0x3F | 0x80
    h = raw.hex()
    return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"


def approval_text(chain_id, by, key, username):
    return f"tana-user-approval:{chain_id}:{by}:{key}:{username}"


def rotation_text(chain_id, user, nonce, key):
    return f"key-rotation:{chain_id}:{user}:{nonce}:{key}"


def grant_text(chain_id, user, content, size, timestamp):
    return f"tana-upload-grant:{chain_id}:{user}:{content}:{size}:{timestamp}"


@dataclass(frozen=True)
class Transaction:
    """A message's exact bytes and its signature in the written form."""

    message: bytes
    signature: str

    @property
    def id(self):
        return sha(self.message).hex()

    @property
    def leaf(self):
        """What the list tree of a block's transactions is over."""
        return self.message + bytes.fromhex(self.signature[12:])

    @property
    def size(self):
        return len(self.message) + 64

    @property
    def fields(self):
        return read_canonical(self.message)


# -- genesis

_PARAMS = ("maxBlockTransactions", "maxBlockBytes", "maxTransactionBytes", "timestampWindowMs", "maxPendingPerUser")


def check_genesis(genesis):
    """ValueError says what is wrong with it."""

    def need(good, what):
        if not good:
            raise ValueError(f"genesis: {what}")

    def exactly(value, *names):
        need(isinstance(value, dict) and set(value) == set(names), f"an object with exactly {names} is needed")

    exactly(genesis, "chainId", "timestamp", "currencies", "sovereign", "validators", "params")
    need(matching(CHAIN_ID)(genesis["chainId"]), "chainId")
    need(_number(genesis["timestamp"]), "timestamp")
    need(isinstance(genesis["currencies"], list) and isinstance(genesis["validators"], list), "lists")
    forms = TYPES["currency_creation"]
    for currency in genesis["currencies"]:
        exactly(currency, *forms)
        need(all(form(currency[n]) for n, form in forms.items()), f"currency {currency}")
    need(len({c["code"] for c in genesis["currencies"]}) == len(genesis["currencies"]), "a currency twice")
    exactly(genesis["sovereign"], "username", "displayName", "publicKey")
    need(matching(USERNAME)(genesis["sovereign"]["username"]), "the sovereign's username")
    need(_line(genesis["sovereign"]["displayName"]) and public_key(genesis["sovereign"]["publicKey"]), "the sovereign")
    for validator in genesis["validators"]:
        exactly(validator, "id", "publicKey")
        need(_validator(validator["id"]) and public_key(validator["publicKey"]), f"validator {validator}")
    need(len({v["id"] for v in genesis["validators"]}) == len(genesis["validators"]) > 0, "validators: none, or one twice")
    params = genesis["params"]
    exactly(params, "openRegistration", *_PARAMS)
    need(isinstance(params["openRegistration"], bool), "openRegistration")
    need(all(_number(params[n]) and params[n] > 0 for n in _PARAMS), "params")
    need(params["maxBlockBytes"] >= params["maxTransactionBytes"] + 64, "a block too small for a transaction")
