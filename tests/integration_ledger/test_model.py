"""The model itself: it reproduces the shared vectors, its two ways to a map's root agree, and it refuses every chain that was tampered with."""

import json
import pathlib
import random

import pytest
from tana_testing import ledger_chain, oracle
from tana_testing.ledger_cases import CLOSED, COMMON, CREATIONS, FORMS, OPEN, TURN, VALIDATOR, World
from tana_testing.ledger_chain import Chain, Invalid, Tree, read_chain, write_chain
from tana_testing.ledger_forms import CODES, Refused, amount_text, sha, units, user_id
from tana_testing.ledger_history import History
from tana_testing.ledger_model import Machine
from tana_testing.ledger_wallet import Wallet, make_genesis, now

VECTORS = pathlib.Path(__file__).parents[1] / "vectors"


def load(name):
    return json.loads((VECTORS / name).read_text())


def test_user_ids():
    for v in load("user_ids.json"):
        assert user_id(v["chainId"], v["publicKey"]) == v["id"]


def test_the_chain_of_the_vectors():
    data = (VECTORS / "chain.jsonl").read_bytes()
    chain = read_chain(data, each=Chain.check)
    assert write_chain(chain) == data
    assert {k: oracle.canonical(v).decode() for k, v in chain.entries().items()} == load("chain_final_state.json")


def test_map_trees():
    for v in load("merkle_map.json"):
        entries = {k.encode(): x.encode() for k, x in v["entries"].items()}
        assert ledger_chain.map_root(entries).hex() == v["root"]


def test_the_tree_by_updates_is_the_tree_from_scratch():
    rng, tree, entries = random.Random(3), Tree(), {}
    for step in range(2000):
        key = b"key %d" % rng.randrange(120)
        if rng.random() < 0.45:
            entries.pop(key, None)
            tree.put(key, None)
        else:
            entries[key] = b"%d" % rng.randrange(10)
            tree.put(key, entries[key])
        if step % 20 == 0:
            assert tree.root == ledger_chain.map_root(entries)
    for n in range(150):
        key = b"key %d" % n
        siblings, other = tree.prove(key)
        at = ledger_chain.map_leaf(sha(key), sha(entries[key])) if key in entries else ledger_chain.map_leaf(*other) if other else bytes(32)
        assert ledger_chain.map_proof_root(sha(key), at, siblings) == tree.root
        assert (other is None or other[0] != sha(key)) and (key not in entries or other is None)


def test_amounts():
    assert units("92233720368547758.07", 2) == 2**63 - 1
    assert units("-0.00000001", 8) == -1
    assert amount_text(5, 8) == "0.00000005" and amount_text(0, 2) == "0.00" and amount_text(7, 0) == "7"
    for amount, decimals, code in [
        ("92233720368547758.08", 2, "overflow"), ("0.5", 0, "amount_too_precise"), ("0.00", 2, "amount_not_positive"),
        ("-0", 2, "amount_not_positive"), ("1.000", 2, "amount_too_precise"), ("999999999999999999.99999999", 8, "overflow"),
    ]:
        with pytest.raises(Refused, match=f"^{code}$"):
            units(amount, decimals)


def history_chain(seed, steps, **kw):
    """(chain, history, validator's key): a random history in blocks of about 30."""
    sovereign, key = Wallet.sovereign(key=oracle.Key(f"sovereign {seed}")), oracle.Key("validator")
    genesis = make_genesis(sovereign, {"v1": key}, timestamp=1_000_000, **kw)
    history = History(seed, genesis, sovereign, clock=lambda: 2_000_000)
    chain, waiting = Chain(genesis), []
    for step in range(steps):
        made, code = history.next()
        waiting.append((made, code))
        if len(waiting) == 30 or step == steps - 1:
            block, refused = chain.produce([m for m, _ in waiting], "v1", key, 2_000_000 + step)
            assert [(m, c) for m, c in refused] == [(m, c) for m, c in waiting if c is not None]
            chain.check()
            waiting = []
    assert chain.entries() == history.entries()
    return chain, history, key


def test_random_histories_meet_every_refusal():
    met = {}
    for seed in range(6):
        _, history, _ = history_chain(seed, 500, openRegistration=bool(seed % 2))
        for code, n in history.verdicts.items():
            met[code] = met.get(code, 0) + n
    # The last validator is the producer: its removal is asked for in a test of its own.
    assert set(CODES) - set(met) == {"last_validator"} and met[None] > 500


def test_a_chain_that_was_changed_anywhere_is_invalid():
    chain, _, key = history_chain(42, 300)
    data = write_chain(chain)
    assert read_chain(data).entries() == chain.entries()
    rng = random.Random(1)
    for _ in range(60):
        at = rng.randrange(len(data))
        broken = data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
        # The first line is the trust itself: another genesis is another chain, whose block 0 differs.
        with pytest.raises((Invalid, ValueError)):
            read_chain(broken)
    lines = data.splitlines(keepends=True)
    for n in range(1, len(lines)):
        with pytest.raises(Invalid):
            read_chain(b"".join(lines[:n] + lines[n + 1 :]) if n + 1 < len(lines) else b"".join(lines[:n]) + lines[n][:-1])
    # Signed by another key than a validator's.
    block = chain.blocks.pop()
    shorter = read_chain(b"".join(lines[:-1]))
    block.signature = oracle.Key().sign(oracle.canonical(block.header))
    with pytest.raises(Invalid, match="producerSignatureValid"):
        shorter.append(block)
    block.signature = key.sign(oracle.canonical(block.header))
    shorter.append(block)


@pytest.mark.parametrize("open_registration", [True, False])
def test_every_case_has_the_verdict_that_the_daemon_tests_expect(open_registration):
    world = World(open_registration=open_registration)
    chain = Chain(world.genesis)
    assert chain.produce(world.setup, VALIDATOR, world.key, now())[1] == []
    machine = Machine(chain.state)
    cases = [(code, make(world, getattr(world, who).next_nonce)) for code, who, make in TURN]
    cases += [(code, make(world)) for code, make in [*CREATIONS, *(OPEN if open_registration else CLOSED), *COMMON, *FORMS]]
    for code, transaction in cases:
        with pytest.raises(Refused, match=f"^{code}$"):
            machine.judge(transaction, now())
    found = {code for code, _ in cases}
    assert set(CODES) - found == {"not_canonical"} | ({"approval_required"} if open_registration else {"approval_unexpected"})
