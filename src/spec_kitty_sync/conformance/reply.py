"""A receiver's answer, and the questions a check may ask of it."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import replace
from functools import cached_property
from typing import Any, Final

from spec_kitty_sync.conformance.exchange import Exchange
from spec_kitty_sync.conformance.meaning import Meaning, by_status, meaning_of
from spec_kitty_sync.conformance.outcome import Finding

STATUSES = frozenset(
    {
        "success",
        "duplicate",
        "pending",
        "queued",
        "rejected",
        "failed_transient",
        "failed_permanent",
    }
)
_SHORT = 240
_UNREADABLE: Final = (
    "the sender cannot read the answer: no event counts as delivered, all are sent again"
)


class CheckFailed(Exception):
    """The receiver did not do what the requirement asks."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(f"expected {finding.expected}; got {finding.got}")
        self.finding = finding

    def beside(self, neighbours: str, about: str = "") -> CheckFailed:
        """Return the same failure that also tells what became of the neighbours.

        *about* is the id of the event that turned out to be the cause, where one did.
        """
        about = about or self.finding.about
        return CheckFailed(replace(self.finding, beside=neighbours, about=about))


class Reply:
    """One answer; every `expect_…` raises `CheckFailed` with want and got."""

    def __init__(self, exchange: Exchange, step: int) -> None:
        self.exchange = exchange
        self.step = step

    @property
    def status(self) -> int | None:
        """The HTTP status, or nothing when no answer came."""
        return self.exchange.response.status if self.exchange.response else None

    @property
    def text(self) -> str:
        return self.exchange.response.text if self.exchange.response else ""

    @cached_property
    def json(self) -> Any:
        """The body as JSON, or nothing when it is not JSON."""
        try:
            return json.loads(self.text)
        except (ValueError, RecursionError):
            return None

    def header(self, name: str) -> str | None:
        """Return the first value of header *name*."""
        return self.exchange.response.header(name) if self.exchange.response else None

    @property
    def retry_after_s(self) -> float | None:
        """Seconds that a throttling answer (429, 503) asks to wait; nothing if it does not say."""
        told = self.header("Retry-After") or ""
        if self.status not in {429, 503} or not told.isdecimal():
            return None
        return max(0.05, float(told))

    @cached_property
    def results(self) -> list[dict[str, Any]]:
        """The result objects of a 200; empty when the answer has none."""
        body = self.json
        found = body.get("results") if isinstance(body, dict) and self.status == 200 else None
        return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []

    def results_of(self, event_id: object) -> list[dict[str, Any]]:
        """Return the results that carry exactly *event_id*."""
        return [row for row in self.results if row.get("event_id") == event_id]

    def status_of(self, event_id: object) -> str | None:
        """Return the status of the one result of *event_id*, if there is exactly one."""
        found = self.results_of(event_id)
        status = found[0].get("status") if len(found) == 1 else None
        return status if isinstance(status, str) else None

    def brief(self, event: dict[str, Any] | None = None) -> str:
        """What came back, in one line."""
        if self.exchange.response is None:
            return self.exchange.broke
        if event is not None:
            found = self.results_of(event.get("event_id"))
            if found:
                return " and ".join(shorten(json.dumps(row)) for row in found)
        return f"HTTP {self.status} {shorten(self.text)}"

    def fail(
        self, expected: str, got: str = "", means: str = "", *, about: object = ""
    ) -> CheckFailed:
        """Return the failure of this step; *got* defaults to the answer in one line."""
        about_id = about if isinstance(about, str) else ""
        return CheckFailed(
            Finding(expected, got or self.brief(), means, step=self.step, about=about_id)
        )

    def _why_unreadable(self) -> str:
        """Say where the body stops being JSON; nothing when it is JSON."""
        try:
            json.loads(self.text)
        except json.JSONDecodeError as exc:
            if self.text[exc.pos :].strip() and "Unterminated" not in exc.msg:
                return f"the body is not JSON: {exc}; it begins {shorten(self.text, 60)!r}"
            size = len(self.exchange.response.body) if self.exchange.response else 0
            told = self.header("Content-Length") or "nothing"
            return f"the body is not JSON: it ends at byte {size}, Content-Length says {told}"
        except RecursionError:
            return "the body is JSON of more levels than can be read"
        return ""

    def expect_answer(self) -> Reply:
        """Ask that an HTTP answer came at all."""
        if self.exchange.response is None:
            raise self.fail("an HTTP answer", means=_unanswered(self.exchange.broke))
        return self

    def expect_status(self, *allowed: int, means: Meaning = "") -> Reply:
        """Ask for one of the HTTP statuses *allowed*."""
        self.expect_answer()
        if self.status not in allowed:
            means = meaning_of(means, by_status(self.status))
            raise self.fail(f"HTTP {_either(allowed)}", means=means)
        return self

    def expect_results(self, means: Meaning = "") -> list[dict[str, Any]]:
        """Ask for 200 with a list of result objects, and return it.

        *means* is about another status; an answer that cannot be read has words of its own.
        """
        self.expect_status(200, means=means)
        body = self.json
        if not isinstance(body, dict) or not isinstance(body.get("results"), list):
            got = self._why_unreadable() if body is None else ""
            raise self.fail('a JSON object with a list "results"', got, _UNREADABLE)
        for index, row in enumerate(body["results"]):
            if not isinstance(row, dict):
                raise self.fail(f"results[{index}] is an object", f"{row!r}", _UNREADABLE)
        return self.results

    def expect_outcome(
        self, event: dict[str, Any], allowed: Collection[str], means: Meaning = ""
    ) -> dict[str, Any]:
        """Ask for exactly one result of *event*, its status among *allowed*; return it.

        *means* is about the status; a result that is missing or there twice has words of its own.
        """
        self.expect_results(means)
        event_id = event["event_id"]
        found = self.results_of(event_id)
        if len(found) != 1:
            raise self.fail(
                f"one result for event_id {event_id!r}",
                f"{len(found)} results for it: {self.brief()}",
                "the sender cannot tell what became of the event and sends it again",
                about=event_id,
            )
        if found[0].get("status") not in allowed:
            raise self.fail(
                f"status of {event_id} is {_either(sorted(allowed))}",
                shorten(json.dumps(found[0], ensure_ascii=False)),
                meaning_of(means, str(found[0].get("status"))),
                about=event_id,
            )
        return found[0]

    def expect_all(
        self, events: Iterable[dict[str, Any]], allowed: Collection[str], means: Meaning = ""
    ) -> Reply:
        """Ask `expect_outcome` of every event."""
        for event in events:
            self.expect_outcome(event, allowed, means)
        return self

    def expect_error(self, *allowed: int, means: Meaning = "") -> dict[str, Any]:
        """Ask for one of the HTTP statuses and a JSON object with `error`; return it."""
        self.expect_status(*allowed, means=means)
        body = self.json
        if not isinstance(body, dict) or not body.get("error"):
            raise self.fail(
                'a JSON object with a non-empty "error"',
                means="the sender can only show an HTTP status, not a reason",
            )
        return body


