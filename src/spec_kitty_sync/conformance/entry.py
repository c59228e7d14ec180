"""What happens before pytest starts: options, lists, plans, and the preflight."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import pytest

from spec_kitty_sync._files import shared_path
from spec_kitty_sync._words import plural
from spec_kitty_sync.conformance.baseline import BaselineError, load_baseline
from spec_kitty_sync.conformance.builder import Namespace
from spec_kitty_sync.conformance.catalogue import Requirement, catalogue_path, load_catalogue
from spec_kitty_sync.conformance.client import Address
from spec_kitty_sync.conformance.listing import chosen, list_lines, plan_lines, total
from spec_kitty_sync.conformance.options import OptionError, RunOptions, read_options
from spec_kitty_sync.conformance.outcome import Verdict
from spec_kitty_sync.conformance.preflight import Preflight, preflight
from spec_kitty_sync.conformance.probe import Surroundings
from spec_kitty_sync.conformance.runner import Runner
from spec_kitty_sync.conformance.suite import receiver_suite

if TYPE_CHECKING:
    from spec_kitty_sync.conformance.trial_entry import TrialPrepared
    from spec_kitty_sync.conformance.trial_runner import TrialRunner

COMMAND_INI: Final = shared_path("conformance", "pytest.ini")
"""The configuration of the command, by which its run is told from that of a host project."""
_USAGE = Verdict.INCOMPLETE.exit_code


@dataclass(frozen=True)
class Prepared:
    """A run that may start: what was asked for, and what the receiver said of itself."""

    options: RunOptions
    address: Address
    namespace: Namespace
    found: Preflight
    catalogue_file: Path = field(default_factory=catalogue_path)

    def surroundings(self) -> Surroundings:
        """Return what every check is given."""
        return surroundings(self.options, self.address, self.namespace, self.found)

    @property
    def subject(self) -> str:
        """How reports call what is judged."""
        return self.address.origin

    @property
    def capabilities(self) -> frozenset[str]:
        """What the receiver declares."""
        return self.surroundings().capabilities

    @property
    def profile(self) -> str:
        """Which rows are run; chosen checks may stand in any profile."""
        return "soak" if self.options.only else self.options.profile

    @property
    def told_profile(self) -> str:
        """The profile as reports name it."""
        return self.options.profile

    @property
    def verdict_note(self) -> str:
        """What the verdict is about."""
        return f" (profile {self.told_profile})"

    def rows(self) -> tuple[Requirement, ...]:
        """Return the requirements that are asked for."""
        return chosen(self.options)

    def runner(self, *, worker: str, pace: Callable[[], None] | None) -> Runner:
        """Return what runs the checks, on the controller or on an xdist worker."""
        around = replace(self.surroundings(), alone=not worker)
        return Runner(receiver_suite(), load_catalogue(), around, pace=pace, worker=worker)

    def header(self, cases: int) -> list[str]:
        """Return who is judged, by what, and at what cost."""
        options, declared = self.options, self.capabilities | {""}
        rows = self.rows()
        whole = total(tuple(row for row in rows if row.capability in declared))
        lines = [
            f"conformance: {self.subject}, profile {options.profile},"
            f" {plural(len(rows), 'check')} in {plural(cases, 'case')},"
            f" at most {whole.requests} requests with {whole.events} events,"
            f" seed {self.namespace.seed}"
        ]
        if options.token_on_command_line:
            lines.append("note: --sk-token is visible in the process list; use --sk-token-env")
        if options.token and self.address.scheme == "http" and not self.address.is_local:
            lines.append("note: the token travels over plain http")
        return lines


AnyPrepared: TypeAlias = "Prepared | TrialPrepared"
AnyRunner: TypeAlias = "Runner | TrialRunner"
PREPARED: pytest.StashKey[AnyPrepared] = pytest.StashKey()


def prepare(config: pytest.Config) -> int | None:
    """Return an exit code when the run ends here; else leave what it needs in the stash."""
    try:
        options = options_of(config)
        _refuse_paths(config)
        if options.baseline is not None:
            load_baseline(options.baseline)
        if options.producer or options.migration or options.events:
            return _prepare_trial(config, options)
        _check_names(options)
        if options.list_only or options.plan:
            lines = plan_lines(options) if options.plan else list_lines(options)
            sys.stdout.write("\n".join(lines) + "\n")
            return 0
        address = Address.parse(options.url)
        make_folder(options.report)
    except (OptionError, BaselineError, ValueError) as exc:
        return _refuse(config, str(exc), _USAGE)
    namespace = Namespace(options.seed, time.time_ns() // 1_000_000)
    around = surroundings(options, address, namespace, Preflight())
    found = preflight(around, allow_production=options.allow_production)
    if not found.ok:
        return _refuse(config, f"{found.problem}. {found.remedy}", found.exit_code)
    config.stash[PREPARED] = Prepared(options, address, namespace, found)
    return None


def _prepare_trial(config: pytest.Config, options: RunOptions) -> int | None:
    from spec_kitty_sync.conformance.trial_entry import prepare_trial

    prepared = prepare_trial(options, time.time_ns() // 1_000_000)
    if isinstance(prepared, str):
        sys.stdout.write(prepared)
        return 0
    make_folder(options.report)
    config.stash[PREPARED] = prepared
    return None


def make_folder(folder: Path) -> None:
    """Make the *folder* of the reports, which keeps itself out of version control.

    Raises:
        OptionError: nothing can be written there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".gitignore").write_text("*\n", encoding="utf-8")
    except OSError as exc:
        raise OptionError(
            f"no report can be written to {folder} ({exc.strerror}): give --sk-report"
            " a folder that is yours to write"
        ) from exc


