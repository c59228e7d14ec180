"""Capabilities that promise a path: what is missing there is named, never taken for a loss."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from kit_runs import RunKit
from plain_receiver import PlainReceiver, serving


class Boaster(PlainReceiver):
    """Declares reading back and a restart hook; every GET answers the same."""

    health: ClassVar[dict[str, Any]] = {
        "status": "ok",
        "capabilities": ["read-back", "restart-hook"],
        "events": [{"seq": 1, "body": "…"}],
    }


@pytest.mark.parametrize(
    ("check", "words"),
    [
        ("SKR-IDM-08", "the entries have no `event`: {"),
        (
            "SKR-IDM-09",
            "POST /api/v1/testing/restart/ answered 404: the restart-hook is declared but not",
        ),
    ],
)
def test_promised_path_that_is_missing_is_named(
    run_command: RunKit, check: str, words: str
) -> None:
    """A form that cannot be read, or a hook that is not there, is not reported as lost data."""
    with serving(Boaster()) as url:
        done = run_command("receiver", url, "--only", check)
    text = " ".join(done.stdout.split())
    assert done.returncode == 1, text
    assert words in text
    assert "receiver-authors.md#what-a-capability-promises" in text


@pytest.mark.parametrize(
    ("check", "path"),
    [
        ("SKR-IDM-09", "POST /api/v1/testing/restart/"),
        ("SKR-HLT-05", "POST /api/v1/testing/reset/"),
        ("SKR-IDM-08", "GET /api/v1/events/?project_uuid="),
    ],
)
def test_explain_says_which_path_a_capability_promises(
    run_command: RunKit, check: str, path: str
) -> None:
    """Whoever reads why a check exists also reads what it calls."""
    assert path in run_command("explain", check).stdout
