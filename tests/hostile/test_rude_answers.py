"""Whatever a receiver answers to a drain: what the operator sees, and that no event is lost.

Each case is a real `sync now` against a raw socket. The rude answer comes once; after it the
receiver behaves, and the same command brings every event home, each stored once.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from desk import Desk, event_id, make_event
from rude_receiver import Ids, RudeReceiver, answer, results, say_for

IDS = [event_id(number) for number in range(1, 5)]
STRANGER = "01ARZ3NDEKTSV4RRFFQ69G5FAV"


@dataclass(frozen=True)
class Rude:
    """One rude answer: what it is made of, and what becomes of the run that meets it.

    `delivered` are the places of the events that the answer may confirm; `code` is the exit code,
    `stop` the reason of a run that ended, `says` stands in what the operator reads.
    """

    name: str
    make: Callable[[Ids], bytes]
    says: str
    delivered: tuple[int, ...] = ()
    states: dict[str, int] = field(default_factory=lambda: {"transient": 4})
    code: int = 1
    stop: str | None = None


def ok(body: bytes, **headers: str) -> Callable[[Ids], bytes]:
    """Answer 200 with *body*; `Content_Encoding="gzip"` and the like are headers."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda ids: answer("200 OK", body, named)


def listed(*items: object) -> Callable[[Ids], bytes]:
    """Answer 200 with these results; a number n in an `event_id` stands for the n-th id sent."""

    def make(ids: Ids) -> bytes:
        said = [
            {**item, "event_id": ids[item["event_id"]]}
            if isinstance(item, dict) and type(item.get("event_id")) is int
            else item
            for item in items
        ]
        return answer("200 OK", json.dumps({"results": said}).encode())

    return make


def good(*places: int) -> list[dict[str, object]]:
    return [{"event_id": place, "status": "success"} for place in places]


def stops(status: str, body: bytes = b'{"error": "go away"}', **headers: str):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda ids: answer(status, body, named)


NO_JSON = "the answer is not JSON"
NO_LIST = "the answer has no list of results"
MISSING = "the answer has no result for this event"
UNKNOWN = "unknown status"
HALF = {"delivered": 2, "transient": 2}
THREE = {"delivered": 3, "transient": 1}
PACKED = gzip.compress(results(dict.fromkeys(IDS, "success")))
BOMB = gzip.compress(b"\0" * 50_000_000)

