"""What a failure is said to mean fits what came, not only what is most often wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from spec_kitty_sync.conformance.builder import JsonObject, Namespace
from spec_kitty_sync.conformance.client import Address
from spec_kitty_sync.conformance.exchange import Exchange, Request, Response
from spec_kitty_sync.conformance.history import expect_one_success_each
from spec_kitty_sync.conformance.probe import Probe, Surroundings
from spec_kitty_sync.conformance.reply import CheckFailed, Reply
from spec_kitty_sync.conformance.suite import Case, receiver_suite


def answered(status: int, body: object) -> Reply:
    """Return a reply of *status* with *body* as JSON."""
    response = Response(status, (), json.dumps(body).encode())
    return Reply(Exchange(Request("POST", "/"), response, "", 0, 1), 1)


def result(event: JsonObject, status: str) -> Mapping[str, object]:
    """Return the body of a 200 with one result."""
    return {"results": [{"event_id": event["event_id"], "status": status}]}


@pytest.fixture
def probe() -> Probe:
    """Return a probe that sends nothing."""
    address = Address.parse("http://127.0.0.1:1")
    return Probe(Surroundings(address, Namespace("seed", 1_770_000_000_000)), "test")


@pytest.mark.parametrize(
    ("ask", "http", "status", "said"),
    [
        ("taken", 200, "rejected", "the note"),
        ("taken", 400, "", "the note"),
        ("taken", 200, "duplicate", "a new event is called known"),
        ("taken", 200, "failed_transient", "said to fail for now"),
        ("taken", 500, "", "takes the receiver down"),
        ("refused", 200, "success", "the note"),
        ("refused", 200, "duplicate", "a new event is called known"),
        ("refused", 200, "failed_transient", "said to fail for now"),
        ("refused", 400, "", "one bad event makes the whole batch fail"),
        ("refused", 500, "", "takes the receiver down"),
        ("repeated", 200, "success", "the note"),
        ("repeated", 200, "rejected", "a known event is answered as an error"),
        ("repeated", 409, "", "a known event is answered as an error"),
        ("repeated", 500, "", "takes the receiver down"),
    ],
)
def test_meaning_fits_what_came(probe: Probe, ask: str, http: int, status: str, said: str) -> None:
    """A refusal, an outage and a wrong word in one check mean different things."""
    event = probe.make.event()
    reply = answered(http, result(event, status) if status else {"error": "no"})
    judge: Callable[..., Any] = getattr(probe, ask)
    with pytest.raises(CheckFailed) as caught:
        judge(reply, event if ask == "refused" else [event], "the note")
    assert said in caught.value.finding.means


class Scripted(Probe):
    """A probe whose receiver says what it is told to, to every request."""

    def __init__(self, base: Probe, http: int, status: str) -> None:
        super().__init__(base.around, "scripted")
        self.script = http, status

    def send(self, request: Request, **how: Any) -> Reply:
        """Answer every event of *request* by the script."""
        http, status = self.script
        events = json.loads(request.text)["events"] if request.event_count else []
        rows = [{"event_id": one["event_id"], "status": status} for one in events]
        body = {"results": rows} if http == 200 else {"error": "no", "details": "no"}
        return self.record(Exchange(request, answered(http, body).exchange.response, "", 0, 1))


@pytest.mark.parametrize(
    ("check", "case", "http", "status", "said"),
    [
        ("SKR-AUT-02", "", 200, "success", "got past the door"),
        ("SKR-AUT-02", "", 403, "", "not told apart from other trouble"),
        ("SKR-AUT-03", "own-as-basic", 200, "success", "the scheme is not looked at"),
        ("SKR-AUT-03", "unknown", 400, "", "nobody refreshes it"),
        ("SKR-AUT-04", "empty-batch", 200, "", "a wrong token gets in"),
        ("SKR-BAT-05", "", 400, "", "makes the whole batch fail"),
        ("SKR-IDM-05", "", 200, "success", "not within the batch"),
        ("SKR-IDM-05", "", 200, "duplicate", "called known or bad"),
        ("SKR-IDM-06", "same-batch", 200, "success", "taken for a good one"),
        ("SKR-IDM-06", "same-batch", 200, "rejected", "pays for the bad one"),
        ("SKR-ERR-06", "", 200, "success", "taken for a good one"),
        ("SKR-ERR-06", "", 200, "failed_transient", "tries a hopeless event for ever"),
        ("SKR-ENV-09", "known-parent", 200, "rejected", "whose cause is known"),
        ("SKR-ENC-04", "plain-json", 500, "", "takes the receiver down"),
        ("SKR-ENC-04", "plain-json", 200, "success", "get past the decoder"),
        ("SKR-LIM-02", "", 500, "", "takes the receiver down"),
    ],
)
def test_check_says_what_this_answer_means(
    probe: Probe, check: str, case: str, http: int, status: str, said: str
) -> None:
    """Each way to fail a check has words of its own."""
    found = receiver_suite().checks[check]
    chosen: Case = next(one for one in found.cases if one.name == case)
    with pytest.raises(CheckFailed) as caught:
        found.run(Scripted(probe, http, status), chosen)
    assert said in caught.value.finding.means


@pytest.mark.parametrize(
    ("statuses", "said"),
    [
        (("success", "success"), "look-up and insert are two steps"),
        (("success", "rejected"), "answered as an error"),
        (("duplicate", "duplicate"), "nobody may have"),
    ],
)
def test_lost_race_says_what_was_lost(probe: Probe, statuses: tuple[str, ...], said: str) -> None:
    """Two successes, an error and no success at all are three different faults."""
    event = probe.make.event()
    replies = [answered(200, result(event, status)) for status in statuses]
    with pytest.raises(CheckFailed) as caught:
        expect_one_success_each([event], replies)
    assert said in caught.value.finding.means
