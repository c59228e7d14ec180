"""Takes the pictures of the receiver's page: `python tests/shared/receiver_pictures.py`.

Starts a receiver, sends it a day's work, and photographs what a browser shows. Needs Debian's
`chromium` and the development group.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from browser import chromium, mission, moves
from receiver_server import Server, event, start_server, ulid

_PICTURES = Path(__file__).resolve().parents[2] / "docs" / "pictures"
_WEB = "0c9e6679-7425-40de-944b-e07fc1f90ae7"
_SLUG = "014-offline-first-drain"


def main() -> None:
    """Write the pictures of the page for the docs."""
    with tempfile.TemporaryDirectory() as folder:
        database = str(Path(folder) / "receiver.db")
        server = start_server("--token", "picture-token", "--database", database)
        try:
            _fill(server)
            _photograph(server)
        finally:
            server.stop()
            server.client.close()


def _fill(server: Server) -> None:
    server.client.headers["Authorization"] = "Bearer picture-token"
    titles = ["Journal schema", "Wire gate", "Ledger states", "Drain loop", "Backoff", "Report"]
    core = {"project_slug": "sync-core", "team_slug": "platform"}
    web = {"project_slug": "web-console", "project_uuid": _WEB, "team_slug": "console"}
    server.post(mission(100, _SLUG, titles, **core))
    server.post(mission(200, "003-board-view", ["Lane columns", "Keyboard", "Phone layout"], **web))
    server.post(moves(300, _SLUG, "WP01", ["claimed", "in_progress", "for_review", "done"], **core))
    server.post(moves(320, _SLUG, "WP02", ["claimed", "in_progress", "for_review"], **core))
    server.post(moves(340, _SLUG, "WP03", ["claimed", "in_progress"], **core))
    server.post(moves(360, _SLUG, "WP04", ["claimed", "in_progress", "blocked"], **core))
    server.post(moves(380, "003-board-view", "WP01", ["claimed", "in_progress"], **web))
    notes = ["Indexes cover the selection", "<b>Markup</b> is shown as text", "Ready for review"]
    for number, note in enumerate(notes):
        payload = {"wp_id": "WP02", "entry_type": "note", "entry_content": note, "author": "ada"}
        server.post([event(400 + number, event_type="HistoryAdded", payload=payload, **core)])
    server.post([event(500, timestamp="yesterday"), event(501, project_uuid=None)])
    server.post([event(502, event_type="WPTeleported"), event(100 + 1, lamport_clock=9)])
    server.post([event(503, payload={"wp_id": "WP1"}, correlation_id=ulid(3))])


def _photograph(server: Server) -> None:
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1180, "height": 760}, color_scheme="light")
        page.goto(f"{server.url}/login")
        page.fill("[name=username]", "operator")
        page.fill("[name=password]", "picture-token")
        page.click("main button")
        page.wait_for_selector("[data-state]:has-text('live')")
        page.screenshot(path=_PICTURES / "receiver-events.png")
        page.goto(f"{server.url}/boards?project=7c9e6679-7425-40de-944b-e07fc1f90ae7")
        page.screenshot(path=_PICTURES / "receiver-board.png")
        page.goto(f"{server.url}/rejected")
        page.wait_for_selector("td")
        page.screenshot(path=_PICTURES / "receiver-rejected.png")
        page.set_viewport_size({"width": 390, "height": 780})
        page.emulate_media(color_scheme="dark")
        page.goto(server.url)
        page.wait_for_selector("[data-state]:has-text('live')")
        page.screenshot(path=_PICTURES / "receiver-phone.png")


if __name__ == "__main__":
    main()
