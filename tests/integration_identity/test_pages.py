"""Promise: the login page works in a real browser, under its own strict policy, light and dark, on a desk and on a phone, with a keyboard, and without scripts. Its pictures are in
build/screenshots/."""

import json
import re
import subprocess
import urllib.parse

import pytest
from tana_testing.browser import Browser
from tana_testing.identity import Login, Phone
from tana_testing.redis import free_port

pytestmark = pytest.mark.storage_only("sqlite")


@pytest.fixture
def browser_factory(tmp_path, watched):
    count = iter(range(100))

    def make(**kw):
        made = Browser(tmp_path / f"browser-{next(count)}", **kw)
        watched.append(made)
        return made

    return make


@pytest.fixture
def page(identity_factory):
    """An identityd that is where it says it is."""

    def make(*args):
        port = free_port()
        return identity_factory(*args, public_url=f"http://127.0.0.1:{port}", listen=f"127.0.0.1:{port}")

    return make


def session_of(identity, browser):
    """The login that the page is for, as the phone reads it from the code."""
    link = browser.run("return document.querySelector('a.button').getAttribute('href')")
    assert link.startswith("tana://auth?qr=")
    code = json.loads(urllib.parse.unquote(link.removeprefix("tana://auth?qr=")))
    assert (code["protocol"], code["type"], code["version"], code["server"]) == ("tana", "auth", "1", identity.public_url)
    return Login(identity, {**code, "pollSecret": "unknown to the phone"})


