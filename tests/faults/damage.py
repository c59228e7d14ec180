"""A home that has lived, and everything that may happen to its files."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from desk import Desk, event_id, make_event
from small_receiver import SmallReceiver

from spec_kitty_sync.sync.store import open_home

PAGE = 4096
DELIVERED, STORED, LATE = 3, 200, 203
READING = (
    ("sync", "status"),
    ("sync", "status", "--check"),
    ("sync", "doctor"),
    ("sync", "verify"),
    ("sync", "now", "--dry-run"),
    ("sync", "gc"),
    ("sync", "log"),
    ("sync", "show", event_id(1)),
    ("sync", "show", "--state", "rejected"),
    ("sync", "targets", "list"),
    ("sync", "server"),
    ("sync", "mode"),
    ("sync", "migrate", "--dry-run"),
    ("diagnose",),
    ("auth", "status"),
)

Harm = Callable[[Path], None]


@dataclass(frozen=True)
class Damage:
    """What happens to the files of a home. *takes_log*: the events in the log go with it."""

    name: str
    harm: Harm
    takes_log: bool = False


def build(desk: Desk, receiver: SmallReceiver) -> None:
    """Leave a home with delivered and open events, of which the last stand in the log alone."""
    desk.run("sync", "server", receiver.url)
    desk.put(*map(make_event, range(1, DELIVERED + 1)))
    assert desk.run("sync", "now").code == 0
    desk.put(*map(make_event, range(DELIVERED + 1, STORED + 1)))
    living = desk.home.root.with_name("living")
    with open_home(desk.home):
        desk.put(*map(make_event, range(STORED + 1, LATE + 1)))
        shutil.copytree(desk.home.root, living)
    assert desk.run("sync", "backup", str(desk.root / "good.db")).code == 0
    shutil.rmtree(desk.home.root)
    living.rename(desk.home.root)


def write(name: str, data: bytes) -> Harm:
    return lambda home: (home / name).write_bytes(data) and None


def cut(name: str, size: int) -> Harm:
    return lambda home: os.truncate(home / name, size)


def remove(*names: str) -> Harm:
    def harm(home: Path) -> None:
        for name in names:
            (home / name).unlink()

    return harm


def zero(page: int) -> Harm:
    def harm(home: Path) -> None:
        with (home / "journal.db").open("r+b") as file:
            file.seek(page * PAGE)
            file.write(bytes(PAGE))

    return harm


def misspell(before: bytes, letter: bytes) -> Harm:
    """The letter after *before*, a text of the schema, is another; every page is sound."""

    def harm(home: Path) -> None:
        data = bytearray((home / DB).read_bytes())
        place = data.index(before) + len(before)
        data[place : place + 1] = letter
        (home / DB).write_bytes(data)

    return harm


def sql(*statements: str) -> Harm:
    def harm(home: Path) -> None:
        with closing(sqlite3.connect(home / "journal.db")) as conn, conn:
            for statement in statements:
                conn.execute(statement)

    return harm


def folder(name: str) -> Harm:
    """Put a folder where a file belongs."""

    def harm(home: Path) -> None:
        (home / name).unlink(missing_ok=True)
        (home / name).mkdir()

    return harm


def no_folder(home: Path) -> None:
    shutil.rmtree(home / "locks")
    (home / "locks").write_bytes(b"x")


def foreign_log(home: Path) -> None:
    """Put the log of another database beside ours."""
    other = home / "other.db"
    with closing(sqlite3.connect(other)) as conn:
        conn.execute("PRAGMA journal_mode=WAL")
        conn.execute("CREATE TABLE t (a)")
        conn.commit()
        shutil.copy(home / "other.db-wal", home / "journal.db-wal")


def another_database(home: Path) -> None:
    remove("journal.db", "journal.db-wal", "journal.db-shm")(home)
    sql("CREATE TABLE mine (a)")(home)


_NOISE = random.Random(7).randbytes
DB, WAL, SHM = "journal.db", "journal.db-wal", "journal.db-shm"
DAMAGES = (
    Damage("database empty", write(DB, b"")),
    Damage("database gone", remove(DB)),
    Damage("database a folder", folder(DB)),
    Damage("database is text", write(DB, b"hello\n" * 1000)),
    Damage("database is short", write(DB, b"hello")),
    Damage("database of one page", cut(DB, PAGE)),
    Damage("database of half a page", cut(DB, 100)),
    Damage("database of half its size", cut(DB, 15 * PAGE + 100)),
    *(Damage(f"page {page} zeroed", zero(page)) for page in (0, 1, 2, 3, 5, 8, 13, 21, 30)),
    Damage("log gone", remove(WAL), takes_log=True),
    Damage("log empty", write(WAL, b""), takes_log=True),
    Damage("log cut", cut(WAL, 5000), takes_log=True),
    Damage("log is noise", write(WAL, _NOISE(20_000)), takes_log=True),
    Damage("log of another database", foreign_log, takes_log=True),
    Damage("index of the log is noise", write(SHM, _NOISE(32_768))),
    Damage("index of the log gone", remove(SHM)),
    Damage("another application", sql("PRAGMA application_id=77")),
    Damage("another program's database", another_database),
    Damage("newer schema", sql("PRAGMA user_version=99")),
    Damage("a name in the schema is no text", misspell(b" AS\nSELECT seq", b"\xac")),
    Damage("a name in the schema is another", misspell(b" AS\nSELECT seq", b"x")),
    Damage("table dropped", sql("DROP TABLE delivery_ledger")),
    Damage("config.toml is noise", write("config.toml", b"\x00\xff[[")),
    Damage("config.toml of wrong types", write("config.toml", b"sync = 3")),
    Damage("config.toml a folder", folder("config.toml")),
    Damage("credentials are noise", write("credentials", b"\x00[[")),
    Damage("credentials of wrong types", write("credentials", b"user = 1\ntokens = 3\n")),
    Damage("credentials a folder", folder("credentials")),
    Damage("clock.json is noise", write("clock.json", b"\x00{")),
    Damage("clock.json a folder", folder("clock.json")),
    Damage("writer lock a folder", folder("journal.db.lock")),
    Damage("writer lock is noise", write("journal.db.lock", _NOISE(100))),
    Damage("locks no folder", no_folder),
    Damage("drain lock a folder", folder("locks/drain-1.lock")),
    Damage("holder of the drain lock is noise", write("locks/drain-1.holder.json", b"\xff{")),
)
