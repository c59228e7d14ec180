"""The pages as HTML: pure functions of what is shown."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from spec_kitty_sync._clock import utc_iso
from spec_kitty_sync.receiver.boards import NO_MISSION
from spec_kitty_sync.receiver.overview import Choices, Filter, Rejection, SeenEvent
from spec_kitty_sync.receiver.page.html import Html, html, joined
from spec_kitty_sync.receiver.principals import Principal

_PAGES = (("/", "Events"), ("/boards", "Boards"), ("/rejected", "Rejected"))
LANES = (
    "planned", "claimed", "in_progress", "in_review", "for_review", "approved", "blocked", "done",
    "canceled",
)  # fmt: skip
_ALWAYS = frozenset({"planned", "in_progress", "for_review", "done"})

_DOCUMENT = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · Spec Kitty receiver</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/static/page.css">
<script src="/static/page.js" type="module"></script>
</head>
<body>
<a class="skip" href="#main">Skip to the content</a>
<header><h1>Spec Kitty receiver</h1>{navigation}{account}</header>
<main id="main">{content}</main>
</body>
</html>
"""

_ROW = """<li><a href="/events/{event_id}"><span class="at">{at}</span>\
<span class="type">{type}</span><span class="mission">{mission}</span>\
<span class="about">{about}</span><span class="id">{id}</span></a></li>"""

_FILTERS = """<form class="filters" method="get" action="/">{fields}
<noscript><button>Show</button></noscript></form>"""

_EVENTS = """<h2>Events</h2>{filters}
<p class="live"><span class="quiet" role="status" data-state>{state}</span>
<button type="button" data-pause aria-pressed="false" hidden>Pause</button>
<span class="quiet keys"><kbd>j</kbd> <kbd>k</kbd> move · <kbd>Enter</kbd> open · \
<kbd>p</kbd> pause · <kbd>/</kbd> filter</span></p>
<ol class="events" data-live="{live}">{rows}</ol>{empty}
<template>{row}</template>"""


def document(title: str, content: Html, *, here: str, principal: Principal | None) -> Html:
    """Return a whole page; without a principal it has no navigation."""
    navigation, account = Html(""), Html("")
    if principal is not None:
        links = [
            html(
                '<a href="{path}"{current}>{name}</a>',
                path=path,
                current=Html(' aria-current="page"') if path == here else "",
                name=name,
            )
            for path, name in _PAGES
        ]
        navigation = html("<nav>{links}</nav>", links=joined(links))
        account = _account(principal)
    return html(_DOCUMENT, title=title, navigation=navigation, account=account, content=content)


def _account(principal: Principal) -> Html:
    if principal.username == "anonymous":
        return html('<span class="quiet">open to everyone</span>')
    team = html(" · {team}", team=principal.team) if principal.team else Html("")
    return html(
        '<form method="post" action="/logout"><span class="quiet">{name}{team}</span> '
        "<button>Log out</button></form>",
        name=principal.username,
        team=team,
    )


def login(error: str | None) -> Html:
    """Return the form to log in."""
    return html(
        '<form class="login" method="post" action="/login"><h2>Log in</h2>{error}'
        '<label>User <input name="username" autocomplete="username" required autofocus></label>'
        '<label>Password <input name="password" type="password" '
        'autocomplete="current-password" required></label><button>Log in</button></form>',
        error=html('<p class="bad" role="alert">{error}</p>', error=error) if error else Html(""),
    )


def events(
    seen: Sequence[SeenEvent],
    *,
    wanted: Filter,
    choices: Choices,
    projects: Mapping[str, str],
    live: str,
) -> Html:
    """Return the list of events with its filters; *live* is the address of the stream."""
    empty = html('<p class="quiet" data-empty>No event yet that fits.</p>')
    return html(
        _EVENTS,
        filters=_filters(wanted, choices, projects),
        state="as of this moment",
        live=live,
        rows=joined(row(shown(each)) for each in seen),
        empty=Html("") if seen else empty,
        row=row({name: "" for name in ("event_id", "at", "type", "mission", "about", "id")}),
    )


def row(fields: Mapping[str, str]) -> Html:
    """Return one event of the list."""
    return html(_ROW, **fields)


def shown(event: SeenEvent) -> dict[str, str]:
    """Return what the list says of *event*, as text."""
    body = json.loads(event.body)
    project = body.get("project_slug") or event.project_uuid
    return {
        "event_id": event.event_id,
        "at": utc_iso(event.received_at_ms)[11:19],
        "type": event.event_type,
        "mission": f"{project} / {event.mission}" if event.mission else str(project),
        "about": _about(body),
        "id": event.event_id,
    }


def _about(body: Mapping[str, Any]) -> str:
    payload = body["payload"]
    if "to_lane" in payload:
        before = payload.get("from_lane") or "new"
        return f"{payload.get('wp_id')}: {before} → {payload['to_lane']}"
    said = payload.get("title") or payload.get("entry_content") or payload.get("error_message")
    said = said or payload.get("phase_name") or payload.get("reason") or ""
    return f"{body['aggregate_id']}: {said}"[:160] if said else str(body["aggregate_id"])


