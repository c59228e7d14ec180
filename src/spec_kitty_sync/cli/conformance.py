"""`spec-kitty conformance …`: judge a receiver, read its report, test the suite itself."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import click

from spec_kitty_sync._extras import require
from spec_kitty_sync.cli.render_error import interrupted, report_error, report_usage
from spec_kitty_sync.cli.values import SECRET, TEXT, Seconds, Whole
from spec_kitty_sync.errors import SpecKittyError, UsageError

if TYPE_CHECKING:
    from spec_kitty_sync.conformance.score import Meeting, Mutant

_INTERRUPTED = 2
_USAGE = 4
_FILE = click.Path(dir_okay=False, path_type=Path)


def _joined(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> str:
    """Return what an option that may be given again holds in all."""
    return ",".join(value)


_only = click.option(
    "--only",
    type=TEXT,
    multiple=True,
    callback=_joined,
    help="Comma-separated check ids; may be given again.",
)


_LIST_OF = MappingProxyType(
    {
        "receiver": "spec-kitty conformance receiver --list",
        "producer": "spec-kitty conformance producer --list",
        "migration": "spec-kitty conformance migration --list",
    }
)


class _Judging(click.Group):
    """A group whose ends are pytest's numbers: 4 for a refusal, 2 for Ctrl-C."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was named."""
        try:
            return super().invoke(ctx)
        except click.UsageError as exc:
            report_usage(exc, as_json=False)
        except SpecKittyError as exc:
            report_error(exc, as_json=False)
        except (KeyboardInterrupt, click.Abort):
            interrupted()
            raise click.exceptions.Exit(_INTERRUPTED) from None
        raise click.exceptions.Exit(_USAGE)


@click.group(cls=_Judging)
def conformance() -> None:
    """Prove that a receiver, a producer or a migration tool keeps the contract.

    Exit codes: 0 conformant, 1 not, 2 interrupted, 3 internal error, 4 incomplete or usage.

    \b
    Example:
      spec-kitty conformance receiver http://127.0.0.1:8000
    """


@conformance.command()
@click.argument("url", type=TEXT, required=False)
@click.option(
    "--token-env", type=TEXT, metavar="NAME", help="Environment variable that holds the token."
)
@click.option(
    "--token", type=SECRET, metavar="T", help="The token itself; the process list shows it."
)
@click.option("--profile", type=TEXT, help="first-light, core, extended, hardened or soak.")
@click.option("--capabilities", type=TEXT, help="Comma-separated list, or a TOML file.")
@_only
@click.option("--report", type=TEXT, metavar="DIR", help="Where reports and replay capsules go.")
@click.option("--seed", type=TEXT, help="Repeat a run.")
@click.option("--deadline", type=Seconds(min_open=True), help="Seconds to wait for one answer.")
@click.option("--rate", type=Seconds(), help="Requests per second at most.")
@click.option(
    "--baseline", type=TEXT, metavar="FILE", help="Known failures with reason and expiry."
)
@click.option("--workers", "-n", type=TEXT, help="Run on that many processes (needs pytest-xdist).")
@click.option("--plan", is_flag=True, help="Show what would be sent, send nothing.")
@click.option("--list", "list", is_flag=True, help="List the checks, send nothing.")
@click.option("--allow-production", is_flag=True, help="Also judge a production server.")
@click.option(
    "--watch",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Run again after each change below this folder, until Ctrl-C.",
)
def receiver(url: str | None, watch: Path | None, **chosen: str | float | bool | None) -> None:
    """Judge the receiver at URL, apart from any pytest configuration of this folder.

    \b
    Examples:
      spec-kitty conformance receiver http://localhost:8765 --token-env RECEIVER_TOKEN
      spec-kitty conformance receiver http://localhost:8765 --only SKR-IDM-03
    """
    from spec_kitty_sync.conformance import isolated

    if url is None and not (chosen["list"] or chosen["plan"]):
        click.echo("Give the URL of the receiver to judge.", err=True)
        sys.exit(4)
    token, workers = chosen.pop("token"), chosen.pop("workers")
    options = {name.replace("_", "-"): value for name, value in chosen.items()}

    def run() -> int:
        return isolated.run_isolated(
            url, token=str(token or ""), workers=str(workers or ""), options=options
        )

    sys.exit(isolated.watch(watch, run) if watch else run())


