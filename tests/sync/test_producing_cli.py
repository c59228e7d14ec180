"""`emit`, `auth`, `sync mode`: what an operator types and reads."""

from __future__ import annotations

import json

import pytest
from producing import PASSWORD, TEAM

from spec_kitty_sync.events.registry import CORE, default_registry
from spec_kitty_sync.sync.store import read_home

NOTE = {"wp_id": "WP01", "entry_type": "note", "entry_content": "hi"}


def stored(desk) -> list[dict[str, object]]:
    """Return the events in the journal of *desk*."""
    store = read_home(desk.home)
    if store is None:
        return []
    with store:
        rows = store.conn.execute("SELECT body FROM event_journal ORDER BY seq").fetchall()
    return [json.loads(row[0]) for row in rows]


def test_emit_takes_options_or_json_alike(desk):
    """Both ways of giving the payload store the same event."""
    by_options = desk.run(
        "emit", "HistoryAdded",
        "--wp-id", "WP01", "--entry-type", "note", "--entry-content", "hi", "--author", "user",
    )  # fmt: skip
    by_json = desk.run(
        "emit", "HistoryAdded", "--json", "-", stdin=json.dumps({**NOTE, "author": "user"})
    )
    assert (by_options.returncode, by_json.returncode) == (0, 0), by_options.stderr
    first, second = stored(desk)
    assert first["payload"] == second["payload"]
    assert by_options.stdout.split() == ["HistoryAdded", first["event_id"]]


@pytest.mark.parametrize(
    ("arguments", "stdin", "named"),
    [
        (["HistoryAdded", "--entry-type", "note", "--entry-content", "x"], None, "/payload/wp_id"),
        (["HistoryAdded", "--json", "-"], '{"wp_id": "WP1"}', "/payload/"),
        (["HistoryAdded", "--json", "-"], '{"wp_id": "WP01", "wp_id": "WP02"}', "--json"),
        (["HistoryAdded", "--json", "-"], "[1]", "--json"),
        (["HistoryAdded", "--json", "-"], '{"wp_id": NaN}', "--json"),
        (["HistoryAdded"], None, "--help"),
        (["HistoryAdded", "--entry-type", "gossip"], None, "gossip"),
        (["Nonsense", "--json", "-"], '{"wp_id": "WP01"}', "Nonsense"),
        (["WPCreated", "--json", "-", "--wp-id", "WP01"], "{}", "--json"),
    ],
)
def test_emit_refuses_by_name_and_stores_nothing(desk, arguments, stdin, named):
    """A wrong event ends with 2, names what is wrong, and leaves the journal empty."""
    done = desk.run("emit", *arguments, stdin=stdin)
    assert done.returncode == 2
    assert named in done.stderr
    assert "Traceback" not in done.stderr
    assert stored(desk) == []


def test_emit_help_lists_every_type_we_write(desk):
    """The list of types is the registry's."""
    shown = desk.run("emit", "--help").stdout
    for kind in default_registry():
        assert (kind.name in shown) is (kind.pack == CORE), kind.name


