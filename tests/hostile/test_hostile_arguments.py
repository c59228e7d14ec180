"""Every argument of every command, given what nobody should type."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
from desk import Desk, Ran, event_id, make_event

from spec_kitty_sync.cli.main import cli
from spec_kitty_sync.cli.render_error import visible
from spec_kitty_sync.cli.values import Seconds, Text, Whole

HOSTILE = (
    "9" * 30, "9" * 400, f"{'9' * 30}d", f"{'9' * 400}d", str(2**63), "-1", "0", "nan", "inf",
    "1e999", "²", "１", "\udcff", "a\udcffb", "\0", "", " ", "x" * 100_000, "a\nb", "\x1b[31m",
)  # fmt: skip
HOSTILE_PAYLOAD = ("9" * 400, "-1", "nan", "\udcff", "\0", "", "x" * 100_000)
LEAST_COMMANDS = 45

USUAL = {
    "reason": "why", "keep": "journal", "target": "1", "username": "ada", "wp_id": "WP01",
    "check_id": "SKR-IDM-03", "password_env": "SK_SECRET", "feature_number": "001",
    "completed_at": "2026-02-12T10:00:00Z", "created_at": "2026-02-12T10:00:00Z",
    "dependency_wp_id": "WP02", "to_lane": "claimed", "from_lane": "planned",
}  # fmt: skip
COMMON = frozenset(
    {
        "source", "aggregate_id", "aggregate_type", "correlation_id", "causation_id", "data_tier",
        "home",
    }
)  # fmt: skip
NOT_EMITTED = COMMON | {"evidence", "dependencies", "cancelled_wp_ids", "affected_wp_ids"}
"""Options of `emit` that an event does without."""
ELSEWHERE = frozenset({"home", "folder", "schema_dirs", "schemas"})
"""Where a strange name is a good one, and what is refused is something in that place."""

BLOCKS = {
    "sync watch": "delivers until it is interrupted",
    "receiver serve": "serves until it is interrupted",
    "conformance receiver": "starts a pytest",
    "conformance producer": "starts a pytest",
    "conformance migration": "starts a pytest",
    "conformance mutants": "starts receivers",
}
"""Commands that are given only what is refused before they begin, and why."""
NO_NUMBER = ("9" * 30, "9" * 400, "-1", "nan", "inf", "²", "１", "\udcff", "", "x", "1_0")
"""What no option that counts or measures takes."""


@dataclass(frozen=True)
class Command:
    """A command of the tree, by its words."""

    words: tuple[str, ...]
    command: click.Command

    @property
    def name(self) -> str:
        return " ".join(self.words)

    @property
    def has_json(self) -> bool:
        """Whether the command promises one JSON object."""
        return any(each.name == "as_json" for each in self.command.params)

    @property
    def valued(self) -> list[click.Parameter]:
        """What takes a value."""
        return [each for each in self.command.params if not getattr(each, "is_flag", False)]

    @property
    def is_one_of_many(self) -> bool:
        """Whether HistoryAdded stands for it, but for its payload."""
        return self.words[0] == "emit" and self.words[-1] != "HistoryAdded"

    @property
    def probed(self) -> list[click.Parameter]:
        """What is tried."""
        left_out = COMMON if self.is_one_of_many else ()
        return [each for each in self.valued if each.name not in left_out]


def walk(command: click.Command, words: tuple[str, ...], above: click.Context) -> Iterator[Command]:
    """Yield every command below *command* that does something."""
    if not isinstance(command, click.Group):
        yield Command(words, command)
        return
    if command.invoke_without_command:
        yield Command(words, command)
    context = click.Context(command, info_name=words[-1] if words else "spec-kitty", parent=above)
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        assert found is not None
        yield from walk(found, (*words, name), context)


COMMANDS = list(walk(cli, (), click.Context(cli)))
SWEPT = [each for each in COMMANDS if each.name not in BLOCKS]


class Sweep:
    """A desk with two events and a server that is not there, and what each argument may be."""

    def __init__(self, desk: Desk, port: int) -> None:
        self.desk = desk
        self.folder = desk.root / "folder"
        self.folder.mkdir()
        self.file = desk.root / "file"
        self.file.write_text(json.dumps(make_event(1)))
        self.special = Path("special").absolute()
        with socket.socket(socket.AF_UNIX) as named:
            named.bind("special")  # a relative name: the whole path may be too long for a socket
        desk.environ["SK_SECRET"] = "short"  # a better one takes its time to be hashed
        desk.environ["SPEC_KITTY_SAAS_URL"] = f"http://127.0.0.1:{port}"
        desk.put(make_event(1), make_event(2))
        self._usual = {
            **USUAL, "event_id": event_id(1), "event_ids": event_id(1),
            "database": str(desk.root / "receiver.db"),
        }  # fmt: skip

    def values(self, swept: Command, param: click.Parameter) -> tuple[str, ...]:
        """Return what is tried in the place of *param*."""
        if swept.is_one_of_many:
            return HOSTILE_PAYLOAD
        if not isinstance(param.type, click.Path | click.File):
            return HOSTILE
        # No system hands over a NUL in a path.
        places = [each for each in HOSTILE if "\0" not in each]
        odd = (self.folder, self.file, self.file / "below", self.special)
        return (*places, *map(str, odd))

    def run(self, swept: Command, param: click.Parameter | None, value: str) -> Ran:
        """Run the command with *value* for *param*, and something usual for what it demands."""
        options, arguments = [], []
        for each in swept.valued:
            given = value if each is param else self.usual(swept, each)
            if given is None:
                continue
            if isinstance(each, click.Option):
                options += [f"{each.opts[0]}={given}"]
            else:
                arguments += [given]
        flags = ["--yes"] if "yes" in {each.name for each in swept.command.params} else []
        flags += ["--json"] if swept.has_json else []
        return self.desk.run(*swept.words, *flags, *options, "--", *arguments)

    def usual(self, swept: Command, param: click.Parameter) -> str | None:
        """Return what *param* gets while another is tried; None where it may be left out."""
        wanted = param.required or param.name in {"password_env", "username", "event_ids"}
        if swept.words[0] == "emit":
            wanted = param.name not in NOT_EMITTED
        if not wanted:
            return None
        if param.name in self._usual:
            return self._usual[param.name]
        if isinstance(param.type, click.Choice):
            return str(param.type.choices[0])
        if isinstance(param.type, Whole):
            return "1"
        return str(self.file) if isinstance(param.type, click.Path) else "x"

    def faults(self, swept: Command, param: click.Parameter, value: str) -> Iterator[str]:
        """Yield what is wrong with the answer."""
        done = self.run(swept, param, value)
        allowed = {0, 1, 4} if swept.words[0] == "conformance" else {0, 1, 2, 3}
        if done.code not in allowed:
            yield f"ends with {done.code}"
        if "Traceback" in done.out + done.err:
            yield f"traceback: {done.err[-300:]}"
        if not self.special.is_socket():
            yield "a file that is no regular one was replaced"
        if swept.has_json and not is_object(done.out):
            yield f"no JSON object: {done.out[:80]!r}"
        unclear = list(self.unclear(done.err, param, value)) if done.code in {2, 4} else []
        # Without the value it may be refused just the same: then something else is at fault.
        if unclear and done.err != self.run(swept, None, "").err:
            yield from unclear

    @staticmethod
    def unclear(told: str, param: click.Parameter, value: str) -> Iterator[str]:
        """Yield what the refusal of *value* does not say."""
        if not told.startswith("error: ") or " — " not in told or told.count("\n") != 1:
            yield f"not one line with a remedy: {told[:200]!r}"
        if len(told) > 1_500:
            yield f"{len(told)} characters"
        metavar = (param.metavar or param.name or "").strip("[].")
        names = {*param.opts, metavar, metavar.upper(), param.name, visible(value)[:20]}
        names |= {ascii(value)[1:20], repr(os.fsencode(value))[2:-1]}
        if (
            value
            and param.name not in ELSEWHERE
            and not any(name and name in told for name in names)
        ):
            yield f"names neither parameter nor value: {told[:200]!r}"


def is_object(text: str) -> bool:
    """Whether *text* is one JSON object."""
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sweep]:
    """A desk in a folder of its own; the port of its server is taken and does not listen."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        yield Sweep(Desk(tmp_path), deaf.getsockname()[1])


