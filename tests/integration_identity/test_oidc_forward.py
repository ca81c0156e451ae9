"""Promise: an application behind a reverse proxy is reached by who is logged in and by nobody else; by nginx itself, with the lines of docs/identity.md."""

import contextlib
import http.client
import http.cookiejar
import http.server
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import urllib.parse

import requests
from tana_testing.client import eventually
from tana_testing.daemon import PATIENCE, ROOT
from tana_testing.identity import PUBLIC_URL, Phone
from tana_testing.oidc import CALLBACK, good

APP = "https://app.example.com"
FORWARD = ["--cookie-domain", "example.com", "--allow-return-origin", APP]


def forward(provider, cookies=None, query=None, headers=None):
    sent = dict(headers or {})
    if cookies is not None:
        sent["Cookie"] = "; ".join(f"{k}={v}" for k, v in cookies.items())
    return provider.ask("GET", "/auth/forward", query=query, headers=sent)


def cookies_of(browser):
    return {c.name: c.value for c in browser.session.cookies if c.name.startswith("tana_") and c.name != "tana_browser"}


def refused(response, status, code):
    assert (response.status_code, response.json()["code"]) == (status, code), response.text
    assert "Remote-User" not in response.headers and "Location" not in response.headers


def test_who_may_pass(provider_factory, ledger):
    provider = provider_factory("--ledger-url", ledger.url, *FORWARD)
    user, staff = Phone("@alice"), Phone("@bob")
    ledger.add(user)
    ledger.add(staff, role="staff")
    refused(forward(provider), 401, "unauthenticated")
    for phone, groups in [(user, "user"), (staff, "user,staff")]:
        browser = provider.browser(phone).logged_in()
        shown = cookies_of(browser)
        assert set(shown) == {"tana_session", "tana_forward"} and shown["tana_forward"].startswith("tana_fw_")
        domains = {c.name: c.domain for c in browser.session.cookies}
        assert domains["tana_session"] == "id.example.com" and domains["tana_forward"] == ".example.com"
        for name in shown:  # one's own host shows the one, applications the other
            answer = forward(provider, {"other": "1", name: shown[name]})
            assert answer.status_code == 200 and answer.content == b""
            told = {k: answer.headers[k] for k in ("Remote-User", "Remote-Groups", "Remote-Email", "X-Auth-Request-User")}
            name = phone.username[1:]
            assert told == {"Remote-User": name, "Remote-Groups": groups, "Remote-Email": f"{name}@tana.example", "X-Auth-Request-User": name}
        assert forward(provider, shown, {"group": "user"}).status_code == 200
        answer = forward(provider, shown, {"group": "staff", "mode": "redirect"})
        if phone is user:
            refused(answer, 403, "not_allowed")
        else:
            assert answer.status_code == 200
        refused(forward(provider, shown, {"group": "admins"}), 403, "not_allowed")
        assert forward(provider, shown, {"mode": "redirect", "rd": "https://evil.example/"}).status_code == 200  # there is nothing to redirect

    # Whatever else the browser has of the applications.
    assert forward(provider, {"theirs": "x" * 6000, **shown}).status_code == 200

    # What applications see opens nothing else.
    token = shown["tana_forward"]
    assert good(provider.ask("GET", "/auth/session/verify", headers={"Authorization": "Bearer " + token}), 401)["code"] == "token_invalid"
    for cookies in ({"tana_session": token}, {"tana_forward": token}):
        browser.session.cookies.clear()
        browser.session.cookies.update(cookies)
        assert browser.page(browser.start()).session, "logged in by what applications see"
    for wrong in (token[:-1], token + "x", "tana_fw_", "x", "", shown["tana_session"], "tana_fw_" + "A" * 43):
        refused(forward(provider, {"tana_forward": wrong}), 401, "unauthenticated")

    # Logging out ends both.
    browser = provider.browser(staff).logged_in()
    shown = cookies_of(browser)
    browser.post("/logout", {})
    assert not cookies_of(browser)
    refused(forward(provider, shown), 401, "unauthenticated")


