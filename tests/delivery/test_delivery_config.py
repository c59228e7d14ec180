"""What the modes promise."""

from __future__ import annotations

import pytest

from spec_kitty_sync.delivery.config import (
    Delivery,
    DiscardAudit,
    DiscardVerdict,
    EventSyncConfig,
    Retention,
)
from spec_kitty_sync.errors import UsageError


@pytest.mark.parametrize(
    ("mode", "retention", "delivery"),
    [
        ("TEAMSPACE", "on", "teamspace"),
        ("external-receiver", "on", "external"),
        ("Local_Retention", "on", "none"),
        ("opt_out", "off", "none"),
        ("TRASH", "off", "none"),
    ],
)
def test_mode_names_one_point_on_two_axes(mode, retention, delivery):
    """Each preset is one choice of retention and one of delivery, in any spelling."""
    config = EventSyncConfig.from_mode(mode)
    assert config == EventSyncConfig(Retention(retention), Delivery(delivery))
    assert EventSyncConfig.from_mode(config.mode) == config


def test_unset_mode_follows_what_is_set_up():
    """No target keeps events here; a team means Teamspace; else it is an external receiver."""
    assert EventSyncConfig.from_mode(None).mode == "LOCAL_RETENTION"
    assert EventSyncConfig.from_mode("", has_target=True).mode == "EXTERNAL_RECEIVER"
    assert EventSyncConfig.from_mode(None, has_target=True, has_team=True).mode == "TEAMSPACE"


@pytest.mark.parametrize("delivery", [Delivery.TEAMSPACE, Delivery.EXTERNAL])
def test_retention_off_is_legal_only_without_delivery(delivery):
    """What is not kept cannot be delivered: such a configuration cannot be made."""
    with pytest.raises(UsageError):
        EventSyncConfig(Retention.OFF, delivery)
    with pytest.raises(UsageError):
        EventSyncConfig.from_mode("nowhere")


def test_opt_out_drops_only_local_and_discardable_events():
    """A team-bound event is never dropped, whatever the mode."""
    opt_out = EventSyncConfig.OPT_OUT
    assert opt_out.judge_discard(family="discardable", tier=1) is DiscardVerdict.DROP
    assert opt_out.judge_discard(family="local_only", tier=1) is DiscardVerdict.DROP
    assert opt_out.judge_discard(family="team_bound", tier=0) is DiscardVerdict.DROP
    assert opt_out.judge_discard(family="team_bound", tier=1) is DiscardVerdict.REFUSE
    kept = EventSyncConfig.LOCAL_RETENTION.judge_discard(family="discardable", tier=1)
    assert kept is DiscardVerdict.KEEP


def test_discard_leaves_a_durable_trace(bench, bench_at):
    """A drop and a refused drop are audited and still there for the next process."""
    audit = DiscardAudit(bench.store, clock=bench.clock)
    for verdict in DiscardVerdict:
        audit.note(verdict, event_id=verdict.name, event_type="T", family="team_bound")
    entries = DiscardAudit(bench_at("sk").store, clock=bench.clock).entries()
    assert [(entry.event_id, entry.refused) for entry in entries] == [
        ("DROP", False),
        ("REFUSE", True),
    ]
