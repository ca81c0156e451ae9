"""Promise: what is handed out counts once, for the one it was given to, for its time; and what is used twice takes everything with it that came of it."""

import base64
import concurrent.futures
import json
import threading
import urllib.parse

import jwt
from cryptography.hazmat.primitives import serialization
from tana_testing.client import eventually
from tana_testing.identity import PUBLIC_URL, Phone
from tana_testing.oidc import CALLBACK, CLIENTS, SECRET, Pkce, Wire, b64, client, good, refused, secret_hash, told
from tana_testing.shim import Faults

OFFLINE = "openid email offline_access"
HOUR, DAY = 3600_000, 86_400_000


def test_who_calls(provider):
    """Clients show who they are in one way, theirs; every failure sounds the same."""
    ok = {"grant_type": "refresh_token", "refresh_token": "tana_rt_none"}  # gets past the client, and no further
    for auth, form in [
        (("web", SECRET), {}), (None, {"client_id": "web", "client_secret": SECRET}), (("spa", ""), {}), (None, {"client_id": "spa"}), (("web", SECRET), {"client_id": "web"}),
    ]:
        refused(provider.token({**ok, **form}, auth), 400, "invalid_grant")
    wrong = [
        (None, {}), (("web", "wrong"), {}), (("web", ""), {}), (None, {"client_id": "web"}), (None, {"client_id": "web", "client_secret": "x" * 40}), (("unknown", SECRET), {}),
        (None, {"client_id": "unknown"}), (("spa", SECRET), {}), (None, {"client_id": "few", "client_secret": SECRET}), (("post", SECRET), {}), (("web", SECRET + "\x00"), {}),
        (("web", secret_hash(SECRET)), {}),
    ]
    texts = set()
    for auth, form in wrong:
        answer = provider.token({**ok, **form}, auth)
        assert answer.headers["WWW-Authenticate"].startswith("Basic "), (auth, form)
        texts.add(refused(answer, 401, "invalid_client")["error_description"] if auth and auth[0] in ("web", "unknown") and "\x00" not in auth[1] else "")
        assert SECRET not in answer.text
    assert len(texts - {""}) == 1
    refused(provider.token({**ok, "client_secret": SECRET}, ("web", SECRET)), 400, "invalid_request")
    refused(provider.token({**ok, "client_id": "other"}, ("web", SECRET)), 400, "invalid_request")
    for header in ("Bearer x", "Basic", "Basic ====", "Basic " + base64.b64encode(b"web").decode(), "Basic " + base64.b64encode(b"web:%zz").decode()):
        refused(provider.token({**ok, "client_id": "web"}, None, headers={"Authorization": header}), 401, "invalid_client")


def test_token_requests_that_are_none(provider):
    for form, status, code in [
        ({}, 400, "invalid_request"), ({"grant_type": "password"}, 400, "unsupported_grant_type"), ({"grant_type": "client_credentials"}, 400, "unsupported_grant_type"),
        ({"grant_type": "implicit"}, 400, "unsupported_grant_type"), ({"grant_type": "authorization_code"}, 400, "invalid_request"),
        ({"grant_type": "authorization_code", "code": ""}, 400, "invalid_request"), ({"grant_type": "authorization_code", "code": "tana_ac_none"}, 400, "invalid_grant"),
        ({"grant_type": "refresh_token"}, 400, "invalid_request"), ({"grant_type": "refresh_token", "refresh_token": "x"}, 400, "invalid_grant"),
    ]:
        refused(provider.token(form), status, code)
    refused(provider.token({"grant_type": "refresh_token", "refresh_token": "x"}, ("few", SECRET)), 400, "unauthorized_client")
    twice = "grant_type=authorization_code&code=a&code=b&client_id=web&client_secret=" + SECRET
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    refused(provider.ask("POST", "/oauth2/token", data=twice, headers=form), 400, "malformed_parameter", "invalid_request")
    refused(provider.ask("POST", "/oauth2/token", data="code=%ff", headers=form), 400, "malformed_parameter", "invalid_request")
    refused(provider.ask("POST", "/oauth2/token", data='{"grant_type":"x"}', headers={"Content-Type": "application/json"}), 415, "unsupported_media_type", "invalid_request")
    refused(provider.ask("POST", "/oauth2/token", data="a=" + "b" * 20000, headers=form), 413, "too_large", "invalid_request")


