"""Why an event stays here: a sentence, and a command that can mend that."""

from __future__ import annotations

import pytest

from spec_kitty_sync.events.admission import HOLD_CODES
from spec_kitty_sync.sync.hold_reasons import hold_reason


@pytest.mark.parametrize("code", sorted({*HOLD_CODES, "no_four_lane_form"}))
def test_remedy_of_a_hold_can_mend_it(code: str) -> None:
    """`replace` keeps the id, so it is named only where the id is not at fault."""
    remedy = hold_reason(code).remedy
    if code == "bad_event_id":
        assert "sync discard" in remedy
        assert "replace" not in remedy
    elif code == "no_four_lane_form":
        assert remedy is None
    else:
        assert remedy is not None
