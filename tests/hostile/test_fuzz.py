"""Fuzzing of every entry that takes bytes from elsewhere: only documented errors, no lie, no hang.

In `make test` hypothesis changes the seeds; in `make proof` coverage leads, fifteen seconds each.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from fuzz_targets import TARGETS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

FOUND = Path(__file__).resolve().parents[2] / "fixtures" / "fuzz"
SECONDS = 15
_EXAMPLES = {"queue": 40, "credentials": 60, "config": 100}
_TOKENS = (
    b'"', b"{", b"}", b"[", b"]", b":", b",", b"\\", b"null", b"true", b"NaN", b"1e999",
    b"-0", b"0",
    b"9" * 30, b"9" * 5000, b"\\ud800", b"\xff", b"\x00", b"\n", b"[" * 1500, b'{"a":' * 1500,
    b"success", b"event_id", b"status", b"0001-01-01T00:00:00", b"9999-12-31T23:59:59", b"= 1",
    b"'''",
)  # fmt: skip


class Input(bytes):
    """Bytes that are shown in part only: some have a megabyte."""

    def __repr__(self) -> str:
        return super().__repr__()[:2000]


@st.composite
def changed(draw: st.DrawFn, seeds: list[bytes]) -> Input:
    """Draw a seed with up to four places cut, doubled or overwritten."""
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.sampled_from((0, 0, 1, 2, 8, 64))))
        put = draw(st.sampled_from(_TOKENS) | st.binary(max_size=4) | st.just(data[start:end] * 2))
        data = data[:start] + put + data[end:]
    return Input(data)


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_and_what_was_found_before_stay_harmless(name: str):
    """Every seed, and every input that once broke its target, is taken as it must be."""
    target = TARGETS[name]
    for data in [*target.seeds(), *(path.read_bytes() for path in sorted(FOUND.glob(f"{name}-*")))]:
        target.run(data)


@pytest.mark.parametrize("name", TARGETS)
def test_changed_seeds_are_harmless(name: str):
    """Near misses of real inputs raise nothing but documented errors, and mean what they say."""
    target = TARGETS[name]

    @settings(
        max_examples=_EXAMPLES.get(name, 200),
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(changed(target.seeds()))
    def run(data: Input) -> None:
        target.run(bytes(data))

    run()


@pytest.mark.proof
@pytest.mark.skipif(find_spec("atheris") is None, reason="missing tool: atheris, from pip")
@pytest.mark.parametrize("name", TARGETS)
def test_coverage_leads_to_nothing_harmful(name: str, tmp_path: Path):
    """Fifteen seconds a target, led by coverage: no property breaks, no input takes ten seconds."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("fuzz_run.py")), name, str(SECONDS)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=SECONDS * 10 + 120,
        check=False,
    )
    crashes = [f"{path.name}: {path.read_bytes()[:400]!r}" for path in tmp_path.glob("crash-*")]
    assert done.returncode == 0, (crashes, done.stderr[-3000:])
    print(done.stderr.splitlines()[-1])
