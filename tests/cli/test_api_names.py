"""The names of `spec_kitty_sync.api` are a promise to scripts."""

from __future__ import annotations

from spec_kitty_sync import api

NAMES = (
    "DeliveryResult Progress archive back_up choose_mode choose_server configured_server"
    " confirm_target deliver diagnose discard doctor emit emit_fields export for_target gc"
    " list_events log login login_state logout mode preview replace restore retry"
    " set_target_active show show_target status stored_lines target targets verify watch"
)


def test_api_exports_these_names_and_each_is_there():
    """An accidental rename is red before it is released."""
    assert " ".join(api.__all__) == NAMES
    for name in api.__all__:
        assert getattr(api, name) is not None
