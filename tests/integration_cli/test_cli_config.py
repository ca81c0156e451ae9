"""Where options come from, and what is said of wrong ones."""

import json

import pytest


@pytest.fixture
def me(user_factory):
    return user_factory("me")


def settings(user, *args, **kw):
    return {s["name"]: (s["value"], s["origin"]) for s in user("config", "show", "--json", *args, **kw).ok.json["settings"]}


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
    return path


def test_each_source_goes_before_the_next(me, tmp_path):
    assert settings(me)["mesh-url"] == ("http://127.0.0.1:8190", "default")
    system = tmp_path / "tana.conf"
    system.write_text("[tana]\nmesh_url = http://system:1\n")
    conf = ["--config", system]
    assert settings(me, *conf)["mesh-url"] == ("http://system:1", f"{system}:2")
    own = write(me.config / "config.json", {"meshUrl": "http://own:1", "timeout": "9s", "somethingElse": {"kept": True}})
    assert settings(me, *conf)["mesh-url"] == ("http://own:1", str(own)) and settings(me)["timeout"] == ("9s", str(own))
    chain = write(me.config / "chains" / "local.json", {"name": "local", "meshUrl": "http://chain:1"})
    assert settings(me, *conf)["mesh-url"] == ("http://chain:1", str(chain))
    env = {"MESH_URL": "http://env:1"}
    assert settings(me, *conf, env=env)["mesh-url"] == ("http://env:1", "environment MESH_URL")
    assert settings(me, *conf, "--mesh-url", "http://flag:1", env=env)["mesh-url"] == ("http://flag:1", "flag --mesh-url")


def test_the_chain_decides_which_chain_file_is_read(me):
    write(me.config / "chains" / "far.json", {"meshUrl": "http://far:1", "network": "farnet"})
    assert settings(me, "--chain", "far")["network"][0] == "farnet"
    assert settings(me, env={"TANA_CHAIN": "far"})["mesh-url"][0] == "http://far:1"
    write(me.config / "config.json", {"chain": "far"})
    assert settings(me)["mesh-url"][0] == "http://far:1"
    assert settings(me, "--chain", "local")["mesh-url"][0] == "http://127.0.0.1:8190"


@pytest.mark.parametrize("text", ["{", "[]", '{"timeout":"soon"}', '{"timeout":5}', '{"meshUrl":"a","meshUrl":"b"}'])
def test_a_wrong_file_is_named(me, text):
    path = me.config / "config.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    done = me("config", "show", "--json").expect(2)
    assert done.error["code"] == "bad_configuration" and str(path) in done.error["error"]


def test_what_was_remembered_must_be_readable(user):
    path = user.state / "local" / "known.json"
    path.parent.mkdir(parents=True)
    path.write_text("{oops")
    done = user("mesh", "register", "--dev", "--node-id", "n1", "--json").expect(2)
    assert str(path) in done.error["error"]


def test_check_is_content_with_what_is_in_order(me):
    assert me("config", "check").ok.out.startswith("Configuration ok")
    me("keys", "new", "sovereign").ok
    assert me("config", "check", "--json").ok.json == {"problems": 0, "keys": 1, "found": []}
    me.config.chmod(0o755)
    done = me("config", "check").expect(1)
    assert "0755" in done.out and "chmod 700" in done.err


def test_check_names_each_place_with_secrets_that_others_can_read(me):
    me("keys", "new", "sovereign").ok
    key = me.config / "sovereign-key.json"
    login, chain = write(me.config / "logins" / "127.0.0.1_8090.json", {}), write(me.config / "chains" / "far.json", {})
    for path, mode in ((login.parent, 0o700), (chain.parent, 0o750), (login, 0o640), (chain, 0o600), (key, 0o604)):
        path.chmod(mode)
    told = me("config", "check", "--json").expect(1).json
    assert told["problems"] == 3 and [f["path"] for f in told["found"]] == [str(chain.parent), str(login), str(key)]
    assert [f["hint"] for f in told["found"]] == [f"chmod 700 {chain.parent}", f"chmod 600 {login}", f"chmod 600 {key}"]
    assert all(str(f["path"]).rsplit("/", 1)[1] in f["problem"] for f in told["found"])
    chain.parent.chmod(0o700)
    chain.chmod(0o644)
    assert "mode 0644" in me("config", "check").expect(1).out
