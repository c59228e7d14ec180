"""The judging core: verdicts, findings of rows, counts, causes, exit codes."""

from __future__ import annotations

import re
import tracemalloc

import click
import pytest
from judged import Given, body, diagnose, judged

from spec_kitty_sync.cli.main import cli
from spec_kitty_sync.diagnose import CODES, DiagnoseResult, Row, Rules, Verdict
from spec_kitty_sync.diagnose.causes import category_of, remedy_of
from spec_kitty_sync.diagnose.tally import LONGEST_TYPE, MOST_PLACES, MOST_TYPES, OTHERS
from spec_kitty_sync.errors import SourceError, UsageError

UNREADABLE = [b"not json", b'{"event_id": ', b"[]", b'"text"', b"\xff\xfe", b"[" * 100_000, b""]


def codes(result: DiagnoseResult) -> list[str]:
    return [each.code for each in result.findings]


def test_valid_event_has_no_finding_and_no_category() -> None:
    """A valid event is valid, names its dialect, and carries nothing else."""
    result = judged(body())
    assert result.valid
    assert result.verdict is Verdict.VALID
    assert result.dialect == "canonical"
    assert (result.errors, result.findings, result.error_category) == ([], (), None)


@pytest.mark.parametrize("raw", UNREADABLE, ids=repr)
def test_undecodable_row_is_a_finding_with_its_number(raw: bytes) -> None:
    """A row that is no event is reported under its row number, with neither id nor type."""
    results, report = diagnose(Given("q.db", [body(), raw, body(3)]))
    bad = results[1]
    assert (bad.source, bad.row, bad.event_id, bad.event_type) == ("q.db", 2, None, None)
    assert bad.verdict is Verdict.UNREADABLE
    assert bad.error_category == "malformed"
    assert bad.errors
    assert (report.summary.total, report.summary.valid, report.summary.unreadable) == (3, 2, 1)


def test_row_without_bytes_says_what_the_reader_said() -> None:
    """A row that holds no event passes on the reader's reason."""
    result = judged(Row("q.db", 7, None, "the data is a number, not text"))
    assert (result.row, codes(result)) == (7, ["no_data"])
    assert result.errors == ["the data is a number, not text"]


def test_event_that_json_readers_disagree_on_keeps_its_id() -> None:
    """An event with NaN or a repeated key is invalid and still named."""
    raw = body().replace(b'"lamport_clock": 1', b'"lamport_clock": NaN')
    result = judged(raw)
    assert result.verdict is Verdict.INVALID
    assert result.event_id == "01KA0000000000000000000001"
    assert "json_number" in codes(result)
    assert result.error_category == "malformed"


def test_byte_order_mark_is_a_warning() -> None:
    """A mark before the event is named and does no harm, as in the import."""
    result = judged(b"\xef\xbb\xbf" + body())
    assert (result.valid, codes(result)) == (True, ["json_bom"])


def test_row_filed_under_another_id_is_invalid() -> None:
    """A row whose column and event state different ids cannot be imported, and says so."""
    result = judged(Row("q.db", 1, body(1), None, "01KA0000000000000000000002"))
    assert (result.valid, codes(result), result.error_category) == (
        False,
        ["id_mismatch"],
        "malformed",
    )


def test_category_is_that_of_the_first_error_not_of_a_warning() -> None:
    """A warning that comes before the error says nothing about the category."""
    result = judged(Row("q.db", 1, body(1, project_uuid=None), None, "01KA0000000000000000000002"))
    assert codes(result) == ["no_identity", "id_mismatch"]
    assert (result.errors, result.error_category) == (
        [result.findings[1].message],
        "malformed",
    )


def test_row_filed_under_another_type_is_a_warning() -> None:
    """Where column and event state different types, the event's own counts."""
    result = judged(Row("q.db", 1, body(1), None, None, "WPCreated"))
    assert (result.valid, result.event_type, codes(result)) == (
        True,
        "HistoryAdded",
        ["type_mismatch"],
    )


