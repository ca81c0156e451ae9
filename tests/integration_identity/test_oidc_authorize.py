"""Promise: an authorization goes to a registered address and nowhere else, with a code for the one who asked; every wrong request is told so, where it may be."""

import urllib.parse

from tana_testing.identity import PUBLIC_URL, Phone
from tana_testing.oidc import CALLBACK, SECRET, Pkce, client, good, refused, told

EVIL = "https://evil.example/cb"


def test_what_is_shown_and_leads_nowhere(provider):
    browser = provider.browser().logged_in()
    wrong = [
        {"client_id": None}, {"client_id": "unknown"}, {"client_id": "WEB"}, {"client_id": "web "}, {"redirect_uri": None}, {"redirect_uri": EVIL},
        {"redirect_uri": CALLBACK + "/"}, {"redirect_uri": CALLBACK + "?next=" + EVIL}, {"redirect_uri": CALLBACK + "#x"}, {"redirect_uri": CALLBACK.upper()},
        {"redirect_uri": "https://app.example:443/cb"}, {"redirect_uri": "https://app.example@evil.example/cb"}, {"redirect_uri": "https://app.example.evil.example/cb"},
        {"redirect_uri": "https://app.example\\@evil.example/cb"}, {"redirect_uri": "//app.example/cb"}, {"redirect_uri": "javascript:alert(1)"},
        {"redirect_uri": "https://app.example/../cb"}, {"redirect_uri": "https://other.example/cb"}, {"redirect_uri": EVIL, "response_type": "token", "prompt": "none"},
    ]
    for case in wrong:
        answer = browser.start(**case)
        page = browser.page(answer)
        assert answer.status_code == 400 and page.heading == "This link does not work" and "Location" not in answer.headers and "evil" not in answer.text, case
        query = {"client_id": "web", "redirect_uri": CALLBACK, "response_type": "code", "scope": "openid", **case}
        answer = browser.post("/oauth2/authorize", {k: v for k, v in query.items() if v is not None})  # nor by a form
        assert answer.status_code == 400 and "Location" not in answer.headers, case
    # The same thing twice is refused before anything is made of it.
    answer = browser.get(f"/oauth2/authorize?client_id=web&redirect_uri={urllib.parse.quote(CALLBACK)}&redirect_uri={urllib.parse.quote(EVIL)}&response_type=code&scope=openid")
    refused(answer, 400, "malformed_parameter", "invalid_request")


def test_what_the_client_is_told(provider):
    browser = provider.browser().logged_in()
    cases = [
        ({"response_type": None}, "invalid_request"), ({"response_type": "token"}, "unsupported_response_type"), ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"), ({"scope": None}, "invalid_scope"), ({"scope": "nothing-known"}, "invalid_scope"), ({"scope": 'open"id'}, "invalid_scope"),
        ({"client_id": "few", "scope": "openid email"}, "invalid_scope"), ({"request": "e30.e30."}, "request_not_supported"),
        ({"request_uri": "https://app.example/r"}, "request_uri_not_supported"), ({"prompt": "none login"}, "invalid_request"), ({"prompt": "create"}, "invalid_request"),
        ({"max_age": "soon"}, "invalid_request"), ({"max_age": "-1"}, "invalid_request"),
        # PKCE cannot be taken away, nor made weaker.
        ({"client_id": "spa"}, "invalid_request"), ({"client_id": "post"}, "invalid_request"), ({"client_id": "spa", "code_challenge": Pkce().challenge}, "invalid_request"),
        ({"client_id": "spa", "code_challenge": Pkce().verifier, "code_challenge_method": "plain"}, "invalid_request"),
        ({"client_id": "spa", "code_challenge": "short", "code_challenge_method": "S256"}, "invalid_request"),
        ({"code_challenge_method": "S256"}, "invalid_request"), ({"client_id": "staff"}, "access_denied"),
    ]
    for case, error in cases:
        answer = browser.start(**case)
        back = told(answer)
        assert back == {"": CALLBACK, "error": error, "error_description": back["error_description"], "state": "st&te=1", "iss": PUBLIC_URL}
        assert answer.headers["Referrer-Policy"] == "no-referrer" and answer.headers["Cache-Control"] == "no-store"
    assert "state" not in told(browser.start(response_type="token", state=None))
    assert "error" in told(browser.start(response_type=""))  # empty is not sent
    assert "code" in told(browser.follow(browser.start(unheard_of="1", scope="openid unheard:of")))


