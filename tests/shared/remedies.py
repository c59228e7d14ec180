"""Following what a message says: the commands in it, with the placeholders filled in."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from desk import Desk, Ran
from small_receiver import SmallReceiver

_COMMAND = re.compile(r"`([^`]+)`")
_FIRST_WORDS = ("spec-kitty", "chmod", "mv", "unset", "export")
LOGIN = ("--username", "ada", "--password-env", "SK_PASSWORD")

Arrange = Callable[[Desk, SmallReceiver], None]


@dataclass(frozen=True)
class Trouble:
    """One complaint: how to get it, who complains, its code, and how to fill its remedy in.

    `mend` is what the operator does outside the command line ("when the cause is mended").
    """

    name: str
    arrange: Arrange
    complain: tuple[str, ...]
    code: str
    fill: dict[str, Callable[[Desk, SmallReceiver], str]] = field(default_factory=dict)
    mend: Arrange | None = None
    every: bool = False


def codes(done: Ran) -> dict[str, str]:
    """Return code → remedy of everything that one `--json` output complains about."""
    document = done.json
    found: dict[str, str] = {}
    for each in (document.get("error"), document.get("stop"), *document.get("attention", ())):
        if each:
            found[each["code"]] = each["remedy"]
    for group in document.get("failures", ()):
        found[group["state"]] = group["remedy"]
    return found


def commands(text: str) -> list[str]:
    """Return the commands that *text* names."""
    return [each for each in _COMMAND.findall(text) if each.split()[0] in _FIRST_WORDS]


def follow(trouble: Trouble, text: str, desk: Desk, receiver: SmallReceiver) -> Iterator[Ran]:
    """Run the commands of a remedy one by one, yielding what each printed."""
    for command in commands(text):
        words = [_filled(word, trouble, desk, receiver) for word in shlex.split(command)]
        match words:
            case ["spec-kitty", *arguments, ">", path]:
                done = desk.run(*arguments)
                Path(path).write_text(done.out)
                yield done
            case ["spec-kitty", *arguments]:
                extra = LOGIN if arguments[:2] == ["auth", "login"] else ()
                done = desk.run(*arguments, *extra)
                yield desk.run(*arguments, "--yes") if "`--yes`" in done.err else done
            case ["unset", name]:
                desk.environ.pop(name)
                yield Ran(0, "", "")
            case ["export", setting]:
                name = setting.partition("=")[0]
                desk.environ[name] = receiver.token or "x"
                yield Ran(0, "", "")
            case _:
                yield Ran(subprocess.run(words, check=False).returncode, "", "")


def _filled(word: str, trouble: Trouble, desk: Desk, receiver: SmallReceiver) -> str:
    if word in trouble.fill:
        return trouble.fill[word](desk, receiver)
    usual: dict[str, Any] = {"URL": receiver.url, "TEXT": "because", "journal|source": "journal"}
    return str(usual.get(word, word))
