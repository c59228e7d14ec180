"""AUT: who may write."""

from spec_kitty_sync.conformance.probe import Probe
from spec_kitty_sync.conformance.suite import Case, check

_STORED = "the receiver stored the event before it looked at the token"


@check("SKR-AUT-02")
def missing_token_is_401(probe: Probe, case: Case) -> None:
    event = probe.make.event()
    probe.post([event], token=None, note="no Authorization").expect_error(
        401, means="a request without a token got past the door"
    )
    probe.post([event], note="the same event with the token").expect_outcome(
        event, {"success"}, _STORED
    )


@check(
    "SKR-AUT-03",
    Case("unknown", {"value": "Bearer sk-not-a-token"}),
    Case("empty", {"value": "Bearer "}),
    Case("no-scheme", {"value": "sk-not-a-token"}),
    Case("basic", {"value": "Basic c2s6c2s="}),
    Case("not-base64", {"value": "Bearer a.b.c"}),
    Case("long", {"value": "Bearer " + "x" * 4000}),
)
def wrong_token_is_401(probe: Probe, case: Case) -> None:
    event = probe.make.event()
    header = ("Authorization", case["value"])
    probe.post([event], headers=[header], note=f"{case.name} token").expect_error(
        401, means="a bad token is not told apart from other trouble, so nobody refreshes it"
    )
    probe.post([event], note="the same event with the token").expect_outcome(
        event, {"success"}, _STORED
    )
