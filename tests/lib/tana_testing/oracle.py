"""An independent oracle of the foundations: keys and signatures (PyNaCl), canonical JSON, Merkle lists, C2SP checkpoints.

Nothing here shares code or libraries' behaviour with the daemons except libsodium's Ed25519 itself; every definition is written from its standard
(RFC 8785, RFC 6962 section 2.1, RFC 9162 section 2.1.3-4, C2SP signed-note and tlog-checkpoint).
"""

import base64
import hashlib
import json
import os
import re
from dataclasses import dataclass

import nacl.bindings
import nacl.exceptions
import nacl.signing

# ---------------------------------------------------------------- keys and signatures

#: Encodings that are no honest public key: the eight points of small order, and spellings of them that are not canonical.
SMALL_ORDER_KEYS = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
]
NON_CANONICAL_KEYS = [
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",  # y = p
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",  # y = p + 1
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
]
#: The order of the base point: S + ORDER is the second, forbidden spelling of a signature.
ORDER = 2**252 + 27742317777372353535851937790883648493


class Key:
    """An Ed25519 key pair in tana's text forms. Key("seed text") is the same key each time; Key() is a new one."""

    def __init__(self, seed=None):
        if seed is None:
            raw = os.urandom(32)
        elif isinstance(seed, bytes):
            raw = seed
        else:
            raw = hashlib.sha256(seed.encode()).digest()
        self._key = nacl.signing.SigningKey(raw)
        self.seed_hex = raw.hex()
        self.public_hex = self._key.verify_key.encode().hex()
        self.public = "ed25519_" + self.public_hex
        self.private = "ed25519_" + self.seed_hex

    def sign(self, message):
        """The tana form: Ed25519 over SHA-256(message)."""
        data = message if isinstance(message, bytes) else message.encode()
        return "ed25519_sig_" + self._key.sign(hashlib.sha256(data).digest()).signature.hex()

    def sign_bytes(self, data):
        """Plain RFC 8032: JWTs and checkpoints only."""
        return self._key.sign(data).signature

    def __repr__(self):
        return f"Key({self.public[:16]}...)"


def verify(public, message, signature):
    """Strict verification of the written forms. Malformed text is a failure of the test, not of the signature."""
    if not re.fullmatch(r"ed25519_[0-9a-f]{64}", public):
        raise ValueError(f"not a public key in its written form: {public!r}")
    if not re.fullmatch(r"ed25519_sig_[0-9a-f]{128}", signature):
        raise ValueError(f"not a signature in its written form: {signature!r}")
    data = message if isinstance(message, bytes) else message.encode()
    return verify_bytes(bytes.fromhex(public[8:]), hashlib.sha256(data).digest(), bytes.fromhex(signature[12:]))


def verify_bytes(public, data, signature):
    try:
        nacl.signing.VerifyKey(public).verify(data, signature)
    except (nacl.exceptions.BadSignatureError, ValueError):
        return False
    return True


def malleate(signature):
    """The same signature with S + L: verifies in lax libraries, must not here."""
    raw = bytes.fromhex(signature[12:])
    s = int.from_bytes(raw[32:], "little") + ORDER
    return "ed25519_sig_" + (raw[:32] + s.to_bytes(32, "little")).hex()


def off_curve_key():
    """Some 32 bytes in canonical form that are no point of the curve."""
    for i in range(2, 100):
        raw = i.to_bytes(32, "little")
        if not nacl.bindings.crypto_core_ed25519_is_valid_point(raw) and not _decompresses(i):
            return raw.hex()
    raise AssertionError("unreachable: half of all y are off the curve")


def _decompresses(y):
    p = 2**255 - 19
    d = -121665 * pow(121666, p - 2, p) % p
    x2 = (y * y - 1) * pow(d * y * y + 1, p - 2, p) % p
    return x2 == 0 or pow(x2, (p - 1) // 2, p) == 1


# ---------------------------------------------------------------- canonical JSON

_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}
INT_MAX = 2**53 - 1


def canonical(value):
    """RFC 8785 over tana's subset, as bytes. ValueError for what the subset has not."""
    return _canonical_text(value).encode("utf-8")


def _canonical_text(v):
    if v is None:
        return "null"
    if v is True:
        return "true"
    if v is False:
        return "false"
    if isinstance(v, int):
        if abs(v) > INT_MAX:
            raise ValueError(f"integer out of range: {v}")
        return str(v)
    if isinstance(v, str):
        return _canonical_string(v)
    if isinstance(v, (list, tuple)):
        return "[" + ",".join(_canonical_text(x) for x in v) + "]"
    if isinstance(v, dict):
        for k in v:
            if not isinstance(k, str) or not _KEY.match(k):
                raise ValueError(f"not a key of the subset: {k!r}")
        return "{" + ",".join(_canonical_string(k) + ":" + _canonical_text(v[k]) for k in sorted(v)) + "}"
    raise ValueError(f"not in the subset: {v!r}")


def _canonical_string(s):
    out = ['"']
    for c in s:
        if c in _ESCAPES:
            out.append(_ESCAPES[c])
        elif c == "\0" or 0xD800 <= ord(c) <= 0xDFFF:
            raise ValueError("NUL and lone surrogates are not in the subset")
        elif c < " ":
            out.append(f"\\u{ord(c):04x}")
        else:
            out.append(c)
    out.append('"')
    return "".join(out)


def parse_strict(text):
    """JSON text whose objects have no key twice."""

    def pairs(items):
        d = dict(items)
        if len(d) != len(items):
            raise ValueError("duplicate key")
        return d

    return json.loads(text, object_pairs_hook=pairs)


