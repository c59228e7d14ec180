"""ENC: what the bytes of a body may look like."""

from spec_kitty_sync.conformance.probe import Probe
from spec_kitty_sync.conformance.suite import Case, check


@check("SKR-ENC-02")
def identity_is_accepted(probe: Probe, case: Case) -> None:
    event = probe.make.event()
    probe.post([event], encoding=None).expect_outcome(
        event, {"success"}, "the receiver takes gzip only"
    )