def _check_names(options: RunOptions) -> None:
    known = {row.id for row in load_catalogue().requirements}
    unknown = sorted(options.only - known)
    if unknown:
        raise OptionError(f"there is no check {', '.join(unknown)}; --sk-list shows all")
    capabilities = {row.capability for row in load_catalogue().requirements} - {""}
    for one in sorted((options.capabilities or frozenset()) - capabilities):
        raise OptionError(
            f"there is no capability {one!r} that a check asks for;"
            f" there are {', '.join(sorted(capabilities))}"
        )


def options_of(config: pytest.Config) -> RunOptions:
    """Return the options of this pytest run.

    Raises:
        OptionError: a value is missing or unusable.
    """

    def option(name: str) -> str | None:
        value = config.getoption(f"sk_{name}", None)
        if isinstance(value, list):
            return ",".join(value) or None
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


def arguments_of_host(config: pytest.Config) -> tuple[str, ...]:
    """Return the tests that were named for this run, and that the suite takes the place of."""
    named = config.args_source is pytest.Config.ArgsSource.ARGS
    return tuple(config.args) if named else ()


def _refuse_paths(config: pytest.Config) -> None:
    """Refuse tests that the caller named: dropped in silence, they would be taken for passed.

    Raises:
        OptionError: the command line names some.
    """
    typed = {str(one) for one in config.invocation_params.args}
    named = [one for one in arguments_of_host(config) if one in typed]
    if named:
        raise OptionError(
            f"{', '.join(named)} would not run: this is a conformance run, which runs the"
            " packaged suite alone. Leave the path out, or run your own tests in a pytest of"
            " their own, without the kit's options"
        )


def _refuse(config: pytest.Config, sentence: str, exit_code: int) -> int:
    verdict = "not conformant" if exit_code == 1 else "incomplete"
    if config.inipath == COMMAND_INI:
        sentence = sentence.replace("--sk-", "--")  # the command's options have no prefix
    sys.stderr.write(f"{sentence}\nverdict: {verdict}, nothing else was asked\n")
    return exit_code
