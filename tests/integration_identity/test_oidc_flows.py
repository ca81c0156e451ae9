"""Promise: OpenID client libraries that know nothing of tana log people in: Authlib, requests-oauthlib, and PyJWT for what is signed."""

import hashlib
import time

import jwt
import pytest
from authlib.integrations.requests_client import OAuth2Session
from authlib.jose import JsonWebKey, JsonWebToken
from authlib.oidc.core import CodeIDToken
from requests_oauthlib import OAuth2Session as RequestsOAuthlib
from tana_testing.identity import PUBLIC_URL, Phone
from tana_testing.oidc import CALLBACK, DEVICE, LETTERS, SECRET, Pkce, b64, good, told

SCOPES = "openid profile email groups"


def test_discovery(provider):
    found = good(provider.ask("GET", "/.well-known/openid-configuration"))
    assert found["issuer"] == PUBLIC_URL  # the configuration's, whatever Host was said
    assert good(provider.ask("GET", "/.well-known/openid-configuration", headers={"Host": "evil.example"})) == found
    for key, value in found.items():
        if key.endswith(("_endpoint", "_uri")):
            assert value.startswith(PUBLIC_URL + "/"), key
    assert found["code_challenge_methods_supported"] == ["S256"] and found["response_types_supported"] == ["code"]
    assert set(found["grant_types_supported"]) == {"authorization_code", "refresh_token", DEVICE}
    # How clients may show who they are, wherever it is told, is what the endpoints take.
    secret = {"client_secret_basic": dict(auth=("web", SECRET)), "client_secret_post": dict(form={"client_id": "web", "client_secret": SECRET})}
    for name in ("introspection", "revocation"):
        for way, how in {**secret, "none": dict(form={"client_id": "spa"})}.items():
            form = {**how.get("form", {}), "token": "x"}
            answer = provider.ask("POST", found[f"{name}_endpoint"][len(PUBLIC_URL) :], form=form, auth=how.get("auth"))
            assert (answer.status_code == 200) == (way in found[f"{name}_endpoint_auth_methods_supported"]), (name, way, answer.text)
    assert set(found["revocation_endpoint_auth_methods_supported"]) == set(found["token_endpoint_auth_methods_supported"]) == {*secret, "none"}
    keys = provider.jwks()["keys"]
    assert sorted((k["kty"], k["alg"], k["use"]) for k in keys) == [("OKP", "EdDSA", "sig"), ("RSA", "RS256", "sig")]
    assert not any({"d", "p", "q", "dp", "dq", "qi"} & set(k) for k in keys)
    for key in keys:  # named by their RFC 7638 thumbprints
        assert JsonWebKey.import_key(key).thumbprint() == key["kid"]


def id_token_claims(provider, id_token, client_id, nonce, access_token, alg="RS256"):
    """By PyJWT and the published keys alone."""
    header = jwt.get_unverified_header(id_token)
    assert header["alg"] == alg and header["typ"] == "JWT"
    key = next(k.key for k in jwt.PyJWKSet.from_dict(provider.jwks()).keys if k.key_id == header["kid"])
    claims = jwt.decode(id_token, key, algorithms=[alg], audience=client_id, issuer=PUBLIC_URL)
    assert claims.get("nonce") == nonce and claims["exp"] - claims["iat"] == 3600 and abs(claims["iat"] - time.time()) < 120
    if alg == "RS256":
        assert claims["at_hash"] == b64(hashlib.sha256(access_token.encode()).digest()[:16])
    with pytest.raises(jwt.InvalidAudienceError):
        jwt.decode(id_token, key, algorithms=[alg], audience="somebody-else", issuer=PUBLIC_URL)
    return claims