# ---------------------------------------------------------------- Merkle tree over a list (RFC 6962 section 2.1)


def _sha(*parts):
    h = hashlib.sha256()
    for p in parts:
        h.update(p)
    return h.digest()


def leaf_hash(data):
    return _sha(b"\0", data)


def node_hash(left, right):
    return _sha(b"\1", left, right)


def _split(n):
    """The largest power of two smaller than n."""
    return 1 << ((n - 1).bit_length() - 1)


class List:
    """A Merkle list over leaf data. Subtree roots are remembered, so that all proofs of all sizes stay cheap."""

    def __init__(self, items=()):
        self.leaves = [leaf_hash(x) for x in items]
        self._roots = {}

    def append(self, data):
        self.leaves.append(leaf_hash(data))

    def __len__(self):
        return len(self.leaves)

    def _mth(self, lo, hi):
        n = hi - lo
        if n == 0:
            return _sha()
        if n == 1:
            return self.leaves[lo]
        if (lo, hi) not in self._roots:
            k = _split(n)
            self._roots[lo, hi] = node_hash(self._mth(lo, lo + k), self._mth(lo + k, hi))
        return self._roots[lo, hi]

    def root(self, size=None):
        return self._mth(0, len(self) if size is None else size)

    def inclusion(self, index, size=None):
        size = len(self) if size is None else size
        if not 0 <= index < size:
            raise ValueError("index outside the tree")
        return self._path(index, 0, size)

    def _path(self, m, lo, hi):
        n = hi - lo
        if n == 1:
            return []
        k = _split(n)
        if m < k:
            return self._path(m, lo, lo + k) + [self._mth(lo + k, hi)]
        return self._path(m - k, lo + k, hi) + [self._mth(lo, lo + k)]

    def consistency(self, old, new=None):
        new = len(self) if new is None else new
        if not 0 < old <= new:
            raise ValueError("sizes out of order")
        return [] if old == new else self._subproof(old, 0, new, True)

    def _subproof(self, m, lo, hi, whole):
        n = hi - lo
        if m == n:
            return [] if whole else [self._mth(lo, hi)]
        k = _split(n)
        if m <= k:
            return self._subproof(m, lo, lo + k, whole) + [self._mth(lo + k, hi)]
        return self._subproof(m - k, lo + k, hi, False) + [self._mth(lo, lo + k)]


def verify_inclusion(leaf, index, size, path, root):
    """RFC 9162 2.1.3.2; all hashes are bytes, leaf is the leaf's hash."""
    if index >= size:
        return False
    fn, sn, r = index, size - 1, leaf
    for p in path:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            r = node_hash(p, r)
            while not fn & 1 and fn != 0:
                fn >>= 1
                sn >>= 1
        else:
            r = node_hash(r, p)
        fn >>= 1
        sn >>= 1
    return sn == 0 and r == root


def verify_consistency(old, old_root, new, new_root, path):
    """RFC 9162 2.1.4.2."""
    if old == new:
        return not path and old_root == new_root
    if not 0 < old < new or not path:
        return False
    path = list(path)
    if old & (old - 1) == 0:
        path.insert(0, old_root)
    fn, sn = old - 1, new - 1
    while fn & 1:
        fn >>= 1
        sn >>= 1
    fr = sr = path[0]
    for c in path[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = node_hash(c, fr), node_hash(c, sr)
            while not fn & 1 and fn != 0:
                fn >>= 1
                sn >>= 1
        else:
            sr = node_hash(sr, c)
        fn >>= 1
        sn >>= 1
    return fr == old_root and sr == new_root and sn == 0


# ---------------------------------------------------------------- C2SP signed-note and tlog-checkpoint


@dataclass
class Checkpoint:
    origin: str
    size: int
    root: bytes


def note_key_id(name, public):
    return _sha(name.encode() + b"\n\x01" + public)[:4]


def verifier_key(name, public):
    return f"{name}+{note_key_id(name, public).hex()}+{base64.b64encode(b'%c' % 1 + public).decode()}"


def open_checkpoint(note, vkey):
    """Checks a signed checkpoint against a C2SP verifier key and returns it. ValueError says what is wrong."""
    name, key_id, key = vkey.split("+", 2)
    raw = base64.b64decode(key, validate=True)
    if raw[:1] != b"\x01" or len(raw) != 33 or note_key_id(name, raw[1:]).hex() != key_id:
        raise ValueError("not an Ed25519 verifier key")
    text = note.decode("utf-8")
    if any(ord(c) < 0x20 and c != "\n" for c in text):
        raise ValueError("control characters in a note")
    body, blank, signatures = text.rpartition("\n\n")
    if not blank or not signatures.endswith("\n"):
        raise ValueError("no signatures")
    body += "\n"
    good = 0
    for line in signatures[:-1].split("\n"):
        dash, signer, blob = line.split(" ")
        sig = base64.b64decode(blob, validate=True)
        if dash != "\u2014" or len(sig) < 5:
            raise ValueError(f"not a signature line: {line!r}")
        if signer == name and sig[:4].hex() == key_id:
            if not verify_bytes(raw[1:], body.encode(), sig[4:]):
                raise ValueError("bad signature on the checkpoint")
            good += 1
    if good != 1:
        raise ValueError(f"{good} signatures by {name}")
    origin, size, root = body.split("\n")[:3]
    if not re.fullmatch(r"0|[1-9][0-9]*", size):
        raise ValueError("size is not a plain decimal")
    decoded = base64.b64decode(root, validate=True)
    if len(decoded) != 32:
        raise ValueError("root is not 32 bytes")
    return Checkpoint(origin, int(size), decoded)
