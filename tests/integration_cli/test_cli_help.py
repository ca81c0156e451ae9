"""Help, usage errors, and what the shells get to know."""

import re
import subprocess

import pytest
from tana_testing.daemon import binary

COMMANDS = """start stop restart status logs doctor
    mesh-register mesh-heartbeat mesh-approve mesh-deny mesh-remove mesh-reset mesh-list mesh-status mesh-topology mesh-watch
    mesh-invite mesh-invites mesh-invite-revoke mesh-sovereign-list mesh-sovereign-add mesh-sovereign-rotate mesh-sovereign-remove
    mesh-rotate-key mesh-audit mesh-audit-verify keys-new keys-list keys-show keys-import keys-passphrase
    new-user config-show config-check version completion""".split()
SPLIT = {"mesh-rotate-key": ["mesh", "rotate-key"], "mesh-invite-revoke": ["mesh", "invite-revoke"]}


def words(command):
    return SPLIT.get(command, command.split("-"))


@pytest.fixture
def someone(user_factory):
    return user_factory()


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help_with_an_example_that_parses(someone, command):
    help_text = someone(*words(command), "--help").ok.out
    assert help_text.startswith("Usage: tana " + " ".join(words(command)))
    example = re.search(r"^Example:\n  tana (.*)$", help_text, re.M)
    if example:
        assert example[1].startswith(" ".join(words(command)))


def test_the_overview_names_every_group(someone):
    out = someone("--help").ok.out
    for word in ("start", "mesh ...", "keys ...", "new ...", "config ..."):
        assert f"  {word}" in out
    assert "genesis" not in out, "not offered before there is a ledger"


def test_no_command_at_all_is_a_usage_error(someone):
    assert "Usage: tana" in someone().expect(2).err


@pytest.mark.parametrize(
    "args, hint",
    [
        (["mesh", "aprove", "x"], "tana mesh approve"),
        (["mesh", "list", "--statsu", "active"], "--status"),
        (["mesh", "list", "--status", "actve"], ""),
        (["mesh", "approve"], ""),
        (["mesh", "register", "--port-offset", "70000"], ""),
        (["--chain", "../etc", "status"], ""),
        (["keys", "new", "gold"], "sovereign"),
    ],
)
def test_usage_errors_say_what_to_do(someone, args, hint):
    done = someone(*args).expect(2)
    assert done.err.startswith("error: ") and hint in done.err
    assert done.out == ""


def test_errors_are_one_document_under_json(someone):
    done = someone("mesh", "list", "--json", "--mesh-url", "http://127.0.0.1:1").expect(3)
    assert done.out == "" and done.error["code"] == "unreachable" and "tana start" in done.error["hint"]


def test_version(someone):
    assert re.fullmatch(r"tana \d+\.\d+\.\d+ \(commit \S+\)\n", someone("version").ok.out)
    assert set(someone("version", "--json").ok.json) == {"name", "version", "commit"}


def test_the_man_page_covers_every_command(someone):
    page = someone("man").ok.out
    text = subprocess.run(["mandoc", "-Tutf8", "-Wall"], input=page, capture_output=True, text=True).stdout if _has("mandoc") else page
    text = re.sub(r".\x08", "", text).replace("\\-", "-")
    for command in COMMANDS:
        assert " ".join(words(command)) in re.sub(r"\s+", " ", text), command


def _has(name):
    return subprocess.run(["sh", "-c", f"command -v {name}"], capture_output=True).returncode == 0


def test_bash_completes(someone, shell, tmp_path):
    script = tmp_path / "tana.bash"
    script.write_text(someone("completion", "bash").ok.out)
    # What bash does when Tab is pressed, spelled out.
    asking = f"""
        source {script}
        COMP_WORDS=(tana mesh a); COMP_CWORD=2; COMP_LINE="tana mesh a"; COMP_POINT=11
        fn=$(complete -p tana | sed 's/.*-F \\([^ ]*\\).*/\\1/')
        $fn tana a mesh; printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(
        [shell("bash"), "--norc", "-c", asking],
        capture_output=True,
        text=True,
        env={**someone.env, "PATH": f"{binary('tana').parent}:{someone.env['PATH']}"},
    )
    found = {line.strip() for line in done.stdout.splitlines()}
    assert {"approve", "audit"} <= found and "list" not in found, done.stdout + done.stderr


def test_zsh_reads_its_completion(someone, shell, tmp_path):
    (tmp_path / "_tana").write_text(someone("completion", "zsh").ok.out)
    asking = f"fpath=({tmp_path} $fpath); autoload -Uz compinit; compinit -u -d {tmp_path}/dump; whence -w _tana; print $_comps[tana]"
    done = subprocess.run([shell("zsh"), "-f", "-c", asking], capture_output=True, text=True, env=someone.env)
    assert done.stdout.split("\n")[:2] == ["_tana: function", "_tana"], done.stdout + done.stderr


def test_fish_completes(someone, shell, tmp_path):
    script = tmp_path / "tana.fish"
    script.write_text(someone("completion", "fish").ok.out)
    done = subprocess.run(
        [shell("fish"), "--no-config", "-c", f"source {script}; complete -C 'tana mesh sov'"],
        capture_output=True,
        text=True,
        env={**someone.env, "PATH": f"{binary('tana').parent}:{someone.env['PATH']}"},
    )
    assert "sovereign" in done.stdout, done.stdout + done.stderr
