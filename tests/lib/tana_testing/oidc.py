"""The OpenID Provider as applications and browsers meet it: a browser that keeps cookies and follows pages (requests, html.parser), the phone beside it, a file of
clients. Whatever crosses the wire is held against the daemon's OpenAPI document."""

import base64
import contextlib
import hashlib
import html.parser
import json
import secrets
import urllib.parse

import requests
from requests.adapters import HTTPAdapter

from .client import Answer
from .identity import PUBLIC_URL, Identity, Phone
from .mesh import patched

DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
CALLBACK = "https://app.example/cb"
SECRET = "a-secret-that-is-long-enough-for-anybody"
LETTERS = "BCDFGHJKLMNPQRSTVWXZ"


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def secret_hash(secret):
    return "sha256:" + hashlib.sha256(secret.encode()).hexdigest()


def client(client_id, *, secret=SECRET, after=None, **more):
    """An entry of the file of clients: confidential, for codes; `after` changes fields (mesh.DROP leaves one out)."""
    entry = {"clientId": client_id, "name": f"App {client_id}", "redirectUris": [CALLBACK], **more}
    if secret:
        entry["secretHashes"] = [secret_hash(secret)]
    return patched(entry, after)


ALL_GRANTS = ["authorization_code", "refresh_token", DEVICE]
#: The clients that most tests use.
CLIENTS = [
    client("web", grants=ALL_GRANTS, postLogoutRedirectUris=["https://app.example/bye", "https://app.example/bye?x=1"]),
    client("other", grants=ALL_GRANTS, redirectUris=[CALLBACK, "https://other.example/cb"], postLogoutRedirectUris=["https://other.example/bye"]),
    client("spa", secret=None, grants=ALL_GRANTS),
    client("edwards", idTokenAlg="EdDSA", consent="never"),
    client("trusted", consent="never", grants=ALL_GRANTS),
    client("staff", allowedGroups=["staff"], consent="never", grants=ALL_GRANTS),
    client("few", scopes=["openid"], authMethod="client_secret_basic"),
    client("post", authMethod="client_secret_post", requirePkce=True),
    client("native", secret=None, redirectUris=["com.example.app:/cb"]),
    client("tv", secret=None, after={"redirectUris": None}, grants=[DEVICE]),
]


class Pkce:
    def __init__(self):
        self.verifier = secrets.token_urlsafe(48)
        self.challenge = b64(hashlib.sha256(self.verifier.encode()).digest())
        self.asked = {"code_challenge": self.challenge, "code_challenge_method": "S256"}


class Wire(HTTPAdapter):
    """Carries what is said to the public URL to a daemon, as a proxy with TLS would, and checks what comes back."""

    def __init__(self, provider):
        super().__init__()
        self.provider = provider

    def send(self, request, **kw):
        asked = request.url
        identity = self.provider.next()
        request.url = identity.url + asked[len(self.provider.public_url) :]
        try:
            response = super().send(request, **kw)
        finally:
            request.url = asked
        response.url = asked
        path = asked[len(self.provider.public_url) :]
        answer = Answer(f"{request.method} {path}", response.status_code, list(response.headers.items()), response.content)
        document = identity.client.document
        template = document.check(request.method, path, answer)
        failed = answer.status >= 400 and answer.media == "application/json"
        identity.seen.append((request.method, template, answer.status, answer.code if failed else None))
        return response


