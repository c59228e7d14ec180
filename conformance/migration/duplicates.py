"""The same id in several sources: identical, written otherwise, or different."""

from __future__ import annotations

import itertools
import json

from spec_kitty_sync.conformance import migration_homes as homes
from spec_kitty_sync.conformance.builder import JsonObject
from spec_kitty_sync.conformance.migration_homes import Row
from spec_kitty_sync.conformance.migration_trial import MigrationTrial
from spec_kitty_sync.conformance.suite import Case, check


def other(event: JsonObject, **payload: object) -> JsonObject:
    """Return *event* with other content under the same id."""
    return {**event, "payload": {**event["payload"], **payload}}


@check("SKM-DUP-01", *(Case(str(count), {"count": count}) for count in (2, 4)))
def identical_rows_are_one(t: MigrationTrial, case: Case) -> None:
    events = t.events(3)
    ids = t.write(t.legacy, events)
    for number in range(case["count"] - 1):
        t.write(t.scoped(number), events)
    ran = t.migrate()
    t.expect_exit(ran, {0}, "identical rows are no conflict")
    t.expect_number(ran, "imported", 3, "one event for each id")
    t.expect_number(ran, "duplicates", 3 * (case["count"] - 1), "the others were known")
    t.expect_arrived(ids, "one event for each id")


_FORMS = {
    "key-order": lambda event: json.dumps(dict(reversed(list(event.items())))),
    "spaces": lambda event: json.dumps(event, indent=2),
    "escapes": lambda event: json.dumps(event, ensure_ascii=True).replace("/", "\\/"),
}


@check("SKM-DUP-02", *(Case(name, {"form": form}) for name, form in _FORMS.items()))
def other_spelling_is_identical(t: MigrationTrial, case: Case) -> None:
    event = other(t.events(1)[0], entry_content="grün/é")
    t.write(t.legacy, [event], ensure_ascii=False)
    homes.write_queue(t.scoped(), [Row(event["event_id"], case["form"](event))])
    ran = t.migrate()
    t.expect_exit(ran, {0}, "the same content in another spelling is no conflict")
    t.expect_number(ran, "duplicates", 1, "the content is the same")
    t.expect_arrived([event["event_id"]], "once")


_PAIRS = {
    "1-and-1.0": (1, 1.0),
    "1-and-true": (1, True),
    "null-and-absent": (None, ...),
    "composed-and-decomposed": ("\u00e9", "e\u0301"),
}


@check("SKM-DUP-03", *(Case(name, {"pair": pair}) for name, pair in _PAIRS.items()))
def other_content_is_a_conflict(t: MigrationTrial, case: Case) -> None:
    event = t.events(1)[0]
    for path, value in zip((t.legacy, t.scoped()), case["pair"], strict=True):
        t.write(path, [event if value is ... else other(event, extra=value)])
    ran = t.migrate()
    t.expect_exit(ran, {1}, "two contents under one id are a conflict")
    t.expect_number(ran, "conflicts", 1, "the contents differ")


@check("SKM-DUP-04")
def conflict_keeps_both(t: MigrationTrial, case: Case) -> None:
    mine, fine = t.events(2)
    theirs = other(mine, entry_content="something else")
    t.write(t.legacy, [mine, fine])
    t.write(t.scoped(), [theirs])
    ran = t.migrate()
    t.expect_exit(ran, {1}, "somebody has to decide")
    t.expect_number(ran, "conflicts", 1, "one id has two contents")
    t.expect_arrived([fine["event_id"]], "the others; the conflicting id waits for a decision")


@check("SKM-DUP-09")
def trivial_conflicts_are_a_class(t: MigrationTrial, case: Case) -> None:
    trivial, grave, fine = t.events(3)
    t.write(t.legacy, [trivial, grave, fine])
    later = {**trivial, "timestamp": "2026-02-03T00:00:00Z", "build_id": "b-2"}
    t.write(t.scoped(), [later, other(grave, entry_content="something else")])
    ran = t.migrate()
    t.expect_number(ran, "conflicts", 2, "both ids have two contents")
    done = t.run("keep_volatile")
    t.expect_exit(done, {0}, "the decision is carried out")
    t.expect_arrived(
        [trivial["event_id"], fine["event_id"]],
        "one conflict was over facts of the moment, the other waits for somebody to look",
    )