def test_codes_count_once_for_one(provider):
    pkce = Pkce()
    browser = provider.browser()
    code = provider.code(browser, **pkce.asked)
    # For another client, another address, without the verifier, or with what an eavesdropper has seen of it.
    for auth, more in [
        (("other", SECRET), {"code_verifier": pkce.verifier}), (("web", SECRET), {"code_verifier": pkce.verifier, "redirect_uri": "https://app.example/other"}), (("web", SECRET), {}),
        (("web", SECRET), {"code_verifier": pkce.challenge}), (("web", SECRET), {"code_verifier": Pkce().verifier}), (("web", SECRET), {"code_verifier": "short"}),
    ]:
        refused(provider.redeem(code, auth, **more), 400, "invalid_grant")
    refused(provider.redeem(code, redirect_uri=None, code_verifier=pkce.verifier), 400, "invalid_request")
    tokens = good(provider.redeem(code, code_verifier=pkce.verifier))  # none of that used it up
    assert good(provider.userinfo(tokens["access_token"]))
    # Authorized without PKCE: whoever brings a verifier is not who authorized.
    refused(provider.redeem(provider.code(browser), code_verifier=pkce.verifier), 400, "invalid_grant")
    # Another client's replay is refused and harms nobody; one's own takes everything back.
    refused(provider.redeem(code, ("other", SECRET), code_verifier=pkce.verifier), 400, "invalid_grant")
    assert good(provider.userinfo(tokens["access_token"]))
    assert "revoked" in refused(provider.redeem(code, code_verifier=pkce.verifier), 400, "invalid_grant")["error_description"]
    answer = provider.userinfo(tokens["access_token"])
    refused(answer, 401, "invalid_token")
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


def test_of_many_who_redeem_one_wins(provider_factory):
    """A code, and a refresh token, at two instances at once: one answer with tokens, and those are revoked by the others."""
    provider = provider_factory(instances=2)
    browser = provider.browser()
    browser.authorize()
    tokens = provider.tokens(browser, scope=OFFLINE)
    for redeem in (lambda: provider.redeem(code), lambda: provider.refresh(tokens["refresh_token"])):
        code = provider.code(browser)
        begin = threading.Barrier(8)

        def go(_, redeem=redeem, begin=begin):
            begin.wait()
            return redeem()

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(go, range(8)))
        assert sorted(a.status_code for a in answers) == [200] + [400] * 7
        won = next(a.json() for a in answers if a.status_code == 200)
        assert all(a.json()["error"] == "invalid_grant" for a in answers if a.status_code == 400)
        refused(provider.userinfo(won["access_token"]), 401, "invalid_token")


def test_refresh_tokens_rotate(provider):
    browser = provider.browser()
    first = provider.tokens(browser, scope=OFFLINE)
    second = good(provider.refresh(first["refresh_token"]))
    third = good(provider.refresh(second["refresh_token"], scope="openid"))  # for less, this time
    assert third["scope"] == "openid" and "email" not in good(provider.userinfo(third["access_token"]))
    refused(provider.refresh(third["refresh_token"], scope="openid groups"), 400, "invalid_scope")
    refused(provider.refresh(third["refresh_token"], ("other", SECRET)), 400, "invalid_grant")
    refused(provider.refresh(third["access_token"]), 400, "invalid_grant")
    fourth = good(provider.refresh(third["refresh_token"]))
    assert fourth["scope"] == OFFLINE  # the refresh token stood for all that was granted
    # An old one comes again: somebody has a copy, and nobody keeps anything.
    refused(provider.refresh(second["refresh_token"]), 400, "invalid_grant")
    refused(provider.refresh(fourth["refresh_token"]), 400, "invalid_grant")
    for one in (first, second, third, fourth):
        refused(provider.userinfo(one["access_token"]), 401, "invalid_token")
    # Without offline_access, or for a client that may not, there is none.
    assert "refresh_token" not in provider.tokens(browser) and "refresh_token" not in provider.tokens(browser, ("edwards", SECRET))