SHAPES = (
    Rude("html", ok(b"<html>Please sign in</html>"), NO_JSON),
    Rude("empty", ok(b""), NO_JSON),
    Rude("cut", lambda ids: ok(results(dict.fromkeys(ids, "success"))[:-9])(ids), NO_JSON),
    Rude("deep", ok(b"[" * 60_000), NO_JSON),
    Rude("list", ok(b"[]"), NO_LIST),
    Rude("no results", ok(b'{"result": []}'), NO_LIST),
    Rude("results by id", lambda ids: ok(json.dumps({"results": dict.fromkeys(ids, "success")})
                                         .encode())(ids), NO_LIST),
    Rude("gzip unasked", ok(PACKED, Content_Encoding="gzip"), NO_JSON),
    Rude("gzip cut", ok(PACKED[:-9], Content_Encoding="gzip"), NO_JSON),
    Rude("gzip bogus", ok(b"\x1f\x8bnonsense", Content_Encoding="gzip"), NO_JSON),
    Rude("gzip bomb", ok(BOMB, Content_Encoding="gzip"), NO_JSON),
    Rude("half", listed(*good(0, 1)), MISSING, (0, 1), HALF),
    Rude("none", listed(), MISSING),
    Rude("strangers", listed(*[{"event_id": STRANGER, "status": "success"}] * 4), MISSING),
    Rude("twice the same", listed(*good(0, 0, 1, 2, 2, 3)), "Everything delivered",
         (0, 1, 2, 3), {"delivered": 4}, 0),
    Rude("contradiction", listed(*good(0, 1, 2), {"event_id": 0, "status": "rejected",
                                                  "error": "no"}, *good(3)),
         "contradicting results", (1, 2, 3), THREE),
    Rude("contradiction, then again", listed({"event_id": 0, "status": "pending"},
                                             *good(0, 0, 0, 1, 2, 3)),
         "contradicting results", (1, 2, 3), THREE),
    Rude("unknown word", listed({"event_id": 0, "status": "stored"}, *good(1, 2, 3)),
         UNKNOWN, (1, 2, 3), THREE),
    Rude("capitals", listed({"event_id": 0, "status": "SUCCESS"}, *good(1, 2, 3)),
         UNKNOWN, (1, 2, 3), THREE),
    Rude("status of every type",
         listed({"event_id": 0, "status": True}, {"event_id": 1, "status": ["success"]},
                {"event_id": 2, "status": {"success": 1}}, {"event_id": 3, "status": 200}),
         UNKNOWN),
    Rude("no status", listed({"event_id": 0}, {"event_id": 1, "status": None}, *good(2, 3)),
         UNKNOWN, (2, 3), HALF),
    Rude("ids of every type", listed(*({"event_id": each, "status": "success"}
                                       for each in (None, 7.5, True, [IDS[0]], {"id": IDS[0]}))),
         MISSING),
    Rude("ids nearly ours",
         lambda ids: ok(results({f" {i}": "success" for i in ids} |
                                {i.lower(): "success" for i in ids}))(ids), MISSING),
    Rude("items of every type", listed(None, 7, "success", [], [IDS[0], "success"], *good(0, 1)),
         MISSING, (0, 1), HALF),
    Rude("half a surrogate as reason",
         lambda ids: ok(b'{"results": [{"event_id": "%b", "status": "rejected", "error": '
                        b'"bad \\ud800 \\u001b[31m lane"}]}' % ids[0].encode())(ids),
         "bad ? \\x1b[31m lane", (), {"rejected": 1, "transient": 3}),
)  # fmt: skip

STOPS = (
    Rude("success in a 201", lambda ids: stops("201 Created", results(dict.fromkeys(
        ids, "success")))(ids), "the server answered 201", stop="unexpected_answer"),
    Rude("empty 202", stops("202 Accepted", b""), "the server answered 202",
         stop="unexpected_answer"),
    Rude("empty 204", stops("204 No Content", b"", Content_Length=""),
         "the server answered 204", stop="unexpected_answer"),
    Rude("partial 206", stops("206 Partial Content"), "the server answered 206",
         stop="unexpected_answer"),
    Rude("permanent redirect", stops("308 Permanent Redirect", b"", Location="http://example.org/"),
         "the server answered 308", stop="redirected"),
    Rude("401", stops("401 Unauthorized"), "auth login", stop="auth_expired"),
    Rude("403", stops("403 Forbidden"), "go away", stop="forbidden"),
    Rude("404", stops("404 Not Found", b"<html>404</html>"), "sync server", stop="not_found"),
    Rude("412", stops("412 Precondition Failed", json.dumps(
        {"error": "old", "sync_protocol": {"upgrade_guidance": "pip install -U it"}}).encode()),
        "pip install -U it", stop="protocol_mismatch"),
    Rude("teapot", stops("418 I'm a teapot", b"\x1b]0;pwned\x07 \xff tea"), "\\x1b]0;pwned\\x07",
         stop="unexpected_answer"),
)  # fmt: skip


@pytest.fixture
def ready(desk: Desk, rude: RudeReceiver) -> Desk:
    """A desk with four events, and the rude receiver as its server."""
    desk.put(*(make_event(number) for number in range(1, 5)))
    assert desk.run("sync", "server", rude.url).code == 0
    return desk


def states(desk: Desk) -> dict[str, int]:
    """Return how many events the ledger has in each state."""
    return dict(desk.sql("SELECT state, count(*) FROM delivery_ledger GROUP BY state"))


def let_time_pass(desk: Desk) -> None:
    """Let every back-off be over."""
    desk.sql("UPDATE delivery_ledger SET not_before = 0")


def assert_comes_home(desk: Desk, rude: RudeReceiver) -> None:
    """The next run delivers everything that is not rejected for good."""
    let_time_pass(desk)
    done = desk.run("sync", "now")
    assert (done.code, "Everything delivered" in done.out) == (0, True), done
    assert states(desk) == {"delivered": 4}


