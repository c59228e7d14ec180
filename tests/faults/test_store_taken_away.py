"""Files that vanish, are replaced, cannot be written or are locked while the work goes on."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from desk import Desk, event_id, make_event
from oracle import journal_of
from oracle import make_event as admitted
from remedies import commands
from small_receiver import SmallReceiver, accept
from unprivileged import unprivileged

from spec_kitty_sync._clock import ManualClock
from spec_kitty_sync.errors import SpecKittyError, StoreBusyError, StoreGoneError
from spec_kitty_sync.sync.store import open_home

FILES = ("journal.db", "journal.db-wal", "journal.db-shm")
LOCKED = """
import sqlite3, sys
conn = sqlite3.connect(sys.argv[1], isolation_level=None)
conn.execute("PRAGMA locking_mode=EXCLUSIVE")
conn.execute("BEGIN EXCLUSIVE")
conn.execute("CREATE TABLE mine (a)")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.chdir(tmp_path)
    desk = Desk(tmp_path)
    desk.put(make_event(1), make_event(2))
    return desk


def removed(home: Path) -> None:
    for name in FILES:
        (home / name).unlink(missing_ok=True)


def replaced(home: Path) -> None:
    other = Desk(home.with_name("other"))
    other.put(make_event(7))
    removed(home)
    shutil.copy(other.home.journal_db, home / "journal.db")


def moved(home: Path) -> None:
    home.rename(home.with_name("elsewhere"))


TAKEN = pytest.mark.parametrize("take", [removed, replaced, moved], ids=lambda take: take.__name__)


@TAKEN
def test_append_to_a_store_that_was_taken_away_is_never_acknowledged(desk, take):
    """Whoever has the journal open is told at the next event, and again, until it opens anew."""
    with open_home(desk.home) as store:
        journal = journal_of(store, ManualClock())
        journal.append(admitted(101))
        take(desk.home.root)
        for number in (102, 103):
            with pytest.raises(StoreGoneError, match="removed or replaced") as told:
                journal.append(admitted(number))
        assert "Start the program again" in told.value.remedy
    with open_home(desk.home) as store:
        assert journal_of(store, ManualClock()).append(admitted(102)).inserted


@TAKEN
def test_drain_of_a_store_that_was_taken_away_says_so(desk, take, tmp_path):
    """A drain that loses its journal under way calls nothing delivered and ends with a remedy."""
    with SmallReceiver() as receiver:
        desk.run("sync", "server", receiver.url)

        def take_away(event):
            take(desk.home.root)
            receiver.judge = accept
            return accept(event)

        receiver.judge = take_away
        done = desk.run("sync", "now")
    assert done.code == 2, done
    assert "removed or replaced while it was open" in done.err
    assert "Everything delivered" not in done.out


READING = (
    ("sync", "status"),
    ("sync", "status", "--check"),
    ("sync", "doctor"),
    ("sync", "verify"),
    ("sync", "log"),
    ("sync", "show", event_id(1)),
    ("sync", "gc"),
    ("sync", "targets", "list"),
    ("diagnose",),
    ("auth", "status"),
)


@pytest.mark.parametrize("log", ["log waits", "log is empty"])
def test_read_only_home_can_be_looked_at(desk, log):
    """Every reading command answers where nothing may be written, whatever the log holds."""
    if log == "log waits":
        _with_a_log(desk)
    with _read_only(desk.home.root):
        for command in READING:
            done = unprivileged(lambda words=command: desk.run(*words))
            assert done.code in (0, 3), (command, done)
            assert "Traceback" not in done.out + done.err
        status = unprivileged(lambda: desk.json("sync", "status"))
    assert status["event_journal"]["retained_event_count"] == 2


def test_read_only_home_refuses_events_and_names_the_chmod(desk):
    """append, emit and delivery say why not, and the command that they name puts it right."""
    with _read_only(desk.home.root):
        with pytest.raises(SpecKittyError) as refused:
            raise unprivileged(lambda: _error_of(lambda: desk.put(make_event(3))))
        assert refused.value.code == "store_read_only"
        done = unprivileged(lambda: desk.run("sync", "now"))
        assert done.code == 2, done
        named = commands(refused.value.remedy)
        assert named, refused.value.remedy
        for command in named:
            subprocess.run(command.split(), check=True)
        assert unprivileged(lambda: _error_of(lambda: desk.put(make_event(3)))) is None


def _error_of(work: Callable[[], object]) -> SpecKittyError | None:
    try:
        work()
    except SpecKittyError as exc:
        return exc
    return None


class _read_only:
    """The folder and its files cannot be written in the block."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> None:
        for path in self._folder.iterdir():
            path.chmod(0o500 if path.is_dir() else 0o400)
        self._folder.chmod(0o500)

    def __exit__(self, *exc_info: object) -> None:
        self._folder.chmod(0o700)


def _with_a_log(desk: Desk) -> None:
    """Leave the home as a process left it that was killed: its last events in the log alone."""
    living = desk.home.root.with_name("living")
    removed(desk.home.root)
    with open_home(desk.home):
        desk.put(make_event(1), make_event(2))
        shutil.copytree(desk.home.root, living)
    shutil.rmtree(desk.home.root)
    living.rename(desk.home.root)
    assert (desk.home.root / "journal.db-wal").stat().st_size


def test_database_locked_by_another_program_is_busy_in_bounded_time(desk, monkeypatch):
    """A foreign lock makes writers and readers wait for a while, then say who is to blame."""
    monkeypatch.setattr("spec_kitty_sync._sqlite.BUSY_TIMEOUT_S", 0.3)
    with _holding(LOCKED, desk.home.journal_db):
        with pytest.raises(StoreBusyError) as busy:
            desk.put(make_event(3))
        assert "run the same command again" in busy.value.remedy
        for command in (("sync", "status"), ("sync", "now")):
            done = desk.run(*command)
            assert done.code == 2, done
            assert "locked" in done.err
    desk.put(make_event(3))


@contextmanager
def _holding(program: str, path: Path) -> Iterator[None]:
    """Let a process of its own hold *path* during the block."""
    with subprocess.Popen(
        [sys.executable, "-c", program, str(path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as holder:  # fmt: skip
        assert holder.stdout.readline() == "held\n"
        yield
        holder.communicate()


LOCKING = """
import fcntl, sys
lock = open(sys.argv[1])
fcntl.flock(lock, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


def test_only_one_process_at_a_time_writes_or_checkpoints(desk, monkeypatch):
    """While another holds the writer lock, writers wait, then say so; readers go on."""
    monkeypatch.setattr("spec_kitty_sync._sqlite.BUSY_TIMEOUT_S", 0.3)
    with _holding(LOCKING, desk.home.root / "journal.db.lock"):
        with pytest.raises(StoreBusyError, match="another process is writing"):
            desk.put(make_event(3))
        assert desk.run("sync", "status").code == 0
    desk.put(make_event(3))
