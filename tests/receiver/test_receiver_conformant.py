"""The conformance suite against our own receiver, every capability switched on."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from receiver_server import Server

_USERS = """
[[user]]
username = "kit"
password = "kit's password"
team = "team-a"
tokens = ["token-kit"]
expired_tokens = ["token-old"]

[[user]]
username = "stranger"
team = "team-b"
tokens = ["token-b"]
"""


@pytest.mark.proof
def test_receiver_is_conformant_with_every_capability(
    serve_receiver: Callable[..., Server], database: Path | str, tmp_path: Path
) -> None:
    """One process on SQLite and four workers on PostgreSQL pass the hardened profile."""
    users = tmp_path / "users.toml"
    users.write_text(_USERS)
    count = "1" if isinstance(database, Path) else "4"
    server = serve_receiver(
        "--database", str(database), "--workers", count, "--users", str(users),
        "--test-hooks", "--protocol", "1.0", "--pending", "1",
    )  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "spec_kitty_sync", "conformance", "receiver", server.url,
         "--profile", "hardened", "--report", str(tmp_path / "report")],
        env={**os.environ, "SK_TOKEN": "token-kit", "SK_TOKEN_EXPIRED": "token-old",
             "SK_TOKEN_OTHER_TEAM": "token-b", "SK_TEAM": "team-a"},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert "verdict: conformant (profile hardened)" in done.stdout, done.stdout[-3000:]
    assert done.returncode == 0
