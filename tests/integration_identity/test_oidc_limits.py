"""Promise: whoever asks too often is told so on every path that writes, and in OAuth's words where OAuth is spoken; forms are read by their fields."""

from tana_testing.oidc import refused


def test_every_path_that_writes_has_a_limit(identity_factory):
    identity = identity_factory("--rate-limit", "1", "--rate-burst", "1", "--rate-limit-loopback")
    document = identity.client.document
    limited = [(m, t, o) for m, t, o in document.operations() if "rate_limited" in o.get("x-tana-errors", ())]
    assert len(limited) > 15
    for method, template, _ in limited:
        path = template.replace("{id}", "x")
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        for _ in range(20):
            answer = identity.client.call(method, path, b"" if method == "POST" else None, headers=headers if method == "POST" else None)
            if answer.status == 429 and answer.media == "application/json":
                break
        assert answer.code == "rate_limited" and int(answer.header("Retry-After")) >= 1, answer
        oauth = template.startswith("/oauth2/")
        assert (answer.json["error"] == "temporarily_unavailable") == oauth and ("error_description" in answer.json) == oauth


def test_forms_are_read_by_their_fields(provider):
    browser = provider.browser().logged_in()
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for path in ("/oauth2/authorize", "/oauth2/consent", "/oauth2/logout"):
        for body in ("state=a&state=b", "state=%", "state=%00", "state=" + "x" * 5000, "client_id=" + "x" * 100):
            refused(browser.post(path, body, form), 400, "malformed_parameter", "invalid_request")
        refused(browser.post(path, "x=" + "y" * 20000, form), 413, "too_large", "invalid_request")
        refused(browser.post(path, "{}", {"Content-Type": "application/json"}), 415, "unsupported_media_type", "invalid_request")
    for answer in (browser.post("/device", "user_code=a&user_code=b", form), browser.get("/device?user_code=a&user_code=b")):
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed_parameter")