def _filters(wanted: Filter, choices: Choices, projects: Mapping[str, str]) -> Html:
    fields = [
        _select("project", "Project", projects, wanted.project_uuid),
        _select("type", "Type", _same(choices.event_types), wanted.event_type),
        _select("mission", "Mission", _same(choices.missions), wanted.mission),
        _select("team", "Team", _same(choices.teams), wanted.team),
    ]
    return html(_FILTERS, fields=joined(fields))


def _same(values: Iterable[str]) -> dict[str, str]:
    return {value: value for value in values}


def _select(
    name: str, label: str, options: Mapping[str, str], chosen: str | None, *, optional: bool = True
) -> Html:
    """Return a choice of *options*, values with what is shown for them."""
    offered = {**({chosen: chosen} if chosen else {}), **options}
    return html(
        '<label>{label}<select name="{name}">{every}{options}</select></label>',
        every=Html('<option value="">all</option>') if optional else Html(""),
        label=label,
        name=name,
        options=joined(
            html(
                '<option value="{value}"{selected}>{shown}</option>',
                value=value,
                shown=shown,
                selected=Html(" selected") if value == chosen else "",
            )
            for value, shown in sorted(offered.items(), key=lambda each: each[1])
        ),
    )


def event(facts: Mapping[str, str], body: str) -> Html:
    """Return one event: what was noted of it, and its bytes as text."""
    return html(
        '<h2>Event {event_id}</h2><dl>{facts}</dl><pre tabindex="0">{body}</pre>'
        '<p><a href="/">All events</a></p>',
        event_id=facts["Id"],
        facts=joined(
            html("<dt>{name}</dt><dd>{value}</dd>", name=name, value=value)
            for name, value in facts.items()
        ),
        body=body,
    )


def boards(
    full: Sequence[Mapping[str, Any]], projects: Mapping[str, str], chosen: str, *, hidden: int
) -> Html:
    """Return the boards of one project and the choice of another; *hidden* are left out."""
    more = html('<p class="quiet">{count} more missions: see the API.</p>', count=hidden)
    return html(
        '<h2>Boards</h2><form class="filters" method="get" action="/boards">{project}'
        "<noscript><button>Show</button></noscript></form>{boards}{more}",
        project=_select("project", "Project", projects, chosen, optional=False),
        boards=joined(board(each) for each in full),
        more=more if hidden > 0 else Html(""),
    )


def board(full: Mapping[str, Any]) -> Html:
    """Return the board of one mission, its lanes side by side."""
    titles = {each["wp_id"]: each["title"] for each in full["work_packages"]}
    lanes = full["lanes"]
    names = [each for each in LANES if each in lanes or each in _ALWAYS]
    names += [each for each in lanes if each not in LANES]
    phase = html(" · phase {phase}", phase=full["phase"]) if full["phase"] else Html("")
    anomalies = Html("")
    if full["anomaly_count"]:
        anomalies = html(' · <span class="bad">{n} anomalies</span>', n=full["anomaly_count"])
    return html(
        '<article class="mission"><h2>{mission}</h2><p class="quiet">{project} · {status}{phase} · '
        '{events} events{anomalies}</p><div class="board">{lanes}</div></article>',
        mission=full["mission"] or NO_MISSION,
        project=full["project_uuid"],
        status=full["status"] or "no mission events",
        phase=phase,
        events=full["event_count"],
        anomalies=anomalies,
        lanes=joined(_lane(name, lanes.get(name, ()), titles) for name in names),
    )


def _lane(name: str, wp_ids: Sequence[str], titles: Mapping[str, str | None]) -> Html:
    cards = [
        html("<li><b>{wp_id}</b>{title}</li>", wp_id=wp_id, title=titles.get(wp_id) or "")
        for wp_id in wp_ids
    ]
    return html(
        '<section class="lane"><h3>{name} ({count})</h3><ul>{cards}</ul></section>',
        name=name.replace("_", " "),
        count=len(wp_ids),
        cards=joined(cards),
    )


def rejected(found: Sequence[Rejection]) -> Html:
    """Return what was refused, newest first, with reasons."""
    if not found:
        return html('<h2>Rejected events</h2><p class="quiet">None. The newest 1000 stay here.</p>')
    rows = [
        html(
            '<tr><td class="at">{at}</td><td><b class="bad">{category}</b></td><td>{reason}</td>'
            '<td>{event_type}</td><td class="id">{event_id}</td><td>{username}</td></tr>',
            at=utc_iso(each.at_ms)[:19].replace("T", " "),
            category=each.category,
            reason=each.reason,
            event_type=each.event_type or "no type",
            event_id=each.event_id or "no id",
            username=each.username,
        )
        for each in found
    ]
    return html(
        "<h2>Rejected events</h2><table><thead><tr><th>When (UTC)</th><th>Category</th>"
        "<th>Reason</th><th>Type</th><th>Id</th><th>Sent by</th></tr></thead>"
        "<tbody>{rows}</tbody></table>",
        rows=joined(rows),
    )