def test_every_broken_rule_is_named() -> None:
    """All rules that an event breaks are reported at once, each with place and value."""
    result = judged(body(lamport_clock=-1, node_id="", payload={"wp_id": "WP1"}))
    places = {each.path: each for each in result.findings}
    assert {"/lamport_clock", "/node_id", "/payload/wp_id", "/payload/entry_type"} <= set(places)
    assert places["/lamport_clock"].value == "-1"
    assert len(result.errors) == len(result.findings)


def test_nothing_is_invented_before_judging() -> None:
    """A missing field is reported missing, not filled in."""
    result = judged(body(node_id=None, timestamp=None))
    assert {each.path for each in result.findings if each.code == "missing"} == {
        "/node_id",
        "/timestamp",
    }


def test_strict_demands_what_otherwise_is_older_dialect() -> None:
    """An event of an older dialect is valid, and with `strict` is not."""
    older = body(correlation_id=None)
    assert judged(older).dialect == "identity"
    assert judged(older).valid
    assert not judged(older, Rules(strict=True)).valid


def test_unknown_type_is_invalid_unless_allowed() -> None:
    """A type that nobody registered is an error, with `allow_unknown` a warning."""
    unknown = body(event_type="Telepathy")
    refused, allowed = judged(unknown), judged(unknown, Rules(allow_unknown=True))
    assert (refused.valid, codes(refused)) == (False, ["unknown_event_type"])
    assert (allowed.verdict, codes(allowed)) == (Verdict.WARNINGS, ["unknown_event_type"])


def test_packs_restrict_what_is_known() -> None:
    """With the core pack alone the types of released CLIs are unknown."""
    field = body(
        event_type="PlanStarted",
        aggregate_type="Mission",
        payload={
            "mission_slug": "a",
            "mission_number": 1,
            "actor": "x",
            "at": "2026-01-01T00:00:00Z",
        },
    )
    assert judged(field).valid
    assert codes(judged(field, Rules(packs=frozenset({"core"})))) == ["unknown_event_type"]


def test_pack_that_nobody_registered_is_refused() -> None:
    """A misspelt pack is refused before anything is judged, with the names that exist."""
    with pytest.raises(UsageError) as refused:
        judged(body(), Rules(packs=frozenset({"cor"})))
    assert "core" in refused.value.remedy


def test_source_that_fails_stops_no_other() -> None:
    """A source that cannot be read to its end keeps its rows, and the next ones are read."""
    broken = Given("a.db", [body(1)], SourceError("a.db: damaged", remedy="Restore it."))
    results, report = diagnose(broken, Given("b.db", [body(2)]))
    assert [each.source for each in results] == ["a.db", "b.db"]
    assert report.sources[0].problem is not None
    assert report.sources[0].problem.remedy == "Restore it."
    assert report.sources[0].summary.total == 1
    assert report.sources[1].problem is None


@pytest.mark.parametrize(
    ("bodies", "failure", "code"),
    [
        ([body()], None, 0),
        ([body(project_uuid=None)], None, 0),
        ([body(), b"{}"], None, 1),
        ([b"nonsense"], None, 1),
        ([b"{}"], SourceError("gone"), 3),
        ([], SourceError("gone"), 3),
        ([], None, 0),
    ],
)
def test_exit_code_is_the_highest_that_applies(
    bodies: list[bytes], failure: SourceError | None, code: int
) -> None:
    """0 all valid or only warnings, 1 something invalid, 3 a source that could not be read."""
    assert diagnose(Given("a", bodies, failure))[1].exit_code == code


def test_counts_add_up_by_source_and_in_all() -> None:
    """Every row is counted once: in its source, in the whole, under one verdict and its type."""
    bodies = [body(1), body(2, project_uuid=None), body(3, event_type="Odd"), b"x", b"{}"]
    _, report = diagnose(Given("a", bodies), Given("b", [body(9)]))
    whole = report.summary
    assert (whole.total, whole.valid, whole.warnings) == (6, 3, 1)
    assert (whole.invalid, whole.unreadable) == (2, 1)
    assert sum(whole.by_type.values()) == whole.total
    assert sum(whole.by_category.values()) == whole.invalid + whole.unreadable
    assert whole.by_category == {"malformed": 1, "schema_mismatch": 2}
    assert [each.summary.total for each in report.sources] == [5, 1]