@pytest.mark.parametrize("swept", SWEPT, ids=lambda each: each.name)
def test_hostile_argument_is_answered(swept: Command, sweep: Sweep) -> None:
    """Whatever stands in an argument: no traceback, a known exit code, JSON where promised."""
    found = [
        f"{param.name}={value[:40]!r}: {fault}"
        for param in swept.probed
        for value in sweep.values(swept, param)
        for fault in sweep.faults(swept, param, value)
    ]
    assert not found, "\n".join(found)


def test_walk_finds_every_command() -> None:
    """The sweep is of the whole tree, and leaves out no command that is not there."""
    names = {each.name for each in COMMANDS}
    assert len(names) >= LEAST_COMMANDS
    assert set(BLOCKS) < names


def test_every_parameter_has_a_type_with_bounds() -> None:
    """No argument takes any text or any number: click's own types let everything in."""
    bounded = Text | Whole | Seconds | click.Choice | click.Path | click.File
    bare = [
        f"{each.name} {param.name}: {param.type}"
        for each in COMMANDS
        for param in each.valued
        if not isinstance(param.type, bounded)
    ]
    assert bare == []


def refusals() -> Iterator[tuple[Command, click.Parameter, str]]:
    """Yield what a command that takes its time refuses before it begins."""
    for each in COMMANDS:
        for param in each.valued if each.name in BLOCKS else ():
            numeric = isinstance(param.type, Whole | Seconds)
            if numeric or isinstance(param.type, Text):
                values = NO_NUMBER if numeric else ("\udcff", "a\0b")
                yield from ((each, param, value) for value in values)


