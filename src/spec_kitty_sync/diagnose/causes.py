"""The one table of finding codes: what each means, what helps, which category it counts under."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from spec_kitty_sync.events.findings import FINDING_CODES

MALFORMED, SCHEMA_MISMATCH, TOO_LARGE = "malformed", "schema_mismatch", "too_large"

_ROW_CODES: Mapping[str, str] = MappingProxyType(
    {
        "no_data": "The row holds no event.",
        "corrupt": "The stored bytes are not those that were accepted.",
        "id_mismatch": "The row is filed under another id than the event states.",
        "type_mismatch": "The row is filed under another type; the event's own type counts.",
        "migration_conflict": "The journal holds other content under this id.",
    }
)

_QUARANTINED = (
    " A row of an old queue is quarantined as it stands: `spec-kitty sync migrate quarantine list`."
)
_REPLACE = "for a stored event: `spec-kitty sync replace ID --file FILE`"
_REMEDIES: Mapping[str, str] = MappingProxyType(
    {
        "json_encoding": f"Write the text in UTF-8.{_QUARANTINED}",
        "json_bom": "Nothing to do: the import leaves the mark out.",
        "json_syntax": f"Write one JSON object per event.{_QUARANTINED}",
        "json_number": f"Write a number or null there; {_REPLACE}.",
        "json_duplicate_key": f"Keep one of the two values; {_REPLACE}.",
        "json_surrogate": f"Write the whole character or none; {_REPLACE}.",
        "json_depth": f"Flatten the event; {_REPLACE}.",
        "json_integer_range": f"Write the number as text; {_REPLACE}.",
        "not_object": f"Write one JSON object per event.{_QUARANTINED}",
        "too_large": f"Shorten the event or move its bulk to a file; {_REPLACE}.",
        "missing": f"State the field where the event is made; {_REPLACE}.",
        "wrong_type": f"Write the type that the message names; {_REPLACE}.",
        "empty": f"Leave the field out or fill it; {_REPLACE}.",
        "out_of_range": f"Write a number in the range; {_REPLACE}.",
        "wrong_pattern": f"Write the value in the form that the message names; {_REPLACE}.",
        "not_allowed": f"Write one of the values that the message names; {_REPLACE}.",
        "unknown_lane": f"Use one of the seven lanes; {_REPLACE}.",
        "lane_alias": f"Write `in_progress`; {_REPLACE}.",
        "field_lane": "Nothing to do: receivers take it. New events use the seven lanes.",
        "reason_missing": f"State why the move was forced; {_REPLACE}.",
        "evidence_missing": f"State the evidence for `done`; {_REPLACE}.",
        "unknown_event_type": "Check the spelling, register the type with `--schemas DIR`, or"
        " pass `--allow-unknown`. It is stored and delivered all the same.",
        "unknown_aggregate_type": f"Use an aggregate type that the message names; {_REPLACE}.",
        "unexpected_aggregate_type": "Nothing to do: it is delivered. Correct the producer.",
        "schema_version_unsupported": "Install the spec-kitty-sync that knows this version.",
        "no_identity": 'It stays on this machine until "project_uuid" is in it: the `uuid` under'
        " `project` in the project's .kittify/config.yaml. For stored events:"
        " `spec-kitty sync show --held no_identity --raw > held.jsonl`, write it into each line,"
        " then `spec-kitty sync replace --file held.jsonl`.",
        "not_canonical": "Only `--strict` minds: a newer CLI states a correlation_id.",
        "schema_violation": f"Correct the payload by its JSON Schema; {_REPLACE}.",
        "no_data": "The import quarantines it: `spec-kitty sync migrate quarantine list`.",
        "corrupt": "Run `spec-kitty sync verify`; the event is not sent as it stands.",
        "id_mismatch": "The row is quarantined by the import, since nobody can tell which id is"
        " meant: `spec-kitty sync migrate quarantine list`.",
        "type_mismatch": "Nothing to do: the event's own type counts.",
        "migration_conflict": "Choose one with `spec-kitty sync migrate conflicts list`.",
    }
)
_MALFORMED_CODES = frozenset({"corrupt", "id_mismatch", "no_data", "not_object"})

CODES: Mapping[str, str] = MappingProxyType({**FINDING_CODES, **_ROW_CODES})
"""Every code of a finding with its meaning; stable."""


def meaning_of(code: str) -> str:
    """Return what *code* means, itself for a code that an extension made."""
    return CODES.get(code, code)


def remedy_of(code: str) -> str:
    """Return the one thing to do about *code*."""
    return _REMEDIES.get(code, f"Correct the event by the message; {_REPLACE}.")


def category_of(code: str) -> str:
    """Return `malformed` (no receiver can read it), `too_large`, else `schema_mismatch`."""
    if code == TOO_LARGE:
        return TOO_LARGE
    malformed = code.startswith("json_") or code in _MALFORMED_CODES
    return MALFORMED if malformed else SCHEMA_MISMATCH
