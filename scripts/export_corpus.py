"""Write fixtures/receiver/cases.json: the receiver checks that are plain data."""

from __future__ import annotations

import json
from pathlib import Path

from spec_kitty_sync.conformance.corpus import corpus

TARGET = Path(__file__).resolve().parents[1] / "fixtures" / "receiver" / "cases.json"


def main() -> None:
    """Write the corpus, one case per line."""
    content = corpus()
    cases = ",\n".join(json.dumps(one, ensure_ascii=False) for one in content.pop("cases"))
    head = json.dumps(content)[:-1]
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(f'{head}, "cases": [\n{cases}\n]}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
