"""Nothing is lost: kill -9, offline, two processes, another server, tiers and teams."""

from __future__ import annotations

import os

from spec_kitty_sync.conformance import stub
from spec_kitty_sync.conformance.producer_trial import ProducerTrial, captured_by, listed, note
from spec_kitty_sync.conformance.reply import last_words
from spec_kitty_sync.conformance.suite import Case, check, rows

_MOMENTS = (0.2, 0.4, 0.55, 0.7, 0.85, 0.95)


@check("SKP-DUR-01", *rows("before-storing", "before-answer", "second-request"))
def killed_while_waiting(t: ProducerTrial, case: Case) -> None:
    ids = t.prepare(events=4)
    t.stub.health["max_batch_events"] = 2
    stored = case.name != "before-storing"
    t.drain_killed_by_answer(stored=stored, after=int(case.name == "second-request"))
    t.drain()
    t.expect(
        sorted(t.stub.stored_ids) == sorted(ids),
        expected="after a kill the next drain delivers what was not acknowledged",
        got=lambda: f"{len(t.stub.stored_ids)} of {len(ids)} arrived",
    )
    t.expect_delivered(ids)


@check("SKP-DUR-07", *(Case(f"{part:.0%}", {"part": part}) for part in _MOMENTS))
def killed_drain_loses_nothing(t: ProducerTrial, case: Case) -> None:
    ids = t.prepare(events=4)
    t.stub.always(stub.late(0.05))
    whole = t.run("drain", note="a drain that nobody disturbs")
    ids += t.capture(4)
    t.killed_after("drain", case["part"] * t.seconds_of(whole))
    t.drain(then=stub.per_event())
    t.expect(
        sorted(t.stub.stored_ids) == sorted(ids),
        expected="every event arrives, wherever the kill came",
        got=lambda: f"{len(t.stub.stored_ids)} of {len(ids)} arrived",
    )


@check("SKP-DUR-08", *(Case(f"{count}-ids", {"count": count}) for count in (1, 40, 120, 199)))
def killed_emit_keeps_what_it_printed(t: ProducerTrial, case: Case) -> None:
    t.need_bulk(200)
    t.prepare()
    lines = t.lines([note(str(number)) for number in range(200)])
    ran = t.killed_after_lines("emit_many", case["count"], lines)
    printed = t.ids_in(ran)
    t.drain()
    lost = [one for one in printed if one not in t.stub.stored_ids]
    t.expect(
        len(printed) >= case["count"] and not lost,
        expected="every event whose id was printed is there after the kill",
        got=lambda: f"{len(lost)} of {len(printed)} are lost",
        step=ran.step,
    )
    t.expect(
        len(set(t.stub.seen_ids)) == len(t.stub.seen_ids),
        expected="no event twice",
        got="an id came twice",
    )


@check("SKP-DUR-02", *rows("no-server", "offline"))
def capture_comes_first(t: ProducerTrial, case: Case) -> None:
    with stub.StubServer() as gone:
        url = gone.url
    t.prepare(point=False)
    if case.name == "offline":
        t.point_at(url)
    ran = t.emit()
    t.expect_exit(ran, {0}, "capturing needs no server")
    found = t.ids_in(ran)
    t.point_at(t.stub.url)
    t.drain()
    t.expect(
        bool(found) and t.stub.stored_ids == found[:1],
        expected="the event arrives once a server is there",
        got=lambda: f"captured {listed(found)}; arrived {listed(t.stub.stored_ids)}",
    )


@check("SKP-DUR-03")
def another_server_gets_everything(t: ProducerTrial, case: Case) -> None:
    ids = t.prepare(events=3)
    t.drain()
    first = [one.body for one in t.captured()]
    other = t.another_stub()
    t.point_at(other.url)
    t.drain()
    t.expect(
        other.stored_ids == ids,
        expected="a second server gets the same events",
        got=lambda: f"it has {listed(other.stored_ids)}",
    )
    second = [one.body for one in captured_by(other)]
    t.expect(second == first, expected="the same bytes for both servers", got="they differ")
    t.point_at(t.stub.url)
    again = t.sent_by_next_drain()
    t.expect(
        not again,
        expected="back at the first server nothing is left to send",
        got=lambda: f"{len(again)} were sent again",
    )


