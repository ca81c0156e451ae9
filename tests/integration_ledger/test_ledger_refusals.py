"""Promise: each refusal has its code, where a transaction is handed in, when its turn comes, and in a block made by somebody else."""

import concurrent.futures

import pytest
from tana_testing import oracle
from tana_testing.client import eventually
from tana_testing.daemon import binary, run
from tana_testing.ledger import body_of
from tana_testing.ledger_cases import CLOSED, COMMON, CREATIONS, FORMS, MAXIMUM, OPEN, TURN, VALIDATOR, World
from tana_testing.ledger_chain import Chain, write_chain
from tana_testing.ledger_forms import STATUS
from tana_testing.ledger_wallet import now


def set_up(ledger_factory, world, **kw):
    """A ledger on which the world stands."""
    ledger = ledger_factory(genesis=world.genesis, sovereign=world.sovereign, key=world.key, **{"interval": 5, **kw})
    ledger.include(*world.setup)
    return ledger


def all_cases(world):
    """(what, code, transaction) of every case that is refused at once."""
    for code, who, make in TURN:
        yield code, make(world, getattr(world, who).next_nonce)
    for code, make in [*CREATIONS, *(CLOSED if world.closed else OPEN), *COMMON, *FORMS]:
        yield code, make(world)


@pytest.mark.parametrize("registration", ["open", "closed"])
def test_handed_in(ledger_factory, registration):
    world = World(open_registration=registration == "open")
    ledger = set_up(ledger_factory, world)
    height, wrong = ledger.height, []
    for code, transaction in all_cases(world):
        answer = ledger.submit(transaction)
        if (answer.status, answer.code) != (STATUS.get(code, 422), code):
            wrong.append(f"{code}: {answer!r} to {transaction.message[:400]}")
        # What was refused leaves no trace.
        ledger.look(transaction).refused(404, "unknown_transaction")
    assert not wrong, "\n".join(wrong)
    assert ledger.get("/transactions/pending").expect(200)["transactions"] == []
    assert ledger.height == height
    # And used up no nonce: what is right goes on as if nothing had been.
    ledger.include(world.alice.transfer(world.bob, "890"), world.creation(), world.bob.decide(world.open))
    ledger.whole()


def test_when_its_turn_comes(ledger_factory):
    """What waits for an earlier nonce is judged by its own rules only then; why it was dropped can be read."""
    world = World()
    ledger = set_up(ledger_factory, world)
    wrong = []
    for code, who, make in TURN:
        wallet = getattr(world, who)
        late = ledger.queue(make(world, wallet.next_nonce + 1))
        assert ledger.look(late).expect(200)["status"] == "queued"
        ledger.include(wallet.update())
        found = ledger.settled(late)
        if (found["status"], found.get("code")) != ("refused", code) or not found["error"] or "height" in found:
            wrong.append(f"{code}: {found}")
    assert not wrong, "\n".join(wrong)
    ledger.whole()


def test_valid_when_queued_and_not_when_its_turn_comes(ledger_factory):
    """The state changed in between."""
    world = World()
    ledger = set_up(ledger_factory, world)
    s, alice, bob, carol = world.sovereign, world.alice, world.bob, world.carol

    def late(wallet, made, *between, fill=None):
        """`made` waits behind a gap; `between` gets in; then the gap is filled."""
        ledger.queue(made)
        if between:
            ledger.include(*between)
        ledger.include(fill or wallet.update())
        return ledger.settled(made)

    fresh = oracle.Key()
    found = [
        ("insufficient_funds", late(alice, alice.transfer(bob, "890", nonce=alice.next_nonce + 1), fill=alice.transfer(bob, "0.01"))),
        ("bad_signature", late(alice, alice.update(nonce=alice.next_nonce + 1), fill=alice.rotate(oracle.Key()))),
        ("not_allowed", late(bob, bob.decide(world.open, nonce=bob.next_nonce + 1), s.role(bob, "user"))),
        ("request_closed", late(s, s.decide(world.open, nonce=s.next_nonce + 1), fill=s.decide(world.open, "refuse"))),
        ("key_in_use", late(alice, alice.rotate(fresh, nonce=alice.next_nonce + 1), carol.rotate(fresh))),
        ("content_exists", late(bob, bob.publish("e" * 64, nonce=bob.next_nonce + 1), fill=bob.publish("e" * 64))),
        ("currency_exists", late(s, s.currency("TWO", nonce=s.next_nonce + 1), fill=s.currency("TWO", 3))),
        ("not_allowed", late(s, s.currency("NEW", nonce=s.next_nonce + 1), fill=s.abdicate(alice))),
    ]
    assert [(f["status"], f.get("code")) for _, f in found] == [("refused", code) for code, _ in found]
    ledger.whole()


