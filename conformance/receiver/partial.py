"""PAR: a bad event among good ones."""

from spec_kitty_sync.conformance.probe import Probe
from spec_kitty_sync.conformance.suite import Case, check


@check("SKR-PAR-01")
def bad_event_spoils_no_other(probe: Probe, case: Case) -> None:
    first, bad, last = probe.make.events(3)
    del bad["payload"]["entry_content"]
    reply = probe.post([first, bad, last], note="good, bad, good")
    reply.expect_all(
        [first, last], {"success"}, "a good event pays for a bad one that travels beside it"
    )
    reply.expect_outcome(bad, {"rejected"}, "the bad event was not told apart")
    probe.post([first, last], note="the good ones again").expect_all(
        [first, last], {"duplicate"}, "success was said, but the good events were not stored"
    )
