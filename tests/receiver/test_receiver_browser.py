"""The page in a real headless Chromium."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
from browser import chromium, missing, mission, moves
from receiver_server import Server, event, ulid

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

_MISSING = missing()
pytestmark = [
    pytest.mark.skipif(_MISSING is not None, reason=f"missing tool: {_MISSING}"),
    pytest.mark.xdist_group("browser"),
]
EVIL = "<img src=x onerror=\"document.title='broken'\"><script>document.title='broken'</script>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests of this file."""
    with chromium() as running:
        yield running


@pytest.fixture
def server(serve_receiver: Callable[..., Server]) -> Server:
    """A receiver open to everyone."""
    return serve_receiver("--no-auth")


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    """The page, listening; whatever a script or the policy complains of fails the test."""
    context = browser.new_context(base_url=server.url, viewport={"width": 1100, "height": 700})
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("console", lambda said: complaints.append(said.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.goto("/")
    opened.wait_for_selector("[data-state]:has-text('live')")
    yield opened
    context.close()
    assert complaints == []


def test_browser_shows_events_as_they_arrive(page: Page, server: Server) -> None:
    """A stored event appears by itself, the newest on top, and can be opened."""
    server.post([event(1)])
    page.wait_for_selector(f"a[href='/events/{ulid(1)}']")
    server.post([event(2)])
    page.wait_for_selector(f"ol.events li:first-child a[href='/events/{ulid(2)}']")
    assert page.locator("[data-empty]").count() == 0
    page.click("ol.events li:first-child a")
    page.wait_for_selector(f"h2:has-text('{ulid(2)}')")
    assert '"event_type": "WPCreated"' in page.inner_text("pre")


def test_browser_runs_nothing_that_stands_in_an_event(page: Page, server: Server) -> None:
    """Markup in a live event, on its own page and on the board is text, to the letter."""
    payload = {**event()["payload"], "title": EVIL, "feature_slug": EVIL}
    server.post([event(1, payload=payload, project_slug=EVIL)])
    page.wait_for_selector(f"a[href='/events/{ulid(1)}']")
    assert EVIL in page.inner_text("ol.events .about")
    assert page.title() == "Events · Spec Kitty receiver"
    for path in (f"/events/{ulid(1)}", "/boards", "/"):
        page.goto(path)
        assert page.locator("main img, main script").count() == 0
        assert "broken" not in page.title()
        assert EVIL in page.inner_text("main").replace('\\"', '"')
    page.wait_for_selector("[data-state]:has-text('live')")


def test_browser_filters_without_losing_the_stream(page: Page, server: Server) -> None:
    """A chosen filter holds for what is there and for what arrives."""
    server.post([event(1), *moves(10, "001-sync", "WP01", ["claimed"])])
    page.wait_for_selector(f"a[href='/events/{ulid(11)}']")
    page.reload()
    page.select_option("[name=type]", "WPCreated")
    page.wait_for_url("**/?project=&type=WPCreated&mission=&team=")
    page.wait_for_selector("[data-state]:has-text('live')")
    assert page.locator("ol.events li").count() == 1
    server.post([*moves(20, "001-sync", "WP02", ["claimed"]), event(2)])
    page.wait_for_selector(f"a[href='/events/{ulid(2)}']")
    assert page.locator("ol.events li").count() == 2


def test_browser_works_with_the_keyboard_alone(page: Page, server: Server) -> None:
    """j and k move, Enter opens, p holds the list still, / goes to the filters."""
    server.post([event(n) for n in (1, 2, 3)])
    page.wait_for_selector("ol.events li:nth-child(3)")
    page.keyboard.press("p")
    server.post([event(4)])
    page.wait_for_selector("[data-pause]:has-text('1 new')")
    assert page.locator("ol.events li").count() == 3
    page.keyboard.press("p")
    page.wait_for_selector("ol.events li:nth-child(4)")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.name") == "project"
    page.evaluate("document.activeElement.blur()")
    for key in "jjjk":
        page.keyboard.press(key)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/events/{ulid(3)}")
    page.goto("/rejected")
    page.keyboard.press("Tab")
    assert page.inner_text(":focus") == "Skip to the content"


def test_browser_shows_boards_by_lane(page: Page, server: Server) -> None:
    """Each work package stands in the lane that its events lead to."""
    server.post(mission(10, "001-sync", ["Journal", "Ledger", "Drain"]))
    server.post(moves(20, "001-sync", "WP01", ["claimed", "in_progress", "for_review"]))
    server.post(moves(30, "001-sync", "WP02", ["claimed", "in_progress"]))
    page.goto("/boards")
    lanes = {
        lane.locator("h3").inner_text(): lane.locator("li").all_inner_texts()
        for lane in page.locator(".lane").all()
    }
    assert lanes == {
        "planned (1)": ["WP03\nDrain"],
        "in progress (1)": ["WP02\nLedger"],
        "for review (1)": ["WP01\nJournal"],
        "done (0)": [],
    }


def test_browser_shows_refused_events_with_reasons(page: Page, server: Server) -> None:
    """What was refused stands on a page of its own, with the reason that its sender got."""
    answer = server.post([event(1, timestamp="yesterday")])
    reason = answer.json()["results"][0]["error"]
    page.goto("/rejected")
    while page.locator("td").count() == 0:
        page.reload()
    assert reason in page.inner_text("tbody")
    assert ulid(1) in page.inner_text("tbody")


def test_browser_needs_no_sideways_scrolling_on_a_phone(page: Page, server: Server) -> None:
    """On 360 pixels everything fits, long words too, and buttons are large enough for a thumb."""
    server.post(mission(10, "001-" + "long" * 20, ["x" * 90]))
    server.post([event(1, event_type="Y" * 90)])
    page.set_viewport_size({"width": 360, "height": 700})
    for path in ("/", "/boards", "/rejected", f"/events/{ulid(11)}"):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path
        sizes = page.locator("button:visible, select").evaluate_all(
            "each => each.map(one => one.getBoundingClientRect().height)"
        )
        assert all(size >= 36 for size in sizes), path