def test_what_waits_too_long_expires(ledger_factory):
    world = World(timestampWindowMs=3000)
    ledger = ledger_factory(genesis=world.genesis, sovereign=world.sovereign, key=world.key, interval=5)
    alice = world.alice
    alice.next_nonce = 0
    ledger.include(alice.create(timestamp=now()))
    waits = ledger.queue(alice.update(nonce=2))
    found = ledger.settled(waits)
    assert (found["status"], found["code"]) == ("refused", "expired")
    # Its nonce is free again.
    ledger.include(alice.update(), alice.update())


def test_in_a_block_of_another(ledger_factory, tmp_path, storage):
    """A chain file with a transaction that does not hold is not taken, and it is said which and why."""
    if storage != "sqlite":
        pytest.skip("the rules are the same code; one storage is enough")
    jobs = []
    for registration in (True, False):
        world = World(open_registration=registration, timestamp=now() - 10_000)
        chain = Chain(world.genesis)
        chain.produce(world.setup, VALIDATOR, world.key, now())
        chain.produce([], VALIDATOR, world.key, now() + 1)
        cases = [(code, make(world)) for code, make in [*CREATIONS, *(OPEN if registration else CLOSED)]]
        if registration:
            # Of the forms one a code: what a message says is read by the same parser everywhere.
            cases += [(code, make(world, getattr(world, who).next_nonce)) for code, who, make in TURN]
            cases += [(code, make(world)) for code, make in [*COMMON, *dict(FORMS).items()]]
        jobs += [(chain, world, code, transaction) for code, transaction in cases]

    def attempt(number, chain, world, code, transaction):
        directory = tmp_path / f"case-{number}"
        directory.mkdir()
        (directory / "genesis.json").write_bytes(oracle.canonical(world.genesis))
        block = chain.forge([world.creation(world.stranger("first")), transaction], VALIDATOR, world.key, now() + 2)
        (directory / "chain.jsonl").write_bytes(write_chain(chain, block))
        argv = [binary("ledgerd"), "import", "chain.jsonl", "--db", f"sqlite:{directory}/db", "--genesis", "genesis.json"]
        done = run(argv, directory)
        # Signatures are checked beside everything else, without asking what each is for.
        why = "signaturesValid" if code in ("bad_signature", "bad_proof") else code
        if done.returncode != 1 or "block 3: transaction 1: " not in done.stderr or why not in done.stderr:
            return f"{code}: exit {done.returncode}: {done.stderr[-500:]} for {transaction.message[:300]}"
        return None

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        wrong = [w for w in pool.map(lambda x: attempt(x[0], *x[1]), enumerate(jobs)) if w]
    assert not wrong, f"{len(wrong)} of {len(jobs)}:\n" + "\n".join(wrong[:20])