def test_emit_understands_nested_values_and_lanes(desk):
    """Evidence is given as JSON, `doing` is understood."""
    evidence = {
        "repos": [{"repo": "a/b", "branch": "main", "commit": "abc"}],
        "verification": [],
        "review": {"reviewer": "bob", "verdict": "ok"},
    }
    common = ["--wp-id", "WP01", "--feature-slug", "001-x", "--actor", "ada",
              "--execution-mode", "worktree"]  # fmt: skip
    done = desk.run(
        "emit", "WPStatusChanged", *common, "--from-lane", "for_review", "--to-lane", "done",
        "--evidence", json.dumps(evidence),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    doing = desk.run(
        "emit", "WPStatusChanged", *common, "--from-lane", "claimed", "--to-lane", "doing"
    )
    assert doing.returncode == 0, doing.stderr
    first, second = [event["payload"] for event in stored(desk)]
    assert first["evidence"] == evidence
    assert second["to_lane"] == "in_progress"


def test_login_status_logout(desk, make_receiver):
    """The whole story of a login, in text and in JSON, and no password in either."""
    receiver = make_receiver()
    desk.target(receiver.url)
    desk.environ["THE_PASSWORD"] = PASSWORD
    assert desk.run("auth", "status", "--check").returncode == 3
    login = desk.run("auth", "login", "--username", "ada", "--password-env", "THE_PASSWORD")
    assert login.returncode == 0, login.stderr
    assert TEAM in login.stdout
    status = desk.run("auth", "status", "--check", "--json")
    assert status.returncode == 0
    said = json.loads(status.stdout)
    assert (said["logged_in"], said["username"], said["team_slug"]) == (True, "ada", TEAM)
    secrets = (desk.home.credentials.read_text().split('"')[1], PASSWORD)
    for secret in secrets:
        assert secret not in login.stdout + login.stderr + status.stdout
    assert desk.run("auth", "logout").returncode == 0
    assert not desk.home.credentials.exists()
    assert json.loads(desk.run("auth", "status", "--json").stdout) == {"logged_in": False}


def test_wrong_password_ends_with_the_command_to_run(desk, make_receiver):
    """A refused login is a refusal with a remedy: exit code 2, nothing stored."""
    receiver = make_receiver()
    desk.target(receiver.url)
    done = desk.run("auth", "login", "--username", "ada", stdin="wrong\n")
    assert done.returncode == 2
    assert "auth login" in done.stderr
    assert not desk.home.credentials.exists()


def test_login_without_a_server_names_the_command(desk):
    """Nobody is asked for a server that is not chosen."""
    desk.environ["THE_PASSWORD"] = "x"
    done = desk.run("auth", "login", "--username", "ada", "--password-env", "THE_PASSWORD")
    assert done.returncode == 2
    assert "sync server" in done.stderr


def test_readable_credentials_are_refused_with_the_chmod_that_helps(desk, make_receiver):
    """The printed chmod makes the refusal go away."""
    receiver = make_receiver()
    desk.target(receiver.url)
    desk.login(receiver.url)
    desk.home.credentials.chmod(0o644)
    done = desk.run("sync", "now")
    assert done.returncode == 2
    assert f"chmod 600 {desk.home.credentials}" in done.stderr
    desk.home.credentials.chmod(0o600)
    assert desk.run("sync", "now").returncode == 0


@pytest.mark.parametrize(
    ("environ", "project", "machine", "expected"),
    [
        (None, None, None, ("LOCAL_RETENTION", "default")),
        (None, None, "TRASH", ("OPT_OUT", "machine")),
        (None, "local-retention", "TEAMSPACE", ("LOCAL_RETENTION", "project")),
        ("teamspace", "OPT_OUT", "EXTERNAL_RECEIVER", ("TEAMSPACE", "environment")),
    ],
)
def test_mode_is_what_the_strongest_says(desk, environ, project, machine, expected):
    """Environment before project before machine, and `sync mode` says which."""
    if machine:
        assert desk.run("sync", "mode", machine).returncode == 0
    if project:
        (desk.project / ".kittify" / "config.yaml").write_text(f"sync:\n  mode: {project}\n")
    if environ:
        desk.environ["SPEC_KITTY_SYNC_MODE"] = environ
    said = json.loads(desk.run("sync", "mode", "--json").stdout)
    assert (said["mode"], said["source"]) == expected


def test_mode_that_does_not_exist_is_refused(desk):
    """An unknown mode names the known ones and writes nothing."""
    done = desk.run("sync", "mode", "SOMETIMES")
    assert done.returncode == 2
    assert "LOCAL_RETENTION" in done.stderr
    assert not desk.home.config_toml.exists()


def test_every_closed_gate_names_a_command_that_opens_it(desk, make_receiver):
    """Local retention by machine: the printed command makes `sync now` deliver."""
    receiver = make_receiver()
    desk.target(receiver.url)
    desk.login(receiver.url)
    desk.run("emit", "HistoryAdded", "--json", "-", stdin=json.dumps(NOTE))
    assert desk.run("sync", "mode", "LOCAL_RETENTION").returncode == 0
    refused = desk.run("sync", "now")
    assert refused.returncode == 2
    assert "spec-kitty sync mode auto" in refused.stderr
    assert desk.run("sync", "mode", "auto").returncode == 0
    assert desk.run("sync", "now").returncode == 0
    assert len(receiver.ids()) == 1
