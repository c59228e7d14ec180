"""The power goes, at any moment of any work: what was promised is still there."""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from power_cuts import (
    PREPARED,
    Cuts,
    Prepare,
    Recording,
    cut,
    nothing,
    record,
    relaxed,
    relaxed_old_queue,
)
from power_work import TASKS


@pytest.fixture(scope="session")
def recorder(preloaded: Callable[[str], Path]) -> Path:
    """The recording library, compiled."""
    return preloaded("disk_recorder.c")


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: what is judged there is never really synced."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


@pytest.fixture
def recorded(recorder: Path, quick: Path) -> Callable[..., Recording]:
    def run(task: str, prepare: Prepare | None = None) -> Recording:
        return record(recorder, quick / "root", task, prepare or PREPARED.get(task, nothing))

    return run


@pytest.fixture
def cuts(recorded: Callable[..., Recording], quick: Path) -> Callable[..., Cuts]:
    def run(task: str, count: int, prepare: Prepare | None = None) -> Cuts:
        seed = random.randrange(2**32)
        print(f"{task}: seed {seed}")
        return cut(recorded(task, prepare), quick / "after", count=count, seed=seed)

    return run


def same_files(one: Path, other: Path) -> None:
    """Assert that two folders hold the same, apart from what is written through memory."""
    found = [
        {
            path.relative_to(root): path.read_bytes() if path.is_file() else None
            for path in root.rglob("*")
            if not path.name.endswith("-shm")
        }
        for root in (one, other)
    ]
    assert found[0] == found[1]


@pytest.mark.parametrize("task", TASKS)
def test_recorder_misses_nothing(recorded, quick, task):
    """Everything that was recorded, done again on the disk as it was, is the disk as it is."""
    recording = recorded(task)
    disk = recording.before
    for step in recording.steps:
        disk.do(step)
    disk.leave("machine", quick / "again", mood="kept", seed=0)
    same_files(recording.root / "machine", quick / "again")


@pytest.mark.parametrize("task", TASKS)
def test_power_cut_takes_nothing_that_was_promised(cuts, figure, task):
    """After a power cut every acknowledged event is there, and what the ledger says is true."""
    _stays_true(cuts(task, 5), 5, figure)


@pytest.mark.proof
@pytest.mark.parametrize("task", TASKS)
def test_many_power_cuts_take_nothing_that_was_promised(cuts, figure, task):
    """Of hundreds of power cuts in every kind of work none takes what was promised."""
    count = 60 if task == "bulk" else 200
    _stays_true(cuts(task, count), count, figure)


def _stays_true(found: Cuts, count: int, figure: Callable[..., None]) -> None:
    figure("power cut", points=found.points, kills=found.kills, losses=len(found.losses))
    assert found.losses == []
    assert found.kills == count


def test_unsynced_commits_are_seen_to_be_lost(cuts, figure):
    """With synchronous=NORMAL, which our guide calls a risk, the same cuts lose events.

    That is how we know that they could be seen.
    """
    found = cuts("capture", 20, relaxed)
    lost = [loss for loss in found.losses if "acknowledged and lost" in loss]
    figure("power cut, NORMAL", points=found.points, kills=found.kills, losses=len(lost))
    assert len(lost) >= 3
    assert lost == found.losses


def test_cleanup_deletes_nothing_whose_import_could_still_be_lost(cuts, figure):
    """Even with synchronous=NORMAL no row leaves an old queue before its copy is on the disk."""
    _stays_true(cuts("move", 10, relaxed_old_queue), 10, figure)
