"""One resolver answers where events go; two different answers are refused before any call."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from spec_kitty_sync._files import Home
from spec_kitty_sync.errors import AmbiguousTargetError, NoTargetError, UsageError
from spec_kitty_sync.sync.config import Settings, SyncConfig, write_settings
from spec_kitty_sync.sync.target_authority import (
    OverrideMode,
    QueueScopeStatus,
    build_queue_scope,
    resolve_target,
    scope_db_path,
    scope_digest,
)

A = "https://a.example.invalid"
B = "https://b.example.invalid"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "sk").ensure()


def resolve(home: Home, **environ: str):
    return resolve_target(Settings(home, environ, home.root))


def log_in(home: Home, url: str, *, user: str = "user@example.com", team: str = "team-a") -> None:
    home.credentials.touch(0o600)
    home.credentials.write_text(
        f'[tokens]\naccess = "t"\n[user]\nusername = "{user}"\nteam_slug = "{team}"\n'
        f'[server]\nurl = "{url}"\n'
    )


@pytest.mark.parametrize(
    ("config", "env", "override", "mode", "resolved"),
    [
        (None, None, None, OverrideMode.NONE, None),
        (A, None, None, OverrideMode.NONE, A),
        (None, B, None, OverrideMode.NONE, B),
        (A, A, None, OverrideMode.NONE, A),
        (A, A.upper() + ":443/", None, OverrideMode.NONE, A),
        (A, B, None, OverrideMode.SETUP_ONLY, None),
        (A, B, "process", OverrideMode.PROCESS_OVERRIDE, B),
        (A, A, "process", OverrideMode.NONE, A),
        (A, None, "process", OverrideMode.NONE, A),
    ],
)
def test_config_and_environment_give_one_answer(home, config, env, override, mode, resolved):
    """Every combination of config, environment and override has exactly the stated outcome."""
    if config:
        write_settings(home, {"server_url": config})
    environ = {"SPEC_KITTY_SAAS_URL": env, "SPEC_KITTY_TARGET_OVERRIDE": override}
    target = resolve(home, **{k: v for k, v in environ.items() if v})
    assert target.override_mode is mode
    assert (target.resolved_server_url or "").rstrip("/") == (resolved or "")


def test_two_different_targets_are_refused_with_both_ways_out(home):
    """A split brain names both addresses, the command for each way out, and exits with 2."""
    write_settings(home, {"server_url": A})
    with pytest.raises(AmbiguousTargetError) as caught:
        resolve(home, SPEC_KITTY_SAAS_URL=B).require()
    assert A in caught.value.message
    assert B in caught.value.message
    assert f"spec-kitty sync server {B}" in caught.value.remedy
    assert "SPEC_KITTY_TARGET_OVERRIDE=process" in caught.value.remedy
    assert caught.value.exit_code == 2


def test_following_either_remedy_clears_the_refusal(home):
    """Writing the environment's address into the config, or overriding, ends the refusal."""
    write_settings(home, {"server_url": A})
    overridden = resolve(home, SPEC_KITTY_SAAS_URL=B, SPEC_KITTY_TARGET_OVERRIDE="process")
    assert overridden.require().rstrip("/") == B
    write_settings(home, {"server_url": B})
    assert resolve(home, SPEC_KITTY_SAAS_URL=B).require().rstrip("/") == B


def test_no_target_is_refused_with_the_command_to_choose_one(home):
    """Without any address, asking for one names `sync server`."""
    with pytest.raises(NoTargetError) as caught:
        resolve(home).require()
    assert "spec-kitty sync server" in caught.value.remedy


def test_a_misspelt_override_is_refused(home):
    """SPEC_KITTY_TARGET_OVERRIDE takes `process` and nothing else."""
    with pytest.raises(UsageError, match="SPEC_KITTY_TARGET_OVERRIDE is 'proces'"):
        resolve(home, SPEC_KITTY_TARGET_OVERRIDE="proces")


