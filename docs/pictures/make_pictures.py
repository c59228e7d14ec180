"""Makes the pictures of the operator's guide: real commands, at a real terminal of 80 columns.

    python docs/pictures/make_pictures.py [FOLDER]
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import tarfile
import tempfile
import termios
from pathlib import Path

from rich.console import Console
from rich.text import Text

_COLUMNS = 80
_SAMPLE = Path(__file__).resolve().parents[2] / "fixtures" / "queues" / "natural-2.1.3.tar.gz"


class Desk:
    """A home, a project and a receiver that takes tiers 1 and 2."""

    def __init__(self, root: Path) -> None:
        self.home = root / "home"
        self.project = root / "maps"
        (self.project / ".kittify").mkdir(parents=True)
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("SPEC_KITTY_", "SK_"))}
        self.environ = {
            **kept,
            "SPEC_KITTY_HOME": str(self.home),
            "SK_TOKEN": "not-a-secret",
            "TERM": "xterm-256color",
            "COLUMNS": str(_COLUMNS),
        }
        self.process = subprocess.Popen(
            _command(
                "receiver", "serve", "--port", "0", "--token-env", "SK_TOKEN", "--tiers", "1,2"
            ),
            env=self.environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().split()[-1]

    def quietly(self, *args: str) -> None:
        subprocess.run(
            _command(*args), cwd=self.project, env=self.environ, check=False, capture_output=True
        )

    def find_old_queues(self) -> None:
        """Put what an older version left behind into the home."""
        with tarfile.open(_SAMPLE) as packed:
            for member in packed:
                if "queue" in member.name and member.isfile():
                    member.name = member.name.split(".spec-kitty/")[-1]
                    packed.extract(member, self.home, filter="data")

    def at_terminal(self, *args: str) -> str:
        """Run one command at a terminal and return what it prints, colours included."""
        parent, child = pty.openpty()
        fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 50, _COLUMNS, 0, 0))
        process = subprocess.Popen(
            _command(*args), cwd=self.project, env=self.environ, stdin=child, stdout=child,
            stderr=child, close_fds=True,
        )  # fmt: skip
        os.close(child)
        printed = b""
        with contextlib.suppress(OSError):
            while data := os.read(parent, 65536):
                printed += data
        process.wait()
        os.close(parent)
        return self._plain(printed.decode().replace("\r\n", "\n"))

    def _plain(self, text: str) -> str:
        """Return *text* with what differs from run to run in its usual form."""
        text = text.replace(self.url, "http://127.0.0.1:8000")
        text = text.replace(str(self.home), "~/.spec-kitty").replace(sys.executable, "python")
        # The bar of a drain erases itself; what it left in the stream is no picture.
        text = re.sub(r"\x1b\[(?:\?25[lh]|[0-9]*[AK]|2K)", "", text)
        lines = text.replace("\r", "\n").split("\n")
        return "\n".join(line for line in lines if not line.startswith("delivering"))

    def close(self) -> None:
        self.process.terminate()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


def _command(*args: str) -> list[str]:
    return [sys.executable, "-m", "spec_kitty_sync", *args]


def picture(desk: Desk, target: Path, *args: str) -> None:
    """Run a command and draw the terminal."""
    console = Console(record=True, width=_COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(f"\x1b[1m$ spec-kitty {' '.join(args)}\x1b[0m"))
    # The drawing cuts the last line at the feet of its letters: an empty one is lost instead.
    console.print(Text.from_ansi(desk.at_terminal(*args).rstrip() + "\n"))
    target.write_text(console.export_svg(title=f"spec-kitty {args[0]}"), encoding="utf-8")


def main(folder: Path) -> None:
    """Play the scenes and draw them below *folder*."""
    note = ("emit", "HistoryAdded", "--wp-id", "WP01", "--entry-type", "note", "--entry-content")
    with tempfile.TemporaryDirectory(prefix="pictures-") as scratch:
        desk = Desk(Path(scratch))
        try:
            desk.quietly("sync", "server", desk.url, "--token-env", "SK_TOKEN")
            for text in ("one", "two", "three"):
                desk.quietly(*note, text)
            picture(desk, folder / "sync-now.svg", "sync", "now")
            desk.quietly(*note, "all my notes", "--tier", "4")
            desk.quietly(*note, "four")
            picture(desk, folder / "sync-now-rejected.svg", "sync", "now")
            desk.find_old_queues()
            picture(desk, folder / "sync-status-check.svg", "sync", "status", "--check")
            desk.quietly("sync", "migrate")
            desk.quietly("sync", "now")
            picture(desk, folder / "sync-status.svg", "sync", "status")
            picture(desk, folder / "sync-targets.svg", "sync", "targets", "list")
            picture(desk, folder / "sync-log.svg", "sync", "log")
            held = ("sync", "show", "--held", "no_identity", "--limit", "4")
            picture(desk, folder / "sync-show-held.svg", *held)
            picture(desk, folder / "sync-doctor.svg", "sync", "doctor")
        finally:
            desk.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent)
