"""The verdict on one row: what validation says of its bytes, and what the row says beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from spec_kitty_sync._json import BOM
from spec_kitty_sync.diagnose.causes import category_of
from spec_kitty_sync.diagnose.models import DiagnoseResult, Row
from spec_kitty_sync.events.findings import Finding, shorten
from spec_kitty_sync.events.validation import Validation

Validate = Callable[[bytes], Validation]


def judge(row: Row, validate: Validate) -> DiagnoseResult:
    """Return the verdict on *row*; never raises for anything a row can hold."""
    source, number, body, problem, filed_id, filed_type, notes = row
    if body is None or problem is not None:
        finding = Finding("no_data", "error", "", problem or "the row has no data")
        return _found(row, None, None, None, (finding, *notes))
    if body.startswith(BOM):
        body = body[len(BOM) :]
        mark = Finding("json_bom", "warning", "", "a byte order mark stands before the event")
        notes = (mark, *notes)
    event_id, event_type, dialect, findings, valid = validate(body)
    if (filed_id is not None and filed_id != event_id) or (
        filed_type is not None and filed_type != event_type
    ):
        notes = (*_filing(row, event_id, event_type), *notes)
    if not notes and valid:
        return DiagnoseResult(source, number, event_id, event_type, True, dialect, findings, None)
    return _found(row, event_id, event_type, dialect, (*findings, *notes))


def _found(
    row: Row,
    event_id: str | None,
    event_type: str | None,
    dialect: str | None,
    findings: tuple[Finding, ...],
) -> DiagnoseResult:
    first = next((each.code for each in findings if each.severity == "error"), None)
    return DiagnoseResult(
        source=row.source,
        row=row.row,
        event_id=event_id,
        event_type=event_type,
        valid=first is None,
        dialect=dialect,
        findings=findings,
        error_category=None if first is None else category_of(first),
    )


def _filing(row: Row, event_id: str | None, event_type: str | None) -> Iterator[Finding]:
    """Yield what the row's own columns say otherwise than the event does."""
    if row.filed_id is not None and event_id is not None and row.filed_id != event_id:
        message = f"the row is filed under id {shorten(row.filed_id)}, not {shorten(event_id)}"
        yield Finding("id_mismatch", "error", "/event_id", message, shorten(event_id))
    if row.filed_type is not None and event_type is not None and row.filed_type != event_type:
        message = f"the row is filed as {shorten(row.filed_type)}, not {shorten(event_type)}"
        yield Finding("type_mismatch", "warning", "/event_type", message, shorten(event_type))