def test_causes_group_events_and_begin_with_errors() -> None:
    """Events with one trouble make one cause with one remedy and the first of them."""
    bad = [body(n, payload={"wp_id": "WP01", "entry_type": "note"}) for n in range(1, 6)]
    _, report = diagnose(Given("a", [body(9, project_uuid=None), *bad]))
    missing, identity = report.causes
    assert (missing.code, missing.severity, missing.events) == ("missing", "error", 5)
    assert missing.remedy == remedy_of("missing")
    (place,) = missing.places
    assert (place.path, place.events, place.row) == ("/payload/entry_content", 5, 2)
    assert (identity.code, identity.severity) == ("no_identity", "warning")


def test_places_in_lists_count_as_one() -> None:
    """Positions in a list are one place, and an event counts once however often it errs."""
    created = {
        "wp_id": "WP01", "title": "t", "feature_slug": "f", "dependencies": ["x", "y", "WP02"],
    }  # fmt: skip
    _, report = diagnose(Given("a", [body(event_type="WPCreated", payload=created)]))
    (cause,) = report.causes
    assert [(each.path, each.events) for each in cause.places] == [("/payload/dependencies/*", 1)]


def test_unknown_types_are_told_apart() -> None:
    """Each type that nobody registered is a place of its own, by name."""
    _, report = diagnose(Given("a", [body(1, event_type="A"), body(2, event_type="B")]))
    (cause,) = report.causes
    assert {each.about for each in cause.places} == {"'A'", "'B'"}


def test_every_code_has_a_remedy_and_a_category() -> None:
    """Each stable code says what helps; an extension's own code does too."""
    for code in CODES:
        assert remedy_of(code) != remedy_of("code_of_an_extension"), code
        assert category_of(code) in {"malformed", "too_large", "schema_mismatch"}
    assert remedy_of("code_of_an_extension")


def test_counts_stay_bounded_whatever_the_input_names() -> None:
    """A type or key that is new in every event fills no memory: the rest is counted together."""
    many = MOST_TYPES + MOST_PLACES + 50
    _, report = diagnose(Given("a", [body(n, event_type=f"T{n}") for n in range(many)]))
    assert len(report.summary.by_type) == MOST_TYPES + 1
    assert report.summary.by_type[OTHERS] == many - MOST_TYPES
    (cause,) = report.causes
    assert len(cause.places) == MOST_PLACES + 1
    assert sum(each.events for each in cause.places) == cause.events == many


def test_long_type_is_counted_under_its_beginning() -> None:
    """A type as long as an event may be does not stay in memory whole."""
    _, report = diagnose(Given("a", [body(event_type="T" * 9000)]))
    (name,) = report.summary.by_type
    assert name == "T" * LONGEST_TYPE


def test_memory_does_not_grow_with_the_events() -> None:
    """Twenty times the events need no more memory: no result is kept."""

    def peak(count: int) -> int:
        bodies = (body(n % 900, lamport_clock=-1) for n in range(count))
        diagnosis_rows = Given("a", bodies)
        tracemalloc.start()
        for _ in _streamed(diagnosis_rows):
            pass
        try:
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(50)
    assert peak(4000) < peak(200) + 200_000


def _streamed(source: Given):
    from spec_kitty_sync.diagnose import Diagnosis
    from spec_kitty_sync.events.registry import default_registry

    return Diagnosis([source], Rules().validator(default_registry()).validate).results()


def test_every_command_in_a_remedy_exists() -> None:
    """A remedy never names a command that the command line does not have."""
    remedies = " ".join(map(remedy_of, CODES))
    named = {tuple(words.split()) for words in re.findall(r"`spec-kitty ([a-z ]+)", remedies)}
    assert named
    for words in named:
        assert _command(words) is not None, f"no command is called {' '.join(words)!r}"


def _command(words: tuple[str, ...]) -> click.Command | None:
    command: click.Command | None = cli
    for word in words:
        assert isinstance(command, click.Group), words
        command = command.get_command(click.Context(command), word)
    return command
