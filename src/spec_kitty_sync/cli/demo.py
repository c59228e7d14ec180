"""`make demo`: the whole path once, on real input, in a home of its own."""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from spec_kitty_sync._files import shared_path

_TOKEN_ENV = "SK_TOKEN"
_EMITTED = (
    ("WPCreated", '{"wp_id": "WP01", "title": "Draw the map", "dependencies": [], '
                  '"feature_slug": "001-demo"}'),
    ("WPAssigned", '{"wp_id": "WP01", "agent_id": "claude", "phase": "implementation"}'),
    ("HistoryAdded", '{"wp_id": "WP01", "entry_type": "note", "entry_content": "hello"}'),
)  # fmt: skip


class Stage:
    """A scratch directory, its environment, and a way to run the command line in it."""

    def __init__(self, root: Path) -> None:
        self.home = root / "home"
        self.project = root / "project"
        self.reports = Path(tempfile.mkdtemp(prefix="spec-kitty-demo-reports-"))
        for folder in (self.home, self.project / ".kittify"):
            folder.mkdir(parents=True, mode=0o700)
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("SPEC_KITTY_", "SK_"))}
        self.environ = {
            **kept,
            "SPEC_KITTY_HOME": str(self.home),
            _TOKEN_ENV: secrets.token_urlsafe(16),
        }

    def run(self, *args: str, stdin: str | None = None, allowed: Sequence[int] = (0,)) -> None:
        """Show one command, run it, and stop the demo if it ends in an unexpected way."""
        click.secho(f"\n$ {shlex.join(['spec-kitty', *args])}", bold=True)
        done = subprocess.run(
            [sys.executable, "-m", "spec_kitty_sync", *args],
            cwd=self.project,
            env=self.environ,
            input=stdin,
            text=True,
            check=False,
        )
        if done.returncode not in allowed:
            raise click.ClickException(f"that ended with exit code {done.returncode}")


@contextmanager
def _receiver(stage: Stage) -> Iterator[str]:
    """Run the reference receiver on a free port; yield its address."""
    command = [
        "receiver", "serve", "--port", "0", "--token-env", _TOKEN_ENV,
        "--database", str(stage.home.parent / "receiver.db"),
    ]  # fmt: skip
    click.secho(f"\n$ {shlex.join(['spec-kitty', *command[:6]])} &", bold=True)
    with (stage.home.parent / "receiver.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "spec_kitty_sync", *command],
            env=stage.environ,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            assert process.stdout is not None
            line = process.stdout.readline().strip()
            click.echo(line)
            if not line.startswith("listening on "):
                raise click.ClickException("the receiver did not start")
            yield line.removeprefix("listening on ")
        finally:
            process.terminate()
            process.wait(10)


def _say(text: str) -> None:
    click.secho(f"\n── {text} ", fg="cyan", bold=True)


def play(stage: Stage) -> None:
    """Walk from an old queue to a delivered journal and a proven receiver."""
    source = shared_path("fixtures", "queues", "natural-2.1.3", "queues")
    shutil.copytree(source, stage.home / "queues")
    with _receiver(stage) as url:
        _say("An older spec-kitty left events in two queue databases. What is in them?")
        stage.run("diagnose", allowed=(0, 1))
        _say("Import them. The old files stay exactly as they are.")
        stage.run("sync", "migrate")
        _say("Emit a few events of our own.")
        for event_type, payload in _EMITTED:
            stage.run("emit", event_type, "--json", "-", stdin=payload)
        _say("Choose where events go, and deliver everything that may leave.")
        stage.run("sync", "server", url, "--token-env", _TOKEN_ENV)
        stage.run("sync", "now", allowed=(0, 1))
        stage.run("sync", "status")
        _say("Is that receiver any good? Ask the conformance suite.")
        stage.run("conformance", "receiver", url, "--report", str(stage.reports))
        _say("Reports")
        for report in sorted(stage.reports.glob("*.*")):
            if not report.name.startswith("."):
                click.echo(f"  {report}")


def main() -> None:
    """Run the demo in a temporary directory and clean up."""
    with tempfile.TemporaryDirectory(prefix="spec-kitty-demo-") as scratch:
        play(Stage(Path(scratch)))
    click.secho("\nDone: nothing of this is left but the reports.", fg="green")


if __name__ == "__main__":
    main()
