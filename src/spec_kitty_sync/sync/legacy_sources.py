"""Where older CLIs left events: what is found, in which order, and what is passed over.

Finding looks at names and file types only; nothing is opened (CONTRACT 6, legacy queues).
"""

from __future__ import annotations

import os
import re
import shlex
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from spec_kitty_sync._files import Home
from spec_kitty_sync.errors import SourceError

SIDECARS = ("-wal", "-journal", "-shm")
_SCOPED_NAME = re.compile(r"queue-([0-9a-f]+)\.db", re.ASCII)
_JOURNAL_NAME = re.compile(r"journal-.+\.db", re.DOTALL)
_SIDECAR_NAME = re.compile(r"(.+)-(?:wal|shm|journal)", re.DOTALL)


class SourceKind(StrEnum):
    """Where a source was found; how it is read depends on its tables, not on this."""

    EVENT_JOURNAL = "event_journal"
    LEGACY_QUEUE = "legacy_queue"
    SCOPED_QUEUE = "scoped_queue"
    PROJECT_STORE = "project_store"
    NAMED = "named"


class Problem(NamedTuple):
    """Why something cannot be used: a stable code, one sentence, and what to do."""

    code: str
    reason: str
    remedy: str


@dataclass(frozen=True)
class LegacySource:
    """One place that may hold events; `problem` says why it is not even opened."""

    path: Path
    kind: SourceKind
    digest: str | None = None
    problem: Problem | None = None

    @property
    def name(self) -> str:
        """Return the path as printable text; bytes that are not UTF-8 are escaped."""
        return shown_path(self.path)

    @property
    def is_empty(self) -> bool:
        """Whether there is a file that cannot hold anything: 0 bytes, and no log beside it."""
        return self.problem is not None and self.problem.code == _ZERO_BYTES


class LegacyRow(NamedTuple):
    """One row as it stands in a source; `body` is None when the row holds no bytes.

    `row` is SQLite's rowid or the line number. `problem` is set when the row has no event
    bytes at all, or only a wrapper around none. Times are epoch seconds, as found.
    """

    row: int
    column_id: str | None
    column_type: str | None
    body: bytes | None
    problem: str | None
    queued_at: int | None
    retry_count: int | None
    coalesce_key: str | None


