"""The credentials file: private, atomic, and silent about its tokens."""

from __future__ import annotations

import os
import stat
import tomllib
from datetime import UTC, datetime

import pytest
from canary import CANARY

from spec_kitty_sync.auth.credentials import (
    Credentials,
    credentials_lock,
    delete_credentials,
    load_credentials,
    save_credentials,
)
from spec_kitty_sync.errors import CredentialError, UnsafePathError

LOGIN = Credentials(
    server_url="https://sync.example.org",
    username="ada",
    team_slug="team-a",
    access=f"{CANARY}-access",
    refresh=f"{CANARY}-refresh",
    access_expires=datetime(2026, 2, 1, 12, tzinfo=UTC),
    refresh_expires=datetime(2026, 3, 1, 12, tzinfo=UTC),
    login="0011223344556677",
)


@pytest.fixture
def path(tmp_path):
    """Where the file belongs; nothing is there yet."""
    return tmp_path / "credentials"


def write(path, text: str, mode: int = 0o600) -> None:
    """Write the file as somebody's editor might."""
    path.write_text(text)
    path.chmod(mode)


def test_what_is_saved_is_what_is_loaded(path):
    """A login survives the file, which only its owner can read."""
    save_credentials(path, LOGIN)
    assert load_credentials(path) == LOGIN
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    document = tomllib.loads(path.read_text())
    assert document["tokens"] == {"access": LOGIN.access, "refresh": LOGIN.refresh}
    assert document["expiries"]["access"] == "2026-02-01T12:00:00+00:00"
    assert document["server"]["url"] == LOGIN.server_url


def test_keys_of_others_stay(path):
    """Saving changes our keys alone; comments and foreign tables stay."""
    write(path, "# mine\n[extra]\nkey = 1\n[tokens]\naccess_expires_at = '2020-01-01T00:00:00Z'\n")
    save_credentials(path, LOGIN)
    text = path.read_text()
    assert "# mine" in text
    assert "key = 1" in text
    assert "access_expires_at" not in text
    assert load_credentials(path) == LOGIN


def test_expiries_of_older_clis_are_read(path):
    """Older CLIs kept the expiries beside the tokens."""
    write(
        path,
        '[tokens]\naccess = "a"\naccess_expires_at = "2026-02-01T12:00:00Z"\n'
        '[user]\nusername = "ada"\n[server]\nurl = "https://x.example"\n',
    )
    found = load_credentials(path)
    assert found is not None
    assert found.access_expires == datetime(2026, 2, 1, 12, tzinfo=UTC)
    assert found.team_slug is None


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o666])
def test_file_that_others_can_read_is_refused_with_the_chmod(path, mode):
    """A readable file is not used; the remedy makes it usable."""
    save_credentials(path, LOGIN)
    path.chmod(mode)
    with pytest.raises(UnsafePathError) as caught:
        load_credentials(path)
    assert f"chmod 600 {path}" in caught.value.remedy
    path.chmod(0o600)
    assert load_credentials(path) == LOGIN


def test_symlink_is_refused_both_ways(path, tmp_path):
    """A link is neither followed for reading nor replaced for writing."""
    elsewhere = tmp_path / "credentials.elsewhere"
    save_credentials(elsewhere, LOGIN)
    path.symlink_to(elsewhere)
    with pytest.raises(UnsafePathError):
        load_credentials(path)
    with pytest.raises(UnsafePathError):
        save_credentials(path, LOGIN)


@pytest.mark.parametrize(
    "text",
    [
        f'[tokens]\naccess = "{CANARY}\n',
        f'[tokens]\naccess = "{CANARY}"\n',
        f'[tokens]\naccess = "{CANARY}"\n[server]\nurl = 7\n[user]\nusername = "a"\n',
    ],
)
def test_broken_file_is_refused_without_repeating_it(path, text):
    """No message quotes a line that may hold a token."""
    write(path, text)
    with pytest.raises(CredentialError) as caught:
        load_credentials(path)
    seen = f"{caught.value} {caught.value.remedy} {caught.value.facts} {caught.value.__cause__}"
    assert CANARY not in seen


@pytest.mark.parametrize("token", ["two\\nlines", "ünicode", "\\u0000", ""])
def test_token_that_fits_in_no_header_counts_as_none(path, token):
    """A token with line breaks or odd characters is never sent."""
    write(
        path,
        f'[tokens]\naccess = "{token}"\n[user]\nusername = "a"\n[server]\nurl = "https://x"\n',
    )
    found = load_credentials(path)
    assert found is not None
    assert found.access is None


def test_no_file_is_nobody(path):
    """Without a file nobody is logged in, and forgetting nobody is no error."""
    assert load_credentials(path) is None
    with credentials_lock(path):
        assert delete_credentials(path) is False


def test_login_shows_no_token():
    """Neither repr nor str of a login holds a token."""
    assert CANARY not in repr(LOGIN)
    assert CANARY not in str(LOGIN)


def test_saving_is_atomic(path, monkeypatch):
    """A save that fails half way leaves the old file whole."""
    save_credentials(path, LOGIN)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        save_credentials(path, Credentials("https://y", "bob", None))
    assert load_credentials(path) == LOGIN
    assert [each.name for each in path.parent.iterdir()] == ["credentials"]
