"""proof verify: against the second verifier (tana_testing.ledger_proof), on proofs that the model makes and on broken ones. No daemon is needed."""

import json
import pathlib
import random

import pytest
from tana_testing import oracle
from tana_testing.ledger_chain import Chain, read_chain
from tana_testing.ledger_proof import BadProof, Prover, mutated, verify
from tana_testing.ledger_wallet import Wallet, make_genesis

VECTORS = pathlib.Path(__file__).parents[1] / "vectors" / "chain.jsonl"


@pytest.fixture
def me(user_factory):
    return user_factory("me")


@pytest.fixture(scope="module")
def vectors():
    prover = Prover()
    return read_chain(VECTORS.read_bytes(), each=prover.follow), prover


def ours(me, proof, genesis):
    """What tana makes of a proof: as the second verifier says it, or BadProof."""
    path = me.home / "genesis.json"
    path.write_bytes(oracle.canonical(genesis) + b"\n")
    (me.home / "proof.json").write_bytes(proof)
    done = me("proof", "verify", "proof.json", "--genesis", path, "--json")
    if done.status != 0:
        assert done.status == 6 and done.out == "" and done.error["code"], repr(done)
        return BadProof
    d = done.ok.json
    assert d["valid"] is True and d["chainId"] == genesis["chainId"]
    if d["shows"] == "transaction":
        return "transaction", d["id"], d["height"]
    return ("present", d["key"], d["value"], d["height"]) if d["shows"] == "present" else ("absent", d["key"], d["height"])


def theirs(proof, genesis):
    try:
        return verify(proof, genesis)
    except BadProof:
        return BadProof


def some(chain, prover):
    return [
        prover.transaction(chain.blocks[4], 2), prover.transaction(chain.blocks[9], 1), prover.state(chain, "validator:validator-1"), prover.state(chain, "chain"),
        prover.state(chain, "user:nobody-1"), prover.state(chain, ""),
    ]


def test_both_verifiers_see_the_same(me, vectors):
    chain, prover = vectors
    for proof in some(chain, prover):
        seen = ours(me, proof, chain.genesis)
        assert seen == theirs(proof, chain.genesis) and seen is not BadProof


def test_both_refuse_what_was_changed(me, vectors):
    chain, prover = vectors
    chance = random.Random(7)
    for proof in some(chain, prover):
        changed = [other for _, other in mutated(proof)]
        for other in chance.sample(changed, min(30, len(changed))):
            assert ours(me, other, chain.genesis) == theirs(other, chain.genesis)
        for at in chance.sample(range(len(proof)), 10):
            other = proof[:at] + bytes([proof[at] ^ 1]) + proof[at + 1 :]
            assert ours(me, other, chain.genesis) == theirs(other, chain.genesis)


def test_a_set_that_changed_several_times(me):
    sovereign, keys = Wallet.sovereign(clock=lambda: 5000), [oracle.Key(f"v{n}") for n in range(4)]
    genesis = make_genesis(sovereign, {"v0": keys[0]}, timestamp=1000)
    chain, prover = Chain(genesis), Prover()
    for n in range(1, 4):  # each new validator makes the next block
        chain.produce([sovereign.validator(f"v{n}", keys[n])], f"v{n - 1}", keys[n - 1], 5000 + n)
        prover.follow(chain)
    chain.produce([], "v3", keys[3], 6000)
    proof = prover.state(chain, "validator:v2")
    assert len(json.loads(proof)["validatorSteps"]) == 3
    assert ours(me, proof, genesis) == theirs(proof, genesis) != BadProof
    # Without one of the steps, or in another order.
    for change in (lambda s: s.pop(1), lambda s: s.pop(0), lambda s: s.reverse(), lambda s: s.append(s[0])):
        other = oracle.parse_strict(proof.decode())
        change(other["validatorSteps"])
        assert ours(me, oracle.canonical(other), genesis) is BadProof is theirs(oracle.canonical(other), genesis)
    # Under another genesis.
    assert ours(me, proof, {**genesis, "validators": [{"id": "v0", "publicKey": keys[1].public}]}) is BadProof


def test_what_is_no_proof(me, vectors):
    chain, prover = vectors
    for text in (b"", b"{}", b"[]", b"\xff", prover.state(chain, "chain") + b"\n\n", b" " + prover.state(chain, "chain")):
        assert ours(me, text, chain.genesis) is BadProof
    assert me("proof", "verify", "nothing.json", "--genesis", "genesis.json", "--json").expect(1).error["code"] == "not_found"
    (me.home / "bad.json").write_text("{}")
    assert me("proof", "verify", "proof.json", "--genesis", "bad.json", "--json").expect(1).error["code"] == "missing_field"
    assert "--genesis" in me("proof", "verify", "proof.json", "--json").expect(1).error["hint"], "there is no chain here"


def test_what_people_read(me, vectors):
    chain, prover = vectors
    genesis = me.home / "genesis.json"
    genesis.write_bytes(oracle.canonical(chain.genesis))
    shown = me("proof", "verify", "-", "--genesis", genesis, stdin=prover.transaction(chain.blocks[4], 0).decode()).ok.out
    assert "The transaction is in the block" in shown and chain.blocks[4].transactions[0].id in shown and "validator-1" in shown
    assert "has no such entry" in me("proof", "verify", "-", "--genesis", genesis, stdin=prover.state(chain, "currency:XYZ").decode()).ok.out
    assert "has this entry" in me("proof", "verify", "-", "--genesis", genesis, stdin=prover.state(chain, "supply:USD").decode()).ok.out
