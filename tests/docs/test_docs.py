"""Promise: the documents are current and true: what they name exists, what exists is named, what they tell to type works."""

import json
import os
import pathlib
import re
import shlex
import sqlite3
import subprocess

import jsonschema
import pytest
from tana_testing import oracle, prometheus
from tana_testing.client import Client
from tana_testing.daemon import BUILD, Daemon, binary, run
from tana_testing.mesh import Mesh

ROOT = pathlib.Path(__file__).parents[2]
DOCS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
WRITTEN = [p for p in DOCS if p.name != "api.md"]  # by people


def read(name):
    return (ROOT / name).read_text()


def section(text, heading):
    """The text under a heading, up to the next one of its level or above."""
    level = len(heading) - len(heading.lstrip("#"))
    begin = text.index(f"\n{heading}\n") + len(heading) + 2
    end = re.compile(rf"^#{{1,{level}}} ", re.M).search(text, begin)
    return text[begin : end.start() if end else None]


def rows(text):
    """The cells of a Markdown table's body rows."""
    lines = [x for x in text.split("\n") if x.startswith("|")]
    return [[c.strip() for c in x.strip("|").split(" | ")] for x in lines if not re.fullmatch(r"[|\- ]+", x)][1:]


def without_code(text):
    return re.sub(r"^```.*?^```$", "", text, flags=re.S | re.M)


# ---------------------------------------------------------------- generated files


