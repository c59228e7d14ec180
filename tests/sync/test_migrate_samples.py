"""Every real home migrates as its manifest says, twice the same, sources untouched."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from legacy_homes import FIXTURES, contents, holds_of, image, journal_of, settings_of, unpack

from spec_kitty_sync._files import Home
from spec_kitty_sync.sync.migrate_home import migrate
from spec_kitty_sync.sync.queue import discover, read_rows

EXPECTED = json.loads((FIXTURES / "expected.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", sorted(EXPECTED))
def test_sample_migrates_as_its_manifest_states(case: str, tmp_path: Path) -> None:
    """Totals, every source's outcome and counts, and the exit code are those of the manifest."""
    home = unpack(case, tmp_path)
    before = image(home)
    report = migrate(settings_of(home))
    expected = EXPECTED[case]
    for name in ("imported", "duplicates", "conflicts", "quarantined"):
        assert report.to_json()[name] == expected[name], name
    assert report.exit_code == expected["exit_code"]
    sources = {
        str(Path(source["path"]).relative_to(home)): source
        for source in report.to_json()["sources"]
    }
    for source in sources.values():
        for name in ("path", "reason", "remedy"):
            source.pop(name)
    assert sources == expected["sources"]
    assert image(home) == before


@pytest.mark.parametrize("case", sorted(EXPECTED))
def test_sample_migrates_twice_to_the_same_journal(case: str, tmp_path: Path) -> None:
    """A second run imports nothing, writes nothing, and ends with the same exit code."""
    home = unpack(case, tmp_path)
    first = migrate(settings_of(home))
    before = contents(home)
    again = migrate(settings_of(home))
    assert contents(home) == before
    assert again.imported == 0
    assert again.exit_code == first.exit_code
    assert [s.outcome for s in again.sources] == [s.outcome for s in first.sources]
    assert all(s.rows == s.duplicates + s.conflicts + s.quarantined for s in again.sources)


@pytest.mark.parametrize("case", ["c-divergent", "i-bad-rows", "natural-2.1.3", "natural-3.2.4"])
def test_sample_rows_are_all_accounted_for(case: str, tmp_path: Path) -> None:
    """The bytes of every row stand in the journal, in a conflict or in quarantine."""
    home = unpack(case, tmp_path)
    migrate(settings_of(home))
    after = contents(home)
    kept = {bytes(row[2]) for row in after["quarantine"] if row[2] is not None}
    kept |= {bytes(row[3]) for row in after["conflicts"]}
    provenance = {row[0] for row in after["provenance"]}
    journal = journal_of(home)
    for source in discover(Home(home)):
        for row in read_rows(source):
            assert row.body is not None
            known = row.body in kept or row.body.removeprefix(b"\xef\xbb\xbf") in kept
            assert known or json.loads(row.body)["event_id"] in journal
    assert provenance == set(journal)


def test_sample_of_bad_rows_quarantines_and_holds_by_policy(tmp_path: Path) -> None:
    """Rows without event are quarantined; readable ones that may not leave are held."""
    home = unpack("i-bad-rows", tmp_path)
    migrate(settings_of(home))
    reasons = {row[1]: row[3] for row in contents(home)["quarantine"]}
    assert reasons == {
        7: "not_json",
        8: "no_event_id",
        9: "not_object",
        10: "not_json",
        11: "id_mismatch",
        13: "not_utf8",
        14: "not_object",
        22: "no_event_id",
    }
    assert holds_of(home) == {
        "01HZZZZZZZZZZZZZZZZZZZZZ09": "json_number",
        "01HZZZZZZZZZZZZZZZZZZZZZ10": "json_duplicate_key",
        "3f2504e0-4f89-41d3-9a0c-0305e82c3301": "bad_event_id",
        "01HZZZZZZZZZZZZZZZZZZZZZ14": "too_large",
        "01HZZZZZZZZZZZZZZZZZZZZZ15": "json_surrogate",
    }
    notes = {row[0]: row[5] for row in contents(home)["provenance"] if row[5]}
    assert set(notes) == {"01HZZZZZZZZZZZZZZZZZZZZZ13", "01HZZZZZZZZZZZZZZZZZZZZZ17"}
    assert journal_of(home)["01HZZZZZZZZZZZZZZZZZZZZZ17"].startswith(b"{")


def test_sample_with_journals_supersedes_what_a_queue_row_replaced(tmp_path: Path) -> None:
    """Old journal rows that were coalesced away stay here; decisions never leave the machine."""
    home = unpack("natural-3.2.4", tmp_path)
    migrate(settings_of(home))
    events = contents(home)["events"]
    superseded = [json.loads(row[1])["event_type"] for row in events if row[4]]
    local = {json.loads(row[1])["event_type"] for row in events if row[2] == 0}
    assert sorted(set(superseded)) == [
        "MissionDossierArtifactIndexed",
        "MissionDossierSnapshotComputed",
    ]
    assert len(superseded) == 35
    assert local == {"DecisionInputAnswered", "DecisionInputRequested"}


def test_dry_run_says_the_same_and_writes_nothing(tmp_path: Path) -> None:
    """The plan of a dry run is what the run then does, and the home stays byte for byte."""
    home = unpack("c-divergent", tmp_path)
    before = sorted(home.rglob("*")), image(home)
    plan = migrate(settings_of(home), dry_run=True)
    assert (sorted(home.rglob("*")), image(home)) == before
    assert plan.dry_run
    assert plan.to_json() == migrate(settings_of(home)).to_json()


def test_dry_run_over_an_existing_journal_leaves_its_content(tmp_path: Path) -> None:
    """With events in the journal a dry run still tells new from known, and changes no row."""
    home = unpack("natural-2.1.3", tmp_path)
    scoped = home / "queues" / "queue-53cbd6ea1b561bc0.db"
    aside = scoped.rename(tmp_path / "aside.db")
    migrate(settings_of(home))
    before = contents(home)
    aside.rename(scoped)
    plan = migrate(settings_of(home), dry_run=True)
    assert (plan.imported, plan.duplicates) == (60, 267)
    assert contents(home) == before


def test_dry_run_names_the_same_scopes(tmp_path: Path) -> None:
    """What the home's configuration explains is explained in the plan too."""
    home = unpack("natural-2.1.3", tmp_path)
    credentials = home / "credentials"
    credentials.write_text(
        '[user]\nusername = "user@example.com"\nteam_slug = "team-a"\n'
        '[server]\nurl = "https://other.example.invalid"\n',
        encoding="utf-8",
    )
    credentials.chmod(0o600)
    planned, done = migrate(settings_of(home), dry_run=True), migrate(settings_of(home))
    assert [s.scope for s in planned.sources] == [s.scope for s in done.sources]
    assert planned.notes == done.notes
    assert any(source.scope for source in done.sources)
