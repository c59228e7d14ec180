"""The report as one HTML file: no network, readable on a phone, filters where scripts run."""

from __future__ import annotations

import base64
import zlib
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

from spec_kitty_sync.conformance.catalogue import kind_of
from spec_kitty_sync.conformance.excerpt import excerpt
from spec_kitty_sync.conformance.exchange import RUN

_SHOWN = ("failed", "error", "warning", "not_run")
_NAMES = {
    "passed": "passed",
    "failed": "failed",
    "warning": "SHOULD findings",
    "error": "errors",
    "not_run": "not run",
    "not_applicable": "not applicable",
}
_COLOURS = {"conformant": "passed", "not conformant": "failed", "incomplete": "warning"}
_TITLES = {
    "failed": "Failed",
    "error": "Errors: the network or the kit, not what was judged",
    "warning": "SHOULD findings",
    "not_run": "Not run",
}


def html(report: dict[str, Any]) -> str:
    """Return the whole page."""
    receiver, run, left = report["receiver"], report["run"], report["left_behind"]
    template = Template(files(__package__).joinpath("report.html").read_text(encoding="utf-8"))
    identity = [
        f"{name} {receiver[name]}"
        for name in ("environment_name", "deployment_id", "git_sha", "server_instance_id")
        if receiver.get(name)
    ]
    facts = [
        f"contract {report['contract']}",
        f"profile {run['profile']}",
        str(run["started_at"]),
        f"{run['duration_ms'] / 1000:.1f} s",
        f"{left['requests']} requests",
        f"seed {run['seed']}",
        *(f"{name} {number}" for name, number in run["versions"].items()),
    ]
    return template.substitute(
        title=escape(f"{report['verdict']}: {receiver['url']}"),
        colour=_COLOURS[report["verdict"]],
        verdict=escape(report["verdict"]),
        subject=escape(" · ".join([receiver["url"], *identity])),
        facts=escape(" · ".join(facts)),
        notes="".join(f"<p>{escape(note)}</p>" for note in run["notes"]),
        counts="".join(_count(name, report["counts"][name]) for name in _NAMES),
        findings="".join(_section(report, outcome) for outcome in _SHOWN) or _nothing(),
        rows="".join(_row(row) for row in report["requirements"]),
        left=escape(_left(report)),
    )


def _left(report: dict[str, Any]) -> str:
    """Return what the run left behind on the receiver; tools were run in folders of the kit."""
    left = report["left_behind"]
    if any(kind_of(row["id"]) != "receiver" for row in report["requirements"]):
        return "Nothing: commands ran in folders that are gone, against a receiver of the kit."
    return (
        f"{left['events_stored']} of {left['events_sent']} events were taken, all under"
        f" project {left['project_uuid']} and its neighbours, slugs and nodes marked"
        f" {left['namespace']}."
    )


def _nothing() -> str:
    return "<p>Nothing to report: every case that ran passed.</p>"


def _count(name: str, number: int) -> str:
    if not number:
        return ""
    return (
        f'<li><button type="button" value="{name}" aria-pressed="false">'
        f'<span class="dot {name}"></span>{number} {_NAMES[name]}</button></li>'
    )


def _section(report: dict[str, Any], outcome: str) -> str:
    found = [
        (row, case)
        for row in report["requirements"]
        for case in row["cases"]
        if case["outcome"] == outcome
    ]
    if not found:
        return ""
    body = "".join(_finding(row, case) for row, case in found)
    if outcome == "not_run":
        body = _grouped(found)
    return f"<section><h2>{_TITLES[outcome]} ({len(found)})</h2>{body}</section>"


def _grouped(found: list[tuple[dict[str, Any], dict[str, Any]]]) -> str:
    """Return one entry per reason, with the cases that it kept from running."""
    names: dict[str, list[str]] = {}
    for row, case in found:
        name = f"{row['id']}[{case['case']}]" if case["case"] else row["id"]
        names.setdefault(case["reason"], []).append(name)
    return "".join(
        f'<article class="not_run" data-outcome="not_run"><h3>{escape(reason)}</h3>'
        f'<p class="soft">{len(kept)} cases: {escape(", ".join(kept))}</p></article>'
        for reason, kept in names.items()
    )


def _finding(row: dict[str, Any], case: dict[str, Any]) -> str:
    name = f"{row['id']}[{case['case']}]" if case["case"] else row["id"]
    return (
        f'<article class="{case["outcome"]}" data-outcome="{case["outcome"]}"'
        f' id="{escape(name, quote=True)}"><h3><code>{escape(name)}</code>'
        f'<span class="level">{row["level"]}</span>{escape(row["title"])}</h3>'
        f"<dl>{_terms(row, case)}</dl>{_exchanges(case)}</article>"
    )


