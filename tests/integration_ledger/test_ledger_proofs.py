"""Promise: what the chain says can be shown to anyone who has the genesis, offline; and two verifiers that share no code agree about every proof, good or bad."""

import concurrent.futures
import itertools

import pytest
from tana_testing import oracle
from tana_testing.daemon import binary, run
from tana_testing.ledger import path
from tana_testing.ledger_cases import World
from tana_testing.ledger_chain import Chain
from tana_testing.ledger_proof import BadProof, Prover, mutated, verify
from tana_testing.ledger_wallet import Wallet, now


@pytest.fixture
def second(tmp_path):
    """second(proof, genesis): what `tana proof verify` thinks; True, False."""
    numbers = itertools.count()

    def check(proof, genesis):
        n = next(numbers)
        proof_path, genesis_path = tmp_path / f"proof-{n}.json", tmp_path / f"genesis-{n}.json"
        proof_path.write_bytes(proof)
        genesis_path.write_bytes(oracle.canonical(genesis))
        done = run([binary("tana"), "proof", "verify", proof_path, "--genesis", genesis_path], tmp_path)
        assert done.returncode in (0, 6), f"exit {done.returncode}: {done.stderr}"
        assert (done.returncode == 0) == bool(not done.stderr.startswith("error")), done
        return done.returncode == 0

    return check


def by_model(proof, genesis):
    try:
        return bool(verify(proof, genesis))
    except BadProof:
        return False


@pytest.fixture
def ledger(ledger_factory):
    """A chain whose set of validators changed twice."""
    world = World()
    ledger = ledger_factory(genesis=world.genesis, sovereign=world.sovereign, key=world.key)
    ledger.include(*world.setup[:9])
    ledger.include(world.sovereign.validator("v2", oracle.Key("second"), 3))
    ledger.include(*world.setup[9:])
    ledger.include(world.sovereign.validator("v3", oracle.Key("third")), world.sovereign.validator("v2", oracle.Key("second"), 0))
    ledger.include(world.sovereign.update())
    return ledger


def ask(ledger, *parts):
    answer = ledger.get(path("proof", *parts))
    answer.expect(200)
    return answer.body


def test_everything_on_the_chain_can_be_shown(ledger, second):
    chain = ledger.chain()
    proofs = []
    for block in chain.blocks:
        for t in block.transactions:
            proof = ask(ledger, "transaction", t.id)
            assert verify(proof, chain.genesis) == ("transaction", t.id, block.height)
            proofs.append(proof)
    for key, value in chain.entries().items():
        proof = ask(ledger, "state", key)
        assert verify(proof, chain.genesis) == ("present", key, value, chain.height)
        proofs.append(proof)
    absent = [f"user:{Wallet('x').id}", "balance:x:USD", "nothing", "a/b c%25 \u00fc", *(f"nonce:{n}" for n in range(20))]
    for key in absent:
        proof = ask(ledger, "state", key)
        assert verify(proof, chain.genesis) == ("absent", key, chain.height)
        proofs.append(proof)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        assert all(pool.map(lambda p: second(p, chain.genesis), proofs[::3] + proofs[-5:]))
    ledger.get("/proof/transaction/" + "0" * 64).refused(404, "unknown_transaction")
    assert ledger.get("/proof/transaction/x").status in (400, 404)


def test_two_verifiers_agree(ledger, second, storage):
    if storage != "sqlite":
        pytest.skip("verifying is offline")
    chain = ledger.chain()
    last = chain.blocks[-2].transactions[0]
    proofs = [ask(ledger, "transaction", last.id), ask(ledger, "state", "validator:v3"), ask(ledger, "state", "nothing")]
    jobs = [p for proof in proofs for _, p in itertools.islice(mutated(proof), 0, None, 7)]
    jobs += [proofs[0] + b"\n", proofs[0] + b"\n\n", b" " + proofs[0], proofs[0][:-1], b"", b"{}", b"[]", b"\xff", proofs[0].replace(b"tana-proof/1", b"tana-proof/2")]

    def differ(proof):
        mine = by_model(proof, chain.genesis)
        return None if second(proof, chain.genesis) == mine else f"model says {mine}: {proof[:3000]!r}"

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        wrong = [w for w in pool.map(differ, jobs) if w]
    assert not wrong, f"{len(wrong)} of {len(jobs)}: {wrong[:3]}"
    # Another genesis is another chain.
    other = {**chain.genesis, "timestamp": 5}
    assert second(proofs[0], chain.genesis) and by_model(proofs[0], other) == second(proofs[0], other)
    stranger = {**chain.genesis, "validators": [{"id": "validator-1", "publicKey": oracle.Key().public}]}
    assert not second(proofs[0], stranger) and not by_model(proofs[0], stranger)


def test_proofs_made_by_the_model(second, storage):
    """Block 0, a chain without steps, one with many."""
    if storage != "sqlite":
        pytest.skip("verifying is offline")
    world = World(timestamp=now() - 10_000)
    chain, prover, s = Chain(world.genesis), Prover(), world.sovereign
    proofs = [prover.state(chain, "chain"), prover.state(chain, "nothing")]
    at, keys = now(), {"validator-1": world.key}
    chain.produce(world.setup, "validator-1", world.key, at)
    prover.follow(chain)
    proofs.append(prover.transaction(chain.head, 0))
    for n in range(4):
        keys[f"v{n}"] = oracle.Key()
        chain.produce([s.validator(f"v{n}", keys[f"v{n}"])], list(keys)[n], list(keys.values())[n], at + n + 1)
        prover.follow(chain)
    proofs += [prover.transaction(chain.head, 0), prover.state(chain, "validator:v3"), prover.state(chain, "nothing")]
    for proof in proofs:
        assert by_model(proof, world.genesis) and second(proof, world.genesis), proof