def shown_path(path: Path) -> str:
    """Return *path* as text that every terminal, JSON file and database takes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def source_error(path: Path, code: str, reason: str, remedy: str) -> SourceError:
    """Return the error that says why *path* cannot be read; `facts["reason"]` is *code*."""
    text = f"{shown_path(path)}: {reason}"
    return SourceError(text, remedy=remedy, reason=code, detail=reason, path=shown_path(path))


def ignore_command(path: Path) -> str:
    """Return the command that leaves the source at *path* alone."""
    return f"`spec-kitty sync migrate sources ignore {quoted(path)} --reason TEXT`"


def from_command(path: Path) -> str:
    """Return the command that imports the file at *path* by name."""
    return f"`spec-kitty sync migrate --from {quoted(path)}`"


def quoted(path: Path) -> str:
    """Return *path* as a shell takes it."""
    return shlex.quote(shown_path(path))


def discover(home: Home, extra: Sequence[Path] = ()) -> list[LegacySource]:
    """Return every legacy source below *home* in import order, then those in *extra*.

    Files with odd names, links, directories and empty files are returned too, with their
    problem: nothing is passed over in silence. A file of the home that is named as well is
    returned once; naming one makes up for its odd name.
    """
    found = list(_in_home(home.root))
    for named in _named(extra):
        same = [each for each in found if _identity(each.path) == _identity(named.path)]
        if any(each.problem is None or each.problem.code != "odd_name" for each in same):
            continue
        found = [each for each in found if each not in same]
        found.append(named)
    return found


def _identity(path: Path) -> tuple[int, int] | str:
    try:
        status = path.lstat()
    except OSError:
        return str(path)
    return status.st_dev, status.st_ino


def _in_home(root: Path) -> Iterator[LegacySource]:
    for folder in ("event_journal", "queues", "projects"):
        yield from _closed_folder(root / folder)
    for path in _entries(root / "event_journal"):
        if _JOURNAL_NAME.fullmatch(path.name):
            yield _checked(path, SourceKind.EVENT_JOURNAL)
        else:
            yield _odd_name(path, SourceKind.EVENT_JOURNAL)
    if _lstat(root / "queue.db") is not None:
        yield _checked(root / "queue.db", SourceKind.LEGACY_QUEUE)
    for path in _entries(root / "queues"):
        match = _SCOPED_NAME.fullmatch(path.name)
        if match:
            yield _checked(path, SourceKind.SCOPED_QUEUE, match[1])
        else:
            yield _odd_name(path, SourceKind.SCOPED_QUEUE)
    for project in _entries(root / "projects"):
        store = project / "sync" / "sync.db"
        if _lstat(store) is not None:
            yield _checked(store, SourceKind.PROJECT_STORE)


def _named(paths: Iterable[Path]) -> Iterator[LegacySource]:
    for given in paths:
        path = given.expanduser().absolute()
        if path.is_dir() and not path.is_symlink():
            yield from _in_folder(path)
        elif _lstat(path) is None:
            yield LegacySource(path, SourceKind.NAMED, problem=_VANISHED)
        else:
            match = _SCOPED_NAME.fullmatch(path.name)
            yield _checked(path, SourceKind.NAMED, match[1] if match else None)


def _in_folder(folder: Path) -> Iterator[LegacySource]:
    """Yield the sources of another home, or every database that lies in a plain folder."""
    inside = list(_in_home(folder))
    if inside:
        yield from inside
        return
    databases = [path for path in _entries(folder) if path.suffix in (".db", ".sqlite")]
    if not databases:
        yield LegacySource(folder, SourceKind.NAMED, problem=_EMPTY_FOLDER)
    for path in databases:
        match = _SCOPED_NAME.fullmatch(path.name)
        yield _checked(path, SourceKind.NAMED, match[1] if match else None)


def _entries(folder: Path) -> list[Path]:
    """Return the entries of *folder* by name, without the sidecars of databases beside them."""
    try:
        names = sorted(os.listdir(folder), key=os.fsencode)
    except OSError:
        return []
    present = set(names)
    return [
        folder / name
        for name in names
        if not ((match := _SIDECAR_NAME.fullmatch(name)) and match[1] in present)
    ]


def _closed_folder(folder: Path) -> Iterator[LegacySource]:
    """Yield *folder* itself when it is there but cannot be listed."""
    try:
        os.listdir(folder)
    except FileNotFoundError:
        return
    except OSError as exc:
        problem = Problem(
            "permission",
            f"the folder cannot be listed: {exc.strerror}",
            f"Check {quoted(folder)} and run the same command again.",
        )
        yield LegacySource(folder, SourceKind.NAMED, problem=problem)


def _lstat(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except OSError:
        return None


def _checked(path: Path, kind: SourceKind, digest: str | None = None) -> LegacySource:
    return LegacySource(path, kind, digest, _file_problem(path))


def _odd_name(path: Path, kind: SourceKind) -> LegacySource:
    problem = _file_problem(path) or Problem(
        "odd_name",
        "its name is not one that a CLI gives to a queue",
        f"If it holds events, run {from_command(path)}; else {ignore_command(path)}.",
    )
    return LegacySource(path, kind, None, problem)


def _file_problem(path: Path) -> Problem | None:
    status = _lstat(path)
    if status is None:
        return _VANISHED
    if stat.S_ISLNK(status.st_mode):
        return _link_problem(path)
    if not stat.S_ISREG(status.st_mode):
        return Problem(
            "not_a_file",
            "it is a directory" if stat.S_ISDIR(status.st_mode) else "it is not a regular file",
            f"Run {ignore_command(path)}.",
        )
    if status.st_size == 0 and not _has_bytes(path, "-wal"):
        return _emptied(path) if _has_bytes(path, "-journal") else _NOTHING
    return None


def _emptied(path: Path) -> Problem:
    return Problem(
        "damaged",
        "the file is empty (0 bytes), but the journal beside it is not",
        f"If a backup holds its events, run `spec-kitty sync migrate --from` with that. Then run "
        f"{ignore_command(path)}.",
    )


def _link_problem(path: Path) -> Problem:
    target = Path(os.path.realpath(path))
    if target.is_file():
        reason, remedy = f"it is a symbolic link to {shown_path(target)}", from_command(target)
    else:
        reason, remedy = "it is a symbolic link that leads nowhere", ignore_command(path)
    return Problem("symlink", reason, f"Run {remedy}.")


def _has_bytes(path: Path, suffix: str) -> bool:
    status = _lstat(path.with_name(path.name + suffix))
    return status is not None and status.st_size > 0


_ZERO_BYTES = "zero_bytes"
_NOTHING = Problem(
    _ZERO_BYTES,
    "the file is empty (0 bytes)",
    "If it should hold events, name a backup of it with `--from`.",
)
_VANISHED = Problem("vanished", "the file is not there", "Check the path; nothing was read.")
_EMPTY_FOLDER = Problem(
    "no_database", "the folder holds no database", "Name the file itself with `--from`."
)
