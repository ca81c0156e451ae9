"""Holds every answer of a daemon against its own OpenAPI document: statuses, media types, JSON Schema 2020-12, error codes."""

import re

import jsonschema

#: What the HTTP room, the body reader and the database can refuse on any path.
ANYWHERE = {
    "malformed_request", "malformed_parameter", "unexpected_body", "not_found", "method_not_allowed", "length_required", "too_large", "unsupported_media_type",
    "expectation_failed", "overloaded", "shutting_down", "unavailable",
}
METHODS = ("get", "post", "put", "delete", "head", "options", "patch", "trace")


class Violation(AssertionError):
    """A daemon answered outside its document."""


class Document:
    def __init__(self, doc):
        if not doc.get("openapi", "").startswith("3.1"):
            raise Violation(f"not an OpenAPI 3.1 document: {doc.get('openapi')!r}")
        self.doc = doc
        self.resolver = jsonschema.RefResolver("", doc)
        self.validators = {}
        self.routes = []  # (regular expression, template, path item), literal segments before parameters
        for template, item in doc["paths"].items():
            parts = [p if not p.startswith("{") else None for p in template.split("/")]
            pattern = "/".join("[^/]+" if p is None else re.escape(p) for p in parts)
            self.routes.append((re.compile(pattern + r"\Z"), template, item, parts.count(None)))
        self.routes.sort(key=lambda r: r[3])

    def find(self, path):
        """(template, path item) of a request path, or (None, None)."""
        for pattern, template, item, _ in self.routes:
            if pattern.match(path):
                return template, item
        return None, None

    def operations(self):
        """(METHOD, template, operation) of each operation."""
        for template, item in self.doc["paths"].items():
            for method, operation in item.items():
                if method in METHODS:
                    yield method.upper(), template, operation

    def follow(self, node):
        while isinstance(node, dict) and "$ref" in node:
            node = self.resolver.resolve(node["$ref"])[1]
        return node

    def request_schema(self, operation):
        """The schema of an operation's JSON body, or None."""
        body = self.follow(operation.get("requestBody") or {})
        return self.follow(body.get("content", {}).get("application/json", {}).get("schema"))

    def _check(self, schema, value, what):
        key = id(schema)
        if key not in self.validators:
            self.validators[key] = jsonschema.Draft202012Validator(schema, resolver=self.resolver)
        error = jsonschema.exceptions.best_match(self.validators[key].iter_errors(value))
        if error is not None:
            where = "/".join(str(p) for p in error.absolute_path)
            raise Violation(f"{what}: at '{where}': {error.message[:600]}")

    def check_error(self, status, value, operation, what):
        """Any answer >= 400: the Error schema, with a code that the operation lists or that any can give."""
        self._check(self.doc["components"]["schemas"]["Error"], value, what)
        if not value["error"] or not re.fullmatch(r"[a-z][a-z0-9_]*", value["code"]):
            raise Violation(f"{what}: {value}")
        if status == 500 and value["code"] not in (operation or {}).get("x-tana-errors", ()):
            raise Violation(f"{what}: an internal error: {value}")
        if value["code"] not in ANYWHERE and value["code"] not in (operation or {}).get("x-tana-errors", ()):
            raise Violation(f"{what}: the document does not list the code {value['code']!r} there")

    def _is_page(self, answer, operation):
        """What people are shown has no code; the document lists such a page."""
        response = (operation or {}).get("responses", {}).get(str(answer.status), {})
        return answer.media == "text/html" and "text/html" in response.get("content", {})

    def check(self, method, path, answer):
        """Raises Violation when the answer does not fit. Returns the route's template, or None for a path of no route."""
        what = f"{method} {path} -> {answer.status}"
        if not answer.header("X-Request-Id"):
            raise Violation(f"{what}: no X-Request-Id")
        template, item = self.find(path.partition("?")[0])
        operation = (item or {}).get("get" if method == "HEAD" else method.lower())
        exact = self.follow((operation or {}).get("responses", {}).get(str(answer.status)) or {}).get("content", {})
        page = answer.media in exact and answer.media != "application/json"
        if answer.status >= 400 and method != "HEAD" and not page:
            if not self._is_page(answer, operation):
                if answer.media != "application/json":
                    raise Violation(f"{what}: an error of type {answer.media!r}: {answer.body[:200]!r}")
                self.check_error(answer.status, answer.json, operation, what)
        if operation is None:
            if answer.status not in (400, 404, 405, 413, 429, 503):
                raise Violation(f"{what}: no such operation in the document")
            return template
        responses = operation["responses"]
        response = responses.get(str(answer.status)) or responses.get(f"{answer.status // 100}XX") or responses.get("default")
        if response is None or (answer.status < 400 and str(answer.status) not in responses):
            raise Violation(f"{what}: a status that the document does not list: {sorted(responses)}")
        if method == "HEAD" or answer.status in (204, 304):
            if answer.body:
                raise Violation(f"{what}: a body where none may be")
            return template
        content = self.follow(response).get("content", {})
        kind = answer.media if answer.media in content else answer.header("Content-Type")
        if kind is None and not content and not answer.body:
            return template
        if kind not in content:
            raise Violation(f"{what}: media type {kind!r}, documented: {sorted(content)}")
        if answer.media == "application/json" and "schema" in content[kind]:
            self._check(content[kind]["schema"], answer.json, what)
        return template

    def promises(self):
        """(METHOD, template, status, code) of everything an operation says it can answer: successes with code None, refusals by their codes."""
        for method, template, operation in self.operations():
            for status in operation["responses"]:
                if status.isdigit() and int(status) < 400:
                    yield method, template, int(status), None
            for code in operation.get("x-tana-errors", ()):
                yield method, template, None, code
