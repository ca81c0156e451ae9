"""Promise: a device is logged in by whoever types its code and says yes, and by nobody else; it asks no more often than it may; codes cannot be guessed."""

import concurrent.futures
import threading

import pytest
from tana_testing.identity import Phone
from tana_testing.oidc import DEVICE, LETTERS, SECRET, good, refused
from tana_testing.shim import Faults


def ask(provider, **more):
    return good(provider.ask("POST", "/oauth2/device_authorization", form={"client_id": "tv", **more}))


def poll(provider, asked, **more):
    return provider.token({"grant_type": DEVICE, "device_code": asked["device_code"], "client_id": "tv", **more}, None)


def answer(browser, asked, decision):
    question = browser.page(browser.submit(browser.page(browser.get("/device")), user_code=asked["user_code"].lower().replace("-", " ")))
    return browser.page(browser.submit(question, decision))


def test_who_may_ask(provider):
    start = lambda form, auth=None: provider.ask("POST", "/oauth2/device_authorization", form=form, auth=auth)  # noqa: E731
    refused(start({}), 401, "invalid_client")
    refused(start({"client_id": "unknown"}), 401, "invalid_client")
    refused(start({"client_id": "web"}), 401, "invalid_client")
    refused(start({"client_id": "tv", "client_secret": "x"}, ("web", SECRET)), 400, "invalid_request")
    refused(start({}, ("few", SECRET)), 400, "unauthorized_client")
    refused(start({"client_id": "tv", "scope": "openid offline_access"}), 400, "invalid_scope")
    refused(start({"client_id": "tv", "scope": "nothing"}), 400, "invalid_scope")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    refused(provider.ask("POST", "/oauth2/device_authorization", data="client_id=tv&client_id=tv", headers=form), 400, "malformed_parameter", "invalid_request")
    codes = [good(start({}, ("web", SECRET)))["user_code"] for _ in range(20)]
    assert len(set(codes)) == 20 and set("".join(codes)) <= set(LETTERS + "-")


def test_waiting_and_being_told_to_slow_down(provider_factory, tmp_path):
    faults = Faults(tmp_path)
    provider = provider_factory(env=faults.env)
    asked = ask(provider)
    refused(poll(provider, asked), 400, "authorization_pending")
    assert "10 s" in refused(poll(provider, asked), 400, "slow_down")["error_description"]
    assert "15 s" in refused(poll(provider, asked), 400, "slow_down")["error_description"]
    faults.set_clock(16_000)
    refused(poll(provider, asked), 400, "authorization_pending")
    faults.set_clock(24_000)
    refused(poll(provider, asked), 400, "slow_down")  # the longer interval stays
    refused(provider.token({"grant_type": DEVICE, "device_code": asked["device_code"]}), 400, "invalid_grant")  # another client
    refused(poll(provider, {"device_code": "tana_dc_none"}), 400, "invalid_grant")
    refused(provider.token({"grant_type": DEVICE, "client_id": "tv"}, None), 400, "invalid_request")

    browser = provider.browser().logged_in()
    assert answer(browser, asked, "allow").heading == "Allowed"
    tokens = good(poll(provider, asked))  # at once, however often it has asked
    assert good(provider.userinfo(tokens["access_token"]))["sub"] == browser.phone.user_id
    refused(poll(provider, asked), 400, "invalid_grant")  # once
    assert good(provider.userinfo(tokens["access_token"]))  # polling on is no theft

    late, approved = ask(provider), ask(provider)
    assert answer(browser, approved, "allow").heading == "Allowed"
    faults.set_clock(24_000 + 601_000)
    refused(poll(provider, late), 400, "expired_token")
    refused(poll(provider, approved), 400, "expired_token")
    page = browser.page(browser.submit(browser.page(browser.get("/device")), user_code=late["user_code"]))
    assert page.status == 400 and "No device waits" in page.text


def test_saying_no_and_saying_it_twice(provider):
    browser = provider.browser().logged_in()
    asked = ask(provider, scope="openid groups")
    question = browser.page(browser.submit(browser.page(browser.get("/device")), user_code=asked["user_code"]))
    assert browser.page(browser.submit(question, "deny")).heading == "Denied"
    refused(poll(provider, asked), 400, "access_denied")
    for decision in ("allow", "deny"):
        assert "No device waits" in browser.page(browser.submit(question, decision)).text
    refused(poll(provider, asked), 400, "access_denied")

    # Not a member of the group that the client is for.
    asked = good(provider.ask("POST", "/oauth2/device_authorization", form={}, auth=("staff", SECRET)))
    page = answer(browser, asked, "allow")
    assert page.status == 403 and page.heading == "Not allowed"
    refused(provider.token({"grant_type": DEVICE, "device_code": asked["device_code"]}, ("staff", SECRET)), 400, "authorization_pending")


