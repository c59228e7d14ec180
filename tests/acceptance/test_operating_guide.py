"""The operator's guide, run from its first command to its last."""

from __future__ import annotations

from pathlib import Path

from guide import environment, play, read_guide
from legacy_homes import extract

ROOT = Path(__file__).resolve().parents[2]
USERS = """
[[user]]
username = "ada"
password = "lovelace-canary"
team = "team-a"

[[user]]
username = "bo"
password = "diddley-canary"
team = "team-b"
"""


def prepare(root: Path) -> dict[str, str]:
    for project in ("maps", "ships"):
        (root / project / ".kittify").mkdir(parents=True)
    (root / "users.toml").write_text(USERS)
    samples = root / "samples"
    extract("c-divergent", samples / "c-divergent")
    return {
        **environment(root),
        "SAMPLES": str(samples),
        "ADA_PASSWORD": "lovelace-canary",
        "BO_PASSWORD": "diddley-canary",
    }


def test_the_operating_guide_does_what_it_says(tmp_path: Path) -> None:
    """Each command of docs/operating.md ends and prints as the guide says; no password is shown."""
    printed = play(read_guide(ROOT / "docs" / "operating.md"), tmp_path, prepare(tmp_path))
    assert "canary" not in printed