def test_times(provider_factory, tmp_path):
    """Codes, access tokens, refresh tokens, ID tokens and logins end by the clock."""
    faults = Faults(tmp_path)
    provider = provider_factory(env=faults.env)
    browser = provider.browser()
    code = provider.code(browser)
    tokens, plain = provider.tokens(browser, scope=OFFLINE), provider.tokens(browser)
    faults.set_clock(61_000)
    refused(provider.redeem(code), 400, "invalid_grant")
    assert "code" in told(browser.start())
    faults.set_clock(HOUR - 60_000)
    assert good(provider.userinfo(tokens["access_token"])) and good(provider.userinfo(plain["access_token"]))
    faults.set_clock(HOUR + 60_000)
    refused(provider.userinfo(tokens["access_token"]), 401, "invalid_token")
    assert provider.introspect(plain["access_token"]) == {"active": False}
    faults.set_clock(DAY + 60_000)
    assert told(browser.start(prompt="none"))["error"] == "login_required"
    tokens = good(provider.refresh(tokens["refresh_token"]))  # goes on without the login
    faults.set_clock(32 * DAY)
    refused(provider.refresh(tokens["refresh_token"]), 400, "invalid_grant")


def test_a_login_that_ends_takes_its_tokens(provider):
    """Logging out ends what was not to go on without; logging out everywhere ends that too."""
    phone = Phone()
    browser = provider.browser(phone)
    short, long = provider.tokens(browser), provider.tokens(browser, scope=OFFLINE)
    assert browser.post("/logout", {}).status_code == 200
    refused(provider.userinfo(short["access_token"]), 401, "invalid_token")
    assert good(provider.userinfo(long["access_token"]))
    again = good(provider.refresh(long["refresh_token"]))
    other = provider.browser(phone).logged_in()
    everywhere = {"Authorization": "Bearer " + other.session.cookies["tana_session"]}
    good(provider.session().post(PUBLIC_URL + "/auth/session/revoke", json={"all": True}, headers=everywhere))
    refused(provider.refresh(again["refresh_token"]), 400, "invalid_grant")
    refused(provider.userinfo(again["access_token"]), 401, "invalid_token")


def test_a_key_that_is_not_the_users_any_more_refreshes_nothing(provider_factory, ledger):
    provider = provider_factory("--ledger-url", ledger.url)
    rotated, demoted, gone = Phone(), Phone(), Phone()
    for phone in (rotated, demoted, gone):
        ledger.add(phone, role="staff")
    tokens = {p: provider.tokens(provider.browser(p), ("staff", SECRET), scope=OFFLINE + " groups") for p in (rotated, demoted, gone)}

    def refresh(phone):
        return provider.refresh(tokens[phone]["refresh_token"], ("staff", SECRET))

    ledger.gone = True
    answer = refresh(rotated)  # nobody falls through while the ledger is away, and nothing is used up
    refused(answer, 503, "unavailable", "temporarily_unavailable")
    assert answer.headers["Retry-After"]
    ledger.gone = False
    tokens[rotated] = eventually(lambda: (a := refresh(rotated)).status_code == 200 and a.json(), what="a refresh once the ledger is back")
    ledger.add(rotated, role="staff", publicKey=Phone().key.public)
    ledger.add(demoted, role="user")
    del ledger.users[gone.user_id]
    for phone in (rotated, demoted, gone):
        refused(refresh(phone), 400, "invalid_grant")
        refused(provider.userinfo(tokens[phone]["access_token"]), 401, "invalid_token")
    # A role that rises is told with the next refresh.
    riser = Phone()
    ledger.add(riser, role="staff")
    tokens[riser] = provider.tokens(provider.browser(riser), ("staff", SECRET), scope=OFFLINE + " groups")
    ledger.add(riser, role="sovereign")
    assert good(provider.userinfo(good(refresh(riser))["access_token"]))["groups"] == ["user", "staff", "sovereign"]


