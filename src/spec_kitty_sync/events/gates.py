"""What the conclusion of an external check run means for a gate (CONTRACT 4)."""

from __future__ import annotations

from spec_kitty_sync.errors import ContractError

GATE_PASSED = "GatePassed"
GATE_FAILED = "GateFailed"

PASSING_CONCLUSIONS: frozenset[str] = frozenset({"success"})
FAILING_CONCLUSIONS: frozenset[str] = frozenset(
    {"failure", "timed_out", "cancelled", "action_required"}
)
IGNORED_CONCLUSIONS: frozenset[str] = frozenset({"neutral", "skipped", "stale"})


class UnknownConclusionError(ContractError, ValueError):
    """No check run concludes like this."""

    code = "unknown_conclusion"
    default_remedy = "Pass the conclusion of a completed check run."


def map_check_run_conclusion(conclusion: str) -> str | None:
    """Return the event type for *conclusion*, or None for one that decides nothing.

    Raises:
        UnknownConclusionError: the provider documents no such conclusion.
    """
    if conclusion in PASSING_CONCLUSIONS:
        return GATE_PASSED
    if conclusion in FAILING_CONCLUSIONS:
        return GATE_FAILED
    if conclusion in IGNORED_CONCLUSIONS:
        return None
    raise UnknownConclusionError(f"unknown conclusion {conclusion!r}", conclusion=conclusion)