def test_authlib_code_flow(provider):
    phone = Phone("@alice")
    browser = provider.browser(phone)
    with provider.session(OAuth2Session("web", SECRET, scope=SCOPES + " offline_access", redirect_uri=CALLBACK, code_challenge_method="S256")) as app:
        pkce = Pkce()
        url, state = app.create_authorization_url(PUBLIC_URL + "/oauth2/authorize", nonce="n-0S6_WzA2Mj", code_verifier=pkce.verifier)
        answer = browser.follow(browser.get(url))
        # The phone was told who asks, and where it leads; and so was the screen.
        assert browser.shown["appName"] == "App web" and browser.shown["appOrigin"] == "https://app.example"
        assert "App web" in browser.seen_pages[0].text and "https://app.example" in browser.seen_pages[0].text
        assert told(answer)["state"] == state and told(answer)["iss"] == PUBLIC_URL
        token = app.fetch_token(PUBLIC_URL + "/oauth2/token", authorization_response=answer.headers["Location"], code_verifier=pkce.verifier)
        assert token["token_type"] == "Bearer" and token["expires_in"] == 3600 and token["scope"] == SCOPES + " offline_access"

        keys = JsonWebKey.import_key_set(provider.jwks())
        options = {"iss": {"essential": True, "value": PUBLIC_URL}, "aud": {"essential": True, "value": "web"}}
        params = {"nonce": "n-0S6_WzA2Mj", "client_id": "web", "access_token": token["access_token"]}
        claims = JsonWebToken(["RS256"]).decode(token["id_token"], keys, claims_cls=CodeIDToken, claims_options=options, claims_params=params)
        claims.validate(leeway=60)
        assert claims == id_token_claims(provider, token["id_token"], "web", "n-0S6_WzA2Mj", token["access_token"])
        person = {"sub": phone.user_id, "name": "alice", "preferred_username": "alice", "email": "alice@tana.example", "email_verified": False, "groups": ["user"]}
        assert person.items() <= dict(claims).items()
        assert app.get(PUBLIC_URL + "/userinfo").json() == person
        assert abs(claims["auth_time"] - time.time()) < 120

        again = app.refresh_token(PUBLIC_URL + "/oauth2/token", refresh_token=token["refresh_token"])
        assert again["access_token"] != token["access_token"] and again["refresh_token"] != token["refresh_token"]
        assert id_token_claims(provider, again["id_token"], "web", "n-0S6_WzA2Mj", again["access_token"])["auth_time"] == claims["auth_time"]
        assert app.introspect_token(PUBLIC_URL + "/oauth2/introspect", again["access_token"]).json()["active"] is True
        assert app.revoke_token(PUBLIC_URL + "/oauth2/revoke", again["refresh_token"]).status_code == 200
        assert app.introspect_token(PUBLIC_URL + "/oauth2/introspect", again["access_token"]).json() == {"active": False}


def test_requests_oauthlib_code_flow_with_edwards_signatures(provider):
    browser = provider.browser()
    with provider.session(RequestsOAuthlib("edwards", scope=["openid", "profile"], redirect_uri=CALLBACK)) as app:
        url, _ = app.authorization_url(PUBLIC_URL + "/oauth2/authorize", nonce="once")
        location = browser.follow(browser.get(url)).headers["Location"]
        token = app.fetch_token(PUBLIC_URL + "/oauth2/token", authorization_response=location, client_secret=SECRET)
        claims = id_token_claims(provider, token["id_token"], "edwards", "once", token["access_token"], "EdDSA")
        assert claims["sub"] == browser.phone.user_id and claims["preferred_username"] == browser.phone.username[1:] and "email" not in claims and "groups" not in claims
        assert app.get(PUBLIC_URL + "/userinfo").json() == {k: claims[k] for k in ("sub", "name", "preferred_username")}
        assert "refresh_token" not in token


def test_a_public_client_with_pkce_alone(provider):
    browser, pkce = provider.browser(), Pkce()
    with provider.session(OAuth2Session("spa", token_endpoint_auth_method="none", scope="openid offline_access", redirect_uri=CALLBACK, code_challenge_method="S256")) as app:
        url, _ = app.create_authorization_url(PUBLIC_URL + "/oauth2/authorize", code_verifier=pkce.verifier)
        location = browser.follow(browser.get(url)).headers["Location"]
        token = app.fetch_token(PUBLIC_URL + "/oauth2/token", authorization_response=location, code_verifier=pkce.verifier)
        again = app.refresh_token(PUBLIC_URL + "/oauth2/token", refresh_token=token["refresh_token"])
        assert again["refresh_token"] not in (None, token["refresh_token"])


