"""What a check of a command-line tool holds in its hands: runs it, keeps what was seen."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from spec_kitty_sync.conformance.adapter import Adapter, AdapterError
from spec_kitty_sync.conformance.child import Child, Spawn, kill_group, spawn
from spec_kitty_sync.conformance.exchange import RUN, Exchange, Request, Response
from spec_kitty_sync.conformance.outcome import Finding
from spec_kitty_sync.conformance.reply import CheckFailed, last_words, shorten
from spec_kitty_sync.conformance.stub import StubReply, StubRequest, StubServer

_FORGOTTEN: Final = ("SPEC_KITTY_", "SK_", "PYTEST_")


@dataclass(frozen=True)
class Ran:
    """One command that ended, with its place among the steps. A signal is a negative code."""

    command: str
    exit_code: int
    stdout: bytes
    stderr: bytes
    step: int

    @property
    def text(self) -> str:
        """Everything that it said, both streams."""
        return (self.stdout + b"\n" + self.stderr).decode("utf-8", "backslashreplace").strip()

    @property
    def json(self) -> Any:
        """Standard output as JSON, or nothing when it is not JSON."""
        try:
            return json.loads(self.stdout)
        except ValueError:
            return None


class Trial:
    """One attempt of one case: a folder of its own, a stub to talk to, a list of steps."""

    def __init__(self, adapter: Adapter, stub: StubServer, folder: Path) -> None:
        self.adapter = adapter
        self.stub = stub
        self.folder = folder
        self.home = folder / "home"
        self.project = folder / "project"
        self.exchanges: list[Exchange] = []
        self.environment: dict[str, str] = {}
        self.in_project = True
        self.spawn: Spawn = spawn
        self._heard = 0

    def has(self, capability: str) -> bool:
        """Return whether the tool declares *capability*."""
        return capability in self.adapter.capabilities

    def run(
        self,
        command: str,
        *,
        stdin: bytes = b"",
        extra: tuple[str, ...] = (),
        values: Mapping[str, str] | None = None,
        under: tuple[str, ...] = (),
        note: str = "",
    ) -> Ran:
        """Run *command* of the adapter to its end and record it with what came over the wire."""
        child = self.start(command, extra=extra, values=values, under=under)
        return self.finish(child, command, stdin=stdin, note=note)

    def start(
        self,
        command: str,
        *,
        extra: tuple[str, ...] = (),
        values: Mapping[str, str] | None = None,
        under: tuple[str, ...] = (),
    ) -> Child:
        """Start *command* in a process group of its own; *under* is what starts it in turn."""
        known = {"url": self.stub.url, "home": str(self.home), "project": str(self.project)}
        known |= values or {}
        for folder in (self.home, self.project / ".kittify" if self.in_project else self.project):
            if not folder.is_file():
                folder.mkdir(parents=True, exist_ok=True)
        argv = self.adapter.argv(command, extra, known)
        start = spawn if under else self.spawn
        return start([*under, *argv], self.project, self._environ(known))

    def finish(
        self,
        child: Child,
        command: str,
        *,
        stdin: bytes = b"",
        head: bytes = b"",
        note: str = "",
    ) -> Ran:
        """Wait for *child*, kill it at the deadline, and record what it did.

        *head* is what was read of its output before.
        """
        started_ms, began = time.time_ns() // 1_000_000, time.perf_counter()
        try:
            out, err = child.communicate(stdin, timeout=self.adapter.deadline_s)
        except subprocess.TimeoutExpired:
            child.kill()
            out, err = child.communicate()
            err += f"\n(killed after {self.adapter.deadline_s:.0f} s)".encode()
        self.hear()
        out = head + out
        said = out + (b"\n" + err if err.strip() else b"")
        argv = [str(part) for part in child.args] if isinstance(child.args, list) else []
        ask = Request(RUN, _readable(argv), (), stdin, note or command)
        code = child.returncode or 0
        answer = Response(code, (), said)
        spent = (time.perf_counter() - began) * 1000
        self.exchanges.append(Exchange(ask, answer, "", started_ms, spent))
        return Ran(command, code, out, err, len(self.exchanges))

    def killed_after(self, command: str, seconds: float, stdin: bytes = b"") -> Ran:
        """Start *command* and SIGKILL its process group after *seconds*, if it still runs."""
        child = self.start(command)
        timer = threading.Timer(seconds, kill_group, [child.pid])
        timer.start()
        try:
            return self.finish(child, command, stdin=stdin, note=f"killed after {seconds:.3f} s")
        finally:
            timer.cancel()

    def killed_after_lines(self, command: str, count: int, stdin: bytes) -> Ran:
        """Start *command* and SIGKILL its process group once it has printed *count* lines."""
        child = self.start(command)
        if child.stdin is None or child.stdout is None:
            raise OSError("no pipes")
        with child.stdin as pipe:
            pipe.write(stdin)
        child.stdin = None
        head = b""
        while head.count(b"\n") < count:
            more = os.read(child.stdout.fileno(), 65_536)
            if not more:
                break
            head += more
        kill_group(child.pid)
        return self.finish(child, command, head=head, note=f"killed after {count} lines")

    def run_by_turns(self, command: str, texts: Sequence[Sequence[bytes]]) -> list[Ran]:
        """Run *command* once for each of *texts*, all at once; their lines are given in turn.

        The next line goes out when the one before was answered. What answers only at its end is
        waited for once, and then given the rest.
        """
        children = [self.start(command) for _ in texts]
        heads = [b"" for _ in texts]
        patience = self.adapter.deadline_s / 4
        for turn in zip(*texts, strict=True):
            for place, line in enumerate(turn):
                _give(children[place], line)
                answer = _line_of(children[place], patience)
                heads[place] += answer
                patience = patience if answer else 0.0
        return [
            self.finish(child, command, head=head, note=f"{command} by turns")
            for child, head in zip(children, heads, strict=True)
        ]

    def seconds_of(self, ran: Ran) -> float:
        """Return how long a command took."""
        return self.exchanges[ran.step - 1].elapsed_ms / 1000

    def hear(self) -> list[StubRequest]:
        """Record what the stub saw since the last call, and return it."""
        new = list(zip(self.stub.requests, self.stub.replies, strict=False))[self._heard :]
        self._heard += len(new)
        self.exchanges += [_heard(request, reply) for request, reply in new]
        return [request for request, _ in new]

    def expect(
        self,
        holds: bool,
        *,
        expected: str,
        got: Callable[[], str] | str,
        about: str = "",
        step: int = 0,
    ) -> None:
        """Fail the check with want and got unless it *holds*.

        Raises:
            CheckFailed: it does not.
        """
        if holds:
            return
        text = got if isinstance(got, str) else got()
        step = step or self._step_about(about)
        raise CheckFailed(Finding(expected, shorten(text, 600), step=step, about=about))

    def expect_exit(self, ran: Ran, allowed: set[int], because: str) -> None:
        """Ask that *ran* ended with one of *allowed*."""
        self.expect(
            ran.exit_code in allowed,
            expected=f"`{ran.command}` exits with {_codes(allowed)}: {because}",
            got=lambda: (
                f"exit code {ran.exit_code}: {last_words(ran.text, 300) or 'nothing printed'}"
            ),
            step=ran.step,
        )

    def settle(self) -> None:
        """Ask what has to hold at the end of every check; called after it."""

    def close(self) -> None:
        """End what the trial started."""

    def status(self, field: str) -> int | None:
        """Return a number of the tool's own status, or nothing where the adapter has none."""
        if not self.has("status") or field not in self.adapter.status:
            return None
        return self.number_in(self.run("status"), field)

    def number_in(self, ran: Ran, field: str) -> int:
        """Return the number that *ran* printed where the adapter's `[status]` says it stands.

        Raises:
            AdapterError: there is none.
        """
        pointer = self.adapter.status[field]
        value = pointed(ran.json, pointer)
        if type(value) is not int:
            raise AdapterError(
                f"[status] {field} = {pointer!r} is no number in what `{ran.command}` printed:"
                f" {shorten(ran.text, 200) or 'nothing'}"
            )
        return value

    def _environ(self, known: Mapping[str, str]) -> dict[str, str]:
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(_FORGOTTEN)
        }
        kept["HOME"] = str(self.home)
        if "PYTHONPATH" in kept:
            # The tool runs in another folder: relative entries would mean something else there.
            entries = kept["PYTHONPATH"].split(os.pathsep)
            kept["PYTHONPATH"] = os.pathsep.join(os.path.abspath(entry) for entry in entries)
        given = {**self.adapter.environment, **self.environment}
        return kept | {name: self.adapter.fill(text, known) for name, text in given.items()}

    def _step_about(self, event_id: str) -> int:
        if event_id:
            for place in range(len(self.exchanges), 0, -1):
                one = self.exchanges[place - 1]
                if one.request.method != RUN and event_id in one.request.text:
                    return place
        return len(self.exchanges)


