"""What the tests of the contract share."""

from __future__ import annotations

import pytest

from spec_kitty_sync.events import Validator, default_registry


@pytest.fixture(scope="session")
def validator() -> Validator:
    """A validator with both packs and default severities."""
    return Validator(default_registry())
