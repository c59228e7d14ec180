"""Runs the check of a capsule again, where it came from a command-line tool."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from spec_kitty_sync.conformance.adapter import AdapterError, load_adapter
from spec_kitty_sync.conformance.capsule import CapsuleError
from spec_kitty_sync.conformance.catalogue import kind_of
from spec_kitty_sync.conformance.failure_text import render
from spec_kitty_sync.conformance.outcome import Outcome
from spec_kitty_sync.conformance.trial_entry import trial_runner


def run_again(content: dict[str, Any], adapter_path: Path | None = None) -> tuple[bool, str]:
    """Run the check of *content* once more; return whether it fails again, and its text.

    *adapter_path* is another adapter than that of the capsule.

    Raises:
        CapsuleError: adapter or check are not there any more.
    """
    kind = kind_of(content["check"])
    try:
        adapter = load_adapter(adapter_path or Path(content["url"]), kind)
        runner = trial_runner(adapter, kind)
        try:
            result = runner.alone(content["check"], content["case"])
            requirement = runner.catalogue[content["check"]]
        except (KeyError, StopIteration) as exc:
            raise CapsuleError(f"there is no check {content['check']} any more") from exc
        finally:
            runner.close()
    except AdapterError as exc:
        raise CapsuleError(str(exc)) from exc
    failed = result.outcome not in {Outcome.PASSED, Outcome.NOT_APPLICABLE}
    return failed, render(requirement, result) if failed else f"{result.name} passes now"
