"""How logins, modes and the watch look."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING

from spec_kitty_sync._clock import utc_iso
from spec_kitty_sync.cli.render import plain, print_json, say

if TYPE_CHECKING:
    from spec_kitty_sync.auth.client import LoginState
    from spec_kitty_sync.sync.heartbeat import Heartbeat
    from spec_kitty_sync.sync.modes import ResolvedMode

_SOURCES = {
    "environment": "SPEC_KITTY_SYNC_MODE",
    "project": ".kittify/config.yaml",
    "machine": "config.toml",
    "default": "by target and login",
}


def login(state: LoginState | None, *, as_json: bool) -> None:
    """Print who is logged in."""
    if as_json:
        document = plain(state) if state is not None else {}
        print_json({"logged_in": state is not None, **document})
        return
    if state is None:
        say("Nobody is logged in. Run `spec-kitty auth login`.")
        return
    say(f"{state.username} at {state.server_url}, {_team(state.team_slug)}")
    if state.usable:
        say(f"  {_until('token', state.access_expires)}, {_until('login', state.refresh_expires)}")
    else:
        say("  the login has expired. Run `spec-kitty auth login`.")


def _team(team: str | None) -> str:
    return f"team {team}" if team else "no team"


def _until(what: str, moment: datetime | None) -> str:
    return f"{what} until {moment:%Y-%m-%d %H:%M %Z}" if moment else f"{what} without an end"


def logout(was_logged_in: bool, *, as_json: bool) -> None:
    """Print that the login is forgotten."""
    if as_json:
        print_json({"logged_in": False, "was_logged_in": was_logged_in})
    else:
        say("Logged out." if was_logged_in else "Nobody was logged in.")


def mode(found: ResolvedMode, *, asked: str | None, as_json: bool) -> None:
    """Print the mode, and who decided where that is not the one who asked."""
    if as_json:
        print_json({"mode": found.name, "source": found.source.value, **plain(found.config)})
        return
    say(f"{found.name}   ({_SOURCES[found.source.value]})")
    stronger = found.source.value in ("environment", "project")
    if asked is not None and stronger:
        say(f"  {asked} is written to config.toml, but {_SOURCES[found.source.value]} is stronger")


class Watching:
    """Prints a line whenever the service does something else than before."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._shown: tuple[object, ...] = ()

    def __call__(self, beat: Heartbeat) -> None:
        what = (beat.activity, beat.last_stop, beat.failures)
        if what == self._shown or (beat.activity == "delivering" and self._shown):
            return
        self._shown = what
        if self._as_json:
            say(json.dumps(plain(beat), separators=(",", ":")))
            return
        line = f"{utc_iso(beat.beat_at)}  {beat.activity}"
        if beat.last_stop is not None:
            line += f": {beat.last_stop}, again at {utc_iso(beat.next_beat_at)}"
        say(line)
