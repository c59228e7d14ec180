"""Users in the receiver's database: how they are kept, and how they are let in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from receiver_server import Server, event

from spec_kitty_sync.errors import UsageError
from spec_kitty_sync.receiver.accounts import Accounts
from spec_kitty_sync.receiver.overview import KEPT_REJECTIONS, Overview, Rejection
from spec_kitty_sync.receiver.passwords import hash_password, password_matches
from spec_kitty_sync.receiver.principals import Principal
from spec_kitty_sync.receiver.stores import TeamStore, store_at


@pytest.fixture
def store(database: Path | str) -> Iterator[TeamStore]:
    """An open, empty store."""
    opened = store_at(database)
    opened.open()
    yield opened
    opened.close()


def user_command(*arguments: str, password: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run `spec-kitty receiver user …`."""
    command = [sys.executable, "-m", "spec_kitty_sync", "receiver", "user", *arguments]
    env = None
    if password is not None:
        command += ["--password-env", "PASSWORD"]
        env = {**os.environ, "PASSWORD": password}
    return subprocess.run(command, capture_output=True, text=True, env=env, check=False)


def test_password_hash_matches_its_password_only() -> None:
    """A hash is salted, holds no password, and tells the right one from every other."""
    stored = hash_password("correct horse")
    assert "correct" not in stored
    assert stored.split("$")[:4] == ["scrypt", "16384", "8", "5"]
    assert stored != hash_password("correct horse")
    assert password_matches("correct horse", stored)
    assert not password_matches("correct horse ", stored)
    assert not password_matches("", None)


def test_accounts_keep_users_with_hashes_only(store: TeamStore) -> None:
    """Users come back with team and projects; neither password nor token stands in the table."""
    accounts = Accounts(store)
    ada = Principal("ada", team="team-a", projects=frozenset({"p1", "p2"}))
    accounts.add(ada, password="correct horse", token="skt_secret", now_ms=1)
    accounts.add(Principal("bob"), password="battery staple", token=None, now_ms=2)
    assert [each.user().principal for each in accounts.all()] == [ada, Principal("bob")]
    table = repr(store.rows("SELECT * FROM receiver_users", ()))
    assert "correct" not in table
    assert "secret" not in table
    accounts.remove("bob")
    assert [each.username for each in accounts.all()] == ["ada"]


def test_accounts_refuse_what_makes_no_user(store: TeamStore) -> None:
    """Taken names, names with blanks, short passwords and unknown users are refused."""
    accounts = Accounts(store)
    accounts.add(Principal("ada"), password="correct horse", token=None, now_ms=1)
    with pytest.raises(UsageError, match="already"):
        accounts.add(Principal("ada"), password="correct horse", token=None, now_ms=1)
    for name in ("", "a b", "a\nb", "a\x1b[31m", "\u202eada", "x" * 101):
        with pytest.raises(UsageError, match="no name"):
            accounts.add(Principal(name), password="correct horse", token=None, now_ms=1)
    with pytest.raises(UsageError, match="shorter"):
        accounts.add(Principal("bob"), password="short", token=None, now_ms=1)
    with pytest.raises(UsageError, match="no user"):
        accounts.remove("bob")


def test_account_made_anew_voids_the_tokens_of_the_old_one(store: TeamStore) -> None:
    """Whoever was removed and added again has another stamp, even with the same password."""
    accounts = Accounts(store)
    stamps = set()
    for now_ms in (1, 1, 2):
        accounts.add(Principal("ada"), password="correct horse", token=None, now_ms=now_ms)
        stamps.add(accounts.all()[0].user().stamp)
        accounts.remove("ada")
    assert len(stamps) == 3


def test_rejections_are_kept_per_scope_and_not_for_ever(store: TeamStore) -> None:
    """The newest are listed first; beyond the limit the oldest go, and only in their scope."""
    overview = Overview(store)
    other = Rejection("team-b", 1, "bob", None, None, None, "x", "other")
    overview.note([other])
    for start in range(0, KEPT_REJECTIONS + 100, 100):
        overview.note(
            [
                Rejection("", n, "ada", None, None, None, "schema_mismatch", f"reason {n}")
                for n in range(start, start + 100)
            ]
        )
    assert [each.reason for each in overview.rejections("", limit=2)] == [
        f"reason {KEPT_REJECTIONS + 99}", f"reason {KEPT_REJECTIONS + 98}",
    ]  # fmt: skip
    assert len(overview.rejections("", limit=5000)) == KEPT_REJECTIONS
    assert overview.rejections("team-b", limit=10) == [other]


def test_running_receiver_lets_stored_users_in_and_removed_ones_out(
    serve_receiver: Callable[..., Server], database: Path | str
) -> None:
    """A user added by command sends with a token and a login; soon after removal with neither."""
    address = str(database)
    server = serve_receiver("--accounts", "--database", address)
    assert server.post([event(1)], Authorization="Bearer x").status_code == 401
    added = user_command(
        "add", "ada", "--team", "team-a", "--token", "--database", address, password="correct horse"
    )
    assert added.returncode == 0, added.stderr
    token = added.stdout.strip()

    def status(number: int, bearer: str) -> int:
        return server.post([event(number)], Authorization=f"Bearer {bearer}").status_code

    deadline = time.monotonic() + 60
    while status(1, token) != 200:
        assert time.monotonic() < deadline
    login = {"username": "ada", "password": "correct horse"}
    answer = server.client.post("/api/v1/token/", json=login)
    assert answer.json()["team_slug"] == "team-a"
    access = answer.json()["access"]
    assert status(2, access) == 200
    wrong = {"username": "ada", "password": "wrong horse"}
    assert server.client.post("/api/v1/token/", json=wrong).status_code == 401
    listed = user_command("list", "--json", "--database", address)
    assert json.loads(listed.stdout)["users"] == [
        {"username": "ada", "team": "team-a", "projects": None, "token": True}
    ]
    assert user_command("remove", "ada", "--database", address).returncode == 0
    while status(1, token) != 401 or status(1, access) != 401:
        assert time.monotonic() < deadline


def test_user_command_refuses_with_a_remedy(tmp_path: Path) -> None:
    """Mistakes end with code 2 and one line that says what to do."""
    database = str(tmp_path / "r.db")
    done = user_command("remove", "nobody", "--database", database)
    assert done.returncode == 2
    assert "receiver user list" in done.stderr
    done = user_command("add", "ada", "--database", "mysql://h/d", password="correct horse")
    assert done.returncode == 2
    assert "postgresql://" in done.stderr