def test_userinfo(provider):
    browser = provider.browser()
    token = provider.tokens(browser, scope="openid email")["access_token"]
    assert good(provider.ask("POST", "/userinfo", form={"access_token": token})) == good(provider.userinfo(token))
    assert good(provider.ask("POST", "/userinfo", headers={"Authorization": f"bearer  {token}"}))
    answer = provider.ask("GET", "/userinfo")
    refused(answer, 401, "unauthenticated", "invalid_token")
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="tana"'
    refused(provider.ask("POST", "/userinfo", form={"access_token": token}, headers={"Authorization": f"Bearer {token}"}), 400, "invalid_request")
    refused(provider.ask("POST", "/userinfo"), 401, "unauthenticated", "invalid_token")
    refresh = provider.tokens(browser, scope=OFFLINE)["refresh_token"]
    for wrong in (token[:-1], token + "A", token.upper(), refresh, browser.session.cookies["tana_session"], "x", "tana_at_"):
        refused(provider.userinfo(wrong), 401, "invalid_token")
    bare = good(provider.redeem(provider.code(browser, scope="email")))
    assert "id_token" not in bare
    refused(provider.userinfo(bare["access_token"]), 403, "insufficient_scope")
    refused(provider.ask("POST", "/userinfo", form={"access_token": bare["access_token"]}), 403, "insufficient_scope")
    refused(provider.ask("POST", "/userinfo", form={"access_token": "x"}), 401, "invalid_token")
    refused(provider.ask("POST", "/userinfo", data="access_token=%ff", headers={"Content-Type": "application/x-www-form-urlencoded"}), 400, "malformed_parameter", "invalid_request")


def test_introspection_and_revocation(provider):
    browser = provider.browser()
    tokens = provider.tokens(browser, scope=OFFLINE)
    access, refresh = tokens["access_token"], tokens["refresh_token"]
    seen = provider.introspect(access)
    assert seen.items() >= {
        "active": True, "client_id": "web", "sub": browser.phone.user_id, "username": browser.phone.username[1:], "scope": OFFLINE, "token_type": "Bearer", "iss": PUBLIC_URL,
    }.items() and seen["exp"] - seen["iat"] == 3600
    assert provider.introspect(refresh)["active"] is True and "token_type" not in provider.introspect(refresh)
    for token, auth in [(access, ("other", SECRET)), ("unknown", ("web", SECRET)), (access + "x", ("web", SECRET)), (browser.session.cookies["tana_session"], ("web", SECRET))]:
        assert provider.introspect(token, auth) == {"active": False}
    ask = lambda path, form, auth=("web", SECRET): provider.ask("POST", path, form=form, auth=auth)  # noqa: E731
    refused(ask("/oauth2/introspect", {"token": access, "client_id": "spa"}, None), 400, "unauthorized_client")
    for path in ("/oauth2/introspect", "/oauth2/revoke"):
        refused(ask(path, {"token": access}, ("web", "wrong")), 401, "invalid_client")
        refused(ask(path, {}), 400, "invalid_request")
        refused(ask(path, {"token": access, "client_secret": SECRET}), 400, "invalid_request")
        both = f"token=a&token=b&client_id=web&client_secret={SECRET}"
        refused(provider.ask("POST", path, data=both, headers={"Content-Type": "application/x-www-form-urlencoded"}), 400, "malformed_parameter", "invalid_request")
    refused(provider.revoke(access, ("other", SECRET)), 400, "invalid_grant")
    assert provider.introspect(access)["active"] is True
    # An access token goes alone, a refresh token takes all with it; what is unknown is as good as gone.
    assert provider.revoke(access).status_code == 200 and provider.introspect(access) == {"active": False}
    second = good(provider.refresh(refresh))
    assert provider.revoke(second["refresh_token"]).status_code == 200 and provider.revoke("unknown").status_code == 200
    assert provider.introspect(second["access_token"]) == {"active": False}
    refused(provider.refresh(second["refresh_token"]), 400, "invalid_grant")