def test_credentials_of_another_origin_are_not_used(home):
    """Logged in at A, resolved to B: no user, no team, no scope."""
    log_in(home, A)
    write_settings(home, {"server_url": B})
    target = resolve(home)
    assert (target.user_id, target.team_slug, target.derived_queue_scope) == (None, None, None)


def test_the_queue_scope_is_derived_from_the_target(home):
    """Scope and queue file follow from server, user and team, as older CLIs named them."""
    log_in(home, A)
    write_settings(home, {"server_url": A})
    target = resolve(home)
    assert target.user_id == "user@example.com"
    assert target.queue_db_path == home.root / "queues" / "queue-21921a051ce88219.db"


@pytest.mark.parametrize(
    ("server", "user", "team", "digest"),
    [
        ("https://a.example.invalid", "user@example.com", "team-a", "21921a051ce88219"),
        ("https://a.example.invalid", "user@example.com", "team-b", "53cbd6ea1b561bc0"),
        ("https://b.example.invalid/", "User@Example.com", "team-a", "42b7a9fd8bfc4900"),
    ],
)
def test_scope_digests_are_those_of_released_versions(home, server, user, team, digest):
    """The digest equals the file names that released versions gave their queues."""
    scope = build_queue_scope(server, user, team)
    assert scope_digest(scope) == digest
    assert scope_db_path(scope, home).name == f"queue-{digest}.db"


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (None, QueueScopeStatus.ABSENT),
        ("https://a.example.invalid|user@example.com|team-a", QueueScopeStatus.MATCHES),
        ("https://old.example|x|y", QueueScopeStatus.STALE_NON_AUTHORITATIVE),
    ],
)
def test_active_queue_scope_is_reported_and_changes_nothing(home, stored, expected):
    """The scope file of older CLIs is named stale or matching and never decides the target."""
    log_in(home, A)
    write_settings(home, {"server_url": A})
    if stored:
        home.active_queue_scope.write_text(stored)
    target = resolve(home)
    assert target.active_queue_scope_status is expected
    assert target.resolved_server_url.rstrip("/") == A


@pytest.mark.parametrize(
    "text", ["[sync", "[sync]\nserver_url = 3\n", "sync = 1\n", "[sync]\nmax_retries = true\n"]
)
def test_a_broken_config_names_the_key(home, text):
    """A damaged config.toml is refused with the file or the key, and stays as it is."""
    home.config_toml.write_text(text)
    with pytest.raises(UsageError, match=r"config\.toml"):
        resolve(home)
    assert home.config_toml.read_text() == text


def test_writing_a_setting_keeps_comments(home):
    """`sync server` changes one value and leaves comments and other tables alone."""
    home.config_toml.write_text('# mine\n[other]\nx = 1 # keep\n[sync]\nmode = "TEAMSPACE"\n')
    write_settings(home, {"server_url": A})
    text = home.config_toml.read_text()
    assert "# mine" in text
    assert "x = 1 # keep" in text
    assert 'mode = "TEAMSPACE"' in text
    assert f'server_url = "{A}"' in text


def test_an_endpoint_keeps_its_last_slash(home):
    """Requests go to the path as it was given; with or without the slash it is one target."""
    write_settings(home, {"server_url": "https://a.example/hook/"})
    resolved = resolve(home, SPEC_KITTY_SAAS_URL="HTTPS://A.example:443/hook")
    assert resolved.override_mode is OverrideMode.NONE
    assert resolved.resolved_server_url == "https://a.example/hook/"


def test_settings_that_are_written_at_once_are_all_kept(home):
    """Each writer changes its own keys, whatever others write in the same moment."""
    keys = ("server_url", "mode", "token_env", "ca_file")
    together = threading.Barrier(len(keys))

    def write(key: str) -> None:
        for number in range(20):
            together.wait(60)
            write_settings(home, {key: f"{key}-{number}"})

    with ThreadPoolExecutor(len(keys)) as pool:
        list(pool.map(write, keys))
    kept = SyncConfig.load(home)
    assert {key: getattr(kept, key) for key in keys} == {key: f"{key}-19" for key in keys}