def test_where_to_log_in(provider_factory):
    provider = provider_factory(*FORWARD)
    for rd in (APP + "/x?a=1&b=%26", APP, CALLBACK, PUBLIC_URL + "/device"):
        answer = forward(provider, query={"mode": "redirect", "rd": rd})
        target = urllib.parse.urlsplit(answer.headers["Location"])
        assert answer.status_code == 302 and f"{target.scheme}://{target.netloc}{target.path}" == PUBLIC_URL + "/login"
        assert urllib.parse.parse_qs(target.query) == {"returnUrl": [rd], "forward": ["1"]}
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "app.example.com", "X-Forwarded-Uri": "/deep?q=a b".replace(" ", "%20")}
    answer = forward(provider, query={"mode": "redirect"}, headers=headers)
    assert urllib.parse.parse_qs(urllib.parse.urlsplit(answer.headers["Location"]).query) == {"returnUrl": [APP + "/deep?q=a%20b"], "forward": ["1"]}
    # And there: the login, and back.
    browser = provider.browser()
    response = browser.log_in(browser.get(answer.headers["Location"]))
    assert response.headers["Location"] == APP + "/deep?q=a%20b"

    for rd in (
        "https://evil.example/", APP + ".evil.example/", APP + "@evil.example/", "https://app.example.com:444/", "http://app.example.com/", "//app.example.com/", "/login", "javascript:alert(1)",
        APP.replace("app", "app\\@evil"), APP + "/\r\nSet-Cookie: x=1", "x",
    ):
        answer = forward(provider, query={"mode": "redirect", "rd": rd})
        refused(answer, *((400, "return_url_not_allowed") if "\r" not in rd else (answer.status_code, answer.json()["code"])))
        assert answer.status_code == 400
    for change in ({"X-Forwarded-Host": "evil.example"}, {"X-Forwarded-Proto": "javascript"}, {"X-Forwarded-Host": "app.example.com@evil.example"}, {"X-Forwarded-Uri": "@evil.example/"}):
        refused(forward(provider, query={"mode": "redirect"}, headers={**headers, **change}), 400, "return_url_not_allowed")
    refused(forward(provider, query={"mode": "redirect"}), 400, "return_url_not_allowed")
    refused(forward(provider, query={"mode": "other"}), 400, "malformed_parameter")


def visit(browser, url, hands_on=True):
    """What a browser that asks for an application behind a proxy comes to in the end: "in", or a page of ours (the login page, if nobody is logged in)."""
    browser.rounds = 0
    while browser.rounds < 10:
        browser.rounds += 1
        shown = requests.cookies.get_cookie_header(browser.session.cookies, requests.Request("GET", url).prepare())
        answer = browser.provider.ask("GET", "/auth/forward", query={"mode": "redirect", "rd": url}, headers={"Cookie": shown} if shown and hands_on else {})
        if answer.status_code == 200:
            return "in"
        assert answer.status_code == 302, answer.text
        answer = browser.get(answer.headers["Location"])
        if answer.status_code != 303:
            return browser.page(answer)
        assert answer.headers["Location"] == url
    raise AssertionError("the browser is sent round in circles")


class OwnHostOnly(http.cookiejar.DefaultCookiePolicy):
    """A browser that keeps no cookies for whole domains."""

    def set_ok(self, cookie, request):
        return not cookie.domain_specified and super().set_ok(cookie, request)


def drop_forward(browser):
    browser.session.cookies.clear(".example.com", "/", "tana_forward")


