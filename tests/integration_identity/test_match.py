"""Promise: where a match code is asked for, an approval needs the number that stands on the screen, and a wrong one ends the login."""

import pytest
from tana_testing.each import each
from tana_testing.identity import Login, Phone


def approve(login, phone, picked=None):
    body = phone.approval(login)
    if picked is not None:
        body["matchCode"] = picked
    return login.identity.post(login.path + "/approve", body)


def test_always(identity_factory):
    identity = identity_factory("--match-code", "always")
    login, phone = identity.login(), Phone()
    code = login.created["matchCode"]
    assert 10 <= code <= 99 and login.see().expect(200)["matchCode"] == code
    assert "matchCode" not in login.see(False).expect(200) and str(code) not in repr(login.created["qrData"]).replace(login.challenge, "").replace(login.id, "")
    choices = [int(c) for c in login.scan().expect(200)["matchChoices"]]
    assert code in choices and len(set(choices)) == 3
    approve(login, phone).refused(403, "match_code_required")
    assert login.status == "scanned"
    approve(login, phone, code).expect(200)
    # A wrong one: nobody guesses twice, and nothing is bound by it.
    login, other = identity.login(), Phone("@bob")
    with login.stream() as stream:
        wrong = next(int(c) for c in login.scan().expect(200)["matchChoices"] if int(c) != login.created["matchCode"])
        approve(login, other, wrong).refused(403, "match_code_wrong")
        stream.until("rejected")
        stream.until_end()
    approve(login, other, login.created["matchCode"]).refused(400, "session_not_open")
    approve(identity.login(), Phone("@bob"), None).refused(403, "match_code_required")
    approve(again := identity.login(), Phone("@bob"), again.created["matchCode"]).expect(200)


def test_of_new_browsers(identity_factory):
    identity = identity_factory("--match-code", "new")
    alice, bob = Phone("@alice"), Phone("@bob")

    def login(browser):
        headers = {"Cookie": f"tana_browser={browser}"} if browser else {}
        return Login(identity, identity.create(headers=headers).expect(201))

    first = login("browser-1")
    approve(first, alice).refused(403, "match_code_required")
    approve(first, alice, first.created["matchCode"]).expect(200)
    approve(login("browser-1"), alice).expect(200)
    # Another browser, another user, a program without cookies.
    for browser, phone in (("browser-2", alice), ("browser-1", bob), (None, alice)):
        approve(login(browser), phone).refused(403, "match_code_required")
    wrong = login("browser-1")
    approve(wrong, alice, 0 if wrong.created["matchCode"] else 1).refused(403, "match_code_wrong")


def test_never(identity):
    login = identity.login()
    assert "matchCode" not in login.created and "matchChoices" not in login.scan().expect(200)
    approve(login, Phone(), 42).expect(200)


@each("picked", ["42", 4.5, -1, 100, True, [42]])
def test_numbers_that_are_none(demanding, picked):
    login = demanding.login()
    approve(login, Phone(), picked).refused(400, "malformed_field")


@pytest.fixture
def demanding(identity_factory):
    return identity_factory("--match-code", "always")


def test_the_page_shows_it(identity_factory):
    identity = identity_factory("--match-code", "always")
    page = identity.get("/login").body.decode()
    assert "Pick this number on the phone" in page
    cookies = [v for k, v in identity.get("/login").headers if k.lower() == "set-cookie"]
    assert any(c.startswith("tana_browser=") and "Max-Age=31536000" in c and "HttpOnly" in c for c in cookies)
    assert len(cookies) == 2 and all("; Secure" in c for c in cookies)
