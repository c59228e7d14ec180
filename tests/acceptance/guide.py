"""A guide as a script: its console blocks, its hidden steps, and what each command prints."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

_PIECES = re.compile(r"<!-- run: (?P<hidden>.*?) -->|```console\n(?P<block>.*?)```", re.DOTALL)
_ENDS = re.compile(r"\s+# ends with (\S+)$")


@dataclass
class Step:
    """One command; `code` None means that any exit code will do."""

    command: str
    shown: bool
    code: int | None = 0
    expected: list[str] = field(default_factory=list)


def read_steps(path: Path) -> list[Step]:
    """Return the steps of the guide in order."""
    steps: list[Step] = []
    for piece in _PIECES.finditer(path.read_text(encoding="utf-8")):
        if piece["hidden"]:
            steps.append(Step(piece["hidden"], shown=False, code=None))
            continue
        for line in piece["block"].splitlines():
            if line.startswith("$ "):
                steps.append(_command(line[2:]))
            elif line.strip():
                steps[-1].expected.append(line)
    return steps


def _command(text: str) -> Step:
    ends = _ENDS.search(text)
    code: int | None = 0
    if ends:
        text = text[: ends.start()]
        code = int(ends[1]) if ends[1].isdigit() else None
    return Step(text, shown=True, code=None if text.endswith("&") else code)


def matches(expected: str, output: str) -> bool:
    """Whether *expected* stands in *output*, whatever the spacing; `…` is anything on its line."""
    parts = (re.escape(part) for part in re.split(r"(…|\s+)", expected.strip()) if part)
    pattern = "".join(
        ".*" if part == re.escape("…") else r"\s+" if not part.strip("\\ ") else part
        for part in parts
    )
    return re.search(pattern, output) is not None
