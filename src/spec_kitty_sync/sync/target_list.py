"""The targets that the ledger remembers: listed, retired, taken into use again."""

from __future__ import annotations

from dataclasses import dataclass

from spec_kitty_sync._clock import utc_iso
from spec_kitty_sync._urls import canonical_url
from spec_kitty_sync.delivery.resets import confirm_data
from spec_kitty_sync.delivery.targets import Target
from spec_kitty_sync.errors import TargetNotFoundError, TargetUrlError
from spec_kitty_sync.sync.config import Settings
from spec_kitty_sync.sync.status import target_summary
from spec_kitty_sync.sync.status_report import TargetSummary
from spec_kitty_sync.sync.workspace import Workspace, open_workspace, read_workspace


def list_targets(settings: Settings) -> tuple[TargetSummary, ...]:
    """Return every target that was ever known, the oldest first. Writes nothing."""
    with read_workspace(settings) as workspace:
        if workspace is None:
            return ()
        return tuple(target_summary(workspace, each) for each in workspace.targets.all())


@dataclass(frozen=True)
class SeenDeployment:
    """A deployment that answered at a target's address, and since when."""

    since: str
    server_instance_id: str | None
    deployment_id: str | None
    environment_name: str | None
    git_sha: str | None


@dataclass(frozen=True)
class TargetDetail:
    """One target, and every deployment seen behind it."""

    summary: TargetSummary
    deployments: tuple[SeenDeployment, ...]


def show_target(settings: Settings, name: str) -> TargetDetail:
    """Return the target *name* (its number or address). Writes nothing.

    Raises:
        TargetNotFoundError: no target, or more than one, is meant.
    """
    with read_workspace(settings) as workspace:
        if workspace is None:
            raise TargetNotFoundError(f"there is no target {name}: nothing was ever delivered")
        target = _named(workspace, name)
        seen = tuple(
            SeenDeployment(
                utc_iso(at),
                each.server_instance_id,
                each.deployment_id,
                each.environment_name,
                each.git_sha,
            )
            for at, each in workspace.targets.deployments(target.target_id)
        )
        return TargetDetail(target_summary(workspace, target), seen)


def set_active(settings: Settings, name: str, *, active: bool) -> TargetSummary:
    """Retire the target *name* (its number or address), or take it into use again.

    Raises:
        TargetNotFoundError: no target, or more than one, is meant.
    """
    with open_workspace(settings) as workspace:
        target = _named(workspace, name)
        change = workspace.targets.restore if active else workspace.targets.retire
        return target_summary(workspace, change(target.target_id))


def confirm(settings: Settings, name: str) -> TargetSummary:
    """Note that the server behind target *name* still has what was delivered to it.

    Raises:
        TargetNotFoundError: no target, or more than one, is meant.
    """
    with open_workspace(settings) as workspace:
        target = _named(workspace, name)
        confirm_data(workspace.store, target, clock=workspace.clock)
        return target_summary(workspace, target)


def target_number(name: str) -> int | None:
    """Return the number that *name* is, or None where it can only be an address."""
    # Digits of other scripts are no number here, and a longer one would not fit the database.
    return int(name) if name.isascii() and name.isdecimal() and len(name) <= 18 else None


def _named(workspace: Workspace, name: str) -> Target:
    if (number := target_number(name)) is not None:
        return workspace.targets.get(number)
    try:
        url = canonical_url(name)
    except TargetUrlError:
        url = name
    found = [each for each in workspace.targets.all() if each.url == url]
    if len(found) == 1:
        return found[0]
    if found:
        numbers = ", ".join(str(each.target_id) for each in found)
        raise TargetNotFoundError(
            f"{url} is several targets: {numbers}",
            remedy="Use the number; `spec-kitty sync targets list` shows users and teams.",
        )
    raise TargetNotFoundError(f"there is no target {name}")
