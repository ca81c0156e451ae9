"""Promise: `identityd client` makes entries that identityd takes, and shows a secret once."""

import hashlib
import json
import re
import stat

from tana_testing.daemon import binary, run
from tana_testing.identity import PUBLIC_URL
from tana_testing.oidc import CALLBACK, DEVICE


def client(tmp_path, *args, stdin=None):
    return run([binary("identityd"), "client", *args], tmp_path, stdin=stdin)


def test_add(tmp_path):
    path = tmp_path / "clients.json"
    done = client(tmp_path, "add", "grafana", "--name", "Grafana", "--redirect-uri", CALLBACK, "--redirect-uri", "https://b.example/cb", "--clients", path)
    secret = done.stdout.strip()
    assert done.returncode == 0 and re.fullmatch(r"[A-Za-z0-9_-]{43}", secret) and not done.stderr, done.stderr
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    path.chmod(0o644)
    for args in (
        ["spa", "--public", "--redirect-uri", "com.example.app:/cb", "--alg", "EdDSA"],
        ["tv", "--public", "--device"],
        ["proxy", "--redirect-uri", CALLBACK, "--logout-uri", "https://a.example/bye", "--refresh", "--device", "--group", "staff", "--group", "sovereign", "--no-consent"],
    ):
        assert client(tmp_path, "add", *args, "--clients", path).returncode == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o644  # as it was
    assert secret not in path.read_text()
    grafana, spa, tv, proxy = json.loads(path.read_text())["clients"]
    assert grafana == {
        "clientId": "grafana", "name": "Grafana", "secretHashes": ["sha256:" + hashlib.sha256(secret.encode()).hexdigest()],
        "redirectUris": [CALLBACK, "https://b.example/cb"], "grants": ["authorization_code"],
    }
    assert spa == {"clientId": "spa", "name": "spa", "redirectUris": ["com.example.app:/cb"], "grants": ["authorization_code"], "idTokenAlg": "EdDSA"}
    assert tv == {"clientId": "tv", "name": "tv", "grants": [DEVICE]}
    assert proxy["grants"] == ["authorization_code", "refresh_token", DEVICE] and proxy["consent"] == "never" and proxy["allowedGroups"] == ["staff", "sovereign"]
    check = run([binary("identityd"), "run", "--check-config", "--public-url", PUBLIC_URL, "--clients", path, "--db", f"sqlite:{tmp_path}/x.db"], tmp_path)
    assert check.returncode == 0, check.stderr


def test_add_prints_the_document_when_there_is_no_file(tmp_path):
    done = client(tmp_path, "add", "a", "--redirect-uri", CALLBACK)
    made = json.loads(done.stdout)["clients"]
    secret = re.fullmatch(r"client secret: (\S{43})\n", done.stderr)[1]
    assert made[0]["secretHashes"] == ["sha256:" + hashlib.sha256(secret.encode()).hexdigest()]


def test_add_refuses(tmp_path):
    path = tmp_path / "clients.json"
    assert client(tmp_path, "add", "a", "--redirect-uri", CALLBACK, "--clients", path).returncode == 0
    before = path.read_bytes()
    for args, says in [
        (["a", "--redirect-uri", CALLBACK], "has a client a already"), (["b c", "--redirect-uri", CALLBACK], "clientId must be"), (["b"], "redirectUris is missing"),
        (["b", "--redirect-uri", "http:/x"], "redirectUris[0] must be"), (["b", "--redirect-uri", "javascript:alert(1)"], "redirectUris[0] must be"),
        (["b", "--redirect-uri", CALLBACK, "--group", "admins"], "allowedGroups[0] must be"), (["b", "--refresh"], "nothing to refresh"),
        (["b", "--redirect-uri", CALLBACK, "--alg", "none"], "RS256"), (["b", "--redirect-uri", "com.example:/x"], "for clients without a secret"),
    ]:
        done = client(tmp_path, "add", *args, "--clients", path)
        assert done.returncode in (1, 2) and says in done.stderr and not done.stdout, (args, done.stderr)
    path.write_text("{")
    assert client(tmp_path, "add", "b", "--redirect-uri", CALLBACK, "--clients", path).returncode == 2 and path.read_text() == "{"
    path.write_bytes(before)
    assert client(tmp_path, "add", "b", "--redirect-uri", CALLBACK, "--clients", tmp_path / "none" / "clients.json").returncode == 1


def test_hash(tmp_path):
    secret = "s" * 32
    done = client(tmp_path, "hash", stdin=secret + "\n")
    assert done.stdout == "sha256:" + hashlib.sha256(secret.encode()).hexdigest() + "\n"
    assert client(tmp_path, "hash", stdin=secret).stdout == done.stdout
    for wrong in ("", "\n", "s" * 31 + "\n", "s" * 600, secret + "\n" + secret):
        done = client(tmp_path, "hash", stdin=wrong)
        assert done.returncode == 2 and "one line of 32 to 512" in done.stderr and secret not in done.stderr and not done.stdout


def test_wrong_configurations(tmp_path):
    base = [binary("identityd"), "run", "--check-config", "--public-url", PUBLIC_URL, "--db", f"sqlite:{tmp_path}/x.db"]
    for args, says in [
        (["--email-domain", "Example.COM"], "--email-domain"), (["--email-domain", "a@b"], "--email-domain"), (["--clients", tmp_path / "none.json"], "cannot be read"),
        (["--oidc-key-lifetime", "1h", "--oidc-key-overlap", "31m"], "at most half"), (["--oidc-key-lifetime", "0"], "oidc-key-lifetime"),
    ]:
        done = run([*base, *args], tmp_path)
        assert done.returncode in (1, 2) and says in done.stderr, (args, done.stderr)