def test_an_apps_own_scheme(provider):
    pkce = Pkce()
    answer = provider.browser().authorize(client_id="native", redirect_uri="com.example.app:/cb", **pkce.asked)
    assert answer[""] == "com.example.app:/cb"
    assert good(provider.redeem(answer["code"], None, "com.example.app:/cb", client_id="native", code_verifier=pkce.verifier))["id_token"]


def test_authlib_device_flow(provider):
    """A television, with a person who types its code elsewhere."""
    with provider.session(OAuth2Session("tv", token_endpoint_auth_method="none")) as app:
        asked = good(app.post(PUBLIC_URL + "/oauth2/device_authorization", data={"client_id": "tv", "scope": SCOPES}, withhold_token=True))
        assert asked["verification_uri"] == PUBLIC_URL + "/device" and asked["verification_uri_complete"] == f"{PUBLIC_URL}/device?user_code={asked['user_code']}"
        assert asked["expires_in"] == 600 and asked["interval"] == 5
        letters = asked["user_code"].replace("-", "")
        assert len(letters) == 8 and set(letters) <= set(LETTERS) and asked["user_code"][4] == "-"

        browser = provider.browser(Phone("@bob"))
        page = browser.page(browser.follow(browser.get(asked["verification_uri_complete"])))
        assert page.fields["user_code"] == asked["user_code"] and not page.buttons  # typing it for people is not deciding for them
        question = browser.page(browser.submit(page))
        assert "App tv wants to be logged in on a device" in question.heading and "127.0.0.1" in question.text and asked["user_code"] in question.text
        assert "Allowed" in browser.page(browser.submit(question, "allow")).heading

        token = app.fetch_token(PUBLIC_URL + "/oauth2/token", grant_type=DEVICE, device_code=asked["device_code"])
        claims = id_token_claims(provider, token["id_token"], "tv", None, token["access_token"])
        assert claims["sub"] == browser.phone.user_id and claims["preferred_username"] == "bob"
        assert app.get(PUBLIC_URL + "/userinfo").json()["groups"] == ["user"]


def test_the_second_login_asks_nothing(provider):
    """Whoever is logged in and has agreed before goes straight back."""
    browser = provider.browser()
    assert "code" in browser.authorize()
    pages = len(browser.seen_pages)
    assert "code" in told(browser.start()) and "code" in told(browser.start(prompt="none"))
    assert len(browser.seen_pages) == pages
    # Another application asks first; then it does not either.
    question = browser.page(browser.start(client_id="other", state=None))
    assert question.heading == "App other asks who you are" and "form-action 'self' https://app.example;" in question.policy
    assert "code" in told(browser.submit(question, "allow"))
    assert "code" in told(browser.start(client_id="other", prompt="none"))
    assert "who you are" in browser.page(browser.start(client_id="other", scope="openid email")).text  # more than was agreed to
    # As a form of the client's own (OpenID Connect Core 3.1.2.1).
    form = {"client_id": "web", "redirect_uri": CALLBACK, "response_type": "code", "scope": "openid", "state": "posted"}
    assert told(browser.follow(browser.post("/oauth2/authorize", form)))["state"] == "posted"


def test_prompts_and_ages(provider):
    browser = provider.browser()
    browser.authorize()
    logins = len([p for p in browser.seen_pages if p.session])
    assert "code" in browser.authorize(prompt="login")
    assert len([p for p in browser.seen_pages if p.session]) == logins + 1
    assert "code" in browser.authorize(max_age="0")
    assert len([p for p in browser.seen_pages if p.session]) == logins + 2
    assert "code" in told(browser.start(max_age="3600"))
    question = browser.page(browser.start(prompt="consent"))
    assert ("decision", "allow") in question.buttons
    assert "code" in told(browser.submit(question, "allow"))
    assert provider.browser().start(prompt="none").headers["Location"].startswith(CALLBACK + "?error=login_required&")
    browser2 = provider.browser(browser.phone).logged_in()  # not for this client, but agreed before
    assert "code" in told(browser2.start(prompt="none"))
    assert told(browser2.start(client_id="other", prompt="none"))["error"] == "consent_required"
    assert told(browser2.start(prompt="none", max_age="0"))["error"] == "login_required"