# ---------------------------------------------------------------- logging out


def test_logout(provider):
    browser = provider.browser()
    id_token = provider.tokens(browser)["id_token"]
    out = lambda **query: browser.get("/oauth2/logout?" + urllib.parse.urlencode(query))  # noqa: E731
    wrong = [
        {"post_logout_redirect_uri": "https://app.example/bye"}, {"client_id": "unknown"}, {"client_id": "web", "post_logout_redirect_uri": "https://evil.example/"},
        {"client_id": "web", "post_logout_redirect_uri": CALLBACK}, {"client_id": "web", "post_logout_redirect_uri": "https://app.example/bye/"},
        {"client_id": "other", "id_token_hint": id_token}, {"id_token_hint": "x"}, {"id_token_hint": id_token[:-2]}, {"id_token_hint": ""  "a.b.c"},
        {"client_id": "web", "post_logout_redirect_uri": "https://other.example/bye"},
    ]
    for query in wrong:
        answer = out(**query)
        assert answer.status_code == 400 and "Location" not in answer.headers and browser.page(answer).heading == "This link does not work", query
    assert "code" in told(browser.start(prompt="none"))  # still logged in

    # Without an ID token people are asked; forms of others say nothing.
    page = browser.page(out(client_id="web", post_logout_redirect_uri="https://app.example/bye", state="s&1"))
    assert page.heading == "Log out?" and "form-action 'self' https://app.example;" in page.policy
    assert browser.page(browser.submit(page, "logout", form_token="x")).heading == "Log out?"
    assert browser.page(browser.post("/oauth2/logout", {"decision": "logout"})).heading == "Log out?"
    answer = browser.submit(page, "logout")
    assert answer.status_code == 303 and answer.headers["Location"] == "https://app.example/bye?state=s%261"
    assert told(browser.start(prompt="none"))["error"] == "login_required" and "tana_session" not in browser.session.cookies
    # Nobody is logged in: straight on.
    answer = out(client_id="web", post_logout_redirect_uri="https://app.example/bye?x=1", state="2")
    assert answer.headers["Location"] == "https://app.example/bye?x=1&state=2"
    assert browser.page(out()).heading == "Logged out"

    # With an ID token of this very user it is done at once; with another's people are asked.
    id_token = provider.tokens(browser)["id_token"]
    theirs = provider.tokens(provider.browser(Phone()))["id_token"]
    assert browser.page(out(id_token_hint=theirs)).heading == "Log out?"
    assert out(id_token_hint=id_token, post_logout_redirect_uri="https://app.example/bye").headers["Location"] == "https://app.example/bye"
    assert told(browser.start(prompt="none"))["error"] == "login_required"
    refused(browser.get("/oauth2/logout?state=a&state=b"), 400, "malformed_parameter", "invalid_request")
    refused(browser.post("/oauth2/logout", "state=a&state=b", {"Content-Type": "application/x-www-form-urlencoded"}), 400, "malformed_parameter", "invalid_request")


