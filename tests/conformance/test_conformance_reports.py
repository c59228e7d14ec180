"""What a run leaves behind: reports that say the same in six forms, capsules that replay."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
from kit_runs import RunKit
from plain_receiver import TOKEN, ForgetfulReceiver, PlainReceiver, serving
from rude_servers import page, raw_server

from spec_kitty_sync._files import shared_path
from spec_kitty_sync.conformance.isolated import run_isolated
from spec_kitty_sync.conformance.negatives import SENT_ALONE

Judged = Callable[[type[PlainReceiver]], Path]


pytestmark = pytest.mark.xdist_group("conformance reports")


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Judged:
    """Return a function that judges a kind of receiver, once, and returns its reports."""
    known: dict[type[PlainReceiver], Path] = {}

    def judge(kind: type[PlainReceiver]) -> Path:
        if kind not in known:
            known[kind] = tmp_path_factory.mktemp(kind.__name__)
            with serving(kind()) as url:
                options: dict[str, str | bool | None] = {
                    "report": str(known[kind]),
                    "profile": "core",
                    "deadline": "1",
                }
                run_isolated(url, token=TOKEN, options=options)
        return known[kind]

    return judge


def test_report_follows_its_schema(judged: Judged) -> None:
    """The JSON report is what its published schema says."""
    schema = json.loads(shared_path("conformance", "report-1.schema.json").read_text())
    report = json.loads((judged(ForgetfulReceiver) / "report.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(report)
    assert report["verdict"] == "not conformant"
    assert report["left_behind"]["events_stored"] > 0


def test_every_form_of_the_report_tells_the_same(judged: Judged) -> None:
    """JSON, JUnit, HTML, Markdown and badge agree on verdict and counts."""
    folder = judged(ForgetfulReceiver)
    report = json.loads((folder / "report.json").read_text())
    suite = ET.parse(folder / "junit.xml").getroot()[0]
    failed = report["counts"]["failed"]
    assert int(suite.get("failures", "")) == failed == len(suite.findall("testcase/failure"))
    assert int(suite.get("tests", "")) == sum(report["counts"].values())
    page = (folder / "report.html").read_text()
    assert page.count('<article class="failed"') == failed
    assert "Conformance: not conformant" in (folder / "summary.md").read_text()
    assert "not conformant" in (folder / "badge.svg").read_text()


def test_junit_carries_ids_and_levels(judged: Judged) -> None:
    """Each case of the JUnit file names its requirement and level as properties."""
    suite = ET.parse(judged(PlainReceiver) / "junit.xml").getroot()[0]
    for case in suite.findall("testcase"):
        told = {one.get("name"): one.get("value") for one in case.findall("properties/property")}
        assert re.fullmatch(r"SKR-[A-Z]{3}-\d\d", told["sk.id"] or "")
        assert told["sk.level"] in {"MUST", "SHOULD"}


def test_html_report_needs_no_network(judged: Judged) -> None:
    """The HTML report is one file: nothing in it is loaded from elsewhere."""
    page = (judged(ForgetfulReceiver) / "report.html").read_text()
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:)?//""", page)
    assert "url(" not in page


def test_no_file_of_a_run_holds_the_token(judged: Judged) -> None:
    """Reports, capsules and bodies name the token by `$SK_TOKEN` only."""
    folder = judged(ForgetfulReceiver)
    holders = [path.name for path in folder.iterdir() if TOKEN.encode() in path.read_bytes()]
    assert holders == []


