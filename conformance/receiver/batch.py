"""BAT: one result per event, bound by its id."""

from spec_kitty_sync.conformance.builder import EXAMPLES
from spec_kitty_sync.conformance.probe import Probe
from spec_kitty_sync.conformance.reply import reason_of
from spec_kitty_sync.conformance.suite import Case, check


@check("SKR-BAT-05")
def rejection_has_a_reason(probe: Probe, case: Case) -> None:
    event = probe.make.event("HistoryAdded")
    del event["payload"]["entry_content"]
    reply = probe.post([event], note="payload.entry_content is missing")
    row = reply.expect_outcome(event, {"rejected"}, "an incomplete payload is taken for a good one")
    if not reason_of(row):
        raise reply.fail('a non-empty "error" or "error_message" in the result')


@check("SKR-BAT-07")
def mixed_types_share_a_batch(probe: Probe, case: Case) -> None:
    events = [probe.make.event(found.name) for found in EXAMPLES]
    probe.post(events, note="one event of each type").expect_all(
        events, {"success"}, "a batch with more than one event type is not taken whole"
    )
