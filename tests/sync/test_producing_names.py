"""The public names of the producing side are pinned, with their signatures."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

from spec_kitty_sync import auth, identity, sync

NAMES = {
    identity: [
        "LamportClock", "ProjectIdentity", "StoredClock", "derive_slug_from_repo",
        "ensure_identity", "generate_node_id", "load_identity",
    ],
    auth: ["AuthClient", "Credentials", "LoginState", "load_credentials"],
    sync: [
        "BackgroundSyncService", "EventEmitter", "OverrideMode", "ResolvedSyncTarget", "Settings",
        "SyncConfig", "SyncRuntime", "WebSocketClient", "auto_start_enabled", "build_queue_scope",
        "get_emitter", "get_sync_service", "is_authenticated", "open_emitter", "reset_runtime",
        "resolve_target", "scope_db_path",
    ],
}  # fmt: skip


@pytest.mark.parametrize("package", NAMES, ids=lambda package: package.__name__)
def test_names_are_pinned_and_lead_somewhere(package):
    """Exactly these names are exported, and each is what it says."""
    assert sorted(package.__all__) == NAMES[package]
    for name in NAMES[package]:
        assert getattr(package, name).__name__ == name
    with pytest.raises(AttributeError):
        package.Nonsense  # noqa: B018  (the access is what is tested)


def test_seams_have_the_names_of_the_contract():
    """Emitter, runtime and clock can be put together from parts of other people's."""
    emitter = list(inspect.signature(sync.EventEmitter).parameters)
    assert emitter == ["clock", "auth", "config", "queue", "ws_client", "parts"]
    runtime = list(inspect.signature(sync.SyncRuntime).parameters)
    assert runtime[:4] == ["background_service", "ws_client", "emitter", "started"]
    assert list(inspect.signature(sync.EventEmitter.emit).parameters) == [
        "self", "event_type", "aggregate_id", "payload",
        "aggregate_type", "causation_id", "correlation_id", "data_tier",
    ]  # fmt: skip
    assert list(inspect.signature(identity.LamportClock).parameters) == ["value", "node_id"]
    assert {"connect", "disconnect"} <= set(dir(sync.WebSocketClient))
    assert {"credentials", "team_slug", "refresh"} <= set(dir(auth.AuthClient))


def test_names_cost_nothing_until_they_are_used():
    """Importing the packages loads no database, HTTP, WebSocket or YAML library."""
    code = (
        "import sys, spec_kitty_sync.sync, spec_kitty_sync.identity, spec_kitty_sync.auth\n"
        "heavy = {'sqlite3', 'httpx', 'websockets', 'ruamel', 'pydantic', 'tomlkit'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
