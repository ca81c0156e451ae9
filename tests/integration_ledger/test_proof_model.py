"""The second verifier of proofs: it accepts what a chain shows, and nothing that was changed by a byte."""

import pathlib
import random

import pytest
from tana_testing import oracle
from tana_testing.ledger_chain import Chain, read_chain
from tana_testing.ledger_proof import BadProof, Prover, mutated, verify
from tana_testing.ledger_wallet import Wallet, make_genesis

CHAIN = pathlib.Path(__file__).parents[1] / "vectors" / "chain.jsonl"


def vector_chain(stop=None):
    prover = Prover()
    lines = CHAIN.read_bytes().splitlines(keepends=True)
    chain = read_chain(b"".join(lines[: None if stop is None else stop + 2]), each=prover.follow)
    return chain, prover


def test_everything_in_the_vector_chain_can_be_shown():
    chain, prover = vector_chain()
    assert len(prover.steps) == 2
    for block in chain.blocks:
        for index, t in enumerate(block.transactions):
            assert verify(prover.transaction(block, index), chain.genesis) == ("transaction", t.id, block.height)
    for key, value in chain.entries().items():
        assert verify(prover.state(chain, key), chain.genesis) == ("present", key, value, chain.height)
    others = 0
    for n in range(60):
        key = f"user:nobody-{n}"
        proof = prover.state(chain, key)
        others += b'"other"' in proof
        assert verify(proof, chain.genesis) == ("absent", key, chain.height)
    assert 0 < others < 60


def test_block_0():
    chain, prover = vector_chain(0)
    assert verify(prover.state(chain, "nonce:x"), chain.genesis) == ("absent", "nonce:x", 0)


def shows_nothing_new(proof, chain):
    """A proof of absence may show the absence of neighbours too; nothing else survives a change."""
    try:
        shown = verify(proof, chain.genesis)
    except BadProof:
        return True
    return shown[0] == "absent" and shown[1] not in chain.entries()


def test_a_proof_with_anything_changed_shows_nothing():
    chain, prover = vector_chain()
    proofs = [
        prover.transaction(chain.blocks[4], 2), prover.transaction(chain.blocks[10], 1), prover.state(chain, "validator:validator-1"),
        prover.state(chain, "nobody"), prover.state(chain, "user:nobody-1"),
    ]
    genesis = chain.genesis
    for proof in proofs:
        verify(proof, genesis)
        for path, other in mutated(proof):
            assert shows_nothing_new(other, chain), path
        for at in random.Random(5).sample(range(len(proof)), 100):
            with pytest.raises(BadProof):
                verify(proof[:at] + bytes([proof[at] ^ 1]) + proof[at + 1 :], genesis)
        with pytest.raises(BadProof):
            verify(proof, {**genesis, "timestamp": genesis["timestamp"] + 1, "validators": [{"id": "validator-1", "publicKey": oracle.Key("x").public}]})


def test_a_new_validator_cannot_vouch_for_itself():
    sovereign, key, thief = Wallet.sovereign(clock=lambda: 5000), oracle.Key("honest"), oracle.Key("thief")
    genesis = make_genesis(sovereign, {"v1": key}, timestamp=1000)
    honest, prover = Chain(genesis), Prover()
    honest.produce([sovereign.validator("v2", oracle.Key("second"))], "v1", key, 5000)
    prover.follow(honest)
    honest.produce([], "v2", oracle.Key("second"), 5001)
    good = prover.state(honest, "validator:v2")
    assert verify(good, genesis)[0] == "present"
    # The same blocks, made by one who is not of the genesis' validators.
    forged, prover = Chain(genesis), Prover()
    forged.produce([sovereign.validator("v2", thief, nonce=1)], "v1", thief, 5000)
    prover.follow(forged)
    forged.produce([], "v2", thief, 5001)
    with pytest.raises(BadProof, match="signature"):
        verify(prover.state(forged, "validator:v2"), genesis)
    # A step left out, and a step that leaves a validator out.
    proof = oracle.parse_strict(good.decode())
    for change in (lambda p: p["validatorSteps"].clear(), lambda p: [p["validatorSteps"][0][n].pop(0) for n in ("validators", "proofs")]):
        other = oracle.parse_strict(good.decode())
        change(other)
        with pytest.raises(BadProof):
            verify(oracle.canonical(other), genesis)
    assert oracle.canonical(proof) == good
