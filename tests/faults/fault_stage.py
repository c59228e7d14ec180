"""Where an operation runs while it is hurt, and what it must say of itself to the outside."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from oracle import TARGET
from recorded_wire import Hook, Judge, RecordedWire, accept

from spec_kitty_sync._files import Home
from spec_kitty_sync.sync.config import Settings

Say = Callable[[dict[str, object]], None]


@dataclass(frozen=True)
class Stage:
    """A disk with a home and a project, and a wire beside it, which no fault of the disk harms.

    `say` reaches whoever outlives the operation.
    """

    folder: Path
    say: Say = lambda message: None
    url: str = TARGET
    hook: Hook = lambda where: None

    @property
    def disk(self) -> Path:
        return self.folder / "disk"

    @property
    def home(self) -> Home:
        return Home(self.disk / "home")

    @property
    def project(self) -> Path:
        return self.disk / "project"

    @property
    def settings(self) -> Settings:
        return Settings(self.home, {"SPEC_KITTY_SAAS_URL": self.url}, self.project)

    def wire(self, judge: Judge = accept) -> RecordedWire:
        return RecordedWire(self.folder / "wire", judge=judge, hook=self.hook)

    def acknowledge(self, event_id: str, body: bytes) -> None:
        """Say that the product has said that it keeps this event."""
        self.say({"ack": event_id, "body": base64.b64encode(body).decode()})


def nothing(stage: Stage) -> object:
    return None


@dataclass(frozen=True)
class Scenario:
    """A starting state, and the operation that is hurt.

    `prepare` and `run` acknowledge what they append. `outcome`, for operations that promise to
    go on where they stopped: run again after the fault, it must be what it is without one.
    `check` asserts what else must be true at any moment.
    """

    prepare: Callable[[Stage], object]
    run: Callable[[Stage], object]
    outcome: Callable[[Stage], object] | None = None
    check: Callable[[Stage], object] = nothing
