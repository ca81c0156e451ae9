"""Random histories of the ledger: transactions of all types, good ones and ones broken in every way, each with the verdict that the model gives it."""

import random

from . import oracle
from .ledger_forms import Refused, Transaction, amount_text, sha
from .ledger_model import Draft, Machine, genesis_state
from .ledger_wallet import Wallet, now, signed

BAD_AMOUNTS = ("", ".5", "1.", "1e3", "01", "00", "+1", " 1", "1 ", "1,5", "0x1", "-", "--1", "1" * 19, "1.5.", "\u0661", "Infinity", "-0.01x")
EDGE_AMOUNTS = (
    "0", "0.0", "0.00", "-0", "0.001", "0.000000001", "1.000", "92233720368547758.07", "92233720368547758.08", "92233720368.54775807",
    "92233720368.54775808", "9223372036854775807", "999999999999999999", "999999999999999999.99", "0." + "0" * 60 + "1",
)
BAD_USERNAMES = ("alice", "@", "@Alice", "@-a", "@_a", "@a b", "@" + "a" * 50, "@\u00e9", "")


class History:
    """next() gives (Transaction, code): what to submit, and the refusal to expect, None for one that holds.

    Verdicts are those of a queue that is executed in order, nothing of it left out. gaps: whether nonces in the future, which wait, may come.
    """

    def __init__(self, seed, genesis, sovereign, *, clock=now, flawed=0.35, gaps=False, users=8):
        self.rng = random.Random(seed)
        self.clock, self.flawed, self.gaps, self.users = clock, flawed, gaps, users
        self.genesis = genesis
        self.chain = genesis["chainId"]
        self.state = Draft(genesis_state(genesis))
        self.machine = Machine(self.state)
        sovereign.clock = clock
        self.wallets = [sovereign]
        self.requests = [("deposit", "0" * 64)]
        self.contents = [sha(b"content %d" % i).hex() for i in range(6)]
        self.retired = []  # keys that were rotated away
        self.codes = [c["code"] for c in genesis["currencies"]]
        self.validators = [v["id"] for v in genesis["validators"]]
        self.spare = {}
        self.made = 0
        self.verdicts = {}  # code or None -> how often

    # -- what to choose from

    def key(self):
        self.made += 1
        return oracle.Key(f"history key {self.rng.random()} {self.made}")

    def who(self):
        return self.rng.choice(self.wallets)

    def role(self, wallet):
        user = self.state.get(f"user:{wallet.id}")
        return user["role"] if user else None

    def one_with_role(self, *roles):
        """Mostly one who may."""
        fit = [w for w in self.wallets if self.role(w) in roles]
        return self.rng.choice(fit) if self.rng.random() < 0.9 else self.who()

    def to(self):
        if self.rng.random() < 0.04:
            return Wallet("nobody", chain=self.chain, key=self.key()).id
        return self.who().id

    def code(self):
        return self.rng.choice(self.codes) if self.rng.random() < 0.95 else "NONE"

    def amount(self, code, spend=None):
        """Mostly small, often some or all of what is there (`spend`: an entry's key), sometimes at an edge."""
        r = self.rng.random()
        currency = self.state.get(f"currency:{code}")
        decimals = currency["decimals"] if currency else 2
        if r < 0.06:
            return self.rng.choice(EDGE_AMOUNTS)
        have = int(((spend and self.state.get(spend)) or "0").replace(".", ""))
        if have and r < 0.75:
            return amount_text(have if r < 0.2 else self.rng.randint(1, have), decimals)
        if have and r < 0.8 and have < 2**63 - 1:
            return amount_text(have + 1, decimals)
        return amount_text(self.rng.randint(1, 5000), decimals)

    # -- one of each type: (wallet, fields)

    def _user_creation(self):
        if len(self.wallets) > self.users and self.rng.random() < 0.8:
            old = self.who()
            key = self.rng.choice([old.key, self.key(), *self.retired])
            wallet = Wallet(old.username[1:], chain=self.chain, key=key, clock=self.clock)
        else:
            wallet = Wallet(f"user{self.rng.randint(0, 10**6)}", chain=self.chain, key=self.key(), clock=self.clock)
        fields = {"username": wallet.username, "displayName": self.rng.choice(["Ann", "B\u00f6b \U0001f680", 'C"\\\t'])}
        fields["publicKey"] = wallet.key.public
        if self.rng.random() < 0.3:
            fields["bio"] = self.rng.choice(["", "a bio", "\u00fc" * 512])
        if self.genesis["params"]["openRegistration"] == (self.rng.random() < 0.1):
            by = self.one_with_role("staff", "sovereign")
            key = by.key if self.rng.random() < 0.9 else wallet.key
            fields["approval"] = by.approve(wallet, key=key)
        return wallet, fields

    def _user_update(self):
        some = {"displayName": "New \u20ac name", "bio": "", "avatarHash": self.rng.choice(self.contents)}
        return self.who(), {k: v for k, v in some.items() if self.rng.random() < 0.5}

    def _key_rotation(self):
        wallet = self.who()
        new = self.key() if self.rng.random() < 0.8 else self.rng.choice([wallet.key, self.who().key, *self.retired])
        self.spare[new.public] = new
        proof = new if self.rng.random() < 0.9 else wallet.key
        return wallet, {"publicKey": new.public, "proof": proof.sign(f"key-rotation:{self.chain}:{wallet.id}:{wallet.next_nonce}:{new.public}")}

    def _transfer(self):
        wallet, code = self.who(), self.code()
        memo = {"memo": "for \u2615"} if self.rng.random() < 0.3 else {}
        return wallet, {"to": self.to(), "amount": self.amount(code, f"balance:{wallet.id}:{code}"), "currencyCode": code, **memo}

    def _deposit(self):
        code = self.code()
        return self.who(), {"amount": self.amount(code), "currencyCode": code, "reference": "in"}

    def _withdraw(self):
        wallet, code = self.who(), self.code()
        return wallet, {"amount": self.amount(code, f"balance:{wallet.id}:{code}"), "currencyCode": code, "reference": "out"}

    def _decision(self, kind):
        fit = [r for k, r in self.requests if k == kind] if self.rng.random() < 0.9 else [r for _, r in self.requests]
        # Mostly one that is open.
        open_ = [r for r in fit if (self.state.get(f"request:{r}") or {}).get("status") == "pending"]
        chosen = self.rng.choice(open_ if open_ and self.rng.random() < 0.85 else fit or ["0" * 64])
        return self.one_with_role("staff", "sovereign"), {"requestId": chosen, "decision": self.rng.choice(["confirm", "confirm", "refuse"])}

    def _deposit_confirmation(self):
        return self._decision("deposit")

    def _withdrawal_confirmation(self):
        return self._decision("withdraw")

    def _balance_adjustment(self):
        code, to = self.code(), self.to()
        amount = self.amount(code, f"balance:{to}:{code}" if self.rng.random() < 0.4 else None)
        sign = "-" if self.rng.random() < 0.3 and not amount.startswith("-") else ""
        return self.one_with_role("sovereign"), {"to": to, "amount": sign + amount, "currencyCode": code, "reason": "it is so"}

    def _currency_creation(self):
        code = self.rng.choice(["USD", "ZZZ", f"C{self.rng.randint(0, 9999)}"])
        fields = {"code": code, "currencyType": "crypto", "decimals": self.rng.randint(0, 8), "name": "New", "symbol": "\u00a4"}
        return self.one_with_role("sovereign"), fields

    def _role_change(self):
        return self.one_with_role("sovereign"), {"to": self.to(), "role": self.rng.choice(["user", "staff", "staff"])}

    def _sovereignty_transfer(self):
        return self.one_with_role("sovereign"), {"to": self.to()}

    def _content_publish(self):
        fields = {"hash": self.rng.choice(self.contents), "size": self.rng.choice([0, 5, 2**53 - 1])}
        fields["contentType"] = self.rng.choice(["kv_data", "contract_code", "file_upload"])
        fields.update((k, v) for k, v in {"filename": "a.txt", "mimeType": "text/plain", "key": "k" * 1024}.items() if self.rng.random() < 0.3)
        return self.who(), fields

    def _content_retract(self):
        wallet = self.who()
        own = [h for h in self.contents if self.state.get(f"content:{h}:{wallet.id}")]
        return wallet, {"hash": self.rng.choice(own if own and self.rng.random() < 0.8 else self.contents)}

    def _validator_id(self):
        return self.rng.choice([*self.validators, "v2", "v3"])

    def _stake(self):
        wallet, code = self.who(), self.code()
        fields = {"validatorId": self._validator_id(), "amount": self.amount(code, f"balance:{wallet.id}:{code}"), "currencyCode": code}
        return wallet, fields

    def _unstake(self):
        stakes = [k.split(":") for k in self.state.keys() if k.startswith("stake:")]
        wallet, code, validator = self.who(), self.code(), self._validator_id()
        if stakes and self.rng.random() < 0.8:
            _, validator, owner, code = self.rng.choice(sorted(stakes))
            wallet = next(w for w in self.wallets if w.id == owner)
        fields = {"validatorId": validator, "amount": self.amount(code, f"stake:{validator}:{wallet.id}:{code}"), "currencyCode": code}
        return wallet, fields

    def _validator_update(self):
        # The genesis validators produce: they keep their keys and places, but an attempt to take the last one away is made elsewhere.
        chosen = self.rng.choice(["v2", "v3", "v4"])
        return self.one_with_role("sovereign"), {"validatorId": chosen, "publicKey": self.key().public, "power": self.rng.choice([0, 1, 2**31 - 1])}

    # -- ways to break one: each gives fields, key, message bytes or signature

    def _flaw(self, wallet, fields):
        """A transaction with one thing wrong, or very wrong."""
        rng, key = self.rng, wallet.key
        flaw = rng.choice([
            "drop", "add", "null", "type", "kind", "amount", "name", "chain", "stranger", "key", "signature", "malleable", "nonce", "old", "ahead",
            "blank", "escape", "large", "float", "zero", "twice", "order",
        ])
        if flaw == "drop":
            fields.pop(rng.choice(sorted(fields)))
        elif flaw == "add":
            fields["extra"] = rng.choice(["", 0, None, {}])
        elif flaw == "null":
            fields[rng.choice(sorted(fields))] = None
        elif flaw == "type":
            # A nonce of another number would be one in the future.
            fields[rng.choice(sorted(set(fields) - {"type", "nonce"}))] = rng.choice([7, "", [], {}, True, "x" * 1025, -1])
        elif flaw == "kind":
            fields["type"] = rng.choice(["", "Transfer", "user_deletion", 1, None])
        elif flaw == "amount" and "amount" in fields:
            fields["amount"] = rng.choice(BAD_AMOUNTS)
        elif flaw == "name" and "username" in fields:
            fields["username"] = rng.choice(BAD_USERNAMES)
        elif flaw == "chain":
            fields["chainId"] = rng.choice(["otherchain", "", self.chain + "x", self.chain.upper()])
        elif flaw == "stranger":
            fields["from"] = Wallet("x", chain=self.chain, key=self.key()).id
        elif flaw == "key":
            key = rng.choice([self.key(), *self.retired])
        elif flaw == "nonce":
            fields["nonce"] = rng.choice([0, fields["nonce"] - 1, fields["nonce"] + 10**6] + ([fields["nonce"] + 1] if self.gaps else []))
            if fields["nonce"] < 0:
                fields["nonce"] = 5
        elif flaw == "old":
            fields["timestamp"] -= self.genesis["params"]["timestampWindowMs"] + 60_000
        elif flaw == "ahead":
            fields["timestamp"] += 60_000 + 300_000
        elif flaw == "large":
            fields["memo"] = "x" * self.genesis["params"]["maxTransactionBytes"]
        made = signed(fields, key)
        return self._flawed_bytes(flaw, made, key)

    def _flawed_bytes(self, flaw, made, key):
        message, signature = made.message, made.signature
        if flaw == "signature":
            raw = bytearray.fromhex(signature[12:])
            raw[self.rng.randrange(64)] ^= 1 << self.rng.randrange(8)
            return Transaction(message, "ed25519_sig_" + raw.hex())
        if flaw == "malleable":
            return Transaction(message, oracle.malleate(signature))
        if flaw == "blank":
            at = message.index(b",")
            message = message[:at] + b" " + message[at:]
        elif flaw == "escape":
            message = message.replace(b'"chainId"', b'"chain\\u0049d"')
        elif flaw == "float":
            message = message.replace(b'"nonce":%d' % made.fields["nonce"], b'"nonce":%d.0' % made.fields["nonce"])
        elif flaw == "zero":
            message = message.replace(b'"nonce":', b'"nonce":0', 1)
        elif flaw == "twice":
            message = message[:-1] + b',"username":"@a","username":"@a"}'
        elif flaw == "order":
            message = b'{"type":"x",' + message[1:]
        return Transaction(message, key.sign(message))

    # -- the history

    def propose(self):
        kind = self.rng.choice(_KINDS)
        wallet, fields = getattr(self, "_" + kind)()
        fields = wallet.fields(kind, **fields)
        if self.rng.random() < self.flawed:
            return wallet, self._flaw(wallet, fields)
        return wallet, signed(fields, wallet.key)

    def next(self):
        wallet, made = self.propose()
        code = None
        try:
            self.machine.execute(made, self.clock())
        except Refused as e:
            code = e.code
        self.verdicts[code] = self.verdicts.get(code, 0) + 1
        if code is None:
            self._took(wallet, made)
        return made, code

    def _took(self, wallet, made):
        """Keeps in mind what an accepted transaction gives to choose from."""
        f = made.fields
        wallet.next_nonce = f["nonce"] + 1
        if f["type"] == "user_creation":
            self.wallets.append(wallet)
        elif f["type"] == "key_rotation":
            self.retired.append(wallet.key)
            wallet.key = self.spare.pop(f["publicKey"])
        elif f["type"] == "currency_creation":
            self.codes.append(f["code"])
        elif f["type"] in ("deposit", "withdraw"):
            self.requests.append((f["type"], made.id))

    def entries(self):
        """All entries after everything that held."""
        return {k: self.state.get(k) for k in self.state.keys()}


_KINDS = (
    "user_creation", "user_creation", "user_update", "key_rotation", "transfer", "transfer", "transfer", "deposit", "deposit", "deposit_confirmation",
    "deposit_confirmation", "withdraw", "withdraw", "withdrawal_confirmation", "withdrawal_confirmation", "balance_adjustment", "balance_adjustment",
    "currency_creation", "role_change", "sovereignty_transfer", "content_publish", "content_publish", "content_retract", "stake", "stake", "unstake",
    "validator_update",
)
