"""TRN: the route, the status and the shape of the answer."""

from spec_kitty_sync.conformance.probe import Probe
from spec_kitty_sync.conformance.suite import Case, check


@check("SKR-TRN-01")
def gzip_batch_is_accepted(probe: Probe, case: Case) -> None:
    event = probe.make.event()
    probe.post([event]).expect_outcome(
        event, {"success"}, "a valid event is not taken: producers keep it and try for ever"
    )
