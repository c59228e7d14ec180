"""What a fault test counted, written where `docs/reliability.md` is made from."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Figures:
    """The figures of one test: call it once for each promise.

    JSON lines in a file of the test's own below `folder` (None: only printed): promise, test,
    says (the docstring), whole (not the reduced run), the seconds that it took, the counts.
    """

    folder: Path | None
    test: str
    says: str
    whole: bool
    began: float = field(default_factory=time.monotonic)

    def __call__(self, promise: str, **counts: int) -> None:
        """Write one line: `figure("kill:append", points=59, kills=59, losses=0)`."""
        began, self.began = self.began, time.monotonic()
        line = {
            "promise": promise,
            "test": self.test,
            "says": self.says,
            "whole": self.whole,
            "seconds": round(self.began - began, 2),
            **counts,
        }
        print(json.dumps(line))
        if self.folder is not None:
            with self._path.open("a") as out:
                out.write(json.dumps(line) + "\n")

    def forget(self) -> None:
        """Remove what an earlier run of this test wrote."""
        if self.folder is not None:
            self._path.unlink(missing_ok=True)

    @property
    def _path(self) -> Path:
        assert self.folder is not None
        return self.folder / (re.sub(r"\W+", "-", self.test) + ".jsonl")
