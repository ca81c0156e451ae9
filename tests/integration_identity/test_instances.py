"""Promise: several instances on one database are one service: a login begun at one, approved at another, is heard of at a third, over PostgreSQL's notifications or over
Redis; and what was not heard is caught up on."""

import concurrent.futures

import pytest
from tana_testing import pg
from tana_testing.client import eventually
from tana_testing.daemon import PATIENCE
from tana_testing.identity import Login, Phone, Stream, bearer
from tana_testing.redis import Redis


def at(identity, login):
    """The same session, at another instance."""
    return Login(identity, login.created)


@pytest.fixture
def two(identity_factory):
    first = identity_factory()
    return first, identity_factory(db_url=first.db_url)


@pytest.fixture
def redis(tmp_path, watched):
    made = Redis(tmp_path / "redis", appendonly=False).start()
    watched.append(made)
    return made


@pytest.fixture
def two_by_redis(identity_factory, redis):
    first = identity_factory("--redis", redis.url)
    return first, identity_factory("--redis", redis.url, db_url=first.db_url)


def a_login_across(first, second):
    login = first.login()
    with login.stream() as here, at(second, login).stream() as there:
        for stream in (here, there):
            stream.until("status_update")
        at(second, login).scan().expect(200)
        for stream in (here, there):
            eventually(lambda s=stream: [e.data.get("status") for e in s.events][-1] == "scanned", within=10 * PATIENCE, what=f"scanned: {stream.events}")
        phone = Phone()
        token = at(second, login).approve(phone).expect(200)["sessionToken"]
        for stream in (here, there):
            assert stream.until("approved")["sessionToken"] == login.token
            assert stream.until_end() == ["connected", "status_update", "status_update", "approved"]
    for instance in (first, second):
        instance.verify(token).expect(200)
        instance.verify(login.token).expect(200)
        assert at(instance, login).see().expect(200)["sessionToken"] == login.token
    # A user's stream hears of logins wherever they are approved.
    with Stream(second.address, f"/users/{phone.user_id}/events", bearer(token)) as stream:
        first.login().approve(phone).expect(200)
        stream.until("login")
    # A ticket of one opens a stream of the other.
    other = first.login()
    ticket = other.ticket().expect(200)["ticket"]
    with at(second, other).stream(False, f"?ticket={ticket}") as stream:
        stream.until("status_update")
        other.reject().expect(200)
        stream.until("rejected")


@pytest.mark.storage_only("postgres")
def test_by_postgresql(two):
    a_login_across(*two)


@pytest.mark.storage_only("postgres")
def test_by_redis(two_by_redis):
    a_login_across(*two_by_redis)


@pytest.mark.storage_only("sqlite")
def test_two_on_one_file(two_by_redis):
    a_login_across(*two_by_redis)


def test_a_wrong_number_that_comes_too_late(identity_factory, ledger):
    """One instance approves while the other still asks the ledger about a phone that picked the wrong number: that login is not over, and that phone hears who won."""
    slow = identity_factory("--match-code", "always", "--ledger-url", ledger.url)
    quick = identity_factory("--match-code", "always", "--key-binding", "tofu", db_url=slow.db_url)
    login, phone, late = slow.login(), Phone("@alice"), Phone("@bob")
    ledger.add(late)
    code = login.created["matchCode"]
    wrong = {**late.approval(login), "matchCode": 99 if code != 99 else 98}
    ledger.answers.clear()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        answer = pool.submit(slow.post, login.path + "/approve", wrong)
        eventually(lambda: any(late.user_id in path for path in ledger.asked), within=10 * PATIENCE, what="a question to the ledger")
        at(quick, login).approve(phone, body={**phone.approval(login), "matchCode": code}).expect(200)
        ledger.answers.set()
        assert answer.result().refused(409, "wrong_state")["status"] == "approved"
    for instance in (slow, quick):
        instance.verify(login.token).expect(200)
        assert at(instance, login).see().expect(200)["userId"] == phone.user_id
    # Whoever comes after that is told that it has ended.
    assert slow.post(login.path + "/approve", wrong).refused(400, "session_not_open")["status"] == "approved"


@pytest.mark.storage_only("postgres")
def test_expiry_is_told_everywhere(identity_factory):
    first = identity_factory("--session-ttl", "1500ms")
    second = identity_factory("--session-ttl", "1500ms", db_url=first.db_url)
    login = first.login()
    with login.stream() as here, at(second, login).stream() as there:
        assert here.until("expired") and there.until("expired")
    assert first.metric("tana_identity_sessions_expired_total") + second.metric("tana_identity_sessions_expired_total") == 1


@pytest.mark.storage_only("postgres")
def test_a_listener_thrown_out(two):
    first, second = two
    login = first.login()
    with at(second, login).stream() as stream:
        stream.until("status_update")
        with pg.connection(first.db_url) as c:
            c.cursor().execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' OR query = 'SELECT 1'")
        login.approve(Phone()).expect(200)
        assert stream.until("approved", within=20)["sessionToken"] == login.token


@pytest.mark.storage_only("sqlite")
def test_redis_goes_and_comes_back(two_by_redis, redis):
    first, second = two_by_redis
    login, later = first.login(), first.login()
    with at(second, login).stream() as stream, at(second, later).stream() as other:
        for s in (stream, other):
            s.until("status_update")
        redis.crash()
        # Nobody who logs in notices.
        login.approve(Phone()).expect(200)
        assert login.see().expect(200)["status"] == "approved"
        assert redis.up()
        assert stream.until("approved", within=30)["sessionToken"] == login.token
        later.approve(Phone()).expect(200)
        assert other.until("approved", within=30)["sessionToken"] == later.token


@pytest.mark.storage_only("sqlite")
def test_without_redis_at_the_start(identity_factory, redis):
    redis.crash()
    identity = identity_factory("--redis", redis.url)
    login = identity.login()
    with login.stream() as stream:
        stream.until("status_update")
        login.approve(Phone()).expect(200)
        stream.until("approved")
    text = identity.daemon.text()
    assert "Redis is not heard" in text
    redis.up()
