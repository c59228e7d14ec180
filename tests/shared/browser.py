"""A real headless Chromium for the receiver's page, and missions to look at."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from receiver_server import event, ulid

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# Without the flags about background work Chromium asks Google's hosts at every start.
_FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
)  # fmt: skip
_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


def missing() -> str | None:
    """Return the tool without which there is no browser; None when all are there."""
    if importlib.util.find_spec("playwright") is None:
        return "playwright, which pip installs"
    if not any(map(shutil.which, _PROGRAMS)):
        return "chromium, which apt-get installs"
    return None


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run a browser while the block runs."""
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(shutil.which, _PROGRAMS)))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(_FLAGS))
        try:
            yield browser
        finally:
            browser.close()


def mission(start: int, slug: str, titles: list[str], **changes: Any) -> list[dict[str, Any]]:
    """Return the events that create one work package per title; ids count from *start*."""
    found = []
    for index, title in enumerate(titles, 1):
        wp_id = f"WP{index:02}"
        payload = {"wp_id": wp_id, "title": title, "dependencies": [], "feature_slug": slug}
        found.append(
            event(
                start + index,
                aggregate_id=wp_id,
                payload=payload,
                correlation_id=ulid(7),
                **changes,
            )
        )
    return found


def moves(
    start: int, slug: str, wp_id: str, lanes: list[str], **changes: Any
) -> list[dict[str, Any]]:
    """Return the events that plan *wp_id* and move it through *lanes*."""
    found = []
    before: str | None = None
    for index, lane in enumerate(["planned", *lanes]):
        payload = {"wp_id": wp_id, "from_lane": before, "to_lane": lane, "feature_slug": slug,
                   "actor": "ada"}  # fmt: skip
        found.append(
            event(
                start + index,
                event_type="WPStatusChanged",
                aggregate_id=wp_id,
                payload=payload,
                **changes,
            )
        )
        before = lane
    return found
