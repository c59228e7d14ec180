"""What a producer check can do: capture events, drain them, ask what became of them."""

from __future__ import annotations

import json
import re
import shutil
import socket
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from spec_kitty_sync.conformance.adapter import Adapter
from spec_kitty_sync.conformance.builder import JsonObject
from spec_kitty_sync.conformance.child import Child, kill_group
from spec_kitty_sync.conformance.probe import ControlFailed, NotApplicable
from spec_kitty_sync.conformance.producer_events import Captured, event_bytes
from spec_kitty_sync.conformance.stub import (
    Answer,
    StubReply,
    StubRequest,
    StubServer,
    per_event,
)
from spec_kitty_sync.conformance.trial import Ran, Trial

PRINTED_ID: Final = re.compile(r"\b[0-7][0-9A-Za-z]{25}\b")
_USER: Final = "kit@example.com"
_PASSWORD: Final = "correct-horse"
_ELSEWHERE: Final = "192.0.2.1"
"""For documentation (RFC 5737): what leads there at all is the way to every other machine."""


def note(text: str = "hi", wp_id: str = "WP01") -> JsonObject:
    """Return the payload of a HistoryAdded."""
    return {"wp_id": wp_id, "entry_type": "note", "entry_content": text}


def listed(values: Iterable[object]) -> str:
    """Return *values* as a person would write them."""
    return ", ".join(map(str, values)) or "none"


