"""The fixtures and strategies that other projects use: each example of docs/testing.md works."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import httpx
from hypothesis import given, settings

from spec_kitty_sync._json import dumps
from spec_kitty_sync.conformance.stub import StubServer
from spec_kitty_sync.events.registry import default_registry
from spec_kitty_sync.events.validation import Validator
from spec_kitty_sync.testing import strategies

ROOT = Path(__file__).parents[2]
EXAMPLES = re.findall(
    r"```python\n(.*?)```", (ROOT / "docs" / "testing.md").read_text(encoding="utf-8"), re.S
)


def test_documented_examples_pass_in_a_project_of_their_own(tmp_path: Path) -> None:
    """Every example of the guide, in a folder with a conftest of its own, passes."""
    (tmp_path / "conftest.py").write_text("import pytest\n", encoding="utf-8")
    for number, text in enumerate(EXAMPLES):
        (tmp_path / f"test_example_{number}.py").write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "--strict-markers", "-p",
         "spec_kitty_sync.testing.fixtures", "-p", "no:cacheprovider"],
        cwd=tmp_path, env={"PYTHONPATH": str(ROOT / "src"), "PATH": "",
                           "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "HOME": str(tmp_path)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(EXAMPLES) >= 5


def test_stub_answers_as_the_model_of_a_receiver_says() -> None:
    """A producer that changes an event under its old id hears of it from the stub too."""
    event = {"event_id": "01KA00000000000000000000AA", "payload": {"wp_id": "WP01"}}
    other = {**event, "payload": {"wp_id": "WP02"}}
    with StubServer() as stub:
        answers = [
            httpx.post(f"{stub.url}/api/v1/events/batch/", json={"events": [one]}).json()
            for one in (event, event, other)
        ]
        stored = stub.stored_ids
    statuses = [answer["results"][0]["status"] for answer in answers]
    assert statuses == ["success", "duplicate", "rejected"]
    assert answers[2]["results"][0]["error_category"] == "id_conflict"
    assert stored == [event["event_id"]]


def test_fixture_plugin_imports_nothing_at_start() -> None:
    """Loading the plugin loads neither the runtime nor a web server."""
    code = (
        "import sys, pytest, spec_kitty_sync.testing.fixtures\n"
        "heavy = {'httpx', 'pydantic', 'hypothesis', 'werkzeug', 'pytest_httpserver', 'sqlite3'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env={"PYTHONPATH": str(ROOT / "src")},
    )  # fmt: skip
    assert done.stdout.strip() == "[]"


@settings(max_examples=60, deadline=None)
@given(strategies.events())
def test_every_drawn_event_is_valid(event: dict[str, object]) -> None:
    """The strategy draws only events that the contract allows, in every dialect and shape."""
    found = Validator(default_registry(), packs=frozenset({"core"}), wire=True)
    assert found.validate(dumps(event)).findings == ()


@settings(max_examples=20, deadline=None)
@given(strategies.plural_sources())
def test_plural_sources_hold_each_id_once_per_queue(
    sources: dict[str, list[dict[str, str]]],
) -> None:
    """No drawn queue has an id twice: the old tables could not hold that."""
    for events in sources.values():
        ids = [one["event_id"] for one in events]
        assert len(set(ids)) == len(ids)