def _trial_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that the suites for command-line tools share."""
    for option in reversed(
        (
            _only,
            click.option(
                "--report", type=TEXT, metavar="DIR", help="Where reports and capsules go."
            ),
            click.option("--seed", type=TEXT, help="Repeat a run."),
            click.option(
                "--baseline", type=TEXT, metavar="FILE", help="Known failures, reason and expiry."
            ),
            click.option(
                "--workers", "-n", type=TEXT, help="Run on that many processes (pytest-xdist)."
            ),
            click.option("--list", "list", is_flag=True, help="List the checks, run nothing."),
        )
    ):
        command = option(command)
    return command


@conformance.command()
@click.argument("adapter", type=TEXT, required=False)
@click.option(
    "--events", type=TEXT, metavar="PATH", help="Judge captured events: a file, queue or home."
)
@_trial_options
def producer(adapter: str | None, workers: str | None, **chosen: str | bool | None) -> None:
    """Judge the producer that ADAPTER describes, or events that one has captured.

    \b
    Examples:
      spec-kitty conformance producer spec-kitty
      spec-kitty conformance producer my-adapter.toml --only SKP-RES-05
      spec-kitty conformance producer --events ~/.spec-kitty
    """
    from spec_kitty_sync.conformance.isolated import run_isolated

    if adapter is None and not chosen["events"]:
        adapter = "spec-kitty" if chosen["list"] else None
        if adapter is None:
            click.echo("Give an adapter file, or --events PATH.", err=True)
            sys.exit(4)
    sys.exit(run_isolated(None, workers=workers, options={"producer": adapter, **chosen}))


@conformance.command()
@click.argument("adapter", type=TEXT, default="spec-kitty")
@_trial_options
def migration(adapter: str, workers: str | None, **chosen: str | bool | None) -> None:
    """Judge the migration tool that ADAPTER describes.

    \b
    Examples:
      spec-kitty conformance migration spec-kitty
      spec-kitty conformance migration my-adapter.toml --only SKM-DUP-04
    """
    from spec_kitty_sync.conformance.isolated import run_isolated

    sys.exit(run_isolated(None, workers=workers, options={"migration": adapter, **chosen}))


@conformance.command()
@click.argument("check_id", type=TEXT)
def explain(check_id: str) -> None:
    """Say what a check asks for, why, and which broken receivers it has caught.

    \b
    Example:
      spec-kitty conformance explain SKR-BAT-04
    """
    from spec_kitty_sync.conformance.catalogue import kind_of
    from spec_kitty_sync.conformance.explain import explain_lines

    try:
        lines = explain_lines(check_id.upper())
    except KeyError as exc:
        raise UsageError(
            f"there is no check {check_id}",
            remedy=f"Run `{_LIST_OF[kind_of(check_id.upper())]}` to see all.",
        ) from exc
    click.echo("\n".join(lines))


@conformance.command()
@click.argument("capsule", type=_FILE)
@click.option(
    "--to", "url", type=TEXT, help="The receiver to ask; default: the one of the capsule."
)
@click.option("--token-env", type=TEXT, metavar="NAME", default="SK_TOKEN", show_default=True)
@click.option("--same-ids", is_flag=True, help="Send the recorded event ids, not new ones.")
def replay(capsule: Path, url: str | None, token_env: str, same_ids: bool) -> None:
    """Send the requests of a failure again and compare the answers.

    For producers and migration tools: run the check again (--to names another adapter).

    Exit code 1 while the failing step is answered as before, or otherwise not as expected; 0 when
    it is mended; 4 when the answer says nothing about it: no token, a server error, a race.

    \b
    Example:
      spec-kitty conformance replay CAPSULE --to http://127.0.0.1:8000
    """
    import secrets
    import time

    from spec_kitty_sync.conformance.builder import Namespace
    from spec_kitty_sync.conformance.capsule import CapsuleError, read_capsule
    from spec_kitty_sync.conformance.capsule import replay as send_again
    from spec_kitty_sync.conformance.catalogue import kind_of
    from spec_kitty_sync.conformance.client import NoConnection

    fresh = Namespace(secrets.token_hex(4), time.time_ns() // 1_000_000)
    try:
        content = read_capsule(capsule)
        click.echo(f"{content['check']}  {content['title']}")
        if kind_of(content["check"]) != "receiver":
            require("conformance")
            from spec_kitty_sync.conformance.trial_replay import run_again

            failed, text = run_again(content, Path(url) if url else None)
            click.echo(text)
            sys.exit(int(failed))
        ended = send_again(
            content,
            url or content["url"],
            token=os.environ.get(token_env),
            namespace=None if same_ids else fresh,
            tell=lambda step: click.echo(f"  {step.line}"),
        )
    except CapsuleError as exc:
        remedy = (
            "Give a .json of a finding from the report folder; the next run that asks its check"
        )
        raise UsageError(str(exc), remedy=f"{remedy} replaces it.") from exc
    except (NoConnection, ValueError) as exc:
        raise UsageError(str(exc), remedy="Give the URL of a receiver with --to.") from exc
    click.echo(ended.words)
    sys.exit(ended.code)


@conformance.command()
@click.argument("before", type=_FILE)
@click.argument("after", type=_FILE)
def diff(before: Path, after: Path) -> None:
    """Compare two reports (report.json); exit code 1 when something broke.

    \b
    Example:
      spec-kitty conformance diff before/report.json after/report.json
    """
    from spec_kitty_sync.conformance.diff import ReportError, compare_reports, load_report

    try:
        found = compare_reports(load_report(before), load_report(after))
    except ReportError as exc:
        raise UsageError(str(exc), remedy="Give two files report.json.") from exc
    click.echo("\n".join(found.lines))
    sys.exit(1 if found.broke else 0)


@conformance.command()
@click.option("--full", is_flag=True, help="Every mutant meets every check: takes minutes.")
@click.option("--only", type=TEXT, help="Comma-separated names of mutants.")
@click.option(
    "--profile", type=TEXT, default="hardened", show_default=True, help="Checks of a full matrix."
)
@click.option("--markdown", type=_FILE, help="Also write the matrix to this file.")
@click.option(
    "--suite",
    type=click.Choice(["receiver", "producer", "migration"]),
    default="receiver",
    show_default=True,
    help="Whose suite is tested.",
)
@click.option(
    "--jobs", type=Whole(1, 1_000), help="Tools tested at a time.  [twice the processors]"
)
def mutants(
    full: bool, only: str | None, profile: str, markdown: Path | None, suite: str, jobs: int | None
) -> None:
    """Test the suite: receivers and tools that are broken on purpose have to be caught.

    Without --full each mutant meets the checks that are named for it. Exit code 1 when one
    survives that has no excuse, or when the healthy subject fails a check.

    \b
    Example:
      spec-kitty conformance mutants
      spec-kitty conformance mutants --suite producer --full
    """
    if suite != "receiver":
        asked = profile if full else None
        sys.exit(_tool_mutants(suite, profile=asked, only=only, markdown=markdown, jobs=jobs))
    require("conformance", "receiver")
    from spec_kitty_sync.conformance import mutants as kit
    from spec_kitty_sync.conformance.catalogue import load_catalogue
    from spec_kitty_sync.conformance.mutant_text import healthy_line, matrix, score_lines

    chosen = [one for one in kit.load_mutants() if not only or one.name in only.split(",")]
    every = kit.checks_of(load_catalogue(), profile)
    line, is_healthy = healthy_line(kit.healthy_results(every))
    click.echo(line)

    def tell(meeting: Meeting) -> None:
        killers = ", ".join(meeting.killed_by) or "SURVIVES"
        click.echo(f"{meeting.mutant.name:34} {killers}")

    def checks(one: Mutant) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*every, *one.killers))) if full else one.killers

    score = kit.run_all(chosen, checks, tell=tell)
    click.echo("\n".join(score_lines(score)))
    if markdown:
        markdown.write_text(matrix(score), encoding="utf-8")
    unexcused = [one for one in score.survivors if not one.excuse]
    sys.exit(0 if is_healthy and not unexcused else 1)


def _tool_mutants(
    kind: str, *, profile: str | None, only: str | None, markdown: Path | None, jobs: int | None
) -> int:
    require("conformance")
    from spec_kitty_sync.conformance.mutant_text import healthy_line, matrix, score_lines
    from spec_kitty_sync.conformance.trial_mutants import load_bench, usual_jobs

    bench = load_bench(kind)
    chosen = [one for one in bench.mutants if not only or one.name in only.split(",")]
    line, is_healthy = healthy_line(bench.healthy(bench.every_check()), kind=kind)
    click.echo(line)

    def tell(meeting: Meeting) -> None:
        click.echo(f"{meeting.mutant.name:34} {', '.join(meeting.killed_by) or 'SURVIVES'}")

    checks = bench.every_check(profile) if profile else ()
    score = bench.run_all(chosen, checks, jobs=jobs or usual_jobs(), tell=tell)
    click.echo("\n".join(score_lines(score)))
    if markdown:
        markdown.write_text(matrix(score, kind=kind), encoding="utf-8")
    return int(any(not one.excuse for one in score.survivors) or not is_healthy)
