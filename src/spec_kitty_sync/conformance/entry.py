"""What happens before pytest starts: options, lists, plans, and the preflight."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass

import pytest

from spec_kitty_sync.conformance.builder import Namespace
from spec_kitty_sync.conformance.catalogue import load_catalogue
from spec_kitty_sync.conformance.client import Address
from spec_kitty_sync.conformance.listing import list_lines, plan_lines
from spec_kitty_sync.conformance.options import OptionError, RunOptions, read_options
from spec_kitty_sync.conformance.outcome import Verdict
from spec_kitty_sync.conformance.preflight import Preflight, preflight
from spec_kitty_sync.conformance.probe import Surroundings

_USAGE = Verdict.INCOMPLETE.exit_code


@dataclass(frozen=True)
class Prepared:
    """A run that may start: what was asked for, and what the receiver said of itself."""

    options: RunOptions
    address: Address
    namespace: Namespace
    found: Preflight

    def surroundings(self) -> Surroundings:
        """Return what every check is given."""
        return surroundings(self.options, self.address, self.namespace, self.found)


PREPARED: pytest.StashKey[Prepared] = pytest.StashKey()


def prepare(config: pytest.Config) -> int | None:
    """Return an exit code when the run ends here; else leave what it needs in the stash."""
    try:
        options = options_of(config)
        _check_names(options)
        if options.list_only or options.plan:
            lines = plan_lines(options) if options.plan else list_lines(options)
            sys.stdout.write("\n".join(lines) + "\n")
            return 0
        address = Address.parse(options.url)
    except (OptionError, ValueError) as exc:
        return _refuse(str(exc), _USAGE)
    namespace = Namespace(options.seed, time.time_ns() // 1_000_000)
    around = surroundings(options, address, namespace, Preflight())
    found = preflight(around, allow_production=options.allow_production)
    if not found.ok:
        return _refuse(f"{found.problem}. {found.remedy}", found.exit_code)
    config.stash[PREPARED] = Prepared(options, address, namespace, found)
    return None


def _check_names(options: RunOptions) -> None:
    known = {row.id for row in load_catalogue().requirements}
    unknown = sorted(options.only - known)
    if unknown:
        raise OptionError(f"there is no check {', '.join(unknown)}; --sk-list shows all")


def options_of(config: pytest.Config) -> RunOptions:
    """Return the options of this pytest run.

    Raises:
        OptionError: a value is missing or unusable.
    """

    def option(name: str) -> str | None:
        value = config.getoption(f"sk_{name}", None)
        return "1" if value is True else value or None

    def ini(name: str) -> str | None:
        return str(config.getini(f"sk_{name}")) or None

    return read_options(option, ini, os.environ)


def surroundings(
    options: RunOptions, address: Address, namespace: Namespace, found: Preflight
) -> Surroundings:
    """Return what every check is given; declared capabilities win over those health tells."""
    declared = options.capabilities
    # Wiping a store takes more than a line in health: it has to be asked for by name.
    capabilities = set(found.capabilities) - {"reset-hook"} if declared is None else set(declared)
    capabilities.discard("anonymous" if options.token else "auth")
    capabilities.add("auth" if options.token else "anonymous")
    return Surroundings(
        address=address,
        namespace=namespace,
        token=options.token,
        capabilities=frozenset(capabilities),
        limits=dict(found.limits),
        deadline_s=options.deadline_s,
        spare_tokens=options.spare_tokens,
        team=options.team,
    )


def _refuse(sentence: str, exit_code: int) -> int:
    verdict = "not conformant" if exit_code == 1 else "incomplete"
    sys.stderr.write(f"{sentence}\nverdict: {verdict}, nothing else was asked\n")
    return exit_code