class Provider:
    """One or more identityd with the same clients; requests go to one after the other."""

    def __init__(self, directory, db_url, clients=CLIENTS, *, args=(), instances=1, seen=None, public_url=PUBLIC_URL, **kw):
        directory.mkdir(parents=True, exist_ok=True)
        self.directory, self.public_url = directory, public_url
        self.clients_file = directory / "clients.json"
        self.write_clients(clients)
        self.identities = []
        for i in range(instances):
            own = directory / f"instance-{i}"
            more = ["--clients", self.clients_file, "--oidc-keys", own / "keys.json", "--email-domain", "tana.example", "--allow-return-origin", "https://app.example", *args]
            self.identities.append(Identity(own, db_url, args=[str(a) for a in more], seen=seen, public_url=public_url, **kw))
        self.turn = 0

    def write_clients(self, clients):
        text = clients if isinstance(clients, str) else json.dumps({"clients": clients})
        self.clients_file.write_text(text)

    def start(self):
        for one in self.identities:
            one.start()
        return self

    def finish(self):
        for one in self.identities:
            one.finish()

    def next(self):
        self.turn += 1
        return self.identities[self.turn % len(self.identities)]

    @property
    def identity(self):
        return self.identities[0]

    def session(self, into=None):
        """A requests.Session (or one that a library made) that reaches us at the public URL."""
        session = into or requests.Session()
        session.mount(self.public_url, Wire(self))
        return session

    # -- what applications do by themselves

    def ask(self, method, path, *, form=None, auth=None, headers=None, query=None, data=None):
        url = self.public_url + path + ("?" + urllib.parse.urlencode(query) if query else "")
        with self.session() as s:
            return s.request(method, url, data=form if data is None else data, auth=auth, headers=headers or {}, allow_redirects=False)

    def token(self, form, auth=("web", SECRET), **kw):
        return self.ask("POST", "/oauth2/token", form=form, auth=auth, **kw)

    def redeem(self, code, auth=("web", SECRET), redirect_uri=CALLBACK, **more):
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri, **more}
        return self.token({k: v for k, v in form.items() if v is not None}, auth)

    def refresh(self, token, auth=("web", SECRET), **more):
        return self.token({"grant_type": "refresh_token", "refresh_token": token, **more}, auth)

    def userinfo(self, token):
        return self.ask("GET", "/userinfo", headers={"Authorization": f"Bearer {token}"})

    def introspect(self, token, auth=("web", SECRET)):
        return good(self.ask("POST", "/oauth2/introspect", form={"token": token}, auth=auth))

    def revoke(self, token, auth=("web", SECRET)):
        return self.ask("POST", "/oauth2/revoke", form={"token": token}, auth=auth)

    def jwks(self):
        return good(self.ask("GET", "/jwks.json"))

    # -- what takes a browser

    def browser(self, phone=None):
        return Browser(self, phone or Phone())

    def code(self, browser=None, **asked):
        """A code for the client `web` (or the one asked for), with a browser that says yes to everything."""
        browser = browser or self.browser()
        answer = browser.authorize(**asked)
        assert "code" in answer, answer
        return answer["code"]

    def tokens(self, browser=None, auth=("web", SECRET), **asked):
        """What a whole code flow gives. auth (client, None): a public client."""
        pkce = Pkce()
        code = self.code(browser, client_id=auth[0], **pkce.asked, **asked)
        who = {} if auth[1] else {"client_id": auth[0]}
        return good(self.redeem(code, auth if auth[1] else None, code_verifier=pkce.verifier, **who))


def good(response, status=200):
    assert response.status_code == status, f"{response.request.method} {response.url} -> {response.status_code} {response.text[:800]}"
    return response.json() if response.headers.get("Content-Type", "").startswith("application/json") else response


def refused(response, status, code, error=None):
    """An error in OAuth's words; `error` where it is not the code itself."""
    body = response.json()
    assert (response.status_code, body["code"], body["error"]) == (status, code, error or code), f"{response.status_code} {body}"
    assert body["error_description"]
    return body


class Page(html.parser.HTMLParser):
    """What a page shows: its form, its text, the session and the link to a wallet that the login page has."""

    def __init__(self, text):
        super().__init__()
        self.form, self.fields, self.buttons, self.session, self.link, self.heading, self.text = None, {}, [], None, None, "", text
        self._in = None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == "main":
            self.session = attrs.get("data-session")
        elif tag == "form":
            self.form = attrs
        elif tag == "input":
            self.fields[attrs["name"]] = attrs.get("value", "")
        elif tag == "button" and "name" in attrs:
            self.buttons.append((attrs["name"], attrs["value"]))
        elif tag == "a" and attrs.get("href", "").startswith("tana:"):
            self.link = attrs["href"]
        self._in = tag

    def handle_endtag(self, tag):
        self._in = None

    def handle_data(self, data):
        if self._in == "h1":
            self.heading += data

    @property
    def qr(self):
        return json.loads(urllib.parse.parse_qs(urllib.parse.urlsplit(self.link).query)["qr"][0])