def test_each_failure_has_a_capsule_that_replays(
    judged: Judged, run_command: RunKit, tmp_path: Path
) -> None:
    """A capsule sends the same requests to any receiver and says whether the answer repeats."""
    capsule = judged(ForgetfulReceiver) / "SKR-IDM-01.json"
    with serving(ForgetfulReceiver()) as url:
        again = run_command("replay", str(capsule), "--to", url)
    assert again.returncode == 1
    assert "step 2 is answered as before" in again.stdout
    with serving(PlainReceiver()) as url:
        mended = run_command("replay", str(capsule), "--to", url)
        twice = run_command("replay", str(capsule), "--to", url)
    assert mended.returncode == 0, mended.stdout + mended.stderr
    assert "then 200 [success, success, success], now 200 [duplicate" in mended.stdout
    assert twice.returncode == 0, twice.stdout
    assert TOKEN not in capsule.read_text()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (page("500 Oops", '{"error": "database"}'), "HTTP 500: the receiver failed in another way"),
        (page("403 No", '{"error": "no"}'), "HTTP 403: the receiver does not let this token in"),
        (b"", "no answer came"),
    ],
    ids=["broken", "locked", "silent"],
)
def test_replay_that_learns_nothing_calls_nothing_mended(
    judged: Judged, run_command: RunKit, answer: bytes, words: str
) -> None:
    """An answer that is about something else than the finding ends with 4, and says so."""
    with raw_server(answer) as url:
        done = run_command(
            "replay", str(judged(ForgetfulReceiver) / "SKR-IDM-01.json"), "--to", url
        )
    assert done.returncode == 4, done.stdout + done.stderr
    assert words in done.stdout


def test_replay_without_the_token_names_the_variable(judged: Judged, run_command: RunKit) -> None:
    """A receiver that asks for the token that was not given has not mended anything."""
    capsule = judged(ForgetfulReceiver) / "SKR-IDM-01.json"
    with serving(PlainReceiver()) as url:
        done = run_command("replay", str(capsule), "--to", url, token=None)
    assert done.returncode == 4, done.stdout + done.stderr
    assert "HTTP 401, as no token was given: set SK_TOKEN" in done.stdout


def test_replay_of_a_race_names_the_command_that_repeats_it(
    judged: Judged, run_command: RunKit, tmp_path: Path
) -> None:
    """Requests that met cannot be judged one after the other."""
    content = json.loads((judged(ForgetfulReceiver) / "SKR-IDM-01.json").read_text())
    capsule = tmp_path / "race.json"
    capsule.write_text(json.dumps({**content, "check": "SKR-CON-01"}))
    done = run_command("replay", str(capsule), "--to", "http://127.0.0.1:1")
    assert done.returncode == 4, done.stdout + done.stderr
    assert "conformance receiver http://127.0.0.1:1 --only SKR-CON-01" in done.stdout


@pytest.mark.proof
def test_diff_names_what_broke_and_what_was_mended(judged: Judged, run_command: RunKit) -> None:
    """Two reports side by side show each case whose outcome changed."""
    good, bad = judged(PlainReceiver) / "report.json", judged(ForgetfulReceiver) / "report.json"
    worse = run_command("diff", str(good), str(bad))
    assert worse.returncode == 1
    assert re.search(r"broke +SKR-IDM-01 +passed → failed", worse.stdout)
    better = run_command("diff", str(bad), str(good))
    assert better.returncode == 0
    assert re.search(r"mended +SKR-IDM-01 +failed → passed", better.stdout)


def test_explain_tells_requirement_cost_and_catches(run_command: RunKit) -> None:
    """`explain` says what is asked, why, what it sends, and what it has caught."""
    text = run_command("explain", "SKR-IDM-03").stdout
    for piece in ("An id stored with other content", "Why it matters", "conflict-is-success"):
        assert piece in text
    unknown = run_command("explain", "SKR-XXX-99")
    assert unknown.returncode == 4
    assert "there is no check SKR-XXX-99" in unknown.stderr


def test_list_and_plan_send_nothing(run_pytest: RunKit) -> None:
    """What would run, and what it would send, is shown without a receiver."""
    listed = run_pytest("--sk-list", "--sk-profile=first-light")
    planned = run_pytest("--sk-plan", "--sk-profile=first-light")
    assert listed.returncode == planned.returncode == 0
    assert len(listed.stdout.splitlines()) == 8
    assert re.search(r"total +\d+ +\d+  at most, .*nothing was sent", planned.stdout)


def test_budget_is_kept(judged: Judged) -> None:
    """A run sends no more than its header announced, and a few more for each finding."""
    report = json.loads((judged(PlainReceiver) / "report.json").read_text())
    from spec_kitty_sync.conformance.listing import budgets

    spent = Counter[str]()
    for row in report["requirements"]:
        found = sum(case["finding"] is not None for case in row["cases"])
        spent[row["id"]] = sum(case["requests"] for case in row["cases"]) - SENT_ALONE * found
    over = {name: n for name, n in spent.items() if n > budgets()[name].requests}
    assert over == {}