def pointed(document: Any, pointer: str) -> Any:
    """Return the value at a JSON Pointer, or nothing."""
    for step in pointer.strip("/").split("/"):
        if isinstance(document, list) and step.isdecimal() and int(step) < len(document):
            document = document[int(step)]
        elif isinstance(document, dict):
            document = document.get(step)
        else:
            return None
    return document


def _give(child: Child, line: bytes) -> None:
    # A process that ended does not want it; how it ended is seen later.
    with contextlib.suppress(BrokenPipeError):
        if child.stdin is not None:
            child.stdin.write(line + b"\n")
            child.stdin.flush()


def _line_of(child: Child, patience_s: float) -> bytes:
    """Return what *child* printed until a line ended; nothing when it says nothing in time."""
    said = b""
    while child.stdout is not None and not said.endswith(b"\n"):
        ready, _, _ = select.select([child.stdout], [], [], patience_s)
        more = os.read(child.stdout.fileno(), 65_536) if ready else b""
        if not more:
            break
        said += more
    return said


def _heard(request: StubRequest, reply: StubReply) -> Exchange:
    ask = Request(
        request.method,
        request.path,
        tuple(request.headers.items()),
        request.wire,
        "what the tool sent to the stub",
    )
    broke = "the stub broke the connection" if reply.lose or reply.cut else ""
    headers = {"Content-Type": "application/json", **reply.headers}
    answer = None if broke else Response(reply.status, tuple(headers.items()), reply.body)
    return Exchange(ask, answer, broke, 0, reply.delay_s * 1000)


def _readable(argv: list[str]) -> str:
    return " ".join(part if part and " " not in part else repr(part) for part in argv)


def _codes(allowed: set[int]) -> str:
    return " or ".join(str(code) for code in sorted(allowed))
