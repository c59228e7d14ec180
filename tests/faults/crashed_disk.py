"""What a power cut may leave on a disk: a recorded trace, cut anywhere, one seed for the rest.

What was synced is there. Of what was only asked for, each write is there, absent or torn at the
size of a sector; each file is as long as it was at some time since; each name in a directory says
what it said at some time since the directory was synced. Nothing less is promised by POSIX.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePath

_HEAD = struct.Struct("<cQQQ")
SECTORS = (512, 4096)
MOODS = ("lost", "torn", "torn", "ended", "kept")


@dataclass(frozen=True, slots=True)
class Step:
    """One entry of a trace; the kinds are those of disk_recorder.c."""

    kind: str
    inode: int
    offset: int
    data: bytes

    @property
    def path(self) -> PurePath:
        return PurePath(self.data.decode())


def read_trace(path: Path) -> list[Step]:
    """Return the steps that disk_recorder.c wrote down."""
    raw, at, steps = path.read_bytes(), 0, []
    while at < len(raw):
        kind, inode, offset, length = _HEAD.unpack_from(raw, at)
        at += _HEAD.size
        steps.append(Step(kind.decode(), inode, offset, raw[at : at + length]))
        at += length
    return steps


@dataclass(slots=True)
class _File:
    """The bytes that are safe, and the writes (or, without data, lengths) that are not yet."""

    safe: bytearray = field(default_factory=bytearray)
    asked: list[tuple[int, bytes | None]] = field(default_factory=list)

    def sync(self) -> None:
        for offset, data in self.asked:
            _apply(self.safe, offset, data)
        self.asked.clear()

    def after_cut(self, mood: str, sector: int, rng: random.Random) -> bytes:
        found = bytearray(self.safe)
        for offset, data in self._survivors(mood, sector, rng):
            _apply(found, offset, data)
        return bytes(found)

    def _survivors(
        self, mood: str, sector: int, rng: random.Random
    ) -> Iterator[tuple[int, bytes | None]]:
        if mood == "kept":
            yield from self.asked
        elif mood == "ended":
            whole = rng.randint(0, len(self.asked))
            yield from self.asked[:whole]
            for offset, data in self.asked[whole : whole + 1]:
                yield from _torn(offset, data, sector, rng)
        elif mood == "torn":
            for offset, data in self.asked:
                fate = rng.choice(("there", "absent", "torn"))
                if fate == "there":
                    yield offset, data
                elif fate == "torn":
                    yield from _torn(offset, data, sector, rng)


def _apply(content: bytearray, offset: int, data: bytes | None) -> None:
    if data is None:
        del content[offset:]
        content.extend(bytes(offset - len(content)))
    else:
        content.extend(bytes(max(0, offset - len(content))))
        content[offset : offset + len(data)] = data


def _torn(
    offset: int, data: bytes | None, sector: int, rng: random.Random
) -> Iterator[tuple[int, bytes | None]]:
    """Yield some sectors of a write; a change of length happens or does not."""
    if data is None:
        if rng.random() < 0.5:
            yield offset, None
        return
    at = 0
    while at < len(data):
        size = min(sector - (offset + at) % sector, len(data) - at)
        if rng.random() < 0.5:
            yield offset + at, data[at : at + size]
        at += size


@dataclass(slots=True)
class _Folder:
    """Name → inode as it is safe, and every state of a name that is not yet."""

    safe: dict[str, int] = field(default_factory=dict)
    asked: dict[str, list[int | None]] = field(default_factory=dict)

    def set(self, name: str, inode: int | None) -> None:
        self.asked.setdefault(name, []).append(inode)

    def get(self, name: str) -> int | None:
        return self.asked[name][-1] if name in self.asked else self.safe.get(name)

    def sync(self) -> None:
        self.safe = dict(self.after_cut("kept", random.Random()))
        self.asked.clear()

    def after_cut(self, mood: str, rng: random.Random) -> Iterator[tuple[str, int]]:
        for name in sorted(self.safe.keys() | self.asked.keys()):
            states = [self.safe.get(name), *self.asked.get(name, ())]
            index = {"lost": 0, "kept": -1}.get(mood)
            chosen = states[index] if index is not None else rng.choice(states)
            if chosen is not None:
                yield name, chosen


class CrashedDisk:
    """The files below *root*: given the steps one by one, says what a cut now may leave."""

    def __init__(self, root: Path) -> None:
        """Begin with what is below *root* now, all of it safe."""
        self._root = root
        self._top = root.stat().st_ino
        self._files: dict[int, _File] = {}
        self._folders: dict[int, _Folder] = {}
        for path in (root, *sorted(root.rglob("*"))):
            inode = path.stat().st_ino
            if path.is_dir():
                self._folders[inode] = _Folder()
            else:
                self._files[inode] = _File(bytearray(path.read_bytes()))
            if path != root:
                self._folder(path.parent).safe[path.name] = inode

    def _folder(self, path: PurePath) -> _Folder:
        inode = self._top
        for part in path.relative_to(self._root).parts:
            found = self._folders[inode].get(part)
            assert found is not None, f"{path} was never made"
            inode = found
        return self._folders[inode]

    def do(self, step: Step) -> None:
        """Take the next step of the trace."""
        match step.kind:
            case "C":
                self._files[step.inode] = _File()
                self._folder(step.path.parent).set(step.path.name, step.inode)
            case "M":
                self._folders[step.inode] = _Folder()
                self._folder(step.path.parent).set(step.path.name, step.inode)
            case "W":
                self._files[step.inode].asked.append((step.offset, step.data))
            case "T":
                self._files[step.inode].asked.append((step.offset, None))
            case "S":
                self._files[step.inode].sync()
            case "D":
                self._folders[step.inode].sync()
            case "U":
                self._folder(step.path.parent).set(step.path.name, None)
            case "R":
                old, new = (PurePath(part.decode()) for part in step.data.split(b"\0"))
                source = self._folder(old.parent)
                inode = source.get(old.name)
                source.set(old.name, None)
                self._folder(new.parent).set(new.name, inode)
            case _:
                raise AssertionError(f"no such step: {step.kind}")

    def leave(self, name: str, target: Path, *, mood: str, seed: int) -> None:
        """Write into *target* what is left of the folder *name* if the power goes now."""
        rng = random.Random(seed)
        inode = self._folder(self._root).get(name)
        assert inode is not None
        self._leave(inode, target, mood, rng.choice(SECTORS), rng)

    def _leave(self, inode: int, target: Path, mood: str, sector: int, rng: random.Random) -> None:
        target.mkdir(0o700)
        for name, child in self._folders[inode].after_cut(mood, rng):
            path = target / name
            if child in self._folders:
                self._leave(child, path, mood, sector, rng)
                continue
            path.touch(0o600)
            if not name.endswith("-shm"):
                path.write_bytes(self._files[child].after_cut(mood, sector, rng))
            else:
                # Written through memory, so never recorded: whatever it holds must not matter.
                path.write_bytes(rng.choice((b"", bytes(32768), rng.randbytes(32768))))