def test_saying_no(provider):
    browser = provider.browser()
    browser.logged_in().allow = False
    assert told(browser.follow(browser.start()))["error"] == "access_denied"
    assert browser.start().status_code == 200  # and is asked again
    # No at the phone.
    page = browser.page(provider.browser().get("/oauth2/authorize?client_id=web&response_type=code&scope=openid&redirect_uri=" + urllib.parse.quote(CALLBACK)))
    good(provider.session().post(f"{PUBLIC_URL}/auth/session/{page.session}/reject"))
    assert browser.get(f"/auth/session/{page.session}/continue").headers["Location"] == "/login"


def test_forms_of_others_decide_nothing(provider):
    """The question is answered by its own page alone: not by another site's form, and not by the form of another browser."""
    browser, other = provider.browser().logged_in(), provider.browser(Phone()).logged_in()
    page, others = browser.page(browser.start()), other.page(other.start())
    for token in [None, "", "x", page.fields["form_token"][:-1], others.fields["form_token"]]:
        answer = browser.submit(page, "allow", form_token=token)
        assert answer.status_code == 400 and "Location" not in answer.headers and "not from here" in browser.page(answer).heading
    # Changed fields are judged like new requests.
    assert browser.submit(page, "allow", redirect_uri=EVIL).status_code == 400
    assert told(browser.submit(page, "allow", response_type="token"))["error"] == "unsupported_response_type"
    assert told(browser.submit(page, "allow", client_id="staff"))["error"] == "access_denied"
    assert browser.submit(page, decision="maybe").headers["Location"].startswith("/oauth2/authorize?")
    # The login that the form was made for is over.
    browser.session.cookies.clear()
    again = browser.submit(page, "allow")
    assert again.status_code == 303 and again.headers["Location"].startswith("/oauth2/authorize?client_id=web&") and not browser.session.cookies


def test_only_the_browser_that_began_goes_on(provider):
    """The login page's way back works with its own cookie; a stolen address of it gives nothing."""
    browser, thief = provider.browser(), provider.browser()
    page = browser.page(browser.start())
    browser.scan(page)
    stolen = thief.get(f"/auth/session/{page.session}/continue")
    assert stolen.status_code == 303 and stolen.headers["Location"] == "/login" and "tana_session" not in thief.session.cookies
    assert "code" in told(browser.follow(browser.get(f"/auth/session/{page.session}/continue")))


def test_the_phone_is_told_the_truth(provider):
    """Client, origin and server are what phones sign; an approval for another client is refused."""
    browser = provider.browser()
    page = browser.page(browser.start(client_id="other", redirect_uri="https://other.example/cb"))
    path = f"{PUBLIC_URL}/auth/session/{page.session}"
    phone = provider.session()
    shown = good(phone.post(path + "/scan"))
    assert (shown["appName"], shown["appOrigin"], shown["clientId"] if "clientId" in shown else "other") == ("App other", "https://other.example", "other")

    class Login:
        id, challenge = page.session, page.qr["challenge"]

    for more, code in [({"clientId": "web"}, "client_mismatch"), ({"returnOrigin": "https://app.example"}, "origin_mismatch"), ({"server": "https://evil.example"}, "server_mismatch")]:
        answer = phone.post(path + "/approve", json=browser.phone.approval(Login, **more))
        assert (answer.status_code, answer.json()["code"]) == (400, code)
    good(phone.post(path + "/approve", json=browser.phone.approval(Login, clientId="other", returnOrigin="https://other.example", server=PUBLIC_URL)))
    assert told(browser.follow(browser.get(f"/auth/session/{page.session}/continue")))[""] == "https://other.example/cb"


