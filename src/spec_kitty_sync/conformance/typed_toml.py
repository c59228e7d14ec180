"""TOML documents whose values have to be of a certain type; what is not is told by file and key."""

from __future__ import annotations

import difflib
import reprlib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final, NoReturn

LONGEST_S: Final = 86_400.0
"""No wait of the kit is longer than a day."""


class TomlError(Exception):
    """The file cannot be used; the text is one sentence with file, key, value and remedy."""


@dataclass(frozen=True)
class TomlTable:
    """One table of the document at *path*; `place` is what stands before its keys in a message."""

    path: Path
    values: Mapping[str, object]
    place: str = ""

    def refuse(self, key: str, remedy: str) -> NoReturn:
        """Raise the error that says what *key* holds, and *remedy*."""
        held = f"is {reprlib.repr(self.values[key])}" if key in self.values else "is missing"
        raise TomlError(f"{self.path}: {self.place}{key} {held}; {remedy}")

    def allow(self, keys: Iterable[str]) -> None:
        """Refuse a key that is none of *keys*."""
        known = sorted(keys)
        for key in self.values:
            if key not in known:
                self.refuse(key, f"there is no such key here; there are {', '.join(known)}")

    def text(self, key: str, default: str = "") -> str:
        """Return the text at *key*."""
        value = self.values.get(key, default)
        if not isinstance(value, str):
            self.refuse(key, f'write a text: {key} = "…"')
        return value

    def switch(self, key: str) -> bool:
        """Return true or false; false where nothing stands."""
        value = self.values.get(key, False)
        if not isinstance(value, bool):
            self.refuse(key, f"write {key} = true or {key} = false")
        return value

    def seconds(self, key: str, default: float, *, or_none: bool = False) -> float:
        """Return a time to wait, in seconds; *or_none*: it may be 0."""
        value = self.values.get(key, default)
        number = value if isinstance(value, int | float) and not isinstance(value, bool) else -1
        if not (0 < number <= LONGEST_S or (or_none and number == 0)):
            least = "0 or more" if or_none else "more than 0"
            self.refuse(key, f"write a number of seconds, {least}, at most {LONGEST_S:.0f}")
        return float(number)

    def day(self, key: str) -> date:
        """Return the date at *key*, which has to be there; a date with a time is none."""
        value = self.values.get(key)
        if type(value) is not date:
            self.refuse(key, f"every entry needs a date: {key} = 2026-12-31")
        return value

    def words(self, key: str) -> tuple[str, ...]:
        """Return the list of texts at *key*."""
        value = self.values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            self.refuse(key, f'write a list of texts: {key} = ["…", "…"]')
        return tuple(value)

    def table(self, key: str) -> TomlTable:
        """Return the table at *key*; an empty one where nothing stands."""
        value = self.values.get(key, {})
        if not isinstance(value, dict):
            self.refuse(key, f"write a table: [{self.place}{key}]")
        return TomlTable(self.path, value, f"{self.place}{key}.")

    def texts(self, key: str) -> dict[str, str]:
        """Return the table at *key*, which holds texts only."""
        table = self.table(key)
        return {name: table.text(name) for name in table.values}

    def tables(self, key: str) -> list[TomlTable]:
        """Return the list of tables at *key*."""
        value = self.values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            self.refuse(key, f"write each entry under a line [[{key}]]")
        rows = enumerate(value, 1)
        return [TomlTable(self.path, row, f"{key} {number}: ") for number, row in rows]


def read_toml(path: Path, what: str) -> TomlTable:
    """Return the document at *path*; *what* it should be, for the message.

    Raises:
        TomlError: it cannot be read, is not UTF-8, or no TOML.
    """
    try:
        return TomlTable(path, tomllib.loads(path.read_text(encoding="utf-8")))
    except UnicodeDecodeError as exc:
        told = f"byte {exc.start + 1} is not UTF-8: save it as UTF-8"
    except (OSError, ValueError, RecursionError) as exc:
        told = str(exc)
    raise TomlError(f"the {what} {path} cannot be read: {told}")


def near(word: str, known: Iterable[str]) -> str:
    """Return which of *known* look like *word*, as the end of a sentence; else some of them."""
    names = list(known)
    found = difflib.get_close_matches(word, names, n=3) or names
    shown = ", ".join(found[:8]) + (", …" if len(found) > 8 else "")
    return f"there are {shown}" if found is names else f"did you mean {' or '.join(found)}?"