@check("SKM-DUP-10", *(Case(name, {"side": name}) for name in ("journal", "source")))
def conflict_can_be_resolved(t: MigrationTrial, case: Case) -> None:
    mine = t.events(1)[0]
    theirs = other(mine, entry_content="something else")
    t.write(t.legacy, [mine])
    t.write(t.scoped(), [theirs])
    t.migrate()
    ran = t.run(f"keep_{case['side']}")
    t.expect_exit(ran, {0}, "the decision is carried out")
    t.expect_arrived([mine["event_id"]], "after the decision")
    sent = t.stub.requests[-1].bodies[0]["payload"]["entry_content"]
    want = (mine if case["side"] == "journal" else theirs)["payload"]["entry_content"]
    t.expect(sent == want, expected=f"the chosen content {want!r}", got=f"{sent!r}")
    again = t.migrate("once more")
    t.expect_exit(again, {0}, "a decided conflict is none")


@check("SKM-DUP-05")
def third_source_counts_too(t: MigrationTrial, case: Case) -> None:
    event = t.events(1)[0]
    t.write(t.legacy, [event])
    t.write(t.scoped(0), [event])
    t.write(t.scoped(1), [other(event, entry_content="the third says otherwise")])
    ran = t.migrate()
    t.expect_exit(ran, {1}, "the third source differs")
    t.expect_number(ran, "conflicts", 1, "the third source differs")
    t.expect_arrived([], "the id is in conflict")


@check("SKM-DUP-06", *(Case("".join(order), {"order": order}) for order in
                       itertools.permutations("abc")))  # fmt: skip
def order_changes_nothing(t: MigrationTrial, case: Case) -> None:
    one, two, three = t.events(3)
    parts = {"a": [one, two], "b": [two, three], "c": [other(three, entry_content="x"), one]}
    for name, path in zip(case["order"], (t.legacy, t.scoped(0), t.scoped(1)), strict=True):
        t.write(path, parts[name])
    ran = t.migrate()
    t.expect_number(ran, "imported", 3, "three ids, whatever the order of the sources")
    t.expect_number(ran, "conflicts", 1, "one of them has two contents")
    t.expect_arrived([one["event_id"], two["event_id"]], "the two that agree everywhere")


@check("SKM-DUP-07")
def twice_in_one_source(t: MigrationTrial, case: Case) -> None:
    event, fine = t.events(2)
    t.write_rows(t.legacy, [homes.row_of(event), homes.row_of(event), homes.row_of(fine)])
    ran = t.migrate()
    t.expect_exit(ran, {0}, "the same row twice is no conflict")
    t.expect_number(ran, "imported", 2, "two ids")
    t.expect_arrived([event["event_id"], fine["event_id"]], "each once")


_ODD_IDS = (
    "01hxlowercase0000000000000",
    "not-a-ulid",
    "9f8b7a5e-6d35-4b35-9d7c-0c7ce7f0f1aa",
)


@check("SKM-DUP-08", *(Case(name, {"id": name}) for name in _ODD_IDS))
def ids_are_never_rewritten(t: MigrationTrial, case: Case) -> None:
    odd, fine = t.events(2)
    odd = {**odd, "event_id": case["id"]}
    t.write(t.legacy, [odd, fine])
    ran = t.migrate()
    t.expect_number(ran, "imported", 2, "an odd id is no reason to leave an event behind")
    t.expect_arrived([fine["event_id"]], "an id that is no ULID is kept and held, never changed")


@check("SKM-DUP-11")
def existing_row_is_a_side_too(t: MigrationTrial, case: Case) -> None:
    event = t.events(1)[0]
    t.write(t.legacy, [event])
    t.migrate()
    t.drained()
    t.touched = True
    t.write(t.scoped(), [other(event, entry_content="another")])
    ran = t.migrate("with a source that says otherwise")
    t.expect_exit(ran, {1}, "the contents differ")
    t.expect_number(ran, "conflicts", 1, "the journal already has other content")
    t.drained()
    sent = [one for one in t.stub.seen_ids if one == event["event_id"]]
    t.expect(len(sent) == 1, expected="nothing is sent again", got=f"{len(sent)} times")