@pytest.mark.parametrize("case", SHAPES, ids=lambda case: case.name)
def test_rude_200_confirms_only_what_it_confirms(ready: Desk, rude: RudeReceiver, case: Rude):
    """A 200 delivers the events it names as stored; the others wait, with the reason shown."""
    rude.script.append(say_for(case.make))
    done = ready.run("sync", "now")
    assert (done.code, states(ready)) == (case.code, case.states), done
    assert case.says in " ".join(done.out.split())
    confirmed = ready.sql(
        "SELECT j.event_id FROM delivery_ledger l JOIN journal_ids j USING (seq)"
        " WHERE l.state = 'delivered' ORDER BY seq"
    )
    assert [row[0] for row in confirmed] == [IDS[place] for place in case.delivered]
    assert_comes_home(ready, rude)


@pytest.mark.parametrize("case", STOPS, ids=lambda case: case.name)
def test_rude_status_stops_the_drain_and_blames_no_event(
    ready: Desk, rude: RudeReceiver, case: Rude
):
    """Status, the server's words, one remedy; no event's counts move, and nothing else is sent."""
    rude.script.append(say_for(case.make))
    done = ready.run("sync", "now")
    assert done.code == 1
    assert case.says in " ".join(done.out.split())
    assert len(rude.batches) == 1
    assert ready.sql("SELECT sum(attempts), sum(rejections) FROM delivery_ledger") == [(0, 0)]
    rude.script.append(say_for(case.make))
    assert ready.json("sync", "now", code=1)["stop"]["code"] == case.stop
    assert_comes_home(ready, rude)


@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Busy"])
@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [("7", 7), ("0", 1), ("-5", 1), ("9" * 400, 3600), ("Thu, 01 Jan 1970 00:00:00 GMT", 1),
     ("Fri, 31 Dec 9999 23:59:59 GMT", 3600), ("Fri, 31 Dec 2100 23:59:59", 3600),
     (" 12 ", 12)],
)  # fmt: skip
def test_throttled_run_says_when_to_come_back(
    ready: Desk, rude: RudeReceiver, status: str, retry_after: str, seconds: int
):
    """Retry-After in every form is clamped to 1 s … 1 h; beyond the patience the run ends."""
    rude.script.append(say_for(stops(status, Retry_After=retry_after)))
    done = ready.run("sync", "now", "--wait", "0")
    assert (done.code, f"come back in {seconds} s" in " ".join(done.out.split())) == (1, True)
    assert ready.sql("SELECT sum(attempts), sum(rejections) FROM delivery_ledger") == [(0, 0)]
    assert_comes_home(ready, rude)


@pytest.mark.parametrize("retry_after", ["soon", "", "1e3", "0x10", "١٢", "Fri, 99 Foo 2026"])
def test_retry_after_that_says_nothing_is_our_own_back_off(
    ready: Desk, rude: RudeReceiver, retry_after: str
):
    """A 429 with words that are no time is asked again after a second of ours."""
    raw = answer("429 Slow", b"{}", {"Retry-After": "@"}).replace(b"@", retry_after.encode())
    rude.script.append(say_for(lambda ids: raw))
    done = ready.run("sync", "now", "--wait", "0")
    assert "come back in 1 s" in " ".join(done.out.split())
    assert_comes_home(ready, rude)


@pytest.mark.parametrize(
    ("status", "stop"), [("401 Unauthorized", "auth_expired"), ("403 Forbidden", "forbidden")]
)
def test_refusal_in_the_middle_keeps_what_was_delivered(
    ready: Desk, rude: RudeReceiver, status: str, stop: str
):
    """A token that dies between two batches: the first stays delivered, the second waits."""
    rude.health = b'{"status": "ok", "max_batch_events": 2}'
    rude.script += [rude.behave, say_for(stops(status))]
    result = ready.json("sync", "now", code=1)
    assert (result["delivered"], result["not_sent"], result["stop"]["code"]) == (2, 2, stop)
    assert_comes_home(ready, rude)
    assert rude.stored == IDS
