"""Paths and private files: the home, atomic writes, shared data of the distribution."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from spec_kitty_sync.errors import (
    StoreDiskError,
    StoreError,
    StoreFullError,
    StoreHandlesError,
    StoreReadOnlyError,
    UnsafePathError,
    UsageError,
)

_PRIVATE_DIR = 0o700
_PRIVATE_FILE = 0o600


@dataclass(frozen=True)
class Home:
    """The directory that holds everything of one operator (CONTRACT 6, Home)."""

    root: Path

    @classmethod
    def resolve(cls, environ: Mapping[str, str], override: str | Path | None = None) -> Home:
        """Return *override*, else SPEC_KITTY_HOME, else `~/.spec-kitty`."""
        chosen = override or environ.get("SPEC_KITTY_HOME") or Path.home() / ".spec-kitty"
        return cls(Path(chosen).expanduser().absolute())

    @property
    def journal_db(self) -> Path:
        return self.root / "journal.db"

    @property
    def config_toml(self) -> Path:
        return self.root / "config.toml"

    @property
    def credentials(self) -> Path:
        return self.root / "credentials"

    @property
    def clock_json(self) -> Path:
        return self.root / "clock.json"

    @property
    def active_queue_scope(self) -> Path:
        return self.root / "active_queue_scope"

    @property
    def queue_db(self) -> Path:
        return self.root / "queue.db"

    @property
    def queues_dir(self) -> Path:
        return self.root / "queues"

    @property
    def locks_dir(self) -> Path:
        return self.root / "locks"

    def ensure(self) -> Home:
        """Create the directory (0700) if it is missing; refuse a symlink or a foreign owner."""
        make_private_dir(self.root)
        return self


def make_private_dir(path: Path, *, durable: bool = True) -> None:
    """Create *path* with mode 0700 unless it exists; an existing one must be ours.

    *durable*: a new one outlives a power cut, for what is stored in it is no safer than its name.

    Raises:
        UnsafePathError: it belongs to another user.
        StoreError: it cannot be created.
    """
    try:
        if not path.exists():
            missing = [each for each in (path, *path.parents) if not each.exists()]
            path.mkdir(mode=_PRIVATE_DIR, parents=True, exist_ok=True)
            for made in missing if durable else ():
                sync_dir(made.parent)
        elif not path.is_dir():
            raise UnsafePathError(f"{path} is not a directory", remedy=move_away(path))
    except OSError as exc:
        raise disk_error(f"cannot create {path}", exc, path) from exc
    _check_owner(path)


def touch_private(path: Path) -> None:
    """Make sure *path* is a regular file of ours with mode 0600 before anyone writes to it.

    Raises:
        UnsafePathError: it is a symlink, no regular file, or belongs to another user.
        StoreError: it cannot be created.
    """
    if path.is_symlink():
        raise UnsafePathError(
            f"{path} is a symbolic link", remedy=f"Replace {path} by the file itself."
        )
    try:
        # Never opened if it exists: closing an SQLite file drops SQLite's own locks on it.
        _create(path)
    except FileExistsError:
        if not stat.S_ISREG(path.lstat().st_mode):
            remedy = move_away(path)
            raise UnsafePathError(f"{path} is not a regular file", remedy=remedy) from None
        _check_owner(path)
    except OSError as exc:
        raise disk_error(f"cannot create {path}", exc, path) from exc


def create_private(path: Path) -> None:
    """Create *path* with mode 0600; of several who try, all but one are refused.

    Raises:
        UsageError: something has that name.
        StoreError: it cannot be created.
    """
    try:
        _create(path)
    except FileExistsError:
        raise UsageError(f"{path} exists", remedy="Choose another file name.") from None
    except OSError as exc:
        raise disk_error(f"cannot create {path}", exc, path) from exc


def _create(path: Path) -> None:
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    os.close(os.open(path, flags, _PRIVATE_FILE))


def spent_error(what: str, exc: OSError) -> StoreError | None:
    """Return the error of a machine that has run out of room, files or health, else None."""
    failure = disk_error(what, exc)
    return None if isinstance(failure, StoreReadOnlyError) else failure


def disk_error(what: str, exc: OSError, path: Path | None = None) -> StoreError:
    """Return the store error that *exc* means: each has another way out."""
    kind: type[StoreError] = StoreReadOnlyError
    if exc.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        kind = StoreFullError
    elif exc.errno in (errno.EMFILE, errno.ENFILE):
        kind = StoreHandlesError
    elif exc.errno == errno.EIO:
        kind = StoreDiskError
    text = f"{what}: {exc.strerror}"
    if kind is StoreReadOnlyError and path is not None:
        return kind(text, remedy=make_writable(path), path=str(path))
    return kind(text)


def discard_file(path: Path) -> None:
    """Take away what an attempt that failed has left, as far as the disk allows."""
    with contextlib.suppress(OSError):
        path.unlink()


def make_writable(path: Path) -> str | None:
    """Return the remedy that lets *path* be written, None where permissions are not the reason."""
    there = [each for each in (path.parent, path) if each.exists()]
    locked = [each for each in there if not os.access(each, os.W_OK)]
    if not locked:
        return None
    import shlex  # only remedies quote

    words = shlex.join(["chmod", "u+w", *map(str, locked)])
    return f"Run `{words}`, or set SPEC_KITTY_HOME to another folder."


def move_away(*paths: Path) -> str:
    """Return the remedy for files that are in the way: nothing of them is lost."""
    import shlex  # only remedies quote

    moves = (shlex.join(["mv", str(p), str(moved_away(p))]) for p in paths)
    return f"Move what is there away: {', '.join(f'`{move}`' for move in moves)}."


def moved_away(path: Path) -> Path:
    """Return where the remedy of `move_away` puts *path*."""
    return path.with_name(f"damaged-{path.name}")


def _check_owner(path: Path) -> None:
    if hasattr(os, "getuid") and path.stat().st_uid not in (os.getuid(), 0):
        raise UnsafePathError(
            f"{path} belongs to another user", remedy=f"Run `chown $USER {path}`."
        )


def write_atomic(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Replace *path* by *data* (mode 0600): readers see the old bytes or the new ones.

    *durable*: when it returns, the new bytes outlive a power cut.
    """
    import tempfile  # readers never come here, and it loads random and shutil

    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            if durable:
                os.fsync(stream.fileno())
        os.replace(name, path)
        if durable:
            sync_dir(path.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def sync_dir(path: Path) -> None:
    """Make new names in the directory *path* durable, where the system can."""
    if os.name != "posix":
        return
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def shared_path(*parts: str) -> Path:
    """Return a path below `schemas/`, `conformance/` or `fixtures/`, wheel or clone alike.

    Raises:
        FileNotFoundError: the installation is incomplete.
    """
    package = Path(__file__).resolve().parent
    for base in (package / "_shared", package.parents[1]):
        candidate = base.joinpath(*parts)
        if candidate.exists():
            return candidate
    raise FileNotFoundError(f"{'/'.join(parts)} is not part of this installation")