def test_amounts_at_their_boundaries(ledger_factory):
    """2^63-1 units go through everything; one more goes nowhere."""
    world = World()
    ledger = set_up(ledger_factory, world)
    carol, bob, s = world.carol, world.bob, world.sovereign
    assert ledger.balance(carol, "MAX") == (MAXIMUM, "0.00")
    ledger.include(carol.transfer(bob, MAXIMUM, "MAX"))
    assert ledger.balance(carol, "MAX") is None and ledger.balance(bob, "MAX") == (MAXIMUM, "0.00")
    ledger.include(bob.stake(VALIDATOR, MAXIMUM, "MAX"))
    ledger.include(bob.unstake(VALIDATOR, MAXIMUM, "MAX"))
    out = bob.withdraw(MAXIMUM, "MAX")
    ledger.include(out)
    assert ledger.balance(bob, "MAX") == ("0.00", MAXIMUM)
    ledger.include(s.decide(out, kind="withdraw"))
    entries = ledger.chain().entries()
    assert entries["supply:MAX"] == "0.00" and f"held:{bob.id}:MAX" not in entries
    back = bob.deposit(MAXIMUM, "MAX")
    ledger.include(back, s.decide(back))
    ledger.submit(s.adjust(bob, "0.01", "MAX", nonce=s.next_nonce)).refused(422, "overflow")
    ledger.include(s.adjust(bob, "-" + MAXIMUM, "MAX"))
    whole = "999999999999999999"
    ledger.include(s.adjust(bob, whole, "PTS"), *(s.adjust(bob, whole, "PTS") for _ in range(8)))
    ledger.submit(s.adjust(bob, whole, "PTS", nonce=s.next_nonce)).refused(422, "overflow")
    assert ledger.balance(bob, "PTS") == (str(9 * int(whole)), "0")
    for amount in ("0.00000001", "0.5", "1", "1.0", "0.10000000", "92233720365.54775807"):
        ledger.include(s.adjust(bob, amount, "BTC"))
    assert ledger.balance(bob, "BTC")[0] == "92233720368.14775808"
    ledger.whole()


def test_the_same_again(ledger):
    alice = ledger.rich("alice", "10")
    ledger_bob = ledger.user("bob")
    transfer = alice.transfer(ledger_bob, "1")
    first = ledger.submit(transfer).expect(202)
    assert first == {"id": transfer.id, "status": "queued"}
    again = ledger.submit(transfer)
    assert again.status == 200 and again.json["id"] == transfer.id and again.json["status"] in ("queued", "included")
    ledger.settled(transfer)
    assert ledger.submit(transfer).expect(200)["status"] == "included"
    # The message of an included transaction under another signature is not that transaction.
    other = ledger.post("/transactions", body_of(type(transfer)(transfer.message, alice.key.sign("something else"))))
    assert other.status in (200, 401), other
    assert ledger.balance(ledger_bob) == ("1.00", "0.00")
    # One that was refused and never answered 202 is judged anew.
    too_much = alice.transfer(ledger_bob, "100", nonce=alice.next_nonce)
    ledger.submit(too_much).refused(422, "insufficient_funds")
    ledger.include(ledger.sovereign.adjust(alice, "1000"))
    alice.next_nonce += 1
    ledger.include(too_much)
    # One that was dropped when its turn came says so.
    dropped = ledger.queue(alice.transfer(ledger_bob, "5000", nonce=alice.next_nonce + 1))
    ledger.include(alice.update())
    assert ledger.settled(dropped)["code"] == "insufficient_funds"
    found = ledger.submit(dropped)
    assert found.status == 200 and found.json["status"] == "refused" and found.json["code"] == "insufficient_funds", found
    ledger.restart()
    assert ledger.look(dropped).expect(200)["code"] == "insufficient_funds"
    eventually(lambda: ledger.get("/ready").status == 200, 10)
    # Nor is it taken when it would fit.
    ledger.include(ledger.sovereign.adjust(alice, "10000"))
    assert ledger.submit(dropped).expect(200)["status"] == "refused"
    assert ledger.submit(transfer).expect(200)["status"] == "included"
    eventually(lambda: ledger.get("/ready").status == 200, 10)
    ledger.whole()