def test_forged_id_tokens_log_nobody_out(provider):
    """Algorithms are those of the key, not those that the token names: none, and HS256 with what is public, are old tricks."""
    browser = provider.browser()
    real = provider.tokens(browser)["id_token"]
    claims, header = jwt.decode(real, options={"verify_signature": False}), jwt.get_unverified_header(real)
    rsa = next(k for k in provider.jwks()["keys"] if k["kid"] == header["kid"])
    public = jwt.PyJWK.from_dict(rsa).key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    edwards = next(k for k in provider.jwks()["keys"] if k["kty"] == "OKP")

    def signed(head, body, make):
        text = ".".join(b64(json.dumps(x).encode()) for x in (head, body))
        return f"{text}.{b64(make(text.encode()))}"

    def mac(key, digest="sha256"):
        import hmac

        return lambda text: hmac.new(key, text, digest).digest()

    signature = lambda _: base64.urlsafe_b64decode(real.split(".")[2] + "==")  # noqa: E731
    forged = {
        "none": signed({**header, "alg": "none"}, claims, lambda _: b""),
        "none, signed": signed({**header, "alg": "none"}, claims, signature),
        "HS256 by the PEM": signed({**header, "alg": "HS256"}, claims, mac(public)),
        "HS256 by the modulus": signed({**header, "alg": "HS256"}, claims, mac(rsa["n"].encode())),
        "EdDSA by the RSA key's name": signed({**header, "alg": "EdDSA"}, claims, lambda _: b"\0" * 64),
        "RS256 by the Edwards key's name": signed({**header, "kid": edwards["kid"]}, claims, signature),
        "another subject": signed(header, {**claims, "sub": "somebody"}, signature),
        "unknown key": signed({**header, "kid": "x"}, claims, signature),
        "no key": signed({"alg": "RS256"}, claims, signature),
        "a key of its own": signed({**header, "jwk": rsa}, claims, lambda _: b"\1" * 256),
        "four parts": real + ".x",
        "padding": real + "==",
    }
    for name, token in forged.items():
        answer = browser.get("/oauth2/logout?" + urllib.parse.urlencode({"id_token_hint": token}))
        assert answer.status_code == 400 and "signed here" in answer.text, name
    assert "code" in told(browser.start(prompt="none"))


# ---------------------------------------------------------------- what is kept, and what is logged


def test_nothing_secret_is_kept_or_logged(provider_factory, rows):
    provider = provider_factory("--access-log", "all")
    pkce = Pkce()
    browser = provider.browser()
    code = provider.code(browser, scope=OFFLINE, **pkce.asked)
    tokens = good(provider.redeem(code, code_verifier=pkce.verifier))
    device = good(provider.ask("POST", "/oauth2/device_authorization", form={"client_id": "tv"}))
    browser.get(device["verification_uri_complete"])
    provider.ask("POST", "/oauth2/token", form={"grant_type": "refresh_token", "refresh_token": "x", "client_id": "web", "client_secret": SECRET})
    secrets = [code, tokens["access_token"], tokens["refresh_token"], tokens["id_token"], device["device_code"], device["user_code"], device["user_code"].replace("-", ""), SECRET, pkce.verifier,
               browser.session.cookies["tana_session"]]
    tables = ["oidc_grants", "oidc_codes", "oidc_tokens", "oidc_devices", "oidc_keys", "oidc_consents", "oidc_tries", "sessions"]
    kept = repr([rows(provider.identity, f"SELECT * FROM {t}") for t in tables])
    logged = provider.identity.daemon.text()
    for secret in secrets:
        assert secret not in kept and secret not in logged, secret
    assert "PRIVATE" not in kept and "/oauth2/token" in logged


def test_what_is_over_is_forgotten(provider_factory, tmp_path, rows):
    faults = Faults(tmp_path)
    provider = provider_factory("--oidc-key-lifetime", "10s", "--oidc-key-overlap", "400ms", env=faults.env)  # which looks every 0.1 s
    provider.tokens(provider.browser(), scope=OFFLINE)
    good(provider.ask("POST", "/oauth2/device_authorization", form={"client_id": "tv"}))
    count = lambda table: len(rows(provider.identity, f"SELECT * FROM {table}"))  # noqa: E731
    assert [count(t) for t in ("oidc_grants", "oidc_codes", "oidc_tokens", "oidc_devices")] == [1, 1, 2, 1]
    faults.set_clock(2 * DAY)
    eventually(lambda: [count(t) for t in ("oidc_grants", "oidc_codes", "oidc_tokens", "oidc_devices")] == [1, 0, 1, 0], what="codes, devices and access tokens to go")
    faults.set_clock(40 * DAY)
    eventually(lambda: count("oidc_grants") == 0 and count("oidc_tokens") == 0, what="grants to go")