def _terms(row: dict[str, Any], case: dict[str, Any]) -> str:
    terms = [("requirement", f"{row['clause']}: “{row['sentence']}”")]
    found = case["finding"]
    if found is None:
        terms.append(("reason", case["reason"]))
        terms += [("suspect", told) for told in _lines_of(case["text"], "suspect")]
        terms += [("go on", told) for told in _lines_of(case["text"], "go on")]
        terms += [("then", told) for told in _lines_of(case["text"], "then")]
    else:
        terms += [("expected", found["expected"]), ("got", found["got"])]
        terms.append(("means", found["means"] or row["why"]))
        said = _line_of(case["text"], "sender does")
        if said:
            terms.append(("sender does", said))
        for label in ("neighbours", "other cases", "ruled out"):
            terms += [(label, said) for said in _lines_of(case["text"], label)]
        terms += [("replay", hint) for hint in _lines_of(case["text"], "replay")]
    told = "".join(f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in terms)
    if not case["capsule"]:
        return told
    name = escape(case["capsule"], quote=True)
    return f'{told}<dt>capsule</dt><dd><a href="{name}">{name}</a></dd>'


def _line_of(text: str, label: str) -> str:
    """Return the first entry *label* of a rendered finding."""
    return next(iter(_lines_of(text, label)), "")


def _lines_of(text: str, label: str) -> list[str]:
    """Return every entry *label* of a rendered finding, wrapped lines joined."""
    found: list[str] = []
    inside = False
    for line in text.splitlines():
        if line.startswith(f"  {label} "):
            found.append(line[len(label) + 2 :].strip())
            inside = True
        elif inside and line.startswith(" " * 15):
            found[-1] += f" {line.strip()}"
        else:
            inside = False
    return found


def _exchanges(case: dict[str, Any]) -> str:
    total = len(case["exchanges"])
    finding = case["finding"] or {}
    blamed, about = finding.get("step") or total, finding.get("about", "")
    return "".join(
        _exchange(one, f"step {place} of {total}", about, is_open=place == blamed)
        for place, one in enumerate(case["exchanges"], 1)
    )


def _exchange(one: dict[str, Any], place: str, about: str, *, is_open: bool) -> str:
    request, response = one["request"], one["response"]
    is_command = request["method"] == RUN
    word, method = ("exit code", "") if is_command else ("HTTP", f"{request['method']} ")
    status = one["broke"] if response is None else f"{word} {response['status']}"
    note = f" [{request['note']}]" if request["note"] else ""
    head = f"{place}{note}: {method}{request['path']} → {status}"
    answer = escape(one["broke"]) if response is None else _message(response, "results", about)
    return (
        f"<details{' open' if is_open else ''}><summary>{escape(head)}"
        f" in {one['elapsed_ms']:.0f} ms</summary>"
        f"<pre>{_message(request, 'events', about)}</pre><pre>{answer}</pre></details>"
    )


def _message(message: dict[str, Any], key: str, about: str) -> str:
    lines = [f"{name}: {value}" for name, value in message["headers"]]
    return escape("\n".join([*lines, "", excerpt(_body(message), key, about)]))


def _body(message: dict[str, Any]) -> str:
    cut = f" … ({message['cut_from']} characters in all)" if "cut_from" in message else ""
    if "text" in message:
        return f"{message['text']}{cut}"
    data = base64.b64decode(message["base64"] + "=" * (-len(message["base64"]) % 4))
    try:
        inflated = zlib.decompressobj(31).decompress(data, 16_384)
    except zlib.error:
        return f"<{len(data)} bytes, not text>" + cut
    return inflated.decode("utf-8", "backslashreplace") + cut


def _row(row: dict[str, Any]) -> str:
    cases = "".join(
        f'<i class="{case["outcome"]}" title="{escape(case["case"] or row["id"], quote=True)}:'
        f' {_NAMES[case["outcome"]]}"></i>'
        for case in row["cases"]
    )
    outcomes = " ".join(sorted({case["outcome"] for case in row["cases"]} | {row["outcome"]}))
    extra = f" [{row['capability']}]" if row["capability"] else ""
    return (
        f'<tr data-outcome="{outcomes}" class="{row["outcome"]}"><td><span class="dot"></span>'
        f"<code>{row['id']}</code></td><td>{escape(row['title'] + extra)}</td>"
        f'<td class="wide">{row["level"]}</td><td><div class="cases">{cases}</div></td></tr>'
    )
