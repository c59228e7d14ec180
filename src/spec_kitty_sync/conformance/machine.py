"""Random stories of sends, repeats, corrections and conflicts, each step checked by the model."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, Phase, Verbosity, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from spec_kitty_sync.conformance.builder import JsonObject
from spec_kitty_sync.conformance.exchange import Exchange
from spec_kitty_sync.conformance.model import ReceiverModel
from spec_kitty_sync.conformance.probe import Probe
from spec_kitty_sync.conformance.reply import CheckFailed, Reply

_STORIES = 12
_STEPS = 12
Sent = tuple[JsonObject, bool]


def run_stories(probe: Probe, stories: int = _STORIES) -> None:
    """Play random stories against the receiver; a failure is shrunk to its shortest form.

    Ids are new in every story, so shrinking never meets its own duplicates.
    """

    class Story(ReceiverStory):
        around = probe

    chosen = settings(
        max_examples=stories,
        stateful_step_count=_STEPS,
        deadline=None,
        database=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
        print_blob=False,
        verbosity=Verbosity.quiet,
    )
    number = int.from_bytes(probe.around.namespace.digest("stories")[:8], "big")
    Story.shortest = shortest = Shortest()
    try:
        run_state_machine_as_test(seed(number)(Story), settings=chosen)
    except (CheckFailed, Flaky):
        # A race can make a story fail differently each time; what was seen counts all the same.
        if shortest.failure is None:
            raise
    if shortest.failure is not None:
        probe.exchanges[:] = shortest.exchanges
        raise shortest.failure


@dataclass
class Shortest:
    """The failing story with the fewest steps so far."""

    failure: CheckFailed | None = None
    exchanges: list[Exchange] = field(default_factory=list)

    def keep(self, failure: CheckFailed, exchanges: list[Exchange]) -> None:
        """Remember this story if it is shorter than the one before."""
        if self.failure is None or len(exchanges) <= len(self.exchanges):
            self.failure, self.exchanges = failure, list(exchanges)


class ReceiverStory(RuleBasedStateMachine):
    """One story: what was sent, and the model that knows which answers are legal."""

    around: Probe
    shortest: Shortest
    sent = Bundle("sent")

    @initialize()
    def begin(self) -> None:
        """Start with no history; steps of earlier stories are forgotten."""
        self.around.exchanges.clear()
        self.model = ReceiverModel()

    @rule(target=sent, count=st.integers(1, 3))
    def new_events(self, count: int) -> Any:
        """Send new, valid events."""
        events = self.around.make.events(count)
        self._send([(event, True) for event in events], "new events")
        return multiple(*events)

    @rule(target=sent)
    def broken_event(self) -> Any:
        """Send an event that lacks a required field; it is the later step's to correct it."""
        whole = self.around.make.event("HistoryAdded")
        self._send([(_broken(whole), False)], "a broken event")
        return whole

    @rule(events=st.lists(sent, min_size=1, max_size=4), reverse=st.booleans())
    def repeat(self, events: list[JsonObject], reverse: bool) -> None:
        """Send events again (or, after a broken form, for the first time), in any order."""
        unique = list({event["event_id"]: event for event in events}.values())
        if reverse:
            unique.reverse()
        self._send([(event, True) for event in unique], "again")

    @rule(event=sent)
    def other_content(self, event: JsonObject) -> None:
        """Send a known id with other content."""
        other = copy.deepcopy(event)
        other["payload"]["entry_content"] = "Something else."
        self._send([(other, True)], "other content")

    @rule(event=sent, count=st.integers(1, 2))
    def between_new_ones(self, event: JsonObject, count: int) -> None:
        """Send a known event between new ones, with a broken one beside them."""
        new = [(one, True) for one in self.around.make.events(count)]
        broken = (_broken(self.around.make.event("HistoryAdded")), False)
        self._send([*new, (event, True), broken], "known, new and broken together")

    @rule(event=sent)
    def lost_answer(self, event: JsonObject) -> None:
        """Send an event whose answer nobody reads."""
        client = self.around.another_client()
        sock = client.connect()
        try:
            request = self.around.batch_request([event], note="the answer is not read")
            head = "".join(f"{name}: {value}\r\n" for name, value in request.headers)
            lines = f"POST {request.path} HTTP/1.1\r\nHost: sk\r\n{head}"
            sock.sendall(f"{lines}Content-Length: {len(request.body)}\r\n\r\n".encode())
            sock.sendall(request.body)
        finally:
            sock.close()
        self.model.lose([(event, True)])

    @invariant()
    def alive(self) -> None:
        """Every step was answered (asked of each reply in `_send`)."""

    def _send(self, batch: list[Sent], note: str) -> None:
        reply = self.around.post([event for event, _ in batch], note=note)
        try:
            self._judge(reply, batch)
        except CheckFailed as failed:
            self.shortest.keep(failed, self.around.exchanges)
            raise

    def _judge(self, reply: Reply, batch: list[Sent]) -> None:
        reply.expect_results("a step of a legal story is answered with an error")
        for event, valid in batch:
            legal = self.model.legal(event, valid)
            row = reply.expect_outcome(
                event,
                legal,
                f"after {reply.step - 1} earlier steps no receiver of this contract says that",
            )
            self.model.observe(event, str(row["status"]))


def _broken(event: JsonObject) -> JsonObject:
    short = copy.deepcopy(event)
    short["payload"].pop("entry_content", None)
    return short
