"""Promise: a real browser, with its own reading of cookies and policies, goes through login, question and device page, and back to the application."""

import http.server
import threading
import urllib.parse

import pytest
from tana_testing.browser import Browser
from tana_testing.identity import Phone
from tana_testing.oidc import DEVICE, SECRET, Page, Pkce, Shown, client, good
from tana_testing.redis import free_port


class App:
    def __init__(self):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write(b"<link rel=icon href='data:,'><h1>Welcome to Notes</h1>")

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def finish(self):
        self.server.shutdown()
        self.server.server_close()


def looks(browser, name):
    """Pictures as people have it: wide and on a phone, light and dark. Nothing runs over the edge."""
    for size, (width, height) in {"wide": (1000, 900), "phone": (360, 740)}.items():
        browser.resize(width, height)
        for scheme in ("light", "dark"):
            browser.cdp("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
            browser.screenshot(f"{name}-{size}-{scheme}")
        assert browser.run("return document.documentElement.scrollWidth") <= width, f"{name} {size}"


@pytest.mark.storage_only("sqlite")
def test_a_browser_goes_all_the_way(provider_factory, watched, tmp_path):
    app, phone, port = App(), Phone("@alice"), free_port()
    watched.append(app)
    callback, home = f"http://{app.address}/cb", f"http://127.0.0.1:{port}"
    clients = [
        client("web", name="Notes", redirectUris=[callback], grants=["authorization_code", "refresh_token"]),
        client("tv", name="Television", secret=None, after={"redirectUris": None}, grants=[DEVICE]),
    ]
    provider = provider_factory(clients=clients, public_url=home, listen=f"127.0.0.1:{port}")
    browser = Browser(tmp_path / "browser")
    watched.append(browser)

    pkce = Pkce()
    query = {"client_id": "web", "redirect_uri": callback, "response_type": "code", "scope": "openid profile email groups offline_access", "state": "s", **pkce.asked}
    browser.open(f"{home}/oauth2/authorize?{urllib.parse.urlencode(query)}")
    page = Page(browser.run("return document.documentElement.outerHTML"))
    path = f"{home}/auth/session/{page.session}"
    with provider.session() as wallet:
        good(wallet.post(path + "/scan"))
        good(wallet.post(path + "/approve", json=phone.approval(Shown(page))))
    browser.wait_text("Notes asks who you are")  # the page went on by itself
    assert "alice" in browser.text() and app.address in browser.text()
    looks(browser, "consent")
    browser.click("button[value=allow]")
    browser.wait(lambda: browser.url.startswith(callback + "?code="), "the way back, which the policy for forms must let pass")
    told = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(browser.url).query))
    assert told["state"] == "s" and "Welcome to Notes" in browser.text("body")
    tokens = good(provider.redeem(told["code"], ("web", SECRET), callback, code_verifier=pkce.verifier))
    assert good(provider.userinfo(tokens["access_token"]))["preferred_username"] == "alice"

    # A device, typed by hand.
    asked = good(provider.ask("POST", "/oauth2/device_authorization", form={"client_id": "tv"}))
    browser.open(asked["verification_uri"])
    looks(browser, "device")
    browser.type("#user_code", asked["user_code"].lower() + "\n")
    browser.wait_text("Television wants to be logged in on a device")
    looks(browser, "device-question")
    browser.click("button[value=allow]")
    browser.wait_text("The device is logged in")
    assert good(provider.token({"grant_type": DEVICE, "device_code": asked["device_code"], "client_id": "tv"}, None))["access_token"]

    # Out, and nobody is there any more.
    browser.open(f"{home}/oauth2/logout?client_id=web")
    looks(browser, "logout")
    browser.click("button[value=logout]")
    browser.wait_text("Logged out")
    browser.open(f"{home}/device")
    browser.wait_text("Log in to a device")
    assert not browser.complaints()
