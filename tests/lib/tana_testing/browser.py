"""A headless Chromium for tests, driven over WebDriver (W3C) with the standard library alone."""

import base64
import http.client
import json
import pathlib
import shutil
import subprocess
import time

from .client import eventually
from .daemon import PATIENCE, ROOT
from .redis import free_port

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
#: Where pictures go, to be looked at.
SCREENSHOTS = ROOT / "build" / "screenshots"


class BrowserError(Exception):
    pass


class Browser:
    """One browser with one window and a profile of its own."""

    def __init__(self, directory, *, width=1000, height=900, dark=False, scripts=True):
        directory = pathlib.Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        with open(directory / "chromedriver.log", "ab") as log:
            self.driver = subprocess.Popen([shutil.which("chromedriver"), f"--port={self.port}"], stdout=log, stderr=log, start_new_session=True)
        self.session = None
        eventually(self._is_up, within=30 * PATIENCE, what="chromedriver")
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", f"--window-size={width},{height}"]
        flags += [f"--user-data-dir={directory / 'profile'}", "--no-first-run", "--disable-background-networking", "--lang=en"]
        flags += ["--force-dark-mode"] if dark else []
        options = {"args": flags, "binary": shutil.which("chromium"), "prefs": {} if scripts else {"profile.managed_default_content_settings.javascript": 2}}
        wanted = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        self.session = self._call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}}, timeout=120)["sessionId"]
        self.resize(width, height)
        if dark:
            self.cdp("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]})

    def finish(self):
        try:
            if self.session:
                self._call("DELETE", f"/session/{self.session}")
        finally:
            self.driver.terminate()
            self.driver.wait(20)

    def _is_up(self):
        try:
            return self._call("GET", "/status")["ready"]
        except OSError:
            return False

    def _call(self, method, path, body=None, timeout=60):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout * PATIENCE)
        try:
            c.request(method, path, json.dumps(body) if body is not None else None, {"Content-Type": "application/json"})
            value = json.loads(c.getresponse().read())["value"]
        finally:
            c.close()
        if isinstance(value, dict) and "error" in value:
            raise BrowserError(f"{method} {path}: {value['error']}: {value['message'][:500]}")
        return value

    def do(self, method, path, body=None):
        return self._call(method, f"/session/{self.session}{path}", body)

    def cdp(self, command, params):
        return self.do("POST", "/goog/cdp/execute", {"cmd": command, "params": params})

    def resize(self, width, height):
        """The page's own size, whatever the window's."""
        self.cdp("Emulation.setDeviceMetricsOverride", {"width": width, "height": height, "deviceScaleFactor": 2, "mobile": width < 600})

    # -- pages

    def open(self, url):
        self.do("POST", "/url", {"url": url})

    @property
    def url(self):
        return self.do("GET", "/url")

    def run(self, script, *args):
        return self.do("POST", "/execute/sync", {"script": script, "args": list(args)})

    def text(self, selector="main"):
        """What a person sees there; None when there is nothing."""
        return self.run("const e = document.querySelector(arguments[0]); return e ? e.innerText : null", selector)

    def click(self, selector):
        found = self.do("POST", "/element", {"using": "css selector", "value": selector})
        self.do("POST", f"/element/{found[ELEMENT]}/click", {})

    def type(self, selector, text):
        found = self.do("POST", "/element", {"using": "css selector", "value": selector})
        self.do("POST", f"/element/{found[ELEMENT]}/value", {"text": text})

    def cookies(self):
        return {c["name"]: c for c in self.cdp("Network.getAllCookies", {})["cookies"]}

    def wait(self, check, what, within=20):
        deadline = time.monotonic() + within * PATIENCE
        while not (value := check()):
            assert time.monotonic() < deadline, f"not within {within} s: {what}; the page at {self.url} says {self.text('body')!r}"
            time.sleep(0.05)
        return value

    def wait_text(self, part, selector="body"):
        return self.wait(lambda: part in (self.text(selector) or ""), f"{part!r}")

    def complaints(self):
        """What the browser's console says of errors: refused by the policy, scripts that failed, files that were not there."""
        return [e["message"] for e in self.do("POST", "/se/log", {"type": "browser"}) if e["level"] in ("SEVERE", "WARNING")]

    def screenshot(self, name):
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        path = SCREENSHOTS / f"{name}.png"
        path.write_bytes(base64.b64decode(self.do("GET", "/screenshot")))
        return path
