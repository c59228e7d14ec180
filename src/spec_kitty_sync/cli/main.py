"""The `spec-kitty` command: a light shell that loads what the called command needs."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import click

from spec_kitty_sync import __version__
from spec_kitty_sync._extras import explain
from spec_kitty_sync.cli.render_error import (
    interrupted,
    report_error,
    report_os_error,
    report_usage,
)
from spec_kitty_sync.errors import SpecKittyError

if TYPE_CHECKING:
    from spec_kitty_sync.cli.defect import StartLog

WANTS_JSON = "spec_kitty_sync.wants_json"
"""Context key of a dict that `--json` fills, so that errors are printed as JSON too."""
KEEP_LOG = "spec_kitty_sync.keep_log"
"""Context key of a list: what starts the log of this run's home, once that is known."""
PYTEST_INTERNAL = 3
"""What `conformance` ends with at a defect: it keeps pytest's numbers."""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called.

    `lazy` maps a name to (module, attribute, one-line help), so that `--help` imports nothing.
    """

    def __init__(self, *args: Any, lazy: Mapping[str, tuple[str, str, str]], **kw: Any) -> None:
        super().__init__(*args, **kw)
        self._lazy = dict(lazy)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *self._lazy})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._lazy:
            return super().get_command(ctx, cmd_name)
        module, attribute, _ = self._lazy[cmd_name]
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, text) for name, (_, _, text) in sorted(self._lazy.items())]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


class Commands:
    """Where each top-level command lives."""

    TOP: ClassVar[dict[str, tuple[str, str, str]]] = {
        "auth": ("spec_kitty_sync.cli.auth", "auth", "Log in, log out, see who is logged in."),
        "conformance": (
            "spec_kitty_sync.cli.conformance",
            "conformance",
            "Prove a receiver, a producer or a migration tool.",
        ),
        "diagnose": (
            "spec_kitty_sync.cli.diagnose",
            "diagnose",
            "Say what is wrong with queued events, and what helps.",
        ),
        "emit": ("spec_kitty_sync.cli.emit", "emit", "Append one event to the journal."),
        "receiver": (
            "spec_kitty_sync.cli.receiver",
            "receiver",
            "Run the reference receiver.",
        ),
        "schema": ("spec_kitty_sync.cli.schema", "schema", "Write the JSON Schemas."),
        "sync": (
            "spec_kitty_sync.cli.sync",
            "sync",
            "Deliver events, see what is delivered, migrate old queues.",
        ),
    }


DEBUG = "spec_kitty_sync.debug"
"""Context key that `--debug` sets; the first command that knows its home starts the log."""


def _print_version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        click.echo(f"spec-kitty {__version__}")
        ctx.exit()


@click.command(cls=LazyGroup, lazy=Commands.TOP, context_settings={"max_content_width": 96})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version,
    help="Show the version and exit.",
)  # fmt: skip
@click.option(
    "--debug", is_flag=True, help="Write a log, without tokens, to debug.log in the home."
)
@click.pass_context
def cli(ctx: click.Context, debug: bool) -> None:
    """Keep the events of your missions, and deliver every one of them.

    \b
    Examples:
      spec-kitty diagnose              what is queued, and is it valid?
      spec-kitty sync status           what is delivered, what waits, and why
      spec-kitty sync now              deliver now
      spec-kitty --debug sync now      and write down what happens

    Shell completion: eval "$(_SPEC_KITTY_COMPLETE=bash_source spec-kitty)"; also zsh, fish.
    """
    ctx.meta[DEBUG] = debug


def run(argv: list[str] | None = None) -> NoReturn:
    """Run the command line and exit with the codes of CONTRACT 8."""
    wants_json: dict[str, bool] = {}
    keep_log: list[StartLog] = []
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        code = _invoke(arguments, {WANTS_JSON: wants_json, KEEP_LOG: keep_log})
    except click.exceptions.Exit as exc:
        code = exc.exit_code
    except click.ClickException as exc:
        code = _report_click(exc, as_json=bool(wants_json) or "--json" in arguments)
    except (click.Abort, KeyboardInterrupt):
        code = interrupted()
    except SpecKittyError as exc:
        code = report_error(exc, as_json=bool(wants_json))
    except ModuleNotFoundError as exc:
        missing = explain(exc)
        if missing is None:
            raise
        code = report_error(missing, as_json=bool(wants_json))
    except BrokenPipeError:
        # The reader of our output went away; what was done stays done.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except OSError as exc:
        code = report_os_error(exc, as_json=bool(wants_json))
    except Exception as exc:  # noqa: BLE001  (the last line: a defect is told and logged)
        from spec_kitty_sync.cli.defect import report_defect

        code = report_defect(exc, keep_log, as_json=bool(wants_json))
        command = next((each for each in arguments if not each.startswith("-")), "")
        code = PYTEST_INTERNAL if command == "conformance" else code
    sys.exit(code if isinstance(code, int) else 0)


def _report_click(exc: click.ClickException, *, as_json: bool) -> int:
    is_help = isinstance(exc, click.exceptions.NoArgsIsHelpError)
    if isinstance(exc, click.UsageError) and not is_help:
        return report_usage(exc, as_json=as_json)
    exc.show()
    return exc.exit_code


def _invoke(args: list[str], shared: Mapping[str, object]) -> object:
    if "_SPEC_KITTY_COMPLETE" in os.environ:
        return cli(args, prog_name="spec-kitty", complete_var="_SPEC_KITTY_COMPLETE")
    with cli.make_context("spec-kitty", args) as ctx:
        ctx.meta.update(shared)
        return cli.invoke(ctx)
