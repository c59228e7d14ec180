"""A page as a script: its shell blocks, its files, its hidden steps, and what each command prints.

`console` blocks hold commands after `$ ` and what they print; `# ends with N` is the exit code
(0 where nothing is said). `sh` blocks hold commands to copy, one a line. A block under a line
that is a file name (`` `name`: ``) is written to that file first.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path

_PIECES = re.compile(
    r"<!-- run: (?P<hidden>.*?) -->"
    r"|^```console\n(?P<console>.*?)^```"
    r"|^```sh\n(?P<sh>.*?)^```"
    r"|^`(?P<file>[\w./-]+)`:\n\n```\w+\n(?P<content>.*?)^```",
    re.DOTALL | re.MULTILINE,
)
_ENDS = re.compile(r"\s+# ends with (\S+)$")
_PRELUDE = """
set +e
wait_for() { "$PYTHON" -c 'import socket, sys, time
for _ in range(2400):
    try:
        socket.create_connection(("127.0.0.1", int(sys.argv[1])), 1).close()
        break
    except OSError:
        time.sleep(0.05)
else:
    sys.exit("nobody listens")' "$1"; }
first_id() { "$PYTHON" -c 'import json, sys
print(json.load(sys.stdin)["events"][0]["event_id"])'; }
first_conflict() { "$PYTHON" -c 'import json, sys
print(json.load(sys.stdin)["migration_conflicts"]["conflicts"][0]["event_id"])'; }
unpack() { cp -r "$SAMPLES/$1/queues" "$SPEC_KITTY_HOME/"; }
trap 'kill $(jobs -p) 2>/dev/null' EXIT
"""


@dataclass
class Step:
    """One command; `code` None means that any exit code will do."""

    command: str
    shown: bool
    code: int | None = 0
    expected: list[str] = field(default_factory=list)


@dataclass
class Guide:
    """The steps of a page in order, and the files that it has the reader write."""

    steps: list[Step] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)


def read_guide(path: Path) -> Guide:
    """Return what the page at *path* has its reader do."""
    guide = Guide()
    for piece in _PIECES.finditer(path.read_text(encoding="utf-8")):
        if piece["hidden"]:
            guide.steps.append(Step(piece["hidden"], shown=False, code=None))
        elif piece["file"]:
            guide.files[piece["file"]] = piece["content"]
        elif piece["sh"]:
            lines = piece["sh"].replace("\\\n", " ").splitlines()
            guide.steps += [_command(line) for line in lines if line.strip()]
        else:
            guide.steps += _console(piece["console"])
    return guide


def _console(block: str) -> list[Step]:
    steps: list[Step] = []
    for line in block.splitlines():
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


def environment(root: Path) -> dict[str, str]:
    """Return the variables of a reader at work below *root*, with commands of this Python."""
    folder = root / "bin"
    folder.mkdir()
    installed = any(each.name == "spec_kitty_sync" for each in entry_points(group="pytest11"))
    plugin = "" if installed else " -p spec_kitty_sync.conformance.plugin"
    for name, start in (
        ("spec-kitty", "-m spec_kitty_sync"), ("pytest", f"-m pytest{plugin}"), ("python", ""),
    ):  # fmt: skip
        command = folder / name
        command.write_text(f'#!/bin/sh\nexec "$PYTHON" {start} "$@"\n')
        command.chmod(0o755)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("SPEC_KITTY_", "SK_"))}
    return {
        **kept,
        "PATH": f"{folder}:{os.environ['PATH']}",
        "PYTHON": sys.executable,
        "SPEC_KITTY_HOME": str(root / "home"),
    }


def play(guide: Guide, folder: Path, environ: Mapping[str, str]) -> str:
    """Run *guide* in *folder* and compare; return all that was printed.

    Ports 8000 and 8001 of the page are free ones in truth.
    """
    ports = _free_ports(2)
    script = [_PRELUDE]
    for number, step in enumerate(guide.steps):
        script += [f"echo '@@{number}'", step.command, f"printf '\\n@@{number}:%d\\n' $?"]
    for name, content in guide.files.items():
        (folder / name).write_text(_with_ports(content, ports), encoding="utf-8")
    with (folder / "printed").open("w+") as out:
        subprocess.run(
            ["bash", "-c", _with_ports("\n".join(script), ports)],
            cwd=folder, env=environ, stdout=out, stderr=subprocess.STDOUT, timeout=300, check=False,
        )  # fmt: skip
        out.seek(0)
        printed = out.read()
    for number, port in zip(("8000", "8001"), ports, strict=True):
        printed = printed.replace(str(port), number)
    for number, step in enumerate(guide.steps):
        _compare(step, printed.split(f"@@{number}\n")[1].split(f"@@{number}:"))
    return printed


def _compare(step: Step, parts: list[str]) -> None:
    output, rest = parts
    code = int(rest.split("\n")[0])
    assert step.code is None or code == step.code, f"$ {step.command}\n{output}[exit {code}]"
    for line in step.expected:
        assert matches(line, output), f"$ {step.command}\n{output}\nlacks: {line}"


def _with_ports(text: str, ports: list[int]) -> str:
    return text.replace("8000", str(ports[0])).replace("8001", str(ports[1]))


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