def test_forms_of_others_log_no_device_in(provider):
    browser, other = provider.browser().logged_in(), provider.browser(Phone()).logged_in()
    asked = ask(provider)
    page = browser.page(browser.get("/device"))
    for token in (None, "", "x", other.page(other.get("/device")).fields["form_token"]):
        form = {"user_code": asked["user_code"], "decision": "allow", "form_token": token}
        answered = browser.page(browser.post("/device", {k: v for k, v in form.items() if v is not None}))
        assert answered.status == 400 and answered.heading == "This form is not from here"
    refused(poll(provider, asked), 400, "authorization_pending")
    # Nobody is logged in: the login page, which leads back with the code.
    browser.session.cookies.clear()
    login = browser.post("/device", {"user_code": asked["user_code"], "decision": "allow", "form_token": page.fields["form_token"]})
    assert browser.page(login).session
    back = browser.log_in(login)
    assert back.headers["Location"] == f"/device?user_code={asked['user_code']}"
    assert browser.page(browser.get(back.headers["Location"])).fields["user_code"] == asked["user_code"]


def test_codes_cannot_be_tried(provider_factory, tmp_path):
    """Five wrong ones a minute, at whichever instance; right ones and misspelt ones do not count."""
    faults = Faults(tmp_path)
    provider = provider_factory(env=faults.env, instances=2)
    browser = provider.browser().logged_in()
    page = browser.page(browser.get("/device"))

    def type_in(code):
        return browser.page(browser.submit(page, user_code=code))

    for typed in ("", "BCDF-GHJ", "BCDF-GHJA", "BCDF-GHJ1", "BCDF-GHJKL", "<script>", "b" * 60):
        shown = type_in(typed)
        assert shown.status == 400 and "8 letters" in shown.text and "<script>" not in shown.text
    asked = ask(provider)
    for i in range(5):
        assert "No device waits" in type_in("BCDFGHJ" + LETTERS[i]).text
        if i < 4:
            assert ("decision", "allow") in type_in(asked["user_code"]).buttons
    response = browser.submit(page, user_code=asked["user_code"])
    assert response.status_code == 429 and 0 < int(response.headers["Retry-After"]) <= 60 and "Too many wrong codes" in response.text
    other = provider.browser(Phone()).logged_in()  # somebody else is not held up
    assert answer(other, ask(provider), "deny").heading == "Denied"
    faults.set_clock(61_000)
    assert answer(browser, asked, "allow").heading == "Allowed"
    good(poll(provider, asked))


def test_of_many_polls_one_wins(provider_factory):
    """At two instances at once: one answer with tokens, which the others do not take away again."""
    provider = provider_factory(instances=2)
    browser = provider.browser().logged_in()
    for _ in range(4):
        asked = ask(provider)
        assert answer(browser, asked, "allow").heading == "Allowed"
        begin = threading.Barrier(8)

        def go(_, asked=asked, begin=begin):
            begin.wait()
            return poll(provider, asked)

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(go, range(8)))
        assert sorted(a.status_code for a in answers) == [200] + [400] * 7
        assert all(a.json()["error"] == "invalid_grant" for a in answers if a.status_code == 400)
        assert good(provider.userinfo(next(a.json()["access_token"] for a in answers if a.status_code == 200)))


@pytest.mark.storage_only("sqlite")
def test_one_address_does_not_keep_all_others_out(provider_factory, change):
    provider = provider_factory("--trusted-proxy", "127.0.0.1")
    change(
        provider.identity,
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) INSERT INTO oidc_devices (hash, user_code_hash, client_id, scopes, status, interval_ms, ip, "
        "created_at, expires_at) SELECT randomblob(32), randomblob(32), 'tv', 1, 'pending', 5000, '192.0.2.7', 0, 9000000000000 FROM n",
    )
    start = lambda ip: provider.ask("POST", "/oauth2/device_authorization", form={"client_id": "tv"}, headers={"X-Forwarded-For": ip})  # noqa: E731
    refused(start("192.0.2.7"), 503, "overloaded", "temporarily_unavailable")
    good(start("192.0.2.8"))