def _unanswered(broke: str) -> str:
    if "no end of its body" in broke:
        return "the answer never ends: say how long it is, or close the connection after it"
    if " within " in broke:
        return "the request is never answered: the sender waits a minute, then sends it again"
    return (
        "the receiver hangs up without an answer, as after an exception that nobody caught:"
        " its log says which"
    )


def reason_of(row: dict[str, Any]) -> str:
    """Return the reason text of a result: `error`, else `error_message`, else nothing."""
    for key in ("error", "error_message"):
        value = row.get(key)
        if isinstance(value, str) and value.strip():
            return value
    return ""


def grouped(ends: Iterable[tuple[str, str]]) -> str:
    """Return names by how they ended: `rejected: a, b; success: c`."""
    groups: dict[str, list[str]] = {}
    for name, end in ends:
        groups.setdefault(end, []).append(name)
    return "; ".join(f"{end}: {', '.join(names)}" for end, names in groups.items())


def shorten(text: str, limit: int = _SHORT) -> str:
    """Return *text* on one line of at most *limit* characters, safe for a terminal."""
    flat = visible(" ".join(text.split()))
    return flat if len(flat) <= limit else f"{flat[: limit - 1]}…"


def last_words(text: str, limit: int) -> str:
    """Return *text* as `shorten` does; of a traceback its last line, which names the error."""
    lines = text.strip().splitlines()
    for place, line in enumerate(lines):
        if line.startswith("Traceback (most recent call last)"):
            lines[place:] = ["Traceback …", lines[-1]]
            break
    return shorten("\n".join(lines), limit)


def visible(text: str) -> str:
    """Return *text* with everything escaped that a terminal would act on or cannot show.

    What a receiver says is not trusted: no escape sequence of it reaches the screen.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in text
    )


def _either(values: Collection[object]) -> str:
    names = [str(value) for value in values]
    return names[0] if len(names) == 1 else "{" + ", ".join(names) + "}"