def test_hostile_names_are_text(provider_factory):
    """What stands in the file of clients and in requests is shown, and nothing else."""
    provider = provider_factory(clients=[client("x", name='<script>alert("1")</script>&amp;')])
    browser = provider.browser().logged_in()
    state = '"><script>alert(1)</script>'
    answer = browser.start(client_id="x", state=state)
    assert "<script>" not in answer.text and "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;amp;" in answer.text
    page = browser.page(answer)
    assert page.fields["state"] == state and told(browser.submit(page, "allow"))["state"] == state


def test_groups_come_from_the_ledger(provider_factory, ledger):
    provider = provider_factory("--ledger-url", ledger.url)
    for role, groups in [("user", ["user"]), ("staff", ["user", "staff"]), ("sovereign", ["user", "staff", "sovereign"])]:
        phone = Phone()
        ledger.add(phone, role=role)
        browser = provider.browser(phone)
        tokens = provider.tokens(browser, scope="openid groups")
        assert good(provider.userinfo(tokens["access_token"]))["groups"] == groups
        assert ("code" in browser.authorize(client_id="staff")) == (role != "user")


def test_a_provider_without_clients(identity_factory):
    """The endpoints are there, and know nobody."""
    identity = identity_factory()
    assert identity.get("/.well-known/openid-configuration").expect(200)["issuer"] == PUBLIC_URL
    assert identity.get("/jwks.json").expect(200) == {"keys": []}
    assert identity.get("/oauth2/authorize", {"client_id": "web", "redirect_uri": CALLBACK}).status == 400
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    identity.post("/oauth2/token", b"client_id=web&grant_type=refresh_token", headers=form).refused(401, "invalid_client")


def test_ages_of_requests(provider):
    """login_after, which is ours, does not spare anybody a login that the client asked for."""
    browser = provider.browser().logged_in()
    for after in ["1", "-1", "99999999999999", "x", "9" * 20]:
        assert browser.page(browser.start(prompt="login", login_after=after)).session


def test_the_user_whom_a_token_names(provider):
    """With an ID token as a hint there is a code for its user, and for nobody else (OpenID Connect Core 3.1.2.2)."""
    alice, bob = provider.browser(), provider.browser()
    of_alice, of_bob = (provider.tokens(b)["id_token"] for b in (alice, bob))
    for more in ({}, {"prompt": "none"}):
        assert "code" in told(alice.start(id_token_hint=of_alice, **more))
    assert told(alice.start(id_token_hint=of_bob, prompt="none"))["error"] == "login_required"
    others = provider.tokens(alice, ("other", SECRET))["id_token"]
    for wrong in (of_bob[:-2], "x", "a.b.c", others):
        assert told(alice.start(id_token_hint=wrong, prompt="none"))["error"] == "invalid_request"
    # Asked to log in, they come back as themselves: no code, and no second question.
    page = alice.start(id_token_hint=of_bob)
    assert alice.page(page).session and of_bob not in page.text
    assert told(alice.follow(page))["error"] == "login_required"
    # Or as the one who was asked for; by a form as well, through the question whether the client may know.
    alice.phone = bob.phone
    form = {"client_id": "web", "redirect_uri": CALLBACK, "response_type": "code", "scope": "openid", "prompt": "consent", "id_token_hint": of_bob}
    back = told(alice.follow(alice.post("/oauth2/authorize", form)))
    assert "code" in back and alice.seen_pages[-1].fields["login_sub"] == bob.phone.user_id
    assert alice.submit(alice.seen_pages[-1], "allow", login_sub="somebody").status_code == 303  # to the login page