@check("SKP-DUR-04")
def two_processes_lose_nothing(t: ProducerTrial, case: Case) -> None:
    t.need_bulk(200)
    t.prepare()
    lines = [t.lines([note(f"{half}-{number}") for number in range(100)]) for half in "ab"]
    children = [t.start("emit_many"), t.start("emit_many")]
    for child, text in zip(children, lines, strict=True):
        if child.stdin is not None:
            child.stdin.write(text)
            child.stdin.close()
            child.stdin = None
    ran = [t.finish(child, "emit_many", note="two at once") for child in children]
    printed = [one for done in ran for one in t.ids_in(done)]
    t.drain()
    t.expect(
        len(printed) == 200 and sorted(t.stub.stored_ids) == sorted(printed),
        expected="two hundred different events",
        got=lambda: f"{len(printed)} printed, {len(t.stub.stored_ids)} arrived",
    )


@check("SKP-DUR-05")
def unwritable_home_is_told(t: ProducerTrial, case: Case) -> None:
    if os.geteuid() == 0:
        # The administrator writes everywhere: a file in the place of the folder stops him too.
        t.folder.mkdir(parents=True, exist_ok=True)
        t.home.write_text("not a folder", encoding="utf-8")
    else:
        t.prepare()
        for path in [t.home, *t.home.rglob("*")]:
            path.chmod(0o500)
    ran = t.emit()
    t.expect(
        ran.exit_code not in {0} and "Traceback" not in ran.text and bool(ran.text),
        expected="an event that cannot be stored is refused in words, with an exit code",
        got=lambda: f"exit code {ran.exit_code}: {last_words(ran.text, 300) or 'nothing printed'}",
        step=ran.step,
    )


@check("SKP-DUR-06")
def reset_is_offered(t: ProducerTrial, case: Case) -> None:
    t.stub.health |= {"server_instance_id": "one", "deployment_id": "d1"}
    ids = t.prepare(events=2)
    t.drain()
    t.stub.health |= {"server_instance_id": "two", "deployment_id": "d2"}
    extra = t.emit_id(note("after the reset"))
    before = len(t.stub.seen_ids)
    ran = t.drain()
    sent = t.stub.seen_ids[before:]
    t.expect(
        sent == [extra],
        expected="only the new event is sent: a re-drain is offered, not done",
        got=lambda: f"{len(sent)} were sent",
    )
    shown = ran.text + (t.run("status").text if t.has("status") else "")
    t.expect(
        "redeliver" in shown or "two" in shown,
        expected="the operator reads that the server behind the address changed",
        got=lambda: shown[:300],
    )
    t.expect(bool(ids), expected="two events", got="none")


@check("SKP-TIE-01")
def tier_zero_stays(t: ProducerTrial, case: Case) -> None:
    t.prepare()
    local = t.emit_id(note("local"), extra=("tier",), tier="0")
    plain = t.emit_id(note("plain"))
    ran = t.drain()
    t.expect(
        local not in t.stub.seen_ids,
        expected="an event of tier 0 is never on the wire",
        got="it was sent",
        about=local,
    )
    t.expect(
        plain in t.stub.seen_ids,
        expected="an event without a stated tier is sent",
        got="it was not",
    )
    t.expect_exit(ran, {0}, "a local event is no failure")


@check("SKP-TIE-02")
def other_team_stays(t: ProducerTrial, case: Case) -> None:
    t.prepare(login="team-a")
    first = t.emit_id(note("for a"))
    t.login("team-b")
    second = t.emit_id(note("for b"))
    t.drain()
    t.expect(
        first not in t.stub.seen_ids,
        expected="logged in to team-b, nothing of team-a is on the wire",
        got="it was sent",
        about=first,
    )
    t.expect(second in t.stub.seen_ids, expected="the event of team-b is sent", got="it was not")
    t.expect_count("held", 1, "status says that one waits for its team")


@check("SKP-REP-01", *rows("delivered", "offline", "rejected"))
def exit_code_tells_the_truth(t: ProducerTrial, case: Case) -> None:
    ids = t.prepare(events=2)
    if case.name == "offline":
        with stub.StubServer() as gone:
            url = gone.url
        t.point_at(url)
        ran = t.drain()
    elif case.name == "rejected":
        ran = t.drain(stub.each(stub.rejected("payload.wp_id: bad")))
    else:
        ran = t.drain()
    good = case.name == "delivered"
    t.expect_exit(ran, {0} if good else {1, 2, 3}, "the exit code says whether all was delivered")
    t.expect_count("retained", len(ids), "delivered or not, events are kept")
    t.expect_count("delivered", 2 if good else 0, "only acknowledged events count")
