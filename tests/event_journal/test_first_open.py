"""A new journal that several processes open in the same moment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from spec_kitty_sync._files import Home
from spec_kitty_sync._sqlite_errors import size_of
from spec_kitty_sync.errors import StoreBusyError
from spec_kitty_sync.sync.store import open_home, steps

# Another opener is about to write; it leaves when this one waits for the first time, or never.
MEETS_ANOTHER = """
import sqlite3, sys, time
from pathlib import Path
from spec_kitty_sync import _sqlite_open
from spec_kitty_sync._files import Home, touch_private
from spec_kitty_sync.sync.store import open_home

home, leaves = Home(Path(sys.argv[1])), sys.argv[2] == "leaves"
_sqlite_open.BUSY_TIMEOUT_S = 0.2
touch_private(home.journal_db)
other = sqlite3.connect(home.journal_db, isolation_level=None)
other.execute("BEGIN IMMEDIATE")

def watch(frame, event, called):
    if event == "c_call" and called is time.sleep and leaves and other.in_transaction:
        print("waited")
        other.execute("ROLLBACK")

sys.setprofile(watch)
with open_home(home) as store:
    print(store.conn.execute("PRAGMA journal_mode").fetchone()[0])
"""


def meet_another(root: Path, how: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", MEETS_ANOTHER, str(root), how],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_opener_waits_for_whoever_makes_the_new_file(tmp_path: Path) -> None:
    """SQLite refuses the second change of the journal mode at once: the event was not kept."""
    ran = meet_another(tmp_path, "leaves")
    assert (ran.returncode, ran.stdout.split()) == (0, ["waited", "wal"]), ran.stderr


def test_opener_gives_up_where_the_file_stays_busy(tmp_path: Path) -> None:
    """It does not wait for ever, and leaves a file that the next one can open."""
    ran = meet_another(tmp_path, "stays")
    assert StoreBusyError.__name__ in ran.stderr
    with open_home(Home(tmp_path)) as store:
        assert store.conn.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


OPENS_AT_ONCE = """
import sys
from pathlib import Path
from spec_kitty_sync._files import Home
from spec_kitty_sync.sync.store import open_home

print("ready", flush=True)
for root in sys.stdin:
    with open_home(Home(Path(root.strip()))) as store:
        print(store.conn.execute("PRAGMA user_version").fetchone()[0], flush=True)
"""


def test_processes_that_open_new_journals_at_once_all_get_in(tmp_path: Path) -> None:
    """Four openers, forty new homes; each home is opened by all in the same moment."""
    pipe = subprocess.PIPE
    openers = [
        subprocess.Popen(
            [sys.executable, "-c", OPENS_AT_ONCE], stdin=pipe, stdout=pipe, stderr=pipe, text=True
        )
        for _ in range(4)
    ]
    for one in openers:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    versions = set()
    for number in range(40):
        for one in openers:
            assert one.stdin is not None
            one.stdin.write(f"{tmp_path / str(number)}\n")
            one.stdin.flush()
        for one in openers:
            assert one.stdout is not None
            versions.add(one.stdout.readline())
    endings = [(one.communicate()[1], one.returncode) for one in openers]
    assert endings == [("", 0)] * 4
    assert len(versions) == 1


# Another process makes the journal after the first look at what is there.
MADE_MEANWHILE = """
import sys
from pathlib import Path
from spec_kitty_sync._files import Home
from spec_kitty_sync.sync.store import open_home, read_home

home = Home(Path(sys.argv[1]))
home.ensure().journal_db.touch(0o600)
others = []

def watch(frame, event, arg):
    if event == "return" and frame.f_code.co_name == "size_of":
        sys.setprofile(None)
        others.append(open_home(home))

sys.setprofile(watch)
with (open_home if sys.argv[2] == "opens" else read_home)(home) or others[0] as store:
    print(len(others), store.conn.execute("PRAGMA user_version").fetchone()[0])
"""


@pytest.mark.parametrize("how", ["opens", "reads"])
def test_journal_that_is_made_meanwhile_is_no_log_without_its_database(
    tmp_path: Path, how: str
) -> None:
    """Who sees an empty database, and a moment later its log, sees a journal that is being made."""
    ran = subprocess.run(
        [sys.executable, "-c", MADE_MEANWHILE, str(tmp_path), how],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (ran.returncode, ran.stdout.split()) == (0, ["1", str(len(steps()))]), ran.stderr


class Fleeting(type(Path())):  # type: ignore[misc]  # the class of this system's paths
    """A log that the last process to leave deletes as soon as it was looked at."""

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        found = super().stat(follow_symlinks=follow_symlinks)
        self.unlink()
        return found


def test_log_that_is_deleted_meanwhile_has_a_size(tmp_path: Path) -> None:
    """The last process to leave deletes the log: between two looks at it, that was a crash."""
    log = Fleeting(tmp_path / "journal.db-wal")
    log.write_bytes(b"log")
    assert (size_of(log), size_of(log)) == (3, 0)