def test_generated_documents_are_what_the_programs_say():
    done = subprocess.run([ROOT / "docs/generate.sh", "--check"], env={**os.environ, "TANA_BUILD": str(BUILD)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]


def test_the_check_of_generated_documents_finds_an_old_one(tmp_path):
    """A check that cannot fail is none."""
    copy = tmp_path / "tree"
    copy.mkdir()
    subprocess.run(["cp", "-a", ROOT / "docs", copy], check=True)
    (copy / "docs/api.md").write_text(read("docs/api.md") + "\nlater\n")
    done = subprocess.run([copy / "docs/generate.sh", "--check"], env={**os.environ, "TANA_BUILD": str(BUILD)}, capture_output=True, text=True)
    assert done.returncode == 1 and "docs/api.md" in done.stderr


@pytest.mark.parametrize("page", sorted((ROOT / "docs/man").iterdir()), ids=lambda p: p.name)
def test_manual_pages_are_clean(page):
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", page], capture_output=True, text=True)
    assert done.returncode == 0 and not done.stdout, done.stdout


SERVICES = ["mesh", "t4", "ledger", "identity"]
DAEMONS = [f"{service}d" for service in SERVICES]


def _openapi(service):
    return json.loads(read(f"docs/openapi/{service}.json"))


@pytest.fixture(scope="module", params=SERVICES)
def openapi(request):
    return _openapi(request.param)


def _walk(value, path="#"):
    yield path, value
    if isinstance(value, dict):
        for k, v in value.items():
            yield from _walk(v, f"{path}/{k}")
    elif isinstance(value, list):
        for i, v in enumerate(value):
            yield from _walk(v, f"{path}/{i}")


def _operations(openapi):
    for template, item in openapi["paths"].items():
        for method, operation in item.items():
            yield method, template, operation


def test_the_openapi_document_is_sound(openapi):
    assert openapi["openapi"].startswith("3.1.") and openapi["info"]["title"] and openapi["info"]["version"]
    for path, value in _walk(openapi):
        if isinstance(value, dict) and "$ref" in value:
            at = openapi
            assert value["$ref"].startswith("#/"), path
            for part in value["$ref"][2:].split("/"):
                assert part in at, f"{path}: {value['$ref']} leads nowhere"
                at = at[part]
    for name, schema in openapi["components"]["schemas"].items():
        jsonschema.Draft202012Validator.check_schema(schema)
        assert re.fullmatch(r"[A-Za-z0-9._-]+", name)
    ids = [o["operationId"] for _, _, o in _operations(openapi)]
    assert len(ids) == len(set(ids)) > 8
    for method, template, operation in _operations(openapi):
        assert method in ("get", "post", "put", "delete") and operation["summary"] and operation["responses"], template
        declared = {p["name"] for p in operation.get("parameters", []) if p["in"] == "path"}
        assert declared == set(re.findall(r"\{(\w+)\}", template)), template
        assert ("requestBody" in operation) <= (method != "get")
        for parameter in operation.get("parameters", []):
            jsonschema.Draft202012Validator.check_schema(parameter["schema"])
        for status, response in operation["responses"].items():
            assert re.fullmatch(r"[1-5]\d\d|[1-5]XX|default", status) and ("$ref" in response or response["description"]), (template, status)


def test_every_route_is_in_the_reference_and_no_other():
    routes = {m.upper() + " " + re.sub(r"{(\w+)}", r":\1", t) for service in SERVICES for m, t, _ in _operations(_openapi(service))}
    api = read("docs/api.md")
    assert set(re.findall(r"^### ((?:GET|POST|PUT|DELETE) \S+)$", api, re.M)) == routes
    assert set(re.findall(r"^\| \[`([A-Z]+ \S+)`\]", api, re.M)) == routes
    told = read("docs/protocol.md")
    for route in routes:
        if not re.search(r"\.(css|js|svg|ico|png)$", route):  # parts of a page
            assert route.split("/:")[0].split(" ")[1].strip("/").split("/")[0] in told, f"docs/protocol.md does not speak of {route}"


# ---------------------------------------------------------------- codes, events, metrics, tables


def _codes():
    """{(text, status): [names]} of codes.def: the ledger answers some of its refusals with another status than other services."""
    text = read("common/base/codes.def")
    service, _, client = text.partition("/* Never an HTTP answer")
    found = re.compile(r'^CODE\((\w+), "(\w+)", (\d+)\)', re.M)
    codes = {}
    for name, text, status in found.findall(service):
        codes.setdefault((text, int(status)), []).append(name)
    assert len(codes) > 30 and found.findall(client)
    return codes


def _used_in_services(name):
    places = [*DAEMONS, "common/http", "common/json", "common/db", "common/wire", "common/crypto", "common/base"]
    files = [p for place in places for p in (ROOT / place).glob("*.[ch]") if p.name != "client.c"]
    return any(re.search(rf"\bERR_{name}\b", p.read_text()) for p in files)


def test_every_code_a_client_can_meet_is_explained(openapi):
    codes = _codes()
    told = {(row[0].strip("`"), int(row[1])) for row in rows(section(read("docs/protocol.md"), "# Error codes"))}
    assert told <= set(codes), f"docs/protocol.md: {told - set(codes)}"
    promised = {code for _, _, o in _operations(openapi) for code in o.get("x-tana-errors", [])}
    assert promised <= {code for code, _ in told}, f"not explained: {promised - {code for code, _ in told}}"
    used = {code for code, names in codes.items() if any(map(_used_in_services, names))}
    assert used <= told, f"not explained: {used - told}"
    assert told <= used, f"explained, and met nowhere: {told - used}"


def test_codes_named_in_the_documents_exist():
    known = set(_codes())
    texts = {text for text, _ in known}
    for path in (ROOT / "docs/protocol.md", ROOT / "docs/operations.md"):
        for status, code in re.findall(r"\b([45]\d\d) `([a-z_]+)`", path.read_text()):
            assert code in texts and (code, int(status)) in known, f"{path.name}: {status} {code}"


def test_every_event_is_explained():
    source = read("meshd/mesh_rules.c")
    events = set(re.findall(r'\[EVENT_\w+\] = "([a-z.]+)"', source))
    told = set(re.findall(r"`([a-z]+\.[a-z]+)`", section(read("docs/protocol.md"), "## Events")))
    assert len(events) > 10 and told == events


def test_every_table_is_in_the_architecture():
    sources = read("meshd/mesh_schema.c") + read("ledgerd/ledger_schema.c") + read("common/db/db_migrate.c")
    made, gone = (set(re.findall(pattern, sources)) for pattern in (r"CREATE TABLE (?:IF NOT EXISTS )?(\w+)", r"DROP TABLE (\w+)"))
    renamed = dict(re.findall(r"ALTER TABLE (\w+) RENAME TO (\w+)", sources))
    tables = made - set(renamed) - (gone - set(renamed.values()))
    listed = {t: row[2] for row in rows(section(read("docs/architecture.md"), "## Storage")) for t in re.findall(r"`(\w+)`", row[0])}
    assert set(listed) == tables
    assert all((verdict == "no") == t.startswith("local_") for t, verdict in listed.items())


def test_every_room_and_family_of_files_is_in_the_architecture():
    text = read("docs/architecture.md")
    rooms = {re.sub(r"`", "", row[0]) for row in rows(section(text, "## Rooms and arrows"))}
    programs = {p.parent.name for p in ROOT.glob("*/*d.c") if p.name == f"{p.parent.name}.c"} | {"tana-cli"}
    assert rooms == {p.name for p in (ROOT / "common").iterdir() if p.is_dir()} | programs
    patterns = [p for row in rows(section(text, "## What each family of files is for")) for p in re.findall(r"`([\w.*]+)`", row[0])]
    for path in [p for daemon in ("meshd", "t4d", "ledgerd") for p in (ROOT / daemon).glob("*.[ch]")]:
        fits = any(pathlib.PurePath(path.name).match(p) for p in patterns) or path.name in ("api.h", "mesh.h", "t4.h", "ledger.h")
        assert fits, f"docs/architecture.md does not say what {path.parent.name}/{path.name} is for"


# ---------------------------------------------------------------- links, words


def _slug(heading):
    return re.sub(r"[^\w\- ]", "", re.sub(r"`|\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()).replace(" ", "-")


def _anchors(path):
    out = {}
    for heading in re.findall(r"^#+ (.*)$", without_code(path.read_text()), re.M):
        slug = _slug(heading)
        out[slug if slug not in out else f"{slug}-{out[slug]}"] = 1
    return out


@pytest.mark.parametrize("path", DOCS, ids=lambda p: p.name)
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(path.read_text())):
        if re.match(r"https?://", target):
            assert target.startswith(("https://c2sp.org/", "https://html.spec.whatwg.org/")), f"{target}: only standards are linked to"
            continue
        name, _, anchor = target.partition("#")
        there = (path.parent / name).resolve() if name else path
        assert there.exists(), f"{path.name}: {target}"
        if anchor:
            assert anchor in _anchors(there), f"{path.name}: {target}"


@pytest.mark.parametrize("path", DOCS, ids=lambda p: p.name)
def test_documents_speak_of_tana_alone(path):
    text = path.read_text()
    for word in (r"/work/", r"\bhouse\.md", r"\bspec \d", r"\bissues? #?\d", r"\bagents?\b", r"\.\./shared", r"\bTODO\b", r"\bFIXME\b", r"\bchatbot", r"\bLLM\b"):
        found = re.search(word, text, re.I)
        assert not found, f"{path.name}: {text[max(0, found.start() - 60) : found.end() + 60]!r}"


@pytest.mark.parametrize("path", WRITTEN, ids=lambda p: p.name)
def test_tables_and_fences_are_whole(path):
    text = path.read_text()
    assert len(re.findall(r"^```", text, re.M)) % 2 == 0
    columns = None
    for line in without_code(text).split("\n"):
        if not line.startswith("|"):
            columns = None
            continue
        count = len(re.findall(r"(?<!\\)\|", line))
        assert columns in (None, count), f"{path.name}: {line}"
        columns = count


# ---------------------------------------------------------------- what they tell to type


def _shell_blocks():
    for path in WRITTEN:
        for block in re.findall(r"^```sh\n(.*?)^```$", path.read_text(), re.S | re.M):
            yield path.name, block


def _commands():
    """(document, words) of every simple command in the documents' shell blocks."""
    for name, block in _shell_blocks():
        for line in block.replace("\\\n", " ").split("\n"):
            try:
                words = shlex.split(line, comments=True)
            except ValueError:
                continue  # a line of a longer command; the block is run as a whole elsewhere
            if words:
                yield name, words


def test_shell_blocks_are_shell():
    blocks = list(_shell_blocks())
    assert len(blocks) > 10
    for name, block in blocks:
        done = subprocess.run(["sh", "-n"], input=block, capture_output=True, text=True)
        assert done.returncode == 0, f"{name}: {done.stderr}\n{block}"


_helps = {}


def _help(program, words):
    """The help of the longest command that the words begin with, and how many of them are its name."""
    for n in range(len(words), -1, -1):
        key = (program, *words[:n])
        if key not in _helps:
            done = subprocess.run([binary(program), "help", *words[:n]], capture_output=True, text=True)
            _helps[key] = done.stdout if done.returncode == 0 else None
        if _helps[key]:
            text = _helps[key].replace("[run]", "run", 1) if words[:1] == ["run"] else _helps[key]
            usage = re.split(r" [\[<]", text.split("\n")[0])[0].split()
            if usage[2:] == words[: len(usage) - 2]:
                return text, len(usage) - 2
    raise AssertionError(f"{program} help fails")


def _check_command(name, program, words, whole):
    """The command and its flags exist; a whole one has the arguments it needs."""
    plain, i = [], 0
    shown = f"{name}: {program} {' '.join(words)}"
    text, used = _help(program, [w for w in words if not w.startswith("-")])
    while i < len(words):
        word = words[i]
        flag = word.partition("=")[0]
        row = re.search(rf"^ +(?:-\w, |    )?{re.escape(flag)}(?:, --[a-z-]+)?( \S+)?(?:  |$)", text, re.M) if word.startswith("-") and word != "-" else None
        if row is None:
            assert not word.startswith("-") or word == "-", f"{shown}: no {word}"
            plain.append(word)
        elif row.group(1) and "=" not in word:
            i += 1
        i += 1
    usage = text.split("\n")[0]
    leads_on = "<command>" in usage or used == 0
    assert not leads_on or len(plain) == used and (not whole or program in DAEMONS), f"{shown}: no such command"
    needed, most = len(re.findall(r" <\w+>", usage)), len(re.findall(r" (?:<\w+>|\[(?!options)\w+\])", usage))
    assert not whole or needed <= len(plain) - used <= most or "..." in usage, f"{shown}: {usage}"


def test_commands_of_ours_exist_as_they_are_written():
    seen = 0
    for name, words in _commands():
        if words[0] in ("tana", *DAEMONS):
            _check_command(name, words[0], [w for w in words[1:] if not w.startswith((">", "<"))], True)
            seen += 1
    assert seen > 25
    for path in WRITTEN:
        for code in re.findall(r"`((?:tana|meshd|t4d) [^`\n]+)`", without_code(path.read_text())):
            program, *words = shlex.split(code)
            _check_command(path.name, program, words, False)


def test_scripts_targets_and_addresses_exist():
    targets = set(re.findall(r"^([a-z0-9-]+):", read("Makefile"), re.M))
    patterns = [re.compile(re.sub(r"{\w+}", r"[^/]+", t) + r"\Z") for t in _openapi("mesh")["paths"]]
    for name, words in _commands():
        if words[0].startswith("scripts/"):
            assert os.access(ROOT / words[0], os.X_OK), f"{name}: {words[0]}"
        if words[0] == "make":
            for word in words[1:]:
                assert word.startswith("-") or "=" in word or word in targets, f"{name}: make {word}"
        for word in words:
            match = re.match(r"http://127\.0\.0\.1:8190(/[^?]*)", word)
            assert not match or any(p.match(match.group(1)) for p in patterns), f"{name}: {word}"


def test_options_named_in_the_text_exist():
    text = "".join(subprocess.run([binary(p), "man"], capture_output=True, text=True).stdout for p in (*DAEMONS, "tana")).replace("\\-", "-")
    known = set(re.findall(r"--[a-z][a-z-]*", text))
    for path in WRITTEN:
        for code in re.findall(r"`([^`\n]+)`", without_code(path.read_text())):
            for flag in re.findall(r"(?<![\w-])--[a-z][a-z-]*", code):
                if code.startswith(("--", "tana", *DAEMONS)):
                    assert flag in known, f"{path.name}: {code}"


def _example_settings():
    """{section: {setting: value}} of the example, whose settings stand behind a #."""
    sections, current = {}, {}
    for line in read("packaging/tana.conf.example").split("\n"):
        heading, setting = re.fullmatch(r"\[(\w+)\]", line), re.fullmatch(r"#?([a-z0-9_]+) = (.*)", line)
        if heading:
            current = sections.setdefault(heading[1], {})
        elif setting:
            assert setting[1] not in current, f"{setting[1]} twice"
            current[setting[1]] = setting[2]
    return sections


def _daemon_settings(service):
    """{setting: default or None} of what its section may hold, by the environment names in its help."""
    text = " ".join(subprocess.run([binary(f"{service}d"), "run", "--help"], capture_output=True, text=True, check=True).stdout.split())
    found = re.findall(rf"\((?:default ([^;)]*); )?(?:may be repeated; )?TANA_{service.upper()}_([A-Z0-9_]+)[;)]", text)
    return {name.lower(): default or None for default, name in found if name != "CONFIG"}


def test_the_example_configuration_names_every_setting_and_no_other():
    example, settings = _example_settings(), {s: _daemon_settings(s) for s in SERVICES}
    assert set(example) == {"common", *SERVICES}
    shared = set.intersection(*map(set, settings.values()))  # said once, of mesh: see the example
    assert len(shared) > 10 and set(example["common"]) <= shared
    for service, known in settings.items():
        own = {**example["common"], **example[service]}
        assert len(known) > 20 and set(example[service]) <= set(known), f"{service}: no such setting"
        assert set(known) <= set(own) | (shared & set(example["mesh"])), f"{service}: not in the example"
        for name, default in known.items():
            assert default is None or own.get(name, default) == default, f"{service}: {name} is {default}"


def test_the_first_screen_shows_what_the_demo_prints():
    demo = re.sub(r"\$timeout", "3s", read("scripts/demo"))
    shown = re.findall(r"^== (.*)$", read("README.md"), re.M)
    assert len(shown) >= 4
    for heading in shown:
        assert heading in demo, f"scripts/demo has no heading {heading!r}"


def test_the_check_is_one_command():
    ci = read(".ci/run")
    commands = [line for line in ci.split("\n") if line.strip() and not line.startswith("#")]
    assert re.fullmatch(r'(exec )?\S*("\$\(dirname "\$0"\)/\.\./)?scripts/check"?', commands[-1]) and len(commands) == 1, ci


# ---------------------------------------------------------------- against a running meshd


@pytest.fixture
def mesh(tmp_path):
    mesh = Mesh(tmp_path, f"sqlite:{tmp_path}/mesh.db", network="local").start()
    yield mesh
    mesh.finish()


def test_every_metric_is_explained(mesh):
    mesh.active("a")
    mesh.get("/nodes/nobody", check=False)
    text = mesh.get("/metrics").body.decode()
    prometheus.parse(text)
    names = set(re.findall(r"^# TYPE (\S+) ", text, re.M))
    table = section(read("docs/operations.md"), "## Metrics")
    told = {name: row[1] for row in rows(table) for name in re.findall(r"`(\w+)`", row[0])}
    assert set(told) == names
    for name in names:
        labels = set(re.findall(r'(\w+)="', "".join(re.findall(rf"^{name}(?:_bucket)?{{(.*?)}}", text, re.M))))
        assert labels == set(re.findall(r"`(\w+)`", told[name])), name


def test_alerts_name_metrics_that_exist(mesh):
    names = set(re.findall(r"^# TYPE (\S+) ", mesh.get("/metrics").body.decode(), re.M))
    for name in re.findall(r"\btana_mesh_\w+", section(read("docs/operations.md"), "## Monitoring")):
        assert name in names, name


def test_a_node_registers_with_openssl_and_curl(mesh, tmp_path):
    block = re.search(r"<!-- run: register with openssl and curl -->\n```sh\n(.*?)```", read("README.md"), re.S).group(1)
    script = block.replace("http://127.0.0.1:8190", f"http://{mesh.daemon.address}")
    assert script != block
    done = subprocess.run(["sh", "-eu"], input=script, capture_output=True, text=True, cwd=tmp_path)
    answer = json.loads(done.stdout)
    assert (answer["success"], answer["status"]) == (True, "pending"), done
    assert [n["id"] for n in mesh.nodes()] == ["my-node"]


def test_a_backup_is_restored_as_the_document_says(mesh, tmp_path):
    """operations.md, Backup and Restore, with other paths and without systemd; and the counter that is raised afterwards."""
    mesh.active("a")
    copy, key = tmp_path / "copies", mesh.data / "coordinator-key.json"
    copy.mkdir(mode=0o700)
    assert mesh.run("backup", copy / "mesh.db").returncode == 0
    (copy / "checkpoint.txt").write_bytes(mesh.get("/audit/checkpoint").body)
    (copy / "coordinator-key.json").write_bytes(key.read_bytes())
    (copy / "coordinator-key.json").chmod(0o600)
    mesh.active("b")
    seen = mesh.get("/topology/snapshot").expect(200)["version"]
    done = run([binary("meshd"), "verify", "--db", f"sqlite:{copy}/mesh.db", "--data", copy, "--checkpoint", copy / "checkpoint.txt"], tmp_path)
    assert done.returncode == 0 and done.stdout.startswith("valid"), done
    mesh.stop()
    for path in tmp_path.glob("mesh.db*"):
        path.unlink()
    (tmp_path / "mesh.db").write_bytes((copy / "mesh.db").read_bytes())
    statement = re.search(r"sqlite3 /var/lib/tana/mesh\.db '(UPDATE [^']*)'", read("docs/operations.md")).group(1)
    database = sqlite3.connect(tmp_path / "mesh.db")
    database.execute(statement)
    database.commit()
    database.close()
    mesh.start()
    assert [n["id"] for n in mesh.nodes()] == ["a"]
    assert mesh.get("/topology/snapshot").expect(200)["version"] > seen
    mesh.active("c")
    with mesh.events(last_id=seen) as stream:
        stream.wait("reset")  # watchers are told that they missed something
    mesh.verify()


def test_meshd_starts_as_the_document_says(tmp_path):
    """operations.md, The first start: init, then run, with the options it names."""
    commands = [words for name, words in _commands() if name == "operations.md" and words[0] == "meshd"]
    first = {words[1]: words for words in commands if words[1] in ("init", "run") and "sqlite:/var/lib/tana/mesh.db" in words}
    key = oracle.Key().public
    change = {"/var/lib/tana/mesh": str(tmp_path / "data"), "sqlite:/var/lib/tana/mesh.db": f"sqlite:{tmp_path}/mesh.db", "ed25519_...": key,
              "100.64.0.1:8190": "127.0.0.1:0"}
    init, serve = ([binary("meshd"), *(change.get(w, w) for w in first[verb][1:])] for verb in ("init", "run"))
    done = run(init, tmp_path)
    assert done.returncode == 0 and "coordinator key" in done.stdout, done
    daemon = Daemon(tmp_path, [*serve, "--log-format", "json"], name="meshd").start()
    client = Client(daemon.address)
    assert [s["public_key"] for s in client.get("/sovereign").expect(200)["sovereigns"]] == [key]
    client.close()
    daemon.finish()
