"""The events that a producer makes, whatever becomes of them; also used on captured files."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence

from spec_kitty_sync.conformance import producer_events as rules
from spec_kitty_sync.conformance.builder import EXAMPLES
from spec_kitty_sync.conformance.probe import NotApplicable
from spec_kitty_sync.conformance.producer_events import Breach, Captured
from spec_kitty_sync.conformance.producer_trial import ProducerTrial, listed, note
from spec_kitty_sync.conformance.reply import last_words
from spec_kitty_sync.conformance.stub import per_event, rejected
from spec_kitty_sync.conformance.suite import Case, check, rows
from spec_kitty_sync.conformance.trial import Ran
from spec_kitty_sync.events.registry import default_registry

DAY_MS = 86_400_000
REGISTRY = default_registry()
CANARIES = ("canary-7f3a9", "/home/canary")
_EMITTED = [one for one in EXAMPLES if one.shape not in {"sync_status", "legacy_status"}]


def hold(
    t: ProducerTrial,
    judge: Callable[[Sequence[Captured]], list[Breach]],
    want: str,
    *,
    of_bytes: bool = False,
) -> None:
    """Fail unless *judge* finds nothing among the events of *t*.

    *of_bytes*: it also judges what is no event at all; every other rule needs one to look at.
    """
    events = t.captured()
    if t.reads_files and not of_bytes and not any(one.parsed for one in events):
        raise NotApplicable("no event could be read: SKP-EVT-01 tells what is there instead")
    t.expect(bool(events), expected="events to judge", got="none arrived")
    found = judge(events)
    t.expect(
        not found,
        expected=want,
        got=lambda: rules.summed_up(found, len(events)),
        about=found[0].about if found else "",
    )


@check("SKP-EVT-01")
def envelope_is_valid(t: ProducerTrial, case: Case) -> None:
    t.capture_or_read(3)
    hold(
        t,
        lambda events: rules.envelope_breaches(events, REGISTRY),
        "envelopes valid by dialect",
        of_bytes=True,
    )


@check("SKP-EVT-02")
def payload_is_valid(t: ProducerTrial, case: Case) -> None:
    if not t.reads_files:
        t.prepare()
        for one in _EMITTED:
            payload = {**one.required, **one.optional}
            if one.event_type == "WPStatusChanged":
                payload = dict(one.required)
            t.emit_id(payload, event_type=one.event_type, about=one.aggregate_id)
        t.drain()
    hold(t, lambda events: rules.payload_breaches(events, REGISTRY), "payloads valid by type")


@check("SKP-EVT-03")
def ids_are_unique_ulids(t: ProducerTrial, case: Case) -> None:
    t.capture_or_read(5)
    hold(t, rules.id_breaches, "each id a ULID that stands for one content")
    if t.reads_files:
        return
    now_ms = time.time_ns() // 1_000_000
    far = [
        one
        for one in t.stub.seen_ids
        if rules.ID.fullmatch(one) and abs(rules.ulid_ms(one) - now_ms) > DAY_MS
    ]
    t.expect(
        not far and len(set(t.stub.seen_ids)) == len(t.stub.seen_ids),
        expected="ids of five events: all different, their time part within a day of the clock",
        got=lambda: f"{', '.join(t.stub.seen_ids)}",
    )


@check("SKP-EVT-04")
def id_stays_on_every_send(t: ProducerTrial, case: Case) -> None:
    first = t.prepare(events=2)
    t.drain(then=per_event({one: rejected("payload.wp_id: bad") for one in first}))
    again = t.sent_by_next_drain()
    t.expect(
        sorted(again) == sorted(first) == sorted(t.stub.seen_ids[:2]),
        expected="both are sent again under the ids that `emit` printed",
        got=lambda: f"captured {listed(first)}; sent {listed(t.stub.seen_ids)}",
    )


@check("SKP-EVT-05")
def bytes_stay_on_every_send(t: ProducerTrial, case: Case) -> None:
    first = t.prepare(events=2)
    t.drain(then=per_event({one: rejected("payload.wp_id: bad") for one in first}))
    t.sent_by_next_drain()
    contents: dict[str, bytes] = {}
    for one in t.captured():
        event_id = str(one.parsed.get("event_id"))
        same = contents.setdefault(event_id, rules.content(one)) == rules.content(one)
        t.expect(
            same,
            expected="the same content on every send",
            got=lambda: "other content under the same id",
            about=event_id,
        )


def ids_of_all(t: ProducerTrial, ran: Sequence[Ran]) -> list[str]:
    """Return the ids that processes printed which ran at once; ask that each of them worked."""
    for done in ran:
        t.expect_exit(done, {0}, "processes that capture at once all capture")
    return [one for done in ran for one in t.ids_in(done)]


@check("SKP-EVT-06", *rows("restart", "parallel", "by-turns", "two-projects"))
def clock_increases(t: ProducerTrial, case: Case) -> None:
    if case.name == "by-turns" and not t.has("bulk"):
        raise NotApplicable("two processes that append by turns need the capability 'bulk'")
    t.prepare()
    if case.name == "restart":
        ids = [t.emit_id(note(str(number))) for number in range(4)]
    elif case.name == "two-projects":
        ids = [t.emit_id(note("first")), t.emit_id(note("second"))]
        t.project = t.folder / "another"
        ids += [t.emit_id(note("third")), t.emit_id(note("fourth"))]
    elif case.name == "by-turns":
        texts = [t.lines([note(word), note(f"{word} again")]).split(b"\n") for word in ("a", "b")]
        ids = ids_of_all(t, t.run_by_turns("emit_many", texts))
    else:
        children = [t.start("emit", values=t.about("WP01")) for _ in range(4)]
        ran = [t.finish(one, "emit", stdin=t.payload(), note="four at once") for one in children]
        ids = ids_of_all(t, ran)
    t.drain()
    hold(t, rules.clock_breaches, "no two events of one node with the same clock")
    clocks = {body.get("event_id"): body.get("lamport_clock") for body in t.bodies()}
    found = [clocks.get(one) for one in ids]
    t.expect(
        len(set(found)) == 4 and all(type(one) is int for one in found),
        expected="four events with four clocks",
        got=lambda: f"clocks {listed(found)}",
    )
    t.expect(
        case.name not in ("restart", "two-projects") or found == sorted(found),
        expected="the clock rises from one process to the next",
        got=lambda: f"clocks {listed(found)}",
    )


@check("SKP-EVT-14")
def captured_clocks_are_unique(t: ProducerTrial, case: Case) -> None:
    if not t.reads_files:
        t.prepare(events=3)
        t.project = t.folder / "another"
        t.emit_id(note("elsewhere"))
        t.drain()
    hold(t, rules.clock_breaches, "no two events of one node with the same clock")


@check("SKP-EVT-07")
def node_is_a_hash(t: ProducerTrial, case: Case) -> None:
    t.capture_or_read(2)
    hold(t, rules.node_breaches, "node ids that are hashes, never a plain host or user name")
    if not t.reads_files:
        nodes = {str(body.get("node_id")) for body in t.bodies()}
        t.expect(len(nodes) == 1, expected="one node id on one machine", got=lambda: str(nodes))


@check("SKP-EVT-08")
def timestamp_is_the_occurrence(t: ProducerTrial, case: Case) -> None:
    t.prepare()
    before = time.time()
    event_id = t.emit_id()
    after = time.time()
    time.sleep(1.1)
    t.drain()
    stamps = [body.get("timestamp") for body in t.bodies() if body.get("event_id") == event_id]
    moment = rules.instant(stamps[0]) if stamps else None
    t.expect(
        moment is not None and before - 1 <= moment <= after + 0.1,
        expected="the time of capture, with its zone; not the time of sending",
        got=lambda: f"{stamps}; captured until {after:.3f}",
        about=event_id,
    )


@check("SKP-EVT-09")
def no_identity_is_never_sent(t: ProducerTrial, case: Case) -> None:
    t.in_project = False
    t.prepare()
    ran = t.emit()
    t.drain()
    sent = rules.identity_breaches(t.captured())
    t.expect(
        not sent,
        expected="an event without project_uuid is kept and never sent",
        got=lambda: f"it was sent: {sent[0].what}",
        about=sent[0].about if sent else "",
    )
    t.expect_exit(ran, {0}, "the event is captured all the same")
    if not t.arrived():
        t.expect_retained(1)


@check("SKP-EVT-16")
def identity_is_there(t: ProducerTrial, case: Case) -> None:
    t.capture_or_read(2)
    hold(t, rules.identity_breaches, "a project_uuid in every event, so that it may be sent")


@check("SKP-EVT-18", *rows("one-project", "two-projects"))
def project_has_one_identity(t: ProducerTrial, case: Case) -> None:
    t.prepare()
    ids = [t.emit_id(note("first")), t.emit_id(note("second"))]
    if case.name == "two-projects":
        t.project = t.folder / "another"
        ids[1] = t.emit_id(note("elsewhere"))
    t.drain()
    sent = {body.get("event_id"): body.get("project_uuid") for body in t.bodies()}
    found = [sent.get(one) for one in ids]
    same = case.name == "one-project"
    t.expect(
        all(found) and (found[0] == found[1]) is same,
        expected=f"two events of {case.name}: {'one' if same else 'two'} project_uuid",
        got=lambda: f"project_uuid {found[0]}, then {found[1]}",
        about=ids[1],
    )
    hold(t, rules.clock_breaches, "one clock of a node, whatever the project")


@check("SKP-EVT-10")
def lanes_are_the_contract_s(t: ProducerTrial, case: Case) -> None:
    if not t.reads_files:
        t.prepare()
        base = next(one for one in EXAMPLES if one.shape == "status_transition").required
        forced = {"force": True, "reason": "because", "actor": "robin"}
        move = {**base, **forced, "from_lane": "claimed", "to_lane": "doing"}
        t.emit(move, event_type="WPStatusChanged", about="WP01")
        t.emit_id({**base, "to_lane": "claimed"}, event_type="WPStatusChanged", about="WP01")
        t.drain()
    hold(t, rules.lane_breaches, "lanes that somebody knows; `doing` is an alias")


@check("SKP-EVT-17")
def lanes_are_not_of_the_field(t: ProducerTrial, case: Case) -> None:
    if not t.reads_files:
        t.prepare()
        base = next(one for one in EXAMPLES if one.shape == "status_transition").required
        t.emit_id({**base, "to_lane": "claimed"}, event_type="WPStatusChanged", about="WP01")
        t.drain()
    hold(t, rules.field_lane_breaches, "only the seven lanes of the contract")


@check("SKP-EVT-11")
def values_are_json_values(t: ProducerTrial, case: Case) -> None:
    t.capture_or_read(2)
    hold(t, rules.type_breaches, "JSON values, no printed objects")


@check("SKP-EVT-12")
def causes_are_known(t: ProducerTrial, case: Case) -> None:
    if not t.reads_files:
        if not t.has("causation"):
            raise NotApplicable("the adapter does not declare 'causation'")
        parent = t.prepare(events=1)[0]
        child = t.emit_id(extra=("causation",), causation_id=parent)
        t.drain()
        causes = {body.get("event_id"): body.get("causation_id") for body in t.bodies()}
        t.expect(
            causes.get(child) == parent,
            expected=f"causation_id {parent}, as it was stated",
            got=lambda: f"causation_id {causes.get(child)}",
            about=child,
        )
    hold(
        t,
        rules.cause_breaches,
        "every causation_id names an event that is here too; one that was delivered and deleted"
        " by an old version is unknown as well",
    )


_ODD_VALUES = {
    "unknown-key": {"x_kit": {"deep": [1, True, "a", {"b": None}]}},
    "null": {"x_kit": None},
    "decomposed": {"entry_content": "re\u0301sume\u0301"},
    "blanks": {"entry_content": "  two before, two after  "},
}


@check("SKP-EVT-19", *(Case(name, {"payload": odd}) for name, odd in _ODD_VALUES.items()))
def payload_arrives_as_given(t: ProducerTrial, case: Case) -> None:
    t.prepare()
    given = {**note(), **case["payload"]}
    event_id = t.emit_id(given)
    t.drain()
    sent = next((body for body in t.bodies() if body.get("event_id") == event_id), {})
    payload = sent.get("payload", {})
    for key, value in given.items():
        t.expect(
            key in payload and json.dumps(payload[key]) == json.dumps(value),
            expected=f"payload.{key} is {json.dumps(value)}, as it was given",
            got=lambda key=key: json.dumps(payload[key]) if key in payload else f"no {key}",
            about=event_id,
        )


_BEYOND_JSON = {
    "1e400": b"1e400",
    "NaN": b"NaN",
    "Infinity": b"-Infinity",
    "half-a-surrogate-pair": rb'"\ud800"',
    "repeated-key": b'1,"x_kit":2',
    "broken-utf-8": b'"\xff"',
}


@check("SKP-EVT-20", *(Case(name, {"value": value}) for name, value in _BEYOND_JSON.items()))
def what_json_cannot_say_is_not_sent(t: ProducerTrial, case: Case) -> None:
    t.prepare()
    odd = t.payload()[:-1] + b',"x_kit":' + case["value"] + b"}"
    ran = t.run("emit", stdin=odd, values=t.about("WP01"))
    fine = t.emit_id(note("beside it"))
    t.drain()
    wrong = next(filter(None, (rules.json_breach(one.raw) for one in t.arrived())), "")
    t.expect(not wrong, expected="requests in strict JSON", got=lambda: wrong)
    t.expect(
        fine in t.stub.stored_ids, expected="the event captured after it arrives", got="it did not"
    )
    taken = [one for one in t.ids_in(ran) if one in t.stub.stored_ids]
    t.expect(
        bool(taken) if ran.exit_code == 0 else bool(ran.text) and "Traceback" not in ran.text,
        expected="refused in words, with an exit code; or captured, and sent as JSON can say it",
        got=lambda: f"exit code {ran.exit_code}: {last_words(ran.text, 300) or 'nothing printed'}",
        step=ran.step,
    )


@check("SKP-EVT-13")
def no_secret_leaves(t: ProducerTrial, case: Case) -> None:
    t.environment |= {"SK_PASSWORD": CANARIES[0], "GITHUB_TOKEN": CANARIES[0]}
    t.prepare()
    t.emit_id()
    t.drain()
    t.expect(bool(t.arrived()), expected="the event arrives", got="nothing came")
    secrets = [*CANARIES, str(t.home)]
    hold(t, lambda events: rules.secret_breaches(events, secrets), "no secret and no home path")


@check("SKP-EVT-15")
def invalid_event_is_refused(t: ProducerTrial, case: Case) -> None:
    t.prepare()
    ran = t.emit({"wp_id": "WP01", "entry_type": "gossip", "entry_content": "x"})
    t.drain()
    t.expect(
        ran.exit_code != 0 and "entry_type" in ran.text,
        expected="an invalid event is refused and the field named",
        got=lambda: f"exit code {ran.exit_code}: {ran.text[:200]}",
        step=ran.step,
    )
    t.expect(not t.arrived(), expected="nothing was stored", got="it was sent")