def test_a_login_without_the_cookie(provider_factory, change):
    """Who is logged in here is never sent to and fro: what is missing is given, and what cannot be is said."""
    provider, url = provider_factory(*FORWARD), APP + "/x?a=1&b=%26"
    browser = provider.browser()
    assert visit(browser, url).session
    browser.logged_in()
    assert visit(browser, url) == "in" and browser.rounds == 1
    drop_forward(browser)
    assert visit(browser, url) == "in" and browser.rounds == 2
    # From before there was a --cookie-domain.
    drop_forward(browser)
    change(provider.identity, "DELETE FROM oidc_forwards")
    assert visit(browser, url) == "in" and browser.rounds == 2
    shown = cookies_of(browser)["tana_forward"]
    browser.post("/logout", {})
    assert "tana_forward" not in cookies_of(browser)
    refused(forward(provider, {"tana_forward": shown}), 401, "unauthenticated")
    # A proxy that keeps cookies to itself; a browser that keeps none.
    browser = provider.browser().logged_in()
    page = visit(browser, url, hands_on=False)
    assert page.status == 400 and "did not hand it on" in page.text and url.replace("&", "&amp;") in page.text
    assert visit(browser, url) == "in"
    browser = provider.browser().logged_in()
    drop_forward(browser)
    browser.session.cookies.set_policy(OwnHostOnly())
    page = visit(browser, url)
    assert page.status == 400 and "does not keep the cookie for example.com" in page.text
    # Where no cookie of ours is shown, logging in helps nobody.
    page = visit(provider.browser(), CALLBACK)
    assert page.status == 400 and not page.session and "addresses under example.com alone" in page.text


def test_without_a_cookie_domain(provider_factory):
    provider = provider_factory("--allow-return-origin", PUBLIC_URL + ":8443")
    for browser in (provider.browser(), provider.browser().logged_in()):
        page = visit(browser, "https://app.example/x")
        assert page.status == 400 and not page.session and "this very host alone" in page.text
    assert visit(browser, PUBLIC_URL + ":8443/x") == "in"
    assert visit(browser, PUBLIC_URL + ":8443/x", hands_on=False).status == 400


def test_one_host_needs_no_domain(provider):
    """Without --cookie-domain there is one cookie, and it is enough where identityd is on the same host."""
    browser = provider.browser().logged_in()
    assert set(cookies_of(browser)) == {"tana_session"} and forward(provider, cookies_of(browser)).status_code == 200


def test_without_addresses(identity):
    """No --email-domain: no Remote-Email."""
    login, _ = identity.logged_in()
    answer = identity.get("/auth/forward", headers={"Cookie": f"tana_session={login.token}"})
    assert answer.expect(200) is None and answer.header("Remote-User") and not answer.header("Remote-Email")
    for name in ("@a b", "@a,staff", "@\u00e4", "@"):  # where nobody binds names they can be anything, but not in a header
        login, _ = identity.logged_in(Phone(name))
        identity.get("/auth/forward", headers={"Cookie": f"tana_session={login.token}"}).refused(403, "not_allowed")


def test_domains_that_are_none(provider_factory):
    for domain in ("com", "example.org", "xample.com", "Example.com", ".example.com", "d.example.com", "example.com.", "127.0.0.1", ""):
        provider_factory("--cookie-domain", domain, start=False).identity.daemon.refuse_to_start("cookie-domain")


# ---------------------------------------------------------------- nginx


