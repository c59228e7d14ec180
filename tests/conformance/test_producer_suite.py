"""The producer suite finds nothing wrong with our own command line, and says what it saw."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from spec_kitty_sync.conformance.adapter import AdapterError, find_adapter, load_adapter
from spec_kitty_sync.conformance.catalogue import catalogue_path, kind_of, load_catalogue
from spec_kitty_sync.conformance.outcome import Outcome
from spec_kitty_sync.conformance.producer_events import json_breach
from spec_kitty_sync.conformance.suite import packaged_suite
from spec_kitty_sync.conformance.trial_entry import trial_runner

KINDS = ("producer", "migration")


def _small_adapter(path: Path, *changes: tuple[str, str]) -> None:
    """Write the adapter of the small producer to *path*, with *changes* of its text."""
    packaged = find_adapter("small-producer", "producer")
    text = packaged.read_text(encoding="utf-8").replace("{adapter}", str(packaged.parent))
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")


def _fault(name: str) -> tuple[str, str]:
    return ("[environment]", f'[environment]\nSMALL_FAULTS = "{name}"')


@pytest.mark.parametrize("kind", KINDS)
def test_requirements_and_checks_name_the_same_ids(kind: str) -> None:
    """Every requirement has a check, every check a requirement, and prerequisites exist."""
    rows = load_catalogue(catalogue_path(kind=kind)).requirements
    ids = [row.id for row in rows]
    assert sorted(ids) == sorted(packaged_suite(kind).checks)
    assert len(set(ids)) == len(ids)
    assert {needed for row in rows for needed in row.after} <= set(ids)
    assert {kind_of(check_id) for check_id in ids} == {kind}


@pytest.mark.parametrize("kind", KINDS)
def test_own_adapter_declares_every_capability(kind: str) -> None:
    """No check of the suites is beyond our own command line."""
    adapter = load_adapter(find_adapter("spec-kitty", kind), kind)
    asked = {row.capability for row in load_catalogue(catalogue_path(kind=kind)).requirements}
    assert asked - {""} <= adapter.capabilities


def test_own_producer_passes_first_light(run_command: Callable[..., object]) -> None:
    """`spec-kitty` keeps the first rules of producers, asked through the command."""
    only = "SKP-WIR-01,SKP-WIR-02,SKP-RES-05,SKP-TIE-01,SKP-DUR-01"
    done = run_command("producer", "spec-kitty", "--only", only, token=None)
    assert "failed" not in done.stdout  # type: ignore[attr-defined]
    assert "7 passed" in done.stdout  # type: ignore[attr-defined]


def test_own_migration_passes_first_light(run_command: Callable[..., object]) -> None:
    """`sync migrate` keeps the first rules of migration tools, asked through the command."""
    only = "SKM-SRC-01,SKM-DUP-04,SKM-BAD-04,SKM-CLN-01"
    done = run_command("migration", "spec-kitty", "--only", only, token=None)
    assert "4 passed" in done.stdout  # type: ignore[attr-defined]


@pytest.mark.proof
@pytest.mark.parametrize("kind", KINDS)
def test_own_tool_is_conformant(kind: str) -> None:
    """Our own command line is conformant with every capability declared."""
    runner = trial_runner(load_adapter(find_adapter("spec-kitty", kind), kind), kind)
    results = [runner.run(row.id, case.name) for row, _, case in runner.selected("core")]
    runner.close()
    wrong = [one for one in results if one.outcome is not Outcome.PASSED]
    bad = [f"{one.name}: {one.reason}" for one in wrong if "but loopback" not in one.reason]
    assert bad == []


def test_captured_events_are_judged(run_command: Callable[..., object], tmp_path: Path) -> None:
    """A file with one bad event is not conformant, and the finding names row and field."""
    good = {
        "event_id": "01KA0000000000000000000001",
        "event_type": "HistoryAdded",
        "aggregate_id": "WP01",
        "aggregate_type": "WorkPackage",
        "payload": {"wp_id": "WP01", "entry_type": "note", "entry_content": "hi"},
        "timestamp": "2026-02-12T10:00:00Z",
        "node_id": "a1b2c3d4e5f6",
        "lamport_clock": 1,
        "project_uuid": "550e8400-e29b-41d4-a716-446655440000",
    }
    bad = {**good, "event_id": "01KA0000000000000000000002", "lamport_clock": "2"}
    file = tmp_path / "events.jsonl"
    file.write_text("\n".join(json.dumps(one) for one in (good, bad)), encoding="utf-8")
    done = run_command("producer", "--events", str(file), token=None)
    assert done.returncode == 1  # type: ignore[attr-defined]
    out = " ".join(done.stdout.split())  # type: ignore[attr-defined]
    assert "SKP-EVT-01" in out
    assert "1 of 2 events" in out
    assert "lamport_clock" in out
    assert "events.jsonl line 2" in out


@pytest.mark.parametrize("text", ['x\n[1]\n"s"\nnull\n', "{\n"])
def test_nothing_passes_where_no_event_could_be_read(
    run_command: Callable[..., object], tmp_path: Path, text: str
) -> None:
    """Of lines that are no JSON objects only the envelopes are judged; no other rule 'holds'."""
    file = tmp_path / "junk.jsonl"
    file.write_text(text, encoding="utf-8")
    done = run_command("producer", "--events", str(file), token=None)
    assert done.returncode == 1  # type: ignore[attr-defined]
    assert "10 cases: 1 failed, 9 not applicable" in done.stdout  # type: ignore[attr-defined]
    assert "no event could be read" in done.stdout  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (b"NaN", "NaN is not a JSON number"),
        (b"[1,-Infinity]", "-Infinity is not a JSON number"),
        (rb'"\ud800"', "half a surrogate pair"),
        (b'"\xff"', "not UTF-8"),
        (b'{"a":1,"a":1}', "key 'a' is repeated"),
        (b"1e400", ""),
        (b'"NaN"', ""),
    ],
)
def test_request_is_held_to_strict_json(value: bytes, told: str) -> None:
    """What a reader may refuse is named; a number too large for a float is one all the same."""
    found = json_breach(b'{"events":[{"payload":{"x":' + value + b"}}]}")
    assert found.startswith(told)
    assert bool(found) is bool(told)


def test_unusable_adapter_is_told_in_a_sentence(tmp_path: Path) -> None:
    """An adapter that lacks a command is refused before anything runs."""
    path = tmp_path / "mine.toml"
    path.write_text('kind = "producer"\n[commands]\nemit = ["true"]\n', encoding="utf-8")
    with pytest.raises(AdapterError, match="lacks drain, server"):
        load_adapter(path, "producer")


def test_undeclared_capability_is_named(tmp_path: Path) -> None:
    """An adapter that says how to do what it does not declare is told so."""
    path = tmp_path / "mine.toml"
    commands = 'emit = ["true"]\ndrain = ["true"]\nserver = ["true"]\nretry = ["true"]\n'
    options = '[options]\ntier = ["{tier}"]\n'
    path.write_text(f'kind = "producer"\n[commands]\n{commands}{options}', encoding="utf-8")
    assert load_adapter(path, "producer").undeclared == ("retry", "tiers")


_MINE = """kind = "producer"
capabilities = ["status"]
[commands]
emit = ["true"]
drain = ["true"]
server = ["true"]
status = ["true"]
[status]
retained = "/kept"
"""


@pytest.mark.parametrize(
    ("written", "instead", "told"),
    [
        ('["status"]', '["status", "blk"]', "there is no capability blk; there are .*bulk"),
        ("retained =", "retaned =", "there is no .* retaned; there are .*retained"),
        (
            'drain = ["true"]',
            'drain = ["true", "{adaptr}"]',
            "commands.drain {adaptr}; .*{adapter}",
        ),
        ('drain = ["true"]', 'drain = ["true", "{type}"]', "commands.drain {type}"),
        ('drain = ["true"]', 'drain = ["no-such-tool"]', "no program 'no-such-tool'"),
        ('drain = ["true"]', 'drain = ["./true"]', "no program './true'; {adapter}"),
    ],
)
def test_adapter_with_a_wrong_name_is_refused(
    tmp_path: Path, written: str, instead: str, told: str
) -> None:
    """What can never work is told in one sentence, with what there is, before anything starts."""
    path = tmp_path / "mine.toml"
    path.write_text(_MINE, encoding="utf-8")
    assert load_adapter(path, "producer").name == "mine"
    path.write_text(_MINE.replace(written, instead), encoding="utf-8")
    with pytest.raises(AdapterError, match=told):
        load_adapter(path, "producer")


def test_number_that_status_does_not_print_is_told(
    run_command: Callable[..., object], tmp_path: Path
) -> None:
    """A wrong pointer under [status] is an error with its text: no check passes by not looking."""
    _small_adapter(tmp_path / "mine.toml", ('"/retained"', '"/events/kpt"'))
    options = (str(tmp_path / "mine.toml"), "--only", "SKP-REP-01", "--only", "SKP-WIR-02")
    done = run_command("producer", *options, token=None)
    assert done.returncode == 4, done.stdout  # type: ignore[attr-defined]
    out = " ".join(done.stdout.split())  # type: ignore[attr-defined]
    assert "retained = '/events/kpt' is no number in what `status` printed" in out
    assert "3 error" in out
    assert "1 passed" in out  # both of --only were run


def test_missing_header_hides_nothing_else(
    run_command: Callable[..., object], tmp_path: Path
) -> None:
    """A producer without the protocol header is told so once; the other checks run all the same."""
    _small_adapter(tmp_path / "mine.toml", _fault("no-protocol-header"))
    only = ("--only", "SKP-WIR-11,SKP-WIR-02,SKP-RES-05")
    done = run_command("producer", str(tmp_path / "mine.toml"), *only, token=None)
    assert "1 failed" in done.stdout  # type: ignore[attr-defined]
    assert "no X-Spec-Kitty-Sync-Protocol" in done.stdout  # type: ignore[attr-defined]
    assert "not run" not in done.stdout  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", KINDS)
def test_explain_knows_every_check(kind: str) -> None:
    """`explain` has an answer for each id of each suite."""
    from spec_kitty_sync.conformance.explain import explain_lines

    for row in load_catalogue(catalogue_path(kind=kind)).requirements:
        assert explain_lines(row.id)[0].startswith(row.id)


def test_failure_can_be_replayed(run_command: Callable[..., object], tmp_path: Path) -> None:
    """A broken producer fails by name; replay runs that check again, also on a healed one."""
    _small_adapter(tmp_path / "well.toml")
    _small_adapter(tmp_path / "bad.toml", _fault("missing-is-success"))
    done = run_command("producer", str(tmp_path / "bad.toml"), "--only", "SKP-RES-05", token=None)
    assert done.returncode == 1  # type: ignore[attr-defined]
    assert "never sent again" in done.stdout  # type: ignore[attr-defined]
    capsule = str(tmp_path / ".sk" / "SKP-RES-05.json")
    other = run_command("producer", str(tmp_path / "bad.toml"), "--only", "SKP-WIR-02", token=None)
    assert "verdict: incomplete" in other.stdout  # type: ignore[attr-defined]
    again = run_command("replay", capsule, token=None)
    assert again.returncode == 1  # type: ignore[attr-defined]
    healed = run_command("replay", capsule, "--to", str(tmp_path / "well.toml"), token=None)
    assert (healed.returncode, "passes now" in healed.stdout) == (0, True)  # type: ignore[attr-defined]


def test_known_failure_is_excused_by_a_baseline(
    run_command: Callable[..., object], tmp_path: Path
) -> None:
    """A baseline excuses a failure in captured events; when it fails no more, the run fails."""
    file = tmp_path / "events.jsonl"
    file.write_text('{"event_id": "x"}\n', encoding="utf-8")
    known = "".join(
        f'[[known]]\ncheck = "{check}"\nreason = "old"\nexpires = 2999-01-01\n'
        for check in ("SKP-EVT-01", "SKP-EVT-03", "SKP-EVT-07")
    )
    (tmp_path / "known.toml").write_text(known, encoding="utf-8")
    options = ("--events", str(file), "--baseline", str(tmp_path / "known.toml"))
    done = run_command("producer", *options, token=None)
    assert done.returncode == 0, done.stdout  # type: ignore[attr-defined]


def test_missing_adapter_is_told_in_a_sentence(run_command: Callable[..., object]) -> None:
    """A wrong name ends with exit code 4 and no traceback."""
    done = run_command("producer", "nowhere.toml", token=None)
    assert done.returncode == 4  # type: ignore[attr-defined]
    assert "there is no adapter nowhere.toml" in done.stderr  # type: ignore[attr-defined]
    assert "Traceback" not in done.stderr  # type: ignore[attr-defined]