# ---------------------------------------------------------------- the file of clients


def test_clients_are_read_again(provider):
    daemon = provider.identity.daemon
    import signal

    def reload():
        n = daemon.text().count("reloaded") + daemon.text().count("was not taken")
        daemon.signal(signal.SIGHUP)
        return n

    provider.write_clients([*CLIENTS, client("new")])
    reload()
    browser = provider.browser().logged_in()
    eventually(lambda: browser.start(client_id="new").status_code == 200, what="the new client")
    provider.write_clients('{"clients":[{"clientId":"web","name":"Web","redirectUri":["https://a.example"]}]}')
    reload()
    eventually(lambda: "the clients' file was not taken" in daemon.text(), what="a warning")
    assert "clients[0].redirectUri is not known here" in daemon.text()
    assert "code" in browser.authorize(client_id="new")  # nothing changed
    # Two secrets at once, so that applications can be given the new one in peace; then the old one goes.
    both = [secret_hash(SECRET), secret_hash("n" * 40)]
    provider.write_clients([client("web", after={"secretHashes": both})])
    reload()
    eventually(lambda: provider.token({"grant_type": "x"}, ("web", "n" * 40)).status_code == 400, what="the new secret")
    refused(provider.token({"grant_type": "x"}), 400, "unsupported_grant_type")
    provider.write_clients([client("web", after={"secretHashes": both[1:]})])
    reload()
    eventually(lambda: provider.token({"grant_type": "x"}).status_code == 401, what="the old secret's end")
    assert browser.start(client_id="new").status_code == 400


def test_wrong_files_are_refused_at_start(provider_factory):
    for text, says in [
        ('{"clients":[{"clientId":"a"}]}', "clients[0].name is missing"), ("{", "clients.json"),
        ('{"clients":[{"clientId":"a","name":"A","redirectUris":["javascript:alert(1)"]}]}', "clients[0].redirectUris[0] must be"),
    ]:
        provider_factory(clients=text, start=False).identity.daemon.refuse_to_start(says)


def test_two_instances_are_one_provider(provider_factory):
    """Each request goes to the other instance than the one before: logins, codes, tokens and keys are the database's."""
    provider = provider_factory(instances=2)
    assert isinstance(provider.session().get_adapter(PUBLIC_URL), Wire)
    for _ in range(2):
        tokens = provider.tokens(provider.browser(), scope=OFFLINE)
        assert good(provider.userinfo(tokens["access_token"]))
        again = good(provider.refresh(tokens["refresh_token"]))
        keys = {k["kid"] for k in provider.jwks()["keys"]}
        assert len(keys) == 4 and {jwt.get_unverified_header(t["id_token"])["kid"] for t in (tokens, again)} <= keys
        provider.turn += 1
    for one in provider.identities:
        one.restart(kill=True)
    assert good(provider.refresh(again["refresh_token"])) and {k["kid"] for k in provider.jwks()["keys"]} == keys


def test_keys_rotate(provider_factory):
    """The next key is published before it signs."""
    provider = provider_factory("--oidc-key-lifetime", "3s", "--oidc-key-overlap", "1500ms")
    browser = provider.browser()
    seen, published = [], [{k["kid"] for k in provider.jwks()["keys"]}]

    def sign():
        published.append({k["kid"] for k in provider.jwks()["keys"]})
        seen.append(jwt.get_unverified_header(provider.tokens(browser)["id_token"])["kid"])
        assert seen[-1] in published[-1]
        return len(set(seen)) >= 2

    eventually(sign, within=20, every=0.1, what="a second key")
    assert set(seen) <= {k["kid"] for k in provider.jwks()["keys"]}  # and the first is still there
    mode = (provider.identity.directory / "keys.json").stat().st_mode & 0o777
    assert mode == 0o600