def test_hostile_argument_is_refused_before_work_begins(sweep: Sweep) -> None:
    """What would serve or judge for long does not begin with a number or text that is none."""
    found = []
    for each, param, value in refusals():
        done = sweep.run(each, param, value)
        option = isinstance(param, click.Option)
        # Refused in any case: nothing blocks where a value is let through.
        name = param.opts[0] if option else (param.metavar or str(param.name).upper())
        if done.code != (4 if each.words[0] == "conformance" else 2) or name not in done.err:
            found.append(f"{each.name} {name}={value[:40]!r}: {done}")
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "args",
    [
        ("sync", "targets", "retire", "²"),
        ("sync", "targets", "show", "9" * 30),
        ("sync", "now", "--target", "²"),
        ("sync", "now", "--target", "9" * 30),
    ],
    ids=lambda each: " ".join(each)[:30],
)
def test_number_that_is_none_is_no_target(sweep: Sweep, args: tuple[str, ...]) -> None:
    """Digits of other scripts and numbers that fit nowhere name no target."""
    for_desk = sweep.desk.json(*args, code=2)["error"]
    assert (for_desk["code"], args[-1] in for_desk["message"]) == ("target_not_found", True)


@pytest.mark.parametrize("age", ["9" * 30 + "d", "9" * 400 + "d", "40000d", "²d", "-1d", "nan"])
def test_age_beyond_all_bounds_is_refused(sweep: Sweep, age: str) -> None:
    """An age that no journal can have is a wrong argument, not a defect."""
    error = sweep.desk.json("sync", "gc", "--older-than", age, code=2)["error"]
    assert (error["code"], "--older-than" in error["message"]) == ("usage", True)


SECONDS = [
    (each, param) for each in COMMANDS for param in each.valued if isinstance(param.type, Seconds)
]


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e999", "infinity"])
def test_number_of_seconds_is_finite(sweep: Sweep, value: str) -> None:
    """NaN passes every comparison with a bound, so no option takes it, nor what has no end."""
    assert len(SECONDS) >= 7
    for each, param in SECONDS:
        done = sweep.run(each, param, value)
        assert done.code == (4 if each.words[0] == "conformance" else 2), (each.name, done)
        assert param.opts[0] in done.err