class App:
    """An application that knows nothing of logins: it says what it was asked."""

    def __init__(self):
        app = self
        self.asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                app.asked.append(self.path)
                body = json.dumps({"path": self.path, "method": self.command, "headers": dict(self.headers)}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def finish(self):
        self.server.shutdown()
        self.server.server_close()


class Nginx:
    """nginx with the recipe of docs/identity.md: its addresses and its certificate alone are others."""

    def __init__(self, directory, identity, app):
        directory.mkdir()
        self.socket = directory / "nginx.sock"
        recipe = re.search(r"<!-- recipe: nginx -->\n```nginx\n(.*?)```", (ROOT / "docs/identity.md").read_text(), re.S)[1]
        for old, new in [("listen 443 ssl;", f"listen unix:{self.socket};"), ("127.0.0.1:8090", identity), ("127.0.0.1:3000", app)]:
            assert old in recipe
            recipe = recipe.replace(old, new)
        recipe, count = re.subn(r"\tssl_certificate.*\n", "", recipe)
        assert count == 2
        recipe = recipe.replace("$scheme", "https")  # which it would be with the certificate
        paths = "".join(f"{kind}_temp_path {directory}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        user = "user root;\n" if os.geteuid() == 0 else ""
        (directory / "nginx.conf").write_text(
            f"{user}daemon off;\nmaster_process off;\npid {directory}/pid;\nerror_log {directory}/error.log;\nevents {{}}\nhttp {{\naccess_log off;\n{paths}{recipe}}}\n")
        self.errors = directory / "error.log"
        binary = shutil.which("nginx") or "/usr/sbin/nginx"
        self.process = subprocess.Popen([binary, "-p", directory, "-c", directory / "nginx.conf"], stderr=subprocess.DEVNULL)
        eventually(self.answers, what=f"nginx: {self.process.poll()}")

    def answers(self):
        assert self.process.poll() is None, self.errors.read_text() if self.errors.exists() else "nginx ended"
        with contextlib.suppress(OSError):
            return self.ask("GET", "/").status == 302
        return False

    def ask(self, method, path, headers=None, body=None):
        c = http.client.HTTPConnection("app.example.com", timeout=10 * PATIENCE)
        c.sock = socket.socket(socket.AF_UNIX)
        c.sock.settimeout(10 * PATIENCE)
        c.sock.connect(str(self.socket))
        c.request(method, path, body=body, headers=headers or {})
        answer = c.getresponse()
        answer.content = answer.read()
        c.close()
        return answer

    def finish(self):
        self.process.send_signal(signal.SIGQUIT)
        try:
            self.process.wait(10 * PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def test_nginx(provider_factory, watched, tmp_path):
    provider, app = provider_factory(*FORWARD), App()
    watched.append(app)
    nginx = Nginx(tmp_path / "nginx", provider.identity.address, app.address)
    watched.append(nginx)

    # Nobody: to the login page, with the way back; whatever is forged on the way.
    path = "/a/b?x=1&y=%26%20"
    forged = {"Remote-User": "root", "X-Forwarded-Host": "evil.example", "Cookie": "tana_forward=tana_fw_x; other=1"}
    for method, body in (("GET", None), ("POST", b"data")):
        answer = nginx.ask(method, path, forged, body)
        assert answer.status == 302, answer.content
        target = urllib.parse.urlsplit(answer.headers["Location"])
        assert target.netloc == "id.example.com" and urllib.parse.parse_qs(target.query) == {"returnUrl": [APP + path], "forward": ["1"]}
    assert nginx.ask("GET", "/tana-forward").status == 404 and not app.asked

    browser = provider.browser(Phone("@alice"))
    response = browser.log_in(browser.get(answer.headers["Location"]))
    assert response.status_code == 303 and response.headers["Location"] == APP + path
    forward_cookie = cookies_of(browser)["tana_forward"]

    for cookie, passed_on in [
        (f"tana_forward={forward_cookie}", None), (f"a=1; tana_forward={forward_cookie}; b=2", "a=1; b=2"), (f"a=1; tana_forward={forward_cookie}", "a=1"),
        (f"xtana_forward=1; tana_forward={forward_cookie}", "xtana_forward=1"),
    ]:
        answer = nginx.ask("POST", path, {**forged, "Cookie": cookie}, b"data")
        seen = json.loads(answer.content)
        assert answer.status == 200 and (seen["path"], seen["method"]) == (path, "POST")
        assert (seen["headers"]["Remote-User"], seen["headers"]["Remote-Groups"], seen["headers"]["Remote-Email"]) == ("alice", "user", "alice@tana.example")
        assert seen["headers"].get("Cookie", "").strip("; ") == (passed_on or "") and forward_cookie not in answer.content.decode()
        assert seen["headers"]["Host"] == "app.example.com"
    # Over: out at once.
    browser.post("/logout", {})
    assert nginx.ask("GET", path, {"Cookie": f"tana_forward={forward_cookie}"}).status == 302
    # identityd away: nobody gets in.
    provider.identity.daemon.terminate()
    assert nginx.ask("GET", path, {"Cookie": f"tana_forward={forward_cookie}"}).status == 500
    assert len(app.asked) == 4
