"""The report for other programs and pages: JUnit, Markdown, badge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

_NOT_XML = {code: "�" for code in range(32) if code not in (9, 10, 13)} | {
    0xFFFE: "�",
    0xFFFF: "�",
}
_COLOURS = {"conformant": "#2e7d32", "not conformant": "#c62828", "incomplete": "#8d6e00"}
_SHOWN = 20


def junit(report: dict[str, Any], excused: Mapping[tuple[str, str], str]) -> str:
    """Return the report as JUnit XML; a SHOULD finding passes and carries its text.

    A known failure, *excused* by its reason, is a skipped test: a green job shows no red ones.
    """
    suite = ET.Element("testsuite", name="spec-kitty conformance", timestamp=_started(report))
    for row in report["requirements"]:
        for case in row["cases"]:
            _junit_case(suite, row, case, excused.get((row["id"], case["case"]), ""))
    counts = report["counts"]
    suite.set("tests", str(sum(counts.values())))
    suite.set("failures", str(counts["failed"] - len(excused)))
    suite.set("errors", str(counts["error"]))
    suite.set("skipped", str(counts["not_applicable"] + counts["not_run"] + len(excused)))
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _junit_case(suite: ET.Element, row: dict[str, Any], case: dict[str, Any], excuse: str) -> None:
    name = f"{row['id']}[{case['case']}]" if case["case"] else row["id"]
    element = ET.SubElement(
        suite,
        "testcase",
        classname=f"{row['id'][:7]}",
        name=f"{name} {row['title']}",
        time=f"{case['duration_ms'] / 1000:.3f}",
    )
    properties = ET.SubElement(element, "properties")
    for key, value in (
        ("id", row["id"]),
        ("case", case["case"]),
        ("level", row["level"]),
        ("profile", row["profile"]),
        ("outcome", case["outcome"]),
    ):
        ET.SubElement(properties, "property", name=f"sk.{key}", value=value)
    if excuse:
        said = f"known failure: {excuse}".translate(_NOT_XML)
        ET.SubElement(properties, "property", name="sk.known_failure", value=said)
        ET.SubElement(element, "skipped", message=said).text = case["text"].translate(_NOT_XML)
        return
    kind = {
        "failed": "failure",
        "error": "error",
        "not_run": "skipped",
        "not_applicable": "skipped",
        "warning": "system-out",
    }.get(case["outcome"])
    if kind is None:
        return
    detail = ET.SubElement(element, kind)
    if kind != "system-out":
        detail.set("message", case["reason"].translate(_NOT_XML)[:300])
    detail.text = (case["text"] or case["reason"]).translate(_NOT_XML)


def _started(report: dict[str, Any]) -> str:
    return str(report["run"]["started_at"]).removesuffix("Z")


def markdown(report: dict[str, Any]) -> str:
    """Return the summary that CI pages show: verdict, counts, each finding folded."""
    receiver, run = report["receiver"], report["run"]
    lines = [
        f"## Conformance: {report['verdict']}",
        "",
        f"`{receiver['url']}`, contract {report['contract']}, profile {run['profile']},"
        f" seed `{run['seed']}`, {run['duration_ms'] / 1000:.1f} s",
        "",
        "| passed | failed | SHOULD | error | not run | not applicable |",
        "|---|---|---|---|---|---|",
        "| {passed} | {failed} | {warning} | {error} | {not_run} | {not_applicable} |".format(
            **report["counts"]
        ),
    ]
    found = [
        (row, case)
        for outcome in ("failed", "error", "warning")
        for row in report["requirements"]
        for case in row["cases"]
        if case["outcome"] == outcome
    ]
    for row, case in found[:_SHOWN]:
        name = f"{row['id']}[{case['case']}]" if case["case"] else row["id"]
        summary = escape(f"{name} {row['level']}: {row['title']}")
        lines += ["", f"<details><summary>{summary}</summary>", "", "```text"]
        lines += [case["text"].replace("```", "'''"), "```", "</details>"]
    if len(found) > _SHOWN:
        lines += ["", f"… and {len(found) - _SHOWN} more: see the HTML report."]
    lines += [f"\n{note}" for note in run["notes"]]
    return "\n".join(lines) + "\n"


def badge(report: dict[str, Any]) -> str:
    """Return an SVG badge: the contract's version and the verdict."""
    left, right = f"spec-kitty {report['contract']}", str(report["verdict"])
    if report["verdict"] == "conformant" and report["run"]["profile"] == "first-light":
        right = "first light"
    wide_left, wide_right = 10 + 7 * len(left), 10 + 7 * len(right)
    whole = wide_left + wide_right
    colour = _COLOURS[report["verdict"]]
    return f"""<svg xmlns="http://www.w3.org/2000/svg" width="{whole}" height="20" role="img"
 aria-label="{left}: {right}"><title>{left}: {right}</title>
<clipPath id="r"><rect width="{whole}" height="20" rx="3"/></clipPath>
<g clip-path="url(#r)"><rect width="{wide_left}" height="20" fill="#444"/>
<rect x="{wide_left}" width="{wide_right}" height="20" fill="{colour}"/></g>
<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle">
<text x="{wide_left / 2}" y="14">{left}</text>
<text x="{wide_left + wide_right / 2}" y="14">{right}</text></g></svg>
"""