def own_address() -> str | None:
    """Return an IPv4 address of this machine that is not loopback, where it has one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((_ELSEWHERE, 9))  # of a datagram socket: nothing is sent
        except OSError:
            return None
        address = str(probe.getsockname()[0])
    return None if address.startswith(("127.", "0.")) else address


def captured_by(stub: StubServer) -> list[Captured]:
    """Return every event that *stub* has seen, byte for byte, repeats included."""
    return [
        Captured(body, f"request {place}")
        for place, request in enumerate(stub.requests, 1)
        for body in event_bytes(request.raw)
    ]


class ProducerTrial(Trial):
    """A producer in a home of its own, pointed at the stub."""

    shelf: Path | None = None
    """Where prepared homes are kept for the next case, when the adapter allows copies."""

    def __init__(self, adapter: Adapter, stub: StubServer, folder: Path) -> None:
        super().__init__(adapter, stub, folder)
        self.given: tuple[Captured, ...] = ()
        self.reads_files = False
        self._others: list[StubServer] = []
        self._settled: list[str] | None = None

    def prepare(
        self, *, events: int = 0, login: str | None = None, point: bool = True
    ) -> list[str]:
        """Make the home and return the ids of its *events*, oldest first.

        *point*: the stub is its server; *login*: with a login as a member of that team.
        """
        name = f"home-{events}-{login}-{point}-{self.in_project}"
        kept = self.shelf / name if self.shelf and self.adapter.copyable else None
        if kept is not None and kept.is_dir():
            shutil.copytree(kept, self.folder, dirs_exist_ok=True, symlinks=True)
            return list(json.loads((self.folder / "ids.json").read_text(encoding="utf-8")))
        if point:
            self.point_at(self.stub.url)
        if login is not None:
            self.login(login)
        ids = self.capture(events) if events else []
        if kept is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / "ids.json").write_text(json.dumps(ids), encoding="utf-8")
            shutil.copytree(self.folder, kept, symlinks=True)
        return ids

    def point_at(self, url: str) -> Ran:
        """Tell the producer to deliver to *url*."""
        ran = self.run("server", values={"url": url})
        if ran.exit_code != 0:
            raise ControlFailed(f"`server` should accept {url}; it said {ran.text[:200]}")
        return ran

    def login(self, team: str | None) -> Ran:
        """Log in at the stub as a member of *team*."""
        self.stub.team_slug = team
        ran = self.try_login()
        if ran.exit_code != 0 or not self.stub.logins:
            raise ControlFailed(f"`login` should get a token of the stub: {ran.text[:200]}")
        return ran

    def try_login(self) -> Ran:
        """Log in wherever the producer points, whether that works or not."""
        self.environment["SK_PASSWORD"] = _PASSWORD
        return self.run("login", values={"user": _USER})

    def emit(
        self,
        payload: JsonObject | None = None,
        *,
        event_type: str = "HistoryAdded",
        about: str = "WP01",
        extra: tuple[str, ...] = (),
        **values: str,
    ) -> Ran:
        """Capture one event by its own command and return what the command did."""
        body = json.dumps(payload or note(), ensure_ascii=False).encode()
        known = {"type": event_type, "aggregate_id": about, **values}
        return self.run("emit", stdin=body, extra=extra, values=known)

    def emit_id(self, payload: JsonObject | None = None, **given: Any) -> str:
        """Capture one event, ask that it worked, and return its id."""
        ran = self.emit(payload, **given)
        found = PRINTED_ID.search(ran.text)
        if ran.exit_code != 0 or found is None:
            raise ControlFailed(f"`emit` should print the event's id; it said {ran.text[:300]}")
        return found[0]

    def capture(self, count: int) -> list[str]:
        """Capture *count* events, in bulk where the adapter can, and return their ids."""
        return self.capture_payloads([note(f"note {number}") for number in range(count)])

    def capture_payloads(self, payloads: Sequence[JsonObject], **more: Any) -> list[str]:
        """Capture a HistoryAdded for each of *payloads* and return their ids.

        *more* are further arguments of every line for `emit_many`.
        """
        if len(payloads) == 1 or not self.has("bulk"):
            return [self.emit_id(payload) for payload in payloads]
        common = {"event_type": "HistoryAdded", "aggregate_id": "WP01", **more}
        lines = [json.dumps({**common, "payload": payload}) for payload in payloads]
        ran = self.run("emit_many", stdin="\n".join(lines).encode())
        ids = PRINTED_ID.findall(ran.stdout.decode("utf-8", "replace"))
        if ran.exit_code != 0 or len(ids) != len(payloads):
            raise ControlFailed(f"`emit_many` should print {len(payloads)} ids: {ran.text[:300]}")
        return ids

    def use(self, variant: str, **values: str) -> None:
        """Set the environment variables of the adapter's *variant*."""
        table = self.adapter.variants.get(variant)
        if table is None:
            raise NotApplicable(f"the adapter has no [variants.{variant}]")
        self.environment |= {name: self.adapter.fill(text, values) for name, text in table.items()}

    def lines(self, payloads: Iterable[JsonObject]) -> bytes:
        """Return the input of `emit_many` for a HistoryAdded of each payload."""
        common = {"event_type": "HistoryAdded", "aggregate_id": "WP01"}
        return "\n".join(json.dumps({**common, "payload": one}) for one in payloads).encode()

    def payload(self) -> bytes:
        """Return the input of `emit` for one HistoryAdded."""
        return json.dumps(note()).encode()

    def about(self, aggregate_id: str) -> dict[str, str]:
        """Return what `emit` needs to know for one HistoryAdded."""
        return {"type": "HistoryAdded", "aggregate_id": aggregate_id}

    def ids_in(self, ran: Ran) -> list[str]:
        """Return the event ids that a command printed on its standard output."""
        return PRINTED_ID.findall(ran.stdout.decode("utf-8", "replace"))

    def capture_or_read(self, count: int) -> None:
        """Send *count* events, unless captured ones are judged."""
        if not self.reads_files:
            self.prepare(events=count)
            self.drain()
            seen = len(self.stub.seen_ids)
            self.expect(seen == count, expected=f"{count} events arrive", got=f"{seen} did")

    def captured(self) -> list[Captured]:
        """Return the events to judge: those of files, else those that came over the wire."""
        if self.reads_files:
            return list(self.given)
        return captured_by(self.stub)

    def need_bulk(self, count: int) -> None:
        """End the check where *count* events would need as many processes."""
        if count > 20 and not self.has("bulk"):
            raise NotApplicable(f"{count} events need the capability 'bulk'")

    def drain(self, *answers: Answer, then: Answer | None = None) -> Ran:
        """Drain once; the stub gives *answers*, then what it usually says (or *then*)."""
        self.stub.next(*answers)
        if then is not None:
            self.stub.always(then)
        self._settled = None
        return self.run("drain")

    def arrived(self) -> list[StubRequest]:
        """Return every batch that the stub has seen in this trial."""
        return list(self.stub.requests)

    def bodies(self) -> list[JsonObject]:
        """Return every event that the stub has seen, repeats included, in order of arrival."""
        return [body for request in self.stub.requests for body in request.bodies]

    def sent_later(self) -> list[str]:
        """Put parked events back, drain once more, and return the ids that were sent then."""
        if self._settled is None:
            if self.has("retry"):
                self.run("retry")
            self._settled = self.sent_by_next_drain()
        return self._settled

    def sent_by_next_drain(
        self, answer: Answer | None = None, *, at: float | None = None
    ) -> list[str]:
        """Drain once more against a stub that behaves (or gives *answer*); return the ids sent.

        *at*: as it would be then, in epoch seconds; needs the capability `clock`.
        """
        before = len(self.stub.seen_ids)
        self.stub.drop_script()
        self.stub.always(answer or per_event())
        if at is None:
            self.run("drain")
        else:
            seconds = max(0, round(at - time.time()))
            note = f"a drain {seconds} s later"
            self.run("drain_later", values={"seconds": str(seconds)}, note=note)
        return self.stub.seen_ids[before:]

    def expect_delivered(self, ids: Iterable[str]) -> None:
        """Ask that a later drain does not send any of *ids* again."""
        again = [one for one in ids if one in self.sent_later()]
        self.expect(
            not again,
            expected="what the receiver took is not sent again",
            got=lambda: f"sent again: {', '.join(again[:3])}{' …' * (len(again) > 3)}",
            about=again[0] if again else "",
        )

    def expect_kept(self, ids: Iterable[str], because: str) -> None:
        """Ask that each of *ids* is still there and undelivered: a later drain sends it."""
        later = self.sent_later()
        lost = [one for one in ids if one not in later]
        self.expect(
            not lost,
            expected=f"the event stays undelivered and is sent by a later drain: {because}",
            got=lambda: f"never sent again: {', '.join(lost[:3])}{' …' * (len(lost) > 3)}",
            about=lost[0] if lost else "",
        )

    def expect_retained(self, count: int) -> None:
        """Ask that the tool's own status still counts *count* events as kept."""
        kept = self.status("retained")
        self.expect(
            kept is None or kept == count,
            expected=f"status counts {count} kept events",
            got=lambda: f"status counts {kept}",
        )

    def expect_count(self, field: str, count: int, because: str) -> None:
        """Ask that the tool's own status says *count* under *field*, where it has such a number."""
        found = self.status(field)
        self.expect(
            found is None or found == count,
            expected=f"status says {field} = {count}: {because}",
            got=lambda: f"status says {field} = {found}",
        )

    def another_stub(self, host: str = "127.0.0.1") -> StubServer:
        """Return a second receiver, which ends with the trial."""
        stub = StubServer(host).__enter__()
        self._others.append(stub)
        return stub

    def close(self) -> None:
        """End what the trial started."""
        for stub in self._others:
            stub.__exit__(None, None, None)

    def drain_killed_by_answer(self, *, stored: bool, after: int = 0) -> Ran:
        """Drain and SIGKILL it while it waits for the answer to its request number *after* + 1.

        *stored*: the receiver had taken the batch by then.
        """
        started: Future[Child] = Future()

        def answer(request: StubRequest, stub: StubServer) -> StubReply:
            reply = per_event()(request, stub) if stored else StubReply()
            kill_group(started.result().pid)
            return replace(reply, lose=True)

        self.stub.next(*[per_event()] * after, answer)
        child = self.start("drain")
        started.set_result(child)
        return self.finish(child, "drain", note="drain, killed before the answer came")