class Shown:
    """The login as the page shows it, for the phone."""

    def __init__(self, page):
        self.id, self.challenge, self.qr = page.session, page.qr["challenge"], page.qr


class Browser:
    """One browser with its cookies, and whoever holds the phone in front of it."""

    def __init__(self, provider, phone):
        self.provider, self.phone = provider, phone
        self.session = provider.session()
        self.seen_pages = []
        self.allow = True

    def get(self, url):
        return self.session.get(urllib.parse.urljoin(self.provider.public_url, url), allow_redirects=False)

    def post(self, url, form, headers=None):
        return self.session.post(urllib.parse.urljoin(self.provider.public_url, url), data=form, headers=headers, allow_redirects=False)

    def page(self, response):
        assert response.headers["Content-Type"] == "text/html; charset=utf-8", response.text
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
        page = Page(response.text)
        page.policy, page.status = policy, response.status_code
        self.seen_pages.append(page)
        return page

    def submit(self, page, button=None, **changes):
        fields = {**page.fields, **changes}
        if button:
            assert ("decision", button) in page.buttons
            fields["decision"] = button
        return self.post(page.form["action"], {k: v for k, v in fields.items() if v is not None})

    def scan(self, page):
        """The phone reads the code and approves; what it was shown is kept."""
        path = f"{self.provider.public_url}/auth/session/{page.session}"
        with self.provider.session() as phone:
            self.shown = good(phone.post(path + "/scan"))
            return good(phone.post(path + "/approve", json=self.phone.approval(Shown(page))))

    def log_in(self, response):
        """From the login page on, to where it leads."""
        page = self.page(response)
        self.scan(page)
        return self.get(f"/auth/session/{page.session}/continue")

    def logged_in(self):
        response = self.log_in(self.get("/login"))
        assert response.status_code == 303
        return self

    def follow(self, response):
        """Through logins, questions and redirects of ours, until the browser is sent elsewhere, or is shown something else. Returns that response."""
        for _ in range(12):
            if response.status_code == 303:
                target = urllib.parse.urljoin(self.provider.public_url, response.headers["Location"])
                if not target.startswith(self.provider.public_url + "/"):
                    return response
                response = self.get(target)
            elif response.status_code == 200 and 'data-session="' in response.text:
                response = self.log_in(response)
            elif response.status_code == 200 and 'action="/oauth2/consent"' in response.text:
                response = self.submit(self.page(response), "allow" if self.allow else "deny")
            else:
                return response
        raise AssertionError("the browser is sent round in circles")

    def start(self, after=None, **asked):
        """The first answer to an authorization of the client `web`."""
        query = {"client_id": "web", "redirect_uri": CALLBACK, "response_type": "code", "scope": "openid", "state": "st&te=1", **asked}
        query = patched(query, after)
        return self.get("/oauth2/authorize?" + urllib.parse.urlencode({k: v for k, v in query.items() if v is not None}))

    def authorize(self, **asked):
        """A whole authorization; returns what the client's redirect URI is told."""
        return told(self.follow(self.start(**asked)))


def told(response):
    """The parameters of the redirect that leaves us."""
    assert response.status_code == 303, f"{response.status_code} {response.text[:600]}"
    url = urllib.parse.urlsplit(response.headers["Location"])
    assert url.fragment == ""
    pairs = urllib.parse.parse_qsl(url.query, keep_blank_values=True)
    assert len(pairs) == len(dict(pairs))
    return {"": f"{url.scheme}:{'//' + url.netloc if url.netloc else ''}{url.path}", **dict(pairs)}


@contextlib.contextmanager
def changed(obj, **attributes):
    before = {k: getattr(obj, k) for k in attributes}
    for k, v in attributes.items():
        setattr(obj, k, v)
    yield obj
    for k, v in before.items():
        setattr(obj, k, v)
