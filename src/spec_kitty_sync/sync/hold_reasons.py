"""Why events stay on this machine: one sentence and one command for each reason."""

from collections.abc import Sequence
from typing import NamedTuple


class HoldReason(NamedTuple):
    """What a reason means; `remedy` is None where staying here is what was asked for."""

    meaning: str
    remedy: str | None


def _listed(code: str) -> str:
    return (
        f"Run `spec-kitty sync show --held {code}` to list them, then "
        "`spec-kitty sync replace EVENT_ID --file FILE`."
    )


def hold_reason(code: str, *, teams: Sequence[str] = ()) -> HoldReason:
    """Return what *code* means; an unknown one is shown as it is.

    *teams* are those whose events a target of another team is not sent.
    """
    match code:
        case "local_only":
            return HoldReason("tier 0, stays on this machine by choice", None)
        case "archived":
            return HoldReason("removed by gc or archive before this target had them", None)
        case "no_identity":
            return HoldReason(
                "without project identity (project_uuid)",
                "Run `spec-kitty sync show --held no_identity --raw > held.jsonl`, write "
                '"project_uuid" into each line (`uuid` under `project` in the project\'s '
                ".kittify/config.yaml), then `spec-kitty sync replace --file held.jsonl`.",
            )
        case "other_team":
            name = teams[0] if teams else "TEAM"
            return HoldReason(
                f"of {', '.join(teams)}" if teams else "of another team",
                f"Run `spec-kitty sync now --include-team {name}` to send them all the same.",
            )
        case "migration_conflict":
            return HoldReason(
                "whose content two sources disagree about",
                "Run `spec-kitty sync migrate conflicts list`.",
            )
        case "bad_event_id":
            return HoldReason(
                "whose id is no ULID, which cannot be corrected",
                "Emit the event anew, then run `spec-kitty sync discard EVENT_ID --reason REASON`.",
            )
        case "no_four_lane_form":
            return HoldReason('of moves inside one of four lanes, as `lanes = "four"` asks', None)
        case "too_large":
            return HoldReason("larger than the receiver takes", _listed(code))
        case "corrupt":
            return HoldReason(
                "whose stored bytes are damaged",
                "Run `spec-kitty sync verify`, then `spec-kitty sync restore FILE` a backup.",
            )
        case _:
            return HoldReason(f"that cannot be sent: {code.replace('_', ' ')}", _listed(code))
