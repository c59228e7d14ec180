"""Who may be told what: tier, team, holds, superseded and collected events."""

from __future__ import annotations

import pytest

from spec_kitty_sync.conformance.stub import each, per_event, refuse, rejected, result
from spec_kitty_sync.delivery.facts import SqliteDeliveryFacts
from spec_kitty_sync.delivery.history import oldest_deliverable
from spec_kitty_sync.event_journal.corrections import Corrections


@pytest.fixture
def corrections(bench):
    facts = SqliteDeliveryFacts(bench.store)
    return Corrections(bench.store, bench.journal, delivery=facts, clock=bench.clock)


def test_local_event_never_leaves_the_machine(bench, stub):
    """data_tier 0 stays here, held as local_only; an event without a tier is sent."""
    (local,) = bench.append(data_tier=0)
    (other,) = bench.append()
    report = bench.drain(stub.url)
    assert stub.seen_ids == [other]
    assert report.held == {"local_only": 1}
    assert bench.rows(stub.url)[local] == ("held", "local_only")


def test_target_with_a_team_takes_its_own_and_teamless_events(bench, stub):
    """Another team's events are held and counted; a target without a team takes all."""
    (mine,) = bench.append(team_slug="red")
    (foreign,) = bench.append(team_slug="blue")
    (nobody,) = bench.append(team_slug="local")
    target = bench.target(stub.url, team_slug="red")
    report = bench.drain(stub.url, target=target)
    assert stub.seen_ids == [mine, nobody]
    assert report.held == {"other_team": 1}
    assert bench.drain(stub.url).selected == 3
    assert foreign in stub.seen_ids


def test_other_team_is_sent_only_when_included_by_name(bench, stub):
    """`--include-team` sends that team's events in that run, audited, and no run after it."""
    (blue,) = bench.append(team_slug="blue")
    (green,) = bench.append(team_slug="green")
    target = bench.target(stub.url, team_slug="red")
    bench.drain(stub.url, target=target)
    bench.drain(stub.url, target=target, include_team="blue")
    assert stub.seen_ids == [blue]
    bench.append(team_slug="blue")
    assert oldest_deliverable(bench.store, bench.registry.get(target.target_id)) is None
    bench.drain(stub.url, target=target)
    assert stub.seen_ids == [blue]
    assert bench.states(stub.url, team_slug="red")[green] == "held"
    audits = bench.store.conn.execute("SELECT action, detail FROM delivery_audit").fetchall()
    assert audits == [("include_team", '{"team": "blue"}')]


def test_included_team_that_was_not_sent_is_shut_out_again(bench, stub):
    """What an interrupted run with another team left open does not leak into the next run."""
    (blue,) = bench.append(team_slug="blue")
    target = bench.target(stub.url, team_slug="red")
    bench.drain(stub.url, target=target)
    stub.next(refuse(404))
    bench.drain(stub.url, target=target, include_team="blue")
    assert bench.states(stub.url, team_slug="red")[blue] == "open"
    report = bench.drain(stub.url, target=target)
    assert report.held == {"other_team": 1}
    assert len(stub.requests) == 1


def test_held_event_is_passed_and_sent_once_released(bench, stub, corrections):
    """A hold keeps one event back and no other; its release opens the rows it left."""
    held, free = bench.append(2)
    corrections.hold([held], "migration_conflict")
    report = bench.drain(stub.url)
    assert stub.seen_ids == [free]
    assert report.held == {"migration_conflict": 1}
    corrections.release([held])
    bench.check()
    assert bench.drain(stub.url).delivered == 1
    assert stub.seen_ids == [free, held]


def test_release_leaves_delivered_events_delivered(bench, stub, corrections):
    """Releasing many at once opens only what is held."""
    sent, held = bench.append(2)
    corrections.hold([held], "migration_conflict")
    bench.drain(stub.url)
    corrections.release([sent, held])
    bench.check()
    assert bench.states(stub.url) == {sent: "delivered", held: "open"}


def test_event_held_after_it_was_opened_does_not_leave(bench, stub, corrections):
    """The filters are asked at every selection, for open and due rows too."""
    (event,) = bench.append()
    stub.next(each(result("failed_transient")))
    bench.drain(stub.url)
    corrections.hold([event], "migration_conflict")
    bench.clock.advance(3600)
    report = bench.drain(stub.url)
    assert (report.selected, report.held) == (0, {"migration_conflict": 1})
    assert len(stub.requests) == 1


def test_event_without_identity_is_held_with_its_reason(bench, stub):
    """The wire gate's verdict stands in the ledger."""
    (event,) = bench.append(project_uuid="not-a-uuid")
    bench.drain(stub.url)
    assert bench.rows(stub.url)[event] == ("held", "bad_project_uuid")
    assert stub.requests == []


def test_event_over_the_target_limit_is_held_for_it_alone(bench, stub):
    """A target that takes only small events does not see the large one."""
    payload = {"wp_id": "WP01", "entry_type": "note", "entry_content": "x" * 3000}
    (large,) = bench.append(payload=payload)
    (small,) = bench.append()
    target = bench.target(stub.url)
    bench.registry.limit_events(target.target_id, 2000)
    assert bench.drain(stub.url).held == {"too_large": 1}
    assert stub.seen_ids == [small]
    assert bench.drain(stub.url, target=bench.target(stub.url, team_slug="t")).delivered == 1
    assert large in stub.seen_ids


def test_damaged_event_is_held_and_the_others_flow(bench, stub):
    """A stored body that does not match its hash is never sent."""
    ids = bench.append(3)
    with bench.store.transaction() as conn:
        conn.execute(
            "UPDATE event_journal SET body = CAST(replace(body, 'note', 'nope') AS BLOB)"
            " WHERE event_id = ?",
            (ids[1],),
        )
    report = bench.drain(stub.url)
    assert (report.delivered, report.held) == (2, {"corrupt": 1})
    assert stub.seen_ids == [ids[0], ids[2]]
    assert bench.drain(stub.url).requests == 0


def test_long_stretch_of_local_events_is_passed_once(bench, stub):
    """Events that stay here are looked at once, not by every drain."""
    events = 300
    bench.append(events, data_tier=0)
    (sent,) = bench.append()
    bench.drain(stub.url)
    assert stub.seen_ids == [sent]
    assert bench.target(stub.url).mark == events + 1


def test_replaced_event_is_sent_with_its_new_bytes(bench, stub, corrections):
    """A rejected event that was corrected goes out again under its id, its count at zero."""
    (event,) = bench.append()
    stub.always(each(rejected("bad note")))
    for _ in range(5):
        bench.drain(stub.url)
    assert bench.states(stub.url) == {event: "dead_letter"}
    corrections.replace(bench.make(event_id=event, lamport_clock=2), reason="typo")
    assert bench.states(stub.url) == {event: "open"}
    stub.always(per_event())
    assert bench.drain(stub.url).delivered == 1
    assert stub.requests[-1].bodies[0]["lamport_clock"] == 2


def test_discarded_event_is_not_sent(bench, stub, corrections):
    """A discarded event is passed without its bytes."""
    gone, kept = bench.append(2)
    corrections.discard(gone, reason="secret inside")
    assert bench.drain(stub.url).held == {"archived": 1}
    assert stub.seen_ids == [kept]
