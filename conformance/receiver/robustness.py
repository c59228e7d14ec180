"""ROB: whatever arrives, the receiver answers and lives on."""

from spec_kitty_sync.conformance.probe import Probe
from spec_kitty_sync.conformance.suite import Case, check


@check(
    "SKR-ROB-01",
    Case("unclosed", {"body": b"{"}),
    Case("array", {"body": b"[]"}),
    Case("null", {"body": b"null"}),
    Case("string", {"body": b'""'}),
    Case("no-events", {"body": b"{}"}),
    Case("events-object", {"body": b'{"events":{}}'}),
    Case("events-null", {"body": b'{"events":null}'}),
    Case("events-string", {"body": b'{"events":"none"}'}),
    Case("number", {"body": b"17"}),
    Case("empty", {"body": b""}),
    Case("cut-off", {"body": b'{"events":[{"event_id":"01'}),
    Case("two-values", {"body": b'{"events":[]}{"events":[]}'}),
)
def no_batch_is_400(probe: Probe, case: Case) -> None:
    probe.post(body=case["body"], note=case.name).expect_error(
        400, means="bytes that are no batch get past the parser or take it down"
    )