def read_code(picture):
    """What a reader of QR codes sees in a picture."""
    done = subprocess.run(["zbarimg", "-q", "--raw", "-Sdisable", "-Sqrcode.enable", str(picture)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# How much brighter one colour is than the other (WCAG 2.2, 1.4.3), for every piece of text on the page.
CONTRASTS = """
function rgb(c) { return c.match(/[\\d.]+/g).slice(0, 3).map(Number); }
function light(c) { const v = rgb(c).map(x => x / 255).map(x => x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4); return 0.2126 * v[0] + 0.7152 * v[1] + 0.0722 * v[2]; }
function ground(e) { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; if (!/, 0\\)$|transparent/.test(c)) return c; } return 'rgb(255,255,255)'; }
const found = [];
for (const e of document.querySelectorAll('h1, p, a, button, summary, dt, dd, strong, label')) {
	if (!e.innerText || !e.innerText.trim() || !e.checkVisibility()) continue;
	const a = light(getComputedStyle(e).color), b = light(ground(e));
	found.push([e.tagName + ': ' + e.innerText.slice(0, 30), (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)]);
}
return found;
"""


def check_readable(browser, width):
    contrasts = browser.run(CONTRASTS)
    assert len(contrasts) >= 5 and all(ratio >= 4.5 for _, ratio in contrasts), contrasts
    assert browser.run("return document.documentElement.scrollWidth") <= width, "the page is wider than the window"


@pytest.mark.parametrize("dark, width, height", [(False, 1000, 900), (True, 1000, 900), (False, 360, 740), (True, 360, 740)])
def test_how_it_looks(page, browser_factory, dark, width, height):
    identity = page("--match-code", "always")
    browser = browser_factory(dark=dark, width=width, height=height)
    browser.open(identity.url + "/login")
    browser.wait_text("Expires in")
    login = session_of(identity, browser)
    name = f"login-{'dark' if dark else 'light'}-{width}"
    picture = browser.screenshot(name)
    assert json.loads(read_code(picture))["sessionId"] == login.id
    check_readable(browser, width)
    # For those who do not see it: a language, a name for the picture, words that are read out when they change.
    assert browser.run("return document.documentElement.lang") == "en" and browser.run("return document.title") == "Log in"
    assert "QR code" in browser.run("return document.querySelector('svg[role=img] title').textContent")
    assert browser.run("const s = document.querySelector('#status'); return [s.role || s.getAttribute('role'), s.getAttribute('aria-live')]") == ["status", "polite"]
    browser.run("document.querySelector('details').open = true")
    browser.screenshot(name + "-details")
    text = browser.text()
    assert identity.public_url in text and "127.0.0.1" in text
    login.scan().expect(200)
    browser.wait_text("Confirm it on your phone")
    browser.screenshot(name + "-scanned")
    login.reject().expect(200)
    browser.wait_text("The phone said no")
    browser.screenshot(name + "-rejected")
    check_readable(browser, width)
    assert browser.complaints() == []


def test_a_login(page, browser_factory):
    identity, browser = page(), browser_factory()
    browser.open(identity.url + "/login?returnUrl=" + urllib.parse.quote(identity.public_url + "/login.css"))
    login, phone = session_of(identity, browser), Phone()
    browser.wait_text("Waiting for your phone")
    login.scan().expect(200)
    browser.wait_text("Confirm it on your phone")
    login.approve(phone).expect(200)
    browser.wait(lambda: browser.url.endswith("/login.css"), "the return URL")
    cookie = browser.cookies()["tana_session"]
    assert cookie["httpOnly"] and cookie["sameSite"] == "Lax" and cookie["path"] == "/" and not cookie["secure"]
    assert identity.verify(cookie["value"]).expect(200)["userId"] == phone.user_id
    assert "tana_poll" not in browser.cookies()
    # Logged in: who, until when, and the way out.
    browser.open(identity.url + "/login")
    browser.wait_text(phone.username)
    browser.screenshot("logged-in")
    check_readable(browser, 1000)
    browser.click("button")
    browser.wait_text("not logged in any more")
    browser.screenshot("logged-out")
    assert "tana_session" not in browser.cookies()
    identity.verify(cookie["value"]).refused(401, "token_invalid")
    # A style sheet opened as a page of its own has no icon.
    assert [c for c in browser.complaints() if "favicon" not in c] == []


def test_no_and_again(page, browser_factory):
    identity, browser = page("--session-ttl", "8s"), browser_factory()
    browser.open(identity.url + "/login")
    first = session_of(identity, browser)
    assert not browser.run("return document.querySelector('#again').checkVisibility()")
    first.reject({"reason": "not me"}).expect(200)
    browser.wait_text("The phone said no")
    assert not browser.run("return document.querySelector('.code').checkVisibility()")
    browser.click("#again")
    browser.wait_text("Waiting for your phone")
    second = session_of(identity, browser)
    assert second.id != first.id
    browser.wait_text("This code has expired")
    browser.screenshot("expired")
    assert second.status == "expired" and browser.complaints() == []


def test_with_a_keyboard(page, browser_factory):
    identity, browser = page(), browser_factory()
    browser.open(identity.url + "/login")
    browser.wait_text("Expires in")
    reached = []
    for _ in range(4):
        browser.cdp("Input.dispatchKeyEvent", {"type": "keyDown", "key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9})
        browser.cdp("Input.dispatchKeyEvent", {"type": "keyUp", "key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9})
        reached.append(browser.run("const e = document.activeElement; return [e.tagName, getComputedStyle(e).outlineStyle]"))
    assert ["A", "solid"] in reached and ["SUMMARY", "solid"] in reached, reached


def test_without_scripts(page, browser_factory):
    identity, browser = page(), browser_factory(scripts=False)
    browser.open(identity.url + "/login?returnUrl=/login.css")
    source = browser.do("GET", "/source")
    session = re.search(r'data-session="(sess_[0-9a-z]{16})"', source)[1]
    picture = browser.screenshot("login-without-scripts")
    code = json.loads(read_code(picture))
    login = Login(identity, {**code, "pollSecret": "unknown to the phone"})
    assert login.id == session
    login.approve(Phone()).expect(200)
    browser.click("noscript a")
    browser.wait(lambda: browser.url.endswith("/login.css"), "the return URL")
    assert "tana_session" in browser.cookies()


def test_headers_of_pages(page):
    identity = page()
    answer = identity.get("/login")
    policy = dict(part.strip().partition(" ")[::2] for part in answer.header("Content-Security-Policy").split(";"))
    assert policy["default-src"] == "'none'" and policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'" and "unsafe" not in answer.header("Content-Security-Policy")
    assert answer.header("X-Frame-Options") == "DENY" and answer.header("Referrer-Policy") == "no-referrer" and answer.header("Cache-Control") == "no-store"
    body = answer.body.decode()
    assert "style=" not in body and not re.search(r"\son\w+=", body) and not re.search(r"<script(?! src=\"/login.js\")", body)
    for path, kind in (("/login.css", "text/css"), ("/login.js", "text/javascript"), ("/login.svg", "image/svg+xml")):
        asset = identity.get(path)
        assert asset.status == 200 and asset.media == kind and b"http" not in re.sub(rb"http://www.w3.org\S*", b"", asset.body)
        assert identity.get(path, headers={"If-None-Match": asset.header("ETag")}).status == 304
