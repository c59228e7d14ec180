"""What each event of a batch is answered: a pure function of the batch and what was known.

No clock, no store, no HTTP. The order is: judge every event, store what is `fresh`, commit,
then `decide` with what the store had before. So no answer can precede its commit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from spec_kitty_sync.receiver.content import same_content

Status = Literal["success", "duplicate", "pending", "rejected", "failed_permanent"]
MAX_REASON = 500


@dataclass(frozen=True, slots=True)
class NewEvent:
    """A valid event as it goes into the store; unique by (scope, event_id).

    `mission` and `team` are what the event itself names, for filters.
    """

    scope: str
    event_id: str
    event_type: str
    project_uuid: str
    body: bytes
    settles_at_ms: int
    mission: str | None = None
    team: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """A content that is not taken; its id is not burnt."""

    event_id: str | None
    error: str
    category: str
    status: Status = "rejected"


Verdict = NewEvent | Refused


@dataclass(frozen=True, slots=True)
class Known:
    """What the store had under an id before this batch."""

    body: bytes
    settles_at_ms: int


@dataclass(frozen=True, slots=True)
class Result:
    """One entry of `results` (CONTRACT 5); `event_id` None where none was readable."""

    event_id: str | None
    status: Status
    error: str | None = None
    error_category: str | None = None

    def content(self) -> dict[str, Any]:
        """Return the JSON object; fields without a value are left out."""
        fields: dict[str, Any] = {"event_id": self.event_id, "status": self.status}
        if self.error is not None:
            fields["error"] = self.error[:MAX_REASON]
            fields["error_category"] = self.error_category
        return fields


def fresh(verdicts: Iterable[Verdict]) -> list[NewEvent]:
    """Return the events to store: the first valid one of each id."""
    first: dict[str, NewEvent] = {}
    for verdict in verdicts:
        if isinstance(verdict, NewEvent):
            first.setdefault(verdict.event_id, verdict)
    return list(first.values())


def decide(verdicts: Sequence[Verdict], known: Mapping[str, Known], *, now_ms: int) -> list[Result]:
    """Return one result per verdict, in order.

    *known* holds what the store had before the batch; everything else of `fresh` is stored.
    """
    seen = dict(known)
    results = []
    for verdict in verdicts:
        if isinstance(verdict, Refused):
            results.append(_refused(verdict))
        elif (earlier := seen.get(verdict.event_id)) is not None:
            results.append(_repeated(verdict, earlier, now_ms))
        else:
            seen[verdict.event_id] = Known(verdict.body, verdict.settles_at_ms)
            settled = verdict.settles_at_ms <= now_ms
            results.append(Result(verdict.event_id, "success" if settled else "pending"))
    return results


def _refused(verdict: Refused) -> Result:
    return Result(verdict.event_id, verdict.status, verdict.error, verdict.category)


def _repeated(event: NewEvent, earlier: Known, now_ms: int) -> Result:
    if not same_content(event.body, earlier.body):
        reason = "event_id is stored with other content; the first content stays"
        return Result(event.event_id, "rejected", reason, "id_conflict")
    settled = earlier.settles_at_ms <= now_ms
    return Result(event.event_id, "duplicate" if settled else "pending")
